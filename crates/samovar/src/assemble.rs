//! Puts the rooms together and serves until told to stop.

mod inside;
mod measures;
mod reset;
mod unpacker;

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use access::{Gate, Vault};
use anyhow::{Context, Result};
use artifact::Artifacts;
use base::clock::Clock;
use base::limits::{DOOR_DRAIN, DRAIN_TIME, ENDPOINT_BACKLOG};
use base::random::Dice;
use catalogue::Catalogue;
use doors::{Apis, Door, Endpoint, EndpointSetup, FunctionEndpoints, HostList};
use engine::{Engine, EngineSetup, Outset, RuntimeMatch};
use flow::{Events, EventsSetup};
use record::{Logs, Metrics};
use sandbox::ServerSide;
use sandbox::interpreters::Interpreter;
use services::lambda::{Lambda, LambdaSetup};
use store::{Blobs, Store};
use store_sqlite::SqliteStore;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::inside::LateEndpoints;
use self::measures::Measured;
use self::reset::Resettable;
use self::unpacker::ConfinedUnpacker;
use crate::config::{Config, Match};

/// The directory of the master keys, below the data directory.
const KEYS: &str = "keys";

/// How often packages that nothing refers to any more are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Serves until SIGTERM or SIGINT, then lets what runs finish.
pub async fn serve(side: ServerSide, config: Config, interpreters: Vec<Interpreter>) -> Result<()> {
    let listener = listen(config.listen).with_context(|| format!("cannot listen on {}", config.listen))?;
    // Before anybody can know that the server is there: who starts it may end it at once.
    let stop = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let (house, outset) = House::build(side, &config, interpreters).await?;
    let apis = house.apis();
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    house.inside.bind(Arc::new(FunctionEndpoints::new(Arc::clone(&apis), &address, house.dice.clone())));
    // From here on functions may run, and reach those.
    outset.begin();
    house.lambda.resume();
    house.events.resume().await.context("events that wait could not be found")?;
    tokio::spawn(sweep(house.artifacts.clone(), house.catalogue.clone(), house.clock));
    tokio::spawn(house.logs.clone().keep_always());
    let door = house.open(listener, apis, &config);
    announce(&door, &config);
    told_to_stop(stop).await;
    tracing::info!("finishing what runs");
    // Who follows logs would do so for ever.
    house.logs.stop_following();
    // The door lets answers under way finish while the engine runs them.
    let (_, (), ()) = tokio::join!(
        door.drain(DRAIN_TIME + DOOR_DRAIN),
        // Before the engine, so that it is not asked for what it will not do.
        house.events.drain(DRAIN_TIME + DOOR_DRAIN),
        house.engine.drain(DRAIN_TIME)
    );
    house.logs.close().await.context("the log indexes could not be stored")
}

/// A listener whose queue holds more than the default's: who does not fit tries again only after a second.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // An address whose connections linger from an earlier run can be taken again.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(ENDPOINT_BACKLOG)
}

/// The services of this house.
type HouseApis = Apis<Lambda, services::logs::Logs>;

/// Every room, built.
struct House {
    store: Arc<dyn Store>,
    artifacts: Artifacts,
    catalogue: Catalogue,
    logs: Logs,
    vault: Vault,
    gate: Gate,
    engine: Engine,
    metrics: Metrics,
    events: Events,
    lambda: Lambda,
    clock: Clock,
    dice: Dice,
    inside: Arc<LateEndpoints>,
}

