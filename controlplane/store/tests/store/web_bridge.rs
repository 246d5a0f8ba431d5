use plenum_model::{
    EntryPointId, EntryPointKind, EntryPointPatch, EntryPoints, Field, MAX_ENTRY_POINTS, Page,
    PageRequest, ProfileUsage, ResolveCoSpaceUris, SystemProfilesPatch, WebBridgeProfile,
    WebBridgeProfileId, WebBridgeProfilePatch, WebBridgeProfileQuery,
};
use plenum_store::{Store, StoreError};

use super::Dir;

const ALL: PageRequest = PageRequest {
    offset: 0,
    limit: 100,
};

fn named(name: &str) -> WebBridgeProfilePatch {
    WebBridgeProfilePatch {
        name: Field::Set(name.into()),
        ..WebBridgeProfilePatch::default()
    }
}

fn leads_to(value: &str) -> EntryPointPatch {
    EntryPointPatch {
        value: Field::Set(value.into()),
        ..EntryPointPatch::default()
    }
}

fn assign(id: WebBridgeProfileId) -> SystemProfilesPatch {
    SystemProfilesPatch {
        web_bridge_profile: Field::Set(id),
    }
}

fn names(page: &Page<WebBridgeProfile>) -> Vec<&str> {
    page.items.iter().map(|it| it.name.as_str()).collect()
}

async fn ivr_numbers(store: &Store) -> EntryPoints {
    let profile = store.create_web_bridge_profile(named("a")).await.unwrap();
    EntryPoints {
        profile: profile.id,
        kind: EntryPointKind::IvrNumber,
    }
}

#[tokio::test]
async fn a_profile_is_kept_with_what_is_set_and_what_is_not() {
    let dir = Dir::new();
    let store = dir.open().await;
    let wanted = WebBridgeProfilePatch {
        resource_archive: Field::Set("https://files.example.org/a.zip".into()),
        allow_passcodes: Field::Set(false),
        allow_secrets: Field::Set(true),
        resolve_co_space_uris: Field::Set(ResolveCoSpaceUris::DomainSuggestionDisabled),
        ..named("Guests")
    };
    let made = store.create_web_bridge_profile(wanted).await.unwrap();
    assert_eq!(made.user_portal_enabled, None);
    store.close().await;
    let store = dir.open().await;
    let read = store.web_bridge_profile(made.id).await.unwrap();
    assert_eq!(read, Some(made.clone()));
    let change = WebBridgeProfilePatch {
        allow_passcodes: Field::Unset,
        user_portal_enabled: Field::Set(true),
        allow_unauthenticated_guests: Field::Set(false),
        resolve_co_space_call_ids: Field::Set(false),
        ..WebBridgeProfilePatch::default()
    };
    let changed = store.update_web_bridge_profile(made.id, change).await;
    let expected = WebBridgeProfile {
        allow_passcodes: None,
        user_portal_enabled: Some(true),
        allow_unauthenticated_guests: Some(false),
        resolve_co_space_call_ids: Some(false),
        ..made.clone()
    };
    assert_eq!(changed.unwrap(), expected);
    let refused = store
        .update_web_bridge_profile(made.id, named("a\nb"))
        .await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))));
    let read = store.web_bridge_profile(made.id).await.unwrap();
    assert_eq!(read, Some(expected), "a refused change leaves nothing");
    store.delete_web_bridge_profile(made.id).await.unwrap();
    assert_eq!(store.web_bridge_profile(made.id).await.unwrap(), None);
    for refused in [
        store.delete_web_bridge_profile(made.id).await,
        store
            .update_web_bridge_profile(made.id, named("b"))
            .await
            .map(drop),
    ] {
        assert!(matches!(refused, Err(StoreError::NoSuchWebBridgeProfile)));
    }
}

#[tokio::test]
async fn profiles_are_listed_by_name_and_by_whether_they_are_assigned() {
    let dir = Dir::new();
    let store = dir.open().await;
    for name in ["b", "c", "a"] {
        store.create_web_bridge_profile(named(name)).await.unwrap();
    }
    let list = async |usage, offset, limit| {
        let page = PageRequest { offset, limit };
        let query = WebBridgeProfileQuery { usage, page };
        store.web_bridge_profiles(query).await.unwrap()
    };
    let page = list(None, 1, 1).await;
    assert_eq!((page.total, names(&page)), (3, vec!["b"]));
    let b = page.items[0].id;
    let page = list(Some(ProfileUsage::Referenced), 0, 9).await;
    assert_eq!((page.total, names(&page)), (0, vec![]));
    store.update_system_profiles(assign(b)).await.unwrap();
    let page = list(Some(ProfileUsage::Referenced), 0, 9).await;
    assert_eq!((page.total, names(&page)), (1, vec!["b"]));
    let page = list(Some(ProfileUsage::Unreferenced), 0, 9).await;
    assert_eq!((page.total, names(&page)), (2, vec!["a", "c"]));
    let page = list(None, u64::MAX, u64::MAX).await;
    assert_eq!((page.total, names(&page)), (3, vec![]));
}

