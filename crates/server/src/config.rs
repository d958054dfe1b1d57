//! The settings of a gateway, from file, environment and flags.

use crate::config_layers::Values;
use crate::logging::{self, LogFormat};
use domain::rate::TierName;
use domain::time::MICROS;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use store::Location;
use web::card_testing;

pub use crate::config_layers::Origin;

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
            let same = all.iter().take(i).find(|(_, other)| other == address && address.port() != 0);
            if let Some((other, _)) = same {
                v.problems
                    .push(format!("{name} and {other} are both {address}; give each a port of its own"));
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

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() || text.contains('\0') {
        Err("is not a path".to_owned())
    } else {
        Ok(PathBuf::from(text))
    }
}

fn database(text: &str) -> Result<Database, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(Database::Postgres(text.to_owned()));
    }
    // SQLite reads `file:` and `:memory:` as something else than a path: each of our connections would
    // then see a database of its own.
    if text.contains("://") || text.starts_with("file:") || text.starts_with(':') {
        return Err("is neither a path nor a postgres:// address".to_owned());
    }
    path(text).map(Database::Sqlite)
}

fn number<T: TryFrom<i64>>(text: &str, min: i64, max: i64) -> Result<T, String> {
    let wrong = || "is not in range".to_owned();
    let number: i64 = text.parse().map_err(|_| "is not a whole number".to_owned())?;
    if !(min..=max).contains(&number) {
        return Err(wrong());
    }
    T::try_from(number).map_err(|_| wrong())
}

fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("is neither".to_owned()),
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let text =
        text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| "is not an IP address with a port".to_owned())
}

fn address_or_off(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" { Ok(None) } else { address(text).map(Some) }
}

fn limit_or_off(text: &str) -> Result<Option<u32>, String> {
    if text == "off" {
        return Ok(None);
    }
    number(text, 1, i64::from(card_testing::LIMIT_MAX)).map(Some)
}

/// A base for links; answers it without a slash at its end.
fn base_url(text: &str) -> Result<String, String> {
    let url = url::Url::parse(text).map_err(|_| "is not an absolute address".to_owned())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err("does not start with https:// or http:// and a host".to_owned());
    }
    if url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Err("has a query, a fragment or a user's name".to_owned());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
