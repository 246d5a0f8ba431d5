use std::os::unix::fs::PermissionsExt;

use plenum_model::{SpacePatch, WebBridgeProfilePatch};
use plenum_store::{OpenError, SCHEMA_VERSION, Store, StoreError};
use sqlx::{Connection, SqliteConnection};

use super::Dir;

async fn raw(path: &str, statement: &str) {
    let url = format!("sqlite://{path}?mode=rwc");
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_new_database_is_for_its_owner_alone() {
    let dir = Dir::new();
    let store = dir.open().await;
    store.set_setting("a", Some("b")).await.unwrap();
    for entry in std::fs::read_dir(&dir.0).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[tokio::test]
async fn odd_characters_in_a_path_are_part_of_the_path() {
    let dir = Dir::new();
    for name in ["a b.db", "a%20b.db", "a?mode=ro", "a#b", "é会.db", "a&b;c"] {
        let path = dir.file(name);
        let store = Store::open(&path).await.unwrap();
        store.close().await;
        assert!(std::fs::exists(&path).unwrap(), "{name}");
    }
    let names = std::fs::read_dir(&dir.0).unwrap().count();
    assert_eq!(names, 6);
}

#[tokio::test]
async fn what_is_no_database_is_left_as_it_is() {
    let dir = Dir::new();
    let path = dir.database();
    let garbage = b"these are the minutes of a meeting, not a database. ".repeat(200);
    std::fs::write(&path, &garbage).unwrap();
    let opened = Store::open(&path).await;
    assert!(
        matches!(opened, Err(OpenError::Damaged { .. })),
        "{opened:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), garbage);
}

#[tokio::test]
async fn a_damaged_database_is_left_as_it_is() {
    let dir = Dir::new();
    let path = dir.database();
    let store = dir.open().await;
    for n in 0..300 {
        let wanted = SpacePatch::named(&format!("{n}").repeat(30), &format!("u{n}"));
        store.create_space(wanted).await.unwrap();
    }
    store.close().await;
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 4_096].fill(0x5a);
    std::fs::write(&path, &bytes).unwrap();
    let opened = Store::open(&path).await;
    assert!(
        matches!(opened, Err(OpenError::Damaged { .. })),
        "{opened:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes);

    // Half of it is missing.
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&path, &bytes).unwrap();
    let opened = Store::open(&path).await;
    assert!(
        matches!(opened, Err(OpenError::Damaged { .. })),
        "{opened:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[tokio::test]
async fn somebody_elses_database_is_left_as_it_is() {
    let dir = Dir::new();
    raw(&dir.database(), "CREATE TABLE bookmarks (url TEXT)").await;
    let before = std::fs::read(dir.database()).unwrap();
    let opened = Store::open(&dir.database()).await;
    assert!(matches!(opened, Err(OpenError::Foreign)), "{opened:?}");
    assert_eq!(std::fs::read(dir.database()).unwrap(), before);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let dir = Dir::new();
    dir.open().await.close().await;
    raw(&dir.database(), "UPDATE schema_version SET version = 99").await;
    let opened = Store::open(&dir.database()).await;
    let Err(OpenError::Newer { found: 99, known }) = opened else {
        panic!("{opened:?}");
    };
    assert_eq!(known, SCHEMA_VERSION);
    let back = format!("UPDATE schema_version SET version = {SCHEMA_VERSION}");
    raw(&dir.database(), &back).await;
    dir.open().await;
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let dir = Dir::new();
    let store = dir.open().await;
    let wanted = SpacePatch::named("Board", "board");
    let space = store.create_space(wanted).await.unwrap();
    store.close().await;
    for statement in [
        "DROP TABLE system_profiles",
        "DROP TABLE web_bridge_entry_points",
        "DROP TABLE web_bridge_profiles",
        "UPDATE schema_version SET version = 1",
    ] {
        raw(&dir.database(), statement).await;
    }
    let store = dir.open().await;
    assert_eq!(store.space(space.id).await.unwrap(), Some(space));
    let profiles = store.system_profiles().await.unwrap();
    assert_eq!(profiles.web_bridge_profile, None);
    let wanted = WebBridgeProfilePatch::default();
    store.create_web_bridge_profile(wanted).await.unwrap();
    store.close().await;
    // It is done once.
    dir.open().await;
}

#[tokio::test]
async fn what_cannot_be_opened_is_named() {
    let dir = Dir::new();
    let missing = dir.file("no/such/folder/plenum.db");
    let opened = Store::open(&missing).await;
    assert!(matches!(opened, Err(OpenError::File { .. })), "{opened:?}");
    let a_folder = Store::open(dir.0.to_str().unwrap()).await;
    assert!(
        matches!(a_folder, Err(OpenError::File { .. })),
        "{a_folder:?}"
    );
    for unsupported in ["mysql://user:geheim@host/db", "sqlite::memory:", ""] {
        let opened = Store::open(unsupported).await;
        let Err(OpenError::Unsupported(shown)) = opened else {
            panic!("{opened:?}");
        };
        assert!(!shown.contains("geheim"));
    }
}

#[tokio::test]
async fn two_may_have_it_open_and_both_write() {
    let dir = Dir::new();
    let (one, two) = (dir.open().await, dir.open().await);
    let mut tasks = Vec::new();
    for (name, store) in [("one", &one), ("two", &two)] {
        for n in 0..20 {
            let store = store.clone();
            let wanted = SpacePatch::named(name, &format!("{name}.{n}"));
            tasks.push(tokio::spawn(
                async move { store.create_space(wanted).await },
            ));
        }
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(one.resolve_space("two.19").await.unwrap().is_some());
    assert_eq!(one.host_id().await.unwrap(), two.host_id().await.unwrap());
}

#[tokio::test]
async fn settings_and_the_host_id_stay() {
    let dir = Dir::new();
    let store = dir.open().await;
    let host = store.host_id().await.unwrap();
    assert_eq!(store.setting("a").await.unwrap(), None);
    store.set_setting("a", Some("1")).await.unwrap();
    store.set_setting("a", Some("2")).await.unwrap();
    store.close().await;
    let closed = store.set_setting("a", Some("3")).await;
    assert!(matches!(closed, Err(StoreError::Closed)), "{closed:?}");
    let store = dir.open().await;
    assert_eq!(store.host_id().await.unwrap(), host);
    assert_eq!(store.setting("a").await.unwrap().as_deref(), Some("2"));
    store.set_setting("a", None).await.unwrap();
    assert_eq!(store.setting("a").await.unwrap(), None);
}
