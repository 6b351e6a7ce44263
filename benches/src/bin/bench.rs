//! Runs every test against every contestant, in turns, and prints tables ready for docs/benchmarks.md.

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("bench: the accounts of CPU time and memory are read from Linux's /proc; there is nothing here to read");
    std::process::exit(1);
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    match linux::main() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            std::process::ExitCode::from(2)
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use inferometer_bench::backend::Backend;
    use inferometer_bench::choice::CHOICES;
    use inferometer_bench::contestant::{Contestant, Log};
    use inferometer_bench::flat;
    use inferometer_bench::fleet::{self, CONNECTIONS};
    use inferometer_bench::load::{Durations, TESTS, Test, Testbed};
    use inferometer_bench::machine::{self, Cores};
    use inferometer_bench::report::{CHOICE, FLEET, LARGE, LONG, Report, SCRAPE, WATCHERS};
    use inferometer_bench::scrape;
    use inferometer_bench::script::Clock;
    use inferometer_bench::watchers;

    const HELP: &str = "usage: bench [OPTION]...
  --quick                 one short round, to see that everything works: its numbers mean nothing
  --rounds COUNT          rounds, each contestant once in each [default: 5]
  --window SECONDS        how long CPU time is counted in each test [default: 1]
  --only TEXT             only tests with this in their name; may be given again. Beside the tests of the tables there are
                          'a stream of hours', 'a 10 MB request', 'scrape', 'watchers', 'two backends' and 'a choice'
  --inferometer PATH      this project's program [default: beside this one]
  --nginx PATH            nginx [default: the first in PATH, /usr/sbin, /usr/local/sbin and what
                          `make bench-setup` unpacked]
  --server-cores A,B,...  cores of what is measured [default: the last one; another one where times are measured of
                          what is busy]
  --load-cores A,B,...    cores of client and backend [default: the last one]";

    /// Where `benches/setup.sh` unpacks nginx.
    const UNPACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/nginx/usr/sbin");

    struct Options {
        rounds: usize,
        quick: bool,
        durations: Durations,
        only: Vec<String>,
        inferometer: PathBuf,
        nginx: Option<PathBuf>,
        cores: Cores,
        /// The cores were given on the command line.
        has_chosen_cores: bool,
    }

    impl Options {
        /// The cores for times under load; `None` where there is no other core, or the cores were chosen.
        fn apart(&self) -> Option<Cores> {
            self.cores.apart().filter(|_| !self.has_chosen_cores)
        }

        fn wants(&self, name: &str) -> bool {
            self.only.is_empty() || self.only.iter().any(|only| name.contains(only))
        }
    }

    pub(super) fn main() -> Result<(), String> {
        let typed: Vec<String> = std::env::args().skip(1).collect();
        if typed.iter().any(|word| word == "--help") {
            println!("{HELP}");
            return Ok(());
        }
        let options = parse(&typed)?;
        let limit = machine::raise_descriptors();
        let has_priority = machine::raise_priority();
        let (contestants, mut missing) = contestants(&options)?;
        let tests = tests(&options, limit, &mut missing)?;
        if !has_priority {
            missing.push("A higher priority was not allowed: what else runs here disturbs more.".into());
        }
        println!("{}", preamble(&options, &typed, &contestants));
        let report = measure(&options, tests, contestants, missing).map_err(|error| error.to_string())?;
        println!("{}", report.markdown());
        Ok(())
    }

    fn measure(
        options: &Options,
        tests: Vec<Test>,
        contestants: Vec<Contestant>,
        missing: Vec<String>,
    ) -> std::io::Result<Report> {
        let all = machine::allowed();
        let apart = options.apart();
        machine::pin(&options.cores.load);
        let clock = Clock::start();
        let backend = Backend::start(clock, options.cores.load.clone())?;
        let testbed =
            Testbed { backend, clock, cores: options.cores.clone(), apart, all, durations: options.durations };
        let mut report = Report::new(tests.clone(), contestants.clone(), missing);
        for round in 1..=options.rounds {
            for (row, test) in tests.iter().enumerate() {
                eprintln!("round {round} of {}: {}", options.rounds, test.name);
                for (column, contestant) in contestants.iter().enumerate() {
                    report.add(row, column, testbed.run(test, contestant));
                }
            }
            let proxies = |(_, who): &(usize, &Contestant)| **who != Contestant::Direct && !who.is_unlogged();
            for (column, contestant) in contestants.iter().enumerate().filter(proxies) {
                if options.wants(LONG) {
                    report.other.add_long(column, flat::long_stream(&testbed, contestant, options.quick));
                }
                if options.wants(LARGE) {
                    report.other.add_large(column, flat::large_request(&testbed, contestant));
                }
            }
        }
        let ours = contestants.iter().find(|who| matches!(who, Contestant::Inferometer(_, Log::On)));
        if let Some(ours) = ours.filter(|_| options.wants(SCRAPE)) {
            eprintln!("{SCRAPE}");
            report.other.set_scrape(scrape::measure_impact(&testbed, ours, options.rounds));
        }
        if let Some(ours) = ours.filter(|_| options.wants(WATCHERS)) {
            eprintln!("{WATCHERS}");
            report.other.set_watchers(watchers::measure_impact(&testbed, ours, options.rounds));
        }
        if let Some(ours) = ours.filter(|_| options.wants(FLEET)) {
            for round in 1..=options.rounds {
                eprintln!("round {round} of {}: {FLEET}", options.rounds);
                for (row, connections) in CONNECTIONS.into_iter().enumerate() {
                    report.other.add_fleet(row, fleet::measure_round(&testbed, ours, connections));
                }
            }
        }
        if options.wants(CHOICE) {
            eprintln!("{CHOICE}");
            let count = if options.quick { 100 } else { 100_000 };
            for _ in 0..options.rounds {
                let took = CHOICES.map(|choice| choice.run(count).as_nanos() as f64 / count as f64);
                report.other.add_choices(took);
            }
        }
        Ok(report)
    }

    fn parse(typed: &[String]) -> Result<Options, String> {
        let full = Durations {
            warm_up: Duration::from_millis(400),
            window: Duration::from_secs(1),
            probe: Duration::from_millis(700),
            blast: 50_000,
        };
        let quick = Durations {
            warm_up: Duration::from_millis(50),
            window: Duration::from_millis(200),
            probe: Duration::from_millis(100),
            blast: 1_000,
        };
        let mut options = Options {
            rounds: 5,
            quick: false,
            durations: full,
            only: Vec::new(),
            inferometer: sibling("inferometer")?,
            nginx: find("nginx"),
            cores: Cores::together(),
            has_chosen_cores: false,
        };
        let mut words = typed.iter();
        while let Some(word) = words.next() {
            if word == "--quick" {
                (options.rounds, options.quick, options.durations) = (1, true, quick);
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} is not known or wants a value\n{HELP}"))?;
            match word.as_str() {
                "--rounds" => options.rounds = number(word, value)?,
                "--window" => options.durations.window = Duration::from_secs(number(word, value)?),
                "--only" => options.only.push(value.clone()),
                "--inferometer" => options.inferometer = value.into(),
                "--nginx" => options.nginx = Some(value.into()),
                "--server-cores" => (options.cores.server, options.has_chosen_cores) = (cores(word, value)?, true),
                "--load-cores" => (options.cores.load, options.has_chosen_cores) = (cores(word, value)?, true),
                _ => return Err(format!("{word} is not known\n{HELP}")),
            }
        }
        Ok(options)
    }

    fn number<T: std::str::FromStr>(word: &str, value: &str) -> Result<T, String> {
        value.parse().map_err(|_| format!("{word}: '{value}' is not a whole number"))
    }

    fn cores(word: &str, value: &str) -> Result<Vec<usize>, String> {
        value.split(',').map(|core| number(word, core)).collect()
    }

    /// The contestants that can be measured, and why others cannot.
    fn contestants(options: &Options) -> Result<(Vec<Contestant>, Vec<String>), String> {
        let mut there = vec![Contestant::Direct, Contestant::Relay(sibling("relay")?)];
        let mut missing = Vec::new();
        let nginx = options.nginx.as_ref().filter(|nginx| nginx.exists());
        let ours = Some(&options.inferometer).filter(|ours| ours.exists());
        // With their default log, and without one, which shows its cost.
        for log in [Log::On, Log::Off] {
            there.extend(nginx.map(|nginx| Contestant::Nginx(nginx.clone(), log)));
            there.extend(ours.map(|ours| Contestant::Inferometer(ours.clone(), log)));
        }
        match nginx {
            Some(_) => {}
            None => missing.push("nginx is not there (`make bench-setup` unpacks it on Debian and Ubuntu).".into()),
        }
        if ours.is_none() {
            missing.push("inferometer is not built (`cargo build --release`).".into());
        }
        Ok((there, missing))
    }

    /// The tests that the limit of descriptors allows, and why others cannot be run.
    fn tests(options: &Options, limit: Option<u64>, missing: &mut Vec<String>) -> Result<Vec<Test>, String> {
        let wanted: Vec<Test> = TESTS.into_iter().filter(|test| options.wants(test.name)).collect();
        let others = [LONG, LARGE, SCRAPE, WATCHERS, FLEET, CHOICE];
        if wanted.is_empty() && !others.into_iter().any(|name| options.wants(name)) {
            return Err(format!("no test has '{}' in its name", options.only.join("' or '")));
        }
        let (possible, too_large): (Vec<_>, Vec<_>) =
            wanted.into_iter().partition(|test| limit.is_none_or(|limit| test.load.descriptors() <= limit));
        missing.extend(too_large.iter().map(|test| {
            format!(
                "{}: needs {} descriptors, and {} are allowed.",
                test.name,
                test.load.descriptors(),
                limit.unwrap_or(0)
            )
        }));
        Ok(possible)
    }

    fn preamble(options: &Options, typed: &[String], contestants: &[Contestant]) -> String {
        let list = |cores: &[usize]| cores.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        let versions: Vec<String> =
            contestants.iter().filter(|who| !who.is_unlogged()).filter_map(Contestant::version).collect();
        let command = match typed {
            [] => "make bench".to_owned(),
            typed => format!("make bench ARGS='{}'", typed.join(" ")),
        };
        let apart = options.apart().map_or_else(String::new, |cores| {
            format!(" (where times are measured of what is busy: on core {})", list(&cores.server))
        });
        format!(
            "{}. What is measured runs on core {}{apart} with one thread or worker for each, client and backend on core {}. \
             Medians of {} rounds in turns, {:?} each; {}. Command: `{command}`.\n",
            machine::description(),
            list(&options.cores.server),
            list(&options.cores.load),
            options.rounds,
            options.durations.window,
            versions.join(", "),
        )
    }

    fn sibling(name: &str) -> Result<PathBuf, String> {
        let ours = std::env::current_exe().map_err(|error| format!("where this program lies is not known: {error}"))?;
        Ok(ours.with_file_name(name))
    }

    fn find(name: &str) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let system = ["/usr/sbin", "/usr/local/sbin", UNPACKED].map(PathBuf::from);
        std::env::split_paths(&path)
            .chain(system)
            .map(|folder: PathBuf| folder.join(name))
            .find(|file: &PathBuf| Path::is_file(file))
    }
}
