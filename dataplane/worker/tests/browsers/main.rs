//! A worker with browsers on loopback, driven turn by turn.
//!
//! Dropping a worker between two turns is what `kill -9` between two
//! instructions looks like to its successor.

mod browser;
mod layers;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use browser::{Browser, OPUS, identity};
use plenum_abi::{
    AddCandidate, AudioCodec, Command, CommandKind, ConferenceConfig, Event, EventKind, Layout,
    LegConfig, LegFlags, ModuleLayout, NO_PAYLOAD_TYPE, PayloadMap, RejectReason, SetConference,
    SetLeg, SetTransport, SlotRef, TransportConfig,
};
use plenum_ring::{Arena, Doorbell, ModuleMemory, WorkerView};
use plenum_uring::SocketOptions;
use plenum_worker::{BrowserPorts, Identity, LegSockets, ModuleSetup, Worker, WorkerSetup};

const LEGS: u32 = 4;
const MODULE: ModuleLayout = ModuleLayout {
    workers: 1,
    up_bytes: 1 << 20,
    down_bytes: 1 << 20,
};

/// What the supervisor holds.
struct Estate {
    arena: Arena,
    doorbell: Doorbell,
    control: Doorbell,
    sockets: Vec<[UdpSocket; 2]>,
    video: Vec<[UdpSocket; 2]>,
    module: ModuleMemory,
    module_bell: Doorbell,
    shared: Vec<UdpSocket>,
    identity: Identity,
    epoch: u64,
}

impl Estate {
    fn new() -> Self {
        let layout = Layout {
            workers: 1,
            legs_per_worker: LEGS,
            conferences_per_worker: 1,
            video_streams_per_worker: LEGS,
        };
        let socket = || {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            UdpSocket::from(plenum_uring::media_socket(address, &SocketOptions::default()).unwrap())
        };
        Self {
            arena: Arena::create(layout).unwrap(),
            doorbell: Doorbell::new().unwrap(),
            control: Doorbell::new().unwrap(),
            sockets: (0..LEGS).map(|_| [socket(), socket()]).collect(),
            video: (0..LEGS).map(|_| [socket(), socket()]).collect(),
            module: ModuleMemory::create(MODULE).unwrap(),
            module_bell: Doorbell::new().unwrap(),
            shared: vec![socket()],
            identity: identity(),
            epoch: 0,
        }
    }

    fn view(&self) -> WorkerView {
        self.arena.worker(0)
    }

    fn worker(&mut self) -> Worker {
        let copy = |fd: &dyn AsFd| -> OwnedFd { fd.as_fd().try_clone_to_owned().unwrap() };
        self.epoch += 1;
        let sockets = |pairs: &[[UdpSocket; 2]]| {
            let one = |[rtp, rtcp]: &[UdpSocket; 2]| LegSockets {
                rtp: copy(rtp),
                rtcp: copy(rtcp),
            };
            pairs.iter().map(one).collect()
        };
        Worker::new(WorkerSetup {
            view: self.view(),
            epoch: self.epoch,
            core: None,
            doorbell: Doorbell::from_fd(copy(&self.doorbell)),
            control_doorbell: Doorbell::from_fd(copy(&self.control)),
            sockets: sockets(&self.sockets),
            video_sockets: sockets(&self.video),
            modules: vec![ModuleSetup {
                memory: self.module.clone(),
                doorbell: Doorbell::from_fd(copy(&self.module_bell)),
            }],
            browsers: Some(BrowserPorts {
                sockets: self.shared.iter().map(|socket| copy(socket)).collect(),
                identity: self.identity.clone(),
            }),
        })
        .unwrap()
    }

    fn server(&self) -> SocketAddr {
        self.shared[0].local_addr().unwrap()
    }

    fn browser(&self, slot: u32) -> Browser {
        Browser::new(slot, self.server(), self.identity.fingerprint())
    }

    fn send<T: zerocopy::IntoBytes + zerocopy::Immutable>(&self, kind: CommandKind, payload: &T) {
        self.view()
            .command_producer()
            .push(&Command::new(kind, 1, payload))
            .unwrap();
    }

    fn open_room(&self) {
        let config = ConferenceConfig {
            generation: 1,
            revision: 1,
            ..ConferenceConfig::default()
        };
        let set = SetConference {
            slot: 0,
            reserved: 0,
            config,
        };
        self.send(CommandKind::SetConference, &set);
    }

    fn set_transport(&self, slot: u32, config: TransportConfig) {
        let set = SetTransport {
            slot,
            reserved: 0,
            config,
        };
        self.send(CommandKind::SetTransport, &set);
    }

