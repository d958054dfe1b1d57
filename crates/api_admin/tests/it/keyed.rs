//! An application's merchant, spoken to with keys of the Admin API.

use axum::body::Body;
use axum::http::{Method, Request, header};
use domain::access::Grant;
use domain::id::MerchantId;
use domain::scope::Mode;
use engine::admin_keys::{NewAdminKey, system_grants};
use serde_json::Value;
use testkit::{Answer, TestApp};

#[derive(Clone)]
pub struct Keyed {
    pub app: TestApp,
    /// Every scope, test mode.
    pub key: String,
    pub live: String,
    /// Of the whole instance.
    pub system: String,
}

async fn made(app: &TestApp, merchant: Option<MerchantId>, mode: Mode, grants: Vec<Grant>) -> String {
    let new = NewAdminKey { name: "test".to_owned(), mode, grants, networks: Vec::new() };
    app.engine.create_admin_key(merchant, None, new).await.expect("a key").1
}

impl Keyed {
    pub async fn new(app: TestApp) -> Keyed {
        Keyed {
            key: made(&app, Some(app.merchant), Mode::Test, system_grants()).await,
            live: made(&app, Some(app.merchant), Mode::Live, system_grants()).await,
            system: made(&app, None, Mode::Test, system_grants()).await,
            app,
        }
    }

    /// A key of this merchant with one scope.
    pub async fn narrow(&self, scope: &str) -> String {
        let grant = Grant::parse(scope).expect("a scope");
        made(&self.app, Some(self.app.merchant), Mode::Test, vec![grant]).await
    }

    pub async fn ask(&self, key: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let request = Request::builder()
            .method(method.clone())
            .uri(format!("/api/v1{path}"))
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json");
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let answer = self.app.admin(request.body(body).expect("a request")).await;
        testkit::schema::described(api_admin::openapi::admin_document(), &method, path, answer)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(&self.key, Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(&self.key, Method::POST, path, Some(body)).await
    }
}
