//! The text files of the source tree.

use std::fs;
use std::path::Path;

use crate::process::workspace_root;

/// Build output, version control and what the programs themselves leave behind.
const SKIPPED: [&str; 6] = ["target", ".git", "node_modules", "__pycache__", ".venv", "paymentgate-data"];

/// A file that holds UTF-8 text.
pub struct SourceFile {
    /// Relative to the workspace root, with `/` between the parts.
    pub path: String,
    pub text: String,
}

impl SourceFile {
    /// A complaint about one line of this file, counted from 1.
    pub fn complain(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

/// Every text file of the workspace, in the order of their paths.
pub fn source_files() -> Vec<SourceFile> {
    let root = workspace_root().expect("a workspace root");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<SourceFile>) {
    for entry in fs::read_dir(dir).expect("a readable source tree").flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            if !SKIPPED.iter().any(|name| entry.file_name() == *name) {
                collect(root, &path, files);
            }
        } else if kind.is_file()
            && let (Ok(text), Ok(relative)) = (fs::read_to_string(&path), path.strip_prefix(root))
        {
            files.push(SourceFile { path: relative.to_string_lossy().into_owned(), text });
        }
    }
}
