//! Webhook endpoints, deliveries and their log.

use crate::error::StoreError;
use crate::page::{self, Listed, Order, PageQuery, Table, select};
use crate::params;
use crate::tx::{Json, Row, ToParam, Tx, json};
use domain::event::EventType;
use domain::id::{Core, DeliveryId, EventId, StorefrontId, WebhookEndpointId};
use domain::scope::Scope;
use domain::time::Timestamp;
use domain::webhook::{Delivery, DeliveryStatus, EndpointKind, WebhookEndpoint};

const COLUMNS: &str = "id, merchant, live, kind, storefront, url, enabled_events, status, disabled_reason, \
    description, api_version, metadata, failing_since, created_at";

const TABLE: Table = Table { name: "webhook_endpoints", columns: COLUMNS, id: "id", order: Order::Created };

fn endpoint(row: &mut Row<'_>) -> Result<WebhookEndpoint, StoreError> {
    Ok(WebhookEndpoint {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        kind: row.next()?,
        storefront: row.next()?,
        url: row.next()?,
        enabled_events: row.next::<Json<_>>()?.0,
        status: row.next()?,
        disabled_reason: row.next()?,
        description: row.next()?,
        api_version: row.next()?,
        metadata: row.next::<Json<_>>()?.0,
        failing_since: row.next()?,
        created_at: row.next()?,
    })
}

/// Stores an endpoint with its sealed secret.
pub fn insert(tx: &mut Tx<'_>, e: &WebhookEndpoint, secret: &[u8]) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO webhook_endpoints (id, merchant, live, kind, storefront, url, enabled_events, status, \
         disabled_reason, description, api_version, metadata, secret, failing_since, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        params![
            e.id,
            e.scope.merchant,
            e.scope.mode,
            e.kind,
            e.storefront,
            e.url,
            json(&e.enabled_events)?,
            e.status,
            e.disabled_reason,
            e.description,
            e.api_version,
            json(&e.metadata)?,
            secret,
            e.failing_since,
            e.created_at,
        ],
    )?;
    Ok(())
}

pub fn update(tx: &mut Tx<'_>, e: &WebhookEndpoint) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE webhook_endpoints SET url = ?1, enabled_events = ?2, status = ?3, disabled_reason = ?4, \
         description = ?5, metadata = ?6, failing_since = ?7 WHERE id = ?8",
        params![
            e.url,
            json(&e.enabled_events)?,
            e.status,
            e.disabled_reason,
            e.description,
            json(&e.metadata)?,
            e.failing_since,
            e.id,
        ],
    )?;
    Ok(())
}

/// Removes an endpoint; what is still on its way to it is given up.
pub fn delete(tx: &mut Tx<'_>, id: WebhookEndpointId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM webhook_endpoints WHERE id = ?1", params![id])?;
    tx.execute(
        "UPDATE deliveries SET status = 'failed' WHERE endpoint = ?1 AND status = 'pending'",
        params![id],
    )?;
    Ok(())
}

pub fn get(
    tx: &mut Tx<'_>,
    scope: Scope,
    id: WebhookEndpointId,
) -> Result<Option<WebhookEndpoint>, StoreError> {
    let sql = select(COLUMNS, "webhook_endpoints WHERE id = ?1 AND merchant = ?2 AND live = ?3");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], endpoint)
}

pub fn lock(
    tx: &mut Tx<'_>,
    scope: Scope,
    id: WebhookEndpointId,
) -> Result<Option<WebhookEndpoint>, StoreError> {
    let sql =
        select(COLUMNS, "webhook_endpoints WHERE id = ?1 AND merchant = ?2 AND live = ?3 /* for update */");
    tx.opt(&sql, params![id, scope.merchant, scope.mode], endpoint)
}

/// Endpoints registered over REST v2.
pub fn list(tx: &mut Tx<'_>, scope: Scope, query: &PageQuery) -> Listed<WebhookEndpoint> {
    page::list(tx, &TABLE, scope, &[("kind", EndpointKind::V2.param())], query, endpoint)
}

