//! When the packets of a transport came, for a sender that estimates the bandwidth
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01).
//!
//! Packets of all streams carry one count in a header extension; the feedback says of
//! each number whether it came and when, to a quarter of a millisecond. Nothing is
//! estimated here: that is the sender's part.

use plenum_abi::Nanos;

/// Numbers that a feedback can be behind by; what is older is not told.
const WINDOW: usize = 512;
/// Unit of the reference time, microseconds.
pub(super) const REFERENCE_US: i64 = 64_000;
/// Unit of the differences, microseconds.
pub(super) const DELTA_US: i64 = 250;
/// Numbers in one chunk: two bits for each.
const PER_CHUNK: usize = 7;
/// Base number, count of numbers, reference time, count of feedbacks.
pub(super) const HEAD_LEN: usize = 8;

/// See the [module](self).
#[derive(Debug)]
pub struct Arrivals {
    /// By number, modulo [`WINDOW`]: when it came, microseconds; `None` for not yet.
    came_us: Box<[Option<i64>; WINDOW]>,
    /// First number that was not told of, extended; `None` before the first packet.
    next: Option<i64>,
    highest: i64,
    /// Feedbacks written, modulo 256.
    count: u8,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            came_us: Box::new([None; WINDOW]),
            next: None,
            highest: 0,
            count: 0,
        }
    }
}

impl Arrivals {
    const fn place(number: i64) -> usize {
        number.rem_euclid(WINDOW as i64) as usize
    }

    /// Notes a packet. One that was told of as missing, or comes twice, is passed over.
    pub fn note(&mut self, now: Nanos, sequence: u16) {
        let us = i64::try_from(now.0 / 1_000).unwrap_or(i64::MAX);
        let Some(next) = self.next else {
            self.highest = i64::from(sequence);
            self.next = Some(self.highest);
            self.came_us[Self::place(self.highest)] = Some(us);
            return;
        };
        let step = sequence.wrapping_sub(self.highest as u16) as i16;
        let number = self.highest + i64::from(step);
        if number < next {
            return;
        }
        if number >= next + WINDOW as i64 {
            // Nobody asked for so long: the oldest are never told of.
            let first = number - WINDOW as i64 + 1;
            for old in next..first.min(next + WINDOW as i64) {
                self.came_us[Self::place(old)] = None;
            }
            self.next = Some(first);
        }
        self.highest = self.highest.max(number);
        self.came_us[Self::place(number)].get_or_insert(us);
    }

