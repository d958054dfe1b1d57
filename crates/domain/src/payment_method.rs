//! Something that can pay: facts about a card or bank account, never its number.

use crate::Metadata;
use crate::customer::Address;
use crate::id::{CustomerId, PaymentMethodId};
use crate::off_platform::OffPlatformFacts;
use crate::scope::Scope;
use crate::text_enum;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

text_enum! {
    pub enum MethodKind {
        Card = "card",
        SepaDebit = "sepa_debit",
        Paypal = "paypal",
        /// Not by us; see [`crate::off_platform`]. No request names it.
        OffPlatform = "off_platform",
    }
}

text_enum! {
    pub enum Check { Pass = "pass", Fail = "fail", Unavailable = "unavailable", Unchecked = "unchecked" }
}

text_enum! {
    pub enum Wallet { ApplePay = "apple_pay", GooglePay = "google_pay" }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardFacts {
    pub brand: String,
    pub last4: String,
    pub exp_month: u8,
    pub exp_year: u16,
    pub funding: String,
    pub country: String,
    /// Keyed per merchant, so equal numbers are equal within a merchant and unrelated across them.
    pub fingerprint: String,
    pub three_d_secure: bool,
    /// The wallet that gave it, such as `apple_pay`.
    #[serde(default)]
    pub wallet: Option<Wallet>,
    pub cvc_check: Option<Check>,
    pub address_line1_check: Option<Check>,
    pub postal_code_check: Option<Check>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SepaFacts {
    pub last4: String,
    pub country: String,
    pub bank_code: String,
    pub fingerprint: String,
}

/// A PayPal account, as the provider names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaypalFacts {
    pub payer_email: String,
    pub payer_id: String,
    pub fingerprint: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MethodFacts {
    Card(CardFacts),
    SepaDebit(SepaFacts),
    Paypal(PaypalFacts),
    OffPlatform(OffPlatformFacts),
}

impl MethodFacts {
    pub fn kind(&self) -> MethodKind {
        match self {
            MethodFacts::Card(_) => MethodKind::Card,
            MethodFacts::SepaDebit(_) => MethodKind::SepaDebit,
            MethodFacts::Paypal(_) => MethodKind::Paypal,
            MethodFacts::OffPlatform(_) => MethodKind::OffPlatform,
        }
    }

    /// The last characters of what names it, to tell one from another; empty where there is no number.
    pub fn last4(&self) -> &str {
        match self {
            MethodFacts::Card(card) => &card.last4,
            MethodFacts::SepaDebit(sepa) => &sepa.last4,
            MethodFacts::Paypal(_) | MethodFacts::OffPlatform(_) => "",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BillingDetails {
    pub address: Option<Address>,
    pub email: Option<String>,
    pub name: Option<String>,
    pub phone: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PaymentMethod {
    pub id: PaymentMethodId,
    pub scope: Scope,
    pub facts: MethodFacts,
    pub billing: BillingDetails,
    pub customer: Option<CustomerId>,
    /// What the connector understands in place of the number. Not secret in the sandbox; never shown.
    #[serde(skip)]
    pub provider_token: String,
    /// A method without a customer can pay once; a detached one never again.
    pub used_up: bool,
    pub metadata: Metadata,
    pub created_at: Timestamp,
}
