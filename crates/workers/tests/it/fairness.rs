//! Endpoints of others do not hold up a healthy one.

use crate::raw_receiver::{Manner, RawReceiver};
use crate::support::{Endpoint, figure, pay, work};
use std::time::Duration;
use testkit::{Receiver, TestApp};
use workers::WorkerOptions;

const HANGING: usize = 20;
const EVENTS: usize = 8;

testkit::on_both_engines! {
    /// 20 hanging endpoints of two merchants with a backlog want 80 slots of 64 for half a minute each. All
    /// events of the healthy merchant must arrive before a single one of those attempts has ended.
    async fn hanging_endpoints_do_not_hold_up_a_healthy_one(db) {
        let app = TestApp::start(&db).await;
        let hole = RawReceiver::start(Manner::Hangs).await;
        for _ in 0..2 {
            let other = app.another_merchant().await;
            for _ in 0..HANGING / 2 {
                Endpoint::paid(&other, &hole.url).await;
            }
            for _ in 0..EVENTS {
                pay(&other).await;
            }
        }
        let receiver = Receiver::start().await;
        Endpoint::paid(&app, &receiver.url).await;
        for _ in 0..EVENTS {
            pay(&app).await;
        }
        let options = WorkerOptions {
            delivery_concurrency: 64,
            delivery_timeout: Duration::from_secs(30),
            ..WorkerOptions::default()
        };
        let workers = work(&app, options);
        receiver.wait_for(EVENTS).await;
        // Those that came after the flood began, too.
        for _ in 0..EVENTS {
            pay(&app).await;
        }
        receiver.wait_for(2 * EVENTS).await;
        let ended = figure(&app, "SELECT COUNT(*) FROM delivery_attempts WHERE error IS NOT NULL").await;
        assert_eq!(ended, Some(0), "the healthy endpoint waited for a hanging one");
        assert!((HANGING..=52).contains(&hole.requests()), "{} are served at once", hole.requests());
        // Not stopped: that would wait for what hangs.
        drop(workers);
    }
}
