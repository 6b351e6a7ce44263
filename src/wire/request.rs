//! Reads the model, the conversation, the length of the prompt and the load options from a request's body as it passes.

mod ids;
mod load;

use std::rc::Rc;

pub use ids::NamedIds;
pub use load::LoadOptions;

use super::budget::DecodeBudget;
use super::coding::{Coding, DecodeError, Decoder, Side};
use super::conversation::{NamedBy, NamedConversations};
use super::event::Defect;
use super::json::{Object, Scanner, Text, Value, Visit, Want};
use super::spelling::NameBuffer;
use super::units;
use ids::IdField;
use load::LoadOption;

/// Scans a request's body for its top-level `model` (or `name`) field: the last duplicate wins and the key is compared
/// without case, as in Go's `encoding/json`. The body may be of any length; memory is constant.
///
/// `model` wins over `name`, and this over the `source` of a copy, unless it is empty. A body that is not a JSON object costs nothing after its first byte. A
/// name that is too long or not UTF-8 is unknown.
///
/// Also counts the characters of the prompt (`prompt`, `system`, `suffix`, `messages`, `input`, `instructions` and the
/// like), approximately: half a surrogate pair counts as one. Images, tools, templates and prompts of token ids are
/// left out. No text is kept.
///
/// Of Ollama's `options`, reads those that make it load a model again ([`LoadOptions`]). Of what names the conversation,
/// keeps hashes ([`NamedConversations`]); counts the messages.
#[derive(Debug)]
pub struct ModelScanner {
    scanner: Scanner<Field>,
    values: BodyValues,
    coding: Coding,
    /// Why the body is not read to its end; `None` while it is.
    defect: Option<Defect>,
}

/// Names the wanted values.
#[derive(Clone, Copy, Debug)]
enum Field {
    Model,
    Name,
    /// The model that a copy is made of.
    Source,
    /// Text of the prompt, or the end of an element with such text.
    Prompt,
    /// The text of a prompt that is not in a list.
    OnePrompt,
    /// The end of one prompt of a list.
    EachPrompt,
    /// The end of a message of a chat.
    Message,
    /// The text of an input that is not in a list.
    OneInput,
    /// The end of an item of an input.
    Item,
    Conversation(NamedBy),
    /// Whether the answer begins with the prompt.
    Echo,
    /// How long the model stays in memory after the answer.
    KeepAlive,
    Load(LoadOption),
    Id(IdField),
}

/// What a request's body says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestFacts<'a> {
    /// The model as the client spells it; `None` is unknown.
    pub model: Option<&'a str>,
    /// The options with which the model is to be loaded.
    pub load_options: LoadOptions,
    /// Whether the model is to be unloaded after the answer; `None` where the request does not say.
    pub model_leaves: Option<bool>,
    /// Characters of the prompt; `None` where no text was found or the body was not read to its end.
    pub prompt_characters: Option<u64>,
    /// Messages of a chat, or items of an input; a text alone is one. `None` where there are none, or the body was not
    /// read to its end.
    pub messages: Option<u64>,
    /// What the body calls its conversation.
    pub conversations: NamedConversations,
    /// The body has exactly one prompt. False also where that is unknown.
    pub has_one_prompt: bool,
    /// The answer is to begin with the prompt (`echo`), and what it lists of each token with the prompt's tokens.
    pub echoes_prompt: bool,
    /// Why the body was not read to its end; `None` where it was.
    pub defect: Option<Defect>,
}

