//! Deliveries of events: claimed, rendered once, sent by a worker, and settled here.

use crate::Engine;
use crate::call::{Call, Reply};
use crate::error::Error;
use crate::gate::ServiceToken;
use crate::view::{EventView, View};
use crate::views::event_view;
use crate::webhook_endpoints::secret_context;
use domain::gate_token::{PayloadDialect, SignVariant};
use domain::id::{AttemptId, DeliveryId, EventId, PaymentId, TypedId, WebhookEndpointId};
use domain::scope::Scope;
use domain::time::{HOUR, MICROS, MINUTE, Timestamp};
use domain::webhook::{
    DISABLE_AFTER_US, Delivery, DeliveryKind, DeliveryStatus, EndpointKind, EndpointStatus, WebhookEndpoint,
    next_attempt,
};
use store::webhooks::DeliveryAttempt;
use store::{Tx, Wake};

/// How long a claimed delivery is left to its claimer: more than an attempt can take.
const CLAIM_US: i64 = 60 * MICROS;

/// How long a callback without a token to sign it waits before it is looked at again.
const UNSIGNED_WAIT_US: i64 = 5 * MINUTE;
/// How long it waits in all: whoever revokes a leaked token and then makes the next one must lose nothing.
const UNSIGNED_US: i64 = 72 * HOUR;

/// Renders the body of an event's delivery, as the surface that its kind belongs to has it.
pub type RenderEvent = dyn Fn(&EventView, &BodyKind) -> Vec<u8> + Send + Sync;

/// Which body to render.
#[derive(Clone, Debug)]
pub enum BodyKind {
    /// REST v2: signed in the headers of each attempt.
    V2,
    /// Gate: signed within the body, with this secret.
    Gate { secret: String, variant: SignVariant, dialect: PayloadDialect },
    /// A notice to a shop, in the version that its site had: signed in the headers of each attempt.
    Ipn { version: i64, delivery: DeliveryId },
}

/// A delivery that a worker has claimed, ready to be signed and sent.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub delivery: Delivery,
    pub endpoint: WebhookEndpoint,
    /// Where to send it.
    pub url: String,
    pub event_type: String,
    /// The same bytes at every attempt.
    pub body: Vec<u8>,
    /// Secrets that sign at this moment, newest first.
    pub secrets: Vec<String>,
}

/// What an attempt came to.
#[derive(Clone, Debug)]
pub struct Attempted {
    pub started_at: Timestamp,
    pub duration_us: i64,
    /// What the claimed delivery said, to notice that it was sent again by hand meanwhile.
    pub resent_from: Option<i64>,
    /// Where it was sent.
    pub url: String,
    /// HTTP status, or the class of what went wrong.
    pub result: Result<u16, String>,
    pub response: Option<String>,
    /// What the receiver asked for, in microseconds.
    pub retry_after: Option<i64>,
}

impl Engine {
    /// Enabled endpoints with something due.
    pub async fn endpoints_with_due(&self, limit: i64) -> Result<Vec<WebhookEndpoint>, Error> {
        let now = self.now();
        self.store.read(move |tx| Ok::<_, Error>(store::webhooks::endpoints_with_due(tx, now, limit)?)).await
    }

    /// When the next delivery becomes due.
    pub async fn next_delivery_due(&self) -> Result<Option<Timestamp>, Error> {
        self.store.read(|tx| Ok::<_, Error>(store::webhooks::next_due(tx)?)).await
    }

