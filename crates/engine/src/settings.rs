//! What an operator set for a merchant, kept for a second so that each payment need not read it.

use crate::Engine;
use crate::error::Error;
use crate::providers::provider_of;
use domain::fee::FeeRule;
use domain::id::{MerchantId, StorefrontId};
use domain::merchant::{MerchantMode, Provider};
use domain::offboarding::Offboarding;
use domain::scope::Scope;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::Tx;

/// How stale a setting may be. Revocations of keys are bounded by the same time.
pub const STALE: Duration = Duration::from_secs(1);
const ENTRIES: usize = 10_000;

/// What is set for one merchant in one mode.
#[derive(Clone, Debug)]
pub struct Settings {
    pub merchant_name: String,
    /// `None` if it stays.
    pub offboarding: Option<Offboarding>,
    pub mode: MerchantMode,
    /// Of payments of the default storefront.
    pub provider: Option<Provider>,
    /// Of payments of the default storefront; for others see [`Engine::fee_rules_of`].
    pub fee_rules: Vec<FeeRule>,
}

impl Settings {
    /// The provider that new payments of the default storefront go to; for others see [`Engine::provider_of`].
    ///
    /// # Errors
    /// [`Error::ProviderNotConfigured`] if there is none, as in live mode.
    pub fn require_provider(&self) -> Result<&Provider, Error> {
        self.provider.as_ref().ok_or(Error::ProviderNotConfigured)
    }
}

#[derive(Default)]
pub(crate) struct SettingsCache {
    entries: Mutex<HashMap<Scope, (Instant, Arc<Settings>)>>,
}

fn fee_rules(tx: &mut Tx<'_>, mode: &MerchantMode, storefront: StorefrontId) -> Result<Vec<FeeRule>, Error> {
    let storefront = store::storefronts::get(tx, mode.scope, storefront)?;
    let group = storefront.and_then(|s| s.fee_group).unwrap_or(mode.fee_group);
    Ok(store::fees::rules(tx, group)?)
}

impl Engine {
    /// The fee rules of a storefront's payments. Those of the default one are known without a look-up.
    pub(crate) fn fee_rules_of<'s>(
        &self,
        tx: &mut Tx<'_>,
        settings: &'s Settings,
        storefront: StorefrontId,
    ) -> Result<Cow<'s, [FeeRule]>, Error> {
        if storefront == settings.mode.storefront {
            return Ok(Cow::Borrowed(&settings.fee_rules));
        }
        fee_rules(tx, &settings.mode, storefront).map(Cow::Owned)
    }

    /// The provider that new payments of a storefront go to. That of the default one is known without a look-up.
    ///
    /// # Errors
    /// [`Error::ProviderNotConfigured`] if none of those that the site offers is enabled.
    pub(crate) fn provider_of<'s>(
        &self,
        tx: &mut Tx<'_>,
        settings: &'s Settings,
        storefront: StorefrontId,
    ) -> Result<Cow<'s, Provider>, Error> {
        if storefront == settings.mode.storefront {
            return settings.require_provider().map(Cow::Borrowed);
        }
        let found = provider_of(tx, settings.mode.scope, storefront)?;
        found.map(Cow::Owned).ok_or(Error::ProviderNotConfigured)
    }

    /// What was changed here is in force here at once; on other nodes within a second.
    pub(crate) fn forget_settings(&self, merchant: MerchantId) {
        if let Ok(mut entries) = self.settings.entries.lock() {
            entries.retain(|scope, _| scope.merchant != merchant);
        }
    }

    /// The settings of a merchant and mode, at most [`STALE`] old.
    pub async fn settings(&self, scope: Scope) -> Result<Arc<Settings>, Error> {
        if let Ok(entries) = self.settings.entries.lock()
            && let Some((read_at, settings)) = entries.get(&scope)
            && read_at.elapsed() < STALE
        {
            return Ok(settings.clone());
        }
        let settings = self
            .store
            .read(move |tx| {
                let gone = || Error::not_found("merchant", scope.merchant);
                let merchant = store::merchants::get(tx, scope.merchant)?.ok_or_else(gone)?;
                let mode = store::merchants::mode(tx, scope)?.ok_or_else(gone)?;
                let provider = provider_of(tx, scope, mode.storefront)?;
                let fee_rules = fee_rules(tx, &mode, mode.storefront)?;
                Ok::<_, Error>(Settings {
                    merchant_name: merchant.name,
                    offboarding: merchant.offboarding,
                    mode,
                    provider,
                    fee_rules,
                })
            })
            .await?;
        let settings = Arc::new(settings);
        if let Ok(mut entries) = self.settings.entries.lock() {
            if entries.len() >= ENTRIES {
                entries.clear();
            }
            entries.insert(scope, (Instant::now(), settings.clone()));
        }
        Ok(settings)
    }
}
