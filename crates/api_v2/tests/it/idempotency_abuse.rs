//! Keys used at the same time, by someone else, after their time, or as a way to store things.

use crate::support::{FORM, assert_same_rows, data, id, join_all, request, rows, send};
use domain::limits::IDEMPOTENCY_KEPT_US;
use domain::merchant::KeyKind;
use http::Method;
use store::StoreError;
use testkit::{Answer, TestApp, form_body};

const PAY: &str = "/v2/payment_intents";
const SALE: &[(&str, &str)] =
    &[("amount", "100"), ("currency", "eur"), ("confirm", "true"), ("payment_method", "pm_card_visa")];

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

/// Makes every stored reply `by` microseconds older.
async fn age(app: &TestApp, by: i64) {
    let sql = "UPDATE idempotency_keys SET created_at = created_at - ?1";
    let aged = app.store.write(move |tx| tx.execute(sql, store::params![by])).await;
    let aged: Result<u64, StoreError> = aged;
    assert!(aged.expect("aged") > 0);
}

testkit::on_both_engines! {
    async fn fifty_at_once_are_one_payment_or_a_conflict(db) {
        let app = TestApp::start(&db).await;
        let answers = join_all((0..50).map(|_| {
            let app = app.clone();
            async move { app.post_once("same", PAY, SALE).await }
        })).await;
        let fresh: Vec<_> = answers.iter().filter(|a| a.status.as_u16() == 201 && !replayed(a)).collect();
        assert_eq!(fresh.len(), 1);
        for answer in &answers {
            if answer.status.as_u16() == 409 {
                assert_eq!(answer.json["error"]["code"], "idempotency_key_in_use");
                assert_eq!(answer.header("retry-after"), Some("1"));
            } else {
                assert_eq!((answer.status.as_u16(), &answer.text), (201, &fresh[0].text));
            }
        }
        let again = app.post_once("same", PAY, SALE).await;
        assert!(replayed(&again));
        assert_eq!(again.text, fresh[0].text);
        assert_eq!(data(&app.get("/v2/charges").await.expect(200)).len(), 1);
        app.assert_books().await;
    }

    async fn a_key_belongs_to_merchant_and_mode_and_not_to_an_api_key(db) {
        let app = TestApp::start(&db).await;
        let (_, second) = app.engine.create_key(app.scope(), KeyKind::Secret, "second".to_owned()).await.expect("a key");
        let first = app.post_once("k", PAY, SALE).await;
        let by_other_key = app.as_key(&second, Method::POST, PAY, SALE, Some("k")).await;
        assert!(replayed(&by_other_key));
        assert_eq!(by_other_key.text, first.text);
        let live = app.as_key(&app.sk_live, Method::POST, "/v2/customers", &[], Some("k")).await;
        assert!(!replayed(&live));
        live.expect(201);
        let stripe = app.post_once("k", "/stripe/v1/payment_intents", SALE).await;
        assert!(replayed(&stripe), "one surface under two addresses");
        for text in ["unicode-ключ-鍵", &"é".repeat(255), "with space", "a/b?c=d&e", "' OR 1=1--", "{{7*7}}"] {
            let mut call = request(&app, "POST", PAY, &[FORM], form_body(SALE));
            call.headers_mut().insert("idempotency-key", axum::http::HeaderValue::from_bytes(text.as_bytes()).expect("a header"));
            let made = app.send(call).await;
            assert!(!replayed(&made));
            made.expect(201);
        }
        for bad in [&b"\xff\xfe"[..], &[b'x'; 256], "é".repeat(256).as_bytes()] {
            let mut call = request(&app, "POST", PAY, &[FORM], form_body(SALE));
            call.headers_mut().insert("idempotency-key", axum::http::HeaderValue::from_bytes(bad).expect("a header"));
            app.send(call).await.expect_error(400, "idempotency_error", Some("idempotency_key_invalid"));
        }
        let twice = send(&app, "POST", PAY, &[FORM, ("idempotency-key", "a"), ("idempotency-key", "b")], form_body(SALE)).await;
        twice.expect_error(400, "idempotency_error", Some("idempotency_key_invalid"));
    }

    /// A publishable key is public. Whoever has it must neither read what was answered to the merchant
    /// nor use up the keys that the merchant is about to use.
    async fn publishable_keys_have_idempotency_keys_of_their_own(db) {
        let app = TestApp::start(&db).await;
        let card = [("type", "card"), ("card[token]", "tok_visa")];
        let by_payer = app.as_key(&app.pk, Method::POST, "/v2/payment_methods", &card, Some("order-1")).await;
        by_payer.clone().expect(201);
        assert!(replayed(&app.as_key(&app.pk, Method::POST, "/v2/payment_methods", &card, Some("order-1")).await));
        let sale = app.post_once("order-1", PAY, SALE).await;
        assert!(!replayed(&sale));
        sale.expect(201);
        let open = app.post(PAY, &[("amount", "100"), ("currency", "eur"), ("metadata[internal]", "margin 40 %")]).await.expect(201);
        let path = format!("{PAY}/{}/confirm", id(&open));
        let form = [("payment_method", "pm_card_visa"), ("client_secret", open["client_secret"].as_str().expect("a secret"))];
        let confirmed = app.post_once("order-2", &path, &form).await;
        assert!(confirmed.text.contains("margin"));
        let seen = app.as_key(&app.pk, Method::POST, &path, &form, Some("order-2")).await;
        assert!(!seen.text.contains("margin"), "{}", seen.text);
        assert!(seen.text.contains("payment_intent_unexpected_state"), "{}", seen.text);
        app.assert_books().await;
    }

    async fn replies_are_kept_a_day(db) {
        let app = TestApp::start(&db).await;
        let first = app.post_once("k", PAY, SALE).await;
        age(&app, IDEMPOTENCY_KEPT_US - 60_000_000).await;
        let late = app.post_once("k", PAY, SALE).await;
        assert!(replayed(&late));
        assert_eq!(late.text, first.text);
        age(&app, 61_000_000).await;
        let next_day = app.post_once("k", PAY, SALE).await;
        assert!(!replayed(&next_day));
        assert_ne!(next_day.expect(201)["id"], first.json["id"]);
        age(&app, IDEMPOTENCY_KEPT_US + 1_000_000).await;
        // After its time a key may be used for something else.
        assert!(!replayed(&app.post_once("k", "/v2/customers", &[]).await));
        assert_eq!(data(&app.get("/v2/charges").await.expect(200)).len(), 2);
        app.assert_books().await;
    }

    async fn refusals_before_any_effect_are_not_kept(db) {
        let app = TestApp::start(&db).await;
        let held = id(&app.pay(100, "pm_card_visa", &[("capture_method", "manual")]).await.expect(201));
        let capture = format!("{PAY}/{held}/capture");
        let before = rows(&app).await;
        let unknown = send(&app, "POST", PAY, &[FORM, ("idempotency-key", "k"), ("authorization", "Bearer sk_test_x")], form_body(SALE)).await;
        assert_eq!(unknown.status.as_u16(), 401);
        for (path, form) in [
            (PAY, &[("amount", "0"), ("currency", "eur")][..]),
            (PAY, &[("amount", "100"), ("currency", "eur"), ("x", "1")]),
            (PAY, &[("amount", "100"), ("currency", "eur"), ("customer", "cus_00000000000000000")]),
            (PAY, &[("amount", "100"), ("currency", "eur"), ("confirm", "true")]),
            (&capture, &[("amount_to_capture", "101")]),
            ("/v2/refunds", &[("payment_intent", "pi_00000000000000000")]),
            ("/v2/payment_intents/pi_00000000000000000/cancel", &[]),
        ] {
            for _ in 0..2 {
                let refused = app.post_once("k", path, form).await;
                assert!(refused.status.is_client_error() && !replayed(&refused), "{path}: {}", refused.text);
            }
        }
        assert_same_rows(&before, &rows(&app).await, "refusals with a key");
        assert!(!replayed(&app.post_once("k", PAY, SALE).await));
        // A refusal for another reason than before must not hide behind the key.
        app.post_once("k2", &capture, &[("amount_to_capture", "60")]).await.expect(200);
        let again = app.post_once("k2", &capture, &[("amount_to_capture", "60")]).await;
        assert!(replayed(&again));
        again.expect(200);
        app.assert_books().await;
    }

    async fn keys_on_requests_without_an_effect_store_nothing(db) {
        let app = TestApp::start(&db).await;
        let before = rows(&app).await;
        for path in ["/v2/balance", "/v2/payment_intents", "/v2/customers"] {
            let answer = send(&app, "GET", path, &[("idempotency-key", "k")], "").await;
            assert!(!replayed(&answer));
            answer.expect(200);
        }
        assert_same_rows(&before, &rows(&app).await, "reads with a key");
    }
}
