//! Settings: flags over `SAMOVAR_*` variables over a TOML file over defaults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use access::{AccessKey, Secret};
use anyhow::{Context, Result, bail};
use base::arn::{AccountId, Region};
use base::limits;
use base::units::Concurrency;
use clap::{Args, ValueEnum};
use engine::{MemoryWishes, usual_reserve};
use record::logs::LogLimits;
use sandbox::plan::egress::{Cidr, CidrError, Mode, Wishes, range_refusal};
use serde::Deserialize;

/// Where Samovar keeps its data unless told otherwise.
const DATA_DIR: &str = "/var/lib/samovar";
/// Where `samovar runtimes install` puts the SDKs unless told otherwise.
pub const SDK_DIR: &str = "/var/lib/samovar-sdk";
const LISTEN: &str = "127.0.0.1:4566";
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "000000000000";
/// The variable that holds keys; a flag would show them to every user of the machine.
const KEYS_VARIABLE: &str = "SAMOVAR_KEYS";

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

/// How near an installed interpreter must be to the runtime that a function names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Match {
    /// The nearest of its family, with a warning in the function's log.
    Nearest,
    /// The very version, or the invoke is refused.
    Exact,
}

/// What functions reach beyond their sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// The internet where rights and tools allow, otherwise nothing.
    Auto,
    /// The internet.
    Nat,
    /// Whatever the host reaches, but neither the host nor other functions.
    Open,
    /// Nothing.
    None,
}

/// What stands between functions and everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IsolationMode {
    /// Namespaces, control groups and filters; needs root.
    Full,
    /// Nothing: functions are processes of the user who starts Samovar.
    None,
}

impl From<IsolationMode> for sandbox::Isolation {
    fn from(mode: IsolationMode) -> Self {
        match mode {
            IsolationMode::Full => Self::Full,
            IsolationMode::None => Self::None,
        }
    }
}

