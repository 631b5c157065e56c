//! From what people name to the log groups that it means.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use serde_json::Value;

use crate::cli::client::logs::Event;
use crate::cli::client::{Api, ApiError};

/// Of the groups that functions get when they name none.
const DEFAULT_PREFIX: &str = "/aws/lambda/";
/// Names that are suggested for an unknown one.
const SUGGESTIONS: usize = 3;

/// A group, or one function's part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// What its lines are marked with.
    pub label: String,
    /// The log group.
    pub group: String,
    /// The function, when its group is one that others may share.
    pub only: Option<String>,
}

/// What is wanted, as far as it is known without asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// One function.
    Function(String),
    /// Functions whose names begin so.
    Functions(String),
    /// One group.
    Group(String),
    /// Groups whose names begin so.
    Groups(String),
}

impl Wanted {
    /// Reads a name, an ARN, or either with a `*` at its end.
    pub fn read(text: &str) -> Result<Self> {
        let name = match text.split(':').collect::<Vec<_>>()[..] {
            ["arn", _, "lambda", _, _, "function", name, ..] => name,
            ["arn", _, "logs", _, _, "log-group", name, ..] => return Ok(Self::Group(name.into())),
            ["arn", ..] => bail!("{text} is neither a function's ARN nor a log group's"),
            // A qualifier is no part of the log group.
            [name, _] if !name.is_empty() => name,
            _ => text,
        };
        let (stem, open) = match name.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (name, false),
        };
        if stem.contains('*') {
            bail!("{text}: a * can only stand at the end");
        }
        Ok(match (stem.starts_with('/'), open) {
            (false, false) => Self::Function(stem.into()),
            (false, true) => Self::Functions(stem.into()),
            (true, false) => Self::Group(stem.into()),
            (true, true) => Self::Groups(stem.into()),
        })
    }

    /// The groups among which more may come to be what is wanted.
    pub fn open(&self) -> Option<Self> {
        match self {
            Self::Function(_) | Self::Group(_) => None,
            Self::Functions(prefix) => Some(Self::Groups(format!("{DEFAULT_PREFIX}{prefix}"))),
            Self::Groups(prefix) => Some(Self::Groups(prefix.clone())),
        }
    }
}

impl Source {
    /// A whole group.
    pub fn group(name: &str) -> Self {
        let label = name.strip_prefix(DEFAULT_PREFIX).unwrap_or(name);
        Self { label: label.into(), group: name.into(), only: None }
    }

    fn function(name: &str, group: Option<&str>) -> Self {
        match group.filter(|group| *group != format!("{DEFAULT_PREFIX}{name}")) {
            None => Self::group(&format!("{DEFAULT_PREFIX}{name}")),
            Some(group) => Self { label: name.into(), group: group.into(), only: Some(name.into()) },
        }
    }

    /// Whether an event of the group is one of this source.
    ///
    /// In a group that it chose, a function's streams are `2026/11/21/<function>[<version>][<id>]`.
    pub fn has(&self, event: &Event) -> bool {
        self.only.as_ref().is_none_or(|function| {
            let last = event.log_stream_name.rsplit('/').next().unwrap_or_default();
            last.strip_prefix(function.as_str()).is_some_and(|rest| rest.starts_with('['))
        })
    }
}

/// All sources that are wanted; a function or group that is not there is an error that suggests others.
pub async fn resolve(api: &Api, wanted: &[Wanted]) -> Result<BTreeSet<Source>> {
    let mut sources = BTreeSet::new();
    for one in wanted {
        match one {
            Wanted::Function(name) => {
                sources.insert(function(api, name).await?);
            }
            Wanted::Group(name) => {
                sources.insert(group(api, name).await?);
            }
            Wanted::Functions(_) | Wanted::Groups(_) => sources.extend(open_ended(api, one).await?),
        }
    }
    Ok(sources)
}

/// What is there of an open-ended wish.
pub async fn open_ended(api: &Api, wanted: &Wanted) -> Result<Vec<Source>> {
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    if let Wanted::Functions(prefix) = wanted {
        let functions = functions(api).await?;
        for function in functions.iter().filter(|function| name_of(function).starts_with(prefix.as_str())) {
            let source = Source::function(name_of(function), group_of(function));
            // Groups of their own are found below, once they are there.
            if source.only.is_some() {
                sources.insert(source.label.clone(), source);
            }
        }
    }
    let prefix = match wanted {
        Wanted::Function(name) | Wanted::Functions(name) => format!("{DEFAULT_PREFIX}{name}"),
        Wanted::Group(name) | Wanted::Groups(name) => name.clone(),
    };
    for group in api.log_groups(&prefix).await? {
        let source = Source::group(&group.log_group_name);
        sources.entry(source.label.clone()).or_insert(source);
    }
    Ok(sources.into_values().collect())
}

