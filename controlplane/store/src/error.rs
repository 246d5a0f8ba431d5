//! What can go wrong, by what the caller does next.

use std::path::PathBuf;

use plenum_model::InvalidField;

/// Why the store was not opened. The database is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Neither a path, `sqlite:` nor (where compiled in) `postgres:`.
    #[error("`{0}` is no database this build can open")]
    Unsupported(String),
    /// The file cannot be made or opened.
    #[error("cannot open the database file {}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The content is damaged or no database at all. Restore a backup, or move the file away.
    #[error("the database is damaged or is none: {what}; it was left as it is")]
    Damaged {
        /// What the check found.
        what: String,
    },
    /// A database, but somebody else's.
    #[error("the database belongs to another program; it was left as it is")]
    Foreign,
    /// Written by a newer release.
    #[error("the database has schema version {found}, this release knows up to {known}")]
    Newer {
        /// The database's version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The database answered something else.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// Why the store did not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No space has this id.
    #[error("no such space")]
    NoSuchSpace,
    /// Another space (or the other URI of this one) has this URI.
    #[error("the URI is taken")]
    DuplicateUri,
    /// Another space has this call ID.
    #[error("the call ID is taken")]
    DuplicateCallId,
    /// No web bridge profile has this id.
    #[error("no such web bridge profile")]
    NoSuchWebBridgeProfile,
    /// The profile has no entry point of this kind with this id.
    #[error("no such entry point")]
    NoSuchEntryPoint,
    /// The profile has as many entry points of this kind as it can.
    #[error("the profile takes no more entry points of this kind")]
    TooManyEntryPoints,
    /// A value does not fit its field.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// A dialog's key or state is larger than a dialog's can be.
    #[error("a dialog of {bytes} bytes is too large to keep")]
    TooLarge {
        /// How large.
        bytes: usize,
    },
    /// Too much is waiting, or the database does not answer in time; try again later.
    #[error("the database is busy")]
    Busy,
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// A row holds what this release cannot have written.
    #[error("the database holds a damaged {what}")]
    Corrupt {
        /// Which value.
        what: &'static str,
    },
    /// The database answered something else.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::PoolTimedOut => Self::Busy,
            sqlx::Error::PoolClosed => Self::Closed,
            error => Self::Database(error),
        }
    }
}
