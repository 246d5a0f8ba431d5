//! What a far end sends under which SSRC.
//!
//! A browser names the m-line and the layer of a stream (RFC 8852) in its first packets,
//! until it knows that we have some. So what was learned is kept in the stream's record,
//! for a worker's successor. An SSRC is learned from authentic packets only and keeps
//! its meaning; with a new one, a layer begins anew. The oldest of too many is forgotten.

use std::sync::atomic::Ordering;

use plenum_abi::{VIDEO_RX_STREAMS, VideoRecord};

/// What comes under an SSRC.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Carries {
    /// Nothing was named: a plain stream, or one that is yet to be told apart.
    #[default]
    Unnamed,
    /// The layer with this index.
    Layer(usize),
    /// Packets of that layer, sent again (RFC 4588).
    Repair(usize),
}

impl Carries {
    const fn to_code(self) -> u32 {
        match self {
            Self::Unnamed => 0,
            Self::Layer(layer) => 0x100 | layer as u32,
            Self::Repair(layer) => 0x200 | layer as u32,
        }
    }

    const fn from_code(code: u32) -> Self {
        let layer = (code & 0xff) as usize;
        match code >> 8 {
            1 => Self::Layer(layer),
            2 => Self::Repair(layer),
            _ => Self::Unnamed,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Entry {
    /// 0 for none.
    ssrc: u32,
    carries: Carries,
}

/// See the [module](self). Newest first.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Ssrcs([Entry; VIDEO_RX_STREAMS]);

impl Ssrcs {
    /// What a worker before this one learned.
    pub(super) fn load(record: &VideoRecord) -> Self {
        Self(std::array::from_fn(|index| {
            let word = record.ssrcs[index].load(Ordering::Relaxed);
            Entry {
                ssrc: word as u32,
                carries: Carries::from_code((word >> 32) as u32),
            }
        }))
    }

    fn store(&self, record: &VideoRecord) {
        for (place, entry) in record.ssrcs.iter().zip(&self.0) {
            let word = u64::from(entry.carries.to_code()) << 32 | u64::from(entry.ssrc);
            place.store(word, Ordering::Relaxed);
        }
    }

    /// Forgets all that was learned.
    pub(super) fn forget(&mut self, record: &VideoRecord) {
        *self = Self::default();
        self.store(record);
    }

    fn find(&self, ssrc: u32) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.ssrc == ssrc && ssrc != 0)
    }

    pub(super) fn knows(&self, ssrc: u32) -> bool {
        self.find(ssrc).is_some()
    }

    /// What comes under an SSRC, if it is the last that was learned for it.
    pub(super) fn carries(&self, ssrc: u32) -> Carries {
        let carries = self.find(ssrc).map_or(Carries::Unnamed, |it| it.carries);
        let last = self.0.iter().find(|entry| entry.carries == carries);
        match last {
            Some(last) if last.ssrc == ssrc => carries,
            _ => Carries::Unnamed,
        }
    }

    /// The SSRC of a layer.
    pub(super) fn of_layer(&self, layer: usize) -> Option<u32> {
        let mut entries = self.0.iter();
        let entry = entries.find(|entry| entry.carries == Carries::Layer(layer))?;
        Some(entry.ssrc)
    }

    /// The last that was learned, whatever it carries.
    pub(super) fn newest(&self) -> Option<u32> {
        Some(self.0[0].ssrc).filter(|ssrc| *ssrc != 0)
    }

    /// Notes what an authentic packet says of its SSRC.
    pub(super) fn note(&mut self, ssrc: u32, carries: Carries, record: &VideoRecord) {
        let known = self.find(ssrc).copied();
        if known.is_some_and(|it| carries == Carries::Unnamed || it.carries != Carries::Unnamed) {
            return;
        }
        let place = self.0.iter().position(|entry| entry.ssrc == ssrc);
        let place = place
            .filter(|_| known.is_some())
            .unwrap_or(self.0.len() - 1);
        self.0[..=place].rotate_right(1);
        self.0[0] = Entry { ssrc, carries };
        self.store(record);
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::FromZeros;

    use super::*;

    fn record() -> VideoRecord {
        VideoRecord::new_zeroed()
    }

    #[test]
    fn a_successor_knows_what_was_learned() {
        let record = record();
        let mut ssrcs = Ssrcs::load(&record);
        assert_eq!(ssrcs.newest(), None);
        ssrcs.note(10, Carries::Layer(0), &record);
        ssrcs.note(11, Carries::Repair(0), &record);
        ssrcs.note(12, Carries::Unnamed, &record);
        let after = Ssrcs::load(&record);
        assert_eq!(after, ssrcs);
        assert_eq!(after.carries(10), Carries::Layer(0));
        assert_eq!(after.carries(11), Carries::Repair(0));
        assert!(after.knows(12) && !after.knows(13) && !after.knows(0));
        assert_eq!(after.newest(), Some(12));
        ssrcs.forget(&record);
        assert_eq!(Ssrcs::load(&record), Ssrcs::default());
    }

    #[test]
    fn an_ssrc_keeps_what_it_carries_and_a_layer_moves_to_a_new_one_only() {
        let record = record();
        let mut ssrcs = Ssrcs::load(&record);
        ssrcs.note(10, Carries::Unnamed, &record);
        assert_eq!(ssrcs.of_layer(1), None);
        ssrcs.note(10, Carries::Layer(1), &record);
        ssrcs.note(10, Carries::Layer(2), &record);
        assert_eq!(ssrcs.carries(10), Carries::Layer(1), "it was named once");
        ssrcs.note(20, Carries::Layer(1), &record);
        ssrcs.note(10, Carries::Layer(1), &record);
        assert_eq!(ssrcs.of_layer(1), Some(20));
        assert_eq!(ssrcs.carries(10), Carries::Unnamed, "of before");
    }

    #[test]
    fn of_a_flood_of_ssrcs_the_newest_are_known() {
        let record = record();
        let mut ssrcs = Ssrcs::load(&record);
        for ssrc in 1..=1_000 {
            ssrcs.note(ssrc, Carries::Layer(ssrc as usize % 3), &record);
        }
        let known = (0..2_000).filter(|ssrc| ssrcs.knows(*ssrc));
        assert!(known.eq(993..=1_000));
        assert_eq!(ssrcs.of_layer(1_000 % 3), Some(1_000));
        assert_eq!(Ssrcs::load(&record), ssrcs);
    }

    #[test]
    fn any_word_may_be_in_the_record() {
        let record = record();
        for (place, word) in record
            .ssrcs
            .iter()
            .zip([u64::MAX, 1 << 40, 0xffff_0000_0001])
        {
            place.store(word, Ordering::Relaxed);
        }
        let ssrcs = Ssrcs::load(&record);
        assert_eq!(ssrcs.carries(u32::MAX), Carries::Unnamed);
        assert!(matches!(
            ssrcs.carries(1),
            Carries::Unnamed | Carries::Layer(_)
        ));
    }
}
