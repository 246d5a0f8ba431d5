//! Tables, and how an older database becomes one of this release.
//!
//! One SQL for both databases: TEXT for GUIDs and words, SMALLINT for booleans,
//! `$1` placeholders, no type or function that only one of them has.

use sqlx::{AnyConnection, Row};

use crate::OpenError;

/// Version of the schema that this release writes.
pub const SCHEMA_VERSION: i64 = STEPS.len() as i64;

/// Step n leads from version n to n + 1. A step that was released never changes.
const STEPS: &[&[&str]] = &[FIRST, WEB_BRIDGE_PROFILES];

const FIRST: &[&str] = &[
    "CREATE TABLE spaces (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        uri TEXT,
        secondary_uri TEXT,
        call_id TEXT UNIQUE,
        passcode TEXT,
        secret TEXT,
        default_layout TEXT,
        non_member_access SMALLINT NOT NULL,
        cdr_tag TEXT,
        owner_jid TEXT,
        meeting_scheduler TEXT,
        stream_url TEXT,
        message_board_enabled SMALLINT,
        pane_highest_importance INTEGER,
        pane_self_mode TEXT,
        search_key TEXT NOT NULL
    )",
    "CREATE INDEX spaces_by_search_key ON spaces (search_key, id)",
    // `uri` and `secondary_uri` are one name space: a column cannot say so, a table can.
    "CREATE TABLE space_uris (
        uri_key TEXT NOT NULL PRIMARY KEY,
        space_id TEXT NOT NULL REFERENCES spaces (id) ON DELETE CASCADE
    )",
    "CREATE INDEX space_uris_by_space ON space_uris (space_id)",
    "CREATE TABLE dialogs (
        dialog_key TEXT NOT NULL PRIMARY KEY,
        leg_id TEXT NOT NULL,
        call_id TEXT NOT NULL,
        worker BIGINT NOT NULL,
        slot BIGINT NOT NULL,
        generation BIGINT NOT NULL,
        state TEXT NOT NULL,
        updated_at_ms BIGINT NOT NULL
    )",
    "CREATE TABLE settings (
        name TEXT NOT NULL PRIMARY KEY,
        value TEXT NOT NULL
    )",
    "CREATE TABLE admins (
        user_name TEXT NOT NULL PRIMARY KEY,
        password_hash TEXT NOT NULL,
        role TEXT NOT NULL
    )",
];

const WEB_BRIDGE_PROFILES: &[&str] = &[
    "CREATE TABLE web_bridge_profiles (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        resource_archive TEXT,
        allow_passcodes SMALLINT,
        allow_secrets SMALLINT,
        user_portal_enabled SMALLINT,
        allow_unauthenticated_guests SMALLINT,
        resolve_call_ids SMALLINT,
        resolve_uris TEXT
    )",
    // IVR numbers and web bridge addresses.
    "CREATE TABLE web_bridge_entry_points (
        id TEXT NOT NULL PRIMARY KEY,
        profile_id TEXT NOT NULL REFERENCES web_bridge_profiles (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        label TEXT NOT NULL,
        value TEXT NOT NULL
    )",
    "CREATE INDEX web_bridge_entry_points_by_profile
     ON web_bridge_entry_points (profile_id, kind)",
    // One row; each kind of profile has a column.
    "CREATE TABLE system_profiles (
        web_bridge_profile TEXT REFERENCES web_bridge_profiles (id) ON DELETE SET NULL
    )",
    "INSERT INTO system_profiles (web_bridge_profile) VALUES (NULL)",
];

/// The version of a database that has the table for it.
pub(crate) async fn version(connection: &mut AnyConnection) -> Result<i64, OpenError> {
    let rows = sqlx::query("SELECT version FROM schema_version")
        .fetch_all(connection)
        .await?;
    let [row] = rows.as_slice() else {
        return Err(OpenError::Damaged {
            what: format!("{} rows in schema_version", rows.len()),
        });
    };
    Ok(row.try_get(0)?)
}

/// Refuses a version of a later release.
pub(crate) fn check_version(found: i64) -> Result<(), OpenError> {
    if (0..=SCHEMA_VERSION).contains(&found) {
        return Ok(());
    }
    Err(OpenError::Newer {
        found,
        known: SCHEMA_VERSION,
    })
}

/// Brings the database up to [`SCHEMA_VERSION`], inside the caller's transaction.
pub(crate) async fn migrate(connection: &mut AnyConnection) -> Result<(), OpenError> {
    sqlx::query("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "INSERT INTO schema_version (version)
         SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM schema_version)",
    )
    .execute(&mut *connection)
    .await?;
    let found = version(connection).await?;
    check_version(found)?;
    let done = usize::try_from(found).unwrap_or(STEPS.len());
    for &statement in STEPS[done..].iter().copied().flatten() {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    sqlx::query("UPDATE schema_version SET version = $1")
        .bind(SCHEMA_VERSION)
        .execute(connection)
        .await?;
    Ok(())
}
