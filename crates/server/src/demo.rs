//! The demo merchant: made at the first start, found again at every later one.

use crate::commands::tell;
use crate::data_dir;
use crate::gateway::Gateway;
use anyhow::{Context, anyhow};
use domain::gate_token::{PayloadDialect, SignVariant};
use domain::id::{MerchantId, TypedId};
use domain::merchant::KeyKind;
use domain::rate::TierName;
use domain::scope::{Mode, Scope};
use engine::Engine;
use engine::admin_keys::{NewAdminKey, system_grants};
use engine::merchants::ModeChanges;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

const FILE: &str = "demo-keys.txt";
const NAME: &str = "Demo shop";
const TOKEN: &str = "demo";
const SYSTEM_KEY: &str = "demo";

/// The demo merchant with its test keys.
#[derive(Clone)]
pub struct DemoShop {
    pub merchant: MerchantId,
    pub secret_key: String,
    pub publishable_key: String,
    /// Its service on Gate, with the secret that signs.
    pub service: i64,
    pub gate_secret: String,
    /// A key of the whole instance, for the Admin API.
    pub system_key: String,
    pub tier: TierName,
    /// Where the keys are kept.
    pub file: PathBuf,
}

impl std::fmt::Debug for DemoShop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DemoShop")
            .field("merchant", &self.merchant)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

struct Keys {
    merchant: MerchantId,
    secret: String,
    publishable: String,
    /// Not in files of versions without Gate.
    gate: Option<GateKey>,
    /// Not in files of versions without the Admin API.
    system: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct GateKey {
    service: i64,
    secret: String,
}

fn parse(text: &str) -> Option<Keys> {
    let value = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim().to_owned())
    };
    Some(Keys {
        merchant: MerchantId::parse(&value("merchant")?)?,
        secret: value("secret_key")?,
        publishable: value("publishable_key")?,
        gate: value("gate_service")
            .and_then(|n| n.parse().ok())
            .zip(value("gate_secret"))
            .map(|(service, secret)| GateKey { service, secret }),
        system: value("system_key"),
    })
}

fn write_out(keys: &Keys) -> String {
    let mut text = format!(
        "# Test keys of the demo merchant, for this gateway only. Remove this file to revoke them and get new ones at the next start.\n\
         merchant={}\nsecret_key={}\npublishable_key={}\n",
        keys.merchant, keys.secret, keys.publishable
    );
    if let Some(gate) = &keys.gate {
        let _ = writeln!(text, "gate_service={}\ngate_secret={}", gate.service, gate.secret);
    }
    if let Some(system) = &keys.system {
        let _ = writeln!(text, "system_key={system}");
    }
    text
}

/// Finds the demo merchant and its keys, or makes what is missing; sets its tier if one is given.
///
/// # Errors
/// When the database or the file cannot be read or written.
pub async fn prepare(engine: &Engine, data_dir: &Path, tier: Option<TierName>) -> anyhow::Result<DemoShop> {
    let file = data_dir.join(FILE);
    let kept = match std::fs::read_to_string(&file) {
        Ok(text) => parse(&text),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(e).context(format!("{} cannot be read", file.display())),
    };
    let (mut keys, mut written) = match kept {
        Some(keys) if still_good(engine, &keys).await? => (keys, true),
        _ => (make(engine).await?, false),
    };
    let gate = match &keys.gate {
        Some(gate) if gate_still_good(engine, keys.merchant, gate).await? => gate.clone(),
        _ => {
            written = false;
            make_gate_key(engine, keys.merchant).await?
        }
    };
    keys.gate = Some(gate.clone());
    let system = match &keys.system {
        Some(system) if system_still_good(engine, system).await? => system.clone(),
        _ => {
            written = false;
            make_system_key(engine).await?
        }
    };
    keys.system = Some(system.clone());
    if !written {
        let written = data_dir::write_private(&file, &write_out(&keys));
        written.with_context(|| format!("{} cannot be written", file.display()))?;
    }
    let scope = Scope { merchant: keys.merchant, mode: Mode::Test };
    let mode = match tier {
        Some(tier) => {
            engine.set_mode(scope, ModeChanges { tier: Some(tier), ..ModeChanges::default() }).await
        }
        None => engine.merchant_mode(scope).await,
    };
    let tier = mode.map_err(|e| anyhow!("the demo merchant: {}", tell(&e)))?.tier;
    Ok(DemoShop {
        merchant: keys.merchant,
        secret_key: keys.secret,
        publishable_key: keys.publishable,
        service: gate.service,
        gate_secret: gate.secret,
        system_key: system,
        tier,
        file,
    })
}

