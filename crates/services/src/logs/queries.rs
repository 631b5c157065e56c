//! Queries in the language of Logs Insights: started, run in the background, asked about, stopped, forgotten.

mod run;
mod shelf;

use base::arn::Scope;
use base::clock::Timestamp;
use record::insights::{Query, QueryError, QueryLimit, Results};
use record::logs::LogError;
use wire::error::ServiceError;
use wire::logs as api;
use wire::logs::exception;

use super::Logs;
use super::errors::{invalid, refused};
use super::names::group_in;
use crate::Context;

use shelf::{About, Entry};

pub(super) use shelf::Queries;

/// Groups of one query. Source: CloudWatch Logs API reference, StartQuery.
const GROUPS: usize = 50;

/// Rows of one answer of GetQueryResults. Source: service model, `GetQueryResultsMaxItems`.
const PAGE_ROWS: usize = 10_000;

/// Queries of one answer of DescribeQueries. Source: service model, `DescribeQueriesMaxResults`.
const PAGE_QUERIES: usize = 1000;

impl Logs {
    pub(super) async fn begin_query(
        &self,
        context: &Context,
        input: api::StartQueryRequest,
    ) -> Result<api::StartQueryResponse, ServiceError> {
        if input.query_language.is_some_and(|language| language != api::QueryLanguage::Cwli) {
            return Err(invalid("Samovar implements the query language CWLI only."));
        }
        let scope = &context.scope;
        let groups = groups(scope, &input)?;
        let query = Query::parse(&input.query_string).map_err(malformed)?;
        let (from, until) = range(input.start_time, input.end_time)?;
        for group in &groups {
            self.logs.group_settings(scope, group).map_err(|error| match error {
                LogError::NoGroup(_) => missing(scope, group),
                error => refused(error),
            })?;
        }
        let about = About {
            id: self.dice.uuid().to_string(),
            scope: scope.clone(),
            text: input.query_string,
            groups,
            from,
            until,
            created: self.clock.now(),
        };
        let execution = query.run(input.limit.and_then(|limit| usize::try_from(limit).ok()));
        let (entry, place) = self.queries.add(about, execution)?;
        let query_id = Some(entry.about.id.clone());
        tokio::spawn(run::run(entry, place, self.logs.clone(), self.clock));
        Ok(api::StartQueryResponse { query_id })
    }

    pub(super) async fn end_query(
        &self,
        context: &Context,
        input: api::StopQueryRequest,
    ) -> Result<api::StopQueryResponse, ServiceError> {
        let entry = self.query(context, &input.query_id)?;
        if !entry.stop() {
            return Err(invalid(format!("Query with ID {} is not running.", input.query_id)));
        }
        Ok(api::StopQueryResponse { success: Some(true) })
    }

    pub(super) async fn query_results(
        &self,
        context: &Context,
        input: api::GetQueryResultsRequest,
    ) -> Result<api::GetQueryResultsResponse, ServiceError> {
        let entry = self.query(context, &input.query_id)?;
        let from = match input.next_token.as_deref().map(str::parse) {
            None => 0,
            Some(Ok(from)) => from,
            Some(Err(_)) => return Err(invalid("The specified nextToken is invalid.")),
        };
        let most = input.max_items.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE_ROWS);
        let (progress, results) = entry.results(self.clock.now()).await;
        let until = results.rows.len().min(from + most.min(PAGE_ROWS));
        let rows = results.rows.get(from..until).unwrap_or_default();
        Ok(api::GetQueryResultsResponse {
            query_language: Some(api::QueryLanguage::Cwli),
            results: Some(rows.iter().map(shown).collect()),
            statistics: Some(api::QueryStatistics {
                records_matched: Some(results.matched as f64),
                records_scanned: Some(progress.records as f64),
                estimated_records_skipped: Some(0.0),
                bytes_scanned: Some(progress.bytes as f64),
                estimated_bytes_skipped: Some(0.0),
                log_groups_scanned: Some(entry.about.groups.len() as f64),
                result_count: Some(results.rows.len() as f64),
            }),
            status: Some(progress.status),
            encryption_key: None,
            next_token: (until < results.rows.len() && most > 0).then(|| until.to_string()),
        })
    }

    pub(super) async fn queries_described(
        &self,
        context: &Context,
        input: api::DescribeQueriesRequest,
    ) -> Result<api::DescribeQueriesResponse, ServiceError> {
        if input.query_language.is_some_and(|language| language != api::QueryLanguage::Cwli) {
            return Ok(api::DescribeQueriesResponse { queries: Some(Vec::new()), next_token: None });
        }
        let wanted = |entry: &Entry| {
            let named = |group: &String| entry.about.groups.contains(group);
            entry.about.scope == context.scope
                && input.log_group_name.as_ref().is_none_or(named)
                && input.status.is_none_or(|status| entry.progress().status == status)
        };
        let mut entries = self.queries.latest_first(self.clock.now());
        entries.retain(|entry| wanted(entry));
        if let Some(after) = &input.next_token {
            let at = entries.iter().position(|entry| entry.about.id == *after);
            let at = at.ok_or_else(|| invalid("The specified nextToken is invalid."))?;
            entries.drain(..=at);
        }
        let most = input.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE_QUERIES);
        let more = entries.len() > most;
        entries.truncate(most);
        let next_token = entries.last().filter(|_| more).map(|entry| entry.about.id.clone());
        let now = self.clock.now();
        let queries = entries.iter().map(|entry| described(entry, now)).collect();
        Ok(api::DescribeQueriesResponse { queries: Some(queries), next_token })
    }

    /// The query of this account and region with this number.
    fn query(&self, context: &Context, id: &str) -> Result<std::sync::Arc<Entry>, ServiceError> {
        let entry = self.queries.get(id, self.clock.now());
        entry
            .filter(|entry| entry.about.scope == context.scope)
            .ok_or_else(|| exception::RESOURCE_NOT_FOUND.with(format!("Query with ID {id} does not exist.")))
    }
}

