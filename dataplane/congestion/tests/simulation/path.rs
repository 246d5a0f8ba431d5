//! The path: a bottleneck with a queue that drops what does not fit, then propagation,
//! jitter and random loss; and the way back for feedback.

/// splitmix64: one seed decides everything.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..=most`.
    pub(crate) fn up_to(&mut self, most: u64) -> u64 {
        self.next() % (most + 1)
    }

    fn chance(&mut self, share: f64) -> bool {
        (self.next() >> 11) as f64 / ((1_u64 << 53) as f64) < share
    }
}

/// What the path is from an instant on.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// 0 for a cut, in both directions.
    pub(crate) rate_bps: u64,
    pub(crate) loss: f64,
    pub(crate) jitter_us: u64,
    pub(crate) feedback_loss: f64,
    /// The queue drops what would wait longer.
    pub(crate) queue_us: u64,
    pub(crate) propagation_us: u64,
    /// What others send through the same queue, steadily.
    pub(crate) cross_bps: u64,
}

impl Link {
    pub(crate) const fn of(rate_bps: u64) -> Self {
        Self {
            rate_bps,
            loss: 0.0,
            jitter_us: 0,
            feedback_loss: 0.02,
            queue_us: 300_000,
            propagation_us: 25_000,
            cross_bps: 0,
        }
    }
}

const CROSS_BYTES: u64 = 1_000;

pub(crate) struct Path {
    /// From when on each holds, microseconds, ascending.
    links: Vec<(u64, Link)>,
    free_us: u64,
    /// Bits of others' that wait for a whole packet.
    cross_bits: u64,
    random: Random,
}

impl Path {
    pub(crate) fn new(seed: u64, links: Vec<(u64, Link)>) -> Self {
        Self {
            links,
            free_us: 0,
            cross_bits: 0,
            random: Random(seed),
        }
    }

    fn link(&self, at_us: u64) -> Link {
        let holds = self.links.iter().rev().find(|(from, _)| *from <= at_us);
        holds.expect("a link from the beginning").1
    }

    /// How long a packet would wait now.
    pub(crate) fn queue_us(&self, at_us: u64) -> u64 {
        self.free_us.saturating_sub(at_us)
    }

    /// A millisecond of what others send.
    pub(crate) fn step(&mut self, at_us: u64) {
        self.cross_bits += self.link(at_us).cross_bps / 1_000;
        while self.cross_bits >= 8 * CROSS_BYTES {
            self.cross_bits -= 8 * CROSS_BYTES;
            self.carry(at_us, CROSS_BYTES as u32);
        }
    }

    /// When a packet comes, if it does.
    pub(crate) fn carry(&mut self, at_us: u64, bytes: u32) -> Option<u64> {
        let link = self.link(at_us);
        if link.rate_bps == 0 || self.queue_us(at_us) > link.queue_us {
            return None;
        }
        self.free_us = self.free_us.max(at_us) + u64::from(bytes) * 8_000_000 / link.rate_bps;
        let late = self.random.up_to(link.jitter_us);
        let lost = self.random.chance(link.loss);
        (!lost).then_some(self.free_us + link.propagation_us + late)
    }

    /// When a feedback comes back, if it does.
    pub(crate) fn carry_back(&mut self, at_us: u64) -> Option<u64> {
        let link = self.link(at_us);
        let late = self.random.up_to(link.jitter_us);
        let lost = link.rate_bps == 0 || self.random.chance(link.feedback_loss);
        (!lost).then_some(at_us + link.propagation_us + late)
    }
}
