//! The audit log: who did what is written, in rows that cannot change unnoticed, and nobody can fill it.

use crate::support::{Logs, assert_same_rows, id, request, rows, send};
use domain::audit::{AuditEntry, AuditKind};
use domain::limits::{AUDIT_ADDRESSES, AUDIT_FOREIGN_PER_KEY, AUDIT_KEYS_IN_URL};
use domain::merchant::KeyKind;
use domain::scope::Mode;
use domain::time::MINUTE;
use engine::merchants::ModeChanges;
use http::Method;
use std::net::SocketAddr;
use store::StoreError;
use store::audit::AuditFilter;
use testkit::TestApp;

/// Entries of a kind, oldest first, after everything that was noted is written.
async fn entries(app: &TestApp, kind: AuditKind) -> Vec<AuditEntry> {
    while app.engine.write_incidents(true).await.expect("written") {}
    let filter = AuditFilter { kind: Some(kind), ..AuditFilter::default() };
    let mut entries = engine::audit::list(&app.store, filter, 100_000).await.expect("listed");
    entries.reverse();
    entries
}

async fn change(app: &TestApp, sql: &str) -> Result<u64, StoreError> {
    let sql = sql.to_owned();
    app.store.write(move |tx| tx.execute(&sql, &[])).await
}

/// Seals everything there is.
async fn seal(app: &TestApp) {
    let mark = app.engine.now().plus(MINUTE);
    while app.engine.seal_audit(mark).await.expect("sealed") > 0 {}
}

async fn first_bad(app: &TestApp) -> Option<String> {
    engine::audit::verify(&app.store).await.expect("verified").first_bad
}

