use std::time::Duration;

use plenum_abi::LegFlags;
use plenum_model::{
    CallId, CallLegId, CallLegPatch, CallLegQuery, CallLegState, CallPatch, CallQuery, DialOut,
    Direction, Field, PageRequest,
};
use plenum_sdp::Encryption;

use super::world::*;
use crate::{App, Error, Output};

const ALL: PageRequest = PageRequest {
    offset: 0,
    limit: 100,
};

fn call_of(sim: &Sim, leg: CallLegId) -> CallId {
    sim.app.call_leg(leg, sim.now).unwrap().summary.call
}

fn legs(sim: &Sim, call: Option<CallId>) -> Vec<CallLegId> {
    let query = CallLegQuery {
        call,
        leg: None,
        filter: None,
        page: ALL,
    };
    let page = sim.app.call_legs(&query).unwrap();
    page.items.iter().map(|leg| leg.id).collect()
}

#[test]
fn lists_are_in_the_order_of_creation() {
    let mut sim = Sim::new(config());
    let first = sim.join("sales");
    let rest = [sim.join("board"), sim.join("sales"), sim.join("board")];
    assert_eq!(legs(&sim, None), [first, rest[0], rest[1], rest[2]]);
    let sales = call_of(&sim, first);
    assert_eq!(legs(&sim, Some(sales)), [first, rest[1]]);
    let query = CallQuery {
        space: None,
        page: ALL,
    };
    let calls = sim.app.calls(query);
    assert_eq!(calls.total, 2);
    assert_eq!(calls.items[0].id, sales);
    let unknown = CallLegQuery {
        call: Some(CallId::from_bytes([9; 16])),
        leg: None,
        filter: None,
        page: ALL,
    };
    assert_eq!(sim.app.call_legs(&unknown), Err(Error::NoSuchCall));
}

#[test]
fn muting_reaches_the_dataplane_and_is_undone() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let mut change = |rx: Field<bool>, tx: Field<bool>| {
        let patch = CallLegPatch {
            rx_audio_mute: rx,
            tx_audio_mute: tx,
            ..CallLegPatch::default()
        };
        sim.decide(|app, world| app.update_call_leg(ada, patch, world))
            .unwrap();
        let flags = sim.media(ada).flags();
        (
            flags.contains(LegFlags::RX_AUDIO_MUTE),
            flags.contains(LegFlags::TX_AUDIO_MUTE),
        )
    };
    assert_eq!(change(Field::Set(true), Field::Keep), (true, false));
    assert_eq!(change(Field::Keep, Field::Set(true)), (true, true));
    assert_eq!(change(Field::Unset, Field::Keep), (false, true));
    assert_eq!(change(Field::Keep, Field::Set(false)), (false, false));
    let patch = CallLegPatch {
        name_label_override: Field::Set("Countess".to_owned()),
        ..CallLegPatch::default()
    };
    let revision = sim.media(ada).revision;
    sim.decide(|app, world| app.update_call_leg(ada, patch, world))
        .unwrap();
    assert_eq!(sim.media(ada).revision, revision, "a label is no media");
    let view = sim.app.call_leg(ada, sim.now).unwrap();
    assert_eq!(view.summary.name, "Countess");
}

#[test]
fn a_mute_survives_a_change_of_session() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let patch = CallLegPatch {
        rx_audio_mute: Field::Set(true),
        ..CallLegPatch::default()
    };
    sim.decide(|app, world| app.update_call_leg(ada, patch, world))
        .unwrap();
    let offer = phone_offer(sim.rng(), Encryption::Required);
    sim.decide(|app, world| app.reoffer(ada, Some(&offer), world))
        .unwrap();
    assert!(sim.media(ada).flags().contains(LegFlags::RX_AUDIO_MUTE));
}

#[test]
fn hanging_up_and_ending_leave_nothing() {
    let mut sim = Sim::new(config());
    let (ada, bob) = (sim.join("board"), sim.join("board"));
    let call = call_of(&sim, ada);
    sim.decide(|app, world| app.hang_up(ada, world)).unwrap();
    assert_eq!(hang_up_of(&sim.out).unwrap().0, ada);
    let again = sim.decide(|app, world| app.hang_up(ada, world));
    assert_eq!(again, Err(Error::NoSuchCallLeg));
    sim.out.clear();
    sim.decide(|app, world| app.end_call(call, world)).unwrap();
    assert_eq!(hang_up_of(&sim.out).unwrap().0, bob);
    sim.assert_empty();
    let again = sim.decide(|app, world| app.end_call(call, world));
    assert_eq!(again, Err(Error::NoSuchCall));
}

#[test]
fn stopping_tells_everybody() {
    let mut sim = Sim::new(config());
    for space in ["board", "board", "sales"] {
        sim.join(space);
    }
    sim.decide(App::stop);
    let told = sim
        .out
        .iter()
        .filter(|output| matches!(output, Output::HangUp { .. }));
    assert_eq!(told.count(), 3);
    sim.assert_empty();
}

fn dial(sim: &mut Sim, call: CallId, digits: Option<&str>) -> (CallLegId, String) {
    let leg = sim.leg();
    let wanted = DialOut {
        remote_party: "sip:bob@phones.example.net;transport=tcp".to_owned(),
        settings: CallLegPatch {
            dtmf_sequence: digits.map(str::to_owned),
            ..CallLegPatch::default()
        },
    };
    let ours = OURS.parse().unwrap();
    sim.decide(|app, world| app.dial_out(leg, call, wanted, ours, world))
        .unwrap();
    let invitation = sim.out.iter().find_map(|output| match output {
        Output::Invite { invitation, .. } => Some(invitation.clone()),
        _ => None,
    });
    let invitation = invitation.unwrap();
    assert_eq!(invitation.from_user, "board");
    assert_eq!(invitation.from_display, "Space board");
    sim.out.clear();
    (leg, invitation.sdp)
}

