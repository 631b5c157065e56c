//! What is counted and timed of every function, and of every account in a region.
//!
//! A [`Watch`] is found once for a request; whatever becomes of the request is entered through it, without a lock and
//! without memory. The figures are atomic numbers, from the start and by minute, and [`text`] writes them for Prometheus.
//!
//! Memory is bounded: functions beyond [`FUNCTIONS`] share the figures of [`OTHER`], and those that are gone or idle for
//! [`IDLE`] are dropped. What accounts have counted stays.

mod series;
mod tally;
pub mod text;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use base::arn::{FunctionName, Scope};
use base::clock::{Clock, Timestamp};
use base::units::Mib;

pub use self::series::{MinuteFigures, Series};
pub use self::tally::{BOUNDS, BUCKETS, Count, Distribution, Sample, quantile};

/// Functions with figures of their own. Ours: about 15 kB each.
pub const FUNCTIONS: usize = 1000;

/// Accounts and regions with figures of their own. Ours.
pub const ACCOUNTS: usize = 100;

/// Time without any request after which a function's figures are dropped. Ours.
pub const IDLE: Duration = Duration::from_secs(24 * 60 * 60);

/// What functions beyond the bound are called together; no function can have this name.
pub const OTHER: &str = "(other)";

/// Time between two searches for figures that can be dropped. Ours.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// All figures. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    book: ArcSwap<Book>,
    /// Taken to change the book; when it was last swept.
    changing: Mutex<Timestamp>,
    other: Watch,
    /// What nobody looks at.
    nowhere: Arc<Series>,
}

/// Who has figures. Replaced as a whole, so that readers never wait.
#[derive(Debug, Default, Clone)]
struct Book {
    accounts: HashMap<Scope, Account>,
    /// Functions of all accounts.
    functions: usize,
}

#[derive(Debug, Clone)]
struct Account {
    series: Arc<Series>,
    functions: HashMap<FunctionName, Watch>,
    /// What is entered for functions without figures of their own.
    rest: Watch,
}

/// Where a request of one function is entered: its own figures and its account's. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Watch {
    function: Arc<Series>,
    account: Arc<Series>,
}

/// What a cold start took, phase by phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ColdStart {
    /// Until the building began: what waited for a place on the machine.
    pub queue: Duration,
    /// Code, variables and sandbox.
    pub sandbox: Duration,
    /// The runtime's and the function's init.
    pub init: Duration,
    /// The first invocation.
    pub handler: Duration,
}

/// One function's figures, or the rest's.
#[derive(Debug, Clone)]
pub struct FunctionFigures {
    /// Account and region; nothing for [`OTHER`].
    pub scope: Option<Scope>,
    /// Its name, or [`OTHER`].
    pub name: Box<str>,
    /// The figures.
    pub series: Arc<Series>,
}

