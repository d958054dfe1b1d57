//! Rules for free text from outside: names, descriptions, metadata, e-mail addresses.
//!
//! Such text reaches dashboards, receipts, logs and other people's systems. What could reorder, hide or
//! stack up what a reader sees is refused, and so is a card number: it must never reach storage by the
//! way of a description.

use crate::card::contains_card_number;

/// Most keys in one metadata map.
pub const MAX_METADATA_KEYS: usize = 50;
/// Longest metadata key, in characters.
pub const MAX_METADATA_KEY: usize = 40;
/// Longest metadata value, in characters.
pub const MAX_METADATA_VALUE: usize = 500;
/// Longest e-mail address, in characters. RFC 5321 allows 254; card APIs in the field take 512.
pub const MAX_EMAIL: usize = 512;

/// Longest run of combining marks. Vietnamese needs two, Hebrew and Indic scripts up to five or six.
const MAX_COMBINING_RUN: usize = 8;

/// Why a text is refused. The message is a phrase that follows the parameter's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextRefusal {
    #[error("must be at most {max} characters long")]
    TooLong { max: usize },
    #[error("must not contain control or invisible characters; remove them")]
    Control,
    #[error("must not contain characters that change the direction of text; remove them")]
    Bidi,
    #[error("must not stack more than 8 combining marks on one character")]
    CombiningMarks,
    #[error("must not contain a card number; card numbers go into the card fields only")]
    CardNumber,
    #[error("must be an e-mail address such as name@example.com")]
    Email,
    #[error("must have keys of 1 to 40 characters without square brackets")]
    MetadataKey,
    #[error("must have at most 50 keys")]
    MetadataCount,
}

/// Checks text of one line, such as a name. Empty text passes: whether it may be empty is the caller's rule.
///
/// # Errors
/// [`TextRefusal`] for the first rule broken; length (in characters) is checked first.
pub fn single_line(text: &str, max_chars: usize) -> Result<(), TextRefusal> {
    check(text, max_chars, false)
}

/// Checks text that may have line breaks and tabs. A carriage return is taken only before a line feed,
/// which is how browsers send the lines of a text field.
///
/// # Errors
/// [`TextRefusal`] for the first rule broken; length (in characters) is checked first.
pub fn multi_line(text: &str, max_chars: usize) -> Result<(), TextRefusal> {
    check(text, max_chars, true)
}

/// Checks the shape of an e-mail address: one `@`, something before it, a host of dot-separated labels
/// after it (a plain host is fine), nothing that could break out of a mail header.
///
/// # Errors
/// [`TextRefusal::Email`] for a wrong shape, else as for [`single_line`].
pub fn email(text: &str) -> Result<(), TextRefusal> {
    single_line(text, MAX_EMAIL)?;
    let (local, host) = text.split_once('@').ok_or(TextRefusal::Email)?;
    let special = |c: char| c.is_whitespace() || "()<>[]:;,\\\"@".contains(c);
    if local.is_empty() || local.chars().any(special) {
        return Err(TextRefusal::Email);
    }
    let label_ok = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c == '-' || !c.is_ascii() || c.is_ascii_alphanumeric())
            && !label.chars().any(char::is_whitespace)
    };
    if host.split('.').all(label_ok) { Ok(()) } else { Err(TextRefusal::Email) }
}

/// Checks the number of keys that a metadata map has after a change.
///
/// # Errors
/// [`TextRefusal::MetadataCount`] above [`MAX_METADATA_KEYS`].
pub fn metadata_count(keys: usize) -> Result<(), TextRefusal> {
    if keys > MAX_METADATA_KEYS { Err(TextRefusal::MetadataCount) } else { Ok(()) }
}

/// Checks one metadata key. Square brackets are refused because form encoding gives them a meaning.
///
/// # Errors
/// [`TextRefusal::MetadataKey`] for length or brackets, else as for [`single_line`].
pub fn metadata_key(key: &str) -> Result<(), TextRefusal> {
    let length = key.chars().take(MAX_METADATA_KEY + 1).count();
    if length == 0 || length > MAX_METADATA_KEY || key.contains(['[', ']']) {
        return Err(TextRefusal::MetadataKey);
    }
    single_line(key, MAX_METADATA_KEY)
}

/// Checks one metadata value. An empty value passes; it unsets the key.
///
/// # Errors
/// As for [`multi_line`] with [`MAX_METADATA_VALUE`].
pub fn metadata_value(value: &str) -> Result<(), TextRefusal> {
    multi_line(value, MAX_METADATA_VALUE)
}