pub fn count(tx: &mut Tx<'_>, scope: Scope) -> Result<i64, StoreError> {
    tx.one(
        "SELECT COUNT(*) FROM webhook_endpoints WHERE merchant = ?1 AND live = ?2 AND kind = 'v2'",
        params![scope.merchant, scope.mode],
        |r| r.next(),
    )
}

/// Ids and wishes of the enabled REST v2 endpoints of a scope: read in every commit that emits an event.
pub fn enabled(tx: &mut Tx<'_>, scope: Scope) -> Result<Vec<WebhookEndpoint>, StoreError> {
    let rest = "webhook_endpoints WHERE merchant = ?1 AND live = ?2 AND kind = 'v2' AND status = 'enabled'";
    tx.all(&select(COLUMNS, rest), params![scope.merchant, scope.mode], endpoint)
}

/// A Gate service's own webhooks, with their integers, oldest first.
pub fn of_service(
    tx: &mut Tx<'_>,
    storefront: StorefrontId,
) -> Result<Vec<(i64, WebhookEndpoint)>, StoreError> {
    let sql = "SELECT g.number, e.id, e.merchant, e.live, e.kind, e.storefront, e.url, e.enabled_events, e.status, \
        e.disabled_reason, e.description, e.api_version, e.metadata, e.failing_since, e.created_at \
        FROM webhook_endpoints e JOIN gate_webhooks g ON g.endpoint = e.id WHERE e.storefront = ?1 \
        AND e.kind = 'gate' ORDER BY g.number";
    tx.all(sql, params![storefront], |r| Ok((r.next()?, endpoint(r)?)))
}

/// Gives a service's webhook its integer.
pub fn number_service_webhook(tx: &mut Tx<'_>, id: WebhookEndpointId) -> Result<(), StoreError> {
    tx.execute("INSERT INTO gate_webhooks (endpoint) VALUES (?1)", params![id])?;
    Ok(())
}

/// The endpoint that stands for one origin of a storefront's direct callbacks.
pub fn direct(
    tx: &mut Tx<'_>,
    storefront: StorefrontId,
    origin: &str,
) -> Result<Option<WebhookEndpointId>, StoreError> {
    tx.opt(
        "SELECT id FROM webhook_endpoints WHERE storefront = ?1 AND kind = 'direct' AND url = ?2 ORDER BY id LIMIT 1",
        params![storefront, origin],
        |r| r.next(),
    )
}

pub fn count_direct(tx: &mut Tx<'_>, storefront: StorefrontId) -> Result<i64, StoreError> {
    tx.one(
        "SELECT COUNT(*) FROM webhook_endpoints WHERE storefront = ?1 AND kind = 'direct'",
        params![storefront],
        |r| r.next(),
    )
}

/// The sealed secrets that sign at this moment, newest first.
#[derive(Clone, Debug)]
pub struct SealedSecrets {
    pub current: Vec<u8>,
    pub old: Option<(Vec<u8>, Timestamp)>,
}

pub fn secrets(tx: &mut Tx<'_>, id: WebhookEndpointId) -> Result<Option<SealedSecrets>, StoreError> {
    tx.opt(
        "SELECT secret, old_secret, old_secret_until FROM webhook_endpoints WHERE id = ?1",
        params![id],
        |r| {
            let current = r.next()?;
            let old: Option<Vec<u8>> = r.next()?;
            let until: Option<Timestamp> = r.next()?;
            Ok(SealedSecrets { current, old: old.zip(until) })
        },
    )
}

/// Puts a new secret in force; the one before signs on until `old_until`.
pub fn rotate_secret(
    tx: &mut Tx<'_>,
    id: WebhookEndpointId,
    secret: &[u8],
    old_until: Option<Timestamp>,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE webhook_endpoints SET old_secret = CASE WHEN CAST(?1 AS BIGINT) IS NULL THEN NULL ELSE secret END, \
         old_secret_until = ?1, secret = ?2 WHERE id = ?3",
        params![old_until, secret, id],
    )?;
    Ok(())
}

