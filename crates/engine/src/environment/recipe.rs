//! What an environment of one version is made of: code, interpreter, variables, commands and log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use access::{FunctionIdentity, Gate, Issued, Vault};
use artifact::{Abi, Artifacts, CodeDir, NativeModule};
use async_trait::async_trait;
use base::clock::{Clock, Timestamp};
use base::id::EnvironmentId;
use base::random::Dice;
use base::units::Mib;
use catalogue::{Configuration, LogFormat, LogLevel, LoggingConfig, SystemLogLevel, Version};
use futures_util::future::try_join_all;
use record::level::{Format, Level, SystemLevel};
use record::report::InitializationType;
use record::{LogWriter, Logs};
use sandbox::SandboxSpec;
use sandbox::identity::{ENDPOINT_PORT, INSIDE_ADDRESS};
use sandbox::interpreters::Interpreter;
use sandbox::interpreters::rules::waiting::may_wait;
use sandbox::interpreters::rules::{Choice, RuntimeMatch, choose, launch_command, runtime_version};
use tokio::sync::Semaphore;

use super::output::LogPlan;
use super::variables::{EXEC_WRAPPER, Facts, Keys, of_extensions, variables};
use crate::admission::budget::Place;
use crate::host::EndpointHost;
use crate::host::dns::NameServer;
use crate::images::Images;
use crate::invoke::InvokeError;
use crate::outcome::{Exit, Fault};
use crate::pool::PoolKey;
use crate::starter::{Command, Order, Starter};

/// Where a function is in its sandbox.
const TASK_ROOT: &str = "/var/task";

/// Where `provided.*` functions bring their runtime, in the order of search. Source: recorded error text.
const BOOTSTRAPS: [&str; 2] = ["/var/task/bootstrap", "/opt/bootstrap"];

/// What a shell exits with when its command is missing, and when it may not be executed: the stock runtimes start
/// the wrapper from a shell. Source: recorded error for a missing wrapper.
const SHELL_STATUS: [i32; 2] = [127, 126];

/// `EACCES`.
const NOT_PERMITTED: i32 = 13;

/// What all environments share.
pub struct Kit {
    /// Builds sandboxes.
    pub starter: Arc<dyn Starter>,
    /// Makes recipes.
    pub recipes: Arc<dyn Recipes>,
    /// Connections to Runtime APIs, beyond each environment's own.
    pub connections: Arc<Semaphore>,
    /// Serves functions' own AWS endpoints.
    pub endpoint: Option<Arc<dyn EndpointHost>>,
    /// Answers functions' questions for names.
    pub names: NameServer,
    /// Memory images of initialised functions.
    pub images: Arc<Images>,
    /// The clock.
    pub clock: Clock,
    /// The dice.
    pub dice: Dice,
    /// Idle time after which an environment is closed.
    pub idle_expiry: Duration,
    /// Age at which an environment takes no further call.
    pub max_age: Duration,
}

/// Makes recipes.
#[async_trait]
pub trait Recipes: Send + Sync {
    /// The recipe of one new environment.
    async fn recipe(&self, version: &Version, made_for: InitializationType) -> Result<Recipe, InvokeError>;
}

/// Everything that one environment needs, from its version. It holds the variables in clear, for as long as the
/// environment lasts: a reset starts the runtime again.
#[derive(Clone)]
pub struct Recipe {
    /// What to start; further ones are tried where the first is missing.
    pub commands: Vec<Command>,
    /// Whether the first is the customer's wrapper around the runtime.
    pub wrapped: bool,
    /// The unpacked code's directory.
    pub code: String,
    /// Keeps that directory and those of the layers in place.
    pub _held: Vec<CodeDir>,
    /// The unpacked layers' directories, in the order in which they are merged.
    pub layers: Vec<String>,
    /// The interpreter to mount.
    pub interpreter: Option<String>,
    /// The function's memory.
    pub memory: Mib,
    /// Size of /tmp.
    pub tmp: Mib,
    /// The environment's own keys, good for as long as it lasts.
    pub keys: Arc<Issued>,
    /// Its log.
    pub log: LogPlan,
    /// What it has besides when it is restored for its first call.
    pub snap_start: Option<SnapStart>,
}

