//! A worker with legs on loopback, driven turn by turn.
//!
//! Dropping a worker between two turns is what `kill -9` between two
//! instructions looks like to its successor: nothing is said to anybody, and
//! the arena is all that is left.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plenum_abi::{
    AudioCodec, COMMAND_RING_SLOTS, Command, CommandKind, ConferenceConfig, Event, EventKind,
    Layout, LegConfig, LegFlags, MasterKeys, NO_PAYLOAD_TYPE, PayloadMap, RejectReason,
    SetConference, SetLeg, SlotRef, SrtpSuite,
};
use plenum_ring::{Arena, Doorbell, WorkerView};
use plenum_rtp::packet::{RTP_HEADER_LEN, RtpHeader, RtpPacket};
use plenum_rtp::red::HEADERS_LEN;
use plenum_rtp::rtcp::{CompoundWriter, ReportBlock};
use plenum_srtp::{Receiver, Sender, TAIL_MAX};
use plenum_uring::SocketOptions;
use plenum_worker::{LegSockets, Worker, WorkerSetup};

const SUITE: SrtpSuite = SrtpSuite::AesCm128HmacSha1_80;
const LEGS: u32 = 4;

/// What the supervisor holds.
struct Estate {
    arena: Arena,
    doorbell: Doorbell,
    control: Doorbell,
    sockets: Vec<[UdpSocket; 2]>,
    epoch: u64,
}

impl Estate {
    fn new() -> Self {
        let layout = Layout {
            workers: 1,
            legs_per_worker: LEGS,
            conferences_per_worker: 2,
            video_streams_per_worker: 0,
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
            epoch: 0,
        }
    }

    fn view(&self) -> WorkerView {
        self.arena.worker(0)
    }

    fn worker(&mut self) -> Worker {
        let copy = |fd: &dyn AsFd| -> OwnedFd { fd.as_fd().try_clone_to_owned().unwrap() };
        self.epoch += 1;
        Worker::new(WorkerSetup {
            view: self.view(),
            epoch: self.epoch,
            core: None,
            doorbell: Doorbell::from_fd(copy(&self.doorbell)),
            control_doorbell: Doorbell::from_fd(copy(&self.control)),
            sockets: self
                .sockets
                .iter()
                .map(|[rtp, rtcp]| LegSockets {
                    rtp: copy(rtp),
                    rtcp: copy(rtcp),
                })
                .collect(),
            video_sockets: Vec::new(),
            browsers: None,
            modules: Vec::new(),
        })
        .unwrap()
    }

    fn send<T: zerocopy::IntoBytes + zerocopy::Immutable>(&self, kind: CommandKind, payload: &T) {
        self.view()
            .command_producer()
            .push(&Command::new(kind, 1, payload))
            .unwrap();
    }

    fn open_room(&self, slot: u32) {
        let config = ConferenceConfig {
            generation: 1,
            revision: 1,
            ..ConferenceConfig::default()
        };
        self.send(
            CommandKind::SetConference,
            &SetConference {
                slot,
                reserved: 0,
                config,
            },
        );
    }

    fn events(&self) -> Vec<Event> {
        let mut ring = self.view().event_consumer();
        std::iter::from_fn(|| ring.pop()).collect()
    }

    fn rejection(&self) -> Option<u64> {
        let rejected = |event: &Event| event.kind == EventKind::Rejected as u32;
        self.events()
            .into_iter()
            .find(rejected)
            .map(|event| event.value)
    }
}

/// The header extension with a packet's level.
const LEVEL_ID: u8 = 5;

/// Payload type of redundant audio.
const RED: u8 = 98;

/// The far end of a leg.
struct Phone {
    slot: u32,
    socket: UdpSocket,
    leg: SocketAddr,
    keys: [MasterKeys; 2],
    sender: Option<Sender>,
    receiver: Option<Receiver>,
    next: AtomicU64,
    loud: bool,
    /// The level that its packets tell (RFC 6464), where they tell one.
    claims: Option<u8>,
    /// What it sends is sent again with the next packet (RFC 2198).
    repeats: bool,
    /// One packet in so many does not arrive.
    loses_every: u64,
    heard: Vec<(RtpHeader, bool)>,
}

