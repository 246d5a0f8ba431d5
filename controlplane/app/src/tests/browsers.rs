use std::time::Duration;

use plenum_abi::{EventKind, LegFlags, VideoFlags};
use plenum_model::{CallLegId, CallLegPatch, CallLegType, CallPatch, Field, Layout};
use plenum_sdp::Encryption;

use super::world::*;
use crate::{
    ABSENCE_MAX, App, Output, SavedLeg, WebBye, WebError, WebJoin, WebMessage, WebPresence,
    WebRefusal, WebRequest, WebWelcome,
};

const PWD: &str = "0123456789abcdefghijkl";

/// What a browser offers: sound, camera, screen.
fn offer(ufrag: &str, camera: &str, screen: &str) -> String {
    let print = ["5A"; 32].join(":");
    let head = |mid: u8, kind: &str, formats: &str| {
        format!(
            "m={kind} 9 UDP/TLS/RTP/SAVPF {formats}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\n\
             a=ice-ufrag:{ufrag}\r\na=ice-pwd:{PWD}\r\na=fingerprint:sha-256 {print}\r\n\
             a=setup:actpass\r\na=rtcp-mux\r\n"
        )
    };
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1 2\r\n\
         {}a=rtpmap:111 opus/48000/2\r\na=candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host\r\n\
         {}a=rtpmap:96 VP8/90000\r\na={camera}\r\n{}a=rtpmap:96 VP8/90000\r\na={screen}\r\n",
        head(0, "audio", "111"),
        head(1, "video", "96"),
        head(2, "video", "96"),
    )
}

fn ann() -> WebJoin {
    WebJoin {
        name: "Ann".to_owned(),
        address: "board".to_owned(),
        passcode: None,
        secret: None,
        peer: PHONE.parse().unwrap(),
        local_ip: OURS.parse().unwrap(),
    }
}

fn try_join(sim: &mut Sim, join: &WebJoin) -> Result<CallLegId, WebRefusal> {
    let (leg, space) = (sim.leg(), sim.spaces[0].clone());
    sim.decide(|app, world| app.web_join(leg, &space, join, world))?;
    Ok(leg)
}

fn attach(sim: &mut Sim, leg: CallLegId) -> WebWelcome {
    sim.decide(|app, world| app.web_attach(leg, world))
        .expect("in the call")
}

fn ask(sim: &mut Sim, leg: CallLegId, request: WebRequest) -> Result<(), WebError> {
    sim.decide(|app, world| app.web_request(leg, request, world))
}

/// Joins, attaches and negotiates.
fn browser(sim: &mut Sim, name: &str) -> CallLegId {
    let join = WebJoin {
        name: name.to_owned(),
        ..ann()
    };
    let leg = try_join(sim, &join).unwrap();
    attach(sim, leg);
    let sdp = offer("uFrA", "sendrecv", "sendrecv");
    ask(sim, leg, WebRequest::Offer { sdp }).unwrap();
    sim.out.clear();
    leg
}

/// What one participant was told, oldest first; what others were told is forgotten.
fn told(sim: &mut Sim, leg: CallLegId) -> Vec<WebMessage> {
    std::mem::take(&mut sim.out)
        .into_iter()
        .filter_map(|output| match output {
            Output::Web { leg: to, message } if to == leg => Some(message),
            _ => None,
        })
        .collect()
}

/// The last list of participants among what a participant was told.
fn list(told: &[WebMessage]) -> Vec<(String, WebPresence)> {
    let mut lists = told.iter().filter_map(|message| match message {
        WebMessage::Roster(lines) => Some(lines),
        _ => None,
    });
    let lines = lists.next_back().expect("a list");
    lines
        .iter()
        .map(|line| (line.name.clone(), line.presence))
        .collect()
}

