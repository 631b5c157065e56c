//! Installs what the demo and the tests need, by name and pinned. Nothing is installed twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{cache, cargo, on_path, quiet, root, show, step};

/// The unmodified clients that people use, Prometheus' parser among them, and what runs the tests.
const PYTHON_CLIENTS: &[&str] =
    &["boto3==1.44.5", "awscli==1.46.2", "prometheus_client==0.26.0", "pytest==8.4.2"];
/// The AWS SDK for JavaScript v3: what the tests call with.
const NODE_CLIENTS: &[&str] =
    &["@aws-sdk/client-lambda@3.1162.0", "@aws-sdk/client-cloudwatch-logs@3.1162.0"];
/// Deployment tools that work without the parts of AWS that are not here yet.
const PYTHON_TOOLS: &[&str] = &["chalice==1.34.0", "zappa==0.63.0"];
const NODE_TOOLS: &[&str] = &["claudia@5.14.1"];
/// The official runtime interface clients. 3.3.0 is the newest for Node 20 and older.
const PYTHON_RIC: &str = "awslambdaric==4.2.2";
const NODE_RIC: &str = "aws-lambda-ric@3.3.0";
/// The part of the Node client that a function needs once it is built.
const NODE_RIC_PARTS: &[&str] = &["package.json", "bin", "dist"];

/// Large libraries.
const SCIENCE: &[&str] = &["numpy==2.2.6", "pandas==2.2.3"];

/// Where everything is after set-up.
pub struct Clients {
    /// Python of the virtual environment that holds boto3, the AWS CLI and pytest.
    pub python: PathBuf,
    /// Version 1 of the AWS CLI.
    pub aws: PathBuf,
}

/// Where Debian puts version 2 of the AWS CLI: the one with `logs tail`.
const AWS_V2: &str = "/usr/bin/aws";

/// Builds the release binary.
pub fn binary() -> Result<PathBuf> {
    step("building samovar (release)");
    show(cargo().args(["build", "--release", "--locked", "--package", "samovar"]))?;
    Ok(root().join("target/release/samovar"))
}

/// boto3, the AWS CLI, Prometheus' client and pytest in a virtual environment.
pub fn clients() -> Result<Clients> {
    apt(&[("/usr/bin/python3", "python3"), ("/usr/share/doc/python3-venv", "python3-venv")])?;
    let venv = cache().join("venv");
    once(
        &venv,
        &PYTHON_CLIENTS.join("\n"),
        "installing boto3, the AWS CLI, Prometheus' client and pytest",
        |dir| {
            quiet(Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(dir))?;
            quiet(pip(&dir.join("bin/python")).args(PYTHON_CLIENTS))?;
            Ok(())
        },
    )?;
    Ok(Clients { python: venv.join("bin/python"), aws: venv.join("bin/aws") })
}

/// A Ruby for functions to run on.
pub fn ruby() -> Result<()> {
    apt(&[("/usr/bin/ruby", "ruby")])
}

/// Probers that others wrote, for the escape suite to run inside a function.
pub fn probers() -> Result<()> {
    apt(&[("/usr/bin/captest", "libcap-ng-utils"), ("/usr/bin/checksec", "checksec")])
}

/// What functions need to reach a network, and what the tests build one from.
pub fn network_tools() -> Result<()> {
    apt(&[("/usr/sbin/nft", "nftables"), ("/usr/sbin/ip", "iproute2"), ("/usr/bin/ps", "procps")])
}

/// Libraries that people package: what the benchmark imports.
pub fn science() -> Result<PathBuf> {
    apt(&[("/usr/bin/pip3", "python3-pip")])?;
    let dir = cache().join("science");
    once(&dir, &SCIENCE.join("\n"), "installing numpy and pandas", |dir| {
        quiet(pip(Path::new("/usr/bin/python3")).arg("--target").arg(dir).args(SCIENCE)).map(drop)
    })?;
    Ok(dir)
}

/// The same for the first Python that AWS offers SnapStart for, whether it is here or not.
pub fn science_for_snap_start() -> Result<PathBuf> {
    apt(&[("/usr/bin/pip3", "python3-pip")])?;
    let dir = cache().join("science-3.12");
    once(&dir, &SCIENCE.join("\n"), "fetching numpy and pandas for Python 3.12", |dir| {
        let mut fetch = pip(Path::new("/usr/bin/python3"));
        fetch.args(["--python-version", "3.12", "--only-binary", ":all:", "--target"]).arg(dir);
        quiet(fetch.args(SCIENCE)).map(drop)
    })?;
    Ok(dir)
}

/// The client that loads servers in benchmarks.
pub fn wrk() -> Result<()> {
    apt(&[("/usr/bin/wrk", "wrk")])
}

/// Version 2 of the AWS CLI.
pub fn aws_v2() -> Result<PathBuf> {
    apt(&[(AWS_V2, "awscli")])?;
    Ok(AWS_V2.into())
}

