//! What the path of a control group says of who made it. Pure.
//!
//! Sources: the drivers `systemd` and `cgroupfs` of the engines (`docker-ID.scope` and `/docker/ID`, `libpod-ID.scope`), the
//! kubelet's `kubepods` with a pod's UID, and systemd.unit(5).

/// Characters of a container's id that engines show in their lists.
const SHORT_ID: usize = 12;

/// The program that made a control group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// A pod of Kubernetes, whichever engine runs it.
    Kubernetes,
    /// containerd or CRI-O without Kubernetes.
    Containerd,
    /// A service of systemd.
    Systemd,
}

/// Who made a group, and what it is called there: the first twelve characters of a container's id, as `docker ps` shows it,
/// or the unit. A group of neither has the last part of its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// `None` where the path does not say.
    pub maker: Option<Maker>,
    /// Its name there.
    pub name: String,
    /// The UID of the pod, of Kubernetes alone.
    pub pod: Option<String>,
}

impl Name {
    /// What this path says.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let pod = path.split('/').find_map(pod);
        if let Some((maker, id)) = container(path) {
            let maker = if pod.is_some() { Maker::Kubernetes } else { maker };
            return Self { maker: Some(maker), name: id.chars().take(SHORT_ID).collect(), pod };
        }
        // What a user starts in a terminal or on a desktop has a scope, below the service of the user's manager.
        let is_unit = |part: &&str| part.ends_with(".service") || part.ends_with(".scope");
        if let Some(unit) = path.split('/').rev().find(is_unit) {
            let maker = unit.ends_with(".service").then_some(Maker::Systemd);
            return Self { maker, name: unit.to_owned(), pod: None };
        }
        let last = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path);
        Self { maker: None, name: last.to_owned(), pod: None }
    }
}

/// The engine and the id of the innermost container.
fn container(path: &str) -> Option<(Maker, &str)> {
    const SCOPES: [(&str, Maker); 5] = [
        ("docker-", Maker::Docker),
        ("libpod-", Maker::Podman),
        ("cri-containerd-", Maker::Containerd),
        ("crio-", Maker::Containerd),
        ("nerdctl-", Maker::Containerd),
    ];
    let parts: Vec<&str> = path.split('/').collect();
    let scope = |at: usize| {
        let part = parts[at].trim_end_matches(".scope");
        if let Some(found) = SCOPES.iter().find_map(|(prefix, maker)| Some((*maker, id(part.strip_prefix(prefix)?)?))) {
            return Some(found);
        }
        // The driver cgroupfs has plain ids below a folder of its own.
        let above = parts.get(at.checked_sub(1)?)?;
        let maker = match *above {
            "docker" => Maker::Docker,
            "libpod_parent" => Maker::Podman,
            above if pod(above).is_some() => Maker::Kubernetes,
            _ => return None,
        };
        Some((maker, id(part.trim_start_matches("libpod-"))?))
    };
    (0..parts.len()).rev().find_map(scope)
}

/// An id is of hexadecimal digits.
fn id(text: &str) -> Option<&str> {
    (text.len() >= SHORT_ID && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(text)
}

/// The UID in the name of a pod's group: `kubepods-burstable-pod1234_5678.slice`, or `pod1234-5678` below `kubepods`.
fn pod(part: &str) -> Option<String> {
    let part = part.trim_end_matches(".slice");
    let uid = match part.strip_prefix("kubepods") {
        Some(rest) => rest.split_once("-pod")?.1,
        None => part.strip_prefix("pod").filter(|uid| uid.len() >= 32)?,
    };
    Some(uid.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_as_whoever_made_it_names_it() {
        const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        const POD: &str = "3e1b7c62-7d0c-4b5e-9f6a-2b8a0c1d2e3f";
        let slice = POD.replace('-', "_");
        let short = &ID[..SHORT_ID];
        for (path, maker, name, pod) in [
            (format!("/system.slice/docker-{ID}.scope"), Some(Maker::Docker), short, None),
            (format!("/docker/{ID}"), Some(Maker::Docker), short, None),
            (
                format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container"),
                Some(Maker::Podman),
                short,
                None,
            ),
            (format!("/machine.slice/libpod-{ID}.scope"), Some(Maker::Podman), short, None),
            (format!("/libpod_parent/libpod-{ID}"), Some(Maker::Podman), short, None),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{slice}.slice/cri-containerd-{ID}.scope"
                ),
                Some(Maker::Kubernetes),
                short,
                Some(POD),
            ),
            (
                format!("/kubepods.slice/kubepods-pod{slice}.slice/crio-{ID}.scope"),
                Some(Maker::Kubernetes),
                short,
                Some(POD),
            ),
            (format!("/kubepods/besteffort/pod{POD}/{ID}"), Some(Maker::Kubernetes), short, Some(POD)),
            (
                format!(
                    "/system.slice/containerd.service/kubepods-burstable-pod{slice}.slice/cri-containerd-{ID}.scope"
                ),
                Some(Maker::Kubernetes),
                short,
                Some(POD),
            ),
            ("/system.slice/ollama.service".to_owned(), Some(Maker::Systemd), "ollama.service", None),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/vllm.service".to_owned(),
                Some(Maker::Systemd),
                "vllm.service",
                None,
            ),
            (
                "/system.slice/system-llama.slice/llama@3.service".to_owned(),
                Some(Maker::Systemd),
                "llama@3.service",
                None,
            ),
            ("/user.slice/user-1000.slice/session-1.scope".to_owned(), None, "session-1.scope", None),
            (
                "/user.slice/user-1.slice/user@1.service/app.slice/app-term.scope".to_owned(),
                None,
                "app-term.scope",
                None,
            ),
            ("/system.slice/vllm.service/payload".to_owned(), Some(Maker::Systemd), "vllm.service", None),
            ("/docker/buildkit".to_owned(), None, "buildkit", None),
            (
                "/process_api/b62a031cda2c00643bab3e0061bb35e7".to_owned(),
                None,
                "b62a031cda2c00643bab3e0061bb35e7",
                None,
            ),
            ("/".to_owned(), None, "/", None),
        ] {
            let expected = Name { maker, name: name.to_owned(), pod: pod.map(str::to_owned) };
            assert_eq!(Name::of(&path), expected, "{path}");
        }
    }
}