/// What an environment of a version with SnapStart has besides.
#[derive(Clone)]
pub struct SnapStart {
    /// Where it writes once it is restored: what a snapshot's init wrote stands elsewhere.
    pub writer: LogWriter,
    /// That stream's name.
    pub stream: Arc<str>,
    /// What it shows to get its keys, which are not among its variables. A snapshot holds it, so it is the version's; nobody
    /// else reaches where it is asked for.
    pub authorization: String,
}

impl Recipe {
    /// The order for its sandbox.
    pub fn order(&self, id: EnvironmentId, endpoint: bool, place: Place) -> Order {
        let spec = SandboxSpec {
            id,
            memory: self.memory,
            tmp: self.tmp,
            interpreter: self.interpreter.clone(),
            code: self.code.clone(),
            layers: self.layers.clone(),
            endpoint,
            loopback: self.snap_start.is_some(),
            waiting: self.waiting(),
        };
        Order { spec, place }
    }

    /// Whether the function's packages may hold extensions.
    pub fn may_have_extensions(&self) -> bool {
        !self.layers.is_empty()
    }

    /// Whether its runtime may make a memory image of itself and go on from one.
    pub fn may_have_image(&self) -> bool {
        self.snap_start.is_some() && !self.may_have_extensions() && self.waiting().is_some()
    }

    /// How an extension is started.
    pub fn extension(&self, name: &str) -> Command {
        let runtime = self.commands.first().map(|command| command.env.as_slice());
        Command {
            argv: vec![format!("/opt/extensions/{name}")],
            env: of_extensions(runtime.unwrap_or_default()),
            cwd: "/".into(),
        }
    }

    /// The runtime that may be started before it is known for which function.
    fn waiting(&self) -> Option<Vec<String>> {
        let [command] = &self.commands[..] else { return None };
        (self.interpreter.is_some() && !self.wrapped && may_wait(&command.argv, &command.env))
            .then(|| command.argv.clone())
    }

    /// What it means that a command, the last one tried, could not be executed.
    pub fn start_fault(&self, tried: usize, errno: i32, absent: bool) -> Fault {
        if self.wrapped {
            return Fault::Exit(Exit::Status(SHELL_STATUS[usize::from(errno == NOT_PERMITTED)]));
        }
        if absent && self.interpreter.is_none() {
            return Fault::NoBootstrap(BOOTSTRAPS.map(str::to_owned).into());
        }
        let path = self.commands.get(tried).and_then(|command| command.argv.first());
        Fault::Entrypoint { path: path.cloned().unwrap_or_default(), reason: reason(errno) }
    }
}

/// As Go says it, in whose words AWS's messages are.
pub fn reason(errno: i32) -> String {
    match errno {
        2 => "no such file or directory".into(),
        8 => "exec format error".into(),
        13 => "permission denied".into(),
        _ => std::io::Error::from_raw_os_error(errno).to_string(),
    }
}

/// Makes recipes from what the house holds.
pub struct Pantry {
    /// Code.
    pub artifacts: Artifacts,
    /// Where output goes.
    pub logs: Logs,
    /// Opens environment variables.
    pub vault: Vault,
    /// Issues keys.
    pub gate: Gate,
    /// The interpreters of this machine.
    pub interpreters: Arc<[Interpreter]>,
    /// How closely one must fit.
    pub runtime_match: RuntimeMatch,
    /// Memory images of initialised functions.
    pub images: Arc<Images>,
    /// Whether functions get an AWS endpoint of their own.
    pub endpoint: bool,
    /// The clock.
    pub clock: Clock,
    /// The dice.
    pub dice: Dice,
}

