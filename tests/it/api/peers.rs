//! Programs that tell each other of their machines.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;

use crate::support::authority::folder;
use crate::support::backend::Backend;
use crate::support::client::ask;
use crate::support::look_for;
use crate::support::ollama::Ollama;
use crate::support::program::{Program, command};
use crate::support::servers::{free, written};

/// The key, and its line in a file of keys.
fn key() -> (String, String) {
    let made = command().args(["key", "peer", "--scope", "dashboard:read"]).output().expect("it runs");
    let text = String::from_utf8(made.stdout).expect("text");
    let line = text.lines().find(|line| line.starts_with("peer:")).expect("a line").to_owned();
    let key = text.split_whitespace().find(|word| word.starts_with("inferometer_")).map(str::to_owned);
    (key.unwrap_or_else(|| panic!("{text}")), line)
}

fn private(name: &str, text: &str) -> String {
    let file = written(&folder(), name, text);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    file.display().to_string()
}

/// A peer with the key of a file, as a table of the configuration.
fn peer(name: &str, address: SocketAddr, token: &str) -> String {
    format!("[[peers]]\nname = \"{name}\"\nurl = \"http://{address}\"\ntoken_file = \"{token}\"\n")
}

/// A program whose machine is this one, before a server on another.
fn program(admin: SocketAddr, backend: SocketAddr, more: &str) -> Program {
    let limits = "requests_per_minute = 1000000\nrequests_per_10s = 1000000\n";
    let access = if more.contains("[access]") { String::new() } else { format!("[access]\n{limits}") };
    let more = more.replace("[access]\n", &format!("[access]\n{limits}"));
    let file = written(&folder(), "peer.toml", &format!("{access}{more}"));
    let mut command = command();
    command.args(["--admin-listen", &admin.to_string()]);
    Program::start(command, backend, &["--config", &file.display().to_string()])
}

fn nodes(program: &Program, key: Option<&str>, query: &str) -> Value {
    let key = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
    let target = format!("/dashboard/infrastructure/nodes?limit=100{query}");
    let answer =
        ask(program.admin, format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{key}Connection: close\r\n\r\n"));
    let body = answer.split_once("\r\n\r\n").expect("a head").1;
    serde_json::from_str(body).unwrap_or_else(|_| panic!("{answer}"))
}

fn of<'a>(nodes: &'a Value, name: &str) -> Option<&'a Value> {
    nodes["nodes"].as_array().expect("a list").iter().find(|node| node["name"] == name)
}

fn until(program: &Program, key: Option<&str>, fits: impl Fn(&Value) -> bool) -> Value {
    // A peer that was not up yet is asked again after ten seconds.
    look_for(Duration::from_secs(60), || match nodes(program, key, "") {
        nodes if fits(&nodes) => Ok(nodes),
        nodes => Err(nodes.to_string()),
    })
}

#[test]
fn two_programs_that_name_each_other_tell_each_other_of_the_machines_that_they_see() {
    let (secret, line) = key();
    let (keys, right, wrong) =
        (private("keys", &format!("{line}\n")), private("right", &secret), private("wrong", "inferometer_nothing"));
    let (one, other, third) = (free(), free(), free());
    // Servers that are nowhere: their hosts are machines of their own.
    let backends = ["127.0.0.1:9".parse().expect("an address"), Ollama::listing(&["m"]).address];
    let elsewhere = |name: &str| {
        format!(
            "[fleet]\nfile_sd = [\"{}\"]\n",
            written(&folder(), "sd.json", &format!("[{{\"targets\":[\"{name}:9\"]}}]")).display()
        )
    };
    let access = format!("[access]\nkeys_file = \"{keys}\"\n");
    let left = program(
        one,
        backends[1],
        &format!("{access}{}{}", elsewhere("left-gpu.invalid"), peer("right", other, &right)),
    );
    let right_one = program(
        other,
        backends[1],
        &format!("{access}{}{}", elsewhere("right-gpu.invalid"), peer("left", one, &right)),
    );
    let refused = program(third, backends[1], &peer("right", other, &wrong));
    let key = Some(secret.as_str());
    for (program, far) in [(&left, "right-gpu.invalid"), (&right_one, "left-gpu.invalid")] {
        let seen = until(program, key, |nodes| of(nodes, far).is_some());
        assert_eq!(of(&seen, far).expect("seen")["role"], serde_json::json!(["worker"]), "{seen}");
        assert_eq!(seen["summary"]["total"], 3, "this machine, and a server of each: {seen}");
        let own = nodes(program, key, "&peers=false");
        assert_eq!(
            (&own["summary"]["total"], of(&own, far).is_none()),
            (&2.into(), true),
            "what it was told stays: {own}"
        );
    }
    // One whose key is refused has nothing to tell, and says so once.
    let logged = refused.logged(|line| line["peer"] == "right");
    assert!(logged["why"].as_str().is_some_and(|why| why.contains("401")), "{logged}");
    let seen = until(&refused, None, |nodes| of(nodes, "right").is_some());
    assert_eq!(
        (&of(&seen, "right").expect("it is named")["status"], of(&seen, "right-gpu.invalid")),
        (&"offline".into(), None)
    );
}

