//! A fleet with what it knows, in virtual time.

use super::health::Failure;
use super::*;
use crate::backend::dial::Dialer;
use crate::backend::{self, Backend, HostHeader};

fn member(name: &str, share: Share) -> Member {
    let address: crate::backend::address::Address = "127.0.0.1:9".parse().expect("an address");
    let dialer = Arc::new(Dialer::new(address.clone()));
    let backend = Backend { name: name.into(), address };
    Member::new(backend, backend::Settings::default(), share, dialer, Instant::now())
}

/// Backends of these names and shares, all of which list the model `m`.
fn fleet(policy: Policy, members: &[(&str, Share)]) -> Fleet {
    let knowledge = Knowledge::default();
    members.iter().for_each(|(name, _)| knowledge.catalogue.set_listed(&Arc::from(*name), ["m"].into_iter()));
    let members = members.iter().map(|(name, share)| member(name, share.clone())).collect();
    Fleet::new(members, &Settings { policy, ..Settings::default() }, knowledge)
}

fn ask(model: &str, random: u64) -> Ask<'_> {
    // Spread over all values, as a real one is.
    Ask { model, dialect: Dialect::Ollama, works: true, random: random.wrapping_mul(0x9E37_79B9_7F4A_7C15) }
}

fn placed(lease: &Lease) -> (&str, PlacementReason) {
    (&lease.member().backend.name, lease.reason())
}

#[test]
fn a_lease_counts_until_it_is_dropped_also_over_a_change_of_the_settings() {
    let before = Fleet::of_one(member("one", Share::default()));
    let leases = [before.choose(), before.choose()].map(|lease| lease.expect("one"));
    let mut changed = member("one", Share::default());
    changed.settings.host_header = HostHeader::Upstream;
    let after = Fleet::of_one(changed).succeeding(&before);
    let other = after.choose().expect("one");
    assert_eq!(other.member().settings.host_header, HostHeader::Upstream);
    assert_eq!(leases[0].member().settings.host_header, HostHeader::Preserve, "what is in flight keeps its own");
    assert_eq!((before.members()[0].in_flight(), after.members()[0].in_flight()), (3, 3));
    assert!(leases[0].member().is_same(other.member()));
    assert!(!Fleet::of_one(member("one", Share::default())).members()[0].is_same(other.member()));
    drop((leases, other));
    assert_eq!(after.members()[0].in_flight(), 0);
}

#[test]
fn a_herd_that_asks_for_a_cold_model_begins_one_load_until_another_pays() {
    let (fleet, now) =
        (fleet(Policy::ModelLoaded, &[("a", Share::default()), ("b", Share::default())]), Instant::now());
    let mut herd: Vec<_> = (0..4).map(|at| fleet.choose_for(&ask("m", at), now).expect("a backend")).collect();
    assert_eq!(herd[0].reason(), PlacementReason::Cold);
    let first = herd[0].member().backend.name.clone();
    for lease in &herd[1..] {
        assert_eq!(placed(lease), (&*first, PlacementReason::Join));
    }
    // Behind 5 exchanges in one slot the wait is 5 times 5 s, and another load takes 20 s.
    herd.push(fleet.choose_for(&ask("m", 5), now).expect("a backend"));
    herd.push(fleet.choose_for(&ask("m", 6), now).expect("a backend"));
    let spilt: Vec<_> = herd.iter().filter(|lease| lease.reason() == PlacementReason::Spill).collect();
    assert_eq!(spilt.len(), 1, "{:?}", herd.iter().map(placed).collect::<Vec<_>>());
    assert_ne!(spilt[0].member().backend.name, first);
    drop(herd);
    assert_eq!(fleet.choose_for(&ask("m", 7), now).expect("a backend").reason(), PlacementReason::Cold);
}

