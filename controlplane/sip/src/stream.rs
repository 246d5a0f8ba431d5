//! TCP and TLS: one task reads and one writes each connection.
//!
//! Framing is by Content-Length alone (RFC 3261 section 18.3), so a connection
//! whose length cannot be believed is closed: what follows would be read as
//! messages that nobody sent.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rsipstack::sip::SipMessage;
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::{SipConnection, TransportEvent};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::net::{Connected, Flow, MESSAGE_MAX, Net, sip_addr};
use crate::txn::Input;
use crate::{Transport, refuse};

/// Messages that wait for a connection that takes none.
const OUTGOING_MAX: usize = 64;
/// How long a write may take before the connection counts as dead.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// For the names of connections.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

pub(crate) async fn accept_all(
    net: &Arc<Net>,
    transport: Transport,
    listener: &TcpListener,
    endpoint: &EndpointInnerRef,
) {
    let Ok(bound) = listener.local_addr() else {
        return;
    };
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                // Out of descriptors, most likely: trying at once would spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if net.is_full() {
            tracing::warn!(%peer, "too many connections");
            continue;
        }
        let (net, endpoint) = (net.clone(), endpoint.clone());
        let tasks = net.tasks.clone();
        tasks.spawn(async move {
            let ip = socket.local_addr().unwrap_or(bound).ip();
            let local = SocketAddr::new(ip, bound.port());
            let _ = socket.set_nodelay(true);
            if transport == Transport::Tcp {
                start(&net, transport, socket, local, peer, &endpoint).await;
                return;
            }
            let Some(tls) = &net.config.tls else {
                return;
            };
            let handshake = TlsAcceptor::from(tls.server.clone()).accept(socket);
            match tokio::time::timeout(net.config.timers.connect_max, handshake).await {
                Ok(Ok(socket)) => {
                    start(&net, transport, socket, local, peer, &endpoint).await;
                }
                Ok(Err(error)) => tracing::info!(%peer, %error, "TLS was not agreed"),
                Err(_) => tracing::info!(%peer, "TLS took too long"),
            }
        });
    }
}

pub(crate) async fn connect(
    net: &Arc<Net>,
    transport: Transport,
    peer: SocketAddr,
    name: &str,
    endpoint: &EndpointInnerRef,
) -> io::Result<Flow> {
    if net.is_full() {
        return Err(io::Error::other("too many connections"));
    }
    let socket = TcpStream::connect(peer).await?;
    let _ = socket.set_nodelay(true);
    let own = socket.local_addr()?;
    let local = net.local_for(transport, peer, None).unwrap_or(own);
    let flow = if transport == Transport::Tls {
        let tls = net.config.tls.as_ref();
        let tls = tls.ok_or_else(|| io::Error::other("TLS is not configured"))?;
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| io::Error::other("not a name that a certificate could have"))?;
        let socket = TlsConnector::from(tls.client.clone())
            .connect(name, socket)
            .await?;
        start(net, transport, socket, local, peer, endpoint).await
    } else {
        start(net, transport, socket, local, peer, endpoint).await
    };
    flow.ok_or_else(|| io::Error::other("too many connections"))
}

async fn start<S>(
    net: &Arc<Net>,
    transport: Transport,
    socket: S,
    local: SocketAddr,
    peer: SocketAddr,
    endpoint: &EndpointInnerRef,
) -> Option<Flow>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (outgoing, messages) = mpsc::channel(OUTGOING_MAX);
    // The receiving half of a channel connection is not used: what arrives goes
    // to the endpoint directly.
    let (_, nothing) = mpsc::unbounded_channel();
    let connection = ChannelConnection::create_connection_bounded(
        nothing,
        outgoing,
        sip_addr(transport, local),
        None,
    )
    .await
    .ok()?;
    let flow = Flow {
        transport,
        local,
        peer,
        connection: SipConnection::Channel(connection),
    };
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    let connected = Connected {
        flow: flow.clone(),
        id,
    };
    if !net.add_stream(connected) {
        return None;
    }
    let (reading, writing) = tokio::io::split(socket);
    let (raw, raw_messages) = mpsc::channel(4);
    let (task_net, task_flow, endpoint) = (net.clone(), flow.clone(), endpoint.clone());
    net.tasks.spawn(async move {
        let (net, flow) = (task_net, task_flow);
        let read = read_all(&net, reading, &flow, &raw, &endpoint);
        tokio::select! {
            () = write_all(writing, messages, raw_messages) => {}
            result = read => {
                if let Err(error) = result {
                    tracing::debug!(%peer, %error, "a connection is given up");
                }
            }
        }
        net.remove_stream(transport, peer, id);
    });
    Some(flow)
}

