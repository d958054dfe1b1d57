//! Checkouts: lists, notes, ends, and the payer's side.

use crate::support::{CHALLENGED, DECLINED, VISA, figure, refused, rows};
use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::{Value, json};
use testkit::TestApp;
use testkit::office::{Office, text};

testkit::on_both_engines! {
    async fn lists_find_what_was_made_by_any_surface(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        for n in 0..3 {
            office.checkout(&json!({ "externalReference": format!("order-{n}"), "email": "jo@example.com" })).await.expect(200);
        }
        let page = office.get("/checkouts?page=2&limit=2").await.expect(200);
        assert_eq!((&page["total"], &page["page"], &page["limit"]), (&json!(3), &json!(2), &json!(2)));
        assert_eq!(page["checkouts"][0]["externalReference"], "order-0", "newest first");
        let found = rows(office.get("/checkouts?externalReference=order-1&status=open").await, "checkouts");
        assert_eq!(found.len(), 1);
        office.pay(&found[0], VISA).await.expect(200);
        let id = text(&found[0]["id"]);
        let seen = office.get(&format!("/checkouts/{id}")).await.expect(200);
        assert_eq!((&seen["status"], seen["transactionIds"].as_array().map(Vec::len)), (&json!("completed"), Some(1)));
        assert_eq!(rows(office.get("/checkouts?status=completed").await, "checkouts").len(), 1);
        assert_eq!(rows(office.get("/checkouts?status=open").await, "checkouts").len(), 2);
        let client = text(&seen["clientId"]);
        assert_eq!(rows(office.get(&format!("/checkouts?clientId={client}")).await, "checkouts").len(), 3, "one e-mail address, one client");
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM customers").await, 1);
        // A Gate purchase of the merchant's is a checkout too.
        let gate = testkit::gate::Shop::open(&app).await;
        gate.create(testkit::gate::PURCHASE, &gate.purchase("order-9", "10.00")).await;
        let own = app.merchant.0.hex();
        let key = office.key_of(&own, "test").await;
        let listed = rows(office.as_key(&key, Method::GET, "/checkouts", None).await, "checkouts");
        assert_eq!(listed.len(), 1);
        assert!(text(&listed[0]["paymentUrl"]).contains("/payment/"), "{}", listed[0]);
        assert_eq!(listed[0]["externalReference"], "order-9");
    }

    async fn an_open_one_can_be_noted_and_closed(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let checkout = office.checkout(&json!({ "metadata": { "a": "1", "b": "2" } })).await.expect(200);
        let path = format!("/checkouts/{}", text(&checkout["id"]));
        let changed = office.patch(&path, &json!({ "metadata": { "a": "", "c": "3" }, "amount": 1, "status": "completed" })).await.expect(200);
        assert_eq!(changed["metadata"], json!({ "b": "2", "c": "3" }));
        assert_eq!((&changed["amount"], &changed["status"]), (&json!(4900), &json!("open")), "nothing else can be set");
        let closed = office.post(&format!("{path}/expire"), &json!({})).await.expect(200);
        assert_eq!(closed["status"], "expired");
        refused(office.post(&format!("{path}/expire"), &json!({})).await, 409, "checkout_not_open");
        refused(office.pay(&checkout, VISA).await, 409, "checkout_not_open");
        let paid = office.checkout(&json!({})).await.expect(200);
        office.pay(&paid, VISA).await.expect(200);
        refused(office.post(&format!("/checkouts/{}/expire", text(&paid["id"])), &json!({})).await, 409, "checkout_not_open");
    }

    async fn a_payer_may_fail_prove_and_give_up(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let checkout = office.checkout(&json!({ "returnUrl": "https://shop.example/s?t={transactionId}", "cancelUrl": "https://shop.example/c" })).await.expect(200);
        let declined = office.pay(&checkout, DECLINED).await.expect(200);
        assert_eq!((&declined["status"], &declined["statusCode"], &declined["payable"]), (&json!("failed"), &json!(2), &json!(true)));
        let waiting = office.pay(&checkout, CHALLENGED).await.expect(200);
        assert_eq!((&waiting["status"], &waiting["statusCode"]), (&json!("initiated"), &json!(-1)));
        assert!(text(&waiting["redirectUrl"]).starts_with("http://public.test/3ds/"), "{waiting}");
        let id = text(&waiting["id"]);
        let session = text(&checkout["sessionPublicId"]);
        let ask = async |method: Method, path: &str, session: &str| {
            let (path, body) = match method {
                Method::GET => (format!("{path}?sessionPublicId={session}"), None),
                _ => (path.to_owned(), Some(json!({ "sessionPublicId": session }))),
            };
            office.browser(method, &path, body.as_ref()).await
        };
        let marked = ask(Method::POST, &format!("/transactions/{id}/mark-pending"), &session).await.expect(200);
        assert_eq!((&marked["status"], &marked["statusCode"]), (&json!("pending_provider"), &json!(0)));
        let seen = ask(Method::GET, &format!("/transactions/{id}/status"), &session).await.expect(200);
        assert_eq!(seen["statusCode"], 0);
        // Another checkout's payer knows nothing of it.
        let other = text(&office.checkout(&json!({})).await.expect(200)["sessionPublicId"]);
        for (method, what) in [(Method::GET, "status"), (Method::POST, "cancel"), (Method::POST, "mark-pending")] {
            refused(ask(method.clone(), &format!("/transactions/{id}/{what}"), &other).await, 404, "not_found");
            refused(ask(method.clone(), &format!("/transactions/{id}/{what}"), "guess").await, 404, "not_found");
            let unnamed = office.browser(method, &format!("/transactions/{id}/{what}"), None).await;
            refused(unnamed, 400, "parameter_missing");
        }
        let given_up = ask(Method::POST, &format!("/transactions/{id}/cancel"), &session).await.expect(200);
        assert_eq!((&given_up["status"], &given_up["statusCode"]), (&json!("cancelled"), &json!(-2)));
        refused(ask(Method::POST, &format!("/transactions/{id}/mark-pending"), &session).await, 409, "transaction_not_waiting");
        let ended = office.get(&format!("/checkouts/{}", text(&checkout["id"]))).await.expect(200);
        assert_eq!((&ended["status"], ended["transactionIds"].as_array().map(Vec::len)), (&json!("cancelled"), Some(2)));
        app.assert_books().await;
    }

    async fn one_attempt_key_pays_once(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let checkout = office.checkout(&json!({})).await.expect(200);
        let card = json!({ "number": DECLINED, "expMonth": 12, "expYear": 2034, "cvc": "123" });
        let body = json!({ "sessionPublicId": checkout["sessionPublicId"], "attemptKey": "try-1", "paymentMethod": { "type": "card", "card": card } });
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (office, body) = (office.clone(), body.clone());
            tries.spawn(async move { office.browser(Method::POST, "/transactions/create", Some(&body)).await });
        }
        for answer in tries.join_all().await {
            // One that came while the first was at the provider shows it as it is, or that there is none yet.
            assert!(matches!(answer.status.as_u16(), 200 | 409), "{}", answer.text);
        }
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM attempts").await, 1);
    }

    async fn the_page_of_a_checkout_is_its_shops(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let checkout = office.checkout(&json!({ "items": [{ "name": "<b>Mug</b> & <script>x</script>", "quantity": 1, "unitPrice": 4900 }] })).await.expect(200);
        let code = text(&checkout["shortCode"]);
        let page = app.page(Request::get(format!("/checkout/{code}")).body(Body::empty()).expect("a request")).await;
        assert_eq!(page.status.as_u16(), 200);
        assert!(page.text.contains("&#60;b&#62;Mug&#60;/b&#62; &#38; &#60;script&#62;x&#60;/script&#62;") || page.text.contains("&lt;b&gt;Mug&lt;/b&gt; &amp; &lt;script&gt;"), "{}", page.text);
        assert!(page.text.contains(&format!("action=\"/checkout/{code}\"")), "{}", page.text);
        assert!(page.header("content-security-policy").is_some_and(|csp| csp.contains("default-src 'none'")));
        let missing = app.page(Request::get("/checkout/AAAAAAAAAAAAAAAAAAAAAA").body(Body::empty()).expect("a request")).await;
        assert_eq!(missing.status.as_u16(), 404);
    }

    async fn only_the_shops_own_pages_may_read(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        office.put(&format!("/sites/{}", office.site), &json!({ "url": "https://shop.example/start" })).await.expect(200);
        let checkout = office.checkout(&json!({})).await.expect(200);
        let path = format!("/api/v1/checkouts/{}", text(&checkout["shortCode"]));
        for (origin, allowed) in [("https://shop.example", true), ("https://evil.example", false), ("http://shop.example", false), ("null", false)] {
            let request = Request::get(&path).header(header::ORIGIN, origin).body(Body::empty()).expect("a request");
            let answer = app.page(request).await;
            assert_eq!(answer.header("access-control-allow-origin"), allowed.then_some(origin));
            let asked = Request::builder().method(Method::OPTIONS).uri(&path).header(header::ORIGIN, origin);
            let answer = app.page(asked.body(Body::empty()).expect("a request")).await;
            assert_eq!(answer.status.as_u16(), 204);
            assert_eq!(answer.header("access-control-allow-methods").is_some(), allowed, "{origin}");
        }
    }

    async fn expiry_comes_by_itself(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let checkout = office.checkout(&json!({ "expiresIn": 60 })).await.expect(200);
        let due = move |tx: &mut store::Tx<'_>| tx.execute("UPDATE checkouts SET expires_at = 1", &[]);
        app.store.write::<_, store::StoreError, _>(due).await.expect("made due");
        app.run_due().await;
        let seen = office.get(&format!("/checkouts/{}", text(&checkout["id"]))).await.expect(200);
        assert_eq!((&seen["status"], &seen["transactionIds"]), (&json!("expired"), &json!([] as [Value; 0])));
    }
}
