//! The processes of inference servers: memory and processor time of servers and runners.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::cgroups::{self, ControlGroup, Membership};
use super::collector::{Collector, ReadError};
use super::kernel_file;
use super::restarts::Restarts;

/// The role of a process of an inference server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Accepts requests.
    Server,
    /// Loads a model and computes.
    Runner,
}

impl Role {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::Server, Self::Runner];

    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Runner => "runner",
        }
    }
}

/// The usage of all processes of one role.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RoleUsage {
    /// Number of processes.
    pub count: u32,
    /// Resident memory in bytes; shared mappings count for each process, as in `ps`.
    pub memory_bytes: u64,
    /// Processor time in seconds since this program started; does not decrease when a process ends.
    pub cpu_seconds: f64,
}

impl RoleUsage {
    pub(super) fn of(role: Role, processes: &[Process], cpu_seconds: f64) -> Self {
        let of_role = || processes.iter().filter(|it| it.role == role);
        Self {
            count: u32::try_from(of_role().count()).unwrap_or(u32::MAX),
            memory_bytes: of_role().map(|it| it.memory_bytes).fold(0, u64::saturating_add),
            cpu_seconds,
        }
    }
}

/// One process of an inference server.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// Its role.
    pub role: Role,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// Processors that it used since the previous reading; `None` at its first.
    pub cpu: Option<f64>,
    /// The path of its control group, as systemd or a container engine made it; `None` where there is none.
    pub cgroup: Option<Box<str>>,
}

/// The processes of inference servers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Processes {
    /// By role; a role without any process so far is absent.
    pub roles: Vec<(Role, RoleUsage)>,
    /// Each process, to join with other facts, such as its GPU memory.
    pub processes: Vec<Process>,
    /// Their control groups; `None` where the system has none.
    pub groups: Option<Vec<ControlGroup>>,
    /// How often servers were seen to be started again since this program started, by the path of their control group.
    pub restarts: BTreeMap<Box<str>, u64>,
}

/// Process id and start time, which distinguish processes when an id is reused.
type ProcessKey = (u32, u64);

/// Collects them by their command lines.
#[derive(Debug)]
pub struct ProcessesCollector {
    proc: PathBuf,
    ticks_per_second: f64,
    /// The previous reading, and the ticks of each process then; `None` before the first.
    before: Option<(Instant, HashMap<ProcessKey, u64>)>,
    /// Ticks of each role so far.
    spent: HashMap<Role, u64>,
    groups: cgroups::Reader,
    restarts: Restarts,
}

impl ProcessesCollector {
    /// Reads below this procfs.
    #[must_use]
    pub fn new(proc: PathBuf) -> Self {
        Self {
            proc,
            ticks_per_second: ticks_per_second(),
            before: None,
            spent: HashMap::new(),
            groups: cgroups::Reader::default(),
            restarts: Restarts::default(),
        }
    }
}

#[cfg(target_os = "linux")]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(not(target_os = "linux"))]
fn ticks_per_second() -> f64 {
    100.0
}

impl Collector for ProcessesCollector {
    type Part = Processes;

    fn name(&self) -> &'static str {
        "processes"
    }

    fn read(&mut self, now: Instant) -> Result<Option<Processes>, ReadError> {
        let Some(entries) = kernel_file::entries(&self.proc)? else { return Ok(None) };
        let mut found: Vec<_> = entries.iter().filter_map(|entry| read_process(entry)).collect();
        let parents: Vec<_> = found.iter().map(|it| it.parent).collect();
        mark_children_as_runners(found.iter_mut().map(|it| &mut it.process).zip(parents));
        self.add_ticks(&mut found, now);
        let groups = self.groups.read(&self.proc, found.iter().map(|it| &it.membership), now);
        let servers = found.iter().filter(|it| it.process.role == Role::Server);
        let restarts = self.restarts.observe(servers.filter_map(|it| Some((it.process.cgroup.as_deref()?, it.key))));
        let processes: Vec<_> = found.into_iter().map(|found| found.process).collect();
        let roles = Role::ALL.into_iter().filter_map(|role| Some((role, self.of_role(role, &processes)?))).collect();
        Ok(Some(Processes { roles, processes, groups, restarts }))
    }
}

