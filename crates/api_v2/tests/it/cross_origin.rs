//! Pages of other sites may use publishable keys, and nothing else.

use crate::support::{Logs, send};
use api_v2::routes::{Access, ROUTES};
use std::collections::BTreeMap;
use testkit::TestApp;

const ORIGIN: (&str, &str) = ("origin", "https://evil.example");
const ALLOW_ORIGIN: &str = "access-control-allow-origin";

fn filled(path: &str) -> String {
    let ids = path.split('/').map(|s| if s.starts_with('{') { "pi_00000000000000000" } else { s });
    format!("/v2{}", ids.collect::<Vec<_>>().join("/"))
}

testkit::on_both_engines! {
    async fn preflights_allow_only_what_a_publishable_key_may_do(db) {
        let app = TestApp::start(&db).await;
        let mut public: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for route in ROUTES {
            let methods = public.entry(route.path).or_default();
            if route.access != Access::Secret {
                methods.push(route.method);
            }
        }
        for (path, methods) in public {
            let asks = [ORIGIN, ("authorization", ""), ("access-control-request-method", "POST"), ("access-control-request-headers", "authorization")];
            let answer = send(&app, "OPTIONS", &filled(path), &asks, "").await;
            if methods.is_empty() {
                assert_eq!(answer.status.as_u16(), 405, "{path}");
                assert_eq!(answer.header(ALLOW_ORIGIN), None, "{path}");
            } else {
                assert_eq!(answer.status.as_u16(), 204, "{path}");
                assert_eq!(answer.header(ALLOW_ORIGIN), Some("*"), "{path}");
                assert_eq!(answer.header("access-control-allow-methods"), Some(methods.join(", ").as_str()), "{path}");
                assert_eq!(answer.header("access-control-allow-credentials"), None, "{path}");
            }
        }
    }

    async fn a_secret_key_from_a_browser_page_is_unreadable_there_and_reported(db) {
        let logs = Logs::capture();
        let app = TestApp::start(&db).await;
        for path in ["/v2/balance", "/v2/payment_intents", "/v2/payment_intents/pi_00000000000000000", "/nowhere"] {
            let answer = send(&app, "GET", path, &[ORIGIN], "").await;
            assert_eq!(answer.header(ALLOW_ORIGIN), None, "{path}");
            let request = answer.header("x-request-id").expect("an id");
            let warned = logs.of_request(request).iter().any(|r| r["level"] == "WARN" && r["message"].as_str().is_some_and(|m| m.contains("browser")));
            assert_eq!(warned, path != "/nowhere", "{path}");
        }
        let bearer = format!("Bearer {}", app.pk);
        let made = send(&app, "POST", "/v2/payment_methods", &[ORIGIN, ("authorization", &bearer), crate::support::FORM], "type=card&card[token]=tok_visa").await;
        assert_eq!((made.status.as_u16(), made.header(ALLOW_ORIGIN)), (201, Some("*")), "{}", made.text);
        assert!(!logs.text().contains(&app.sk));
    }
}
