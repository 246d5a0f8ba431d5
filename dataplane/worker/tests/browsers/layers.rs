//! A browser that sends its camera in three layers, and the test in the place of the
//! video module.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plenum_abi::{
    AccessUnitHead, CommandKind, DownKind, SetVideo, SlotRef, SourceWanted, TransportConfig,
    UpKind, VideoCodec, VideoConfig, VideoFlags, VideoPayload,
};
use plenum_ring::{RecordConsumer, RecordProducer};
use plenum_rtp::packet::{RTP_HEADER_LEN, RtpHeader};
use plenum_rtp::rtcp::Compound;
use plenum_rtp::video::Vp8Packetizer;
use plenum_worker::Worker;
use zerocopy::{FromBytes, IntoBytes};

use super::browser::Browser;
use super::{Estate, all_have_keys, talk, talk_until, transport_config};

const VP8: u8 = 96;
const RTX: u8 = 97;
const RID_ID: u8 = 10;
const REPAIRED_ID: u8 = 11;
const STREAM: SlotRef = SlotRef {
    slot: 0,
    generation: 1,
};
/// Longest time for anything that needs a few turns.
const SOON: Duration = Duration::from_millis(300);

/// One layer of a camera.
struct Layer {
    rid: &'static str,
    rows: u16,
    ssrc: u32,
    next: AtomicU64,
    packetizer: Vp8Packetizer,
    key_next: bool,
    sends: bool,
    /// When a key frame was asked for.
    asked: Vec<Instant>,
}

/// A page with a camera: 30 pictures a second in each layer.
struct Page {
    browsers: [Browser; 1],
    layers: [Layer; 3],
    /// Whether packets say which layer they are of.
    named: bool,
    /// Whether what is asked for is done.
    obeys: bool,
    pictures: u8,
}

fn layer(rid: &'static str, rows: u16, ssrc: u32) -> Layer {
    Layer {
        rid,
        rows,
        ssrc,
        next: AtomicU64::new(u64::from(ssrc)),
        packetizer: Vp8Packetizer::new(1_000, 1, 0),
        key_next: true,
        sends: true,
        asked: Vec::new(),
    }
}

/// An RTP packet that names its layer.
fn packet(header: &RtpHeader, named: Option<(u8, &str)>, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; RTP_HEADER_LEN];
    header.write(&mut bytes);
    if let Some((id, rid)) = named {
        bytes[0] |= 0x10;
        let mut elements = vec![id << 4 | (rid.len() as u8 - 1)];
        elements.extend(rid.as_bytes());
        elements.resize(elements.len().next_multiple_of(4), 0);
        bytes.extend([0xbe, 0xde, 0, (elements.len() / 4) as u8]);
        bytes.extend(elements);
    }
    bytes.extend(payload);
    bytes
}

/// A VP8 frame as far as its head tells, with the layer's rows and the picture's number.
fn frame(key_frame: bool, rows: u16, number: u8) -> Vec<u8> {
    let [low, high] = rows.to_le_bytes();
    let head = [
        u8::from(!key_frame),
        0,
        0,
        0x9d,
        0x01,
        0x2a,
        0,
        2,
        low,
        high,
    ];
    let mut bytes = head.to_vec();
    bytes.resize(400, number);
    bytes
}

impl Page {
    fn show(&mut self) {
        self.pictures = self.pictures.wrapping_add(1);
        for layer in self.layers.iter_mut().filter(|layer| layer.sends) {
            let unit = frame(layer.key_next, layer.rows, self.pictures);
            layer.key_next = false;
            let mut payload = [0; 1_000];
            let mut packets = layer.packetizer.packets(&unit, 0);
            while let Some(written) = packets.write_next(&mut payload) {
                let header = RtpHeader {
                    marker: written.marker,
                    payload_type: VP8,
                    sequence: layer.next.load(Ordering::Relaxed) as u16,
                    timestamp: u32::from(self.pictures) * 3_000,
                    ssrc: layer.ssrc,
                };
                let named = self.named.then_some((RID_ID, layer.rid));
                let packet = packet(&header, named, &payload[..written.len]);
                self.browsers[0].send(&layer.next, &packet);
            }
        }
    }

    fn read_reports(&mut self) {
        for report in std::mem::take(&mut self.browsers[0].reports) {
            let compound = Compound::parse_reduced_size(&report).expect("RTCP");
            for ssrc in compound
                .packets()
                .filter_map(|packet| packet.picture_loss())
            {
                let layer = self.layers.iter_mut().find(|layer| layer.ssrc == ssrc);
                let layer = layer.expect("a layer of the page's");
                layer.asked.push(Instant::now());
                layer.key_next |= self.obeys;
            }
        }
    }

