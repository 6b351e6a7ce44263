//! Files of secrets.

use std::path::Path;

use crate::tls::FileError;

/// Longest file, in bytes.
const MAX_SIZE: u64 = 1 << 20;

/// Permissions that the other users of the machine must not have, nor a group to write. A group may read: that is how
/// Kubernetes and systemd hand a file to a service.
const TOO_OPEN: u32 = 0o027;

/// Reads the file that a setting names.
///
/// # Errors
/// When it is missing, too large, not text, or may be read by every user of the machine.
pub fn read(key: &str, path: &Path) -> Result<String, FileError> {
    let refuse = |reason: String| FileError::new(key, Some(path), reason);
    let unreadable = |cause: std::io::Error| refuse(format!("cannot be read: {cause}"));
    let about = std::fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(refuse("is not a file".to_owned()));
    }
    if about.len() > MAX_SIZE {
        return Err(refuse(format!("is larger than {MAX_SIZE} bytes")));
    }
    check_mode(&about).map_err(refuse)?;
    std::fs::read_to_string(path).map_err(unreadable)
}

fn check_mode(about: &std::fs::Metadata) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = about.permissions().mode() & 0o777;
    if mode & TOO_OPEN == 0 {
        return Ok(());
    }
    Err(format!("other users may read or change it (its mode is {mode:04o}): chmod 600"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let path = std::env::temp_dir().join(format!("inferometer-private-file-{}", std::process::id()));
        std::fs::write(&path, "text").expect("a file");
        for (mode, is_private) in
            [(0o600, true), (0o400, true), (0o440, true), (0o640, true), (0o644, false), (0o620, false), (0o660, false)]
        {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
            match read("access.keys_file", &path) {
                Ok(text) => assert!(is_private && text == "text", "{mode:o}"),
                Err(error) => {
                    assert!(!is_private && error.to_string().contains("chmod 600"), "{mode:o}: {error}");
                }
            }
        }
        std::fs::remove_file(&path).expect("it is there");
        assert!(read("access.keys_file", &path).is_err_and(|error| error.reason.starts_with("cannot be read")));
    }
}
