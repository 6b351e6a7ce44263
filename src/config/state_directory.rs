//! Where the environment says that the program keeps its state.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The program's directory within that of the user.
const NAME: &str = "inferometer";

/// What a service manager gives (`STATE_DIRECTORY`, systemd), else the user's directory of states (XDG, or macOS's),
/// with the program's name. `None` without a home.
pub(super) fn of(env: &[(OsString, OsString)]) -> Option<PathBuf> {
    let variable = |name: &str| {
        let found = env.iter().find(|(key, _)| key == name).map(|(_, value)| Path::new(value));
        // A relative one is to be ignored (XDG Base Directory Specification), and says nothing elsewhere.
        found.filter(|path| path.is_absolute())
    };
    let given = env.iter().find(|(key, _)| key == "STATE_DIRECTORY").and_then(|(_, paths)| paths.to_str());
    // A service may have several, of which the first is its own.
    let given = given.and_then(|paths| paths.split(':').next()).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || variable("HOME").map(|home| home.join(if cfg!(target_os = "macos") { MACOS } else { XDG }));
    given.or_else(|| Some(variable("XDG_STATE_HOME").map(Path::to_owned).or_else(home)?.join(NAME)))
}

/// Within a home: the XDG specification's default.
const XDG: &str = ".local/state";

/// Within a home: Apple's file system programming guide.
const MACOS: &str = "Library/Application Support";

#[cfg(test)]
mod tests {
    use super::*;

    fn found(env: &[(&str, &str)]) -> Option<String> {
        let env: Vec<_> = env.iter().map(|(key, value)| (key.into(), value.into())).collect();
        of(&env).map(|path| path.display().to_string())
    }

    #[test]
    fn the_service_managers_directory_comes_before_the_users() {
        let home = if cfg!(target_os = "macos") { "/h/Library/Application Support" } else { "/h/.local/state" };
        assert_eq!(found(&[("HOME", "/h")]), Some(format!("{home}/inferometer")));
        assert_eq!(found(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]), Some("/s/inferometer".into()));
        let all = [("HOME", "/h"), ("STATE_DIRECTORY", "/var/lib/inferometer:/var/lib/more")];
        assert_eq!(found(&all), Some("/var/lib/inferometer".into()));
    }

    #[test]
    fn what_is_no_absolute_path_says_nothing() {
        assert_eq!(found(&[]), None);
        assert_eq!(found(&[("HOME", "")]), None);
        assert_eq!(found(&[("STATE_DIRECTORY", ""), ("XDG_STATE_HOME", "state"), ("HOME", "home")]), None);
    }
}