const DELIVERY_COLUMNS: &str = "id, merchant, live, event, endpoint, url, token, kind, status, attempts, resent_from, due_at, created_at";

const DELIVERIES: Table =
    Table { name: "deliveries", columns: DELIVERY_COLUMNS, id: "id", order: Order::Created };

fn delivery(row: &mut Row<'_>) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: row.next()?,
        scope: Scope { merchant: row.next()?, mode: row.next()? },
        event: row.next()?,
        endpoint: row.next()?,
        url: row.next()?,
        token: row.next()?,
        kind: row.next()?,
        status: row.next()?,
        attempts: row.next()?,
        resent_from: row.next()?,
        due_at: row.next()?,
        created_at: row.next()?,
    })
}

pub fn insert_delivery(tx: &mut Tx<'_>, d: &Delivery) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO deliveries (id, merchant, live, event, endpoint, url, token, kind, status, attempts, due_at, \
         claimed_until, body, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, 0, NULL, ?12)",
        params![
            d.id,
            d.scope.merchant,
            d.scope.mode,
            d.event,
            d.endpoint,
            d.url,
            d.token,
            d.kind,
            d.status,
            d.attempts,
            d.due_at,
            d.created_at
        ],
    )?;
    Ok(())
}

pub fn get_delivery(tx: &mut Tx<'_>, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
    tx.opt(&select(DELIVERY_COLUMNS, "deliveries WHERE id = ?1"), params![id], delivery)
}

/// The delivery of an event to an endpoint's own address, if there is one.
pub fn find_delivery(
    tx: &mut Tx<'_>,
    event: EventId,
    endpoint: WebhookEndpointId,
) -> Result<Option<Delivery>, StoreError> {
    let rest = "deliveries WHERE event = ?1 AND endpoint = ?2 AND url IS NULL ORDER BY id LIMIT 1";
    tx.opt(&select(DELIVERY_COLUMNS, rest), params![event, endpoint], delivery)
}

pub fn list_deliveries(
    tx: &mut Tx<'_>,
    scope: Scope,
    endpoint: WebhookEndpointId,
    status: Option<DeliveryStatus>,
    event: Option<EventId>,
    query: &PageQuery,
) -> Listed<Delivery> {
    let mut filters = vec![("endpoint", endpoint.param())];
    filters.extend(status.as_ref().map(|s| ("status", s.param())));
    filters.extend(event.as_ref().map(|e| ("event", e.param())));
    page::list(tx, &DELIVERIES, scope, &filters, query, delivery)
}

/// Notices to a shop about one transaction, oldest first.
pub fn notices_of(
    tx: &mut Tx<'_>,
    scope: Scope,
    object: Core,
    limit: i64,
) -> Result<Vec<Delivery>, StoreError> {
    let rest = "deliveries WHERE event IN (SELECT id FROM events WHERE object = ?1 AND merchant = ?2 AND live = ?3) \
        AND kind = 'ipn' ORDER BY id LIMIT ?4";
    tx.all(&select(DELIVERY_COLUMNS, rest), params![object, scope.merchant, scope.mode, limit], delivery)
}

/// Whether a shop has taken a notice about this transaction that is newer than this event.
pub fn newer_notice_delivered(
    tx: &mut Tx<'_>,
    scope: Scope,
    object: Core,
    event: EventId,
) -> Result<bool, StoreError> {
    let sql = "SELECT COUNT(*) FROM deliveries WHERE event IN (SELECT id FROM events WHERE object = ?1 \
               AND merchant = ?2 AND live = ?3 AND id > ?4) AND kind = 'ipn' AND status = 'succeeded'";
    Ok(tx.one(sql, params![object, scope.merchant, scope.mode, event], |r| r.next::<i64>())? > 0)
}

/// A delivery of a Gate service, as its operator looks for it.
#[derive(Clone, Debug)]
pub struct Callback {
    pub delivery: Delivery,
    pub event_type: EventType,
    /// None for an agreement, which has no payment to be found by.
    pub transaction: Option<String>,
    /// Where it goes.
    pub url: String,
    /// How its last attempt ended; `None` before the first.
    pub last: Option<DeliveryAttempt>,
}

