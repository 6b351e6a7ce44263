//! Drops the process's privileges, for good.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdout, Command, Stdio};

use crate::options::{Listen, Options, User};

/// Becomes `user` if the process is root, and drops all capabilities. Call it before starting any thread: on Linux each
/// thread has its own privileges, and inherits those of its parent.
#[cfg(target_os = "linux")]
pub(crate) fn drop_all(user: User) -> io::Result<()> {
    use rustix::process::{Gid, Uid, geteuid};
    use rustix::thread;

    if geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        thread::set_thread_groups(&[])?;
        thread::set_thread_res_gid(gid, gid, gid)?;
        thread::set_thread_res_uid(uid, uid, uid)?;
    }
    let none = thread::CapabilitySet::empty();
    thread::set_capabilities(None, thread::CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    thread::set_no_new_privs(true)?;
    if geteuid().is_root() { Err(io::Error::other("still root after dropping it")) } else { Ok(()) }
}

/// Outside Linux only [`become_unprivileged_reader`] drops privileges; this refuses to go on as root.
#[cfg(not(target_os = "linux"))]
pub(crate) fn drop_all(_: User) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        return Err(io::Error::other("will not listen as root; use --source powermetrics, which drops it"));
    }
    Ok(())
}

/// Replaces this process by this same program, run as the unprivileged user without supplementary groups, reading the
/// output of a program that keeps its privileges. No privileged state survives. Returns only when that fails.
pub(crate) fn become_unprivileged_reader(options: &Options, output: ChildStdout) -> io::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let listen = match &options.listen {
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    };
    let User { uid, gid } = options.user;
    let mut command = Command::new(program);
    command.args(["--source", "-", "--listen", &listen, "--user", &format!("{uid}:{gid}")]);
    command.env_clear().current_dir("/").stdin(Stdio::from(output));
    if rustix::process::geteuid().is_root() {
        command.uid(uid).gid(gid); // `Command::uid` also clears the supplementary groups
    }
    command.exec()
}
