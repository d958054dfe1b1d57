use super::{currency, hex, instant, rate};
use domain::currency::Currency;
use domain::figures::{Figures, FiguresGroup, Grouping};
use engine::figures::{FiguresFilter, FiguresReport};
use serde_json::{Map, Value, json};

fn show(into: &mut Map<String, Value>, of: Currency, f: &Figures) {
    let net = f.volume.saturating_sub(f.fees).saturating_sub(f.refunded).saturating_add(f.returned);
    for (name, value) in [
        ("currency", json!(currency(of))),
        ("payments", json!(f.payments)),
        ("volume", json!(f.volume)),
        ("fees", json!(f.fees)),
        ("failed", json!(f.failed)),
        ("successRate", f.success_basis_points().map_or(Value::Null, rate)),
        ("refunds", json!(f.refunds)),
        ("refunded", json!(f.refunded)),
        ("refundsFailed", json!(f.refunds_failed)),
        ("returned", json!(f.returned)),
        ("net", json!(net)),
    ] {
        into.insert(name.to_owned(), value);
    }
}

fn group(of: &FiguresGroup, figures: &Figures, report: &FiguresReport) -> Value {
    let mut shown = Map::new();
    if let Some(day) = of.day {
        shown.insert("date".to_owned(), json!(day.to_string()));
    }
    if let Some(provider) = of.provider {
        shown.insert("providerId".to_owned(), json!(hex(provider)));
        shown.insert("provider".to_owned(), json!(report.providers.get(&provider)));
    }
    show(&mut shown, of.currency, figures);
    Value::Object(shown)
}

/// Figures of some days, with what they were asked for.
pub(crate) fn figures(filter: &FiguresFilter, report: &FiguresReport) -> Value {
    let totals: Vec<Value> = report
        .totals
        .iter()
        .map(|(of, figures)| {
            let mut shown = Map::new();
            show(&mut shown, *of, figures);
            Value::Object(shown)
        })
        .collect();
    let groups: Vec<Value> = report.groups.iter().map(|(of, figures)| group(of, figures, report)).collect();
    let name = match filter.by {
        Grouping::Day => "days",
        Grouping::Provider => "providers",
    };
    json!({
        "from": filter.period.first_day().to_string(),
        "to": filter.period.last_day().to_string(),
        "asOf": instant(report.as_of),
        "groupBy": filter.by,
        "totals": totals,
        name: groups,
    })
}
