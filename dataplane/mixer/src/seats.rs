//! Legs, the streams they hear, and how they move between them without a seam.
//!
//! A leg belongs to a group of legs whose streams may be one. It listens to the
//! group's stream, or has one of its own while it speaks or has a gain:
//!
//! ```text
//!                 listeners before      what happens
//! to its own      others too            its own is seeded from the group's
//!                 only this leg         it takes the group's with it
//! back            others                it joins them; its own goes to the pool
//!                 nobody                its own becomes the group's
//! ```
//!
//! G.722 waits for a pause before it comes back among others: its decoder takes
//! a while to follow another encoder, 19 dB below the sound. In a pause there is
//! nothing to hear of that. (Opus is back at once: 22 dB below the sound, where
//! its coding itself is at 7.)
//!
//! So where each leg is alone in its group, as in small conferences, the far
//! end's decoder follows one encoder for ever. A group without listeners
//! encodes nothing.

use std::collections::HashMap;

use plenum_abi::AudioCodec;
use plenum_kernels::audio::gain::Gain;

use crate::meter::Meter;
use crate::stream::{Stream, StreamKind};
use crate::{LegKey, MixLeg, SetLegError};

/// Longest wait for a pause: 5 s.
const PAUSE_TICKS_MAX: u16 = 250;

/// One leg.
pub(crate) struct Leg {
    pub(crate) key: LegKey,
    pub(crate) config: MixLeg,
    pub(crate) meter: Meter,
    /// Place among the speakers.
    pub(crate) slot: Option<u16>,
    /// The group it belongs to, even while it has a stream of its own.
    group: usize,
    place: Place,
    /// Ticks for which it has had a stream of its own and needed none.
    waited: u16,
    /// Gain on what it hears: wanted, and at the end of the last tick.
    pub(crate) tx_gain: Gain,
    pub(crate) tx_gain_now: Gain,
}

/// Where a leg's packets come from.
enum Place {
    /// The group's stream; the position among its listeners.
    Listener(usize),
    /// Its own stream; the position among the owners.
    Owner(usize, Box<Stream>),
}

impl Leg {
    /// Whether it hears something that nobody else hears.
    fn wants_own(&self) -> bool {
        let differs = self.config.shares_screen || self.tx_gain != Gain::UNITY;
        !self.config.tx_muted && (self.slot.is_some() || differs)
    }

    /// Its own stream, where it has one.
    pub(crate) fn own(&mut self) -> Option<&mut Stream> {
        match &mut self.place {
            Place::Owner(_, stream) => Some(stream),
            Place::Listener(_) => None,
        }
    }
}

/// Legs that may share a stream.
pub(crate) struct Group {
    kind: StreamKind,
    /// It is silent, whoever speaks.
    pub(crate) muted: bool,
    /// Stands still while nobody listens.
    pub(crate) stream: Box<Stream>,
    /// Who is sent the stream now, as keys and as indexes.
    pub(crate) listeners: Vec<LegKey>,
    listener_legs: Vec<u32>,
    /// Legs that belong here, listening or with a stream of their own.
    members: usize,
}

const CODECS: usize = 4;

/// Index of a codec in tables by codec.
const fn row(codec: AudioCodec) -> usize {
    (codec as usize - 1) % CODECS
}

/// How many legs may come to need a stream of their own.
#[derive(Clone, Copy, Default)]
struct Census {
    legs: usize,
    /// That always hear something else: another gain, or all but their screen.
    apart: usize,
}

fn count(census: &mut [Census; CODECS], leg: &MixLeg, comes: bool) {
    let census = &mut census[row(leg.codec)];
    let apart = usize::from(leg.tx_gain_centibels != 0 || leg.shares_screen);
    if comes {
        census.legs += 1;
        census.apart += apart;
    } else {
        census.legs -= 1;
        census.apart -= apart;
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Seats {
    pub(crate) legs: Vec<Leg>,
    index_of: HashMap<LegKey, usize>,
    /// Legs, and legs that always hear something else, by codec.
    census: [Census; CODECS],
    pub(crate) groups: Vec<Option<Group>>,
    /// Legs with a stream of their own.
    pub(crate) owners: Vec<u32>,
    /// Streams that legs may take for their own, by codec, and how many were made.
    #[expect(
        clippy::vec_box,
        reason = "streams move between pool, legs and groups by pointer"
    )]
    pool: [Vec<Box<Stream>>; CODECS],
    made: [usize; CODECS],
}

impl Seats {
    /// Index of a leg.
    pub(crate) fn find(&self, key: LegKey) -> Option<usize> {
        self.index_of.get(&key).copied()
    }

