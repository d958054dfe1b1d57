//! The documented requests word for word, with our service and signature, and the form of each answer.

use crate::support::{allow_debts, assert_states};
use serde_json::{Value, json};
use testkit::gate::{CANCEL, PAYOUT, PURCHASE, RECURRING, REFUND, STATUS, Shop};
use testkit::{Answer, TestApp};

const META: &str = r#""meta": {
    "signature": "signed_request_token", "service_id": 948, "payment_id": "your-id-1744241274"
}"#;
const PAYMENT: &str = r#""payment": { "price": "100.00", "currency": "EUR" }"#;
const REST: &str = r#""redirect": {
    "success_url": "https://your-service-domain.com/success",
    "fail_url": "https://your-service-domain.com/fail",
    "return_url": "https://your-service-domain.com/return"
},
"company": {
    "name": "Company name", "tax_id": "Tax/Vat number", "bank_name": "AS SOME BANK",
    "bank_account": "HB49SAAD93848485849948490", "bank_swift": "SW2IS23",
    "address": "Belgium, Some address 123a-2121, BL-2312."
}"#;

/// The examples' people are random letters of many lengths.
fn user(texts: [&str; 7]) -> String {
    let [phone, name, surname, address, city, zip, language] = texts;
    format!(
        r#""user": {{
            "country": "CZ", "first_name": "Equuer", "last_name": "Duhhoney", "email": "someone@example.com",
            "phone": "{phone}", "name": "{name}", "surname": "{surname}", "address": "{address}",
            "day_of_birth": "2025-04-09", "city": "{city}", "zip": "{zip}", "language": "{language}"
        }}"#
    )
}

fn body(blocks: &[&str]) -> String {
    format!("{{ {} }}", blocks.join(",\n"))
}

fn webhook(token: &str) -> String {
    format!(
        r#""webhook": {{ "url": "https://your-service-domain.com/callback-handler", "token_name": "{token}" }}"#
    )
}

