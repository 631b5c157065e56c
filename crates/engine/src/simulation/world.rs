//! The world around the rules.

mod bodies;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use base::arn::Qualifier;
use base::clock::Timestamp;
use base::id::{EnvironmentId, RequestId};
use base::limits::LEASE_PATIENCE;
use base::random::Dice;
use base::units::Concurrency;
use catalogue::{FunctionKey, Shares};
use record::report::InitializationType;

use crate::admission::rules::Ledger;
use crate::environment::rules::{Environment, Event, Limits};
use crate::pool::rules::{Kind, Leaving, Patience, Roster, Submitted, Tended, Wish};
use crate::testing::scope;

/// What the account may run.
pub(super) const ACCOUNT: Concurrency = Concurrency(24);

const IDLE_EXPIRY: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(3);

/// More than any schedule needs.
const STEPS: u32 = 50_000;

/// How a world is.
pub(super) struct Plan {
    /// Environments that the machine carries.
    pub(super) places: usize,
    /// How many of 256 runs and starts go wrong.
    pub(super) faults: u8,
}

/// One version at one generation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) function: FunctionKey,
    pub(super) version: Qualifier,
    generation: u64,
}

pub(super) struct Job {
    pub(super) key: Key,
    pub(super) permit: bool,
    pub(super) answers: u32,
}

pub(super) struct Body {
    id: EnvironmentId,
    key: Key,
    kind: Kind,
    rules: Environment,
    placed: bool,
    /// The job that it has, and whether its caller was answered.
    running: Option<(u64, bool)>,
    /// The lease of a run that ended, and whether its caller was answered.
    ended: Option<bool>,
    /// Commands that its task has not read.
    mailbox: VecDeque<u64>,
    told_to_close: bool,
    /// Counts processes: news of an earlier one is none.
    process: u64,
    /// Counts timers.
    timer: u64,
    resting: u64,
}

#[derive(Debug, Clone)]
enum Happening {
    Arrive,
    Change,
    Impatient(Key),
    StartAgain(Key),
    Tend(u64),
    /// A place may be free for it, or its patience over.
    Look(u64),
    Built(u64),
    Unbuilt(u64, Leaving),
    /// A runtime's process does something.
    Runtime(u64, u64, Event),
    TimeUp(u64, u64),
    Expire(u64, u64),
    ResetDone(u64),
    Read(u64),
    TornDown,
}

pub(super) struct World {
    pub(super) plan: Plan,
    dice: Dice,
    now: Timestamp,
    agenda: BTreeMap<(Timestamp, u64), Happening>,
    sequence: u64,
    pub(super) ledger: Ledger,
    pub(super) shares: BTreeMap<FunctionKey, Shares>,
    generations: HashMap<FunctionKey, u64>,
    pub(super) pools: BTreeMap<Key, Roster<u64, u64>>,
    pub(super) environments: BTreeMap<u64, Body>,
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) places: usize,
    /// Sandboxes that are being torn down.
    falling: usize,
    line: BTreeSet<u64>,
    faults: u8,
    /// Counts looks at what is to be kept ready: each says when the next is.
    tending: u64,
    steps: u32,
}

impl World {
    pub(super) fn new(dice: Dice, plan: Plan) -> Self {
        let functions = ["f", "g", "h"].map(|name| FunctionKey::new(scope(), name.parse().expect("a name")));
        Self {
            now: Timestamp::from_millis(0),
            agenda: BTreeMap::new(),
            sequence: 0,
            ledger: Ledger::new(ACCOUNT),
            shares: functions.iter().map(|function| (function.clone(), Shares::default())).collect(),
            generations: functions.into_iter().map(|function| (function, 0)).collect(),
            pools: BTreeMap::new(),
            environments: BTreeMap::new(),
            jobs: BTreeMap::new(),
            places: plan.places,
            falling: 0,
            line: BTreeSet::new(),
            faults: plan.faults,
            tending: 0,
            steps: 0,
            plan,
            dice,
        }
    }

