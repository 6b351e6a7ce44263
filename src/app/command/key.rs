//! `inferometer key`: a new API key.

use std::time::{SystemTime, UNIX_EPOCH};

use super::report::{CommandReport, Failure};
use crate::access::keys::{NewKey, new_key};
use crate::access::scope::Scope;
use crate::cli::KeyArguments;
use crate::config;
use crate::history::timestamp::Timestamp;

/// The key and its line go to standard output, so that they can be piped; what to do with them does not.
pub(super) fn make(arguments: &KeyArguments) -> Result<CommandReport, Failure> {
    let scopes = arguments.scopes.iter().map(|name| scope(name)).collect::<Result<Vec<_>, _>>()?;
    let NewKey { key, line } = new_key(&arguments.name, &scopes, &expiry(&arguments.expires, SystemTime::now()))?;
    let complaints = "The first line is the key: it is shown this once, and sent as `Authorization: Bearer KEY`. The second is for the file \
                      that access.keys_file names (mode 600); SIGHUP reads it.\n";
    Ok(CommandReport { complaints: complaints.to_owned(), ..CommandReport::of(format!("{key}\n{line}\n")) })
}

fn scope(name: &str) -> Result<Scope, String> {
    let all = Scope::ALL.map(Scope::as_str).join(", ");
    Scope::parse(name).ok_or_else(|| format!("--scope {}: expected one of {all}", name.escape_debug()))
}

/// As the file has it: how long from now becomes a time.
fn expiry(text: &str, now: SystemTime) -> String {
    let end = config::duration(text).and_then(|life| (now + life).duration_since(UNIX_EPOCH).ok());
    let end = end.and_then(|end| i64::try_from(end.as_millis()).ok());
    end.map_or_else(|| text.to_owned(), |end| Timestamp(end).to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn how_long_from_now_becomes_a_time() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        for (text, expected) in
            [("1d", "1970-01-02T00:16:40.000Z"), ("never", "never"), ("2027-06-30", "2027-06-30"), ("soon", "soon")]
        {
            assert_eq!(expiry(text, now), expected);
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let make = |name: &str, scope: &str, expires: &str| {
            let arguments = KeyArguments { name: name.into(), scopes: vec![scope.into()], expires: expires.into() };
            make(&arguments).map_err(|error| error.to_string())
        };
        assert!(make("ci", "dashboard:read", "90d").is_ok());
        for (name, scope, expires, reason) in [
            ("ci", "dashboard:write", "never", "expected one of dashboard:read"),
            ("ci", "dashboard:read", "soon", "the expiry is not"),
            ("c i", "dashboard:read", "never", "the name is not"),
        ] {
            let error = make(name, scope, expires).expect_err(reason);
            assert!(error.contains(reason), "{error}");
        }
    }
}
