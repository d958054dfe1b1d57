//! Bulk exports: a merchant's data and its audit log, page by page, one at a time for each organisation.
//!
//! A page is one short read. Between two nothing is held but the place where the next one begins, so an export of
//! any size costs a page of memory, and whoever reads it slowly keeps no transaction open. Each export is told
//! of in the audit log before its first row.

use crate::error::Error;
use crate::{By, Engine};
use domain::audit::AuditKind;
use domain::balance::BalanceTransaction;
use domain::export::{ExportKind, ExportRows, SealedEntry};
use domain::id::{AuditId, Core, MerchantId};
use domain::limits::{EXPORT_PAGE, EXPORT_ROWS, EXPORT_SECONDS};
use domain::period::Period;
use domain::scope::Scope;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use store::audit::AuditQuery;
use store::balance::BalanceSpan;
use store::exports::Place;

/// Whose exports are under way in this process; `None` is one of the whole instance.
#[derive(Default)]
pub(crate) struct UnderWay(Mutex<HashSet<Option<MerchantId>>>);

/// A place among the exports under way, given back when it is dropped.
struct Slot {
    engine: Engine,
    whose: Option<MerchantId>,
    ends: Instant,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.engine.exports.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.whose);
    }
}

impl Slot {
    fn check_time(&self) -> Result<(), Error> {
        if Instant::now() < self.ends {
            return Ok(());
        }
        Err(Error::Conflict {
            code: "export_too_slow",
            message: format!(
                "The export was not read within {EXPORT_SECONDS} seconds. Ask for less time at once."
            ),
        })
    }
}

/// Rows of one kind, being handed out.
pub struct Export {
    slot: Slot,
    scope: Scope,
    kind: ExportKind,
    period: Period,
    next: Option<Place>,
    left: i64,
}

impl Export {
    pub fn kind(&self) -> ExportKind {
        self.kind
    }

    /// The next rows; `None` behind the last.
    ///
    /// # Errors
    /// When the database fails, or the export takes too long. What was handed out by then is incomplete, and
    /// the receiver has to be told so.
    pub async fn next_page(&mut self) -> Result<Option<ExportRows>, Error> {
        self.slot.check_time()?;
        let Some(after) = self.next else { return Ok(None) };
        if self.left <= 0 {
            return Err(too_many());
        }
        let (scope, kind, period) = (self.scope, self.kind, self.period);
        let page = self
            .slot
            .engine
            .store
            .read(move |tx| {
                Ok::<_, Error>(store::exports::page(tx, scope, kind, &period, after, EXPORT_PAGE)?)
            })
            .await?;
        self.left -= EXPORT_PAGE;
        self.next = page.next;
        Ok(Some(page.rows))
    }
}

/// Entries of the audit log with their seals, being handed out.
pub struct AuditExport {
    slot: Slot,
    asked: AuditQuery,
    after: Option<AuditId>,
    left: i64,
}

impl AuditExport {
    /// The next entries, oldest first; `None` behind the last.
    ///
    /// # Errors
    /// As [`Export::next_page`].
    pub async fn next_page(&mut self) -> Result<Option<Vec<SealedEntry>>, Error> {
        self.slot.check_time()?;
        let Some(after) = self.after else { return Ok(None) };
        if self.left <= 0 {
            return Err(too_many());
        }
        let asked = self.asked.clone();
        let rows = self
            .slot
            .engine
            .store
            .read(move |tx| Ok::<_, Error>(store::audit::sealed(tx, &asked, after, EXPORT_PAGE)?))
            .await?;
        self.left -= EXPORT_PAGE;
        let full = i64::try_from(rows.len()).is_ok_and(|n| n >= EXPORT_PAGE);
        self.after = rows.last().map(|row| row.entry.id).filter(|_| full);
        Ok(Some(rows))
    }
}

/// A merchant's balance transactions, being handed out.
pub struct BalanceExport {
    slot: Slot,
    scope: Scope,
    span: BalanceSpan,
    last: Option<BalanceTransaction>,
    ended: bool,
}

