use super::{address, metadata, objects, shipping};
use domain::attempt::{Attempt, AttemptStatus};
use domain::balance::{BalanceKind, BalanceTransaction, CurrencyBalance};
use domain::outcome::RiskLevel;
use domain::payment::{Payment, PaymentError};
use domain::payment_method::{BillingDetails, MethodFacts};
use domain::payout::{Payout, PayoutStatus};
use domain::refund::Refund;
use engine::view::{ChargeView, PaymentView};
use serde_json::{Value, json};
use web::Urls;

/// A PaymentIntent.
pub fn payment_intent(urls: &Urls, view: &PaymentView) -> Value {
    let p = &view.payment;
    let d = &p.details;
    let types: Vec<&str> = d.payment_method_types.iter().map(|t| t.as_str()).collect();
    json!({
        "id": p.id.to_string(),
        "object": "payment_intent",
        "amount": p.total(),
        "amount_capturable": p.amount_capturable,
        "amount_received": p.amount_received,
        "application_fee_amount": null,
        "automatic_payment_methods": null,
        "canceled_at": p.canceled_at.map(|t| t.secs()),
        "cancellation_reason": p.cancellation_reason.map(|r| r.as_str()),
        "capture_method": p.capture_method.as_str(),
        "client_secret": p.client_secret,
        "confirmation_method": "automatic",
        "created": p.created_at.secs(),
        "currency": p.currency.lower(),
        "customer": p.customer.map(|c| c.to_string()),
        "description": d.description,
        "last_payment_error": p.last_error.as_ref().map(|e| last_error(urls, e, view)),
        "latest_charge": p.latest_charge.map(|c| c.to_string()),
        "livemode": p.scope.mode.is_live(),
        "metadata": metadata(&p.metadata),
        "next_action": next_action(urls, p),
        "on_behalf_of": null,
        "payment_method": p.payment_method.map(|m| m.to_string()),
        "payment_method_options": {},
        "payment_method_types": types,
        "processing": null,
        "receipt_email": d.receipt_email,
        "setup_future_usage": d.setup_future_usage.map(|u| u.as_str()),
        "shipping": d.shipping.as_ref().map(shipping),
        "statement_descriptor": d.statement_descriptor,
        "statement_descriptor_suffix": d.statement_descriptor_suffix,
        "status": p.status.as_str(),
        "transfer_data": null,
        "transfer_group": null,
    })
}

/// What a publishable key with the client secret may see: enough for a payment page, nothing of the
/// merchant's own notes.
pub fn payment_intent_public(urls: &Urls, view: &PaymentView) -> Value {
    let mut full = payment_intent(urls, view);
    if let Some(object) = full.as_object_mut() {
        for private in [
            "application_fee_amount",
            "customer",
            "latest_charge",
            "metadata",
            "on_behalf_of",
            "statement_descriptor",
            "statement_descriptor_suffix",
            "transfer_data",
            "transfer_group",
        ] {
            object.shift_remove(private);
        }
        if let Some(error) = object.get_mut("last_payment_error").and_then(Value::as_object_mut) {
            // Which check a card failed must not become an oracle for whoever tries cards.
            error.shift_remove("decline_code");
            error.shift_remove("charge");
            error.shift_remove("payment_method");
            let code = error.get("code").and_then(Value::as_str).unwrap_or_default();
            if let Some((code, message)) = crate::error::public_decline(code) {
                error.insert("code".to_owned(), json!(code));
                error.insert("message".to_owned(), json!(message));
                error.insert("doc_url".to_owned(), json!(format!("{}/docs/errors#{code}", urls.api)));
            }
        }
    }
    full
}

fn last_error(urls: &Urls, e: &PaymentError, view: &PaymentView) -> Value {
    json!({
        "type": "card_error",
        "code": e.decline.code,
        "decline_code": e.decline.decline_code,
        "message": e.decline.message,
        "charge": e.attempt.map(|a| a.to_string()),
        "doc_url": format!("{}/docs/errors#{}", urls.api, e.decline.code),
        "payment_method": view.failed_method.as_ref().map(objects::payment_method),
    })
}

fn next_action(urls: &Urls, p: &Payment) -> Value {
    match &p.next_action {
        None => Value::Null,
        Some(action) => json!({
            "type": "redirect_to_url",
            "redirect_to_url": {
                "url": format!("{}/3ds/{}", urls.public, action.code),
                "return_url": action.return_url,
            },
        }),
    }
}

