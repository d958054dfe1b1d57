//! How a commit tells the workers of this process that something may be due.

use crate::tx::Wake;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;

/// One bell per worker, and what the writer counted. Other nodes are not told; workers also poll.
#[derive(Default)]
pub struct Wakes {
    bells: [Notify; 3],
    commits: AtomicU64,
    closures: AtomicU64,
}

impl Wakes {
    /// Waits until a commit rang this bell. A ring before the call is not lost.
    pub async fn wait(&self, wake: Wake) {
        if let Some(bell) = self.bells.get(wake as usize) {
            bell.notified().await;
        }
    }

    pub(crate) fn raise(&self, flags: u8) {
        for (i, bell) in self.bells.iter().enumerate() {
            if flags & (1 << i) != 0 {
                bell.notify_one();
            }
        }
    }

    pub(crate) fn batch(&self, closures: usize) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.closures.fetch_add(closures as u64, Ordering::Relaxed);
    }

    /// Commits of the embedded engine's writer, and the closures in them, since the start.
    pub fn counts(&self) -> (u64, u64) {
        (self.commits.load(Ordering::Relaxed), self.closures.load(Ordering::Relaxed))
    }
}
