//! `cargo xtask demo`: from a clone to an answered invocation, with the commands a user would type.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::server::Server;
use crate::setup;
use crate::shell::{cache, quiet, root, step};

const FUNCTION: &str = "lotto";
/// Debian's Python; the AWS CLI brings it along.
const PYTHON: &str = "/usr/bin/python3";

/// Runs the demo; with `keep`, leaves the server up until it is ended.
pub fn run(keep: bool) -> Result<()> {
    let binary = setup::binary()?;
    let aws = setup::aws_v2()?;
    let sdk = setup::sdk(&binary)?;
    step("starting samovar in a fresh data directory");
    let server = Server::start(&binary, "demo", Some(&sdk), &[])?;
    println!("ready at http://{}", server.address);
    let demo = Demo { server: &server, binary: &binary, aws: &aws };
    demo.deploy()?;
    step("the first invocation starts an environment, the second finds it warm");
    demo.samovar(&["invoke", FUNCTION, "--payload", r#"{"games": 2}"#])?;
    demo.samovar(&["invoke", FUNCTION, "--payload", "{}"])?;
    step("the log, as on AWS");
    demo.samovar(&["logs", FUNCTION])?;
    demo.aws(&["logs", "tail", "/aws/lambda/lotto", "--format", "short"])?;
    println!("\nTry next:");
    println!("  export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_DEFAULT_REGION=us-east-1");
    println!("  export AWS_ACCESS_KEY_ID=000000000000 AWS_SECRET_ACCESS_KEY=any");
    println!("  target/release/samovar serve            # then any AWS tool works against it");
    println!("  target/release/samovar doctor           # what this host gives");
    println!("  target/release/samovar logs NAME --follow");
    if keep {
        println!("\nthe server stays up at http://{} until you press Ctrl-C", server.address);
        return server.wait();
    }
    Ok(())
}

struct Demo<'a> {
    server: &'a Server,
    binary: &'a Path,
    aws: &'a Path,
}

impl Demo<'_> {
    fn deploy(&self) -> Result<()> {
        step("deploying examples/lotto through the public API");
        let package = cache().join("lotto.zip");
        let example = root().join("examples/lotto/index.py");
        quiet(Command::new(PYTHON).args(["-m", "zipfile", "-c"]).arg(&package).arg(example))?;
        let runtime = installed_python()?;
        let code = format!("fileb://{}", package.display());
        self.aws(&[
            "lambda",
            "create-function",
            "--function-name",
            FUNCTION,
            "--runtime",
            &runtime,
            "--handler",
            "index.handler",
            "--role",
            "arn:aws:iam::000000000000:role/lotto",
            "--zip-file",
            &code,
            "--query",
            "[FunctionArn,State]",
            "--output",
            "text",
        ])?;
        self.aws(&["lambda", "wait", "function-active-v2", "--function-name", FUNCTION])
    }

    fn aws(&self, arguments: &[&str]) -> Result<()> {
        self.run("aws", self.aws, arguments)
    }

    fn samovar(&self, arguments: &[&str]) -> Result<()> {
        self.run("samovar", self.binary, arguments)
    }

    fn run(&self, name: &str, program: &Path, arguments: &[&str]) -> Result<()> {
        println!("$ {name} {}", arguments.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
        let endpoint = format!("http://{}", self.server.address);
        let mut command = Command::new(program);
        if name == "aws" {
            // Debian's is older than AWS_ENDPOINT_URL.
            command.args(["--endpoint-url", &endpoint]);
        }
        let said = quiet(
            command
                .args(arguments)
                .env("SAMOVAR_ENDPOINT", &endpoint)
                .env("AWS_ACCESS_KEY_ID", "000000000000")
                .env("AWS_SECRET_ACCESS_KEY", "any")
                .env("AWS_DEFAULT_REGION", "us-east-1")
                .env("AWS_PAGER", ""),
        )?;
        print!("{said}");
        Ok(())
    }
}

/// As a shell wants it.
fn quoted(word: &str) -> String {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,".contains(c));
    if plain { word.to_owned() } else { format!("'{word}'") }
}

/// The Lambda name of the Python that is here, so that the demo shows an exact match.
fn installed_python() -> Result<String> {
    let said = quiet(Command::new(PYTHON).arg("--version"))?;
    let version = said.trim().strip_prefix("Python ").context("python3 tells its version")?;
    let mut parts = version.split('.');
    let (major, minor) = (parts.next().unwrap_or("3"), parts.next().unwrap_or("12"));
    Ok(format!("python{major}.{minor}"))
}
