//! Object ids: a 96-bit core of 48 bits wall-clock milliseconds and 48 random bits.
//!
//! Shown as a prefix and 17 base62 characters that sort as text like the core sorts as bytes, or as
//! 24 hex digits. Time-ordered so that inserts append to the end of every index.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const TEXT_LEN: usize = 17;

/// The 96 bits behind every object id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Core(pub [u8; 12]);

impl Core {
    /// Builds a core from wall-clock milliseconds since the epoch and six random bytes.
    pub fn new(millis: u64, random: [u8; 6]) -> Core {
        let mut bytes = [0u8; 12];
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        Core(bytes)
    }

    pub fn from_slice(bytes: &[u8]) -> Option<Core> {
        bytes.try_into().ok().map(Core)
    }

    /// 17 base62 characters, fixed width.
    pub fn base62(self) -> String {
        let mut n = self.0.iter().fold(0u128, |n, b| (n << 8) | u128::from(*b));
        let mut text = [b'0'; TEXT_LEN];
        for slot in text.iter_mut().rev() {
            *slot = ALPHABET[(n % 62) as usize];
            n /= 62;
        }
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Reads what [`Core::base62`] wrote; `None` for any other text.
    pub fn parse_base62(text: &str) -> Option<Core> {
        if text.len() != TEXT_LEN {
            return None;
        }
        let mut n = 0u128;
        for c in text.bytes() {
            let digit = match c {
                b'0'..=b'9' => c - b'0',
                b'A'..=b'Z' => c - b'A' + 10,
                b'a'..=b'z' => c - b'a' + 36,
                _ => return None,
            };
            n = n * 62 + u128::from(digit);
        }
        if n >> 96 != 0 {
            return None;
        }
        Core::from_slice(&n.to_be_bytes()[4..])
    }

    /// 24 lower-case hex digits: the id's spelling on the Admin surface.
    pub fn hex(self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Reads what [`Core::hex`] wrote; `None` for any other text.
    pub fn parse_hex(text: &str) -> Option<Core> {
        let digits = text.as_bytes();
        if digits.len() != 24 || !digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let mut bytes = [0u8; 12];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let value = |b: u8| if b.is_ascii_digit() { b - b'0' } else { b - b'a' + 10 };
            *byte = value(pair[0]) << 4 | value(pair[1]);
        }
        Some(Core(bytes))
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.base62())
    }
}

impl Serialize for Core {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.base62())
    }
}

impl<'de> Deserialize<'de> for Core {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Core::parse_base62(&text).ok_or_else(|| serde::de::Error::custom("malformed id"))
    }
}

/// What all typed ids share, so that the store can bind and read them.
pub trait TypedId: Copy {
    /// The text before the underscore.
    const PREFIX: &'static str;
    fn from_core(core: Core) -> Self;
    fn core(self) -> Core;

    /// Reads `prefix_base62`; `None` for another prefix or a malformed core.
    fn parse(text: &str) -> Option<Self> {
        let core = text.strip_prefix(Self::PREFIX)?.strip_prefix('_')?;
        Core::parse_base62(core).map(Self::from_core)
    }
}

macro_rules! typed_ids {
    ($($(#[$meta:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Core);

        impl TypedId for $name {
            const PREFIX: &'static str = $prefix;
            fn from_core(core: Core) -> Self { $name(core) }
            fn core(self) -> Core { self.0 }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.base62())
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                <$name as TypedId>::parse(&text).ok_or_else(|| serde::de::Error::custom("malformed id"))
            }
        }
    )+};
}

typed_ids! {
    MerchantId = "acct";
    StorefrontId = "store";
    ProviderId = "prov";
    ApiKeyId = "key";
    PaymentId = "pi";
    /// One try at one provider; a charge on REST v2.
    AttemptId = "ch";
    PaymentMethodId = "pm";
    CustomerId = "cus";
    RefundId = "re";
    PayoutId = "po";
    BankAccountId = "ba";
    EventId = "evt";
    SnapshotId = "snap";
    WebhookEndpointId = "we";
    DeliveryId = "dlv";
    ClockId = "clock";
    JobId = "job";
    /// A journal of the ledger; its balance transaction on REST v2 has the same id.
    JournalId = "txn";
    FeeGroupId = "fee";
    RequestId = "req";
    NodeId = "node";
    /// A secret that signs Gate requests and callbacks, by its name.
    GateTokenId = "gtok";
    AuditId = "aud";
    /// A key of the Admin API; its hex digits are the public part of the key.
    AdminKeyId = "akey";
    /// A person who administers.
    UserId = "user";
    PasskeyId = "passkey";
    SessionId = "ses";
    InviteId = "inv";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_sort_alike() {
        let mut cores: Vec<Core> =
            (0..2_000u64).map(|i| Core::new(i * 7_919_777 % 1_000_003, [(i % 251) as u8; 6])).collect();
        cores.sort();
        let texts: Vec<String> = cores.iter().map(|c| c.base62()).collect();
        let mut sorted = texts.clone();
        sorted.sort();
        assert_eq!(texts, sorted);
        for (core, text) in cores.iter().zip(&texts) {
            assert_eq!(Core::parse_base62(text), Some(*core));
            assert_eq!(Core::parse_hex(&core.hex()), Some(*core));
        }
    }

    #[test]
    fn only_its_own_spelling_is_read() {
        let id = PaymentId(Core::new(1_745_308_800_000, [1, 2, 3, 4, 5, 6]));
        assert_eq!(PaymentId::parse(&id.to_string()), Some(id));
        assert_eq!(CustomerId::parse(&id.to_string()), None);
        for bad in
            ["", "pi", "pi_", "pi_zzzzzzzzzzzzzzzzz", "pi_0", "pi_00000000000000000x", "pi_0000000000000000é"]
        {
            assert_eq!(PaymentId::parse(bad), None, "{bad}");
        }
        for bad in [
            "",
            "0",
            "65F000000000000000000001",
            "65f00000000000000000000g",
            "65f0000000000000000000011",
            "65f00000000000000000000é",
        ] {
            assert_eq!(Core::parse_hex(bad), None, "{bad}");
        }
    }
}