/// A charge: one listed attempt of a payment.
pub fn charge(view: &ChargeView) -> Value {
    let (a, p) = (&view.attempt, &view.payment);
    let failed = a.decline.as_ref();
    let succeeded = charge_status(a.status) == "succeeded";
    json!({
        "id": a.id.to_string(),
        "object": "charge",
        "amount": a.amount,
        "amount_captured": a.amount_captured,
        "amount_refunded": a.amount_refunded,
        "balance_transaction": a.journal.filter(|_| !a.is_off_platform()).map(|j| j.to_string()),
        "billing_details": billing(&a.billing),
        "calculated_statement_descriptor": null,
        "captured": a.amount_captured > 0,
        "created": a.created_at.secs(),
        "currency": a.currency.lower(),
        "customer": p.customer.map(|c| c.to_string()),
        "description": p.details.description,
        "disputed": false,
        "failure_code": failed.map(|d| &d.code),
        "failure_message": failed.map(|d| &d.message),
        "fraud_details": {},
        "livemode": a.scope.mode.is_live(),
        "metadata": metadata(&p.metadata),
        "outcome": outcome(a),
        "paid": succeeded,
        "payment_intent": a.payment.to_string(),
        "payment_method": a.payment_method.to_string(),
        "payment_method_details": method_details(a),
        "receipt_email": p.details.receipt_email,
        "receipt_url": null,
        "refunded": a.amount_captured > 0 && a.amount_refunded == a.amount_captured,
        "shipping": p.details.shipping.as_ref().map(shipping),
        "statement_descriptor": p.details.statement_descriptor,
        "statement_descriptor_suffix": p.details.statement_descriptor_suffix,
        "status": if called_off(a) { "failed" } else { charge_status(a.status) },
    })
}

/// Awaited past us, and never came. A card's authorisation that was voided had succeeded.
fn called_off(a: &Attempt) -> bool {
    a.is_off_platform() && a.status == AttemptStatus::Canceled
}

fn charge_status(status: AttemptStatus) -> &'static str {
    match status {
        AttemptStatus::Authorised
        | AttemptStatus::Captured
        | AttemptStatus::Canceled
        | AttemptStatus::Expired => "succeeded",
        AttemptStatus::Failed => "failed",
        AttemptStatus::Submitted | AttemptStatus::RequiresAction | AttemptStatus::Processing => "pending",
    }
}

fn outcome(a: &Attempt) -> Value {
    let risk = match a.risk {
        RiskLevel::NotAssessed => "not_assessed",
        level => level.as_str(),
    };
    match (&a.decline, a.status.is_open()) {
        (_, true) => Value::Null,
        // Nobody was asked.
        _ if a.is_off_platform() => Value::Null,
        (None, false) => json!({
            "network_status": "approved_by_network",
            "reason": null,
            "risk_level": risk,
            "seller_message": "Payment complete.",
            "type": "authorized",
        }),
        (Some(d), false) if d.blocked => json!({
            "network_status": "not_sent_to_network",
            "reason": "highest_risk_level",
            "risk_level": "highest",
            "seller_message": "The payment was blocked as too risky; the bank was not asked.",
            "type": "blocked",
        }),
        (Some(d), false) => json!({
            "network_status": "declined_by_network",
            "reason": d.decline_code.as_ref().unwrap_or(&d.code),
            "risk_level": risk,
            "seller_message": "The bank declined the payment.",
            "type": "issuer_declined",
        }),
    }
}

fn billing(b: &BillingDetails) -> Value {
    json!({
        "address": address(&b.address.clone().unwrap_or_default()),
        "email": b.email,
        "name": b.name,
        "phone": b.phone,
    })
}

fn method_details(a: &Attempt) -> Value {
    match &a.method {
        MethodFacts::Card(c) => json!({
            "type": "card",
            "card": {
                "amount_authorized": a.amount,
                "brand": c.brand,
                "checks": objects::checks(c),
                "country": c.country,
                "exp_month": c.exp_month,
                "exp_year": c.exp_year,
                "fingerprint": c.fingerprint,
                "funding": c.funding,
                "last4": c.last4,
                "network": c.brand,
                "three_d_secure": a.authenticated.as_ref().map(|flow| json!({
                    "authentication_flow": flow,
                    "result": if a.decline.as_ref().is_some_and(|d| d.code.contains("authentication")) {
                        "failed"
                    } else {
                        "authenticated"
                    },
                    "version": "2.2.0",
                })),
                "wallet": objects::wallet(c),
            },
        }),
        MethodFacts::OffPlatform(o) => json!({
            "type": "off_platform",
            "off_platform": objects::off_platform(o),
        }),
        MethodFacts::Paypal(p) => json!({
            "type": "paypal",
            "paypal": { "payer_email": p.payer_email, "payer_id": p.payer_id },
        }),
        MethodFacts::SepaDebit(s) => json!({
            "type": "sepa_debit",
            "sepa_debit": {
                "bank_code": s.bank_code,
                "country": s.country,
                "fingerprint": s.fingerprint,
                "last4": s.last4,
            },
        }),
    }
}

