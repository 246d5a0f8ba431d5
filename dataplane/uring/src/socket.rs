//! UDP sockets: how they are made, silenced and emptied.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, sockopt};

use crate::error::RegisterError;

/// How a media socket is made. The default fits a leg of audio.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SocketOptions {
    /// Bytes of datagrams and their bookkeeping (about 800 each for small
    /// ones) that wait in the kernel at most. It clips at net.core.rmem_max.
    pub receive_buffer: usize,
    /// Bytes that wait to be sent at most.
    pub send_buffer: usize,
    /// Differentiated services code point, 0 to 63 (RFC 2474); 46 is "expedited
    /// forwarding" (RFC 3246), usual for sound.
    pub dscp: u8,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            // A worker that comes back after a second finds the last of it.
            receive_buffer: 64 << 10,
            send_buffer: 256 << 10,
            dscp: 0,
        }
    }
}

/// A UDP socket bound to `address`. On an IPv6 address it takes IPv4 as well
/// when the address is `[::]`. Fragmentation stays allowed and ICMP's word on
/// the path MTU is not taken (it can be forged): media packets are small.
///
/// # Errors
/// What the kernel says: the address is in use or not ours, or too many files
/// are open.
pub fn media_socket(address: SocketAddr, options: &SocketOptions) -> io::Result<OwnedFd> {
    udp_socket(address, options, |_| Ok(()))
}

/// [`media_socket`], with what is to be done before it is bound.
pub(crate) fn udp_socket(
    address: SocketAddr,
    options: &SocketOptions,
    prepare: impl FnOnce(&OwnedFd) -> io::Result<()>,
) -> io::Result<OwnedFd> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
    sockopt::set_socket_recv_buffer_size(&socket, options.receive_buffer)?;
    sockopt::set_socket_send_buffer_size(&socket, options.send_buffer)?;
    if let SocketAddr::V6(v6) = address {
        sockopt::set_ipv6_v6only(&socket, !v6.ip().is_unspecified())?;
        set_option(
            &socket,
            libc::IPPROTO_IPV6,
            libc::IPV6_MTU_DISCOVER,
            &libc::IPV6_PMTUDISC_OMIT,
        )?;
    }
    // On a dual-stack socket this is for its IPv4 half.
    set_option(
        &socket,
        libc::IPPROTO_IP,
        libc::IP_MTU_DISCOVER,
        &libc::IP_PMTUDISC_OMIT,
    )?;
    if options.dscp != 0 {
        set_dscp(std::os::fd::AsFd::as_fd(&socket), options.dscp)?;
    }
    prepare(&socket)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// Marks what the socket sends with a differentiated services code point.
///
/// # Errors
/// `InvalidInput` when `dscp` is above 63; else what the kernel says.
pub fn set_dscp(socket: BorrowedFd<'_>, dscp: u8) -> io::Result<()> {
    if dscp > 63 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let byte = dscp << 2;
    if sockopt::socket_domain(socket)? == AddressFamily::INET6 {
        sockopt::set_ipv6_tclass(socket, u32::from(byte))?;
    }
    // IPv4, and the IPv4 half of a dual-stack socket.
    sockopt::set_ip_tos(socket, byte)?;
    Ok(())
}

/// Whether it is an IPv6 socket; an error when it is not UDP at all.
pub(crate) fn is_ipv6(socket: &OwnedFd) -> Result<bool, RegisterError> {
    let kind = sockopt::socket_type(socket).map_err(|_| RegisterError::NotUdp)?;
    let protocol = sockopt::socket_protocol(socket).map_err(|_| RegisterError::NotUdp)?;
    if kind != SocketType::DGRAM || protocol != Some(rustix::net::ipproto::UDP) {
        return Err(RegisterError::NotUdp);
    }
    match sockopt::socket_domain(socket) {
        Ok(AddressFamily::INET) => Ok(false),
        Ok(AddressFamily::INET6) => Ok(true),
        _ => Err(RegisterError::NotUdp),
    }
}

/// Makes the kernel drop whatever the socket gets, before it takes memory.
/// The filter belongs to the socket, not to us: it survives the process.
///
/// # Errors
/// What the kernel says; it does not refuse this to the owner of a socket.
pub fn drop_incoming(socket: &OwnedFd) -> io::Result<()> {
    let mut accept_no_byte = libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: 0,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: &raw mut accept_no_byte,
    };
    set_option(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

/// Ends [`drop_incoming`].
///
/// # Errors
/// What the kernel says, when it is not that there was nothing to end.
pub fn accept_incoming(socket: &OwnedFd) -> io::Result<()> {
    match set_option(socket, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0_i32) {
        // There was none.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        result => result,
    }
}

/// Throws away what lies in a socket that [`drop_incoming`] closed to more.
/// Returns how many datagrams it was.
pub fn drain(socket: &OwnedFd) -> u64 {
    // More than a socket buffer of the largest size can hold in a moment.
    const MOST: u64 = 1 << 16;
    let mut count = 0;
    let mut nothing = [0_u8; 1];
    while count < MOST {
        match rustix::net::recv(socket, &mut nothing, RecvFlags::DONTWAIT) {
            Ok(_) => count += 1,
            Err(rustix::io::Errno::AGAIN) => break,
            // An ICMP error that lay there; it is taken away by reading it.
            Err(_) => count += 1,
        }
    }
    count
}

pub(crate) fn set_option<T>(
    socket: &impl AsRawFd,
    level: i32,
    option: i32,
    value: &T,
) -> io::Result<()> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes at `value`, which is a
    // live reference; every `T` used here is plain C data, and what a
    // `sock_fprog` points to outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            size_of::<T>() as libc::socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
