//! A worker's video streams on loopback, with the test in the place of the module.
//!
//! As in `legs.rs`, dropping a worker is what `kill -9` looks like to its successor.
//! Raising the epoch in the module's memory is what another life of the module looks
//! like to the worker.

mod again;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plenum_abi::{
    AccessUnitHead, AudioCodec, Begin, Command, CommandKind, ConferenceConfig, DownKind, Event,
    EventKind, FrameHead, InConference, Layout, LegConfig, LegFlags, MasterKeys, ModuleConference,
    ModuleEnd, ModuleLayout, ModuleParticipant, ModuleReceiver, NO_PAYLOAD_TYPE, PayloadMap,
    SetConference, SetLeg, SetText, SetVideo, SetViewPolicy, SlotRef, SrtpSuite, StreamNote, Text,
    UpKind, VideoCodec, VideoConfig, VideoFlags, VideoPayload, ViewPolicy, participant_flags,
};
use plenum_ring::{Arena, Doorbell, ModuleMemory, RecordConsumer, RecordProducer, WorkerView};
use plenum_rtp::packet::{RTP_HEADER_LEN, RtpHeader, RtpPacket};
use plenum_rtp::rtcp::{Compound, CompoundWriter};
use plenum_rtp::video::{Assembler, Vp8Packetizer};
use plenum_srtp::{Receiver, Sender, TAIL_MAX};
use plenum_uring::SocketOptions;
use plenum_worker::{LegSockets, ModuleSetup, Worker, WorkerSetup};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes};

const SUITE: SrtpSuite = SrtpSuite::AesCm128HmacSha1_80;
const LEGS: u32 = 3;
const CONFERENCE: SlotRef = SlotRef {
    slot: 0,
    generation: 1,
};

/// What the supervisor holds.
struct Estate {
    arena: Arena,
    module: ModuleMemory,
    doorbells: [Doorbell; 3],
    sockets: Vec<[UdpSocket; 2]>,
    video: Vec<[UdpSocket; 2]>,
    epoch: u64,
}

fn pair() -> [UdpSocket; 2] {
    [(); 2].map(|()| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        UdpSocket::from(plenum_uring::media_socket(address, &SocketOptions::default()).unwrap())
    })
}

fn copy(fd: &dyn AsFd) -> OwnedFd {
    fd.as_fd().try_clone_to_owned().unwrap()
}

impl Estate {
    fn new() -> Self {
        let arena = Arena::create(Layout {
            workers: 1,
            legs_per_worker: LEGS,
            conferences_per_worker: 2,
            video_streams_per_worker: LEGS,
        });
        let module = ModuleMemory::create(ModuleLayout {
            workers: 1,
            up_bytes: 1 << 20,
            down_bytes: 1 << 20,
        });
        Self {
            arena: arena.unwrap(),
            module: module.unwrap(),
            doorbells: [(); 3].map(|()| Doorbell::new().unwrap()),
            sockets: (0..LEGS).map(|_| pair()).collect(),
            video: (0..LEGS).map(|_| pair()).collect(),
            epoch: 0,
        }
    }

    fn view(&self) -> WorkerView {
        self.arena.worker(0)
    }

    fn worker(&mut self) -> Worker {
        self.epoch += 1;
        let bell = |index: usize| Doorbell::from_fd(copy(&self.doorbells[index]));
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
            doorbell: bell(0),
            control_doorbell: bell(1),
            sockets: sockets(&self.sockets),
            video_sockets: sockets(&self.video),
            browsers: None,
            modules: vec![ModuleSetup {
                memory: self.module.clone(),
                doorbell: bell(2),
            }],
        })
        .unwrap()
    }

    fn send<T: IntoBytes + Immutable>(&self, kind: CommandKind, payload: &T) {
        let command = Command::new(kind, 1, payload);
        self.view().command_producer().push(&command).unwrap();
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

    fn events(&self) -> Vec<Event> {
        let mut ring = self.view().event_consumer();
        std::iter::from_fn(|| ring.pop()).collect()
    }

    fn count_of(&self, kind: EventKind) -> usize {
        let is = |event: &Event| event.kind == kind as u32;
        self.events().into_iter().filter(is).count()
    }

    /// Another life of the module begins.
    fn start_module(&self) -> Module {
        let header = self.module.header();
        let mut up = self.module.up_consumer(0);
        up.skip_all();
        header.epoch.fetch_add(1, Ordering::AcqRel);
        Module {
            up,
            down: self.module.down_producer(0),
            payload: Vec::new(),
        }
    }
}

