//! What looks and answers say of where a model is, and what an exchange learns of it.

use super::*;

const LONG: Option<Duration> = Some(Duration::from_secs(2));

/// One backend, looked at from time to time.
struct House {
    residency: Residency,
    backend: Arc<str>,
    now: SystemTime,
}

fn held(name: &str) -> Held<'_> {
    Held { name, context: Some(2048), expires: None }
}

impl House {
    fn new() -> Self {
        Self { residency: Residency::default(), backend: "a".into(), now: SystemTime::UNIX_EPOCH }
    }

    /// One at which these were in memory at the last look.
    fn holding(names: &[&str]) -> Self {
        let house = Self::new();
        house.look(names);
        house
    }

    fn look(&self, names: &[&str]) {
        self.find(names.iter().map(|name| held(name)));
    }

    fn find<'a>(&self, held: impl Iterator<Item = Held<'a>>) -> u64 {
        self.residency.looks(&self.backend);
        self.residency.looked(&self.backend, held, self.now).iter().map(|(_, prompts)| prompts).sum()
    }

    fn enter(&self, model: &str) -> Stay {
        self.residency.enter(&self.backend, model, LoadOptions::default())
    }

    fn enter_with(&self, model: &str, context: u64) -> Stay {
        self.residency.enter(&self.backend, model, LoadOptions::with_context(context))
    }

    /// An exchange that is answered at once and reports no load.
    fn exchange(&self, model: &str) -> Option<ColdCause> {
        let mut stay = self.enter(model);
        stay.answered();
        cause(&stay, None)
    }

    fn exchange_with(&self, model: &str, context: u64) -> Option<ColdCause> {
        let mut stay = self.enter_with(model, context);
        stay.answered();
        cause(&stay, None)
    }
}

fn cause(stay: &Stay, load: Option<Duration>) -> Option<ColdCause> {
    stay.cold(load).map(|cold| cold.cause)
}

#[test]
fn exchanges_on_one_model_share_its_name() {
    let house = House::new();
    let stays = ["m", "m:latest", "M"].map(|name| house.enter(name));
    assert!(stays.iter().all(|stay| Arc::ptr_eq(&stay.model, &stays[0].model)));
}

#[test]
fn where_nobody_looks_only_the_first_exchange_on_a_model_can_be_cold() {
    let house = House::new();
    let (first, second) = (house.enter("m:latest"), house.enter("m"));
    let elsewhere = house.residency.enter(&"b".into(), "m", LoadOptions::default());
    assert_eq!(cause(&first, LONG), Some(ColdCause::First));
    assert_eq!(cause(&elsewhere, LONG), Some(ColdCause::First));
    assert_eq!(cause(&second, LONG), None);
    drop((first, second, elsewhere));
    let short = house.enter("m");
    assert_eq!(cause(&short, Some(Duration::from_micros(99_999))), None);
    assert_eq!(cause(&short, Some(Duration::from_millis(100))), Some(ColdCause::First));
    drop(short);
    house.exchange("m");
    assert_eq!(cause(&house.enter("m"), LONG), Some(ColdCause::Unknown));
}

#[test]
fn a_reported_load_that_is_too_short_for_one_is_that_of_a_model_in_memory() {
    let house = House::holding(&["n"]);
    let short = Some(Duration::from_micros(99_999));
    // `m` shares the weights of `n`, under whose name they were loaded.
    for round in 0..5 {
        let mut stay = house.enter("m");
        stay.answered();
        assert_eq!(cause(&stay, short), None, "round {round}");
        house.look(&["n"]);
    }
    // A server that does not heed the context that is asked for.
    for context in [1024, 4096, 1024, 512] {
        let mut stay = house.enter_with("n", context);
        stay.answered();
        assert_eq!(cause(&stay, short), None, "{context} tokens");
        house.look(&["n"]);
    }
}

