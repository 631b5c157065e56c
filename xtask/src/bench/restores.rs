//! Versions with SnapStart beside versions without: many calls at once, each of which needs an environment of its own.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::client::{Client, Function};
use super::imports::{LIBRARIES, MEMORY};
use super::table::{Table, Times};
use super::{floor, together};
use crate::server::Server;
use crate::shell::step;

/// Calls at once.
const MANY: usize = 20;
/// Time that a handler sleeps, so that no environment runs two calls; it is taken off the figures.
const HELD: Duration = Duration::from_secs(4);
/// Versions that are published until one has an image: the zygote of a new server takes a moment to come up.
const TRIES: u32 = 40;
const TRY_EVERY: Duration = Duration::from_millis(250);
/// What the server says of a version that has one.
const IMAGED: &str = "go on from a memory image";

/// Rows for every library, without and with SnapStart.
pub fn run(binary: &Path, sdk: &Path, science: &Path, table: &mut Table) -> Result<()> {
    step("new environments with SnapStart and without");
    let server = Server::start(binary, "bench-restores", Some(sdk), &[])?;
    let mut client = Client::connect(&server.address)?;
    let known = LIBRARIES.into_iter();
    for (name, imports) in [("json", "import json")].into_iter().chain(known) {
        let source = format!(
            "{imports}\nimport time\ndef handler(event, context):\n    time.sleep({})\n",
            HELD.as_secs()
        );
        let function = match imports.contains("numpy") {
            true => Function::python_beside(science, &source)?,
            false => Function::python(&source)?,
        };
        let function = function.with_memory(MEMORY);
        let floor = floor::imports(imports, &[&sdk.join("python"), science])?;
        for snap_start in [false, true] {
            let function = if snap_start { function.clone().with_snap_start() } else { function.clone() };
            let called = publish(&server, &mut client, name, &function, snap_start)?;
            let times = together(&server, MANY, |client| {
                Ok(vec![client.timed_version(&called)?.saturating_sub(HELD)])
            })?;
            client.delete(&called)?;
            let how = if snap_start { "SnapStart" } else { "no SnapStart" };
            let row = format!("{MANY} new environments at once, importing {name}, {how}");
            table.row(&row, &Times::of(times), &floor, "the same imports alone");
        }
    }
    Ok(())
}

/// The name of a function with a version, which has an image if it is to have one.
fn publish(
    server: &Server,
    client: &mut Client,
    library: &str,
    function: &Function,
    imaged: bool,
) -> Result<String> {
    for attempt in 0..TRIES {
        let name = format!("restores-{}-{}-{attempt}", library.replace(' ', "-"), u8::from(imaged));
        client.publish_new(&name, function)?;
        let said = server.log()?;
        let has_image = said.lines().any(|line| line.contains(IMAGED) && line.contains(&format!(":{name}:")));
        if has_image == imaged {
            return Ok(name);
        }
        client.delete(&name)?;
        std::thread::sleep(TRY_EVERY);
    }
    bail!("no version that imports {library} has a memory image")
}
