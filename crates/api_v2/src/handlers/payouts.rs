//! G2–G4: payouts to the merchant's bank account.

use crate::error::ApiError;
use crate::expand::{Object, Where};
use crate::render;
use crate::reply::ReplyKind;
use crate::request::{Answer, Request, expand_paths, page_query};
use domain::id::PayoutId;
use domain::payout::{Payout, PayoutStatus};

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
