//! From the engine's view of a checkout to the values of its page.

use crate::Page;
use crate::checkout::{
    Address, Approval, Checkout, Decline, Entered, Item, Leave, Locale, Mandate, Method, MethodKind, Open,
    Payer, Problems, State, approval, checkout, status_json,
};
use domain::attempt::{Attempt, AttemptStatus};
use domain::payment::{CancellationReason, PaymentStatus};
use domain::payment_method::{self, MethodFacts};
use domain::time::MINUTE;
use engine::checkouts::CheckoutView;

/// A payment whose latest try is younger counts as paid just now: the payer is taken to the shop.
const JUST_NOW_US: i64 = 10 * MINUTE;

/// What of a page depends on the request.
pub(crate) struct Shown<'a> {
    pub locale: Locale,
    pub method: Option<MethodKind>,
    /// Name of the form.
    pub form: &'a str,
    pub entered: Entered<'a>,
    pub problems: Problems,
    /// A refusal that is not the payment's own.
    pub refused: Option<Decline>,
    pub request_id: &'a str,
}

impl<'a> Shown<'a> {
    /// A page on which nothing was entered.
    pub fn fresh(
        locale: Locale,
        method: Option<MethodKind>,
        form: &'a str,
        request_id: &'a str,
    ) -> Shown<'a> {
        Shown {
            locale,
            method,
            form,
            entered: Entered::default(),
            problems: Problems::default(),
            refused: None,
            request_id,
        }
    }
}

/// The payment page as things stand.
pub(crate) fn page(view: &CheckoutView, shown: &Shown<'_>) -> Page {
    let reference = mandate_reference(view);
    let mandate = Mandate {
        reference: &reference,
        creditor: &view.merchant_name,
        creditor_address: &view.merchant_address,
        creditor_id: "",
    };
    let href = challenge_href(view, shown.locale);
    let state = state_of(view, shown, mandate, href.as_deref());
    with_checkout(view, shown, state, |c| checkout(&c))
}

/// The sandbox's stand-in for the page of PayPal.
pub(crate) fn approval_page(view: &CheckoutView, shown: &Shown<'_>, code: &str) -> String {
    with_checkout(view, shown, State::Processing, |checkout| {
        approval(&Approval { checkout, method: MethodKind::Paypal, code })
    })
}

/// The live state, for the page's script.
pub(crate) fn status(view: &CheckoutView) -> String {
    let href = challenge_href(view, Locale::En);
    let shown = Shown::fresh(Locale::En, None, "", "");
    status_json(state_of(view, &shown, Mandate::default(), href.as_deref()))
}

fn with_checkout<T>(
    view: &CheckoutView,
    shown: &Shown<'_>,
    state: State<'_>,
    show: impl FnOnce(Checkout<'_>) -> T,
) -> T {
    let (payment, details) = (&view.payment, &view.checkout.details);
    let items: Vec<Item<'_>> =
        details.items.iter().map(|item| Item { text: &item.text, amount: item.amount }).collect();
    let methods = methods(view);
    show(Checkout {
        address: Address::of(&view.checkout.code),
        locale: shown.locale,
        merchant_name: &view.shop_name,
        branded: crate::brand::has_sheet(&view.branding),
        test_mode: !view.scope.mode.is_live(),
        currency: payment.currency,
        amount: payment.amount,
        surcharge: payment.surcharge,
        total: payment.total(),
        surcharge_shown: !details.surcharge_hidden,
        items: &items,
        order_reference: details.reference.as_deref(),
        payer: Payer { name: details.payer_name.as_deref(), email: details.payer_email.as_deref() },
        methods: &methods,
        now: view.now,
        expires_at: Some(view.checkout.expires_at),
        leave: Leave {
            success: details.leave.success.as_deref(),
            fail: details.leave.fail.as_deref(),
            back: details.leave.back.as_deref(),
            pending: details.leave.pending.as_deref(),
        },
        request_id: shown.request_id,
        state,
    })
}

/// Every way to pay that pages know; those that this payment cannot take carry the reason.
fn methods(view: &CheckoutView) -> Vec<Method<'static>> {
    let asked = &view.payment.details.payment_method_types;
    let offered = |kind| {
        if view.methods.contains(&kind) {
            None
        } else if asked.contains(&kind) {
            Some("The payment provider does not offer it.")
        } else {
            Some("Not for this payment's currency.")
        }
    };
    let wallet = if view.wallets { None } else { Some("The payment provider does not offer wallets.") };
    use payment_method::MethodKind as K;
    [
        (MethodKind::ApplePay, wallet),
        (MethodKind::GooglePay, wallet),
        (MethodKind::Card, offered(K::Card)),
        (MethodKind::SepaDebit, offered(K::SepaDebit)),
        (MethodKind::Paypal, offered(K::Paypal)),
    ]
    .into_iter()
    .map(|(kind, unusable)| Method { kind, unusable })
    .collect()
}

