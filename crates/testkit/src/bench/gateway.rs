//! The gateway under measurement: a process of the release binary, and what the kernel says of it.

use super::client::Connection;
use crate::signer::Signer;
use anyhow::{Context, Result, bail};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// Clock ticks a second in /proc: the same on every Linux.
const TICKS: u64 = 100;
/// Far above what one machine can do: what is measured is the gateway, not its limiter.
const TIER: &str = "custom:10000000/10000000/10000000";
const TIER_LIMIT: u64 = 10_000_000;

/// A gateway process on free loopback ports.
pub struct Gateway {
    child: Child,
    pub api: SocketAddr,
    pub admin: SocketAddr,
    /// Where payers' pages are.
    pub public: SocketAddr,
    /// Secret test key of the demo merchant.
    pub key: String,
    /// The demo merchant's Gate service.
    pub shop: Signer,
    /// From the start of the process to the first 200 of `/health`, and of an API call.
    pub health_after: Duration,
    pub api_after: Duration,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time of the process, and of the embedded engine's writer thread, in milliseconds.
    pub cpu_ms: u64,
    pub writer_ms: u64,
}

impl Usage {
    pub fn since(self, before: Usage) -> Usage {
        Usage {
            cpu_ms: self.cpu_ms.saturating_sub(before.cpu_ms),
            writer_ms: self.writer_ms.saturating_sub(before.writer_ms),
        }
    }
}

/// The binary to measure.
///
/// # Errors
/// When `PAYMENTGATE_BIN` does not name one.
pub fn program() -> Result<PathBuf> {
    let path = std::env::var_os("PAYMENTGATE_BIN").map(PathBuf::from);
    let path =
        path.context("PAYMENTGATE_BIN is not set: run `cargo xtask bench`, which builds the release binary")?;
    if !path.is_file() {
        bail!("PAYMENTGATE_BIN names {}, which is no file", path.display());
    }
    Ok(path)
}

fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}

impl Gateway {
    /// Starts the gateway on `database` and waits until it serves.
    ///
    /// # Errors
    /// When it does not within a minute; its log is shown.
    pub async fn start(data_dir: &Path, database: &str) -> Result<Gateway> {
        Gateway::start_logging(data_dir, database, "warn").await
    }

    /// The same with another log level; the log is beside the folder, with the extension `log`.
    ///
    /// # Errors
    /// When it does not serve within a minute; its log is shown.
    pub async fn start_logging(data_dir: &Path, database: &str, level: &str) -> Result<Gateway> {
        let (api, admin, public) = (free_address()?, free_address()?, free_address()?);
        let log_path = data_dir.with_extension("log");
        let log = fs::File::create(&log_path)?;
        let started = Instant::now();
        let child = Command::new(program()?)
            .args(["serve", "--demo", "--demo-tier", TIER, "--log-level", level, "--stripe-listen", "off"])
            .args(["--api-listen", &api.to_string(), "--admin-listen", &admin.to_string()])
            .args(["--public-listen", &public.to_string(), "--data-dir"])
            .arg(data_dir)
            // In the environment: an address may carry a password, and flags can be seen by everyone.
            .env("PAYMENTGATE_DATABASE", database)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("the gateway cannot be started")?;
        let mut gateway = Gateway {
            child,
            api,
            admin,
            public,
            key: String::new(),
            shop: Signer { service: 0, secret: String::new() },
            health_after: Duration::ZERO,
            api_after: Duration::ZERO,
        };
        let ready = gateway.wait_until_ready(started, &data_dir.join("demo-keys.txt")).await;
        ready.with_context(|| {
            format!("the gateway's log: {}", fs::read_to_string(&log_path).unwrap_or_default())
        })?;
        Ok(gateway)
    }

    async fn wait_until_ready(&mut self, started: Instant, keys: &Path) -> Result<()> {
        let mut plain = Connection::new(self.api, "none");
        self.until(started, async || plain.send("/health", "", None).await.is_ok_and(|a| a.status == 200))
            .await?;
        self.health_after = started.elapsed();
        let mut key = String::new();
        let api = self.api;
        self.until(started, async || {
            key = secret_key(keys).unwrap_or_default();
            let mut first = Connection::new(api, &key);
            !key.is_empty() && first.send("/v2/balance", "", None).await.is_ok_and(|a| a.status == 200)
        })
        .await?;
        self.api_after = started.elapsed();
        self.until_unlimited(started, &key).await?;
        self.key = key;
        self.shop = signer(keys).context("demo-keys.txt names no Gate service")?;
        Ok(())
    }

