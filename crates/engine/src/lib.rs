//! Runs one invocation: [`Engine::invoke`] admits it, finds or starts an environment, and answers.
//!
//! The path is a chain of types: [`Invocation`], `Authorized`, `Permit`, `Lease`, [`Reply`] and at last [`Ended`].
//! [`Engine::stream`] takes the same path to a [`Reply`] whose [`Flow`] brings bytes while the function writes them.
//! Permit and lease live in the environment's own task; callers hold only receivers, so one that goes away stops
//! nothing and frees nothing.

pub mod admission;
mod census;
mod environment;
mod expectations;
mod flow;
pub mod host;
mod images;
mod initialize;
mod invoke;
mod outcome;
mod pool;
#[cfg(test)]
mod simulation;
pub mod starter;
#[cfg(test)]
mod testing;
mod trace;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use access::{Gate, Vault};
use artifact::Artifacts;
use base::arn::{FunctionName, Qualifier, Scope};
use base::clock::Clock;
use base::random::Dice;
use base::task::Insistent;
use base::units::Concurrency;
use catalogue::{Catalogue, Event, Function, FunctionKey, State, Version};
use record::{Logs, Metrics};
use sandbox::LauncherClient;
use sandbox::interpreters::Interpreter;
pub use sandbox::interpreters::rules::{RuntimeMatch, runtime_version};

use self::admission::Admission;
use self::admission::budget::Budget;
use self::admission::memory::Memory;
pub use self::admission::memory::{Wishes as MemoryWishes, usual_reserve};
pub use self::census::{AccountUse, Census, Environments};
use self::environment::driver;
use self::environment::recipe::{Kit, Pantry};
pub use self::environment::rules::restore::RestoreError;
use self::expectations::Expectations;
pub use self::flow::Flow;
pub use self::host::EndpointHost;
use self::host::dns::NameServer;
use self::images::Images;
pub use self::initialize::InitError;
pub use self::invoke::{Ended, FunctionError, Invocation, InvokeError, Reply};
pub use self::outcome::{Answer, Exit, Fault};
use self::pool::PoolKey;
use self::pool::pools::Pools;
pub use self::pool::pools::keeping::Provisioned;
use self::pool::rules::Wish;
pub use self::pool::rules::{Standing, WarmFailure};
use self::starter::Starter;
pub use self::trace::TraceHeader;

/// What an engine is made of.
pub struct EngineSetup {
    /// What exists.
    pub catalogue: Catalogue,
    /// Code.
    pub artifacts: Artifacts,
    /// Where functions' output goes.
    pub logs: Logs,
    /// Where what becomes of invocations is counted.
    pub metrics: Metrics,
    /// Opens environment variables.
    pub vault: Vault,
    /// Issues the keys of environments; the one that the doors ask.
    pub gate: Gate,
    /// Builds sandboxes.
    pub launcher: LauncherClient,
    /// The interpreters of this machine.
    pub interpreters: Arc<[Interpreter]>,
    /// How closely an interpreter must fit.
    pub runtime_match: RuntimeMatch,
    /// Serves functions' own AWS endpoints; none to let them call real AWS.
    pub endpoint: Option<Arc<dyn EndpointHost>>,
    /// Concurrent executions of an account in a region.
    pub account_concurrency: Concurrency,
    /// Idle time after which an environment is closed.
    pub idle_expiry: Duration,
    /// What functions leave of the machine's memory.
    pub memory: MemoryWishes,
    /// Whether AWS's rates hold here, too.
    pub aws_limits: bool,
    /// Age at which an environment takes no further call.
    pub max_age: Duration,
    /// The clock.
    pub clock: Clock,
    /// The dice.
    pub dice: Dice,
}

/// Runs functions. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Engine {
    admission: Admission,
    pools: Arc<Pools>,
    images: Arc<Images>,
    metrics: Metrics,
    clock: Clock,
    /// Whether nobody waits for what it is asked to run.
    events: bool,
}

impl Engine {
    /// An engine without environments, and what begins when everything that its functions reach is there. Needs a tokio
    /// runtime; ends with the process.
    pub fn new(setup: EngineSetup) -> (Self, Outset) {
        let images = Images::new(admission::memory::of_machine());
        let expectations = Expectations {
            launcher: setup.launcher.clone(),
            interpreters: Arc::clone(&setup.interpreters),
            runtime_match: setup.runtime_match,
        };
        let pantry = Pantry {
            artifacts: setup.artifacts,
            logs: setup.logs,
            vault: setup.vault,
            gate: setup.gate,
            interpreters: setup.interpreters,
            runtime_match: setup.runtime_match,
            images: Arc::clone(&images),
            endpoint: setup.endpoint.is_some(),
            clock: setup.clock,
            dice: setup.dice.clone(),
        };
        let kit = Kit {
            starter: Arc::new(setup.launcher) as Arc<dyn Starter>,
            recipes: Arc::new(pantry),
            connections: host::runtime::further_connections(),
            endpoint: setup.endpoint,
            names: NameServer::new(setup.dice.clone()),
            images,
            clock: setup.clock,
            dice: setup.dice.clone(),
            idle_expiry: setup.idle_expiry,
            max_age: setup.max_age,
        };
        let mut admission = Admission::following(setup.account_concurrency, setup.catalogue.clone());
        if setup.aws_limits {
            admission = admission.with_rates();
        }
        let budget = Budget::of_process().with_memory(Memory::new(setup.memory));
        let engine = Self::of(kit, admission, setup.metrics, budget, setup.dice);
        tokio::spawn(Arc::clone(&engine.pools).watch_memory());
        (engine.clone(), Outset { engine, catalogue: setup.catalogue, expectations })
    }

