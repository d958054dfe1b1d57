//! Reading lists, nested objects, metadata and time filters.

use super::reader::{Lines, is_plain_integer, kind};
use super::{MetadataPatch, ParamError, Patch, Reader, Value, codes, names};

/// A filter on a time: unix seconds, both ends inclusive. `min > max` matches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    pub min: Option<i64>,
    pub max: Option<i64>,
}

impl Range {
    fn at_least(&mut self, bound: i64) {
        self.min = Some(self.min.map_or(bound, |min| min.max(bound)));
    }

    fn at_most(&mut self, bound: i64) {
        self.max = Some(self.max.map_or(bound, |max| max.min(bound)));
    }
}

impl<'a> Reader<'a> {
    /// A list of single-line texts, in order and with duplicates. The form `name=` is the empty list.
    ///
    /// # Errors
    /// Not a list, too many items, an item that is empty or that [`Reader::text`] would refuse.
    pub fn texts(
        &mut self,
        name: &str,
        max_items: usize,
        max_chars: usize,
    ) -> Result<Option<Vec<String>>, ParamError> {
        let Some(items) = self.list(name, max_items)? else { return Ok(None) };
        let list = Reader::nested(&[], self.name_of(name));
        let text = |(key, value): (String, &Value)| match value {
            Value::Text(text) if text.is_empty() => Err(list.empty(&key)),
            Value::Text(text) => list.clean(&key, text, max_chars, Lines::Single),
            other => Err(list.not_a_string(&key, other)),
        };
        items.into_iter().map(text).collect::<Result<Vec<_>, _>>().map(Some)
    }

    /// The items of a list with the keys they have in form names.
    fn list(&mut self, name: &str, max_items: usize) -> Result<Option<Vec<(String, &'a Value)>>, ParamError> {
        let items = match self.take(name) {
            None => return Ok(None),
            Some(Value::Text(text)) if text.is_empty() => Vec::new(),
            Some(Value::List(items)) => {
                items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
            }
            Some(Value::Map(entries)) => indexed(entries).ok_or_else(|| self.not_a_list(name))?,
            Some(_) => return Err(self.not_a_list(name)),
        };
        if items.len() > max_items {
            let shown = names::show(&self.name_of(name));
            let message = format!("{shown} has {} items; at most {max_items} are allowed.", items.len());
            return Err(self.invalid(name, codes::INVALID_LIST, message));
        }
        Ok(Some(items))
    }

    fn not_a_list(&self, name: &str) -> ParamError {
        let shown = names::show(&self.name_of(name));
        let message = format!("{shown} must be a list: {shown}[]=a in a form, [\"a\"] in JSON.");
        self.invalid(name, codes::INVALID_LIST, message)
    }

    /// A nested object. The empty string is `None`.
    ///
    /// # Errors
    /// Not an object.
    pub fn object(&mut self, name: &str) -> Result<Option<Reader<'a>>, ParamError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Text(text)) if text.is_empty() => Ok(None),
            Some(value) => self.nested_reader(name, value).map(Some),
        }
    }

    /// A nested object in an update.
    ///
    /// # Errors
    /// Not an object.
    pub fn patch_object(&mut self, name: &str) -> Result<Patch<Reader<'a>>, ParamError> {
        Ok(Patch::of(self.sent(name), self.object(name)?))
    }

    /// A list of objects. The form `name=` is the empty list.
    ///
    /// # Errors
    /// Not a list, too many items, or an item that is not an object.
    pub fn objects(&mut self, name: &str, max_items: usize) -> Result<Option<Vec<Reader<'a>>>, ParamError> {
        let Some(items) = self.list(name, max_items)? else { return Ok(None) };
        let list = Reader::nested(&[], self.name_of(name));
        let object = |(key, value): (String, &'a Value)| list.nested_reader(&key, value);
        items.into_iter().map(object).collect::<Result<Vec<_>, _>>().map(Some)
    }

    fn nested_reader<'v>(&self, name: &str, value: &'v Value) -> Result<Reader<'v>, ParamError> {
        let full = self.name_of(name);
        match value {
            Value::Map(entries) => Ok(Reader::nested(entries, full)),
            other => {
                let shown = names::show(&full);
                let message = format!("{shown} must be an object with named fields, not {}.", kind(other));
                Err(ParamError::of(codes::INVALID_OBJECT, &full, message))
            }
        }
    }

    /// Changes to metadata; see [`MetadataPatch`].
    ///
    /// # Errors
    /// Not a map of plain values, or keys, values or counts beyond the limits of `domain::text`.
    pub fn metadata(&mut self, name: &str) -> Result<Option<MetadataPatch>, ParamError> {
        self.ignore(name);
        self.find(name).map(|value| MetadataPatch::read(&self.name_of(name), value)).transpose()
    }

    /// A time filter: `created=<ts>`, or `created[gt|gte|lt|lte]=<ts>` in any combination.
    ///
    /// # Errors
    /// As [`Reader::timestamp`], and for other keys than these four.
    pub fn range(&mut self, name: &str) -> Result<Option<Range>, ParamError> {
        if !matches!(self.find(name), Some(Value::Map(_))) {
            let exact = self.timestamp(name)?;
            return Ok(exact.map(|second| Range { min: Some(second), max: Some(second) }));
        }
        let Some(mut bounds) = self.object(name)? else { return Ok(None) };
        let mut range = Range::default();
        if let Some(second) = bounds.timestamp("gt")? {
            range.at_least(second.saturating_add(1));
        }
        if let Some(second) = bounds.timestamp("gte")? {
            range.at_least(second);
        }
        if let Some(second) = bounds.timestamp("lt")? {
            range.at_most(second.saturating_sub(1));
        }
        if let Some(second) = bounds.timestamp("lte")? {
            range.at_most(second);
        }
        bounds.finish()?;
        Ok(Some(range))
    }
}

/// The items of a form list with indices (`a[0]=x&a[7]=y`), in the order of the indices; gaps are
/// allowed. `None` if any key is not an index.
fn indexed(entries: &[(String, Value)]) -> Option<Vec<(String, &Value)>> {
    let index = |key: &str| key.parse::<u32>().ok().filter(|_| is_plain_integer(key));
    let mut items = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        items.push((index(key)?, key.clone(), value));
    }
    items.sort_unstable_by_key(|(index, _, _)| *index);
    let items: Vec<_> = items.into_iter().map(|(_, key, value)| (key, value)).collect();
    Some(items).filter(|items| !items.is_empty())
}
