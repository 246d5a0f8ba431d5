//! Requests that come in: out of any dialog, and the INVITE that makes one.

use rsipstack::sip::{Method, Request};
use rsipstack::transaction::transaction::Transaction;

use super::leg::{Answering, Leg, Phase};
use super::{UserAgent, merge_key};
use crate::message::{self, Extra};
use crate::net::peer_of;
use crate::{Cause, DialogKey, DialogState, Party, Replaces, Role, SipEvent, Transport, txn};
use std::net::SocketAddr;

/// Extensions that an INVITE may require.
const KNOWN: [&str; 4] = ["timer", "100rel", "replaces", "histinfo"];

/// Where a request came from and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) transport: Transport,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

pub(super) fn origin(transaction: &Transaction) -> Option<Origin> {
    let address = transaction.connection.as_ref()?.get_addr();
    let transport = match address.r#type? {
        rsipstack::sip::Transport::Udp => Transport::Udp,
        rsipstack::sip::Transport::Tcp => Transport::Tcp,
        rsipstack::sip::Transport::Tls => Transport::Tls,
        _ => return None,
    };
    Some(Origin {
        transport,
        local: address.get_socketaddr().ok()?,
        peer: peer_of(&transaction.original)?,
    })
}

impl UserAgent {
    /// A new server transaction.
    pub(super) fn incoming(&mut self, mut transaction: Transaction) {
        let Some(origin) = origin(&transaction) else {
            return;
        };
        transaction.destination = Some(crate::net::sip_addr(origin.transport, origin.peer));
        let headers = &transaction.original.headers;
        let hops = message::header(headers, "Max-Forwards").map(|hops| hops.trim().parse::<u32>());
        match hops {
            Some(Ok(0)) => return self.refuse(transaction, 483, Extra::default()),
            Some(Err(_)) => return self.refuse(transaction, 400, Extra::default()),
            _ => {}
        }
        match message::to(headers).tag() {
            Some(tag) => {
                let key = tag.parse::<DialogKey>().ok();
                self.within(key, transaction, origin);
            }
            None => self.outside(transaction, origin),
        }
    }

    fn outside(&mut self, transaction: Transaction, origin: Origin) {
        match transaction.original.method {
            Method::Invite => self.called(transaction, origin),
            Method::Options => {
                let code = if self.is_full() { 503 } else { 200 };
                let extra = match code {
                    200 => capabilities(),
                    _ => self.retry_after(),
                };
                self.refuse(transaction, code, extra);
            }
            Method::Subscribe | Method::Publish => self.refuse(
                transaction,
                489,
                Extra::default().with("Allow-Events", "refer"),
            ),
            Method::Message | Method::Register => {
                self.refuse(
                    transaction,
                    405,
                    Extra::default().with("Allow", message::ALLOW),
                );
            }
            _ => self.refuse(transaction, 481, Extra::default()),
        }
    }

    /// A final answer to a request that makes no leg.
    pub(super) fn refuse(&self, transaction: Transaction, code: u16, extra: Extra) {
        let tag = format!("{:08x}", rand::random::<u32>());
        let response = self.response(&transaction.original, code, &tag, extra, None);
        if transaction.original.method == Method::Invite {
            let invite = txn::serve_invite(&self.net, 0, transaction);
            invite.answer(response);
        } else {
            txn::answer(&self.net, transaction, response);
        }
    }

    fn retry_after(&self) -> Extra {
        Extra::default().with("Retry-After", self.net.config.retry_after_s.to_string())
    }

    fn is_full(&self) -> bool {
        self.legs.len() >= self.net.config.max_dialogs || self.is_overloaded()
    }

