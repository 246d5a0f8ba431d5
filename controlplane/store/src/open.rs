//! Opening: look first, touch later.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, ConnectOptions, Connection, Row};

use crate::{Backend, Inner, OpenError, Store, admin, begin, dialogs, schema};

/// How long a caller waits for a connection before it hears "busy".
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// Reading connections.
const READERS: u32 = 4;

impl Store {
    /// Opens (and where needed makes or upgrades) a database: a path,
    /// `sqlite:` and a path, or `postgres://...` where that is compiled in.
    /// A new file is for its owner alone, for it holds passcodes and hashes.
    ///
    /// # Errors
    /// See [`OpenError`]; a database that is not understood is not changed.
    pub async fn open(database: &str) -> Result<Self, OpenError> {
        sqlx::any::install_default_drivers();
        let (backend, options) = if is_postgres(database) {
            if cfg!(not(feature = "postgres")) {
                return Err(OpenError::Unsupported(without_password(database)));
            }
            (Backend::Postgres, database.parse::<AnyConnectOptions>()?)
        } else {
            let path = sqlite_path(database)?;
            create_private(&path)?;
            let options = sqlite_url(&path)?.parse::<AnyConnectOptions>()?;
            (Backend::Sqlite, options)
        };
        // Statements would reach the log with every call; errors are reported by whoever asked.
        let options = options.disable_statement_logging();
        if backend == Backend::Sqlite {
            inspect(&options).await?;
        }
        let write = pool(backend, 1, &options, WRITER_PRAGMAS).await?;
        let read = pool(backend, READERS, &options, READER_PRAGMAS).await?;
        let mut transaction = begin(&write, backend).await.map_err(into_open_error)?;
        schema::migrate(&mut transaction).await?;
        transaction.commit().await?;
        let dialogs = Arc::new(dialogs::Queue::default());
        tokio::spawn(dialogs::write_out(
            Arc::clone(&dialogs),
            write.clone(),
            backend,
        ));
        Ok(Self {
            inner: Arc::new(Inner {
                backend,
                write,
                read,
                dialogs,
                passwords: admin::Passwords::default(),
            }),
        })
    }
}

/// FULL: a commit is on disk, not merely ordered. Spaces are what people typed;
/// dialogs share the cost through group commits. See DESIGN.md for figures.
const WRITER_PRAGMAS: &[&str] = &[
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA busy_timeout = 5000",
    "PRAGMA foreign_keys = ON",
];
const READER_PRAGMAS: &[&str] = &["PRAGMA busy_timeout = 5000", "PRAGMA query_only = ON"];

async fn pool(
    backend: Backend,
    connections: u32,
    options: &AnyConnectOptions,
    pragmas: &'static [&'static str],
) -> Result<AnyPool, OpenError> {
    let pragmas = match backend {
        Backend::Sqlite => pragmas,
        Backend::Postgres => &[],
    };
    let pool = AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // An idle connection costs nothing; making a new one costs a call its time.
        .idle_timeout(None)
        .max_lifetime(None)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for &pragma in pragmas {
                    sqlx::query(pragma).execute(&mut *connection).await?;
                }
                Ok(())
            })
        })
        .connect_with(options.clone())
        .await?;
    Ok(pool)
}

/// Looks at a SQLite file without changing it.
async fn inspect(options: &AnyConnectOptions) -> Result<(), OpenError> {
    let mut connection = AnyConnection::connect_with(options)
        .await
        .map_err(damaged)?;
    let found = inspect_on(&mut connection).await;
    // Closing may fail on a damaged file; what was found says more.
    let _ = connection.close().await;
    found
}

async fn inspect_on(connection: &mut AnyConnection) -> Result<(), OpenError> {
    let check = sqlx::query("PRAGMA quick_check(1)")
        .fetch_all(&mut *connection)
        .await
        .map_err(damaged)?;
    let verdict = check
        .first()
        .map_or(Ok(String::new()), |row| row.try_get::<String, _>(0))?;
    if verdict != "ok" {
        return Err(OpenError::Damaged { what: verdict });
    }
    let tables = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(&mut *connection)
        .await
        .map_err(damaged)?;
    if tables.is_empty() {
        return Ok(());
    }
    let names = tables
        .iter()
        .map(|row| row.try_get::<String, _>(0))
        .collect::<Result<Vec<_>, _>>()?;
    if !names.iter().any(|name| name == "schema_version") {
        return Err(OpenError::Foreign);
    }
    schema::check_version(schema::version(connection).await?)
}

/// An error while looking means that there is nothing sound to look at, unless
/// the system itself refused.
fn damaged(error: sqlx::Error) -> OpenError {
    match error {
        sqlx::Error::Database(error) => OpenError::Damaged {
            what: error.message().to_owned(),
        },
        error => OpenError::Database(error),
    }
}

fn into_open_error(error: crate::StoreError) -> OpenError {
    match error {
        crate::StoreError::Database(error) => OpenError::Database(error),
        _ => OpenError::Database(sqlx::Error::PoolTimedOut),
    }
}

fn is_postgres(database: &str) -> bool {
    database.starts_with("postgres://") || database.starts_with("postgresql://")
}

/// An URL as it may be shown.
fn without_password(url: &str) -> String {
    let scheme = url.split("://").next().unwrap_or_default();
    let host = url.rsplit('@').next().unwrap_or_default();
    if url.contains('@') {
        format!("{scheme}://...@{host}")
    } else {
        url.to_owned()
    }
}

fn sqlite_path(database: &str) -> Result<PathBuf, OpenError> {
    let path = database
        .strip_prefix("sqlite://")
        .or_else(|| database.strip_prefix("sqlite:"))
        .unwrap_or(database);
    let foreign_scheme = path.contains("://") || path.is_empty() || path == ":memory:";
    if foreign_scheme {
        return Err(OpenError::Unsupported(without_password(database)));
    }
    std::path::absolute(path).map_err(|source| OpenError::File {
        path: path.into(),
        source,
    })
}

fn create_private(path: &Path) -> Result<(), OpenError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map(drop)
        .map_err(|source| OpenError::File {
            path: path.into(),
            source,
        })
}

/// The driver takes URLs only: everything that means something in one is escaped.
fn sqlite_url(path: &Path) -> Result<String, OpenError> {
    let text = path
        .to_str()
        .ok_or_else(|| OpenError::Unsupported(path.to_string_lossy().into_owned()))?;
    let mut url = String::from("sqlite://");
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02x}"));
        }
    }
    url.push_str("?mode=rw");
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_url_is_not_shown() {
        assert_eq!(
            without_password("postgres://user:secret@host/db"),
            "postgres://...@host/db"
        );
        assert_eq!(without_password("mysql://host/db"), "mysql://host/db");
    }

    #[test]
    fn paths_are_taken_with_and_without_a_scheme() {
        for text in ["/a/b.db", "sqlite:/a/b.db", "sqlite:///a/b.db"] {
            assert_eq!(sqlite_path(text).unwrap(), Path::new("/a/b.db"), "{text}");
        }
        for text in ["", "sqlite::memory:", "mysql://h/d", "sqlite:"] {
            assert!(sqlite_path(text).is_err(), "{text}");
        }
    }
}
