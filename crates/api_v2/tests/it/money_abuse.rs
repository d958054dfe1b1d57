//! Steps that are not allowed, and sums that must be exact.

use crate::support::{FORM, Refused, assert_refused, assert_same_rows, id, join_all, rows, send};
use axum::body::Body;
use axum::http::Request;
use http::Method;
use serde_json::{Value, json};
use testkit::{TestApp, form_body};

const PAY: &str = "/v2/payment_intents";
const STATE: Option<&str> = Some("payment_intent_unexpected_state");

/// A form that must get 400 with `code` and change nothing.
async fn refused(app: &TestApp, path: &str, form: &[(&str, &str)], code: Option<&str>) {
    let before = rows(app).await;
    app.post(path, form).await.expect_error(400, "invalid_request_error", code);
    assert_same_rows(&before, &rows(app).await, path);
}

/// What the standard fee group takes: 2.9 % rounded half up, and 25, but never more than there is.
fn fee(amount: i64) -> i64 {
    ((amount * 290 + 5_000) / 10_000 + 25).min(amount)
}

/// The path of the page that the payer is sent to.
fn page_of(waiting: &Value) -> String {
    let url = waiting["next_action"]["redirect_to_url"]["url"].as_str().expect("a page");
    url.strip_prefix("http://public.test").expect("our page").to_owned()
}

fn answer_page(path: &str, outcome: &str) -> Request<Body> {
    let body = Body::from(form_body(&[("outcome", outcome)]));
    Request::post(path).header(FORM.0, FORM.1).body(body).expect("a request")
}

