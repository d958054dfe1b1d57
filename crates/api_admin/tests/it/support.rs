//! What these tests share.

use serde_json::Value;
use store::{StoreError, Tx};
use testkit::{Answer, TestApp};

pub const VISA: &str = "4242424242424242";
pub const DECLINED: &str = "4000000000000002";
pub const CHALLENGED: &str = "4000000000003220";

/// Checks for an error of this status and code in the surface's envelope; its message.
#[track_caller]
pub fn refused(answer: Answer, status: u16, code: &str) -> String {
    let request = answer.header("x-request-id").unwrap_or_default().to_owned();
    let body = answer.expect(status);
    assert_eq!(body["code"], code, "{body}");
    assert_eq!(body["message"], body["error"], "{body}");
    assert_eq!(body["requestId"].as_str(), Some(request.as_str()), "{body}");
    body["error"].as_str().unwrap_or_else(|| panic!("no text: {body}")).to_owned()
}

/// One number out of the database.
pub async fn figure(app: &TestApp, query: &'static str) -> i64 {
    let read = move |tx: &mut Tx<'_>| tx.one(query, &[], |r| r.next::<i64>());
    app.store.read::<_, StoreError, _>(read).await.expect("a figure")
}

/// Rows of a list's answer.
#[track_caller]
pub fn rows(answer: Answer, name: &str) -> Vec<Value> {
    answer.expect(200)[name].as_array().expect("rows").clone()
}

/// Whether files are to be rewritten rather than compared: `REWRITE=1`.
pub fn rewriting() -> bool {
    std::env::var_os("REWRITE").is_some()
}

/// Writes a file of the repository in one step, since two tests may do so at a time.
pub fn write(path: &str, text: &str) {
    let path = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    let own = format!("{path}.{}", std::process::id());
    std::fs::create_dir_all(std::path::Path::new(&path).parent().expect("a folder")).expect("made");
    std::fs::write(&own, text).expect("written");
    std::fs::rename(&own, &path).expect("renamed");
}

/// Compares a text with a committed file.
#[track_caller]
pub fn golden(path: &str, text: &str) {
    if rewriting() {
        return write(path, text);
    }
    let full = format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"));
    let committed = std::fs::read_to_string(full).unwrap_or_default();
    let differs = committed.lines().zip(text.lines()).position(|(a, b)| a != b);
    assert!(
        committed == text,
        "{path} is not true any more (from line {}). Rewrite it: REWRITE=1 cargo nextest run -p api_admin openapi \
         coverage, twice.",
        differs.map_or(0, |n| n + 1)
    );
}
