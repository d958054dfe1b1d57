//! `bench dashboard`: how long figures take to ask for, whatever is stored.

use super::figures::Latencies;
use super::pattern;
use crate::{Db, Kind, TestApp};
use anyhow::{Context, Result};
use domain::date::Date;
use domain::figures::Grouping;
use domain::limits::{FIGURES_TAIL_ROWS, RANGE_DAYS};
use domain::period::Period;
use domain::time::DAY;
use engine::figures::FiguresFilter;
use std::time::Instant;

/// Times that each question is put.
const ASKED: u32 = 50;

/// What to measure.
#[derive(Clone, Debug)]
pub struct DashboardOptions {
    pub engines: Vec<Kind>,
    /// Payments stored, one run each.
    pub payments: Vec<u64>,
}

/// Prints how long figures of a year take, folded and with as many rows to be folded as are looked at.
///
/// # Errors
/// When something cannot be measured, or the figures are wrong.
pub async fn run(options: &DashboardOptions) -> Result<bool> {
    for kind in &options.engines {
        for payments in &options.payments {
            measure(*kind, *payments).await?;
        }
    }
    Ok(true)
}

async fn measure(kind: Kind, payments: u64) -> Result<()> {
    println!("{kind:?}, {payments} payments over {RANGE_DAYS} days");
    let db = Db::new(kind).await;
    let app = TestApp::start(&db).await;
    pattern::pay(&app, "first").await?;
    let started = Instant::now();
    pattern::preload(&app.store, payments).await?;
    app.store
        .write(|tx| store::bench::spread_over_days(tx, RANGE_DAYS - 1))
        .await
        .map_err(anyhow::Error::from)?;
    println!("  preload      {} s", started.elapsed().as_secs());
    let late = ask(&app, "tail").await?;
    anyhow::ensure!(
        i128::from(late) == i128::from(payments + 1).min(i128::from(FIGURES_TAIL_ROWS)),
        "{late} payments shown"
    );
    let (started, mut batches) = (Instant::now(), 0u64);
    let mark = app.engine.now().plus(DAY);
    while app.engine.fold_figures(mark).await.map_err(|e| anyhow::anyhow!("{e:?}"))? > 0 {
        batches += 1;
    }
    println!("  folding      {} s, {batches} commits", started.elapsed().as_secs());
    let all = ask(&app, "folded").await?;
    anyhow::ensure!(i128::from(all) == i128::from(payments) + 1, "{all} payments shown");
    Ok(())
}

/// Asks for the figures of all days; how many payments they show.
async fn ask(app: &TestApp, name: &str) -> Result<i64> {
    let today = Date::of_instant(app.engine.now());
    let period = Period::of_days(Date::from_days(today.days() - RANGE_DAYS + 1), today)?;
    let filter = FiguresFilter { period, currency: None, provider: None, by: Grouping::Day };
    let (mut took, mut shown) = (Latencies::default(), 0);
    for _ in 0..ASKED {
        let started = Instant::now();
        let report = app.engine.figures(app.scope(), filter).await.map_err(|e| anyhow::anyhow!("{e:?}"))?;
        took.add(started.elapsed());
        shown = report.totals.values().next().context("no figures")?.payments;
    }
    took.sort();
    println!("  {name:<12} {took}");
    Ok(shown)
}
