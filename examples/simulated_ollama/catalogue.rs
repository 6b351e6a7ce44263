//! The models that exist here, and their pace.

use std::time::Duration;

/// What a model is and how fast it works.
#[derive(Debug)]
pub(crate) struct Model {
    /// Full name, with its tag.
    pub(crate) name: &'static str,
    /// Identity of the stored model.
    pub(crate) digest: &'static str,
    /// The weights: those of the model that it was made from, where it was made from another.
    pub(crate) weights: &'static str,
    /// Family, as in `details`.
    pub(crate) family: &'static str,
    /// Parameters, as in `details`.
    pub(crate) parameter_size: &'static str,
    /// Quantisation, as in `details`.
    pub(crate) quantization: &'static str,
    /// Bytes on disk; what a resident copy takes is taken as the same and a fifth.
    pub(crate) size: u64,
    /// Longest context, tokens.
    pub(crate) context_length: u32,
    /// Width of an embedding.
    pub(crate) embedding_length: u32,
    /// What it can do: `completion`, `tools`, `thinking`, `embedding`.
    pub(crate) capabilities: &'static [&'static str],
    /// Time from cold to ready.
    pub(crate) load: Duration,
    /// Prompt tokens a second.
    pub(crate) prefill_rate: f64,
    /// Generated tokens a second.
    pub(crate) decode_rate: f64,
}

impl Model {
    /// Whether it can do this.
    pub(crate) fn can(&self, capability: &str) -> bool {
        self.capabilities.contains(&capability)
    }

    /// Bytes a resident copy takes.
    pub(crate) fn resident_size(&self) -> u64 {
        self.size + self.size / 5
    }
}

/// Every model, in the order they are listed.
pub(crate) static MODELS: [Model; 5] = [
    Model {
        name: "llama3.2:3b",
        digest: "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72",
        weights: "llama3.2:3b",
        family: "llama",
        parameter_size: "3.2B",
        quantization: "Q4_K_M",
        size: 2_019_393_189,
        context_length: 131_072,
        embedding_length: 3_072,
        capabilities: &["completion", "tools"],
        load: Duration::from_millis(900),
        prefill_rate: 2_500.0,
        decode_rate: 95.0,
    },
    Model {
        name: "pirate:latest",
        digest: "5a7e6ee1c0ffee9a1dbe57c0de0a11b0a7d00d1ebadcafe0ddba115eafa4a1e0",
        weights: "llama3.2:3b",
        family: "llama",
        parameter_size: "3.2B",
        quantization: "Q4_K_M",
        size: 2_019_393_189,
        context_length: 131_072,
        embedding_length: 3_072,
        capabilities: &["completion", "tools"],
        load: Duration::from_millis(900),
        prefill_rate: 2_500.0,
        decode_rate: 95.0,
    },
    Model {
        name: "qwen3:8b",
        digest: "500a1f067a9f782620b40bee6f7b0c89e17ae61f686b92c24933e4ca4b2b8b41",
        weights: "qwen3:8b",
        family: "qwen3",
        parameter_size: "8.2B",
        quantization: "Q4_K_M",
        size: 5_225_388_164,
        context_length: 40_960,
        embedding_length: 4_096,
        capabilities: &["completion", "tools", "thinking"],
        load: Duration::from_millis(2_200),
        prefill_rate: 1_200.0,
        decode_rate: 48.0,
    },
    Model {
        name: "gemma3:27b",
        digest: "a418f5838eaf7fe2cfe0a3046c8384b68ba43a4435542c942f9db00a5f342203",
        weights: "gemma3:27b",
        family: "gemma3",
        parameter_size: "27.4B",
        quantization: "Q4_K_M",
        size: 17_396_936_941,
        context_length: 131_072,
        embedding_length: 5_376,
        capabilities: &["completion", "vision"],
        load: Duration::from_millis(7_500),
        prefill_rate: 280.0,
        decode_rate: 14.0,
    },
    Model {
        name: "nomic-embed-text:latest",
        digest: "0a109f422b47e3a30ba2b10eca18548e944e8a23073ee3f3e947efcf3c45e59f",
        weights: "nomic-embed-text:latest",
        family: "nomic-bert",
        parameter_size: "137M",
        quantization: "F16",
        size: 274_302_450,
        context_length: 2_048,
        embedding_length: 768,
        capabilities: &["embedding"],
        load: Duration::from_millis(250),
        prefill_rate: 9_000.0,
        decode_rate: 1.0,
    },
];

/// The model meant by a name, in any of the spellings that Ollama takes for it: the registry's host and `library/` may
/// stand before it, without a tag `latest` is meant, and case does not matter. Answers repeat the name as it was asked.
pub(crate) fn find(name: &str) -> Option<&'static Model> {
    let name = name.to_ascii_lowercase();
    let name = name.split_once("://").map_or(&*name, |(_, rest)| rest);
    let name = name.strip_prefix("registry.ollama.ai/").filter(|rest| rest.contains('/')).unwrap_or(name);
    let name = name.strip_prefix("library/").unwrap_or(name);
    MODELS.iter().find(|model| model.name == name || model.name.strip_suffix(":latest") == Some(name))
}
