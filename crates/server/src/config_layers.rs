//! Where settings come from: file < environment < flags. Values stay text here, each with its origin.

use crate::config_aliases::{self, Alias};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Every setting by its name in the file, and what is allowed. In the environment a name is written
/// `PAYMENTGATE_` and upper case; as a flag with hyphens.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("data_dir", "a folder that this user may write to"),
    ("database", "a file path, or an address postgres://user:password@host/name"),
    ("database_connections", "a whole number from 1 to 512"),
    ("sealing_key_file", "a file path"),
    ("api_listen", LISTEN),
    ("admin_listen", LISTEN),
    ("public_listen", LISTEN),
    ("stripe_listen", "an IP address and a port, such as 127.0.0.1:8083, or off"),
    ("api_url", URL),
    ("public_url", URL),
    ("admin_url", "an address with a name for a host, such as https://admin.pay.example.com, without a path"),
    ("panel_origin", "an origin such as https://panel.example.com"),
    ("passkey_name", "a name of at most 64 characters"),
    ("trusted_proxies", NETWORKS),
    ("rate_limit", BOOL),
    ("rate_limit_window", "a time span from 1s to 24h, such as 5m"),
    ("rate_limit_requests", "a whole number from 1 to 10000000"),
    ("rate_limit_per_minute", "a whole number from 1 to 10000000"),
    ("rate_limit_whitelist", NETWORKS),
    (
        "health_token",
        "16 to 256 letters, digits and signs without spaces, such as `openssl rand -hex 32` prints",
    ),
    ("log_format", "pretty or json"),
    ("log_level", "off, error, warn, info, debug or trace, or filters such as info,store=debug"),
    ("sandbox_settle_seconds", "a whole number from 0 to 86400"),
    ("provider_deadline_seconds", "a whole number from 1 to 50"),
    ("allow_loopback_webhooks", BOOL),
    ("card_testing_cards", CARD_TESTING),
    ("card_testing_tries", CARD_TESTING),
    ("card_testing_breaker", BOOL),
    ("demo", BOOL),
    ("demo_tier", "sandbox, starter, growth, enterprise or custom:<per_minute>/<per_second>/<burst>"),
];

const LISTEN: &str =
    "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080; port 0 picks a free one";
const URL: &str = "an address such as https://pay.example.com, without a query";
const NETWORKS: &str =
    "addresses and networks with commas between, such as 127.0.0.1,10.0.0.0/8, or off for none";
const CARD_TESTING: &str = "a whole number from 1 to 1000, or off";
const BOOL: &str = "true or false";
const ENV_PREFIX: &str = "PAYMENTGATE_";
/// The variable that names the file; not a setting itself.
const ENV_CONFIG: &str = "PAYMENTGATE_CONFIG";
/// Largest settings file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// Which layer a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    Environment(String),
    Flag(String),
    /// What the command itself implies, such as `--demo` when no command is given.
    Command,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File(path) => write!(f, "from the file {}", path.display()),
            Origin::Environment(name) => write!(f, "from the environment variable {name}"),
            Origin::Flag(name) => write!(f, "from the flag {name}"),
            Origin::Command => f.write_str("implied by the command"),
        }
    }
}

/// The text of every setting that was given, from the strongest layer that gives it.
#[derive(Default)]
pub(crate) struct Values {
    found: BTreeMap<&'static str, (String, Origin)>,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
    /// What is odd but works.
    pub warnings: Vec<String>,
    for_production: bool,
}

/// Settings whose text is never repeated: they are secret, or may hold a password.
const UNSHOWN: [&str; 2] = ["database", "health_token"];

fn known(name: &str) -> Option<(&'static str, &'static str)> {
    SETTINGS.iter().find(|(known, _)| *known == name).copied()
}

fn flag_name(setting: &str) -> String {
    format!("--{}", setting.replace('_', "-"))
}

