//! Services as requests find them: by their integer, with every secret that may have signed.

use crate::Engine;
use crate::error::Error;
use crate::settings::STALE;
use crate::storefronts::token_context;
use domain::gate_token::GateToken;
use domain::gate_transaction::GateTransaction;
use domain::id::StorefrontId;
use domain::storefront::Storefront;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use store::Tx;

const CACHED: usize = 10_000;
/// For how long a service just read is not read again for a signature that does not fit.
const ANEW: Duration = Duration::from_millis(10);

/// A valid token with its secret.
#[derive(Clone)]
pub struct ServiceToken {
    pub token: GateToken,
    pub secret: String,
}

/// A service, at most a second old.
pub struct GateService {
    pub storefront: Storefront,
    /// Valid ones, oldest first: the first signs what is not told otherwise.
    pub tokens: Vec<ServiceToken>,
}

#[derive(Default)]
pub(crate) struct ServiceCache {
    entries: Mutex<HashMap<i64, (Instant, Arc<GateService>)>>,
}

impl Engine {
    /// The service with this integer, whoever's it is: the request's signature must say who asks.
    pub async fn gate_service(&self, number: i64) -> Result<Option<Arc<GateService>>, Error> {
        if let Ok(entries) = self.services.entries.lock()
            && let Some((read_at, service)) = entries.get(&number)
            && read_at.elapsed() < STALE
        {
            return Ok(Some(service.clone()));
        }
        self.read_gate_service(number).await
    }

    /// The same read anew, for a request that what is known of the service does not fit: its token may have been made
    /// since. `None` when there can be nothing new: whoever guesses costs a read every [`ANEW`] and no more.
    pub async fn gate_service_anew(&self, number: i64) -> Result<Option<Arc<GateService>>, Error> {
        if let Ok(entries) = self.services.entries.lock()
            && let Some((read_at, _)) = entries.get(&number)
            && read_at.elapsed() < ANEW
        {
            return Ok(None);
        }
        self.read_gate_service(number).await
    }

    async fn read_gate_service(&self, number: i64) -> Result<Option<Arc<GateService>>, Error> {
        let engine = self.clone();
        // Taken before the read: what is committed after it must not count as known.
        let asked = Instant::now();
        let service = self
            .store
            .read(move |tx| {
                let Some(storefront) = store::storefronts::by_number(tx, number)? else { return Ok(None) };
                let tokens = engine.open_tokens(tx, storefront.id)?;
                Ok::<_, Error>(Some(GateService { storefront, tokens }))
            })
            .await?
            .map(Arc::new);
        if let (Some(service), Ok(mut entries)) = (&service, self.services.entries.lock()) {
            if entries.len() >= CACHED {
                entries.clear();
            }
            entries.insert(number, (asked, service.clone()));
        }
        Ok(service)
    }

    /// The transaction with this uuid and its service; the request's signature must say whether it may be
    /// seen.
    pub async fn gate_transaction(
        &self,
        uuid: String,
    ) -> Result<Option<(GateTransaction, Arc<GateService>)>, Error> {
        let found = self
            .store
            .read(move |tx| {
                let Some(transaction) = store::gate_transactions::by_uuid(tx, &uuid)? else {
                    return Ok(None);
                };
                let storefront = store::storefronts::get(tx, transaction.scope, transaction.storefront)?;
                Ok::<_, Error>(storefront.map(|s| (transaction, s.number)))
            })
            .await?;
        let Some((transaction, number)) = found else { return Ok(None) };
        Ok(self.gate_service(number).await?.map(|service| (transaction, service)))
    }

    /// Valid tokens of a storefront with their secrets, oldest first.
    pub(crate) fn open_tokens(
        &self,
        tx: &mut Tx<'_>,
        storefront: StorefrontId,
    ) -> Result<Vec<ServiceToken>, Error> {
        let mut open = Vec::new();
        for (token, sealed) in store::gate_tokens::of_storefront(tx, storefront)? {
            if token.revoked_at.is_none() {
                let secret = String::from_utf8(self.vault.open(&token_context(token.id), &sealed)?)
                    .map_err(|_| Error::Internal("a token's secret is not text".to_owned()))?;
                open.push(ServiceToken { token, secret });
            }
        }
        Ok(open)
    }
}
