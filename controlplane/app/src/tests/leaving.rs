use std::time::Duration;

use plenum_abi::{EventKind, LegFlags, Nanos};
use plenum_model::CallLegState;
use plenum_sdp::{Direction, Encryption};

use super::world::*;
use crate::{Counters, EndCause, Output};

#[test]
fn a_call_ends_with_its_last_leg() {
    let mut sim = Sim::new(config());
    let (ada, bob) = (sim.join("board"), sim.join("board"));
    sim.decide(|app, world| app.ended(ada, EndCause::FarEnd, world));
    assert_eq!(sim.places.conferences.len(), 1);
    sim.decide(|app, world| app.ended(bob, EndCause::Lost, world));
    sim.assert_empty();
    let statistics = sim.app.statistics();
    assert_eq!(statistics.legs_max_active, 2);
    assert_eq!(statistics.legs_completed, 2);
    // Late news of a leg that is gone changes nothing.
    sim.decide(|app, world| app.ended(bob, EndCause::Lost, world));
    sim.decide(|app, world| app.established(ada, None, world));
    sim.assert_empty();
}

fn held(direction: Direction, sim: &mut Sim, encryption: Encryption) -> String {
    let mut media = phone(encryption);
    media.direction = direction;
    plenum_sdp::offer(&media, sim.rng()).0
}

#[test]
fn hold_and_resume_follow_the_far_end() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let state = |sim: &Sim| sim.app.call_leg(ada, sim.now).unwrap().status.state;
    for (direction, expected) in [
        (Direction::SEND, CallLegState::OnHold),
        (Direction::BOTH, CallLegState::Connected),
        (Direction::NONE, CallLegState::OnHold),
        (Direction::RECEIVE, CallLegState::Connected),
        (Direction::BOTH, CallLegState::Connected),
    ] {
        let offer = held(direction, &mut sim, Encryption::Required);
        let answer = sim.decide(|app, world| app.reoffer(ada, Some(&offer), world));
        assert!(
            answer
                .unwrap()
                .unwrap()
                .contains(direction.reversed().attribute())
        );
        assert_eq!(state(&sim), expected, "{}", direction.attribute());
        let flags = sim.media(ada).flags();
        assert_eq!(flags.contains(LegFlags::SEND), direction.receive);
        assert_eq!(flags.contains(LegFlags::RECEIVE), direction.send);
    }
}

#[test]
fn a_far_end_with_new_keys_gets_new_keys_of_ours() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let before = sim.media(ada);
    // Another offer of the phone has other keys; the pretended dataplane checks
    // that no keystream comes twice.
    let offer = phone_offer(sim.rng(), Encryption::Required);
    sim.decide(|app, world| app.reoffer(ada, Some(&offer), world))
        .unwrap();
    let after = sim.media(ada);
    assert_ne!(before.rx_keys, after.rx_keys);
    assert_ne!(before.tx_keys, after.tx_keys);
    assert_eq!(after.tx_key_epoch, before.tx_key_epoch + 1);
    assert_eq!(after.rx_key_epoch, before.rx_key_epoch + 1);
    // The same offer once more changes nothing but the revision.
    sim.decide(|app, world| app.reoffer(ada, Some(&offer), world))
        .unwrap();
    let again = sim.media(ada);
    assert_eq!(
        (again.tx_key_epoch, again.tx_keys),
        (after.tx_key_epoch, after.tx_keys)
    );
}

#[test]
fn a_bad_reoffer_leaves_the_session_as_it_was() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let before = sim.media(ada);
    let refused = sim.decide(|app, world| app.reoffer(ada, Some("nonsense"), world));
    assert_eq!(refused.unwrap_err().code, 400);
    assert_eq!(sim.media(ada), before);
    let unknown = sim.leg();
    let refused = sim.decide(|app, world| app.reoffer(unknown, None, world));
    assert_eq!(refused.unwrap_err().code, 481);
}

#[test]
fn a_reinvite_without_an_offer_gets_ours_and_its_answer_counts() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let before = sim.media(ada);
    let offer = sim.decide(|app, world| app.reoffer(ada, None, world));
    let offer = offer.unwrap().unwrap();
    let answer = plenum_sdp::answer(&offer, &phone(Encryption::Required), sim.rng()).unwrap();
    sim.decide(|app, world| app.reoffer_answered(ada, &answer.sdp, world));
    assert_ne!(sim.media(ada).tx_keys, before.tx_keys);
    assert_eq!(sim.media(ada).tx_key_epoch, before.tx_key_epoch + 1);
    // A late second answer is ignored.
    let now = sim.media(ada);
    sim.decide(|app, world| app.reoffer_answered(ada, &answer.sdp, world));
    assert_eq!(sim.media(ada), now);
}