/// A service's latest deliveries, newest first: from each of its endpoints, since only those are indexed.
pub fn callbacks(
    tx: &mut Tx<'_>,
    storefront: StorefrontId,
    status: Option<DeliveryStatus>,
    limit: usize,
) -> Result<Vec<Callback>, StoreError> {
    let endpoints: Vec<WebhookEndpointId> =
        tx.all("SELECT id FROM webhook_endpoints WHERE storefront = ?1", params![storefront], |r| r.next())?;
    let columns: Vec<String> = DELIVERY_COLUMNS.split(", ").map(|column| format!("d.{column}")).collect();
    let sql = format!(
        "SELECT {}, v.type, COALESCE((SELECT t.uuid FROM gate_transactions t WHERE t.payment = v.object), \
         (SELECT t.uuid FROM gate_transactions t WHERE t.payout = v.object)), COALESCE(d.url, e.url) \
         FROM deliveries d JOIN events v ON v.id = d.event JOIN webhook_endpoints e ON e.id = d.endpoint \
         WHERE d.endpoint = ?1 AND d.kind = 'gate' AND d.status IN (?2, ?3, ?4) ORDER BY d.created_at DESC, d.id DESC LIMIT ?5",
        columns.join(", ")
    );
    let [first, second, third] = status
        .map_or([DeliveryStatus::Pending, DeliveryStatus::Succeeded, DeliveryStatus::Failed], |status| {
            [status; 3]
        });
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = Vec::new();
    for endpoint in endpoints {
        found.extend(tx.all(&sql, params![endpoint, first, second, third, most], |r| {
            Ok(Callback {
                delivery: delivery(r)?,
                event_type: r.next()?,
                transaction: r.next()?,
                url: r.next()?,
                last: None,
            })
        })?);
    }
    found.sort_by_key(|c| std::cmp::Reverse((c.delivery.created_at, c.delivery.id)));
    found.truncate(limit);
    for callback in &mut found {
        callback.last = attempts(tx, callback.delivery.id)?.pop();
    }
    Ok(found)
}

/// Enabled endpoints with something due, of any merchant.
pub fn endpoints_with_due(
    tx: &mut Tx<'_>,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<WebhookEndpoint>, StoreError> {
    let rest = "webhook_endpoints e WHERE e.status = 'enabled' AND EXISTS (SELECT 1 FROM deliveries d \
        WHERE d.endpoint = e.id AND d.status = 'pending' AND d.due_at <= ?1 AND d.claimed_until <= ?1) LIMIT ?2";
    tx.all(&select(COLUMNS, rest), params![now, limit], endpoint)
}

