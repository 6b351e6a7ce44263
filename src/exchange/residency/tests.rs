//! What polls and answers say about the presence of a model, and which exchanges count as cold starts.

use super::*;

const LONG: Option<Duration> = Some(Duration::from_secs(2));

/// One backend that is polled now and then.
struct Fixture {
    residency: Residency,
    backend: Arc<str>,
    now: SystemTime,
}

fn loaded(name: &str) -> LoadedModel<'_> {
    LoadedModel { name, context: Some(2048), expires: None }
}

impl Fixture {
    /// Every model has weights of its own.
    fn new() -> Self {
        let fixture = Self { residency: Residency::default(), backend: "a".into(), now: SystemTime::UNIX_EPOCH };
        let names = ["m", "n", "o", "a", "b", "c", "old", "new", "unused", "used", "kept", "due", "later", "overdue"];
        let weights = names.map(|name| (name, Weights::new([None, Some(name), None, None])));
        fixture.residency.set_weights(&fixture.backend, weights.into_iter());
        fixture
    }

    /// One whose last poll found `loaded`, and that says of no model what its weights are.
    fn alike(loaded: &[&str]) -> Self {
        let fixture = Self::polled(loaded);
        fixture.residency.set_weights(&fixture.backend, std::iter::empty());
        fixture
    }

    /// One whose last poll found these models.
    fn polled(names: &[&str]) -> Self {
        let fixture = Self::new();
        fixture.poll(names);
        fixture
    }

    fn poll(&self, names: &[&str]) {
        self.poll_with(names.iter().map(|name| loaded(name)));
    }

    /// A poll. Returns the cold starts that it confirms.
    fn confirming_poll<'a>(&self, names: &'a [&'a str]) -> Vec<(&'a str, ColdCause)> {
        self.residency.begin_poll(&self.backend);
        let loaded = names.iter().map(|name| loaded(name));
        let findings = self.residency.end_poll(&self.backend, loaded, Some(self.now));
        findings.cold.into_iter().map(|(name, cold)| (name, cold.cause)).collect()
    }

    /// A poll. Returns the prompts that were probably cut before it.
    fn poll_with<'a>(&self, loaded: impl Iterator<Item = LoadedModel<'a>>) -> u64 {
        self.residency.begin_poll(&self.backend);
        let findings = self.residency.end_poll(&self.backend, loaded, Some(self.now));
        findings.cut.iter().map(|(_, prompts)| prompts).sum()
    }

    /// A request that the backend answers by unloading the model.
    fn unload(&self, model: &str) {
        let _unloaded = self.enter(model).leave(KeepAlive::Unloaded);
    }

    fn enter(&self, model: &str) -> ModelUse {
        self.residency.enter(&self.backend, model, LoadOptions::default())
    }

    fn enter_with(&self, model: &str, context: u64) -> ModelUse {
        self.residency.enter(&self.backend, model, LoadOptions::with_context(context))
    }

    /// An exchange that is answered at once and reports no load.
    fn exchange(&self, model: &str) -> Option<ColdCause> {
        let mut model_use = self.enter(model);
        model_use.mark_answered();
        cause(&model_use, None)
    }

    fn exchange_with(&self, model: &str, context: u64) -> Option<ColdCause> {
        let mut model_use = self.enter_with(model, context);
        model_use.mark_answered();
        cause(&model_use, None)
    }
}

fn cause(model_use: &ModelUse, load: Option<Duration>) -> Option<ColdCause> {
    model_use.cold_start(load).map(|cold| cold.cause)
}

#[test]
fn exchanges_on_one_model_share_its_name() {
    let fixture = Fixture::new();
    let uses = ["m", "m:latest", "M"].map(|name| fixture.enter(name));
    assert!(uses.iter().all(|model_use| Arc::ptr_eq(&model_use.model, &uses[0].model)));
}

