//! Which crate may depend on which.

use std::collections::{BTreeMap, BTreeSet};

use toml::Table;

use super::tree::source_files;
use super::{crate_of, report};

/// Each crate and those of ours that it may use: `domain ← store ← engine ← web ← api_* ← server`.
/// `api_*` stands for every surface, and no surface is in any list, so no surface can use another.
const MAY_USE: [(&str, &[&str]); 9] = [
    ("domain", &[]),
    ("outbound", &[]),
    ("store", &["domain"]),
    ("connectors", &["outbound", "store", "domain"]),
    ("engine", &["connectors", "outbound", "store", "domain"]),
    ("workers", &["engine", "outbound", "store", "domain"]),
    ("web", &["engine", "domain"]),
    ("api_*", &["web", "engine", "domain"]),
    ("pages", &["web", "engine", "connectors", "domain"]),
];

/// Crates that put the others together: they may use any.
const FREE: [&str; 3] = ["server", "testkit", "xtask"];

/// Crates of others that only some of ours may use.
const RESERVED: [(&str, &[&str]); 5] = [
    ("axum", &["web", "api_*", "pages", "server", "testkit"]),
    ("http", &["web", "api_*", "pages", "server", "outbound", "workers", "testkit"]),
    ("rusqlite", &["store", "testkit"]),
    ("postgres", &["store", "testkit"]),
    ("reqwest", &["outbound", "testkit"]),
];

/// What a manifest asks for, by package name.
#[derive(Default)]
struct Dependencies {
    /// For the crate itself and its build script.
    normal: BTreeSet<String>,
    /// For its tests.
    dev: BTreeSet<String>,
}

impl Dependencies {
    fn parse(manifest: &str) -> Result<Self, toml::de::Error> {
        let manifest: Table = manifest.parse()?;
        let mut all = Self::default();
        all.read(&manifest);
        let targets = manifest.get("target").and_then(|value| value.as_table());
        for target in targets.into_iter().flat_map(Table::values).filter_map(|value| value.as_table()) {
            all.read(target);
        }
        Ok(all)
    }

    fn read(&mut self, table: &Table) {
        let names = |section: &str| {
            let entries = table.get(section).and_then(|value| value.as_table()).into_iter().flatten();
            entries.map(|(key, value)| {
                let renamed = value.get("package").and_then(|package| package.as_str());
                renamed.unwrap_or(key).to_owned()
            })
        };
        self.normal.extend(names("dependencies").chain(names("build-dependencies")));
        self.dev.extend(names("dev-dependencies"));
    }
}

/// The name under which a crate stands in the tables above.
fn role(name: &str) -> &str {
    if name.starts_with("api_") { "api_*" } else { name }
}

/// Complaints about the dependencies of one crate; `ours` are the crates of the workspace.
fn complaints(name: &str, uses: &Dependencies, ours: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (theirs, users) in RESERVED {
        if uses.normal.contains(theirs) && !users.contains(&role(name)) {
            found.push(format!("crates/{name}: `{theirs}` is for {} alone", users.join(", ")));
        }
    }
    if FREE.contains(&name) {
        return found;
    }
    let Some((_, may_use)) = MAY_USE.iter().find(|(member, _)| *member == role(name)) else {
        found.push(format!("crates/{name}: not in the table of crates/xtask/src/tidy/manifests.rs"));
        return found;
    };
    let allowed = |used: &str| may_use.contains(&used);
    for used in uses.normal.intersection(ours).filter(|used| !allowed(used)) {
        found.push(format!("crates/{name}: may not depend on `{used}`, only on [{}]", may_use.join(", ")));
    }
    // Tests may look at any layer through the test kit, but a surface's tests know no other surface.
    for used in uses.dev.intersection(ours).filter(|used| role(used) == "api_*" && role(name) == "api_*") {
        found.push(format!("crates/{name}: its tests may not depend on `{used}`"));
    }
    found
}

#[test]
fn dependencies_point_one_way() {
    let manifests: BTreeMap<String, Dependencies> = source_files()
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
        .filter_map(|file| Some((crate_of(&file.path)?.to_owned(), Dependencies::parse(&file.text))))
        .map(|(name, parsed)| (name.clone(), parsed.unwrap_or_else(|error| panic!("crates/{name}: {error}"))))
        .collect();
    let ours: BTreeSet<String> = manifests.keys().cloned().collect();
    assert!(ours.contains("domain") && ours.contains("server"), "found only {ours:?}");
    report(&manifests.iter().flat_map(|(name, uses)| complaints(name, uses, &ours)).collect::<Vec<_>>());
}

#[test]
fn a_wrong_dependency_is_found() {
    let ours = ["domain", "store", "web", "engine", "api_v2", "api_gate", "testkit", "server", "odd"];
    let ours: BTreeSet<String> = ours.map(str::to_owned).into();
    for (name, manifest, wrong) in [
        ("domain", "[dependencies]\nserde.workspace = true", 0),
        ("domain", "[dependencies]\nstore.workspace = true", 1),
        ("engine", "[dependencies]\nsite = { package = \"web\", path = \"../web\" }", 1),
        ("api_v2", "[dependencies]\nweb.workspace = true\naxum.workspace = true", 0),
        ("api_v2", "[dependencies]\napi_gate.workspace = true", 1),
        ("api_v2", "[dependencies.store]\nworkspace = true", 1),
        ("store", "[target.'cfg(unix)'.dependencies]\naxum = \"0.8\"", 1),
        ("store", "[dev-dependencies]\ntestkit.workspace = true", 0),
        ("api_v2", "[dev-dependencies]\nstore.workspace = true", 0),
        ("api_v2", "[dev-dependencies]\napi_gate.workspace = true", 1),
        ("web", "[build-dependencies]\nrusqlite = \"1\"", 1),
        ("odd", "", 1),
    ] {
        let uses = Dependencies::parse(manifest).unwrap();
        let found = complaints(name, &uses, &ours);
        assert_eq!(found.len(), wrong, "{name}: {manifest}: {found:?}");
    }
}
