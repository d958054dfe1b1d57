//! Clients that pay, capture, cancel, refund and pay out until the gateway dies under them, over REST v2,
//! over Gate and over the Admin API. Everything that was sent is written down.

use super::client::{Failure, Reply};
use super::gate::SignedAs;
use super::process::Lines;
use super::site::{self, OfficeAs, Site};
use crate::signer::Signer;
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
    /// What it asks for, if it is a signed body of Gate.
    pub signed: Option<SignedAs>,
    /// What it asks for, if it is for the Admin API or the Main Backend.
    pub office: Option<OfficeAs>,
}

impl Sent {
    /// Sends it, for the first time or again.
    pub fn send(&self, lines: &mut Lines) -> Result<Reply, Failure> {
        match (&self.signed, &self.office) {
            (None, None) => lines.api.post(&self.path, &self.key, &self.form),
            (Some(_), _) => lines.api.post_signed(&self.path, &self.form),
            (None, Some(office)) => self.send_office(lines, office),
        }
    }

    /// One whose idempotency key keeps its answer, on REST v2.
    pub fn is_plain(&self) -> bool {
        self.signed.is_none() && self.office.is_none()
    }

    pub fn makes_a_payment(&self) -> bool {
        self.is_plain() && self.path == CREATE
    }

    pub fn makes_a_refund(&self) -> bool {
        self.is_plain() && self.path == REFUND
    }
}

const REFUND: &str = "/v2/refunds";
pub(super) const CREATE: &str = "/v2/payment_intents";

/// Why a client stops.
pub(super) enum Stop {
    /// The gateway is gone.
    Gone,
    /// An answer that no client may get.
    Wrong(String),
}

/// One client of one round.
pub(super) struct Payer<'a> {
    pub lines: Lines,
    pub random: Random,
    /// What all keys of this client begin with.
    pub name: String,
    pub count: usize,
    pub sent: Vec<Sent>,
    pub shop: &'a Signer,
    pub site: &'a Site,
    /// Where callbacks go.
    pub inbox: &'a str,
    over: &'a AtomicBool,
}

/// Lets `clients` pay until their gateway is gone or `meanwhile`, which runs beside them, has ended.
/// Everything that was sent, each client's requests in their order.
///
/// # Errors
/// That of `meanwhile`; or the first answer that is neither a success nor the decline that was asked for.
pub fn run(
    clients: Vec<Lines>,
    (shop, site, inbox): (&Signer, &Site, &str),
    seed: u64,
    round: usize,
    meanwhile: impl FnOnce() -> Result<(), String>,
) -> Result<Vec<Sent>, String> {
    let all = Mutex::new((Vec::new(), None));
    let over = &AtomicBool::new(false);
    let ended = std::thread::scope(|scope| {
        for (n, lines) in clients.into_iter().enumerate() {
            let mut payer = Payer {
                lines,
                random: Random::new(seed ^ ((round as u64) << 32) ^ ((n as u64) << 16)),
                name: format!("kill-{round}-{n}"),
                count: 0,
                sent: Vec::new(),
                shop,
                site,
                inbox,
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
    pub(super) fn post(&mut self, path: &str, form: &[(&str, &str)], status: u16) -> Result<String, Stop> {
        self.count += 1;
        let key = format!("{}-{}", self.name, self.count);
        let form = form_body(form);
        let shown = format!("POST {path} {form}");
        let reply =
            self.deliver(Sent { key, path: path.to_owned(), form, reply: None, signed: None, office: None })?;
        if reply.status != status {
            return Err(Stop::Wrong(format!("{shown}: {}, not {status}: {}", reply.status, reply.body)));
        }
        let json = reply.json();
        let id = json["id"].as_str().or(json["error"]["payment_intent"]["id"].as_str());
        id.map(str::to_owned).ok_or_else(|| Stop::Wrong(format!("{shown}: no id in {}", reply.body)))
    }

    /// Sends what is then written down, with its answer if one comes.
    pub(super) fn deliver(&mut self, mut sent: Sent) -> Result<Reply, Stop> {
        let reply = match sent.send(&mut self.lines) {
            Err(Failure::NotSent(_)) => return Err(Stop::Gone),
            Err(Failure::NoAnswer(_)) => {
                self.sent.push(sent);
                return Err(Stop::Gone);
            }
            Ok(reply) => reply,
        };
        sent.reply = Some(reply.clone());
        self.sent.push(sent);
        Ok(reply)
    }

    /// One payment's story.
    fn pay(&mut self) -> Result<(), Stop> {
        if site::chosen(&mut self.random) {
            return self.sell_at_the_site();
        }
        let amount = self.random.within(100, 50_000);
        let total = amount.to_string();
        let part = self.random.within(1, amount).to_string();
        let basics = [("amount", total.as_str()), ("currency", "eur"), ("payment_method", "pm_card_visa")];
        let confirmed = [&basics[..], &[("confirm", "true")]].concat();
        let held = [&confirmed[..], &[("capture_method", "manual")]].concat();
        let of = |id: &str, command: &str| format!("{CREATE}/{id}/{command}");
        match self.random.below(13) {
            8 | 9 => self.sell_on_a_page()?,
            10 => drop(self.open_page(amount)?),
            11 | 12 => self.pay_out()?,
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