/// Claims up to `limit` due deliveries of one endpoint until `until`. First attempts go ahead of
/// retries, so that a backlog of failures does not hold up what is new.
pub fn claim_deliveries(
    tx: &mut Tx<'_>,
    endpoint: WebhookEndpointId,
    now: Timestamp,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<Delivery>, StoreError> {
    let rest = "deliveries WHERE endpoint = ?1 AND status = 'pending' AND due_at <= ?2 AND claimed_until <= ?2 \
        ORDER BY CASE WHEN attempts = 0 THEN 0 ELSE 1 END, due_at, id LIMIT ?3 /* for update skip locked */";
    let claimed = tx.all(&select(DELIVERY_COLUMNS, rest), params![endpoint, now, limit], delivery)?;
    for d in &claimed {
        tx.execute("UPDATE deliveries SET claimed_until = ?1 WHERE id = ?2", params![until, d.id])?;
    }
    Ok(claimed)
}

/// The earliest instant at which a delivery of an enabled endpoint becomes due.
pub fn next_due(tx: &mut Tx<'_>) -> Result<Option<Timestamp>, StoreError> {
    tx.one(
        "SELECT MIN(due_at) FROM deliveries d WHERE d.status = 'pending' AND EXISTS \
         (SELECT 1 FROM webhook_endpoints e WHERE e.id = d.endpoint AND e.status = 'enabled')",
        &[],
        |r| r.next(),
    )
}

pub fn body(tx: &mut Tx<'_>, id: DeliveryId) -> Result<Option<Vec<u8>>, StoreError> {
    tx.one("SELECT body FROM deliveries WHERE id = ?1", params![id], |r| r.next())
}

/// Whether a delivery has its bytes still; an erasure takes them. Locks the row, so that one waits for the other.
pub fn has_body(tx: &mut Tx<'_>, id: DeliveryId) -> Result<bool, StoreError> {
    let sql = select("1", "deliveries WHERE id = ?1 AND body IS NOT NULL /* for update */");
    let found = tx.opt(&sql, params![id], |r| r.next::<i64>())?;
    Ok(found.is_some())
}

/// Freezes the bytes that every attempt of this delivery sends.
pub fn set_body(tx: &mut Tx<'_>, id: DeliveryId, body: &[u8]) -> Result<(), StoreError> {
    tx.execute("UPDATE deliveries SET body = ?1 WHERE id = ?2 AND body IS NULL", params![body, id])?;
    Ok(())
}

/// One line of the delivery log.
#[derive(Clone, Debug)]
pub struct DeliveryAttempt {
    pub n: i64,
    /// `automatic` or `manual`.
    pub cause: String,
    /// Where it was sent: the endpoint's address at that time.
    pub url: String,
    pub started_at: Timestamp,
    pub duration_us: i64,
    /// HTTP status, when there was an answer.
    pub status: Option<i64>,
    /// Coarse class of the failure, when there was none.
    pub error: Option<String>,
    /// The first part of the answer's body, as text.
    pub response: Option<String>,
}

pub fn insert_attempt(tx: &mut Tx<'_>, id: DeliveryId, a: &DeliveryAttempt) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO delivery_attempts (delivery, n, cause, url, started_at, duration_us, status, error, response) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (delivery, n) DO NOTHING",
        params![id, a.n, a.cause, a.url, a.started_at, a.duration_us, a.status, a.error, a.response],
    )?;
    Ok(())
}

pub fn attempts(tx: &mut Tx<'_>, id: DeliveryId) -> Result<Vec<DeliveryAttempt>, StoreError> {
    tx.all(
        "SELECT n, cause, url, started_at, duration_us, status, error, response FROM delivery_attempts \
         WHERE delivery = ?1 ORDER BY n",
        params![id],
        |r| {
            Ok(DeliveryAttempt {
                n: r.next()?,
                cause: r.next()?,
                url: r.next()?,
                started_at: r.next()?,
                duration_us: r.next()?,
                status: r.next()?,
                error: r.next()?,
                response: r.next()?,
            })
        },
    )
}

/// Sends a delivery once more, now, with a schedule of retries that begins anew. A claim stays: an
/// attempt that is under way is not doubled, the next one follows it.
pub fn requeue(tx: &mut Tx<'_>, id: DeliveryId, due_at: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE deliveries SET status = 'pending', resent_from = attempts, due_at = ?1 WHERE id = ?2",
        params![due_at, id],
    )?;
    Ok(())
}

/// Records where a delivery stands, and ends its claim.
pub fn settle_delivery(
    tx: &mut Tx<'_>,
    id: DeliveryId,
    status: DeliveryStatus,
    attempts: i64,
    due_at: Timestamp,
) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE deliveries SET status = ?1, attempts = ?2, due_at = ?3, claimed_until = 0 WHERE id = ?4",
        params![status, attempts, due_at, id],
    )?;
    Ok(())
}

/// Deliveries that wait, those of them that are overdue, and when the first to be due is or was; for metrics.
pub fn backlog(tx: &mut Tx<'_>, now: Timestamp) -> Result<(i64, i64, Option<Timestamp>), StoreError> {
    tx.one(
        "SELECT COUNT(*), COALESCE(SUM(CASE WHEN due_at <= ?1 THEN 1 ELSE 0 END), 0), MIN(due_at) \
         FROM deliveries WHERE status = 'pending'",
        params![now],
        |r| Ok((r.next()?, r.next()?, r.next()?)),
    )
}