#[test]
fn without_polls_only_the_first_exchange_on_a_model_can_be_cold() {
    let fixture = Fixture::new();
    let (first, second) = (fixture.enter("m:latest"), fixture.enter("m"));
    let elsewhere = fixture.residency.enter(&"b".into(), "m", LoadOptions::default());
    assert_eq!(cause(&first, LONG), Some(ColdCause::First));
    assert_eq!(cause(&elsewhere, LONG), Some(ColdCause::First));
    assert_eq!(cause(&second, LONG), None);
    drop((first, second, elsewhere));
    let short = fixture.enter("m");
    assert_eq!(cause(&short, Some(Duration::from_micros(99_999))), None);
    assert_eq!(cause(&short, Some(Duration::from_millis(100))), Some(ColdCause::First));
    drop(short);
    fixture.exchange("m");
    assert_eq!(cause(&fixture.enter("m"), LONG), Some(ColdCause::Unknown));
}

#[test]
fn a_short_reported_load_means_a_model_in_memory() {
    let fixture = Fixture::polled(&["n"]);
    let short = Some(Duration::from_micros(99_999));
    // `m` shares the weights of `n`, under whose name they were loaded.
    for round in 0..5 {
        let mut model_use = fixture.enter("m");
        model_use.mark_answered();
        assert_eq!(cause(&model_use, short), None, "round {round}");
        fixture.poll(&["n"]);
    }
    // A server that ignores the requested context length.
    for context in [1024, 4096, 1024, 512] {
        let mut model_use = fixture.enter_with("n", context);
        model_use.mark_answered();
        assert_eq!(cause(&model_use, short), None, "{context} tokens");
        fixture.poll(&["n"]);
    }
}

#[test]
fn a_model_that_answers_but_is_not_listed_is_not_cold_until_it_was_listed_once() {
    for idle_polls in [0, 1, 5] {
        let fixture = Fixture::polled(&["n"]);
        assert_eq!(fixture.exchange("m"), Some(ColdCause::First));
        fixture.poll(&["n"]);
        // It may have been unloaded at once: only another answer shows that polls miss it.
        (0..idle_polls).for_each(|_| fixture.poll(&["n"]));
        assert_eq!(fixture.exchange("m"), Some(ColdCause::Unknown), "after {idle_polls} idle polls");
        fixture.poll(&["n"]);
        let mut model_use = fixture.enter("m");
        assert!(!model_use.mark_answered(), "another poll would not find it either");
        assert_eq!(cause(&model_use, None), None);
        assert_eq!(cause(&model_use, LONG), None, "it may have waited behind the load of another model");
        drop(model_use);
        for context in [1024, 512] {
            let mut model_use = fixture.enter_with("m", context);
            model_use.mark_answered();
            assert_eq!(cause(&model_use, LONG), None, "{context} tokens: with what it is loaded is not known");
        }
        fixture.poll(&["n"]);
        assert_eq!(fixture.exchange("m"), None);
        fixture.poll(&["m", "n"]);
        fixture.poll(&["n"]);
        fixture.poll(&["n"]);
        assert_eq!(fixture.exchange("m"), Some(ColdCause::Unknown), "it is listed while it is in memory");
    }
}

#[test]
fn a_model_unloaded_for_a_known_reason_does_not_become_hidden() {
    for reason in [ColdCause::Evicted, ColdCause::Unloaded, ColdCause::Restart] {
        let fixture = Fixture::polled(&["n"]);
        fixture.exchange("m");
        match reason {
            ColdCause::Evicted => fixture.poll(&["o"]),
            ColdCause::Unloaded => fixture.unload("m"),
            _ => fixture.residency.connection_refused(&fixture.backend),
        }
        fixture.poll(&["o"]);
        fixture.poll(&["o"]);
        assert_eq!(fixture.exchange("m"), Some(reason));
    }
    let fixture = Fixture::polled(&["m"]);
    (0..3).for_each(|_| fixture.poll(&[]));
    assert_eq!(fixture.exchange("m"), Some(ColdCause::Unknown), "another client has unloaded it");
}

#[test]
fn a_model_that_the_last_poll_found_in_memory_is_not_cold_whatever_it_reports() {
    let fixture = Fixture::polled(&["m:latest"]);
    for spelling in ["m", "M:latest", "library/m", "registry.ollama.ai/library/m:LATEST"] {
        assert_eq!(cause(&fixture.enter(spelling), LONG), None, "{spelling}");
    }
}

