use super::table::SHARDS;
use super::*;
use std::collections::VecDeque;

const KEY: &[u8; 16] = b"credential-one..";
const OTHER: &[u8; 16] = b"credential-two..";
/// Not on a whole second, so that rounding shows.
const T0: i64 = 1_745_308_800_250_000;
const SANDBOX: Tier = Tier { per_minute: 100, per_second: 2, burst: 20 };
/// Only the window limits.
const WINDOW_ONLY: Tier = Tier { per_minute: 10, per_second: 1_000, burst: 1_000 };
/// Only the bucket limits.
const BUCKET_ONLY: Tier = Tier { per_minute: 100_000, per_second: 2, burst: 5 };

fn take_n(limiter: &Limiter, tier: Tier, now_us: i64, count: u32) -> u32 {
    (0..count).map(|_| u32::from(limiter.take(KEY, tier, now_us).allowed)).sum()
}

#[test]
fn the_window_ends_exactly_at_its_limit() {
    let limiter = Limiter::new();
    for taken in 1..=10 {
        let verdict = limiter.take(KEY, WINDOW_ONLY, T0);
        let reset_at = 1_745_308_861; // T0 + 60 s, rounded up
        let expected = Verdict { allowed: true, limit: 10, remaining: 10 - taken, reset_at, retry_after: 0 };
        assert_eq!(verdict, expected);
    }
    let refused =
        Verdict { allowed: false, limit: 10, remaining: 0, reset_at: 1_745_308_861, retry_after: 60 };
    assert_eq!(limiter.take(KEY, WINDOW_ONLY, T0), refused);
    // A refusal costs nothing: the window is not prolonged.
    assert_eq!(limiter.take(KEY, WINDOW_ONLY, T0 + WINDOW_US - 1), Verdict { retry_after: 1, ..refused });
    assert_eq!(take_n(&limiter, WINDOW_ONLY, T0 + WINDOW_US, 11), 10);
}

#[test]
fn the_window_slides() {
    let limiter = Limiter::new();
    for second in 0..10 {
        assert!(limiter.take(KEY, WINDOW_ONLY, T0 + second * SECOND_US).allowed);
    }
    let refused = limiter.take(KEY, WINDOW_ONLY, T0 + 30 * SECOND_US);
    assert_eq!((refused.allowed, refused.retry_after), (false, 30));
    // Each second one more request leaves the window and makes room for one.
    for second in 60..70 {
        let now = T0 + second * SECOND_US;
        assert!(!limiter.take(KEY, WINDOW_ONLY, now - 1).allowed, "{second}");
        assert!(limiter.take(KEY, WINDOW_ONLY, now).allowed, "{second}");
        assert!(!limiter.take(KEY, WINDOW_ONLY, now).allowed, "{second}");
    }
}

/// Against an exact log of what was allowed: never more than the limit in any 60 s, and no refusal
/// that a window 1 % longer would not explain.
#[test]
fn the_window_is_accurate() {
    let tier = Tier { per_minute: 300, per_second: 1_000_000, burst: 1_000_000 };
    let limiter = Limiter::new();
    let mut log: VecDeque<i64> = VecDeque::new();
    let (mut now, mut random, mut refused) = (T0, 1_u64, 0);
    for _ in 0..20_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        now += (random >> 40) as i64 % 200_000;
        let within = |us: i64| log.iter().filter(|taken| **taken > now - us).count();
        if limiter.take(KEY, tier, now).allowed {
            assert!(within(WINDOW_US) < 300, "more than the limit in 60 s");
            log.push_back(now);
        } else {
            assert!(within(WINDOW_US + WINDOW_US / 100) >= 300, "refused too early");
            refused += 1;
        }
        while log.front().is_some_and(|first| *first <= now - 2 * WINDOW_US) {
            log.pop_front();
        }
    }
    assert!(refused > 1_000, "{refused}");
}