#[test]
fn a_model_that_answers_and_is_not_listed_is_not_cold_until_it_was_listed_once() {
    for answers_between_looks in [false, true] {
        let house = House::holding(&["n"]);
        assert_eq!(house.exchange("m"), Some(ColdCause::First));
        house.look(&["n"]);
        if answers_between_looks {
            assert_eq!(house.exchange("m"), Some(ColdCause::Unknown), "one look may have come at a bad time");
        }
        house.look(&["n"]);
        let mut stay = house.enter("m");
        assert!(!stay.answered(), "another look would not find it either");
        assert_eq!(cause(&stay, None), None);
        assert_eq!(cause(&stay, LONG), Some(ColdCause::Unknown), "as where nobody looks");
        drop(stay);
        house.look(&["n"]);
        assert_eq!(house.exchange("m"), None);
        house.look(&["m", "n"]);
        house.look(&["n"]);
        house.look(&["n"]);
        assert_eq!(house.exchange("m"), Some(ColdCause::Unknown), "it is listed while it is in memory");
    }
}

#[test]
fn a_model_that_left_for_a_reason_is_still_one_that_is_listed() {
    for reason in [ColdCause::Evicted, ColdCause::Unloaded, ColdCause::Restart] {
        let house = House::holding(&["n"]);
        house.exchange("m");
        match reason {
            ColdCause::Evicted => house.look(&["o"]),
            ColdCause::Unloaded => house.enter("m").unloaded(),
            _ => house.residency.refuses(&house.backend),
        }
        house.look(&["o"]);
        house.look(&["o"]);
        assert_eq!(house.exchange("m"), Some(reason));
    }
    let house = House::holding(&["m"]);
    (0..3).for_each(|_| house.look(&[]));
    assert_eq!(house.exchange("m"), Some(ColdCause::Unknown), "somebody else sent it away");
}

#[test]
fn a_model_that_the_last_look_found_in_memory_is_not_cold_whatever_it_reports() {
    let house = House::holding(&["m:latest"]);
    for spelling in ["m", "M:latest", "library/m", "registry.ollama.ai/library/m:LATEST"] {
        assert_eq!(cause(&house.enter(spelling), LONG), None, "{spelling}");
    }
}

#[test]
fn a_model_that_runs_elsewhere_is_never_cold() {
    let house = House::holding(&[]);
    house.residency.elsewhere(&house.backend, ["mine:latest"].into_iter());
    for name in ["gpt-oss:120b-cloud", "kimi-k2:cloud", "Kimi-K2:Cloud", "mine"] {
        let mut stay = house.enter(name);
        assert!(!stay.answered());
        assert_eq!(cause(&stay, LONG), None, "{name}");
        house.look(&[]);
        assert_eq!(house.exchange(name), None, "{name}");
    }
}

#[test]
fn a_model_that_was_seen_in_memory_does_not_run_elsewhere_whatever_it_is_called() {
    let house = House::holding(&[]);
    house.residency.elsewhere(&house.backend, ["mine:latest"].into_iter());
    for name in ["storm-cloud", "mine"] {
        house.look(&[name]);
        assert_eq!(house.exchange(name), None, "{name}");
        house.enter(name).unloaded();
        house.residency.elsewhere(&house.backend, [].into_iter());
        assert_eq!(house.exchange(name), Some(ColdCause::Unloaded), "{name}");
    }
}

#[test]
fn a_model_that_a_server_lists_with_its_context_does_not_run_elsewhere() {
    let house = House::new();
    house.residency.serves(&house.backend, [held("storm-cloud")].into_iter());
    let stay = house.enter("storm-cloud");
    assert_eq!(cause(&stay, LONG), Some(ColdCause::First));
    assert_eq!(stay.suspects("storm-cloud", 15_009, 1_027), Some(true));
}

#[test]
fn a_model_that_is_listed_as_another_hosts_no_more_runs_here() {
    let house = House::holding(&[]);
    house.residency.elsewhere(&house.backend, ["mine:latest", "other"].into_iter());
    assert_eq!(house.exchange("mine"), None);
    house.residency.elsewhere(&house.backend, ["other"].into_iter());
    assert_eq!(house.exchange("mine"), Some(ColdCause::First));
    assert_eq!(house.exchange("other"), None);
}

