//! An authenticator with one passkey, for tests that need no browser. It signs whatever it is told to, also what a
//! browser would not let through.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use engine::PasskeySite;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

/// Where people sign in to the application of tests.
pub const PASSKEY_ORIGIN: &str = "http://localhost:8081";

/// The site of [`PASSKEY_ORIGIN`].
pub fn passkey_site() -> PasskeySite {
    PasskeySite {
        rp_id: "localhost".to_owned(),
        rp_name: "PaymentGate".to_owned(),
        origins: vec![PASSKEY_ORIGIN.to_owned()],
    }
}

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// One passkey, and how it answers. A clone is a copy of it, as a thief would have.
#[derive(Clone, Debug)]
pub struct Authenticator {
    pub credential_id: Vec<u8>,
    /// Its key.
    pub pkcs8: Vec<u8>,
    /// In the latest signature; grows with each unless `counts` is false.
    pub counter: u32,
    pub counts: bool,
    pub origin: String,
    pub rp_id: String,
    /// Whether it says that somebody was there, and that it knew them.
    pub present: bool,
    pub verified: bool,
}

impl Default for Authenticator {
    fn default() -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        Authenticator {
            credential_id: engine::ids::secret_bytes().to_vec(),
            pkcs8: pkcs8.expect("a key").as_ref().to_vec(),
            counter: 0,
            counts: true,
            origin: PASSKEY_ORIGIN.to_owned(),
            rp_id: "localhost".to_owned(),
            present: true,
            verified: true,
        }
    }
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().to_vec()
}

/// A CBOR byte string of up to 65,535 bytes.
fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short").to_be_bytes();
    [&[0x59], length.as_slice(), bytes].concat()
}

impl Authenticator {
    fn key(&self) -> EcdsaKeyPair {
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.pkcs8, &SystemRandom::new());
        key.expect("its own key")
    }

    fn client_data(&self, kind: &str, challenge: &Value) -> Vec<u8> {
        let challenge = &challenge["publicKey"]["challenge"];
        let data =
            json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false });
        data.to_string().into_bytes()
    }

    fn data(&mut self, more: u8) -> Vec<u8> {
        self.counter += u32::from(self.counts);
        let flags = if self.present { PRESENT } else { 0 } | if self.verified { VERIFIED } else { 0 } | more;
        [sha256(self.rp_id.as_bytes()).as_slice(), &[flags], &self.counter.to_be_bytes()].concat()
    }

    /// What `navigator.credentials.create` gives for a challenge, as JSON.
    pub fn create(&mut self, challenge: &Value) -> Value {
        let point = self.key().public_key().as_ref().to_vec();
        let (x, y) = point[1..].split_at(32);
        let key = [&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32], x, &[0x22, 0x58, 32], y].concat();
        let length = u16::try_from(self.credential_id.len()).expect("short").to_be_bytes();
        let mut data = self.data(ATTESTED);
        data.extend([[0u8; 16].as_slice(), &length, &self.credential_id, &key].concat());
        let object = [
            &[0xa3, 0x63],
            b"fmt".as_slice(),
            &[0x64],
            b"none",
            &[0x67],
            b"attStmt",
            &[0xa0, 0x68],
            b"authData",
            &cbor_bytes(&data),
        ];
        self.credential(json!({
            "clientDataJSON": BASE64.encode(self.client_data("webauthn.create", challenge)),
            "attestationObject": BASE64.encode(object.concat()),
        }))
    }

    /// What `navigator.credentials.get` gives for a challenge, as JSON.
    pub fn get(&mut self, challenge: &Value) -> Value {
        let client_data = self.client_data("webauthn.get", challenge);
        let data = self.data(0);
        let signed = [data.as_slice(), &sha256(&client_data)].concat();
        let signature = self.key().sign(&SystemRandom::new(), &signed).expect("signed");
        self.credential(json!({
            "clientDataJSON": BASE64.encode(client_data),
            "authenticatorData": BASE64.encode(data),
            "signature": BASE64.encode(signature),
        }))
    }

    fn credential(&self, response: Value) -> Value {
        let id = BASE64.encode(&self.credential_id);
        json!({ "id": id, "rawId": id, "type": "public-key", "response": response, "clientExtensionResults": {} })
    }
}
