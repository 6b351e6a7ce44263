//! What `make dist` packs: the files that it names are there, and fit each other. `make package-test` installs the
//! packages themselves.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Where the unit, the packages and the manual say that the settings are.
const CONFIGURATION: &str = "/etc/inferometer/config.toml";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("packages-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    folder
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The program, without settings from this environment.
fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_inferometer")).args(arguments).env_clear().output().expect("the binary runs")
}

/// The packages' configuration file, made as `make dist` makes it.
fn packaged_configuration() -> String {
    let mut script = Command::new(root().join("packaging/conffile.sh"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("there is a shell");
    let printed = program(&["--print-config"]).stdout;
    script.stdin.take().expect("it is piped").write_all(&printed).expect("it reads");
    text(&script.wait_with_output().expect("it ends").stdout)
}

#[test]
fn the_packaged_configuration_shows_every_key_and_sets_none() {
    let file = packaged_configuration();
    let keys = |text: &str| text.lines().filter(|line| line.contains(" = ") && !line.starts_with("# ")).count();
    let printed = text(&program(&["--print-config"]).stdout);
    assert!(keys(&file) > 30 && keys(&file) == keys(&printed), "{file}");
    let values: toml::Table = file.parse().expect("it is TOML");
    assert!(values.values().all(|value| value.as_table().is_some_and(toml::Table::is_empty)), "{values:?}");
    let folder = scratch("configuration");
    let path = folder.join("config.toml");
    std::fs::write(&path, file).expect("it can be written");
    let again = program(&["--config", path.to_str().expect("UTF-8"), "--print-config"]);
    assert_eq!(text(&again.stdout), printed, "{}", text(&again.stderr));
    std::fs::remove_dir_all(&folder).expect("it was made above");
}

#[test]
fn the_unit_reads_the_packaged_configuration_and_shadows_none_of_its_keys() {
    let unit = read("examples/systemd/inferometer.service");
    assert!(unit.contains(&format!("\nExecStart=/usr/local/bin/inferometer --config {CONFIGURATION}\n")), "{unit}");
    assert!(!unit.contains("\nEnvironment"), "a variable would win over the file");
    let dist = read("packaging/dist.sh");
    let place = CONFIGURATION.replace("inferometer", "$program");
    assert!(dist.contains(&format!("$TREE/$program{place}\"")), "the package has it elsewhere");
    assert!(dist.contains("s|/usr/local/bin/|/usr/bin/|"), "the packages have the programs elsewhere");
}

#[test]
fn the_units_need_no_program_but_ours_and_the_shell() {
    for unit in ["inferometer", "inferometer-helper"] {
        let ours = format!("/usr/local/bin/{unit}");
        let text = read(&format!("examples/systemd/{unit}.service"));
        let commands: Vec<_> = text.lines().filter(|line| line.starts_with("Exec")).collect();
        assert!(!commands.is_empty(), "{unit}");
        for command in commands {
            let program = command.split(['=', ' ']).nth(1).unwrap_or_default();
            assert!([&ours[..], "/bin/sh"].contains(&program), "{unit}: a minimal system may lack {program}");
        }
    }
}

/// Words of a script that are paths of this repository, with every program for `$program`.
fn named_files(script: &str) -> Vec<String> {
    let words = script.split(|c: char| c.is_whitespace() || "\"'<>()|;".contains(c));
    let ours = |word: &&str| ["packaging/", "examples/", "helper/", "tests/"].iter().any(|it| word.starts_with(it));
    let each = |word: &str| ["inferometer", "inferometer-helper"].map(|name| word.replace("$program", name));
    words.filter(ours).filter(|word| !word.ends_with("bill.json")).flat_map(each).collect()
}

#[test]
fn packaging_names_files_that_are_there() {
    let scripts = ["packaging/dist.sh", "packaging/dist.mk", "packaging/test/run.sh", "packaging/test/static.sh"];
    let mut named: Vec<_> = scripts.iter().flat_map(|script| named_files(&read(script))).collect();
    for (manifest, folder) in [("Cargo.toml", ""), ("helper/Cargo.toml", "helper/")] {
        let values: toml::Table = read(manifest).parse().expect("it is TOML");
        let deb = &values["package"]["metadata"]["deb"];
        for path in [&deb["license-file"][0], &deb["maintainer-scripts"]] {
            named.push(format!("{folder}{}", path.as_str().expect("a path")));
        }
    }
    named.push("packaging/debian/inferometer.postrm".to_owned());
    assert!(named.len() > 15, "{named:?}");
    let missing: Vec<_> = named.iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn an_rpm_removes_its_folders_and_replaces_no_settings() {
    let tree = scratch("rpm");
    for (path, content) in [("etc/inferometer/config.toml", ""), ("usr/bin/inferometer", ""), ("usr/share/man/a.1", "")]
    {
        let path = tree.join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        std::fs::write(path, content).expect("it can be written");
    }
    let script = root().join("packaging/rpm/metadata.py");
    let output = Command::new(script).arg("inferometer").arg(&tree).output().expect("there is a Python");
    let values: toml::Table = text(&output.stdout).parse().expect("it is TOML");
    let assets = values["assets"].as_array().expect("a list");
    let places: Vec<_> = assets.iter().map(|asset| asset["dest"].as_str().expect("a path")).collect();
    assert_eq!(places, [CONFIGURATION, "/usr/bin/inferometer", "/usr/share/man/a.1"]);
    assert_eq!(assets[0]["config"].as_str(), Some("noreplace"));
    let last = values["post_uninstall_script"].as_str().expect("a text");
    assert!(last.contains("rmdir /etc/inferometer 2>"), "its own folder and no other: {last}");
    for script in ["post_install_script", "pre_uninstall_script", "post_uninstall_script"] {
        let script = values[script].as_str().expect("a text");
        assert!(script.contains("inferometer.service") && !script.contains("UNIT"), "{script}");
    }
    std::fs::remove_dir_all(&tree).expect("it was made above");
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_that_needs_more_than_the_packages_ask_for_is_refused() {
    let check = |glibc: &str| {
        let script = root().join("packaging/needed.sh");
        let output = Command::new(script).args([glibc, env!("CARGO_BIN_EXE_inferometer")]).output();
        let output = output.expect("there is bash");
        (output.status.code(), text(&output.stderr))
    };
    let (code, said) = check("2.2");
    assert!(code == Some(1) && said.contains("no newer one than 2.2"), "{said}");
    // What cargo builds by itself asks for gcc's library.
    let (code, said) = check("99.0");
    assert!(code == Some(1) && said.contains("libgcc_s.so.1"), "{said}");
}
