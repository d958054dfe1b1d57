//! Signing secrets that change (F16).

use crate::signature::matches;
use crate::support::{Endpoint, pay, sql, text, work};
use testkit::{Received, Receiver, TestApp};
use workers::WorkerOptions;

async fn rotate(app: &TestApp, endpoint: &Endpoint, form: &[(&str, &str)]) -> String {
    let path = format!("{}/rotate_secret", endpoint.path());
    text(&app.post(&path, form).await.expect(200), "secret")
}

async fn next(app: &TestApp, receiver: &Receiver) -> Received {
    let before = receiver.received().len();
    pay(app).await;
    receiver.wait_for(before + 1).await.remove(before)
}

testkit::on_both_engines! {
    async fn both_secrets_sign_until_the_old_one_ends(db) {
        let app = TestApp::start(&db).await;
        let receiver = Receiver::start().await;
        let endpoint = Endpoint::paid(&app, &receiver.url).await;
        let workers = work(&app, WorkerOptions::default());
        let new = rotate(&app, &endpoint, &[]).await;
        assert_ne!(new, endpoint.secret);
        let request = next(&app, &receiver).await;
        assert_eq!(matches(&request, &new), [true, false], "the new secret signs first");
        assert_eq!(matches(&request, &endpoint.secret), [false, true]);

        let now = app.engine.now().0;
        for (until, signatures) in [(now + 60_000_000, 2), (now, 1)] {
            sql(&app, &format!("UPDATE webhook_endpoints SET old_secret_until = {until}")).await;
            let request = next(&app, &receiver).await;
            assert_eq!(matches(&request, &new).len(), signatures);
            assert_eq!(matches(&request, &endpoint.secret).contains(&true), signatures == 2);
        }
        workers.stop().await;
    }

    async fn a_leaked_secret_ends_at_once(db) {
        let app = TestApp::start(&db).await;
        let receiver = Receiver::start().await;
        receiver.answer_with(&[200, 500]);
        let endpoint = Endpoint::paid(&app, &receiver.url).await;
        let workers = work(&app, WorkerOptions::default());
        assert_eq!(matches(&next(&app, &receiver).await, &endpoint.secret), [true]);
        next(&app, &receiver).await;
        endpoint.attempted(&app, 1).await;
        let second = rotate(&app, &endpoint, &[("expires_in", "3600")]).await;
        let third = rotate(&app, &endpoint, &[("expires_in", "0")]).await;
        // The retry of what was first signed with the leaked secret.
        crate::support::make_due(&app).await;
        let retried = receiver.wait_for(3).await.remove(2);
        assert_eq!(retried.header("pg-delivery-attempt"), "2");
        assert_eq!(matches(&retried, &third), [true]);
        assert_eq!((matches(&retried, &second), matches(&retried, &endpoint.secret)), (vec![false], vec![false]));
        workers.stop().await;
    }

    async fn secrets_are_shown_when_made_and_kept_sealed(db) {
        let app = TestApp::start(&db).await;
        let endpoint = Endpoint::paid(&app, "https://shop.example/hook").await;
        let rotated = rotate(&app, &endpoint, &[]).await;
        assert!(rotated.starts_with("whsec_") && rotated.len() == "whsec_".len() + 32, "{rotated}");
        for shown in [
            app.get(&endpoint.path()).await.text,
            app.get("/v2/webhook_endpoints").await.text,
            app.post(&endpoint.path(), &[("description", "x")]).await.text,
        ] {
            assert!(!shown.contains("whsec_"), "{shown}");
        }
        for wrong in ["-1", "604801", "1.5", "soon"] {
            let refused = app.post(&format!("{}/rotate_secret", endpoint.path()), &[("expires_in", wrong)]).await;
            let status = refused.status;
            assert_eq!(refused.json["error"]["param"], "expires_in", "{wrong}: {status} {}", refused.text);
        }
        for column in ["secret", "old_secret"] {
            let query = format!("SELECT {column} FROM webhook_endpoints");
            let kept: Vec<u8> = app.store.read(move |tx| tx.one(&query, &[], |row| row.next())).await
                .map_err(|e: store::StoreError| e).expect("a row");
            for secret in [&rotated, &endpoint.secret] {
                let bare = &secret.as_bytes()["whsec_".len()..];
                assert!(!kept.windows(bare.len()).any(|part| part == bare), "{column} is not sealed");
            }
        }
    }
}
