//! Payouts: paid, refused, waiting, short of balance and without a fee rule.

use crate::support::{
    AT_ONCE, assert_states, balance, figure, join_all, refused, rule, shop_with_fees, shop_without_fees,
};
use domain::fee::FeeOperation;
use serde_json::json;
use testkit::TestApp;
use testkit::gate::{PAYOUT, Shop, uuid_of};

const PAYS: &str = "DE89 3704 0044 0532 0130 00";
const CLOSED: &str = "DE35370400440532013002";
const LATER: &str = "DE24370400440532013006";
const WAITS: &str = "DE67370400440532013008";
const PAYOUTS: &str = "SELECT COUNT(*) FROM payouts";

testkit::on_both_engines! {
    async fn paid_with_its_fee(db) {
        let app = TestApp::start(&db).await;
        let rules = [rule(FeeOperation::Capture, 0, 0), rule(FeeOperation::Payout, 25, 100)];
        let shop = shop_with_fees(&app, &rules).await;
        shop.sell("order-1", "100.00", AT_ONCE).await;
        let uuid = shop.create(PAYOUT, &shop.payout("payout-1", "40.00", PAYS)).await;
        let paid = shop.status(&uuid).await;
        assert_states(&paid, "success", &[("payout", "success", 0, "operation successfully processed")]);
        assert_eq!((&paid["type"], &paid["cost_type"], &paid["cost"]), (&json!("payout"), &json!("out"), &json!("0.00")));
        let operation = &paid["operations"][0];
        assert_eq!((&operation["amount"], &operation["fee"], &operation["direction"]),
            (&json!("40.00"), &json!("0.65"), &json!("out")));
        assert_eq!(balance(&app).await, (10_000 - 4_065, 0));
        // Its page exists, and nobody can pay on it.
        assert!(matches!(app.engine.page(uuid).await, Ok(engine::checkouts::PageView::Transaction(_))));
        app.assert_books().await;
    }

    async fn refused_and_waiting(db) {
        let app = TestApp::with(&db, testkit::AppOptions { settle_us: 0, ..Default::default() }).await;
        let shop = shop_without_fees(&app).await;
        shop.sell("order-1", "100.00", AT_ONCE).await;
        // What the bank says at once or later is told by the status and the callback, not by the answer.
        let closed = shop.payout("closed", "10.00", CLOSED);
        let uuid = shop.create(PAYOUT, &closed).await;
        assert_eq!(shop.create(PAYOUT, &closed).await, uuid);
        let failed = shop.status(&uuid).await;
        assert_eq!(failed["status"], "failed");
        assert_eq!(failed["request"]["company"]["bank_account"], format!("…{}", &CLOSED[CLOSED.len() - 4..]));
        let whole = "SELECT COUNT(*) FROM gate_transactions WHERE request LIKE '%DE89370400440532013%'";
        assert_eq!(figure(&app, whole).await, 0, "accounts are sealed");
        let refused_at_the_bank = "SELECT COUNT(*) FROM gate_operations WHERE kind = 'payout' AND status = 'external_error'";
        assert_eq!(figure(&app, refused_at_the_bank).await, 1);
        assert_eq!(balance(&app).await, (10_000, 0), "the money is back");
        for (name, account, first) in [("later", LATER, "processing"), ("waits", WAITS, "created")] {
            let uuid = shop.create(PAYOUT, &shop.payout(name, "10.00", account)).await;
            let open = shop.status(&uuid).await;
            assert_eq!((&open["status"], &open["operations"][0]["status"]), (&json!(first), &json!(first)));
            app.run_waiting().await;
            assert_eq!(shop.status(&uuid).await["status"], "success", "{name}");
        }
        assert_eq!(balance(&app).await, (8_000, 0));
        app.assert_books().await;
    }

    async fn without_balance(db) {
        let app = TestApp::start(&db).await;
        let shop = shop_without_fees(&app).await;
        // What is pending does not count.
        shop.sell("order-1", "100.00", "pm_card_visa").await;
        let body = shop.payout("payout-1", "10.00", PAYS);
        for _ in 0..2 {
            let answer = refused(shop.call(PAYOUT, &body).await, 422, 223, None);
            assert_eq!(answer["meta"]["message"], "Not enough balance to hold the amount.");
        }
        assert_eq!(figure(&app, PAYOUTS).await, 0);
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM gate_transactions WHERE status = 'failed' AND last_error_code = 223").await, 1);
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM gate_operations WHERE kind = 'payout' AND status = 'internal_error' AND error_code = 223").await, 1);
        // A failed transaction keeps its name: another try has another one.
        shop.sell("order-2", "10.00", AT_ONCE).await;
        refused(shop.call(PAYOUT, &body).await, 422, 223, None);
        shop.create(PAYOUT, &shop.payout("payout-2", "10.00", PAYS)).await;
        assert_eq!(balance(&app).await, (0, 10_000));
        app.assert_books().await;
    }

    async fn without_a_fee_rule(db) {
        let app = TestApp::start(&db).await;
        let shop = shop_with_fees(&app, &[rule(FeeOperation::Capture, 0, 0)]).await;
        shop.sell("order-1", "100.00", AT_ONCE).await;
        let answer = refused(shop.call(PAYOUT, &shop.payout("payout-1", "10.00", PAYS)).await, 422, 434, None);
        assert_eq!(answer["meta"]["message"], "Fee calculator failed.");
        assert_eq!((figure(&app, PAYOUTS).await, balance(&app).await), (0, (10_000, 0)));
    }

    async fn switched_off_or_without_an_account(db) {
        let app = TestApp::start(&db).await;
        let shop = shop_without_fees(&app).await;
        refused(shop.call(PAYOUT, &shop.purchase("payout-1", "1.00")).await, 422, 422, Some("company.bank_account"));
        for account in ["x", "4242 4242 4242 4242", "DE+89", "DE89370400440532013001"] {
            let answer = shop.call(PAYOUT, &shop.payout("payout-1", "1.00", account)).await;
            assert_eq!(answer.status, 422, "{account}: {}", answer.text);
        }
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM gate_transactions WHERE kind = 'payout' AND last_error_code <> 223").await, 0);
        let off = app.engine.create_storefront(app.scope(), "Off".to_owned()).await.expect("a service").number;
        app.engine.change_storefront(off, None, |s| s.payouts = false).await.expect("changed");
        let off = Shop::of_service(&app, off, "default").await;
        refused(off.call(PAYOUT, &off.payout("payout-1", "1.00", PAYS)).await, 422, 422, Some("meta.service_id"));
    }

    async fn the_balance_is_paid_out_once(db) {
        let app = TestApp::start(&db).await;
        let shop = shop_without_fees(&app).await;
        shop.sell("order-1", "100.00", AT_ONCE).await;
        // Twenty of the whole balance, and each of them twice.
        let answers = join_all((0..40).map(|n| {
            let (shop, body) = (shop.clone(), shop.payout(&format!("payout-{}", n / 2), "100.00", PAYS));
            async move { shop.call(PAYOUT, &body).await }
        })).await;
        let mut paid: Vec<String> =
            answers.iter().filter(|a| a.status == 200).map(|a| uuid_of(&a.json)).collect();
        paid.dedup();
        assert_eq!(paid.len(), 1, "{answers:?}");
        assert!(answers.iter().filter(|a| a.status != 200).all(|a| a.json["meta"]["code"] == 223));
        assert_eq!((figure(&app, PAYOUTS).await, balance(&app).await), (1, (0, 0)));
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM gate_transactions WHERE kind = 'payout'").await, 20);
        app.assert_books().await;
    }
}
