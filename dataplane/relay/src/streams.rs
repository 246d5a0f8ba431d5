//! All clients on TCP and TLS of one worker, in a table of bounded size.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use plenum_abi::Nanos;
use plenum_turn::{Client, Via};
use rustls::ServerConfig;

use crate::stream::Stream;

/// Most connections of one worker.
pub(crate) const CONNECTIONS_MAX: usize = 4_096;
/// A connection that moves nothing for so long is closed: the longest pause that
/// RFC 8656 leaves to a client is the lifetime of its allocation.
const IDLE_NS: u64 = 3_700_000_000_000;
/// One without an allocation is closed sooner.
const UNUSED_NS: u64 = 30_000_000_000;

/// The table. A number is that of a place and of its tenancy, so that a late word
/// about an earlier tenant finds nobody.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    places: Vec<(u32, Option<Stream>)>,
    free: Vec<u32>,
}

const PLACE_BITS: u32 = 12;
const _: () = assert!(CONNECTIONS_MAX == 1 << PLACE_BITS);

const fn place_of(number: u32) -> usize {
    (number & ((1 << PLACE_BITS) - 1)) as usize
}

impl Streams {
    /// Connections now.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Takes an accepted connection in; its number, or `None` when there is no
    /// room for it.
    pub(crate) fn accept(
        &mut self,
        socket: OwnedFd,
        address: SocketAddr,
        tls: Option<&Arc<ServerConfig>>,
        now: Nanos,
    ) -> Option<u32> {
        let place = match self.free.pop() {
            Some(place) => place,
            None if self.places.len() < CONNECTIONS_MAX => {
                self.places.push((0, None));
                self.places.len() as u32 - 1
            }
            None => return None,
        };
        let (tenancy, entry) = &mut self.places[place as usize];
        *tenancy = (*tenancy + 1) & (u32::MAX >> PLACE_BITS);
        let number = *tenancy << PLACE_BITS | place;
        let client = Client {
            address: SocketAddr::new(address.ip().to_canonical(), address.port()),
            via: Via::Stream(number),
        };
        // Voice in small frames must not wait for more of it.
        let _ = rustix::net::sockopt::set_tcp_nodelay(socket.as_fd(), true);
        *entry = Stream::new(TcpStream::from(socket), client, tls, now);
        if entry.is_none() {
            self.free.push(place);
            return None;
        }
        Some(number)
    }

    /// A connection by its number.
    pub(crate) fn get(&mut self, number: u32) -> Option<&mut Stream> {
        let (_, entry) = self.places.get_mut(place_of(number))?;
        entry
            .as_mut()
            .filter(|stream| stream.client.via == Via::Stream(number))
    }

    /// Closes a connection; who it was.
    pub(crate) fn close(&mut self, number: u32) -> Option<Client> {
        let client = self.get(number)?.client;
        self.places[place_of(number)].1 = None;
        self.free.push(place_of(number) as u32);
        Some(client)
    }

    /// Numbers of connections that have been idle for too long.
    pub(crate) fn idle(&self, now: Nanos, has_allocation: impl Fn(&Client) -> bool) -> Vec<u32> {
        self.places
            .iter()
            .filter_map(|(_, entry)| entry.as_ref())
            .filter(|stream| {
                let patience = match has_allocation(&stream.client) {
                    true => IDLE_NS,
                    false => UNUSED_NS,
                };
                now.0.saturating_sub(stream.moved_at.0) > patience
            })
            .filter_map(|stream| match stream.client.via {
                Via::Stream(number) => Some(number),
                Via::Udp(_) => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_late_word_about_an_earlier_tenant_finds_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut streams = Streams::default();
        let accept = |streams: &mut Streams| {
            let _client = TcpStream::connect(address).unwrap();
            let (socket, from) = listener.accept().unwrap();
            streams
                .accept(socket.into(), from, None, Nanos::ZERO)
                .unwrap()
        };
        let first = accept(&mut streams);
        assert!(streams.get(first).is_some());
        assert!(streams.close(first).is_some());
        let second = accept(&mut streams);
        assert_eq!(place_of(first), place_of(second), "the place is used again");
        assert!(streams.get(first).is_none() && streams.close(first).is_none());
        assert_eq!(streams.len(), 1);
        let at = Nanos(UNUSED_NS + 1);
        assert_eq!(streams.idle(at, |_| true), []);
        assert_eq!(streams.idle(at, |_| false), [second]);
    }
}
