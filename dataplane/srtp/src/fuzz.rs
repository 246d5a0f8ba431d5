//! Bodies of the fuzz targets: each asserts more than "it did not panic".

use plenum_abi::{MasterKeys, SrtpSuite};

use crate::Receiver;

/// Every suite, in the order of its number.
pub const SUITES: [SrtpSuite; 6] = [
    SrtpSuite::AesCm128HmacSha1_80,
    SrtpSuite::AesCm128HmacSha1_32,
    SrtpSuite::AesCm256HmacSha1_80,
    SrtpSuite::AesCm256HmacSha1_32,
    SrtpSuite::AeadAes128Gcm,
    SrtpSuite::AeadAes256Gcm,
];

/// Any bytes as an SRTP and an SRTCP packet, the first byte choosing the suite:
/// refused, and nothing has changed.
///
/// # Panics
/// When the receiver accepts the packet or changes its state.
pub fn fuzz_unprotect(data: &[u8]) {
    let Some((&choice, packet)) = data.split_first() else {
        return;
    };
    let suite = SUITES[usize::from(choice) % SUITES.len()];
    let mut receiver = Receiver::new(suite, &MasterKeys([[0x5a; 16]; 3]));
    let rtp = receiver.unprotect_rtp(&mut packet.to_vec());
    let rtcp = receiver.unprotect_rtcp(&mut packet.to_vec());
    assert!(rtp.is_err() && rtcp.is_err(), "{rtp:?} {rtcp:?}");
    assert_eq!(receiver.changed(), None);
    assert_eq!(receiver.stream(0), None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_are_refused() {
        let mut seed = 42_u64;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        for _ in 0..4_000 {
            let mut data = vec![0; (next() % 120) as usize];
            data.fill_with(|| next() as u8);
            // Half of them at least begin like a packet.
            if let [_, first, ..] = &mut data[..]
                && next() % 2 == 0
            {
                *first = *first & 0x1f | 0x80;
            }
            fuzz_unprotect(&data);
        }
    }
}
