//! The page of a payment that can be paid.

use askama::Template;
use domain::time::{MICROS, MINUTE};

use super::entry::CardBrand;
use super::messages::Messages;
use super::{Checkout, Decline, Frame, Mandate, MethodKind, Open, amount, item_text, merchant, rich};
use crate::render;
use crate::return_url::ReturnUrl;

/// The time left is shown when it is this short, in minutes.
const SHOWN_MINUTES: i64 = 10;
/// Items that are shown; orders beyond it are told from the total.
const MAX_ITEMS: usize = 100;
/// Longer orders are folded away, so that the form stays near the top on a small screen.
const OPEN_ITEMS: usize = 4;

#[derive(Template)]
#[template(path = "checkout/form.html")]
struct FormPage<'a> {
    frame: Frame<'a>,
    title: String,
    pay_to: String,
    summary: Summary<'a>,
    back: Option<Link>,
    minutes_left: Option<i64>,
    seconds_left: Option<i64>,
    expiry_sentence: String,
    notice: Option<String>,
    attempts_left: Option<u32>,
    attempts_sentence: String,
    method: Option<MethodKind>,
    choices: Vec<Choice>,
    wallets: Vec<Wallet>,
    hidden: Vec<(&'static str, &'a str)>,
    open: Open<'a>,
    /// Field and sentence, in the order of the form.
    problems: Vec<(&'static str, String)>,
    brand: CardBrand,
    name: &'a str,
    email: &'a str,
    ask_email: bool,
    mandate: Option<MandateText<'a>>,
    pay: String,
    no_method: String,
}

struct Link {
    href: String,
    label: String,
}

struct Choice {
    kind: MethodKind,
    href: String,
    name: &'static str,
    current: bool,
}

struct Wallet {
    word: &'static str,
    label: String,
}

/// What is owed.
pub(super) struct Summary<'a> {
    pub total: String,
    items: Vec<Line>,
    open: bool,
    own: Option<String>,
    fee: Option<String>,
    order_reference: Option<&'a str>,
}

struct Line {
    lines: Vec<String>,
    amount: Option<String>,
}

struct MandateText<'a> {
    text: [String; 2],
    parts: Mandate<'a>,
    address: Vec<&'a str>,
}

impl FormPage<'_> {
    /// What is wrong with a field, for its own line.
    fn problem(&self, field: &str) -> Option<&str> {
        self.problems.iter().find(|(name, _)| *name == field).map(|(_, text)| text.as_str())
    }

    fn is(&self, kind: MethodKind) -> bool {
        self.method == Some(kind)
    }

    fn continue_with(&self, provider: &str) -> String {
        rich::sentence(self.frame.m.continue_with, &[("provider", provider)])
    }

    fn paypal_note(&self) -> String {
        rich::sentence(self.frame.m.paypal_note, &[("provider", "PayPal")])
    }
}

impl<'a> Summary<'a> {
    pub fn new(c: &Checkout<'a>) -> Self {
        let money = |minor| amount::format(minor, c.currency, c.locale);
        let items: Vec<Line> = c
            .items
            .iter()
            .take(MAX_ITEMS)
            .map(|item| Line { lines: item_text::plain_lines(item.text), amount: item.amount.map(money) })
            .filter(|line| !line.lines.is_empty())
            .collect();
        let fee = c.surcharge_shown && c.surcharge != 0;
        Summary {
            total: money(c.total),
            open: items.len() <= OPEN_ITEMS,
            items,
            own: fee.then(|| money(c.amount)),
            fee: fee.then(|| money(c.surcharge)),
            order_reference: c.order_reference.map(str::trim).filter(|text| !text.is_empty()),
        }
    }

    /// The total has a line of its own where it is a sum.
    fn has_lines(&self) -> bool {
        !self.items.is_empty() || self.fee.is_some()
    }
}

pub(super) fn page(c: &Checkout<'_>, open: &Open<'_>) -> String {
    let usable = |kind| c.methods.iter().any(|method| method.kind == kind && method.unusable.is_none());
    let inline = |kind: &MethodKind| !kind.is_wallet() && usable(*kind);
    let first = || c.methods.iter().map(|method| method.kind).find(inline);
    let method = open.method.filter(inline).or_else(first);

    let mut frame = Frame::new(c, method);
    frame.script = true;
    let m = frame.m;
    let shop = merchant(c, m);
    let summary = Summary::new(c);
    let left = c.expires_at.map(|at| at.0.saturating_sub(c.now.0).max(0));
    let minutes_left = left.map(|left| left / MINUTE).filter(|minutes| *minutes < SHOWN_MINUTES);
    let values: &[(&str, &str)] = &[("merchant", shop), ("amount", &summary.total)];
    render(&FormPage {
        title: rich::plain(m.pay_to, values),
        pay_to: rich::sentence(m.pay_to, values),
        back: c
            .leave
            .back
            .and_then(ReturnUrl::parse)
            .map(|url| Link { href: url.href, label: rich::sentence(m.back_to, values) }),
        minutes_left,
        seconds_left: left.map(|left| left / MICROS).filter(|seconds| *seconds > 0),
        expiry_sentence: with_count(m.minutes_left, minutes_left.unwrap_or(0)),
        notice: open.decline.map(|decline| notice(decline, m)),
        attempts_left: open.attempts_left,
        attempts_sentence: with_count(m.attempts_left, open.attempts_left.unwrap_or(0).into()),
        choices: choices(c, &frame, method, inline),
        wallets: wallets(c, m),
        hidden: hidden(c, m),
        problems: problems(open, m),
        brand: brand_of(open.entered.number),
        name: first_of(open.entered.name, c.payer.name),
        email: first_of(open.entered.email, c.payer.email),
        ask_email: c.payer.email.is_none(),
        mandate: open.mandate.map(mandate_text),
        pay: rich::sentence(m.pay, values),
        no_method: rich::sentence(m.no_method, values),
        method,
        open: *open,
        summary,
        frame,
    })
}