    /// Lets a leg in or changes it; gives whether it is new. `slots`: how many
    /// may be speakers or on their way to and from it.
    pub(crate) fn set(
        &mut self,
        key: LegKey,
        config: MixLeg,
        complexity: u8,
        slots: usize,
    ) -> Result<bool, SetLegError> {
        let found = self.find(key);
        let before = found.and_then(|index| self.groups[self.legs[index].group].as_ref());
        let kind = StreamKind::new(&config, complexity, before.map(|group| &group.kind));
        // What can fail comes first.
        let mut census = self.census;
        if let Some(index) = found {
            count(&mut census, &self.legs[index].config, false);
        }
        count(&mut census, &config, true);
        self.make_streams(slots, &census)?;
        let group = self.make_group(kind, config.tx_muted)?;
        self.census = census;

        let tx_gain = Gain::from_hundredths_db(config.tx_gain_centibels);
        let index = match found {
            Some(index) => {
                let leg = &mut self.legs[index];
                leg.config = config;
                leg.meter.configure(&config);
                leg.tx_gain = tx_gain;
                if leg.group != group {
                    self.leave_group(index);
                    self.join_group(index, group);
                }
                index
            }
            None => {
                self.legs.push(Leg {
                    key,
                    config,
                    meter: Meter::new(&config),
                    slot: None,
                    group,
                    place: Place::Listener(0),
                    waited: 0,
                    tx_gain,
                    tx_gain_now: Gain::UNITY,
                });
                let legs = self.legs.len();
                self.index_of.insert(key, legs - 1);
                self.owners.reserve(legs - self.owners.len());
                self.join_group(legs - 1, group);
                legs - 1
            }
        };
        if self.legs[index].wants_own() {
            self.take_own(index);
        }
        Ok(found.is_none())
    }

    /// Puts a leg out. The last leg takes its index: the answer is that leg's
    /// slot, if it has one.
    pub(crate) fn remove(&mut self, index: usize) -> Option<u16> {
        self.leave_group(index);
        let left = self.legs.swap_remove(index);
        self.index_of.remove(&left.key);
        count(&mut self.census, &left.config, false);
        let moved = self.legs.get(index)?;
        self.index_of.insert(moved.key, index);
        match &moved.place {
            Place::Owner(position, _) => self.owners[*position] = index as u32,
            Place::Listener(position) => {
                if let Some(group) = &mut self.groups[moved.group] {
                    group.listener_legs[*position] = index as u32;
                }
            }
        }
        moved.slot
    }

    /// Makes a leg a speaker; `false` where there is no stream for it to hear.
    pub(crate) fn admit(&mut self, index: usize, slot: u16) -> bool {
        self.legs[index].slot = Some(slot);
        if self.legs[index].wants_own() && !self.take_own(index) {
            self.legs[index].slot = None;
            return false;
        }
        true
    }

    /// Sends home the owners who hear what others hear, where a packet ends
    /// with this tick. `pause`: nothing much is heard, by rate.
    pub(crate) fn rejoin(&mut self, tick: u64, pause: [bool; 3]) {
        for position in (0..self.owners.len()).rev() {
            let index = self.owners[position] as usize;
            let leg = &mut self.legs[index];
            let Place::Owner(_, own) = &leg.place else {
                continue;
            };
            if leg.wants_own() {
                leg.waited = 0;
                continue;
            }
            if !own.ends_packet(tick) {
                continue;
            }
            let group = self.groups[leg.group].as_ref();
            let seamless = own.codec() != AudioCodec::G722
                || pause[own.rate() as usize]
                || group.is_none_or(|group| group.listeners.is_empty());
            // Nor may those who wait keep a newcomer from a stream.
            let spare = self.pool[row(own.codec())].len();
            leg.waited += 1;
            if seamless || leg.waited > PAUSE_TICKS_MAX || spare == 0 {
                self.give_back(index);
            }
        }
    }

    /// Makes the streams that legs may come to need now that so many may be
    /// speakers.
    pub(crate) fn allow_slots(&mut self, slots: usize) -> Result<(), SetLegError> {
        let census = self.census;
        self.make_streams(slots, &census)
    }

    fn make_streams(&mut self, slots: usize, census: &[Census; CODECS]) -> Result<(), SetLegError> {
        for codec in AudioCodec::ALL {
            let row = row(codec);
            let Census { legs, apart } = census[row];
            // Owners are those who stand apart, and speakers, of whom each has a slot
            // or, with a 40 ms packet to finish, had one a tick ago.
            let wanted = (apart + slots).min(legs);
            while self.made[row] < wanted {
                let kind = StreamKind::new(&MixLeg::new(codec), 0, None);
                let stream = Stream::new(kind).map_err(|_| SetLegError::Codec)?;
                self.pool[row].push(Box::new(stream));
                self.made[row] += 1;
            }
            let pool = &mut self.pool[row];
            pool.reserve(self.made[row] - pool.len());
        }
        Ok(())
    }

    /// The group of this kind, made where there is none.
    fn make_group(&mut self, kind: StreamKind, muted: bool) -> Result<usize, SetLegError> {
        let alike = |group: &Group| group.kind == kind && group.muted == muted;
        let found = |group: &Option<Group>| group.as_ref().is_some_and(alike);
        if let Some(index) = self.groups.iter().position(found) {
            return Ok(index);
        }
        let stream = Stream::new(kind).map_err(|_| SetLegError::Codec)?;
        let group = Some(Group {
            kind,
            muted,
            stream: Box::new(stream),
            listeners: Vec::new(),
            listener_legs: Vec::new(),
            members: 0,
        });
        let free = self.groups.iter().position(Option::is_none);
        Ok(match free {
            Some(index) => {
                self.groups[index] = group;
                index
            }
            None => {
                self.groups.push(group);
                self.groups.len() - 1
            }
        })
    }

