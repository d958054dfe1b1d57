use super::*;
use proptest::prelude::*;

const KEY: &[u8; 16] = b"session-one.....";
const OTHER: &[u8; 16] = b"session-two.....";
/// Not on a whole second, so that rounding shows.
const T0: i64 = 1_745_308_800_250_000;

fn documented() -> WindowLimiter {
    WindowLimiter::new(Settings::default())
}

fn settings(window_us: i64, per_window: u32, per_minute: u32) -> Settings {
    Settings { window_us, per_window, per_minute, exempt: Vec::new(), ..Settings::default() }
}

fn take_n(limiter: &WindowLimiter, key: &[u8; 16], now_us: i64, count: u32) -> u32 {
    (0..count).map(|_| u32::from(limiter.take(key, None, now_us).allowed)).sum()
}

#[test]
fn the_minute_ends_exactly_at_its_limit() {
    let limiter = documented();
    for taken in 1..=100 {
        let verdict = limiter.take(KEY, None, T0);
        let reset_at = 1_745_308_861; // T0 + 60 s, rounded up
        assert_eq!(
            verdict,
            Verdict { allowed: true, limit: 100, remaining: 100 - taken, reset_at, retry_after: 0 }
        );
    }
    let refused =
        Verdict { allowed: false, limit: 100, remaining: 0, reset_at: 1_745_308_861, retry_after: 60 };
    assert_eq!(limiter.take(KEY, None, T0), refused);
    assert_eq!(limiter.peek(KEY, None, T0), refused);
    assert!(!limiter.take(KEY, None, T0 + MINUTE_US - 1).allowed);
    assert_eq!(take_n(&limiter, KEY, T0 + MINUTE_US, 101), 100);
}

#[test]
fn five_full_minutes_fill_the_long_window() {
    let limiter = documented();
    for minute in 0..5 {
        assert_eq!(take_n(&limiter, KEY, T0 + minute * MINUTE_US, 150), 100, "{minute}");
    }
    // The first hundred leave exactly now, so nothing is refused by the long window alone.
    assert_eq!(take_n(&limiter, KEY, T0 + 5 * MINUTE_US, 150), 100);

    // A long window with room for less than its minutes: what the minute refused was not counted by it.
    let limiter = WindowLimiter::new(settings(5 * MINUTE_US, 250, 100));
    let taken: Vec<u32> = (0..6).map(|m| take_n(&limiter, KEY, T0 + m * MINUTE_US, 150)).collect();
    assert_eq!(taken, [100, 100, 50, 0, 0, 100]);
}

#[test]
fn the_window_that_refuses_first_is_shown() {
    let limiter = WindowLimiter::new(settings(5 * MINUTE_US, 150, 100));
    assert_eq!(take_n(&limiter, KEY, T0, 90), 90);
    let later = T0 + MINUTE_US;
    let shown = limiter.peek(KEY, None, later);
    assert_eq!((shown.limit, shown.remaining, shown.allowed), (150, 60, true));
    assert_eq!(shown.reset_at, seconds_up(T0 + 5 * MINUTE_US));
    assert_eq!(take_n(&limiter, KEY, later, 61), 60);
    let refused = limiter.take(KEY, None, later);
    assert_eq!((refused.limit, refused.retry_after), (150, 240));
    assert_eq!(take_n(&limiter, KEY, later + 240 * SECOND_US, 100), 90);
}

#[test]
fn keys_are_independent_and_looking_counts_nothing() {
    let limiter = documented();
    assert_eq!(take_n(&limiter, KEY, T0, 101), 100);
    assert_eq!(limiter.peek(OTHER, None, T0).remaining, 100);
    assert_eq!(limiter.peek(OTHER, None, T0).remaining, 100);
    assert_eq!(limiter.take(OTHER, None, T0).remaining, 99);
}

#[test]
fn who_is_exempt_is_not_counted() {
    let exempt = Network::parse_list("127.0.0.1,::1,192.0.2.0/24").expect("networks");
    let limiter = WindowLimiter::new(Settings { exempt, ..Settings::default() });
    for from in ["127.0.0.1", "::1", "::ffff:127.0.0.1", "192.0.2.200"] {
        for _ in 0..1_000 {
            let verdict = limiter.take(KEY, Some(from.parse().expect(from)), T0);
            assert_eq!((verdict.allowed, verdict.limit, verdict.remaining), (true, 100, 100), "{from}");
        }
    }
    assert_eq!(take_n(&limiter, KEY, T0, 101), 100, "an unknown address is not exempt");
    for from in ["127.0.0.2", "192.0.3.1", "2001:db8::1"] {
        assert!(!limiter.take(KEY, Some(from.parse().expect(from)), T0).allowed, "{from}");
    }
    // What was counted before does not hold up whoever is exempt.
    assert!(limiter.peek(KEY, Some("192.0.2.1".parse().expect("an address")), T0).allowed);
}

