//! Access tokens of people: JSON Web Tokens with one algorithm and one header, HMAC-SHA-256 under a key that
//! is derived from the sealing key. Written here, on the digests that the vault uses, since the crates for it
//! bring a second generation of those, and the choice of algorithms which is the hole in most of them.
//!
//! A token names its session and mode, and nothing that is believed of the person: that is read at each request.

use crate::vault::Vault;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use domain::id::{SessionId, UserId};
use domain::scope::Mode;
use domain::session::ACCESS_US;
use domain::time::{MICROS, Timestamp};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// The only header. It is compared, not read: whatever else a token's header says, it is none of ours.
const HEADER: &str = r#"{"alg":"HS256","typ":"at+jwt"}"#;
const ISSUER: &str = "paymentgate";
const AUDIENCE: &str = "paymentgate-admin";
const PURPOSE: &str = "admin access token";
/// Longest text that is looked at.
const TEXT_MAX: usize = 1_024;
/// By how much the clocks of two nodes may differ, in seconds.
const LEEWAY: i64 = 5;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    mode: Mode,
    iat: i64,
    nbf: i64,
    exp: i64,
}

/// A token that was made here and whose time is not over. Whether its session is open is for the database to
/// say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub user: UserId,
    pub session: SessionId,
    pub mode: Mode,
}

/// A token for `access`, and when it ends.
pub(crate) fn write(vault: &Vault, access: Access, now: Timestamp) -> (String, Timestamp) {
    let ends = now.plus(ACCESS_US);
    let claims = Claims {
        iss: ISSUER.to_owned(),
        aud: AUDIENCE.to_owned(),
        sub: access.user,
        sid: access.session,
        mode: access.mode,
        iat: now.secs(),
        nbf: now.secs(),
        exp: ends.secs(),
    };
    (signed(vault, HEADER, &serde_json::to_vec(&claims).unwrap_or_default()), ends)
}

fn signed(vault: &Vault, header: &str, claims: &[u8]) -> String {
    let text = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
    let signature = BASE64.encode(vault.keyed(PURPOSE, text.as_bytes()));
    format!("{text}.{signature}")
}

/// Reads a token; `None` for one that is not ours, was changed, or is out of its time.
pub(crate) fn read(vault: &Vault, token: &str, now: Timestamp) -> Option<Access> {
    if token.len() > TEXT_MAX {
        return None;
    }
    let (text, signature) = token.rsplit_once('.')?;
    let (header, claims) = text.split_once('.')?;
    let signature = BASE64.decode(signature).ok()?;
    if header != BASE64.encode(HEADER)
        || !bool::from(signature.as_slice().ct_eq(&vault.keyed(PURPOSE, text.as_bytes())))
    {
        return None;
    }
    let claims: Claims = serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()?;
    let in_time = claims.iat <= now.secs() + LEEWAY
        && claims.nbf <= now.secs() + LEEWAY
        && now.secs() < claims.exp
        && claims.exp - claims.iat <= ACCESS_US / MICROS;
    (in_time && claims.iss == ISSUER && claims.aud == AUDIENCE).then_some(Access {
        user: claims.sub,
        session: claims.sid,
        mode: claims.mode,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::Core;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn vault() -> Vault {
        Vault::new(&[7; 32])
    }

    fn access() -> Access {
        Access { user: UserId(Core([1; 12])), session: SessionId(Core([2; 12])), mode: Mode::Test }
    }

    /// The claims of a good token with one of them changed.
    fn with(name: &str, value: serde_json::Value) -> Vec<u8> {
        let (token, _) = write(&vault(), access(), NOW);
        let claims = BASE64.decode(token.split('.').nth(1).expect("claims")).expect("base64");
        let mut claims: serde_json::Value = serde_json::from_slice(&claims).expect("JSON");
        claims[name] = value;
        serde_json::to_vec(&claims).expect("JSON")
    }

    #[test]
    fn a_token_reads_back_until_it_ends() {
        let (token, ends) = write(&vault(), access(), NOW);
        for (at, good) in [(NOW, true), (ends.plus(-1), true), (ends, false), (NOW.plus(-6 * MICROS), false)]
        {
            assert_eq!(read(&vault(), &token, at), good.then(access), "{at:?}");
        }
        assert_eq!(ends, NOW.plus(ACCESS_US));
        assert_eq!(read(&Vault::new(&[8; 32]), &token, NOW), None, "another key");
    }

    #[test]
    fn no_byte_of_a_token_can_be_changed() {
        let (token, _) = write(&vault(), access(), NOW);
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("text");
            assert_eq!(read(&vault(), &changed, NOW), None, "{at}");
            assert_eq!(read(&vault(), &token[..at], NOW), None, "cut at {at}");
        }
    }

    #[test]
    fn no_other_header_is_taken_however_it_is_signed() {
        let claims = with("iss", "paymentgate".into());
        assert_eq!(read(&vault(), &signed(&vault(), HEADER, &claims), NOW), Some(access()));
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"NONE","typ":"at+jwt"}"#,
            r#"{"alg":"HS512","typ":"at+jwt"}"#,
            r#"{"alg":"RS256","typ":"at+jwt"}"#,
            r#"{"typ":"at+jwt","alg":"HS256"}"#,
            r#"{"alg":"HS256","typ":"JWT"}"#,
            r#"{"alg":"HS256","typ":"at+jwt","kid":"../../dev/null"}"#,
            r#"{"alg":"HS256","typ":"at+jwt","jku":"https://example.com"}"#,
            "",
        ] {
            assert_eq!(read(&vault(), &signed(&vault(), header, &claims), NOW), None, "{header}");
        }
        let bare = format!("{}.{}.", BASE64.encode(r#"{"alg":"none"}"#), BASE64.encode(&claims));
        assert_eq!(read(&vault(), &bare, NOW), None, "no signature");
    }

    #[test]
    fn claims_that_we_do_not_make_are_refused() {
        let now = NOW.secs();
        for (name, value) in [
            ("iss", "somebody".into()),
            ("aud", "paymentgate-portal".into()),
            ("exp", (now - 1).into()),
            ("exp", (now + 86_400).into()),
            ("nbf", (now + 60).into()),
            ("iat", (now + 86_400).into()),
            ("iat", "1".into()),
            ("mode", "both".into()),
            ("role", "admin".into()),
            ("sid", "ses_1".into()),
            ("sub", serde_json::Value::Null),
        ] {
            let value: serde_json::Value = value;
            let token = signed(&vault(), HEADER, &with(name, value.clone()));
            assert_eq!(read(&vault(), &token, NOW), None, "{name} {value}");
        }
        assert_eq!(read(&vault(), &"a".repeat(TEXT_MAX + 1), NOW), None);
        assert_eq!(read(&vault(), "..", NOW), None);
    }
}
