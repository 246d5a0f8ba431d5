//! What a fresh server makes for its first user: an administrator and a space.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use plenum_model::{Field, Page, PageRequest, Space, SpacePatch, SpaceQuery};
use plenum_store::{AdminRole, Store, StoreError};
use rand::Rng;
use rand::distr::slice::Choose;
use serde::{Deserialize, Serialize};

use crate::certificate::write_private;

/// User part of the demonstration space.
const DEMO_URI: &str = "demo";
/// Name of the first administrator.
const ADMIN: &str = "admin";
/// Letters that are not taken for one another when they are read from a screen.
const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// 16 of 55 letters are 92 bits.
const PASSWORD_LETTERS: usize = 16;

/// The first administrator, as long as nobody has put the password elsewhere.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct FirstCredentials {
    pub(super) user: String,
    pub(super) password: String,
}

/// Why the first user cannot be let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FirstRunError {
    #[error("the database: {0}")]
    Store(#[from] StoreError),
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
}

fn credentials_path(data_dir: &Path) -> PathBuf {
    data_dir.join("first-run-credentials.json")
}

/// Makes an administrator where there is none. The password is in a file of the
/// data folder until somebody removes that; `None` once it is gone.
pub(super) async fn administrator(
    store: &Store,
    data_dir: &Path,
    rng: &mut impl Rng,
) -> Result<Option<FirstCredentials>, FirstRunError> {
    let path = credentials_path(data_dir);
    if store.admins().await?.is_empty() {
        let password = rng
            .sample_iter(Choose::new(LETTERS).map_err(|_| StoreError::Closed)?)
            .take(PASSWORD_LETTERS)
            .map(|letter| char::from(*letter))
            .collect();
        let first = FirstCredentials {
            user: ADMIN.to_owned(),
            password,
        };
        let text = serde_json::to_vec_pretty(&first).unwrap_or_default();
        // The file first: were we killed in between, the next start makes both anew.
        write_private(&path, &text).map_err(|source| FirstRunError::Write { path, source })?;
        store
            .set_admin(&first.user, &first.password, AdminRole::Admin)
            .await?;
        tracing::info!(user = first.user, "made the first administrator");
        return Ok(Some(first));
    }
    let kept = fs::read(&path).ok();
    Ok(kept.and_then(|text| serde_json::from_slice(&text).ok()))
}

/// Makes a space to try where there is none at all; the demonstration space, if
/// it is still there.
pub(super) async fn demo_space(store: &Store) -> Result<Option<Space>, StoreError> {
    let none_but_count = SpaceQuery {
        filter: None,
        page: PageRequest {
            offset: 0,
            limit: 0,
        },
    };
    let Page { total, .. } = store.spaces(&none_but_count).await?;
    if total > 0 {
        return store.resolve_space(DEMO_URI).await;
    }
    let wanted = SpacePatch {
        name: Field::Set("Demonstration".to_owned()),
        uri: Field::Set(DEMO_URI.to_owned()),
        require_call_id: true,
        ..SpacePatch::default()
    };
    let space = store.create_space(wanted).await?;
    tracing::info!(uri = DEMO_URI, "made a space to try");
    Ok(Some(space))
}
