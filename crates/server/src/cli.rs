//! The command line.

use crate::commands::{
    admins, audit, callbacks, doctor, fees, keys, ledger, merchants, migrate, services, system_keys,
};
use crate::config::{Config, ConfigError, Sources};
use crate::logging::{self, LogFormat};
use crate::serve;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

const AFTER_HELP: &str = "\
Without a command, `paymentgate` does what `paymentgate serve --demo` does.

Every setting can stand in a TOML file (--config), in the environment (PAYMENTGATE_ and the setting's name in \
upper case) and in a flag; the flag wins over the environment, which wins over the file. In the file, settings \
are written with underscores: api_listen = \"127.0.0.1:8080\". Environment variables that start with MPG_, as \
the Admin API's first maker names them, are understood where they mean something here.";

/// A self-hosted payment gateway.
#[derive(Parser, Debug)]
#[command(name = "paymentgate", version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeFlags,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve the API, the payment pages and the admin address until SIGTERM or Ctrl-C
    Serve(ServeFlags),
    /// Bring the database up to date and say where it stands
    Migrate(StorageFlags),
    /// Make, list, rotate and revoke API keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Make, list and revoke keys that administer the whole instance over the Admin API
    #[command(subcommand)]
    SystemKeys(system_keys::Command),
    /// Make, list and configure merchants
    #[command(subcommand)]
    Merchants(merchants::Command),
    /// Invite, list, disable and enable global administrators, who sign in to the Admin API
    #[command(subcommand)]
    Admins(admins::Command),
    /// Make and configure Gate services, their tokens and their webhooks
    #[command(subcommand)]
    Services(services::Command),
    /// List what Gate services were told, and tell it again
    #[command(subcommand)]
    Callbacks(callbacks::Command),
    /// List and change what merchants are charged
    #[command(subcommand)]
    Fees(fees::Command),
    /// Check the books
    #[command(subcommand)]
    Ledger(ledger::Command),
    /// List the audit log and check that it was not changed
    #[command(subcommand)]
    Audit(audit::Command),
    /// Check the machine, the settings, the files and the database, and say what to do
    Doctor(ServeFlags),
}

/// Settings that every command knows: where the data is.
#[derive(Args, Debug, Default, Clone)]
pub struct StorageFlags {
    /// TOML file with settings [env: PAYMENTGATE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for the embedded database, the sealing key and the demo's keys
    /// [env: PAYMENTGATE_DATA_DIR] [default: ./paymentgate-data]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<String>,
    /// Database: the path of an SQLite file, or postgres://user:password@host/name. Give an address
    /// with a password in the environment or the file: flags can be seen by every user of the machine
    /// [env: PAYMENTGATE_DATABASE] [default: paymentgate.db in the data folder]
    #[arg(long, value_name = "PATH_OR_ADDRESS")]
    database: Option<String>,
    /// Connections to PostgreSQL, 1 to 512 [env: PAYMENTGATE_DATABASE_CONNECTIONS] [default: 16]
    #[arg(long, value_name = "NUMBER")]
    database_connections: Option<String>,
    /// File with the key that seals secrets at rest; all nodes of one PostgreSQL database need the same
    /// [env: PAYMENTGATE_SEALING_KEY_FILE] [default: sealing.key in the data folder]
    #[arg(long, value_name = "FILE")]
    sealing_key_file: Option<String>,
}

