//! Which control groups a process is in (/proc/PID/cgroup, cgroups(7)).

/// The controller of processor time.
pub(super) const CPU: &str = "cpu";
/// That which counts it; of version 2 it is the same.
pub(super) const CPU_USAGE: &str = "cpuacct";
/// The controller of memory.
pub(super) const MEMORY: &str = "memory";
/// The controller of the number of processes.
pub(super) const PIDS: &str = "pids";

/// The paths of one process: of version 2, and of each controller of version 1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::host) struct Membership {
    unified: Option<Box<str>>,
    /// By controller, or `name=systemd`.
    controllers: Vec<(Box<str>, Box<str>)>,
}

impl Membership {
    /// Lines of `hierarchy:controllers:path`; version 2 has the hierarchy 0 and names no controllers.
    pub(in crate::host) fn parse(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(hierarchy), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            if hierarchy == "0" && controllers.is_empty() {
                all.unified = Some(path.into());
            } else {
                all.controllers.extend(controllers.split(',').map(|it| (it.into(), path.into())));
            }
        }
        all
    }

    /// The path of a controller of version 1.
    pub(super) fn of(&self, controller: &str) -> Option<&str> {
        self.controllers.iter().find(|(name, _)| **name == *controller).map(|(_, path)| &**path)
    }

    /// The path of version 2.
    pub(super) fn unified(&self) -> Option<&str> {
        self.unified.as_deref()
    }

    /// The path that says where the process runs; `None` in the root of every hierarchy.
    pub(in crate::host) fn place(&self) -> Option<&str> {
        let named = ["name=systemd", MEMORY, CPU, PIDS].into_iter().map(|controller| self.of(controller));
        std::iter::once(self.unified()).chain(named).flatten().find(|path| path.len() > 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_that_of_version_2_else_the_first_that_is_not_the_root() {
        for (text, place) in [
            ("0::/system.slice/ollama.service\n", Some("/system.slice/ollama.service")),
            ("0::/\n", None),
            ("12:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n1:name=systemd:/docker/ab\n0::/\n", Some("/docker/ab")),
            ("9:name=systemd:/\n4:memory:/jobs/7\n3:cpuset:/\n0::/\n", Some("/jobs/7")),
            (
                "11:memory:/a\n1:name=systemd:/user.slice/user-0.slice/a:b.scope\n",
                Some("/user.slice/user-0.slice/a:b.scope"),
            ),
            ("", None),
            ("nonsense\n0:\n", None),
        ] {
            assert_eq!(Membership::parse(text).place(), place, "{text}");
        }
        let both = Membership::parse("4:cpu,cpuacct:/a b\n0::/c\n");
        assert_eq!((both.of(CPU), both.of(CPU_USAGE), both.of(MEMORY)), (Some("/a b"), Some("/a b"), None));
        assert_eq!(both.unified(), Some("/c"));
    }
}
