//! The checking of passkeys: what an authenticator is asked, and whether its answer is right. Knows no
//! database; the counter of signatures is judged by whoever holds the stored one.

use crate::error::Error;
use domain::id::UserId;
use domain::session::SignInRefusal;
use serde_json::{Value, json};
use webauthn_rs::prelude as w;

/// The site that passkeys are bound to.
#[derive(Clone, Debug)]
pub struct PasskeySite {
    /// The domain; passkeys are lost when it changes.
    pub rp_id: String,
    /// What authenticators show.
    pub rp_name: String,
    /// Where ceremonies may take place, such as `https://admin.example.com`; exactly these.
    pub origins: Vec<String>,
}

/// A new passkey.
#[derive(Debug)]
pub(crate) struct Registered {
    pub credential_id: Vec<u8>,
    /// What is kept for checking; without the counter.
    pub credential: String,
    pub sign_count: i64,
}

/// A right signature; its counter is still to be judged.
#[derive(Debug)]
pub(crate) struct Asserted {
    pub credential_id: Vec<u8>,
    pub sign_count: i64,
}

/// Checks answers of authenticators for one site.
pub(crate) struct Verifier {
    site: Option<w::Webauthn>,
}

/// A passkey that nobody has: its public key is the generator of P-256. It stands in where nobody signs in,
/// so that the same code runs; whoever answers for it is refused whatever comes of it.
const STAND_IN: &str = r#"{"cred":{"cred_id":"","cred":{"type_":"ES256","key":{"EC_EC2":{"curve":"SECP256R1",
    "x":[107,23,209,242,225,44,66,71,248,188,230,229,99,164,64,242,119,3,125,129,45,235,51,160,244,161,57,69,216,152,194,150],
    "y":[79,227,66,226,254,26,127,155,142,231,235,74,124,15,158,22,43,206,51,87,107,49,94,206,203,182,64,104,55,191,81,245]}}},
    "counter":0,"transports":null,"user_verified":true,"backup_eligible":false,"backup_state":false,
    "registration_policy":"required","extensions":{"cred_protect":"NotRequested","hmac_create_secret":"NotRequested"},
    "attestation":{"data":"None","metadata":"None"},"attestation_format":"none"}}"#;

fn defect(what: &str, e: impl std::fmt::Display) -> Error {
    Error::Internal(format!("passkeys: {what}: {e}"))
}

fn state<T: serde::Serialize>(of: &T) -> Result<String, Error> {
    serde_json::to_string(of).map_err(|e| defect("a state cannot be written", e))
}

fn read<T: serde::de::DeserializeOwned>(stored: &str) -> Result<T, Error> {
    serde_json::from_str(stored).map_err(|e| defect("what is stored cannot be read", e))
}

/// What a browser sent; only its form can be wrong in a way that is told.
fn answer<T: serde::de::DeserializeOwned>(sent: &Value) -> Result<T, Error> {
    T::deserialize(sent).map_err(|_| {
        let message = "must be what the browser's PublicKeyCredential.toJSON() gives";
        Error::invalid("credential", "parameter_invalid", message)
    })
}

/// Why an answer is refused is told to no one: it would help only who tries.
fn refused(e: &w::WebauthnError) -> Error {
    tracing::debug!(error = ?e, "a passkey was refused");
    SignInRefusal::PasskeyRefused.into()
}

impl Verifier {
    /// # Errors
    /// When the site cannot have passkeys: an origin that is no URL, or not of the domain.
    pub fn new(site: Option<&PasskeySite>) -> Result<Verifier, Error> {
        let Some(site) = site else { return Ok(Verifier { site: None }) };
        let wrong = |origin: &str| {
            let message = format!("passkeys of {} cannot be used at {origin}", site.rp_id);
            Error::invalid("admin_url", "passkey_site", message)
        };
        let mut origins = Vec::new();
        for text in &site.origins {
            let origin = w::Url::parse(text).map_err(|_| wrong(text))?;
            w::WebauthnBuilder::new(&site.rp_id, &origin).map_err(|_| wrong(text))?;
            origins.push(origin);
        }
        let first = origins.first().ok_or_else(|| wrong("no address"))?;
        let builder = w::WebauthnBuilder::new(&site.rp_id, first).map_err(|_| wrong(first.as_str()))?;
        let builder = origins.iter().skip(1).fold(builder, |b, origin| b.append_allowed_origin(origin));
        let built = builder.rp_name(&site.rp_name).build().map_err(|_| wrong(first.as_str()))?;
        Ok(Verifier { site: Some(built) })
    }

    fn site(&self) -> Result<&w::Webauthn, Error> {
        self.site.as_ref().ok_or_else(|| SignInRefusal::PasskeysUnavailable.into())
    }

    /// Options for `navigator.credentials.create`, and the state for [`Verifier::registered`]. `known`: what the
    /// person's authenticators call the passkeys that they have.
    pub fn ask_registration(
        &self,
        user: UserId,
        email: &str,
        name: &str,
        known: Vec<Vec<u8>>,
    ) -> Result<(Value, String), Error> {
        // Stored by authenticators, so it says nothing of the person.
        let mut handle = [0u8; 16];
        handle[..12].copy_from_slice(&user.0.0);
        let shown = if name.is_empty() { email } else { name };
        let begun =
            self.site()?.start_passkey_registration(w::Uuid::from_bytes(handle), email, shown, Some(known));
        let (options, kept) = begun.map_err(|e| defect("a registration cannot begin", e))?;
        let options = serde_json::to_value(options).map_err(|e| defect("options cannot be written", e))?;
        Ok((options, state(&kept)?))
    }