/// The test in the module's place.
struct Module {
    up: RecordConsumer,
    down: RecordProducer,
    payload: Vec<u8>,
}

/// What a module heard.
#[derive(Debug, PartialEq)]
enum Heard {
    Begin(u64),
    Settled,
    Conference(String),
    Participant(u32, u32, String),
    Receiver(u32, u32),
    Gone(UpKind, u32),
    Unit(AccessUnitHead, Vec<u8>),
    KeyFrame(u32),
    Other(u32),
}

impl Module {
    fn hear(&mut self) -> Vec<Heard> {
        let mut heard = Vec::new();
        while let Some(kind) = self.up.pop(&mut self.payload) {
            let bytes = &self.payload[..];
            let about = || InConference::read_from_prefix(bytes).unwrap().0.about.slot;
            heard.push(match UpKind::from_u32(kind).unwrap() {
                UpKind::Begin => Heard::Begin(Begin::read_from_bytes(bytes).unwrap().epoch),
                UpKind::Settled => Heard::Settled,
                UpKind::SetConference => {
                    let said = ModuleConference::read_from_bytes(bytes).unwrap();
                    Heard::Conference(said.message.as_str().to_owned())
                }
                UpKind::SetParticipant => {
                    let said = ModuleParticipant::read_from_bytes(bytes).unwrap();
                    let label = said.label.as_str().to_owned();
                    Heard::Participant(said.leg.slot, said.flags, label)
                }
                UpKind::SetReceiver => {
                    let said = ModuleReceiver::read_from_bytes(bytes).unwrap();
                    Heard::Receiver(said.stream.slot, said.bit_rate_bps)
                }
                UpKind::AccessUnit => {
                    let (head, unit) = AccessUnitHead::read_from_prefix(bytes).unwrap();
                    Heard::Unit(head, unit.to_vec())
                }
                UpKind::RequestKeyFrame => Heard::KeyFrame(about()),
                kind @ (UpKind::RemoveReceiver | UpKind::RemoveParticipant) => {
                    Heard::Gone(kind, about())
                }
                other => Heard::Other(other as u32),
            });
        }
        heard
    }

    fn units(&mut self) -> Vec<Vec<u8>> {
        let units = self.hear().into_iter().filter_map(|heard| match heard {
            Heard::Unit(_, unit) => Some(unit),
            _ => None,
        });
        units.collect()
    }

    fn show(&mut self, to: &[SlotRef], key_frame: bool, timestamp: u32, data: &[u8]) {
        let head = FrameHead {
            receivers: to.len() as u32,
            bytes: data.len() as u32,
            timestamp,
            width: 640,
            height: 360,
            codec: VideoCodec::Vp8 as u8,
            key_frame: u8::from(key_frame),
            ..FrameHead::new_zeroed()
        };
        let parts = [head.as_bytes(), to.as_bytes(), data];
        self.down.push(DownKind::Frame as u32, &parts).unwrap();
    }
}

