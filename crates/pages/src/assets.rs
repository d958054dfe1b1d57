//! Files embedded in the binary and served under `/assets/`.
//!
//! Pages name them by content (`app.0f1e2d3c4b5a6978.css`), so browsers may keep them for ever and a new version
//! is never mixed up with an old one. The plain name (`app.css`) answers too, to be checked again each time.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// Bytes of the SHA-256 that go into a name and an `ETag`: 64 bits tell versions of our own files apart.
const HASH_BYTES: usize = 8;

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const REVALIDATE: &str = "public, no-cache";

/// A file, and the headers to send with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    pub bytes: &'static [u8],
    /// The same, compressed; `None` where that would not be smaller.
    pub gzip: Option<&'static [u8]>,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// Value of `ETag`, quoted, strong: of `bytes`.
    pub etag: &'static str,
    /// That of `gzip`, since a strong tag names one sequence of bytes.
    pub gzip_etag: &'static str,
    /// Value of `Cache-Control`: a year when asked for by its hashed name, else to be revalidated.
    pub cache_control: &'static str,
}

struct Source {
    stem: &'static str,
    extension: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const SOURCES: &[Source] = &[
    Source {
        stem: "app",
        extension: "css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../assets/app.css"),
    },
    Source {
        stem: "checkout",
        extension: "css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../assets/checkout.css"),
    },
    Source {
        stem: "checkout",
        extension: "js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/checkout.js"),
    },
    Source {
        stem: "favicon",
        extension: "svg",
        content_type: "image/svg+xml",
        bytes: include_bytes!("../assets/favicon.svg"),
    },
];

struct Entry {
    plain_name: String,
    hashed_name: String,
    href: String,
    etag: String,
    gzip_etag: String,
    gzip: Option<Vec<u8>>,
    source: &'static Source,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| SOURCES.iter().map(Entry::new).collect());

impl Entry {
    fn new(source: &'static Source) -> Self {
        let Source { stem, extension, .. } = source;
        let hash =
            Sha256::digest(source.bytes).iter().take(HASH_BYTES).fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}"); // writing into a String cannot fail
                hex
            });
        let hashed_name = format!("{stem}.{hash}.{extension}");
        Self {
            plain_name: format!("{stem}.{extension}"),
            href: format!("/assets/{hashed_name}"),
            etag: format!("\"{hash}\""),
            gzip_etag: format!("\"{hash}-gzip\""),
            gzip: compressed(source.bytes),
            hashed_name,
            source,
        }
    }

    fn asset(&'static self, cache_control: &'static str) -> Asset {
        Asset {
            bytes: self.source.bytes,
            gzip: self.gzip.as_deref(),
            content_type: self.source.content_type,
            etag: &self.etag,
            gzip_etag: &self.gzip_etag,
            cache_control,
        }
    }
}

/// Done once, when the first file is asked for.
fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing into a Vec cannot fail; were it to, the file is sent as it is.
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().filter(|small| small.len() < bytes.len())
}

/// The file behind `/assets/{path}`; `path` has no leading slash. `None` is a 404.
///
/// Only the names of embedded files match, so nothing in `path` can reach the file system. Send
/// `X-Content-Type-Options: nosniff` along.
pub fn asset(path: &str) -> Option<Asset> {
    ENTRIES.iter().find_map(|entry| {
        if path == entry.hashed_name {
            Some(entry.asset(IMMUTABLE))
        } else if path == entry.plain_name {
            Some(entry.asset(REVALIDATE))
        } else {
            None
        }
    })
}

/// The hashed names of all embedded files, as [`asset`] takes them.
pub fn asset_names() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().map(|entry| entry.hashed_name.as_str())
}

/// The address templates use for the style sheet.
pub(crate) fn css_href() -> &'static str {
    href("app.css")
}

/// The address of what the payment page adds to the style sheet.
pub(crate) fn checkout_css_href() -> &'static str {
    href("checkout.css")
}