    fn called(&mut self, transaction: Transaction, origin: Origin) {
        let request = transaction.original.clone();
        let headers = &request.headers;
        if self.is_full() {
            let extra = self.retry_after();
            let tag = format!("{:08x}", rand::random::<u32>());
            let response = self.response(&request, 503, &tag, extra, None);
            // No leg and no task: the transaction goes with its answer.
            return txn::answer(&self.net, transaction, response);
        }
        if self.pending.contains(&merge_key(&request)) {
            return self.refuse(transaction, 482, Extra::default());
        }
        let unknown: Vec<String> = message::values(headers, "Require")
            .into_iter()
            .filter(|tag| !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(tag)))
            .collect();
        if !unknown.is_empty() {
            let extra = Extra::default().with("Unsupported", unknown.join(", "));
            return self.refuse(transaction, 420, extra);
        }
        let Some(remote_target) = message::contact_uri(headers) else {
            let extra = Extra::default().with("Warning", "399 plenum \"Contact is missing\"");
            return self.refuse(transaction, 400, extra);
        };
        let offer = message::sdp(headers, &request.body);
        if offer.is_none() && !request.body.is_empty() {
            let extra = Extra::default().with("Accept", message::ACCEPT);
            return self.refuse(transaction, 415, extra);
        }
        if let Some(extra) = self.session_too_small(headers) {
            return self.refuse(transaction, 422, extra);
        }
        let authenticated = match self.authenticate(&request) {
            Ok(user) => user,
            Err((code, extra)) => return self.refuse(transaction, code, extra),
        };
        let key = DialogKey(rand::random());
        let dialog = new_dialog(key, &request, origin, remote_target, offer.clone());
        let replaces = self.replaces(&request);
        let event = SipEvent::Invite {
            key,
            request_uri: request.uri.to_string(),
            from: dialog.remote_party.clone(),
            to: dialog.local_party.clone(),
            call_id: dialog.call_id.clone(),
            offer: offer.clone(),
            peer: origin.peer,
            local: origin.local,
            transport: origin.transport,
            user_agent: message::header(headers, "User-Agent")
                .unwrap_or_default()
                .to_owned(),
            authenticated,
            replaces,
        };
        let id = self.new_id();
        let trying = self.response(&request, 100, "", Extra::default(), None);
        let server = txn::serve_invite(&self.net, id, transaction);
        server.answer(trying);
        self.pending.insert(merge_key(&request));
        self.servers.insert(id, key);
        let mut leg = Leg::new(dialog, Phase::Incoming);
        leg.answering = Some(Answering {
            id,
            request,
            transaction: server,
            we_offer: offer.is_none(),
            answered: false,
        });
        self.legs.insert(key, leg);
        self.tell(event);
    }

    fn replaces(&self, request: &Request) -> Option<Replaces> {
        let value = message::header(&request.headers, "Replaces")?;
        let (call_id, params) = value.split_once(';')?;
        let to_tag = message::param(params, "to-tag")?;
        let from_tag = message::param(params, "from-tag")?;
        let key = to_tag.parse().ok().filter(|key| {
            self.legs
                .get(key)
                .is_some_and(|leg| leg.dialog.matches(call_id.trim(), from_tag))
        });
        Some(Replaces {
            key,
            early_only: message::param(params, "early-only").is_some(),
        })
    }

    /// The application answers provisionally.
    pub(super) fn provisional(&mut self, key: DialogKey, code: u16, sdp: Option<String>) {
        let Some(leg) = self.legs.get(&key) else {
            return;
        };
        let (Phase::Incoming, Some(answering)) = (leg.phase, &leg.answering) else {
            return;
        };
        let reliable = message::lists(&answering.request.headers, "Require", "100rel");
        if reliable && leg.reliable.is_some() {
            // Only one at a time may wait for its PRACK (RFC 3262 section 3).
            return;
        }
        let mut extra = Extra::default().with("Contact", format!("<{}>", leg.dialog.local_contact));
        if reliable {
            let number = leg.last_rseq + 1;
            extra = extra
                .with("Require", "100rel")
                .with("RSeq", number.to_string());
        }
        let tag = key.to_string();
        let request = &answering.request;
        let response = self.response(request, code, &tag, extra, sdp.as_deref());
        answering.transaction.answer(response.clone());
        if let Some(leg) = self.legs.get_mut(&key) {
            if reliable {
                leg.wait_for_prack(response, self.net.config.timers.t1);
            }
            if sdp.is_some() {
                leg.dialog.local_sdp = sdp;
            }
        }
        self.arm(key);
    }

    /// The application takes the call.
    pub(super) fn accept(&mut self, key: DialogKey, sdp: String) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        if leg.phase != Phase::Incoming {
            return;
        }
        let Some(mut answering) = leg.answering.take() else {
            return;
        };
        leg.reliable = None;
        leg.dialog.local_sdp = Some(sdp);
        let session = self.agree_session(key, &answering.request);
        self.pending.remove(&merge_key(&answering.request));
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let mut extra = capabilities().with("Contact", format!("<{}>", leg.dialog.local_contact));
        extra.0.extend(session.0);
        leg.phase = Phase::Answered;
        answering.answered = true;
        let sdp = leg.dialog.local_sdp.clone();
        let response = message::response(
            &answering.request,
            200,
            &key.to_string(),
            &self.net.config.user_agent,
            extra,
            sdp.as_deref(),
        );
        answering.transaction.answer(response);
        leg.answering = Some(answering);
        self.changed(key);
        self.arm(key);
    }

    /// The application refuses the call.
    pub(super) fn reject(&mut self, key: DialogKey, code: u16, reason: &str, after: Option<u32>) {
        let is_new = |leg: &Leg| leg.phase == Phase::Incoming;
        if !self.legs.get(&key).is_some_and(is_new) {
            return;
        }
        let mut extra =
            Extra::default().maybe("Retry-After", after.map(|seconds| seconds.to_string()));
        if !reason.is_empty() {
            extra = extra.with("Warning", warning(reason));
        }
        self.finish_incoming(key, code, extra);
        self.end(key, Cause::Local);
    }

    /// Sends the final answer to a call that is not taken.
    pub(super) fn finish_incoming(&mut self, key: DialogKey, code: u16, extra: Extra) {
        let Some(answering) = self.legs.get(&key).and_then(|leg| leg.answering.as_ref()) else {
            return;
        };
        let request = &answering.request;
        let response = self.response(request, code, &key.to_string(), extra, None);
        answering.transaction.answer(response);
    }

    /// CANCEL came; its 200 is out.
    pub(super) fn cancelled(&mut self, id: u64) {
        let Some(key) = self.servers.get(&id).copied() else {
            return;
        };
        let Some(leg) = self.legs.get(&key) else {
            return;
        };
        if leg.phase == Phase::Incoming {
            self.finish_incoming(key, 487, Extra::default());
            self.end(key, Cause::Cancel);
        } else if leg
            .answering
            .as_ref()
            .is_some_and(|answering| answering.id == id && !answering.answered)
        {
            // A re-INVITE was taken back.
            self.answer_reinvite(key, 487, Extra::default(), None);
        }
    }

    /// The transaction of an INVITE is over.
    pub(super) fn server_gone(&mut self, id: u64) {
        let Some(key) = self.servers.remove(&id) else {
            return;
        };
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let Some(answering) = leg.answering.take_if(|answering| answering.id == id) else {
            return;
        };
        if !answering.answered {
            self.pending.remove(&merge_key(&answering.request));
            if leg.phase == Phase::Incoming {
                self.end(key, Cause::Timeout);
            }
            return;
        }
        // Answered and never acknowledged (RFC 3261 section 13.3.1.4).
        self.bye(key, Cause::Timeout, "ACK was missing");
    }

    /// The ACK of our final answer.
    pub(super) fn acked(&mut self, id: u64, ack: &Request) {
        let Some(key) = self.servers.get(&id).copied() else {
            return;
        };
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let Some(answering) = leg.answering.take_if(|a| a.id == id && a.answered) else {
            return;
        };
        leg.dialog.confirmed = true;
        let answer = match answering.we_offer {
            true => message::sdp(&ack.headers, &ack.body),
            false => None,
        };
        if answer.is_some() {
            leg.dialog.remote_sdp.clone_from(&answer);
        }
        if let Some(reason) = leg.bye_wanted.take() {
            return self.bye(key, Cause::Local, &reason);
        }
        if leg.phase == Phase::Answered {
            leg.phase = Phase::Established;
            if answering.we_offer && answer.is_none() {
                // Our offer was left without answer: there is no session.
                return self.bye(key, Cause::Local, "no answer to the offer");
            }
            self.tell(SipEvent::Established { key, answer });
        } else if answering.we_offer {
            self.tell(match answer {
                Some(answer) => SipEvent::ReofferAnswered { key, answer },
                None => SipEvent::ReofferFailed { key, code: 408 },
            });
        }
        self.changed(key);
        self.arm(key);
    }

    /// An ACK whose transaction went down with a predecessor.
    pub(super) fn stray_ack(&mut self, ack: &Request) {
        let headers = &ack.headers;
        let Some(key) = message::to(headers).tag().and_then(|tag| tag.parse().ok()) else {
            return;
        };
        let remote = message::from(headers);
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let ours = leg
            .dialog
            .matches(message::call_id(headers), remote.tag().unwrap_or_default());
        if !leg.unacknowledged || !ours {
            return;
        }
        leg.unacknowledged = false;
        leg.dialog.confirmed = true;
        let answer = match leg.dialog.remote_sdp {
            Some(_) => None,
            None => message::sdp(headers, &ack.body),
        };
        if answer.is_some() {
            leg.dialog.remote_sdp.clone_from(&answer);
        }
        self.tell(SipEvent::Established { key, answer });
        self.changed(key);
    }
}

