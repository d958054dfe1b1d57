//! A checkout as a shop makes it over the Admin API: what it sells, to whom, and where to tell of it.

use crate::id::PaymentId;
use crate::scope::Scope;
use crate::text_enum;
use serde::{Deserialize, Serialize};

text_enum! {
    pub enum ItemKind {
        Goods = "goods",
        DigitalService = "digital_service",
        Shipping = "shipping",
        Tax = "tax",
        Discount = "discount",
    }
}

/// One line of what is sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteItem {
    pub name: String,
    pub description: Option<String>,
    pub quantity: i64,
    /// Minor units; below zero for discounts.
    pub unit_price: i64,
    /// Hundredths of a percent.
    pub vat_rate: Option<i64>,
    pub kind: ItemKind,
}

/// Lines of one checkout.
pub const ITEMS_MAX: usize = 200;
/// Pieces of one line.
pub const QUANTITY_MAX: i64 = 1_000_000;

/// The sum of the lines in minor units; `None` when it is out of bounds.
pub fn sum(items: &[SiteItem]) -> Option<i64> {
    items.iter().try_fold(0i64, |sum, item| sum.checked_add(item.quantity.checked_mul(item.unit_price)?))
}

/// Whom something is billed or sent to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Party {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub company: Option<String>,
    pub address1: Option<String>,
    pub address2: Option<String>,
    pub city: Option<String>,
    pub state: Option<String>,
    pub postcode: Option<String>,
    pub country: Option<String>,
    pub phone: Option<String>,
}

impl Party {
    /// Both names as one.
    pub fn name(&self) -> Option<String> {
        let names: Vec<&str> =
            [&self.first_name, &self.last_name].into_iter().flatten().map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join(" "))
    }
}

/// What a checkout has beside its payment and its page.
#[derive(Clone, Debug)]
pub struct SiteCheckout {
    pub payment: PaymentId,
    pub scope: Scope,
    /// The shop's own name of the order.
    pub external_reference: Option<String>,
    pub invoice_number: Option<String>,
    pub items: Vec<SiteItem>,
    pub billing: Option<Party>,
    pub shipping: Option<Party>,
    pub ipn_url: Option<String>,
    /// The site's version of notices when this was made.
    pub ipn_version: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_wrap() {
        let item = |quantity, unit_price| SiteItem {
            name: String::new(),
            description: None,
            quantity,
            unit_price,
            vat_rate: None,
            kind: ItemKind::Goods,
        };
        assert_eq!(sum(&[]), Some(0));
        assert_eq!(sum(&[item(2, 1_000), item(1, -500)]), Some(1_500));
        assert_eq!(sum(&[item(QUANTITY_MAX, i64::MAX)]), None);
        assert_eq!(sum(&[item(1, i64::MAX), item(1, 1)]), None);
    }
}