impl Phone {
    fn new(estate: &Estate, slot: u32, secure: bool) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let keys: [MasterKeys; 2] =
            [1, 2].map(|n| MasterKeys::new(SUITE, &[slot as u8 * 2 + n; 30]).unwrap());
        Self {
            slot,
            socket,
            leg: estate.sockets[slot as usize][0].local_addr().unwrap(),
            sender: secure.then(|| Sender::new(SUITE, &keys[1])),
            receiver: secure.then(|| Receiver::new(SUITE, &keys[0])),
            keys,
            next: AtomicU64::new(500),
            loud: true,
            claims: None,
            repeats: false,
            loses_every: u64::MAX,
            heard: Vec::new(),
        }
    }

    fn config(&self, revision: u64) -> LegConfig {
        let flags = LegFlags::SEND | LegFlags::RECEIVE | LegFlags::LEARN_ADDRESS;
        LegConfig {
            leg_guid: [self.slot as u8; 16],
            revision,
            generation: 1,
            conference: 0,
            flags: flags.0,
            tx_ssrc: 0xabcd_0000 + self.slot,
            remote_rtp: self.socket.local_addr().unwrap().into(),
            codecs: [
                PayloadMap {
                    payload_type: 0,
                    codec: AudioCodec::Pcmu as u8,
                },
                PayloadMap::default(),
                PayloadMap::default(),
                PayloadMap::default(),
            ],
            telephone_event_payload_type: 101,
            comfort_noise_payload_type: NO_PAYLOAD_TYPE,
            audio_level_id: LEVEL_ID,
            red_payload_type: RED,
            packet_ms: 20,
            srtp_suite: self.sender.as_ref().map_or(0, |_| SUITE as u8),
            tx_keys: self.keys[0],
            rx_keys: self.keys[1],
            ..LegConfig::default()
        }
    }

    fn join(&self, estate: &Estate) {
        let set = SetLeg {
            slot: self.slot,
            reserved: 0,
            config: self.config(1),
        };
        estate.send(CommandKind::SetLeg, &set);
    }

    fn packet(&mut self) -> Vec<u8> {
        let index = self.next.load(Ordering::Relaxed);
        let extension = self.claims.map(|level| {
            let element = [LEVEL_ID << 4, level, 0, 0];
            [[0xbe, 0xde, 0, 1], element].concat()
        });
        let extension = extension.unwrap_or_default();
        let begin = RTP_HEADER_LEN + extension.len();
        let payload = self.payload();
        let plain = begin + payload.len();
        let mut buffer = vec![0; plain + TAIL_MAX];
        let header = RtpHeader {
            marker: false,
            payload_type: if self.repeats { RED } else { 0 },
            sequence: index as u16,
            timestamp: (index as u32) * 160,
            ssrc: 77 + self.slot,
        };
        header.write(&mut buffer);
        buffer[0] |= u8::from(!extension.is_empty()) << 4;
        buffer[RTP_HEADER_LEN..begin].copy_from_slice(&extension);
        buffer[begin..plain].copy_from_slice(&payload);
        let len = match &mut self.sender {
            Some(sender) => sender.protect_rtp(&self.next, &mut buffer, plain).unwrap(),
            None => {
                self.next.store(index + 1, Ordering::Relaxed);
                plain
            }
        };
        buffer.truncate(len);
        buffer
    }

    /// 20 ms of a tone or of nothing, and with redundancy the same before it.
    fn payload(&self) -> Vec<u8> {
        let sample = |n: usize| match (self.loud, n % 16 < 8) {
            (true, true) => 0x10,
            (true, false) => 0x90,
            (false, _) => 0xff,
        };
        let frame: Vec<u8> = (0..160).map(sample).collect();
        if !self.repeats {
            return frame;
        }
        let mut payload = vec![0; HEADERS_LEN + 2 * frame.len()];
        plenum_rtp::red::write(&mut payload, 0, (160, &frame), &frame).unwrap();
        payload
    }

    fn say(&mut self) {
        let packet = self.packet();
        if self
            .next
            .load(Ordering::Relaxed)
            .is_multiple_of(self.loses_every)
        {
            return;
        }
        self.socket.send_to(&packet, self.leg).unwrap();
    }

    fn listen_to_nothing(&self) {
        let mut buffer = [0; 2_048];
        while self.socket.recv_from(&mut buffer).is_ok() {}
    }

    fn listen(&mut self) {
        let mut buffer = [0; 2_048];
        while let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            if from != self.leg {
                continue;
            }
            let len = self.receiver.as_mut().map_or(len, |receiver| {
                receiver
                    .unprotect_rtp(&mut buffer[..len])
                    .expect("a packet under our key")
            });
            let packet = RtpPacket::parse(&buffer[..len]).unwrap();
            let loud = packet.payload().iter().any(|byte| byte & 0x7f < 0x60);
            self.heard.push((packet.header, loud));
        }
    }
}

