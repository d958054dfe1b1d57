//! The files of a gateway: a folder for its owner alone, and the lock that keeps a second process out.

use anyhow::{Context, bail};
use domain::id::{NodeId, TypedId};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Bits of a mode that let others do anything.
pub(crate) const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;

/// The permission bits of a file or folder.
pub(crate) fn mode(path: &Path) -> io::Result<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o7777)
}

/// The folder that a file is in; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Free bytes, for users without privileges, on the file system that a file or folder is or will be on.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|part| part.exists()).unwrap_or(Path::new("."));
    let system = rustix::fs::statvfs(there).ok()?;
    system.f_bavail.checked_mul(system.f_frsize)
}

/// Makes the folder with mode 0700 if it does not exist.
///
/// # Errors
/// A folder that others may write to: they could put another database in place of ours.
pub fn prepare(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.with_context(|| format!("the data folder {shown} cannot be made; choose another with --data-dir"))?;
    let mode = mode(folder).with_context(|| format!("the data folder {shown} cannot be read"))?;
    if mode & OTHERS_WRITE != 0 {
        bail!("other users may write to the data folder {shown} (mode {mode:o}); run: chmod 700 {shown}");
    }
    if mode & OTHERS != 0 {
        tracing::warn!(
            "other users may look into the data folder {shown} (mode {mode:o}); run: chmod 700 {shown}"
        );
    }
    Ok(())
}

/// Makes an empty database file with mode 0600, so that SQLite, which would use the process's umask,
/// finds one. Its log files take over the mode.
pub fn prepare_database_file(path: &Path) -> anyhow::Result<()> {
    let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    opened.with_context(|| format!("the database file {} cannot be opened for writing", path.display()))?;
    Ok(())
}

/// Held by the one process that serves an embedded database; the operating system releases it when the
/// process ends, however it ends.
#[derive(Debug)]
pub struct DatabaseLock {
    _file: File,
}

/// The lock file of a database.
pub fn lock_path(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

impl DatabaseLock {
    /// Takes the lock beside the database file.
    ///
    /// # Errors
    /// When another process holds it, or the file system has no locks.
    pub fn take(database: &Path) -> anyhow::Result<DatabaseLock> {
        let path = lock_path(database);
        let shown = path.display();
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let file = file.with_context(|| format!("the lock file {shown} cannot be opened"))?;
        match file.try_lock() {
            Ok(()) => Ok(DatabaseLock { _file: file }),
            Err(TryLockError::WouldBlock) => bail!(
                "another gateway is serving {}: stop it first, or give this one a folder of its own with --data-dir \
                 (PostgreSQL can be shared by several)",
                database.display()
            ),
            Err(TryLockError::Error(e)) => Err(e).context(format!(
                "the lock file {shown} cannot be locked; keep the database on a local file system"
            )),
        }
    }
}

/// Who this node is among those that share a PostgreSQL database. The id lives in the data folder
/// under a lock, so whoever holds it knows that its predecessor is dead and takes over its unfinished
/// provider calls at once.
#[derive(Debug)]
pub struct NodeIdentity {
    pub node: NodeId,
    _file: File,
}

impl NodeIdentity {
    /// Takes the identity kept in the folder, or makes one; `None` when another process has it.
    pub fn take(folder: &Path) -> anyhow::Result<Option<NodeIdentity>> {
        use std::io::{Read, Seek, Write};
        let path = folder.join("node.id");
        let shown = path.display();
        let opened = OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(&path);
        let mut file = opened.with_context(|| format!("the node file {shown} cannot be opened"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => {
                return Err(e).context(format!("the node file {shown} cannot be locked"));
            }
        }
        let mut text = String::new();
        (&mut file).take(64).read_to_string(&mut text).with_context(|| format!("the node file {shown}"))?;
        if let Some(node) = NodeId::parse(text.trim()) {
            return Ok(Some(NodeIdentity { node, _file: file }));
        }
        let node: NodeId = engine::ids::Ids::new(None).next();
        let write = |file: &mut File| -> io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{node}")?;
            file.sync_all()
        };
        write(&mut file).with_context(|| format!("the node file {shown} cannot be written"))?;
        Ok(Some(NodeIdentity { node, _file: file }))
    }
}

/// Writes a file for its owner alone, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    // A file left by an earlier process keeps the mode it had.
    file.set_permissions(PermissionsExt::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    File::open(parent(path))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_told() {
        assert!(free_bytes(Path::new("/nonexistent/folder")).is_some_and(|free| free > 0));
    }

    #[test]
    fn an_identity_is_one_process_at_a_time_and_outlives_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = NodeIdentity::take(folder.path()).expect("taken").expect("free");
        assert!(NodeIdentity::take(folder.path()).expect("looked").is_none());
        let node = first.node;
        drop(first);
        assert_eq!(NodeIdentity::take(folder.path()).expect("taken").expect("free").node, node);
    }

    #[test]
    fn a_new_folder_and_its_files_are_for_the_owner_alone() {
        let base = tempfile::tempdir().expect("a folder");
        let folder = base.path().join("a/b");
        prepare(&folder).expect("made");
        assert_eq!(mode(&folder).expect("mode"), 0o700);
        let database = folder.join("x.db");
        prepare_database_file(&database).expect("made");
        assert_eq!(mode(&database).expect("mode"), 0o600);
        let keys = folder.join("keys.txt");
        for text in ["one", "two"] {
            write_private(&keys, text).expect("written");
            assert_eq!(std::fs::read_to_string(&keys).expect("read"), text);
            assert_eq!(mode(&keys).expect("mode"), 0o600);
        }
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let base = tempfile::tempdir().expect("a folder");
        for (mode, fine) in [(0o700, true), (0o755, true), (0o770, false), (0o702, false)] {
            std::fs::set_permissions(base.path(), PermissionsExt::from_mode(mode)).expect("set");
            let result = prepare(base.path());
            assert_eq!(result.is_ok(), fine, "{mode:o}");
            if let Err(e) = result {
                assert!(e.to_string().contains("chmod 700"), "{e}");
            }
        }
    }

    #[test]
    fn one_process_at_a_time() {
        let base = tempfile::tempdir().expect("a folder");
        let database = base.path().join("x.db");
        let first = DatabaseLock::take(&database).expect("free");
        let told = DatabaseLock::take(&database).expect_err("taken").to_string();
        assert!(told.contains("another gateway") && told.contains("x.db"), "{told}");
        drop(first);
        DatabaseLock::take(&database).expect("free again");
    }
}
