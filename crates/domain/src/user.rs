//! People who sign in to the Admin API, what they are in organisations, and how they are invited.

use crate::access::Role;
use crate::id::{InviteId, MerchantId, UserId};
use crate::text::{self, TextRefusal};
use crate::text_enum;
use crate::time::{HOUR, Timestamp};

/// How long an invitation can be taken up (48 h).
pub const INVITE_US: i64 = 48 * HOUR;
/// Longest name of a person or label of a passkey, in characters.
pub const NAME_CHARS: usize = 100;

text_enum! {
    /// Whoever is only invited has no user yet.
    pub enum UserStatus { Active = "active", Disabled = "disabled" }
}

/// A person. Has no password, only passkeys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: UserId,
    /// As [`email_of`] writes it; unique.
    pub email: String,
    pub name: String,
    /// Everything in all organisations, and what belongs to none.
    pub global_admin: bool,
    pub status: UserStatus,
    pub created_at: Timestamp,
}

/// What a person is in one organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    pub user: UserId,
    pub merchant: MerchantId,
    pub role: Role,
    pub created_at: Timestamp,
}

/// What an invitation makes of whoever takes it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invitation {
    /// A member of an organisation.
    Member { merchant: MerchantId, role: Role },
    /// A global administrator.
    GlobalAdmin,
    /// The same as before, with a new passkey in place of all others: for whoever lost them.
    Recovery { user: UserId },
}

/// An invitation as stored: the digest of its token only, never its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    pub id: InviteId,
    pub email: String,
    /// What the person is called, until they say otherwise.
    pub name: String,
    pub invitation: Invitation,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// When it was taken up or taken back; good for one registration.
    pub closed_at: Option<Timestamp>,
}

impl Invite {
    /// Whether it can be taken up at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.closed_at.is_none() && now < self.expires_at
    }
}

/// An e-mail address as people are known by it: in lower case, so that one spelling is one person.
///
/// # Errors
/// As for [`text::email`].
pub fn email_of(given: &str) -> Result<String, TextRefusal> {
    text::email(given)?;
    Ok(given.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Core;

    #[test]
    fn one_address_in_any_case_is_one_person() {
        for given in ["ada@example.com", "Ada@Example.COM", "ADA@EXAMPLE.COM"] {
            assert_eq!(email_of(given).as_deref(), Ok("ada@example.com"));
        }
        assert_eq!(email_of("ada"), Err(TextRefusal::Email));
    }

    #[test]
    fn an_invitation_ends_by_time_and_by_use() {
        let invite = Invite {
            id: InviteId(Core([1; 12])),
            email: "ada@example.com".to_owned(),
            name: String::new(),
            invitation: Invitation::GlobalAdmin,
            created_at: Timestamp(0),
            expires_at: Timestamp(INVITE_US),
            closed_at: None,
        };
        assert!(invite.is_open(Timestamp(0)) && invite.is_open(Timestamp(INVITE_US - 1)));
        assert!(!invite.is_open(Timestamp(INVITE_US)));
        assert!(!Invite { closed_at: Some(Timestamp(1)), ..invite }.is_open(Timestamp(2)));
    }
}
