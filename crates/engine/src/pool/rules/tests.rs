//! Sentences about one roster: its environments are numbers, and so are its jobs.

use base::random::Dice;

use super::*;

type Numbers = Roster<u8, u8>;

/// So many milliseconds after the beginning.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

fn id(number: u8) -> EnvironmentId {
    EnvironmentId::fresh(&Dice::seeded(number.into()))
}

fn on_demand(roster: &mut Numbers, number: u8) {
    roster.enter(id(number), number, Kind::OnDemand);
}

/// Enters environments for as many jobs, and has them run.
fn running(jobs: u8) -> Numbers {
    let mut roster = Numbers::default();
    for number in 0..jobs {
        assert_eq!(roster.submit(number, at(0)), Submitted::Start);
        on_demand(&mut roster, number);
        assert_eq!(offered(&mut roster, number, 0), Offered::Run(number, number, Footing::Ordinary));
    }
    roster
}

fn offered(roster: &mut Numbers, number: u8, millis: i64) -> Offered<u8, u8> {
    roster.offer(id(number), at(millis), false)
}

fn left(refused: Option<u8>, again: bool) -> Left<u8> {
    Left { refused, again, short: false }
}

/// As many jobs wait, each for an environment of its own.
fn starting(jobs: u8) -> Numbers {
    let mut roster = Numbers::default();
    for number in 0..jobs {
        assert_eq!(roster.submit(number, at(0)), Submitted::Start);
        on_demand(&mut roster, number);
    }
    roster
}

#[test]
fn the_newest_idle_environment_runs_the_next_job_and_the_oldest_is_evicted() {
    let mut roster = running(3);
    for number in 0..3 {
        assert_eq!(offered(&mut roster, number, i64::from(number)), Offered::Rest);
    }
    assert_eq!(roster.oldest_idle(), Some(at(0)));
    assert_eq!(roster.submit(9, at(5)), Submitted::Run(id(2), 2, 9, Footing::Ordinary));
    assert_eq!((roster.evict(), roster.evict(), roster.evict()), (Some(0), Some(1), None));
    assert_eq!(roster.submit(8, at(6)), Submitted::Start, "what was evicted takes nothing more");
}

#[test]
fn a_job_waits_for_what_is_about_to_be_free_before_another_environment_is_started() {
    let mut roster = running(1);
    roster.answered();
    assert_eq!(roster.submit(1, at(10)), Submitted::Watch);
    assert_eq!(roster.submit(2, at(10)), Submitted::Start, "only one will be free");
    on_demand(&mut roster, 1);
    roster.freed();
    assert_eq!(offered(&mut roster, 0, 11), Offered::Run(0, 1, Footing::Ordinary));
    assert_eq!(roster.impatient(at(10) + LEASE_PATIENCE), (0, false), "the other has one of its own");
    assert_eq!(offered(&mut roster, 1, 12), Offered::Run(1, 2, Footing::Ordinary));
}

#[test]
fn a_job_that_waited_in_vain_gets_an_environment_of_its_own() {
    let mut roster = running(1);
    roster.answered();
    assert_eq!(roster.submit(1, at(10)), Submitted::Watch);
    assert_eq!(roster.impatient(at(10)), (0, true), "it has not waited long yet");
    assert_eq!(roster.impatient(at(10) + LEASE_PATIENCE), (1, false));
    on_demand(&mut roster, 1);
    assert_eq!(offered(&mut roster, 1, 30), Offered::Run(1, 1, Footing::Ordinary));
}

#[test]
fn the_end_of_an_environment_that_never_was_tells_what_its_job_gets() {
    let late = at(0) + PLACE_PATIENCE;
    for (why, now, expected) in [
        (Leaving::Ended, at(1), left(None, true)),
        (Leaving::Busy, at(1), left(None, true)),
        (Leaving::Busy, late, left(Some(0), false)),
        (Leaving::Placeless, at(1), left(Some(0), false)),
        // What cannot be started at all is told to the newest: what is under way may serve the oldest.
        (Leaving::Unstarted, at(1), left(Some(1), false)),
    ] {
        let mut roster = starting(2);
        assert_eq!(roster.leave(id(0), why, now), expected, "{why:?}");
    }
}

