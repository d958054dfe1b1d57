//! The payment page as a payer's browser sees it, over the whole application.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use testkit::gate::Shop;
use testkit::office::{Office, text};
use testkit::{Answer, AppOptions, TestApp, form_body};
use web::card_testing::Settings;

const PAYS: &str = "4242424242424242";
const DECLINED: &str = "4000000000000002";

fn from(ip: &str, request: axum::http::request::Builder) -> axum::http::request::Builder {
    let ip: IpAddr = ip.parse().expect("an address");
    request.extension(web::Peer(SocketAddr::from((ip, 4_000))))
}

async fn open(app: &TestApp, uuid: &str) -> Answer {
    let request = from("198.51.100.7", Request::get(format!("/payment/{uuid}")));
    app.page(request.body(Body::empty()).expect("a request")).await
}

/// Sends the card form of a page, named as `form`.
async fn send_card(app: &TestApp, ip: &str, uuid: &str, form: &str, number: &str) -> Answer {
    let fields = form_body(&[
        ("method", "card"),
        ("attempt", form),
        ("number", number),
        ("expiry", "12 / 34"),
        ("code", "123"),
        ("name", "Ada Lovelace"),
    ]);
    let request = from(ip, Request::post(format!("/payment/{uuid}")))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("sec-fetch-site", "same-origin");
    app.page(request.body(fields.into()).expect("a request")).await
}

