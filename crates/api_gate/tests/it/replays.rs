//! The same creating request again: one transaction, however often and however many at once.

use crate::support::{figure, join_all, refused};
use serde_json::json;
use std::collections::BTreeSet;
use testkit::TestApp;
use testkit::gate::{PAYOUT, PURCHASE, RECURRING, Shop, uuid_of};

const TRANSACTIONS: &str = "SELECT COUNT(*) FROM gate_transactions";

testkit::on_both_engines! {
    async fn a_repetition_answers_the_same(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let sealed = shop.seal(&shop.purchase("order-1", "10.00"));
        let first = shop.send(PURCHASE, &[], sealed.clone()).await.expect(200);
        shop.pay(&uuid_of(&first), "pm_card_visa").await;
        // Also after it was paid, and with other headers.
        let again = shop.send(PURCHASE, &[("x-request-id", "two"), ("idempotency-key", "two")], sealed).await.expect(200);
        assert_eq!(again["data"], first["data"]);
        assert_eq!(figure(&app, TRANSACTIONS).await, 1);
        // Another body under the same name is refused, whatever call it is for.
        let mut terms = shop.purchase("order-1", "10.00");
        terms["recurring"] = json!({ "enabled": true, "cycle_days": 1 });
        for (path, body) in [
            (PURCHASE, shop.purchase("order-1", "10.01")), (RECURRING, terms),
            (PAYOUT, shop.payout("order-1", "10.00", "DE89370400440532013000")),
        ] {
            refused(shop.call(path, &body).await, 409, 409, Some("meta.payment_id"));
        }
        assert_eq!(figure(&app, TRANSACTIONS).await, 1);
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM payouts").await, 0);
        app.assert_books().await;
    }

    async fn fifty_at_once_are_one(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let sealed = shop.seal(&shop.purchase("order-1", "10.00"));
        let answers = join_all((0..50).map(|_| {
            let (shop, sealed) = (shop.clone(), sealed.clone());
            async move { shop.send(PURCHASE, &[], sealed).await }
        })).await;
        let uuids: BTreeSet<String> = answers.into_iter().map(|a| uuid_of(&a.expect(200))).collect();
        assert_eq!(uuids.len(), 1);
        for table in [TRANSACTIONS, "SELECT COUNT(*) FROM payments", "SELECT COUNT(*) FROM checkouts",
            "SELECT COUNT(*) FROM gate_operations", "SELECT COUNT(*) FROM customers"] {
            assert_eq!(figure(&app, table).await, 1, "{table}");
        }
    }

    async fn fifty_of_one_name_with_other_bodies_are_one(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let answers = join_all((0..50).map(|n| {
            let (shop, body) = (shop.clone(), shop.purchase("order-1", &format!("10.{n:02}")));
            async move { shop.call(PURCHASE, &body).await }
        })).await;
        assert_eq!(answers.iter().filter(|a| a.status == 200).count(), 1);
        for answer in answers.into_iter().filter(|a| a.status != 200) {
            refused(answer, 409, 409, Some("meta.payment_id"));
        }
        assert_eq!(figure(&app, TRANSACTIONS).await, 1);
    }

    async fn one_payer_is_one_customer(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        join_all((0..10).map(|n| {
            let (shop, name) = (shop.clone(), format!("order-{n}"));
            async move { shop.buy(&name, "1.00").await }
        })).await;
        // Two at the same moment may each make one; afterwards it is the oldest.
        let before = figure(&app, "SELECT COUNT(*) FROM customers").await;
        let uuid = shop.buy("last", "1.00").await;
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM customers").await, before);
        assert!(shop.status(&uuid).await["customer_id"].is_i64());
    }
}
