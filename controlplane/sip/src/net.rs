//! Listeners and connections.
//!
//! The sockets are our own and only messages are handed to rsipstack: its own
//! listeners cannot tell which port they took, take one UDP socket for all
//! destinations, answer nothing to a method they do not know, and queue without
//! bound (see DESIGN.md). A stream is shown to it as a "channel" connection whose
//! address is our local address.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use rsipstack::sip::{Header, Method, Request, SipMessage};
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transport::udp::{UdpConnection, UdpInner};
use rsipstack::transport::{SipAddr, SipConnection};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;

use crate::tasks::Tasks;
use crate::txn::Input;
use crate::{SipConfig, StartError, Transport, message, refuse, stream};

/// Longest message; also the longest datagram there can be.
pub(crate) const MESSAGE_MAX: usize = 65_535;
/// Transactions of which something is remembered; beyond them new requests are
/// dropped, and the far end sends them again.
const TRANSACTIONS_MAX: usize = 100_000;

/// A way to a far end: over one socket, or one connection.
#[derive(Clone)]
pub(crate) struct Flow {
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) connection: SipConnection,
}

impl Flow {
    pub(crate) fn destination(&self) -> SipAddr {
        sip_addr(self.transport, self.peer)
    }
}

pub(crate) fn sip_addr(transport: Transport, address: SocketAddr) -> SipAddr {
    SipAddr {
        r#type: Some(match transport {
            Transport::Udp => rsipstack::sip::Transport::Udp,
            Transport::Tcp => rsipstack::sip::Transport::Tcp,
            Transport::Tls => rsipstack::sip::Transport::Tls,
        }),
        addr: address.into(),
    }
}

/// A connection that stands.
pub(crate) struct Connected {
    pub(crate) flow: Flow,
    pub(crate) id: u64,
}

struct Udp {
    address: SocketAddr,
    socket: Arc<UdpSocket>,
}

pub(crate) struct Net {
    udp: Vec<Udp>,
    addresses: Vec<(Transport, SocketAddr)>,
    /// By transport and far end; the newest counts.
    streams: Mutex<HashMap<(Transport, SocketAddr), Connected>>,
    pub(crate) config: SipConfig,
    pub(crate) tasks: Tasks,
    pub(crate) input: mpsc::Sender<Input>,
}

/// Listeners that do not serve yet.
pub(crate) struct Bound(Vec<(Transport, TcpListener)>);

impl Net {
    pub(crate) async fn bind(
        config: SipConfig,
        tasks: Tasks,
        input: mpsc::Sender<Input>,
    ) -> Result<(Arc<Self>, Bound), StartError> {
        let (mut udp, mut streams, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
        for wish in &config.listen {
            let (transport, address) = (wish.transport, wish.address);
            let failed = |source| StartError::Bind {
                transport,
                address,
                source,
            };
            let bound = if transport == Transport::Udp {
                let socket = UdpSocket::bind(address).await.map_err(failed)?;
                let address = socket.local_addr().map_err(failed)?;
                udp.push(Udp {
                    address,
                    socket: Arc::new(socket),
                });
                address
            } else {
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                streams.push((transport, listener));
                address
            };
            addresses.push((transport, bound));
        }
        let net = Self {
            udp,
            addresses,
            streams: Mutex::default(),
            config,
            tasks,
            input,
        };
        Ok((Arc::new(net), Bound(streams)))
    }

    pub(crate) fn addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.addresses
    }

    pub(crate) fn serve(self: &Arc<Self>, bound: Bound, endpoint: &EndpointInnerRef) {
        for udp in &self.udp {
            let (net, endpoint) = (self.clone(), endpoint.clone());
            let (socket, address) = (udp.socket.clone(), udp.address);
            self.tasks
                .spawn(async move { net.read_datagrams(&socket, address, &endpoint).await });
        }
        for (transport, listener) in bound.0 {
            let (net, endpoint) = (self.clone(), endpoint.clone());
            self.tasks.spawn(async move {
                stream::accept_all(&net, transport, &listener, &endpoint).await;
            });
        }
    }

