//! What a merchant took, gave back and paid in fees, added up by day: the figures of a dashboard.
//!
//! Everything is counted once, on the UTC day on which it was posted or became known, so a day that is over
//! does not change any more: money when its balance transaction is written, a failure when the provider has
//! said no.

use crate::balance::{BalanceKind, BalanceTransaction};
use crate::currency::Currency;
use crate::date::Date;
use crate::id::ProviderId;
use crate::text_enum;

/// Sums of one currency, in minor units, and the numbers behind them. None is below zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Payments captured, each at its one capture, whole or partial.
    pub payments: i64,
    /// What these captures took from payers, surcharges included.
    pub volume: i64,
    /// Processing fees kept on these captures. Refunds give none back.
    pub fees: i64,
    /// Attempts that a provider or an issuer refused. One that was never received, was given up, or lapsed is
    /// none.
    pub failed: i64,
    /// Refunds made, whether the provider has answered or not: the money left the merchant's balance.
    pub refunds: i64,
    pub refunded: i64,
    /// Refunds that failed afterwards and put their money back.
    pub refunds_failed: i64,
    pub returned: i64,
}

/// The figures' sum does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the figures of a day are larger than can be stored")]
pub struct TooLarge;

impl Figures {
    /// One refused attempt.
    pub const FAILURE: Figures = Figures {
        payments: 0,
        volume: 0,
        fees: 0,
        failed: 1,
        refunds: 0,
        refunded: 0,
        refunds_failed: 0,
        returned: 0,
    };

    /// What a balance transaction adds; `None` for payouts, which are no business with payers.
    pub fn of(b: &BalanceTransaction) -> Option<Figures> {
        let none = Figures::default();
        match b.kind {
            BalanceKind::Charge | BalanceKind::Payment => {
                Some(Figures { payments: 1, volume: b.amount, fees: b.fee, ..none })
            }
            BalanceKind::Refund => Some(Figures { refunds: 1, refunded: -b.amount, ..none }),
            BalanceKind::RefundFailure => Some(Figures { refunds_failed: 1, returned: b.amount, ..none }),
            BalanceKind::Payout | BalanceKind::PayoutFailure | BalanceKind::PayoutCancel => None,
        }
    }

    /// Adds other figures of the same currency.
    ///
    /// # Errors
    /// [`TooLarge`]; nothing is added then.
    pub fn add(&mut self, other: &Figures) -> Result<(), TooLarge> {
        let sum = |a: i64, b: i64| a.checked_add(b).ok_or(TooLarge);
        *self = Figures {
            payments: sum(self.payments, other.payments)?,
            volume: sum(self.volume, other.volume)?,
            fees: sum(self.fees, other.fees)?,
            failed: sum(self.failed, other.failed)?,
            refunds: sum(self.refunds, other.refunds)?,
            refunded: sum(self.refunded, other.refunded)?,
            refunds_failed: sum(self.refunds_failed, other.refunds_failed)?,
            returned: sum(self.returned, other.returned)?,
        };
        Ok(())
    }

    /// Payments of a hundred that ended well or badly, in hundredths, half up: 9750 is 97.5 %. `None` when
    /// there was neither.
    pub fn success_basis_points(&self) -> Option<i64> {
        let ended = i128::from(self.payments) + i128::from(self.failed);
        if ended == 0 {
            return None;
        }
        i64::try_from((i128::from(self.payments) * 20_000 + ended) / (2 * ended)).ok()
    }
}

text_enum! {
    /// By what figures are shown, besides the currency: amounts of two are never added up.
    pub enum Grouping { Day = "day", Provider = "provider" }
}

/// What figures are kept for, within a merchant and mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FiguresKey {
    pub day: Date,
    pub currency: Currency,
    pub provider: ProviderId,
}

/// Figures as they are shown: of a day or of a provider, whichever is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FiguresGroup {
    pub day: Option<Date>,
    pub provider: Option<ProviderId>,
    pub currency: Currency,
}

impl FiguresKey {
    /// The group that figures of this key belong to.
    pub const fn group(&self, by: Grouping) -> FiguresGroup {
        let (day, provider) = match by {
            Grouping::Day => (Some(self.day), None),
            Grouping::Provider => (None, Some(self.provider)),
        };
        FiguresGroup { day, provider, currency: self.currency }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Core, JournalId, MerchantId};
    use crate::scope::{Mode, Scope};
    use crate::time::Timestamp;

    fn row(kind: BalanceKind, amount: i64, fee: i64) -> BalanceTransaction {
        BalanceTransaction {
            journal: JournalId(Core([1; 12])),
            scope: Scope { merchant: MerchantId(Core([2; 12])), mode: Mode::Test },
            kind,
            currency: Currency::EUR,
            amount,
            fee,
            source: String::new(),
            available_on: Timestamp(0),
            available: true,
            created_at: Timestamp(0),
        }
    }

    #[test]
    fn every_kind_counts_where_it_belongs() {
        let none = Figures::default();
        for (kind, amount, fee, expected) in [
            (BalanceKind::Charge, 1000, 54, Some(Figures { payments: 1, volume: 1000, fees: 54, ..none })),
            (BalanceKind::Payment, 700, 0, Some(Figures { payments: 1, volume: 700, ..none })),
            (BalanceKind::Refund, -300, 0, Some(Figures { refunds: 1, refunded: 300, ..none })),
            (BalanceKind::RefundFailure, 300, 0, Some(Figures { refunds_failed: 1, returned: 300, ..none })),
            (BalanceKind::Payout, -500, 25, None),
            (BalanceKind::PayoutFailure, 500, -25, None),
            (BalanceKind::PayoutCancel, 500, -25, None),
        ] {
            assert_eq!(Figures::of(&row(kind, amount, fee)), expected, "{kind}");
        }
    }

    #[test]
    fn sums_are_checked() {
        let mut sum = Figures { volume: i64::MAX - 1, ..Figures::default() };
        let one = Figures { volume: 1, failed: 1, ..Figures::default() };
        assert_eq!(sum.add(&one), Ok(()));
        assert_eq!(sum.add(&one), Err(TooLarge));
        assert_eq!((sum.volume, sum.failed), (i64::MAX, 1), "nothing was added");
    }

    #[test]
    fn success_is_a_share_of_what_ended() {
        for (payments, failed, rate) in [
            (0, 0, None),
            (0, 1, Some(0)),
            (1, 0, Some(10_000)),
            (1, 1, Some(5_000)),
            (2, 1, Some(6_667)),
            (1, 2, Some(3_333)),
            (39, 1, Some(9_750)),
            (i64::MAX, i64::MAX, Some(5_000)),
        ] {
            let figures = Figures { payments, failed, ..Figures::default() };
            assert_eq!(figures.success_basis_points(), rate, "{payments} and {failed}");
        }
    }
}
