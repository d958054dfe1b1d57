//! Environment variables by the names of the Admin API's first maker (`MPG_…`), as settings of ours.
//!
//! Whoever comes from there keeps their environment. What has no meaning here is told, not passed over: a
//! limit or a key that silently does nothing is worse than none.

use std::collections::BTreeMap;

pub(crate) const PREFIX: &str = "MPG_";

/// A setting that their variables give.
pub(crate) struct Alias {
    pub setting: &'static str,
    pub text: String,
    /// The variables that it comes from.
    pub variables: String,
}

/// What their variables say.
#[derive(Default)]
pub(crate) struct Aliases {
    pub settings: Vec<Alias>,
    pub warnings: Vec<String>,
    /// `MPG_ENV` says so.
    pub for_production: bool,
}

/// Turns the text of a variable into that of a setting.
type Reader = fn(&str) -> String;

/// Variables with one setting each.
const PLAIN: &[(&str, &str, Reader)] = &[
    ("MPG_RATE_LIMIT_ENABLED", "rate_limit", switch),
    ("MPG_RATE_LIMIT_WINDOW_SIZE", "rate_limit_window", as_it_is),
    ("MPG_RATE_LIMIT_MAX_REQUESTS", "rate_limit_requests", as_it_is),
    ("MPG_RATE_LIMIT_REQUESTS_PER_MIN", "rate_limit_per_minute", as_it_is),
    ("MPG_RATE_LIMIT_WHITELIST", "rate_limit_whitelist", as_it_is),
    ("MPG_SECURITY_TRUSTED_PROXIES", "trusted_proxies", as_it_is),
    ("MPG_LOG_LEVEL", "log_level", log_level),
    ("MPG_LOG_FORMAT", "log_format", log_format),
    ("MPG_INTERNAL_HEALTH_TOKEN", "health_token", as_it_is),
    ("MPG_IPN_ALLOW_PRIVATE_TARGETS", "allow_loopback_webhooks", switch),
    ("MPG_WEBAUTHN_RPDISPLAYNAME", "passkey_name", as_it_is),
    ("MPG_ADMIN_BACKEND_DOMAIN", "admin_url", domain),
    ("MPG_ADMIN_FRONTEND_DOMAIN", "panel_origin", domain),
];

/// Listeners: variables of host and port, the setting, and the port that it has by default.
const LISTENERS: &[(&str, &str, &str, &str)] = &[
    ("MPG_ADMIN_BACKEND_HOST", "MPG_ADMIN_BACKEND_PORT", "admin_listen", "8081"),
    ("MPG_MAIN_BACKEND_HOST", "MPG_MAIN_BACKEND_PORT", "public_listen", "8082"),
];

/// Pages and Main Backend are one listener here, so that two hosts are one base of links.
const PAGES: &str = "MPG_MAIN_FRONTEND_DOMAIN";
const MAIN: &str = "MPG_MAIN_BACKEND_DOMAIN";
const ENV: &str = "MPG_ENV";
const PRIVATE_TARGETS: &str = "MPG_IPN_ALLOW_PRIVATE_TARGETS";

/// Reads variables that start with [`PREFIX`] and are not empty.
pub(crate) fn translate(theirs: &BTreeMap<String, String>) -> Aliases {
    let mut all = Aliases::default();
    let get = |name: &str| theirs.get(name).map(String::as_str);
    for (variable, setting, read) in PLAIN {
        if let Some(text) = get(variable) {
            all.settings.push(Alias { setting, text: read(text), variables: (*variable).to_owned() });
        }
    }
    for (host, port, setting, usual_port) in LISTENERS {
        let given: Vec<&str> = [*host, *port].into_iter().filter(|name| get(name).is_some()).collect();
        if !given.is_empty() {
            let text = socket(get(host).unwrap_or("127.0.0.1"), get(port).unwrap_or(usual_port));
            all.settings.push(Alias { setting, text, variables: given.join(" and ") });
        }
    }
    all.read_pages(get(PAGES), get(MAIN));
    all.for_production = get(ENV).is_some_and(|env| env.trim().to_ascii_lowercase().starts_with("prod"));
    if get(PRIVATE_TARGETS).is_some_and(|text| switch(text) == "true") {
        all.warnings.push(format!(
            "{PRIVATE_TARGETS} lets notices of test mode reach this machine, as allow_loopback_webhooks does; other \
             private networks, and all of them in live mode, stay out of reach"
        ));
    }
    let unknown: Vec<&str> =
        theirs.keys().map(String::as_str).filter(|name| !means_something(name)).collect();
    if !unknown.is_empty() {
        all.warnings.push(format!(
            "{}: no meaning here, ignored; the settings are in `paymentgate serve --help`",
            unknown.join(", ")
        ));
    }
    all
}

impl Aliases {
    fn read_pages(&mut self, pages: Option<&str>, main: Option<&str>) {
        let Some((variable, text)) = pages.map(|text| (PAGES, text)).or(main.map(|text| (MAIN, text))) else {
            return;
        };
        if main.is_some_and(|main| domain(main) != domain(text)) {
            self.warnings.push(format!(
                "{MAIN} differs from {PAGES}: both are served at public_listen, and links start with the latter"
            ));
        }
        self.settings.push(Alias {
            setting: "public_url",
            text: domain(text),
            variables: variable.to_owned(),
        });
    }
}

fn means_something(name: &str) -> bool {
    PLAIN.iter().any(|(variable, ..)| *variable == name)
        || LISTENERS.iter().any(|(host, port, ..)| [*host, *port].contains(&name))
        || [PAGES, MAIN, ENV].contains(&name)
}

fn as_it_is(text: &str) -> String {
    text.to_owned()
}

/// Switches as Go reads them.
fn switch(text: &str) -> String {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => "true".to_owned(),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => "false".to_owned(),
        other => other.to_owned(),
    }
}

fn log_level(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "fatal" | "panic" => "error".to_owned(),
        "warning" => "warn".to_owned(),
        "disabled" => "off".to_owned(),
        other => other.to_owned(),
    }
}

fn log_format(text: &str) -> String {
    match text.to_ascii_lowercase().as_str() {
        "text" | "console" => "pretty".to_owned(),
        other => other.to_owned(),
    }
}

/// A domain as the base of links.
fn domain(text: &str) -> String {
    if text.contains("://") { text.to_owned() } else { format!("https://{text}") }
}

fn socket(host: &str, port: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

#[cfg(test)]
#[path = "config_aliases_tests.rs"]
mod tests;
