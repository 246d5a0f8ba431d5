use super::*;

fn label(text: &str) -> CallLegPatch {
    CallLegPatch {
        name_label_override: Field::Set(text.to_owned()),
        ..CallLegPatch::default()
    }
}

fn digits(text: &str) -> CallLegPatch {
    CallLegPatch {
        dtmf_sequence: Some(text.to_owned()),
        ..CallLegPatch::default()
    }
}

#[test]
fn a_name_label_has_at_most_50_bytes() {
    assert_eq!(label(&"é".repeat(25)).validate(), Ok(()));
    let too_long = label(&format!("{}a", "é".repeat(25)));
    assert_eq!(
        too_long.validate(),
        Err(InvalidField::new("nameLabelOverride"))
    );
    assert!(label("a\u{7}b").validate().is_err());
}

#[test]
fn a_dtmf_sequence_has_at_most_127_digits() {
    assert_eq!(digits(&"1".repeat(127)).validate(), Ok(()));
    assert_eq!(digits("0123456789*#,,ABCDabcd").validate(), Ok(()));
    for bad in ["1".repeat(128), "12x".into(), "1 2".into(), "１".into()] {
        assert_eq!(
            digits(&bad).validate(),
            Err(InvalidField::new("dtmfSequence")),
            "{bad}"
        );
    }
}

#[test]
fn an_owner_id_is_bounded() {
    let owner = |text: String| CallLegPatch {
        owner_id: Field::Set(text),
        ..CallLegPatch::default()
    };
    assert_eq!(owner("o".repeat(crate::MAX_OWNER)).validate(), Ok(()));
    assert_eq!(
        owner("o".repeat(crate::MAX_OWNER + 1)).validate(),
        Err(InvalidField::new("ownerId"))
    );
}

#[test]
fn a_remote_party_is_one_bounded_word() {
    let dial = |text: String| {
        DialOut {
            remote_party: text,
            settings: CallLegPatch::default(),
        }
        .validate()
    };
    assert_eq!(dial("sip:ann@example.com;transport=tcp".into()), Ok(()));
    assert_eq!(dial("a".repeat(MAX_REMOTE_PARTY)), Ok(()));
    for bad in [
        String::new(),
        "a".repeat(MAX_REMOTE_PARTY + 1),
        "ann@example.com\r\nVia: x".into(),
        "<sip:ann@example.com>".into(),
        "ann bob".into(),
    ] {
        assert_eq!(dial(bad), Err(InvalidField::new("remoteParty")));
    }
}

#[test]
fn a_patch_changes_only_what_it_mentions() {
    let mut configuration = CallLegConfiguration {
        rx_audio_mute: Some(true),
        tx_audio_mute: Some(true),
        ..CallLegConfiguration::default()
    };
    CallLegPatch {
        rx_audio_mute: Field::Unset,
        chosen_layout: Field::Set(Layout::Stacked),
        ..CallLegPatch::default()
    }
    .apply(&mut configuration);
    assert_eq!(
        configuration,
        CallLegConfiguration {
            tx_audio_mute: Some(true),
            chosen_layout: Some(Layout::Stacked),
            ..CallLegConfiguration::default()
        }
    );
}

#[test]
fn a_filter_looks_at_names_and_addresses_in_either_case() {
    let leg = CallLegSummary {
        id: CallLegId::from_bytes([1; 16]),
        name: "Ann Müller".into(),
        remote_party: "ann@example.com".into(),
        original_remote_party: "4711@example.com".into(),
        call: CallId::from_bytes([2; 16]),
    };
    let query = |filter: &str| CallLegQuery {
        call: None,
        leg: None,
        filter: Some(filter.into()),
        page: PageRequest {
            offset: 0,
            limit: 10,
        },
    };
    for hit in ["MÜLL", "ANN@", "4711", ""] {
        assert!(query(hit).matches(&leg), "{hit}");
    }
    assert!(!query("bob").matches(&leg));
    let mut other_call = query("ann");
    other_call.call = Some(CallId::from_bytes([3; 16]));
    assert!(!other_call.matches(&leg));
}
