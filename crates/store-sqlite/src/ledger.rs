//! What one commit, claim or clearing does to the database, inside the writer's transaction.
//!
//! Everything is checked before anything is written, so what is refused needs no undoing and its neighbours
//! in the same transaction never notice. Any other error ends the whole transaction.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use base::clock::Timestamp;
use base::limits::{STORE_COMMIT_BYTES, STORE_HISTORY_BYTES, STORE_HISTORY_CHANGES};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use store::{Claimed, Commit, Enqueue, Key, LeaseToken, Require, Revision, StoreError};

use crate::broken;

/// Changes looked at once when old ones are forgotten.
const PRUNE_STEP: usize = 1024;

/// The counters, as of the transaction that runs.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// Of the last commit that changed documents.
    pub revision: Revision,
    pruned: Revision,
    next_message: u64,
    history_changes: u64,
    history_bytes: u64,
    /// What the transaction adds to the depths of queues.
    depths: HashMap<Arc<str>, i64>,
}

/// Who asks for messages, and when they are due again.
#[derive(Debug)]
pub struct Claim {
    /// From which queue.
    pub queue: Arc<str>,
    /// How many at most.
    pub max: usize,
    /// Messages due later are left alone.
    pub now: Timestamp,
    /// When the lease runs out.
    pub deadline: Timestamp,
}

type Changes = BTreeMap<Key, Option<Bytes>>;

impl Ledger {
    /// Reads the counters.
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let history =
            "SELECT count(*), ifnull(sum(octet_length(key) + ifnull(octet_length(body), 0)), 0) FROM change";
        let (history_changes, history_bytes) =
            connection.query_row(history, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let state = "SELECT revision, pruned, next_message FROM state";
        connection.query_row(state, (), |row| {
            Ok(Self {
                revision: Revision(row.get(0)?),
                pruned: Revision(row.get(1)?),
                next_message: row.get(2)?,
                history_changes,
                history_bytes,
                depths: HashMap::new(),
            })
        })
    }

    /// Does all of a commit, or nothing when it is refused.
    pub fn commit(&mut self, connection: &Connection, commit: Commit) -> Result<Revision, StoreError> {
        for require in commit.require {
            check_document(connection, require)?;
        }
        let mut settled = HashSet::new();
        for &token in &commit.settle {
            check_lease(connection, token)?;
            if !settled.insert(token) {
                return Err(StoreError::LeaseLost);
            }
        }
        for token in commit.settle {
            self.settle(connection, token).map_err(broken)?;
        }
        let changes = self.write(connection, commit.put, commit.delete).map_err(broken)?;
        for message in commit.enqueue {
            self.enqueue(connection, message).map_err(broken)?;
        }
        self.record(connection, changes).map_err(broken)
    }

    fn settle(&mut self, connection: &Connection, token: LeaseToken) -> rusqlite::Result<()> {
        let mut delete = connection.prepare_cached("DELETE FROM message WHERE id = ?1 RETURNING queue")?;
        let queue: Arc<str> = delete.query_row([token.message], |row| row.get(0))?;
        *self.depths.entry(queue).or_default() -= 1;
        Ok(())
    }

    fn write(
        &mut self,
        connection: &Connection,
        put: Vec<(Key, Bytes)>,
        delete: Vec<Key>,
    ) -> rusqlite::Result<Changes> {
        let mut changes = Changes::new();
        let revision = self.revision.0 + 1;
        for (key, body) in put {
            let sql = "INSERT INTO document (key, revision, body) VALUES (?1, ?2, ?3)
                ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, body = excluded.body";
            connection.prepare_cached(sql)?.execute(params![key.as_str(), revision, &body[..]])?;
            changes.insert(key, Some(body));
        }
        for key in delete {
            let sql = "DELETE FROM document WHERE key = ?1";
            if connection.prepare_cached(sql)?.execute([key.as_str()])? == 1 {
                changes.insert(key, None);
            }
        }
        Ok(changes)
    }

