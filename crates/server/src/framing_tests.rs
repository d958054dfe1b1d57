use super::*;

/// What becomes of `bytes`: where each request's head and body end, and the byte that is refused.
fn follow(pieces: &[&[u8]]) -> (Place, Result<(), Violation>) {
    let mut framing = Framing::new();
    let mut before = 0;
    for piece in pieces {
        if let Err(violation) = framing.follow(piece) {
            return (framing.place, Err(Violation { at: before + violation.at, ..violation }));
        }
        before += piece.len();
    }
    (framing.place, Ok(()))
}

/// The same outcome whole, byte for byte, and cut in two at every byte.
#[track_caller]
fn check(text: &str, expected: Result<Place, (usize, bool)>) {
    let bytes = text.as_bytes();
    let singles: Vec<&[u8]> = bytes.chunks(1).collect();
    let mut ways = vec![vec![bytes], singles];
    ways.extend((0..=bytes.len()).map(|cut| vec![&bytes[..cut], &bytes[cut..]]));
    for pieces in ways {
        let (place, outcome) = follow(&pieces);
        let told = outcome.map(|()| place).map_err(|v| (v.at, v.in_head));
        assert_eq!(told, expected, "{text:?} in {} pieces, the first of {}", pieces.len(), pieces[0].len());
    }
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\n";

#[test]
fn honest_requests_pass_and_end_where_they_say() {
    for (text, place) in [
        ("", Place::Head),
        (GET, Place::Head),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Place::Head),
        ("GET / HTTP/1.1\r\nHost: a\r\nX-Content-Length: 5\r\nContent-Lengths: 7\r\n\r\n", Place::Head),
        ("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", Place::Head),
        ("content-length: 9 HTTP/1.1\r\nHost: a\r\n\r\n", Place::Head),
        ("POST / HTTP/1.1\r\nCONTENT-length:\t 00004 \r\n\r\nab\r", Place::Body(1)),
        ("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\n\r\n\r", Place::Head),
        ("POST / HTTP/1.1\r\ntransfer-ENCODING: Chunked\r\n\r\n", Place::Size),
        ("POST / HTTP/1.1\r\nTransfer-Encoding:chunked\r\n\r\n5\r\n\n\r\n\r\n\r\n", Place::Size),
        ("POST / HTTP/1.1\r\nTransfer-Encoding:chunked\r\n\r\nAb\r\nx", Place::Chunk(170)),
        ("POST / HTTP/1.1\r\nTransfer-Encoding:chunked\r\n\r\n1;a=\"b c\";d\r\nx\r\n0\r\n", Place::Trailer),
        ("POST / HTTP/1.1\r\nTransfer-Encoding:chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n", Place::Head),
        ("POST / HTTP/1.1\r\nTransfer-Encoding:chunked\r\n\r\n0\r\n\r\nGET", Place::Head),
    ] {
        check(text, Ok(place));
    }
    let body = format!("{POST}Content-Length: 3\r\n\r\nabc");
    let chunked = format!("{POST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    check(&[GET, &body, &chunked, GET, &body].concat(), Ok(Place::Head));
    // A long line costs no memory, and a name beyond what is kept is no length.
    let long = format!("GET /{} HTTP/1.1\r\n{}content-length: 5\r\n\r\n", "a".repeat(200), "x".repeat(64));
    check(&long, Ok(Place::Head));
}

#[test]
fn what_two_parsers_could_read_differently_is_stopped_at_its_byte() {
    // Each is refused at the byte behind the bar.
    for marked in [
        "|\nGET / HTTP/1.1\r\n",
        "GET / HTTP/1.1|\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r|\rHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a|\n\r\n",
        "GET / HTTP/1.1\r\nX: a\r|b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n|\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r|\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n| folded: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n|\tContent-Length: 5\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r|\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nX: y\r\nContent-Length: 5\r|\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r|\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r|\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r|\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length : 5\r|\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length\r|\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length:\r|\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: +5\r|\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5, 5\r|\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 5 5\r|\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 0x5\r|\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 9999999999999999999\r|\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r|\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r|\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r|\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: \u{b}chunked\r|\n\r\n",
    ] {
        let at = marked.find('|').expect("a bar");
        check(&marked.replacen('|', "", 1), Err((at, true)));
    }
    let spaces = format!("{POST}Content-Length: {}5\r\n\r\n", " ".repeat(60));
    check(&spaces, Err((spaces.len() - 3, true)));
}

#[test]
fn chunks_are_read_narrowly() {
    let head = format!("{POST}Transfer-Encoding: chunked\r\n\r\n");
    for marked in [
        "|\n",
        "\r|\n",
        "|zz\r\n",
        "0|x0\r\n",
        "| 5\r\n",
        "5| \r\n",
        "|-1\r\n",
        "|;a\r\n",
        "5|\nhello",
        "5\r|5",
        "5;a|\nhello",
        "5;a\r|b\r\n",
        "5\r\nhello|x\r\n",
        "5\r\nhello|\n",
        "5\r\nhello\r|x",
        "0\r\n|\n",
        "0\r\nA: b|\n\r\n",
        "0\r\n| A: b\r\n\r\n",
    ] {
        let bar = marked.find('|').expect("a bar");
        check(&format!("{head}{}", marked.replacen('|', "", 1)), Err((head.len() + bar, false)));
    }
    check(&format!("{head}{}", "0".repeat(16)), Err((head.len() + 15, false)));
    check(&format!("{head}5;\u{7f}\r\n"), Err((head.len() + 2, false)));
    check(&format!("{head}{}\r\n", "f".repeat(15)), Ok(Place::Chunk(0x0fff_ffff_ffff_ffff)));
    check(&format!("{head}0;{}\r\n", "a".repeat(300)), Ok(Place::Trailer));
}
