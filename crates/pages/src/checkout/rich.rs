//! Sentences with values in them, as HTML.

use std::fmt::Write as _;

/// `text` with `{name}` replaced by the value of that name: text and values escaped, each value in a `bdi`
/// element, so that neither its direction nor its end can disturb the sentence.
///
/// An amount is shown from left to right in every language; other values by their own letters.
pub(super) fn sentence(text: &str, values: &[(&str, &str)]) -> String {
    let mut html = String::with_capacity(text.len() + 64);
    fill(text, values, |piece| match piece {
        Piece::Text(text) => escape_into(&mut html, text),
        Piece::Value(name, value) => {
            html.push_str(if name == "amount" { "<bdi dir=\"ltr\">" } else { "<bdi>" });
            escape_into(&mut html, value);
            html.push_str("</bdi>");
        }
    });
    html
}

/// The same as plain text, for attributes and titles; still to be escaped. Values are isolated by the
/// characters that `bdi` stands for.
pub(super) fn plain(text: &str, values: &[(&str, &str)]) -> String {
    let mut all = String::with_capacity(text.len() + 32);
    fill(text, values, |piece| match piece {
        Piece::Text(text) => all.push_str(text),
        Piece::Value(_, value) => {
            // FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE. Writing into a String cannot fail.
            let _ = write!(all, "\u{2068}{value}\u{2069}");
        }
    });
    all
}

enum Piece<'a> {
    Text(&'a str),
    Value(&'a str, &'a str),
}

/// A placeholder without a value stays as it is; values are not read for placeholders again.
fn fill(text: &str, values: &[(&str, &str)], mut each: impl FnMut(Piece<'_>)) {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let found = after.split_once('}').and_then(|(name, tail)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((name, *value, tail))
        });
        each(Piece::Text(before));
        match found {
            Some((name, value, tail)) => {
                each(Piece::Value(name, value));
                rest = tail;
            }
            None => {
                each(Piece::Text("{"));
                rest = after;
            }
        }
    }
    each(Piece::Text(rest));
}

fn escape_into(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&#38;"),
            '<' => html.push_str("&#60;"),
            '>' => html.push_str("&#62;"),
            '"' => html.push_str("&#34;"),
            '\'' => html.push_str("&#39;"),
            _ => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_set_apart() {
        let html = sentence("Pay {merchant} <{amount}>", &[("merchant", "<b>\"A&B'"), ("amount", "€1")]);
        assert_eq!(html, "Pay <bdi>&#60;b&#62;&#34;A&#38;B&#39;</bdi> &#60;<bdi dir=\"ltr\">€1</bdi>&#62;");
    }

    #[test]
    fn values_are_not_templates() {
        let values = [("a", "{b}"), ("b", "no")];
        assert_eq!(plain("{a}", &values), "\u{2068}{b}\u{2069}");
        assert_eq!(plain("{c} {", &values), "{c} {");
        assert_eq!(sentence("", &values), "");
    }
}