/// The far end of a leg with a picture.
struct Room {
    slot: u32,
    socket: UdpSocket,
    rtcp: UdpSocket,
    to: [SocketAddr; 2],
    keys: [MasterKeys; 2],
    sender: Sender,
    receiver: Receiver,
    next: AtomicU64,
    next_rtcp: AtomicU64,
    packetizer: Vp8Packetizer,
    headers: Vec<RtpHeader>,
    payloads: Vec<Vec<u8>>,
    /// Packets that came again under an SSRC of their own.
    repaired: Vec<(RtpHeader, Vec<u8>)>,
    unit: Vec<u8>,
    assembler: Assembler,
    seen: Vec<Vec<u8>>,
    feedback: Vec<Vec<u8>>,
}

/// A VP8 frame as far as its first bit tells: a key frame or not.
fn frame(key_frame: bool, fill: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![fill; len];
    bytes[0] = u8::from(!key_frame);
    bytes
}

impl Room {
    fn new(estate: &Estate, slot: u32) -> Self {
        let bind = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        let keys: [MasterKeys; 2] =
            [1, 2].map(|n| MasterKeys::new(SUITE, &[slot as u8 * 2 + n; 30]).unwrap());
        let to = |index: usize| estate.video[slot as usize][index].local_addr().unwrap();
        Self {
            slot,
            socket: bind(),
            rtcp: bind(),
            to: [to(0), to(1)],
            sender: Sender::new(SUITE, &keys[1]),
            receiver: Receiver::new(SUITE, &keys[0]),
            keys,
            next: AtomicU64::new(900),
            next_rtcp: AtomicU64::new(0),
            packetizer: Vp8Packetizer::new(1_000, 1, 7),
            headers: Vec::new(),
            payloads: Vec::new(),
            repaired: Vec::new(),
            unit: Vec::new(),
            assembler: Assembler::new(VideoCodec::Vp8, 1 << 20),
            seen: Vec::new(),
            feedback: Vec::new(),
        }
    }

    fn stream(&self) -> SlotRef {
        SlotRef {
            slot: self.slot,
            generation: 1,
        }
    }

    fn join(&self, estate: &Estate) {
        let config = LegConfig {
            leg_guid: [self.slot as u8; 16],
            revision: 1,
            generation: 1,
            flags: (LegFlags::SEND | LegFlags::RECEIVE).0,
            codecs: [
                PayloadMap {
                    payload_type: 0,
                    codec: AudioCodec::Pcmu as u8,
                },
                PayloadMap::default(),
                PayloadMap::default(),
                PayloadMap::default(),
            ],
            telephone_event_payload_type: NO_PAYLOAD_TYPE,
            comfort_noise_payload_type: NO_PAYLOAD_TYPE,
            packet_ms: 20,
            ..LegConfig::default()
        };
        let set = SetLeg {
            slot: self.slot,
            reserved: 0,
            config,
        };
        estate.send(CommandKind::SetLeg, &set);
        let label = SetText {
            about: self.stream(),
            text: Text::new(1, &format!("Room {}", self.slot)),
        };
        estate.send(CommandKind::SetLabel, &label);
        self.show(estate, 1);
    }

    fn show(&self, estate: &Estate, revision: u64) {
        self.show_with(estate, revision, NO_PAYLOAD_TYPE);
    }

    fn show_with(&self, estate: &Estate, revision: u64, rtx_payload_type: u8) {
        let flags = VideoFlags::SEND
            | VideoFlags::RECEIVE
            | VideoFlags::LEARN_ADDRESS
            | VideoFlags::PLI
            | VideoFlags::NACK;
        let vp8 = VideoPayload {
            payload_type: 97,
            codec: VideoCodec::Vp8 as u8,
            rtx_payload_type,
            ..VideoPayload::default()
        };
        let config = VideoConfig {
            revision,
            generation: 1,
            flags: flags.0,
            leg: self.stream(),
            tx_ssrc: 0x0dd0_0000 + self.slot,
            tx_rtx_ssrc: 0x0dd1_0000 + self.slot,
            remote_rtp: self.socket.local_addr().unwrap().into(),
            remote_rtcp: self.rtcp.local_addr().unwrap().into(),
            payloads: [
                vp8,
                VideoPayload::default(),
                VideoPayload::default(),
                VideoPayload::default(),
            ],
            tx_bit_rate_bps_max: 1_500_000,
            tx_width_max: 1_280,
            tx_height_max: 720,
            tx_frame_rate_max: 30,
            srtp_suite: SUITE as u8,
            tx_keys: self.keys[0],
            rx_keys: self.keys[1],
            ..VideoConfig::default()
        };
        let set = SetVideo {
            slot: self.slot,
            reserved: 0,
            config,
        };
        estate.send(CommandKind::SetVideo, &set);
    }

