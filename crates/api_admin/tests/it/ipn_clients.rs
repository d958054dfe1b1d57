//! The code that docs/admin-api.md gives to shops, in three languages, against a notice as it is really sent.

use crate::notices::work;
use crate::support::VISA;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use testkit::office::Office;
use testkit::{Received, Receiver, TestApp};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The variable that names the interpreter, the script below tests/clients, and where the function in it ends.
const CLIENTS: [(&str, &str, &str, &str); 3] = [
    ("PAYMENTGATE_PHP", "php/ipn.php", "function ipn_is_genuine", "\n}\n"),
    ("PAYMENTGATE_NODE", "node/ipn.js", "function ipnIsGenuine", "\n}\n"),
    ("PAYMENTGATE_PYTHON", "python/ipn.py", "def ipn_is_genuine", "\n\n\n"),
];

fn says(tool: &str, script: &str, case: &Value) -> String {
    let program = std::env::var_os(tool)
        .unwrap_or_else(|| panic!("set {tool} to an interpreter, or run `cargo xtask test`"));
    let mut child = Command::new(program)
        .arg(format!("{ROOT}/tests/clients/{script}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    child.stdin.take().expect("a pipe").write_all(case.to_string().as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ended");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn case(received: &Received, secret: &str) -> Value {
    json!({
        "body": String::from_utf8(received.body.clone()).expect("text"),
        "timestamp": received.header("x-signature-timestamp"),
        "signature": received.header("x-signature-hmac-sha256"),
        "secret": secret,
    })
}

#[test]
fn the_document_shows_the_code_that_is_tested() {
    let document = std::fs::read_to_string(format!("{ROOT}/docs/admin-api.md")).expect("the document");
    for (_, script, start, end) in CLIENTS {
        let text = std::fs::read_to_string(format!("{ROOT}/tests/clients/{script}")).expect("a script");
        let from = text.find(start).expect("the function");
        let length = text[from..].find(end).expect("its end");
        assert!(
            document.contains(text[from..from + length].trim()),
            "docs/admin-api.md has other code than {script}"
        );
    }
}

testkit::on_both_engines! {
    async fn a_shop_tells_genuine_notices_from_others(db) {
        let app = TestApp::start(&db).await;
        let office = Office::open(&app).await;
        let receiver = Receiver::start().await;
        let workers = work(&app);
        let checkout = office.checkout(&json!({ "ipnUrl": receiver.url, "externalReference": "Bestellung Ü-1" })).await.expect(200);
        office.pay(&checkout, VISA).await.expect(200);
        let genuine = case(&receiver.wait_for(1).await[0], &office.secret);
        let mut cases = vec![(genuine.clone(), "genuine")];
        let signed = genuine["signature"].as_str().expect("text");
        let (first, rest) = signed.split_at(1);
        let other = format!("{}{rest}", if first == "0" { "1" } else { "0" });
        let body = genuine["body"].as_str().expect("text").replace("\"status\":1", "\"status\":3");
        assert_ne!(body, genuine["body"]);
        for (name, value) in [
            ("secret", "whsec_00000000000000000000000000000000"),
            ("signature", &other),
            ("signature", ""),
            ("timestamp", "1"),
            ("timestamp", ""),
            ("body", &body),
        ] {
            let mut changed = genuine.clone();
            changed[name] = json!(value);
            cases.push((changed, "refused"));
        }
        for (tool, script, ..) in CLIENTS {
            for (case, expected) in &cases {
                assert_eq!(says(tool, script, case), *expected, "{script}: {case}");
            }
        }
        workers.stop().await;
    }
}