    /// Checks the answer to a registration.
    pub fn registered(&self, kept: &str, sent: &Value) -> Result<Registered, Error> {
        let kept: w::PasskeyRegistration = read(kept)?;
        let sent: w::RegisterPublicKeyCredential = answer(sent)?;
        let passkey = self.site()?.finish_passkey_registration(&sent, &kept).map_err(|e| refused(&e))?;
        let mut credential = w::Credential::from(passkey);
        let sign_count = i64::from(std::mem::take(&mut credential.counter));
        let credential_id = credential.cred_id.clone();
        Ok(Registered { credential_id, credential: state(&w::Passkey::from(credential))?, sign_count })
    }

    /// Options for `navigator.credentials.get`, and the state for [`Verifier::asserted`]. `credentials`: those of
    /// the person, as [`Registered::credential`] has them; or nobody's, from [`stand_ins`].
    pub fn ask_login(&self, credentials: &[String]) -> Result<(Value, String), Error> {
        let passkeys = credentials.iter().map(|text| read(text)).collect::<Result<Vec<w::Passkey>, _>>()?;
        let begun = self.site()?.start_passkey_authentication(&passkeys);
        let (options, kept) = begun.map_err(|e| defect("a login cannot begin", e))?;
        let mut options =
            serde_json::to_value(options).map_err(|e| defect("options cannot be written", e))?;
        // Hints about where a passkey is would tell real ones from stand-ins.
        if let Some(allowed) = options["publicKey"]["allowCredentials"].as_array_mut() {
            for one in allowed.iter_mut().filter_map(Value::as_object_mut) {
                one.retain(|name, _| name == "type" || name == "id");
            }
        }
        Ok((options, state(&kept)?))
    }

    /// Checks the answer to a login: signature, challenge, origin, domain, presence and verification of the
    /// person. Not the counter.
    pub fn asserted(&self, kept: &str, sent: &Value) -> Result<Asserted, Error> {
        let kept: w::PasskeyAuthentication = read(kept)?;
        let sent: w::PublicKeyCredential = answer(sent)?;
        let result = self.site()?.finish_passkey_authentication(&sent, &kept).map_err(|e| refused(&e))?;
        if !result.user_verified() {
            return Err(SignInRefusal::PasskeyRefused.into());
        }
        Ok(Asserted { credential_id: result.cred_id().clone(), sign_count: i64::from(result.counter()) })
    }
}

/// Passkeys for an address that nobody signs in with: as many, and called, as its keyed digest says, so that
/// they are the same each time. Most people have one, few have two.
pub(crate) fn stand_ins(digest: [u8; 32]) -> Result<Vec<String>, Error> {
    const LENGTHS: [usize; 4] = [16, 20, 32, 32];
    let count = if digest[0] < 192 { 1 } else { 2 };
    let credentials = (0..count).map(|n: usize| {
        let length = LENGTHS[usize::from(digest[1 + n]) % LENGTHS.len()];
        // Neither begins with the bytes that decided about number and lengths: those are hashed once more.
        let id = crate::keys::digest(&format!("{n} {digest:?}"));
        let mut credential = w::Credential::from(read::<w::Passkey>(STAND_IN)?);
        credential.cred_id = id[..length].to_vec();
        state(&w::Passkey::from(credential))
    });
    credentials.collect()
}

/// The shape in which challenges are handed out.
pub(crate) fn handed_out(code: &str, options: Value) -> Value {
    let mut answer = json!({ "ceremonyId": code });
    if let (Some(answer), Value::Object(options)) = (answer.as_object_mut(), options) {
        answer.extend(options);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(rp_id: &str, origins: &[&str]) -> PasskeySite {
        let origins = origins.iter().map(|o| (*o).to_owned()).collect();
        PasskeySite { rp_id: rp_id.to_owned(), rp_name: "PaymentGate".to_owned(), origins }
    }

    #[test]
    fn a_site_needs_a_domain_and_origins_of_it() {
        for (rp_id, origins, good) in [
            ("localhost", vec!["http://localhost:8081"], true),
            ("example.com", vec!["https://admin.example.com", "https://panel.example.com"], true),
            ("example.com", vec!["https://admin.example.com", "https://example.org"], false),
            ("example.com", vec!["https://notexample.com"], false),
            ("127.0.0.1", vec!["http://127.0.0.1:8081"], false),
            ("example.com", vec![], false),
            ("example.com", vec!["admin.example.com"], false),
        ] {
            assert_eq!(Verifier::new(Some(&site(rp_id, &origins))).is_ok(), good, "{rp_id} {origins:?}");
        }
        let none = Verifier::new(None).expect("no site");
        assert!(matches!(none.ask_login(&[]), Err(Error::SignIn(SignInRefusal::PasskeysUnavailable))));
    }

    #[test]
    fn stand_ins_are_stable_and_look_like_passkeys() {
        let verifier = Verifier::new(Some(&site("localhost", &["http://localhost:8081"]))).expect("a site");
        let mut counts = [0; 3];
        for n in 0..64u8 {
            let digest = crate::keys::digest(&n.to_string());
            let credentials = stand_ins(digest).expect("stand-ins");
            assert_eq!(credentials, stand_ins(digest).expect("stand-ins"));
            counts[credentials.len()] += 1;
            let (options, _) = verifier.ask_login(&credentials).expect("options");
            for one in options["publicKey"]["allowCredentials"].as_array().expect("a list") {
                let names: Vec<&String> = one.as_object().expect("an object").keys().collect();
                assert_eq!(names, ["type", "id"]);
                assert!(one["id"].as_str().is_some_and(|id| id.len() >= 22));
            }
        }
        assert!(counts[1] > counts[2] && counts[2] > 0, "{counts:?}");
    }
}