#[test]
fn a_backend_that_drains_gets_nothing_and_a_higher_tier_only_what_the_lower_cannot() {
    let drains = Share { drains: true, ..Share::default() };
    let tier = |tier| Share { tier, ..Share::default() };
    let all = [("gone", drains.clone()), ("near", tier(0)), ("far", tier(1))];
    let (fleet, now) = (fleet(Policy::LeastBusy, &all), Instant::now());
    for at in 0..20 {
        assert_eq!(placed(&fleet.choose_for(&ask("m", at), now).expect("one")).0, "near");
        assert_eq!(placed(&fleet.choose_for(&ask("x", at), now).expect("one")), ("near", PlacementReason::Home));
    }
    assert_eq!(placed(&fleet.choose().expect("one")), ("near", PlacementReason::Home));
    assert_eq!(placed(&fleet.choose_named("gone").expect("one")), ("gone", PlacementReason::Header));
    assert!(fleet.choose_named("nobody").is_none());
    fleet.members()[1].condition.failed(Failure::Unreachable, false, 0.5, now);
    assert_eq!(placed(&fleet.choose_for(&ask("m", 0), now).expect("one")), ("far", PlacementReason::LeastBusy));
    let empty = super::tests::fleet(Policy::LeastBusy, &[("a", drains.clone()), ("b", drains)]);
    assert!(empty.choose_for(&ask("m", 0), now).is_err() && empty.choose().is_none());
}

#[test]
fn a_denied_model_reaches_no_backend_that_denies_it() {
    let denies = Share { deny: vec![Pattern::new("m*").expect("a pattern")], ..Share::default() };
    let now = Instant::now();
    let one = fleet(Policy::ModelLoaded, &[("a", denies.clone()), ("b", Share::default())]);
    assert_eq!(placed(&one.choose_for(&ask("m", 0), now).expect("one")).0, "b");
    assert_eq!(placed(&one.choose_for(&ask("mistral", 0), now).expect("one")), ("b", PlacementReason::Home));
    let none = fleet(Policy::ModelLoaded, &[("a", denies.clone()), ("b", denies)]);
    assert_eq!(none.choose_for(&ask("m", 0), now).err(), Some(Unserved::NotAllowed));
    assert!(none.choose_for(&ask("other", 0), now).is_ok());
}

#[test]
fn a_backend_that_was_down_gets_one_trial_and_the_others_go_elsewhere() {
    let (fleet, now) = (fleet(Policy::RoundRobin, &[("a", Share::default()), ("b", Share::default())]), Instant::now());
    let choose = |at, now| fleet.choose_for(&ask("m", at), now).expect("a backend");
    let mut lease = choose(0, now);
    assert_eq!(placed(&lease).0, "a");
    lease.report(LeaseEnd::Unreachable, || 0.5, now);
    drop(lease);
    assert_eq!(fleet.members()[0].ejections(Failure::Unreachable), 1);
    assert!((1..5).all(|at| placed(&choose(at, now)).0 == "b"));
    let later = now + Duration::from_secs(2);
    let mut trial = choose(6, later);
    assert_eq!(placed(&trial), ("a", PlacementReason::Trial));
    assert!((7..12).all(|at| placed(&choose(at, later)).0 == "b"), "while it is tried");
    trial.report(LeaseEnd::Succeeded, || 0.5, later);
    assert_eq!(fleet.members()[0].standing(later), Standing::Up);
    assert!(fleet.members()[0].weight(later) < 0.11, "it starts slowly");
}

#[test]
fn the_last_holder_of_a_model_is_never_taken_out() {
    let (fleet, now) =
        (fleet(Policy::ModelLoaded, &[("a", Share::default()), ("b", Share::default())]), Instant::now());
    for member in fleet.members() {
        (0..5).for_each(|_| member.condition.failed(Failure::Failed, false, 0.5, now));
        assert_eq!(member.standing(now), Standing::Ejected);
    }
    assert_eq!(fleet.choose_for(&ask("m", 0), now).expect("one").reason(), PlacementReason::Panic);
}

