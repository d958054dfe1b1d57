use crate::error::ApiError;
use crate::input::{NAME_MAX, changed_text, id, id_of, url};
use crate::render;
use crate::request::{Answer, Scoped};
use domain::id::StorefrontId;
use domain::site::{PROVIDERS_MAX, is_color};
use engine::sites::SiteChanges;
use serde_json::json;

/// What a body says of a site.
fn changes(request: &Scoped) -> Result<SiteChanges, ApiError> {
    let mut reader = request.params.reader();
    let http_loopback = request.engine().egress(request.scope).allow_loopback;
    let mut changes =
        SiteChanges { name: changed_text(&mut reader, "name", NAME_MAX)?, ..SiteChanges::default() };
    if reader.was_sent("url") {
        changes.url = Some(url(&mut reader, "url", http_loopback)?.unwrap_or_default());
    }
    if let Some(mut branding) = reader.object("branding")? {
        if branding.was_sent("logo") {
            let logo = url(&mut branding, "logo", http_loopback);
            changes.logo = Some(logo.map_err(|e| e.field("branding.logo"))?);
        }
        if branding.was_sent("primaryColor") {
            let color = branding.text("primaryColor", 20)?;
            if color.as_ref().is_some_and(|color| !is_color(color)) {
                let message = "branding.primaryColor must be a colour such as #0a7f5a.";
                return Err(ApiError::unprocessable("color_invalid", message).field("branding.primaryColor"));
            }
            changes.primary_color = Some(color);
        }
    }
    if let Some(texts) = reader.texts("providerIds", PROVIDERS_MAX, 100)? {
        let mut ids = Vec::with_capacity(texts.len());
        for text in &texts {
            let provider = id_of("providerIds", text)?;
            if !ids.contains(&provider) {
                ids.push(provider);
            }
        }
        changes.providers = Some(ids);
    }
    if reader.was_sent("defaultProviderId") {
        changes.default_provider = Some(id(&mut reader, "defaultProviderId")?);
    }
    changes.ipn_version = reader.integer("ipnVersion", 1, 2)?;
    Ok(changes)
}

pub(crate) async fn list(request: Scoped) -> Result<Answer, ApiError> {
    let page = request.page()?;
    let (rows, total) = page.cut(request.engine().sites(request.scope).await?);
    let rows = rows.iter().map(render::site).collect();
    Answer::ok(page.show("sites", rows, i64::try_from(total).unwrap_or(i64::MAX)))
}

pub(crate) async fn create(request: Scoped) -> Result<Answer, ApiError> {
    let name = request.params.reader().required_text("name", NAME_MAX)?;
    let changes = changes(&request)?;
    let (site, secret) = request.engine().create_site(request.scope, request.by(), name, changes).await?;
    Answer::created(render::site_with_secret(&site, &secret))
}

pub(crate) async fn get(request: Scoped) -> Result<Answer, ApiError> {
    let id: StorefrontId = request.id(0, "site")?;
    Answer::ok(render::site(&request.engine().site(request.scope, id).await?))
}

pub(crate) async fn update(request: Scoped) -> Result<Answer, ApiError> {
    let id: StorefrontId = request.id(0, "site")?;
    let changes = changes(&request)?;
    Answer::ok(render::site(&request.engine().change_site(request.scope, request.by(), id, changes).await?))
}

pub(crate) async fn delete(request: Scoped) -> Result<Answer, ApiError> {
    let id: StorefrontId = request.id(0, "site")?;
    request.engine().delete_site(request.scope, request.by(), id).await?;
    Answer::ok(json!({ "id": id.0.hex(), "deleted": true }))
}

pub(crate) async fn regenerate_secret(request: Scoped) -> Result<Answer, ApiError> {
    let id: StorefrontId = request.id(0, "site")?;
    let (site, secret) = request.engine().regenerate_site_secret(request.scope, request.by(), id).await?;
    Answer::ok(render::site_with_secret(&site, &secret))
}
