//! Where each request on a connection ends, read so narrowly that no other parser could see another end.
//!
//! Hyper accepts what a proxy in front may read differently: a lone LF as the end of a line, and a length
//! beside a coding. The one that reads more into a request than the other takes a part of it for the next
//! request, which is then somebody else's. So the bytes are looked at on their way to hyper, and the first
//! one that breaks the rules below is never seen by it.
//!
//! - A line of a head, of a chunk's size or of a trailer ends in CR LF; neither stands alone anywhere in it.
//! - No line of a head begins with white space.
//! - `Content-Length` is said once, in digits. `Transfer-Encoding` is said once, and is `chunked`. Never both.
//! - A chunk's size is 1 to 15 hexadecimal digits, and what may follow is `;` and printable text.
//!
//! What else makes a head wrong is hyper's to refuse. Everything kept is of a fixed size.

/// Where in the stream the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a line of a head, or between two requests.
    Head,
    /// In a body of this many more bytes.
    Body(u64),
    /// In the line with a chunk's size.
    Size,
    /// In a chunk of this many more bytes.
    Chunk(u64),
    /// In the line end behind a chunk.
    ChunkEnd,
    /// In a line behind the last chunk.
    Trailer,
}

/// A byte that must not be handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Its index in what was given.
    pub at: usize,
    /// Whether it is in a head, so that no request was seen in it yet.
    pub in_head: bool,
}

/// What a head says of the length of its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    length: Option<u64>,
    chunked: bool,
}

/// As much of a line as decides: the longest name, white space and the longest length.
const LINE_START: usize = 64;
const LENGTH: &[u8] = b"content-length";
const CODING: &[u8] = b"transfer-encoding";
/// More would not fit in a signed 64-bit number, which some parsers use.
const LENGTH_DIGITS: usize = 18;
const SIZE_DIGITS: usize = 15;

/// Follows one direction of one connection.
pub(crate) struct Framing {
    place: Place,
    /// The line's beginning, and its length so far.
    line: [u8; LINE_START],
    length: usize,
    /// Whether the byte before was a CR.
    cr: bool,
    /// Whether a request line was seen: what follows are header lines.
    in_headers: bool,
    said: Said,
}

impl Framing {
    pub fn new() -> Framing {
        Framing {
            place: Place::Head,
            line: [0; LINE_START],
            length: 0,
            cr: false,
            in_headers: false,
            said: Said::default(),
        }
    }

