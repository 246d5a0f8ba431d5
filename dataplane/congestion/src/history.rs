//! What was sent, by transport-wide number, until it is forgotten.

use plenum_abi::Nanos;

/// Packets that are remembered: 4 s of 500 a second. A feedback about older ones says
/// nothing.
pub(crate) const LEN: usize = 2_048;

/// What is known of a packet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Fate {
    #[default]
    Unknown,
    /// Was told of as not come; it may still come.
    Missing,
    Came,
}

/// A packet that was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) at_us: i64,
    pub(crate) bytes: u16,
    /// The probe that it was part of; 0 for none.
    pub(crate) cluster: u8,
    pub(crate) fate: Fate,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct History {
    sent: Box<[Sent; LEN]>,
    /// Packets sent so far; its low 16 bits are the next number.
    next: u64,
}

impl History {
    pub(crate) fn new() -> Self {
        Self {
            sent: Box::new([Sent::default(); LEN]),
            next: 0,
        }
    }

    /// Notes a packet; its number. Beyond 65,535 bytes there is no datagram.
    pub(crate) fn push(&mut self, now: Nanos, bytes: u32, cluster: u8) -> u16 {
        let number = self.next as u16;
        self.sent[self.next as usize % LEN] = Sent {
            at_us: micros(now),
            bytes: u16::try_from(bytes).unwrap_or(u16::MAX),
            cluster,
            fate: Fate::Unknown,
        };
        self.next += 1;
        number
    }

    /// The packet of a number; `None` if it was never sent or is forgotten.
    pub(crate) fn get_mut(&mut self, number: u16) -> Option<&mut Sent> {
        let back = u64::from((self.next as u16).wrapping_sub(number));
        if back == 0 || back > (LEN as u64).min(self.next) {
            return None;
        }
        Some(&mut self.sent[(self.next - back) as usize % LEN])
    }
}

/// An instant in microseconds.
pub(crate) fn micros(at: Nanos) -> i64 {
    (at.0 / 1_000) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_the_future_is_unknown() {
        let mut history = History::new();
        assert!(history.get_mut(0).is_none());
        for index in 0..70_000_u64 {
            let number = history.push(Nanos(index * 1_000), 100, 0);
            assert_eq!(number, index as u16);
        }
        let newest = 69_999_u64;
        assert!(history.get_mut((newest + 1) as u16).is_none());
        assert_eq!(history.get_mut(newest as u16).unwrap().at_us, 69_999);
        let oldest = newest - LEN as u64 + 1;
        assert_eq!(history.get_mut(oldest as u16).unwrap().at_us, oldest as i64);
        assert!(history.get_mut((oldest - 1) as u16).is_none());
    }
}
