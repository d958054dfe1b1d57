//! A shop in PHP against the program, over Gate.

use crate::process::{Gateway, Place, converse, run_on, stderr, stdout, tool};
use std::path::Path;
use std::process::Command;

/// The demo merchant's service in test mode.
fn service(place: &Place) -> String {
    let listed = stdout(&run_on(place, &["services", "list"]));
    let words = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let own = words.filter(|words| words.contains(&"test")).find_map(|words| words.first().copied());
    own.unwrap_or_else(|| panic!("no service in {listed}")).to_owned()
}

/// Pays the page at `url` in a browser; what came of it. With `home`, the payer must end at an address that begins so.
pub fn pay(gateway: &Gateway, folder: &str, url: &str, card: &str, home: Option<&str>) -> String {
    assert!(url.starts_with(&format!("http://{}/{folder}/", gateway.public)), "{url}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser/pay.js");
    let paid = Command::new(tool("PAYMENTGATE_NODE"))
        .arg(script)
        .args([url, card])
        .args(home)
        .env("NODE_PATH", tool("PAYMENTGATE_NODE_MODULES"))
        .output()
        .expect("node starts");
    assert!(paid.status.success(), "{}", stderr(&paid));
    stdout(&paid).trim().to_owned()
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
        let mut shop = Command::new(php);
        shop.arg(script).args(["--base", &format!("http://{}", gateway.api), "--service", &service]);
        shop.args(["--token", "shop token", "--secret", &secret]);
        let (status, said) = converse(shop, |words| match words {
            // A card whose money is available at once.
            ["PAY", url, ..] => Some(pay(&gateway, "payment", url, "4000000000000077", None)),
            _ => None,
        });
        assert!(status.success() && said.contains(" checks, 0 failed"), "{status}\n{said}");
        let verified = run_on(&place, &["ledger", "verify"]);
        assert!(verified.status.success(), "{}", stderr(&verified));
        gateway.stop();
    }
}
