//! A gateway in this process: listeners, workers, and an orderly end.

use crate::SealingKey;
use crate::config_values::Secret;
use crate::health::Health;
use crate::listeners::{Limits, Listeners, bind};
use crate::metrics::Metrics;
use crate::passkey_site::passkey_site;
use crate::routers::Routers;
use anyhow::Context;
use connectors::Connectors;
use connectors::sandbox::Sandbox;
use domain::network::Network;
use engine::Engine;
use engine::events::{BodyKind, RenderEvent};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::{Location, Store};
use tokio::net::TcpListener;
use web::rate_limit::windows;
use web::{App, Proxies, Urls};
use workers::{WorkerOptions, Workers};

/// What a gateway is started with.
pub struct GatewayOptions {
    /// Used by [`start`] only; [`start_with`] is given an open store.
    pub location: Location,
    pub sealing_key: SealingKey,
    /// Port 0 picks a free one.
    pub api_listen: SocketAddr,
    pub admin_listen: SocketAddr,
    pub public_listen: SocketAddr,
    /// The listener for Stripe clients that take only a host and a port; `None`: none.
    pub stripe_listen: Option<SocketAddr>,
    /// Base of links, without a slash at its end; `None`: the address that is listened on.
    pub api_url: Option<String>,
    pub public_url: Option<String>,
    /// `None`: `localhost` with the port of the operator's listener.
    pub admin_url: Option<String>,
    /// The origin of an operator's panel on another host.
    pub panel_origin: Option<String>,
    /// What a browser calls the gateway when it asks for a passkey.
    pub passkey_name: String,
    /// Proxies whose word on the client's address is taken.
    pub trusted_proxies: Vec<Network>,
    /// Of the Admin API and the Main Backend.
    pub window_limits: windows::Settings,
    /// Without it nobody sees `/internal/health`, if it is set.
    pub health_token: Option<Secret>,
    /// A folder of the file system whose free space is part of the health; `None`: none.
    pub watched_folder: Option<PathBuf>,
    pub engine: engine::Options,
    /// How long bank debits and pending refunds take in the sandbox, in microseconds.
    pub sandbox_settle_us: i64,
    pub outbound: outbound::Client,
    pub workers: WorkerOptions,
    pub limits: Limits,
    pub card_testing: web::card_testing::Settings,
}

impl GatewayOptions {
    /// Defaults for tests: four listeners on free loopback ports, webhooks to loopback allowed in test
    /// mode, and the demo's bounds against card testing.
    pub fn new(location: Location, sealing_key: SealingKey) -> GatewayOptions {
        let free = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let test_egress = outbound::Policy { allow_loopback: true, ..outbound::Policy::strict() };
        GatewayOptions {
            location,
            sealing_key,
            api_listen: free,
            admin_listen: free,
            public_listen: free,
            stripe_listen: Some(free),
            api_url: None,
            public_url: None,
            admin_url: None,
            panel_origin: None,
            passkey_name: "PaymentGate".to_owned(),
            trusted_proxies: Vec::new(),
            window_limits: windows::Settings::default(),
            health_token: None,
            watched_folder: None,
            engine: engine::Options { test_egress, ..engine::Options::default() },
            sandbox_settle_us: 5 * domain::time::MICROS,
            outbound: outbound::Client::new(),
            workers: WorkerOptions::default(),
            limits: Limits::default(),
            card_testing: web::card_testing::Settings::RELAXED,
        }
    }
}

/// How long workers may take to finish what they do at a stop; a little more than they say.
const WORKERS_TIME: Duration = workers::STOP_WITHIN.saturating_add(Duration::from_secs(4));

