//! The command line: what each command takes, with examples that work.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use base::arn::LayerVersionArn;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{IsolationMode, Settings};

pub mod client;
pub mod doctor;
pub mod functions;
pub mod invoke;
pub mod keys;
pub mod layers;
pub mod logs;
pub mod runtimes;
pub mod top;

use logs::when::When;
use top::table::Sort;

/// AWS Lambda on your own machines.
#[derive(Debug, Parser)]
#[command(
    name = "samovar",
    version,
    about,
    after_help = "\
Examples:
  samovar serve                                   start on 127.0.0.1:4566
  samovar doctor                                  what this host gives, and what to do about what is missing
  samovar invoke my-function --payload '{\"a\": 1}'
  samovar logs my-function --follow"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the server.
    Serve(Box<ServeArgs>),
    /// Say what this host gives, wall by wall; the status is 1 when functions cannot run here.
    #[command(after_help = "\
Examples:
  samovar doctor
  sudo samovar doctor                 with root it sees everything
  samovar doctor --isolation none     what holds without walls
  samovar doctor --json")]
    Doctor(DoctorArgs),
    /// Show the runtimes that this host can run, or install what they may import.
    Runtimes(RuntimesArgs),
    /// List the functions.
    #[command(after_help = "Examples:\n  samovar functions\n  samovar functions --region eu-west-1")]
    Functions(Endpoint),
    /// Invoke a function and print its answer; the status is 1 when the function failed.
    #[command(after_help = "\
Examples:
  samovar invoke my-function
  samovar invoke my-function --payload '{\"name\": \"tea\"}'
  samovar invoke my-function --payload @event.json --log")]
    Invoke(InvokeArgs),
    /// List the layers that are here, or bring one here from elsewhere.
    #[command(after_help = "\
Examples:
  samovar layers                                  every version of every account and region
  samovar layers import ARN --zip FILE            templates that name ARN work unchanged
  samovar layers import --help")]
    Layers(LayersArgs),
    /// Print what functions wrote.
    #[command(after_help = "\
Examples:
  samovar logs my-function --tail 20
  samovar logs checkout orders 'api-*' --follow          several at once; new api- functions join in
  samovar logs my-function --since 10m --filter ERROR    a CloudWatch filter pattern
  samovar logs my-function --filter '{ $.level = \"ERROR\" }'
  samovar logs my-function --request-id 79104eff-c5f1-41a8-8dd6-8e4d4b9a8a32
  samovar logs --all --follow --json")]
    Logs(Box<LogsArgs>),
    /// Show what functions do now: rates, errors, throttles, durations, cold starts, environments.
    #[command(after_help = "\
Examples:
  samovar top                         live; / filters, letters sort, q ends
  samovar top --sort errors --filter checkout
  samovar top --once                  totals since the server started, for scripts

P50 and P99 are of the last 10 seconds (with --once, of everything), as exact as /metrics' buckets. QUEUE, SANDBOX,
INIT, HANDLER and EXT are what a cold start took on average, phase by phase.")]
    Top(TopArgs),
    /// Show the keys that environment variables are sealed under, or make a new one.
    #[command(after_help = "\
Examples:
  samovar keys
  samovar keys rotate                 with the server stopped; what it sealed is sealed anew")]
    Keys(KeysArgs),
}

/// Flags win over `SAMOVAR_*` variables, and these over the configuration file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samovar serve
  samovar serve --data-dir /srv/samovar --region eu-central-1
  samovar serve --config /etc/samovar.toml
  samovar serve --isolation none                  without root: functions run as your own processes, without walls
  SAMOVAR_KEYS=AKIDEXAMPLE:secret,111111111111/AKIDOTHER:secret2 samovar serve --listen 0.0.0.0:4566

The configuration file has the same names, with _ for -:
  listen = \"127.0.0.1:4566\"
  data_dir = \"/srv/samovar\"
  keys = [\"AKIDEXAMPLE:secret\"]")]
pub struct ServeArgs {
    /// A TOML file with settings; unknown keys are refused.
    #[arg(long, env = "SAMOVAR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The settings themselves.
    #[command(flatten)]
    pub settings: Settings,
}

/// What to look at.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// The mode of `serve` to judge for.
    #[arg(long, env = "SAMOVAR_ISOLATION", value_name = "MODE", default_value = "full")]
    pub isolation: IsolationMode,
    /// Where the data would be kept [default: that of `serve`].
    #[arg(long, env = "SAMOVAR_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where the server is, and who calls it. Keys come from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.
#[derive(Debug, Clone, Args)]
pub struct Endpoint {
    /// The server's address.
    #[arg(long, env = "SAMOVAR_ENDPOINT", default_value = "http://127.0.0.1:4566", value_name = "URL")]
    pub endpoint: String,
    /// The region to speak to.
    #[arg(long, env = "AWS_DEFAULT_REGION", default_value = "us-east-1")]
    pub region: String,
}

/// What `samovar layers` takes.
#[derive(Debug, Args)]
pub struct LayersArgs {
    /// Without one, the layers are listed.
    #[command(subcommand)]
    pub command: Option<LayersCommand>,
    /// Where the server is.
    #[command(flatten)]
    pub endpoint: Endpoint,
}

/// What can be done about layers.
#[derive(Debug, Subcommand)]
pub enum LayersCommand {
    /// Publish a zip under exactly this ARN, of whatever account, for all accounts here to use.
    ///
    /// What a template, a SAM or a serverless file says of a layer that somebody else publishes is then true here,
    /// too. The same bytes may be imported again and again; other bytes are refused unless told to --replace.
    #[command(after_help = "\
Examples:
  A public layer, as AWS has it (the first two commands speak to AWS):
    arn=arn:aws:lambda:us-east-1:770693421928:layer:Klayers-p312-boto3:12
    url=$(aws lambda get-layer-version-by-arn --arn $arn --query Content.Location --output text)
    curl -o boto3.zip \"$url\"
    samovar layers import $arn --zip boto3.zip

