use crate::error::ApiError;
use crate::input::{Side, amount, currency, id, metadata_change, new_metadata, side};
use crate::render;
use crate::request::{Answer, Scoped};
use domain::id::AttemptId;
use domain::site_transaction::SiteStatus;
use engine::TransactionFilter;
use serde_json::json;
use web::params::echo;

pub(crate) async fn list(request: Scoped) -> Result<Answer, ApiError> {
    let page = request.page()?;
    let mut reader = request.params.reader();
    let status = match reader.raw_text("status", 40)? {
        None | Some("") => None,
        Some(text) => Some(SiteStatus::read(text).ok_or_else(|| {
            let known: Vec<&str> = SiteStatus::ALL.iter().map(|s| s.as_str()).collect();
            let message =
                format!("status {} is not known; it must be one of {}.", echo(text), known.join(", "));
            ApiError::invalid("status_unknown", message).field("status")
        })?),
    };
    let filter = TransactionFilter {
        status,
        site: id(&mut reader, "siteId")?,
        client: id(&mut reader, "clientId")?,
        provider: id(&mut reader, "providerId")?,
        checkout: id(&mut reader, "checkoutId")?,
        external_reference: reader.text("externalReference", 200)?,
        currency: currency(&mut reader, "currency")?,
        from: side(&mut reader, "from", Side::Start)?,
        to: side(&mut reader, "to", Side::End)?,
    };
    let found = request.engine().site_transactions(request.scope, filter, page.query()).await?;
    let rows = found.data.iter().map(render::transaction).collect();
    Answer::ok(page.show("transactions", rows, found.total))
}

pub(crate) async fn get(request: Scoped) -> Result<Answer, ApiError> {
    let id: AttemptId = request.id(0, "transaction")?;
    let (view, timeline) = request.engine().site_transaction(request.scope, id).await?;
    Answer::ok(render::transaction_with_timeline(&view, &timeline))
}

pub(crate) async fn update(request: Scoped) -> Result<Answer, ApiError> {
    let id: AttemptId = request.id(0, "transaction")?;
    let patch = request.params.reader().metadata("metadata")?.unwrap_or_default();
    let call = request.call("transaction");
    Ok(request.engine().change_site_transaction(&call, id, metadata_change(patch)).await?.into())
}

/// All that is left without an `amount`.
pub(crate) async fn refund(request: Scoped) -> Result<Answer, ApiError> {
    let id: AttemptId = request.id(0, "transaction")?;
    let mut reader = request.params.reader();
    let amount = amount(&mut reader, "amount")?;
    let mut metadata = new_metadata(&mut reader)?;
    if let Some(reason) = reader.text("reason", 500)? {
        metadata.retain(|(key, _)| key != "reason");
        metadata.push(("reason".to_owned(), reason));
    }
    let call = request.call("transaction");
    Ok(request.engine().refund_site_transaction(&call, id, amount, metadata).await?.into())
}

pub(crate) async fn cancel(request: Scoped) -> Result<Answer, ApiError> {
    let id: AttemptId = request.id(0, "transaction")?;
    Ok(request.engine().cancel_site_transaction(&request.call("transaction"), id).await?.into())
}

pub(crate) async fn retry_notice(request: Scoped) -> Result<Answer, ApiError> {
    let id: AttemptId = request.id(0, "transaction")?;
    request.engine().resend_notice(request.scope, id.0).await?;
    Answer::ok(json!({ "id": id.0.hex(), "queued": true }))
}