#[tokio::test]
async fn the_assigned_profile_is_found_until_it_is_removed_or_taken_away() {
    let dir = Dir::new();
    let store = dir.open().await;
    let assigned = async |store: &Store| {
        let id = store.system_profiles().await.unwrap().web_bridge_profile;
        let profile = store.system_web_bridge_profile().await.unwrap();
        assert_eq!(profile.map(|profile| profile.id), id);
        id
    };
    assert_eq!(assigned(&store).await, None);
    let one = store.create_web_bridge_profile(named("a")).await.unwrap();
    store.update_system_profiles(assign(one.id)).await.unwrap();
    store.close().await;
    let store = dir.open().await;
    assert_eq!(assigned(&store).await, Some(one.id));
    let nobody = WebBridgeProfileId::from_bytes([7; 16]);
    let refused = store.update_system_profiles(assign(nobody)).await;
    assert!(
        matches!(refused, Err(StoreError::NoSuchWebBridgeProfile)),
        "{refused:?}"
    );
    let nothing = SystemProfilesPatch::default();
    store.update_system_profiles(nothing).await.unwrap();
    assert_eq!(assigned(&store).await, Some(one.id));
    let none = SystemProfilesPatch {
        web_bridge_profile: Field::Unset,
    };
    store.update_system_profiles(none).await.unwrap();
    assert_eq!(assigned(&store).await, None);
    store.update_system_profiles(assign(one.id)).await.unwrap();
    store.delete_web_bridge_profile(one.id).await.unwrap();
    assert_eq!(assigned(&store).await, None);
}

#[tokio::test]
async fn entry_points_belong_to_their_profile_and_kind() {
    let dir = Dir::new();
    let store = dir.open().await;
    let numbers = ivr_numbers(&store).await;
    let addresses = EntryPoints {
        kind: EntryPointKind::WebBridgeAddress,
        ..numbers
    };
    let other = ivr_numbers(&store).await;
    let wanted = EntryPointPatch {
        label: Field::Set("Köln".into()),
        ..leads_to("8000")
    };
    let point = store.create_entry_point(numbers, wanted).await.unwrap();
    assert_eq!(
        (point.label.as_str(), point.value.as_str()),
        ("Köln", "8000")
    );
    let read = store.entry_point(numbers, point.id).await.unwrap();
    assert_eq!(read, Some(point.clone()));
    for elsewhere in [addresses, other] {
        assert_eq!(store.entry_point(elsewhere, point.id).await.unwrap(), None);
        assert_eq!(store.entry_points(elsewhere, ALL).await.unwrap().total, 0);
        for refused in [
            store
                .update_entry_point(elsewhere, point.id, leads_to("1"))
                .await,
            store.delete_entry_point(elsewhere, point.id).await,
        ] {
            assert!(matches!(refused, Err(StoreError::NoSuchEntryPoint)));
        }
    }
    let change = EntryPointPatch {
        label: Field::Unset,
        ..leads_to("9000")
    };
    store
        .update_entry_point(numbers, point.id, change)
        .await
        .unwrap();
    let read = store.entry_point(numbers, point.id).await.unwrap().unwrap();
    assert_eq!((read.label.as_str(), read.value.as_str()), ("", "9000"));
    for (of, value) in [(numbers, ""), (addresses, "8000")] {
        let refused = store.create_entry_point(of, leads_to(value)).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{value}");
    }
    let page = store.entry_points(numbers, ALL).await.unwrap();
    assert_eq!((page.total, page.items), (1, vec![read]));
    store.delete_entry_point(numbers, point.id).await.unwrap();
    assert_eq!(store.entry_points(numbers, ALL).await.unwrap().total, 0);
}

#[tokio::test]
async fn a_profile_has_32_entry_points_of_each_kind_and_takes_them_along() {
    let dir = Dir::new();
    let store = dir.open().await;
    let numbers = ivr_numbers(&store).await;
    for n in 0..MAX_ENTRY_POINTS {
        let wanted = leads_to(&format!("{n}"));
        store.create_entry_point(numbers, wanted).await.unwrap();
    }
    let refused = store.create_entry_point(numbers, leads_to("33")).await;
    assert!(
        matches!(refused, Err(StoreError::TooManyEntryPoints)),
        "{refused:?}"
    );
    let addresses = EntryPoints {
        kind: EntryPointKind::WebBridgeAddress,
        ..numbers
    };
    let url = leads_to("https://meet.example.org/");
    store.create_entry_point(addresses, url).await.unwrap();
    let page = store.entry_points(numbers, ALL).await.unwrap();
    assert_eq!((page.total, page.items.len()), (32, 32));
    let window = PageRequest {
        offset: 30,
        limit: 20,
    };
    let page = store.entry_points(numbers, window).await.unwrap();
    assert_eq!((page.total, page.items.len()), (32, 2));
    store
        .delete_web_bridge_profile(numbers.profile)
        .await
        .unwrap();
    for of in [numbers, addresses] {
        assert_eq!(store.entry_points(of, ALL).await.unwrap().total, 0);
        let refused = store.create_entry_point(of, leads_to("1")).await;
        assert!(matches!(refused, Err(StoreError::NoSuchWebBridgeProfile)));
    }
    let nobody = EntryPointId::from_bytes([7; 16]);
    let refused = store.delete_entry_point(numbers, nobody).await;
    assert!(matches!(refused, Err(StoreError::NoSuchEntryPoint)));
}