    /// Looks at the bytes that follow those given before.
    ///
    /// # Errors
    /// The first byte that breaks a rule. Nothing may be given after it.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let taken = match &mut self.place {
                Place::Body(left) | Place::Chunk(left) => {
                    let taken = (*left).min(rest.len() as u64);
                    *left -= taken;
                    // No more than the rest's length, which is a `usize`.
                    usize::try_from(taken).unwrap_or(rest.len())
                }
                Place::Head | Place::Size | Place::ChunkEnd | Place::Trailer => {
                    let in_head = self.place == Place::Head;
                    self.line(rest).map_err(|offset| Violation { at: at + offset, in_head })?
                }
            };
            match self.place {
                Place::Body(0) => self.place = Place::Head,
                Place::Chunk(0) => self.place = Place::ChunkEnd,
                _ => {}
            }
            at += taken;
        }
        Ok(())
    }

    /// Takes bytes up to the end of a line; how many. `Err` is the index of one that breaks a rule.
    fn line(&mut self, bytes: &[u8]) -> Result<usize, usize> {
        if self.cr {
            if bytes.first() != Some(&b'\n') {
                return Err(0);
            }
            self.cr = false;
            self.end_line().map_err(|()| 0_usize)?;
            self.length = 0;
            return Ok(1);
        }
        let end = line_break(bytes);
        self.keep(bytes.get(..end).unwrap_or_default())?;
        match bytes.get(end) {
            None => Ok(end),
            Some(b'\r') => {
                self.cr = true;
                Ok(end + 1)
            }
            Some(_) => Err(end),
        }
    }

    /// Adds text to the line.
    fn keep(&mut self, text: &[u8]) -> Result<(), usize> {
        if let (0, Some(first)) = (self.length, text.first()) {
            let white = matches!(first, b' ' | b'\t');
            if self.place == Place::ChunkEnd || (white && self.place != Place::Size) {
                return Err(0);
            }
        }
        if self.place == Place::Size {
            return self.keep_size(text);
        }
        let room = self.line.get_mut(self.length..).unwrap_or_default();
        for (slot, byte) in room.iter_mut().zip(text) {
            *slot = *byte;
        }
        self.length = self.length.saturating_add(text.len());
        Ok(())
    }

    /// The same for the line of a chunk's size: digits, and then perhaps an extension.
    fn keep_size(&mut self, text: &[u8]) -> Result<(), usize> {
        for (at, byte) in text.iter().enumerate() {
            let extended = self.line.get(..self.length.min(LINE_START)).is_some_and(|l| l.contains(&b';'));
            let fits = match byte {
                b'\t' | b' '..=b'~' if extended => true,
                b';' => self.length > 0,
                digit => digit.is_ascii_hexdigit() && self.length < SIZE_DIGITS,
            };
            if !fits {
                return Err(at);
            }
            if let Some(slot) = self.line.get_mut(self.length) {
                *slot = *byte;
            }
            self.length = self.length.saturating_add(1);
        }
        Ok(())
    }

    /// What the line that has just ended means for the place behind it.
    fn end_line(&mut self) -> Result<(), ()> {
        match self.place {
            Place::Head if !self.in_headers => {
                // Empty lines in front of a request are passed over (RFC 9112, section 2.2).
                self.in_headers = self.length > 0;
            }
            Place::Head if self.length > 0 => self.header()?,
            Place::Head => {
                self.in_headers = false;
                let said = std::mem::take(&mut self.said);
                self.place = match said {
                    Said { chunked: true, .. } => Place::Size,
                    Said { length: Some(length), .. } if length > 0 => Place::Body(length),
                    Said { .. } => Place::Head,
                };
            }
            Place::Size => {
                let digits = self.line.get(..self.length.min(LINE_START)).unwrap_or_default();
                let digits = digits.split(|b| *b == b';').next().unwrap_or_default();
                let size = std::str::from_utf8(digits).ok().and_then(|d| u64::from_str_radix(d, 16).ok());
                self.place = match size.ok_or(())? {
                    0 => Place::Trailer,
                    size => Place::Chunk(size),
                };
            }
            Place::ChunkEnd => self.place = Place::Size,
            Place::Trailer if self.length == 0 => self.place = Place::Head,
            Place::Trailer | Place::Body(_) | Place::Chunk(_) => {}
        }
        Ok(())
    }

    /// Notes what a header line says of the body's length.
    fn header(&mut self) -> Result<(), ()> {
        let kept = self.line.get(..self.length.min(LINE_START)).unwrap_or_default();
        let name = kept.split(|b| *b == b':').next().unwrap_or_default();
        let named = name.trim_ascii();
        let (length, coding) = (named.eq_ignore_ascii_case(LENGTH), named.eq_ignore_ascii_case(CODING));
        if !length && !coding {
            return Ok(());
        }
        let first = self.said == Said::default();
        if !first || named.len() != name.len() || self.length > LINE_START {
            return Err(());
        }
        let value = kept.get(name.len() + 1..).ok_or(())?.trim_ascii();
        if coding {
            self.said.chunked = true;
            return if value.eq_ignore_ascii_case(b"chunked") { Ok(()) } else { Err(()) };
        }
        if value.is_empty() || value.len() > LENGTH_DIGITS || !value.iter().all(u8::is_ascii_digit) {
            return Err(());
        }
        self.said.length = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
        self.said.length.map(|_| ()).ok_or(())
    }
}

/// Where the first CR or LF is, or the end.
fn line_break(bytes: &[u8]) -> usize {
    let is_break = |byte: &u8| matches!(byte, b'\r' | b'\n');
    // Sixteen at a time, without a branch among them: this is most of the work, and vectors do it.
    let plain = |chunk: &&[u8]| !chunk.iter().fold(false, |found, byte| found | is_break(byte));
    let passed = bytes.chunks_exact(16).take_while(plain).count() * 16;
    let rest = bytes.get(passed..).unwrap_or_default();
    passed + rest.iter().position(is_break).unwrap_or(rest.len())
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
