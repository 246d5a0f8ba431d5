use super::*;

fn tone(hz: f64, rate_hz: u32, samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|index| {
            let phase = index as f64 * hz / f64::from(rate_hz);
            (8_000.0 * (core::f64::consts::TAU * phase).sin()) as i16
        })
        .collect()
}

#[test]
fn the_pitch_is_found() {
    for rate_hz in [8_000, 16_000] {
        for hz in [70.0, 100.0, 131.0, 196.0] {
            let mut concealer = Concealer::new(rate_hz);
            for frame in tone(hz, rate_hz, 8_000).chunks_mut(160) {
                concealer.received(frame);
            }
            let period = f64::from(rate_hz) / hz;
            let found = concealer.pitch() as f64;
            let periods = (found / period).round();
            assert!((found - periods * period).abs() <= 1.0, "{hz}: {found}");
        }
    }
}

/// Any mixture of frames and gaps of any length, silence and full scale.
#[test]
fn nothing_overflows() {
    let mut concealer = Concealer::new(16_000);
    let mut bits = 1_u32;
    for round in 0..2_000 {
        bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let len = (bits >> 16) as usize % 1_921;
        let mut frame: Vec<i16> = (0..len)
            .map(|index| match (round % 3, index / 20 % 2) {
                (0, 0) => i16::MAX,
                (0, _) => i16::MIN,
                (1, _) => 0,
                _ => (bits >> (index % 16)) as i16,
            })
            .collect();
        if bits & 0x100 == 0 {
            concealer.received(&mut frame);
        } else {
            concealer.conceal(&mut frame);
        }
    }
}