    fn set_leg(&self, slot: u32) {
        let set = SetLeg {
            slot,
            reserved: 0,
            config: leg_config(slot),
        };
        self.send(CommandKind::SetLeg, &set);
    }

    fn admit(&self, browser: &Browser) {
        self.set_transport(browser.slot, transport_config(browser));
        self.set_leg(browser.slot);
    }

    fn events(&self) -> Vec<Event> {
        let mut ring = self.view().event_consumer();
        std::iter::from_fn(|| ring.pop()).collect()
    }
}

fn transport_config(browser: &Browser) -> TransportConfig {
    TransportConfig {
        revision: 1,
        generation: 1,
        local: browser.server_credentials,
        remote: browser.credentials,
        remote_fingerprint: browser.fingerprint(),
        ..TransportConfig::default()
    }
}

fn leg_config(slot: u32) -> LegConfig {
    let flags = LegFlags::SEND | LegFlags::RECEIVE | LegFlags::BUNDLED;
    LegConfig {
        leg_guid: [slot as u8; 16],
        revision: 1,
        generation: 1,
        flags: flags.0,
        tx_ssrc: 0xbeef_0000 + slot,
        codecs: [
            PayloadMap {
                payload_type: OPUS,
                codec: AudioCodec::Opus as u8,
            },
            PayloadMap::default(),
            PayloadMap::default(),
            PayloadMap::default(),
        ],
        telephone_event_payload_type: NO_PAYLOAD_TYPE,
        comfort_noise_payload_type: NO_PAYLOAD_TYPE,
        packet_ms: 20,
        ..LegConfig::default()
    }
}

/// Browsers talk every 20 ms while the worker turns.
fn talk(worker: &mut Worker, browsers: &mut [Browser], span: Duration) {
    let start = Instant::now();
    let mut next = start;
    while start.elapsed() < span {
        if Instant::now() >= next {
            next += Duration::from_millis(20);
            browsers.iter_mut().for_each(Browser::say);
        }
        worker.turn().unwrap();
        browsers.iter_mut().for_each(Browser::turn);
    }
}

/// Talks until `done`, some seconds at most.
fn talk_until(
    worker: &mut Worker,
    browsers: &mut [Browser],
    what: &str,
    mut done: impl FnMut(&[Browser]) -> bool,
) {
    let start = Instant::now();
    while !done(browsers) {
        assert!(start.elapsed() < Duration::from_secs(20), "not yet: {what}");
        talk(worker, browsers, Duration::from_millis(20));
    }
}

fn all_have_keys(browsers: &[Browser]) -> bool {
    browsers.iter().all(|browser| browser.keys.is_some())
}

/// Loud packets heard since the last call.
fn loud_packets(browser: &mut Browser) -> usize {
    let heard = std::mem::take(&mut browser.heard);
    heard.iter().filter(|(_, loudest)| *loudest > 2_000).count()
}

fn count(events: &[Event], kind: EventKind, slot: u32) -> usize {
    let about = |event: &&Event| event.kind == kind as u32 && event.leg.slot == slot;
    events.iter().filter(about).count()
}

#[test]
fn two_browsers_hear_each_other_and_not_themselves() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    estate.open_room();
    let mut browsers = vec![estate.browser(0), estate.browser(1)];
    browsers[1].loud = false;
    browsers.iter().for_each(|browser| estate.admit(browser));
    talk_until(&mut worker, &mut browsers, "keys", all_have_keys);
    talk(&mut worker, &mut browsers, Duration::from_secs(1));
    assert!(loud_packets(&mut browsers[1]) > 20);
    assert_eq!(loud_packets(&mut browsers[0]), 0);
    let events = estate.events();
    let view = estate.view();
    for browser in &browsers {
        assert_eq!(browser.unopened, 0);
        assert_eq!(browser.handshakes, 1);
        let slot = browser.slot;
        assert_eq!(count(&events, EventKind::TransportConnected, slot), 1);
        assert_eq!(count(&events, EventKind::MediaStarted, slot), 1);
        let stats = &view.leg(slot).unwrap().stats;
        assert_eq!(stats.rx_auth_failed.load(Ordering::Relaxed), 0);
        let record = view.transport(slot).unwrap();
        assert_eq!(record.state.load(Ordering::Relaxed), 2);
        assert!(record.consent_at.load(Ordering::Relaxed) > 0);
    }
    assert_eq!(view.stats().handshakes.load(Ordering::Relaxed), 2);
}

