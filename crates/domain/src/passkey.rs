//! Passkeys, and the ceremonies in which they are made and used.

use crate::id::{InviteId, PasskeyId, SessionId, UserId};
use crate::text_enum;
use crate::time::{MINUTE, Timestamp};

/// How long a challenge can be answered (5 min).
pub const CEREMONY_US: i64 = 5 * MINUTE;

/// A passkey as its owner sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    pub id: PasskeyId,
    pub user: UserId,
    pub label: String,
    /// The counter in the latest signature that was believed.
    pub sign_count: i64,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

text_enum! {
    /// What a challenge is for. One of another kind is not answered by it.
    pub enum CeremonyKind {
        /// The first passkey of somebody who was invited.
        Registration = "registration",
        Login = "login",
        /// A further passkey, within a session.
        AddPasskey = "add_passkey",
        /// Login once more within a session, before something dangerous.
        Reauthentication = "reauthentication",
    }
}

/// A challenge that was handed out; good for one answer.
#[derive(Clone, Debug)]
pub struct Ceremony {
    /// At least 128 random bits.
    pub code: String,
    pub kind: CeremonyKind,
    /// Whose passkeys may answer; `None` for an address that nobody signs in with, which no answer satisfies.
    pub user: Option<UserId>,
    /// The session in which it was begun, and in which alone it can be answered.
    pub session: Option<SessionId>,
    /// What a registration takes up.
    pub invite: Option<InviteId>,
    /// For a login: the keyed digest of the address, whoever has it, under which failures are counted.
    pub account: Vec<u8>,
    /// What the checking of the answer needs to know. Empty when there is nobody to check.
    pub state: String,
    pub expires_at: Timestamp,
}

/// Whether a signature's counter can come from the one authenticator that has the passkey (WebAuthn 7.2,
/// step 22). Those without a counter always say 0; with one, it must have grown since `stored`.
pub fn counter_is_sound(stored: i64, seen: i64) -> bool {
    (stored == 0 && seen == 0) || seen > stored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_must_grow_unless_there_is_none() {
        for (stored, seen, sound) in
            [(0, 0, true), (0, 1, true), (5, 6, true), (5, 5, false), (5, 4, false), (5, 0, false)]
        {
            assert_eq!(counter_is_sound(stored, seen), sound, "{stored} {seen}");
        }
    }
}