static BODY: Object<Field> = Object::ignoring_case(&[
    ("model", Want::Text(Field::Model)),
    ("name", Want::Text(Field::Name)),
    ("source", Want::Text(Field::Source)),
    // Completions: also SGLang's and TGI's names, and llama.cpp's for the parts of an infill.
    ("prompt", PROMPTS),
    ("suffix", CONTENT),
    ("text", PROMPTS),
    ("inputs", CONTENT),
    ("input_prefix", CONTENT),
    ("input_suffix", CONTENT),
    ("echo", Want::Truthy(Field::Echo)),
    // Chats.
    ("messages", Want::Each(Field::Message, &Want::Object(&MESSAGE))),
    ("system", CONTENT),
    // Responses, embeddings, LM Studio.
    ("input", Want::Measured(Field::OneInput, &Want::Each(Field::Item, &ITEM))),
    ("instructions", CONTENT),
    ("system_prompt", CONTENT),
    // Which conversation it is of.
    ("conversation", Want::TextOr(Field::Conversation(NamedBy::Conversation), &Want::Object(&CONVERSATION))),
    ("prompt_cache_key", Want::Text(Field::Conversation(NamedBy::PromptCacheKey))),
    ("metadata", Want::Object(&METADATA)),
    // Which earlier answers it names, and how it calls its own.
    ("previous_response_id", Want::Text(Field::Id(IdField::Earlier))),
    ("input_file_id", Want::Text(Field::Id(IdField::Earlier))),
    ("request_ids", Want::TextOr(Field::Id(IdField::Earlier), &EACH_EARLIER)),
    ("rid", Want::TextOr(Field::Id(IdField::Own), &EACH_OWN)),
    ("abort_all", Want::Truthy(Field::Id(IdField::All))),
    // Ollama.
    ("options", Want::Object(&OPTIONS)),
    ("keep_alive", Want::TextOr(Field::KeepAlive, &Want::Truthy(Field::KeepAlive))),
]);

static CONVERSATION: Object<Field> = Object::new(&[("id", Want::Text(Field::Conversation(NamedBy::Conversation)))]);
static METADATA: Object<Field> = Object::new(&[("user_id", Want::Text(Field::Conversation(NamedBy::UserId)))]);

static EACH_EARLIER: Want<Field> = Want::Each(Field::Id(IdField::Earlier), &AN_EARLIER);
static AN_EARLIER: Want<Field> = Want::Text(Field::Id(IdField::Earlier));
static EACH_OWN: Want<Field> = Want::Each(Field::Id(IdField::Own), &AN_OWN);
static AN_OWN: Want<Field> = Want::Text(Field::Id(IdField::Own));

static OPTIONS: Object<Field> = Object::new(&[
    ("num_ctx", Want::Count(Field::Load(LoadOption::Context))),
    ("num_batch", Want::Count(Field::Load(LoadOption::Batch))),
    ("num_gpu", Want::Count(Field::Load(LoadOption::GpuLayers))),
    ("main_gpu", Want::Count(Field::Load(LoadOption::MainGpu))),
    ("num_thread", Want::Count(Field::Load(LoadOption::Threads))),
    ("use_mmap", Want::Flag(Field::Load(LoadOption::MemoryMap))),
]);

// What is nested is a static of its own: Rust 1.88 does not promote the borrow of a constant that names a static.

/// A prompt, or a list of prompts that are answered one by one.
const PROMPTS: Want<Field> = Want::Measured(Field::OnePrompt, &EACH_PROMPT);
static EACH_PROMPT: Want<Field> = Want::Each(Field::EachPrompt, &PART);

/// A text, a list of texts, or parts with texts.
const CONTENT: Want<Field> = Want::Measured(Field::Prompt, &EACH_TEXT);
static EACH_TEXT: Want<Field> = Want::Each(Field::Prompt, &PART);
static PART: Want<Field> = Want::Measured(Field::Prompt, &Want::Object(&TEXT));
static TEXT: Object<Field> = Object::new(&[("text", WORDS), ("content", WORDS)]);
const WORDS: Want<Field> = Want::Measured(Field::Prompt, &NO_MEMBER);
static NO_MEMBER: Want<Field> = Want::Object(&NOTHING);
static NOTHING: Object<Field> = Object::new(&[]);

static ITEM: Want<Field> = Want::Measured(Field::Prompt, &Want::Object(&MESSAGE));
static MESSAGE: Object<Field> =
    Object::new(&[("content", CONTENT), ("thinking", WORDS), ("text", WORDS), ("output", CONTENT)]);

