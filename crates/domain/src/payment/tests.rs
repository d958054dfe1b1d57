use super::*;
use crate::outcome::{Approval, RiskLevel};
use crate::samples::{NOW, attempt, method, payment};

fn approval(captured: bool) -> AuthoriseOutcome {
    AuthoriseOutcome::Approved(Approval {
        captured,
        available_at_once: false,
        risk: RiskLevel::Normal,
        authenticated: None,
    })
}

fn decline() -> Decline {
    Decline {
        code: "card_declined".to_owned(),
        decline_code: None,
        message: String::new(),
        reached_issuer: true,
        blocked: false,
    }
}

/// A payment with its authorisation in flight.
fn in_flight() -> (Payment, Attempt) {
    let mut p = payment(PaymentStatus::RequiresPaymentMethod, 1_000);
    let a = attempt(&p, AttemptStatus::Submitted);
    begin_confirm(&mut p, &method(), a.id, a.fee).expect("confirmable");
    (p, a)
}

#[test]
fn each_command_is_taken_in_its_states_only() {
    use PaymentStatus as S;
    for status in S::ALL.iter().copied() {
        let open = matches!(status, S::RequiresPaymentMethod | S::RequiresConfirmation | S::RequiresAction);
        let fresh = || {
            let mut p = payment(status, 1_000);
            p.amount_capturable = if status == S::RequiresCapture { 1_000 } else { 0 };
            p
        };
        let a = attempt(&fresh(), AttemptStatus::Authorised);
        assert_eq!(begin_confirm(&mut fresh(), &method(), a.id, 0).is_ok(), open, "confirm in {status}");
        assert_eq!(
            capture_amount(&fresh(), None).is_ok(),
            status == S::RequiresCapture,
            "capture in {status}"
        );
        let cancelable = open || status == S::RequiresCapture;
        assert_eq!(begin_cancel(&mut fresh(), None, NOW).is_ok(), cancelable, "cancel in {status}");
    }
}

#[test]
fn nothing_else_starts_while_a_call_is_in_flight() {
    let (mut p, a) = in_flight();
    assert_eq!(begin_confirm(&mut p, &method(), a.id, 0), Err(Refusal::Busy));
    assert_eq!(begin_cancel(&mut p, None, NOW), Err(Refusal::Busy));
    assert_eq!(capture_amount(&p, None), Err(Refusal::Busy));
    let mut held = payment(PaymentStatus::RequiresCapture, 1_000);
    held.amount_capturable = 1_000;
    begin_capture(&mut held, 400, 5);
    assert_eq!(capture_amount(&held, None), Err(Refusal::Busy));
    assert_eq!(begin_cancel(&mut held, None, NOW), Err(Refusal::Busy));
}

#[test]
fn outcomes_lead_where_they_must() {
    use AuthoriseOutcome as O;
    let pending = O::Pending { check_at: NOW };
    for (outcome, status, attempt_status, listed, events) in [
        (approval(true), "succeeded", "captured", true, "charge.succeeded payment_intent.succeeded"),
        (
            approval(false),
            "requires_capture",
            "authorised",
            true,
            "charge.succeeded payment_intent.amount_capturable_updated",
        ),
        (
            O::Declined(decline()),
            "requires_payment_method",
            "failed",
            true,
            "charge.failed payment_intent.payment_failed",
        ),
        (O::NotFound, "requires_payment_method", "failed", false, "payment_intent.payment_failed"),
        (O::Challenge, "requires_action", "requires_action", false, "payment_intent.requires_action"),
        (pending, "processing", "processing", true, "charge.pending payment_intent.processing"),
        (O::Unknown, "processing", "submitted", false, "payment_intent.processing"),
    ] {
        let (mut p, mut a) = in_flight();
        let applied = apply_authorise(&mut p, &mut a, &outcome, NOW);
        let told: Vec<&str> = applied.events.iter().map(|e| e.as_str()).collect();
        assert_eq!(
            (p.status.as_str(), a.status.as_str(), a.listed, told.join(" ").as_str()),
            (status, attempt_status, listed, events),
            "{outcome:?}"
        );
        assert!(p.operation.is_none() && applied.changed, "{outcome:?}");
    }
}

