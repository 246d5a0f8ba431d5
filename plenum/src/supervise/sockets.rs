//! The media sockets, bound before anybody needs them.
//!
//! They belong to the supervisor so that they outlive the process that reads
//! them: what arrives while a dataplane is being restarted waits in them.
//! Each leg slot has an RTP socket on an even port and its RTCP socket on the
//! next one (RFC 3550 section 11); a pair of which somebody else has a port is
//! passed over.
//!
//! Browsers need no socket each: all of a worker share one for each listen
//! address, and ICE credentials tell them apart. Here each address has a socket of
//! its own, because ICE must know on which of them a check came in.
//!
//! With one listen address they are bound to that address; with several, to all
//! of the machine's, because a leg has one socket and may come in on any of
//! them. Packets from strangers are refused by the leg's learning rule,
//! wherever they arrive.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;

use plenum_uring::{SocketOptions, media_socket};
use rustix::net::sockopt;

/// Two sockets of a leg slot.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) rtp_port: u16,
    pub(crate) rtp: OwnedFd,
    pub(crate) rtcp: OwnedFd,
}

/// What waits of a far end's pictures, bytes of datagrams and their bookkeeping (about
/// 2,300 each for full ones): a key frame comes in one burst, while the worker may be at
/// a conference's tick. (With the 64 KiB of sound, a tenth of the packets of a room at
/// 720p and 3 Mbit/s was lost.) The kernel cuts it down to its own limit.
pub(crate) const PICTURE_BUFFER: usize = 1 << 20;

impl Pair {
    /// Makes room for bursts: the pair is for pictures.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn make_room_for_pictures(&self) -> io::Result<()> {
        sockopt::set_socket_recv_buffer_size(&self.rtp, PICTURE_BUFFER)?;
        Ok(())
    }
}