async fn write_all<W: AsyncWrite + Unpin>(
    mut writing: W,
    mut messages: mpsc::Receiver<TransportEvent>,
    mut raw: mpsc::Receiver<Vec<u8>>,
) {
    loop {
        let bytes = tokio::select! {
            Some(event) = messages.recv() => match event {
                TransportEvent::Incoming(message, _, _) => message.to_bytes(),
                _ => continue,
            },
            Some(bytes) = raw.recv() => bytes,
            else => return,
        };
        let write = async {
            writing.write_all(&bytes).await?;
            writing.flush().await
        };
        match tokio::time::timeout(WRITE_MAX, write).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

async fn read_all<R: AsyncRead + Unpin>(
    net: &Arc<Net>,
    mut reading: R,
    flow: &Flow,
    raw: &mpsc::Sender<Vec<u8>>,
    endpoint: &EndpointInnerRef,
) -> Result<(), String> {
    let mut buffer: Vec<u8> = Vec::new();
    let mut chunk = vec![0; 4_096];
    loop {
        while let Some(frame) = frame(&buffer)? {
            match frame {
                Frame::KeepAlive(length) => {
                    buffer.drain(..length);
                    if length == 4 {
                        let _ = raw.try_send(b"\r\n".to_vec());
                    }
                }
                Frame::Message(length) => {
                    let data: Vec<u8> = buffer.drain(..length).collect();
                    match SipMessage::try_from(data.as_slice()) {
                        Ok(message) => net.incoming(message, flow.clone(), endpoint).await,
                        Err(error) => {
                            tracing::debug!(peer = %flow.peer, %error, "no SIP message");
                            let agent = &net.config.user_agent;
                            match refuse::unreadable(&data, flow.peer, agent) {
                                Some(answer) => {
                                    let _ = raw.try_send(answer);
                                }
                                None => return Err("a message cannot be read".to_owned()),
                            }
                        }
                    }
                }
            }
        }
        let idle = net.config.timers.idle_max;
        let read = tokio::time::timeout(idle, reading.read(&mut chunk)).await;
        match read {
            Ok(Ok(0)) => return Ok(()),
            Ok(Ok(length)) => buffer.extend_from_slice(&chunk[..length]),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => {
                let (answer, used) = oneshot::channel();
                let question = Input::IsUsed(flow.transport, flow.peer, answer);
                let asked = net.input.send(question).await.is_ok();
                if !asked || !used.await.unwrap_or(false) {
                    return Err("it is silent, and no call uses it".to_owned());
                }
            }
        }
    }
}

enum Frame {
    /// So many bytes of line ends.
    KeepAlive(usize),
    /// A message of so many bytes.
    Message(usize),
}

/// What stands at the start of `buffer`, where it is whole.
fn frame(buffer: &[u8]) -> Result<Option<Frame>, String> {
    if buffer.starts_with(b"\r\n\r\n") {
        return Ok(Some(Frame::KeepAlive(4)));
    }
    if buffer.starts_with(b"\r\n") {
        // Two more bytes tell whether it is a ping; anything else is a pong.
        let decided = buffer.len() >= 4 || (buffer.len() == 3 && buffer[2] != b'\r');
        return Ok(decided.then_some(Frame::KeepAlive(2)));
    }
    let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return match buffer.len() > MESSAGE_MAX {
            true => Err("headers without end".to_owned()),
            false => Ok(None),
        };
    };
    let text = String::from_utf8_lossy(&buffer[..head]);
    let mut length = None;
    for line in text.split("\r\n").skip(1) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let name = name.trim();
        if name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("l") {
            let value: usize = value
                .trim()
                .parse()
                .map_err(|_| "Content-Length is no number".to_owned())?;
            if length.replace(value).is_some_and(|other| other != value) {
                return Err("two Content-Lengths".to_owned());
            }
        }
    }
    let length = length.unwrap_or(0);
    if length > MESSAGE_MAX {
        return Err("a message is too long".to_owned());
    }
    let whole = head + 4 + length;
    Ok((buffer.len() >= whole).then_some(Frame::Message(whole)))
}