#[test]
fn a_second_answer_changes_nothing() {
    let answers =
        [approval(true), approval(false), AuthoriseOutcome::Declined(decline()), AuthoriseOutcome::NotFound];
    for first in &answers {
        for second in &answers {
            let (mut p, mut a) = in_flight();
            apply_authorise(&mut p, &mut a, first, NOW);
            let before = format!("{p:?}{a:?}");
            let applied = apply_authorise(&mut p, &mut a, second, NOW);
            assert!(!applied.changed && applied.posting.is_none() && applied.events.is_empty());
            assert_eq!(format!("{p:?}{a:?}"), before);
        }
    }
}

#[test]
fn an_answer_for_an_attempt_that_was_replaced_changes_nothing() {
    let (mut p, mut a) = in_flight();
    p.latest_attempt = Some(AttemptId(crate::id::Core([9; 12])));
    assert!(!apply_authorise(&mut p, &mut a, &approval(true), NOW).changed);
}

#[test]
fn the_unknown_is_asked_about_again_and_then_known() {
    let (mut p, mut a) = in_flight();
    assert!(apply_authorise(&mut p, &mut a, &AuthoriseOutcome::Unknown, NOW).ask_again.is_some());
    let again = apply_authorise(&mut p, &mut a, &AuthoriseOutcome::Unknown, NOW);
    assert!(!again.changed && again.ask_again.is_some() && again.events.is_empty());
    assert!(apply_authorise(&mut p, &mut a, &approval(true), NOW).changed);
    assert_eq!(p.status, PaymentStatus::Succeeded);
}

#[test]
fn a_capture_ends_the_hold_once_and_a_refused_one_leaves_it() {
    let mut p = payment(PaymentStatus::RequiresCapture, 1_000);
    p.amount_capturable = 1_000;
    let mut a = attempt(&p, AttemptStatus::Authorised);
    assert_eq!(
        capture_amount(&p, Some(1_001)),
        Err(Refusal::CaptureTooLarge { asked: 1_001, capturable: 1_000 })
    );
    begin_capture(&mut p, 700, 9);
    let refused = ChangeOutcome::Refused { reason: "expired".to_owned() };
    apply_change(&mut p, &mut a, OperationKind::Capture, &refused, NOW);
    assert_eq!((p.status, p.amount_capturable, p.operation), (PaymentStatus::RequiresCapture, 1_000, None));
    begin_capture(&mut p, 700, 9);
    apply_change(&mut p, &mut a, OperationKind::Capture, &ChangeOutcome::Unknown, NOW);
    assert_eq!(p.status, PaymentStatus::Processing);
    assert!(!apply_change(&mut p, &mut a, OperationKind::Void, &ChangeOutcome::Done, NOW).changed);
    let applied = apply_change(&mut p, &mut a, OperationKind::Capture, &ChangeOutcome::Done, NOW);
    assert_eq!(applied.posting, Some(Posting::Capture { held: 1_000, captured: 700, fee: 9 }));
    assert_eq!((p.status, p.amount_received, p.amount_capturable), (PaymentStatus::Succeeded, 700, 0));
    assert!(!apply_change(&mut p, &mut a, OperationKind::Capture, &ChangeOutcome::Done, NOW).changed);
}

#[test]
fn a_method_must_fit() {
    let mut p = payment(PaymentStatus::RequiresPaymentMethod, 1_000);
    assert_eq!(method_fits(&p, &method()), Ok(()));
    let mut used = method();
    used.used_up = true;
    assert_eq!(method_fits(&p, &used), Err(Refusal::MethodUsedUp));
    let mut owned = method();
    owned.customer = Some(CustomerId(crate::id::Core([7; 12])));
    assert_eq!(method_fits(&p, &owned), Err(Refusal::MethodOfOtherCustomer { payment_has_customer: false }));
    p.currency = Currency::USD;
    assert!(matches!(method_fits(&p, &method()), Err(Refusal::CurrencyNotSupported { .. })));
    p.currency = Currency::EUR;
    p.capture_method = CaptureMethod::Manual;
    assert!(matches!(method_fits(&p, &method()), Err(Refusal::ManualCaptureNotSupported { .. })));
    p.details.payment_method_types = vec![MethodKind::Card];
    assert!(matches!(method_fits(&p, &method()), Err(Refusal::MethodKindNotAllowed { .. })));
}
