//! Deliveries over a kill and a new start.

use crate::process::{Gateway, Place};
use crate::wire::talk;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use store::{StoreError, Tx};
use testkit::{Db, Receiver};

/// Waits for one POST on `listener` and answers `reply`; its `webhook-id` and attempt.
fn take_one(listener: &TcpListener, reply: Option<&str>) -> (String, String) {
    let (stream, _) = listener.accept().expect("a connection");
    let mut stream = BufReader::new(stream);
    let mut header = |wanted: &str| {
        let mut line = String::new();
        while stream.read_line(&mut line).expect("a line") > 2 {
            if let Some((name, value)) = line.split_once(": ")
                && name == wanted
            {
                return value.trim().to_owned();
            }
            line.clear();
        }
        panic!("no {wanted}")
    };
    let found = (header("pg-delivery-attempt"), header("webhook-id"));
    if let Some(reply) = reply {
        stream.get_mut().write_all(reply.as_bytes()).expect("answered");
    }
    found
}

async fn sql(db: &Db, statement: &'static str) {
    let store = db.open();
    let run = move |tx: &mut Tx<'_>| tx.execute(statement, &[]);
    store.write::<_, StoreError, _>(run).await.expect("the statement runs");
    tokio::task::spawn_blocking(|| store.close()).await.expect("closed");
}

testkit::on_both_engines! {
    async fn what_was_on_its_way_at_a_kill_is_sent_again(db) {
        let place = Place::of(&db);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let gateway = Gateway::start(&place);
        let form = [("url", &*url), ("enabled_events[]", "payment_intent.succeeded")];
        let endpoint = gateway.client().post("/v2/webhook_endpoints", &form).expect(201);
        let endpoint = format!("/v2/webhook_endpoints/{}", endpoint["id"].as_str().expect("an id"));
        gateway.client().pay().expect(201);
        let (attempt, event) = take_one(&listener, None);
        assert_eq!(attempt, "1");
        gateway.kill();
        // The minute for which it was claimed passes.
        sql(&db, "UPDATE deliveries SET claimed_until = 1 WHERE claimed_until > 0").await;

        let gateway = Gateway::start(&place);
        let again = take_one(&listener, Some("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"));
        assert_eq!(again, ("1".to_owned(), event.clone()), "nobody knows of the first: it was never recorded");
        let one_attempt = || {
            let listed = gateway.get(&format!("{endpoint}/deliveries")).expect(200);
            listed["data"][0]["attempt_count"] == 1
        };
        while !one_attempt() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        gateway.stop();
        sql(&db, "UPDATE deliveries SET due_at = 1 WHERE status = 'pending'").await;

        // A third start, a new address: the schedule goes on where it was.
        let receiver = Receiver::start().await;
        let gateway = Gateway::start(&place);
        let moved = gateway.client().post(&endpoint, &[("url", &receiver.url)]);
        moved.expect(200);
        drop(listener);
        let resend = gateway.client().post(&format!("/v2/events/{event}/resend"), &[]);
        resend.expect(200);
        let sent = receiver.wait_for(1).await.remove(0);
        assert_eq!(sent.header("webhook-id"), event);
        assert!(["2", "3"].contains(&sent.header("pg-delivery-attempt")), "{:?}", sent.headers);
        gateway.stop();
    }

    async fn an_interrupt_ends_it_too_and_a_second_one_at_once(db) {
        let place = Place::of(&db);
        let mut gateway = Gateway::start(&place);
        gateway.client().pay().expect(201);
        gateway.interrupt();
        assert_eq!(gateway.wait().code(), Some(0), "{}", gateway.log());

        // A request that never ends holds the stop up until the second signal.
        let mut gateway = Gateway::start(&place);
        let api = gateway.api;
        let key = gateway.key.clone();
        let hanging = std::thread::spawn(move || {
            let head = format!("POST /v2/customers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n");
            talk(api, format!("{head}content-type: application/json\r\ncontent-length: 10\r\n\r\n{{").as_bytes())
        });
        std::thread::sleep(std::time::Duration::from_millis(300));
        gateway.interrupt();
        std::thread::sleep(std::time::Duration::from_millis(300));
        gateway.interrupt();
        assert_eq!(gateway.wait().code(), Some(130), "{}", gateway.log());
        hanging.join().expect("ended");
        Gateway::start(&place).stop();
    }
}