/// Where media sockets are bound, given what is listened on.
pub(crate) fn bind_address(listen: &[IpAddr]) -> IpAddr {
    match listen {
        [one] => *one,
        several if several.iter().all(IpAddr::is_ipv4) => Ipv4Addr::UNSPECIFIED.into(),
        _ => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// A kernel without IPv6 has IPv4 alone for "all".
fn usable(address: IpAddr, options: &SocketOptions) -> IpAddr {
    let any_port = SocketAddr::new(address, 0);
    match media_socket(any_port, options) {
        Err(error) if address.is_ipv6() && address.is_unspecified() => {
            tracing::warn!(%error, "no IPv6 on this machine, media is IPv4 only");
            Ipv4Addr::UNSPECIFIED.into()
        }
        _ => address,
    }
}

/// Binds up to `wanted` pairs of `ports`, from the lowest upwards.
///
/// # Errors
/// What the kernel said, when it is not that a port is taken: the address is
/// not ours, or the process has no descriptor left.
pub(crate) fn bind_pairs(
    address: IpAddr,
    ports: RangeInclusive<u16>,
    wanted: usize,
    dscp: u8,
) -> io::Result<Vec<Pair>> {
    let options = SocketOptions {
        dscp,
        ..SocketOptions::default()
    };
    let address = usable(address, &options);
    let bind = |port| media_socket(SocketAddr::new(address, port), &options);
    let mut pairs = Vec::with_capacity(wanted);
    let last = *ports.end();
    let mut even = u32::from(*ports.start()).next_multiple_of(2);
    while pairs.len() < wanted {
        let Some(rtp_port) = u16::try_from(even).ok().filter(|port| *port < last) else {
            break;
        };
        even += 2;
        let both = bind(rtp_port).and_then(|rtp| Ok((rtp, bind(rtp_port + 1)?)));
        match both {
            Ok((rtp, rtcp)) => pairs.push(Pair {
                rtp_port,
                rtp,
                rtcp,
            }),
            // Taken by another, or not for us (below 1024).
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
                ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(pairs)
}

/// One of the sockets that all browsers of a worker share.
#[derive(Debug)]
pub(crate) struct BrowserSocket {
    pub(crate) address: SocketAddr,
    pub(crate) socket: OwnedFd,
}

/// Most addresses on which browsers are met: each is one more for every browser to check.
pub(super) const BROWSER_ADDRESSES_MAX: usize = 8;
/// What all browsers of a worker send between two of its turns must fit, bytes. The
/// kernel cuts it down to its own limit.
const BROWSER_BUFFER: usize = 4 << 20;
/// Ports that are tried where the kernel chooses: one that is free on the first
/// address may be taken on the next.
const CHOSEN_PORT_TRIES: usize = 16;

/// Binds the sockets that all browsers of one worker share: one on each of
/// `addresses` (eight at most), all on `port`. With port 0 the kernel chooses.
///
/// # Errors
/// What the kernel said, and of which address.
pub(crate) fn bind_browser_sockets(
    addresses: &[IpAddr],
    port: u16,
    dscp: u8,
) -> Result<Vec<BrowserSocket>, (SocketAddr, io::Error)> {
    let options = SocketOptions {
        dscp,
        receive_buffer: BROWSER_BUFFER,
        send_buffer: BROWSER_BUFFER,
    };
    let mut last = None;
    for _ in 0..if port == 0 { CHOSEN_PORT_TRIES } else { 1 } {
        match bind_on_each(addresses, port, &options) {
            Err((address, error)) if error.kind() == io::ErrorKind::AddrInUse => {
                last = Some((address, error));
            }
            other => return other,
        }
    }
    last.map_or(Ok(Vec::new()), Err)
}

fn bind_on_each(
    addresses: &[IpAddr],
    mut port: u16,
    options: &SocketOptions,
) -> Result<Vec<BrowserSocket>, (SocketAddr, io::Error)> {
    let mut sockets = Vec::new();
    for ip in addresses.iter().take(BROWSER_ADDRESSES_MAX) {
        let wanted = SocketAddr::new(*ip, port);
        let bound = media_socket(wanted, options).and_then(|socket| {
            let address = rustix::net::getsockname(&socket)?.try_into()?;
            Ok(BrowserSocket { address, socket })
        });
        let socket = bound.map_err(|error| (wanted, error))?;
        port = socket.address.port();
        sockets.push(socket);
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    /// A range of this test's own; tests of one run must not meet.
    const PORTS: RangeInclusive<u16> = 41_001..=41_010;

    /// With the limit that kernels come with (208 KiB), too.
    #[test]
    fn a_key_frame_in_one_burst_is_not_lost() {
        const PACKETS: usize = 150;
        let pairs = bind_pairs(Ipv4Addr::LOCALHOST.into(), 41_022..=41_023, 1, 0).unwrap();
        pairs[0].make_room_for_pictures().unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..PACKETS {
            sender.send_to(&[0; 1_200], "127.0.0.1:41022").unwrap();
        }
        let receiver = UdpSocket::from(pairs[0].rtp.try_clone().unwrap());
        let mut packet = [0; 1_500];
        let came = (0..PACKETS).filter(|_| receiver.recv(&mut packet).is_ok());
        assert_eq!(came.count(), PACKETS);
    }

    #[test]
    fn pairs_are_even_and_odd_and_taken_ones_are_passed_over() {
        let taken = UdpSocket::bind("127.0.0.1:41005").unwrap();
        let pairs = bind_pairs(Ipv6Addr::UNSPECIFIED.into(), PORTS, 100, 46).unwrap();
        let ports: Vec<u16> = pairs.iter().map(|pair| pair.rtp_port).collect();
        assert_eq!(ports, [41_002, 41_006, 41_008]);
        drop(taken);
        // Both families reach it.
        for sender in ["127.0.0.1:0", "[::1]:0"] {
            let sender = UdpSocket::bind(sender).unwrap();
            let ip = sender.local_addr().unwrap().ip();
            sender.send_to(b"rtcp", (ip, 41_003)).unwrap();
            let receiver = UdpSocket::from(pairs[0].rtcp.try_clone().unwrap());
            receiver.set_nonblocking(false).unwrap();
            let mut buffer = [0; 16];
            assert_eq!(receiver.recv(&mut buffer).unwrap(), 4);
        }
    }

    #[test]
    fn one_address_is_bound_itself_several_are_bound_together() {
        let parse = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        let bound = |texts| bind_address(&parse(texts)).to_string();
        assert_eq!(bound(&["127.0.0.1"]), "127.0.0.1");
        assert_eq!(bound(&["::1"]), "::1");
        assert_eq!(bound(&["127.0.0.1", "192.0.2.1"]), "0.0.0.0");
        assert_eq!(bound(&["127.0.0.1", "::1"]), "::");
    }

    #[test]
    fn browsers_share_one_port_on_each_address() {
        let addresses = ["127.0.0.1", "::1"].map(|text| text.parse().unwrap());
        let sockets = bind_browser_sockets(&addresses, 0, 0).unwrap();
        let port = sockets[0].address.port();
        assert_ne!(port, 0);
        let bound: Vec<SocketAddr> = sockets.iter().map(|socket| socket.address).collect();
        assert_eq!(bound, addresses.map(|ip| SocketAddr::new(ip, port)));
        let (address, error) = bind_browser_sockets(&addresses, port, 0).unwrap_err();
        assert_eq!(address, bound[0]);
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let many: Vec<IpAddr> = (1..=9)
            .map(|n| Ipv4Addr::new(127, 0, 0, n).into())
            .collect();
        let sockets = bind_browser_sockets(&many, 0, 0).unwrap();
        assert_eq!(sockets.len(), BROWSER_ADDRESSES_MAX);
    }

    #[test]
    fn an_address_that_is_not_ours_is_an_error() {
        let error = bind_pairs("192.0.2.77".parse().unwrap(), PORTS, 1, 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }
}
