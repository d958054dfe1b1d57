//! A person or company that pays a merchant.

use crate::Metadata;
use crate::id::{ClockId, CustomerId, PaymentMethodId};
use crate::scope::Scope;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    pub line1: Option<String>,
    pub line2: Option<String>,
    pub city: Option<String>,
    pub state: Option<String>,
    pub postal_code: Option<String>,
    pub country: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shipping {
    pub name: Option<String>,
    pub phone: Option<String>,
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
    pub address: Address,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Customer {
    pub id: CustomerId,
    pub scope: Scope,
    pub email: Option<String>,
    pub name: Option<String>,
    pub phone: Option<String>,
    pub description: Option<String>,
    pub address: Option<Address>,
    pub shipping: Option<Shipping>,
    pub preferred_locales: Vec<String>,
    pub default_payment_method: Option<PaymentMethodId>,
    pub metadata: Metadata,
    /// The test clock that this customer and all that is made for it live by.
    pub clock: Option<ClockId>,
    pub created_at: Timestamp,
}

impl Customer {
    /// A customer of whom nothing is known.
    pub fn new(id: CustomerId, scope: Scope, created_at: Timestamp) -> Customer {
        Customer {
            id,
            scope,
            email: None,
            name: None,
            phone: None,
            description: None,
            address: None,
            shipping: None,
            preferred_locales: Vec::new(),
            default_payment_method: None,
            metadata: Metadata::new(),
            clock: None,
            created_at,
        }
    }
}
