//! Rules of this code base that neither the compiler nor Clippy checks, as tests.
//!
//! A rule is a function from text to complaints. Each is tried on an example that breaks it, and then on
//! the source tree.

mod docs;
mod lexer;
mod manifests;
mod rust;
mod tree;

use tree::SourceFile;

/// Fails with every complaint of `rule` about the files whose path `applies` to.
///
/// A rule that looks at no file at all guards nothing, so that fails too.
fn check(applies: impl Fn(&str) -> bool, rule: impl Fn(&SourceFile) -> Vec<String>) {
    let files: Vec<SourceFile> =
        tree::source_files().into_iter().filter(|file| applies(&file.path)).collect();
    assert!(!files.is_empty(), "no file that this rule applies to: has a directory been renamed?");
    report(&files.iter().flat_map(rule).collect::<Vec<_>>());
}

fn report(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} to mend:\n{}", complaints.len(), complaints.join("\n"));
}

/// Whether `path` is Rust source of one of our crates.
fn is_rust(path: &str) -> bool {
    path.ends_with(".rs")
}

/// The crate that a path belongs to (`crates/<name>/…`).
fn crate_of(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?.split('/').next()
}
