//! Purchases: from the page to every end, with the fee and what the books say.

use crate::support::{
    AT_ONCE, DECLINED, assert_states, balance, figure, refused, rule, shop_with_fees, shop_without_fees,
};
use domain::fee::FeeOperation;
use domain::money::MAX_AMOUNT;
use domain::storefront::Storefront;
use serde_json::{Value, json};
use testkit::TestApp;
use testkit::gate::{PURCHASE, STATUS, Shop, uuid_of};

const FAILED: &str = "payment failed, fix errors and try again";
/// The same when there is nothing to try any more.
const OVER: &str = "operation failed";
const SUCCESSFUL: &str = "operation successfully processed";

async fn set(shop: &Shop, change: impl Fn(&mut Storefront) + Send + 'static) {
    shop.app.engine.change_storefront(shop.service, None, change).await.expect("changed");
}

testkit::on_both_engines! {
    async fn a_purchase_that_is_not_found_by_its_uuid_breaks_the_books(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.buy("order-1", "10.00").await;
        app.assert_books().await;
        let lost = |tx: &mut store::Tx<'_>| tx.execute("UPDATE checkouts SET code = 'lost'", &[]);
        app.store.write::<_, store::StoreError, _>(lost).await.expect("the statement runs");
        let asked = json!({ "meta": { "transaction_uuid": uuid } });
        refused(shop.call(STATUS, &asked).await, 404, 404, Some("meta.transaction_uuid"));
        let broken = app.engine.verify_ledger().await.expect("verified").into_iter().filter(|c| c.broken > 0);
        let rules: Vec<_> = broken.map(|check| check.rule).collect();
        assert_eq!(rules, ["every Gate purchase is found by its uuid"]);
    }

    /// 100.00 with a cost of 0.54: the payer pays 100.54, the fee is 2.84, the merchant gets 97.70.
    async fn the_fee_down_to_the_books(db) {
        let app = TestApp::start(&db).await;
        let shop = shop_with_fees(&app, &[rule(FeeOperation::Capture, 54, 230)]).await;
        set(&shop, |s| s.surcharge = 54).await;
        let uuid = shop.buy("order-1", "100.00").await;
        let before = shop.status(&uuid).await;
        assert_states(&before, "created", &[("sale", "init", 0, "")]);
        assert_eq!((&before["amount"], &before["cost"]), (&json!("100.00"), &json!("0.54")));
        assert_eq!(before["cost_is_hidden"], "no");
        let operation = &before["operations"][0];
        assert_eq!((&operation["amount"], &operation["fee"]), (&json!("100.54"), &json!("2.84")));
        assert_eq!((&operation["total_fee"], &operation["fee_group"]), (&json!("2.84"), &json!("gate")));
        assert_eq!(operation["confirmed_at"], Value::Null);

        shop.pay(&uuid, "pm_card_visa").await;
        let paid = shop.status(&uuid).await;
        assert_states(&paid, "success", &[("sale", "success", 0, SUCCESSFUL)]);
        let operation = &paid["operations"][0];
        assert_eq!((&operation["amount"], &operation["fee"]), (&json!("100.54"), &json!("2.84")));
        assert!(operation["payment_system_transaction_id"].as_str().is_some_and(|id| !id.is_empty()));
        assert!(operation["confirmed_at"].as_str().is_some_and(|t| t.len() == 19), "{operation}");
        let card = &paid["metadata"]["gate"]["card_meta"];
        assert_eq!((&card["mask"], &card["type"]), (&json!("**** **** **** 4242"), &json!("visa")));
        assert_eq!(card["token"], Value::Null);

        assert_eq!(balance(&app).await, (0, 9_770));
        let posted = |tx: &mut store::Tx<'_>| {
            let sql = "SELECT a.kind, e.amount FROM entries e JOIN ledger_accounts a ON a.id = e.account ORDER BY 1";
            tx.all(sql, &[], |row| Ok((row.next::<String>()?, row.next::<i64>()?.abs())))
        };
        let posted = app.store.read::<_, store::StoreError, _>(posted).await.expect("entries");
        let posted: Vec<(&str, i64)> = posted.iter().map(|(kind, amount)| (kind.as_str(), *amount)).collect();
        let expected = [("acquirer_receivable", 10_054), ("fee_processing", 284), ("merchant_pending", 9_770)];
        assert_eq!(posted, expected);
        let history = app.get("/v2/balance_transactions").await.expect(200);
        let row = &history["data"][0];
        assert_eq!((&row["amount"], &row["fee"], &row["net"]), (&json!(10_054), &json!(284), &json!(9_770)));
        assert_eq!(history["data"].as_array().map(Vec::len), Some(1));
        let payment = shop.payment_of("order-1").await;
        assert_eq!((&payment["amount"], &payment["amount_received"]), (&json!(10_054), &json!(10_054)));
        app.assert_books().await;
    }

    async fn a_cost_is_hidden_and_only_in_the_own_currency(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        set(&shop, |s| {
            (s.surcharge, s.surcharge_hidden, s.any_currency) = (54, true, true);
        }).await;
        let hidden = shop.status(&shop.buy("order-1", "1.00").await).await;
        assert_eq!((&hidden["cost"], &hidden["cost_is_hidden"]), (&json!("0.54"), &json!("yes")));
        let mut yen = shop.purchase("order-2", "150");
        yen["payment"]["currency"] = json!("jpy");
        let yen = shop.status(&shop.create(PURCHASE, &yen).await).await;
        assert_eq!((&yen["amount"], &yen["cost"], &yen["currency"]), (&json!("150"), &json!("0"), &json!("JPY")));
    }

    async fn amounts(db) {
        let app = TestApp::start(&db).await;
        let shop = shop_without_fees(&app).await;
        set(&shop, |s| s.any_currency = true).await;
        for (n, (price, currency, amount)) in [
            (json!("100.00"), "EUR", "100.00"), (json!("100"), "EUR", "100.00"), (json!(12.32), "EUR", "12.32"),
            (json!(100), "EUR", "100.00"), (json!("0.01"), "eur", "0.01"), (json!("100.00"), "JPY", "100"),
            (json!("1.005"), "KWD", "1.005"), (json!("9999999999.99"), "EUR", "9999999999.99"),
        ].into_iter().enumerate() {
            let mut body = shop.purchase(&format!("order-{n}"), "1.00");
            body["payment"] = json!({ "price": price, "currency": currency });
            let uuid = shop.create(PURCHASE, &body).await;
            assert_eq!(shop.status(&uuid).await["amount"], amount, "{price} {currency}");
        }
        let made = figure(&app, "SELECT COUNT(*) FROM gate_transactions").await;
        for (price, currency) in [
            (json!("0"), "EUR"), (json!("0.00"), "EUR"), (json!("-1.00"), "EUR"), (json!("1.005"), "EUR"),
            (json!("1,00"), "EUR"), (json!("+1.00"), "EUR"), (json!(" 1.00"), "EUR"), (json!("1e2"), "EUR"),
            (json!("0x10"), "EUR"), (json!("NaN"), "EUR"), (json!(null), "EUR"), (json!(true), "EUR"), (json!([1]), "EUR"),
            (json!("100.50"), "JPY"), (json!("10000000000.00"), "EUR"), (json!("99999999999999999999999"), "EUR"),
            (json!(1.005), "EUR"),
        ] {
            let mut body = shop.purchase("refused", "1.00");
            body["payment"] = json!({ "price": price, "currency": currency });
            refused(shop.call(PURCHASE, &body).await, 422, 422, Some("payment.price"));
        }
        for currency in [json!(""), json!("EURO"), json!("XXX"), json!("HRK"), json!(978), json!(null), json!("EU\u{1}")] {
            let mut body = shop.purchase("refused", "1.00");
            body["payment"]["currency"] = currency;
            refused(shop.call(PURCHASE, &body).await, 422, 422, Some("payment.currency"));
        }
        // With the cost it is too much.
        set(&shop, |s| s.surcharge = MAX_AMOUNT).await;
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM gate_transactions").await, made);
    }

    async fn price_and_cost_together_have_a_bound(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        set(&shop, |s| s.surcharge = 2).await;
        refused(shop.call(PURCHASE, &shop.purchase("order-1", "9999999999.98")).await, 422, 422, Some("payment.price"));
        shop.buy("order-1", "9999999999.97").await;
    }

    async fn fields_that_are_wrong_are_named_all_at_once(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let answer = refused(shop.call(PURCHASE, &json!({ "meta": { "service_id": shop.service } })).await, 422, 422, Some("meta.payment_id"));
        for field in ["payment.price", "payment.currency", "user.email", "user.first_name", "user.last_name", "user.country"] {
            assert!(answer["errors"][field][0].as_str().is_some_and(|m| m.starts_with(field)), "{field}: {answer}");
        }
        for (block, name, value) in [
            ("meta", "payment_id", json!("x".repeat(192))), ("meta", "payment_id", json!("a\nb")),
            ("payment", "currency", json!("USD")), ("user", "email", json!("nobody")),
            ("user", "email", json!("a@b.example\r\nBcc: c@d.example")), ("user", "country", json!("CZE")),
            ("user", "first_name", json!("4242 4242 4242 4242")), ("user", "phone", json!("1".repeat(101))),
            ("user", "zip", json!("1".repeat(31))), ("user", "city", json!("x".repeat(101))),
            ("user", "language", json!("eng")), ("user", "address", json!("x".repeat(256))),
            ("user", "day_of_birth", json!("2999-01-01")), ("user", "day_of_birth", json!("2023-02-29")),
            ("webhook", "token_name", json!("no such token")), ("webhook", "url", json!("http://shop.example/x")),
            ("redirect", "success_url", json!("javascript:alert(1)")), ("redirect", "fail_url", json!("//evil.example")),
            ("redirect", "return_url", json!("https://u:p@shop.example/")), ("redirect", "success_url", json!("data:text/html,x")),
            ("redirect", "success_url", json!("https:\\\\evil.example")), ("redirect", "success_url", json!(format!("https://a.example/{}", "x".repeat(65_000 / 16)))),
        ] {
            let mut body = shop.purchase("order-1", "1.00");
            body[block][name] = value;
            let field = format!("{block}.{name}");
            refused(shop.call(PURCHASE, &body).await, 422, 422, Some(&field));
        }
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM gate_transactions").await, 0);
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM customers").await, 0);
    }

    async fn the_names_of_2026(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let body = json!({
            "meta": { "service_id": shop.service, "reference_id": "order-1" },
            "payment": { "amount": "10.00", "currency": "EUR", "payment_method_id": 1 },
            "user": { "email": "a@b.example", "name": "Ada", "surname": "Payer", "country": "LV" },
            "redirect": { "success": "https://shop.example/s", "fail": "https://shop.example/f", "return": "https://shop.example/r" },
        });
        let uuid = shop.create(PURCHASE, &body).await;
        let transaction = shop.status(&uuid).await;
        assert_eq!((&transaction["payment_id"], &transaction["amount"]), (&json!("order-1"), &json!("10.00")));
        let view = app.engine.checkout(uuid).await.expect("a page");
        let leave = view.checkout.details.leave;
        let texts = [leave.success, leave.fail, leave.back].map(Option::unwrap_or_default);
        assert_eq!(texts, ["https://shop.example/s", "https://shop.example/f", "https://shop.example/r"]);
        assert_eq!(view.checkout.details.payer_name.as_deref(), Some("Ada Payer"));
        // Two names with two amounts could be read in two ways.
        let mut both = body.clone();
        both["payment"]["price"] = json!("1.00");
        refused(shop.call(PURCHASE, &both).await, 422, 422, Some("payment.amount"));
    }

    async fn redirects_of_the_service_are_filled_in(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        set(&shop, |s| {
            s.redirects.success = "https://shop.example/{payment_id}/{status}".to_owned();
            s.redirects.fail = "https://shop.example/?t={transaction_uuid}".to_owned();
        }).await;
        let mut body = shop.purchase("a/../b?c=d&e#f", "1.00");
        body["redirect"] = json!({ "fail_url": "https://other.example/{payment_id}" });
        let uuid = shop.create(PURCHASE, &body).await;
        let leave = app.engine.checkout(uuid).await.expect("a page").checkout.details.leave;
        assert_eq!(leave.success.as_deref(), Some("https://shop.example/a%2F..%2Fb%3Fc%3Dd%26e%23f/success"));
        assert_eq!(leave.fail.as_deref(), Some("https://other.example/{payment_id}"), "a request's own address is no template");
        assert_eq!(leave.back, None);
    }

    async fn a_decline_leaves_it_open(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.sell("order-1", "10.00", DECLINED).await;
        let open = shop.status(&uuid).await;
        assert_states(&open, "processing", &[("sale", "external_error", 2001, FAILED)]);
        assert_eq!(open["last_error_code"], 2001);
        assert!(open["last_error_message"].as_str().is_some_and(|m| !m.is_empty()));
        assert_eq!(open["operations"][0]["fee"], "0.00", "nothing is charged for a failure");
        let error = &open["operations"][0]["errors"][0];
        assert_eq!((&error["code"], &error["name"]), (&json!("2001"), &json!("insufficient_funds")));
        let view = shop.pay(&uuid, "pm_card_visa").await;
        assert!(!view.payable());
        let paid = shop.status(&uuid).await;
        assert_states(&paid, "success", &[("sale", "external_error", 2001, OVER), ("sale", "success", 0, SUCCESSFUL)]);
        assert_eq!((&paid["last_error_code"], &paid["last_error_message"]), (&json!(0), &json!("")));
        app.assert_books().await;
    }

    async fn attempts_are_used_up(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        set(&shop, |s| s.attempts_max = 2).await;
        let uuid = shop.buy("order-1", "10.00").await;
        shop.pay(&uuid, DECLINED).await;
        shop.pay(&uuid, DECLINED).await;
        let failed = shop.status(&uuid).await;
        assert_states(&failed, "failed", &[("sale", "external_error", 2001, OVER), ("sale", "external_error", 2001, OVER)]);
        assert_eq!(failed["last_error_code"], 2001);
        // A third form changes nothing.
        shop.pay(&uuid, "pm_card_visa").await;
        assert_eq!(shop.status(&uuid).await, failed);
        assert_eq!(balance(&app).await, (0, 0));
    }

    async fn a_form_pays_once(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.buy("order-1", "10.00").await;
        for _ in 0..3 {
            shop.submit(&uuid, "one form", DECLINED).await;
        }
        assert_eq!(shop.status(&uuid).await["operations"].as_array().map(Vec::len), Some(1));
        let forms = (0..8).map(|n| {
            let (shop, uuid) = (shop.clone(), uuid.clone());
            async move { shop.submit(&uuid, &format!("form {}", n / 2), "pm_card_visa").await }
        });
        crate::support::join_all(forms).await;
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM sandbox_charges WHERE captured > 0").await, 1);
        assert_eq!(shop.status(&uuid).await["status"], "success");
        app.assert_books().await;
    }

    async fn waiting_for_the_payer_and_for_the_bank(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.sell("order-1", "10.00", "pm_card_threeDSecureRequired").await;
        assert_states(&shop.status(&uuid).await, "processing", &[("sale", "processing", 0, "")]);
        let payment = shop.payment_of("order-1").await["id"].as_str().expect("an id").to_owned();
        app.post(&format!("/v2/test_helpers/payment_intents/{payment}/authenticate"), &[]).await.expect(200);
        assert_eq!(shop.status(&uuid).await["status"], "success");

        let uuid = shop.sell("order-2", "10.00", "pm_sepa_debit_success").await;
        assert_states(&shop.status(&uuid).await, "processing", &[("sale", "processing", 0, "external processing")]);
    }

    async fn the_payer_gives_up(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.buy("order-1", "10.00").await;
        app.engine.abandon_checkout(uuid.clone(), "req_test".to_owned()).await.expect("abandoned");
        assert_states(&shop.status(&uuid).await, "failed", &[("sale", "internal_error", 0, "operation failed")]);
        assert_eq!(shop.status(&uuid).await["operations"][0]["fee"], "0.00");
        // One that is paid is not given up.
        let paid = shop.sell("order-2", "10.00", AT_ONCE).await;
        app.engine.abandon_checkout(paid.clone(), "req_test".to_owned()).await.expect("left alone");
        assert_eq!(shop.status(&paid).await["status"], "success");
    }

    async fn expiry_by_a_test_clock(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let start = 1_790_000_000_i64;
        let clock = app.post("/v2/test_helpers/test_clocks", &[("frozen_time", &start.to_string())]).await.expect(201);
        let clock = clock["id"].as_str().expect("an id").to_owned();
        app.post("/v2/customers", &[("email", "payer@example.com"), ("test_clock", &clock)]).await.expect(201);
        let [untouched, tried, paid] = ["order-1", "order-2", "order-3"];
        let untouched = shop.buy(untouched, "10.00").await;
        let tried = shop.sell(tried, "10.00", DECLINED).await;
        let paid = shop.sell(paid, "10.00", AT_ONCE).await;
        let advance = |to: i64| {
            let (app, clock) = (app.clone(), clock.clone());
            async move {
                let path = format!("/v2/test_helpers/test_clocks/{clock}/advance");
                app.post(&path, &[("frozen_time", &to.to_string())]).await.expect(200);
                app.run_due().await;
            }
        };
        advance(start + 86_299).await;
        assert_eq!(shop.status(&untouched).await["status"], "created");
        advance(start + 86_300).await;
        assert_states(&shop.status(&untouched).await, "expired", &[("sale", "internal_error", 0, "operation failed")]);
        let tried = shop.status(&tried).await;
        assert_eq!((&tried["status"], &tried["operations"][0]["status"]), (&json!("expired"), &json!("external_error")));
        assert_eq!(shop.status(&paid).await["status"], "success");
        let view = shop.pay(&untouched, "pm_card_visa").await;
        assert!(!view.payable());
        assert_eq!(shop.status(&untouched).await["status"], "expired");
        app.assert_books().await;
    }

    async fn expiry_while_the_payer_is_at_the_bank(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.sell("order-1", "10.00", "pm_card_threeDSecureRequired").await;
        let debit = shop.sell("order-2", "10.00", "pm_sepa_debit_success").await;
        let change = |tx: &mut store::Tx<'_>| tx.execute("UPDATE checkouts SET expires_at = 1", &[]);
        app.store.write::<_, store::StoreError, _>(change).await.expect("their time is over");
        app.run_due().await;
        // Who is at the bank may finish there, but has no other try.
        assert_eq!(shop.status(&uuid).await["status"], "processing");
        let failed = shop.sell("order-3", "10.00", "pm_card_threeDSecureRequired").await;
        app.store.write::<_, store::StoreError, _>(change).await.expect("its time is over");
        app.run_due().await;
        for (order, outcome) in [("order-1", "success"), ("order-3", "fail")] {
            let payment = shop.payment_of(order).await["id"].as_str().expect("an id").to_owned();
            let path = format!("/v2/test_helpers/payment_intents/{payment}/authenticate");
            app.post(&path, &[("outcome", outcome)]).await.expect(200);
        }
        app.run_due().await;
        assert_eq!(shop.status(&uuid).await["status"], "success");
        assert_states(&shop.status(&failed).await, "expired", &[("sale", "external_error", 2000, OVER)]);
        // What is at the provider ends there.
        assert_eq!(shop.status(&debit).await["status"], "processing");
        let change = |tx: &mut store::Tx<'_>| {
            tx.execute("UPDATE sandbox_charges SET settles_at = 1 WHERE settles_at IS NOT NULL", &[])
        };
        app.store.write::<_, store::StoreError, _>(change).await.expect("the bank has paid");
        app.run_waiting().await;
        assert_eq!(shop.status(&debit).await["status"], "success");
        app.assert_books().await;
    }

    async fn answers_that_are_lost(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        for (order, method, status, operation) in [
            ("order-1", "pm_card_answerLost", "success", ("sale", "success", 0, SUCCESSFUL)),
            ("order-2", "pm_card_answerLostDeclined", "processing", ("sale", "external_error", 2000, FAILED)),
            ("order-3", "pm_card_requestLost", "processing", ("sale", "external_error", 3000, FAILED)),
        ] {
            let uuid = shop.sell(order, "10.00", method).await;
            let open = shop.status(&uuid).await;
            assert_eq!((&open["status"], &open["operations"][0]["status"]), (&json!("processing"), &json!("processing")));
            app.run_waiting().await;
            assert_states(&shop.status(&uuid).await, status, &[operation]);
        }
        app.assert_books().await;
    }

    async fn without_its_test_clock_it_lives_by_the_wall_clock(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let clock = app.post("/v2/test_helpers/test_clocks", &[("frozen_time", "1790000000")]).await.expect(201);
        let clock = clock["id"].as_str().expect("an id").to_owned();
        app.post("/v2/customers", &[("email", "payer@example.com"), ("test_clock", &clock)]).await.expect(201);
        let open = shop.buy("order-1", "10.00").await;
        let paid = shop.sell("order-2", "10.00", AT_ONCE).await;
        app.delete(&format!("/v2/test_helpers/test_clocks/{clock}")).await.expect(200);
        app.run_due().await;
        assert_eq!(shop.status(&paid).await["status"], "success");
        // By the wall clock, its time was over long ago.
        assert_eq!(shop.status(&open).await["status"], "expired");
        // A new purchase of the same payer works.
        shop.sell("order-3", "10.00", AT_ONCE).await;
        app.assert_books().await;
    }

    async fn expiry_by_the_wall_clock(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.buy("order-1", "10.00").await;
        let change = |tx: &mut store::Tx<'_>| tx.execute("UPDATE checkouts SET expires_at = 1", &[]);
        app.store.write::<_, store::StoreError, _>(change).await.expect("its time is over");
        // Too late even before the background work has come by.
        shop.pay(&uuid, "pm_card_visa").await;
        assert_eq!(shop.status(&uuid).await["status"], "created");
        app.run_due().await;
        assert_eq!(shop.status(&uuid).await["status"], "expired");
        assert_eq!(shop.payment_of("order-1").await["status"], "canceled");
    }

    async fn without_a_fee_rule(db) {
        let app = TestApp::start(&db).await;
        let shop = shop_with_fees(&app, &[rule(FeeOperation::Dispute, 0, 0)]).await;
        let body = shop.purchase("order-1", "10.00");
        for _ in 0..2 {
            let answer = refused(shop.call(PURCHASE, &body).await, 422, 434, None);
            assert_eq!(answer["meta"]["message"], "Fee calculator failed.");
        }
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM gate_transactions").await, 1);
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM payments").await, 0);
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM gate_operations WHERE error_code = 434").await, 1);
    }

    async fn a_fee_that_leaves_less_than_nothing_is_434(db) {
        let app = TestApp::start(&db).await;
        let shop = shop_with_fees(&app, &[rule(FeeOperation::Capture, 500, 0)]).await;
        refused(shop.call(PURCHASE, &shop.purchase("order-1", "4.99")).await, 422, 434, None);
        let uuid = shop.sell("order-2", "5.00", AT_ONCE).await;
        assert_eq!(shop.status(&uuid).await["operations"][0]["fee"], "5.00");
        assert_eq!(balance(&app).await, (0, 0));
        app.assert_books().await;
    }

    async fn a_request_can_choose_how_to_pay(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        for (id, kinds) in [(1, "card"), (2, "sepa_debit"), (3, "paypal")] {
            let mut body = shop.purchase(&format!("order-{id}"), "1.00");
            body["payment"]["payment_method_id"] = json!(id);
            shop.create(PURCHASE, &body).await;
            let payment = shop.payment_of(&format!("order-{id}")).await;
            assert_eq!(payment["payment_method_types"], json!([kinds]));
        }
        let mut body = shop.purchase("order-9", "1.00");
        body["payment"]["payment_method_id"] = json!(9);
        refused(shop.call(PURCHASE, &body).await, 422, 422, Some("payment.payment_method_id"));
    }

    async fn ages(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        set(&shop, |s| s.adults_only = true).await;
        for (born, ok) in [(json!(null), false), (json!("2020-01-01"), false), (json!("1990-05-05"), true), (json!("1901-01-01"), false)] {
            let mut body = shop.purchase("order-1", "1.00");
            body["user"]["day_of_birth"] = born.clone();
            let answer = shop.call(PURCHASE, &body).await;
            if ok { answer.expect(200); } else { refused(answer, 422, 422, Some("user.day_of_birth")); }
        }
    }

    async fn what_a_request_holds_comes_back_without_secrets(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let mut body = shop.purchase("order-1", "1.00");
        body["additional_data"] = json!({ "note": "card 4242 4242 4242 4242", "cvv": "123", "html": "<b>x</b>", "n": 1.5 });
        body["order"] = json!([{ "textual": "Ticket <b>1</b><script>", "price": "1.00", "currency": "EUR" }]);
        let answer = shop.call(PURCHASE, &body).await;
        if answer.status != 200 {
            // A card number is refused where it stands, rather than hidden.
            refused(answer, 422, 422, Some("additional_data"));
            body["additional_data"]["note"] = json!("no card");
        }
        let uuid = uuid_of(&shop.call(PURCHASE, &body).await.expect(200));
        let asked = json!({ "meta": { "transaction_uuid": uuid } });
        let answer = shop.call(STATUS, &asked).await;
        for secret in ["4242 4242", "\"123\"", &shop.secret, "signature"] {
            assert!(!answer.text.contains(secret), "{secret} in {}", answer.text);
        }
        let transaction = answer.expect(200)["data"].clone();
        assert_eq!(transaction["request"]["additional_data"]["html"], "<b>x</b>");
        let items = app.engine.checkout(uuid).await.expect("a page").checkout.details.items;
        assert_eq!((items[0].text.as_str(), items[0].amount), ("Ticket <b>1</b><script>", Some(100)));
    }
}
