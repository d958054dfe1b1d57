//! A recording as a pattern: the same statements with fresh ids and instants.
//!
//! Ids are time ordered, so those that the recorded payment was given are the ones whose millisecond
//! lies within the recording, whether bound as bytes or standing in a text. They are replaced by new
//! ones of the same width: rows keep their exact size.

use super::recording::{Recording, Statement, Value};
use crate::error::StoreError;
use crate::tx::Tx;
use domain::currency::Currency;
use domain::id::{Core, ProviderId, StorefrontId, TypedId};
use domain::ledger::{AccountKey, AccountKind};
use domain::scope::{Mode, Scope};
use domain::time::DAY;
use std::hash::{BuildHasher, RandomState};

/// Characters of an id in a text, behind its prefix.
const TEXT_LEN: usize = 17;
/// Instants up to this far behind the recording belong to it: due times, settlement days.
const AHEAD_US: i64 = 30 * DAY;

/// Where one merchant's payments are made: what is the same in all of them.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub scope: Scope,
    pub storefront: StorefrontId,
    pub provider: ProviderId,
}

impl Place {
    /// The test mode of the oldest merchant.
    ///
    /// # Errors
    /// [`StoreError::Defect`] when there is no merchant with a provider.
    pub fn first(tx: &mut Tx<'_>) -> Result<Place, StoreError> {
        let none = || StoreError::Defect("the database has no merchant that could be paid".to_owned());
        let merchant = crate::merchants::all(tx)?.into_iter().next().ok_or_else(none)?;
        let scope = Scope { merchant: merchant.id, mode: Mode::Test };
        let storefront = crate::merchants::mode(tx, scope)?.ok_or_else(none)?.storefront;
        let provider = crate::providers::all(tx, scope)?.first().ok_or_else(none)?.id;
        Ok(Place { scope, storefront, provider })
    }

    fn ids(&self) -> [Core; 3] {
        [self.scope.merchant.core(), self.storefront.core(), self.provider.core()]
    }

    fn accounts(&self, currency: Currency) -> impl Iterator<Item = i64> {
        let place = *self;
        AccountKind::ALL.iter().flat_map(move |kind| {
            [None, Some(place.provider)]
                .map(|owner| AccountKey { scope: place.scope, currency, kind: *kind, owner }.id())
        })
    }
}

/// What to put where.
#[derive(Clone, Copy, Debug)]
enum Fill {
    /// The id of this number.
    Id(usize),
    /// The text of the id of this number, at this byte.
    Text(usize, usize),
    /// The instant this long after the payment's start.
    Instant(i64),
}

#[derive(Clone, Copy, Debug)]
struct Edit {
    step: usize,
    statement: usize,
    value: usize,
    fill: Fill,
}

/// What one payment writes: statements by commit, to be filled.
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) steps: Vec<Vec<Statement>>,
    edits: Vec<Edit>,
    ids: usize,
}

impl Script {
    /// Finds in a recording what differs from payment to payment.
    pub fn new(recording: Recording) -> Script {
        let mut reader =
            Reader { first: recording.started, last: recording.ended, ids: Vec::new(), edits: Vec::new() };
        for (step, statements) in recording.closures.iter().enumerate() {
            for (statement, Statement { values, .. }) in statements.iter().enumerate() {
                for (value, content) in values.iter().enumerate() {
                    reader.read(content, |fill| Edit { step, statement, value, fill });
                }
            }
        }
        Script { steps: recording.closures, edits: reader.edits, ids: reader.ids.len() }
    }

    /// Commits of one payment.
    pub fn commits(&self) -> usize {
        self.steps.len()
    }

    /// First words of every statement, by commit: what a payment writes, for people and tests.
    pub fn outline(&self) -> Vec<Vec<String>> {
        let head = |s: &Statement| s.sql.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
        self.steps.iter().map(|step| step.iter().map(head).collect()).collect()
    }

