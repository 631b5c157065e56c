//! `samovar keys`: the keys that environment variables are sealed under.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use access::{KeyFile, Vault, VaultError};
use anyhow::{Context, Result, bail};
use base::clock::Clock;
use base::random::Dice;
use catalogue::rules::secrets;
use catalogue::{Catalogue, CatalogueError, Function};
use sandbox::plan::egress::{Mode, Wishes};
use sandbox::{CpuPolicy, LauncherSetup, ServerSide};
use store::Store;
use store_sqlite::SqliteStore;

use super::{KeysArgs, KeysCommand};
use crate::assemble::key_file;
use crate::config::default_data_dir;

/// Lists the keys, or makes a new one.
pub fn run(args: KeysArgs) -> Result<ExitCode> {
    let data_dir = args.data_dir.clone().unwrap_or_else(|| default_data_dir(args.isolation));
    let there = key_file(&data_dir).try_exists();
    if !there.with_context(|| format!("cannot look into {}", data_dir.display()))? {
        bail!("{} has no keys; `samovar serve` makes the first one", data_dir.display());
    }
    match args.command {
        None => list(&data_dir).map(|()| ExitCode::SUCCESS),
        Some(KeysCommand::Rotate) => rotate(args, &data_dir),
    }
}

fn list(data_dir: &Path) -> Result<()> {
    let mut rows = vec![["KEY", "USE", "FILE"].map(str::to_owned).to_vec()];
    for (place, key) in Vault::list(&key_file(data_dir))?.iter().enumerate() {
        let role = if place == 0 { "seals" } else { "opens what is older" };
        rows.push(vec![key.id.to_string(), role.to_owned(), key.path.display().to_string()]);
    }
    super::show(&super::columns(&rows))
}

/// Does the server's work in the server's place, with its rights and under its lock: no server may run meanwhile.
fn rotate(args: KeysArgs, data_dir: &Path) -> Result<ExitCode> {
    let setup = LauncherSetup {
        data_dir: data_dir.to_owned(),
        interpreters: Vec::new(),
        runtime_files: Vec::new(),
        sdk_dir: None,
        unpack: artifact::unzip::unpack_to_report,
        egress: Wishes { mode: Mode::None, ..Wishes::default() },
        prepared: Some(0),
        cpu_policy: CpuPolicy::Shares,
        isolation: args.isolation.into(),
    };
    let shown = data_dir.to_owned();
    Ok(sandbox::launch(setup, move |side| match in_place(&side, &shown) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("samovar: {error:#}");
            ExitCode::FAILURE
        }
    })?)
}

fn in_place(side: &ServerSide, shown: &Path) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rotated = runtime.block_on(rotated(&side.data_dir))?;
    super::show(&rotated.text(shown)?)?;
    Ok(if rotated.lost.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a rotation did.
struct Rotated {
    vault: Vault,
    /// Keys that seal nothing any more, unless something is lost.
    retired: Vec<KeyFile>,
    /// Whether it only finished an earlier one.
    finished: bool,
    /// Functions whose variables were sealed anew.
    resealed: usize,
    /// Functions whose variables open with none of the keys.
    lost: Vec<String>,
}

impl Rotated {
    fn text(&self, data_dir: &Path) -> Result<String> {
        let Self { vault, retired, finished, resealed, lost } = self;
        let mut text = String::new();
        if *finished {
            writeln!(text, "an earlier rotation had been interrupted; this finished it")?;
        }
        writeln!(text, "key {} seals now; functions sealed anew: {resealed}", vault.current())?;
        for function in lost {
            writeln!(text, "the variables of {function} open with none of the keys; they stay as they are")?;
        }
        // Of a function whose variables do not all open, some may still need one of them.
        for KeyFile { id, path } in retired.iter().filter(|_| lost.is_empty()) {
            // The server sees the directory at another place than people do.
            let seen = key_file(data_dir).with_file_name(path.file_name().unwrap_or_default());
            let seen = seen.display();
            writeln!(text, "key {id} opens nothing here any more: remove {seen} once no backup needs it")?;
        }
        Ok(text)
    }
}

#[derive(Debug, thiserror::Error)]
enum ResealError {
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Makes a new key and seals everything under it. Of a rotation that was interrupted it does the rest.
async fn rotated(data: &Path) -> Result<Rotated> {
    let (clock, dice) = (Clock::system(), Dice::system());
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&data.join("store"), clock)?);
    let key_file = key_file(data);
    let mut vault = Vault::open(&key_file, dice.clone())?;
    let catalogue = Catalogue::open(store, clock, dice).await?;
    let functions = catalogue.everywhere(|_: &Function| true);
    let finished = functions.iter().any(|function| matches!(resealed(function, &vault), Ok(Some(_))));
    if !finished {
        vault = vault.rotate(&key_file).context("no new key was made")?;
    }
    let retired = Vault::list(&key_file)?.split_off(1);
    let mut rotated = Rotated { vault, retired, finished, resealed: 0, lost: Vec::new() };
    for function in functions {
        match reseal(&catalogue, &function, &rotated.vault).await {
            Ok(changed) => rotated.resealed += usize::from(changed),
            Err(ResealError::Vault(_)) => rotated.lost.push(function.key.to_string()),
            Err(ResealError::Catalogue(error)) => return Err(error.into()),
        }
    }
    Ok(rotated)
}

/// Whether there was anything to seal.
async fn reseal(catalogue: &Catalogue, function: &Function, vault: &Vault) -> Result<bool, ResealError> {
    if resealed(function, vault)?.is_none() {
        return Ok(false);
    }
    let change = |function: &Function, _| {
        Ok::<_, ResealError>(resealed(function, vault)?.unwrap_or_else(|| function.clone()))
    };
    catalogue.change(&function.key, change).await.map(|_| true)
}

fn resealed(function: &Function, vault: &Vault) -> Result<Option<Function>, VaultError> {
    secrets::reseal(function, |sealed| vault.reseal_environment(&function.key, sealed))
}
