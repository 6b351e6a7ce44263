//! The measured inputs: one plain chunk of each dialect and framing, and whole exchanges, as real servers send them.

/// How elements of a stream arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// One element per piece.
    Each,
    /// Each element in two pieces, cut in the middle.
    Cut,
    /// Sixteen elements in one piece, as after a pause.
    Gathered,
}

/// Elements in a gathered piece.
pub const GATHERED: usize = 16;

/// A stream of equal chunks.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name in the tables and on the command line.
    pub name: &'static str,
    /// The request's path.
    pub path: &'static str,
    /// The response's content type.
    pub kind: &'static str,
    /// One element with its terminator.
    pub element: &'static str,
    /// How elements arrive.
    pub arrival: Arrival,
}

impl Case {
    /// The pieces that hold so many elements.
    #[must_use]
    pub fn pieces(&self, elements: usize) -> Vec<Vec<u8>> {
        let element = self.element.as_bytes();
        match self.arrival {
            Arrival::Each => vec![element.to_vec(); elements],
            Arrival::Cut => {
                let (start, end) = element.split_at(element.len() / 2);
                (0..elements).flat_map(|_| [start.to_vec(), end.to_vec()]).collect()
            }
            Arrival::Gathered => vec![element.repeat(GATHERED); elements / GATHERED],
        }
    }

    /// Finds a case by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        CASES.iter().find(|case| case.name == name)
    }
}

/// A request with its whole answer.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Its name in the tables and on the command line.
    pub name: &'static str,
    /// The request's method.
    pub method: &'static str,
    /// The request's path.
    pub path: &'static str,
    /// The request's body.
    pub request: &'static str,
    /// The response's content type.
    pub kind: &'static str,
    /// The response's body, in the pieces in which it arrives.
    pub response: &'static [&'static str],
}

impl Exchange {
    /// Finds an exchange by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        EXCHANGES.iter().find(|exchange| exchange.name == name)
    }
}

const JSON: &str = "application/json";

/// Common exchanges: a whole answer, a stream of one chunk and its closing one, and one without a model.
pub const EXCHANGES: &[Exchange] = &[
    Exchange {
        name: "Ollama generate, whole",
        method: "POST",
        path: "/api/generate",
        request: "{\"model\":\"llama3.2\",\"prompt\":\"Why is the sky blue?\",\"stream\":false}",
        kind: JSON,
        response: &[
            "{\"model\":\"llama3.2\",\"created_at\":\"2026-01-01T00:00:00.123456789Z\",\"response\":\"Rayleigh.\",\
            \"done\":true,\"done_reason\":\"stop\",\"context\":[1,2,3,4,5,6,7,8],\"total_duration\":5043500667,\
            \"load_duration\":5025959,\"prompt_eval_count\":26,\"prompt_eval_duration\":325953000,\"eval_count\":290,\
            \"eval_duration\":4709213000}",
        ],
    },
    Exchange {
        name: "Ollama chat, a stream of one chunk",
        method: "POST",
        path: "/api/chat",
        request: "{\"model\":\"llama3.2\",\"messages\":[{\"role\":\"user\",\"content\":\"Why is the sky blue?\"}]}",
        kind: NDJSON,
        response: &[OLLAMA_CHAT, OLLAMA_LAST],
    },
    Exchange {
        name: "OpenAI chat, whole",
        method: "POST",
        path: "/v1/chat/completions",
        request: "{\"model\":\"llama3.2\",\"messages\":[{\"role\":\"user\",\"content\":\"Why is the sky blue?\"}]}",
        kind: JSON,
        response: &[
            "{\"id\":\"chatcmpl-123\",\"object\":\"chat.completion\",\"created\":1767225600,\"model\":\"llama3.2\",\
            \"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Rayleigh.\"},\
            \"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":26,\"completion_tokens\":290,\"total_tokens\":316}}",
        ],
    },
    Exchange {
        name: "a list of models",
        method: "GET",
        path: "/api/tags",
        request: "",
        kind: JSON,
        response: &["{\"models\":[{\"name\":\"llama3.2\",\"model\":\"llama3.2\"}]}"],
    },
];

/// The last line of an Ollama answer, with all counts and durations.
pub const OLLAMA_LAST: &str = "{\"model\":\"llama3.2\",\"created_at\":\"2026-01-01T00:00:09.123456789Z\",\
    \"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\
    \"total_duration\":9123456789,\"load_duration\":1234567,\"prompt_eval_count\":26,\"prompt_eval_duration\":123456789,\
    \"eval_count\":298,\"eval_duration\":8123456789}\n";

const NDJSON: &str = "application/x-ndjson";
const SSE: &str = "text/event-stream";

const OLLAMA_CHAT: &str = "{\"model\":\"llama3.2\",\"created_at\":\"2026-01-01T00:00:00.123456789Z\",\
    \"message\":{\"role\":\"assistant\",\"content\":\" upon\"},\"done\":false}\n";

const OPENAI_CHAT: &str = "data: {\"id\":\"chatcmpl-123\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\
    \"model\":\"llama3.2\",\"system_fingerprint\":\"fp_ollama\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\
    \"content\":\" upon\"},\"finish_reason\":null}]}\n\n";

