//! Spaces.

use plenum_model::{Page, Space, SpaceId, SpacePatch, SpaceQuery, generate_call_id, uri_key};
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Row, Transaction};

use crate::{Store, StoreError};

/// How often a random call ID may turn out to be taken. With half of all
/// nine-digit numbers in use, one creation in a million would fail.
const CALL_ID_ATTEMPTS: u32 = 20;

/// In no field, and not to be shown to a database: one takes it for the end of
/// the pattern (which then matches everything), the other for an error.
const NO_TEXT: char = '\0';

impl Store {
    /// Makes a space, with what is to be generated (a secret where it has a
    /// call ID, a call ID where one is required). Answers what is now stored.
    ///
    /// # Errors
    /// [`StoreError::Invalid`], [`StoreError::DuplicateUri`],
    /// [`StoreError::DuplicateCallId`], or the database's.
    pub async fn create_space(&self, wanted: SpacePatch) -> Result<Space, StoreError> {
        let mut transaction = self.begin().await?;
        let space = Space::new(SpaceId::from_entropy(rand::random()));
        let space = changed(&mut transaction, space, wanted).await?;
        bind_space(
            sqlx::query(
                "INSERT INTO spaces (id, name, uri, secondary_uri, call_id, passcode, secret,
                 default_layout, non_member_access, cdr_tag, owner_jid, meeting_scheduler,
                 stream_url, message_board_enabled, pane_highest_importance, pane_self_mode,
                 search_key)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
            ),
            &space,
        )
        .execute(&mut *transaction)
        .await
        .map_err(|error| taken(error, StoreError::DuplicateCallId))?;
        claim_uris(&mut transaction, &space).await?;
        transaction.commit().await?;
        Ok(space)
    }

    /// Changes a space, wholly or not at all. Answers what is now stored.
    ///
    /// # Errors
    /// [`StoreError::NoSuchSpace`] or those of [`Store::create_space`].
    pub async fn update_space(&self, id: SpaceId, change: SpacePatch) -> Result<Space, StoreError> {
        let mut transaction = self.begin().await?;
        let row = sqlx::query("SELECT * FROM spaces WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *transaction)
            .await?
            .ok_or(StoreError::NoSuchSpace)?;
        let space = changed(&mut transaction, read_space(&row)?, change).await?;
        bind_space(
            sqlx::query(
                "UPDATE spaces SET name = $2, uri = $3, secondary_uri = $4, call_id = $5,
                 passcode = $6, secret = $7, default_layout = $8, non_member_access = $9,
                 cdr_tag = $10, owner_jid = $11, meeting_scheduler = $12, stream_url = $13,
                 message_board_enabled = $14, pane_highest_importance = $15,
                 pane_self_mode = $16, search_key = $17
                 WHERE id = $1",
            ),
            &space,
        )
        .execute(&mut *transaction)
        .await
        .map_err(|error| taken(error, StoreError::DuplicateCallId))?;
        sqlx::query("DELETE FROM space_uris WHERE space_id = $1")
            .bind(id.to_string())
            .execute(&mut *transaction)
            .await?;
        claim_uris(&mut transaction, &space).await?;
        transaction.commit().await?;
        Ok(space)
    }

    /// Removes a space.
    ///
    /// # Errors
    /// [`StoreError::NoSuchSpace`] or the database's.
    pub async fn delete_space(&self, id: SpaceId) -> Result<(), StoreError> {
        let done = sqlx::query("DELETE FROM spaces WHERE id = $1")
            .bind(id.to_string())
            .execute(&self.inner.write)
            .await?;
        match done.rows_affected() {
            0 => Err(StoreError::NoSuchSpace),
            _ => Ok(()),
        }
    }

    /// One space.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn space(&self, id: SpaceId) -> Result<Option<Space>, StoreError> {
        let row = sqlx::query("SELECT * FROM spaces WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.inner.read)
            .await?;
        row.as_ref().map(read_space).transpose()
    }

    /// The space that is reached by this user part: by its URI or secondary URI
    /// in any case, else by its call ID.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resolve_space(&self, userpart: &str) -> Result<Option<Space>, StoreError> {
        let key = uri_key(userpart);
        if key.contains(NO_TEXT) {
            return Ok(None);
        }
        let by_uri = sqlx::query(
            "SELECT spaces.* FROM space_uris JOIN spaces ON spaces.id = space_uris.space_id
             WHERE space_uris.uri_key = $1",
        )
        .bind(key.clone())
        .fetch_optional(&self.inner.read)
        .await?;
        let row = match by_uri {
            Some(row) => Some(row),
            None => {
                sqlx::query("SELECT * FROM spaces WHERE call_id = $1")
                    .bind(key)
                    .fetch_optional(&self.inner.read)
                    .await?
            }
        };
        row.as_ref().map(read_space).transpose()
    }

    /// A part of the spaces, by name in either case, and how many match.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn spaces(&self, query: &SpaceQuery) -> Result<Page<Space>, StoreError> {
        let filter = query.filter.as_deref().unwrap_or_default();
        if filter.contains(NO_TEXT) {
            return Ok(Page {
                total: 0,
                items: Vec::new(),
            });
        }
        let pattern = pattern(filter);
        let total: i64 =
            sqlx::query("SELECT COUNT(*) FROM spaces WHERE search_key LIKE $1 ESCAPE '!'")
                .bind(pattern.clone())
                .fetch_one(&self.inner.read)
                .await?
                .try_get(0)?;
        let rows = sqlx::query(
            "SELECT * FROM spaces WHERE search_key LIKE $1 ESCAPE '!'
             ORDER BY search_key, id LIMIT $2 OFFSET $3",
        )
        .bind(pattern)
        .bind(i64::try_from(query.page.limit).unwrap_or(i64::MAX))
        .bind(i64::try_from(query.page.offset).unwrap_or(i64::MAX))
        .fetch_all(&self.inner.read)
        .await?;
        Ok(Page {
            total: u64::try_from(total).unwrap_or(0),
            items: rows.iter().map(read_space).collect::<Result<_, _>>()?,
        })
    }
}

