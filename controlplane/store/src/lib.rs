//! What must survive a restart: SQLite by default, the same schema for PostgreSQL.
//!
//! Two kinds of writing, because they can bear different losses:
//!
//! ```text
//!   spaces, profiles, settings, admins one transaction each, on disk before the answer
//!   dialogs (40 calls a second,        gathered for up to 15 ms, newest state of each
//!            several changes each)     dialog wins, one transaction for all of them
//! ```
//!
//! There is one writing connection, so writers queue in this process instead of
//! failing on the database's lock; reads have connections of their own and,
//! with the write-ahead log, wait for nobody. `DESIGN.md` has the reasons and
//! the loss windows.
//!
//! This crate refuses to open what it does not understand: a damaged file, a
//! foreign one or a newer schema is left as it is.

mod admin;
mod dialogs;
mod error;
mod open;
mod schema;
mod settings;
mod spaces;
mod web_bridge;

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Any, AnyPool, Transaction};

pub use admin::{AdminRole, MAX_PASSWORD_BYTES, MAX_USER_NAME};
pub use dialogs::{DialogRecord, MAX_DIALOG_KEY, MAX_DIALOG_STATE, MAX_PENDING_DIALOGS};
pub use error::{OpenError, StoreError};
pub use schema::SCHEMA_VERSION;

/// Which database is behind the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Backend {
    Sqlite,
    #[cfg_attr(not(feature = "postgres"), allow(dead_code))]
    Postgres,
}

/// The store. A handle: clones share connections and queues. When the last one
/// goes without [`Store::close`], what is queued is still written, provided the
/// runtime lives on.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    write: AnyPool,
    read: AnyPool,
    dialogs: Arc<dialogs::Queue>,
    passwords: admin::Passwords,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("backend", &self.inner.backend)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.dialogs.close();
    }
}

impl Store {
    /// Writes what is queued and closes the database. Later calls answer
    /// [`StoreError::Closed`].
    pub async fn close(&self) {
        if let Err(error) = self.flush_dialogs().await {
            tracing::error!(%error, "dialogs were not written before closing");
        }
        self.inner.dialogs.close();
        self.inner.dialogs.written_out(Duration::from_secs(5)).await;
        self.inner.read.close().await;
        self.inner.write.close().await;
    }

    /// A transaction on the writing connection.
    async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        begin(&self.inner.write, self.inner.backend).await
    }
}

async fn begin(pool: &AnyPool, backend: Backend) -> Result<Transaction<'static, Any>, StoreError> {
    Ok(match backend {
        // Takes the write lock now: a lock taken at the first write could fail half-way.
        Backend::Sqlite => pool.begin_with("BEGIN IMMEDIATE").await?,
        Backend::Postgres => pool.begin().await?,
    })
}
