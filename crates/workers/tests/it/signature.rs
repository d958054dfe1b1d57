//! Checking signatures as a receiver does: from the documents, sharing no code with the sender.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use testkit::Received;

/// HMAC-SHA256, written out after RFC 2104.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|b| b ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|b| b ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

/// Which signatures of `pg-signature` are right under `secret`, in the order sent.
pub fn pg_matches(request: &Received, secret: &str) -> Vec<bool> {
    let header = request.header("pg-signature");
    let (t, signatures) = header.strip_prefix("t=").and_then(|rest| rest.split_once(',')).expect("t=…,v1=…");
    let signed = [t.as_bytes(), b".", &request.body].concat();
    let right: String = hmac(secret.as_bytes(), &signed).iter().map(|byte| format!("{byte:02x}")).collect();
    signatures.split(',').map(|one| one.strip_prefix("v1=").expect("v1=…") == right).collect()
}

/// The same for `webhook-signature` of Standard Webhooks.
pub fn standard_matches(request: &Received, secret: &str) -> Vec<bool> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("whsec_…")).expect("base64");
    let (id, t) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    let signed = [id.as_bytes(), b".", t.as_bytes(), b".", &request.body].concat();
    let right = STANDARD.encode(hmac(&key, &signed));
    let signatures = request.header("webhook-signature");
    signatures.split(' ').map(|one| one.strip_prefix("v1,").expect("v1,…") == right).collect()
}

/// Both schemes at once, which must agree.
pub fn matches(request: &Received, secret: &str) -> Vec<bool> {
    let found = pg_matches(request, secret);
    assert_eq!(found, standard_matches(request, secret), "the schemes disagree: {:?}", request.headers);
    found
}

#[test]
fn this_hmac_is_the_published_one() {
    // RFC 4231, test cases 2 and 6 (a key longer than a block).
    let shown = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(
        shown(hmac(b"Jefe", b"what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    assert_eq!(
        shown(hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    );
}
