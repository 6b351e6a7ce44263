//! Which names become labels, and which spellings are one of them.

use super::*;

fn backend() -> Arc<str> {
    "a".into()
}

fn label(name: &str) -> AnsweredName {
    AnsweredName::Label(name.into())
}

/// A backend with this runtime that lists these models.
fn listing(runtime: Runtime, models: &[&str]) -> Catalogue {
    let catalogue = Catalogue::default();
    catalogue.set_runtime(&backend(), runtime);
    catalogue.set_listed(&backend(), models.iter().copied());
    catalogue
}

#[test]
fn a_missing_tag_means_what_it_means_to_the_backend() {
    let named = |runtime: Option<Runtime>, dialect, name| {
        let catalogue = Catalogue::default();
        catalogue.set_pending(&backend());
        if let Some(runtime) = runtime {
            catalogue.set_runtime(&backend(), runtime);
        }
        catalogue.admit_answered("a", dialect, name)
    };
    for (runtime, on_ollamas_routes, on_others) in [
        (None, label("m:latest"), AnsweredName::Unlisted),
        (Some(Runtime::Ollama), label("m:latest"), label("m:latest")),
        (Some(Runtime::Sglang), label("m"), label("m")),
        (Some(Runtime::Unknown), label("m:latest"), label("m")),
    ] {
        assert_eq!(named(runtime, Dialect::Ollama, "m"), on_ollamas_routes, "{runtime:?}");
        assert_eq!(named(runtime, Dialect::OpenAi, "m"), on_others, "{runtime:?}");
        assert_eq!(named(runtime, Dialect::Anthropic, "m"), on_others, "{runtime:?}");
        assert_eq!(named(runtime, Dialect::OpenAi, "m:8b"), label("m:8b"), "{runtime:?}");
    }
    assert_eq!(Catalogue::default().admit_answered("a", Dialect::OpenAi, "m"), label("m"), "it is never recognised");
    assert_eq!(named(None, Dialect::OpenAi, "M:8b"), AnsweredName::Unlisted, "it may be a spelling of `m:8b`");
}

#[test]
fn every_spelling_of_an_ollama_model_has_the_listed_name() {
    let catalogue = listing(Runtime::Ollama, &["llama3:latest", "hf.co/x/Y-GGUF:Q4_K_M", "me/m:8b"]);
    for (listed, spellings) in [
        (
            "llama3:latest",
            &["llama3", "LLaMA3", "llama3:LATEST", "library/llama3", "registry.ollama.ai/library/Llama3:latest"][..],
        ),
        ("hf.co/x/Y-GGUF:Q4_K_M", &["hf.co/x/y-gguf:q4_k_m", "HF.co/x/Y-GGUF:Q4_K_M", "https://hf.co/x/Y-GGUF:Q4_K_M"]),
        ("me/m:8b", &["Me/M:8B", "registry.ollama.ai/me/m:8b"]),
    ] {
        for spelling in spellings {
            for dialect in [Dialect::Ollama, Dialect::OpenAi] {
                assert_eq!(catalogue.label("a", dialect, spelling).as_deref(), Some(listed), "{spelling}");
                assert_eq!(catalogue.admit_answered("a", dialect, spelling), label(listed), "{spelling}");
            }
        }
    }
    assert_eq!(catalogue.label("a", Dialect::Ollama, "llama3:8b"), None);
    assert_eq!(catalogue.admit_answered("a", Dialect::OpenAi, "Library/New"), label("New:latest"), "it was just made");
    assert_eq!(catalogue.admit_answered("a", Dialect::Ollama, "new"), label("New:latest"));
}

#[test]
fn all_spellings_of_a_name_take_one_entry_of_the_catalogue() {
    let catalogue = Catalogue::new(2);
    catalogue.set_runtime(&backend(), Runtime::Ollama);
    catalogue.set_listed(&backend(), ["m:latest"].into_iter());
    for upper in 0..9_u32 {
        let spelling: String = "registry.ollama.ai/library/m"
            .chars()
            .enumerate()
            .map(|(at, letter)| if at as u32 % 9 == upper { letter.to_ascii_uppercase() } else { letter })
            .collect();
        assert_eq!(catalogue.admit_answered("a", Dialect::OpenAi, &spelling), label("m:latest"), "{spelling}");
    }
    assert_eq!(catalogue.admit_answered("a", Dialect::OpenAi, "other:1b"), label("other:1b"), "there is room for it");
    assert_eq!(catalogue.admit_answered("a", Dialect::OpenAi, "third:1b"), AnsweredName::Other);
}

#[test]
fn of_a_server_that_repeats_any_name_only_listed_names_are_admitted() {
    for runtime in [Runtime::LlamaCpp, Runtime::Sglang, Runtime::Unknown] {
        let one = listing(runtime, &["org/Model.gguf"]);
        let two = listing(runtime, &["a", "b"]);
        for name in ["gpt-4", "default", "A", "org/model.gguf"] {
            let meant = if runtime == Runtime::Unknown { AnsweredName::Unlisted } else { label("org/Model.gguf") };
            assert_eq!(one.admit_answered("a", Dialect::OpenAi, name), meant, "{runtime:?} may be a gateway to others");
            assert_eq!(two.admit_answered("a", Dialect::OpenAi, name), AnsweredName::Unlisted, "{runtime:?} {name}");
            assert_eq!(one.label("a", Dialect::OpenAi, name), None, "nothing has answered yet");
        }
        assert_eq!(two.admit_answered("a", Dialect::OpenAi, "b"), label("b"));
        two.set_listed(&backend(), ["a", "b", "default"].into_iter());
        assert_eq!(two.admit_answered("a", Dialect::OpenAi, "default"), label("default"), "it was loaded meanwhile");
    }
    assert_eq!(
        listing(Runtime::LlamaCpp, &[]).admit_answered("a", Dialect::OpenAi, "m"),
        label("m"),
        "it lists nothing"
    );
}

