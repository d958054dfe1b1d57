//! What an organisation sets for all of its sites, by groups.

use crate::storefront::{REQUEST_EXPIRATION_MAX_S, REQUEST_EXPIRATION_S};
use crate::text_enum;
use serde::{Deserialize, Serialize};

text_enum! {
    pub enum SettingsGroup { Checkout = "checkout", Ipn = "ipn" }
}

/// How checkouts made over the Admin API are, unless a request says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckoutSettings {
    /// Seconds until a checkout expires.
    pub expires_in: i64,
    /// Tries that a payer has.
    pub max_attempts: i64,
    /// Two letters; the payer's own language if `None`.
    pub language: Option<String>,
}

impl Default for CheckoutSettings {
    fn default() -> Self {
        CheckoutSettings {
            expires_in: REQUEST_EXPIRATION_S,
            max_attempts: crate::storefront::ATTEMPTS_MAX,
            language: None,
        }
    }
}

/// How notices to new sites are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IpnSettings {
    /// Version of the notices of sites that are made from now on.
    pub version: i64,
}

impl Default for IpnSettings {
    fn default() -> Self {
        IpnSettings { version: 1 }
    }
}

/// Bounds of [`CheckoutSettings::expires_in`].
pub const EXPIRES_IN_S: (i64, i64) = (60, REQUEST_EXPIRATION_MAX_S);
/// Bounds of [`CheckoutSettings::max_attempts`].
pub const MAX_ATTEMPTS: (i64, i64) = (1, 20);
