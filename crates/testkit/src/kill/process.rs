//! The gateway as a process of its own, which can be killed.

use super::client::Client;
use crate::Db;
use crate::signer::Signer;
use std::fs::{self, File, OpenOptions};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);
/// Far above what the clients can do.
const TIER: &str = "custom:10000000/10000000/10000000";
const TIER_LIMIT: u64 = 10_000_000;
const ANY: &str = "127.0.0.1:0";
/// Characters of the log that a failure is reported with.
const LOG_SHOWN: usize = 6_000;

/// The binary under test.
fn program() -> Result<PathBuf, String> {
    let named = std::env::var_os("PAYMENTGATE_BIN").map(PathBuf::from).ok_or(
        "PAYMENTGATE_BIN is not set: run `cargo xtask test` or `cargo xtask soak kill`, or build the gateway (`cargo \
         build`) and set it to target/debug/paymentgate",
    )?;
    let found = fs::canonicalize(&named).ok().filter(|path| path.is_file());
    found.ok_or_else(|| format!("PAYMENTGATE_BIN names {}, which is no file", named.display()))
}

/// What the demo prints once it serves.
#[derive(Clone, Debug)]
struct Greeted {
    api: SocketAddr,
    admin: SocketAddr,
    public: SocketAddr,
    merchant: String,
    key: String,
    system_key: String,
    shop: Signer,
}

fn greeted(text: &str) -> Option<Greeted> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("  {name} ")));
        line.map(str::trim)
    };
    let word = |name: &str| value(name)?.split_whitespace().next().map(str::to_owned);
    let address = |url: &str| url.strip_prefix("http://")?.replace("localhost:", "127.0.0.1:").parse().ok();
    // The last line of all: what stands before it is whole.
    value("Keys kept in")?;
    Some(Greeted {
        api: address(value("API")?.strip_suffix("/v2")?)?,
        admin: address(value("Admin API")?.strip_suffix("/api/v1")?)?,
        public: address(value("Payment pages")?)?,
        merchant: word("Merchant")?,
        key: word("Secret key")?,
        system_key: word("System key")?,
        shop: Signer { service: word("Gate service")?.parse().ok()?, secret: word("Gate secret")? },
    })
}

/// Where a gateway keeps its data, over all its lives.
pub struct Home {
    program: PathBuf,
    data_dir: PathBuf,
    database: String,
    /// Of the site, once there is one.
    pub site_key: String,
}

impl Home {
    pub fn new(db: &Db) -> Result<Home, String> {
        Ok(Home {
            program: program()?,
            data_dir: db.dir().join("data"),
            database: db.address(),
            site_key: String::new(),
        })
    }

    fn log_path(&self) -> PathBuf {
        self.data_dir.with_extension("log")
    }

    /// What the gateway has printed in its latest life.
    fn printed_path(&self) -> PathBuf {
        self.data_dir.with_extension("out")
    }

