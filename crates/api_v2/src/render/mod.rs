//! Engine views as the JSON objects of REST v2. Every field is always there, null when empty.

mod money;
mod objects;

pub use money::{
    balance, balance_transaction, charge, payment_intent, payment_intent_public, payout, refund,
};
pub use objects::{
    bank_account, bank_account_deleted, clock, clock_deleted, customer, customer_erased, customer_or_erased,
    delivery, endpoint_deleted, event, payment_method, payment_method_public, webhook_endpoint,
};

use domain::Metadata;
use domain::customer::{Address, Shipping};
use engine::view::View;
use serde_json::{Map, Value, json};
use web::Urls;

/// The version that events and endpoints name.
pub const API_VERSION: &str = "v2";

pub(crate) fn metadata(pairs: &Metadata) -> Value {
    Value::Object(pairs.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<Map<_, _>>())
}

pub(crate) fn address(a: &Address) -> Value {
    json!({
        "city": a.city,
        "country": a.country,
        "line1": a.line1,
        "line2": a.line2,
        "postal_code": a.postal_code,
        "state": a.state,
    })
}

pub(crate) fn shipping(s: &Shipping) -> Value {
    json!({
        "address": address(&s.address),
        "carrier": s.carrier,
        "name": s.name,
        "phone": s.phone,
        "tracking_number": s.tracking_number,
    })
}

/// Any view as its object.
pub fn view(urls: &Urls, view: &View) -> Value {
    match view {
        View::Payment(v) => payment_intent(urls, v),
        View::Refund(v) => refund(v),
        View::Payout(v) => payout(v),
        View::Customer(v) => customer(v),
        View::CustomerErased(id) => customer_erased(*id),
        View::BankAccount(v) => bank_account(v),
        View::BankAccountDeleted(id) => bank_account_deleted(*id),
        View::PaymentMethod(v) => payment_method(v),
        View::Endpoint(v) => webhook_endpoint(&v.endpoint, v.secret.as_deref()),
        View::EndpointDeleted(id) => endpoint_deleted(*id),
        View::Event(v) => event(urls, v),
        View::Clock(v) => clock(v),
        View::ClockDeleted(id) => clock_deleted(*id),
        // No command of this surface shows them.
        View::SiteCheckout(_) | View::SiteTransaction(_) | View::Client(_) => Value::Null,
    }
}
