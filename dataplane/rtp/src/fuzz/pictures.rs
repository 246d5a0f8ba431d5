//! Any packets in any order, through the reorder buffer and the assembler.

use core::time::Duration;

use plenum_abi::{Nanos, VideoCodec};
use plenum_h264::START_CODE;

use crate::video::{
    Arrival, Assembler, Pop, ReorderBuffer, ReorderConfig, UnitInfo, Vp8Descriptor,
};

/// Packets between cursor and highest.
const CAPACITY: u16 = 16;
/// Longest unit.
const UNIT_MAX: usize = 300;
/// Steps beyond are a jump (RFC 3550 A.1, MAX_DROPOUT).
const DROPOUT: i16 = 3_000;
/// Bits of a NAL unit's first byte that are its type.
const TYPE_MASK: u8 = 0x1f;

/// A payload as it was put in. Not to be copied: nothing comes out twice.
struct Item<'a> {
    timestamp: u32,
    payload: &'a [u8],
}

/// Packets go out in the order of their numbers, what is missing between two of them is
/// told, nothing is held beyond the bound, units keep to theirs, and a unit that is called
/// whole is what its payloads say.
///
/// # Panics
/// When it is not so.
pub fn pictures(data: &[u8]) {
    let Some((first, mut steps)) = data.split_first() else {
        return;
    };
    let mut order = Order::new(first & 1 != 0);
    let mut units = Units::new(if first & 2 != 0 {
        VideoCodec::Vp8
    } else {
        VideoCodec::H264
    });
    let mut arrival = Arrival {
        sequence: u16::MAX - 20,
        timestamp: 0,
        marker: false,
        key_frame_start: false,
    };
    while let &[what, a, b, len, ref rest @ ..] = steps {
        let (payload, later) = rest.split_at(usize::from(len).min(rest.len()));
        steps = later;
        let step = match what % 8 {
            0 => i16::from_be_bytes([a, b]),
            1 => i16::from(a as i8 / 8),
            2 => 3,
            _ => 1,
        };
        arrival = Arrival {
            sequence: arrival.sequence.wrapping_add_signed(step),
            timestamp: arrival.timestamp.wrapping_add(u32::from(what >> 3 & 1)),
            marker: what & 0x10 != 0,
            key_frame_start: what & 0xe0 == 0xe0,
        };
        order.now = order.now + Duration::from_millis(u64::from(b % 64));
        let timestamp = arrival.timestamp;
        order.insert(arrival, Item { timestamp, payload });
        order.drain(&mut units);
    }
    order.settle(&mut units);
}

/// The buffer, and what is known of the packets that came out of it.
struct Order<'a> {
    now: Nanos,
    buffer: ReorderBuffer<Item<'a>>,
    /// Highest number that was stored; `None` before the first.
    highest: Option<u16>,
    /// The number that comes next, and how many were told as lost since the one before.
    next: Option<(u16, u32)>,
    /// The stream began anew elsewhere, and the next number says where.
    restarted: bool,
}

impl<'a> Order<'a> {
    fn new(nack: bool) -> Self {
        let manners = if nack {
            ReorderConfig::NACK
        } else {
            ReorderConfig::PLAIN
        };
        let config = ReorderConfig {
            capacity: usize::from(CAPACITY),
            ..manners
        };
        Self {
            now: Nanos(1_000_000_000),
            buffer: ReorderBuffer::new(config),
            highest: None,
            next: None,
            restarted: false,
        }
    }

    fn insert(&mut self, arrival: Arrival, item: Item<'a>) {
        if self.buffer.insert(self.now, arrival, item).is_err() {
            return;
        }
        let step = self.highest.map_or(0, |highest| {
            arrival.sequence.wrapping_sub(highest).wrapping_sub(1) as i16
        });
        let jumped = !(-DROPOUT..DROPOUT).contains(&step);
        self.restarted |= jumped;
        if jumped || step >= 0 {
            self.highest = Some(arrival.sequence);
        }
        assert!(self.buffer.held() <= usize::from(CAPACITY));
    }

