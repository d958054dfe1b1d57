//! Events and their deliveries, written in the commit of the change that they tell of.

use crate::Engine;
use crate::call::Call;
use crate::error::Error;
use crate::view::{SNAPSHOT_VERSION, Snapshot};
use domain::event::{Event, EventType};
use domain::id::{Core, SnapshotId};
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
    pub(crate) fn emit(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        cause: &Cause,
        at: Timestamp,
        snapshot: Snapshot,
        news: &[News],
    ) -> Result<(), Error> {
        if news.is_empty() {
            return Ok(());
        }
        let snapshot_id: SnapshotId = self.ids.next();
        let snapshot = Snapshot { v: SNAPSHOT_VERSION, ..snapshot };
        let body =
            serde_json::to_string(&snapshot).map_err(|e| Error::Internal(format!("a snapshot: {e}")))?;
        store::events::insert_snapshot(tx, snapshot_id, &body)?;
        let endpoints = store::webhooks::enabled(tx, scope)?;
        let now = self.now();
        for item in news {
            let event = Event {
                id: self.ids.next(),
                scope,
                event_type: item.event_type,
                object: item.object,
                snapshot: snapshot_id,
                request: cause.request.clone(),
                idempotency_key: cause.idempotency_key.clone(),
                created_at: at,
            };
            store::events::insert(tx, &event)?;
            for endpoint in endpoints.iter().filter(|e| e.wants(item.event_type.as_str())) {
                let delivery = Delivery {
                    id: self.ids.next(),
                    scope,
                    event: event.id,
                    endpoint: endpoint.id,
                    kind: DeliveryKind::V2,
                    status: DeliveryStatus::Pending,
                    attempts: 0,
                    resent_from: None,
                    due_at: now,
                    created_at: now,
                };
                store::webhooks::insert_delivery(tx, &delivery)?;
                tx.wake(Wake::Deliveries);
            }
        }
        Ok(())
    }
}
