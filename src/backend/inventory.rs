//! The inventory of a backend: its server software, its models, and which of them are in memory.
//!
//! An immutable snapshot, replaced as a whole. `None` is unknown, never empty or zero; texts are short and printable
//! whatever the backend sent.

use std::num::NonZeroU32;
use std::time::SystemTime;

/// The most models that are kept of one backend.
pub(super) const MAX_MODELS: usize = 2_000;

/// The longest text that is kept, in bytes.
const MAX_TEXT: usize = 128;

/// The server software of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// Ollama, or a server with its complete API.
    Ollama,
    /// llama.cpp's own server.
    LlamaCpp,
    /// vLLM.
    Vllm,
    /// `SGLang`.
    Sglang,
    /// Text Generation Inference.
    Tgi,
    /// LM Studio.
    LmStudio,
    /// Not recognised.
    #[default]
    Unknown,
}

impl Runtime {
    /// The label value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ollama => "ollama",
            Self::LlamaCpp => "llama.cpp",
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::Tgi => "tgi",
            Self::LmStudio => "lmstudio",
            Self::Unknown => "unknown",
        }
    }
}

/// One model that a backend lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListedModel {
    /// The name by which requests select it.
    pub name: Box<str>,
    /// Digest or commit of its files.
    pub revision: Option<Box<str>>,
    /// Format of the weights, such as `Q4_K_M` or `float16`.
    pub quant: Option<Box<str>>,
    /// Architecture, such as `llama`.
    pub family: Option<Box<str>>,
    /// Number of parameters, such as `8.0B`.
    pub parameter_size: Option<Box<str>>,
    /// File format, such as `gguf`.
    pub format: Option<Box<str>>,
    /// Bytes of its files.
    pub size: Option<u64>,
    /// Its vocabulary, in tokens.
    pub vocabulary: Option<u64>,
    /// It runs on another host, to which the backend forwards requests; it is never in the backend's memory.
    pub remote: bool,
}

/// When a model is unloaded unless it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// At this time.
    At(SystemTime),
    /// Never.
    Never,
}

/// One model that is in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// The name by which requests select it.
    pub name: Box<str>,
    /// Digest of its files.
    pub revision: Option<Box<str>>,
    /// Bytes in the memory of all devices.
    pub size: Option<u64>,
    /// Bytes of these in GPU memory.
    pub vram: Option<u64>,
    /// Context length with which it was loaded, in tokens.
    pub context: Option<u64>,
    /// When it is unloaded unless it is used.
    pub expires: Option<Expiry>,
    /// When it was first seen in memory; `None` where it was there at the first look.
    pub loaded: Option<SystemTime>,
}

/// The last known inventory of one backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Its server software.
    pub runtime: Runtime,
    /// The version that it reports.
    pub version: Option<Box<str>>,
    /// The models that it lists.
    pub models: Vec<ListedModel>,
    /// It serves further models that it does not list.
    pub is_partial: bool,
    /// Exchanges that it works on at once; `None` where it does not say.
    pub slots: Option<NonZeroU32>,
    /// The models in memory; `None` where it does not say, or is unreachable.
    pub resident: Option<Vec<Resident>>,
    /// `resident` comes from polling `/api/ps`.
    pub polled: bool,
    /// When `resident` was polled, by the backend's clock, to the second; `None` where it sends no time.
    pub polled_at: Option<SystemTime>,
}

impl Inventory {
    /// The models in memory, under each of their names: two names of the same files are one model in memory, which the
    /// backend reports under the name used to load it. `None` where it does not say, or is unreachable.
    pub fn resident_names(&self) -> Option<impl Iterator<Item = (&str, &Resident)>> {
        let resident = self.resident.as_ref()?;
        let same = |resident: &Resident, model: &ListedModel| {
            resident.name.eq_ignore_ascii_case(&model.name)
                || (resident.revision.is_some() && resident.revision == model.revision)
        };
        let others = move |loaded: &'_ Resident| {
            let models = self.models.iter().filter(|model| model.name != loaded.name && same(loaded, model));
            models.map(|model| &*model.name).collect::<Vec<&str>>()
        };
        // The reported names come first: the others only repeat them.
        let reported = resident.iter().map(|loaded| (&*loaded.name, loaded));
        let further = move |loaded| others(loaded).into_iter().map(move |name| (name, loaded));
        Some(reported.chain(resident.iter().flat_map(further)))
    }

    /// The names of the models that run on other hosts.
    pub fn remote_models(&self) -> impl Iterator<Item = &str> {
        self.models.iter().filter(|model| model.remote).map(|model| &*model.name)
    }
}

/// A trimmed text that is fit to be displayed. `None` if it is empty, too long, has control characters or is `unknown`.
pub(super) fn text(value: &str) -> Option<Box<str>> {
    let value = value.trim();
    let fit = !value.is_empty() && value.len() <= MAX_TEXT && !value.chars().any(char::is_control);
    (fit && value != "unknown").then(|| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, revision: &str) -> ListedModel {
        ListedModel { name: name.into(), revision: text(revision), ..ListedModel::default() }
    }

    #[test]
    fn a_resident_model_has_all_its_names() {
        let mut inventory = Inventory {
            models: vec![model("a", "1"), model("copy-of-a", "1"), model("b", "2"), model("c", ""), model("D", "")],
            resident: Some(vec![
                Resident { name: "a".into(), revision: text("1"), ..Resident::default() },
                Resident { name: "d".into(), ..Resident::default() },
            ]),
            polled: true,
            ..Inventory::default()
        };
        let names: Vec<&str> = inventory.resident_names().expect("it says").map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "d", "copy-of-a", "D"]);
        inventory.resident = None;
        assert!(inventory.resident_names().is_none());
    }

    #[test]
    fn texts_are_short_and_printable_or_unknown() {
        assert_eq!(text(" Q4_K_M ").as_deref(), Some("Q4_K_M"));
        for strange in ["", " ", "unknown", "a\nb", &"x".repeat(MAX_TEXT + 1)] {
            assert_eq!(text(strange), None, "{strange:?}");
        }
    }
}
