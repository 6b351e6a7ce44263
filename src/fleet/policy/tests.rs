//! The policies over virtual time.

use std::time::{Duration, Instant};

use super::*;
use crate::fleet::health::{Failure, Health};
use crate::fleet::load::Load;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn candidate(backend: usize, weight: f64) -> Candidate {
    Candidate {
        backend,
        weight,
        credit: 0.0,
        in_flight: 0,
        slots: Some(1),
        service: Some(seconds(1)),
        silence: Duration::ZERO,
        penalty: Duration::ZERO,
        slowness: 1.0,
        detour: Duration::ZERO,
        standing: Standing::Up,
        residence: Residence::Cold,
        load: seconds(20),
    }
}

/// A repeatable sequence of uniform numbers: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// The next `count` picks in turn among those whose index is in `among`.
fn turns(candidates: &mut [Candidate], among: &[usize], count: usize) -> Vec<usize> {
    let mut picks = Vec::new();
    for _ in 0..count {
        let mut some: Vec<_> = candidates.iter().filter(|it| among.contains(&it.backend)).cloned().collect();
        let picked = pick(Policy::RoundRobin, &some, Instant::now(), 0).expect("one");
        assert_eq!(picked.reason, PlacementReason::RoundRobin);
        take_turn(&mut some, picked);
        for changed in some {
            candidates[changed.backend].credit = changed.credit;
        }
        picks.push(picked.backend);
    }
    picks
}

#[test]
fn turns_are_spread_by_weight_and_evenly() {
    let mut equal = [candidate(0, 1.0), candidate(1, 1.0), candidate(2, 1.0)];
    assert_eq!(turns(&mut equal, &[0, 1, 2], 6), [0, 1, 2, 0, 1, 2]);
    let mut unequal = [candidate(0, 5.0), candidate(1, 1.0), candidate(2, 1.0)];
    assert_eq!(turns(&mut unequal, &[0, 1, 2], 7), [0, 0, 1, 0, 2, 0, 0]);
    let mut canary = [candidate(0, 95.0), candidate(1, 5.0)];
    let picks = turns(&mut canary, &[0, 1], 1000);
    assert_eq!(picks.iter().filter(|picked| **picked == 1).count(), 50);
    let longest = picks.split(|picked| *picked == 1).map(<[_]>::len).max();
    assert!(longest <= Some(19), "the rare one does not wait longer than its share says: {longest:?}");
}

#[test]
fn a_backend_that_was_no_candidate_has_no_turns_to_catch_up_on() {
    let mut fleet = [candidate(0, 1.0), candidate(1, 1.0)];
    turns(&mut fleet, &[0], 1000);
    assert_eq!(turns(&mut fleet, &[0, 1], 4), [0, 1, 0, 1]);
    // Models that only some backends have, in between.
    let mut fleet = [candidate(0, 1.0), candidate(1, 3.0), candidate(2, 1.0)];
    let mut counts = [0; 3];
    for at in 0..4000 {
        let among: &[usize] = [&[0, 1][..], &[1, 2]][at % 2];
        turns(&mut fleet, among, 1).into_iter().for_each(|picked| counts[picked] += 1);
    }
    assert_eq!(counts, [500, 3000, 500]);
}

#[test]
fn the_less_busy_of_two_wins_by_exchanges_speed_and_weight() {
    type Change = fn(&mut [Candidate; 2]);
    let cases: [(&str, Change); 6] = [
        ("fewer in flight", |it| it[0].in_flight = 1),
        ("faster", |it| it[0].service = Some(seconds(2))),
        ("heavier", |it| it[1].weight = 2.0),
        ("no failures", |it| it[0].penalty = seconds(5)),
        ("a speed of long ago is the other's", |it| {
            (it[1].service, it[1].silence, it[0].in_flight) = (Some(seconds(60)), seconds(6_000), 1);
        }),
        ("unknown speed is the other's", |it| (it[0].service, it[0].in_flight) = (None, 1)),
    ];
    for (why, change) in cases {
        let mut two = [candidate(0, 1.0), candidate(1, 1.0)];
        change(&mut two);
        for random in [0, u64::MAX, 1 << 31, 1 << 63] {
            let picked = pick(Policy::LeastBusy, &two, Instant::now(), random);
            assert_eq!(picked, Some(Pick { backend: 1, reason: PlacementReason::LeastBusy }), "{why}");
        }
    }
}