impl ProcessesCollector {
    /// Adds the ticks of each process since the previous reading: all ticks of a process that is new since then, and
    /// none of one found at the first reading. Sets what each process used of the processors.
    fn add_ticks(&mut self, found: &mut [FoundProcess], now: Instant) {
        let before = self.before.take();
        for it in &mut *found {
            let earlier = before.as_ref().and_then(|(at, ticks)| Some((*at, *ticks.get(&it.key)?)));
            it.process.cpu = earlier.and_then(|(at, ticks)| {
                let seconds = now.saturating_duration_since(at).as_secs_f64();
                let used = it.ticks.saturating_sub(ticks) as f64 / self.ticks_per_second;
                (seconds > 0.0).then(|| used / seconds)
            });
            let known = earlier.map_or(if before.is_some() { 0 } else { it.ticks }, |(_, ticks)| ticks);
            let spent = self.spent.entry(it.process.role).or_default();
            *spent = spent.saturating_add(it.ticks.saturating_sub(known));
        }
        self.before = Some((now, found.iter().map(|it| (it.key, it.ticks)).collect()));
    }

    fn of_role(&self, role: Role, processes: &[Process]) -> Option<RoleUsage> {
        let spent = self.spent.get(&role)?;
        Some(RoleUsage::of(role, processes, *spent as f64 / self.ticks_per_second))
    }
}

struct FoundProcess {
    process: Process,
    parent: u32,
    key: ProcessKey,
    ticks: u64,
    membership: Membership,
}

/// Makes a server process a runner if its parent is another inference process: `ollama serve` (from 0.30) and
/// llama.cpp's router start a `llama-server` for each model. Each process is paired with its parent's id.
pub(super) fn mark_children_as_runners<'a>(processes: impl Iterator<Item = (&'a mut Process, u32)>) {
    let mut all: Vec<_> = processes.collect();
    let known: HashSet<_> = all.iter().map(|(process, _)| process.pid).collect();
    for (process, _) in all.iter_mut().filter(|(_, parent)| known.contains(parent)) {
        process.role = Role::Runner;
    }
}

/// Reads one process; `None` where it is not of an inference server, or has ended.
fn read_process(folder: &Path) -> Option<FoundProcess> {
    let pid = kernel_file::name(folder).parse().ok()?;
    let command_line = kernel_file::read(&folder.join("cmdline")).ok()??;
    let arguments: Vec<_> = command_line.split('\0').take(8).collect();
    let role = role_of(&arguments)?;
    let Stat { parent, ticks, started } = parse_stat(&kernel_file::line(&folder.join("stat"))?)?;
    let memory_bytes = parse_resident(&kernel_file::read(&folder.join("status")).ok()??)?;
    let membership = Membership::parse(&kernel_file::line(&folder.join("cgroup")).unwrap_or_default());
    let process = Process { pid, role, memory_bytes, cpu: None, cgroup: membership.place().map(Box::from) };
    Some(FoundProcess { process, parent, key: (pid, started), ticks, membership })
}

/// The role by program name and first arguments: `ollama serve` with its `ollama runner`, llama.cpp's server, vLLM and
/// `SGLang` with the names that their workers set. `None` for other programs, such as clients (`ollama run`).
pub(super) fn role_of(arguments: &[&str]) -> Option<Role> {
    let name = |argument: &str| argument.rsplit('/').next().unwrap_or_default().to_owned();
    let program = name(arguments.first()?);
    let second = arguments.get(1).copied().unwrap_or_default();
    match program.as_str() {
        "ollama" if second == "serve" => Some(Role::Server),
        "ollama" if second == "runner" => Some(Role::Runner),
        "ollama_llama_server" | "ollama-llama-server" => Some(Role::Runner),
        "llama-server" | "llama-box" | "koboldcpp" => Some(Role::Server),
        _ if program.starts_with("VLLM::") || program.starts_with("sglang::") => Some(Role::Runner),
        "vllm" if second == "serve" => Some(Role::Server),
        _ if program.starts_with("python") => python_role(arguments),
        _ => None,
    }
}

fn python_role(arguments: &[&str]) -> Option<Role> {
    let rest = arguments.get(1..)?;
    let script = rest.windows(2).any(|pair| pair[0].ends_with("/vllm") && pair[1] == "serve");
    let module = rest.windows(2).any(|pair| {
        pair[0] == "-m"
            && (pair[1].starts_with("vllm.entrypoints.") || matches!(pair[1], "sglang.launch_server" | "mlx_lm.server"))
    });
    (script || module).then_some(Role::Server)
}

/// Fields of a process's `stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    parent: u32,
    /// Processor time in user and system mode.
    ticks: u64,
    /// Start time, in ticks since boot.
    started: u64,
}

