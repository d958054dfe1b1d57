//! Sessions of people: how long they live, and what else ends them.

use crate::access::Role;
use crate::id::{MerchantId, SessionId, UserId};
use crate::scope::Mode;
use crate::text_enum;
use crate::time::{HOUR, MINUTE, Timestamp};

/// An access token works this long (10 min).
pub const ACCESS_US: i64 = 10 * MINUTE;
/// A session nobody uses ends after this (15 min).
pub const IDLE_US: i64 = 15 * MINUTE;
/// A session ends after this, used or not (12 h).
pub const LIFETIME_US: i64 = 12 * HOUR;
/// After this (15 min, unless the operator sets another) a login is too old for dangerous acts, and is asked for once
/// more.
pub const FRESH_LOGIN_US: i64 = 15 * MINUTE;
/// Use is written down this often (1 min), so that not every request writes.
pub const SEEN_EVERY_US: i64 = MINUTE;

/// Failed logins of one account, or from one address, after which the next ones are told to wait.
pub const LOGIN_FAILURES: usize = 10;
/// How long a failed login counts (30 min).
pub const LOGIN_FAILURES_US: i64 = 30 * MINUTE;

text_enum! {
    /// Why a session ended before its time.
    pub enum SessionEnd {
        Logout = "logout",
        /// A refresh token was used twice: somebody has a copy.
        RefreshReused = "refresh_reused",
        /// Others of the same person took its place.
        Crowded = "crowded",
        UserDisabled = "user_disabled",
        /// All passkeys of the person were replaced.
        Recovered = "recovered",
    }
}

/// One login of one person, and the family of tokens that came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    /// The mode that the next access token names, unless another is asked for.
    pub mode: Mode,
    pub created_at: Timestamp,
    /// Last use, up to [`SEEN_EVERY_US`] old.
    pub seen_at: Timestamp,
    /// The latest login or re-authentication.
    pub authenticated_at: Timestamp,
    /// Refresh tokens that it had so far.
    pub refreshes: i64,
    pub ended: Option<SessionEnd>,
}

impl Session {
    /// When it ends if nobody uses it from `now` on.
    pub fn ends_at(&self) -> Timestamp {
        self.seen_at.plus(IDLE_US).min(self.created_at.plus(LIFETIME_US))
    }

    /// Whether its tokens are taken at `now`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.ends_at()
    }

    /// Whether use at `now` is to be written down.
    pub fn is_to_be_seen(&self, now: Timestamp) -> bool {
        now >= self.seen_at.plus(SEEN_EVERY_US)
    }
}

/// Whether a login at `authenticated_at` is recent enough for dangerous acts: less than `fresh_us` old. One in the
/// future, after a clock was set back, is not.
pub fn is_fresh_login(authenticated_at: Timestamp, fresh_us: i64, now: Timestamp) -> bool {
    authenticated_at <= now && now < authenticated_at.plus(fresh_us)
}

/// Why somebody cannot sign in, or may not do what only people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignInRefusal {
    #[error("The session has ended. Sign in again.")]
    SessionEnded,
    #[error("This refresh token was used before, so its session was ended. Sign in again.")]
    RefreshReused,
    #[error("The challenge was answered before, lapsed, or is for something else. Begin again.")]
    ChallengeGone,
    #[error("The passkey was not accepted.")]
    PasskeyRefused,
    #[error("The passkey was not accepted. Too many logins failed; wait as long as Retry-After says.")]
    TooManyFailures { wait: u32 },
    #[error(
        "This passkey seems to have been copied. Use another one, remove this one, and tell an administrator."
    )]
    PasskeyCloned,
    #[error("The invitation was taken up, taken back, or has lapsed. Ask for another.")]
    InviteGone,
    #[error("The invitation is for another e-mail address than the one you are signed in with.")]
    InviteForAnother,
    #[error("Somebody with this e-mail address is registered. Sign in, then take up the invitation.")]
    SignInFirst,
    #[error("This passkey is registered already.")]
    PasskeyTaken,
    #[error("The last passkey cannot be removed. Add another one first.")]
    LastPasskey,
    #[error("Nobody changes or removes their own role. Ask another administrator.")]
    OwnRole,
    #[error("Only administrators of the organisation may do this.")]
    NotAdministrator,
    #[error("This needs a login of the last {minutes} min. Confirm with your passkey, then try again.")]
    ReauthenticationRequired { minutes: i64 },
    #[error(
        "Passkeys need a host name: set admin_url to an address with one, such as https://admin.example.com."
    )]
    PasskeysUnavailable,
}

