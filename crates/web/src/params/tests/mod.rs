mod form;
mod json;
mod properties;
mod reader;
mod tree;

use super::{ParamError, Params, Value};

/// Values as compact text, for comparison: `{a:"x",b:[1,true]}` (debug output hides contents).
fn show(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(literal) => literal.clone(),
        Value::Text(text) => format!("{text:?}"),
        Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(",")),
        Value::Map(entries) => show_map(entries),
    }
}

fn show_map(entries: &[(String, Value)]) -> String {
    let pairs: Vec<String> = entries.iter().map(|(key, value)| format!("{key}:{}", show(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// The tree, or `!code` or `!code param`.
fn outcome(parsed: &Result<Params, ParamError>) -> String {
    match parsed {
        Ok(params) => show_map(params.entries()),
        Err(error) => failure(error),
    }
}

fn failure(error: &ParamError) -> String {
    assert!(error.message.ends_with('.') || error.message.ends_with('?'), "{}", error.message);
    match &error.param {
        Some(param) => format!("!{} {param}", error.code),
        None => format!("!{}", error.code),
    }
}

fn form(body: &str) -> Params {
    Params::from_form(body.as_bytes()).unwrap_or_else(|e| panic!("{body}: {e}"))
}

fn json(body: &str) -> Params {
    Params::from_json(body.as_bytes()).unwrap_or_else(|e| panic!("{body}: {e}"))
}

/// Hostile bodies have to be cheap. The bound is far above what an unoptimised build needs when work is
/// linear and far below what quadratic work takes; the fastest of three runs counts, so that a busy
/// machine does not fail the test.
fn assert_cheap(what: &str, mut parse: impl FnMut() -> Result<Params, ParamError>) {
    let run = |_| {
        let start = std::time::Instant::now();
        let _ = std::hint::black_box(parse());
        start.elapsed()
    };
    let fastest = (0..3).map(run).min().unwrap_or_default();
    assert!(fastest < std::time::Duration::from_millis(100), "{what} took {fastest:?}");
}
