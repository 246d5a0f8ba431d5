//! What size and frame rate a receiver gets for what its path takes.
//!
//! Allowances are all different and never rest; encoders are to be shared. So an
//! allowance falls into one of twelve *classes*, each some 1.4 times the one below,
//! and decides with its class: down at once, up when there has been room for a
//! while ([`Allowance`]). Size and frame rate follow from the class, and give way
//! before the picture breaks: at 30 pictures a second about 0.03 bits a sample are
//! the least at which a talking head still looks like one.
//!
//! A receiver gets no more samples than it can use, nor more than the sources have:
//! enlarging is the display's work and costs no bits there ([`Rung::for_need`]).
//!
//! Not here: what a path takes, which is congestion control's to say.

use std::time::Duration;

use plenum_abi::{Nanos, VideoLimits};

/// Where classes begin, bit/s.
const CLASSES_BPS: [u32; 12] = [
    64_000, 100_000, 150_000, 200_000, 300_000, 450_000, 650_000, 900_000, 1_350_000, 2_200_000,
    3_200_000, 4_800_000,
];

/// What is beyond a class's beginning before it is entered from below, percent.
const UP_MARGIN_PERCENT: u64 = 10;

/// How long a class is kept before the next higher.
const UP_AFTER: Duration = Duration::from_secs(2);

/// A class of allowances: an index of [`CLASSES_BPS`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Class(u8);

impl Class {
    /// The class of an allowance; what is below all of them is in the lowest.
    fn of(bit_rate_bps: u32) -> Self {
        let below = CLASSES_BPS.iter().filter(|&&floor| floor <= bit_rate_bps);
        Self(below.count().saturating_sub(1) as u8)
    }
}

/// What a receiver's path takes, slow to go up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    bit_rate_bps: u32,
    class: Class,
    since: Nanos,
}

impl Allowance {
    pub(crate) fn new(now: Nanos, bit_rate_bps: u32) -> Self {
        Self {
            bit_rate_bps,
            class: Class::of(bit_rate_bps),
            since: now,
        }
    }

    /// Another allowance from `now` on; asked again, time may raise the class.
    pub(crate) fn update(&mut self, now: Nanos, bit_rate_bps: u32) {
        self.bit_rate_bps = bit_rate_bps;
        let without_margin = u64::from(bit_rate_bps) * 100 / (100 + UP_MARGIN_PERCENT);
        let up = Class::of(without_margin as u32);
        let rested = now.since(self.since) >= UP_AFTER;
        let class = match Class::of(bit_rate_bps) {
            down if down < self.class => down,
            _ if rested && up > self.class => up,
            _ => return,
        };
        (self.class, self.since) = (class, now);
    }

    pub(crate) const fn bit_rate_bps(&self) -> u32 {
        self.bit_rate_bps
    }

    pub(crate) const fn class(&self) -> Class {
        self.class
    }
}

/// A size of picture: an index of [`RUNGS`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Rung(u8);

struct Size {
    width: u32,
    height: u32,
    /// The lowest class that is enough for 30 pictures a second.
    from: Class,
    /// The highest that is of use.
    to: Class,
    /// The most that is of use, bit/s.
    bit_rate_max_bps: u32,
}

const fn size(width: u32, height: u32, from: u8, to: u8, bit_rate_max_bps: u32) -> Size {
    Size {
        width,
        height,
        from: Class(from),
        to: Class(to),
        bit_rate_max_bps,
    }
}

/// All sizes, of 16:9. The lowest is for receivers of QCIF.
const RUNGS: [Size; 7] = [
    size(160, 90, 0, 1, 149_000),
    size(320, 180, 0, 4, 449_000),
    size(480, 270, 2, 5, 649_000),
    size(640, 360, 4, 7, 1_349_000),
    size(960, 540, 6, 8, 2_199_000),
    size(1280, 720, 7, 9, 3_199_000),
    size(1920, 1080, 9, 11, 6_000_000),
];

/// Twice the pictures take so many classes more.
const CLASSES_FOR_60_HZ: u8 = 2;

/// The frame rate of the lowest class, and what content begins with.
const FRAME_RATE_LOW_HZ: u32 = 15;

/// Frame rates that a receiver gets who cannot take the one that is meant for it. Few, so
/// that such receivers share encoders.
const FRAME_RATES_HZ: [u32; 5] = [60, 30, 25, 20, FRAME_RATE_LOW_HZ];

impl Rung {
    /// 640x360, the least that a view is made for unless a path or a receiver asks
    /// for less: names are to be legible.
    const LEAST: Self = Self(3);
    /// 1280x720: what cards and text alone are drawn at.
    pub(crate) const DRAWN: Self = Self(5);
    /// 1920x1080.
    pub(crate) const MOST: Self = Self(6);