fn stream(sim: &Sim, leg: CallLegId, content: bool) -> plenum_abi::VideoConfig {
    let video = &sim.saved[&leg].video;
    let saved = if content { &video.content } else { &video.main };
    sim.places.video[&saved.as_ref().unwrap().place]
}

#[test]
fn a_browser_and_a_phone_are_in_one_call() {
    let mut sim = Sim::new(config());
    let phone = sim.join("board");
    let leg = try_join(&mut sim, &ann()).unwrap();
    let welcome = attach(&mut sim, leg);
    assert!(!welcome.resumed);
    assert_eq!(welcome.roster.len(), 2);
    assert_eq!(
        (welcome.roster[0].web, welcome.roster[1].web),
        (false, true)
    );
    assert_eq!(welcome.layout, Layout::AllEqual);
    sim.out.clear();
    let sdp = offer("uFrA", "sendrecv", "sendrecv");
    ask(&mut sim, leg, WebRequest::Offer { sdp }).unwrap();
    let kinds: Vec<&str> = sim
        .out
        .iter()
        .filter_map(|output| match output {
            Output::SetTransport { .. } => Some("transport"),
            Output::SetLeg { .. } => Some("leg"),
            Output::SetVideo { .. } => Some("video"),
            Output::AddCandidate { .. } => Some("candidate"),
            Output::Web { .. } => Some("web"),
            _ => None,
        })
        .collect();
    assert_eq!(
        kinds,
        ["transport", "leg", "video", "video", "candidate", "web"]
    );
    let transport = sim.places.transports[&sim.place(leg)];
    assert_eq!(transport.remote.ufrag(), "uFrA");
    assert_eq!(transport.remote_fingerprint, [0x5a; 32]);
    assert_eq!(
        plenum_abi::slot_of_ufrag(transport.local.ufrag()),
        Some(sim.place(leg).slot)
    );
    let media = sim.media(leg);
    assert_eq!(media.conference, sim.media(phone).conference);
    let flags = LegFlags::BUNDLED | LegFlags::SEND | LegFlags::RECEIVE | LegFlags::RTCP_MUX;
    assert!(media.flags().contains(flags));
    assert!(!media.flags().contains(LegFlags::LEARN_ADDRESS));
    let Some(WebMessage::Answer { sdp }) = told(&mut sim, leg).pop() else {
        panic!("no answer");
    };
    assert!(sdp.contains(&format!("a=ssrc:{} ", media.tx_ssrc)));
    assert!(sdp.contains(&format!("a=ssrc:{} ", stream(&sim, leg, false).tx_ssrc)));
    let view = sim.app.call_leg(leg, sim.now).unwrap();
    assert_eq!(view.leg_type, CallLegType::WebApp);
    assert_eq!(view.summary.name, "Ann");
    assert!(view.status.encrypted_media && !view.status.unencrypted_media);
    // It may be silent for long; a phone may not.
    sim.places.counters.clear();
    let out = sim.pass(Duration::from_secs(61));
    assert_eq!(hang_up_of(&out), Some((phone, "no media")));
    assert!(sim.app.is_web(leg));
    ask(&mut sim, leg, WebRequest::Leave).unwrap();
    assert_eq!(told(&mut sim, leg), [WebMessage::Bye(WebBye::Left)]);
    sim.assert_empty();
}

#[test]
fn layers_of_a_camera_are_taken_and_told_to_the_media_plane() {
    let mut sim = Sim::new(config());
    let leg = try_join(&mut sim, &ann()).unwrap();
    attach(&mut sim, leg);
    let layers = "sendrecv\r\na=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
                  a=rid:hi send\r\na=rid:lo send\r\na=simulcast:send hi;lo";
    let offers = [
        (layers, ["hi", "lo", ""], 10),
        ("sendrecv", ["", "", ""], 0),
    ];
    for (camera, rids, id) in offers {
        let sdp = offer("uFrA", camera, "sendrecv");
        ask(&mut sim, leg, WebRequest::Offer { sdp }).unwrap();
        let Some(WebMessage::Answer { sdp }) = told(&mut sim, leg).pop() else {
            panic!("no answer");
        };
        assert_eq!(sdp.contains("a=simulcast:recv hi;lo\r\n"), id != 0, "{sdp}");
        let expected = rids.map(|rid| plenum_abi::VideoConfig::rid_of(rid.as_bytes()));
        assert_eq!(stream(&sim, leg, false).rids, expected);
        assert!(
            !stream(&sim, leg, true).is_layered(),
            "a screen is one stream"
        );
        assert_eq!(sim.places.transports[&sim.place(leg)].rid_id, id);
    }
}

