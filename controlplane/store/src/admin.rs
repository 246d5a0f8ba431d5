//! Administrators and their passwords.
//!
//! Passwords are kept as argon2id hashes only. HTTP Basic sends the password
//! with every request, and a hash made to be slow must not be paid each time:
//! what was verified once is remembered under a keyed digest of user, password
//! *and stored hash*. The hash is read anew for every request, so a changed
//! password or a removed user counts at once, also when another server of the
//! cluster changed it.

use std::collections::HashSet;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use aws_lc_rs::hmac;
use plenum_model::InvalidField;
use sqlx::Row;
use tokio::sync::Semaphore;

use crate::{Store, StoreError};

/// Most characters of a user name.
pub const MAX_USER_NAME: usize = 64;
/// Most bytes of a password.
pub const MAX_PASSWORD_BYTES: usize = 256;

/// Hashes at one time: each takes 19 MiB and tens of milliseconds of a core.
const HASHES_AT_ONCE: usize = 2;
/// How long a caller waits for its turn to hash.
const PATIENCE: Duration = Duration::from_secs(3);
/// Verified passwords that are remembered.
const REMEMBERED: usize = 128;

/// What an administrator may do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AdminRole {
    /// Everything.
    Admin,
    /// Everything about calls, nothing about the machine.
    AppAdmin,
    /// The API alone.
    Api,
}

impl AdminRole {
    /// Name in the database and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::AppAdmin => "appadmin",
            Self::Api => "api",
        }
    }

    fn read(text: &str) -> Result<Self, StoreError> {
        [Self::Admin, Self::AppAdmin, Self::Api]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(StoreError::Corrupt {
                what: "administrator's role",
            })
    }
}

/// Hashing in turn, and what need not be hashed again.
pub(crate) struct Passwords {
    turns: Semaphore,
    key: hmac::Key,
    remembered: Mutex<HashSet<[u8; 32]>>,
    /// Hash of nobody's password: an unknown user takes as long as a wrong password.
    nobody: OnceLock<String>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(HASHES_AT_ONCE),
            key: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            remembered: Mutex::default(),
            nobody: OnceLock::new(),
        }
    }
}

impl Passwords {
    /// Digest under which a verified password is remembered. Lengths go first,
    /// so that no two inputs are one text.
    fn digest(&self, user: &str, password: &str, hash: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [user, password, hash] {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part.as_bytes());
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    fn knows(&self, digest: &[u8; 32]) -> bool {
        self.remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(digest)
    }

    fn remember(&self, digest: [u8; 32]) {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(digest);
    }

    /// Runs a slow hash on a thread of its own, in its turn.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let _turn = tokio::time::timeout(PATIENCE, self.turns.acquire())
            .await
            .map_err(|_| StoreError::Busy)?
            .map_err(|_| StoreError::Closed)?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| StoreError::Busy)
    }
}

fn hash(password: &str) -> Result<String, StoreError> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|_| InvalidField::new("password").into())
}

fn check_user(user: &str) -> Result<(), InvalidField> {
    let fits = (1..=MAX_USER_NAME).contains(&user.chars().count())
        // A colon would end the name in HTTP Basic (RFC 7617 section 2).
        && !user.chars().any(|c| c.is_control() || c == ':');
    fits.then_some(()).ok_or(InvalidField::new("user"))
}

impl Store {
    /// Makes an administrator, or gives one a new password and role.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for `user` or `password`; the database's.
    pub async fn set_admin(
        &self,
        user: &str,
        password: &str,
        role: AdminRole,
    ) -> Result<(), StoreError> {
        check_user(user)?;
        if !(1..=MAX_PASSWORD_BYTES).contains(&password.len()) {
            return Err(InvalidField::new("password").into());
        }
        let password = password.to_owned();
        let hash = self
            .inner
            .passwords
            .in_turn(move || hash(&password))
            .await??;
        sqlx::query(
            "INSERT INTO admins (user_name, password_hash, role) VALUES ($1, $2, $3)
             ON CONFLICT (user_name) DO UPDATE SET password_hash = excluded.password_hash,
             role = excluded.role",
        )
        .bind(user.to_owned())
        .bind(hash)
        .bind(role.as_str().to_owned())
        .execute(&self.inner.write)
        .await?;
        Ok(())
    }

    /// The role of this user, if this is the user's password. Takes some
    /// microseconds when it was right before, tens of milliseconds else.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when many wait to be verified; the database's.
    pub async fn verify_admin(
        &self,
        user: &str,
        password: &str,
    ) -> Result<Option<AdminRole>, StoreError> {
        if check_user(user).is_err() || password.len() > MAX_PASSWORD_BYTES {
            return Ok(None);
        }
        let row = sqlx::query("SELECT password_hash, role FROM admins WHERE user_name = $1")
            .bind(user.to_owned())
            .fetch_optional(&self.inner.read)
            .await?;
        let passwords = &self.inner.passwords;
        let stored = match &row {
            Some(row) => row.try_get::<String, _>(0)?,
            None => self.nobodys_hash().await?,
        };
        let digest = passwords.digest(user, password, &stored);
        if !passwords.knows(&digest) {
            let password = password.to_owned();
            let right = passwords
                .in_turn(move || {
                    let stored = PasswordHash::new(&stored).map_err(|_| StoreError::Corrupt {
                        what: "password hash",
                    })?;
                    let verdict = Argon2::default().verify_password(password.as_bytes(), &stored);
                    Ok::<bool, StoreError>(verdict.is_ok())
                })
                .await??;
            if !right || row.is_none() {
                return Ok(None);
            }
            passwords.remember(digest);
        }
        row.map(|row| AdminRole::read(&row.try_get::<String, _>(1)?))
            .transpose()
    }

    async fn nobodys_hash(&self) -> Result<String, StoreError> {
        let passwords = &self.inner.passwords;
        if let Some(hash) = passwords.nobody.get() {
            return Ok(hash.clone());
        }
        let random: [u8; 16] = rand::random();
        let made = passwords
            .in_turn(move || hash(&format!("{random:?}")))
            .await??;
        Ok(passwords.nobody.get_or_init(|| made).clone())
    }

    /// Removes an administrator; `false` where there was none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_admin(&self, user: &str) -> Result<bool, StoreError> {
        let done = sqlx::query("DELETE FROM admins WHERE user_name = $1")
            .bind(user.to_owned())
            .execute(&self.inner.write)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Every administrator and role, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn admins(&self) -> Result<Vec<(String, AdminRole)>, StoreError> {
        let rows = sqlx::query("SELECT user_name, role FROM admins ORDER BY user_name")
            .fetch_all(&self.inner.read)
            .await?;
        rows.iter()
            .map(|row| {
                let role = AdminRole::read(&row.try_get::<String, _>(1)?)?;
                Ok((row.try_get(0)?, role))
            })
            .collect()
    }
}
