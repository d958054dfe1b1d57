//! C1–C5: customers.

use super::shared;
use crate::error::ApiError;
use crate::expand::{Object, Where};
use crate::render;
use crate::reply::ReplyKind;
use crate::request::{Answer, Request, expand_paths, optional_reference, page_query, reference};
use domain::customer::Customer;
use domain::id::{ClockId, CustomerId, PaymentMethodId};
use engine::customers::CustomerChanges;
use engine::view::KnownCustomer;
use web::params::Reader;

const WITHOUT_EFFECT: &[&str] =
    &["tax_exempt", "invoice_prefix", "next_invoice_sequence", "cash_balance", "tax"];

fn changes(request: &Request, r: &mut Reader<'_>) -> Result<CustomerChanges, ApiError> {
    let mut changes = CustomerChanges {
        email: shared::email(r, "email")?,
        name: shared::patched(r.patch_text("name", 256)?),
        phone: shared::patched(r.patch_text("phone", 40)?),
        description: shared::patched(r.patch_multiline("description", 1_000)?),
        address: shared::patch_address(r, "address")?,
        shipping: shared::patch_shipping(r, "shipping")?,
        preferred_locales: r.texts("preferred_locales", 10, 20)?,
        default_payment_method: None,
    };
    if let Some(mut invoice) = r.object("invoice_settings")? {
        let param = "invoice_settings[default_payment_method]";
        changes.default_payment_method =
            match shared::patched(invoice.patch_text("default_payment_method", 128)?) {
                None => None,
                Some(None) => Some(None),
                Some(Some(text)) => Some(Some(reference::<PaymentMethodId>(param, &text)?)),
            };
        invoice.finish()?;
    }
    request.tolerate(r, WITHOUT_EFFECT);
    Ok(changes)
}

pub async fn create(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Customer, Where::Post)?;
    let changes = changes(&request, &mut r)?;
    let clock = optional_reference::<ClockId>(&mut r, "test_clock")?;
    let metadata = shared::metadata(&mut r)?;
    r.finish()?;
    let call = request.call(ReplyKind { created: true, ..ReplyKind::default() }, expand);
    Ok(request.engine().create_customer(&call, changes, clock, metadata).await?.into())
}

pub async fn retrieve(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<CustomerId>(0, "customer")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Customer, Where::Get)?;
    r.finish()?;
    let render = |_: &web::Urls, c: &KnownCustomer| render::customer_or_erased(c);
    request.show(Object::Customer, expand, move |v| v.customer_or_erased(id), render, "customer").await
}

pub async fn update(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<CustomerId>(0, "customer")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Customer, Where::Post)?;
    let changes = changes(&request, &mut r)?;
    let metadata = shared::metadata(&mut r)?;
    r.finish()?;
    let call = request.call(ReplyKind::default(), expand);
    Ok(request.engine().update_customer(&call, id, changes, metadata).await?.into())
}

pub async fn erase(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<CustomerId>(0, "customer")?;
    request.params.reader().finish()?;
    let call = request.call(ReplyKind::default(), Vec::new());
    Ok(request.engine().erase_customer(&call, id).await?.into())
}

pub async fn list(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Customer, Where::List)?;
    let query = page_query::<CustomerId>(&mut r)?;
    let email = r.text("email", domain::text::MAX_EMAIL)?;
    let clock = optional_reference::<ClockId>(&mut r, "test_clock")?;
    r.finish()?;
    let show = |_: &web::Urls, c: &Customer| render::customer(c);
    request.list(Object::Customer, expand, move |v| v.customers(email.as_deref(), clock, &query), show).await
}