    /// Sends a frame, all but the packets whose number in it is in `but`.
    fn say(&mut self, timestamp: u32, unit: &[u8], but: &[usize]) -> Vec<Vec<u8>> {
        let mut kept = Vec::new();
        let mut packets = self.packetizer.packets(unit, 0);
        for number in 0.. {
            let mut buffer = vec![0; RTP_HEADER_LEN + 1_000 + TAIL_MAX];
            let Some(payload) = packets.write_next(&mut buffer[RTP_HEADER_LEN..]) else {
                break;
            };
            RtpHeader {
                marker: payload.marker,
                payload_type: 97,
                sequence: self.next.load(Ordering::Relaxed) as u16,
                timestamp,
                ssrc: 0x00ab_0000 + self.slot,
            }
            .write(&mut buffer);
            let len = RTP_HEADER_LEN + payload.len;
            let len = self
                .sender
                .protect_rtp(&self.next, &mut buffer, len)
                .unwrap();
            buffer.truncate(len);
            if but.contains(&number) {
                kept.push(buffer);
            } else {
                self.socket.send_to(&buffer, self.to[0]).unwrap();
            }
        }
        kept
    }

    fn ask_again(&mut self, sequences: &[u16]) {
        let mut buffer = [0; 128];
        let mut writer = CompoundWriter::new(&mut buffer);
        let (ours, theirs) = (0x00ab_0000 + self.slot, 0x0dd0_0000 + self.slot);
        writer
            .receiver_report(ours, &[])
            .nack(ours, theirs, sequences);
        let len = writer.finish().unwrap();
        let len = self.sender.protect_rtcp(&self.next_rtcp, &mut buffer, len);
        self.rtcp
            .send_to(&buffer[..len.unwrap()], self.to[1])
            .unwrap();
    }

    fn ask_for_key_frame(&mut self) {
        let mut buffer = [0; 128];
        let mut writer = CompoundWriter::new(&mut buffer);
        let (ours, theirs) = (0x00ab_0000 + self.slot, 0x0dd0_0000 + self.slot);
        writer.receiver_report(ours, &[]).picture_loss(ours, theirs);
        let len = writer.finish().unwrap();
        let len = self.sender.protect_rtcp(&self.next_rtcp, &mut buffer, len);
        self.rtcp
            .send_to(&buffer[..len.unwrap()], self.to[1])
            .unwrap();
    }

    fn look(&mut self) {
        let mut buffer = [0; 2_048];
        while let Ok((len, _)) = self.socket.recv_from(&mut buffer) {
            let len = self.receiver.unprotect_rtp(&mut buffer[..len]).unwrap();
            let packet = RtpPacket::parse(&buffer[..len]).unwrap();
            let header = packet.header;
            if header.payload_type == RTX {
                let repaired = (header, packet.payload().to_vec());
                self.repaired.push(repaired);
                continue;
            }
            self.headers.push(header);
            self.payloads.push(packet.payload().to_vec());
            self.assembler
                .push(header.timestamp, packet.payload(), &mut self.unit);
            if header.marker && self.assembler.finish(&mut self.unit).is_some() {
                self.seen.push(self.unit.clone());
            }
        }
        while let Ok((len, _)) = self.rtcp.recv_from(&mut buffer) {
            let len = self.receiver.unprotect_rtcp(&mut buffer[..len]).unwrap();
            self.feedback.push(buffer[..len].to_vec());
        }
    }

