//! A PostgreSQL server of one test's own, which it may stop and start. All others share the one of the test
//! command.

use crate::db::connects;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a free port of 127.0.0.1. Dropping it stops it and removes its data; should the test be
/// killed, the kernel stops it.
pub struct Cluster {
    dir: tempfile::TempDir,
    bin: PathBuf,
    port: u16,
    /// User and group of the server, which refuses to run as root.
    user: Option<(u32, u32)>,
    server: Option<Child>,
}

impl Cluster {
    /// Makes a cluster and starts it.
    pub fn start() -> Cluster {
        let dir = tempfile::Builder::new().prefix("paymentgate-pg-").tempdir().expect("a directory");
        let user = server_user();
        if let Some((user, group)) = user {
            chown(dir.path(), Some(user), Some(group)).expect("the server's directory");
        }
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|socket| socket.local_addr())
            .expect("a port")
            .port();
        let mut cluster = Cluster { dir, bin: programs(), port, user, server: None };
        let mut make = cluster.command("initdb");
        make.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        let made = make.arg("--pgdata").arg(cluster.data()).output().expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        cluster.start_again();
        cluster
    }

    /// The address of its superuser, without the name of a database.
    pub fn base(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}", self.port)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A program of PostgreSQL, as the server's user, that ends when this thread does.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "QUIT"]);
        if let Some((user, group)) = self.user {
            command.args([&format!("--reuid={user}"), &format!("--regid={group}"), "--clear-groups"]);
        }
        command.arg("--").arg(self.bin.join(program)).current_dir(self.dir.path());
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
            command.env_remove(name);
        }
        command.env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    /// Starts the server, and waits until it takes connections.
    pub fn start_again(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string(), "-h", "127.0.0.1", "-k"]);
        command.arg(self.dir.path()).args(["-c", "fsync=off", "-c", "max_connections=50"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.server = Some(command.spawn().expect("the server starts"));
        let (begun, url) = (Instant::now(), format!("{}/postgres", self.base()));
        while !connects(&url) {
            assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops the server: in order, ending every session, or at once, so that the next start recovers.
    pub fn stop(&mut self, crash: bool) {
        let Some(mut server) = self.server.take() else { return };
        let signal = if crash { "-QUIT" } else { "-INT" };
        let _ = Command::new("kill").args([signal, &server.id().to_string()]).status();
        let _ = server.wait();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop(true);
    }
}

/// `postgres` or `nobody` when this is root.
fn server_user() -> Option<(u32, u32)> {
    let id = |args: &[&str]| {
        let output = Command::new("id").args(args).stderr(Stdio::null()).output().ok()?;
        String::from_utf8_lossy(&output.stdout).trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    let found =
        ["postgres", "nobody"].into_iter().find_map(|name| Some((id(&["-u", name])?, id(&["-g", name])?)));
    Some(found.expect("a user that is not root"))
}

/// Where the server's programs are: the newest of Debian's, else where `initdb` on PATH really lies.
fn programs() -> PathBuf {
    let has_server = |bin: &Path| bin.join("initdb").is_file() && bin.join("postgres").is_file();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let numbered = versions.filter_map(|entry| {
        Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin")))
    });
    let newest = numbered.filter(|(_, bin)| has_server(bin)).max().map(|(_, bin)| bin);
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        let initdb =
            std::env::split_paths(&path).map(|dir| dir.join("initdb")).find(|file| file.is_file())?;
        initdb.canonicalize().ok()?.parent().map(Path::to_path_buf).filter(|bin| has_server(bin))
    };
    newest.or_else(on_path).expect("the PostgreSQL server programs: `cargo xtask test` installs them")
}
