//! The key that seals secrets at rest. It lives in a file outside the database: who steals only one of
//! the two can read no secret.

use crate::data_dir::{self, OTHERS};
use anyhow::{Context, bail};
use engine::Vault;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use store::{Store, StoreError};
use zeroize::Zeroizing;

/// The name under which a database remembers, by a digest, which key it is sealed with.
const BINDING: &str = "sealing-key";
/// More than the 64 digits and a line end that a key file holds.
const FILE_MAX: u64 = 256;

/// 32 secret bytes. Shows none of them, and leaves none in memory.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(***)")
    }
}

impl SealingKey {
    pub fn new(bytes: [u8; 32]) -> SealingKey {
        SealingKey(Zeroizing::new(bytes))
    }

    /// A fresh random key.
    pub fn generate() -> SealingKey {
        SealingKey::new(engine::ids::secret_bytes())
    }

    pub fn vault(&self) -> Vault {
        Vault::new(&self.0)
    }

    fn hex(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(65));
        for byte in self.0.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(digit), 16));
            }
        }
        text.push('\n');
        text
    }

    fn from_hex(text: &str) -> Option<SealingKey> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = Zeroizing::new([0u8; 32]);
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
        }
        Some(SealingKey(bytes))
    }

    /// Reads a key file; `None` if there is none.
    ///
    /// # Errors
    /// A file that others may read, or that holds no key.
    pub fn read(path: &Path) -> anyhow::Result<Option<SealingKey>> {
        let shown = path.display();
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).context(format!("the sealing key {shown} cannot be opened")),
        };
        // Of the open file, not of the path: what is checked is what is read.
        let facts = file.metadata().with_context(|| format!("the sealing key {shown} cannot be read"))?;
        let mode = facts.permissions().mode() & 0o7777;
        if !facts.is_file() {
            bail!("the sealing key {shown} is not a file");
        }
        if mode & OTHERS != 0 {
            bail!("other users may read the sealing key {shown} (mode {mode:o}); run: chmod 600 {shown}");
        }
        let mut text = Zeroizing::new(String::new());
        let read = (&mut file).take(FILE_MAX).read_to_string(&mut text);
        read.with_context(|| format!("the sealing key {shown} cannot be read"))?;
        match SealingKey::from_hex(&text) {
            Some(key) => Ok(Some(key)),
            None if text.is_empty() => bail!(
                "the sealing key {shown} is empty: restore it from your backup. Only if this gateway has never served, \
                 remove the file; the next start makes a new key"
            ),
            None => bail!(
                "the sealing key {shown} does not hold 64 hexadecimal digits; restore it from your backup"
            ),
        }
    }

    /// Makes a key and its file, durable before this returns.
    ///
    /// # Errors
    /// If the file exists: a key is never written over.
    pub fn create(path: &Path) -> anyhow::Result<SealingKey> {
        let key = SealingKey::generate();
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(key.hex().as_bytes())?;
            file.sync_all()?;
            // The name too has to survive a power cut.
            File::open(data_dir::parent(path))?.sync_all()
        };
        write().with_context(|| format!("the sealing key {} cannot be made", path.display()))?;
        Ok(key)
    }
}

/// The key of an open database: read from its file, or made if nothing can be sealed yet. Then makes
/// sure that the database was not sealed with another key.
///
/// # Errors
/// A key that is missing although merchants exist, or that is another database's.
pub async fn for_database(path: &Path, store: &Store) -> anyhow::Result<SealingKey> {
    let shown = path.display();
    let key = match SealingKey::read(path)? {
        Some(key) => key,
        None => {
            let merchants = store.read(store::merchants::all).await.context("the database cannot be read")?;
            if !merchants.is_empty() {
                bail!(
                    "the sealing key {shown} is missing, and this database holds secrets that only it opens: restore \
                     the file from your backup, or name it with --sealing-key-file"
                );
            }
            let key = SealingKey::create(path)?;
            tracing::info!("made the sealing key {shown}; keep a copy of it apart from the database");
            key
        }
    };
    if !fits(store, &key).await.context("the database cannot be written")? {
        bail!(
            "the sealing key {shown} is not the one that this database is sealed with: restore the right file, or name \
             it with --sealing-key-file (all nodes of one PostgreSQL database need the same key)"
        );
    }
    Ok(key)
}

