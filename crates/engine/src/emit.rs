//! Events and their deliveries, written in the commit of the change that they tell of.

use crate::Engine;
use crate::call::Call;
use crate::error::Error;
use crate::gate::{Callbacks, Target, Telling};
use crate::view::{SNAPSHOT_VERSION, Snapshot};
use domain::event::{Event, EventType};
use domain::id::{Core, EventId, SnapshotId, WebhookEndpointId};
use domain::scope::Scope;
use domain::time::Timestamp;
use domain::webhook::{Delivery, DeliveryKind, DeliveryStatus};
use store::{Tx, Wake};

/// What caused events: a request, or the gateway itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cause {
    pub request: Option<String>,
    pub idempotency_key: Option<String>,
}

impl Cause {
    /// A request without an idempotency key.
    pub fn request(id: &str) -> Cause {
        Cause { request: Some(id.to_owned()), idempotency_key: None }
    }
}

impl From<&Call> for Cause {
    fn from(call: &Call) -> Self {
        Cause {
            request: Some(call.request.clone()),
            idempotency_key: call.idempotency.as_ref().map(|i| i.key.clone()),
        }
    }
}

/// One event to write: its type and the object it is about.
pub(crate) struct News {
    pub event_type: EventType,
    pub object: Core,
}

impl News {
    pub fn new(event_type: EventType, object: Core) -> News {
        News { event_type, object }
    }
}

impl Engine {
    /// Writes `news` about `snapshot`, and a delivery of each to every endpoint that wants it. `at` is
    /// the object's own time; deliveries are due by the wall clock.
    ///
    /// What belongs to a payment with a page, or to a payout, follows it here, in the same commit, whichever surface and
    /// whatever command changed it.
    pub(crate) fn emit(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        cause: &Cause,
        at: Timestamp,
        snapshot: Snapshot,
        news: &[News],
    ) -> Result<(), Error> {
        let paged = snapshot.payment.as_ref().map(|view| &view.payment).filter(|p| p.checkout);
        let callbacks = match (paged, &snapshot.payout) {
            (Some(payment), _) => self.follow_payment(tx, payment, at)?,
            (None, Some(payout)) => self.follow_payout(tx, payout, at)?,
            (None, None) => None,
        };
        self.emit_with(tx, scope, cause, at, snapshot, news, callbacks)
    }

    /// The same, with what Gate services or shops are told beside it.
    pub(crate) fn emit_with(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        cause: &Cause,
        at: Timestamp,
        mut snapshot: Snapshot,
        news: &[News],
        callbacks: Option<Callbacks>,
    ) -> Result<(), Error> {
        if news.is_empty() && callbacks.is_none() {
            return Ok(());
        }
        let snapshot_id: SnapshotId = self.ids.next();
        snapshot.v = SNAPSHOT_VERSION;
        let (tellings, targets) = match callbacks {
            Some(Callbacks { telling, news, targets }) => {
                match telling {
                    Telling::Gate(view) => snapshot.gate = Some(*view),
                    Telling::Site(notices) => snapshot.site = notices,
                }
                (news, targets)
            }
            None => (Vec::new(), Vec::new()),
        };
        let kind = if snapshot.gate.is_some() { DeliveryKind::Gate } else { DeliveryKind::Ipn };
        let body =
            serde_json::to_string(&snapshot).map_err(|e| Error::Internal(format!("a snapshot: {e}")))?;
        store::events::insert_snapshot(tx, snapshot_id, &body)?;
        let endpoints = if news.is_empty() { Vec::new() } else { store::webhooks::enabled(tx, scope)? };
        for item in news {
            let event = self.write_event(tx, scope, cause, at, snapshot_id, item)?;
            for endpoint in endpoints.iter().filter(|e| e.wants(item.event_type.as_str())) {
                let delivery = self.delivery(scope, event, endpoint.id, DeliveryKind::V2);
                store::webhooks::insert_delivery(tx, &delivery)?;
                tx.wake(Wake::Deliveries);
            }
        }
        for item in &tellings {
            let event = self.write_event(tx, scope, cause, at, snapshot_id, item)?;
            for Target { endpoint, url, token } in &targets {
                let delivery = Delivery {
                    url: url.clone(),
                    token: *token,
                    ..self.delivery(scope, event, *endpoint, kind)
                };
                store::webhooks::insert_delivery(tx, &delivery)?;
                tx.wake(Wake::Deliveries);
            }
        }
        Ok(())
    }

    fn write_event(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        cause: &Cause,
        at: Timestamp,
        snapshot: SnapshotId,
        news: &News,
    ) -> Result<EventId, Error> {
        let event = Event {
            id: self.ids.next(),
            scope,
            event_type: news.event_type,
            object: news.object,
            snapshot,
            request: cause.request.clone(),
            idempotency_key: cause.idempotency_key.clone(),
            created_at: at,
        };
        store::events::insert(tx, &event)?;
        Ok(event.id)
    }

    /// A delivery to an endpoint's own address, due now.
    pub(crate) fn delivery(
        &self,
        scope: Scope,
        event: EventId,
        endpoint: WebhookEndpointId,
        kind: DeliveryKind,
    ) -> Delivery {
        let now = self.now();
        Delivery {
            id: self.ids.next(),
            scope,
            event,
            endpoint,
            url: None,
            token: None,
            kind,
            status: DeliveryStatus::Pending,
            attempts: 0,
            resent_from: None,
            due_at: now,
            created_at: now,
        }
    }
}
