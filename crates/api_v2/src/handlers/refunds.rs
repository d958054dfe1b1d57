//! B1–B4, B7, B8: refunds.

use super::shared;
use crate::error::ApiError;
use crate::expand::{Object, Where};
use crate::render;
use crate::reply::ReplyKind;
use crate::request::{Answer, Request, amount, expand_paths, optional_reference, page_query};
use domain::id::{AttemptId, PaymentId, RefundId};
use domain::refund::{Refund, RefundReason};
use engine::refunds::{CreateRefund, RefundTarget};

pub async fn create(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Refund, Where::Post)?;
    let payment = optional_reference::<PaymentId>(&mut r, "payment_intent")?;
    let charge = optional_reference::<AttemptId>(&mut r, "charge")?;
    let target = match (payment, charge) {
        (Some(payment), None) => RefundTarget::Payment(payment),
        (None, Some(charge)) => RefundTarget::Charge(charge),
        (Some(payment), Some(charge)) => RefundTarget::Both(payment, charge),
        (None, None) => {
            let message = "Pass payment_intent (or charge): the payment to refund.";
            return Err(ApiError::invalid("parameter_missing", message).param("payment_intent"));
        }
    };
    let reasons = &["duplicate", "fraudulent", "requested_by_customer"];
    let new = CreateRefund {
        target,
        amount: amount(&mut r, "amount")?,
        reason: r.one_of("reason", reasons)?.and_then(RefundReason::parse),
        metadata: shared::new_metadata(&mut r)?,
    };
    request.tolerate(&mut r, &["instructions_email"]);
    r.finish()?;
    let call = request.call(ReplyKind { created: true, ..ReplyKind::default() }, expand);
    Ok(request.engine().create_refund(&call, new).await?.into())
}

pub async fn retrieve(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<RefundId>(0, "refund")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Refund, Where::Get)?;
    r.finish()?;
    let render = |_: &web::Urls, x: &Refund| render::refund(x);
    request.show(Object::Refund, expand, move |v| v.refund(id), render, "refund").await
}

pub async fn update(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<RefundId>(0, "refund")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Refund, Where::Post)?;
    let metadata = shared::metadata(&mut r)?;
    r.finish()?;
    let call = request.call(ReplyKind::default(), expand);
    Ok(request.engine().update_refund(&call, id, metadata).await?.into())
}

pub async fn list(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let payment = optional_reference::<PaymentId>(&mut r, "payment_intent")?;
    let charge = optional_reference::<AttemptId>(&mut r, "charge")?;
    page(&request, r, payment, charge).await
}

pub async fn list_of_payment(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<PaymentId>(0, "payment_intent")?;
    let known = request.engine().view(request.scope(), move |v| Ok(v.payment(id)?.is_some())).await?;
    if !known {
        return Err(ApiError::not_found("payment_intent", &id.to_string()));
    }
    page(&request, request.params.reader(), Some(id), None).await
}

pub async fn list_of_charge(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<AttemptId>(0, "charge")?;
    let known = request.engine().view(request.scope(), move |v| Ok(v.charge(id)?.is_some())).await?;
    if !known {
        return Err(ApiError::not_found("charge", &id.to_string()));
    }
    page(&request, request.params.reader(), None, Some(id)).await
}

async fn page(
    request: &Request,
    mut r: web::params::Reader<'_>,
    payment: Option<PaymentId>,
    charge: Option<AttemptId>,
) -> Result<Answer, ApiError> {
    let expand = expand_paths(&mut r, Object::Refund, Where::List)?;
    let query = page_query::<RefundId>(&mut r)?;
    r.finish()?;
    let show = |_: &web::Urls, x: &Refund| render::refund(x);
    request.list(Object::Refund, expand, move |v| v.refunds(payment, charge, &query), show).await
}
