//! The command line: help, wrong words, and the way from an empty folder to a working key.

use crate::process::{Gateway, PATIENCE, Place, program, run, run_on, run_within, stderr, stdout};
use crate::wire::Client;

/// Every command there is.
const COMMANDS: [&str; 47] = [
    "",
    "serve",
    "migrate",
    "keys",
    "keys create",
    "keys list",
    "keys rotate",
    "keys revoke",
    "system-keys",
    "system-keys create",
    "system-keys list",
    "system-keys revoke",
    "admins",
    "admins invite",
    "admins list",
    "admins recover",
    "admins disable",
    "admins enable",
    "merchants",
    "merchants create",
    "merchants list",
    "merchants set",
    "fees",
    "fees list",
    "fees set",
    "fees remove",
    "services",
    "services create",
    "services list",
    "services show",
    "services set",
    "services tokens",
    "services tokens create",
    "services tokens list",
    "services tokens revoke",
    "services webhooks",
    "services webhooks add",
    "services webhooks list",
    "services webhooks remove",
    "callbacks",
    "callbacks list",
    "callbacks resend",
    "ledger",
    "ledger verify",
    "audit",
    "audit list",
    "audit verify",
];

#[test]
fn every_command_explains_itself() {
    for command in COMMANDS.iter().chain(&["doctor"]) {
        let mut words: Vec<&str> = command.split_whitespace().collect();
        words.push("--help");
        let told = run(&words);
        let text = stdout(&told);
        assert_eq!(told.status.code(), Some(0), "{command}: {}", stderr(&told));
        assert!(text.contains("Usage: paymentgate") && text.lines().count() >= 6, "{command}: {text}");
        // What is below is in the list, and on it is nothing that this test does not know.
        let below =
            text.split("Commands:\n").nth(1).unwrap_or_default().split("\n\n").next().unwrap_or_default();
        let listed = below.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        for name in listed.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help") {
            let known = format!("{command} {name}");
            assert!(COMMANDS.contains(&known.trim()) || known.trim() == "doctor", "{known} is not tested");
        }
    }
    let version = run(&["--version"]);
    assert_eq!(stdout(&version).trim(), format!("paymentgate {}", env!("CARGO_PKG_VERSION")));
}

/// Exit code 2 for a wrong command line or wrong settings, 1 for what fails later; always a message that
/// names what is wrong and what to do.
#[test]
fn wrong_words_are_told_what_is_right() {
    let lost = "/proc/no-such-folder";
    let merchant = "acct_00000000000000000";
    for (words, code, parts) in [
        ("nonsense", 2, &["nonsense", "--help"][..]),
        ("serve --nope", 2, &["--nope", "--help"]),
        ("serve --api-listen x", 2, &["api_listen", "--api-listen", "127.0.0.1:8080"]),
        ("serve --stripe-listen maybe", 2, &["stripe_listen", "off"]),
        ("serve --database-connections 0", 2, &["database_connections", "1 to 512"]),
        ("serve --log-level loud", 2, &["log_level", "debug"]),
        ("serve --log-format xml", 2, &["log_format", "json"]),
        ("serve --demo-tier gold", 2, &["demo_tier", "growth"]),
        ("serve --demo=perhaps", 2, &["demo", "true"]),
        ("serve --public-url ftp://x", 2, &["public_url", "http"]),
        ("serve --provider-deadline-seconds 51", 2, &["provider_deadline_seconds", "1 to 50"]),
        ("serve --config /proc/no-such-file", 2, &["/proc/no-such-file", "cannot be read"]),
        ("serve --api-listen x --log-level y", 2, &["api_listen", "log_level"]),
        ("keys create key_1", 2, &["key_1", "merchants list"]),
        ("keys rotate key_00000000000000000", 2, &["--overlap"]),
        ("keys rotate key_00000000000000000 --overlap 8d", 2, &["8d", "60s or 24h"]),
        ("audit list --kind gossip", 2, &["gossip", "auth_failed"]),
        ("audit list --last 5w", 2, &["5w", "36h"]),
        ("keys revoke sk_test_secret", 2, &["keys list", "Do not give the key itself"]),
        ("system-keys revoke sk_test_secret", 2, &["system-keys list", "Do not give the key itself"]),
        ("system-keys create ops --from 10.0.0.1/40", 2, &["--from", "10.0.0.1/40"]),
        ("merchants create", 2, &["<NAME>"]),
        (&format!("merchants set {merchant} --mode blue"), 2, &["blue", "test or live"]),
        (&format!("merchants set {merchant} --mode test --settlement-delay 2w"), 2, &["2w", "36h"]),
        ("fees set standard --operation theft", 2, &["theft", "capture"]),
        ("fees set standard --operation capture --currency euros", 2, &["euros"]),
        (&format!("ledger verify --data-dir {lost}"), 1, &["there is no database", "--data-dir"]),
        (&format!("keys list --data-dir {lost}"), 1, &["there is no database", "--data-dir"]),
        (&format!("merchants list --data-dir {lost}"), 1, &["there is no database", "--data-dir"]),
        (&format!("serve --data-dir {lost}"), 1, &[lost, "--data-dir"]),
        ("ledger verify --database postgres://u:hunter2@127.0.0.1:1/x", 1, &["u:***@127.0.0.1:1/x"]),
    ] {
        let told = run(&words.split_whitespace().collect::<Vec<_>>());
        let text = stderr(&told);
        assert_eq!(told.status.code(), Some(code), "{words}: {text}");
        assert!(text.starts_with("error: ") && stdout(&told).is_empty(), "{words}: {text}");
        for part in parts {
            assert!(text.contains(part), "{words}: {part:?} is not in {text}");
        }
        assert!(!text.contains("hunter2") && !text.contains("panicked"), "{words}: {text}");
    }
}

