//! One file a noun; each handler reads its parameters, calls the engine and names the reply.

pub mod balance;
pub mod bank_accounts;
mod card_guard;
pub mod charges;
pub mod customers;
pub mod events;
pub mod payment_intents;
pub mod payment_methods;
pub mod payouts;
pub mod refunds;
pub mod shared;
pub mod test_helpers;
pub mod webhook_endpoints;
