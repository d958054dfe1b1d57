//! Servers and shop plugins of merchants against the program, over the Admin API.

use crate::process::{Gateway, Place, converse, run_on, stderr, stdout, tool};
use crate::shop::pay;
use crate::wire::Client;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients").join(name)
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// A REST v2 key of the merchant with this name, as its operator makes it.
fn key_of(place: &Place, name: &str) -> String {
    let listed = stdout(&run_on(place, &["merchants", "list"]));
    let line =
        listed.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name} in {listed}"));
    let merchant = line.split_whitespace().next().expect("an id");
    let made = run_on(place, &["keys", "create", merchant]);
    assert!(made.status.success(), "{}", stderr(&made));
    stdout(&made).trim().to_owned()
}

fn assert_sound(place: &Place, gateway: Gateway) {
    let log = gateway.log();
    assert!(!log.contains(" ERROR "), "{log}");
    gateway.stop();
    let books = run_on(place, &["ledger", "verify"]);
    assert!(books.status.success(), "{}{}", stdout(&books), stderr(&books));
}

testkit::on_both_engines! {
    async fn a_merchants_server_in_python(db) {
        let python = tool("PAYMENTGATE_PYTHON");
        let place = Place::of(&db);
        let gateway = Gateway::start(&place);
        let mut server = Command::new(python);
        server.arg(script("python/merchant.py"));
        server.args(["--admin", &format!("http://{}", gateway.admin), "--public", &format!("http://{}", gateway.public)]);
        server.args(["--api", &format!("http://{}", gateway.api), "--system-key", &place.system_key()]);
        let (status, said) = converse(server, |words| match words {
            ["PAY", url, card, home] => Some(pay(&gateway, "checkout", url, card, Some(home))),
            ["KEY", name @ ..] => Some(key_of(&place, &name.join(" "))),
            _ => None,
        });
        assert!(status.success() && said.contains(" checks, 0 failed"), "{status}\n{said}\n{}", gateway.log());
        assert_sound(&place, gateway);
    }

    async fn a_shop_plugin_in_php(db) {
        let php = tool("PAYMENTGATE_PHP");
        let place = Place::of(&db);
        let gateway = Gateway::start(&place);
        // What its merchant configures it with.
        let system = Client::new(gateway.admin, &place.system_key());
        let shop = system.post_json("/api/v1/organizations", &json!({ "name": "Tea & Co" })).expect(201);
        let keys = format!("/api/v1/organizations/{}/api-keys", text(&shop["id"]));
        let scopes = ["checkout:create", "checkout:read", "checkout:update", "transaction:read", "transaction:execute", "site:create"];
        let made = system.post_json(&keys, &json!({ "name": "plugin", "mode": "test", "scopes": scopes })).expect(201);
        let key = text(&made["key"]);
        let site = Client::new(gateway.admin, &key).post_json("/api/v1/sites", &json!({ "name": "Tea & Co" })).expect(201);
        let mut plugin = Command::new(php);
        plugin.arg(script("php/plugin.php"));
        plugin.args(["--base", &format!("http://{}", gateway.admin), "--site", &text(&site["id"])]);
        plugin.args(["--key", &key, "--secret", &text(&site["webhookSecret"])]);
        let (status, said) = converse(plugin, |words| match words {
            ["PAY", url, card] => Some(pay(&gateway, "checkout", url, card, None)),
            _ => None,
        });
        assert!(status.success() && said.contains(" checks, 0 failed"), "{status}\n{said}\n{}", gateway.log());
        assert_sound(&place, gateway);
    }
}