testkit::on_both_engines! {
    async fn a_decline_keeps_the_page_open_and_the_next_card_pays(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.buy("order-1", "49.00").await;
        let page = open(&app, &uuid).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert_eq!(page.header("cache-control"), Some("no-store"));

        let declined = send_card(&app, "198.51.100.7", &uuid, "first", DECLINED).await;
        assert_eq!(declined.status, 200, "{}", declined.text);
        assert!(declined.text.contains("You have not been charged"), "{}", declined.text);
        assert!(!declined.text.contains("\"123\""), "the code is never shown again");
        // The same form again, as a double click sends it, is no second attempt.
        send_card(&app, "198.51.100.7", &uuid, "first", PAYS).await;
        assert_eq!(shop.status(&uuid).await["operations"].as_array().map(Vec::len), Some(1));

        let paid = send_card(&app, "198.51.100.7", &uuid, "second", PAYS).await;
        // The result has an address of its own: going back, or reloading, sends no form again.
        assert_eq!(paid.status, 303, "{}", paid.text);
        assert!(open(&app, &uuid).await.text.contains("Payment received"));
        assert_eq!(shop.status(&uuid).await["status"], "success");
        // A page that stayed open in another tab pays nothing more.
        send_card(&app, "198.51.100.7", &uuid, "third", PAYS).await;
        assert_eq!(shop.status(&uuid).await["operations"].as_array().map(Vec::len), Some(2));
        app.assert_books().await;
    }

    async fn a_site_shows_its_colour_and_nothing_else_of_its_own(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let get = async |path: String| app.page(Request::get(path).body(Body::empty()).expect("a request")).await;
        let checkout = office.checkout(&json!({ "items": [{ "name": "Mug <i>", "unitPrice": 5000 }, { "unitPrice": -100 }] })).await.expect(200);
        let page = format!("/checkout/{}", text(&checkout["shortCode"]));
        let sheet = format!("{page}/brand.css");
        assert!(!get(page.clone()).await.text.contains("brand.css"), "a site without a colour");
        assert_eq!(get(sheet.clone()).await.text, "");

        let logo = "https://shop.example/logo.png";
        let branding = json!({ "branding": { "primaryColor": "#0a6f4e", "logo": logo } });
        office.put(&format!("/sites/{}", office.site), &branding).await.expect(200);
        let shown = get(page.clone()).await;
        assert!(shown.text.contains(&format!("<link rel=\"stylesheet\" href=\"{sheet}\">")), "{}", shown.text);
        assert!(!shown.text.contains(logo) && !shown.text.contains("0a6f4e"), "{}", shown.text);
        assert!(shown.text.contains("Mug") && !shown.text.contains("<i>"), "{}", shown.text);
        let css = get(sheet.clone()).await;
        assert_eq!((css.status.as_u16(), css.header("content-type")), (200, Some("text/css; charset=utf-8")));
        for (name, value) in [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("cross-origin-resource-policy", "same-origin")] {
            assert_eq!(css.header(name), Some(value), "{name}");
        }
        assert!(css.text.contains("--brand:#0a6f4e") && !css.text.contains("url("), "{}", css.text);
        // One that cannot be read in one scheme is used in the other alone.
        office.put(&format!("/sites/{}", office.site), &json!({ "branding": { "primaryColor": "#ffd500" } })).await.expect(200);
        let yellow = get(sheet).await.text;
        assert!(yellow.contains("dark") && !yellow.contains("light"), "{yellow}");
        assert_eq!(get("/checkout/nosuchcode/brand.css".to_owned()).await.status, 404);
    }

    async fn forms_of_other_sites_pay_nothing(db) {
        let app = TestApp::start(&db).await;
        let shop = Shop::open(&app).await;
        let uuid = shop.buy("order-1", "49.00").await;
        let before = shop.status(&uuid).await;
        for site in ["cross-site", "same-site"] {
            let fields = form_body(&[("method", "card"), ("attempt", "first"), ("number", PAYS)]);
            let request = Request::post(format!("/payment/{uuid}"))
                .header("content-type", "application/x-www-form-urlencoded")
                .header("sec-fetch-site", site);
            let refused = app.page(request.body(fields.into()).expect("a request")).await;
            assert_eq!(refused.status, 403, "{}", refused.text);
        }
        assert_eq!(shop.status(&uuid).await, before);
    }

    async fn many_cards_of_one_network_are_held_up(db) {
        let bounds = Settings { cards: Some(2), ..Settings::default() };
        let app = TestApp::with(&db, AppOptions { card_testing: bounds, ..AppOptions::default() }).await;
        let shop = Shop::open(&app).await;
        let cards = ["4000000000000002", "4000000000009995", "4000000000009987"];
        let (mut pages, mut untouched) = (Vec::new(), None);
        for (n, card) in cards.into_iter().enumerate() {
            let uuid = shop.buy(&format!("order-{n}"), "1.00").await;
            untouched = Some(shop.status(&uuid).await);
            let answer = send_card(&app, &format!("198.51.100.{n}"), &uuid, "form", card).await;
            pages.push((uuid, answer));
        }
        assert_eq!(pages[0].1.status, 200);
        assert_eq!(pages[1].1.status, 200);
        let (uuid, held) = &pages[2];
        assert_eq!(held.status, 429, "{}", held.text);
        assert_eq!(held.header("retry-after"), Some("600"));
        assert!(held.text.contains("Too many attempts"), "{}", held.text);
        assert_eq!(Some(shop.status(uuid).await), untouched);
        // Payers elsewhere, and whoever comes back with a card that is known already, are served.
        assert_eq!(send_card(&app, "203.0.113.7", uuid, "other", PAYS).await.status, 303);
        assert_eq!(shop.status(uuid).await["status"], "success");
        let again = send_card(&app, "198.51.100.9", &pages[0].0, "again", cards[1]).await;
        assert_eq!(again.status, 200, "{}", again.text);
    }

    async fn declines_at_a_page_open_the_merchants_breaker(db) {
        let bounds = Settings { breaker: true, ..Settings::RELAXED };
        let app = TestApp::with(&db, AppOptions { card_testing: bounds, ..AppOptions::default() }).await;
        let shop = Shop::open(&app).await;
        let mut held = None;
        for n in 0..20 {
            let uuid = shop.buy(&format!("order-{n}"), "1.00").await;
            let answer = send_card(&app, "198.51.100.7", &uuid, "form", DECLINED).await;
            if answer.status == 429 {
                held = Some(n);
                break;
            }
        }
        assert_eq!(held, Some(13), "the fourteenth try is held up");
        let events = app.get("/v2/events?type=account.card_testing_suspected").await.expect(200);
        assert_eq!(events["data"].as_array().map(Vec::len), Some(1));
        // The merchant's own server is not held up.
        let paid = app.pay(100, "pm_card_visa", &[]).await.expect(201);
        assert_eq!(paid["status"], "succeeded");
    }
}
