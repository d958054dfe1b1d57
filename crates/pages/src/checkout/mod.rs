//! The payment page, `/payment/{uuid}` or `/checkout/{code}`: what is owed, and the ways to pay it.
//!
//! Pure: plain values in, a finished [`Page`] out. The addresses that its links and forms use, below the
//! page's own: a GET with `?method=` and `?locale=`; a POST to it to pay; a POST to `/cancel`; a GET of
//! `/status`, which answers [`status_json`]; and a GET of `/brand.css`.

mod amount;
mod entry;
mod form;
mod item_text;
mod locale;
mod messages;
mod result;
mod rich;
mod simulated;

use domain::currency::Currency;
use domain::time::Timestamp;

pub use entry::{CardBrand, CheckedCard, Entered, Problem, Problems, check_bank, check_card};
pub use locale::Locale;
pub use simulated::{Approval, approval};

use self::messages::Messages;
use crate::Page;

/// Where a page lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address<'a> {
    /// `/payment/{uuid}`
    Payment(&'a str),
    /// `/checkout/{code}`
    Checkout(&'a str),
}

impl<'a> Address<'a> {
    /// Where the page with this code lives: Gate's codes are uuids, and no other has a hyphen.
    pub fn of(code: &'a str) -> Address<'a> {
        if code.contains('-') { Address::Payment(code) } else { Address::Checkout(code) }
    }
}

impl Address<'_> {
    /// The path. Its variable part never leaves its segment, whatever it holds.
    pub fn path(self) -> String {
        let (folder, code) = match self {
            Address::Payment(code) => ("payment", code),
            Address::Checkout(code) => ("checkout", code),
        };
        let mut path = format!("/{folder}/");
        for byte in code.bytes() {
            if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
                path.push(char::from(byte));
            } else {
                path.push_str(&format!("%{byte:02X}"));
            }
        }
        path
    }
}

/// A way to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodKind {
    Card,
    SepaDebit,
    Paypal,
    ApplePay,
    GooglePay,
}

impl MethodKind {
    /// The value of `?method=` and of the form's `method`.
    pub const fn word(self) -> &'static str {
        match self {
            MethodKind::Card => "card",
            MethodKind::SepaDebit => "sepa_debit",
            MethodKind::Paypal => "paypal",
            MethodKind::ApplePay => "apple_pay",
            MethodKind::GooglePay => "google_pay",
        }
    }

    /// The reverse of [`MethodKind::word`].
    pub fn parse(word: &str) -> Option<MethodKind> {
        use MethodKind::{ApplePay, Card, GooglePay, Paypal, SepaDebit};
        [Card, SepaDebit, Paypal, ApplePay, GooglePay].into_iter().find(|kind| kind.word() == word)
    }

    /// Wallets have a button of their own above the form, which the script reveals.
    const fn is_wallet(self) -> bool {
        matches!(self, MethodKind::ApplePay | MethodKind::GooglePay)
    }

    fn name(self, m: &Messages) -> &'static str {
        match self {
            MethodKind::Card => m.card,
            MethodKind::SepaDebit => m.bank,
            MethodKind::Paypal => "PayPal",
            MethodKind::ApplePay => "Apple Pay",
            MethodKind::GooglePay => "Google Pay",
        }
    }
}

/// A way to pay that the merchant has, and whether this payer may use it.
#[derive(Debug, Clone, Copy)]
pub struct Method<'a> {
    pub kind: MethodKind,
    /// `Some` hides it. The reason is for the merchant: only a test page shows it.
    pub unusable: Option<&'a str>,
}

/// A line of the order.
#[derive(Debug, Clone, Copy)]
pub struct Item<'a> {
    /// May hold HTML; shown as plain text.
    pub text: &'a str,
    /// Minor units of the payment's currency; negative for a discount.
    pub amount: Option<i64>,
}

/// Where the merchant wants the payer next. Anything but an http or https address without credentials in it
/// counts as absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Leave<'a> {
    pub success: Option<&'a str>,
    /// When what was handed in is settled later; as `back` if `None`.
    pub pending: Option<&'a str>,
    pub fail: Option<&'a str>,
    /// For a payer who leaves, and while the outcome is open.
    pub back: Option<&'a str>,
}

/// What is known of the payer, to be filled in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Payer<'a> {
    pub name: Option<&'a str>,
    pub email: Option<&'a str>,
}

/// Why the last try failed, as far as the payer is told. A card that was reported lost or stolen is
/// [`Decline::Card`]: whoever holds it learns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decline {
    Card,
    InsufficientFunds,
    IncorrectCode,
    ExpiredCard,
    TooManyTries,
    /// The bank did not recognise the payer.
    ChallengeFailed,
    /// The payer left the bank's page.
    ChallengeLeft,
    ChallengeTimedOut,
    /// Another way to pay than a card said no, or the payer did there.
    NotConfirmed,
}

/// Who asks for a bank debit, as the mandate names it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Mandate<'a> {
    pub reference: &'a str,
    pub creditor: &'a str,
    /// May be of several lines.
    pub creditor_address: &'a str,
    pub creditor_id: &'a str,
}

