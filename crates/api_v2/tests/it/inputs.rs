//! Hostile numbers, codes, bodies and parameters: refused by name, and nothing is left behind.

use crate::support::{
    FORM, JSON, Refused, assert_refused, assert_same_rows, bad_form, bad_query, data, id, rows, send,
};
use domain::money::MAX_AMOUNT;
use serde_json::Value;
use std::time::{Duration, Instant};
use testkit::TestApp;

const PAY: &str = "/v2/payment_intents";

fn json(body: impl Into<Vec<u8>>, param: Option<&'static str>) -> Refused<'static> {
    Refused { method: "POST", path: PAY, headers: &[JSON], body: body.into(), status: &[400, 413], param }
}

fn form(body: impl Into<Vec<u8>>) -> Refused<'static> {
    Refused {
        method: "POST",
        path: PAY,
        headers: &[FORM],
        body: body.into(),
        status: &[400, 413],
        param: None,
    }
}

/// Texts that are no amount, to whoever reads them.
const BAD_AMOUNTS: &[&str] = &[
    "-1",
    "0",
    "-0",
    "1.5",
    "10.00",
    "1e3",
    "0x10",
    "00100",
    "+5",
    " 5",
    "5 ",
    "null",
    "true",
    "[]",
    "NaN",
    "Infinity",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551617",
    "1000000000000000000000000000000",
    "\u{665}",
    "\u{ff15}",
    "5\u{200b}",
    "1_000",
    "1,000",
    "",
];