#[derive(Debug, Default)]
struct BodyValues {
    model: NameBuffer,
    name: NameBuffer,
    source: NameBuffer,
    /// Characters of the prompt.
    prompt: u64,
    /// Prompts outside lists.
    alone: u64,
    /// Prompts in lists.
    listed: u64,
    /// Messages, or items of the input.
    messages: u64,
    conversations: NamedConversations,
    /// The answer begins with the prompt.
    echo: bool,
    /// By [`LoadOption`].
    load: [Option<u64>; 6],
    /// Whether the model is to be unloaded after the answer.
    leaves: Option<bool>,
    /// `None` where they decide nothing.
    ids: Option<Box<NamedIds>>,
}

impl Visit<Field> for BodyValues {
    fn value(&mut self, field: Field, value: Value<'_>) {
        let kept = match (field, value) {
            (Field::Prompt | Field::OnePrompt | Field::OneInput, Value::Length(characters)) => {
                self.prompt = self.prompt.saturating_add(characters);
                self.alone += u64::from(matches!(field, Field::OnePrompt));
                self.messages += u64::from(matches!(field, Field::OneInput));
                return;
            }
            (Field::EachPrompt, _) => {
                self.listed += 1;
                return;
            }
            (Field::Message | Field::Item, _) => {
                self.messages += 1;
                return;
            }
            (Field::Load(option), value) => {
                self.load[option as usize] = match value {
                    Value::Count(count) => Some(count),
                    Value::Is(is) => Some(is.into()),
                    _ => None,
                };
                return;
            }
            (Field::Echo, value) => {
                self.echo = value == Value::Is(true);
                return;
            }
            (Field::KeepAlive, value) => {
                self.leaves = Some(match value {
                    Value::Text(duration) => units::is_zero_duration(duration),
                    seconds => seconds == Value::Is(false),
                });
                return;
            }
            (Field::Conversation(by), value) => {
                if let Value::Text(name) = value {
                    self.conversations.set(by, name);
                }
                if let (NamedBy::Conversation, Some(ids)) = (by, &mut self.ids) {
                    ids.set(IdField::Earlier, value);
                }
                return;
            }
            (Field::Id(field), value) => {
                if let Some(ids) = &mut self.ids {
                    ids.set(field, value);
                }
                return;
            }
            (Field::Prompt | Field::OnePrompt | Field::OneInput, _) => return,
            (Field::Model, _) => &mut self.model,
            (Field::Name, _) => &mut self.name,
            (Field::Source, _) => &mut self.source,
        };
        if let Value::Text(text) = value {
            *kept = NameBuffer::from_slice(text);
        }
    }
}

impl Default for ModelScanner {
    fn default() -> Self {
        Self { scanner: Scanner::new(&BODY), values: BodyValues::default(), coding: Coding::Plain, defect: None }
    }
}

impl ModelScanner {
    /// Longest model name, in bytes. A longer one is unknown.
    pub const MAX_NAME: usize = Text::MAX;

    /// For a body with this `Content-Encoding` (SGLang: `x-body-compressed`). If decoding fails, a model named before
    /// that is known, and nothing else.
    #[must_use]
    pub fn coded(content_encoding: &[u8], budget: &Rc<DecodeBudget>) -> Self {
        let coding = Coding::parse(Some(content_encoding), Side::Request, budget);
        let defect = matches!(coding, Coding::Unknown).then_some(Defect::Encoding);
        Self { coding, defect, ..Self::default() }
    }

    /// For a body of which nothing is known, for this reason: reads nothing.
    #[must_use]
    pub fn failed(defect: Defect) -> Self {
        Self { coding: Coding::Unknown, defect: Some(defect), ..Self::default() }
    }

    /// Keeps the ids that the body names.
    #[must_use]
    pub fn keeping_ids(mut self) -> Self {
        self.values.ids = Some(Box::default());
        self
    }

