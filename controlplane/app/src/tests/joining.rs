use plenum_abi::{AudioCodec, LegFlags, SrtpSuite};
use plenum_model::{CallLegState, CipherSuite, MediaEncryption};
use plenum_sdp::Encryption;

use super::world::*;
use crate::{Incoming, Output};

#[test]
fn a_call_begins_with_its_first_leg_and_is_shared_by_the_next() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let bob = sim.join("board");
    let eve = sim.join("sales");
    let view = |sim: &Sim, leg| sim.app.call_leg(leg, sim.now).unwrap();
    let call = view(&sim, ada).summary.call;
    assert_eq!(view(&sim, bob).summary.call, call);
    assert_ne!(view(&sim, eve).summary.call, call);
    let shown = sim.app.call_view(call, sim.now).unwrap();
    assert_eq!(shown.summary.name, "Space board");
    assert_eq!((shown.num_call_legs, shown.max_call_legs), (2, 2));
    assert_eq!(sim.places.conferences.len(), 2);
    assert_eq!(sim.media(ada).conference, sim.media(bob).conference);
    assert_ne!(sim.media(ada).tx_ssrc, sim.media(bob).tx_ssrc);
}

#[test]
fn a_leg_is_shown_as_what_was_negotiated() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let view = sim.app.call_leg(ada, sim.now).unwrap();
    assert_eq!(view.summary.name, "Ada");
    assert_eq!(view.summary.remote_party, "ada@phones.example.net");
    assert_eq!(view.local_address, "board@Example.ORG");
    assert_eq!(view.status.state, CallLegState::Connected);
    assert!(view.status.encrypted_media && !view.status.unencrypted_media);
    assert_eq!(
        view.status.cipher_suite,
        Some(CipherSuite::AesCm128HmacSha1_80)
    );
    let media = sim.media(ada);
    assert_eq!(media.suite(), Some(SrtpSuite::AesCm128HmacSha1_80));
    assert_eq!(media.tx_codec().unwrap().0, AudioCodec::G722);
    assert_eq!(
        media.remote_rtp.get().unwrap().to_string(),
        "192.0.2.10:4000"
    );
    let flags = media.flags();
    for flag in [LegFlags::SEND, LegFlags::RECEIVE, LegFlags::LEARN_ADDRESS] {
        assert!(flags.contains(flag));
    }
    assert!(!flags.contains(LegFlags::RX_AUDIO_MUTE));
    assert_eq!(media.leg_guid, ada.to_bytes());
}

#[test]
fn media_is_set_up_before_the_answer_leaves() {
    let mut sim = Sim::new(config());
    let offer = phone_offer(sim.rng(), Encryption::Prohibited);
    let (_, out) = sim.call("board", Some(offer));
    let position = |wanted: fn(&Output) -> bool| out.iter().position(wanted).unwrap();
    let conference = position(|output| matches!(output, Output::SetConference { .. }));
    let leg = position(|output| matches!(output, Output::SetLeg { .. }));
    let accept = position(|output| matches!(output, Output::Accept { .. }));
    assert!(conference < leg && leg < accept);
    let Output::SetConference { config, .. } = &out[conference] else {
        unreachable!();
    };
    assert_eq!(config.join_tone_participants_max, 3);
    assert_eq!(config.leave_tone_participants_max, 4);
}

#[test]
fn who_calls_without_an_offer_gets_ours() {
    let mut sim = Sim::new(config());
    let (leg, out) = sim.call("board", None);
    let ours = answer_of(&out).unwrap().to_owned();
    assert!(sim.places.legs.is_empty(), "nothing is agreed yet");
    let answer = plenum_sdp::answer(&ours, &phone(Encryption::Optional), sim.rng()).unwrap();
    sim.decide(|app, world| app.established(leg, Some(&answer.sdp), world));
    assert_eq!(sim.media(leg).remote_rtp.port, 4_000);
    let view = sim.app.call_leg(leg, sim.now).unwrap();
    assert_eq!(view.status.state, CallLegState::Connected);
}

#[test]
fn an_acknowledgement_without_the_answer_ends_the_leg() {
    let mut sim = Sim::new(config());
    let (leg, _) = sim.call("board", None);
    sim.decide(|app, world| app.established(leg, None, world));
    assert_eq!(hang_up_of(&sim.out).unwrap().0, leg);
    sim.assert_empty();
}

#[test]
fn strangers_domains_and_unknown_spaces_are_404() {
    let mut sim = Sim::new(config());
    let offer = || Some("v=0".to_owned());
    let elsewhere = Incoming {
        host: "example.com".to_owned(),
        ..incoming("board", offer())
    };
    let leg = sim.leg();
    let out = sim.incoming(leg, elsewhere);
    assert_eq!(refusal_of(&out).unwrap().0, 404);
    let (_, out) = sim.call("nobody", offer());
    assert_eq!(refusal_of(&out).unwrap().0, 404);
    // The address on which it came is ours without being listed.
    let by_address = Incoming {
        host: OURS.to_owned(),
        ..incoming("nobody", offer())
    };
    let leg = sim.leg();
    let out = sim.incoming(leg, by_address);
    assert_eq!(refusal_of(&out).unwrap(), (404, "no such space", None));
    sim.assert_empty();
}

#[test]
fn an_unusable_offer_is_refused_and_leaves_nothing() {
    let mut sim = Sim::new(config());
    let (_, out) = sim.call("board", Some("nonsense".to_owned()));
    assert_eq!(refusal_of(&out).unwrap().0, 400);
    sim.assert_empty();
}

