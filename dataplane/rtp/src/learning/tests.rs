//! The rule by scenario, then against attackers of every kind we could think of.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;

fn address(text: &str) -> SocketAddress {
    text.parse::<SocketAddr>().unwrap().into()
}

/// Where the phone says it is, where its NAT puts it, and somebody else.
fn signalled() -> SocketAddress {
    address("192.168.1.5:4000")
}
fn signalled_rtcp() -> SocketAddress {
    address("192.168.1.5:4001")
}
fn mapped() -> SocketAddress {
    address("203.0.113.9:61000")
}
fn attacker(n: u16) -> SocketAddress {
    address(&format!("198.51.100.66:{}", 10_000 + n))
}

const PHONE: u32 = 0x1234_5678;
const PLAIN: bool = false;
const AUTHENTIC: bool = true;

fn at(ms: u64) -> Nanos {
    Nanos::from_millis(1_000_000 + ms)
}

fn config(secure: bool) -> LearnConfig {
    LearnConfig {
        signalled_rtp: signalled(),
        signalled_rtcp: signalled_rtcp(),
        secure,
        rtcp_mux: false,
        learn: true,
    }
}

fn plain() -> AddressLearner {
    AddressLearner::new(at(0), config(false))
}

fn rtp(source: SocketAddress, ssrc: u32, sequence: u16) -> RtpEvidence {
    RtpEvidence {
        source,
        ssrc,
        sequence,
    }
}

/// A talking source: packets `from..to` of 20 ms, the decision on the last.
fn talk(
    learner: &mut AddressLearner,
    source: SocketAddress,
    ssrc: u32,
    start_ms: u64,
    packets: core::ops::Range<u16>,
) -> Decision {
    let mut last = Decision::Refuse(Refusal::Stranger);
    for (step, sequence) in (0_u64..).zip(packets) {
        let packet = rtp(source, ssrc, sequence);
        last = learner.on_rtp(at(start_ms + 20 * step), &packet, PLAIN);
    }
    last
}

const STRANGER: Decision = Decision::Refuse(Refusal::Stranger);
const ON_TRIAL: Decision = Decision::Refuse(Refusal::OnTrial);

#[test]
fn the_signalled_address_is_accepted_at_once_and_then_alone() {
    let mut learner = plain();
    assert_eq!(learner.rtp_address(), Some(signalled()));
    assert_eq!(
        talk(&mut learner, signalled(), PHONE, 0, 0..1),
        Decision::Accept
    );
    for n in 0..100 {
        let packet = rtp(attacker(0), PHONE, n);
        assert_eq!(learner.on_rtp(at(20), &packet, PLAIN), STRANGER);
    }
}

#[test]
fn a_phone_behind_a_nat_is_learned_from_three_packets() {
    let mut learner = plain();
    assert_eq!(
        learner.on_rtp(at(0), &rtp(mapped(), PHONE, 7), PLAIN),
        ON_TRIAL
    );
    assert_eq!(
        learner.on_rtp(at(20), &rtp(mapped(), PHONE, 8), PLAIN),
        ON_TRIAL
    );
    assert_eq!(learner.rtp_address(), Some(signalled()));
    // One was lost; that is still in sequence.
    let third = learner.on_rtp(at(60), &rtp(mapped(), PHONE, 10), PLAIN);
    assert_eq!(third, Decision::Learned(mapped()));
    assert_eq!(learner.rtp_address(), Some(mapped()));
}

#[test]
fn proof_wants_sequence_one_ssrc_and_no_pause() {
    let cases: [[(u32, u16, u64); 3]; 5] = [
        [(PHONE, 7, 0), (PHONE, 8, 20), (PHONE, 20, 40)],
        [(PHONE, 7, 0), (PHONE, 8, 20), (PHONE, 8, 40)],
        [(PHONE, 7, 0), (PHONE, 8, 20), (PHONE, 7, 40)],
        [(PHONE, 7, 0), (PHONE + 1, 8, 20), (PHONE, 9, 40)],
        [(PHONE, 7, 0), (PHONE, 8, 20), (PHONE, 9, 1_100)],
    ];
    for case in cases {
        let mut learner = plain();
        for (ssrc, sequence, ms) in case {
            let packet = rtp(mapped(), ssrc, sequence);
            assert_eq!(learner.on_rtp(at(ms), &packet, PLAIN), ON_TRIAL, "{case:?}");
        }
    }
}