impl House {
    async fn build(
        side: ServerSide,
        config: &Config,
        interpreters: Vec<Interpreter>,
    ) -> Result<(Self, Outset)> {
        let (clock, dice) = (Clock::system(), Dice::system());
        let data = side.data_dir.as_path();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&data.join("store"), clock)?);
        make_key_directory(data)?;
        let vault = Vault::open(&key_file(data), dice.clone())?;
        let unpacker = Arc::new(ConfinedUnpacker(side.client.clone()));
        let blobs = Blobs::local(&data.join("blobs"))?;
        let artifacts =
            Artifacts::open(store.clone(), blobs, unpacker, &data.join("code"), clock, dice.clone()).await?;
        let catalogue = Catalogue::open(store.clone(), clock, dice.clone()).await?;
        let catalogue = catalogue.with_code_storage(config.code_storage);
        let gate = gate(config, &catalogue);
        let logs = Logs::open_within(store.clone(), clock, dice.clone(), config.log_limits).await?;
        let inside = Arc::new(LateEndpoints::default());
        let metrics = Metrics::new(clock);
        let (engine, outset) = Engine::new(EngineSetup {
            catalogue: catalogue.clone(),
            artifacts: artifacts.clone(),
            logs: logs.clone(),
            metrics: metrics.clone(),
            vault: vault.clone(),
            gate: gate.clone(),
            launcher: side.client,
            interpreters: interpreters.into(),
            runtime_match: match config.runtime_match {
                Match::Nearest => RuntimeMatch::Nearest,
                Match::Exact => RuntimeMatch::Exact,
            },
            endpoint: config.function_endpoint.then(|| inside.clone() as _),
            account_concurrency: config.concurrency,
            idle_expiry: config.idle_expiry,
            memory: config.memory,
            aws_limits: config.aws_limits,
            max_age: config.max_age,
            clock,
            dice: dice.clone(),
        });
        let events = Events::new(EventsSetup {
            store: store.clone(),
            catalogue: catalogue.clone(),
            invoker: Arc::new(engine.for_events()),
            gate: gate.clone(),
            metrics: metrics.clone(),
            clock,
            dice: dice.clone(),
        });
        let lambda = Lambda::new(LambdaSetup {
            catalogue: catalogue.clone(),
            artifacts: artifacts.clone(),
            runner: Arc::new(engine.clone()),
            events: events.clone(),
            vault: vault.clone(),
            gate: gate.clone(),
            account_concurrency: config.concurrency,
            clock,
            dice: dice.clone(),
        });
        let house = Self {
            store,
            artifacts,
            catalogue,
            logs,
            vault,
            gate,
            engine,
            metrics,
            events,
            lambda,
            clock,
            dice,
            inside,
        };
        Ok((house, outset))
    }

    /// What doors lead to.
    fn apis(&self) -> Arc<HouseApis> {
        Arc::new(Apis {
            lambda: self.lambda.clone(),
            logs: services::logs::Logs::new(self.logs.clone(), self.clock, self.dice.clone()),
            clock: self.clock,
        })
    }

    /// Opens the door outside.
    fn open(&self, listener: TcpListener, apis: Arc<HouseApis>, config: &Config) -> Door {
        let resettable = Resettable {
            store: self.store.clone(),
            engine: self.engine.clone(),
            logs: self.logs.clone(),
            artifacts: self.artifacts.clone(),
        };
        let measured = Measured {
            metrics: self.metrics.clone(),
            engine: self.engine.clone(),
            catalogue: self.catalogue.clone(),
            clock: self.clock,
        };
        Endpoint::open(
            listener,
            EndpointSetup {
                apis,
                gate: self.gate.clone(),
                hosts: HostList::with(config.hosts.iter().cloned()),
                artifacts: self.artifacts.clone(),
                layers: Arc::new(self.lambda.clone()),
                vault: self.vault.clone(),
                reset: config.allow_reset.then(|| resettable.into_callback()),
                measures: measured.into_callback(),
                clock: self.clock,
                dice: self.dice.clone(),
            },
        )
    }
}

/// The master key's file, in a directory of its own so that a backup can leave it out.
pub fn key_file(data: &Path) -> PathBuf {
    data.join(KEYS).join("master.key")
}

fn make_key_directory(data: &Path) -> Result<()> {
    let directory = data.join(KEYS);
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.with_context(|| format!("cannot make {}", directory.display()))
}

fn gate(config: &Config, catalogue: &Catalogue) -> Gate {
    let gate = match &config.keys {
        None => Gate::open(config.account.clone()),
        Some(keys) => Gate::closed(config.account.clone(), keys.iter().cloned()),
    };
    gate.with_region(config.region.clone())
        .with_organization(config.organization.as_deref())
        .with_policies(catalogue.clone())
}

/// Removes packages some time after their last reference went.
async fn sweep(artifacts: Artifacts, catalogue: Catalogue, clock: Clock) {
    loop {
        clock.sleep(SWEEP_EVERY).await;
        match artifacts.sweep(|digest| catalogue.holds(digest)).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed packages that nothing refers to"),
            Err(error) => tracing::warn!(%error, "packages could not be swept"),
        }
    }
}

fn announce(door: &Door, config: &Config) {
    let address = door.address().map_or_else(|| config.listen.to_string(), |address| address.to_string());
    let mode = if config.keys.is_some() { "signatures are verified" } else { "any key is taken" };
    eprintln!("samovar is ready at http://{address} ({mode}; data in {})", config.data_dir.display());
    if config.sdk_dir.is_none() {
        eprintln!("functions cannot import boto3 or @aws-sdk: `samovar runtimes install` installs them");
    }
}

async fn told_to_stop([mut terminate, mut interrupt]: [Signal; 2]) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
