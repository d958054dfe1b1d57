//! Every route with every kind of caller. The routes come from the product's own tables: a route without a sample
//! here fails the test.

use crate::route_list::Seen;
use crate::support::{VISA, refused};
use api_admin::{ADMIN_ROUTES, Access, Endpoint, PUBLIC_ROUTES};
use domain::access::Role;
use domain::date::Date;
use http::Method;
use serde_json::{Value, json};
use testkit::office::{Office, text};
use testkit::{Answer, Person, TestApp};

/// Objects of one organisation, and more where a request uses its object up.
pub(crate) struct Fixtures {
    pub organization: String,
    pub organization_to_delete: String,
    pub organization_to_leave: String,
    pub organization_to_restore: String,
    pub key: String,
    pub key_to_delete: String,
    pub key_to_revoke: String,
    pub system_key: String,
    pub system_key_to_delete: String,
    pub system_key_to_revoke: String,
    pub site: String,
    pub site_to_delete: String,
    pub provider: String,
    pub provider_to_delete: String,
    pub client: String,
    pub client_to_delete: String,
    pub checkout: String,
    pub checkout_to_expire: String,
    pub checkout_to_pay: String,
    pub session: String,
    pub paid: String,
    pub to_cancel: String,
    pub to_delete: String,
    pub awaited: String,
    pub waiting: (String, String),
}

impl Fixtures {
    pub async fn make(office: &Office) -> Fixtures {
        let id = |value: Value| text(&value["id"]);
        let keys = format!("/organizations/{}/api-keys", office.organization);
        let key = async || {
            id(office.post(&keys, &json!({ "name": "x", "scopes": ["site:read"] })).await.expect(201))
        };
        let system = async || {
            let body = json!({ "name": "x" });
            id(office
                .as_key(&office.system_key, Method::POST, "/system/api-keys", Some(&body))
                .await
                .expect(201))
        };
        let site = async || id(office.post("/sites", &json!({ "name": "x" })).await.expect(201));
        let provider =
            async || id(office.post("/providers", &json!({ "type": "sandbox" })).await.expect(201));
        let client =
            async || id(office.post("/clients", &json!({ "email": "jo@example.com" })).await.expect(201));
        let open =
            async || office.checkout(&json!({ "ipnUrl": "https://shop.example/ipn" })).await.expect(200);
        let paid = open().await;
        let paid = id(office.pay(&paid, VISA).await.expect(200));
        let waiting = async || {
            let checkout = open().await;
            let transaction = id(office.pay(&checkout, crate::support::CHALLENGED).await.expect(200));
            (transaction, text(&checkout["sessionPublicId"]))
        };
        let checkout = open().await;
        let organization = async || {
            let body = json!({ "name": "x" });
            id(office
                .as_key(&office.system_key, Method::POST, "/organizations", Some(&body))
                .await
                .expect(201))
        };
        let organization_to_restore = organization().await;
        let leave = format!("/organizations/{organization_to_restore}/offboarding");
        office.as_key(&office.system_key, Method::POST, &leave, Some(&json!({}))).await.expect(200);
        let site_of_awaited = site().await;
        let awaited = json!({
            "siteId": site_of_awaited, "amount": 4900, "currency": "EUR", "externalReference": "order_9",
            "status": "pending_provider",
        });
        let awaited = id(office.post("/transactions/manual", &awaited).await.expect(201));
        Fixtures {
            organization: office.organization.clone(),
            organization_to_delete: organization().await,
            organization_to_leave: organization().await,
            organization_to_restore,
            key: key().await,
            key_to_delete: key().await,
            key_to_revoke: key().await,
            system_key: system().await,
            system_key_to_delete: system().await,
            system_key_to_revoke: system().await,
            site: site().await,
            site_to_delete: site().await,
            provider: provider().await,
            provider_to_delete: provider().await,
            client: client().await,
            client_to_delete: client().await,
            session: text(&checkout["sessionPublicId"]),
            checkout: id(checkout),
            checkout_to_expire: id(open().await),
            checkout_to_pay: id(open().await),
            paid,
            to_cancel: waiting().await.0,
            to_delete: id(office.pay(&open().await, crate::support::DECLINED).await.expect(200)),
            awaited,
            waiting: waiting().await,
        }
    }
}

