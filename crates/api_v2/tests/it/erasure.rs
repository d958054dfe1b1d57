//! An erased customer is nowhere: not in a table, a file, a log or an answer. What was paid stays.

use crate::support::{Logs, assert_nowhere, id, rows};
use engine::events::Attempted;
use serde_json::{Value, json};
use testkit::gate::{PAYOUT, PURCHASE, RECURRING, Shop};
use testkit::{Db, TestApp};

const EMAIL: &str = "Ottilie.Zwiebelfisch@example.org";
const NAME: &str = "Ottilie Zwiebelfisch";
const PHONE: &str = "+49 30 90128845";
const STREET: &str = "Kastanienallee 4711";
const CARD_HOLDER: &str = "O. Z. Wiebelfisch";
const IBAN: &str = "DE89370400440532013000";

/// Everything that must be gone. The order's number stays, since it names nobody.
const PERSONAL: &[&str] =
    &[EMAIL, "Ottilie", "Zwiebelfisch", PHONE, STREET, CARD_HOLDER, "Geheimtipp", IBAN, "zwiebelfisch-pays"];

fn person() -> Vec<(&'static str, &'static str)> {
    vec![
        ("email", EMAIL),
        ("name", NAME),
        ("phone", PHONE),
        ("description", "Geheimtipp of the sales department"),
        ("address[line1]", STREET),
        ("address[country]", "DE"),
        ("shipping[name]", NAME),
        ("shipping[address][line1]", STREET),
        ("metadata[hint]", "Geheimtipp"),
    ]
}

/// A receiver's answer that repeats what it was told.
fn thanked(app: &TestApp, url: &str) -> Attempted {
    Attempted {
        url: url.to_owned(),
        started_at: app.engine.now(),
        duration_us: 1,
        result: Ok(200),
        response: Some(format!("thank you, {NAME}")),
        resent_from: None,
        retry_after: None,
    }
}

/// Sends what is due to every endpoint, and has it answered with words of the payload.
async fn deliver(app: &TestApp) {
    let render = testkit::event_renderer(app.urls.clone());
    for endpoint in app.engine.endpoints_with_due(100).await.expect("endpoints") {
        let claimed = app.engine.claim_deliveries(endpoint.id, 1_000, render.clone()).await.expect("claimed");
        for claimed in claimed {
            let attempted = thanked(app, &claimed.url);
            app.engine.settle_delivery(claimed.delivery.id, attempted, 0).await.expect("settled");
        }
    }
}

/// A customer with all that can be stored about one; its id, and the payments that took money.
async fn a_full_life(app: &TestApp) -> (String, Vec<String>) {
    let hook = [("url", "http://127.0.0.1:9009/hook"), ("enabled_events[]", "*")];
    app.post("/v2/webhook_endpoints", &hook).await.expect(201);
    let customer = id(&app.post_once("erased-1", "/v2/customers", &person()).await.expect(201));
    let path = format!("/v2/customers/{customer}");
    app.post(&path, &[("phone", "+49 30 90128845")]).await.expect(200);
    let holder = [
        ("type", "card"),
        ("card[token]", "tok_visa"),
        ("billing_details[name]", CARD_HOLDER),
        ("billing_details[email]", EMAIL),
        ("billing_details[address][line1]", STREET),
    ];
    let saved = id(&app.post("/v2/payment_methods", &holder).await.expect(201));
    app.post(&format!("/v2/payment_methods/{saved}/attach"), &[("customer", &customer)]).await.expect(200);
    let mut paid = Vec::new();
    let order = [
        ("customer", customer.as_str()),
        ("receipt_email", EMAIL),
        ("description", "for Ottilie Zwiebelfisch"),
        ("shipping[name]", NAME),
        ("shipping[address][line1]", STREET),
        ("metadata[order]", "order-4712"),
        ("metadata[note]", "call OTTILIE ZWIEBELFISCH first"),
        ("return_url", "https://shop.example/?who=Ottilie.Zwiebelfisch@example.org"),
    ];
    let first = app.pay(7_000, &saved, &order).await.expect(201);
    paid.push(id(&first));
    app.post("/v2/refunds", &[("payment_intent", &id(&first)), ("amount", "1000"), ("metadata[to]", NAME)])
        .await
        .expect(201);
    // Declined, waiting for a proof, reserved, and not begun.
    app.pay(2_000, "pm_card_chargeDeclined", &order).await.expect(402);
    let challenged = app.pay(3_000, "pm_card_threeDSecure2Required", &order).await.expect(201);
    assert_eq!(challenged["status"], "requires_action");
    let mut held = order.to_vec();
    held.push(("capture_method", "manual"));
    paid.push(id(&app.pay(4_000, "pm_card_visa", &held).await.expect(201)));
    let mut open = order.to_vec();
    open.retain(|(name, _)| *name != "return_url");
    open.extend([("amount", "5000"), ("currency", "eur")]);
    app.post_once("erased-2", "/v2/payment_intents", &open).await.expect(201);
    (customer, paid)
}