/// The form of a payment that can still be paid.
#[derive(Clone, Copy)]
pub struct Open<'a> {
    /// The way to pay that the payer chose; one that is not usable counts as none.
    pub method: Option<MethodKind>,
    /// Single use: two POSTs with the same value are one try.
    pub attempt: &'a str,
    pub attempts_left: Option<u32>,
    pub decline: Option<Decline>,
    /// What was typed before. Only in the answer to the POST that brought it.
    pub entered: Entered<'a>,
    pub problems: Problems,
    /// Needed where a bank debit is on offer.
    pub mandate: Option<Mandate<'a>>,
}

/// How things stand.
#[expect(clippy::large_enum_variant, reason = "one at a time, on the stack, while its page is made")]
#[derive(Clone, Copy)]
pub enum State<'a> {
    Open(Open<'a>),
    /// A try is under way, and nobody knows yet.
    Processing,
    /// The payer has to go to the bank's page, of our own origin.
    Challenge {
        href: &'a str,
    },
    /// A bank debit was handed in, under this mandate. It settles in days.
    Submitted {
        mandate_reference: Option<&'a str>,
    },
    /// The merchant waits for money that goes past us.
    Awaited,
    /// The merchant takes no payments now.
    Unavailable,
    /// Paid by this payer just now.
    Succeeded,
    /// Paid before this page was opened.
    AlreadyPaid,
    Failed,
    Expired,
    Canceled,
}

impl State<'_> {
    /// The word of [`status_json`].
    const fn word(self) -> &'static str {
        match self {
            State::Open(_) => "open",
            State::Processing => "processing",
            State::Challenge { .. } => "challenge",
            State::Submitted { .. } => "submitted",
            State::Awaited => "awaited",
            State::Unavailable => "unavailable",
            State::Succeeded | State::AlreadyPaid => "succeeded",
            State::Failed => "failed",
            State::Expired => "expired",
            State::Canceled => "canceled",
        }
    }
}

/// All that a payment page shows.
#[derive(Clone, Copy)]
pub struct Checkout<'a> {
    pub address: Address<'a>,
    pub locale: Locale,
    pub merchant_name: &'a str,
    /// Whether `{path}/brand.css` has colours of the merchant's.
    pub branded: bool,
    pub test_mode: bool,
    pub currency: Currency,
    /// Minor units: the merchant's own amount, what paying costs, and their sum.
    pub amount: i64,
    pub surcharge: i64,
    pub total: i64,
    /// Whether the surcharge has a line of its own.
    pub surcharge_shown: bool,
    pub items: &'a [Item<'a>],
    /// The merchant's name for the order.
    pub order_reference: Option<&'a str>,
    pub payer: Payer<'a>,
    pub methods: &'a [Method<'a>],
    pub now: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub leave: Leave<'a>,
    /// Finds the request in the logs; may be empty.
    pub request_id: &'a str,
    pub state: State<'a>,
}

/// The page for a payment in any state, with the `Refresh` header of those that leave by themselves.
pub fn checkout(c: &Checkout<'_>) -> Page {
    match c.state {
        State::Open(open) => Page { html: form::page(c, &open), refresh: None },
        _ => result::page(c),
    }
}

/// The body of `{path}/status`, JSON: the page asks for it while it waits, and loads itself again when the
/// word changes.
pub fn status_json(state: State<'_>) -> String {
    format!("{{\"state\":\"{}\"}}", state.word())
}

/// What every page of a payment has around its content.
struct Frame<'a> {
    m: &'static Messages,
    locale: Locale,
    /// With the language, for links back here.
    here: String,
    path: String,
    branded: bool,
    test_mode: bool,
    /// Whether the page has a use for the script.
    script: bool,
    /// Seconds after which a browser without scripts loads the page again.
    reload_after: Option<u32>,
    languages: Vec<Language>,
    request_id: &'a str,
}

struct Language {
    locale: Locale,
    href: String,
    current: bool,
}

impl<'a> Frame<'a> {
    fn new(c: &Checkout<'a>, method: Option<MethodKind>) -> Self {
        let path = c.address.path();
        let method = method.map_or_else(String::new, |kind| format!("&method={}", kind.word()));
        let languages = Locale::ALL
            .into_iter()
            .map(|locale| Language {
                locale,
                href: format!("{path}?locale={}{method}", locale.tag()),
                current: locale == c.locale,
            })
            .collect();
        Frame {
            m: Messages::of(c.locale),
            locale: c.locale,
            here: format!("{path}?locale={}", c.locale.tag()),
            path,
            branded: c.branded,
            test_mode: c.test_mode,
            script: false,
            reload_after: None,
            languages,
            request_id: c.request_id,
        }
    }
}

/// Sentences and links need a name.
fn merchant<'a>(c: &Checkout<'a>, m: &'static Messages) -> &'a str {
    let name = c.merchant_name.trim();
    if name.is_empty() { m.the_shop } else { name }
}

#[cfg(test)]
mod tests;
