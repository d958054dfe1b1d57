//! Accounts at payment service providers, as an organisation sets them up.

use crate::Engine;
use crate::call::By;
use crate::error::Error;
use connectors::{Connector, ConnectorProfile};
use domain::audit::AuditKind;
use domain::id::{ProviderId, StorefrontId};
use domain::merchant::{Provider, ProviderCheck};
use domain::scope::Scope;
use domain::site::{PROVIDERS_MAX, choose_provider};
use std::sync::Arc;
use std::time::Duration;
use store::Tx;

/// How long a provider may take to say whether it takes credentials.
const CHECK_TIME: Duration = Duration::from_secs(10);
/// Longest value of a credential, in bytes.
const CREDENTIAL_MAX: usize = 4_096;
/// Characters of a secret that stay readable at its end.
const SHOWN_CHARS: usize = 4;

/// What a secret that is shown begins with.
const MASK: &str = "••••";

/// Names and values of credentials, as an operator entered them.
pub type Credentials = Vec<(String, String)>;

/// What is to be changed; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct ProviderChanges {
    pub name: Option<String>,
    pub enabled: Option<bool>,
    /// Fields to write over those that are stored; an empty value removes one.
    pub credentials: Option<Credentials>,
}

fn context(id: ProviderId) -> String {
    format!("providers.credentials.{id}")
}

/// The provider that payments of a storefront go to; `None` if none of those that it offers is enabled.
pub(crate) fn provider_of(
    tx: &mut Tx<'_>,
    scope: Scope,
    storefront: StorefrontId,
) -> Result<Option<Provider>, Error> {
    let all = store::providers::all(tx, scope)?;
    let facet = store::sites::get(tx, scope, storefront)?;
    Ok(choose_provider(facet.as_ref(), &all).cloned())
}

impl Engine {
    /// Every kind of provider that this build knows, with what it needs.
    pub fn provider_kinds(&self) -> Vec<(&'static str, ConnectorProfile)> {
        self.connectors.all().iter().map(|c| (c.name(), c.profile())).collect()
    }

    fn connector(&self, kind: &str) -> Result<Arc<dyn Connector>, Error> {
        self.connectors.get(kind).ok_or_else(|| {
            let known: Vec<&str> = self.connectors.all().iter().map(|c| c.name()).collect();
            let message = format!("type must be one of: {}", known.join(", "));
            Error::invalid("type", "provider_type_unknown", message)
        })
    }

    /// Sets up an account at a provider.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an unknown kind, credentials that do not fit it, or a test provider in live mode;
    /// [`Error::Limit`] above [`PROVIDERS_MAX`].
    pub async fn create_provider(
        &self,
        scope: Scope,
        by: By,
        kind: String,
        name: String,
        credentials: Credentials,
    ) -> Result<Provider, Error> {
        let connector = self.connector(&kind)?;
        let profile = connector.profile();
        if scope.mode.is_live() && !profile.live {
            let message = format!("{kind} moves no real money: it can be set up in test mode only");
            return Err(Error::invalid("type", "provider_test_only", message));
        }
        let credentials = checked(&profile, Vec::new(), &credentials)?;
        let engine = self.clone();
        self.store
            .write(move |tx| {
                store::merchants::lock_mode(tx, scope)?;
                if store::providers::all(tx, scope)?.len() >= PROVIDERS_MAX {
                    return Err(Error::Limit { what: "providers of an organisation", max: PROVIDERS_MAX });
                }
                let now = engine.now();
                let provider = Provider {
                    id: engine.ids.next(),
                    scope,
                    connector: kind.clone(),
                    name: name.clone(),
                    enabled: true,
                    shown: shown(&profile, &credentials),
                    check: None,
                    created_at: now,
                    updated_at: now,
                };
                let sealed = engine.seal_credentials(provider.id, &credentials)?;
                store::providers::insert(tx, &provider, sealed.as_deref())?;
                let detail = format!("provider {name:?} of type {kind}");
                engine.audit_provider(tx, &by, AuditKind::ObjectCreated, &provider, detail)?;
                Ok(provider)
            })
            .await
    }