    fn was_asked(&mut self) -> usize {
        let asks = |compound: &Vec<u8>| {
            let compound = Compound::parse(compound).unwrap();
            compound
                .packets()
                .any(|packet| packet.picture_loss().is_some())
        };
        std::mem::take(&mut self.feedback)
            .iter()
            .filter(|compound| asks(compound))
            .count()
    }
}

fn turn(worker: &mut Worker, rooms: &mut [Room], span: Duration) {
    let until = Instant::now() + span;
    while Instant::now() < until {
        worker.turn().unwrap();
        rooms.iter_mut().for_each(Room::look);
    }
}

/// Payload type of retransmissions.
const RTX: u8 = 98;
const A_WHILE: Duration = Duration::from_millis(120);

#[test]
fn pictures_go_up_whole_and_come_down_to_whom_they_are_for() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    let mut module = estate.start_module();
    let mut rooms: Vec<Room> = (0..2).map(|slot| Room::new(&estate, slot)).collect();
    estate.open_room();
    rooms.iter().for_each(|room| room.join(&estate));
    turn(&mut worker, &mut rooms, A_WHILE);
    let heard = module.hear();
    assert_eq!(heard[0], Heard::Begin(1));
    let sends = participant_flags::SENDS_VIDEO;
    for slot in 0..2 {
        let participant = Heard::Participant(slot, sends, format!("Room {slot}"));
        assert!(heard.contains(&participant), "{heard:?}");
        assert!(
            heard.contains(&Heard::Receiver(slot, 1_500_000)),
            "{heard:?}"
        );
    }

    // Up: a frame of many packets, one of them late.
    let unit = frame(true, 0x55, 20_000);
    let late = rooms[0].say(1_000, &unit, &[3]);
    turn(&mut worker, &mut rooms, Duration::from_millis(5));
    assert!(module.units().is_empty());
    rooms[0].socket.send_to(&late[0], rooms[0].to[0]).unwrap();
    turn(&mut worker, &mut rooms, A_WHILE);
    assert_eq!(module.units(), [unit]);
    assert_eq!(estate.count_of(EventKind::VideoStarted), 1);

    // Down: a large one for the first, which leaves over some milliseconds.
    let picture = frame(true, 0x66, 40_000);
    module.show(&[rooms[0].stream()], true, 90_000, &picture);
    turn(&mut worker, &mut rooms, A_WHILE);
    assert_eq!(rooms[0].seen, [picture]);
    assert!(rooms[1].seen.is_empty());
    let view = estate.view();
    let stats = &view.video_stream(0).unwrap().stats;
    assert_eq!(stats.tx_frames.load(Ordering::Relaxed), 1);
    assert_eq!(stats.tx_size.load(Ordering::Relaxed), 640 << 16 | 360);

    // For both, as one record; the second has had no key frame and must get one first.
    let both = [rooms[0].stream(), rooms[1].stream()];
    module.hear();
    module.show(&both, false, 93_000, &frame(false, 0x77, 900));
    turn(&mut worker, &mut rooms, A_WHILE);
    assert_eq!(rooms[0].seen.len(), 2);
    assert!(rooms[1].seen.is_empty());
    assert!(module.hear().contains(&Heard::KeyFrame(1)));
    let steps: Vec<u16> = rooms[0]
        .headers
        .windows(2)
        .map(|two| two[1].sequence.wrapping_sub(two[0].sequence))
        .collect();
    assert!(steps.iter().all(|step| *step == 1), "{steps:?}");
    assert_eq!(
        rooms[0].headers.last().unwrap().timestamp - rooms[0].headers[0].timestamp,
        3_000
    );

    // A far end that lost its way asks, and the module hears of it.
    rooms[0].ask_for_key_frame();
    turn(&mut worker, &mut rooms, A_WHILE);
    assert!(module.hear().contains(&Heard::KeyFrame(0)));
}