#[test]
fn a_remote_model_is_never_cold() {
    let fixture = Fixture::polled(&[]);
    fixture.residency.set_remote(&fixture.backend, ["mine:latest"].into_iter());
    for name in ["gpt-oss:120b-cloud", "kimi-k2:cloud", "Kimi-K2:Cloud", "mine"] {
        let mut model_use = fixture.enter(name);
        assert!(!model_use.mark_answered());
        assert_eq!(cause(&model_use, LONG), None, "{name}");
        fixture.poll(&[]);
        assert_eq!(fixture.exchange(name), None, "{name}");
    }
}

#[test]
fn a_model_seen_in_memory_is_not_remote_whatever_its_name() {
    let fixture = Fixture::polled(&[]);
    fixture.residency.set_remote(&fixture.backend, ["mine:latest"].into_iter());
    for name in ["storm-cloud", "mine"] {
        fixture.poll(&[name]);
        assert_eq!(fixture.exchange(name), None, "{name}");
        fixture.unload(name);
        fixture.residency.set_remote(&fixture.backend, [].into_iter());
        assert_eq!(fixture.exchange(name), Some(ColdCause::Unloaded), "{name}");
    }
}

#[test]
fn a_model_listed_with_its_context_is_not_remote() {
    let fixture = Fixture::new();
    fixture.residency.set_served(&fixture.backend, [loaded("storm-cloud")].into_iter());
    let model_use = fixture.enter("storm-cloud");
    assert_eq!(cause(&model_use, LONG), Some(ColdCause::First));
    assert_eq!(model_use.observe_prompt("storm-cloud", 15_009, 1_027), Some(true));
}

#[test]
fn a_model_no_longer_listed_as_remote_is_local() {
    let fixture = Fixture::polled(&[]);
    fixture.residency.set_remote(&fixture.backend, ["mine:latest", "other"].into_iter());
    assert_eq!(fixture.exchange("mine"), None);
    fixture.residency.set_remote(&fixture.backend, ["other"].into_iter());
    assert_eq!(fixture.exchange("mine"), Some(ColdCause::First));
    assert_eq!(fixture.exchange("other"), None);
}

#[test]
fn all_exchanges_before_the_first_answer_of_an_absent_model_are_cold_unless_they_report_no_load() {
    let fixture = Fixture::polled(&["n"]);
    let mut together = [fixture.enter("m"), fixture.enter("M:latest")];
    assert!(together[1].mark_answered(), "its presence was not known");
    let later = fixture.enter("m");
    assert!(!together[0].mark_answered(), "no more");
    for load in [None, LONG] {
        assert!(together.iter().all(|model_use| cause(model_use, load) == Some(ColdCause::First)), "all waited for it");
        assert_eq!(cause(&later, load), None, "it waited for other exchanges, not for the model");
    }
    assert!(together.iter().all(|model_use| cause(model_use, Some(Duration::ZERO)).is_none()), "none of them waited");
}

#[test]
fn a_new_model_is_absent_until_it_is_seen() {
    let fixture = Fixture::polled(&["m"]);
    assert_eq!(fixture.exchange("new"), Some(ColdCause::First), "it was never listed");
    assert_eq!(fixture.exchange("new"), None);
}

#[test]
fn a_poll_that_began_before_an_answer_does_not_outrank_it() {
    let fixture = Fixture::polled(&["old"]);
    fixture.residency.begin_poll(&fixture.backend);
    assert_eq!(fixture.exchange("m"), Some(ColdCause::First));
    fixture.unload("old");
    fixture.residency.end_poll(&fixture.backend, [loaded("old")].into_iter(), Some(fixture.now));
    assert_eq!(fixture.exchange("m"), None, "it has answered since");
    assert_eq!(fixture.exchange("old"), Some(ColdCause::Unloaded));
    fixture.poll(&["old"]);
    assert_eq!(fixture.exchange("m"), Some(ColdCause::Evicted), "this one began later");
}

