//! Transactions, operations and services in Gate's words. Amounts are decimal texts, so that no float enters
//! what is signed; times are UTC.

use domain::currency::Currency;
use domain::date::{iso_micros, plain_seconds};
use domain::gate_operation::{GateOperation, OperationKind, OperationStatus};
use domain::gate_transaction::{RecurringTerms, TransactionKind};
use domain::id::{AttemptId, PayoutId, RefundId, TypedId};
use domain::money::format_minor;
use domain::payment_method::MethodFacts;
use domain::storefront::slug;
use domain::time::Timestamp;
use engine::view::{GateView, ServiceView};
use serde_json::{Map, Value, json};
use web::Urls;

/// Two shapes of the same objects are documented, with different formats of time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// In answers: `2024-10-19T21:24:12.000000Z`.
    Answer,
    /// In callbacks: `2025-01-29 23:44:15`.
    Callback,
}

impl Shape {
    fn time(self, at: Timestamp) -> String {
        match self {
            Shape::Answer => iso_micros(at),
            Shape::Callback => plain_seconds(at),
        }
    }
}

/// The address of a transaction's page.
pub fn page_url(urls: &Urls, uuid: &str) -> String {
    format!("{}/payment/{uuid}", urls.public)
}

/// A transaction with its operations; with its service where the surface shows it.
pub fn transaction(urls: &Urls, view: &GateView, shape: Shape, with_service: bool) -> Value {
    let t = &view.transaction;
    let direction = direction_of(t.kind);
    let mut object = json!({
        "id": t.number,
        "payment_id": t.payment_id,
        "uuid": t.uuid,
        "service_id": view.service.storefront.number,
        "merchant_id": view.service.merchant_number,
        "customer_id": view.payer,
        "cost": format_minor(t.cost, t.currency),
        "cost_is_hidden": if t.cost_hidden { "yes" } else { "no" },
        "cost_type": direction,
        "last_error_message": t.last_error_message,
        "last_error_code": t.last_error_code,
        "amount": format_minor(t.amount, t.currency),
        "currency": t.currency.code(),
        "type": t.kind.as_str(),
        "status": t.status.as_str(),
        "request": serde_json::from_str::<Value>(&t.request).unwrap_or(Value::Null),
        "redirect_url": page_url(urls, &t.uuid),
        "metadata": metadata(view),
        "created_at": shape.time(t.created_at),
        "updated_at": shape.time(t.updated_at),
        "operations": operations(view, shape),
    });
    if with_service && let Some(fields) = object.as_object_mut() {
        fields.insert("service".to_owned(), service(&view.service, view.provider, shape));
    }
    object
}

fn direction_of(kind: TransactionKind) -> &'static str {
    match kind {
        TransactionKind::Purchase | TransactionKind::Recurring => "in",
        TransactionKind::Payout => "out",
    }
}

pub fn operations(view: &GateView, shape: Shape) -> Vec<Value> {
    view.operations.iter().map(|o| operation(view, o, shape)).collect()
}

pub fn operation(view: &GateView, o: &GateOperation, shape: Shape) -> Value {
    let currency = view.transaction.currency;
    let fee = format_minor(o.state.fee, currency);
    json!({
        "id": o.number,
        "uuid": o.uuid,
        "payment_system_id": view.provider,
        "payment_system_transaction_id": provider_reference(o),
        "transaction_id": o.transaction_number,
        "merchant_id": view.service.merchant_number,
        "service_id": view.service.storefront.number,
        "amount": format_minor(o.amount, currency),
        "currency": currency.code(),
        "fee": fee,
        "total_fee": fee,
        "fee_group": view.service.fee_group,
        "direction": match o.kind {
            OperationKind::Sale | OperationKind::Subscription => "in",
            OperationKind::Refund | OperationKind::Payout => "out",
        },
        "type": o.kind.as_str(),
        "status": o.state.status.as_str(),
        "errors": errors(o, shape),
        "error_code": o.state.error_code,
        "message": o.state.message,
        "comment": o.comment,
        "metadata": match o.kind {
            OperationKind::Subscription => json!({ "subscription_data": [] }),
            OperationKind::Sale | OperationKind::Refund | OperationKind::Payout => Value::Null,
        },
        "confirmed_at": o.confirmed_at.map(plain_seconds),
        "created_at": shape.time(o.created_at),
        "updated_at": shape.time(o.updated_at),
    })
}

/// Our reference, under which the provider knows it; empty before it was asked.
fn provider_reference(o: &GateOperation) -> String {
    let Some(object) = o.object else { return String::new() };
    match o.kind {
        OperationKind::Sale | OperationKind::Subscription => AttemptId::from_core(object).to_string(),
        OperationKind::Refund => RefundId::from_core(object).to_string(),
        OperationKind::Payout => PayoutId::from_core(object).to_string(),
    }
}