    async fn until(&mut self, started: Instant, mut ready: impl AsyncFnMut() -> bool) -> Result<()> {
        while !ready().await {
            if let Some(status) = self.child.try_wait()? {
                bail!("the gateway ended: {status}");
            }
            if started.elapsed() > START_TIMEOUT {
                bail!("the gateway does not serve after {} s", START_TIMEOUT.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// The demo's tier is set when the gateway listens already, and in force within a second.
    async fn until_unlimited(&mut self, started: Instant, key: &str) -> Result<()> {
        let mut limited = Connection::new(self.api, key);
        self.until(started, async || {
            limited.send("/v2/balance", "", None).await.is_ok() && limited.limit() == Some(TIER_LIMIT)
        })
        .await
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory in KiB.
    pub fn resident(&self) -> Result<u64> {
        self.memory("VmRSS:")
    }

    /// The most that was ever resident, in KiB.
    pub fn peak(&self) -> Result<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|text| text.split_whitespace().next()).and_then(|text| text.parse().ok());
        kib.context("the kernel does not tell the process's memory")
    }

    pub fn usage(&self) -> Result<Usage> {
        let process = format!("/proc/{}", self.child.id());
        let mut usage = Usage { cpu_ms: cpu_ms(&format!("{process}/stat"))?, writer_ms: 0 };
        for thread in fs::read_dir(format!("{process}/task"))?.flatten() {
            let path = thread.path();
            if fs::read_to_string(path.join("comm")).is_ok_and(|name| name.trim() == "store-writer") {
                usage.writer_ms += cpu_ms(&path.join("stat").display().to_string())?;
            }
        }
        Ok(usage)
    }

    /// Commits of the embedded engine's writer and closures in them, so far.
    pub async fn batches(&self) -> Result<(u64, u64)> {
        let mut admin = Connection::new(self.admin, "none");
        let answer = admin.send("/metrics", "", None).await?;
        let figure = |name: &str| {
            let line = answer.body.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok())
                .with_context(|| format!("/metrics does not tell {name}"))
        };
        Ok((figure("paymentgate_store_commits_total")?, figure("paymentgate_store_closures_total")?))
    }

    /// Ends the gateway in order and waits for it.
    ///
    /// # Errors
    /// When it does not end by itself within a minute.
    pub async fn stop(mut self) -> Result<()> {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().context("kill")?;
        let asked = Instant::now();
        while asked.elapsed() < STOP_TIMEOUT {
            if let Some(status) = self.child.try_wait()? {
                return if status.success() { Ok(()) } else { bail!("the gateway ended with {status}") };
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("the gateway does not stop")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn secret_key(file: &Path) -> Option<String> {
    kept(file, "secret_key")
}

fn signer(file: &Path) -> Option<Signer> {
    Some(Signer { service: kept(file, "gate_service")?.parse().ok()?, secret: kept(file, "gate_secret")? })
}

/// A value out of the file in which the demo's keys are kept.
fn kept(file: &Path, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim().to_owned())
}

/// User and system time of a process or thread.
pub fn cpu_ms(stat: &str) -> Result<u64> {
    let text = fs::read_to_string(stat).with_context(|| stat.to_owned())?;
    // The name in parentheses may hold spaces; the fields behind it cannot.
    let fields =
        text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace()).context("an odd /proc file")?;
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(ticks * 1_000 / TICKS)
}

/// CPU time that all processes of this machine have used since it started, in milliseconds; what a
/// hypervisor took for others counts too.
pub fn machine_ms() -> Result<u64> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().find_map(|line| line.strip_prefix("cpu ")).context("an odd /proc/stat")?;
    let fields: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let busy: u64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|n| fields.get(*n)).sum();
    Ok(busy * 1_000 / TICKS)
}

/// Rechecks the books with the gateway's own command.
///
/// # Errors
/// With the command's report when a rule is broken.
pub fn verify_books(data_dir: &Path, database: &str) -> Result<()> {
    let done = Command::new(program()?)
        .args(["ledger", "verify", "--data-dir"])
        .arg(data_dir)
        .env("PAYMENTGATE_DATABASE", database)
        .stdin(Stdio::null())
        .output()?;
    if done.status.success() {
        return Ok(());
    }
    bail!(
        "the books are not sound:\n{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    )
}
