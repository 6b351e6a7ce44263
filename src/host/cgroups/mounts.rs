//! Where control groups are mounted (/proc/self/mountinfo, proc_pid_mountinfo(5)).

use std::path::{Path, PathBuf};

use super::membership::{CPU, CPU_USAGE, Membership};

/// The version of the kernel's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// Every mounted hierarchy.
#[derive(Debug, PartialEq)]
pub(super) struct Mounts(Vec<Mount>);

#[derive(Debug, PartialEq)]
struct Mount {
    version: Version,
    /// The group that is mounted there: not the root in a container without a namespace of its own.
    root: String,
    point: PathBuf,
    /// Of version 1.
    controllers: Vec<String>,
}

/// The folders of one group in one hierarchy.
#[derive(Debug)]
pub(super) struct Folders<'a> {
    pub(super) version: Version,
    pub(super) own: PathBuf,
    top: &'a Path,
}

impl Folders<'_> {
    /// The group's own folder, and those of the groups that it lies in.
    pub(super) fn up(&self) -> impl Iterator<Item = &Path> {
        self.own.ancestors().take_while(|folder| folder.starts_with(self.top))
    }
}

impl Mounts {
    /// `None` where nothing of the kind is mounted.
    pub(super) fn parse(mountinfo: &str) -> Option<Self> {
        let mounts: Vec<_> = mountinfo.lines().filter_map(Mount::parse).collect();
        (!mounts.is_empty()).then_some(Self(mounts))
    }

    /// The folders of a process's group for a controller. `None` where this program cannot see them.
    pub(super) fn folders(&self, controller: &str, member: &Membership) -> Option<Folders<'_>> {
        let first =
            |path: &str, has: &dyn Fn(&&Mount) -> bool| self.0.iter().filter(has).find_map(|mount| mount.folders(path));
        if let Some(path) = member.of(controller) {
            let has = |mount: &&Mount| mount.controllers.iter().any(|name| name == controller);
            return first(path, &has);
        }
        // Both are one controller of version 2, so that one of version 1 for either says that it is not there.
        let is_elsewhere = [CPU, CPU_USAGE].contains(&controller) && member.of(CPU).is_some();
        let path = member.unified().filter(|_| !is_elsewhere)?;
        first(path, &|mount| mount.version == Version::Two)
    }
}

impl Mount {
    /// `36 35 98:0 /root /point options [tags] - type source options`.
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let version = match after.next()? {
            "cgroup" => Version::One,
            "cgroup2" => Version::Two,
            _ => return None,
        };
        let mut fields = before.split(' ').skip(3);
        let (root, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
        let options = after.nth(1).unwrap_or_default();
        let controllers = options.split(',').map(str::to_owned).collect();
        Some(Self { version, root, point: point.into(), controllers })
    }

    fn folders(&self, path: &str) -> Option<Folders<'_>> {
        let below = path.strip_prefix(self.root.trim_end_matches('/'))?;
        // A path that leads upwards is of a group outside of this namespace.
        if !(below.is_empty() || below.starts_with('/')) || below.split('/').any(|part| part == "..") {
            return None;
        }
        let own = self.point.join(below.trim_start_matches('/'));
        own.is_dir().then(|| Folders { version: self.version, own, top: &self.point })
    }
}

/// Spaces and the like are written as three octal digits.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_found_by_their_type_with_their_controllers() {
        let text = "24 30 0:22 / /sys rw,nosuid - sysfs sysfs rw\n\
                    31 24 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw\n\
                    33 24 0:29 /docker/ab /sys/fs/cgroup/cpu,cpuacct ro master:11 - cgroup cgroup rw,cpu,cpuacct\n\
                    34 24 0:30 / /a\\040b rw - cgroup cgroup rw,memory\n";
        let Some(Mounts(mounts)) = Mounts::parse(text) else { panic!("none") };
        let of = |mount: &Mount| (mount.version, mount.root.clone(), mount.point.display().to_string());
        assert_eq!(
            mounts.iter().map(of).collect::<Vec<_>>(),
            [
                (Version::Two, "/".to_owned(), "/sys/fs/cgroup/unified".to_owned()),
                (Version::One, "/docker/ab".to_owned(), "/sys/fs/cgroup/cpu,cpuacct".to_owned()),
                (Version::One, "/".to_owned(), "/a b".to_owned()),
            ]
        );
        assert!(mounts[1].controllers.iter().any(|name| name == CPU_USAGE));
        assert_eq!(Mounts::parse("24 30 0:22 / /sys rw - sysfs sysfs rw\nnonsense\n"), None);
    }
}
