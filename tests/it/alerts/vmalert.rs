//! VictoriaMetrics with vmalert in the place of Prometheus: it takes the shipped rules as they are, and what it raises is shown.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{get, settings};
use crate::support::authority::folder;
use crate::support::look_until;
use crate::support::ollama::Ollama;
use crate::support::program::Program;
use crate::support::servers::{Server, free, written};
use crate::support::tools;

/// The shipped files of rules.
fn shipped() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["prometheus/rules", "prometheus/compat"].map(|folder| {
        let entries = std::fs::read_dir(root.join(folder)).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.extension() == Some("yml".as_ref()))
    });
    let mut files: Vec<_> = files.into_iter().flatten().collect();
    files.sort();
    files
}

/// Whether vmalert takes a file of rules, with its expressions and templates, and what it says.
fn taken(file: &Path) -> (bool, String) {
    let mut command = tools::vmalert();
    command.arg("-dryRun").arg(format!("-rule={}", file.display()));
    command.args(["-rule.validateExpressions", "-rule.validateTemplates"]);
    let output = command.output().expect("it can be run");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn vmalert_takes_every_shipped_rule() {
    let files = shipped();
    assert!(files.len() >= 9, "{files:?}");
    for file in &files {
        let (is_taken, said) = taken(file);
        assert!(is_taken, "{}: {said}", file.display());
    }
    // What is wrong is refused: an expression, and a template.
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("prometheus/rules/alerts.yml"));
    let text = text.expect("the shipped rules");
    for (right, wrong) in
        [("ollama_proxy_backend_up == 0", "ollama_proxy_backend_up == = 0"), ("{{ $labels", "{{ $label")]
    {
        let broken = text.replacen(right, wrong, 1);
        assert_ne!(broken, text, "{right} is there");
        let (is_taken, said) = taken(&written(&folder(), "broken.yml", &broken));
        assert!(!is_taken, "{wrong}: {said}");
    }
}

/// A rule that fires at once under a name of ours, and one of another name.
const RULES: &str = "groups: [{ name: g, interval: 1s, rules: [
  { alert: InferometerBackendDown, expr: 'ollama_proxy_backend_up == 0', labels: { severity: critical },
    annotations: { summary: '{{ $labels.backend }} is down, says vmalert' } },
  { alert: Foreign, expr: 'vector(1)', labels: { severity: warning } } ] }]\n";

#[test]
fn alerts_of_vmalert_are_shown_and_it_evaluates_the_shipped_rules_on_what_the_program_exposes() {
    let ollama = Ollama::listing(&["m"]);
    let (alerting, manager) = (free(), free());
    let alertmanager = Server::alertmanager(manager);
    let targets = folder().join("targets.json");
    std::fs::write(&targets, "[]").expect("a file");
    let scrape = json!({
        "global": { "scrape_interval": "1s" },
        "scrape_configs": [{ "job_name": "ollama_proxy", "file_sd_configs": [{ "files": [targets] }] }],
    });
    let proxy = format!("-vmalert.proxyURL=http://{alerting}");
    let victoria = Server::victoria_metrics_with(&scrape.to_string(), &[&proxy]);
    let file = settings("");
    let text = std::fs::read_to_string(&file).expect("it was written");
    let own = format!("prometheus_url = \"http://{}\"\nalertmanager_url = \"http://{manager}\"\n", victoria.address);
    std::fs::write(&file, own + &text).expect("it can be written");
    let program = Program::with(ollama.address, &["--config", &file]);
    program.wait_for("backend_up", &["test"], 1.0);
    std::fs::write(&targets, json!([{ "targets": [program.admin] }]).to_string()).expect("a file");
    victoria.ask("POST", "/-/reload", "");

    // Each second, where one group has a minute of its own.
    let quick = |file: &PathBuf| {
        let text = std::fs::read_to_string(file).expect("a file").replace("interval: 1m", "interval: 1s");
        written(&folder(), &file.file_name().expect("a name").to_string_lossy(), &text)
    };
    let mut files: Vec<_> = shipped().iter().map(quick).collect();
    files.push(written(&folder(), "rules.yml", RULES));
    let vmalert = Server::vmalert(alerting, victoria.address, manager, &files);
    // Every rule that is shipped was evaluated without an error, and the recorded ones have values.
    let rules = look_until(|| {
        let answer = vmalert.ask("GET", "/api/v1/rules", "");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let parsed: Value = serde_json::from_str(body).map_err(|_| answer.clone())?;
        let groups = parsed["data"]["groups"].as_array().cloned().unwrap_or_default();
        let rules: Vec<_> =
            groups.iter().flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default()).collect();
        let is_due = |rule: &&Value| rule["lastEvaluation"].as_str().is_none_or(|at| at.starts_with("0001"));
        // A group of another interval waits for its turn.
        let waiting = rules.iter().filter(is_due).count();
        if waiting == 0 && rules.len() > 60 { Ok(rules) } else { Err(format!("{waiting} of {} wait", rules.len())) }
    });
    for rule in &rules {
        let error = rule["lastError"].as_str().unwrap_or_default();
        assert_eq!((error, &rule["health"]), ("", &json!("ok")), "{rule}");
    }
    look_until(|| {
        let answer = victoria.ask("GET", "/api/v1/query?query=count(%7B__name__%3D~%22.%2B:.%2B%22%7D)", "");
        if answer.contains("\"value\"") { Ok(()) } else { Err(answer) }
    });

    let of = |name: &str| {
        let alerts = get(&program, "/dashboard/alerts");
        let found = alerts["data"].as_array().expect("a list").iter().find(|alert| alert["rule"] == name).cloned();
        (found, alerts)
    };
    look_until(|| match of("Foreign") {
        (Some(_), alerts) if alerts["metadata"]["source"] == "prometheus" => Ok(()),
        (_, alerts) => Err(alerts.to_string()),
    });
    ollama.fall_silent(true);
    let down = look_until(|| match of("InferometerBackendDown") {
        (Some(alert), _) => Ok(alert),
        (None, alerts) => Err(alerts.to_string()),
    });
    assert_eq!(
        (&down["message"], &down["severity"], &down["category"]),
        (&json!("test is down, says vmalert"), &json!("critical"), &json!("backend"))
    );
    ollama.fall_silent(false);
    look_until(|| match of("InferometerBackendDown") {
        (None, _) => Ok(()),
        (Some(alert), _) => Err(alert.to_string()),
    });
    let history = look_until(|| {
        let history = get(&program, "/dashboard/alerts/history?rule=InferometerBackendDown");
        if history["data"][0]["status"] == "resolved" { Ok(history) } else { Err(history.to_string()) }
    });
    assert_eq!(history["pagination"]["total"], 1, "both know it, and it is there once: {history}");
    drop(alertmanager);
}
