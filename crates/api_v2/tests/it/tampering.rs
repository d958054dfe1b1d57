//! Sealed values fail closed when someone edits the database.

use crate::support::{Logs, assert_clean};
use domain::scope::Scope;
use store::StoreError;
use testkit::{Answer, TestApp};

const PAY: &str = "/v2/payment_intents";

async fn sql(app: &TestApp, sql: &'static str, bytes: Option<Vec<u8>>, scope: Scope, key: &str) {
    let key = key.to_owned();
    let changed = app.store.write(move |tx| match &bytes {
        Some(bytes) => tx.execute(sql, store::params![bytes, scope.merchant, scope.mode, key]),
        None => tx.execute(sql, store::params![scope.merchant, scope.mode, key]),
    });
    let changed: Result<u64, StoreError> = changed.await;
    assert_eq!(changed.expect("changed"), 1);
}

async fn sealed(app: &TestApp, scope: Scope, key: &str) -> Vec<u8> {
    let key = key.to_owned();
    let read = app.store.read(move |tx| {
        let sql = "SELECT reply FROM idempotency_keys WHERE merchant = ?1 AND live = ?2 AND key = ?3";
        tx.one(sql, store::params![scope.merchant, scope.mode, key], |r| r.next())
    });
    let reply: Result<Vec<u8>, StoreError> = read.await;
    reply.expect("a sealed reply")
}

async fn put(app: &TestApp, scope: Scope, key: &str, reply: Vec<u8>) {
    let update = "UPDATE idempotency_keys SET reply = ?1 WHERE merchant = ?2 AND live = ?3 AND key = ?4";
    sql(app, update, Some(reply), scope, key).await;
}

/// 500 without a word of what was stored, and an alert for the operator.
fn assert_closed(logs: &Logs, answer: &Answer, what: &str) {
    assert_eq!(answer.status.as_u16(), 500, "{what}: {}", answer.text);
    assert_clean(answer, what);
    assert_eq!(answer.json["error"]["type"], "api_error", "{what}");
    assert!(
        !answer.text.contains("payment_intent") && !answer.text.contains("seal"),
        "{what}: {}",
        answer.text
    );
    assert_eq!(answer.header("idempotent-replayed"), None, "{what}");
    let request = answer.header("x-request-id").expect("an id");
    assert!(logs.of_request(request).iter().any(|r| r["level"] == "ERROR"), "{what}: the operator is told");
}

testkit::on_both_engines! {
    async fn a_reply_that_was_moved_or_changed_is_not_served(db) {
        let logs = Logs::capture();
        let app = TestApp::start(&db).await;
        let other = app.another_merchant().await;
        let (mine, theirs, live) = (app.scope(), other.scope(), Scope { mode: domain::scope::Mode::Live, ..app.scope() });
        let form = |amount| [("amount", amount), ("currency", "eur")];
        let first = app.post_once("a", PAY, &form("100")).await;
        app.post_once("b", PAY, &form("200")).await.expect(201);
        other.post_once("a", PAY, &form("100")).await.expect(201);
        app.as_key(&app.sk_live, "POST".parse().expect("a method"), PAY, &form("100"), Some("a")).await.expect(201);
        let original = sealed(&app, mine, "a").await;
        assert!(!String::from_utf8_lossy(&original).contains("client_secret"), "a reply is not stored in the clear");
        let foreign = [("another key", sealed(&app, mine, "b").await), ("another merchant", sealed(&app, theirs, "a").await), ("the other mode", sealed(&app, live, "a").await)];
        for (from, reply) in foreign {
            put(&app, mine, "a", reply).await;
            assert_closed(&logs, &app.post_once("a", PAY, &form("100")).await, from);
        }
        for n in [0, 1, 2, 20, 26, 40, original.len() - 17, original.len() - 1] {
            let mut flipped = original.clone();
            flipped[n] ^= 1;
            put(&app, mine, "a", flipped).await;
            assert_closed(&logs, &app.post_once("a", PAY, &form("100")).await, &format!("a flipped bit in byte {n}"));
            put(&app, mine, "a", original[..n].to_vec()).await;
            assert_closed(&logs, &app.post_once("a", PAY, &form("100")).await, &format!("cut after {n} bytes"));
        }
        put(&app, mine, "a", original).await;
        let replay = app.post_once("a", PAY, &form("100")).await;
        assert_eq!((replay.header("idempotent-replayed"), replay.text.clone()), (Some("true"), first.text.clone()));
    }

    async fn a_row_given_to_another_key_is_not_served(db) {
        let logs = Logs::capture();
        let app = TestApp::start(&db).await;
        let form = [("amount", "100"), ("currency", "eur")];
        app.post_once("a", PAY, &form).await.expect(201);
        let rename = "UPDATE idempotency_keys SET key = 'z' WHERE merchant = ?1 AND live = ?2 AND key = ?3";
        sql(&app, rename, None, app.scope(), "a").await;
        assert_closed(&logs, &app.post_once("z", PAY, &form).await, "a renamed row");
    }
}
