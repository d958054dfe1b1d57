//! What an organisation sets for all of its sites, by groups.

use crate::currency::Currency;
use crate::storefront::{REQUEST_EXPIRATION_MAX_S, REQUEST_EXPIRATION_S};
use crate::text_enum;
use serde::{Deserialize, Serialize};

text_enum! {
    pub enum SettingsGroup { Checkout = "checkout", Ipn = "ipn", Refunds = "refunds" }
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

/// Which refunds people confirm with a passkey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RefundSettings {
    /// Minor units of a currency that is not in the list; `None` for no bound.
    pub confirm_above: Option<i64>,
    pub currencies: Vec<(Currency, i64)>,
}

impl Default for RefundSettings {
    fn default() -> Self {
        RefundSettings { confirm_above: Some(CONFIRM_ABOVE), currencies: Vec::new() }
    }
}

impl RefundSettings {
    /// Whether somebody who gives `amount` of one transaction back in all has to confirm it.
    pub fn confirms(&self, currency: Currency, amount: i64) -> bool {
        let own = self.currencies.iter().find(|(of, _)| *of == currency).map(|(_, above)| *above);
        own.or(self.confirm_above).is_some_and(|above| amount > above)
    }
}

/// Minor units above which people confirm refunds, until the organisation sets another bound: 1,000.00 of most
/// currencies.
const CONFIRM_ABOVE: i64 = 100_000;
/// Currencies of [`RefundSettings::currencies`].
pub const CURRENCIES_MAX: usize = 50;

/// Bounds of [`CheckoutSettings::expires_in`].
pub const EXPIRES_IN_S: (i64, i64) = (60, REQUEST_EXPIRATION_MAX_S);
/// Bounds of [`CheckoutSettings::max_attempts`].
pub const MAX_ATTEMPTS: (i64, i64) = (1, 20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_currencys_own_bound_counts_before_the_one_for_all() {
        let (euro, yen) = (Currency::EUR, Currency::parse("JPY").expect("a currency"));
        let usual = RefundSettings::default();
        let own = RefundSettings { currencies: vec![(yen, 5_000_000)], ..RefundSettings::default() };
        let never = RefundSettings { confirm_above: None, currencies: vec![(yen, 0)] };
        for (settings, currency, amount, confirmed) in [
            (&usual, euro, 100_000, false),
            (&usual, euro, 100_001, true),
            (&own, yen, 5_000_000, false),
            (&own, yen, 5_000_001, true),
            (&own, euro, 100_001, true),
            (&never, euro, i64::MAX, false),
            (&never, yen, 1, true),
        ] {
            assert_eq!(settings.confirms(currency, amount), confirmed, "{settings:?} {amount} {currency}");
        }
    }
}
