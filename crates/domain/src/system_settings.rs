//! What the operator sets for the whole instance, by groups.

use crate::session::FRESH_LOGIN_US;
use crate::text_enum;
use crate::time::{HOUR, MINUTE};
use crate::user::INVITE_US;
use serde::{Deserialize, Serialize};

text_enum! {
    pub enum SystemGroup { Users = "users", ApiKeys = "api_keys" }
}

/// How people sign in and are invited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserSettings {
    /// Hours for which an invitation can be taken up.
    pub invitation_hours: i64,
    /// Minutes after which a login is too old for dangerous acts.
    pub fresh_login_minutes: i64,
}

impl Default for UserSettings {
    fn default() -> Self {
        UserSettings { invitation_hours: INVITE_US / HOUR, fresh_login_minutes: FRESH_LOGIN_US / MINUTE }
    }
}

impl UserSettings {
    /// How long an invitation can be taken up, in microseconds.
    pub const fn invite_us(&self) -> i64 {
        self.invitation_hours * HOUR
    }

    /// How long a login is fresh, in microseconds.
    pub const fn fresh_login_us(&self) -> i64 {
        self.fresh_login_minutes * MINUTE
    }
}

/// Bounds of [`UserSettings::invitation_hours`].
pub const INVITATION_HOURS: (i64, i64) = (1, 336);
/// Bounds of [`UserSettings::fresh_login_minutes`]. A session nobody uses ends after 15 minutes anyway.
pub const FRESH_LOGIN_MINUTES: (i64, i64) = (1, 60);

/// What keys of the Admin API must be. Keys that are there stay as they are until they are changed or rotated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeySettings {
    /// Live keys, and keys of the instance, must name the addresses that they are used from.
    pub live_need_addresses: bool,
    /// Hours for which a secret may work on after its rotation, at most.
    pub overlap_hours_max: i64,
}

impl Default for KeySettings {
    fn default() -> Self {
        KeySettings { live_need_addresses: false, overlap_hours_max: OVERLAP_HOURS.1 }
    }
}

/// Bounds of [`KeySettings::overlap_hours_max`].
pub const OVERLAP_HOURS: (i64, i64) = (0, crate::limits::KEY_OVERLAP_US / HOUR);