fn check(text: &str, max_chars: usize, lines: bool) -> Result<(), TextRefusal> {
    if text.chars().nth(max_chars).is_some() {
        return Err(TextRefusal::TooLong { max: max_chars });
    }
    let mut marks = 0;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let line_break =
            lines && (matches!(c, '\n' | '\t') || (c == '\r' && rest.as_str().starts_with('\n')));
        if !line_break && is_control(c) {
            return Err(TextRefusal::Control);
        }
        if is_bidi(c) {
            return Err(TextRefusal::Bidi);
        }
        if is_mark(c) {
            marks += 1;
            if marks > MAX_COMBINING_RUN {
                return Err(TextRefusal::CombiningMarks);
            }
        } else if !is_joiner(c) {
            // A joiner neither counts nor ends a run, or it would be a way around the limit.
            marks = 0;
        }
    }
    if contains_card_number(text) { Err(TextRefusal::CardNumber) } else { Ok(()) }
}

/// C0, DEL, C1, line and paragraph separators, zero-width space, byte order mark, interlinear anchors.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}' | '\u{feff}' | '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}')
}

/// Embeddings, overrides and isolates: they reorder what follows ("Trojan Source"). The plain marks
/// U+200E, U+200F and U+061C only affect their own place and are in ordinary Hebrew and Arabic text.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// ZWNJ and ZWJ: needed by Persian, Indic scripts and emoji.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Blocks of the Unicode characters that take no room of their own and stack on the one before
/// (categories Mn and Me), with variation selectors and tags. Some ranges are whole areas of a script
/// and hold a few characters more; no ordinary text has nine of those in a row either.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{0300}'..='\u{036f}' | '\u{0483}'..='\u{0489}' | '\u{0591}'..='\u{05bd}' | '\u{05bf}'
        | '\u{05c1}'..='\u{05c2}' | '\u{05c4}'..='\u{05c5}' | '\u{05c7}' | '\u{0610}'..='\u{061a}'
        | '\u{064b}'..='\u{065f}' | '\u{0670}' | '\u{06d6}'..='\u{06dc}' | '\u{06df}'..='\u{06e4}'
        | '\u{06e7}'..='\u{06e8}' | '\u{06ea}'..='\u{06ed}' | '\u{0711}' | '\u{0730}'..='\u{074a}'
        | '\u{07a6}'..='\u{07b0}' | '\u{07eb}'..='\u{07f3}' | '\u{0816}'..='\u{082d}'
        | '\u{0859}'..='\u{085b}' | '\u{0897}'..='\u{089f}' | '\u{08ca}'..='\u{0902}' | '\u{093a}'
        | '\u{093c}' | '\u{0941}'..='\u{0948}' | '\u{094d}' | '\u{0951}'..='\u{0957}'
        | '\u{0962}'..='\u{0963}' | '\u{0981}' | '\u{09bc}' | '\u{09c1}'..='\u{09c4}' | '\u{09cd}'
        | '\u{0a01}'..='\u{0a02}' | '\u{0a3c}' | '\u{0a41}'..='\u{0a51}' | '\u{0a70}'..='\u{0a71}'
        | '\u{0a81}'..='\u{0a82}' | '\u{0abc}' | '\u{0ac1}'..='\u{0ac8}' | '\u{0acd}'
        | '\u{0b01}' | '\u{0b3c}' | '\u{0b3f}' | '\u{0b41}'..='\u{0b44}' | '\u{0b4d}' | '\u{0b82}'
        | '\u{0bc0}' | '\u{0bcd}' | '\u{0c00}' | '\u{0c3e}'..='\u{0c40}' | '\u{0c46}'..='\u{0c56}'
        | '\u{0cbc}' | '\u{0ccc}'..='\u{0ccd}' | '\u{0d00}'..='\u{0d01}' | '\u{0d41}'..='\u{0d44}'
        | '\u{0d4d}' | '\u{0dca}' | '\u{0dd2}'..='\u{0dd6}' | '\u{0e31}' | '\u{0e34}'..='\u{0e3a}'
        | '\u{0e47}'..='\u{0e4e}' | '\u{0eb1}' | '\u{0eb4}'..='\u{0ebc}' | '\u{0ec8}'..='\u{0ece}'
        | '\u{0f18}'..='\u{0f19}' | '\u{0f35}' | '\u{0f37}' | '\u{0f39}' | '\u{0f71}'..='\u{0f84}'
        | '\u{0f86}'..='\u{0f87}' | '\u{0f8d}'..='\u{0fbc}' | '\u{0fc6}' | '\u{102d}'..='\u{1030}'
        | '\u{1032}'..='\u{1037}' | '\u{1039}'..='\u{103a}' | '\u{103d}'..='\u{103e}'
        | '\u{135d}'..='\u{135f}' | '\u{1712}'..='\u{1714}' | '\u{17b4}'..='\u{17b5}'
        | '\u{17b7}'..='\u{17bd}' | '\u{17c6}' | '\u{17c9}'..='\u{17d3}' | '\u{180b}'..='\u{180d}'
        | '\u{1a17}'..='\u{1a1b}' | '\u{1a56}'..='\u{1a7f}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1b00}'..='\u{1b03}' | '\u{1b34}'..='\u{1b42}' | '\u{1b6b}'..='\u{1b73}'
        | '\u{1cd0}'..='\u{1cf9}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20f0}'
        | '\u{2cef}'..='\u{2cf1}' | '\u{2d7f}' | '\u{2de0}'..='\u{2dff}' | '\u{302a}'..='\u{302d}'
        | '\u{3099}'..='\u{309a}' | '\u{a66f}'..='\u{a672}' | '\u{a674}'..='\u{a67d}'
        | '\u{a69e}'..='\u{a69f}' | '\u{a6f0}'..='\u{a6f1}' | '\u{a8c4}'..='\u{a8c5}'
        | '\u{a8e0}'..='\u{a8f1}' | '\u{a926}'..='\u{a92d}' | '\u{a947}'..='\u{a951}'
        | '\u{aab0}'..='\u{aabf}' | '\u{fb1e}' | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}'
        | '\u{101fd}' | '\u{10a01}'..='\u{10a0f}' | '\u{11300}'..='\u{11301}'
        | '\u{11366}'..='\u{11374}' | '\u{16af0}'..='\u{16af4}' | '\u{1d165}'..='\u{1d169}'
        | '\u{1d16d}'..='\u{1d182}' | '\u{1d185}'..='\u{1d18b}' | '\u{1d1aa}'..='\u{1d1ad}'
        | '\u{1d242}'..='\u{1d244}' | '\u{1da00}'..='\u{1da36}' | '\u{1e000}'..='\u{1e02a}'
        | '\u{1e130}'..='\u{1e136}' | '\u{1e2ec}'..='\u{1e2ef}' | '\u{1e8d0}'..='\u{1e8d6}'
        | '\u{1e944}'..='\u{1e94a}' | '\u{e0000}'..='\u{e01ef}')
}