testkit::on_both_engines! {
    async fn commands_are_written_with_what_they_changed(db) {
        let app = TestApp::start(&db).await;
        let (key, text) = app.engine.create_key(app.scope(), KeyKind::Secret, "audit".to_owned()).await.expect("a key");
        let (next, next_text) = app.engine.rotate_key(key.id, MINUTE).await.expect("rotated");
        assert!(app.engine.revoke_key(next.id).await.expect("revoked"));
        assert!(!app.engine.revoke_key(next.id).await.expect("asked"));
        let changes = ModeChanges { settlement_delay: Some(MINUTE), ..ModeChanges::default() };
        app.engine.set_mode(app.scope(), changes).await.expect("set");

        let of = |list: Vec<AuditEntry>, subject: String| list.into_iter().filter(|e| e.subject.as_ref() == Some(&subject)).collect::<Vec<_>>();
        let created = of(entries(&app, AuditKind::KeyCreated).await, key.id.to_string());
        let rotated = of(entries(&app, AuditKind::KeyRotated).await, key.id.to_string());
        let revoked = of(entries(&app, AuditKind::KeyRevoked).await, next.id.to_string());
        let set = of(entries(&app, AuditKind::SettingsChanged).await, app.merchant.to_string());
        assert_eq!((created.len(), rotated.len(), revoked.len()), (1, 1, 1), "one row each, none for what failed");
        assert!(rotated[0].detail.contains(&next.id.to_string()) && rotated[0].detail.contains("60 s"), "{rotated:?}");
        assert!(set.iter().any(|e| e.detail == "settlement_delay=60s" && e.mode == Some(Mode::Test)), "{set:?}");
        for entry in created.iter().chain(&rotated).chain(&revoked) {
            assert_eq!((entry.merchant, entry.mode, entry.actor.as_str()), (Some(app.merchant), Some(Mode::Test), "operator"));
        }
        let all = format!("{created:?}{rotated:?}{revoked:?}{set:?}");
        assert!(!all.contains(&text[8..]) && !all.contains(&next_text[8..]), "no key is in the log");
    }

    async fn a_key_in_an_address_is_told_and_not_written_down(db) {
        let logs = Logs::capture();
        let app = TestApp::start(&db).await;
        let before = rows(&app).await;
        let answer = send(&app, "GET", &format!("/v2/balance?api_key={}", app.sk), &[("authorization", "")], "").await;
        let request_id = answer.header("x-request-id").expect("an id").to_owned();
        answer.expect_error(401, "authentication_error", None);
        assert_same_rows(&before, &rows(&app).await, "a request writes nothing itself");
        let found = entries(&app, AuditKind::KeyInUrl).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].request.as_ref(), Some(&request_id));
        assert!(found[0].actor.starts_with("10."), "the address: {found:?}");
        assert!(!format!("{found:?}").contains(&app.sk[8..]) && !logs.text().contains(app.sk.as_str()));
        for _ in 0..AUDIT_KEYS_IN_URL + 25 {
            send(&app, "GET", &format!("/v2/balance?key={}", app.sk), &[("authorization", "")], "").await;
        }
        assert_eq!(entries(&app, AuditKind::KeyInUrl).await.len(), 1 + AUDIT_KEYS_IN_URL);
        let rest = entries(&app, AuditKind::Suppressed).await;
        assert!(rest.len() == 1 && rest[0].detail.starts_with("25 more"), "{rest:?}");
    }

    async fn objects_of_others_are_told_and_stay_hidden(db) {
        let app = TestApp::start(&db).await;
        let other = app.another_merchant().await;
        let theirs = id(&other.pay(1000, "pm_card_visa", &[]).await.expect(201));
        let customer = id(&other.post("/v2/customers", &[]).await.expect(201));
        let own = id(&app.pay(1000, "pm_card_visa", &[]).await.expect(201));
        let before = rows(&app).await;
        let asked = app.get(&format!("/v2/payment_intents/{theirs}")).await;
        let request_id = asked.header("x-request-id").expect("an id").to_owned();
        asked.expect_error(404, "invalid_request_error", Some("resource_missing"));
        // A parameter that names one, a change, and the same merchant's other mode.
        app.post("/v2/payment_intents", &[("amount", "100"), ("currency", "eur"), ("customer", &customer)]).await.expect(400);
        app.post(&format!("/v2/payment_intents/{theirs}/cancel"), &[]).await.expect(404);
        app.as_key(&app.sk_live, Method::GET, &format!("/v2/payment_intents/{own}"), &[], None).await.expect(404);
        // None of these is another's.
        app.get(&format!("/v2/payment_intents/{own}")).await.expect(200);
        app.get("/v2/payment_intents/pi_00000000000000000").await.expect(404);
        app.get("/v2/payment_intents/nonsense").await.expect(404);
        assert_same_rows(&before, &rows(&app).await, "asking for what is another's");

        let found = entries(&app, AuditKind::ForeignObject).await;
        let subjects: Vec<&str> = found.iter().filter_map(|e| e.subject.as_deref()).collect();
        assert_eq!(subjects, [theirs.as_str(), &customer, &theirs, &own]);
        assert_eq!(found[0].request.as_ref(), Some(&request_id));
        assert!(found[..3].iter().all(|e| e.merchant == Some(app.merchant) && e.mode == Some(Mode::Test) && e.actor.starts_with("key_")));
        assert!(found[0].detail.contains("another account in test mode") && found[3].detail.contains("the same account in test mode"));
        assert_eq!(found[3].mode, Some(Mode::Live));
        for _ in 0..AUDIT_FOREIGN_PER_KEY + 7 {
            app.get(&format!("/v2/payment_intents/{theirs}")).await.expect(404);
        }
        assert_eq!(entries(&app, AuditKind::ForeignObject).await.len(), 4 + AUDIT_FOREIGN_PER_KEY);
        assert!(entries(&app, AuditKind::Suppressed).await[0].detail.starts_with("7 more"));
    }

    async fn failures_are_added_up_for_an_address(db) {
        let app = TestApp::start(&db).await;
        let from = |address: String| {
            let mut request = request(&app, "GET", "/v2/balance", &[("authorization", "Bearer sk_test_wrong")], "");
            request.extensions_mut().insert(web::Peer(address.parse::<SocketAddr>().expect("an address")));
            app.send(request)
        };
        for n in 0..40 {
            from("192.0.2.1:1".to_owned()).await.expect(401);
            from(format!("[2001:db8::{n:x}]:1")).await.expect(401);
        }
        let found = entries(&app, AuditKind::AuthFailed).await;
        let mut told: Vec<(&str, &str)> = found.iter().map(|e| (e.actor.as_str(), e.detail.as_str())).collect();
        told.sort_unstable();
        let detail = "40 requests without a valid key within a minute";
        assert_eq!(told, [("192.0.2.1", detail), ("2001:db8::/64", detail)]);
        // Many addresses: so many rows and no more, and one that tells how many there were beside them.
        for n in 0..AUDIT_ADDRESSES + 40 {
            from(format!("198.51.{}.{}:1", n / 250, n % 250)).await.expect(401);
        }
        assert_eq!(entries(&app, AuditKind::AuthFailed).await.len(), 2 + AUDIT_ADDRESSES);
        let rest = entries(&app, AuditKind::Suppressed).await;
        assert!(rest.len() == 1 && rest[0].detail.starts_with("40 more"), "{rest:?}");
        // Without anything to tell, nothing is written.
        let before = rows(&app).await;
        app.get("/v2/balance").await.expect(200);
        assert!(!app.engine.write_incidents(true).await.expect("asked"));
        assert_same_rows(&before, &rows(&app).await, "a good request");
    }

    async fn what_is_written_cannot_change_unnoticed(db) {
        let app = TestApp::start(&db).await;
        seal(&app).await;
        assert_eq!(first_bad(&app).await, None);
        let all = AuditFilter::default();
        let written = engine::audit::list(&app.store, all, 100).await.expect("listed");
        let proof = engine::audit::verify(&app.store).await.expect("verified");
        assert_eq!((proof.sealed, proof.unsealed), (i64::try_from(written.len()).expect("few"), 0));
        for table in ["audit_log", "audit_seals"] {
            for sql in [format!("UPDATE {table} SET {}", if table == "audit_log" { "actor = 'nobody'" } else { "seq = 7" }), format!("DELETE FROM {table}")] {
                let refused = change(&app, &sql).await;
                assert!(refused.is_err_and(|e| e.to_string().contains("append-only")), "{sql}");
            }
        }
        let embedded = app.store.is_embedded();
        for table in ["audit_log", "audit_seals"].iter().filter(|_| !embedded) {
            assert!(change(&app, &format!("TRUNCATE {table}")).await.is_err_and(|e| e.to_string().contains("append-only")));
        }
        assert_eq!(first_bad(&app).await, None);
        // As somebody would who owns the database.
        let off = if embedded { ["DROP TRIGGER audit_log_keep_u", "DROP TRIGGER audit_log_keep_d"] } else { ["ALTER TABLE audit_log DISABLE TRIGGER audit_log_keep", "SELECT 1"] };
        for sql in off {
            change(&app, sql).await.expect("the trigger is off");
        }
        let victim = written[2].id;
        let quoted = victim.0.0.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let literal = if embedded { format!("X'{quoted}'") } else { format!("decode('{quoted}', 'hex')") };
        assert_eq!(change(&app, &format!("UPDATE audit_log SET actor = 'nobody' WHERE id = {literal}")).await.expect("changed"), 1);
        let bad = first_bad(&app).await.expect("it is found");
        assert!(bad.contains(&victim.to_string()) && bad.contains("was changed"), "{bad}");
        change(&app, &format!("UPDATE audit_log SET actor = '{}' WHERE id = {literal}", written[2].actor)).await.expect("changed back");
        assert_eq!(first_bad(&app).await, None);
        change(&app, &format!("DELETE FROM audit_log WHERE id = {literal}")).await.expect("removed");
        let bad = first_bad(&app).await.expect("it is found");
        assert!(bad.contains(&victim.to_string()) && bad.contains("is missing"), "{bad}");
        change(&app, &format!("INSERT INTO audit_log (id, kind, actor, detail, created_at) VALUES ({literal}, 'suppressed', 'x', 'y', 1)")).await.expect("put in");
        assert!(first_bad(&app).await.expect("it is found").contains("was changed"));
    }

    async fn a_lease_from_before_the_clock_went_back_keeps_nobody_out(db) {
        let app = TestApp::start(&db).await;
        let holder = if app.store.is_embedded() { "X'000000000000000000000009'" } else { "decode('000000000000000000000009', 'hex')" };
        let mark = app.engine.now().plus(MINUTE);
        for (ahead, sealed) in [(MINUTE, false), (60 * MINUTE, true)] {
            change(&app, "DELETE FROM leases").await.expect("deleted");
            let until = app.engine.now().plus(ahead).0;
            change(&app, &format!("INSERT INTO leases (name, holder, until) VALUES ('audit_sealer', {holder}, {until})")).await.expect("taken");
            assert_eq!(app.engine.seal_audit(mark).await.expect("asked") > 0, sealed, "{ahead} us ahead");
        }
    }

    async fn a_row_that_is_put_in_later_is_found(db) {
        let app = TestApp::start(&db).await;
        seal(&app).await;
        let literal = if app.store.is_embedded() { "X'000000000000000000000001'" } else { "decode('000000000000000000000001', 'hex')" };
        change(&app, &format!("INSERT INTO audit_log (id, kind, actor, detail, created_at) VALUES ({literal}, 'suppressed', 'x', 'y', 1)")).await.expect("put in");
        assert!(first_bad(&app).await.expect("it is found").contains("put in behind the seals"));
    }
}
