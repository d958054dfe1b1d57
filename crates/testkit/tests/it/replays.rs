//! Gate requests that come again, and pages after what a merchant did over REST v2.

use engine::checkouts::Submission;
use engine::{Engine, MethodChoice};
use testkit::signer::{Order, PAYOUT, PURCHASE, Signer};
use testkit::{Answer, TestApp};

async fn open(app: &TestApp) -> Signer {
    use domain::gate_token::{PayloadDialect, SignVariant};
    let services = app.engine.storefronts().await.expect("services");
    let service = services.iter().find(|s| s.scope == app.scope()).expect("a service").number;
    let made =
        app.engine.create_token(service, "shop".to_owned(), SignVariant::Folded, PayloadDialect::Y2025);
    let (_, secret) = made.await.expect("a token");
    Signer { service, secret }
}

const ORDER: Order<'static> = Order {
    payment_id: "order-1",
    price: "10.00",
    currency: "EUR",
    email: "payer@example.com",
    webhook: None,
};

async fn call(app: &TestApp, path: &str, body: &str) -> Answer {
    let request = http::Request::post(path).header("content-type", "application/json");
    app.send(request.body(body.to_owned().into()).expect("a request")).await
}

async fn submission(engine: &Engine, app: &TestApp, form: &str, token: &str) -> Submission {
    let chosen = engine.choose_method(app.scope(), "method", token).await.expect("a method");
    let MethodChoice::New(method) = chosen else { panic!("{token} is a ready-made method") };
    Submission { form: form.to_owned(), method: *method, request_id: "req_test".to_owned() }
}

testkit::on_both_engines! {
    async fn a_payer_on_the_page_is_asked_to_authenticate_whatever_the_merchant_said_before(db) {
        let app = TestApp::start(&db).await;
        let shop = open(&app).await;
        let made = call(&app, PURCHASE, &shop.purchase(&ORDER)).await.expect(200);
        let uuid = made["data"]["uuid"].as_str().expect("a uuid").to_owned();
        let payment = app.engine.checkout(uuid.clone()).await.expect("a page").payment.id;
        let path = format!("/v2/payment_intents/{payment}");
        let absent = [("payment_method", "pm_card_threeDSecure2Required"), ("off_session", "true")];
        let refused = app.post(&format!("{path}/confirm"), &absent).await;
        refused.expect_error(402, "card_error", Some("authentication_required"));
        let sent = submission(&app.engine, &app, "form-1", "pm_card_threeDSecure2Required").await;
        app.engine.pay_checkout(uuid, sent).await.expect("sent");
        assert_eq!(app.get(&path).await.expect(200)["status"], "requires_action");
    }

    async fn a_create_is_answered_alike_whatever_became_of_it(db) {
        let app = TestApp::start(&db).await;
        let shop = open(&app).await;
        let purchase = shop.purchase(&ORDER);
        let made = call(&app, PURCHASE, &purchase).await.expect(200);
        let uuid = made["data"]["uuid"].as_str().expect("a uuid").to_owned();
        for n in 0..5 {
            let sent = submission(&app.engine, &app, &format!("form-{n}"), "pm_card_chargeDeclined").await;
            app.engine.pay_checkout(uuid.clone(), sent).await.expect("sent");
        }
        let status = call(&app, testkit::signer::STATUS, &shop.status(&uuid)).await.expect(200);
        assert_eq!(status["data"]["status"], "failed");
        assert_eq!(call(&app, PURCHASE, &purchase).await.expect(200)["data"], made["data"]);

        app.pay(10_000, "pm_card_bypassPending", &[]).await.expect(201);
        for (payment_id, account) in [("out-1", "DE62370400440532013001"), ("out-2", "DE94370400440532013007")] {
            let payout = shop.payout(&Order { payment_id, ..ORDER }, account);
            let made = call(&app, PAYOUT, &payout).await.expect(200);
            app.run_waiting().await;
            assert_eq!(call(&app, PAYOUT, &payout).await.expect(200)["data"], made["data"], "{account}");
        }
        app.assert_books().await;
    }
}