#[test]
fn what_is_lost_is_asked_for_and_vp8_waits_for_a_key_frame() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    let mut module = estate.start_module();
    let mut rooms = vec![Room::new(&estate, 0)];
    estate.open_room();
    rooms[0].join(&estate);
    turn(&mut worker, &mut rooms, A_WHILE);
    rooms[0].say(0, &frame(true, 1, 5_000), &[]);
    let _never = rooms[0].say(3_000, &frame(false, 2, 5_000), &[2]);
    turn(&mut worker, &mut rooms, Duration::from_millis(500));
    let nacks: Vec<u16> = rooms[0]
        .feedback
        .iter()
        .flat_map(|compound| {
            let compound = Compound::parse(compound).unwrap();
            compound
                .packets()
                .flat_map(|packet| packet.nacks().collect::<Vec<_>>())
                .collect::<Vec<_>>()
        })
        .collect();
    let lost = rooms[0].next.load(Ordering::Relaxed) as u16 - 4;
    assert!(
        !nacks.is_empty() && nacks.iter().all(|sequence| *sequence == lost),
        "{nacks:?}"
    );
    rooms[0].say(6_000, &frame(false, 3, 2_000), &[]);
    turn(&mut worker, &mut rooms, Duration::from_millis(400));
    assert_eq!(module.units(), [frame(true, 1, 5_000)]);
    assert!(rooms[0].was_asked() >= 1);
    let whole = frame(true, 4, 3_000);
    rooms[0].say(9_000, &whole, &[]);
    turn(&mut worker, &mut rooms, A_WHILE);
    assert_eq!(module.units(), [whole]);
}

#[test]
fn a_successor_of_the_module_is_told_all_and_both_ends_begin_with_key_frames() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    let mut module = estate.start_module();
    let mut rooms: Vec<Room> = (0..2).map(|slot| Room::new(&estate, slot)).collect();
    estate.open_room();
    rooms.iter().for_each(|room| room.join(&estate));
    let message = SetText {
        about: CONFERENCE,
        text: Text::new(1, "Lunch"),
    };
    estate.send(CommandKind::SetMessage, &message);
    let policy = SetViewPolicy {
        conference: CONFERENCE,
        policy: ViewPolicy {
            revision: 1,
            layout: 2,
            ..ViewPolicy::default()
        },
    };
    estate.send(CommandKind::SetViewPolicy, &policy);
    turn(&mut worker, &mut rooms, A_WHILE);
    rooms[0].say(0, &frame(true, 1, 500), &[]);
    module.show(&[rooms[0].stream()], true, 500, &frame(true, 9, 500));
    turn(&mut worker, &mut rooms, A_WHILE);
    let _ = rooms[0].was_asked();
    drop(module);

    let mut module = estate.start_module();
    turn(&mut worker, &mut rooms, A_WHILE);
    let heard = module.hear();
    assert_eq!(heard.first(), Some(&Heard::Begin(2)));
    assert!(
        heard.contains(&Heard::Conference("Lunch".to_owned())),
        "{heard:?}"
    );
    assert!(heard.contains(&Heard::Receiver(0, 1_500_000)), "{heard:?}");
    assert!(heard.contains(&Heard::Settled), "{heard:?}");
    assert_eq!(rooms[0].was_asked(), 1);
    // Another clock in the module: time goes on all the same.
    module.show(
        &[rooms[0].stream()],
        false,
        7_777_777,
        &frame(false, 8, 500),
    );
    turn(&mut worker, &mut rooms, A_WHILE);
    assert_eq!(rooms[0].seen.len(), 1, "nothing before a key frame");
    module.show(&[rooms[0].stream()], true, 7_777_777, &frame(true, 8, 500));
    turn(&mut worker, &mut rooms, A_WHILE);
    assert_eq!(rooms[0].seen.len(), 2);
    let headers = &rooms[0].headers;
    let step = headers[1].timestamp.wrapping_sub(headers[0].timestamp);
    assert!((9_000..90_000).contains(&step), "{step}");
}