/// Phones talk every 20 ms while the worker turns.
fn talk(worker: &mut Worker, phones: &mut [Phone], span: Duration) {
    let start = Instant::now();
    let mut next = start;
    while start.elapsed() < span {
        if Instant::now() >= next {
            next += Duration::from_millis(20);
            phones.iter_mut().for_each(Phone::say);
        }
        worker.turn().unwrap();
        phones.iter_mut().for_each(Phone::listen);
    }
}

/// Lets the worker see what was asked of it.
fn settle(worker: &mut Worker, estate: &Estate) {
    estate.send(CommandKind::Barrier, &0_u64);
    let ring = estate.view().command_producer();
    for _ in 0..200 {
        worker.turn().unwrap();
        if ring.is_empty() {
            return;
        }
        ring.wake(&estate.doorbell);
    }
    panic!("the worker does not obey");
}

#[test]
fn a_successor_goes_on_with_every_stream_where_it_stood() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    estate.open_room(0);
    let mut phones: Vec<Phone> = [true, true, false]
        .iter()
        .zip(0..)
        .map(|(secure, slot)| Phone::new(&estate, slot, *secure))
        .collect();
    phones.iter().for_each(|phone| phone.join(&estate));
    settle(&mut worker, &estate);
    for _ in 0..4 {
        talk(&mut worker, &mut phones, Duration::from_millis(400));
        drop(worker);
        worker = estate.worker();
        let started = estate
            .events()
            .into_iter()
            .rfind(|event| event.kind == EventKind::WorkerStarted as u32);
        assert_eq!(started.map(|event| event.value), Some(3));
    }
    talk(&mut worker, &mut phones, Duration::from_millis(400));
    for phone in &phones {
        assert!(phone.heard.len() > 60, "{} packets", phone.heard.len());
        let loud = phone.heard.iter().filter(|(_, loud)| *loud).count();
        assert!(
            loud * 10 > phone.heard.len() * 6,
            "{loud} of {} are loud",
            phone.heard.len()
        );
        for pair in phone.heard.windows(2) {
            let (before, after) = (pair[0].0, pair[1].0);
            assert_eq!(after.ssrc, 0xabcd_0000 + phone.slot);
            assert_eq!(after.sequence, before.sequence.wrapping_add(1));
            let ticks = after.timestamp.wrapping_sub(before.timestamp);
            assert!(
                (1..8_000).contains(&ticks),
                "the media clock went on by {ticks}"
            );
        }
        let record = estate.view();
        let stats = &record.leg(phone.slot).unwrap().stats;
        assert_eq!(stats.rx_replayed.load(Ordering::Relaxed), 0);
        assert_eq!(stats.rx_auth_failed.load(Ordering::Relaxed), 0);
        assert_eq!(stats.rx_stranger.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn a_packet_that_was_heard_before_the_crash_is_not_heard_after_it() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    estate.open_room(0);
    let mut phones = vec![Phone::new(&estate, 0, true), Phone::new(&estate, 1, true)];
    phones.iter().for_each(|phone| phone.join(&estate));
    settle(&mut worker, &estate);
    talk(&mut worker, &mut phones, Duration::from_millis(100));
    let packet = phones[0].packet();
    phones[0].socket.send_to(&packet, phones[0].leg).unwrap();
    talk(&mut worker, &mut phones, Duration::from_millis(60));
    drop(worker);
    let mut worker = estate.worker();
    let replayed = || {
        estate
            .arena
            .worker(0)
            .leg(0)
            .unwrap()
            .stats
            .rx_replayed
            .load(Ordering::Relaxed)
    };
    assert_eq!(replayed(), 0);
    phones[0].socket.send_to(&packet, phones[0].leg).unwrap();
    for _ in 0..5 {
        worker.turn().unwrap();
    }
    assert_eq!(replayed(), 1);
}

#[test]
fn new_keys_of_ours_leave_the_far_ends_replay_window_alone() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    estate.open_room(0);
    let mut phones = vec![Phone::new(&estate, 0, true), Phone::new(&estate, 1, true)];
    phones.iter().for_each(|phone| phone.join(&estate));
    settle(&mut worker, &estate);
    talk(&mut worker, &mut phones, Duration::from_millis(100));
    let packet = phones[0].packet();
    phones[0].socket.send_to(&packet, phones[0].leg).unwrap();
    talk(&mut worker, &mut phones, Duration::from_millis(60));

    let new_keys = MasterKeys::new(SUITE, &[0x77; 30]).unwrap();
    let config = LegConfig {
        tx_keys: new_keys,
        tx_key_epoch: 1,
        ..phones[0].config(2)
    };
    let set = SetLeg {
        slot: 0,
        reserved: 0,
        config,
    };
    estate.send(CommandKind::SetLeg, &set);
    settle(&mut worker, &estate);
    // What was sent before under the old key is no longer of interest.
    phones[0].listen_to_nothing();
    phones[0].receiver = Some(Receiver::new(SUITE, &new_keys));
    phones[0].heard.clear();
    phones[0].socket.send_to(&packet, phones[0].leg).unwrap();
    talk(&mut worker, &mut phones, Duration::from_millis(200));
    let view = estate.view();
    let stats = &view.leg(0).unwrap().stats;
    assert_eq!(stats.rx_replayed.load(Ordering::Relaxed), 1);
    assert_eq!(stats.rx_auth_failed.load(Ordering::Relaxed), 0);
    assert!(phones[0].heard.len() > 5, "the new key is in use");
}

