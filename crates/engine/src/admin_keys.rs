//! Keys of the Admin API: an organisation's with scopes, and those of the whole instance.

use crate::call::By;
use crate::error::Error;
use crate::offboarding::require_staying;
use crate::settings::STALE;
use crate::{Engine, ids, system_settings};
use domain::access::{Grant, Resource};
use domain::admin_key::{AdminKey, KEYS_KEPT, KEYS_MAX, split_key};
use domain::audit::AuditKind;
use domain::id::{AdminKeyId, MerchantId};
use domain::limits::KEY_OVERLAP_US;
use domain::network::Network;
use domain::scope::Mode;
use domain::time::{HOUR, MICROS, Timestamp};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use store::Tx;
use store::admin_keys::Digests;
use subtle::ConstantTimeEq;

/// Random characters of the secret half: 256 bits.
const SECRET_CHARS: usize = 43;
/// Longest key text that is looked at.
const KEY_TEXT_MAX: usize = 160;
const CACHED: usize = 10_000;

/// A key with what its secret is compared to.
type KnownKey = Arc<(AdminKey, Digests)>;

/// Keys read in the last second, and when keys were used since this was last written down.
#[derive(Default)]
pub(crate) struct AdminKeyCache {
    /// `None`: there was no such key, which must not take longer to find out than that there is one.
    known: Mutex<HashMap<AdminKeyId, (Instant, Option<KnownKey>)>>,
    used: Mutex<HashMap<AdminKeyId, Timestamp>>,
}

/// Whose keys: an organisation's in one mode, or the instance's.
pub type KeyOwner = Option<(MerchantId, Mode)>;

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewAdminKey {
    pub name: String,
    /// Of the key itself: a system key has one too, for the objects that it names.
    pub mode: Mode,
    pub grants: Vec<Grant>,
    pub networks: Vec<Network>,
}

/// What whoever deals with keys may do itself; `None` is everything.
pub type Ceiling = Option<Vec<Grant>>;

/// What is to be changed about a key; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct AdminKeyChanges {
    pub name: Option<String>,
    pub grants: Option<Vec<Grant>>,
    pub networks: Option<Vec<Network>>,
}

