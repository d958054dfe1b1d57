//! H1–H4: the merchant's balance.

use crate::error::ApiError;
use crate::expand::{Object, Where};
use crate::render;
use crate::request::{Answer, Request, created, expand_paths, page_query};
use domain::balance::{BalanceKind, BalanceTransaction};
use domain::currency::Currency;
use domain::date::iso_micros;
use domain::id::JournalId;
use engine::exports::BalanceExport;
use engine::{BalanceFilter, BalanceSpan, By};
use web::csv::{Cell, Table};
use web::params::Reader;
use web::stream::{self, Download, Pieces};

pub async fn retrieve(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    expand_paths(&mut r, Object::Plain, Where::Get)?;
    r.finish()?;
    let balances = request.engine().view(request.scope(), |v| v.balances()).await?;
    Ok(Answer::Json(render::balance(&balances, request.scope().mode.is_live())))
}

fn transaction(_: &web::Urls, b: &BalanceTransaction) -> serde_json::Value {
    render::balance_transaction(b)
}

/// Any that there may be money in: the balance knows more currencies than new payments may have.
fn currency(r: &mut Reader<'_>) -> Result<Option<Currency>, ApiError> {
    match r.raw_text("currency", 64)? {
        None | Some("") => Ok(None),
        Some(text) => Currency::parse(text)
            .map(Some)
            .map_err(|e| r.invalid("currency", "currency_invalid", format!("currency {e}.")).into()),
    }
}

pub async fn history(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::BalanceTransaction, Where::List)?;
    let query = page_query::<JournalId>(&mut r)?;
    let kinds: Vec<&'static str> = BalanceKind::ALL.iter().map(|k| k.as_str()).collect();
    let currency = currency(&mut r)?;
    let filter = BalanceFilter {
        kind: r.one_of("type", &kinds)?.and_then(BalanceKind::parse),
        currency,
        source: r.text("source", 128)?,
    };
    r.finish()?;
    request
        .list(
            Object::BalanceTransaction,
            expand,
            move |v| v.balance_transactions(&filter, &query),
            transaction,
        )
        .await
}

pub async fn history_item(request: Request) -> Result<Answer, ApiError> {
    let id = request.id::<JournalId>(0, "balance_transaction")?;
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::BalanceTransaction, Where::Get)?;
    r.finish()?;
    let find = move |v: &mut engine::Views<'_, '_>| v.balance_transaction(id);
    request.show(Object::BalanceTransaction, expand, find, transaction, "balance_transaction").await
}

/// The columns of the history as a table; whoever adds one adds it at the end.
const COLUMNS: &[&str] = &[
    "id",
    "created_utc",
    "available_on_utc",
    "type",
    "status",
    "source",
    "currency",
    "amount",
    "amount_decimal",
    "fee",
    "fee_decimal",
    "net",
    "net_decimal",
];

/// The whole history as CSV, oldest first. A page of it is held in memory, however long it is.
pub async fn export(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let currency = currency(&mut r)?;
    let (from, to) = created(&mut r)?;
    r.finish()?;
    let span = BalanceSpan { from, to, currency };
    let caller = &request.caller;
    let by = By { actor: caller.actor, request: request.request_id.clone() };
    let mut export = request.engine().export_balance(caller.scope, by, span).await?;
    let body = stream::body(move |mut pieces| async move {
        let whole = write(&mut export, &mut pieces).await;
        // Its place is free before the receiver can know that it has everything, and ask for the next one.
        drop(export);
        if whole {
            pieces.end();
        }
    });
    Ok(Answer::Download(Download { name: "balance_history.csv".to_owned(), kind: stream::CSV, body }))
}

/// Writes all rows; false when it was broken off. The connection breaks then, so that nobody takes what came for
/// everything.
async fn write(export: &mut BalanceExport, pieces: &mut Pieces) -> bool {
    let mut table = Table::new(COLUMNS);
    loop {
        match export.next_page().await {
            Ok(Some(rows)) => rows.iter().for_each(|b| row(&mut table, b)),
            Ok(None) => return pieces.send(table.take()).await.is_ok(),
            Err(error) => {
                tracing::warn!(?error, "an export of a balance was broken off");
                return false;
            }
        }
        if pieces.send(table.take()).await.is_err() {
            return false;
        }
    }
}

fn row(table: &mut Table, b: &BalanceTransaction) {
    let net = b.amount.saturating_sub(b.fee);
    table.row(&[
        Cell::from(&b.journal.to_string()),
        Cell::from(&iso_micros(b.created_at)),
        Cell::from(&iso_micros(b.available_on)),
        b.kind.as_str().into(),
        if b.available { "available" } else { "pending" }.into(),
        Cell::from(&b.source),
        b.currency.lower().into(),
        b.amount.into(),
        Cell::Amount(b.amount, b.currency),
        b.fee.into(),
        Cell::Amount(b.fee, b.currency),
        net.into(),
        Cell::Amount(net, b.currency),
    ]);
}