#[test]
fn until_a_model_that_is_not_in_memory_answers_all_on_it_are_cold_unless_they_report_no_load() {
    let house = House::holding(&["n"]);
    let mut together = [house.enter("m"), house.enter("M:latest")];
    assert!(together[1].answered(), "that it is in memory by now is news");
    let later = house.enter("m");
    assert!(!together[0].answered(), "no more");
    for load in [None, LONG] {
        assert!(together.iter().all(|stay| cause(stay, load) == Some(ColdCause::First)), "all waited for it");
        assert_eq!(cause(&later, load), None, "it waited for others, not for the model");
    }
    assert!(together.iter().all(|stay| cause(stay, Some(Duration::ZERO)).is_none()), "nobody waited");
}

#[test]
fn a_model_that_was_just_made_or_just_asked_for_is_absent_until_it_is_seen() {
    let house = House::holding(&["m"]);
    assert_eq!(house.exchange("new"), Some(ColdCause::First), "nobody has listed it");
    assert_eq!(house.exchange("new"), None);
}

#[test]
fn a_look_that_was_begun_before_an_answer_does_not_outrank_it() {
    let house = House::holding(&["old"]);
    house.residency.looks(&house.backend);
    assert_eq!(house.exchange("m"), Some(ColdCause::First));
    let sent_away = house.enter("old");
    sent_away.unloaded();
    drop(sent_away);
    house.residency.looked(&house.backend, [held("old")].into_iter(), house.now);
    assert_eq!(house.exchange("m"), None, "it has answered since");
    assert_eq!(house.exchange("old"), Some(ColdCause::Unloaded));
    house.look(&["old"]);
    assert_eq!(house.exchange("m"), Some(ColdCause::Evicted), "this one began later");
}

#[test]
fn what_an_answer_sent_away_is_absent_from_then_on() {
    let house = House::holding(&["m", "n"]);
    house.enter("m").unloaded();
    assert_eq!(house.exchange("m"), Some(ColdCause::Unloaded));
    let (mut last, mut other) = (house.enter("n"), house.enter("n"));
    last.leaves();
    assert!(!last.answered() && !other.answered());
    drop(last);
    assert_eq!(cause(&house.enter("n"), None), None, "another one is still at work");
    drop(other);
    let mut alone = house.enter("n");
    alone.leaves();
    alone.answered();
    drop(alone);
    assert_eq!(house.exchange("n"), Some(ColdCause::Unloaded));
}

#[test]
fn a_look_that_finds_a_model_on_its_way_out_does_not_bring_it_back() {
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let mut house = House::holding(&[]);
    let row = |expires| [Held { expires, ..held("m") }, held("n")].into_iter();
    house.now += Duration::from_secs(10);
    // Its own clock may be ahead of ours: it expires at once, and before it would have.
    for on_its_way_out in [10, 14] {
        house.find(row(at(310)));
        house.enter("m").unloaded();
        house.find(row(at(on_its_way_out)));
        assert_eq!(house.exchange("m"), Some(ColdCause::Unloaded), "{on_its_way_out}");
        assert_eq!(house.exchange("n"), None, "it took no place");
    }
    house.enter("m").unloaded();
    house.find(row(at(320)));
    assert_eq!(house.exchange("m"), None, "somebody else has loaded it");
}

#[test]
fn a_restarted_backend_has_nothing_in_memory_until_it_is_seen_there() {
    let house = House::holding(&["m", "n"]);
    house.residency.refuses(&house.backend);
    assert_eq!(house.exchange("m"), Some(ColdCause::Restart));
    assert_eq!(house.exchange("m"), None);
    house.look(&["n"]);
    assert_eq!(house.exchange("n"), None, "it was not down after all");
    let nobody_looks = House::new();
    nobody_looks.exchange("m");
    nobody_looks.residency.refuses(&nobody_looks.backend);
    assert_eq!(nobody_looks.exchange("m"), None);
}

#[test]
fn a_model_that_another_one_replaced_was_evicted_by_it() {
    let house = House::holding(&["a"]);
    house.look(&["b"]);
    let mut stay = house.enter("a");
    stay.answered();
    let by = Some("b".into());
    assert_eq!(stay.cold(None), Some(Cold { cause: ColdCause::Evicted, by }));
    // It may be gone before the other has come.
    house.look(&["a"]);
    house.look(&["a"]);
    house.look(&[]);
    assert_eq!(cause(&house.enter("a"), None), Some(ColdCause::Unknown));
    house.look(&["c"]);
    assert_eq!(house.exchange("a"), Some(ColdCause::Evicted));
}