/// The SDKs that functions may import without packaging them, as `samovar runtimes install` lays them out.
pub fn sdk(binary: &Path) -> Result<PathBuf> {
    node()?;
    apt(&[("/usr/bin/pip3", "python3-pip")])?;
    let dir = cache().join("sdk");
    show(Command::new(binary).args(["runtimes", "install", "--sdk-dir"]).arg(&dir))?;
    Ok(dir)
}

/// The JavaScript SDK for the tests' own calls; gives the directory above `node_modules`.
pub fn node_clients() -> Result<PathBuf> {
    node()?;
    let dir = cache().join("node-clients");
    once(&dir, &NODE_CLIENTS.join("\n"), "installing the JavaScript SDK", |dir| npm(dir, NODE_CLIENTS))?;
    Ok(dir)
}

/// Deployment tools: `bin/` of a virtual environment and `node_modules/`.
pub fn deployment_tools() -> Result<PathBuf> {
    node()?;
    let dir = cache().join("tools");
    let pins = [PYTHON_TOOLS, NODE_TOOLS].concat().join("\n");
    once(&dir, &pins, "installing Chalice, Zappa and claudia", |dir| {
        quiet(Command::new("/usr/bin/python3").args(["-m", "venv"]).arg(dir))?;
        quiet(pip(&dir.join("bin/python")).args(PYTHON_TOOLS))?;
        npm(dir, NODE_TOOLS)
    })?;
    Ok(dir)
}

/// The official clients as payloads: `python/`, `node_modules/`, `rust/bootstrap`, and `rust-extension/bootstrap`, which
/// is an extension under any other name.
pub fn official_clients() -> Result<PathBuf> {
    node()?;
    apt(&[
        ("/usr/bin/pip3", "python3-pip"),
        ("/usr/bin/cmake", "cmake"),
        ("/usr/bin/autoconf", "autoconf"),
        ("/usr/bin/automake", "automake"),
        ("/usr/bin/libtoolize", "libtool"),
        ("/usr/bin/g++", "g++"),
        ("/usr/bin/make", "make"),
    ])?;
    let dir = cache().join("official");
    once(
        &dir,
        &format!("{PYTHON_RIC}\n{NODE_RIC}"),
        "installing the official runtime interface clients",
        |dir| {
            quiet(
                pip(Path::new("/usr/bin/python3")).arg("--target").arg(dir.join("python")).arg(PYTHON_RIC),
            )?;
            let build = dir.join("build");
            npm(&build, &[NODE_RIC])?;
            let (from, to) =
                (build.join("node_modules/aws-lambda-ric"), dir.join("node_modules/aws-lambda-ric"));
            fs::create_dir_all(&to)?;
            for part in NODE_RIC_PARTS {
                quiet(Command::new("cp").arg("-r").arg(from.join(part)).arg(&to))?;
            }
            fs::remove_dir_all(build).map_err(Into::into)
        },
    )?;
    rust_program("rust-echo", &dir.join("rust/bootstrap"))?;
    rust_program("rust-extension", &dir.join("rust-extension/bootstrap"))?;
    Ok(dir)
}

/// A static program with an official Rust crate, of a package in `tests/functions`, as `file`.
fn rust_program(package: &str, file: &Path) -> Result<()> {
    step(&format!("building {package} with the official Rust crates"));
    let target = cache().join("rust-function");
    show(
        cargo()
            .args(["build", "--quiet", "--release", "--locked", "--target", "x86_64-unknown-linux-gnu"])
            .arg("--manifest-path")
            .arg(root().join("tests/functions").join(package).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .env("RUSTFLAGS", "-C target-feature=+crt-static"),
    )?;
    file.parent().map(fs::create_dir_all).transpose()?;
    fs::copy(target.join("x86_64-unknown-linux-gnu/release").join(package), file)?;
    Ok(())
}

fn node() -> Result<()> {
    if on_path("node") && on_path("npm") {
        return Ok(());
    }
    apt(&[("/usr/bin/node", "nodejs"), ("/usr/bin/npm", "npm")])
}

fn pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-warn-script-location",
    ]);
    command.env("PIP_ROOT_USER_ACTION", "ignore");
    command
}

fn npm(dir: &Path, packages: &[&str]) -> Result<()> {
    fs::create_dir_all(dir)?;
    quiet(
        Command::new("npm").args(["install", "--silent", "--no-save", "--prefix"]).arg(dir).args(packages),
    )?;
    Ok(())
}

/// Installs Debian packages whose file is missing.
fn apt(wanted: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(file, _)| !Path::new(file).exists()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !on_path("apt-get") {
        bail!("please install {} (there is no apt-get to do it with)", missing.join(", "));
    }
    step(&format!("installing {} with apt-get", missing.join(", ")));
    quiet(Command::new("apt-get").args(["update", "-qq"]))?;
    quiet(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .context("apt-get needs root")?;
    Ok(())
}

/// Fills `dir` unless it was filled for the same `pins`; half-filled directories are made anew.
fn once(dir: &Path, pins: &str, what: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let stamp = dir.join(".installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == pins) {
        return Ok(());
    }
    step(what);
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir)?;
    fill(dir).with_context(|| format!("{what} did not work"))?;
    Ok(fs::write(stamp, pins)?)
}
