//! Passkeys in a real browser, with the virtual authenticator of its DevTools protocol.

use crate::process::{Gateway, PATIENCE, Place, run_on, run_within, stderr, stdout, tool};
use std::path::Path;
use std::process::Command;

testkit::on_both_engines! {
    async fn somebody_signs_in_with_a_passkey(db) {
        let place = Place::of(&db);
        let gateway = Gateway::start(&place);
        let invited = run_on(&place, &["admins", "invite", "--email", "ada@example.com"]);
        let token = stdout(&invited).trim().to_owned();
        assert!(token.starts_with("pgi_"), "{}", stderr(&invited));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/browser/signing-in.js");
        let mut command = Command::new(tool("PAYMENTGATE_NODE"));
        command
            .arg(script)
            .args(["--admin", &format!("http://localhost:{}", gateway.admin.port()), "--token", &token])
            .env("NODE_PATH", tool("PAYMENTGATE_NODE_MODULES"))
            .env("PAYMENTGATE_CHROMIUM", tool("PAYMENTGATE_CHROMIUM"));
        let (status, said) = run_within(command, PATIENCE * 5);
        assert!(status.is_some_and(|status| status.success()), "{status:?}\n{said}\n{}", gateway.log());
        assert!(said.contains(" steps done"), "{said}");
        let log = stdout(&run_on(&place, &["audit", "list", "--json"]));
        for kind in ["user_registered", "signed_in", "signed_out", "passkey_added", "passkey_removed", "passkey_cloned"] {
            assert!(log.contains(&format!("\"{kind}\"")), "no {kind} in {log}");
        }
        assert!(!log.contains(&token[4..]), "{log}");
        let log = gateway.log();
        assert!(!log.contains(" ERROR ") && !log.contains(&token[4..]) && !log.contains("pgr_"), "{log}");
        gateway.stop();
    }
}