#[test]
fn a_successor_goes_on_with_keys_and_path_and_no_handshake() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    estate.open_room();
    let mut browsers = vec![estate.browser(0), estate.browser(1)];
    browsers.iter().for_each(|browser| estate.admit(browser));
    talk_until(&mut worker, &mut browsers, "keys", all_have_keys);
    for _ in 0..3 {
        talk(&mut worker, &mut browsers, Duration::from_millis(400));
        drop(worker);
        worker = estate.worker();
    }
    // Long enough for checks of the last one: consent is its own then.
    talk(&mut worker, &mut browsers, Duration::from_secs(4));
    let events = estate.events();
    let view = estate.view();
    for browser in &mut browsers {
        assert_eq!((browser.handshakes, browser.unopened), (1, 0));
        for pair in browser.heard.windows(2) {
            let (before, after) = (pair[0].0, pair[1].0);
            assert_eq!(after.ssrc, 0xbeef_0000 + browser.slot);
            assert_eq!(after.sequence, before.sequence.wrapping_add(1));
            let ticks = after.timestamp.wrapping_sub(before.timestamp);
            assert!(
                (1..96_000).contains(&ticks),
                "the media clock went on by {ticks}"
            );
        }
        assert!(loud_packets(browser) > 150);
        let stats = &view.leg(browser.slot).unwrap().stats;
        assert_eq!(stats.rx_auth_failed.load(Ordering::Relaxed), 0);
        assert_eq!(stats.rx_replayed.load(Ordering::Relaxed), 0);
        assert_eq!(
            count(&events, EventKind::TransportConnected, browser.slot),
            1
        );
        assert_eq!(count(&events, EventKind::TransportLost, browser.slot), 0);
        let record = view.transport(browser.slot).unwrap();
        let consent_at = plenum_abi::Nanos(record.consent_at.load(Ordering::Relaxed));
        assert!(plenum_uring::now().since(consent_at) < Duration::from_millis(3_700));
    }
}

#[test]
fn a_handshake_after_a_crash_replaces_the_keys() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    estate.open_room();
    let mut browsers = vec![estate.browser(0), estate.browser(1)];
    browsers.iter().for_each(|browser| estate.admit(browser));
    talk_until(&mut worker, &mut browsers, "keys", all_have_keys);
    let first = browsers[0].keys;
    drop(worker);
    let mut worker = estate.worker();
    browsers[0].begin_handshake(plenum_uring::now());
    talk_until(
        &mut worker,
        &mut browsers,
        "another handshake",
        |browsers| browsers[0].handshakes == 2,
    );
    assert_ne!(browsers[0].keys, first);
    talk(&mut worker, &mut browsers, Duration::from_millis(200));
    browsers
        .iter_mut()
        .for_each(|browser| browser.heard.clear());
    talk(&mut worker, &mut browsers, Duration::from_millis(600));
    assert!(loud_packets(&mut browsers[0]) > 15);
    assert!(loud_packets(&mut browsers[1]) > 15);
}

#[test]
fn another_certificate_than_the_signalled_one_is_refused() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    estate.open_room();
    let mut browsers = vec![estate.browser(0)];
    let config = TransportConfig {
        remote_fingerprint: [7; 32],
        ..transport_config(&browsers[0])
    };
    estate.set_transport(0, config);
    estate.set_leg(0);
    let mut events = Vec::new();
    talk_until(&mut worker, &mut browsers, "a failure", |_| {
        events.extend(estate.events());
        count(&events, EventKind::TransportFailed, 0) > 0
    });
    talk(&mut worker, &mut browsers, Duration::from_secs(1));
    events.extend(estate.events());
    let failed = events
        .iter()
        .find(|event| event.kind == EventKind::TransportFailed as u32);
    assert_eq!(failed.map(|event| event.value), Some(2));
    assert_eq!(count(&events, EventKind::TransportFailed, 0), 1);
    assert_eq!(count(&events, EventKind::TransportConnected, 0), 0);
    let view = estate.view();
    let record = view.transport(0).unwrap();
    assert!(record.keys.load::<plenum_abi::TransportKeys>().is_none());
    assert_eq!(record.dtls_failures.load(Ordering::Relaxed), 1);
    assert_eq!(
        view.leg(0)
            .unwrap()
            .stats
            .tx_packets
            .load(Ordering::Relaxed),
        0
    );
    assert!(browsers[0].heard.is_empty() && browsers[0].unopened == 0);
}

