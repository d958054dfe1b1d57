//! A gateway for a soak test, and the operator's commands beside it.

use crate::bench::client::Connection;
use crate::bench::gateway::{Gateway, program};
use crate::bench::load::Target;
use crate::{Db, Kind};
use anyhow::{Result, bail, ensure};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Place {
    db: Db,
    pub gateway: Gateway,
}

impl Place {
    pub async fn start(kind: Kind, log_level: &str) -> Result<Place> {
        let db = Db::new(kind).await;
        let data_dir = db.dir().join("data");
        let gateway = Gateway::start_logging(&data_dir, &db.address(), log_level).await?;
        wait_for_tier(&gateway).await?;
        Ok(Place { db, gateway })
    }

    pub fn target(&self) -> Target {
        Target { address: self.gateway.api, key: self.gateway.key.clone() }
    }

    pub fn log_path(&self) -> PathBuf {
        self.db.dir().join("data.log")
    }

    /// What a command of the program prints.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(program()?);
        command.args(words).arg("--data-dir").arg(self.db.dir().join("data"));
        let done = command.env("PAYMENTGATE_DATABASE", self.db.address()).stdin(Stdio::null()).output()?;
        if !done.status.success() {
            bail!("`paymentgate {}`: {}", words.join(" "), String::from_utf8_lossy(&done.stderr));
        }
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    /// A secret test key of a new merchant.
    pub fn new_key(&self, merchant: &str) -> Result<String> {
        let id = self.command(&["merchants", "create", merchant])?;
        self.command(&["keys", "create", &id])
    }

    /// Stops the gateway and checks the books.
    pub async fn end(self) -> Result<()> {
        let Place { db, gateway } = self;
        gateway.stop().await?;
        crate::bench::gateway::verify_books(&db.dir().join("data"), &db.address())
    }
}

/// Waits until the demo merchant's tier is in force, which is set after the first start has begun to serve:
/// more requests in a row pass than the first tier lets through.
async fn wait_for_tier(gateway: &Gateway) -> Result<()> {
    const IN_A_ROW: usize = 150;
    let (begun, mut passed) = (Instant::now(), 0);
    let mut connection = Connection::new(gateway.api, &gateway.key);
    while passed < IN_A_ROW {
        ensure!(begun.elapsed() < PATIENCE, "the demo merchant's tier does not come into force");
        if connection.send("/v2/balance", "", None).await?.status == 200 {
            passed += 1;
        } else {
            passed = 0;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// Raises this process's bound on open files, which the gateway inherits, as far as the system allows; the
/// bound then.
pub(super) fn raise_file_limit() -> usize {
    let pid = std::process::id().to_string();
    let read = |column: usize| {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files").map(str::to_owned));
        line.and_then(|line| line.split_whitespace().nth(column)?.parse::<usize>().ok()).unwrap_or(1_024)
    };
    let hard = read(1);
    let _ = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={hard}:{hard}")]).status();
    read(0)
}