#[test]
fn switched_off_nothing_is_counted() {
    let limiter = WindowLimiter::new(Settings::off());
    assert_eq!(take_n(&limiter, KEY, T0, 10_000), 10_000);
    assert_eq!(limiter.meters.len(), 0);
}

#[test]
fn waiting_as_told_succeeds() {
    for settings in [
        settings(5 * MINUTE_US, 500, 100),
        settings(5 * MINUTE_US, 7, 3),
        settings(10 * SECOND_US, 3, 100),
        settings(SECOND_US, 1, 1),
    ] {
        let longest = u32::try_from(settings.window_us.max(MINUTE_US) / SECOND_US).expect("fits") + 1;
        let limiter = WindowLimiter::new(settings.clone());
        let (mut now, mut random, mut waits) = (T0, 11_u64, 0);
        for _ in 0..3_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            now += (random >> 40) as i64 % 400_000;
            let verdict = limiter.take(KEY, None, now);
            assert_eq!(verdict.allowed, verdict.retry_after == 0);
            assert!(verdict.retry_after <= longest, "{verdict:?}");
            if !verdict.allowed {
                now += i64::from(verdict.retry_after) * SECOND_US;
                assert!(limiter.take(KEY, None, now).allowed, "{settings:?} {verdict:?}");
                waits += 1;
            }
        }
        assert!(waits > 0, "{settings:?}");
    }
}

#[test]
fn a_clock_set_back_neither_locks_out_nor_resets() {
    let limiter = documented();
    assert_eq!(take_n(&limiter, KEY, T0, 100), 100);
    let back = T0 - 3_600 * SECOND_US;
    let refused = limiter.take(KEY, None, back);
    assert_eq!((refused.allowed, refused.retry_after), (false, 60));
    assert_eq!(take_n(&limiter, KEY, back + MINUTE_US, 101), 100);
}

#[test]
fn extreme_clocks_do_not_overflow() {
    let limiter = WindowLimiter::new(settings(i64::MAX, u32::MAX, u32::MAX));
    for now in [T0, i64::MIN, i64::MAX, 0, -1, i64::MAX, i64::MIN, T0] {
        assert!(limiter.take(KEY, None, now).allowed);
    }
}

#[test]
fn memory_is_bounded_and_a_flood_does_not_reset_a_busy_key() {
    let limiter = WindowLimiter::with_capacity(settings(5 * MINUTE_US, 10, 10), 640);
    assert_eq!(take_n(&limiter, KEY, T0, 10), 10);
    for other in 0..20_000_u128 {
        limiter.take(&(other << 64).to_le_bytes(), None, T0 + 1);
    }
    assert!(limiter.meters.len() <= 640, "{}", limiter.meters.len());
    assert!(!limiter.take(KEY, None, T0 + 2).allowed);
}

#[test]
fn parallel_requests_are_counted_exactly() {
    let limiter = documented();
    let allowed: u32 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| take_n(&limiter, KEY, T0, 50))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(allowed, 100);
}

proptest! {
    /// Against an exact log of what was allowed: never more than a limit within its window, and no refusal
    /// that windows 1 % longer would not explain.
    #[test]
    fn both_windows_are_accurate(
        window_s in 1_i64..400,
        per_window in 1_u32..40,
        per_minute in 1_u32..40,
        steps in prop::collection::vec(0_i64..4_000_000, 1..400),
    ) {
        let window_us = window_s * SECOND_US;
        let limiter = WindowLimiter::new(settings(window_us, per_window, per_minute));
        let mut log: Vec<i64> = Vec::new();
        let mut now = T0;
        for step in steps {
            now += step;
            let within = |us: i64| log.iter().filter(|taken| **taken > now - us).count();
            let full = |percent: i64| {
                within(window_us + window_us * percent / 100) >= per_window as usize
                    || within(MINUTE_US + MINUTE_US * percent / 100) >= per_minute as usize
            };
            let verdict = limiter.take(KEY, None, now);
            if verdict.allowed {
                prop_assert!(!full(0), "more than a limit");
                log.push(now);
            } else {
                prop_assert!(full(1), "refused too early");
                prop_assert_eq!(verdict.remaining, 0);
            }
        }
    }
}