#[test]
fn a_model_unloaded_by_a_request_is_absent() {
    let fixture = Fixture::polled(&["m", "n"]);
    fixture.unload("m");
    assert_eq!(fixture.exchange("m"), Some(ColdCause::Unloaded));
    for keep_alive in [KeepAlive::Zero, KeepAlive::Unloaded] {
        fixture.poll(&["n"]);
        let (mut zero, mut other) = (fixture.enter("n"), fixture.enter("n"));
        assert!(!zero.mark_answered() && !other.mark_answered());
        assert!(!zero.leave(keep_alive));
        assert_eq!(cause(&fixture.enter("n"), None), None, "another one is still at work");
        assert!(other.leave(KeepAlive::Unset), "it leaves that to the one before");
        assert_eq!(fixture.exchange("n"), Some(ColdCause::Unloaded), "{keep_alive:?}");
    }
}

#[test]
fn of_several_keep_alive_times_the_last_request_s_counts_in_whatever_order_they_end() {
    use KeepAlive::{Some as Kept, Unset, Zero};
    for (wishes, unloaded) in [
        ([Zero, Kept], false),
        ([Kept, Zero], true),
        ([Zero, Unset], true),
        ([Unset, Zero], true),
        ([Kept, Unset], false),
    ] {
        for first_ends_first in [true, false] {
            let fixture = Fixture::polled(&["m"]);
            let mut uses = wishes.map(|wish| (fixture.enter("m"), wish));
            for (model_use, _) in &mut uses {
                model_use.mark_answered();
            }
            if !first_ends_first {
                uses.reverse();
            }
            let left = uses.map(|(model_use, wish)| model_use.leave(wish));
            let expected = unloaded.then_some(ColdCause::Unloaded);
            assert_eq!(fixture.exchange("m"), expected, "{wishes:?}, the first ends first: {first_ends_first}");
            assert_eq!(left, [false, unloaded], "{wishes:?}");
        }
    }
    let fixture = Fixture::polled(&["m"]);
    let (mut zero, kept) = (fixture.enter("m"), fixture.enter("m"));
    zero.mark_answered();
    zero.leave(KeepAlive::Zero);
    kept.leave(KeepAlive::Some);
    assert_eq!(fixture.exchange("m"), None, "the backend may have heeded the one that got no answer");
}

#[test]
fn a_second_name_for_weights_in_memory_is_never_a_cold_start() {
    for load in [None, LONG] {
        let fixture = Fixture::alike(&["n"]);
        for round in 0..9 {
            let mut model_use = fixture.enter("m");
            model_use.mark_answered();
            assert_eq!(cause(&model_use, load), None, "round {round}, {load:?}");
            drop(model_use);
            assert_eq!(fixture.confirming_poll(&["n"]), [], "round {round}, {load:?}");
        }
    }
}

#[test]
fn a_model_like_one_in_memory_is_cold_once_a_poll_lists_it() {
    let fixture = Fixture::alike(&["n"]);
    let mut streamed = fixture.enter("m");
    streamed.mark_answered();
    assert_eq!(fixture.exchange("m"), None, "it waited for the other exchange");
    assert_eq!(fixture.confirming_poll(&["m"]), []);
    assert_eq!(cause(&streamed, None), Some(ColdCause::First), "its end knows");
    drop(streamed);
    // The other way round, and with an answer that is whole before the poll.
    assert_eq!(fixture.exchange("n"), None);
    assert_eq!(fixture.confirming_poll(&["n"]), [("n", ColdCause::Evicted)]);
    assert_eq!(fixture.confirming_poll(&["n"]), [], "once");
    assert_eq!(fixture.exchange("m"), None);
    assert_eq!(fixture.confirming_poll(&["n", "m"]), [("m", ColdCause::Evicted)]);
    assert_eq!(fixture.exchange("m"), None);
    assert_eq!(fixture.confirming_poll(&["n", "m"]), []);
}

#[test]
fn a_poll_that_misses_a_model_refutes_its_cold_start_for_good() {
    let fixture = Fixture::alike(&["n"]);
    let mut model_use = fixture.enter("m");
    fixture.poll(&["n"]);
    model_use.mark_answered();
    fixture.poll(&["n"]);
    assert_eq!(cause(&model_use, LONG), None);
    drop(model_use);
    assert_eq!(fixture.confirming_poll(&["n", "m"]), [], "another client has loaded it");
    let mut waiting = fixture.enter("o");
    fixture.poll(&["n", "m"]);
    waiting.mark_answered();
    assert_eq!(cause(&waiting, None), None, "not known yet: the load had not begun at that poll");
    assert_eq!(fixture.confirming_poll(&["o"]), [("o", ColdCause::First)]);
}