#[test]
fn passcodes_and_secrets_are_asked_and_guessing_is_slowed_down() {
    let mut sim = Sim::new(config());
    sim.spaces[0].passcode = Some("1234".to_owned());
    sim.spaces[0].secret = Some("s3cret".to_owned());
    let with = |passcode: Option<&str>, secret: Option<&str>| WebJoin {
        passcode: passcode.map(str::to_owned),
        secret: secret.map(str::to_owned),
        ..ann()
    };
    let mut refusal = |join: WebJoin| try_join(&mut sim, &join).err();
    assert_eq!(
        refusal(with(None, None)),
        Some(WebRefusal::PasscodeRequired)
    );
    assert_eq!(refusal(with(Some("1234"), None)), None);
    assert_eq!(refusal(with(None, Some("s3cret"))), None);
    for _ in 0..2 {
        assert_eq!(
            refusal(with(Some("4321"), None)),
            Some(WebRefusal::PasscodeWrong)
        );
        assert_eq!(
            refusal(with(None, Some("s3cre"))),
            Some(WebRefusal::SecretWrong)
        );
    }
    assert_eq!(
        refusal(with(Some(""), None)),
        Some(WebRefusal::PasscodeWrong)
    );
    // Five wrong tries: now right ones are not looked at either.
    let Some(WebRefusal::TooManyTries { retry_after_s }) = refusal(with(Some("1234"), None)) else {
        panic!("it goes on");
    };
    assert_eq!(retry_after_s, 61);
    let other = WebJoin {
        peer: "192.0.2.99".parse().unwrap(),
        ..with(Some("1234"), None)
    };
    assert_eq!(refusal(other), None);
    let space = sim.spaces[0].clone();
    let peer = "192.0.2.50".parse().unwrap();
    let found = |sim: &mut Sim, secret: Option<&str>| {
        sim.decide(|app, world| app.web_lookup(&space, secret, peer, world))
    };
    assert!(found(&mut sim, None).unwrap().passcode_required);
    assert!(!found(&mut sim, Some("s3cret")).unwrap().passcode_required);
    assert_eq!(found(&mut sim, Some("x")), Err(WebRefusal::SecretWrong));
    sim.spaces[0].non_member_access = false;
    let join = with(Some("1234"), None);
    assert_eq!(try_join(&mut sim, &join), Err(WebRefusal::GuestsNotAllowed));
}

#[test]
fn who_is_away_for_a_minute_is_not_waited_for() {
    let mut sim = Sim::new(config());
    let never_came = try_join(&mut sim, &ann()).unwrap();
    let (ada, bob) = (browser(&mut sim, "Ada"), browser(&mut sim, "Bob"));
    sim.pass(Duration::from_secs(1));
    sim.decide(|app, world| app.web_detached(ada, world));
    sim.pass(Duration::from_millis(300));
    sim.out.clear();
    sim.decide(|app, world| app.web_detached(bob, world));
    attach(&mut sim, bob);
    let away = sim.pass(ABSENCE_MAX - Duration::from_secs(3));
    assert!(sim.app.is_web(ada) && sim.app.is_web(never_came));
    let bobs = away.into_iter().filter_map(|output| match output {
        Output::Web { leg, message } if leg == bob => Some(message),
        _ => None,
    });
    let lines = list(&bobs.collect::<Vec<_>>());
    assert_eq!(
        lines,
        [
            ("Ada".to_owned(), WebPresence::Reconnecting),
            ("Bob".to_owned(), WebPresence::Connected)
        ],
        "who never came is not shown"
    );
    sim.pass(Duration::from_secs(5));
    assert!(!sim.app.is_web(ada) && !sim.app.is_web(never_came));
    assert!(sim.app.is_web(bob));
    assert_eq!(sim.decide(|app, world| app.web_attach(ada, world)), None);
}

