//! Single values by name.

use plenum_model::HostId;
use sqlx::Row;

use crate::{Store, StoreError};

impl Store {
    /// A setting; `None` where it was never set.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT value FROM settings WHERE name = $1")
            .bind(name.to_owned())
            .fetch_optional(&self.inner.read)
            .await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Sets a setting, or removes it with `None`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_setting(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        let query = match value {
            Some(value) => sqlx::query(
                "INSERT INTO settings (name, value) VALUES ($1, $2)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            )
            .bind(name.to_owned())
            .bind(value.to_owned()),
            None => sqlx::query("DELETE FROM settings WHERE name = $1").bind(name.to_owned()),
        };
        query.execute(&self.inner.write).await?;
        Ok(())
    }

    /// This server's identity, made at the first call and the same ever after.
    ///
    /// # Errors
    /// When the database fails or holds something else.
    pub async fn host_id(&self) -> Result<HostId, StoreError> {
        // Whoever comes first wins, also among the servers of one database.
        sqlx::query(
            "INSERT INTO settings (name, value) VALUES ('host_id', $1)
             ON CONFLICT (name) DO NOTHING",
        )
        .bind(HostId::from_entropy(rand::random()).to_string())
        .execute(&self.inner.write)
        .await?;
        let text = self.setting("host_id").await?.unwrap_or_default();
        text.parse()
            .map_err(|_| StoreError::Corrupt { what: "host id" })
    }
}
