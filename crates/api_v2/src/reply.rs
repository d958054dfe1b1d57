//! The replies of this surface, rendered for whoever ends the work, and the bodies of its webhooks.

use crate::error::{self, ApiError};
use crate::expand::{self, Object};
use crate::render;
use engine::view::{EventView, Outcome, View};
use engine::{Error, RenderReply, Reply, ReplySpec, Views};
use std::sync::Arc;
use web::Urls;

/// How a reply differs from plain 200 with the whole object. Its text is stored with the idempotency
/// key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyKind {
    /// A new object: 201.
    pub created: bool,
    /// For a publishable key: the reduced object.
    pub public: bool,
    /// A decline is an expected result, not an error.
    pub calm: bool,
}

impl ReplyKind {
    pub fn text(self) -> String {
        let flags = [(self.created, "created"), (self.public, "public"), (self.calm, "calm")];
        flags.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect::<Vec<_>>().join(" ")
    }

    fn parse(text: &str) -> ReplyKind {
        let has = |name| text.split(' ').any(|word| word == name);
        ReplyKind { created: has("created"), public: has("public"), calm: has("calm") }
    }
}

fn root(view: &View) -> Object {
    match view {
        View::Payment(_) => Object::PaymentIntent,
        View::Refund(_) => Object::Refund,
        View::Payout(_) => Object::Payout,
        View::Customer(_) => Object::Customer,
        View::PaymentMethod(_) => Object::PaymentMethod,
        View::CustomerErased(_)
        | View::BankAccount(_)
        | View::BankAccountDeleted(_)
        | View::Endpoint(_)
        | View::EndpointDeleted(_)
        | View::Event(_)
        | View::Clock(_)
        | View::ClockDeleted(_)
        | View::SiteCheckout(_)
        | View::SiteTransaction(_)
        | View::Client(_) => Object::Plain,
    }
}

/// Renders what commands of this surface answer.
pub fn reply_renderer(urls: Arc<Urls>) -> Box<RenderReply> {
    Box::new(move |views, spec, outcome| {
        let kind = ReplyKind::parse(&spec.kind);
        match outcome {
            Outcome::Done(view) => done(views, &urls, spec, kind, view),
            Outcome::Declined(view) if kind.calm => {
                done(views, &urls, spec, kind, &View::Payment(view.clone()))
            }
            Outcome::Refused { payment, reason } => {
                let refused = error::provider_refused(payment, reason).public(kind.public);
                let body = refused.body(&urls, &spec.request);
                Ok(Reply { status: refused.status.as_u16(), body: body.to_string(), replayed: false })
            }
            Outcome::NotCanceled(payout) => {
                let refused = error::payout_not_canceled(payout);
                let body = refused.body(&urls, &spec.request);
                Ok(Reply { status: refused.status.as_u16(), body: body.to_string(), replayed: false })
            }
            Outcome::Declined(view) => {
                let declined = error::declined(view).public(kind.public);
                let body = declined.body(&urls, &spec.request);
                Ok(Reply { status: declined.status.as_u16(), body: body.to_string(), replayed: false })
            }
        }
    })
}

fn done(
    views: &mut Views<'_, '_>,
    urls: &Urls,
    spec: &ReplySpec,
    kind: ReplyKind,
    view: &View,
) -> Result<Reply, Error> {
    let mut value = match view {
        View::Payment(payment) if kind.public => render::payment_intent_public(urls, payment),
        View::PaymentMethod(method) if kind.public => render::payment_method_public(method),
        view => render::view(urls, view),
    };
    expand::apply(views, urls, root(view), &mut value, &spec.expand)?;
    Ok(Reply { status: if kind.created { 201 } else { 200 }, body: value.to_string(), replayed: false })
}

/// Renders the body of a webhook, the same bytes for every attempt.
pub fn event_body(urls: &Urls, event: &EventView) -> Vec<u8> {
    render::event(urls, event).to_string().into_bytes()
}

/// The error envelope of a refusal, with its request's id.
pub fn error_body(urls: &Urls, error: &ApiError, request: &str) -> String {
    error.body(urls, request).to_string()
}
