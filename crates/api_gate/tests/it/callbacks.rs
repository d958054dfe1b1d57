//! What a shop is told, where, signed by what, and how often.

use crate::support::{AT_ONCE, DECLINED, allow_debts, figure, refused, shop_without_fees};
use api_gate::signature::{SignedBody, Variant};
use domain::gate_token::{PayloadDialect, SignVariant};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use store::{StoreError, Tx, Wake};
use testkit::gate::{CANCEL, PAYOUT, PURCHASE, RECURRING, REFUND, Shop};
use testkit::{Received, Receiver, TestApp};
use workers::{WorkerOptions, Workers};

fn work(app: &TestApp) -> Workers {
    let render = testkit::event_renderer(app.urls.clone());
    Workers::start(app.engine.clone(), outbound::Client::new(), render, WorkerOptions::default())
}

async fn sql(app: &TestApp, statement: &'static str) {
    let change = move |tx: &mut Tx<'_>| {
        tx.wake(Wake::Deliveries);
        tx.execute(statement, &[])
    };
    app.store.write::<_, StoreError, _>(change).await.expect("the statement runs");
}

/// Waits until the database says `wanted`.
async fn until(app: &TestApp, query: &'static str, wanted: i64) {
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        while figure(app, query).await != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{query} did not become {wanted}"));
}

#[track_caller]
fn verified(received: &Received, secret: &str) -> Value {
    let body = SignedBody::read(&received.body).expect("JSON that has one meaning");
    let proof = body.verify(&[secret.as_bytes()]);
    assert!(proof.is_ok(), "{proof:?}: {}", String::from_utf8_lossy(&received.body));
    received.json()
}

