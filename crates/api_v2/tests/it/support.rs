//! What several files of these tests need.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use store::{StoreError, Tx};
use testkit::{Answer, Db, Kind, TestApp};
use tracing_subscriber::EnvFilter;

/// The id of an object.
#[track_caller]
pub fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

/// The objects of a list.
#[track_caller]
pub fn data(list: &Value) -> &Vec<Value> {
    list["data"].as_array().expect("a list")
}

/// Runs all at the same time on the runtime's threads.
pub async fn join_all<T: Send + 'static>(
    work: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = work.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.expect("the task ends"));
    }
    results
}

/// A request from an address of its own, so that the limit per address is not met by accident. It has
/// the merchant's secret test key unless `headers` has another `authorization` (`""`: none).
pub fn request(
    app: &TestApp,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Request<Body> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let ip = Ipv4Addr::from_bits(0x0a00_0000 + NEXT.fetch_add(1, Ordering::Relaxed));
    let peer = web::Peer(SocketAddr::from((ip, 40_000)));
    let mut builder = Request::builder().method(method).uri(path).extension(peer);
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        builder = builder.header(header::AUTHORIZATION, format!("Bearer {}", app.sk));
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        builder = builder.header(*name, *value);
    }
    builder.body(body.into()).expect("a request")
}

pub async fn send(
    app: &TestApp,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    app.send(request(app, method, path, headers, body)).await
}

/// Every row of the product's tables as text, by table. What the gateway notes about itself (nodes,
/// leases) and the sandbox's own books are left out.
pub type Rows = BTreeMap<String, Vec<String>>;

pub async fn rows(app: &TestApp) -> Rows {
    let embedded = app.store.is_embedded();
    let read = move |tx: &mut Tx<'_>| {
        let mut rows = Rows::new();
        for table in tables(tx, embedded)? {
            let lines = table_rows(tx, embedded, &table)?;
            rows.insert(table, lines);
        }
        Ok::<_, StoreError>(rows)
    };
    app.store.read(read).await.expect("the tables are read")
}

fn tables(tx: &mut Tx<'_>, embedded: bool) -> Result<Vec<String>, StoreError> {
    let names = if embedded {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    } else {
        "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = 'public'"
    };
    let mut tables: Vec<String> = tx.all(names, &[], |r| r.next())?;
    tables.retain(|t| !t.starts_with("sandbox_") && t != "nodes" && t != "leases");
    assert!(tables.len() > 20, "the product's tables are found: {tables:?}");
    Ok(tables)
}

fn table_rows(tx: &mut Tx<'_>, embedded: bool, table: &str) -> Result<Vec<String>, StoreError> {
    let row = if embedded {
        let columns = format!("SELECT name FROM pragma_table_info('{table}')");
        let columns: Vec<String> = tx.all(&columns, &[], |r| r.next())?;
        columns.iter().map(|c| format!("quote(\"{c}\")")).collect::<Vec<_>>().join(" || ',' || ")
    } else {
        "CAST(t AS TEXT)".to_owned()
    };
    let mut lines: Vec<String> = tx.all(&format!("SELECT {row} FROM {table} t"), &[], |r| r.next())?;
    lines.sort();
    Ok(lines)
}

/// Panics if anything is stored that was not before, or the other way round.
#[track_caller]
pub fn assert_same_rows(before: &Rows, after: &Rows, what: &str) {
    for (table, rows) in after {
        let earlier = &before[table];
        let new: Vec<_> = rows.iter().filter(|row| !earlier.contains(row)).collect();
        let gone: Vec<_> = earlier.iter().filter(|row| !rows.contains(row)).collect();
        assert!(new.is_empty() && gone.is_empty(), "{what} changed {table}: new {new:?}, gone {gone:?}");
    }
    assert_eq!(before, after, "{what}");
}

/// A request that must be refused without a trace.
pub struct Refused<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: Vec<u8>,
    /// The statuses that are allowed.
    pub status: &'a [u16],
    /// What the error's `param` must be.
    pub param: Option<&'a str>,
}

pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
pub const JSON: (&str, &str) = ("content-type", "application/json");

