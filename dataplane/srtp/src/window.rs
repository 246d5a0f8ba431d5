//! Packet indexes at the receiving end: which one a packet has (RFC 3711
//! section 3.3.1) and whether it was there before (section 3.3.2).

/// Indexes that the window remembers below the highest one.
pub(crate) const WINDOW_LEN: u64 = 128;
/// One past the last SRTP index: 32 bits of roll-over counter, 16 of sequence.
pub(crate) const RTP_INDEX_END: u64 = 1 << 48;
/// One past the last SRTCP index.
pub(crate) const RTCP_INDEX_END: u64 = 1 << 31;

/// The indexes that were admitted, as far as they matter.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Window {
    /// Highest index admitted, plus one; 0 when none was.
    pub(crate) next: u64,
    /// Bit `index % 128`.
    pub(crate) bits: u128,
}

impl Window {
    /// Whether `index` may still be admitted.
    pub(crate) fn admits(&self, index: u64) -> bool {
        if index >= self.next {
            return true;
        }
        self.next - index <= WINDOW_LEN && self.bits & Self::bit(index) == 0
    }

    /// Admits `index`, which [`Window::admits`].
    pub(crate) fn insert(&mut self, index: u64) {
        if index >= self.next {
            self.bits &= !Self::span(self.next, index);
            self.next = index + 1;
        }
        self.bits |= Self::bit(index);
    }

    pub(crate) fn bit(index: u64) -> u128 {
        1 << (index % WINDOW_LEN)
    }

    /// The bits of `first..=last`.
    fn span(first: u64, last: u64) -> u128 {
        let count = last - first + 1;
        if count >= WINDOW_LEN {
            return u128::MAX;
        }
        ((1 << count) - 1_u128).rotate_left((first % WINDOW_LEN) as u32)
    }
}

/// Index of a received packet when `next` is one past the highest so far. The
/// outer `None`s: `Err(Old)` before index 0, `Err(Expired)` past the last one.
pub(crate) fn guess_index(next: u64, sequence: u16) -> Result<u64, NoIndex> {
    let Some(highest) = next.checked_sub(1) else {
        return Ok(sequence.into());
    };
    let roll_over = highest >> 16;
    let last = (highest & 0xffff) as i64;
    let ahead = i64::from(sequence) - last;
    let guess = if last < 0x8000 && ahead > 0x8000 {
        roll_over.checked_sub(1).ok_or(NoIndex::Old)?
    } else if last >= 0x8000 && ahead < -0x8000 {
        roll_over + 1
    } else {
        roll_over
    };
    let index = guess << 16 | u64::from(sequence);
    if index < RTP_INDEX_END {
        Ok(index)
    } else {
        Err(NoIndex::Expired)
    }
}

/// Why a sequence number stands for no index.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoIndex {
    /// It would lie before index 0.
    Old,
    /// It would lie past the last index of the key.
    Expired,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// The window as anybody would write it.
    #[derive(Default)]
    struct SlowWindow(BTreeSet<u64>);

    impl SlowWindow {
        fn accept(&mut self, index: u64) -> bool {
            let oldest = match self.0.last() {
                Some(highest) => (highest + 1).saturating_sub(WINDOW_LEN),
                None => 0,
            };
            index >= oldest && self.0.insert(index)
        }
    }

    proptest! {
        #[test]
        fn window_equals_a_set(steps in prop::collection::vec((-140_i64..20, 0..40_i64), 1..400)) {
            let (mut window, mut slow) = (Window::default(), SlowWindow::default());
            for (offset, leap) in steps {
                let leap = if leap == 39 { 1_000 } else { leap % 3 };
                let index = (window.next as i64 + offset + leap).max(0) as u64;
                let fast = window.admits(index);
                if fast {
                    window.insert(index);
                }
                prop_assert_eq!(fast, slow.accept(index), "index {}", index);
                prop_assert_eq!(window.next, slow.0.last().map_or(0, |highest| highest + 1));
            }
        }

        /// RFC 3711 section 3.3.1 takes the index closest to the highest one.
        #[test]
        fn guess_is_the_closest_index(highest in 0..RTP_INDEX_END, sequence: u16) {
            let closest = (-1..=1)
                .map(|step| (((highest >> 16) as i64 + step) << 16) + i64::from(sequence))
                .min_by_key(|index| index.abs_diff(highest as i64))
                .unwrap();
            // At half the circle both are equally close; the RFC stays in the same cycle.
            prop_assume!(closest.abs_diff(highest as i64) != 0x8000);
            let expected = if closest < 0 {
                Err(NoIndex::Old)
            } else if closest as u64 >= RTP_INDEX_END {
                Err(NoIndex::Expired)
            } else {
                Ok(closest as u64)
            };
            prop_assert_eq!(guess_index(highest + 1, sequence), expected);
        }
    }

    #[test]
    fn guess_at_the_edges() {
        assert_eq!(guess_index(0, 65_535), Ok(65_535));
        assert_eq!(guess_index(65_536, 0), Ok(65_536));
        assert_eq!(guess_index(65_537, 65_535), Ok(65_535));
        assert_eq!(guess_index(1, 65_535), Err(NoIndex::Old));
        assert_eq!(guess_index(RTP_INDEX_END, 0), Err(NoIndex::Expired));
        // Half the circle: the same roll-over counter on either side.
        assert_eq!(guess_index(1, 0x8000), Ok(0x8000));
        assert_eq!(guess_index(0x8001, 0), Ok(0));
    }

    #[test]
    fn window_is_128_wide_and_a_leap_empties_it() {
        let mut window = Window::default();
        window.insert(127);
        assert!(window.admits(0));
        window.insert(0);
        window.insert(128);
        assert!(!window.admits(0), "too old");
        assert!(window.admits(1));
        assert!(!window.admits(127));
        window.insert(10_000);
        assert!((10_000 - 127..10_000).all(|index| window.admits(index)));
        assert!(!window.admits(10_000 - 128));
    }
}