/// Every setting, as far as one source gives it.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Address and port [default: 127.0.0.1:4566]. Any address but loopback needs keys.
    #[arg(long, env = "SAMOVAR_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Where functions, queues and logs are kept [default: /var/lib/samovar, and with `--isolation none`
    /// ~/.local/share/samovar].
    #[arg(long, env = "SAMOVAR_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The region of requests that name none [default: us-east-1].
    #[arg(long, env = "SAMOVAR_REGION")]
    region: Option<String>,
    /// The account of keys that are not twelve digits [default: 000000000000].
    #[arg(long, env = "SAMOVAR_ACCOUNT")]
    account: Option<String>,
    /// Let POST /_samovar/reset empty everything (for test suites).
    #[arg(long, env = "SAMOVAR_ALLOW_RESET", num_args = 0..=1, default_missing_value = "true")]
    allow_reset: Option<bool>,
    /// Verify signatures with the configured keys on loopback too.
    #[arg(long, env = "SAMOVAR_REQUIRE_KEYS", num_args = 0..=1, default_missing_value = "true")]
    require_keys: Option<bool>,
    /// More names that a request's Host may have, beside localhost.
    #[arg(long = "host", env = "SAMOVAR_HOSTS", value_delimiter = ',', value_name = "NAME")]
    hosts: Option<Vec<String>>,
    /// Access keys as KEY:SECRET, or ACCOUNT/KEY:SECRET for another account than the server's; only from the file
    /// or SAMOVAR_KEYS (comma-separated).
    #[arg(skip)]
    keys: Option<KeyTexts>,
    /// The organization that all accounts here belong to, for policies that ask for it [default: none].
    #[arg(long, env = "SAMOVAR_ORGANIZATION", value_name = "ID")]
    organization: Option<String>,
    /// Give functions an AWS endpoint of their own that reaches Samovar [default: on].
    #[arg(long, env = "SAMOVAR_FUNCTION_ENDPOINT")]
    function_endpoint: Option<Switch>,
    /// What to do when a function's exact runtime is not installed [default: nearest].
    #[arg(long, env = "SAMOVAR_RUNTIME_MATCH")]
    runtime_match: Option<Match>,
    /// The SDKs that functions may import, as `samovar runtimes install` laid them out.
    #[arg(long, env = "SAMOVAR_SDK_DIR", value_name = "DIR")]
    sdk_dir: Option<PathBuf>,
    /// Seconds after which an idle environment is closed [default: 300].
    #[arg(long, env = "SAMOVAR_IDLE_EXPIRY", value_name = "SECONDS")]
    idle_expiry: Option<u64>,
    /// Memory of this machine that environments leave free, such as 2GiB [default: a sixteenth of it, from 128MiB to
    /// 1GiB]. What is measured counts, not what functions may have at most.
    #[arg(long, env = "SAMOVAR_MEMORY_RESERVE", value_name = "SIZE")]
    memory_reserve: Option<String>,
    /// Memory that all environments together may hold, as measured [default: what the machine has].
    #[arg(long, env = "SAMOVAR_MEMORY_LIMIT", value_name = "SIZE")]
    memory_limit: Option<String>,
    /// Hold functions to AWS's rates: 1,000 new environments in ten seconds, and ten requests a second for each unit
    /// of concurrency.
    #[arg(long, env = "SAMOVAR_AWS_LIMITS", num_args = 0..=1, default_missing_value = "true")]
    aws_limits: Option<bool>,
    /// Seconds after which an environment is replaced, even a busy one, between two invokes [default: 7200; 0: never].
    #[arg(long, env = "SAMOVAR_MAX_AGE", value_name = "SECONDS")]
    max_age: Option<u64>,
    /// Concurrent executions of an account in a region [default: 1000].
    #[arg(long, env = "SAMOVAR_CONCURRENCY", value_name = "COUNT")]
    concurrency: Option<u32>,
    /// What all archives of an account may take in a region, each version counted again, such as 75GiB
    /// [default: 300GiB].
    #[arg(long, env = "SAMOVAR_CODE_STORAGE", value_name = "SIZE")]
    code_storage: Option<String>,
    /// Hold functions to their CPU share even while the machine is idle [default: off].
    #[arg(long, env = "SAMOVAR_CPU_QUOTA")]
    cpu_quota: Option<Switch>,
    /// Days after which events go, in log groups that functions make [default: never]. Each group can be set.
    #[arg(long, env = "SAMOVAR_LOG_RETENTION", value_name = "DAYS")]
    log_retention: Option<u32>,
    /// Disk that all logs may take, such as 20GiB; the oldest events go first [default: 10GiB, at most a quarter
    /// of the disk].
    #[arg(long, env = "SAMOVAR_LOG_SPACE", value_name = "SIZE")]
    log_space: Option<String>,
    /// What functions reach: the internet (nat), whatever this host reaches (open), nothing (none), or the internet
    /// where rights and tools allow (auto) [default: auto].
    #[arg(long, env = "SAMOVAR_EGRESS")]
    egress: Option<Egress>,
    /// Let `nat` reach private networks too [default: off].
    #[arg(long, env = "SAMOVAR_EGRESS_PRIVATE")]
    egress_private: Option<Switch>,
    /// A private network that `nat` reaches all the same, or one port of it: 10.1.0.0/16, 10.1.0.9:5432,
    /// [fd00:1::/64]:443. May be repeated.
    #[arg(long, env = "SAMOVAR_EGRESS_ALLOW", value_delimiter = ',', value_name = "CIDR[:PORT]")]
    egress_allow: Option<Vec<String>>,
    /// Where functions get their addresses from: a network of IPv4, /20 or larger [default: 198.18.0.0/15].
    #[arg(long, env = "SAMOVAR_EGRESS_RANGE", value_name = "CIDR")]
    egress_range: Option<String>,
    /// Let Samovar switch on this host's forwarding of packets, for its functions alone and while it runs
    /// [default: off].
    #[arg(long, env = "SAMOVAR_ALLOW_IP_FORWARD")]
    allow_ip_forward: Option<Switch>,
    /// What stands between functions and this machine [default: full]. `none` needs no rights and protects nothing:
    /// functions run as processes of the user who starts Samovar.
    #[arg(long, env = "SAMOVAR_ISOLATION", value_name = "MODE")]
    isolation: Option<IsolationMode>,
    /// Sandboxes that are kept ready for functions to come, at all times; 0 keeps none [default: as many as were asked
    /// for at the busiest moment of the last minutes, up to 64].
    #[arg(long, env = "SAMOVAR_PREPARED", value_name = "COUNT")]
    prepared: Option<usize>,
    /// What the server tells about itself: error, warn, info, debug or trace [default: info].
    #[arg(long, env = "SAMOVAR_LOG", value_name = "LEVEL")]
    log: Option<String>,
}

