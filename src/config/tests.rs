//! The layers together: what wins, what is refused, and in which words.

use std::ffi::OsString;
use std::io;
use std::time::Duration;

use super::element::ELEMENT;
use super::error::ConfigError;
use super::peer::PEER;
use super::*;
use crate::backend::HostHeader;

fn resolved(flags: &[&str], env: &[(&str, &str)], file: &str) -> Result<Config, ConfigError> {
    let flags = ["inferometer"].iter().chain(flags);
    let mut cli = Cli::try_parse_from(&super::flags(), flags).expect("flags that exist");
    if !file.is_empty() {
        cli.config = Some("proxy.toml".into());
    }
    let env = env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    resolve(&cli, env, |path| {
        assert_eq!(path, Path::new("proxy.toml"));
        Ok(file.to_owned())
    })
}

fn refusal(flags: &[&str], env: &[(&str, &str)], file: &str) -> String {
    resolved(flags, env, file).expect_err("refused").to_string()
}

#[test]
fn without_settings_everything_is_the_default() {
    let config = resolved(&[], &[], "").expect("defaults");
    assert_eq!(config.listen, "127.0.0.1:11435".parse().expect("address"));
    assert_eq!(config.admin_listen, "127.0.0.1:8001".parse().expect("address"));
    assert_eq!(config.backends.len(), 1);
    assert_eq!(&*config.backends[0].name, "127.0.0.1:11434");
    assert_eq!(config.backend.host_header, HostHeader::Preserve);
    assert_eq!((config.max_models, config.access_log, config.worker_threads), (200, true, None));
    assert_eq!(config.backend.connect_timeout, Duration::from_secs(5));
    assert_eq!(config.drain_timeout, Duration::from_secs(30));
    assert_eq!(config.proxy.client.head, Some(Duration::from_secs(30)));
    assert_eq!(config.proxy.client.keep_alive_idle, None);
    assert_eq!(config.backend.first_byte, None);
    assert_eq!(config.backend.pool_idle, Some(Duration::from_secs(2)));
    assert_eq!(config.max_connections, MaxConnections::Auto);
    assert!(config.warnings.is_empty());
}

#[test]
fn a_line_of_the_table_is_whole_and_in_order() {
    let mut tables = vec![""];
    for key in KEYS {
        assert_eq!(KEYS.iter().filter(|other| other.name == key.name).count(), 1, "{} twice", key.name);
        assert!(!key.help.is_empty() && !key.help.ends_with('.') && !key.help.contains('\n'), "{}: one line", key.name);
        assert!(!key.has_flag() || key.table().is_empty(), "{}: a flag's key stands at the top", key.name);
        if *tables.last().expect("one") != key.table() {
            assert!(!tables.contains(&key.table()), "[{}] stands in two places", key.table());
            tables.push(key.table());
        }
    }
    for (alias, meant) in hint::ALIASES {
        assert!(KEYS.iter().any(|key| key.name == meant), "{alias} is said to mean {meant}");
    }
}

#[test]
fn every_default_is_allowed_and_what_holds_without_a_source() {
    assert_eq!(print::defaults(), resolved(&[], &[], "").expect("defaults"));
    for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
        let typed = resolved(&[], &[], &file_with(key, &format!("\"{}\"", key.default))).expect(key.name);
        assert!(key.field.is_same(&typed, &print::defaults()), "{}", key.name);
    }
}

/// A file with this key alone.
fn file_with(key: &Key<Config>, value: &str) -> String {
    match key.table() {
        "" => format!("{} = {value}", key.leaf()),
        table => format!("[{table}]\n{} = {value}", key.leaf()),
    }
}

#[test]
fn the_help_has_a_line_for_every_flag_with_its_default() {
    let help = cli::command(&super::flags()).render_long_help().to_string();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for key in KEYS {
        let default = if key.default.is_empty() { String::new() } else { format!(" [default: {}]", key.default) };
        let placeholder = match key.field.placeholder() {
            switch @ "on|off" => format!("[<{switch}>]"),
            other => format!("<{other}>"),
        };
        let line = format!("--{} {placeholder} {}{default}", key::flag(key.name), key.help);
        assert_eq!(help.contains(&line), key.has_flag(), "{line} in {help}");
    }
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let file = "max_models = 1\nlog_level = \"warn\"\nconnect_timeout = \"1s\"";
    let env = [("INFEROMETER_MAX_MODELS", "2"), ("INFEROMETER_LOG_LEVEL", "error")];
    let config = resolved(&["--max-models", "3"], &env, file).expect("fine");
    assert_eq!(config.max_models, 3);
    assert_eq!(config.log_level, "error");
    assert_eq!(config.backend.connect_timeout, Duration::from_secs(1));
}

