//! First invocations of functions that load much: libraries that people import, and a package of the largest size.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use super::client::{Client, Function};
use super::table::{Table, Times};
use super::{floor, restores};
use crate::server::Server;
use crate::setup;
use crate::shell::{cache, step};

/// Functions whose first invocation is timed, for each library.
const FUNCTIONS: usize = 5;
/// Memory of them, in MB: one processor.
pub(super) const MEMORY: u32 = 1_769;
/// Bytes that do not compress, in a package just below the 50 MB that may be sent.
const LARGE: usize = 48 * 1024 * 1024;

pub(super) const LIBRARIES: [(&str, &str); 4] = [
    ("boto3", "import boto3"),
    ("boto3 and an S3 client", "import boto3\nboto3.client('s3', region_name='us-east-1')"),
    ("numpy", "import numpy"),
    ("numpy and pandas", "import numpy, pandas"),
];

/// With processors given by weight, and strictly.
pub fn run(binary: &Path, table: &mut Table) -> Result<()> {
    let sdk = setup::sdk(binary)?;
    let science = setup::science()?;
    for (how, flags) in [("by weight", &[][..]), ("strict CPU", &["--cpu-quota", "on"])] {
        step(&format!("first invokes of functions that import much, {how}"));
        let server = Server::start(binary, "bench-imports", Some(&sdk), flags)?;
        let mut client = Client::connect(&server.address)?;
        for (name, imports) in LIBRARIES {
            let packaged = imports.contains("numpy");
            let source = source(imports);
            let function = if packaged {
                Function::python_beside(&science, &source)?
            } else {
                Function::python(&source)?
            };
            let function = function.with_memory(MEMORY);
            let mut times = Vec::new();
            for number in 0..FUNCTIONS {
                let function_name = format!("imports-{}-{number}", name.replace(' ', "-"));
                client.create(&function_name, &function)?;
                times.push(client.timed_invoke(&function_name)?);
            }
            let floor = floor::imports(imports, &[&sdk.join("python"), &science])?;
            let row = format!("first invoke, importing {name}, {how}");
            table.row(&row, &Times::of(times), &floor, "the same imports alone");
        }
        large(&mut client, how, table)?;
    }
    restores::run(binary, &sdk, &science, table)
}

/// From sending the package to the first answer.
fn large(client: &mut Client, how: &str, table: &mut Table) -> Result<()> {
    let directory = cache().join("bench-large");
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("ballast"), noise(LARGE))?;
    let function = Function::python_beside(&directory, &source("pass"))?.with_memory(MEMORY);
    let started = Instant::now();
    client.create("large", &function)?;
    let deployed = started.elapsed();
    let first = client.timed_invoke("large")?;
    let row = format!("first invoke after deploying 48 MiB, {how}");
    table.row(&row, &Times::of(vec![first]), &floor::python()?, "spawn the interpreter alone");
    table.note("", &format!("create until active {:.0} ms", deployed.as_secs_f64() * 1000.0));
    Ok(())
}

fn source(imports: &str) -> String {
    format!("{imports}\ndef handler(event, context):\n    return event\n")
}

/// Bytes of a xorshift generator, the same in each run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(length).collect()
}