/// What a valid key of someone else, or of the other mode, gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Foreign {
    /// The address names an object: 404.
    Hidden,
    /// A list: 200, with nothing of this organisation in it.
    Empty,
    /// Names nothing of anybody.
    Own,
}

pub(crate) struct Sample {
    pub ids: Vec<String>,
    body: Value,
    foreign: Foreign,
}

/// A valid request for each route; `None` for a route that nobody thought of.
pub(crate) fn sample(f: &Fixtures, route: &Endpoint) -> Option<Sample> {
    use Foreign::{Empty, Hidden, Own};
    let at = |ids: &[&str], foreign, body: Value| {
        Some(Sample { ids: ids.iter().map(|i| (*i).to_owned()).collect(), body, foreign })
    };
    let none = || json!({});
    let org = f.organization.as_str();
    match (route.method, route.path) {
        ("GET", "/organizations" | "/system/api-keys" | "/api-key-scopes" | "/provider-types") => {
            at(&[], Own, none())
        }
        ("GET", "/system/audit-logs" | "/system/audit-logs/export") => at(&[], Own, none()),
        ("GET", "/dashboard" | "/audit-logs" | "/audit-logs/export") => at(&[], Empty, none()),
        ("POST", "/data-import-export/export") => {
            let today = Date::of_instant(engine::wall_clock()).days();
            let [from, to] = [today - 1, today + 1].map(|day| Date::from_days(day).to_string());
            at(&[], Empty, json!({ "entityType": "transactions", "from": from, "to": to }))
        }
        ("POST", "/auth") => at(&[], Own, json!({ "email": "nobody@example.com" })),
        ("POST", path) if path.starts_with("/auth/") => at(&[], Own, none()),
        ("GET", "/auth/login/check") => at(&[], Own, none()),
        (_, "/profile" | "/profile/passkeys") => at(&[], Own, json!({ "name": "y" })),
        ("POST", "/profile/passkeys/complete") => at(&[], Own, none()),
        (_, "/profile/passkeys/{id}") => at(&[&"0".repeat(24)], Own, json!({ "label": "y" })),
        ("POST", "/organizations/{orgId}/select") => at(&[org], Hidden, none()),
        ("GET", "/organizations/{orgId}/users") => at(&[org], Hidden, none()),
        ("POST", "/organizations/{orgId}/users") => {
            at(&[org], Hidden, json!({ "email": "new@example.com", "role": "viewer" }))
        }
        ("PUT" | "DELETE", "/organizations/{orgId}/users/{userId}") => {
            at(&[org, &"0".repeat(24)], Hidden, json!({ "role": "viewer" }))
        }
        ("POST", "/organizations") => at(&[], Own, json!({ "name": "Another" })),
        ("DELETE", "/organizations/{orgId}") => at(&[&f.organization_to_delete], Own, none()),
        ("GET", "/organizations/{orgId}/offboarding/preview") => at(&[org], Own, none()),
        ("POST", "/organizations/{orgId}/offboarding") => at(&[&f.organization_to_leave], Own, none()),
        ("POST", "/organizations/{orgId}/restore") => at(&[&f.organization_to_restore], Own, none()),
        ("GET", "/organizations/{orgId}") => at(&[org], Hidden, none()),
        ("PUT", "/organizations/{orgId}") => at(&[org], Hidden, json!({ "name": "Renamed" })),
        ("GET", "/organizations/{orgId}/api-keys") => at(&[org], Hidden, none()),
        ("POST", "/organizations/{orgId}/api-keys") => {
            at(&[org], Hidden, json!({ "name": "x", "scopes": ["site:read"] }))
        }
        ("GET" | "PUT", "/organizations/{orgId}/api-keys/{id}") => {
            at(&[org, &f.key], Hidden, json!({ "name": "y" }))
        }
        ("DELETE", "/organizations/{orgId}/api-keys/{id}") => at(&[org, &f.key_to_delete], Hidden, none()),
        ("POST", "/organizations/{orgId}/api-keys/{id}/rotate") => at(&[org, &f.key], Hidden, none()),
        ("POST", "/organizations/{orgId}/api-keys/{id}/revoke") => {
            at(&[org, &f.key_to_revoke], Hidden, none())
        }
        ("GET", "/system/settings") => at(&[], Own, none()),
        ("PUT", "/system/settings/{group}") => at(&["users"], Own, json!({ "invitationHours": 48 })),
        ("POST", "/system/api-keys") => at(&[], Own, json!({ "name": "x" })),
        ("GET" | "PUT", "/system/api-keys/{id}") => at(&[&f.system_key], Own, json!({ "name": "y" })),
        ("DELETE", "/system/api-keys/{id}") => at(&[&f.system_key_to_delete], Own, none()),
        ("POST", "/system/api-keys/{id}/rotate") => at(&[&f.system_key], Own, none()),
        ("POST", "/system/api-keys/{id}/revoke") => at(&[&f.system_key_to_revoke], Own, none()),
        ("GET", "/sites" | "/providers" | "/checkouts" | "/transactions") => at(&[], Empty, none()),
        ("POST", "/sites") => at(&[], Own, json!({ "name": "x" })),
        ("POST", "/providers") => at(&[], Own, json!({ "type": "sandbox" })),
        ("GET" | "PUT", "/sites/{id}") => at(&[&f.site], Hidden, json!({ "name": "y" })),
        ("DELETE", "/sites/{id}") => at(&[&f.site_to_delete], Hidden, none()),
        ("POST", "/sites/{id}/webhook-secret/regenerate") => at(&[&f.site], Hidden, none()),
        ("GET" | "PUT", "/providers/{id}") => at(&[&f.provider], Hidden, json!({ "label": "y" })),
        ("DELETE", "/providers/{id}") => at(&[&f.provider_to_delete], Hidden, none()),
        ("POST", "/providers/{id}/toggle") => at(&[&f.provider], Hidden, json!({ "enabled": true })),
        ("POST", "/providers/{id}/test") => at(&[&f.provider], Hidden, none()),
        ("POST", "/checkouts/{siteId}/create") => {
            at(&[&f.site], Hidden, json!({ "amount": 1, "currency": "EUR", "externalReference": "x" }))
        }
        ("GET" | "PUT", "/organizations/settings/{group}") => {
            at(&["checkout"], Own, json!({ "maxAttempts": 5 }))
        }
        ("GET", "/clients") => at(&[], Empty, none()),
        ("GET", "/clients/search") => at(&[], Empty, none()),
        ("POST", "/clients") => at(&[], Own, json!({ "email": "new@example.com" })),
        ("GET" | "PUT", "/clients/{id}") => at(&[&f.client], Hidden, json!({ "company": "y" })),
        ("DELETE", "/clients/{id}") => at(&[&f.client_to_delete], Hidden, none()),
        ("GET", "/clients/{id}/history") => at(&[&f.client], Hidden, none()),
        ("GET", "/checkouts/{id}") => at(&[&f.checkout], Hidden, none()),
        ("PATCH", "/checkouts/{id}") => at(&[&f.checkout], Hidden, json!({ "metadata": { "a": "b" } })),
        ("POST", "/checkouts/{id}/expire") => at(&[&f.checkout_to_expire], Hidden, none()),
        ("GET" | "PUT", "/transactions/{id}") => at(&[&f.paid], Hidden, json!({ "metadata": { "a": "b" } })),
        ("DELETE", "/transactions/{id}") => at(&[&f.to_delete], Hidden, none()),
        ("POST", "/transactions/{id}/mark-paid") => at(&[&f.awaited], Hidden, none()),
        ("POST", "/transactions/manual") => at(
            &[],
            Hidden,
            json!({ "siteId": f.site, "amount": 1, "currency": "EUR", "externalReference": "x" }),
        ),
        ("POST", "/transactions/{id}/refund") => at(&[&f.paid], Hidden, json!({ "amount": 1 })),
        ("POST", "/transactions/{id}/cancel") => at(&[&f.to_cancel], Hidden, none()),
        ("POST", "/transactions/{id}/ipn/retry") => at(&[&f.paid], Hidden, none()),
        _ => None,
    }
}