#[test]
fn every_flag_has_its_variable_and_its_key() {
    let values = [
        ("listen", "127.0.0.1:1"),
        ("admin_listen", "127.0.0.1:2"),
        ("admin_web_config_file", "web.yml"),
        ("dashboard_open", "on"),
        ("dashboard_listen", "127.0.0.1:3"),
        ("backend", "gpu=http://gpu:3"),
        ("policy", "least_busy"),
        ("host_header", "upstream"),
        ("max_models", "4"),
        ("connect_timeout", "5m"),
        ("drain_timeout", "0"),
        ("log_level", "debug"),
        ("log_format", "json"),
        ("access_log", "off"),
        ("history", "off"),
        ("data_dir", "/var/lib/proxy"),
        ("instance", "left"),
        ("prometheus_url", "http://prometheus:9090"),
        ("alertmanager_url", "https://alertmanager/prefix"),
    ];
    let with_flags = KEYS.iter().filter(|key| key.has_flag()).map(|key| key.name);
    assert_eq!(values.map(|(key, _)| key).to_vec(), with_flags.collect::<Vec<_>>());
    for (key, value) in values {
        let flag = resolved(&[&format!("--{}", key::flag(key)), value], &[], "").expect(key);
        let variable = resolved(&[], &[(&key::variable(key), value)], "").expect(key);
        let in_file = resolved(&[], &[], &format!("{key} = \"{value}\"")).expect(key);
        assert_eq!(flag, variable, "{key}");
        assert_eq!(flag, in_file, "{key}");
        assert_ne!(flag, resolved(&[], &[], "").expect("defaults"), "{key}");
    }
}

/// Flags, variables, file, and the words of the refusal.
type Refused = (&'static [&'static str], &'static [(&'static str, &'static str)], &'static str, &'static str);

#[test]
fn an_invalid_value_is_reported_with_its_origin_and_what_is_allowed() {
    let table: [Refused; 11] = [
        (
            &["--connect-timeout", "5"],
            &[],
            "",
            "--connect-timeout: `5` is not allowed: expected a duration with a unit (ms, s, m, h, d), such as `500ms`, \
             `5s` or `1m30s`, from 1ms to 365d",
        ),
        (
            &[],
            &[("INFEROMETER_ACCESS_LOG", "maybe")],
            "",
            "INFEROMETER_ACCESS_LOG: `maybe` is not allowed: expected `on` or `off`",
        ),
        (
            &[],
            &[],
            "# comment\n\nmax_models = 0\n",
            "proxy.toml:3: max_models: `0` is not allowed: expected a number from 1 to 10000",
        ),
        (
            &[],
            &[],
            "[limits]\nhead = 30",
            "proxy.toml:2: limits.head: `30` is not allowed: expected a duration with a unit (ms, s, m, h, d), such as \
             `500ms`, `5s` or `1m30s`, up to 365d, or `0` for off",
        ),
        (
            &["--history", "postgres:/u:secret@h/db"],
            &[],
            "",
            "--history: the value is not allowed: expected `off`, `sqlite`, the URL of a PostgreSQL database or `file:` and \
             the path of a file that has one, such as `postgres://user@host/database`",
        ),
        (
            &[],
            &[("INFEROMETER_HISTORY", "postgres://u:se?cret@h/db")],
            "",
            "INFEROMETER_HISTORY: the value is not allowed: write `@`, `?` and `#` as `%40`, `%3F` and `%23` in the user, \
             the password and parameters",
        ),
        (&["--log-format", "xml"], &[], "", "--log-format: `xml` is not allowed: expected `text` or `json`"),
        (
            &[],
            &[],
            "[tls]\nkey_file = \"k\"",
            "proxy.toml:2: tls.key_file: `k` is not allowed: tls.cert_file must be set beside it",
        ),
        (
            &["--backend", "a", "--backend", "b=a", "--backend", "http://a:11434"],
            &[],
            "",
            "--backend: `http://a:11434` is not allowed: two backends have the name `a:11434`: give each a name of its own",
        ),
        (
            &["--backend", "localhost:11435"],
            &[],
            "",
            "--backend: `localhost:11435` is not allowed: this program itself listens on 127.0.0.1:11435; give the \
             inference server's address, or listen elsewhere",
        ),
        (
            &["--admin-listen", "0.0.0.0:11435"],
            &[],
            "",
            "--admin-listen: `0.0.0.0:11435` is not allowed: clients are already served on 127.0.0.1:11435; choose \
             another port",
        ),
    ];
    for (flags, env, file, expected) in table {
        assert_eq!(refusal(flags, env, file), expected);
    }
}