#[test]
fn the_bucket_bounds_peaks() {
    let limiter = Limiter::new();
    assert_eq!(take_n(&limiter, BUCKET_ONLY, T0, 20), 5);
    let refused = limiter.take(KEY, BUCKET_ONLY, T0);
    assert_eq!((refused.allowed, refused.remaining, refused.retry_after), (false, 99_995, 1));
    assert!(!limiter.take(KEY, BUCKET_ONLY, T0 + SECOND_US / 2 - 1).allowed);
    assert_eq!(take_n(&limiter, BUCKET_ONLY, T0 + SECOND_US / 2, 5), 1);
    assert_eq!(take_n(&limiter, BUCKET_ONLY, T0 + SECOND_US * 3 / 2, 5), 2);
    // Full again, and not fuller.
    assert_eq!(take_n(&limiter, BUCKET_ONLY, T0 + 3600 * SECOND_US, 20), 5);
}

#[test]
fn fractions_of_tokens_are_not_lost() {
    let tier = Tier { per_minute: 1_000_000, per_second: 17, burst: 1 };
    let limiter = Limiter::new();
    // A look at each of 10,000 odd moments must not round anything away.
    let mut taken = 0;
    for step in 0..10_000 {
        taken += take_n(&limiter, tier, T0 + step * 1_001, 1);
    }
    assert!((168..=171).contains(&taken), "{taken} in 10.01 s at 17 a second");
}

/// Whoever waits as told gets through, whatever came before.
#[test]
fn waiting_as_told_succeeds() {
    let tiers = [SANDBOX, WINDOW_ONLY, BUCKET_ONLY, Tier { per_minute: 1, per_second: 1, burst: 1 }];
    for tier in tiers {
        let limiter = Limiter::new();
        let (mut now, mut random, mut waits) = (T0, 7_u64, 0);
        for _ in 0..3_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            now += (random >> 40) as i64 % 100_000;
            let peeked = limiter.peek(KEY, tier, now);
            let verdict = limiter.take(KEY, tier, now);
            assert_eq!(peeked.allowed, verdict.allowed);
            assert_eq!(verdict.allowed, verdict.retry_after == 0);
            assert!(verdict.retry_after <= 61);
            if !verdict.allowed {
                assert_eq!(peeked, verdict);
                now += i64::from(verdict.retry_after) * SECOND_US;
                assert!(limiter.take(KEY, tier, now).allowed, "{tier:?} {verdict:?}");
                waits += 1;
            }
        }
        assert!(waits > 0, "{tier:?}");
    }
}

#[test]
fn the_sandbox_tier_as_documented() {
    let limiter = Limiter::new();
    // 20 at once, then 2 a second, until 100 in the minute are reached after 40 s.
    assert_eq!(take_n(&limiter, SANDBOX, T0, 50), 20);
    let mut total = 20;
    for second in 1..60 {
        total += take_n(&limiter, SANDBOX, T0 + second * SECOND_US, 50);
    }
    assert_eq!(total, 100);
    assert_eq!(limiter.peek(KEY, SANDBOX, T0 + 59 * SECOND_US).retry_after, 1);
}

#[test]
fn keys_are_independent() {
    let limiter = Limiter::new();
    assert_eq!(take_n(&limiter, WINDOW_ONLY, T0, 11), 10);
    assert_eq!(limiter.take(OTHER, WINDOW_ONLY, T0).remaining, 9);
}

#[test]
fn looking_counts_nothing() {
    let limiter = Limiter::new();
    let fresh = limiter.peek(KEY, WINDOW_ONLY, T0);
    let expected =
        Verdict { allowed: true, limit: 10, remaining: 10, reset_at: seconds_up(T0), retry_after: 0 };
    assert_eq!(fresh, expected);
    limiter.take(KEY, WINDOW_ONLY, T0);
    for _ in 0..100 {
        assert_eq!(limiter.peek(KEY, WINDOW_ONLY, T0).remaining, 9);
    }
}

