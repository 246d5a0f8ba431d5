//! Random histories against a map that is obviously right.

use std::collections::BTreeMap;

use plenum_model::{Field, PageRequest, Space, SpaceId, SpacePatch, SpaceQuery, uri_key};
use plenum_store::{Store, StoreError};
use proptest::prelude::*;

use super::Dir;

#[derive(Clone, Debug)]
enum Step {
    Create(SpacePatch),
    /// The space with this place in the order of ids, if there is one.
    Update(usize, SpacePatch),
    Delete(usize),
    List(SpaceQuery),
    Resolve(String),
}

/// Few different values, so that they collide.
fn field(text: &'static str) -> impl Strategy<Value = Field<String>> {
    prop_oneof![
        2 => Just(Field::Keep),
        1 => Just(Field::Unset),
        3 => text.prop_map(Field::Set),
    ]
}

fn patch() -> impl Strategy<Value = SpacePatch> {
    (
        field("[aAéß_%]{1,3}"),
        field("[aA]|b|[cC]c?|x y"),
        field("[aA]|b|d"),
        field("[1-3]|z"),
        any::<bool>(),
    )
        .prop_map(
            |(name, uri, secondary_uri, call_id, non_member)| SpacePatch {
                name,
                uri,
                secondary_uri,
                call_id,
                non_member_access: Field::Set(non_member),
                ..SpacePatch::default()
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    let list = ("[aAéß_%1]{0,2}", 0_u64..4, 0_u64..4).prop_map(|(filter, offset, limit)| {
        Step::List(SpaceQuery {
            filter: Some(filter),
            page: PageRequest { offset, limit },
        })
    });
    prop_oneof![
        4 => patch().prop_map(Step::Create),
        4 => (0_usize..6, patch()).prop_map(|(n, patch)| Step::Update(n, patch)),
        1 => (0_usize..6).prop_map(Step::Delete),
        2 => list,
        2 => "[aA]|b|[cC]c?|d|[1-3]".prop_map(Step::Resolve),
    ]
}

#[derive(Debug, Eq, PartialEq)]
enum No {
    Invalid(&'static str),
    Uri,
    CallId,
}

#[derive(Default)]
struct Model(BTreeMap<SpaceId, Space>);

impl Model {
    fn nth(&self, n: usize) -> Option<SpaceId> {
        self.0.keys().nth(n).copied()
    }

    fn uris(space: &Space) -> Vec<String> {
        let uris = [&space.uri, &space.secondary_uri];
        uris.into_iter().flatten().map(|uri| uri_key(uri)).collect()
    }

    fn check(&self, space: &Space) -> Result<(), No> {
        space
            .validate()
            .map_err(|invalid| No::Invalid(invalid.parameter))?;
        let others = || self.0.values().filter(|other| other.id != space.id);
        if space.call_id.is_some() && others().any(|other| other.call_id == space.call_id) {
            return Err(No::CallId);
        }
        let mut taken: Vec<String> = others().flat_map(Self::uris).collect();
        for uri in Self::uris(space) {
            if taken.contains(&uri) {
                return Err(No::Uri);
            }
            taken.push(uri);
        }
        Ok(())
    }

    fn list(&self, query: &SpaceQuery) -> (u64, Vec<Space>) {
        let filter = query.filter.as_deref().unwrap_or_default().to_lowercase();
        let holds = |text: &str| text.to_lowercase().contains(&filter);
        let mut matching: Vec<&Space> = self
            .0
            .values()
            .filter(|space| {
                holds(&space.name)
                    || [&space.uri, &space.secondary_uri, &space.call_id]
                        .into_iter()
                        .flatten()
                        .any(|text| holds(text))
            })
            .collect();
        matching.sort_by_key(|space| {
            let lower = |text: &Option<String>| text.as_deref().unwrap_or_default().to_lowercase();
            (
                format!(
                    "{}\n{}\n{}\n{}",
                    space.name.to_lowercase(),
                    lower(&space.uri),
                    lower(&space.secondary_uri),
                    lower(&space.call_id)
                ),
                space.id,
            )
        });
        let total = matching.len() as u64;
        let window = matching
            .into_iter()
            .skip(usize::try_from(query.page.offset).unwrap())
            .take(usize::try_from(query.page.limit).unwrap());
        (total, window.cloned().collect())
    }

    fn resolve(&self, user: &str) -> Option<SpaceId> {
        let by_uri = |space: &&Space| Self::uris(space).contains(&uri_key(user));
        let by_number = |space: &&Space| space.call_id.as_deref() == Some(user);
        let found = self.0.values().find(by_uri);
        let found = found.or_else(|| self.0.values().find(by_number));
        found.map(|space| space.id)
    }
}

fn no(error: StoreError) -> No {
    match error {
        StoreError::Invalid(invalid) => No::Invalid(invalid.parameter),
        StoreError::DuplicateUri => No::Uri,
        StoreError::DuplicateCallId => No::CallId,
        error => panic!("{error:?}"),
    }
}

/// What the store made of `expected`, which knows neither id nor secret before.
fn same_but_for_the_secret(stored: &Space, mut expected: Space) -> Result<Space, TestCaseError> {
    prop_assert_eq!(
        stored.secret.is_some(),
        expected.secret.is_some() || expected.call_id.is_some()
    );
    if expected.secret.is_some() {
        prop_assert_eq!(&stored.secret, &expected.secret);
    }
    expected.secret.clone_from(&stored.secret);
    prop_assert_eq!(stored, &expected);
    Ok(expected)
}

async fn run(store: &Store, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Create(patch) => {
                let made = store.create_space(patch.clone()).await;
                let id = made.as_ref().map_or(SpaceId::from_bytes([0; 16]), |s| s.id);
                let mut expected = Space::new(id);
                patch.apply(&mut expected);
                match (made, model.check(&expected)) {
                    (Ok(stored), Ok(())) => {
                        let space = same_but_for_the_secret(&stored, expected)?;
                        model.0.insert(id, space);
                    }
                    (made, expected) => {
                        prop_assert_eq!(made.map(|_| ()).map_err(no), expected);
                    }
                }
            }
            Step::Update(n, patch) => {
                let Some(id) = model.nth(n) else { continue };
                let mut expected = model.0[&id].clone();
                patch.clone().apply(&mut expected);
                let made = store.update_space(id, patch).await;
                match (made, model.check(&expected)) {
                    (Ok(stored), Ok(())) => {
                        let space = same_but_for_the_secret(&stored, expected)?;
                        model.0.insert(id, space);
                    }
                    (made, expected) => {
                        prop_assert_eq!(made.map(|_| ()).map_err(no), expected);
                    }
                }
            }
            Step::Delete(n) => {
                let Some(id) = model.nth(n) else { continue };
                store.delete_space(id).await.unwrap();
                model.0.remove(&id);
            }
            Step::List(query) => {
                let page = store.spaces(&query).await.unwrap();
                prop_assert_eq!((page.total, page.items), model.list(&query));
            }
            Step::Resolve(user) => {
                let found = store.resolve_space(&user).await.unwrap();
                prop_assert_eq!(found.map(|space| space.id), model.resolve(&user));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_a_map_does(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let dir = Dir::new();
            let store = dir.open().await;
            let outcome = run(&store, steps).await;
            store.close().await;
            outcome
        })?;
    }
}