#[test]
fn a_value_in_an_error_cannot_write_control_characters_to_a_terminal() {
    assert!(refusal(&["--listen", "\u{1b}[31m"], &[], "").contains("\\u{1b}"));
}

#[test]
fn a_backend_table_is_refused_with_the_keys_to_use() {
    for file in ["[[backend]]\nurl = \"http://a\"", "[backend]\nurl = \"http://a\""] {
        let said = refusal(&[], &[], file);
        assert!(said.starts_with("proxy.toml:1: backend: `"), "{said}");
        for word in ["`backend = \"http://gpu-box:11434\"`", "[backend_tls]", "backend_node", "[[backends]]"] {
            assert!(said.contains(word), "{word} in {said}");
        }
    }
}

#[test]
fn an_unknown_key_is_refused_with_a_hint() {
    for (file, expected) in [
        ("lisen = \"x\"", "proxy.toml:1: unknown key `lisen`; did you mean `listen`?"),
        ("connect-timeout = \"5s\"", "proxy.toml:1: unknown key `connect-timeout`; did you mean `connect_timeout`?"),
        ("\nbody_idle = 0", "proxy.toml:2: unknown key `body_idle`; did you mean `limits.body_idle`?"),
        ("[limits]\nbody_idel = 0", "proxy.toml:2: unknown key `limits.body_idel`; did you mean `limits.body_idle`?"),
        ("period = \"5s\"", "proxy.toml:1: unknown key `period`; did you mean `host.period`?"),
        ("[buckets]\nttft = [1]", "proxy.toml:2: unknown key `buckets.ttft`; did you mean `buckets.first_token`?"),
        ("[buckets]\nITL = [1]", "proxy.toml:2: unknown key `buckets.ITL`; did you mean `buckets.token`?"),
        ("upstream = \"a\"", "proxy.toml:1: unknown key `upstream`; did you mean `backend`?"),
        ("[[backends]]\nulr = \"a\"", "proxy.toml:2: unknown key `backends.ulr`; did you mean `backends.url`?"),
        ("[fleet]\npolicy = \"x\"", "proxy.toml:2: unknown key `fleet.policy`; did you mean `policy`?"),
        ("zebra = 1", "proxy.toml:1: unknown key `zebra`; `--print-config` shows every key"),
    ] {
        assert_eq!(refusal(&[], &[], file), expected);
    }
}

#[test]
fn a_value_of_the_wrong_type_and_a_broken_file_are_refused_with_their_line() {
    assert!(refusal(&[], &[], "host = 3").starts_with("proxy.toml:1: host: `integer` is not allowed"));
    assert!(refusal(&[], &[], "helper_url = \"8002\"").contains("http://127.0.0.1:8002"));
    assert!(refusal(&[], &[], "\nlisten = [1]").starts_with("proxy.toml:2: listen: "));
    assert!(refusal(&[], &[], "limits = 3").starts_with("proxy.toml:1: limits: `integer` is not allowed"));
    assert!(refusal(&[], &[], "a = 1\nb = = 2").starts_with("proxy.toml:2: not TOML: "));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let cli = Cli { config: Some("gone.toml".into()), ..Cli::default() };
    let error = resolve(&cli, [], |_| Err(io::Error::from(io::ErrorKind::NotFound))).expect_err("refused");
    assert!(error.to_string().starts_with("--config: cannot read `gone.toml`: "), "{error}");
}

#[test]
fn the_file_can_be_named_by_a_variable() {
    let env = [(OsString::from("INFEROMETER_CONFIG"), OsString::from("other.toml"))];
    let config = resolve(&Cli::default(), env, |path| {
        assert_eq!(path, Path::new("other.toml"));
        Ok("max_models = 7".to_owned())
    });
    assert_eq!(config.expect("fine").max_models, 7);
}