#[cfg(test)]
mod tests {
    use super::TextRefusal::{
        Bidi, CardNumber, CombiningMarks, Control, Email, MetadataCount, MetadataKey, TooLong,
    };
    use super::*;

    #[test]
    fn ordinary_text_passes() {
        let texts = [
            "",
            "Invoice 2026-0042 for João & Søren GmbH",
            "Tiệm bánh mì Hòa Mã",
            "Tie\u{302}\u{323}m ba\u{301}nh", // the same, decomposed
            "\u{5e9}\u{5c1}\u{5b8}\u{5dc}\u{5d5}\u{5b9}\u{5dd}", // pointed Hebrew
            "نمی\u{200c}خواهم",               // Persian with ZWNJ
            "क्षत्रिय श्री ธนาคารน้ำผึ้ง",
            "👨\u{200d}👩\u{200d}👧\u{200d}👦 ❤\u{fe0f}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}", // flag of England
            "\u{200f}שלום\u{200e} 12",
            "<script>alert(1)</script>", // escaping is the page's work
        ];
        for text in texts {
            assert_eq!(single_line(text, 200), Ok(()), "{text:?}");
            assert_eq!(multi_line(text, 200), Ok(()), "{text:?}");
        }
    }

    #[test]
    fn refusals() {
        let zalgo = format!("Z{}", "\u{30d}".repeat(9));
        let joined = format!("Z{}", "\u{30d}\u{200d}".repeat(9));
        let cases = [
            ("a\0b", Control),
            ("a\u{7}b", Control),
            ("a\u{7f}b", Control),
            ("a\u{85}b", Control),
            ("a\u{1b}[31m", Control),
            ("a\rb", Control),
            ("a\u{200b}b", Control),
            ("\u{feff}a", Control),
            ("a\u{2028}b", Control),
            ("a\u{2029}b", Control),
            ("a\u{202e}b", Bidi),
            ("a\u{202a}b", Bidi),
            ("a\u{2066}b", Bidi),
            ("a\u{2069}b", Bidi),
            (&zalgo, CombiningMarks),
            (&joined, CombiningMarks),
            ("my card is 4242 4242 4242 4242 thanks", CardNumber),
            ("4242\u{200d}4242\u{200d}4242\u{200d}4242", CardNumber),
        ];
        for (text, refusal) in cases {
            assert_eq!(single_line(text, 200), Err(refusal), "{text:?}");
            assert_eq!(multi_line(text, 200), Err(refusal), "{text:?}");
        }
    }

