//! What one service, merchant or mode can do with what belongs to another: nothing.

use crate::support::{figure, refused};
use domain::id::Core;
use domain::scope::{Mode, Scope};
use serde_json::json;
use testkit::TestApp;
use testkit::gate::{CANCEL, PAYOUT, PURCHASE, RECURRING, REFUND, STATUS, Shop};

const TRANSACTIONS: &str = "SELECT COUNT(*) FROM gate_transactions";
const REFUNDS: &str = "SELECT COUNT(*) FROM refunds";

testkit::on_both_engines! {
    async fn another_service_signs_for_nothing_here(db) {
        let app = TestApp::start(&db).await;
        let own = Shop::open(&app).await;
        let sister = app.engine.create_storefront(app.scope(), "Sister".to_owned()).await.expect("a service");
        let sister = Shop::of_service(&app, sister.number, "default").await;
        let stranger = Shop::open(&app.another_merchant().await).await;
        let paid = own.sell("order-1", "10.00", crate::support::AT_ONCE).await;
        let mut terms = own.purchase("plan-1", "1.00");
        terms["recurring"] = json!({ "enabled": true, "cycle_days": 30 });
        own.call(RECURRING, &terms).await.expect(200);
        for other in [&sister, &stranger] {
            let mut body = other.purchase("order-2", "1.00");
            body["meta"]["service_id"] = json!(own.service);
            refused(other.call(PURCHASE, &body).await, 401, 401, Some("meta.signature"));
            let asked = json!({ "meta": { "transaction_uuid": paid } });
            refused(other.call(STATUS, &asked).await, 401, 401, Some("meta.signature"));
            // A service's own number beside another's uuid changes nothing.
            let asked = json!({ "meta": { "transaction_uuid": paid, "service_id": other.service } });
            refused(other.call(STATUS, &asked).await, 401, 401, Some("meta.signature"));
            refused(other.call(REFUND, &other.refund_of(&paid, "10.00", "x")).await, 401, 401, Some("meta.signature"));
            // Names are each service's own.
            let cancel = json!({ "meta": { "service_id": other.service, "payment_id": "plan-1" } });
            refused(other.call(CANCEL, &cancel).await, 404, 404, None);
            let same_name = other.buy("order-1", "3.00").await;
            assert_eq!(other.status(&same_name).await["amount"], "3.00");
        }
        assert_eq!(figure(&app, REFUNDS).await, 0);
        assert_eq!(figure(&app, TRANSACTIONS).await, 4);
        assert_eq!(own.status(&paid).await["status"], "success");
        app.assert_books().await;
    }

    async fn a_merchant_that_leaves_begins_nothing(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let paid = shop.sell("order-1", "10.00", crate::support::AT_ONCE).await;
        let open = shop.buy("order-2", "3.00").await;
        let by = engine::By { actor: engine::Actor::User(domain::id::UserId(Core([1; 12]))), request: "req_x".to_owned() };
        app.engine.begin_offboarding(app.scope().merchant, by.clone(), Default::default()).await.expect("leaves");
        let mut plan = shop.purchase("plan-1", "1.00");
        plan["recurring"] = json!({ "enabled": true, "cycle_days": 30 });
        for (path, body) in [
            (PURCHASE, shop.purchase("order-3", "1.00")),
            (RECURRING, plan),
        ] {
            refused(shop.call(path, &body).await, 403, 403, None);
        }
        // What was taken before is answered as before, and its state told.
        assert_eq!(shop.create(PURCHASE, &shop.purchase("order-2", "3.00")).await, open);
        assert_eq!(shop.status(&paid).await["status"], "success");
        shop.pay(&open, crate::support::AT_ONCE).await;
        assert_eq!(shop.status(&open).await["status"], "created");
        // It is wound up: money is given back and paid out.
        shop.call(REFUND, &shop.refund_of(&paid, "1.00", "x")).await.expect(200);
        shop.call(PAYOUT, &shop.payout("out-1", "1.00", "AT611904300234573201")).await.expect(200);
        app.engine.restore_merchant(app.scope().merchant, by).await.expect("stays");
        shop.pay(&open, crate::support::AT_ONCE).await;
        assert_eq!(shop.status(&open).await["status"], "success");
        assert_eq!(figure(&app, REFUNDS).await, 1);
        app.assert_books().await;
    }

    async fn numbers_open_nothing(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.buy("order-1", "1.00").await;
        let number = shop.status(&uuid).await["id"].clone();
        for id in [number.clone(), json!(number.to_string()), json!(0), json!(-1), json!(null), json!([uuid]), json!("../x")] {
            let asked = json!({ "meta": { "transaction_uuid": id } });
            refused(shop.call(STATUS, &asked).await, 422, 422, Some("meta.transaction_uuid"));
        }
        let unknown = json!({ "meta": { "transaction_uuid": "00000000-0000-4000-8000-000000000000" } });
        refused(shop.call(STATUS, &unknown).await, 404, 404, Some("meta.transaction_uuid"));
        for id in [0, -1, 9_999, i64::MAX] {
            let mut body = shop.purchase("order-2", "1.00");
            body["meta"]["service_id"] = json!(id);
            let answer = shop.call(PURCHASE, &body).await;
            assert!(matches!(answer.status.as_u16(), 404 | 422), "{}", answer.text);
        }
        // Capital letters name the same transaction.
        let asked = json!({ "meta": { "transaction_uuid": uuid.to_uppercase() } });
        assert_eq!(shop.call(STATUS, &asked).await.expect(200)["data"]["uuid"], uuid);
    }

    async fn a_disabled_service_takes_nothing_new_and_finishes_what_it_has(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let paid = shop.sell("order-1", "10.00", crate::support::AT_ONCE).await;
        let number = app.engine.create_storefront(app.scope(), "Closed".to_owned()).await.expect("a service").number;
        let disable = |s: &mut domain::storefront::Storefront| {
            s.status = domain::storefront::StorefrontStatus::Disabled;
        };
        app.engine.change_storefront(number, None, disable).await.expect("changed");
        let closed = Shop::of_service(&app, number, "default").await;
        refused(closed.call(PURCHASE, &closed.purchase("order-1", "1.00")).await, 422, 422, Some("meta.service_id"));
        let payout = closed.payout("payout-1", "1.00", "DE89370400440532013000");
        refused(closed.call(testkit::gate::PAYOUT, &payout).await, 422, 422, Some("meta.service_id"));
        // Its own transactions can still be asked about and refunded.
        app.engine.change_storefront(shop.service, None, disable).await.expect("changed");
        assert_eq!(shop.status(&paid).await["status"], "success");
        shop.call(REFUND, &shop.refund_of(&paid, "1.00", "x")).await.expect(200);
        assert_eq!(figure(&app, TRANSACTIONS).await, 1);
    }

    async fn live_mode_reaches_no_loopback_and_no_test_rows(db) {
        let app = TestApp::start(&db).await;
        let scope = Scope { merchant: app.merchant, mode: Mode::Live };
        let live = app.engine.storefronts().await.expect("services").into_iter().find(|s| s.scope == scope).expect("a live one");
        let live = Shop::of_service(&app, live.number, "default").await;
        let test = Shop::open(&app).await;
        let uuid = test.buy("order-1", "1.00").await;
        let asked = json!({ "meta": { "transaction_uuid": uuid } });
        refused(live.call(STATUS, &asked).await, 401, 401, Some("meta.signature"));
        for url in ["http://127.0.0.1:9/hook", "https://127.0.0.1/hook", "https://10.0.0.1/hook", "https://localhost/hook"] {
            let body = live.purchase_with_callback("order-1", "1.00", url);
            refused(live.call(PURCHASE, &body).await, 422, 422, Some("webhook.url"));
        }
    }
}
