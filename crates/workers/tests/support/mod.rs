//! An engine on a fresh database, and a receiver of webhooks on a loopback port.

use domain::id::{ApiKeyId, Core, TypedId, WebhookEndpointId};
use domain::merchant::KeyKind;
use domain::scope::{Mode, Scope};
use domain::webhook::Delivery;
use engine::customers::CustomerChanges;
use engine::view::{Outcome, View};
use engine::webhook_endpoints::NewEndpoint;
use engine::{Actor, Call, Caller, Cursor, Engine, Options, PageQuery, Reply, ReplySpec, Vault};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use workers::{WorkerOptions, Workers};

pub struct Bench {
    pub engine: Engine,
    _folder: tempfile::TempDir,
}

impl Bench {
    pub async fn new() -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store::Store::open(&store::Location::Sqlite(folder.path().join("db"))).expect("a store");
        let mut options = Options::default();
        options.test_egress.allow_loopback = true;
        let render: Box<engine::RenderReply> = Box::new(|_, _, outcome| {
            let body = match outcome {
                Outcome::Done(View::Endpoint(shown)) => {
                    format!("{} {}", shown.endpoint.id, shown.secret.as_deref().unwrap_or_default())
                }
                other => format!("{other:?}"),
            };
            Ok(Reply { status: 200, body, replayed: false })
        });
        let vault = Vault::new(&[7; 32]);
        let engine = Engine::new(store, Default::default(), vault, options, vec![("test", render)]).await;
        Bench { engine: engine.expect("an engine"), _folder: folder }
    }

    pub async fn merchant(&self) -> Scope {
        let merchant = self.engine.create_merchant("Blue Bottle Books".to_owned()).await.expect("a merchant");
        Scope { merchant: merchant.id, mode: Mode::Test }
    }

    /// An endpoint for everything, and its secret.
    pub async fn endpoint(&self, scope: Scope, url: String) -> (WebhookEndpointId, String) {
        let new =
            NewEndpoint { url, enabled_events: vec!["*".to_owned()], description: None, api_version: None };
        let reply = self.engine.create_endpoint(&call(scope), new, |_| Ok(())).await.expect("an endpoint");
        let (id, secret) = reply.body.split_once(' ').expect("id and secret");
        (WebhookEndpointId::parse(id).expect("an id"), secret.to_owned())
    }

    /// Makes one event happen.
    pub async fn event(&self, scope: Scope) {
        let call = call(scope);
        let made = self.engine.create_customer(&call, CustomerChanges::default(), None, |_| Ok(())).await;
        made.expect("a customer");
    }

    pub fn work(&self, options: WorkerOptions) -> Workers {
        let render = Arc::new(|view: &engine::view::EventView, _: &engine::events::BodyKind| {
            format!("{{\"id\":\"{}\"}}", view.event.id).into_bytes()
        });
        Workers::start(self.engine.clone(), outbound::Client::new(), render, options)
    }

    /// Deliveries to an endpoint, with the log of the attempts.
    pub async fn deliveries(
        &self,
        scope: Scope,
        endpoint: WebhookEndpointId,
    ) -> Vec<(Delivery, Vec<String>)> {
        let query = PageQuery { limit: 100, cursor: Cursor::Newest, created_from: None, created_to: None };
        let shown =
            self.engine.view(scope, move |views| views.deliveries(endpoint, None, None, &query)).await;
        let log = |a: store::webhooks::DeliveryAttempt| match (a.status, a.error) {
            (Some(status), _) => format!("{status} {}", a.response.unwrap_or_default()),
            (None, error) => error.unwrap_or_default(),
        };
        shown
            .expect("deliveries")
            .data
            .into_iter()
            .map(|d| (d.delivery, d.attempts.into_iter().map(log).collect()))
            .collect()
    }
}

pub fn call(scope: Scope) -> Call {
    let reply = ReplySpec {
        surface: "test",
        kind: String::new(),
        expand: Vec::new(),
        request: "req_test".to_owned(),
    };
    let caller =
        Caller { scope, actor: Actor::ApiKey(ApiKeyId::from_core(Core([0; 12]))), kind: KeyKind::Secret };
    Call { caller, request: "req_test".to_owned(), idempotency: None, reply }
}

#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

/// How to answer the `n`th request (from 0) to a path: a whole response, after a while; `None`: never.
pub type Answers = dyn Fn(&str, usize) -> Option<(Duration, &'static str)> + Send + Sync;

pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[derive(Clone)]
pub struct Receiver {
    pub base: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    pub async fn start(answers: Arc<Answers>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let receiver = Receiver { base, received: Arc::default() };
        let shared = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, answers) = (shared.clone(), answers.clone());
                tokio::spawn(async move { shared.serve(stream, &*answers).await });
            }
        });
        receiver
    }

    pub fn received(&self, path: &str) -> Vec<Received> {
        self.received.lock().expect("a lock").iter().filter(|r| r.path == path).cloned().collect()
    }

    async fn serve(&self, stream: TcpStream, answers: &Answers) -> Option<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let request = read_request(&mut stream).await?;
            let path = request.path.clone();
            let answer = {
                let mut received = self.received.lock().ok()?;
                let n = received.iter().filter(|r| r.path == path).count();
                received.push(request);
                answers(&path, n)
            };
            let Some((after, response)) = answer else { std::future::pending().await };
            tokio::time::sleep(after).await;
            stream.write_all(response.as_bytes()).await.ok()?;
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_owned(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    Some(Received { path, headers, body })
}

/// Waits until `done`, for at most `limit`.
pub async fn within<F: Future<Output = bool>>(limit: Duration, what: &str, mut done: impl FnMut() -> F) {
    let start = Instant::now();
    while !done().await {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
