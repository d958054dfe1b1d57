//! Where a merchant sells: a site on the Admin surface, a service on Gate. One per merchant and mode is
//! made with the merchant; more can be added.

use crate::currency::Currency;
use crate::id::{FeeGroupId, StorefrontId};
use crate::money::format_minor;
use crate::scope::Scope;
use crate::text_enum;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

text_enum! {
    /// A disabled storefront takes no new payments; what it has goes on.
    pub enum StorefrontStatus { Active = "active", Disabled = "disabled" }
}

/// Where payers go after a payment page: templates with `{payment_id}`, `{transaction_uuid}` and
/// `{status}`; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirects {
    pub success: String,
    pub fail: String,
    /// When the payer leaves, or the result is still open.
    pub back: String,
}

/// One storefront with what is set for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Storefront {
    pub id: StorefrontId,
    pub scope: Scope,
    /// Its integer on Gate.
    pub number: i64,
    pub name: String,
    /// Its own address; empty for none.
    pub url: String,
    pub status: StorefrontStatus,
    /// What it sells in.
    pub currency: Currency,
    /// Takes other currencies too.
    pub any_currency: bool,
    pub redirects: Redirects,
    /// Seconds from a request to its expiry.
    pub request_expiration: i64,
    /// Fees of its payments; the merchant's group if `None`.
    pub fee_group: Option<FeeGroupId>,
    /// Added for the payer to each payment in [`Storefront::currency`], in minor units.
    pub surcharge: i64,
    /// The surcharge is not shown to the payer as a line of its own.
    pub surcharge_hidden: bool,
    /// Payouts may be made through it.
    pub payouts: bool,
    /// Payers must say that they are 18 to 100 years old.
    pub adults_only: bool,
    /// Tries that a payer has on one page.
    pub attempts_max: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Seconds that a request is open if nothing else is set: 23 h 58 min 20 s, as Gate's document has it.
pub const REQUEST_EXPIRATION_S: i64 = 86_300;
/// The longest expiry that can be set: 30 days.
pub const REQUEST_EXPIRATION_MAX_S: i64 = 30 * 24 * 3_600;
/// Tries on one payment page if nothing else is set.
pub const ATTEMPTS_MAX: i64 = 5;

impl Storefront {
    /// A storefront with nothing set. `number` is given by the store.
    pub fn new(id: StorefrontId, scope: Scope, name: String, now: Timestamp) -> Storefront {
        Storefront {
            id,
            scope,
            number: 0,
            name,
            url: String::new(),
            status: StorefrontStatus::Active,
            currency: Currency::EUR,
            any_currency: false,
            redirects: Redirects::default(),
            request_expiration: REQUEST_EXPIRATION_S,
            fee_group: None,
            surcharge: 0,
            surcharge_hidden: false,
            payouts: true,
            adults_only: false,
            attempts_max: ATTEMPTS_MAX,
            created_at: now,
            updated_at: now,
        }
    }

    /// What is set for it, by the names of the command's flags; for operators to read. `fee_group`: its group's name.
    pub fn settings(&self, fee_group: Option<&str>) -> Vec<(&'static str, String)> {
        vec![
            ("name", self.name.clone()),
            ("url", self.url.clone()),
            ("status", self.status.as_str().to_owned()),
            ("currency", self.currency.code().to_owned()),
            ("any-currency", self.any_currency.to_string()),
            ("success-url", self.redirects.success.clone()),
            ("fail-url", self.redirects.fail.clone()),
            ("return-url", self.redirects.back.clone()),
            ("request-expiration", self.request_expiration.to_string()),
            ("fee-group", fee_group.unwrap_or_default().to_owned()),
            ("cost", format_minor(self.surcharge, self.currency)),
            ("cost-hidden", self.surcharge_hidden.to_string()),
            ("payouts", self.payouts.to_string()),
            ("adults-only", self.adults_only.to_string()),
            ("attempts", self.attempts_max.to_string()),
        ]
    }

    /// Whether it sells in `currency`.
    pub fn takes(&self, currency: Currency) -> bool {
        self.any_currency || currency == self.currency
    }

    /// What a payer pays on top of a payment in `currency`, in its minor units. The surcharge is set in the
    /// storefront's own currency, and no rate is guessed for others.
    pub fn surcharge_in(&self, currency: Currency) -> i64 {
        if currency == self.currency { self.surcharge } else { 0 }
    }
}

/// The name as it stands in an address: lower case, words joined by hyphens.
pub fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// What a redirect template may name.
pub const TEMPLATE_NAMES: [&str; 3] = ["payment_id", "transaction_uuid", "status"];

/// Fills a redirect template. Values are percent-encoded, so they cannot add to the address.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut filled = template.to_owned();
    for (name, value) in values {
        filled = filled.replace(&format!("{{{name}}}"), &percent_encode(value));
    }
    filled
}

fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        for (name, expected) in [
            ("Glover Group", "glover-group"),
            ("  MY  TEST!", "my-test"),
            ("Été & Co.", "t-co"),
            ("", ""),
            ("--", ""),
        ] {
            assert_eq!(slug(name), expected, "{name}");
        }
    }

    #[test]
    fn values_cannot_change_the_address() {
        let template = "https://shop.test/done/{payment_id}?s={status}";
        for (id, expected) in [
            ("a-1", "https://shop.test/done/a-1?s=success"),
            ("a/../b?x=1&y#z", "https://shop.test/done/a%2F..%2Fb%3Fx%3D1%26y%23z?s=success"),
            ("é {status}", "https://shop.test/done/%C3%A9%20%7Bstatus%7D?s=success"),
        ] {
            assert_eq!(fill(template, &[("payment_id", id), ("status", "success")]), expected);
        }
    }
}
