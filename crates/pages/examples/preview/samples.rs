//! Payment pages in every state, with texts that are short, long and hostile.

use domain::currency::Currency;
use domain::time::{DAY, MINUTE, Timestamp};
use pages::Page;
use pages::checkout::{
    Address, Approval, Checkout, Decline, Entered, Item, Leave, Locale, Mandate, Method, MethodKind, Open,
    Payer, Problem, Problems, State, approval, checkout,
};

pub const UUID: &str = "0d3c3f0e-5b1c-4a4e-9a52-6f1f6b1f2a10";
const NOW: Timestamp = Timestamp(1_795_000_000_000_000);

const ITEMS: &[Item<'static>] = &[
    Item { text: "Ceylon tea, 250 g<br>loose leaf", amount: Some(1_450) },
    Item { text: "<b>Kettle &amp; warmer</b>", amount: Some(3_650) },
    Item { text: "Voucher", amount: Some(-200) },
];
const MANY: [Item<'static>; 9] = [Item {
    text: "<script>alert(1)</script>Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    amount: Some(999_999_999_999),
}; 9];

const ALL: &[Method<'static>] = &[
    usable(MethodKind::Card),
    usable(MethodKind::SepaDebit),
    usable(MethodKind::Paypal),
    usable(MethodKind::ApplePay),
    usable(MethodKind::GooglePay),
];
const CARD: &[Method<'static>] = &[
    usable(MethodKind::Card),
    Method { kind: MethodKind::ApplePay, unusable: Some("the domain is not verified") },
];

const fn usable(kind: MethodKind) -> Method<'static> {
    Method { kind, unusable: None }
}

fn open() -> Open<'static> {
    Open {
        method: None,
        attempt: "att_8XbV2kq0ZrT1mN4c",
        attempts_left: None,
        decline: None,
        entered: Entered::default(),
        problems: Problems::default(),
        mandate: Some(Mandate {
            reference: "PG-4F7K-2026-000118",
            creditor: "Blue Bottle Books",
            creditor_address: "1 Harbour Street\nDublin 2\nIreland",
            creditor_id: "IE96ZZZ300123",
        }),
    }
}

fn sample(locale: Locale, state: State<'static>) -> Checkout<'static> {
    Checkout {
        address: Address::Payment(UUID),
        locale,
        merchant_name: "Blue Bottle Books",
        branded: false,
        test_mode: true,
        currency: Currency::EUR,
        amount: 4_900,
        surcharge: 120,
        total: 5_020,
        surcharge_shown: true,
        items: ITEMS,
        order_reference: Some("ORD-2026-1187"),
        payer: Payer { name: Some("Jo Doe"), email: None },
        methods: ALL,
        now: NOW,
        expires_at: Some(NOW.plus(DAY)),
        leave: Leave {
            success: Some("https://shop.example/thanks"),
            fail: Some("https://shop.example/failed"),
            back: Some("https://shop.example/cart"),
            pending: None,
        },
        request_id: "req_8XbV2kq0ZrT1",
        state,
    }
}

const TYPED: Entered<'static> = Entered {
    number: "378282246310005",
    expiry: "12 / 34",
    code: "",
    name: "Jo Doe",
    iban: "DE88 3704",
    email: "jo@",
};

/// The names of all samples.
pub const NAMES: &[&str] = &[
    "card",
    "sepa",
    "paypal",
    "plain",
    "long",
    "expiring",
    "problems",
    "sepa-problems",
    "declined",
    "no-method",
    "processing",
    "challenge",
    "submitted",
    "succeeded",
    "already-paid",
    "failed",
    "expired",
    "canceled",
    "nowhere-to-go",
    "simulated",
];

/// One of them; `method` and `typed` as a form would have brought them.
pub fn page(name: &str, locale: Locale, method: Option<MethodKind>) -> Option<Page> {
    let with =
        |open: Open<'static>| sample(locale, State::Open(Open { method: method.or(open.method), ..open }));
    let sepa = Open { method: Some(MethodKind::SepaDebit), ..open() };
    let shown = match name {
        "card" => with(open()),
        "sepa" => with(sepa),
        "paypal" => with(Open { method: Some(MethodKind::Paypal), ..open() }),
        "plain" => Checkout {
            address: Address::Checkout("aB3dE5fG7h"),
            test_mode: false,
            items: &[],
            order_reference: None,
            surcharge_shown: false,
            methods: CARD,
            request_id: "",
            ..with(open())
        },
        "long" => Checkout {
            merchant_name: "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft מסעדה בע״מ",
            items: &MANY,
            total: 999_999_999_999,
            currency: Currency::JPY,
            order_reference: Some("</p><script>alert(1)</script>0123456789012345678901234567890123456789"),
            methods: CARD,
            ..with(open())
        },
        "expiring" => Checkout { expires_at: Some(NOW.plus(4 * MINUTE + 1)), ..with(open()) },
        "problems" => with(Open {
            entered: TYPED,
            problems: Problems {
                number: Some(Problem::NumberWrong),
                expiry: Some(Problem::ExpiryPast),
                code: Some(Problem::Code4),
                ..Problems::default()
            },
            ..open()
        }),
        "sepa-problems" => with(Open {
            entered: TYPED,
            problems: Problems {
                iban: Some(Problem::IbanLength(22)),
                email: Some(Problem::EmailWrong),
                name: Some(Problem::NameEmpty),
                ..Problems::default()
            },
            ..sepa
        }),
        "declined" => with(Open {
            decline: Some(Decline::InsufficientFunds),
            attempts_left: Some(2),
            entered: Entered { number: "4000 0000 0000 9995", ..TYPED },
            ..open()
        }),
        "no-method" => Checkout { methods: &[], ..with(open()) },
        "processing" => sample(locale, State::Processing),
        "challenge" => sample(locale, State::Challenge { href: "/3ds/abcdefghijklmnopqrst0189" }),
        "submitted" => sample(locale, State::Submitted { mandate_reference: Some("PG-4F7K-2026-000118") }),
        "awaited" => sample(locale, State::Awaited),
        "unavailable" => sample(locale, State::Unavailable),
        "succeeded" => sample(locale, State::Succeeded),
        "already-paid" => sample(locale, State::AlreadyPaid),
        "failed" => sample(locale, State::Failed),
        "expired" => sample(locale, State::Expired),
        "canceled" => sample(locale, State::Canceled),
        "nowhere-to-go" => Checkout {
            leave: Leave { success: Some("javascript:alert(1)"), ..Leave::default() },
            ..sample(locale, State::Succeeded)
        },
        "simulated" => {
            let checkout = sample(locale, State::Processing);
            let html = approval(&Approval { checkout, method: MethodKind::Paypal, code: "c0de" });
            return Some(Page { html, refresh: None });
        }
        _ => return None,
    };
    Some(checkout(&shown))
}
