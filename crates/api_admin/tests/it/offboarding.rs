//! How organisations leave: they only read, may come back, and are closed; never while real money is on its way.

use crate::support::{VISA, figure, refused};
use domain::id::{Core, MerchantId, TypedId};
use domain::merchant::KeyKind;
use domain::scope::{Mode, Scope};
use http::Method;
use serde_json::{Value, json};
use testkit::office::{Office, text};
use testkit::{Answer, Person, TestApp};

async fn as_system(office: &Office, method: Method, path: &str, body: &Value) -> Answer {
    let path = format!("/organizations/{}{path}", office.organization);
    let body = Some(body).filter(|_| method == Method::POST);
    office.as_key(&office.system_key, method, &path, body).await
}

fn new_key() -> engine::admin_keys::NewAdminKey {
    engine::admin_keys::NewAdminKey {
        name: "x".to_owned(),
        mode: Mode::Test,
        grants: Vec::new(),
        networks: Vec::new(),
    }
}

fn root_in(root: &Person, office: &Office) -> Person {
    Person { organization: office.organization.clone(), ..root.clone() }
}

async fn days_pass(app: &TestApp) {
    let passed =
        app.store.write(|tx| tx.execute("UPDATE merchants SET offboards_at = offboarding_at", &[])).await;
    passed.expect("passed");
}

