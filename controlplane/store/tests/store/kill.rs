//! `kill -9` in the middle of writing: what was answered is there afterwards.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use plenum_model::{PageRequest, SpacePatch, SpaceQuery};
use plenum_store::Store;

use super::Dir;
use super::dialogs::dialog;

const DATABASE: &str = "PLENUM_STORE_TEST_DATABASE";

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Not a test by itself: the process that is killed.
#[tokio::test]
async fn child_that_writes_until_it_is_killed() {
    let Ok(database) = std::env::var(DATABASE) else {
        return;
    };
    let store = Store::open(&database).await.unwrap();
    for n in 0..u32::MAX {
        let wanted = SpacePatch::named("space", &format!("uri.{n}"));
        let space = store.create_space(wanted).await.unwrap();
        say(&format!("space {}", space.id));
        store.put_dialog(dialog(n, "state")).await.unwrap();
        if n % 4 == 0 {
            store.flush_dialogs().await.unwrap();
            say(&format!("dialog {n}"));
        }
    }
}

#[test]
fn what_was_answered_survives_kill_9_again_and_again() {
    let dir = Dir::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for round in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child_that_writes_until_it_is_killed"])
            .env(DATABASE, dir.file(&format!("{round}.db")))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        // At another point of the child's work each time.
        while said.len() < 30 + round * 7 {
            said.push(lines.next().unwrap().unwrap());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        said.extend(lines.map_while(Result::ok));

        runtime.block_on(async {
            let store = Store::open(&dir.file(&format!("{round}.db")))
                .await
                .unwrap();
            let mut promised = 0;
            for line in &said {
                if let Some(id) = line.strip_prefix("space ") {
                    let space = store.space(id.parse().unwrap()).await.unwrap().unwrap();
                    let found = store.resolve_space(&space.uri.unwrap()).await.unwrap();
                    assert_eq!(found.map(|space| space.id), Some(space.id));
                    promised += 1;
                }
            }
            assert!(promised >= 20, "{said:?}");
            let all = SpaceQuery {
                filter: None,
                page: PageRequest {
                    offset: 0,
                    limit: 0,
                },
            };
            // At most the one that was being made when the end came.
            let total = store.spaces(&all).await.unwrap().total;
            assert!((promised..=promised + 1).contains(&total));
            let mut last = said.iter().filter_map(|line| line.strip_prefix("dialog "));
            let last: u32 = last.next_back().unwrap().parse().unwrap();
            let dialogs = store.dialogs().await.unwrap();
            for n in 0..=last {
                assert!(dialogs.contains(&dialog(n, "state")), "{n}");
            }
            store.close().await;
        });
    }
}

#[tokio::test]
async fn a_log_that_was_never_checkpointed_is_read() {
    let dir = Dir::new();
    let store = dir.open().await;
    let space = store
        .create_space(SpacePatch::named("a", "a"))
        .await
        .unwrap();
    // A copy of the files while they are in use is what a killed process leaves.
    let copy = Dir::new();
    for suffix in ["", "-wal"] {
        let from = format!("{}{suffix}", dir.database());
        std::fs::copy(from, format!("{}{suffix}", copy.database())).unwrap();
    }
    let reopened = copy.open().await;
    assert_eq!(reopened.space(space.id).await.unwrap(), Some(space.clone()));
    // The end of the log was torn off: what was whole counts, the rest is as if never written.
    let torn = Dir::new();
    for suffix in ["", "-wal"] {
        let from = format!("{}{suffix}", dir.database());
        let mut bytes = std::fs::read(from).unwrap();
        if suffix == "-wal" {
            bytes.truncate(bytes.len() - 100);
        }
        std::fs::write(format!("{}{suffix}", torn.database()), bytes).unwrap();
    }
    let reopened = torn.open().await;
    assert_eq!(reopened.space(space.id).await.unwrap(), None);
    assert!(
        reopened
            .create_space(SpacePatch::named("a", "a"))
            .await
            .is_ok()
    );
}
