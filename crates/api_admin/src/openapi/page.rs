//! The page that shows an OpenAPI document to people: plain HTML without a script, made once. Its texts are our own;
//! they are escaped all the same.

use serde_json::{Map, Value};
use std::fmt::Write as _;

pub(super) const STYLE: &str = include_str!("style.css");

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The whole page.
pub(super) fn html(document: &Value) -> String {
    let title = escape(text(&document["info"], "title"));
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"stylesheet\" href=\"style.css\"></head><body>\
         <a class=\"skip\" href=\"#main\">To the routes</a><header><h1>{title}</h1><p>{}</p><p>{}</p>\
         <p>Version {}. For programs: <a href=\"openapi.json\">openapi.json</a>.</p></header>",
        escape(text(&document["info"], "summary")),
        escape(text(&document["info"], "description")),
        escape(text(&document["info"], "version")),
    );
    contents(&mut out, document);
    out.push_str("<main id=\"main\">");
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = text(tag, "name");
        section(&mut out, name, text(tag, "description"));
        for (method, path, operation) in operations(document, name) {
            show_operation(&mut out, document, method, path, operation);
        }
        out.push_str("</section>");
    }
    section(&mut out, "Objects", "What routes answer with.");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let _ =
            write!(out, "<article id=\"object-{0}\"><h3><a href=\"#object-{0}\">{0}</a></h3>", escape(name));
        said(&mut out, text(schema, "description"));
        fields(&mut out, schema);
        out.push_str("</article>");
    }
    out.push_str("</section></main></body></html>\n");
    out
}

fn section(out: &mut String, name: &str, description: &str) {
    let _ = write!(out, "<section aria-label=\"{0}\"><h2 id=\"{1}\">{0}</h2>", escape(name), anchor(name));
    said(out, description);
}

fn said(out: &mut String, text: &str) {
    if !text.is_empty() {
        let _ = write!(out, "<p>{}</p>", escape(text));
    }
}

fn anchor(name: &str) -> String {
    name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// The operations of a tag, in the order of the document.
fn operations<'d>(document: &'d Value, tag: &str) -> Vec<(&'static str, &'d str, &'d Value)> {
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            if let Some(operation) = methods.get(method)
                && operation["tags"][0] == tag
            {
                found.push((method, path.as_str(), operation));
            }
        }
    }
    found
}

fn contents(out: &mut String, document: &Value) {
    out.push_str("<nav aria-label=\"Contents\"><details open><summary>Contents</summary><ul>");
    for tag in document["tags"].as_array().into_iter().flatten() {
        let name = text(tag, "name");
        let _ = write!(out, "<li><a href=\"#{}\">{}</a><ul>", anchor(name), escape(name));
        for (method, path, operation) in operations(document, name) {
            let _ = write!(
                out,
                "<li><a href=\"#{}\"><span class=\"method\">{}</span> {}</a></li>",
                escape(text(operation, "operationId")),
                method.to_ascii_uppercase(),
                escape(path)
            );
        }
        out.push_str("</ul></li>");
    }
    out.push_str("<li><a href=\"#objects\">Objects</a></li></ul></details></nav>");
}

fn show_operation(out: &mut String, document: &Value, method: &str, path: &str, operation: &Value) {
    let _ = write!(
        out,
        "<article id=\"{0}\"><h3><a href=\"#{0}\"><span class=\"method\">{1}</span> {2}</a></h3>",
        escape(text(operation, "operationId")),
        method.to_ascii_uppercase(),
        escape(path)
    );
    said(out, text(operation, "summary"));
    said(out, text(operation, "description"));
    let _ = match (text(operation, "x-required-scope"), text(operation, "x-access")) {
        ("", "public" | "visitor") => write!(out, "<p class=\"scope\">Anybody may call it.</p>"),
        ("", "cookie") => {
            write!(out, "<p class=\"scope\">For pages of our own, with the refresh cookie.</p>")
        }
        ("", _) => write!(out, "<p class=\"scope\">For people who are signed in.</p>"),
        (scope, "instance") => {
            let scope = escape(scope);
            write!(out, "<p class=\"scope\">Scope <code>{scope}</code>, with a system key.</p>")
        }
        (scope, "shared") => {
            let scope = escape(scope);
            write!(
                out,
                "<p class=\"scope\">Scope <code>{scope}</code>, with a system key; people get what is theirs.</p>"
            )
        }
        (scope, _) => write!(out, "<p class=\"scope\">Scope <code>{}</code>.</p>", escape(scope)),
    };
    if operation["x-fresh-login"] == true {
        said(out, "People must have used their passkey in the last 15 minutes, or as the operator has set.");
    }
    parameters(out, document, operation);
    if let Some(body) = operation["requestBody"]["content"].get("application/json") {
        out.push_str("<h4>Body</h4>");
        fields(out, &body["schema"]);
        for (name, example) in body["examples"].as_object().into_iter().flatten() {
            code(out, &format!("Example: {name}"), &example["value"]);
        }
    }
    let (mut refusals, mut answered) = (Vec::new(), false);
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        match response["content"].get("application/json") {
            Some(content) if !answered => {
                answered = true;
                let _ = write!(out, "<h4>Answer {}</h4>", escape(status));
                fields(out, &content["schema"]);
                if let Some(example) = content.get("example") {
                    code(out, "Example", example);
                }
            }
            _ => refusals.push(status.as_str()),
        }
    }
    let _ = write!(
        out,
        "<p>Refusals: {}, as <a href=\"#object-Error\">Error</a>.</p></article>",
        escape(&refusals.join(", "))
    );
}