testkit::on_both_engines! {
    async fn from_an_empty_folder_to_a_key_that_is_revoked(db) {
        let place = Place::of(&db);
        let on = |words: &[&str]| {
            let done = run_on(&place, words);
            assert_eq!(done.status.code(), Some(0), "{words:?}: {}", stderr(&done));
            stdout(&done).trim().to_owned()
        };
        assert!(on(&["migrate"]).contains("up to date"));
        let merchant = on(&["merchants", "create", "Blue Bottle Books"]);
        let keys: Vec<String> = [["test", "secret"], ["test", "publishable"], ["live", "secret"]]
            .iter()
            .map(|[mode, kind]| on(&["keys", "create", &merchant, "--mode", mode, "--kind", kind]))
            .collect();
        assert!(keys[0].starts_with("sk_test_") && keys[1].starts_with("pk_test_") && keys[2].starts_with("sk_live_"));
        on(&["merchants", "set", &merchant, "--mode", "test", "--tier", "growth", "--settlement-delay", "36h"]);
        let listed = on(&["merchants", "list"]);
        assert!(listed.contains("Blue Bottle Books") && listed.contains("36h") && listed.contains("growth"), "{listed}");
        on(&["fees", "set", "special", "--operation", "capture", "--basis-points", "100"]);
        on(&["merchants", "set", &merchant, "--mode", "test", "--fee-group", "special"]);

        let gateway = Gateway::start(&place);
        let client = Client::new(gateway.api, &keys[0]);
        let paid = client.pay().expect(201);
        let path = format!("/v2/payment_intents/{}?expand[]=latest_charge.balance_transaction", paid["id"].as_str().expect("an id"));
        assert_eq!(client.get(&path).expect(200)["latest_charge"]["balance_transaction"]["fee"], 42, "1 % of 42.00");
        assert_eq!(Client::new(gateway.api, &keys[1]).get("/v2/balance").status, 403);
        assert_eq!(Client::new(gateway.api, &keys[2]).get(&path).status, 404, "a live key sees no test payment");
        let shown = on(&["keys", "list", &merchant]);
        assert!(keys.iter().all(|key| !shown.contains(key.as_str())), "{shown}");
        let ids: Vec<&str> = shown.split_whitespace().filter(|word| word.starts_with("key_")).collect();
        assert_eq!(ids.len(), 3, "{shown}");
        for id in ids {
            on(&["keys", "revoke", id]);
        }
        std::thread::sleep(std::time::Duration::from_millis(1_200));
        assert_eq!(client.get("/v2/balance").status, 401, "a revoked key works on");
        gateway.stop();
        on(&["ledger", "verify"]);
        on(&["audit", "verify"]);
    }

    async fn administrators_are_invited_listed_and_kept_out(db) {
        let place = Place::of(&db);
        let on = |words: &[&str]| {
            let done = run_on(&place, words);
            assert_eq!(done.status.code(), Some(0), "{words:?}: {}", stderr(&done));
            stdout(&done).trim().to_owned()
        };
        // On an empty folder: this is how the first person gets in.
        let token = on(&["admins", "invite", "--email", "Ada@Example.com", "--name", "Ada"]);
        assert!(token.starts_with("pgi_") && token.len() == 36, "{token}");
        let listed = on(&["admins", "list"]);
        assert!(listed.contains("ada@example.com") && listed.contains("invited until"), "{listed}");
        let again = on(&["admins", "invite", "--email", "ada@example.com"]);
        assert_ne!(again, token);
        assert_eq!(on(&["admins", "list"]).lines().count(), 2, "the later one took its place");
        for (words, part) in [
            (vec!["admins", "invite", "--email", "ada"], "e-mail"),
            (vec!["admins", "disable", "user_000000000000000zz"], "there is no user"),
            (vec!["admins", "recover", "user_000000000000000zz"], "there is no user"),
            (vec!["admins", "disable", "ada@example.com"], "admins list"),
        ] {
            let done = run_on(&place, &words);
            assert!(!done.status.success() && stderr(&done).contains(part), "{words:?}: {}", stderr(&done));
        }
        let log = on(&["audit", "list", "--kind", "user_invited", "--json"]);
        assert!(log.lines().count() == 2 && !log.contains(&token[4..]) && !log.contains(&again[4..]), "{log}");
    }

    async fn keys_follow_one_another_and_the_log_tells_it(db) {
        let place = Place::of(&db);
        let on = |words: &[&str]| {
            let done = run_on(&place, words);
            assert_eq!(done.status.code(), Some(0), "{words:?}: {}", stderr(&done));
            stdout(&done).trim().to_owned()
        };
        let merchant = on(&["merchants", "create", "Blue Bottle Books"]);
        let old = on(&["keys", "create", &merchant]);
        let id = |listed: &str, text: &str| listed.lines().find(|line| line.contains(&text[text.len() - 4..])).and_then(|line| line.split_whitespace().next()).expect("listed").to_owned();
        let old_id = id(&on(&["keys", "list", &merchant]), &old);
        let gateway = Gateway::start(&place);
        let status = |key: &str| Client::new(gateway.api, key).get("/v2/balance").status;
        let new = on(&["keys", "rotate", &old_id, "--overlap", "24h"]);
        assert!(new.starts_with("sk_test_") && new != old);
        assert_eq!((status(&old), status(&new)), (200, 200), "both work for a day");
        assert!(on(&["keys", "list", &merchant]).contains("ends "));
        let again = run_on(&place, &["keys", "rotate", &old_id, "--overlap", "0"]);
        assert!(again.status.code() == Some(1) && stderr(&again).contains("rotated before"), "{}", stderr(&again));
        let newest = on(&["keys", "rotate", &id(&on(&["keys", "list", &merchant]), &new), "--overlap", "0"]);
        let begun = std::time::Instant::now();
        while status(&new) != 401 {
            assert!(begun.elapsed() < PATIENCE, "the key works on");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!((status(&old), status(&newest)), (200, 200));
        assert_eq!(gateway.get(&format!("/v2/payment_intents?key={old}")).status, 401);
        gateway.stop();

        let listed = on(&["audit", "list", "--merchant", &merchant, "--kind", "key_rotated"]);
        assert_eq!(listed.lines().count(), 3, "{listed}");
        let lines = on(&["audit", "list", "--json", "--last", "1h"]);
        let entries: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let of = |kind: &str| entries.iter().filter(|e| e["kind"] == kind).count();
        // The demo made its keys too, and the stop wrote what was counted so far.
        assert_eq!((of("key_rotated"), of("key_in_url"), of("auth_failed") > 0), (2, 1, true), "{lines}");
        assert!([&old, &new, &newest].iter().all(|key| !lines.contains(&key[8..])));
        assert_eq!(on(&["audit", "list", "--limit", "1"]).lines().count(), 2);
        assert!(on(&["audit", "verify"]).contains("as it was written"));
    }

    async fn system_keys_are_made_and_revoked(db) {
        let place = Place::of(&db);
        let on = |words: &[&str]| {
            let done = run_on(&place, words);
            assert_eq!(done.status.code(), Some(0), "{words:?}: {}", stderr(&done));
            stdout(&done).trim().to_owned()
        };
        on(&["migrate"]);
        let key = on(&["system-keys", "create", "deployment", "--mode", "live"]);
        let bound = on(&["system-keys", "create", "office", "--from", "203.0.113.0/24"]);
        let id = key.strip_prefix("sk_live_").and_then(|rest| rest.split_once('.')).expect("a key").0.to_owned();
        let listed = on(&["system-keys", "list"]);
        assert!(listed.contains(&id) && listed.contains("203.0.113.0/24"), "{listed}");
        assert!(!listed.contains(&key) && !listed.contains(&bound), "{listed}");

        let gateway = Gateway::start(&place);
        let status = |key: &str| Client::new(gateway.admin, key).get("/api/v1/organizations").status;
        assert_eq!((status(&key), status(&bound), status(&place.system_key())), (200, 403, 200));
        assert!(on(&["system-keys", "revoke", &id]).contains("is revoked"));
        let begun = std::time::Instant::now();
        while status(&key) != 401 {
            assert!(begun.elapsed() < PATIENCE, "the key works on");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        gateway.stop();
        let again = run_on(&place, &["system-keys", "revoke", &id]);
        assert!(again.status.code() == Some(1) && stderr(&again).contains("no valid system key"), "{}", stderr(&again));
        let told = on(&["audit", "list", "--json", "--kind", "key_revoked"]);
        assert!(told.contains("operator") && told.contains("deployment"), "{told}");
        let all = on(&["audit", "list", "--json"]);
        assert!(![&key, &bound].iter().any(|key| all.contains(&key[key.len() - 20..])));
    }

    async fn the_doctor_looks_into_the_database_file(db) {
        let place = Place::of(&db);
        Gateway::start(&place).stop();
        let free: Vec<String> = ["api", "admin", "public"].iter().flat_map(|name| [format!("--{name}-listen"), "127.0.0.1:0".to_owned()]).collect();
        let words: Vec<&str> = ["doctor"].into_iter().chain(free.iter().map(String::as_str)).collect();
        let told = stdout(&run_on(&place, &words));
        let embedded = !place.database.starts_with("postgres");
        assert_eq!(told.contains("quick_check finds it sound"), embedded, "{told}");
        if !embedded {
            return;
        }
        // Pages in the middle of the file, as a bad disk or a careless copy leaves them.
        let mut bytes = std::fs::read(&place.database).expect("a file");
        let middle = bytes.len() / 8192 * 4096;
        bytes[middle..middle + 8192].fill(0xA5);
        std::fs::write(&place.database, bytes).expect("written");
        let done = run_on(&place, &words);
        let told = stdout(&done);
        assert_eq!(done.status.code(), Some(1), "{told}");
        assert!(told.lines().any(|line| line.starts_with("FAIL") && line.contains("database")), "{told}");
    }

    async fn the_doctor_sees_what_keeps_a_gateway_from_starting(db) {
        let place = Place::of(&db);
        Gateway::start(&place).stop();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let api = taken.local_addr().expect("an address").to_string();
        let told = run_on(&place, &["doctor", "--api-listen", &api]);
        let report = format!("{}{}", stdout(&told), stderr(&told));
        assert_eq!(told.status.code(), Some(1), "{report}");
        assert!(report.lines().any(|line| !line.starts_with("ok ") && line.contains("api_listen")), "{report}");
        assert!(report.lines().any(|line| line.starts_with("ok ") && line.contains("ledger")), "{report}");
        let mut start = program();
        start.args(["serve", "--api-listen", &api, "--data-dir"]).arg(&place.data_dir);
        start.args(["--database", &place.database]);
        let (status, said) = run_within(start, PATIENCE);
        assert_eq!(status.and_then(|status| status.code()), Some(1), "{said}");
        assert!(said.contains("api_listen: cannot listen on") && said.contains("--api-listen"), "{said}");
    }
}
