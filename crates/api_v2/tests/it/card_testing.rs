//! Somebody tries stolen cards with a publishable key or on a payment page.

use crate::support::{FORM, assert_clean, data, id, join_all, request};
use domain::audit::AuditKind;
use domain::currency::Currency;
use domain::payment::PaymentStatus;
use engine::MethodInput;
use engine::checkouts::Submission;
use engine::gate::{GateService, NewTransaction, Payer};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use store::audit::AuditFilter;
use testkit::{Answer, AppOptions, Db, Receiver, TestApp, form_body};
use web::card_testing::Settings;
use workers::{WorkerOptions, Workers};

/// With the bounds that a gateway has when nothing is set.
async fn guarded(db: &Db, card_testing: Settings) -> TestApp {
    TestApp::with(db, AppOptions { card_testing, ..AppOptions::default() }).await
}

/// A payer's request: with the publishable key, from this address.
async fn payer(app: &TestApp, ip: &str, path: &str, form: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {}", app.pk);
    let mut request = request(app, "POST", path, &[("authorization", &bearer), FORM], form_body(form));
    let ip: IpAddr = ip.parse().expect("an address");
    request.extensions_mut().insert(web::Peer(SocketAddr::from((ip, 4_000))));
    app.send(request).await
}

/// A valid number that no sandbox card has.
fn number(n: u32) -> String {
    let digits = format!("47000{n:010}");
    let odd = |(i, c): (usize, char)| {
        let digit = c.to_digit(10).expect("a digit") * if i % 2 == 0 { 2 } else { 1 };
        digit / 10 + digit % 10
    };
    let sum: u32 = digits.chars().enumerate().map(odd).sum();
    format!("{digits}{}", (10 - sum % 10) % 10)
}

async fn tokenise(app: &TestApp, ip: &str, number: &str) -> Answer {
    let form = [
        ("type", "card"),
        ("card[number]", number),
        ("card[exp_month]", "12"),
        ("card[exp_year]", "2034"),
        ("card[cvc]", "123"),
    ];
    payer(app, ip, "/v2/payment_methods", &form).await
}

async fn new_payment(app: &TestApp) -> (String, String) {
    let payment =
        app.post("/v2/payment_intents", &[("amount", "100"), ("currency", "eur")]).await.expect(201);
    (id(&payment), payment["client_secret"].as_str().expect("a secret").to_owned())
}

/// Confirms a payment with a card typed into a form.
async fn try_card(app: &TestApp, ip: &str, (id, secret): &(String, String), number: &str) -> Answer {
    let form = [
        ("client_secret", secret.as_str()),
        ("payment_method_data[type]", "card"),
        ("payment_method_data[card][number]", number),
        ("payment_method_data[card][exp_month]", "12"),
        ("payment_method_data[card][exp_year]", "2034"),
        ("payment_method_data[card][cvc]", "123"),
    ];
    payer(app, ip, &format!("/v2/payment_intents/{id}/confirm"), &form).await
}

/// A refusal by any of the bounds.
#[track_caller]
fn assert_held(answer: Answer) -> Value {
    assert_clean(&answer, "held");
    assert_eq!(answer.header("retry-after"), Some("600"));
    let mut error = answer.expect_error(429, "rate_limit_exceeded", Some("card_testing_suspected"));
    error["request_id"] = Value::Null;
    error
}

fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|a| a.status.as_u16()).collect()
}

/// What a publishable key sees of a decline, without what differs between any two payments.
fn seen(answer: Answer) -> Value {
    let mut body = answer.json;
    let error = &mut body["error"];
    error["request_id"] = Value::Null;
    for name in ["id", "client_secret", "created"] {
        error["payment_intent"][name] = Value::Null;
    }
    body
}

async fn purchase(app: &TestApp, reference: &str) -> String {
    let all = app.engine.storefronts().await.expect("services");
    let storefront = all.into_iter().find(|s| s.scope == app.scope()).expect("the merchant's own");
    let service = GateService { storefront, tokens: Vec::new() };
    let new = NewTransaction {
        payment_id: reference.to_owned(),
        amount: 1_000,
        currency: Currency::EUR,
        payer: Payer {
            email: "payer@example.com".to_owned(),
            name: "A Payer".to_owned(),
            ..Payer::default()
        },
        details: domain::checkout::CheckoutDetails::default(),
        callback_url: None,
        token: None,
        method: None,
        recurring: None,
        request: "{}".to_owned(),
        digest: [1; 32],
        request_id: "req_1".to_owned(),
    };
    app.engine.create_gate_purchase(&service, new).await.expect("a purchase").uuid
}

