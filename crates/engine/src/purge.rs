//! What is kept no longer. Each commit touches at most [`BULK_ROWS`] rows.

use crate::Engine;
use crate::emit::Cause;
use crate::error::Error;
use domain::event::EventType;
use domain::limits::{BULK_ROWS, ENDED_SIGN_IN_US, EVENTS_KEPT_US};
use domain::test_clock::{ClockStatus, TestClock};
use domain::time::Timestamp;

/// Clocks looked at in one round.
const CLOCKS_AT_ONCE: i64 = 20;
/// Sessions removed in one commit, with up to as many tokens each as they were refreshed.
const SESSIONS_AT_ONCE: i64 = 5;

impl Engine {
    /// Removes events from before they are shown, with their snapshots and deliveries, but none that figures
    /// still have to count. How many rows.
    pub async fn purge_events(&self) -> Result<i64, Error> {
        let old = self.now().plus(-EVENTS_KEPT_US);
        self.store
            .write(move |tx| {
                let uncounted = store::figures::oldest_unfolded_failure(tx)?;
                let before = uncounted.map_or(old, |event| old.min(store::ledger::id_instant(event.0)));
                Ok::<_, Error>(store::events::purge(tx, before, BULK_ROWS)?)
            })
            .await
    }

    /// Removes test clocks that are kept no longer; what lived by them goes on by the wall clock. True when
    /// there is more to do.
    pub async fn purge_clocks(&self) -> Result<bool, Error> {
        let now = self.now();
        let clocks = self
            .store
            .read(move |tx| Ok::<_, Error>(store::test_clocks::to_delete(tx, now, CLOCKS_AT_ONCE)?))
            .await?;
        let more = !clocks.is_empty();
        for clock in clocks {
            self.purge_clock(clock, now).await?;
        }
        Ok(more)
    }

    /// One step: releases what lives by the clock, and removes it when nothing does any more.
    async fn purge_clock(&self, clock: TestClock, now: Timestamp) -> Result<(), Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                // Locked, since a request may advance it at this moment.
                let Some(clock) = store::test_clocks::lock(tx, clock.scope, clock.id)? else { return Ok(()) };
                if clock.status == ClockStatus::Advancing {
                    return Ok(());
                }
                if store::test_clocks::release_some(tx, clock.id, now, BULK_ROWS)? >= BULK_ROWS {
                    return Ok(());
                }
                store::test_clocks::delete(tx, clock.id)?;
                engine.clock_news(tx, &Cause::default(), &clock, EventType::TestClockDeleted)
            })
            .await
    }

    /// Removes sessions, challenges and invitations that nobody asks about any more. True when there is more.
    pub async fn purge_sign_ins(&self) -> Result<bool, Error> {
        let before = self.now().plus(-ENDED_SIGN_IN_US);
        let now = self.now();
        self.store
            .write(move |tx| {
                let sessions = store::sessions::purge(tx, before, SESSIONS_AT_ONCE)?;
                // A lapsed challenge says nothing, and anybody can have them made.
                let ceremonies = store::ceremonies::purge(tx, now, BULK_ROWS)?;
                let invites = store::invites::purge(tx, before, BULK_ROWS)?;
                Ok::<_, Error>(sessions > 0 || ceremonies > 0 || invites > 0)
            })
            .await
    }

    /// Revokes keys whose overlap is over, so that a clock which goes back revives none. How many.
    pub async fn revoke_ended_keys(&self) -> Result<u64, Error> {
        let now = self.now();
        self.store.write(move |tx| Ok::<_, Error>(store::api_keys::revoke_ended(tx, now, BULK_ROWS)?)).await
    }
}