/// The address of the payment page's script.
pub(crate) fn checkout_js_href() -> &'static str {
    href("checkout.js")
}

/// The address templates use for the icon.
pub(crate) fn icon_href() -> &'static str {
    href("favicon.svg")
}

fn href(plain_name: &str) -> &'static str {
    ENTRIES
        .iter()
        .find(|entry| entry.plain_name == plain_name)
        .map_or("/assets/missing", |entry| entry.href.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_used_by_templates_are_served() {
        for (href, content_type) in [
            (css_href(), "text/css; charset=utf-8"),
            (checkout_css_href(), "text/css; charset=utf-8"),
            (checkout_js_href(), "text/javascript; charset=utf-8"),
            (icon_href(), "image/svg+xml"),
        ] {
            let name = href.strip_prefix("/assets/").expect("under /assets/");
            let file = asset(name).unwrap_or_else(|| panic!("{href} is not served"));
            assert_eq!(file.content_type, content_type);
            assert!(file.cache_control.contains("immutable"));
            assert!(!file.bytes.is_empty());
        }
    }

    #[test]
    fn name_and_etag_follow_the_content() {
        let a = Entry::new(&Source { stem: "a", extension: "css", content_type: "text/css", bytes: b"a{}" });
        let b = Entry::new(&Source { stem: "a", extension: "css", content_type: "text/css", bytes: b"b{}" });
        assert_ne!(a.hashed_name, b.hashed_name);
        assert_ne!(a.etag, b.etag);
        assert_eq!(a.plain_name, b.plain_name);
    }

    #[test]
    fn plain_name_is_served_for_revalidation() {
        let plain = asset("app.css").expect("served");
        let hashed = asset(css_href().trim_start_matches("/assets/")).expect("served");
        assert_eq!(plain.etag, hashed.etag);
        assert!(plain.cache_control.contains("no-cache"));
        assert!(plain.etag.starts_with('"') && plain.etag.ends_with('"'));
    }

    #[test]
    fn anything_else_is_not_found() {
        for path in [
            "",
            "/",
            "app",
            "app.0000000000000000.css",
            "../assets/app.css",
            "/app.css",
            "APP.CSS",
            "app.css\0",
        ] {
            assert_eq!(asset(path), None, "{path:?}");
        }
    }

    #[test]
    fn every_listed_name_is_served() {
        assert_eq!(asset_names().count(), SOURCES.len());
        assert!(asset_names().all(|name| asset(name).is_some()));
    }

    #[test]
    fn style_sheets_load_nothing_from_elsewhere() {
        for css in [include_str!("../assets/app.css"), include_str!("../assets/checkout.css")] {
            for token in ["@import", "url(", "http:", "https:", "expression("] {
                assert!(!css.contains(token), "{token}");
            }
        }
    }

    #[test]
    fn script_makes_no_code_or_markup_from_text() {
        let script = include_str!("../assets/checkout.js");
        for token in [
            "eval",
            "Function(",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "http:",
            "https:",
            "import",
            ".style",
        ] {
            assert!(!script.contains(token), "{token}");
        }
    }

    #[test]
    fn what_is_compressed_is_the_file() {
        use std::io::Read as _;
        for name in asset_names() {
            let file = asset(name).expect("served");
            let small = file.gzip.unwrap_or_else(|| panic!("{name} does not shrink"));
            let mut whole = Vec::new();
            flate2::read::GzDecoder::new(small).read_to_end(&mut whole).expect("gzip");
            assert_eq!(whole, file.bytes, "{name}");
            assert_ne!(file.etag, file.gzip_etag);
        }
    }

    #[test]
    fn files_stay_within_their_budget() {
        let small = |name: &str| asset(name).and_then(|file| file.gzip).expect("compressed").len();
        assert!(small("app.css") + small("checkout.css") <= 8 * 1024, "style sheets");
        assert!(small("checkout.js") <= 10 * 1024, "script");
    }
}