#[test]
fn the_list_is_told_four_times_a_second_at_most() {
    let mut sim = Sim::new(config());
    let ada = browser(&mut sim, "Ada");
    sim.pass(Duration::from_secs(1));
    let mut lists = 0;
    for step in 0..100 {
        let raised = step % 2 == 0;
        ask(&mut sim, ada, WebRequest::RaiseHand { raised }).unwrap();
        sim.pass(Duration::from_millis(10));
        lists += told(&mut sim, ada).len();
        let out = sim.pass(Duration::from_millis(10));
        lists += out
            .iter()
            .filter(|output| matches!(output, Output::Web { .. }))
            .count();
    }
    // Two seconds. What `pass` itself took is counted by half of the steps only.
    assert!((4..=9).contains(&lists), "{lists} lists");
}

#[test]
fn mutes_are_told_to_whom_they_concern_and_survive_a_restart() {
    let mut sim = Sim::new(config());
    let (ada, bob) = (browser(&mut sim, "Ada"), browser(&mut sim, "Bob"));
    let mute = WebRequest::Mute {
        audio: Some(true),
        video: Some(true),
    };
    ask(&mut sim, ada, mute).unwrap();
    assert!(sim.media(ada).flags().contains(LegFlags::RX_AUDIO_MUTE));
    let camera = stream(&sim, ada, false);
    assert!(camera.flags().contains(VideoFlags::RX_VIDEO_MUTE));
    let muted = |audio, video, by_other| WebMessage::Muted {
        audio,
        video,
        by_other,
    };
    assert_eq!(told(&mut sim, ada), [muted(true, true, false)]);
    let other = WebRequest::MuteOther {
        participant: ada,
        audio: false,
    };
    ask(&mut sim, bob, other).unwrap();
    assert_eq!(told(&mut sim, ada), [muted(false, true, true)]);
    ask(&mut sim, bob, WebRequest::MuteAll).unwrap();
    assert!(sim.media(ada).flags().contains(LegFlags::RX_AUDIO_MUTE));
    assert!(!sim.media(bob).flags().contains(LegFlags::RX_AUDIO_MUTE));
    assert_eq!(told(&mut sim, ada), [muted(true, true, true)]);
    // An administrator's change is told as well.
    let patch = CallLegPatch {
        rx_audio_mute: Field::Set(false),
        ..CallLegPatch::default()
    };
    sim.decide(|app, world| app.update_call_leg(ada, patch.clone(), world))
        .unwrap();
    assert_eq!(told(&mut sim, ada), [muted(false, true, true)]);
    let layout = WebRequest::Layout(Layout::OnePlusFive);
    ask(&mut sim, ada, layout).unwrap();
    ask(&mut sim, ada, WebRequest::RaiseHand { raised: true }).unwrap();
    ask(&mut sim, ada, WebRequest::Content { sharing: true }).unwrap();

    let before = (sim.media(ada), sim.places.transports[&sim.place(ada)]);
    assert_eq!(
        usize::from(before.0.layout),
        1 + Layout::ALL
            .iter()
            .position(|l| *l == Layout::OnePlusFive)
            .unwrap()
    );
    sim.app = App::new(config());
    sim.out.clear();
    let mut saved: Vec<SavedLeg> = sim.saved.values().cloned().collect();
    saved.sort_by_key(|leg| leg.id);
    for leg in saved {
        let text = serde_json::to_string(&leg).unwrap();
        let leg: SavedLeg = serde_json::from_str(&text).unwrap();
        let running = sim.places.legs.get(&leg.place).copied();
        sim.decide(|app, world| app.restore(&leg, running, false, world))
            .unwrap();
    }
    assert_eq!(sim.out, [], "the dataplane knows it all");
    let welcome = attach(&mut sim, ada);
    assert!(welcome.resumed && welcome.video_muted && !welcome.audio_muted);
    assert_eq!(welcome.layout, Layout::OnePlusFive);
    let me = welcome.roster.iter().find(|line| line.id == ada).unwrap();
    assert!(me.hand_raised && me.has_video && me.sharing && me.name == "Ada");
    assert_eq!(welcome.content, Some((ada, "Ada".to_owned())));
    // The page may have been loaded anew: it offers with new credentials.
    let sdp = offer("nEwU", "recvonly", "recvonly");
    ask(&mut sim, ada, WebRequest::Offer { sdp }).unwrap();
    let after = (sim.media(ada), sim.places.transports[&sim.place(ada)]);
    assert_eq!(after.0.tx_ssrc, before.0.tx_ssrc);
    assert_ne!(after.1.local, before.1.local, "an ICE restart");
    assert!(after.1.revision > before.1.revision);
    let camera = stream(&sim, ada, false).flags();
    assert!(camera.contains(VideoFlags::SEND) && !camera.contains(VideoFlags::RECEIVE));
    assert!(camera.contains(VideoFlags::RX_VIDEO_MUTE));
}