#[test]
fn the_signalled_address_takes_over_in_the_window_only() {
    let mut learner = plain();
    talk(&mut learner, mapped(), PHONE, 0, 0..10);
    // Both talk; the control plane's word wins, after the same proof.
    let mut decisions = Vec::new();
    for n in 0..4 {
        learner.on_rtp(
            at(1_000 + 20 * u64::from(n)),
            &rtp(mapped(), PHONE, 10 + n),
            PLAIN,
        );
        let packet = rtp(signalled(), 9, n);
        decisions.push(learner.on_rtp(at(1_010 + 20 * u64::from(n)), &packet, PLAIN));
    }
    assert_eq!(
        decisions,
        [
            ON_TRIAL,
            ON_TRIAL,
            Decision::Learned(signalled()),
            Decision::Accept
        ]
    );
    let mut learner = plain();
    talk(&mut learner, mapped(), PHONE, 0, 0..10);
    assert_eq!(talk(&mut learner, signalled(), 9, 5_000, 0..50), STRANGER);
}

#[test]
fn after_the_window_a_leg_without_media_waits_for_the_signalled_address_alone() {
    let mut learner = plain();
    assert_eq!(talk(&mut learner, mapped(), PHONE, 5_000, 0..50), STRANGER);
    assert_eq!(
        talk(&mut learner, signalled(), PHONE, 9_000, 0..1),
        Decision::Accept
    );
}

#[test]
fn once_locked_nobody_else_proves_anything_in_the_window() {
    let mut learner = plain();
    talk(&mut learner, mapped(), PHONE, 0, 0..3);
    // The phone pauses for two seconds: the window is still open, but not for them.
    assert_eq!(talk(&mut learner, attacker(0), 77, 1_200, 0..50), STRANGER);
    assert_eq!(learner.rtp_address(), Some(mapped()));
}

#[test]
fn a_new_mapping_after_silence_goes_on_with_the_same_stream() {
    let after = 10_000 + 3_001;
    let locked = || {
        let mut learner = plain();
        talk(&mut learner, mapped(), PHONE, 0, 0..3);
        // Last heard at 10 s with sequence number 500.
        learner.on_rtp(at(10_000), &rtp(mapped(), PHONE, 500), PLAIN);
        learner
    };
    let moved = address("203.0.113.9:62222");
    let mut learner = locked();
    assert_eq!(
        talk(&mut learner, moved, PHONE, 12_000, 600..640),
        STRANGER,
        "too soon"
    );
    assert_eq!(
        talk(&mut learner, moved, PHONE, after, 650..653),
        Decision::Learned(moved)
    );
    // Another SSRC, an older sequence number, one that no phone reaches in that time.
    for (ssrc, packets) in [(9, 650..700), (PHONE, 400..450), (PHONE, 3_000..3_050)] {
        let mut learner = locked();
        assert_eq!(
            talk(&mut learner, attacker(0), ssrc, after, packets),
            STRANGER
        );
    }
    // The phone speaks again before the proof is complete.
    let mut learner = locked();
    assert_eq!(talk(&mut learner, moved, PHONE, after, 650..652), ON_TRIAL);
    learner.on_rtp(at(after + 50), &rtp(mapped(), PHONE, 652), PLAIN);
    assert_eq!(
        talk(&mut learner, moved, PHONE, after + 60, 653..700),
        STRANGER
    );
}

