//! `docs/admin-routes.md`: every route with its scope, what callers without the right get, and the test that shows it;
//! and of all that this API is to have (`catalogue.txt`), what is not there yet.

use crate::support::golden;
use api_admin::openapi::{admin_document, public_document, shown_by};
use api_admin::{ADMIN_ROUTES, Access, Endpoint, PUBLIC_ROUTES};
use domain::access::Role;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Statuses by route: without a key, without the scope, with another organisation's key, in the other mode.
pub type Seen = BTreeMap<String, Vec<u16>>;

const CATALOGUE: &str = include_str!("catalogue.txt");

/// The tests by the file that has them.
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");

fn key(route: &Endpoint) -> String {
    format!("{} {}", route.method, route.path)
}

/// The same with nameless parameters.
fn shape(key: &str) -> String {
    let parts = key.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// A link to the test that shows a route. Panics if there is no such test.
fn link(admin: bool, route: &Endpoint) -> String {
    let name = shown_by(admin, route.method, route.path);
    let name = name.unwrap_or_else(|| panic!("{}: its entry in src/openapi names no test", key(route)));
    let (module, test) = name.split_once("::").expect("module::name");
    let file = format!("{FILES}/{module}.rs");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("{name}: there is no {file}"));
    assert!(text.contains(&format!("async fn {test}(")), "{}: there is no test {name}", key(route));
    format!("[{test}](../crates/api_admin/tests/it/{module}.rs)")
}

fn operation<'d>(document: &'d Value, route: &Endpoint) -> &'d Value {
    &document["paths"][route.path][route.method.to_ascii_lowercase()]
}

/// Which people may call a route.
fn roles(route: &Endpoint) -> String {
    let roles = match route.access {
        Access::Scope(r, a) | Access::Organization(r, a) => {
            let allowed = Role::ALL.iter().filter(|role| role.allows(r, a)).map(|role| role.as_str());
            allowed.collect::<Vec<_>>().join(", ")
        }
        Access::Global(..) => "global administrators".to_owned(),
        Access::Public | Access::Visitor | Access::Cookie => return String::new(),
        Access::Person | Access::Shared(..) => "all".to_owned(),
    };
    if route.fresh_login { format!("{roles} \\*") } else { roles }
}

fn table(out: &mut String, admin: bool, seen: Option<&Seen>) {
    let (document, routes) =
        if admin { (admin_document(), ADMIN_ROUTES) } else { (public_document(), PUBLIC_ROUTES) };
    for tag in document["tags"].as_array().expect("tags") {
        let name = tag["name"].as_str().expect("a name");
        let _ = writeln!(out, "\n### {name}\n");
        out.push_str(match seen {
            Some(_) => {
                "| Route | Scope | Roles | No key | No scope | Other org | Other mode | Shown by |\n|---|---|---|---|---|---|---|---|\n"
            }
            None => "| Route | Shown by |\n|---|---|\n",
        });
        for route in routes {
            let operation = operation(document, route);
            if operation["tags"][0] != *name {
                continue;
            }
            let shown = link(admin, route);
            let _ = match seen {
                Some(seen) => {
                    let scope = match (operation["x-required-scope"].as_str(), operation["x-access"].as_str())
                    {
                        (Some(scope), Some("instance" | "shared")) => format!("`{scope}`, system keys"),
                        (Some(scope), _) => format!("`{scope}`"),
                        (None, Some("public" | "visitor")) => "anybody".to_owned(),
                        (None, Some("cookie")) => "refresh cookie".to_owned(),
                        (None, _) => "people".to_owned(),
                    };
                    let roles = roles(route);
                    let statuses =
                        seen.get(&key(route)).unwrap_or_else(|| panic!("{} is not covered", key(route)));
                    let statuses: Vec<String> = statuses.iter().map(ToString::to_string).collect();
                    writeln!(
                        out,
                        "| `{}` | {scope} | {roles} | {} | {shown} |",
                        key(route),
                        statuses.join(" | ")
                    )
                }
                None => writeln!(out, "| `{}` | {shown} |", key(route)),
            };
        }
    }
}

/// What the catalogue has and the tables do not, by group.
fn missing(out: &mut String) {
    let there = |routes: &[Endpoint]| routes.iter().map(|route| shape(&key(route))).collect::<BTreeSet<_>>();
    let (admin, public) = (there(ADMIN_ROUTES), there(PUBLIC_ROUTES));
    let (mut backend, mut group, mut groups) = ("", "", Vec::<(&str, &str, Vec<&str>)>::new());
    for line in CATALOGUE.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            backend = name;
        } else if let Some(name) = line.strip_prefix("# ") {
            group = name;
        } else {
            let own = if backend == "Main Backend" { &public } else { &admin };
            if own.contains(&shape(line)) {
                continue;
            }
            match groups.last_mut() {
                Some((b, g, routes)) if *b == backend && *g == group => routes.push(line),
                _ => groups.push((backend, group, vec![line])),
            }
        }
    }
    for (backend, group, routes) in groups {
        let _ = write!(out, "\n**{backend}: {group}.** ");
        let routes: Vec<String> = routes.iter().map(|route| format!("`{route}`")).collect();
        let _ = writeln!(out, "{}", routes.join(", "));
    }
}

/// Compares the list with what is committed; `seen` are the statuses that the routes really answered with.
#[track_caller]
pub fn check(seen: &Seen) {
    let mut out = String::from(
        "# Routes of the Admin API and the Main Backend\n\n\
         Every route that there is, below `/api/v1`. [The Admin API](admin-api.md) says how to use them; their fields are \
         in `/api/v1/docs/index.html` of each listener and in [openapi/](../openapi/admin.json).\n\n\
         A test makes this file from the tables of routes and from what the routes answered, and fails when it is no \
         longer true: see [CONTRIBUTING](../CONTRIBUTING.md).\n\n\
         ## Admin API\n\n\
         The numbers are the HTTP statuses that a valid request gets without a key; with a key that lacks the scope; with a \
         key of another organisation that has every scope; and with a key of the same organisation in the other mode. 200 or 201 in \
         the last two columns: the route names no object of anybody, and answers with what is that key's own. Roles are those of \
         people who are signed in; \\* means that their passkey must have been used in the last 15 minutes, or as the operator has set.\n\n\
         Beside these: `GET /health` and `GET /internal/health` of the listener ([operations](operations.md)), \
         `GET /docs/index.html` and `GET /docs/openapi.json`.\n",
    );
    table(&mut out, true, Some(seen));
    out.push_str(
        "\n## Main Backend\n\n\
         No keys here: the code of a checkout is the credential. A request with another checkout's code gets 404 \
         ([every_public_route_is_bound_to_its_checkout](../crates/api_admin/tests/it/coverage.rs)).\n",
    );
    table(&mut out, false, None);
    out.push_str("\n## Not there yet\n");
    missing(&mut out);
    golden("docs/admin-routes.md", &out);
}