#[test]
fn a_peer_tells_of_its_hardware_and_is_offline_with_what_it_said_once_it_is_gone() {
    let said = r#"{"nodes":[{"_id":"gpu-box","name":"gpu-box","role":["proxy","worker","king"],"status":"online",
        "lastHeartbeat":"2026-11-30T10:00:00.000Z","uptime":77,"resources":{"vms":null,"containers":2,"deployments":1},
        "hardware":{"cpuModel":"X","cpuCores":8,"cpuUsage":12.5,"ramTotal":64.0,"ramUsage":null,"diskTotal":null,
        "diskUsage":null,"gpus":[{"deviceId":"GPU-0","model":"A","memoryTotal":80.0,"memoryFree":null,
        "utilization":50.0,"temperature":null}]}},
        {"name":"shared.invalid","role":["worker"],"status":"online","uptime":5,"resources":{"containers":3},
        "hardware":{"cpuCores":16}}],"more":1}"#;
    let whole = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{said}", said.len());
    let count = std::sync::atomic::AtomicUsize::new(0);
    // It answers once, and then no more.
    let telling = Backend::start(move |connection| {
        while let Some(request) = connection.request() {
            let text = String::from_utf8_lossy(&request).into_owned();
            assert!(text.contains("peers=false") && text.contains("authorization: Bearer k\r\n"), "{text}");
            if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) > 0 {
                return;
            }
            connection.write(whole.as_bytes());
        }
    });
    // Another one never answers, and a third is no such program.
    let hanging = Backend::start(|connection| while connection.request().is_some() {});
    let lying = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]");
    let token = private("token", "k\n");
    let all: String = [("gpu", telling.address), ("slow", hanging.address), ("liar", lying.address)]
        .map(|(name, address)| peer(name, address, &token))
        .concat();
    let ollama = Ollama::listing(&["m"]);
    // One of its machines is the host of a server here too.
    let members = written(&folder(), "sd.json", "[{\"targets\":[\"shared.invalid:9\"]}]");
    let all = format!("[fleet]\nfile_sd = [\"{}\"]\n{all}", members.display());
    let program = program(free(), ollama.address, &all);
    let seen = until(&program, None, |nodes| of(nodes, "gpu-box").is_some_and(|node| node["status"] == "online"));
    let node = of(&seen, "gpu-box").expect("seen");
    assert_eq!(node["role"], serde_json::json!(["proxy", "worker"]), "roles that nobody knows are left out");
    let hardware = &node["hardware"];
    assert_eq!((&hardware["cpuCores"], &hardware["ramUsage"], &node["uptime"]), (&8.into(), &Value::Null, &77.into()));
    assert_eq!(hardware["gpus"][0]["utilization"], 50.0);
    let shared = of(&seen, "shared.invalid").expect("a server is there");
    assert_eq!((&shared["hardware"]["cpuCores"], &shared["uptime"]), (&16.into(), &5.into()), "{shared}");
    assert_eq!(shared["status"], "offline", "what is seen here comes first: {shared}");
    for silent in ["slow", "liar"] {
        assert_eq!(of(&seen, silent).expect("it is named")["status"], "offline", "{seen}");
    }
    let gone = until(&program, None, |nodes| of(nodes, "gpu-box").is_some_and(|node| node["status"] == "offline"));
    assert_eq!(of(&gone, "gpu-box").expect("seen")["hardware"]["cpuCores"], 8, "what it said last: {gone}");
    assert_eq!(gone["summary"]["offline"], 4, "{gone}");
    let shared = of(&gone, "shared.invalid").expect("a server is there");
    assert_eq!(
        (&shared["hardware"]["cpuCores"], &shared["uptime"]),
        (&Value::Null, &Value::Null),
        "nobody says so any more: {shared}"
    );
}
