//! G1–G5: payouts to the merchant's bank account.

use super::shared;
use crate::error::ApiError;
use crate::expand::{Object, Where};
use crate::render;
use crate::reply::ReplyKind;
use crate::request::{Answer, Request, amount, expand_paths, optional_reference, page_query, required};
use domain::id::{BankAccountId, ClockId, PayoutId};
use domain::payout::{Payout, PayoutStatus};
use engine::payouts::MerchantPayout;

/// `method` and `source_type` are read, since clients send them; there is one of each.
pub async fn create(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Payout, Where::Post)?;
    let (amount, currency) = (amount(&mut r, "amount")?, shared::currency(&mut r)?);
    let new = MerchantPayout {
        amount: required(amount, &r, "amount")?,
        currency: required(currency, &r, "currency")?,
        bank_account: optional_reference::<BankAccountId>(&mut r, "destination")?,
        description: r.multiline("description", 1_000)?,
        metadata: shared::new_metadata(&mut r)?,
        clock: optional_reference::<ClockId>(&mut r, "test_clock")?,
    };
    r.one_of("method", &["standard"])?;
    r.one_of("source_type", &["card"])?;
    r.finish()?;
    let call = request.call(ReplyKind { created: true, ..ReplyKind::default() }, expand);
    Ok(request.engine().pay_merchant(&call, new).await?.into())
}

pub async fn update(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<PayoutId>(0, "payout")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Payout, Where::Post)?;
    let metadata = shared::metadata(&mut r)?;
    r.finish()?;
    let call = request.call(ReplyKind::default(), expand);
    Ok(request.engine().update_payout(&call, id, metadata).await?.into())
}

pub async fn retrieve(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<PayoutId>(0, "payout")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Payout, Where::Get)?;
    r.finish()?;
    let render = |_: &web::Urls, x: &Payout| render::payout(x);
    request.show(Object::Payout, expand, move |v| v.payout(id), render, "payout").await
}

pub async fn list(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Payout, Where::List)?;
    let query = page_query::<PayoutId>(&mut r)?;
    let statuses: Vec<&'static str> = PayoutStatus::ALL.iter().map(|s| s.as_str()).collect();
    let status = r.one_of("status", &statuses)?.and_then(PayoutStatus::parse);
    r.finish()?;
    let show = |_: &web::Urls, x: &Payout| render::payout(x);
    request.list(Object::Payout, expand, move |v| v.payouts(status, &query), show).await
}

pub async fn cancel(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<PayoutId>(0, "payout")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Payout, Where::Post)?;
    r.finish()?;
    let call = request.call(ReplyKind::default(), expand);
    Ok(request.engine().cancel_payout(&call, id).await?.into())
}
