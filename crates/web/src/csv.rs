//! Tables as CSV by RFC 4180, safe to open in a spreadsheet.

use bytes::Bytes;
use csv::{QuoteStyle, Terminator, Writer, WriterBuilder};
use domain::currency::Currency;
use domain::money::format_minor;

/// One cell.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'a> {
    Empty,
    /// A whole number of ours.
    Number(i64),
    /// A sum of ours in minor units, written as a decimal number of the currency's main unit.
    Amount(i64, Currency),
    /// Any text, ours or somebody's.
    Text(&'a str),
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Cell::Text(text)
    }
}

impl<'a> From<&'a String> for Cell<'a> {
    fn from(text: &'a String) -> Self {
        Cell::Text(text)
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Cell::Empty, Cell::Text)
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Cell::Number(number)
    }
}

/// What spreadsheets take for the beginning of a formula, or skip in search of one.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '\0', '\u{ff1d}', '\u{ff0b}', '\u{ff20}'];

/// A text as a cell shows it: with an apostrophe before whatever a spreadsheet could take for a formula.
fn guarded(text: &str) -> String {
    let guard = if text.starts_with(FORMULA) { "'" } else { "" };
    format!("{guard}{text}")
}

/// Writes rows piece by piece.
pub struct Table {
    writer: Writer<Vec<u8>>,
}

fn writer() -> Writer<Vec<u8>> {
    WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .quote_style(QuoteStyle::Necessary)
        .flexible(true)
        .from_writer(Vec::new())
}

impl Table {
    /// A table with these names of its columns as its first row.
    pub fn new(columns: &[&str]) -> Table {
        let mut table = Table { writer: writer() };
        let cells: Vec<Cell<'_>> = columns.iter().map(|name| Cell::Text(name)).collect();
        table.row(&cells);
        table
    }

    pub fn row(&mut self, cells: &[Cell<'_>]) {
        let fields = cells.iter().map(|cell| match cell {
            Cell::Empty => String::new(),
            Cell::Number(n) => n.to_string(),
            Cell::Amount(minor, currency) => format_minor(*minor, *currency),
            Cell::Text(text) => guarded(text),
        });
        // Writing to memory does not fail, and rows may have any length.
        let _ = self.writer.write_record(fields);
    }

    /// What was written since the last time.
    pub fn take(&mut self) -> Bytes {
        let written = std::mem::replace(&mut self.writer, writer());
        written.into_inner().map(Bytes::from).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(cells: &[Cell<'_>]) -> String {
        let mut table = Table { writer: writer() };
        table.row(cells);
        String::from_utf8(table.take().to_vec()).expect("text")
    }

    #[test]
    fn cells_are_quoted_and_formulas_disarmed() {
        for (text, cell) in [
            ("plain", "plain"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            (
                "=HYPERLINK(\"https://evil.example\",\"x\")",
                "\"'=HYPERLINK(\"\"https://evil.example\"\",\"\"x\"\")\"",
            ),
            ("+49 30 1234", "'+49 30 1234"),
            ("-1+1", "'-1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1+1", "'\t=1+1"),
            ("\r=1+1", "\"'\r=1+1\""),
            ("\n=1+1", "\"'\n=1+1\""),
            ("\0=1+1", "'\0=1+1"),
            ("\u{ff1d}1+1", "'\u{ff1d}1+1"),
            ("Grüße, 東京 🙂", "\"Grüße, 東京 🙂\""),
        ] {
            assert_eq!(one(&[text.into()]), format!("{cell}\r\n"), "{text:?}");
        }
        assert_eq!(one(&[(-2).into(), Cell::Empty, 5.into()]), "-2,,5\r\n", "our numbers stay numbers");
        let sums = [Cell::Amount(-205, Currency::EUR), Cell::Amount(0, Currency::EUR)];
        assert_eq!(one(&sums), "-2.05,0.00\r\n");
    }

    #[test]
    fn pieces_make_one_table() {
        let mut table = Table::new(&["id", "name"]);
        let mut all = table.take().to_vec();
        assert!(table.take().is_empty());
        for n in 0..3 {
            table.row(&[n.into(), "x".into()]);
            all.extend(table.take());
        }
        assert_eq!(String::from_utf8(all).expect("text"), "id,name\r\n0,x\r\n1,x\r\n2,x\r\n");
    }

    proptest! {
        #[test]
        fn every_text_reads_back_and_no_cell_begins_a_formula(texts in proptest::collection::vec("\\PC*|[=+@,\"\r\n\t-]{1,4}", 1..6)) {
            let cells: Vec<Cell<'_>> = texts.iter().map(Cell::from).collect();
            let line = one(&cells);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
            let read = reader.records().next().expect("a row").expect("readable");
            prop_assert_eq!(read.len(), texts.len());
            for (cell, text) in read.iter().zip(&texts) {
                prop_assert!(!cell.starts_with(FORMULA));
                prop_assert!(cell == text || cell.strip_prefix('\'') == Some(text.as_str()));
            }
        }
    }
}