    fn drain(&mut self, units: &mut Units) {
        let mut asked = [0; CAPACITY as usize];
        let count = self.buffer.requests(self.now, &mut asked);
        for number in &asked[..count] {
            let behind = self.highest.map(|highest| highest.wrapping_sub(*number));
            assert!(behind.is_some_and(|behind| (1..CAPACITY).contains(&behind)));
        }
        loop {
            match self.buffer.pop(self.now) {
                Pop::Packet(arrival, item) => {
                    self.follows(arrival.sequence);
                    assert_eq!(arrival.timestamp, item.timestamp);
                    units.take(&arrival, item.payload);
                }
                Pop::Lost(count) => {
                    assert!(count > 0);
                    if let Some((_, lost)) = &mut self.next {
                        *lost = lost.saturating_add(count);
                    }
                    units.lose();
                }
                Pop::Wait => return,
            }
        }
    }

    /// The number follows the one before it, with those between that are lost.
    fn follows(&mut self, sequence: u16) {
        if let Some((next, lost)) = self.next.filter(|_| !self.restarted) {
            assert_eq!(sequence, next.wrapping_add(lost as u16));
        }
        self.restarted = false;
        self.next = Some((sequence.wrapping_add(1), 0));
    }

    /// Whoever waits as long as the buffer says gets all of it.
    fn settle(&mut self, units: &mut Units) {
        for _ in 0..2_000 {
            let Some(at) = self.buffer.deadline() else {
                assert_eq!(self.buffer.held(), 0, "held by nothing");
                return;
            };
            self.now = self.now.max(at);
            self.drain(units);
        }
        panic!("it never settles");
    }
}

/// The assembler, and a slow one of whole units.
struct Units {
    codec: VideoCodec,
    assembler: Assembler,
    unit: Vec<u8>,
    /// What the unit in progress must be if it is whole; `None` where this does not know.
    expected: Option<Vec<u8>>,
    timestamp: Option<u32>,
    /// Something of the unit in progress is missing.
    torn: bool,
}

impl Units {
    fn new(codec: VideoCodec) -> Self {
        Self {
            codec,
            assembler: Assembler::new(codec, UNIT_MAX),
            unit: Vec::new(),
            expected: Some(Vec::new()),
            timestamp: None,
            torn: false,
        }
    }

    fn lose(&mut self) {
        self.assembler.lost();
        self.torn |= self.timestamp.is_some();
    }

    fn take(&mut self, arrival: &Arrival, payload: &[u8]) {
        if self.assembler.ends_before(arrival.timestamp) {
            self.finish();
        }
        self.timestamp = Some(arrival.timestamp);
        self.expected = self.expected.take().and_then(|mut expected| {
            match self.codec {
                VideoCodec::Vp8 => {
                    let (descriptor, part) = Vp8Descriptor::parse(payload)?;
                    // A frame has one beginning, and it is there.
                    self.torn |= descriptor.starts_frame() != expected.is_empty();
                    expected.extend_from_slice(part);
                }
                _ if matches!(payload.first()? & TYPE_MASK, 1..=23) => {
                    expected.extend_from_slice(&START_CODE);
                    expected.extend_from_slice(payload);
                }
                _ => return None,
            }
            Some(expected)
        });
        self.assembler
            .push(arrival.timestamp, payload, &mut self.unit);
        assert!(self.unit.len() <= UNIT_MAX);
        if arrival.marker {
            self.finish();
        }
    }

    fn finish(&mut self) {
        let info = self.assembler.finish(&mut self.unit);
        self.check(info.expect("a unit is in progress"));
        assert_eq!(self.assembler.finish(&mut self.unit), None);
        self.expected = Some(Vec::new());
        self.timestamp = None;
        self.torn = false;
    }

    fn check(&self, info: UnitInfo) {
        assert_eq!(Some(info.timestamp), self.timestamp);
        assert!(info.damaged || !self.torn, "torn, and called whole");
        assert!(self.unit.len() <= UNIT_MAX);
        match &self.expected {
            Some(expected) if !info.damaged => assert_eq!(*expected, self.unit),
            _ => {}
        }
        if self.codec == VideoCodec::Vp8 {
            assert!(self.unit.is_empty() || !info.damaged);
        } else {
            assert!(self.unit.is_empty() || self.unit.starts_with(&START_CODE));
        }
    }
}
