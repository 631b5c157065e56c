//! CloudWatch Logs, as far as `samovar logs` needs it.

use anyhow::Result;
use bytes::Bytes;
use http::Request;
use serde::{Deserialize, Serialize};
use serde_json::json;
use wire::frame::{Frame, Frames};

use super::{Api, ApiError, Body};

/// Groups that one Live Tail session takes. Source: CloudWatch Logs API reference, StartLiveTail.
pub const LIVE_GROUPS: usize = 10;
/// Events that one answer takes at most. Source: CloudWatch Logs API reference, FilterLogEvents.
pub const PAGE_EVENTS: usize = 10_000;

/// One event of a log stream.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When it happened, in milliseconds since the epoch.
    #[serde(default)]
    pub timestamp: i64,
    /// When it came in.
    pub ingestion_time: Option<i64>,
    /// Its stream.
    #[serde(default)]
    pub log_stream_name: String,
    /// What was written.
    #[serde(default)]
    pub message: String,
    /// Its group; told by Live Tail only.
    pub log_group_identifier: Option<String>,
}

/// A log group.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Its name.
    pub log_group_name: String,
    /// Its ARN, without `:*`.
    pub log_group_arn: Option<String>,
}

/// What to look for in one group.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter<'a> {
    /// The group's name.
    pub log_group_name: &'a str,
    /// The first millisecond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<i64>,
    /// The last millisecond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<i64>,
    /// A filter pattern.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_pattern: Option<&'a str>,
    /// Streams that begin so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_stream_name_prefix: Option<&'a str>,
    /// These streams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_stream_names: Option<[&'a str; 1]>,
    /// Events on a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// `false` begins with the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_from_head: Option<bool>,
    /// Where the last page ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// One page of events.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// In order of time.
    #[serde(default)]
    pub events: Vec<Event>,
    /// There when there is more, though this page may be empty.
    pub next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Groups {
    #[serde(default)]
    log_groups: Vec<Group>,
    next_token: Option<String>,
}

/// What a Live Tail session tells.
#[derive(Debug)]
pub enum Live {
    /// From now on nothing is missed.
    Started,
    /// New events.
    Events {
        /// In order of arrival.
        events: Vec<Event>,
        /// Whether some were left out.
        sampled: bool,
    },
}

/// A running Live Tail session.
pub struct LiveTail {
    body: Body,
    frames: Frames,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Update {
    #[serde(default)]
    session_results: Vec<Event>,
    session_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    sampled: bool,
}

impl Api {
    /// All groups whose names begin with `prefix`.
    pub async fn log_groups(&self, prefix: &str) -> Result<Vec<Group>> {
        let mut groups = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut input = json!({});
            if !prefix.is_empty() {
                input["logGroupNamePrefix"] = prefix.into();
            }
            if let Some(token) = &token {
                input["nextToken"] = token.as_str().into();
            }
            let answer = self.send("logs", self.logs_request("DescribeLogGroups", &input)?).await?;
            let page: Groups = serde_json::from_slice(answer.body())?;
            groups.extend(page.log_groups);
            token = page.next_token;
            if token.is_none() {
                return Ok(groups);
            }
        }
    }

    /// The group of this name, if it is there.
    pub async fn log_group(&self, name: &str) -> Result<Option<Group>> {
        // Listings are sorted, so nothing comes before the name itself.
        let input = json!({ "logGroupNamePrefix": name, "limit": 1 });
        let answer = self.send("logs", self.logs_request("DescribeLogGroups", &input)?).await?;
        let page: Groups = serde_json::from_slice(answer.body())?;
        Ok(page.log_groups.into_iter().find(|group| group.log_group_name == name))
    }

    /// One page of FilterLogEvents.
    pub async fn filter_log_events(&self, filter: &Filter<'_>) -> Result<Page> {
        let answer = self.send("logs", self.logs_request("FilterLogEvents", filter)?).await?;
        Ok(serde_json::from_slice(answer.body())?)
    }

    /// Follows at most [`LIVE_GROUPS`] groups, by their ARNs; `None` when the peer has no Live Tail.
    pub async fn live_tail(&self, arns: &[String], pattern: Option<&str>) -> Result<Option<LiveTail>> {
        let mut input = json!({ "logGroupIdentifiers": arns });
        if let Some(pattern) = pattern {
            input["logEventFilterPattern"] = pattern.into();
        }
        let answer = match self.open("logs", self.logs_request("StartLiveTail", &input)?).await {
            Ok(answer) => answer,
            Err(error) if error.downcast_ref().is_some_and(ApiError::is_unknown_operation) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let kind = answer.headers().get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if kind != Some("application/vnd.amazon.eventstream") {
            return Ok(None);
        }
        Ok(Some(LiveTail { body: answer.into_body(), frames: Frames::default() }))
    }

    fn logs_request(&self, operation: &str, input: &impl Serialize) -> Result<Request<Bytes>> {
        let request = Request::post(format!("{}/", self.base))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("Logs_20140328.{operation}"));
        Ok(request.body(serde_json::to_vec(input)?.into())?)
    }
}

impl LiveTail {
    /// The next thing that is told; `None` when the session has ended.
    pub async fn next(&mut self) -> Result<Option<Live>> {
        loop {
            while let Some(frame) = self.frames.next_frame()? {
                if let Some(live) = meaning(&frame)? {
                    return Ok(Some(live));
                }
            }
            match self.body.next_chunk().await? {
                Some(chunk) => self.frames.feed(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// `None` for what need not be known.
fn meaning(frame: &Frame) -> Result<Option<Live>> {
    if frame.header(":message-type") != Some("event") {
        let name = frame.header(":exception-type").or_else(|| frame.header(":error-code"));
        let code = name.unwrap_or("the session failed").to_owned();
        let message = String::from_utf8_lossy(&frame.payload).into_owned();
        return Err(ApiError { status: http::StatusCode::OK, code, message }.into());
    }
    Ok(match frame.header(":event-type") {
        Some("sessionStart") => Some(Live::Started),
        Some("sessionUpdate") => {
            let update: Update = serde_json::from_slice(&frame.payload)?;
            let sampled = update.session_metadata.is_some_and(|metadata| metadata.sampled);
            Some(Live::Events { events: update.session_results, sampled })
        }
        _ => None,
    })
}