#[test]
fn turns_are_spread_by_weight_also_where_threads_choose_at_the_same_moment() {
    const THREADS: u64 = 4;
    const TURNS: u64 = 3_000;
    let share = |weight| Share { weight: std::num::NonZeroU32::new(weight).expect("not zero"), ..Share::default() };
    let fleet = fleet(Policy::RoundRobin, &[("a", share(1)), ("b", share(3)), ("c", share(2))]);
    let now = Instant::now();
    let counts = std::thread::scope(|scope| {
        let choose = || {
            let mut counts = [0_u64; 3];
            for at in 0..TURNS {
                let lease = fleet.choose_for(&ask("m", at), now).expect("one");
                counts[usize::from(lease.member().backend.name.as_bytes()[0] - b'a')] += 1;
            }
            counts
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(choose)).collect();
        let all = threads.into_iter().map(|thread| thread.join().expect("no panic"));
        all.fold([0; 3], |sum, counts| std::array::from_fn(|at| sum[at] + counts[at]))
    });
    let wanted = [1, 3, 2].map(|weight| THREADS * TURNS * weight / 6);
    let off = counts.iter().zip(wanted).map(|(count, wanted)| count.abs_diff(wanted)).max();
    assert!(off <= Some(2 * THREADS), "{counts:?} for {wanted:?}");
}

#[test]
fn a_second_load_begins_as_soon_as_it_pays_by_what_the_first_one_took() {
    let (fleet, now) =
        (fleet(Policy::ModelLoaded, &[("a", Share::default()), ("b", Share::default())]), Instant::now());
    let first = fleet.choose_for(&ask("m", 0), now).expect("one");
    assert_eq!(first.reason(), PlacementReason::Cold);
    assert_eq!(fleet.state(first.member(), now), BackendState::Loading);
    let second = fleet.choose_for(&ask("m", 1), now).expect("one");
    assert_eq!(second.reason(), PlacementReason::Join, "waiting for one exchange is shorter than an unknown load");
    first.loaded(Duration::from_secs(1));
    let third = fleet.choose_for(&ask("m", 2), now).expect("one");
    assert_eq!(third.reason(), PlacementReason::Spill, "a load takes a second");
    drop((first, second, third));
    assert_eq!(fleet.state(&fleet.members()[0], now), BackendState::Up);
}

#[test]
fn slots_are_those_of_the_configuration_else_those_that_the_backend_reports() {
    let limited = Share { slots: Slots::AtMost(2.try_into().expect("not zero")), ..Share::default() };
    let before = fleet(Policy::ModelLoaded, &[("a", Share::default()), ("b", limited.clone())]);
    let slots = |fleet: &Fleet| [0, 1].map(|at| fleet.members()[at].slots());
    assert_eq!(slots(&before), [None, Some(2)]);
    before.members().iter().for_each(|member| member.set_reported_slots(std::num::NonZeroU32::new(8)));
    let after = fleet(Policy::ModelLoaded, &[("a", Share::default()), ("b", limited)]).succeeding(&before);
    assert_eq!((slots(&before), slots(&after)), ([Some(8), Some(2)], [Some(8), Some(2)]));
}

#[test]
fn a_backend_whose_answers_become_slow_is_shown_as_such_and_avoided_until_they_are_not() {
    let (fleet, start) =
        (fleet(Policy::LeastBusy, &[("a", Share::default()), ("b", Share::default())]), Instant::now());
    let model: Arc<str> = "m".into();
    let answers = |millis, count| {
        for _ in 0..count {
            let lease = fleet.choose_named("a").expect("a");
            lease.paced(&model, Duration::from_millis(millis), start);
        }
    };
    let state = |now| fleet.state(&fleet.members()[0], now);
    answers(20, 20);
    answers(300, 4);
    assert_eq!(state(start), BackendState::Up);
    answers(300, 1);
    assert_eq!(state(start), BackendState::Slow);
    assert!(state(start).is_chosen() && fleet.members()[0].slowness(start) > 2.0);
    assert_eq!(fleet.members()[0].standing(start), Standing::Up, "it is not left out");
    assert!((0..20).all(|at| placed(&fleet.choose_for(&ask("m", at), start).expect("one")).0 == "b"));
    assert_eq!(state(start + Duration::from_secs(600)), BackendState::Up, "what was long ago says little");
    answers(20, 10);
    assert_eq!(state(start), BackendState::Up);
    let one = Fleet::of_one(member("a", Share::default()));
    for millis in [20, 20, 500, 500, 500, 500, 500, 500, 500] {
        one.choose().expect("a").paced(&model, Duration::from_millis(millis), start);
    }
    assert_eq!(one.members()[0].slowness(start), 1.0, "of an only backend nothing is kept");
}

