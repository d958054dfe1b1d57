//! Figures by day: folded in the background, and shown with what is too young to be folded.

use crate::Engine;
use crate::error::Error;
use domain::currency::Currency;
use domain::figures::{Figures, FiguresGroup};
use domain::id::ProviderId;
use domain::limits::BULK_ROWS;
use domain::scope::Scope;
use domain::time::{MICROS, Timestamp};
use std::collections::BTreeMap;
pub use store::figures::FiguresFilter;
use store::figures::Source;

const FOLDER: &str = "figures";
const LEASE_US: i64 = 30 * MICROS;

/// What a merchant took, gave back and paid in fees.
#[derive(Clone, Debug)]
pub struct FiguresReport {
    /// Everything made until then is in.
    pub as_of: Timestamp,
    pub groups: BTreeMap<FiguresGroup, Figures>,
    /// All groups of a currency together.
    pub totals: BTreeMap<Currency, Figures>,
    /// Names of the providers that groups name.
    pub providers: BTreeMap<ProviderId, String>,
}

impl Engine {
    /// Folds into figures what was made before `mark`, at most [`BULK_ROWS`] rows of each source, if this node
    /// holds the lease. How many rows of the source that had most.
    ///
    /// Rows below the mark change no more, so they are read and added up beside the writer; the commit holds
    /// the cursor and the sums.
    pub async fn fold_figures(&self, mark: Timestamp) -> Result<usize, Error> {
        let mut most = 0;
        for source in Source::ALL {
            let read = move |tx: &mut store::Tx<'_>| {
                Ok::<_, Error>(store::figures::read_batch(tx, source, mark, BULK_ROWS)?)
            };
            let Some(batch) = self.store.read(read).await? else { continue };
            let (node, rows) = (self.node, batch.rows);
            let stored = self
                .store
                .write(move |tx| {
                    let now = crate::wall_clock();
                    // Right without the lease, too: it keeps nodes from reading the same rows for nothing.
                    Ok::<_, Error>(
                        store::jobs::lease(tx, FOLDER, node, now, now.plus(LEASE_US))?
                            && store::figures::store_batch(tx, &batch)?,
                    )
                })
                .await?;
            if stored {
                most = most.max(rows);
            }
        }
        Ok(most)
    }

    /// Figures of a merchant and mode.
    ///
    /// # Errors
    /// [`Error::Missing`] when the filter names a provider of somebody else.
    pub async fn figures(&self, scope: Scope, filter: FiguresFilter) -> Result<FiguresReport, Error> {
        self.store
            .read(move |tx| {
                if let Some(id) = filter.provider
                    && store::providers::get(tx, scope, id)?.is_none()
                {
                    return Err(Error::missing("providerId", "provider", id));
                }
                let now = crate::wall_clock();
                let shown = store::figures::list(tx, scope, &filter)?;
                let mut report = FiguresReport {
                    as_of: shown.until.map_or(now, |until| until.min(now)),
                    groups: shown.groups,
                    totals: BTreeMap::new(),
                    providers: BTreeMap::new(),
                };
                for (group, figures) in &report.groups {
                    let total = report.totals.entry(group.currency).or_default();
                    total.add(figures).map_err(|e| Error::Internal(e.to_string()))?;
                }
                let named: Vec<ProviderId> = report.groups.keys().filter_map(|g| g.provider).collect();
                for id in named {
                    if !report.providers.contains_key(&id)
                        && let Some(provider) = store::providers::get(tx, scope, id)?
                    {
                        report.providers.insert(id, provider.name);
                    }
                }
                Ok(report)
            })
            .await
    }
}
