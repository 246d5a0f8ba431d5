//! What the far end opens is what was protected, for every suite; and nothing else is opened.

use core::sync::atomic::{AtomicU64, Ordering};

use plenum_abi::{MasterKeys, RX_STREAMS, SrtpSuite};
use plenum_srtp::{ProtectError, Receiver, Reject, Sender, TAIL_MAX, TX_STREAMS, finish_tags};
use proptest::prelude::*;

const SUITES: [SrtpSuite; 6] = [
    SrtpSuite::AesCm128HmacSha1_80,
    SrtpSuite::AesCm128HmacSha1_32,
    SrtpSuite::AesCm256HmacSha1_80,
    SrtpSuite::AesCm256HmacSha1_32,
    SrtpSuite::AeadAes128Gcm,
    SrtpSuite::AeadAes256Gcm,
];

fn keys(suite: SrtpSuite) -> MasterKeys {
    let bytes: Vec<u8> = (1..=46).collect();
    MasterKeys::new(suite, &bytes[..suite.key_len() + suite.salt_len()]).unwrap()
}

fn pair(suite: SrtpSuite) -> (Sender, Receiver) {
    let keys = keys(suite);
    (Sender::new(suite, &keys), Receiver::new(suite, &keys))
}

/// `first` is the first byte of the header: it tells CSRCs and extension.
fn rtp(first: u8, sequence: u16, ssrc: u32, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![first, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend([9, 8, 7, 6]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(rest);
    packet
}

fn rtcp(ssrc: u32, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend(rest);
    packet
}

fn with_tail(packet: &[u8]) -> Vec<u8> {
    [packet, &[0xee; TAIL_MAX]].concat()
}

fn protect(sender: &mut Sender, index: u64, packet: &[u8]) -> Vec<u8> {
    let next = AtomicU64::new(index);
    let mut buffer = with_tail(packet);
    let len = sender
        .protect_rtp(&next, &mut buffer, packet.len())
        .unwrap();
    assert_eq!(next.into_inner(), index + 1);
    assert_eq!(len, packet.len() + sender.rtp_overhead());
    assert!(
        buffer[len..].iter().all(|&byte| byte == 0xee),
        "wrote past the tag"
    );
    buffer.truncate(len);
    buffer
}

fn protect_rtcp(sender: &mut Sender, index: u64, packet: &[u8]) -> Vec<u8> {
    let next = AtomicU64::new(index);
    let mut buffer = with_tail(packet);
    let len = sender
        .protect_rtcp(&next, &mut buffer, packet.len())
        .unwrap();
    assert_eq!(next.into_inner(), index + 1);
    assert_eq!(len, packet.len() + sender.rtcp_overhead());
    buffer.truncate(len);
    buffer
}

fn open(receiver: &mut Receiver, protected: &[u8]) -> Result<Vec<u8>, Reject> {
    let mut packet = protected.to_vec();
    let len = receiver.unprotect_rtp(&mut packet)?;
    packet.truncate(len);
    Ok(packet)
}

fn open_rtcp(receiver: &mut Receiver, protected: &[u8]) -> Result<Vec<u8>, Reject> {
    let mut packet = protected.to_vec();
    let len = receiver.unprotect_rtcp(&mut packet)?;
    packet.truncate(len);
    Ok(packet)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_protected_is_opened_once(
        which in 0..SUITES.len(),
        start in 0..0x8000_u64,
        csrcs in 0..16_u8,
        extension in prop::option::of(0..6_u16),
        payload in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (mut sender, mut receiver) = pair(SUITES[which]);
        let mut rest = vec![0xc5; usize::from(csrcs) * 4];
        if let Some(words) = extension {
            rest.extend([0xbe, 0xde]);
            rest.extend(words.to_be_bytes());
            rest.extend(vec![0xe7; usize::from(words) * 4]);
        }
        let clear = 12 + rest.len();
        rest.extend(&payload);
        let first = 0x80 | csrcs | if extension.is_some() { 0x10 } else { 0 };
        for index in start..start + 3 {
            let packet = rtp(first, index as u16, 77, &rest);
            let protected = protect(&mut sender, index, &packet);
            prop_assert_eq!(&protected[..clear], &packet[..clear]);
            if payload.len() > 16 {
                prop_assert_ne!(&protected[clear..packet.len()], &packet[clear..]);
            }
            prop_assert_eq!(open(&mut receiver, &protected), Ok(packet));
            prop_assert_eq!(open(&mut receiver, &protected), Err(Reject::Replayed));
        }
        let packet = rtcp(77, &payload);
        let protected = protect_rtcp(&mut sender, start, &packet);
        prop_assert_eq!(open_rtcp(&mut receiver, &protected), Ok(packet));
        prop_assert_eq!(open_rtcp(&mut receiver, &protected), Err(Reject::Replayed));
    }

    /// A batch gives the bytes that one at a time gives.
    #[test]
    fn a_batch_is_its_packets(
        jobs in prop::collection::vec((0..SUITES.len(), 0..1_400_usize, any::<u8>()), 0..40),
    ) {
        let mut expected = Vec::new();
        let mut batch = Vec::new();
        for &(which, len, fill) in &jobs {
            let packet = rtp(0x80, 5, 1, &vec![fill; len]);
            expected.push(protect(&mut pair(SUITES[which]).0, 0x1_0005, &packet));
            let mut buffer = with_tail(&packet);
            let next = AtomicU64::new(0x1_0005);
            let pending = pair(SUITES[which])
                .0
                .begin_rtp(&next, &mut buffer, packet.len())
                .unwrap();
            batch.push((pending, buffer));
        }
        finish_tags(batch.iter_mut().map(|(pending, buffer)| (*pending, &mut buffer[..])));
        for ((pending, buffer), expected) in batch.iter().zip(&expected) {
            prop_assert_eq!(&buffer[..pending.packet_len()], &expected[..]);
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for suite in SUITES {
        let (mut sender, mut receiver) = pair(suite);
        let mut rest = vec![0xbe, 0xde, 0, 1, 1, 2, 3, 4];
        rest.extend([0x33; 40]);
        let packet = rtp(0x90, 3, 9, &rest);
        let good = protect(&mut sender, 3, &packet);
        let feedback = rtcp(9, &[0x44; 24]);
        let good_rtcp = protect_rtcp(&mut sender, 3, &feedback);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&mut receiver, &bad).is_err(), "{suite:?} bit {bit}");
        }
        for bit in 0..good_rtcp.len() * 8 {
            let mut bad = good_rtcp.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(
                open_rtcp(&mut receiver, &bad).is_err(),
                "{suite:?} bit {bit}"
            );
        }
        for len in 0..good.len() {
            assert!(
                open(&mut receiver, &good[..len]).is_err(),
                "{suite:?} {len} bytes"
            );
        }
        for len in 0..good_rtcp.len() {
            assert!(
                open_rtcp(&mut receiver, &good_rtcp[..len]).is_err(),
                "{suite:?} {len} bytes"
            );
        }
        assert_eq!(receiver.changed(), None, "noise has left a trace");
        assert_eq!(open(&mut receiver, &good), Ok(packet));
        assert_eq!(open_rtcp(&mut receiver, &good_rtcp), Ok(feedback));
    }
}

#[test]
fn roll_over_and_reorder_across_it() {
    for suite in SUITES {
        let (mut sender, mut receiver) = pair(suite);
        let packets: Vec<_> = (65_500..65_600_u64)
            .map(|index| protect(&mut sender, index, &rtp(0x80, index as u16, 1, &[7; 20])))
            .collect();
        // Pairs swapped, then what a burst held up.
        for i in [1, 0].into_iter().chain((2..100).map(|i| i ^ 1)) {
            if i != 30 {
                open(&mut receiver, &packets[i]).unwrap();
            }
        }
        open(&mut receiver, &packets[30]).unwrap();
        let (slot, state) = receiver.changed().unwrap();
        assert_eq!((slot, state.ssrc, state.rtp_next), (0, 1, 65_600));
        for packet in &packets {
            assert_eq!(open(&mut receiver, packet), Err(Reject::Replayed));
        }
    }
}

#[test]
fn an_index_is_never_used_twice() {
    for suite in SUITES {
        let (mut sender, _) = pair(suite);
        let next = AtomicU64::new(10);
        let mut buffer = with_tail(&rtp(0x80, 10, 1, &[0; 20]));
        sender.protect_rtp(&next, &mut buffer, 32).unwrap();
        // Somebody sets the word back.
        next.store(10, Ordering::Relaxed);
        let plain = with_tail(&rtp(0x80, 10, 1, &[0; 20]));
        let mut buffer = plain.clone();
        assert_eq!(
            sender.protect_rtp(&next, &mut buffer, 32),
            Err(ProtectError::IndexReused)
        );
        assert_eq!(next.load(Ordering::Relaxed), 10);
        assert_eq!(buffer, plain, "nothing was encrypted");
        // The packet that belongs to another index.
        next.store(12, Ordering::Relaxed);
        assert_eq!(
            sender.protect_rtp(&next, &mut buffer, 32),
            Err(ProtectError::SequenceMismatch)
        );
        assert_eq!(next.load(Ordering::Relaxed), 12);
        // Another SSRC has a nonce space of its own.
        next.store(10, Ordering::Relaxed);
        let mut buffer = with_tail(&rtp(0x80, 10, 2, &[0; 20]));
        sender.protect_rtp(&next, &mut buffer, 32).unwrap();

        let next = AtomicU64::new(4);
        let mut buffer = with_tail(&rtcp(1, &[0; 20]));
        sender.protect_rtcp(&next, &mut buffer, 28).unwrap();
        next.store(4, Ordering::Relaxed);
        assert_eq!(
            sender.protect_rtcp(&next, &mut buffer, 28),
            Err(ProtectError::IndexReused)
        );
    }
}

/// Killed after encrypting and before sending: the index is gone, not free.
#[test]
fn a_successor_goes_on_behind_what_may_have_left() {
    for suite in SUITES {
        let next = AtomicU64::new(0x1_ffff);
        let packet = rtp(0x80, 0xffff, 1, &[0; 20]);
        let mut buffer = with_tail(&packet);
        let _ = pair(suite).0.begin_rtp(&next, &mut buffer, 32).unwrap();
        assert_eq!(next.load(Ordering::Relaxed), 0x2_0000);
        let (mut successor, _) = pair(suite);
        let mut buffer = with_tail(&packet);
        assert_eq!(
            successor.protect_rtp(&next, &mut buffer, 32),
            Err(ProtectError::SequenceMismatch)
        );
        let mut buffer = with_tail(&rtp(0x80, 0, 1, &[0; 20]));
        successor.protect_rtp(&next, &mut buffer, 32).unwrap();
        assert_eq!(next.load(Ordering::Relaxed), 0x2_0001);
    }
}

/// RFC 3711 section 9.2.
#[test]
fn a_key_ends_at_its_last_index() {
    for suite in SUITES {
        let (mut sender, mut receiver) = pair(suite);
        let next = AtomicU64::new((1 << 48) - 1);
        let packet = rtp(0x80, 0xffff, 1, &[0; 20]);
        let mut buffer = with_tail(&packet);
        sender.protect_rtp(&next, &mut buffer, 32).unwrap();
        let mut buffer = with_tail(&rtp(0x80, 0, 1, &[0; 20]));
        assert_eq!(
            sender.protect_rtp(&next, &mut buffer, 32),
            Err(ProtectError::KeyExpired)
        );
        let packet = rtcp(1, &[0; 20]);
        let last = protect_rtcp(&mut sender, (1 << 31) - 1, &packet);
        assert_eq!(open_rtcp(&mut receiver, &last), Ok(packet));
        let next = AtomicU64::new(1 << 31);
        assert_eq!(
            sender.protect_rtcp(&next, &mut [0x80; 60], 28),
            Err(ProtectError::KeyExpired)
        );
    }
}

#[test]
fn bad_calls_are_refused_and_use_no_index() {
    for suite in SUITES {
        let (mut sender, _) = pair(suite);
        let next = AtomicU64::new(0);
        let mut call = |packet: &mut [u8], len| sender.protect_rtp(&next, packet, len);
        let mut buffer = rtp(0x80, 0, 1, &[0; 20]);
        assert_eq!(call(&mut buffer, 33), Err(ProtectError::Malformed));
        assert_eq!(call(&mut buffer, 11), Err(ProtectError::Malformed));
        assert_eq!(call(&mut buffer, 32), Err(ProtectError::NoRoom));
        buffer.extend([0; TAIL_MAX]);
        buffer[0] = 0x9f;
        assert_eq!(call(&mut buffer, 32), Err(ProtectError::Malformed));
        assert_eq!(next.load(Ordering::Relaxed), 0);
        buffer[0] = 0x80;
        let overhead = sender.rtp_overhead();
        let mut exact = buffer[..32 + overhead].to_vec();
        sender.protect_rtp(&next, &mut exact, 32).unwrap();

        let next = AtomicU64::new(0);
        let mut buffer = rtcp(1, &[0; 20]);
        assert_eq!(
            sender.protect_rtcp(&next, &mut buffer, 28),
            Err(ProtectError::NoRoom)
        );
        assert_eq!(
            sender.protect_rtcp(&next, &mut buffer, 7),
            Err(ProtectError::Malformed)
        );
        assert_eq!(next.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn streams_are_bounded_on_both_sides() {
    for suite in SUITES {
        let (mut sender, mut receiver) = pair(suite);
        for ssrc in 0..TX_STREAMS as u32 {
            let protected = protect(&mut sender, 0, &rtp(0x80, 0, ssrc, &[1; 20]));
            let mut forged = protected.clone();
            forged[14] ^= 1;
            let full = ssrc >= RX_STREAMS as u32;
            // Nobody without the key can make a leg look as if it needed new ones.
            assert_eq!(open(&mut receiver, &forged), Err(Reject::AuthTag));
            let result = open(&mut receiver, &protected);
            if full {
                assert_eq!(result, Err(Reject::TooManyStreams));
            } else {
                assert!(result.is_ok());
                assert_eq!(receiver.changed().unwrap().0, ssrc as usize);
            }
        }
        let next = AtomicU64::new(0);
        assert_eq!(
            sender.protect_rtp(&next, &mut with_tail(&rtp(0x80, 0, 99, &[1; 20])), 32),
            Err(ProtectError::TooManyStreams)
        );
        // Those that are known carry on.
        let more = protect(&mut sender, 1, &rtp(0x80, 1, 2, &[1; 20]));
        open(&mut receiver, &more).unwrap();
        assert_eq!(receiver.changed().unwrap().0, 2);
    }
}

#[test]
fn unencrypted_srtcp_is_refused() {
    for suite in SUITES {
        let (mut sender, mut receiver) = pair(suite);
        let mut protected = protect_rtcp(&mut sender, 0, &rtcp(1, &[0; 20]));
        let gcm = sender.rtcp_overhead() == 20;
        let e_bit = if gcm { protected.len() - 4 } else { 28 };
        protected[e_bit] &= 0x7f;
        assert_eq!(
            open_rtcp(&mut receiver, &protected),
            Err(Reject::NotEncrypted)
        );
    }
}

/// SRTP and SRTCP under one master key do not share a window or a key.
#[test]
fn rtp_and_rtcp_are_apart() {
    for suite in SUITES {
        let (mut sender, mut receiver) = pair(suite);
        let media = protect(&mut sender, 300, &rtp(0x80, 300, 1, &[1; 20]));
        let report = protect_rtcp(&mut sender, 0, &rtcp(1, &[0; 20]));
        open(&mut receiver, &media).unwrap();
        open_rtcp(&mut receiver, &report).unwrap();
        let state = receiver.stream(0).unwrap();
        assert_eq!((state.rtp_next, state.rtcp_next), (301, 1));
        assert_eq!(state.rtp_window, [1 << 44, 0]);
        assert_eq!(state.rtcp_window, [1, 0]);
    }
}