impl BalanceExport {
    /// The next rows, oldest first; `None` behind the last.
    ///
    /// # Errors
    /// As [`Export::next_page`].
    pub async fn next_page(&mut self) -> Result<Option<Vec<BalanceTransaction>>, Error> {
        self.slot.check_time()?;
        if self.ended {
            return Ok(None);
        }
        let (scope, span, last) = (self.scope, self.span, self.last.take());
        let rows = self
            .slot
            .engine
            .store
            .read(move |tx| {
                Ok::<_, Error>(store::balance::behind(tx, scope, &span, last.as_ref(), EXPORT_PAGE)?)
            })
            .await?;
        self.ended = i64::try_from(rows.len()).is_ok_and(|n| n < EXPORT_PAGE);
        self.last = rows.last().cloned();
        Ok(Some(rows))
    }
}

fn too_many() -> Error {
    let message = format!("There are more than {EXPORT_ROWS} rows in this time. Ask for less time at once.");
    Error::invalid("from", "export_too_large", message)
}

impl Engine {
    fn export_slot(&self, whose: Option<MerchantId>) -> Result<Slot, Error> {
        let free = self.exports.0.lock().unwrap_or_else(PoisonError::into_inner).insert(whose);
        if !free {
            return Err(Error::Conflict {
                code: "export_running",
                message: "Another export of this organisation is under way. Wait until it has ended."
                    .to_owned(),
            });
        }
        Ok(Slot { engine: self.clone(), whose, ends: Instant::now() + Duration::from_secs(EXPORT_SECONDS) })
    }

    /// Begins to hand out rows of a merchant and mode.
    ///
    /// # Errors
    /// [`Error::Conflict`] `export_running` while another export of the merchant is under way in this process;
    /// [`Error::Invalid`] `export_too_large` for more than [`EXPORT_ROWS`] rows.
    pub async fn export(
        &self,
        scope: Scope,
        by: By,
        kind: ExportKind,
        period: Period,
    ) -> Result<Export, Error> {
        let slot = self.export_slot(Some(scope.merchant))?;
        let count = self
            .store
            .read(move |tx| Ok::<_, Error>(store::exports::count(tx, scope, kind, &period, EXPORT_ROWS + 1)?))
            .await?;
        if count > EXPORT_ROWS {
            return Err(too_many());
        }
        self.tell_of_export(Some(scope), by, kind.to_string(), count, Some(period)).await?;
        let next = Some(Place::start(&period));
        // Rows that come meanwhile are handed out, too.
        Ok(Export { slot, scope, kind, period, next, left: 2 * EXPORT_ROWS })
    }

    /// Begins to hand out the audit log of a merchant and mode, or of the whole instance.
    ///
    /// # Errors
    /// As [`Engine::export`].
    pub async fn export_audit(&self, by: By, asked: AuditQuery) -> Result<AuditExport, Error> {
        let slot = self.export_slot(asked.scope.map(|s| s.merchant))?;
        let counted = asked.clone();
        let count = self
            .store
            .read(move |tx| Ok::<_, Error>(store::audit::count(tx, &counted, EXPORT_ROWS + 1)?))
            .await?;
        if count > EXPORT_ROWS {
            return Err(too_many());
        }
        self.tell_of_export(asked.scope, by, "audit_log".to_owned(), count, None).await?;
        Ok(AuditExport { slot, asked, after: Some(AuditId(Core([0; 12]))), left: 2 * EXPORT_ROWS })
    }

    /// Begins to hand out balance transactions of a merchant and mode, however many there are.
    ///
    /// # Errors
    /// [`Error::Conflict`] `export_running` while another export of the merchant is under way in this process.
    pub async fn export_balance(
        &self,
        scope: Scope,
        by: By,
        span: BalanceSpan,
    ) -> Result<BalanceExport, Error> {
        let slot = self.export_slot(Some(scope.merchant))?;
        let engine = self.clone();
        let whose = (Some(scope.merchant), Some(scope.mode));
        self.store
            .write(move |tx| {
                engine.audit_by(tx, &by, AuditKind::DataExported, whose, "balance", "balance transactions")
            })
            .await?;
        Ok(BalanceExport { slot, scope, span, last: None, ended: false })
    }

    async fn tell_of_export(
        &self,
        scope: Option<Scope>,
        by: By,
        what: String,
        rows: i64,
        period: Option<Period>,
    ) -> Result<(), Error> {
        let engine = self.clone();
        let days =
            period.map_or_else(String::new, |p| format!(" from {} to {}", p.first_day(), p.last_day()));
        let detail = format!("{rows} rows{days}");
        let whose = (scope.map(|s| s.merchant), scope.map(|s| s.mode));
        self.store
            .write(move |tx| engine.audit_by(tx, &by, AuditKind::DataExported, whose, &what, detail.clone()))
            .await
    }
}
