//! The payment page in a real browser, from the shop's signed request to the shop's own page.

use crate::process::{Gateway, Place, Start, run_on, run_within, stderr, stdout, tool};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use testkit::Kind;

/// The flows of `tests/browser/flows`: those with money on either engine, what only the browser decides on one.
fn flows(gateway: &Gateway, place: &Place, looks: bool) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser/flows.js");
    let (service, secret) = place.gate_service();
    let mut command = Command::new(tool("PAYMENTGATE_NODE"));
    command
        .arg(script)
        .args(["--api", &format!("http://{}", gateway.api)])
        .args(["--public", &format!("http://{}", gateway.public)])
        .args(["--key", &gateway.key, "--service", &service, "--secret", &secret])
        .env("NODE_PATH", tool("PAYMENTGATE_NODE_MODULES"))
        .env("PAYMENTGATE_CHROMIUM", tool("PAYMENTGATE_CHROMIUM"));
    if looks {
        // Kept, for people to look at.
        let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots/payment-page");
        command.arg("--looks").arg("--pictures").arg(pictures);
    }
    command
}

testkit::on_both_engines! {
    async fn payers_pay_on_the_page(db) {
        let place = Place::of(&db);
        let start = Start { more: &["--sandbox-settle-seconds", "1"], ..Start::default() };
        let gateway = Gateway::start_with(&place, &start);
        let looks = db.kind == Kind::Sqlite;
        let (status, said) = run_within(flows(&gateway, &place, looks), Duration::from_secs(600));
        assert!(status.is_some_and(|status| status.success()), "{status:?}\n{said}\n{}", gateway.log());
        assert!(said.contains(" run, 0 failed"), "{said}");
        print!("{said}");
        let books = run_on(&place, &["ledger", "verify"]);
        assert_eq!(books.status.code(), Some(0), "{}{}", stdout(&books), stderr(&books));
        // No flow met a defect of the gateway's.
        assert!(!gateway.log().contains(" ERROR "), "{}", gateway.log());
        gateway.stop();
    }
}