fn state_of<'a>(
    view: &CheckoutView,
    shown: &Shown<'a>,
    mandate: Mandate<'a>,
    challenge: Option<&'a str>,
) -> State<'a> {
    let payment = &view.payment;
    if payment.busy() {
        return State::Processing;
    }
    match payment.status {
        PaymentStatus::Succeeded | PaymentStatus::RequiresCapture => {
            let tried = view.attempt.as_ref().map_or(payment.created_at, |a| a.created_at);
            let just_now = view.now.0.saturating_sub(tried.0) < JUST_NOW_US;
            if just_now { State::Succeeded } else { State::AlreadyPaid }
        }
        PaymentStatus::Processing => {
            let handed_in = view.attempt.as_ref().is_some_and(|a| {
                a.status == AttemptStatus::Processing && matches!(a.method, MethodFacts::SepaDebit(_))
            });
            let past_us = view.attempt.as_ref().is_some_and(Attempt::is_off_platform);
            if handed_in {
                State::Submitted { mandate_reference: Some(mandate.reference) }
            } else if past_us {
                State::Awaited
            } else {
                State::Processing
            }
        }
        PaymentStatus::Canceled => match payment.cancellation_reason {
            Some(CancellationReason::Expired) => State::Expired,
            Some(CancellationReason::FailedInvoice) => State::Failed,
            _ => State::Canceled,
        },
        PaymentStatus::RequiresAction => match challenge {
            Some(href) => State::Challenge { href },
            None => State::Processing,
        },
        PaymentStatus::RequiresPaymentMethod | PaymentStatus::RequiresConfirmation => {
            if view.offboarding {
                return State::Unavailable;
            }
            if view.now >= view.checkout.expires_at {
                return State::Expired;
            }
            let left = (view.checkout.attempts_max - payment.attempts).max(0);
            let first = MethodKind::Card;
            State::Open(Open {
                method: shown.method.or_else(|| last_method(view)).or(Some(first)),
                attempt: shown.form,
                attempts_left: (payment.attempts > 0).then(|| u32::try_from(left).unwrap_or(u32::MAX)),
                decline: if shown.problems.is_empty() {
                    shown.refused.or_else(|| decline_of(view))
                } else {
                    None
                },
                entered: shown.entered,
                problems: shown.problems,
                mandate: Some(mandate),
            })
        }
    }
}

fn last_method(view: &CheckoutView) -> Option<MethodKind> {
    view.attempt.as_ref().and_then(|a| match &a.method {
        MethodFacts::Card(_) => Some(MethodKind::Card),
        MethodFacts::SepaDebit(_) => Some(MethodKind::SepaDebit),
        MethodFacts::Paypal(_) => Some(MethodKind::Paypal),
        MethodFacts::OffPlatform(_) => None,
    })
}

/// What the payer is told of the last try. Never that a card was reported lost or stolen.
fn decline_of(view: &CheckoutView) -> Option<Decline> {
    let decline = &view.payment.last_error.as_ref()?.decline;
    let paid_by_card = view.attempt.as_ref().is_none_or(|a| matches!(a.method, MethodFacts::Card(_)));
    if !paid_by_card {
        return Some(Decline::NotConfirmed);
    }
    if decline.code.contains("authentication") {
        return Some(match &view.challenge {
            Some(c) if c.used_at.is_some_and(|at| at >= c.expires_at) => Decline::ChallengeTimedOut,
            Some(c) if c.outcome.as_deref() == Some("abandoned") => Decline::ChallengeLeft,
            _ => Decline::ChallengeFailed,
        });
    }
    Some(match decline.decline_code.as_deref().unwrap_or(&decline.code) {
        "insufficient_funds" => Decline::InsufficientFunds,
        "incorrect_cvc" | "invalid_cvc" => Decline::IncorrectCode,
        "expired_card" => Decline::ExpiredCard,
        "card_velocity_exceeded" => Decline::TooManyTries,
        _ => Decline::Card,
    })
}

/// Where the payer proves who they are, or approves; from there the way leads back in the payer's language.
fn challenge_href(view: &CheckoutView, locale: Locale) -> Option<String> {
    let action = view.payment.next_action.as_ref()?;
    let path = if is_simulated(view) {
        format!("{}/simulated/{}", Address::of(&view.checkout.code).path(), action.code)
    } else {
        format!("/3ds/{}", action.code)
    };
    Some(format!("{path}?locale={}", locale.tag()))
}

/// Whether the payer approves on a page of the sandbox's that is no card challenge.
pub(crate) fn is_simulated(view: &CheckoutView) -> bool {
    view.attempt.as_ref().is_some_and(|a| matches!(a.method, MethodFacts::Paypal(_)))
}

/// Where the payer goes on after a form: to prove who they are, or nowhere.
pub(crate) fn next_page(view: &CheckoutView, locale: Locale) -> Option<String> {
    challenge_href(view, locale).filter(|_| view.payment.status == PaymentStatus::RequiresAction)
}

/// Unique for each payment, as a mandate's reference must be.
fn mandate_reference(view: &CheckoutView) -> String {
    format!("PG{}", view.payment.id.0.base62())
}