const fn case(name: &'static str, path: &'static str, kind: &'static str, element: &'static str) -> Case {
    Case { name, path, kind, element, arrival: Arrival::Each }
}

/// Every dialect in its framing, the framings under other arrivals, and an opaque body.
pub const CASES: &[Case] = &[
    case("Ollama chat", "/api/chat", NDJSON, OLLAMA_CHAT),
    Case { arrival: Arrival::Cut, ..case("Ollama chat, cut in two", "/api/chat", NDJSON, OLLAMA_CHAT) },
    Case { arrival: Arrival::Gathered, ..case("Ollama chat, 16 at once", "/api/chat", NDJSON, OLLAMA_CHAT) },
    case(
        "Ollama chat, thinking",
        "/api/chat",
        NDJSON,
        "{\"model\":\"llama3.2\",\"created_at\":\"2026-01-01T00:00:00.123456789Z\",\"message\":{\"role\":\"assistant\",\
         \"content\":\"\",\"thinking\":\" upon\"},\"done\":false}\n",
    ),
    case(
        "Ollama generate",
        "/api/generate",
        NDJSON,
        "{\"model\":\"llama3.2\",\"created_at\":\"2026-01-01T00:00:00.123456789Z\",\"response\":\" upon\",\"done\":false}\n",
    ),
    case(
        "Ollama pull",
        "/api/pull",
        NDJSON,
        "{\"status\":\"pulling dde5aa3fc5ff\",\
         \"digest\":\"sha256:dde5aa3fc5ffc17176b5e8bdc82f587b24b2678c6c66101bf7da77af9f7ccdff\",\"total\":2019377376,\
         \"completed\":1019377376}\n",
    ),
    case("OpenAI chat", "/v1/chat/completions", SSE, OPENAI_CHAT),
    Case { arrival: Arrival::Cut, ..case("OpenAI chat, cut in two", "/v1/chat/completions", SSE, OPENAI_CHAT) },
    Case { arrival: Arrival::Gathered, ..case("OpenAI chat, 16 at once", "/v1/chat/completions", SSE, OPENAI_CHAT) },
    case(
        "OpenAI chat, usage in each chunk",
        "/v1/chat/completions",
        SSE,
        "data: {\"id\":\"chatcmpl-123\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\"model\":\"llama3.2\",\
         \"choices\":[{\"index\":0,\"delta\":{\"content\":\" upon\"},\"logprobs\":null,\"finish_reason\":null}],\
         \"usage\":{\"prompt_tokens\":26,\"total_tokens\":38,\"completion_tokens\":12}}\n\n",
    ),
    case(
        "OpenAI completions",
        "/v1/completions",
        SSE,
        "data: {\"id\":\"cmpl-123\",\"object\":\"text_completion\",\"created\":1767225600,\"choices\":[{\"text\":\" upon\",\
         \"index\":0,\"finish_reason\":null}],\"model\":\"llama3.2\",\"system_fingerprint\":\"fp_ollama\"}\n\n",
    ),
    case(
        "OpenAI responses",
        "/v1/responses",
        SSE,
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":7,\
         \"item_id\":\"msg_123\",\"output_index\":0,\"content_index\":0,\"delta\":\" upon\",\"logprobs\":[]}\n\n",
    ),
    case(
        "Anthropic messages",
        "/v1/messages",
        SSE,
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
         \"delta\":{\"type\":\"text_delta\",\"text\":\" upon\"}}\n\n",
    ),
    case(
        "llama.cpp completion",
        "/completion",
        SSE,
        "data: {\"index\":0,\"content\":\" upon\",\"tokens\":[330],\"stop\":false,\"id_slot\":-1,\"tokens_predicted\":2,\
         \"tokens_evaluated\":4}\n\n",
    ),
    case(
        "SGLang generate",
        "/generate",
        SSE,
        "data: {\"text\":\"Once upon\",\"output_ids\":[329,330],\"meta_info\":{\"id\":\"9f1c\",\"finish_reason\":null,\
         \"prompt_tokens\":4,\"completion_tokens\":2,\"cached_tokens\":0}}\n\n",
    ),
    case(
        "TGI generate",
        "/generate_stream",
        SSE,
        "data: {\"index\":2,\"token\":{\"id\":330,\"text\":\" upon\",\"logprob\":-0.51,\"special\":false},\
         \"generated_text\":null,\"details\":null}\n\n",
    ),
    case(
        "LM Studio chat",
        "/api/v1/chat",
        SSE,
        "event: message.delta\ndata: {\"type\":\"message.delta\",\"content\":\" upon\"}\n\n",
    ),
    case("nothing that is read", "/elsewhere", "application/octet-stream", OLLAMA_CHAT),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arrival_has_the_same_bytes() {
        for case in CASES {
            assert_eq!(
                case.pieces(2 * GATHERED).concat(),
                case.element.repeat(2 * GATHERED).as_bytes(),
                "{}",
                case.name
            );
        }
    }

    #[test]
    fn names_are_unique() {
        let names = CASES.iter().map(|case| case.name).chain(EXCHANGES.iter().map(|exchange| exchange.name));
        let apart: std::collections::BTreeSet<_> = names.clone().collect();
        assert_eq!(apart.len(), names.count());
    }
}