#[test]
fn a_torn_record_is_dropped_and_the_others_live() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    estate.open_room(0);
    let phones = [Phone::new(&estate, 0, true), Phone::new(&estate, 1, true)];
    phones.iter().for_each(|phone| phone.join(&estate));
    settle(&mut worker, &estate);
    drop(worker);
    let view = estate.view();
    // As if it had been another tenant's when the writer died.
    view.leg(0).unwrap().generation.store(9, Ordering::Release);
    estate.events();
    let worker = estate.worker();
    assert_eq!(estate.events()[0].value, 1);
    assert!(!view.leg(0).unwrap().is_live() && view.leg(1).unwrap().is_live());
    drop(worker);
}

#[test]
fn commands_are_desired_state() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    let mut ask = |estate: &Estate, kind: CommandKind, leg: &SetLeg| {
        estate.events();
        match kind {
            CommandKind::SetLeg => estate.send(kind, leg),
            _ => estate.send(
                kind,
                &SlotRef {
                    slot: leg.slot,
                    generation: leg.config.generation,
                },
            ),
        }
        settle(&mut worker, estate);
        estate.rejection()
    };
    let phone = Phone::new(&estate, 0, true);
    let set = |config: LegConfig| SetLeg {
        slot: 0,
        reserved: 0,
        config,
    };
    let good = phone.config(5);
    let reason = |reason: RejectReason| Some(reason as u64);

    assert_eq!(
        ask(&estate, CommandKind::SetLeg, &set(good)),
        reason(RejectReason::NoSuchConference)
    );
    estate.open_room(0);
    assert_eq!(ask(&estate, CommandKind::SetLeg, &set(good)), None);
    assert_eq!(ask(&estate, CommandKind::SetLeg, &set(good)), None);
    // An older revision changes nothing, a newer one does.
    let muted = |revision| LegConfig {
        flags: good.flags | LegFlags::RX_AUDIO_MUTE.0,
        revision,
        ..good
    };
    let view = estate.view();
    let stored = || view.leg(0).unwrap().live_config().unwrap();
    assert_eq!(ask(&estate, CommandKind::SetLeg, &set(muted(4))), None);
    assert_eq!(stored(), good);
    assert_eq!(ask(&estate, CommandKind::SetLeg, &set(muted(6))), None);
    assert_eq!(stored(), muted(6));
    // What cannot be is refused and changes nothing.
    let broken = [
        LegConfig {
            packet_ms: 15,
            revision: 7,
            ..good
        },
        LegConfig {
            srtp_suite: 99,
            revision: 7,
            ..good
        },
        LegConfig {
            codecs: [PayloadMap {
                payload_type: 0,
                codec: 200,
            }; 4],
            revision: 7,
            ..good
        },
        LegConfig {
            codecs: [PayloadMap::default(); 4],
            revision: 7,
            ..good
        },
    ];
    for config in broken {
        assert_eq!(
            ask(&estate, CommandKind::SetLeg, &set(config)),
            reason(RejectReason::Unsupported)
        );
        assert_eq!(stored(), muted(6));
    }
    let outside = SetLeg {
        slot: LEGS,
        ..set(good)
    };
    assert_eq!(
        ask(&estate, CommandKind::SetLeg, &outside),
        reason(RejectReason::NoSuchSlot)
    );
    let stale = LegConfig {
        generation: 0,
        ..good
    };
    assert_eq!(
        ask(&estate, CommandKind::SetLeg, &set(stale)),
        reason(RejectReason::WrongGeneration)
    );
    assert_eq!(
        ask(&estate, CommandKind::RemoveLeg, &set(stale)),
        reason(RejectReason::WrongGeneration)
    );
    // A newer tenant takes the slot; removing twice is removing once.
    let tenant = LegConfig {
        generation: 2,
        revision: 1,
        ..good
    };
    assert_eq!(ask(&estate, CommandKind::SetLeg, &set(tenant)), None);
    assert_eq!(stored(), tenant);
    assert_eq!(ask(&estate, CommandKind::RemoveLeg, &set(tenant)), None);
    assert_eq!(ask(&estate, CommandKind::RemoveLeg, &set(tenant)), None);
    assert!(view.leg(0).unwrap().live_config().is_none());
    // Nonsense.
    estate.events();
    let nonsense = Command {
        kind: 999,
        reserved: 0,
        token: 3,
        payload: [u64::MAX; 62],
    };
    estate.view().command_producer().push(&nonsense).unwrap();
    settle(&mut worker, &estate);
    assert_eq!(estate.rejection(), reason(RejectReason::UnknownCommand));
}

