//! What can go wrong, and whose turn it is then.

use std::io;

use plenum_pool::PoolError;

/// Why there is no driver. The text says what an administrator can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A number in the configuration is out of its range.
    #[error("{what} is {value}: it must be {range}")]
    Config {
        /// Which number.
        what: &'static str,
        /// What it is.
        value: u32,
        /// What it may be.
        range: &'static str,
    },
    /// The kernel refuses io_uring to this process.
    #[error(
        "io_uring is forbidden to this process: set sysctl kernel.io_uring_disabled=0 \
         (or kernel.io_uring_group to our group), and in a container allow io_uring_setup, \
         io_uring_enter and io_uring_register in its seccomp profile"
    )]
    Forbidden,
    /// The kernel lacks something.
    #[error("the kernel has no {missing}: Linux 6.1 or newer is needed")]
    KernelTooOld {
        /// What it lacks.
        missing: &'static str,
    },
    /// More sockets than the process may have files.
    #[error(
        "{sockets} sockets are more than the limit of open files: raise it \
         (ulimit -n, LimitNOFILE= in a systemd unit)"
    )]
    OpenFiles {
        /// Sockets asked for.
        sockets: u32,
    },
    /// Memory for the rings could not be had.
    #[error(
        "no memory for io_uring's queues: raise the limit of locked memory \
         (ulimit -l, LimitMEMLOCK= in a systemd unit) to 8 MB or more"
    )]
    LockedMemory,
    /// Memory for packets could not be had.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// Something else.
    #[error("{step} failed")]
    Os {
        /// What we were at.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Why a socket or a doorbell was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The key is not below [`crate::Config::sockets`].
    #[error("socket key {0} is out of range")]
    NoSuchKey(u32),
    /// The key has a socket already, or the driver a doorbell.
    #[error("already registered")]
    Taken,
    /// No socket has this key.
    #[error("no socket is registered under key {0}")]
    NoSocket(u32),
    /// Not a UDP socket of IPv4 or IPv6.
    #[error("not a UDP socket")]
    NotUdp,
    /// The kernel refused.
    #[error("{step} failed")]
    Os {
        /// What we were at.
        step: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Why a datagram was not taken for sending.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSentReason {
    /// As many datagrams as the driver can hold are on their way.
    #[error("too many datagrams are on their way")]
    Full,
    /// No socket has this key.
    #[error("no such socket")]
    NoSocket,
}

/// The ring is broken: the worker must be started anew. The kernel's `errno`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("io_uring_enter failed with errno {0}")]
pub struct WaitError(pub i32);
