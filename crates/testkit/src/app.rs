//! The application over one database, without sockets: requests go straight into the router.

use crate::db::Db;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use connectors::Connectors;
use connectors::sandbox::{DEFAULT_SETTLE_US, Sandbox};
use domain::id::MerchantId;
use domain::merchant::KeyKind;
use domain::rate::TierName;
use domain::scope::{Mode, Scope};
use engine::events::{BodyKind, RenderEvent};
use engine::merchants::ModeChanges;
use engine::{Engine, Options, Vault};
use http_body_util::BodyExt;
use serde_json::Value;
use std::sync::Arc;
use store::Store;
use store::jobs::Kinds;
use tower::ServiceExt;
use web::{App, Urls};

/// What a test may set.
pub struct AppOptions {
    pub tier: TierName,
    /// Microseconds that debits and pending refunds take.
    pub settle_us: i64,
    pub options: Options,
    /// Bounds against card testing; relaxed unless a test is about them.
    pub card_testing: web::card_testing::Settings,
}

impl Default for AppOptions {
    fn default() -> Self {
        let loopback = outbound::Policy { allow_loopback: true, ..outbound::Policy::strict() };
        AppOptions {
            tier: TierName::Enterprise,
            settle_us: DEFAULT_SETTLE_US,
            options: Options {
                test_egress: loopback,
                passkeys: Some(crate::passkey_site()),
                ..Options::default()
            },
            card_testing: web::card_testing::Settings::RELAXED,
        }
    }
}

/// The application with one merchant.
#[derive(Clone)]
pub struct TestApp {
    pub engine: Engine,
    pub store: Store,
    pub urls: Arc<Urls>,
    api: Router,
    admin: Router,
    pages: Router,
    pub merchant: MerchantId,
    /// Secret and publishable keys of both modes.
    pub sk: String,
    pub pk: String,
    pub sk_live: String,
    pub pk_live: String,
}

/// The key under which tests seal.
pub const MASTER_KEY: [u8; 32] = [42; 32];

impl TestApp {
    pub async fn start(db: &Db) -> TestApp {
        TestApp::with(db, AppOptions::default()).await
    }

    pub async fn with(db: &Db, options: AppOptions) -> TestApp {
        let location = db.location();
        let store = tokio::task::spawn_blocking(move || Store::open(&location))
            .await
            .expect("joined")
            .expect("opened");
        let urls = Arc::new(Urls {
            api: "http://api.test".to_owned(),
            public: "http://public.test".to_owned(),
            admin: "http://admin.test".to_owned(),
            panel_origin: None,
        });
        let sandbox = Sandbox::new(store.clone(), options.settle_us);
        let connectors = Connectors::default().with(Arc::new(sandbox));
        let renderers = vec![
            (api_v2::SURFACE, api_v2::reply_renderer(urls.clone())),
            (api_admin::SURFACE, api_admin::reply_renderer(urls.clone())),
        ];
        let engine =
            Engine::new(store.clone(), connectors, Vault::new(&MASTER_KEY), options.options, renderers)
                .await
                .expect("the engine starts");
        let app = App::new(engine.clone(), Urls::clone(&urls))
            .with_card_testing(options.card_testing)
            .with_window_limits(&web::rate_limit::windows::Settings::off());
        let limits = axum::middleware::from_fn_with_state(app.clone(), api_v2::know_limits);
        let v2 = api_v2::router(app.clone()).layer(limits);
        let api = web::middleware::wrap(v2.merge(api_gate::router(app.clone())), api_v2::apology);
        let admin = web::middleware::wrap(api_admin::admin_router(app.clone()), api_admin::apology);
        let pages = api_admin::public_router(app.clone()).fallback_service(pages::router(app));
        let pages = web::middleware::wrap(pages, pages::apology);
        let (merchant, keys) = new_merchant(&engine, "Test shop", options.tier).await;
        let [sk, pk, sk_live, pk_live] = keys;
        TestApp { engine, store, urls, api, admin, pages, merchant, sk, pk, sk_live, pk_live }
    }

    pub fn scope(&self) -> Scope {
        Scope { merchant: self.merchant, mode: Mode::Test }
    }

    /// A second merchant of the same application, as seen with its keys.
    pub async fn another_merchant(&self) -> TestApp {
        let (merchant, keys) = new_merchant(&self.engine, "Other shop", TierName::Enterprise).await;
        let [sk, pk, sk_live, pk_live] = keys;
        TestApp { merchant, sk, pk, sk_live, pk_live, ..self.clone() }
    }