#[test]
fn the_same_credentials_again_are_no_restart() {
    let mut sim = Sim::new(config());
    let ada = browser(&mut sim, "Ada");
    let before = sim.places.transports[&sim.place(ada)];
    let sdp = offer("uFrA", "inactive", "sendrecv");
    ask(&mut sim, ada, WebRequest::Offer { sdp }).unwrap();
    assert_eq!(sim.places.transports[&sim.place(ada)], before);
    let Some(WebMessage::Answer { sdp }) = told(&mut sim, ada).pop() else {
        panic!("no answer");
    };
    assert!(sdp.contains(&format!("a=ice-ufrag:{}\r\n", before.local.ufrag())));
    assert!(sdp.starts_with("v=0\r\no=- ") && sdp.contains(" 2 IN IP4"));
}

#[test]
fn candidates_are_passed_on_within_bounds() {
    let mut sim = Sim::new(config());
    let ada = browser(&mut sim, "Ada");
    let candidate = |text: &str, ufrag: Option<&str>| WebRequest::Candidate {
        candidate: text.to_owned(),
        ufrag: ufrag.map(str::to_owned),
    };
    let good = "candidate:1 1 udp 5 192.0.2.8 6000 typ host";
    for (text, ufrag, passed) in [
        (good, Some("uFrA"), 1),
        (good, None, 1),
        (good, Some("oLdU"), 0),
        ("", Some("uFrA"), 0),
    ] {
        ask(&mut sim, ada, candidate(text, ufrag)).unwrap();
        let out = std::mem::take(&mut sim.out);
        assert_eq!(out.len(), passed, "{text} {ufrag:?}");
    }
    let bad = candidate("candidate:x", None);
    assert_eq!(ask(&mut sim, ada, bad), Err(WebError::Invalid));
    for _ in 0..1_000 {
        ask(&mut sim, ada, candidate(good, None)).unwrap();
    }
    assert_eq!(sim.out.len(), 64 - 3);
}

#[test]
fn an_offer_that_makes_no_sense_changes_nothing() {
    let mut sim = Sim::new(config());
    let ada = browser(&mut sim, "Ada");
    let before = sim.media(ada);
    for sdp in ["", "v=0", "{}"] {
        let request = WebRequest::Offer {
            sdp: sdp.to_owned(),
        };
        assert_eq!(ask(&mut sim, ada, request), Err(WebError::Invalid));
    }
    assert_eq!(sim.out, []);
    assert_eq!(sim.media(ada), before);
}