  Something of one's own in its place:
    samovar layers import arn:aws:lambda:eu-west-1:580247275435:layer:LambdaInsightsExtension:55 --zip empty.zip

Against a server with keys, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be one of them.")]
    Import {
        /// The layer version's ARN, with its number.
        arn: LayerVersionArn,
        /// The layer's zip archive, as on AWS: python/, nodejs/, bin/, lib/ ... at its top.
        #[arg(long, value_name = "FILE")]
        zip: PathBuf,
        /// Replace another archive; functions that have it keep it until they are updated.
        #[arg(long)]
        replace: bool,
        /// Where the server is.
        #[command(flatten)]
        endpoint: Endpoint,
    },
}

/// What `samovar invoke` takes.
#[derive(Debug, Args)]
pub struct InvokeArgs {
    /// The function's name or ARN.
    pub name: String,
    /// The event: JSON, or @FILE.
    #[arg(long, value_name = "JSON|@FILE")]
    pub payload: Option<String>,
    /// Print the log of this invocation on standard error.
    #[arg(long)]
    pub log: bool,
    /// Where the server is.
    #[command(flatten)]
    pub endpoint: Endpoint,
}

/// What `samovar logs` takes.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Functions (names or ARNs) and log groups (/aws/lambda/name); a * at the end stands for any rest.
    #[arg(required_unless_present = "all", value_name = "FUNCTION")]
    pub names: Vec<String>,
    /// Every log group.
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
    /// Go on printing what is written from now on.
    #[arg(long, short)]
    pub follow: bool,
    /// Only what matches a CloudWatch filter pattern.
    #[arg(long, value_name = "PATTERN")]
    pub filter: Option<String>,
    /// Only what was written since: 10m, 2h, 1d, a date or RFC 3339 time, seconds since 1970.
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,
    /// Only what was written until then.
    #[arg(long, value_name = "TIME", conflicts_with = "follow")]
    pub until: Option<When>,
    /// Only the last N lines, and with --follow what comes after them.
    #[arg(long, value_name = "N")]
    pub tail: Option<usize>,
    /// Only of log streams whose names begin so.
    #[arg(long, value_name = "PREFIX")]
    pub stream: Option<String>,
    /// Everything of one invocation.
    #[arg(long, value_name = "ID", conflicts_with_all = ["follow", "filter", "tail", "stream"])]
    pub request_id: Option<String>,
    /// One JSON object a line.
    #[arg(long, conflicts_with = "format")]
    pub json: bool,
    /// With the stream (long) or without it.
    #[arg(long, default_value = "short")]
    pub format: Format,
    /// Colours: on a terminal unless NO_COLOR is set, always, or never.
    #[arg(long, default_value = "auto", value_name = "WHEN")]
    pub color: Color,
    /// Where the server is.
    #[command(flatten)]
    pub endpoint: Endpoint,
}

/// What `samovar top` takes.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Print one table and end.
    #[arg(long)]
    pub once: bool,
    /// Only functions whose name holds this.
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// The order of the functions.
    #[arg(long, default_value = "invocations", value_name = "COLUMN")]
    pub sort: Sort,
    /// Seconds between two looks.
    #[arg(long, default_value = "1", value_name = "SECONDS", value_parser = interval)]
    pub interval: f64,
    /// Where the server is.
    #[command(flatten)]
    pub endpoint: Endpoint,
}

/// From a tenth of a second to an hour.
fn interval(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.1..=3600.0).contains(seconds));
    seconds.ok_or_else(|| "takes 0.1 to 3600 seconds".to_owned())
}

/// How much a line of a log tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Time and message.
    Short,
    /// Function, time, stream and message.
    Long,
}

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Even into a file.
    Always,
    /// Nowhere.
    Never,
}

/// What `samovar runtimes` takes.
#[derive(Debug, Args)]
pub struct RuntimesArgs {
    /// Without one, the runtimes are listed.
    #[command(subcommand)]
    pub command: Option<RuntimesCommand>,
}

/// What can be done about runtimes.
#[derive(Debug, Subcommand)]
pub enum RuntimesCommand {
    /// Install the AWS SDKs that functions may import without packaging them (with pip and npm).
    #[command(after_help = "Examples:\n  samovar runtimes install --sdk-dir /var/lib/samovar-sdk")]
    Install {
        /// Where to install.
        #[arg(long, env = "SAMOVAR_SDK_DIR", default_value = crate::config::SDK_DIR)]
        sdk_dir: PathBuf,
    },
}

/// What `samovar keys` takes.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// Without one, the keys are listed.
    #[command(subcommand)]
    pub command: Option<KeysCommand>,
    /// The mode of `serve` that keeps the data.
    #[arg(long, global = true, env = "SAMOVAR_ISOLATION", value_name = "MODE", default_value = "full")]
    pub isolation: IsolationMode,
    /// Where the data is kept [default: that of `serve`].
    #[arg(long, global = true, env = "SAMOVAR_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// What can be done about keys.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum KeysCommand {
    /// Make a new master key and seal every environment variable under it; the old key's file stays until you remove
    /// it. The server must not run. Killed at any moment, it can be run again.
    #[command(after_help = "Examples:\n  samovar keys rotate --data-dir /srv/samovar")]
    Rotate,
}

/// Rows as left-aligned columns.
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..count).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let line: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Prints; a reader that goes away is an error to return, not a panic.
pub fn show(text: &str) -> Result<()> {
    Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
}
