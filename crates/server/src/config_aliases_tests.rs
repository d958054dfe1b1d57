use crate::config::{Config, ConfigError, Sources};
use crate::logging::LogFormat;
use domain::network::Network;
use domain::time::MINUTE;

fn load(env: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Config, ConfigError> {
    let flags = flags.iter().map(|(name, text)| (*name, Some((*text).to_owned()))).collect();
    let sources = Sources { flags, ..Sources::default() };
    Config::load(&sources, env.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
}

fn valid(env: &[(&str, &str)]) -> Config {
    load(env, &[]).expect("valid")
}

fn problem(env: &[(&str, &str)]) -> String {
    load(env, &[]).expect_err("refused").to_string()
}

fn shown(networks: &[Network]) -> Vec<String> {
    networks.iter().map(Network::to_string).collect()
}

#[test]
fn limits_as_documented_and_as_set() {
    let usual = valid(&[]).window_limits;
    assert_eq!(
        (usual.enabled, usual.window_us, usual.per_window, usual.per_minute),
        (true, 5 * MINUTE, 500, 100)
    );
    assert_eq!(shown(&usual.exempt), ["127.0.0.1", "::1"]);
    let set = valid(&[
        ("MPG_RATE_LIMIT_ENABLED", "False"),
        ("MPG_RATE_LIMIT_WINDOW_SIZE", "10m0s"),
        ("MPG_RATE_LIMIT_MAX_REQUESTS", "1000"),
        ("MPG_RATE_LIMIT_REQUESTS_PER_MIN", "200"),
        ("MPG_RATE_LIMIT_WHITELIST", "203.0.113.5, 10.0.0.0/8"),
    ]);
    let limits = &set.window_limits;
    assert_eq!((limits.enabled, limits.window_us), (false, 10 * MINUTE));
    assert_eq!((limits.per_window, limits.per_minute), (1_000, 200));
    assert_eq!(shown(&limits.exempt), ["203.0.113.5", "10.0.0.0/8"]);
    assert!(set.warnings.is_empty(), "{:?}", set.warnings);
    assert_eq!(valid(&[("PAYMENTGATE_RATE_LIMIT_WHITELIST", "off")]).window_limits.exempt, []);
    for (name, wrong) in [
        ("MPG_RATE_LIMIT_ENABLED", "maybe"),
        ("MPG_RATE_LIMIT_WINDOW_SIZE", "5"),
        ("MPG_RATE_LIMIT_WINDOW_SIZE", "25h"),
        ("MPG_RATE_LIMIT_WINDOW_SIZE", "0s"),
        ("MPG_RATE_LIMIT_WINDOW_SIZE", "99999999999999999999h"),
        ("MPG_RATE_LIMIT_MAX_REQUESTS", "0"),
        ("MPG_RATE_LIMIT_REQUESTS_PER_MIN", "-1"),
        ("MPG_RATE_LIMIT_WHITELIST", "127.0.0.1,shop.example.com"),
    ] {
        let told = problem(&[(name, wrong)]);
        assert!(told.contains(name) && told.contains(wrong), "{told}");
    }
    assert!(
        problem(&[("MPG_RATE_LIMIT_WHITELIST", "::1,10.0.0.5/8")])
            .contains("give 10.0.0.0/8 for the network")
    );
}

#[test]
fn proxies_token_name_and_logs() {
    let config = valid(&[
        ("MPG_SECURITY_TRUSTED_PROXIES", "127.0.0.1,172.16.0.0/12"),
        ("MPG_INTERNAL_HEALTH_TOKEN", "0123456789abcdef"),
        ("MPG_WEBAUTHN_RPDISPLAYNAME", "My Company Admin"),
        ("MPG_LOG_LEVEL", "FATAL"),
        ("MPG_LOG_FORMAT", "text"),
    ]);
    assert_eq!(shown(&config.trusted_proxies), ["127.0.0.1", "172.16.0.0/12"]);
    assert!(config.health_token.as_ref().is_some_and(|token| token.is("0123456789abcdef")));
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
    assert_eq!(config.passkey_name, "My Company Admin");
    assert_eq!((config.log_level.as_str(), config.log_format), ("error", LogFormat::Pretty));
    let config = valid(&[("MPG_LOG_LEVEL", "debug"), ("MPG_LOG_FORMAT", "json")]);
    assert_eq!((config.log_level.as_str(), config.log_format), ("debug", LogFormat::Json));
    assert!(valid(&[]).trusted_proxies.is_empty() && valid(&[]).health_token.is_none());
    assert_eq!(valid(&[]).passkey_name, "PaymentGate");
    let told = problem(&[("MPG_INTERNAL_HEALTH_TOKEN", "short-secret")]);
    assert!(told.contains("MPG_INTERNAL_HEALTH_TOKEN") && !told.contains("short-secret"), "{told}");
    assert!(valid(&[("MPG_SECURITY_TRUSTED_PROXIES", "0.0.0.0/0")]).warnings[0].contains("every address"));
}

#[test]
fn listeners_are_put_together() {
    for (env, admin, public) in [
        (&[][..], "127.0.0.1:8081", "127.0.0.1:8082"),
        (&[("MPG_ADMIN_BACKEND_PORT", "9001")], "127.0.0.1:9001", "127.0.0.1:8082"),
        (&[("MPG_ADMIN_BACKEND_HOST", "10.0.0.1")], "10.0.0.1:8081", "127.0.0.1:8082"),
        (
            &[("MPG_MAIN_BACKEND_HOST", "localhost"), ("MPG_MAIN_BACKEND_PORT", "9002")],
            "127.0.0.1:8081",
            "127.0.0.1:9002",
        ),
        (
            &[("MPG_MAIN_BACKEND_HOST", "::"), ("MPG_MAIN_BACKEND_PORT", "9002")],
            "127.0.0.1:8081",
            "[::]:9002",
        ),
    ] {
        let config = valid(env);
        assert_eq!(
            (config.admin_listen.to_string().as_str(), config.public_listen.to_string().as_str()),
            (admin, public)
        );
    }
    let told = problem(&[("MPG_ADMIN_BACKEND_HOST", "0.0.0.0"), ("MPG_ADMIN_BACKEND_PORT", "8080")]);
    assert!(told.contains("admin_listen (0.0.0.0:8080) and api_listen (127.0.0.1:8080)"), "{told}");
    let told = problem(&[("MPG_MAIN_BACKEND_HOST", "gateway"), ("MPG_MAIN_BACKEND_PORT", "1")]);
    assert!(told.contains("MPG_MAIN_BACKEND_HOST and MPG_MAIN_BACKEND_PORT"), "{told}");
}

#[test]
fn domains_are_bases_of_links() {
    let config = valid(&[
        ("MPG_ADMIN_BACKEND_DOMAIN", "api.example.com"),
        ("MPG_ADMIN_FRONTEND_DOMAIN", "https://panel.example.com:8443/"),
        ("MPG_MAIN_FRONTEND_DOMAIN", "pay.example.com"),
        ("MPG_SECURITY_TRUSTED_PROXIES", "127.0.0.1"),
    ]);
    assert_eq!(config.admin_url.as_deref(), Some("https://api.example.com"));
    assert_eq!(config.panel_origin.as_deref(), Some("https://panel.example.com:8443"));
    assert_eq!(config.public_url.as_deref(), Some("https://pay.example.com"));
    assert!(config.warnings.is_empty());
    let config = valid(&[("MPG_MAIN_BACKEND_DOMAIN", "hooks.example.com")]);
    assert_eq!(config.public_url.as_deref(), Some("https://hooks.example.com"));
    let both =
        [("MPG_MAIN_BACKEND_DOMAIN", "hooks.example.com"), ("MPG_MAIN_FRONTEND_DOMAIN", "pay.example.com")];
    let config = valid(&both);
    assert_eq!(config.public_url.as_deref(), Some("https://pay.example.com"));
    assert!(config.warnings[0].contains("MPG_MAIN_BACKEND_DOMAIN differs from MPG_MAIN_FRONTEND_DOMAIN"));
    for wrong in ["192.0.2.1", "https://[2001:db8::1]", "api.example.com/v1", "ftp://x"] {
        assert!(
            problem(&[("MPG_ADMIN_BACKEND_DOMAIN", wrong)]).contains("MPG_ADMIN_BACKEND_DOMAIN"),
            "{wrong}"
        );
    }
    assert!(problem(&[("MPG_ADMIN_FRONTEND_DOMAIN", "panel.example.com/x")]).contains("has a path"));
}

#[test]
fn private_targets_are_what_loopback_is_here() {
    let config = valid(&[("MPG_IPN_ALLOW_PRIVATE_TARGETS", "true")]);
    assert!(config.allow_loopback_webhooks);
    assert!(config.warnings[0].contains("MPG_IPN_ALLOW_PRIVATE_TARGETS"), "{:?}", config.warnings);
    let config = valid(&[("MPG_IPN_ALLOW_PRIVATE_TARGETS", "false")]);
    assert!(!config.allow_loopback_webhooks && config.warnings.is_empty());
}

#[test]
fn production_refuses_the_demo() {
    for env in ["production", "production-cloud", "Production"] {
        let told = load(&[("MPG_ENV", env)], &[("demo", "true")]).expect_err("refused").to_string();
        assert!(told.contains("MPG_ENV"), "{told}");
        assert!(valid(&[("MPG_ENV", env)]).warnings.is_empty());
    }
    assert!(load(&[("MPG_ENV", "dev")], &[("demo", "true")]).is_ok());
    assert!(load(&[], &[("demo", "true")]).is_ok());
}

#[test]
fn both_names_must_say_the_same() {
    let told = problem(&[("PAYMENTGATE_RATE_LIMIT_REQUESTS", "600"), ("MPG_RATE_LIMIT_MAX_REQUESTS", "500")]);
    assert!(told.contains("PAYMENTGATE_RATE_LIMIT_REQUESTS and MPG_RATE_LIMIT_MAX_REQUESTS"), "{told}");
    let told = problem(&[("PAYMENTGATE_ADMIN_LISTEN", "127.0.0.1:9000"), ("MPG_ADMIN_BACKEND_PORT", "9001")]);
    assert!(told.contains("PAYMENTGATE_ADMIN_LISTEN and MPG_ADMIN_BACKEND_PORT"), "{told}");
    let told = problem(&[
        ("PAYMENTGATE_HEALTH_TOKEN", "0123456789abcdef"),
        ("MPG_INTERNAL_HEALTH_TOKEN", "fedcba9876543210"),
    ]);
    assert!(told.contains("MPG_INTERNAL_HEALTH_TOKEN") && !told.contains("0123456789"), "{told}");
    let same = [
        ("PAYMENTGATE_ADMIN_URL", "https://api.example.com"),
        ("MPG_ADMIN_BACKEND_DOMAIN", "api.example.com"),
    ];
    assert_eq!(valid(&same).admin_url.as_deref(), Some("https://api.example.com"));
    // A flag is stronger than either, and no contradiction.
    let flagged = load(&[("MPG_RATE_LIMIT_MAX_REQUESTS", "500")], &[("rate_limit_requests", "7")]);
    assert_eq!(flagged.expect("valid").window_limits.per_window, 7);
}

#[test]
fn what_has_no_meaning_is_told_in_one_line() {
    let config = valid(&[
        ("MPG_GARNET_URL", "redis://user:hunter2@cache"),
        ("MPG_DATABASE_URI", "mongodb://user:hunter2@db"),
        ("MPG_LOG_LEVEL", "info"),
        ("MPG_OTEL_ENABLED", ""),
    ]);
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    assert!(
        config.warnings[0].starts_with("MPG_DATABASE_URI, MPG_GARNET_URL: no meaning here"),
        "{:?}",
        config.warnings
    );
    assert!(!config.warnings[0].contains("hunter2"));
}
