//! What goes into the audit log. Commands write their rows in the transaction of the change. What requests
//! do wrong is noted in memory and written by a worker once a second: a request never waits for it, so
//! that neither a refusal tells by its time what was found, nor a flood of them queues at the database.
//! What is noted in the last second before a crash is lost.

use crate::error::Error;
use crate::{Actor, By, Call, Caller, Engine};
use domain::audit::{AuditEntry, AuditKind};
use domain::id::MerchantId;
use domain::limits::{
    AUDIT_ADDRESSES, AUDIT_FOREIGN, AUDIT_FOREIGN_PER_KEY, AUDIT_KEYS_IN_URL, AUDIT_WAITING, BULK_ROWS,
};
use domain::scope::{Mode, Scope};
use domain::time::{MICROS, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use store::Tx;
use store::audit::{AuditFilter, AuditProof, AuditQuery};
use store::numbered_page::{NumberedPage, NumberedQuery};

/// Who acts in commands.
pub const OPERATOR: &str = "operator";
/// Who acts when nobody did.
pub(crate) const GATEWAY: &str = "gateway";
const SEALER: &str = "audit_sealer";
const LEASE_US: i64 = 30 * MICROS;
const MINUTE: Duration = Duration::from_secs(60);
/// No id of ours is longer.
const SUBJECT_MAX: usize = 40;

/// A row before it has an id.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub merchant: Option<MerchantId>,
    pub mode: Option<Mode>,
    pub kind: AuditKind,
    pub actor: String,
    pub subject: Option<String>,
    pub request: Option<String>,
    pub detail: String,
    pub at: Timestamp,
}

/// Somebody got 404 for an id that may be another's.
#[derive(Clone, Debug)]
struct Asked {
    caller: Caller,
    object: String,
    request: String,
    at: Timestamp,
}

/// What this minute has used of its bounds, and what had to be left out.
#[derive(Default)]
struct Spent {
    keys_in_url: usize,
    foreign: usize,
    foreign_by_actor: HashMap<Actor, usize>,
    suppressed: u64,
}

struct Pending {
    /// When this minute began. Not the wall clock, which may jump.
    since: Instant,
    spent: Spent,
    failures: HashMap<String, u64>,
    asked: Vec<Asked>,
    ready: Vec<Draft>,
}

pub(crate) struct Incidents(Mutex<Pending>);

impl Default for Incidents {
    fn default() -> Self {
        Incidents(Mutex::new(Pending {
            since: Instant::now(),
            spent: Spent::default(),
            failures: HashMap::new(),
            asked: Vec::new(),
            ready: Vec::new(),
        }))
    }
}

impl Incidents {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    fn push(&mut self, draft: Draft) {
        if self.ready.len() < AUDIT_WAITING {
            self.ready.push(draft);
        } else {
            self.spent.suppressed += 1;
        }
    }

    /// Whether one more foreign object of this key may be written in this minute.
    fn may_write_foreign(&mut self, actor: Actor) -> bool {
        // No more keys are counted than rows may be written, so the map is bounded.
        let of_actor = self.spent.foreign_by_actor.get(&actor).copied().unwrap_or(0);
        let fits = self.spent.foreign < AUDIT_FOREIGN && of_actor < AUDIT_FOREIGN_PER_KEY;
        if fits {
            self.spent.foreign += 1;
            self.spent.foreign_by_actor.insert(actor, of_actor + 1);
        } else {
            self.spent.suppressed += 1;
        }
        fits
    }

    /// Turns the minute's counts into rows, and begins the next.
    fn end_minute(&mut self, now: Timestamp) {
        self.since = Instant::now();
        let spent = std::mem::take(&mut self.spent);
        for (address, count) in std::mem::take(&mut self.failures) {
            let detail = format!("{count} requests without a valid key within a minute");
            self.push(anonymous(AuditKind::AuthFailed, address, None, detail, now));
        }
        if spent.suppressed > 0 {
            let detail = format!("{} more of a minute were not written one by one", spent.suppressed);
            self.push(anonymous(AuditKind::Suppressed, GATEWAY.to_owned(), None, detail, now));
        }
    }
}

fn anonymous(
    kind: AuditKind,
    actor: String,
    request: Option<&str>,
    detail: impl Into<String>,
    at: Timestamp,
) -> Draft {
    Draft {
        merchant: None,
        mode: None,
        kind,
        actor,
        subject: None,
        request: request.map(str::to_owned),
        detail: detail.into(),
        at,
    }
}

