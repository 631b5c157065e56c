//! Why the catalogue did not do what was asked.

use base::arn::{FunctionArn, FunctionName, LayerArn};
use store::StoreError;

use crate::FunctionKey;

/// Why the catalogue did not do what was asked. These are facts; `services` words them as AWS does.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CatalogueError {
    /// There is no such function, version or alias. Carries the qualifier that was asked for, if one was.
    #[error("there is no function {arn}")]
    NotFound {
        /// What was asked for.
        arn: FunctionArn,
    },
    /// There is no such root beside functions.
    #[error("there is no {what}")]
    Missing {
        /// What was asked for.
        what: String,
    },
    /// There is no such layer.
    #[error("there is no layer {arn}")]
    NoLayer {
        /// What was asked for.
        arn: LayerArn,
    },
    /// The name is taken.
    #[error("function {name} exists")]
    AlreadyExists {
        /// The name.
        name: FunctionName,
    },
    /// A change is under way; another must wait for it.
    #[error("{key} is {busy}")]
    Busy {
        /// Which function.
        key: FunctionKey,
        /// With what.
        busy: Busy,
    },
    /// The function is not at the revision that the caller last saw.
    #[error("the function has another revision")]
    RevisionMismatch,
    /// A function and its layers hold more than they may together. Carries their unpacked size, in bytes.
    #[error("the function has {bytes} bytes with its layers")]
    TooLarge {
        /// Of all packages together.
        bytes: u64,
    },
    /// The change that was to be finished is finished, or was replaced by another.
    #[error("generation {generation} of {key} is not being brought about")]
    Stale {
        /// Which function.
        key: FunctionKey,
        /// The change.
        generation: u64,
    },
    /// All archives of the account would be larger than they may be together.
    #[error("the archives of an account may have {limit} bytes together")]
    CodeStorage {
        /// In bytes.
        limit: u64,
    },
    /// So many others changed it at the same time that this change never came through.
    #[error("{key} changes too often")]
    Contended {
        /// What was to be changed.
        key: String,
    },
    /// A stored record cannot be read.
    #[error("record {key}: {reason}")]
    Corrupt {
        /// The document.
        key: store::Key,
        /// What is wrong with it.
        reason: String,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a function is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Busy {
    /// State Pending.
    Creating,
    /// LastUpdateStatus InProgress.
    Updating,
}

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Creating => "being created",
            Self::Updating => "being updated",
        })
    }
}
