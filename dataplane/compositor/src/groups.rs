//! Encoders and who shares them.
//!
//! Receivers with the same [`Key`] share one encoder: the same view, codec, size,
//! frame rate and rate class. Keys change all the time: somebody speaks and views
//! move, an allowance falls into another class. An encoder does not care what it
//! shows, so it stays with the receivers that it has: of the groups that could serve
//! a key, the one with most of its receivers does. Whoever comes from
//! another encoder waits for a key frame; everybody else notices nothing.
//!
//! A key frame serves all who wait, no more often than [`key_frame_gap`] says.
//!
//! Not here: what keys there should be.

use std::collections::BTreeMap;
use std::time::Duration;

use plenum_abi::{H264Level, H264Profile, Nanos, VideoCodec};
use plenum_codecs::video::{EncodeError, EncoderConfig, Rate, VideoEncoder};

use crate::rate::Format;
use crate::seating::Seating;
use crate::stats::Profile;
use crate::view::Canvas;
use crate::{Codecs, Frame, ReceiverId, Sink, Stats};

/// Key frames of one encoder are no closer. Nor closer than the last one takes to pass at
/// the encoder's rate, and half of that again: where a path loses packets of it for want
/// of room, everybody asks for the next, which would meet the same queue.
const KEY_FRAME_GAP: Duration = Duration::from_millis(400);
/// So much is the longest, however large it was.
const KEY_FRAME_GAP_MAX: Duration = Duration::from_secs(3);

/// A picture that stays the same is sent again after this, so that it becomes
/// sharp, and so that nobody takes the stream for dead.
const STILL: Duration = Duration::from_millis(200);

/// No encoder is asked for less, bit/s.
const BIT_RATE_MIN_BPS: u32 = 32_000;

/// A change of rate by less than one part in so many is not worth telling.
const RATE_GRAIN: u32 = 50;

/// Of what receivers must agree to share an encoder.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    pub(crate) seating: Seating,
    /// [`VideoCodec`], by number, for order's sake.
    pub(crate) codec: u8,
    pub(crate) slice_bytes_max: Option<u32>,
    pub(crate) content: bool,
    pub(crate) format: Format,
    /// An encoder for one alone.
    pub(crate) alone: Option<ReceiverId>,
}

impl Key {
    /// Width and height.
    pub(crate) const fn size(&self) -> (u32, u32) {
        self.format.rung.dimensions()
    }
}

/// A receiver as its group sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) id: ReceiverId,
    /// Takes H.264's High profile.
    pub(crate) high: bool,
    /// The most that it takes, bit/s.
    pub(crate) bit_rate_bps: u32,
}

/// An encoder and its receivers.
pub(crate) struct Group {
    key: Key,
    members: Vec<Member>,
    /// Those of them who have seen no key frame of this encoder yet.
    waiting: Vec<ReceiverId>,
    high: bool,
    /// Made for the first picture.
    encoder: Option<Box<dyn VideoEncoder>>,
    rate: Rate,
    key_wanted: bool,
    /// From when on there may be another.
    next_key_at: Option<Nanos>,
    /// When the last picture's place in time began; before the first, when the group
    /// was made. A place is never taken twice, also when the frame rate changes.
    place: Nanos,
    sent_at: Nanos,
    /// The version of the canvas that was encoded last.
    version: Option<u64>,
    /// Nothing was new at its place in time, which is still free.
    idle: bool,
}

impl Group {
    /// Whether it has made its encoder.
    pub(crate) fn encodes(&self) -> bool {
        self.encoder.is_some()
    }

    fn new(key: Key, now: Nanos) -> Self {
        Self {
            key,
            members: Vec::new(),
            waiting: Vec::new(),
            high: false,
            encoder: None,
            rate: Rate {
                bit_rate_bps: 0,
                frame_rate_hz: 0.0,
            },
            key_wanted: false,
            next_key_at: None,
            place: now,
            sent_at: Nanos::ZERO,
            version: None,
            idle: false,
        }
    }

    pub(crate) const fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn has(&self, id: ReceiverId) -> bool {
        self.members.iter().any(|member| member.id == id)
    }

    /// It has left.
    pub(crate) fn forget(&mut self, id: ReceiverId) {
        self.members.retain(|member| member.id != id);
        self.waiting.retain(|&waiting| waiting != id);
    }

    /// It takes another rate from now on.
    pub(crate) fn set_bit_rate(&mut self, id: ReceiverId, bit_rate_bps: u32) {
        for member in self.members.iter_mut().filter(|member| member.id == id) {
            member.bit_rate_bps = bit_rate_bps;
        }
    }

    /// Whether others share it.
    pub(crate) fn is_shared(&self) -> bool {
        self.members.len() > 1
    }

    /// Whether this receiver is still waiting for its first key frame.
    pub(crate) fn keeps_waiting(&self, id: ReceiverId) -> bool {
        self.waiting.contains(&id)
    }

