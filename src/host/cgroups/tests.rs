use std::path::PathBuf;
use std::time::Duration;

use super::*;

/// A folder with these files, removed when dropped. `{top}` in a text is the folder.
struct Tree(PathBuf);

impl Tree {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let tree = Self(std::env::temp_dir().join(format!("inferometer-cgroups-{name}-{}", std::process::id())));
        files.iter().for_each(|(file, text)| tree.write(file, text));
        tree
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the temporary folder can be written");
        std::fs::write(path, text.replace("{top}", &self.0.display().to_string())).expect("it can be written");
    }

    fn read(&self, reader: &mut Reader, members: &[&str], now: Instant) -> Option<Vec<ControlGroup>> {
        let members: Vec<_> = members.iter().map(|text| Membership::parse(text)).collect();
        reader.read(&self.0.join("proc"), members.iter(), now)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const OF_VERSION_2: [(&str, &str); 12] = [
    ("proc/self/mountinfo", "1 0 0:9 / {top}/cgroup rw - cgroup2 cgroup2 rw\n"),
    ("cgroup/cgroup.controllers", "cpu memory pids\n"),
    ("cgroup/system.slice/cpu.max", "400000 100000\n"),
    ("cgroup/system.slice/memory.max", "8589934592\n"),
    ("cgroup/system.slice/pids.max", "max\n"),
    ("cgroup/system.slice/ollama.service/cpu.max", "150000 100000\n"),
    ("cgroup/system.slice/ollama.service/cpu.stat", "usage_usec 2000000\nuser_usec 1\n"),
    ("cgroup/system.slice/ollama.service/memory.max", "max\n"),
    ("cgroup/system.slice/ollama.service/memory.current", "4096\n"),
    ("cgroup/system.slice/ollama.service/pids.max", "max\n"),
    ("cgroup/system.slice/ollama.service/pids.current", "31\n"),
    ("cgroup/other/memory.current", "1\n"),
];

#[test]
fn a_limit_of_version_2_is_the_least_up_to_the_root() {
    let (tree, mut reader, now) = (Tree::new("two", &OF_VERSION_2), Reader::default(), Instant::now());
    let members = ["0::/system.slice/ollama.service\n", "0::/system.slice/ollama.service\n", "0::/other\n", "0::/\n"];
    let Some(groups) = tree.read(&mut reader, &members, now) else { panic!("none") };
    let expected = ControlGroup {
        path: "/system.slice/ollama.service".into(),
        cpu_limit: Some(Limit::Of(1.5)),
        cpu: None,
        memory_limit: Some(Limit::Of(8_589_934_592.0)),
        memory_bytes: Some(4096),
        pids_limit: Some(Limit::Unlimited),
        pids: Some(31),
    };
    assert_eq!(groups.len(), 2, "each once, and the root of a machine is none: {groups:?}");
    assert_eq!(groups[1], expected);
    assert_eq!((groups[0].memory_bytes, groups[0].memory_limit, groups[0].pids), (Some(1), None, None));
    tree.write("cgroup/system.slice/ollama.service/cpu.stat", "usage_usec 3000000\n");
    let later = tree.read(&mut reader, &members, now + Duration::from_secs(2)).expect("it is mounted");
    assert_eq!(later[1].cpu, Some(0.5), "a second of processor time in two");
}

#[test]
fn inside_a_container_s_namespace_its_own_group_is_the_root() {
    let tree = Tree::new(
        "namespace",
        &[
            ("proc/self/mountinfo", "1 0 0:9 / {top}/cgroup ro - cgroup2 cgroup rw\n"),
            ("cgroup/memory.max", "1073741824\n"),
            ("cgroup/memory.current", "5\n"),
        ],
    );
    let groups = tree.read(&mut Reader::default(), &["0::/\n", "0::/../other\n"], Instant::now()).expect("mounted");
    let limits: Vec<_> = groups.iter().map(|group| (&*group.path, group.memory_limit, group.memory_bytes)).collect();
    assert_eq!(limits, [("/", Some(Limit::Of(1_073_741_824.0)), Some(5)), ("/../other", None, None)]);
}

#[test]
fn each_controller_of_version_1_has_a_path_of_its_own() {
    let tree = Tree::new(
        "one",
        &[
            (
                "proc/self/mountinfo",
                "1 0 0:1 / {top}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                 2 0 0:2 /docker/ab {top}/memory rw - cgroup cgroup rw,memory\n\
                 3 0 0:3 / {top}/unified rw - cgroup2 cgroup2 rw\n",
            ),
            ("cpu,cpuacct/docker/ab/cpu.cfs_quota_us", "50000\n"),
            ("cpu,cpuacct/docker/ab/cpu.cfs_period_us", "100000\n"),
            ("cpu,cpuacct/docker/ab/cpuacct.usage", "1000000000\n"),
            ("cpu,cpuacct/docker/cpu.cfs_quota_us", "-1\n"),
            ("cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/memory.usage_in_bytes", "77\n"),
            ("unified/nothing", ""),
        ],
    );
    let member = "6:pids:/docker/ab\n5:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n0::/\n";
    let groups = tree.read(&mut Reader::default(), &[member], Instant::now()).expect("mounted");
    let expected = ControlGroup {
        path: "/docker/ab".into(),
        cpu_limit: Some(Limit::Of(0.5)),
        cpu: None,
        memory_limit: Some(Limit::Unlimited),
        memory_bytes: Some(77),
        pids_limit: None,
        pids: None,
    };
    assert_eq!(groups, [expected], "the container sees its own group as the top of the hierarchy of memory");
}

#[test]
fn without_control_groups_there_is_no_list_and_what_is_malformed_is_unknown() {
    let tree = Tree::new("none", &[("proc/self/mountinfo", "24 30 0:22 / /sys rw - sysfs sysfs rw\n")]);
    assert_eq!(tree.read(&mut Reader::default(), &["0::/a\n"], Instant::now()), None);
    for text in ["", "max", "100000", "-1 100000", "1 0", "x 100000", "100000 100000 1"] {
        assert!(!matches!(cpu_max(text), Some(Limit::Of(_))), "{text}");
    }
    assert_eq!(cpu_max("max 100000"), Some(Limit::Unlimited));
    for text in ["", "-1", "12 ", "1e9", "99999999999999999999"] {
        assert_eq!(most(text), None, "{text}");
    }
}
