//! Objects for the tests of this crate.

use crate::attempt::{Attempt, AttemptStatus};
use crate::checkout::{Checkout, CheckoutDetails};
use crate::currency::Currency;
use crate::id::{Core, MerchantId, ProviderId, StorefrontId};
use crate::outcome::RiskLevel;
use crate::payment::{CaptureMethod, Payment, PaymentDetails, PaymentStatus};
use crate::payment_method::{BillingDetails, MethodFacts, MethodKind, PaymentMethod, SepaFacts};
use crate::payout::{Destination, DestinationKind, Payout, PayoutCall, PayoutStatus};
use crate::scope::{Mode, Scope};
use crate::time::Timestamp;

pub const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

fn id<T: crate::id::TypedId>(n: u8) -> T {
    T::from_core(Core::new(1_790_000_000_000, [n; 6]))
}

pub fn scope() -> Scope {
    Scope { merchant: id::<MerchantId>(1), mode: Mode::Test }
}

pub fn provider() -> ProviderId {
    id(2)
}

pub fn payment(status: PaymentStatus, amount: i64) -> Payment {
    Payment {
        id: id(3),
        scope: scope(),
        storefront: id::<StorefrontId>(4),
        provider: Some(provider()),
        amount,
        surcharge: 0,
        currency: Currency::EUR,
        status,
        operation: None,
        capture_method: CaptureMethod::Automatic,
        payment_method: None,
        customer: None,
        client_secret: String::new(),
        amount_capturable: 0,
        amount_received: 0,
        amount_refunded: 0,
        pending_balance: 0,
        fee: 0,
        refund_shortfall: 0,
        available_on: None,
        capture_before: None,
        last_error: None,
        latest_attempt: None,
        latest_charge: None,
        attempts: 0,
        next_action: None,
        details: PaymentDetails {
            payment_method_types: MethodKind::ALL.to_vec(),
            ..PaymentDetails::default()
        },
        checkout: false,
        metadata: Vec::new(),
        canceled_at: None,
        cancellation_reason: None,
        clock: None,
        created_at: NOW,
    }
}

/// A bank account: the simplest facts there are.
pub fn method() -> PaymentMethod {
    PaymentMethod {
        id: id(5),
        scope: scope(),
        facts: MethodFacts::SepaDebit(SepaFacts {
            last4: "3000".to_owned(),
            country: "DE".to_owned(),
            bank_code: "37040044".to_owned(),
            fingerprint: "x".to_owned(),
        }),
        billing: BillingDetails::default(),
        customer: None,
        provider_token: String::new(),
        used_up: false,
        metadata: Vec::new(),
        created_at: NOW,
    }
}

pub fn attempt(payment: &Payment, status: AttemptStatus) -> Attempt {
    let method = method();
    Attempt {
        id: id(6),
        scope: payment.scope,
        payment: payment.id,
        provider: provider(),
        status,
        amount: payment.total(),
        currency: payment.currency,
        amount_captured: 0,
        amount_refunded: 0,
        fee: 10,
        payment_method: method.id,
        method: method.facts,
        billing: method.billing,
        decline: None,
        risk: RiskLevel::Normal,
        authenticated: None,
        listed: false,
        form: None,
        redirected: false,
        journal: None,
        clock: None,
        created_at: NOW,
    }
}

/// The open page of a payment, which expires at [`NOW`].
pub fn checkout(payment: &Payment, attempts_max: i64) -> Checkout {
    Checkout {
        payment: payment.id,
        scope: scope(),
        storefront: payment.storefront,
        customer: None,
        code: String::new(),
        details: CheckoutDetails::default(),
        attempts_max,
        open: true,
        submitted_at: None,
        expires_at: NOW,
        clock: None,
        created_at: NOW,
    }
}

/// A payout that was just begun.
pub fn payout(amount: i64, fee: i64) -> Payout {
    Payout {
        id: id(7),
        scope: scope(),
        storefront: id::<StorefrontId>(4),
        provider: provider(),
        amount,
        fee,
        currency: Currency::EUR,
        status: PayoutStatus::Pending,
        call: Some(PayoutCall::Send),
        destination: Destination {
            kind: DestinationKind::BankAccount,
            bank_account: None,
            holder: "Test GmbH".to_owned(),
            last4: "3000".to_owned(),
            country: Some("DE".to_owned()),
            bank_name: None,
            swift: None,
        },
        description: None,
        failure_code: None,
        failure_message: None,
        journal: id(8),
        closing_journal: None,
        metadata: Vec::new(),
        clock: None,
        arrival_date: NOW,
        created_at: NOW,
    }
}