#[test]
fn replays_are_given_back_and_capped_on_their_own() {
    let tier = Tier { per_minute: 3, per_second: 1, burst: 2 };
    let limiter = Limiter::new();
    // A replay takes, is recognised, gives back: any number of times at one moment.
    for _ in 0..30 {
        assert!(limiter.take(KEY, tier, T0).allowed);
        limiter.give_back(KEY, T0);
    }
    assert_eq!(limiter.peek(KEY, tier, T0).remaining, 3);
    // Ten times the burst.
    let replays = (0..50).filter(|_| limiter.take_replay(KEY, tier, T0).allowed).count();
    assert_eq!(replays, 20);
    assert_eq!(limiter.peek(KEY, tier, T0).remaining, 3, "replays are counted apart");
    let refused = limiter.take_replay(KEY, tier, T0);
    assert_eq!((refused.allowed, refused.retry_after, refused.limit), (false, 1, 30));
    // Ten times the minute.
    let more = (1..30).map(|s| limiter.take_replay(KEY, tier, T0 + s * SECOND_US));
    assert_eq!(more.filter(|verdict| verdict.allowed).count(), 10);
}

#[test]
fn no_more_is_given_back_than_was_taken() {
    let limiter = Limiter::new();
    limiter.give_back(KEY, T0);
    assert_eq!(take_n(&limiter, BUCKET_ONLY, T0, 3), 3);
    for _ in 0..50 {
        limiter.give_back(KEY, T0);
    }
    assert_eq!(take_n(&limiter, BUCKET_ONLY, T0, 50), 5);
    assert_eq!(limiter.peek(KEY, BUCKET_ONLY, T0).remaining, 100_000 - 5);
}

#[test]
fn a_clock_set_back_neither_locks_out_nor_resets() {
    let limiter = Limiter::new();
    assert_eq!(take_n(&limiter, WINDOW_ONLY, T0, 10), 10);
    let back = T0 - 3_600 * SECOND_US;
    let refused = limiter.take(KEY, WINDOW_ONLY, back);
    assert_eq!((refused.allowed, refused.remaining, refused.retry_after), (false, 0, 60));
    assert_eq!(refused.reset_at, seconds_up(back + WINDOW_US));
    assert_eq!(take_n(&limiter, WINDOW_ONLY, back + WINDOW_US, 11), 10);

    let limiter = Limiter::new();
    assert_eq!(take_n(&limiter, BUCKET_ONLY, T0, 5), 5);
    assert_eq!(take_n(&limiter, BUCKET_ONLY, back, 5), 0);
    assert_eq!(take_n(&limiter, BUCKET_ONLY, back + SECOND_US, 5), 2);
    // Forwards: as if the time had passed.
    assert_eq!(take_n(&limiter, BUCKET_ONLY, T0 + 3_600 * SECOND_US, 9), 5);
}

#[test]
fn late_threads_mint_no_tokens() {
    let limiter = Limiter::new();
    assert_eq!(take_n(&limiter, BUCKET_ONLY, T0, 5), 5);
    for _ in 0..1_000 {
        assert!(!limiter.take(KEY, BUCKET_ONLY, T0 + 400_000).allowed);
        assert!(!limiter.take(KEY, BUCKET_ONLY, T0 - SECOND_US).allowed);
    }
    // What is said to the late one holds on its own clock.
    let refused = limiter.take(KEY, BUCKET_ONLY, T0 - SECOND_US);
    let later = T0 - SECOND_US + i64::from(refused.retry_after) * SECOND_US;
    assert!(limiter.take(KEY, BUCKET_ONLY, later).allowed);
}