#[test]
fn a_successor_of_the_worker_goes_on_under_the_same_context_and_time() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    let mut module = estate.start_module();
    let mut rooms = vec![Room::new(&estate, 0)];
    estate.open_room();
    rooms[0].join(&estate);
    turn(&mut worker, &mut rooms, A_WHILE);
    rooms[0].say(0, &frame(true, 1, 500), &[]);
    module.show(&[rooms[0].stream()], true, 500, &frame(true, 9, 3_000));
    turn(&mut worker, &mut rooms, A_WHILE);
    module.hear();
    drop(worker);

    let mut worker = estate.worker();
    turn(&mut worker, &mut rooms, A_WHILE);
    assert_eq!(module.hear().first(), Some(&Heard::Begin(1)));
    rooms[0].say(15_000, &frame(false, 3, 500), &[]);
    turn(&mut worker, &mut rooms, A_WHILE);
    assert!(rooms[0].was_asked() >= 1);
    let unit = frame(true, 2, 500);
    rooms[0].say(30_000, &unit, &[]);
    module.show(&[rooms[0].stream()], true, 20_000, &frame(true, 8, 500));
    turn(&mut worker, &mut rooms, A_WHILE);
    assert_eq!(module.units(), [unit]);
    let headers = &rooms[0].headers;
    let last = headers.len() - 1;
    assert_eq!(headers[last].ssrc, headers[0].ssrc);
    assert_eq!(
        headers[last].sequence,
        headers[last - 1].sequence.wrapping_add(1)
    );
    let step = headers[last].timestamp.wrapping_sub(headers[0].timestamp);
    assert!((9_000..90_000).contains(&step), "{step}");
}

#[test]
fn a_stream_that_kills_its_decoder_twice_is_put_aside_and_nobody_else() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    let mut module = estate.start_module();
    let mut rooms: Vec<Room> = (0..2).map(|slot| Room::new(&estate, slot)).collect();
    estate.open_room();
    rooms.iter().for_each(|room| room.join(&estate));
    turn(&mut worker, &mut rooms, A_WHILE);
    let memory = estate.module.clone();
    let mut die = |estate: &Estate, worker: &mut Worker, rooms: &mut [Room], end: ModuleEnd| {
        let note = StreamNote {
            worker: 0,
            stream: rooms[0].stream(),
        };
        let header = memory.header();
        header.last_notes[0].store(note.to_word(), Ordering::Relaxed);
        header.last_end.store(end as u64, Ordering::Relaxed);
        module = estate.start_module();
        turn(worker, rooms, A_WHILE);
        rooms[0].say(0, &frame(true, 1, 500), &[]);
        rooms[1].say(0, &frame(true, 2, 500), &[]);
        turn(worker, rooms, A_WHILE);
        module.units().len()
    };
    // Killed from outside: nobody is to blame, however often.
    for _ in 0..3 {
        assert_eq!(die(&estate, &mut worker, &mut rooms, ModuleEnd::Ended), 2);
    }
    assert_eq!(die(&estate, &mut worker, &mut rooms, ModuleEnd::Crashed), 2);
    assert_eq!(estate.count_of(EventKind::VideoPutAside), 0);
    assert_eq!(die(&estate, &mut worker, &mut rooms, ModuleEnd::Stuck), 1);
    assert_eq!(estate.count_of(EventKind::VideoPutAside), 1);
    // Its sender's successor worker knows.
    drop(worker);
    let mut worker = estate.worker();
    assert_eq!(die(&estate, &mut worker, &mut rooms, ModuleEnd::Ended), 1);
}