async fn function(api: &Api, name: &str) -> Result<Source> {
    match api.function(name).await {
        Ok(function) => Ok(Source::function(name, group_of(&function))),
        Err(error) if error.downcast_ref().is_some_and(ApiError::is_missing) => {
            // What a deleted function wrote is still there.
            let group = format!("{DEFAULT_PREFIX}{name}");
            if exists(api, &group).await? {
                return Ok(Source::group(&group));
            }
            let functions = functions(api).await?;
            let known = functions.iter().map(name_of);
            bail!("there is no function {name}{}", suggestion(name, known, "`samovar functions` lists them"))
        }
        Err(error) => Err(error),
    }
}

async fn group(api: &Api, name: &str) -> Result<Source> {
    if exists(api, name).await? {
        return Ok(Source::group(name));
    }
    if let Some(function) = name.strip_prefix(DEFAULT_PREFIX)
        && api.function(function).await.is_ok()
    {
        return Ok(Source::group(name));
    }
    let groups = api.log_groups("").await?;
    let known = groups.iter().map(|group| group.log_group_name.as_str());
    bail!(
        "there is no log group {name}{}",
        suggestion(name, known, "`samovar logs --all` shows all there are")
    )
}

async fn exists(api: &Api, group: &str) -> Result<bool> {
    Ok(api.log_group(group).await?.is_some())
}

async fn functions(api: &Api) -> Result<Vec<Value>> {
    let mut functions = Vec::new();
    let mut marker: Option<String> = None;
    loop {
        let page = api.list_functions(marker.as_deref()).await?;
        functions.extend(page["Functions"].as_array().into_iter().flatten().cloned());
        marker = page["NextMarker"].as_str().map(str::to_owned);
        if marker.is_none() {
            return Ok(functions);
        }
    }
}

fn name_of(function: &Value) -> &str {
    function["FunctionName"].as_str().unwrap_or_default()
}

fn group_of(function: &Value) -> Option<&str> {
    function["LoggingConfig"]["LogGroup"].as_str()
}

/// The rest of the sentence about an unknown name.
fn suggestion<'a>(name: &str, known: impl Iterator<Item = &'a str>, otherwise: &str) -> String {
    let near = near(name, known);
    if near.is_empty() {
        return format!("; {otherwise}");
    }
    format!("; did you mean {}?", near.join(" or "))
}

/// Names that may have been meant, the nearest first: at most a third of the letters differ, or one contains the other.
fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let far = (name.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = known
        .filter_map(|known| {
            let distance = distance(&name.to_lowercase(), &known.to_lowercase());
            let contained = known.contains(name) || (known.len() > 2 && name.contains(known));
            (distance <= far || contained).then_some((distance, known))
        })
        .collect();
    near.sort_unstable();
    near.into_iter().take(SUGGESTIONS).map(|(_, known)| known).collect()
}

/// Letters to insert, delete or change to make one of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, known) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *known);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_groups_and_arns_are_understood() {
        for (text, wanted) in [
            ("f", Wanted::Function("f".into())),
            ("f:PROD", Wanted::Function("f".into())),
            ("api-*", Wanted::Functions("api-".into())),
            ("*", Wanted::Functions(String::new())),
            ("/aws/lambda/f", Wanted::Group("/aws/lambda/f".into())),
            ("/shared/*", Wanted::Groups("/shared/".into())),
            ("arn:aws:lambda:us-east-1:000000000000:function:f", Wanted::Function("f".into())),
            ("arn:aws:lambda:us-east-1:000000000000:function:f:3", Wanted::Function("f".into())),
            ("arn:aws:logs:us-east-1:000000000000:log-group:/a/b:*", Wanted::Group("/a/b".into())),
            ("arn:aws:logs:us-east-1:000000000000:log-group:plain", Wanted::Group("plain".into())),
        ] {
            assert_eq!(Wanted::read(text).unwrap(), wanted, "{text}");
        }
        for text in ["a*b", "arn:aws:sqs:us-east-1:000000000000:q"] {
            assert!(Wanted::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn near_names_are_suggested() {
        for (name, found) in [
            ("helo", vec!["hello"]),
            ("HELLO", vec!["hello"]),
            ("chekout-api", vec!["checkout-api"]),
            ("check", vec!["checkout-api"]),
            ("quite-other", vec![]),
        ] {
            assert_eq!(near(name, ["hello", "checkout-api", "orders"].into_iter()), found, "{name}");
        }
    }

    #[test]
    fn a_shared_group_gives_each_function_its_own_streams() {
        let source = Source::function("api", Some("/shared"));
        for (stream, has) in [
            ("2026/11/21/api[$LATEST][0a]", true),
            ("2026/11/21/api-two[$LATEST][0a]", false),
            ("2026/11/21/[$LATEST]0a", false),
        ] {
            let event = serde_json::from_value(serde_json::json!({ "logStreamName": stream })).unwrap();
            assert_eq!(source.has(&event), has, "{stream}");
        }
        assert_eq!(Source::function("api", Some("/aws/lambda/api")), Source::group("/aws/lambda/api"));
    }
}
