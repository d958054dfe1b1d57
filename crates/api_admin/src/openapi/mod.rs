//! The OpenAPI documents of both backends. What there is and who may call it comes from the tables of routes; what is
//! sent and answered from the files of this folder, one a noun, in the short form of [`shorthand`]; the answers shown
//! as examples are real ones, which a test recorded.

mod page;
pub(crate) mod serve;
mod shorthand;

use crate::callers::Access;
use crate::dispatch::Backend;
use crate::routes::{ADMIN_ROUTES, Endpoint, PUBLIC_ROUTES};
use serde_json::{Map, Value, json};
use shorthand::Side;
use std::sync::LazyLock;

/// A file of this folder, in the order in which the document shows them.
macro_rules! nouns {
    ($($name:literal),+ $(,)?) => { &[$(($name, include_str!(concat!($name, ".json")))),+] };
}

type Nouns = &'static [(&'static str, &'static str)];

const ADMIN_NOUNS: Nouns = nouns![
    "auth",
    "profile",
    "organizations",
    "members",
    "settings",
    "api_keys",
    "system_keys",
    "system_settings",
    "sites",
    "providers",
    "checkouts",
    "transactions",
    "clients",
    "figures",
    "exports",
    "audit"
];
const PUBLIC_NOUNS: Nouns = nouns!["public"];

/// Real answers by backend and route.
const ANSWERS: &str = include_str!("answers.json");

static ADMIN: LazyLock<Value> = LazyLock::new(|| document(Backend::Admin));
static PUBLIC: LazyLock<Value> = LazyLock::new(|| document(Backend::Public));

/// The document of the Admin API.
pub fn admin_document() -> &'static Value {
    &ADMIN
}

/// The document of the Main Backend.
pub fn public_document() -> &'static Value {
    &PUBLIC
}

/// The test that shows a route, as the noun's file names it: `module::name`.
pub fn shown_by(admin: bool, method: &str, path: &str) -> Option<String> {
    let backend = if admin { Backend::Admin } else { Backend::Public };
    let entry = nouns_of(backend).into_iter().find_map(|(_, noun)| {
        noun.get("routes").and_then(|routes| routes.get(format!("{method} {path}"))).cloned()
    })?;
    entry.get("test").and_then(Value::as_str).map(str::to_owned)
}

/// What the files describe: `METHOD /path` of every entry.
pub fn described(admin: bool) -> Vec<String> {
    let backend = if admin { Backend::Admin } else { Backend::Public };
    let nouns = nouns_of(backend);
    let routes = nouns.iter().filter_map(|(_, noun)| noun.get("routes").and_then(Value::as_object));
    routes.flat_map(|routes| routes.keys().cloned()).collect()
}

fn parsed(text: &str) -> Value {
    // What cannot be read is empty here and fails a test; a request must not fail by it.
    serde_json::from_str(text).unwrap_or(Value::Null)
}

fn nouns_of(backend: Backend) -> Vec<(&'static str, Value)> {
    let files = match backend {
        Backend::Admin => ADMIN_NOUNS,
        Backend::Public => PUBLIC_NOUNS,
    };
    files.iter().map(|(name, text)| (*name, parsed(text))).collect()
}

fn document(backend: Backend) -> Value {
    let nouns = nouns_of(backend);
    let (name, routes) = match backend {
        Backend::Admin => ("admin", ADMIN_ROUTES),
        Backend::Public => ("main", PUBLIC_ROUTES),
    };
    let mut common = parsed(include_str!("common.json"));
    let answers = parsed(ANSWERS)[name].take();
    let mut paths = Map::new();
    for endpoint in routes {
        let operation = operation(endpoint, &nouns, &answers);
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.to_ascii_lowercase()] = operation;
    }
    let tags: Vec<Value> =
        nouns.iter().map(|(_, noun)| json!({ "name": noun["tag"], "description": noun["text"] })).collect();
    let mut info = common["info"][name].take();
    info["version"] = json!(env!("CARGO_PKG_VERSION"));
    info["license"] = json!({ "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" });
    let mut components = common["components"].take();
    components["schemas"] = Value::Object(schemas(&nouns));
    components["schemas"]["Error"] = common["error"].take();
    json!({
        "openapi": "3.1.0",
        "info": info,
        "servers": [{ "url": "/api/v1" }],
        "tags": tags,
        "paths": paths,
        "components": components,
    })
}

