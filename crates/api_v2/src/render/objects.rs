use super::{API_VERSION, address, metadata, money, shipping};
use domain::bank_account::{BankAccount, HolderType};
use domain::card_testing::CardTestingAlert;
use domain::customer::Customer;
use domain::event::EventType;
use domain::id::{BankAccountId, ClockId, CustomerId, WebhookEndpointId};
use domain::off_platform::OffPlatformFacts;
use domain::payment_method::{CardFacts, MethodFacts, PaymentMethod};
use domain::test_clock::TestClock;
use domain::webhook::WebhookEndpoint;
use engine::view::{Balance, ChargeView, DeliveryView, EventView, KnownCustomer, Snapshot};
use serde_json::{Value, json};
use web::Urls;

pub fn payment_method(m: &PaymentMethod) -> Value {
    let b = &m.billing;
    let mut object = json!({
        "id": m.id.to_string(),
        "object": "payment_method",
        "billing_details": {
            "address": address(&b.address.clone().unwrap_or_default()),
            "email": b.email,
            "name": b.name,
            "phone": b.phone,
        },
        "created": m.created_at.secs(),
        "customer": m.customer.map(|c| c.to_string()),
        "livemode": m.scope.mode.is_live(),
        "metadata": metadata(&m.metadata),
        "type": m.facts.kind().as_str(),
    });
    object[m.facts.kind().as_str()] = match &m.facts {
        MethodFacts::Card(c) => json!({
            "brand": c.brand,
            "checks": checks(c),
            "country": c.country,
            "display_brand": c.brand,
            "exp_month": c.exp_month,
            "exp_year": c.exp_year,
            "fingerprint": c.fingerprint,
            "funding": c.funding,
            "generated_from": null,
            "last4": c.last4,
            "networks": { "available": [c.brand], "preferred": null },
            "three_d_secure_usage": { "supported": c.three_d_secure },
            "wallet": wallet(c),
        }),
        MethodFacts::OffPlatform(o) => off_platform(o),
        MethodFacts::Paypal(p) => json!({ "payer_email": p.payer_email, "payer_id": p.payer_id }),
        MethodFacts::SepaDebit(s) => json!({
            "bank_code": s.bank_code,
            "branch_code": "",
            "country": s.country,
            "fingerprint": s.fingerprint,
            "generated_from": { "charge": null, "setup_attempt": null },
            "last4": s.last4,
        }),
    };
    object
}

/// For a publishable key: without what the issuer says of the card.
pub fn payment_method_public(m: &PaymentMethod) -> Value {
    let mut object = payment_method(m);
    if let MethodFacts::Card(_) = &m.facts {
        let none =
            json!({ "address_line1_check": null, "address_postal_code_check": null, "cvc_check": null });
        object["card"]["checks"] = none;
    }
    object
}

/// What a merchant says of money that went past us.
pub(super) fn off_platform(o: &OffPlatformFacts) -> Value {
    json!({ "kind": o.kind, "paid_at": o.paid_at.map(|at| at.secs()), "reference": o.reference })
}

pub(super) fn wallet(c: &CardFacts) -> Value {
    c.wallet.map_or(Value::Null, |wallet| json!({ "type": wallet.as_str(), "dynamic_last4": null }))
}

pub(super) fn checks(c: &CardFacts) -> Value {
    json!({
        "address_line1_check": c.address_line1_check.map(|x| x.as_str()),
        "address_postal_code_check": c.postal_code_check.map(|x| x.as_str()),
        "cvc_check": c.cvc_check.map(|x| x.as_str()),
    })
}

pub fn customer(c: &Customer) -> Value {
    json!({
        "id": c.id.to_string(),
        "object": "customer",
        "address": c.address.as_ref().map(address),
        "balance": 0,
        "created": c.created_at.secs(),
        "currency": null,
        "default_source": null,
        "delinquent": false,
        "description": c.description,
        "discount": null,
        "email": c.email,
        "invoice_prefix": null,
        "invoice_settings": {
            "custom_fields": null,
            "default_payment_method": c.default_payment_method.map(|m| m.to_string()),
            "footer": null,
            "rendering_options": null,
        },
        "livemode": c.scope.mode.is_live(),
        "metadata": metadata(&c.metadata),
        "name": c.name,
        "phone": c.phone,
        "preferred_locales": c.preferred_locales,
        "shipping": c.shipping.as_ref().map(shipping),
        "tax_exempt": "none",
        "test_clock": c.clock.map(|id| id.to_string()),
    })
}

