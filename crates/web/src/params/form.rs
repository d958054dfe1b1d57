//! Form bodies and query strings with bracketed names: `a=1`, `a[b][c]=1`, `a[]=1`, `a[0][b]=1`.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{MAX_FORM_DEPTH, MAX_FORM_LIST_ITEMS, MAX_FORM_PAIRS, ParamError, Value, codes, names};

/// Parses `input`; `place` names it in errors ("body" or "query string").
pub(super) fn parse(input: &[u8], place: &str) -> Result<Vec<(String, Value)>, ParamError> {
    let mut tree = Tree::new();
    let pairs = input.split(|b| *b == b'&').filter(|pair| !pair.is_empty());
    for (count, pair) in pairs.enumerate() {
        if count >= MAX_FORM_PAIRS {
            let message = format!("The {place} has more than {MAX_FORM_PAIRS} parameters. Send fewer.");
            return Err(ParamError::general(codes::TOO_COMPLEX, message));
        }
        let (raw_name, raw_value) = split_pair(pair);
        let name = decode(raw_name).map_err(|fault| {
            let message = format!("A parameter name in the {place} {}.", fault.text());
            ParamError::general(codes::BODY_INVALID, message)
        })?;
        let path = split_name(&name, place)?;
        let value = decode(raw_value).map_err(|fault| {
            let message = format!("The value of {} {}.", names::show(&name), fault.text());
            ParamError::of(codes::BODY_INVALID, &name, message)
        })?;
        tree.insert(&name, &path, value.into_owned())?;
    }
    Ok(tree.into_entries())
}

fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = pair.splitn(2, |b| *b == b'=');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// What is wrong with percent-encoded text.
enum Fault {
    Percent,
    Utf8,
    Nul,
}

impl Fault {
    fn text(&self) -> &'static str {
        match self {
            Fault::Percent => {
                "has a % that is not followed by two hexadecimal digits; send a literal % as %25"
            }
            Fault::Utf8 => "is not UTF-8; encode text as UTF-8 before percent-encoding it",
            Fault::Nul => "contains a NUL character, which is not allowed",
        }
    }
}

/// Undoes form encoding: `+` is a space, `%XX` a byte of UTF-8.
fn decode(raw: &[u8]) -> Result<Cow<'_, str>, Fault> {
    let decoded = if raw.iter().any(|b| matches!(b, b'%' | b'+')) {
        let text = String::from_utf8(unescape(raw)?).map_err(|_| Fault::Utf8)?;
        Cow::Owned(text)
    } else {
        Cow::Borrowed(std::str::from_utf8(raw).map_err(|_| Fault::Utf8)?)
    };
    if decoded.contains('\0') { Err(Fault::Nul) } else { Ok(decoded) }
}

fn unescape(raw: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = bytes.next().and_then(hex).ok_or(Fault::Percent)?;
                let low = bytes.next().and_then(hex).ok_or(Fault::Percent)?;
                high << 4 | low
            }
            other => *other,
        });
    }
    Ok(out)
}

fn hex(digit: &u8) -> Option<u8> {
    char::from(*digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// `a[b][]` into `["a", "b", ""]`. The first segment is a plain word, so that a body of another
/// content type is told from a form before any part of it (perhaps a card number) is echoed.
fn split_name<'n>(name: &'n str, place: &str) -> Result<Vec<&'n str>, ParamError> {
    let (root, mut rest) = match name.find('[') {
        Some(at) => name.split_at(at),
        None => (name, ""),
    };
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if root.is_empty() || !root.chars().all(word) {
        let hint = "Names consist of letters, digits and _, nested ones look like card[number]; \
                    a JSON body needs the header Content-Type: application/json";
        let message = format!("The {place} has a parameter without a valid name. {hint}.");
        return Err(ParamError::general(codes::BODY_INVALID, message));
    }
    let mut path = vec![root];
    while !rest.is_empty() {
        let segment = rest.strip_prefix('[').and_then(|inner| inner.split_once(']'));
        let Some((segment, after)) = segment.filter(|(segment, _)| !segment.contains('[')) else {
            let shown = names::show(name);
            let message = format!("The brackets of {shown} do not match. Write nested names like a[b][c].");
            return Err(ParamError::of(codes::BODY_INVALID, name, message));
        };
        if path.len() > MAX_FORM_DEPTH {
            let message = format!("{} is nested more than {MAX_FORM_DEPTH} levels deep.", names::show(name));
            return Err(ParamError::of(codes::TOO_COMPLEX, name, message));
        }
        path.push(segment);
        rest = after;
    }
    Ok(path)
}

