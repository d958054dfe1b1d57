//! The payment page in a real browser, by the checks of `tests/browser`, against the samples of the preview.

#[path = "../examples/preview/samples.rs"]
#[expect(dead_code, reason = "the preview lists the samples; the browser knows their names")]
mod samples;
#[path = "../examples/preview/serve.rs"]
mod serve;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Something that the test command names in a variable.
fn named(variable: &str) -> PathBuf {
    let named =
        std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set: run cargo xtask test"));
    let path = PathBuf::from(named);
    assert!(path.exists(), "{variable} names {}, which does not exist: run cargo xtask test", path.display());
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payment_page_in_chromium() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    let server = tokio::spawn(async { axum::serve(listener, serve::router()).await });

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser/checkout.js");
    // Kept, for people to look at.
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    let mut checks = Command::new(named("PAYMENTGATE_NODE"));
    checks
        .arg(script)
        .args(["--base", &base])
        .arg("--pictures")
        .arg(pictures)
        .env("NODE_PATH", named("PAYMENTGATE_NODE_MODULES"))
        .env("PAYMENTGATE_CHROMIUM", named("PAYMENTGATE_CHROMIUM"));
    let ran = tokio::task::spawn_blocking(move || checks.output()).await.expect("run").expect("node starts");
    server.abort();
    let said = [ran.stdout, ran.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(ran.status.success(), "{}\n{said}", ran.status);
    assert!(said.contains(" run, 0 failed"), "{said}");
}