/// `secret` is shown at creation and rotation only.
pub fn webhook_endpoint(e: &WebhookEndpoint, secret: Option<&str>) -> Value {
    let mut object = json!({
        "id": e.id.to_string(),
        "object": "webhook_endpoint",
        "api_version": e.api_version,
        "created": e.created_at.secs(),
        "description": e.description,
        "disabled_reason": e.disabled_reason,
        "enabled_events": e.enabled_events,
        "livemode": e.scope.mode.is_live(),
        "metadata": metadata(&e.metadata),
        "status": e.status.as_str(),
        "url": e.url,
    });
    if let Some(secret) = secret {
        object["secret"] = json!(secret);
    }
    object
}

pub fn bank_account(b: &BankAccount) -> Value {
    json!({
        "id": b.id.to_string(),
        "object": "bank_account",
        "account_holder_name": b.holder,
        "account_holder_type": b.holder_type.map(HolderType::as_str),
        "bank_name": b.bank_name,
        "country": b.country,
        "created": b.created_at.secs(),
        "currency": b.currency.lower(),
        "default_for_currency": b.is_default,
        "fingerprint": b.fingerprint,
        "last4": b.last4,
        "livemode": b.scope.mode.is_live(),
        "metadata": metadata(&b.metadata),
        // The bank says whether an account is there only when money is sent to it.
        "status": "new",
        "swift": b.swift,
    })
}

pub fn bank_account_deleted(id: BankAccountId) -> Value {
    json!({ "id": id.to_string(), "object": "bank_account", "deleted": true })
}

pub fn customer_or_erased(known: &KnownCustomer) -> Value {
    match known {
        KnownCustomer::Present(c) => customer(c),
        KnownCustomer::Erased(id) => customer_erased(*id),
    }
}

/// All that is left to show of an erased customer.
pub fn customer_erased(id: CustomerId) -> Value {
    json!({ "id": id.to_string(), "object": "customer", "deleted": true })
}

pub fn endpoint_deleted(id: WebhookEndpointId) -> Value {
    json!({ "id": id.to_string(), "object": "webhook_endpoint", "deleted": true })
}

pub fn delivery(v: &DeliveryView) -> Value {
    let attempts: Vec<Value> = v
        .attempts
        .iter()
        .map(|a| {
            json!({
                "attempt": a.n,
                "trigger": a.cause,
                "url": a.url,
                "started": a.started_at.secs(),
                "duration_ms": a.duration_us / 1_000,
                "http_status": a.status,
                "error": a.error,
                "response_body": a.response,
            })
        })
        .collect();
    let d = &v.delivery;
    let pending = d.status == domain::webhook::DeliveryStatus::Pending;
    json!({
        "id": d.id.to_string(),
        "object": "webhook_delivery",
        "attempts": attempts,
        "attempt_count": d.attempts,
        "created": d.created_at.secs(),
        "event": d.event.to_string(),
        "event_type": v.event_type,
        "livemode": d.scope.mode.is_live(),
        "next_attempt": pending.then(|| d.due_at.secs()),
        "status": d.status.as_str(),
        "webhook_endpoint": d.endpoint.to_string(),
    })
}

pub fn clock(c: &TestClock) -> Value {
    json!({
        "id": c.id.to_string(),
        "object": "test_helpers.test_clock",
        "created": c.created_at.secs(),
        "deletes_after": c.deletes_after.secs(),
        "frozen_time": c.frozen_time.secs(),
        "livemode": false,
        "name": c.name,
        "status": c.status.as_str(),
        "status_details": c.target.map(|t| json!({ "advancing": { "target_frozen_time": t.secs() } }))
            .unwrap_or_else(|| json!({})),
    })
}

pub fn clock_deleted(id: ClockId) -> Value {
    json!({ "id": id.to_string(), "object": "test_helpers.test_clock", "deleted": true })
}

