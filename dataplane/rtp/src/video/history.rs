//! What was sent lately, for those who ask for it again (RFC 4585 section 6.2.1).
//!
//! A ring of payloads by sequence number: the newest few hundred packets, which is
//! what fits the round trips in which asking again is of any use. It keeps payloads
//! in the clear and no packets, because a retransmission goes under another SSRC
//! and number (RFC 4588).
//!
//! This module refuses to know keys, sockets and how much may be sent again.

use core::time::Duration;

use plenum_abi::Nanos;

/// Packets that are kept; a power of two. At 2 Mbit/s more than a second.
pub const HISTORY_PACKETS: usize = 256;
/// A packet is not sent again sooner than this after the last time: requests for it
/// that were under way meanwhile are about the same loss.
const AGAIN_AFTER: Duration = Duration::from_millis(30);

/// A packet that was sent, without its payload.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SentPacket {
    /// Its index (RFC 3711 section 3.3.1); the low 16 bits are its sequence number.
    pub index: u64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// RTP marker.
    pub marker: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    sent: SentPacket,
    /// Bytes of the payload; 0 for an empty slot.
    len: usize,
    at: Nanos,
}

/// See the [module](self).
#[derive(Debug)]
pub struct History {
    slots: Box<[Slot]>,
    payloads: Box<[u8]>,
    payload_max: usize,
}

impl History {
    /// Room for [`HISTORY_PACKETS`] payloads of at most `payload_max` bytes; it never
    /// allocates again.
    #[must_use]
    pub fn new(payload_max: usize) -> Self {
        Self {
            slots: vec![Slot::default(); HISTORY_PACKETS].into_boxed_slice(),
            payloads: vec![0; HISTORY_PACKETS * payload_max].into_boxed_slice(),
            payload_max,
        }
    }

    fn place(index: u64) -> usize {
        index as usize % HISTORY_PACKETS
    }

    /// Keeps a packet in the place of one that is [`HISTORY_PACKETS`] older. A payload
    /// that is empty or too long is not kept.
    pub fn put(&mut self, now: Nanos, sent: SentPacket, payload: &[u8]) {
        let place = Self::place(sent.index);
        let room = &mut self.payloads[place * self.payload_max..][..self.payload_max];
        let len = match room.get_mut(..payload.len()) {
            Some(room) => {
                room.copy_from_slice(payload);
                payload.len()
            }
            None => 0,
        };
        self.slots[place] = Slot { sent, len, at: now };
    }

    /// The packet with this sequence number, to be sent again at `now`; `None` when it
    /// is too old, was never sent, or was sent just now.
    pub fn again(&mut self, now: Nanos, sequence: u16) -> Option<(SentPacket, &[u8])> {
        let place = Self::place(u64::from(sequence));
        let slot = &mut self.slots[place];
        if slot.len == 0 || slot.sent.index as u16 != sequence || now.since(slot.at) < AGAIN_AFTER {
            return None;
        }
        slot.at = now;
        let payload = &self.payloads[place * self.payload_max..][..slot.len];
        Some((slot.sent, payload))
    }

    /// Forgets everything: what follows is another stream's.
    pub fn clear(&mut self) {
        self.slots.fill(Slot::default());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Nanos {
        Nanos::from_millis(millis)
    }

    fn sent(index: u64) -> SentPacket {
        SentPacket {
            index,
            timestamp: (index as u32).wrapping_mul(3_000),
            marker: index.is_multiple_of(7),
        }
    }

    #[test]
    fn a_packet_is_had_again_but_not_twice_at_once() {
        let mut history = History::new(8);
        history.put(at(0), sent(0x1_0005), b"payload");
        assert_eq!(history.again(at(29), 5), None, "it has hardly left");
        let kept = (sent(0x1_0005), &b"payload"[..]);
        assert_eq!(history.again(at(30), 5), Some(kept));
        assert_eq!(history.again(at(59), 5), None);
        assert_eq!(history.again(at(60), 5), Some(kept));
        assert_eq!(history.again(at(60), 6), None, "never sent");
        let wrapped = 5 + HISTORY_PACKETS as u16;
        assert_eq!(history.again(at(60), wrapped), None, "of the same place");
        history.put(at(100), sent(0x1_0006), b"too long to be kept");
        assert_eq!(history.again(at(200), 6), None);
        history.clear();
        assert_eq!(history.again(at(200), 5), None);
    }

    proptest! {
        /// The model knows what is in each place.
        #[test]
        fn it_agrees_with_a_map(
            first in 0_u64..1 << 40,
            gaps in proptest::collection::vec(1_u64..5, 1..600),
            asked in proptest::collection::vec(0_usize..600, 0..60),
        ) {
            let mut history = History::new(8);
            let mut model = BTreeMap::new();
            let mut index = first;
            for gap in gaps {
                index += gap;
                let payload = index.to_le_bytes();
                history.put(at(0), sent(index), &payload);
                model.insert(index % HISTORY_PACKETS as u64, (index, payload));
            }
            for (step, back) in (1..).zip(asked) {
                let Some(wanted) = index.checked_sub(back as u64) else { continue };
                let now = at(100 * step);
                let kept = model
                    .get(&(wanted % HISTORY_PACKETS as u64))
                    .filter(|(index, _)| *index == wanted)
                    .map(|(_, payload)| (sent(wanted), &payload[..]));
                prop_assert_eq!(history.again(now, wanted as u16), kept);
            }
        }
    }
}
