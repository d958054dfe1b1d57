//! A shop that speaks Gate: its signed bodies, as its own signer would make them.

use api_gate::signature::{Variant, seal};
use serde_json::{Map, Value, json};

/// The calls, by what they do.
pub const PURCHASE: &str = "/api/transaction/purchase/create";
pub const PAYOUT: &str = "/api/transaction/payout/create";
pub const REFUND: &str = "/api/operation/refund";
pub const STATUS: &str = "/api/transaction/status";

/// A service with the secret of one of its tokens.
#[derive(Clone, Debug)]
pub struct Signer {
    pub service: i64,
    pub secret: String,
}

/// What a page or a payout is about.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    pub payment_id: &'a str,
    /// A decimal text.
    pub price: &'a str,
    pub currency: &'a str,
    pub email: &'a str,
    /// Where its callbacks go, besides the service's own webhooks.
    pub webhook: Option<&'a str>,
}

impl Signer {
    fn sealed(&self, body: Value) -> String {
        let fields = if let Value::Object(fields) = body { fields } else { Map::new() };
        seal(fields, self.secret.as_bytes(), Variant::Folded)
    }

    fn create(&self, order: &Order<'_>) -> Value {
        let mut body = json!({
            "meta": { "service_id": self.service, "payment_id": order.payment_id },
            "payment": { "price": order.price, "currency": order.currency },
            "user": { "email": order.email, "first_name": "Jan", "last_name": "Novak", "country": "CZ" },
        });
        if let Some(url) = order.webhook {
            body["webhook"] = json!({ "url": url });
        }
        body
    }

    /// The signed body of a purchase.
    pub fn purchase(&self, order: &Order<'_>) -> String {
        self.sealed(self.create(order))
    }

    /// The signed body of a payout to `account`.
    pub fn payout(&self, order: &Order<'_>, account: &str) -> String {
        let mut body = self.create(order);
        body["company"] = json!({ "name": "Novak s.r.o.", "bank_account": account });
        self.sealed(body)
    }

    /// The signed body of a refund; `reference` tells it from others of the same amount.
    pub fn refund(&self, uuid: &str, price: &str, currency: &str, reference: &str) -> String {
        self.sealed(json!({
            "meta": { "transaction_uuid": uuid },
            "refund": { "price": price, "currency": currency, "reference_id": reference },
        }))
    }

    /// The signed body of a question for the status.
    pub fn status(&self, uuid: &str) -> String {
        self.sealed(json!({ "meta": { "transaction_uuid": uuid } }))
    }
}