    fn join_group(&mut self, index: usize, to: usize) {
        let leg = &mut self.legs[index];
        leg.group = to;
        if let Some(group) = &mut self.groups[to] {
            group.members += 1;
            let more = group.members - group.listeners.len();
            group.listeners.reserve(more);
            group.listener_legs.reserve(more);
            if group.listeners.is_empty() {
                group.stream.renew(group.kind);
            }
            group.seat(index, leg);
        }
    }

    fn leave_group(&mut self, index: usize) {
        match &self.legs[index].place {
            Place::Listener(position) => {
                let position = *position;
                self.unseat(self.legs[index].group, position);
            }
            Place::Owner(..) => {
                if let Some(own) = self.disown(index) {
                    self.pool[row(own.codec())].push(own);
                }
            }
        }
        let slot = &mut self.groups[self.legs[index].group];
        if let Some(group) = slot {
            group.members -= 1;
            if group.members == 0 {
                *slot = None;
            }
        }
    }

    /// Takes a leg from the listeners of a group.
    fn unseat(&mut self, group: usize, position: usize) {
        if let Some(group) = &mut self.groups[group] {
            group.listeners.swap_remove(position);
            group.listener_legs.swap_remove(position);
            if let Some(&moved) = group.listener_legs.get(position) {
                self.legs[moved as usize].place = Place::Listener(position);
            }
        }
    }

    /// Takes a leg from the owners; gives its stream. The leg's place means
    /// nothing until it is seated.
    fn disown(&mut self, index: usize) -> Option<Box<Stream>> {
        let place = &mut self.legs[index].place;
        let Place::Owner(position, own) = core::mem::replace(place, Place::Listener(0)) else {
            return None;
        };
        self.owners.swap_remove(position);
        if let Some(&moved) = self.owners.get(position)
            && let Place::Owner(at, _) = &mut self.legs[moved as usize].place
        {
            *at = position;
        }
        Some(own)
    }

    /// Gives a leg a stream of its own that goes on where its group's is.
    fn take_own(&mut self, index: usize) -> bool {
        let leg = &self.legs[index];
        let Place::Listener(position) = leg.place else {
            return true;
        };
        let at = leg.group;
        let Some(group) = &mut self.groups[at] else {
            return false;
        };
        let Some(mut own) = self.pool[row(group.kind.codec)].pop() else {
            return false;
        };
        own.renew(group.kind);
        if group.listeners.len() == 1 {
            core::mem::swap(&mut own, &mut group.stream);
        } else {
            own.seed_from(&group.stream);
        }
        self.unseat(at, position);
        self.legs[index].waited = 0;
        self.legs[index].place = Place::Owner(self.owners.len(), own);
        self.owners.push(index as u32);
        true
    }

    /// Makes a leg a listener of its group again.
    fn give_back(&mut self, index: usize) {
        let Some(mut own) = self.disown(index) else {
            return;
        };
        let leg = &mut self.legs[index];
        if let Some(group) = &mut self.groups[leg.group] {
            if group.listeners.is_empty() {
                core::mem::swap(&mut own, &mut group.stream);
            }
            group.seat(index, leg);
        }
        self.pool[row(own.codec())].push(own);
    }

    /// Whether every index points at what points back at it.
    #[cfg(test)]
    pub(crate) fn check(&self) {
        let mut members = vec![0; self.groups.len()];
        let mut own = [0; CODECS];
        assert_eq!(self.index_of.len(), self.legs.len());
        for (index, leg) in self.legs.iter().enumerate() {
            assert_eq!(self.find(leg.key), Some(index));
            let group = self.groups[leg.group].as_ref().unwrap();
            members[leg.group] += 1;
            match &leg.place {
                Place::Listener(position) => {
                    assert_eq!(group.listener_legs[*position] as usize, index);
                    assert_eq!(group.listeners[*position], leg.key);
                }
                Place::Owner(position, stream) => {
                    assert_eq!(self.owners[*position] as usize, index);
                    assert_eq!(stream.codec(), leg.config.codec);
                    own[row(stream.codec())] += 1;
                }
            }
        }
        assert_eq!(self.owners.len(), own.iter().sum::<usize>());
        for ((pool, own), made) in self.pool.iter().zip(own).zip(self.made) {
            assert_eq!(pool.len() + own, made);
        }
        let mut listeners = 0;
        for (group, members) in self.groups.iter().zip(members) {
            if let Some(group) = group {
                assert_eq!(group.members, members);
                assert!(members > 0);
                assert_eq!(group.listeners.len(), group.listener_legs.len());
                listeners += group.listeners.len();
            }
        }
        assert_eq!(listeners + self.owners.len(), self.legs.len());
    }
}

impl Group {
    fn seat(&mut self, index: usize, leg: &mut Leg) {
        leg.place = Place::Listener(self.listeners.len());
        self.listeners.push(leg.key);
        self.listener_legs.push(index as u32);
    }
}