#[test]
fn names_that_fold_alike_are_different_models_unless_ollama_lists_them() {
    let names = ["x", "x:latest", "y:latest", "y", "Llama-3", "llama-3"];
    for runtime in [Runtime::Unknown, Runtime::LlamaCpp, Runtime::Vllm] {
        let catalogue = listing(runtime, &names);
        for name in names {
            assert_eq!(catalogue.admit_answered("a", Dialect::OpenAi, name), label(name), "{runtime:?}");
            assert_eq!(catalogue.label("a", Dialect::OpenAi, name).as_deref(), Some(name), "{runtime:?}");
        }
    }
    let unknown = listing(Runtime::Unknown, &names);
    assert_eq!(unknown.admit_answered("a", Dialect::Ollama, "LLAMA-3"), label("Llama-3"), "the first of them");
    let ollama = listing(Runtime::Ollama, &["y:latest", "Llama-3:latest"]);
    for (name, meant) in [("y", "y:latest"), ("llama-3", "Llama-3:latest")] {
        assert_eq!(ollama.admit_answered("a", Dialect::OpenAi, name), label(meant));
    }
}

#[test]
fn names_beyond_the_limit_are_other_in_the_order_of_the_listing() {
    for (runtime, more) in [(Runtime::Ollama, "C"), (Runtime::Unknown, "c"), (Runtime::LlamaCpp, "c:latest")] {
        let catalogue = Catalogue::new(2);
        catalogue.set_runtime(&backend(), runtime);
        catalogue.set_listed(&backend(), ["a:latest", "b:latest", "c:latest"].into_iter());
        assert_eq!(catalogue.admit_answered("a", Dialect::Ollama, "a:latest"), label("a:latest"));
        assert_eq!(catalogue.admit_answered("a", Dialect::Ollama, more), AnsweredName::Other, "{runtime:?}");
    }
}

#[tokio::test]
async fn an_unlisted_name_that_succeeds_triggers_another_listing() {
    let catalogue = listing(Runtime::Ollama, &["m:latest"]);
    let relist = catalogue.relist_notify(&backend());
    let asked = || async {
        let soon = std::time::Duration::from_millis(1);
        tokio::time::timeout(soon, relist.notified()).await.is_ok()
    };
    catalogue.admit_answered("a", Dialect::Ollama, "M");
    assert!(!asked().await);
    catalogue.admit_answered("a", Dialect::Ollama, "new");
    assert!(asked().await);
}

#[test]
fn only_admitted_names_have_labels() {
    let catalogue = Catalogue::default();
    assert_eq!(catalogue.admitted("a"), None);
    assert_eq!(catalogue.admit("a").as_deref(), Some("a"));
    assert_eq!(catalogue.admitted("a").as_deref(), Some("a"));
}

#[test]
fn a_name_without_a_tag_is_the_latest_one_where_that_is_listed() {
    let catalogue = Catalogue::default();
    catalogue.admit("hf.co/x/y");
    catalogue.admit("llama3:latest");
    assert_eq!(catalogue.admitted("llama3").as_deref(), Some("llama3:latest"));
    assert_eq!(catalogue.admit("llama3").as_deref(), Some("llama3:latest"));
    assert_eq!(catalogue.admitted("hf.co/x/y").as_deref(), Some("hf.co/x/y"));
    assert_eq!(catalogue.admitted("llama3:8b"), None);
}

#[test]
fn a_full_catalogue_admits_no_more_and_forgets_none() {
    let catalogue = Catalogue::new(2);
    for name in ["a:latest", "b", "a", "a:latest", "b"] {
        assert!(catalogue.admit(name).is_some(), "{name}");
    }
    assert_eq!(catalogue.admit("c"), None);
    assert_eq!(catalogue.admitted("c"), None);
    assert_eq!(catalogue.admitted("a").as_deref(), Some("a:latest"));
}

#[test]
fn names_that_could_harm_a_scrape_are_not_admitted() {
    let catalogue = Catalogue::default();
    let long = "x".repeat(MAX_NAME + 1);
    for name in ["", "a\nb", "a\0", "a\u{7f}", "a\u{85}", &long] {
        assert_eq!(catalogue.admit(name), None, "{name:?}");
    }
    for name in ["qwen \"q\" \\ {le=\"1\"}", "模型:7b", &long[1..]] {
        assert_eq!(catalogue.admit(name).as_deref(), Some(name));
    }
}

#[test]
fn a_name_that_only_another_server_of_a_router_may_serve_is_not_the_listed_model() {
    let catalogue = listing(Runtime::Sglang, &["org/a"]);
    assert_eq!(catalogue.admit_answered("a", Dialect::OpenAi, "org/b"), label("org/a"), "it answers any name");
    catalogue.set_partial(&backend(), true);
    assert_eq!(catalogue.admit_answered("a", Dialect::OpenAi, "org/b"), AnsweredName::Unlisted);
}