/// The same for the Main Backend: requests with the checkout's own code.
pub(crate) fn public_sample(f: &Fixtures, route: &Endpoint) -> Option<Sample> {
    let at = |ids: &[&str], body: Value| {
        Some(Sample { ids: ids.iter().map(|i| (*i).to_owned()).collect(), body, foreign: Foreign::Hidden })
    };
    let (waiting, session) = (f.waiting.0.as_str(), &f.waiting.1);
    match (route.method, route.path) {
        ("GET", "/checkouts/{id}") => at(&[&f.session], Value::Null),
        ("POST", "/transactions/create") => {
            at(&[], json!({ "sessionPublicId": f.session, "paymentMethod": { "type": "paypal" } }))
        }
        ("GET", "/transactions/{id}/status") => at(&[waiting, session], Value::Null),
        ("POST", "/transactions/{id}/mark-pending" | "/transactions/{id}/cancel") => {
            at(&[waiting], json!({ "sessionPublicId": session }))
        }
        _ => None,
    }
}

pub(crate) fn address(route: &Endpoint, ids: &[String]) -> String {
    let mut ids = ids.iter();
    let segments: Vec<&str> = route
        .path
        .split('/')
        .map(|part| if part.starts_with('{') { ids.next().expect("an id").as_str() } else { part })
        .collect();
    segments.join("/")
}

