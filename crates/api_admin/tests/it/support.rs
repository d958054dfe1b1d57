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
