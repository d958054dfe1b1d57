use crate::error::ApiError;
use crate::input::{NAME_MAX, changed_text};
use crate::render;
use crate::request::{Anonymous, Answer, Scoped};
use domain::id::ProviderId;
use engine::providers::{Credentials, ProviderChanges};
use serde_json::{Value, json};
use web::params::{Reader, Value as Param};

/// Fields of `config`.
const CONFIG_MAX: usize = 50;

/// `config`: the credentials by the names of their fields. Their values are never part of an error.
fn config(request: &Scoped) -> Result<Option<Credentials>, ApiError> {
    let params = request.params.reader();
    let Some(value) = { params }.value("config") else { return Ok(None) };
    let refuse = |message: &str| Err(ApiError::invalid("config_invalid", message).field("config"));
    let Param::Map(entries) = value else {
        return refuse("config must be an object of texts.");
    };
    if entries.len() > CONFIG_MAX {
        return refuse("config has too many fields.");
    }
    let mut credentials = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        match value {
            Param::Text(text) => credentials.push((name.clone(), text.clone())),
            Param::Null => credentials.push((name.clone(), String::new())),
            _ => return refuse("config must be an object of texts."),
        }
    }
    Ok(Some(credentials))
}

fn label(reader: &mut Reader<'_>) -> Result<Option<String>, ApiError> {
    let label = changed_text(reader, "label", NAME_MAX)?;
    Ok(if label.is_some() { label } else { changed_text(reader, "name", NAME_MAX)? })
}

pub(crate) async fn kinds(request: Anonymous) -> Result<Answer, ApiError> {
    let kinds = request.engine().provider_kinds();
    let kinds: Vec<Value> =
        kinds.iter().map(|(name, profile)| render::provider_kind(name, profile)).collect();
    Answer::ok(json!({ "providerTypes": kinds }))
}

pub(crate) async fn list(request: Scoped) -> Result<Answer, ApiError> {
    let page = request.page()?;
    let (rows, total) = page.cut(request.engine().providers(request.scope).await?);
    let rows = rows.iter().map(render::provider).collect();
    Answer::ok(page.show("providers", rows, i64::try_from(total).unwrap_or(i64::MAX)))
}

pub(crate) async fn create(request: Scoped) -> Result<Answer, ApiError> {
    let mut reader = request.params.reader();
    let kind = reader.required_text("type", 50)?;
    let label = label(&mut reader)?.unwrap_or_else(|| kind.clone());
    let credentials = config(&request)?.unwrap_or_default();
    let made =
        request.engine().create_provider(request.scope, request.by(), kind, label, credentials).await?;
    Answer::created(render::provider(&made))
}

pub(crate) async fn get(request: Scoped) -> Result<Answer, ApiError> {
    let id: ProviderId = request.id(0, "provider")?;
    Answer::ok(render::provider(&request.engine().provider(request.scope, id).await?))
}

pub(crate) async fn update(request: Scoped) -> Result<Answer, ApiError> {
    let id: ProviderId = request.id(0, "provider")?;
    let mut reader = request.params.reader();
    let changes = ProviderChanges {
        name: label(&mut reader)?,
        enabled: reader.boolean("enabled")?,
        credentials: config(&request)?,
    };
    let changed = request.engine().change_provider(request.scope, request.by(), id, changes).await?;
    Answer::ok(render::provider(&changed))
}

pub(crate) async fn delete(request: Scoped) -> Result<Answer, ApiError> {
    let id: ProviderId = request.id(0, "provider")?;
    request.engine().delete_provider(request.scope, request.by(), id).await?;
    Answer::ok(json!({ "id": id.0.hex(), "deleted": true }))
}

/// Sets `enabled`, or turns it around if the body does not say.
pub(crate) async fn toggle(request: Scoped) -> Result<Answer, ApiError> {
    let id: ProviderId = request.id(0, "provider")?;
    let asked = request.params.reader().boolean("enabled")?;
    let enabled = match asked {
        Some(enabled) => enabled,
        None => !request.engine().provider(request.scope, id).await?.enabled,
    };
    let changes = ProviderChanges { enabled: Some(enabled), ..ProviderChanges::default() };
    let changed = request.engine().change_provider(request.scope, request.by(), id, changes).await?;
    Answer::ok(render::provider(&changed))
}

pub(crate) async fn test(request: Scoped) -> Result<Answer, ApiError> {
    let id: ProviderId = request.id(0, "provider")?;
    let checked = request.engine().check_provider(request.scope, request.by(), id).await?;
    let error = checked.check.as_ref().and_then(|check| check.error.clone());
    Answer::ok(json!({ "ok": error.is_none(), "error": error, "provider": render::provider(&checked) }))
}
