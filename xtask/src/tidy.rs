//! `cargo xtask tidy`: the invariants of ARCHITECTURE.md that a program can check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell::{cargo, quiet, root, step};

/// Modules that decide and do not act may not name these (invariant 3).
const ACTING: &[&str] = &["tokio::", "std::fs", "std::net", "Clock", "Dice", "std::thread", "rustix::"];
/// Only the crates of the API's own rooms may import `wire` (invariant 2).
const MAY_SPEAK_WIRE: &[&str] = &["services", "doors", "samovar"];
/// Words that promise work instead of doing it.
const UNFINISHED: &[&str] = &["todo!(", "unimplemented!(", "FIXME", "TODO", "XXX"];
/// Lines that a hand-written file may have.
const FILE_LINES: usize = 600;

/// Checks everything and lists all that is wrong at once.
pub fn run() -> Result<()> {
    let mut wrong = Vec::new();
    table_equals_metadata(&mut wrong)?;
    for file in sources(&root())? {
        let text = fs::read_to_string(&file)?;
        let name = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
        pure_rooms(&name, &text, &mut wrong);
        for word in UNFINISHED.iter().filter(|word| !name.ends_with("tidy.rs") && text.contains(**word)) {
            wrong.push(format!("{name}: says {word}"));
        }
        if text.lines().count() > FILE_LINES && !name.contains("/gen/") {
            wrong.push(format!("{name}: {} lines; split it where its thoughts part", text.lines().count()));
        }
        if name.ends_with("/mod.rs") {
            wrong.push(format!("{name}: write foo.rs beside foo/ instead"));
        }
    }
    if !wrong.is_empty() {
        bail!("the house is not tidy:\n  {}", wrong.join("\n  "));
    }
    step("tidy: the house is as its plan says");
    Ok(())
}

/// Invariant 1: the crate table of ARCHITECTURE.md equals `cargo metadata`.
fn table_equals_metadata(wrong: &mut Vec<String>) -> Result<()> {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).context("ARCHITECTURE.md")?;
    let told = table(&page);
    let built = metadata()?;
    for (name, needs) in &built {
        match told.get(name) {
            None => wrong.push(format!("ARCHITECTURE.md: the crate table lacks `{name}`")),
            Some(told) if told != needs => {
                wrong
                    .push(format!("ARCHITECTURE.md: `{name}` depends on {needs:?}, the table says {told:?}"));
            }
            Some(_) => {}
        }
        if needs.contains("wire") && !MAY_SPEAK_WIRE.contains(&name.as_str()) {
            wrong.push(format!("{name}: only {MAY_SPEAK_WIRE:?} may import wire"));
        }
    }
    for name in told.keys().filter(|name| !built.contains_key(*name)) {
        wrong.push(format!("ARCHITECTURE.md: there is no crate `{name}`"));
    }
    Ok(())
}

/// Rows `| `crate` | what | a, b |` of the table under "## Crates".
fn table(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let section = page.split("\n## ").find(|section| section.starts_with("Crates")).unwrap_or_default();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let needs = cells.last()?.split(',').map(|name| name.trim().trim_matches('`').to_owned());
        Some((
            cells[0].trim_matches('`').to_owned(),
            needs.filter(|name| !name.is_empty() && name != "-").collect(),
        ))
    })
    .collect()
}

/// Every workspace crate with the workspace crates that it depends on outside of tests.
fn metadata() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let said = quiet(cargo().args(["metadata", "--format-version", "1", "--no-deps", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&said)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let names: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let inner = |package: &Value| {
        let all = package["dependencies"].as_array().cloned().unwrap_or_default();
        all.iter()
            .filter(|dependency| dependency["kind"].is_null())
            .filter_map(|dependency| dependency["name"].as_str().filter(|name| names.contains(name)))
            .map(str::to_owned)
            .collect()
    };
    Ok(packages
        .iter()
        .filter(|package| package["name"] != "xtask")
        .filter_map(|package| Some((package["name"].as_str()?.to_owned(), inner(package))))
        .collect())
}

/// Invariant 3: modules called `rules` or `plan` decide and do not act.
fn pure_rooms(name: &str, text: &str, wrong: &mut Vec<String>) {
    let pure = Path::new(name)
        .components()
        .any(|part| matches!(part.as_os_str().to_str(), Some("rules" | "plan" | "rules.rs" | "plan.rs")));
    if !pure || name.ends_with("tests.rs") {
        return;
    }
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let joined: Vec<&str> = lines.collect();
    for word in ACTING.iter().filter(|word| joined.iter().any(|line| line.contains(**word))) {
        wrong.push(format!("{name}: rules decide and do not act, yet it names {word}"));
    }
}

fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let said = quiet(std::process::Command::new("git").current_dir(root).args([
        "ls-files",
        "-co",
        "--exclude-standard",
        "*.rs",
    ]))?;
    Ok(said.lines().map(|line| root.join(line)).filter(|path| path.is_file()).collect())
}
