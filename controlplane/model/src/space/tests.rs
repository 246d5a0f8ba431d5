use proptest::prelude::*;

use super::*;

fn space() -> Space {
    Space::new(SpaceId::from_bytes([7; 16]))
}

/// What `validate` says of a space with one field changed.
fn check(change: impl FnOnce(&mut Space)) -> Result<(), &'static str> {
    let mut changed = space();
    change(&mut changed);
    changed.validate().map_err(|invalid| invalid.parameter)
}

#[test]
fn an_empty_space_is_valid() {
    assert_eq!(space().validate(), Ok(()));
}

#[test]
fn names_of_64_unicode_characters_are_fine_and_200_the_most() {
    assert_eq!(check(|s| s.name = "会".repeat(64)), Ok(()));
    assert_eq!(check(|s| s.name = "👩".repeat(MAX_NAME)), Ok(()));
    assert_eq!(check(|s| s.name = "a".repeat(MAX_NAME + 1)), Err("name"));
    assert_eq!(check(|s| s.name = "<b>&\"'".into()), Ok(()));
    for bad in ["a\nb", "a\0b", "a\u{85}b", "a\u{ffff}b"] {
        assert_eq!(check(|s| s.name = bad.into()), Err("name"), "{bad:?}");
    }
}

#[test]
fn a_userpart_is_the_user_of_rfc_3261() {
    for good in [
        "a",
        "team.room",
        "+4930123",
        "a%20b",
        "x;y=z",
        "-_.!~*'()&=+$,;?/",
    ] {
        assert_eq!(check(|s| s.uri = Some(good.into())), Ok(()), "{good}");
    }
    for bad in [
        "", "a b", "a@b", "a%2", "a%zz", "é", "a:b", "<a>", "a\"b", "sip:a@b",
    ] {
        assert_eq!(check(|s| s.uri = Some(bad.into())), Err("uri"), "{bad}");
        assert_eq!(
            check(|s| s.secondary_uri = Some(bad.into())),
            Err("secondaryUri"),
            "{bad}"
        );
    }
}

#[test]
fn a_userpart_has_at_most_255_characters() {
    assert_eq!(check(|s| s.uri = Some("u".repeat(255))), Ok(()));
    assert_eq!(check(|s| s.uri = Some("u".repeat(256))), Err("uri"));
}

#[test]
fn call_ids_and_passcodes_are_up_to_20_ascii_digits() {
    assert_eq!(check(|s| s.call_id = Some("0".repeat(20))), Ok(()));
    assert_eq!(check(|s| s.passcode = Some("9".repeat(20))), Ok(()));
    for bad in [
        String::new(),
        "1".repeat(21),
        "12a".into(),
        "１２".into(),
        "-1".into(),
    ] {
        assert_eq!(
            check(|s| s.call_id = Some(bad.clone())),
            Err("callId"),
            "{bad}"
        );
        assert_eq!(
            check(|s| s.passcode = Some(bad.clone())),
            Err("passcode"),
            "{bad}"
        );
    }
}

#[test]
fn a_cdr_tag_has_at_most_100_characters() {
    assert_eq!(check(|s| s.cdr_tag = Some("é".repeat(100))), Ok(()));
    assert_eq!(check(|s| s.cdr_tag = Some("é".repeat(101))), Err("cdrTag"));
}

#[test]
fn a_secret_is_url_safe_and_bounded() {
    assert_eq!(check(|s| s.secret = Some("aZ0-_".into())), Ok(()));
    assert_eq!(check(|s| s.secret = Some("a".repeat(64))), Ok(()));
    for bad in [String::new(), "a".repeat(65), "a+b".into(), "a/b".into()] {
        assert_eq!(check(|s| s.secret = Some(bad)), Err("secret"));
    }
}