/// Keys with their secrets as they are configured.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
struct KeyTexts(Vec<String>);

impl std::fmt::Debug for KeyTexts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyTexts(..)")
    }
}

/// What the server runs with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The region of requests that name none.
    pub region: Region,
    /// The account of keys that are not twelve digits.
    pub account: AccountId,
    /// Whether everything may be emptied.
    pub allow_reset: bool,
    /// Further names for the Host header.
    pub hosts: Vec<String>,
    /// The keys that are taken; `None` takes any (open mode).
    pub keys: Option<Vec<AccessKey>>,
    /// The organization that all accounts belong to.
    pub organization: Option<String>,
    /// Whether functions get an AWS endpoint.
    pub function_endpoint: bool,
    /// How near an interpreter must be.
    pub runtime_match: Match,
    /// The SDKs for functions, where they are installed.
    pub sdk_dir: Option<PathBuf>,
    /// When idle environments are closed.
    pub idle_expiry: Duration,
    /// What functions leave of the machine's memory.
    pub memory: MemoryWishes,
    /// Whether AWS's rates hold.
    pub aws_limits: bool,
    /// When environments are replaced.
    pub max_age: Duration,
    /// Concurrent executions of an account in a region.
    pub concurrency: Concurrency,
    /// Bytes that all archives of an account may have in a region.
    pub code_storage: u64,
    /// Whether CPU shares are strict.
    pub cpu_quota: bool,
    /// Sandboxes that are always kept ready; without it their number follows demand.
    pub prepared: Option<usize>,
    /// How much functions' logs may keep.
    pub log_limits: LogLimits,
    /// What functions reach beyond their sandbox.
    pub egress: Wishes,
    /// What stands between functions and everything else.
    pub isolation: IsolationMode,
    /// The log filter.
    pub log: String,
}

impl Settings {
    /// Reads the file, lays these settings over it, and checks all.
    pub fn resolve(self, file: Option<&Path>) -> Result<Config> {
        let file = file.map(read).transpose()?.unwrap_or_default();
        let config = self.over(file).check()?;
        if !config.listen.ip().is_loopback() && config.keys.is_none() {
            bail!(
                "listening on {} needs access keys: set {KEYS_VARIABLE}=KEY:SECRET or `keys` in the configuration file, \
                 or listen on 127.0.0.1",
                config.listen
            );
        }
        Ok(config)
    }

    fn over(self, lower: Self) -> Self {
        let variable = std::env::var(KEYS_VARIABLE).ok().filter(|text| !text.is_empty());
        let keys = variable.map(|text| KeyTexts(text.split(',').map(str::to_owned).collect()));
        Self {
            listen: self.listen.or(lower.listen),
            data_dir: self.data_dir.or(lower.data_dir),
            region: self.region.or(lower.region),
            account: self.account.or(lower.account),
            allow_reset: self.allow_reset.or(lower.allow_reset),
            require_keys: self.require_keys.or(lower.require_keys),
            hosts: self.hosts.or(lower.hosts),
            keys: keys.or(lower.keys),
            organization: self.organization.or(lower.organization),
            function_endpoint: self.function_endpoint.or(lower.function_endpoint),
            runtime_match: self.runtime_match.or(lower.runtime_match),
            sdk_dir: self.sdk_dir.or(lower.sdk_dir),
            idle_expiry: self.idle_expiry.or(lower.idle_expiry),
            memory_reserve: self.memory_reserve.or(lower.memory_reserve),
            memory_limit: self.memory_limit.or(lower.memory_limit),
            aws_limits: self.aws_limits.or(lower.aws_limits),
            max_age: self.max_age.or(lower.max_age),
            concurrency: self.concurrency.or(lower.concurrency),
            code_storage: self.code_storage.or(lower.code_storage),
            cpu_quota: self.cpu_quota.or(lower.cpu_quota),
            prepared: self.prepared.or(lower.prepared),
            log_retention: self.log_retention.or(lower.log_retention),
            log_space: self.log_space.or(lower.log_space),
            egress: self.egress.or(lower.egress),
            egress_private: self.egress_private.or(lower.egress_private),
            egress_allow: self.egress_allow.or(lower.egress_allow),
            egress_range: self.egress_range.or(lower.egress_range),
            allow_ip_forward: self.allow_ip_forward.or(lower.allow_ip_forward),
            isolation: self.isolation.or(lower.isolation),
            log: self.log.or(lower.log),
        }
    }

