//! Admission, pools and environments together, driven by random schedules.
//!
//! A [`world::World`] holds the real ledger, the real rosters and the real rules of environments, and plays everything
//! around them: callers, the machine's places, sandboxes that come up late or not at all, runtimes that answer, hang,
//! crash and run out of memory, and people who change what is reserved and provisioned. Time is a number, so thousands
//! of schedules take seconds. `SAMOVAR_SEED=n cargo test -p engine simulation` plays one of them again.

mod check;
mod world;

use base::random::Dice;

use self::world::{Plan, World};

/// Schedules that every run of the tests plays.
const SCHEDULES: u64 = 1500;

/// Names the schedule that failed.
struct Named(u64);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SAMOVAR_SEED={} plays this schedule again", self.0);
        }
    }
}

fn play(plan: impl Fn(&Dice) -> Plan) {
    let one = std::env::var("SAMOVAR_SEED").ok().and_then(|text| text.parse().ok());
    let seeds = one.map_or(0..SCHEDULES, |seed| seed..seed + 1);
    for seed in seeds {
        let _named = Named(seed);
        let dice = Dice::seeded(seed);
        let plan = plan(&dice);
        World::new(dice, plan).live();
    }
}

#[test]
fn no_permit_job_or_environment_is_lost_or_doubled() {
    play(|dice| Plan { places: 4 + usize::from(dice.bytes::<1>()[0] % 30), faults: 30 });
}

#[test]
fn the_same_holds_on_a_machine_that_never_fails() {
    play(|dice| Plan { places: 1 + usize::from(dice.bytes::<1>()[0] % 12), faults: 0 });
}
