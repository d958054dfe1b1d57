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

    /// Repetitions are answered as before, even when the service would not take the request any more.
    async fn what_a_service_takes_now_does_not_change_earlier_answers(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        shop.sell("earlier", "100.00", crate::support::AT_ONCE).await;
        let mut agreement = shop.purchase("order-2", "10.00");
        agreement["recurring"] = json!({ "enabled": true, "cycle_days": 1 });
        let sealed = [
            (PURCHASE, shop.seal(&shop.purchase("order-1", "10.00"))),
            (RECURRING, shop.seal(&agreement)),
            (PAYOUT, shop.seal(&shop.payout("order-3", "10.00", "DE89370400440532013000"))),
        ];
        let mut first = Vec::new();
        for (path, body) in &sealed {
            first.push(shop.send(path, &[], body.clone()).await.expect(200)["data"].clone());
        }
        let disable = |s: &mut domain::storefront::Storefront| {
            (s.status, s.payouts) = (domain::storefront::StorefrontStatus::Disabled, false);
        };
        app.engine.change_storefront(shop.service, None, disable).await.expect("changed");
        // In force within a second: until then new requests are still taken.
        let begun = std::time::Instant::now();
        for n in 0.. {
            let answer = shop.call(PURCHASE, &shop.purchase(&format!("new-{n}"), "1.00")).await;
            if answer.status == 422 {
                break;
            }
            assert!(begun.elapsed() < std::time::Duration::from_secs(60), "the service is still open");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        for ((path, body), data) in sealed.into_iter().zip(first) {
            assert_eq!(shop.send(path, &[], body).await.expect(200)["data"], data, "{path}");
        }
        for body in [shop.purchase("order-1", "10.01"), shop.purchase("order-9", "10.00")] {
            refused(shop.call(PURCHASE, &body).await, 422, 422, Some("meta.service_id"));
        }
    }

    /// A signature does not cover the path: the same body at another call is another request.
    async fn the_same_body_at_another_call(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        shop.sell("earlier", "100.00", crate::support::AT_ONCE).await;
        let mut body = shop.payout("order-1", "10.00", "DE89370400440532013000");
        body["recurring"] = json!({ "enabled": true, "cycle_days": 1 });
        let sealed = shop.seal(&body);
        for (first, name) in [(PURCHASE, "order-1"), (RECURRING, "order-2"), (PAYOUT, "order-3")] {
            let sealed = if name == "order-1" { sealed.clone() } else {
                body["meta"]["payment_id"] = json!(name);
                shop.seal(&body)
            };
            shop.send(first, &[], sealed.clone()).await.expect(200);
            for other in [PURCHASE, RECURRING, PAYOUT].into_iter().filter(|path| *path != first) {
                refused(shop.send(other, &[], sealed.clone()).await, 409, 409, Some("meta.payment_id"));
            }
        }
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM payouts").await, 1);
        assert_eq!(figure(&app, TRANSACTIONS).await, 4);
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