/// The groups that a request names, in one of three ways.
fn groups(scope: &Scope, input: &api::StartQueryRequest) -> Result<Vec<String>, ServiceError> {
    let mut groups = match (&input.log_group_name, &input.log_group_names, &input.log_group_identifiers) {
        (Some(name), None, None) => vec![name.clone()],
        (None, Some(names), None) => names.clone(),
        (None, None, Some(identifiers)) => {
            let group = |identifier: &String| {
                group_in(scope, identifier).map(Into::into).ok_or_else(|| missing(scope, identifier))
            };
            identifiers.iter().map(group).collect::<Result<_, _>>()?
        }
        (None, None, None) => Vec::new(),
        _ => {
            return Err(invalid(
                "You must include exactly one of logGroupName, logGroupNames and logGroupIdentifiers.",
            ));
        }
    };
    groups.sort();
    groups.dedup();
    match groups.len() {
        0 => Err(invalid("You must include logGroupName, logGroupNames or logGroupIdentifiers.")),
        1..=GROUPS => Ok(groups),
        _ => Err(invalid(format!("A query can have at most {GROUPS} log groups."))),
    }
}

/// From the first second up to the end of the last, both of which belong to it.
fn range(start: i64, end: i64) -> Result<(Timestamp, Timestamp), ServiceError> {
    if end < start {
        return Err(invalid("The end time of a query must not be before its start time."));
    }
    let millis = |seconds: i64| Timestamp::from_millis(seconds.saturating_mul(1000));
    Ok((millis(start), millis(end.saturating_add(1))))
}

fn missing(scope: &Scope, group: &str) -> ServiceError {
    let message = format!("Log group '{group}' does not exist for account ID '{}'", scope.account);
    exception::RESOURCE_NOT_FOUND.with(message)
}

fn malformed(error: QueryError) -> ServiceError {
    let details = serde_json::json!({
        "location": { "startCharOffset": error.start, "endCharOffset": error.end },
        "message": error.message,
    });
    exception::MALFORMED_QUERY.with(error.message).member("queryCompileError", details)
}

fn shown(row: &record::insights::Row) -> Vec<api::ResultField> {
    let field = |(name, value): &(std::sync::Arc<str>, String)| api::ResultField {
        field: Some(name.as_ref().into()),
        value: Some(value.clone()),
    };
    row.iter().map(field).collect()
}

fn described(entry: &Entry, now: Timestamp) -> api::QueryInfo {
    let (about, progress) = (&entry.about, entry.progress());
    let duration = progress.ended.unwrap_or(now).since(about.created);
    api::QueryInfo {
        query_language: Some(api::QueryLanguage::Cwli),
        query_id: Some(about.id.clone()),
        query_string: Some(about.text.clone()),
        status: Some(progress.status),
        create_time: Some(about.created.as_millis()),
        log_group_name: about.groups.first().cloned(),
        query_duration: i64::try_from(duration.as_millis()).ok(),
        bytes_scanned: Some(progress.bytes as f64),
        user_identity: None,
    }
}

/// What a query that could not go on leaves behind.
fn ended_by(limit: QueryLimit) -> Results {
    tracing::warn!(%limit, "a query of logs ended without an answer");
    Results::default()
}
