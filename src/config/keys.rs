//! Every setting, a line each: what help, file, variables, `--print-config`, reload and `docs/configuration.md` say of it
//! comes from here. To add one: a line here, a field in the settings, and its use.

use std::path::{Path, PathBuf};

use super::key::Reload::{Live, LiveWhere, Restart};
use super::key::{Key, Reload, Scope, keys};
use super::settings::Config;
use crate::tls::Identity;

/// Whether clients speak TLS is decided when the listener starts; the files are read again at each reload.
const FILES: Reload<Config> = LiveWhere {
    scope: Scope::Connections,
    holds: |running, next| running.tls.is_some() == next.tls.is_some(),
    restart_to: "switch TLS on or off",
};

/// A backend reads its files again at each reload.
const BACKEND_FILES: Reload<Config> = Live(Scope::BackendConnections);

const AT_ONCE: Reload<Config> = Live(Scope::Everything);
/// The settings of the backend are read for each exchange.
const REQUESTS: Reload<Config> = Live(Scope::Requests);
/// A connection of a client keeps the settings with which it was accepted.
const CLIENTS: Reload<Config> = Live(Scope::Connections);

/// In the order in which they are printed: a key without a table stands before every table.
#[rustfmt::skip]
pub(super) static KEYS: &[Key<Config>] = keys! { Config;
    // key                             what it may be default                  set by    reload   field                                         help
    // Beside Ollama's own port, on this machine only.
    ["listen",                         LISTEN,       "127.0.0.1:11435",        Anywhere, Restart, {listen},                                     "Address to serve clients on"]
    // On this machine only: the page shows which models are used.
    ["admin_listen",                   LISTEN,       "127.0.0.1:8001",         Anywhere, Restart, {admin_listen},                               "Address to serve metrics, health and the status page on"]
    ["admin_web_config_file",          FILE,         "",                       Anywhere, AT_ONCE, {admin_web_config_file},                      "TLS certificate and passwords for that address, in the file format of Prometheus exporters' --web.config.file"]
    // Costs and names of tenants are worse to leak than counters.
    ["dashboard_open",                 SWITCH,       "off",                    Anywhere, AT_ONCE, {access.open},                                "Whether that address shows more than metrics and health to whoever reaches it, where it is bound beyond this machine and no credentials are set"]
    // For dashboards that are made for another port.
    ["dashboard_listen",               SECOND_LISTEN, "",                      Anywhere, Restart, {dashboard_listen},                           "Another address to serve the same on, such as 127.0.0.1:3001 for dashboards that expect it there"]
    // Where Ollama listens unless `OLLAMA_HOST` says otherwise.
    ["backend",                        BACKENDS,     "http://127.0.0.1:11434", Anywhere, REQUESTS,{backends},                                   "Inference server to forward to: host, host:port, http://host:port/prefix or https://host, with a name for metrics if wanted; may be repeated"]
    // Loading a model takes longer than anything else that a choice can save.
    ["policy",                         POLICY,       "model_loaded",           Anywhere, REQUESTS,{fleet.policy},                                 "How to choose among several backends that have the model: in turn, the less busy one, or one that has it in memory"]
    ["backend_node",                   PLACE,        "",                       File,     AT_ONCE, {backend_node},                               "The backend's machine, as backend_info{node} shows it; unset is this machine's name for a backend here, else the host of its address"]
    ["backend_zone",                   PLACE,        "",                       File,     AT_ONCE, {backend_zone},                               "Where that machine is: a rack, a room, a region"]
    ["host_header",                    HOST_HEADER,  "preserve",               Anywhere, REQUESTS,{backend.host_header},                          "Host field sent to the backend: preserve (the client's), upstream (the backend's address) or a literal"]
    // More models than a machine holds; each costs its metrics' series.
    ["max_models",                     MODELS,       "200",                    Anywhere, Restart, {max_models},                                 "Model names that become metric labels; later ones are counted as `other`"]
    // Long for a network, short for a person.
    ["connect_timeout",                TIMEOUT,      "5s",                     Anywhere, REQUESTS,{backend.connect_timeout},                      "How long the backend may take to accept a connection"]
    // What service managers and Kubernetes wait before they kill.
    ["drain_timeout",                  PATIENCE,     "30s",                    Anywhere, AT_ONCE, {drain_timeout},                              "How long exchanges may go on after a request to stop"]
    // Finished exchanges and changes of state.
    ["log_level",                      LOG_LEVEL,    "info",                   Anywhere, AT_ONCE, {log_level},                                  "Least severe events to log: off, error, warn, info, debug, trace, or directives such as info,inferometer::backend=debug"]
    ["log_format",                     LOG_FORMAT,   "text",                   Anywhere, Restart, {log_format},                                 "How to write the log"]
    ["access_log",                     SWITCH,       "on",                     Anywhere, AT_ONCE, {access_log},                                 "Whether to log a line for each finished exchange"]
    // It costs the data path nothing, and what happened cannot be asked for later.
    ["history",                        HISTORY,      "sqlite",                 Anywhere, Restart, {history.engine},                             "Where finished exchanges are kept: files on this machine, such files and PostgreSQL, or nowhere; never prompts, answers or addresses"]
    ["data_dir",                       DIRECTORY,    "",                       Anywhere, Restart, {history.directory},                          "Directory of what is kept; unset is $STATE_DIRECTORY, else inferometer in the user's directory of states"]
    ["instance",                       PLACE,        "",                       Anywhere, Restart, {history.instance},                           "Under which name the history of this proxy is in PostgreSQL, however often its directory is a new one; unset is this machine's name and a number that is made once in the directory"]
    // Enough to look at each exchange of a busy machine; sums count them all.
    ["history_raw_rate",               RATE,         "500",                    File,     Restart, {history.raw_rate},                           "Ordinary exchanges a second above which only some are kept, with a weight; failures, the slowest and the dearest always are"]
    // Clients that speak it need fewer connections; it is offered beside HTTP/1.1.
    ["http2",                          SWITCH,       "on",                     File,     CLIENTS, {proxy.http2},                                "Whether clients may speak HTTP/2, over TLS or by prior knowledge"]
    ["prometheus_url",                 WEB_ADDRESS,  "",                       Anywhere, Restart, {prometheus.address},                         "Prometheus or VictoriaMetrics: its alerts are then shown in the place of this program's own"]
    ["alertmanager_url",               WEB_ADDRESS,  "",                       Anywhere, Restart, {alertmanager.address},                       "Alertmanager of that Prometheus: its silences are shown beside the alerts"]
    ["worker_threads",                 THREADS,      "0",                      File,     Restart, {worker_threads},                             "Threads that serve clients"]
    ["helper_url",                     HELPER,       "",                       File,     Restart, {helper_url},                                 "The privileged helper, if you run one: http://127.0.0.1:8002, unix:/path, macmon's http://…/json, or an older helper's http://…/metrics/json"]

    // Slow heads hold a connection for nothing.
    ["limits.head",                    LIMIT,        "30s",                    File,     CLIENTS, {proxy.client.head},                          "A request's head, from its first byte; the first on a connection from accept, TLS included"]
    // Ollama closes none, so neither do we.
    ["limits.keep_alive_idle",         LIMIT,        "0",                      File,     CLIENTS, {proxy.client.keep_alive_idle},               "An idle connection of a client"]
    ["limits.body_idle",               LIMIT,        "5m",                     File,     CLIENTS, {proxy.client.body_idle},                     "Silence within a request's body"]
    ["limits.write_stall",             LIMIT,        "5m",                     File,     CLIENTS, {proxy.client.write_stall},                   "A client that does not read its response"]
    // Loading a large model takes minutes, and the client has its own patience.
    ["limits.first_byte",              LIMIT,        "0",                      File,     REQUESTS,{backend.first_byte},                           "The first byte of the backend's response, once it has the request: a cold model takes minutes"]
    // Below the 5 s after which vLLM and llama.cpp close theirs.
    ["limits.pool_idle",               LIMIT,        "2s",                     File,     REQUESTS,{backend.pool_idle},                            "An idle connection to the backend; off keeps it until the backend closes it"]
    ["limits.stall",                   LIMIT,        "5s",                     File,     CLIENTS, {proxy.observe.stall},                        "A gap between tokens that is counted as a stall; nothing is ended"]
    ["limits.max_connections",         CONNECTIONS,  "auto",                   File,     Restart, {max_connections},                            "Client connections at once; auto is a third of the descriptors, less some for the second listener and the like"]

    ["fleet.home",                     NAME,         "",                       File,     REQUESTS,{fleet.home},                                   "Which of several backends gets requests for no particular model, and for models that none lists; unset is the first"]
    ["fleet.merge",                    SWITCH,       "on",                     File,     REQUESTS,{fleet.merge},                                  "Whether lists of models are those of all backends together; off sends them to the home"]
    ["fleet.pull",                     REACH,        "home",                   File,     REQUESTS,{fleet.pull},                                   "Where models are pulled: on the home, or on every backend like Ollama, one after another"]
    ["fleet.delete",                   REACH,        "home",                   File,     REQUESTS,{fleet.delete},                                 "Where models are deleted: on the home, or on every backend like Ollama"]
    ["fleet.zone",                     PLACE,        "",                       File,     REQUESTS,{fleet.zone},                                   "Where this program runs: backends of other zones are chosen less, as zone_penalty says"]
    ["fleet.zone_penalty",             PATIENCE,     "50ms",                   File,     REQUESTS,{fleet.zone_penalty},                           "The time that an exchange on a backend of another zone counts as longer"]
    ["fleet.file_sd",                  PATHS,        "",                       File,     REQUESTS,{discovery.files},                              "Files that list further backends in the format of Prometheus' file_sd, as JSON or YAML; they are read every 5 s"]
    ["fleet.dns",                      DISCOVERED,   "",                       File,     REQUESTS,{discovery.names},                              "Further backends by a name of which each address is one; it is resolved every 5 s"]
    ["fleet.srv",                      SERVICES,     "",                       File,     REQUESTS,{discovery.services},                           "Further backends by service records (DNS SRV): each address of a target is one, its priority their tier; they are asked for every 5 s"]
    ["fleet.resolver",                 RESOLVER,     "",                       File,     REQUESTS,{discovery.resolver},                           "The name server that is asked for service records; unset is those of the system"]
    // A few large images, and eight such requests.
    ["fleet.hold_request_max",         SIZE,         "32MiB",                  File,     CLIENTS, {proxy.hold.request},                           "How much of a request is held until it names its model; one that is longer goes to the home"]
    ["fleet.hold_total_max",           SIZE,         "256MiB",                 File,     CLIENTS, {proxy.hold.total},                             "How much of all requests together; beyond that they are not read on, and refused after 5 s"]

    ["access.keys_file",               FILE,         "",                       File,     AT_ONCE, {access.keys_file},                           "API keys for the second listener, a line each: name:sha256:scopes:expiry; `inferometer key` makes one"]
    ["access.jwks_file",               FILE,         "",                       File,     AT_ONCE, {access.jwks_file},                           "JSON Web Key Set that verifies tokens (JWT) for it, signed with HS256, RS256, ES256 or EdDSA"]
    ["access.issuer",                  TEXT,         "",                       File,     AT_ONCE, {access.issuer},                              "The claim iss of these tokens"]
    ["access.audience",                TEXT,         "",                       File,     AT_ONCE, {access.audience},                            "The claim aud of these tokens"]
    // Whoever may look may not change.
    ["access.admins",                  NAMES,        "",                       File,     AT_ONCE, {access.admins},                              "Users of admin_web_config_file that may change something, not only look"]
    // A web site can point a name of its own at this machine, but not one of yours.
    ["access.names",                   NAMES,        "",                       File,     AT_ONCE, {access.names},                               "Host names by which it is asked beyond this machine with dashboard_open, beside addresses and localhost"]
    ["access.requests_per_minute",     QUOTA,        "100",                    File,     AT_ONCE, {access.limits.per_minute},                   "Requests to its API in a minute by each key, token or user, or by each address without one"]
    ["access.requests_per_10s",        QUOTA,        "20",                     File,     AT_ONCE, {access.limits.per_ten_seconds},              "Of those, in ten seconds"]
    // A page asks for several things at once.
    ["access.session_requests_per_minute", QUOTA,    "600",                    File,     AT_ONCE, {access.limits.session_per_minute},           "Such requests with the cookie of a session, by each user"]
    ["access.trusted_proxies",         NETWORKS,     "",                       File,     AT_ONCE, {access.trusted_proxies},                     "Proxies whose X-Forwarded-For is believed, as addresses or networks"]

    // As often as metrics are scraped.
    ["host.period",                    PERIOD,       "5s",                     File,     Restart, {host_period},                                "How often the machine is read"]
    ["host.electricity_price_per_kwh", PRICE,        "0",                      File,     Restart, {electricity_price},                          "What a kilowatt-hour costs, in whatever currency"]
    ["host.electricity_currency",      PLACE,        "",                       File,     Restart, {electricity_currency},                       "The currency of that price, such as EUR, as boards show it"]

    // Soon enough for a person, and a hundredth of what it costs to be scraped every second.
    ["alerts.period",                  PERIOD,       "10s",                    File,     Restart, {alerts.period},                              "How often the program evaluates its alerting rules, and asks prometheus_url for its alerts"]
    ["alerts.webhook_url",             WEB_ADDRESS,  "",                       File,     Restart, {alerts.webhook},                             "Where alerts are told by POST, in the format of Alertmanager's webhooks"]
    ["alerts.webhook_token_file",      FILE,         "",                       File,     Restart, {alerts.webhook_token_file},                  "Bearer token for that address"]

    ["prometheus.token_file",          FILE,         "",                       File,     Restart, {prometheus.token_file},                      "Bearer token for prometheus_url"]
    ["prometheus.basic_auth_file",     FILE,         "",                       File,     Restart, {prometheus.basic_auth_file},                 "User and password for it, as user:password"]
    ["prometheus.ca_file",             FILE,         "",                       File,     Restart, {prometheus.tls.ca_file},                     "Authorities to trust for an https:// address instead of the system's"]
    ["prometheus.cert_file",           FILE,         "",                       File,     Restart, (|it| cert(&it.prometheus.tls.identity), |it, file| set_cert(&mut it.prometheus.tls.identity, file)), "Certificate to show it"]
    ["prometheus.key_file",            FILE,         "",                       File,     Restart, (|it| key(&it.prometheus.tls.identity), |it, file| set_key(&mut it.prometheus.tls.identity, file)),    "Its private key"]
    ["prometheus.server_name",         SERVER_NAME,  "",                       File,     Restart, {prometheus.tls.server_name},                 "The name that its certificate is for"]

    ["alertmanager.token_file",        FILE,         "",                       File,     Restart, {alertmanager.token_file},                    "Bearer token for alertmanager_url"]
    ["alertmanager.basic_auth_file",   FILE,         "",                       File,     Restart, {alertmanager.basic_auth_file},               "User and password for it, as user:password"]
    ["alertmanager.ca_file",           FILE,         "",                       File,     Restart, {alertmanager.tls.ca_file},                   "Authorities to trust for an https:// address instead of the system's"]
    ["alertmanager.cert_file",         FILE,         "",                       File,     Restart, (|it| cert(&it.alertmanager.tls.identity), |it, file| set_cert(&mut it.alertmanager.tls.identity, file)), "Certificate to show it"]
    ["alertmanager.key_file",          FILE,         "",                       File,     Restart, (|it| key(&it.alertmanager.tls.identity), |it, file| set_key(&mut it.alertmanager.tls.identity, file)),    "Its private key"]
    ["alertmanager.server_name",       SERVER_NAME,  "",                       File,     Restart, {alertmanager.tls.server_name},               "The name that its certificate is for"]

    // A month to look back at, and a bound for machines whose disk is small.
    ["retention.exchanges",            AGE,          "30d",                    File,     Restart, {history.retention.raw},                      "How long single exchanges are kept"]
    ["retention.exchanges_size",       SIZE,         "2GiB",                   File,     Restart, {history.retention.raw_bytes},                "How large their files may become together; whole days go first, but the current one stays"]
    ["retention.minutes",              AGE,          "9d",                     File,     Restart, {history.retention.minutes},                  "How long sums by the minute are kept"]
    // A year and its seasons.
    ["retention.hours",                AGE,          "400d",                   File,     Restart, {history.retention.hours},                    "How long sums by the hour are kept"]
    ["retention.events",               AGE,          "400d",                   File,     Restart, {history.retention.events},                   "How long events and audit entries are kept"]
    // Far more than happens in that time, unless something goes up and down without end.
    ["retention.events_count",         RATE,         "200000",                 File,     Restart, {history.retention.events_most},              "How many events, and how many audit entries, are kept; the oldest go first"]
    ["retention.jobs",                 AGE,          "400d",                   File,     Restart, {history.retention.jobs},                     "How long pulls, pushes and creates that are over are kept"]
    // To look at what was just now; a log for longer is the journal of the system.
    ["retention.logs",                 AGE,          "6h",                     File,     Restart, {history.retention.logs},                     "How long lines of the log are kept"]
    ["retention.logs_size",            SIZE,         "16MiB",                  File,     Restart, {history.retention.logs_bytes},               "How large they may become together; the oldest go first"]

    ["buckets.duration",               BUCKETS,      "",                       File,     Restart, {buckets.duration},                           "Histograms of whole exchanges and of decode: upper bounds in seconds"]
    ["buckets.first_token",            BUCKETS,      "",                       File,     Restart, {buckets.first_token},                        "Time to first byte and token, and prefill, in seconds"]
    ["buckets.token",                  BUCKETS,      "",                       File,     Restart, {buckets.token},                              "Time between tokens and per token, in seconds"]
    ["buckets.load",                   BUCKETS,      "",                       File,     Restart, {buckets.load},                               "Cold loads, in seconds"]
    ["buckets.rate",                   BUCKETS,      "",                       File,     Restart, {buckets.rate},                               "Tokens per second"]
    ["buckets.overhead",               BUCKETS,      "",                       File,     Restart, {buckets.overhead},                           "The proxy's own cost, in seconds"]
    ["buckets.size",                   BUCKETS,      "",                       File,     Restart, {buckets.size},                               "Sizes of bodies, in bytes"]
    ["buckets.context",                BUCKETS,      "",                       File,     Restart, {buckets.context},                            "Lengths of contexts, in tokens"]

    ["tls.cert_file",                  FILE,         "",                       File,     FILES,   (|it| cert(&it.tls), |it, file| set_cert(&mut it.tls, file)), "What clients see where they speak TLS: the chain, the certificate itself first"]
    ["tls.key_file",                   FILE,         "",                       File,     FILES,   (|it| key(&it.tls), |it, file| set_key(&mut it.tls, file)),   "Its private key"]

    ["backend_tls.ca_file",            FILE,         "",                       File,     BACKEND_FILES, {backend_tls.ca_file},                  "Authorities to trust for an https:// backend instead of the system's"]
    ["backend_tls.cert_file",          FILE,         "",                       File,     BACKEND_FILES, (|it| cert(&it.backend_tls.identity), |it, file| set_cert(&mut it.backend_tls.identity, file)), "Certificate to show, where the backend wants one"]
    ["backend_tls.key_file",           FILE,         "",                       File,     BACKEND_FILES, (|it| key(&it.backend_tls.identity), |it, file| set_key(&mut it.backend_tls.identity, file)),    "Its private key"]
    ["backend_tls.server_name",        SERVER_NAME,  "",                       File,     BACKEND_FILES, {backend_tls.server_name},              "The name that the backend's certificate is for"]
};

// A certificate and its key are two keys of the file and one value: that both are there is checked once both are read.

pub(super) fn cert(identity: &Option<Identity>) -> Option<PathBuf> {
    named(&identity.as_ref()?.cert_file)
}

pub(super) fn key(identity: &Option<Identity>) -> Option<PathBuf> {
    named(&identity.as_ref()?.key_file)
}

fn named(file: &Path) -> Option<PathBuf> {
    (!file.as_os_str().is_empty()).then(|| file.to_owned())
}

pub(super) fn set_cert(identity: &mut Option<Identity>, file: Option<PathBuf>) {
    let key_file = key(identity).unwrap_or_default();
    set(identity, file.unwrap_or_default(), key_file);
}

pub(super) fn set_key(identity: &mut Option<Identity>, file: Option<PathBuf>) {
    let cert_file = cert(identity).unwrap_or_default();
    set(identity, cert_file, file.unwrap_or_default());
}

fn set(identity: &mut Option<Identity>, cert_file: PathBuf, key_file: PathBuf) {
    let is_none = cert_file.as_os_str().is_empty() && key_file.as_os_str().is_empty();
    *identity = (!is_none).then_some(Identity { cert_file, key_file });
}
