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
    /// It runs elsewhere: the backend hands requests on, and never holds it in memory.
    pub elsewhere: bool,
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
    /// What is in memory, under each name that it has: two names of the same files are one model in memory, and it is
    /// reported under the name that it was loaded by. `None` where the backend does not say, or is not reached.
    pub fn held(&self) -> Option<impl Iterator<Item = (&str, &Resident)>> {
        let resident = self.resident.as_ref()?;
        let same = |held: &Resident, model: &Model| {
            held.name.eq_ignore_ascii_case(&model.name) || (held.revision.is_some() && held.revision == model.revision)
        };
        let others = move |held: &'_ Resident| {
            let models = self.models.iter().filter(|model| model.name != held.name && same(held, model));
            models.map(|model| &*model.name).collect::<Vec<&str>>()
        };
        // The reported names come first: another name only repeats one of them.
        let reported = resident.iter().map(|held| (&*held.name, held));
        Some(
            reported
                .chain(resident.iter().flat_map(move |held| others(held).into_iter().map(move |name| (name, held)))),
        )
    }

    /// The models that run elsewhere.
    pub fn elsewhere(&self) -> impl Iterator<Item = &str> {
        self.models.iter().filter(|model| model.elsewhere).map(|model| &*model.name)
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
    fn what_is_in_memory_is_so_under_each_of_its_names() {
        let mut inventory = Inventory {
            models: vec![model("a", "1"), model("copy-of-a", "1"), model("b", "2"), model("c", ""), model("D", "")],
            resident: Some(vec![
                Resident { name: "a".into(), revision: text("1"), ..Resident::default() },
                Resident { name: "d".into(), ..Resident::default() },
            ]),
            polled: true,
            ..Inventory::default()
        };
        let names: Vec<&str> = inventory.held().expect("it says").map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "d", "copy-of-a", "D"]);
        inventory.resident = None;
        assert!(inventory.held().is_none());
    }

    #[test]
    fn texts_are_short_and_printable_or_unknown() {
        assert_eq!(text(" Q4_K_M ").as_deref(), Some("Q4_K_M"));
        for strange in ["", " ", "unknown", "a\nb", &"x".repeat(MAX_TEXT + 1)] {
            assert_eq!(text(strange), None, "{strange:?}");
        }
    }
}
