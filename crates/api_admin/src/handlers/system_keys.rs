use super::api_keys::{ceiling, overlap};
use crate::error::ApiError;
use crate::input::{NAME_MAX, changed_text, mode, networks};
use crate::render;
use crate::request::{Answer, Global};
use domain::admin_key::NETWORKS_MAX;
use domain::id::AdminKeyId;
use domain::scope::Mode;
use engine::admin_keys::{AdminKeyChanges, NewAdminKey, system_grants};
use serde_json::json;

pub(crate) async fn list(request: Global) -> Result<Answer, ApiError> {
    let page = request.page()?;
    let (rows, total) = page.cut(request.engine().admin_keys(None).await?);
    let rows = rows.iter().map(render::api_key).collect();
    Answer::ok(page.show("apiKeys", rows, i64::try_from(total).unwrap_or(i64::MAX)))
}

pub(crate) async fn create(request: Global) -> Result<Answer, ApiError> {
    let mut reader = request.params.reader();
    let new = NewAdminKey {
        name: reader.required_text("name", NAME_MAX)?,
        mode: mode(&mut reader, "mode")?.unwrap_or(Mode::Test),
        grants: system_grants(),
        networks: networks(&mut reader, "ipWhitelist", NETWORKS_MAX)?.unwrap_or_default(),
    };
    let (key, text) = request.engine().create_admin_key(None, Some(request.by()), new).await?;
    Answer::created(render::api_key_with_text(&key, &text))
}

pub(crate) async fn get(request: Global) -> Result<Answer, ApiError> {
    let id: AdminKeyId = request.id(0, "system key")?;
    let keys = request.engine().admin_keys(None).await?;
    let key =
        keys.iter().find(|k| k.id == id).ok_or_else(|| ApiError::not_found("system key", &id.0.hex()))?;
    Answer::ok(render::api_key(key))
}

pub(crate) async fn update(request: Global) -> Result<Answer, ApiError> {
    let id: AdminKeyId = request.id(0, "system key")?;
    let mut reader = request.params.reader();
    let changes = AdminKeyChanges {
        name: changed_text(&mut reader, "name", NAME_MAX)?,
        grants: None,
        networks: networks(&mut reader, "ipWhitelist", NETWORKS_MAX)?,
    };
    let key = request
        .engine()
        .change_admin_key(None, request.by(), ceiling(&request.identity), id, changes)
        .await?;
    Answer::ok(render::api_key(&key))
}

pub(crate) async fn delete(request: Global) -> Result<Answer, ApiError> {
    let id: AdminKeyId = request.id(0, "system key")?;
    request.engine().delete_admin_key(None, request.by(), id).await?;
    Answer::ok(json!({ "id": id.0.hex(), "deleted": true }))
}

pub(crate) async fn revoke(request: Global) -> Result<Answer, ApiError> {
    let id: AdminKeyId = request.id(0, "system key")?;
    let key = request.engine().revoke_admin_key(None, Some(request.by()), id).await?;
    Answer::ok(render::api_key(&key))
}

pub(crate) async fn rotate(request: Global) -> Result<Answer, ApiError> {
    let id: AdminKeyId = request.id(0, "system key")?;
    let overlap = overlap(&mut request.params.reader())?;
    let (key, text) = request
        .engine()
        .rotate_admin_key(None, request.by(), ceiling(&request.identity), id, overlap)
        .await?;
    Answer::ok(render::api_key_with_text(&key, &text))
}
