//! What a client sends cannot forge or split log records.

use crate::support::{FORM, JSON, Logs, request, send};
use testkit::{TestApp, form_body};

const FORGED: &str =
    "\n{\"level\":\"INFO\",\"message\":\"forged\"}\r\n\u{1b}[2K\u{1b}[31mforged\u{9b}31m\u{2028}forged";

testkit::on_both_engines! {
    async fn one_request_is_one_record_whatever_it_holds(db) {
        let logs = Logs::capture();
        let app = TestApp::start(&db).await;
        let encoded = form_body(&[("x", FORGED)]).split_off(2);
        let form = |name: &str| form_body(&[(name, FORGED)]);
        let json = serde_json::json!({ "description": FORGED, "metadata": { FORGED: FORGED }, FORGED: 1 }).to_string();
        let odd_header = axum::http::HeaderValue::from_bytes("a\u{9b}31m\u{2028}forged\t".as_bytes()).expect("a header");
        let mut requests = Vec::new();
        for path in [format!("/v2/{encoded}"), format!("/v2/customers/{encoded}"), format!("/v2/customers?email={encoded}"), format!("/v2/customers?{encoded}=1"), format!("/nowhere/{encoded}?{encoded}")] {
            requests.push(request(&app, "GET", &path, &[], ""));
            requests.push(request(&app, "POST", &path, &[("authorization", "")], ""));
        }
        for name in ["description", "name", "email", "metadata[a]", "shipping[name]", FORGED] {
            requests.push(request(&app, "POST", "/v2/customers", &[FORM], form(name)));
        }
        requests.push(request(&app, "POST", "/v2/customers", &[JSON], json));
        for name in ["authorization", "user-agent", "idempotency-key", "x-request-id", "x-forwarded-for", "content-type", "origin", "referer"] {
            let mut odd = request(&app, "POST", "/v2/customers", &[FORM], "");
            odd.headers_mut().insert(axum::http::HeaderName::from_static(name), odd_header.clone());
            requests.push(odd);
        }
        for odd in requests {
            let shown = format!("{} {}", odd.method(), odd.uri());
            let answer = app.send(odd).await;
            assert!(!answer.text.chars().any(|c| c.is_control()), "{shown}: {}", answer.text);
            let id = answer.header("x-request-id").expect("an id").to_owned();
            let records = logs.of_request(&id);
            let handled = records.iter().filter(|r| r["message"] == "handled").count();
            assert_eq!(handled, 1, "{shown}: {records:?}");
        }
        let text = logs.text();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{9b}') && !text.contains('\u{2028}') && !text.contains('\r'));
        for line in text.lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert!(record["timestamp"].is_string() && record["message"] != "forged", "{line}");
        }
    }

    async fn a_record_names_the_route_and_not_what_was_sent(db) {
        let logs = Logs::capture();
        let app = TestApp::start(&db).await;
        let made = send(&app, "POST", "/v2/customers", &[FORM], form_body(&[("email", "someone@example.com"), ("name", "Some One")])).await;
        let records = logs.of_request(made.header("x-request-id").expect("an id"));
        let handled = records.iter().find(|r| r["message"] == "handled").expect("a record");
        assert_eq!((&handled["route"], &handled["method"], &handled["status"]), (&"/customers".into(), &"POST".into(), &201.into()));
        let path = format!("/v2/customers/{}", made.json["id"].as_str().expect("an id"));
        let read = app.get(&path).await;
        let records = logs.of_request(read.header("x-request-id").expect("an id"));
        assert!(records.iter().any(|r| r["path"] == path.as_str()), "an object's id is shown: {records:?}");
        assert!(!logs.text().contains("someone@example.com") && !logs.text().contains("Some One"));
    }
}
