//! Where a delivery may go is decided again when it is sent.

use crate::support::{Endpoint, linger, pay, text, work};
use testkit::{AppOptions, Receiver, TestApp};
use workers::WorkerOptions;

testkit::on_both_engines! {
    async fn a_permission_that_was_withdrawn_stops_deliveries(db) {
        let open = TestApp::start(&db).await;
        let receiver = Receiver::start().await;
        let endpoint = Endpoint::paid(&open, &receiver.url).await;
        pay(&open).await;
        // The operator starts the gateway again without the setting that lets test mode reach loopback.
        let strict = TestApp::with(&db, AppOptions { options: engine::Options::default(), ..Default::default() }).await;
        let workers = work(&strict, WorkerOptions::default());
        let delivery = endpoint.attempted(&open, 1).await;
        linger().await;
        workers.stop().await;
        let attempt = &delivery["attempts"][0];
        assert_eq!((text(attempt, "error"), &attempt["http_status"]), ("blocked_ip".to_owned(), &().into()));
        assert_eq!((&attempt["response_body"], &delivery["status"]), (&().into(), &"pending".into()));
        assert_eq!(receiver.received().len(), 0);
    }
}
