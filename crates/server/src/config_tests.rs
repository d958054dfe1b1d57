use super::*;

fn load(
    file: Option<&str>,
    env: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("settings.toml");
    if let Some(text) = file {
        std::fs::write(&path, text).expect("written");
    }
    let sources = Sources {
        config_file: file.map(|_| path.as_path()),
        flags: flags.iter().map(|(name, text)| (*name, Some((*text).to_owned()))).collect(),
        implied: Vec::new(),
    };
    Config::load(&sources, env.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))
}

fn problem(result: Result<Config, ConfigError>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn defaults() {
    let config = load(None, &[], &[]).expect("valid");
    assert_eq!(config.database, Database::Sqlite("./paymentgate-data/paymentgate.db".into()));
    assert_eq!(config.sealing_key_file, PathBuf::from("./paymentgate-data/sealing.key"));
    assert_eq!(config.api_listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.stripe_listen, None);
    assert!(!config.demo && !config.allow_loopback_webhooks && config.warnings.is_empty());
    assert_eq!(config.sandbox_settle_us, 5_000_000);
}

#[test]
fn the_demo_opens_the_fourth_listener_and_loopback_webhooks() {
    let config = load(None, &[], &[("demo", "true")]).expect("valid");
    assert_eq!(config.stripe_listen.map(|a| a.port()), Some(8083));
    assert!(config.allow_loopback_webhooks);
    let flags = [("demo", "true"), ("stripe_listen", "off"), ("allow_loopback_webhooks", "false")];
    let config = load(None, &[], &flags).expect("valid");
    assert!(config.stripe_listen.is_none() && !config.allow_loopback_webhooks);
}

#[test]
fn bounds_against_card_testing() {
    use web::card_testing::Settings;
    let bounds = |flags: &[(&'static str, &str)]| load(None, &[], flags).expect("valid").card_testing;
    assert_eq!(bounds(&[]), Settings { cards: Some(10), tries: Some(20), breaker: true });
    assert_eq!(bounds(&[("demo", "true")]), Settings::RELAXED);
    let set = [("card_testing_cards", "off"), ("card_testing_tries", "7"), ("card_testing_breaker", "false")];
    assert_eq!(bounds(&set), Settings { cards: None, tries: Some(7), breaker: false });
    assert_eq!(bounds(&[("demo", "true"), ("card_testing_cards", "10")]).cards, Some(10));
    for wrong in ["0", "1001", "-1", "none", ""] {
        let refused = problem(load(None, &[], &[("card_testing_tries", wrong)]));
        assert!(refused.contains("1 to 1000, or off"), "{wrong}: {refused}");
    }
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let file = "api_listen = \"127.0.0.1:1001\"\nadmin_listen = \"127.0.0.1:1002\"\npublic_listen = \"127.0.0.1:1003\"\n\
                database_connections = 7\ndemo = true\n";
    let env =
        [("PAYMENTGATE_ADMIN_LISTEN", "127.0.0.1:2002"), ("PAYMENTGATE_PUBLIC_LISTEN", "127.0.0.1:2003")];
    let config = load(Some(file), &env, &[("public_listen", "127.0.0.1:3003")]).expect("valid");
    let ports: Vec<u16> =
        [config.api_listen, config.admin_listen, config.public_listen].iter().map(|a| a.port()).collect();
    assert_eq!(ports, [1001, 2002, 3003]);
    assert_eq!(config.database_connections, 7);
    assert!(config.demo);
}

#[test]
fn the_environment_names_the_file_and_the_flag_wins() {
    let folder = tempfile::tempdir().expect("a folder");
    let (one, two) = (folder.path().join("1.toml"), folder.path().join("2.toml"));
    std::fs::write(&one, "database_connections = 1").expect("written");
    std::fs::write(&two, "database_connections = 2").expect("written");
    let env = || [("PAYMENTGATE_CONFIG".to_owned(), one.display().to_string())].into_iter();
    assert_eq!(Config::load(&Sources::default(), env()).expect("valid").database_connections, 1);
    let flagged = Sources { config_file: Some(&two), ..Sources::default() };
    assert_eq!(Config::load(&flagged, env()).expect("valid").database_connections, 2);
}

#[test]
fn messages_name_setting_origin_fault_and_what_is_allowed() {
    let told = problem(load(None, &[("PAYMENTGATE_API_LISTEN", "8080")], &[]));
    assert_eq!(
        told,
        "api_listen, from the environment variable PAYMENTGATE_API_LISTEN: \"8080\" is not an IP address with a \
         port; give an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080; port 0 picks a free one"
    );
    let told = problem(load(None, &[], &[("database_connections", "0")]));
    assert_eq!(
        told,
        "database_connections, from the flag --database-connections: \"0\" is not in range; give a whole number \
         from 1 to 512"
    );
    let told = problem(load(Some("log_format = \"xml\""), &[], &[]));
    assert!(
        told.starts_with("log_format, from the file ") && told.ends_with("give pretty or json"),
        "{told}"
    );
}

#[test]
fn all_problems_are_told_at_once() {
    let flags =
        [("api_url", "ftp://x"), ("demo", "yes"), ("demo_tier", "gold"), ("sandbox_settle_seconds", "-1")];
    assert_eq!(problem(load(None, &[], &flags)).lines().count(), 4);
}

#[test]
fn unknown_keys_and_wrong_types_in_the_file_are_refused() {
    let told = problem(load(Some("api_listn = \"127.0.0.1:1\""), &[], &[]));
    assert!(
        told.contains("api_listn") && told.contains("no such setting") && told.contains("api_listen"),
        "{told}"
    );
    let told = problem(load(Some("[api_listen]\nport = 1"), &[], &[]));
    assert!(told.contains("table is not allowed"), "{told}");
    assert!(problem(load(Some("demo = 1.5"), &[], &[])).contains("float is not allowed"));
}

#[test]
fn an_unreadable_file_is_named() {
    let sources =
        Sources { config_file: Some(Path::new("/nonexistent/settings.toml")), ..Sources::default() };
    assert!(problem(Config::load(&sources, std::iter::empty())).contains("/nonexistent/settings.toml"));
}

#[test]
fn foreign_variables_warn_and_empty_ones_are_unset() {
    let env = [("PAYMENTGATE_SERVICE_HOST", "10.0.0.1"), ("PAYMENTGATE_API_LISTEN", ""), ("HOME", "x")];
    let config = load(None, &env, &[]).expect("valid");
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].contains("PAYMENTGATE_SERVICE_HOST"));
}

#[test]
fn listeners_need_addresses_of_their_own() {
    let told = problem(load(None, &[], &[("admin_listen", "127.0.0.1:8080")]));
    assert!(
        told.contains("admin_listen (127.0.0.1:8080) and api_listen (127.0.0.1:8080) take the same port"),
        "{told}"
    );
    let told = problem(load(None, &[], &[("admin_listen", "0.0.0.0:8080")]));
    assert!(told.contains("admin_listen (0.0.0.0:8080) and api_listen"), "{told}");
    let zero = [("api_listen", "127.0.0.1:0"), ("admin_listen", "127.0.0.1:0")];
    assert!(load(None, &[], &zero).is_ok());
    let config = load(None, &[], &[("api_listen", "0.0.0.0:8080")]).expect("valid");
    assert!(config.warnings[0].contains("api_listen"));
}

#[test]
fn a_proxy_that_is_not_declared_is_noticed() {
    let warned = |flags: &[(&'static str, &str)]| {
        let config = load(None, &[], flags).expect("valid");
        config.warnings.iter().any(|warning| warning.contains("trusted_proxies"))
    };
    assert!(warned(&[("public_url", "https://pay.example.com")]));
    assert!(!warned(&[("public_url", "https://pay.example.com"), ("trusted_proxies", "127.0.0.1")]));
    assert!(!warned(&[("public_url", "http://localhost:8082")]));
}

#[test]
fn addresses_of_the_operators_side() {
    let config = |flags: &[(&'static str, &str)]| load(None, &[], flags).expect("valid");
    assert_eq!(config(&[]).admin_url, None);
    let flags = [("admin_url", "http://localhost:9000/"), ("panel_origin", "http://localhost:5173")];
    let local = config(&flags);
    assert_eq!(local.admin_url.as_deref(), Some("http://localhost:9000"));
    assert_eq!(local.panel_origin.as_deref(), Some("http://localhost:5173"));
    assert!(local.warnings.is_empty(), "{:?}", local.warnings);
    assert!(config(&[("admin_url", "http://admin.example.com")]).warnings[0].contains("no passkeys"));
    assert!(problem(load(None, &[], &[("admin_url", "https://192.0.2.1")])).contains("passkeys need a name"));
    assert!(problem(load(None, &[], &[("passkey_name", " ")])).contains("passkey_name"));
}

#[test]
fn databases() {
    for bad in ["", ":memory:", "file:x.db", "mysql://x/y", "sqlite://x.db"] {
        assert!(database(bad).is_err(), "{bad}");
    }
    assert_eq!(database("x.db"), Ok(Database::Sqlite("x.db".into())));
    assert!(matches!(database("postgres://localhost/x"), Ok(Database::Postgres(_))));
}

#[test]
fn no_password_is_shown() {
    for url in [
        "postgres://pay:hunter2@db.example:5432/gate",
        "postgres://pay:hun@ter2@db.example:5432/gate",
        "postgres://pay:hunter2/@db.example:5432/gate?sslmode=disable",
        "postgresql://pay@db.example:5432/gate?password=hunter2",
    ] {
        let config = load(None, &[("PAYMENTGATE_DATABASE", url)], &[]).expect("valid");
        for shown in [format!("{config:?}"), config.database.to_string()] {
            assert!(!shown.contains("ter2") && shown.contains("db.example:5432/gate"), "{shown}");
        }
    }
    let told = problem(load(None, &[("PAYMENTGATE_DATABASE", "mysql://pay:hunter2@db/x")], &[]));
    assert!(!told.contains("hunter2"), "{told}");
    let told = problem(load(Some("database = \"postgres://pay:hunter2@db/x"), &[], &[]));
    assert!(!told.contains("hunter2") && told.contains("line 1"), "{told}");
}

#[test]
fn base_urls() {
    assert_eq!(base_url("https://pay.example.com/").as_deref(), Ok("https://pay.example.com"));
    assert_eq!(base_url("http://127.0.0.1:8080/gate/").as_deref(), Ok("http://127.0.0.1:8080/gate"));
    for bad in ["pay.example.com", "ftp://x", "https://x?y", "https://x#y", "https://u:p@x", "https://"] {
        assert!(base_url(bad).is_err(), "{bad}");
    }
}
