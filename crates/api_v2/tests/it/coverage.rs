//! Every route with every kind of key. The routes come from the product's own table: a route without a
//! sample here fails the test.

use crate::payouts;
use crate::support::{FORM, assert_clean, assert_same_rows, data, id, rows, send};
use api_v2::routes::{Access, Endpoint, ROUTES};
use domain::id::{ClockId, TypedId};
use engine::payouts::CreatePayout;
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};
use testkit::{Answer, TestApp, form_body};

/// One object of each kind, and more where a request uses its object up.
struct Fixtures {
    customer: String,
    customer_to_erase: String,
    bank_account: String,
    bank_account_to_delete: String,
    attached: String,
    to_attach: String,
    to_detach: String,
    paid: String,
    charge: String,
    refund: String,
    payout: String,
    payout_to_cancel: String,
    transaction: String,
    open: String,
    open_secret: String,
    to_confirm: String,
    to_confirm_secret: String,
    to_capture: String,
    to_cancel: String,
    to_increment: String,
    challenged: String,
    endpoint: String,
    endpoint_to_delete: String,
    event: String,
    clock: String,
    clock_to_advance: String,
    clock_to_delete: String,
}

/// A number that no other account of a test has.
fn account_number() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(90_000_000);
    NEXT.fetch_add(1, Ordering::Relaxed).to_string()
}

impl Fixtures {
    async fn make(app: &TestApp) -> Fixtures {
        let endpoint = async || {
            let form = [("url", "https://example.com/hook"), ("enabled_events[]", "*")];
            id(&app.post("/v2/webhook_endpoints", &form).await.expect(201))
        };
        let clock = async || {
            id(&app.post("/v2/test_helpers/test_clocks", &[("frozen_time", "1790000000")]).await.expect(201))
        };
        let card = async || {
            id(&app
                .post("/v2/payment_methods", &[("type", "card"), ("card[token]", "tok_visa")])
                .await
                .expect(201))
        };
        let customer = id(&app.post("/v2/customers", &[("email", "a@example.com")]).await.expect(201));
        let attach = async || {
            let path = format!("/v2/payment_methods/{}/attach", card().await);
            id(&app.post(&path, &[("customer", &customer)]).await.expect(200))
        };
        let open = async || {
            app.post("/v2/payment_intents", &[("amount", "900"), ("currency", "eur")]).await.expect(201)
        };
        let held =
            async || id(&app.pay(1000, "pm_card_visa", &[("capture_method", "manual")]).await.expect(201));
        let (endpoint, endpoint_to_delete) = (endpoint().await, endpoint().await);
        let paid = app.pay(5000, "pm_card_visa", &[("customer", &customer)]).await.expect(201);
        let refund =
            app.post("/v2/refunds", &[("payment_intent", &id(&paid)), ("amount", "100")]).await.expect(201);
        let clock_of_payouts = clock().await;
        // By a clock that stands still it can be canceled for as long as the test takes.
        let waiting = async || {
            let clock = ClockId::parse(&clock_of_payouts);
            let new = CreatePayout { clock, ..payouts::new(app, 100, payouts::WAITS) };
            app.engine.pay_out(app.scope(), None, new).await.expect("a payout").id.to_string()
        };
        app.pay(1000, "pm_card_bypassPending", &[]).await.expect(201);
        let bank_account = async || {
            let number = account_number();
            let form =
                [("account_number", number.as_str()), ("currency", "eur"), ("account_holder_name", "T")];
            id(&app.post("/v2/bank_accounts", &form).await.expect(201))
        };
        let (unpaid, to_confirm) = (open().await, open().await);
        let secret = |payment: &Value| payment["client_secret"].as_str().expect("a secret").to_owned();
        let events = app.get("/v2/events").await.expect(200);
        Fixtures {
            attached: attach().await,
            to_detach: attach().await,
            to_attach: card().await,
            charge: paid["latest_charge"].as_str().expect("a charge").to_owned(),
            paid: id(&paid),
            transaction: refund["balance_transaction"].as_str().expect("a transaction").to_owned(),
            refund: id(&refund),
            payout: waiting().await,
            payout_to_cancel: waiting().await,
            open_secret: secret(&unpaid),
            open: id(&unpaid),
            to_confirm_secret: secret(&to_confirm),
            to_confirm: id(&to_confirm),
            to_capture: held().await,
            to_cancel: held().await,
            to_increment: held().await,
            challenged: id(&app.pay(700, "pm_card_threeDSecure2Required", &[]).await.expect(201)),
            event: id(&data(&events)[0]),
            clock: clock().await,
            clock_to_advance: clock().await,
            clock_to_delete: clock().await,
            endpoint,
            endpoint_to_delete,
            bank_account: bank_account().await,
            bank_account_to_delete: bank_account().await,
            customer_to_erase: id(&app.post("/v2/customers", &[]).await.expect(201)),
            customer,
        }
    }
}

