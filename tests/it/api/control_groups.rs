//! The limits of a real control group, around a process that looks like an inference server.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{get, program};
use crate::support::authority::folder;
use crate::support::client::ask;
use crate::support::{look_for, look_until};

/// A file, and what is written into it.
type Written = (&'static str, &'static str);

/// What is written, by controller: of version 1 and of version 2.
const LIMITS: [(&str, &[Written], &[Written]); 4] = [
    ("cpu", &[("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "150000")], &[("cpu.max", "150000 100000")]),
    ("cpuacct", &[], &[]),
    ("memory", &[("memory.limit_in_bytes", "268435456")], &[("memory.max", "268435456")]),
    ("pids", &[("pids.max", "32")], &[("pids.max", "32")]),
];

/// A process called `ollama serve` in a control group with limits; both end when dropped.
struct Server {
    name: String,
    child: Child,
    folders: Vec<PathBuf>,
}

impl Server {
    /// `None` where control groups cannot be made: that takes root, and a system that lets it.
    fn start() -> Option<Self> {
        let name = format!("inferometer-test-{}", std::process::id());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
        let mounts: Vec<(&str, &str, &str)> = mounts
            .lines()
            .filter_map(|line| {
                let (before, after) = line.split_once(" - ")?;
                let mut after = after.split(' ');
                Some((after.next()?, before.split(' ').nth(4)?, after.nth(1)?))
            })
            .collect();
        let mut folders: Vec<PathBuf> = Vec::new();
        for (controller, one, two) in LIMITS {
            let old = mounts
                .iter()
                .find(|(kind, _, options)| *kind == "cgroup" && options.split(',').any(|it| it == controller));
            let new = mounts.iter().find(|(kind, point, _)| {
                let enabled = std::fs::read_to_string(format!("{point}/cgroup.subtree_control")).unwrap_or_default();
                *kind == "cgroup2" && enabled.split_whitespace().any(|it| it == controller)
            });
            let (Some((_, point, _)), files) = (old.or(new), if old.is_some() { one } else { two }) else {
                if controller == "cpuacct" {
                    continue;
                } else {
                    break;
                };
            };
            let folder = PathBuf::from(point).join(&name);
            let _ = std::fs::create_dir(&folder);
            let is_written = files.iter().all(|(file, text)| std::fs::write(folder.join(file), text).is_ok());
            folders.push(folder);
            if !is_written {
                break;
            }
        }
        // It does nothing until its input ends.
        let serve = folder();
        std::fs::write(serve.join("serve"), "read -r _\n").expect("a file");
        let mut command = Command::new("sh");
        command.arg0("ollama").arg("serve").current_dir(serve).stdin(Stdio::piped());
        let child = command.spawn().expect("there is a shell");
        let server = Self { name, child, folders };
        let pid = server.child.id().to_string();
        let is_in = |folder: &PathBuf| std::fs::write(folder.join("cgroup.procs"), &pid).is_ok();
        let is_whole = server.folders.len() >= 3 && server.folders.iter().all(is_in);
        is_whole.then_some(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.stdin.take().map(|mut input| input.write_all(b"\n"));
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The kernel may hold a group for a moment longer than its last process.
        let begun = Instant::now();
        for folder in &self.folders {
            while folder.exists() && std::fs::remove_dir(folder).is_err() && begun.elapsed() < Duration::from_secs(5) {
                std::thread::yield_now();
            }
        }
    }
}

#[test]
fn the_limits_and_the_use_of_a_real_control_group_are_shown() {
    let Some(server) = Server::start() else {
        println!("no control group can be made here: left to the made-up trees");
        return;
    };
    let (program, _backend) = program();
    let path = format!("/{}", server.name);
    let group = look_until(|| {
        let resources = get(&program, "/dashboard/resources");
        let groups = resources["control_groups"].as_array().cloned().unwrap_or_default();
        let found = groups.into_iter().find(|group| group["path"] == path && !group["cpu_usage_percent"].is_null());
        found.ok_or_else(|| resources.to_string())
    });
    assert_eq!(group["name"], server.name);
    assert_eq!(group["runtime"], Value::Null, "it was made by hand");
    assert_eq!(group["pids"], serde_json::json!([server.child.id()]));
    assert_eq!((&group["cpu_limit_cores"], &group["tasks_limit"]), (&1.5.into(), &32.0.into()), "{group}");
    assert_eq!((&group["memory_limit_gb"], &group["tasks"]), (&0.25.into(), &1.into()), "{group}");
    assert!(group["memory_used_gb"].as_f64().is_some_and(|used| used < 0.25), "{group}");
    let report = get(&program, "/dashboard/infrastructure/resources");
    let place = report["resources"].as_array().expect("a list").iter().find(|it| it["name"] == server.name);
    let place = place.unwrap_or_else(|| panic!("{report}"));
    assert_eq!(
        (&place["cpuLimit"], &place["ramLimit"], &place["tasksLimit"], &place["type"], &place["path"]),
        (&1.5.into(), &0.25.into(), &32.0.into(), &"process".into(), &path.as_str().into())
    );
    // The same limits where the node shows it.
    let node = get(&program, "/dashboard/infrastructure/nodes/local");
    let beside =
        node["resources"]["containers"].as_array().expect("a list").iter().find(|it| it["_id"] == place["_id"]);
    let beside = beside.unwrap_or_else(|| panic!("{node}"));
    for limit in ["cpuLimit", "ramLimit", "tasksLimit"] {
        assert_eq!(beside[limit], place[limit], "{limit}");
    }
    let csv = ask(
        program.admin,
        "GET /dashboard/infrastructure/resources?format=csv&limit=100 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    );
    let line = csv.lines().find(|line| line.starts_with(&server.name)).unwrap_or_else(|| panic!("{csv}"));
    assert!(line.contains(",0.25,") && line.ends_with(",32"), "{line}");
    // The program reads the machine for its history every ten seconds.
    let id = place["_id"].as_str().expect("an id");
    let one = look_for(Duration::from_secs(60), || {
        let one = get(&program, &format!("/dashboard/infrastructure/resources/{id}"));
        let seen = one["metrics"]["cpuHistory"].as_array().is_some_and(|all| all.iter().any(Value::is_f64));
        if seen { Ok(one) } else { Err(one.to_string()) }
    });
    let metrics = &one["metrics"];
    let of = |name: &str| metrics[name].as_array().unwrap_or_else(|| panic!("{one}")).clone();
    let (cpu, ram) = (of("cpuHistory"), of("ramHistory"));
    assert_eq!((of("timestamps").len(), cpu.len()), (ram.len(), ram.len()), "{one}");
    assert!(ram.iter().all(|used| used.as_f64().is_some_and(|used| used > 0.0 && used < 0.25)), "{one}");
    assert!(cpu.iter().filter_map(Value::as_f64).all(|used| used <= 150.0), "within its limit: {one}");
    assert_eq!((&one["_id"], &one["cpuLimit"]), (&place["_id"], &1.5.into()));
}