/// The objects of all nouns by name. `$extends` takes over the fields of another.
fn schemas(nouns: &[(&'static str, Value)]) -> Map<String, Value> {
    let all =
        || nouns.iter().filter_map(|(_, noun)| noun.get("schemas").and_then(Value::as_object)).flatten();
    let mut made = Map::new();
    for (name, short) in all() {
        let mut whole = short.clone();
        if let Some(base) = short.get("$extends").and_then(Value::as_str)
            && let Some((_, Value::Object(base))) = all().find(|(name, _)| *name == base)
            && let Value::Object(own) = short
        {
            let fields = base.iter().chain(own).map(|(name, field)| (name.clone(), field.clone()));
            whole = Value::Object(fields.collect());
        }
        let side = if short["$request"] == true { Side::Request } else { Side::Answer };
        let mut schema = shorthand::schema(&whole, side);
        if let Some(text) = short.get("$text") {
            schema["description"] = text.clone();
        }
        made.insert(name.clone(), schema);
    }
    made
}

fn operation(endpoint: &Endpoint, nouns: &[(&'static str, Value)], answers: &Value) -> Value {
    let key = format!("{} {}", endpoint.method, endpoint.path);
    let found = nouns.iter().find_map(|(_, noun)| Some((&noun["tag"], noun.get("routes")?.get(&key)?)));
    // An undescribed route is shown as far as its table goes, and fails a test.
    let nothing = Value::Null;
    let (tag, entry) = found.unwrap_or((&nothing, &nothing));
    let mut operation = json!({ "operationId": entry["id"], "tags": [tag], "summary": endpoint.summary });
    if let Some(text) = entry.get("text") {
        operation["description"] = text.clone();
    }
    let (security, scope, level) = access(endpoint.access);
    operation["security"] = security;
    operation["x-required-scope"] = scope;
    operation["x-access"] = level;
    if endpoint.fresh_login {
        operation["x-fresh-login"] = json!(true);
    }
    let parameters = parameters(endpoint, entry);
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = entry.get("body") {
        let schema = shorthand::schema(body, Side::Request);
        let needed = schema.get("required").is_some();
        let mut content = json!({ "schema": schema });
        if let Some(Value::Object(examples)) = entry.get("examples") {
            let examples = examples.iter().map(|(name, value)| (name.clone(), json!({ "value": value })));
            content["examples"] = Value::Object(examples.collect());
        }
        operation["requestBody"] = json!({ "required": needed, "content": { "application/json": content } });
    }
    operation["responses"] = responses(endpoint, entry, answers.get(&key));
    operation
}

/// The credentials that a route takes, the scope, and for what the scope is asked.
fn access(access: Access) -> (Value, Value, Value) {
    let (kinds, scope, level) = match access {
        Access::Public => (json!([]), None, "public"),
        Access::Visitor => (json!([{}, { "session": [] }]), None, "visitor"),
        Access::Cookie => (json!([{ "refresh": [] }]), None, "cookie"),
        Access::Person => (json!([{ "session": [] }]), None, "person"),
        Access::Scope(r, a) | Access::Organization(r, a) => (Value::Null, Some((r, a)), "organization"),
        Access::Global(r, a) => (Value::Null, Some((r, a)), "instance"),
        Access::Shared(r, a) => (Value::Null, Some((r, a)), "shared"),
    };
    let kinds = if kinds.is_null() { json!([{ "key": [] }, { "session": [] }]) } else { kinds };
    (kinds, json!(scope.map(|(r, a)| format!("{r}:{a}"))), json!(level))
}

fn parameters(endpoint: &Endpoint, entry: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for name in endpoint.path.split(['{', '}']).skip(1).step_by(2) {
        let short = entry["path"].get(name).cloned().unwrap_or_else(|| json!("id"));
        all.push(parameter("path", name, &short));
    }
    for (name, short) in entry.get("query").and_then(Value::as_object).into_iter().flatten() {
        all.push(parameter("query", name, short));
    }
    let mut shared = Vec::new();
    if entry.get("page").is_some() {
        shared.extend(["Page", "Limit"]);
    }
    if matches!(endpoint.access, Access::Scope(..)) {
        shared.push("Organization");
    }
    if entry["once"] == true {
        shared.push("IdempotencyKey");
    }
    all.extend(shared.iter().map(|name| json!({ "$ref": format!("#/components/parameters/{name}") })));
    all
}

fn parameter(place: &str, name: &str, short: &Value) -> Value {
    let (mut schema, needed) = shorthand::field(short, Side::Request);
    let description = schema.as_object_mut().and_then(|s| s.remove("description"));
    let mut parameter = json!({ "name": name, "in": place, "required": needed || place == "path" });
    if let Some(description) = description {
        parameter["description"] = description;
    }
    parameter["example"] = shorthand::example(&schema, name);
    parameter["schema"] = schema;
    parameter
}

fn responses(endpoint: &Endpoint, entry: &Value, recorded: Option<&Value>) -> Value {
    let (status, said) = if entry["created"] == true { ("201", "Made.") } else { ("200", "Done.") };
    let content = match entry.get("file").and_then(Value::as_array) {
        Some(kinds) => {
            let kinds = kinds.iter().filter_map(Value::as_str);
            Value::Object(
                kinds.map(|kind| (kind.to_owned(), json!({ "schema": { "type": "string" } }))).collect(),
            )
        }
        None => json!({ "application/json": answered(entry, recorded) }),
    };
    let mut all = Map::new();
    all.insert(status.to_owned(), json!({ "description": said, "content": content }));
    for status in errors(endpoint, entry) {
        all.insert(status.to_string(), json!({ "$ref": format!("#/components/responses/E{status}") }));
    }
    Value::Object(all)
}

/// What a route answers with, as JSON.
fn answered(entry: &Value, recorded: Option<&Value>) -> Value {
    let schema = match entry.get("page").and_then(Value::as_array).map(Vec::as_slice) {
        Some([name, of]) => {
            let mut page = Map::new();
            page.insert(name.as_str().unwrap_or_default().to_owned(), json!({ "list": of }));
            for (name, short) in
                [("total", "integer Of all pages."), ("page", "integer"), ("limit", "integer")]
            {
                page.insert(name.to_owned(), json!(short));
            }
            shorthand::schema(&Value::Object(page), Side::Answer)
        }
        _ => shorthand::schema(&entry["answer"], Side::Answer),
    };
    let mut content = json!({ "schema": schema });
    if let Some(recorded) = recorded {
        content["example"] = recorded.clone();
    }
    content
}

/// The statuses with which a route refuses, in order.
fn errors(endpoint: &Endpoint, entry: &Value) -> Vec<u64> {
    let mut all = vec![400, 429, 500, 503];
    if endpoint.access != Access::Public {
        all.extend([401, 403]);
    }
    if endpoint.path.contains('{') || matches!(endpoint.access, Access::Scope(..)) {
        all.push(404);
    }
    if endpoint.method != "GET" {
        all.push(409);
    }
    if matches!(endpoint.method, "POST" | "PUT" | "PATCH") {
        all.extend([408, 413, 415, 422]);
    }
    all.extend(entry.get("errors").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_u64));
    all.sort_unstable();
    all.dedup();
    all
}
