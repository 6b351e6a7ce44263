//! Health in virtual time.

use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Fails `times`, without jitter.
fn fail(health: &mut Health, times: u32, now: Instant) -> bool {
    (0..times).map(|_| health.failed(Failure::Failed, false, 0.5, now)).fold(false, |_, ejected| ejected)
}

#[test]
fn five_failures_in_a_row_eject_and_a_success_between_them_does_not() {
    let (mut health, now) = (Health::default(), Instant::now());
    assert!(!fail(&mut health, 4, now));
    health.succeeded(false, now);
    assert!(!fail(&mut health, 4, now));
    assert_eq!(health.standing(now), Standing::Up);
    assert!(fail(&mut health, 1, now));
    assert_eq!(health.standing(now + seconds(29)), Standing::Ejected);
    assert_eq!(health.standing(now + seconds(30)), Standing::Trial);
}

#[test]
fn half_of_the_latest_ten_failing_ejects_and_older_ones_do_not_count() {
    let (mut health, start) = (Health::default(), Instant::now());
    let alternate = |health: &mut Health, now| {
        health.succeeded(false, now);
        health.failed(Failure::Failed, false, 0.5, now)
    };
    assert!((0..4).all(|_| !alternate(&mut health, start)));
    assert!((0..4).all(|_| !alternate(&mut health, start + seconds(30))), "those are forgotten");
    assert!(alternate(&mut health, start + seconds(31)));
}

#[test]
fn exactly_one_exchange_tries_and_each_failed_trial_makes_it_wait_longer() {
    let (mut health, mut now) = (Health::default(), Instant::now());
    fail(&mut health, 5, now);
    for times in [2, 3] {
        now += seconds(30) * (times - 1);
        assert!(health.begin_trial(now) && !health.begin_trial(now), "one by one");
        assert_eq!(health.standing(now), Standing::Ejected, "for the others");
        assert!(!health.failed(Failure::Failed, false, 0.5, now), "one that began before says nothing new");
        assert!(health.failed(Failure::Failed, true, 0.5, now));
        assert_eq!(health.standing(now + seconds(30) * times - Duration::from_millis(1)), Standing::Ejected);
    }
    now += seconds(90);
    assert!(health.begin_trial(now));
    health.abandon_trial(now);
    assert!(health.begin_trial(now), "the next one tries instead");
    health.succeeded(false, now);
    assert_eq!(health.standing(now), Standing::Ejected, "an exchange from before does not bring it back");
    health.succeeded(true, now);
    assert_eq!(health.standing(now), Standing::Up);
    assert!((health.share(now) - 0.1).abs() < 1e-9 && (health.share(now + seconds(15)) - 0.55).abs() < 1e-9);
    assert!((health.share(now + seconds(31)) - 1.0).abs() < 1e-9);
    health.succeeded(false, now + seconds(30));
    assert!(fail(&mut health, 5, now + seconds(31)));
    assert_eq!(health.standing(now + seconds(61)), Standing::Trial, "what was before is forgiven");
}

#[test]
fn a_refused_connection_is_down_for_twice_as_long_each_time_until_a_probe_succeeds() {
    let (mut health, mut now) = (Health::default(), Instant::now());
    for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert!(health.failed(Failure::Unreachable, true, 0.5, now));
        assert_eq!(health.standing(now), Standing::Down);
        assert_eq!(health.standing(now + seconds(expected) - Duration::from_millis(1)), Standing::Down);
        now += seconds(expected);
        assert!(health.begin_trial(now), "after {expected} s");
    }
    health.failed(Failure::Unreachable, true, 1.0, now);
    assert_eq!(health.standing(now + seconds(71)), Standing::Down, "the time varies by a fifth");
    health.answered_probe(now);
    assert_eq!(health.standing(now), Standing::Up);
}

#[test]
fn a_backend_that_fails_again_while_it_starts_slowly_is_out_for_longer() {
    let (mut health, start) = (Health::default(), Instant::now());
    fail(&mut health, 5, start);
    let back = start + seconds(30);
    assert!(health.begin_trial(back));
    health.succeeded(true, back);
    health.succeeded(false, back + seconds(1));
    assert!(fail(&mut health, 5, back + seconds(1)));
    assert_eq!(health.standing(back + seconds(60)), Standing::Ejected);
    assert_eq!(health.standing(back + seconds(61)), Standing::Trial);
}

#[test]
fn a_backend_that_was_reached_meanwhile_is_down_for_a_second_again() {
    let (mut health, start) = (Health::default(), Instant::now());
    health.failed(Failure::Unreachable, false, 0.5, start);
    let back = start + seconds(1);
    assert!(health.begin_trial(back));
    health.succeeded(true, back);
    health.failed(Failure::Unreachable, false, 0.5, back);
    assert_eq!(health.standing(back + seconds(1)), Standing::Trial);
}

#[test]
fn a_good_probe_does_not_bring_back_a_backend_whose_answers_fail() {
    let (mut health, now) = (Health::default(), Instant::now());
    fail(&mut health, 5, now);
    health.answered_probe(now);
    assert_eq!(health.standing(now), Standing::Ejected);
    assert!(!health.failed_probe(now + seconds(29)) && health.standing(now + seconds(29)) == Standing::Ejected);
    let later = now + seconds(30);
    assert!(!health.failed_probe(later), "it was out before");
    assert_eq!(health.standing(later), Standing::Down);
    health.answered_probe(later);
    assert_eq!(health.standing(later), Standing::Trial, "nor where it was down meanwhile");
    assert!(health.begin_trial(later));
    health.failed_probe(later);
    health.succeeded(true, later);
    assert_eq!(health.standing(later), Standing::Down);
}

#[test]
fn an_exchange_without_a_model_takes_no_failure_back_and_shows_that_a_backend_is_reached() {
    let (mut health, now) = (Health::default(), Instant::now());
    for _ in 0..4 {
        assert!(!fail(&mut health, 1, now));
        health.reached(false, now);
    }
    assert!(fail(&mut health, 1, now));
    let later = now + seconds(30);
    assert!(health.begin_trial(later));
    health.reached(true, later);
    assert_eq!(health.standing(later), Standing::Trial, "whether its models work is still to be found out");
    let mut down = Health::default();
    down.failed(Failure::Unreachable, false, 0.5, now);
    assert!(down.begin_trial(later));
    down.reached(true, later);
    assert_eq!(down.standing(later), Standing::Up);
}
