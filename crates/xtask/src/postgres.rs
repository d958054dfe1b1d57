//! A PostgreSQL cluster on a free port that leaves nothing behind.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, Result, bail};

use crate::process::{first_line, is_executable, on_path};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
const SCRIPT: &str = include_str!("postgres.sh");

/// What a commit of the cluster is worth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing is flushed: fast, for tests.
    Throwaway,
    /// Every commit is on the disk before it is answered: for measurements.
    Full,
}

impl Durability {
    fn settings(self) -> [&'static str; 3] {
        match self {
            Self::Throwaway => ["fsync=off", "synchronous_commit=off", "full_page_writes=off"],
            Self::Full => ["fsync=on", "synchronous_commit=on", "full_page_writes=on"],
        }
    }

    /// The folder that the cluster's own is made in. Measurements need a disk, and `/tmp` may be memory.
    fn parent(self) -> PathBuf {
        let disk = Path::new("/var/tmp");
        if self == Self::Full && disk.is_dir() { disk.to_path_buf() } else { env::temp_dir() }
    }
}

/// A running cluster. Dropping it stops the server and removes its directory; so does the end of this
/// process by any signal (see `postgres.sh`).
pub struct Cluster {
    keeper: Child,
    dir: PathBuf,
    port: u16,
}

impl Cluster {
    /// Makes and starts a cluster from the programs in `bin`, reachable on 127.0.0.1 only.
    ///
    /// # Errors
    /// When it does not accept connections within a minute; the error carries the server's log.
    pub fn start(bin: &Path, durability: Durability) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("paymentgate-pg-")
            .tempdir_in(durability.parent())
            .context("cannot make a directory for PostgreSQL")?;
        let user = ServerUser::find()?;
        user.give(dir.path())?;
        let port = free_port()?;
        let keeper = keeper(bin, dir.path(), port, durability, &user)
            .spawn()
            .context("cannot start `sh` to keep the PostgreSQL server")?;
        // From here on the keeper removes the directory.
        let cluster = Self { keeper, dir: dir.keep(), port };
        cluster.wait_until_ready()?;
        Ok(cluster)
    }

    /// The URL of its superuser and maintenance database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Whether the server is up. It writes its state into line 8 of `postmaster.pid`, which `pg_ctl` reads too.
    pub fn is_ready(&self) -> bool {
        let state = fs::read_to_string(self.dir.join("data/postmaster.pid")).unwrap_or_default();
        state.lines().nth(7).is_some_and(|line| line.trim() == "ready")
    }

    fn wait_until_ready(&self) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.is_ready() {
            let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            if log.contains("FATAL:") || Instant::now() > deadline {
                bail!("PostgreSQL did not start; its log:\n{}", log.trim_end());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        if let Err(error) = self.keeper.wait() {
            eprintln!("xtask: cannot wait for PostgreSQL to stop: {error}");
        }
    }
}

/// The directory of the PostgreSQL server programs: the newest version that Debian's packages have
/// installed, else where `initdb` on PATH really lies.
pub fn find_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, bin)| has_server(bin))
        .max()
        .map(|(_, bin)| bin);
    newest.or_else(|| {
        let initdb = on_path("initdb")?.canonicalize().ok()?;
        initdb.parent().filter(|bin| has_server(bin)).map(Path::to_path_buf)
    })
}

fn has_server(bin: &Path) -> bool {
    is_executable(&bin.join("initdb")) && is_executable(&bin.join("postgres"))
}

/// Whom the server runs as: PostgreSQL refuses to run as root.
struct ServerUser {
    /// User and group to become; `None` when we are nobody special.
    ids: Option<(u32, u32)>,
}

impl ServerUser {
    fn find() -> Result<Self> {
        if id(&["-u"])? != 0 {
            return Ok(Self { ids: None });
        }
        for name in ["postgres", "nobody"] {
            if let (Ok(user), Ok(group)) = (id(&["-u", name]), id(&["-g", name])) {
                return Ok(Self { ids: Some((user, group)) });
            }
        }
        bail!("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`")
    }

    fn give(&self, dir: &Path) -> Result<()> {
        let Some((user, group)) = self.ids else { return Ok(()) };
        chown(dir, Some(user), Some(group))
            .with_context(|| format!("cannot change the owner of {}", dir.display()))
    }

    /// The words that become `AS_USER` in `postgres.sh`; none of them holds a space.
    fn prefix(&self) -> String {
        self.ids.map_or_else(String::new, |(user, group)| {
            format!("setpriv --reuid={user} --regid={group} --clear-groups --")
        })
    }
}

fn id(args: &[&str]) -> Result<u32> {
    first_line(Command::new("id").args(args).stderr(Stdio::null()))?.parse().context("`id` printed no number")
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

fn keeper(bin: &Path, dir: &Path, port: u16, durability: Durability, user: &ServerUser) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", SCRIPT, "paymentgate-pg", "-p"])
        .arg(port.to_string())
        .args(["-h", "127.0.0.1", "-c", "max_connections=300", "-c", "timezone=UTC"])
        .arg("-k")
        .arg(dir)
        .args(durability.settings().iter().flat_map(|setting| ["-c", setting]))
        .env("DIR", dir)
        .env("BIN", bin)
        .env("AS_USER", user.prefix())
        .env("INITDB", if durability == Durability::Throwaway { "--no-sync" } else { "" })
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own: Ctrl-C at the terminal must not reach the server before the tests have ended.
        .process_group(0);
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        command.env_remove(name);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    #[test]
    fn a_cluster_is_local_durable_on_demand_and_leaves_nothing() {
        let bin = find_programs().expect("no PostgreSQL programs: `cargo xtask test` installs them");
        for (durability, fsync) in [(Durability::Throwaway, "off"), (Durability::Full, "on")] {
            let cluster = Cluster::start(&bin, durability).expect("cluster starts");
            let show = |setting: &str| {
                let statement = format!("show {setting}");
                first_line(Command::new(bin.join("psql")).args(["-XAtc", &statement, &cluster.url()]))
                    .unwrap()
            };
            assert_eq!(show("fsync"), fsync);
            assert_eq!(show("synchronous_commit"), fsync);
            assert_eq!(show("max_connections"), "300");
            assert_eq!(show("listen_addresses"), "127.0.0.1");

            let (dir, port) = (cluster.dir.clone(), cluster.port);
            assert!(dir.is_dir());
            drop(cluster);
            assert!(!dir.exists(), "{} is left behind", dir.display());
            assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the server still listens");
        }
    }

    #[test]
    fn a_cluster_that_cannot_start_says_why_and_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("cluster");
        fs::create_dir(&dir).unwrap();
        let user = ServerUser { ids: None };
        let no_programs = parent.path().join("none");
        let keeper = keeper(&no_programs, &dir, 1, Durability::Throwaway, &user).spawn().unwrap();
        let cluster = Cluster { keeper, dir: dir.clone(), port: 1 };
        let error = cluster.wait_until_ready().unwrap_err().to_string();
        assert!(error.contains("initdb failed"), "{error}");
        drop(cluster);
        assert!(!dir.exists());
    }
}
