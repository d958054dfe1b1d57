//! The challenge as a payer's browser sees it, over the whole application.

use axum::body::Body;
use axum::http::Request;
use testkit::{Answer, TestApp};

const RETURN_URL: &str = "https://shop.example/thanks?order=7";

/// A payment that waits for its challenge: its id, client secret, and the path of the page.
async fn challenged(app: &TestApp, method: &str) -> (String, String, String) {
    let payment = app.pay(4_900, method, &[("return_url", RETURN_URL)]).await.expect(201);
    assert_eq!(payment["status"], "requires_action", "{payment}");
    let url = payment["next_action"]["redirect_to_url"]["url"].as_str().expect("a challenge");
    let path = url.strip_prefix(&app.urls.public).expect("on the public listener").to_owned();
    let text = |name: &str| payment[name].as_str().expect("a text").to_owned();
    (text("id"), text("client_secret"), path)
}

async fn open(app: &TestApp, path: &str) -> Answer {
    app.page(Request::get(path).body(Body::empty()).expect("a request")).await
}

async fn answer(app: &TestApp, path: &str, site: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    if let Some(site) = site {
        request = request.header("sec-fetch-site", site);
    }
    app.page(request.body(body.into()).expect("a request")).await
}

async fn status(app: &TestApp, payment: &str) -> String {
    let payment = app.get(&format!("/v2/payment_intents/{payment}")).await.expect(200);
    payment["status"].as_str().expect("a status").to_owned()
}

testkit::on_both_engines! {
    async fn a_passed_challenge_pays_and_leads_back(db) {
        let app = TestApp::start(&db).await;
        let (payment, secret, path) = challenged(&app, "pm_card_threeDSecure2Required").await;
        let page = open(&app, &path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert_eq!(page.header("cache-control"), Some("no-store"));
        for text in ["Test shop", "€49.00", "Visa", "3220", "No real money moves", "29 minutes"] {
            assert!(page.text.contains(text), "{text} is not on the page");
        }
        assert_eq!(status(&app, &payment).await, "requires_action", "opening the page decides nothing");

        let done = answer(&app, &path, Some("same-origin"), "outcome=success").await;
        assert_eq!(done.status, 200, "{}", done.text);
        assert!(done.text.contains("Your bank confirmed it is you"), "{}", done.text);
        let target = format!(
            "1; url={RETURN_URL}&payment_intent={payment}&payment_intent_client_secret={secret}\
             &redirect_status=succeeded"
        );
        assert_eq!(done.header("refresh"), Some(target.as_str()));
        assert_eq!(status(&app, &payment).await, "succeeded");

        for again in [open(&app, &path).await, answer(&app, &path, None, "outcome=fail").await] {
            // What came of the first answer, with the way back; the second one counts for nothing.
            assert_eq!(again.status, 200, "{}", again.text);
            assert_eq!(again.header("refresh"), Some(target.as_str()));
        }
        assert_eq!(status(&app, &payment).await, "succeeded", "one answer counts");
        app.assert_books().await;
    }

    async fn other_answers_say_what_happened(db) {
        let app = TestApp::start(&db).await;
        for (method, outcome, heading) in [
            ("pm_card_threeDSecure2Required", "fail", "Your bank could not confirm it is you"),
            ("pm_card_threeDSecure2Required", "abandon", "You left the confirmation"),
            ("pm_card_threeDSecureRequiredChargeDeclined", "success", "Your bank declined the payment"),
        ] {
            let (payment, _, path) = challenged(&app, method).await;
            let done = answer(&app, &path, None, format!("outcome={outcome}")).await;
            assert_eq!(done.status, 200, "{}", done.text);
            assert!(done.text.contains(heading), "{outcome}: {}", done.text);
            assert!(done.text.contains("You have not been charged."), "{outcome}");
            let refresh = done.header("refresh").expect("the way back");
            assert!(refresh.ends_with("&redirect_status=failed"), "{outcome}: {refresh}");
            assert_eq!(status(&app, &payment).await, "requires_payment_method", "{outcome}");
        }
    }

    async fn refused_answers_leave_the_challenge_open(db) {
        let app = TestApp::start(&db).await;
        let (payment, _, path) = challenged(&app, "pm_card_threeDSecure2Required").await;
        for (site, body, refused) in [
            (Some("cross-site"), "outcome=success".to_owned(), 403),
            (Some("same-site"), "outcome=success".to_owned(), 403),
            (None, String::new(), 400),
            (None, "outcome=maybe".to_owned(), 400),
            (None, "outcome=success&outcome=fail".to_owned(), 400),
            (None, format!("outcome=success&x={}", "a".repeat(2_000)), 400),
            (None, "a".repeat(100_000), 413),
        ] {
            let page = answer(&app, &path, site, body).await;
            assert_eq!(page.status, refused, "{}", page.text);
            let id = page.header("request-id").expect("an id");
            assert!(page.text.contains(id), "the page names the request");
            let policy = page.header("content-security-policy").expect("a policy");
            assert!(policy.starts_with("default-src 'none'"), "{policy}");
        }
        assert_eq!(status(&app, &payment).await, "requires_action");
        assert_eq!(answer(&app, &path, Some("same-origin"), "outcome=success").await.status, 200);
    }

    async fn unknown_addresses_get_a_page(db) {
        let app = TestApp::start(&db).await;
        for (path, expected) in [
            ("/3ds/abcdefghijklmnopqrst0123", 410),
            ("/3ds/short", 410),
            ("/3ds/abcdefghijklmnopqrst%00123", 410),
            ("/3ds/%F0%9F%92%B3", 410),
            ("/3ds/%ff", 410),
            ("/3ds/", 404),
            ("/", 404),
            ("/assets/none.css", 404),
            ("/assets/%ff", 404),
            ("/assets/..%2FCargo.toml", 404),
        ] {
            let page = open(&app, path).await;
            assert_eq!(page.status, expected, "{path}: {}", page.text);
            assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
        }
        let delete = Request::delete("/3ds/abcdefghijklmnopqrst0123").body(Body::empty()).expect("a request");
        let refused = app.page(delete).await;
        assert_eq!((refused.status.as_u16(), refused.header("allow")), (405, Some("GET,HEAD,POST")));
    }

    async fn style_sheet_of_a_page_is_served_and_revalidated(db) {
        let app = TestApp::start(&db).await;
        let page = open(&app, "/nothing").await;
        let (_, rest) = page.text.split_once("rel=\"stylesheet\" href=\"").expect("a style sheet");
        let (path, _) = rest.split_once('"').expect("its address");
        let sheet = open(&app, path).await;
        assert_eq!((sheet.status.as_u16(), sheet.header("content-type")), (200, Some("text/css; charset=utf-8")));
        assert!(sheet.header("cache-control").is_some_and(|c| c.contains("immutable")));
        let etag = sheet.header("etag").expect("an etag").to_owned();
        let again = Request::get(path).header("if-none-match", &etag).body(Body::empty()).expect("a request");
        let again = app.page(again).await;
        assert_eq!((again.status.as_u16(), again.header("etag"), &*again.text), (304, Some(&*etag), ""));
    }
}
