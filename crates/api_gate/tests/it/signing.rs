//! Who may ask: signatures, tokens and their names, and bodies that could be read in two ways.

use crate::support::{figure, refused};
use api_gate::signature::Variant;
use domain::gate_token::{PayloadDialect, SignVariant};
use serde_json::{Value, json};
use testkit::TestApp;
use testkit::gate::{PURCHASE, STATUS, Shop, uuid_of};

const TRANSACTIONS: &str = "SELECT COUNT(*) FROM gate_transactions";

testkit::on_both_engines! {
    async fn what_is_not_signed_is_refused(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let body = shop.purchase("order-1", "100.00");
        let good: Value = serde_json::from_str(&shop.seal(&body)).expect("JSON");
        let signature = good["meta"]["signature"].as_str().expect("a signature").to_owned();
        let other_secret = Shop { secret: "x".repeat(40), ..shop.clone() };
        let old = "8BG8EbMzZUZrL3BqZ0FhY0hXa3pZQk9NQ0E9PQ==8BG8EbMzZUZrL3BqZ0FhY0hXa3pZQk9NQ0E9PQ==8BG8EbMz";
        let wrong = [
            Value::Null, json!(""), json!([]), json!(["a"]), json!(12), json!(true), json!({}),
            json!("0".repeat(128)), json!(signature.to_uppercase()), json!(&signature[..127]),
            json!(format!("{signature}0")), json!(format!(" {signature}")), json!(old), json!("signed_request_token"),
            json!(serde_json::from_str::<Value>(&other_secret.seal(&body)).expect("JSON")["meta"]["signature"]),
        ];
        for signature in wrong {
            let mut forged = good.clone();
            forged["meta"]["signature"] = signature.clone();
            let answer = shop.send(PURCHASE, &[], forged.to_string()).await;
            refused(answer, 401, 401, Some("meta.signature"));
        }
        refused(shop.send(PURCHASE, &[], body.to_string()).await, 401, 401, Some("meta.signature"));
        let mut huge = good.clone();
        huge["meta"]["signature"] = json!("a".repeat(1_000_000));
        refused(shop.send(PURCHASE, &[], huge.to_string()).await, 413, 413, None);
        // A signature of another body.
        let mut other = good.clone();
        other["payment"]["price"] = json!("1.00");
        refused(shop.send(PURCHASE, &[], other.to_string()).await, 401, 401, Some("meta.signature"));
        assert_eq!(figure(&app, TRANSACTIONS).await, 0);
        shop.send(PURCHASE, &[], good.to_string()).await.expect(200);
    }

    async fn a_signer_that_saw_a_float_is_told_so(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let mut body = shop.purchase("order-1", "100.00");
        body["payment"]["price"] = json!(100.0);
        let sent = shop.seal(&body).replace("100.0", "100");
        let answer = refused(shop.send(PURCHASE, &[], sent).await, 401, 401, Some("meta.signature"));
        assert!(answer["meta"]["message"].as_str().is_some_and(|m| m.contains("strings")), "{answer}");
    }

    async fn bodies_with_two_meanings_are_refused(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let sealed = shop.seal(&shop.purchase("order-1", "1.00"));
        for (from, to) in [
            (r#""price":"1.00""#, r#""price":"1.00","price":"999.00""#),
            (r#""price":"1.00""#, r#""price":"1.00","pr\u0069ce":"999.00""#),
            (r#"{"meta""#, r#"{"meta":{},"meta""#),
            (r#""price":"1.00""#, r#""price":"\ud800""#),
        ] {
            let twice = sealed.replacen(from, to, 1);
            assert_ne!(twice, sealed);
            refused(shop.send(PURCHASE, &[], twice).await, 400, 400, None);
        }
        for broken in ["", "[]", "null", "{", "{}x", "\u{feff}{}", &"[".repeat(10_000), "meta=1", "{\"a\":1e999999}"] {
            let answer = shop.send(PURCHASE, &[], broken.to_owned()).await;
            assert!(matches!(answer.status.as_u16(), 400 | 422), "{broken}: {}", answer.text);
            assert_eq!(answer.json["meta"]["success"], false);
        }
        assert_eq!(figure(&app, TRANSACTIONS).await, 0);
    }

    async fn one_body_spelled_otherwise_is_the_same_request(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let mut body = shop.purchase("order-1", "12.30");
        body["payment"]["price"] = json!(12.3);
        let sealed = shop.seal(&body);
        let uuid = uuid_of(&shop.send(PURCHASE, &[], sealed.clone()).await.expect(200));
        let value: Value = serde_json::from_str(&sealed).expect("JSON");
        let mut reversed = serde_json::Map::new();
        for (name, member) in value.as_object().expect("an object").iter().rev() {
            reversed.insert(name.clone(), member.clone());
        }
        for spelled in [
            serde_json::to_string_pretty(&value).expect("JSON"),
            Value::Object(reversed).to_string(),
            sealed.replace("12.3", "12.3000000000000000000000000"),
            sealed.replace("12.3", "1.23e1"),
            sealed.replace("payment", "p\\u0061yment"),
            sealed.replace("Ada", "\\u0041da"),
        ] {
            assert_ne!(spelled, sealed);
            let answer = shop.send(PURCHASE, &[], spelled.clone()).await;
            // An exponent may be refused; what is taken must be the same transaction.
            if answer.status == 200 {
                assert_eq!(uuid_of(&answer.json), uuid, "{spelled}");
            } else {
                refused(answer, 400, 400, None);
            }
        }
        assert_eq!(figure(&app, TRANSACTIONS).await, 1);
        assert_eq!(shop.status(&uuid).await["amount"], "12.30");
    }

    async fn folded_white_space_decides_nothing(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let mut body = shop.purchase("order-1", "1.00");
        body["user"]["first_name"] = json!("Ada Maria");
        let sealed = shop.seal(&body);
        // The sender signed one blank; someone on the way may turn it into others, or into a plus.
        let uuid = uuid_of(&shop.send(PURCHASE, &[], sealed.clone()).await.expect(200));
        for spelled in ["Ada  Maria", "Ada+Maria", " Ada Maria"] {
            let spelled = sealed.replace("Ada Maria", spelled);
            let answer = shop.send(PURCHASE, &[], spelled).await.expect(200);
            assert_eq!(uuid_of(&answer), uuid);
        }
        // Ids and addresses have no white space that folding could hide.
        for (block, name, text) in [
            ("meta", "payment_id", "order 2"), ("user", "email", "a b@example.com"),
            ("webhook", "url", "https://shop.example/a b"), ("redirect", "success_url", "https://shop.example/a b"),
        ] {
            let mut body = shop.purchase("order-2", "1.00");
            body[block][name] = json!(text);
            let field = format!("{block}.{name}");
            refused(shop.call(PURCHASE, &body).await, 422, 422, Some(&field));
        }
        assert_eq!(figure(&app, TRANSACTIONS).await, 1);
    }

    async fn signers_of_both_kinds(db) {
        let app = TestApp::start(&db).await;
        let folded = Shop::open(&app).await;
        let raw = Shop { variant: Variant::Raw, ..folded.clone() };
        for (n, shop) in [folded, raw].iter().enumerate() {
            let mut body = shop.purchase(&format!("order-{n}"), "1.00");
            body["user"]["first_name"] = json!("  Ada \t Maria ");
            body["user"]["address"] = json!("Belgium, Some address 123a-2121");
            let answer = shop.call(PURCHASE, &body).await;
            // A raw signer's tab is in a name, where it has no place; its spaces are.
            if answer.status != 200 {
                body["user"]["first_name"] = json!("Ada  Maria");
                shop.call(PURCHASE, &body).await.expect(200);
            }
        }
        assert_eq!(figure(&app, TRANSACTIONS).await, 2);
    }

    async fn a_header_names_the_token(db) {
        let app = TestApp::start(&db).await;
        let first = Shop::open(&app).await;
        let second = Shop::of_service(&app, first.service, "second token").await;
        let by_second = second.seal(&second.purchase("order-1", "1.00"));
        for header in ["X-REQUEST-TOKEN-NAME", "X-REQUEST-API-KEY"] {
            for (name, status) in [("second token", 200), ("default", 401), ("no such token", 401), ("Second Token", 401)] {
                let answer = second.send(PURCHASE, &[(header, name)], by_second.clone()).await;
                assert_eq!(answer.status, status, "{header}: {name}: {}", answer.text);
            }
        }
        // Without a name every valid token will do.
        second.send(PURCHASE, &[], by_second).await.expect(200);
        first.call(PURCHASE, &first.purchase("order-2", "1.00")).await.expect(200);
    }

    async fn tokens_and_webhooks_have_a_number(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        for n in 1..16 {
            Shop::of_service(&app, shop.service, &format!("token {n}")).await;
        }
        let one_more = app.engine.create_token(shop.service, "more".to_owned(), SignVariant::Folded, PayloadDialect::Y2025);
        assert!(matches!(one_more.await, Err(engine::Error::Limit { .. })));
        for n in 0..16 {
            let url = format!("https://shop.example/{n}");
            app.engine.create_service_webhook(shop.service, url).await.expect("a webhook");
        }
        let one_more = app.engine.create_service_webhook(shop.service, "https://shop.example/16".to_owned());
        assert!(matches!(one_more.await, Err(engine::Error::Limit { .. })));
        // One that is revoked makes room.
        assert!(app.engine.revoke_token(shop.token).await.expect("revoked"));
        Shop::of_service(&app, shop.service, "more").await;
    }

    /// Though what is known of a service may be a second old.
    async fn a_new_token_signs_at_once(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        for n in 0..5 {
            shop.buy(&format!("known-{n}"), "1.00").await;
            let new = Shop::of_service(&app, shop.service, &format!("token {n}")).await;
            // Not sooner after the last read than it takes an operator to hand a secret over.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            new.buy(&format!("new-{n}"), "1.00").await;
        }
    }

    async fn a_revoked_token_is_refused_within_a_second(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.buy("order-1", "1.00").await;
        assert!(app.engine.revoke_token(shop.token).await.expect("revoked"));
        let revoked = std::time::Instant::now();
        let asked = json!({ "meta": { "transaction_uuid": uuid } });
        loop {
            let begun = revoked.elapsed();
            let answer = shop.call(STATUS, &asked).await;
            if answer.status == 401 {
                break;
            }
            assert!(begun <= std::time::Duration::from_secs(1), "served {begun:?} after the revocation");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        refused(shop.call(STATUS, &asked).await, 401, 401, Some("meta.signature"));
        // A new token of the same name works, and the old secret does not come back with it.
        let renewed = Shop::of_service(&app, shop.service, "default").await;
        tokio::time::timeout(std::time::Duration::from_secs(60), async {
            while renewed.call(STATUS, &asked).await.status != 200 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }).await.expect("the new token is known");
        refused(shop.call(STATUS, &asked).await, 401, 401, Some("meta.signature"));
        let name = "default".to_owned();
        let again = app.engine.create_token(shop.service, name, SignVariant::Folded, PayloadDialect::Y2025).await;
        assert!(matches!(again, Err(engine::Error::NameTaken { .. })));
    }
}
