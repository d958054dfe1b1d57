//! Test support: a strict reader of the HTML this crate writes, and the rules every page must keep.
//!
//! It accepts only what our templates produce (double-quoted values, escaped text), so an
//! escaping hole shows up as an unknown tag, a forbidden attribute or plain unreadable HTML.

/// Texts that break out of pages which escape badly.
pub const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)",
    "' style='position:fixed",
    "</title><script>alert(1)</script>",
    "</style></textarea><svg onload=alert(1)>",
    "{{ 7*7 }}{% include \"x\" %}",
    "javascript:alert(1)",
    "&quot;&lt;script&gt;&#x3c;",
    "<!-- ",
    "]]>",
    "\u{202e}evil\u{2066}",
    "a\r\nSet-Cookie: b=c",
];

const ELEMENTS: &[&str] = &[
    "html", "head", "meta", "title", "link", "body", "header", "main", "footer", "h1", "p", "div", "span",
    "strong", "bdi", "dl", "dt", "dd", "form", "button", "a", "svg", "path", "circle", "rect", "section",
    "nav", "h2", "ul", "li", "label", "input", "br", "details", "summary", "noscript", "script",
];
const VOID: &[&str] = &["meta", "link", "input", "br"];

#[derive(Debug)]
pub struct Tag {
    pub name: String,
    pub attrs: Vec<(String, String)>,
    closing: bool,
}

impl Tag {
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attrs.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// The opening tags of `html`, with their attributes' values unescaped.
pub fn tags(html: &str) -> Vec<Tag> {
    read(html)
        .unwrap_or_else(|problem| panic!("{problem} in\n{html}"))
        .into_iter()
        .filter(|t| !t.closing)
        .collect()
}

pub fn tag_names(html: &str) -> Vec<String> {
    tags(html).into_iter().map(|tag| tag.name).collect()
}

/// Panics, naming the rule, when `html` is not a page we may send.
pub fn check(html: &str) {
    if let Err(problem) = audit(html) {
        panic!("{problem} in\n{html}");
    }
}

fn audit(html: &str) -> Result<(), String> {
    let tags = read(html)?;
    let mut open: Vec<&str> = Vec::new();
    for tag in &tags {
        if !ELEMENTS.contains(&tag.name.as_str()) {
            return Err(format!("element <{}>", tag.name));
        }
        if tag.closing {
            if open.pop() != Some(&tag.name) {
                return Err(format!("unbalanced </{}>", tag.name));
            }
            continue;
        }
        if !VOID.contains(&tag.name.as_str()) {
            open.push(&tag.name);
        }
        audit_refresh(tag)?;
        if tag.name == "script" && tag.attr("src").is_none() {
            return Err("script without a file".to_owned());
        }
        for (name, value) in &tag.attrs {
            audit_attribute(name, value)?;
        }
    }
    if html.matches("</script>").count() != html.matches(" defer></script>").count() {
        return Err("script with a content".to_owned());
    }
    if !open.is_empty() {
        return Err(format!("never closed: {open:?}"));
    }
    let has = |name, attr| tags.iter().any(|t| t.name == name && t.attr(attr).is_some_and(|v| !v.is_empty()));
    if !has("html", "lang") {
        return Err("no lang attribute".to_owned());
    }
    if tags.iter().filter(|t| t.name == "h1" && !t.closing).count() != 1 {
        return Err("not exactly one h1".to_owned());
    }
    Ok(())
}

/// A page may load itself again, and nothing else.
fn audit_refresh(tag: &Tag) -> Result<(), String> {
    let Some(kind) = tag.attr("http-equiv") else { return Ok(()) };
    let content = tag.attr("content").unwrap_or_default();
    let own = content.split_once("; url=").is_some_and(|(wait, url)| {
        wait.bytes().all(|byte| byte.is_ascii_digit()) && is_own_page(url) && !url.contains([';', ' '])
    });
    if kind == "refresh" && own { Ok(()) } else { Err(format!("http-equiv {kind}: {content}")) }
}

fn is_own_page(value: &str) -> bool {
    ["/payment/", "/checkout/", "/3ds/"].iter().any(|start| value.starts_with(start))
}

fn audit_attribute(name: &str, value: &str) -> Result<(), String> {
    let name = name.to_ascii_lowercase();
    if name.starts_with("on") || matches!(name.as_str(), "style" | "srcdoc" | "formaction") {
        return Err(format!("attribute {name}"));
    }
    let allowed = match name.as_str() {
        "href" => {
            crate::asset(value.trim_start_matches("/assets/")).is_some()
                || value.starts_with("https://")
                || value.starts_with("http://")
                || value.starts_with('#')
                || is_own_page(value)
        }
        "action" => is_own_page(value),
        "src" => crate::asset(value.trim_start_matches("/assets/")).is_some(),
        _ => true,
    };
    if allowed { Ok(()) } else { Err(format!("{name} leads to {value:?}")) }
}

fn read(html: &str) -> Result<Vec<Tag>, String> {
    let mut rest = html.strip_prefix("<!doctype html>").ok_or("no doctype")?;
    let mut tags = Vec::new();
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        if text.contains('>') {
            return Err(format!("raw '>' in text {text:?}"));
        }
        let (tag, after) = read_tag(&rest[start + 1..])?;
        tags.push(tag);
        rest = after;
    }
    Ok(tags)
}

