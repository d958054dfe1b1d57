//! Just enough of Rust's lexical grammar to tell code from comments and literals.

/// A Rust file taken apart.
pub struct Lexed {
    /// The code alone: each comment and literal is one space, lines keep their numbers.
    pub code: String,
    /// The string literals: the line each begins on, counted from 1, and its text with line breaks as spaces.
    pub strings: Vec<(usize, String)>,
}

/// Takes `text` apart. Rust that does not compile gives some result, never a panic.
pub fn lex(text: &str) -> Lexed {
    let mut lexer = Lexer {
        chars: text.chars().collect(),
        at: 0,
        line: 1,
        out: Lexed { code: String::new(), strings: vec![] },
    };
    while lexer.at < lexer.chars.len() {
        lexer.step();
    }
    lexer.out
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    out: Lexed,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    /// Passes over one character; line breaks reach the code from everywhere, so that lines stay in step.
    fn bump(&mut self) -> char {
        let c = self.peek(0);
        self.at += 1;
        if c == '\n' {
            self.line += 1;
            self.out.code.push('\n');
        }
        c
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.line_comment(),
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', next) if next == '\\' || self.peek(2) == '\'' => self.character(),
            (c, _) if is_word(c) => self.word(),
            ('\n', _) => {
                self.bump();
            }
            (c, _) => {
                self.out.code.push(c);
                self.at += 1;
            }
        }
    }

    fn line_comment(&mut self) {
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            self.bump();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.chars.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.bump();
                    continue;
                }
            }
            self.at += 2;
            if depth == 0 {
                break;
            }
        }
        self.out.code.push(' ');
    }

    fn character(&mut self) {
        self.at += if self.peek(1) == '\\' { 3 } else { 2 };
        while self.at < self.chars.len() && self.bump() != '\'' {}
        self.out.code.push(' ');
    }

    fn string(&mut self) {
        let line = self.line;
        let mut content = String::new();
        self.at += 1;
        while self.at < self.chars.len() {
            match self.bump() {
                '"' => break,
                '\\' => match self.bump() {
                    'n' | 't' | 'r' | '\n' => content.push(' '),
                    c => content.push(c),
                },
                '\n' => content.push(' '),
                c => content.push(c),
            }
        }
        self.finish_string(line, content);
    }

    /// An identifier, keyword or number, or the prefix of a raw string.
    fn word(&mut self) {
        let start = self.at;
        while is_word(self.peek(0)) {
            self.at += 1;
        }
        let word: String = self.chars.get(start..self.at).unwrap_or_default().iter().collect();
        let hashes = (0..).take_while(|ahead| self.peek(*ahead) == '#').count();
        if matches!(word.as_str(), "r" | "br" | "cr") && self.peek(hashes) == '"' {
            self.raw_string(hashes);
        } else {
            self.out.code.push_str(&word);
        }
    }

    fn raw_string(&mut self, hashes: usize) {
        let line = self.line;
        let mut content = String::new();
        self.at += hashes + 1;
        while self.at < self.chars.len() {
            let c = self.bump();
            if c == '"' && (0..hashes).all(|ahead| self.peek(ahead) == '#') {
                self.at += hashes;
                break;
            }
            content.push(if c == '\n' { ' ' } else { c });
        }
        self.finish_string(line, content);
    }

    fn finish_string(&mut self, line: usize, content: String) {
        self.out.strings.push((line, content));
        self.out.code.push(' ');
    }
}

/// Whether `c` can be part of an identifier.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The words of `code` with the line of each, counted from 1, and the character behind it.
pub fn words(code: &str) -> impl Iterator<Item = (usize, &str, Option<char>)> {
    code.lines().enumerate().flat_map(|(index, line)| {
        line.split(|c| !is_word(c)).filter(|word| !word.is_empty()).map(move |word| {
            let end = word.as_ptr() as usize - line.as_ptr() as usize + word.len();
            (index + 1, word, line.get(end..).and_then(|rest| rest.chars().next()))
        })
    })
}

#[test]
fn code_comments_and_literals_are_told_apart() {
    let text = r##"
fn a<'x>(s: &'x str) { // tokio "in a comment"
    /* outer /* dbg!(1) */ still comment */ let c = '"'; let q = '\''; let u = '\u{1F600}';
    f("one \"two\" \
       three", r#"raw "quoted" // no comment"#, b"bytes", r"plain");
    let r#type = 1; last!()
}
"##;
    let lexed = lex(text);
    let strings: Vec<(usize, &str)> = lexed.strings.iter().map(|(line, s)| (*line, s.trim())).collect();
    assert_eq!(
        strings,
        [(4, "one \"two\"         three"), (5, r#"raw "quoted" // no comment"#), (5, "bytes"), (5, "plain")]
    );
    let found: Vec<(usize, &str, Option<char>)> = words(&lexed.code).collect();
    let names: Vec<&str> = found.iter().map(|(_, word, _)| *word).collect();
    assert_eq!(
        names,
        [
            "fn", "a", "x", "s", "x", "str", "let", "c", "let", "q", "let", "u", "f", "b", "let", "r",
            "type", "1", "last"
        ]
    );
    assert_eq!(found.last(), Some(&(6, "last", Some('!'))));
}
