//! The relay sockets of one worker by number: which are free, and which one a
//! new allocation gets.
//!
//! A port is drawn at random among the free ones (RFC 8656 section 7.2): who
//! cannot see an allocation should not be able to guess where it is.

use plenum_abi::Nanos;
use rand::Rng;

use crate::config::RelayPorts;
use crate::endpoint::Family;

/// Number of a relay socket within its worker.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RelayId(pub u32);

/// Who has a relay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Tenant {
    Nobody,
    Allocation(u32),
    /// Kept for who shows the token of a reservation.
    Reserved,
}

/// A port kept for a second allocation (RFC 8656 section 7.2: 30 seconds).
#[derive(Clone, Copy, Debug)]
struct Reservation {
    token: [u8; 8],
    relay: RelayId,
    until: Nanos,
}

/// Most reservations at a time.
const RESERVATIONS_MAX: usize = 256;
const NO_INDEX: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Relay {
    port: u16,
    tenant: Tenant,
    /// Its place in its family's list of free ones.
    free_at: u32,
}

/// All relays of a worker.
#[derive(Debug)]
pub(crate) struct Relays {
    relays: Vec<Relay>,
    /// Relays below this are IPv4.
    v6_from: u32,
    /// Free ones by family, in no order.
    free: [Vec<RelayId>; 2],
    /// Relays by family and port.
    by_port: [Vec<u32>; 2],
    first_port: u16,
    reservations: Vec<Reservation>,
}

impl Relays {
    pub(crate) fn new(ports: &RelayPorts) -> Self {
        let all = || ports.v4.iter().chain(&ports.v6);
        let first_port = all().copied().min().unwrap_or(0);
        let last_port = all().copied().max().unwrap_or(0);
        let span = usize::from(last_port - first_port) + 1;
        let v6_from = ports.v4.len() as u32;
        let mut relays = Self {
            relays: Vec::with_capacity(ports.v4.len() + ports.v6.len()),
            v6_from,
            free: [Vec::new(), Vec::new()],
            by_port: [vec![NO_INDEX; span], vec![NO_INDEX; span]],
            first_port,
            reservations: Vec::new(),
        };
        for (number, port) in (0_u32..).zip(all()) {
            relays.relays.push(Relay {
                port: *port,
                tenant: Tenant::Nobody,
                free_at: NO_INDEX,
            });
            let family = relays.family(RelayId(number));
            relays.by_port[family.index()][usize::from(*port - first_port)] = number;
            relays.set_free(RelayId(number));
        }
        relays
    }

    pub(crate) fn family(&self, relay: RelayId) -> Family {
        match relay.0 < self.v6_from {
            true => Family::V4,
            false => Family::V6,
        }
    }

    pub(crate) fn port(&self, relay: RelayId) -> u16 {
        self.relays[relay.0 as usize].port
    }

    /// Who has a relay; `Nobody` when there is no such relay.
    pub(crate) fn tenant(&self, relay: RelayId) -> Tenant {
        self.relays
            .get(relay.0 as usize)
            .map_or(Tenant::Nobody, |relay| relay.tenant)
    }

    /// The relay on a port.
    pub(crate) fn on_port(&self, family: Family, port: u16) -> Option<RelayId> {
        let index = usize::from(port.checked_sub(self.first_port)?);
        let number = *self.by_port[family.index()].get(index)?;
        (number != NO_INDEX).then_some(RelayId(number))
    }

    fn is_free(&self, relay: RelayId) -> bool {
        self.relays[relay.0 as usize].tenant == Tenant::Nobody
    }

    /// Gives a relay to somebody.
    fn take(&mut self, relay: RelayId, tenant: Tenant) {
        let family = self.family(relay);
        let entry = &mut self.relays[relay.0 as usize];
        entry.tenant = tenant;
        let at = std::mem::replace(&mut entry.free_at, NO_INDEX) as usize;
        let free = &mut self.free[family.index()];
        if at < free.len() {
            free.swap_remove(at);
            if let Some(moved) = free.get(at) {
                self.relays[moved.0 as usize].free_at = at as u32;
            }
        }
    }

    fn set_free(&mut self, relay: RelayId) {
        let family = self.family(relay);
        let free = &mut self.free[family.index()];
        let entry = &mut self.relays[relay.0 as usize];
        entry.tenant = Tenant::Nobody;
        entry.free_at = free.len() as u32;
        free.push(relay);
    }

    /// Draws a relay for a slot; `None` when there is none.
    pub(crate) fn draw(
        &mut self,
        family: Family,
        slot: u32,
        rng: &mut impl Rng,
    ) -> Option<RelayId> {
        let free = &self.free[family.index()];
        if free.is_empty() {
            return None;
        }
        let relay = free[rng.random_range(0..free.len())];
        self.take(relay, Tenant::Allocation(slot));
        Some(relay)
    }

