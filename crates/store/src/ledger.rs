//! Journals, balances, folding and seals.
//!
//! Balances. Every entry also inserts a delta row, so that an account which every payment touches is
//! never one locked row. A debit that must respect a floor locks the account's own row and sums
//! folded totals and deltas under it; two such debits of one account therefore wait for each other,
//! while credits never wait. A job folds deltas into the totals under the same lock, by deleting and
//! adding up the very rows it deletes, so a delta that commits meanwhile is simply left for later.
//!
//! Seals. A journal's id carries the millisecond in which it was made. [`post`] refuses an id older
//! than [`POST_WITHIN_US`], and the sealer stays [`SEAL_LAG_US`] behind the clock: below that mark
//! nothing can still commit, so seals can follow id order without gaps.

use crate::error::StoreError;
use crate::params;
use crate::tx::{Param, ToParam, Tx};
use domain::balance::CurrencyBalance;
use domain::currency::Currency;
use domain::id::{Core, JournalId};
use domain::ledger::{
    AccountKey, AccountKind, JournalDraft, PostedEntry, PostedJournal, SealedJournal, seal_digest,
};
use domain::scope::Scope;
use domain::time::{MINUTE, Timestamp};
use std::fmt::Write;

/// How old a journal's id may be when it is written.
pub const POST_WITHIN_US: i64 = 2 * MINUTE;
/// How far behind the clock the sealer stays.
pub const SEAL_LAG_US: i64 = 5 * MINUTE;

pub(crate) fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The first id that can be made at an instant.
pub fn first_id(at: Timestamp) -> Core {
    Core::new(u64::try_from(at.0 / 1_000).unwrap_or(0), [0; 6])
}

/// Wall-clock instant in an id, to the millisecond.
pub fn id_instant(core: Core) -> Timestamp {
    let millis = core.0[..6].iter().fold(0i64, |n, b| (n << 8) | i64::from(*b));
    Timestamp(millis.saturating_mul(1_000))
}

/// Writes a balanced journal with its entries and deltas. The same event of the same object a second
/// time is a conflict, so money cannot be posted twice.
pub fn post(
    tx: &mut Tx<'_>,
    draft: &JournalDraft,
    id: JournalId,
    recorded_at: Timestamp,
) -> Result<(), StoreError> {
    draft
        .check()
        .map_err(|e| StoreError::Defect(format!("journal {} of {}: {e}", draft.kind, draft.object)))?;
    if wall_clock().0.saturating_sub(id_instant(id.0).0) > POST_WITHIN_US {
        return Err(StoreError::Unavailable("a posting waited too long for the database".to_owned()));
    }
    let accounts: Vec<(i64, AccountKey)> = draft.lines.iter().map(|l| (l.account.id(), l.account)).collect();
    ensure_accounts(tx, &accounts)?;
    tx.execute(
        "INSERT INTO journals (id, merchant, live, currency, kind, object, n, effective_at, recorded_at, reverses) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NULL)",
        params![
            id,
            draft.scope.merchant,
            draft.scope.mode,
            draft.currency,
            draft.kind,
            draft.object,
            draft.n,
            draft.effective_at,
            recorded_at,
        ],
    )?;
    let lines: Vec<(i64, i64, i64)> = draft
        .lines
        .iter()
        .zip(&accounts)
        .zip(1..)
        .map(|((line, (id, _)), n)| (n, *id, line.amount))
        .collect();
    let entries: Vec<Param<'_>> = lines
        .iter()
        .flat_map(|(n, account, amount)| [id.param(), n.param(), account.param(), amount.param()])
        .collect();
    tx.execute(
        &values("INSERT INTO entries (journal, line, account, amount) VALUES", 4, lines.len()),
        &entries,
    )?;
    tx.execute(
        &values("INSERT INTO account_deltas (journal, line, account, amount) VALUES", 4, lines.len()),
        &entries,
    )?;
    Ok(())
}

/// `head (?1, …), (…), …` for `rows` rows of `width` values.
fn values(head: &str, width: usize, rows: usize) -> String {
    let mut sql = head.to_owned();
    for row in 0..rows {
        sql.push_str(if row == 0 { " " } else { ", " });
        markers(&mut sql, row * width, width);
    }
    sql
}

/// Appends `(?n, …)`: `count` markers behind the first `before`.
fn markers(sql: &mut String, before: usize, count: usize) {
    for column in 0..count {
        sql.push_str(if column == 0 { "(" } else { ", " });
        // Writing to a string cannot fail.
        let _ = write!(sql, "?{}", before + column + 1);
    }
    sql.push(')');
}

