//! Merchants, what is set per mode, their API keys and providers.

use crate::id::{ApiKeyId, FeeGroupId, MerchantId, ProviderId, StorefrontId};
use crate::offboarding::{MerchantStatus, Offboarding};
use crate::rate::TierName;
use crate::scope::Scope;
use crate::text_enum;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug)]
pub struct Merchant {
    pub id: MerchantId,
    pub name: String,
    pub profile: MerchantProfile,
    /// `None` for one that stays.
    pub offboarding: Option<Offboarding>,
    pub created_at: Timestamp,
}

impl Merchant {
    pub fn status(&self) -> MerchantStatus {
        self.offboarding.as_ref().map_or(MerchantStatus::Active, Offboarding::status)
    }
}

/// What a merchant says of itself, for whoever deals with it. Nothing here decides about money.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MerchantProfile {
    pub phone: String,
    pub email: String,
    pub bank_name: String,
    pub bank_swift: String,
    pub bank_account: String,
    pub tax_id: String,
    pub homepage: String,
    pub address: String,
}

/// What is set per merchant and mode, with the default storefront created beside it.
#[derive(Clone, Debug)]
pub struct MerchantMode {
    pub scope: Scope,
    pub storefront: StorefrontId,
    pub tier: TierName,
    pub fee_group: FeeGroupId,
    /// From capture to available, in microseconds.
    pub settlement_delay: i64,
    /// Whether refunds may take the available balance below zero without bound.
    pub refunds_below_zero: bool,
}

text_enum! {
    /// `sk_` keys do everything; `pk_` keys tokenise, and act on one payment with its client secret.
    pub enum KeyKind { Secret = "sk", Publishable = "pk" }
}

/// An API key as stored: its digest only, never its text.
#[derive(Clone, Debug)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub scope: Scope,
    pub kind: KeyKind,
    pub name: String,
    pub last4: String,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    /// When a key that was rotated with an overlap stops working.
    pub ends_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether requests with this key are taken at `now`.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.ends_at.is_none_or(|end| now < end)
    }
}

/// A configured account at a payment service provider.
#[derive(Clone, Debug)]
pub struct Provider {
    pub id: ProviderId,
    pub scope: Scope,
    /// Which connector speaks to it, for example `sandbox`.
    pub connector: String,
    pub name: String,
    pub enabled: bool,
    /// What of its credentials may be read back, by the names of their fields: secrets are masked.
    pub shown: Vec<(String, String)>,
    /// How the last check of its credentials ended; `None` before the first.
    pub check: Option<ProviderCheck>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A check of a provider's credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderCheck {
    pub at: Timestamp,
    /// Why the provider refused them; `None` if it took them.
    pub error: Option<String>,
}