async fn ask(office: &Office, route: &Endpoint, sample: &Sample, key: &str) -> Answer {
    let method: Method = route.method.parse().expect("a method");
    let body = if matches!(route.method, "GET" | "DELETE") { None } else { Some(&sample.body) };
    let mut path = address(route, &sample.ids);
    if route.path == "/clients/search" {
        path.push_str("?q=jo");
    }
    office.as_key(key, method, &path, body).await
}

/// What an organisation that leaves still does beside reading.
const WINDING_UP: &[&str] = &[
    "POST /data-import-export/export",
    "POST /transactions/{id}/mark-paid",
    "POST /transactions/{id}/refund",
    "POST /transactions/{id}/cancel",
    "POST /checkouts/{id}/expire",
    "POST /organizations/{orgId}/api-keys/{id}/revoke",
    "DELETE /organizations/{orgId}/api-keys/{id}",
    "DELETE /organizations/{orgId}/users/{userId}",
    "DELETE /clients/{id}",
];

/// A scope that a route does not ask for.
fn other_scope(access: Access) -> &'static str {
    match access {
        Access::Scope(resource, _) | Access::Organization(resource, _) if resource.as_str() == "client" => {
            "site:read"
        }
        _ => "client:read",
    }
}

fn is_global(route: &Endpoint) -> bool {
    matches!(route.access, Access::Global(..) | Access::Shared(..))
}

/// A route that no key opens, whatever it may do.
async fn only_people(office: &Office, route: &Endpoint, sample: &Sample, keys: &[&String]) -> Vec<u16> {
    let (status, code) = match route.access {
        Access::Person => (403, "not_permitted"),
        Access::Cookie => (403, "origin_not_allowed"),
        _ => (401, "unauthenticated"),
    };
    for key in keys {
        refused(ask(office, route, sample, key).await, status, code);
    }
    for nobody in ["sk_test_000000000000000000000000.x", "eyJhbGciOiJub25lIn0.e30."] {
        let (status, code) =
            if route.access == Access::Cookie { (status, code) } else { (401, "unauthenticated") };
        refused(ask(office, route, sample, nobody).await, status, code);
    }
    let answer = ask(office, route, sample, "").await;
    let without = answer.status.as_u16();
    if route.access == Access::Person {
        refused(answer, 401, "unauthenticated");
    } else if route.path != "/auth" {
        assert!(answer.status.is_client_error(), "{}: {}", route.path, answer.text);
    }
    vec![without, status, status, status]
}

/// What a person's role says about a route; `None` where no role is asked for.
fn allows(role: Role, access: Access) -> Option<bool> {
    match access {
        Access::Scope(r, a) | Access::Organization(r, a) => Some(role.allows(r, a)),
        Access::Global(..) => Some(false),
        Access::Public | Access::Visitor | Access::Cookie | Access::Person | Access::Shared(..) => None,
    }
}