    /// The ids that the body names, so far; `None` where they are not kept.
    #[must_use]
    pub fn ids(&self) -> Option<&NamedIds> {
        self.values.ids.as_deref()
    }

    /// All that is known so far; final once the body has ended.
    #[must_use]
    pub fn facts(&self) -> RequestFacts<'_> {
        RequestFacts {
            model: self.model(),
            load_options: self.load_options(),
            model_leaves: self.model_leaves(),
            prompt_characters: self.prompt_characters(),
            messages: self.messages(),
            conversations: self.values.conversations,
            has_one_prompt: self.has_one_prompt(),
            echoes_prompt: self.values.echo,
            defect: self.defect(),
        }
    }

    /// Reads the next piece of the body.
    pub fn read(&mut self, piece: &[u8]) {
        let Self { scanner, values, coding, defect } = self;
        match coding {
            Coding::Plain => {
                scanner.read(piece, values);
            }
            Coding::Coded(decoder) => {
                if let Err(error) = decode(decoder, piece, scanner, values) {
                    *defect = Some(error.defect());
                    *coding = Coding::Unknown;
                }
            }
            Coding::Unknown => {}
        }
    }

    /// Whether the body is coded and still being decoded.
    #[must_use]
    pub const fn decodes(&self) -> bool {
        self.coding.is_decoded()
    }

    /// The model named so far; final once the body has ended. `None` is unknown.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        let BodyValues { model, name, source, .. } = &self.values;
        let named = [model, name, source].into_iter().find(|named| !named.is_empty())?;
        std::str::from_utf8(named).ok()
    }

    /// The model as far as the rest of the body will not overrule it by another field: `name` and `source` count once
    /// the body has ended.
    #[must_use]
    pub fn settled_model(&self, is_over: bool) -> Option<&str> {
        if is_over || !self.values.model.is_empty() { self.model() } else { None }
    }

    /// Whether the body has exactly one prompt. False also where that is unknown, as with token ids.
    #[must_use]
    pub fn has_one_prompt(&self) -> bool {
        self.defect.is_none() && self.values.alone + self.values.listed == 1
    }

    /// The load options so far; final once the body has ended.
    #[must_use]
    pub fn load_options(&self) -> LoadOptions {
        let [context, others @ ..] = self.values.load;
        // FNV-1a: the same options give the same number.
        let asked = others.iter().enumerate().filter_map(|(at, value)| Some((at as u64, (*value)?)));
        let others = asked.flat_map(|(at, value)| [at, value]).fold(0, |hash: u64, part| {
            (hash ^ part.wrapping_add(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0x0100_0000_01b3)
        });
        LoadOptions { context: context.filter(|tokens| *tokens > 0), others }
    }

    /// Whether the model is to be unloaded after the answer: `keep_alive` is 0, or a text that means 0. `None` where the
    /// request does not say.
    #[must_use]
    pub fn model_leaves(&self) -> Option<bool> {
        self.values.leaves
    }

    /// Characters of the prompt so far; final once the body has ended. `None` where no text was found, or the body was
    /// not read to its end.
    #[must_use]
    pub fn prompt_characters(&self) -> Option<u64> {
        Some(self.values.prompt).filter(|characters| self.defect.is_none() && *characters > 0)
    }

    /// Messages of a chat, or items of an input. `None` where there are none, or the body is not whole.
    fn messages(&self) -> Option<u64> {
        Some(self.values.messages).filter(|count| self.defect.is_none() && self.scanner.is_done() && *count > 0)
    }

    /// Why the body was not read to its end; `None` where it was.
    #[must_use]
    pub fn defect(&self) -> Option<Defect> {
        self.defect
    }
}

fn decode(
    decoder: &mut Decoder,
    piece: &[u8],
    scanner: &mut Scanner<Field>,
    values: &mut BodyValues,
) -> Result<(), DecodeError> {
    decoder.decode(piece, &mut |bytes| {
        scanner.read(bytes, values);
    })
}

#[cfg(test)]
mod tests;
