//! What the Admin API keeps of a client beside the customer that it is.

use crate::site_checkout::Party;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientFacts {
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub company: Option<String>,
    /// A VAT number as it was given; nobody has checked it.
    pub vat_id: Option<String>,
    pub billing: Option<Party>,
    pub shipping: Option<Party>,
}

impl ClientFacts {
    /// Both names as one.
    pub fn name(&self) -> Option<String> {
        let names = [&self.first_name, &self.last_name].into_iter().flatten().map(String::as_str);
        let names: Vec<&str> = names.collect();
        (!names.is_empty()).then(|| names.join(" "))
    }
}
