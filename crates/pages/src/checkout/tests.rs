//! Every state in every language, and texts that try to break out.

use super::*;
use crate::html_audit::{self, HOSTILE};

const NOW: Timestamp = Timestamp(1_795_000_000_000_000);
const MINUTE: i64 = domain::time::MINUTE;

const METHODS: [Method<'static>; 5] = {
    const fn usable(kind: MethodKind) -> Method<'static> {
        Method { kind, unusable: None }
    }
    [
        usable(MethodKind::Card),
        usable(MethodKind::SepaDebit),
        usable(MethodKind::Paypal),
        usable(MethodKind::ApplePay),
        usable(MethodKind::GooglePay),
    ]
};

fn open(text: &str) -> Open<'_> {
    Open {
        method: None,
        attempt: text,
        attempts_left: Some(2),
        decline: None,
        entered: Entered { number: text, expiry: text, code: "987", name: text, iban: text, email: text },
        problems: Problems::default(),
        mandate: Some(Mandate { reference: text, creditor: text, creditor_address: text, creditor_id: text }),
    }
}

/// A page in which `text` stands wherever a merchant or payer can put one.
fn page_of<'a>(text: &'a str, items: &'a [Item<'a>], state: State<'a>) -> Checkout<'a> {
    Checkout {
        address: Address::Payment(text),
        locale: Locale::En,
        merchant_name: text,
        branded: false,
        test_mode: true,
        currency: Currency::EUR,
        amount: 4_900,
        surcharge: 100,
        total: 5_000,
        surcharge_shown: true,
        items,
        order_reference: Some(text),
        payer: Payer { name: Some(text), email: None },
        methods: &METHODS,
        now: NOW,
        expires_at: Some(NOW.plus(3 * MINUTE)),
        leave: Leave { success: Some(text), pending: Some(text), fail: Some(text), back: Some(text) },
        request_id: text,
        state,
    }
}

fn states(text: &str) -> Vec<State<'_>> {
    let with = |method| State::Open(Open { method: Some(method), ..open(text) });
    let every = Problems {
        number: Some(Problem::NumberUnsupported(CardBrand::Maestro)),
        expiry: Some(Problem::ExpiryMonth),
        code: Some(Problem::Code3),
        name: Some(Problem::NameEmpty),
        iban: Some(Problem::IbanLength(22)),
        email: Some(Problem::EmailWrong),
    };
    let in_test_mode = Problems {
        number: Some(Problem::NumberNotTest),
        iban: Some(Problem::IbanNotTest),
        ..Problems::default()
    };
    let mut states = vec![
        with(MethodKind::Card),
        with(MethodKind::SepaDebit),
        with(MethodKind::Paypal),
        State::Open(Open { problems: every, ..open(text) }),
        State::Open(Open { method: Some(MethodKind::SepaDebit), problems: every, ..open(text) }),
        State::Open(Open { problems: in_test_mode, ..open(text) }),
        State::Open(Open { method: Some(MethodKind::SepaDebit), problems: in_test_mode, ..open(text) }),
        State::Processing,
        State::Challenge { href: text },
        State::Submitted { mandate_reference: Some(text) },
        State::Succeeded,
        State::AlreadyPaid,
        State::Failed,
        State::Expired,
        State::Canceled,
    ];
    states.extend(declines().map(|decline| State::Open(Open { decline: Some(decline), ..open(text) })));
    states
}

fn declines() -> impl Iterator<Item = Decline> {
    use Decline::*;
    [
        Card,
        InsufficientFunds,
        IncorrectCode,
        ExpiredCard,
        TooManyTries,
        ChallengeFailed,
        ChallengeLeft,
        ChallengeTimedOut,
        NotConfirmed,
    ]
    .into_iter()
}

fn html(c: &Checkout<'_>) -> String {
    let html = checkout(c).html;
    html_audit::check(&html);
    html
}

/// The script fills in the texts of `data-text`.
fn without_templates(html: &str) -> String {
    let templates = html_audit::tags(html).into_iter().filter_map(|t| t.attr("data-text").map(str::to_owned));
    templates.fold(html.to_owned(), |html, text| html.replace(&text, ""))
}

/// Lines of an address may differ in number.
fn structure(html: &str) -> Vec<String> {
    html_audit::tag_names(html).into_iter().filter(|name| name != "br").collect()
}

