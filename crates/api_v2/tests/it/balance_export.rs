//! The history of the balance as a table: it adds up, cell by cell and in all.

use crate::bank_accounts;
use crate::support::{data, id};
use serde_json::Value;
use std::collections::BTreeMap;
use testkit::{Answer, TestApp};

const PATH: &str = "/v2/balance/history/export";

/// The rows of a table, each by the names of its columns.
fn table(answer: &Answer) -> Vec<BTreeMap<String, String>> {
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    assert_eq!(answer.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"balance_history.csv\""));
    let mut lines = answer.text.lines();
    let names: Vec<&str> = lines.next().expect("a header").split(',').collect();
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!(cells.len(), names.len(), "{line}");
            names.iter().map(|n| (*n).to_owned()).zip(cells.into_iter().map(str::to_owned)).collect()
        })
        .collect()
}

fn sums(rows: &[BTreeMap<String, String>]) -> BTreeMap<(String, String), i64> {
    let mut sums = BTreeMap::new();
    for row in rows {
        let net: i64 = row["net"].parse().expect("a number");
        *sums.entry((row["currency"].clone(), row["status"].clone())).or_default() += net;
    }
    sums
}

/// What the balance says, by currency and state; without what is zero.
async fn balances(app: &TestApp) -> BTreeMap<(String, String), i64> {
    let shown = app.get("/v2/balance").await.expect(200);
    let mut sums = BTreeMap::new();
    for state in ["available", "pending"] {
        for entry in shown[state].as_array().expect("a list") {
            let currency = entry["currency"].as_str().expect("a currency").to_owned();
            sums.insert((currency, state.to_owned()), entry["amount"].as_i64().expect("an amount"));
        }
    }
    sums.retain(|_, amount| *amount != 0);
    sums
}

testkit::on_both_engines! {
    async fn the_table_adds_up_to_the_balance(db) {
        let app = bank_accounts::funded(&db).await;
        for n in 0..30 {
            let currency = ["eur", "usd", "jpy"][n % 3];
            let amount = (1_000 + n * 37).to_string();
            let method = if n % 2 == 0 { "pm_card_visa" } else { "pm_card_bypassPending" };
            let form = [("amount", amount.as_str()), ("currency", currency), ("payment_method", method), ("confirm", "true")];
            let paid = app.post("/v2/payment_intents", &form).await.expect(201);
            if n % 5 == 0 {
                app.post("/v2/refunds", &[("payment_intent", &id(&paid)), ("amount", "100")]).await.expect(201);
            }
        }
        app.post("/v2/payouts", &[("amount", "700"), ("currency", "eur")]).await.expect(201);
        let whole = table(&app.get(PATH).await);
        let mut added = sums(&whole);
        added.retain(|_, amount| *amount != 0);
        assert_eq!(added, balances(&app).await);
        // Each row is the one that the list has, oldest first.
        let listed = app.get("/v2/balance/history?limit=100").await.expect(200);
        let listed: Vec<&Value> = data(&listed).iter().rev().collect();
        assert_eq!(whole.len(), listed.len());
        for (row, shown) in whole.iter().zip(&listed) {
            for (name, value) in [("amount", "amount"), ("fee", "fee"), ("net", "net")] {
                assert_eq!(row[name], shown[value].to_string(), "{row:?}");
            }
            for name in ["id", "type", "source", "currency", "status"] {
                assert_eq!(Some(row[name].as_str()), shown[name].as_str(), "{row:?}");
            }
        }
        let payout = whole.last().expect("a row");
        assert_eq!((payout["type"].as_str(), payout["amount_decimal"].as_str()), ("payout", "-7.00"), "a number, not a text");
        let yen = whole.iter().find(|row| row["currency"] == "jpy").expect("a row");
        assert_eq!(yen["amount"], yen["amount_decimal"]);

        let euros = table(&app.get(&format!("{PATH}?currency=eur")).await);
        assert_eq!(euros.len(), whole.iter().filter(|row| row["currency"] == "eur").count());
        let later = app.engine.now().secs() + 1_000;
        assert!(table(&app.get(&format!("{PATH}?created[gte]={later}")).await).is_empty());
        assert_eq!(table(&app.get(&format!("{PATH}?created[lte]={later}")).await).len(), whole.len());
        for wrong in ["?currency=xyz", "?limit=5", "?created[gte]=soon"] {
            app.get(&format!("{PATH}{wrong}")).await.expect(400);
        }
        assert!(table(&app.another_merchant().await.get(PATH).await).is_empty());
    }

    async fn more_rows_than_a_page_are_all_there_once(db) {
        let app = TestApp::start(&db).await;
        for _ in 0..4 {
            crate::support::join_all((0..130).map(|_| {
                let app = app.clone();
                async move { app.pay(1_000, "pm_card_visa", &[]).await.expect(201) }
            })).await;
        }
        let whole = table(&app.get(PATH).await);
        let ids: std::collections::BTreeSet<&str> = whole.iter().map(|row| row["id"].as_str()).collect();
        assert_eq!((whole.len(), ids.len()), (520, 520));
        assert_eq!(sums(&whole), balances(&app).await);
    }
}