impl Engine {
    /// Notes that a request carried an API key in its address. The key itself is not looked at.
    pub fn note_key_in_url(&self, address: String, request: &str) {
        let mut pending = self.incidents.lock();
        if pending.spent.keys_in_url >= AUDIT_KEYS_IN_URL {
            pending.spent.suppressed += 1;
            return;
        }
        pending.spent.keys_in_url += 1;
        let detail = "an API key was sent in a query string; rotate it";
        pending.push(anonymous(AuditKind::KeyInUrl, address, Some(request), detail, self.now()));
    }

    /// Notes a request without a valid key.
    pub fn note_auth_failed(&self, address: String) {
        let mut pending = self.incidents.lock();
        if let Some(count) = pending.failures.get_mut(&address) {
            *count = count.saturating_add(1);
        } else if pending.failures.len() < AUDIT_ADDRESSES {
            pending.failures.insert(address, 1);
        } else {
            pending.spent.suppressed += 1;
        }
    }

    /// Notes that a caller was told that an object does not exist. Whether it is another's is found out
    /// later.
    pub fn note_missing(&self, caller: Caller, object: &str, request: &str) {
        if object.len() > SUBJECT_MAX {
            return;
        }
        let asked = Asked { caller, object: object.to_owned(), request: request.to_owned(), at: self.now() };
        let mut pending = self.incidents.lock();
        if pending.asked.len() < AUDIT_WAITING {
            pending.asked.push(asked);
        } else {
            pending.spent.suppressed += 1;
        }
    }

    /// Notes what a key of the instance did in an organisation.
    pub fn note_system_key(&self, caller: Caller, what: String, request: &str) {
        let draft = Draft {
            merchant: Some(caller.scope.merchant),
            mode: Some(caller.scope.mode),
            kind: AuditKind::SystemKeyUsed,
            actor: caller.actor.to_string(),
            subject: None,
            request: Some(request.to_owned()),
            detail: what,
            at: self.now(),
        };
        self.incidents.lock().push(draft);
    }

    /// Writes what was noted, at most [`BULK_ROWS`] rows; true when more waits. Counts are written when
    /// their minute is over, or when `all` is to be written.
    pub async fn write_incidents(&self, all: bool) -> Result<bool, Error> {
        let asked = std::mem::take(&mut self.incidents.lock().asked);
        let unread = asked.len() as u64;
        let foreign =
            self.foreign(asked).await.inspect_err(|_| self.incidents.lock().spent.suppressed += unread)?;
        let drafts: Vec<Draft> = {
            let mut pending = self.incidents.lock();
            for (actor, draft) in foreign {
                if pending.may_write_foreign(actor) {
                    pending.push(draft);
                }
            }
            if all || pending.since.elapsed() >= MINUTE {
                pending.end_minute(self.now());
            }
            pending.ready.iter().take(usize::try_from(BULK_ROWS).unwrap_or(1)).cloned().collect()
        };
        if drafts.is_empty() {
            return Ok(false);
        }
        let (engine, written) = (self.clone(), drafts.len());
        self.store
            .write(move |tx| drafts.iter().try_for_each(|draft| engine.write_audit(tx, draft.clone())))
            .await?;
        // Only one worker writes, and what is noted meanwhile goes behind.
        let mut pending = self.incidents.lock();
        let written = written.min(pending.ready.len());
        pending.ready.drain(..written);
        Ok(!pending.ready.is_empty())
    }