/// The same person as a payer on Gate: paid, open, recurring, and paid out to.
async fn on_gate(app: &TestApp) {
    let shop = Shop::open(app).await;
    let user = json!({ "email": EMAIL, "first_name": "Ottilie", "last_name": "Zwiebelfisch", "country": "DE",
        "address": STREET, "city": "Berlin", "phone": "+493090128845" });
    let bodies = ["gate-1", "gate-2"].map(|name| {
        let mut body = shop.purchase_with_callback(name, "20.00", "http://127.0.0.1:9009/gate");
        body["user"] = user.clone();
        body
    });
    let uuid = shop.create(PURCHASE, &bodies[0]).await;
    shop.pay(&uuid, "pm_card_bypassPending").await;
    shop.create(PURCHASE, &bodies[1]).await;
    let mut recurring = bodies[0].clone();
    recurring["meta"]["payment_id"] = json!("gate-3");
    recurring["recurring"] = json!({ "enabled": true, "cycle_days": 30 });
    shop.create(RECURRING, &recurring).await;
    let mut payout = shop.payout("gate-4", "5.00", IBAN);
    payout["user"] = user;
    payout["company"]["name"] = json!(NAME);
    shop.create(PAYOUT, &payout).await;
    app.run_due().await;
}

async fn assert_gone(db: &Db, app: &TestApp, logs: &Logs) {
    let mut texts: Vec<String> = PERSONAL.iter().map(|text| (*text).to_owned()).collect();
    texts.extend([EMAIL.to_lowercase(), NAME.to_uppercase()]);
    texts.push("+493090128845".to_owned());
    assert_nowhere(db, app, logs, &texts).await;
}

