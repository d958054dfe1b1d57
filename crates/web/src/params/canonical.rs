//! The order-independent serialisation behind idempotency fingerprints.

use super::Value;

const NULL: u8 = b'z';
const BOOL: u8 = b'b';
const NUMBER: u8 = b'n';
const TEXT: u8 = b't';
const LIST: u8 = b'l';
const MAP: u8 = b'm';
/// A value left out: its presence counts, its content does not.
const SECRET: u8 = b's';

/// Writes a map with its keys in byte order. `without` are dotted paths relative to this map.
pub(super) fn map(entries: &[(String, Value)], without: &[&str], sink: &mut dyn FnMut(&[u8])) {
    let mut sorted: Vec<&(String, Value)> = entries.iter().collect();
    sorted.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    head(MAP, sorted.len(), sink);
    for (key, child) in sorted {
        bytes(TEXT, key, sink);
        below(key, child, without, sink);
    }
}

fn value(value: &Value, without: &[&str], sink: &mut dyn FnMut(&[u8])) {
    match value {
        Value::Null => sink(&[NULL]),
        Value::Bool(b) => sink(&[BOOL, u8::from(*b)]),
        Value::Number(literal) => bytes(NUMBER, literal, sink),
        Value::Text(text) => bytes(TEXT, text, sink),
        Value::Map(entries) => map(entries, without, sink),
        Value::List(items) => {
            head(LIST, items.len(), sink);
            for (index, item) in items.iter().enumerate() {
                below(&index.to_string(), item, without, sink);
            }
        }
    }
}

/// Writes the child under `key`, with the paths of `without` that lead through `key`.
fn below(key: &str, child: &Value, without: &[&str], sink: &mut dyn FnMut(&[u8])) {
    if without.contains(&key) && !key.contains('.') {
        return sink(&[SECRET]);
    }
    let deeper: Vec<&str> = without
        .iter()
        .filter_map(|path| path.split_once('.'))
        .filter(|(first, _)| *first == key)
        .map(|(_, rest)| rest)
        .collect();
    value(child, &deeper, sink);
}

fn bytes(tag: u8, text: &str, sink: &mut dyn FnMut(&[u8])) {
    head(tag, text.len(), sink);
    sink(text.as_bytes());
}

fn head(tag: u8, len: usize, sink: &mut dyn FnMut(&[u8])) {
    sink(&[tag]);
    sink(&(len as u64).to_be_bytes());
}