/// Sends each case; each must get a clean error of the right status and leave every row as it was.
pub async fn assert_refused(app: &TestApp, cases: impl IntoIterator<Item = Refused<'_>>) {
    let before = rows(app).await;
    for case in cases {
        let shown: String = String::from_utf8_lossy(&case.body).chars().take(200).collect();
        let shown = format!("{} {} {:?} {shown}", case.method, case.path, case.headers);
        let answer = send(app, case.method, case.path, case.headers, case.body).await;
        assert!(case.status.contains(&answer.status.as_u16()), "{shown}: {} {}", answer.status, answer.text);
        assert_clean(&answer, &shown);
        if let Some(param) = case.param {
            assert_eq!(answer.json["error"]["param"], param, "{shown}: {}", answer.text);
        }
        assert_same_rows(&before, &rows(app).await, &shown);
    }
}

/// A form that must be refused with 400 naming `param`.
pub fn bad_form<'a>(path: &'a str, param: &'a str, form: &[(&str, &str)]) -> Refused<'a> {
    let body = testkit::form_body(form).into_bytes();
    Refused { method: "POST", path, headers: &[FORM], body, status: &[400], param: Some(param) }
}

/// A query that must be refused with 400 naming `param`.
pub fn bad_query<'a>(path: &'a str, param: &'a str) -> Refused<'a> {
    Refused { method: "GET", path, headers: &[], body: Vec::new(), status: &[400], param: Some(param) }
}

/// An error in the envelope, with the id of its request, its limits, and nothing of the machine.
#[track_caller]
pub fn assert_clean(answer: &Answer, shown: &str) {
    let error = &answer.json["error"];
    assert!(error["message"].as_str().is_some_and(|m| m.len() > 10), "{shown}: {}", answer.text);
    assert!(error["type"].is_string(), "{shown}: {}", answer.text);
    assert_eq!(error["request_id"].as_str(), answer.header("x-request-id"), "{shown}");
    for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
        let number = answer.header(name).and_then(|v| v.parse::<i64>().ok());
        assert!(number.is_some_and(|n| n >= 0), "{shown}: {name} is {number:?}");
    }
    for internal in ["SELECT ", "INSERT ", "src/", ".rs:", "panicked", "sqlite", "postgres", "/tmp/"] {
        assert!(!answer.text.contains(internal), "{shown}: {}", answer.text);
    }
}

/// All log lines of this process, at the most talkative level that an operator can set.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// Starts to keep the log. Tests that share a process share it.
    pub fn capture() -> Logs {
        static LOGS: OnceLock<Logs> = OnceLock::new();
        let start = || {
            let logs = Logs::default();
            let (writer, filter) = (logs.clone(), EnvFilter::new("trace,tokio_postgres=info,postgres=info"));
            let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter);
            subscriber.with_writer(move || writer.clone()).init();
            logs
        };
        LOGS.get_or_init(start).clone()
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("unpoisoned").clone()).expect("the log is UTF-8")
    }

    /// The records that belong to one request.
    pub fn of_request(&self, request: &str) -> Vec<Value> {
        let text = self.text();
        let records = text.lines().filter(|line| line.contains(request));
        records.map(|line| serde_json::from_str(line).expect("a record is one line of JSON")).collect()
    }
}

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("unpoisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Every form of a text that may lie in a file.
fn spellings(text: &str) -> Vec<String> {
    let hex: String = text.bytes().map(|b| format!("{b:02x}")).collect();
    vec![text.to_owned(), text.chars().rev().collect(), hex.to_uppercase(), hex]
}

/// Panics if any of `secrets` is in the database, in its files or in the log.
pub async fn assert_nowhere(db: &Db, app: &TestApp, logs: &Logs, secrets: &[String]) {
    let log = logs.text();
    let tables = format!("{:?}", rows(app).await);
    let mut files = Vec::new();
    if db.kind == Kind::Sqlite {
        for entry in std::fs::read_dir(db.dir()).expect("a directory") {
            let path = entry.expect("an entry").path();
            files.push((path.display().to_string(), std::fs::read(&path).expect("a file")));
        }
        assert!(files.iter().any(|(name, _)| name.ends_with("-wal")), "the log of writes is searched too");
    }
    for secret in secrets {
        for text in spellings(secret) {
            assert!(!log.contains(&text), "{secret} is in the log");
            assert!(!tables.contains(&text), "{secret} is in a table");
            for (name, bytes) in &files {
                let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
                assert!(!found, "{secret} is in {name}");
            }
        }
    }
}
