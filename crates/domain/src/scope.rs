//! Tenant and mode: the two facts that isolate everything from everything else.

use crate::id::MerchantId;
use crate::text_enum;
use serde::{Deserialize, Serialize};

text_enum! {
    /// Test and live never share an object, an event, a limit or an account.
    pub enum Mode { Test = "test", Live = "live" }
}

impl Mode {
    pub const fn is_live(self) -> bool {
        matches!(self, Mode::Live)
    }
}

/// Whose data, in which mode. Comes from the credential only; an argument of every store function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scope {
    pub merchant: MerchantId,
    pub mode: Mode,
}