    fn check(self) -> Result<Config> {
        let listen = self.listen.as_deref().unwrap_or(LISTEN);
        let listen: SocketAddr = listen
            .parse()
            .with_context(|| format!("listen: {listen:?} is not ADDRESS:PORT, such as {LISTEN}"))?;
        let keys = self
            .keys
            .map(|KeyTexts(keys)| keys.iter().map(|key| access_key(key)).collect::<Result<Vec<_>>>())
            .transpose()?;
        if self.require_keys == Some(true) && keys.is_none() {
            bail!(
                "require_keys needs access keys: set {KEYS_VARIABLE}=KEY:SECRET or `keys` in the configuration file"
            );
        }
        let egress = egress(
            self.egress,
            self.egress_private,
            self.egress_allow.unwrap_or_default(),
            self.egress_range,
            self.allow_ip_forward,
        )?;
        let isolation = self.isolation.unwrap_or(IsolationMode::Full);
        let closed = !listen.ip().is_loopback() || self.require_keys == Some(true);
        Ok(Config {
            listen,
            data_dir: self.data_dir.unwrap_or_else(|| default_data_dir(isolation)),
            region: self.region.unwrap_or_else(|| REGION.into()).parse().context("region")?,
            account: self.account.unwrap_or_else(|| ACCOUNT.into()).parse().context("account")?,
            allow_reset: self.allow_reset.unwrap_or(false),
            hosts: self.hosts.unwrap_or_default(),
            keys: keys.filter(|_| closed),
            organization: self.organization.map(organization).transpose()?,
            function_endpoint: self.function_endpoint != Some(Switch::Off),
            runtime_match: self.runtime_match.unwrap_or(Match::Nearest),
            sdk_dir: self.sdk_dir.or_else(installed_sdk),
            idle_expiry: self.idle_expiry.map_or(limits::IDLE_EXPIRY, seconds),
            memory: memory(self.memory_reserve.as_deref(), self.memory_limit.as_deref())?,
            aws_limits: self.aws_limits.unwrap_or(false),
            max_age: self.max_age.map_or(limits::ENVIRONMENT_AGE, age),
            concurrency: self.concurrency.map_or(limits::ACCOUNT_CONCURRENCY, Concurrency),
            code_storage: match self.code_storage.as_deref() {
                Some(text) => size(text).context("code_storage")?,
                None => limits::CODE_STORAGE_BYTES,
            },
            cpu_quota: self.cpu_quota == Some(Switch::On),
            prepared: self.prepared,
            log_limits: LogLimits {
                retention_days: self.log_retention.map(retention).transpose()?,
                space: self.log_space.as_deref().map(log_space).transpose().context("log_space")?,
            },
            egress,
            isolation,
            log: self.log.unwrap_or_else(|| "info".into()),
        })
    }
}

fn memory(reserve: Option<&str>, limit: Option<&str>) -> Result<MemoryWishes> {
    Ok(MemoryWishes {
        reserve: reserve.map(size).transpose().context("memory_reserve")?.unwrap_or_else(usual_reserve),
        limit: limit.map(size).transpose().context("memory_limit")?,
    })
}

/// Long enough to mean never, short enough to be added to a moment.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds).min(NEVER)
}

fn age(age: u64) -> Duration {
    if age == 0 { NEVER } else { seconds(age) }
}

