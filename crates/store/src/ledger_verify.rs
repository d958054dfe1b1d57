//! Rechecks from the rows everything that must always be true of the books.

use crate::error::StoreError;
use crate::ledger::{JOURNAL_COLUMNS, first_id, journal_row, wall_clock};
use crate::params;
use crate::tx::{Param, Row, Tx};
use domain::id::{AttemptId, Core, JournalId, MerchantId, PaymentId, PayoutId, RefundId, TypedId};
use domain::ledger::AccountKind;
use domain::limits::EVENTS_KEPT_US;
use domain::time::HOUR;

/// Offending rows named per check; the rest are only counted.
const NAMED: usize = 20;

/// The result of one check.
#[derive(Clone, Debug)]
pub struct Check {
    /// What must hold, in a sentence.
    pub rule: &'static str,
    /// How many things were looked at.
    pub counted: i64,
    /// How many break the rule.
    pub broken: usize,
    /// The first of them, named.
    pub offenders: Vec<String>,
}

/// Runs every check in one consistent read.
pub fn verify(tx: &mut Tx<'_>) -> Result<Vec<Check>, StoreError> {
    tx.allow_long_statements()?;
    let mut checks = Vec::new();
    for rule in RULES {
        checks.push(check(tx, rule, &[])?);
    }
    let with_events = first_id(wall_clock().plus(EVENT_MARGIN_US - EVENTS_KEPT_US));
    for rule in EVENT_RULES {
        checks.push(check(tx, rule, params![with_events])?);
    }
    for rule in crate::figures::RULES {
        checks.push(check(tx, rule, &[])?);
    }
    checks.push(floors(tx)?);
    checks.push(seals(tx)?);
    Ok(checks)
}

