//! What the sealing key does: secrets at rest, request fingerprints, card fingerprints.
//!
//! The key lives outside the database. A sealed value is bound to the place where it is stored (table,
//! column, row), so that it cannot be moved to another row or merchant unnoticed.

use crate::error::Error;
use crate::ids;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use domain::id::MerchantId;
use hmac::{Hmac, Mac};
use sha2::Sha256;

const NONCE: usize = 24;
/// Format and key number in front of every sealed value, for a later change of either.
const HEADER: [u8; 2] = [1, 0];

/// Holds the keys derived from the master key. Shows none of them.
pub struct Vault {
    aead: XChaCha20Poly1305,
    fingerprint: [u8; 32],
    cards: [u8; 32],
    purposes: [u8; 32],
}

fn derive(master: &[u8; 32], label: &[u8]) -> [u8; 32] {
    mac(master, &[label])
}

fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // A MAC key may have any length, so this cannot fail; an all-zero digest would only cause refusals.
    let Ok(mut mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key) else { return [0; 32] };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

impl Vault {
    pub fn new(master: &[u8; 32]) -> Vault {
        let seal = derive(master, b"seal");
        Vault {
            aead: XChaCha20Poly1305::new(&Key::from(seal)),
            fingerprint: derive(master, b"request fingerprint"),
            cards: derive(master, b"card fingerprint"),
            purposes: derive(master, b"purposes"),
        }
    }

    /// Seals `plain` for the place that `context` names.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0u8; NONCE];
        ids::random(&mut nonce);
        let payload = Payload { msg: plain, aad: context.as_bytes() };
        let sealed = self
            .aead
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| Error::Internal("a value could not be sealed".to_owned()))?;
        Ok([HEADER.as_slice(), &nonce, &sealed].concat())
    }

    /// Opens what was sealed for `context`; an error if it was changed, moved, or sealed under another
    /// key.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, Error> {
        let broken =
            || Error::Internal(format!("a sealed value cannot be opened ({context}): wrong sealing key?"));
        let rest = sealed.strip_prefix(&HEADER).ok_or_else(broken)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE>().ok_or_else(broken)?;
        let payload = Payload { msg: body, aad: context.as_bytes() };
        self.aead.decrypt(&XNonce::from(*nonce), payload).map_err(|_| broken())
    }

    /// Starts a request fingerprint; feed it every part that makes two requests different.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(<Hmac<Sha256> as hmac::KeyInit>::new_from_slice(&self.fingerprint).ok())
    }

    /// A card's or account's fingerprint: equal for equal numbers of one merchant, unrelated across
    /// merchants.
    pub fn card_fingerprint(&self, merchant: MerchantId, number: &str) -> String {
        let digest = mac(&self.cards, &[&merchant.0.0, number.as_bytes()]);
        let mut core = [0u8; 12];
        core.copy_from_slice(&digest[..12]);
        domain::id::Core(core).base62()
    }

    /// A keyed digest for one purpose, unrelated to those for any other.
    pub(crate) fn keyed(&self, purpose: &str, text: &[u8]) -> [u8; 32] {
        mac(&derive(&self.purposes, purpose.as_bytes()), &[text])
    }

    /// A value by which `doctor` and the start can tell whether this key sealed this database.
    pub fn key_check(&self) -> [u8; 32] {
        mac(&self.fingerprint, &[b"key check"])
    }
}

/// A keyed digest in the making.
pub struct Fingerprint(Option<Hmac<Sha256>>);

impl Fingerprint {
    pub fn part(&mut self, bytes: &[u8]) {
        if let Some(mac) = &mut self.0 {
            mac.update(&(bytes.len() as u64).to_be_bytes());
            mac.update(bytes);
        }
    }

    pub fn finish(self) -> [u8; 32] {
        self.0.map_or([0; 32], |mac| mac.finalize().into_bytes().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_in_its_place_and_unchanged() {
        let vault = Vault::new(&[7; 32]);
        let sealed = vault.seal("t.c.1", b"secret").expect("sealed");
        assert_eq!(vault.open("t.c.1", &sealed).expect("opened"), b"secret");
        assert!(vault.open("t.c.2", &sealed).is_err());
        assert!(Vault::new(&[8; 32]).open("t.c.1", &sealed).is_err());
        for i in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[i] ^= 1;
            assert!(vault.open("t.c.1", &bad).is_err(), "byte {i}");
            assert!(vault.open("t.c.1", &sealed[..i]).is_err(), "cut at {i}");
        }
    }

    #[test]
    fn one_purpose_says_nothing_of_another() {
        let vault = Vault::new(&[7; 32]);
        assert_eq!(vault.keyed("a", b"text"), Vault::new(&[7; 32]).keyed("a", b"text"));
        let others =
            [vault.keyed("b", b"text"), vault.keyed("a", b"other"), Vault::new(&[8; 32]).keyed("a", b"text")];
        assert!(others.iter().all(|other| *other != vault.keyed("a", b"text")));
    }

    #[test]
    fn nonces_do_not_repeat() {
        let vault = Vault::new(&[7; 32]);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            let sealed = vault.seal("t", b"").expect("sealed");
            assert!(seen.insert(sealed[2..26].to_vec()));
        }
    }
}
