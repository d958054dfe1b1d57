//! `paymentgate services` beside a running gateway.

use crate::process::{Gateway, Place, run_on, stderr, stdout};

fn done(place: &Place, words: &[&str]) -> String {
    let told = run_on(place, words);
    assert_eq!(told.status.code(), Some(0), "{words:?}: {}", stderr(&told));
    stdout(&told).trim().to_owned()
}

testkit::on_both_engines! {
    async fn services_tokens_and_webhooks(db) {
        let place = Place::of(&db);
        let gateway = Gateway::start(&place);
        let merchants = done(&place, &["merchants", "list"]);
        let merchant = merchants.split_whitespace().find(|word| word.starts_with("acct_")).expect("the demo's");
        let service = done(&place, &["services", "create", merchant, "Second shop"]);
        let set = [
            "services", "set", &service, "--cost", "0.54", "--cost-hidden", "true", "--request-expiration", "3600",
            "--success-url", "https://shop.example/{payment_id}", "--status", "disabled", "--attempts", "3",
        ];
        let line = done(&place, &set);
        for part in ["Second shop", "disabled", "EUR", "0.54", "3600s"] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(done(&place, &["services", "list"]).contains("Second shop"));
        let shown = done(&place, &["services", "show", &service]);
        for (setting, value) in [
            ("cost", "0.54"), ("cost-hidden", "true"), ("success-url", "https://shop.example/{payment_id}"),
            ("attempts", "3"), ("payouts", "true"), ("status", "disabled"),
        ] {
            let line = shown.lines().find(|line| line.split_whitespace().next() == Some(setting));
            assert!(line.is_some_and(|line| line.contains(value)), "{setting}: {shown}");
        }
        let audited = done(&place, &["audit", "list"]);
        for part in [r#"cost "0.00" to "0.54""#, r#"status "active" to "disabled""#, r#"attempts "5" to "3""#] {
            assert!(audited.contains(part), "{part}: {audited}");
        }

        let secret = done(&place, &["services", "tokens", "create", &service, "main", "--variant", "raw", "--dialect", "2026"]);
        let tokens = done(&place, &["services", "tokens", "list", &service]);
        assert!(tokens.contains(&format!("...{}", &secret[secret.len() - 4..])) && !tokens.contains(&secret), "{tokens}");
        assert!(tokens.contains("raw") && tokens.contains("2026"), "{tokens}");
        let token = tokens.split_whitespace().find(|word| word.starts_with("gtok_")).expect("an id").to_owned();
        done(&place, &["services", "tokens", "revoke", &token]);

        assert!(done(&place, &["callbacks", "list", &service]).starts_with("ID "));

        let url = "https://shop.example/callbacks";
        let webhook = done(&place, &["services", "webhooks", "add", &service, url]);
        assert!(done(&place, &["services", "webhooks", "list", &service]).contains(url));
        done(&place, &["services", "webhooks", "remove", &service, &webhook]);
        assert!(!done(&place, &["services", "webhooks", "list", &service]).contains(url));

        // What is wrong is named, and nothing is changed.
        for (words, part) in [
            (&["services", "tokens", "revoke", token.as_str()][..], "revoked before"),
            (&["services", "webhooks", "remove", &service, &webhook], "no webhook"),
            (&["services", "webhooks", "add", &service, "http://10.0.0.1/x"], "URL"),
            (&["services", "set", &service, "--attempts", "21"], "attempts"),
            (&["services", "set", &service, "--request-expiration", "5"], "request-expiration"),
            (&["services", "set", &service, "--cost", "0.545"], "--cost"),
            (&["services", "set", &service, "--success-url", "javascript:x"], "success-url"),
            (&["services", "set", &service, "--fail-url", "https://shop.example/{payment_idd}"], "{payment_idd}"),
            (&["services", "set", &service, "--fee-group", "nothing"], "nothing"),
            (&["services", "set", "999"], "999"),
            (&["services", "show", "999"], "999"),
            (&["callbacks", "list", "999"], "999"),
            (&["callbacks", "list", &service, "--status", "lost"], "pending, succeeded or failed"),
            (&["callbacks", "resend", "dlv_00000000000000000"], "no callback"),
            (&["callbacks", "resend", "evt_00000000000000000"], "callbacks list"),
            (&["services", "tokens", "create", "999", "x"], "999"),
            (&["services", "create", "acct_00000000000000000", "x"], "acct_00000000000000000"),
        ] {
            let told = run_on(&place, words);
            let text = stderr(&told);
            assert!(!told.status.success() && text.contains(part), "{words:?}: {text}");
            assert!(!text.contains("panicked"), "{words:?}: {text}");
        }
        assert!(done(&place, &["services", "set", &service]).contains("3600s"));
        gateway.stop();
    }
}