#[async_trait]
impl Recipes for Pantry {
    async fn recipe(&self, version: &Version, made_for: InitializationType) -> Result<Recipe, InvokeError> {
        let packages = try_join_all(version.codes().map(|code| self.artifacts.ready(&code.digest))).await;
        let packages = packages.map_err(|error| InvokeError::Code(error.to_string()))?;
        let runtime = self.runtime(&version.configuration, &packages)?;
        let keys = self.gate.issue(identity_of(version), &self.dice);
        let stream = stream_name(version, self.clock.now(), &self.dice.hex::<16>());
        let snap_start = version.snap_starts().then(|| self.snap_start(version));
        let authorization = snap_start.as_ref().map(|it| it.authorization.as_str());
        let variables = self.variables(version, made_for, &runtime, &keys, &stream, authorization)?;
        let commands = runtime.programs.iter().map(|argv| Command {
            argv: argv.clone(),
            env: variables.clone(),
            cwd: TASK_ROOT.into(),
        });
        let configuration = &version.configuration;
        let mut directories = packages.iter().map(|package| package.name().to_owned());
        let mut recipe = Recipe {
            commands: commands.collect(),
            wrapped: false,
            code: directories.next().unwrap_or_default(),
            layers: directories.collect(),
            _held: packages,
            interpreter: runtime.interpreter.clone(),
            memory: configuration.memory,
            tmp: configuration.ephemeral,
            keys: Arc::new(keys),
            log: self.log(version, made_for, &stream, runtime.warning),
            snap_start,
        };
        recipe.wrap();
        Ok(recipe)
    }
}

/// How a function's runtime is started here.
struct Runtime {
    /// Programs with their arguments; further ones are tried where the first is missing.
    programs: Vec<Vec<String>>,
    /// Variables that the interpreter needs.
    variables: Vec<(String, String)>,
    interpreter: Option<String>,
    warning: Option<String>,
}

impl Pantry {
    /// The runtime of a function with these packages: its own, and those of its layers.
    fn runtime(&self, configuration: &Configuration, packages: &[CodeDir]) -> Result<Runtime, InvokeError> {
        let runtime = configuration.runtime.as_deref().unwrap_or_default();
        let native: Vec<Vec<String>> = packages.iter().map(tags).collect();
        let choice = choose(runtime, &native, &self.interpreters, self.runtime_match);
        match choice.map_err(|error| InvokeError::Runtime(error.to_string()))? {
            Choice::Provided => Ok(Runtime {
                programs: BOOTSTRAPS.iter().map(|bootstrap| vec![(*bootstrap).to_owned()]).collect(),
                variables: Vec::new(),
                interpreter: None,
                warning: None,
            }),
            Choice::Interpreter { interpreter, warning } => {
                let start = launch_command(runtime, interpreter).for_memory(configuration.memory);
                Ok(Runtime {
                    programs: vec![start.argv],
                    variables: start.env,
                    interpreter: Some(interpreter.id.clone()),
                    warning,
                })
            }
        }
    }

    fn variables(
        &self,
        version: &Version,
        made_for: InitializationType,
        runtime: &Runtime,
        keys: &Issued,
        stream: &str,
        snap_start: Option<&str>,
    ) -> Result<Vec<(String, String)>, InvokeError> {
        let configuration = &version.configuration;
        let customer = match &configuration.environment {
            Some(sealed) => self.vault.open_environment(&version.key(), sealed),
            None => Ok(BTreeMap::new()),
        };
        let customer = customer.map_err(|error| InvokeError::Variables(error.to_string()))?;
        let endpoint = self.endpoint.then(endpoint_url);
        let facts = Facts {
            region: version.arn.scope.region.as_str(),
            function: version.arn.name.as_str(),
            version: &version.qualifier.to_string(),
            memory: configuration.memory.0,
            group: &configuration.logging.group,
            stream,
            handler: configuration.handler.as_deref(),
            runtime: configuration.runtime.as_deref(),
            keys: Keys {
                access_key: keys.access_key.to_string(),
                secret: keys.secret.expose().to_owned(),
                token: keys.token.expose().to_owned(),
            },
            endpoint: endpoint.as_deref(),
            json_level: match configuration.logging.format {
                LogFormat::Text => None,
                LogFormat::Json { application, .. } => Some(application.as_str()),
            },
            interpreter: &runtime.variables,
            made_for,
            snap_start,
        };
        Ok(variables(&facts, &customer))
    }

    fn snap_start(&self, version: &Version) -> SnapStart {
        let stream = stream_name(version, self.clock.now(), &self.dice.hex::<16>());
        let group = &version.configuration.logging.group;
        SnapStart {
            writer: self.logs.writer(&version.arn.scope, group, &stream),
            stream: stream.into(),
            authorization: self.images.word(&PoolKey::of(version), || self.dice.hex::<32>()),
        }
    }

