//! Rows of a merchant's data as they are handed out in bulk, for a table of numbers and texts.

use crate::attempt::Attempt;
use crate::audit::AuditEntry;
use crate::checkout::Checkout;
use crate::client::ClientFacts;
use crate::currency::Currency;
use crate::customer::Customer;
use crate::id::{CustomerId, ProviderId, StorefrontId};
use crate::payment::{CancellationReason, PaymentStatus};
use crate::refund::Refund;
use crate::text_enum;

text_enum! {
    pub enum ExportKind {
        Transactions = "transactions",
        Clients = "clients",
        Checkouts = "checkouts",
        Refunds = "refunds",
    }
}

/// One attempt, with what else is said of it.
#[derive(Clone, Debug)]
pub struct TransactionRow {
    pub attempt: Attempt,
    pub storefront: StorefrontId,
    pub storefront_name: String,
    pub customer: Option<CustomerId>,
    pub customer_email: Option<String>,
    pub provider_name: String,
    /// Fee kept on the payment, in minor units; zero unless this attempt was captured.
    pub fee: i64,
    /// The shop's own name of the order.
    pub external_reference: Option<String>,
    pub invoice_number: Option<String>,
}

/// One client that is not deleted.
#[derive(Clone, Debug)]
pub struct ClientRow {
    pub customer: Customer,
    pub facts: ClientFacts,
}

#[derive(Clone, Debug)]
pub struct CheckoutRow {
    pub checkout: Checkout,
    /// What the payer pays, in minor units, a surcharge included.
    pub amount: i64,
    pub currency: Currency,
    pub status: PaymentStatus,
    pub cancellation_reason: Option<CancellationReason>,
    pub storefront_name: String,
    pub external_reference: Option<String>,
    pub invoice_number: Option<String>,
}

#[derive(Clone, Debug)]
pub struct RefundRow {
    pub refund: Refund,
    pub provider: ProviderId,
    pub provider_name: String,
    pub external_reference: Option<String>,
}

/// Rows of one kind, oldest first.
#[derive(Clone, Debug)]
pub enum ExportRows {
    Transactions(Vec<TransactionRow>),
    Clients(Vec<ClientRow>),
    Checkouts(Vec<CheckoutRow>),
    Refunds(Vec<RefundRow>),
}

/// An entry's place in the chain of seals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSeal {
    pub seq: i64,
    /// The hash of the seal before it; empty for the first.
    pub previous: Vec<u8>,
    pub hash: Vec<u8>,
}

/// An entry of the audit log with its seal; `None` while it is too young for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedEntry {
    pub entry: AuditEntry,
    pub seal: Option<AuditSeal>,
}
