use super::checkouts::party;
use crate::error::ApiError;
use crate::input::{email, metadata_change};
use crate::render;
use crate::request::{Answer, Scoped};
use domain::id::CustomerId;
use engine::clients::ClientChanges;
use serde_json::json;
use web::params::Reader;

/// Characters of names and texts.
const TEXT_MAX: usize = 200;

/// What a body says of a client; a field that is null or empty is cleared.
fn changes(reader: &mut Reader<'_>) -> Result<ClientChanges, ApiError> {
    let mut text = |name: &str| -> Result<Option<Option<String>>, ApiError> {
        let sent = reader.was_sent(name);
        let value = reader.text(name, TEXT_MAX)?;
        Ok(sent.then_some(value))
    };
    let mut changes = ClientChanges {
        first_name: text("firstName")?,
        last_name: text("lastName")?,
        company: text("company")?,
        phone: text("phone")?,
        ..ClientChanges::default()
    };
    if reader.was_sent("email") {
        changes.email = Some(email(reader, "email")?);
    }
    if let Some(mut tax) = reader.object("taxInfo")? {
        let sent = tax.was_sent("vatId");
        let value = tax.text("vatId", 50)?;
        changes.vat_id = sent.then_some(value);
    }
    for (name, slot) in [("billingAddress", &mut changes.billing), ("shippingAddress", &mut changes.shipping)]
    {
        let sent = reader.was_sent(name);
        let value = party(reader, name)?;
        *slot = sent.then_some(value);
    }
    Ok(changes)
}

pub(crate) async fn list(request: Scoped) -> Result<Answer, ApiError> {
    let page = request.page()?;
    let email = request.params.reader().text("email", 254)?;
    let found = request.engine().clients(request.scope, email, page.query()).await?;
    let rows = found.data.iter().map(render::client).collect();
    Answer::ok(page.show("clients", rows, found.total))
}

/// Among the newest 10,000: the answer says whether these are all.
pub(crate) async fn search(request: Scoped) -> Result<Answer, ApiError> {
    let page = request.page()?;
    let text = request.params.reader().required_text("q", 100)?;
    let found = request.engine().search_clients(request.scope, text, page.query()).await?;
    let rows = found.data.iter().map(render::client).collect();
    Answer::ok(page.show("clients", rows, found.total))
}

pub(crate) async fn create(request: Scoped) -> Result<Answer, ApiError> {
    let mut reader = request.params.reader();
    let changes = changes(&mut reader)?;
    if changes.email.iter().chain(&changes.last_name).chain(&changes.company).flatten().next().is_none() {
        let message = "A client needs at least one of email, lastName and company.";
        return Err(ApiError::unprocessable("client_unnamed", message).field("email"));
    }
    let metadata = reader.metadata("metadata")?.unwrap_or_default();
    let made =
        request.engine().create_client(&request.call("created"), changes, metadata_change(metadata)).await?;
    Ok(made.into())
}

pub(crate) async fn get(request: Scoped) -> Result<Answer, ApiError> {
    let id: CustomerId = request.id(0, "client")?;
    Answer::ok(render::client(&request.engine().client(request.scope, id).await?))
}

pub(crate) async fn update(request: Scoped) -> Result<Answer, ApiError> {
    let id: CustomerId = request.id(0, "client")?;
    let mut reader = request.params.reader();
    let changes = changes(&mut reader)?;
    let metadata = reader.metadata("metadata")?.unwrap_or_default();
    let call = request.call("client");
    Ok(request.engine().change_client(&call, id, changes, metadata_change(metadata)).await?.into())
}

pub(crate) async fn delete(request: Scoped) -> Result<Answer, ApiError> {
    let id: CustomerId = request.id(0, "client")?;
    request.engine().delete_client(request.scope, request.by(), id).await?;
    Answer::ok(json!({ "id": id.0.hex(), "deleted": true }))
}

pub(crate) async fn history(request: Scoped) -> Result<Answer, ApiError> {
    let id: CustomerId = request.id(0, "client")?;
    Answer::ok(render::client_history(&request.engine().client_history(request.scope, id).await?))
}
