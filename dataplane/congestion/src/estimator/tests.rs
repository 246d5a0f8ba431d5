use plenum_rtp::rtcp::Arrivals;

use super::*;

const LIMITS: Limits = Limits {
    start_bps: 1_000_000,
    min_bps: 100_000,
    max_bps: 4_000_000,
};

/// Ten packets of 1,000 bytes, 8 ms apart (1 Mbit/s), which come by a clock that is
/// `ahead_us` ahead, and the feedback about them.
fn round(estimator: &mut Estimator, arrivals: &mut Arrivals, at_ms: u64, ahead_us: u64) {
    for packet in 0..10 {
        let at = Nanos::from_millis(at_ms + packet * 8);
        let number = estimator.sent(at, 1_000);
        arrivals.note(Nanos(at.0 + ahead_us * 1_000), number);
    }
    let mut fci = [0; 100];
    let len = arrivals.write(&mut fci).unwrap();
    let feedback = TransportFeedback::parse(&fci[..len]).unwrap();
    estimator.feedback(Nanos::from_millis(at_ms + 80), &feedback);
}

#[test]
fn the_target_keeps_to_cap_and_limits() {
    let mut estimator = Estimator::new(Nanos::ZERO, LIMITS);
    assert_eq!(estimator.target_bps(), 1_000_000);
    estimator.set_cap(Some(300_000));
    assert_eq!(estimator.target_bps(), 300_000);
    estimator.set_cap(Some(1));
    assert_eq!(estimator.target_bps(), 100_000);
    estimator.set_cap(None);
    assert_eq!(estimator.target_bps(), 1_000_000);
    estimator.set_limits(Limits {
        max_bps: 500_000,
        ..LIMITS
    });
    assert_eq!(estimator.target_bps(), 500_000);
    estimator.set_limits(Limits {
        max_bps: 1,
        ..LIMITS
    });
    assert_eq!(estimator.target_bps(), 100_000);
}

#[test]
fn a_far_end_that_never_speaks_is_no_cut_one_that_falls_silent_is() {
    let mut estimator = Estimator::new(Nanos::ZERO, LIMITS);
    let mut arrivals = Arrivals::default();
    for at_ms in (0..10_000).step_by(100) {
        estimator.sent(Nanos::from_millis(at_ms), 1_000);
        assert!(!estimator.tick(Nanos::from_millis(at_ms)));
        assert_eq!(estimator.probe(Nanos::from_millis(at_ms)), None);
    }
    round(&mut estimator, &mut arrivals, 10_000, 0);
    for at_ms in (10_100..20_000).step_by(100) {
        // Nothing is sent: nothing is missed.
        assert!(!estimator.tick(Nanos::from_millis(at_ms)));
    }
    let mut lowered = 0;
    for at_ms in (20_000..40_000).step_by(100) {
        estimator.sent(Nanos::from_millis(at_ms), 1_000);
        lowered += u32::from(estimator.tick(Nanos::from_millis(at_ms)));
    }
    assert_eq!((lowered, estimator.target_bps()), (4, 100_000));
    round(&mut estimator, &mut arrivals, 40_000, 0);
    assert!(estimator.target_bps() >= 850_000);
}

#[test]
fn a_probe_asks_for_twice_the_rate_for_a_moment() {
    let mut estimator = Estimator::new(Nanos::ZERO, LIMITS);
    round(&mut estimator, &mut Arrivals::default(), 1_000, 0);
    let (mut bytes, mut last) = (0, 0);
    for at_ms in 1_100..1_200 {
        let now = Nanos::from_millis(at_ms);
        while let Some(probe) = estimator.probe(now) {
            assert_eq!(probe.rate_bps, 2 * estimator.target_bps());
            assert!(probe.bytes <= 500, "a millisecond or two of it");
            estimator.sent(now, 500);
            (bytes, last) = (bytes + 500, at_ms);
        }
    }
    assert!((6_000..8_000).contains(&bytes), "{bytes}");
    assert!((1_120..1_130).contains(&last), "{last}");
}

#[test]
fn a_clock_that_wraps_around_or_is_set_is_lived_with() {
    let wrap_us = TransportFeedback::WRAP_US as u64;
    let mut estimator = Estimator::new(Nanos::ZERO, LIMITS);
    let mut arrivals = Arrivals::default();
    let mut before = 0;
    for turn in 0..900 {
        let ahead_us = match turn {
            0..300 => wrap_us - 10_000_000,
            300..600 => 2 * wrap_us,
            _ => 86_400_000_000,
        };
        if turn % 300 == 0 && turn > 0 {
            // A clock that was set is a new far end's.
            arrivals = Arrivals::default();
            estimator.rate.set(1e6);
        }
        round(&mut estimator, &mut arrivals, turn * 80, ahead_us);
        if turn % 300 == 299 {
            assert!(estimator.target_bps() > 1_300_000, "{turn}");
            before = estimator.target_bps();
        }
    }
    assert!(before <= LIMITS.max_bps);
}

#[test]
fn whatever_a_far_end_says_the_target_stays_within_limits() {
    let mut state = 20_261_126_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32
    };
    let mut estimator = Estimator::new(Nanos::ZERO, LIMITS);
    let mut now = Nanos::ZERO;
    let (mut heard, mut next) = (0, 0_u16);
    for _ in 0..50_000 {
        now = now + Duration::from_micros(u64::from(random() % 40_000));
        for _ in 0..random() % 6 {
            next = estimator.sent(now, random() % 3_000);
        }
        let mut fci = [0_u8; 60];
        fci.fill_with(|| random() as u8);
        // Near what was sent, of a length that may fit.
        fci[..2].copy_from_slice(&(next.wrapping_sub(random() as u16 % 64)).to_be_bytes());
        fci[2..4].copy_from_slice(&(1 + random() as u16 % 40).to_be_bytes());
        if let Ok(feedback) = TransportFeedback::parse(&fci) {
            heard += 1;
            estimator.feedback(now, &feedback);
        }
        estimator.tick(now);
        if let Some(probe) = estimator.probe(now) {
            estimator.sent(now, probe.bytes);
        }
        let target = estimator.target_bps();
        assert!(
            (LIMITS.min_bps..=LIMITS.max_bps).contains(&target),
            "{target}"
        );
    }
    assert!(heard > 5_000, "{heard}");
}
