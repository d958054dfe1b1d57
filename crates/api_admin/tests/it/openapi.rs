//! The OpenAPI documents are true: nothing is missing, nothing is more, and every example works. Beside these tests,
//! each answer that any test of this crate gets is compared with them (`testkit::schema::described`).

use crate::coverage::{Fixtures, address, public_sample, sample};
use crate::people::People;
use crate::support::{golden, rewriting, write};
use api_admin::openapi::{admin_document, described, public_document};
use api_admin::{ADMIN_ROUTES, Access, Endpoint, PUBLIC_ROUTES};
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use testkit::office::{Office, text};
use testkit::schema::faults;
use testkit::{Answer, Db, Kind, TestApp};
use tracing::span;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// Items of a list in recorded answers.
const SHOWN_MAX: usize = 3;

fn operation<'d>(document: &'d Value, route: &Endpoint) -> &'d Value {
    &document["paths"][route.path][route.method.to_ascii_lowercase()]
}

fn both() -> [(&'static str, &'static Value, &'static [Endpoint]); 2] {
    [("admin", admin_document(), ADMIN_ROUTES), ("main", public_document(), PUBLIC_ROUTES)]
}

#[test]
fn documents_are_as_committed() {
    for (name, document, _) in both() {
        golden(&format!("openapi/{name}.json"), &format!("{document:#}\n"));
    }
}

#[test]
fn every_route_is_described_and_no_other() {
    let mut ids = BTreeSet::new();
    for (name, document, routes) in both() {
        let keys = |route: &Endpoint| format!("{} {}", route.method, route.path);
        let there: BTreeSet<String> = routes.iter().map(keys).collect();
        let files: BTreeSet<String> = described(name == "admin").into_iter().collect();
        let undescribed: Vec<_> = there.difference(&files).collect();
        assert!(
            undescribed.is_empty(),
            "describe in crates/api_admin/src/openapi/<noun>.json: {undescribed:?}"
        );
        let gone: Vec<_> = files.difference(&there).collect();
        assert!(gone.is_empty(), "described, but no route: {gone:?}");
        for route in routes {
            let operation = operation(document, route);
            let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{} has no id", keys(route)));
            assert!(ids.insert(format!("{name} {id}")), "{id} twice");
        }
        let mut broken = Vec::new();
        references(document, document, &mut broken);
        assert!(broken.is_empty(), "{broken:?}");
    }
}

fn references(document: &Value, value: &Value, broken: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(to) = fields.get("$ref").and_then(Value::as_str)
                && document.pointer(to.trim_start_matches('#')).is_none()
            {
                broken.push(to.to_owned());
            }
            fields.values().for_each(|inner| references(document, inner, broken));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(document, inner, broken)),
        _ => {}
    }
}

#[test]
fn recorded_answers_fit_and_none_is_missing() {
    if rewriting() {
        return;
    }
    for (_, document, routes) in both() {
        for route in routes {
            let responses = &operation(document, route)["responses"];
            let done = responses.get("200").unwrap_or(&responses["201"]);
            let Some(content) = done["content"].get("application/json") else { continue };
            let example = content.get("example");
            let example = example
                .unwrap_or_else(|| panic!("no answer is recorded for {} {}", route.method, route.path));
            let faults = faults(document, &content["schema"], example);
            assert!(
                faults.is_empty(),
                "{} {}: record its answer again: {faults:?}",
                route.method,
                route.path
            );
        }
    }
}

/// Collects which fields of requests are read.
struct Reads(Arc<Mutex<BTreeSet<String>>>);

impl tracing::field::Visit for &Reads {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "name" {
            self.0.lock().expect("no panic").insert(dotted(&format!("{value:?}")));
        }
    }
}

