use std::time::Duration;

use plenum_model::{CallId, CallLegId};
use plenum_store::{DialogRecord, MAX_DIALOG_KEY, MAX_DIALOG_STATE, StoreError};
use sqlx::{Connection, SqliteConnection};

use super::Dir;

pub(super) fn dialog(n: u32, state: &str) -> DialogRecord {
    DialogRecord {
        key: format!("call-{n}@host;to;from"),
        leg: CallLegId::from_entropy([1; 16]),
        call: CallId::from_entropy([2; 16]),
        worker: 3,
        slot: n,
        generation: u32::MAX,
        state: state.to_owned(),
        updated_at_ms: 1_700_000_000_000 + i64::from(n),
    }
}

#[tokio::test]
async fn the_newest_state_of_each_dialog_is_there_after_a_restart() {
    let dir = Dir::new();
    let store = dir.open().await;
    for round in 0..5 {
        for n in 0..10 {
            let state = format!("{{\"round\":{round}}}");
            store.put_dialog(dialog(n, &state)).await.unwrap();
        }
    }
    store.delete_dialog(&dialog(4, "").key).await.unwrap();
    store.close().await;
    let store = dir.open().await;
    let expected: Vec<_> = (0..10)
        .filter(|&n| n != 4)
        .map(|n| dialog(n, "{\"round\":4}"))
        .collect();
    assert_eq!(store.dialogs().await.unwrap(), expected);
    store.delete_dialog(&dialog(0, "").key).await.unwrap();
    store.put_dialog(dialog(4, "back")).await.unwrap();
    assert_eq!(store.dialogs().await.unwrap().len(), 9);
}

/// A second of the busiest hour in a burst: the store must gather, or each of
/// these would wait for the disk.
#[tokio::test]
async fn a_burst_shares_its_commits() {
    let dir = Dir::new();
    let store = dir.open().await;
    // Each commit appends at least one page of 4 KiB to the log.
    let log = || std::fs::metadata(format!("{}-wal", dir.database())).map_or(0, |log| log.len());
    let before = log();
    for round in 0..2 {
        for n in 0..1_000 {
            let state = format!("{{\"round\":{round}}}");
            store.put_dialog(dialog(n, &state)).await.unwrap();
        }
    }
    store.flush_dialogs().await.unwrap();
    // 2,000 commits would fill the log to the 4 MB at which it begins anew.
    let written = log() - before;
    assert!(written < 1_500_000, "{written} bytes of log");
    assert_eq!(store.dialogs().await.unwrap().len(), 1_000);
}

#[tokio::test]
async fn what_is_put_reaches_the_disk_without_a_flush() {
    let dir = Dir::new();
    let store = dir.open().await;
    let other = dir.open().await;
    store.put_dialog(dialog(1, "a")).await.unwrap();
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        if !other.dialogs().await.unwrap().is_empty() {
            return;
        }
    }
    panic!("nothing was written in two seconds");
}

#[tokio::test]
async fn a_dialog_has_bounds() {
    let dir = Dir::new();
    let store = dir.open().await;
    let mut largest = dialog(1, &"s".repeat(MAX_DIALOG_STATE));
    largest.key = "k".repeat(MAX_DIALOG_KEY);
    store.put_dialog(largest.clone()).await.unwrap();
    assert_eq!(store.dialogs().await.unwrap(), [largest.clone()]);
    largest.state.push('s');
    let too_large = store.put_dialog(largest.clone()).await;
    assert!(matches!(too_large, Err(StoreError::TooLarge { .. })));
    largest.state = "\0".into();
    let no_text = store.put_dialog(largest.clone()).await;
    assert!(matches!(no_text, Err(StoreError::Invalid(_))));
    largest.state.clear();
    largest.key.push('k');
    let too_large = store.put_dialog(largest).await;
    assert!(matches!(too_large, Err(StoreError::TooLarge { .. })));
}

#[tokio::test]
async fn a_database_that_fails_for_a_while_loses_nothing() {
    let dir = Dir::new();
    let store = dir.open().await;
    store.put_dialog(dialog(1, "a")).await.unwrap();
    store.flush_dialogs().await.unwrap();
    let url = format!("sqlite://{}", dir.database());
    let mut raw = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("ALTER TABLE dialogs RENAME TO elsewhere")
        .execute(&mut raw)
        .await
        .unwrap();
    store.put_dialog(dialog(1, "b")).await.unwrap();
    store.put_dialog(dialog(2, "b")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(60)).await;
    // Changes meanwhile are newer than what could not be written.
    store.put_dialog(dialog(2, "c")).await.unwrap();
    sqlx::query("ALTER TABLE elsewhere RENAME TO dialogs")
        .execute(&mut raw)
        .await
        .unwrap();
    assert_eq!(
        store.dialogs().await.unwrap(),
        [dialog(1, "b"), dialog(2, "c")]
    );
}

#[tokio::test]
async fn a_closed_store_takes_no_dialog() {
    let dir = Dir::new();
    let store = dir.open().await;
    store.close().await;
    let put = store.put_dialog(dialog(1, "a")).await;
    assert!(matches!(put, Err(StoreError::Closed)), "{put:?}");
}

#[tokio::test]
async fn a_handle_that_is_merely_dropped_still_writes_what_it_was_given() {
    let dir = Dir::new();
    let store = dir.open().await;
    store.put_dialog(dialog(1, "a")).await.unwrap();
    drop(store);
    let other = dir.open().await;
    for _ in 0..200 {
        if !other.dialogs().await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing was written in two seconds");
}

#[tokio::test]
async fn one_row_that_makes_no_sense_does_not_hide_the_others() {
    let dir = Dir::new();
    let store = dir.open().await;
    store.put_dialog(dialog(1, "a")).await.unwrap();
    store.put_dialog(dialog(2, "a")).await.unwrap();
    store.flush_dialogs().await.unwrap();
    let url = format!("sqlite://{}", dir.database());
    let mut raw = SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("UPDATE dialogs SET leg_id = 'x' WHERE slot = 1")
        .execute(&mut raw)
        .await
        .unwrap();
    assert_eq!(store.dialogs().await.unwrap(), [dialog(2, "a")]);
}
