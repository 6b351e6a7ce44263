//! promtool, run on the shipped files. Where it is missing the test fails and says how to have it.

use super::files;
use crate::support::tools;
use std::path::Path;

/// Runs promtool in `prometheus/`; the test fails where promtool does.
pub(super) fn run(args: &[&str]) {
    let mut promtool = tools::promtool();
    let output = promtool.args(args).current_dir(files::root().join("prometheus")).output().expect("it can be run");
    assert!(
        output.status.success(),
        "promtool {}\n{}{}",
        args.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs promtool on every YAML file of a folder of `prometheus/`.
pub(super) fn run_over(folder: &str, args: &[&str]) {
    let found = files::shipped(&[&format!("prometheus/{folder}")], &["yml"]);
    assert!(!found.is_empty(), "prometheus/{folder} is empty");
    let names = found.iter().map(|file| file.name.trim_start_matches("prometheus/"));
    run(&args.iter().copied().chain(names).collect::<Vec<_>>());
}

/// Makes storage blocks from a file in OpenMetrics with times.
pub(super) fn blocks(history: &Path, into: &Path) {
    let text = |path: &Path| path.to_str().expect("the target folder's name is UTF-8").to_owned();
    run(&["tsdb", "create-blocks-from", "openmetrics", &text(history), &text(into)]);
}