    /// Writes the feedback control information of one packet about what came since the
    /// last, as far as it fits; its length, `None` when nothing came.
    pub fn write(&mut self, out: &mut [u8]) -> Option<usize> {
        let base = self.next?;
        let numbers = base..=self.highest;
        let first = numbers
            .clone()
            .find_map(|number| self.came_us[Self::place(number)])?;
        let reference = first.div_euclid(REFERENCE_US);
        let mut clock = reference * REFERENCE_US;
        // Symbols and differences grow from both ends of the same room.
        let mut symbols = [0_u8; WINDOW];
        let mut deltas = [0_u8; 2 * WINDOW];
        let (mut count, mut deltas_len) = (0, 0);
        for number in numbers {
            let mut len = 0;
            if let Some(us) = self.came_us[Self::place(number)] {
                let delta = (us - clock).div_euclid(DELTA_US);
                let place = &mut deltas[deltas_len..];
                match (u8::try_from(delta), i16::try_from(delta)) {
                    (Ok(small), _) => {
                        place[0] = small;
                        len = 1;
                    }
                    (_, Ok(large)) => {
                        place[..2].copy_from_slice(&large.to_be_bytes());
                        len = 2;
                    }
                    // Eight seconds after the one before: the next feedback's.
                    _ => break,
                }
                clock += delta * DELTA_US;
            }
            let chunks = (count + 1_usize).div_ceil(PER_CHUNK);
            if HEAD_LEN + 2 * chunks + deltas_len + len > out.len() / 4 * 4 {
                break;
            }
            symbols[count] = len as u8;
            deltas_len += len;
            count += 1;
        }
        let chunks = symbols[..count].chunks(PER_CHUNK);
        let chunks_len = 2 * chunks.len();
        let body_len = HEAD_LEN + chunks_len + deltas_len;
        let len = body_len.next_multiple_of(4);
        out[..len].fill(0);
        out[..2].copy_from_slice(&(base as u16).to_be_bytes());
        out[2..4].copy_from_slice(&(count as u16).to_be_bytes());
        out[4..7].copy_from_slice(&(reference as u32).to_be_bytes()[1..]);
        out[7] = self.count;
        for (chunk, place) in chunks.zip(out[HEAD_LEN..].chunks_exact_mut(2)) {
            // A vector of symbols of two bits each.
            let mut word = 0b11_u16 << 14;
            for (index, symbol) in chunk.iter().enumerate() {
                word |= u16::from(*symbol) << (12 - 2 * index);
            }
            place.copy_from_slice(&word.to_be_bytes());
        }
        out[HEAD_LEN + chunks_len..body_len].copy_from_slice(&deltas[..deltas_len]);
        for number in base..base + count as i64 {
            self.came_us[Self::place(number)] = None;
        }
        self.next = Some(base + count as i64);
        self.count = self.count.wrapping_add(1);
        Some(len)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What a sender reads: numbers, and when each came, in quarters of a millisecond.
    fn read(fci: &[u8]) -> Vec<(u16, Option<i64>)> {
        assert!(fci.len().is_multiple_of(4));
        let word = |at: usize| u16::from_be_bytes([fci[at], fci[at + 1]]);
        let (base, count) = (word(0), usize::from(word(2)));
        let mut clock = i64::from(u32::from_be_bytes([0, fci[4], fci[5], fci[6]])) * 256;
        let chunks = count.div_ceil(PER_CHUNK);
        let symbol = |index: usize| {
            let chunk = word(HEAD_LEN + 2 * (index / PER_CHUNK));
            assert_eq!(chunk >> 14, 3);
            chunk >> (12 - 2 * (index % PER_CHUNK)) & 3
        };
        let mut at = HEAD_LEN + 2 * chunks;
        let mut seen = Vec::new();
        for index in 0..count {
            let delta = match symbol(index) {
                0 => None,
                1 => {
                    at += 1;
                    Some(i64::from(fci[at - 1]))
                }
                _ => {
                    at += 2;
                    Some(i64::from(word(at - 2) as i16))
                }
            };
            clock += delta.unwrap_or(0);
            let number = base.wrapping_add(index as u16);
            seen.push((number, delta.map(|_| clock)));
        }
        assert!(fci[at..].iter().all(|byte| *byte == 0) && fci.len() - at < 4);
        seen
    }

    #[test]
    fn what_came_is_told_once_with_its_time_and_what_did_not_as_missing() {
        let mut arrivals = Arrivals::default();
        let mut out = [0; 64];
        assert_eq!(arrivals.write(&mut out), None);
        for (ms, sequence) in [(1_000, 65_534), (1_001, 65_535), (1_100, 1), (1_090, 0)] {
            arrivals.note(Nanos::from_millis(ms), sequence);
        }
        arrivals.note(Nanos::from_millis(1_105), 4);
        let len = arrivals.write(&mut out).unwrap();
        let expected = [
            (65_534, Some(4_000)),
            (65_535, Some(4_004)),
            (0, Some(4_360)),
            (1, Some(4_400)),
            (2, None),
            (3, None),
            (4, Some(4_420)),
        ];
        assert_eq!(read(&out[..len]), expected);
        assert_eq!(out[7], 0);
        assert_eq!(arrivals.write(&mut out), None, "all is told");
        // Too late.
        arrivals.note(Nanos::from_millis(1_106), 3);
        assert_eq!(arrivals.write(&mut out), None);
        arrivals.note(Nanos::from_millis(1_110), 5);
        let len = arrivals.write(&mut out).unwrap();
        assert_eq!((read(&out[..len]), out[7]), (vec![(5, Some(4_440))], 1));
    }

    proptest! {
        /// The model is a map of everything that came, and a number up to which it was told.
        #[test]
        fn it_agrees_with_a_map(
            first: u16,
            steps in proptest::collection::vec((-6_i64..12, 0_u64..300, 0_u8..4), 1..400),
            room in 16_usize..200,
        ) {
            let mut arrivals = Arrivals::default();
            let mut came = BTreeMap::new();
            let mut told: Option<i64> = None;
            let (mut number, mut us) = (i64::from(first), 5_000_000);
            for (step, wait, ask) in steps {
                number = if came.is_empty() { number } else { number + step };
                us += wait * 100;
                arrivals.note(Nanos(us * 1_000), number as u16);
                if told.is_none_or(|told| number >= told) {
                    told.get_or_insert(number);
                    came.entry(number).or_insert(us);
                }
                if ask > 0 {
                    continue;
                }
                let mut out = vec![0; room];
                let Some(len) = arrivals.write(&mut out) else { continue };
                prop_assert!(len <= room);
                let seen = read(&out[..len]);
                let base = told.unwrap();
                for (index, (sequence, at)) in seen.iter().enumerate() {
                    let number = base + index as i64;
                    prop_assert_eq!(*sequence, number as u16);
                    match (at, came.get(&number)) {
                        (Some(at), Some(us)) => {
                            let off = *us as i64 - at * DELTA_US;
                            prop_assert!((0..DELTA_US).contains(&off), "{}", off);
                        }
                        (None, None) => {}
                        other => prop_assert!(false, "{}: {:?}", number, other),
                    }
                }
                told = Some(base + seen.len() as i64);
            }
        }

        /// Whatever comes, what is written is read.
        #[test]
        fn any_numbers_at_any_times_are_written(
            packets in proptest::collection::vec((any::<u16>(), 0_u64..20_000_000), 1..200),
        ) {
            let mut arrivals = Arrivals::default();
            let mut us = 0;
            for (sequence, wait) in packets {
                us += wait;
                arrivals.note(Nanos(us * 1_000), sequence);
                let mut out = [0; 300];
                if let Some(len) = arrivals.write(&mut out) {
                    read(&out[..len]);
                }
            }
        }
    }
}
