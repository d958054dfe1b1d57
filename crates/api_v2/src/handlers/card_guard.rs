//! What payers do with cards, under the bounds of [`web::card_testing`]. Secret keys pass.

use crate::error::{self, ApiError};
use crate::request::Request;
use domain::card::CardNumber;
use domain::id::PaymentId;
use domain::payment::PaymentStatus;
use domain::payment_method::{MethodFacts, PaymentMethod};
use engine::payments::Confirm;
use engine::{Call, Error, MethodChoice, Reply, Tokenised};
use web::card_testing::{Card, Held, declined};

/// A typed card, before it is turned into a method.
pub fn admit_method(request: &Request, number: &CardNumber) -> Result<(), ApiError> {
    if !request.is_publishable() {
        return Ok(());
    }
    let guard = &request.app.card_testing;
    let admitted = guard.admit_method(request.ip, number.expose(), request.scope(), request.engine().now());
    admitted.map_err(|Held| error::held())
}

/// What came of it. A refusal counts as a declined try; a method that was made says nothing yet.
pub async fn note_method(request: &Request, number: &CardNumber, made: &Result<Tokenised, Error>) {
    if !request.is_publishable() {
        return;
    }
    match made {
        Ok(Tokenised { facts: MethodFacts::Card(card), .. }) => {
            let guard = &request.app.card_testing;
            guard.remember(number.expose(), &card.fingerprint, request.scope(), request.engine().now());
        }
        Err(Error::Card { .. }) => request.app.note_try(request.scope(), true).await,
        Ok(_) | Err(_) => {}
    }
}

/// Confirms a payment. For a publishable key it is a try, unless it repeats what was answered before.
pub async fn confirm(request: &Request, call: Call, cmd: Confirm) -> Result<Reply, ApiError> {
    let engine = request.engine().clone();
    if !request.is_publishable() {
        return Ok(engine.confirm_payment(&call, cmd).await?);
    }
    if call.idempotency.is_some()
        && let Some(reply) = engine.replay(&call).await?
    {
        return Ok(reply);
    }
    let Some(card) = fingerprint(request, &cmd).await? else {
        return Ok(engine.confirm_payment(&call, cmd).await?);
    };
    let (guard, scope) = (&request.app.card_testing, request.scope());
    let admitted = guard.admit(request.ip, Some(Card::Fingerprint(&card)), scope, engine.now());
    admitted.map_err(|Held| error::held())?;
    let work = async move {
        let reply = engine.confirm_payment(&call, cmd).await;
        let declined = reply.as_ref().ok().and_then(known);
        (reply, declined)
    };
    Ok(request.app.run_try(scope, work).await??)
}

/// A confirm whose card was refused before it was tried, with the payment as declines have it.
pub async fn with_payment(request: &Request, id: PaymentId, refused: ApiError) -> ApiError {
    if !request.is_publishable() || !refused.declined {
        return refused;
    }
    match request.engine().view(request.scope(), move |views| views.payment(id)).await {
        Ok(Some(view)) => refused.payment(Box::new(view)),
        Ok(None) | Err(_) => refused,
    }
}

/// The fingerprint of the card that a confirm would use; `None` if it is no card, or missing.
async fn fingerprint(request: &Request, cmd: &Confirm) -> Result<Option<String>, ApiError> {
    let named = match &cmd.method {
        MethodChoice::New(method) => return Ok(of_card(method)),
        MethodChoice::Saved(id) => Some(*id),
        MethodChoice::Keep => None,
    };
    let payment = cmd.payment;
    let find = move |views: &mut engine::Views<'_, '_>| {
        let id = match named {
            Some(id) => Some(id),
            None => views.payment(payment)?.and_then(|view| view.payment.payment_method),
        };
        id.map_or(Ok(None), |id| views.payment_method(id))
    };
    let method = request.engine().view(request.scope(), find).await?;
    Ok(method.as_ref().and_then(of_card))
}

fn of_card(method: &PaymentMethod) -> Option<String> {
    match &method.facts {
        MethodFacts::Card(card) => Some(card.fingerprint.clone()),
        MethodFacts::SepaDebit(_) | MethodFacts::Paypal(_) | MethodFacts::OffPlatform(_) => None,
    }
}

/// Whether a confirm was declined, by its reply.
fn known(reply: &Reply) -> Option<bool> {
    match (reply.replayed, reply.status) {
        (true, _) => None,
        (false, 402) => Some(true),
        (false, _) => {
            let body: serde_json::Value = serde_json::from_str(&reply.body).ok()?;
            declined(PaymentStatus::parse(body["status"].as_str()?)?)
        }
    }
}
