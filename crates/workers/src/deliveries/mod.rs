//! Webhook deliveries: claimed in small batches, fairly between endpoints, and sent at once.
//!
//! Nothing claimed waits in memory: a delivery is claimed only when there is a slot to send it, so what
//! a crash leaves behind is what was on its way, and its claim expires within a minute.

mod attempt;
mod lane;

use crate::WorkerOptions;
use crate::pace::{Stop, backoff};
use domain::id::WebhookEndpointId;
use domain::webhook::WebhookEndpoint;
use engine::events::{Claimed, RenderEvent};
use engine::{Engine, Error};
use lane::{Lane, Limits, Wish, allot};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use store::Wake;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

/// Endpoints looked at in one pass.
const ENDPOINTS: usize = 10_000;
/// Other nodes' commits ring no bell here.
const POLL: Duration = Duration::from_secs(1);
/// Passes are at least this far apart, so that slots that come free together are filled together.
const GAP: Duration = Duration::from_millis(5);
/// A pass may take this part of the time at most, whatever the number of endpoints.
const IDLE_PARTS: u32 = 4;
/// A claim that took longer than this to come back is left to expire: what remains of its minute might
/// not do for the attempt, and another node would send the delivery a second time.
const STALE_CLAIM: Duration = Duration::from_secs(15);
/// How long an endpoint's record is kept after its last use.
const LANE_KEPT: Duration = Duration::from_secs(600);

/// What it takes to send a delivery.
#[derive(Clone)]
pub(crate) struct Courier {
    pub engine: Engine,
    pub client: outbound::Client,
    pub render: Arc<RenderEvent>,
    pub options: WorkerOptions,
}

/// Sends what is due until the stop, then finishes what is under way.
pub(crate) async fn run(courier: Courier, stop: Stop) {
    let mut dispatch = Dispatch::new(courier);
    let mut failures = 0u32;
    while !stop.is_set() {
        let begun = Instant::now();
        match dispatch.pass().await {
            Ok(()) => {
                failures = 0;
                let gap = (begun.elapsed() * IDLE_PARTS).clamp(GAP, POLL);
                dispatch.wait(&stop, Instant::now() + gap).await;
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!(failures, ?error, "due webhook deliveries could not be read");
                dispatch.wait(&stop, Instant::now() + backoff(failures)).await;
            }
        }
    }
    while let Some(ended) = dispatch.tasks.join_next_with_id().await {
        dispatch.absorb(ended);
    }
}

/// What a task came to.
enum Ended {
    /// A claim with how long it took, for an endpoint.
    Claim(Result<Vec<Claimed>, Error>, Duration),
    Attempt(attempt::Impression),
}

/// Who holds how many slots.
struct Owner {
    endpoint: WebhookEndpointId,
    slots: usize,
}

struct Dispatch {
    courier: Courier,
    limits: Limits,
    lanes: HashMap<WebhookEndpointId, Lane>,
    tasks: JoinSet<Ended>,
    /// By task, so that a task that panicked gives its slots back like any other.
    owners: HashMap<Id, Owner>,
    /// The endpoint that was served last; the next pass begins behind it.
    last: Option<WebhookEndpointId>,
    /// When to look even if nothing happens.
    look_at: Instant,
}

impl Dispatch {
    fn new(courier: Courier) -> Dispatch {
        let limits = Limits::from(&courier.options);
        Dispatch {
            courier,
            limits,
            lanes: HashMap::new(),
            tasks: JoinSet::new(),
            owners: HashMap::new(),
            last: None,
            look_at: Instant::now(),
        }
    }