fn egress(
    mode: Option<Egress>,
    private: Option<Switch>,
    allow: Vec<String>,
    range: Option<String>,
    forward: Option<Switch>,
) -> Result<Wishes> {
    let mode = match mode {
        None | Some(Egress::Auto) => Mode::Auto,
        Some(Egress::Nat) => Mode::Nat,
        Some(Egress::Open) => Mode::Open,
        Some(Egress::None) => Mode::None,
    };
    let private = private == Some(Switch::On);
    if mode == Mode::None && (private || !allow.is_empty()) {
        bail!(
            "egress is none, so egress_private and egress_allow open nothing; set egress to nat, or leave them out"
        );
    }
    let allowed =
        allow.iter().map(|text| text.parse()).collect::<Result<_, CidrError>>().context("egress_allow")?;
    let range: Option<Cidr> = range.map(|text| text.parse()).transpose().context("egress_range")?;
    if let Some(refusal) = range.as_ref().and_then(range_refusal) {
        bail!("egress_range: {refusal}");
    }
    Ok(Wishes { mode, private, allowed, may_forward: forward == Some(Switch::On), range })
}

/// Who runs without rights has a place at home only. Source: XDG Base Directory Specification, "XDG_DATA_HOME".
pub fn default_data_dir(isolation: IsolationMode) -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home =
        || variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    match isolation {
        IsolationMode::Full => DATA_DIR.into(),
        IsolationMode::None => home().map_or_else(|| DATA_DIR.into(), |home| home.join("samovar")),
    }
}

fn read(path: &Path) -> Result<Settings> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not a configuration", path.display()))
}

/// Days that CloudWatch knows too, so that a group can be set back to what it was.
fn retention(days: u32) -> Result<u32> {
    if limits::LOG_RETENTION_DAYS.contains(&days) {
        return Ok(days);
    }
    bail!(
        "log_retention: {days} is none of the days that CloudWatch allows: {:?}",
        limits::LOG_RETENTION_DAYS
    )
}

/// What all logs may take; not less than their keeper can hold them to.
fn log_space(text: &str) -> Result<u64> {
    match size(text)? {
        bytes @ limits::LOG_SPACE_LEAST.. => Ok(bytes),
        bytes => bail!("{bytes} bytes are too few, at least {} are needed", limits::LOG_SPACE_LEAST),
    }
}

/// Bytes from `512MiB`, `10GB` or a bare number.
fn size(text: &str) -> Result<u64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (count, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => bail!("{text:?} is not a size such as 10GiB"),
    };
    let bytes = count.parse::<u64>().ok().and_then(|count| count.checked_mul(factor));
    bytes.with_context(|| format!("{text:?} is not a size such as 10GiB"))
}

/// A key from `KEY:SECRET` or `ACCOUNT/KEY:SECRET`: no key has a slash, which ends it in a signature's scope.
fn access_key(text: &str) -> Result<AccessKey> {
    // What is wrong is not shown: it may be a secret.
    let shape = "keys: each is KEY:SECRET or ACCOUNT/KEY:SECRET";
    let (named, secret) = text.split_once(':').context(shape)?;
    let (account, id) = match named.split_once('/') {
        Some((account, id)) => (Some(account.parse().ok().context("keys: an account is twelve digits")?), id),
        None => (None, named),
    };
    if id.is_empty() || id.contains('/') || secret.is_empty() {
        bail!(shape);
    }
    Ok(AccessKey { id: id.into(), secret: Secret::new(secret), account })
}

