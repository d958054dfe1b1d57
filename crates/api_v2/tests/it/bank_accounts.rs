//! Bank accounts, and payouts to them over REST v2.

use crate::support::{Logs, assert_nowhere, assert_same_rows, data, id, join_all, rows};
use http::Method;
use serde_json::{Value, json};
use testkit::TestApp;

const PAYS: &str = "DE89 3704 0044 0532 0130 00";
const CLOSED: &str = "DE35370400440532013002";
const LATER: &str = "DE24370400440532013006";
const WAITS: &str = "DE67370400440532013008";
/// What is available after a payment of 100.00 less its fee of 3.15.
const FUNDS: i64 = 9_685;

async fn add(app: &TestApp, iban: &str, more: &[(&str, &str)]) -> Value {
    let mut form = vec![("iban", iban), ("currency", "eur"), ("account_holder_name", "Test GmbH")];
    form.extend_from_slice(more);
    app.post("/v2/bank_accounts", &form).await.expect(201)
}

pub async fn funded(db: &testkit::Db) -> TestApp {
    let app = TestApp::start(db).await;
    app.pay(10_000, "pm_card_bypassPending", &[]).await.expect(201);
    app
}

async fn available(app: &TestApp) -> i64 {
    app.get("/v2/balance").await.expect(200)["available"][0]["amount"].as_i64().expect("an amount")
}

/// Which accounts are the default of their currency, oldest first.
async fn defaults(app: &TestApp) -> Vec<bool> {
    let listed = app.get("/v2/bank_accounts?currency=eur").await.expect(200);
    data(&listed).iter().rev().map(|a| a["default_for_currency"] == true).collect()
}

