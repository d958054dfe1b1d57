//! Keys that follow one another, with and without a time in which both work.

use domain::id::ApiKeyId;
use domain::limits::KEY_OVERLAP_US;
use domain::merchant::KeyKind;
use domain::scope::Mode;
use domain::time::{MICROS, MINUTE, Timestamp};
use engine::Error;
use http::Method;
use std::time::Duration;
use testkit::TestApp;

async fn key_id(app: &TestApp, text: &str, kind: KeyKind, mode: Mode) -> ApiKeyId {
    let keys = app.engine.list_keys(app.merchant).await.expect("keys");
    let last4 = &text[text.len() - 4..];
    let found = keys.iter().find(|k| k.last4 == last4 && k.kind == kind && k.scope.mode == mode);
    found.expect("the key is listed").id
}

async fn status(app: &TestApp, key: &str) -> u16 {
    app.as_key(key, Method::GET, "/v2/balance", &[], None).await.status.as_u16()
}

/// Waits for an instant of the wall clock.
async fn until(app: &TestApp, at: Timestamp) {
    while app.engine.now() < at {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

testkit::on_both_engines! {
    async fn without_an_overlap_the_old_key_ends_at_once(db) {
        let app = TestApp::start(&db).await;
        let old = key_id(&app, &app.sk, KeyKind::Secret, Mode::Test).await;
        assert_eq!(status(&app, &app.sk).await, 200, "it is in the cache");
        let rotated_at = app.engine.now();
        let (new, text) = app.engine.rotate_key(old, 0).await.expect("rotated");
        assert!(text.starts_with("sk_test_") && (new.scope, new.kind) == (app.scope(), KeyKind::Secret));
        assert_eq!(status(&app, &text).await, 200);
        until(&app, rotated_at.plus(MICROS + MICROS / 10)).await;
        assert_eq!(status(&app, &app.sk).await, 401);
        assert_eq!(status(&app, &text).await, 200);
        assert_eq!(status(&app, &app.sk_live).await, 200, "other keys go on");
    }

    async fn with_an_overlap_both_work_until_its_end(db) {
        let app = TestApp::start(&db).await;
        let old = key_id(&app, &app.sk, KeyKind::Secret, Mode::Test).await;
        let paid = app.pay(1000, "pm_card_visa", &[]).await.expect(201);
        let (_, text) = app.engine.rotate_key(old, 2 * MICROS).await.expect("rotated");
        let ends_at = app.engine.list_keys(app.merchant).await.expect("keys").iter().find(|k| k.id == old).and_then(|k| k.ends_at).expect("an end");
        // What was created with one is the same merchant's with the other.
        let path = format!("/v2/payment_intents/{}", paid["id"].as_str().expect("an id"));
        app.as_key(&text, Method::GET, &path, &[], None).await.expect(200);
        // Used without a pause, so that it is in the cache when its end comes: refused all the same.
        loop {
            let before = app.engine.now();
            let answered = status(&app, &app.sk).await;
            if before >= ends_at {
                assert_eq!(answered, 401, "past its end");
                break;
            }
            assert!(answered == 200 || app.engine.now() >= ends_at, "{answered} before its end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(status(&app, &text).await, 200);
        // A clock that goes back revives nothing once the end was seen.
        assert_eq!(app.engine.revoke_ended_keys().await.expect("looked"), 1);
        assert_eq!(app.engine.revoke_ended_keys().await.expect("looked"), 0);
        let ended = app.engine.list_keys(app.merchant).await.expect("keys").into_iter().find(|k| k.id == old).expect("listed");
        assert_eq!(ended.revoked_at, Some(ends_at));
        assert!(!ended.is_valid(ends_at.plus(-1)));
    }

    async fn only_a_valid_key_is_rotated_and_only_once(db) {
        let app = TestApp::start(&db).await;
        let old = key_id(&app, &app.pk, KeyKind::Publishable, Mode::Test).await;
        let (next, text) = app.engine.rotate_key(old, MINUTE).await.expect("rotated");
        assert!(text.starts_with("pk_test_"));
        let refused = |r: Result<_, Error>| matches!(r, Err(Error::Invalid { code: "key_ended", .. }));
        assert!(refused(app.engine.rotate_key(old, MINUTE).await), "its end stands");
        assert!(app.engine.revoke_key(next.id).await.expect("revoked"));
        assert!(refused(app.engine.rotate_key(next.id, 0).await), "a revoked key has no successor");
        assert!(app.engine.revoke_key(old).await.expect("revoked"), "a key that still works can be revoked");
        for span in [-1, KEY_OVERLAP_US + 1] {
            assert!(matches!(app.engine.rotate_key(old, span).await, Err(Error::Invalid { code: "overlap_invalid", .. })));
        }
        let nobody = ApiKeyId(domain::id::Core([1; 12]));
        assert!(matches!(app.engine.rotate_key(nobody, 0).await, Err(Error::NotFound { .. })));
    }

    async fn of_two_rotations_at_once_one_wins(db) {
        let app = TestApp::start(&db).await;
        let old = key_id(&app, &app.sk, KeyKind::Secret, Mode::Test).await;
        let before = app.engine.list_keys(app.merchant).await.expect("keys").len();
        let (a, b) = tokio::join!(app.engine.rotate_key(old, MINUTE), app.engine.rotate_key(old, 0));
        assert!(a.is_ok() != b.is_ok(), "exactly one");
        assert_eq!(app.engine.list_keys(app.merchant).await.expect("keys").len(), before + 1);
    }
}
