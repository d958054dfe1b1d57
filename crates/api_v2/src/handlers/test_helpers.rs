//! L1–L5, L7: what only test mode has.

use crate::error::ApiError;
use crate::expand::{Object, Where};
use crate::render;
use crate::reply::ReplyKind;
use crate::request::{Answer, Request, expand_paths, page_query, required};
use domain::id::{ClockId, PaymentId};
use domain::test_clock::TestClock;
use domain::time::Timestamp;
use engine::ChallengeAnswer;

fn clock(_: &web::Urls, c: &TestClock) -> serde_json::Value {
    render::clock(c)
}

pub async fn create_clock(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::Post)?;
    let frozen = r.timestamp("frozen_time")?;
    let frozen = required(frozen, &r, "frozen_time")?;
    let name = r.text("name", 300)?;
    r.finish()?;
    let call = request.call(ReplyKind { created: true, ..ReplyKind::default() }, expand);
    Ok(request.engine().create_clock(&call, Timestamp::from_secs(frozen), name).await?.into())
}

pub async fn retrieve_clock(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<ClockId>(0, "test_clock")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::Get)?;
    r.finish()?;
    request.show(Object::Plain, expand, move |v| v.clock(id), clock, "test_clock").await
}

pub async fn list_clocks(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::List)?;
    let query = page_query::<ClockId>(&mut r)?;
    r.finish()?;
    request.list(Object::Plain, expand, move |v| v.clocks(&query), clock).await
}

pub async fn advance_clock(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<ClockId>(0, "test_clock")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::Plain, Where::Post)?;
    let target = r.timestamp("frozen_time")?;
    let target = required(target, &r, "frozen_time")?;
    r.finish()?;
    let call = request.call(ReplyKind::default(), expand);
    Ok(request.engine().advance_clock(&call, id, Timestamp::from_secs(target)).await?.into())
}

pub async fn delete_clock(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<ClockId>(0, "test_clock")?;
    request.params.reader().finish()?;
    let call = request.call(ReplyKind::default(), Vec::new());
    Ok(request.engine().delete_clock(&call, id).await?.into())
}

/// Finishes a simulated challenge without a browser. A failed one is an expected result: the answer
/// is the payment, not an error.
pub async fn authenticate(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<PaymentId>(0, "payment_intent")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::PaymentIntent, Where::Post)?;
    let outcome = r.one_of("outcome", &["success", "fail", "abandon"])?.unwrap_or("success");
    r.finish()?;
    let answer = match outcome {
        "fail" => ChallengeAnswer::Failed,
        "abandon" => ChallengeAnswer::Abandoned,
        _ => ChallengeAnswer::Passed,
    };
    let call = request.call(ReplyKind { calm: true, ..ReplyKind::default() }, expand);
    Ok(request.engine().authenticate_payment(&call, id, answer).await?.into())
}