#[test]
fn equal_backends_are_equally_likely_and_every_pair_is_compared() {
    let (mut random, mut counts) = (Random(7), [0_u32; 5]);
    let five: Vec<_> = (0..5).map(|backend| candidate(backend, 1.0)).collect();
    for _ in 0..10_000 {
        counts[pick(Policy::LeastBusy, &five, Instant::now(), random.next()).expect("one").backend] += 1;
    }
    assert!(counts.iter().all(|count| (1850..2150).contains(count)), "{counts:?}");
    let mut busiest = five;
    busiest[3].in_flight = 1;
    let never = (0..10_000)
        .all(|_| pick(Policy::LeastBusy, &busiest, Instant::now(), random.next()).expect("one").backend != 3);
    assert!(never, "the busiest loses to whichever it is compared with");
}

/// A backend in virtual time.
struct Node {
    weight: f64,
    credit: f64,
    slots: usize,
    service: Duration,
    /// When what it works on ends, and whether that tried it.
    running: Vec<(Instant, Instant, bool)>,
    load: Load,
    health: Health,
    residence: Residence,
    loads: u32,
    fails: bool,
    picked: u32,
}

impl Node {
    fn new(service: Duration) -> Self {
        Self {
            weight: 1.0,
            credit: 0.0,
            slots: 4,
            service,
            running: Vec::new(),
            load: Load::default(),
            health: Health::default(),
            residence: Residence::Cold,
            loads: 0,
            fails: false,
            picked: 0,
        }
    }

    fn candidate(&self, backend: usize, now: Instant) -> Candidate {
        Candidate {
            weight: self.weight * self.health.share(now),
            credit: self.credit,
            in_flight: self.running.len() as u64,
            slots: Some(self.slots as u32),
            service: self.load.service(),
            silence: self.load.silence(now),
            penalty: self.load.penalty(now),
            standing: self.health.standing(now),
            residence: self.residence,
            ..candidate(backend, 1.0)
        }
    }

    /// Takes an exchange, after those before it and a load.
    fn take(&mut self, is_trial: bool, now: Instant) {
        self.picked += 1;
        if self.fails {
            self.load.failed(Duration::from_millis(1), None, now);
            self.health.failed(Failure::Failed, is_trial, 0.5, now);
            return;
        }
        if self.residence == Residence::Cold {
            self.loads += 1;
            self.residence = Residence::Loading(now + seconds(20));
        }
        let loaded = match self.residence {
            Residence::Loading(until) => until.max(now),
            Residence::Resident | Residence::Cold => now,
        };
        // The slot that is free first.
        let mut ends: Vec<_> = self.running.iter().map(|(end, ..)| *end).collect();
        ends.sort_unstable();
        let free = ends.len().checked_sub(self.slots).map_or(now, |at| ends[at]);
        self.running.push((free.max(loaded) + self.service, now, is_trial));
    }

    /// Ends what is over.
    fn turn(&mut self, now: Instant) {
        if matches!(self.residence, Residence::Loading(until) if until <= now) {
            self.residence = Residence::Resident;
        }
        for (end, begun, is_trial) in self.running.extract_if(.., |(end, ..)| *end <= now) {
            self.load.succeeded(end - begun, end);
            self.health.succeeded(is_trial, end);
        }
    }
}

/// Places an exchange.
fn place(nodes: &mut [Node], policy: Policy, random: &mut Random, now: Instant) -> Pick {
    nodes.iter_mut().for_each(|node| node.turn(now));
    let mut candidates: Vec<_> = nodes.iter().enumerate().map(|(at, node)| node.candidate(at, now)).collect();
    let picked = pick(policy, &candidates, now, random.next()).expect("one");
    take_turn(&mut candidates, picked);
    nodes.iter_mut().zip(candidates).for_each(|(node, candidate)| node.credit = candidate.credit);
    let node = &mut nodes[picked.backend];
    let is_trial = picked.reason == PlacementReason::Trial && node.health.begin_trial(now);
    node.take(is_trial, now);
    picked
}

#[test]
fn a_slow_and_a_light_backend_get_less_but_are_not_starved() {
    let mut nodes = [Node::new(seconds(1)), Node::new(seconds(4)), Node::new(seconds(1))];
    nodes[2].weight = 0.5;
    let (mut random, start) = (Random(1), Instant::now());
    for at in 0..3000 {
        place(&mut nodes, Policy::LeastBusy, &mut random, start + Duration::from_millis(at * 200));
    }
    let [fast, slow, light] = nodes.each_ref().map(|node| node.picked);
    assert!(fast > light && light > slow && slow > 100, "{fast} {light} {slow}");
}