#[test]
fn a_flood_of_commands_and_unread_events_stops_nothing() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    estate.open_room(0);
    let mut phones = vec![Phone::new(&estate, 0, true), Phone::new(&estate, 1, true)];
    phones.iter().for_each(|phone| phone.join(&estate));
    settle(&mut worker, &estate);
    let lost = |estate: &Estate| {
        estate
            .arena
            .worker(0)
            .stats()
            .events_lost
            .load(Ordering::Relaxed)
    };
    // Nobody reads the answers; in time their ring is full.
    while lost(&estate) == 0 {
        let mut ring = estate.view().command_producer();
        for _ in 0..COMMAND_RING_SLOTS / 2 {
            let _ = ring.push(&Command::new(CommandKind::Barrier, 1, &0_u64));
        }
        talk(&mut worker, &mut phones, Duration::from_millis(40));
    }
    let before = phones[0].heard.len();
    talk(&mut worker, &mut phones, Duration::from_millis(400));
    let heard = phones[0].heard.len() - before;
    assert!((15..=23).contains(&heard), "{heard} packets in 400 ms");
}

/// Who claims silence is not decoded and so not heard, whatever the packets hold; who
/// says how loud it is, is heard as one who says nothing of it.
#[test]
fn a_level_is_believed_where_it_is_silence() {
    for secure in [false, true] {
        let mut estate = Estate::new();
        let mut worker = estate.worker();
        estate.open_room(0);
        let mut phones = vec![
            Phone::new(&estate, 0, secure),
            Phone::new(&estate, 1, secure),
        ];
        phones[1].loud = false;
        phones.iter().for_each(|phone| phone.join(&estate));
        settle(&mut worker, &estate);
        // From the second claim on, so that the word before has ended.
        let mut heard_while = |claims: Option<u8>| {
            phones[0].claims = claims;
            talk(&mut worker, &mut phones, Duration::from_millis(700));
            phones[1].heard.clear();
            talk(&mut worker, &mut phones, Duration::from_millis(300));
            phones[1].heard.iter().filter(|(_, loud)| *loud).count()
        };
        assert_eq!(heard_while(Some(127)), 0);
        assert!(heard_while(Some(10)) > 8);
        // A speaker's sound is measured, not believed.
        assert!(heard_while(Some(127)) > 8);
        assert!(heard_while(None) > 8);
        let stats = estate.view();
        let stats = &stats.leg(0).unwrap().stats;
        assert_eq!(stats.rx_discarded.load(Ordering::Relaxed), 0);
    }
}