#[test]
fn encryption_is_held_to() {
    for (wish, offered, code) in [
        (MediaEncryption::Required, Encryption::Prohibited, 488),
        (MediaEncryption::Prohibited, Encryption::Required, 488),
    ] {
        let mut sim = Sim::new(crate::AppConfig {
            encryption: wish,
            ..config()
        });
        let offer = phone_offer(sim.rng(), offered);
        let (_, out) = sim.call("board", Some(offer));
        assert_eq!(refusal_of(&out).unwrap().0, code, "{wish}");
        sim.assert_empty();
    }
}

#[test]
fn a_passcode_is_dialled_behind_a_star() {
    let mut sim = Sim::new(config());
    sim.spaces[0].passcode = Some("4711".to_owned());
    let offer = phone_offer(sim.rng(), Encryption::Optional);
    let mut call = |user: &str| {
        let (leg, out) = sim.call(user, Some(offer.clone()));
        let refusal = refusal_of(&out).map(|(code, reason, _)| (code, reason.to_owned()));
        if refusal.is_none() {
            assert!(answer_of(&out).is_some());
            let view = sim.app.call_leg(leg, sim.now).unwrap();
            assert!(!view.local_address.contains('*'), "no passcode shown");
        }
        refusal
    };
    assert_eq!(call("board*4711"), None);
    assert_eq!(call("board").unwrap().0, 403);
    assert_eq!(call("board*").unwrap().1, "wrong passcode");
    assert_eq!(call("board*471").unwrap().0, 403);
    assert_eq!(call("board*47110").unwrap().0, 403);
    assert_eq!(call("nobody*4711").unwrap().0, 404);
    assert_eq!(call("*4711").unwrap().0, 404);
    // Without a passcode to check, a star too many does no harm.
    assert_eq!(call("sales*1"), None);
}

#[test]
fn who_guesses_is_not_listened_to_any_more() {
    let mut sim = Sim::new(config());
    sim.spaces[0].passcode = Some("4711".to_owned());
    let offer = phone_offer(sim.rng(), Encryption::Optional);
    for guess in 0..5 {
        let (_, out) = sim.call(&format!("board*{guess}"), Some(offer.clone()));
        assert_eq!(refusal_of(&out).unwrap().1, "wrong passcode");
    }
    let (_, out) = sim.call("board*4711", Some(offer));
    let (code, reason, _) = refusal_of(&out).unwrap();
    assert_eq!(code, 403);
    assert!(reason.contains("later"));
    sim.assert_empty();
}

#[test]
fn members_only_is_members_only() {
    let mut sim = Sim::new(config());
    sim.spaces[0].non_member_access = false;
    let (_, out) = sim.call("board", None);
    assert_eq!(refusal_of(&out).unwrap().0, 403);
}

#[test]
fn full_is_503_with_retry_after() {
    let mut sim = Sim::new(crate::AppConfig {
        legs_max: 3,
        participants_max: Some(2),
        ..config()
    });
    let board = [sim.join("board"), sim.join("board")];
    let (_, out) = sim.call("board", None);
    let (code, reason, retry_after) = refusal_of(&out).unwrap();
    assert_eq!((code, retry_after), (503, Some(7)));
    assert!(reason.contains("participants"));
    sim.join("sales");
    let (_, out) = sim.call("sales", None);
    let (code, reason, retry_after) = refusal_of(&out).unwrap();
    assert_eq!(
        (code, reason, retry_after),
        (503, "the server is full", Some(7))
    );
    // A place that is given up can be taken.
    sim.decide(|app, world| app.hang_up(board[0], world))
        .unwrap();
    sim.join("board");
}

#[test]
fn no_slot_is_503_and_leaves_no_empty_call() {
    let mut sim = Sim::new(config());
    sim.places.legs_max = 0;
    let (_, out) = sim.call("board", None);
    assert_eq!(refusal_of(&out).unwrap().0, 503);
    sim.assert_empty();
}

#[test]
fn a_database_that_does_not_answer_is_not_a_404() {
    let mut sim = Sim::new(config());
    let leg = sim.leg();
    let call = incoming("board", None);
    sim.decide(|app, world| app.incoming(leg, call, world));
    sim.decide(|app, world| app.not_resolved(leg, world));
    assert_eq!(refusal_of(&sim.out).unwrap().0, 500);
    sim.assert_empty();
}

#[test]
fn who_gives_up_before_the_space_is_found_leaves_nothing() {
    let mut sim = Sim::new(config());
    let leg = sim.leg();
    let call = incoming("board", None);
    sim.decide(|app, world| app.incoming(leg, call, world));
    sim.decide(|app, world| app.ended(leg, crate::EndCause::FarEnd, world));
    sim.resolve();
    assert!(answer_of(&sim.out).is_none());
    sim.assert_empty();
}

#[test]
fn a_call_can_take_the_place_of_a_leg() {
    let mut sim = Sim::new(config());
    let old = sim.join("board");
    let call = sim.app.call_leg(old, sim.now).unwrap().summary.call;
    let new = sim.leg();
    let offer = phone_offer(sim.rng(), Encryption::Optional);
    let transfer = Incoming {
        replaces: Some(Some(old)),
        ..incoming("whatever", Some(offer))
    };
    let out = sim.incoming(new, transfer);
    assert!(answer_of(&out).is_some());
    assert_eq!(hang_up_of(&out), Some((old, "replaced")));
    let view = sim.app.call_leg(new, sim.now).unwrap();
    assert_eq!(view.summary.call, call);
    let unknown = Incoming {
        replaces: Some(None),
        ..incoming("board", None)
    };
    let leg = sim.leg();
    let out = sim.incoming(leg, unknown);
    assert_eq!(refusal_of(&out).unwrap().0, 481);
}
