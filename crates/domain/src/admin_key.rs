//! Keys of the Admin API: of an organisation with scopes, or of the whole instance.

use crate::access::Grant;
use crate::id::{AdminKeyId, MerchantId};
use crate::network::{Network, any_contains};
use crate::scope::Mode;
use crate::time::Timestamp;
use std::net::IpAddr;

/// A key as stored: digests only, never its text.
#[derive(Clone, Debug)]
pub struct AdminKey {
    pub id: AdminKeyId,
    /// Whose key it is; `None` is a system key, which administers the instance.
    pub merchant: Option<MerchantId>,
    pub mode: Mode,
    pub name: String,
    pub grants: Vec<Grant>,
    /// Where it may be used from; anywhere if empty.
    pub networks: Vec<Network>,
    pub last4: String,
    pub created_by: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// Until when the secret before the last rotation works.
    pub old_until: Option<Timestamp>,
}

impl AdminKey {
    /// Whether a request from `address` may use it; `None` is an address that is not known for sure.
    pub fn may_come_from(&self, address: Option<IpAddr>) -> bool {
        self.networks.is_empty() || address.is_some_and(|address| any_contains(&self.networks, address))
    }
}

/// Keys of one organisation and mode that are not revoked.
pub const KEYS_MAX: usize = 100;
/// The same with revoked ones, which stay in the list until they are deleted.
pub const KEYS_KEPT: usize = 1_000;
/// Networks in one key's list.
pub const NETWORKS_MAX: usize = 50;

/// The two halves of `sk_<mode>_<keyId>.<secret>`; `sk_<keyId>.<secret>` is an old spelling of live ones. `None`
/// for any other text.
pub fn split_key(text: &str) -> Option<(Mode, AdminKeyId, &str)> {
    use crate::id::{Core, TypedId};
    let rest = text.strip_prefix("sk_")?;
    let (mode, rest) = match (rest.strip_prefix("live_"), rest.strip_prefix("test_")) {
        (Some(rest), _) => (Mode::Live, rest),
        (_, Some(rest)) => (Mode::Test, rest),
        (None, None) => (Mode::Live, rest),
    };
    let (id, secret) = rest.split_once('.')?;
    let core = Core::parse_hex(id)?;
    (!secret.is_empty()).then(|| (mode, AdminKeyId::from_core(core), secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_two_halves() {
        let id = "65f000000000000000000001";
        for (text, mode) in [
            (format!("sk_live_{id}.secret"), Some(Mode::Live)),
            (format!("sk_test_{id}.secret"), Some(Mode::Test)),
            (format!("sk_{id}.secret"), Some(Mode::Live)),
            (format!("sk_test_{id}."), None),
            (format!("sk_test_{id}"), None),
            (format!("pk_test_{id}.secret"), None),
            (format!("sk_test_{}.secret", id.to_uppercase().replace('6', "a")), None),
            ("sk_test_.secret".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(split_key(&text).map(|(mode, ..)| mode), mode, "{text}");
        }
        let text = format!("sk_test_{id}.a.b");
        let (_, _, secret) = split_key(&text).expect("a key");
        assert_eq!(secret, "a.b");
    }
}
