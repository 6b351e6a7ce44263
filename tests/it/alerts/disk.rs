//! A disk that is full, before the real program: what it says of it, and what it does without room.

use std::time::Duration;

use inferometer::alert::rules;

use super::each::{LONG, play};
use super::provoked::chat;
use super::{get, settings};
use crate::support::authority::folder;
use crate::support::ollama::Ollama;
use crate::support::program::{Program, STATE, command};
use crate::support::small_disk::SmallDisk;
use crate::support::{look_for, look_until};

/// The history looks for room every 30 s.
const PATIENCE: Duration = Duration::from_secs(90);

#[test]
fn a_full_disk_raises_its_alert_and_that_of_the_history_until_there_is_room() {
    let place = folder().join("state");
    // A device by its name, as only filesystems on devices are watched.
    let device = format!("/dev/inferometer-test-{}", std::process::id());
    let Some(disk) = SmallDisk::mount(&place, &device) else { return };
    let ollama = Ollama::listing(&["m"]);
    let mut command = command();
    command.env(STATE, &place);
    let program = Program::start(command, ollama.address, &["--config", &settings("")]);
    program.wait_for_history();
    let mounted = format!("mountpoint=\"{}\"", place.display());
    let own = |family: &str| program.metric(family, &[&mounted]);
    let share = || own("filesystem_available_bytes") / own("filesystem_size_bytes");
    // Of the filesystems of this machine only this one, which no other may hide.
    let page = || {
        let page = program.fetch("/metrics");
        let is_other = |line: &&str| line.contains("_filesystem_") && !line.contains(&mounted);
        page.lines().filter(|line| !is_other(line)).map(|line| format!("{line}\n")).collect::<String>()
    };
    let wait_for = |what: &str, holds: &dyn Fn(f64) -> bool| {
        look_until(|| if holds(share()) { Ok(()) } else { Err(format!("{what}: {}", share())) });
    };
    wait_for("there is room at first", &|free| free > 0.1);
    let well = page();

    disk.fill();
    wait_for("it is full", &|free| free < 0.05);
    // Until there is no room for what is to be kept.
    look_for(PATIENCE, || {
        chat(&program);
        let paused = program.metric("history_paused", &[]);
        if paused == 1.0 { Ok(()) } else { Err(program.fetch("/metrics")) }
    });
    let health = get(&program, "/dashboard/health");
    assert_ne!(health["components"]["database"]["status"], "healthy", "{health}");
    let full = page();
    assert!(program.logged(|line| line["reason"] == "full").is_object());

    disk.make_room();
    wait_for("there is room again", &|free| free > 0.1);
    look_for(PATIENCE, || {
        let paused = program.metric("history_paused", &[]);
        if paused == 0.0 { Ok(()) } else { Err(program.fetch("/metrics")) }
    });
    let again = page();
    for name in ["InferometerDiskNearlyFull", "InferometerHistoryPaused"] {
        let rule = rules::find(name).expect("a rule");
        let (fired, over) = play(rule, &[(well.clone(), 60), (full.clone(), 900), (again.clone(), LONG)]);
        assert_eq!((&*fired, &*over), (&[name.to_owned()][..], &[name.to_owned()][..]), "{full}");
        let (fired, _) = play(rule, &[(full.clone(), i64::from(rule.hold) - 10), (again.clone(), LONG)]);
        assert_eq!(fired, [""; 0], "{name} needs its whole time");
    }
}
