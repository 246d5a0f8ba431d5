use std::time::Duration;

use plenum_abi::{Event, EventKind, LegFlags};
use plenum_model::{CallLegPatch, CallLegState, CallPatch, Field, MessageDuration};

use super::world::*;
use crate::{App, Output, RestoreError, SavedLeg};

/// The control process dies; its successor has the store and the arena.
fn restart(sim: &mut Sim) {
    sim.app = App::new(config());
    sim.now.monotonic = sim.now.monotonic + Duration::from_secs(3);
    sim.now.unix_ms += 3_000;
    sim.out.clear();
}

fn restore_all(sim: &mut Sim) -> Vec<Result<(), RestoreError>> {
    let mut saved: Vec<SavedLeg> = sim.saved.values().cloned().collect();
    saved.sort_by_key(|leg| leg.id);
    saved
        .iter()
        .map(|leg| {
            // Through the text that the store keeps.
            let text = serde_json::to_string(leg).unwrap();
            let leg: SavedLeg = serde_json::from_str(&text).unwrap();
            let running = sim.places.legs.get(&leg.place).copied();
            sim.decide(|app, world| app.restore(&leg, running, false, world))
        })
        .collect()
}

#[test]
fn calls_go_on_as_they_were_and_nothing_is_told_to_the_dataplane() {
    let mut sim = Sim::new(config());
    let (ada, bob) = (sim.join("board"), sim.join("board"));
    let patch = CallLegPatch {
        rx_audio_mute: Field::Set(true),
        ..CallLegPatch::default()
    };
    sim.decide(|app, world| app.update_call_leg(bob, patch, world))
        .unwrap();
    sim.pass(Duration::from_secs(10));
    let before = sim.app.call_leg(ada, sim.now).unwrap();
    let call = sim.app.call_view(before.summary.call, sim.now).unwrap();
    restart(&mut sim);
    assert_eq!(restore_all(&mut sim), [Ok(()), Ok(())]);
    assert_eq!(sim.out, []);
    let after = sim.app.call_leg(ada, sim.now).unwrap();
    assert_eq!(after.summary, before.summary);
    assert_eq!(after.status.state, CallLegState::Connected);
    assert_eq!(
        after.status.duration,
        before.status.duration + Duration::from_secs(3)
    );
    assert_eq!(after.status.cipher_suite, before.status.cipher_suite);
    let call_after = sim.app.call_view(call.summary.id, sim.now).unwrap();
    assert_eq!(call_after.num_call_legs, 2);
    assert_eq!(call_after.max_call_legs, 2);
    assert_eq!(call_after.summary, call.summary);
    let bob_after = sim.app.call_leg(bob, sim.now).unwrap();
    assert_eq!(bob_after.configuration.rx_audio_mute, Some(true));
    // A newcomer joins the same call, and changes still reach the dataplane.
    let eve = sim.join("board");
    assert_eq!(sim.media(eve).conference, sim.media(ada).conference);
    let revision = sim.media(bob).revision;
    let unmute = CallLegPatch {
        rx_audio_mute: Field::Set(false),
        ..CallLegPatch::default()
    };
    sim.decide(|app, world| app.update_call_leg(bob, unmute, world))
        .unwrap();
    assert_eq!(sim.media(bob).revision, revision + 1);
    assert!(!sim.media(bob).flags().contains(LegFlags::RX_AUDIO_MUTE));
    for leg in [ada, bob, eve] {
        sim.decide(|app, world| app.hang_up(leg, world)).unwrap();
    }
    assert!(sim.places.legs.is_empty() && sim.places.conferences.is_empty());
}

#[test]
fn a_leg_that_the_dataplane_removed_is_not_set_up_with_used_keys() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let place = sim.place(ada);
    sim.places.legs.remove(&place);
    restart(&mut sim);
    assert_eq!(restore_all(&mut sim), [Err(RestoreError::MediaGone)]);
    assert_eq!(sim.app.statistics().legs_active, 0);
    assert!(sim.app.leg_at(place).is_none());
}

#[test]
fn a_leg_whose_command_was_lost_is_set_up_now() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let place = sim.place(ada);
    let wanted = sim.places.legs.remove(&place).unwrap();
    sim.places.conferences.clear();
    restart(&mut sim);
    let saved = sim.saved[&ada].clone();
    sim.decide(|app, world| app.restore(&saved, None, true, world))
        .unwrap();
    assert_eq!(sim.media(ada), wanted);
    assert_eq!(sim.places.conferences.len(), 1);
}

