//! The embedded store: documents and queues in SQLite, logs in segment files, one process a directory.
//!
//! Below the directory: `lock`, `documents.db` with its write-ahead log, `logs/`, and `logs-dropped/` for what
//! is being removed. Everything is private to the user that runs the process.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;
use store::StoreError;

mod checkpoint;
mod guard;
mod ledger;
mod logs;
mod query;
mod readers;
mod schema;
mod sqlite;
mod writer;

pub use sqlite::SqliteStore;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the directory {} is in use by {holder}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who has it, as far as is known.
        holder: String,
    },
    /// The directory or a file in it cannot be made, opened or read.
    #[error("cannot use {}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The data was written by a newer Samovar.
    #[error("the data is of a newer samovar: its schema has version {found}, this one knows {newest}")]
    Newer {
        /// Version of the data.
        found: usize,
        /// Newest version that this program knows.
        newest: usize,
    },
    /// There is a database of another program where ours should be.
    #[error("documents.db belongs to another program")]
    Foreign,
    /// SQLite refused.
    #[error("the database cannot be opened")]
    Database(#[from] rusqlite::Error),
    /// The system gives no more threads.
    #[error("no thread for the store")]
    Thread(#[source] std::io::Error),
}

/// What an error of SQLite means to those who use the store.
fn broken(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Io { doing: "the database", source: Arc::new(error) },
    }
}
