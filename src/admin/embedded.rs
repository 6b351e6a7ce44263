//! The dashboard's page: files that `make web` writes into `web/dist`, embedded in the program.
//!
//! Promises: the page loads nothing from elsewhere and compiles no text to code, which its policy has browsers enforce;
//! a file whose name holds its digest may be kept for ever, and the page itself is asked for again each time.
//!
//! A build without these files is whole, too: the plain page is shown in their place.

use http::{HeaderMap, HeaderValue, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::answer::{self, AdminAnswer};
use super::negotiate;

/// In a debug build they are read from the folder each time.
#[derive(RustEmbed)]
#[folder = "web/dist"]
#[allow_missing = true]
struct Dist;

/// Where the files lie that the page loads.
const FOLDER: &str = "/assets/";

const INDEX: &str = "index.html";

const CONTENT_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types 'none'",
);

/// Whether the program has the page.
pub(super) fn is_there() -> bool {
    Dist::get(INDEX).is_some()
}

/// The page; `None` in a build without it.
pub(super) fn page(headers: &HeaderMap) -> Option<AdminAnswer> {
    let mut page = file(INDEX, headers)?;
    let fields = page.headers_mut();
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    fields.insert(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
    Some(page)
}

/// Whether a path is one of a file that the page loads. They hold nothing about this machine.
pub(super) fn is_asset(path: &str) -> bool {
    path.starts_with(FOLDER)
}

/// A file that the page loads; `None` if no file has this path.
pub(super) fn asset(path: &str, headers: &HeaderMap) -> Option<AdminAnswer> {
    // A debug build looks in the folder itself.
    let name = path.strip_prefix('/').filter(|name| is_asset(path) && !name.contains(".."))?;
    let mut asset = file(name, headers)?;
    let kept = HeaderValue::from_static("public, max-age=31536000, immutable");
    asset.headers_mut().insert(header::CACHE_CONTROL, kept);
    Some(asset)
}

fn file(name: &str, headers: &HeaderMap) -> Option<AdminAnswer> {
    let content_type = content_type(name)?;
    let plain = Dist::get(name)?;
    let tag = tag(&plain);
    let is_known = headers.get_all(header::IF_NONE_MATCH).iter().any(|known| names(known, &tag));
    let mut answer = if is_known {
        answer::answer(StatusCode::NOT_MODIFIED, content_type, "")
    } else {
        let (coding, file) = encoded(name, headers).unwrap_or((None, plain));
        let mut answer = answer::answer(StatusCode::OK, content_type, file.data.into_owned());
        if let Some(coding) = coding {
            answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        answer
    };
    let fields = answer.headers_mut();
    fields.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    fields.insert(header::ETAG, HeaderValue::try_from(tag).expect("hexadecimal digits in quotes"));
    Some(answer)
}

/// The smallest of the written forms that the client takes.
fn encoded(name: &str, headers: &HeaderMap) -> Option<(Option<&'static str>, EmbeddedFile)> {
    [("br", "br"), ("gzip", "gz")].into_iter().find_map(|(coding, ending)| {
        let file = negotiate::accepts(headers, coding).then(|| Dist::get(&format!("{name}.{ending}")))??;
        Some((Some(coding), file))
    })
}

/// Weak, since the forms of a file share it.
fn tag(file: &EmbeddedFile) -> String {
    let digits: String = file.metadata.sha256_hash()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("W/\"{digits}\"")
}

fn names(known: &HeaderValue, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    known.to_str().is_ok_and(|known| known.split(',').any(|known| known.trim() == "*" || opaque(known) == opaque(tag)))
}

/// `None` for what is not asked for by its own name.
fn content_type(name: &str) -> Option<HeaderValue> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(HeaderValue::from_static(match ending {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "txt" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_in_a_list_of_tags() {
        for (known, is_known) in [("*", true), ("\"a\", W/\"b\"", true), ("W/\"c\"", false), ("b", false)] {
            assert_eq!(names(&HeaderValue::from_static(known), "W/\"b\""), is_known, "{known}");
        }
    }

    #[test]
    fn only_files_of_the_page_are_found() {
        let none = HeaderMap::new();
        for path in ["/assets/", "/assets/../index.html", "/index.html", "/assets/none.js", "/assets/index.html.br"] {
            assert!(asset(path, &none).is_none(), "{path}");
        }
        assert_eq!(page(&none).is_some(), is_there());
    }
}