#[test]
fn the_end_of_an_environment_whose_job_ran_elsewhere_is_nobodys_loss() {
    let mut roster = running(1);
    assert_eq!(roster.submit(1, at(1)), Submitted::Start);
    on_demand(&mut roster, 1);
    assert_eq!(offered(&mut roster, 0, 2), Offered::Run(0, 1, Footing::Ordinary));
    assert_eq!(roster.patience(id(1), at(2)), Patience::Over);
    assert_eq!(roster.leave(id(1), Leaving::Placeless, at(3)), left(None, false));
    assert_eq!(roster.occupancy(), Occupancy { members: 1, idle: 0, starting: 0 });
}

#[test]
fn patience_for_a_place_is_what_is_left_of_the_oldest_jobs() {
    let roster = starting(1);
    assert_eq!(roster.patience(id(0), at(0)), Patience::For(PLACE_PATIENCE));
    let later = at(0) + PLACE_PATIENCE / 4;
    assert_eq!(roster.patience(id(0), later), Patience::For(PLACE_PATIENCE * 3 / 4));
    assert_eq!(roster.patience(id(0), at(0) + PLACE_PATIENCE), Patience::Over);
    assert_eq!(roster.patience(id(7), at(0)), Patience::Over, "it is no member");
}

#[test]
fn where_others_wait_for_a_place_nothing_idles() {
    let mut roster = running(1);
    assert_eq!(roster.offer(id(0), at(1), true), Offered::Close);
    assert!(!roster.withdraw(id(0)), "it does not idle");
}

#[test]
fn what_was_withdrawn_gets_no_job_and_what_has_one_is_not_withdrawn() {
    let mut roster = running(2);
    assert_eq!(offered(&mut roster, 0, 1), Offered::Rest);
    assert_eq!(offered(&mut roster, 1, 2), Offered::Rest);
    assert!(roster.withdraw(id(1)));
    assert_eq!(roster.submit(5, at(3)), Submitted::Run(id(0), 0, 5, Footing::Ordinary));
    assert!(!roster.withdraw(id(0)));
}

#[test]
fn a_retired_roster_ends_what_idles_and_lets_the_rest_finish() {
    let mut roster = running(2);
    assert_eq!(offered(&mut roster, 0, 1), Offered::Rest);
    assert_eq!(roster.retire(), [0]);
    assert_eq!(offered(&mut roster, 1, 2), Offered::Close);
    assert!(!roster.forget(), "two have not ended");
    assert_eq!(roster.leave(id(0), Leaving::Ended, at(3)), left(None, false));
    assert_eq!(roster.leave(id(1), Leaving::Ended, at(3)), left(None, false));
    assert!(roster.forget());
    assert_eq!(roster.submit(5, at(4)), Submitted::Forgotten(5));
}

#[test]
fn what_is_kept_ready_runs_first_and_what_runs_elsewhere_spills() {
    let mut roster = running(1);
    assert_eq!(offered(&mut roster, 0, 1), Offered::Rest);
    assert!(roster.keep(Wish { count: 1, said: at(1) }));
    assert_eq!(roster.tend(at(1)), Tended { start: 1, close: vec![], again: None });
    roster.enter(id(1), 1, Kind::Provisioned);
    assert_eq!(roster.submit(5, at(2)), Submitted::Run(id(0), 0, 5, Footing::Spilled));
    assert_eq!(offered(&mut roster, 1, 3), Offered::Stay);
    assert_eq!(roster.submit(6, at(4)), Submitted::Run(id(1), 1, 6, Footing::Provisioned));
    let Standing { allocated, available, in_use, served, spilled, .. } = roster.standing();
    assert_eq!((allocated, available, in_use, served, spilled), (1, 1, 1, 1, 1));
    assert_eq!(roster.evict(), None, "it is not evicted");
}

#[test]
fn what_dies_of_what_is_kept_ready_is_replaced() {
    let mut roster = Numbers::default();
    assert!(roster.keep(Wish { count: 1, said: at(0) }));
    assert_eq!(roster.tend(at(0)).start, 1);
    roster.enter(id(0), 0, Kind::Provisioned);
    assert_eq!(offered(&mut roster, 0, 1), Offered::Stay);
    let died = roster.leave(id(0), Leaving::Ended, at(100_000));
    assert_eq!(died, Left { refused: None, again: false, short: true });
    assert_eq!(roster.tend(at(100_000)).start, 1);
}