#[test]
fn an_empty_or_foreign_variable_changes_nothing_and_ollama_host_is_never_read() {
    let env = [
        ("INFEROMETER_BACKEND", ""),
        ("INFEROMETER_PORT", "tcp://10.0.0.1:11435"),
        ("INFEROMETER_SERVICE_HOST", "10.0.0.1"),
        ("OLLAMA_HOST", "https://elsewhere"),
    ];
    assert_eq!(resolved(&[], &env, "").expect("fine"), resolved(&[], &[], "").expect("defaults"));
}

#[test]
fn a_misspelled_variable_and_an_exposed_listener_give_a_warning() {
    let env = [("INFEROMETER_LISTN", "127.0.0.1:1")];
    let config = resolved(&["--listen", "0.0.0.0:11435", "--admin-listen", "[::]:8001"], &env, "").expect("fine");
    assert_eq!(config.warnings.len(), 3, "{:?}", config.warnings);
    assert!(config.warnings[0].contains("did you mean INFEROMETER_LISTEN?"));
}

#[test]
fn the_warning_of_an_exposed_listener_says_what_is_shown_there() {
    let warnings = |arguments: &[&str], file: &str| {
        let all: Vec<_> = arguments.iter().copied().chain(["--admin-listen", "0.0.0.0:8001"]).collect();
        resolved(&all, &[], file).expect("fine").warnings.join("\n")
    };
    let (keys, open) = ("[access]\nkeys_file = \"keys\"", ["--dashboard-open"]);
    let closed = warnings(&[], "");
    assert!(
        closed.starts_with("metrics are served on 0.0.0.0:8001") && closed.contains("--dashboard-open"),
        "{closed}"
    );
    assert!(warnings(&open, "").starts_with("metrics, page and dashboard are served"));
    let with_keys = warnings(&open, keys);
    assert!(with_keys.starts_with("metrics are served") && !with_keys.contains("--dashboard-open"), "{with_keys}");
    assert_eq!(warnings(&["--admin-web-config-file", "web.yml"], ""), "");
}

#[test]
fn a_set_of_keys_needs_the_issuer_and_the_audience_of_its_tokens() {
    let error = |file: &str| resolved(&[], &[], file).expect_err(file).to_string();
    for (file, missing) in [
        ("jwks_file = \"keys.json\"", "access.issuer must be set beside it"),
        ("jwks_file = \"keys.json\"\nissuer = \"i\"", "access.audience must be set beside it"),
        ("issuer = \"i\"\naudience = \"a\"", "access.jwks_file must be set beside it"),
    ] {
        let error = error(&format!("[access]\n{file}"));
        assert!(error.contains(missing), "{error}");
    }
    let whole = "[access]\njwks_file = \"keys.json\"\nissuer = \"i\"\naudience = \"a\"";
    assert!(resolved(&[], &[], whole).is_ok());
}

#[test]
fn a_switch_without_a_value_is_on() {
    for typed in [&["--dashboard-open"][..], &["--dashboard-open", "on"], &["--dashboard-open=on"]] {
        assert!(resolved(typed, &[], "").expect("fine").access.open, "{typed:?}");
    }
    assert!(!resolved(&["--dashboard-open=off"], &[], "").expect("fine").access.open);
    let followed = resolved(&["--dashboard-open", "--max-models", "7"], &[], "").expect("fine");
    assert!(followed.access.open && followed.max_models == 7);
}