    /// Draws a relay on an even port; with `reserve` also keeps the next port
    /// for 30 seconds and makes a token for it.
    pub(crate) fn draw_even(
        &mut self,
        family: Family,
        slot: u32,
        reserve: bool,
        now: Nanos,
        rng: &mut impl Rng,
    ) -> Option<(RelayId, Option<[u8; 8]>)> {
        if reserve && self.reservations.len() >= RESERVATIONS_MAX {
            return None;
        }
        let next_of = |relay: RelayId| {
            let next = self.on_port(family, self.port(relay).checked_add(1)?)?;
            self.is_free(next).then_some(next)
        };
        let free = &self.free[family.index()];
        if free.is_empty() {
            return None;
        }
        let from = rng.random_range(0..free.len());
        let fits = |relay: &&RelayId| {
            self.port(**relay).is_multiple_of(2) && (!reserve || next_of(**relay).is_some())
        };
        let relay = *free[from..].iter().chain(&free[..from]).find(fits)?;
        let next = next_of(relay);
        self.take(relay, Tenant::Allocation(slot));
        let Some(next) = next.filter(|_| reserve) else {
            return Some((relay, None));
        };
        self.take(next, Tenant::Reserved);
        let token = rng.random();
        self.reservations.push(Reservation {
            token,
            relay: next,
            until: Nanos(now.0 + 30_000_000_000),
        });
        Some((relay, Some(token)))
    }

    /// Redeems a reservation for a slot.
    pub(crate) fn redeem(&mut self, token: &[u8], slot: u32, now: Nanos) -> Option<RelayId> {
        let at = self
            .reservations
            .iter()
            .position(|kept| kept.token == token && kept.until > now)?;
        let relay = self.reservations.swap_remove(at).relay;
        self.take(relay, Tenant::Allocation(slot));
        Some(relay)
    }

    /// Gives a relay to a slot as a predecessor's record has it; `false` when it
    /// is somebody else's, of the other family, or does not exist.
    pub(crate) fn adopt(&mut self, relay: RelayId, family: Family, slot: u32) -> bool {
        let good = (relay.0 as usize) < self.relays.len()
            && self.family(relay) == family
            && self.is_free(relay);
        if good {
            self.take(relay, Tenant::Allocation(slot));
        }
        good
    }

    pub(crate) fn give_back(&mut self, relay: RelayId) {
        self.set_free(relay);
    }

    /// Ends reservations that nobody came for.
    pub(crate) fn expire(&mut self, now: Nanos) {
        let mut index = 0;
        while index < self.reservations.len() {
            if self.reservations[index].until <= now {
                let over = self.reservations.swap_remove(index);
                self.set_free(over.relay);
            } else {
                index += 1;
            }
        }
    }

    /// Whether the server has relays of a family at all.
    pub(crate) fn has(&self, family: Family) -> bool {
        match family {
            Family::V4 => self.v6_from > 0,
            Family::V6 => (self.v6_from as usize) < self.relays.len(),
        }
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn free_count(&self) -> usize {
        self.free[0].len() + self.free[1].len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn relays() -> (Relays, StdRng) {
        let ports = RelayPorts {
            v4: (50_000..50_010).collect(),
            v6: (50_000..50_004).collect(),
        };
        (Relays::new(&ports), StdRng::seed_from_u64(5))
    }

    #[test]
    fn every_port_is_given_once_and_can_be_given_again() {
        let (mut relays, mut rng) = relays();
        for _ in 0..3 {
            let drawn: HashSet<RelayId> = (0..10)
                .map(|slot| relays.draw(Family::V4, slot, &mut rng).unwrap())
                .collect();
            assert_eq!(drawn.len(), 10);
            assert_eq!(relays.draw(Family::V4, 11, &mut rng), None);
            assert!(
                relays
                    .draw_even(Family::V4, 11, false, Nanos::ZERO, &mut rng)
                    .is_none()
            );
            for relay in drawn {
                assert!(matches!(relays.tenant(relay), Tenant::Allocation(_)));
                relays.give_back(relay);
            }
        }
        assert_eq!(relays.free_count(), 14);
    }

    #[test]
    fn a_reserved_port_is_the_next_one_and_waits_for_its_token() {
        let (mut relays, mut rng) = relays();
        let (even, token) = relays
            .draw_even(Family::V4, 1, true, Nanos::ZERO, &mut rng)
            .unwrap();
        let token = token.unwrap();
        assert!(relays.port(even).is_multiple_of(2));
        assert_eq!(relays.redeem(&[0; 8], 2, Nanos::ZERO), None);
        let odd = relays.redeem(&token, 2, Nanos::ZERO).unwrap();
        assert_eq!(relays.port(odd), relays.port(even) + 1);
        assert_eq!(relays.redeem(&token, 3, Nanos::ZERO), None, "only once");
        let (_, late) = relays
            .draw_even(Family::V4, 4, true, Nanos::ZERO, &mut rng)
            .unwrap();
        let over = Nanos::from_millis(30_000);
        assert_eq!(relays.redeem(&late.unwrap(), 5, over), None);
        relays.expire(over);
        assert_eq!(relays.free_count(), 14 - 3);
    }

    #[test]
    fn a_port_has_one_relay_of_each_family() {
        let (relays, _) = relays();
        assert_eq!(relays.on_port(Family::V4, 50_009), Some(RelayId(9)));
        assert_eq!(relays.on_port(Family::V6, 50_003), Some(RelayId(13)));
        assert_eq!(relays.on_port(Family::V6, 50_004), None);
        assert_eq!(relays.on_port(Family::V4, 49_999), None);
        assert_eq!(relays.on_port(Family::V4, 65_535), None);
    }
}
