//! Clocks that a developer moves, so that settlement and expiry can be seen today.

use crate::id::ClockId;
use crate::scope::Scope;
use crate::text_enum;
use crate::time::{DAY, Timestamp};
use serde::{Deserialize, Serialize};

/// How far one advance may go: two years.
pub const ADVANCE_MAX_US: i64 = 2 * 366 * DAY;

text_enum! {
    pub enum ClockStatus { Ready = "ready", Advancing = "advancing" }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TestClock {
    pub id: ClockId,
    pub scope: Scope,
    pub name: Option<String>,
    pub status: ClockStatus,
    pub frozen_time: Timestamp,
    /// Where an advance in progress will end.
    pub target: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Clocks and what lives by them may be removed after this wall-clock instant.
    pub deletes_after: Timestamp,
}

/// Why a clock cannot be advanced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdvanceRefusal {
    StillAdvancing,
    NotForwards,
    TooFar,
}

/// Decides whether `clock` may move to `target`.
pub fn advance(clock: &TestClock, target: Timestamp) -> Result<(), AdvanceRefusal> {
    if clock.status == ClockStatus::Advancing {
        return Err(AdvanceRefusal::StillAdvancing);
    }
    if target <= clock.frozen_time {
        return Err(AdvanceRefusal::NotForwards);
    }
    if target.0 - clock.frozen_time.0 > ADVANCE_MAX_US {
        return Err(AdvanceRefusal::TooFar);
    }
    Ok(())
}
