//! One sender of sound and pictures and its receiver.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use plenum_abi::Nanos;
use plenum_congestion::{Estimator, Limits, Pacer};
use plenum_rtp::rtcp::{Arrivals, TransportFeedback};

use crate::path::Path;

const FRAME_US: u64 = 33_333;
const SOUND_US: u64 = 20_000;
/// 56 kbit/s with all headers.
const SOUND_BYTES: u32 = 140;
const PACKET_BYTES: u32 = 1_200;
/// A key frame is so many times as large; what follows pays for it.
const KEY_FRAME: u32 = 5;
const KEY_FRAMES_US: u64 = 5_000_000;
const FEEDBACK_US: u64 = 70_000;
/// The receiver's clock is elsewhere.
const CLOCK_US: u64 = 86_400_000_000;

pub(crate) struct Flow {
    pub(crate) estimator: Estimator,
    pacer: Pacer,
    /// The share of the target that the application has to send.
    pub(crate) demand: f64,
    begins_us: u64,
    frame_at_us: u64,
    sound_at_us: u64,
    key_at_us: u64,
    /// Bytes that pictures are smaller by because of a key frame.
    debt: u32,
    waiting: VecDeque<u32>,
    on_the_way: BinaryHeap<Reverse<(u64, u16, u32)>>,
    arrivals: Arrivals,
    feedback_at_us: u64,
    feedback: VecDeque<(u64, Vec<u8>)>,
    /// Bytes that came.
    pub(crate) came: u64,
    pub(crate) padding: u64,
}

impl Flow {
    pub(crate) fn new(begins_us: u64, start_bps: u32) -> Self {
        let limits = Limits {
            start_bps,
            min_bps: 64_000,
            max_bps: 6_000_000,
        };
        let now = Nanos(begins_us * 1_000);
        let mut estimator = Estimator::new(now, limits);
        estimator.round_trip(Duration::from_millis(50));
        Self {
            pacer: Pacer::new(now, estimator.target_bps()),
            estimator,
            demand: 1.0,
            begins_us,
            frame_at_us: begins_us,
            sound_at_us: begins_us + 3_000,
            key_at_us: begins_us,
            debt: 0,
            waiting: VecDeque::new(),
            on_the_way: BinaryHeap::new(),
            arrivals: Arrivals::default(),
            feedback_at_us: begins_us + FEEDBACK_US,
            feedback: VecDeque::new(),
            came: 0,
            padding: 0,
        }
    }

    pub(crate) fn target(&self) -> f64 {
        f64::from(self.estimator.target_bps())
    }

    /// What the millisecond that begins now brings.
    pub(crate) fn step(&mut self, at_us: u64, path: &mut Path) {
        if at_us < self.begins_us {
            return;
        }
        let now = Nanos(at_us * 1_000);
        self.receive(at_us, path);
        while self.feedback.front().is_some_and(|(at, _)| *at <= at_us) {
            let (_, fci) = self.feedback.pop_front().unwrap();
            let feedback = TransportFeedback::parse(&fci).unwrap();
            self.estimator.feedback(now, &feedback);
        }
        self.estimator.tick(now);
        self.pacer.set_rate(self.estimator.target_bps());
        self.make(at_us, path);
        self.pacer.queued(self.waiting.iter().sum());
        while let Some(bytes) = self.waiting.front().copied() {
            if !self.pacer.may_send(now, bytes) {
                break;
            }
            self.waiting.pop_front();
            self.send(at_us, bytes, path);
        }
        while let Some(probe) = self.estimator.probe(now) {
            let bytes = self.waiting.pop_front().unwrap_or_else(|| {
                let padding = probe.bytes.clamp(200, 1_000);
                self.padding += u64::from(padding);
                padding
            });
            self.send(at_us, bytes, path);
        }
    }

    fn receive(&mut self, at_us: u64, path: &mut Path) {
        while let Some(&Reverse((came_us, number, bytes))) = self.on_the_way.peek()
            && came_us <= at_us
        {
            self.on_the_way.pop();
            self.came += u64::from(bytes);
            self.arrivals
                .note(Nanos((came_us + CLOCK_US) * 1_000), number);
        }
        if at_us >= self.feedback_at_us {
            self.feedback_at_us = at_us + FEEDBACK_US;
            let mut fci = [0; 1_000];
            if let Some(len) = self.arrivals.write(&mut fci)
                && let Some(back_us) = path.carry_back(at_us)
            {
                self.feedback.push_back((back_us, fci[..len].to_vec()));
            }
        }
    }

    fn make(&mut self, at_us: u64, path: &mut Path) {
        if at_us >= self.sound_at_us {
            self.sound_at_us += SOUND_US;
            self.send(at_us, SOUND_BYTES, path);
        }
        if at_us < self.frame_at_us {
            return;
        }
        self.frame_at_us += FRAME_US;
        let pictures_bps = (self.target() * self.demand - 56_000.0).max(10_000.0);
        let mut bytes = (pictures_bps / 8.0 * FRAME_US as f64 / 1e6) as u32;
        if at_us >= self.key_at_us {
            self.key_at_us += KEY_FRAMES_US;
            self.debt += bytes * (KEY_FRAME - 1);
            bytes *= KEY_FRAME;
        } else {
            let paid = self.debt.min(bytes * 2 / 5);
            self.debt -= paid;
            bytes -= paid;
        }
        // An encoder with a queue before it skips.
        let waits: u32 = self.waiting.iter().sum();
        if f64::from(waits) * 8.0 > self.target() {
            return;
        }
        while bytes > 0 {
            let packet = bytes.min(PACKET_BYTES);
            bytes -= packet;
            self.waiting.push_back(packet);
        }
    }

    fn send(&mut self, at_us: u64, bytes: u32, path: &mut Path) {
        let number = self.estimator.sent(Nanos(at_us * 1_000), bytes);
        if let Some(came_us) = path.carry(at_us, bytes) {
            self.on_the_way.push(Reverse((came_us, number, bytes)));
        }
    }
}