/// The tree under construction: nodes in one arena, found by parent and key, so that a body of many
/// siblings costs no more than a body of few.
struct Tree {
    nodes: Vec<Node>,
    children: HashMap<(usize, String), usize>,
}

enum Node {
    Leaf(String),
    List(Vec<String>),
    Map(Vec<(String, usize)>),
}

const ROOT: usize = 0;

impl Tree {
    fn new() -> Tree {
        Tree { nodes: vec![Node::Map(Vec::new())], children: HashMap::new() }
    }

    /// Adds `value` at `path`; `name` is the whole name, for errors.
    fn insert(&mut self, name: &str, path: &[&str], value: String) -> Result<(), ParamError> {
        let (path, append) = match path {
            [front @ .., ""] => (front, true),
            _ => (path, false),
        };
        if path.contains(&"") {
            let shown = names::show(name);
            let message =
                format!("{shown} has [] before the end of the name. Number the items: a[0][b], a[1][b].");
            return Err(ParamError::of(codes::BODY_INVALID, name, message));
        }
        let Some((last, parents)) = path.split_last() else { return Ok(()) };
        let mut at = ROOT;
        for segment in parents {
            at = self.child(at, segment, name, || Node::Map(Vec::new()))?;
        }
        if append {
            let list = self.child(at, last, name, || Node::List(Vec::new()))?;
            return self.push(list, name, value);
        }
        if self.children.contains_key(&(at, (*last).to_owned())) {
            return Err(self.taken(at, last, name));
        }
        self.child(at, last, name, || Node::Leaf(value)).map(|_| ())
    }

    /// The node under `key` of the map at `parent`, made by `new` if it is not there yet.
    fn child(
        &mut self,
        parent: usize,
        key: &str,
        name: &str,
        new: impl FnOnce() -> Node,
    ) -> Result<usize, ParamError> {
        let fresh = self.nodes.len();
        match self.nodes.get_mut(parent) {
            Some(Node::Map(entries)) => {
                let id = *self.children.entry((parent, key.to_owned())).or_insert(fresh);
                if id == fresh {
                    entries.push((key.to_owned(), fresh));
                    self.nodes.push(new());
                }
                Ok(id)
            }
            _ => Err(conflict(name)),
        }
    }

    fn push(&mut self, list: usize, name: &str, value: String) -> Result<(), ParamError> {
        match self.nodes.get_mut(list) {
            Some(Node::List(items)) if items.len() < MAX_FORM_LIST_ITEMS => items.push(value),
            Some(Node::List(_)) => {
                let shown = names::show(name);
                let message = format!("The list {shown} has more than {MAX_FORM_LIST_ITEMS} items.");
                return Err(ParamError::of(codes::TOO_COMPLEX, name, message));
            }
            _ => return Err(conflict(name)),
        }
        Ok(())
    }

    /// The error for a plain value where there is something already.
    fn taken(&self, parent: usize, key: &str, name: &str) -> ParamError {
        let existing = self.children.get(&(parent, key.to_owned())).and_then(|id| self.nodes.get(*id));
        if !matches!(existing, Some(Node::Leaf(_))) {
            return conflict(name);
        }
        let message = format!("{} is given more than once. Send it once.", names::show(name));
        ParamError::of(codes::DUPLICATE, name, message)
    }

    fn into_entries(mut self) -> Vec<(String, Value)> {
        self.take_entries(ROOT)
    }

    fn take_entries(&mut self, id: usize) -> Vec<(String, Value)> {
        let children = match self.nodes.get_mut(id) {
            Some(Node::Map(children)) => std::mem::take(children),
            _ => return Vec::new(),
        };
        children.into_iter().map(|(key, child)| (key, self.take_value(child))).collect()
    }

    /// Recursion is at most [`MAX_FORM_DEPTH`] + 1 deep.
    fn take_value(&mut self, id: usize) -> Value {
        match self.nodes.get_mut(id) {
            Some(Node::Leaf(text)) => Value::Text(std::mem::take(text)),
            Some(Node::List(items)) => {
                Value::List(std::mem::take(items).into_iter().map(Value::Text).collect())
            }
            Some(Node::Map(_)) | None => Value::Map(self.take_entries(id)),
        }
    }
}

fn conflict(name: &str) -> ParamError {
    let message = format!(
        "{} is used in two ways at once. Send it as a plain value, a list (a[]) or a map (a[b]), not several.",
        names::show(name)
    );
    ParamError::of(codes::CONFLICT, name, message)
}
