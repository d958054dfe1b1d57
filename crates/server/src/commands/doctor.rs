//! `paymentgate doctor`: what keeps, or will keep, a gateway from working, and what to do about it.

use super::{ledger::is_sound, tell};
use crate::SealingKey;
use crate::config::{Config, Database};
use crate::data_dir::{self, OTHERS, free_bytes};
use crate::gateway;
use crate::health::{SPACE_FAIL, SPACE_WARN};
use domain::time::{MINUTE, Timestamp};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ok,
    Warn,
    Fail,
}

struct Finding {
    state: State,
    what: &'static str,
    text: String,
}

fn finding(state: State, what: &'static str, text: impl Into<String>) -> Finding {
    Finding { state, what, text: text.into() }
}

/// The clock of a machine that has none starts long before this: 2025-01-01.
const CLOCK_MIN: Timestamp = Timestamp::from_secs(1_735_689_600);
const CLOCK_SLACK_US: i64 = 5 * MINUTE;
const MIB: u64 = 1 << 20;
/// File handles that 4,096 connections and the database need.
const HANDLES: u64 = 4_500;
const VERIFY_TIME: Duration = Duration::from_secs(30);
/// Faults of a damaged file that are named.
const FAULTS: usize = 3;
const PORT_TIME: Duration = Duration::from_secs(3);

/// Looks at everything, prints it, and answers 1 if something fails.
pub(crate) async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let mut found: Vec<Finding> =
        config.warnings.iter().map(|warning| finding(State::Warn, "settings", warning)).collect();
    found.push(handles());
    found.push(data_dir(config));
    found.push(space(&config.data_dir));
    found.extend(key(config));
    found.extend(database(config).await);
    for (name, address) in config.listeners() {
        found.push(port(name, address).await);
    }
    for Finding { state, what, text } in &found {
        let state = match state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "FAIL",
        };
        println!("{state:<6}{what:<16}{text}");
    }
    let failed = found.iter().any(|f| f.state == State::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn handles() -> Finding {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    match soft {
        Some(n) if n < HANDLES => {
            let text =
                format!("{n}; busy gateways need {HANDLES}. Raise it: ulimit -n {HANDLES}, or LimitNOFILE=");
            finding(State::Warn, "file handles", text)
        }
        Some(n) => finding(State::Ok, "file handles", n.to_string()),
        None => finding(State::Ok, "file handles", "not limited, or not known on this system"),
    }
}

fn data_dir(config: &Config) -> Finding {
    let (folder, shown) = (&config.data_dir, config.data_dir.display());
    match data_dir::mode(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            finding(State::Ok, "data folder", format!("{shown} does not exist yet; the first start makes it"))
        }
        Err(e) => finding(State::Fail, "data folder", format!("{shown} cannot be read: {e}")),
        Ok(mode) if mode & 0o022 != 0 => {
            let text = format!("other users may write to {shown} (mode {mode:o}); run: chmod 700 {shown}");
            finding(State::Fail, "data folder", text)
        }
        Ok(mode) if mode & OTHERS != 0 => {
            let text = format!("other users may look into {shown} (mode {mode:o}); run: chmod 700 {shown}");
            finding(State::Warn, "data folder", text)
        }
        Ok(mode) => finding(State::Ok, "data folder", format!("{shown} (mode {mode:o})")),
    }
}

fn space(folder: &Path) -> Finding {
    let Some(free) = free_bytes(folder) else {
        return finding(State::Warn, "disk space", "cannot be told on this system");
    };
    let text = format!("{} MiB free", free / MIB);
    match free {
        n if n < SPACE_FAIL => {
            finding(State::Fail, "disk space", format!("{text}; make room before payments fail"))
        }
        n if n < SPACE_WARN => {
            finding(State::Warn, "disk space", format!("{text}; that is not much for a database"))
        }
        _ => finding(State::Ok, "disk space", text),
    }
}

fn key(config: &Config) -> Option<Finding> {
    let shown = config.sealing_key_file.display();
    match SealingKey::read(&config.sealing_key_file) {
        Err(e) => Some(finding(State::Fail, "sealing key", format!("{e:#}"))),
        Ok(Some(_)) => {
            Some(finding(State::Ok, "sealing key", format!("{shown}; keep a copy apart from the database")))
        }
        // Whether that is right depends on the database, which is looked at next.
        Ok(None) => None,
    }
}

async fn database(config: &Config) -> Vec<Finding> {
    const WHAT: &str = "database";
    if let Database::Sqlite(path) = &config.database
        && !path.exists()
    {
        let text = format!("{} does not exist yet; the first start makes it", path.display());
        return vec![finding(State::Ok, WHAT, text), clock(None)];
    }
    let store = match gateway::open_as_is(&config.location()).await {
        Ok(store) => store,
        Err(e) => {
            let text =
                format!("{}: {e:#}; is it running, and are address and password right?", config.database);
            return vec![finding(State::Fail, WHAT, text), clock(None)];
        }
    };
    let mut found = vec![finding(State::Ok, WHAT, format!("{}: reachable and up to date", config.database))];
    found.extend(file_mode(config));
    found.extend(missing_key(config, &store).await);
    found.extend(file_check(&store).await);
    let newest = store.read(store::ledger::newest_journal).await.ok().flatten();
    found.push(clock(newest.map(|journal| store::ledger::id_instant(journal.0))));
    found.push(books(&store).await);
    super::close(store).await;
    found
}

