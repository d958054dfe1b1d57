//! The replies of this surface, rendered for whoever ends the work.

use crate::error::ApiError;
use crate::render;
use engine::view::{Outcome, View};
use engine::{Error, RenderReply, Reply, ReplySpec, Views};
use serde_json::Value;
use std::sync::Arc;
use web::Urls;

/// Renders what commands of this surface answer.
pub fn reply_renderer(urls: Arc<Urls>) -> Box<RenderReply> {
    Box::new(move |views, spec, outcome| match outcome {
        Outcome::Done(view) => done(views, &urls, spec, view),
        Outcome::Refused { reason, .. } => {
            let message = format!("The provider refused this: {reason}.");
            Ok(refused(&ApiError::conflict("provider_refused", message), spec))
        }
        Outcome::NotCanceled(_) | Outcome::Declined(_) => {
            Err(Error::Internal("no command of the Admin API ends like this".to_owned()))
        }
    })
}

fn refused(error: &ApiError, spec: &ReplySpec) -> Reply {
    Reply { status: error.status.as_u16(), body: error.body(&spec.request).to_string(), replayed: false }
}

fn done(views: &mut Views<'_, '_>, urls: &Urls, spec: &ReplySpec, view: &View) -> Result<Reply, Error> {
    let value: Value = match view {
        View::SiteCheckout(checkout) => render::checkout(urls, checkout),
        View::SiteTransaction(transaction) => render::transaction(transaction),
        View::Client(client) => render::client(client),
        // A refund, and a cancellation, are shown as the transaction that they changed.
        View::Refund(refund) => render::transaction(&views.site_transaction(refund.attempt)?),
        View::Payment(payment) => {
            let latest = payment.payment.latest_attempt;
            let latest =
                latest.ok_or_else(|| Error::Internal("a canceled transaction is missing".to_owned()))?;
            render::transaction(&views.site_transaction(latest)?)
        }
        View::Payout(_)
        | View::Customer(_)
        | View::PaymentMethod(_)
        | View::Endpoint(_)
        | View::CustomerErased(_)
        | View::BankAccount(_)
        | View::BankAccountDeleted(_)
        | View::EndpointDeleted(_)
        | View::Event(_)
        | View::Clock(_)
        | View::ClockDeleted(_) => {
            return Err(Error::Internal("no command of the Admin API shows this".to_owned()));
        }
    };
    let status = if spec.kind == "created" { 201 } else { 200 };
    Ok(Reply { status, body: value.to_string(), replayed: false })
}