/// An event with its object as it was when it happened.
pub fn event(urls: &Urls, v: &EventView) -> Value {
    let e = &v.event;
    let livemode = e.scope.mode.is_live();
    let object = event_object(urls, e.event_type, &v.snapshot, livemode);
    let mut data = json!({ "object": object });
    if let Some(previous) = &v.snapshot.previous {
        let before = event_object(urls, e.event_type, previous, livemode);
        data["previous_attributes"] = changed(&before, &data["object"]);
    }
    json!({
        "id": e.id.to_string(),
        "object": "event",
        "api_version": API_VERSION,
        "created": e.created_at.secs(),
        "data": data,
        "livemode": e.scope.mode.is_live(),
        "pending_webhooks": v.pending_deliveries,
        // Surfaces set their keys apart by leading spaces, which the client never sent.
        "request": { "id": e.request, "idempotency_key": e.idempotency_key.as_deref().map(str::trim_start) },
        "type": e.event_type.as_str(),
    })
}

/// The old values of the top-level fields that differ.
fn changed(before: &Value, after: &Value) -> Value {
    let fields = before.as_object().into_iter().flatten();
    fields
        .filter(|(name, value)| after.get(name.as_str()) != Some(value))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

fn event_object(urls: &Urls, event_type: EventType, s: &Snapshot, livemode: bool) -> Value {
    use EventType as T;
    let object = match event_type {
        T::PaymentIntentCreated
        | T::PaymentIntentRequiresAction
        | T::PaymentIntentProcessing
        | T::PaymentIntentAmountCapturableUpdated
        | T::PaymentIntentSucceeded
        | T::PaymentIntentPaymentFailed
        | T::PaymentIntentCanceled => s.payment.as_ref().map(|p| money::payment_intent(urls, p)),
        T::ChargePending
        | T::ChargeSucceeded
        | T::ChargeFailed
        | T::ChargeCaptured
        | T::ChargeRefunded
        | T::ChargeExpired
        | T::ChargeUpdated => s.attempt.as_ref().zip(s.payment.as_ref()).map(|(attempt, payment)| {
            money::charge(&ChargeView { attempt: attempt.clone(), payment: payment.payment.clone() })
        }),
        T::RefundCreated | T::RefundUpdated | T::RefundFailed => s.refund.as_ref().map(money::refund),
        T::PayoutCreated | T::PayoutUpdated | T::PayoutPaid | T::PayoutFailed | T::PayoutCanceled => {
            s.payout.as_ref().map(money::payout)
        }
        T::PaymentMethodAttached | T::PaymentMethodDetached | T::PaymentMethodUpdated => {
            s.method.as_ref().map(payment_method)
        }
        T::CustomerCreated | T::CustomerUpdated => s.customer.as_ref().map(customer),
        T::CustomerDeleted => s.customer.as_ref().map(|c| customer_erased(c.id)),
        T::BalanceAvailable => s.balances.as_ref().map(|b| balance_snapshot(b, livemode)),
        T::AccountCardTestingSuspected => s.alert.as_ref().map(|a| card_testing_alert(a, livemode)),
        // Never shown on this surface; see `EventType::of_other_surface`.
        T::GateTransactionUpdated | T::GateOperationUpdated | T::SiteTransactionUpdated => None,
        T::TestClockCreated | T::TestClockAdvancing | T::TestClockReady | T::TestClockDeleted => {
            s.clock.as_ref().map(clock)
        }
    };
    object.unwrap_or(Value::Null)
}

fn card_testing_alert(a: &CardTestingAlert, livemode: bool) -> Value {
    json!({
        "object": "card_testing_alert",
        "declines": a.declines,
        "livemode": livemode,
        "open_until": a.open_until.secs(),
        "opened_at": a.opened_at.secs(),
        "tries": a.tries,
    })
}

fn balance_snapshot(balances: &[Balance], livemode: bool) -> Value {
    let amounts = |pick: fn(&Balance) -> i64| -> Value {
        balances.iter().map(|b| json!({ "amount": pick(b), "currency": b.currency.lower() })).collect()
    };
    json!({
        "object": "balance",
        "available": amounts(|b| b.available),
        "livemode": livemode,
        "pending": amounts(|b| b.pending),
    })
}