testkit::on_both_engines! {
    async fn nothing_of_a_person_is_left(db) {
        let logs = Logs::capture();
        let app = TestApp::start(&db).await;
        let (customer, paid) = a_full_life(&app).await;
        on_gate(&app).await;
        deliver(&app).await;
        let told = format!("{:?}", rows(&app).await);
        for text in [EMAIL, NAME, STREET, CARD_HOLDER] {
            assert!(told.contains(text), "{text} was stored, so the search means something");
        }
        let before = app.get("/v2/balance").await.expect(200);

        let path = format!("/v2/customers/{customer}");
        let erased = app.delete(&path).await.expect(200);
        assert_eq!(erased, json!({ "id": customer, "object": "customer", "deleted": true }));
        // At once for every reader.
        assert_eq!(app.get(&path).await.expect(200), erased);
        assert_eq!(app.get("/v2/customers").await.expect(200)["data"], json!([]));
        app.run_due().await;

        assert_gone(&db, &app, &logs).await;
        assert_eq!(app.get("/v2/balance").await.expect(200), before);
        for payment in &paid {
            let kept = app.get(&format!("/v2/payment_intents/{payment}")).await.expect(200);
            assert_eq!((&kept["customer"], &kept["metadata"]["order"]), (&json!(customer), &json!("order-4712")));
            assert!(kept["metadata"]["note"] == "[erased]" && kept["description"] == "[erased]", "{kept}");
            let charge = app.get(&format!("/v2/charges/{}", kept["latest_charge"].as_str().expect("a charge"))).await;
            assert_eq!(charge.expect(200)["payment_method_details"]["card"]["last4"], "4242");
        }
        // What nobody had paid is canceled; what is reserved can still be taken.
        let listed = app.get(&format!("/v2/payment_intents?customer={customer}&limit=100")).await.expect(200);
        let mut states: Vec<&str> =
            listed["data"].as_array().expect("a list").iter().filter_map(|p| p["status"].as_str()).collect();
        states.sort_unstable();
        assert_eq!(
            states,
            ["canceled", "canceled", "canceled", "canceled", "requires_capture", "succeeded", "succeeded"]
        );
        app.post(&format!("/v2/payment_intents/{}/capture", paid[1]), &[]).await.expect(200);
        let expanded = app.get(&format!("/v2/payment_intents/{}?expand[]=customer", paid[0])).await.expect(200);
        assert_eq!(expanded["customer"], erased);

        // Events are told again without the person, and a repeated request gets its answer without them.
        let events = app.get("/v2/events?limit=100").await.expect(200);
        let kinds: Vec<&Value> = events["data"].as_array().expect("a list").iter().map(|e| &e["type"]).collect();
        assert!(kinds.contains(&&json!("customer.deleted")) && kinds.contains(&&json!("customer.created")));
        for event in events["data"].as_array().expect("a list") {
            let again = app.post(&format!("/v2/events/{}/resend", event["id"].as_str().expect("an id")), &[]).await;
            assert!(matches!(again.status.as_u16(), 200 | 409), "{}", again.text);
        }
        deliver(&app).await;
        let repeated = app.post_once("erased-1", "/v2/customers", &person()).await;
        assert_eq!(repeated.header("idempotent-replayed"), Some("true"));
        let repeated = repeated.expect(201);
        assert_eq!((&repeated["id"], &repeated["email"]), (&json!(customer), &json!("[erased]")));
        assert!(!repeated.to_string().contains("Kastanienallee"), "{repeated}");

        // The customer takes part in nothing new.
        app.delete(&path).await.expect(200);
        app.post(&path, &[("name", "Again")]).await.expect_error(404, "invalid_request_error", Some("resource_missing"));
        let with = [("amount", "100"), ("currency", "eur"), ("customer", customer.as_str())];
        app.post("/v2/payment_intents", &with).await.expect(400);
        app.assert_books().await;
    }

    async fn words_of_ours_may_be_names(db) {
        let app = TestApp::start(&db).await;
        app.post("/v2/webhook_endpoints", &[("url", "http://127.0.0.1:9009/hook"), ("enabled_events[]", "*")]).await.expect(201);
        let stranger = [("email", "s@example.org"), ("name", "Sam"), ("address[line1]", "A 1"), ("metadata[k]", "v")];
        let stranger = app.post_once("stranger", "/v2/customers", &stranger).await;
        for name in ["Test", "Card", "customer", "succeeded", "Visa", "automatic", "pi_", "payment_intent", "true", "eur"] {
            let form = [("name", name), ("address[line1]", "card"), ("address[line2]", "12"), ("phone", "4242")];
            let customer = id(&app.post_once(&format!("c-{name}"), "/v2/customers", &form).await.expect(201));
            let order = [("customer", customer.as_str()), ("metadata[price]", "12.00"), ("capture_method", "manual"), ("description", name)];
            let held = id(&app.pay(500, "pm_card_visa", &order).await.expect(201));
            let open = [("amount", "100"), ("currency", "eur"), ("customer", &customer)];
            app.post_once(&format!("p-{name}"), "/v2/payment_intents", &open).await.expect(201);
            app.delete(&format!("/v2/customers/{customer}")).await.expect(200);
            app.run_due().await;
            let taken = app.post(&format!("/v2/payment_intents/{held}/capture"), &[]).await.expect(200);
            assert_eq!((&taken["metadata"]["price"], &taken["status"]), (&json!("12.00"), &json!("succeeded")), "{name}");
            let charge = app.get(&format!("/v2/charges/{}", taken["latest_charge"].as_str().expect("a charge"))).await.expect(200);
            let card = &charge["payment_method_details"]["card"];
            assert_eq!((&card["brand"], &card["last4"]), (&json!("visa"), &json!("4242")), "{name}");
            let again = app.post_once(&format!("p-{name}"), "/v2/payment_intents", &open).await.expect(201);
            assert_eq!((&again["object"], &again["status"]), (&json!("payment_intent"), &json!("requires_payment_method")), "{name}");
        }
        // Replies to others are what they were, byte by byte.
        let again = [("email", "s@example.org"), ("name", "Sam"), ("address[line1]", "A 1"), ("metadata[k]", "v")];
        assert_eq!(app.post_once("stranger", "/v2/customers", &again).await.text, stranger.text);
        // Everything can still be read and sent.
        for list in ["events", "payment_intents", "charges", "customers", "refunds"] {
            let mut path = format!("/v2/{list}?limit=100");
            loop {
                let page = app.get(&path).await.expect(200);
                let Some(last) = page["data"].as_array().and_then(|rows| rows.last()).filter(|_| page["has_more"] == true) else { break };
                path = format!("/v2/{list}?limit=100&starting_after={}", last["id"].as_str().expect("an id"));
            }
        }
        deliver(&app).await;
        app.assert_books().await;
    }

    async fn what_is_at_a_provider_is_gone_through_again(db) {
        let logs = Logs::capture();
        // Debits stay under way until they are asked about.
        let app = TestApp::with(&db, testkit::AppOptions { settle_us: domain::time::HOUR, ..Default::default() }).await;
        let customer = id(&app.post("/v2/customers", &person()).await.expect(201));
        let mut debits = Vec::new();
        for (iban, end) in [("AT321904300235473204", "succeeded"), ("AT861904300235473202", "canceled")] {
            let account = [
                ("type", "sepa_debit"), ("sepa_debit[iban]", iban), ("billing_details[name]", NAME),
                ("billing_details[email]", EMAIL), ("billing_details[address][line1]", STREET),
            ];
            let account = id(&app.post("/v2/payment_methods", &account).await.expect(201));
            let debit = [
                ("amount", "900"), ("currency", "eur"), ("customer", &customer), ("confirm", "true"),
                ("payment_method_types[]", "sepa_debit"), ("payment_method", &account), ("metadata[note]", NAME),
            ];
            let debit = app.post("/v2/payment_intents", &debit).await.expect(201);
            assert_eq!(debit["status"], "processing");
            debits.push((format!("/v2/payment_intents/{}", id(&debit)), account, end));
        }
        app.delete(&format!("/v2/customers/{customer}")).await.expect(200);
        app.run_due().await;
        assert_gone(&db, &app, &logs).await;
        for (path, ..) in &debits {
            assert_eq!(app.get(path).await.expect(200)["status"], "processing");
        }
        // One comes back, and with it a form that nobody may fill in any more.
        let engine = app.engine.clone();
        let later = engine.now();
        app.store.write(move |tx| tx.execute("UPDATE sandbox_charges SET settles_at = ?1", store::params![later])).await.expect("settled");
        app.run_waiting().await;
        app.run_erasures().await;
        for (path, account, end) in &debits {
            assert_eq!(app.get(path).await.expect(200)["status"], *end);
            app.get(&format!("/v2/payment_methods/{account}")).await.expect(404);
        }
        assert_gone(&db, &app, &logs).await;
        app.assert_books().await;
    }

    async fn nothing_hides_beside_the_customer(db) {
        let logs = Logs::capture();
        let app = TestApp::start(&db).await;
        let customer = id(&app.post("/v2/customers", &person()).await.expect(201));
        // A card that was taken from the customer again, and never paid.
        let holder = [("type", "card"), ("card[token]", "tok_visa"), ("billing_details[name]", CARD_HOLDER), ("billing_details[email]", EMAIL)];
        let detached = id(&app.post_once("m-1", "/v2/payment_methods", &holder).await.expect(201));
        app.post(&format!("/v2/payment_methods/{detached}/attach"), &[("customer", &customer)]).await.expect(200);
        app.post(&format!("/v2/payment_methods/{detached}/detach"), &[]).await.expect(200);
        // What another person said at the payment stands in its metadata too, and in addresses as browsers write them.
        let holder = [("type", "card"), ("card[token]", "tok_visa"), ("billing_details[name]", CARD_HOLDER), ("billing_details[phone]", PHONE)];
        let paying = id(&app.post("/v2/payment_methods", &holder).await.expect(201));
        let order = [("customer", customer.as_str()), ("metadata[who]", CARD_HOLDER), ("metadata[call]", "+4930 901-28845"),
            ("return_url", "https://shop.example/thanks?n=Ottilie+Zwiebelfisch&e=Ottilie.Zwiebelfisch%40example.org")];
        let paid = app.pay(1_000, &paying, &order).await.expect(201);
        // A reply of a request that no event tells of.
        let open = id(&app.post("/v2/payment_intents", &[("amount", "100"), ("currency", "eur"), ("customer", &customer)]).await.expect(201));
        let address = [("shipping[name]", NAME), ("shipping[address][line1]", STREET)];
        app.post_once("u-1", &format!("/v2/payment_intents/{open}"), &address).await.expect(200);
        // A key that has another owner by now must not be touched.
        let stranger = [("email", "stranger@example.org"), ("name", "Sam Stranger")];
        let stranger = app.post_once("Ottilie.Zwiebelfisch@example.org", "/v2/customers", &stranger).await.expect(201);
        app.delete(&format!("/v2/customers/{customer}")).await.expect(200);
        app.run_due().await;
        let seen = app.get(&format!("/v2/payment_intents/{}", id(&paid))).await.expect(200);
        assert_eq!(seen["metadata"], json!({ "who": "[erased]", "call": "[erased]" }));
        app.get(&format!("/v2/payment_methods/{detached}")).await.expect(404);
        for (key, path, form) in [
            ("u-1", format!("/v2/payment_intents/{open}"), address.to_vec()),
            ("m-1", "/v2/payment_methods".to_owned(), [("type", "card"), ("card[token]", "tok_visa"), ("billing_details[name]", CARD_HOLDER), ("billing_details[email]", EMAIL)].to_vec()),
        ] {
            let again = app.post_once(key, &path, &form).await;
            assert_eq!(again.header("idempotent-replayed"), Some("true"), "{}", again.text);
            for text in [EMAIL, NAME, STREET] {
                assert!(!again.text.contains(text), "{}", again.text);
            }
        }
        let known = app.get(&format!("/v2/customers/{}", id(&stranger))).await.expect(200);
        assert_eq!(known["name"], "Sam Stranger");
        let texts: Vec<String> = [NAME, STREET, CARD_HOLDER, PHONE].iter().map(|text| (*text).to_owned()).collect();
        assert_nowhere(&db, &app, &logs, &texts).await;
    }

    async fn an_answer_that_comes_late_is_not_kept(db) {
        let app = TestApp::start(&db).await;
        app.post("/v2/webhook_endpoints", &[("url", "http://127.0.0.1:9009/hook"), ("enabled_events[]", "*")]).await.expect(201);
        let customer = id(&app.post("/v2/customers", &person()).await.expect(201));
        let render = testkit::event_renderer(app.urls.clone());
        let endpoint = app.engine.endpoints_with_due(10).await.expect("endpoints").remove(0);
        let claimed = app.engine.claim_deliveries(endpoint.id, 10, render).await.expect("claimed").remove(0);
        app.delete(&format!("/v2/customers/{customer}")).await.expect(200);
        app.run_due().await;
        let attempted = thanked(&app, &claimed.url);
        app.engine.settle_delivery(claimed.delivery.id, attempted, 0).await.expect("settled");
        assert!(!format!("{:?}", rows(&app).await).contains(NAME));
    }

    async fn others_are_left_alone(db) {
        let app = TestApp::start(&db).await;
        let (mut form, mut other) = (person(), person());
        form[0].1 = "somebody@example.org";
        other[1].1 = "Somebody Else";
        let erased = id(&app.post("/v2/customers", &form).await.expect(201));
        let kept = id(&app.post("/v2/customers", &other).await.expect(201));
        let holder = [("billing_details[name]", NAME), ("type", "card"), ("card[token]", "tok_visa")];
        let method = id(&app.post("/v2/payment_methods", &holder).await.expect(201));
        app.post(&format!("/v2/payment_methods/{method}/attach"), &[("customer", &kept)]).await.expect(200);
        let paid = app.pay(100, &method, &[("customer", &kept), ("description", NAME)]).await.expect(201);
        let before = rows(&app).await;
        app.delete(&format!("/v2/customers/{erased}")).await.expect(200);
        app.run_due().await;
        let after = rows(&app).await;
        for table in ["payments", "attempts", "payment_methods", "refunds", "checkouts"] {
            assert_eq!(before[table], after[table], "{table}");
        }
        let seen = app.get(&format!("/v2/payment_intents/{}", id(&paid))).await.expect(200);
        assert_eq!(seen["description"], NAME);
        // Another merchant and the other mode know of nothing.
        let strange = app.another_merchant().await;
        strange.delete(&format!("/v2/customers/{kept}")).await.expect(404);
        app.as_key(&app.sk_live, http::Method::DELETE, &format!("/v2/customers/{kept}"), &[], None).await.expect(404);
        app.as_key(&app.pk, http::Method::DELETE, &format!("/v2/customers/{kept}"), &[], None).await.expect(403);
        app.delete("/v2/customers/cus_nothing").await.expect(404);
        assert_eq!(app.get(&format!("/v2/customers/{kept}")).await.expect(200)["email"], EMAIL);
    }
}