#[test]
fn one_screen_is_shown_at_a_time() {
    let mut sim = Sim::new(config());
    let (ada, bob) = (browser(&mut sim, "Ada"), browser(&mut sim, "Bob"));
    let unseen = |sim: &Sim, leg| {
        stream(sim, leg, true)
            .flags()
            .contains(VideoFlags::RX_VIDEO_MUTE)
    };
    assert!(unseen(&sim, ada) && unseen(&sim, bob));
    let share = |sharing| WebRequest::Content { sharing };
    ask(&mut sim, ada, share(true)).unwrap();
    assert!(!unseen(&sim, ada) && unseen(&sim, bob));
    let shown = WebMessage::Content(Some((ada, "Ada".to_owned())));
    assert!(told(&mut sim, bob).contains(&shown));
    ask(&mut sim, bob, share(true)).unwrap();
    assert!(unseen(&sim, ada) && !unseen(&sim, bob));
    let taken_over = WebMessage::Content(Some((bob, "Bob".to_owned())));
    assert!(told(&mut sim, ada).contains(&taken_over));
    // Too late: it is another's now.
    ask(&mut sim, ada, share(false)).unwrap();
    assert_eq!(sim.out, []);
    ask(&mut sim, bob, WebRequest::Leave).unwrap();
    assert!(told(&mut sim, ada).contains(&WebMessage::Content(None)));
    assert_eq!(attach(&mut sim, ada).content, None);
}

#[test]
fn chat_reaches_whom_it_is_for_and_is_kept_within_bounds() {
    let mut sim = Sim::new(config());
    let (ada, bob) = (browser(&mut sim, "Ada"), browser(&mut sim, "Bob"));
    let eve = browser(&mut sim, "Eve");
    let say = |text: &str, to| WebRequest::Chat {
        id: "7".to_owned(),
        text: text.to_owned(),
        to,
    };
    let heard = |message: &WebMessage| match message {
        WebMessage::Chat(chat) => Some(chat.text.clone()),
        _ => None,
    };
    ask(&mut sim, ada, say("psst", Some(bob))).unwrap();
    let out = sim.out.clone();
    for (who, hears) in [(ada, true), (bob, true), (eve, false)] {
        sim.out.clone_from(&out);
        assert_eq!(!told(&mut sim, who).is_empty(), hears);
    }
    ask(&mut sim, ada, say("hello", None)).unwrap();
    let out: Vec<String> = told(&mut sim, eve).iter().filter_map(heard).collect();
    assert_eq!(out, ["hello"]);
    assert_eq!(attach(&mut sim, eve).chat.len(), 1);
    assert_eq!(attach(&mut sim, bob).chat.len(), 2);
    for (text, to, why) in [
        ("", None, WebError::Invalid),
        (" \n ", None, WebError::Invalid),
        (&*"x".repeat(4_001), None, WebError::Invalid),
        (
            "x",
            Some(CallLegId::from_bytes([99; 16])),
            WebError::NoSuchParticipant,
        ),
    ] {
        assert_eq!(ask(&mut sim, ada, say(text, to)), Err(why));
    }
    for _ in 0..1_000 {
        ask(&mut sim, ada, say(&"é".repeat(4_000), None)).unwrap();
    }
    assert_eq!(attach(&mut sim, bob).chat.len(), 100);
}