fn read_tag(input: &str) -> Result<(Tag, &str), String> {
    let closing = input.starts_with('/');
    let (name, mut rest) = read_name(input.strip_prefix('/').unwrap_or(input))?;
    let mut attrs = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix('>') {
            return Ok((Tag { name, attrs, closing }, after));
        }
        let (attr, after) = read_name(rest)?;
        let (value, after) = match after.strip_prefix("=\"") {
            Some(quoted) => quoted.split_once('"').ok_or_else(|| format!("unclosed {attr}"))?,
            None => ("", after),
        };
        if value.contains(['<', '>']) {
            return Err(format!("raw bracket in {attr}"));
        }
        attrs.push((attr, unescape(value)));
        rest = after;
    }
}

fn read_name(input: &str) -> Result<(String, &str), String> {
    let end = input.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(input.len());
    if end == 0 {
        return Err(format!("no name at {:?}", input.chars().take(20).collect::<String>()));
    }
    Ok((input[..end].to_owned(), &input[end..]))
}

fn unescape(value: &str) -> String {
    value
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
}

#[test]
fn audit_finds_what_it_must() {
    let page = |body: &str| format!("<!doctype html><html lang=\"en\"><body><h1>x</h1>{body}</body></html>");
    for good in [
        "<p class=\"a\">ok</p>",
        "<script src=\"/assets/checkout.js\" defer></script>",
        "<meta http-equiv=\"refresh\" content=\"5; url=/payment/x?locale=en\">",
    ] {
        assert_eq!(audit(&page(good)), Ok(()), "{good}");
    }
    for bad in [
        "<script>alert(1)</script>",
        "<script src=\"https://evil.example/x.js\" defer></script>",
        "<script src=\"/assets/checkout.js\" defer>alert(1)</script>",
        "<meta http-equiv=\"refresh\" content=\"0; url=https://evil.example/\">",
        "<meta http-equiv=\"refresh\" content=\"0; url=/payment/x; url=//evil.example/\">",
        "<meta http-equiv=\"set-cookie\" content=\"a=b\">",
        "<p style=\"color:red\">x</p>",
        "<p onclick=\"x()\">x</p>",
        "<a href=\"javascript:x\">x</a>",
        "<link href=\"/assets/none.css\">",
        "<form action=\"https://evil.example/\"></form>",
        "<img src=\"x\">",
        "<p>x",
        "<h1>two</h1>",
        "<p a='b'>x</p>",
        "a > b",
        "<!-- x -->",
    ] {
        assert!(audit(&page(bad)).is_err(), "{bad}");
    }
    assert!(audit("<!doctype html><html><body><h1>x</h1></body></html>").is_err(), "lang");
}