#[test]
fn the_balance_is_that_of_what_is_in_flight_by_slots_else_by_weight() {
    let slots = |count: u32| Share { slots: Slots::AtMost(count.try_into().expect("not zero")), ..Share::default() };
    let drains = Share { drains: true, ..Share::default() };
    let both = fleet(Policy::LeastBusy, &[("a", slots(4)), ("b", slots(2)), ("gone", drains)]);
    let now = Instant::now();
    let close = |fleet: &Fleet, expected: f64| {
        let balance = fleet.balance(now).expect("a balance");
        assert!((balance - expected).abs() < 1e-9, "{balance}, not {expected}");
    };
    assert_eq!(both.balance(now), None, "all are idle");
    let leases: Vec<_> = ["a", "a", "b"].map(|name| both.choose_named(name)).into_iter().collect();
    close(&both, 1.0);
    drop(leases);
    let _one = both.choose_named("a");
    close(&both, 0.5);
    let weight = Share { weight: std::num::NonZeroU32::new(3).expect("not zero"), ..Share::default() };
    let unknown = fleet(Policy::LeastBusy, &[("a", weight), ("b", Share::default())]);
    let _leases = ["a", "a", "a", "b"].map(|name| unknown.choose_named(name));
    close(&unknown, 1.0);
    assert_eq!(unknown.members()[0].placed(PlacementReason::Header), 3);
    assert_eq!(fleet(Policy::LeastBusy, &[("a", Share::default())]).balance(now), None);
}

#[test]
fn backends_of_this_zone_come_first_where_both_zones_are_known() {
    let knowledge = Knowledge::default();
    let names = ["near", "far", "nowhere"];
    names.iter().for_each(|name| knowledge.catalogue.set_listed(&Arc::from(*name), ["m"].into_iter()));
    let zones = [Some("cellar"), Some("attic"), None].map(|zone| zone.map(str::to_owned));
    let members = names.iter().zip(zones).map(|(name, zone)| member(name, Share { zone, ..Share::default() }));
    let settings = Settings { policy: Policy::LeastBusy, zone: Some("cellar".to_owned()), ..Settings::default() };
    let fleet = Fleet::new(members.collect(), &settings, knowledge);
    let now = Instant::now();
    let chosen: Vec<_> =
        (0..200).map(|at| placed(&fleet.choose_for(&ask("m", at), now).expect("one")).0.to_owned()).collect();
    let of = |name: &str| chosen.iter().filter(|it| **it == name).count();
    assert!(of("far") == 0 && of("near") > 50 && of("nowhere") > 50, "{} {}", of("near"), of("nowhere"));
    let _busy: Vec<_> = ["near", "nowhere"].map(|name| fleet.choose_named(name)).into_iter().collect();
    let chooses_far = |at| placed(&fleet.choose_for(&ask("m", at), now).expect("one")).0 == "far";
    assert!((0..50).any(chooses_far), "a preference and no wall");
}

#[test]
fn a_trial_that_tells_nothing_leaves_the_next_exchange_to_try() {
    let (fleet, now) = (fleet(Policy::RoundRobin, &[("a", Share::default()), ("b", Share::default())]), Instant::now());
    fleet.members()[0].condition.failed(Failure::Unreachable, false, 0.5, now);
    let later = now + Duration::from_secs(2);
    for _client_that_leaves in 0..2 {
        let mut trial = fleet.choose_for(&ask("m", 0), later).expect("one");
        assert_eq!(placed(&trial), ("a", PlacementReason::Trial));
        trial.report(LeaseEnd::Unknown, || 0.5, later);
    }
}