#[test]
fn extreme_clocks_and_tiers_do_not_overflow() {
    let most = Tier { per_minute: u32::MAX, per_second: u32::MAX, burst: u32::MAX };
    let none = Tier { per_minute: 0, per_second: 0, burst: 0 };
    let limiter = Limiter::new();
    for now in [T0, i64::MIN, i64::MAX, 0, -1, i64::MAX, i64::MIN, T0] {
        assert!(limiter.take(KEY, most, now).allowed);
        assert!(limiter.take_replay(KEY, most, now).allowed);
        limiter.give_back(KEY, now);
        let refused = limiter.take(OTHER, none, now);
        assert_eq!((refused.allowed, refused.remaining), (false, 0));
        assert!((60..=62).contains(&refused.retry_after), "{refused:?}");
    }
}

#[test]
fn a_new_tier_counts_at_once() {
    let limiter = Limiter::new();
    assert_eq!(take_n(&limiter, SANDBOX, T0, 50), 20);
    let growth = Tier { per_minute: 1_000, per_second: 17, burst: 200 };
    assert_eq!(take_n(&limiter, growth, T0, 500), 0, "the bucket is as empty as it was");
    assert_eq!(take_n(&limiter, growth, T0 + SECOND_US, 500), 17);
    assert_eq!(take_n(&limiter, growth, T0 + 6 * SECOND_US, 500), 85);
    for _ in 0..10 {
        assert!(!limiter.peek(KEY, SANDBOX, T0 + 6 * SECOND_US).allowed);
        assert!(!limiter.peek(KEY, growth, T0 + 6 * SECOND_US).allowed);
    }
    let now = T0 + 6 * SECOND_US;
    let refused = limiter.take(KEY, SANDBOX, now);
    assert_eq!((refused.allowed, refused.remaining, refused.limit), (false, 0, 100));
    // 122 requests are counted: the first 20 leaving at 60 s is not enough, the 17 at 61 s is.
    assert_eq!(refused.retry_after, 55);
    assert!(limiter.take(KEY, SANDBOX, now + i64::from(refused.retry_after) * SECOND_US).allowed);
}

#[test]
fn two_hundred_threads_take_exactly_the_limit() {
    let limiter = Limiter::new();
    let tier = Tier { per_minute: 1_234, per_second: 1, burst: 10_000 };
    let worker = |id: i64| {
        let now = T0 + id;
        (0..20).filter(|_| limiter.take(KEY, tier, now).allowed).count()
    };
    let allowed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..200).map(|id| scope.spawn(move || worker(id))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
    });
    assert_eq!(allowed, 1_234);
}

#[test]
fn memory_is_bounded_and_busy_keys_stay() {
    let limiter = Limiter::with_capacity(SHARDS * 10);
    let stored = || limiter.meters.len();
    assert_eq!(take_n(&limiter, WINDOW_ONLY, T0, 10), 10);
    for other in 0..20_000_u128 {
        limiter.take(&(other << 64).to_le_bytes(), WINDOW_ONLY, T0 + 1);
    }
    assert!(stored() <= SHARDS * 10, "{}", stored());
    assert!(!limiter.take(KEY, WINDOW_ONLY, T0 + 2).allowed, "a flood of keys must not reset a busy one");

    // An hour later all are idle: the first new key of each full shard clears it.
    let later = T0 + 3_600 * SECOND_US;
    for other in 0..2_000_u128 {
        limiter.take(&(other << 64 | 1).to_le_bytes(), WINDOW_ONLY, later);
        limiter.give_back(&(other << 64 | 1).to_le_bytes(), later);
    }
    assert!(stored() <= SHARDS * 10, "{}", stored());
}

#[test]
fn groups_stay_few() {
    let tier = Tier { per_minute: u32::MAX, per_second: u32::MAX, burst: u32::MAX };
    let mut meter = Meter::new(tier, T0);
    for step in 0..100_000 {
        assert!(meter.take(tier, T0 + step * 2_000).allowed);
    }
    let (groups, sum) = meter.window.groups();
    assert!(groups <= 102, "{groups}");
    assert_eq!(meter.window.count(), sum);
    // 500 a second for 60 s, and at most 1 % more.
    assert!((30_000..=30_300).contains(&sum), "{sum}");
}
