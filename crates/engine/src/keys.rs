//! API keys: made once, stored as digests, looked up by digest.

use crate::error::Error;
use crate::ids;
use crate::offboarding::require_staying;
use crate::settings::STALE;
use crate::{Actor, Caller, Engine};
use domain::audit::AuditKind;
use domain::id::{ApiKeyId, MerchantId};
use domain::limits::KEY_OVERLAP_US;
use domain::merchant::{ApiKey, KeyKind};
use domain::scope::{Mode, Scope};
use domain::time::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;
use store::Tx;

/// Random characters of a key: 190 bits.
const KEY_CHARS: usize = 32;
/// Longest key text that is looked at.
pub const KEY_TEXT_MAX: usize = 128;
const CACHED: usize = 10_000;

/// A key that was valid when it was read.
struct Seen {
    at: Instant,
    caller: Caller,
    ends_at: Option<Timestamp>,
}

/// Keys seen in the last second, so that each request need not read the database. A revoked key is
/// refused at the latest when its entry is that old, one that was rotated at its very end.
#[derive(Default)]
pub(crate) struct KeyCache {
    entries: Mutex<HashMap<[u8; 32], Seen>>,
}

/// `sk_test_…` and so on, with a fresh random part.
pub fn new_key_text(kind: KeyKind, mode: Mode) -> String {
    format!("{kind}_{mode}_{}", ids::secret_text(KEY_CHARS))
}

/// The digest under which a key is stored.
pub fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl Engine {
    /// Makes an API key. Its text is in the answer and nowhere else.
    pub async fn create_key(
        &self,
        scope: Scope,
        kind: KeyKind,
        name: String,
    ) -> Result<(ApiKey, String), Error> {
        let (key, text, hash) = self.make_key(scope, kind, name);
        let (engine, row) = (self.clone(), key.clone());
        self.store
            .write(move |tx| {
                require_staying(tx, scope.merchant)?;
                store::api_keys::insert(tx, &row, &hash)?;
                engine.audit_key(tx, AuditKind::KeyCreated, &row, format!("a {} key", described(&row)))
            })
            .await?;
        Ok((key, text))
    }

    fn make_key(&self, scope: Scope, kind: KeyKind, name: String) -> (ApiKey, String, [u8; 32]) {
        let text = new_key_text(kind, scope.mode);
        let key = ApiKey {
            id: self.ids.next(),
            scope,
            kind,
            name,
            last4: text.get(text.len() - 4..).unwrap_or_default().to_owned(),
            created_at: self.now(),
            revoked_at: None,
            ends_at: None,
        };
        let hash = digest(&text);
        (key, text, hash)
    }

    fn audit_key(&self, tx: &mut Tx<'_>, kind: AuditKind, key: &ApiKey, detail: String) -> Result<(), Error> {
        self.audit_command(tx, kind, (Some(key.scope.merchant), Some(key.scope.mode)), key.id, detail)
    }

    /// Makes a key like another one, which works on for `overlap` microseconds (0: revoked at once). The
    /// new key's text is in the answer and nowhere else.
    ///
    /// # Errors
    /// When there is no such key, or it is revoked, ended, or rotated already.
    pub async fn rotate_key(&self, id: ApiKeyId, overlap: i64) -> Result<(ApiKey, String), Error> {
        if !(0..=KEY_OVERLAP_US).contains(&overlap) {
            return Err(Error::invalid("overlap", "overlap_invalid", "the overlap must be 0 to 7 days"));
        }
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let missing = || Error::not_found("key", id);
                // Before the key's row: whoever closes a merchant revokes the keys that it sees under this lock.
                let merchant = store::api_keys::merchant_of(tx, id)?.ok_or_else(missing)?;
                require_staying(tx, merchant)?;
                let old = store::api_keys::lock(tx, id)?.ok_or_else(missing)?;
                let now = engine.now();
                if !old.is_valid(now) || old.ends_at.is_some() {
                    let message =
                        format!("{id} was revoked or rotated before; rotate the key that follows it");
                    return Err(Error::invalid("key", "key_ended", message));
                }
                let (key, text, hash) = engine.make_key(old.scope, old.kind, old.name.clone());
                store::api_keys::insert(tx, &key, &hash)?;
                if overlap == 0 {
                    store::api_keys::revoke(tx, id, now)?;
                } else {
                    store::api_keys::set_end(tx, id, now.plus(overlap))?;
                }
                let seconds = overlap / domain::time::MICROS;
                let detail = format!("{} follows; {id} works on for {seconds} s", key.id);
                engine.audit_key(tx, AuditKind::KeyRotated, &old, detail)?;
                Ok((key, text))
            })
            .await
    }

    /// Who a key belongs to; `None` for one that is unknown, malformed or revoked.
    pub async fn authenticate(&self, text: &str) -> Result<Option<Caller>, Error> {
        if text.len() > KEY_TEXT_MAX {
            return Ok(None);
        }
        let hash = digest(text);
        if let Ok(entries) = self.keys.entries.lock()
            && let Some(seen) = entries.get(&hash)
            && seen.at.elapsed() < STALE
            && seen.ends_at.is_none_or(|end| self.now() < end)
        {
            return Ok(Some(seen.caller));
        }
        let found = self.store.read(move |tx| Ok::<_, Error>(store::api_keys::by_digest(tx, &hash)?)).await?;
        let Some(key) = found.filter(|k| k.is_valid(self.now())) else { return Ok(None) };
        let caller = Caller { scope: key.scope, actor: Actor::ApiKey(key.id), kind: key.kind };
        if let Ok(mut entries) = self.keys.entries.lock() {
            if entries.len() >= CACHED {
                entries.clear();
            }
            entries.insert(hash, Seen { at: Instant::now(), caller, ends_at: key.ends_at });
        }
        Ok(Some(caller))
    }

    /// What was revoked here is refused here at once; on other nodes within a second.
    pub(crate) fn forget_keys(&self, merchant: MerchantId) {
        if let Ok(mut entries) = self.keys.entries.lock() {
            entries.retain(|_, seen| seen.caller.scope.merchant != merchant);
        }
    }

    pub async fn list_keys(&self, merchant: MerchantId) -> Result<Vec<ApiKey>, Error> {
        self.store.read(move |tx| Ok::<_, Error>(store::api_keys::of_merchant(tx, merchant)?)).await
    }

    /// Revokes a key; false if there is no such key that was valid.
    pub async fn revoke_key(&self, id: ApiKeyId) -> Result<bool, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let Some(key) = store::api_keys::lock(tx, id)? else { return Ok(false) };
                if !store::api_keys::revoke(tx, id, engine.now())? {
                    return Ok(false);
                }
                engine.audit_key(tx, AuditKind::KeyRevoked, &key, format!("a {} key", described(&key)))?;
                Ok(true)
            })
            .await
    }
}

/// What kind of key it is, in words.
fn described(key: &ApiKey) -> String {
    let kind = match key.kind {
        KeyKind::Secret => "secret",
        KeyKind::Publishable => "publishable",
    };
    format!("{kind} {}", key.scope.mode)
}