#[test]
fn a_reinvite_opens_the_window_but_not_against_who_talks() {
    let mut learner = plain();
    talk(&mut learner, mapped(), PHONE, 0, 0..3);
    learner.relearn(at(20_000), config(false));
    learner.on_rtp(at(20_000), &rtp(mapped(), PHONE, 900), PLAIN);
    // A burst between two packets of the phone's.
    for n in 0..100 {
        let packet = rtp(attacker(0), 5, n);
        assert_eq!(learner.on_rtp(at(20_010), &packet, PLAIN), STRANGER);
    }
    assert_eq!(
        talk(&mut learner, mapped(), PHONE, 20_020, 901..904),
        Decision::Accept
    );
    // The phone is gone, somebody new speaks: as after set-up.
    let moved = address("203.0.113.77:5000");
    assert_eq!(
        talk(&mut learner, moved, 42, 21_100, 0..3),
        Decision::Learned(moved)
    );
    // The signalled address needs no silence.
    let new_place = LearnConfig {
        signalled_rtp: address("203.0.113.200:4000"),
        ..config(false)
    };
    learner.relearn(at(30_000), new_place);
    talk(&mut learner, moved, 42, 30_000, 500..501);
    let decision = talk(&mut learner, new_place.signalled_rtp, 43, 30_001, 0..3);
    assert_eq!(decision, Decision::Learned(new_place.signalled_rtp));
}

#[test]
fn without_leave_to_learn_only_the_signalled_address_counts() {
    for secure in [false, true] {
        let config = LearnConfig {
            learn: false,
            ..config(secure)
        };
        let mut learner = AddressLearner::new(at(0), config);
        for n in 0..10 {
            let packet = rtp(mapped(), PHONE, n);
            assert_eq!(learner.on_rtp(at(u64::from(n)), &packet, secure), STRANGER);
        }
        let packet = rtp(signalled(), PHONE, 11);
        assert_eq!(learner.on_rtp(at(20), &packet, secure), Decision::Accept);
    }
}

#[test]
fn a_crash_forgets_no_address_and_opens_no_window() {
    let rtcp_mapped = address("203.0.113.9:61001");
    let mut learner = AddressLearner::resume(at(0), config(false), mapped(), rtcp_mapped);
    assert_eq!(learner.rtp_address(), Some(mapped()));
    assert_eq!(learner.rtcp_address(), Some(rtcp_mapped));
    assert_eq!(talk(&mut learner, attacker(0), 5, 0, 0..10), STRANGER);
    assert_eq!(talk(&mut learner, attacker(0), 5, 60_000, 0..10), STRANGER);
    assert_eq!(
        talk(&mut learner, mapped(), PHONE, 60_200, 0..1),
        Decision::Accept
    );
    let unknown = SocketAddress::UNKNOWN;
    let mut learner = AddressLearner::resume(at(0), config(false), unknown, unknown);
    assert_eq!(
        talk(&mut learner, mapped(), PHONE, 0, 0..3),
        Decision::Learned(mapped())
    );
}

#[test]
fn candidates_are_bounded_and_the_quietest_makes_room() {
    let mut learner = plain();
    for n in 0..1_000 {
        learner.on_rtp(at(u64::from(n)), &rtp(attacker(n), 5, n), PLAIN);
    }
    assert_eq!(learner.candidates.iter().flatten().count(), CANDIDATES_MAX);
    assert_eq!(
        talk(&mut learner, mapped(), PHONE, 1_001, 0..3),
        Decision::Learned(mapped())
    );
}

#[test]
fn one_forged_packet_does_not_choose_the_stream() {
    let mut learner = plain();
    talk(&mut learner, signalled(), PHONE, 0, 0..10);
    // With the phone's own address as forged source.
    assert_eq!(
        talk(&mut learner, signalled(), 666, 200, 0..1),
        Decision::Accept
    );
    assert_eq!(talk(&mut learner, attacker(0), 666, 3_300, 1..50), STRANGER);
    // The phone itself may change its SSRC, and is followed.
    talk(&mut learner, signalled(), 7, 6_000, 0..10);
    assert_eq!(
        talk(&mut learner, mapped(), 7, 9_300, 20..23),
        Decision::Learned(mapped())
    );
}

