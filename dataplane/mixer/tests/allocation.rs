//! A tick allocates nothing, whatever happens in it. Without the test harness,
//! for the counter is the process's and the harness has threads. (libopus'
//! memory is not counted here: it is C's, and it is taken in `AudioEncoder::new`.)

use std::alloc::System;

use plenum_abi::AudioCodec;
use plenum_mixer::{Conference, LegKey, MixLeg, MixPolicy, Need, Packet, Pulled, Rate, TickIo};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Legs that take turns at speaking, several at once, at all rates.
struct Talk {
    tick: u32,
    packets: u64,
}

impl TickIo for Talk {
    fn pull(&mut self, leg: LegKey, _need: Need, pcm: &mut [i16; 960]) -> Pulled {
        let turn = self.tick / 12;
        if (turn.wrapping_mul(7) + leg.0).is_multiple_of(3) {
            return Pulled::Silence;
        }
        let rate = Rate::ALL[((turn / 5 + leg.0) % 3) as usize];
        let loud = 500 << ((turn * 5 + leg.0 * 3) % 6);
        for (index, sample) in pcm[..rate.samples()].iter_mut().enumerate() {
            *sample = if (index / 8) % 2 == 0 { loud } else { -loud };
        }
        Pulled::Sound(rate)
    }

    fn push(&mut self, legs: &[LegKey], _packet: &Packet<'_>) {
        self.packets += legs.len() as u64;
    }
}

fn main() {
    a_small_conference_is_small();
    a_tick_allocates_nothing();
}

/// Three telephones, and three with Opus (whose libopus state is not counted).
fn a_small_conference_is_small() {
    for (codec, bytes_max) in [(AudioCodec::Pcmu, 56_000), (AudioCodec::Opus, 90_000)] {
        // What belongs to the process is made by the first conference.
        for _ in 0..2 {
            let region = Region::new(ALLOCATOR);
            let mut conference = Conference::new(MixPolicy::default(), 16_384);
            for key in 0..3 {
                conference
                    .set_leg(LegKey(key), MixLeg::new(codec))
                    .expect("room");
            }
            let change = region.change();
            let bytes = change.bytes_allocated as isize - change.bytes_deallocated as isize;
            eprintln!("three legs of {codec:?}: {bytes} bytes");
            assert!(bytes < bytes_max);
        }
    }
}

fn a_tick_allocates_nothing() {
    let policy = MixPolicy {
        speakers_max: 3,
        join_tone_participants_max: 100,
        leave_tone_participants_max: 100,
        opus_complexity: 0,
    };
    let mut conference = Conference::new(policy, 64);
    let mut io = Talk {
        tick: 0,
        packets: 0,
    };
    let mut ticks = |conference: &mut Conference, count| {
        for _ in 0..count {
            let region = Region::new(ALLOCATOR);
            conference.tick(&mut io);
            let change = region.change();
            assert_eq!(change.allocations, 0, "tick {}", io.tick);
            assert_eq!(change.reallocations, 0, "tick {}", io.tick);
            assert_eq!(change.deallocations, 0, "tick {}", io.tick);
            io.tick += 1;
        }
    };
    // From the very first tick on, with every leg that comes, changes or goes.
    for key in 0..40 {
        let mut leg = MixLeg::new(AudioCodec::ALL[key as usize % 4]);
        leg.packet_ms = [10, 20, 40][key as usize % 3];
        leg.discontinuous = key % 5 == 0;
        leg.automatic_gain = key % 2 == 0;
        leg.tx_gain_centibels = if key % 7 == 0 { 200 } else { 0 };
        conference.set_leg(LegKey(key), leg).expect("room");
        ticks(&mut conference, 3);
    }
    ticks(&mut conference, 200);
    conference.set_policy(MixPolicy {
        speakers_max: 8,
        ..policy
    });
    ticks(&mut conference, 200);
    for key in 0..40 {
        if key % 2 == 0 {
            conference.remove_leg(LegKey(key));
        } else {
            let mut leg = MixLeg::new(AudioCodec::ALL[(key / 2) as usize % 4]);
            leg.tx_muted = key % 3 == 0;
            conference.set_leg(LegKey(key), leg).expect("a change");
        }
        ticks(&mut conference, 3);
    }
    let counters = conference.counters();
    assert!(counters.shared_sends > 1_000 && counters.encodes > 1_000);
    assert!(io.packets > 5_000);
}
