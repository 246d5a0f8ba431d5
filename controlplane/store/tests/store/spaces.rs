use plenum_model::{Field, InvalidField, PageRequest, SpaceId, SpacePatch, SpaceQuery};
use plenum_store::StoreError;

use super::Dir;

fn query(filter: &str, offset: u64, limit: u64) -> SpaceQuery {
    SpaceQuery {
        filter: Some(filter.to_owned()),
        page: PageRequest { offset, limit },
    }
}

#[tokio::test]
async fn a_space_comes_back_as_it_was_stored_also_after_a_restart() {
    use plenum_model::{Layout, SelfPaneMode};
    let dir = Dir::new();
    let store = dir.open().await;
    let wanted = SpacePatch {
        name: Field::Set("Räume & <Zeiten> 会議".into()),
        uri: Field::Set("Team.Room".into()),
        secondary_uri: Field::Set("room2".into()),
        call_id: Field::Set("4711".into()),
        passcode: Field::Set("0042".into()),
        secret: Field::Keep,
        default_layout: Field::Set(Layout::OnePlusNine),
        non_member_access: Field::Set(false),
        cdr_tag: Field::Set("tag".into()),
        owner_jid: Field::Set("ann@example.com".into()),
        meeting_scheduler: Field::Set("Ann".into()),
        stream_url: Field::Set("rtmps://host/app".into()),
        message_board_enabled: Field::Set(true),
        pane_placement_highest_importance: Field::Set(2_147_483_647),
        pane_placement_self_pane_mode: Field::Set(SelfPaneMode::SelfVideo),
        require_call_id: false,
        regenerate_secret: false,
    };
    let made = store.create_space(wanted).await.unwrap();
    assert_eq!(made.secret.as_ref().map(String::len), Some(22));
    assert_eq!(store.space(made.id).await.unwrap(), Some(made.clone()));
    let bare = store.create_space(SpacePatch::default()).await.unwrap();
    store.close().await;

    let store = dir.open().await;
    assert_eq!(store.space(made.id).await.unwrap(), Some(made));
    assert_eq!(store.space(bare.id).await.unwrap(), Some(bare));
}

