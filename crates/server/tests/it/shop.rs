//! A shop in PHP against the program, over Gate.

use crate::process::{Gateway, Place, run_on, stderr, stdout, tool};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// The demo merchant's service in test mode.
fn service(place: &Place) -> String {
    let listed = stdout(&run_on(place, &["services", "list"]));
    let words = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let own = words.filter(|words| words.contains(&"test")).find_map(|words| words.first().copied());
    own.unwrap_or_else(|| panic!("no service in {listed}")).to_owned()
}

/// Pays the page at `url` in a browser, by a card whose money is available at once.
fn pay(gateway: &Gateway, url: &str) {
    assert!(url.starts_with(&format!("http://{}/payment/", gateway.public)), "{url}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser/pay.js");
    let paid = Command::new(tool("PAYMENTGATE_NODE"))
        .arg(script)
        .args([url, "4000000000000077"])
        .env("NODE_PATH", tool("PAYMENTGATE_NODE_MODULES"))
        .output()
        .expect("node starts");
    assert!(paid.status.success(), "{}", stderr(&paid));
}

testkit::on_both_engines! {
    async fn a_shop_in_php(db) {
        let php = tool("PAYMENTGATE_PHP");
        let place = Place::of(&db);
        let gateway = Gateway::start(&place);
        let service = service(&place);
        let made = run_on(&place, &["services", "tokens", "create", &service, "shop token"]);
        let secret = stdout(&made).trim().to_owned();
        assert_eq!(secret.len(), 40, "{}", stderr(&made));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/php/shop.php");
        let mut shop = Command::new(php)
            .arg(script)
            .args(["--base", &format!("http://{}", gateway.api), "--service", &service])
            .args(["--token", "shop token", "--secret", &secret])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("php starts");
        let mut said = String::new();
        let mut answers = shop.stdin.take().expect("piped");
        for line in BufReader::new(shop.stdout.take().expect("piped")).lines().map_while(Result::ok) {
            let words: Vec<&str> = line.split(' ').collect();
            if let ["PAY", url, ..] = words[..] {
                pay(&gateway, url);
                answers.write_all(b"paid\n").expect("the shop listens");
            }
            said.push_str(&line);
            said.push('\n');
        }
        let mut errors = String::new();
        shop.stderr.take().expect("piped").read_to_string(&mut errors).expect("text");
        let status = shop.wait().expect("it ends");
        assert!(status.success() && said.contains(" checks, 0 failed"), "{status}\n{said}{errors}");
        let verified = run_on(&place, &["ledger", "verify"]);
        assert!(verified.status.success(), "{}", stderr(&verified));
        gateway.stop();
    }
}
