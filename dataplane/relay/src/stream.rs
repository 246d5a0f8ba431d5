//! One client on TCP or TLS.
//!
//! What goes to it waits in a queue of bounded length. A datagram that finds the
//! queue full is lost, as it would be on the way to a slow client of UDP; the
//! others are not kept waiting, and neither are we.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use plenum_abi::Nanos;
use plenum_turn::Client;
use rustls::{ServerConfig, ServerConnection};

/// Longest frame that a client may send. Its payload becomes a datagram, and no
/// path carries one of this length.
pub(crate) const FRAME_MAX: usize = 16 << 10;
/// Bytes that wait for a client at most.
const QUEUE_MAX: usize = 64 << 10;
/// TLS adds so much to a record, and a record is this long.
const TLS_CHUNK: usize = 18 << 10;

/// The connection is of no use any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Closed;

#[derive(Debug)]
enum Way {
    Plain { queue: Vec<u8> },
    Tls(Box<ServerConnection>),
}

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) socket: TcpStream,
    pub(crate) client: Client,
    /// When it last got something through, either way.
    pub(crate) moved_at: Nanos,
    /// Whether writing was asked for at the poll.
    pub(crate) waits_to_write: bool,
    /// The beginning of a frame.
    pub(crate) begun: Vec<u8>,
    way: Way,
}

/// Ends a connection on anything but "not now".
fn later(result: io::Result<usize>) -> Result<usize, Closed> {
    match result {
        Ok(0) => Err(Closed),
        Ok(count) => Ok(count),
        Err(error) => match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(0),
            _ => Err(Closed),
        },
    }
}

impl Stream {
    /// A connection that was just accepted; `None` when TLS cannot begin.
    pub(crate) fn new(
        socket: TcpStream,
        client: Client,
        tls: Option<&Arc<ServerConfig>>,
        now: Nanos,
    ) -> Option<Self> {
        let way = match tls {
            None => Way::Plain { queue: Vec::new() },
            Some(config) => {
                let mut connection = ServerConnection::new(Arc::clone(config)).ok()?;
                connection.set_buffer_limit(Some(QUEUE_MAX));
                Way::Tls(Box::new(connection))
            }
        };
        Some(Self {
            socket,
            client,
            moved_at: now,
            waits_to_write: false,
            begun: Vec::new(),
            way,
        })
    }

    /// Reads what there is into `room`, as much as fits; 0 when nothing is there.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> Result<usize, Closed> {
        match &mut self.way {
            Way::Plain { .. } => later(self.socket.read(room)),
            Way::Tls(connection) => {
                let mut filled = 0;
                loop {
                    match connection.reader().read(&mut room[filled..]) {
                        Ok(count) if count > 0 => filled += count,
                        Ok(_) if filled < room.len() => return Err(Closed),
                        _ => {}
                    }
                    // Only what surely fits, so that nothing is left behind in TLS.
                    if room.len() - filled < TLS_CHUNK {
                        return Ok(filled);
                    }
                    match later(connection.read_tls(&mut &self.socket)) {
                        Ok(0) => return Ok(filled),
                        Ok(_) => {}
                        Err(closed) if filled == 0 => return Err(closed),
                        Err(_) => return Ok(filled),
                    }
                    if connection.process_new_packets().is_err() {
                        // The alert says why; whether it arrives does not matter.
                        let _ = connection.write_tls(&mut &self.socket);
                        return Err(Closed);
                    }
                }
            }
        }
    }

    /// Queues a frame of three parts; `false` when there is no room for all of it.
    #[must_use]
    pub(crate) fn queue(&mut self, parts: [&[u8]; 3]) -> bool {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        match &mut self.way {
            Way::Plain { queue } => {
                if queue.len() + len > QUEUE_MAX {
                    return false;
                }
                for part in parts {
                    queue.extend_from_slice(part);
                }
                true
            }
            Way::Tls(connection) => {
                let mut frame = [0; FRAME_MAX];
                let mut at = 0;
                for part in parts {
                    let Some(room) = frame.get_mut(at..at + part.len()) else {
                        return false;
                    };
                    room.copy_from_slice(part);
                    at += part.len();
                }
                // TLS holds one frame at a time that the socket has no room for yet,
                // which is less than its limit: it takes the next one whole.
                let _ = connection.write_tls(&mut &self.socket);
                if connection.is_handshaking() || connection.wants_write() {
                    return false;
                }
                connection.writer().write_all(&frame[..at]).is_ok()
            }
        }
    }

    /// Writes what the socket takes; `true` when something is left.
    pub(crate) fn flush(&mut self, now: Nanos) -> Result<bool, Closed> {
        match &mut self.way {
            Way::Plain { queue } => {
                let mut written = 0;
                while written < queue.len() {
                    match later(self.socket.write(&queue[written..]))? {
                        0 => break,
                        count => written += count,
                    }
                }
                queue.drain(..written);
                if written > 0 {
                    self.moved_at = now;
                }
                Ok(!queue.is_empty())
            }
            Way::Tls(connection) => {
                while connection.wants_write() {
                    match later(connection.write_tls(&mut &self.socket))? {
                        0 => return Ok(true),
                        _ => self.moved_at = now,
                    }
                }
                Ok(false)
            }
        }
    }
}