/// A frame that was lost is there with the next packet, so that nothing is made up.
#[test]
fn what_is_sent_twice_is_not_missed() {
    let made_up = |repeats: bool| {
        let mut estate = Estate::new();
        let mut worker = estate.worker();
        estate.open_room(0);
        let mut phones = vec![Phone::new(&estate, 0, true), Phone::new(&estate, 1, true)];
        (phones[0].repeats, phones[0].loses_every) = (repeats, 5);
        phones.iter().for_each(|phone| phone.join(&estate));
        settle(&mut worker, &estate);
        talk(&mut worker, &mut phones, Duration::from_millis(1_500));
        let view = estate.view();
        let stats = &view.leg(0).unwrap().stats;
        assert_eq!(stats.rx_discarded.load(Ordering::Relaxed), 0);
        let lost = stats.rx_lost.load(Ordering::Relaxed);
        assert!((11..=16).contains(&lost), "{lost} lost of 75");
        assert!(phones[1].heard.iter().filter(|(_, loud)| *loud).count() > 50);
        stats.rx_concealed.load(Ordering::Relaxed)
    };
    let (without, with) = (made_up(false), made_up(true));
    assert!(without >= 10, "{without} frames made up");
    assert!(with <= 2, "{with} frames made up");
}

#[test]
fn a_far_end_that_loses_many_packets_is_sent_everything_twice() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    estate.open_room(0);
    let mut phones = vec![Phone::new(&estate, 0, false), Phone::new(&estate, 1, false)];
    phones.iter().for_each(|phone| phone.join(&estate));
    settle(&mut worker, &estate);
    talk(&mut worker, &mut phones, Duration::from_millis(200));
    let mut sent_while = |percent: u32| {
        let block = ReportBlock {
            ssrc: 0xabcd_0001,
            fraction_lost: (percent * 256 / 100) as u8,
            ..ReportBlock::default()
        };
        let mut report = [0; 128];
        let len = CompoundWriter::new(&mut report)
            .receiver_report(78, &[block])
            .cname(78, b"phone")
            .finish()
            .unwrap();
        let rtcp = estate.sockets[1][1].local_addr().unwrap();
        phones[1].socket.send_to(&report[..len], rtcp).unwrap();
        talk(&mut worker, &mut phones, Duration::from_millis(100));
        phones[1].heard.clear();
        talk(&mut worker, &mut phones, Duration::from_millis(300));
        let types = phones[1]
            .heard
            .iter()
            .map(|(header, _)| header.payload_type);
        let twice = types.filter(|payload_type| *payload_type == RED).count();
        (phones[1].heard.len(), twice)
    };
    assert!(matches!(sent_while(3), (12..=18, 0)));
    let (sent, twice) = sent_while(10);
    assert!(sent >= 12 && twice == sent, "{twice} of {sent}");
    let (sent, twice) = sent_while(3);
    assert!(twice == sent, "still {twice} of {sent}");
    assert!(matches!(sent_while(0), (12..=18, 0)));
}