/// What a valid key of someone else, or of the other mode, gets for a request about these objects.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Foreign {
    /// The address names an object: 404.
    Hidden,
    /// A parameter names an object: 400 `resource_missing`.
    Missing,
    /// A list or a balance: 200, with nothing of this merchant in it.
    Empty,
    /// Names no object of anybody: makes one of the caller's own, hands out the caller's own rows, or is refused for
    /// another reason.
    Own,
}

struct Sample {
    ids: Vec<String>,
    params: Vec<(&'static str, String)>,
    foreign: Foreign,
}

/// A valid request for each route; `None` for a route that nobody thought of.
fn sample(f: &Fixtures, route: &Endpoint) -> Option<Sample> {
    use Foreign::{Empty, Hidden, Missing, Own};
    let at = |ids: &[&str], foreign, params: &[(&'static str, &str)]| {
        let params = params.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Some(Sample { ids: ids.iter().map(|i| (*i).to_owned()).collect(), params, foreign })
    };
    let card: &[(&str, &str)] = &[("type", "card"), ("card[token]", "tok_visa")];
    match (route.method, route.path) {
        ("POST", "/payment_intents") => {
            at(&[], Missing, &[("amount", "100"), ("currency", "eur"), ("customer", &f.customer)])
        }
        ("GET", "/payment_intents") => at(&[], Empty, &[("customer", &f.customer)]),
        ("GET", "/payment_intents/{id}") => at(&[&f.open], Hidden, &[("client_secret", &f.open_secret)]),
        ("POST", "/payment_intents/{id}") => at(&[&f.open], Hidden, &[("amount", "901")]),
        ("POST", "/payment_intents/{id}/confirm") => {
            let secret = ("client_secret", f.to_confirm_secret.as_str());
            at(&[&f.to_confirm], Hidden, &[("payment_method", "pm_card_visa"), secret])
        }
        ("POST", "/payment_intents/{id}/capture") => {
            at(&[&f.to_capture], Hidden, &[("amount_to_capture", "5")])
        }
        ("POST", "/payment_intents/{id}/cancel") => at(&[&f.to_cancel], Hidden, &[]),
        ("POST", "/payment_intents/{id}/increment_authorization") => {
            at(&[&f.to_increment], Hidden, &[("amount", "2000")])
        }
        ("GET", "/payment_intents/{id}/refunds") => at(&[&f.paid], Hidden, &[]),
        ("POST", "/payment_methods") => at(&[], Own, card),
        ("GET", "/payment_methods") => at(&[], Empty, &[("customer", &f.customer)]),
        ("GET", "/payment_methods/{id}") => at(&[&f.attached], Hidden, &[]),
        ("POST", "/payment_methods/{id}") => at(&[&f.attached], Hidden, &[("metadata[a]", "b")]),
        ("POST", "/payment_methods/{id}/attach") => at(&[&f.to_attach], Hidden, &[("customer", &f.customer)]),
        ("POST", "/payment_methods/{id}/detach") => at(&[&f.to_detach], Hidden, &[]),
        ("GET", "/charges") => at(&[], Empty, &[("payment_intent", &f.paid)]),
        ("GET", "/charges/{id}") => at(&[&f.charge], Hidden, &[]),
        ("GET", "/charges/{id}/refunds") => at(&[&f.charge], Hidden, &[]),
        ("POST", "/refunds") => at(&[], Missing, &[("payment_intent", &f.paid), ("amount", "1")]),
        ("GET", "/refunds") => at(&[], Empty, &[("payment_intent", &f.paid)]),
        ("GET", "/refunds/{id}") => at(&[&f.refund], Hidden, &[]),
        ("POST", "/refunds/{id}") => at(&[&f.refund], Hidden, &[("metadata[a]", "b")]),
        ("POST", "/payouts") => {
            at(&[], Missing, &[("amount", "10"), ("currency", "eur"), ("destination", &f.bank_account)])
        }
        ("POST", "/payouts/{id}") => at(&[&f.payout], Hidden, &[("metadata[a]", "b")]),
        ("POST", "/bank_accounts") => {
            let number = account_number();
            at(&[], Own, &[("account_number", &number), ("currency", "eur"), ("account_holder_name", "T")])
        }
        ("GET", "/bank_accounts") => at(&[], Empty, &[("currency", "eur")]),
        ("GET", "/bank_accounts/{id}") => at(&[&f.bank_account], Hidden, &[]),
        ("POST", "/bank_accounts/{id}") => at(&[&f.bank_account], Hidden, &[("metadata[a]", "b")]),
        ("DELETE", "/bank_accounts/{id}") => at(&[&f.bank_account_to_delete], Hidden, &[]),
        ("GET", "/payouts") => at(&[], Empty, &[("status", "pending")]),
        ("GET", "/payouts/{id}") => at(&[&f.payout], Hidden, &[]),
        ("POST", "/payouts/{id}/cancel") => at(&[&f.payout_to_cancel], Hidden, &[]),
        ("POST", "/customers") => at(&[], Missing, &[("test_clock", &f.clock)]),
        ("GET", "/customers") => at(&[], Empty, &[("email", "a@example.com")]),
        ("GET", "/customers/{id}") => at(&[&f.customer], Hidden, &[]),
        ("POST", "/customers/{id}") => at(&[&f.customer], Hidden, &[("name", "B")]),
        ("DELETE", "/customers/{id}") => at(&[&f.customer_to_erase], Hidden, &[]),
        ("GET", "/customers/{id}/payment_methods") => at(&[&f.customer], Hidden, &[]),
        ("GET", "/customers/{id}/payment_methods/{payment_method}") => {
            at(&[&f.customer, &f.attached], Hidden, &[])
        }
        ("POST", "/webhook_endpoints") => {
            at(&[], Own, &[("url", "https://example.com/b"), ("enabled_events[]", "*")])
        }
        ("GET", "/webhook_endpoints") => at(&[], Empty, &[]),
        ("GET", "/webhook_endpoints/{id}") => at(&[&f.endpoint], Hidden, &[]),
        ("POST", "/webhook_endpoints/{id}") => {
            at(&[&f.endpoint], Hidden, &[("url", "https://example.com/c")])
        }
        ("DELETE", "/webhook_endpoints/{id}") => at(&[&f.endpoint_to_delete], Hidden, &[]),
        ("POST", "/webhook_endpoints/{id}/rotate_secret") => at(&[&f.endpoint], Hidden, &[]),
        ("GET", "/webhook_endpoints/{id}/deliveries") => at(&[&f.endpoint], Hidden, &[]),
        ("GET", "/events") => at(&[], Empty, &[]),
        ("GET", "/events/{id}") => at(&[&f.event], Hidden, &[]),
        ("POST", "/events/{id}/resend") => at(&[&f.event], Hidden, &[("webhook_endpoint", &f.endpoint)]),
        ("GET", "/balance") => at(&[], Empty, &[]),
        ("GET", "/balance/history" | "/balance_transactions") => at(&[], Empty, &[("source", &f.refund)]),
        ("GET", "/balance/history/export") => at(&[], Own, &[("currency", "eur")]),
        ("GET", "/balance/history/{id}" | "/balance_transactions/{id}") => at(&[&f.transaction], Hidden, &[]),
        ("POST", "/test_helpers/test_clocks") => at(&[], Own, &[("frozen_time", "1790000000")]),
        ("GET", "/test_helpers/test_clocks") => at(&[], Empty, &[]),
        ("GET", "/test_helpers/test_clocks/{id}") => at(&[&f.clock], Hidden, &[]),
        ("POST", "/test_helpers/test_clocks/{id}/advance") => {
            at(&[&f.clock_to_advance], Hidden, &[("frozen_time", "1790000060")])
        }
        ("DELETE", "/test_helpers/test_clocks/{id}") => at(&[&f.clock_to_delete], Hidden, &[]),
        ("POST", "/test_helpers/payment_intents/{id}/authenticate") => at(&[&f.challenged], Hidden, &[]),
        _ => None,
    }
}

fn samples(f: &Fixtures) -> Vec<(&'static Endpoint, Sample)> {
    let find = |route: &'static Endpoint| match sample(f, route) {
        Some(sample) => (route, sample),
        None => panic!("{} {} has no sample in this table: add one", route.method, route.path),
    };
    ROUTES.iter().map(find).collect()
}

/// Sends the sample with `key`, or without one.
async fn ask(app: &TestApp, mount: &str, route: &Endpoint, sample: &Sample, key: Option<&str>) -> Answer {
    let mut ids = sample.ids.iter();
    let segments =
        route.path.split('/').map(|s| if s.starts_with('{') { ids.next().map_or("", |i| i) } else { s });
    let mut path = format!("{mount}{}", segments.collect::<Vec<_>>().join("/"));
    let params: Vec<(&str, &str)> = sample.params.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let mut body = form_body(&params);
    if route.method != "POST" {
        path = format!("{path}?{body}");
        body.clear();
    }
    let key = key.map(|k| format!("Bearer {k}")).unwrap_or_default();
    send(app, route.method, &path, &[("authorization", &key), FORM], body).await
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: Option<&str>, shown: &str) {
    assert_eq!(answer.status.as_u16(), status, "{shown}: {}", answer.text);
    assert_eq!(answer.json["error"]["code"].as_str(), code, "{shown}: {}", answer.text);
    assert_clean(answer, shown);
}

/// The answer to a valid key that has nothing to do with these objects.
#[track_caller]
fn assert_foreign(answer: &Answer, foreign: Foreign, f: &Fixtures, shown: &str) {
    match foreign {
        Foreign::Hidden => assert_refused(answer, 404, Some("resource_missing"), shown),
        Foreign::Missing => assert_refused(answer, 400, Some("resource_missing"), shown),
        Foreign::Empty => {
            assert_eq!(answer.status.as_u16(), 200, "{shown}: {}", answer.text);
            if answer.json["object"] == "list" {
                assert_eq!(data(&answer.json).len(), 0, "{shown}: {}", answer.text);
                assert_eq!(answer.json["has_more"], false, "{shown}");
            } else {
                assert_eq!(
                    (answer.json["available"].to_string(), answer.json["pending"].to_string()),
                    ("[]".into(), "[]".into()),
                    "{shown}"
                );
            }
        }
        Foreign::Own => {
            let made = answer.json["id"].as_str().unwrap_or("");
            for known in [&f.customer, &f.attached, &f.to_attach, &f.endpoint, &f.clock, &f.open, &f.paid] {
                assert_ne!(made, known, "{shown}");
            }
        }
    }
}

testkit::on_both_engines! {
    async fn every_route_refuses_every_key_but_its_own(db) {
        let app = TestApp::start(&db).await;
        let other = app.another_merchant().await;
        let f = Fixtures::make(&app).await;
        let wrong = format!("sk_test_{}", "A".repeat(32));
        for (route, sample) in samples(&f) {
            let before = rows(&app).await;
            for mount in ["/v2", "/stripe/v1"] {
                let shown = |who: &str| format!("{} {mount}{} with {who}", route.method, route.path);
                let no_key = ask(&app, mount, route, &sample, None).await;
                assert_refused(&no_key, 401, None, &shown("no key"));
                let unknown = ask(&app, mount, route, &sample, Some(&wrong)).await;
                assert_refused(&unknown, 401, None, &shown("a wrong key"));
                if route.access == Access::Secret {
                    for key in [&app.pk, &app.pk_live, &other.pk] {
                        let answer = ask(&app, mount, route, &sample, Some(key)).await;
                        assert_refused(&answer, 403, Some("insufficient_permissions"), &shown("a publishable key"));
                    }
                }
                if sample.foreign == Foreign::Own {
                    continue;
                }
                if route.access == Access::ClientSecret {
                    let answer = ask(&app, mount, route, &sample, Some(&other.pk)).await;
                    assert_refused(&answer, 404, Some("resource_missing"), &shown("another merchant's publishable key"));
                    let bare = Sample { ids: sample.ids.clone(), params: Vec::new(), foreign: Foreign::Hidden };
                    let answer = ask(&app, mount, route, &bare, Some(&app.pk)).await;
                    assert_refused(&answer, 404, Some("resource_missing"), &shown("a publishable key, but no client secret"));
                }
                let answer = ask(&app, mount, route, &sample, Some(&other.sk)).await;
                assert_foreign(&answer, sample.foreign, &f, &shown("another merchant's key"));
                for live in [&app.sk_live, &other.sk_live] {
                    let answer = ask(&app, mount, route, &sample, Some(live)).await;
                    let foreign = if route.test_only { Foreign::Hidden } else { sample.foreign };
                    assert_foreign(&answer, foreign, &f, &shown("a live key"));
                }
            }
            assert_same_rows(&before, &rows(&app).await, &format!("{} {}", route.method, route.path));
        }
        app.assert_books().await;
    }

    async fn what_others_make_is_theirs_alone(db) {
        let app = TestApp::start(&db).await;
        let other = app.another_merchant().await;
        let f = Fixtures::make(&app).await;
        for (route, sample) in samples(&f).iter().filter(|(r, s)| s.foreign == Foreign::Own && r.method != "GET") {
            let shown = format!("{} {}", route.method, route.path);
            let before = app.get(&format!("/v2{}?limit=100", route.path)).await.expect(200);
            for key in [&other.sk, &app.sk_live, &other.sk_live] {
                let answer = ask(&app, "/v2", route, sample, Some(key)).await;
                assert_foreign(&answer, Foreign::Own, &f, &shown);
                let test = key.starts_with("sk_test");
                assert!(answer.status.is_success() || !test, "{shown}: {}", answer.text);
                assert!(!route.test_only || test || answer.status.as_u16() == 404, "{shown}: {}", answer.text);
                if let Some(made) = answer.json["id"].as_str() {
                    app.get(&format!("/v2{}/{made}", route.path)).await.expect(404);
                }
            }
            assert_eq!(app.get(&format!("/v2{}?limit=100", route.path)).await.expect(200), before, "{shown}");
        }
    }

    async fn every_route_serves_its_own_key(db) {
        let app = TestApp::start(&db).await;
        for mount in ["/v2", "/stripe/v1"] {
            let (own, payers) = (Fixtures::make(&app).await, Fixtures::make(&app).await);
            for (route, sample) in samples(&payers).iter().filter(|(r, _)| r.access != Access::Secret) {
                let answer = ask(&app, mount, route, sample, Some(&app.pk)).await;
                assert!(answer.status.is_success(), "{} {}: {}", route.method, route.path, answer.text);
                for private in ["metadata", "customer", "latest_charge", "statement_descriptor"] {
                    let shown = answer.json["object"] == "payment_intent" && answer.json.get(private).is_some();
                    assert!(!shown, "{} {}: {}", route.method, route.path, answer.text);
                }
            }
            for (route, sample) in samples(&own) {
                let answer = ask(&app, mount, route, &sample, Some(&app.sk)).await;
                assert!(answer.status.is_success(), "{} {}: {}", route.method, route.path, answer.text);
                let table = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/csv"));
                assert!(table || answer.json["object"].is_string(), "{} {}: {}", route.method, route.path, answer.text);
                assert!(answer.json["object"] != "list" || !data(&answer.json).is_empty() || route.path.contains("deliveries"), "{}: {}", route.path, answer.text);
            }
        }
        app.assert_books().await;
    }
}
