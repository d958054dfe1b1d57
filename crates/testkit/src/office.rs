//! A merchant's server that speaks the Admin API: an organisation with a key, a site and the sandbox.

use crate::app::{Answer, TestApp};
use crate::schema::described;
use axum::body::Body;
use axum::http::{Method, Request, header};
use domain::scope::Mode;
use engine::admin_keys::{NewAdminKey, system_grants};
use serde_json::{Value, json};

/// One organisation of an application, as its own key sees it. Every answer is compared with the OpenAPI documents.
#[derive(Clone)]
pub struct Office {
    pub app: TestApp,
    /// A key of the whole instance.
    pub system_key: String,
    pub organization: String,
    /// A key of the organisation with every scope.
    pub key: String,
    pub site: String,
    pub secret: String,
}

impl Office {
    /// Opens an organisation over the Admin API itself.
    pub async fn open(app: &TestApp) -> Office {
        let new = NewAdminKey {
            name: "tests".to_owned(),
            mode: Mode::Test,
            grants: system_grants(),
            networks: Vec::new(),
        };
        let (_, system_key) = app.engine.create_admin_key(None, None, new).await.expect("a system key");
        let office = Office {
            app: app.clone(),
            system_key,
            organization: String::new(),
            key: String::new(),
            site: String::new(),
            secret: String::new(),
        };
        office.another("Shop & Sons").await
    }

    /// A second organisation of the same instance.
    pub async fn another(&self, name: &str) -> Office {
        let made = self
            .as_key(&self.system_key, Method::POST, "/organizations", Some(&json!({ "name": name })))
            .await;
        let organization = text(&made.expect(201)["id"]);
        let key = self.key_of(&organization, "test").await;
        let office = Office { organization, key, ..self.clone() };
        let site = office.post("/sites", &json!({ "name": name })).await.expect(201);
        Office { site: text(&site["id"]), secret: text(&site["webhookSecret"]), ..office }
    }

    /// A key with every scope.
    pub async fn key_of(&self, organization: &str, mode: &str) -> String {
        self.key_with(
            organization,
            mode,
            &[
                "checkout:*",
                "transaction:*",
                "client:*",
                "site:*",
                "provider:*",
                "api_key:*",
                "organization:*",
                "user:*",
                "audit:*",
                "data_io:*",
            ],
        )
        .await
    }

    /// A key with these scopes.
    pub async fn key_with(&self, organization: &str, mode: &str, scopes: &[&str]) -> String {
        let path = format!("/organizations/{organization}/api-keys");
        let body = json!({ "name": "server", "mode": mode, "scopes": scopes });
        let made = self.as_key(&self.system_key, Method::POST, &path, Some(&body)).await;
        text(&made.expect(201)["key"])
    }

    /// A request below `/api/v1` with any key; an empty one is not sent.
    pub async fn as_key(&self, key: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = Request::builder().method(method.clone()).uri(format!("/api/v1{path}"));
        if !key.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        described(
            api_admin::openapi::admin_document(),
            &method,
            path,
            self.app.admin(with_body(request, body)).await,
        )
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.as_key(&self.key, Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.as_key(&self.key, Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.as_key(&self.key, Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.as_key(&self.key, Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.as_key(&self.key, Method::DELETE, path, None).await
    }

    /// A POST with an idempotency key.
    pub async fn post_once(&self, once: &str, path: &str, body: &Value) -> Answer {
        let request = Request::post(format!("/api/v1{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.key))
            .header("Idempotency-Key", once);
        let answer = self.app.admin(with_body(request, Some(body))).await;
        described(api_admin::openapi::admin_document(), &Method::POST, path, answer)
    }

    /// A checkout of 49.00 euro, with more or other fields.
    pub async fn checkout(&self, more: &Value) -> Answer {
        let mut body = json!({ "amount": 4900, "currency": "EUR", "externalReference": "order-1" });
        for (name, value) in more.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        self.post(&format!("/checkouts/{}/create", self.site), &body).await
    }

    /// A request of a payer's browser to the Main Backend.
    pub async fn browser(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = Request::builder().method(method.clone()).uri(format!("/api/v1{path}"));
        let answer = self.app.page(with_body(request, body)).await;
        described(api_admin::openapi::public_document(), &method, path, answer)
    }

    /// Pays a checkout by a card, as its page's script could.
    pub async fn pay(&self, checkout: &Value, number: &str) -> Answer {
        let card = json!({ "number": number, "expMonth": 12, "expYear": 2034, "cvc": "123" });
        let body = json!({
            "sessionPublicId": checkout["sessionPublicId"],
            "paymentMethod": { "type": "card", "name": "Jo Doe", "card": card },
        });
        self.browser(Method::POST, "/transactions/create", Some(&body)).await
    }
}

fn with_body(request: axum::http::request::Builder, body: Option<&Value>) -> Request<Body> {
    match body {
        Some(body) => {
            let request = request.header(header::CONTENT_TYPE, "application/json");
            request.body(Body::from(body.to_string())).expect("a request")
        }
        None => request.body(Body::empty()).expect("a request"),
    }
}

/// A text of an answer.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
