//! The line between the supervisor and a process it started.
//!
//! One end of a `SOCK_SEQPACKET` pair is the child's standard input. It
//! carries the child's inheritance (descriptors travel as `SCM_RIGHTS`, so
//! nothing depends on descriptor numbers and nothing leaks into the other
//! child), then a word now and then: ready, stop. Its end-of-file tells either
//! side that the other is gone.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sockopt,
};
use serde::{Deserialize, Serialize};

use crate::dtls_identity::DtlsIdentity;
use crate::turn::estate::TurnInheritance;

/// Most descriptors of one message; the kernel takes 253.
pub(crate) const FDS_MAX: usize = 240;
/// Longest message.
const MESSAGE_MAX: usize = 256 * 1024;

/// What is said.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) enum Message {
    /// Supervisor: what the child is to work with. Descriptors: the arena, the
    /// control plane's doorbell, then each worker's doorbell.
    Inherit(Box<Inheritance>),
    /// Supervisor: what the TURN process is to work with. Descriptor: its memory.
    InheritTurn(Box<TurnInheritance>),
    /// Supervisor, to a video module: what it is to work with. Descriptors: its
    /// memory, its doorbell, then each worker's doorbell.
    InheritModule(Box<ModuleInheritance>),
    /// Supervisor, to the dataplane: of each video module its memory and its doorbell.
    Modules,
    /// Supervisor, to the dataplane: the next media sockets, in the order of
    /// workers; of each those of its leg slots and then of its video slots, RTP
    /// before RTCP, then those that its browsers share.
    Sockets,
    /// Supervisor, to the dataplane: who it is to browsers.
    Identity(Box<DtlsIdentity>),
    /// Supervisor: the inheritance is complete.
    Go,
    /// Child: it does its work now. The control plane's value is the ready line.
    Ready(serde_json::Value),
    /// Child: it cannot work and a restart would not help; why.
    Hopeless(String),
    /// Supervisor: end in good order.
    Stop,
}

/// What a child works with, beside descriptors.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Inheritance {
    /// The settings in force, as TOML.
    pub(crate) settings: String,
    /// Name of the hardware profile.
    pub(crate) profile: String,
    /// Most call legs.
    pub(crate) legs_max: u32,
    /// When the server started, seconds of the Unix clock.
    pub(crate) started_at: u64,
    /// SHA-256 of the certificate that browsers know us by.
    pub(crate) fingerprint: [u8; 32],
    /// Each worker.
    pub(crate) workers: Vec<WorkerPlace>,
}

/// What a video module works with, beside descriptors. It is not told more than it
/// needs, because it may be taken over.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct ModuleInheritance {
    /// The settings in force, as TOML.
    pub(crate) settings: String,
    /// The module's number.
    pub(crate) index: usize,
    /// Its cores.
    pub(crate) cores: Vec<u32>,
}

/// Where a worker runs and what its slots are.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct WorkerPlace {
    /// Core that it is pinned to; `None` leaves it to the scheduler.
    pub(crate) core: Option<u32>,
    /// RTP port of each leg slot; RTCP is the next one.
    pub(crate) rtp_ports: Vec<u16>,
    /// RTP port of each video slot; RTCP is the next one.
    pub(crate) video_rtp_ports: Vec<u16>,
    /// Sockets that its browsers share.
    pub(crate) browser_sockets: usize,
    /// Where browsers find it: ICE candidates for UDP, the best first.
    pub(crate) candidates: Vec<SocketAddr>,
}

/// One end of the line.
#[derive(Debug)]
pub(crate) struct Channel {
    fd: OwnedFd,
}