    /// An engine of these parts that follows no catalogue.
    fn of(kit: Kit, admission: Admission, metrics: Metrics, budget: Budget, dice: Dice) -> Self {
        let clock = kit.clock;
        let images = Arc::clone(&kit.images);
        let kit = Arc::new(kit);
        let spawn =
            move |newcomer| drop(tokio::spawn(Insistent::new(driver::run(Arc::clone(&kit), newcomer))));
        let pools = Pools::new(budget, admission.clone(), clock, dice, Box::new(spawn));
        tokio::spawn(Arc::clone(&pools).tend_always());
        Self { admission, pools, images, metrics, clock, events: false }
    }

    /// The same for events that nobody waits for: AWS bounds how many run, and not how many come in a second.
    pub fn for_events(&self) -> Self {
        Self { events: true, ..self.clone() }
    }

    /// How many environments there are.
    pub fn environments(&self) -> usize {
        self.pools.alive()
    }

    /// How many invocations an account runs now in a region.
    pub fn running(&self, scope: &Scope) -> Concurrency {
        self.admission.in_use(scope)
    }

    /// How provisioned concurrency of a version stands.
    pub fn standing(&self, version: &Version) -> Standing {
        self.pools.standing(version)
    }

    /// How all provisioned concurrency stands.
    pub fn provisioned(&self) -> Vec<Provisioned> {
        self.pools.all_provisioned()
    }

    /// Takes no more invocations, waits at most `bound` for those under way, then closes every environment.
    pub async fn drain(&self, bound: Duration) {
        self.pools.drain(bound).await;
    }

    /// Closes every environment at once, for a server that is emptied; invocations under way are lost.
    pub async fn clear(&self) {
        self.pools.destroy().await;
        self.images.forget(|_| true);
    }

    /// Closes the idle environments of versions that no longer are what the catalogue holds, and keeps admission's
    /// books current while nothing is invoked. Whatever functions there are, their runtimes are made ready.
    async fn follow(self, catalogue: Catalogue, expectations: Expectations) {
        let mut changes = catalogue.subscribe();
        self.provision_all(&catalogue);
        expectations.expect_all(&catalogue);
        while let Some(event) = changes.next().await {
            self.admission.catch_up();
            self.forget_gone(&catalogue, &event);
            let outdated = |pool: &PoolKey| concerns(&event, pool) && is_outdated(&catalogue, pool);
            self.pools.retire(outdated);
            // All of them: an environment that was under way may have come back to one that had gone.
            self.images.forget(|pool| is_outdated(&catalogue, pool));
            match &event {
                Event::Changed(key) | Event::Removed(key) => {
                    let function = catalogue.peek(key);
                    function.iter().for_each(|function| expectations.expect(function));
                    self.pools
                        .provision(key, &function.map(|function| wishes(&function)).unwrap_or_default());
                }
                Event::Everything => self.provision_all(&catalogue),
            }
        }
    }

    /// Keeps ready what every function wants, and nothing else.
    fn provision_all(&self, catalogue: &Catalogue) {
        let wanting = catalogue.everywhere(|function: &Function| !function.provisioned.is_empty());
        let wanted = |pool: &PoolKey| {
            wanting.iter().any(|one| one.key.name == pool.version.name && one.key.scope == pool.version.scope)
        };
        self.pools.unprovision(|pool| !wanted(pool));
        for function in &wanting {
            self.pools.provision(&function.key, &wishes(function));
        }
    }
}

/// An engine that does not follow its catalogue yet, and so keeps nothing ready.
#[must_use]
pub struct Outset {
    engine: Engine,
    catalogue: Catalogue,
    expectations: Expectations,
}

impl Outset {
    /// Follows the catalogue from now on: environments may start at once.
    pub fn begin(self) {
        tokio::spawn(self.engine.follow(self.catalogue, self.expectations));
    }
}

/// What a function's versions want to be kept ready. A version that is still being made is told of again.
fn wishes(function: &Function) -> BTreeMap<u64, (Arc<Version>, Wish)> {
    let said = function.provisioned.values().map(|config| config.last_modified).max();
    let wish = |count: Concurrency| Some(Wish { count: usize::try_from(count.0).ok()?, said: said? });
    let wanted = function.shares().provisioned.into_iter().filter_map(|(number, count)| {
        let version = function.versions.get(&number).filter(|version| version.state == State::Active)?;
        Some((number, (Arc::clone(version), wish(count)?)))
    });
    wanted.collect()
}

impl Engine {
    /// Functions that are gone are counted no more. One of the same name goes on where they were, as on AWS.
    fn forget_gone(&self, catalogue: &Catalogue, event: &Event) {
        let exists = |scope: &Scope, name: &FunctionName| {
            catalogue.peek(&FunctionKey::new(scope.clone(), name.clone())).is_some()
        };
        match event {
            Event::Removed(key) if !exists(&key.scope, &key.name) => {
                self.metrics.forget(&key.scope, &key.name)
            }
            Event::Removed(_) | Event::Changed(_) => {}
            Event::Everything => self.metrics.retain(exists),
        }
    }
}

fn concerns(event: &Event, pool: &PoolKey) -> bool {
    match event {
        Event::Changed(key) | Event::Removed(key) => {
            key.name == pool.version.name && key.scope == pool.version.scope
        }
        Event::Everything => true,
    }
}

fn is_outdated(catalogue: &Catalogue, pool: &PoolKey) -> bool {
    let key = FunctionKey::new(pool.version.scope.clone(), pool.version.name.clone());
    let Some(function) = catalogue.peek(&key) else { return true };
    let version = pool.version.qualifier.as_ref().unwrap_or(&Qualifier::Latest);
    !function.still_runs(version, pool.generation)
}
