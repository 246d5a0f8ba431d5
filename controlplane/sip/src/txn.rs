//! One task for each transaction of rsipstack, and what it tells the core.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rsipstack::sip::headers::make_header;
use rsipstack::sip::{Host, Method, Request, Response, SipMessage, Uri};
use rsipstack::transaction::endpoint::EndpointInnerRef;
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::{Transaction, TransactionEvent, TransactionEventSender};

use tokio::sync::oneshot;

use rsipstack::transport::transport_layer::{DefaultDomainResolver, DomainResolver};

use crate::Transport;
use crate::message;
use crate::net::{Flow, Net, sip_addr};

/// What reaches the core from the tasks.
pub(crate) enum Input {
    /// The ACK of a final answer of ours.
    Acked(u64, Box<Request>),
    /// CANCEL; already answered 200.
    Cancelled(u64),
    /// An INVITE's server transaction is over.
    ServerGone(u64),
    /// An answer to a request of ours, and where the request had gone.
    Answer(u64, Box<Response>, SocketAddr),
    /// A request of ours could not be sent.
    Unreachable(u64),
    /// A client transaction is over.
    ClientGone(u64),
    /// A 2xx to an INVITE whose transaction is over.
    Stray2xx(Box<Response>),
    /// An ACK without transaction.
    StrayAck(Box<Request>),
    /// Whether a dialog uses a connection that is silent.
    IsUsed(Transport, SocketAddr, oneshot::Sender<bool>),
}

/// A far end to be reached.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) transport: Transport,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// A connection on which the dialog lives.
    pub(crate) peer: Option<SocketAddr>,
    /// The listener whose address the far end knows.
    pub(crate) local: Option<SocketAddr>,
}

/// An INVITE that is being answered.
pub(crate) struct ServerInvite {
    answers: TransactionEventSender,
}

impl ServerInvite {
    /// Answers; the transaction repeats a final answer until the ACK comes.
    pub(crate) fn answer(&self, response: Response) {
        let _ = self.answers.send(TransactionEvent::Respond(response));
    }
}

/// Serves an INVITE.
pub(crate) fn serve_invite(net: &Arc<Net>, id: u64, mut transaction: Transaction) -> ServerInvite {
    let answers = transaction.tu_sender.clone();
    let input = net.input.clone();
    net.tasks.spawn(async move {
        while let Some(message) = transaction.receive().await {
            let SipMessage::Request(request) = message else {
                continue;
            };
            let told = match request.method {
                Method::Ack => Input::Acked(id, Box::new(request)),
                Method::Cancel => Input::Cancelled(id),
                _ => continue,
            };
            if input.send(told).await.is_err() {
                return;
            }
        }
        let _ = input.send(Input::ServerGone(id)).await;
    });
    ServerInvite { answers }
}

/// Answers a request other than INVITE.
pub(crate) fn answer(net: &Net, mut transaction: Transaction, response: Response) {
    net.tasks.spawn(async move {
        if let Err(error) = transaction.respond(response).await {
            tracing::debug!(%error, "an answer was not sent");
        }
    });
}

/// Sends a request without a transaction: ACK of a 2xx.
pub(crate) fn send_ack(net: &Arc<Net>, endpoint: &EndpointInnerRef, mut ack: Request, to: Target) {
    let (task_net, endpoint) = (net.clone(), endpoint.clone());
    net.tasks.spawn(async move {
        let net = task_net;
        match reach(&net, &endpoint, &to).await {
            Ok(flow) => {
                push_via(&mut ack, &flow, &new_branch());
                let destination = flow.destination();
                let sent = flow.connection.send(ack.into(), Some(&destination)).await;
                if let Err(error) = sent {
                    tracing::debug!(%error, "an ACK was not sent");
                }
            }
            Err(error) => tracing::info!(%error, ?to, "an ACK cannot be sent"),
        }
    });
}