    pub async fn providers(&self, scope: Scope) -> Result<Vec<Provider>, Error> {
        self.store.read(move |tx| Ok::<_, Error>(store::providers::all(tx, scope)?)).await
    }

    pub async fn provider(&self, scope: Scope, id: ProviderId) -> Result<Provider, Error> {
        self.store.read(move |tx| present(tx, scope, id)).await
    }

    /// Changes a provider. In force within a second.
    pub async fn change_provider(
        &self,
        scope: Scope,
        by: By,
        id: ProviderId,
        changes: ProviderChanges,
    ) -> Result<Provider, Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                // Of two changes at the same time neither may undo the other.
                store::merchants::lock_mode(tx, scope)?;
                let mut provider = present(tx, scope, id)?;
                let mut told = Vec::new();
                if let Some(name) = &changes.name {
                    told.push(format!("name {:?} to {name:?}", provider.name));
                    provider.name.clone_from(name);
                }
                if let Some(enabled) = changes.enabled {
                    told.push(format!("enabled {} to {enabled}", provider.enabled));
                    provider.enabled = enabled;
                }
                if let Some(new) = &changes.credentials {
                    let profile = engine.connector(&provider.connector)?.profile();
                    let stored = engine.open_credentials(tx, id)?;
                    let credentials = checked(&profile, stored, new)?;
                    provider.shown = shown(&profile, &credentials);
                    provider.check = None;
                    let sealed = engine.seal_credentials(id, &credentials)?;
                    store::providers::set_credentials(tx, id, sealed.as_deref())?;
                    let names: Vec<&str> = new.iter().map(|(name, _)| name.as_str()).collect();
                    told.push(format!("credentials: {}", names.join(", ")));
                }
                provider.updated_at = engine.now();
                store::providers::update(tx, &provider)?;
                engine.audit_provider(tx, &by, AuditKind::SettingsChanged, &provider, told.join("; "))?;
                Ok(provider)
            })
            .await
    }

    /// Takes a provider out of use and forgets its credentials. What went through it can still be refunded where
    /// the provider needs none.
    ///
    /// # Errors
    /// [`Error::InUse`] while a site names it as its default.
    pub async fn delete_provider(&self, scope: Scope, by: By, id: ProviderId) -> Result<(), Error> {
        let engine = self.clone();
        self.store
            .write(move |tx| {
                store::merchants::lock_mode(tx, scope)?;
                let provider = present(tx, scope, id)?;
                let mut sites = store::sites::all(tx, scope)?.into_iter();
                if let Some(site) =
                    sites.find(|s| s.default_provider == Some(id) || s.providers.contains(&id))
                {
                    let message =
                        format!("the site {} uses it; change the site first", site.storefront.0.hex());
                    return Err(Error::InUse { kind: "provider", message });
                }
                store::providers::delete(tx, id, engine.now())?;
                let detail = format!("provider {:?}", provider.name);
                engine.audit_provider(tx, &by, AuditKind::ObjectDeleted, &provider, detail)
            })
            .await
    }

    /// Asks the provider whether it takes the stored credentials, and writes down what it said.
    pub async fn check_provider(&self, scope: Scope, by: By, id: ProviderId) -> Result<Provider, Error> {
        let engine = self.clone();
        let (kind, asked, credentials) = self
            .store
            .read(move |tx| {
                let provider = present(tx, scope, id)?;
                Ok::<_, Error>((provider.connector, provider.updated_at, engine.open_credentials(tx, id)?))
            })
            .await?;
        let connector = self.connector(&kind)?;
        let answer = tokio::time::timeout(CHECK_TIME, connector.check(credentials)).await;
        let error = match answer {
            Ok(answer) => answer.err(),
            Err(_) => Some("the provider did not answer within 10 seconds".to_owned()),
        };
        let engine = self.clone();
        self.store
            .write(move |tx| {
                store::merchants::lock_mode(tx, scope)?;
                let mut provider = present(tx, scope, id)?;
                if provider.updated_at != asked {
                    let message = "The provider was changed while it was tested. Test it again.".to_owned();
                    return Err(Error::Conflict { code: "provider_changed", message });
                }
                provider.check = Some(ProviderCheck { at: engine.now(), error: error.clone() });
                store::providers::update(tx, &provider)?;
                let said = if error.is_none() { "taken" } else { "refused" };
                let detail = format!("credentials were checked: {said}");
                engine.audit_provider(tx, &by, AuditKind::SettingsChanged, &provider, detail)?;
                Ok(provider)
            })
            .await
    }

    fn seal_credentials(&self, id: ProviderId, credentials: &Credentials) -> Result<Option<Vec<u8>>, Error> {
        if credentials.is_empty() {
            return Ok(None);
        }
        let text =
            serde_json::to_string(credentials).map_err(|e| Error::Internal(format!("credentials: {e}")))?;
        self.vault.seal(&context(id), text.as_bytes()).map(Some)
    }

    fn open_credentials(&self, tx: &mut Tx<'_>, id: ProviderId) -> Result<Credentials, Error> {
        let Some(sealed) = store::providers::credentials(tx, id)? else { return Ok(Vec::new()) };
        let text = self.vault.open(&context(id), &sealed)?;
        serde_json::from_slice(&text)
            .map_err(|_| Error::Internal("stored credentials cannot be read".to_owned()))
    }

    fn audit_provider(
        &self,
        tx: &mut Tx<'_>,
        by: &By,
        kind: AuditKind,
        p: &Provider,
        detail: String,
    ) -> Result<(), Error> {
        self.audit_by(tx, by, kind, (Some(p.scope.merchant), Some(p.scope.mode)), p.id.0.hex(), detail)
    }
}