/// A gateway that serves. Dropping it cuts its connections; [`Gateway::stop`] ends it in order.
pub struct Gateway {
    pub engine: Engine,
    /// Where this gateway is reached: base addresses without a slash at the end.
    pub api_url: String,
    pub admin_url: String,
    pub public_url: String,
    pub stripe_url: Option<String>,
    /// The addresses really listened on, with the names of their settings.
    pub listening: Vec<(&'static str, SocketAddr)>,
    listeners: Listeners,
    workers: Workers,
}

/// Opens the database of `options` and starts a gateway on it.
///
/// # Errors
/// When the database cannot be opened or an address cannot be listened on.
pub async fn start(options: GatewayOptions) -> anyhow::Result<Gateway> {
    let store = open(&options.location).await?;
    start_with(store, options).await
}

/// Opens a database, made if need be, and brings it up to date, without blocking the runtime.
pub async fn open(location: &Location) -> anyhow::Result<Store> {
    off_runtime(location, Store::open).await
}

/// The same for a database as it is: a missing or outdated one is refused.
pub async fn open_as_is(location: &Location) -> anyhow::Result<Store> {
    off_runtime(location, Store::open_as_is).await
}

async fn off_runtime(
    location: &Location,
    open: fn(&Location) -> Result<Store, store::StoreError>,
) -> anyhow::Result<Store> {
    let location = location.clone();
    let opened =
        tokio::task::spawn_blocking(move || open(&location)).await.context("opening the database")?;
    opened.context("the database cannot be opened")
}

/// An address as others write it: where a listener takes every address, loopback is one of them.
fn url_of(address: SocketAddr) -> String {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

struct Sockets {
    api: TcpListener,
    admin: TcpListener,
    public: TcpListener,
    stripe: Option<TcpListener>,
}

impl Sockets {
    async fn bind(options: &GatewayOptions) -> anyhow::Result<Sockets> {
        Ok(Sockets {
            api: bind("api_listen", options.api_listen).await?,
            admin: bind("admin_listen", options.admin_listen).await?,
            public: bind("public_listen", options.public_listen).await?,
            stripe: match options.stripe_listen {
                Some(address) => Some(bind("stripe_listen", address).await?),
                None => None,
            },
        })
    }

    fn addresses(&self) -> std::io::Result<Vec<(&'static str, SocketAddr)>> {
        let mut all = vec![
            ("api_listen", self.api.local_addr()?),
            ("admin_listen", self.admin.local_addr()?),
            ("public_listen", self.public.local_addr()?),
        ];
        if let Some(stripe) = &self.stripe {
            all.push(("stripe_listen", stripe.local_addr()?));
        }
        Ok(all)
    }

    fn serve(self, routers: Routers, limits: Limits) -> Listeners {
        let mut all =
            vec![(self.api, routers.api), (self.admin, routers.admin), (self.public, routers.public)];
        all.extend(self.stripe.map(|socket| (socket, routers.stripe)));
        Listeners::start(all, limits)
    }
}

/// Starts a gateway on an open database. When this returns, every listener accepts.
///
/// # Errors
/// When an address cannot be listened on, or the database cannot be read.
pub async fn start_with(store: Store, options: GatewayOptions) -> anyhow::Result<Gateway> {
    let started = Instant::now();
    let sockets = Sockets::bind(&options).await?;
    let listening = sockets.addresses().context("a socket without an address")?;
    let url = |name: &str| listening.iter().find(|(setting, _)| *setting == name).map(|(_, a)| url_of(*a));
    let port =
        |name: &str| listening.iter().find(|(setting, _)| *setting == name).map_or(0, |(_, a)| a.port());
    let api_url = url("api_listen").unwrap_or_default();
    let public_url = url("public_listen").unwrap_or_default();
    let urls = Urls {
        api: options.api_url.clone().unwrap_or_else(|| api_url.clone()),
        public: options.public_url.clone().unwrap_or_else(|| public_url.clone()),
        admin: options
            .admin_url
            .clone()
            .unwrap_or_else(|| format!("http://localhost:{}", port("admin_listen"))),
        panel_origin: options.panel_origin.clone(),
    };
    let shared_urls = Arc::new(urls.clone());
    let sandbox = Sandbox::new(store.clone(), options.sandbox_settle_us);
    let renderers = vec![
        (api_v2::SURFACE, api_v2::reply_renderer(shared_urls.clone())),
        (api_admin::SURFACE, api_admin::reply_renderer(shared_urls.clone())),
    ];
    let vault = options.sealing_key.vault();
    let connectors = Connectors::default().with(Arc::new(sandbox));
    let passkeys = passkey_site(&urls.admin, urls.panel_origin.as_deref(), &options.passkey_name);
    let engine_options = engine::Options { passkeys, ..options.engine };
    let engine = Engine::new(store.clone(), connectors, vault, engine_options, renderers).await;
    let engine =
        engine.map_err(|e| anyhow::anyhow!("the engine cannot start: {}", crate::commands::tell(&e)))?;

    let render_event = event_renderer(shared_urls);
    let workers = Workers::start(engine.clone(), options.outbound, render_event, options.workers);
    let app = App::new(engine.clone(), urls)
        .with_card_testing(options.card_testing)
        .with_window_limits(&options.window_limits)
        .with_proxies(Proxies::new(options.trusted_proxies));
    let health = Health::new(store, started, options.watched_folder, options.health_token);
    let routers = Routers::new(&app, &health, &Arc::new(Metrics::new()));
    Ok(Gateway {
        engine,
        api_url,
        admin_url: url("admin_listen").unwrap_or_default(),
        public_url,
        stripe_url: url("stripe_listen"),
        listeners: sockets.serve(routers, options.limits),
        listening,
        workers,
    })
}

/// Renders the bodies of webhooks, each as the surface has it that its delivery belongs to.
fn event_renderer(urls: Arc<Urls>) -> Arc<RenderEvent> {
    Arc::new(move |event, kind| match kind {
        BodyKind::V2 => api_v2::event_body(&urls, event),
        BodyKind::Gate { secret, variant, dialect } => {
            let signing = api_gate::Signing { secret, variant: *variant, dialect: *dialect };
            api_gate::callback_body(&urls, event, &signing)
        }
        BodyKind::Ipn { version, delivery } => api_admin::notice_body(event, *version, *delivery),
    })
}

impl Gateway {
    /// Ends in order: no new connections, requests in flight answered, provider calls landed, workers
    /// stopped, database closed. Every step is bounded in time.
    pub async fn stop(self) {
        self.listeners.stop().await;
        let patience = self.engine.options.provider_deadline + Duration::from_secs(5);
        if tokio::time::timeout(patience, self.engine.idle()).await.is_err() {
            tracing::warn!("provider calls did not end in time; the next start asks what became of them");
        }
        if tokio::time::timeout(WORKERS_TIME, self.workers.stop()).await.is_err() {
            tracing::warn!("workers did not end in time; the next start takes up their work");
        }
        let store = self.engine.store.clone();
        drop(self.engine);
        // Closing waits for threads.
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }
}

#[cfg(test)]
#[path = "gateway_limits_tests.rs"]
mod limits_tests;
#[cfg(test)]
#[path = "gateway_tests.rs"]
mod tests;
