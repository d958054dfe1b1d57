//! Test clocks: advanced by request, worked off by a worker in the order in which things are due.

use crate::Engine;
use crate::call::{Call, Reply};
use crate::emit::{Cause, News};
use crate::error::Error;
use crate::view::{Snapshot, View};
use domain::event::EventType;
use domain::id::{ClockId, TypedId};
use domain::limits::{BULK_ROWS, TEST_CLOCKS};
use domain::test_clock::{self, ClockStatus, TestClock};
use domain::time::{DAY, Timestamp};
use store::{Tx, Wake};

/// How long a clock and what lives by it are kept.
const KEPT_US: i64 = 30 * DAY;

impl Engine {
    pub async fn create_clock(
        &self,
        call: &Call,
        frozen_time: Timestamp,
        name: Option<String>,
    ) -> Result<Reply, Error> {
        self.command(call, move |engine, tx, call| {
            let scope = call.caller.scope;
            store::merchants::lock_mode(tx, scope)?;
            if store::test_clocks::count(tx, scope)? >= TEST_CLOCKS {
                return Err(Error::Limit {
                    what: "test clocks",
                    max: usize::try_from(TEST_CLOCKS).unwrap_or(0),
                });
            }
            let now = engine.now();
            let clock = TestClock {
                id: engine.ids.next(),
                scope,
                name: name.clone(),
                status: ClockStatus::Ready,
                frozen_time,
                target: None,
                created_at: now,
                deletes_after: now.plus(KEPT_US),
            };
            store::test_clocks::insert(tx, &clock)?;
            engine.clock_news(tx, &Cause::from(call), &clock, EventType::TestClockCreated)?;
            Ok(View::Clock(clock))
        })
        .await
    }

    /// Starts moving a clock to `target`; a worker does the rest.
    pub async fn advance_clock(&self, call: &Call, id: ClockId, target: Timestamp) -> Result<Reply, Error> {
        self.command(call, move |engine, tx, call| {
            let mut clock = lock(tx, call, id)?;
            test_clock::advance(&clock, target).map_err(Error::Clock)?;
            clock.status = ClockStatus::Advancing;
            clock.target = Some(target);
            store::test_clocks::update(tx, &clock)?;
            engine.clock_news(tx, &Cause::from(call), &clock, EventType::TestClockAdvancing)?;
            tx.wake(Wake::Clocks);
            Ok(View::Clock(clock))
        })
        .await
    }

    /// Removes a clock. What lived by it goes on by the wall clock.
    pub async fn delete_clock(&self, call: &Call, id: ClockId) -> Result<Reply, Error> {
        self.command(call, move |engine, tx, call| {
            let clock = lock(tx, call, id)?;
            if clock.status == ClockStatus::Advancing {
                return Err(Error::Clock(test_clock::AdvanceRefusal::StillAdvancing));
            }
            store::test_clocks::release(tx, id, engine.now())?;
            store::test_clocks::delete(tx, id)?;
            engine.clock_news(tx, &Cause::from(call), &clock, EventType::TestClockDeleted)?;
            Ok(View::ClockDeleted(id))
        })
        .await
    }

    /// Works off one step of every advance under way: moves each clock to the next instant at which
    /// something is due and does it, or to its target. True when there is more to do.
    pub async fn advance_clocks(&self) -> Result<bool, Error> {
        let clocks =
            self.store.read(|tx| Ok::<_, Error>(store::test_clocks::advancing(tx, BULK_ROWS)?)).await?;
        let mut more = false;
        for clock in clocks {
            if let Err(e) = self.step_clock(&clock).await.map(|()| more = true) {
                tracing::warn!(clock = %clock.id, error = ?e, "a test clock could not advance and will be tried again");
            }
        }
        Ok(more)
    }

    async fn step_clock(&self, clock: &TestClock) -> Result<(), Error> {
        let Some(target) = clock.target else { return Ok(()) };
        let (engine, id, scope) = (self.clone(), clock.id, clock.scope);
        let due = self
            .store
            .write(move |tx| {
                let Some(mut clock) = store::test_clocks::lock(tx, scope, id)? else { return Ok(None) };
                if clock.status != ClockStatus::Advancing {
                    return Ok(None);
                }
                let due = store::test_clocks::next_due(tx, id, target)?;
                clock.frozen_time = clock.frozen_time.max(due.unwrap_or(target));
                if due.is_none() {
                    clock.status = ClockStatus::Ready;
                    clock.target = None;
                    engine.clock_news(tx, &Cause::default(), &clock, EventType::TestClockReady)?;
                }
                store::test_clocks::update(tx, &clock)?;
                Ok::<_, Error>(due.map(|_| clock.frozen_time))
            })
            .await?;
        match due {
            Some(now) => self.run_due(Some(id), now).await.map(|_| ()),
            None => Ok(()),
        }
    }

    pub(crate) fn clock_news(
        &self,
        tx: &mut Tx<'_>,
        cause: &Cause,
        clock: &TestClock,
        event: EventType,
    ) -> Result<(), Error> {
        let snapshot = Snapshot { clock: Some(clock.clone()), ..Snapshot::default() };
        self.emit(tx, clock.scope, cause, self.now(), snapshot, &[News::new(event, clock.id.core())])
    }
}

fn lock(tx: &mut Tx<'_>, call: &Call, id: ClockId) -> Result<TestClock, Error> {
    store::test_clocks::lock(tx, call.caller.scope, id)?.ok_or_else(|| Error::not_found("test_clock", id))
}
