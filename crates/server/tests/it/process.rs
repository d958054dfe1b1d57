//! The built binary as a process of its own.

use crate::wire::{Answer, Client};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use testkit::Db;

/// For a start, a stop, or whatever else a loaded machine may make slow.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A command of the program, blind to the settings of whoever runs the tests.
pub fn program() -> Command {
    clean(Command::new(env!("CARGO_BIN_EXE_paymentgate")))
}

fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        if shown.starts_with("PAYMENTGATE_") || shown.starts_with("MPG_") {
            command.env_remove(&name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command of the program to its end.
pub fn run(words: &[&str]) -> Output {
    program().args(words).output().expect("the program runs")
}

/// Runs a command on the database of a gateway.
pub fn run_on(gateway: &Place, words: &[&str]) -> Output {
    program().args(words).args(gateway.storage()).output().expect("the program runs")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Where a gateway keeps its data, over its starts.
pub struct Place {
    pub data_dir: PathBuf,
    pub database: String,
}

impl Place {
    /// A folder in `db`'s, which is removed with it.
    pub fn of(db: &Db) -> Place {
        Place { data_dir: db.dir().join("data"), database: db.address() }
    }

    fn storage(&self) -> [String; 4] {
        let data_dir = self.data_dir.display().to_string();
        ["--data-dir".to_owned(), data_dir, "--database".to_owned(), self.database.clone()]
    }

    /// The demo merchant's secret key.
    pub fn secret_key(&self) -> String {
        self.demo_value("secret_key")
    }

    /// Number of the demo merchant's service on Gate, and the secret that signs.
    pub fn gate_service(&self) -> (String, String) {
        (self.demo_value("gate_service"), self.demo_value("gate_secret"))
    }

    /// The demo's key of the whole instance.
    pub fn system_key(&self) -> String {
        self.demo_value("system_key")
    }

    fn demo_value(&self, name: &str) -> String {
        let file = self.data_dir.join("demo-keys.txt");
        let text = std::fs::read_to_string(&file).expect("the demo keeps its keys");
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        let value = lines.find(|(key, _)| *key == name).map(|(_, value)| value);
        value.unwrap_or_else(|| panic!("no {name}")).to_owned()
    }
}

/// A tier for clients that are refused at once for something else, and so ask faster than any real tier lets them.
pub const UNLIMITED: &str = "custom:10000000/10000000/10000000";

/// How a gateway is started.
pub struct Start<'a> {
    pub tier: &'a str,
    /// Words in front of the program's, such as a shell that sets a limit.
    pub wrapper: &'a [&'a str],
    pub more: &'a [&'a str],
}

impl Default for Start<'_> {
    fn default() -> Self {
        Start { tier: "enterprise", wrapper: &[], more: &[] }
    }
}

/// A gateway that serves the demo merchant on free ports. Killed when dropped.
pub struct Gateway {
    child: Child,
    pub api: SocketAddr,
    pub admin: SocketAddr,
    pub public: SocketAddr,
    pub stripe: SocketAddr,
    pub key: String,
    log: Arc<Mutex<String>>,
}

const LISTENERS: [&str; 4] = ["api", "admin", "public", "stripe"];

impl Gateway {
    pub fn start(place: &Place) -> Gateway {
        Gateway::start_with(place, &Start::default())
    }

    pub fn start_with(place: &Place, start: &Start<'_>) -> Gateway {
        let mut words: Vec<String> = start.wrapper.iter().map(|word| (*word).to_owned()).collect();
        words.push(env!("CARGO_BIN_EXE_paymentgate").to_owned());
        words.extend(["serve", "--demo", "--demo-tier", start.tier].map(str::to_owned));
        words.extend(place.storage());
        for name in LISTENERS {
            words.extend([format!("--{name}-listen"), "127.0.0.1:0".to_owned()]);
        }
        words.extend(start.more.iter().map(|word| (*word).to_owned()));
        let mut command = clean(Command::new(&words[0]));
        command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("piped");
        let copy = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = writeln!(copy.lock().expect("unpoisoned"), "{line}");
            }
        });
        let none = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut gateway =
            Gateway { child, api: none, admin: none, public: none, stripe: none, key: String::new(), log };
        gateway.wait_until_started();
        gateway.key = place.secret_key();
        gateway
    }

    fn wait_until_started(&mut self) {
        let begun = Instant::now();
        while !self.log().contains(" started ") {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "{ended:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        let log = self.log();
        let [api, admin, public, stripe] = LISTENERS.map(|name| {
            let line = log.lines().find_map(|line| line.split_once(&format!("{name} listening on http://")));
            line.and_then(|(_, address)| address.trim().parse().ok()).expect("an address in the log")
        });
        (self.api, self.admin, self.public, self.stripe) = (api, admin, public, stripe);
    }

    /// What was logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("unpoisoned").clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A client of the API with the demo merchant's key.
    pub fn client(&self) -> Client {
        Client::new(self.api, &self.key)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.client().get(path)
    }

    /// Resident memory, in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a figure");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Asks it to stop, as an init system does.
    pub fn terminate(&self) {
        signal("TERM", self.pid());
    }

    /// What Ctrl-C does.
    pub fn interrupt(&self) {
        signal("INT", self.pid());
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn stop(mut self) {
        self.terminate();
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.log());
    }

    /// Ends it without a warning, as a power cut does.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().expect("a shell");
    assert!(sent.success(), "{name} to {pid}");
}

/// Runs a command that must not take long; `None` if it had to be killed.
pub fn run_within(mut command: Command, limit: Duration) -> (Option<ExitStatus>, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let pipes: [Box<dyn Read + Send>; 2] =
        [Box::new(child.stdout.take().expect("piped")), Box::new(child.stderr.take().expect("piped"))];
    let readers = pipes.map(|mut pipe| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    });
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break Some(status),
            None if begun.elapsed() > limit => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    (status, readers.map(|reader| reader.join().expect("read")).concat())
}

/// Runs a command that asks others to do things: for each line that it prints, `answer` gives the line that it reads,
/// if it is to get one. Its end, and all that it said.
pub fn converse(
    mut command: Command,
    mut answer: impl FnMut(&[&str]) -> Option<String>,
) -> (ExitStatus, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut answers = child.stdin.take().expect("piped");
    let mut said = String::new();
    for line in BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok) {
        if let Some(answer) = answer(&line.split(' ').collect::<Vec<_>>()) {
            writeln!(answers, "{answer}").expect("it listens");
        }
        said.push_str(&line);
        said.push('\n');
    }
    let mut errors = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut errors).expect("text");
    (child.wait().expect("it ends"), said + &errors)
}

/// A program that the test command names in a variable.
pub fn tool(variable: &str) -> PathBuf {
    let named =
        std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run cargo xtask test"));
    let path = PathBuf::from(named);
    assert!(
        Path::new(&path).exists(),
        "{variable} names {}, which does not exist: run cargo xtask test",
        path.display()
    );
    path
}