    /// Claims up to `limit` due deliveries of an endpoint. A body that was not rendered yet is rendered
    /// and frozen here, in the same commit as the claim.
    pub async fn claim_deliveries(
        &self,
        endpoint: WebhookEndpointId,
        limit: i64,
        render: std::sync::Arc<RenderEvent>,
    ) -> Result<Vec<Claimed>, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let now = engine.now();
                let deliveries =
                    store::webhooks::claim_deliveries(tx, endpoint, now, now.plus(CLAIM_US), limit)?;
                let mut claimed = Vec::with_capacity(deliveries.len());
                for delivery in deliveries {
                    claimed.extend(engine.prepare_delivery(tx, delivery, &*render, now)?);
                }
                Ok::<_, Error>(claimed)
            })
            .await
    }

    fn prepare_delivery(
        &self,
        tx: &mut Tx<'_>,
        delivery: Delivery,
        render: &RenderEvent,
        now: Timestamp,
    ) -> Result<Option<Claimed>, Error> {
        let Some(endpoint) = store::webhooks::get(tx, delivery.scope, delivery.endpoint)? else {
            return Ok(None);
        };
        let Some(event) = store::events::get(tx, delivery.scope, delivery.event)? else { return Ok(None) };
        let event_type = event.event_type.to_string();
        if delivery.kind == DeliveryKind::Ipn
            && store::webhooks::newer_notice_delivered(tx, delivery.scope, event.object, event.id)?
        {
            // The shop knows what came after: told of the older status now, it would go back to it.
            let status = DeliveryStatus::Failed;
            store::webhooks::settle_delivery(tx, delivery.id, status, delivery.attempts, delivery.due_at)?;
            return Ok(None);
        }
        let body = match store::webhooks::body(tx, delivery.id)? {
            Some(body) => body,
            None => {
                let Some(kind) = self.body_kind(tx, &delivery, &endpoint)? else {
                    let late = delivery.created_at.plus(UNSIGNED_US) <= now;
                    let status = if late { DeliveryStatus::Failed } else { DeliveryStatus::Pending };
                    tracing::warn!(delivery = %delivery.id, %status, "a callback has no valid token to sign it");
                    let due = now.plus(UNSIGNED_WAIT_US);
                    store::webhooks::settle_delivery(tx, delivery.id, status, delivery.attempts, due)?;
                    return Ok(None);
                };
                let body = render(&event_view(tx, event)?, &kind);
                store::webhooks::set_body(tx, delivery.id, &body)?;
                body
            }
        };
        let secrets = match delivery.kind {
            DeliveryKind::V2 => self.signing_secrets(tx, &endpoint, now)?,
            DeliveryKind::Gate => Vec::new(),
            DeliveryKind::Ipn => match endpoint.storefront {
                Some(site) => vec![self.site_secret(tx, site)?],
                None => Vec::new(),
            },
        };
        let url = delivery.url.clone().unwrap_or_else(|| endpoint.url.clone());
        Ok(Some(Claimed { delivery, endpoint, url, event_type, body, secrets }))
    }

    /// `None` when there is no secret to sign with.
    fn body_kind(
        &self,
        tx: &mut Tx<'_>,
        delivery: &Delivery,
        endpoint: &WebhookEndpoint,
    ) -> Result<Option<BodyKind>, Error> {
        let storefront = match (delivery.kind, endpoint.storefront) {
            (DeliveryKind::V2, _) => return Ok(Some(BodyKind::V2)),
            (DeliveryKind::Ipn, _) => {
                let version = self.notice_version(tx, delivery)?;
                return Ok(Some(BodyKind::Ipn { version, delivery: delivery.id }));
            }
            (DeliveryKind::Gate, Some(storefront)) => storefront,
            (DeliveryKind::Gate, None) => return Ok(None),
        };
        let mut tokens = self.open_tokens(tx, storefront)?;
        let named = delivery.token.and_then(|id| tokens.iter().position(|t| t.token.id == id));
        // One that was revoked since must not sign: the service's first one does.
        let at = named.unwrap_or(0);
        if at >= tokens.len() {
            return Ok(None);
        }
        let ServiceToken { token, secret } = tokens.swap_remove(at);
        Ok(Some(BodyKind::Gate { secret, variant: token.variant, dialect: token.dialect }))
    }

    /// The version of a checkout's notices.
    fn notice_version(&self, tx: &mut Tx<'_>, delivery: &Delivery) -> Result<i64, Error> {
        let Some(event) = store::events::get(tx, delivery.scope, delivery.event)? else { return Ok(1) };
        let payment = match store::attempts::get(tx, delivery.scope, AttemptId::from_core(event.object))? {
            Some(attempt) => attempt.payment,
            None => PaymentId::from_core(event.object),
        };
        let facts = store::site_checkouts::of_payment(tx, delivery.scope, payment)?;
        Ok(facts.map_or(1, |facts| facts.ipn_version))
    }

    /// Secrets of a REST v2 endpoint that sign at `now`, newest first.
    fn signing_secrets(
        &self,
        tx: &mut Tx<'_>,
        endpoint: &WebhookEndpoint,
        now: Timestamp,
    ) -> Result<Vec<String>, Error> {
        let Some(sealed) = store::webhooks::secrets(tx, endpoint.id)? else { return Ok(Vec::new()) };
        let context = secret_context(endpoint.id);
        let open = |sealed: &[u8]| -> Result<String, Error> {
            String::from_utf8(self.vault.open(&context, sealed)?)
                .map_err(|_| Error::Internal("a webhook secret is not text".to_owned()))
        };
        let mut secrets = vec![open(&sealed.current)?];
        if let Some((old, until)) = sealed.old
            && until > now
        {
            secrets.push(open(&old)?);
        }
        Ok(secrets)
    }

    /// Records an attempt and decides what comes next: done, later, given up, or the endpoint disabled.
    pub async fn settle_delivery(
        &self,
        id: DeliveryId,
        attempted: Attempted,
        jitter: u16,
    ) -> Result<(), Error> {
        let engine = self.clone();
        self.store.write(move |tx| engine.settle_in(tx, id, &attempted, jitter)).await
    }

    fn settle_in(
        &self,
        tx: &mut Tx<'_>,
        id: DeliveryId,
        attempted: &Attempted,
        jitter: u16,
    ) -> Result<(), Error> {
        let Some(delivery) = store::webhooks::get_delivery(tx, id)? else { return Ok(()) };
        let made = delivery.attempts + 1;
        // Whoever erased the event while it was on its way took the body: then what it said must not come back.
        let erased = !store::webhooks::has_body(tx, id)?;
        let row = DeliveryAttempt {
            n: made,
            cause: if attempted.resent_from == Some(delivery.attempts) { "manual" } else { "automatic" }
                .to_owned(),
            url: if erased { bare(&attempted.url) } else { attempted.url.clone() },
            started_at: attempted.started_at,
            duration_us: attempted.duration_us,
            status: attempted.result.as_ref().ok().map(|s| i64::from(*s)),
            error: attempted.result.as_ref().err().cloned(),
            response: attempted.response.clone().filter(|_| !erased),
        };
        store::webhooks::insert_attempt(tx, id, &row)?;
        let now = self.now();
        let ok = matches!(attempted.result, Ok(status) if delivery.kind.takes(status));
        let overloaded = matches!(&attempted.result, Ok(429))
            || attempted.result.as_ref().err().is_some_and(|e| e == "timeout");
        let retry_after =
            matches!(attempted.result, Ok(429 | 503)).then_some(attempted.retry_after).flatten();
        let next = if ok {
            None
        } else {
            let made = made - delivery.resent_from.unwrap_or(0);
            next_attempt(delivery.kind.delays(), made, now, jitter, overloaded, retry_after)
        };
        let (status, due) = match (ok, next) {
            // Somebody asked for it once more while this attempt was under way: that one follows.
            _ if delivery.resent_from != attempted.resent_from => (DeliveryStatus::Pending, now),
            (true, _) => (DeliveryStatus::Succeeded, delivery.due_at),
            (false, Some(at)) => (DeliveryStatus::Pending, at),
            (false, None) => (DeliveryStatus::Failed, delivery.due_at),
        };
        store::webhooks::settle_delivery(tx, id, status, made, due)?;
        if delivery.resent_from != attempted.resent_from {
            store::webhooks::requeue(tx, id, now)?;
        }
        self.judge_endpoint(tx, &delivery, &attempted.result, now)?;
        tx.wake(Wake::Deliveries);
        Ok(())
    }

    /// Success forgives; 410 and three days of nothing but failure disable.
    fn judge_endpoint(
        &self,
        tx: &mut Tx<'_>,
        delivery: &Delivery,
        result: &Result<u16, String>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some(endpoint) = store::webhooks::get(tx, delivery.scope, delivery.endpoint)? else {
            return Ok(());
        };
        let ok = matches!(result, Ok(status) if delivery.kind.takes(*status));
        if ok && endpoint.failing_since.is_none() {
            return Ok(());
        }
        let Some(mut endpoint) = store::webhooks::lock(tx, delivery.scope, endpoint.id)? else {
            return Ok(());
        };
        if ok {
            endpoint.failing_since = None;
        } else {
            let since = *endpoint.failing_since.get_or_insert(now);
            let reason = match result {
                Ok(410) => Some("the receiver answered 410 Gone"),
                _ if now.0 - since.0 >= DISABLE_AFTER_US => Some("every delivery failed for 72 hours"),
                _ => None,
            };
            let may_disable =
                endpoint.status == EndpointStatus::Enabled && endpoint.kind != EndpointKind::Direct;
            if let Some(reason) = reason.filter(|_| may_disable) {
                endpoint.status = EndpointStatus::Disabled;
                endpoint.disabled_reason = Some(reason.to_owned());
                tracing::warn!(endpoint = %endpoint.id, reason, "a webhook endpoint was disabled");
            }
        }
        Ok(store::webhooks::update(tx, &endpoint)?)
    }

    /// Sends an event once more: to one endpoint, or to every endpoint that wants it. The delivery goes
    /// out at once under the same event id, however its earlier attempts ended.
    pub async fn resend_event(
        &self,
        call: &Call,
        id: EventId,
        endpoint: Option<WebhookEndpointId>,
    ) -> Result<Reply, Error> {
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            let event = store::events::get(tx, scope, id)?.filter(|e| !e.event_type.of_other_surface());
            let event = event.ok_or_else(|| Error::not_found("event", id))?;
            let endpoints =
                match endpoint {
                    Some(endpoint) => {
                        let found = store::webhooks::get(tx, scope, endpoint)?;
                        vec![found.filter(|e| e.kind == EndpointKind::V2).ok_or_else(|| {
                            Error::missing("webhook_endpoint", "webhook endpoint", endpoint)
                        })?]
                    }
                    None => store::webhooks::enabled(tx, scope)?
                        .into_iter()
                        .filter(|e| e.wants(event.event_type.as_str()))
                        .collect(),
                };
            for endpoint in endpoints {
                if endpoint.status == EndpointStatus::Disabled {
                    return Err(Error::WebhookEndpointDisabled(Box::new(endpoint)));
                }
                engine.queue_again(tx, scope, id, &endpoint)?;
            }
            tx.wake(Wake::Deliveries);
            Ok(View::Event(Box::new(event_view(tx, event)?)))
        })
        .await
    }

    fn queue_again(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        event: EventId,
        endpoint: &WebhookEndpoint,
    ) -> Result<(), Error> {
        let now = self.now();
        if let Some(known) = store::webhooks::find_delivery(tx, event, endpoint.id)? {
            return Ok(store::webhooks::requeue(tx, known.id, now)?);
        }
        let delivery = self.delivery(scope, event, endpoint.id, DeliveryKind::V2);
        Ok(store::webhooks::insert_delivery(tx, &delivery)?)
    }
}

/// An address without its query.
fn bare(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}