/// Sends a request and reports its answers. `branch` becomes that of its Via.
pub(crate) fn send_request(
    net: &Arc<Net>,
    endpoint: &EndpointInnerRef,
    id: u64,
    mut request: Request,
    branch: String,
    to: Target,
) {
    let (task_net, endpoint) = (net.clone(), endpoint.clone());
    let input = net.input.clone();
    net.tasks.spawn(async move {
        let net = task_net;
        let flow = match reach(&net, &endpoint, &to).await {
            Ok(flow) => flow,
            Err(error) => {
                tracing::info!(%error, ?to, "a far end cannot be reached");
                let _ = input.send(Input::Unreachable(id)).await;
                return;
            }
        };
        push_via(&mut request, &flow, &branch);
        let Ok(key) = TransactionKey::from_request(&request, TransactionRole::Client) else {
            let _ = input.send(Input::Unreachable(id)).await;
            return;
        };
        let mut transaction = Transaction::new_client(
            key,
            request,
            endpoint.clone(),
            Some(flow.connection.clone()),
        );
        transaction.destination = Some(flow.destination());
        if transaction.send().await.is_err() {
            let _ = input.send(Input::Unreachable(id)).await;
            return;
        }
        while let Some(message) = transaction.receive().await {
            if let SipMessage::Response(response) = message {
                let answer = Input::Answer(id, Box::new(response), flow.peer);
                if input.send(answer).await.is_err() {
                    return;
                }
            }
        }
        let _ = input.send(Input::ClientGone(id)).await;
    });
}

/// Finds the way to a far end.
async fn reach(net: &Arc<Net>, endpoint: &EndpointInnerRef, to: &Target) -> io::Result<Flow> {
    let stream = to.transport.is_reliable();
    if stream
        && let Some(peer) = to.peer
        && let Some(flow) = net.connected(to.transport, peer)
    {
        return Ok(flow);
    }
    let peer = resolve(to).await?;
    net.flow(to.transport, peer, to.local, &to.host, endpoint)
        .await
}

async fn resolve(to: &Target) -> io::Result<SocketAddr> {
    let host = to.host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = host.parse::<IpAddr>() {
        let port = to.port.unwrap_or(to.transport.default_port());
        return Ok(SocketAddr::new(ip, port));
    }
    if to.port.is_none() {
        // Without a port SRV records say where (RFC 3263 section 4.2).
        let mut wanted = sip_addr(to.transport, SocketAddr::from(([0, 0, 0, 0], 0)));
        wanted.addr.host = Host::Domain(host.into());
        wanted.addr.port = None;
        if let Ok(found) = DefaultDomainResolver::new().resolve(&wanted).await
            && let Ok(address) = found.get_socketaddr()
        {
            return Ok(address);
        }
    }
    let port = to.port.unwrap_or(to.transport.default_port());
    tokio::net::lookup_host((host, port))
        .await?
        .next()
        .ok_or_else(|| io::Error::other("the name has no address"))
}

/// The target that a URI names.
pub(crate) fn target(text: &str) -> Option<Target> {
    let uri = Uri::try_from(text).ok()?;
    let lower = text.to_ascii_lowercase();
    let secure = lower.starts_with("sips:");
    if !secure && !lower.starts_with("sip:") {
        return None;
    }
    let params = lower.split('?').next()?.split_once(';');
    let named = params.and_then(|(_, params)| message::param(params, "transport"));
    let transport = match named {
        _ if secure => Transport::Tls,
        Some("tcp") => Transport::Tcp,
        Some("tls") => Transport::Tls,
        Some("udp") | None => Transport::Udp,
        Some(_) => return None,
    };
    let host = match &uri.host_with_port.host {
        Host::IpAddr(ip) => ip.to_string(),
        Host::Domain(domain) => domain.to_string(),
    };
    Some(Target {
        transport,
        host,
        port: uri.host_with_port.port.map(|port| port.value()),
        peer: None,
        local: None,
    })
}

pub(crate) fn new_branch() -> String {
    format!("z9hG4bK{:032x}", rand::random::<u128>())
}

fn push_via(request: &mut Request, flow: &Flow, branch: &str) {
    let value = format!(
        "SIP/2.0/{} {};branch={branch};rport",
        flow.transport, flow.local
    );
    request.headers.push_front(make_header("Via", value));
}