    /// The end of what the gateway has logged in all its lives.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.log_path()).unwrap_or_default();
        let from = text.char_indices().rev().nth(LOG_SHOWN).map_or(0, |(at, _)| at);
        text.get(from..).unwrap_or_default().to_owned()
    }

    /// The binary on this database, without the settings of whoever runs the tests.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("PAYMENTGATE_") || text.starts_with("MPG_") {
                command.env_remove(&name);
            }
        }
        // In the environment: an address may carry a password, and flags can be seen by everyone.
        command.env("PAYMENTGATE_DATABASE", &self.database).stdin(Stdio::null());
        command
    }

    /// Starts a gateway; it may not serve yet.
    pub fn start(&self) -> Result<Process, String> {
        let fault = |e: std::io::Error| format!("the gateway cannot be started: {e}");
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).map_err(fault)?;
        let printed = File::create(self.printed_path()).map_err(fault)?;
        // Port 0: each life takes ports that are free.
        let child = self
            .command()
            .args(["serve", "--demo", "--demo-tier", TIER, "--log-level", "warn", "--stripe-listen", "off"])
            .args(["--sandbox-settle-seconds", "0", "--api-listen", ANY, "--admin-listen", ANY])
            .args(["--public-listen", ANY, "--data-dir"])
            .arg(&self.data_dir)
            .stdout(printed)
            .stderr(log)
            .spawn()
            .map_err(fault)?;
        let shop = Signer { service: 0, secret: String::new() };
        let none = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(Process {
            child,
            api: none,
            admin: none,
            public: none,
            merchant: String::new(),
            key: String::new(),
            system_key: String::new(),
            site_key: self.site_key.clone(),
            shop,
        })
    }

    /// Starts a gateway and waits until it answers to the demo merchant's key, and the merchant's tier is in
    /// force: it is set after the first start has begun to listen.
    pub fn serve(&self) -> Result<Process, String> {
        let mut process = self.start()?;
        let started = Instant::now();
        loop {
            let printed = fs::read_to_string(self.printed_path()).unwrap_or_default();
            if let Some(greeted) = greeted(&printed) {
                let mut client = Client::new(greeted.api, &greeted.key);
                let served = client.get("/v2/balance").is_ok_and(|reply| reply.status == 200);
                if served && client.limit == Some(TIER_LIMIT) {
                    (process.api, process.admin, process.public) =
                        (greeted.api, greeted.admin, greeted.public);
                    (process.merchant, process.key) = (greeted.merchant, greeted.key);
                    (process.system_key, process.shop) = (greeted.system_key, greeted.shop);
                    return Ok(process);
                }
            }
            if let Ok(Some(status)) = process.child.try_wait() {
                return Err(format!("the gateway ended at its start: {status}"));
            }
            if started.elapsed() > START_TIMEOUT {
                return Err("the gateway does not serve after a minute".to_owned());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Rechecks the books with the gateway's own command, beside a running gateway or without one.
    pub fn verify_books(&self) -> Result<(), String> {
        let done = self
            .command()
            .args(["ledger", "verify", "--data-dir"])
            .arg(&self.data_dir)
            .output()
            .map_err(|e| format!("`paymentgate ledger verify` cannot be run: {e}"))?;
        if done.status.success() {
            return Ok(());
        }
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        Err(format!("`paymentgate ledger verify` ended with {}:\n{out}{err}", done.status))
    }
}

/// What one client has to talk over.
pub struct Lines {
    pub api: Client,
    pub admin: Client,
    pub public: Client,
}

/// A running gateway. Dropping it kills it.
pub struct Process {
    child: Child,
    api: SocketAddr,
    admin: SocketAddr,
    public: SocketAddr,
    /// The demo's.
    pub merchant: String,
    /// Key of the whole instance.
    pub system_key: String,
    /// Key of the merchant's server.
    site_key: String,
    /// Secret test key of the demo merchant.
    pub key: String,
    /// Its Gate service.
    pub shop: Signer,
}

impl Process {
    pub fn client(&self) -> Client {
        Client::new(self.api, &self.key)
    }

    /// For the life in which the site was made.
    pub fn with_site_key(mut self, key: &str) -> Process {
        key.clone_into(&mut self.site_key);
        self
    }

    pub fn admin_client(&self, key: &str) -> Client {
        Client::new(self.admin, key)
    }

    /// A connection to each surface.
    pub fn lines(&self) -> Lines {
        let public = Client::new(self.public, "");
        Lines { api: self.client(), admin: self.admin_client(&self.site_key), public }
    }

    /// SIGKILL: no destructor, no flush, no goodbye.
    pub fn kill(mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("the gateway had ended by itself: {status}"));
        }
        self.child.kill().and_then(|()| self.child.wait()).map(|_| ()).map_err(|e| format!("kill: {e}"))
    }

    /// SIGTERM, and the orderly end that must follow.
    pub fn stop(mut self) -> Result<(), String> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        asked.map_err(|e| format!("kill: {e}"))?;
        let since = Instant::now();
        while since.elapsed() < STOP_TIMEOUT {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the gateway ended with {status} on SIGTERM")),
                _ => std::thread::sleep(POLL),
            }
        }
        Err("the gateway does not end within a minute of SIGTERM".to_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::greeted;

    #[test]
    fn the_greeting_is_read_when_it_is_whole() {
        let text = "\n  API               http://127.0.0.1:4711/v2\n  Payment pages     http://127.0.0.1:4713\n  \
                    Admin             x\n  Admin API         http://localhost:4712/api/v1\n  \
                    Merchant          acct_1 (Demo)\n  Secret key        sk_test_1\n  \
                    Gate service      7 (calls at x)\n  Gate secret       s3cret\n  \
                    System key        sk_test_2.x\n  Keys kept in      y\n";
        let told = greeted(text).expect("whole");
        assert_eq!([told.api, told.admin, told.public].map(|a| a.port()), [4711, 4712, 4713]);
        assert_eq!((told.merchant.as_str(), told.key.as_str()), ("acct_1", "sk_test_1"));
        assert_eq!((told.shop.service, told.shop.secret.as_str()), (7, "s3cret"));
        assert_eq!(told.system_key, "sk_test_2.x");
        for end in [60, text.len() - 20] {
            assert!(greeted(&text[..end]).is_none(), "{end}");
        }
    }
}