    /// A request as a client sends it.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        send(self.api.clone(), request).await
    }

    /// A request to the Admin API.
    pub async fn admin(&self, request: Request<Body>) -> Answer {
        send(self.admin.clone(), request).await
    }

    /// A request to the hosted pages, or to the Main Backend.
    pub async fn page(&self, request: Request<Body>) -> Answer {
        send(self.pages.clone(), request).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.as_key(&self.sk, Method::GET, path, &[], None).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.as_key(&self.sk, Method::DELETE, path, &[], None).await
    }

    pub async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.as_key(&self.sk, Method::POST, path, form, None).await
    }

    pub async fn post_once(&self, idempotency_key: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        self.as_key(&self.sk, Method::POST, path, form, Some(idempotency_key)).await
    }

    /// Any request with any key.
    pub async fn as_key(
        &self,
        key: &str,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
        idempotency_key: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {key}"));
        if let Some(key) = idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        let body = if form.is_empty() {
            Body::empty()
        } else {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            Body::from(form_body(form))
        };
        self.send(request.body(body).expect("a request")).await
    }

    pub async fn post_json(&self, path: &str, body: &str) -> Answer {
        let request = Request::post(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.sk))
            .header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_owned())).expect("a request")).await
    }

    /// Creates and confirms a payment of `amount` euro cents; the answer to the creation.
    pub async fn pay(&self, amount: i64, method: &str, more: &[(&str, &str)]) -> Answer {
        let amount = amount.to_string();
        let mut form = vec![
            ("amount", amount.as_str()),
            ("currency", "eur"),
            ("payment_method", method),
            ("confirm", "true"),
        ];
        form.extend_from_slice(more);
        self.post("/v2/payment_intents", &form).await
    }

    /// Works off everything that is due by the wall clock, until nothing is left.
    pub async fn run_due(&self) {
        for _ in 0..100 {
            let jobs = self.engine.run_jobs().await.expect("jobs run");
            let due = self.engine.run_due(None, self.engine.now()).await.expect("due work runs");
            let advancing = self.engine.advance_clocks().await.expect("clocks advance");
            let erasing = self.engine.run_erasures().await.expect("erasures run");
            if jobs + due == 0 && !advancing && !erasing {
                return;
            }
        }
        panic!("background work does not end");
    }

    /// Asks the provider about every call whose answer is missing, without waiting for the time at which
    /// the jobs wanted to ask. How many questions were put.
    pub async fn run_waiting(&self) -> usize {
        let now = self.engine.now();
        let due = self.store.write(move |tx| store::jobs::make_all_due(tx, Kinds::Questions, now)).await;
        due.expect("jobs are made due");
        let mut asked = 0;
        for _ in 0..1_000 {
            match self.engine.run_jobs().await.expect("jobs run") {
                0 => return asked,
                jobs => asked += jobs,
            }
        }
        panic!("jobs do not end");
    }

    /// Runs erasures until none is due: those that wait for another pass begin it now.
    pub async fn run_erasures(&self) {
        let now = self.engine.now();
        let due = self.store.write(move |tx| store::jobs::make_all_due(tx, Kinds::Erasures, now)).await;
        due.expect("erasures are made due");
        while self.engine.run_erasures().await.expect("erasures run") {}
    }

    /// Panics with the offending rows if any invariant of the books is broken.
    pub async fn assert_books(&self) {
        for check in self.engine.verify_ledger().await.expect("the ledger is verified") {
            assert_eq!(check.broken, 0, "{}: {:?}", check.rule, check.offenders);
        }
    }
}

/// Renders the bodies of webhooks of every surface.
pub fn event_renderer(urls: Arc<Urls>) -> Arc<RenderEvent> {
    Arc::new(move |event, kind| match kind {
        BodyKind::V2 => api_v2::event_body(&urls, event),
        BodyKind::Gate { secret, variant, dialect } => {
            let signing = api_gate::Signing { secret, variant: *variant, dialect: *dialect };
            api_gate::callback_body(&urls, event, &signing)
        }
        BodyKind::Ipn { version, delivery } => api_admin::notice_body(event, *version, *delivery),
    })
}

async fn new_merchant(engine: &Engine, name: &str, tier: TierName) -> (MerchantId, [String; 4]) {
    let merchant = engine.create_merchant(name.to_owned()).await.expect("a merchant").id;
    let mut keys = Vec::new();
    for mode in [Mode::Test, Mode::Live] {
        let scope = Scope { merchant, mode };
        let changes = ModeChanges { tier: Some(tier), ..ModeChanges::default() };
        engine.set_mode(scope, changes).await.expect("a tier");
        for kind in [KeyKind::Secret, KeyKind::Publishable] {
            let (_, text) = engine.create_key(scope, kind, "test".to_owned()).await.expect("a key");
            keys.push(text);
        }
    }
    (merchant, keys.try_into().expect("four keys"))
}

/// Percent-encodes a form as browsers and curl do.
pub fn form_body(form: &[(&str, &str)]) -> String {
    let encode = |text: &str| {
        let mut out = String::new();
        for byte in text.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'[' | b']' => {
                    out.push(char::from(byte));
                }
                _ => out.push_str(&format!("%{byte:02X}")),
            }
        }
        out
    };
    form.iter().map(|(k, v)| format!("{}={}", encode(k), encode(v))).collect::<Vec<_>>().join("&")
}

async fn send(router: Router, request: Request<Body>) -> Answer {
    let shown = format!("{} {}", request.method(), request.uri());
    let response = router.oneshot(request).await.expect("the router answers");
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    Answer { shown, status: parts.status, headers: parts.headers, text, json }
}

/// An answer, with what it answers for messages.
#[derive(Clone, Debug)]
pub struct Answer {
    shown: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    pub json: Value,
}

impl Answer {
    /// The JSON body of an answer with this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}: {}", self.shown, self.text);
        self.json
    }

    /// Checks for an error of this status, type and code; the error object.
    #[track_caller]
    pub fn expect_error(self, status: u16, kind: &str, code: Option<&str>) -> Value {
        let shown = format!("{}: {}", self.shown, self.text);
        let body = self.expect(status);
        let error = body["error"].clone();
        assert_eq!(error["type"], kind, "{shown}");
        assert_eq!(error["code"].as_str(), code, "{shown}");
        assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()), "{shown}");
        assert!(error["request_id"].as_str().is_some_and(|r| r.starts_with("req_")), "{shown}");
        error
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}