    fn asked(&mut self) -> [usize; 3] {
        self.layers
            .each_mut()
            .map(|layer| std::mem::take(&mut layer.asked).len())
    }
}

/// The test in the module's place.
struct Module {
    up: RecordConsumer,
    down: RecordProducer,
}

impl Module {
    fn want(&mut self, rows: u32) {
        let wanted = SourceWanted {
            stream: STREAM,
            rows,
            reserved: 0,
        };
        let record = DownKind::SourceWanted as u32;
        self.down.push(record, &[wanted.as_bytes()]).unwrap();
    }

    /// Units that came: whether each is a key frame, and of how many rows.
    fn units(&mut self) -> Vec<(bool, u16)> {
        let (mut payload, mut units) = (Vec::new(), Vec::new());
        while let Some(kind) = self.up.pop(&mut payload) {
            if kind == UpKind::AccessUnit as u32 {
                let (head, unit) = AccessUnitHead::read_from_prefix(&payload).unwrap();
                assert_eq!(head.stream, STREAM);
                assert_eq!(head.key_frame == 1, unit[0] & 1 == 0);
                units.push((head.key_frame == 1, u16::from_le_bytes([unit[8], unit[9]])));
            }
        }
        units
    }
}

/// Everything of a meeting with one page.
struct Meeting {
    estate: Estate,
    worker: Option<Worker>,
    module: Module,
    page: Page,
}

impl Meeting {
    fn new() -> Self {
        let mut estate = Estate::new();
        let mut worker = estate.worker();
        let mut up = estate.module.up_consumer(0);
        up.skip_all();
        estate.module.header().epoch.fetch_add(1, Ordering::AcqRel);
        let module = Module {
            up,
            down: estate.module.down_producer(0),
        };
        let browser = estate.browser(0);
        estate.open_room();
        let transport = TransportConfig {
            rid_id: RID_ID,
            repaired_rid_id: REPAIRED_ID,
            ..transport_config(&browser)
        };
        estate.set_transport(0, transport);
        estate.set_leg(0);
        let flags = VideoFlags::BUNDLED | VideoFlags::RTCP_MUX | VideoFlags::RECEIVE;
        let flags = flags | VideoFlags::NACK | VideoFlags::PLI;
        let mut config = VideoConfig {
            revision: 1,
            generation: 1,
            flags: flags.0,
            leg: SlotRef {
                slot: 0,
                generation: 1,
            },
            tx_ssrc: 0x77,
            rids: ["h", "m", "l"].map(|rid| VideoConfig::rid_of(rid.as_bytes())),
            ..VideoConfig::default()
        };
        config.payloads[0] = VideoPayload {
            payload_type: VP8,
            codec: VideoCodec::Vp8 as u8,
            rtx_payload_type: RTX,
            ..VideoPayload::default()
        };
        let set = SetVideo {
            slot: STREAM.slot,
            reserved: 0,
            config,
        };
        estate.send(CommandKind::SetVideo, &set);
        let mut browsers = [browser];
        talk_until(&mut worker, &mut browsers, "keys", all_have_keys);
        // The worker is through with the handshake a little later.
        talk(&mut worker, &mut browsers, Duration::from_millis(100));
        let page = Page {
            browsers,
            layers: [
                layer("h", 720, 100),
                layer("m", 360, 200),
                layer("l", 180, 300),
            ],
            named: true,
            obeys: true,
            pictures: 0,
        };
        Self {
            estate,
            worker: Some(worker),
            module,
            page,
        }
    }

    /// Time passes; the units that the module had meanwhile.
    fn run(&mut self, span: Duration) -> Vec<(bool, u16)> {
        let start = Instant::now();
        let mut next = start;
        let mut units = Vec::new();
        while start.elapsed() < span {
            if Instant::now() >= next {
                next += Duration::from_millis(33);
                self.page.show();
            }
            self.worker.as_mut().expect("one").turn().unwrap();
            self.page.browsers[0].turn();
            self.page.read_reports();
            units.extend(self.module.units());
        }
        units
    }
}

/// Rows in the order in which they came, each once, and whether it began with a key frame.
fn changes(units: &[(bool, u16)]) -> Vec<(bool, u16)> {
    let mut changes: Vec<(bool, u16)> = Vec::new();
    for unit in units {
        if changes.last().is_none_or(|last| last.1 != unit.1) {
            changes.push(*unit);
        }
    }
    changes
}