/// Opens those accounts that do not exist yet. Nearly always all do, so they are counted first: that is
/// one statement on the way of every posting, and no row is written for nothing.
fn ensure_accounts(tx: &mut Tx<'_>, accounts: &[(i64, AccountKey)]) -> Result<(), StoreError> {
    let mut ids: Vec<i64> = accounts.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut sql = "SELECT COUNT(*) FROM ledger_accounts WHERE id IN ".to_owned();
    markers(&mut sql, 0, ids.len());
    let wanted: Vec<Param<'_>> = ids.iter().map(ToParam::param).collect();
    let known: i64 = tx.one(&sql, &wanted, |r| r.next())?;
    if usize::try_from(known) == Ok(ids.len()) {
        return Ok(());
    }
    for (id, account) in accounts {
        tx.execute(
            "INSERT INTO ledger_accounts (id, merchant, live, currency, kind, owner, folded_debit, folded_credit) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0) ON CONFLICT (id) DO NOTHING",
            params![id, account.scope.merchant, account.scope.mode, account.currency, account.kind, account.owner],
        )?;
    }
    Ok(())
}

/// Balance of an account (debits less credits), read under its lock: until the transaction ends no
/// other debit with a floor can pass. The account is created if need be.
pub fn lock_balance(tx: &mut Tx<'_>, account: AccountKey) -> Result<i64, StoreError> {
    ensure_accounts(tx, &[(account.id(), account)])?;
    let folded: i64 = tx.one(
        "SELECT folded_debit - folded_credit FROM ledger_accounts WHERE id = ?1 /* for update */",
        params![account.id()],
        |r| r.next(),
    )?;
    let open: i64 = tx.one(
        "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM account_deltas WHERE account = ?1",
        params![account.id()],
        |r| r.next(),
    )?;
    Ok(folded + open)
}

/// What a merchant has, per currency, sorted by currency. Liabilities are shown positive.
pub fn merchant_balances(tx: &mut Tx<'_>, scope: Scope) -> Result<Vec<CurrencyBalance>, StoreError> {
    let rows: Vec<(Currency, AccountKind, i64)> = tx.all(
        "SELECT a.currency, a.kind, CAST(a.folded_credit - a.folded_debit - COALESCE((SELECT SUM(d.amount) \
         FROM account_deltas d WHERE d.account = a.id), 0) AS BIGINT) FROM ledger_accounts a \
         WHERE a.merchant = ?1 AND a.live = ?2 \
         AND a.kind IN ('merchant_pending', 'merchant_available', 'refund_transit') ORDER BY a.currency, a.kind",
        params![scope.merchant, scope.mode],
        |r| Ok((r.next()?, r.next()?, r.next()?)),
    )?;
    let mut balances: Vec<CurrencyBalance> = Vec::new();
    for (currency, kind, amount) in rows {
        if balances.last().is_none_or(|b| b.currency != currency) {
            balances.push(CurrencyBalance { currency, pending: 0, available: 0, refund_transit: 0 });
        }
        let Some(balance) = balances.last_mut() else { continue };
        match kind {
            AccountKind::MerchantPending => balance.pending = amount,
            AccountKind::MerchantAvailable => balance.available = amount,
            AccountKind::RefundTransit => balance.refund_transit = amount,
            AccountKind::AcquirerReceivable
            | AccountKind::PayoutTransit
            | AccountKind::Bank
            | AccountKind::FeeProcessing
            | AccountKind::FeePayout
            | AccountKind::AuthOpen
            | AccountKind::AuthContra
            | AccountKind::OffPlatform
            | AccountKind::OffPlatformContra => {}
        }
    }
    Ok(balances)
}

/// An account with at least `many` open deltas, the one with most first.
pub fn account_to_fold(tx: &mut Tx<'_>, many: i64) -> Result<Option<i64>, StoreError> {
    tx.opt(
        "SELECT account FROM account_deltas GROUP BY account HAVING COUNT(*) >= ?1 ORDER BY COUNT(*) DESC LIMIT 1",
        params![many],
        |r| r.next(),
    )
}

/// Folds up to `limit` deltas of an account; how many there were.
pub fn fold(tx: &mut Tx<'_>, account: i64, limit: i64) -> Result<usize, StoreError> {
    tx.one("SELECT id FROM ledger_accounts WHERE id = ?1 /* for update */", params![account], |r| {
        r.next::<i64>()
    })?;
    let amounts: Vec<i64> = tx.all(
        "DELETE FROM account_deltas WHERE account = ?1 AND (journal, line) IN (SELECT journal, line \
         FROM account_deltas WHERE account = ?1 ORDER BY journal, line LIMIT ?2) RETURNING amount",
        params![account, limit],
        |r| r.next(),
    )?;
    let debit: i64 = amounts.iter().filter(|a| **a > 0).sum();
    let credit: i64 = amounts.iter().filter(|a| **a < 0).map(|a| -a).sum();
    tx.execute(
        "UPDATE ledger_accounts SET folded_debit = folded_debit + ?1, folded_credit = folded_credit + ?2 WHERE id = ?3",
        params![debit, credit, account],
    )?;
    Ok(amounts.len())
}