#[test]
fn what_the_worker_has_counts_where_it_is_newer() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let stale = sim.saved[&ada].clone();
    let patch = CallLegPatch {
        tx_audio_mute: Field::Set(true),
        ..CallLegPatch::default()
    };
    sim.decide(|app, world| app.update_call_leg(ada, patch, world))
        .unwrap();
    restart(&mut sim);
    let running = sim.places.legs.get(&stale.place).copied();
    sim.decide(|app, world| app.restore(&stale, running, false, world))
        .unwrap();
    assert_eq!(sim.out, []);
    let view = sim.app.call_leg(ada, sim.now).unwrap();
    assert_eq!(view.configuration.tx_audio_mute, Some(true));
    assert_eq!(view.configuration.rx_audio_mute, None);
    // The next change is newer than what runs; the pretended dataplane checks.
    let patch = CallLegPatch {
        rx_audio_mute: Field::Set(true),
        ..CallLegPatch::default()
    };
    sim.decide(|app, world| app.update_call_leg(ada, patch, world))
        .unwrap();
}

#[test]
fn what_cannot_be_taken_up_is_said() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let good = sim.saved[&ada].clone();
    restart(&mut sim);
    let mut restore = |saved: &SavedLeg| {
        let running = sim.places.legs.get(&saved.place).copied();
        sim.decide(|app, world| app.restore(saved, running, false, world))
    };
    let unreadable = SavedLeg {
        config: vec![1, 2, 3],
        ..good.clone()
    };
    assert_eq!(restore(&unreadable), Err(RestoreError::Unreadable));
    let calling = SavedLeg {
        connected: false,
        outgoing: true,
        ..good.clone()
    };
    assert_eq!(restore(&calling), Err(RestoreError::NotConnected));
    assert_eq!(restore(&good), Ok(()));
    assert!(!format!("{good:?}").contains("config"), "no keys in logs");
}

#[test]
fn a_new_worker_is_told_what_it_lacks_and_no_more() {
    let mut sim = Sim::new(config());
    let (ada, bob) = (sim.join("board"), sim.join("sales"));
    let started = Event {
        kind: EventKind::WorkerStarted as u32,
        value: 2,
        ..Event::default()
    };
    sim.decide(|app, world| app.media_event(0, &started, world));
    assert_eq!(sim.out, [], "it found everything in the arena");
    let wanted = sim.places.legs.remove(&sim.saved[&bob].place).unwrap();
    sim.decide(|app, world| app.media_event(0, &started, world));
    assert_eq!(
        std::mem::take(&mut sim.out),
        [Output::SetLeg {
            place: sim.place(bob),
            config: Box::new(wanted),
        }]
    );
    sim.decide(|app, world| app.media_event(1, &started, world));
    assert_eq!(sim.out, [], "another worker's legs are not its business");
    assert!(sim.app.call_leg(ada, sim.now).is_ok());
}

#[test]
fn a_message_and_a_label_outlive_the_control_plane() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let call = sim.app.call_leg(ada, sim.now).unwrap().summary.call;
    let patch = CallPatch {
        message_text: Field::Set("Fire drill".into()),
        message_duration: Field::Set(MessageDuration::Seconds(60)),
        ..CallPatch::default()
    };
    sim.decide(|app, world| app.update_call(call, patch, world))
        .unwrap();
    let before = *sim.places.looks.values().next().unwrap();
    restart(&mut sim);
    assert_eq!(restore_all(&mut sim), [Ok(())]);
    assert!(sim.out.is_empty(), "{:?}", sim.out);
    let view = sim.app.call_view(call, sim.now).unwrap();
    assert_eq!(view.message_remaining, Some(Duration::from_secs(57)));

    // What the media plane lost is told again, on its clock as it was.
    sim.places.looks.clear();
    sim.places.labels.clear();
    restart(&mut sim);
    assert_eq!(restore_all(&mut sim), [Ok(())]);
    assert_eq!(sim.places.looks.values().collect::<Vec<_>>(), [&before]);
    assert_eq!(sim.places.labels.len(), 1);
}
