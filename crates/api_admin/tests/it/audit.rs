//! The audit log over HTTP, and its export as a third party rechecks it.

use crate::keyed::Keyed;
use crate::support::refused;
use axum::http::{Method, Request, header};
use domain::audit::{AuditEntry, AuditKind};
use domain::id::{Core, TypedId};
use domain::scope::Mode;
use domain::time::DAY;
use serde_json::Value;
use sha2::{Digest, Sha256};
use testkit::TestApp;

/// An entry of this shop.
async fn write(shop: &Keyed, mode: Option<Mode>, actor: &str, detail: &str) {
    let engine = &shop.app.engine;
    let entry = AuditEntry {
        id: engine.ids.next(),
        merchant: Some(shop.app.merchant),
        mode,
        kind: AuditKind::SettingsChanged,
        actor: actor.to_owned(),
        subject: None,
        request: None,
        detail: detail.to_owned(),
        created_at: engine.now(),
    };
    shop.app.store.write(move |tx| store::audit::insert(tx, &entry)).await.expect("written");
}

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

/// The seal's hash as docs/figures-and-exports.md says how it is made, from a line of the export alone.
fn recomputed(line: &Value) -> Vec<u8> {
    let mut hash = Sha256::new();
    let mut field = |bytes: Option<Vec<u8>>| match bytes {
        None => hash.update([0]),
        Some(bytes) => {
            hash.update([1]);
            hash.update(u64::try_from(bytes.len()).expect("short").to_be_bytes());
            hash.update(bytes);
        }
    };
    let text = |name: &str| line[name].as_str().map(|text| text.as_bytes().to_vec());
    let binary = |value: &Value| value.as_str().map(from_hex);
    let at = domain::date::parse_instant(line["at"].as_str().expect("an instant")).expect("ISO 8601");
    field(binary(&line["seal"]["previousHash"]));
    field(Some(line["seal"]["seq"].as_i64().expect("a number").to_be_bytes().to_vec()));
    field(binary(&line["id"]));
    field(binary(&line["organizationId"]));
    for name in ["mode", "action", "actor", "target", "requestId", "details"] {
        field(text(name));
    }
    field(Some(at.0.to_be_bytes().to_vec()));
    hash.finalize().to_vec()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

testkit::on_both_engines! {
    async fn the_log_is_listed_by_page_and_filter(db) {
        let shop = Keyed::new(TestApp::start(&db).await).await;
        let other = Keyed::new(shop.app.another_merchant().await).await;
        for n in 0..130 {
            write(&shop, Some(Mode::Test), if n % 2 == 0 { "alice" } else { "bob" }, &format!("change {n}")).await;
        }
        write(&shop, None, "alice", "of no mode").await;
        write(&shop, Some(Mode::Live), "alice", "live").await;
        write(&other, Some(Mode::Test), "alice", "another's").await;
        let all = shop.get("/audit-logs?limit=1000000000&action=settings_changed&actor=alice").await.expect(200);
        assert_eq!((all["limit"].as_i64(), all["total"].as_i64(), all["page"].as_i64()), (Some(100), Some(66), Some(1)), "{all}");
        assert_eq!(all["auditLogs"][0]["details"], "of no mode", "newest first");
        let entry = &all["auditLogs"][1];
        assert_eq!((entry["details"].as_str(), entry["actor"].as_str(), entry["action"].as_str()), (Some("change 128"), Some("alice"), Some("settings_changed")));
        assert_eq!(entry["organizationId"], shop.app.merchant.core().hex());
        let second = shop.get("/audit-logs?page=2&limit=50&action=settings_changed&actor=bob").await.expect(200);
        assert_eq!((second["total"].as_i64(), second["auditLogs"].as_array().map(Vec::len)), (Some(65), Some(15)));
        let live = shop.ask(&shop.live, Method::GET, "/audit-logs?actor=alice", None).await.expect(200);
        assert_eq!(live["total"], 2, "{live}");
        let long = shop.get("/audit-logs?from=1926-01-01&to=2126-01-01&actor=bob").await.expect(200);
        assert_eq!(long["total"], 65);
        let before = shop.get("/audit-logs?to=2020-01-01").await.expect(200);
        assert_eq!(before["total"], 0);
        let theirs = other.get("/audit-logs?actor=alice").await.expect(200);
        assert_eq!(theirs["total"], 1);
        let instance = shop.ask(&shop.system, Method::GET, "/system/audit-logs?actor=alice", None).await.expect(200);
        assert_eq!(instance["total"], 68);
    }

    async fn what_cannot_be_asked_is_refused(db) {
        let shop = Keyed::new(TestApp::start(&db).await).await;
        for query in ["page=0", "page=-1", "page=x", "limit=0", "action=everything", "from=never", "from=2026-02-01&to=2026-01-01"] {
            for path in ["/audit-logs", "/system/audit-logs"] {
                let key = if path.starts_with("/system") { &shop.system } else { &shop.key };
                shop.ask(key, Method::GET, &format!("{path}?{query}"), None).await.expect(400);
            }
        }
        refused(shop.get("/audit-logs?page=1000000000000&limit=100").await, 400, "page_too_deep");
        shop.get("/audit-logs/export?format=xml").await.expect(400);
        for path in ["/system/audit-logs", "/system/audit-logs/export"] {
            refused(shop.get(path).await, 403, "not_permitted");
        }
        let narrow = shop.narrow("organization:*").await;
        for path in ["/audit-logs", "/audit-logs/export"] {
            refused(shop.ask(&narrow, Method::GET, path, None).await, 403, "insufficient_scope");
            refused(shop.ask(&shop.system, Method::GET, path, None).await, 403, "organization_not_named");
        }
        let named = Request::get("/api/v1/audit-logs")
            .header(header::AUTHORIZATION, format!("Bearer {}", shop.system))
            .header("X-Organization-ID", shop.app.merchant.core().hex());
        let named = shop.app.admin(named.body(axum::body::Body::empty()).expect("a request")).await;
        named.expect(200);
    }

    async fn a_third_party_can_recheck_what_it_was_given(db) {
        let shop = Keyed::new(TestApp::start(&db).await).await;
        let other = Keyed::new(shop.app.another_merchant().await).await;
        for n in 0..530 {
            let by = if n % 3 == 0 { &other } else { &shop };
            write(by, Some(Mode::Test), "=1+1", &format!("grüße {n} \"quoted\"")).await;
        }
        let seal = async || {
            let mark = shop.app.engine.now().plus(DAY);
            while shop.app.engine.seal_audit(mark).await.expect("sealed") > 0 {}
        };
        seal().await;
        // The organisation's own entries: each is what was sealed.
        let own = shop.get("/audit-logs/export?format=jsonl").await;
        assert_eq!(own.header("content-type"), Some("application/x-ndjson"));
        let own = lines(&own.text);
        let sealed: Vec<&Value> = own.iter().filter(|line| !line["seal"].is_null()).collect();
        assert!(sealed.len() >= 353 && own.len() == sealed.len() + 1, "all but the entry about this export: {}", own.len());
        for line in &sealed {
            assert_eq!(line["organizationId"], shop.app.merchant.core().hex());
            assert_eq!(from_hex(line["seal"]["hash"].as_str().expect("a hash")), recomputed(line), "{line}");
        }
        assert!(sealed.is_sorted_by(|a, b| a["seal"]["seq"].as_i64() < b["seal"]["seq"].as_i64()));
        // The whole instance: the chain without a gap from its first seal.
        let whole = shop.ask(&shop.system, Method::GET, "/system/audit-logs/export?format=jsonl", None).await;
        let whole: Vec<Value> = lines(&whole.text).into_iter().filter(|line| !line["seal"].is_null()).collect();
        let mut previous = String::new();
        for (line, seq) in whole.iter().zip(1..) {
            assert_eq!((line["seal"]["seq"].as_i64(), line["seal"]["previousHash"].as_str()), (Some(seq), Some(previous.as_str())));
            assert_eq!(from_hex(line["seal"]["hash"].as_str().expect("a hash")), recomputed(line), "{line}");
            previous = line["seal"]["hash"].as_str().expect("a hash").to_owned();
        }
        assert!(whole.len() > 530);
        let mut changed = whole[100].clone();
        changed["details"] = "nothing".into();
        assert_ne!(from_hex(changed["seal"]["hash"].as_str().expect("a hash")), recomputed(&changed));
        // As CSV: the same, and nothing that a spreadsheet would run.
        let answer = shop.get("/audit-logs/export?actor=%3D1%2B1").await;
        let mut reader = csv::Reader::from_reader(answer.text.as_bytes());
        assert_eq!(reader.headers().expect("a header").iter().next_back(), Some("sealHash"));
        let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("rows");
        let of_actor: Vec<&&Value> = sealed.iter().filter(|line| line["actor"] == "=1+1").collect();
        assert_eq!(rows.len(), of_actor.len());
        for (row, line) in rows.iter().zip(of_actor) {
            assert_eq!((&row[0], &row[4], &row[11]), (line["id"].as_str().expect("an id"), "'=1+1", line["seal"]["hash"].as_str().expect("a hash")));
        }
        assert_eq!(Core::parse_hex(&rows[0][0]).map(|core| core.hex()).as_deref(), Some(&rows[0][0]));
    }
}