    /// The same payment made for another merchant.
    #[must_use]
    pub fn moved(mut self, from: &Place, to: &Place, currency: Currency) -> Script {
        let accounts: Vec<(i64, i64)> = from.accounts(currency).zip(to.accounts(currency)).collect();
        let ids: Vec<(Core, Core)> = from.ids().into_iter().zip(to.ids()).collect();
        for value in self.steps.iter_mut().flatten().flat_map(|statement| &mut statement.values) {
            match value {
                Value::Int(n) => {
                    if let Some((_, new)) = accounts.iter().find(|(old, _)| old == n) {
                        *n = *new;
                    }
                }
                Value::Id(id) => {
                    if let Some((_, new)) = ids.iter().find(|(old, _)| old.0 == *id) {
                        *id = new.0;
                    }
                }
                Value::Text(text) => {
                    for (old, new) in &ids {
                        *text = text.replace(&old.base62(), &new.base62());
                    }
                }
                Value::Null | Value::Blob(_) => {}
            }
        }
        self
    }
}

/// Collects edits.
struct Reader {
    first: i64,
    last: i64,
    ids: Vec<Core>,
    edits: Vec<Edit>,
}

impl Reader {
    /// The number of an id that belongs to the recorded payment.
    fn number(&mut self, core: Core) -> Option<usize> {
        let at = crate::ledger::id_instant(core).0;
        // The recording's start within its millisecond.
        if at < self.first - 1_000 || at > self.last {
            return None;
        }
        let known = self.ids.iter().position(|id| *id == core);
        Some(known.unwrap_or_else(|| {
            self.ids.push(core);
            self.ids.len() - 1
        }))
    }

    fn read(&mut self, value: &Value, edit: impl Fn(Fill) -> Edit) {
        match value {
            Value::Int(n) if (self.first..self.last + AHEAD_US).contains(n) => {
                self.edits.push(edit(Fill::Instant(n - self.first)));
            }
            Value::Id(id) => {
                if let Some(number) = self.number(Core(*id)) {
                    self.edits.push(edit(Fill::Id(number)));
                }
            }
            Value::Text(text) => {
                let mut at = 0;
                while let Some(word) = text.get(at..at + TEXT_LEN) {
                    let number = Core::parse_base62(word).and_then(|core| self.number(core));
                    if let Some(number) = number {
                        self.edits.push(edit(Fill::Text(at, number)));
                        at += TEXT_LEN;
                    } else {
                        // To the next character boundary: names may hold any letter.
                        at += text[at..].chars().next().map_or(1, char::len_utf8);
                    }
                }
            }
            Value::Int(_) | Value::Null | Value::Blob(_) => {}
        }
    }
}

/// One payment's values, filled anew for every payment without allocating.
pub(crate) struct Instance<'s> {
    script: &'s Script,
    pub values: Vec<Vec<Vec<Value>>>,
    random: u64,
    ids: Vec<Core>,
    texts: Vec<String>,
}

impl<'s> Instance<'s> {
    pub fn new(script: &'s Script) -> Instance<'s> {
        let values = |step: &Vec<Statement>| step.iter().map(|statement| statement.values.clone()).collect();
        Instance {
            script,
            values: script.steps.iter().map(values).collect(),
            random: RandomState::new().hash_one(0),
            ids: Vec::with_capacity(script.ids),
            texts: Vec::with_capacity(script.ids),
        }
    }

    /// Six bytes that differ from all others: splitmix64. They are names here, not secrets.
    fn six(&mut self) -> [u8; 6] {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut n = self.random;
        n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [a, b, c, d, e, f, ..] = (n ^ (n >> 31)).to_be_bytes();
        [a, b, c, d, e, f]
    }

    /// Fills in a new payment that starts at `now` (UTC microseconds).
    pub fn renew(&mut self, now: i64) {
        let millis = u64::try_from(now / 1_000).unwrap_or(0);
        self.ids.clear();
        self.texts.clear();
        for _ in 0..self.script.ids {
            let core = Core::new(millis, self.six());
            self.ids.push(core);
            self.texts.push(core.base62());
        }
        for edit in &self.script.edits {
            let value = &mut self.values[edit.step][edit.statement][edit.value];
            match (edit.fill, value) {
                (Fill::Id(id), Value::Id(place)) => *place = self.ids[id].0,
                (Fill::Text(at, id), Value::Text(text)) => {
                    text.replace_range(at..at + TEXT_LEN, &self.texts[id])
                }
                (Fill::Instant(after), Value::Int(place)) => *place = now.saturating_add(after),
                // Edits were made from these very values.
                (Fill::Id(_) | Fill::Text(..) | Fill::Instant(_), _) => {}
            }
        }
    }
}