/// All settings.
#[derive(Args, Debug, Default, Clone)]
pub struct ServeFlags {
    #[command(flatten)]
    storage: StorageFlags,
    /// Address of the API [env: PAYMENTGATE_API_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "IP:PORT")]
    api_listen: Option<String>,
    /// Address of the Admin API, and for the operator: /health and /metrics [env: PAYMENTGATE_ADMIN_LISTEN]
    /// [default: 127.0.0.1:8081]
    #[arg(long, value_name = "IP:PORT")]
    admin_listen: Option<String>,
    /// Address of the pages that payers see [env: PAYMENTGATE_PUBLIC_LISTEN] [default: 127.0.0.1:8082]
    #[arg(long, value_name = "IP:PORT")]
    public_listen: Option<String>,
    /// Address at whose root the API stands, for Stripe clients that take only a host and a port
    /// [env: PAYMENTGATE_STRIPE_LISTEN] [default: off; 127.0.0.1:8083 in the demo]
    #[arg(long, value_name = "IP:PORT|off")]
    stripe_listen: Option<String>,
    /// Base of links to the API [env: PAYMENTGATE_API_URL] [default: the API's address]
    #[arg(long, value_name = "URL")]
    api_url: Option<String>,
    /// Base of links to pages that payers see [env: PAYMENTGATE_PUBLIC_URL] [default: the pages' address]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Base of links to the Admin API, with a name for a host, which is the one that passkeys are for
    /// [env: PAYMENTGATE_ADMIN_URL] [default: http://localhost with the port of admin_listen]
    #[arg(long, value_name = "URL")]
    admin_url: Option<String>,
    /// Origin of an operator's panel that is served elsewhere: the one other origin whose browsers may call
    /// the Admin API [env: PAYMENTGATE_PANEL_ORIGIN] [default: none]
    #[arg(long, value_name = "URL")]
    panel_origin: Option<String>,
    /// What browsers call the gateway when they ask for a passkey
    /// [env: PAYMENTGATE_PASSKEY_NAME] [default: PaymentGate]
    #[arg(long, value_name = "NAME")]
    passkey_name: Option<String>,
    /// Addresses and networks, with commas between, of the proxies in front: their X-Forwarded-For (or
    /// X-Real-IP) and X-Request-ID are believed [env: PAYMENTGATE_TRUSTED_PROXIES] [default: none]
    #[arg(long, value_name = "NETWORKS")]
    trusted_proxies: Option<String>,
    /// Limit requests to the Admin API and the Main Backend, each address without a credential and each key
    /// or session [env: PAYMENTGATE_RATE_LIMIT] [default: true]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rate_limit: Option<String>,
    /// Length of the longer window of that limit, 1s to 24h [env: PAYMENTGATE_RATE_LIMIT_WINDOW] [default: 5m]
    #[arg(long, value_name = "SPAN")]
    rate_limit_window: Option<String>,
    /// Requests in the longer window [env: PAYMENTGATE_RATE_LIMIT_REQUESTS] [default: 500]
    #[arg(long, value_name = "NUMBER")]
    rate_limit_requests: Option<String>,
    /// Requests in any minute [env: PAYMENTGATE_RATE_LIMIT_PER_MINUTE] [default: 100]
    #[arg(long, value_name = "NUMBER")]
    rate_limit_per_minute: Option<String>,
    /// Addresses and networks that are not limited so, or off for none; behind a proxy the client's counts
    /// [env: PAYMENTGATE_RATE_LIMIT_WHITELIST] [default: 127.0.0.1,::1]
    #[arg(long, value_name = "NETWORKS|off")]
    rate_limit_whitelist: Option<String>,
    /// Token that /internal/health then asks for, 16 to 256 characters; give it in the environment or the
    /// file: flags can be seen by every user of the machine
    /// [env: PAYMENTGATE_HEALTH_TOKEN] [default: none]
    #[arg(long, value_name = "TOKEN")]
    health_token: Option<String>,
    /// How log lines are written: pretty or json [env: PAYMENTGATE_LOG_FORMAT] [default: pretty]
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// off, error, warn, info, debug or trace, or filters such as info,store=debug
    /// [env: PAYMENTGATE_LOG_LEVEL] [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How long bank debits and pending refunds take in the sandbox, 0 to 86400 seconds
    /// [env: PAYMENTGATE_SANDBOX_SETTLE_SECONDS] [default: 5]
    #[arg(long, value_name = "SECONDS")]
    sandbox_settle_seconds: Option<String>,
    /// How long a provider may take before its answer counts as unknown, 1 to 50 seconds
    /// [env: PAYMENTGATE_PROVIDER_DEADLINE_SECONDS] [default: 25]
    #[arg(long, value_name = "SECONDS")]
    provider_deadline_seconds: Option<String>,
    /// Let webhooks of test mode reach this machine over plain http
    /// [env: PAYMENTGATE_ALLOW_LOOPBACK_WEBHOOKS] [default: false; true in the demo]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_loopback_webhooks: Option<String>,
    /// Different cards that one network (IPv4 /24, IPv6 /64) may bring in an hour with publishable keys and
    /// on payment pages, 1 to 1000, or off; addresses of this machine and of private networks are not counted
    /// [env: PAYMENTGATE_CARD_TESTING_CARDS] [default: 10; 1000 in the demo]
    #[arg(long, value_name = "NUMBER|off")]
    card_testing_cards: Option<String>,
    /// How often one card may be tried in an hour, at all merchants together, 1 to 1000, or off
    /// [env: PAYMENTGATE_CARD_TESTING_TRIES] [default: 20; 1000 in the demo]
    #[arg(long, value_name = "NUMBER|off")]
    card_testing_tries: Option<String>,
    /// Hold up a merchant's payers for ten minutes when most of their latest tries were declined
    /// [env: PAYMENTGATE_CARD_TESTING_BREAKER] [default: true; false in the demo]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    card_testing_breaker: Option<String>,
    /// Serve with a demo merchant, whose test keys are printed [env: PAYMENTGATE_DEMO] [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    demo: Option<String>,
    /// Rate limit tier of the demo merchant: sandbox, starter, growth, enterprise or
    /// custom:<per_minute>/<per_second>/<burst> [env: PAYMENTGATE_DEMO_TIER] [default: as it is; sandbox at first]
    #[arg(long, value_name = "TIER")]
    demo_tier: Option<String>,
}

