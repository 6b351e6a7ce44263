//! Reads lists of backends in the format of Prometheus' `file_sd_configs`: groups of targets with labels, as JSON or YAML.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::settings::BackendElement;
use super::{backends, value};
use crate::backend::address::Address;

/// Most bytes of a file.
pub const MAX_FILE: u64 = 1 << 20;

#[derive(Deserialize)]
struct Group {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// The backends that a file lists. Of labels, `name` (of a group of one), `node`, `zone`, `weight`, `tier`, `slots`, `drain`
/// and `__scheme__` mean what the keys of a backend do; others are left alone.
///
/// # Errors
/// What is wrong, where one of them cannot be used.
pub fn parse(text: &str) -> Result<Vec<BackendElement>, String> {
    let groups: Vec<Group> = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
    let each = groups.iter().flat_map(|group| group.targets.iter().map(move |target| (group, target)));
    each.map(|(group, target)| element(group, target).map_err(|why| format!("{target}: {why}"))).collect()
}

fn element(group: &Group, target: &str) -> Result<BackendElement, String> {
    let label = |name: &str| group.labels.get(name).map(String::as_str);
    if label("name").is_some() && group.targets.len() > 1 {
        return Err("a group with a name has one target".to_owned());
    }
    if label("__scheme__").is_some_and(|scheme| scheme != "http") {
        return Err("only http is spoken to what is discovered: write a table [[backends]] for it".to_owned());
    }
    let mut element = BackendElement { url: Some(plain(target)?), ..BackendElement::default() };
    let wrong = |name: &str| format!("the label {name} has no allowed value");
    element.name = backends::name(label("name").unwrap_or_default()).map_err(|_| wrong("name"))?;
    element.node = value::place(label("node").unwrap_or_default()).map_err(|_| wrong("node"))?;
    element.zone = value::place(label("zone").unwrap_or_default()).map_err(|_| wrong("zone"))?;
    let share = &mut element.share;
    share.weight = value::weight(label("weight").unwrap_or("1")).map_err(|_| wrong("weight"))?;
    share.tier = value::tier(label("tier").unwrap_or("0")).map_err(|_| wrong("tier"))?;
    share.slots = value::slots(label("slots").unwrap_or("auto")).map_err(|_| wrong("slots"))?;
    share.drains = match label("drain").unwrap_or("false") {
        "true" => true,
        "false" => false,
        _ => return Err(wrong("drain")),
    };
    Ok(element)
}

/// An address without TLS.
fn plain(target: &str) -> Result<Address, String> {
    let address: Address = target.parse().map_err(|error: crate::backend::address::AddressError| error.to_string())?;
    if address.tls { Err("only http:// can be discovered".to_owned()) } else { Ok(address) }
}

/// Addresses without TLS, of which each IP address is a backend.
pub(super) fn names(texts: &[&str]) -> Result<Vec<Address>, super::invalid::InvalidValue> {
    let refused = |at, why| super::invalid::InvalidValue::Element(at, why);
    texts.iter().enumerate().map(|(at, text)| plain(text).map_err(|why| refused(at, why))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Slots;

    #[test]
    fn json_and_yaml_of_prometheus_list_backends() {
        let json = r#"[{"targets":["gpu1:11434","10.0.0.7:8080"],"labels":{"zone":"cellar","job":"x"}},
            {"targets":["gpu2:11434"],"labels":{"name":"big","weight":"3","tier":"1","slots":"8","drain":"true","node":"n"}}]"#;
        let yaml = "- targets: ['gpu1:11434', '10.0.0.7:8080']\n  labels: {zone: cellar, job: x}\n\
                    - targets: [gpu2:11434]\n  labels:\n    name: big\n    weight: '3'\n    tier: '1'\n    slots: '8'\n    \
                    drain: 'true'\n    node: n\n";
        let listed = parse(json).expect("fine");
        assert_eq!(Ok(&listed), parse(yaml).as_ref());
        let [one, other, big] = &*listed else { panic!("{listed:?}") };
        let url = |element: &BackendElement| element.url.as_ref().map(ToString::to_string);
        assert_eq!(url(one).as_deref(), Some("http://gpu1:11434"));
        assert_eq!((url(other).as_deref(), other.zone.as_deref()), (Some("http://10.0.0.7:8080"), Some("cellar")));
        assert_eq!((big.name.as_deref(), big.node.as_deref(), big.share.drains), (Some("big"), Some("n"), true));
        assert_eq!((big.share.weight.get(), big.share.tier), (3, 1));
        assert_eq!(big.share.slots, Slots::AtMost(8.try_into().expect("not zero")));
        assert_eq!(parse("[]"), Ok(Vec::new()));
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_reason() {
        for (text, reason) in [
            ("{", "sequence"),
            ("[{}]", "targets"),
            (r#"[{"targets":["http://"]}]"#, "host"),
            (r#"[{"targets":["https://a"]}]"#, "only http"),
            (r#"[{"targets":["a"],"labels":{"__scheme__":"https"}}]"#, "only http"),
            (r#"[{"targets":["a","b"],"labels":{"name":"x"}}]"#, "one target"),
            (r#"[{"targets":["a"],"labels":{"weight":"0"}}]"#, "weight"),
            (r#"[{"targets":["a"],"labels":{"drain":"yes"}}]"#, "drain"),
        ] {
            let why = parse(text).expect_err(text);
            assert!(why.contains(reason), "{text}: {why}");
        }
    }
}
