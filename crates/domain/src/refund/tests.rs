use super::*;
use crate::samples::payment;
use proptest::prelude::*;

/// A captured payment of 1,000 with a fee of 54.
fn captured(pending: i64, refunded: i64, shortfall: i64) -> Payment {
    let mut p = payment(PaymentStatus::Succeeded, 1_000);
    p.amount_received = 1_000;
    p.amount_refunded = refunded;
    p.pending_balance = pending;
    p.fee = 54;
    p.refund_shortfall = shortfall;
    p
}

#[test]
fn how_much() {
    let check = |p: &Payment, asked, expected| assert_eq!(amount(p, asked), expected);
    check(&captured(946, 0, 0), None, Ok(1_000));
    check(&captured(946, 300, 0), None, Ok(700));
    check(&captured(946, 300, 0), Some(701), Err(RefundRefusal::TooLarge { asked: 701, left: 700 }));
    check(&captured(946, 1_000, 0), Some(1), Err(RefundRefusal::AlreadyRefunded));
    let open = payment(PaymentStatus::RequiresCapture, 1_000);
    check(&open, None, Err(RefundRefusal::NotCaptured { status: PaymentStatus::RequiresCapture }));
    let mut surcharged = captured(946, 0, 0);
    (surcharged.amount, surcharged.surcharge) = (900, 100);
    check(&surcharged, None, Ok(900));
}

#[test]
fn where_from() {
    for (pending, shortfall, asked, available, below_zero, expected) in [
        (946, 0, 900, 0, false, Ok((900, 0, 0))),
        (946, 0, 1_000, 0, false, Ok((946, 54, 54))),
        (946, 0, 1_000, 500, false, Ok((946, 54, 0))),
        (0, 0, 1_000, 1_000, false, Ok((0, 1_000, 0))),
        (0, 0, 1_000, 946, false, Ok((0, 1_000, 54))),
        (0, 0, 1_000, 945, false, Err(1)),
        (0, 54, 100, 0, false, Err(100)),
        (0, 30, 24, -500, false, Ok((0, 24, 24))),
        (0, 30, 25, -500, false, Err(1)),
        (0, 54, 1_000, -500, true, Ok((0, 1_000, 1_000))),
    ] {
        let p = captured(pending, 0, shortfall);
        let planned = plan(&p, asked, available, below_zero);
        let expected = expected
            .map(|(from_pending, from_available, shortfall)| RefundPlan {
                amount: asked,
                from_pending,
                from_available,
                shortfall,
            })
            .map_err(|short| RefundRefusal::BalanceInsufficient { short });
        assert_eq!(planned, expected, "pending {pending}, asked {asked}, available {available}");
    }
}

proptest! {
    /// Whatever is refunded in whatever slices, the parts add up, the pending part never goes below
    /// zero, and available never below zero by more than the kept fee.
    #[test]
    fn slices_never_overdraw(slices in proptest::collection::vec(1i64..400, 1..20), start in 0i64..2_000) {
        let mut p = captured(946, 0, 0);
        let mut available = start;
        for asked in slices {
            let Ok(asked) = amount(&p, Some(asked)) else { continue };
            let Ok(plan) = plan(&p, asked, available, false) else { continue };
            prop_assert_eq!(plan.from_pending + plan.from_available, asked);
            p.pending_balance -= plan.from_pending;
            p.amount_refunded += asked;
            p.refund_shortfall += plan.shortfall;
            available -= plan.from_available;
            prop_assert!(p.pending_balance >= 0);
            prop_assert!(available >= -p.fee);
            prop_assert!(p.amount_refunded <= p.amount_received);
        }
    }
}

#[test]
fn an_ended_refund_stays_as_it_is() {
    let outcomes = [
        ChangeOutcome::Done,
        ChangeOutcome::Refused { reason: "declined".to_owned() },
        ChangeOutcome::NotFound,
        ChangeOutcome::Unknown,
    ];
    for status in [RefundStatus::Succeeded, RefundStatus::Failed, RefundStatus::Canceled] {
        for outcome in &outcomes {
            let mut r = crate::ledger::recipes::sample_refund(100, 60);
            r.status = status;
            assert_eq!(apply(&mut r, outcome), RefundChange::None);
            assert_eq!(r.status, status);
        }
    }
}