testkit::on_both_engines! {
    async fn bad_amounts_are_refused_by_name(db) {
        let app = TestApp::start(&db).await;
        let held = id(&app.pay(1000, "pm_card_visa", &[("capture_method", "manual")]).await.expect(201));
        let open = id(&app.post(PAY, &[("amount", "100"), ("currency", "eur")]).await.expect(201));
        let paid = id(&app.pay(1000, "pm_card_visa", &[]).await.expect(201));
        let (capture, increment, update) = (format!("{PAY}/{held}/capture"), format!("{PAY}/{held}/increment_authorization"), format!("{PAY}/{open}"));
        let mut cases = Vec::new();
        for bad in BAD_AMOUNTS {
            cases.push(bad_form(PAY, "amount", &[("amount", bad), ("currency", "eur")]));
            cases.push(bad_form(&capture, "amount_to_capture", &[("amount_to_capture", bad)]));
            cases.push(bad_form(&increment, "amount", &[("amount", bad)]));
            cases.push(bad_form(&update, "amount", &[("amount", bad)]));
            cases.push(bad_form("/v2/refunds", "amount", &[("payment_intent", &paid), ("amount", bad)]));
        }
        for name in ["amount[]", "amount[a]", "amount[0]"] {
            cases.push(bad_form(PAY, "amount", &[(name, "5"), ("currency", "eur")]));
        }
        let literals = ["-1", "0", "1.5", "10.0", "1e3", "1E2", "1e999999", "null", "true", "[]", "[5]", "{}", "\"\"", "\"10.00\"", "\" 5\"", "9007199254740993", "9223372036854775808", "1000000000000000000000000000000"];
        for literal in literals {
            cases.push(json(format!("{{\"amount\": {literal}, \"currency\": \"eur\"}}"), Some("amount")));
        }
        for malformed in ["0x10", "00100", "+5", "NaN", "Infinity", ".5", "5.", "1e", "--1", "1_000", "\u{665}"] {
            cases.push(json(format!("{{\"amount\": {malformed}, \"currency\": \"eur\"}}"), None));
        }
        assert_refused(&app, cases).await;
        app.assert_books().await;
    }

    async fn the_largest_amount_is_the_largest(db) {
        let app = TestApp::start(&db).await;
        for _ in 0..3 {
            let paid = app.pay(MAX_AMOUNT, "pm_card_visa", &[]).await.expect(201);
            assert_eq!((&paid["amount"], &paid["status"]), (&Value::from(MAX_AMOUNT), &Value::from("succeeded")));
        }
        assert_refused(&app, [
            bad_form(PAY, "amount", &[("amount", &(MAX_AMOUNT + 1).to_string()), ("currency", "eur")]),
            json(format!("{{\"amount\": {}, \"currency\": \"eur\"}}", MAX_AMOUNT + 1), Some("amount")),
        ]).await;
        let smallest = app.post(PAY, &[("amount", "1"), ("currency", "jpy")]).await.expect(201);
        assert_eq!(smallest["amount"], 1);
        let balance = app.get("/v2/balance").await.expect(200);
        // 2.9 % and 0.25 of each.
        assert_eq!(balance["pending"][0]["amount"], 3 * (MAX_AMOUNT - 29_000_000_000 - 25));
        app.assert_books().await;
    }

    async fn currencies_are_codes_and_nothing_else(db) {
        let app = TestApp::start(&db).await;
        for good in ["EUR", "eUr", "eur", "huf", "KWD", "jpy"] {
            let made = app.post(PAY, &[("amount", "1000"), ("currency", good)]).await.expect(201);
            assert_eq!(made["currency"], good.to_lowercase().as_str());
            assert_eq!(made["amount"], 1000);
        }
        let bad = ["", "eu", "EURO", "XXX", "XAU", "XTS", "CLF", "HRK", "ZZZ", " eur", "eur ", "eur\u{200b}", "\u{131}nr", "\u{130}NR", "i\u{307}n", "\u{ff25}UR", "978", "€", "e\nr"];
        let mut cases: Vec<_> = bad.iter().map(|c| bad_form(PAY, "currency", &[("amount", "100"), ("currency", c)])).collect();
        cases.push(form("amount=100&currency=eu%00"));
        cases.push(json(r#"{"amount": 100, "currency": "eu\u0000"}"#, None));
        for literal in ["978", "null", "[\"eur\"]", "{\"code\": \"eur\"}", "true"] {
            cases.push(json(format!("{{\"amount\": 100, \"currency\": {literal}}}"), Some("currency")));
        }
        cases.push(bad_query("/v2/balance/history?currency=XXX", "currency"));
        assert_refused(&app, cases).await;
    }

    async fn hostile_json_is_refused_quickly(db) {
        let app = TestApp::start(&db).await;
        let valid = r#"{"amount": 100, "currency": "eur"}"#;
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(valid.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let many: Vec<String> = (0..1_000_000).map(|i| format!("\"k{i}\":1")).collect();
        let nodes: Vec<&str> = vec!["1"; 12_000];
        let bodies: Vec<Vec<u8>> = vec![
            "[".repeat(10_000).into(),
            format!("{{\"a\":{}", "[".repeat(10_000)).into(),
            format!("{{\"metadata\":{}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000)).into(),
            format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)).into(),
            format!("{{{}}}", many.join(",")).into(),
            format!("{{\"a\":[{}]}}", nodes.join(",")).into(),
            format!("{{\"description\":\"{}\"}}", "x".repeat(5_000_000)).into(),
            valid[..valid.len() - 1].into(),
            r#"{"amount": 100, "currency": "eur"#.into(),
            format!("\u{feff}{valid}").into(),
            utf16,
            valid.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            r#"{"amount": 100, "currency": "eur", "description": "\ud800"}"#.into(),
            r#"{"amount": 100, "currency": "eur", "description": "\udc00\ud800"}"#.into(),
            format!("{valid} x").into(),
            format!("{valid}{valid}").into(),
            format!("{valid}\0").into(),
            r#"{"amount": 100, "amount": 1, "currency": "eur"}"#.into(),
            r#"{"amount": 100, "\u0061mount": 1, "currency": "eur"}"#.into(),
            r#"{"amount": 100, "currency": "eur", "metadata": {"a": "1", "a": "2"}}"#.into(),
            r#"{"amount": 1e999999, "currency": "eur"}"#.into(),
            r#"{"amount": 100, "currency": "eur",}"#.into(),
            r#"{'amount': 100, 'currency': 'eur'}"#.into(),
            r#"{"amount": 100, "currency": "eur" /* c */}"#.into(),
            "[]".into(), "null".into(), "\"x\"".into(), "100".into(), " ".into(),
            [&b"{\"amount\": 100, \"currency\": \"eur\", \"description\": \""[..], &[0xc3, 0x28], b"\"}"].concat(),
            b"{\"amount\": 100, \"currency\": \"eur\", \"description\": \"a\nb\"}".to_vec(),
        ];
        let before = rows(&app).await;
        for body in &bodies {
            let shown: String = String::from_utf8_lossy(body).chars().take(60).collect();
            let mut fastest = Duration::MAX;
            // The best of three: the machine may be busy with other tests.
            for _ in 0..3 {
                let started = Instant::now();
                let answer = send(&app, "POST", PAY, &[JSON], body.clone()).await;
                fastest = fastest.min(started.elapsed());
                assert!(matches!(answer.status.as_u16(), 400 | 413), "{shown}: {} {}", answer.status, answer.text);
                crate::support::assert_clean(&answer, &shown);
            }
            assert!(fastest < Duration::from_millis(100), "{shown}: {fastest:?}");
        }
        assert_same_rows(&before, &rows(&app).await, "hostile JSON");
    }

    async fn hostile_forms_are_refused(db) {
        let app = TestApp::start(&db).await;
        let base = "amount=100&currency=eur";
        let deep = "[a]".repeat(200);
        assert_refused(&app, [
            form(format!("{base}&metadata{deep}=1")),
            form(format!("{base}&metadata[a][b]=1")),
            form(format!("{base}&{}", "a[]=&".repeat(100_000))),
            form(format!("{base}&{}", "expand[]=customer&".repeat(101))),
            form(format!("{base}&{}", (0..1_001).map(|i| format!("k{i}=1&")).collect::<String>())),
            form("amount=1&amount=2&currency=eur"),
            form("amount=1&currency=eur&currency=usd"),
            form("amount=1&amount[]=2&currency=eur"),
            form("amount=1&amount[a]=2&currency=eur"),
            form(format!("{base}&description=%00")),
            form(format!("{base}&description=a%0")),
            form(format!("{base}&description=%zz")),
            form(format!("{base}&description=%")),
            form(format!("{base}&description=%ff")),
            form(format!("{base}&description=%c3%28")),
            form(format!("{base}&descri%00ption=a")),
            form(format!("{base}&metadata[a=1")),
            form(format!("{base}&metadata]a[=1")),
            form(format!("{base}&metadata[[a]]=1")),
            form(format!("{base}&[a]=1")),
            form(format!("{base}&=1")),
            form(format!("{base}&description={}", "x".repeat(70_000))),
            Refused { path: "/v2/payment_intents?amount=5", ..form(base) },
            Refused { path: "/v2/payment_intents?unknown=5", ..form(base) },
            Refused { path: "/v2/payment_intents?%zz=5", ..form(base) },
        ]).await;
    }

    async fn bodies_of_other_types_are_refused(db) {
        let app = TestApp::start(&db).await;
        let (json_body, form_body) = (r#"{"amount": 100, "currency": "eur"}"#, "amount=100&currency=eur");
        let types: [(&[(&str, &str)], &str); 15] = [
            (&[("content-type", "text/plain")], json_body),
            (&[("content-type", "text/plain")], form_body),
            (&[("content-type", "application/json")], form_body),
            (&[("content-type", "application/x-www-form-urlencoded")], json_body),
            (&[("content-type", "multipart/form-data; boundary=x")], "--x\r\nContent-Disposition: form-data; name=\"amount\"\r\n\r\n100\r\n--x--\r\n"),
            (&[], json_body),
            (&[], form_body),
            (&[("content-type", "application/json; charset=utf-7")], json_body),
            (&[("content-type", "application/json; x=y; charset=utf-7")], json_body),
            (&[("content-type", "application/json;charset=\"utf-16\"")], json_body),
            (&[("content-type", "application/x-www-form-urlencoded; charset=iso-8859-1")], form_body),
            (&[("content-type", "application/xml")], "<amount>100</amount>"),
            (&[("content-type", "application/json, text/plain")], json_body),
            (&[("content-type", "application/json"), ("content-type", "application/x-www-form-urlencoded")], json_body),
            (&[("content-type", "*/*")], form_body),
        ];
        let cases = types.iter().map(|(headers, body)| Refused { method: "POST", path: PAY, headers, body: (*body).into(), status: &[400, 415], param: None });
        assert_refused(&app, cases).await;
        for good in ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json;charset=\"UTF-8\"", "application/json; x=y; charset=utf-8"] {
            send(&app, "POST", PAY, &[("content-type", good)], json_body).await.expect(201);
        }
    }

    async fn compressed_bodies_are_not_unpacked(db) {
        let app = TestApp::start(&db).await;
        // A gzip member that claims a gigabyte; nobody may look.
        let bomb: Vec<u8> = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff].into_iter().chain(std::iter::repeat_n(0, 1_000)).collect();
        let encodings: [&[(&str, &str)]; 6] = [
            &[JSON, ("content-encoding", "gzip")],
            &[JSON, ("content-encoding", "br")],
            &[FORM, ("content-encoding", "deflate")],
            &[JSON, ("content-encoding", "identity, gzip")],
            &[JSON, ("content-encoding", "identity"), ("content-encoding", "gzip")],
            &[JSON, ("content-encoding", "GZIP")],
        ];
        let cases = encodings.iter().map(|headers| Refused { method: "POST", path: PAY, headers, body: bomb.clone(), status: &[413, 415], param: None });
        assert_refused(&app, cases).await;
        let valid = r#"{"amount": 100, "currency": "eur"}"#;
        let cases = encodings.iter().map(|headers| Refused { method: "POST", path: PAY, headers, body: valid.into(), status: &[413, 415], param: None });
        assert_refused(&app, cases).await;
        send(&app, "POST", PAY, &[JSON, ("content-encoding", "identity")], valid).await.expect(201);
    }

    async fn fields_that_are_not_the_clients_to_set_are_refused(db) {
        let app = TestApp::start(&db).await;
        let customer = id(&app.post("/v2/customers", &[]).await.expect(201));
        let paid = app.pay(1000, "pm_card_visa", &[]).await.expect(201);
        let open = app.post(PAY, &[("amount", "100"), ("currency", "eur")]).await.expect(201);
        let refund = app.post("/v2/refunds", &[("payment_intent", &id(&paid)), ("amount", "1")]).await.expect(201);
        let hook = app.post("/v2/webhook_endpoints", &[("url", "https://example.com/h"), ("enabled_events[]", "*")]).await.expect(201);
        let fields = [("status", "succeeded"), ("amount_received", "100"), ("captured", "true"), ("fee", "0"), ("available_on", "1"), ("livemode", "true"), ("created", "1"), ("id", "pi_1"), ("object", "x"), ("balance", "1000"), ("dispute[status]", "won"), ("role", "admin"), ("scopes[]", "*"), ("client_secret", "x"), ("secret", "x"), ("amount_capturable", "1"), ("canceled_at", "1"), ("next_action", "x"), ("used_up", "false"), ("tier", "enterprise")];
        let targets: Vec<(String, Vec<(&str, &str)>)> = vec![
            (PAY.to_owned(), vec![("amount", "100"), ("currency", "eur")]),
            (format!("{PAY}/{}", id(&open)), vec![]),
            (format!("{PAY}/{}/capture", id(&open)), vec![]),
            (format!("{PAY}/{}/cancel", id(&open)), vec![]),
            ("/v2/customers".to_owned(), vec![]),
            (format!("/v2/customers/{customer}"), vec![]),
            ("/v2/payment_methods".to_owned(), vec![("type", "card"), ("card[token]", "tok_visa")]),
            ("/v2/refunds".to_owned(), vec![("payment_intent", "pi_00000000000000000")]),
            (format!("/v2/refunds/{}", id(&refund)), vec![]),
            ("/v2/webhook_endpoints".to_owned(), vec![("url", "https://example.com/h"), ("enabled_events[]", "*")]),
            (format!("/v2/webhook_endpoints/{}", id(&hook)), vec![]),
            ("/v2/test_helpers/test_clocks".to_owned(), vec![("frozen_time", "1790000000")]),
        ];
        let mut cases = Vec::new();
        for (path, base) in &targets {
            for field in fields {
                let param = field.0.split('[').next().expect("a name");
                cases.push(bad_form(path, param, &[&base[..], &[field]].concat()));
            }
        }
        assert_refused(&app, cases).await;
        for made in [&paid, &open] {
            let read = app.get(&format!("{PAY}/{}", id(made))).await.expect(200);
            for field in ["status", "amount", "amount_received", "created", "livemode", "id", "object"] {
                assert_eq!(read[field], made[field], "{field}");
            }
        }
    }

    async fn page_parameters_have_bounds(db) {
        let app = TestApp::start(&db).await;
        app.post("/v2/customers", &[]).await.expect(201);
        let lists = ["payment_intents", "payment_methods", "charges", "refunds", "payouts", "customers", "webhook_endpoints", "events", "balance_transactions", "test_helpers/test_clocks"];
        for list in lists {
            for good in ["1", "100"] {
                app.get(&format!("/v2/{list}?limit={good}")).await.expect(200);
            }
            let paths: Vec<String> = ["0", "-1", "101", "1e9", "1000000000", "abc", "1.5", "", "%2B5", "05", "99999999999999999999"].iter().map(|l| format!("/v2/{list}?limit={l}")).collect();
            assert_refused(&app, paths.iter().map(|p| bad_query(p, "limit"))).await;
            for (query, param) in [("page=0", "page"), ("page=1000000000000", "page"), ("offset=1", "offset"), ("limit[]=1", "limit"), ("sort=id;DROP TABLE payments", "sort"), ("order=created%20DESC--", "order")] {
                let path = format!("/v2/{list}?{}", query.replace(' ', "%20"));
                assert_refused(&app, [bad_query(&path, param)]).await;
            }
        }
    }

    async fn dates_are_whole_seconds_of_a_calendar(db) {
        let app = TestApp::start(&db).await;
        let bad = ["2023-02-29", "2026-01-01T00:00:00Z", "-1", "253402300800", "9007199254740993", "99999999999999999999", "1.5", "1e9", "now", "today", ""];
        for date in bad {
            for name in ["created[gte]", "created[gt]", "created[lte]", "created[lt]", "created"] {
                let path = format!("/v2/payment_intents?{name}={date}");
                assert_refused(&app, [bad_query(&path, name)]).await;
            }
            assert_refused(&app, [bad_form("/v2/test_helpers/test_clocks", "frozen_time", &[("frozen_time", date)])]).await;
        }
        app.get("/v2/payment_intents?created[near]=5").await.expect_error(400, "invalid_request_error", Some("parameter_unknown"));
        // The ends of the calendar: whatever happens, it is an answer and not an accident.
        for instant in ["0", "1", "68169600", "1483228799", "253402300799"] {
            let clock = id(&app.post("/v2/test_helpers/test_clocks", &[("frozen_time", instant)]).await.expect(201));
            let customer = id(&app.post("/v2/customers", &[("test_clock", &clock)]).await.expect(201));
            let paid = app.pay(1000, "pm_card_visa", &[("customer", &customer)]).await.expect(201);
            assert_eq!(paid["created"].to_string(), instant);
            let held = app.pay(1000, "pm_card_visa", &[("customer", &customer), ("capture_method", "manual")]).await.expect(201);
            app.post(&format!("{PAY}/{}/capture", id(&held)), &[]).await.expect(200);
            let listed = app.get(&format!("/v2/payment_intents?created={instant}")).await.expect(200);
            assert_eq!(data(&listed).len(), 2, "{instant}");
        }
        app.assert_books().await;
    }

    async fn card_fields_name_what_is_wrong(db) {
        let app = TestApp::start(&db).await;
        let card = |number: &str, month: &str, year: &str, cvc: &str| {
            testkit::form_body(&[("type", "card"), ("card[number]", number), ("card[exp_month]", month), ("card[exp_year]", year), ("card[cvc]", cvc)]).into_bytes()
        };
        let good = "4242424242424242";
        let cases = [
            (card("4242424242424241", "12", "2034", "123"), "card[number]"),
            (card("424242424242424242424242", "12", "2034", "123"), "card[number]"),
            (card("x", "12", "2034", "123"), "card[number]"),
            (card("\u{664}242424242424242", "12", "2034", "123"), "card[number]"),
            (card(good, "0", "2034", "123"), "card[exp_month]"),
            (card(good, "13", "2034", "123"), "card[exp_month]"),
            (card(good, "-1", "2034", "123"), "card[exp_month]"),
            (card(good, "1", "2020", "123"), "card[exp_year]"),
            (card(good, "1", "9999", "123"), "card[exp_year]"),
            (card(good, "1", "0", "123"), "card[exp_year]"),
            (card(good, "12", "2034", "12"), "card[cvc]"),
            (card(good, "12", "2034", "1234"), "card[cvc]"),
            (card(good, "12", "2034", "12a"), "card[cvc]"),
            (card("378282246310005", "12", "2034", "12"), "card[cvc]"),
            (card(good, "12", "2034", "12345678901234567"), "card[cvc]"),
        ];
        let cases = cases.into_iter().map(|(body, param)| Refused { method: "POST", path: "/v2/payment_methods", headers: &[FORM], body, status: &[400, 402], param: Some(param) });
        assert_refused(&app, cases).await;
    }
}
