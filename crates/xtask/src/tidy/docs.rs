//! Links in Markdown, and paths that exist on one machine only.

use super::check;
use super::tree::SourceFile;
use crate::process::workspace_root;

/// The targets of the links of a Markdown text, with their lines: `[…](target)` and `[…]: target`, outside
/// fenced blocks and code spans.
fn link_targets(markdown: &str) -> Vec<(usize, String)> {
    let mut targets = Vec::new();
    let mut fence: Option<&str> = None;
    for (index, line) in markdown.lines().enumerate() {
        let start = line.trim_start();
        let marker = ["```", "~~~"].into_iter().find(|marker| start.starts_with(marker));
        if marker.is_some() && (fence.is_none() || fence == marker) {
            fence = if fence.is_none() { marker } else { None };
            continue;
        }
        if fence.is_some() {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        let inline = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let definition = prose.trim_start().strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        let defined = definition.and_then(|(_, target)| target.split_whitespace().next());
        targets.extend(
            inline.chain(defined).map(|target| (index + 1, target.trim_matches(['<', '>']).to_owned())),
        );
    }
    targets
}

/// The file that a relative link means, or `None` for another site or a place on the same page.
fn linked_path(target: &str) -> Option<&str> {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let elsewhere = target.contains("://") || target.starts_with("mailto:");
    (!elsewhere && !path.is_empty()).then_some(path)
}

fn broken_links(file: &SourceFile) -> Vec<String> {
    let root = workspace_root().expect("a workspace root");
    let page = root.join(&file.path);
    let folder = page.parent().unwrap_or(&root);
    let broken = |target: &str| {
        linked_path(target).is_some_and(|path| match path.strip_prefix('/') {
            Some(from_root) => !root.join(from_root).exists(),
            None => !folder.join(path).exists(),
        })
    };
    let links = link_targets(&file.text).into_iter().filter(|(_, target)| broken(target));
    links
        .map(|(line, target)| file.complain(line, &format!("the link to `{target}` leads nowhere")))
        .collect()
}

/// Folders of one developer's machine. Put together here, since this file must pass as well.
const MACHINE_PATHS: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ho", "me/"), concat!("/ro", "ot/")];

/// Whether `line` has such a path at the start of a path, not in the middle of one or of an address.
fn names_machine_path(line: &str) -> bool {
    MACHINE_PATHS.iter().any(|needle| {
        line.match_indices(needle).any(|(at, _)| {
            let before = line.get(..at).and_then(|text| text.chars().next_back());
            !before.is_some_and(|c| c.is_alphanumeric() || "._-~}$>)]".contains(c))
        })
    })
}

fn machine_paths(file: &SourceFile) -> Vec<String> {
    let lines = file.text.lines().enumerate().filter(|(_, line)| names_machine_path(line));
    lines.map(|(index, _)| file.complain(index + 1, "a path that exists on one machine only")).collect()
}

#[test]
fn links_in_markdown_resolve() {
    let text =
        "[a](one.md#x) ![i](<two.png> \"t\") `[no](code)`\n```\n[no](fenced)\n```\n[r]: three.md \"title\"\n";
    let targets: Vec<(usize, String)> = link_targets(text);
    let expected = [(1, "one.md#x"), (1, "two.png"), (5, "three.md")];
    assert_eq!(targets, expected.map(|(line, target)| (line, target.to_owned())));
    assert_eq!(linked_path("https://example.com/a.md"), None);
    assert_eq!(linked_path("#here"), None);
    assert_eq!(linked_path("docs/a.md#here"), Some("docs/a.md"));

    let page = |text: &str| SourceFile { path: "docs/example.md".to_owned(), text: text.to_owned() };
    assert!(broken_links(&page("[manifest](../Cargo.toml) [root](/Cargo.toml)")).is_empty());
    assert_eq!(broken_links(&page("[x](../Cargo.tom)\n[y](/docs/missing.md)")).len(), 2);
    let pages = super::tree::source_files().into_iter().filter(|file| file.path.ends_with(".md"));
    super::report(&pages.flat_map(|file| broken_links(&file)).collect::<Vec<_>>());
}

#[test]
fn no_path_of_one_machine_is_named() {
    let [first, second, third] = MACHINE_PATHS;
    for text in [format!("open {first}x"), format!("\"{second}me\""), format!("file://{third}.ssh")] {
        assert!(names_machine_path(&text), "{text}");
    }
    for text in [format!("https://example.com{second}"), format!("~{first}"), "/var/lib/x".to_owned()] {
        assert!(!names_machine_path(&text), "{text}");
    }
    check(|_| true, machine_paths);
}