/// Whether both keys still belong to the merchant: the database may be another one by now, or a key revoked.
async fn still_good(engine: &Engine, keys: &Keys) -> anyhow::Result<bool> {
    for (text, kind) in [(&keys.secret, KeyKind::Secret), (&keys.publishable, KeyKind::Publishable)] {
        let caller = engine.authenticate(text).await.map_err(|e| anyhow!("the demo keys: {}", tell(&e)))?;
        let scope = Scope { merchant: keys.merchant, mode: Mode::Test };
        if !caller.is_some_and(|caller| caller.scope == scope && caller.kind == kind) {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn gate_still_good(engine: &Engine, merchant: MerchantId, gate: &GateKey) -> anyhow::Result<bool> {
    let service = engine.gate_service(gate.service).await;
    let service = service.map_err(|e| anyhow!("the demo service: {}", tell(&e)))?;
    let scope = Scope { merchant, mode: Mode::Test };
    Ok(service
        .is_some_and(|s| s.storefront.scope == scope && s.tokens.iter().any(|t| t.secret == gate.secret)))
}

async fn system_still_good(engine: &Engine, text: &str) -> anyhow::Result<bool> {
    let key = engine.authenticate_admin_key(text).await;
    let key = key.map_err(|e| anyhow!("the demo's system key: {}", tell(&e)))?;
    Ok(key.is_some_and(|key| key.merchant.is_none()))
}

/// A fresh key of the whole instance; the demo's earlier one ends.
async fn make_system_key(engine: &Engine) -> anyhow::Result<String> {
    let fault = |e: engine::Error| anyhow!("the demo's system key cannot be made: {}", tell(&e));
    for old in engine.admin_keys(None).await.map_err(fault)? {
        if old.name == SYSTEM_KEY && old.revoked_at.is_none() {
            engine.revoke_admin_key(None, None, old.id).await.map_err(fault)?;
        }
    }
    let new = NewAdminKey {
        name: SYSTEM_KEY.to_owned(),
        mode: Mode::Test,
        grants: system_grants(),
        networks: Vec::new(),
    };
    let (_, text) = engine.create_admin_key(None, None, new).await.map_err(fault)?;
    Ok(text)
}

/// A fresh token of the merchant's first service; the demo's earlier one ends.
async fn make_gate_key(engine: &Engine, merchant: MerchantId) -> anyhow::Result<GateKey> {
    let fault = |e: engine::Error| anyhow!("the demo service cannot be made: {}", tell(&e));
    let scope = Scope { merchant, mode: Mode::Test };
    let all = engine.storefronts().await.map_err(fault)?;
    let service = all.iter().find(|s| s.scope == scope).map(|s| s.number);
    let service = service.ok_or_else(|| anyhow!("the demo merchant has no storefront"))?;
    for token in engine.tokens(service).await.map_err(fault)? {
        if token.name == TOKEN && token.revoked_at.is_none() {
            engine.revoke_token(token.id).await.map_err(fault)?;
        }
    }
    let (variant, dialect) = (SignVariant::Folded, PayloadDialect::Y2025);
    let made = engine.create_token(service, TOKEN.to_owned(), variant, dialect).await;
    let (_, secret) = made.map_err(fault)?;
    Ok(GateKey { service, secret })
}

async fn make(engine: &Engine) -> anyhow::Result<Keys> {
    let fault = |e: engine::Error| anyhow!("the demo merchant cannot be made: {}", tell(&e));
    let known = engine.merchants().await.map_err(fault)?.into_iter().find(|merchant| merchant.name == NAME);
    let merchant = match known {
        Some(merchant) => merchant.id,
        None => engine.create_merchant(NAME.to_owned()).await.map_err(fault)?.id,
    };
    let scope = Scope { merchant, mode: Mode::Test };
    // Whoever removed the file wanted other keys, perhaps because these had leaked.
    for old in engine.list_keys(merchant).await.map_err(fault)? {
        if old.name == "demo" && old.scope == scope && old.revoked_at.is_none() {
            engine.revoke_key(old.id).await.map_err(fault)?;
        }
    }
    let (_, secret) = engine.create_key(scope, KeyKind::Secret, "demo".to_owned()).await.map_err(fault)?;
    let (_, publishable) =
        engine.create_key(scope, KeyKind::Publishable, "demo".to_owned()).await.map_err(fault)?;
    Ok(Keys { merchant, secret, publishable, gate: None, system: None })
}

/// What the demo prints once it serves.
pub fn greeting(gateway: &Gateway, shop: &DemoShop) -> String {
    let mut text = String::new();
    let (api, key) = (&gateway.api_url, &shop.secret_key);
    let admin = gateway.admin_url.replace("http://127.0.0.1:", "http://localhost:");
    let _ = write!(
        text,
        "\nPaymentGate {} is running with a demo merchant. No real money moves.\n\n",
        crate::VERSION
    );
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<18}{value}");
    };
    line("API", &format!("{api}/v2"));
    line("Payment pages", &gateway.public_url);
    line("Admin", &format!("{admin} (/health, /metrics)"));
    line("Admin API", &format!("{admin}/api/v1"));
    line("Stripe clients", &format!("{api}/stripe"));
    if let Some(url) = &gateway.stripe_url {
        line("  host and port", &format!("{url} (/v1)"));
    }
    line("Merchant", &format!("{} ({NAME})", shop.merchant));
    let more = if shop.tier == TierName::Sandbox { "; more with --demo-tier growth" } else { "" };
    line("Tier", &format!("{}: {} requests a minute{more}", shop.tier, shop.tier.limits().per_minute));
    line("Secret key", key);
    line("Publishable key", &shop.publishable_key);
    line("Gate service", &format!("{} (calls at {api}/api/...)", shop.service));
    line("Gate token", TOKEN);
    line("Gate secret", &shop.gate_secret);
    line("System key", &shop.system_key);
    line("Keys kept in", &shop.file.display().to_string());
    let _ = write!(
        text,
        "\nCreate a payment:\n\n  curl -X POST {api}/v2/payment_intents \\\n    -u {key}: \\\n    \
         -H \"Idempotency-Key: test_$(date +%s%N)\" \\\n    -d amount=9900 \\\n    -d currency=eur \\\n    \
         -d \"payment_method_types[]=card\"\n\n\
         Pay it with a test card (put the id of the answer in place of pi_...):\n\n  \
         curl -X POST {api}/v2/payment_intents/pi_.../confirm \\\n    -u {key}: \\\n    \
         -d payment_method=pm_card_visa\n\nCtrl-C stops the gateway.\n\n"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::Core;

    #[test]
    fn what_is_written_reads_back() {
        let keys = Keys {
            merchant: MerchantId(Core([7; 12])),
            secret: "sk_test_x".to_owned(),
            publishable: "pk_test_y".to_owned(),
            gate: Some(GateKey { service: 7, secret: "z".to_owned() }),
            system: Some("sk_test_0.s".to_owned()),
        };
        let read = parse(&write_out(&keys)).expect("parsed");
        assert_eq!(
            (read.merchant, read.secret, read.publishable, read.gate, read.system),
            (keys.merchant, keys.secret, keys.publishable, keys.gate, keys.system)
        );
        let older = parse(&format!("merchant={}\nsecret_key=a\npublishable_key=b\n", keys.merchant));
        let older = older.expect("parsed");
        assert_eq!((older.gate, older.system), (None, None));
        assert!(parse("").is_none() && parse("merchant=x\nsecret_key=a\npublishable_key=b\n").is_none());
    }
}
