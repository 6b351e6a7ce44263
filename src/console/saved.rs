//! The page of the program that is asked, with the answers that it would ask for inside: one file that opens without it.
//!
//! The page itself says which answers these are and, by its script's digest, which script the file permits.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::redaction::redact;
use super::target::{Target, TargetError};

/// How often a question is asked that the limits refuse, and how long it waits in between: a minute's limit passes.
const TRIES: u32 = 14;
const AGAIN: Duration = Duration::from_secs(5);

/// The time that is asked for.
pub(super) struct Span<'a> {
    /// As the API takes it: `15m`.
    pub(super) last: &'a str,
    /// Its first instant, RFC 3339 in UTC.
    pub(super) from: &'a str,
    /// Its end.
    pub(super) to: &'a str,
}

impl Span<'_> {
    /// The parameters that say it: of periods that the page offers by name, the name.
    fn range(&self) -> Value {
        if ["5m", "15m", "1h", "6h", "24h", "7d", "30d"].contains(&self.last) {
            json!({"period": self.last})
        } else {
            json!({"from": self.from, "to": self.to})
        }
    }

    fn question(&self, template: &str) -> String {
        let range = match self.range() {
            Value::Object(range) => range,
            _ => Map::new(),
        };
        let range: Vec<_> =
            range.iter().map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default())).collect();
        template.replace("{range}", &range.join("&")).replace("{since}", &format!("since={}", self.from))
    }
}

/// What a page says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Page<'a> {
    script: &'a str,
    digest: &'a str,
    style: &'a str,
    questions: Vec<String>,
}

impl<'a> Page<'a> {
    /// `None` of a program without it, which shows the plain page.
    fn of(html: &'a str) -> Option<Self> {
        let between = |from: &str, to: &str| html.split_once(from)?.1.split_once(to).map(|(text, _)| text);
        let (_, script) = html.split_once("<script defer")?;
        let (tag, _) = script.split_once('>')?;
        let attribute = |name: &str| tag.split_once(&format!("{name}=\""))?.1.split_once('"').map(|(text, _)| text);
        Some(Self {
            script: attribute("src")?,
            digest: attribute("integrity")?,
            style: between("<link rel=\"stylesheet\" href=\"", "\"")?,
            questions: between("<meta name=\"kept\" content=\"", "\"")?
                .split_whitespace()
                .map(|path| path.replace("&amp;", "&"))
                .collect(),
        })
    }
}

/// The file; `None` where the program has no page.
pub(super) async fn html(target: &Target, span: &Span<'_>) -> Result<Option<String>, TargetError> {
    let index = target.text("/").await?;
    let Some(page) = Page::of(&index) else { return Ok(None) };
    let (script, style) = (target.text(page.script).await?, target.text(page.style).await?);
    let mut answers = Map::new();
    for template in &page.questions {
        let question = span.question(template);
        if let Some(mut answer) = patiently(target, &question).await? {
            redact(&mut answer);
            answers.insert(question, answer);
        }
    }
    let kept = json!({"at": span.to, "range": span.range(), "answers": answers}).to_string().replace('<', "\\u003c");
    let (at, digest) = (span.to, page.digest);
    Ok(Some(format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         script-src '{digest}'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>inferometer, {at}</title>\n<style>{style}</style></head><body><div id=\"app\"></div>\n\
         <script type=\"application/json\" id=\"kept\">{kept}</script>\n<script>{script}</script></body></html>\n"
    )))
}

/// An answer; `None` of what is not kept or not permitted. Whoever has no credentials may ask seldom, which is waited for.
async fn patiently(target: &Target, question: &str) -> Result<Option<Value>, TargetError> {
    for _ in 0..TRIES {
        match target.get(question).await {
            Ok(answer) => return Ok(Some(answer)),
            Err(TargetError::Refused(StatusCode::TOO_MANY_REQUESTS, _)) => tokio::time::sleep(AGAIN).await,
            Err(TargetError::Refused(..)) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_what_it_is_made_from_and_what_it_asks_for() {
        let html = "<head><meta name=\"kept\" content=\"/health /dashboard/series?metrics=a,b&amp;{range}\n/dashboard/logs?{since}\">\n\
                    <link rel=\"stylesheet\" href=\"/assets/s.css\"><script defer integrity=\"sha256-x\" src=\"/assets/m.js\"></script>";
        let page = Page::of(html).expect("the page");
        assert_eq!((page.script, page.digest, page.style), ("/assets/m.js", "sha256-x", "/assets/s.css"));
        let span = |last| Span { last, from: "2026-11-30T10:00:00Z", to: "2026-11-30T10:15:00Z" };
        let asked = |last| page.questions.iter().map(|path| span(last).question(path)).collect::<Vec<_>>();
        let (named, own) = (asked("15m"), asked("17m"));
        assert_eq!(named[1], "/dashboard/series?metrics=a,b&period=15m");
        assert_eq!(own[1], "/dashboard/series?metrics=a,b&from=2026-11-30T10:00:00Z&to=2026-11-30T10:15:00Z");
        assert_eq!(own[2], "/dashboard/logs?since=2026-11-30T10:00:00Z");
        assert_eq!(Page::of("<html>plain</html>"), None);
    }
}
