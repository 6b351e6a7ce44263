//! Passes to the program which compiler built it, and from which commit, where that is known. Looks for a new page.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Digits of a commit that are shown.
const DIGITS: usize = 12;

fn main() {
    println!("cargo:rustc-env=INFEROMETER_RUSTC={}", rustc().unwrap_or_default());
    println!("cargo:rustc-env=INFEROMETER_REVISION={}", revision().unwrap_or_default());
    // A release build has the page in it, whose files change their names; a debug build reads them each time.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release") && Path::new("web/dist").exists() {
        println!("cargo:rerun-if-changed=web/dist");
    }
}

/// The version of the compiler, such as `1.90.0`.
fn rustc() -> Option<String> {
    let compiler = std::env::var_os("RUSTC")?;
    let output = Command::new(compiler).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split(' ').nth(1).map(str::to_owned)
}

/// The commit: as the variable says, as `cargo package` recorded it, or as git knows it. Only a release build asks git:
/// a test build would be compiled again after each commit.
fn revision() -> Option<String> {
    println!("cargo:rerun-if-env-changed=INFEROMETER_REVISION");
    println!("cargo:rerun-if-changed=build.rs");
    let given = std::env::var("INFEROMETER_REVISION").ok().filter(|given| !given.is_empty());
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR")?);
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    given.or_else(|| packaged(&root)).or_else(|| if is_release { committed(&root) } else { None })
}

/// From the file that `cargo package` adds: `{"git": {"sha1": "…"}}`.
fn packaged(root: &Path) -> Option<String> {
    let text = std::fs::read_to_string(root.join(".cargo_vcs_info.json")).ok()?;
    let rest = text.split_once("\"sha1\"")?.1.split_once('"')?.1;
    Some(rest.split('"').next()?.chars().take(DIGITS).collect())
}

/// From the repository that this is the root of. One further up, into which sources were unpacked, is another project's.
fn committed(root: &Path) -> Option<String> {
    let top = git(root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    // Its last line changes with each commit and each checkout.
    let log = root.join(git(root, &["rev-parse", "--git-path", "logs/HEAD"])?);
    if log.exists() {
        println!("cargo:rerun-if-changed={}", log.display());
    }
    git(root, &["rev-parse", &format!("--short={DIGITS}"), "HEAD"])
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(root).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
