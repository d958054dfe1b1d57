//! How many different marks a key brought within the last hour.

use super::Digest;
use domain::time::HOUR;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) const SHARDS: usize = 64;
/// Marks in one shard: with 64 shards and 24 bytes a mark at most some 25 MB.
pub(super) const MARKS_PER_SHARD: usize = 16_384;
/// Keys in one shard where few marks are allowed for each.
const KEYS_PER_SHARD: usize = 1_024;

/// Marks by key, each with the time at which it was last brought.
pub(super) struct Windows {
    shards: Vec<Mutex<HashMap<Digest, Seen>>>,
    hasher: RandomState,
    limit: usize,
    keys_per_shard: usize,
}

/// Oldest first.
#[derive(Default)]
struct Seen(VecDeque<(Digest, i64)>);

impl Windows {
    /// `limit`: marks of one key in an hour. The larger it is, the fewer keys are kept.
    pub fn new(limit: u32) -> Windows {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).clamp(1, MARKS_PER_SHARD);
        Windows {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            limit,
            keys_per_shard: (MARKS_PER_SHARD / limit).clamp(1, KEYS_PER_SHARD),
        }
    }

    /// Whether `key` may bring `mark`: one that it brought within the hour is free, and counts from now
    /// on. A refused one is not counted.
    pub fn take(&self, key: Digest, mark: Digest, now_us: i64) -> bool {
        let mut shard = self.shard(&key);
        if !shard.contains_key(&key) && shard.len() >= self.keys_per_shard {
            make_room(&mut shard, now_us);
        }
        let seen = shard.entry(key).or_default();
        seen.advance(now_us);
        if let Some(at) = seen.0.iter().position(|(known, _)| *known == mark) {
            seen.0.remove(at);
        } else if seen.0.len() >= self.limit {
            return false;
        }
        seen.0.push_back((mark, now_us));
        true
    }

    /// Whether `key` may bring one more. Counts nothing.
    pub fn has_room(&self, key: Digest, now_us: i64) -> bool {
        let mut shard = self.shard(&key);
        let Some(seen) = shard.get_mut(&key) else { return true };
        seen.advance(now_us);
        seen.0.len() < self.limit
    }

    /// Networks are the client's choice, and must not be able to crowd one shard.
    fn shard(&self, key: &Digest) -> MutexGuard<'_, HashMap<Digest, Seen>> {
        let index = (self.hasher.hash_one(key) % SHARDS as u64) as usize;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn keys(&self) -> usize {
        self.shards.iter().map(|s| s.lock().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }
}

/// Drops keys whose hour is over; failing that, the one with the fewest marks. So a flood of new keys
/// pushes out its own, and a busy one cannot shed its count.
fn make_room(shard: &mut HashMap<Digest, Seen>, now_us: i64) {
    let before = shard.len();
    shard.retain(|_, seen| {
        seen.advance(now_us);
        !seen.0.is_empty()
    });
    if shard.len() < before {
        return;
    }
    let least = shard.iter().min_by_key(|(_, seen)| (seen.0.len(), seen.0.back().map(|(_, at)| *at)));
    if let Some(key) = least.map(|(key, _)| *key) {
        shard.remove(&key);
    }
}

impl Seen {
    fn advance(&mut self, now_us: i64) {
        // After a clock that was set back, nobody is locked out until the old time comes round again.
        for (_, at) in self.0.iter_mut().rev().take_while(|(_, at)| *at > now_us) {
            *at = now_us;
        }
        while self.0.front().is_some_and(|(_, at)| *at <= now_us.saturating_sub(HOUR)) {
            self.0.pop_front();
        }
    }
}