#[test]
fn a_busy_backend_works_and_is_avoided_for_as_long_as_it_asks() {
    let (fleet, now) = (fleet(Policy::LeastBusy, &[("a", Share::default()), ("b", Share::default())]), Instant::now());
    let mut lease = fleet.choose_named("a").expect("a");
    lease.report(LeaseEnd::Busy(Some(Duration::from_secs(60))), || 0.5, now);
    drop(lease);
    let condition = &fleet.members()[0].condition;
    assert_eq!(
        (condition.load().penalty(now), condition.health().standing(now)),
        (Duration::from_secs(60), Standing::Up)
    );
    assert!((0..20).all(|at| placed(&fleet.choose_for(&ask("m", at), now).expect("one")).0 == "b"));
}

#[test]
fn what_is_loading_and_who_has_which_answer_survives_a_change_of_the_settings() {
    let members = [("a", Share::default()), ("b", Share::default())];
    let (before, now) = (fleet(Policy::ModelLoaded, &members), Instant::now());
    let load = before.choose_for(&ask("m", 0), now).expect("one");
    before.learn_answer(b"resp_1", "b", now);
    let after = fleet(Policy::ModelLoaded, &members).succeeding(&before);
    assert_eq!(after.state(load.member(), now), BackendState::Loading);
    let holder = after.choose_holder([&b"resp_1"[..]], now).expect("one");
    assert_eq!(placed(&holder), ("b", PlacementReason::ResponseId));
}

#[test]
fn a_question_for_any_that_works_goes_to_the_home_unless_it_is_down() {
    let (fleet, now) = (fleet(Policy::LeastBusy, &[("a", Share::default()), ("b", Share::default())]), Instant::now());
    let working = || placed(&fleet.choose_working(now).expect("one")).0.to_owned();
    assert_eq!(working(), "a");
    fleet.members()[0].condition.failed(Failure::Unreachable, false, 0.5, now);
    assert_eq!(working(), "b");
    fleet.members()[1].condition.failed(Failure::Unreachable, false, 0.5, now);
    assert_eq!(working(), "a", "its answer says that it is down");
}

#[test]
fn a_model_that_only_a_draining_backend_has_is_refused_and_not_asked_of_another() {
    let drains = Share { drains: true, ..Share::default() };
    let knowledge = Knowledge::default();
    knowledge.catalogue.set_listed(&Arc::from("gone"), ["m"].into_iter());
    let members = vec![member("home", Share::default()), member("gone", drains.clone())];
    let fleet = Fleet::new(members, &Settings::default(), knowledge.clone());
    let now = Instant::now();
    assert_eq!(placed(&fleet.choose_for(&ask("m", 0), now).expect("one")).0, "home", "it may have it, not listed yet");
    knowledge.catalogue.set_listed(&Arc::from("home"), std::iter::empty());
    assert_eq!(fleet.choose_for(&ask("m", 0), now).err(), Some(Unserved::Draining));
    assert_eq!(placed(&fleet.choose_for(&ask("x", 0), now).expect("one")), ("home", PlacementReason::Home));
    let denies = Share { deny: vec![Pattern::new("m").expect("a pattern")], ..drains };
    let fleet =
        Fleet::new(vec![member("home", Share::default()), member("gone", denies)], &Settings::default(), knowledge);
    assert_eq!(placed(&fleet.choose_for(&ask("m", 0), now).expect("one")).0, "home", "it was not asked for it anyway");
}

#[test]
fn a_model_that_none_lists_is_asked_of_one_that_accepts_connections() {
    let (fleet, now) = (fleet(Policy::LeastBusy, &[("a", Share::default()), ("b", Share::default())]), Instant::now());
    let asked = || placed(&fleet.choose_for(&ask("x", 0), now).expect("one")).0.to_owned();
    assert_eq!(asked(), "a");
    (0..5).for_each(|_| fleet.members()[0].condition.failed(Failure::Failed, false, 0.5, now));
    assert_eq!(asked(), "a", "it answers what it does not have");
    let later = now + Duration::from_secs(40);
    fleet.members()[0].probed(false, later);
    let asked = || placed(&fleet.choose_for(&ask("x", 0), later).expect("one")).0.to_owned();
    assert_eq!(asked(), "b");
    fleet.members()[1].probed(false, later);
    assert_eq!(asked(), "a", "its answer says that it is down");
}