#[test]
fn what_is_not_allowed_is_not_done() {
    let mut policy = config();
    policy.web.moderate = false;
    policy.web.chat = false;
    policy.web.share = false;
    policy.web.dial = false;
    let mut sim = Sim::new(policy);
    let (ada, bob) = (browser(&mut sim, "Ada"), browser(&mut sim, "Bob"));
    for request in [
        WebRequest::MuteAll,
        WebRequest::MuteOther {
            participant: bob,
            audio: true,
        },
        WebRequest::Remove { participant: bob },
        WebRequest::Content { sharing: true },
        WebRequest::Chat {
            id: String::new(),
            text: "x".to_owned(),
            to: None,
        },
    ] {
        assert_eq!(ask(&mut sim, ada, request), Err(WebError::NotAllowed));
    }
    assert_eq!(sim.app.web_may_dial(ada), Err(WebError::NotAllowed));
    assert_eq!(sim.out, []);
}

#[test]
fn others_are_removed_and_those_of_another_call_are_not_there() {
    let mut sim = Sim::new(config());
    let phone = sim.join("board");
    let elsewhere = sim.join("sales");
    let (ada, bob) = (browser(&mut sim, "Ada"), browser(&mut sim, "Bob"));
    let remove = |participant| WebRequest::Remove { participant };
    assert_eq!(
        ask(&mut sim, ada, remove(elsewhere)),
        Err(WebError::NoSuchParticipant)
    );
    ask(&mut sim, ada, remove(phone)).unwrap();
    assert!(hang_up_of(&sim.out).is_some());
    ask(&mut sim, ada, remove(bob)).unwrap();
    assert_eq!(told(&mut sim, bob), [WebMessage::Bye(WebBye::Removed)]);
    assert_eq!(ask(&mut sim, bob, WebRequest::MuteAll), Err(WebError::Gone));
    let call = sim.app.call_leg(ada, sim.now).unwrap().summary.call;
    sim.decide(|app, world| app.end_call(call, world)).unwrap();
    assert_eq!(told(&mut sim, ada), [WebMessage::Bye(WebBye::Ended)]);
}

#[test]
fn a_transport_that_is_lost_is_offered_anew() {
    let mut sim = Sim::new(config());
    let ada = browser(&mut sim, "Ada");
    sim.media_event(ada, EventKind::TransportLost, 0);
    assert_eq!(told(&mut sim, ada), [WebMessage::Reoffer]);
    let out = sim.pass(Duration::from_secs(1));
    let lists: Vec<WebMessage> = out
        .into_iter()
        .filter_map(|output| match output {
            Output::Web { message, .. } => Some(message),
            _ => None,
        })
        .collect();
    assert_eq!(
        list(&lists),
        [("Ada".to_owned(), WebPresence::Reconnecting)]
    );
    sim.media_event(ada, EventKind::TransportConnected, 0);
    sim.pass(Duration::from_secs(1));
    assert_eq!(
        attach(&mut sim, ada).roster[0].presence,
        WebPresence::Connected
    );
}

#[test]
fn who_speaks_is_told_once() {
    let mut sim = Sim::new(config());
    let phone = sim.join("board");
    let ada = browser(&mut sim, "Ada");
    let conference = sim.saved[&ada].call.place;
    let slot = sim.place(phone).slot;
    let event = plenum_abi::Event {
        kind: EventKind::ActiveSpeaker as u32,
        value: u64::from(slot),
        leg: plenum_abi::SlotRef {
            slot: conference.slot,
            generation: conference.generation,
        },
        ..plenum_abi::Event::default()
    };
    for _ in 0..3 {
        sim.decide(|app, world| app.media_event(conference.worker, &event, world));
    }
    assert_eq!(
        told(&mut sim, ada),
        [WebMessage::Speaker(Some(phone))],
        "no news is not told"
    );
    sim.decide(|app, world| app.hang_up(phone, world)).unwrap();
    assert_eq!(attach(&mut sim, ada).speaker, None);
}