#[test]
fn an_authentic_packet_moves_an_srtp_leg_but_not_too_often() {
    let mut learner = AddressLearner::new(at(0), config(true));
    let send = |learner: &mut AddressLearner, ms, source, n| {
        learner.on_rtp(at(ms), &rtp(source, PHONE, n), AUTHENTIC)
    };
    assert_eq!(
        send(&mut learner, 0, mapped(), 0),
        Decision::Learned(mapped())
    );
    assert_eq!(send(&mut learner, 20, mapped(), 1), Decision::Accept);
    let moved = address("203.0.113.9:62222");
    // Heard at once, followed when half a second is over.
    assert_eq!(send(&mut learner, 40, moved, 2), Decision::Accept);
    assert_eq!(send(&mut learner, 499, moved, 25), Decision::Accept);
    assert_eq!(learner.rtp_address(), Some(mapped()));
    assert_eq!(send(&mut learner, 500, moved, 26), Decision::Learned(moved));
    // An overtaken packet from the old place, much later.
    assert_eq!(send(&mut learner, 1_200, mapped(), 24), Decision::Accept);
    assert_eq!(learner.rtp_address(), Some(moved));
    let forged = rtp(attacker(0), PHONE, 30);
    assert_eq!(learner.on_rtp(at(2_000), &forged, PLAIN), STRANGER);
}

#[test]
fn plain_rtcp_follows_the_host_and_ssrc_of_rtp() {
    let report = |source, ssrc| RtcpEvidence { source, ssrc };
    let rtcp_mapped = address("203.0.113.9:61001");
    let mut learner = plain();
    assert_eq!(learner.rtcp_address(), Some(signalled_rtcp()));
    assert_eq!(
        learner.on_rtcp(at(0), &report(rtcp_mapped, PHONE), PLAIN),
        STRANGER
    );
    talk(&mut learner, mapped(), PHONE, 0, 0..3);
    assert_eq!(
        learner.on_rtcp(at(100), &report(rtcp_mapped, 9), PLAIN),
        STRANGER
    );
    assert_eq!(
        learner.on_rtcp(at(100), &report(attacker(0), PHONE), PLAIN),
        STRANGER
    );
    assert_eq!(
        learner.on_rtcp(at(100), &report(rtcp_mapped, PHONE), PLAIN),
        Decision::Learned(rtcp_mapped)
    );
    assert_eq!(learner.rtcp_address(), Some(rtcp_mapped));
    let other_port = address("203.0.113.9:7");
    assert_eq!(
        learner.on_rtcp(at(200), &report(other_port, PHONE), PLAIN),
        STRANGER
    );
    // The signalled RTCP address needs no RTP.
    let mut learner = plain();
    assert_eq!(
        learner.on_rtcp(at(0), &report(signalled_rtcp(), 9), PLAIN),
        Decision::Accept
    );
}

#[test]
fn multiplexed_rtcp_comes_from_where_rtp_does() {
    let mux = |secure| LearnConfig {
        rtcp_mux: true,
        ..config(secure)
    };
    let report = |source| RtcpEvidence {
        source,
        ssrc: PHONE,
    };
    let mut learner = AddressLearner::new(at(0), mux(false));
    assert_eq!(learner.on_rtcp(at(0), &report(mapped()), PLAIN), STRANGER);
    talk(&mut learner, mapped(), PHONE, 0, 0..3);
    assert_eq!(
        learner.on_rtcp(at(60), &report(mapped()), PLAIN),
        Decision::Accept
    );
    assert_eq!(
        learner.on_rtcp(at(60), &report(attacker(0)), PLAIN),
        STRANGER
    );
    assert_eq!(learner.rtcp_address(), Some(mapped()));
    // An SRTP leg that only listens is found by its authenticated reports.
    let mut learner = AddressLearner::new(at(0), mux(true));
    assert_eq!(
        learner.on_rtcp(at(0), &report(mapped()), AUTHENTIC),
        Decision::Learned(mapped())
    );
    assert_eq!(
        learner.on_rtcp(at(900), &report(attacker(0)), PLAIN),
        STRANGER
    );
    // Where RTP flows, it is RTP that shows the path.
    learner.on_rtp(at(1_000), &rtp(mapped(), PHONE, 0), AUTHENTIC);
    let moved = address("203.0.113.9:62222");
    assert_eq!(
        learner.on_rtcp(at(1_900), &report(moved), AUTHENTIC),
        Decision::Accept
    );
    assert_eq!(
        learner.on_rtcp(at(2_100), &report(moved), AUTHENTIC),
        Decision::Learned(moved)
    );
}