impl Metrics {
    /// No figures yet.
    pub fn new(clock: Clock) -> Self {
        let now = clock.now();
        let (function, account) = (Arc::new(Series::new(now)), Arc::new(Series::new(now)));
        let shared = Shared {
            clock,
            book: ArcSwap::default(),
            changing: Mutex::new(now),
            other: Watch { function, account },
            nowhere: Arc::new(Series::new(now)),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Where requests of a function are entered. The first one makes its figures.
    pub fn watch(&self, scope: &Scope, name: &FunctionName) -> Watch {
        let book = self.shared.book.load();
        match book.accounts.get(scope).and_then(|account| account.functions.get(name)) {
            Some(watch) => watch.clone(),
            None => self.shared.enrol(scope, name),
        }
    }

    /// Where requests for a function are entered that is gone: nobody has figures of it but its account.
    pub fn of_gone(&self, scope: &Scope) -> Watch {
        Watch { function: Arc::clone(&self.shared.nowhere), account: self.shared.rest(scope).account }
    }

    /// Drops a function's figures. Its account keeps what it counted.
    pub fn forget(&self, scope: &Scope, name: &FunctionName) {
        let _changing = self.shared.lock();
        let mut book = Book::clone(&self.shared.book.load());
        let removed = book.accounts.get_mut(scope).and_then(|account| account.functions.remove(name));
        if removed.is_some() {
            book.functions -= 1;
            self.shared.book.store(Arc::new(book));
        }
    }

    /// Drops the figures of functions that are not there any more.
    pub fn retain(&self, exists: impl Fn(&Scope, &FunctionName) -> bool) {
        let _changing = self.shared.lock();
        self.shared.drop_unless(|scope, name, _| exists(scope, name));
    }

    /// Every function's figures, by account, region and name, and at last those of the rest when there are any.
    pub fn functions(&self) -> Vec<FunctionFigures> {
        let book = self.shared.book.load();
        let mut all: BTreeMap<(&Scope, &FunctionName), &Watch> = BTreeMap::new();
        for (scope, account) in &book.accounts {
            all.extend(account.functions.iter().map(|(name, watch)| ((scope, name), watch)));
        }
        let own = all.into_iter().map(|((scope, name), watch)| FunctionFigures {
            scope: Some(scope.clone()),
            name: name.as_str().into(),
            series: Arc::clone(&watch.function),
        });
        let other = &self.shared.other.function;
        let used = Count::ALL.iter().any(|count| other.count(*count) > 0) || other.running() > 0;
        let rest =
            used.then(|| FunctionFigures { scope: None, name: OTHER.into(), series: Arc::clone(other) });
        own.chain(rest).collect()
    }

    /// Every account's figures, by account and region. They hold what all its functions have counted, gone or not.
    pub fn accounts(&self) -> Vec<(Scope, Arc<Series>)> {
        let book = self.shared.book.load();
        let mut all: Vec<_> = book
            .accounts
            .iter()
            .map(|(scope, account)| (scope.clone(), Arc::clone(&account.series)))
            .collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }
}

impl Shared {
    /// Makes a function's figures, where there is room for them.
    fn enrol(&self, scope: &Scope, name: &FunctionName) -> Watch {
        let now = self.clock.now();
        if self.book.load().functions >= FUNCTIONS && !self.sweep(now) {
            return self.rest(scope);
        }
        let _changing = self.lock();
        let mut book = Book::clone(&self.book.load());
        let full = book.functions >= FUNCTIONS;
        let Some(account) = book.account(scope, now, &self.other) else { return self.other.clone() };
        let watch = match account.functions.get(name) {
            Some(watch) => return watch.clone(),
            None if full => return account.rest.clone(),
            None => Watch { function: Arc::new(Series::new(now)), account: Arc::clone(&account.series) },
        };
        account.functions.insert(name.clone(), watch.clone());
        book.functions += 1;
        self.book.store(Arc::new(book));
        watch
    }

    /// Drops what has been idle for long, when it is time to look; whether anything was.
    fn sweep(&self, now: Timestamp) -> bool {
        let mut swept = self.lock();
        if now.since(*swept) < SWEEP_EVERY {
            return false;
        }
        *swept = now;
        self.drop_unless(|_, _, watch| !watch.function.is_idle(now, IDLE))
    }

    /// Under the lock.
    fn drop_unless(&self, keep: impl Fn(&Scope, &FunctionName, &Watch) -> bool) -> bool {
        let old = self.book.load();
        let lapsed = |(scope, account): (&Scope, &Account)| {
            account.functions.iter().any(|(name, watch)| !keep(scope, name, watch))
        };
        if !old.accounts.iter().any(lapsed) {
            return false;
        }
        let mut book = Book::clone(&old);
        for (scope, account) in &mut book.accounts {
            account.functions.retain(|name, watch| keep(scope, name, watch));
        }
        book.functions = book.accounts.values().map(|account| account.functions.len()).sum();
        self.book.store(Arc::new(book));
        true
    }

    fn rest(&self, scope: &Scope) -> Watch {
        let book = self.book.load();
        book.accounts.get(scope).map_or_else(|| self.other.clone(), |account| account.rest.clone())
    }

    /// The book is whole whenever the lock is free.
    fn lock(&self) -> MutexGuard<'_, Timestamp> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// An account's page, made when there is room for it.
    fn account(&mut self, scope: &Scope, now: Timestamp, other: &Watch) -> Option<&mut Account> {
        if !self.accounts.contains_key(scope) && self.accounts.len() < ACCOUNTS {
            let series = Arc::new(Series::new(now));
            let rest = Watch { function: Arc::clone(&other.function), account: Arc::clone(&series) };
            self.accounts.insert(scope.clone(), Account { series, functions: HashMap::new(), rest });
        }
        self.accounts.get_mut(scope)
    }
}

impl Watch {
    /// A request was admitted at this moment. It counts as running until what is returned is dropped.
    pub fn begin(self, clock: Clock) -> Running {
        let began = clock.now();
        self.function.begin(began);
        self.account.begin(began);
        Running { watch: self, clock, began }
    }

    /// Counts one of what began at a moment.
    pub fn add(&self, at: Timestamp, count: Count) {
        self.function.add(at, count);
        self.account.add(at, count);
    }

    /// Enters a time of what began at a moment.
    pub fn enter(&self, at: Timestamp, sample: Sample, took: Duration) {
        self.function.enter(at, sample, took);
        self.account.enter(at, sample, took);
    }
}

/// One request that was admitted, until it is over. What comes of it counts in the minute in which it began.
#[derive(Debug)]
pub struct Running {
    watch: Watch,
    clock: Clock,
    began: Timestamp,
}

impl Running {
    /// When it was admitted.
    pub const fn began(&self) -> Timestamp {
        self.began
    }

    /// The function ran, with success or not.
    pub fn invoked(&self, took: Duration, error: bool, used: Mib) {
        self.watch.add(self.began, Count::Invocations);
        if error {
            self.watch.add(self.began, Count::Errors);
        }
        self.watch.enter(self.began, Sample::Duration, took);
        self.watch.function.used(used);
    }

    /// It was the first of its environment.
    pub fn cold(&self, start: &ColdStart) {
        self.watch.add(self.began, Count::ColdStarts);
        let ColdStart { queue, sandbox, init, handler } = *start;
        for (phase, took) in [
            (Sample::Queue, queue),
            (Sample::Sandbox, sandbox),
            (Sample::Init, init),
            (Sample::Handler, handler),
        ] {
            self.watch.enter(self.began, phase, took);
        }
    }

    /// Extensions went on for so long after the runtime was done.
    pub fn extensions(&self, took: Duration) {
        self.watch.enter(self.began, Sample::PostRuntimeExtensionsDuration, took);
    }

    /// The same of a cold start.
    pub fn cold_extensions(&self, took: Duration) {
        self.watch.enter(self.began, Sample::Extensions, took);
    }

    /// It ran on a provisioned environment.
    pub fn provisioned(&self) {
        self.watch.add(self.began, Count::ProvisionedConcurrencyInvocations);
    }

    /// It ran elsewhere, since all provisioned environments of its version were busy.
    pub fn spilled(&self) {
        self.watch.add(self.began, Count::ProvisionedConcurrencySpilloverInvocations);
    }

    /// It found no place after all.
    pub fn throttled(&self) {
        self.watch.add(self.began, Count::Throttles);
    }

    /// Samovar failed it.
    pub fn failed(&self) {
        self.watch.add(self.began, Count::PlatformFailures);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let now = self.clock.now();
        self.watch.function.end(now);
        self.watch.account.end(now);
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests;