fn errors(o: &GateOperation, shape: Shape) -> Value {
    let failed = matches!(o.state.status, OperationStatus::InternalError | OperationStatus::ExternalError);
    if !failed || o.state.error_code == 0 {
        return if shape == Shape::Answer { json!([]) } else { Value::Null };
    }
    json!([{
        "code": o.state.error_code.to_string(),
        "name": o.state.error_name,
        "message": o.state.message,
    }])
}

/// What paid, and the terms of a recurring transaction; null when there is nothing to say.
fn metadata(view: &GateView) -> Value {
    let mut gate = Map::new();
    if let Some(terms) = &view.transaction.recurring {
        gate.extend(recurring(terms));
    }
    if !gate.is_empty() || view.method.is_some() {
        gate.insert("card_meta".to_owned(), card_meta(view.method.as_ref()));
    }
    if gate.is_empty() { Value::Null } else { json!({ "gate": gate }) }
}

/// Until a subscription exists its names are `ERR`, as documented.
fn recurring(terms: &RecurringTerms) -> Map<String, Value> {
    let end =
        terms.end_at.map_or_else(|| "Infinite (until cancellation/expiration)".to_owned(), plain_seconds);
    let mut fields = Map::new();
    for (name, value) in [
        ("start_date", json!(plain_seconds(terms.start_at))),
        ("end_date", json!(end)),
        ("days_cycle", json!(terms.cycle_days)),
        ("trial_days", json!(terms.trial_days)),
        ("customer_id", json!("ERR")),
        ("subscription_id", json!("ERR")),
    ] {
        fields.insert(name.to_owned(), value);
    }
    fields
}

fn card_meta(method: Option<&MethodFacts>) -> Value {
    let (mask, kind, expiration) = match method {
        Some(MethodFacts::Card(card)) => (
            Some(format!("**** **** **** {}", card.last4)),
            Some(card.brand.clone()),
            Some(format!("{:02}/{}", card.exp_month, card.exp_year)),
        ),
        Some(MethodFacts::SepaDebit(debit)) => {
            (Some(format!("{} **** {}", debit.country, debit.last4)), Some("sepa_debit".to_owned()), None)
        }
        Some(MethodFacts::Paypal(_)) => (None, Some("paypal".to_owned()), None),
        Some(MethodFacts::OffPlatform(facts)) => (None, Some(facts.kind.as_str().to_owned()), None),
        None => (None, None, None),
    };
    json!({ "mask": mask, "type": kind, "token": null, "holder": null, "expiration": expiration })
}

fn service(s: &ServiceView, provider: Option<i64>, shape: Shape) -> Value {
    let store = &s.storefront;
    let webhooks: Vec<Value> = s
        .webhooks
        .iter()
        .map(|w| {
            json!({
                "id": w.number,
                "url": w.url,
                "status": if w.active { "active" } else { "disabled" },
                "service_id": store.number,
                "created_at": iso_micros(w.created_at),
                "updated_at": iso_micros(w.created_at),
                "deleted_at": null,
            })
        })
        .collect();
    json!({
        "id": store.number,
        "name": store.name,
        "slug": slug(&store.name),
        "merchant_id": s.merchant_number,
        "user_id": s.merchant_number,
        "payment_system_id": provider,
        "url": store.url,
        "redirect_success_url": store.redirects.success,
        "redirect_fail_url": store.redirects.fail,
        "redirect_return_url": store.redirects.back,
        "request_expiration": store.request_expiration,
        "currency": store.currency.code(),
        "fee_cost": format_minor(store.surcharge, store.currency),
        "fee_group": s.fee_group,
        "type": "unknown",
        "status": store.status.as_str(),
        "params": [],
        "webhooks": webhooks,
        "transactions_count": s.transactions,
        "merchant": merchant(s, shape),
        "payment_system": {},
        "created_at": shape.time(store.created_at),
        "updated_at": shape.time(store.updated_at),
        "deleted_at": null,
    })
}

fn merchant(s: &ServiceView, shape: Shape) -> Value {
    let p = &s.merchant;
    json!({
        "id": s.merchant_number,
        "name": s.merchant_name,
        "slug": slug(&s.merchant_name),
        "phone": p.phone,
        "email": p.email,
        "bank_name": p.bank_name,
        "bank_swift": p.bank_swift,
        "bank_account": p.bank_account,
        "tax_id": p.tax_id,
        "homepage": p.homepage,
        "address": p.address,
        "user_id": s.merchant_number,
        "status": "verified",
        "created_at": shape.time(s.merchant_created_at),
        "updated_at": shape.time(s.merchant_created_at),
        "deleted_at": null,
    })
}

/// A purchase's amount as its refund messages name it.
pub fn amount_text(minor: i64, currency: Currency) -> String {
    format!("{} {}", format_minor(minor, currency), currency.code())
}

/// A transaction alone, as a refund's answer shows it within the operation.
pub fn bare_transaction(urls: &Urls, view: &GateView) -> Value {
    let mut object = transaction(urls, view, Shape::Answer, false);
    if let Some(fields) = object.as_object_mut() {
        fields.remove("operations");
    }
    object
}
