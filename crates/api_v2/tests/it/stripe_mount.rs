//! The same handlers for clients that speak to `/v1/…` below a base address of ours.

use crate::support::{data, id};
use testkit::TestApp;

const STRIPE: &str = "/stripe/v1/payment_intents";
const OWN: &str = "/v2/payment_intents";

testkit::on_both_engines! {
    async fn lists_name_the_address_that_such_a_client_follows(db) {
        let app = TestApp::start(&db).await;
        let paid = id(&app.post(STRIPE, &[("amount", "100"), ("currency", "eur"), ("payment_method", "pm_card_visa"), ("confirm", "true")]).await.expect(201));
        for (path, url) in [(STRIPE.to_owned(), "/v1/payment_intents".to_owned()), (format!("{STRIPE}/{paid}/refunds"), format!("/v1/payment_intents/{paid}/refunds")), ("/stripe/v1/balance_transactions".to_owned(), "/v1/balance_transactions".to_owned())] {
            assert_eq!(app.get(&path).await.expect(200)["url"], url);
        }
        let (ours, theirs) = (app.get(OWN).await.expect(200), app.get(STRIPE).await.expect(200));
        assert_eq!(data(&ours), data(&theirs), "the same objects under both addresses");
        assert_eq!(app.get(&format!("{STRIPE}/{paid}")).await.expect(200), app.get(&format!("{OWN}/{paid}")).await.expect(200));
    }

    async fn parameters_without_effect_are_tolerated_there_only(db) {
        let app = TestApp::start(&db).await;
        let held = async || id(&app.pay(100, "pm_card_visa", &[("capture_method", "manual")]).await.expect(201));
        let base = [("amount", "100"), ("currency", "eur")];
        let refundable = id(&app.pay(100, "pm_card_visa", &[]).await.expect(201));
        for (path, form, name) in [
            ("payment_intents".to_owned(), &base[..], "use_stripe_sdk"),
            ("payment_intents".to_owned(), &base, "radar_options[session]"),
            ("payment_intents".to_owned(), &base, "amount_details[tip]"),
            (format!("payment_intents/{}/capture", held().await), &[], "amount_details[tip]"),
            ("customers".to_owned(), &[], "tax_exempt"),
            ("customers".to_owned(), &[], "invoice_prefix"),
            ("refunds".to_owned(), &[("payment_intent", refundable.as_str())], "instructions_email"),
        ] {
            let form = [form, &[(name, "1")]].concat();
            let refused = app.post(&format!("/v2/{path}"), &form).await.expect_error(400, "invalid_request_error", Some("parameter_unknown"));
            assert_eq!(refused["param"], name.split('[').next().expect("a name"));
            let answer = app.post(&format!("/stripe/v1/{path}"), &form).await;
            assert!(answer.status.is_success(), "{path} {name}: {}", answer.text);
        }
        // A mistake is a mistake under both.
        for mount in ["/v2", "/stripe/v1"] {
            for name in ["amout", "application_fee_amount", "transfer_data[destination]", "on_behalf_of"] {
                let form = [&base[..], &[(name, "1")]].concat();
                app.post(&format!("{mount}/payment_intents"), &form).await.expect_error(400, "invalid_request_error", Some("parameter_unknown"));
            }
        }
    }
}
