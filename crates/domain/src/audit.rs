//! The audit log: what an operator may have to explain later, in rows that never change.

use crate::id::{AuditId, MerchantId};
use crate::scope::Mode;
use crate::text_enum;
use crate::time::Timestamp;
use sha2::{Digest, Sha256};

text_enum! {
    pub enum AuditKind {
        /// An API key stood in an address, where logs keep it.
        KeyInUrl = "key_in_url",
        /// An object of another merchant or mode was asked for.
        ForeignObject = "foreign_object",
        /// Requests without a valid key, added up for an address and a minute.
        AuthFailed = "auth_failed",
        KeyCreated = "key_created",
        KeyRevoked = "key_revoked",
        KeyRotated = "key_rotated",
        SettingsChanged = "settings_changed",
        ObjectCreated = "object_created",
        ObjectDeleted = "object_deleted",
        /// A key of the whole instance changed something of an organisation.
        SystemKeyUsed = "system_key_used",
        /// An administrator moved money, or ended a payment.
        MoneyMoved = "money_moved",
        /// A list of the organisation's data or of its audit log was handed out in bulk.
        DataExported = "data_exported",
        /// So many tries of a merchant's payers were declined that payers are held up.
        CardTestingSuspected = "card_testing_suspected",
        UserInvited = "user_invited",
        /// An invitation was taken back.
        InviteRevoked = "invite_revoked",
        /// Somebody took up an invitation.
        UserRegistered = "user_registered",
        UserDisabled = "user_disabled",
        RoleChanged = "role_changed",
        MemberRemoved = "member_removed",
        PasskeyAdded = "passkey_added",
        PasskeyRemoved = "passkey_removed",
        /// A right signature with a counter that did not grow: somebody has a copy of the passkey.
        PasskeyCloned = "passkey_cloned",
        SignedIn = "signed_in",
        /// So many logins of an account or from an address failed that the next ones are told to wait.
        LoginFailures = "login_failures",
        SignedOut = "signed_out",
        /// A refresh token came twice; its session was ended.
        RefreshReused = "refresh_reused",
        /// How many of the first three were not written, because there were too many of them.
        Suppressed = "suppressed",
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub id: AuditId,
    pub merchant: Option<MerchantId>,
    pub mode: Option<Mode>,
    pub kind: AuditKind,
    /// The key or the address that did it; `operator` for commands.
    pub actor: String,
    /// The id of what it was done to.
    pub subject: Option<String>,
    /// The request in which it was done.
    pub request: Option<String>,
    /// A short text without anything secret.
    pub detail: String,
    pub created_at: Timestamp,
}

/// The digest that seals an entry: covers every column, and chains to the seal before it, so that no
/// sealed entry can be changed, removed or reordered unnoticed.
pub fn audit_digest(previous: &[u8], seq: i64, entry: &AuditEntry) -> [u8; 32] {
    let mut hash = Sha256::new();
    // A field that is missing differs from one that is empty.
    let mut field = |bytes: Option<&[u8]>| match bytes {
        None => hash.update([0]),
        Some(bytes) => {
            hash.update([1]);
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        }
    };
    field(Some(previous));
    field(Some(&seq.to_be_bytes()));
    field(Some(&entry.id.0.0));
    field(entry.merchant.as_ref().map(|m| m.0.0.as_slice()));
    field(entry.mode.map(|m| m.as_str().as_bytes()));
    field(Some(entry.kind.as_str().as_bytes()));
    field(Some(entry.actor.as_bytes()));
    field(entry.subject.as_ref().map(|s| s.as_bytes()));
    field(entry.request.as_ref().map(|r| r.as_bytes()));
    field(Some(entry.detail.as_bytes()));
    field(Some(&entry.created_at.0.to_be_bytes()));
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Core;

    #[test]
    fn every_column_and_the_place_in_the_chain_are_sealed() {
        let entry = AuditEntry {
            id: AuditId(Core([1; 12])),
            merchant: Some(MerchantId(Core([2; 12]))),
            mode: Some(Mode::Test),
            kind: AuditKind::KeyCreated,
            actor: "operator".to_owned(),
            subject: Some("key_1".to_owned()),
            request: None,
            detail: "secret".to_owned(),
            created_at: Timestamp(5),
        };
        let changed = [
            AuditEntry { id: AuditId(Core([9; 12])), ..entry.clone() },
            AuditEntry { merchant: None, ..entry.clone() },
            AuditEntry { mode: Some(Mode::Live), ..entry.clone() },
            AuditEntry { mode: None, ..entry.clone() },
            AuditEntry { kind: AuditKind::KeyRevoked, ..entry.clone() },
            AuditEntry { actor: "operato".to_owned(), ..entry.clone() },
            AuditEntry { subject: None, ..entry.clone() },
            AuditEntry { subject: Some(String::new()), ..entry.clone() },
            AuditEntry { request: Some(String::new()), ..entry.clone() },
            AuditEntry { detail: "secre".to_owned(), ..entry.clone() },
            AuditEntry { created_at: Timestamp(6), ..entry.clone() },
        ];
        let digest = audit_digest(b"before", 7, &entry);
        assert_eq!(digest, audit_digest(b"before", 7, &entry.clone()));
        for other in &changed {
            assert_ne!(digest, audit_digest(b"before", 7, other), "{other:?}");
        }
        assert_ne!(digest, audit_digest(b"before", 8, &entry));
        assert_ne!(digest, audit_digest(b"", 7, &entry));
    }
}
