//! The short form in which the files of this folder describe fields, and what it stands for in JSON Schema.
//!
//! A field is `TYPE` with flags, a space, and a description: `"text(200)! What payers see."`. Types are `id`, `instant`,
//! `date`, `url`, `email`, `currency`, `boolean`, `number`, `amount`, `minor`, `integer`, `integer(1..2)`, `text`,
//! `text(200)`, `map`, `json`, words as `open|completed`, `=word` for one word, `Name` of a schema, and `[TYPE]`. Flags are `?`
//! (may be null), `!` (a request must have it), `~` (an answer may be without it); after a colon comes a value to show
//! (`text:de`). An object in braces is an object.

use serde_json::{Map, Value, json};

/// Largest amount in minor units.
const AMOUNT_MAX: i64 = domain::money::MAX_AMOUNT;

/// Whose fields are described: answers have all of them, requests those with `!`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Answer,
}

/// A field's schema, and whether the object must have it.
pub(super) fn field(short: &Value, side: Side) -> (Value, bool) {
    let Value::String(text) = short else {
        // What is neither a text nor an object describes nothing, which fits no value.
        let described = if short.is_object() { schema(short, side) } else { json!({}) };
        return (described, side == Side::Answer);
    };
    let (head, description) = text.split_once(' ').unwrap_or((text, ""));
    let (head, shown) = match head.split_once(':') {
        Some((head, shown)) => (head, Some(shown)),
        None => (head, None),
    };
    let kind = head.trim_end_matches(['?', '!', '~']);
    let flags = head.get(kind.len()..).unwrap_or_default();
    let mut schema = of_kind(kind);
    if let Some(shown) = shown {
        schema["examples"] = json!([shown]);
    }
    if flags.contains('?') {
        schema = nullable(schema);
    }
    if let (Value::Object(members), false) = (&mut schema, description.is_empty()) {
        members.insert("description".to_owned(), json!(description));
    }
    let needed = match side {
        Side::Request => flags.contains('!'),
        Side::Answer => !flags.contains('~'),
    };
    (schema, needed)
}

/// The schema of an object in short form, of a list of alternatives (`oneOf`), or of a single type.
pub(super) fn schema(short: &Value, side: Side) -> Value {
    let Value::Object(fields) = short else { return field(short, side).0 };
    if let Some(Value::Array(kinds)) = fields.get("oneOf") {
        let kinds: Vec<Value> = kinds.iter().map(|kind| schema(kind, side)).collect();
        return json!({ "oneOf": kinds });
    }
    if let Some(inner) = fields.get("nullable") {
        return nullable(schema(inner, side));
    }
    if let Some(inner) = fields.get("list") {
        return json!({ "type": "array", "items": schema(inner, side) });
    }
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, short) in fields.iter().filter(|(name, _)| !name.starts_with('$')) {
        let (schema, needed) = field(short, side);
        properties.insert(name.clone(), schema);
        if needed {
            required.push(json!(name));
        }
    }
    let mut object = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        object["required"] = Value::Array(required);
    }
    object
}

/// The same, or null.
fn nullable(mut schema: Value) -> Value {
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.push(Value::Null);
    } else if schema.get("type").is_none_or(|kind| !kind.is_string()) || schema["type"] == "object" {
        return json!({ "anyOf": [schema, { "type": "null" }] });
    }
    let kind = schema["type"].clone();
    schema["type"] = json!([kind, "null"]);
    schema
}

