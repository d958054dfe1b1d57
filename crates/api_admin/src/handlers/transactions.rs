use crate::error::ApiError;
use crate::input::{
    Side, amount, currency, email, id, instant, metadata_change, new_metadata, required, side,
};
use crate::render;
use crate::request::{Answer, Scoped};
use domain::currency::Currency;
use domain::id::AttemptId;
use domain::off_platform::OffPlatformKind;
use domain::site_transaction::SiteStatus;
use engine::TransactionFilter;
use engine::off_platform::{OffPlatformPayment, Order, Paid, PaidFor};
use serde_json::json;
use web::params::{Reader, codes, echo};

/// Characters of a reference.
const REFERENCE_MAX: usize = 200;
/// Characters of a reason or a description.
const WORDS_MAX: usize = 500;
/// States in which a payment that went past us may be recorded.
const RECEIVED: &str = SiteStatus::Succeeded.as_str();
const AWAITED: &str = SiteStatus::PendingProvider.as_str();
/// What a checkout says itself.
const OF_AN_ORDER: &[&str] =
    &["siteId", "email", "clientId", "description", "externalReference", "invoiceNumber", "metadata"];

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
        external_reference: reader.text("externalReference", REFERENCE_MAX)?,
        invoice_number: reader.text("invoiceNumber", REFERENCE_MAX)?,
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
    let currency = currency(&mut reader, "currency")?;
    let mut metadata = new_metadata(&mut reader)?;
    if let Some(reason) = reader.text("reason", WORDS_MAX)? {
        metadata.retain(|(key, _)| key != "reason");
        metadata.push(("reason".to_owned(), reason));
    }
    let call = request.call("transaction");
    let person = request.identity.person();
    Ok(request
        .engine()
        .refund_site_transaction(&call, id, (amount, currency), metadata, person)
        .await?
        .into())
}

pub(crate) async fn cancel(request: Scoped) -> Result<Answer, ApiError> {
    let id: AttemptId = request.id(0, "transaction")?;
    Ok(request.engine().cancel_site_transaction(&request.call("transaction"), id).await?.into())
}

/// A payment that went past us: of an open checkout, or of an order that had none.
pub(crate) async fn record_off_platform(request: Scoped) -> Result<Answer, ApiError> {
    let mut reader = request.params.reader();
    let amount = amount(&mut reader, "amount")?;
    let currency = currency(&mut reader, "currency")?;
    let paid_for = match id(&mut reader, "checkoutId")? {
        Some(id) => {
            if let Some(name) = OF_AN_ORDER.iter().find(|name| reader.was_sent(name)) {
                let message = format!("{name} is the checkout's own; leave it out beside checkoutId.");
                return Err(ApiError::invalid("field_conflict", message).field(name));
            }
            PaidFor::Checkout { id, amount, currency }
        }
        None => PaidFor::Order(Box::new(order(&mut reader, amount, currency)?)),
    };
    let kinds: Vec<&'static str> = OffPlatformKind::ALL.iter().map(|kind| kind.as_str()).collect();
    let kind = reader.one_of("method", &kinds)?.and_then(OffPlatformKind::parse);
    let received = reader.one_of("status", &[RECEIVED, AWAITED])? != Some(AWAITED);
    let paid_at = instant(&mut reader, "paidAt")?;
    if !received && paid_at.is_some() {
        let message = format!("paidAt says that the money came, and status {AWAITED} that it did not.");
        return Err(ApiError::invalid("field_conflict", message).field("paidAt"));
    }
    let new = OffPlatformPayment {
        paid_for,
        kind: kind.unwrap_or(OffPlatformKind::BankTransfer),
        reference: reader.text("reference", REFERENCE_MAX)?,
        received,
        paid_at,
    };
    Ok(request.engine().record_off_platform(&request.call("created"), new).await?.into())
}

fn order(
    reader: &mut Reader<'_>,
    amount: Option<i64>,
    currency: Option<Currency>,
) -> Result<Order, ApiError> {
    let site = id(reader, "siteId")?.ok_or_else(|| {
        let message = "siteId is missing: name the site that was paid, or the checkout by checkoutId.";
        ApiError::invalid(codes::MISSING, message).field("siteId")
    })?;
    let external_reference = reader.text("externalReference", REFERENCE_MAX)?;
    let invoice_number = reader.text("invoiceNumber", REFERENCE_MAX)?;
    if external_reference.is_none() && invoice_number.is_none() {
        let message = "externalReference is missing: name the order by it, or by invoiceNumber.";
        return Err(ApiError::invalid("reference_missing", message).field("externalReference"));
    }
    Ok(Order {
        site,
        amount: required(amount, "amount")?,
        currency: required(currency, "currency")?,
        email: email(reader, "email")?,
        client: id(reader, "clientId")?,
        description: reader.text("description", WORDS_MAX)?,
        external_reference,
        invoice_number,
        metadata: new_metadata(reader)?,
    })
}

pub(crate) async fn mark_paid(request: Scoped) -> Result<Answer, ApiError> {
    let id: AttemptId = request.id(0, "transaction")?;
    let mut reader = request.params.reader();
    let paid = Paid {
        amount: amount(&mut reader, "amount")?,
        reference: reader.text("reference", REFERENCE_MAX)?,
        at: instant(&mut reader, "paidAt")?,
    };
    Ok(request.engine().mark_paid(&request.call("transaction"), id, paid).await?.into())
}

pub(crate) async fn delete(request: Scoped) -> Result<Answer, ApiError> {
    let id: AttemptId = request.id(0, "transaction")?;
    request.engine().hide_site_transaction(request.scope, request.by(), id).await?;
    Answer::ok(json!({ "id": id.0.hex(), "deleted": true }))
}

pub(crate) async fn retry_notice(request: Scoped) -> Result<Answer, ApiError> {
    let id: AttemptId = request.id(0, "transaction")?;
    request.engine().resend_notice(request.scope, id.0).await?;
    Answer::ok(json!({ "id": id.0.hex(), "queued": true }))
}
