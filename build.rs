//! Tells the program which compiler and which commit built it, where that is known.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=INFEROMETER_REVISION");
    println!("cargo:rustc-env=INFEROMETER_RUSTC={}", rustc().unwrap_or_default());
}

/// The version of the compiler, such as `1.90.0`.
fn rustc() -> Option<String> {
    let compiler = std::env::var_os("RUSTC")?;
    let output = Command::new(compiler).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split(' ').nth(1).map(str::to_owned)
}
