//! Two merchants in one database see nothing of each other.

use crate::support::{Refused, assert_refused, assert_same_rows, bad_form, data, id, rows, send};
use api_v2::routes::ROUTES;
use domain::id::{ClockId, Core, CustomerId, PaymentId, PaymentMethodId, WebhookEndpointId};
use serde_json::Value;
use testkit::{Answer, TestApp, form_body};

fn nobody() -> Core {
    Core::new(1_700_000_000_000, [7; 6])
}

/// The error without what names the request and the object.
fn told(answer: Answer, named: &str) -> String {
    let request = answer.json["error"]["request_id"].as_str().expect("an id").to_owned();
    answer.text.replace(&request, "").replace(named, "")
}

async fn charge_of(app: &TestApp, payment: &Value) -> String {
    let payment = app.get(&format!("/v2/payment_intents/{}", id(payment))).await.expect(200);
    payment["latest_charge"].as_str().expect("a charge").to_owned()
}

/// What an account that leaves still does beside reading.
const WINDING_UP: &[(&str, &str)] = &[
    ("POST", "/payment_intents/{id}/cancel"),
    ("POST", "/payment_intents/{id}/capture"),
    ("POST", "/payouts"),
    ("POST", "/payouts/{id}/cancel"),
    ("POST", "/bank_accounts"),
    ("POST", "/refunds"),
    ("DELETE", "/customers/{id}"),
];