#[test]
fn the_printed_configuration_reads_back_as_itself() {
    let file = "backend = [\"gpu=http://[::1]:80/x\"]\nhost_header = \"ollama.lan:11434\"\nworker_threads = 3\nhttp2 = \"off\"\n\
                drain_timeout = 0\naccess_log = false\nlog_level = \"info,inferometer::backend=debug\"\n[limits]\n\
                head = \"1500ms\"\nkeep_alive_idle = \"2d\"\nbody_idle = 0\nmax_connections = 12\n[host]\nperiod = \"10s\"\nelectricity_price_per_kwh = 0.31\nelectricity_currency = \"EUR\"\n\
                [retention]\nexchanges = \"36h\"\nexchanges_size = \"1536MiB\"\nminutes = \"2d\"\nhours = \"3650d\"\n\
                events = \"9d\"\nevents_count = 77\njobs = \"8d\"\nlogs = \"2h\"\nlogs_size = \"3MiB\"\n\
                [buckets]\ntoken = [0.001, 0.5, 2, 1e3]\nload = []\n\
                [tls]\ncert_file = \"c\"\nkey_file = \"k\"\n\
                [access]\nkeys_file = \"keys\"\njwks_file = \"jwks.json\"\nissuer = \"https://i\"\naudience = \"a b\"\n\
                admins = [\"me\", \"you\"]\nrequests_per_minute = 1000000\nrequests_per_10s = 1\nsession_requests_per_minute = 7\n\
                trusted_proxies = [\"10.0.0.7\", \"fd00::/8\"]\n\
                [backend_tls]\nca_file = \"a\"\ncert_file = \"c\"\nkey_file = \"k\"\nserver_name = \"gpu.lan\"";
    let file = &format!(
        "helper_url = \"unix:/run/helper.sock\"\nbackend_node = \"gpu-box\"\ndata_dir = \"/state\"\ninstance = \"left\"\nhistory_raw_rate = 7\nbackend_zone = \"cellar \\\"2\\\"\"\n{file}"
    );
    for config in [resolved(&[], &[], "").expect("defaults"), resolved(&[], &[], file).expect("fine")] {
        let printed = config.to_toml();
        assert_eq!(resolved(&[], &[], &printed).expect(&printed), config, "{printed}");
        for key in KEYS {
            let help = printed.lines().filter(|line| line.starts_with(&format!("# {} (", key.help))).count();
            assert!(help > 0 && printed.contains(&print::line(key, &config)), "{} in {printed}", key.name);
        }
    }
}

#[test]
fn several_backends_are_repeated_or_have_a_table_each() {
    let config = resolved(&["--backend", "a=http://a", "--backend", "http://b:1"], &[], "").expect("fine");
    let names = |config: &Config| config.members().iter().map(|it| it.backend.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&config), ["a", "b:1"]);
    let file = "host_header = \"upstream\"\nbackend_zone = \"cellar\"\npolicy = \"round_robin\"\n[fleet]\nhome = \"big\"\n\
                [backend_tls]\nca_file = \"ca\"\nserver_name = \"all\"\n\
                [[backends]]\nurl = \"http://gpu\"\n\
                [[backends]]\nname = \"big\"\nurl = \"https://big\"\nweight = 3\ntier = 1\nslots = 4\nallow = [\"*:70b\", \"phi\"]\n\
                deny = \"x\"\ndrain = true\nzone = \"loft\"\nnode = \"b\"\nhost_header = \"preserve\"\n\
                [backends.tls]\nserver_name = \"big.lan\"\n";
    let config = resolved(&[], &[], file).expect("fine");
    let [gpu, big] = config.members().try_into().expect("two");
    assert_eq!(
        (&*gpu.backend.name, gpu.settings.host_header, gpu.zone.as_deref()),
        ("gpu:80", HostHeader::Upstream, Some("cellar"))
    );
    assert_eq!(
        (gpu.tls.server_name.as_deref(), gpu.tls_table, gpu.share),
        (Some("all"), "backend_tls", crate::fleet::Share::default())
    );
    assert_eq!(
        (&*big.backend.name, big.settings.host_header, big.zone.as_deref()),
        ("big", HostHeader::Preserve, Some("loft"))
    );
    assert_eq!((big.tls.server_name.as_deref(), big.tls_table), (Some("big.lan"), "backends.tls"));
    assert_eq!(big.tls.ca_file.as_deref(), Some(Path::new("ca")), "what it has not of its own is everyone's");
    assert_eq!((big.share.weight.get(), big.share.tier, big.share.drains), (3, 1, true));
    assert_eq!((big.share.admits("llama3:70b"), big.share.admits("llama3:8b")), (true, false));
    let printed = config.to_toml();
    assert_eq!(resolved(&[], &[], &printed).expect(&printed), config, "{printed}");
    let typed = resolved(&["--backend", "http://c"], &[], &file.replace("home = \"big\"", "")).expect("fine");
    assert_eq!((names(&typed), typed.warnings.len()), (vec!["c:80".to_owned()], 2), "a flag wins over the file");
}

