//! One effect per key. See DESIGN of replies in ARCHITECTURE.md, "The path of one confirm".

use crate::Engine;
use crate::call::{Call, Reply, ReplySpec};
use crate::error::Error;
use crate::view::Outcome;
use crate::views::Views;
use domain::limits::IDEMPOTENCY_KEPT_US;
use domain::scope::Scope;
use store::Tx;
use store::erasures::StoredReply;
use store::idempotency::{KnownKey, NewKey};

fn context(scope: Scope, key: &str) -> String {
    format!("idempotency_keys.reply.{}.{}.{key}", scope.merchant, scope.mode)
}

impl Engine {
    fn new_key(&self, call: &Call) -> Option<NewKey> {
        let request = call.idempotency.as_ref()?;
        Some(NewKey {
            scope: call.caller.scope,
            key: request.key.clone(),
            fingerprint: request.fingerprint,
            surface: call.reply.surface.to_owned(),
            reply_kind: call.reply.kind.clone(),
            expand: call.reply.expand.clone(),
            request: call.request.clone(),
            created_at: self.now(),
        })
    }

    /// The answer to an earlier request with this key, if it has one. Refuses a key that was used for
    /// another request, and one whose first request has not ended.
    pub(crate) fn earlier_reply(&self, tx: &mut Tx<'_>, call: &Call) -> Result<Option<Reply>, Error> {
        let Some(request) = &call.idempotency else { return Ok(None) };
        let scope = call.caller.scope;
        let Some(known) = store::idempotency::find(tx, scope, &request.key)? else { return Ok(None) };
        if known.reply.is_some() && known.created_at.plus(IDEMPOTENCY_KEPT_US) < self.now() {
            return Ok(None);
        }
        self.known_reply(scope, &request.key, &request.fingerprint, known).map(Some)
    }

    fn known_reply(
        &self,
        scope: Scope,
        key: &str,
        fingerprint: &[u8],
        known: KnownKey,
    ) -> Result<Reply, Error> {
        if known.fingerprint != fingerprint {
            return Err(Error::IdempotencyMismatch { key: key.to_owned() });
        }
        let Some((status, sealed)) = known.reply else {
            return Err(Error::IdempotencyInUse { key: key.to_owned() });
        };
        let body = self.vault.open(&context(scope, key), &sealed)?;
        Ok(Reply {
            status: u16::try_from(status).unwrap_or(200),
            body: String::from_utf8(body)
                .map_err(|_| Error::Internal("a stored reply is not text".to_owned()))?,
            replayed: true,
        })
    }

    /// Looks whether a request would be answered by a stored reply. For callers over their rate limit,
    /// whose repetitions are free.
    pub async fn replay(&self, call: &Call) -> Result<Option<Reply>, Error> {
        let (engine, call) = (self.clone(), call.clone());
        self.store.read(move |tx| engine.earlier_reply(tx, &call)).await
    }

    /// Records that the request runs. Its reply follows when the provider has answered.
    pub(crate) fn claim_key(&self, tx: &mut Tx<'_>, call: &Call) -> Result<(), Error> {
        let Some(new) = self.new_key(call) else { return Ok(()) };
        self.insert_key(tx, &new, None)
    }

    /// Renders the reply of a request that ends in this transaction, and records it.
    pub(crate) fn reply_now(&self, tx: &mut Tx<'_>, call: &Call, outcome: &Outcome) -> Result<Reply, Error> {
        let scope = call.caller.scope;
        let reply = self.render(tx, scope, &call.reply, outcome)?;
        if let Some(new) = self.new_key(call) {
            let sealed = self.vault.seal(&context(scope, &new.key), reply.body.as_bytes())?;
            self.insert_key(tx, &new, Some((i64::from(reply.status), &sealed)))?;
        }
        Ok(reply)
    }

    /// A stored reply after `edit`, sealed again; `None` if that changes nothing.
    pub(crate) fn edited_reply(
        &self,
        scope: Scope,
        known: &StoredReply,
        edit: impl Fn(&str) -> String,
    ) -> Result<Option<Vec<u8>>, Error> {
        let context = context(scope, &known.key);
        let body = self.vault.open(&context, &known.sealed)?;
        let body = String::from_utf8_lossy(&body);
        let edited = edit(&body);
        if edited == body {
            return Ok(None);
        }
        self.vault.seal(&context, edited.as_bytes()).map(Some)
    }

    fn insert_key(&self, tx: &mut Tx<'_>, new: &NewKey, reply: Option<(i64, &[u8])>) -> Result<(), Error> {
        let expired_before = self.now().plus(-IDEMPOTENCY_KEPT_US);
        Ok(store::idempotency::insert(tx, new, reply, expired_before)?)
    }

    /// Renders and records the reply of work that was claimed under `key` before. Work that another
    /// process ended meanwhile keeps the reply that it got.
    pub(crate) fn reply_later(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        key: Option<&str>,
        spec: Option<&ReplySpec>,
        outcome: &Outcome,
    ) -> Result<Option<Reply>, Error> {
        let Some(key) = key else {
            return spec.map(|spec| self.render(tx, scope, spec, outcome)).transpose();
        };
        let Some(known) = store::idempotency::find(tx, scope, key)? else {
            return spec.map(|spec| self.render(tx, scope, spec, outcome)).transpose();
        };
        if known.reply.is_some() {
            let fingerprint = known.fingerprint.clone();
            let reply = self.known_reply(scope, key, &fingerprint, known)?;
            return Ok(Some(Reply { replayed: false, ..reply }));
        }
        let surface = self.surface(&known.surface)?;
        let stored =
            ReplySpec { surface, kind: known.reply_kind, expand: known.expand, request: known.request };
        let reply = self.render(tx, scope, &stored, outcome)?;
        let sealed = self.vault.seal(&context(scope, key), reply.body.as_bytes())?;
        store::idempotency::finish(tx, scope, key, i64::from(reply.status), &sealed)?;
        Ok(Some(reply))
    }

    pub(crate) fn render(
        &self,
        tx: &mut Tx<'_>,
        scope: Scope,
        spec: &ReplySpec,
        outcome: &Outcome,
    ) -> Result<Reply, Error> {
        let render = self
            .renderers
            .get(spec.surface)
            .ok_or_else(|| Error::Internal(format!("no renderer for {}", spec.surface)))?;
        render(&mut Views::new(tx, scope), spec, outcome)
    }

    /// Runs a command that needs one transaction only: effect, events and reply in one commit.
    pub(crate) async fn command<F>(&self, call: &Call, mut work: F) -> Result<Reply, Error>
    where
        F: FnMut(&Engine, &mut Tx<'_>, &Call) -> Result<crate::view::View, Error> + Send + 'static,
    {
        let (engine, call) = (self.clone(), call.clone());
        self.store
            .write(move |tx| {
                if let Some(reply) = engine.earlier_reply(tx, &call)? {
                    return Ok(reply);
                }
                let view = work(&engine, tx, &call)?;
                engine.reply_now(tx, &call, &Outcome::Done(view))
            })
            .await
    }
}
