//! Card testing: somebody who tries stolen card numbers at a merchant, to see which ones still work.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// So many tries of a merchant's payers were declined that payers are held up for a while. What the
/// merchant is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardTestingAlert {
    /// The latest tries that were looked at, and how many of them were declined.
    pub tries: u32,
    pub declines: u32,
    pub opened_at: Timestamp,
    /// Until when payers are held up.
    pub open_until: Timestamp,
}
