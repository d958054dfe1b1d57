//! The settings of a gateway, from file, environment and flags.

use crate::config_layers::Values;
use crate::config_values::{
    address, address_or_off, base_url, database, flag, limit_or_off, name, networks, number, origin, path,
    span, url_of_a_name,
};
use crate::logging::{self, LogFormat};
use domain::network::Network;
use domain::rate::TierName;
use domain::time::{DAY, MICROS};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::Location;
use web::card_testing;
use web::rate_limit::windows;

pub use crate::config_layers::Origin;
pub use crate::config_values::Secret;

/// Which database, and where. Never shows a password.
#[derive(Clone, PartialEq, Eq)]
pub enum Database {
    Sqlite(PathBuf),
    /// A `postgres://` address.
    Postgres(String),
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Database::Sqlite(path) => write!(f, "{}", path.display()),
            Database::Postgres(url) => f.write_str(&masked(url)),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// The address without its password. Everything between the user's name and the last `@` goes, and the
/// whole query: both may carry one, and neither is needed to know which database is meant.
fn masked(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (user, place) = match rest.rsplit_once('@') {
        Some((user, place)) => (Some(user.split(':').next().unwrap_or_default()), place),
        None => (None, rest),
    };
    let place = place.split(['?', '#']).next().unwrap_or_default();
    match user {
        Some(user) => format!("{scheme}://{user}:***@{place}"),
        None => format!("{scheme}://{place}"),
    }
}

/// Every setting, checked.
#[derive(Clone, Debug)]
pub struct Config {
    pub data_dir: PathBuf,
    pub database: Database,
    pub database_connections: usize,
    pub sealing_key_file: PathBuf,
    /// The key file was named by the operator, not derived from `data_dir`.
    pub sealing_key_named: bool,
    pub api_listen: SocketAddr,
    pub admin_listen: SocketAddr,
    pub public_listen: SocketAddr,
    pub stripe_listen: Option<SocketAddr>,
    /// `None`: the address that is really listened on.
    pub api_url: Option<String>,
    pub public_url: Option<String>,
    /// `None`: `localhost` with the port that is listened on.
    pub admin_url: Option<String>,
    /// The origin of an operator's panel on another host, without a slash at its end.
    pub panel_origin: Option<String>,
    /// What a browser calls the gateway when it asks for a passkey.
    pub passkey_name: String,
    pub trusted_proxies: Vec<Network>,
    /// Of the Admin API and the Main Backend.
    pub window_limits: windows::Settings,
    /// Without it nobody sees `/internal/health`, if it is set.
    pub health_token: Option<Secret>,
    pub log_format: LogFormat,
    pub log_level: String,
    /// How long bank debits and pending refunds take in the sandbox, in microseconds.
    pub sandbox_settle_us: i64,
    pub provider_deadline: Duration,
    pub allow_loopback_webhooks: bool,
    pub card_testing: card_testing::Settings,
    pub demo: bool,
    pub demo_tier: Option<TierName>,
    /// What is odd but works, one sentence each.
    pub warnings: Vec<String>,
}

/// What the settings are read from.
#[derive(Default)]
pub struct Sources<'a> {
    /// The file that `--config` names.
    pub config_file: Option<&'a Path>,
    /// Settings given as flags, by the name that they have in the file.
    pub flags: Vec<(&'static str, Option<String>)>,
    /// The weakest layer: what the command itself implies.
    pub implied: Vec<(&'static str, &'static str)>,
}

/// Settings that cannot be used; one line for each that is wrong.
#[derive(Debug)]
pub struct ConfigError(pub Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

fn is_localhost(url: &str) -> bool {
    url.strip_prefix("http://").and_then(|rest| rest.split([':', '/']).next()) == Some("localhost")
}

/// Whether two listeners cannot both be had: one that takes every address takes the other's too.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    let same_port = one.port() == other.port() && one.port() != 0;
    same_port && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl Config {
    /// Reads all layers: file, then `env` over it, then flags over that.
    ///
    /// # Errors
    /// Every wrong value at once.
    pub fn load(
        sources: &Sources<'_>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<Config, ConfigError> {
        let values = Values::gather(sources.config_file, &sources.flags, env, &sources.implied);
        let mut values = values.map_err(|e| ConfigError(vec![e]))?;
        let config = Config::from_values(&mut values);
        if values.problems.is_empty() { Ok(config) } else { Err(ConfigError(values.problems)) }
    }

    fn from_values(v: &mut Values) -> Config {
        let demo = v.take("demo", flag).unwrap_or(false);
        let data_dir = v.take("data_dir", path).unwrap_or_else(|| PathBuf::from("./paymentgate-data"));
        let database = v.take("database", database);
        let named_key = v.take("sealing_key_file", path);
        let usual = if demo { card_testing::Settings::RELAXED } else { card_testing::Settings::default() };
        let card_testing = card_testing::Settings {
            cards: v.take("card_testing_cards", limit_or_off).unwrap_or(usual.cards),
            tries: v.take("card_testing_tries", limit_or_off).unwrap_or(usual.tries),
            breaker: v.take("card_testing_breaker", flag).unwrap_or(usual.breaker),
        };
        let usual = windows::Settings::default();
        let window_limits = windows::Settings {
            enabled: v.take("rate_limit", flag).unwrap_or(usual.enabled),
            window_us: v.take("rate_limit_window", |t| span(t, MICROS, DAY)).unwrap_or(usual.window_us),
            per_window: v
                .take("rate_limit_requests", |t| number(t, 1, 10_000_000))
                .unwrap_or(usual.per_window),
            per_minute: v
                .take("rate_limit_per_minute", |t| number(t, 1, 10_000_000))
                .unwrap_or(usual.per_minute),
            exempt: v.take("rate_limit_whitelist", networks).unwrap_or(usual.exempt),
        };
        let stripe = if demo { Some(loopback(8083)) } else { None };
        let mut config = Config {
            database: database.unwrap_or_else(|| Database::Sqlite(data_dir.join("paymentgate.db"))),
            database_connections: v.take("database_connections", |t| number(t, 1, 512)).unwrap_or(16),
            sealing_key_named: named_key.is_some(),
            sealing_key_file: named_key.unwrap_or_else(|| data_dir.join("sealing.key")),
            data_dir,
            api_listen: v.take("api_listen", address).unwrap_or(loopback(8080)),
            admin_listen: v.take("admin_listen", address).unwrap_or(loopback(8081)),
            public_listen: v.take("public_listen", address).unwrap_or(loopback(8082)),
            stripe_listen: v.take("stripe_listen", address_or_off).unwrap_or(stripe),
            api_url: v.take("api_url", base_url),
            public_url: v.take("public_url", base_url),
            admin_url: v.take("admin_url", url_of_a_name),
            panel_origin: v.take("panel_origin", origin),
            passkey_name: v.take("passkey_name", name).unwrap_or_else(|| "PaymentGate".to_owned()),
            trusted_proxies: v.take("trusted_proxies", networks).unwrap_or_default(),
            window_limits,
            health_token: v.take("health_token", Secret::parse),
            log_format: v.take("log_format", LogFormat::parse).unwrap_or(LogFormat::Pretty),
            log_level: v.take("log_level", logging::check_filter).unwrap_or_else(|| "info".to_owned()),
            sandbox_settle_us: v.take("sandbox_settle_seconds", |t| number(t, 0, 86_400)).unwrap_or(5)
                * MICROS,
            provider_deadline: Duration::from_secs(
                v.take("provider_deadline_seconds", |t| number(t, 1, 50)).unwrap_or(25),
            ),
            allow_loopback_webhooks: v.take("allow_loopback_webhooks", flag).unwrap_or(demo),
            card_testing,
            demo,
            demo_tier: v.take("demo_tier", |t| TierName::parse(t).map_err(|_| "is not a tier".to_owned())),
            warnings: std::mem::take(&mut v.warnings),
        };
        config.check_addresses(v);
        if config.demo && v.for_production() {
            v.problems.push(
                "demo and MPG_ENV=production exclude each other: a demo's keys are printed; use `paymentgate serve` \
                 without --demo"
                    .to_owned(),
            );
        }
        config.note_oddities();
        config
    }

    /// Every listener with the name of its setting.
    pub fn listeners(&self) -> Vec<(&'static str, SocketAddr)> {
        let mut all = vec![
            ("api_listen", self.api_listen),
            ("admin_listen", self.admin_listen),
            ("public_listen", self.public_listen),
        ];
        all.extend(self.stripe_listen.map(|address| ("stripe_listen", address)));
        all
    }

    fn check_addresses(&self, v: &mut Values) {
        let all = self.listeners();
        for (i, (name, address)) in all.iter().enumerate() {
            let same = all.iter().take(i).find(|(_, other)| clash(*other, *address));
            if let Some((other, taken)) = same {
                v.problems.push(format!(
                    "{name} ({address}) and {other} ({taken}) take the same port; give each a port of its own"
                ));
            }
        }
    }

    fn note_oddities(&mut self) {
        if self.demo_tier.is_some() && !self.demo {
            self.warnings.push(
                "demo_tier has no effect without demo; use `paymentgate merchants set` for other merchants"
                    .to_owned(),
            );
        }
        if self.admin_url.as_deref().is_some_and(|url| url.starts_with("http://") && !is_localhost(url)) {
            self.warnings.push(
                "admin_url is not https: browsers offer no passkeys there, so nobody can sign in".to_owned(),
            );
        }
        if self.trusted_proxies.iter().any(|network| network.to_string().ends_with("/0")) {
            self.warnings.push(
                "trusted_proxies holds every address: anyone can write the address that limits and logs see"
                    .to_owned(),
            );
        }
        let urls = [&self.api_url, &self.public_url, &self.admin_url];
        let proxied = urls.into_iter().flatten().any(|url| url.starts_with("https://"));
        if proxied && self.trusted_proxies.is_empty() {
            self.warnings.push(
                "links are https, so a proxy is in front, but trusted_proxies is empty: all clients of the proxy are \
                 counted as one"
                    .to_owned(),
            );
        }
        let exposed: Vec<&str> =
            self.listeners().iter().filter(|(_, a)| !a.ip().is_loopback()).map(|(name, _)| *name).collect();
        if !exposed.is_empty() {
            self.warnings.push(format!(
                "{} can be reached from other machines without TLS; put a TLS proxy in front",
                exposed.join(", ")
            ));
        }
    }

    /// Where the store finds the database.
    pub fn location(&self) -> Location {
        match &self.database {
            Database::Sqlite(path) => Location::Sqlite(path.clone()),
            Database::Postgres(url) => {
                Location::Postgres { url: url.clone(), connections: self.database_connections }
            }
        }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
