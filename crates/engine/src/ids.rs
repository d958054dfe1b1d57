//! Ids, capabilities and the wall clock.

use domain::id::{Core, TypedId};
use domain::time::Timestamp;
use std::cell::RefCell;
use std::sync::Mutex;

/// Random bytes that a thread asks for at once.
const POOL: usize = 1_536;
/// The largest value of the 48 random bits.
const LAST_RANDOM: u64 = (1 << 48) - 1;

struct State {
    last_ms: u64,
    /// The 48 random bits of the latest id.
    last_random: u64,
}

/// Makes ids. Each sorts behind the one before: their millisecond never goes back, whatever the system
/// clock does, and within one the random part only grows, by random steps. So lists of what one client
/// made are in the order in which it was made, and the ledger's seals can follow id order.
pub struct Ids {
    state: Mutex<State>,
}

/// The system clock as UTC microseconds.
pub fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

impl Ids {
    /// `not_before`: an id that is already stored; every new one sorts behind its millisecond.
    pub fn new(not_before: Option<Core>) -> Ids {
        let floor = not_before.map_or(0, |c| store::ledger::id_instant(c).0 / 1_000);
        Ids {
            state: Mutex::new(State { last_ms: u64::try_from(floor).unwrap_or(0), last_random: LAST_RANDOM }),
        }
    }

    /// A new id.
    pub fn next<T: TypedId>(&self) -> T {
        let now_ms = u64::try_from(wall_clock().0 / 1_000).unwrap_or(0);
        let mut drawn = [0u8; 6];
        random(&mut drawn);
        let fresh = drawn.iter().fold(0u64, |n, b| (n << 8) | u64::from(*b));
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let grown = state.last_random + 1 + (fresh >> 16);
        if now_ms <= state.last_ms && grown <= LAST_RANDOM {
            state.last_random = grown;
        } else {
            state.last_ms = now_ms.max(state.last_ms + u64::from(now_ms <= state.last_ms));
            // Half of the range is left for what follows in this millisecond.
            state.last_random = fresh >> 1;
        }
        let mut bytes = [0u8; 6];
        bytes.copy_from_slice(&state.last_random.to_be_bytes()[2..]);
        T::from_core(Core::new(state.last_ms, bytes))
    }
}

/// A UUID of version 7 (RFC 9562): its millisecond, and 74 random bits. They are the capability of a payment page, so
/// they come from the operating system alone; the time in front keeps what is made together on one page of the index.
pub fn uuid() -> String {
    let mut bytes = [0u8; 16];
    random(&mut bytes[6..]);
    let now_ms = u64::try_from(wall_clock().0 / 1_000).unwrap_or(0);
    bytes[..6].copy_from_slice(&now_ms.to_be_bytes()[2..]);
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    uuid_text(bytes)
}

fn uuid_text(bytes: [u8; 16]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(36);
    for (i, b) in bytes.into_iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(char::from(DIGITS[usize::from(b >> 4)]));
        text.push(char::from(DIGITS[usize::from(b & 15)]));
    }
    text
}

/// Bytes of the operating system that a thread has at hand: asking it for each few costs more than what they are for.
struct Pool {
    bytes: [u8; POOL],
    used: usize,
}

thread_local! {
    static HELD: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL], used: POOL }) };
}

/// Fills `bytes` from the operating system. No byte is given out twice or kept once it was given out. A machine that
/// cannot give random bytes cannot run a payment gateway: the process ends rather than hand out guessable secrets.
pub fn random(bytes: &mut [u8]) {
    if bytes.len() > POOL / 8 {
        return ask(bytes);
    }
    HELD.with_borrow_mut(|pool| {
        if pool.used + bytes.len() > POOL {
            ask(&mut pool.bytes);
            pool.used = 0;
        }
        let held = &mut pool.bytes[pool.used..pool.used + bytes.len()];
        bytes.copy_from_slice(held);
        held.fill(0);
        pool.used += bytes.len();
    });
}

fn ask(bytes: &mut [u8]) {
    if getrandom::fill(bytes).is_err() {
        tracing::error!("the operating system gives no random bytes");
        std::process::abort();
    }
}

/// A random text of `len` base62 characters, 5.95 bits each; 22 carry 130 bits.
pub fn secret_text(len: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(len);
    while text.len() < len {
        let mut drawn = [0u8; 32];
        random(&mut drawn);
        // 248 is the largest multiple of 62 in a byte: larger values would favour some characters.
        for b in drawn.iter().filter(|b| **b < 248).take(len - text.len()) {
            text.push(char::from(ALPHABET[usize::from(b % 62)]));
        }
    }
    text
}

/// 32 random bytes.
pub fn secret_bytes() -> [u8; 32] {
    let mut bytes = [0u8; 32];
    random(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::PaymentId;

    #[test]
    fn each_id_sorts_behind_the_one_before() {
        let ids = Ids::new(None);
        let made: Vec<PaymentId> = (0..100_000).map(|_| ids.next()).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_uuid_is_of_version_7_and_never_made_twice() {
        let mut made: Vec<String> = (0..10_000).map(|_| uuid()).collect();
        for text in &made {
            let marks: Vec<usize> = text.match_indices('-').map(|(i, _)| i).collect();
            assert_eq!((text.len(), marks), (36, vec![8, 13, 18, 23]), "{text}");
            assert_eq!(&text[14..15], "7", "{text}");
            assert!(matches!(&text[19..20], "8" | "9" | "a" | "b"), "{text}");
        }
        made.sort_unstable();
        made.dedup();
        assert_eq!(made.len(), 10_000);
    }

    #[test]
    fn held_random_bytes_are_given_out_once() {
        let mut made = std::collections::BTreeSet::new();
        for _ in 0..POOL {
            let mut bytes = [0u8; 16];
            random(&mut bytes);
            assert!(made.insert(bytes));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_take_ids_back() {
        let tomorrow = u64::try_from(wall_clock().0 / 1_000).expect("after 1970") + 86_400_000;
        let stored = Core::new(tomorrow, [0xff; 6]);
        let ids = Ids::new(Some(stored));
        let first: PaymentId = ids.next();
        let second: PaymentId = ids.next();
        assert!(stored < first.0 && first < second);
    }
}