#[test]
fn a_long_load_behind_other_exchanges_does_not_show_that_options_have_changed() {
    let fixture = Fixture::polled(&["m"]);
    let busy = fixture.enter("n");
    let larger = fixture.enter_with("m", 4096);
    assert_eq!(cause(&larger, LONG), None, "it may have waited for the load of the other model");
    drop((busy, larger));
    assert_eq!(cause(&fixture.enter_with("m", 4096), LONG), Some(ColdCause::OptionsChanged));
}

#[test]
fn a_poll_that_finds_an_unloading_model_does_not_make_it_resident() {
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let mut fixture = Fixture::polled(&[]);
    let row = |expires| [LoadedModel { expires, ..loaded("m") }, loaded("n")].into_iter();
    fixture.now += Duration::from_secs(10);
    for over in [9, 10] {
        fixture.poll_with(row(at(310)));
        fixture.unload("m");
        fixture.poll_with(row(at(over)));
        assert_eq!(fixture.exchange("m"), Some(ColdCause::Unloaded), "{over}");
        assert_eq!(fixture.exchange("n"), None, "it has evicted no model");
    }
    for left in [11, 15, 310, 320] {
        fixture.poll_with(row(at(310)));
        fixture.unload("m");
        fixture.poll_with(row(at(left)));
        assert_eq!(fixture.exchange("m"), None, "another client has loaded it, for shorter or longer: {left}");
    }
}

#[test]
fn a_restarted_backend_has_no_model_in_memory_until_a_poll_finds_one() {
    let fixture = Fixture::polled(&["m", "n"]);
    fixture.residency.connection_refused(&fixture.backend);
    assert_eq!(fixture.exchange("m"), Some(ColdCause::Restart));
    assert_eq!(fixture.exchange("m"), None);
    fixture.poll(&["n"]);
    assert_eq!(fixture.exchange("n"), None, "it was not down after all");
    let unpolled = Fixture::new();
    unpolled.exchange("m");
    unpolled.residency.connection_refused(&unpolled.backend);
    assert_eq!(unpolled.exchange("m"), None);
}

#[test]
fn a_model_that_another_one_replaced_was_evicted_by_it() {
    let fixture = Fixture::polled(&["a"]);
    fixture.poll(&["b"]);
    let mut model_use = fixture.enter("a");
    model_use.mark_answered();
    let evicted_by = Some("b".into());
    assert_eq!(model_use.cold_start(None), Some(ColdStart { cause: ColdCause::Evicted, evicted_by }));
    // It may be unloaded before the other one is loaded.
    fixture.poll(&["a"]);
    fixture.poll(&["a"]);
    fixture.poll(&[]);
    assert_eq!(cause(&fixture.enter("a"), None), Some(ColdCause::Unknown));
    fixture.poll(&["c"]);
    assert_eq!(fixture.exchange("a"), Some(ColdCause::Evicted));
}

#[test]
fn switches_between_polls_are_seen_if_each_answer_requests_a_poll() {
    let fixture = Fixture::polled(&[]);
    let mut cold = Vec::new();
    for model in ["a", "b", "a", "b", "a", "b"] {
        let mut model_use = fixture.enter(model);
        if model_use.mark_answered() {
            fixture.poll(&[model]);
        }
        cold.extend(cause(&model_use, None));
    }
    let evicted = ColdCause::Evicted;
    assert_eq!(cold, [ColdCause::First, ColdCause::First, evicted, evicted, evicted, evicted]);
}

#[test]
fn a_model_unloaded_while_an_exchange_waits_for_it_is_cold() {
    let fixture = Fixture::polled(&["a"]);
    let mut waiting = fixture.enter("a");
    fixture.poll(&["b"]);
    assert!(waiting.mark_answered());
    assert_eq!(cause(&waiting, None), Some(ColdCause::Evicted));
}

