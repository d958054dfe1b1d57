//! One effect per key, and the same bytes for every repetition.

use testkit::TestApp;

const FORM: &[(&str, &str)] = &[("amount", "100"), ("currency", "eur")];

testkit::on_both_engines! {
    async fn a_repetition_gets_the_same_bytes(db) {
        let app = TestApp::start(&db).await;
        let first = app.post_once("k1", "/v2/payment_intents", FORM).await;
        let again = app.post_once("k1", "/v2/payment_intents", FORM).await;
        assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
        assert_eq!(first.text, again.text);
        assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), (None, Some("true")));
        assert_eq!(app.get("/v2/payment_intents").await.expect(200)["data"].as_array().expect("a list").len(), 1);
    }

    async fn a_decline_is_repeated_and_a_validation_error_is_not_stored(db) {
        let app = TestApp::start(&db).await;
        let declined = [("amount", "100"), ("currency", "eur"), ("payment_method", "pm_card_chargeDeclined"), ("confirm", "true")];
        let first = app.post_once("k1", "/v2/payment_intents", &declined).await;
        let again = app.post_once("k1", "/v2/payment_intents", &declined).await;
        assert_eq!((first.status.as_u16(), again.status.as_u16()), (402, 402));
        assert_eq!(first.text, again.text);
        app.post_once("k2", "/v2/payment_intents", &[("amount", "0"), ("currency", "eur")]).await
            .expect_error(400, "invalid_request_error", Some("amount_too_small"));
        app.post_once("k2", "/v2/payment_intents", FORM).await.expect(201);
        assert_eq!(app.get("/v2/charges").await.expect(200)["data"].as_array().expect("a list").len(), 1);
    }

    async fn another_request_with_the_key_is_refused(db) {
        let app = TestApp::start(&db).await;
        let payment = app.post_once("k", "/v2/payment_intents", FORM).await.expect(201);
        let id = payment["id"].as_str().expect("an id");
        for (path, form) in [
            ("/v2/payment_intents".to_owned(), vec![("amount", "101"), ("currency", "eur")]),
            ("/v2/customers".to_owned(), vec![]),
            (format!("/v2/payment_intents/{id}/cancel"), vec![]),
        ] {
            app.post_once("k", &path, &form).await.expect_error(400, "idempotency_error", Some("idempotency_key_reused"));
        }
        let other = app.another_merchant().await;
        other.post_once("k", "/v2/payment_intents", &[("amount", "7"), ("currency", "usd")]).await.expect(201);
        for bad in ["", &"x".repeat(256)] {
            app.post_once(bad, "/v2/payment_intents", FORM).await.expect_error(400, "idempotency_error", Some("idempotency_key_invalid"));
        }
        app.post_once(&"x".repeat(255), "/v2/payment_intents", FORM).await.expect(201);
    }
}