fn parameters(out: &mut String, document: &Value, operation: &Value) {
    let Some(parameters) = operation.get("parameters").and_then(Value::as_array) else { return };
    out.push_str("<h4>Parameters</h4><div class=\"wide\"><table><thead><tr><th>Name</th><th>In</th><th>Type</th><th>Meaning</th></tr></thead><tbody>");
    for parameter in parameters {
        let named = text(parameter, "$ref").rsplit('/').next().unwrap_or_default();
        let parameter =
            if named.is_empty() { parameter } else { &document["components"]["parameters"][named] };
        let needed = if parameter["required"] == true { "Required. " } else { "" };
        let _ = write!(
            out,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{needed}{}</td></tr>",
            escape(text(parameter, "name")),
            escape(text(parameter, "in")),
            kind(&parameter["schema"]),
            escape(text(parameter, "description"))
        );
    }
    out.push_str("</tbody></table></div>");
}

fn code(out: &mut String, summary: &str, value: &Value) {
    let _ = write!(
        out,
        "<details><summary>{}</summary><pre><code>{}</code></pre></details>",
        escape(summary),
        escape(&format!("{value:#}"))
    );
}

/// A schema's type, in HTML: links to objects.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next()) {
        return format!("<a href=\"#object-{0}\">{0}</a>", escape(name));
    }
    for combined in ["oneOf", "anyOf"] {
        if let Some(kinds) = schema.get(combined).and_then(Value::as_array) {
            return kinds.iter().map(kind).collect::<Vec<_>>().join(" or ");
        }
    }
    if let Some(word) = schema.get("const") {
        return format!("<code>{}</code>", escape(word.as_str().unwrap_or_default()));
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words = words.iter().map(|word| match word.as_str() {
            Some(word) => format!("<code>{}</code>", escape(word)),
            None => "null".to_owned(),
        });
        return words.collect::<Vec<_>>().join(", ");
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect(),
    };
    let mut shown = names.join(" or ");
    if names.first() == Some(&"array") {
        shown =
            format!("list of {}{}", kind(&schema["items"]), if names.len() > 1 { " or null" } else { "" });
    } else if let Some(format) = schema.get("format").and_then(Value::as_str).filter(|f| *f != "int64") {
        shown = shown.replacen("string", format, 1);
    }
    let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
    if let (Some(low), Some(high)) = (bound("minimum"), bound("maximum")) {
        let _ = write!(shown, ", {low} to {high}");
    } else if let Some(max) = bound("maxLength") {
        let _ = write!(shown, ", up to {max} characters");
    }
    shown
}

/// The fields of an object as a table; what is no object, by its type.
fn fields(out: &mut String, schema: &Value) {
    if let Some(kinds) = schema.get("oneOf").and_then(Value::as_array) {
        for (n, one) in kinds.iter().enumerate() {
            if n > 0 {
                out.push_str("<p>or</p>");
            }
            fields(out, one);
        }
        return;
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        let _ = write!(out, "<p>{}</p>", kind(schema));
        return;
    };
    out.push_str(
        "<div class=\"wide\"><table><thead><tr><th>Field</th><th>Type</th><th>Meaning</th></tr></thead><tbody>",
    );
    rows(out, "", properties, schema);
    out.push_str("</tbody></table></div>");
}

fn rows(out: &mut String, before: &str, properties: &Map<String, Value>, of: &Value) {
    let required = of.get("required").and_then(Value::as_array);
    for (name, schema) in properties {
        let needed = required.is_some_and(|all| all.iter().any(|one| one == name));
        let _ = write!(
            out,
            "<tr><td><code>{before}{}</code>{}</td><td>{}</td><td>{}</td></tr>",
            escape(name),
            if needed { "" } else { " <small>optional</small>" },
            kind(schema),
            escape(text(schema, "description"))
        );
        let listed = schema.get("items").filter(|items| items.get("properties").is_some());
        let either = schema.get("anyOf").and_then(|kinds| kinds.get(0));
        let inner = listed.or(either).unwrap_or(schema);
        if let Some(nested) = inner.get("properties").and_then(Value::as_object) {
            let list = if listed.is_some() { "[]" } else { "" };
            rows(out, &format!("{before}{}{list}.", escape(name)), nested, inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_links_lead_somewhere() {
        assert_eq!(escape("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
        for document in [crate::openapi::admin_document(), crate::openapi::public_document()] {
            let page = html(document);
            assert!(!page.contains("<script") && !page.contains("style=\""), "a strict policy forbids both");
            let targets: Vec<&str> =
                page.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert!(targets.len() > 10);
            for target in targets {
                let there = page.matches(&format!("id=\"{target}\"")).count();
                assert_eq!(there, 1, "#{target}");
            }
        }
    }
}
