//! Text is text: never SQL, a template, a header, a terminal code or an address to somewhere else.

use crate::support::{Refused, assert_refused, bad_form, bad_query, data, id, send};
use testkit::{TestApp, form_body};

const CUSTOMERS: &str = "/v2/customers";
const PAY: &str = "/v2/payment_intents";

testkit::on_both_engines! {
    async fn filters_match_literally(db) {
        let app = TestApp::start(&db).await;
        for email in ["a@example.com", "b@example.com", "a_b@example.com", "a%b@example.com"] {
            app.post(CUSTOMERS, &[("email", email), ("name", "N")]).await.expect(201);
        }
        app.pay(1000, "pm_card_visa", &[]).await.expect(201);
        let count = async |path: &str, name: &str, value: &str| {
            data(&app.get(&format!("{path}?{}", form_body(&[(name, value)]))).await.expect(200)).len()
        };
        for nothing in ["' OR 1=1--", "' OR '1'='1", "%", "_@example.com", "%@example.com", "a?b@example.com", "A@EXAMPLE.COM\\", "a@example.com' --", "a@example.com;DROP TABLE customers"] {
            assert_eq!(count(CUSTOMERS, "email", nothing).await, 0, "{nothing}");
            assert_eq!(count("/v2/balance/history", "source", nothing).await, 0, "{nothing}");
        }
        for one in ["a@example.com", "a_b@example.com", "a%b@example.com"] {
            assert_eq!(count(CUSTOMERS, "email", one).await, 1, "{one}");
        }
        let control = format!("{CUSTOMERS}?email=a%1ab@example.com");
        assert_refused(&app, [bad_query(&control, "email")]).await;
        for (path, name) in [("/v2/events", "type"), ("/v2/balance/history", "type"), ("/v2/payment_methods", "type"), (PAY, "customer"), ("/v2/refunds", "charge")] {
            let path = format!("{path}?{}", form_body(&[(name, "x' OR 1=1--")]));
            assert_refused(&app, [bad_query(&path, name)]).await;
        }
        assert_eq!(data(&app.get(CUSTOMERS).await.expect(200)).len(), 4);
        for path in ["/v2/customers/' OR 1=1--", "/v2/customers/%27%20OR%201=1--", "/v2/customers/cus_%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25%25"] {
            send(&app, "GET", &path.replace(' ', "%20"), &[], "").await.expect_error(404, "invalid_request_error", Some("resource_missing"));
        }
    }

    async fn text_comes_back_as_it_was_sent(db) {
        let app = TestApp::start(&db).await;
        for text in ["{{7*7}}", "${jndi:ldap://x/a}", "%s%n%x", "#{7*7}", "<%= 7*7 %>", "{0}", "{{constructor.constructor('x')()}}", "<script>alert(1)</script>", "'; DROP TABLE customers; --", "\\u0041", "&lt;b&gt;", "=HYPERLINK(\"x\")", "é\u{301} 日本 🏴‍☠️ עברית", "+1", "a\\nb", "null", "true", "__proto__"] {
            let form = [("description", text), ("name", text), ("metadata[key]", text), ("address[line1]", text)];
            let made = app.post(CUSTOMERS, &form).await.expect(201);
            for shown in [made.clone(), app.get(&format!("{CUSTOMERS}/{}", id(&made))).await.expect(200)] {
                for got in [&shown["description"], &shown["name"], &shown["metadata"]["key"], &shown["address"]["line1"]] {
                    assert_eq!(got, text);
                }
            }
        }
        let lines = app.post(CUSTOMERS, &[("description", "two\nlines\tand a tab")]).await.expect(201);
        assert_eq!(lines["description"], "two\nlines\tand a tab");
    }

    async fn line_breaks_do_not_reach_what_is_sent_on(db) {
        let app = TestApp::start(&db).await;
        let breaks = ["a\r\nBcc: all@example.com", "a\nb", "a\rb", "a\u{2028}b", "a\u{85}b", "a\u{0}b", "a\u{b}b"];
        let mut cases = Vec::new();
        let pay = [("amount", "100"), ("currency", "eur")];
        for text in breaks.iter().filter(|t| !t.contains('\0')) {
            let address = format!("{text}@example.com");
            cases.push(bad_form(CUSTOMERS, "email", &[("email", &address)]));
            cases.push(bad_form(CUSTOMERS, "name", &[("name", text)]));
            cases.push(bad_form(CUSTOMERS, "phone", &[("phone", text)]));
            cases.push(bad_form(PAY, "receipt_email", &[&pay[..], &[("receipt_email", &address)]].concat()));
            cases.push(bad_form(PAY, "statement_descriptor", &[&pay[..], &[("statement_descriptor", text)]].concat()));
            let url = format!("https://shop.example/{text}");
            cases.push(bad_form(PAY, "return_url", &[&pay[..], &[("confirm", "true"), ("payment_method", "pm_card_visa"), ("return_url", &url)]].concat()));
            cases.push(bad_form("/v2/webhook_endpoints", "url", &[("url", &url), ("enabled_events[]", "*")]));
        }
        assert_refused(&app, cases).await;
        for key in ["a\tb", "\u{1}", "\u{7f}", " ", "\u{85}", "\u{2028}"] {
            let Ok(value) = axum::http::HeaderValue::from_bytes(key.as_bytes()) else { continue };
            let mut request = crate::support::request(&app, "POST", CUSTOMERS, &[crate::support::FORM], "");
            request.headers_mut().insert("idempotency-key", value);
            app.send(request).await.expect_error(400, "idempotency_error", Some("idempotency_key_invalid"));
        }
    }

    async fn characters_that_deceive_are_refused_in_names(db) {
        let app = TestApp::start(&db).await;
        let marks = format!("e{}", "\u{301}".repeat(10_000));
        let some_marks = format!("e{}", "\u{301}".repeat(200));
        let bad = ["\u{202e}elbat", "a\u{2066}b", "a\u{2069}b", "a\u{200b}b", "\u{feff}a", "a\u{7}b", "a\u{1b}[31mb", "a\u{9b}31mb", "a\u{fff9}b", &marks, &some_marks, "   ", &"x".repeat(257)];
        let mut cases = Vec::new();
        for text in bad {
            cases.push(bad_form(CUSTOMERS, "name", &[("name", text)]));
            cases.push(bad_form(CUSTOMERS, "shipping[name]", &[("shipping[name]", text), ("shipping[address][line1]", "x")]));
            cases.push(bad_form("/v2/payment_methods", "billing_details[name]", &[("type", "card"), ("card[token]", "tok_visa"), ("billing_details[name]", text)]));
        }
        for text in ["\u{202e}x", "a\u{200b}b", "a\u{1b}[2Jb", &some_marks] {
            cases.push(bad_form(CUSTOMERS, "description", &[("description", text)]));
            cases.push(bad_form(CUSTOMERS, "metadata[a]", &[("metadata[a]", text)]));
        }
        assert_refused(&app, cases).await;
        for good in ["Zoë Ångström", "محمد", "דוד", "François-Noël", "山田 太郎", "O’Brien", "نامه‌ای"] {
            assert_eq!(app.post(CUSTOMERS, &[("name", good)]).await.expect(201)["name"], good);
        }
    }

    async fn addresses_lead_to_web_pages_only(db) {
        let app = TestApp::start(&db).await;
        let long = format!("https://shop.example/{}", "x".repeat(64_000));
        let bad = [
            "javascript:alert(1)", "JavaScript://x/%0aalert(1)", "data:text/html,x", "file:///etc/passwd", "//evil.example/x", "/relative", "shop.example", "https:/shop.example", "https:shop.example", "https://", "https:///shop.example",
            "https://u:p@shop.example", "https://u@shop.example", "https://@shop.example", "https://shop.example:443@evil.example/", "https://\u{430}pple.example/", "https://b\u{fc}cher.example/", "https://shop.example\u{3002}evil.example/",
            "https://shop.example\\@evil.example", "https:\\\\evil.example", "https://evil\t.example", "https://shop.example/a b", " https://shop.example", "https://shop.example ", "https://shop.example/\u{202e}gpj", "ftp://shop.example", "blob:https://shop.example/x", "https://shop.example:65536/", "https://shop.example:0x50/", "https://shop.example:abc/", "https://[::1", "https://shop..example/", "vbscript:x", &long,
        ];
        let mut cases = Vec::new();
        let open = id(&app.post(PAY, &[("amount", "100"), ("currency", "eur")]).await.expect(201));
        let confirm = format!("{PAY}/{open}/confirm");
        for url in bad {
            cases.push(bad_form(&confirm, "return_url", &[("payment_method", "pm_card_visa"), ("return_url", url)]));
            cases.push(bad_form("/v2/webhook_endpoints", "url", &[("url", url), ("enabled_events[]", "*")]));
        }
        assert_refused(&app, cases.into_iter().map(|case| Refused { status: &[400, 413], param: case.param.filter(|_| case.body.len() < 60_000), ..case })).await;
        for (n, good) in ["https://shop.example/back?cart=7&x=%20#done", "https://xn--bcher-kva.example/", "http://localhost:3000/back", "https://shop.example:8443"].iter().enumerate() {
            let form = [("amount", "100"), ("currency", "eur"), ("payment_method", "pm_card_threeDSecure2Required"), ("confirm", "true"), ("return_url", good)];
            let waiting = app.post_once(&format!("good{n}"), PAY, &form).await.expect(201);
            assert_eq!(waiting["next_action"]["redirect_to_url"]["return_url"], *good);
        }
    }
}
