//! One step of one conference: the mixer's view of the worker.

use plenum_abi::Nanos;
use plenum_mixer::{LegKey, Need, Packet, Pulled, TickIo};
use rand::rngs::SmallRng;

use plenum_ring::WorkerView;

use crate::leg::{Exit, Leg};

/// Legs by slot.
pub(crate) type Legs = Box<[Option<Box<Leg>>]>;

/// What a tick reaches.
pub(crate) struct Tick<'a> {
    /// When the tick was due.
    pub(crate) at: Nanos,
    pub(crate) legs: &'a mut Legs,
    pub(crate) view: &'a WorkerView,
    pub(crate) exit: Exit<'a>,
    pub(crate) rng: &'a mut SmallRng,
}

impl TickIo for Tick<'_> {
    fn pull(&mut self, leg: LegKey, need: Need, pcm: &mut [i16; 960]) -> Pulled {
        match self.legs.get_mut(leg.0 as usize) {
            Some(Some(leg)) => leg.playout.pull(self.at, need, pcm, self.exit.driver),
            _ => Pulled::Silence,
        }
    }

    fn pull_screen(&mut self, leg: LegKey, pcm: &mut [i16; 960]) -> Pulled {
        let leg = self.legs.get_mut(leg.0 as usize).and_then(Option::as_mut);
        let screen = leg.and_then(|leg| leg.screen.as_mut());
        screen.map_or(Pulled::Silence, |screen| {
            screen
                .playout
                .pull(self.at, Need::ALL, pcm, self.exit.driver)
        })
    }

    fn push(&mut self, legs: &[LegKey], packet: &Packet<'_>) {
        for key in legs {
            let (Some(Some(leg)), Some(record)) =
                (self.legs.get_mut(key.0 as usize), self.view.leg(key.0))
            else {
                continue;
            };
            leg.send_packet(packet, record, &mut self.exit, self.rng);
        }
    }
}