testkit::on_both_engines! {
    async fn an_account_is_added_shown_changed_and_removed(db) {
        let logs = Logs::capture();
        let app = TestApp::start(&db).await;
        let form = [
            ("iban", "de24 3704 0044 0532 0130 06"), ("currency", "EUR"), ("account_holder_name", "Test GmbH"),
            ("account_holder_type", "company"), ("bank_name", "Testbank"), ("swift", "COBADEFFXXX"), ("metadata[a]", "b"),
        ];
        let made = app.post_once("add-1", "/v2/bank_accounts", &form).await.expect(201);
        let path = format!("/v2/bank_accounts/{}", id(&made));
        assert!(id(&made).starts_with("ba_"));
        assert_eq!(
            (&made["object"], &made["last4"], &made["country"], &made["currency"], &made["default_for_currency"]),
            (&json!("bank_account"), &json!("3006"), &json!("DE"), &json!("eur"), &json!(true))
        );
        assert_eq!(app.post_once("add-1", "/v2/bank_accounts", &form).await.expect(201), made);
        assert_eq!(app.get(&path).await.expect(200), made);
        // Once in each currency, however it is spelled.
        let again = [("account_number", "DE24370400440532013006"), ("currency", "eur"), ("account_holder_name", "T")];
        app.post("/v2/bank_accounts", &again).await
            .expect_error(400, "invalid_request_error", Some("bank_account_exists"));
        let dollars = [("account_number", "DE24370400440532013006"), ("currency", "usd"), ("account_holder_name", "T")];
        assert_eq!(app.post("/v2/bank_accounts", &dollars).await.expect(201)["fingerprint"], made["fingerprint"]);

        let second = add(&app, PAYS, &[]).await;
        assert_eq!(defaults(&app).await, [true, false]);
        let second_path = format!("/v2/bank_accounts/{}", id(&second));
        let changed = [("default_for_currency", "true"), ("account_holder_name", "New GmbH"), ("metadata[c]", "d")];
        let changed = app.post(&second_path, &changed).await.expect(200);
        assert_eq!((&changed["account_holder_name"], &changed["metadata"]), (&json!("New GmbH"), &json!({ "c": "d" })));
        assert_eq!(defaults(&app).await, [false, true]);
        add(&app, CLOSED, &[("default_for_currency", "true")]).await;
        assert_eq!(defaults(&app).await, [false, false, true]);
        app.post(&path, &[("default_for_currency", "false")]).await.expect(400);

        let gone = app.delete(&path).await.expect(200);
        assert_eq!(gone, json!({ "id": id(&made), "object": "bank_account", "deleted": true }));
        app.get(&path).await.expect_error(404, "invalid_request_error", Some("resource_missing"));
        app.delete(&path).await.expect(404);
        let last = data(&app.get("/v2/bank_accounts?currency=eur").await.expect(200))[0].clone();
        app.delete(&format!("/v2/bank_accounts/{}", id(&last))).await.expect(200);
        assert_eq!(defaults(&app).await, [true], "the oldest other one takes the place");
        // The whole number is nowhere to be read.
        assert_nowhere(&db, &app, &logs, &[PAYS.replace(' ', ""), LATER.to_owned(), CLOSED.to_owned()]).await;
    }

    async fn what_is_wrong_with_an_account_is_said(db) {
        let app = TestApp::start(&db).await;
        let before = rows(&app).await;
        let (holder, currency) = (("account_holder_name", "T"), ("currency", "eur"));
        for (form, param, code) in [
            (vec![holder, currency], "iban", "parameter_missing"),
            (vec![("iban", PAYS), currency], "account_holder_name", "parameter_missing"),
            (vec![("iban", PAYS), holder], "currency", "parameter_missing"),
            (vec![("iban", "DE89 3704 0044 0532 0130 01"), holder, currency], "iban", "account_number_invalid"),
            (vec![("iban", "DE89"), holder, currency], "iban", "account_number_invalid"),
            (vec![("iban", "000123456789"), holder, currency], "iban", "account_number_invalid"),
            (vec![("iban", ""), holder, currency], "iban", "parameter_missing"),
            (vec![("account_number", "4242424242424242"), holder, currency], "account_number", "account_number_invalid"),
            (vec![("account_number", "12/34"), holder, currency], "account_number", "account_number_invalid"),
            (vec![("iban", PAYS), ("account_number", "000123456789"), holder, currency], "account_number", "parameters_exclusive"),
            (vec![("iban", PAYS), holder, ("currency", "xyz")], "currency", "currency_invalid"),
            (vec![("iban", PAYS), holder, currency, ("country", "de")], "country", "country_code_invalid"),
            (vec![("iban", PAYS), holder, currency, ("account_holder_type", "robot")], "account_holder_type", "parameter_invalid_enum"),
            (vec![("iban", PAYS), holder, currency, ("routing", "1")], "routing", "parameter_unknown"),
        ] {
            let answer = app.post("/v2/bank_accounts", &form).await;
            let error = answer.expect(400)["error"].clone();
            let told = (error["param"].as_str(), error["code"].as_str());
            assert_eq!(told, (Some(param), Some(code)), "{error}");
            assert!(!error.to_string().contains("3704 0044"), "the number is not repeated: {error}");
        }
        assert_same_rows(&before, &rows(&app).await, "refused accounts");
    }

    async fn money_goes_to_the_account_that_was_meant(db) {
        let app = funded(&db).await;
        let (pays, waits) = (add(&app, PAYS, &[]).await, add(&app, WAITS, &[]).await);
        let form = [("amount", "1000"), ("currency", "eur"), ("description", "May"), ("metadata[n]", "1")];
        let paid = app.post_once("po-1", "/v2/payouts", &form).await.expect(201);
        assert_eq!((&paid["status"], &paid["destination"], &paid["automatic"]), (&json!("paid"), &pays["id"], &json!(false)));
        assert_eq!(app.post_once("po-1", "/v2/payouts", &form).await.expect(201), paid);
        assert_eq!(available(&app).await, FUNDS - 1_000);
        let path = format!("/v2/payouts/{}", id(&paid));
        let expanded = app.get(&format!("{path}?expand[]=destination")).await.expect(200);
        assert_eq!(expanded["destination"], pays);
        let noted = app.post(&path, &[("metadata[n]", "2")]).await.expect(200);
        assert_eq!(noted["metadata"], json!({ "n": "2" }));
        app.post(&path, &[("amount", "5")]).await.expect_error(400, "invalid_request_error", Some("parameter_unknown"));

        // Its account may go while a payout waits; the money comes back when it is canceled.
        let destination = id(&waits);
        let waiting = [("amount", "2000"), ("currency", "eur"), ("destination", &destination), ("method", "standard")];
        let waiting = app.post("/v2/payouts", &waiting).await.expect(201);
        assert_eq!((&waiting["status"], &waiting["destination"]), (&json!("pending"), &waits["id"]));
        app.delete(&format!("/v2/bank_accounts/{destination}")).await.expect(200);
        assert_eq!(available(&app).await, FUNDS - 3_000);
        let canceled = app.post(&format!("/v2/payouts/{}/cancel", id(&waiting)), &[]).await.expect(200);
        assert_eq!(canceled["status"], "canceled");
        assert_eq!(available(&app).await, FUNDS - 1_000);
        let closed = id(&add(&app, CLOSED, &[]).await);
        let failed = app.post("/v2/payouts", &[("amount", "300"), ("currency", "eur"), ("destination", &closed)]).await.expect(201);
        assert_eq!((&failed["status"], &failed["failure_code"]), (&json!("failed"), &json!("account_closed")));
        assert_eq!(available(&app).await, FUNDS - 1_000);
        app.assert_books().await;
    }

    async fn a_payout_that_cannot_be_made_changes_nothing(db) {
        let app = funded(&db).await;
        let pays = id(&add(&app, PAYS, &[]).await);
        let foreign = id(&add(&app.another_merchant().await, PAYS, &[]).await);
        let before = rows(&app).await;
        let base = [("amount", "1000"), ("currency", "eur")];
        for (form, param, code) in [
            (vec![("currency", "eur")], "amount", "parameter_missing"),
            (vec![("amount", "1000")], "currency", "parameter_missing"),
            (vec![("amount", "0"), ("currency", "eur")], "amount", "amount_too_small"),
            (vec![("amount", "-1"), ("currency", "eur")], "amount", "amount_too_small"),
            (vec![("amount", "9686"), ("currency", "eur")], "amount", "balance_insufficient"),
            (vec![("amount", "100"), ("currency", "usd")], "amount", "balance_insufficient"),
            (vec![("amount", "100"), ("currency", "usd"), ("destination", &pays)], "destination", "bank_account_currency"),
            (vec![base[0], base[1], ("destination", &foreign)], "destination", "resource_missing"),
            (vec![base[0], base[1], ("destination", "ba_nothing")], "destination", "resource_missing"),
            (vec![base[0], base[1], ("method", "instant")], "method", "parameter_invalid_enum"),
            (vec![base[0], base[1], ("speed", "1")], "speed", "parameter_unknown"),
        ] {
            let error = app.post("/v2/payouts", &form).await.expect(400)["error"].clone();
            assert_eq!((error["param"].as_str(), error["code"].as_str()), (Some(param), Some(code)), "{error}");
        }
        let other = app.another_merchant().await;
        other.get(&format!("/v2/bank_accounts/{pays}")).await.expect(404);
        other.delete(&format!("/v2/bank_accounts/{pays}")).await.expect(404);
        other.post(&format!("/v2/bank_accounts/{pays}"), &[("account_holder_name", "Mine")]).await.expect(404);
        assert_eq!(data(&other.get("/v2/bank_accounts").await.expect(200)).len(), 0);
        let after = rows(&app).await;
        for table in ["payouts", "journals", "entries", "bank_accounts", "balance_transactions", "events"] {
            assert_eq!(before[table], after[table], "{table}");
        }
    }

    async fn in_test_mode_an_account_stands_in(db) {
        let app = funded(&db).await;
        let paid = app.post("/v2/payouts", &[("amount", "500"), ("currency", "eur")]).await.expect(201);
        assert_eq!((&paid["status"], &paid["destination"]["last4"]), (&json!("paid"), &json!("3000")));
        assert_eq!(paid["destination"]["account_holder_name"], "Sandbox account");
        assert_eq!(available(&app).await, FUNDS - 500);
        // Live money never goes to an account that nobody named.
        let form = [("amount", "500"), ("currency", "eur")];
        let live = app.as_key(&app.sk_live, Method::POST, "/v2/payouts", &form, None).await;
        assert!(live.status.is_client_error(), "{}", live.text);
        app.assert_books().await;
    }

    async fn twenty_at_once_pay_out_what_there_is(db) {
        let app = funded(&db).await;
        add(&app, LATER, &[]).await;
        let form = [("amount", "1000"), ("currency", "eur")];
        let results = join_all((0..20).map(|_| {
            let app = app.clone();
            async move { app.post("/v2/payouts", &form).await }
        })).await;
        let made = results.iter().filter(|answer| answer.status.as_u16() == 201).count();
        let short = results.iter().filter(|answer| answer.json["error"]["code"] == "balance_insufficient").count();
        assert_eq!((made, short), (9, 11));
        assert_eq!(available(&app).await, FUNDS - 9_000);
        // The same account, added by many at once, is there once.
        let accounts = join_all((0..10).map(|_| {
            let app = app.clone();
            async move {
                let form = [("iban", PAYS), ("currency", "gbp"), ("account_holder_name", "T")];
                app.post("/v2/bank_accounts", &form).await.status.as_u16()
            }
        })).await;
        assert_eq!(accounts.iter().filter(|status| **status == 201).count(), 1, "{accounts:?}");
        app.assert_books().await;
    }
}
