//! Payments that reach the merchant without us: written down, told to shops, given back; never owed, never paid out.

use crate::support::{CHALLENGED, DECLINED, VISA, figure, refused, rows};
use domain::id::{AttemptId, Core, MerchantId, TypedId};
use domain::merchant::KeyKind;
use domain::scope::{Mode, Scope};
use http::Method;
use serde_json::{Value, json};
use testkit::TestApp;
use testkit::office::{Office, text};

/// Balance transactions, and the accounts that stand for money.
const BALANCES: &str = "SELECT (SELECT COUNT(*) FROM balance_transactions) \
    + (SELECT COUNT(*) FROM ledger_accounts WHERE kind NOT IN ('memo_off_platform', 'memo_off_platform_contra'))";
const HELD: &str = "SELECT CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) FROM entries e JOIN ledger_accounts a \
    ON a.id = e.account WHERE a.kind = 'memo_off_platform'";
const NOTICES: &str = "SELECT COUNT(*) FROM deliveries WHERE kind = 'ipn'";

fn order(office: &Office) -> Value {
    json!({ "siteId": office.site, "amount": 4900, "currency": "EUR", "externalReference": "order_7" })
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

testkit::on_both_engines! {
    async fn money_that_came_another_way_is_recorded_refunded_and_never_paid_out(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let body = json!({
            "siteId": office.site, "amount": 4900, "currency": "EUR", "externalReference": "order_7", "invoiceNumber": "2026-7",
            "email": "jo@example.com", "method": "cash", "reference": "receipt 12", "paidAt": "2026-01-31", "description": "Two mugs",
        });
        let made = office.post_once("once", "/transactions/manual", &body).await.expect(201);
        assert_eq!((&made["statusCode"], &made["providerId"], &made["checkoutId"]), (&json!(1), &Value::Null, &Value::Null));
        assert_eq!(made["description"], "Two mugs");
        assert_eq!(made["paymentMethod"], json!({ "type": "off_platform", "kind": "cash", "reference": "receipt 12", "paidAt": "2026-01-31T00:00:00.000000Z" }));
        assert_eq!(office.post_once("once", "/transactions/manual", &body).await.expect(201), made);
        for (query, count) in [("externalReference=order_7", 1), ("invoiceNumber=2026-7", 1), ("invoiceNumber=2026-8", 0), ("externalReference=order_7&invoiceNumber=2026-8", 0)] {
            assert_eq!(rows(office.get(&format!("/transactions?{query}")).await, "transactions").len(), count, "{query}");
        }
        let client = office.get(&format!("/clients/{}", text(&made["clientId"]))).await.expect(200);
        assert_eq!(client["lifetimeValue"], json!([{ "currency": "EUR", "amount": 4900 }]));
        let path = format!("/transactions/{}", text(&made["id"]));
        let part = office.post(&format!("{path}/refund"), &json!({ "amount": 900 })).await.expect(200);
        assert_eq!((&part["statusCode"], &part["refundedAmount"], &part["refunds"][0]["status"]), (&json!(1), &json!(900), &json!("succeeded")));
        assert_eq!(figure(&app, HELD).await, 4000);
        refused(office.post(&format!("{path}/refund"), &json!({ "amount": 4001 })).await, 422, "amount_too_large");
        refused(office.post(&format!("{path}/refund"), &json!({ "amount": 1, "currency": "USD" })).await, 422, "currency_mismatch");
        let rest = office.post(&format!("{path}/refund"), &json!({})).await.expect(200);
        assert_eq!(rest["statusCode"], 3);
        refused(office.post(&format!("{path}/refund"), &json!({})).await, 409, "already_refunded");
        refused(office.post(&format!("{path}/mark-paid"), &json!({})).await, 409, "transaction_ended");
        let timeline = office.get(&path).await.expect(200);
        let journals: Vec<_> = timeline["timeline"].as_array().expect("rows").iter().filter(|row| row["type"] == "journal").map(|row| text(&row["name"])).collect();
        assert_eq!(journals, ["off_platform_received", "off_platform_returned", "off_platform_returned"]);
        assert_eq!((figure(&app, BALANCES).await, figure(&app, HELD).await), (0, 0));
        let today = domain::date::Date::of_instant(engine::wall_clock()).days();
        let [from, to] = [today - 1, today + 1].map(|day| domain::date::Date::from_days(day).to_string());
        let export = office.post("/data-import-export/export", &json!({ "entityType": "transactions", "from": from, "to": to })).await;
        assert!(export.text.contains(",off_platform,") && export.text.contains(",cash,receipt 12,2026-01-31T00:00:00.000000Z") && !export.text.contains("Off the platform"), "{}", export.text);
        app.assert_books().await;
    }

    async fn rest_v2_shows_it_without_a_balance_and_refunds_it(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let made = office.post("/transactions/manual", &order(&office)).await.expect(201);
        let merchant = MerchantId::from_core(Core::parse_hex(&office.organization).expect("an id"));
        let scope = Scope { merchant, mode: Mode::Test };
        let (_, key) = app.engine.create_key(scope, KeyKind::Secret, String::new()).await.expect("a key");
        let ask = async |method: Method, path: &str, form: &[(&str, &str)], status: u16| app.as_key(&key, method, path, form, None).await.expect(status);
        let charge = AttemptId::from_core(Core::parse_hex(&text(&made["id"])).expect("an id"));
        let charge = ask(Method::GET, &format!("/v2/charges/{charge}"), &[], 200).await;
        assert_eq!((&charge["paid"], &charge["balance_transaction"], &charge["outcome"]), (&json!(true), &Value::Null, &Value::Null));
        assert_eq!(charge["payment_method_details"]["off_platform"]["kind"], "bank_transfer");
        let intent = ask(Method::GET, &format!("/v2/payment_intents/{}", text(&charge["payment_intent"])), &[], 200).await;
        assert_eq!((&intent["status"], &intent["amount_received"]), (&json!("succeeded"), &json!(4900)));
        let refund = ask(Method::POST, "/v2/refunds", &[("charge", &text(&charge["id"])), ("amount", "900"), ("expand[]", "balance_transaction")], 201).await;
        assert_eq!((&refund["status"], &refund["balance_transaction"]), (&json!("succeeded"), &Value::Null));
        let history = ask(Method::GET, "/v2/balance_transactions", &[], 200).await;
        assert_eq!(history["data"], json!([]));
        let awaited = office.post("/transactions/manual", &with(order(&office), "status", json!("pending_provider"))).await.expect(201);
        let charge = AttemptId::from_core(Core::parse_hex(&text(&awaited["id"])).expect("an id"));
        let charge = ask(Method::GET, &format!("/v2/charges/{charge}"), &[], 200).await;
        let path = format!("/v2/payment_intents/{}", text(&charge["payment_intent"]));
        assert_eq!(ask(Method::POST, &format!("{path}/cancel"), &[], 200).await["status"], "canceled");
        assert_eq!(office.get(&format!("/transactions/{}", text(&awaited["id"]))).await.expect(200)["statusCode"], -2);
        app.assert_books().await;
    }

    async fn awaited_money_comes_once(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let made = office.post("/transactions/manual", &with(order(&office), "status", json!("pending_provider"))).await.expect(201);
        assert_eq!((&made["statusCode"], &made["paymentMethod"]["paidAt"]), (&json!(0), &Value::Null));
        let path = format!("/transactions/{}", text(&made["id"]));
        refused(office.post(&format!("{path}/refund"), &json!({})).await, 409, "transaction_not_paid");
        refused(office.post(&format!("{path}/mark-paid"), &json!({ "paidAt": "2999-01-01" })).await, 422, "instant_in_future");
        refused(office.post(&format!("{path}/mark-paid"), &json!({ "amount": 4899 })).await, 422, "amount_mismatch");
        let mut tries = tokio::task::JoinSet::new();
        for n in 0..10 {
            let (office, path) = (office.clone(), format!("{path}/mark-paid"));
            tries.spawn(async move { office.post(&path, &json!({ "reference": format!("line {n}") })).await.status.as_u16() });
        }
        let mut done = tries.join_all().await;
        done.sort_unstable();
        assert_eq!((done[0], &done[1..]), (200, &[409; 9][..]));
        let paid = office.get(&path).await.expect(200);
        assert_eq!((&paid["statusCode"], &paid["capturedAmount"], &paid["fee"]), (&json!(1), &json!(4900), &json!(0)));
        assert!(text(&paid["paymentMethod"]["reference"]).starts_with("line ") && paid["paymentMethod"]["paidAt"].is_string());
        assert_eq!((figure(&app, BALANCES).await, figure(&app, HELD).await), (0, 4900));
        // REST v2 knows the method by the same words.
        let same = "SELECT COUNT(*) FROM payment_methods m JOIN attempts a ON a.payment_method = m.id AND a.method = m.facts WHERE a.status = 'captured'";
        assert_eq!(figure(&app, same).await, 1);
        let never = office.post("/transactions/manual", &with(order(&office), "status", json!("pending_provider"))).await.expect(201);
        let never = format!("/transactions/{}", text(&never["id"]));
        assert_eq!(office.post(&format!("{never}/cancel"), &json!({})).await.expect(200)["statusCode"], -2);
        refused(office.post(&format!("{never}/mark-paid"), &json!({})).await, 409, "transaction_ended");
        refused(office.post(&format!("{never}/cancel"), &json!({})).await, 409, "transaction_ended");
        let checkout = office.checkout(&json!({})).await.expect(200);
        let by_card = text(&office.pay(&checkout, CHALLENGED).await.expect(200)["id"]);
        refused(office.post(&format!("/transactions/{by_card}/mark-paid"), &json!({})).await, 409, "transaction_not_manual");
        app.assert_books().await;
    }

    async fn a_checkout_paid_another_way_is_closed_and_its_shop_told(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let checkout = office.checkout(&json!({ "ipnUrl": "https://shop.example/ipn" })).await.expect(200);
        let of = json!({ "checkoutId": checkout["id"] });
        // The payer is on the bank's page: that try is given up.
        let left = text(&office.pay(&checkout, CHALLENGED).await.expect(200)["id"]);
        refused(office.post("/transactions/manual", &with(of.clone(), "amount", json!(4901))).await, 422, "amount_mismatch");
        refused(office.post("/transactions/manual", &with(of.clone(), "currency", json!("USD"))).await, 422, "currency_mismatch");
        refused(office.post("/transactions/manual", &with(of.clone(), "email", json!("jo@example.com"))).await, 400, "field_conflict");
        let awaited = office.post("/transactions/manual", &with(of.clone(), "status", json!("pending_provider"))).await.expect(201);
        assert_eq!((&awaited["checkoutId"], &awaited["statusCode"]), (&checkout["id"], &json!(0)));
        assert_eq!(office.get(&format!("/transactions/{left}")).await.expect(200)["statusCode"], -2);
        refused(office.post("/transactions/manual", &of).await, 409, "checkout_not_open");
        let code = text(&checkout["sessionPublicId"]);
        let page = app.page(http::Request::get(format!("/checkout/{code}")).body(axum::body::Body::empty()).expect("a request")).await;
        assert!(page.text.contains("will confirm it when the money has arrived") && !page.text.contains("name=\"number\""), "{}", page.text);
        let paid = office.post(&format!("/transactions/{}/mark-paid", text(&awaited["id"])), &json!({})).await.expect(200);
        assert_eq!(paid["statusCode"], 1);
        assert_eq!(office.get(&format!("/checkouts/{}", text(&checkout["id"]))).await.expect(200)["status"], "completed");
        // Of the try that was given up, of the wait, and of its end.
        assert_eq!(figure(&app, NOTICES).await, 3);
        refused(office.post("/transactions/manual", &of).await, 409, "checkout_not_open");
        // A payer who comes late is told that it is paid.
        let late = office.pay(&checkout, VISA).await.expect(200);
        assert_eq!((&late["id"], &late["statusCode"]), (&awaited["id"], &json!(1)));
        assert_eq!(figure(&app, HELD).await, 4900);
        app.run_due().await;
        app.assert_books().await;
    }

    async fn rubbish_is_refused_and_changes_nothing(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let stranger = office.another("Stranger").await;
        let foreign = text(&stranger.checkout(&json!({})).await.expect(200)["id"]);
        let before = figure(&app, "SELECT COUNT(*) FROM payments").await;
        for (body, status, code) in [
            (json!({}), 400, "parameter_missing"),
            (json!({ "siteId": office.site }), 400, "reference_missing"),
            (with(order(&office), "siteId", json!(stranger.site)), 404, "not_found"),
            (with(order(&office), "clientId", json!("0".repeat(24))), 404, "not_found"),
            (json!({ "checkoutId": foreign }), 404, "not_found"),
            (json!({ "checkoutId": "x" }), 400, "id_invalid"),
            (with(order(&office), "amount", json!(0)), 422, "amount_out_of_range"),
            (with(order(&office), "amount", json!(1.5)), 400, "parameter_invalid_integer"),
            (with(order(&office), "currency", json!("XXX")), 422, "currency_invalid"),
            (with(order(&office), "method", json!("barter")), 400, "parameter_invalid_enum"),
            (with(order(&office), "status", json!("failed")), 400, "parameter_invalid_enum"),
            (with(order(&office), "paidAt", json!("2999-01-01")), 422, "instant_in_future"),
            (with(order(&office), "paidAt", json!("0001-01-01")), 422, "instant_too_old"),
            (with(with(order(&office), "paidAt", json!("2026-01-01")), "status", json!("pending_provider")), 400, "field_conflict"),
            (with(order(&office), "reference", json!("x".repeat(201))), 400, "parameter_invalid_string"),
        ] {
            let answer = office.post("/transactions/manual", &body).await;
            assert_eq!((answer.status.as_u16(), answer.json["code"].as_str()), (status, Some(code)), "{body}: {}", answer.text);
        }
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM payments").await, before);
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM journals").await, 0);
    }

    async fn only_what_took_no_money_leaves_the_lists(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let pay = async |number: &str| {
            let checkout = office.checkout(&json!({})).await.expect(200);
            (text(&office.pay(&checkout, number).await.expect(200)["id"]), text(&checkout["id"]))
        };
        let (paid, _) = pay(VISA).await;
        let (waiting, _) = pay(CHALLENGED).await;
        let (declined, checkout) = pay(DECLINED).await;
        for id in [&paid, &waiting] {
            refused(office.delete(&format!("/transactions/{id}")).await, 409, "transaction_kept");
        }
        office.post(&format!("/transactions/{waiting}/cancel"), &json!({})).await.expect(200);
        for id in [&declined, &waiting] {
            let path = format!("/transactions/{id}");
            office.delete(&path).await.expect(200);
            refused(office.get(&path).await, 404, "not_found");
            refused(office.delete(&path).await, 404, "not_found");
            refused(office.post(&format!("{path}/cancel"), &json!({})).await, 404, "not_found");
        }
        let left = rows(office.get("/transactions").await, "transactions");
        assert_eq!(left.iter().map(|t| text(&t["id"])).collect::<Vec<_>>(), [paid]);
        let checkout = office.get(&format!("/checkouts/{checkout}")).await.expect(200);
        assert_eq!((&checkout["status"], &checkout["transactionIds"]), (&json!("open"), &json!([])));
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM attempts").await, 3);
        app.assert_books().await;
    }
}
