//! What is read from the database.

use std::sync::Arc;

use base::clock::Timestamp;
use base::limits::STORE_COMMIT_BYTES;
use rusqlite::{Connection, OptionalExtension, Row};
use store::{Change, Document, Key, Revision, StoreError};

use crate::broken;
use crate::ledger::bytes;

/// The document under a key.
pub fn get(connection: &Connection, key: &Key) -> Result<Option<Document>, StoreError> {
    connection
        .prepare_cached("SELECT key, revision, body FROM document WHERE key = ?1")
        .and_then(|mut select| select.query_row([key.as_str()], document).optional())
        .map_err(broken)
}

/// See [`store::Store::scan`].
pub fn scan(
    connection: &Connection,
    prefix: &str,
    after: Option<&Key>,
    limit: usize,
) -> Result<Vec<Document>, StoreError> {
    let select = || {
        let (sql, from) = match after {
            Some(after) if after.as_str() >= prefix => {
                ("SELECT key, revision, body FROM document WHERE key > ?1 ORDER BY key", after.as_str())
            }
            _ => ("SELECT key, revision, body FROM document WHERE key >= ?1 ORDER BY key", prefix),
        };
        let mut select = connection.prepare_cached(sql)?;
        let mut rows = select.query([from])?;
        let mut documents = Vec::new();
        while documents.len() < limit
            && let Some(row) = rows.next()?
            && row.get_ref(0)?.as_str()?.starts_with(prefix)
        {
            documents.push(document(row)?);
        }
        Ok(documents)
    };
    select().map_err(broken)
}

/// How many messages a queue has.
pub fn depth(connection: &Connection, queue: &str) -> Result<u64, StoreError> {
    connection
        .prepare_cached("SELECT depth FROM queue WHERE name = ?1")
        .and_then(|mut select| select.query_row([queue], |row| row.get(0)).optional())
        .map(Option::unwrap_or_default)
        .map_err(broken)
}

/// See [`store::Store::queues`].
pub fn queues(connection: &Connection, prefix: &str) -> Result<Vec<Arc<str>>, StoreError> {
    let select = || {
        let sql = "SELECT name FROM queue WHERE name >= ?1 ORDER BY name";
        let mut select = connection.prepare_cached(sql)?;
        let mut rows = select.query([prefix])?;
        let mut names = Vec::new();
        while let Some(row) = rows.next()?
            && row.get_ref(0)?.as_str()?.starts_with(prefix)
        {
            names.push(row.get(0)?);
        }
        Ok(names)
    };
    select().map_err(broken)
}

/// See [`store::Store::queue_due`].
pub fn due(connection: &Connection, queue: &str) -> Result<Option<Timestamp>, StoreError> {
    let due: Option<i64> = connection
        .prepare_cached("SELECT min(due) FROM message WHERE queue = ?1")
        .and_then(|mut select| select.query_row([queue], |row| row.get(0)))
        .map_err(broken)?;
    Ok(due.map(Timestamp::from_micros))
}

/// See [`store::History::changes`]; ends a page early when it has many bytes.
pub fn changes(connection: &Connection, after: Revision, limit: usize) -> Result<Vec<Change>, StoreError> {
    // One snapshot for the check and what is read, or changes pruned in between would be missed unnoticed.
    let snapshot = connection.unchecked_transaction().map_err(broken)?;
    reachable(&snapshot, after)?;
    let select = || {
        let sql = "SELECT revision, key, body FROM change WHERE revision > ?1 ORDER BY revision, id";
        let mut select = snapshot.prepare_cached(sql)?;
        let mut rows = select.query([after.0])?;
        let mut changes: Vec<Change> = Vec::new();
        let mut room = STORE_COMMIT_BYTES;
        while let Some(row) = rows.next()? {
            let next = change(row)?;
            if let Some(previous) = changes.last_mut() {
                previous.last = previous.revision != next.revision;
                if previous.last && (changes.len() >= limit || room == 0) {
                    return Ok(changes);
                }
            }
            room = room.saturating_sub(next.body.as_ref().map_or(0, bytes::Bytes::len));
            changes.push(next);
        }
        if let Some(newest) = changes.last_mut() {
            newest.last = true;
        }
        Ok(changes)
    };
    select().map_err(broken)
}

/// Whether all changes after a revision are kept.
pub fn reachable(connection: &Connection, from: Revision) -> Result<(), StoreError> {
    let (newest, oldest): (u64, u64) = connection
        .prepare_cached("SELECT revision, pruned FROM state")
        .and_then(|mut select| select.query_row((), |row| Ok((row.get(0)?, row.get(1)?))))
        .map_err(broken)?;
    if from.0 < oldest || from.0 > newest {
        return Err(StoreError::Gone { from, oldest: Revision(oldest) });
    }
    Ok(())
}

fn document(row: &Row<'_>) -> rusqlite::Result<Document> {
    let key = Key::new(row.get_ref(0)?.as_str()?);
    Ok(Document { key, revision: Revision(row.get(1)?), body: bytes(row, 2)? })
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    let body = if row.get_ref(2)? == rusqlite::types::ValueRef::Null { None } else { Some(bytes(row, 2)?) };
    Ok(Change {
        revision: Revision(row.get(0)?),
        key: Key::new(row.get_ref(1)?.as_str()?),
        body,
        last: false,
    })
}
