//! Card numbers, security codes and secrets leave no trace: not in the database, not in the log, not
//! in an answer.

use crate::support::{
    FORM, JSON, Logs, Refused, assert_nowhere, assert_refused, assert_same_rows, bad_form, id, request, rows,
    send,
};
use api_v2::routes::ROUTES;
use axum::http::Request;
use testkit::{TestApp, form_body};

/// Valid by its check digit, and of nobody.
const CARD: &str = "4539148803436467";
/// A published test number, which is taken.
const TEST_CARD: &str = "4000056655665556";
/// No key of anybody: one that was mistyped, or leaked from elsewhere.
const KEY: &str = "sk_live_51CanaryCanaryCanaryCanary99";
const WEBHOOK_SECRET: &str = "whsec_CanaryOfAWebhookSecret0123456789";
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlb2ZhY2FuYXJ5";
/// Refused for its length, so it is told from other digits.
const CODE: &str = "7391739173917";

fn text_fields(value: &str) -> Vec<Vec<(String, String)>> {
    let names = [
        "description",
        "name",
        "email",
        "phone",
        "receipt_email",
        "statement_descriptor",
        "metadata[card]",
        "shipping[name]",
        "shipping[phone]",
        "shipping[carrier]",
        "shipping[tracking_number]",
        "shipping[address][line1]",
        "address[line1]",
        "address[postal_code]",
        "billing_details[name]",
        "billing_details[phone]",
        "billing_details[address][line1]",
        "preferred_locales[]",
        "customer",
        "payment_method",
        "payment_intent",
        "charge",
        "test_clock",
        "reason",
        "type",
        "currency",
        "amount",
        "amount_to_capture",
        "api_version",
        "url",
        "return_url",
        "enabled_events[]",
        "expand[]",
        "payment_method_types[]",
        "client_secret",
        "card[number]",
        "card[cvc]",
        "card[token]",
        "sepa_debit[iban]",
        "outcome",
        "frozen_time",
        "cancellation_reason",
        "limit",
        "starting_after",
        "created[gte]",
        "source",
    ];
    let mut fields: Vec<Vec<(String, String)>> =
        names.iter().map(|n| vec![((*n).to_owned(), value.to_owned())]).collect();
    fields.push(vec![(format!("metadata[{value}]"), "v".to_owned())]);
    fields.push(vec![(value.to_owned(), "v".to_owned())]);
    fields.push(vec![("url".to_owned(), format!("https://example.com/{value}"))]);
    fields.push(vec![("return_url".to_owned(), format!("https://example.com/?c={value}"))]);
    fields
}

/// Requests to every route that carry `value` in every place where a request can carry something.
fn everywhere(app: &TestApp, value: &str, fields: bool) -> Vec<Request<axum::body::Body>> {
    let mut requests = Vec::new();
    for route in ROUTES {
        let at = |id: &str| {
            let segments = route.path.split('/').map(|s| if s.starts_with('{') { id } else { s });
            format!("/v2{}", segments.collect::<Vec<_>>().join("/"))
        };
        let plain = at("pi_00000000000000000");
        let ids = [value.to_owned(), format!("pi_{value}"), format!("pm_{value}")];
        let mut add = |path: &str, headers: &[(&str, &str)], body: String| {
            requests.push(request(app, route.method, path, headers, body));
        };
        for id in &ids {
            add(&at(id), &[FORM], String::new());
            add(&at(id), &[FORM, ("authorization", "")], String::new());
        }
        add(&format!("{plain}?api_key={value}"), &[], String::new());
        add(&format!("{plain}?{value}=1&x={value}"), &[], String::new());
        add(&plain, &[("authorization", &format!("Bearer {value}"))], String::new());
        add(
            &plain,
            &[("cookie", value), ("user-agent", value), ("referer", value), ("x-request-id", value)],
            String::new(),
        );
        add(&plain, &[JSON], format!("{{\"description\": \"{value}\", \"{value}\": {{"));
        add(&plain, &[("content-type", "text/plain")], value.to_owned());
        add(&plain, &[("content-type", value)], value.to_owned());
        if fields && route.method == "POST" {
            let key: &[(&str, &str)] = &[FORM, ("idempotency-key", value)];
            add(&plain, key, String::new());
            for field in text_fields(value) {
                let pairs: Vec<(&str, &str)> = field.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                add(&plain, &[FORM], form_body(&pairs));
            }
        }
    }
    requests.push(request(app, "GET", &format!("/{value}"), &[], ""));
    requests.push(request(app, "GET", &format!("/v2/{value}?{value}"), &[("authorization", "")], ""));
    requests.push(request(app, "PUT", &format!("/v2/customers/{value}"), &[], value.to_owned()));
    requests
}

