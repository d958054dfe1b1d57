//! Refunds: in part, in full, refused, short of balance, and repeated.

use crate::support::{
    AT_ONCE, allow_debts, assert_states, balance, figure, join_all, refused, shop_without_fees,
};
use serde_json::{Value, json};
use testkit::TestApp;
use testkit::gate::{PAYOUT, REFUND, Shop};

const SUCCESSFUL: &str = "operation successfully processed";
const SALE: (&str, &str, i64, &str) = ("sale", "success", 0, SUCCESSFUL);
const REFUNDED: (&str, &str, i64, &str) = ("refund", "success", 0, "refund successful");
const SHORT: (&str, &str, i64, &str) =
    ("refund", "internal_error", 223, "Not enough balance to hold the amount.");
const REFUNDS: &str = "SELECT COUNT(*) FROM refunds";

async fn refund(shop: &Shop, uuid: &str, price: &str, comment: &str) -> Value {
    shop.call(REFUND, &shop.refund_of(uuid, price, comment)).await.expect(200)
}

testkit::on_both_engines! {
    async fn in_part_and_in_full(db) {
        let app = TestApp::start(&db).await;
        let shop = shop_without_fees(&app).await;
        app.engine.change_storefront(shop.service, None, |s| s.surcharge = 54).await.expect("a cost");
        let uuid = shop.sell("order-1", "100.00", AT_ONCE).await;
        let answer = refund(&shop, &uuid, "30.00", "first").await;
        assert_eq!(answer["data"]["message"], "Status: success");
        let operation = &answer["data"]["operation"];
        assert_eq!((&operation["amount"], &operation["fee"], &operation["transaction"]["status"]),
            (&json!("30.00"), &json!("0.00"), &json!("partially_refunded")));
        assert_states(&shop.status(&uuid).await, "partially_refunded", &[SALE, REFUNDED]);
        // What paid is still shown.
        assert_eq!(shop.status(&uuid).await["metadata"]["gate"]["card_meta"]["mask"], "**** **** **** 0077");

        for (price, field) in [("70.01", "refund.price"), ("100.54", "refund.price"), ("0.00", "refund.price"), ("-1.00", "refund.price")] {
            refused(shop.call(REFUND, &shop.refund_of(&uuid, price, "x")).await, 422, 422, Some(field));
        }
        refund(&shop, &uuid, "70.00", "second").await;
        assert_states(&shop.status(&uuid).await, "refunded", &[SALE, REFUNDED, REFUNDED]);
        // The cost is not given back.
        assert_eq!(balance(&app).await, (54, 0));
        refused(shop.call(REFUND, &shop.refund_of(&uuid, "0.01", "x")).await, 422, 422, Some("meta.transaction_uuid"));
        assert_eq!(figure(&app, REFUNDS).await, 2);
        app.assert_books().await;
    }

    async fn what_cannot_be_refunded(db) {
        let app = TestApp::start(&db).await;
        allow_debts(&app).await;
        let shop = Shop::open(&app).await;
        let paid = shop.sell("paid", "10.00", AT_ONCE).await;
        let mut body = shop.refund_of(&paid, "1.00", "x");
        body["refund"]["currency"] = json!("USD");
        let answer = refused(shop.call(REFUND, &body).await, 422, 422, Some("refund.currency"));
        assert_eq!(answer["meta"]["message"], "invalid amount or currency");

        let open = shop.buy("open", "10.00").await;
        let declined = shop.sell("declined", "10.00", crate::support::DECLINED).await;
        let payout = shop.create(PAYOUT, &shop.payout("payout", "1.00", "DE89370400440532013000")).await;
        for uuid in [open, declined, payout] {
            refused(shop.call(REFUND, &shop.refund_of(&uuid, "1.00", "x")).await, 422, 422, Some("meta.transaction_uuid"));
        }
        assert_eq!(figure(&app, REFUNDS).await, 0);
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM gate_operations WHERE kind = 'refund'").await, 0);
    }

    async fn what_was_refused_for_the_balance_stays_refused(db) {
        let app = TestApp::start(&db).await;
        let shop = shop_without_fees(&app).await;
        let uuid = shop.sell("order-1", "10.00", AT_ONCE).await;
        // The money has left again.
        shop.create(PAYOUT, &shop.payout("payout-1", "10.00", "DE89370400440532013000")).await;
        let body = shop.refund_of(&uuid, "10.00", "x");
        for _ in 0..2 {
            let answer = refused(shop.call(REFUND, &body).await, 422, 223, None);
            assert_eq!(answer["meta"]["message"], "Not enough balance to hold the amount.");
        }
        assert_states(&shop.status(&uuid).await, "success", &[SALE, SHORT]);
        assert_eq!((figure(&app, REFUNDS).await, balance(&app).await), (0, (0, 0)));
        shop.sell("order-2", "15.00", AT_ONCE).await;
        // A request that was refused may lie in a queue somewhere: it must not refund beside a new one.
        let mut anew = body.clone();
        anew["refund"]["reference_id"] = json!("again");
        let answer = shop.call(REFUND, &anew).await.expect(200);
        assert_eq!(answer["data"]["message"], "Status: success");
        refused(shop.call(REFUND, &body).await, 422, 223, None);
        assert_states(&shop.status(&uuid).await, "refunded", &[SALE, SHORT, REFUNDED]);
        shop.call(REFUND, &anew).await.expect(200);
        assert_eq!((figure(&app, REFUNDS).await, balance(&app).await), (1, (500, 0)));
        app.assert_books().await;
    }

    async fn what_means_the_same_refunds_once(db) {
        let app = TestApp::start(&db).await;
        allow_debts(&app).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.sell("order-1", "100.00", AT_ONCE).await;
        let body = shop.refund_of(&uuid, "1.00", "x");
        shop.call(REFUND, &body).await.expect(200);
        let changes = [
            ("/refund/price", json!("1")),
            ("/refund/price", json!(1)),
            ("/refund/currency", json!("eur")),
            ("/refund/comment", json!(" x ")),
            ("/meta/transaction_uuid", json!(uuid.to_uppercase())),
        ];
        for (at, value) in changes {
            let mut other = body.clone();
            *other.pointer_mut(at).expect("a field") = value;
            shop.call(REFUND, &other).await.expect(200);
        }
        let mut unknown = body.clone();
        unknown["refund"]["note"] = json!("y");
        shop.call(REFUND, &unknown).await.expect(200);
        assert_eq!(figure(&app, REFUNDS).await, 1);
        let mut second = body.clone();
        second["refund"]["reference_id"] = json!("second");
        shop.call(REFUND, &second).await.expect(200);
        assert_eq!(figure(&app, REFUNDS).await, 2);
        app.assert_books().await;
    }

    async fn one_request_refunds_once(db) {
        let app = TestApp::start(&db).await;
        allow_debts(&app).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.sell("order-1", "100.00", AT_ONCE).await;
        let sealed = shop.seal(&shop.refund_of(&uuid, "10.00", "a b"));
        let first = shop.send(REFUND, &[], sealed.clone()).await.expect(200);
        let operation = first["data"]["operation"]["uuid"].clone();
        let value: Value = serde_json::from_str(&sealed).expect("JSON");
        for (headers, text) in [
            (&[][..], sealed.clone()),
            (&[("x-request-id", "other"), ("idempotency-key", "other"), ("user-agent", "other")][..], sealed.clone()),
            (&[("x-request-token-name", "default")][..], sealed.clone()),
            (&[][..], serde_json::to_string_pretty(&value).expect("JSON")),
            (&[][..], sealed.replace("a b", "a\\u0020b")),
            (&[][..], sealed.replace("a b", "a+b")),
            (&[][..], sealed.replace("refund", "r\\u0065fund")),
        ] {
            let again = shop.send(REFUND, headers, text).await.expect(200);
            assert_eq!(again["data"]["operation"]["uuid"], operation);
        }
        // Signed anew by another token of the service it is the same request still.
        let other = Shop::of_service(&app, shop.service, "other").await;
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), async {
            loop {
                let answer = other.call(REFUND, &shop.refund_of(&uuid, "10.00", "a b")).await;
                if answer.status == 200 {
                    return answer.json;
                }
                refused(answer, 401, 401, Some("meta.signature"));
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }).await.expect("the new token is known");
        assert_eq!(waited["data"]["operation"]["uuid"], operation);
        assert_eq!(figure(&app, REFUNDS).await, 1);
        // A second equal refund is asked for with a name of its own.
        let mut second = shop.refund_of(&uuid, "10.00", "a b");
        second["refund"]["reference_id"] = json!("second");
        let second = shop.call(REFUND, &second).await.expect(200);
        assert_ne!(second["data"]["operation"]["uuid"], operation);
        assert_eq!(figure(&app, REFUNDS).await, 2);
        app.assert_books().await;
    }

    async fn fifty_at_once_are_one(db) {
        let app = TestApp::start(&db).await;
        allow_debts(&app).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.sell("order-1", "100.00", AT_ONCE).await;
        let sealed = shop.seal(&shop.refund_of(&uuid, "10.00", "x"));
        let answers = join_all((0..50).map(|_| {
            let (shop, sealed) = (shop.clone(), sealed.clone());
            async move { shop.send(REFUND, &[], sealed).await }
        })).await;
        let mut uuids: Vec<String> = Vec::new();
        for answer in answers {
            // A repetition may find the first one under way.
            if answer.status == 200 {
                uuids.push(answer.json["data"]["operation"]["uuid"].to_string());
            } else {
                refused(answer, 409, 409, None);
            }
        }
        uuids.sort();
        uuids.dedup();
        assert_eq!(uuids.len(), 1);
        assert_eq!(figure(&app, REFUNDS).await, 1);
        assert_eq!(shop.status(&uuid).await["status"], "partially_refunded");
        app.assert_books().await;
    }

    async fn many_at_once_never_exceed_the_payment(db) {
        let app = TestApp::start(&db).await;
        allow_debts(&app).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.sell("order-1", "100.00", AT_ONCE).await;
        let answers = join_all((0..20).map(|n| {
            let (shop, body) = (shop.clone(), shop.refund_of(&uuid, "30.00", &format!("refund {n}")));
            async move { shop.call(REFUND, &body).await }
        })).await;
        assert!(answers.iter().all(|a| matches!(a.status.as_u16(), 200 | 409 | 422)));
        let made = figure(&app, REFUNDS).await;
        assert!((1..=3).contains(&made), "{made}");
        app.assert_books().await;
    }

    async fn pending_then_failed_or_done(db) {
        let app = TestApp::with(&db, testkit::AppOptions { settle_us: 0, ..Default::default() }).await;
        allow_debts(&app).await;
        let shop = Shop::open(&app).await;
        for (order, method, after, states) in [
            ("order-1", "pm_card_pendingRefund", "partially_refunded", REFUNDED),
            ("order-2", "pm_card_refundFail", "success", ("refund", "external_error", 2000, "refund failed, fix errors and try again")),
        ] {
            let uuid = shop.sell(order, "10.00", method).await;
            let body = shop.refund_of(&uuid, "4.00", "x");
            let answer = shop.call(REFUND, &body).await.expect(200);
            assert_eq!(answer["data"]["message"], "Status: processing");
            assert_states(&shop.status(&uuid).await, "success", &[SALE, ("refund", "processing", 0, "external processing")]);
            app.run_waiting().await;
            assert_states(&shop.status(&uuid).await, after, &[SALE, states]);
            // The same request again tells how it ended, and refunds nothing more.
            let again = shop.call(REFUND, &body).await;
            if states == REFUNDED { again.expect(200); } else { refused(again, 422, 422, None); }
        }
        assert_eq!(figure(&app, REFUNDS).await, 2);
        app.assert_books().await;
    }
}
