//! H1–H3: the merchant's balance.

use crate::error::ApiError;
use crate::expand::{Object, Where};
use crate::render;
use crate::request::{Answer, Request, expand_paths, page_query};
use domain::balance::{BalanceKind, BalanceTransaction};
use domain::currency::Currency;
use domain::id::JournalId;
use engine::BalanceFilter;

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

pub async fn history(request: Request) -> Result<Answer, ApiError> {
    let mut r = request.params.reader();
    let expand = expand_paths(&mut r, Object::BalanceTransaction, Where::List)?;
    let query = page_query::<JournalId>(&mut r)?;
    let kinds: Vec<&'static str> = BalanceKind::ALL.iter().map(|k| k.as_str()).collect();
    let currency = match r.raw_text("currency", 64)? {
        None | Some("") => None,
        Some(text) => Some(
            Currency::parse(text)
                .map_err(|e| r.invalid("currency", "currency_invalid", format!("currency {e}.")))?,
        ),
    };
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