#[test]
fn a_refused_stream_is_not_taken_for_a_leg() {
    let mut sim = Sim::new(config());
    let ada = browser(&mut sim, "Ada");
    let place = sim.place(ada);
    let refused = |kind: plenum_abi::CommandKind| plenum_abi::Event {
        kind: EventKind::Rejected as u32,
        token: (5 << 8) | u64::from(kind as u32),
        leg: plenum_abi::SlotRef {
            slot: place.slot,
            generation: place.generation,
        },
        ..plenum_abi::Event::default()
    };
    let event = refused(plenum_abi::CommandKind::SetVideo);
    sim.decide(|app, world| app.media_event(place.worker, &event, world));
    assert!(sim.app.is_web(ada));
    let event = refused(plenum_abi::CommandKind::SetTransport);
    sim.decide(|app, world| app.media_event(place.worker, &event, world));
    assert!(!sim.app.is_web(ada));
}

#[test]
fn without_video_slots_there_is_sound() {
    let mut sim = Sim::new(config());
    sim.places.video_max = 0;
    let ada = browser(&mut sim, "Ada");
    assert!(sim.places.video.is_empty());
    assert!(sim.media(ada).flags().contains(LegFlags::SEND));
    let offer = phone_offer(sim.rng(), Encryption::Required);
    let (_, out) = sim.call("board", Some(offer));
    assert!(answer_of(&out).is_some());
}

#[test]
fn nobody_joins_a_locked_call_from_a_browser_and_who_was_in_comes_back() {
    let mut sim = Sim::new(config());
    let ada = browser(&mut sim, "Ada");
    let call = sim.app.call_leg(ada, sim.now).unwrap().summary.call;
    let patch = CallPatch {
        locked: Field::Set(true),
        ..CallPatch::default()
    };
    sim.decide(|app, world| app.update_call(call, patch, world))
        .unwrap();
    assert_eq!(try_join(&mut sim, &ann()), Err(WebRefusal::Locked));
    sim.decide(|app, world| app.web_detached(ada, world));
    assert!(attach(&mut sim, ada).resumed);
    // Whoever has no right to come in is not told that the door is shut.
    sim.spaces[0].passcode = Some("42".to_owned());
    let refused = try_join(&mut sim, &ann());
    assert_eq!(refused, Err(WebRefusal::PasscodeRequired));
}

#[test]
fn a_browser_follows_the_layout_of_the_space_until_it_chooses() {
    let mut sim = Sim::new(config());
    sim.spaces[0].default_layout = Some(Layout::Stacked);
    let ada = try_join(&mut sim, &ann()).unwrap();
    assert_eq!(attach(&mut sim, ada).layout, Layout::Stacked);
    let sdp = offer("uFrA", "sendrecv", "sendrecv");
    ask(&mut sim, ada, WebRequest::Offer { sdp }).unwrap();
    let bob = browser(&mut sim, "Bob");
    let chosen = WebRequest::Layout(Layout::SpeakerOnly);
    ask(&mut sim, bob, chosen).unwrap();
    sim.out.clear();
    assert_eq!(sim.media(ada).layout, 0, "the conference's");

    let mut space = sim.spaces[0].clone();
    for (layout, shown) in [
        (Some(Layout::OnePlusFive), Layout::OnePlusFive),
        (None, Layout::AllEqual),
    ] {
        space.default_layout = layout;
        sim.decide(|app, world| app.space_changed(&space, world));
        let told_of = |leg| {
            sim.out.iter().find_map(|output| match output {
                Output::Web { leg: to, message } if *to == leg => Some(message.clone()),
                _ => None,
            })
        };
        assert_eq!(told_of(ada), Some(WebMessage::Layout(shown)));
        assert_eq!(told_of(bob), None);
        sim.out.clear();
        assert_eq!(attach(&mut sim, ada).layout, shown);
        assert_eq!(attach(&mut sim, bob).layout, Layout::SpeakerOnly);
        sim.out.clear();
    }
    // A change of something else is not told.
    space.pane_placement_highest_importance = Some(1);
    sim.decide(|app, world| app.space_changed(&space, world));
    assert_eq!(told(&mut sim, ada), []);
}