#[tokio::test]
async fn both_uris_are_one_name_space_in_any_case() {
    let dir = Dir::new();
    let store = dir.open().await;
    let board = store
        .create_space(SpacePatch {
            secondary_uri: Field::Set("board2".into()),
            ..SpacePatch::named("Board", "board")
        })
        .await
        .unwrap();
    for taken in ["board", "BOARD", "board2", "bo%61rd2"] {
        let as_first = store.create_space(SpacePatch::named("x", taken)).await;
        assert!(matches!(as_first, Err(StoreError::DuplicateUri)), "{taken}");
        let as_second = SpacePatch {
            secondary_uri: Field::Set(taken.into()),
            ..SpacePatch::default()
        };
        let as_second = store.create_space(as_second).await;
        assert!(
            matches!(as_second, Err(StoreError::DuplicateUri)),
            "{taken}"
        );
    }
    let twice_the_same = SpacePatch {
        secondary_uri: Field::Set("SELF".into()),
        ..SpacePatch::named("x", "self")
    };
    let twice_the_same = store.create_space(twice_the_same).await;
    assert!(matches!(twice_the_same, Err(StoreError::DuplicateUri)));
    // What was refused left nothing behind.
    assert_eq!(store.spaces(&query("", 0, 10)).await.unwrap().total, 1);

    // A space may swap its own two, and give one up for others.
    let swap = SpacePatch {
        uri: Field::Set("board2".into()),
        secondary_uri: Field::Set("board".into()),
        ..SpacePatch::default()
    };
    store.update_space(board.id, swap).await.unwrap();
    let give_up = SpacePatch {
        secondary_uri: Field::Unset,
        ..SpacePatch::default()
    };
    store.update_space(board.id, give_up).await.unwrap();
    store
        .create_space(SpacePatch::named("x", "Board"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_call_id_belongs_to_one_space() {
    let dir = Dir::new();
    let store = dir.open().await;
    let with_number = || SpacePatch {
        call_id: Field::Set("1234".into()),
        ..SpacePatch::default()
    };
    let first = store.create_space(with_number()).await.unwrap();
    let second = store.create_space(with_number()).await;
    assert!(matches!(second, Err(StoreError::DuplicateCallId)));
    let other = store.create_space(SpacePatch::default()).await.unwrap();
    let changed = store.update_space(other.id, with_number()).await;
    assert!(matches!(changed, Err(StoreError::DuplicateCallId)));
    store.update_space(first.id, with_number()).await.unwrap();
    store.delete_space(first.id).await.unwrap();
    store.update_space(other.id, with_number()).await.unwrap();
}

#[tokio::test]
async fn a_required_call_id_is_made_and_then_kept() {
    let dir = Dir::new();
    let store = dir.open().await;
    let require = || SpacePatch {
        require_call_id: true,
        ..SpacePatch::default()
    };
    let made = store.create_space(require()).await.unwrap();
    assert_eq!(made.call_id.as_ref().map(String::len), Some(9));
    assert!(made.secret.is_some());
    let kept = store.update_space(made.id, require()).await.unwrap();
    assert_eq!(kept, made);
    let regenerate = SpacePatch {
        regenerate_secret: true,
        ..SpacePatch::default()
    };
    let new = store.update_space(made.id, regenerate).await.unwrap();
    assert_ne!(new.secret, made.secret);
    // A new one was asked for: the one that was sent along is an old one.
    let both = SpacePatch {
        secret: Field::Set("old".into()),
        call_id: Field::Unset,
        regenerate_secret: true,
        ..SpacePatch::default()
    };
    let new = store.update_space(made.id, both).await.unwrap();
    assert_eq!(new.secret.map(|secret| secret.len()), Some(22));
}

#[tokio::test]
async fn a_space_is_found_by_uri_before_call_id() {
    let dir = Dir::new();
    let store = dir.open().await;
    let by_number = store
        .create_space(SpacePatch {
            call_id: Field::Set("100".into()),
            ..SpacePatch::named("number", "n")
        })
        .await
        .unwrap();
    let found = |user: &'static str| {
        let store = store.clone();
        async move {
            store
                .resolve_space(user)
                .await
                .unwrap()
                .map(|space| space.id)
        }
    };
    assert_eq!(found("100").await, Some(by_number.id));
    assert_eq!(found("N").await, Some(by_number.id));
    let by_uri = store
        .create_space(SpacePatch::named("uri", "100"))
        .await
        .unwrap();
    assert_eq!(found("100").await, Some(by_uri.id));
    assert_eq!(found("%31%30%30").await, Some(by_uri.id));
    assert_eq!(found("1%").await, None);
    assert_eq!(found("").await, None);
    assert_eq!(found("%00").await, None);
    store.delete_space(by_uri.id).await.unwrap();
    assert_eq!(found("100").await, Some(by_number.id));
}

#[tokio::test]
async fn what_is_missing_or_invalid_is_named_and_changes_nothing() {
    let dir = Dir::new();
    let store = dir.open().await;
    let nobody = SpaceId::from_bytes([9; 16]);
    let update = store.update_space(nobody, SpacePatch::default()).await;
    assert!(matches!(update, Err(StoreError::NoSuchSpace)));
    let delete = store.delete_space(nobody).await;
    assert!(matches!(delete, Err(StoreError::NoSuchSpace)));
    let space = store
        .create_space(SpacePatch::named("a", "a"))
        .await
        .unwrap();
    let bad = SpacePatch {
        name: Field::Set("b".into()),
        uri: Field::Set("not a uri".into()),
        ..SpacePatch::default()
    };
    let update = store.update_space(space.id, bad).await;
    assert!(matches!(
        update,
        Err(StoreError::Invalid(InvalidField { parameter: "uri" }))
    ));
    assert_eq!(store.space(space.id).await.unwrap(), Some(space));
}

#[tokio::test]
async fn a_filter_takes_wildcards_for_what_they_are() {
    let dir = Dir::new();
    let store = dir.open().await;
    for name in ["100%", "a_b", "a!b", "Äpfel", "a\\b"] {
        let patch = SpacePatch {
            name: Field::Set(name.into()),
            ..SpacePatch::default()
        };
        store.create_space(patch).await.unwrap();
    }
    for (filter, total) in [
        ("%", 1),
        ("_", 1),
        ("!", 1),
        ("\\", 1),
        ("äPF", 1),
        ("a", 3),
        ("", 5),
        ("b\n", 3),
        ("zzz", 0),
        ("\0", 0),
    ] {
        let page = store.spaces(&query(filter, 0, 10)).await.unwrap();
        assert_eq!(page.total, total, "{filter:?}");
    }
    let huge = store.spaces(&query("", u64::MAX, u64::MAX)).await.unwrap();
    assert_eq!((huge.total, huge.items.len()), (5, 0));
}

#[tokio::test]
async fn of_many_who_want_one_uri_at_once_one_gets_it() {
    let dir = Dir::new();
    let store = dir.open().await;
    let attempts: Vec<_> = (0..20)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let wanted = SpacePatch::named(&format!("{n}"), "one");
                store.create_space(wanted).await.is_ok()
            })
        })
        .collect();
    let mut got_it = 0;
    for attempt in attempts {
        got_it += u32::from(attempt.await.unwrap());
    }
    assert_eq!(got_it, 1);
}