/// What an OPTIONS or INVITE is told that we can do.
pub(super) fn capabilities() -> Extra {
    Extra::default()
        .with("Allow", message::ALLOW)
        .with("Accept", message::ACCEPT)
        .with("Supported", message::SUPPORTED)
}

pub(super) fn warning(reason: &str) -> String {
    let text: String = reason
        .chars()
        .map(|next| {
            if matches!(next, '"' | '\\') {
                '\''
            } else {
                next
            }
        })
        .collect();
    format!("399 plenum \"{text}\"")
}

fn new_dialog(
    key: DialogKey,
    request: &Request,
    origin: Origin,
    remote_target: String,
    offer: Option<String>,
) -> DialogState {
    let headers = &request.headers;
    let (from, to) = (message::from(headers), message::to(headers));
    let cseq = message::cseq(headers).map_or(0, |(number, _)| number);
    let user = request.uri.user().unwrap_or_default();
    let mut dialog = DialogState {
        key,
        role: Role::Callee,
        call_id: message::call_id(headers).to_owned(),
        remote_tag: from.tag().unwrap_or_default().to_owned(),
        local_party: to.party,
        remote_party: from.party,
        local_cseq: 0,
        remote_cseq: Some(cseq),
        invite_cseq: cseq,
        route_set: Vec::new(),
        remote_target,
        local_contact: contact(user, origin.local, origin.transport),
        transport: origin.transport,
        local_address: origin.local,
        peer_address: origin.peer,
        confirmed: false,
        session_timer: None,
        refreshed_at_unix_s: super::unix_now(),
        peer_allows_update: message::lists(headers, "Allow", "UPDATE"),
        local_sdp: None,
        remote_sdp: offer,
        credentials: None,
    };
    dialog.take_routes(headers);
    dialog
}

/// Our Contact URI.
pub(super) fn contact(user: &str, local: SocketAddr, transport: Transport) -> String {
    let at = match user {
        "" => String::new(),
        user => format!("{user}@"),
    };
    let how = match transport {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
        Transport::Tls => ";transport=tls",
    };
    format!("sip:{at}{local}{how}")
}

/// A name and address as the application gave it.
pub(super) fn party(uri: &str, display: &str) -> Party {
    Party {
        uri: uri.to_owned(),
        display: display.to_owned(),
    }
}