testkit::on_both_engines! {
    async fn who_leaves_is_read_then_closed_and_can_come_back_until_then(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let stays = office.another("Stays").await;
        let root = Person::global_admin(&app, "root@example.com").await;
        let member = root.invite(&office.organization, "admin", "ada@example.com").await;
        let users = format!("/organizations/{}/users", office.organization);
        let invited = root.post(&users, &json!({ "email": "root@example.com", "role": "admin" })).await.expect(201);
        let merchant = MerchantId::from_core(Core::parse_hex(&office.organization).expect("an id"));
        let scope = Scope { merchant, mode: Mode::Test };
        let (rest_key, rest) = app.engine.create_key(scope, KeyKind::Secret, String::new()).await.expect("a key");
        let open = office.checkout(&json!({})).await.expect(200);
        let paid = office.checkout(&json!({})).await.expect(200);
        let paid = text(&office.pay(&paid, VISA).await.expect(200)["id"]);

        let left = as_system(&office, Method::POST, "/offboarding", &json!({ "graceDays": 60, "reason": "moves" })).await.expect(200);
        assert_eq!((&left["status"], &left["offboarding"]["reason"], &left["offboarding"]["closedAt"]), (&json!("offboarding"), &json!("moves"), &Value::Null));
        refused(as_system(&office, Method::POST, "/offboarding", &json!({})).await, 409, "offboarding_begun");
        refused(as_system(&office, Method::DELETE, "", &json!({})).await, 409, "offboarding_begun");
        // Everything can be read and taken along, and nothing changed, on every surface.
        office.get(&format!("/transactions/{paid}")).await.expect(200);
        let period = json!({ "entityType": "transactions", "from": "2026-01-01", "to": "2026-12-31" });
        assert_eq!(office.post("/data-import-export/export", &period).await.status.as_u16(), 200);
        for (path, body) in [("/sites", json!({ "name": "x" })), ("/clients", json!({})), ("/transactions/manual", json!({}))] {
            let told = refused(office.post(path, &body).await, 403, "organization_offboarding");
            assert!(told.contains("restore"), "{told}");
            refused(member.post(path, &body).await, 403, "organization_offboarding");
        }
        app.as_key(&rest, Method::GET, "/v2/balance", &[], None).await.expect(200);
        let refusal = app.as_key(&rest, Method::POST, "/v2/customers", &[("name", "Jo")], None).await.expect(403);
        assert_eq!(refusal["error"]["code"], "account_offboarding");
        refused(office.pay(&open, VISA).await, 409, "checkout_not_open");
        assert_eq!(office.browser(Method::GET, &format!("/checkouts/{}", text(&open["sessionPublicId"])), None).await.expect(200)["payable"], false);
        let page = http::Request::get(format!("/checkout/{}", text(&open["sessionPublicId"])));
        let page = app.page(page.body(axum::body::Body::empty()).expect("a request")).await;
        assert!(page.text.contains("takes no payments now") && !page.text.contains("name=\"number\""), "{}", page.text);
        office.post(&format!("/transactions/{paid}/refund"), &json!({ "amount": 100 })).await.expect(200);
        // Nobody gets new rights: not by an invitation, nor by the operator's commands.
        refused(root.post("/auth/register", &json!({ "token": invited["token"] })).await, 403, "organization_offboarding");
        for refusal in [
            app.engine.create_key(scope, KeyKind::Secret, String::new()).await.map(|_| ()),
            app.engine.rotate_key(rest_key.id, 0).await.map(|_| ()),
            app.engine.create_admin_key(Some(merchant), None, new_key()).await.map(|_| ()),
        ] {
            assert!(matches!(refusal, Err(engine::Error::Offboarding { closed: false, .. })), "{refusal:?}");
        }
        stays.post("/sites", &json!({ "name": "x" })).await.expect(201);

        assert_eq!(app.engine.close_offboarded().await.expect("closed"), 0, "the time of grace is not over");
        assert_eq!(as_system(&office, Method::POST, "/restore", &json!({})).await.expect(200)["status"], "active");
        refused(as_system(&office, Method::POST, "/restore", &json!({})).await, 409, "not_offboarding");
        office.pay(&open, VISA).await.expect(200);

        as_system(&office, Method::DELETE, "", &json!({})).await.expect(200);
        days_pass(&app).await;
        assert_eq!(app.engine.close_offboarded().await.expect("closed"), 1);
        assert_eq!(app.engine.close_offboarded().await.expect("closed"), 0);
        let closed = as_system(&office, Method::GET, "", &json!({})).await.expect(200);
        assert_eq!(closed["status"], "closed");
        assert!(closed["offboarding"]["closedAt"].is_string(), "{closed}");
        refused(as_system(&office, Method::POST, "/restore", &json!({})).await, 409, "organization_closed");
        let told = refused(root_in(&root, &office).post("/sites", &json!({ "name": "x" })).await, 403, "organization_closed");
        assert!(told.contains("for good"), "{told}");
        for path in ["refund", "cancel"] {
            let refusal = root_in(&root, &office).post(&format!("/transactions/{paid}/{path}"), &json!({})).await;
            refused(refusal, 403, "organization_closed");
        }
        refused(member.get("/sites").await, 404, "not_found");
        refused(office.get("/sites").await, 401, "unauthenticated");
        app.as_key(&rest, Method::GET, "/v2/balance", &[], None).await.expect(401);
        stays.get("/sites").await.expect(200);
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM attempts").await, 2, "what was done stays");
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM audit_log WHERE actor = 'gateway' AND kind = 'object_deleted'").await, 1);
        app.assert_books().await;
    }

    async fn real_money_on_its_way_keeps_an_organisation(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let checkout = office.checkout(&json!({ "email": "jo@example.com" })).await.expect(200);
        office.pay(&checkout, VISA).await.expect(200);
        let preview = as_system(&office, Method::GET, "/offboarding/preview", &json!({})).await.expect(200);
        assert_eq!((&preview["counts"]["transactions"], &preview["counts"]["clients"]), (&json!(1), &json!(1)));
        assert_eq!(preview["balances"][0]["mode"], "test");
        assert_eq!(preview["blockers"], json!([]), "what lies in test mode is nobody's money");

        let live = office.key_of(&office.organization, "live").await;
        let ask = async |path: &str, body: &Value| office.as_key(&live, Method::POST, path, Some(body)).await;
        let site = text(&ask("/sites", &json!({ "name": "x" })).await.expect(201)["id"]);
        let awaited = json!({ "siteId": site, "amount": 4900, "currency": "EUR", "externalReference": "7", "status": "pending_provider" });
        let awaited = text(&ask("/transactions/manual", &awaited).await.expect(201)["id"]);
        let preview = as_system(&office, Method::GET, "/offboarding/preview", &json!({})).await.expect(200);
        assert_eq!(preview["blockers"][0]["code"], "payments_open");
        let told = refused(as_system(&office, Method::POST, "/offboarding", &json!({})).await, 409, "offboarding_blocked");
        assert!(told.contains("live payments that are open: 1"), "{told}");
        refused(as_system(&office, Method::DELETE, "", &json!({})).await, 409, "offboarding_blocked");
        ask(&format!("/transactions/{awaited}/mark-paid"), &json!({})).await.expect(200);

        // A balance, as no provider of live mode can make yet.
        let merchant = MerchantId::from_core(Core::parse_hex(&office.organization).expect("an id"));
        let scope = Scope { merchant, mode: Mode::Live };
        let draft = |kind| {
            domain::ledger::JournalDraft::new(scope, domain::currency::Currency::EUR, kind, "x", app.engine.now())
        };
        let taken = draft(domain::ledger::JournalKind::PayoutFailed)
            .debit(domain::ledger::AccountKind::AcquirerReceivable, 500)
            .credit(domain::ledger::AccountKind::MerchantAvailable, 500);
        let given = draft(domain::ledger::JournalKind::PayoutPaid)
            .debit(domain::ledger::AccountKind::MerchantAvailable, 500)
            .credit(domain::ledger::AccountKind::AcquirerReceivable, 500);
        let post = async |n: u8, draft: domain::ledger::JournalDraft| {
            let now = app.engine.now();
            let id = domain::id::JournalId(Core::new(u64::try_from(now.0 / 1_000).expect("a time"), [n; 6]));
            app.store.write(move |tx| store::ledger::post(tx, &draft, id, now)).await.expect("posted");
        };
        post(1, taken).await;
        let told = refused(as_system(&office, Method::POST, "/offboarding", &json!({})).await, 409, "offboarding_blocked");
        assert!(told.contains("merchant_available holds 500 minor units of EUR"), "{told}");
        post(2, given).await;
        as_system(&office, Method::POST, "/offboarding", &json!({})).await.expect(200);
        days_pass(&app).await;
        // Money that came meanwhile keeps it open.
        let again = draft(domain::ledger::JournalKind::PayoutCanceled)
            .debit(domain::ledger::AccountKind::AcquirerReceivable, 5)
            .credit(domain::ledger::AccountKind::MerchantAvailable, 5);
        post(3, again).await;
        assert_eq!(app.engine.close_offboarded().await.expect("looked at"), 0);
        assert_eq!(as_system(&office, Method::GET, "", &json!({})).await.expect(200)["status"], "offboarding");
        // What is in transit comes to its end, whatever is accepted.
        let transit = draft(domain::ledger::JournalKind::RefundCreated)
            .debit(domain::ledger::AccountKind::MerchantAvailable, 1)
            .credit(domain::ledger::AccountKind::RefundTransit, 1);
        let arrived = draft(domain::ledger::JournalKind::RefundFailed)
            .debit(domain::ledger::AccountKind::RefundTransit, 1)
            .credit(domain::ledger::AccountKind::MerchantAvailable, 1);
        as_system(&office, Method::POST, "/restore", &json!({})).await.expect(200);
        post(4, transit).await;
        let accepting = json!({ "acceptBalances": true, "reason": "insolvent" });
        let told = refused(as_system(&office, Method::POST, "/offboarding", &accepting).await, 409, "offboarding_blocked");
        assert!(told.contains("refund_transit") && !told.contains("merchant_available"), "{told}");
        post(5, arrived).await;
        // What can never be paid out is settled elsewhere, if the operator says so.
        as_system(&office, Method::POST, "/offboarding", &accepting).await.expect(200);
        days_pass(&app).await;
        assert_eq!(app.engine.close_offboarded().await.expect("closed"), 1);
        let told = "SELECT COUNT(*) FROM audit_log WHERE detail LIKE '%insolvent%merchant_available holds 5 minor units of EUR%'";
        assert_eq!(figure(&app, told).await, 1);
        let told = "SELECT COUNT(*) FROM audit_log WHERE detail LIKE '%was closed%merchant_available holds 5 minor units of EUR%'";
        assert_eq!(figure(&app, told).await, 1);
    }

    async fn wrong_requests_change_nothing(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        for (path, body, status, code) in [
            ("/offboarding", json!({ "graceDays": 0 }), 400, "parameter_invalid_integer"),
            ("/offboarding", json!({ "graceDays": 366 }), 400, "parameter_invalid_integer"),
            ("/restore", json!({}), 409, "not_offboarding"),
        ] {
            refused(as_system(&office, Method::POST, path, &body).await, status, code);
        }
        let nobody = Office { organization: "0".repeat(24), ..office.clone() };
        refused(as_system(&nobody, Method::GET, "/offboarding/preview", &json!({})).await, 404, "not_found");
        refused(as_system(&nobody, Method::POST, "/offboarding", &json!({})).await, 404, "not_found");
        refused(as_system(&nobody, Method::DELETE, "", &json!({})).await, 404, "not_found");
        refused(office.delete(&format!("/organizations/{}", office.organization)).await, 403, "not_permitted");
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM merchants WHERE offboarding_at IS NOT NULL").await, 0);
    }
}