#[test]
fn what_several_backends_must_not_be_is_refused_with_its_line() {
    for (file, expected) in [
        (
            "[[backends]]\nname = \"a\"",
            "proxy.toml:1: backends.url: `` is not allowed: every one of [[backends]] needs its address",
        ),
        (
            "backend = \"http://a\"\n[[backends]]\nurl = \"b\"",
            "proxy.toml:1: backend: `http://a` is not allowed: the file has [[backends]] too: write either of them",
        ),
        (
            "[backends]\nurl = \"b\"",
            "proxy.toml:1: backends: `table` is not allowed: expected a table for each: `[[backends]]`",
        ),
        (
            "[[backends]]\nurl = \"b\"\nname = \"n\"\n[[backends]]\nurl = \"c\"\nname = \"n\"",
            "proxy.toml:6: backends.name: `n` is not allowed: two backends have the name `n`: give each a name of its own",
        ),
        (
            "[[backends]]\nurl = \"localhost:11435\"",
            "proxy.toml:2: backends.url: `localhost:11435` is not allowed: this program itself listens on 127.0.0.1:11435; give the inference server's address, or listen elsewhere",
        ),
        (
            "[[backends]]\nurl = \"b\"\nweight = 0",
            "proxy.toml:3: backends.weight: `0` is not allowed: expected a number from 1 to 1000",
        ),
        (
            "[[backends]]\nurl = \"b\"\n[backends.tls]\nkey_file = \"k\"",
            "proxy.toml:4: backends.tls.key_file: `k` is not allowed: backends.tls.cert_file must be set beside it",
        ),
        (
            "[fleet]\nhome = \"gpu\"",
            "proxy.toml:2: fleet.home: `gpu` is not allowed: expected the name of a backend: `127.0.0.1:11434`",
        ),
    ] {
        assert_eq!(refusal(&[], &[], file), expected);
    }
    let many = (0..257).map(|at| format!("[[backends]]\nurl = \"http://b{at}\"\n")).collect::<String>();
    assert!(refusal(&[], &[], &many).ends_with("at most 256 backends are allowed"));
}

/// The settings of an element of `[[peers]]`, such as a table of tables fills.
#[derive(Clone, Debug, Default, PartialEq)]
struct Peer {
    zone: Option<String>,
    patience: Duration,
}

#[test]
fn a_table_of_tables_is_one_more_table_of_keys() {
    #[rustfmt::skip]
    static PEERS: &[Key<Peer>] = key::keys! { Peer;
        ["peers.zone",     PLACE,    "",    File, key::Reload::Restart, {zone},     "Where it is"]
        ["peers.patience", PATIENCE, "30s", File, key::Reload::Live(key::Scope::Everything), {patience}, "How long it may take"]
    };
    let read = |text: &str| {
        let file = layers::File { path: Path::new("proxy.toml"), text };
        let parsed = toml::de::DeTable::parse(text).expect("TOML").into_inner();
        let elements = parsed["peers"].get_ref().as_array().expect("a list").clone();
        let peer = |element: &toml::Spanned<toml::de::DeValue<'_>>| {
            let (mut layers, mut peer) = (Layers::defaults(PEERS), Peer::default());
            layers.table(PEERS, ("peers", element.get_ref().as_table().expect("a table")), &file)?;
            layers.fill(PEERS, &mut peer)?;
            Ok::<_, ConfigError>(peer)
        };
        elements.iter().map(peer).collect::<Result<Vec<_>, _>>()
    };
    let text = "[[peers]]\nzone = \"cellar\"\npatience = \"1s\"\n[[peers]]\n";
    let mut peers = read(text).expect("fine");
    let patience = |secs| Duration::from_secs(secs);
    let zone = Some("cellar".to_owned());
    assert_eq!(peers, [Peer { zone, patience: patience(1) }, Peer { zone: None, patience: patience(30) }]);
    let print = |peer| PEERS.iter().map(|key| print::line(key, peer)).collect::<String>();
    let printed: String = peers.iter().map(|peer| format!("[[peers]]\n{}", print(peer))).collect();
    assert_eq!(read(&printed).expect("fine"), peers, "{printed}");
    let (running, next) = peers.split_at_mut(1);
    let reloaded = reload::adopt(PEERS, &mut running[0], &next[0]);
    assert_eq!((reloaded.changed, reloaded.restart), (vec!["peers.patience"], vec!["peers.zone"]));
    for (wrong, said) in [
        ("[[peers]]\nzon = \"x\"", "proxy.toml:2: unknown key `peers.zon`; did you mean `peers.zone`?"),
        ("[[peers]]\n[[peers]]\npatience = 5", "proxy.toml:3: peers.patience: `5` is not allowed: expected a duration"),
    ] {
        let error = read(wrong).expect_err(wrong).to_string();
        assert!(error.starts_with(said), "{error}");
    }
}

