//! Defence against card testing: somebody who tries stolen card numbers with a publishable key or on
//! payment pages, to see which ones still work. Secret keys are never held up here.
//!
//! Three bounds, all in memory and in this process: how many different cards one network may bring, how
//! often one card may be tried, and a breaker for each merchant and mode that opens when most of the
//! latest tries were declined. A restart forgets them. No card number is kept, only digests under a key
//! that dies with the process.

mod breaker;
mod windows;

use crate::client::is_private;
use breaker::Breakers;
use domain::card_testing::CardTestingAlert;
use domain::payment::PaymentStatus;
use domain::scope::Scope;
use domain::time::{HOUR, Timestamp};
use engine::Vault;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use windows::Windows;

/// Largest value of a limit.
pub const LIMIT_MAX: u32 = 1_000;
/// Seconds after which whoever was refused may come again. Always the same: the real time would tell
/// which bound was met, and what other merchants' payers do.
pub const RETRY_AFTER_S: u32 = 600;

/// Saved cards whose number is remembered by its digest; bounds memory.
const KNOWN_MAX: usize = 65_536;
/// How long it is remembered. Afterwards a saved card is counted by its fingerprint.
const KNOWN_US: i64 = 24 * HOUR;

/// What an operator can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Different cards from one network (IPv4 /24, IPv6 /64) in an hour; `None`: not bounded.
    pub cards: Option<u32>,
    /// Tries of one card in an hour, at all merchants together; `None`: not bounded.
    pub tries: Option<u32>,
    /// Whether payers of a merchant are held up when most of the latest tries were declined.
    pub breaker: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { cards: Some(10), tries: Some(20), breaker: true }
    }
}

impl Settings {
    /// For the demo and for tests: one person who goes through the published test cards, most of which
    /// are declined, and uses the same one all day, looks exactly like card testing.
    pub const RELAXED: Settings = Settings { cards: Some(LIMIT_MAX), tries: Some(LIMIT_MAX), breaker: false };
}