/// Whether the database is bound to this key. One that is bound to none yet is bound to it now.
pub(crate) async fn fits(store: &Store, key: &SealingKey) -> Result<bool, StoreError> {
    let check = key.vault().key_check();
    store.write(move |tx| Ok(store::instance::put_once(tx, BINDING, &check)? == check)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Location;

    fn put(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).expect("written");
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("set");
    }

    #[test]
    fn a_made_key_reads_back_and_is_never_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sealing.key");
        assert!(SealingKey::read(&path).expect("read").is_none());
        let key = SealingKey::create(&path).expect("made");
        assert_eq!(data_dir::mode(&path).expect("mode"), 0o600);
        let read = SealingKey::read(&path).expect("read").expect("there");
        assert_eq!(*read.0, *key.0);
        let before = std::fs::read(&path).expect("read");
        assert!(SealingKey::create(&path).is_err());
        assert_eq!(std::fs::read(&path).expect("read"), before);
        assert_eq!(format!("{key:?}"), "SealingKey(***)");
    }

    #[test]
    fn files_of_others_or_without_a_key_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sealing.key");
        let good = "0123456789abcdef".repeat(4);
        for (text, mode, part) in [
            (good.clone(), 0o644, "chmod 600"),
            (good.clone(), 0o640, "chmod 600"),
            (good.clone(), 0o602, "chmod 600"),
            (String::new(), 0o600, "is empty"),
            (good[1..].to_owned(), 0o600, "64 hexadecimal digits"),
            (format!("{good}0"), 0o600, "64 hexadecimal digits"),
            (good.replace('a', "g"), 0o600, "64 hexadecimal digits"),
            (good.replace('a', "é"), 0o600, "64 hexadecimal digits"),
        ] {
            put(&path, &text, mode);
            let told = SealingKey::read(&path).expect_err("refused").to_string();
            assert!(told.contains(part) && told.contains("sealing.key"), "{told}");
            assert!(!told.contains("0123456789"), "the message shows the key");
        }
        for (text, mode) in
            [(good.clone(), 0o600), (good.to_uppercase() + "\n", 0o400), (good + "\r\n", 0o600)]
        {
            put(&path, &text, mode);
            assert!(SealingKey::read(&path).expect("read").is_some());
            std::fs::remove_file(&path).expect("removed");
        }
    }

    #[tokio::test]
    async fn a_database_with_merchants_needs_its_own_key() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sealing.key");
        let location = Location::Sqlite(folder.path().join("x.db"));
        let store = Store::open(&location).expect("opened");
        let key = for_database(&path, &store).await.expect("a first key");
        assert_eq!(*for_database(&path, &store).await.expect("the same").0, *key.0);

        let kept = std::fs::read_to_string(&path).expect("read");
        std::fs::remove_file(&path).expect("removed");
        let merchant = domain::merchant::Merchant {
            id: domain::id::MerchantId(domain::id::Core([1; 12])),
            name: "Shop".to_owned(),
            profile: Default::default(),
            offboarding: None,
            created_at: domain::time::Timestamp(0),
        };
        store.write(move |tx| store::merchants::insert(tx, &merchant)).await.expect("inserted");
        let told = for_database(&path, &store).await.expect_err("missing").to_string();
        assert!(told.contains("missing") && !path.exists(), "{told}");

        SealingKey::create(&path).expect("another key");
        let told = for_database(&path, &store).await.expect_err("another").to_string();
        assert!(told.contains("not the one"), "{told}");

        put(&path, &kept, 0o600);
        assert_eq!(*for_database(&path, &store).await.expect("restored").0, *key.0);
    }
}