#[test]
fn bounds_of_histograms_ascend_or_are_refused() {
    let with = |list: &str| resolved(&[], &[], &format!("[buckets]\nfirst_token = {list}"));
    let config = with("[0.05, 1, 2.5]").expect("fine");
    assert_eq!(config.buckets.first_token.as_ref().map(Bounds::as_slice), Some(&[0.05, 1.0, 2.5][..]));
    assert_eq!((config.buckets.token, with("[]").expect("built in").buckets.first_token), (None, None));
    assert_eq!(with("3").expect("one").buckets.first_token.as_ref().map(Bounds::as_slice), Some(&[3.0][..]));
    let many: Vec<_> = (1..=65).collect();
    for wrong in ["[1, 1]", "[2, 1]", "[0, 1]", "[-1]", "[1, inf]", "[nan]", "[\"x\"]", &format!("{many:?}")] {
        let error = with(wrong).expect_err(wrong).to_string();
        assert!(error.contains("buckets.first_token") && error.contains("ascend"), "{error}");
    }
    assert!(resolved(&[], &[], "[buckets]\nfirst_tokn = [1]").expect_err("a slip").to_string().contains("first_token"));
}

#[test]
fn tls_settings_that_no_backend_uses_give_a_warning() {
    let file = "[backend_tls]\nca_file = \"ca.pem\"";
    assert_eq!(resolved(&["--backend", "https://gpu"], &[], file).expect("fine").warnings, Vec::<String>::new());
    let warnings = resolved(&["--backend", "http://gpu"], &[], file).expect("fine").warnings;
    assert!(matches!(&*warnings, [one] if one.contains("https://")), "{warnings:?}");
}

#[test]
fn the_name_in_a_certificate_is_a_host_without_a_port() {
    for (name, fine) in [("gpu.lan", true), ("10.0.0.1", true), ("gpu:443", false), ("https://gpu", false), ("", true)]
    {
        let file = format!("[backend_tls]\nserver_name = \"{name}\"");
        assert_eq!(resolved(&["--backend", "https://gpu"], &[], &file).is_ok(), fine, "{name}");
    }
}

#[test]
fn a_place_is_a_short_name_or_none() {
    let config = resolved(&[], &[], "backend_node = \"gpu-box\"\nbackend_zone = \"\"").expect("fine");
    assert_eq!((config.backend_node.as_deref(), config.backend_zone), (Some("gpu-box"), None));
    for wrong in ["a\\nb", "größe", &"x".repeat(65)] {
        let said = refusal(&[], &[], &format!("backend_zone = \"{wrong}\""));
        assert!(said.contains("backend_zone") && said.contains("64"), "{said}");
    }
}

#[test]
fn a_misspelled_log_level_is_refused() {
    for level in ["inof", "info,hyper=loud", "info,backend", ""] {
        assert!(resolved(&["--log-level", level], &[], "").is_err(), "{level}");
    }
}

#[test]
fn the_stated_range_is_the_accepted_one() {
    for (name, last, beyond) in [
        ("max_models", "10000", "10001"),
        ("worker_threads", "1024", "1025"),
        ("connect_timeout", "1ms", "0"),
        ("drain_timeout", "365d", "366d"),
        ("limits.head", "365d", "366d"),
        ("host.period", "1s", "999ms"),
        ("host.electricity_price_per_kwh", "1000000", "1000001"),
    ] {
        let key = KEYS.iter().find(|key| key.name == name).expect(name);
        assert!(key.field.allowed().contains(last), "{name}: {}", key.field.allowed());
        assert!(resolved(&[], &[], &file_with(key, &format!("\"{last}\""))).is_ok(), "{name}: {last}");
        assert!(resolved(&[], &[], &file_with(key, &format!("\"{beyond}\""))).is_err(), "{name}: {beyond}");
    }
}