#[test]
fn exhausted_keys_are_renewed_and_glare_is_tried_again() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let before = sim.media(ada);
    sim.media_event(ada, EventKind::KeyExhausted, 0);
    let offers = |out: &[Output]| -> Vec<String> {
        let offer = |output: &Output| match output {
            Output::Reinvite { leg, sdp } => {
                assert_eq!(*leg, ada);
                Some(sdp.clone())
            }
            _ => None,
        };
        out.iter().filter_map(offer).collect()
    };
    assert_eq!(offers(&std::mem::take(&mut sim.out)).len(), 1);
    // One offer at a time.
    sim.media_event(ada, EventKind::KeyExhausted, 0);
    assert!(offers(&sim.out).is_empty());
    sim.decide(|app, world| app.reoffer_failed(ada, 491, world));
    let out = sim.pass(Duration::from_secs(3));
    let offer = &offers(&out)[0];
    let answer = plenum_sdp::answer(offer, &phone(Encryption::Required), sim.rng()).unwrap();
    sim.decide(|app, world| app.reoffer_answered(ada, &answer.sdp, world));
    assert_ne!(sim.media(ada).tx_keys, before.tx_keys);
    assert_eq!(sim.media(ada).tx_key_epoch, before.tx_key_epoch + 1);
}

#[test]
fn a_silent_leg_is_hung_up_and_one_on_hold_is_not() {
    let mut sim = Sim::new(config());
    let (ada, bob) = (sim.join("board"), sim.join("board"));
    let offer = held(Direction::NONE, &mut sim, Encryption::Required);
    sim.decide(|app, world| app.reoffer(bob, Some(&offer), world))
        .unwrap();
    let heard_at = sim.now.monotonic + Duration::from_secs(30);
    let heard = Counters {
        last_received: Some(heard_at),
        ..Counters::default()
    };
    let place = sim.place(ada);
    sim.pass(Duration::from_secs(30));
    sim.places.counters.insert(place, heard);
    assert_eq!(hang_up_of(&sim.pass(Duration::from_secs(59))), None);
    assert_eq!(
        hang_up_of(&sim.pass(Duration::from_secs(2))),
        Some((ada, "no media"))
    );
    // Held for an hour, then resumed: a full patience from then on.
    assert_eq!(hang_up_of(&sim.pass(Duration::from_secs(3_600))), None);
    let offer = held(Direction::BOTH, &mut sim, Encryption::Required);
    sim.decide(|app, world| app.reoffer(bob, Some(&offer), world))
        .unwrap();
    assert_eq!(hang_up_of(&sim.pass(Duration::from_secs(59))), None);
    assert_eq!(
        hang_up_of(&sim.pass(Duration::from_secs(2))),
        Some((bob, "no media"))
    );
    sim.assert_empty();
}

#[test]
fn rates_are_those_of_the_last_second() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let place = sim.place(ada);
    for second in 0..4_u64 {
        let counters = Counters {
            rx_packets: 45 * second,
            rx_lost: 5 * second,
            rx_bytes: 8_000 * second,
            rx_codec: 3,
            tx_packets: 50 * second,
            tx_bytes: 10_000 * second,
            rx_jitter_us: 2_600,
            round_trip_us: 12_345,
            last_received: Some(Nanos(sim.now.monotonic.0)),
            ..Counters::default()
        };
        sim.places.counters.insert(place, counters);
        sim.pass(Duration::from_secs(1));
    }
    let status = sim.app.call_leg(ada, sim.now).unwrap().status;
    let (rx, tx) = (status.rx_audio.unwrap(), status.tx_audio.unwrap());
    assert_eq!((rx.bit_rate, tx.bit_rate), (64_000, 80_000));
    assert_eq!((rx.jitter_ms, tx.round_trip_time_ms), (3, Some(12)));
    assert!((rx.packet_loss_percentage - 10.0).abs() < 1e-9);
    let statistics = sim.app.statistics();
    assert_eq!(statistics.audio_bit_rate_incoming, 64_000);
    assert_eq!(statistics.audio_bit_rate_outgoing, 80_000);
}

#[test]
fn a_leg_that_the_dataplane_refuses_is_hung_up() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    sim.media_event(ada, EventKind::Rejected, 6);
    assert_eq!(hang_up_of(&sim.out).unwrap().0, ada);
    sim.assert_empty();
}

#[test]
fn digits_are_remembered() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    for code in [1, 10, 11, 99] {
        sim.media_event(ada, EventKind::DtmfReceived, code);
    }
    sim.app.digit_by_info(ada, '5');
    assert_eq!(sim.app.digits(ada).unwrap(), "1*#5");
    for _ in 0..100 {
        sim.app.digit_by_info(ada, '7');
    }
    assert_eq!(sim.app.digits(ada).unwrap().len(), 32);
}
