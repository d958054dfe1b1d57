//! A system clock that jumps an hour back and forward while payments run.

use crate::payer::{Crowd, assert_kept};
use crate::process::{Gateway, PATIENCE, Place, Start, UNLIMITED, run_on, stderr, stdout, tool};
use crate::wire::{Client, connect, read_answer};
use serde_json::Value;
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The wall clock of a gateway, as libfaketime shows it; other clocks stay as they are.
struct Clock {
    file: PathBuf,
    wrapper: Vec<String>,
}

impl Clock {
    fn new(dir: &Path) -> Clock {
        let file = dir.join("clock");
        let set = |name: &str, value: String| format!("{name}={value}");
        let wrapper = vec![
            "env".to_owned(),
            set("LD_PRELOAD", tool("PAYMENTGATE_FAKETIME").display().to_string()),
            set("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
            set("FAKETIME_NO_CACHE", "1".to_owned()),
            set("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        let clock = Clock { file, wrapper };
        clock.set("+0");
        clock
    }

    /// Puts the clock off the true one. In one step, so that half a file is never read.
    fn set(&self, offset: &str) {
        let draft = self.file.with_extension("draft");
        std::fs::write(&draft, offset)
            .and_then(|()| std::fs::rename(&draft, &self.file))
            .expect("the clock is set");
    }

    fn start(&self, place: &Place) -> Gateway {
        let wrapper: Vec<&str> = self.wrapper.iter().map(String::as_str).collect();
        Gateway::start_with(place, &Start { tier: UNLIMITED, wrapper: &wrapper, ..Start::default() })
    }
}

const EXPANDED: (&str, &str) = ("expand[]", "latest_charge.balance_transaction");
const HELD: [(&str, &str); 5] = [
    ("amount", "700"),
    ("currency", "eur"),
    ("payment_method", "pm_card_visa"),
    ("confirm", "true"),
    ("capture_method", "manual"),
];

fn number(object: &Value, name: &str) -> i64 {
    object[name].as_i64().unwrap_or_else(|| panic!("{name} in {object}"))
}

/// Pays and authorises once: their ids in order, after a look at every period in them.
fn pay(client: &Client) -> [String; 2] {
    let form = [&crate::wire::PAYMENT[..], &[EXPANDED]].concat();
    let paid = client.post("/v2/payment_intents", &form).expect(201);
    let entry = &paid["latest_charge"]["balance_transaction"];
    let delay = number(entry, "available_on") - number(entry, "created");
    assert!((0..=3 * 86_400).contains(&delay), "available {delay} s after it was created: {paid}");
    let held = client
        .post("/v2/payment_intents", &[&HELD[..], &[("expand[]", "latest_charge")]].concat())
        .expect(201);
    let charge = &held["latest_charge"];
    let until = charge.pointer("/payment_method_details/card/capture_before").and_then(Value::as_i64);
    if let Some(until) = until {
        assert!(until > number(&held, "created"), "held until before it was made: {held}");
    }
    let captured =
        client.post(&format!("/v2/payment_intents/{}/capture", held["id"].as_str().expect("an id")), &[]);
    assert_eq!(captured.expect(200)["status"], "succeeded");
    [paid, held].map(|payment| payment["id"].as_str().expect("an id").to_owned())
}

/// Creates a customer under an idempotency key; its id.
fn once(gateway: &Gateway, key: &str) -> String {
    let request = gateway.client().request("POST", "/v2/customers", &[("name", "Ada")], "close");
    let request = String::from_utf8(request).expect("text");
    let request = request.replacen("\r\n\r\n", &format!("\r\nidempotency-key: {key}\r\n\r\n"), 1);
    let mut stream = connect(gateway.api).expect("connected");
    stream.write_all(request.as_bytes()).expect("sent");
    let answer = read_answer(&mut BufReader::new(stream)).expect("read").expect("an answer");
    answer.json()["id"].as_str().unwrap_or_else(|| panic!("{}", answer.body)).to_owned()
}

testkit::on_both_engines! {
    async fn jumps_of_the_wall_clock_harm_nothing(db) {
        let place = Place::of(&db);
        let clock = Clock::new(&db.dir());
        let gateway = clock.start(&place);
        let crowd = Crowd::start(&gateway, 3);
        let mut ids = Vec::new();
        let customer = once(&gateway, "before");
        for offset in ["+0", "-1h", "+0", "+1h", "-1h", "+1h", "+0"] {
            clock.set(offset);
            crowd.wait_for(12);
            let begun = Instant::now();
            // A request that the jump met in the middle may have been refused; the next ones are not.
            while gateway.client().pay().status != 201 {
                assert!(begun.elapsed() < PATIENCE, "{offset}: {}", gateway.log());
            }
            ids.extend(pay(&gateway.client()));
            assert_eq!(once(&gateway, "before"), customer, "{offset}: a repetition keeps its answer");
            once(&gateway, offset);
        }
        let told = crowd.end();
        for answer in &told.refused {
            // Not begun, or given up on the way to the provider because the jump was longer than its deadline.
            let clean = answer.status == 503 || answer.body.contains("nothing was charged");
            assert!(clean, "{} {}", answer.status, answer.body);
        }
        assert!(told.refused.len() <= 3 * 7, "{} refusals: {}", told.refused.len(), told.refused[0].body);
        assert_eq!((told.cut, told.unanswered), (0, 0));
        assert_kept(&gateway, &told);
        gateway.stop();
        // The clock is an hour behind what is stored: ids sort behind it all the same, and what nobody may
        // hold for so long is held by nobody.
        let gateway = clock.start(&place);
        ids.extend(pay(&gateway.client()));
        gateway.stop();
        assert!(ids.is_sorted(), "ids in the order in which they were made: {ids:?}");
        for words in [["ledger", "verify"], ["audit", "verify"]] {
            let verified = run_on(&place, &words);
            assert_eq!(verified.status.code(), Some(0), "{}", stdout(&verified));
        }
    }

    async fn limits_hold_over_a_jump(db) {
        let place = Place::of(&db);
        let clock = Clock::new(&db.dir());
        let gateway = clock.start(&place);
        let on = |words: &[&str]| {
            let done = run_on(&place, words);
            assert_eq!(done.status.code(), Some(0), "{words:?}: {}", stderr(&done));
            stdout(&done).trim().to_owned()
        };
        let merchant = on(&["merchants", "create", "Narrow"]);
        on(&["merchants", "set", &merchant, "--mode", "test", "--tier", "custom:30/1000/1000"]);
        let client = Client::new(gateway.api, &on(&["keys", "create", &merchant]));
        let spent = (0..31).map(|_| client.get("/v2/balance").status).filter(|status| *status == 200).count();
        assert_eq!(spent, 30);
        clock.set("-1h");
        let refused = client.get("/v2/balance");
        assert_eq!(refused.status, 429, "an hour back opens no fresh window");
        let after: i64 = refused.header("retry-after").and_then(|text| text.parse().ok()).expect("a number");
        assert!((1..=62).contains(&after), "and locks nobody out: {after} s");
        clock.set("+1h");
        assert_eq!(client.get("/v2/balance").status, 200, "the window has passed");
        clock.set("+0");
        let left: i64 = client.get("/v2/balance").header("x-ratelimit-remaining").and_then(|text| text.parse().ok()).expect("a number");
        assert_eq!(left, 28, "what was counted an hour ahead counts still");
        gateway.stop();
    }
}
