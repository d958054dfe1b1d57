//! `meta.signature`: lower-case hexadecimal HMAC-SHA512 of a canonical form of the body.
//!
//! What is signed is a decoded body, not bytes: key order, escapes and white space between tokens are free,
//! and under [`Variant::Folded`] so is white space within texts. So nothing here may be decided from the
//! spelling of a body. Amounts are read from the number that was signed, a repetition is recognised by
//! [`SignedBody::digest`], and texts with a meaning for security hold no white space when only the folded
//! form was proven.

mod canonical;
mod float;
#[cfg(test)]
mod php_tests;
mod read;
#[cfg(test)]
mod tests;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use web::params::Value;

pub use canonical::{Number, fold, is_blank};
pub use read::{BODY_MAX, Unreadable};

/// The two ways in which signers treat text values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As they are: signers up to 0.0.6.
    Raw,
    /// Trimmed, and each run of white space turned into one `+`: signers from 0.0.7.
    Folded,
}

/// A body that was read and whose signature may be checked; its claims are not to be believed before.
#[derive(Clone, Debug)]
pub struct SignedBody {
    entries: Vec<(String, Value)>,
}

/// What a signature proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Index into the secrets that were tried.
    pub secret: usize,
    /// `Raw` whenever the raw form was signed, also when both forms are the same. After `Folded` the white
    /// space of texts is whatever the sender, or someone on the way, made of it.
    pub variant: Variant,
}

/// Why a signature proves nothing; answered with 401. None names a secret or the right signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureRefusal {
    #[error("meta.signature is missing: sign the body with the secret of one of the service's API tokens.")]
    Missing,
    #[error(
        "meta.signature must be a string of 128 lower-case hexadecimal digits: the HMAC-SHA512 of the \
         sorted and serialised body."
    )]
    Malformed,
    #[error(
        "meta.signature fits a body in which a whole number was a float: the signer saw 100.0, but \
         json_encode() sent 100. Give amounts as strings, such as \"100.00\", and sign again."
    )]
    WholeFloat,
    #[error(
        "meta.signature does not fit the body. Sign exactly the data that is sent, with the secret of an \
         active API token of this service, and send numbers and strings as they were signed."
    )]
    Wrong,
}

impl SignedBody {
    /// Reads the bytes of a request.
    ///
    /// # Errors
    /// [`Unreadable`]: not JSON, or JSON that two readers could take for different things.
    pub fn read(body: &[u8]) -> Result<SignedBody, Unreadable> {
        read::entries(body).map(|entries| SignedBody { entries })
    }

    /// The top-level members, in the order sent, `meta.signature` among them.
    pub fn entries(&self) -> &[(String, Value)] {
        &self.entries
    }

    /// Checks the signature against each of `secrets`, in both variants.
    ///
    /// # Errors
    /// [`SignatureRefusal`]. An empty secret fits nothing.
    pub fn verify(&self, secrets: &[&[u8]]) -> Result<Proof, SignatureRefusal> {
        let signature = self.signature()?;
        if let Some(proof) = prove(&self.entries, &signature, secrets) {
            return Ok(proof);
        }
        for suspect in read::as_if_floats(&self.entries) {
            if prove(&suspect, &signature, secrets).is_some() {
                return Err(SignatureRefusal::WholeFloat);
            }
        }
        Err(SignatureRefusal::Wrong)
    }

    fn signature(&self) -> Result<[u8; 64], SignatureRefusal> {
        let meta = self.entries.iter().find(|(key, _)| key == "meta").map(|(_, value)| value);
        let Some(Value::Map(meta)) = meta else { return Err(SignatureRefusal::Missing) };
        match meta.iter().find(|(key, _)| key == "signature").map(|(_, value)| value) {
            None | Some(Value::Null) => Err(SignatureRefusal::Missing),
            Some(Value::Text(text)) => unhex(text).ok_or(SignatureRefusal::Malformed),
            Some(_) => Err(SignatureRefusal::Malformed),
        }
    }

    /// The identity of a request: SHA-256 of its folded canonical form.
    ///
    /// Whoever holds one signed body can spell it anew in every way that its signature S still fits: any
    /// body whose raw or whose folded form is the string B with S = HMAC(B). All of them have one digest,
    /// because folding twice is folding once: if folded(x) = B then the digest is of B folded, which is B
    /// itself; if raw(x) = B, then it is of B folded too. A digest of the raw form, or of whichever form was
    /// proven, would not do: the second would call a repetition new when the shop changed its signer's
    /// version, or signed with another token, in between. The price is that two requests which a raw signer
    /// told apart by white space alone are one; that errs on the side of paying once.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(canonical::of_body(&self.entries, Variant::Folded)).into()
    }
}

/// The signature of a body that we send. What is sent must be `body.to_string()`, with this put in as
/// `meta.signature`; one that is there already does not count.
pub fn sign(body: &serde_json::Map<String, serde_json::Value>, secret: &[u8], variant: Variant) -> String {
    signature_of(&read::of_json(body), secret, variant)
}

/// The text to send for `body`, with its signature in `meta`, which is made if it is not there.
pub fn seal(mut body: serde_json::Map<String, serde_json::Value>, secret: &[u8], variant: Variant) -> String {
    let meta = body.entry("meta").or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()));
    if !meta.is_object() {
        *meta = serde_json::Value::Object(serde_json::Map::new());
    }
    let signature = sign(&body, secret, variant);
    if let Some(meta) = body.get_mut("meta").and_then(serde_json::Value::as_object_mut) {
        meta.insert("signature".to_owned(), signature.into());
    }
    serde_json::Value::Object(body).to_string()
}

fn signature_of(entries: &[(String, Value)], secret: &[u8], variant: Variant) -> String {
    let Some(mac) = mac(secret, &canonical::of_body(entries, variant)) else { return String::new() };
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn prove(entries: &[(String, Value)], signature: &[u8; 64], secrets: &[&[u8]]) -> Option<Proof> {
    let raw = canonical::of_body(entries, Variant::Raw);
    let folded = canonical::of_body(entries, Variant::Folded);
    let forms = [(Variant::Raw, &raw), (Variant::Folded, &folded)];
    let forms = if raw == folded { forms.get(..1)? } else { &forms };
    for (variant, bytes) in forms {
        // An empty key is one that everybody knows.
        for (secret, key) in secrets.iter().enumerate().filter(|(_, key)| !key.is_empty()) {
            // Compares in constant time.
            if mac(key, bytes)?.verify_slice(signature).is_ok() {
                return Some(Proof { secret, variant: *variant });
            }
        }
    }
    None
}

fn mac(secret: &[u8], bytes: &[u8]) -> Option<Hmac<Sha512>> {
    // HMAC takes keys of every length; the type cannot say so.
    let mut mac = Hmac::<Sha512>::new_from_slice(secret).ok()?;
    mac.update(bytes);
    Some(mac)
}

/// 128 lower-case hexadecimal digits as bytes. Upper case is refused: one signature has one spelling.
fn unhex(text: &str) -> Option<[u8; 64]> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    if rest.is_empty() { bytes?.try_into().ok() } else { None }
}
