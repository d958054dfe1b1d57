//! A shop that speaks Gate: a service of the merchant, a token, and bodies signed with it.

use crate::app::{Answer, TestApp};
use api_gate::signature::{Variant, seal};
use axum::body::Body;
use axum::http::{Request, header};
use connectors::MethodInput;
use domain::gate_token::{PayloadDialect, SignVariant};
use domain::id::GateTokenId;
use engine::checkouts::{CheckoutView, Submission};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

pub const PURCHASE: &str = "/api/transaction/purchase/create";
pub const RECURRING: &str = "/api/transaction/recurring/create";
pub const CANCEL: &str = "/api/transaction/recurring/cancel";
pub const PAYOUT: &str = "/api/transaction/payout/create";
pub const REFUND: &str = "/api/operation/refund";
pub const STATUS: &str = "/api/transaction/status";

/// One service with one of its tokens.
#[derive(Clone)]
pub struct Shop {
    pub app: TestApp,
    pub service: i64,
    pub token: GateTokenId,
    pub secret: String,
    pub variant: Variant,
}

impl Shop {
    /// The service that the merchant has in test mode, with a new token `default`.
    pub async fn open(app: &TestApp) -> Shop {
        let storefronts = app.engine.storefronts().await.expect("services are listed");
        let own = storefronts.iter().find(|s| s.scope == app.scope()).expect("a service");
        Shop::of_service(app, own.number, "default").await
    }

    /// A service with a new token of this name.
    pub async fn of_service(app: &TestApp, service: i64, token: &str) -> Shop {
        let made =
            app.engine.create_token(service, token.to_owned(), SignVariant::Folded, PayloadDialect::Y2025);
        let (made, secret) = made.await.expect("a token");
        Shop { app: app.clone(), service, token: made.id, secret, variant: Variant::Folded }
    }

    /// The text of a body with its signature.
    pub fn seal(&self, body: &Value) -> String {
        let body = body.as_object().expect("an object").clone();
        seal(body, self.secret.as_bytes(), self.variant)
    }

    /// Signs a body and sends it.
    pub async fn call(&self, path: &str, body: &Value) -> Answer {
        self.send(path, &[], self.seal(body)).await
    }

    /// Sends any text, from an address of its own, so that the limit per address is not met by accident.
    pub async fn send(&self, path: &str, headers: &[(&str, &str)], text: impl Into<Body>) -> Answer {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let ip = Ipv4Addr::from_bits(0x0a00_0000 + NEXT.fetch_add(1, Ordering::Relaxed));
        self.send_from(ip, path, headers, text).await
    }

    /// The same from a chosen address.
    pub async fn send_from(
        &self,
        ip: Ipv4Addr,
        path: &str,
        headers: &[(&str, &str)],
        text: impl Into<Body>,
    ) -> Answer {
        let peer = web::Peer(SocketAddr::from((ip, 40_000)));
        let mut request = Request::post(path).extension(peer);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        self.app.send(request.body(text.into()).expect("a request")).await
    }

    /// The least that a purchase needs.
    pub fn purchase(&self, payment_id: &str, price: &str) -> Value {
        json!({
            "meta": { "service_id": self.service, "payment_id": payment_id },
            "payment": { "price": price, "currency": "EUR" },
            "user": {
                "email": "payer@example.com", "first_name": "Ada", "last_name": "Payer", "country": "CZ",
            },
        })
    }

    /// A purchase with callbacks to `url`.
    pub fn purchase_with_callback(&self, payment_id: &str, price: &str, url: &str) -> Value {
        let mut body = self.purchase(payment_id, price);
        body["webhook"] = json!({ "url": url });
        body
    }

    /// The least that a payout needs.
    pub fn payout(&self, payment_id: &str, price: &str, account: &str) -> Value {
        let mut body = self.purchase(payment_id, price);
        body["company"] = json!({ "name": "Ada Ltd", "bank_account": account });
        body
    }

    /// A body for `operation/refund`.
    pub fn refund_of(&self, uuid: &str, price: &str, comment: &str) -> Value {
        json!({
            "meta": { "transaction_uuid": uuid },
            "refund": { "price": price, "currency": "EUR", "comment": comment },
        })
    }

    /// Makes what `body` asks for; its uuid.
    pub async fn create(&self, path: &str, body: &Value) -> String {
        uuid_of(&self.call(path, body).await.expect(200))
    }

    /// Makes a purchase; its uuid.
    pub async fn buy(&self, payment_id: &str, price: &str) -> String {
        self.create(PURCHASE, &self.purchase(payment_id, price)).await
    }

    /// Makes a purchase and pays it with a ready-made test method; its uuid.
    pub async fn sell(&self, payment_id: &str, price: &str, method: &str) -> String {
        let uuid = self.buy(payment_id, price).await;
        self.pay(&uuid, method).await;
        uuid
    }

    /// Sends the form of the payment page as a payer would, with a ready-made test method.
    pub async fn pay(&self, uuid: &str, method: &str) -> CheckoutView {
        static FORMS: AtomicU32 = AtomicU32::new(1);
        let form = format!("form-{}", FORMS.fetch_add(1, Ordering::Relaxed));
        self.submit(uuid, &form, method).await
    }

    /// Sends a form of this name.
    pub async fn submit(&self, uuid: &str, form: &str, method: &str) -> CheckoutView {
        let (engine, scope) = (&self.app.engine, self.app.scope());
        let tokenised = engine.tokenise(scope, &MethodInput::ReadyMade(method)).await.expect("a method");
        let method = engine.new_method(scope, tokenised, Default::default(), Vec::new());
        let sent = Submission { form: form.to_owned(), method, request_id: "req_test".to_owned() };
        engine.pay_checkout(uuid.to_owned(), sent).await.expect("the form is taken")
    }

    /// What `transaction/status` says.
    pub async fn status(&self, uuid: &str) -> Value {
        let body = json!({ "meta": { "transaction_uuid": uuid } });
        self.call(STATUS, &body).await.expect(200)["data"].clone()
    }

    /// The payment behind a transaction, as REST v2 shows it.
    pub async fn payment_of(&self, payment_id: &str) -> Value {
        let listed = self.app.get("/v2/payment_intents?limit=100").await.expect(200);
        let named = |p: &&Value| p["metadata"]["payment_id"] == payment_id;
        listed["data"].as_array().expect("a list").iter().find(named).expect("the payment").clone()
    }
}

/// The transaction that a creating call answered with.
pub fn uuid_of(answer: &Value) -> String {
    answer["data"]["uuid"].as_str().expect("a uuid").to_owned()
}