#[test]
fn switches_between_two_looks_are_seen_if_each_answer_brings_on_a_look() {
    let house = House::holding(&[]);
    let mut cold = Vec::new();
    for model in ["a", "b", "a", "b", "a", "b"] {
        let mut stay = house.enter(model);
        if stay.answered() {
            house.look(&[model]);
        }
        cold.extend(cause(&stay, None));
    }
    let evicted = ColdCause::Evicted;
    assert_eq!(cold, [ColdCause::First, ColdCause::First, evicted, evicted, evicted, evicted]);
}

#[test]
fn a_model_that_leaves_while_an_exchange_waits_for_it_is_cold() {
    let house = House::holding(&["a"]);
    let mut waiting = house.enter("a");
    house.look(&["b"]);
    assert!(waiting.answered());
    assert_eq!(cause(&waiting, None), Some(ColdCause::Evicted));
}

#[test]
fn a_model_that_nobody_used_for_long_enough_has_expired() {
    let mut house = House::holding(&[]);
    let models = [("unused", 5), ("used", 5), ("kept", 300)];
    let leaves = |after| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(after));
    let all = || models.map(|(name, after)| Held { expires: leaves(after), ..held(name) }).into_iter();
    house.find(all());
    house.find(all());
    house.exchange("used");
    house.now += Duration::from_secs(7);
    // Heard of since the last look was begun: the next is the first that counts.
    house.look(&["used"]);
    house.look(&[]);
    let causes = models.map(|(name, _)| house.exchange(name));
    assert_eq!(causes, [Some(ColdCause::Expired), Some(ColdCause::Unknown), Some(ColdCause::Unknown)]);
}

#[test]
fn a_clock_that_is_a_little_ahead_or_far_behind_makes_no_other_cause() {
    let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let models = [("due", 320), ("later", 340), ("overdue", 100)];
    let all = || models.map(|(name, leaves)| Held { expires: at(leaves), ..held(name) }).into_iter();
    for newcomer in [None, Some("new")] {
        let mut house = House::holding(&[]);
        for now in [285, 290, 295] {
            house.now = SystemTime::UNIX_EPOCH + Duration::from_secs(now);
            house.find(all());
        }
        house.now += Duration::from_secs(5);
        house.find(newcomer.map(held).into_iter());
        let causes = models.map(|(name, _)| house.exchange(name));
        let expected = match newcomer {
            None => [ColdCause::Expired, ColdCause::Unknown, ColdCause::Expired],
            Some(_) => [ColdCause::Evicted; 3],
        };
        assert_eq!(causes, expected.map(Some), "{newcomer:?}");
    }
}

#[test]
fn a_change_of_the_context_loads_a_model_that_is_in_memory() {
    let house = House::holding(&[]);
    assert_eq!(house.exchange("m"), Some(ColdCause::First));
    house.look(&["m"]);
    assert_eq!(house.exchange_with("m", 1024), Some(ColdCause::OptionsChanged));
    house.find([Held { context: Some(1024), ..held("m") }].into_iter());
    assert_eq!(house.exchange_with("m", 1024), None);
    // Without `num_ctx` it gets what it got before: more than it has.
    let mut back = house.enter("m");
    assert!(back.answered(), "it is looked at again");
    assert_eq!(cause(&back, LONG), Some(ColdCause::OptionsChanged));
    assert_eq!(cause(&back, None), None, "the route reports no load, and a model may be made for less");
    drop(back);
    house.look(&["m"]);
    assert_eq!(house.exchange_with("m", 2048), None, "what is asked for is the default");
    assert_eq!(house.exchange("m"), None);
}

