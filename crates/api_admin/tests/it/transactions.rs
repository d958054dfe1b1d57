//! Transactions: what is found, and what may be done with each.

use crate::support::{CHALLENGED, DECLINED, VISA, figure, refused, rows};
use domain::site_transaction::SiteStatus;
use serde_json::{Value, json};
use testkit::TestApp;
use testkit::office::{Office, text};

testkit::on_both_engines! {
    async fn a_list_and_its_rows_agree_on_every_status(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        for (number, more) in [(VISA, None), (DECLINED, None), (CHALLENGED, None), (VISA, Some("refund")), (VISA, Some("part"))] {
            let checkout = office.checkout(&json!({})).await.expect(200);
            let paid = text(&office.pay(&checkout, number).await.expect(200)["id"]);
            if let Some(how) = more {
                let body = if how == "part" { json!({ "amount": 1 }) } else { json!({}) };
                office.post(&format!("/transactions/{paid}/refund"), &body).await.expect(200);
            }
        }
        let waiting = rows(office.get("/transactions?status=initiated").await, "transactions");
        office.post(&format!("/transactions/{}/cancel", text(&waiting[0]["id"])), &json!({})).await.expect(200);
        let debit = office.checkout(&json!({ "email": "jo@example.com" })).await.expect(200);
        let body = json!({ "sessionPublicId": debit["sessionPublicId"], "paymentMethod": { "type": "sepa_debit", "name": "Jo Doe", "iban": "DE89370400440532013000" } });
        let handed_in = office.browser(http::Method::POST, "/transactions/create", Some(&body)).await.expect(200);
        assert_eq!(handed_in["statusCode"], 0, "{handed_in}");
        let checkout = office.checkout(&json!({})).await.expect(200);
        office.pay(&checkout, CHALLENGED).await.expect(200);
        let all = rows(office.get("/transactions").await, "transactions");
        assert_eq!(all.len(), 7);
        for status in SiteStatus::ALL {
            let expected: Vec<&Value> = all.iter().filter(|t| t["status"] == status.as_str()).collect();
            for query in [status.as_str().to_owned(), status.code().to_string()] {
                let found = office.get(&format!("/transactions?status={query}")).await.expect(200);
                let shown: Vec<&Value> = found["transactions"].as_array().expect("rows").iter().collect();
                assert_eq!(shown, expected, "{query}");
                assert_eq!(found["total"], json!(expected.len()), "{query}");
                assert!(shown.iter().all(|t| t["statusCode"] == status.code()), "{query}");
            }
        }
        app.run_due().await;
        app.assert_books().await;
    }

    async fn what_a_status_does_not_allow_is_refused(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let pay = async |number: &str| {
            let checkout = office.checkout(&json!({})).await.expect(200);
            (text(&office.pay(&checkout, number).await.expect(200)["id"]), checkout)
        };
        let (paid, _) = pay(VISA).await;
        let (declined, checkout) = pay(DECLINED).await;
        refused(office.post(&format!("/transactions/{declined}/cancel"), &json!({})).await, 409, "transaction_ended");
        let still = office.get(&format!("/checkouts/{}", text(&checkout["id"]))).await.expect(200);
        assert_eq!(still["status"], "open");
        let (waiting, _) = pay(CHALLENGED).await;
        let refund = async |id: &str, body: Value| office.post(&format!("/transactions/{id}/refund"), &body).await;
        for (id, body, status, code) in [
            (&paid, json!({ "amount": 4901 }), 422, "amount_too_large"),
            (&paid, json!({ "amount": 0 }), 422, "amount_out_of_range"),
            (&paid, json!({ "amount": "1.00" }), 400, "parameter_invalid_integer"),
            (&declined, json!({}), 409, "transaction_not_paid"),
            (&waiting, json!({}), 409, "transaction_not_paid"),
        ] {
            refused(refund(id, body).await, status, code);
        }
        refused(office.post(&format!("/transactions/{paid}/cancel"), &json!({})).await, 409, "transaction_ended");
        let second = text(&office.pay(&checkout, VISA).await.expect(200)["id"]);
        refused(office.post(&format!("/transactions/{declined}/cancel"), &json!({})).await, 409, "transaction_ended");
        refund(&second, json!({})).await.expect(200);
        refused(refund(&second, json!({})).await, 409, "already_refunded");
        let canceled = office.post(&format!("/transactions/{waiting}/cancel"), &json!({})).await.expect(200);
        assert_eq!(canceled["statusCode"], -2);
        app.assert_books().await;
    }

    async fn fifty_refunds_at_once_never_exceed_what_was_paid(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let checkout = office.checkout(&json!({})).await.expect(200);
        let paid = text(&office.pay(&checkout, VISA).await.expect(200)["id"]);
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (office, path) = (office.clone(), format!("/transactions/{paid}/refund"));
            tries.spawn(async move { office.post(&path, &json!({ "amount": 1500 })).await.status.as_u16() });
        }
        let done = tries.join_all().await;
        assert_eq!(done.iter().filter(|status| **status == 200).count(), 3, "{done:?}");
        assert!(done.iter().all(|status| matches!(status, 200 | 409 | 422)), "{done:?}");
        assert_eq!(figure(&app, "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM refunds WHERE status = 'succeeded'").await, 4500);
        app.assert_books().await;
    }

    async fn one_idempotency_key_refunds_once(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let checkout = office.checkout(&json!({})).await.expect(200);
        let paid = text(&office.pay(&checkout, VISA).await.expect(200)["id"]);
        let path = format!("/transactions/{paid}/refund");
        let mut tries = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (office, path) = (office.clone(), path.clone());
            tries.spawn(async move { office.post_once("once", &path, &json!({ "amount": 700 })).await });
        }
        for answer in tries.join_all().await {
            assert!(matches!(answer.status.as_u16(), 200 | 409), "{}", answer.text);
        }
        assert_eq!(figure(&app, "SELECT COUNT(*) FROM refunds").await, 1);
        refused(office.post_once("once", &path, &json!({ "amount": 701 })).await, 409, "idempotency_key_reused");
        let replayed = office.post_once("once", &path, &json!({ "amount": 700 })).await;
        assert_eq!(replayed.expect(200)["refundedAmount"], 700);
        refused(office.post_once("4242424242424242", &path, &json!({})).await, 400, "idempotency_key_invalid");
    }
}