fn check(
    tx: &mut Tx<'_>,
    (rule, count, broken): &(&'static str, &str, &str),
    params: &[Param<'_>],
) -> Result<Check, StoreError> {
    let counted = tx.one(count, params, |r| r.next())?;
    let mut check = Check { rule, counted, broken: 0, offenders: Vec::new() };
    tx.each(broken, params, |row| {
        check.broken += 1;
        if check.offenders.len() < NAMED {
            check.offenders.push(name(row)?);
        }
        Ok(())
    })?;
    Ok(check)
}

/// An offender is a kind of id, its bytes, and a figure.
fn name(row: &mut Row<'_>) -> Result<String, StoreError> {
    let kind: String = row.next()?;
    let id: Option<Vec<u8>> = row.next()?;
    let figure: Option<i64> = row.next()?;
    let core = id.as_deref().and_then(Core::from_slice);
    let shown = match (kind.as_str(), core) {
        ("journal", Some(c)) => JournalId(c).to_string(),
        ("payment", Some(c)) => PaymentId(c).to_string(),
        ("attempt", Some(c)) => AttemptId(c).to_string(),
        ("refund", Some(c)) => RefundId(c).to_string(),
        ("payout", Some(c)) => PayoutId(c).to_string(),
        ("merchant", Some(c)) => MerchantId(c).to_string(),
        (other, Some(c)) => format!("{other} {}", c.base62()),
        (other, None) => other.to_owned(),
    };
    Ok(figure.map_or(shown.clone(), |n| format!("{shown} ({n})")))
}

/// Rule, a query that counts what is looked at, and one that finds what breaks it as
/// (kind of id, id, figure).
const RULES: &[(&str, &str, &str)] = &[
    (
        "every journal sums to zero and has at least two lines",
        "SELECT COUNT(*) FROM journals",
        "SELECT 'journal', j.id, CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) FROM journals j \
         LEFT JOIN entries e ON e.journal = j.id GROUP BY j.id \
         HAVING COALESCE(SUM(e.amount), 0) <> 0 OR COUNT(e.line) < 2",
    ),
    (
        "every entry belongs to a journal",
        "SELECT COUNT(*) FROM entries",
        "SELECT 'journal', e.journal, e.amount FROM entries e \
         WHERE NOT EXISTS (SELECT 1 FROM journals j WHERE j.id = e.journal)",
    ),
    (
        "no entry joins two merchants, modes or currencies",
        "SELECT COUNT(*) FROM entries",
        "SELECT 'journal', j.id, e.amount FROM entries e JOIN journals j ON j.id = e.journal \
         LEFT JOIN ledger_accounts a ON a.id = e.account WHERE a.id IS NULL OR a.merchant <> j.merchant \
         OR a.live <> j.live OR a.currency <> j.currency",
    ),
    (
        "debits equal credits in every mode and currency",
        "SELECT COUNT(*) FROM (SELECT DISTINCT live, currency FROM ledger_accounts) AS books",
        "SELECT a.currency, NULL, CAST(SUM(e.amount) AS BIGINT) FROM entries e \
         JOIN ledger_accounts a ON a.id = e.account GROUP BY a.live, a.currency HAVING SUM(e.amount) <> 0",
    ),
    (
        "every balance (folded and open) equals the sum of its entries",
        "SELECT COUNT(*) FROM ledger_accounts",
        "SELECT a.kind, a.merchant, CAST(a.folded_debit - a.folded_credit + COALESCE(d.s, 0) - COALESCE(e.s, 0) \
         AS BIGINT) FROM ledger_accounts a \
         LEFT JOIN (SELECT account, SUM(amount) AS s FROM account_deltas GROUP BY account) d ON d.account = a.id \
         LEFT JOIN (SELECT account, SUM(amount) AS s FROM entries GROUP BY account) e ON e.account = a.id \
         WHERE a.folded_debit - a.folded_credit + COALESCE(d.s, 0) <> COALESCE(e.s, 0)",
    ),
    (
        "one journal per kind, object and number",
        "SELECT COUNT(*) FROM journals",
        "SELECT object, NULL, CAST(COUNT(*) AS BIGINT) FROM journals GROUP BY merchant, live, object, kind, n \
         HAVING COUNT(*) > 1",
    ),
    (
        "no attempt captures more than it authorised, nor refunds more than it captured",
        "SELECT COUNT(*) FROM attempts",
        "SELECT 'attempt', id, amount_captured FROM attempts \
         WHERE amount_captured > amount OR amount_refunded > amount_captured",
    ),
    (
        "what a payment received is what its attempts captured",
        "SELECT COUNT(*) FROM payments",
        "SELECT 'payment', p.id, p.amount_received FROM payments p LEFT JOIN (SELECT payment, \
         SUM(amount_captured) AS s FROM attempts GROUP BY payment) a ON a.payment = p.id \
         WHERE p.amount_received <> COALESCE(a.s, 0)",
    ),
    (
        "a payment's refunds (pending and succeeded) sum to what it says, and never exceed the capture",
        "SELECT COUNT(*) FROM refunds",
        "SELECT 'payment', p.id, p.amount_refunded FROM payments p LEFT JOIN (SELECT payment, SUM(amount) AS s \
         FROM refunds WHERE status IN ('pending', 'succeeded') GROUP BY payment) r ON r.payment = p.id \
         WHERE p.amount_refunded <> COALESCE(r.s, 0) OR p.amount_refunded > p.amount_received",
    ),
    (
        "every captured payment has exactly one journal that took the money, and no other payment has one",
        "SELECT COUNT(*) FROM payments WHERE amount_received > 0",
        "SELECT 'payment', p.id, CAST(COUNT(j.id) AS BIGINT) FROM payments p JOIN attempts a ON a.payment = p.id \
         LEFT JOIN journals j ON j.id = a.journal AND j.kind IN ('sale', 'capture', \
         'off_platform_received') GROUP BY p.id, p.amount_received \
         HAVING COUNT(j.id) <> CASE WHEN p.amount_received > 0 THEN 1 ELSE 0 END",
    ),
    (
        "a captured attempt is in its payment's currency, and an automatic capture took all of it",
        "SELECT COUNT(*) FROM attempts WHERE amount_captured > 0",
        "SELECT 'attempt', a.id, a.amount_captured FROM attempts a JOIN payments p ON p.id = a.payment \
         WHERE a.amount_captured > 0 AND (a.currency <> p.currency OR (p.capture_method <> 'manual' \
         AND a.amount_captured <> p.amount + p.surcharge))",
    ),
    (
        "every open authorisation is held once: memo holds equal what is capturable",
        "SELECT COUNT(*) FROM payments WHERE amount_capturable > 0",
        "SELECT a.currency, a.merchant, CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) FROM ledger_accounts a \
         LEFT JOIN entries e ON e.account = a.id WHERE a.kind = 'memo_auth_open' \
         GROUP BY a.id, a.currency, a.merchant, a.live HAVING COALESCE(SUM(e.amount), 0) <> \
         COALESCE((SELECT SUM(p.amount_capturable) FROM payments p WHERE p.merchant = a.merchant \
         AND p.live = a.live AND p.currency = a.currency), 0)",
    ),
    (
        "what merchants hold off the platform is what was paid and not given back there",
        "SELECT COUNT(*) FROM ledger_accounts WHERE kind = 'memo_off_platform'",
        "SELECT a.currency, a.merchant, CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) FROM ledger_accounts a \
         LEFT JOIN entries e ON e.account = a.id WHERE a.kind = 'memo_off_platform' \
         GROUP BY a.id, a.currency, a.merchant, a.live HAVING COALESCE(SUM(e.amount), 0) <> \
         COALESCE((SELECT SUM(t.amount_captured - t.amount_refunded) FROM attempts t JOIN providers p \
         ON p.id = t.provider WHERE p.connector = 'off_platform' AND t.merchant = a.merchant \
         AND t.live = a.live AND t.currency = a.currency), 0)",
    ),
    (
        "what went past us changed no balance",
        "SELECT COUNT(*) FROM attempts a JOIN providers p ON p.id = a.provider WHERE p.connector = 'off_platform'",
        "SELECT 'attempt', t.id, t.amount_captured FROM attempts t JOIN providers p ON p.id = t.provider \
         LEFT JOIN journals j ON j.id = t.journal WHERE j.id IS NOT NULL \
         AND (p.connector = 'off_platform') <> (j.kind = 'off_platform_received') \
         UNION ALL SELECT 'refund', r.id, r.amount FROM refunds r JOIN attempts t ON t.id = r.attempt \
         JOIN providers p ON p.id = t.provider LEFT JOIN journals j ON j.id = r.journal \
         WHERE (p.connector = 'off_platform') <> (r.off_platform = 1) \
         OR (p.connector = 'off_platform') <> (COALESCE(j.kind, '') = 'off_platform_returned')",
    ),
    (
        "what payments have pending is what the merchant has pending",
        "SELECT COUNT(*) FROM ledger_accounts WHERE kind = 'merchant_pending'",
        "SELECT a.currency, a.merchant, CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) FROM ledger_accounts a \
         LEFT JOIN entries e ON e.account = a.id WHERE a.kind = 'merchant_pending' \
         GROUP BY a.id, a.currency, a.merchant, a.live HAVING -COALESCE(SUM(e.amount), 0) <> \
         COALESCE((SELECT SUM(p.pending_balance) FROM payments p WHERE p.merchant = a.merchant \
         AND p.live = a.live AND p.currency = a.currency), 0)",
    ),
    (
        "pending refunds are what is in refund transit",
        "SELECT COUNT(*) FROM ledger_accounts WHERE kind = 'refund_transit'",
        "SELECT a.currency, a.merchant, CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) FROM ledger_accounts a \
         LEFT JOIN entries e ON e.account = a.id WHERE a.kind = 'refund_transit' \
         GROUP BY a.id, a.currency, a.merchant, a.live HAVING -COALESCE(SUM(e.amount), 0) <> \
         COALESCE((SELECT SUM(r.amount) FROM refunds r WHERE r.merchant = a.merchant AND r.live = a.live \
         AND r.currency = a.currency AND r.status = 'pending'), 0)",
    ),
    (
        "open payouts, with their fees, are what is in payout transit",
        "SELECT COUNT(*) FROM ledger_accounts WHERE kind = 'payout_transit'",
        "SELECT a.currency, a.merchant, CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) FROM ledger_accounts a \
         LEFT JOIN entries e ON e.account = a.id WHERE a.kind = 'payout_transit' \
         GROUP BY a.id, a.currency, a.merchant, a.live HAVING -COALESCE(SUM(e.amount), 0) <> \
         COALESCE((SELECT SUM(p.amount + p.fee) FROM payouts p WHERE p.merchant = a.merchant AND p.live = a.live \
         AND p.currency = a.currency AND p.status IN ('pending', 'in_transit')), 0)",
    ),
    (
        "every payout has the journal that took amount and fee, and, once it ended, the one of its end",
        "SELECT COUNT(*) FROM payouts",
        "SELECT 'payout', p.id, p.amount FROM payouts p \
         LEFT JOIN journals b ON b.id = p.journal AND b.kind = 'payout_created' \
         LEFT JOIN journals c ON c.id = p.closing_journal AND c.kind = 'payout_' || p.status AND c.object = b.object \
         WHERE b.id IS NULL OR (c.id IS NULL) <> (p.status IN ('pending', 'in_transit')) \
         OR (SELECT COALESCE(SUM(e.amount), 0) FROM entries e JOIN ledger_accounts a ON a.id = e.account \
         WHERE e.journal = p.journal AND a.kind = 'payout_transit') <> -(p.amount + p.fee)",
    ),
    (
        "no payout has two ends",
        "SELECT COUNT(*) FROM payouts WHERE closing_journal IS NOT NULL",
        "SELECT object, NULL, CAST(COUNT(*) AS BIGINT) FROM journals \
         WHERE kind IN ('payout_paid', 'payout_failed', 'payout_canceled') GROUP BY merchant, live, object \
         HAVING COUNT(*) > 1",
    ),
    (
        "what left a bank is what its paid payouts say",
        "SELECT COUNT(*) FROM ledger_accounts WHERE kind = 'bank'",
        "SELECT a.currency, a.merchant, CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) FROM ledger_accounts a \
         LEFT JOIN entries e ON e.account = a.id WHERE a.kind = 'bank' \
         GROUP BY a.id, a.currency, a.merchant, a.live, a.owner HAVING -COALESCE(SUM(e.amount), 0) <> \
         COALESCE((SELECT SUM(p.amount) FROM payouts p WHERE p.merchant = a.merchant AND p.live = a.live \
         AND p.currency = a.currency AND p.provider = a.owner AND p.status = 'paid'), 0)",
    ),
    (
        "every payment with a page has its checkout",
        "SELECT COUNT(*) FROM payments WHERE checkout = 1",
        "SELECT 'payment', p.id, NULL FROM payments p WHERE p.checkout = 1 \
         AND NOT EXISTS (SELECT 1 FROM checkouts c WHERE c.payment = p.id)",
    ),
    (
        "every Gate purchase is found by its uuid",
        "SELECT COUNT(*) FROM gate_transactions WHERE payment IS NOT NULL",
        "SELECT 'payment', t.payment, NULL FROM gate_transactions t WHERE t.payment IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM checkouts c WHERE c.payment = t.payment AND c.code = t.uuid)",
    ),
    (
        "every attempt and refund of a Gate transaction has its operation, and no operation stands for two",
        "SELECT COUNT(*) FROM gate_operations",
        "SELECT 'attempt', a.id, NULL FROM attempts a JOIN gate_transactions t ON t.payment = a.payment \
         WHERE NOT EXISTS (SELECT 1 FROM gate_operations o WHERE o.object = a.id AND o.transaction_number = t.number) \
         UNION ALL SELECT 'refund', r.id, NULL FROM refunds r JOIN gate_transactions t ON t.payment = r.payment \
         WHERE NOT EXISTS (SELECT 1 FROM gate_operations o WHERE o.object = r.id AND o.transaction_number = t.number)",
    ),
    (
        "a merchant's balance transactions sum to pending and available",
        "SELECT COUNT(*) FROM balance_transactions",
        "SELECT b.currency, b.merchant, CAST(b.s + COALESCE(l.s, 0) AS BIGINT) FROM (SELECT merchant, live, currency, \
         SUM(net) AS s FROM balance_transactions GROUP BY merchant, live, currency) b LEFT JOIN (SELECT a.merchant, \
         a.live, a.currency, SUM(e.amount) AS s FROM entries e JOIN ledger_accounts a ON a.id = e.account \
         WHERE a.kind IN ('merchant_pending', 'merchant_available') GROUP BY a.merchant, a.live, a.currency) l \
         ON l.merchant = b.merchant AND l.live = b.live AND l.currency = b.currency WHERE b.s <> -COALESCE(l.s, 0)",
    ),
];

/// The same for events, which are removed after a while: `?1` is the first id that a payment can have whose
/// events are all still there.
const EVENT_RULES: &[(&str, &str, &str)] = &[
    (
        "every payment has its created event, as long as events are kept",
        "SELECT COUNT(*) FROM payments WHERE id >= ?1",
        "SELECT 'payment', p.id, NULL FROM payments p LEFT JOIN events e ON e.object = p.id \
         AND e.type = 'payment_intent.created' WHERE p.id >= ?1 AND e.id IS NULL",
    ),
    (
        "every payment that ended has exactly one event that says so, as long as events are kept",
        "SELECT COUNT(*) FROM payments WHERE status IN ('succeeded', 'canceled') AND id >= ?1",
        "SELECT 'payment', p.id, CAST(COUNT(e.id) AS BIGINT) FROM payments p LEFT JOIN events e \
         ON e.object = p.id AND e.type IN ('payment_intent.succeeded', 'payment_intent.canceled') \
         GROUP BY p.id, p.status HAVING COUNT(e.id) > CASE WHEN p.status IN ('succeeded', 'canceled') \
         THEN 1 ELSE 0 END OR (p.id >= ?1 AND COUNT(e.id) < CASE WHEN p.status IN ('succeeded', 'canceled') \
         THEN 1 ELSE 0 END)",
    ),
    (
        "every payout has its created event, and exactly one that says how it ended, as long as events are kept",
        "SELECT COUNT(*) FROM payouts WHERE id >= ?1",
        "SELECT 'payout', p.id, CAST(COUNT(e.id) AS BIGINT) FROM payouts p LEFT JOIN events e ON e.object = p.id \
         AND e.type IN ('payout.created', 'payout.paid', 'payout.failed', 'payout.canceled') WHERE p.id >= ?1 \
         GROUP BY p.id, p.status HAVING COUNT(e.id) <> CASE WHEN p.status IN ('pending', 'in_transit') THEN 1 ELSE 2 END \
         OR SUM(CASE WHEN e.type = 'payout.created' THEN 1 ELSE 0 END) <> 1 \
         OR SUM(CASE WHEN e.type = 'payout.' || p.status THEN 1 ELSE 0 END) <> COUNT(e.id) - 1",
    ),
];

/// Room for events that are removed while the books are checked, and for clocks that differ a little.
const EVENT_MARGIN_US: i64 = HOUR;

fn floors(tx: &mut Tx<'_>) -> Result<Check, StoreError> {
    let mut check =
        Check { rule: "no account with a floor is below it", counted: 0, broken: 0, offenders: Vec::new() };
    let sql = "SELECT a.kind, a.merchant, CAST(COALESCE(SUM(e.amount), 0) AS BIGINT) FROM ledger_accounts a \
        LEFT JOIN entries e ON e.account = a.id GROUP BY a.id, a.kind, a.merchant";
    tx.each(sql, &[], |row| {
        let kind: AccountKind = row.next()?;
        let merchant: MerchantId = row.next()?;
        let debits: i64 = row.next()?;
        if kind.never_negative() {
            check.counted += 1;
            let balance = if kind.debit_normal() { debits } else { -debits };
            if balance < 0 {
                check.broken += 1;
                check.offenders.push(format!("{kind} of {merchant} ({balance})"));
            }
        }
        Ok(())
    })?;
    Ok(check)
}

/// Walks the chain of seals: gapless from 1, each digest right, in journal order, nothing skipped.
fn seals(tx: &mut Tx<'_>) -> Result<Check, StoreError> {
    let mut check = Check {
        rule: "the seals are gapless, in order and match the journals they cover",
        counted: 0,
        broken: 0,
        offenders: Vec::new(),
    };
    let fault = |check: &mut Check, what: String| {
        check.broken += 1;
        if check.offenders.len() < NAMED {
            check.offenders.push(what);
        }
    };
    let (mut seq, mut previous, mut last) = (0i64, Vec::new(), Core([0; 12]));
    loop {
        let batch: Vec<(i64, Core, Vec<u8>, Vec<u8>)> = tx.all(
            "SELECT seq, journal, prev_hash, hash FROM journal_seals WHERE seq > ?1 ORDER BY seq LIMIT 1000",
            params![seq],
            |r| Ok((r.next()?, r.next()?, r.next()?, r.next()?)),
        )?;
        if batch.is_empty() {
            break;
        }
        for (n, journal, prev, hash) in batch {
            check.counted += 1;
            if n != seq + 1 || journal <= last || prev != previous {
                fault(&mut check, format!("seal {n} does not follow seal {seq}"));
            }
            let sql = format!("SELECT {JOURNAL_COLUMNS} FROM journals WHERE id = ?1");
            match tx.opt(&sql, params![journal], journal_row)? {
                None => fault(&mut check, format!("seal {n}: {} is missing", JournalId::from_core(journal))),
                Some(row) => {
                    if row.digest(tx, &prev, n)?.as_slice() != hash {
                        fault(&mut check, format!("seal {n}: {} was changed", JournalId::from_core(journal)));
                    }
                }
            }
            (seq, previous, last) = (n, hash, journal);
        }
    }
    let skipped = tx.all(
        "SELECT j.id FROM journals j WHERE j.id <= ?1 AND NOT EXISTS (SELECT 1 FROM journal_seals s \
         WHERE s.journal = j.id) LIMIT 100",
        &[Param::Id(last.0)],
        |r| r.next::<Core>(),
    )?;
    for journal in skipped {
        fault(&mut check, format!("{} was skipped by the seals", JournalId::from_core(journal)));
    }
    Ok(check)
}