impl tracing::Subscriber for Reads {
    fn enabled(&self, of: &tracing::Metadata<'_>) -> bool {
        of.target() == "web::params"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut &*self);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// `items[0][unitPrice]` as `items[].unitPrice`.
fn dotted(name: &str) -> String {
    let mut parts = name.split('[');
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts.map(|part| part.trim_end_matches(']')) {
        let digits = part.bytes().all(|b| b.is_ascii_digit());
        shown.push_str(&if digits { "[]".to_owned() } else { format!(".{part}") });
    }
    shown
}

fn resolved<'d>(document: &'d Value, value: &'d Value) -> &'d Value {
    let target = value.get("$ref").and_then(Value::as_str);
    target.and_then(|to| document.pointer(to.trim_start_matches('#'))).unwrap_or(value)
}

/// Which fields a request may have, in the same spelling.
fn fields(document: &Value, operation: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let parameter = resolved(document, parameter);
        if parameter["in"] == "query" {
            all.insert(text(&parameter["name"]));
        }
    }
    fields_of(document, &operation["requestBody"]["content"]["application/json"]["schema"], "", &mut all);
    all
}

fn fields_of(document: &Value, schema: &Value, before: &str, all: &mut BTreeSet<String>) {
    let schema = resolved(document, schema);
    let schema = schema.get("anyOf").map_or(schema, |kinds| resolved(document, &kinds[0]));
    if let Some(items) = schema.get("items") {
        fields_of(document, items, &format!("{}[].", before.trim_end_matches('.')), all);
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        all.insert(format!("{before}{name}"));
        fields_of(document, inner, &format!("{before}{name}."), all);
    }
}

/// An example with the ids of what there is.
fn filled(example: &Value, name: &str, f: &Fixtures, code: &str) -> Value {
    match example {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), filled(value, name, f, code)));
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.iter().map(|item| filled(item, name, f, code)).collect(),
        Value::String(text) if text == "{code}" => json!(code),
        Value::String(text) if text == "65f0a1b2c3d4e5f607182930" => match name {
            "providerIds" | "defaultProviderId" => json!(f.provider),
            "siteId" => json!(f.site),
            "checkoutId" => json!(f.checkout_to_pay),
            other => panic!("say here what {other} is in an example"),
        },
        other => other.clone(),
    }
}

/// The query of a request with every parameter's example.
fn query(document: &Value, operation: &Value, f: &Fixtures, code: Option<&str>) -> String {
    let mut pairs = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let parameter = resolved(document, parameter);
        if parameter["in"] != "query" {
            continue;
        }
        let name = text(&parameter["name"]);
        let value = match (&parameter["example"], code) {
            (_, Some(code)) => code.to_owned(),
            _ if name == "providerId" => f.provider.clone(),
            (Value::String(text), None) => text.clone(),
            (other, None) => other.to_string(),
        };
        pairs.push(format!("{name}={value}"));
    }
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// An answer as documents show it: without secrets, lists cut short.
fn shown(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mask = |name: &str, value| if name == "token" { json!(SECRET) } else { shown(value) };
            fields.iter().map(|(name, value)| (name.clone(), mask(name, value))).collect()
        }
        Value::Array(items) => items.iter().take(SHOWN_MAX).map(shown).collect(),
        Value::String(text) if text.starts_with("whsec_") => json!(format!("whsec_{SECRET}")),
        Value::String(text) => match text.split_once('.') {
            Some((head, _)) if head.starts_with("sk_") => json!(format!("{head}.{SECRET}")),
            _ => value.clone(),
        },
        other => other.clone(),
    }
}

/// What is recorded: of answers that were recorded before and still fit, those, so that a file that is true stays as it is.
fn renewed(document: &Value, routes: &[Endpoint], answers: Map<String, Value>) -> Map<String, Value> {
    let mut kept = answers;
    for route in routes {
        let responses = &operation(document, route)["responses"];
        let content = &responses.get("200").unwrap_or(&responses["201"])["content"]["application/json"];
        if let Some(before) =
            content.get("example").filter(|e| faults(document, &content["schema"], e).is_empty())
        {
            kept.insert(format!("{} {}", route.method, route.path), before.clone());
        }
    }
    kept
}

/// One route, tried with each of its examples and with nothing: what is read is what is described.
struct Trial<'a> {
    document: &'static Value,
    route: &'static Endpoint,
    office: &'a Office,
    read: Arc<Mutex<BTreeSet<String>>>,
    answers: &'a mut Map<String, Value>,
}

