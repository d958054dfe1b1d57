//! API keys: made once, stored as digests, looked up by digest.

use crate::error::Error;
use crate::ids;
use crate::settings::STALE;
use crate::{Caller, Engine};
use domain::id::{ApiKeyId, MerchantId};
use domain::merchant::{ApiKey, KeyKind};
use domain::scope::{Mode, Scope};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

/// Random characters of a key: 190 bits.
const KEY_CHARS: usize = 32;
/// Longest key text that is looked at.
pub const KEY_TEXT_MAX: usize = 128;
const CACHED: usize = 10_000;

/// Keys seen in the last second, so that each request need not read the database. A revoked key is
/// refused at the latest when its entry is that old.
#[derive(Default)]
pub(crate) struct KeyCache {
    entries: Mutex<HashMap<[u8; 32], (Instant, Caller)>>,
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
        let text = new_key_text(kind, scope.mode);
        let key = ApiKey {
            id: self.ids.next(),
            scope,
            kind,
            name,
            last4: text.get(text.len() - 4..).unwrap_or_default().to_owned(),
            created_at: self.now(),
            revoked_at: None,
        };
        let (row, hash) = (key.clone(), digest(&text));
        self.store.write(move |tx| Ok::<_, Error>(store::api_keys::insert(tx, &row, &hash)?)).await?;
        Ok((key, text))
    }

    /// Who a key belongs to; `None` for one that is unknown, malformed or revoked.
    pub async fn authenticate(&self, text: &str) -> Result<Option<Caller>, Error> {
        if text.len() > KEY_TEXT_MAX {
            return Ok(None);
        }
        let hash = digest(text);
        if let Ok(entries) = self.keys.entries.lock()
            && let Some((seen_at, caller)) = entries.get(&hash)
            && seen_at.elapsed() < STALE
        {
            return Ok(Some(*caller));
        }
        let found = self.store.read(move |tx| Ok::<_, Error>(store::api_keys::by_digest(tx, &hash)?)).await?;
        let Some(key) = found.filter(|k| k.revoked_at.is_none()) else { return Ok(None) };
        let caller = Caller { scope: key.scope, key: key.id, kind: key.kind };
        if let Ok(mut entries) = self.keys.entries.lock() {
            if entries.len() >= CACHED {
                entries.clear();
            }
            entries.insert(hash, (Instant::now(), caller));
        }
        Ok(Some(caller))
    }

    pub async fn list_keys(&self, merchant: MerchantId) -> Result<Vec<ApiKey>, Error> {
        self.store.read(move |tx| Ok::<_, Error>(store::api_keys::of_merchant(tx, merchant)?)).await
    }

    /// Revokes a key; false if there is no such key that was valid.
    pub async fn revoke_key(&self, id: ApiKeyId) -> Result<bool, Error> {
        let now = self.now();
        self.store.write(move |tx| Ok::<_, Error>(store::api_keys::revoke(tx, id, now)?)).await
    }
}