fn with_count(text: &str, n: i64) -> String {
    rich::sentence(text, &[("n", &n.to_string())])
}

fn first_of<'a>(typed: &'a str, known: Option<&'a str>) -> &'a str {
    if typed.is_empty() { known.unwrap_or("") } else { typed }
}

fn brand_of(number: &str) -> CardBrand {
    let digits: String = number.chars().filter(char::is_ascii_digit).take(8).collect();
    CardBrand::of(&digits)
}

/// Says whether money moved, and what to do next.
fn notice(decline: Decline, m: &Messages) -> String {
    let text = match decline {
        Decline::Card => m.declined_card,
        Decline::InsufficientFunds => m.declined_funds,
        Decline::IncorrectCode => m.declined_code,
        Decline::ExpiredCard => return format!("{}. {}", escaped(m.expiry_past), escaped(m.not_charged)),
        Decline::TooManyTries => m.declined_often,
        Decline::ChallengeFailed => m.bank_failed,
        Decline::ChallengeLeft => m.bank_left,
        Decline::ChallengeTimedOut => m.bank_late,
        Decline::NotConfirmed => m.not_confirmed,
    };
    escaped(text)
}

fn escaped(text: &str) -> String {
    rich::sentence(text, &[])
}

fn choices(
    c: &Checkout<'_>,
    frame: &Frame<'_>,
    current: Option<MethodKind>,
    inline: impl Fn(&MethodKind) -> bool,
) -> Vec<Choice> {
    let kinds = c.methods.iter().map(|method| method.kind).filter(inline);
    kinds
        .map(|kind| Choice {
            kind,
            href: format!("{}&method={}", frame.here, kind.word()),
            name: kind.name(frame.m),
            current: current == Some(kind),
        })
        .collect()
}

fn wallets(c: &Checkout<'_>, m: &Messages) -> Vec<Wallet> {
    let usable = c.methods.iter().filter(|method| method.kind.is_wallet() && method.unusable.is_none());
    usable
        .map(|method| Wallet {
            word: method.kind.word(),
            label: rich::sentence(m.simulated, &[("provider", method.kind.name(m))]),
        })
        .collect()
}

/// Methods that are not shown, with the reason: of no use to a payer, so on test pages only.
fn hidden<'a>(c: &Checkout<'a>, m: &Messages) -> Vec<(&'static str, &'a str)> {
    let methods = c.methods.iter().filter(|_| c.test_mode);
    methods.filter_map(|method| Some((method.kind.name(m), method.unusable?))).collect()
}

fn problems(open: &Open<'_>, m: &Messages) -> Vec<(&'static str, String)> {
    let p = &open.problems;
    let fields = [
        ("number", p.number),
        ("expiry", p.expiry),
        ("code", p.code),
        ("iban", p.iban),
        ("name", p.name),
        ("email", p.email),
    ];
    fields.into_iter().filter_map(|(field, problem)| Some((field, problem?.sentence(m)))).collect()
}

/// The wording of the European Payments Council for the core scheme, in English: the other languages have
/// official wordings of their own, which are not ours to translate.
fn mandate_text(parts: Mandate<'_>) -> MandateText<'_> {
    const AUTHORISE: &str = "By signing this mandate form, you authorise (A) {creditor} to send instructions \
        to your bank to debit your account and (B) your bank to debit your account in accordance with the \
        instructions from {creditor}.";
    const RIGHTS: &str = "As part of your rights, you are entitled to a refund from your bank under the terms \
        and conditions of your agreement with your bank. A refund must be claimed within 8 weeks starting from \
        the date on which your account was debited. Your rights are explained in a statement that you can \
        obtain from your bank.";
    MandateText {
        text: [rich::sentence(AUTHORISE, &[("creditor", parts.creditor)]), rich::sentence(RIGHTS, &[])],
        address: parts.creditor_address.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
        parts,
    }
}
