//! Clients that pay, capture, cancel and refund until the gateway dies under them. Everything
//! that was sent is written down.

use super::client::{Client, Failure, Reply};
use crate::{Random, form_body};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request that was sent, and its answer if one came whole.
#[derive(Clone, Debug)]
pub struct Sent {
    pub key: String,
    pub path: String,
    pub form: String,
    pub reply: Option<Reply>,
}

impl Sent {
    pub fn makes_a_payment(&self) -> bool {
        self.path == CREATE
    }

    pub fn makes_a_refund(&self) -> bool {
        self.path == REFUND
    }
}

const REFUND: &str = "/v2/refunds";
const CREATE: &str = "/v2/payment_intents";

/// Why a client stops.
enum Stop {
    /// The gateway is gone.
    Gone,
    /// An answer that no client may get.
    Wrong(String),
}

/// One client of one round.
struct Payer<'a> {
    client: Client,
    random: Random,
    /// What all keys of this client begin with.
    name: String,
    count: usize,
    sent: Vec<Sent>,
    over: &'a AtomicBool,
}

/// Lets `clients` pay until their gateway is gone or `meanwhile`, which runs beside them, has ended.
/// Everything that was sent, each client's requests in their order.
///
/// # Errors
/// That of `meanwhile`; or the first answer that is neither a success nor the decline that was asked for.
pub fn run(
    clients: Vec<Client>,
    seed: u64,
    round: usize,
    meanwhile: impl FnOnce() -> Result<(), String>,
) -> Result<Vec<Sent>, String> {
    let all = Mutex::new((Vec::new(), None));
    let over = &AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        for (n, client) in clients.into_iter().enumerate() {
            let mut payer = Payer {
                client,
                random: Random::new(seed ^ ((round as u64) << 32) ^ ((n as u64) << 16)),
                name: format!("kill-{round}-{n}"),
                count: 0,
                sent: Vec::new(),
                over,
            };
            let all = &all;
            scope.spawn(move || {
                let stopped = payer.run();
                let mut all = all.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                all.0.append(&mut payer.sent);
                if let Stop::Wrong(what) = stopped {
                    all.1.get_or_insert(what);
                }
            });
        }
        let ended = meanwhile();
        over.store(true, Ordering::Release);
        ended
    });
    ended?;
    let (sent, wrong) = all.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    wrong.map_or(Ok(sent), Err)
}

impl Payer<'_> {
    fn run(&mut self) -> Stop {
        while !self.over.load(Ordering::Acquire) {
            if let Err(stop) = self.pay() {
                return stop;
            }
        }
        Stop::Gone
    }

    /// Sends a request and returns the payment's or refund's id from its answer.
    fn post(&mut self, path: &str, form: &[(&str, &str)], status: u16) -> Result<String, Stop> {
        self.count += 1;
        let key = format!("{}-{}", self.name, self.count);
        let form = form_body(form);
        let mut sent = Sent { key, path: path.to_owned(), form, reply: None };
        match self.client.post(&sent.path, &sent.key, &sent.form) {
            Err(Failure::NotSent(_)) => return Err(Stop::Gone),
            Err(Failure::NoAnswer(_)) => {
                self.sent.push(sent);
                return Err(Stop::Gone);
            }
            Ok(reply) => sent.reply = Some(reply),
        }
        let shown = format!("POST {path} {}", sent.form);
        let reply = sent.reply.clone();
        self.sent.push(sent);
        match reply {
            Some(reply) if reply.status == status => {
                let json = reply.json();
                let id = json["id"].as_str().or(json["error"]["payment_intent"]["id"].as_str());
                id.map(str::to_owned).ok_or_else(|| Stop::Wrong(format!("{shown}: no id in {}", reply.body)))
            }
            Some(reply) => {
                Err(Stop::Wrong(format!("{shown}: {}, not {status}: {}", reply.status, reply.body)))
            }
            None => Err(Stop::Gone),
        }
    }

    /// One payment's story.
    fn pay(&mut self) -> Result<(), Stop> {
        let amount = self.random.within(100, 50_000);
        let total = amount.to_string();
        let part = self.random.within(1, amount).to_string();
        let basics = [("amount", total.as_str()), ("currency", "eur"), ("payment_method", "pm_card_visa")];
        let confirmed = [&basics[..], &[("confirm", "true")]].concat();
        let held = [&confirmed[..], &[("capture_method", "manual")]].concat();
        let of = |id: &str, command: &str| format!("{CREATE}/{id}/{command}");
        match self.random.below(8) {
            0 => {
                let id = self.post(CREATE, &basics, 201)?;
                self.post(&of(&id, "confirm"), &[], 200)?;
            }
            1 | 2 => {
                let id = self.post(CREATE, &confirmed, 201)?;
                self.post(REFUND, &[("payment_intent", &id), ("amount", &part)], 201)?;
            }
            3 => {
                let id = self.post(CREATE, &confirmed, 201)?;
                self.post(REFUND, &[("payment_intent", &id)], 201)?;
            }
            4 | 5 => {
                let id = self.post(CREATE, &held, 201)?;
                self.post(&of(&id, "capture"), &[("amount_to_capture", &part)], 200)?;
            }
            6 => {
                let id = self.post(CREATE, &held, 201)?;
                self.post(&of(&id, "cancel"), &[], 200)?;
            }
            _ => {
                let declined =
                    [&basics[..2], &[("payment_method", "pm_card_chargeDeclined"), ("confirm", "true")]];
                let id = self.post(CREATE, &declined.concat(), 402)?;
                self.post(&of(&id, "confirm"), &[("payment_method", "pm_card_visa")], 200)?;
            }
        }
        Ok(())
    }
}
