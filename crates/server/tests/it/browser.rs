//! The challenge page in a real browser, with and without JavaScript.

use crate::process::{Gateway, PATIENCE, Place};
use crate::webdriver::{Browser, Driver};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::{Db, Kind};

/// The page to which the shop wants its payers back. Its script shows whether scripts run.
const SHOP: &str = "<!doctype html><title>Thank you</title><link rel=icon href=data:,>\
    <script>document.title = 'Scripted'</script><h1>Thank you</h1>";

/// Serves [`SHOP`] at every path; its base address.
fn shop() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                while stream.read_line(&mut line).is_ok_and(|n| n > 2) {
                    line.clear();
                }
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    SHOP.len()
                );
                let _ = stream.get_mut().write_all([head.as_bytes(), SHOP.as_bytes()].concat().as_slice());
            });
        }
    });
    base
}

/// A payment that waits for its payer; its id and the page's address.
fn challenged(gateway: &Gateway, return_url: &str) -> (String, String) {
    let form = [
        ("amount", "4900"),
        ("currency", "eur"),
        ("payment_method", "pm_card_threeDSecure2Required"),
        ("confirm", "true"),
        ("return_url", return_url),
    ];
    let waiting = gateway.client().post("/v2/payment_intents", &form).expect(201);
    let page = waiting["next_action"]["redirect_to_url"]["url"].as_str().expect("a page").to_owned();
    assert!(page.starts_with(&format!("http://{}/3ds/", gateway.public)), "{page}");
    (waiting["id"].as_str().expect("an id").to_owned(), page)
}

fn status(gateway: &Gateway, payment: &str) -> Value {
    gateway.get(&format!("/v2/payment_intents/{payment}")).expect(200)["status"].clone()
}

/// Nothing was refused by the page's own policy, nothing failed to load.
#[track_caller]
fn assert_quiet(browser: &Browser<'_>, when: &str) {
    let said = browser.console();
    assert!(said.is_empty(), "{when}: {said:?}");
}

/// Waits for the shop's page; what is read on the way is `heading`.
fn leave(browser: &Browser<'_>, shop: &str, heading: &str) -> String {
    let begun = Instant::now();
    loop {
        let seen = browser.run("return [location.href, document.querySelector('h1')?.textContent]");
        let [url, read] = [&seen[0], &seen[1]].map(|text| text.as_str().unwrap_or("").to_owned());
        if url.starts_with(shop) {
            return url;
        }
        assert!(["", "Confirm your payment", heading].contains(&&*read), "{read}, not {heading}");
        assert!(begun.elapsed() < PATIENCE, "still at {url}: {read}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn answer(browser: &Browser<'_>, gateway: &Gateway, shop: &str, case: &(&str, &str, &str, &str)) {
    let (outcome, heading, redirect, ended) = case;
    let (payment, page) = challenged(gateway, &format!("{shop}/back?cart=7"));
    browser.open(&page);
    assert_eq!(browser.text("h1"), "Confirm your payment");
    let shown = browser.text("main");
    assert!(shown.contains("€49.00") && shown.contains("Demo shop"), "{shown}");
    // The style sheet came through the page's own policy.
    assert_ne!(browser.style(".button-primary", "background-color"), "rgba(0, 0, 0, 0)");
    assert_quiet(browser, "the challenge");
    let button = format!("button[value={outcome}]");
    // The first button by mouse, the others by keyboard.
    if *outcome == "success" {
        browser.click(&button)
    } else {
        browser.press(&button, "\u{e007}")
    }
    let landed = leave(browser, shop, heading);
    for part in [
        format!("{shop}/back?cart=7&"),
        format!("payment_intent={payment}"),
        format!("payment_intent_client_secret={payment}_secret_"),
        format!("redirect_status={redirect}"),
    ] {
        assert!(landed.contains(&part), "{outcome}: {part} is not in {landed}");
    }
    assert_eq!(status(gateway, &payment), *ended, "{outcome}");
    assert_quiet(browser, "the way back");
    // The back button, or the address opened again, changes nothing.
    browser.open(&page);
    assert_ne!(browser.text("h1"), "Confirm your payment", "{outcome}: the page asks again");
    assert_eq!(status(gateway, &payment), *ended, "{outcome}");
    // The browser notes the status 410 of a page that is gone; nothing else.
    let said = browser.console();
    assert!(said.iter().all(|line| line.contains("410")), "{said:?}");
}

#[tokio::test]
async fn a_payer_answers_the_challenge() {
    let db = Db::new(Kind::Sqlite).await;
    let gateway = Gateway::start(&Place::of(&db));
    let (shop, driver) = (shop(), Driver::start());
    let cases = [
        ("success", "Your bank confirmed it is you", "succeeded", "succeeded"),
        ("fail", "Your bank could not confirm it is you", "failed", "requires_payment_method"),
        ("abandon", "You left the confirmation", "failed", "requires_payment_method"),
    ];
    for (javascript, title) in [(true, "Scripted"), (false, "Thank you")] {
        let browser = driver.browser(javascript);
        browser.open(&shop);
        assert_eq!(browser.title(), title, "JavaScript is not as asked for");
        for case in &cases {
            answer(&browser, &gateway, &shop, case);
        }
    }
    gateway.stop();
}

#[tokio::test]
async fn the_page_fits_a_telephone_and_a_desk() {
    let db = Db::new(Kind::Sqlite).await;
    let gateway = Gateway::start(&Place::of(&db));
    let driver = Driver::start();
    let browser = driver.browser(true);
    let (_, page) = challenged(&gateway, "https://shop.example/back");
    // Kept, for people to look at.
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    std::fs::create_dir_all(&pictures).expect("a folder");
    for width in [320, 360, 1_280] {
        browser.resize(width);
        browser.open(&page);
        let overflow =
            browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(overflow, 0, "the page is wider than {width} pixels");
        let narrow = browser.run(
            "return [...document.querySelectorAll('button')].map(b => b.getBoundingClientRect())\
             .filter(r => r.height < 44 || r.left < 0 || r.right > innerWidth).length",
        );
        assert_eq!(narrow, 0, "buttons that cannot be hit at {width} pixels");
        let picture = browser.screenshot();
        assert!(picture.starts_with(b"\x89PNG") && picture.len() > 5_000, "{width}: {} bytes", picture.len());
        std::fs::write(pictures.join(format!("challenge-{width}.png")), picture).expect("written");
    }
    // Another site cannot lay its own page over this one.
    browser.open(&shop());
    browser.run(&format!(
        "const f = document.createElement('iframe'); f.src = '{page}'; document.body.append(f)"
    ));
    let begun = Instant::now();
    while !browser.console().iter().any(|line| line.contains("frame-ancestors")) {
        assert!(begun.elapsed() < PATIENCE, "the page was framed");
        std::thread::sleep(Duration::from_millis(50));
    }
    gateway.stop();
}