impl SignInRefusal {
    /// The stable code that clients branch on.
    pub const fn code(self) -> &'static str {
        match self {
            SignInRefusal::SessionEnded => "session_ended",
            SignInRefusal::RefreshReused => "refresh_token_reused",
            SignInRefusal::ChallengeGone => "challenge_gone",
            SignInRefusal::PasskeyRefused => "passkey_refused",
            SignInRefusal::TooManyFailures { .. } => "too_many_failures",
            SignInRefusal::PasskeyCloned => "passkey_cloned",
            SignInRefusal::InviteGone => "invitation_gone",
            SignInRefusal::InviteForAnother => "invitation_for_another",
            SignInRefusal::SignInFirst => "sign_in_first",
            SignInRefusal::PasskeyTaken => "passkey_registered",
            SignInRefusal::LastPasskey => "last_passkey",
            SignInRefusal::OwnRole => "own_role",
            SignInRefusal::NotAdministrator => "not_administrator",
            SignInRefusal::ReauthenticationRequired { .. } => "reauthentication_required",
            SignInRefusal::PasskeysUnavailable => "passkeys_unavailable",
        }
    }
}

/// Who asks with an access token, as the database has it at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionCaller {
    pub user: UserId,
    pub session: SessionId,
    pub email: String,
    pub name: String,
    pub global_admin: bool,
    /// The one that the token names.
    pub mode: Mode,
    pub memberships: Vec<(MerchantId, Role)>,
    pub authenticated_at: Timestamp,
    /// How long a login is recent enough for dangerous acts, in microseconds.
    pub fresh_login_us: i64,
}

impl SessionCaller {
    /// The role in an organisation; `None` for a foreign one. Global administrators are administrators in all.
    pub fn role(&self, merchant: MerchantId) -> Option<Role> {
        if self.global_admin {
            return Some(Role::Admin);
        }
        self.memberships.iter().find(|(of, _)| *of == merchant).map(|(_, role)| *role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Core;

    fn session() -> Session {
        Session {
            id: SessionId(Core([1; 12])),
            user: UserId(Core([2; 12])),
            mode: Mode::Test,
            created_at: Timestamp(0),
            seen_at: Timestamp(0),
            authenticated_at: Timestamp(0),
            refreshes: 0,
            ended: None,
        }
    }

    #[test]
    fn sessions_end_idle_at_their_lifetime_and_when_ended() {
        let at = |minutes: i64| Timestamp(minutes * MINUTE);
        let used = |minutes: i64| Session { seen_at: at(minutes), ..session() };
        for (session, now, open) in [
            (session(), at(14), true),
            (session(), at(15), false),
            (used(100), at(114), true),
            (used(100), at(115), false),
            (used(719), at(719), true),
            (used(719), at(720), false),
            (Session { ended: Some(SessionEnd::Logout), ..session() }, at(1), false),
        ] {
            assert_eq!(session.is_open(now), open, "{session:?} at {now:?}");
        }
    }

    #[test]
    fn use_is_written_once_a_minute() {
        assert!(!session().is_to_be_seen(Timestamp(SEEN_EVERY_US - 1)));
        assert!(session().is_to_be_seen(Timestamp(SEEN_EVERY_US)));
    }

    #[test]
    fn dangerous_acts_want_a_login_of_the_last_quarter_of_an_hour() {
        let login = Timestamp(HOUR);
        for (minutes, fresh) in [(0, true), (14, true), (15, false), (20, false), (-1, false)] {
            assert_eq!(
                is_fresh_login(login, FRESH_LOGIN_US, login.plus(minutes * MINUTE)),
                fresh,
                "{minutes}"
            );
        }
    }

    #[test]
    fn only_members_and_global_administrators_have_a_role() {
        let merchant = |n: u8| MerchantId(Core([n; 12]));
        let caller = SessionCaller {
            user: UserId(Core([2; 12])),
            session: SessionId(Core([1; 12])),
            email: "ada@example.com".to_owned(),
            name: String::new(),
            global_admin: false,
            mode: Mode::Test,
            memberships: vec![(merchant(7), Role::Support)],
            authenticated_at: Timestamp(0),
            fresh_login_us: FRESH_LOGIN_US,
        };
        assert_eq!(caller.role(merchant(7)), Some(Role::Support));
        assert_eq!(caller.role(merchant(8)), None);
        assert_eq!(SessionCaller { global_admin: true, ..caller }.role(merchant(8)), Some(Role::Admin));
    }
}
