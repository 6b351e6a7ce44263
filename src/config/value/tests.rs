use std::time::Duration;

use super::*;

#[test]
fn durations_carry_units_and_add_up() {
    for (text, millis) in [
        ("0", 0),
        ("0s", 0),
        ("500ms", 500),
        ("5s", 5_000),
        ("1m30s", 90_000),
        ("2h", 7_200_000),
        ("1d1ms", 86_400_001),
        ("365d", 31_536_000_000),
    ] {
        assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
    }
}

#[test]
fn a_duration_without_unit_sign_or_sense_is_refused() {
    let wrong =
        ["", "5", "s", "5 s", "-5s", "+5s", "1.5s", "5S", "5sec", "5s5", "366d", "99999999999999999999s", "5µs"];
    for text in wrong {
        assert_eq!(parse_duration(text), None, "{text}");
    }
    assert!(duration("0").is_err(), "a timeout of nothing");
    assert_eq!(limit("0"), Ok(None), "0 is off");
    assert_eq!(host_period("0"), Ok(None));
    assert_eq!(electricity_price("0"), Ok(None));
    assert_eq!(electricity_price("0.3").map(|price| price.map(ElectricityPrice::per_kilowatt_hour)), Ok(Some(0.3)));
    for text in ["-1", "nan", "inf", "cheap", "2e6"] {
        assert!(electricity_price(text).is_err(), "{text}");
    }
    assert_eq!(host_period("1s"), Ok(Some(Duration::from_secs(1))));
    assert!(host_period("999ms").is_err(), "reading the machine has a cost");
}

#[test]
fn listening_needs_an_address_and_a_port() {
    for text in ["127.0.0.1:1", "[::1]:0", "0.0.0.0:80", "localhost:11435"] {
        assert!(listen(text).is_ok(), "{text}");
    }
    for text in ["", "11435", ":11435", "example.com:80", "127.0.0.1", "localhost", "localhost:x", "127.0.0.1:70000"] {
        assert!(listen(text).is_err(), "{text}");
    }
}

#[test]
fn sizes_and_ages_have_units_and_ranges() {
    assert_eq!((size("2GiB"), size("512KiB"), size("1MiB")), (Ok(2 << 30), Err(Unexpected), Ok(1 << 20)));
    for text in ["", "2", "GiB", "-1GiB", "1 GiB", "2GB", "99999999TiB", "2GiBs"] {
        assert!(size(text).is_err(), "{text}");
    }
    assert_eq!(age("400d"), Ok(Duration::from_secs(400 * 86_400)));
    for text in ["0", "59m", "4000d", "30", ""] {
        assert!(age(text).is_err(), "{text}");
    }
    assert_eq!((rate("500"), history("sqlite")), (Ok(500), Ok(Engine::Sqlite)));
    assert!(rate("0").is_err() && history("SQLite").is_err() && history("").is_err());
}

#[test]
fn counts_stay_in_their_ranges() {
    assert_eq!(max_models("200"), Ok(200));
    for text in ["0", "-1", "+5", "1e3", "10001", ""] {
        assert!(max_models(text).is_err(), "{text}");
    }
    assert_eq!(worker_threads("0"), Ok(None));
    assert_eq!(worker_threads("4"), Ok(NonZeroUsize::new(4)));
    assert_eq!(max_connections("auto"), Ok(MaxConnections::Auto));
    assert_eq!(max_connections("0"), Ok(MaxConnections::Unlimited));
    assert_eq!(max_connections("1000"), Ok(MaxConnections::AtMost(1000)));
    assert!(max_connections("many").is_err());
}

#[test]
fn the_host_field_is_a_policy_or_an_authority() {
    assert_eq!(host_header("preserve"), Ok(HostHeader::Preserve));
    assert_eq!(host_header("upstream"), Ok(HostHeader::Upstream));
    for text in ["localhost", "ollama.lan:11434", "[::1]:80"] {
        assert_eq!(host_header(text), Ok(HostHeader::Literal(HeaderValue::from_static(text))));
    }
    assert_eq!(host_header("Upstream"), Ok(HostHeader::Upstream), "in any case");
    assert_eq!(host_header("PRESERVE"), Ok(HostHeader::Preserve));
    for text in ["upstream.lan", "upstreem:80", "ollama"] {
        assert_eq!(host_header(text), Ok(HostHeader::Literal(HeaderValue::from_static(text))));
    }
    for text in ["upsteam", "Upstreams", "preserved"] {
        assert!(matches!(host_header(text), Err(Because(said)) if said.contains("`upstream`")), "{text}: no host");
    }
    for text in ["", "a b", "a\r\nb: c", "http://a", "a/b", "user@a", "a:b", ":80", "::1"] {
        assert!(host_header(text).is_err(), "{text:?}");
    }
}