impl Values {
    /// Puts the layers on top of each other.
    ///
    /// # Errors
    /// When the file that is named cannot be read.
    pub fn gather(
        config_flag: Option<&Path>,
        flags: &[(&'static str, Option<String>)],
        env: impl Iterator<Item = (String, String)>,
        implied: &[(&'static str, &str)],
    ) -> Result<Values, String> {
        let mut values = Values::default();
        for (name, text) in implied {
            values.put(name, (*text).to_owned(), Origin::Command);
        }
        // An empty variable is how container files say "not set".
        let (env, theirs): (BTreeMap<String, String>, BTreeMap<String, String>) = env
            .filter(|(name, text)| {
                !text.is_empty() && [ENV_PREFIX, config_aliases::PREFIX].iter().any(|p| name.starts_with(p))
            })
            .partition(|(name, _)| name.starts_with(ENV_PREFIX));
        let from_env = env.get(ENV_CONFIG).map(PathBuf::from);
        if let Some(path) = config_flag.map(Path::to_path_buf).or(from_env) {
            values.read_file(&path)?;
        }
        values.read_aliases(&env, &theirs);
        for (variable, text) in env {
            if variable != ENV_CONFIG {
                values.read_variable(variable, text);
            }
        }
        for (name, text) in flags {
            if let Some(text) = text {
                values.put(name, text.clone(), Origin::Flag(flag_name(name)));
            }
        }
        Ok(values)
    }

    fn put(&mut self, name: &str, text: String, origin: Origin) {
        if let Some((name, _)) = known(name) {
            self.found.insert(name, (text, origin));
        }
    }

    /// Takes over the variables that go by the names of the Admin API's first maker. Ours are put on top of
    /// them; but one that says something else is a mistake that nobody would see.
    fn read_aliases(&mut self, ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) {
        let aliases = config_aliases::translate(theirs);
        for Alias { setting, text, variables } in aliases.settings {
            let name = format!("{ENV_PREFIX}{}", setting.to_uppercase());
            if ours.get(&name).is_some_and(|own| *own != text) {
                self.problems.push(format!(
                    "{setting}: the environment variables {name} and {variables} do not say the same; unset one of them"
                ));
            }
            self.put(setting, text, Origin::Environment(variables));
        }
        self.warnings.extend(aliases.warnings);
        self.for_production = aliases.for_production;
    }

    /// Whether the environment says that this is no place for experiments.
    pub fn for_production(&self) -> bool {
        self.for_production
    }

    fn read_variable(&mut self, variable: String, text: String) {
        let name = variable.strip_prefix(ENV_PREFIX).unwrap_or_default().to_lowercase();
        if known(&name).is_some() {
            self.put(&name, text, Origin::Environment(variable));
        } else {
            // Not refused: container platforms put variables of their own beside ours.
            self.warnings.push(format!("the environment variable {variable} is no setting and was ignored"));
        }
    }

    fn read_file(&mut self, path: &Path) -> Result<(), String> {
        let shown = path.display();
        let size =
            std::fs::metadata(path).map_err(|e| format!("the settings file {shown} cannot be read: {e}"))?;
        if size.len() > FILE_MAX {
            return Err(format!(
                "the settings file {shown} is larger than {FILE_MAX} bytes: is it the right file?"
            ));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|e| format!("the settings file {shown} cannot be read: {e}"))?;
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
            // Not the error's own text: it quotes the line, which may hold a password.
            let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("the settings file {shown} is not valid TOML: line {line}: {}", e.message())
        })?;
        for (name, value) in table {
            let Some((name, allowed)) = known(&name) else {
                let names: Vec<&str> = SETTINGS.iter().map(|(name, _)| *name).collect();
                self.problems.push(format!(
                    "{name}, from the file {shown}: there is no such setting; the settings are {}",
                    names.join(", ")
                ));
                continue;
            };
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(yes) => yes.to_string(),
                other => {
                    let kind = other.type_str();
                    self.problems.push(format!(
                        "{name}, from the file {shown}: {kind} is not allowed; give {allowed}"
                    ));
                    continue;
                }
            };
            self.put(name, text, Origin::File(path.to_path_buf()));
        }
        Ok(())
    }

    /// The parsed value of a setting; a value that `parse` refuses becomes a problem and counts as not
    /// given. `parse` answers what is wrong, as a phrase that follows the value.
    pub fn take<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let (text, origin) = self.found.get(name)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let allowed = known(name).map_or("", |(_, allowed)| allowed);
                let shown =
                    if UNSHOWN.contains(&name) { "the value".to_owned() } else { format!("{text:?}") };
                self.problems.push(format!("{name}, {origin}: {shown} {wrong}; give {allowed}"));
                None
            }
        }
    }
}
