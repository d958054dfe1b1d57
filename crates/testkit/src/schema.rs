//! Checks answers against the OpenAPI documents of the Admin API and the Main Backend: the part of JSON Schema that they
//! use. Stricter than the standard: a field that the document does not have is an error, so that no answer outgrows it.

use crate::app::Answer;
use axum::http::Method;
use serde_json::{Map, Value};

/// What is wrong with a value, by the place of each fault; empty if it fits.
pub fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(document, schema, value, "", &mut found);
    found
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let target = name.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        match target {
            Some(target) => check(document, target, value, at, found),
            None => found.push(format!("{at}: there is no {name}")),
        }
        return;
    }
    for combined in ["oneOf", "anyOf"] {
        let Some(kinds) = schema.get(combined).and_then(Value::as_array) else { continue };
        let each: Vec<Vec<String>> = kinds
            .iter()
            .map(|kind| {
                let mut faults = Vec::new();
                check(document, kind, value, at, &mut faults);
                faults
            })
            .collect();
        let fitting = each.iter().filter(|faults| faults.is_empty()).count();
        if fitting == 0 || (combined == "oneOf" && fitting > 1) {
            let nearest = each.into_iter().min_by_key(Vec::len).unwrap_or_default();
            found.push(format!("{at}: {fitting} of {} kinds fit; {}", kinds.len(), nearest.join("; ")));
        }
        return;
    }
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(kind)) => vec![kind],
        _ => {
            found.push(format!("{at}: not described: {value}"));
            return;
        }
    };
    if !kinds.iter().any(|kind| is_of(value, kind)) {
        found.push(format!("{at}: {value} is no {}", kinds.join(" or ")));
        return;
    }
    let fixed = schema.get("const").is_none_or(|word| word == value);
    let listed = schema.get("enum").and_then(Value::as_array).is_none_or(|words| words.contains(value));
    if !fixed || !listed {
        found.push(format!("{at}: {value} is not one of the words"));
    }
    match value {
        Value::Object(fields) => check_object(document, schema, fields, at, found),
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                check(document, &schema["items"], item, &format!("{at}[{n}]"), found);
            }
        }
        Value::String(text) => {
            let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
            let max = schema.get("maxLength").and_then(Value::as_u64).unwrap_or(u64::MAX);
            if !has_format(text, format) || text.chars().count() as u64 > max {
                found.push(format!("{at}: {value} is no {format} of up to {max} characters"));
            }
        }
        Value::Number(number) => {
            let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
            let at_least = bound("minimum").is_none_or(|low| number.as_i64().is_none_or(|n| n >= low));
            let at_most = bound("maximum").is_none_or(|high| number.as_i64().is_none_or(|n| n <= high));
            if !at_least || !at_most {
                found.push(format!("{at}: {value} is out of bounds"));
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn check_object(
    document: &Value,
    schema: &Value,
    fields: &Map<String, Value>,
    at: &str,
    found: &mut Vec<String>,
) {
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if !name.as_str().is_some_and(|name| fields.contains_key(name)) {
            found.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, value) in fields {
        let at = format!("{at}.{name}");
        let own = schema.get("properties").and_then(|properties| properties.get(name));
        match own.or_else(|| schema.get("additionalProperties")) {
            Some(Value::Bool(true)) => {}
            Some(schema) => check(document, schema, value, &at, found),
            None => found.push(format!("{at}: the document does not have this field: {value}")),
        }
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

fn has_format(text: &str, format: &str) -> bool {
    match format {
        "id" => text.len() == 24 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)),
        "date-time" => text.len() >= 20 && text.ends_with('Z') && text.as_bytes().get(10) == Some(&b'T'),
        "date" => text.len() == 10,
        "uri" => text.contains("://"),
        "email" => text.contains('@'),
        "currency" => text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase()),
        _ => true,
    }
}

/// The operation of a document that a request is for; segments that are no parameters win.
pub fn operation<'d>(document: &'d Value, method: &Method, path: &str) -> Option<&'d Value> {
    let path = path.split('?').next().unwrap_or_default();
    let asked: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let parts: Vec<&str> = template.split('/').collect();
        let same = parts.len() == asked.len()
            && parts.iter().zip(&asked).all(|(part, segment)| part.starts_with('{') || part == segment);
        same.then(|| parts.iter().filter(|part| part.starts_with('{')).count())
    };
    let method = method.as_str().to_ascii_lowercase();
    let paths = document["paths"].as_object()?.iter();
    let found = paths.filter_map(|(path, methods)| Some((fits(path)?, methods.get(&method)?)));
    found.min_by_key(|(parameters, _)| *parameters).map(|(_, operation)| operation)
}