/// Parses `stat`, where the name in parentheses may contain any characters (proc(5)).
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_ascii_whitespace().collect();
    // The state, the third field, is the first here.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let parent = fields.get(1)?.parse().ok()?;
    Some(Stat { parent, ticks: field(14)?.checked_add(field(15)?)?, started: field(22)? })
}

fn parse_resident(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?;
    value.trim_end().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_runners_are_distinguished_from_other_programs() {
        let role = |line: &str| role_of(&line.split(' ').collect::<Vec<_>>());
        for line in [
            "ollama serve",
            "/usr/local/bin/ollama serve",
            "/opt/llama-server -m x",
            "vllm serve m",
            "python3 -m vllm.entrypoints.openai.api_server",
            "/venv/bin/python /venv/bin/vllm serve m",
        ] {
            assert_eq!(role(line), Some(Role::Server), "{line}");
        }
        for line in [
            "/usr/bin/ollama runner --model x",
            "ollama_llama_server --model x",
            "VLLM::EngineCore",
            "VLLM::Worker_TP0",
            "sglang::scheduler_TP0",
        ] {
            assert_eq!(role(line), Some(Role::Runner), "{line}");
        }
        for line in ["", "ollama run llama3", "ollama", "vim ollama", "python3 -m http.server", "grep llama-server"] {
            assert_eq!(role(line), None, "{line}");
        }
    }

    #[test]
    fn a_server_that_a_server_started_is_its_runner() {
        let of = |lines: &[(u32, u32, &str)]| -> Vec<Role> {
            let process = |(pid, _, line): &(u32, u32, &str)| {
                let role = role_of(&line.split(' ').collect::<Vec<_>>()).expect("it is of a server");
                Process { pid: *pid, role, memory_bytes: 0, cpu: None, cgroup: None }
            };
            let mut processes: Vec<_> = lines.iter().map(process).collect();
            mark_children_as_runners(processes.iter_mut().zip(lines.iter().map(|(_, parent, _)| *parent)));
            processes.into_iter().map(|process| process.role).collect()
        };
        let ollama = [
            (7, 1, "/usr/bin/ollama serve"),
            (8, 7, "/usr/lib/ollama/llama-server --model x --port 4"),
            (9, 1, "llama-server -m y"),
        ];
        assert_eq!(of(&ollama), [Role::Server, Role::Runner, Role::Server], "the last belongs to itself");
        let router =
            [(5, 4, "llama-server --port 5"), (4, 1, "llama-server --models-dir m"), (6, 5, "llama-server --port 6")];
        assert_eq!(of(&router), [Role::Runner, Role::Server, Role::Runner], "in any order");
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_move_the_fields() {
        let line = "7 (a) b (c)) S 0 0 0 0 -1 4194560 1 2 3 4 205 713 20143 7419 20 0 13 0 24 52817920 5048 1";
        let mut expected = Stat { parent: 0, ticks: 918, started: 24 };
        assert_eq!(parse_stat(line), Some(expected));
        let line = line.replace(" S 0 0 ", " S 41 0 ");
        expected = Stat { parent: 41, ticks: 918, started: 24 };
        assert_eq!(parse_stat(&line), Some(expected));
        assert_eq!(parse_stat("7 (x) S 1 2"), None);
    }

    #[test]
    fn processor_time_of_a_role_never_goes_back_when_a_process_ends() {
        let found = |pid: u32, ticks: u64| FoundProcess {
            process: Process { pid, role: Role::Runner, memory_bytes: 0, cpu: None, cgroup: None },
            parent: 1,
            key: (pid, 1),
            ticks,
            membership: Membership::default(),
        };
        let mut collector = ProcessesCollector { ticks_per_second: 100.0, ..ProcessesCollector::new(PathBuf::new()) };
        let begun = Instant::now();
        // What each process used of the processors, two seconds after the reading before.
        let mut read = |found: &mut [FoundProcess], reading: u64| -> (u64, Vec<Option<f64>>) {
            collector.add_ticks(found, begun + std::time::Duration::from_secs(2 * reading));
            (collector.spent[&Role::Runner], found.iter().map(|it| it.process.cpu).collect())
        };
        assert_eq!(
            read(&mut [found(1, 1000)], 0),
            (0, vec![None]),
            "what was spent before this program is not its to count"
        );
        assert_eq!(read(&mut [found(1, 1200), found(2, 50)], 1), (250, vec![Some(1.0), None]));
        assert_eq!(read(&mut [found(2, 60)], 2), (260, vec![Some(0.05)]));
    }
}