/// A provider that is not deleted.
fn present(tx: &mut Tx<'_>, scope: Scope, id: ProviderId) -> Result<Provider, Error> {
    let mut all = store::providers::all(tx, scope)?.into_iter();
    all.find(|p| p.id == id).ok_or_else(|| Error::not_found("provider", id.0.hex()))
}

/// The stored credentials with the new ones over them.
fn checked(profile: &ConnectorProfile, stored: Credentials, new: &Credentials) -> Result<Credentials, Error> {
    let mut all = stored;
    for (name, value) in new {
        if !profile.fields.iter().any(|f| f.name == name) {
            let known: Vec<&str> = profile.fields.iter().map(|f| f.name).collect();
            let shown: String = name.chars().take(40).collect();
            let message =
                format!("config.{shown} is not known; {} takes: {}", profile.title, known.join(", "));
            return Err(Error::invalid("config", "credential_unknown", message));
        }
        if value.len() > CREDENTIAL_MAX || value.chars().any(char::is_control) {
            let message = format!("config.{name} must be one line of up to {CREDENTIAL_MAX} bytes");
            return Err(Error::invalid("config", "credential_invalid", message));
        }
        if value.starts_with(MASK) && all.iter().any(|(known, _)| known == name) {
            // What was read back and is sent as it was shown.
            continue;
        }
        if value.starts_with(MASK) {
            let message =
                format!("config.{name} is a masked value as it is shown; send the credential itself");
            return Err(Error::invalid("config", "credential_masked", message));
        }
        all.retain(|(known, _)| known != name);
        if !value.is_empty() {
            all.push((name.clone(), value.clone()));
        }
    }
    let missing = profile.fields.iter().find(|f| f.required && !all.iter().any(|(name, _)| name == f.name));
    if let Some(field) = missing {
        let message = format!("config.{} is missing: {}", field.name, field.help);
        return Err(Error::invalid("config", "credential_missing", message));
    }
    Ok(all)
}

/// What of credentials may be read back.
fn shown(profile: &ConnectorProfile, credentials: &Credentials) -> Credentials {
    let secret = |name: &str| profile.fields.iter().any(|f| f.name == name && f.secret);
    credentials
        .iter()
        .map(|(name, value)| (name.clone(), if secret(name) { masked(value) } else { value.clone() }))
        .collect()
}

/// A secret by its last characters, if what is hidden is longer than what is shown.
fn masked(value: &str) -> String {
    let chars: Vec<char> = value.chars().collect();
    let end = if chars.len() > 3 * SHOWN_CHARS {
        chars[chars.len() - SHOWN_CHARS..].iter().collect()
    } else {
        String::new()
    };
    format!("{MASK}{end}")
}
