use super::*;
use plenum_abi::AudioCodec;

/// Plays a tone from each leg and keeps the packets.
struct Tones {
    tick: usize,
    packets: Vec<(u32, Vec<u8>, bool)>,
}

impl TickIo for Tones {
    fn pull(&mut self, leg: LegKey, pcm: &mut [i16; FRAME_SAMPLES_MAX]) -> Pulled {
        let hz = 300 + 110 * leg.0 as usize;
        for (index, sample) in pcm[..160].iter_mut().enumerate() {
            let phase = ((self.tick * 160 + index) * hz) as f64 / 8_000.0;
            *sample = (8_000.0 * (core::f64::consts::TAU * phase).sin()) as i16;
        }
        Pulled::Sound(Rate::Hz8000)
    }

    fn push(&mut self, legs: &[LegKey], packet: &crate::Packet<'_>) {
        for leg in legs {
            self.packets
                .push((leg.0, packet.payload.to_vec(), packet.shared));
        }
    }
}

#[test]
fn three_telephones_hear_each_other() {
    let mut conference = Conference::new(MixPolicy::default(), 3);
    for leg in 0..3 {
        conference
            .set_leg(LegKey(leg), MixLeg::new(AudioCodec::Pcmu))
            .unwrap();
    }
    let leg = MixLeg::new(AudioCodec::Pcmu);
    assert_eq!(conference.set_leg(LegKey(3), leg), Err(SetLegError::Full));
    let mut io = Tones {
        tick: 0,
        packets: Vec::new(),
    };
    for tick in 0..50 {
        io.tick = tick;
        io.packets.clear();
        conference.tick(&mut io);
        conference.seats.check();
        conference.speakers.check(6, 3);
        assert_eq!(io.packets.len(), 3);
        assert!(io.packets.iter().all(|packet| packet.1.len() == 160));
    }
    assert_eq!(conference.counters().encodes, 150);
    assert!(conference.active_speaker().is_some());
}
