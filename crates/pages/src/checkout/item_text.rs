//! The text of an order's line. Merchants send HTML in it; the page shows what a reader would have seen.

/// Characters of a line's text that are read.
const MAX_CHARS: usize = 4_000;
/// Lines that are shown of one item.
const MAX_LINES: usize = 20;

/// `html` as lines of plain text: tags dropped, `<br>` and the ends of blocks as line breaks, character
/// references decoded once, space collapsed. Everything that comes out is still to be escaped: text such as
/// `&lt;b&gt;` comes out as `<b>`.
pub(super) fn plain_lines(html: &str) -> Vec<String> {
    let text: String = html.chars().take(MAX_CHARS).collect();
    let text = decode_references(&without_tags(&text));
    text.split('\n')
        .map(|line| {
            let visible: String = line.chars().map(visible_or_space).collect();
            visible.split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .filter(|line| !line.is_empty())
        .take(MAX_LINES)
        .collect()
}

/// What a reader cannot see has no place in what is to be paid for: controls, and the characters that reorder
/// the text around them.
fn visible_or_space(c: char) -> char {
    let hidden = c.is_control()
        || matches!(c, '\u{200b}' | '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if hidden { ' ' } else { c }
}

/// Drops tags and comments, with the content of `script` and `style`. A `<` that starts neither is text.
fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        if !after.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
            text.push('<');
            rest = after;
            continue;
        }
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, tail)| tail);
            continue;
        }
        // A tag that never ends takes the rest with it, as in a browser.
        let (tag, tail) = split_tag(after);
        let name = name_of(tag);
        if breaks_line(&name) {
            text.push('\n');
        }
        let hides = !tag.starts_with('/') && matches!(&*name, "script" | "style");
        rest = if hides { after_end_of(&name, tail) } else { tail };
    }
    text.push_str(rest);
    text
}

/// The inside of a tag and what follows it. A `>` within quotes does not end it.
fn split_tag(after: &str) -> (&str, &str) {
    let mut quote = None;
    for (at, c) in after.char_indices() {
        match (quote, c) {
            (None, '>') => return (after.get(..at).unwrap_or(""), after.get(at + 1..).unwrap_or("")),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    (after, "")
}

fn name_of(tag: &str) -> String {
    let name = tag.trim_start_matches('/');
    name.chars().take_while(char::is_ascii_alphanumeric).take(16).collect::<String>().to_ascii_lowercase()
}

fn breaks_line(name: &str) -> bool {
    matches!(name, "br" | "p" | "div" | "li" | "ul" | "ol" | "tr" | "table" | "hr")
        || matches!(name, "h1" | "h2" | "h3" | "h4" | "h5" | "h6")
}

fn after_end_of<'a>(name: &str, tail: &'a str) -> &'a str {
    // ASCII case only, so that the places in the copy are those in the original.
    let end = tail.to_ascii_lowercase().find(&format!("</{name}"));
    end.and_then(|at| tail.get(at..)).unwrap_or("")
}

fn decode_references(text: &str) -> String {
    /// Longest reference that is looked for, without `&` and `;`.
    const LONGEST: usize = 8;
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        let reference = after
            .char_indices()
            .take(LONGEST + 1)
            .find(|(_, c)| *c == ';')
            .and_then(|(at, _)| Some((referred(after.get(..at)?)?, after.get(at + 1..)?)));
        match reference {
            Some((c, tail)) => {
                decoded.push(c);
                rest = tail;
            }
            None => {
                decoded.push('&');
                rest = after;
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

fn referred(name: &str) -> Option<char> {
    let named = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "euro" => '€',
        "copy" => '©',
        "reg" => '®',
        "trade" => '™',
        "times" => '×',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            return char::from_u32(code);
        }
    };
    Some(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_lines_of_text() {
        for (html, lines) in [
            ("Blue kettle", vec!["Blue kettle"]),
            ("<b>Kettle</b><br>blue<br/>2 l<BR />", vec!["Kettle", "blue", "2 l"]),
            ("<p>One</p><p>Two</p>", vec!["One", "Two"]),
            ("<a href=\"https://evil.example/\" title='a>b'>Kettle</a>", vec!["Kettle"]),
            ("a < b && c > d", vec!["a < b && c > d"]),
            ("Fish &amp; chips &#8364;&#x35; &nbsp; &unknown; &", vec!["Fish & chips €5 &unknown; &"]),
            ("&lt;b&gt;", vec!["<b>"]),
            ("&amp;lt;", vec!["&lt;"]),
            ("<script>alert(1)</script>Kettle", vec!["Kettle"]),
            ("<STYLE>p{}</sTyLe >Kettle<script>x", vec!["Kettle"]),
            ("<!-- hidden -->Kettle<!-- never closed", vec!["Kettle"]),
            ("Kettle<img src=x onerror=alert(1)", vec!["Kettle"]),
            ("<<b>b</b>", vec!["<b"]),
            ("a\u{202e}b\u{0}c\u{200b}d", vec!["a b c d"]),
            ("&#8238;evil", vec!["evil"]),
            ("&#xD800;&#99999999;", vec!["&#xD800;&#99999999;"]),
            ("", vec![]),
            ("<br><br>", vec![]),
        ] {
            assert_eq!(plain_lines(html), lines, "{html:?}");
        }
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(plain_lines(&"<br>a".repeat(500)).len(), MAX_LINES);
        let lines = plain_lines(&"ä".repeat(100_000));
        assert_eq!(lines.iter().map(|line| line.chars().count()).sum::<usize>(), MAX_CHARS);
        assert!(plain_lines(&"<".repeat(100_000)).concat().len() <= MAX_CHARS);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(html in proptest::prelude::any::<String>()) {
            for line in plain_lines(&html) {
                proptest::prop_assert!(!line.chars().any(char::is_control));
            }
        }
    }
}
