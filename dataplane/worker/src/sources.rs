//! Whose an address is: which browser's leg a datagram is for.
//!
//! All browsers of a worker send to the same socket. A check says in the clear
//! whom it is for; everything else is told apart by where it comes from:
//!
//! - *proven*: a check with the leg's password came from there. DTLS and SRTP are
//!   believed from such addresses only.
//! - *asked*: we sent a check there. Its answer is for the leg that asked.
//!
//! An address is one leg's at a time. A far end can name and even forge the
//! address of another, so a proven address never changes hands while its leg has
//! its path there; who is asked about is only remembered where nobody is yet.

use std::collections::HashMap;
use std::net::SocketAddr;

/// Addresses that one leg can have: what ICE allows it to prove and to name.
pub(crate) const PER_LEG_MAX: usize = plenum_ice::SOURCES_MAX + plenum_ice::CANDIDATES_MAX;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Owner {
    slot: u32,
    proven: bool,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Sources {
    owners: HashMap<SocketAddr, Owner>,
}

impl Sources {
    /// Room for `legs` browsers with a few addresses each before it has to grow.
    pub(crate) fn new(legs: usize) -> Self {
        Self {
            owners: HashMap::with_capacity(legs * 4),
        }
    }

    /// The leg that has proven to send from `source`.
    pub(crate) fn proven(&self, source: SocketAddr) -> Option<u32> {
        let owner = self.owners.get(&source)?;
        owner.proven.then_some(owner.slot)
    }

    /// The leg that `source` may answer.
    pub(crate) fn asked(&self, source: SocketAddr) -> Option<u32> {
        Some(self.owners.get(&source)?.slot)
    }

    /// A check with the password of `slot` came from `source`. `holds` says whether a
    /// leg has its path to there. `false` when it stays another's.
    pub(crate) fn prove(
        &mut self,
        source: SocketAddr,
        slot: u32,
        holds: impl FnOnce(u32) -> bool,
    ) -> bool {
        match self.owners.get(&source) {
            Some(owner) if owner.slot != slot && owner.proven && holds(owner.slot) => false,
            _ => {
                let proven = true;
                self.owners.insert(source, Owner { slot, proven });
                true
            }
        }
    }

    /// `slot` sends a check to `target`; `false` when it is another's.
    pub(crate) fn ask(&mut self, target: SocketAddr, slot: u32) -> bool {
        let proven = false;
        self.owners
            .entry(target)
            .or_insert(Owner { slot, proven })
            .slot
            == slot
    }

    /// Forgets an address, if it is that leg's.
    pub(crate) fn forget(&mut self, address: SocketAddr, slot: u32) {
        if self.asked(address) == Some(slot) {
            self.owners.remove(&address);
        }
    }

    /// Addresses that are somebody's.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.owners.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, 7], port))
    }

    #[test]
    fn only_a_proven_address_is_believed() {
        let mut sources = Sources::new(4);
        assert!(sources.ask(at(1), 3));
        assert_eq!(
            (sources.proven(at(1)), sources.asked(at(1))),
            (None, Some(3))
        );
        assert!(sources.prove(at(1), 3, |_| false));
        assert_eq!(sources.proven(at(1)), Some(3));
        sources.forget(at(1), 4);
        assert_eq!(sources.proven(at(1)), Some(3));
        sources.forget(at(1), 3);
        assert_eq!((sources.asked(at(1)), sources.len()), (None, 0));
    }

    #[test]
    fn an_address_changes_hands_only_when_its_leg_has_let_go() {
        let mut sources = Sources::new(4);
        // Naming the address of another does not keep him out.
        assert!(sources.ask(at(1), 3));
        assert!(!sources.ask(at(1), 5));
        assert!(sources.prove(at(1), 5, |_| true));
        assert!(!sources.ask(at(1), 3));
        // Forging it does neither, while he uses it.
        assert!(!sources.prove(at(1), 3, |owner| owner == 5));
        assert_eq!(sources.proven(at(1)), Some(5));
        assert!(sources.prove(at(1), 3, |_| false));
        assert_eq!(sources.proven(at(1)), Some(3));
    }
}
