//! Bank accounts to which a merchant has its balance paid out.

use crate::Metadata;
use crate::currency::Currency;
use crate::id::BankAccountId;
use crate::payout::{AccountNumber, Destination, DestinationKind};
use crate::scope::Scope;
use crate::text_enum;
use crate::time::Timestamp;

text_enum! {
    pub enum HolderType { Individual = "individual", Company = "company" }
}

/// One account in one currency. Its number is sealed beside it and never shown.
#[derive(Clone, Debug)]
pub struct BankAccount {
    pub id: BankAccountId,
    pub scope: Scope,
    pub holder: String,
    pub holder_type: Option<HolderType>,
    /// Two letters, if known.
    pub country: Option<String>,
    pub currency: Currency,
    pub bank_name: Option<String>,
    pub swift: Option<String>,
    pub last4: String,
    /// Equal for the same account of one merchant.
    pub fingerprint: String,
    /// Where payouts in its currency go that name no account. There is one in each currency that has any.
    pub is_default: bool,
    pub metadata: Metadata,
    pub created_at: Timestamp,
}

impl BankAccount {
    /// The account as payouts show it.
    pub fn destination(&self) -> Destination {
        Destination {
            kind: DestinationKind::BankAccount,
            bank_account: Some(self.id),
            holder: self.holder.clone(),
            last4: self.last4.clone(),
            country: self.country.clone(),
            bank_name: self.bank_name.clone(),
            swift: self.swift.clone(),
        }
    }
}

/// The sandbox's account that pays at once, as docs/sandbox.md lists it.
const STAND_IN: &str = "DE89370400440532013000";

/// What stands in for a bank account in test mode, so that a payout can be tried before one was added.
pub fn stand_in() -> Option<(AccountNumber, Destination)> {
    let number = AccountNumber::parse(STAND_IN).ok()?;
    let destination = Destination {
        kind: DestinationKind::BankAccount,
        bank_account: None,
        holder: "Sandbox account".to_owned(),
        last4: number.last4().to_owned(),
        country: number.country().map(str::to_owned),
        bank_name: Some("Sandbox bank".to_owned()),
        swift: None,
    };
    Some((number, destination))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stand_in_is_an_account() {
        let (number, destination) = stand_in().expect("an account");
        assert_eq!((number.last4(), destination.country.as_deref()), ("3000", Some("DE")));
    }
}
