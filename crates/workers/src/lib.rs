//! What runs without a request: the heartbeat of this node, jobs, due settlements and expiries, test
//! clocks, the upkeep of the books, and webhook deliveries.
//!
//! Every loop waits for its bell or its poll interval, whichever comes first: other nodes' commits ring
//! no bell here. A failure is logged and tried again after a growing pause; nothing ends a loop but
//! [`Workers::stop`].

mod deliveries;
mod pace;
pub mod sign;
mod upkeep;

use engine::Engine;
use engine::events::RenderEvent;
use pace::{Stop, Stopper, backoff};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};

/// How long [`Workers::stop`] waits for what is under way.
pub const STOP_WITHIN: Duration = Duration::from_secs(15);
/// For goodbyes, after [`STOP_WITHIN`].
const LEAVE_WITHIN: Duration = Duration::from_secs(3);
/// A fifth of the time after which other nodes take this one for dead.
const HEARTBEAT: Duration = Duration::from_secs(2);
const RESTART_AFTER_PANIC: Duration = Duration::from_secs(1);

/// What can be set about the workers.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// How far behind the clock journals are sealed, and figures folded. Shorter than the default only where one process
    /// writes and nothing is read from either: what commits below the mark stays unsealed, and uncounted.
    pub seal_lag: Duration,
    /// Deliveries under way at once, to all endpoints together; at least 1.
    pub delivery_concurrency: usize,
    /// Deliveries under way at once to an endpoint that has not shown that it answers fast; at least 1.
    pub per_endpoint: usize,
    /// The same for an endpoint whose last attempts succeeded fast; never below `per_endpoint`.
    pub per_fast_endpoint: usize,
    /// Total time of one delivery attempt. No more than the 30 s that a claim leaves room for.
    pub delivery_timeout: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        let lag = u64::try_from(store::ledger::SEAL_LAG_US).unwrap_or(u64::MAX);
        WorkerOptions {
            seal_lag: Duration::from_micros(lag),
            delivery_concurrency: 256,
            per_endpoint: 4,
            per_fast_endpoint: 32,
            delivery_timeout: Duration::from_secs(10),
        }
    }
}

/// The background tasks of this process. Dropping it leaves them running; call [`Workers::stop`].
pub struct Workers {
    stopper: Stopper,
    supervisor: JoinHandle<()>,
}

impl Workers {
    /// Starts the workers on the current Tokio runtime. The first heartbeat goes before everything
    /// else: it takes over what nodes that are gone left unfinished.
    pub fn start(
        engine: Engine,
        client: outbound::Client,
        render_event: Arc<RenderEvent>,
        options: WorkerOptions,
    ) -> Workers {
        let (stopper, stop) = pace::stop_signal();
        let courier = deliveries::Courier { engine: engine.clone(), client, render: render_event, options };
        let supervisor = tokio::spawn(supervise(engine, courier, stop));
        Workers { stopper, supervisor }
    }

    /// Stops claiming, and waits up to [`STOP_WITHIN`] for deliveries and jobs under way. What does not
    /// end by then is dropped; its claim expires and it is done again, here or on another node. Call it
    /// when no more requests are served: it takes this node off the list of those that live.
    pub async fn stop(mut self) {
        self.stopper.stop();
        if tokio::time::timeout(STOP_WITHIN + LEAVE_WITHIN, &mut self.supervisor).await.is_err() {
            self.supervisor.abort();
            tracing::warn!("the workers did not stop in time; their claims will expire");
        }
    }
}