    fn enqueue(&mut self, connection: &Connection, message: Enqueue) -> rusqlite::Result<()> {
        let Enqueue { queue, body, not_before } = message;
        let sql = "INSERT INTO message (id, queue, due, fence, attempt, body) VALUES (?1, ?2, ?3, 0, 0, ?4)";
        connection.prepare_cached(sql)?.execute(params![
            self.next_message,
            &queue[..],
            not_before.as_micros(),
            &body[..]
        ])?;
        self.next_message += 1;
        *self.depths.entry(queue).or_default() += 1;
        Ok(())
    }

    /// Keeps the changes of a commit for followers. A commit without any is no revision.
    fn record(&mut self, connection: &Connection, changes: Changes) -> rusqlite::Result<Revision> {
        if changes.is_empty() {
            return Ok(self.revision);
        }
        self.revision.0 += 1;
        let mut insert =
            connection.prepare_cached("INSERT INTO change (revision, key, body) VALUES (?1, ?2, ?3)")?;
        for (key, body) in changes {
            insert.execute(params![self.revision.0, key.as_str(), body.as_deref()])?;
            self.history_changes += 1;
            self.history_bytes += (key.as_str().len() + body.map_or(0, |body| body.len())) as u64;
        }
        Ok(self.revision)
    }

    /// Takes messages that are due; fewer than asked when they are large together.
    pub fn claim(&mut self, connection: &Connection, claim: &Claim) -> rusqlite::Result<Vec<Claimed>> {
        let due = "SELECT id, fence, attempt, body FROM message WHERE queue = ?1 AND due <= ?2
            ORDER BY due, id LIMIT ?3";
        let max = i64::try_from(claim.max).unwrap_or(i64::MAX);
        let mut due = connection.prepare_cached(due)?;
        let mut rows = due.query(params![&claim.queue[..], claim.now.as_micros(), max])?;
        let mut claimed: Vec<Claimed> = Vec::new();
        let mut room = STORE_COMMIT_BYTES;
        while let Some(row) = rows.next()? {
            let body = bytes(row, 3)?;
            if body.len() > room && !claimed.is_empty() {
                break;
            }
            room = room.saturating_sub(body.len());
            let token = LeaseToken { message: row.get(0)?, fence: row.get::<_, u64>(1)? + 1 };
            let attempt = row.get::<_, u32>(2)?.saturating_add(1);
            claimed.push(Claimed { token, attempt, deadline: claim.deadline, body });
        }
        drop(rows);
        let hold = "UPDATE message SET due = ?2, fence = ?3, attempt = ?4 WHERE id = ?1";
        let mut hold = connection.prepare_cached(hold)?;
        for Claimed { token, attempt, deadline, .. } in &claimed {
            hold.execute(params![token.message, deadline.as_micros(), token.fence, attempt])?;
        }
        Ok(claimed)
    }

    /// Gives a message back. Its next token is another one.
    pub fn release(
        &self,
        connection: &Connection,
        token: LeaseToken,
        due: Timestamp,
    ) -> Result<(), StoreError> {
        check_lease(connection, token)?;
        let sql = "UPDATE message SET due = ?2, fence = fence + 1 WHERE id = ?1";
        update_due(connection, sql, token, due).map_err(broken)
    }

    /// Moves the end of a lease.
    pub fn extend(
        &self,
        connection: &Connection,
        token: LeaseToken,
        due: Timestamp,
    ) -> Result<(), StoreError> {
        check_lease(connection, token)?;
        update_due(connection, "UPDATE message SET due = ?2 WHERE id = ?1", token, due).map_err(broken)
    }