    /// A busy time, a calm one, and the end.
    pub(super) fn live(mut self) {
        for _ in 0..self.below(60) + 5 {
            let moment = self.within(20_000);
            self.at(moment, Happening::Arrive);
        }
        for _ in 0..self.below(12) {
            let moment = self.within(20_000);
            self.at(moment, Happening::Change);
        }
        self.run(Timestamp::from_millis(25_000));
        self.faults = 0;
        self.run(Timestamp::from_millis(2_000_000));
        self.check_calm();
        for key in self.pools.keys().cloned().collect::<Vec<_>>() {
            let closing = self.pools.get_mut(&key).expect("it is there").retire();
            self.close(closing);
            self.forget(&key);
        }
        self.run(Timestamp::from_millis(3_000_000));
        self.check_empty();
    }

    fn run(&mut self, until: Timestamp) {
        while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((moment, _), happening) = entry.remove_entry();
            self.now = moment;
            self.steps += 1;
            assert!(self.steps < STEPS, "it never comes to rest: {happening:?}");
            self.happen(happening);
            self.check();
        }
        self.now = until;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrive => self.arrive(),
            Happening::Change => self.change(),
            Happening::Impatient(key) => self.impatient(&key),
            Happening::StartAgain(key) => self.start(&key, Kind::OnDemand),
            // An earlier look has replaced it.
            Happening::Tend(tending) if tending < self.tending => {}
            Happening::Tend(_) => self.tend(),
            Happening::Look(body) => self.look(body),
            Happening::Built(body) => self.turn(body, Event::Built),
            Happening::Unbuilt(body, why) => self.end(body, why),
            Happening::Runtime(body, process, event) => {
                if self.environments.get(&body).is_some_and(|body| body.process == process) {
                    self.turn(body, event);
                }
            }
            Happening::TimeUp(body, timer) => {
                if self.environments.get(&body).is_some_and(|body| body.timer == timer) {
                    self.turn(body, Event::TimeUp);
                }
            }
            Happening::Expire(body, resting) => self.expire(body, resting),
            Happening::ResetDone(body) => self.turn(body, Event::ResetDone),
            Happening::Read(body) => self.read(body),
            Happening::TornDown => {
                self.falling -= 1;
                self.free_place();
            }
        }
    }

    // Callers.

    fn arrive(&mut self) {
        let functions: Vec<_> = self.shares.keys().cloned().collect();
        let function = functions[self.below(3)].clone();
        let version =
            [Qualifier::Latest, Qualifier::Version(1), Qualifier::Version(2)][self.below(3)].clone();
        let number = self.jobs.len() as u64;
        let key = self.key(&function, version.clone());
        let before = self.beyond(&function);
        match self.ledger.admit(&function, &version) {
            Ok(()) => {
                self.jobs.insert(number, Job { key: key.clone(), permit: true, answers: 0 });
                self.admitted(&function, before);
                self.submit(key, number);
            }
            Err(error) => self.refused(&function, &version, error),
        }
    }

    fn key(&self, function: &FunctionKey, version: Qualifier) -> Key {
        let latest = version == Qualifier::Latest;
        let generation = if latest { self.generations[function] } else { 0 };
        Key { function: function.clone(), version, generation }
    }

    fn submit(&mut self, key: Key, job: u64) {
        let now = self.now;
        match self.pools.entry(key.clone()).or_default().submit(job, now) {
            Submitted::Run(_, body, job) => self.send(body, job),
            Submitted::Wait => {}
            Submitted::Start => self.start(&key, Kind::OnDemand),
            Submitted::Watch => self.at(now + LEASE_PATIENCE, Happening::Impatient(key)),
            Submitted::Forgotten(_) => panic!("a forgotten pool is still there"),
        }
    }

    fn impatient(&mut self, key: &Key) {
        let Some(roster) = self.pools.get_mut(key) else { return };
        let (more, again) = roster.impatient(self.now);
        for _ in 0..more {
            self.start(key, Kind::OnDemand);
        }
        if again {
            self.at(self.now + LEASE_PATIENCE, Happening::Impatient(key.clone()));
        }
    }

    fn refuse(&mut self, job: u64) {
        self.jobs.get_mut(&job).expect("it was admitted").answers += 1;
        self.release(job);
    }

    fn release(&mut self, job: u64) {
        let job = self.jobs.get_mut(&job).expect("it was admitted");
        assert!(std::mem::take(&mut job.permit), "a permit is given back twice");
        let Key { function, version, .. } = job.key.clone();
        self.ledger.release(&function, &version);
    }

    // Those who change things.

    fn change(&mut self) {
        let functions: Vec<_> = self.shares.keys().cloned().collect();
        let function = functions[self.below(3)].clone();
        if self.below(4) == 0 {
            return self.update(&function);
        }
        let mut shares = self.shares[&function].clone();
        let amount = Concurrency(u32::try_from(self.below(6)).expect("small"));
        match self.below(5) {
            0 => shares.reserved = None,
            1 => shares.reserved = Some(amount),
            2 => shares.provisioned.clear(),
            _ => {
                let version = 1 + self.below(2) as u64;
                shares.provisioned.insert(version, amount);
                shares.provisioned.retain(|_, amount| amount.0 > 0);
            }
        }
        // What the catalogue would refuse does not happen.
        let others = self.shares.iter().filter(|(other, _)| **other != function);
        let claimed: u64 = others.map(|(_, shares)| shares.claimed()).sum();
        let fits = shares.reserved.is_none_or(|reserved| shares.provisioned() <= u64::from(reserved.0));
        if fits && claimed + shares.claimed() <= u64::from(ACCOUNT.0) {
            self.ledger.allot(&function, shares.clone());
            self.shares.insert(function.clone(), shares);
            self.provision(&function);
        }
    }

    fn provision(&mut self, function: &FunctionKey) {
        for version in [1, 2] {
            let count = self.shares[function].of_version(version).0 as usize;
            let key = self.key(function, Qualifier::Version(version));
            let kept = self.pools.entry(key.clone()).or_default().keep(Wish { count, said: self.now });
            assert!(kept, "a forgotten pool is still there");
            self.forget(&key);
        }
        self.tend_soon();
    }

    /// New code: the environments of the old one run what they have.
    fn update(&mut self, function: &FunctionKey) {
        let key = self.key(function, Qualifier::Latest);
        *self.generations.get_mut(function).expect("it is there") += 1;
        if let Some(roster) = self.pools.get_mut(&key) {
            let closing = roster.retire();
            self.close(closing);
            self.forget(&key);
        }
    }

    fn tend(&mut self) {
        self.tending += 1;
        let mut soonest = None;
        for key in self.pools.keys().cloned().collect::<Vec<_>>() {
            let now = self.now;
            let Tended { start, close, again } = self.pools.get_mut(&key).expect("it is there").tend(now);
            self.close(close);
            for _ in 0..start {
                self.start(&key, Kind::Provisioned);
            }
            soonest = soonest.into_iter().chain(again).min();
            self.forget(&key);
        }
        if let Some(moment) = soonest {
            self.at(moment, Happening::Tend(self.tending));
        }
    }

    fn tend_soon(&mut self) {
        self.at(self.now, Happening::Tend(self.tending));
    }

    fn forget(&mut self, key: &Key) {
        if self.pools.get_mut(key).is_some_and(Roster::forget) {
            self.pools.remove(key);
        }
    }

    // The machine.

    pub(super) fn placed(&self) -> usize {
        self.environments.values().filter(|body| body.placed).count() + self.falling
    }

    fn start(&mut self, key: &Key, kind: Kind) {
        self.sequence += 1;
        let number = self.sequence;
        let id = EnvironmentId::fresh(&self.dice);
        let made_for = match kind {
            Kind::OnDemand => InitializationType::OnDemand,
            Kind::Provisioned => InitializationType::ProvisionedConcurrency,
        };
        let body = Body {
            id,
            key: key.clone(),
            kind,
            rules: Environment::new(Limits::of(TIMEOUT, made_for), false),
            placed: false,
            running: None,
            ended: None,
            mailbox: VecDeque::new(),
            told_to_close: false,
            process: 0,
            timer: 0,
            resting: 0,
        };
        self.environments.insert(number, body);
        self.pools.get_mut(key).expect("it asked for one").enter(id, number, kind);
        if self.places > 0 && self.line.is_empty() {
            self.place(number);
        } else {
            self.evict();
            self.line.insert(number);
            self.look(number);
        }
    }

    fn place(&mut self, number: u64) {
        self.places -= 1;
        self.environments.get_mut(&number).expect("it waits").placed = true;
        let moment = self.soon(200);
        let happening = match (self.goes_wrong(), self.below(2)) {
            (true, 0) => Happening::Unbuilt(number, Leaving::Busy),
            (true, _) => Happening::Unbuilt(number, Leaving::Unstarted),
            (false, _) => Happening::Built(number),
        };
        self.at(moment, happening);
    }

    /// One that waits for a place looks whether it has one, and goes on waiting for as long as it has patience.
    fn look(&mut self, number: u64) {
        if !self.line.contains(&number) {
            return;
        }
        if self.places > 0 {
            self.line.remove(&number);
            return self.place(number);
        }
        let body = &self.environments[&number];
        match self.pools[&body.key].patience(body.id, self.now) {
            Patience::For(patience) => self.at(self.now + patience, Happening::Look(number)),
            Patience::Over => {
                self.line.remove(&number);
                self.end(number, Leaving::Placeless);
            }
        }
    }

    fn free_place(&mut self) {
        self.places += 1;
        if let Some(first) = self.line.first().copied() {
            self.look(first);
        }
    }

    fn evict(&mut self) {
        let oldest = self.pools.values_mut().filter(|roster| roster.oldest_idle().is_some());
        if let Some(body) = oldest.min_by_key(|roster| roster.oldest_idle()).and_then(Roster::evict) {
            self.close(vec![body]);
        }
    }

    fn close(&mut self, bodies: Vec<u64>) {
        for number in bodies {
            if let Some(body) = self.environments.get_mut(&number) {
                body.told_to_close = true;
                let moment = self.soon(5);
                self.at(moment, Happening::Read(number));
            }
        }
    }

    fn send(&mut self, number: u64, job: u64) {
        self.environments.get_mut(&number).expect("it was idle").mailbox.push_back(job);
        let moment = self.soon(5);
        self.at(moment, Happening::Read(number));
    }

    /// An environment's task reads its commands.
    fn read(&mut self, number: u64) {
        let Some(body) = self.environments.get_mut(&number).filter(|body| body.placed) else {
            return self.look(number);
        };
        if let Some(job) = body.mailbox.pop_front() {
            return self.call(number, job);
        }
        if body.told_to_close {
            self.turn(number, Event::Close);
        }
    }

    fn call(&mut self, number: u64, job: u64) {
        let body = self.environments.get_mut(&number).expect("it is there");
        assert!(body.running.replace((job, false)).is_none(), "two requests in one environment");
        body.resting += 1;
        self.turn(number, Event::Called(request(job)));
    }

    fn expire(&mut self, number: u64, resting: u64) {
        let Some(body) = self.environments.get(&number).filter(|body| body.resting == resting) else {
            return;
        };
        if self.pools.get_mut(&body.key).expect("it has a member").withdraw(body.id) {
            self.turn(number, Event::Close);
        }
    }

    // Dice and time.

    fn at(&mut self, moment: Timestamp, happening: Happening) {
        self.sequence += 1;
        self.agenda.insert((moment, self.sequence), happening);
    }

    fn below(&self, bound: usize) -> usize {
        usize::from(u16::from_le_bytes(self.dice.bytes())) % bound
    }

    fn within(&self, millis: usize) -> Timestamp {
        self.now + Duration::from_millis(self.below(millis) as u64)
    }

    fn soon(&self, millis: u64) -> Timestamp {
        self.within(usize::try_from(millis).expect("small"))
    }

    fn goes_wrong(&self) -> bool {
        self.dice.bytes::<1>()[0] < self.faults
    }
}

fn request(job: u64) -> RequestId {
    RequestId(uuid::Uuid::from_u128(u128::from(job)))
}