impl StorageFlags {
    fn pairs(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("data_dir", self.data_dir.clone()),
            ("database", self.database.clone()),
            ("database_connections", self.database_connections.clone()),
            ("sealing_key_file", self.sealing_key_file.clone()),
        ]
    }

    /// The settings for a command that does not serve.
    ///
    /// # Errors
    /// Every wrong value at once.
    pub fn load(&self) -> Result<Config, ConfigError> {
        load(Sources { config_file: self.config.as_deref(), flags: self.pairs(), implied: Vec::new() })
    }
}

impl ServeFlags {
    fn pairs(&self) -> Vec<(&'static str, Option<String>)> {
        let mut pairs = self.storage.pairs();
        pairs.extend([
            ("api_listen", self.api_listen.clone()),
            ("admin_listen", self.admin_listen.clone()),
            ("public_listen", self.public_listen.clone()),
            ("stripe_listen", self.stripe_listen.clone()),
            ("api_url", self.api_url.clone()),
            ("public_url", self.public_url.clone()),
            ("admin_url", self.admin_url.clone()),
            ("panel_origin", self.panel_origin.clone()),
            ("passkey_name", self.passkey_name.clone()),
            ("trusted_proxies", self.trusted_proxies.clone()),
            ("rate_limit", self.rate_limit.clone()),
            ("rate_limit_window", self.rate_limit_window.clone()),
            ("rate_limit_requests", self.rate_limit_requests.clone()),
            ("rate_limit_per_minute", self.rate_limit_per_minute.clone()),
            ("rate_limit_whitelist", self.rate_limit_whitelist.clone()),
            ("health_token", self.health_token.clone()),
            ("log_format", self.log_format.clone()),
            ("log_level", self.log_level.clone()),
            ("sandbox_settle_seconds", self.sandbox_settle_seconds.clone()),
            ("provider_deadline_seconds", self.provider_deadline_seconds.clone()),
            ("allow_loopback_webhooks", self.allow_loopback_webhooks.clone()),
            ("card_testing_cards", self.card_testing_cards.clone()),
            ("card_testing_tries", self.card_testing_tries.clone()),
            ("card_testing_breaker", self.card_testing_breaker.clone()),
            ("demo", self.demo.clone()),
            ("demo_tier", self.demo_tier.clone()),
        ]);
        pairs
    }

    fn load(&self, implied: Vec<(&'static str, &'static str)>) -> Result<Config, ConfigError> {
        load(Sources { config_file: self.storage.config.as_deref(), flags: self.pairs(), implied })
    }
}