#[test]
fn a_model_unused_for_its_keep_alive_time_has_expired() {
    let mut fixture = Fixture::polled(&[]);
    let models = [("unused", 5), ("used", 5), ("kept", 300)];
    let leaves = |after| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(after));
    let all = || models.map(|(name, after)| LoadedModel { expires: leaves(after), ..loaded(name) }).into_iter();
    fixture.poll_with(all());
    fixture.poll_with(all());
    fixture.exchange("used");
    fixture.now += Duration::from_secs(7);
    // An answer came after the last poll began: the next poll is the first that counts.
    fixture.poll(&["used"]);
    fixture.poll(&[]);
    let causes = models.map(|(name, _)| fixture.exchange(name));
    assert_eq!(causes, [Some(ColdCause::Expired), Some(ColdCause::Unknown), Some(ColdCause::Unknown)]);
}

#[test]
fn a_model_has_expired_only_where_nothing_else_can_be_the_cause() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let models = [("due", 300), ("later", 301), ("overdue", 100)];
    let all = || models.map(|(name, leaves)| LoadedModel { expires: Some(at(leaves)), ..loaded(name) }).into_iter();
    // Whether a newcomer is seen at the poll that misses them, or at the next.
    for newcomer in [None, Some(0), Some(1)] {
        let mut fixture = Fixture::polled(&[]);
        for now in [285, 290, 295] {
            fixture.now = at(now);
            fixture.poll_with(all());
        }
        for poll in 0..3 {
            fixture.now += Duration::from_secs(5);
            fixture.poll_with(newcomer.filter(|seen| *seen <= poll).map(|_| loaded("new")).into_iter());
        }
        let causes = models.map(|(name, _)| fixture.exchange(name));
        let expected = match newcomer {
            None => [ColdCause::Expired, ColdCause::Unknown, ColdCause::Unknown],
            Some(_) => [ColdCause::Unknown, ColdCause::Evicted, ColdCause::Evicted],
        };
        assert_eq!(causes, expected.map(Some), "{newcomer:?}");
    }
}

#[test]
fn of_a_backend_that_does_not_tell_the_time_no_model_is_known_to_have_expired() {
    let fixture = Fixture::new();
    let expires = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(5));
    for loaded in [Some(LoadedModel { expires, ..loaded("m") }), Some(LoadedModel { expires, ..loaded("m") }), None] {
        fixture.residency.begin_poll(&fixture.backend);
        fixture.residency.end_poll(&fixture.backend, loaded.into_iter(), None);
    }
    assert_eq!(fixture.exchange("m"), Some(ColdCause::Unknown));
}

#[test]
fn a_changed_context_length_reloads_a_model_in_memory() {
    let fixture = Fixture::polled(&[]);
    assert_eq!(fixture.exchange("m"), Some(ColdCause::First));
    fixture.poll(&["m"]);
    assert_eq!(fixture.exchange_with("m", 1024), Some(ColdCause::OptionsChanged));
    fixture.poll_with([LoadedModel { context: Some(1024), ..loaded("m") }].into_iter());
    assert_eq!(fixture.exchange_with("m", 1024), None);
    // Without `num_ctx` it gets the default: more than it has now.
    let mut back = fixture.enter("m");
    assert!(back.mark_answered(), "it requests a poll");
    assert_eq!(cause(&back, LONG), Some(ColdCause::OptionsChanged));
    assert_eq!(cause(&back, None), None, "the route reports no load, and a model may be made for less");
    drop(back);
    fixture.poll(&["m"]);
    assert_eq!(fixture.exchange_with("m", 2048), None, "what is asked for is the default");
    assert_eq!(fixture.exchange("m"), None);
}