#[test]
fn a_backend_that_fails_fast_gets_its_trials_and_no_more() {
    for (seed, policy) in Policy::ALL.into_iter().enumerate() {
        let mut nodes = [Node::new(seconds(2)), Node::new(seconds(2)), Node::new(seconds(2))];
        nodes[1].fails = true;
        let (mut random, start) = (Random(seed as u64), Instant::now());
        let (hour, mut trials) = (3600 * 2, 0);
        for at in 0..hour {
            let picked = place(&mut nodes, policy, &mut random, start + Duration::from_millis(at * 500));
            trials += u32::from(picked.reason == PlacementReason::Trial);
        }
        // Out for 30 s, 60 s, … up to 300 s: 16 times in an hour.
        let picked = nodes[1].picked;
        assert!(trials <= 17 && picked <= 5 + trials, "{policy:?}: {picked} in an hour, {trials} of them trials");
        nodes[1].fails = false;
        for at in hour..2 * hour {
            place(&mut nodes, policy, &mut random, start + Duration::from_millis(at * 500));
        }
        assert!(nodes[1].picked > picked + 1, "{policy:?}: it is used again");
    }
}

#[test]
fn a_herd_that_asks_for_a_cold_model_begins_one_load_until_spilling_pays() {
    let mut nodes = [Node::new(seconds(2)), Node::new(seconds(2)), Node::new(seconds(2))];
    let (mut random, now) = (Random(3), Instant::now());
    let loads = |nodes: &[Node; 3]| nodes.iter().map(|node| node.loads).sum::<u32>();
    let first = place(&mut nodes, Policy::ModelLoaded, &mut random, now);
    assert_eq!(first.reason, PlacementReason::Cold);
    // A load takes 20 s, and of 4 slots each takes 5 s by the assumed mean: beyond the slots one more waits 1.25 s, and the
    // 17th of them longer than a load.
    let mut joins = 0;
    let spill = loop {
        let picked = place(&mut nodes, Policy::ModelLoaded, &mut random, now);
        match picked.reason {
            PlacementReason::Join => joins += 1,
            _ => break picked,
        }
        assert_eq!((picked.backend, loads(&nodes)), (first.backend, 1), "all join the one load");
    };
    assert_eq!((spill.reason, joins), (PlacementReason::Spill, 4 + 16 - 1), "until the queue is longer than a load");
    assert!(spill.backend != first.backend && loads(&nodes) == 2);
}

#[test]
fn a_model_stays_where_it_is_while_a_slot_is_free_and_spills_once_the_queue_is_longer_than_a_load() {
    let now = Instant::now();
    let mut two = [candidate(0, 1.0), candidate(1, 100.0)];
    (two[0].residence, two[0].slots, two[0].service) = (Residence::Resident, Some(2), Some(seconds(10)));
    let picked = |two: &[Candidate], in_flight| {
        let mut two = two.to_vec();
        two[0].in_flight = in_flight;
        let picked = pick(Policy::ModelLoaded, &two, now, 0).expect("one");
        (picked.backend, picked.reason)
    };
    // The wait behind n exchanges on 2 slots is (n - 1) times 5 s, and a load takes 20 s.
    for in_flight in [0, 1, 2, 5] {
        assert_eq!(picked(&two, in_flight), (0, PlacementReason::Resident), "behind {in_flight}");
    }
    assert_eq!(picked(&two, 6), (1, PlacementReason::Spill));
    two[1].in_flight = 100;
    assert_eq!(picked(&two, 6), (0, PlacementReason::Resident), "not to one that is busier still");
    two[1].residence = Residence::Loading(now + seconds(1));
    two[1].in_flight = 0;
    assert_eq!(picked(&two, 1), (0, PlacementReason::Resident));
    assert_eq!(picked(&two, 2), (1, PlacementReason::Join), "a load that ends before a slot is free");
}

#[test]
fn too_few_backends_that_work_do_not_take_the_whole_load_and_the_last_is_never_out() {
    let with = |standings: &[Standing]| -> Vec<Candidate> {
        let one = |(at, standing): (usize, &Standing)| Candidate { standing: *standing, ..candidate(at, 1.0) };
        standings.iter().enumerate().map(one).collect()
    };
    let reached = |standings: &[Standing]| {
        let (mut random, candidates) = (Random(5), with(standings));
        let picks = (0..1000).map(|_| pick(Policy::LeastBusy, &candidates, Instant::now(), random.next()));
        let mut picks: Vec<_> = picks.map(|picked| picked.map(|it| (it.backend, it.reason))).collect();
        picks.sort_by_key(|picked| picked.map(|(backend, _)| backend));
        picks.dedup();
        picks.into_iter().flatten().collect::<Vec<_>>()
    };
    use PlacementReason::{LeastBusy, Panic, Trial as Tried};
    use Standing::{Down, Ejected, Trial, Up};
    assert_eq!(reached(&[Up, Ejected]), [(0, LeastBusy)]);
    assert_eq!(reached(&[Up, Down, Down]), [(0, LeastBusy)], "one that accepts no connection takes no load anyhow");
    assert_eq!(reached(&[Up, Ejected, Ejected]), [(0, Panic), (1, Panic), (2, Panic)]);
    assert_eq!(reached(&[Ejected, Down]), [(0, Panic)]);
    assert_eq!(reached(&[Down, Down]), [(0, Panic), (1, Panic)]);
    assert_eq!(reached(&[Up, Trial]), [(1, Tried)]);
    assert_eq!(reached(&[]), []);
}