#[test]
fn owners_are_bounded() {
    assert_eq!(check(|s| s.owner_jid = Some("o".repeat(255))), Ok(()));
    assert_eq!(
        check(|s| s.owner_jid = Some("o".repeat(256))),
        Err("ownerJid")
    );
    assert_eq!(
        check(|s| s.meeting_scheduler = Some("o".repeat(256))),
        Err("meetingScheduler")
    );
}

#[test]
fn a_stream_url_is_rtmp_or_rtmps() {
    for good in ["rtmp://host/app/key", "rtmps://user:pw@host:443/x"] {
        assert_eq!(
            check(|s| s.stream_url = Some(good.into())),
            Ok(()),
            "{good}"
        );
    }
    for bad in ["http://host/", "rtmp://", "rtmp:///x", "rtmp://a b", ""] {
        assert_eq!(
            check(|s| s.stream_url = Some(bad.into())),
            Err("streamUrl"),
            "{bad}"
        );
    }
    let of_length = |len: usize| format!("rtmp://{}", "h".repeat(len - 7));
    assert_eq!(check(|s| s.stream_url = Some(of_length(1_000))), Ok(()));
    assert_eq!(
        check(|s| s.stream_url = Some(of_length(1_001))),
        Err("streamUrl")
    );
}

#[test]
fn an_importance_fits_a_signed_word() {
    let with = |n| check(|s| s.pane_placement_highest_importance = Some(n));
    assert_eq!(with(MAX_IMPORTANCE), Ok(()));
    assert_eq!(
        with(MAX_IMPORTANCE + 1),
        Err("panePlacementHighestImportance")
    );
}

#[test]
fn a_patch_keeps_what_it_does_not_mention_and_unsets_what_it_makes_empty() {
    let mut changed = space();
    SpacePatch {
        passcode: Field::Set("1234".into()),
        non_member_access: Field::Set(false),
        ..SpacePatch::named("Board", "board")
    }
    .apply(&mut changed);
    let before = changed.clone();
    SpacePatch::default().apply(&mut changed);
    assert_eq!(changed, before);
    SpacePatch {
        name: Field::Unset,
        uri: Field::Unset,
        passcode: Field::Unset,
        non_member_access: Field::Unset,
        ..SpacePatch::default()
    }
    .apply(&mut changed);
    assert_eq!(changed, space());
}

#[test]
fn a_space_with_a_call_id_gets_a_secret_and_keeps_it_until_told() {
    let mut changed = space();
    changed.complete(false, [1; 16]);
    assert_eq!(changed.secret, None);
    changed.call_id = Some("1".into());
    changed.complete(false, [1; 16]);
    let first = changed.secret.clone();
    assert_eq!(first.as_ref().map(String::len), Some(22));
    changed.complete(false, [2; 16]);
    assert_eq!(changed.secret, first);
    SpacePatch {
        regenerate_secret: true,
        ..SpacePatch::default()
    }
    .apply(&mut changed);
    changed.complete(true, [2; 16]);
    assert_ne!(changed.secret, first);
    assert_eq!(changed.validate(), Ok(()));
}

#[test]
fn keys_undo_case_and_escapes() {
    assert_eq!(uri_key("Team.Room"), "team.room");
    assert_eq!(uri_key("%54eam%2eRoom"), "team.room");
    assert_eq!(uri_key("a%ff"), "a%ff");
    assert_eq!(uri_key("a%2"), "a%2");
}

proptest! {
    #[test]
    fn a_key_does_not_change_with_case(text in "[a-zA-Z0-9.%+]{0,40}") {
        let key = uri_key(&text);
        prop_assert_eq!(uri_key(&text.to_uppercase()), key.clone());
        prop_assert_eq!(uri_key(&text.to_lowercase()), key);
    }

    #[test]
    fn a_generated_call_id_is_nine_digits(random: u64) {
        let call_id = generate_call_id(random);
        prop_assert_eq!(call_id.len(), 9);
        prop_assert!(is_digits(&call_id, MAX_CALL_ID_DIGITS));
    }
}
