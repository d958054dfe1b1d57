use crate::error::ApiError;
use crate::input::{NAME_MAX, email};
use crate::render;
use crate::request::{Answer, Global, Organized};

pub(crate) async fn list(request: Global) -> Result<Answer, ApiError> {
    let page = request.page()?;
    let (rows, total) = page.cut(request.engine().merchants().await?);
    let rows = rows.iter().map(render::organization).collect();
    Answer::ok(page.show("organizations", rows, i64::try_from(total).unwrap_or(i64::MAX)))
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
    let name = reader.text("name", NAME_MAX)?;
    let support = if reader.has("supportEmail") {
        Some(email(&mut reader, "supportEmail")?.unwrap_or_default())
    } else {
        None
    };
    let changed =
        request.engine().change_organization(request.scope.merchant, request.by(), name, support).await?;
    Answer::ok(render::organization(&changed))
}