/// Source: Lambda API reference, AddPermission, `PrincipalOrgID`.
fn organization(id: String) -> Result<String> {
    let fits = |name: &str| {
        (10..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if id.strip_prefix("o-").is_some_and(fits) {
        return Ok(id);
    }
    bail!("organization: {id:?} is not o- and 10 to 32 lower-case letters and digits")
}

/// The SDK directory, when `samovar runtimes install` made one at its default place.
pub fn installed_sdk() -> Option<PathBuf> {
    Some(PathBuf::from(SDK_DIR)).filter(|dir| dir.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        toml::from_str(text).expect("settings")
    }

    #[test]
    fn the_upper_source_wins_where_it_speaks() {
        let upper = settings("account = '111111111111'");
        let lower = settings("account = '222222222222'\nregion = 'eu-north-1'");
        let config = upper.over(lower).check().expect("config");
        assert_eq!(config.account.as_str(), "111111111111");
        assert_eq!(config.region.as_str(), "eu-north-1");
        assert_eq!(config.listen.to_string(), LISTEN);
    }

    #[test]
    fn keys_may_name_their_account_and_their_secrets_are_not_shown() {
        let text = "require_keys = true\nkeys = ['AKIAONE:a:b/c', '111111111111/AKIATWO:secret2']";
        let config = settings(text).check().expect("config");
        let keys = config.keys.as_deref().expect("keys");
        let told: Vec<_> = keys
            .iter()
            .map(|key| (&*key.id, key.secret.expose(), key.account.as_ref().map(AccountId::as_str)))
            .collect();
        assert_eq!(told, [("AKIAONE", "a:b/c", None), ("AKIATWO", "secret2", Some("111111111111"))]);
        assert!(!format!("{config:?}").contains("secret2"));
        let refused = settings("keys = ['11/AKIA:secret2']").check().expect_err("no account");
        assert!(!format!("{refused:#}").contains("secret2"), "{refused:#}");
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in
            [("64MiB", 64 << 20), ("10GB", 10_000_000_000), ("2 g", 2 << 30), ("100000000", 100_000_000)]
        {
            assert_eq!(size(text).expect("a size"), bytes, "{text}");
        }
        let config = settings("log_space = '1TiB'\nlog_retention = 30").check().expect("config");
        assert_eq!(config.code_storage, limits::CODE_STORAGE_BYTES);
        let config_of_less = settings("code_storage = '1KiB'").check().expect("config");
        assert_eq!(config_of_less.code_storage, 1024);
        assert_eq!(config.log_limits, LogLimits { retention_days: Some(30), space: Some(1 << 40) });
    }

    #[test]
    fn functions_reach_what_is_asked_for() {
        let of = |text: &str| settings(text).check().expect("config").egress;
        assert_eq!(of(""), Wishes::default());
        let text = "egress = 'nat'\negress_allow = ['10.1.0.0/16:5432', '[fd00:1::/64]:443']\negress_range = '10.9.0.0/16'\n\
                    allow_ip_forward = 'on'";
        let wishes = of(text);
        assert_eq!((wishes.mode, wishes.allowed.len(), wishes.may_forward), (Mode::Nat, 2, true));
        assert_eq!(wishes.range.map(|range| range.to_string()).as_deref(), Some("10.9.0.0/16"));
    }

    #[test]
    fn walls_are_left_out_only_when_that_is_said() {
        let isolation = |text| settings(text).check().expect("config").isolation;
        assert_eq!(isolation(""), IsolationMode::Full);
        assert_eq!(isolation("isolation = 'none'"), IsolationMode::None);
        assert!(toml::from_str::<Settings>("isolation = 'some'").is_err());
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            "listen = 'nowhere'",
            "account = '12'",
            "region = 'A B'",
            "keys = ['no-secret']",
            "keys = ['11/AKIA:secret']",
            "keys = ['111111111111/:secret']",
            "keys = ['111111111111/a/b:secret']",
            "keys = ['AKIA:']",
            "organization = 'o-1'",
            "organization = 'x-1234567890'",
            "require_keys = true",
            "log_retention = 2",
            "log_space = 'much'",
            "log_space = '1 parsec'",
            "log_space = '1000'",
            "log_space = '99999999999 TiB'",
            "code_storage = 'none'",
            "memory_reserve = 'some'",
            "memory_limit = '1 heap'",
            "egress_allow = ['10.0.0.1/8']",
            "egress_allow = ['169.254.169.254']",
            "egress_allow = ['10.0.0.0/8:0']",
            "egress = 'none'\negress_allow = ['10.0.0.0/8']",
            "egress = 'none'\negress_private = 'on'",
            "egress_range = '10.0.0.0/24'",
        ] {
            assert!(settings(text).check().is_err(), "{text}");
        }
        assert!(toml::from_str::<Settings>("regoin = 'x'").is_err());
    }
}