testkit::on_both_engines! {
    async fn a_card_number_in_any_place_of_any_route_leaves_no_trace(db) {
        let logs = Logs::capture();
        let app = TestApp::start(&db).await;
        let before = rows(&app).await;
        for odd in everywhere(&app, CARD, true) {
            let shown = format!("{} {}", odd.method(), odd.uri());
            let answer = app.send(odd).await;
            assert!(!answer.text.contains(CARD), "{shown}: {}", answer.text);
            assert!(answer.status.is_client_error() || answer.status.as_u16() == 200 || answer.status.as_u16() == 201, "{shown}: {}", answer.text);
        }
        assert!(rows(&app).await.len() == before.len());
        assert_nowhere(&db, &app, &logs, &[CARD.to_owned()]).await;
    }

    async fn keys_and_secrets_leave_no_trace(db) {
        let logs = Logs::capture();
        let app = TestApp::start(&db).await;
        for canary in [KEY, WEBHOOK_SECRET, TOKEN, CODE] {
            for odd in everywhere(&app, canary, false) {
                app.send(odd).await;
            }
        }
        // What the gateway itself issued and was sent.
        let hook = app.post_once("hook", "/v2/webhook_endpoints", &[("url", "https://example.com/h"), ("enabled_events[]", "*")]).await.expect(201);
        let rotated = app.post_once("rotate", &format!("/v2/webhook_endpoints/{}/rotate_secret", id(&hook)), &[]).await.expect(200);
        let secret = |o: &serde_json::Value| o["secret"].as_str().expect("a secret").to_owned();
        let issued = [secret(&hook), secret(&rotated)];
        for read in [app.get(&format!("/v2/webhook_endpoints/{}", id(&hook))).await, app.get("/v2/webhook_endpoints").await, app.get("/v2/events").await] {
            assert!(issued.iter().all(|s| !read.text.contains(s)), "shown once only: {}", read.text);
        }
        let typed = [("type", "card"), ("card[number]", TEST_CARD), ("card[exp_month]", "12"), ("card[exp_year]", "34"), ("card[cvc]", "739")];
        app.post_once("card", "/v2/payment_methods", &typed).await.expect(201);
        let inline: Vec<(String, &str)> = typed.iter().map(|(n, v)| (match n.split_once('[') { Some((root, rest)) => format!("payment_method_data[{root}][{rest}"), None => format!("payment_method_data[{n}]") }, *v)).collect();
        let mut form = vec![("amount", "100"), ("currency", "eur"), ("confirm", "true")];
        form.extend(inline.iter().map(|(n, v)| (n.as_str(), *v)));
        app.post_once("sale", "/v2/payment_intents", &form).await.expect(201);
        app.run_due().await;
        let canaries = [KEY, WEBHOOK_SECRET, TOKEN, CODE, TEST_CARD, app.sk.as_str(), &app.pk, &app.sk_live, &app.pk_live];
        let all: Vec<String> = canaries.iter().map(|c| (*c).to_owned()).chain(issued).collect();
        assert_nowhere(&db, &app, &logs, &all).await;
    }

    async fn a_card_number_typed_into_a_text_is_refused(db) {
        let app = TestApp::start(&db).await;
        let customer = id(&app.post("/v2/customers", &[]).await.expect(201));
        let update = format!("/v2/customers/{customer}");
        let pay = "/v2/payment_intents";
        let base = [("amount", "100"), ("currency", "eur")];
        let mut cases = Vec::new();
        for number in [CARD, "4539 1488 0343 6467", "4539-1488-0343-6467", "card 4539148803436467.", "4539\u{a0}1488\u{a0}0343\u{a0}6467", "\u{ff14}539148803436467", "374245455400126", TEST_CARD] {
            for field in ["name", "description", "metadata[note]", "phone", "shipping[name]", "address[line1]"] {
                for path in ["/v2/customers", &update] {
                    cases.push((path, field, vec![(field, number.to_owned())]));
                }
            }
            for field in ["description", "metadata[note]", "shipping[name]"] {
                let form: Vec<(&str, String)> = base.iter().map(|(n, v)| (*n, (*v).to_owned())).chain([(field, number.to_owned())]).collect();
                cases.push((pay, field, form));
            }
        }
        for path in ["/v2/customers", &update] {
            cases.push((path, "email", vec![("email", format!("{CARD}@example.com"))]));
        }
        let forms: Vec<_> = cases.iter().map(|(path, param, form)| {
            let form: Vec<(&str, &str)> = form.iter().map(|(n, v)| (*n, v.as_str())).collect();
            bad_form(path, param, &form)
        }).collect();
        assert_refused(&app, forms).await;
        let key = bad_form("/v2/customers", "metadata", &[("metadata[4539148803436467]", "x")]);
        assert_refused(&app, [key]).await;
        let header = Refused { method: "POST", path: "/v2/customers", headers: &[FORM, ("idempotency-key", CARD)], body: Vec::new(), status: &[400], param: None };
        assert_refused(&app, [header]).await;
        for good in ["Order 4539148803436466", "2026-01-01 10:00", "DE89370400440532013000", "550e8400-e29b-41d4-a716-446655440000"] {
            app.post("/v2/customers", &[("description", good)]).await.expect(201);
        }
    }

    async fn the_security_code_is_never_there_later_and_nothing_needs_it(db) {
        let logs = Logs::capture();
        let app = TestApp::start(&db).await;
        // Four digits on this card; the bounded form below cannot be part of another number.
        let amex = [("type", "card"), ("card[number]", "378282246310005"), ("card[exp_month]", "12"), ("card[exp_year]", "34"), ("card[cvc]", "7391")];
        let customer = id(&app.post("/v2/customers", &[]).await.expect(201));
        let method = app.post_once("m", "/v2/payment_methods", &amex).await.expect(201);
        assert_eq!(method["card"]["checks"]["cvc_check"], "pass");
        let method = id(&app.post(&format!("/v2/payment_methods/{}/attach", id(&method)), &[("customer", &customer)]).await.expect(200));
        let manual = [("customer", customer.as_str()), ("capture_method", "manual")];
        let held = id(&app.pay(1000, &method, &manual).await.expect(201));
        app.post(&format!("/v2/payment_intents/{held}/capture"), &[("amount_to_capture", "500")]).await.expect(200);
        app.pay(1000, &method, &[("customer", &customer), ("off_session", "true")]).await.expect(201);
        // A retry with the key need not know the code, and a digest of it is not kept to compare.
        let mut other_code = amex;
        other_code[4].1 = "1111";
        let again = app.post_once("m", "/v2/payment_methods", &other_code).await;
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{}", again.text);
        app.post_once("m", "/v2/payment_methods", &amex[..4]).await.expect_error(400, "idempotency_error", Some("idempotency_key_reused"));
        let bounded = |text: &str| {
            text.match_indices("7391").any(|(at, found)| {
                let outside = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
                outside(text[..at].chars().next_back()) && outside(text[at + found.len()..].chars().next())
            })
        };
        for (table, lines) in rows(&app).await {
            assert!(!lines.iter().any(|line| bounded(line)), "{table}");
        }
        for line in logs.text().lines() {
            let mut record: serde_json::Value = serde_json::from_str(line).expect("JSON");
            record["micros"] = 0.into();
            assert!(!bounded(&record.to_string()), "{line}");
        }
        app.assert_books().await;
    }

    async fn answers_show_the_last_four_digits_at_most(db) {
        let app = TestApp::start(&db).await;
        let typed = [("type", "card"), ("card[number]", TEST_CARD), ("card[exp_month]", "12"), ("card[exp_year]", "34"), ("card[cvc]", "739")];
        let method = app.post("/v2/payment_methods", &typed).await;
        let paid = app.pay(100, method.json["id"].as_str().expect("an id"), &[]).await;
        paid.clone().expect(201);
        for answer in [method, paid, app.get("/v2/charges").await, app.get("/v2/events?limit=100").await, app.get("/v2/payment_methods").await] {
            assert!(!answer.text.contains(&TEST_CARD[6..]) && !answer.text.contains(&TEST_CARD[..12]), "{}", answer.text);
        }
        let before = rows(&app).await;
        let query = send(&app, "GET", &format!("/v2/payment_methods?card[number]={TEST_CARD}"), &[], "").await;
        assert_eq!(query.status.as_u16(), 400);
        assert!(!query.text.contains(TEST_CARD), "{}", query.text);
        assert_same_rows(&before, &rows(&app).await, "a card number in a query");
    }
}