const SHOP: &str = "https://shop.example/";
const ITEMS: &[Item<'static>] = &[Item { text: "Kettle<br>blue", amount: Some(4_900) }];

#[test]
fn every_state_in_every_language_is_whole() {
    for locale in Locale::ALL {
        for (number, state) in states(SHOP).into_iter().enumerate() {
            let html = html(&Checkout { locale, ..page_of(SHOP, ITEMS, state) });
            assert!(!without_templates(&html).contains(['{', '}']), "{locale:?} {number}: {html}");
            let head = format!("<html lang=\"{}\" dir=\"{}\">", locale.tag(), locale.direction());
            assert!(html.contains(&head), "{locale:?} {number}");
        }
        let checkout = Checkout { locale, ..page_of(SHOP, ITEMS, State::Processing) };
        let simulated = approval(&Approval { checkout, method: MethodKind::GooglePay, code: "c0de" });
        html_audit::check(&simulated);
        assert!(!simulated.contains(['{', '}']), "{locale:?}");
    }
}

#[test]
fn hostile_texts_change_nothing_but_the_text() {
    let good = [Item { text: "x", amount: Some(-1) }];
    let plain: Vec<_> = states("x").into_iter().map(|s| structure(&html(&page_of("x", &good, s)))).collect();
    for hostile in HOSTILE {
        let items = [Item { text: hostile, amount: Some(-1) }];
        for (state, plain) in states(hostile).into_iter().zip(&plain) {
            let mut page = page_of(hostile, &items, state);
            let found = structure(&html(&page));
            page.items = &good;
            let without_item = structure(&html(&page));
            assert_eq!(&without_item, plain, "{hostile:?} changed the page's structure");
            assert!(!found.contains(&"img".to_owned()));
        }
        let checkout = page_of(hostile, &items, State::Processing);
        html_audit::check(&approval(&Approval { checkout, method: MethodKind::Paypal, code: hostile }));
    }
}

#[test]
fn the_security_code_is_never_shown_again() {
    for state in states("4242424242424242") {
        assert!(!html(&page_of("4242424242424242", ITEMS, state)).contains("987"));
    }
}

#[test]
fn forms_post_to_the_page_with_the_attempt() {
    let page = html(&page_of("ab-12", ITEMS, State::Open(open("nonce"))));
    let tags = html_audit::tags(&page);
    let forms: Vec<_> = tags.iter().filter(|t| t.name == "form").collect();
    let actions: Vec<_> = forms.iter().filter_map(|t| t.attr("action")).collect();
    assert_eq!(actions, ["/payment/ab-12", "/payment/ab-12", "/payment/ab-12", "/payment/ab-12/cancel"]);
    assert!(forms.iter().all(|form| form.attr("method") == Some("post")));
    let nonces =
        tags.iter().filter(|t| t.attr("name") == Some("attempt") && t.attr("value") == Some("nonce"));
    assert_eq!(nonces.count(), forms.len());
    for (field, tokens) in
        [("number", "cc-number"), ("expiry", "cc-exp"), ("code", "cc-csc"), ("name", "cc-name")]
    {
        let input = tags.iter().find(|t| t.attr("id") == Some(field)).unwrap_or_else(|| panic!("{field}"));
        assert_eq!(input.attr("autocomplete"), Some(tokens));
        assert_ne!(input.attr("type"), Some("number"));
    }
}

#[test]
fn methods_are_links_that_keep_the_language() {
    let state = State::Open(Open { method: Some(MethodKind::SepaDebit), ..open("x") });
    let page = html(&Checkout { locale: Locale::De, ..page_of("x", ITEMS, state) });
    for link in [
        "/payment/x?locale=de&method=card",
        "/payment/x?locale=de&method=paypal",
        "/payment/x?locale=fr&method=sepa_debit",
    ] {
        let tags = html_audit::tags(&page);
        assert!(tags.iter().any(|t| t.name == "a" && t.attr("href") == Some(link)), "{link}");
    }
    assert!(page.contains("SEPA-Lastschriftmandat") && page.contains("lang=\"en\""));
    assert!(!page.contains("cc-number"));
}

#[test]
fn a_method_that_is_not_usable_is_not_shown() {
    let refused = Method { kind: MethodKind::SepaDebit, unusable: Some("only in euros") };
    let methods = [refused, METHODS[0]];
    let state = State::Open(Open { method: Some(MethodKind::SepaDebit), ..open("x") });
    let page = Checkout { methods: &methods, ..page_of("x", ITEMS, state) };
    let shown = html(&page);
    assert!(shown.contains("cc-number") && !shown.contains("method=sepa_debit"));
    assert!(shown.contains("only in euros"), "a test page says why");
    assert!(!html(&Checkout { test_mode: false, ..page }).contains("only in euros"));
    let none = html(&Checkout { methods: &[], ..page });
    assert!(none.contains("There is no way to pay here at the moment"));
    assert!(!none.contains("cc-number"));
}

#[test]
fn amounts_and_lines() {
    let page = page_of("x", ITEMS, State::Open(open("x")));
    let shown = html(&page);
    for text in
        ["Kettle<br>blue", "€49.00", "€1.00", "€50.00", "Payment fee", "Test mode", "4242 4242 4242 4242"]
    {
        assert!(shown.contains(text), "{text}");
    }
    let live = html(&Checkout { test_mode: false, surcharge_shown: false, ..page });
    for text in ["Payment fee", "€1.00", "Test mode", "4242 4242"] {
        assert!(!live.contains(text), "{text}");
    }
}

#[test]
fn the_time_left_is_shown_near_its_end_only() {
    let left = |micros| {
        html(&Checkout { expires_at: Some(NOW.plus(micros)), ..page_of("x", ITEMS, State::Open(open("x"))) })
    };
    let shown = |n| format!("Minutes until this page expires: <bdi>{n}</bdi>");
    assert!(left(9 * MINUTE).contains(&shown(9)));
    assert!(left(10 * MINUTE - 1).contains(&shown(9)));
    assert!(left(-1).contains(&shown(0)));
    assert!(!left(10 * MINUTE).contains("expires: <bdi>"));
    assert!(!left(-1).contains("data-seconds"), "a page that is over would load itself for ever");
}

#[test]
fn results_leave_where_the_merchant_asked() {
    let leave = Leave {
        success: Some("https://shop.example/s"),
        fail: Some("https://shop.example/f"),
        back: Some("https://shop.example/r"),
        pending: Some("https://shop.example/p"),
    };
    for (state, target, departs) in [
        (State::Succeeded, "s", true),
        (State::AlreadyPaid, "s", false),
        (State::Failed, "f", true),
        (State::Expired, "f", true),
        (State::Canceled, "f", true),
        (State::Submitted { mandate_reference: None }, "p", true),
        (State::Awaited, "p", false),
        (State::Unavailable, "r", false),
    ] {
        let page = checkout(&Checkout { leave, ..page_of("x", ITEMS, state) });
        html_audit::check(&page.html);
        let url = format!("https://shop.example/{target}");
        assert!(page.html.contains(&format!("href=\"{url}\"")), "{}", state.word());
        assert_eq!(page.refresh, departs.then(|| format!("5; url={url}")), "{}", state.word());
        let alone = checkout(&Checkout { leave: Leave::default(), ..page_of("x", ITEMS, state) });
        assert_eq!(alone.refresh, None);
        assert!(!alone.html.contains("shop.example"));
        assert!(!page.html.contains("<script"), "{}", state.word());
    }
    let back_only = Leave { back: leave.back, ..Leave::default() };
    let page = checkout(&Checkout { leave: back_only, ..page_of("x", ITEMS, State::Failed) });
    assert_eq!(page.refresh.as_deref(), Some("5; url=https://shop.example/r"));
    let submitted = State::Submitted { mandate_reference: None };
    let page = checkout(&Checkout { leave: back_only, ..page_of("x", ITEMS, submitted) });
    assert_eq!(page.refresh.as_deref(), Some("5; url=https://shop.example/r"));
}

#[test]
fn waiting_pages_ask_again() {
    let page = html(&page_of("x", ITEMS, State::Processing));
    assert!(page.contains(
        "<noscript><meta http-equiv=\"refresh\" content=\"5; url=/payment/x?locale=en\"></noscript>"
    ));
    assert!(page.contains("data-status=\"/payment/x/status\"") && page.contains("data-state=\"processing\""));
    assert!(page.contains("Do not pay again."));
    assert_eq!(status_json(State::Processing), "{\"state\":\"processing\"}");
}

#[test]
fn a_challenge_leads_to_our_own_page_only() {
    for (href, led) in [
        ("/3ds/abc", true),
        ("//evil.example/", false),
        ("/\\evil.example", false),
        ("https://evil.example/", false),
        ("javascript:alert(1)", false),
    ] {
        let page = html(&page_of("x", ITEMS, State::Challenge { href }));
        assert_eq!(page.contains("Continue</a>"), led, "{href}");
    }
}

#[test]
fn paths_stay_in_their_segment() {
    assert_eq!(Address::Payment("0d3c-AZ_9").path(), "/payment/0d3c-AZ_9");
    assert_eq!(Address::Checkout("../a?b#c é").path(), "/checkout/%2E%2E%2Fa%3Fb%23c%20%C3%A9");
}
