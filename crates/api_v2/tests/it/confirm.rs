//! Declines, challenges, lost answers.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::Value;
use testkit::{TestApp, form_body};

fn id(object: &Value) -> String {
    object["id"].as_str().expect("an id").to_owned()
}

testkit::on_both_engines! {
    async fn a_decline_is_recorded_and_the_payment_stays_open(db) {
        let app = TestApp::start(&db).await;
        let payment = app.post("/v2/payment_intents", &[("amount", "100"), ("currency", "eur")]).await.expect(201);
        let path = format!("/v2/payment_intents/{}", id(&payment));
        let confirm = format!("{path}/confirm");
        let error = app.post(&confirm, &[("payment_method", "pm_card_chargeDeclinedInsufficientFunds")]).await
            .expect_error(402, "card_error", Some("card_declined"));
        assert_eq!(error["decline_code"], "insufficient_funds");
        assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
        let charge = error["charge"].as_str().expect("a charge").to_owned();
        let open = app.get(&path).await.expect(200);
        assert_eq!(open["payment_method"], Value::Null);
        assert_eq!(open["last_payment_error"]["payment_method"]["card"]["last4"], "9995");
        assert_eq!(open["latest_charge"], charge.as_str());
        let failed = app.get(&format!("/v2/charges/{charge}")).await.expect(200);
        assert_eq!((failed["status"].as_str(), failed["paid"].as_bool()), (Some("failed"), Some(false)));
        let paid = app.post(&confirm, &[("payment_method", "pm_card_visa")]).await.expect(200);
        assert_eq!(paid["last_payment_error"], Value::Null);
        let charges = app.get(&format!("/v2/charges?payment_intent={}", id(&payment))).await.expect(200);
        assert_eq!(charges["data"].as_array().expect("a list").len(), 2);
        app.assert_books().await;
    }

    async fn a_challenge_on_the_page_decides(db) {
        let app = TestApp::start(&db).await;
        for (outcome, status, redirect) in [("success", "succeeded", "succeeded"), ("fail", "requires_payment_method", "failed")] {
            let more = [("return_url", "https://shop.example/back?cart=7")];
            let waiting = app.pay(4900, "pm_card_threeDSecure2Required", &more).await.expect(201);
            assert_eq!(waiting["status"], "requires_action");
            assert_eq!(waiting["latest_charge"], Value::Null);
            let url = waiting["next_action"]["redirect_to_url"]["url"].as_str().expect("a page");
            let page = url.strip_prefix("http://public.test").expect("our page").to_owned();
            let shown = app.page(Request::get(&page).body(Body::empty()).expect("a request")).await;
            assert_eq!(shown.status.as_u16(), 200);
            assert!(shown.text.contains("€49.00") && shown.text.contains("Test shop"), "{}", shown.text);
            let answer = |outcome: &str| {
                Request::post(&page)
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(Body::from(form_body(&[("outcome", outcome)])))
                    .expect("a request")
            };
            let done = app.page(answer(outcome)).await;
            assert_eq!(done.status.as_u16(), 200, "{}", done.text);
            let refresh = done.header("refresh").expect("a way back").to_owned();
            assert!(refresh.contains("https://shop.example/back?cart=7&"), "{refresh}");
            assert!(refresh.contains(&format!("redirect_status={redirect}")), "{refresh}");
            // A second click shows what came of the first, and changes nothing.
            let again = app.page(answer("success")).await;
            assert_eq!((again.status.as_u16(), again.header("refresh")), (200, Some(refresh.as_str())));
            let ended = app.get(&format!("/v2/payment_intents/{}", id(&waiting))).await.expect(200);
            assert_eq!(ended["status"], status);
            if outcome == "fail" {
                assert_eq!(ended["last_payment_error"]["code"], "payment_intent_authentication_failure");
            }
        }
        let charges = app.get("/v2/charges").await.expect(200);
        assert_eq!(charges["data"].as_array().expect("a list").len(), 1);
        app.assert_books().await;
    }

    async fn a_challenge_can_be_finished_by_the_test_helper(db) {
        let app = TestApp::start(&db).await;
        for (outcome, status) in [("success", "succeeded"), ("fail", "requires_payment_method"), ("abandon", "requires_payment_method")] {
            let waiting = app.pay(100, "pm_card_authenticationRequired", &[]).await.expect(201);
            let path = format!("/v2/test_helpers/payment_intents/{}/authenticate", id(&waiting));
            assert_eq!(app.post(&path, &[("outcome", outcome)]).await.expect(200)["status"], status);
            app.post(&path, &[("outcome", "success")]).await
                .expect_error(400, "invalid_request_error", Some("payment_intent_unexpected_state"));
        }
        let declined = app.pay(100, "pm_card_threeDSecureRequiredChargeDeclined", &[]).await.expect(201);
        let path = format!("/v2/test_helpers/payment_intents/{}/authenticate", id(&declined));
        assert_eq!(app.post(&path, &[]).await.expect(200)["last_payment_error"]["code"], "card_declined");
        app.assert_books().await;
    }

    async fn off_session_cannot_be_challenged(db) {
        let app = TestApp::start(&db).await;
        app.pay(100, "pm_card_authenticationRequired", &[("off_session", "true")]).await
            .expect_error(402, "card_error", Some("authentication_required"));
        app.assert_books().await;
    }

    async fn a_lost_answer_is_processing_until_the_provider_tells(db) {
        let app = TestApp::start(&db).await;
        for (token, status) in [("pm_card_answerLost", "succeeded"), ("pm_card_answerLostDeclined", "requires_payment_method"), ("pm_card_requestLost", "requires_payment_method")] {
            let unknown = app.pay(100, token, &[]).await.expect(201);
            assert_eq!(unknown["status"], "processing", "{token}");
            let path = format!("/v2/payment_intents/{}", id(&unknown));
            app.post(&format!("{path}/confirm"), &[("payment_method", "pm_card_visa")]).await
                .expect_error(400, "invalid_request_error", Some("payment_intent_unexpected_state"));
            app.post(&format!("{path}/cancel"), &[]).await
                .expect_error(400, "invalid_request_error", Some("payment_intent_unexpected_state"));
            tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
            app.run_due().await;
            assert_eq!(app.get(&path).await.expect(200)["status"], status, "{token}");
        }
        app.assert_books().await;
    }

    async fn a_new_method_replaces_a_challenge_that_nobody_answers(db) {
        let app = TestApp::start(&db).await;
        let waiting = app.pay(100, "pm_card_threeDSecure2Required", &[]).await.expect(201);
        let confirm = format!("/v2/payment_intents/{}/confirm", id(&waiting));
        assert_eq!(app.post(&confirm, &[("payment_method", "pm_card_visa")]).await.expect(200)["status"], "succeeded");
        let page = waiting["next_action"]["redirect_to_url"]["url"].as_str().expect("a page").replace("http://public.test", "");
        assert_eq!(app.page(Request::get(&page).body(Body::empty()).expect("a request")).await.status.as_u16(), 410);
        app.assert_books().await;
    }

    async fn a_saved_method_pays_again_and_a_spent_one_does_not(db) {
        let app = TestApp::start(&db).await;
        let customer = id(&app.post("/v2/customers", &[]).await.expect(201));
        let method = id(&app.post("/v2/payment_methods/pm_card_visa/attach", &[("customer", &customer)]).await.expect(200));
        for _ in 0..2 {
            app.pay(100, &method, &[("customer", &customer)]).await.expect(201);
        }
        app.pay(100, &method, &[]).await.expect_error(400, "invalid_request_error", Some("payment_method_customer_mismatch"));
        let card = [("type", "card"), ("card[number]", "4242 4242 4242 4242"), ("card[exp_month]", "12"), ("card[exp_year]", "34"), ("card[cvc]", "123")];
        let single = id(&app.post("/v2/payment_methods", &card).await.expect(201));
        app.pay(100, &single, &[]).await.expect(201);
        app.pay(100, &single, &[]).await.expect_error(400, "invalid_request_error", Some("payment_method_unexpected_state"));
        app.post(&format!("/v2/payment_methods/{method}/detach"), &[]).await.expect(200);
        app.pay(100, &method, &[]).await.expect_error(400, "invalid_request_error", Some("payment_method_unexpected_state"));
        app.post("/v2/payment_methods/pm_card_chargeDeclined/attach", &[("customer", &customer)]).await
            .expect_error(402, "card_error", Some("card_declined"));
        app.assert_books().await;
    }
}