#[test]
fn strangers_disturb_nobody() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    estate.open_room();
    let mut browsers = vec![estate.browser(0), estate.browser(1)];
    browsers.iter().for_each(|browser| estate.admit(browser));
    talk_until(&mut worker, &mut browsers, "keys", all_have_keys);
    let view = estate.view();
    let unknown = || view.stats().rx_unknown.load(Ordering::Relaxed);
    let before = unknown();

    // A ClientHello, a media packet that was recorded, a check under a guessed
    // password, and noise: all from another address.
    let mut hello = [0; 200];
    (hello[0], hello[1], hello[2], hello[13]) = (22, 254, 253, 1);
    let recorded = browsers[0].packet().unwrap();
    let mut guessed = browsers[0].server_credentials;
    guessed.pwd[0] ^= 1;
    let ours = estate.identity.fingerprint();
    let mut stranger = Browser::with(0, estate.server(), ours, guessed);
    stranger.turn();
    for datagram in [&hello[..], &recorded, &[0; 20], b"?", &[]] {
        stranger
            .socket()
            .send_to(datagram, estate.server())
            .unwrap();
    }
    talk(&mut worker, &mut browsers, Duration::from_millis(500));
    // (The empty one never leaves the driver.)
    assert_eq!(unknown() - before, 5);
    for browser in &mut browsers {
        assert_eq!((browser.handshakes, browser.unopened), (1, 0));
        assert!(loud_packets(browser) > 10);
    }
    let events = estate.events();
    assert_eq!(count(&events, EventKind::TransportConnected, 0), 1);
    assert_eq!(view.stats().handshakes.load(Ordering::Relaxed), 2);
}

#[test]
fn nothing_leaves_before_there_are_keys() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    estate.open_room();
    let mut browsers = [estate.browser(0), estate.browser(1)];
    estate.admit(&browsers[0]);
    talk_until(&mut worker, &mut browsers[..1], "keys", all_have_keys);
    // The second is in the room, and its path is found, but it never shakes hands.
    estate.admit(&browsers[1]);
    let (first, second) = browsers.split_at_mut(1);
    let silent = &mut second[0];
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        talk(&mut worker, first, Duration::from_millis(20));
        silent.check_only();
    }
    assert_eq!((silent.heard.len(), silent.unopened), (0, 0));
    let view = estate.view();
    assert_eq!(
        view.leg(1)
            .unwrap()
            .stats
            .tx_packets
            .load(Ordering::Relaxed),
        0
    );
    assert_eq!(view.transport(1).unwrap().state.load(Ordering::Relaxed), 1);
}

#[test]
fn transports_come_and_go_with_their_legs() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    estate.open_room();
    let mut browsers = vec![estate.browser(0), estate.browser(1)];
    let rejection = |worker: &mut Worker, estate: &Estate| {
        for _ in 0..4 {
            worker.turn().unwrap();
        }
        let rejected = |event: &Event| event.kind == EventKind::Rejected as u32;
        estate
            .events()
            .into_iter()
            .find(rejected)
            .map(|event| event.value)
    };
    // A leg needs its transport first, and of its own generation.
    estate.set_leg(0);
    let refused = rejection(&mut worker, &estate);
    assert_eq!(refused, Some(RejectReason::WrongGeneration as u64));
    // Credentials of another slot would never be found.
    let foreign = TransportConfig {
        local: browsers[1].server_credentials,
        ..transport_config(&browsers[0])
    };
    estate.set_transport(0, foreign);
    let refused = rejection(&mut worker, &estate);
    assert_eq!(refused, Some(RejectReason::Unsupported as u64));
    let add = AddCandidate {
        leg: SlotRef {
            slot: 0,
            generation: 1,
        },
        ..AddCandidate::default()
    };
    estate.send(CommandKind::AddCandidate, &add);
    let refused = rejection(&mut worker, &estate);
    assert_eq!(refused, Some(RejectReason::NoSuchSlot as u64));

    browsers.iter().for_each(|browser| estate.admit(browser));
    talk_until(&mut worker, &mut browsers, "keys", all_have_keys);
    let leg = SlotRef {
        slot: 0,
        generation: 1,
    };
    estate.send(CommandKind::RemoveLeg, &leg);
    talk(&mut worker, &mut browsers, Duration::from_millis(100));
    let view = estate.view();
    let record = view.transport(0).unwrap();
    assert!(record.config.load::<TransportConfig>().is_none());
    assert!(record.keys.load::<plenum_abi::TransportKeys>().is_none());
    browsers[0].heard.clear();
    let unknown = view.stats().rx_unknown.load(Ordering::Relaxed);
    talk(&mut worker, &mut browsers, Duration::from_millis(200));
    assert!(browsers[0].heard.is_empty());
    assert!(view.stats().rx_unknown.load(Ordering::Relaxed) > unknown);
    assert_eq!(rejection(&mut worker, &estate), None);
    // The other one stays.
    browsers[1].heard.clear();
    talk(&mut worker, &mut browsers, Duration::from_millis(200));
    assert!(!browsers[1].heard.is_empty());
}