testkit::on_both_engines! {
    async fn five_hundred_cards_through_one_page_end_it_after_five(db) {
        let app = TestApp::start(&db).await;
        let code = purchase(&app, "order-1").await;
        let mut tries = 0;
        for n in 0..500 {
            let input = MethodInput::ReadyMade("pm_card_chargeDeclined");
            let made = app.engine.tokenise(app.scope(), &input).await.expect("a card");
            let method = app.engine.new_method(app.scope(), made, Default::default(), Vec::new());
            let sent = Submission { form: format!("form-{n}"), method, request_id: "req_1".to_owned() };
            let after = app.engine.pay_checkout(code.clone(), sent).await.expect("a page");
            tries = after.payment.attempts;
            let ended = after.payment.status == PaymentStatus::Canceled;
            assert_eq!(ended, n >= 4, "after {} tries: {:?}", n + 1, after.payment.status);
            assert_eq!(after.payable(), !ended);
        }
        assert_eq!(tries, 5);
        let query = AuditFilter::default();
        assert!(engine::audit::list(&app.store, query, 1_000).await.expect("listed").iter().all(|e| e.kind != AuditKind::CardTestingSuspected));
        app.assert_books().await;
    }

    async fn one_network_tries_ten_cards_an_hour(db) {
        // Whatever the breaker would do, and on any number of payments and methods.
        let app = guarded(&db, Settings { breaker: false, ..Settings::default() }).await;
        let other = app.another_merchant().await;
        let payments = [new_payment(&app).await, new_payment(&app).await, new_payment(&other).await];
        let mut answers = Vec::new();
        for n in 0..500 {
            let (at, payment) = if n % 5 == 4 { (&other, &payments[2]) } else { (&app, &payments[n as usize % 2]) };
            let ip = format!("203.0.113.{}", n % 50);
            answers.push(match n % 2 {
                0 => tokenise(at, &ip, &number(n)).await,
                _ => try_card(at, &ip, payment, &number(n)).await,
            });
        }
        let expected: Vec<u16> = (0..500).map(|n| if n < 10 { 402 } else { 429 }).collect();
        assert_eq!(statuses(&answers), expected);
        let texts: BTreeSet<String> = answers.into_iter().skip(10).map(|a| assert_held(a).to_string()).collect();
        assert_eq!(texts.len(), 1, "one answer for all: {texts:?}");
        // Other networks pay on, and so does the secret key from this one.
        let paid = try_card(&app, "203.0.114.1", &payments[0], "4242424242424242").await.expect(200);
        assert_eq!(paid["status"], "succeeded");
        app.pay(100, "pm_card_visa", &[]).await.expect(201);
        // An address of its own for each card, within one /64.
        let rotated = join_all((0..60).map(|n| {
            let app = app.clone();
            async move { tokenise(&app, &format!("2001:db8:0:9:{n:x}::{n:x}"), &number(1_000 + n)).await }
        }));
        let rotated = rotated.await;
        assert_eq!(rotated.iter().filter(|a| a.status.as_u16() == 402).count(), 10);
        rotated.into_iter().filter(|a| a.status.as_u16() != 402).for_each(|a| drop(assert_held(a)));
        app.assert_books().await;
    }

    async fn a_proxy_is_no_network(db) {
        let app = guarded(&db, Settings { breaker: false, ..Settings::default() }).await;
        for n in 0..12 {
            tokenise(&app, "127.0.0.1", &number(n)).await.expect(402);
        }
    }

    async fn a_flood_opens_the_breaker_and_the_merchant_is_told(db) {
        let app = guarded(&db, Settings::default()).await;
        let receiver = Receiver::start().await;
        let hook = [("url", receiver.url.as_str()), ("enabled_events[]", "account.*")];
        app.post("/v2/webhook_endpoints", &hook).await.expect(201);
        let stolen = ["4000000000000002", "4000000000009995", "4000000000009987", "4000000000009979"];
        let payments = [new_payment(&app).await, new_payment(&app).await];
        let mut answers = Vec::new();
        for n in 0..30_usize {
            let ip = format!("198.51.{n}.1");
            let (payment, card) = (&payments[n % 2], stolen[n % 4]);
            // Making the method first must not hide the declines.
            let answer = match n % 3 {
                0 => try_card(&app, &ip, payment, card).await,
                _ => {
                    let made = tokenise(&app, &ip, card).await;
                    if made.status.as_u16() == 429 {
                        answers.push(made);
                        continue;
                    }
                    let method = id(&made.expect(201));
                    let form = [("client_secret", payment.1.as_str()), ("payment_method", &method)];
                    payer(&app, &ip, &format!("/v2/payment_intents/{}/confirm", payment.0), &form).await
                }
            };
            answers.push(answer);
        }
        let expected: Vec<u16> = (0..30).map(|n| if n < 13 { 402 } else { 429 }).collect();
        assert_eq!(statuses(&answers), expected, "it opens within twenty tries");
        let held: BTreeSet<String> = answers.into_iter().skip(13).map(|a| assert_held(a).to_string()).collect();
        assert_eq!(held.len(), 1);
        // A good card is held up too; the secret key and other merchants are not.
        assert_held(try_card(&app, "192.0.2.1", &payments[0], "4242424242424242").await);
        app.pay(100, "pm_card_visa", &[]).await.expect(201);
        app.post(&format!("/v2/payment_intents/{}/confirm", payments[0].0), &[("payment_method", "pm_card_visa")]).await.expect(200);
        let other = app.another_merchant().await;
        let payment = new_payment(&other).await;
        try_card(&other, "192.0.2.1", &payment, "4242424242424242").await.expect(200);

        // Told once: one event, one row of the audit log, one delivery.
        let events = app.get("/v2/events?type=account.card_testing_suspected").await.expect(200);
        assert_eq!(data(&events).len(), 1);
        let alert = &data(&events)[0]["data"]["object"];
        let opened_at = alert["opened_at"].as_i64().expect("a time");
        let expected = json!({"object": "card_testing_alert", "declines": 13, "livemode": false, "open_until": opened_at + 600, "opened_at": opened_at, "tries": 13});
        assert_eq!(*alert, expected);
        let client = outbound::Client::new();
        let workers = Workers::start(app.engine.clone(), client, testkit::event_renderer(app.urls.clone()), WorkerOptions::default());
        let received = receiver.wait_for(1).await;
        workers.stop().await;
        assert_eq!(received.len(), 1);
        assert_eq!((&received[0].json()["id"], &received[0].json()["data"]["object"]), (&data(&events)[0]["id"], &expected));
        let kind = Some(AuditKind::CardTestingSuspected);
        let rows = engine::audit::list(&app.store, AuditFilter { kind, ..AuditFilter::default() }, 10).await.expect("listed");
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].merchant, rows[0].actor.as_str()), (Some(app.merchant), "gateway"));
        assert!(rows[0].detail.starts_with("13 of the latest 13 tries"), "{}", rows[0].detail);
        app.assert_books().await;
    }

    async fn good_payers_do_not_open_it(db) {
        let app = guarded(&db, Settings { tries: None, ..Settings::default() }).await;
        for n in 0..30 {
            let card = if n % 2 == 0 { "4242424242424242" } else { "4000000000000002" };
            let payment = new_payment(&app).await;
            let answer = try_card(&app, &format!("198.51.{n}.1"), &payment, card).await;
            assert_eq!(answer.status.as_u16(), if n % 2 == 0 { 200 } else { 402 }, "{}", answer.text);
        }
    }

    async fn a_publishable_key_sees_one_decline(db) {
        let app = TestApp::start(&db).await;
        let reasons = [
            ("4000000000000127", "incorrect_cvc", None),
            ("4000000000000069", "expired_card", None),
            ("4000000000009979", "card_declined", Some("stolen_card")),
            ("4000000000009987", "card_declined", Some("lost_card")),
            ("4000000000009995", "card_declined", Some("insufficient_funds")),
            ("4000000000000002", "card_declined", Some("generic_decline")),
            ("4000000000000119", "processing_error", None),
            ("4100000000000019", "card_declined", Some("fraudulent")),
        ];
        let mut bodies = BTreeSet::new();
        let mut objects = BTreeSet::new();
        for (card, code, reason) in reasons {
            let payment = new_payment(&app).await;
            let began = Instant::now();
            let answer = try_card(&app, "192.0.2.1", &payment, card).await;
            assert!(began.elapsed() >= Duration::from_millis(300), "{card} was answered early");
            let error = answer.clone().expect_error(402, "card_error", Some("card_declined"));
            assert_eq!((error.get("decline_code"), error.get("param"), error.get("charge")), (None, None, None));
            bodies.insert(seen(answer).to_string());
            let path = format!("/v2/payment_intents/{}", payment.0);
            let shown = app.as_key(&app.pk, http::Method::GET, &format!("{path}?client_secret={}", payment.1), &[], None).await;
            objects.insert(shown.expect(200)["last_payment_error"].to_string());
            // The merchant sees all of it.
            let full = app.get(&path).await.expect(200)["last_payment_error"].clone();
            assert_eq!((full["code"].as_str(), full["decline_code"].as_str()), (Some(code), reason), "{card}");
        }
        assert_eq!(bodies.len(), 1, "{bodies:#?}");
        assert_eq!(objects.len(), 1, "{objects:#?}");

        // A number that is refused before it is tried: the same words, names and time.
        let payment = new_payment(&app).await;
        let began = Instant::now();
        let answer = try_card(&app, "192.0.2.1", &payment, &number(7)).await;
        assert!(began.elapsed() >= Duration::from_millis(300));
        let (unknown, usual) = (seen(answer), bodies.first().expect("one"));
        let usual: Value = serde_json::from_str(usual).expect("JSON");
        let names = |error: &Value| error.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&unknown["error"]), names(&usual["error"]));
        assert_eq!(names(&unknown["error"]["payment_intent"]), names(&usual["error"]["payment_intent"]));
        assert_eq!((&unknown["error"]["code"], &unknown["error"]["message"]), (&usual["error"]["code"], &usual["error"]["message"]));
        let began = Instant::now();
        let refused = tokenise(&app, "192.0.2.1", &number(7)).await.expect_error(402, "card_error", Some("card_declined"));
        assert!(began.elapsed() >= Duration::from_millis(300));
        assert_eq!((&refused["message"], refused.get("param"), refused.get("decline_code")), (&usual["error"]["message"], None, None));
        // What anybody can compute stays told, and so does what the payer has to do.
        let wrong = tokenise(&app, "192.0.2.1", "4242424242424241").await.expect_error(402, "card_error", Some("incorrect_number"));
        assert_eq!(wrong["param"], "card[number]");
        let form = [("client_secret", payment.1.as_str()), ("payment_method", "pm_card_authenticationRequired"), ("error_on_requires_action", "true")];
        payer(&app, "192.0.2.1", &format!("/v2/payment_intents/{}/confirm", payment.0), &form).await
            .expect_error(402, "card_error", Some("authentication_required"));
        // A method shows no checks to whoever made it with a publishable key.
        let made = tokenise(&app, "192.0.2.1", "4000000000000101").await.expect(201);
        assert_eq!(made["card"]["checks"]["cvc_check"], Value::Null);
        assert_eq!(app.get(&format!("/v2/payment_methods/{}", id(&made))).await.expect(200)["card"]["checks"]["cvc_check"], "fail");
    }

    async fn one_card_over_many_merchants(db) {
        let app = guarded(&db, Settings { cards: None, ..Settings::default() }).await;
        let merchants = [app.clone(), app.another_merchant().await, app.another_merchant().await];
        let mut answers = Vec::new();
        for n in 0..24 {
            let at = &merchants[n % 3];
            let payment = new_payment(at).await;
            answers.push(try_card(at, &format!("198.51.{n}.1"), &payment, "4242424242424242").await);
        }
        let expected: Vec<u16> = (0..24).map(|n| if n < 20 { 200 } else { 429 }).collect();
        assert_eq!(statuses(&answers), expected);
        let held: BTreeSet<String> = answers.into_iter().skip(20).map(|a| assert_held(a).to_string()).collect();
        assert_eq!(held.len(), 1);
        // A merchant that has never seen the card gets the same answer, and other cards pay.
        let fresh = app.another_merchant().await;
        let payment = new_payment(&fresh).await;
        assert_eq!(held, BTreeSet::from([assert_held(try_card(&fresh, "198.51.99.1", &payment, "4242424242424242").await).to_string()]));
        try_card(&fresh, "198.51.99.1", &payment, "5555555555554444").await.expect(200);
    }

    async fn a_repetition_is_no_try(db) {
        let app = guarded(&db, Settings { tries: Some(1), breaker: false, ..Settings::default() }).await;
        let (payment, secret) = new_payment(&app).await;
        let method = id(&tokenise(&app, "192.0.2.1", "4242424242424242").await.expect(201));
        let path = format!("/v2/payment_intents/{payment}/confirm");
        let form = [("client_secret", secret.as_str()), ("payment_method", &method)];
        let first = app.as_key(&app.pk, http::Method::POST, &path, &form, Some("k")).await;
        for _ in 0..5 {
            let again = app.as_key(&app.pk, http::Method::POST, &path, &form, Some("k")).await;
            assert_eq!((again.header("idempotent-replayed"), &again.text), (Some("true"), &first.text));
        }
        assert_eq!(first.expect(200)["status"], "succeeded");
        let another = new_payment(&app).await;
        assert_held(try_card(&app, "192.0.2.1", &another, "4242424242424242").await);
        // A bank account is no card.
        let debit = new_payment(&app).await;
        app.post(&format!("/v2/payment_intents/{}", debit.0), &[("payment_method_types[]", "sepa_debit")]).await.expect(200);
        let form = [("client_secret", debit.1.as_str()), ("payment_method", "pm_sepa_debit_success")];
        payer(&app, "192.0.2.1", &format!("/v2/payment_intents/{}/confirm", debit.0), &form).await.expect(200);
    }
}
