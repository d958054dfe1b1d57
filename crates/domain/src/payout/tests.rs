use super::*;
use crate::samples::{NOW, payout};
use proptest::prelude::*;

#[test]
fn how_much_can_be_paid_out() {
    let short = |short| Err(PayoutRefusal::BalanceInsufficient { short });
    let range = |asked| Err(PayoutRefusal::AmountOutOfRange { asked });
    for (amount, fee, available, expected) in [
        (1_000, 0, 1_000, Ok(1_000)),
        (1_000, 0, 999, short(1)),
        (975, 25, 1_000, Ok(1_000)),
        (976, 25, 1_000, short(1)),
        (1, 0, 0, short(1)),
        (1, 0, -500, short(501)),
        (0, 0, 1_000, range(0)),
        (-5, 0, 1_000, range(-5)),
        (MAX_AMOUNT + 1, 0, i64::MAX, range(MAX_AMOUNT + 1)),
        (MAX_AMOUNT, i64::MAX, i64::MAX, range(MAX_AMOUNT)),
        (1, 0, i64::MIN, short(i64::MAX)),
    ] {
        assert_eq!(begin(amount, fee, available), expected, "{amount} + {fee} of {available}");
    }
}

proptest! {
    /// Whatever is paid out in whatever slices, available never goes below zero.
    #[test]
    fn slices_never_overdraw(slices in proptest::collection::vec((1i64..400, 0i64..30), 1..30), start in -500i64..3_000) {
        let mut available = start;
        for (amount, fee) in slices {
            match begin(amount, fee, available) {
                Ok(total) => {
                    prop_assert_eq!(total, amount + fee);
                    available -= total;
                    prop_assert!(available >= 0);
                }
                Err(PayoutRefusal::BalanceInsufficient { short }) => {
                    prop_assert!(short > 0 && begin(amount, fee, available + short).is_ok());
                }
                Err(other) => prop_assert!(false, "{:?}", other),
            }
        }
    }
}

fn outcomes() -> Vec<PayoutOutcome> {
    vec![
        PayoutOutcome::Paid,
        PayoutOutcome::Accepted { check_at: NOW },
        PayoutOutcome::InTransit { check_at: NOW },
        PayoutOutcome::Failed { code: "no_account".to_owned(), message: "none".to_owned() },
        PayoutOutcome::Canceled,
        PayoutOutcome::Unknown,
        PayoutOutcome::NotFound,
    ]
}

#[test]
fn answers_by_status() {
    use PayoutChange as C;
    use PayoutStatus as S;
    let check = |from: S, call, outcome: &PayoutOutcome, change: C, to: S| {
        let mut p = payout(1_000, 25);
        (p.status, p.call) = (from, call);
        assert_eq!(apply(&mut p, outcome, NOW), change, "{from}: {outcome:?}");
        let silent = matches!(outcome, PayoutOutcome::Unknown | PayoutOutcome::NotFound);
        assert_eq!((p.status, p.call), (to, if silent { call } else { None }), "{from}: {outcome:?}");
    };
    let from_pending = [
        (C::Paid, S::Paid),
        (C::None, S::Pending),
        (C::Sent, S::InTransit),
        (C::Failed, S::Failed),
        (C::Canceled, S::Canceled),
        (C::None, S::Pending),
        (C::None, S::Pending),
    ];
    for call in [Some(PayoutCall::Send), Some(PayoutCall::Cancel), None] {
        for (outcome, (change, to)) in outcomes().iter().zip(from_pending) {
            check(S::Pending, call, outcome, change, to);
        }
    }
    // On its way it does not go back to pending, and says so once.
    check(S::InTransit, None, &PayoutOutcome::Accepted { check_at: NOW }, C::None, S::InTransit);
    check(S::InTransit, None, &PayoutOutcome::InTransit { check_at: NOW }, C::None, S::InTransit);
    check(S::InTransit, None, &PayoutOutcome::Paid, C::Paid, S::Paid);
}

#[test]
fn an_ended_payout_stays_as_it_is() {
    for status in [PayoutStatus::Paid, PayoutStatus::Failed, PayoutStatus::Canceled] {
        for outcome in outcomes() {
            let mut p = payout(1_000, 25);
            (p.status, p.call) = (status, None);
            assert_eq!(apply(&mut p, &outcome, NOW), PayoutChange::None);
            assert_eq!(p.status, status);
            let paid = (status == PayoutStatus::Paid, outcome == PayoutOutcome::Paid);
            let ends = matches!(
                outcome,
                PayoutOutcome::Paid | PayoutOutcome::Failed { .. } | PayoutOutcome::Canceled
            );
            assert_eq!(contradicts(&p, &outcome), ends && paid.0 != paid.1, "{status}: {outcome:?}");
        }
    }
}

#[test]
fn only_a_pending_payout_that_was_answered_can_be_canceled() {
    let mut p = payout(1_000, 0);
    p.call = Some(PayoutCall::Send);
    assert_eq!(begin_cancel(&mut p), Err(PayoutRefusal::Busy));
    p.call = None;
    assert_eq!(begin_cancel(&mut p), Ok(()));
    assert_eq!((p.status, p.call), (PayoutStatus::Pending, Some(PayoutCall::Cancel)));
    assert_eq!(begin_cancel(&mut p), Err(PayoutRefusal::Busy));
    for status in PayoutStatus::ALL.iter().filter(|s| **s != PayoutStatus::Pending) {
        (p.status, p.call) = (*status, None);
        assert_eq!(begin_cancel(&mut p), Err(PayoutRefusal::NotPending { status: *status }));
    }
}

#[test]
fn account_numbers() {
    for (text, number, country) in [
        ("DE89 3704 0044 0532 0130 00", "DE89370400440532013000", Some("DE")),
        ("gb29nwbk60161331926819", "GB29NWBK60161331926819", Some("GB")),
        ("000123456789", "000123456789", None),
        ("12-3456-7890123-00", "123456789012300", None),
        ("TR330006100519786457841326", "TR330006100519786457841326", None),
    ] {
        let account = AccountNumber::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        assert_eq!((account.expose(), account.country()), (number, country));
        assert!(number.ends_with(account.last4()) && account.last4().len() == 4);
        assert!(!format!("{account:?}").contains(&number[..number.len() - 4]));
    }
    for (text, error) in [
        ("", AccountError::Format),
        ("123", AccountError::Format),
        ("1234\n5678", AccountError::Format),
        ("12345678é", AccountError::Format),
        (&"1".repeat(35), AccountError::Format),
        ("4242424242424242", AccountError::Card),
        ("DE88370400440532013000", AccountError::Iban(IbanError::Checksum)),
        ("DE8937040044053201300", AccountError::Iban(IbanError::Length { expected: 22 })),
    ] {
        assert_eq!(AccountNumber::parse(text), Err(error), "{text:?}");
    }
}
