//! When each leg slot wants to be looked at next.
//!
//! An indexed heap: setting or moving a slot's deadline is logarithmic, asking for
//! the earliest is free, and after it is made it never allocates. So a thousand idle
//! browsers cost a worker no look at any of them.

use plenum_abi::Nanos;

/// Place of a slot that is not in the heap.
const NOWHERE: u32 = u32::MAX;

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Deadlines {
    /// Slots with their deadlines; each no earlier than its parent at `(i - 1) / 2`.
    heap: Vec<(Nanos, u32)>,
    /// Where in the heap each slot is.
    places: Box<[u32]>,
}

impl Deadlines {
    /// For so many slots, none of which has a deadline.
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            heap: Vec::with_capacity(slots),
            places: vec![NOWHERE; slots].into_boxed_slice(),
        }
    }

    /// Gives a slot its deadline, or takes it. Slots beyond the last are ignored.
    pub(crate) fn set(&mut self, slot: u32, deadline: Option<Nanos>) {
        let Some(&place) = self.places.get(slot as usize) else {
            return;
        };
        match (place, deadline) {
            (NOWHERE, None) => {}
            (NOWHERE, Some(deadline)) => {
                self.heap.push((deadline, slot));
                self.rise(self.heap.len() - 1);
            }
            (place, None) => self.take(place as usize),
            (place, Some(deadline)) => {
                self.heap[place as usize].0 = deadline;
                self.settle(place as usize);
            }
        }
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Nanos> {
        self.heap.first().map(|first| first.0)
    }

    /// Takes a slot whose deadline has come at `now`; it has none until it is given one.
    pub(crate) fn take_due(&mut self, now: Nanos) -> Option<u32> {
        let &(deadline, slot) = self.heap.first()?;
        if deadline > now {
            return None;
        }
        self.take(0);
        Some(slot)
    }

    fn take(&mut self, place: usize) {
        let (_, slot) = self.heap.swap_remove(place);
        self.places[slot as usize] = NOWHERE;
        if place < self.heap.len() {
            self.settle(place);
        }
    }

    /// Brings an entry whose deadline changed to its place.
    fn settle(&mut self, place: usize) {
        let place = self.rise(place);
        self.sink(place);
    }

    fn rise(&mut self, mut place: usize) -> usize {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.heap[parent].0 <= self.heap[place].0 {
                break;
            }
            self.heap.swap(parent, place);
            self.note(place);
            place = parent;
        }
        self.note(place);
        place
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let first = 2 * place + 1;
            let children = first..(first + 2).min(self.heap.len());
            let earliest = children.min_by_key(|&child| self.heap[child].0);
            match earliest {
                Some(child) if self.heap[child].0 < self.heap[place].0 => {
                    self.heap.swap(child, place);
                    self.note(place);
                    place = child;
                }
                _ => break,
            }
        }
        self.note(place);
    }

    fn note(&mut self, place: usize) {
        let slot = self.heap[place].1;
        self.places[slot as usize] = place as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn it_agrees_with_a_map() {
        const SLOTS: u32 = 40;
        let mut rng = SmallRng::seed_from_u64(7);
        let mut deadlines = Deadlines::new(SLOTS as usize);
        let mut model = BTreeMap::new();
        let mut now = Nanos::ZERO;
        for _ in 0..20_000 {
            let slot = rng.random_range(0..SLOTS);
            match rng.random_range(0..10) {
                0..7 => {
                    let deadline = Nanos(now.0 + rng.random_range(0..1_000));
                    deadlines.set(slot, Some(deadline));
                    model.insert(slot, deadline);
                }
                7..9 => {
                    deadlines.set(slot, None);
                    model.remove(&slot);
                }
                _ => {
                    now.0 += rng.random_range(0..200);
                    while let Some(slot) = deadlines.take_due(now) {
                        let due = model.remove(&slot).expect("it has a deadline");
                        assert!(due <= now);
                        assert!(model.values().all(|other| *other >= due));
                    }
                    assert!(model.values().all(|deadline| *deadline > now));
                }
            }
            assert_eq!(deadlines.next(), model.values().min().copied());
        }
        deadlines.set(SLOTS, Some(now));
        assert_eq!(deadlines.heap.len(), model.len());
        assert_eq!(deadlines.heap.capacity(), SLOTS as usize);
    }
}
