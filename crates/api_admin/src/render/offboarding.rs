use super::{currency, organization};
use domain::offboarding::Blocker;
use domain::scope::Mode;
use engine::offboarding::OffboardingPreview;
use engine::view::Balance;
use serde_json::{Map, Value, json};

fn balance((mode, of): &(Mode, Vec<Balance>)) -> Vec<Value> {
    let row = |b: &Balance| json!({ "mode": mode, "currency": currency(b.currency), "pending": b.pending, "available": b.available });
    of.iter().map(row).collect()
}

fn blocker(of: &Blocker) -> Value {
    let code = match of {
        Blocker::Balance { .. } => "balance_not_zero",
        Blocker::OpenPayments { .. } => "payments_open",
    };
    json!({ "code": code, "message": of.to_string() })
}

/// What an organisation has that would go, and what keeps it.
pub(crate) fn offboarding_preview(preview: &OffboardingPreview) -> Value {
    let counts: Map<String, Value> =
        preview.counts.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
    json!({
        "organization": organization(&preview.merchant),
        "counts": counts,
        "balances": preview.balances.iter().flat_map(balance).collect::<Vec<_>>(),
        "blockers": preview.blockers.iter().map(blocker).collect::<Vec<_>>(),
    })
}
