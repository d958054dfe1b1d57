//! Clients that pay as fast as they are answered, and what they were told.

use crate::process::Gateway;
use crate::wire::{Answer, PAYMENT, connect, read_answer};
use std::io::{BufReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

/// What a crowd of clients was told.
#[derive(Default)]
pub struct Told {
    /// Ids of payments that were answered as succeeded.
    pub paid: Vec<String>,
    /// Those answered as processing: the gateway could not store, or the provider could not say, what came of
    /// the call.
    pub open: Vec<String>,
    /// Every other answer.
    pub refused: Vec<Answer>,
    /// Answers that ended in the middle.
    pub cut: usize,
    /// Requests to which nothing was said.
    pub unanswered: usize,
}

/// Clients under way.
pub struct Crowd {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Told>>,
}

impl Crowd {
    /// Starts `clients` threads; every second one keeps its connection. A client ends when nobody listens
    /// any more.
    pub fn start(gateway: &Gateway, clients: usize) -> Crowd {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let start = |n| {
            let (client, address) = (gateway.client(), gateway.api);
            let (stop, answered) = (stop.clone(), answered.clone());
            let connection = if n % 2 == 0 { "close" } else { "keep-alive" };
            std::thread::spawn(move || {
                let mut told = Told::default();
                let request = client.request("POST", "/v2/payment_intents", &PAYMENT, connection);
                while !stop.load(Ordering::SeqCst) {
                    let Ok(stream) = connect(address) else { break };
                    let mut stream = BufReader::new(stream);
                    while !stop.load(Ordering::SeqCst) && told.ask(&mut stream, &request) {
                        answered.fetch_add(1, Ordering::SeqCst);
                        if connection == "close" {
                            break;
                        }
                    }
                }
                told
            })
        };
        let clients = (0..clients).map(start).collect();
        Crowd { stop, answered, clients }
    }

    /// Answers so far.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Waits until there are `count` more answers.
    pub fn wait_for(&self, count: usize) {
        let (begun, goal) = (std::time::Instant::now(), self.answered() + count);
        while self.answered() < goal {
            assert!(begun.elapsed() < crate::process::PATIENCE, "{} of {goal} answers", self.answered());
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Lets every client finish its request, and adds up what they were told.
    pub fn end(self) -> Told {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Told::default();
        for client in self.clients {
            let told = client.join().expect("a client ends");
            all.paid.extend(told.paid);
            all.open.extend(told.open);
            all.refused.extend(told.refused);
            all.cut += told.cut;
            all.unanswered += told.unanswered;
        }
        all
    }
}

impl Told {
    /// One request; whether the connection can be used again.
    fn ask(&mut self, stream: &mut BufReader<std::net::TcpStream>, request: &[u8]) -> bool {
        if stream.get_mut().write_all(request).is_err() {
            self.unanswered += 1;
            return false;
        }
        match read_answer(stream) {
            Ok(Some(answer)) if answer.status == 201 => {
                let payment = answer.json();
                let told = if payment["status"] == "succeeded" { &mut self.paid } else { &mut self.open };
                told.push(payment["id"].as_str().expect("an id").to_owned());
                answer.header("connection") != Some("close")
            }
            Ok(Some(answer)) => {
                let goes_on = answer.header("connection") != Some("close");
                self.refused.push(answer);
                goes_on
            }
            // A reset before the first byte says as little as an end.
            Ok(None) => {
                self.unanswered += 1;
                false
            }
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => {
                self.unanswered += 1;
                false
            }
            Err(_) => {
                self.cut += 1;
                false
            }
        }
    }
}

/// What was told holds: payments told as paid are, and the open ones come to an end.
pub fn assert_kept(gateway: &Gateway, told: &Told) {
    let status =
        |id: &String| gateway.get(&format!("/v2/payment_intents/{id}")).expect(200)["status"].clone();
    for id in &told.paid {
        assert_eq!(status(id), "succeeded", "{id} was told as paid");
    }
    let begun = std::time::Instant::now();
    for id in &told.open {
        while status(id) == "processing" {
            assert!(
                begun.elapsed() < crate::process::PATIENCE,
                "{id} is still processing: {}",
                gateway.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        assert!(status(id) == "succeeded" || status(id) == "requires_payment_method", "{id}: {}", status(id));
    }
}
