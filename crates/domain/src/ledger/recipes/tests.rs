use super::*;
use crate::id::{AttemptId, Core, JournalId, RefundId};
use crate::ledger::{AccountKind, JournalDraft};
use crate::payment::PaymentStatus;
use crate::refund::{Refund, RefundStatus};
use crate::samples::{NOW, payment, payout, provider, scope};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A refund of `amount`, `from_pending` of it from the payment's pending part.
pub(crate) fn sample_refund(amount: i64, from_pending: i64) -> Refund {
    let p = payment(PaymentStatus::Succeeded, amount);
    Refund {
        id: RefundId(Core([1; 12])),
        scope: scope(),
        payment: p.id,
        attempt: AttemptId(Core([2; 12])),
        amount,
        currency: p.currency,
        status: RefundStatus::Pending,
        reason: None,
        failure_reason: None,
        from_pending,
        shortfall: 0,
        journal: JournalId(Core([3; 12])),
        failure_journal: None,
        off_platform: false,
        metadata: Vec::new(),
        clock: None,
        created_at: NOW,
    }
}

/// Balances by account kind, debits positive.
#[derive(Default)]
struct Books(BTreeMap<&'static str, i64>);

impl Books {
    fn post(&mut self, draft: JournalDraft) {
        draft.check().expect("a balanced journal");
        for line in draft.lines {
            *self.0.entry(line.account.kind.as_str()).or_default() += line.amount;
        }
    }

    #[track_caller]
    fn expect(&self, kind: AccountKind, credit: i64) {
        let signed = if kind.debit_normal() { credit } else { -credit };
        assert_eq!(self.0.get(kind.as_str()).copied().unwrap_or(0), signed, "{kind}");
    }
}

/// The worked example of docs/ledger.md.
#[test]
fn the_worked_example() {
    use AccountKind as K;
    let p = payment(PaymentStatus::Succeeded, 10_000);
    let mut books = Books::default();
    books.post(authorise(&p, 10_000, 10_000, NOW));
    books.expect(K::AuthOpen, 10_000);
    books.post(capture(&p, provider(), 10_000, 8_000, 257, NOW));
    books.expect(K::AuthOpen, 0);
    books.expect(K::AcquirerReceivable, 8_000);
    books.expect(K::MerchantPending, 7_743);
    books.expect(K::FeeProcessing, 257);
    books.post(available(&p, 7_743, NOW));
    books.expect(K::MerchantPending, 0);
    books.expect(K::MerchantAvailable, 7_743);
    let refund = sample_refund(3_000, 0);
    books.post(refund_created(&refund, NOW));
    books.expect(K::RefundTransit, 3_000);
    books.post(refund_succeeded(&refund, provider(), NOW));
    books.expect(K::RefundTransit, 0);
    books.expect(K::MerchantAvailable, 4_743);
    books.expect(K::AcquirerReceivable, 5_000);
    let failing = sample_refund(1_000, 0);
    books.post(refund_created(&failing, NOW));
    books.post(refund_failed(&failing, NOW));
    books.expect(K::MerchantAvailable, 4_743);
    let paid = payout(3_000, 25);
    books.post(payout_created(&paid, NOW));
    books.expect(K::MerchantAvailable, 1_718);
    books.expect(K::PayoutTransit, 3_025);
    books.expect(K::FeePayout, 0);
    books.post(payout_paid(&paid, NOW));
    books.expect(K::PayoutTransit, 0);
    books.expect(K::Bank, -3_000);
    books.expect(K::FeePayout, 25);
    for put_back in [payout_failed, payout_canceled] {
        let back = payout(1_000, 25);
        books.post(payout_created(&back, NOW));
        books.expect(K::MerchantAvailable, 693);
        books.post(put_back(&back, NOW));
        books.expect(K::MerchantAvailable, 1_718);
        books.expect(K::PayoutTransit, 0);
        books.expect(K::FeePayout, 25);
    }
    assert_eq!(books.0.values().sum::<i64>(), 0);
}

#[test]
fn a_released_hold_leaves_nothing() {
    let p = payment(PaymentStatus::RequiresCapture, 500);
    let mut books = Books::default();
    books.post(authorise(&p, 500, 500, NOW));
    books.post(authorise(&p, 200, 700, NOW));
    books.post(release(&p, 700, NOW));
    assert!(books.0.values().all(|v| *v == 0));
}

proptest! {
    #[test]
    fn every_recipe_balances(total in 1i64..1_000_000_000_000, a in 0.0f64..1.0, b in 0.0f64..1.0, at_once: bool) {
        // Shares of the total as integers; the floats only choose them.
        #[allow(clippy::float_arithmetic, reason = "choosing test inputs, not computing money")]
        let share = |of: i64, f: f64| ((of as f64) * f) as i64;
        let captured = share(total - 1, a) + 1;
        let fee = share(captured, b);
        let p = payment(PaymentStatus::Succeeded, total);
        prop_assert!(sale(&p, provider(), captured, fee, at_once, NOW).check().is_ok());
        prop_assert!(capture(&p, provider(), total, captured, fee, NOW).check().is_ok());
        prop_assert!(authorise(&p, total, 1, NOW).check().is_ok());
        prop_assert!(release(&p, total, NOW).check().is_ok());
        let refund = sample_refund(captured, fee);
        prop_assert!(refund_created(&refund, NOW).check().is_ok());
        prop_assert!(refund_succeeded(&refund, provider(), NOW).check().is_ok());
        prop_assert!(refund_failed(&refund, NOW).check().is_ok());
        prop_assert!(off_platform_received(&p, captured, NOW).check().is_ok());
        prop_assert!(off_platform_returned(&refund, NOW).check().is_ok());
        let payout = payout(captured, fee);
        for recipe in [payout_created, payout_paid, payout_failed, payout_canceled] {
            prop_assert!(recipe(&payout, NOW).check().is_ok());
        }
    }
}

#[test]
fn a_journal_that_is_none_is_refused() {
    use crate::ledger::{JournalKind, Unbalanced};
    let p = payment(PaymentStatus::Succeeded, 100);
    let empty = JournalDraft::new(p.scope, p.currency, JournalKind::Sale, p.id, NOW);
    assert_eq!(empty.check(), Err(Unbalanced::TooFew));
    let lame = empty.clone().debit(AccountKind::AuthOpen, 5).credit(AccountKind::AuthContra, 4);
    assert_eq!(lame.check(), Err(Unbalanced::Sum(1)));
    let mut foreign = empty.debit(AccountKind::AuthOpen, 5).credit(AccountKind::AuthContra, 5);
    foreign.lines[0].account.scope.mode = crate::scope::Mode::Live;
    assert_eq!(foreign.check(), Err(Unbalanced::Foreign));
}