    #[test]
    fn combining_runs_are_per_character() {
        let eight = "a".to_owned() + &"\u{301}".repeat(8);
        assert_eq!(single_line(&eight.repeat(3), 200), Ok(()));
        assert_eq!(single_line(&(eight + "\u{301}"), 200), Err(CombiningMarks));
    }

    #[test]
    fn lines() {
        for text in ["a\nb", "a\tb", "a\r\nb", "\n"] {
            assert_eq!(single_line(text, 200), Err(Control), "{text:?}");
            assert_eq!(multi_line(text, 200), Ok(()), "{text:?}");
        }
        for text in ["a\rb", "a\r", "\r\r\n", "a\u{b}b"] {
            assert_eq!(multi_line(text, 200), Err(Control), "{text:?}");
        }
    }

    #[test]
    fn length_is_in_characters() {
        assert_eq!(single_line("äöü", 3), Ok(()));
        assert_eq!(single_line("äöüß", 3), Err(TooLong { max: 3 }));
        assert_eq!(single_line("", 0), Ok(()));
        assert_eq!(single_line("a", 0), Err(TooLong { max: 0 }));
        assert_eq!(TooLong { max: 3 }.to_string(), "must be at most 3 characters long");
    }

    #[test]
    fn emails() {
        for good in [
            "a@b",
            "name@example.com",
            "first.last+tag@mail.example.co.uk",
            "o'brien_x@localhost",
            "..weird..@docomo.ne.jp",
            "josé@exämple.de",
        ] {
            assert_eq!(email(good), Ok(()), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(MAX_EMAIL));
        let cases = [
            ("", Email),
            ("a", Email),
            ("@b", Email),
            ("a@", Email),
            ("a@b@c", Email),
            ("a b@c.de", Email),
            ("a@b c.de", Email),
            ("a\u{a0}b@c.de", Email),
            ("a@b..c", Email),
            ("a@.b", Email),
            ("a@b.", Email),
            ("a@-b.de", Email),
            ("a@b_c.de", Email),
            ("<a@b.de>", Email),
            ("a@b.de,c@d.de", Email),
            ("a@b.de\r\nBcc: x@y.z", Control),
            ("a\0@b.de", Control),
            ("4242424242424242@example.com", CardNumber),
            (&long, TooLong { max: MAX_EMAIL }),
        ];
        for (text, refusal) in cases {
            assert_eq!(email(text), Err(refusal), "{text:?}");
        }
    }

    #[test]
    fn metadata() {
        assert_eq!(metadata_count(50), Ok(()));
        assert_eq!(metadata_count(51), Err(MetadataCount));
        let keys = [
            ("order_id".to_owned(), Ok(())),
            ("__proto__".to_owned(), Ok(())),
            ("k".repeat(40), Ok(())),
            ("ü".repeat(40), Ok(())),
            ("k".repeat(41), Err(MetadataKey)),
            (String::new(), Err(MetadataKey)),
            ("a[b]".to_owned(), Err(MetadataKey)),
            ("a]".to_owned(), Err(MetadataKey)),
            ("a\nb".to_owned(), Err(Control)),
            ("a\0".to_owned(), Err(Control)),
            ("4242424242424242".to_owned(), Err(CardNumber)),
        ];
        for (key, expected) in keys {
            assert_eq!(metadata_key(&key), expected, "{key:?}");
        }
        let values = [
            (String::new(), Ok(())),
            ("line one\nline\ttwo".to_owned(), Ok(())),
            ("v".repeat(500), Ok(())),
            ("v".repeat(501), Err(TooLong { max: 500 })),
            ("\u{202e}".to_owned(), Err(Bidi)),
            ("a\0".to_owned(), Err(Control)),
            ("pan=5555-5555-5555-4444;".to_owned(), Err(CardNumber)),
        ];
        for (value, expected) in values {
            assert_eq!(metadata_value(&value), expected, "{value:?}");
        }
    }
}
