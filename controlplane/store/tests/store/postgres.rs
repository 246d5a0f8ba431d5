//! The same SQL on PostgreSQL, where one is at hand: `PLENUM_TEST_POSTGRES`
//! names an empty database with the C collation.

use plenum_model::{
    EntryPointKind, EntryPointPatch, EntryPoints, Field, Layout, PageRequest, ProfileUsage,
    SpacePatch, SpaceQuery, SystemProfilesPatch, WebBridgeProfileId, WebBridgeProfilePatch,
    WebBridgeProfileQuery,
};
use plenum_store::{AdminRole, Store, StoreError};

use super::dialogs::dialog;

#[tokio::test]
async fn postgresql_takes_the_same_sql() {
    let Ok(url) = std::env::var("PLENUM_TEST_POSTGRES") else {
        return;
    };
    let store = Store::open(&url).await.unwrap();
    let wanted = SpacePatch {
        secondary_uri: Field::Set("Second".into()),
        call_id: Field::Set("42".into()),
        default_layout: Field::Set(Layout::Stacked),
        pane_placement_highest_importance: Field::Set(7),
        message_board_enabled: Field::Set(false),
        ..SpacePatch::named("100%_ Äpfel", "first")
    };
    let space = store.create_space(wanted).await.unwrap();
    let bare = store.create_space(SpacePatch::default()).await.unwrap();
    assert_eq!(store.space(space.id).await.unwrap(), Some(space.clone()));
    let duplicate = store.create_space(SpacePatch::named("x", "SECOND")).await;
    assert!(matches!(duplicate, Err(StoreError::DuplicateUri)));
    let number = SpacePatch {
        call_id: Field::Set("42".into()),
        ..SpacePatch::default()
    };
    let duplicate = store.update_space(bare.id, number).await;
    assert!(matches!(duplicate, Err(StoreError::DuplicateCallId)));
    for user in ["FIRST", "second", "42"] {
        let found = store.resolve_space(user).await.unwrap();
        assert_eq!(found.map(|space| space.id), Some(space.id), "{user}");
    }
    for (filter, total) in [("%_ ä", 1), ("", 2), ("zzz", 0)] {
        let query = SpaceQuery {
            filter: Some(filter.into()),
            page: PageRequest {
                offset: 0,
                limit: 1,
            },
        };
        let page = store.spaces(&query).await.unwrap();
        assert_eq!(page.total, total, "{filter}");
        assert_eq!(page.items.len() as u64, total.min(1));
    }
    web_bridge_profiles(&store).await;
    store.put_dialog(dialog(1, "a")).await.unwrap();
    store.put_dialog(dialog(1, "b")).await.unwrap();
    store.put_dialog(dialog(2, "c")).await.unwrap();
    assert_eq!(
        store.dialogs().await.unwrap(),
        [dialog(1, "b"), dialog(2, "c")]
    );
    store.set_admin("ann", "pw", AdminRole::Api).await.unwrap();
    let role = store.verify_admin("ann", "pw").await.unwrap();
    assert_eq!(role, Some(AdminRole::Api));
    let host = store.host_id().await.unwrap();
    store.close().await;

    let store = Store::open(&url).await.unwrap();
    assert_eq!(store.host_id().await.unwrap(), host);
    store.delete_space(space.id).await.unwrap();
    assert_eq!(store.resolve_space("first").await.unwrap(), None);
    store.delete_space(bare.id).await.unwrap();
    store.delete_dialog(&dialog(1, "").key).await.unwrap();
    store.delete_dialog(&dialog(2, "").key).await.unwrap();
    assert_eq!(store.dialogs().await.unwrap(), []);
    store.delete_admin("ann").await.unwrap();
    store.close().await;
}

async fn web_bridge_profiles(store: &Store) {
    let wanted = WebBridgeProfilePatch {
        allow_passcodes: Field::Set(false),
        ..WebBridgeProfilePatch::default()
    };
    let made = store.create_web_bridge_profile(wanted).await.unwrap();
    let assign = |id| SystemProfilesPatch {
        web_bridge_profile: Field::Set(id),
    };
    let nobody = store.update_system_profiles(assign(WebBridgeProfileId::from_bytes([7; 16])));
    assert!(matches!(
        nobody.await,
        Err(StoreError::NoSuchWebBridgeProfile)
    ));
    store.update_system_profiles(assign(made.id)).await.unwrap();
    let query = WebBridgeProfileQuery {
        usage: Some(ProfileUsage::Referenced),
        page: PageRequest {
            offset: 0,
            limit: 1,
        },
    };
    let page = store.web_bridge_profiles(query).await.unwrap();
    assert_eq!((page.total, page.items), (1, vec![made.clone()]));
    let numbers = EntryPoints {
        profile: made.id,
        kind: EntryPointKind::IvrNumber,
    };
    let wanted = EntryPointPatch {
        value: Field::Set("8000".into()),
        ..EntryPointPatch::default()
    };
    let point = store.create_entry_point(numbers, wanted).await.unwrap();
    assert_eq!(
        store.entry_point(numbers, point.id).await.unwrap(),
        Some(point)
    );
    store.delete_web_bridge_profile(made.id).await.unwrap();
    let assigned = store.system_web_bridge_profile().await.unwrap();
    assert_eq!(assigned, None);
}
