//! Changes to an object's metadata: keys not named stay, an empty value removes its key, an empty
//! `metadata` removes all.

use domain::text::{self, MAX_METADATA_KEYS, TextRefusal};

use super::{ParamError, Value, codes, names};

/// A change to metadata, already checked key by key.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct MetadataPatch {
    /// Remove everything first.
    pub clear_all: bool,
    /// Keys to add or overwrite, in the order sent.
    pub set: Vec<(String, String)>,
    /// Keys to remove.
    pub unset: Vec<String>,
}

/// Values stay out of debug output, as with [`Value`].
impl std::fmt::Debug for MetadataPatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set: Vec<&str> = self.set.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("MetadataPatch")
            .field("clear_all", &self.clear_all)
            .field("set", &set)
            .field("unset", &self.unset)
            .finish()
    }
}

impl MetadataPatch {
    /// Applies the change to the stored pairs, which keep their order; new keys go to the end.
    ///
    /// # Errors
    /// More than 50 keys would result; `current` is left as it was.
    pub fn apply(&self, current: &mut Vec<(String, String)>) -> Result<(), ParamError> {
        let mut next = if self.clear_all { Vec::new() } else { current.clone() };
        next.retain(|(key, _)| !self.unset.contains(key));
        for (key, value) in &self.set {
            match next.iter_mut().find(|(existing, _)| existing == key) {
                Some((_, old)) => old.clone_from(value),
                None => next.push((key.clone(), value.clone())),
            }
        }
        text::metadata_count(next.len()).map_err(|refusal| {
            let message = format!(
                "metadata {refusal}; this change would make it {}. Remove some by sending them empty.",
                next.len()
            );
            ParamError::of(codes::INVALID_METADATA, "metadata", message)
        })?;
        *current = next;
        Ok(())
    }

    /// Reads `value`, which was sent under the form name `name`.
    pub(super) fn read(name: &str, value: &Value) -> Result<MetadataPatch, ParamError> {
        let entries = match value {
            Value::Map(entries) => entries,
            Value::Null => return Ok(MetadataPatch { clear_all: true, ..MetadataPatch::default() }),
            Value::Text(text) if text.is_empty() => {
                return Ok(MetadataPatch { clear_all: true, ..MetadataPatch::default() });
            }
            _ => {
                let example =
                    format!("must be a map of keys to texts, such as {}[order_id]=123", names::show(name));
                return Err(refuse(name, &example));
            }
        };
        let mut patch = MetadataPatch::default();
        for (key, value) in entries {
            // Blames the map: the key may be what must not be repeated (a card number).
            text::metadata_key(key).map_err(|refusal| refuse(name, &refusal))?;
            patch.read_pair(&names::join(name, key), key, value)?;
        }
        // Bounds the work of `apply`; an object never has more keys to remove than this.
        if patch.set.len().max(patch.unset.len()) > MAX_METADATA_KEYS {
            return Err(refuse(name, &TextRefusal::MetadataCount));
        }
        Ok(patch)
    }

    fn read_pair(&mut self, full: &str, key: &str, value: &Value) -> Result<(), ParamError> {
        let content = match value {
            Value::Null => "",
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Number(text) | Value::Text(text) => text.as_str(),
            Value::List(_) | Value::Map(_) => {
                return Err(refuse(full, &"must be a text, not a list or an object"));
            }
        };
        if content.is_empty() {
            self.unset.push(key.to_owned());
            return Ok(());
        }
        text::metadata_value(content).map_err(|refusal| refuse(full, &refusal))?;
        self.set.push((key.to_owned(), content.to_owned()));
        Ok(())
    }
}

/// An error whose message is `name` and a phrase about it.
fn refuse(name: &str, what: &dyn std::fmt::Display) -> ParamError {
    ParamError::of(codes::INVALID_METADATA, name, format!("{} {what}.", names::show(name)))
}
