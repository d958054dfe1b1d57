//! How parameter names and refused values appear in errors.

use super::{MAX_ECHO_CHARS, MAX_ECHO_NAME_CHARS};

/// `name` for an error: shortened, without control or formatting characters.
pub fn show(name: &str) -> String {
    clip(name, MAX_ECHO_NAME_CHARS)
}

/// A refused value for an error: at most [`MAX_ECHO_CHARS`] of it, without control or formatting
/// characters, and no card number. Never for secrets.
pub fn echo(value: &str) -> String {
    clip(value, MAX_ECHO_CHARS)
}

/// The form name of `name` inside `parent`; the root has the parent `""`.
pub(super) fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}[{name}]") }
}

fn clip(text: &str, max_chars: usize) -> String {
    // Errors are logged and shown: a card number sent in the wrong place must not spread that way. The
    // look-ahead covers a number that begins within the part shown.
    let looked_at: String = text.chars().take(max_chars + 40).collect();
    if domain::card::contains_card_number(&looked_at) {
        return "(hidden)".to_owned();
    }
    let mut shown: String = text.chars().take(max_chars).map(printable).collect();
    if text.chars().nth(max_chars).is_some() {
        shown.push('…');
    }
    shown
}

/// Error messages are printed on terminals: line breaks, escape codes and bidirectional overrides in
/// them would let a client forge log lines.
fn printable(c: char) -> char {
    let formatting =
        matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}');
    if c.is_control() || formatting { char::REPLACEMENT_CHARACTER } else { c }
}

/// The known name that `unknown` was probably meant to be: at most two typing errors away.
pub(super) fn closest<'n>(unknown: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    const MAX_LEN: usize = 40;
    if unknown.len() > MAX_LEN {
        return None;
    }
    // Short names are all near each other: allow one error per three characters.
    let allowed = (unknown.chars().count() / 3).min(2);
    known
        .filter(|name| name.len() <= MAX_LEN)
        .map(|name| (distance(unknown, name), name))
        .filter(|(errors, _)| *errors <= allowed)
        .min_by_key(|(errors, _)| *errors)
        .map(|(_, name)| name)
}

/// Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, cb) in row.iter_mut().skip(1).zip(&b) {
            let best = (diagonal + usize::from(ca != *cb)).min(left + 1).min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}