    pub(crate) const fn want_key_frame(&mut self) {
        self.key_wanted = true;
    }

    /// Whether its place in time is still free for something new. Sources keep time of
    /// their own: one whose pictures come now before and now after a place begins
    /// would lose some without this.
    pub(crate) const fn is_idle(&self) -> bool {
        self.idle
    }

    /// When its next picture is due.
    pub(crate) fn next_due(&self) -> Nanos {
        let hz = self.key.format.frame_rate_hz;
        start_of(slot_of(self.place, hz) + 1, hz)
    }

    /// Whether its encoder can go on under another key.
    fn can_serve(&self, key: &Key, high: bool) -> bool {
        let own = &self.key;
        let fast = |key: &Key| key.format.frame_rate_hz > 30;
        own.codec == key.codec
            && own.slice_bytes_max == key.slice_bytes_max
            && own.content == key.content
            && own.format.rung == key.format.rung
            && fast(own) == fast(key)
            && self.high == high
    }

    /// Takes a key and its receivers.
    fn adopt(&mut self, key: Key, members: Vec<Member>) {
        let new = members
            .iter()
            .map(|member| member.id)
            .filter(|&id| !self.has(id));
        let new: Vec<_> = new.collect();
        self.waiting
            .retain(|&id| members.iter().any(|member| member.id == id));
        self.key_wanted |= !new.is_empty();
        self.waiting.extend(new);
        if key.seating != self.key.seating {
            self.version = None;
        }
        (self.key, self.members) = (key, members);
    }

    /// What all can take: the least of what they take, and no more than is of use.
    fn bit_rate_bps(&self) -> u32 {
        let least = self.members.iter().map(|member| member.bit_rate_bps).min();
        let of_use = self.key.format.rung.bit_rate_max_bps();
        least.unwrap_or(of_use).min(of_use).max(BIT_RATE_MIN_BPS)
    }

    fn config(&self, rate: Rate) -> EncoderConfig {
        let (width, height) = self.key.size();
        EncoderConfig {
            codec: VideoCodec::from_u8(self.key.codec).unwrap_or(VideoCodec::H264),
            width,
            height,
            rate,
            profile: if self.high {
                H264Profile::High
            } else {
                H264Profile::ConstrainedBaseline
            },
            level_max: H264Level::L5_2,
            frame_rate_max_hz: if rate.frame_rate_hz > 30.0 {
                60.0
            } else {
                30.0
            },
            slice_bytes_max: self.key.slice_bytes_max,
            temporal_layers: 1,
            content: self.key.content,
        }
    }

    /// Encodes what is due of `canvas`, which is drawn first, and hands it out.
    pub(crate) fn tick(
        &mut self,
        now: Nanos,
        canvas: &Canvas,
        work: &mut Work<'_>,
        sink: &mut impl Sink,
    ) {
        let hz = self.key.format.frame_rate_hz;
        let slot = slot_of(now, hz);
        self.place = start_of(slot, hz);
        let may_be_key = self.next_key_at.is_none_or(|at| now >= at);
        let key_frame = self.key_wanted && may_be_key;
        let still = self.version == Some(canvas.version());
        self.idle = still && !key_frame && now.since(self.sent_at) < STILL;
        if self.idle {
            return;
        }
        if !key_frame && self.waiting.len() == self.members.len() {
            // Nobody could show it.
            return;
        }
        let rate = Rate {
            bit_rate_bps: self.bit_rate_bps(),
            frame_rate_hz: hz as f32,
        };
        let began = work.profile.now();
        let encoded = self.encode(canvas, key_frame, rate, work);
        work.stats.spent.encode += work.profile.now().since(began);
        let encoded = match encoded {
            Ok(encoded) if encoded.skipped => {
                work.stats.encodes_skipped += 1;
                return;
            }
            Ok(encoded) => encoded,
            Err(_) => {
                work.stats.encode_failures += 1;
                // Everybody begins anew with another encoder.
                self.encoder = None;
                self.key_wanted = true;
                return;
            }
        };
        self.version = Some(canvas.version());
        self.sent_at = now;
        work.stats.encodes += 1;
        if encoded.key_frame {
            work.stats.key_frames += 1;
            self.key_wanted = false;
            self.next_key_at = Some(now + key_frame_gap(work.data.len(), rate.bit_rate_bps));
            self.waiting.clear();
        }
        work.receivers.clear();
        let members = self.members.iter().map(|member| member.id);
        work.receivers
            .extend(members.filter(|id| !self.waiting.contains(id)));
        if work.receivers.is_empty() {
            return;
        }
        work.stats.shared_sends += work.receivers.len() as u64 - 1;
        let (width, height) = self.key.size();
        sink.encoded(&Frame {
            receivers: work.receivers,
            codec: VideoCodec::from_u8(self.key.codec).unwrap_or(VideoCodec::H264),
            timestamp_90khz: (u128::from(slot) * 90_000 / u128::from(hz)) as u32,
            key_frame: encoded.key_frame,
            temporal_layer: encoded.temporal_layer,
            width,
            height,
            data: work.data,
        });
    }