impl Trial<'_> {
    fn examples(&self) -> Vec<Option<Value>> {
        let body = &operation(self.document, self.route)["requestBody"]["content"]["application/json"];
        let Some(schema) = body.get("schema") else { return vec![None] };
        let name = format!("{} {}", self.route.method, self.route.path);
        let examples = body["examples"].as_object().unwrap_or_else(|| panic!("{name} has no example"));
        for (which, example) in examples {
            let faults = faults(self.document, schema, &example["value"]);
            assert!(faults.is_empty(), "{name}: the example {which} is not as its schema says: {faults:?}");
        }
        examples.values().map(|example| Some(example["value"].clone())).collect()
    }

    /// The words that the place in the path may have, where they are fixed: one for each example.
    fn words(&self) -> Vec<String> {
        let parameters = operation(self.document, self.route)["parameters"].as_array().into_iter().flatten();
        let words = parameters.filter(|p| p["in"] == "path").filter_map(|p| p["schema"]["enum"].as_array());
        words.flatten().map(text).collect()
    }

    fn note(&mut self, answer: &Answer) {
        let name = format!("{} {}", self.route.method, self.route.path);
        assert!(matches!(answer.status.as_u16(), 200 | 201), "{name}: {} {}", answer.status, answer.text);
        if !answer.json.is_null() {
            self.answers.entry(name).or_insert_with(|| shown(&answer.json));
        }
    }

    fn end(&self) {
        let described = fields(self.document, operation(self.document, self.route));
        let mut read = self.read.lock().expect("no panic");
        let name = format!("{} {}", self.route.method, self.route.path);
        let more: Vec<_> = read.difference(&described).collect();
        assert!(more.is_empty(), "{name} reads fields that its description does not have: {more:?}");
        let less: Vec<_> = described.difference(&read).collect();
        assert!(less.is_empty(), "{name}: no example makes it read {less:?}");
        read.clear();
    }

    async fn admin(&mut self, f: &Fixtures) {
        let route = self.route;
        let operation = operation(self.document, route);
        let sample = sample(f, route).unwrap_or_else(|| panic!("{} has no sample", route.path));
        let path = address(route, &sample.ids);
        let words = self.words();
        let method: Method = route.method.parse().expect("a method");
        let global = matches!(route.access, Access::Global(..) | Access::Shared(..));
        let key = if global { &self.office.system_key } else { &self.office.key };
        let query = query(self.document, operation, f, None);
        let once = operation["parameters"].as_array().into_iter().flatten();
        let once = once.into_iter().any(|p| p["$ref"] == "#/components/parameters/IdempotencyKey");
        for (n, example) in self.examples().into_iter().enumerate() {
            let body = example.map(|example| filled(&example, "", f, ""));
            let path = match words.get(n) {
                Some(word) => address(route, std::slice::from_ref(word)),
                None => path.clone(),
            };
            let asked = format!("{path}{query}");
            if once {
                let (name, body) = (format!("{}-{n}", route.path), body.unwrap_or_else(|| json!({})));
                let answer = self.office.post_once(&name, &asked, &body).await;
                self.note(&answer);
                let again = self.office.post_once(&name, &asked, &body).await;
                assert_eq!(again.header("idempotent-replayed"), Some("true"), "{}", route.path);
                assert_eq!(again.text, answer.text, "{}", route.path);
            } else {
                let answer = self.office.as_key(key, method.clone(), &asked, body.as_ref()).await;
                self.note(&answer);
            }
        }
        // Without anything: what is read then, of requests that are refused for it or that change nothing.
        if route.method == "GET" || operation["requestBody"]["required"] == true {
            let plain = self.office.as_key(key, method, &path, None).await;
            // Without filters there is more to see.
            if plain.status.as_u16() == 200 && !plain.json.is_null() {
                self.answers.insert(format!("GET {}", route.path), shown(&plain.json));
            }
        }
        self.end();
    }

    /// The code of a checkout that the route can be tried with: what was paid cannot be paid again.
    async fn code(&self, f: &Fixtures) -> String {
        if self.route.path != "/transactions/create" {
            return f.waiting.1.clone();
        }
        let before = self.read.lock().expect("no panic").clone();
        let checkout = self.office.checkout(&json!({})).await.expect(200);
        *self.read.lock().expect("no panic") = before;
        text(&checkout["sessionPublicId"])
    }

    /// A route for people. Its examples stand for what a browser makes; that they fit is checked.
    async fn person(&mut self, f: &Fixtures, people: &mut People) {
        let route = self.route;
        self.examples();
        let (who, path, body) = people.request(route).await;
        self.read.lock().expect("no panic").clear();
        let method: Method = route.method.parse().expect("a method");
        let query = query(self.document, operation(self.document, route), f, None);
        let answer = who.ask(method, &format!("{path}{query}"), body.as_ref()).await;
        self.note(&answer);
        self.end();
    }

    async fn public(&mut self, f: &Fixtures) {
        let route = self.route;
        let sample = public_sample(f, route).unwrap_or_else(|| panic!("{} has no sample", route.path));
        let path = address(route, &sample.ids);
        let method: Method = route.method.parse().expect("a method");
        for example in self.examples() {
            let code = self.code(f).await;
            let body = example.map(|example| filled(&example, "", f, &code));
            let asked =
                format!("{path}{}", query(self.document, operation(self.document, route), f, Some(&code)));
            let answer = self.office.browser(method.clone(), &asked, body.as_ref()).await;
            self.note(&answer);
        }
        self.office.browser(method, &path, None).await;
        self.end();
    }
}