testkit::on_both_engines! {
    async fn an_account_that_leaves_is_read_and_wound_up(db) {
        let app = TestApp::start(&db).await;
        let paid = app.pay(1000, "pm_card_bypassPending", &[]).await.expect(201);
        let by = engine::By { actor: engine::Actor::User(domain::id::UserId(nobody())), request: "req_x".to_owned() };
        app.engine.begin_offboarding(app.scope().merchant, by, Default::default()).await.expect("leaves");
        for route in ROUTES.iter().filter(|route| route.method != "GET") {
            let path = format!("/v2{}", route.path.replace("{id}", &id(&paid)));
            let answer = app.as_key(&app.sk, route.method.parse().expect("a method"), &path, &[], None).await;
            let refused = answer.json["error"]["code"] == "account_offboarding";
            assert_eq!(refused, !WINDING_UP.contains(&(route.method, route.path)), "{} {path}: {}", route.method, answer.text);
        }
        app.post("/v2/refunds", &[("payment_intent", &id(&paid)), ("amount", "100")]).await.expect(201);
        app.get("/v2/customers").await.expect(200);
        app.assert_books().await;
    }

    async fn references_to_others_do_not_exist(db) {
        let app = TestApp::start(&db).await;
        let other = app.another_merchant().await;
        let customer = id(&other.post("/v2/customers", &[]).await.expect(201));
        let method = id(&other.post("/v2/payment_methods/pm_card_visa/attach", &[("customer", &customer)]).await.expect(200));
        let loose = id(&other.post("/v2/payment_methods", &[("type", "card"), ("card[token]", "tok_visa")]).await.expect(201));
        let clock = id(&other.post("/v2/test_helpers/test_clocks", &[("frozen_time", "1790000000")]).await.expect(201));
        let paid = other.pay(1000, "pm_card_visa", &[]).await.expect(201);
        let charge = charge_of(&other, &paid).await;
        let hook = id(&other.post("/v2/webhook_endpoints", &[("url", "https://example.com/h"), ("enabled_events[]", "*")]).await.expect(201));
        let own_customer = id(&app.post("/v2/customers", &[]).await.expect(201));
        let own_method = id(&app.post("/v2/payment_methods/pm_card_visa/attach", &[("customer", &own_customer)]).await.expect(200));
        let own = id(&app.post("/v2/payment_intents", &[("amount", "100"), ("currency", "eur")]).await.expect(201));
        let own_event = id(&data(&app.get("/v2/events").await.expect(200))[0]);
        let (pay, intent, confirm) = ("/v2/payment_intents".to_owned(), format!("/v2/payment_intents/{own}"), format!("/v2/payment_intents/{own}/confirm"));
        let base = [("amount", "100"), ("currency", "eur")];
        let with = |name, value| [&base[..], &[(name, value)]].concat();
        let unknown = [CustomerId(nobody()).to_string(), PaymentMethodId(nobody()).to_string(), ClockId(nobody()).to_string(), PaymentId(nobody()).to_string(), domain::id::AttemptId(nobody()).to_string(), WebhookEndpointId(nobody()).to_string()];
        let [no_customer, no_method, no_clock, no_payment, no_charge, no_hook] = unknown.each_ref().map(String::as_str);
        let paid_id = id(&paid);
        type Form<'a> = Vec<(&'a str, &'a str)>;
        let cases: Vec<(String, &str, &str, &str, Form<'_>)> = vec![
            (pay.clone(), "customer", &customer, no_customer, base.to_vec()),
            (pay.clone(), "payment_method", &method, no_method, base.to_vec()),
            (pay.clone(), "payment_method", &loose, no_method, with("confirm", "true")),
            (pay.clone(), "customer", &customer, no_customer, [&with("confirm", "true")[..], &[("payment_method", "pm_card_visa")]].concat()),
            (intent.clone(), "customer", &customer, no_customer, vec![]),
            (intent.clone(), "payment_method", &loose, no_method, vec![]),
            (confirm.clone(), "payment_method", &method, no_method, vec![]),
            (confirm.clone(), "payment_method", &loose, no_method, vec![]),
            ("/v2/refunds".to_owned(), "payment_intent", &paid_id, no_payment, vec![]),
            ("/v2/refunds".to_owned(), "charge", &charge, no_charge, vec![]),
            ("/v2/customers".to_owned(), "test_clock", &clock, no_clock, vec![]),
            (format!("/v2/customers/{own_customer}"), "invoice_settings[default_payment_method]", &method, no_method, vec![]),
            (format!("/v2/payment_methods/{own_method}/attach"), "customer", &customer, no_customer, vec![]),
            ("/v2/payment_methods/pm_card_visa/attach".to_owned(), "customer", &customer, no_customer, vec![]),
            (format!("/v2/events/{own_event}/resend"), "webhook_endpoint", &hook, no_hook, vec![]),
        ];
        let before = rows(&app).await;
        for (path, param, theirs, nobodys, mut form) in cases {
            form.push((param, theirs));
            let foreign = app.post(&path, &form).await;
            assert_eq!(foreign.json["error"]["param"], param, "{path} {param}: {}", foreign.text);
            foreign.clone().expect_error(400, "invalid_request_error", Some("resource_missing"));
            form.pop();
            form.push((param, nobodys));
            let missing = app.post(&path, &form).await;
            assert_eq!(told(foreign, theirs), told(missing, nobodys), "{path} {param} tells whether it exists");
        }
        let attach = app.post(&format!("/v2/payment_methods/{loose}/attach"), &[("customer", &own_customer)]).await;
        attach.expect_error(404, "invalid_request_error", Some("resource_missing"));
        assert_same_rows(&before, &rows(&app).await, "references to others");
    }

    async fn lists_hold_own_rows_only(db) {
        let app = TestApp::start(&db).await;
        let other = app.another_merchant().await;
        for merchant in [&app, &other] {
            let customer = id(&merchant.post("/v2/customers", &[("email", "same@example.com")]).await.expect(201));
            let paid = id(&merchant.pay(1000, "pm_card_visa", &[("customer", &customer)]).await.expect(201));
            merchant.post("/v2/refunds", &[("payment_intent", &paid), ("amount", "10")]).await.expect(201);
        }
        let theirs = data(&other.get("/v2/payment_intents").await.expect(200))[0].clone();
        let (payment, customer) = (id(&theirs), theirs["customer"].as_str().expect("a customer"));
        let charge = charge_of(&other, &theirs).await;
        for path in [
            format!("/v2/payment_intents?customer={customer}"),
            format!("/v2/charges?payment_intent={payment}"),
            format!("/v2/charges?customer={customer}"),
            format!("/v2/refunds?payment_intent={payment}"),
            format!("/v2/refunds?charge={charge}"),
            format!("/v2/payment_methods?customer={customer}"),
            format!("/v2/balance/history?source={charge}"),
        ] {
            assert_eq!(data(&app.get(&path).await.expect(200)).len(), 0, "{path}");
            assert!(!data(&other.get(&path).await.expect(200)).is_empty() || path.contains("payment_methods"), "{path}");
        }
        assert_eq!(data(&app.get("/v2/customers?email=same@example.com").await.expect(200)).len(), 1);
        let kinds = ["payment_intents", "charges", "refunds", "customers", "events", "balance_transactions"];
        for kind in kinds {
            let theirs = id(&data(&other.get(&format!("/v2/{kind}")).await.expect(200))[0]);
            for cursor in ["starting_after", "ending_before"] {
                let answer = app.get(&format!("/v2/{kind}?{cursor}={theirs}")).await;
                let error = answer.expect_error(400, "invalid_request_error", Some("resource_missing"));
                assert_eq!(error["param"], cursor, "{kind}");
            }
            let live = app.as_key(&app.sk_live, "GET".parse().expect("a method"), &format!("/v2/{kind}?starting_after={theirs}"), &[], None).await;
            live.expect_error(400, "invalid_request_error", Some("resource_missing"));
            for expand in ["data.merchant", "data.customer.payments", "customer"] {
                app.get(&format!("/v2/{kind}?expand[]={expand}")).await.expect_error(400, "invalid_request_error", Some("expand_invalid"));
            }
        }
    }

    async fn cursors_of_all_wrong_kinds_are_refused(db) {
        let app = TestApp::start(&db).await;
        let payment = id(&app.pay(100, "pm_card_visa", &[]).await.expect(201));
        let customer = id(&app.post("/v2/customers", &[]).await.expect(201));
        let hooks = [("url", "https://example.com/h"), ("enabled_events[]", "*")];
        let deleted = id(&app.post("/v2/webhook_endpoints", &hooks).await.expect(201));
        app.delete(&format!("/v2/webhook_endpoints/{deleted}")).await.expect(200);
        let mut tampered = payment.clone();
        let last = tampered.pop().expect("a character");
        tampered.push(if last == '0' { '1' } else { '0' });
        let bad: Vec<(&str, String)> = vec![
            ("payment_intents", tampered),
            ("payment_intents", customer),
            ("payment_intents", payment.to_uppercase()),
            ("payment_intents", format!("{payment}x")),
            ("payment_intents", payment[..10].to_owned()),
            ("payment_intents", "x".repeat(10_000)),
            ("payment_intents", "0".to_owned()),
            ("payment_intents", "pi_' OR 1=1--".to_owned()),
            ("webhook_endpoints", deleted),
            ("charges", payment.clone()),
        ];
        for (list, cursor) in &bad {
            for name in ["starting_after", "ending_before"] {
                let path = format!("/v2/{list}?{}", form_body(&[(name, cursor)]));
                let cases = [Refused { method: "GET", path: &path, headers: &[], body: Vec::new(), status: &[400], param: Some(name) }];
                assert_refused(&app, cases).await;
            }
        }
        let both = format!("/v2/payment_intents?starting_after={payment}&ending_before={payment}");
        app.get(&both).await.expect_error(400, "invalid_request_error", Some("parameters_exclusive"));
        assert_eq!(data(&app.get(&format!("/v2/payment_intents?starting_after={payment}")).await.expect(200)).len(), 0);
    }

    async fn a_client_secret_opens_one_payment(db) {
        let app = TestApp::start(&db).await;
        let form = [("amount", "100"), ("currency", "eur")];
        let (a, b) = (app.post("/v2/payment_intents", &form).await.expect(201), app.post("/v2/payment_intents", &form).await.expect(201));
        let secret = |p: &Value| p["client_secret"].as_str().expect("a secret").to_owned();
        let (of_a, of_b) = (secret(&a), secret(&b));
        assert!(of_a.rsplit('_').next().expect("a random part").len() >= 22, "128 bits and more: {of_a}");
        let bearer = format!("Bearer {}", app.pk);
        let before = rows(&app).await;
        let truncated = &of_a[..of_a.len() - 1];
        let wrong = [of_b.clone(), truncated.to_owned(), format!("{of_a}x"), of_a.to_uppercase(), id(&a), format!("{}_secret_", id(&a))];
        let confirm = format!("/v2/payment_intents/{}/confirm", id(&a));
        for secret in &wrong {
            let query = form_body(&[("client_secret", secret)]);
            let read = send(&app, "GET", &format!("/v2/payment_intents/{}?{query}", id(&a)), &[("authorization", &bearer)], "").await;
            read.expect_error(404, "invalid_request_error", Some("resource_missing"));
            // The merchant needs no client secret, but a wrong one is a mistake.
            for authorization in [&bearer, &format!("Bearer {}", app.sk)] {
                let body = form_body(&[("client_secret", secret), ("payment_method", "pm_card_visa")]);
                let headers = [("authorization", authorization.as_str()), crate::support::FORM];
                let refused = send(&app, "POST", &confirm, &headers, body).await;
                refused.expect_error(404, "invalid_request_error", Some("resource_missing"));
            }
            assert_same_rows(&before, &rows(&app).await, secret);
        }
        let bare = send(&app, "POST", &confirm, &[("authorization", &bearer), crate::support::FORM], "client_secret=").await;
        bare.expect_error(404, "invalid_request_error", Some("resource_missing"));
        let paid = app.pay(100, "pm_card_visa", &[("metadata[private]", "yes"), ("description", "internal")]).await.expect(201);
        let query = form_body(&[("client_secret", &secret(&paid))]);
        let path = format!("/v2/payment_intents/{}?{query}", id(&paid));
        let shown = send(&app, "GET", &path, &[("authorization", &bearer)], "").await.expect(200);
        assert_eq!(shown["status"], "succeeded");
        for private in ["metadata", "latest_charge", "customer"] {
            assert!(shown.get(private).is_none_or(Value::is_null), "{private}: {shown}");
        }
        let again = form_body(&[("client_secret", &secret(&paid)), ("payment_method", "pm_card_visa")]);
        let before = rows(&app).await;
        let confirm = send(&app, "POST", &format!("/v2/payment_intents/{}/confirm", id(&paid)), &[("authorization", &bearer), crate::support::FORM], again).await;
        confirm.expect_error(400, "invalid_request_error", Some("payment_intent_unexpected_state"));
        assert_same_rows(&before, &rows(&app).await, "a payment that ended");
    }

    async fn a_payer_sees_no_more_in_an_error_than_in_an_answer(db) {
        let app = TestApp::start(&db).await;
        let customer = id(&app.post("/v2/customers", &[]).await.expect(201));
        let form = [("amount", "100"), ("currency", "eur"), ("customer", customer.as_str()), ("metadata[internal]", "margin"), ("statement_descriptor", "SECRET SHOP")];
        let open = app.post("/v2/payment_intents", &form).await.expect(201);
        let path = format!("/v2/payment_intents/{}/confirm", id(&open));
        let secret = open["client_secret"].as_str().expect("a secret");
        let confirm = async |method: &str| {
            let form = [("client_secret", secret), ("payment_method", method)];
            app.as_key(&app.pk, "POST".parse().expect("a method"), &path, &form, None).await
        };
        let cases = [("pm_card_chargeDeclinedStolenCard", 402), ("pm_card_chargeDeclinedInsufficientFunds", 402), ("pm_sepa_debit_success", 400), ("pm_card_visa", 200), ("pm_card_visa", 400)];
        for (method, status) in cases {
            let answer = confirm(method).await;
            assert_eq!(answer.status.as_u16(), status, "{method}: {}", answer.text);
            for private in ["margin", "SECRET SHOP", &customer, "decline_code", "stolen", "\"charge\"", "\"ch_"] {
                assert!(!answer.text.contains(private), "{method} {status} {private}: {}", answer.text);
            }
            let payment = if status == 200 { &answer.json } else { &answer.json["error"]["payment_intent"] };
            assert_eq!(payment["id"], open["id"], "{method}: {}", answer.text);
        }
    }

    async fn nothing_in_a_body_moves_a_request_elsewhere(db) {
        let app = TestApp::start(&db).await;
        let other = app.another_merchant().await;
        let theirs = other.merchant.to_string();
        let fields = [("organization_id", theirs.as_str()), ("merchant_id", &theirs), ("merchant", &theirs), ("livemode", "true"), ("live", "1"), ("service_id", "1"), ("storefront", "x"), ("on_behalf_of", &theirs), ("account", &theirs), ("mode", "live")];
        let mut cases = Vec::new();
        for (name, value) in fields {
            for (path, base) in [("/v2/payment_intents", &[("amount", "100"), ("currency", "eur")][..]), ("/v2/customers", &[]), ("/v2/payment_methods", &[("type", "card"), ("card[token]", "tok_visa")]), ("/stripe/v1/payment_intents", &[("amount", "100"), ("currency", "eur")])] {
                cases.push(bad_form(path, name, &[base, &[(name, value)]].concat()));
            }
        }
        for header in ["stripe-account", "pg-account"] {
            let headers: &[(&str, &str)] = if header == "stripe-account" { &[("stripe-account", "acct_1"), crate::support::FORM] } else { &[("pg-account", "acct_1"), crate::support::FORM] };
            cases.push(Refused { method: "POST", path: "/v2/customers", headers, body: Vec::new(), status: &[400], param: Some(header) });
        }
        assert_refused(&app, cases).await;
    }

    async fn two_merchants_may_use_the_same_names(db) {
        let app = TestApp::start(&db).await;
        let other = app.another_merchant().await;
        let form = [("amount", "100"), ("currency", "eur"), ("metadata[order_id]", "1"), ("receipt_email", "a@example.com"), ("payment_method", "pm_card_visa"), ("confirm", "true")];
        let (a, b) = (app.post_once("same", "/v2/payment_intents", &form).await, other.post_once("same", "/v2/payment_intents", &form).await);
        assert_eq!((a.header("idempotent-replayed"), b.header("idempotent-replayed")), (None, None));
        let (a, b) = (a.expect(201), b.expect(201));
        assert_ne!(a["id"], b["id"]);
        let live = app.as_key(&app.sk_live, "POST".parse().expect("a method"), "/v2/customers", &[], Some("same")).await;
        assert_eq!(live.header("idempotent-replayed"), None);
        live.expect(201);
        for merchant in [&app, &other] {
            merchant.post("/v2/customers", &[("email", "a@example.com")]).await.expect(201);
            assert_eq!(data(&merchant.get("/v2/customers?email=a@example.com").await.expect(200)).len(), 1);
            assert_eq!(data(&merchant.get("/v2/payment_intents").await.expect(200)).len(), 1);
        }
        // One card, two merchants: nothing links them.
        let print = async |merchant: &TestApp| {
            let method = merchant.post("/v2/payment_methods", &[("type", "card"), ("card[token]", "tok_visa")]).await.expect(201);
            method["card"]["fingerprint"].as_str().expect("a fingerprint").to_owned()
        };
        assert_eq!(print(&app).await, print(&app).await);
        assert_ne!(print(&app).await, print(&other).await);
        app.assert_books().await;
    }
}