    /// The size at which a source of `source` rows, in a pane of `pane` rows in a
    /// picture of `picture` rows, keeps its samples; a tenth fewer is near enough.
    pub(crate) fn for_need(source: u32, pane: u32, picture: u32) -> Self {
        let rows = u64::from(source) * u64::from(picture) / u64::from(pane.max(1));
        let enough = |size: &Size| u64::from(size.height) * 10 >= rows * 9;
        let index = RUNGS.iter().position(enough).unwrap_or(RUNGS.len() - 1);
        Self(index as u8).max(Self::LEAST)
    }

    const fn size(self) -> &'static Size {
        &RUNGS[self.0 as usize]
    }

    /// Samples in a row, and rows.
    pub(crate) const fn dimensions(self) -> (u32, u32) {
        (self.size().width, self.size().height)
    }

    /// The most that is of use at this size, bit/s.
    pub(crate) const fn bit_rate_max_bps(self) -> u32 {
        self.size().bit_rate_max_bps
    }
}

/// What bounds the choice of a format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// What the receiver agreed to.
    pub(crate) limits: VideoLimits,
    /// What is of use to it.
    pub(crate) width_max: u32,
    /// What is of use to it.
    pub(crate) height_max: u32,
    /// What is of use to it, and what the sources have.
    pub(crate) frame_rate_max_hz: u32,
    /// What the sources have.
    pub(crate) need: Rung,
    /// A screen: detail goes before motion.
    pub(crate) content: bool,
}

/// Size, frame rate and class of an encoder.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Format {
    pub(crate) rung: Rung,
    pub(crate) frame_rate_hz: u32,
    /// Of those that share the encoder.
    pub(crate) class: Class,
}

impl Format {
    /// The best for a class within bounds. Where nothing fits the limits it is the
    /// smallest, since a picture that may be refused is better than none.
    pub(crate) fn choose(class: Class, bounds: &Bounds) -> Self {
        (0..RUNGS.len() as u8)
            .rev()
            .map(Rung)
            .find_map(|rung| Self::at(rung, class, bounds))
            .unwrap_or(Self {
                rung: Rung(0),
                frame_rate_hz: FRAME_RATE_LOW_HZ.min(bounds.frame_rate_max_hz.max(1)),
                class: class.min(Rung(0).size().to),
            })
    }

    fn at(rung: Rung, class: Class, bounds: &Bounds) -> Option<Self> {
        let size = rung.size();
        let (width, height) = rung.dimensions();
        let fits = |hz: u32| bounds.limits.fits(width, height, hz as f32);
        let usable =
            rung <= bounds.need && width <= bounds.width_max && height <= bounds.height_max;
        // A screen keeps its size at a quarter of the bits: most of it stays as it is.
        let from = if bounds.content {
            size.from.0.saturating_sub(4)
        } else {
            size.from.0
        };
        if !usable || class.0 < from {
            return None;
        }
        let most = match () {
            () if bounds.content && class < size.from => 5,
            () if class.0 == 0 || bounds.content => FRAME_RATE_LOW_HZ,
            () if class.0 >= size.from.0 + CLASSES_FOR_60_HZ => 60,
            () => 30,
        };
        let most = most.min(bounds.frame_rate_max_hz.max(1));
        let lower = FRAME_RATES_HZ.into_iter().filter(|&hz| hz < most);
        let frame_rate_hz = std::iter::once(most).chain(lower).find(|&hz| fits(hz))?;
        // A smaller picture that moves is better than one that does not.
        let jerky = frame_rate_hz < most.min(24) && rung.0 > 1;
        (!jerky).then_some(Self {
            rung,
            frame_rate_hz,
            class: class.min(size.to),
        })
    }
}

#[cfg(test)]
mod tests {
    use plenum_abi::H264Level;

    use super::*;

    const ANY: Bounds = Bounds {
        limits: H264Level::L5.limits(),
        width_max: 1920,
        height_max: 1080,
        frame_rate_max_hz: 30,
        need: Rung(6),
        content: false,
    };

    fn chosen(kilobits: u32, bounds: &Bounds) -> (u32, u32) {
        let format = Format::choose(Class::of(kilobits * 1_000), bounds);
        (format.rung.dimensions().1, format.frame_rate_hz)
    }

    #[test]
    fn size_and_rate_step_down_with_the_allowance() {
        for (kilobits, expected) in [
            (10_000, (1080, 30)),
            (2_200, (1080, 30)),
            (2_199, (720, 30)),
            (1_500, (720, 30)),
            (900, (720, 30)),
            (899, (540, 30)),
            (649, (360, 30)),
            (300, (360, 30)),
            (299, (270, 30)),
            (149, (180, 30)),
            (99, (180, 15)),
            (0, (180, 15)),
        ] {
            assert_eq!(chosen(kilobits, &ANY), expected, "{kilobits}");
        }
    }