/// A forged packet: when, from which of the attacker's ports, under which SSRC
/// and with which sequence number, relative to the phone's.
#[derive(Clone, Copy, Debug)]
struct Forged {
    ms: u64,
    port: u16,
    phones_ssrc: bool,
    ahead: i16,
    rtcp: bool,
}

fn forgeries() -> impl Strategy<Value = Vec<Forged>> {
    let forged = (
        0_u64..30_000,
        0_u16..8,
        any::<bool>(),
        -5_i16..40,
        any::<bool>(),
    )
        .prop_map(|(ms, port, phones_ssrc, ahead, rtcp)| Forged {
            ms,
            port,
            phones_ssrc,
            ahead,
            rtcp,
        });
    proptest::collection::vec(forged, 0..400).prop_map(|mut all| {
        all.sort_by_key(|forged| forged.ms);
        all
    })
}

/// Runs 30 s of a phone that sends a packet every 20 ms but for pauses of up
/// to `pause_ms`, with forgeries in between that know everything but the key.
fn attacked(secure: bool, pause_ms: u64, reinvite: bool, forgeries: &[Forged]) -> AddressLearner {
    let mut learner = AddressLearner::new(at(0), config(secure));
    let mut forgeries = forgeries.iter().peekable();
    let phone = |learner: &mut AddressLearner, ms, n| {
        learner.on_rtp(at(ms), &rtp(mapped(), PHONE, n), secure)
    };
    for n in 0..3 {
        phone(&mut learner, u64::from(n), n);
    }
    assert_eq!(learner.rtp_address(), Some(mapped()));
    let (mut ms, mut sequence) = (20, 3_u16);
    while ms < 30_000 {
        while let Some(forged) = forgeries.next_if(|forged| forged.ms < ms) {
            let ssrc = if forged.phones_ssrc { PHONE } else { 5 };
            let source = attacker(forged.port);
            let decision = if forged.rtcp {
                learner.on_rtcp(at(forged.ms), &RtcpEvidence { source, ssrc }, PLAIN)
            } else {
                let packet = rtp(source, ssrc, sequence.wrapping_add_signed(forged.ahead));
                learner.on_rtp(at(forged.ms), &packet, PLAIN)
            };
            assert!(matches!(decision, Decision::Refuse(_)), "{forged:?}");
        }
        if reinvite && (10_000..10_020).contains(&ms) {
            learner.relearn(at(ms), config(secure));
        }
        assert_eq!(phone(&mut learner, ms, sequence), Decision::Accept);
        let pauses = sequence.is_multiple_of(100);
        ms += if pauses { pause_ms.max(20) } else { 20 };
        sequence += if pauses {
            1 + (pause_ms / 20) as u16
        } else {
            1
        };
    }
    learner
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nobody_without_the_key_moves_or_is_heard_on_an_srtp_leg(
        forgeries in forgeries(),
        pause_ms in 0_u64..20_000,
        reinvite: bool,
    ) {
        let learner = attacked(true, pause_ms, reinvite, &forgeries);
        prop_assert_eq!(learner.rtp_address(), Some(mapped()));
        prop_assert_eq!(learner.rtcp_address(), Some(signalled_rtcp()));
    }

    #[test]
    fn nobody_moves_or_is_heard_on_a_plain_leg_while_its_phone_talks(
        forgeries in forgeries(),
        pause_ms in 0_u64..3_000,
    ) {
        let learner = attacked(false, pause_ms, false, &forgeries);
        prop_assert_eq!(learner.rtp_address(), Some(mapped()));
        prop_assert_eq!(learner.rtcp_address(), Some(signalled_rtcp()));
    }

    #[test]
    fn nor_through_a_reinvite(forgeries in forgeries(), pause_ms in 0_u64..1_000) {
        let learner = attacked(false, pause_ms, true, &forgeries);
        prop_assert_eq!(learner.rtp_address(), Some(mapped()));
    }
}