async fn supervise(engine: Engine, courier: deliveries::Courier, stop: Stop) {
    if !first_heartbeat(&engine, &stop).await {
        return;
    }
    let mut loops = JoinSet::new();
    start_loops(&mut loops, &engine, courier, &stop);
    let mut beat = tokio::time::interval(HEARTBEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    beat.reset();
    let ended = async {
        loop {
            tokio::select! {
                ended = loops.join_next() => if ended.is_none() { return },
                _ = beat.tick() => if let Err(error) = engine.heartbeat().await {
                    tracing::warn!(?error, "the heartbeat could not be stored");
                },
            }
        }
    };
    let in_time = stop.bounded(STOP_WITHIN, ended).await;
    if in_time.is_none() {
        tracing::warn!("background work was still under way at the stop; its claims will expire");
        // Ends the tasks before the goodbye: another node may act on it at once.
        loops.shutdown().await;
    }
    write_incidents(&engine).await;
    leave(&engine).await;
}

/// Writes what was noted for the audit log and waits for its minute to be over.
async fn write_incidents(engine: &Engine) {
    let all = async {
        engine.write_key_uses().await?;
        while engine.write_incidents(true).await? {}
        Ok::<_, engine::Error>(())
    };
    if !matches!(tokio::time::timeout(LEAVE_WITHIN / 3, all).await, Ok(Ok(()))) {
        tracing::warn!("the last audit entries could not be stored");
    }
}

/// Says goodbye, unless a provider call is still under way: others must then wait until this node is
/// gone for certain, lest they take "never seen" for the provider's last word.
async fn leave(engine: &Engine) {
    if tokio::time::timeout(LEAVE_WITHIN / 3, engine.idle()).await.is_err() {
        tracing::warn!("provider calls are still under way; other nodes take over when this one is gone");
        return;
    }
    if let Err(error) = engine.leave().await {
        tracing::warn!(?error, "the goodbye could not be stored");
    }
}

/// True when it is stored; false when the stop came first.
async fn first_heartbeat(engine: &Engine, stop: &Stop) -> bool {
    let mut failures = 0;
    while !stop.is_set() {
        match engine.heartbeat().await {
            Ok(()) => return true,
            Err(error) => {
                failures += 1;
                tracing::warn!(
                    ?error,
                    "the first heartbeat could not be stored; no background work starts before"
                );
                stop.pause(backoff(failures)).await;
            }
        }
    }
    false
}

fn start_loops(loops: &mut JoinSet<()>, engine: &Engine, courier: deliveries::Courier, stop: &Stop) {
    let lag = courier.options.seal_lag;
    let up = upkeep::Upkeep { engine: engine.clone(), stop: stop.clone() };
    spawn(loops, "jobs", stop, &up, |up| async move { up.jobs().await });
    spawn(loops, "erasures", stop, &up, |up| async move { up.erasures().await });
    spawn(loops, "due", stop, &up, |up| async move { up.due().await });
    spawn(loops, "challenges", stop, &up, |up| async move { up.challenges().await });
    spawn(loops, "clocks", stop, &up, |up| async move { up.clocks().await });
    spawn(loops, "fold", stop, &up, |up| async move { up.fold().await });
    spawn(loops, "seal", stop, &up, move |up| async move { up.seal(lag).await });
    spawn(loops, "figures", stop, &up, move |up| async move { up.figures(lag).await });
    spawn(loops, "purge", stop, &up, |up| async move { up.purge().await });
    spawn(loops, "ended keys", stop, &up, |up| async move { up.ended_keys().await });
    spawn(loops, "audit", stop, &up, |up| async move { up.audit().await });
    let stopping = stop.clone();
    spawn(loops, "deliveries", stop, &courier, move |courier| {
        let stop = stopping.clone();
        async move { deliveries::run(courier, stop).await }
    });
}

/// Runs a loop until it returns; one that panicked is started anew.
fn spawn<C, F, R>(loops: &mut JoinSet<()>, name: &'static str, stop: &Stop, context: &C, run: R)
where
    C: Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
    R: Fn(C) -> F + Send + 'static,
{
    let (context, stop) = (context.clone(), stop.clone());
    loops.spawn(async move {
        loop {
            // In a set of its own, so that aborting this task aborts the loop with it.
            let mut inner = JoinSet::new();
            inner.spawn(run(context.clone()));
            match inner.join_next().await {
                Some(Err(error)) if error.is_panic() => {
                    tracing::error!(name, %error, "a background loop panicked and is started again");
                    stop.pause(RESTART_AFTER_PANIC).await;
                }
                _ => return,
            }
        }
    });
}