fn file_mode(config: &Config) -> Option<Finding> {
    let Database::Sqlite(path) = &config.database else { return None };
    let mode = data_dir::mode(path).ok().filter(|mode| mode & OTHERS != 0)?;
    let shown = path.display();
    let text = format!("other users may read {shown} (mode {mode:o}); run: chmod 600 {shown}");
    Some(finding(State::Warn, "database file", text))
}

/// Whether SQLite finds its file sound. A damaged page may lie where no check of the books comes by.
async fn file_check(store: &Store) -> Option<Finding> {
    const WHAT: &str = "database file";
    if !store.is_embedded() {
        return None;
    }
    let check = store.read(|tx| store::instance::quick_check(tx, FAULTS));
    Some(match tokio::time::timeout(VERIFY_TIME, check).await {
        Err(_) => {
            let text = "too large to check here; run `PRAGMA quick_check` with sqlite3 on a backup";
            finding(State::Warn, WHAT, text)
        }
        Ok(Err(e)) => {
            finding(State::Fail, WHAT, format!("cannot be checked: {e}; restore it from your backup"))
        }
        Ok(Ok(faults)) if faults.is_empty() => finding(State::Ok, WHAT, "quick_check finds it sound"),
        Ok(Ok(faults)) => {
            let first: String = faults.join("; ").split_whitespace().collect::<Vec<_>>().join(" ");
            let text = format!("DAMAGED; stop the gateway and restore your backup. quick_check: {first}");
            finding(State::Fail, WHAT, text)
        }
    })
}

async fn missing_key(config: &Config, store: &Store) -> Option<Finding> {
    const WHAT: &str = "sealing key";
    let shown = config.sealing_key_file.display();
    let key = SealingKey::read(&config.sealing_key_file).ok()?;
    let merchants = store.read(store::merchants::all).await.map(|all| all.len());
    match (key, merchants) {
        (None, Ok(0)) => {
            Some(finding(State::Ok, WHAT, format!("{shown} does not exist yet; the first start makes it")))
        }
        (None, _) => Some(finding(
            State::Fail,
            WHAT,
            format!("{shown} is missing, and the database holds merchants: restore it from your backup"),
        )),
        (Some(key), _) => match crate::sealing_key::fits(store, &key).await {
            Ok(true) => None,
            Ok(false) => Some(finding(
                State::Fail,
                WHAT,
                format!("{shown} is not the key that this database is sealed with: restore the right one"),
            )),
            Err(e) => Some(finding(State::Fail, WHAT, format!("cannot be compared with the database: {e}"))),
        },
    }
}

fn clock(newest: Option<Timestamp>) -> Finding {
    const WHAT: &str = "clock";
    let now = engine::wall_clock();
    let shown = super::values::show_time(now);
    if now < CLOCK_MIN {
        return finding(
            State::Fail,
            WHAT,
            format!("{shown} UTC is wrong; set the clock, and run an NTP client"),
        );
    }
    match newest {
        Some(newest) if newest > now.plus(CLOCK_SLACK_US) => {
            let newest = super::values::show_time(newest);
            let text =
                format!("{shown} UTC is before the newest entry of the books ({newest}); set the clock");
            finding(State::Fail, WHAT, text)
        }
        _ => finding(State::Ok, WHAT, format!("{shown} UTC")),
    }
}

async fn books(store: &Store) -> Finding {
    const WHAT: &str = "ledger";
    match tokio::time::timeout(VERIFY_TIME, engine::ledger::verify(store)).await {
        Err(_) => finding(
            State::Warn,
            WHAT,
            "too large to check here; run `paymentgate ledger verify` when it is quiet",
        ),
        Ok(Err(e)) => finding(State::Fail, WHAT, format!("cannot be checked: {}", tell(&e))),
        Ok(Ok(checks)) if is_sound(&checks) => {
            finding(State::Ok, WHAT, format!("sound: {} checks", checks.len()))
        }
        Ok(Ok(_)) => {
            finding(State::Fail, WHAT, "BROKEN; run `paymentgate ledger verify` and stop the gateway")
        }
    }
}

async fn port(name: &'static str, address: SocketAddr) -> Finding {
    let flag = name.replace('_', "-");
    match TcpListener::bind(address).await {
        Ok(_) => finding(State::Ok, name, format!("{address} is free")),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => {
            let asked = tokio::time::timeout(PORT_TIME, is_gateway(address)).await;
            if matches!(asked, Ok(Ok(true))) {
                finding(State::Ok, name, format!("{address} is served by a gateway"))
            } else {
                let text = format!("{address} is used by another program; choose another with --{flag}");
                finding(State::Fail, name, text)
            }
        }
        Err(e) => finding(State::Fail, name, format!("{address}: {e}; choose another with --{flag}")),
    }
}

/// Whether `/health` at an address is answered as a gateway does.
async fn is_gateway(address: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.take(8_192).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    Ok(answer.contains("x-request-id: req_") && answer.contains("{\"status\":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_is_free_or_used_by_another_program() {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = socket.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = socket.accept().await {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
            }
        });
        let used = port("api_listen", address).await;
        assert_eq!(used.state, State::Fail);
        assert!(used.text.contains("--api-listen"), "{}", used.text);
        assert_eq!(port("api_listen", ([127, 0, 0, 1], 0).into()).await.state, State::Ok);
    }

    #[test]
    fn the_clock_is_compared_with_the_books() {
        let now = engine::wall_clock();
        assert_eq!(clock(None).state, State::Ok);
        assert_eq!(clock(Some(now.plus(MINUTE))).state, State::Ok);
        assert_eq!(clock(Some(now.plus(10 * MINUTE))).state, State::Fail);
    }
}
