//! The loops around the engine's background commands.

use crate::pace::{Rhythm, Stop, repeat};
use domain::limits::BULK_ROWS;
use engine::{Engine, Error};
use std::future::Future;
use std::time::Duration;
use store::Wake;

const HALF_SECOND: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub(crate) struct Upkeep {
    pub engine: Engine,
    pub stop: Stop,
}

/// Whether a batch was as large as batches get, so that more may wait. A smaller one says that all was
/// seen: what is left of it, such as an expiry that a capture holds up, waits for the next round.
fn full(done: usize) -> bool {
    i64::try_from(done).is_ok_and(|n| n >= BULK_ROWS)
}

impl Upkeep {
    async fn repeat<F>(
        self,
        name: &'static str,
        every: Duration,
        bell: Option<Wake>,
        mut step: impl FnMut(Engine) -> F,
    ) where
        F: Future<Output = Result<bool, Error>>,
    {
        repeat(&self.engine, &self.stop, Rhythm { name, every, bell }, || step(self.engine.clone())).await;
    }

    /// Provider calls whose answer is missing.
    pub async fn jobs(self) {
        // A job is claimed for minutes or put off, so "did something" cannot find the same one for ever.
        self.repeat("jobs", HALF_SECOND, Some(Wake::Jobs), |engine| async move {
            Ok(engine.run_jobs().await? > 0)
        })
        .await;
    }

    /// Erasures of customers: beside the jobs above, which must not wait for them.
    pub async fn erasures(self) {
        let step = |engine: Engine| async move { engine.run_erasures().await };
        self.repeat("erasures", HALF_SECOND, None, step).await;
    }

    /// Settlements and expiries of the wall clock.
    pub async fn due(self) {
        let step = |engine: Engine| async move { Ok(full(engine.run_due(None, engine.now()).await?)) };
        self.repeat("due", HALF_SECOND, None, step).await;
    }

    pub async fn challenges(self) {
        let step = |engine: Engine| async move { Ok(full(engine.lapse_challenges().await?)) };
        self.repeat("challenges", Duration::from_secs(5), None, step).await;
    }

    pub async fn clocks(self) {
        let step = |engine: Engine| async move { engine.advance_clocks().await };
        self.repeat("clocks", HALF_SECOND, Some(Wake::Clocks), step).await;
    }

    pub async fn fold(self) {
        let step = |engine: Engine| async move { Ok(full(engine.fold_balances().await?)) };
        self.repeat("fold", Duration::from_millis(200), None, step).await;
    }

    /// Seals journals and audit entries that are older than `lag`.
    pub async fn seal(self, lag: Duration) {
        let lag = i64::try_from(lag.as_micros()).unwrap_or(i64::MAX);
        let step = move |engine: Engine| async move {
            let mark = engine.now().plus(lag.saturating_neg());
            let journals = full(engine.seal_journals(mark).await?);
            Ok(full(engine.seal_audit(mark).await?) | journals)
        };
        self.repeat("seal", Duration::from_secs(1), None, step).await;
    }

    /// Folds into figures what is older than `lag`.
    pub async fn figures(self, lag: Duration) {
        let lag = i64::try_from(lag.as_micros()).unwrap_or(i64::MAX);
        let step = move |engine: Engine| async move {
            let mark = engine.now().plus(lag.saturating_neg());
            Ok(full(engine.fold_figures(mark).await?))
        };
        self.repeat("figures", Duration::from_secs(1), None, step).await;
    }

    /// What is kept no longer: idempotency keys, events, test clocks, sessions, organisations that left.
    pub async fn purge(self) {
        let step = |engine: Engine| async move {
            let keys = engine.purge_keys().await? > 0;
            let events = engine.purge_events().await? > 0;
            let clocks = engine.purge_clocks().await?;
            let sign_ins = engine.purge_sign_ins().await?;
            let left = engine.close_offboarded().await? > 0;
            Ok(keys | events | clocks | sign_ins | left)
        };
        self.repeat("purge", Duration::from_secs(60), None, step).await;
    }

    /// Rotated API keys whose overlap is over: revoked, so that a clock that goes back revives none.
    pub async fn ended_keys(self) {
        let step = |engine: Engine| async move {
            let revoked = engine.revoke_ended_keys().await? > 0;
            let forgotten = engine.forget_old_secrets().await? > 0;
            Ok(revoked | forgotten)
        };
        self.repeat("ended keys", Duration::from_secs(5), None, step).await;
    }

    /// What requests did wrong; touches the database only when there is something to write.
    pub async fn audit(self) {
        let step = |engine: Engine| async move {
            engine.write_key_uses().await?;
            engine.write_incidents(false).await
        };
        self.repeat("audit", Duration::from_secs(1), None, step).await;
    }
}
