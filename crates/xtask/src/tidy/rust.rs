//! What Rust files may say, and where.

use super::lexer::{lex, words};
use super::tree::{SourceFile, source_files};
use super::{check, crate_of, is_rust, report};

const MAX_LINES: usize = 700;

/// Names that would give the pure crate a runtime, a database, a clock or randomness.
const IMPURE: [&str; 8] =
    ["tokio", "axum", "http", "rusqlite", "postgres", "getrandom", "SystemTime", "Instant"];

const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];

fn is_sql(literal: &str) -> bool {
    let words: Vec<&str> = literal.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let followed = |first: &str, second: &str| {
        let at = words.iter().position(|word| *word == first);
        at.is_some_and(|at| words.iter().skip(at + 1).any(|word| *word == second))
    };
    let shouted = followed("SELECT", "FROM")
        || followed("INSERT", "INTO")
        || followed("UPDATE", "SET")
        || followed("DELETE", "FROM");
    shouted || is_quiet_sql(literal, &words)
}

/// Lower-case SQL. English sentences use the same words, so more of the shape of a statement is asked for.
fn is_quiet_sql(literal: &str, words: &[&str]) -> bool {
    let word = |at: usize| words.get(at).map(|word| word.to_lowercase()).unwrap_or_default();
    match word(0).as_str() {
        "select" => {
            words.iter().any(|word| word.eq_ignore_ascii_case("from"))
                && (literal.contains(['*', '$', '='])
                    || words.iter().any(|word| word.eq_ignore_ascii_case("where")))
        }
        "insert" => word(1) == "into",
        "update" => word(2) == "set",
        "delete" => word(1) == "from",
        _ => false,
    }
}

fn sql_in_literals(file: &SourceFile) -> Vec<String> {
    let literals = lex(&file.text).strings;
    let sql = literals.iter().filter(|(_, text)| is_sql(text));
    sql.map(|(line, _)| file.complain(*line, "SQL outside the store: give crates/store a function for it"))
        .collect()
}

fn impure_names(file: &SourceFile) -> Vec<String> {
    let code = lex(&file.text).code;
    let impure = words(&code).filter(|(_, word, _)| IMPURE.contains(word));
    impure
        .map(|(line, word, _)| file.complain(line, &format!("`{word}` in the pure crate: pass the value in")))
        .collect()
}

fn unfinished_marks(file: &SourceFile) -> Vec<String> {
    let code = lex(&file.text).code;
    let marks = words(&code).filter(|(_, word, next)| UNFINISHED.contains(word) && *next == Some('!'));
    marks.map(|(line, word, _)| file.complain(line, &format!("`{word}!` is left"))).collect()
}

fn overlong(file: &SourceFile) -> Vec<String> {
    let lines = file.text.lines().count();
    let complaint = || file.complain(lines, &format!("more than {MAX_LINES} lines: is it still one thing?"));
    (lines > MAX_LINES).then(complaint).into_iter().collect()
}

/// Complaints about the numbers of the migration files among `paths`: `0001_…`, `0002_…`, without a gap, in
/// each folder, and all within the store.
fn misnumbered(paths: &[&str]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut previous = ("", 0);
    for path in paths.iter().filter(|path| path.ends_with(".sql")) {
        if crate_of(path) != Some("store") {
            complaints.push(format!("{path}: SQL outside the store"));
            continue;
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let expected = if folder == previous.0 { previous.1 + 1 } else { 1 };
        let number =
            name.split_once('_').filter(|(digits, _)| digits.len() == 4).and_then(|(d, _)| d.parse().ok());
        if number != Some(expected) {
            complaints.push(format!("{path}: expected {expected:04}_<name>.sql here"));
        }
        previous = (folder, number.unwrap_or(expected));
    }
    complaints
}

fn example(text: &str) -> SourceFile {
    SourceFile { path: "crates/example/src/lib.rs".to_owned(), text: text.to_owned() }
}

#[test]
fn sql_is_only_in_the_store() {
    // The statements are put together here, since this file must pass as well.
    for (verb, rest) in [
        ("SEL", "ECT id FROM payments WHERE id = $1"),
        ("ins", "ert into payments values ($1)"),
        ("WITH p AS (UPD", "ATE payments SET state = $1) TABLE p"),
        ("  del", "ete from payments"),
        ("sel", "ect id, amount from payments where id = 1"),
    ] {
        assert!(is_sql(&[verb, rest].concat()), "{verb}{rest}");
        let file = example(&format!("fn f() {{\n q(r#\"{verb}{rest}\"#) }}"));
        assert_eq!(sql_in_literals(&file).len(), 1, "{verb}{rest}");
    }
    for text in ["Select a card from the list", "delete the endpoint", "update the card, then set it", ""] {
        assert!(!is_sql(text), "{text}");
    }
    // Tests and their kit may look at and spoil rows behind the product's back.
    let elsewhere = |path: &str| {
        !path.starts_with("crates/store/src/")
            && !path.starts_with("crates/testkit/")
            && !path.contains("/tests/")
    };
    check(|path| is_rust(path) && elsewhere(path), sql_in_literals);
}

#[test]
fn the_domain_is_pure() {
    assert_eq!(impure_names(&example("use std::time::{Duration, Instant};")).len(), 1);
    assert_eq!(impure_names(&example("let t = std::time::SystemTime::now(); tokio::spawn(t)")).len(), 2);
    assert!(impure_names(&example("// tokio\nfn instant() {}")).is_empty());
    check(|path| is_rust(path) && path.starts_with("crates/domain/src/"), impure_names);
}

#[test]
fn nothing_is_left_unfinished() {
    assert_eq!(
        unfinished_marks(&example("fn f() { todo!() }\nfn g() { dbg!(1); unimplemented!(\"x\") }")).len(),
        3
    );
    assert!(unfinished_marks(&example("// todo!()\nlet todo = \"dbg!\"; if todo != 1 {}")).is_empty());
    check(is_rust, unfinished_marks);
}

#[test]
fn rust_files_stay_short() {
    assert!(overlong(&example(&"\n".repeat(MAX_LINES))).is_empty());
    assert_eq!(overlong(&example(&"\n".repeat(MAX_LINES + 1))).len(), 1);
    check(is_rust, overlong);
}

#[test]
fn migrations_are_numbered_without_gaps() {
    let good = ["crates/store/migrations/0001_init.sql", "crates/store/migrations/0002_keys.sql"];
    assert!(misnumbered(&good).is_empty());
    for bad in [
        vec!["crates/store/migrations/0002_keys.sql"],
        vec![good[0], "crates/store/migrations/0003_gap.sql"],
        vec![good[0], "crates/store/migrations/0001_twice.sql"],
        vec!["crates/store/migrations/1_short.sql"],
        vec!["crates/engine/0001_elsewhere.sql"],
    ] {
        assert_eq!(misnumbered(&bad).len(), 1, "{bad:?}");
    }
    let files = source_files();
    report(&misnumbered(&files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>()));
}
