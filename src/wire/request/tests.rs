//! Models, prompts and load options in bodies of every dialect, split anywhere.

use super::*;
use crate::wire::conversation::Conversation;

/// A fact about a body, which must be the same read whole, split at every byte, and byte by byte.
#[track_caller]
fn scanned<T: PartialEq + std::fmt::Debug>(body: &[u8], fact: impl Fn(&ModelScanner) -> T) -> T {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut scanner = ModelScanner::default();
        pieces.for_each(|piece| scanner.read(piece));
        fact(&scanner)
    };
    let whole = read(&mut [body].into_iter());
    for at in 0..=body.len() {
        assert_eq!(read(&mut [&body[..at], &body[at..]].into_iter()), whole, "split at {at}");
    }
    assert_eq!(read(&mut body.chunks(1)), whole, "byte by byte");
    whole
}

#[track_caller]
fn model(body: impl AsRef<[u8]>) -> Option<String> {
    scanned(body.as_ref(), |scanner| scanner.model().map(str::to_owned))
}

#[test]
fn the_top_level_model_is_found_at_any_position() {
    assert_eq!(model(r#"{"model":"a","stream":true}"#).as_deref(), Some("a"));
    assert_eq!(
        model(r#" { "messages" : [{"model":"no","x":"\"model\":\"no\""}], "model" : "b" } "#).as_deref(),
        Some("b")
    );
    assert_eq!(model(r#"{"x":{"model":"no"},"y":["model","no"]}"#), None);
    assert_eq!(model(r#"{"model":"caf\u00e9"}"#).as_deref(), Some("caf\u{e9}"));
}

#[test]
fn a_name_is_the_model_once_no_model_can_follow() {
    let mut scanner = ModelScanner::default();
    let mut settled = |piece: &str| {
        scanner.read(piece.as_bytes());
        [false, true].map(|is_over| scanner.settled_model(is_over).map(str::to_owned))
    };
    assert_eq!(settled(r#"{"name":"a","x":1"#), [None, Some("a".to_owned())]);
    assert_eq!(settled(r#","model":"b","#), [Some("b".to_owned()), Some("b".to_owned())]);
}

#[test]
fn the_last_duplicate_wins_in_any_case() {
    assert_eq!(model(r#"{"model":"a","MODEL":"b","Model":"c"}"#).as_deref(), Some("c"));
    assert_eq!(model(r#"{"model":"a","model":null}"#).as_deref(), Some("a"), "as in Go");
    assert_eq!(model(r#"{"mod\u0065l":"a"}"#).as_deref(), Some("a"));
}

#[test]
fn a_name_is_used_where_no_model_is_given() {
    assert_eq!(model(r#"{"name":"n"}"#).as_deref(), Some("n"));
    assert_eq!(model(r#"{"name":"n","model":"m"}"#).as_deref(), Some("m"));
    assert_eq!(model(r#"{"model":"m","name":"n"}"#).as_deref(), Some("m"));
    assert_eq!(model(r#"{"model":"","name":"n"}"#).as_deref(), Some("n"));
}

#[test]
fn a_body_without_a_model_names_none() {
    for body in
        ["", "{}", "[]", "null", "x", "--boundary\r\n{\"model\":\"no\"}", r#"{"model":5}"#, r#"{"model":["a"]}"#]
    {
        assert_eq!(model(body), None, "{body}");
    }
    assert_eq!(model(r#"[{"model":"no"}]"#), None);
    assert_eq!(model(b"{\"model\":\"\xff\"}"), None);
    assert_eq!(model(r#"{"model":"cut"#), None);
    let long = "x".repeat(ModelScanner::MAX_NAME + 1);
    assert_eq!(model(format!(r#"{{"model":"a","model":"{long}"}}"#)), None);
    assert_eq!(model(format!(r#"{{"model":"{}"}}"#, &long[1..])).as_deref(), Some(&long[1..]));
}

#[test]
fn a_body_of_any_length_is_read_in_constant_memory() {
    let mut scanner = ModelScanner::default();
    scanner.read(br#"{"messages":[{"images":[""#);
    let piece = vec![b'A'; 1 << 20];
    (0..64).for_each(|_| scanner.read(&piece));
    scanner.read(br#""]}],"model":"late"}"#);
    assert_eq!(scanner.model(), Some("late"));
    assert!(size_of::<ModelScanner>() < 2048);
}

#[track_caller]
fn characters(body: &str) -> Option<u64> {
    scanned(body.as_bytes(), ModelScanner::prompt_characters)
}

#[test]
fn the_characters_of_the_prompt_are_counted_in_every_dialect() {
    let cases = [
        (r#"{"prompt":"12345","system":"678","template":"no","images":["no"]}"#, 8),
        (r#"{"prompt":["123","45"],"suffix":"6","max_tokens":9}"#, 6),
        (r#"{"messages":[{"role":"no","content":"12"},{"content":"345","images":["no"]}],"tools":[{"name":"no"}]}"#, 5),
        (
            r#"{"system":[{"type":"text","text":"12"}],"messages":[{"content":[{"type":"text","text":"345"},{"type":"image_url","image_url":{"url":"no"}}]}]}"#,
            5,
        ),
        (r#"{"messages":[{"content":[{"type":"tool_result","content":"123"}]}]}"#, 3),
        (r#"{"input":"123","instructions":"45"}"#, 5),
        (r#"{"input":["12","3"]}"#, 3),
        (
            r#"{"input":[{"role":"no","content":[{"type":"input_text","text":"12"}]},{"type":"function_call_output","output":"345"}]}"#,
            5,
        ),
        (r#"{"inputs":"1234","parameters":{"x":"no"}}"#, 4),
        (r#"{"text":["12"],"sampling_params":{"x":"no"}}"#, 2),
        (r#"{"prompt":"a\n\"\u00e9é€😀\ud83d\ude00"}"#, 9),
    ];
    for (body, expected) in cases {
        assert_eq!(characters(body), Some(expected), "{body}");
    }
}

#[test]
fn a_prompt_without_text_is_unknown() {
    for body in [
        r#"{"model":"m"}"#,
        r#"{"prompt":""}"#,
        r#"{"prompt":[1,2,3]}"#,
        r#"{"prompt":[[1,2],[3]]}"#,
        r#"{"prompt":null,"messages":null}"#,
        r#"{"messages":"x","input":{"content":"x"}}"#,
        r#"["prompt","x"]"#,
    ] {
        assert_eq!(characters(body), None, "{body}");
    }
}

#[test]
fn a_single_prompt_is_distinguished_from_a_list() {
    for (body, one) in [
        (r#"{"prompt":"x","n":2}"#, true),
        (r#"{"prompt":["x"],"n":2}"#, true),
        (r#"{"text":"x","sampling_params":{"n":2}}"#, true),
        (r#"{"prompt":["x","y"]}"#, false),
        (r#"{"prompt":[[1,2],[3]]}"#, false),
        (r#"{"prompt":[1,2,3]}"#, false),
        (r#"{"messages":[{"content":"x"}]}"#, false),
        ("{}", false),
    ] {
        let mut scanner = ModelScanner::default();
        body.as_bytes().chunks(1).for_each(|piece| scanner.read(piece));
        assert_eq!(scanner.has_one_prompt(), one, "{body}");
    }
}

#[test]
fn load_options_and_unloading_are_read() {
    let read = |body: &str| {
        let mut scanner = ModelScanner::default();
        body.as_bytes().chunks(1).for_each(|piece| scanner.read(piece));
        (scanner.load_options(), scanner.model_leaves() == Some(true))
    };
    let plain = (LoadOptions::default(), false);
    for body in [
        r#"{"model":"m"}"#,
        r#"{"options":{"temperature":1,"num_predict":5,"seed":7,"stop":["num_ctx"]}}"#,
        r#"{"options":null,"keep_alive":"5m"}"#,
        r#"{"options":{"num_ctx":null,"num_gpu":-1},"keep_alive":-1}"#,
        r#"{"num_ctx":8192,"messages":[{"options":{"num_ctx":8192}}]}"#,
    ] {
        assert_eq!(read(body), plain, "{body}");
    }
    assert_eq!(read(r#"{"options":{"num_ctx":1,"num_ctx":8192}}"#), (LoadOptions::with_context(8192), false));
    assert!(read(r#"{"keep_alive":0}"#).1 && !read(r#"{"keep_alive":0,"keep_alive":300}"#).1);
    for gone in [r#""0""#, r#""0s""#, r#""0m""#, r#""-0""#, r#""0h0.0s""#, r#""0\u00b5s""#, "-0", "0.0", "0e3"] {
        assert!(read(&format!(r#"{{"keep_alive":5,"keep_alive":{gone}}}"#)).1, "{gone}");
    }
    for kept in [r#""5m""#, r#""-1m""#, r#""0h10s""#, r#""""#, r#""00""#, r#""0x""#, r#""0s5""#, "-1", "0.5"] {
        assert!(!read(&format!(r#"{{"keep_alive":0,"keep_alive":{kept}}}"#)).1, "{kept}");
    }
    let others = [r#""num_gpu":7"#, r#""num_gpu":0"#, r#""main_gpu":7"#, r#""use_mmap":false"#, r#""num_batch":7"#];
    let read: Vec<_> = others.map(|option| read(&format!("{{\"options\":{{{option}}}}}")).0).into();
    for (at, options) in read.iter().enumerate() {
        assert!(*options != LoadOptions::default() && !read[..at].contains(options), "{}", others[at]);
    }
}

#[test]
fn a_coded_body_names_its_model_too() {
    let body = br#"{"model":"m","prompt":"12345"}"#;
    let mut coded = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
    zstd_safe::compress(&mut coded, body, 1).expect("there is room");
    let mut scanner = ModelScanner::coded(b"zstd", &DecodeBudget::unlimited());
    coded.chunks(1).for_each(|piece| scanner.read(piece));
    assert_eq!((scanner.model(), scanner.prompt_characters()), (Some("m"), Some(5)));
    for coding in ["gzip", "zstd", "br", "gzip, zstd"] {
        let mut scanner = ModelScanner::coded(coding.as_bytes(), &DecodeBudget::unlimited());
        scanner.read(body);
        scanner.read(body);
        assert_eq!((scanner.model(), scanner.defect()), (None, Some(Defect::Encoding)), "{coding}");
    }
}

#[test]
fn of_a_body_that_exceeds_the_budget_only_the_model_is_known() {
    let body = [&br#"{"model":"m","prompt":"12345"#[..], &vec![b'6'; 4 << 20]].concat();
    let mut coded = Vec::with_capacity(zstd_safe::compress_bound(body.len()));
    zstd_safe::compress(&mut coded, &body, 1).expect("there is room");
    let mut scanner = ModelScanner::coded(b"zstd", &DecodeBudget::unlimited());
    scanner.read(&coded);
    assert_eq!((scanner.model(), scanner.defect()), (Some("m"), Some(Defect::Budget)));
    assert_eq!((scanner.prompt_characters(), scanner.has_one_prompt()), (None, false), "unknown, not what was read");
}

/// Messages and what names the conversation, read whole, split at every byte, and byte by byte: always the same.
#[track_caller]
fn talk(body: &str) -> (Option<u64>, NamedConversations) {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut scanner = ModelScanner::default();
        pieces.for_each(|piece| scanner.read(piece));
        let facts = scanner.facts();
        (facts.messages, facts.conversations)
    };
    let body = body.as_bytes();
    let whole = read(&mut [body].into_iter());
    for at in 0..=body.len() {
        assert_eq!(read(&mut [&body[..at], &body[at..]].into_iter()), whole, "split at {at}");
    }
    assert_eq!(read(&mut body.chunks(1)), whole, "byte by byte");
    whole
}

#[test]
fn messages_are_counted_in_every_dialect() {
    for (body, expected) in [
        (r#"{"messages":[{"role":"user","content":"a"}]}"#, Some(1)),
        (
            r#"{"system":"s","messages":[{"content":[{"type":"text","text":"a"},{"text":"b"}]},{"content":"c"}]}"#,
            Some(2),
        ),
        (r#"{"messages":[{"content":["a","b"]} , {} , null , "x"],"model":"m"}"#, Some(4)),
        (r#"{"input":"a text is one message"}"#, Some(1)),
        (
            r#"{"input":[{"role":"user","content":"a"},{"type":"function_call_output","output":"b"},{"role":"user"}]}"#,
            Some(3),
        ),
        (r#"{"messages":[]}"#, None),
        (r#"{"model":"m","prompt":["a","b"]}"#, None),
        (r#"{"messages":"no list"}"#, None),
        // Not whole: the client left, or it is no JSON.
        (r#"{"messages":[{"content":"a"},{"content":"b"}]"#, None),
        (r#"{"messages":[{"content":"a"},{"content":"b"}],"#, None),
        ("no JSON", None),
    ] {
        assert_eq!(talk(body).0, expected, "{body}");
    }
}

#[test]
fn what_names_the_conversation_is_kept_as_a_hash_for_each_field() {
    let named = |name: &str| Conversation::named(name.as_bytes());
    let none = NamedConversations::default();
    for (body, expected) in [
        (r#"{"conversation":"conv_1"}"#, NamedConversations { conversation: named("conv_1"), ..none }),
        (r#"{"conversation":{"id":"conv_1","x":2}}"#, NamedConversations { conversation: named("conv_1"), ..none }),
        (r#"{"Conversation":{"ID":"no"}}"#, none),
        (r#"{"prompt_cache_key":"k\u00e9y"}"#, NamedConversations { prompt_cache_key: named("k\u{e9}y"), ..none }),
        (
            r#"{"prompt_cache_key":"a","prompt_cache_key":"b"}"#,
            NamedConversations { prompt_cache_key: named("b"), ..none },
        ),
        (
            r#"{"metadata":{"x":"no","user_id":"u_session_1"}}"#,
            NamedConversations { user_id: named("u_session_1"), ..none },
        ),
        (r#"{"conversation":null,"prompt_cache_key":"","metadata":{"user_id":7}}"#, none),
        (r#"{"metadata":"no","messages":[{"conversation":"no","metadata":{"user_id":"no"}}]}"#, none),
        (r#"{"previous_response_id":"resp_1","user":"somebody","session_id":"no"}"#, none),
    ] {
        assert_eq!(talk(body).1, expected, "{body}");
    }
    let long = format!(r#"{{"prompt_cache_key":"{}"}}"#, "k".repeat(ModelScanner::MAX_NAME + 1));
    assert_eq!(talk(&long).1, none, "too long to be told from another");
}