impl Channel {
    /// Both ends, closed on exec.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        for end in [&ours, &theirs] {
            // Half is lost to bookkeeping; a child that does not read must not
            // hold up its supervisor.
            sockopt::set_socket_send_buffer_size(end, 2 * MESSAGE_MAX)?;
            let patience = Some(Duration::from_secs(5));
            sockopt::set_socket_timeout(end, sockopt::Timeout::Send, patience)?;
        }
        Ok((Self { fd: ours }, Self { fd: theirs }))
    }

    /// The end that a supervisor put on our standard input.
    pub(crate) fn inherited() -> io::Result<Self> {
        let fd = io::stdin().as_fd().try_clone_to_owned()?;
        if sockopt::socket_type(&fd)? == SocketType::SEQPACKET {
            Ok(Self { fd })
        } else {
            Err(io::ErrorKind::InvalidInput.into())
        }
    }

    /// For [`std::process::Command::stdin`].
    pub(crate) fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Another handle on the same end.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        let fd = self.fd.try_clone()?;
        Ok(Self { fd })
    }

    /// Says `message`, with descriptors.
    pub(crate) fn send(&self, message: &Message, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        if bytes.len() > MESSAGE_MAX || fds.len() > FDS_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let slices = [IoSlice::new(&bytes)];
        rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(&self.fd, &slices, &mut ancillary, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }

    /// Waits for a message; `None` when the other side is gone.
    pub(crate) fn receive(&self) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
        let mut bytes = vec![0; MESSAGE_MAX];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::io::retry_on_intr(|| {
            let mut slices = [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            rustix::net::recvmsg(&self.fd, &mut slices, &mut ancillary, flags)
        });
        let received = match received {
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            other => other?,
        };
        let cut = ReturnFlags::TRUNC | ReturnFlags::CTRUNC;
        if received.flags.intersects(cut) {
            // Descriptors beyond the limit of this process are cut off here.
            return Err(io::Error::other(
                "a message of the supervisor was cut off; is the limit of open files too low?",
            ));
        }
        if received.bytes == 0 {
            return Ok(None);
        }
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        Ok(Some((
            serde_json::from_slice(&bytes[..received.bytes])?,
            fds,
        )))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_arrive_in_order_and_end_of_file_is_told() {
        let (ours, theirs) = Channel::pair().unwrap();
        let ends: Vec<_> = (0..3).map(|_| Channel::pair().unwrap()).collect();
        let borrowed: Vec<_> = ends.iter().map(|(end, _)| end.as_fd()).collect();
        ours.send(&Message::Sockets, &borrowed).unwrap();
        let (message, fds) = theirs.receive().unwrap().unwrap();
        assert!(matches!(message, Message::Sockets));
        assert_eq!(fds.len(), 3);
        for (index, fd) in fds.into_iter().enumerate() {
            let line = Channel { fd };
            line.send(&Message::Ready(index.into()), &[]).unwrap();
            let Some((Message::Ready(heard), _)) = ends[index].1.receive().unwrap() else {
                panic!("descriptor {index} is another's");
            };
            assert_eq!(heard, index);
        }
        drop(ours);
        assert!(theirs.receive().unwrap().is_none());
    }

    #[test]
    fn a_message_holds_240_descriptors_and_refuses_more() {
        let (ours, theirs) = Channel::pair().unwrap();
        let many = vec![ours.as_fd(); FDS_MAX + 1];
        assert!(ours.send(&Message::Sockets, &many).is_err());
        ours.send(&Message::Sockets, &many[..FDS_MAX]).unwrap();
        assert_eq!(theirs.receive().unwrap().unwrap().1.len(), FDS_MAX);
    }

    #[test]
    fn the_longest_inheritance_fits() {
        // All UDP ports of a machine, two a leg, on one worker.
        let workers = vec![WorkerPlace {
            core: Some(255),
            rtp_ports: vec![65_534; 16_384],
            video_rtp_ports: vec![65_534; 16_383],
            browser_sockets: 8,
            candidates: vec!["[2001:db8::7]:3480".parse().unwrap(); 9],
        }];
        let inheritance = Inheritance {
            settings: "x".repeat(16_384),
            profile: "test".to_owned(),
            legs_max: 100_000,
            started_at: u64::MAX,
            fingerprint: [255; 32],
            workers,
        };
        let (ours, theirs) = Channel::pair().unwrap();
        ours.send(&Message::Inherit(Box::new(inheritance)), &[])
            .unwrap();
        let Some((Message::Inherit(received), _)) = theirs.receive().unwrap() else {
            panic!("it did not arrive");
        };
        assert_eq!(received.workers[0].rtp_ports.len(), 16_384);
    }
}