    async fn read_datagrams(
        self: &Arc<Self>,
        socket: &Arc<UdpSocket>,
        bound: SocketAddr,
        endpoint: &EndpointInnerRef,
    ) {
        let mut buffer = vec![0; MESSAGE_MAX];
        loop {
            let (length, peer) = match socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                Err(error) => {
                    // An ICMP error of an earlier datagram; not of the socket.
                    tracing::debug!(%error, "a datagram was not received");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            let data = &buffer[..length];
            if data.iter().all(u8::is_ascii_whitespace) {
                // Keep-alive (RFC 5626 section 4.4.1): CRLFCRLF wants CRLF.
                if data == b"\r\n\r\n" {
                    let _ = socket.try_send_to(b"\r\n", peer);
                }
                continue;
            }
            let local = self.advertised(bound, peer);
            let flow = Flow {
                transport: Transport::Udp,
                local,
                peer,
                connection: udp_connection(socket.clone(), local).await,
            };
            match SipMessage::try_from(data) {
                Ok(message) => self.incoming(message, flow, endpoint).await,
                Err(error) => {
                    tracing::debug!(%peer, %error, "a datagram is no SIP message");
                    if let Some(answer) = refuse::unreadable(data, peer, &self.config.user_agent) {
                        let _ = socket.try_send_to(&answer, peer);
                    }
                }
            }
        }
    }

    /// Takes a message in: to its transaction, or to the core where it has none and
    /// needs none.
    pub(crate) async fn incoming(
        &self,
        mut message: SipMessage,
        flow: Flow,
        endpoint: &EndpointInnerRef,
    ) {
        match &mut message {
            SipMessage::Request(request) => {
                if let Err(reason) = refuse::check(request) {
                    tracing::debug!(peer = %flow.peer, reason, "a request is malformed");
                    if request.method != Method::Ack
                        && let Some(answer) = refuse::malformed(request, &flow, reason, self)
                    {
                        let _ = flow
                            .connection
                            .send(answer.into(), Some(&flow.destination()))
                            .await;
                    }
                    return;
                }
                stamp(request, flow.peer);
                let Ok(key) = TransactionKey::from_request(request, TransactionRole::Server) else {
                    return;
                };
                let known = endpoint.transactions.get(&key).is_some();
                if request.method == Method::Ack && !known {
                    // The ACK of a 2xx finds its transaction by its dialog; after a
                    // restart there is none, but there may be a dialog.
                    let input = Input::StrayAck(Box::new(request.clone()));
                    let _ = self.input.try_send(input);
                } else if !known && self.is_flooded(endpoint) {
                    return;
                }
            }
            SipMessage::Response(response) => {
                let Ok(key) = TransactionKey::from_response(response, TransactionRole::Client)
                else {
                    return;
                };
                if endpoint.transactions.get(&key).is_none() {
                    // Only a 2xx of an INVITE is anybody's business by then: it
                    // was sent again, or comes from another branch of a fork.
                    let of_invite = message::cseq(&response.headers)
                        .is_some_and(|(_, method)| method == "INVITE");
                    if of_invite && (200..300).contains(&response.status_code.code()) {
                        let input = Input::Stray2xx(Box::new(response.clone()));
                        let _ = self.input.try_send(input);
                        return;
                    }
                }
            }
        }
        let from = flow.destination();
        if let Err(error) = endpoint
            .on_received_message(message, flow.connection, &from)
            .await
        {
            tracing::debug!(peer = %flow.peer, %error, "a message was not taken");
        }
    }

    fn is_flooded(&self, endpoint: &EndpointInnerRef) -> bool {
        endpoint.transactions.len() + endpoint.finished_transactions.len() >= TRANSACTIONS_MAX
    }

    /// Our address as that peer sees it.
    pub(crate) fn advertised(&self, bound: SocketAddr, peer: SocketAddr) -> SocketAddr {
        if !bound.ip().is_unspecified() {
            return bound;
        }
        let any: IpAddr = match peer {
            SocketAddr::V4(_) => [0; 4].into(),
            SocketAddr::V6(_) => [0_u16; 8].into(),
        };
        // A connected UDP socket sends nothing, but the kernel routes it.
        let routed = std::net::UdpSocket::bind((any, 0))
            .and_then(|socket| socket.connect(peer).and_then(|()| socket.local_addr()));
        match routed {
            Ok(address) => SocketAddr::new(address.ip(), bound.port()),
            Err(_) => SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), bound.port()),
        }
    }

    /// The address under which we can be reached over `transport` by `peer`: of the
    /// listener that `preferred` names, or of the first that fits.
    pub(crate) fn local_for(
        &self,
        transport: Transport,
        peer: SocketAddr,
        preferred: Option<SocketAddr>,
    ) -> Option<SocketAddr> {
        let fits = |address: &&SocketAddr| address.is_ipv4() == peer.is_ipv4();
        let of = || {
            self.addresses
                .iter()
                .filter(|(how, _)| *how == transport)
                .map(|(_, address)| address)
        };
        let same = of().find(|address| {
            preferred.is_some_and(|preferred| {
                preferred == **address
                    || (address.ip().is_unspecified() && address.port() == preferred.port())
            })
        });
        // A listener on loopback is of no use to anybody else, and the reverse.
        let near = || {
            of().filter(fits)
                .find(|a| a.ip().is_loopback() == peer.ip().is_loopback())
        };
        let found = same.or_else(near).or_else(|| of().find(fits))?;
        Some(self.advertised(*found, peer))
    }

    /// The way to a peer over UDP.
    async fn udp_flow(&self, peer: SocketAddr, preferred: Option<SocketAddr>) -> Option<Flow> {
        let local = self.local_for(Transport::Udp, peer, preferred)?;
        let udp = self.udp.iter().find(|udp| {
            udp.address == local
                || (udp.address.ip().is_unspecified() && udp.address.port() == local.port())
        })?;
        Some(Flow {
            transport: Transport::Udp,
            local,
            peer,
            connection: udp_connection(udp.socket.clone(), local).await,
        })
    }

    /// The way to a peer: the socket, the connection that stands, or a new one.
    ///
    /// # Errors
    /// The connection was not taken, or there is no fitting listener.
    pub(crate) async fn flow(
        self: &Arc<Self>,
        transport: Transport,
        peer: SocketAddr,
        preferred: Option<SocketAddr>,
        name: &str,
        endpoint: &EndpointInnerRef,
    ) -> io::Result<Flow> {
        if transport == Transport::Udp {
            return self
                .udp_flow(peer, preferred)
                .await
                .ok_or_else(|| io::Error::other("no UDP listener of that address family"));
        }
        if let Some(flow) = self.connected(transport, peer) {
            return Ok(flow);
        }
        let limit = self.config.timers.connect_max;
        tokio::time::timeout(
            limit,
            stream::connect(self, transport, peer, name, endpoint),
        )
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// A connection that stands.
    pub(crate) fn connected(&self, transport: Transport, peer: SocketAddr) -> Option<Flow> {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams
            .get(&(transport, peer))
            .map(|connected| connected.flow.clone())
    }

    /// Takes a new connection; `false` where there are too many.
    pub(crate) fn add_stream(&self, connected: Connected) -> bool {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if streams.len() >= self.config.max_connections {
            return false;
        }
        let key = (connected.flow.transport, connected.flow.peer);
        streams.insert(key, connected);
        true
    }

    pub(crate) fn is_full(&self) -> bool {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.len() >= self.config.max_connections
    }

    pub(crate) fn remove_stream(&self, transport: Transport, peer: SocketAddr, id: u64) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if streams
            .get(&(transport, peer))
            .is_some_and(|connected| connected.id == id)
        {
            streams.remove(&(transport, peer));
        }
    }
}