/// The newest journal's id, so that ids never go back behind it after a restart with a wrong clock.
pub fn newest_journal(tx: &mut Tx<'_>) -> Result<Option<JournalId>, StoreError> {
    tx.opt("SELECT id FROM journals ORDER BY id DESC LIMIT 1", &[], |r| r.next())
}

/// A journal's facts as its seal covers them.
pub(crate) struct JournalRow {
    pub id: Core,
    pub merchant: Core,
    pub live: bool,
    pub currency: String,
    pub kind: String,
    pub object: String,
    pub n: i64,
    pub effective_at: i64,
    pub recorded_at: i64,
}

pub(crate) const JOURNAL_COLUMNS: &str =
    "id, merchant, live, currency, kind, object, n, effective_at, recorded_at";

pub(crate) fn journal_row(row: &mut crate::tx::Row<'_>) -> Result<JournalRow, StoreError> {
    Ok(JournalRow {
        id: row.next()?,
        merchant: row.next()?,
        live: row.next()?,
        currency: row.next()?,
        kind: row.next()?,
        object: row.next()?,
        n: row.next()?,
        effective_at: row.next()?,
        recorded_at: row.next()?,
    })
}

impl JournalRow {
    pub(crate) fn digest(&self, tx: &mut Tx<'_>, previous: &[u8], seq: i64) -> Result<[u8; 32], StoreError> {
        let entries: Vec<(i64, i64)> = tx.all(
            "SELECT account, amount FROM entries WHERE journal = ?1 ORDER BY line",
            params![self.id],
            |r| Ok((r.next()?, r.next()?)),
        )?;
        let sealed = SealedJournal {
            id: self.id,
            merchant: self.merchant,
            live: self.live,
            currency: &self.currency,
            kind: &self.kind,
            object: &self.object,
            n: self.n,
            effective_at: self.effective_at,
            recorded_at: self.recorded_at,
            entries: &entries,
        };
        Ok(seal_digest(previous, seq, &sealed))
    }
}

/// The journals about one object, by its shown id, oldest first, with their entries.
pub fn journals_of(
    tx: &mut Tx<'_>,
    scope: Scope,
    object: &str,
    limit: i64,
) -> Result<Vec<PostedJournal>, StoreError> {
    let sql = "SELECT id, kind, currency, effective_at FROM journals WHERE object = ?1 AND merchant = ?2 AND live = ?3 \
               ORDER BY id LIMIT ?4";
    let mut journals = tx.all(sql, params![object, scope.merchant, scope.mode, limit], |r| {
        Ok(PostedJournal {
            id: r.next()?,
            kind: r.next()?,
            currency: r.next()?,
            effective_at: r.next()?,
            entries: Vec::new(),
        })
    })?;
    for journal in &mut journals {
        let sql = "SELECT a.kind, e.amount FROM entries e JOIN ledger_accounts a ON a.id = e.account \
                   WHERE e.journal = ?1 ORDER BY e.line";
        journal.entries =
            tx.all(sql, params![journal.id], |r| Ok(PostedEntry { account: r.next()?, amount: r.next()? }))?;
    }
    Ok(journals)
}

/// Seals up to `limit` journals made before `mark`, in id order; how many. The caller holds the
/// sealer's lease, so there is one chain.
pub fn seal(tx: &mut Tx<'_>, mark: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let last: Option<(i64, Core, Vec<u8>)> =
        tx.opt("SELECT seq, journal, hash FROM journal_seals ORDER BY seq DESC LIMIT 1", &[], |r| {
            Ok((r.next()?, r.next()?, r.next()?))
        })?;
    let (mut seq, after, mut previous) = last.unwrap_or((0, Core([0; 12]), Vec::new()));
    let before = first_id(mark);
    let sql =
        format!("SELECT {JOURNAL_COLUMNS} FROM journals WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3");
    let journals = tx.all(&sql, params![after, before, limit], journal_row)?;
    for journal in &journals {
        seq += 1;
        let hash = journal.digest(tx, &previous, seq)?;
        tx.execute(
            "INSERT INTO journal_seals (seq, journal, prev_hash, hash) VALUES (?1, ?2, ?3, ?4)",
            params![seq, journal.id, previous, hash],
        )?;
        previous = hash.to_vec();
    }
    Ok(journals.len())
}