pub fn refund(r: &Refund) -> Value {
    json!({
        "id": r.id.to_string(),
        "object": "refund",
        "amount": r.amount,
        "balance_transaction": (!r.off_platform).then(|| r.journal.to_string()),
        "charge": r.attempt.to_string(),
        "created": r.created_at.secs(),
        "currency": r.currency.lower(),
        "failure_balance_transaction": r.failure_journal.map(|j| j.to_string()),
        "failure_reason": r.failure_reason,
        "livemode": r.scope.mode.is_live(),
        "metadata": metadata(&r.metadata),
        "payment_intent": r.payment.to_string(),
        "reason": r.reason.map(|x| x.as_str()),
        "receipt_number": null,
        "status": r.status.as_str(),
    })
}

/// A payout.
pub fn payout(p: &Payout) -> Value {
    json!({
        "id": p.id.to_string(),
        "object": "payout",
        "amount": p.amount,
        "arrival_date": p.arrival_date.secs(),
        "automatic": false,
        "balance_transaction": p.journal.to_string(),
        "created": p.created_at.secs(),
        "currency": p.currency.lower(),
        "description": p.description,
        "destination": destination(p),
        "failure_balance_transaction": put_back(p),
        "failure_code": p.failure_code,
        "failure_message": p.failure_message,
        "livemode": p.scope.mode.is_live(),
        "metadata": metadata(&p.metadata),
        "method": "standard",
        "original_payout": null,
        "reconciliation_status": "not_applicable",
        "reversed_by": null,
        "source_type": "card",
        "statement_descriptor": null,
        "status": p.status.as_str(),
        "type": p.destination.kind.as_str(),
    })
}

/// The id of the merchant's bank account; an account that only the request named is shown itself.
fn destination(p: &Payout) -> Value {
    let d = &p.destination;
    if let Some(id) = d.bank_account {
        return json!(id.to_string());
    }
    json!({
        "object": d.kind.as_str(),
        "account_holder_name": d.holder,
        "bank_name": d.bank_name,
        "country": d.country,
        "currency": p.currency.lower(),
        "last4": d.last4,
        "swift": d.swift,
    })
}

/// The transaction by which a failed or canceled payout came back.
fn put_back(p: &Payout) -> Option<String> {
    let back = matches!(p.status, PayoutStatus::Failed | PayoutStatus::Canceled);
    p.closing_journal.filter(|_| back).map(|j| j.to_string())
}

pub fn balance_transaction(b: &BalanceTransaction) -> Value {
    let payout =
        matches!(b.kind, BalanceKind::Payout | BalanceKind::PayoutFailure | BalanceKind::PayoutCancel);
    let fees = if b.fee == 0 {
        json!([])
    } else {
        json!([{
            "amount": b.fee,
            "application": null,
            "currency": b.currency.lower(),
            "description": if payout { "Payout fee" } else { "Processing fee" },
            "type": if payout { "payout_fee" } else { "processing_fee" },
        }])
    };
    json!({
        "id": b.journal.to_string(),
        "object": "balance_transaction",
        "amount": b.amount,
        "available_on": b.available_on.secs(),
        "created": b.created_at.secs(),
        "currency": b.currency.lower(),
        "description": null,
        "exchange_rate": null,
        "fee": b.fee,
        "fee_details": fees,
        "livemode": b.scope.mode.is_live(),
        "net": b.amount - b.fee,
        "reporting_category": match b.kind {
            BalanceKind::Payment => "charge",
            BalanceKind::PayoutFailure | BalanceKind::PayoutCancel => "payout_reversal",
            kind => kind.as_str(),
        },
        "source": b.source,
        "status": if b.available { "available" } else { "pending" },
        "type": b.kind.as_str(),
    })
}

/// What the merchant has. A currency with nothing in it is left out, unless there is no other.
pub fn balance(balances: &[CurrencyBalance], livemode: bool) -> Value {
    let amounts = |pick: fn(&CurrencyBalance) -> i64| -> Value {
        balances.iter().map(|b| json!({ "amount": pick(b), "currency": b.currency.lower() })).collect()
    };
    json!({
        "object": "balance",
        "available": amounts(|b| b.available),
        "livemode": livemode,
        "pending": amounts(|b| b.pending),
        "refund_and_dispute_prefunding": null,
    })
}
