//! When a loop goes round again: bells, poll intervals, pauses after failures, and the stop.

use engine::{Engine, Error};
use std::future::Future;
use std::time::Duration;
use store::Wake;
use tokio::sync::watch;

const BACKOFF_FIRST: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// Rounds without a pause, and that pause: work that is found again in every round, because something
/// holds it up, must not keep the database busy.
const ROUNDS_IN_A_ROW: u32 = 200;
const BREATH: Duration = Duration::from_millis(100);

/// Raises the stop.
pub(crate) struct Stopper(watch::Sender<bool>);

/// Tells that the workers are to stop.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

pub(crate) fn stop_signal() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the stop. A handle that was dropped without one leaves the workers running.
    pub async fn wait(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for `time`, or for the stop if that comes first.
    pub async fn pause(&self, time: Duration) {
        let _ = tokio::time::timeout(time, self.wait()).await;
    }

    /// Runs `work` to its end, but no longer than `limit` after the stop; `None` if it had not ended.
    pub async fn bounded<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let deadline = async {
            self.wait().await;
            tokio::time::sleep(limit).await;
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = deadline => None,
        }
    }
}

/// The pause after so many failures in a row: doubles from half a second to half a minute.
pub(crate) fn backoff(failures: u32) -> Duration {
    BACKOFF_FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(BACKOFF_MAX)
}

/// How often a loop goes round.
pub(crate) struct Rhythm {
    pub name: &'static str,
    pub every: Duration,
    pub bell: Option<Wake>,
}

/// Takes `step` again at once while it says that there is more, else at the bell or after the interval.
pub(crate) async fn repeat<F, S>(engine: &Engine, stop: &Stop, rhythm: Rhythm, mut step: S)
where
    S: FnMut() -> F,
    F: Future<Output = Result<bool, Error>>,
{
    let (mut failures, mut in_a_row) = (0u32, 0u32);
    while !stop.is_set() {
        match step().await {
            Ok(true) => {
                (failures, in_a_row) = (0, in_a_row + 1);
                if in_a_row == ROUNDS_IN_A_ROW {
                    in_a_row = 0;
                    stop.pause(BREATH).await;
                }
                continue;
            }
            Ok(false) => failures = 0,
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::warn!(
                    worker = rhythm.name,
                    failures,
                    ?error,
                    "background work failed and will be tried again"
                );
            }
        }
        in_a_row = 0;
        if failures > 0 {
            // Bells go unheard: a database in trouble is asked less often, whatever else commits.
            stop.pause(backoff(failures)).await;
            continue;
        }
        let bell = async {
            match rhythm.bell {
                Some(bell) => engine.store.wakes().wait(bell).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = bell => {}
            () = stop.pause(rhythm.every) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let millis: Vec<_> = [1, 2, 3, 6, 7, 8, 100, u32::MAX].map(|n| backoff(n).as_millis()).into();
        assert_eq!(millis, [500, 1_000, 2_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
    }

    #[tokio::test]
    async fn work_ends_at_the_limit_after_the_stop_and_not_before() {
        let (stopper, stop) = stop_signal();
        assert_eq!(stop.bounded(Duration::ZERO, async { 1 }).await, Some(1));
        let slow = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            2
        };
        assert_eq!(stop.bounded(Duration::ZERO, slow).await, Some(2), "no stop, no limit");
        stopper.stop();
        assert!(stop.is_set());
        assert_eq!(stop.bounded(Duration::from_millis(1), std::future::pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn a_dropped_handle_is_no_stop() {
        let (stopper, stop) = stop_signal();
        drop(stopper);
        stop.pause(Duration::from_millis(5)).await;
        assert!(!stop.is_set());
        assert!(tokio::time::timeout(Duration::from_millis(20), stop.wait()).await.is_err());
    }
}
