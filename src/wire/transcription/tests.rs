//! What transcriptions mean. Written from the protocol, not recorded.

use crate::wire::event::{Event, FinishReason, Tokens};
use crate::wire::reader::Framing;
use crate::wire::testing::read_every_split;

const PATH: &str = "/v1/audio/transcriptions";
const TOKENS: Event<'static> = Event::Tokens(Tokens { answer: true, thinking: false, listed: None, choice: 0 });

#[test]
fn events_have_text_and_the_last_one_has_the_counts() {
    let body = concat!(
        "data: {\"type\":\"transcript.text.delta\",\"delta\":\"I\"}\n\n",
        "data: {\"type\":\"transcript.text.delta\",\"delta\":\" see\"}\n\n",
        "data: {\"type\":\"transcript.text.done\",\"text\":\"I see\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,",
        "\"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":14},\"output_tokens\":45,\"total_tokens\":59}}\n\n",
    );
    let output = read_every_split(PATH, "text/event-stream", body);
    let usage = output.usage().expect("stated");
    assert_eq!((output.tokens(), usage.last, usage.prompt, usage.generated), (2, true, Some(14), Some(45)));
    assert!(output.has(Event::Terminal));
    assert!(read_every_split(PATH, "text/event-stream", &body[..60]).is_cut());
}

#[test]
fn chunks_end_with_the_marker() {
    // vLLM.
    let body = concat!(
        "data: {\"object\":\"transcription.chunk\",\"choices\":[{\"delta\":{\"content\":\"I\"}}]}\n\n",
        "data: {\"object\":\"transcription.chunk\",\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"total_tokens\":6}}\n\ndata: [DONE]\n\n",
    );
    let output = read_every_split(PATH, "text/event-stream", body);
    assert_eq!(output.events[..2], [TOKENS, Event::Finish(FinishReason::Stop)]);
    assert_eq!(output.usage().map(|usage| (usage.last, usage.generated)), Some((true, Some(2))));
    assert_eq!(output.events.last(), Some(&Event::Terminal));
}

#[test]
fn a_whole_answer_counts_unless_it_states_seconds() {
    let tokens = read_every_split(
        PATH,
        "application/json",
        r#"{"text":"x","usage":{"type":"tokens","input_tokens":3,"output_tokens":1}}"#,
    );
    assert_eq!(tokens.usage().map(|usage| (usage.prompt, usage.generated)), Some((Some(3), Some(1))));
    let seconds = read_every_split(PATH, "application/json", r#"{"text":"x","usage":{"type":"duration","seconds":9}}"#);
    assert_eq!(seconds.events, [Event::Terminal]);
}

#[test]
fn plain_text_is_not_read_whatever_it_begins_with() {
    for text in ["indeed: so", "data: is the plural", "{}"] {
        let output = read_every_split(PATH, "text/plain; charset=utf-8", text);
        assert_eq!(
            (output.events.len(), output.framing, output.expects_terminal),
            (0, Framing::Opaque, false),
            "{text}"
        );
    }
}