    /// Claims what is due, as far as there are slots.
    async fn pass(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if now >= self.look_at {
            // The query behind this reads every waiting delivery, so it is not asked in every pass.
            let due = self.courier.engine.next_delivery_due().await?;
            let wait = due.map_or(0, |at| at.0 - self.courier.engine.now().0);
            let wait = u64::try_from(wait).map_or(Duration::ZERO, Duration::from_micros);
            self.look_at = now + if wait.is_zero() { POLL } else { wait.min(POLL) };
            self.lanes.retain(|_, lane| !lane.forgettable(now, LANE_KEPT));
        }
        // Busy endpoints are asked for on top, so that they cannot crowd the others out of the answer.
        let limit = i64::try_from(ENDPOINTS + self.lanes.len()).unwrap_or(i64::MAX);
        let mut due = self.courier.engine.endpoints_with_due(limit).await?;
        due.sort_unstable_by_key(|endpoint| endpoint.id);
        let first = self.last.map_or(0, |last| due.partition_point(|endpoint| endpoint.id <= last));
        due.rotate_left(first);
        let wishes: Vec<Wish> = due.iter().map(|endpoint| self.lane(endpoint, now).wish(now)).collect();
        let held: usize = self.lanes.values().map(|lane| lane.in_flight).sum();
        let extra: usize = self.lanes.values().map(Lane::extra).sum();
        let shares = allot(&wishes, &self.limits, held, extra);
        for (endpoint, share) in due.into_iter().zip(shares).filter(|(_, share)| *share > 0) {
            self.last = Some(endpoint.id);
            self.claim(endpoint.id, share);
        }
        Ok(())
    }

    fn lane(&mut self, endpoint: &WebhookEndpoint, now: Instant) -> &mut Lane {
        let failing = endpoint.failing_since.is_some();
        self.lanes.entry(endpoint.id).or_insert_with(|| Lane::new(failing, &self.limits, now))
    }

    fn claim(&mut self, endpoint: WebhookEndpointId, slots: usize) {
        let courier = self.courier.clone();
        let limit = i64::try_from(slots).unwrap_or(i64::MAX);
        let task = async move {
            let asked = Instant::now();
            let claimed = courier.engine.claim_deliveries(endpoint, limit, courier.render).await;
            Ended::Claim(claimed, asked.elapsed())
        };
        let id = self.tasks.spawn(task).id();
        self.take(id, endpoint, slots);
    }

    fn take(&mut self, task: Id, endpoint: WebhookEndpointId, slots: usize) {
        // There is one: it was made when the endpoint was found, and is kept while slots are held.
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.in_flight += slots;
        }
        self.owners.insert(task, Owner { endpoint, slots });
    }

    /// Takes in what a task came to: its slots are free, and what it claimed is sent.
    fn absorb(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(Owner { endpoint, slots }) = self.owners.remove(&id) else { return };
        let Some(lane) = self.lanes.get_mut(&endpoint) else { return };
        let now = Instant::now();
        lane.in_flight = lane.in_flight.saturating_sub(slots);
        match ended {
            Ok((_, Ended::Attempt(impression))) => lane.attempted(&impression, &self.limits, now),
            Ok((_, Ended::Claim(Ok(claimed), took))) => {
                lane.claimed();
                if took > STALE_CLAIM {
                    tracing::warn!(%endpoint, ?took, "a claim of deliveries took too long and is left to expire");
                    return;
                }
                for delivery in claimed {
                    self.send(endpoint, delivery);
                }
            }
            Ok((_, Ended::Claim(Err(error), _))) => {
                tracing::warn!(%endpoint, ?error, "deliveries could not be claimed");
                lane.hold(now);
            }
            Err(error) => {
                tracing::error!(%endpoint, %error, "a delivery task panicked");
                lane.hold(now);
            }
        }
    }

    fn send(&mut self, endpoint: WebhookEndpointId, claimed: Claimed) {
        let courier = self.courier.clone();
        let id =
            self.tasks.spawn(async move { Ended::Attempt(attempt::deliver(&courier, claimed).await) }).id();
        self.take(id, endpoint, 1);
    }

    /// Waits until it is time for another pass: a bell, a free slot, or the clock; but not before
    /// `earliest`. Takes in meanwhile what ends.
    async fn wait(&mut self, stop: &Stop, earliest: Instant) {
        let engine = self.courier.engine.clone();
        let stopped = stop.wait();
        tokio::pin!(stopped);
        let mut called = false;
        loop {
            let at = if called { earliest } else { self.look_at.max(earliest) };
            tokio::select! {
                () = &mut stopped => return,
                Some(ended) = self.tasks.join_next_with_id() => {
                    self.absorb(ended);
                    called = true;
                }
                () = engine.store.wakes().wait(Wake::Deliveries), if !called => called = true,
                () = tokio::time::sleep_until(at) => return,
            }
        }
    }
}