    fn log(
        &self,
        version: &Version,
        made_for: InitializationType,
        stream: &str,
        notice: Option<String>,
    ) -> LogPlan {
        let Configuration { logging, runtime, memory, .. } = &*version.configuration;
        let (format, application, system) = match logging.format {
            LogFormat::Text => (Format::Text, Level::Trace, SystemLevel::Debug),
            LogFormat::Json { application, system } => {
                (Format::Json, application_level(application), system_level(system))
            }
        };
        let region = version.arn.scope.region.as_str();
        let runtime = runtime.as_deref().map(|runtime| {
            let version = runtime_version(runtime);
            (Arc::from(version.text.as_str()), Arc::from(version.arn(region)))
        });
        LogPlan {
            writer: self.logs.writer(&version.arn.scope, &logging.group, stream),
            stream: stream.into(),
            format,
            application,
            system,
            function: version.arn.clone(),
            version: version.qualifier.clone(),
            memory: *memory,
            runtime,
            made_for,
            notice,
        }
    }
}

impl Recipe {
    /// Puts the customer's wrapper in front of a managed runtime's program. Runtimes of the customer's own look
    /// at the variable themselves. Source: Lambda Developer Guide, "wrapper scripts".
    fn wrap(&mut self) {
        if self.interpreter.is_none() {
            return;
        }
        for command in &mut self.commands {
            let wrapper = command.env.iter().find(|(key, value)| key == EXEC_WRAPPER && !value.is_empty());
            if let Some((_, wrapper)) = wrapper {
                command.argv.insert(0, wrapper.clone());
                self.wrapped = true;
            }
        }
    }
}

/// What a package's native modules were built for.
fn tags(package: &CodeDir) -> Vec<String> {
    package.contents().native.iter().filter_map(tag).collect()
}

/// What a native module was built for, as [`choose`] reads it; none where its name does not tell.
fn tag(module: &NativeModule) -> Option<String> {
    match module.abi {
        Abi::Python { major, minor } => Some(format!("cpython-{major}{minor}")),
        Abi::Node { abi } => abi.map(|abi| format!("node-{abi}")),
        Abi::Ruby { major, minor } => Some(format!("ruby-{major}.{minor}")),
    }
}

fn identity_of(version: &Version) -> FunctionIdentity {
    FunctionIdentity {
        scope: version.arn.scope.clone(),
        function: version.qualified_arn(),
        role: Arc::clone(&version.configuration.role),
        session: version.arn.name.as_str().into(),
    }
}

/// `YYYY/MM/DD/[<version>]<32 hex>`, and in a group that functions may share
/// `YYYY/MM/DD/<function>[<version>][<32 hex>]`. Source: recorded names of 2026.
fn stream_name(version: &Version, now: Timestamp, unique: &str) -> String {
    let Version { arn, qualifier, configuration, .. } = version;
    let day = now.to_utc().format("%Y/%m/%d");
    let own = LoggingConfig::default_group(arn.name.as_str());
    if configuration.logging.group == own {
        format!("{day}/[{qualifier}]{unique}")
    } else {
        format!("{day}/{}[{qualifier}][{unique}]", arn.name)
    }
}

fn endpoint_url() -> String {
    let [a, b, c, d] = INSIDE_ADDRESS;
    format!("http://{a}.{b}.{c}.{d}:{ENDPOINT_PORT}")
}

const fn application_level(level: LogLevel) -> Level {
    match level {
        LogLevel::Trace => Level::Trace,
        LogLevel::Debug => Level::Debug,
        LogLevel::Info => Level::Info,
        LogLevel::Warn => Level::Warn,
        LogLevel::Error => Level::Error,
        LogLevel::Fatal => Level::Fatal,
    }
}

const fn system_level(level: SystemLogLevel) -> SystemLevel {
    match level {
        SystemLogLevel::Debug => SystemLevel::Debug,
        SystemLogLevel::Info => SystemLevel::Info,
        SystemLogLevel::Warn => SystemLevel::Warn,
    }
}

#[cfg(test)]
mod tests;