fn load(sources: Sources<'_>) -> Result<Config, ConfigError> {
    // Variables that are not text cannot be ours.
    let env = std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
    Config::load(&sources, env)
}

/// Exit code of wrong settings, the same as of a wrong command line.
const USAGE: u8 = 2;

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("error: the runtime cannot start: {e}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(Box::pin(execute(cli)));
    // Without waiting: after a second Ctrl-C nothing may hold up the end.
    runtime.shutdown_background();
    match result {
        Ok(code) => code,
        Err(e) => {
            let wrong_settings = e.is::<ConfigError>();
            for line in format!("{e:#}").lines() {
                eprintln!("error: {line}");
            }
            if wrong_settings { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

async fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let command = match cli.command {
        None => return serve::run(cli.serve.load(vec![("demo", "true")])?).await,
        Some(Command::Serve(flags)) => return serve::run(flags.load(Vec::new())?).await,
        Some(other) => other,
    };
    logging::start(LogFormat::Pretty, "warn");
    match command {
        Command::Serve(_) => Ok(ExitCode::SUCCESS),
        Command::Migrate(flags) => migrate::run(&flags.load()?).await,
        Command::Keys(command) => keys::run(command).await,
        Command::SystemKeys(command) => system_keys::run(command).await,
        Command::Merchants(command) => merchants::run(command).await,
        Command::Admins(command) => admins::run(command).await,
        Command::Services(command) => services::run(command).await,
        Command::Callbacks(command) => callbacks::run(command).await,
        Command::Fees(command) => fees::run(command).await,
        Command::Ledger(command) => ledger::run(command).await,
        Command::Audit(command) => audit::run(command).await,
        Command::Doctor(flags) => doctor::run(&flags.load(Vec::new())?).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config_layers::SETTINGS;
    use clap::CommandFactory;

    #[test]
    fn verify_cli() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_has_a_flag_and_its_variable_is_told() {
        let mut command = Cli::command();
        let help = command.find_subcommand_mut("serve").expect("serve").render_long_help().to_string();
        let pairs = ServeFlags::default().pairs();
        for (name, _) in SETTINGS {
            assert!(pairs.iter().any(|(flag, _)| flag == name), "{name} has no flag");
            assert!(help.contains(&format!("--{}", name.replace('_', "-"))), "{name}");
            assert!(help.contains(&format!("PAYMENTGATE_{}", name.to_uppercase())), "{name}");
        }
        assert_eq!(pairs.len(), SETTINGS.len());
    }

    /// Options without a help text, in `command` and all below it.
    fn silent(command: &clap::Command, path: &str) -> Vec<String> {
        let path = format!("{path} {}", command.get_name());
        let mut found: Vec<String> = command
            .get_arguments()
            .filter(|arg| arg.get_help().is_none())
            .map(|arg| format!("{path} {}", arg.get_id()))
            .collect();
        if command.get_about().is_none() {
            found.push(path.clone());
        }
        found.extend(command.get_subcommands().flat_map(|below| silent(below, &path)));
        found
    }

    #[test]
    fn every_command_and_option_is_explained() {
        assert_eq!(silent(&Cli::command(), ""), Vec::<String>::new());
    }

    #[test]
    fn switches_take_a_value_only_behind_an_equals_sign() {
        let demo = |words: &[&str]| {
            let cli = Cli::try_parse_from([&["paymentgate", "serve"], words].concat()).expect("parsed");
            match cli.command {
                Some(Command::Serve(flags)) => flags.demo,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(demo(&[]), None);
        assert_eq!(demo(&["--demo"]).as_deref(), Some("true"));
        assert_eq!(demo(&["--demo=false"]).as_deref(), Some("false"));
        assert_eq!(demo(&["--demo", "--demo-tier", "growth"]).as_deref(), Some("true"));
        assert!(
            Cli::try_parse_from(["paymentgate", "--demo-tier", "growth"]).expect("parsed").command.is_none()
        );
        assert!(Cli::try_parse_from(["paymentgate", "nonsense"]).is_err());
    }
}