/// Which card is meant.
#[derive(Clone, Copy)]
pub enum Card<'a> {
    /// As it was typed, digits only.
    Number(&'a str),
    /// The fingerprint of a stored card at the merchant.
    Fingerprint(&'a str),
}

/// The card may not be tried now. Says nothing else: whoever tries cards must not learn which bound was
/// met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held;

type Digest = [u8; 16];

/// The counts. All times are given by the caller.
pub struct Guard {
    digests: Vault,
    /// Different cards, by network.
    cards: Option<Windows>,
    /// Tries, by card.
    tries: Option<Windows>,
    breakers: Option<Breakers>,
    /// From the fingerprint of a stored card to the digest of its number, so that a card that was typed
    /// and is then used by its id counts as one.
    known: Mutex<HashMap<Digest, (Digest, i64)>>,
    serial: AtomicU64,
}

impl Guard {
    /// A guard without counts.
    pub fn new(settings: Settings) -> Guard {
        let mut key = [0; 32];
        engine::ids::random(&mut key);
        Guard {
            digests: Vault::new(&key),
            cards: settings.cards.map(Windows::new),
            tries: settings.tries.map(Windows::new),
            breakers: settings.breaker.then(Breakers::default),
            known: Mutex::default(),
            serial: AtomicU64::new(0),
        }
    }

    /// Before a provider is asked to charge. `card`: `None` for what is not a card.
    ///
    /// # Errors
    /// [`Held`] when a bound is met. What the open breaker or the network refuses counts as no try of the card.
    pub fn admit(
        &self,
        ip: IpAddr,
        card: Option<Card<'_>>,
        scope: Scope,
        now: Timestamp,
    ) -> Result<(), Held> {
        let Some(card) = card else { return Ok(()) };
        self.admit_network(ip, self.digest(card, scope), scope, now)?;
        if let Some(tries) = &self.tries {
            let serial = u128::from(self.serial.fetch_add(1, Ordering::Relaxed));
            if !tries.take(self.digest(card, scope), serial.to_be_bytes(), now.0) {
                return Err(Held);
            }
        }
        let passes = self.breakers.as_ref().is_none_or(|breakers| breakers.admit(scope, now.0));
        if passes { Ok(()) } else { Err(Held) }
    }

    /// Before a typed card is turned into a payment method. That alone is no try: it would hide the
    /// declines that follow.
    ///
    /// # Errors
    /// [`Held`] when a bound is met.
    pub fn admit_method(&self, ip: IpAddr, number: &str, scope: Scope, now: Timestamp) -> Result<(), Held> {
        let digest = self.digest(Card::Number(number), scope);
        self.admit_network(ip, digest, scope, now)?;
        let free = self.tries.as_ref().is_none_or(|tries| tries.has_room(digest, now.0));
        if free { Ok(()) } else { Err(Held) }
    }

    /// The breaker and the network's cards.
    fn admit_network(&self, ip: IpAddr, card: Digest, scope: Scope, now: Timestamp) -> Result<(), Held> {
        if self.breakers.as_ref().is_some_and(|breakers| breakers.is_open(scope, now.0)) {
            return Err(Held);
        }
        let (Some(cards), Some(network)) = (&self.cards, network(ip)) else { return Ok(()) };
        if cards.take(network, card, now.0) { Ok(()) } else { Err(Held) }
    }

    /// Notes which number a stored card has, by its fingerprint at the merchant.
    pub fn remember(&self, number: &str, fingerprint: &str, scope: Scope, now: Timestamp) {
        let name = self.print(scope, &[b"fingerprint", &scope.merchant.0.0, fingerprint.as_bytes()]);
        let digest = self.digest(Card::Number(number), scope);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_MAX && !known.contains_key(&name) {
            known.retain(|_, (_, at)| *at > now.0.saturating_sub(KNOWN_US));
            // All at once, so that a full table is not walked for each new card.
            if known.len() > KNOWN_MAX / 2 {
                known.clear();
            }
        }
        known.insert(name, (digest, now.0));
    }

    /// After a try: whether it was declined. `Some` when the breaker opens, once for each opening.
    pub fn note(&self, scope: Scope, declined: bool, now: Timestamp) -> Option<CardTestingAlert> {
        self.breakers.as_ref()?.note(scope, declined, now.0)
    }

    fn digest(&self, card: Card<'_>, scope: Scope) -> Digest {
        match card {
            Card::Number(number) => self.print(scope, &[b"number", number.as_bytes()]),
            Card::Fingerprint(text) => {
                let name = self.print(scope, &[b"fingerprint", &scope.merchant.0.0, text.as_bytes()]);
                let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.get(&name).map_or(name, |(digest, _)| *digest)
            }
        }
    }

    /// Test and live are counted apart, like everything.
    fn print(&self, scope: Scope, parts: &[&[u8]]) -> Digest {
        let mut print = self.digests.fingerprint();
        print.part(scope.mode.as_str().as_bytes());
        for part in parts {
            print.part(part);
        }
        let mut digest = [0; 16];
        digest.copy_from_slice(&print.finish()[..16]);
        digest
    }
}

/// What a payment's status after a try says of it: declined, or not. `None`: it is not known yet.
pub const fn declined(after: PaymentStatus) -> Option<bool> {
    match after {
        PaymentStatus::Succeeded | PaymentStatus::RequiresCapture => Some(false),
        PaymentStatus::RequiresPaymentMethod | PaymentStatus::Canceled => Some(true),
        PaymentStatus::RequiresConfirmation | PaymentStatus::RequiresAction | PaymentStatus::Processing => {
            None
        }
    }
}

/// The network that an address belongs to. `None` for addresses that are no payer's: this machine's and
/// those of private networks are a proxy's, behind which all payers would count as one.
fn network(ip: IpAddr) -> Option<Digest> {
    let ip = ip.to_canonical();
    if ip.is_unspecified() || ip.is_loopback() || is_private(ip) {
        return None;
    }
    let mut network = [0; 16];
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            network[..5].copy_from_slice(&[4, a, b, c, 0]);
        }
        IpAddr::V6(v6) => {
            network[0] = 6;
            network[1..9].copy_from_slice(&v6.octets()[..8]);
        }
    }
    Some(network)
}

#[cfg(test)]
mod tests;