async fn walk(db: &Db) {
    let app = TestApp::start(db).await;
    let office = Office::open(&app).await;
    let fixtures = Fixtures::make(&office).await;
    let mut people = People::come(&app, &office).await;
    let (mut admin, mut public) = (Map::new(), Map::new());
    let read = Arc::new(Mutex::new(BTreeSet::new()));
    // On a runtime of one thread every handler runs on it.
    let listening = tracing::subscriber::set_default(Reads(read.clone()));
    for route in ADMIN_ROUTES {
        let (read, answers) = (read.clone(), &mut admin);
        let mut trial = Trial { document: admin_document(), route, office: &office, read, answers };
        if People::are_asked_by(route) {
            trial.person(&fixtures, &mut people).await;
        } else {
            trial.admin(&fixtures).await;
        }
    }
    for route in PUBLIC_ROUTES {
        let (read, answers) = (read.clone(), &mut public);
        Trial { document: public_document(), route, office: &office, read, answers }.public(&fixtures).await;
    }
    drop(listening);
    if rewriting() {
        let admin = renewed(admin_document(), ADMIN_ROUTES, admin);
        let answers = json!({ "admin": admin, "main": renewed(public_document(), PUBLIC_ROUTES, public) });
        write("crates/api_admin/src/openapi/answers.json", &format!("{answers:#}\n"));
    }
    app.assert_books().await;
}

#[tokio::test(flavor = "current_thread")]
async fn every_example_is_taken_and_answered_as_described() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        walk(&Db::new(kind).await).await;
    }
}

testkit::on_both_engines! {
    async fn the_page_is_there_without_a_script(db) {
        let app = TestApp::start(&db).await;
        let ask = async |admin: bool, path: &str| {
            let request = Request::get(format!("/api/v1/docs/{path}")).body(Body::empty()).expect("a request");
            if admin { app.admin(request).await } else { app.page(request).await }
        };
        for admin in [true, false] {
            let page = ask(admin, "index.html").await;
            assert_eq!((page.status.as_u16(), page.header("content-type")), (200, Some("text/html; charset=utf-8")));
            assert!(page.header("content-security-policy").is_some_and(|csp| csp.starts_with("default-src 'none'; style-src 'self'")));
            assert!(!page.text.contains("<script") && !page.text.contains("http-equiv"));
            let shown = if admin { "id=\"refundTransaction\"" } else { "id=\"pay\"" };
            assert!(page.text.contains(shown), "{shown}");
            assert_eq!(ask(admin, "style.css").await.header("content-type"), Some("text/css; charset=utf-8"));
            let document = ask(admin, "openapi.json").await.expect(200);
            assert_eq!(&document, if admin { admin_document() } else { public_document() });
        }
    }
}