#[test]
fn one_layer_goes_to_the_module_and_another_takes_its_place_with_a_key_frame() {
    let mut meeting = Meeting::new();
    // While nobody looks, what came first is as good as any.
    let units = meeting.run(SOON);
    assert_eq!(changes(&units), [(true, 720)]);
    assert_eq!(meeting.page.asked(), [0; 3], "each began with a key frame");
    meeting.module.want(180);
    let units = meeting.run(SOON);
    assert_eq!(changes(&units).last(), Some(&(true, 180)));
    assert!(matches!(meeting.page.asked(), [0, 0, 1 | 2]));

    // A large pane; the page takes its time, and the small picture goes on.
    meeting.page.obeys = false;
    meeting.module.want(700);
    let units = meeting.run(SOON);
    assert_eq!(changes(&units), [(false, 180)]);
    assert!(units.len() >= 6, "{}", units.len());
    let asked = meeting.page.asked();
    assert!(asked[0] >= 1 && asked[1..] == [0, 0], "{asked:?}");
    meeting.page.obeys = true;
    let units = meeting.run(Duration::from_secs(1));
    assert!(matches!(
        changes(&units)[..],
        [(true, 720)] | [(false, 180), (true, 720)]
    ));
    meeting.page.asked();

    // The browser leaves its largest layer out: the next lower one, soon.
    meeting.page.layers[0].sends = false;
    let stopped = Instant::now();
    let units = meeting.run(Duration::from_millis(800));
    let changed = changes(&units);
    assert!(
        matches!(changed[..], [(true, 360)] | [(false, 720), (true, 360)]),
        "{changed:?}"
    );
    assert!(
        units.len() >= 6,
        "{} in {:?}",
        units.len(),
        stopped.elapsed()
    );
    assert_eq!(meeting.page.asked()[2], 0);

    // One picture of it, to try: the one in use goes on.
    meeting.page.layers[0].key_next = true;
    meeting.page.layers[0].sends = true;
    meeting.page.show();
    meeting.page.layers[0].sends = false;
    let units = meeting.run(Duration::from_secs(1));
    assert_eq!(changes(&units), [(false, 360)]);
    assert_eq!(meeting.page.asked(), [0; 3]);

    // It is back, with the key frame that it begins with, and nobody asks for one.
    (
        meeting.page.layers[0].sends,
        meeting.page.layers[0].key_next,
    ) = (true, true);
    let units = meeting.run(SOON);
    assert_eq!(changes(&units).last(), Some(&(true, 720)));
    assert_eq!(meeting.page.asked(), [0; 3]);
    // All that came is counted, none was refused.
    let view = meeting.estate.view();
    let stats = &view.video_stream(STREAM.slot).unwrap().stats;
    let sent: u64 = meeting
        .page
        .layers
        .iter()
        .map(|layer| layer.next.load(Ordering::Relaxed) - u64::from(layer.ssrc))
        .sum();
    assert_eq!(stats.rx_packets.load(Ordering::Relaxed), sent);
    assert_eq!(stats.rx_refused.load(Ordering::Relaxed), 0);
}

#[test]
fn a_successor_knows_layers_that_are_not_named_any_more() {
    let mut meeting = Meeting::new();
    meeting.module.want(360);
    meeting.run(SOON);
    meeting.page.named = false;
    drop(meeting.worker.take());
    meeting.worker = Some(meeting.estate.worker());
    meeting.run(SOON);
    meeting.module.want(360);
    let units = meeting.run(Duration::from_secs(1));
    assert_eq!(changes(&units).last().map(|unit| unit.1), Some(360));
    assert!(units.len() > 20, "{}", units.len());
}

#[test]
fn layers_that_were_not_agreed_and_names_of_any_length_are_nobodys() {
    let mut meeting = Meeting::new();
    meeting.run(SOON);
    let strangers = ["x", "hh", "0123456789abcdef", ""];
    let before = meeting.estate.view();
    let refused = || {
        before
            .video_stream(STREAM.slot)
            .unwrap()
            .stats
            .rx_refused
            .load(Ordering::Relaxed)
    };
    for (number, rid) in strangers.into_iter().enumerate() {
        let header = RtpHeader {
            marker: true,
            payload_type: VP8,
            sequence: 1,
            timestamp: 0,
            ssrc: 0x900 + number as u32,
        };
        let named = (!rid.is_empty()).then_some((RID_ID, rid));
        let unit = [&[0x10][..], &frame(true, 1_080, 9)].concat();
        let bytes = packet(&header, named, &unit);
        meeting.page.browsers[0].send(&AtomicU64::new(1), &bytes);
    }
    meeting.module.want(1_080);
    let units = meeting.run(SOON);
    assert!(units.iter().all(|unit| unit.1 <= 720));
    assert_eq!(refused(), strangers.len() as u64);
    // The page's layers are still known.
    let units = meeting.run(Duration::from_secs(1));
    assert_eq!(changes(&units).last().map(|unit| unit.1), Some(720));
}
