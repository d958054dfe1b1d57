//! What people see and change of themselves.

use crate::error::ApiError;
use crate::input::{credential, required};
use crate::render;
use crate::request::{Answer, Personal};
use domain::id::PasskeyId;
use domain::session::SessionCaller;
use domain::user::NAME_CHARS;
use serde_json::json;

pub(crate) async fn get(request: Personal) -> Result<Answer, ApiError> {
    let organizations = request.engine().organizations_of(&request.person).await?;
    Answer::ok(render::person(&request.person, &organizations))
}

pub(crate) async fn update(request: Personal) -> Result<Answer, ApiError> {
    let engine = request.engine();
    let mut person: SessionCaller = request.person.clone();
    if let Some(name) = request.params.reader().text("name", NAME_CHARS)? {
        person.name = engine.rename_user(&person, &name).await?.name;
    }
    let organizations = engine.organizations_of(&person).await?;
    Answer::ok(render::person(&person, &organizations))
}

pub(crate) async fn passkeys(request: Personal) -> Result<Answer, ApiError> {
    let page = request.page()?;
    let (rows, total) = page.cut(request.engine().passkeys(request.person.user).await?);
    let rows = rows.iter().map(render::passkey).collect();
    Answer::ok(page.show("passkeys", rows, i64::try_from(total).unwrap_or(i64::MAX)))
}

pub(crate) async fn begin_passkey(request: Personal) -> Result<Answer, ApiError> {
    Answer::ok(request.engine().begin_passkey(&request.person).await?)
}

pub(crate) async fn complete_passkey(request: Personal) -> Result<Answer, ApiError> {
    let mut reader = request.params.reader();
    let code = required(reader.raw_text("ceremonyId", 100)?, "ceremonyId")?;
    let credential = credential(&mut reader)?;
    let label = reader.text("label", NAME_CHARS)?.unwrap_or_default();
    let engine = request.engine();
    let passkey =
        engine.complete_passkey(&request.person, code, &credential, &label, &request.request_id).await?;
    Answer::created(render::passkey(&passkey))
}

pub(crate) async fn rename_passkey(request: Personal) -> Result<Answer, ApiError> {
    let id: PasskeyId = request.id(0, "passkey")?;
    let label = request.params.reader().required_text("label", NAME_CHARS)?;
    Answer::ok(render::passkey(&request.engine().rename_passkey(&request.person, id, &label).await?))
}

pub(crate) async fn remove_passkey(request: Personal) -> Result<Answer, ApiError> {
    let id: PasskeyId = request.id(0, "passkey")?;
    request.engine().remove_passkey(&request.person, id, &request.request_id).await?;
    Answer::ok(json!({ "id": id.0.hex(), "deleted": true }))
}
