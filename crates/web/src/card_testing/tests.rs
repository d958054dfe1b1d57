use super::breaker::{OPEN_US, SCOPES_MAX, WINDOW_US};
use super::windows::{MARKS_PER_SHARD, SHARDS};
use super::*;
use domain::id::{Core, MerchantId};
use domain::scope::Mode;
use domain::time::MINUTE;

const T0: i64 = 1_790_000_000_000_000;
const SECOND: i64 = 1_000_000;

fn scope(n: u32) -> Scope {
    let mut core = [0; 12];
    core[..4].copy_from_slice(&n.to_be_bytes());
    Scope { merchant: MerchantId(Core(core)), mode: Mode::Test }
}

fn number(n: u32) -> String {
    format!("4{n:015}")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn only(cards: Option<u32>, tries: Option<u32>, breaker: bool) -> Guard {
    Guard::new(Settings { cards, tries, breaker })
}

fn admits(guard: &Guard, from: &str, card: u32, now_us: i64) -> bool {
    let number = number(card);
    guard.admit(ip(from), Some(Card::Number(&number)), scope(1), Timestamp(now_us)).is_ok()
}

/// Notes results at one moment: `d` is a decline, anything else is not. The alerts.
fn note(guard: &Guard, results: &str, now_us: i64) -> Vec<CardTestingAlert> {
    results.chars().filter_map(|c| guard.note(scope(1), c == 'd', Timestamp(now_us))).collect()
}

#[test]
fn networks() {
    let same = |a: &str, b: &str| network(ip(a)) == network(ip(b));
    for (a, b, expected) in [
        ("203.0.113.1", "203.0.113.254", true),
        ("203.0.113.1", "203.0.112.1", false),
        ("203.0.113.1", "::ffff:203.0.113.9", true),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ("4.203.0.1", "2001:db8::1", false),
    ] {
        assert!(network(ip(a)).is_some() && network(ip(b)).is_some(), "{a} {b}");
        assert_eq!(same(a, b), expected, "{a} {b}");
    }
    let proxies = "0.0.0.0 127.0.0.1 10.1.2.3 172.16.0.1 172.31.255.1 192.168.1.1 169.254.1.1 100.64.0.1 100.127.0.1 \
                   :: ::1 fd00::1 fe80::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1";
    for proxy in proxies.split_whitespace() {
        assert_eq!(network(ip(proxy)), None, "{proxy}");
    }
    for public in ["172.32.0.1", "100.128.0.1", "100.63.0.1", "11.0.0.1", "2001::1"] {
        assert!(network(ip(public)).is_some(), "{public}");
    }
}

#[test]
fn a_network_brings_ten_cards_an_hour() {
    let guard = only(Some(10), None, false);
    for card in 0..10 {
        assert!(admits(&guard, &format!("203.0.113.{card}"), card, T0 + i64::from(card) * MINUTE));
    }
    let now = T0 + 10 * MINUTE;
    assert!(!admits(&guard, "203.0.113.77", 10, now), "the eleventh card");
    assert!(admits(&guard, "203.0.113.77", 3, now), "one that is known");
    assert!(admits(&guard, "203.0.114.77", 10, now), "another network");
    // Card 0 leaves the window after its hour, to the microsecond; card 3 was renewed.
    assert!(!admits(&guard, "203.0.113.1", 11, T0 + HOUR - 1));
    assert!(admits(&guard, "203.0.113.1", 11, T0 + HOUR));
    assert!(!admits(&guard, "203.0.113.1", 12, T0 + HOUR));
    let more = (20..40).filter(|card| admits(&guard, "203.0.113.1", *card, T0 + HOUR + 4 * MINUTE)).count();
    assert_eq!(more, 3, "1, 2 and 4 have left, 3 has not");
}

#[test]
fn rotation_within_a_64_is_one_network() {
    let guard = only(Some(10), None, false);
    let admitted =
        (0..500).filter(|n| admits(&guard, &format!("2001:db8:7:7:{n:x}:{n:x}::{n:x}"), *n, T0)).count();
    assert_eq!(admitted, 10);
    assert!(admits(&guard, "2001:db8:7:8::1", 900, T0));
}

#[test]
fn behind_a_proxy_networks_are_not_counted() {
    let guard = only(Some(10), None, false);
    assert_eq!((0..500).filter(|card| admits(&guard, "127.0.0.1", *card, T0)).count(), 500);
}

#[test]
fn one_card_is_bounded_at_all_merchants_together() {
    let guard = only(None, Some(3), false);
    let card = number(1);
    let at = |merchant: u32, mode: Mode, now_us: i64| {
        let scope = Scope { mode, ..scope(merchant) };
        guard.admit(ip("192.0.2.1"), Some(Card::Number(&card)), scope, Timestamp(now_us)).is_ok()
    };
    assert!((1..=3).all(|merchant| at(merchant, Mode::Test, T0)));
    assert!(!at(4, Mode::Test, T0 + 1) && !at(1, Mode::Test, T0 + HOUR - 1));
    assert!(at(4, Mode::Live, T0 + 1), "live is counted apart");
    assert!(admits(&guard, "192.0.2.1", 2, T0 + 1), "other cards pass");
    let turned = |now_us| guard.admit_method(ip("192.0.2.1"), &card, scope(9), Timestamp(now_us)).is_ok();
    assert!(!turned(T0 + 1), "nor may it become a method");
    assert!(
        turned(T0 + HOUR) && turned(T0 + HOUR) && turned(T0 + HOUR) && turned(T0 + HOUR),
        "which is no try"
    );
    assert!((5..=7).all(|merchant| at(merchant, Mode::Test, T0 + HOUR)));
    assert!(!at(8, Mode::Test, T0 + HOUR));
}

#[test]
fn a_stored_card_is_the_card_that_was_typed() {
    let guard = only(Some(2), Some(3), false);
    let now = Timestamp(T0);
    let stored = |print: &str, merchant: u32| {
        guard.admit(ip("192.0.2.1"), Some(Card::Fingerprint(print)), scope(merchant), now).is_ok()
    };
    let typed = number(1);
    guard.admit_method(ip("192.0.2.1"), &typed, scope(1), now).expect("admitted");
    guard.remember(&typed, "f1", scope(1), now);
    guard.remember(&typed, "g1", scope(2), now);
    assert!(stored("f1", 1) && stored("g1", 2) && admits(&guard, "192.0.2.1", 1, T0));
    assert!(!stored("f1", 1) && !stored("g1", 2), "three tries of one card");
    assert!(stored("g1", 1), "another merchant's fingerprint means another card");
    assert!(!stored("h1", 1), "the network's third card");
    assert_eq!(guard.admit(ip("192.0.2.1"), None, scope(1), now), Ok(()), "what is no card passes");
}

#[test]
fn off_is_off() {
    let guard = only(None, None, false);
    assert_eq!((0..2_000).filter(|n| admits(&guard, "192.0.2.1", n % 100, T0)).count(), 2_000);
    assert_eq!(note(&guard, &"d".repeat(100), T0), []);
}

#[test]
fn a_clock_set_back_neither_locks_out_nor_resets() {
    let guard = only(Some(2), None, true);
    assert!(admits(&guard, "192.0.2.1", 1, T0) && admits(&guard, "192.0.2.1", 2, T0));
    let back = T0 - 24 * HOUR;
    assert!(!admits(&guard, "192.0.2.1", 3, back));
    assert!(!admits(&guard, "192.0.2.1", 3, back + HOUR - 1));
    assert!(admits(&guard, "192.0.2.1", 3, back + HOUR));

    assert_eq!(note(&guard, &"d".repeat(13), T0).len(), 1);
    assert!(!admits(&guard, "198.51.100.1", 1, back));
    assert!(!admits(&guard, "198.51.100.1", 1, back + OPEN_US - 1));
    assert!(admits(&guard, "198.51.100.1", 1, back + OPEN_US));
    for now in [i64::MAX, i64::MIN, 0, T0] {
        admits(&guard, "192.0.2.1", 9, now);
        note(&guard, "d", now);
    }
}

#[test]
fn memory_is_bounded_and_busy_keys_stay() {
    // The larger the limits, the fewer keys are kept.
    let guard = only(Some(LIMIT_MAX), Some(LIMIT_MAX), false);
    assert_eq!((0..1_001).filter(|card| admits(&guard, "192.0.2.1", *card, T0)).count(), 1_000);
    for n in 0..5_000_u32 {
        admits(&guard, &format!("2001:db8:0:{n:x}::1"), 2_000 + n, T0 + 1);
    }
    for windows in [guard.cards.as_ref().expect("on"), guard.tries.as_ref().expect("on")] {
        assert!(windows.keys() <= SHARDS * MARKS_PER_SHARD / 1_000, "{}", windows.keys());
    }
    assert!(!admits(&guard, "192.0.2.1", 1_002, T0 + 2), "a flood of networks must not reset a busy one");
    for n in 0..70_000 {
        guard.remember("4", &n.to_string(), scope(1), Timestamp(T0));
    }
    assert!(guard.known.lock().expect("unpoisoned").len() <= KNOWN_MAX);
    // An hour later nothing counts any more, and new networks take the place of old ones.
    assert!(admits(&guard, "192.0.2.1", 1_002, T0 + 2 * HOUR));
}

#[test]
fn the_breaker_opens_at_more_than_sixty_percent() {
    // The results in order, and the number of those after which it opens.
    for (results, opens) in [
        ("dddddddddddddddddddd", Some(13)),
        ("pppppppddddddddddddd", Some(20)),
        ("ppppppppdddddddddddd", None),
        ("dddddddddddd", None),
        ("ddpddpddpddpddpddpdd", Some(19)),
        ("dpdpdpdpdpdpdpdpdpdpdpdpdpdp", None),
        ("ppppppppppppppppppppddddddddddddd", Some(33)),
        ("ddddddddddddppppppppdpdpdp", None),
    ] {
        let guard = only(None, None, true);
        let mut opened = None;
        for (i, result) in results.chars().enumerate() {
            if let Some(alert) = note(&guard, &result.to_string(), T0).first() {
                let (tries, declines) = (alert.tries, alert.declines);
                assert!(tries <= 20 && declines == 13, "{results}: {declines} of {tries}");
                assert_eq!((alert.opened_at.0, alert.open_until.0), (T0, T0 + OPEN_US));
                opened = Some(i + 1);
                break;
            }
        }
        assert_eq!(opened, opens, "{results}");
        assert_eq!(admits(&guard, "192.0.2.1", 1, T0), opens.is_none(), "{results}");
    }
}

#[test]
fn only_ten_minutes_count() {
    let guard = only(None, None, true);
    assert_eq!(note(&guard, "dddddddddddd", T0), []);
    assert_eq!(note(&guard, "d", T0 + WINDOW_US), [], "the twelve have left");
    assert_eq!(note(&guard, "ddddddddddd", T0 + WINDOW_US + SECOND), []);
    assert_eq!(note(&guard, "d", T0 + 2 * WINDOW_US - 1).len(), 1);
}

#[test]
fn it_opens_closes_and_opens_again() {
    let guard = only(None, None, true);
    assert_eq!(note(&guard, "ddddddddddddd", T0).len(), 1);
    assert_eq!(note(&guard, "dddddddddddddddddddd", T0 + 1), [], "told once, however many were on their way");
    let method = |now_us| guard.admit_method(ip("192.0.2.1"), "4", scope(1), Timestamp(now_us)).is_ok();
    let until = T0 + OPEN_US;
    assert!(!admits(&guard, "192.0.2.1", 1, until - 1) && !method(until - 1));
    assert!(
        guard.admit(ip("192.0.2.1"), Some(Card::Number("4")), scope(2), Timestamp(T0)).is_ok(),
        "others pay on"
    );
    let live = Scope { mode: Mode::Live, ..scope(1) };
    assert!(guard.admit(ip("192.0.2.1"), Some(Card::Number("4")), live, Timestamp(T0)).is_ok());

    // Half open: five pass in a minute, however many come; making methods takes none of them.
    assert!((0..50).all(|_| method(until)));
    assert_eq!((0..50).filter(|n| admits(&guard, "192.0.2.1", *n, until)).count(), 5);
    assert_eq!((0..50).filter(|n| admits(&guard, "192.0.2.1", *n, until + MINUTE)).count(), 5);
    assert_eq!(note(&guard, "dpd", until + MINUTE), []);
    let again = note(&guard, "dd", until + MINUTE);
    assert_eq!(again.iter().map(|a| (a.tries, a.declines)).collect::<Vec<_>>(), [(5, 4)], "told again");
    let until = until + MINUTE + OPEN_US;
    assert!(!admits(&guard, "192.0.2.1", 1, until - 1));

    // Half open, and most are good: closed at once.
    assert!(admits(&guard, "192.0.2.1", 1, until));
    assert_eq!(note(&guard, "dpppd", until), []);
    assert_eq!((0..50).filter(|n| admits(&guard, "192.0.2.1", *n, until)).count(), 50);

    // Nothing decides: closed after ten minutes.
    assert_eq!(note(&guard, "ddddddddddddd", until).len(), 1);
    let until = until + OPEN_US;
    assert_eq!((0..50).filter(|n| admits(&guard, "192.0.2.1", *n, until)).count(), 5);
    assert_eq!((0..50).filter(|n| admits(&guard, "192.0.2.1", *n, until + WINDOW_US)).count(), 50);
}

#[test]
fn breakers_are_bounded_and_open_ones_stay() {
    let guard = only(None, None, true);
    assert_eq!(note(&guard, "ddddddddddddd", T0).len(), 1);
    for merchant in 2..6_000 {
        guard.note(scope(merchant), true, Timestamp(T0 + 1));
    }
    assert_eq!(guard.breakers.as_ref().expect("on").len(), SCOPES_MAX);
    assert!(!admits(&guard, "192.0.2.1", 1, T0 + 2));
}

#[test]
fn two_hundred_threads_bring_exactly_ten_cards() {
    let guard = only(Some(10), None, false);
    let worker = |id: u32| (0..20).filter(|n| admits(&guard, "192.0.2.1", id * 20 + n, T0)).count();
    let admitted: usize = std::thread::scope(|threads| {
        let threads: Vec<_> = (0..200).map(|id| threads.spawn(move || worker(id))).collect();
        threads.into_iter().map(|thread| thread.join().expect("ends")).sum()
    });
    assert_eq!(admitted, 10);
}
