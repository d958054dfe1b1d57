//! Pure rules of the payment domain: words, ids, money, state machines and accounting recipes.
//!
//! Nothing here knows SQL, HTTP, async, a clock or randomness: time and random bytes are arguments.
//! Serde is derived on the entities because an event's snapshot is a serialised view of them.

pub mod access;
pub mod admin_key;
pub mod attempt;
pub mod audit;
pub mod balance;
pub mod bank;
pub mod bank_account;
pub mod card;
pub mod card_testing;
pub mod checkout;
pub mod client;
pub mod currency;
pub mod customer;
pub mod date;
pub mod erasure;
pub mod event;
pub mod export;
pub mod fee;
pub mod figures;
pub mod gate_operation;
pub mod gate_token;
pub mod gate_transaction;
pub mod id;
pub mod ledger;
pub mod limits;
pub mod merchant;
pub mod money;
pub mod network;
pub mod off_platform;
pub mod offboarding;
pub mod outcome;
pub mod passkey;
pub mod payment;
pub mod payment_method;
pub mod payout;
pub mod period;
pub mod rate;
pub mod refund;
#[cfg(test)]
mod samples;
pub mod scope;
pub mod session;
pub mod settings_group;
pub mod site;
pub mod site_checkout;
pub mod site_transaction;
pub mod storefront;
pub mod system_settings;
pub mod test_clock;
pub mod text;
mod text_enum;
pub mod time;
pub mod user;
pub mod webhook;

/// Key-value pairs of the merchant's own, in the order in which they were set.
pub type Metadata = Vec<(String, String)>;
