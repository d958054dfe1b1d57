use crate::cookies;
use crate::error::ApiError;
use crate::input::{NAME_MAX, changed_text, email};
use crate::render;
use crate::request::{Answer, Global, Organized, Personal};
use axum::http::StatusCode;
use domain::id::MerchantId;
use serde_json::json;

pub(crate) async fn list(request: Global) -> Result<Answer, ApiError> {
    let page = request.page()?;
    let all = match request.identity.person() {
        Some(person) if !person.global_admin => {
            let own = request.engine().organizations_of(person).await?;
            own.into_iter().map(|(merchant, _)| merchant).collect()
        }
        _ => request.engine().merchants().await?,
    };
    let (rows, total) = page.cut(all);
    let rows = rows.iter().map(render::organization).collect();
    Answer::ok(page.show("organizations", rows, i64::try_from(total).unwrap_or(i64::MAX)))
}

/// Keeps the choice in a cookie. It proves nothing: a person's roles are read at each request.
pub(crate) async fn select(request: Personal) -> Result<Answer, ApiError> {
    let id: MerchantId = request.id(0, "organization")?;
    let role = request.person.role(id).ok_or_else(|| ApiError::not_found("organization", &id.0.hex()))?;
    let merchant = request.engine().merchant(id).await?;
    let mut body = render::organization(&merchant);
    body["role"] = json!(role);
    Ok(Answer::Cookies(StatusCode::OK, body, vec![cookies::keep_selected(id)]))
}

pub(crate) async fn create(request: Global) -> Result<Answer, ApiError> {
    let mut reader = request.params.reader();
    let name = reader.required_text("name", NAME_MAX)?;
    let support = email(&mut reader, "supportEmail")?;
    let made = request.engine().create_organization(request.by(), name, support).await?;
    Answer::created(render::organization(&made))
}

pub(crate) async fn get(request: Organized) -> Result<Answer, ApiError> {
    Answer::ok(render::organization(&request.engine().merchant(request.scope.merchant).await?))
}

pub(crate) async fn update(request: Organized) -> Result<Answer, ApiError> {
    let mut reader = request.params.reader();
    let name = changed_text(&mut reader, "name", NAME_MAX)?;
    let support = if reader.was_sent("supportEmail") {
        Some(email(&mut reader, "supportEmail")?.unwrap_or_default())
    } else {
        None
    };
    let changed =
        request.engine().change_organization(request.scope.merchant, request.by(), name, support).await?;
    Answer::ok(render::organization(&changed))
}