fn of_kind(kind: &str) -> Value {
    if let Some(inner) = kind.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return json!({ "type": "array", "items": of_kind(inner) });
    }
    let (name, bounds) = match kind.split_once('(') {
        Some((name, rest)) => (name, Some(rest.trim_end_matches(')'))),
        None => (kind, None),
    };
    let formatted = |format: &str| json!({ "type": "string", "format": format });
    match name {
        "id" => json!({ "type": "string", "format": "id", "pattern": "^[0-9a-f]{24}$" }),
        "instant" => formatted("date-time"),
        "date" => formatted("date"),
        "url" => formatted("uri"),
        "email" => formatted("email"),
        "currency" => json!({ "type": "string", "format": "currency", "pattern": "^[A-Z]{3}$" }),
        "boolean" | "number" => json!({ "type": name }),
        "amount" => json!({ "type": "integer", "format": "int64", "minimum": 1, "maximum": AMOUNT_MAX }),
        "minor" => json!({ "type": "integer", "format": "int64" }),
        "integer" => match bounds.and_then(|b| b.split_once("..")) {
            Some((low, high)) => {
                let bound = |text: &str| text.parse::<i64>().map_or(Value::Null, Value::from);
                json!({ "type": "integer", "minimum": bound(low), "maximum": bound(high) })
            }
            None => json!({ "type": "integer" }),
        },
        "text" => match bounds.and_then(|b| b.parse::<u64>().ok()) {
            Some(max) => json!({ "type": "string", "maxLength": max }),
            None => json!({ "type": "string" }),
        },
        "map" => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        "json" => json!({ "type": "object", "additionalProperties": true }),
        _ if name.starts_with('=') => json!({ "type": "string", "const": name.trim_start_matches('=') }),
        _ if name.contains('|') => json!({ "type": "string", "enum": name.split('|').collect::<Vec<_>>() }),
        _ => json!({ "$ref": format!("#/components/schemas/{name}") }),
    }
}

/// A value that fits a schema, for documents: the same at every time.
pub(super) fn example(of: &Value, name: &str) -> Value {
    if let Some(given) = of.get("examples").and_then(|all| all.get(0)).or_else(|| of.get("const")) {
        return given.clone();
    }
    if let Some(word) = of.get("enum").and_then(Value::as_array).and_then(|words| words.first()) {
        return word.clone();
    }
    let kind = match of.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        other => other.and_then(Value::as_str),
    };
    let format = of.get("format").and_then(Value::as_str).unwrap_or_default();
    match (kind, format) {
        (Some("string"), "id") => json!("65f0a1b2c3d4e5f607182930"),
        (Some("string"), "date-time") => json!("2026-01-31T12:00:00Z"),
        (Some("string"), "date") => json!("2026-01-31"),
        (Some("string"), "uri") => json!("https://shop.example/"),
        (Some("string"), "email") => json!("jo@example.com"),
        (Some("string"), "currency") => json!("EUR"),
        (Some("string"), _) => json!(if name.ends_with("eference") { "order-1001" } else { name }),
        (Some("integer"), _) => of.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        (Some("boolean"), _) => json!(true),
        (Some("number"), _) => json!(1),
        (Some("array"), _) => json!([example(&of["items"], name)]),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_stand_for_schemas() {
        for (short, expected) in [
            (json!("text(5) A name."), json!({ "type": "string", "maxLength": 5, "description": "A name." })),
            (json!("a|b?"), json!({ "type": ["string", "null"], "enum": ["a", "b", null] })),
            (json!("integer(1..2)"), json!({ "type": "integer", "minimum": 1, "maximum": 2 })),
            (json!("[Site]"), json!({ "type": "array", "items": { "$ref": "#/components/schemas/Site" } })),
            (
                json!("Site?"),
                json!({ "anyOf": [{ "$ref": "#/components/schemas/Site" }, { "type": "null" }] }),
            ),
            (json!("=card"), json!({ "type": "string", "const": "card" })),
            (Value::Null, json!({})),
            (
                json!({ "oneOf": ["Site", { "x": "boolean" }] }),
                json!({ "oneOf": [
                    { "$ref": "#/components/schemas/Site" },
                    { "type": "object", "properties": { "x": { "type": "boolean" } }, "required": ["x"] },
                ] }),
            ),
            (
                json!({ "x": "boolean~", "y": "map?" }),
                json!({
                    "type": "object",
                    "properties": {
                        "x": { "type": "boolean" },
                        "y": { "anyOf": [{ "type": "object", "additionalProperties": { "type": "string" } }, { "type": "null" }] },
                    },
                    "required": ["y"],
                }),
            ),
        ] {
            assert_eq!(schema(&short, Side::Answer), expected, "{short}");
        }
        let asked = schema(&json!({ "a": "text!", "b": "text" }), Side::Request);
        assert_eq!(asked["required"], json!(["a"]));
    }
}
