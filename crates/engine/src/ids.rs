//! Ids, capabilities and the wall clock.

use domain::id::{Core, TypedId};
use domain::time::Timestamp;
use std::sync::Mutex;

const POOL: usize = 1_536;

struct State {
    last_ms: u64,
    pool: [u8; POOL],
    used: usize,
}

/// Makes ids. Their millisecond never goes back, whatever the system clock does, so that new ids sort
/// behind old ones and the ledger's seals can follow id order.
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
            state: Mutex::new(State {
                last_ms: u64::try_from(floor).unwrap_or(0),
                pool: [0; POOL],
                used: POOL,
            }),
        }
    }

    /// A new id.
    pub fn next<T: TypedId>(&self) -> T {
        let now_ms = u64::try_from(wall_clock().0 / 1_000).unwrap_or(0);
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.last_ms = state.last_ms.max(now_ms);
        if state.used + 6 > POOL {
            random(&mut state.pool);
            state.used = 0;
        }
        let mut bytes = [0u8; 6];
        let from = state.used;
        bytes.copy_from_slice(&state.pool[from..from + 6]);
        state.used += 6;
        T::from_core(Core::new(state.last_ms, bytes))
    }
}

/// Fills `bytes` from the operating system. A machine that cannot give random bytes cannot run a
/// payment gateway: the process ends rather than hand out guessable secrets.
pub fn random(bytes: &mut [u8]) {
    if getrandom::fill(bytes).is_err() {
        tracing::error!("the operating system gives no random bytes");
        std::process::abort();
    }
}

/// A random text of `len` base62 characters, 5.95 bits each; 22 carry 130 bits.
pub fn secret_text(len: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut text = String::with_capacity(len);
    let mut pool = [0u8; 64];
    while text.len() < len {
        random(&mut pool);
        // 248 is the largest multiple of 62 in a byte: larger values would favour some characters.
        for b in pool.iter().filter(|b| **b < 248).take(len - text.len()) {
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
