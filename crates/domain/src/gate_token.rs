//! Secrets that sign Gate requests, each with a name; the first one of a service signs its callbacks.

use crate::id::{GateTokenId, StorefrontId};
use crate::scope::Scope;
use crate::text_enum;
use crate::time::Timestamp;

text_enum! {
    /// How strings enter the bytes that are signed.
    pub enum SignVariant {
        /// Runs of white space folded to one `+`: signers from 0.0.7 on.
        Folded = "folded",
        /// As they are: signers before.
        Raw = "raw",
    }
}

text_enum! {
    /// Which names a callback's body uses.
    pub enum PayloadDialect {
        /// `data.transaction`, as documented.
        Y2025 = "2025",
        /// `transaction` and `meta.reference_id` at the top, as the shop plugin of 2026 reads it.
        Y2026 = "2026",
    }
}

/// A token as stored: its secret is kept sealed beside it.
#[derive(Clone, Debug)]
pub struct GateToken {
    pub id: GateTokenId,
    pub scope: Scope,
    pub storefront: StorefrontId,
    /// Unique among the service's valid tokens.
    pub name: String,
    pub last4: String,
    pub variant: SignVariant,
    pub dialect: PayloadDialect,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// Valid tokens of one service.
pub const TOKENS_MAX: usize = 16;