/// The space as it will be: patched, completed, checked.
async fn changed(
    transaction: &mut Transaction<'static, Any>,
    mut space: Space,
    change: SpacePatch,
) -> Result<Space, StoreError> {
    let required = change.require_call_id;
    let new_secret = change.regenerate_secret;
    change.apply(&mut space);
    if required && space.call_id.is_none() {
        space.call_id = Some(free_call_id(transaction).await?);
    }
    space.complete(new_secret, rand::random());
    space.validate()?;
    Ok(space)
}

async fn free_call_id(connection: &mut AnyConnection) -> Result<String, StoreError> {
    for _ in 0..CALL_ID_ATTEMPTS {
        let call_id = generate_call_id(rand::random());
        let taken = sqlx::query("SELECT 1 FROM spaces WHERE call_id = $1")
            .bind(call_id.clone())
            .fetch_optional(&mut *connection)
            .await?;
        if taken.is_none() {
            return Ok(call_id);
        }
    }
    Err(StoreError::DuplicateCallId)
}

async fn claim_uris(connection: &mut AnyConnection, space: &Space) -> Result<(), StoreError> {
    for uri in [&space.uri, &space.secondary_uri].into_iter().flatten() {
        sqlx::query("INSERT INTO space_uris (uri_key, space_id) VALUES ($1, $2)")
            .bind(uri_key(uri))
            .bind(space.id.to_string())
            .execute(&mut *connection)
            .await
            .map_err(|error| taken(error, StoreError::DuplicateUri))?;
    }
    Ok(())
}

/// Each statement that calls this has one constraint that can be violated.
fn taken(error: sqlx::Error, meaning: StoreError) -> StoreError {
    match &error {
        sqlx::Error::Database(inner) if inner.is_unique_violation() => meaning,
        _ => error.into(),
    }
}

/// What a filter is held against. LIKE's idea of case differs between the
/// databases and is ASCII in one: so it is lower case before it is stored. The
/// name comes first, which makes it the order of lists too.
fn search_key(space: &Space) -> String {
    let mut key = space.name.to_lowercase();
    for field in [&space.uri, &space.secondary_uri, &space.call_id] {
        // Cannot be typed into any field, so no match spans two of them.
        key.push('\n');
        key.push_str(&field.as_deref().unwrap_or_default().to_lowercase());
    }
    key
}

/// The LIKE pattern of "holds this text". Backslash is not the escape, for the
/// databases differ over it.
fn pattern(filter: &str) -> String {
    let mut pattern = String::from("%");
    for c in filter.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

type Query = sqlx::query::Query<'static, Any, sqlx::any::AnyArguments>;

/// Binds the columns in the order of the table.
fn bind_space(query: Query, space: &Space) -> Query {
    query
        .bind(space.id.to_string())
        .bind(space.name.clone())
        .bind(space.uri.clone())
        .bind(space.secondary_uri.clone())
        .bind(space.call_id.clone())
        .bind(space.passcode.clone())
        .bind(space.secret.clone())
        .bind(
            space
                .default_layout
                .map(|layout| layout.as_str().to_owned()),
        )
        .bind(i16::from(space.non_member_access))
        .bind(space.cdr_tag.clone())
        .bind(space.owner_jid.clone())
        .bind(space.meeting_scheduler.clone())
        .bind(space.stream_url.clone())
        .bind(space.message_board_enabled.map(i16::from))
        .bind(
            space
                .pane_placement_highest_importance
                .and_then(|importance| i32::try_from(importance).ok()),
        )
        .bind(
            space
                .pane_placement_self_pane_mode
                .map(|mode| mode.as_str().to_owned()),
        )
        .bind(search_key(space))
}

fn read_space(row: &AnyRow) -> Result<Space, StoreError> {
    let corrupt = |what| move |_| StoreError::Corrupt { what };
    let id: String = row.try_get("id")?;
    let layout: Option<String> = row.try_get("default_layout")?;
    let self_pane: Option<String> = row.try_get("pane_self_mode")?;
    let importance: Option<i64> = row.try_get("pane_highest_importance")?;
    let message_board: Option<i64> = row.try_get("message_board_enabled")?;
    let non_member_access: i64 = row.try_get("non_member_access")?;
    Ok(Space {
        id: id
            .parse()
            .map_err(|_| StoreError::Corrupt { what: "space id" })?,
        name: row.try_get("name")?,
        uri: row.try_get("uri")?,
        secondary_uri: row.try_get("secondary_uri")?,
        call_id: row.try_get("call_id")?,
        passcode: row.try_get("passcode")?,
        secret: row.try_get("secret")?,
        default_layout: layout
            .map(|text| text.parse().map_err(corrupt("layout")))
            .transpose()?,
        non_member_access: non_member_access != 0,
        cdr_tag: row.try_get("cdr_tag")?,
        owner_jid: row.try_get("owner_jid")?,
        meeting_scheduler: row.try_get("meeting_scheduler")?,
        stream_url: row.try_get("stream_url")?,
        message_board_enabled: message_board.map(|on| on != 0),
        pane_placement_highest_importance: importance
            .map(|n| u32::try_from(n).map_err(|_| StoreError::Corrupt { what: "importance" }))
            .transpose()?,
        pane_placement_self_pane_mode: self_pane
            .map(|text| text.parse().map_err(corrupt("self pane mode")))
            .transpose()?,
    })
}
