//! Web bridge profiles, their entry points, and which profile is assigned.

use plenum_model::{
    EntryPoint, EntryPointId, EntryPointPatch, EntryPoints, MAX_ENTRY_POINTS, Page, PageRequest,
    ProfileUsage, SystemProfiles, SystemProfilesPatch, WebBridgeProfile, WebBridgeProfileId,
    WebBridgeProfilePatch, WebBridgeProfileQuery,
};
use sqlx::any::AnyRow;
use sqlx::{Any, AnyConnection, Row};

use crate::{Store, StoreError};

impl Store {
    /// Makes a web bridge profile. Answers what is now stored.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] or the database's.
    pub async fn create_web_bridge_profile(
        &self,
        wanted: WebBridgeProfilePatch,
    ) -> Result<WebBridgeProfile, StoreError> {
        let id = WebBridgeProfileId::from_entropy(rand::random());
        let mut profile = WebBridgeProfile::new(id);
        wanted.apply(&mut profile);
        profile.validate()?;
        bind_profile(
            sqlx::query(
                "INSERT INTO web_bridge_profiles (id, name, resource_archive, allow_passcodes,
                 allow_secrets, user_portal_enabled, allow_unauthenticated_guests,
                 resolve_call_ids, resolve_uris)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            ),
            &profile,
        )
        .execute(&self.inner.write)
        .await?;
        Ok(profile)
    }

    /// Changes a web bridge profile, wholly or not at all. Answers what is now
    /// stored.
    ///
    /// # Errors
    /// [`StoreError::NoSuchWebBridgeProfile`] or those of
    /// [`Store::create_web_bridge_profile`].
    pub async fn update_web_bridge_profile(
        &self,
        id: WebBridgeProfileId,
        change: WebBridgeProfilePatch,
    ) -> Result<WebBridgeProfile, StoreError> {
        let mut transaction = self.begin().await?;
        let row = sqlx::query("SELECT * FROM web_bridge_profiles WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *transaction)
            .await?
            .ok_or(StoreError::NoSuchWebBridgeProfile)?;
        let mut profile = read_profile(&row)?;
        change.apply(&mut profile);
        profile.validate()?;
        bind_profile(
            sqlx::query(
                "UPDATE web_bridge_profiles SET name = $2, resource_archive = $3,
                 allow_passcodes = $4, allow_secrets = $5, user_portal_enabled = $6,
                 allow_unauthenticated_guests = $7, resolve_call_ids = $8, resolve_uris = $9
                 WHERE id = $1",
            ),
            &profile,
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(profile)
    }

    /// Removes a web bridge profile with its entry points. Where it was
    /// assigned, none is.
    ///
    /// # Errors
    /// [`StoreError::NoSuchWebBridgeProfile`] or the database's.
    pub async fn delete_web_bridge_profile(
        &self,
        id: WebBridgeProfileId,
    ) -> Result<(), StoreError> {
        let done = sqlx::query("DELETE FROM web_bridge_profiles WHERE id = $1")
            .bind(id.to_string())
            .execute(&self.inner.write)
            .await?;
        match done.rows_affected() {
            0 => Err(StoreError::NoSuchWebBridgeProfile),
            _ => Ok(()),
        }
    }

    /// One web bridge profile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn web_bridge_profile(
        &self,
        id: WebBridgeProfileId,
    ) -> Result<Option<WebBridgeProfile>, StoreError> {
        let row = sqlx::query("SELECT * FROM web_bridge_profiles WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.inner.read)
            .await?;
        row.as_ref().map(read_profile).transpose()
    }

    /// A part of the web bridge profiles, by name, and how many match.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn web_bridge_profiles(
        &self,
        query: WebBridgeProfileQuery,
    ) -> Result<Page<WebBridgeProfile>, StoreError> {
        let (least, most) = references(query.usage);
        let total: i64 = sqlx::query(
            "SELECT COUNT(*) FROM web_bridge_profiles WHERE
             (SELECT COUNT(*) FROM system_profiles
              WHERE web_bridge_profile = web_bridge_profiles.id) BETWEEN $1 AND $2",
        )
        .bind(least)
        .bind(most)
        .fetch_one(&self.inner.read)
        .await?
        .try_get(0)?;
        let (limit, offset) = window(query.page);
        let rows = sqlx::query(
            "SELECT * FROM web_bridge_profiles WHERE
             (SELECT COUNT(*) FROM system_profiles
              WHERE web_bridge_profile = web_bridge_profiles.id) BETWEEN $1 AND $2
             ORDER BY name, id LIMIT $3 OFFSET $4",
        )
        .bind(least)
        .bind(most)
        .bind(limit)
        .bind(offset)
        .fetch_all(&self.inner.read)
        .await?;
        Ok(Page {
            total: u64::try_from(total).unwrap_or(0),
            items: rows.iter().map(read_profile).collect::<Result<_, _>>()?,
        })
    }

    /// Which profiles hold wherever no other is assigned.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn system_profiles(&self) -> Result<SystemProfiles, StoreError> {
        let row = sqlx::query("SELECT web_bridge_profile FROM system_profiles")
            .fetch_one(&self.inner.read)
            .await?;
        let profile: Option<String> = row.try_get(0)?;
        Ok(SystemProfiles {
            web_bridge_profile: profile.as_deref().map(profile_id).transpose()?,
        })
    }

    /// Changes which profiles those are.
    ///
    /// # Errors
    /// [`StoreError::NoSuchWebBridgeProfile`] or the database's.
    pub async fn update_system_profiles(
        &self,
        change: SystemProfilesPatch,
    ) -> Result<(), StoreError> {
        let wish = change.web_bridge_profile;
        if wish.is_keep() {
            return Ok(());
        }
        sqlx::query("UPDATE system_profiles SET web_bridge_profile = $1")
            .bind(wish.value().map(ToString::to_string))
            .execute(&self.inner.write)
            .await
            .map_err(dangling)?;
        Ok(())
    }

    /// The web bridge profile of [`Store::system_profiles`], if one is assigned.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn system_web_bridge_profile(&self) -> Result<Option<WebBridgeProfile>, StoreError> {
        let row = sqlx::query(
            "SELECT web_bridge_profiles.* FROM system_profiles JOIN web_bridge_profiles
             ON web_bridge_profiles.id = system_profiles.web_bridge_profile",
        )
        .fetch_optional(&self.inner.read)
        .await?;
        row.as_ref().map(read_profile).transpose()
    }

    /// Adds an entry point to a profile. Answers what is now stored.
    ///
    /// # Errors
    /// [`StoreError::NoSuchWebBridgeProfile`], [`StoreError::TooManyEntryPoints`],
    /// [`StoreError::Invalid`] or the database's.
    pub async fn create_entry_point(
        &self,
        of: EntryPoints,
        wanted: EntryPointPatch,
    ) -> Result<EntryPoint, StoreError> {
        let mut transaction = self.begin().await?;
        // Says whether it exists, and keeps others from adding to it meanwhile.
        let locked = sqlx::query("UPDATE web_bridge_profiles SET name = name WHERE id = $1")
            .bind(of.profile.to_string())
            .execute(&mut *transaction)
            .await?;
        if locked.rows_affected() == 0 {
            return Err(StoreError::NoSuchWebBridgeProfile);
        }
        let mut point = EntryPoint::new(EntryPointId::from_entropy(rand::random()));
        wanted.apply(&mut point);
        point.validate(of.kind)?;
        if count_entry_points(&mut transaction, of).await? >= MAX_ENTRY_POINTS {
            return Err(StoreError::TooManyEntryPoints);
        }
        sqlx::query(
            "INSERT INTO web_bridge_entry_points (id, profile_id, kind, label, value)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(point.id.to_string())
        .bind(of.profile.to_string())
        .bind(of.kind.as_str())
        .bind(point.label.clone())
        .bind(point.value.clone())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(point)
    }

    /// Changes an entry point, wholly or not at all.
    ///
    /// # Errors
    /// [`StoreError::NoSuchEntryPoint`], [`StoreError::Invalid`] or the database's.
    pub async fn update_entry_point(
        &self,
        of: EntryPoints,
        id: EntryPointId,
        change: EntryPointPatch,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let point = find_entry_point(&mut transaction, of, id).await?;
        let mut point = point.ok_or(StoreError::NoSuchEntryPoint)?;
        change.apply(&mut point);
        point.validate(of.kind)?;
        sqlx::query("UPDATE web_bridge_entry_points SET label = $2, value = $3 WHERE id = $1")
            .bind(id.to_string())
            .bind(point.label)
            .bind(point.value)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Removes an entry point.
    ///
    /// # Errors
    /// [`StoreError::NoSuchEntryPoint`] or the database's.
    pub async fn delete_entry_point(
        &self,
        of: EntryPoints,
        id: EntryPointId,
    ) -> Result<(), StoreError> {
        let done = sqlx::query(
            "DELETE FROM web_bridge_entry_points WHERE id = $1 AND profile_id = $2 AND kind = $3",
        )
        .bind(id.to_string())
        .bind(of.profile.to_string())
        .bind(of.kind.as_str())
        .execute(&self.inner.write)
        .await?;
        match done.rows_affected() {
            0 => Err(StoreError::NoSuchEntryPoint),
            _ => Ok(()),
        }
    }

    /// One entry point.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn entry_point(
        &self,
        of: EntryPoints,
        id: EntryPointId,
    ) -> Result<Option<EntryPoint>, StoreError> {
        let mut connection = self.inner.read.acquire().await?;
        find_entry_point(&mut connection, of, id).await
    }

    /// A part of a profile's entry points of one kind, by label, and how many
    /// there are; none where there is no such profile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn entry_points(
        &self,
        of: EntryPoints,
        page: PageRequest,
    ) -> Result<Page<EntryPoint>, StoreError> {
        let mut connection = self.inner.read.acquire().await?;
        let total = count_entry_points(&mut connection, of).await?;
        let (limit, offset) = window(page);
        let rows = sqlx::query(
            "SELECT * FROM web_bridge_entry_points WHERE profile_id = $1 AND kind = $2
             ORDER BY label, id LIMIT $3 OFFSET $4",
        )
        .bind(of.profile.to_string())
        .bind(of.kind.as_str())
        .bind(limit)
        .bind(offset)
        .fetch_all(&mut *connection)
        .await?;
        Ok(Page {
            total,
            items: rows
                .iter()
                .map(read_entry_point)
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Between how many references a profile of this usage has; there is one place
/// to assign one.
const fn references(usage: Option<ProfileUsage>) -> (i64, i64) {
    match usage {
        None => (0, 1),
        Some(ProfileUsage::Unreferenced) => (0, 0),
        Some(ProfileUsage::Referenced) => (1, 1),
    }
}

/// LIMIT and OFFSET of a page.
fn window(page: PageRequest) -> (i64, i64) {
    let bounded = |number| i64::try_from(number).unwrap_or(i64::MAX);
    (bounded(page.limit), bounded(page.offset))
}

/// What is assigned does not exist.
fn dangling(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(inner) if inner.is_foreign_key_violation() => {
            StoreError::NoSuchWebBridgeProfile
        }
        _ => error.into(),
    }
}

async fn count_entry_points(
    connection: &mut AnyConnection,
    of: EntryPoints,
) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query(
        "SELECT COUNT(*) FROM web_bridge_entry_points WHERE profile_id = $1 AND kind = $2",
    )
    .bind(of.profile.to_string())
    .bind(of.kind.as_str())
    .fetch_one(connection)
    .await?
    .try_get(0)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

async fn find_entry_point(
    connection: &mut AnyConnection,
    of: EntryPoints,
    id: EntryPointId,
) -> Result<Option<EntryPoint>, StoreError> {
    let row = sqlx::query(
        "SELECT * FROM web_bridge_entry_points
         WHERE id = $1 AND profile_id = $2 AND kind = $3",
    )
    .bind(id.to_string())
    .bind(of.profile.to_string())
    .bind(of.kind.as_str())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(read_entry_point).transpose()
}

type Query = sqlx::query::Query<'static, Any, sqlx::any::AnyArguments>;

/// Binds the columns in the order of the table.
fn bind_profile(query: Query, profile: &WebBridgeProfile) -> Query {
    query
        .bind(profile.id.to_string())
        .bind(profile.name.clone())
        .bind(profile.resource_archive.clone())
        .bind(profile.allow_passcodes.map(i16::from))
        .bind(profile.allow_secrets.map(i16::from))
        .bind(profile.user_portal_enabled.map(i16::from))
        .bind(profile.allow_unauthenticated_guests.map(i16::from))
        .bind(profile.resolve_co_space_call_ids.map(i16::from))
        .bind(
            profile
                .resolve_co_space_uris
                .map(|word| word.as_str().to_owned()),
        )
}

fn profile_id(text: &str) -> Result<WebBridgeProfileId, StoreError> {
    text.parse().map_err(|_| StoreError::Corrupt {
        what: "web bridge profile id",
    })
}

fn read_profile(row: &AnyRow) -> Result<WebBridgeProfile, StoreError> {
    let switch = |column| -> Result<Option<bool>, StoreError> {
        let on: Option<i64> = row.try_get(column)?;
        Ok(on.map(|on| on != 0))
    };
    let id: String = row.try_get("id")?;
    let resolve_uris: Option<String> = row.try_get("resolve_uris")?;
    Ok(WebBridgeProfile {
        id: profile_id(&id)?,
        name: row.try_get("name")?,
        resource_archive: row.try_get("resource_archive")?,
        allow_passcodes: switch("allow_passcodes")?,
        allow_secrets: switch("allow_secrets")?,
        user_portal_enabled: switch("user_portal_enabled")?,
        allow_unauthenticated_guests: switch("allow_unauthenticated_guests")?,
        resolve_co_space_call_ids: switch("resolve_call_ids")?,
        resolve_co_space_uris: resolve_uris
            .map(|word| {
                word.parse().map_err(|_| StoreError::Corrupt {
                    what: "resolveCoSpaceUris",
                })
            })
            .transpose()?,
    })
}

fn read_entry_point(row: &AnyRow) -> Result<EntryPoint, StoreError> {
    let id: String = row.try_get("id")?;
    Ok(EntryPoint {
        id: id.parse().map_err(|_| StoreError::Corrupt {
            what: "entry point id",
        })?,
        label: row.try_get("label")?,
        value: row.try_get("value")?,
    })
}