    /// Those of the objects that exist, but not for whom asked.
    async fn foreign(&self, asked: Vec<Asked>) -> Result<Vec<(Actor, Draft)>, Error> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        self.store
            .read(move |tx| {
                let mut found = Vec::new();
                for one in &asked {
                    let owner = store::audit::owner(tx, &one.object)?;
                    if let Some(owner) = owner.filter(|owner| *owner != one.caller.scope) {
                        found.push((one.caller.actor, foreign_object(one, owner)));
                    }
                }
                Ok::<_, Error>(found)
            })
            .await
    }

    /// A row of a command about a merchant, one of its modes, or neither.
    pub(crate) fn audit_command(
        &self,
        tx: &mut Tx<'_>,
        kind: AuditKind,
        (merchant, mode): (Option<MerchantId>, Option<Mode>),
        subject: impl ToString,
        detail: impl Into<String>,
    ) -> Result<(), Error> {
        let draft = Draft {
            merchant,
            mode,
            kind,
            actor: OPERATOR.to_owned(),
            subject: Some(subject.to_string()),
            request: None,
            detail: detail.into(),
            at: self.now(),
        };
        self.write_audit(tx, draft)
    }

    /// A row of what an administrator did by a request.
    pub(crate) fn audit_by(
        &self,
        tx: &mut Tx<'_>,
        by: &By,
        kind: AuditKind,
        (merchant, mode): (Option<MerchantId>, Option<Mode>),
        subject: impl ToString,
        detail: impl Into<String>,
    ) -> Result<(), Error> {
        let draft = Draft {
            merchant,
            mode,
            kind,
            actor: by.actor.to_string(),
            subject: Some(subject.to_string()),
            request: Some(by.request.clone()),
            detail: detail.into(),
            at: self.now(),
        };
        self.write_audit(tx, draft)
    }

    /// A row of money that an administrator moved. What a merchant's own program does over REST v2 is its daily work
    /// and stands in events.
    pub(crate) fn audit_money(
        &self,
        tx: &mut Tx<'_>,
        call: &Call,
        subject: impl ToString,
        detail: impl Into<String>,
    ) -> Result<(), Error> {
        let Caller { scope, actor, .. } = call.caller;
        if matches!(actor, Actor::ApiKey(_)) {
            return Ok(());
        }
        let by = By { actor, request: call.request.clone() };
        let of = (Some(scope.merchant), Some(scope.mode));
        self.audit_by(tx, &by, AuditKind::MoneyMoved, of, subject, detail)
    }

    /// The same, or a row of a command if it was nobody.
    pub(crate) fn audit_person(
        &self,
        tx: &mut Tx<'_>,
        kind: AuditKind,
        by: Option<&By>,
        merchant: Option<MerchantId>,
        subject: impl ToString,
        detail: impl Into<String>,
    ) -> Result<(), Error> {
        match by {
            Some(by) => self.audit_by(tx, by, kind, (merchant, None), subject, detail),
            None => self.audit_command(tx, kind, (merchant, None), subject, detail),
        }
    }

    pub(crate) fn write_audit(&self, tx: &mut Tx<'_>, draft: Draft) -> Result<(), Error> {
        let entry = AuditEntry {
            // Made here and not when it was noted: what is written late must not be behind the seals.
            id: self.ids.next(),
            merchant: draft.merchant,
            mode: draft.mode,
            kind: draft.kind,
            actor: draft.actor,
            subject: draft.subject,
            request: draft.request,
            detail: draft.detail,
            created_at: draft.at,
        };
        Ok(store::audit::insert(tx, &entry)?)
    }

    /// A page of the audit log, newest first.
    pub async fn audit_log(
        &self,
        asked: AuditQuery,
        query: NumberedQuery,
    ) -> Result<NumberedPage<AuditEntry>, Error> {
        self.store.read(move |tx| Ok::<_, Error>(store::audit::page(tx, &asked, query)?)).await
    }

    /// Seals entries made before `mark`, if this node holds the sealer's lease. How many.
    pub async fn seal_audit(&self, mark: Timestamp) -> Result<usize, Error> {
        let node = self.node;
        self.store
            .write(move |tx| {
                let now = crate::wall_clock();
                if !store::jobs::lease(tx, SEALER, node, now, now.plus(LEASE_US))? {
                    return Ok(0);
                }
                Ok::<_, Error>(store::audit::seal(tx, mark, BULK_ROWS)?)
            })
            .await
    }
}

fn foreign_object(asked: &Asked, owner: Scope) -> Draft {
    let whose =
        if owner.merchant == asked.caller.scope.merchant { "the same account" } else { "another account" };
    Draft {
        merchant: Some(asked.caller.scope.merchant),
        mode: Some(asked.caller.scope.mode),
        kind: AuditKind::ForeignObject,
        actor: asked.caller.actor.to_string(),
        subject: Some(asked.object.clone()),
        request: Some(asked.request.clone()),
        detail: format!("asked for an object of {whose} in {} mode", owner.mode),
        at: asked.at,
    }
}

/// Up to `limit` entries, newest first, for the command.
pub async fn list(store: &store::Store, filter: AuditFilter, limit: i64) -> Result<Vec<AuditEntry>, Error> {
    store.read(move |tx| Ok::<_, Error>(store::audit::list(tx, &filter, limit)?)).await
}

/// Walks the chain of seals, for the command.
pub async fn verify(store: &store::Store) -> Result<AuditProof, Error> {
    store.read(|tx| Ok::<_, Error>(store::audit::verify(tx)?)).await
}
