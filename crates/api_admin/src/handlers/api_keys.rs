use crate::callers::Identity;
use crate::error::ApiError;
use crate::input::{NAME_MAX, changed_text, mode, networks};
use crate::render;
use crate::request::{Answer, Organized};
use axum::http::StatusCode;
use domain::access::{Grant, catalogue};
use domain::admin_key::NETWORKS_MAX;
use domain::id::AdminKeyId;
use domain::limits::KEY_OVERLAP_US;
use domain::scope::Mode;
use domain::time::MICROS;
use engine::admin_keys::{AdminKeyChanges, Ceiling, KeyOwner, NewAdminKey};
use serde_json::json;
use web::params::{Reader, echo};

/// Scopes of one key.
const SCOPES_MAX: usize = 100;

/// Whose keys a request is about. System keys may name the mode: their own says nothing about it.
fn owner(request: &Organized, named: Option<Mode>) -> KeyOwner {
    let mode = if request.identity.is_system_key() { named } else { None };
    Some((request.scope.merchant, mode.unwrap_or(request.scope.mode)))
}

fn owner_by_query(request: &Organized) -> Result<KeyOwner, ApiError> {
    let named = mode(&mut request.params.reader(), "mode")?;
    Ok(owner(request, named))
}

fn no_scopes() -> ApiError {
    let message = "scopes must list at least one scope, such as checkout:create.";
    ApiError::unprocessable("scopes_missing", message).field("scopes")
}

/// `scopes`, as far as this caller may give them.
fn grants(reader: &mut Reader<'_>, identity: &Identity) -> Result<Option<Vec<Grant>>, ApiError> {
    let Some(texts) = reader.texts("scopes", SCOPES_MAX, 100)? else { return Ok(None) };
    if texts.is_empty() {
        return Err(no_scopes());
    }
    let known = catalogue();
    let mut grants = Vec::with_capacity(texts.len());
    for text in &texts {
        let grant = Grant::parse(text).filter(|grant| known.iter().any(|k| k.resource == grant.resource));
        let grant = grant.ok_or_else(|| {
            let message = format!("There is no scope {}. GET /api/v1/api-key-scopes lists them.", echo(text));
            ApiError::unprocessable("scope_unknown", message).field("scopes")
        })?;
        if !grants.contains(&grant) {
            grants.push(grant);
        }
    }
    if let Some(own) = identity.ceiling()
        && let Some(more) = grants.iter().find(|grant| !own.iter().any(|o| o.covers(**grant)))
    {
        let message = format!("A key cannot give the scope {more}, which it does not have itself.");
        return Err(ApiError::forbidden("insufficient_scope", message));
    }
    Ok(Some(grants))
}

/// What the caller may do itself, for the engine to compare keys with.
pub(super) fn ceiling(identity: &Identity) -> Ceiling {
    identity.ceiling().map(<[Grant]>::to_vec)
}

/// `overlapSeconds`: for how long the old secret works on, in microseconds.
pub(super) fn overlap(reader: &mut Reader<'_>) -> Result<i64, ApiError> {
    Ok(reader.integer("overlapSeconds", 0, KEY_OVERLAP_US / MICROS)?.unwrap_or(0) * MICROS)
}

pub(crate) async fn scopes(_: crate::request::Anonymous) -> Result<Answer, ApiError> {
    let scopes: Vec<String> = catalogue().iter().map(ToString::to_string).collect();
    Answer::ok(json!({ "scopes": scopes }))
}

pub(crate) async fn list(request: Organized) -> Result<Answer, ApiError> {
    let page = request.page()?;
    let (rows, total) = page.cut(request.engine().admin_keys(owner_by_query(&request)?).await?);
    let rows = rows.iter().map(render::api_key).collect();
    Answer::ok(page.show("apiKeys", rows, i64::try_from(total).unwrap_or(i64::MAX)))
}

pub(crate) async fn create(request: Organized) -> Result<Answer, ApiError> {
    let mut reader = request.params.reader();
    let name = reader.required_text("name", NAME_MAX)?;
    let named = mode(&mut reader, "mode")?;
    if !request.identity.is_system_key() && named.is_some_and(|mode| mode != request.scope.mode) {
        let mode = request.scope.mode;
        let message = format!(
            "In {mode} mode only keys of {mode} mode are made. Use a key or a session of the other mode."
        );
        return Err(ApiError::forbidden("mode_not_permitted", message).field("mode"));
    }
    let grants = grants(&mut reader, &request.identity)?.ok_or_else(no_scopes)?;
    let new = NewAdminKey {
        name,
        mode: named.unwrap_or(request.scope.mode),
        grants,
        networks: networks(&mut reader, "ipWhitelist", NETWORKS_MAX)?.unwrap_or_default(),
    };
    let (key, text) =
        request.engine().create_admin_key(Some(request.scope.merchant), Some(request.by()), new).await?;
    Answer::created(render::api_key_with_text(&key, &text))
}

pub(crate) async fn get(request: Organized) -> Result<Answer, ApiError> {
    let id: AdminKeyId = request.id(1, "API key")?;
    let keys = request.engine().admin_keys(owner_by_query(&request)?).await?;
    let key = keys.iter().find(|k| k.id == id).ok_or_else(|| ApiError::not_found("API key", &id.0.hex()))?;
    Answer::ok(render::api_key(key))
}

pub(crate) async fn update(request: Organized) -> Result<Answer, ApiError> {
    let id: AdminKeyId = request.id(1, "API key")?;
    let mut reader = request.params.reader();
    let changes = AdminKeyChanges {
        name: changed_text(&mut reader, "name", NAME_MAX)?,
        grants: grants(&mut reader, &request.identity)?,
        networks: networks(&mut reader, "ipWhitelist", NETWORKS_MAX)?,
    };
    let owner = owner(&request, mode(&mut reader, "mode")?);
    let key = request
        .engine()
        .change_admin_key(owner, request.by(), ceiling(&request.identity), id, changes)
        .await?;
    Answer::ok(render::api_key(&key))
}

pub(crate) async fn delete(request: Organized) -> Result<Answer, ApiError> {
    let id: AdminKeyId = request.id(1, "API key")?;
    request.engine().delete_admin_key(owner_by_query(&request)?, request.by(), id).await?;
    Ok(Answer::Json(StatusCode::OK, json!({ "id": id.0.hex(), "deleted": true })))
}

pub(crate) async fn revoke(request: Organized) -> Result<Answer, ApiError> {
    let id: AdminKeyId = request.id(1, "API key")?;
    let key = request.engine().revoke_admin_key(owner_by_query(&request)?, Some(request.by()), id).await?;
    Answer::ok(render::api_key(&key))
}

pub(crate) async fn rotate(request: Organized) -> Result<Answer, ApiError> {
    let id: AdminKeyId = request.id(1, "API key")?;
    let overlap = overlap(&mut request.params.reader())?;
    let owner = owner_by_query(&request)?;
    let (key, text) = request
        .engine()
        .rotate_admin_key(owner, request.by(), ceiling(&request.identity), id, overlap)
        .await?;
    Answer::ok(render::api_key_with_text(&key, &text))
}
