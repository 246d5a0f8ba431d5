//! Whose a slot is: pure, time is an argument.
//!
//! A slot that was given back rests before it is given out again, so that the
//! last packets for its port find nobody instead of a stranger. Generations
//! come from the arena and only grow, across restarts too: what is said about
//! an earlier tenant is recognised as late.

use std::collections::VecDeque;
use std::time::Duration;

use plenum_abi::{Nanos, SlotRef};

/// How long a slot rests between two tenants.
pub const REST: Duration = Duration::from_secs(2);

/// A slot of a worker with its tenant's generation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Slot {
    /// The worker.
    pub worker: u32,
    /// The slot on it.
    pub slot: u32,
    /// Told apart from earlier tenants.
    pub generation: u32,
}

impl Slot {
    /// As it stands in commands and events.
    #[must_use]
    pub const fn to_ref(self) -> SlotRef {
        SlotRef {
            slot: self.slot,
            generation: self.generation,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Free,
    Used,
    Resting,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    generation: u32,
    state: State,
}

/// The slots of one kind on one worker.
#[derive(Debug)]
struct Table {
    entries: Vec<Entry>,
    free: VecDeque<u32>,
    resting: VecDeque<(u32, Nanos)>,
    used: u32,
}

impl Table {
    /// `generations` are those of the last tenants.
    fn new(generations: impl Iterator<Item = u32>) -> Self {
        let entries: Vec<Entry> = generations
            .map(|generation| Entry {
                generation,
                state: State::Free,
            })
            .collect();
        Self {
            free: (0..u32::try_from(entries.len()).unwrap_or(u32::MAX)).collect(),
            entries,
            resting: VecDeque::new(),
            used: 0,
        }
    }

    fn take(&mut self, now: Nanos) -> Option<(u32, u32)> {
        while let Some((slot, until)) = self.resting.front() {
            if *until > now {
                break;
            }
            self.entries[*slot as usize].state = State::Free;
            self.free.push_back(*slot);
            self.resting.pop_front();
        }
        let slot = self.free.pop_front()?;
        let entry = &mut self.entries[slot as usize];
        entry.state = State::Used;
        entry.generation = entry.generation.wrapping_add(1).max(1);
        self.used += 1;
        Some((slot, entry.generation))
    }

    /// Marks a slot as used by a tenant that was there before us.
    fn adopt(&mut self, slot: u32, generation: u32) -> bool {
        let Some(entry) = self.entries.get_mut(slot as usize) else {
            return false;
        };
        if entry.state != State::Free {
            return false;
        }
        *entry = Entry {
            generation,
            state: State::Used,
        };
        self.free.retain(|free| *free != slot);
        self.used += 1;
        true
    }

    fn give_back(&mut self, slot: u32, generation: u32, now: Nanos) {
        let Some(entry) = self.entries.get_mut(slot as usize) else {
            return;
        };
        if entry.state == State::Used && entry.generation == generation {
            entry.state = State::Resting;
            self.resting.push_back((slot, now + REST));
            self.used -= 1;
        }
    }
}

/// Generations of the last tenants of one worker's slots.
#[derive(Clone, Debug, Default)]
pub struct Generations {
    /// Of each leg slot.
    pub legs: Vec<u32>,
    /// Of each conference slot.
    pub conferences: Vec<u32>,
    /// Of each video stream's slot.
    pub video: Vec<u32>,
}

/// All slots of legs, conferences and video streams.
#[derive(Debug)]
pub struct Slots {
    legs: Vec<Table>,
    conferences: Vec<Table>,
    video: Vec<Table>,
}

impl Slots {
    /// The slots of each worker.
    #[must_use]
    pub fn new(workers: impl Iterator<Item = Generations>) -> Self {
        let mut slots = Self {
            legs: Vec::new(),
            conferences: Vec::new(),
            video: Vec::new(),
        };
        for worker in workers {
            slots.legs.push(Table::new(worker.legs.into_iter()));
            let conferences = Table::new(worker.conferences.into_iter());
            slots.conferences.push(conferences);
            slots.video.push(Table::new(worker.video.into_iter()));
        }
        slots
    }

    /// A conference slot on the worker with the fewest legs that has one.
    pub fn take_conference(&mut self, now: Nanos) -> Option<Slot> {
        let mut workers: Vec<usize> = (0..self.legs.len()).collect();
        workers.sort_by_key(|worker| self.legs[*worker].used);
        workers.into_iter().find_map(|worker| {
            let (slot, generation) = self.conferences[worker].take(now)?;
            Some(Slot {
                worker: u32::try_from(worker).ok()?,
                slot,
                generation,
            })
        })
    }

    /// A leg slot on a conference's worker.
    pub fn take_leg(&mut self, worker: u32, now: Nanos) -> Option<Slot> {
        let (slot, generation) = self.legs.get_mut(worker as usize)?.take(now)?;
        Some(Slot {
            worker,
            slot,
            generation,
        })
    }

    /// A slot for a video stream of a leg on this worker.
    pub fn take_video(&mut self, worker: u32, now: Nanos) -> Option<Slot> {
        let (slot, generation) = self.video.get_mut(worker as usize)?.take(now)?;
        Some(Slot {
            worker,
            slot,
            generation,
        })
    }

    /// A leg that runs already; `false` when the slot is somebody's or not there.
    pub fn adopt_leg(&mut self, slot: Slot) -> bool {
        let table = self.legs.get_mut(slot.worker as usize);
        table.is_some_and(|table| table.adopt(slot.slot, slot.generation))
    }

    /// A conference that runs already; `false` when the slot is somebody's or not there.
    pub fn adopt_conference(&mut self, slot: Slot) -> bool {
        let table = self.conferences.get_mut(slot.worker as usize);
        table.is_some_and(|table| table.adopt(slot.slot, slot.generation))
    }

    /// A video stream that runs already; `false` when the slot is somebody's or not there.
    pub fn adopt_video(&mut self, slot: Slot) -> bool {
        let table = self.video.get_mut(slot.worker as usize);
        table.is_some_and(|table| table.adopt(slot.slot, slot.generation))
    }

    /// The leg is gone; its slot rests. Late or double returns are ignored.
    pub fn give_back_leg(&mut self, slot: Slot, now: Nanos) {
        if let Some(table) = self.legs.get_mut(slot.worker as usize) {
            table.give_back(slot.slot, slot.generation, now);
        }
    }

    /// The conference is gone; its slot rests. Late or double returns are ignored.
    pub fn give_back_conference(&mut self, slot: Slot, now: Nanos) {
        if let Some(table) = self.conferences.get_mut(slot.worker as usize) {
            table.give_back(slot.slot, slot.generation, now);
        }
    }

    /// The video stream is gone; its slot rests. Late or double returns are ignored.
    pub fn give_back_video(&mut self, slot: Slot, now: Nanos) {
        if let Some(table) = self.video.get_mut(slot.worker as usize) {
            table.give_back(slot.slot, slot.generation, now);
        }
    }

    /// Whether a leg slot is free and its last tenant was an earlier one than this.
    #[must_use]
    pub fn is_before(&self, slot: Slot) -> bool {
        let table = self.legs.get(slot.worker as usize);
        let entry = table.and_then(|table| table.entries.get(slot.slot as usize));
        entry.is_some_and(|entry| entry.state == State::Free && entry.generation < slot.generation)
    }

    /// Legs of a worker now.
    #[must_use]
    pub fn legs_used(&self, worker: u32) -> u32 {
        self.legs.get(worker as usize).map_or(0, |table| table.used)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn slots(workers: usize, each: usize) -> Slots {
        let worker = Generations {
            legs: vec![0; each],
            conferences: vec![0; each],
            video: vec![0; each],
        };
        Slots::new(std::iter::repeat_n(worker, workers))
    }

    #[test]
    fn a_conference_goes_to_the_worker_with_the_fewest_legs() {
        let mut slots = slots(3, 4);
        for (worker, legs) in [(0, 2), (1, 1), (2, 3)] {
            for _ in 0..legs {
                slots.take_leg(worker, Nanos::ZERO).unwrap();
            }
        }
        assert_eq!(slots.take_conference(Nanos::ZERO).unwrap().worker, 1);
        let first = slots.take_leg(1, Nanos::ZERO).unwrap();
        slots.take_leg(1, Nanos::ZERO).unwrap();
        assert_eq!(slots.take_conference(Nanos::ZERO).unwrap().worker, 0);
        slots.give_back_leg(first, Nanos::ZERO);
        assert_eq!(slots.legs_used(1), 2);
    }

    #[test]
    fn a_full_worker_is_passed_over_and_a_full_machine_says_so() {
        let mut slots = slots(2, 1);
        assert_eq!(slots.take_conference(Nanos::ZERO).unwrap().worker, 0);
        assert_eq!(slots.take_conference(Nanos::ZERO).unwrap().worker, 1);
        assert_eq!(slots.take_conference(Nanos::ZERO), None);
        assert!(slots.take_leg(0, Nanos::ZERO).is_some());
        assert_eq!(slots.take_leg(0, Nanos::ZERO), None);
        assert_eq!(slots.take_leg(7, Nanos::ZERO), None);
    }

    #[test]
    fn a_slot_rests_before_its_next_tenant() {
        let mut slots = slots(1, 1);
        let tenant = slots.take_leg(0, Nanos::ZERO).unwrap();
        let gone = Nanos::from_millis(1_000);
        slots.give_back_leg(tenant, gone);
        let almost = Nanos((gone + REST).0 - 1);
        assert_eq!(slots.take_leg(0, almost), None);
        let next = slots.take_leg(0, gone + REST).unwrap();
        assert_eq!(
            (next.slot, next.generation),
            (tenant.slot, tenant.generation + 1)
        );
        // The first tenant's second goodbye is not the second tenant's.
        slots.give_back_leg(tenant, gone + REST);
        assert_eq!(slots.legs_used(0), 1);
    }

    #[test]
    fn adopted_tenants_keep_their_slots() {
        let worker = Generations {
            legs: vec![7, 9, 0],
            conferences: vec![4],
            video: vec![3],
        };
        let mut slots = Slots::new(std::iter::once(worker));
        let running = Slot {
            worker: 0,
            slot: 1,
            generation: 9,
        };
        assert!(slots.adopt_leg(running));
        assert!(!slots.adopt_leg(running));
        assert!(!slots.adopt_leg(Slot { slot: 3, ..running }));
        let next = |slot, generation| Slot {
            worker: 0,
            slot,
            generation,
        };
        assert!(slots.is_before(next(0, 8)) && !slots.is_before(next(0, 7)));
        assert!(!slots.is_before(next(1, 10)) && !slots.is_before(next(3, 1)));
        let taken: Vec<Slot> = std::iter::from_fn(|| slots.take_leg(0, Nanos::ZERO)).collect();
        let generations: Vec<(u32, u32)> = taken
            .iter()
            .map(|slot| (slot.slot, slot.generation))
            .collect();
        assert_eq!(generations, [(0, 8), (2, 1)]);
        // Video streams have slots of their own.
        assert_eq!(slots.take_video(0, Nanos::ZERO), Some(next(0, 4)));
        assert_eq!(slots.take_video(0, Nanos::ZERO), None);
        assert!(!slots.adopt_video(next(0, 4)), "it is somebody's");
        slots.give_back_video(next(0, 3), Nanos::ZERO);
        slots.give_back_video(next(0, 4), Nanos::ZERO);
        let rested = Nanos::ZERO + REST;
        assert_eq!(slots.take_video(0, rested), Some(next(0, 5)));
    }

    proptest! {
        /// Against a plain model: no slot has two tenants, none is lost, no
        /// generation of a slot comes twice.
        #[test]
        fn slots_are_neither_lost_nor_given_twice(
            steps in prop::collection::vec((0_u8..3, 0_usize..8, 0_u64..3_000), 1..200)
        ) {
            let mut slots = slots(1, 4);
            let mut held: Vec<Slot> = Vec::new();
            let mut seen = HashSet::new();
            let mut now = Nanos::ZERO;
            for (what, which, millis) in steps {
                now = now + Duration::from_millis(millis);
                if what == 0 && !held.is_empty() {
                    let slot = held.swap_remove(which % held.len());
                    slots.give_back_leg(slot, now);
                } else if let Some(slot) = slots.take_leg(0, now) {
                    prop_assert!(held.iter().all(|other| other.slot != slot.slot));
                    prop_assert!(seen.insert((slot.slot, slot.generation)));
                    held.push(slot);
                }
                prop_assert_eq!(slots.legs_used(0) as usize, held.len());
            }
            // After a rest everything can be had again.
            for slot in held.drain(..) {
                slots.give_back_leg(slot, now);
            }
            now = now + REST;
            let all = std::iter::from_fn(|| slots.take_leg(0, now)).count();
            prop_assert_eq!(all, 4);
        }
    }
}
