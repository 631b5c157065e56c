//! The database file: how it is opened, its tables, and the way from older tables to these.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use base::clock::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};

use crate::OpenError;
use crate::guard::sync_directory;

/// Tells our files from those of other programs: "SMVR".
const APPLICATION: i32 = 0x534d_5652;

/// Statements kept prepared on each connection; more than there are.
const STATEMENTS: usize = 64;

/// Nobody holds a lock for long; a connection that must wait is about to be served.
const PATIENCE: Duration = Duration::from_secs(10);

/// One step a schema version, the first makes version 1. Never edited once released, only added to.
///
/// - `document`: the current documents.
/// - `change`: what followers may still ask for; `id` is the order of commits.
/// - `message`: `due` is when it can be claimed next: its time, or the end of its lease. The body is last,
///   so that a claim rewrites the start of the row only.
/// - `queue`: how many messages a queue has.
/// - `state`: counters that never go back. `pruned` is the last revision whose changes are forgotten.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE document (
        key TEXT NOT NULL UNIQUE,
        revision INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE change (
        id INTEGER PRIMARY KEY,
        revision INTEGER NOT NULL,
        key TEXT NOT NULL,
        body BLOB
    ) STRICT;
    CREATE INDEX change_revision ON change (revision);
    CREATE TABLE message (
        id INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        due INTEGER NOT NULL,
        fence INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE INDEX message_due ON message (queue, due, id);
    CREATE TABLE queue (
        name TEXT PRIMARY KEY,
        depth INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE state (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        revision INTEGER NOT NULL,
        pruned INTEGER NOT NULL,
        next_message INTEGER NOT NULL
    ) STRICT;
    INSERT INTO state VALUES (1, 0, 0, 1);
"];

/// Opens the file, makes it when it is not there, and brings its tables up to date.
pub fn prepare(path: &Path, now: Timestamp) -> Result<Connection, OpenError> {
    create(path)?;
    let mut connection = connect(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    migrate(&mut connection, MIGRATIONS, now)?;
    Ok(connection)
}

/// A further connection to a file that is prepared.
pub fn connect(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "synchronous", "full")?;
    // Checkpoints have a thread of their own; see `checkpoint`.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", base::limits::STORE_WAL_BYTES)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(connection)
}

/// Makes the file before SQLite does, so that it is private: SQLite gives its other files the same mode.
fn create(path: &Path) -> Result<(), OpenError> {
    let refused = |source| OpenError::Directory { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).open(path).map_err(refused)?;
    path.parent().map_or(Ok(()), sync_directory).map_err(refused)
}

fn migrate(connection: &mut Connection, migrations: &[&str], now: Timestamp) -> Result<(), OpenError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    let newest = migrations.len();
    let Some(missing) = migrations.get(found..) else {
        return Err(OpenError::Newer { found, newest });
    };
    for (index, migration) in missing.iter().enumerate() {
        transaction.execute_batch(migration)?;
        let step = (found + index + 1, now.as_micros());
        transaction.execute("INSERT INTO schema_version (version, since) VALUES (?1, ?2)", step)?;
    }
    Ok(transaction.commit()?)
}

/// The version of the tables that are there; 0 for an empty file.
fn version(transaction: &Transaction<'_>) -> Result<usize, OpenError> {
    let tables = "SELECT count(*) FROM sqlite_schema";
    if transaction.query_row(tables, (), |row| row.get::<_, usize>(0))? == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.execute_batch(
            "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, since INTEGER NOT NULL) STRICT",
        )?;
    }
    if transaction.pragma_query_value(None, "application_id", |row| row.get::<_, i32>(0))? != APPLICATION {
        return Err(OpenError::Foreign);
    }
    let newest = "SELECT version FROM schema_version ORDER BY version DESC LIMIT 1";
    Ok(transaction.query_row(newest, (), |row| row.get(0)).optional()?.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    #[test]
    fn migrations_run_once_each_and_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        drop(prepare(&path, NOW).unwrap());
        let mut connection = prepare(&path, NOW).unwrap();
        let second = "CREATE TABLE extra (x INTEGER) STRICT";
        let both = [MIGRATIONS[0], second];
        migrate(&mut connection, &both, NOW).unwrap();
        migrate(&mut connection, &both, NOW).unwrap();
        connection.execute_batch("INSERT INTO extra VALUES (1)").unwrap();
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let mut connection = prepare(&path, NOW).unwrap();
        let both = [MIGRATIONS[0], "CREATE TABLE extra (x INTEGER) STRICT"];
        migrate(&mut connection, &both, NOW).unwrap();
        let error = prepare(&path, NOW).unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: 2, newest: 1 }), "{error}");
        assert!(error.to_string().contains("newer"), "{error}");
    }

    #[test]
    fn a_migration_that_fails_leaves_the_earlier_version() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let mut connection = prepare(&path, NOW).unwrap();
        migrate(&mut connection, &[MIGRATIONS[0], "CREATE TABLE extra (x ANY) STRICT; nonsense"], NOW)
            .unwrap_err();
        migrate(&mut connection, &[MIGRATIONS[0], "CREATE TABLE extra (x ANY) STRICT"], NOW).unwrap();
    }

    #[test]
    fn the_database_of_another_program_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(matches!(prepare(&path, NOW), Err(OpenError::Foreign)));
    }
}