#[test]
fn a_near_backend_is_chosen_until_it_is_busier_than_the_way_is_long() {
    let (mut random, now) = (Random(11), Instant::now());
    let mut fleet: Vec<_> = (0..5).map(|backend| candidate(backend, 1.0)).collect();
    fleet[..4].iter_mut().for_each(|far| far.detour = Duration::from_millis(50));
    fleet.iter_mut().for_each(|it| it.residence = Residence::Resident);
    let picks = |fleet: &[Candidate], policy, random: &mut Random| {
        let mut counts = [0; 5];
        (0..1_000).for_each(|_| counts[pick(policy, fleet, now, random.next()).expect("one").backend] += 1);
        counts
    };
    for policy in [Policy::LeastBusy, Policy::ModelLoaded] {
        assert_eq!(picks(&fleet, policy, &mut random)[4], 1_000, "{policy:?}: the near one is always compared");
    }
    assert_eq!(picks(&fleet, Policy::RoundRobin, &mut random)[0], 1_000, "a turn is a turn");
    fleet[4].in_flight = 1;
    let counts = picks(&fleet, Policy::LeastBusy, &mut random);
    assert!(counts[4] == 0 && counts[..4].iter().all(|count| *count > 150), "a preference and no wall: {counts:?}");
    fleet.iter_mut().for_each(|it| it.service = Some(Duration::from_millis(20)));
    assert_eq!(
        picks(&fleet, Policy::LeastBusy, &mut random)[4],
        1_000,
        "where exchanges are short the way counts more"
    );
    fleet.iter_mut().for_each(|it| it.detour = Duration::from_millis(50));
    let counts = picks(&fleet, Policy::LeastBusy, &mut random);
    assert!(counts[4] == 0 && counts.iter().filter(|count| **count > 150).count() == 4, "all are far: {counts:?}");
}

#[test]
fn a_slow_backend_gets_what_the_others_would_only_do_later() {
    let now = Instant::now();
    let mut two = [candidate(0, 1.0), candidate(1, 1.0)];
    two[0].slowness = 5.0;
    let picked = |two: &[Candidate], policy, random| pick(policy, two, now, random).expect("one").backend;
    for (in_flight, expected) in [(0, 1), (3, 1), (5, 0)] {
        two[1].in_flight = in_flight;
        for random in [0, u64::MAX, 1 << 31, 1 << 63] {
            assert_eq!(picked(&two, Policy::LeastBusy, random), expected, "behind {in_flight}");
        }
    }
    two.iter_mut().for_each(|it| (it.residence, it.slots) = (Residence::Resident, Some(4)));
    two[0].slowness = 8.0;
    // With four the other has no slot left.
    for (in_flight, expected) in [(3, 1), (4, 1), (9, 0)] {
        two[1].in_flight = in_flight;
        assert_eq!(
            picked(&two, Policy::ModelLoaded, 0),
            expected,
            "a free slot of a slow one is not free: {in_flight}"
        );
    }
}

#[test]
fn a_model_spills_sooner_from_a_slow_backend_and_later_to_a_far_one() {
    let mut two = [candidate(0, 1.0), candidate(1, 1.0)];
    two[0].residence = Residence::Resident;
    let reason = |two: &[Candidate]| pick(Policy::ModelLoaded, two, Instant::now(), 0).expect("one").reason;
    for (in_flight, slowness, detour, expected) in [
        (3, 1.0, 0, PlacementReason::Resident),
        // Three ahead take 24 s, a load 20.
        (3, 8.0, 0, PlacementReason::Spill),
        (25, 1.0, 0, PlacementReason::Spill),
        (25, 1.0, 10, PlacementReason::Resident),
    ] {
        (two[0].in_flight, two[0].slowness, two[1].detour) = (in_flight, slowness, seconds(detour));
        assert_eq!(reason(&two), expected, "{in_flight} in flight, {slowness} times slower, {detour} s away");
    }
}