#[test]
fn nothing_that_a_module_writes_harms_a_worker() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    let mut module = estate.start_module();
    let mut rooms = vec![Room::new(&estate, 0)];
    estate.open_room();
    rooms[0].join(&estate);
    turn(&mut worker, &mut rooms, A_WHILE);
    // Lengths that do not fit, receivers that are not there, kinds that are none.
    let mut head = FrameHead::new_zeroed();
    for (receivers, bytes) in [(u32::MAX, 0), (3, u32::MAX), (1, 10), (0, 0), (200, 5)] {
        (head.receivers, head.bytes, head.codec) = (receivers, bytes, 2);
        for len in [0, 8, 16, 100] {
            let parts = [head.as_bytes(), &vec![0xff; len]];
            module.down.push(DownKind::Frame as u32, &parts).unwrap();
        }
    }
    for kind in 0..9 {
        for len in 0..30 {
            module.down.push(kind, &[&vec![0xff; len]]).unwrap();
        }
    }
    let other = SlotRef {
        slot: 0,
        generation: 2,
    };
    module.show(&[other], true, 0, &frame(true, 1, 100));
    turn(&mut worker, &mut rooms, A_WHILE);
    assert!(rooms[0].seen.is_empty());
    module.show(&[rooms[0].stream()], true, 0, &frame(true, 1, 100));
    turn(&mut worker, &mut rooms, A_WHILE);
    assert_eq!(rooms[0].seen.len(), 1);
}

#[test]
fn a_module_that_does_not_listen_holds_nobody_up() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    let mut module = estate.start_module();
    let mut rooms = vec![Room::new(&estate, 0)];
    estate.open_room();
    rooms[0].join(&estate);
    turn(&mut worker, &mut rooms, A_WHILE);
    // Until the ring is full, and a change of state does not fit either.
    for len in [30_000, 2_000, 100] {
        for number in 0..40 {
            rooms[0].say(number * 3_000, &frame(true, 1, len), &[]);
            turn(&mut worker, &mut rooms, Duration::from_millis(4));
        }
    }
    let label = SetText {
        about: rooms[0].stream(),
        text: Text::new(2, "Renamed"),
    };
    estate.send(CommandKind::SetLabel, &label);
    turn(&mut worker, &mut rooms, A_WHILE);
    let sends = participant_flags::SENDS_VIDEO;
    let renamed = Heard::Participant(0, sends, "Renamed".to_owned());
    module.hear();
    turn(&mut worker, &mut rooms, A_WHILE);
    let heard = module.hear();
    assert_eq!(heard.first(), Some(&Heard::Begin(1)), "{heard:?}");
    assert!(heard.contains(&renamed), "{heard:?}");
    assert_eq!(heard.last(), Some(&Heard::Settled));
}

#[test]
fn the_last_stream_takes_the_conference_from_the_module() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    let mut module = estate.start_module();
    let mut rooms: Vec<Room> = (0..2).map(|slot| Room::new(&estate, slot)).collect();
    estate.open_room();
    rooms.iter().for_each(|room| room.join(&estate));
    turn(&mut worker, &mut rooms, A_WHILE);
    module.hear();
    estate.send(CommandKind::RemoveVideo, &rooms[0].stream());
    turn(&mut worker, &mut rooms, A_WHILE);
    let heard = module.hear();
    assert!(
        heard.contains(&Heard::Gone(UpKind::RemoveReceiver, 0)),
        "{heard:?}"
    );
    // The leg stays, as one without a picture.
    let without = Heard::Participant(0, 0, "Room 0".to_owned());
    assert!(heard.contains(&without), "{heard:?}");
    estate.send(CommandKind::RemoveLeg, &rooms[1].stream());
    turn(&mut worker, &mut rooms, A_WHILE);
    let heard = module.hear();
    assert!(
        heard.contains(&Heard::Other(UpKind::RemoveConference as u32)),
        "{heard:?}"
    );
    let view = estate.view();
    assert!((0..2).all(|slot| !view.video_stream(slot).unwrap().is_live()));
}
