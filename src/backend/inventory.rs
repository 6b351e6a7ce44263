//! What a backend is and has: its runtime, its models, and which of them are in memory.
//!
//! A picture at one instant, exchanged as a whole. `None` is unknown, never empty or zero; texts are short and printable,
//! whatever the backend said.

use std::time::SystemTime;

/// Models that are remembered of one backend at most.
pub(super) const MAX_MODELS: usize = 2_000;

/// Longest text that is taken over, in bytes.
const MAX_TEXT: usize = 128;

/// Which server it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// Ollama, or what speaks its whole language.
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
pub struct Model {
    /// As requests name it.
    pub name: Box<str>,
    /// Digest or commit of its files.
    pub revision: Option<Box<str>>,
    /// Format of the numbers, as `Q4_K_M` or `float16`.
    pub quant: Option<Box<str>>,
    /// Architecture, as `llama`.
    pub family: Option<Box<str>>,
    /// How many parameters, as `8.0B`.
    pub parameter_size: Option<Box<str>>,
    /// Format of the files, as `gguf`.
    pub format: Option<Box<str>>,
}

/// When a model leaves memory unless it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Then.
    At(SystemTime),
    /// Never by itself.
    Never,
}

/// One model that is in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// As requests name it.
    pub name: Box<str>,
    /// Digest of its files.
    pub revision: Option<Box<str>>,
    /// Bytes in memory, of all devices.
    pub size: Option<u64>,
    /// Bytes of those in the memory of GPUs.
    pub vram: Option<u64>,
    /// Tokens of context that it was loaded for.
    pub context: Option<u64>,
    /// When it leaves.
    pub expires: Option<Expiry>,
}

/// One backend as it was last seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Which server it is.
    pub runtime: Runtime,
    /// Its version, as it writes it.
    pub version: Option<Box<str>>,
    /// What it can serve.
    pub models: Vec<Model>,
    /// What is in memory; `None` where it does not say, or is not reached.
    pub resident: Option<Vec<Resident>>,
    /// `resident` is read from `/api/ps` every few seconds.
    pub polled: bool,
}

impl Inventory {
    /// The models that are known not to be in memory, under any of their names. `None` where nobody looks often enough.
    #[must_use]
    pub fn absent(&self) -> Option<Vec<&str>> {
        let resident = self.resident.as_ref().filter(|_| self.polled)?;
        let in_memory = |model: &Model| {
            // Two names of the same files are one model in memory, listed under the name it was loaded by.
            resident.iter().any(|held| {
                held.name.eq_ignore_ascii_case(&model.name)
                    || (held.revision.is_some() && held.revision == model.revision)
            })
        };
        Some(self.models.iter().filter(|model| !in_memory(model)).map(|model| &*model.name).collect())
    }
}

/// A text of a backend's that is fit to be shown. Nothing, and the word for it, is `None`.
pub(super) fn text(value: &str) -> Option<Box<str>> {
    let value = value.trim();
    let fit = !value.is_empty() && value.len() <= MAX_TEXT && !value.chars().any(char::is_control);
    (fit && value != "unknown").then(|| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, revision: &str) -> Model {
        Model { name: name.into(), revision: text(revision), ..Model::default() }
    }

    #[test]
    fn a_model_is_absent_unless_it_is_in_memory_under_some_name() {
        let mut inventory = Inventory {
            models: vec![model("a", "1"), model("copy-of-a", "1"), model("b", "2"), model("c", "")],
            resident: Some(vec![Resident { name: "a".into(), revision: text("1"), ..Resident::default() }]),
            polled: true,
            ..Inventory::default()
        };
        assert_eq!(inventory.absent(), Some(vec!["b", "c"]));
        inventory.polled = false;
        assert_eq!(inventory.absent(), None);
        inventory = Inventory { resident: None, polled: true, ..inventory };
        assert_eq!(inventory.absent(), None);
    }

    #[test]
    fn texts_are_short_and_printable_or_unknown() {
        assert_eq!(text(" Q4_K_M ").as_deref(), Some("Q4_K_M"));
        for strange in ["", " ", "unknown", "a\nb", &"x".repeat(MAX_TEXT + 1)] {
            assert_eq!(text(strange), None, "{strange:?}");
        }
    }
}