/// What every system key may do: administer the instance, and act within organisations that it names.
pub fn system_grants() -> Vec<Grant> {
    Resource::ALL
        .iter()
        .filter(|r| **r != Resource::UserProfile)
        .map(|r| Grant { resource: *r, action: None })
        .collect()
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn last4(secret: &str) -> String {
    secret.get(secret.len().saturating_sub(4)..).unwrap_or_default().to_owned()
}

/// A key's text, of its two halves.
fn key_text(mode: Mode, id: AdminKeyId, secret: &str) -> String {
    format!("sk_{mode}_{}.{secret}", id.0.hex())
}

/// Refuses a key that can be used from everywhere, where the operator wants live ones to name their addresses. A key of
/// the instance counts as live: it makes live keys.
fn check_addresses(
    tx: &mut Tx<'_>,
    merchant: Option<MerchantId>,
    mode: Mode,
    networks: &[Network],
) -> Result<(), Error> {
    let everywhere = networks.is_empty() || networks.iter().any(Network::is_everywhere);
    let live = mode.is_live() || merchant.is_none();
    if live && everywhere && system_settings::api_keys(tx)?.live_need_addresses {
        let message = "ipWhitelist leaves every address: the operator wants live keys, and system keys, to name those they \
                       are used from";
        return Err(Error::invalid("ipWhitelist", "addresses_required", message));
    }
    Ok(())
}

impl Engine {
    /// Makes a key. Its text is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`Error::Limit`] above [`KEYS_MAX`]; [`Error::NotFound`] for an organisation that does not exist.
    pub async fn create_admin_key(
        &self,
        merchant: Option<MerchantId>,
        by: Option<By>,
        new: NewAdminKey,
    ) -> Result<(AdminKey, String), Error> {
        let secret = ids::secret_text(SECRET_CHARS);
        let (engine, kept) = (self.clone(), secret.clone());
        let key = self
            .store
            .write(move |tx| {
                if let Some(merchant) = merchant {
                    store::merchants::lock_mode(tx, domain::scope::Scope { merchant, mode: new.mode })?;
                    require_staying(tx, merchant)?;
                }
                check_addresses(tx, merchant, new.mode, &new.networks)?;
                let owner = merchant.map(|merchant| (merchant, new.mode));
                let known = store::admin_keys::all(tx, owner)?;
                if known.len() >= KEYS_KEPT {
                    return Err(Error::Limit { what: "keys, revoked ones too,", max: KEYS_KEPT });
                }
                if known.iter().filter(|k| k.revoked_at.is_none()).count() >= KEYS_MAX {
                    return Err(Error::Limit { what: "keys of an organisation and mode", max: KEYS_MAX });
                }
                let key = AdminKey {
                    id: engine.ids.next(),
                    merchant,
                    mode: new.mode,
                    name: new.name.clone(),
                    grants: new.grants.clone(),
                    networks: new.networks.clone(),
                    last4: last4(&secret),
                    created_by: by
                        .as_ref()
                        .map_or_else(|| crate::audit::OPERATOR.to_owned(), |b| b.actor.to_string()),
                    created_at: engine.now(),
                    last_used_at: None,
                    revoked_at: None,
                    old_until: None,
                };
                store::admin_keys::insert(tx, &key, &digest(&secret))?;
                let scopes: Vec<String> = key.grants.iter().map(ToString::to_string).collect();
                let detail = format!("key {:?} with {}", key.name, scopes.join(" "));
                engine.audit_admin_key(tx, by.as_ref(), AuditKind::KeyCreated, &key, detail)?;
                Ok(key)
            })
            .await?;
        let text = key_text(key.mode, key.id, &kept);
        Ok((key, text))
    }

    /// The key with this text; `None` for one that is unknown, malformed, revoked, or of another mode than it says.
    pub async fn authenticate_admin_key(&self, text: &str) -> Result<Option<AdminKey>, Error> {
        let Some((mode, id, secret)) = split_key(text).filter(|_| text.len() <= KEY_TEXT_MAX) else {
            return Ok(None);
        };
        // Computed whether or not there is such a key.
        let given = digest(secret);
        let Some(known) = self.admin_key(id).await? else { return Ok(None) };
        let (key, digests) = &*known;
        let now = self.now();
        let current: bool = digests.current.as_slice().ct_eq(&given).into();
        let old = digests.old.as_ref().is_some_and(|(digest, until)| {
            let same: bool = digest.as_slice().ct_eq(&given).into();
            same && now < *until
        });
        if !(current || old) || key.revoked_at.is_some() || key.mode != mode {
            return Ok(None);
        }
        self.admin_keys.used.lock().unwrap_or_else(PoisonError::into_inner).insert(id, now);
        Ok(Some(key.clone()))
    }

    async fn admin_key(&self, id: AdminKeyId) -> Result<Option<KnownKey>, Error> {
        if let Ok(known) = self.admin_keys.known.lock()
            && let Some((read_at, key)) = known.get(&id)
            && read_at.elapsed() < STALE
        {
            return Ok(key.clone());
        }
        let asked = Instant::now();
        let found = self.store.read(move |tx| Ok::<_, Error>(store::admin_keys::by_id(tx, id)?)).await?;
        let found = found.map(Arc::new);
        if let Ok(mut known) = self.admin_keys.known.lock() {
            if known.len() >= CACHED {
                known.clear();
            }
            known.insert(id, (asked, found.clone()));
        }
        Ok(found)
    }

    /// What was changed here is in force here at once; on other nodes within a second.
    fn forget_admin_key(&self, id: AdminKeyId) {
        self.admin_keys.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    /// The same of all keys of an organisation.
    pub(crate) fn forget_admin_keys(&self, merchant: MerchantId) {
        let mut known = self.admin_keys.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (_, key)| key.as_ref().is_none_or(|key| key.0.merchant != Some(merchant)));
    }

    pub async fn admin_keys(&self, owner: KeyOwner) -> Result<Vec<AdminKey>, Error> {
        self.store.read(move |tx| Ok::<_, Error>(store::admin_keys::all(tx, owner)?)).await
    }

    /// Changes a key's name, scopes and networks.
    pub async fn change_admin_key(
        &self,
        owner: KeyOwner,
        by: By,
        ceiling: Ceiling,
        id: AdminKeyId,
        changes: AdminKeyChanges,
    ) -> Result<AdminKey, Error> {
        let engine = self.clone();
        let key = self
            .store
            .write(move |tx| {
                let mut key = lock(tx, owner, id)?;
                within(&key, ceiling.as_deref())?;
                let mut told = Vec::new();
                if let Some(name) = &changes.name {
                    told.push(format!("name {name:?}"));
                    key.name.clone_from(name);
                }
                if let Some(grants) = &changes.grants {
                    let shown: Vec<String> = grants.iter().map(ToString::to_string).collect();
                    told.push(format!("scopes {}", shown.join(" ")));
                    key.grants.clone_from(grants);
                }
                if let Some(networks) = &changes.networks {
                    check_addresses(tx, key.merchant, key.mode, networks)?;
                    let shown: Vec<String> = networks.iter().map(ToString::to_string).collect();
                    told.push(format!("addresses {}", shown.join(" ")));
                    key.networks.clone_from(networks);
                }
                store::admin_keys::update(tx, &key)?;
                engine.audit_admin_key(tx, Some(&by), AuditKind::SettingsChanged, &key, told.join("; "))?;
                Ok::<_, Error>(key)
            })
            .await?;
        self.forget_admin_key(id);
        Ok(key)
    }

    /// Gives a key a new secret under the same id; the old one works on for `overlap` microseconds.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an overlap above 7 days; [`Error::Conflict`] for a revoked key.
    pub async fn rotate_admin_key(
        &self,
        owner: KeyOwner,
        by: By,
        ceiling: Ceiling,
        id: AdminKeyId,
        overlap: i64,
    ) -> Result<(AdminKey, String), Error> {
        if !(0..=KEY_OVERLAP_US).contains(&overlap) {
            return Err(Error::invalid(
                "overlapSeconds",
                "overlap_invalid",
                "overlapSeconds must be 0 to 604800",
            ));
        }
        let secret = ids::secret_text(SECRET_CHARS);
        let (engine, kept) = (self.clone(), secret.clone());
        let key = self
            .store
            .write(move |tx| {
                let key = lock(tx, owner, id)?;
                within(&key, ceiling.as_deref())?;
                if key.revoked_at.is_some() {
                    let message = "The key is revoked. Make a new one.".to_owned();
                    return Err(Error::Conflict { code: "key_revoked", message });
                }
                check_addresses(tx, key.merchant, key.mode, &key.networks)?;
                let hours = system_settings::api_keys(tx)?.overlap_hours_max;
                if overlap > hours * HOUR {
                    let most = hours * HOUR / MICROS;
                    let message =
                        format!("overlapSeconds can be {most} at most: the operator allows {hours} hours");
                    return Err(Error::invalid("overlapSeconds", "overlap_invalid", message));
                }
                let old_until = (overlap > 0).then(|| engine.now().plus(overlap));
                let last4 = last4(&secret);
                store::admin_keys::rotate(tx, id, &digest(&secret), &last4, old_until)?;
                let seconds = overlap / MICROS;
                let detail = format!("the old secret works on for {seconds} s");
                engine.audit_admin_key(tx, Some(&by), AuditKind::KeyRotated, &key, detail)?;
                Ok(AdminKey { last4, old_until, ..key })
            })
            .await?;
        self.forget_admin_key(id);
        let text = key_text(key.mode, id, &kept);
        Ok((key, text))
    }

    /// Ends a key at once. Ending it twice changes nothing. `by`: `None` is the operator's command.
    pub async fn revoke_admin_key(
        &self,
        owner: KeyOwner,
        by: Option<By>,
        id: AdminKeyId,
    ) -> Result<AdminKey, Error> {
        let engine = self.clone();
        let key = self
            .store
            .write(move |tx| {
                let key = lock(tx, owner, id)?;
                let now = engine.now();
                if store::admin_keys::revoke(tx, id, now)? {
                    let detail = format!("key {:?}", key.name);
                    engine.audit_admin_key(tx, by.as_ref(), AuditKind::KeyRevoked, &key, detail)?;
                    return Ok(AdminKey { revoked_at: Some(now), ..key });
                }
                Ok::<_, Error>(key)
            })
            .await?;
        self.forget_admin_key(id);
        Ok(key)
    }

    /// Removes a key from the list; the audit log keeps what it did.
    pub async fn delete_admin_key(&self, owner: KeyOwner, by: By, id: AdminKeyId) -> Result<(), Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                let key = lock(tx, owner, id)?;
                store::admin_keys::delete(tx, id)?;
                let detail = format!("key {:?}", key.name);
                engine.audit_admin_key(tx, Some(&by), AuditKind::ObjectDeleted, &key, detail)
            })
            .await?;
        self.forget_admin_key(id);
        Ok(())
    }

    /// Forgets secrets that were rotated out and whose overlap is over, so that a clock which goes back revives none.
    /// How many.
    pub async fn forget_old_secrets(&self) -> Result<u64, Error> {
        let now = self.now();
        let bulk = domain::limits::BULK_ROWS;
        self.store.write(move |tx| Ok::<_, Error>(store::admin_keys::forget_ended(tx, now, bulk)?)).await
    }

    /// Writes down when keys were last used. What was used in the last second before a crash is not.
    pub async fn write_key_uses(&self) -> Result<(), Error> {
        let used = std::mem::take(&mut *self.admin_keys.used.lock().unwrap_or_else(PoisonError::into_inner));
        if used.is_empty() {
            return Ok(());
        }
        // In one order, so that two nodes do not lock the same rows crosswise.
        let mut used: Vec<(AdminKeyId, Timestamp)> = used.into_iter().collect();
        used.sort_unstable();
        let bulk = usize::try_from(domain::limits::BULK_ROWS).unwrap_or(1);
        for part in used.chunks(bulk) {
            let part = part.to_vec();
            self.store.write(move |tx| Ok::<_, Error>(store::admin_keys::note_used(tx, &part)?)).await?;
        }
        Ok(())
    }

    fn audit_admin_key(
        &self,
        tx: &mut store::Tx<'_>,
        by: Option<&By>,
        kind: AuditKind,
        key: &AdminKey,
        detail: String,
    ) -> Result<(), Error> {
        let of = (key.merchant, key.merchant.map(|_| key.mode));
        match by {
            Some(by) => self.audit_by(tx, by, kind, of, key.id, detail),
            None => self.audit_command(tx, kind, of, key.id, detail),
        }
    }
}

/// Refuses to change, or to hand out the new secret of, a key that may do more than whoever asks.
fn within(key: &AdminKey, ceiling: Option<&[Grant]>) -> Result<(), Error> {
    let Some(own) = ceiling else { return Ok(()) };
    match key.grants.iter().find(|grant| !own.iter().any(|o| o.covers(**grant))) {
        None => Ok(()),
        Some(more) => {
            let message = format!("The key has the scope {more}, which the one that asks does not have.");
            Err(Error::Forbidden { code: "insufficient_scope", message })
        }
    }
}

fn lock(tx: &mut store::Tx<'_>, owner: KeyOwner, id: AdminKeyId) -> Result<AdminKey, Error> {
    store::admin_keys::lock(tx, owner, id)?.ok_or_else(|| Error::not_found("API key", id.0.hex()))
}