#[test]
fn changed_load_options_are_a_cold_start_only_where_a_load_is_reported() {
    let fixture = Fixture::polled(&["m"]);
    let with_gpu = {
        let mut scanner = crate::wire::request::ModelScanner::default();
        scanner.read(br#"{"options":{"num_gpu":0}}"#);
        scanner.load_options()
    };
    let model_use = fixture.residency.enter(&fixture.backend, "m", with_gpu);
    assert_eq!(cause(&model_use, None), None);
    assert_eq!(cause(&model_use, LONG), Some(ColdCause::OptionsChanged));
    let other = fixture.residency.enter(&fixture.backend, "m", with_gpu);
    assert_eq!(cause(&other, LONG), None, "it may have waited for the first");
}

#[test]
fn nothing_is_kept_of_exchanges_that_ended_without_an_answer() {
    let fixture = Fixture::new();
    drop((fixture.enter("m"), fixture.enter("M"), fixture.enter("n")));
    assert!(fixture.residency.models(&fixture.backend).lock().models.is_empty());
    (0..3 * MAX_MODELS).for_each(|name| {
        fixture.exchange(&name.to_string());
    });
    let kept = fixture.residency.models(&fixture.backend).lock().models.len();
    assert!(kept <= MAX_MODELS + 1, "{kept} models");
}

/// A prompt of 15,009 characters of which the backend read half a context of 2,048.
fn cut(fixture: &Fixture) -> bool {
    cut_with(fixture, LoadOptions::default())
}

fn cut_with(fixture: &Fixture, options: LoadOptions) -> bool {
    let mut model_use = fixture.residency.enter(&fixture.backend, "m", options);
    model_use.mark_answered();
    model_use.observe_prompt("m", 15_009, 1_027).expect("its own model")
}

fn whole(fixture: &Fixture) -> bool {
    let mut model_use = fixture.enter("m");
    model_use.mark_answered();
    model_use.observe_prompt("m", 2_000, 500).expect("its own model")
}

#[test]
fn the_first_the_second_and_the_tenth_prompt_that_is_cut_are_suspected_cold_and_warm() {
    for warm in [false, true] {
        for first_cut in [1, 2, 10] {
            let fixture = Fixture::polled(if warm { &["m"] } else { &[] });
            let mut suspected = 0;
            for prompt in 1..=12 {
                let found = if prompt >= first_cut { cut(&fixture) } else { whole(&fixture) };
                assert!(prompt >= first_cut || !found, "a whole prompt");
                suspected += u64::from(found);
                if prompt == 1 {
                    // The answer of a cold model requests a poll.
                    suspected += fixture.poll_with([loaded("m")].into_iter());
                }
            }
            assert_eq!(suspected, 12 - first_cut + 1, "warm: {warm}, from prompt {first_cut} on");
        }
    }
}

#[test]
fn cut_prompts_in_mixed_traffic_are_all_suspected() {
    let fixture = Fixture::polled(&[]);
    let mut suspected = 0;
    for round in 0..25 {
        suspected += u64::from(cut(&fixture));
        (0..3).for_each(|_| assert!(!whole(&fixture)));
        if round == 2 {
            suspected += fixture.poll_with([loaded("m")].into_iter());
        }
    }
    assert_eq!(suspected, 25);
}

#[test]
fn a_prompt_is_not_judged_by_a_context_length_that_it_did_not_have() {
    let fixture = Fixture::polled(&[]);
    let long = LoadOptions::with_context(32_768);
    let mut model_use = fixture.residency.enter(&fixture.backend, "m", long);
    model_use.mark_answered();
    assert_eq!(
        model_use.observe_prompt("m", 15_009, 1_027),
        Some(false),
        "dense text, of which the context takes 32,768 tokens"
    );
    drop(model_use);
    assert!(!whole(&fixture));
    assert_eq!(fixture.poll_with([loaded("m")].into_iter()), 0, "that one was loaded after it");
    assert!(cut(&fixture));
}

#[test]
fn with_a_requested_context_length_a_cut_is_suspected_at_once() {
    let fixture = Fixture::new();
    assert!(cut_with(&fixture, LoadOptions::with_context(2_048)));
    let serves = Fixture::new();
    serves.residency.set_served(&serves.backend, [loaded("m")].into_iter());
    assert!(cut(&serves), "a server that says how long its contexts are");
}

#[test]
fn a_prompt_of_a_remote_model_is_never_suspected() {
    let fixture = Fixture::polled(&[]);
    fixture.residency.set_remote(&fixture.backend, ["mine"].into_iter());
    for name in ["gpt-oss:120b-cloud", "mine:latest"] {
        let model_use = fixture.enter_with(name, 2_048);
        assert_eq!(model_use.observe_prompt(name, 15_009, 1_027), Some(false), "{name}");
        drop(model_use);
        for (characters, tokens) in [(4_000, 1_000), (4_000, 1_000), (4_000, 1_000), (40_000, 2_000)] {
            assert!(!fixture.residency.observe_prompt(&fixture.backend, name, characters, tokens), "{name}");
        }
    }
}