#[test]
fn other_options_of_loading_are_a_load_only_where_one_is_reported() {
    let house = House::holding(&["m"]);
    let with_gpu = {
        let mut scanner = crate::wire::request::ModelScanner::default();
        scanner.read(br#"{"options":{"num_gpu":0}}"#);
        scanner.load_options()
    };
    let stay = house.residency.enter(&house.backend, "m", with_gpu);
    assert_eq!(cause(&stay, None), None);
    assert_eq!(cause(&stay, LONG), Some(ColdCause::OptionsChanged));
    let other = house.residency.enter(&house.backend, "m", with_gpu);
    assert_eq!(cause(&other, LONG), None, "it may have waited for the first");
}

#[test]
fn nothing_is_kept_of_exchanges_that_ended_without_an_answer() {
    let house = House::new();
    drop((house.enter("m"), house.enter("M"), house.enter("n")));
    assert!(house.residency.of(&house.backend).lock().models.is_empty());
    (0..3 * MODELS).for_each(|name| {
        house.exchange(&name.to_string());
    });
    let kept = house.residency.of(&house.backend).lock().models.len();
    assert!(kept <= MODELS + 1, "{kept} models");
}

/// A prompt of 15,009 characters of which the backend read half a context of 2,048.
fn cut(house: &House) -> bool {
    cut_with(house, LoadOptions::default())
}

fn cut_with(house: &House, options: LoadOptions) -> bool {
    let mut stay = house.residency.enter(&house.backend, "m", options);
    stay.answered();
    stay.suspects("m", 15_009, 1_027).expect("its own model")
}

fn whole(house: &House) -> bool {
    let mut stay = house.enter("m");
    stay.answered();
    stay.suspects("m", 2_000, 500).expect("its own model")
}

#[test]
fn the_first_the_second_and_the_tenth_prompt_that_is_cut_are_suspected_cold_and_warm() {
    for warm in [false, true] {
        for first_cut in [1, 2, 10] {
            let house = House::holding(if warm { &["m"] } else { &[] });
            let mut suspected = 0;
            for prompt in 1..=12 {
                let found = if prompt >= first_cut { cut(&house) } else { whole(&house) };
                assert!(prompt >= first_cut || !found, "a whole prompt");
                suspected += u64::from(found);
                if prompt == 1 {
                    // The answer of a cold model brings on a look.
                    suspected += house.find([held("m")].into_iter());
                }
            }
            assert_eq!(suspected, 12 - first_cut + 1, "warm: {warm}, from prompt {first_cut} on");
        }
    }
}

#[test]
fn cut_prompts_in_mixed_traffic_are_all_suspected() {
    let house = House::holding(&[]);
    let mut suspected = 0;
    for round in 0..25 {
        suspected += u64::from(cut(&house));
        (0..3).for_each(|_| assert!(!whole(&house)));
        if round == 2 {
            suspected += house.find([held("m")].into_iter());
        }
    }
    assert_eq!(suspected, 25);
}

#[test]
fn a_prompt_is_not_held_against_a_context_that_it_did_not_have() {
    let house = House::holding(&[]);
    let long = LoadOptions::with_context(32_768);
    let mut stay = house.residency.enter(&house.backend, "m", long);
    stay.answered();
    assert_eq!(stay.suspects("m", 15_009, 1_027), Some(false), "dense text, of which the context takes 32,768 tokens");
    drop(stay);
    assert!(!whole(&house));
    assert_eq!(house.find([held("m")].into_iter()), 0, "that one was loaded after it");
    assert!(cut(&house));
}

#[test]
fn where_the_context_is_asked_for_a_cut_is_suspected_at_once() {
    let house = House::new();
    assert!(cut_with(&house, LoadOptions::with_context(2_048)));
    let serves = House::new();
    serves.residency.serves(&serves.backend, [held("m")].into_iter());
    assert!(cut(&serves), "a server that says how long its contexts are");
}

#[test]
fn a_prompt_of_a_model_that_runs_elsewhere_is_never_suspected() {
    let house = House::holding(&[]);
    house.residency.elsewhere(&house.backend, ["mine"].into_iter());
    for name in ["gpt-oss:120b-cloud", "mine:latest"] {
        let stay = house.enter_with(name, 2_048);
        assert_eq!(stay.suspects(name, 15_009, 1_027), Some(false), "{name}");
        drop(stay);
        for (characters, tokens) in [(4_000, 1_000), (4_000, 1_000), (4_000, 1_000), (40_000, 2_000)] {
            assert!(!house.residency.suspects(&house.backend, name, characters, tokens), "{name}");
        }
    }
}