    #[test]
    fn sixty_a_second_where_it_is_allowed_and_there_are_bits_for_it() {
        let fast = Bounds {
            frame_rate_max_hz: 60,
            ..ANY
        };
        assert_eq!(chosen(2_199, &fast), (720, 30));
        assert_eq!(chosen(4_800, &fast), (1080, 60));
        let hd = Bounds {
            need: Rung(5),
            ..fast
        };
        assert_eq!(chosen(2_200, &hd), (720, 60));
        assert_eq!(
            chosen(
                2_200,
                &Bounds {
                    need: Rung(5),
                    ..ANY
                }
            ),
            (720, 30)
        );
    }

    #[test]
    fn limits_of_a_level_are_kept() {
        let level = |level: H264Level| Bounds {
            limits: level.limits(),
            frame_rate_max_hz: 60,
            ..ANY
        };
        assert_eq!(chosen(6_000, &level(H264Level::L3_1)), (720, 30));
        assert_eq!(chosen(6_000, &level(H264Level::L3_2)), (720, 60));
        assert_eq!(chosen(6_000, &level(H264Level::L1_3)), (180, 30));
        assert_eq!(chosen(6_000, &level(H264Level::L1)), (90, 20));
        assert_eq!(chosen(6_000, &level(H264Level::L4)), (1080, 30));
        // More macroblocks a picture, and not more of them a second (RFC 6184's max-fs).
        let large = |level: H264Level| Bounds {
            limits: level.limits().raised(Some(8_160), None, None),
            ..ANY
        };
        assert_eq!(chosen(6_000, &large(H264Level::L3_2)), (1080, 25));
        assert_eq!(chosen(6_000, &large(H264Level::L3_1)), (720, 30));
        let nothing = Bounds {
            limits: VideoLimits::vp8(1, 1),
            ..ANY
        };
        assert_eq!(chosen(6_000, &nothing), (90, 15));
    }

    #[test]
    fn nobody_gets_more_than_is_of_use() {
        let small = Bounds {
            width_max: 1280,
            height_max: 720,
            ..ANY
        };
        assert_eq!(chosen(6_000, &small), (720, 30));
        let slow = Bounds {
            frame_rate_max_hz: 24,
            ..ANY
        };
        assert_eq!(chosen(6_000, &slow), (1080, 24));
        let poor = Bounds {
            need: Rung::for_need(360, 720, 720),
            ..ANY
        };
        assert_eq!(chosen(6_000, &poor), (360, 30));
        // Above that, all share one encoder.
        let class = |kilobits: u32| Format::choose(Class::of(kilobits * 1_000), &poor).class;
        assert_eq!(class(6_000), class(900));
        assert!(class(6_000) > class(650));
    }

    #[test]
    fn what_is_needed_follows_from_sources_and_panes() {
        let rows = |source, pane, picture| Rung::for_need(source, pane, picture).dimensions().1;
        assert_eq!(rows(720, 720, 720), 720);
        assert_eq!(rows(360, 354, 720), 720, "four of 360p fill 720p");
        assert_eq!(rows(360, 720, 720), 360);
        assert_eq!(rows(180, 720, 720), 360);
        assert_eq!(rows(720, 354, 720), 1080);
        assert_eq!(rows(288, 720, 720), 360);
        assert_eq!(rows(1088, 720, 720), 1080);
        assert_eq!(rows(720, 0, 720), 1080);
    }

    #[test]
    fn a_screen_keeps_its_size_and_gives_up_motion() {
        let screen = Bounds {
            content: true,
            ..ANY
        };
        assert_eq!(chosen(5_000, &screen), (1080, 15));
        assert_eq!(chosen(450, &screen), (1080, 5));
        assert_eq!(chosen(200, &screen), (720, 5));
    }

    #[test]
    fn a_class_is_left_downwards_at_once_and_upwards_after_a_while() {
        let at = Nanos::from_millis;
        let mut allowance = Allowance::new(at(0), 1_000_000);
        assert_eq!(allowance.class(), Class(7));
        allowance.update(at(10), 899_999);
        assert_eq!(allowance.class(), Class(6));
        allowance.update(at(1_000), 2_000_000);
        assert_eq!(allowance.class(), Class(6), "too early");
        allowance.update(at(2_100), 950_000);
        assert_eq!(allowance.class(), Class(6), "too little above");
        allowance.update(at(2_110), 2_000_000);
        assert_eq!(allowance.class(), Class(8));
        assert_eq!(allowance.bit_rate_bps(), 2_000_000);
    }

    #[test]
    fn an_allowance_that_trembles_changes_nothing() {
        let mut allowance = Allowance::new(Nanos::ZERO, 930_000);
        let mut changes = 0;
        for step in 0..600u64 {
            let before = allowance.class();
            let tremble = if step % 2 == 0 { 880_000 } else { 940_000 };
            allowance.update(Nanos::from_millis(step * 100), tremble);
            changes += u32::from(allowance.class() != before);
        }
        assert_eq!(changes, 1);
    }
}