testkit::on_both_engines! {
    async fn an_organisation_that_leaves_is_read_and_wound_up(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let fixtures = Fixtures::make(&office).await;
        let leave = format!("/organizations/{}/offboarding", office.organization);
        office.as_key(&office.system_key, Method::POST, &leave, Some(&json!({}))).await.expect(200);
        let mut wound_up = 0;
        for route in ADMIN_ROUTES {
            if !matches!(route.access, Access::Scope(..) | Access::Organization(..)) {
                continue;
            }
            let name = format!("{} {}", route.method, route.path);
            let answer = ask(&office, route, &sample(&fixtures, route).expect("a sample"), &office.key).await;
            if WINDING_UP.contains(&name.as_str()) {
                wound_up += 1;
                // Nobody is a member here.
                let done = if name.ends_with("{userId}") { 404 } else { 200 };
                assert_eq!(answer.status.as_u16(), done, "{name}: {}", answer.text);
            } else if route.method == "GET" {
                assert_eq!(answer.status.as_u16(), 200, "{name}: {}", answer.text);
            } else {
                refused(answer, 403, "organization_offboarding");
            }
        }
        assert_eq!(wound_up, WINDING_UP.len());
        app.assert_books().await;
    }

    async fn every_route_knows_people_by_their_roles(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let fixtures = Fixtures::make(&office).await;
        let other = office.another("Other shop").await;
        let root = Person::global_admin(&app, "root@example.com").await;
        let root = Person { organization: office.organization.clone(), ..root };
        let stranger = root.invite(&other.organization, "admin", "stranger@example.com").await;
        let stranger = Person { organization: office.organization.clone(), ..stranger };
        let stale = root.invite(&office.organization, "admin", "stale@example.com").await;
        stale.grow_stale().await;
        let out = root.invite(&office.organization, "admin", "out@example.com").await;
        out.post("/auth/logout", &json!({})).await.expect(200);
        let mut members = Vec::new();
        for role in Role::ALL {
            members.push((*role, root.invite(&office.organization, role.as_str(), &format!("{role}@example.com")).await));
        }
        // What is for people alone has tests of its own.
        let alone = |access| matches!(access, Access::Public | Access::Visitor | Access::Cookie | Access::Person);
        for route in ADMIN_ROUTES.iter().filter(|route| !alone(route.access)) {
            let name = format!("{} {}", route.method, route.path);
            let sample = sample(&fixtures, route).unwrap_or_else(|| panic!("{name} has no sample"));
            let ask = async |person: &Person| {
                let body = if matches!(route.method, "GET" | "DELETE") { None } else { Some(&sample.body) };
                person.ask(route.method.parse().expect("a method"), &address(route, &sample.ids), body).await
            };
            refused(ask(&out).await, 401, "unauthenticated");
            match route.access {
                Access::Global(..) => drop(refused(ask(&stranger).await, 403, "not_permitted")),
                Access::Shared(..) => assert_eq!(ask(&stranger).await.expect(200)["total"], 1, "{name}"),
                _ => drop(refused(ask(&stranger).await, 404, "not_found")),
            }
            let answer = ask(&stale).await;
            let of_global = matches!(route.access, Access::Global(..));
            assert_eq!(answer.text.contains("reauthentication_required"), route.fresh_login && !of_global, "{name}: {}", answer.text);
            for (role, person) in &members {
                let answer = ask(person).await;
                match allows(*role, route.access) {
                    Some(false) if of_global => drop(refused(answer, 403, "not_permitted")),
                    Some(false) => drop(refused(answer, 403, "insufficient_scope")),
                    // Objects may be used up by those who asked before.
                    _ => assert!(!matches!(answer.status.as_u16(), 401 | 403 | 500..), "{name} as {role}: {}", answer.text),
                }
            }
            let answer = ask(&root).await;
            assert!(!matches!(answer.status.as_u16(), 401 | 403 | 500..), "{name} as root: {}", answer.text);
        }
    }


    async fn every_route_asks_who_and_what_for(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let fixtures = Fixtures::make(&office).await;
        let other = office.another("Other shop").await;
        let live = office.key_of(&office.organization, "live").await;
        let mut seen = Seen::new();
        for route in ADMIN_ROUTES {
            let name = format!("{} {}", route.method, route.path);
            let sample = sample(&fixtures, route).unwrap_or_else(|| panic!("{name} has no sample"));
            if matches!(route.access, Access::Visitor | Access::Cookie | Access::Person) {
                let keys = [&office.key, &office.system_key, &live];
                seen.insert(name, only_people(&office, route, &sample, &keys).await);
                continue;
            }
            if route.access == Access::Public {
                ask(&office, route, &sample, "").await.expect(200);
                seen.insert(name, vec![200; 4]);
                continue;
            }
            for nobody in ["", "sk_test_000000000000000000000000.x", app.sk.as_str(), "eyJhbGciOiJub25lIn0.e30."] {
                refused(ask(&office, route, &sample, nobody).await, 401, "unauthenticated");
            }
            let narrow = office.key_with(&office.organization, "test", &[other_scope(route.access)]).await;
            let code = if is_global(route) { "not_permitted" } else { "insufficient_scope" };
            refused(ask(&office, route, &sample, &narrow).await, 403, code);
            let foreign = [("another organisation", &other.key), ("live mode", &live)];
            let mut statuses = vec![401, 403];
            for (who, key) in foreign {
                let answer = ask(&office, route, &sample, key).await;
                statuses.push(answer.status.as_u16());
                let of_organization = matches!(route.access, Access::Organization(..));
                match sample.foreign {
                    // An organisation is the same in both modes; what it has in each differs.
                    Foreign::Hidden if of_organization && who == "live mode" => {
                        assert!(matches!(answer.status.as_u16(), 200 | 201 | 404), "{name} as {who}: {}", answer.text);
                        assert!(answer.status.as_u16() == 404 || !answer.text.contains(&fixtures.key), "{name} as {who}: {}", answer.text);
                    }
                    Foreign::Hidden => {
                        refused(answer, 404, "not_found");
                    }
                    Foreign::Empty => {
                        for id in [&fixtures.site, &fixtures.provider, &fixtures.checkout, &fixtures.paid] {
                            assert!(!answer.text.contains(id.as_str()), "{name} as {who}: {}", answer.text);
                        }
                        answer.expect(200);
                    }
                    Foreign::Own if is_global(route) => {
                        refused(answer, 403, "not_permitted");
                    }
                    Foreign::Own => assert!(matches!(answer.status.as_u16(), 200 | 201 | 422), "{name} as {who}: {}", answer.text),
                }
            }
            if matches!(route.access, Access::Scope(..)) {
                refused(ask(&office, route, &sample, &office.system_key).await, 403, "organization_not_named");
            }
            let answer = ask(&office, route, &sample, if is_global(route) { &office.system_key } else { &office.key }).await;
            // There is nobody yet whose role could be changed.
            let nobody = route.path.ends_with("{userId}") && answer.status.as_u16() == 404;
            assert!(nobody || matches!(answer.status.as_u16(), 200 | 201), "{name}: {} {}", answer.status, answer.text);
            seen.insert(name, statuses);
        }
        crate::route_list::check(&seen);
        app.assert_books().await;
    }

    async fn every_public_route_is_bound_to_its_checkout(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let fixtures = Fixtures::make(&office).await;
        let stranger = text(&office.checkout(&json!({})).await.expect(200)["sessionPublicId"]);
        for route in PUBLIC_ROUTES {
            let name = format!("{} {}", route.method, route.path);
            let sample = public_sample(&fixtures, route).unwrap_or_else(|| panic!("{name} has no sample"));
            let method: Method = route.method.parse().expect("a method");
            let send = async |session: &str| {
                let mut ids = sample.ids.clone();
                let mut body = sample.body.clone();
                if route.path == "/checkouts/{id}" {
                    ids = vec![session.to_owned()];
                }
                let mut path = address(route, &ids);
                if route.method == "GET" && route.path.contains("status") {
                    path.push_str(&format!("?sessionPublicId={session}"));
                }
                if !body.is_null() {
                    body["sessionPublicId"] = json!(session);
                }
                let body = if body.is_null() { None } else { Some(&body) };
                office.browser(method.clone(), &path, body).await
            };
            if route.path.contains("{id}/") {
                refused(send(&stranger).await, 404, "not_found");
            }
            refused(send(&"A".repeat(22)).await, 404, "not_found");
            let own = if route.path.contains("{id}/") { &fixtures.waiting.1 } else { &fixtures.session };
            let answer = send(own).await;
            assert_eq!(answer.status.as_u16(), 200, "{name}: {}", answer.text);
        }
    }

    async fn other_addresses_are_nowhere(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        refused(office.get("/nothing").await, 404, "route_not_found");
        refused(office.as_key(&office.key, Method::DELETE, "/checkouts", None).await, 405, "method_not_allowed");
        let as_v1 = http::Request::get("/v1/sites").header("authorization", format!("Bearer {}", office.key));
        app.admin(as_v1.body(axum::body::Body::empty()).expect("a request")).await.expect(200);
    }
}
