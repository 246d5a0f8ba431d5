use std::time::{Duration, Instant};

use plenum_store::{AdminRole, MAX_PASSWORD_BYTES, MAX_USER_NAME, StoreError};
use sqlx::{Connection, Row, SqliteConnection};

use super::Dir;

#[tokio::test]
async fn the_right_password_opens_and_a_change_counts_at_once() {
    let dir = Dir::new();
    let (store, other) = (dir.open().await, dir.open().await);
    assert_eq!(store.admins().await.unwrap(), []);
    store
        .set_admin("ann", "first", AdminRole::Api)
        .await
        .unwrap();
    let verify = |password: &'static str| {
        let store = store.clone();
        async move { store.verify_admin("ann", password).await.unwrap() }
    };
    assert_eq!(verify("first").await, Some(AdminRole::Api));
    assert_eq!(verify("First").await, None);
    assert_eq!(verify("").await, None);
    assert_eq!(store.verify_admin("bob", "first").await.unwrap(), None);
    // Another process changes it; what was remembered here must not open any more.
    other
        .set_admin("ann", "second", AdminRole::Admin)
        .await
        .unwrap();
    assert_eq!(verify("first").await, None);
    assert_eq!(verify("second").await, Some(AdminRole::Admin));
    assert_eq!(
        store.admins().await.unwrap(),
        [("ann".to_owned(), AdminRole::Admin)]
    );
    assert!(other.delete_admin("ann").await.unwrap());
    assert!(!other.delete_admin("ann").await.unwrap());
    assert_eq!(verify("second").await, None);
}

#[tokio::test]
async fn a_password_is_kept_as_an_argon2id_hash_only() {
    let dir = Dir::new();
    let store = dir.open().await;
    store
        .set_admin("ann", "geheimgeheim", AdminRole::Admin)
        .await
        .unwrap();
    store.close().await;
    let url = format!("sqlite://{}", dir.database());
    let mut raw = SqliteConnection::connect(&url).await.unwrap();
    let row = sqlx::query("SELECT password_hash FROM admins")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    let hash: String = row.get(0);
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    let bytes = std::fs::read(dir.database()).unwrap();
    assert!(!bytes.windows(12).any(|window| window == b"geheimgeheim"));
}

#[tokio::test]
async fn a_password_that_was_right_before_is_not_hashed_again() {
    let dir = Dir::new();
    let store = dir.open().await;
    store.set_admin("ann", "pw", AdminRole::Api).await.unwrap();
    store.verify_admin("ann", "pw").await.unwrap();
    let start = Instant::now();
    for _ in 0..200 {
        assert!(store.verify_admin("ann", "pw").await.unwrap().is_some());
    }
    // 200 hashes would take several seconds.
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn names_and_passwords_have_bounds() {
    let dir = Dir::new();
    let store = dir.open().await;
    let longest_name = "名".repeat(MAX_USER_NAME);
    let longest_password = "p".repeat(MAX_PASSWORD_BYTES);
    store
        .set_admin(&longest_name, &longest_password, AdminRole::AppAdmin)
        .await
        .unwrap();
    let role = store.verify_admin(&longest_name, &longest_password).await;
    assert_eq!(role.unwrap(), Some(AdminRole::AppAdmin));
    for (user, password) in [
        (format!("{longest_name}x"), "pw".to_owned()),
        (String::new(), "pw".to_owned()),
        ("a:b".to_owned(), "pw".to_owned()),
        ("a\nb".to_owned(), "pw".to_owned()),
        ("ann".to_owned(), String::new()),
        ("ann".to_owned(), format!("{longest_password}p")),
    ] {
        let set = store.set_admin(&user, &password, AdminRole::Api).await;
        assert!(matches!(set, Err(StoreError::Invalid(_))), "{user:?}");
        let verified = store.verify_admin(&user, &password).await.unwrap();
        assert_eq!(verified, None, "{user:?}");
    }
}