    /// Removes every document and message. The counters stay, so that old tokens and revisions stay old.
    pub fn clear(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let size = "SELECT count(*), ifnull(sum(octet_length(key)), 0) FROM document";
        let (documents, bytes): (u64, u64) =
            connection.query_row(size, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
        if documents > 0 {
            self.revision.0 += 1;
            let deletions = "INSERT INTO change (revision, key) SELECT ?1, key FROM document ORDER BY key";
            connection.execute(deletions, [self.revision.0])?;
            self.history_changes += documents;
            self.history_bytes += bytes;
        }
        self.depths.clear();
        connection.execute_batch("DELETE FROM document; DELETE FROM message; DELETE FROM queue")
    }

    /// Writes the counters; called once, right before the transaction ends.
    pub fn store(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for (queue, change) in self.depths.drain().filter(|(_, change)| *change != 0) {
            let add = "INSERT INTO queue (name, depth) VALUES (?1, ?2)
                ON CONFLICT (name) DO UPDATE SET depth = depth + excluded.depth";
            connection.prepare_cached(add)?.execute(params![&queue[..], change])?;
            if change < 0 {
                let sql = "DELETE FROM queue WHERE name = ?1 AND depth = 0";
                connection.prepare_cached(sql)?.execute([&queue[..]])?;
            }
        }
        self.prune(connection)?;
        connection
            .prepare_cached("UPDATE state SET revision = ?1, pruned = ?2, next_message = ?3")?
            .execute(params![self.revision.0, self.pruned.0, self.next_message])?;
        Ok(())
    }

    /// Forgets the oldest changes, a tenth of the history at a time, but none of the newest commit.
    fn prune(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let full = |ledger: &Self, tenths| {
            ledger.history_changes * 10 > STORE_HISTORY_CHANGES * tenths
                || ledger.history_bytes * 10 > STORE_HISTORY_BYTES * tenths
        };
        if !full(self, 11) {
            return Ok(());
        }
        while full(self, 10) {
            let oldest = "SELECT max(revision) FROM (SELECT revision FROM change ORDER BY revision LIMIT ?1)";
            let newest_of_step: u64 =
                connection.prepare_cached(oldest)?.query_row([PRUNE_STEP], |row| row.get(0))?;
            let until = newest_of_step.min(self.revision.0 - 1);
            let size = "SELECT count(*), ifnull(sum(octet_length(key) + ifnull(octet_length(body), 0)), 0)
                FROM change WHERE revision <= ?1";
            let (changes, bytes): (u64, u64) =
                connection.prepare_cached(size)?.query_row([until], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if changes == 0 {
                return Ok(());
            }
            connection.prepare_cached("DELETE FROM change WHERE revision <= ?1")?.execute([until])?;
            self.history_changes -= changes;
            self.history_bytes -= bytes;
            self.pruned = Revision(until);
        }
        Ok(())
    }
}

/// A column of bytes.
pub fn bytes(row: &Row<'_>, column: usize) -> rusqlite::Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?))
}

fn check_document(connection: &Connection, require: Require) -> Result<(), StoreError> {
    let (key, expected) = match require {
        Require::Absent(key) => (key, None),
        Require::At(key, revision) => (key, Some(revision.0)),
    };
    let found = connection
        .prepare_cached("SELECT revision FROM document WHERE key = ?1")
        .and_then(|mut select| select.query_row([key.as_str()], |row| row.get(0)).optional())
        .map_err(broken)?;
    if found == expected { Ok(()) } else { Err(StoreError::Conflict(key)) }
}

fn check_lease(connection: &Connection, token: LeaseToken) -> Result<(), StoreError> {
    // A number that does not fit SQLite's was never given out.
    let Ok(message) = i64::try_from(token.message) else {
        return Err(StoreError::LeaseLost);
    };
    let fence: Option<u64> = connection
        .prepare_cached("SELECT fence FROM message WHERE id = ?1 AND attempt > 0")
        .and_then(|mut select| select.query_row([message], |row| row.get(0)).optional())
        .map_err(broken)?;
    if fence == Some(token.fence) { Ok(()) } else { Err(StoreError::LeaseLost) }
}

fn update_due(connection: &Connection, sql: &str, token: LeaseToken, due: Timestamp) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(params![token.message, due.as_micros()])?;
    Ok(())
}
