//! A22, A23: charges, the listed attempts of payments.

use crate::error::ApiError;
use crate::expand::{Object, Where};
use crate::render;
use crate::request::{Answer, Request, expand_paths, optional_reference, page_query};
use domain::id::{AttemptId, CustomerId, PaymentId};
use engine::view::ChargeView;

pub async fn list(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Charge, Where::List)?;
    let query = page_query::<AttemptId>(&mut r)?;
    let payment = optional_reference::<PaymentId>(&mut r, "payment_intent")?;
    let customer = optional_reference::<CustomerId>(&mut r, "customer")?;
    r.finish()?;
    let show = |_: &web::Urls, c: &ChargeView| render::charge(c);
    request.list(Object::Charge, expand, move |v| v.charges(payment, customer, &query), show).await
}

pub async fn retrieve(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<AttemptId>(0, "charge")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Charge, Where::Get)?;
    r.finish()?;
    let render = |_: &web::Urls, c: &ChargeView| render::charge(c);
    request.show(Object::Charge, expand, move |v| v.charge(id), render, "charge").await
}
