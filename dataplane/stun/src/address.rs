//! Transport addresses as attributes spell them, plain and XORed (RFC 8489
//! sections 14.1 and 14.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{MAGIC_COOKIE, TransactionId};

/// Longest encoding, an IPv6 one.
pub const ADDRESS_MAX: usize = 20;

const FAMILY_IPV4: u8 = 1;
const FAMILY_IPV6: u8 = 2;

/// The pad that addresses are XORed with: the cookie, then the transaction id.
fn pad(transaction: &TransactionId) -> [u8; 16] {
    let mut pad = [0; 16];
    pad[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    pad[4..].copy_from_slice(&transaction.0);
    pad
}

/// Reads MAPPED-ADDRESS and its kin; `None` when it is malformed.
#[must_use]
pub fn read(value: &[u8]) -> Option<SocketAddr> {
    read_with(value, [0; 16])
}

/// Reads XOR-MAPPED-ADDRESS and its kin; `None` when it is malformed.
#[must_use]
pub fn read_xored(value: &[u8], transaction: &TransactionId) -> Option<SocketAddr> {
    read_with(value, pad(transaction))
}

fn read_with(value: &[u8], pad: [u8; 16]) -> Option<SocketAddr> {
    let (&[_, family, port_0, port_1], rest) = value.split_first_chunk()?;
    let port = u16::from_be_bytes([port_0 ^ pad[0], port_1 ^ pad[1]]);
    let ip = match family {
        FAMILY_IPV4 => IpAddr::V4(Ipv4Addr::from(xored(*whole(rest)?, &pad))),
        FAMILY_IPV6 => IpAddr::V6(Ipv6Addr::from(xored(*whole(rest)?, &pad))),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The bytes as an array, when there are exactly so many.
fn whole<const N: usize>(bytes: &[u8]) -> Option<&[u8; N]> {
    bytes.try_into().ok()
}

fn xored<const N: usize>(mut bytes: [u8; N], pad: &[u8; 16]) -> [u8; N] {
    for (byte, pad) in bytes.iter_mut().zip(pad) {
        *byte ^= pad;
    }
    bytes
}

/// Writes an address as MAPPED-ADDRESS has it; returns the bytes and how many count.
#[must_use]
pub fn write(address: SocketAddr) -> ([u8; ADDRESS_MAX], usize) {
    write_with(address, [0; 16])
}

/// Writes an address as XOR-MAPPED-ADDRESS has it; returns the bytes and how
/// many count.
#[must_use]
pub fn write_xored(address: SocketAddr, transaction: &TransactionId) -> ([u8; ADDRESS_MAX], usize) {
    write_with(address, pad(transaction))
}

fn write_with(address: SocketAddr, pad: [u8; 16]) -> ([u8; ADDRESS_MAX], usize) {
    let mut bytes = [0; ADDRESS_MAX];
    let [port_0, port_1] = address.port().to_be_bytes();
    bytes[2] = port_0 ^ pad[0];
    bytes[3] = port_1 ^ pad[1];
    match address.ip() {
        IpAddr::V4(ip) => {
            bytes[1] = FAMILY_IPV4;
            bytes[4..8].copy_from_slice(&xored(ip.octets(), &pad));
            (bytes, 8)
        }
        IpAddr::V6(ip) => {
            bytes[1] = FAMILY_IPV6;
            bytes[4..].copy_from_slice(&xored(ip.octets(), &pad));
            (bytes, ADDRESS_MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_survive_the_round_trip_plain_and_xored() {
        let transaction = TransactionId([7; 12]);
        for text in ["192.0.2.1:32853", "[2001:db8::7]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            let (bytes, len) = write(address);
            assert_eq!(read(&bytes[..len]), Some(address));
            let (bytes, len) = write_xored(address, &transaction);
            assert_eq!(read_xored(&bytes[..len], &transaction), Some(address));
        }
    }

    #[test]
    fn a_wrong_length_or_family_is_no_address() {
        let (bytes, _) = write("[2001:db8::7]:9".parse().unwrap());
        for len in 0..ADDRESS_MAX {
            assert_eq!(read(&bytes[..len]), None, "{len} bytes");
        }
        assert_eq!(read(&[0, 3, 0, 9, 1, 2, 3, 4]), None);
        assert_eq!(read(&[0, 1, 0, 9, 1, 2, 3, 4, 5]), None);
    }
}
