//! Which conferences tick when.
//!
//! Every conference ticks each 20 ms. The wheel spreads them over twenty
//! phases of 1 ms, so that the worker's work, and the datagrams of its
//! conferences, do not come in one burst:
//!
//! ```text
//! phase   0   1   2  ...  19   0   1
//!         A       B           A        A and B tick 2 ms apart, each every 20 ms
//! ```
//!
//! It knows instants and slots; what a tick does is not its business.

use std::time::Duration;

use plenum_abi::Nanos;

/// One step of every conference.
pub(crate) const TICK: Duration = Duration::from_millis(20);
const PHASES: usize = 20;
const PHASE_NS: u64 = 1_000_000;
const TICK_NS: u64 = PHASE_NS * PHASES as u64;
/// Ticks that are made up for after a stall; older ones are given up, because
/// nobody would want to hear them.
const CATCH_UP_MAX: u64 = 3;

/// A conference in the wheel.
#[derive(Clone, Copy, Debug)]
struct Entry {
    slot: u32,
    /// When its next tick is due.
    due: Nanos,
}

/// A tick that is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Due {
    /// The conference's slot.
    pub(crate) slot: u32,
    /// When it should have begun.
    pub(crate) at: Nanos,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Wheel {
    phases: [Vec<Entry>; PHASES],
    count: usize,
}

impl Wheel {
    /// A wheel that holds `capacity` conferences without allocating, if they
    /// spread as evenly as the wheel spreads them.
    pub(crate) fn new(capacity: usize) -> Self {
        let each = capacity.div_ceil(PHASES);
        Self {
            phases: std::array::from_fn(|_| Vec::with_capacity(each)),
            count: 0,
        }
    }

    /// Puts a conference into the emptiest phase.
    pub(crate) fn insert(&mut self, slot: u32, now: Nanos) {
        let emptiest = (0..PHASES)
            .min_by_key(|&phase| self.phases[phase].len())
            .unwrap_or(0);
        let begin = now.0 - now.0 % TICK_NS + emptiest as u64 * PHASE_NS;
        let due = if begin > now.0 {
            begin
        } else {
            begin + TICK_NS
        };
        self.phases[emptiest].push(Entry {
            slot,
            due: Nanos(due),
        });
        self.count += 1;
    }

    /// Takes a conference out.
    pub(crate) fn remove(&mut self, slot: u32) {
        for phase in &mut self.phases {
            if let Some(index) = phase.iter().position(|entry| entry.slot == slot) {
                phase.swap_remove(index);
                self.count -= 1;
                return;
            }
        }
    }

    /// When the next tick is due; `None` without conferences.
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        // All entries of a phase tick at the same instants, but one that was
        // just inserted may be a round behind or ahead of its neighbours.
        self.phases.iter().flatten().map(|entry| entry.due).min()
    }

    /// Appends every tick that is due at `now`, earliest first, and advances
    /// those conferences. `due` is cleared first and must not need to grow
    /// beyond the conferences there are.
    pub(crate) fn take_due(&mut self, now: Nanos, due: &mut Vec<Due>) {
        due.clear();
        for entry in self.phases.iter_mut().flatten() {
            if entry.due > now {
                continue;
            }
            let behind = (now.0 - entry.due.0) / TICK_NS;
            if behind > CATCH_UP_MAX {
                entry.due = Nanos(entry.due.0 + behind * TICK_NS);
            }
            due.push(Due {
                slot: entry.slot,
                at: entry.due,
            });
            entry.due = Nanos(entry.due.0 + TICK_NS);
        }
        due.sort_unstable_by_key(|due| due.at);
    }

    /// Conferences in the wheel.
    pub(crate) fn len(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_conference_ticks_each_20_ms_whatever_wakes_the_worker() {
        let mut wheel = Wheel::new(50);
        for slot in 0..50 {
            wheel.insert(slot, Nanos(7_300_000));
        }
        assert_eq!(wheel.len(), 50);
        let mut last = vec![None; 50];
        let mut count = [0; 50];
        let mut due = Vec::new();
        // The worker wakes at odd times, never later than the deadline asks for plus 0.4 ms.
        let mut now = Nanos(7_300_000);
        while now.0 < 2_000_000_000 {
            let deadline = wheel.next_deadline().unwrap();
            now = Nanos(deadline.0.max(now.0) + now.0 % 400_000);
            wheel.take_due(now, &mut due);
            assert!(due.is_sorted_by_key(|due| due.at));
            for tick in &due {
                let slot = tick.slot as usize;
                if let Some(before) = last[slot] {
                    assert_eq!(tick.at.since(before), TICK);
                }
                last[slot] = Some(tick.at);
                count[slot] += 1;
            }
        }
        assert!(
            count.iter().all(|&ticks| (98..=100).contains(&ticks)),
            "{count:?}"
        );
    }

    #[test]
    fn conferences_spread_over_the_phases() {
        let mut wheel = Wheel::new(40);
        for slot in 0..40 {
            wheel.insert(slot, Nanos::ZERO);
        }
        assert!(wheel.phases.iter().all(|phase| phase.len() == 2));
        wheel.remove(7);
        wheel.remove(7);
        assert_eq!(wheel.len(), 39);
    }

    #[test]
    fn after_a_long_stall_old_ticks_are_given_up() {
        let mut wheel = Wheel::new(1);
        wheel.insert(0, Nanos::ZERO);
        let mut due = Vec::new();
        let late = Nanos(10_000_000_000);
        wheel.take_due(late, &mut due);
        assert_eq!(due.len(), 1);
        assert!(late.since(due[0].at) < TICK);
        // A short one is made up for.
        let mut ticks = 0;
        let stalled = Nanos(late.0 + 3 * TICK_NS);
        loop {
            wheel.take_due(stalled, &mut due);
            if due.is_empty() {
                break;
            }
            ticks += due.len();
        }
        assert_eq!(ticks, 3);
    }
}
