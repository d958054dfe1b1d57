//! The meters of many keys, bounded in number.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) const SHARDS: usize = 64;

/// The counts of one key.
pub(super) trait Count {
    /// Whether a new meter would decide everything as this one.
    fn is_idle(&mut self, now_us: i64) -> bool;

    /// What is lost when this meter is dropped: requests counted, and when it was last used.
    fn weight(&self) -> (u32, i64);
}

/// Meters by key.
pub(super) struct Table<K, M> {
    shards: Vec<Mutex<HashMap<K, M>>>,
    hasher: RandomState,
    keys_per_shard: usize,
}

impl<K: Hash + Eq + Copy, M: Count> Table<K, M> {
    pub fn with_capacity(keys: usize) -> Table<K, M> {
        let shards = (0..SHARDS).map(|_| Mutex::new(HashMap::new())).collect();
        Table { shards, hasher: RandomState::new(), keys_per_shard: (keys / SHARDS).max(1) }
    }

    /// What `act` answers for the meter of `key`, which is made if there is none.
    pub fn with<T>(&self, key: K, now_us: i64, new: impl FnOnce() -> M, act: impl FnOnce(&mut M) -> T) -> T {
        let mut shard = self.shard(&key);
        if !shard.contains_key(&key) && shard.len() >= self.keys_per_shard {
            make_room(&mut shard, now_us);
        }
        act(shard.entry(key).or_insert_with(new))
    }

    /// The same where there is a meter, and else `None`.
    pub fn with_known<T>(&self, key: K, act: impl FnOnce(&mut M) -> T) -> Option<T> {
        self.shard(&key).get_mut(&key).map(act)
    }

    /// The shard is chosen by a keyed hash: keys derived from addresses are the client's choice, and
    /// must not be able to crowd one shard.
    fn shard(&self, key: &K) -> MutexGuard<'_, HashMap<K, M>> {
        let index = (self.hasher.hash_one(key) % SHARDS as u64) as usize;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().expect("not poisoned").len()).sum()
    }
}

/// Drops meters that say no more than a new one would; failing that, the one with the fewest requests. So
/// a flood of new keys pushes out its own, and a busy key cannot shed its count.
fn make_room<K: Hash + Eq + Copy, M: Count>(shard: &mut HashMap<K, M>, now_us: i64) {
    let before = shard.len();
    shard.retain(|_, meter| !meter.is_idle(now_us));
    if shard.len() < before {
        return;
    }
    let least = shard.iter().min_by_key(|(_, meter)| meter.weight());
    if let Some(key) = least.map(|(key, _)| *key) {
        shard.remove(&key);
    }
}