/// The media types of an operation's answer with this status.
pub fn answer_of<'d>(document: &'d Value, operation: &'d Value, status: u16) -> Option<&'d Value> {
    let mut response = operation["responses"].get(status.to_string())?;
    if let Some(name) = response.get("$ref").and_then(Value::as_str) {
        response = document.pointer(name.strip_prefix('#')?)?;
    }
    response.get("content")
}

/// The answer, if it is as the document says; panics otherwise.
#[track_caller]
pub fn described(document: &Value, method: &Method, path: &str, answer: Answer) -> Answer {
    // Routes that are in no document are found by the test that compares it with the tables; 405 comes before the
    // route is known.
    let Some(operation) = operation(document, method, path).filter(|_| answer.status.as_u16() != 405) else {
        return answer;
    };
    let status = answer.status.as_u16();
    let kind = answer.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().to_owned();
    let Some(content) = answer_of(document, operation, status).and_then(|kinds| kinds.get(&kind)) else {
        panic!(
            "{method} {path}: its answers in the OpenAPI document have no {status} of {kind}: {}",
            answer.text
        );
    };
    if kind == "application/json" {
        let faults = faults(document, &content["schema"], &answer.json);
        assert!(
            faults.is_empty(),
            "{method} {path} answered what the OpenAPI document does not have: {faults:#?}"
        );
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_does_not_fit_is_found() {
        let document = json!({ "components": { "schemas": { "Site": {
            "type": "object",
            "properties": { "id": { "type": "string", "format": "id" }, "logo": { "type": ["string", "null"], "format": "uri" } },
            "required": ["id", "logo"],
        } } } });
        let site = json!({ "$ref": "#/components/schemas/Site" });
        let id = "65f0a1b2c3d4e5f607182930";
        for (schema, value, count) in [
            (site.clone(), json!({ "id": id, "logo": null }), 0),
            (site.clone(), json!({ "id": id }), 1),
            (site.clone(), json!({ "id": "X", "logo": "x" }), 2),
            (site.clone(), json!({ "id": id, "logo": null, "more": 1 }), 1),
            (site.clone(), json!([]), 1),
            (json!({ "anyOf": [site.clone(), { "type": "null" }] }), Value::Null, 0),
            (json!({ "anyOf": [site, { "type": "null" }] }), json!({}), 1),
            (json!({ "type": "string", "enum": ["a", "b"] }), json!("c"), 1),
            (json!({ "type": "integer", "minimum": 1, "maximum": 2 }), json!(3), 1),
            (json!({ "type": "integer" }), json!(1.5), 1),
            (json!({ "type": "array", "items": { "type": "boolean" } }), json!([true, 1, 2]), 2),
            (json!({ "type": "object", "additionalProperties": { "type": "string" } }), json!({ "a": 1 }), 1),
            (json!({ "oneOf": [{ "type": "string" }, { "type": "string" }] }), json!("x"), 1),
            (json!({}), json!(1), 1),
            (json!({ "$ref": "#/nowhere" }), json!(1), 1),
        ] {
            let faults = faults(&document, &schema, &value);
            assert_eq!(faults.len(), count, "{schema} {value}: {faults:?}");
        }
    }

    #[test]
    fn fixed_segments_win() {
        let document = json!({ "paths": {
            "/clients/{id}": { "get": { "operationId": "one" } },
            "/clients/search": { "get": { "operationId": "search" } },
        } });
        for (path, id) in
            [("/clients/search?q=x", Some("search")), ("/clients/1", Some("one")), ("/clients", None)]
        {
            let found = operation(&document, &Method::GET, path);
            assert_eq!(found.and_then(|o| o["operationId"].as_str()), id, "{path}");
        }
        assert!(operation(&document, &Method::POST, "/clients/1").is_none());
    }
}