/// What a callback of 2025 tells: the transaction's status, or types and statuses of its operations.
fn told(body: &Value) -> String {
    if let Some(status) = body["data"]["transaction"]["status"].as_str() {
        return status.to_owned();
    }
    let operations = body["data"]["operations"].as_array().expect("operations").iter();
    let states = operations.map(|o| format!("{} {}", text(&o["type"]), text(&o["status"])));
    states.collect::<Vec<_>>().join(", ")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn sorted(received: &[Received], secret: &str) -> Vec<String> {
    let mut told: Vec<String> = received.iter().map(|r| told(&verified(r, secret))).collect();
    told.sort();
    told
}

testkit::on_both_engines! {
    async fn of_a_purchase_from_its_creation_to_its_refund(db) {
        let app = TestApp::start(&db).await;
        allow_debts(&app).await;
        let shop = Shop::open(&app).await;
        app.engine.change_storefront(shop.service, None, |s| s.surcharge = 54).await.expect("a cost");
        let receiver = Receiver::start().await;
        let workers = work(&app);
        let uuid = shop.create(PURCHASE, &shop.purchase_with_callback("order-1", "100.00", &receiver.url)).await;
        let created = receiver.wait_for(2).await;
        assert_eq!(sorted(&created, &shop.secret), ["created", "sale init"]);
        let body = created.iter().map(|r| verified(r, &shop.secret)).find(|b| !b["data"]["transaction"].is_null());
        let body = body.expect("one of the transaction");
        assert_eq!((&body["meta"]["payment_id"], &body["meta"]["service_id"]), (&json!("order-1"), &json!(shop.service)));
        let transaction = &body["data"]["transaction"];
        for (name, expected) in [
            ("uuid", json!(uuid)), ("amount", json!("100.00")), ("cost", json!("0.54")), ("cost_is_hidden", json!("no")),
            ("type", json!("purchase")), ("metadata", Value::Null), ("last_error_code", json!(0)),
            ("redirect_url", json!(format!("http://public.test/payment/{uuid}"))),
        ] {
            assert_eq!(transaction[name], expected, "{name}");
        }
        assert_eq!(text(&transaction["created_at"]).len(), "2025-01-29 23:44:10".len());
        assert_eq!(transaction["request"]["webhook"]["url"], json!(receiver.url));
        assert_eq!(transaction["service"]["fee_cost"], "0.54");
        assert_eq!(transaction["service"]["transactions_count"], 1);
        assert_eq!(transaction["operations"][0]["amount"], "100.54");
        assert_eq!(transaction["operations"][0]["errors"], Value::Null);
        assert!(!String::from_utf8_lossy(&created[0].body).contains(&shop.secret));

        shop.pay(&uuid, DECLINED).await;
        receiver.wait_for(5).await;
        shop.pay(&uuid, AT_ONCE).await;
        receiver.wait_for(8).await;
        shop.call(REFUND, &shop.refund_of(&uuid, "40.00", "x")).await.expect(200);
        shop.call(REFUND, &shop.refund_of(&uuid, "60.00", "x")).await.expect(200);
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE status <> 'succeeded'", 0).await;
        let all = sorted(&receiver.received(), &shop.secret);
        assert_eq!(all, [
            "created",
            "partially_refunded",
            "processing",
            "refunded",
            "sale external_error",
            "sale external_error, sale processing",
            "sale external_error, sale success",
            "sale external_error, sale success, refund processing",
            "sale external_error, sale success, refund success",
            "sale external_error, sale success, refund success, refund processing",
            "sale external_error, sale success, refund success, refund success",
            "sale init",
            "sale processing",
            "success",
        ]);
        // Each delivery has a row with its attempt.
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM deliveries WHERE kind = 'gate' AND attempts = 1").await, 14);
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM delivery_attempts").await, 14);
        let deliveries: std::collections::BTreeSet<String> =
            receiver.received().iter().map(|r| r.header("x-gate-delivery").to_owned()).collect();
        assert_eq!(deliveries.len(), 14);
        workers.stop().await;
        app.assert_books().await;
    }

    async fn of_payouts_and_recurring_ones_and_failures(db) {
        let app = TestApp::start(&db).await;
        let shop = shop_without_fees(&app).await;
        shop.sell("order-1", "10.00", AT_ONCE).await;
        let receiver = Receiver::start().await;
        let workers = work(&app);
        let with = |mut body: Value| {
            body["webhook"] = json!({ "url": receiver.url });
            body
        };
        shop.create(PAYOUT, &with(shop.payout("payout-1", "4.00", "DE89370400440532013000"))).await;
        refused(shop.call(PAYOUT, &with(shop.payout("payout-2", "400.00", "DE89370400440532013000"))).await, 422, 223, None);
        let mut plan = with(shop.purchase("plan-1", "1.00"));
        plan["recurring"] = json!({ "enabled": true, "cycle_days": 1 });
        shop.create(RECURRING, &plan).await;
        shop.call(CANCEL, &json!({ "meta": { "service_id": shop.service, "payment_id": "plan-1" } })).await.expect(200);
        receiver.wait_for(10).await;
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE status <> 'succeeded'", 0).await;
        assert_eq!(sorted(&receiver.received(), &shop.secret), [
            "canceled", "created", "created", "failed", "payout created", "payout internal_error", "payout success",
            "subscription init", "subscription internal_error", "success",
        ]);
        workers.stop().await;
    }

    async fn service_webhooks_get_every_transaction(db) {
        let app = TestApp::start(&db).await;
        let oldest = Shop::open(&app).await;
        let second = Shop::of_service(&app, oldest.service, "second").await;
        let [first_hook, second_hook, direct] = [Receiver::start().await, Receiver::start().await, Receiver::start().await];
        for hook in [&first_hook, &second_hook] {
            app.engine.create_service_webhook(oldest.service, hook.url.clone()).await.expect("a webhook");
        }
        let workers = work(&app);
        let mut body = second.purchase_with_callback("order-1", "1.00", &direct.url);
        body["webhook"]["token_name"] = json!("second");
        let uuid = second.create(PURCHASE, &body).await;
        let shown = second.call(CANCEL, &json!({ "meta": { "service_id": second.service, "payment_id": "order-1" } })).await;
        refused(shown, 422, 422, Some("meta.payment_id"));
        // The token that the request names signs what goes to its address; the oldest the rest.
        assert_eq!(sorted(&direct.wait_for(2).await, &second.secret), ["created", "sale init"]);
        for hook in [&first_hook, &second_hook] {
            let received = hook.wait_for(2).await;
            assert_eq!(sorted(&received, &oldest.secret), ["created", "sale init"]);
            let webhooks = received.iter().find_map(|r| r.json()["data"]["transaction"]["service"]["webhooks"].as_array().cloned());
            assert_eq!(webhooks.expect("webhooks").len(), 2);
        }
        // A removed webhook gets nothing more.
        let listed = app.engine.service_webhooks(oldest.service).await.expect("webhooks");
        let gone = listed.iter().find(|(_, e)| e.url == second_hook.url).expect("it").1.id;
        assert!(app.engine.delete_service_webhook(oldest.service, gone).await.expect("removed"));
        second.pay(&uuid, AT_ONCE).await;
        first_hook.wait_for(6).await;
        direct.wait_for(6).await;
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE status = 'pending'", 0).await;
        assert_eq!(second_hook.received().len(), 2);
        // Another service's webhook is not told.
        let sister = app.engine.create_storefront(app.scope(), "Sister".to_owned()).await.expect("a service").number;
        Shop::of_service(&app, sister, "default").await.buy("order-1", "1.00").await;
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM deliveries WHERE status = 'pending'").await, 0);
        workers.stop().await;
    }

    async fn an_operator_sees_callbacks_and_sends_one_again(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let [hook, direct] = [Receiver::start().await, Receiver::start().await];
        let webhook = app.engine.create_service_webhook(shop.service, hook.url.clone()).await.expect("a webhook");
        let workers = work(&app);
        let uuid = shop.create(PURCHASE, &shop.purchase_with_callback("order-1", "1.00", &direct.url)).await;
        hook.wait_for(2).await;
        direct.wait_for(2).await;
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE status = 'succeeded'", 4).await;
        let listed = app.engine.service_callbacks(shop.service, None, 10).await.expect("callbacks");
        for url in [&hook.url, &direct.url] {
            let mut tells: Vec<_> = listed.iter().filter(|c| c.url == *url).map(|c| c.event_type.as_str()).collect();
            tells.sort_unstable();
            assert_eq!(tells, ["gate.operation.updated", "gate.transaction.updated"], "{url}");
        }
        for callback in &listed {
            assert_eq!(callback.transaction.as_deref(), Some(uuid.as_str()));
            assert_eq!(callback.last.as_ref().and_then(|attempt| attempt.status), Some(200));
        }
        let failed = Some(domain::webhook::DeliveryStatus::Failed);
        assert!(app.engine.service_callbacks(shop.service, failed, 10).await.expect("callbacks").is_empty());
        assert_eq!(app.engine.service_callbacks(shop.service, None, 1).await.expect("callbacks").len(), 1);

        let again = listed.iter().find(|c| c.url == direct.url).expect("a direct one").delivery.id;
        app.engine.resend_callback(again).await.expect("sent again");
        let received = direct.wait_for(3).await;
        assert!(received[..2].iter().any(|earlier| earlier.body == received[2].body), "the same bytes");
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE status = 'succeeded' AND attempts = 2", 1).await;
        assert_eq!(hook.received().len(), 2);

        // What cannot be sent says why: a disabled webhook, and a delivery that is none of Gate's.
        sql(&app, "UPDATE webhook_endpoints SET status = 'disabled' WHERE kind = 'gate'").await;
        let of_webhook = listed.iter().find(|c| c.url == hook.url).expect("one of the webhook's").delivery.id;
        let refused = app.engine.resend_callback(of_webhook).await.expect_err("disabled");
        assert!(format!("{refused:?}").contains(&webhook.id.to_string()), "{refused:?}");
        sql(&app, "UPDATE deliveries SET kind = 'v2'").await;
        app.engine.resend_callback(again).await.expect_err("none of Gate's");
        workers.stop().await;
    }

    async fn dialects_and_variants(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let workers = work(&app);
        for (variant, dialect) in [
            (SignVariant::Folded, PayloadDialect::Y2025), (SignVariant::Raw, PayloadDialect::Y2025),
            (SignVariant::Folded, PayloadDialect::Y2026), (SignVariant::Raw, PayloadDialect::Y2026),
        ] {
            let name = format!("{variant} {dialect}");
            let (_, secret) = app.engine.create_token(shop.service, name.clone(), variant, dialect).await.expect("a token");
            let receiver = Receiver::start().await;
            let mut body = shop.purchase_with_callback(&name.replace(' ', "-"), "1.00", &receiver.url);
            body["webhook"]["token_name"] = json!(name);
            body["user"]["first_name"] = json!("Ada  Maria");
            // The service as cached may not know the token yet.
            let made = tokio::time::timeout(std::time::Duration::from_secs(60), async {
                while shop.call(PURCHASE, &body).await.status != 200 {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
            });
            made.await.expect("the new token is known");
            for received in receiver.wait_for(2).await {
                let callback = verified(&received, &secret);
                let proof = SignedBody::read(&received.body).expect("JSON").verify(&[secret.as_bytes()]).expect("signed");
                let expected = if variant == SignVariant::Raw { Variant::Raw } else { Variant::Folded };
                assert_eq!(proof.variant, expected);
                if dialect == PayloadDialect::Y2025 {
                    assert!(callback["transaction"].is_null() && callback["meta"]["reference_id"].is_null());
                } else {
                    assert_eq!(callback["meta"]["reference_id"], json!(name.replace(' ', "-")));
                    assert_eq!(callback["transaction"]["status"], "created");
                    if !callback["data"].is_null() {
                        assert_eq!(callback["data"]["operation"]["status"], "init");
                        assert_eq!(callback["data"]["operations"].as_array().map(Vec::len), Some(1));
                    }
                }
            }
        }
        workers.stop().await;
    }

    /// In the dialect of 2026 the operation on its own is the one that changed, not the newest.
    async fn the_changed_operation_stands_alone(db) {
        let app = TestApp::with(&db, testkit::AppOptions { settle_us: 0, ..Default::default() }).await;
        allow_debts(&app).await;
        let shop = Shop::open(&app).await;
        let made = app.engine.create_token(shop.service, "new".to_owned(), SignVariant::Folded, PayloadDialect::Y2026).await;
        let (_, secret) = made.expect("a token");
        let receiver = Receiver::start().await;
        let mut body = shop.purchase_with_callback("order-1", "10.00", &receiver.url);
        body["webhook"]["token_name"] = json!("new");
        let uuid = shop.create(PURCHASE, &body).await;
        shop.pay(&uuid, "pm_card_pendingRefund").await;
        let [first, second] = ["1.00", "2.00"];
        shop.call(REFUND, &shop.refund_of(&uuid, first, "x")).await.expect(200);
        shop.call(REFUND, &shop.refund_of(&uuid, second, "x")).await.expect(200);
        app.run_waiting().await;
        let workers = work(&app);
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE status <> 'succeeded'", 0).await;
        let mut ended: Vec<(String, String)> = receiver.received().iter().map(|r| verified(r, &secret))
            .filter(|b| !b["data"]["operation"].is_null())
            .map(|b| (text(&b["data"]["operation"]["amount"]).to_owned(), text(&b["data"]["operation"]["status"]).to_owned()))
            .filter(|(_, status)| status == "success")
            .collect();
        ended.sort();
        let ended: Vec<(&str, &str)> = ended.iter().map(|(a, s)| (a.as_str(), s.as_str())).collect();
        assert_eq!(ended, [("1.00", "success"), ("10.00", "success"), ("2.00", "success")]);
        workers.stop().await;
    }

    async fn a_retry_has_the_same_bytes_and_a_revoked_token_does_not_sign(db) {
        let app = TestApp::start(&db).await;
        let oldest = Shop::open(&app).await;
        let named = Shop::of_service(&app, oldest.service, "named").await;
        let receiver = Receiver::start().await;
        receiver.answer_with(&[500, 500]);
        let mut body = named.purchase_with_callback("order-1", "1.00", &receiver.url);
        body["webhook"]["token_name"] = json!("named");
        let uuid = named.create(PURCHASE, &body).await;
        let workers = work(&app);
        receiver.wait_for(2).await;
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE attempts = 1 AND status = 'pending' AND claimed_until = 0", 2).await;
        // What was rendered stays so, although the payment has moved on and the token is gone.
        assert!(app.engine.revoke_token(named.token).await.expect("revoked"));
        sql(&app, "UPDATE deliveries SET due_at = 0 WHERE status = 'pending'").await;
        let received = receiver.wait_for(4).await;
        let bodies: std::collections::BTreeSet<&[u8]> = received.iter().map(|r| r.body.as_slice()).collect();
        let ids: std::collections::BTreeSet<&str> = received.iter().map(|r| r.header("x-gate-delivery")).collect();
        assert_eq!((bodies.len(), ids.len()), (2, 2));
        assert_eq!(sorted(&received, &named.secret), ["created", "created", "sale init", "sale init"]);
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE status = 'succeeded' AND attempts = 2", 2).await;
        // What comes later is signed by the oldest valid one.
        oldest.pay(&uuid, AT_ONCE).await;
        let received = receiver.wait_for(8).await;
        assert_eq!(sorted(&received[4..], &oldest.secret), ["processing", "sale processing", "sale success", "success"]);
        workers.stop().await;
    }

    async fn without_a_token_nothing_is_sent_until_there_is_one(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let receiver = Receiver::start().await;
        shop.create(PURCHASE, &shop.purchase_with_callback("order-1", "1.00", &receiver.url)).await;
        assert!(app.engine.revoke_token(shop.token).await.expect("revoked"));
        let workers = work(&app);
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE status = 'pending' AND due_at > created_at + 1000000", 2).await;
        assert!(receiver.received().is_empty());
        let next = Shop::of_service(&app, shop.service, "next").await;
        sql(&app, "UPDATE deliveries SET due_at = 1").await;
        assert_eq!(sorted(&receiver.wait_for(2).await, &next.secret), ["created", "sale init"]);
        workers.stop().await;
    }

    async fn without_a_token_callbacks_are_given_up_in_the_end(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let receiver = Receiver::start().await;
        shop.create(PURCHASE, &shop.purchase_with_callback("order-1", "1.00", &receiver.url)).await;
        assert!(app.engine.revoke_token(shop.token).await.expect("revoked"));
        sql(&app, "UPDATE deliveries SET created_at = 1").await;
        let workers = work(&app);
        until(&app, "SELECT COUNT(*) FROM deliveries WHERE status = 'failed' AND attempts = 0", 2).await;
        assert!(receiver.received().is_empty());
        workers.stop().await;
    }

    async fn failures_of_a_direct_address_disable_nothing(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let [direct, own] = [Receiver::start().await, Receiver::start().await];
        direct.answer_with(&[410; 64]);
        own.answer_with(&[410]);
        let workers = work(&app);
        let body = shop.purchase_with_callback("order-1", "1.00", &direct.url);
        let uuid = shop.create(PURCHASE, &body).await;
        direct.wait_for(2).await;
        shop.pay(&uuid, AT_ONCE).await;
        direct.wait_for(6).await;
        sql(&app, "UPDATE webhook_endpoints SET failing_since = 1").await;
        sql(&app, "UPDATE deliveries SET due_at = 0 WHERE status = 'pending'").await;
        direct.wait_for(12).await;
        until(&app, "SELECT COUNT(*) FROM delivery_attempts WHERE status = 410", 12).await;
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM webhook_endpoints WHERE status <> 'enabled'").await, 0);
        // A service's own webhook that is gone is no longer sent to.
        app.engine.create_service_webhook(shop.service, own.url.clone()).await.expect("a webhook");
        shop.buy("order-2", "1.00").await;
        own.wait_for(1).await;
        until(&app, "SELECT COUNT(*) FROM webhook_endpoints WHERE status = 'disabled'", 1).await;
        let listed = app.engine.service_webhooks(shop.service).await.expect("webhooks");
        assert!(listed.iter().all(|(_, e)| e.status == domain::webhook::EndpointStatus::Disabled));
        workers.stop().await;
    }

    async fn many_first_callbacks_to_one_address_at_once(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let receiver = Receiver::start().await;
        let answers = crate::support::join_all((0..30).map(|n| {
            let (shop, body) = (shop.clone(), shop.purchase_with_callback(&format!("order-{n}"), "1.00", &receiver.url));
            async move { shop.call(PURCHASE, &body).await }
        })).await;
        for answer in answers {
            answer.expect(200);
        }
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM webhook_endpoints").await, 1);
        let workers = work(&app);
        receiver.wait_for(60).await;
        workers.stop().await;
    }

    /// Only so many addresses queue apart; what goes to further ones arrives all the same.
    async fn callbacks_to_many_addresses(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let receiver = Receiver::start().await;
        for n in 0..70 {
            let url = format!("https://shop-{n}.example/callback");
            shop.create(PURCHASE, &shop.purchase_with_callback(&format!("order-{n}"), "1.00", &url)).await;
        }
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM webhook_endpoints").await, 65);
        sql(&app, "UPDATE deliveries SET status = 'failed'").await;
        shop.create(PURCHASE, &shop.purchase_with_callback("last", "1.00", &receiver.url)).await;
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM webhook_endpoints").await, 65);
        let workers = work(&app);
        assert_eq!(sorted(&receiver.wait_for(2).await, &shop.secret), ["created", "sale init"]);
        workers.stop().await;
    }

    async fn addresses_that_callbacks_may_not_reach(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        for url in [
            "https://10.0.0.1/hook", "https://192.168.1.1/hook", "https://169.254.169.254/latest/meta-data", "https://0.0.0.0/x",
            "https://[::ffff:10.0.0.1]/hook", "https://[fd00::1]/hook", "http://shop.example/hook", "ftp://shop.example/hook",
            "https://shop.example:25/hook", "https://u:p@shop.example/hook", "https://metadata.google.internal./hook#x",
            "https://2852039166/hook", "//shop.example/hook", "https://",
        ] {
            let body = shop.purchase_with_callback("order-1", "1.00", url);
            let answer = shop.call(PURCHASE, &body).await;
            refused(answer, 422, 422, Some("webhook.url"));
            assert!(app.engine.create_service_webhook(shop.service, url.to_owned()).await.is_err(), "{url}");
        }
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM gate_transactions").await, 0);
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM webhook_endpoints").await, 0);
    }

    /// Real PHP finds the signatures good that our callbacks carry, over bodies that hold what shops send.
    async fn php_verifies_them(db) {
        let php = std::env::var_os("PAYMENTGATE_PHP").expect("PAYMENTGATE_PHP is not set: run cargo xtask test");
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let receiver = Receiver::start().await;
        let workers = work(&app);
        let mut body = shop.purchase_with_callback("order-1", "1.00", &receiver.url);
        body["payment"]["price"] = json!(12.32);
        body["user"]["first_name"] = json!("Zoë  \u{1f511} \"O'Neil\"");
        body["additional_data"] = json!({
            "10": 1, "007": [], "9": {}, "list": [1.5, -0.0, 1e20, 100.0, null, true, "  a \t b  "],
            "long": (0..12).collect::<Vec<_>>(), "big": 9_007_199_254_740_993_i64,
        });
        body["order"] = json!([{ "textual": "Tava skr\u{113}jiena <b>15.00</b><br />", "price": 12.32, "currency": "EUR" }]);
        let uuid = shop.create(PURCHASE, &body).await;
        shop.pay(&uuid, AT_ONCE).await;
        let received = receiver.wait_for(6).await;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/php/compare.php");
        let mut child = Command::new(php).arg(script).arg(&shop.secret)
            .stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("php starts");
        let mut pipe = child.stdin.take().expect("piped");
        for callback in &received {
            pipe.write_all(&callback.body).expect("written");
            pipe.write_all(b"\n").expect("written");
        }
        drop(pipe);
        let said = child.wait_with_output().expect("php ends");
        let said = String::from_utf8(said.stdout).expect("text");
        let judged: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(judged.len(), 6, "{said}");
        assert!(judged.iter().all(|j| j["verified"] == true), "{said}");
        workers.stop().await;
    }
}