    fn encode(
        &mut self,
        canvas: &Canvas,
        key_frame: bool,
        rate: Rate,
        work: &mut Work<'_>,
    ) -> Result<plenum_codecs::video::Encoded, EncodeError> {
        let encoder = match &mut self.encoder {
            Some(encoder) => {
                let change = rate.bit_rate_bps.abs_diff(self.rate.bit_rate_bps);
                let told = change <= self.rate.bit_rate_bps / RATE_GRAIN
                    && rate.frame_rate_hz == self.rate.frame_rate_hz;
                if !told {
                    encoder.set_rate(rate);
                    self.rate = rate;
                }
                encoder
            }
            None => {
                let config = self.config(rate);
                let encoder = work
                    .codecs
                    .encoder(&config)
                    .map_err(|_| EncodeError::Refused)?;
                self.rate = rate;
                self.encoder.insert(encoder)
            }
        };
        encoder.encode(canvas.picture(), key_frame, work.data)
    }
}

/// What encoding takes, beside the encoder.
pub(crate) struct Work<'a> {
    pub(crate) codecs: &'a mut dyn Codecs,
    pub(crate) profile: &'a Profile,
    pub(crate) stats: &'a mut Stats,
    /// Access units are made in it.
    pub(crate) data: &'a mut Vec<u8>,
    /// To whom one goes.
    pub(crate) receivers: &'a mut Vec<ReceiverId>,
}

/// How long after a key frame of so many bytes there is no other.
fn key_frame_gap(bytes: usize, bit_rate_bps: u32) -> Duration {
    let millis = bytes as u64 * 8_000 * 3 / 2 / u64::from(bit_rate_bps.max(1));
    Duration::from_millis(millis).clamp(KEY_FRAME_GAP, KEY_FRAME_GAP_MAX)
}

/// The number of the place in time at this frame rate: all encoders of one rate are
/// due together, so that each view is drawn once for all of them.
fn slot_of(now: Nanos, hz: u32) -> u64 {
    (u128::from(now.0) * u128::from(hz) / 1_000_000_000) as u64
}

/// When a place begins.
fn start_of(slot: u64, hz: u32) -> Nanos {
    let nanos = (u128::from(slot) * 1_000_000_000).div_ceil(u128::from(hz.max(1)));
    Nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Gives each key a group, keeping receivers with the encoders they have.
pub(crate) fn assign(
    now: Nanos,
    mut old: Vec<Group>,
    demands: BTreeMap<Key, Vec<Member>>,
) -> Vec<Group> {
    let mut demands: Vec<_> = demands.into_iter().collect();
    // The many choose first. Equals stay in the order of their keys.
    demands.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    let high = |members: &[Member]| members.iter().all(|member| member.high);
    let mut groups = Vec::with_capacity(demands.len());
    let mut left = Vec::new();
    for (key, members) in demands {
        let (best, most) = best_for(&old, &key, &members, high(&members));
        match best {
            Some(index) if most > 0 => {
                let mut group = old.swap_remove(index);
                group.adopt(key, members);
                groups.push(group);
            }
            _ => left.push((key, members)),
        }
    }
    // Nobody knows these encoders; an old one is as good as a new one, and cheaper.
    for (key, members) in left {
        let (best, _) = best_for(&old, &key, &members, high(&members));
        let mut group = match best {
            Some(index) => old.swap_remove(index),
            None => Group::new(key.clone(), now),
        };
        group.high = high(&members);
        group.next_key_at = None;
        group.adopt(key, members);
        groups.push(group);
    }
    groups
}

/// The group with most of these members, of those that can serve the key.
fn best_for(groups: &[Group], key: &Key, members: &[Member], high: bool) -> (Option<usize>, usize) {
    let overlap = |group: &Group| members.iter().filter(|member| group.has(member.id)).count();
    let able = groups
        .iter()
        .enumerate()
        .filter(|(_, group)| group.can_serve(key, high));
    let best = able
        .map(|(index, group)| (index, overlap(group)))
        .max_by_key(|(_, n)| *n);
    best.map_or((None, 0), |(index, most)| (Some(index), most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_key_frame_has_the_time_to_pass_before_the_next() {
        let gap = |bytes, bps| key_frame_gap(bytes, bps).as_millis();
        assert_eq!(gap(10_000, 1_000_000), 400);
        assert_eq!(gap(100_000, 1_000_000), 1_200);
        assert_eq!(gap(100_000, 64_000), 3_000);
        assert_eq!(gap(usize::MAX >> 20, 0), 3_000);
    }
}
