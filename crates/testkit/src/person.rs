//! Somebody who signs in to the Admin API, as the panel's pages in their browser do it.

use crate::app::{Answer, TestApp};
use crate::{Authenticator, PASSKEY_ORIGIN};
use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};

/// A person with a passkey and, once signed in, a session.
#[derive(Clone)]
pub struct Person {
    pub app: TestApp,
    pub email: String,
    pub authenticator: Authenticator,
    /// The access token; empty is not sent.
    pub token: String,
    /// What the browser keeps, as it sends it; empty is not sent.
    pub cookies: String,
    /// The organisation that requests name; empty is not sent.
    pub organization: String,
}

impl Person {
    /// Registers whoever has this invitation.
    pub async fn register(app: &TestApp, token: &str) -> Person {
        let mut person = Person {
            app: app.clone(),
            email: String::new(),
            authenticator: Authenticator::default(),
            token: String::new(),
            cookies: String::new(),
            organization: String::new(),
        };
        let challenge = person.post("/auth/register", &json!({ "token": token })).await.expect(200);
        let credential = person.authenticator.create(&challenge);
        let body = json!({ "ceremonyId": challenge["ceremonyId"], "credential": credential });
        let entered = person.post("/auth/register-complete", &body).await;
        person.enter(entered, 201);
        person
    }

    /// A global administrator.
    pub async fn global_admin(app: &TestApp, email: &str) -> Person {
        let invited = app.engine.invite_global_admin(email, "").await.expect("invited");
        Person::register(app, &invited.1).await
    }

    /// A member of an organisation whom this one invites.
    pub async fn invite(&self, organization: &str, role: &str, email: &str) -> Person {
        let body = json!({ "email": email, "role": role });
        let invited = self.post(&format!("/organizations/{organization}/users"), &body).await.expect(201);
        let invited = Person::register(&self.app, invited["token"].as_str().expect("a token")).await;
        Person { organization: organization.to_owned(), ..invited }
    }

    /// Begins a login and signs its challenge; what completes it.
    pub async fn answer(&mut self) -> Value {
        let challenge = self.post("/auth", &json!({ "email": self.email })).await.expect(200);
        json!({ "ceremonyId": challenge["ceremonyId"], "credential": self.authenticator.get(&challenge) })
    }

    /// Signs in; a new session.
    pub async fn log_in(&mut self) {
        self.token.clear();
        let body = self.answer().await;
        let entered = self.post("/auth/authenticate-complete", &body).await;
        self.enter(entered, 200);
    }

    /// Keeps what an answer to a login, a registration or a refresh gives. The body of it.
    pub fn enter(&mut self, answer: Answer, status: u16) -> Value {
        if let Some(cookie) = answer.header("set-cookie").and_then(|line| line.split(';').next()) {
            self.cookies = cookie.to_owned();
        }
        let body = answer.expect(status);
        self.token = body["token"].as_str().expect("a token").to_owned();
        self.email = body["user"]["email"].as_str().expect("an address").to_owned();
        body
    }

    pub async fn refresh(&self, body: &Value) -> Answer {
        self.post("/auth/refresh-token", body).await
    }

    /// A request below `/api/v1`, as a page of the panel sends it.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let mut request = Request::builder()
            .method(method.clone())
            .uri(format!("/api/v1{path}"))
            .header(header::ORIGIN, PASSKEY_ORIGIN);
        let bearer = format!("Bearer {}", self.token);
        let headers = [
            ("authorization", bearer.as_str(), self.token.is_empty()),
            ("cookie", &self.cookies, self.cookies.is_empty()),
            ("x-organization-id", &self.organization, self.organization.is_empty()),
        ];
        for (name, value, _) in headers.iter().filter(|(_, _, left_out)| !left_out) {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let answer = self.app.admin(request.body(body).expect("a request")).await;
        crate::schema::described(api_admin::openapi::admin_document(), &method, path, answer)
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.ask(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, None).await
    }

    /// Lets the login be too old for dangerous acts.
    pub async fn grow_stale(&self) {
        let at = self.app.engine.now().plus(-domain::session::FRESH_LOGIN_US);
        let caller = self.app.engine.session_caller(&self.token).await.expect("read").expect("a session");
        let aged = self.app.store.write(move |tx| {
            let sql = "UPDATE sessions SET authenticated_at = ?1 WHERE id = ?2";
            tx.execute(sql, store::params![at, caller.session])
        });
        assert_eq!(aged.await.expect("aged"), 1);
    }
}
