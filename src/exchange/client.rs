//! The product of a client: the name of the program that asks, without its version.

/// Longest product that is kept, in bytes.
const MAX: usize = 32;

/// Most digits in a product.
const MAX_DIGITS: usize = 3;

/// Most times that a capital follows a small letter: names of several words have few, random text many.
const MAX_HUMPS: usize = 3;

/// How keys begin that are handed out to people, and encoded JSON.
const KEYS: [&str; 9] = ["sk-", "pk-", "hf_", "ghp_", "gho_", "xox", "AKIA", "AIza", "eyJ"];

/// How names of hosts end.
const DOMAINS: [&str; 12] =
    ["com", "net", "org", "edu", "local", "localdomain", "lan", "home", "internal", "intranet", "corp", "arpa"];

/// The first product of a `User-Agent`, without its version (RFC 9110, 10.1.5): `ollama` of `ollama/0.5 (linux)`.
///
/// It is stored and shown, so only what looks like the name of a program is kept. `None` for what is longer than 32
/// bytes, and for what may be an address, a host, an id or a key: words that begin with a digit, more than three digits,
/// random letters, the beginnings of known keys, the ends of host names.
#[must_use]
pub fn product(user_agent: &[u8]) -> Option<&str> {
    let product = Some(first_token(user_agent)).filter(|product| (1..=MAX).contains(&product.len()))?;
    let text = std::str::from_utf8(product).ok()?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (text.bytes().all(is_allowed) && is_a_name(text)).then_some(text)
}

/// What stands before the version and whatever else follows.
#[must_use]
pub fn first_token(user_agent: &[u8]) -> &[u8] {
    let end = user_agent.iter().take(MAX + 1).position(|byte| matches!(byte, b'/' | b' ' | b'\t' | b'('));
    &user_agent[..end.unwrap_or(user_agent.len())]
}

fn is_a_name(text: &str) -> bool {
    let mut words = text.split(['-', '_', '.']);
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let pairs = || text.bytes().zip(text.bytes().skip(1));
    let humps = pairs().filter(|(one, next)| one.is_ascii_lowercase() && next.is_ascii_uppercase()).count();
    words.all(|word| word.starts_with(|first: char| first.is_ascii_alphabetic()))
        && digits <= MAX_DIGITS
        && humps <= MAX_HUMPS
        && !KEYS.iter().any(|key| text.starts_with(key))
        && !is_a_host(text)
}

fn is_a_host(text: &str) -> bool {
    let mut labels = text.rsplit('.');
    let last = labels.next().unwrap_or_default();
    let before = labels.count();
    before > 1 || (before == 1 && DOMAINS.iter().any(|domain| last.eq_ignore_ascii_case(domain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_product_is_kept_without_its_version() {
        for (user_agent, expected) in [
            ("ollama/0.33.0 (amd64 linux) Go/go1.24.1", "ollama"),
            ("ollama-python/0.6.0 (x86_64 linux) Python/3.11.2", "ollama-python"),
            ("OpenAI/Python 2.7.1", "OpenAI"),
            ("AsyncOpenAI/Python 2.7.1", "AsyncOpenAI"),
            ("Anthropic/Python 0.71.0", "Anthropic"),
            ("claude-cli/2.0.14 (external, cli)", "claude-cli"),
            ("codex_cli_rs/0.50.0 (Debian 12.0.0; x86_64) unknown", "codex_cli_rs"),
            ("ai-sdk/openai-compatible/1.0.19 runtime/node.js/24", "ai-sdk"),
            ("GitHubCopilotChat/0.32.4", "GitHubCopilotChat"),
            ("Microsoft.SemanticKernel/1.60", "Microsoft.SemanticKernel"),
            ("python-requests/2.32.3", "python-requests"),
            ("Python/3.11 aiohttp/3.12.15", "Python"),
            ("Go-http-client/1.1", "Go-http-client"),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101", "Mozilla"),
            ("curl/8.14.1", "curl"),
            ("node", "node"),
            ("node.js", "node.js"),
            ("k6/1.3.0 (https://k6.io/)", "k6"),
            ("h2load nghttp2/1.52.0", "h2load"),
        ] {
            assert_eq!(product(user_agent.as_bytes()), Some(expected), "{user_agent}");
        }
    }

    #[test]
    fn what_may_be_a_secret_an_address_or_an_id_is_not_kept() {
        for user_agent in [
            "",
            "/1.0",
            "(compatible)",
            "10.0.0.77/1.0",
            "ip-10-0-0-77",
            "client.10.0.0.77",
            "2001:db8::1",
            "gpu01.corp.example.com/1.0",
            "example.com",
            "printer.LAN/2",
            "someone@example",
            "sk-abcdefghijklmnop",
            "ghp_abcdefghijklmnop",
            "hf_abcdefghijklmnop",
            "AKIAIOSFODNNEXAMPLE",
            "eyJhbGciOiJIUzI/1",
            "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
            "a4bf92f3577b34da6",
            "Xk3v9QpLm2Rt8/1",
            "aBcDeFgHiJkLmN",
            "Bearer:abc",
            "a\u{e9}/1",
            "a%20b",
            "a,b",
            "a--b",
            "this-name-is-longer-than-any-product",
        ] {
            assert_eq!(product(user_agent.as_bytes()), None, "{user_agent}");
        }
    }

    #[test]
    fn a_long_field_is_not_read_to_its_end() {
        let long = vec![b'a'; 1 << 16];
        assert_eq!(product(&long), None);
        assert_eq!(first_token(b"curl"), b"curl");
    }
}