async fn udp_connection(socket: Arc<UdpSocket>, local: SocketAddr) -> SipConnection {
    let inner = UdpInner {
        conn: socket,
        addr: sip_addr(Transport::Udp, local),
    };
    SipConnection::Udp(UdpConnection::attach(inner, None, None).await)
}

/// Writes where a request came from into its topmost Via (RFC 3261 section 18.2.1,
/// RFC 3581). The answer goes there whatever else the Via says: behind NAT
/// nothing else arrives, and without NAT it is the same.
fn stamp(request: &mut Request, peer: SocketAddr) {
    for header in request.headers.iter_mut() {
        if let Header::Via(via) = header {
            let text = via.value().to_owned();
            via.replace(stamped(&text, peer));
            return;
        }
    }
}

pub(crate) fn stamped(via: &str, peer: SocketAddr) -> String {
    let (first, others) = match via.split_once(',') {
        Some((first, others)) => (first, Some(others)),
        None => (via, None),
    };
    let mut parts: Vec<&str> = first.split(';').map(str::trim).collect();
    parts.retain(|part| {
        let name = part.split('=').next().unwrap_or_default().trim();
        !name.eq_ignore_ascii_case("rport") && !name.eq_ignore_ascii_case("received")
    });
    let mut text = parts.join(";");
    text.push_str(&format!(";received={};rport={}", peer.ip(), peer.port()));
    if let Some(others) = others {
        text.push(',');
        text.push_str(others);
    }
    text
}

/// Reads back what [`stamp`] wrote.
pub(crate) fn peer_of(request: &Request) -> Option<SocketAddr> {
    let via = message::header(&request.headers, "Via")?;
    let first = via.split(',').next()?;
    let ip: IpAddr = message::param(first, "received")?.parse().ok()?;
    let port = message::param(first, "rport")?.parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_via_tells_where_a_request_came_from() {
        let peer: SocketAddr = "[::1]:7".parse().unwrap();
        assert_eq!(
            stamped(
                "SIP/2.0/UDP h:5 ; rport;branch=z9hG4bKa, SIP/2.0/UDP b",
                peer
            ),
            "SIP/2.0/UDP h:5;branch=z9hG4bKa;received=::1;rport=7, SIP/2.0/UDP b"
        );
    }
}