testkit::on_both_engines! {
    async fn captures_that_are_not_due_post_nothing(db) {
        let app = TestApp::start(&db).await;
        let held = async || id(&app.pay(1000, "pm_card_visa", &[("capture_method", "manual")]).await.expect(201));
        let capture = |payment: &str| format!("{PAY}/{payment}/capture");
        let (first, void, part) = (held().await, held().await, held().await);
        for (amount, code) in [("1001", "amount_too_large"), ("999999999999", "amount_too_large"), ("1000000000000", "amount_too_large"), ("0", "amount_too_small"), ("-1", "amount_too_small")] {
            refused(&app, &capture(&first), &[("amount_to_capture", amount)], Some(code)).await;
        }
        refused(&app, &capture(&first), &[("final_capture", "false")], Some("parameter_invalid")).await;
        app.post(&format!("{PAY}/{void}/cancel"), &[]).await.expect(200);
        refused(&app, &capture(&void), &[], STATE).await;
        for (form, payment) in [(&[][..], &first), (&[("amount_to_capture", "300")], &part)] {
            app.post(&capture(payment), form).await.expect(200);
            for again in [&[][..], &[("amount_to_capture", "1")], &[("amount_to_capture", "300")]] {
                refused(&app, &capture(payment), again, STATE).await;
            }
            refused(&app, &format!("{PAY}/{payment}/cancel"), &[], STATE).await;
            refused(&app, &format!("{PAY}/{payment}/increment_authorization"), &[("amount", "2000")], STATE).await;
        }
        // Captured at once: there is nothing left to capture.
        let sale = id(&app.pay(1000, "pm_card_visa", &[]).await.expect(201));
        refused(&app, &capture(&sale), &[], STATE).await;
        app.assert_books().await;
    }

    async fn refunds_that_are_not_due_post_nothing(db) {
        let app = TestApp::start(&db).await;
        let paid = id(&app.pay(1000, "pm_card_visa", &[]).await.expect(201));
        let part = app.post("/v2/refunds", &[("payment_intent", &paid), ("amount", "400")]).await.expect(201);
        let charge = part["charge"].as_str().expect("a charge").to_owned();
        let open = id(&app.post(PAY, &[("amount", "100"), ("currency", "eur")]).await.expect(201));
        let failed = app.pay(100, "pm_card_chargeDeclined", &[]).await.expect(402);
        let (failed, failed_charge) = (id(&failed["error"]["payment_intent"]), failed["error"]["charge"].as_str().expect("a charge").to_owned());
        let other = id(&app.pay(50, "pm_card_visa", &[]).await.expect(201));
        let refunds = "/v2/refunds";
        refused(&app, refunds, &[("payment_intent", &paid), ("amount", "601")], None).await;
        refused(&app, refunds, &[("charge", &charge), ("amount", "601")], None).await;
        refused(&app, refunds, &[("payment_intent", &paid), ("amount", "-1")], Some("amount_too_small")).await;
        refused(&app, refunds, &[("payment_intent", &paid), ("amount", "0")], Some("amount_too_small")).await;
        refused(&app, refunds, &[("payment_intent", &paid), ("currency", "usd")], Some("parameter_unknown")).await;
        refused(&app, refunds, &[("payment_intent", &open)], Some("charge_not_refundable")).await;
        refused(&app, refunds, &[("payment_intent", &failed)], Some("charge_not_refundable")).await;
        refused(&app, refunds, &[("charge", &failed_charge)], Some("charge_not_refundable")).await;
        let before = rows(&app).await;
        let mixed = app.post(refunds, &[("payment_intent", &other), ("charge", &charge)]).await;
        assert_eq!(mixed.status.as_u16(), 400, "a charge of another payment: {}", mixed.text);
        for key in [&app.sk_live] {
            for (name, value) in [("payment_intent", &paid), ("charge", &charge)] {
                let live = app.as_key(key, Method::POST, refunds, &[(name, value)], None).await;
                live.expect_error(400, "invalid_request_error", Some("resource_missing"));
            }
        }
        assert_same_rows(&before, &rows(&app).await, "refunds across payments and modes");
        app.post(refunds, &[("charge", &charge), ("amount", "600")]).await.expect(201);
        refused(&app, refunds, &[("payment_intent", &paid), ("amount", "1")], Some("charge_already_refunded")).await;
        app.assert_books().await;
    }

    async fn steps_cannot_be_skipped(db) {
        let app = TestApp::start(&db).await;
        let open = id(&app.post(PAY, &[("amount", "100"), ("currency", "eur")]).await.expect(201));
        refused(&app, &format!("{PAY}/{open}/confirm"), &[], STATE).await;
        refused(&app, &format!("{PAY}/{open}/capture"), &[], STATE).await;
        refused(&app, &format!("{PAY}/{open}/increment_authorization"), &[("amount", "200")], STATE).await;
        let helper = |payment: &str| format!("/v2/test_helpers/payment_intents/{payment}/authenticate");
        refused(&app, &helper(&open), &[], STATE).await;
        refused(&app, PAY, &[("amount", "100"), ("currency", "eur"), ("confirm", "true")], STATE).await;
        let waiting = app.pay(100, "pm_card_threeDSecure2Required", &[]).await.expect(201);
        refused(&app, &format!("{PAY}/{}/capture", id(&waiting)), &[], STATE).await;
        refused(&app, &helper(&id(&waiting)), &[("outcome", "approved")], Some("parameter_invalid_enum")).await;
        let canceled = id(&app.post(PAY, &[("amount", "100"), ("currency", "eur")]).await.expect(201));
        app.post(&format!("{PAY}/{canceled}/cancel"), &[]).await.expect(200);
        for step in ["confirm", "capture", "cancel"] {
            let form: &[(&str, &str)] = if step == "confirm" { &[("payment_method", "pm_card_visa")] } else { &[] };
            refused(&app, &format!("{PAY}/{canceled}/{step}"), form, STATE).await;
        }
        refused(&app, &format!("{PAY}/{canceled}"), &[("amount", "1")], STATE).await;
        app.assert_books().await;
    }

    async fn a_challenge_cannot_be_forged_or_answered_twice(db) {
        let app = TestApp::start(&db).await;
        let (a, b) = (app.pay(100, "pm_card_threeDSecure2Required", &[]).await.expect(201), app.pay(200, "pm_card_threeDSecure2Required", &[]).await.expect(201));
        let (page_a, page_b) = (page_of(&a), page_of(&b));
        let before = rows(&app).await;
        let (stem, code) = page_a.rsplit_once('/').expect("a code");
        let mut flipped: Vec<char> = code.chars().collect();
        flipped[5] = if flipped[5] == 'a' { 'b' } else { 'a' };
        let flipped: String = flipped.into_iter().collect();
        for forged in [flipped, "A".repeat(24), code[..23].to_owned(), format!("{code}x"), code.to_lowercase(), id(&a), String::new()] {
            let answer = app.page(answer_page(&format!("{stem}/{forged}"), "success")).await;
            assert!(matches!(answer.status.as_u16(), 404 | 410), "{forged}: {}", answer.status);
        }
        for outcome in ["", "approve", "SUCCESS", "success&outcome=fail"] {
            assert_eq!(app.page(answer_page(&page_a, outcome)).await.status.as_u16(), 400, "{outcome}");
        }
        let cross_site = Request::post(&page_a).header(FORM.0, FORM.1).header("sec-fetch-site", "cross-site").body(Body::from("outcome=success")).expect("a request");
        assert_eq!(app.page(cross_site).await.status.as_u16(), 403);
        assert_same_rows(&before, &rows(&app).await, "forged answers");
        assert_eq!(app.page(answer_page(&page_a, "fail")).await.status.as_u16(), 200);
        let after = rows(&app).await;
        for outcome in ["success", "fail", "abandon"] {
            let again = app.page(answer_page(&page_a, outcome)).await;
            assert_eq!(again.status.as_u16(), 200);
            assert!(!again.text.contains("Your bank confirmed"), "{}", again.text);
        }
        assert_same_rows(&after, &rows(&app).await, "a replayed answer");
        for (payment, status) in [(&a, "requires_payment_method"), (&b, "requires_action")] {
            assert_eq!(app.get(&format!("{PAY}/{}", id(payment))).await.expect(200)["status"], status);
        }
        // The page of an earlier try must not decide a later one.
        let again = app.post(&format!("{PAY}/{}/confirm", id(&b)), &[("payment_method", "pm_card_threeDSecure2Required")]).await.expect(200);
        assert_ne!(page_of(&again), page_b);
        assert_eq!(app.page(answer_page(&page_b, "success")).await.status.as_u16(), 410);
        assert_eq!(app.get(&format!("{PAY}/{}", id(&b))).await.expect(200)["status"], "requires_action");
        assert_eq!(app.page(answer_page(&page_of(&again), "success")).await.status.as_u16(), 200);
        assert_eq!(app.get(&format!("{PAY}/{}", id(&b))).await.expect(200)["status"], "succeeded");
        app.assert_books().await;
    }

    async fn fees_of_small_payments_add_up(db) {
        let app = TestApp::start(&db).await;
        let amounts: Vec<i64> = (0..320).map(|n| [1, 1, 1, 17, 33, 100, 862, 863][n % 8]).collect();
        for some in amounts.chunks(40) {
            let paid = join_all(some.iter().map(|amount| {
                let (app, amount) = (app.clone(), *amount);
                async move { app.pay(amount, "pm_card_visa", &[]).await.expect(201) }
            })).await;
            assert!(paid.iter().all(|p| p["status"] == "succeeded"));
        }
        let expected: i64 = amounts.iter().map(|a| a - fee(*a)).sum();
        assert_eq!(app.get("/v2/balance").await.expect(200)["pending"], json!([{"amount": expected, "currency": "eur"}]));
        let one = app.get("/v2/balance/history?limit=100&type=payment").await.expect(200);
        for entry in crate::support::data(&one) {
            let amount = entry["amount"].as_i64().expect("an amount");
            assert_eq!(entry["fee"], fee(amount), "{amount}");
        }
        app.assert_books().await;
    }

    async fn a_refund_in_slices_is_a_refund(db) {
        let app = TestApp::start(&db).await;
        let paid = id(&app.pay(150, "pm_card_visa", &[]).await.expect(201));
        for _ in 0..150 {
            app.post("/v2/refunds", &[("payment_intent", &paid), ("amount", "1")]).await.expect(201);
        }
        refused(&app, "/v2/refunds", &[("payment_intent", &paid), ("amount", "1")], Some("charge_already_refunded")).await;
        let whole = app.get(&format!("{PAY}/{paid}?expand[]=latest_charge")).await.expect(200);
        assert_eq!((&whole["latest_charge"]["amount_refunded"], &whole["latest_charge"]["refunded"]), (&json!(150), &json!(true)));
        let balance = app.get("/v2/balance").await.expect(200);
        let total = balance["available"][0]["amount"].as_i64().expect("an amount") + balance["pending"][0]["amount"].as_i64().expect("an amount");
        assert_eq!(total, -fee(150));
        app.assert_books().await;
    }

    async fn only_test_numbers_pay_in_test_mode(db) {
        let app = TestApp::start(&db).await;
        let numbers = ["4539148803436467", "5425233430109903", "374245455400126", "6011000991300009", "4917 6100 0000 0000"];
        for number in numbers {
            let typed = |root: &str| -> Vec<(String, String)> {
                [("number", number), ("exp_month", "12"), ("exp_year", "34"), ("cvc", "")].iter().map(|(n, v)| (format!("{root}[{n}]"), (*v).to_owned())).collect()
            };
            for (path, root, base) in [
                ("/v2/payment_methods", "card", &[("type", "card")][..]),
                (PAY, "payment_method_data[card]", &[("amount", "100"), ("currency", "eur"), ("confirm", "true"), ("payment_method_data[type]", "card")]),
            ] {
                let typed = typed(root);
                let form: Vec<(&str, &str)> = base.iter().copied().chain(typed.iter().map(|(n, v)| (n.as_str(), v.as_str()))).collect();
                let body = form_body(&form).into_bytes();
                assert_refused(&app, [Refused { method: "POST", path, headers: &[FORM], body: body.clone(), status: &[402], param: None }]).await;
                let refused = send(&app, "POST", path, &[FORM], body).await;
                assert!(!refused.text.contains(number), "{}", refused.text);
                assert_eq!(refused.json["error"]["code"], "card_declined", "{}", refused.text);
            }
        }
    }

    async fn live_mode_has_no_test_routes_and_no_test_cards(db) {
        let app = TestApp::start(&db).await;
        let clock = id(&app.post("/v2/test_helpers/test_clocks", &[("frozen_time", "1790000000")]).await.expect(201));
        let before = rows(&app).await;
        let live = async |method: Method, path: &str, form: &[(&str, &str)]| app.as_key(&app.sk_live, method, path, form, None).await;
        let clocks = "/v2/test_helpers/test_clocks";
        for (method, path, form) in [
            (Method::POST, clocks.to_owned(), &[("frozen_time", "1790000000")][..]),
            (Method::GET, clocks.to_owned(), &[]),
            (Method::GET, format!("{clocks}/{clock}"), &[]),
            (Method::POST, format!("{clocks}/{clock}/advance"), &[("frozen_time", "1790000060")]),
            (Method::DELETE, format!("{clocks}/{clock}"), &[]),
            (Method::POST, "/v2/test_helpers/payment_intents/pi_00000000000000000/authenticate".to_owned(), &[]),
        ] {
            live(method, &path, form).await.expect_error(404, "invalid_request_error", Some("resource_missing"));
        }
        for method in ["pm_card_visa", "pm_sepa_debit_success"] {
            let form = [("amount", "100"), ("currency", "eur"), ("payment_method", method), ("confirm", "true")];
            let answer = live(Method::POST, PAY, &form).await;
            assert_eq!(answer.status.as_u16(), 400, "{}", answer.text);
        }
        let number = [("type", "card"), ("card[number]", "4242424242424242"), ("card[exp_month]", "12"), ("card[exp_year]", "34")];
        assert_eq!(live(Method::POST, "/v2/payment_methods", &number).await.status.as_u16(), 400);
        assert_same_rows(&before, &rows(&app).await, "live mode");
    }
}