#[test]
fn somebody_is_called_rings_answers_and_hears_digits() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let call = call_of(&sim, ada);
    let (bob, offer) = dial(&mut sim, call, Some("1,#"));
    let state = |sim: &Sim| sim.app.call_leg(bob, sim.now).unwrap().status.state;
    assert_eq!(state(&sim), CallLegState::Initial);
    let now = sim.now.monotonic;
    sim.app.progress(bob, 180, now);
    assert_eq!(state(&sim), CallLegState::Ringing);
    let answer = plenum_sdp::answer(&offer, &phone(Encryption::Required), sim.rng()).unwrap();
    sim.decide(|app, world| app.established(bob, Some(&answer.sdp), world));
    assert_eq!(state(&sim), CallLegState::Connected);
    let view = sim.app.call_leg(bob, sim.now).unwrap();
    assert_eq!(view.direction, Direction::Outgoing);
    assert_eq!(view.summary.remote_party, "bob@phones.example.net");
    assert_eq!(view.summary.name, "bob");
    let out = sim.pass(Duration::from_secs(3));
    let digits: Vec<u8> = out
        .iter()
        .filter_map(|output| match output {
            Output::SendDtmf { digit, .. } => Some(digit.event),
            _ => None,
        })
        .collect();
    assert_eq!(digits, [1, 11]);
}

#[test]
fn who_does_not_answer_or_refuses_is_gone() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let call = call_of(&sim, ada);
    let (busy, _) = dial(&mut sim, call, None);
    sim.decide(|app, world| app.rejected(busy, 486, "Busy Here", world));
    let (absent, _) = dial(&mut sim, call, None);
    assert_eq!(hang_up_of(&sim.pass(Duration::from_secs(29))), None);
    let out = sim.pass(Duration::from_secs(2));
    assert_eq!(hang_up_of(&out), Some((absent, "no answer")));
    assert_eq!(legs(&sim, None), [ada]);
    assert_eq!(sim.app.statistics().legs_completed, 0);
}

#[test]
fn a_call_made_ahead_waits_five_minutes_for_its_first_leg() {
    let mut sim = Sim::new(config());
    let board = sim.spaces[0].clone();
    let call = sim
        .decide(|app, world| app.create_call(&board, world))
        .unwrap();
    assert_eq!(
        sim.decide(|app, world| app.create_call(&board, world)),
        Ok(call)
    );
    sim.pass(Duration::from_secs(299));
    assert!(sim.app.call_view(call, sim.now).is_ok());
    sim.pass(Duration::from_secs(2));
    sim.assert_empty();
    // With a leg in between it is a call like any other.
    sim.decide(|app, world| app.create_call(&board, world))
        .unwrap();
    let ada = sim.join("board");
    sim.pass(Duration::from_secs(30));
    sim.decide(|app, world| app.hang_up(ada, world)).unwrap();
    sim.assert_empty();
}

#[test]
fn limits_hold_for_calls_out_too() {
    let mut sim = Sim::new(crate::AppConfig {
        participants_max: Some(1),
        ..config()
    });
    let ada = sim.join("board");
    let call = call_of(&sim, ada);
    let leg = sim.leg();
    let wanted = DialOut {
        remote_party: "bob@example.net".to_owned(),
        settings: CallLegPatch::default(),
    };
    let ours = OURS.parse().unwrap();
    let refused = sim.decide(|app, world| app.dial_out(leg, call, wanted, ours, world));
    assert_eq!(refused, Err(Error::ParticipantLimitReached));
}

fn lock(sim: &mut Sim, call: CallId, locked: bool) {
    let patch = CallPatch {
        locked: Field::Set(locked),
        ..CallPatch::default()
    };
    sim.decide(|app, world| app.update_call(call, patch, world))
        .unwrap();
}

#[test]
fn a_locked_call_keeps_its_people_and_takes_who_is_called_but_no_caller() {
    let mut sim = Sim::new(config());
    let ada = sim.join("board");
    let call = call_of(&sim, ada);
    let shown = |sim: &Sim| {
        let view = sim.app.call_view(call, sim.now).unwrap();
        let (policy, _) = sim.places.looks.values().next().unwrap();
        (view.configuration.locked, policy.locked)
    };
    assert_eq!(shown(&sim), (None, 0));
    lock(&mut sim, call, true);
    assert_eq!(shown(&sim), (Some(true), 1));
    let offer = phone_offer(sim.rng(), Encryption::Required);
    let (_, out) = sim.call("board", Some(offer));
    assert_eq!(
        refusal_of(&out),
        Some((403, "this meeting is locked", None))
    );
    assert_eq!(legs(&sim, None), [ada]);
    // Another space is open, and so is this one's door from within.
    let elsewhere = sim.join("sales");
    let (bob, _) = dial(&mut sim, call, None);
    assert_eq!(legs(&sim, None), [ada, elsewhere, bob]);

    // A successor of the process keeps the door shut.
    let saved = sim.saved[&ada].clone();
    sim.app = App::new(config());
    let running = sim.places.legs.get(&saved.place).copied();
    sim.decide(|app, world| app.restore(&saved, running, false, world))
        .unwrap();
    let offer = phone_offer(sim.rng(), Encryption::Required);
    let (_, out) = sim.call("board", Some(offer));
    assert_eq!(
        refusal_of(&out),
        Some((403, "this meeting is locked", None))
    );
    lock(&mut sim, call, false);
    assert_eq!(
        sim.places.looks.values().map(|it| it.0.locked).max(),
        Some(0)
    );
    sim.join("board");
}