fn purchase() -> String {
    let user = user([
        "shapphfjqiwcqxrulmhb",
        "quasi",
        "aperiam",
        "vel",
        "xxqyodubheadxu",
        "vcfzcvotizdrcewwubalzgkzt",
        "q",
    ]);
    body(&[META, PAYMENT, &user, &webhook("SOME TOKEN NAME"), REST, r#""additional_data": ["eligendi"]"#])
}

fn recurring() -> String {
    let phone = "fqdmpezlurtlaonoqywguadapsdvwzdmvlyagylkmwruqjjbadtlclqrcntwxbguwsmrnrbcyhczdccdrowfv";
    let user = user([phone, "nulla", "provident", "eum", "krcgaxutlmlmpqaup", "lnjejyxtzsqz", "q"]);
    let terms = r#""recurring": {
        "enabled": true, "start_date": "2024-11-18T22:45:55+00:00", "end_date": "2107-09-08",
        "cycle_days": 2, "trial_days": 1
    }"#;
    body(&[META, PAYMENT, terms, &user, &webhook("repudiandae"), REST, r#""additional_data": ["saepe"]"#])
}

fn payout() -> String {
    let phone = "wcnukjjlzrzsnfdxpoooxjuslpzazvueatgxohqsnuqfdipbemudpmfvtxzncil";
    let user = user([
        phone,
        "eveniet",
        "deserunt",
        "eaque",
        "dyffwckmjpnmthgdwin",
        "nsateezgaseysvxnvdnirtqq",
        "on",
    ]);
    body(&[META, PAYMENT, &user, &webhook("at"), REST, r#""additional_data": ["repudiandae"]"#])
}

/// The shop of the examples: its tokens have the names that they use.
async fn shop(app: &TestApp) -> Shop {
    let shop = Shop::open(app).await;
    for name in ["SOME TOKEN NAME", "repudiandae", "at"] {
        Shop::of_service(app, shop.service, name).await;
    }
    shop
}

fn read(shop: &Shop, text: &str) -> Value {
    let mut body: Value = serde_json::from_str(text).expect("JSON");
    body["meta"]["service_id"] = json!(shop.service);
    body
}

/// The answer to a creating call has the documented members, and the uuid beside them.
#[track_caller]
fn page(answer: Answer, message: &str) -> String {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let answer = answer.expect(200);
    let meta = &answer["meta"];
    assert_eq!((&meta["code"], &meta["success"]), (&json!(200), &json!(true)), "{answer}");
    assert_eq!(meta["message"], message);
    assert!(meta["response_time"].as_str().is_some_and(|t| t.ends_with(" s")), "{answer}");
    let url = answer["data"]["redirect_url"].as_str().expect("a page").to_owned();
    let uuid = url.strip_prefix("http://public.test/payment/").expect("our page");
    assert_eq!(answer["data"]["uuid"], uuid);
    uuid.to_owned()
}

/// Names of an object's members.
fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Every name of `documented` is there, and of the same kind where it is no null.
#[track_caller]
fn has_all(object: &Value, documented: &Value) {
    for (name, sample) in documented.as_object().expect("an object") {
        let value = object.get(name).unwrap_or_else(|| panic!("{name} is missing in {object}"));
        let same = std::mem::discriminant(value) == std::mem::discriminant(sample);
        assert!(same || value.is_null() || sample.is_null(), "{name}: {value} for {sample}");
    }
}

fn transaction_sample() -> Value {
    json!({
        "id": 11, "payment_id": "1", "uuid": "u", "service_id": 1, "merchant_id": 1, "cost_type": "in",
        "last_error_message": "", "last_error_code": 0, "amount": "12.32", "currency": "EUR",
        "type": "recurring", "status": "processing", "request": {}, "metadata": {},
        "created_at": "2024-10-19T21:24:12.000000Z", "updated_at": "2024-10-19T21:28:25.000000Z",
        "operations": [],
    })
}

fn operation_sample() -> Value {
    json!({
        "id": 17, "payment_system_transaction_id": "", "transaction_id": 11, "merchant_id": 1,
        "service_id": 1, "payment_system_id": 1, "amount": "12.32", "currency": "EUR", "total_fee": "0.00",
        "metadata": {}, "errors": [], "error_code": 0, "message": "", "type": "subscription",
        "status": "processing", "confirmed_at": null, "created_at": "", "updated_at": "",
    })
}

fn service_sample() -> Value {
    json!({
        "id": 1, "name": "", "slug": "", "merchant_id": 1, "payment_system_id": 1, "url": "",
        "redirect_success_url": "", "redirect_fail_url": "", "redirect_return_url": "",
        "request_expiration": 86300, "currency": "EUR", "type": "unknown", "status": "active",
        "params": null, "created_at": "", "updated_at": "", "deleted_at": null, "payment_system": {},
        "merchant": {
            "id": 1, "name": "", "slug": "", "phone": "", "email": "", "bank_name": "", "bank_swift": "",
            "bank_account": "", "tax_id": "", "homepage": "", "address": "", "user_id": 1,
            "status": "verified", "created_at": "", "updated_at": "", "deleted_at": null,
        },
    })
}

testkit::on_both_engines! {
    async fn a_purchase_and_its_status(db) {
        let app = TestApp::start(&db).await;
        let shop = shop(&app).await;
        let body = read(&shop, &purchase());
        let uuid = page(shop.call(PURCHASE, &body).await, "Transaction can be processed!");

        let asked = json!({ "meta": { "signature": "signed_request_token", "transaction_uuid": uuid } });
        let answer = shop.call(STATUS, &asked).await.expect(200);
        assert_eq!(answer["meta"]["message"], "Transaction status request successful");
        let transaction = &answer["data"];
        has_all(transaction, &transaction_sample());
        has_all(&transaction["operations"][0], &operation_sample());
        assert_states(transaction, "created", &[("sale", "init", 0, "")]);
        // The request comes back without its signature, which with it would be all that a replay needs.
        let mut echoed = body.clone();
        echoed["meta"].as_object_mut().expect("meta").remove("signature");
        assert_eq!(transaction["request"], echoed);
        for (name, expected) in [
            ("payment_id", json!("your-id-1744241274")), ("amount", json!("100.00")), ("currency", json!("EUR")),
            ("type", json!("purchase")), ("cost_type", json!("in")), ("cost", json!("0.00")),
            ("service_id", json!(shop.service)), ("last_error_code", json!(0)), ("customer_id", json!(1)),
        ] {
            assert_eq!(transaction[name], expected, "{name}");
        }
        let created = transaction["created_at"].as_str().expect("a time");
        assert!(created.len() == 27 && created.ends_with('Z') && created.as_bytes()[10] == b'T', "{created}");
        // What the page knows of the payer and of where to go.
        let view = app.engine.checkout(uuid).await.expect("a page");
        let leave = &view.checkout.details.leave;
        assert_eq!(leave.success.as_deref(), Some("https://your-service-domain.com/success"));
        assert_eq!(leave.fail.as_deref(), Some("https://your-service-domain.com/fail"));
        assert_eq!(leave.back.as_deref(), Some("https://your-service-domain.com/return"));
        assert_eq!(view.checkout.details.payer_name.as_deref(), Some("Equuer Duhhoney"));
        app.assert_books().await;
    }

    async fn a_recurring_one_and_its_cancel(db) {
        let app = TestApp::start(&db).await;
        let shop = shop(&app).await;
        let body = read(&shop, &recurring());
        let answer = shop.call(RECURRING, &body).await;
        let uuid = page(answer, "Transaction is stored. Recurring payments cannot be charged yet.");
        let asked = read(&shop, &self::body(&[META]));
        let answer = shop.call(CANCEL, &asked).await.expect(200);
        assert_eq!(answer["meta"]["message"], "Transaction is cancelling");
        let transaction = &answer["data"];
        has_all(transaction, &transaction_sample());
        has_all(&transaction["operations"][0], &operation_sample());
        has_all(&transaction["service"], &service_sample());
        assert_eq!((&transaction["uuid"], &transaction["type"]), (&json!(uuid), &json!("recurring")));
        let gate = &transaction["metadata"]["gate"];
        assert_eq!(names(gate), [
            "card_meta", "customer_id", "days_cycle", "end_date", "start_date", "subscription_id", "trial_days",
        ]);
        assert_eq!(names(&gate["card_meta"]), ["expiration", "holder", "mask", "token", "type"]);
        assert_eq!((&gate["days_cycle"], &gate["trial_days"]), (&json!(2), &json!(1)));
        assert_eq!(gate["end_date"], "2107-09-09 00:00:00");
    }

    async fn a_payout_and_a_refund(db) {
        let app = TestApp::start(&db).await;
        allow_debts(&app).await;
        let shop = shop(&app).await;
        // Money for the payout.
        shop.sell("earlier", "500.00", crate::support::AT_ONCE).await;
        let uuid = page(shop.call(PAYOUT, &read(&shop, &payout())).await, "Transaction can be processed!");
        let transaction = shop.status(&uuid).await;
        assert_eq!((&transaction["cost_type"], &transaction["type"]), (&json!("out"), &json!("payout")));
        assert_states(&transaction, "success", &[("payout", "success", 0, "operation successfully processed")]);

        let paid = shop.sell("later", "100.00", "pm_card_visa").await;
        let asked = json!({
            "meta": { "signature": "signed_request_token", "transaction_uuid": paid },
            "refund": { "price": "100.00", "currency": "EUR", "comment": "necessitatibus" },
        });
        let answer = shop.call(REFUND, &asked).await.expect(200);
        assert_eq!(answer["meta"]["message"], "OK");
        assert_eq!(answer["data"]["message"], "Status: success");
        let operation = &answer["data"]["operation"];
        has_all(operation, &operation_sample());
        assert_eq!((&operation["amount"], &operation["direction"]), (&json!("100.00"), &json!("out")));
        assert_eq!((&operation["type"], &operation["comment"]), (&json!("refund"), &json!("necessitatibus")));
        assert_eq!((&operation["transaction"]["uuid"], &operation["transaction"]["status"]), (&json!(paid), &json!("refunded")));
        app.assert_books().await;
    }
}