fn document(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

/// The table of keys for people.
fn reference() -> String {
    let mut table =
        "| key | what it is for | what it may be | default | on a reload | flag and variable |\n".to_owned();
    table.push_str("|---|---|---|---|---|---|\n");
    let defaults = print::defaults();
    KEYS.iter().for_each(|key| table.push_str(&row(key, &defaults)));
    let defaults = print::default_element();
    ELEMENT.iter().for_each(|key| table.push_str(&row(key, &defaults)));
    let defaults = super::print::default_peer();
    PEER.iter().for_each(|key| table.push_str(&row(key, &defaults)));
    table
}

fn row<S>(key: &Key<S>, defaults: &S) -> String {
    let flag = match key.has_flag() {
        true => format!("`--{}`, `{}`", key::flag(key.name), key::variable(key.name)),
        false => String::new(),
    };
    let (allowed, default, reload) = (key.field.allowed(), key.field.print(defaults), key.reload.describe());
    format!("| `{}` | {} | {allowed} | `{default}` | {reload} | {flag} |\n", key.name, key.help)
}

/// Which keys a reload changes, and for what: a line for each effect, in which a table stands for its keys where all of
/// them share it.
fn reload_lists() -> String {
    fn lines<S>(keys: &[Key<S>]) -> Vec<(&'static str, &'static str, String)> {
        keys.iter().map(|key| (key.name, key.table(), key.reload.describe())).collect()
    }
    let keys = [lines(KEYS), lines(ELEMENT), lines(PEER)].concat();
    let mut effects: Vec<String> = Vec::new();
    for (_, _, effect) in &keys {
        if !effects.contains(effect) {
            effects.push(effect.clone());
        }
    }
    effects.sort_by_key(|effect| !effect.starts_with("live"));
    let mut lists = String::new();
    for effect in effects {
        let mut names: Vec<String> = Vec::new();
        for (key, table, _) in keys.iter().filter(|(_, _, its)| *its == effect) {
            let mut same = keys.iter().filter(|(_, other, _)| !table.is_empty() && other == table);
            let name = match same.clone().count() > 1 && same.all(|(_, _, its)| *its == effect) {
                true if [element::TABLE, super::peer::TABLE].contains(table) => format!("`[[{table}]]`"),
                true => format!("`[{table}]`"),
                false => format!("`{key}`"),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        lists.push_str(&format!("* *{effect}*: {}\n", names.join(", ")));
    }
    lists
}

#[test]
fn docs_configuration_lists_every_key_and_for_what_a_reload_changes_it() {
    generated("docs/configuration.md", "keys", &reference());
    generated("docs/configuration.md", "reload", &reload_lists());
}

/// Compares what a page has between two marks, or writes it again.
fn generated(path: &str, mark: &str, right: &str) {
    let (begin, end) = (format!("<!-- {mark}:begin -->\n"), format!("<!-- {mark}:end -->"));
    let page = document(path);
    let (before, rest) = page.split_once(&begin).expect("where it begins");
    let (written, after) = rest.split_once(&end).expect("where it ends");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let page = format!("{before}{begin}{right}{end}{after}");
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), page).expect("it can be written");
    } else {
        for (written, right) in written.lines().zip(right.lines()) {
            assert_eq!(written, right, "{path}: UPDATE_GOLDEN=1 and this test alone write it again");
        }
        assert_eq!(written.lines().count(), right.lines().count(), "{path}: UPDATE_GOLDEN=1 writes it again");
    }
}

#[test]
fn docs_configuration_has_every_flag_with_its_default_and_a_file_of_defaults() {
    let page = document("docs/configuration.md");
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = page.lines().filter_map(|row| row.strip_prefix("| `--")?.split_once('|')).map(|(flags, rest)| {
        let flags = quoted(&format!("`--{flags}"));
        let names = flags.iter().map(|flag| flag[2..].split(' ').next().expect("a first word").replace('-', "_"));
        (names.collect::<Vec<_>>(), quoted(rest.split('|').next().expect("a cell")))
    });
    let rows: Vec<_> = rows.collect();
    for key in KEYS.iter().filter(|key| key.has_flag()) {
        let (names, defaults) =
            rows.iter().find(|(names, _)| names.iter().any(|name| name == key.name)).expect(key.name);
        let at = names.iter().position(|name| name == key.name).expect("it is there");
        assert_eq!(defaults.get(at).map_or("", String::as_str), key.default, "{} in the table of flags", key.name);
    }
    let files = |page: &str| {
        let begun = page.split("```toml\n").skip(1);
        begun.filter_map(|rest| rest.split("```").next().map(str::to_owned)).collect::<Vec<_>>()
    };
    let file = files(&page).concat();
    assert_eq!(resolved(&[], &[], &file).expect("a configuration"), print::defaults());
    // TLS is explained where certificates are.
    let shown = file + &files(&document("docs/security.md")).concat();
    for key in KEYS.iter().filter(|key| !key.has_flag()) {
        assert!(shown.contains(key.leaf()), "{} is in no file of docs/configuration.md or docs/security.md", key.name);
    }
}
