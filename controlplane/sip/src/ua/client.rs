//! Calls of ours, and the answers to all our requests.

use std::net::SocketAddr;

use rsipstack::sip::{Method, Response, Uri};

use super::leg::{Asking, Leg, Phase};
use super::server::{contact, party};
use super::within::cancel_of;
use super::{Purpose, Sent, UserAgent, unix_now};
use crate::message::{self, Extra};
use crate::{Cause, DialogKey, DialogState, Outbound, Role, SipEvent, txn};

impl UserAgent {
    /// Calls somebody.
    pub(super) fn invite(&mut self, key: DialogKey, call: &Outbound) {
        let refused = |agent: &mut Self, code: u16, reason: &str| {
            agent.tell(SipEvent::Rejected {
                key,
                code,
                reason: reason.to_owned(),
                contacts: Vec::new(),
            });
        };
        if self.legs.len() >= self.net.config.max_dialogs {
            return refused(self, 503, "too many dialogs");
        }
        let hop = call.proxy.as_ref().unwrap_or(&call.to);
        let Some(to) = txn::target(hop) else {
            return refused(self, 503, "not a URI to call");
        };
        // The address that the far end sees. A name is not resolved here: any
        // listener of that transport will do for it.
        let host = to
            .host
            .parse()
            .unwrap_or(std::net::Ipv4Addr::UNSPECIFIED.into());
        let peer = SocketAddr::new(host, to.port.unwrap_or(to.transport.default_port()));
        let Some(local) = self.net.local_for(to.transport, peer, None) else {
            return refused(self, 503, "no listener of that transport");
        };
        let dialog = DialogState {
            key,
            role: Role::Caller,
            call_id: format!("{:032x}", rand::random::<u128>()),
            remote_tag: String::new(),
            local_party: party(&call.from, &call.from_display),
            remote_party: party(&call.to, &call.to_display),
            local_cseq: rand::random::<u32>() >> 8,
            remote_cseq: None,
            invite_cseq: 0,
            route_set: call
                .proxy
                .iter()
                .map(|proxy| match proxy.contains(";lr") {
                    true => format!("<{proxy}>"),
                    false => format!("<{proxy};lr>"),
                })
                .collect(),
            remote_target: call.to.clone(),
            local_contact: contact(&call.contact_user, local, to.transport),
            transport: to.transport,
            local_address: local,
            peer_address: peer,
            confirmed: false,
            session_timer: None,
            refreshed_at_unix_s: unix_now(),
            peer_allows_update: false,
            local_sdp: call.sdp.clone(),
            remote_sdp: None,
            credentials: call.credentials.clone(),
        };
        let mut leg = Leg::new(dialog, Phase::Calling);
        leg.extra_headers.clone_from(&call.headers);
        self.legs.insert(key, leg);
        self.send_invite(key, Extra::default(), false);
    }

    /// Sends the INVITE, or sends it again with other headers.
    pub(super) fn send_invite(&mut self, key: DialogKey, more: Extra, authenticated: bool) {
        let session = self.session_wish(key);
        let agent = self.net.config.user_agent.clone();
        let id = self.new_id();
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let mut extra = super::server::capabilities()
            .with("Contact", format!("<{}>", leg.dialog.local_contact))
            .with("User-Agent", agent);
        extra.0.extend(session.0);
        for (name, value) in &leg.extra_headers {
            extra = extra.with(name, value.clone());
        }
        extra.0.extend(more.0);
        let body = leg
            .dialog
            .local_sdp
            .clone()
            .unwrap_or_default()
            .into_bytes();
        let we_offered = !body.is_empty();
        let request = leg
            .dialog
            .request(Method::Invite, None, extra, "application/sdp", body);
        let (Some(request), Some(mut to)) = (request, leg.target()) else {
            self.forget(key);
            return self.tell(SipEvent::Rejected {
                key,
                code: 503,
                reason: "not a URI to call".to_owned(),
                contacts: Vec::new(),
            });
        };
        to.local = Some(leg.dialog.local_address);
        leg.dialog.invite_cseq = leg.dialog.local_cseq;
        let branch = txn::new_branch();
        leg.asking = Some(Asking {
            id,
            cseq: leg.dialog.local_cseq,
            branch: branch.clone(),
            to: to.clone(),
            request: request.clone(),
            we_offered,
            proceeding: false,
            cancelled: false,
            refresh: false,
            early_answer: None,
            last_rseq: 0,
        });
        let sent = Sent {
            key,
            purpose: Purpose::Invite,
            request: request.clone(),
            to: to.clone(),
            authenticated,
            final_seen: false,
        };
        self.clients.insert(id, sent);
        txn::send_request(&self.net, &self.endpoint, id, request, branch, to);
    }

    /// Takes our INVITE back.
    pub(super) fn cancel(&mut self, key: DialogKey) {
        let limit = self.net.config.timers.t1 * 64;
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let Some(asking) = leg.asking.as_mut() else {
            return;
        };
        let first = !asking.cancelled;
        asking.cancelled = true;
        if !asking.proceeding {
            // Not before a provisional answer (RFC 3261 section 9.1); the INVITE's
            // own time-out ends what never answers.
            return;
        }
        if first || leg.give_up_at.is_none() {
            leg.give_up_at = Some(tokio::time::Instant::now() + limit);
            let cancel = cancel_of(&asking.request);
            let (to, branch) = (asking.to.clone(), asking.branch.clone());
            let id = self.new_id();
            txn::send_request(&self.net, &self.endpoint, id, cancel, branch, to);
            self.arm(key);
        }
    }

    /// An answer to a request of ours.
    pub(super) fn answered(&mut self, id: u64, response: &Response, peer: SocketAddr) {
        let Some(sent) = self.clients.get_mut(&id) else {
            return;
        };
        let code = response.status_code.code();
        if code >= 200 {
            sent.final_seen = true;
        }
        let (key, purpose) = (sent.key, sent.purpose.clone());
        if matches!(code, 401 | 407) && self.authenticate_again(id, response) {
            return;
        }
        if let Some(leg) = self.legs.get_mut(&key) {
            // Over a connection the way that worked is kept, whatever Contact says.
            leg.dialog.peer_address = peer;
        }
        match purpose {
            Purpose::Invite => self.invite_answered(key, id, code, response),
            Purpose::Reinvite => self.reinvite_answered(key, id, code, response),
            Purpose::Bye(cause) if code >= 200 => self.end(key, cause),
            Purpose::Refresh if code >= 200 => self.refreshed(key, code, response),
            Purpose::Other if matches!(code, 481 | 408) => self.gone(key, code),
            _ => {}
        }
    }

    /// The far end knows the dialog no more (RFC 3261 section 12.2.1.2).
    fn gone(&mut self, key: DialogKey, code: u16) {
        let is_dialog = |leg: &Leg| leg.phase.is_dialog();
        if !self.legs.get(&key).is_some_and(is_dialog) {
            return;
        }
        if code == 481 {
            self.end(key, Cause::Gone);
        } else {
            self.bye(key, Cause::Gone, "no answer");
        }
    }

    /// A request of ours was not sent.
    pub(super) fn unreachable(&mut self, id: u64) {
        let Some(sent) = self.clients.remove(&id) else {
            return;
        };
        self.failed(&sent, id, 503);
    }

    /// A client transaction is over.
    pub(super) fn client_gone(&mut self, id: u64) {
        if let Some(sent) = self.clients.remove(&id)
            && !sent.final_seen
        {
            self.failed(&sent, id, 408);
        }
    }

    fn failed(&mut self, sent: &Sent, id: u64, code: u16) {
        let key = sent.key;
        let unreachable = code == 503;
        match sent.purpose {
            Purpose::Invite => {
                let ours = |leg: &Leg| leg.asking.as_ref().is_some_and(|a| a.id == id);
                if self.legs.get(&key).is_some_and(ours) {
                    self.refused(key, code, "", Vec::new());
                }
            }
            Purpose::Reinvite => {
                let Some(leg) = self.legs.get_mut(&key) else {
                    return;
                };
                match leg.asking.take_if(|asking| asking.id == id) {
                    Some(asking) if asking.refresh => self.refresh_again(key),
                    Some(_) => {
                        self.tell(SipEvent::ReofferFailed { key, code });
                        self.arm(key);
                    }
                    None => {}
                }
            }
            Purpose::Bye(_) if unreachable => self.end(key, Cause::TransportFailed),
            Purpose::Bye(cause) => self.end(key, cause),
            Purpose::Refresh => self.refresh_again(key),
            Purpose::Notify | Purpose::Other => {}
        }
    }

    fn invite_answered(&mut self, key: DialogKey, id: u64, code: u16, response: &Response) {
        let Some(leg) = self.legs.get_mut(&key) else {
            // It was given up meanwhile.
            if (200..300).contains(&code) {
                self.ack_and_bye(key, response);
            }
            return;
        };
        let Some(asking) = leg.asking.as_mut().filter(|asking| asking.id == id) else {
            return;
        };
        if code < 200 {
            asking.proceeding = true;
            if asking.cancelled {
                return self.cancel(key);
            }
            if code > 100 {
                self.progress(key, code, response);
            }
            return;
        }
        let cancelled = asking.cancelled;
        match code {
            200..300 => self.taken(key, response, cancelled),
            422 if !cancelled && leg.min_se.is_none() => {
                let least = message::header(&response.headers, "Min-SE")
                    .and_then(|value| value.trim().parse().ok());
                // Asking for more than a day is no session timer.
                let Some(least) = least.filter(|least| *least <= 86_400) else {
                    return self.refused(key, code, "", Vec::new());
                };
                leg.min_se = Some(least);
                self.send_invite(key, Extra::default(), false);
            }
            _ => {
                let contacts = message::values(&response.headers, "Contact")
                    .iter()
                    .map(|value| message::NameAddr::parse(value).party.uri)
                    .collect();
                let contacts = if code < 400 { contacts } else { Vec::new() };
                let reason = match &response.wire_reason {
                    Some(reason) => reason.clone(),
                    None => response.status_code.text().to_owned(),
                };
                self.refused(key, code, &reason, contacts);
            }
        }
    }

    /// Our call came to nothing.
    fn refused(&mut self, key: DialogKey, code: u16, reason: &str, contacts: Vec<String>) {
        let Some(leg) = self.forget(key) else {
            return;
        };
        let cancelled = leg.asking.as_ref().is_some_and(|asking| asking.cancelled);
        self.tell(match cancelled {
            true => SipEvent::Ended {
                key,
                cause: Cause::Local,
            },
            false => SipEvent::Rejected {
                key,
                code,
                reason: reason.to_owned(),
                contacts,
            },
        });
    }

    fn progress(&mut self, key: DialogKey, code: u16, response: &Response) {
        let headers = &response.headers;
        let sdp = message::sdp(headers, &response.body);
        let number: Option<u32> = message::lists(headers, "Require", "100rel")
            .then(|| message::header(headers, "RSeq")?.trim().parse().ok())
            .flatten();
        if let Some(number) = number {
            let Some(leg) = self.legs.get_mut(&key) else {
                return;
            };
            let Some(asking) = leg.asking.as_mut() else {
                return;
            };
            if number <= asking.last_rseq {
                // Its PRACK is under way.
                return;
            }
            asking.last_rseq = number;
            if asking.we_offered && sdp.is_some() {
                asking.early_answer.clone_from(&sdp);
            }
            let cseq = asking.cseq;
            // The early dialog, whose number goes on in the one that may follow.
            let mut early = leg.dialog.clone();
            become_dialog(&mut early, response);
            let extra = Extra::default().with("RAck", format!("{number} {cseq} INVITE"));
            let prack = early.request(Method::PRack, None, extra, "", Vec::new());
            leg.dialog.local_cseq = early.local_cseq;
            let aim = Leg::new(early, Phase::Calling).target();
            if let (Some(request), Some(to)) = (prack, aim) {
                self.send(Sent {
                    key,
                    purpose: Purpose::Other,
                    request,
                    to,
                    authenticated: false,
                    final_seen: false,
                });
            }
        }
        self.tell(SipEvent::Progress { key, code, sdp });
    }

    /// Our call is taken.
    fn taken(&mut self, key: DialogKey, response: &Response, cancelled: bool) {
        let headers = &response.headers;
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let Some(asking) = leg.asking.take() else {
            return;
        };
        leg.give_up_at = None;
        become_dialog(&mut leg.dialog, response);
        leg.dialog.confirmed = true;
        let sdp = message::sdp(headers, &response.body);
        let sdp = sdp.or(asking.early_answer);
        leg.dialog.remote_sdp.clone_from(&sdp);
        self.take_session(key, headers);
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let Some(sdp) = sdp.filter(|_| !cancelled) else {
            // Taken back too late, or without a session.
            leg.phase = Phase::Established;
            self.send_ack(key, None);
            return self.bye(key, Cause::Local, "");
        };
        if asking.we_offered {
            leg.phase = Phase::Established;
            self.send_ack(key, None);
            self.tell(SipEvent::Established {
                key,
                answer: Some(sdp),
            });
        } else {
            leg.phase = Phase::Offered;
            self.tell(SipEvent::DelayedOffer { key, offer: sdp });
        }
        self.changed(key);
        self.arm(key);
    }

    fn reinvite_answered(&mut self, key: DialogKey, id: u64, code: u16, response: &Response) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        if code < 200 {
            return;
        }
        let Some(asking) = leg.asking.take_if(|asking| asking.id == id) else {
            return;
        };
        let cseq = asking.cseq;
        if code >= 300 {
            match code {
                481 | 408 => self.gone(key, code),
                _ if asking.refresh => return self.refresh_again(key),
                _ => self.tell(SipEvent::ReofferFailed { key, code }),
            }
            return self.arm(key);
        }
        leg.dialog.refresh_target(&response.headers);
        let sdp = message::sdp(&response.headers, &response.body);
        let same = leg.dialog.remote_sdp == sdp;
        if sdp.is_some() {
            leg.dialog.remote_sdp.clone_from(&sdp);
        }
        leg.dialog.invite_cseq = cseq;
        let over = matches!(leg.phase, Phase::Ending(_));
        self.take_session(key, &response.headers);
        match sdp {
            Some(offer) if !asking.we_offered && !over => {
                if let Some(leg) = self.legs.get_mut(&key) {
                    leg.phase = Phase::Offered;
                }
                self.tell(SipEvent::DelayedOffer { key, offer });
            }
            sdp => {
                self.send_ack(key, None);
                match sdp {
                    Some(answer) if !(asking.refresh && same) => {
                        self.tell(SipEvent::ReofferAnswered { key, answer });
                    }
                    Some(_) => {}
                    None if asking.refresh => {}
                    None => self.tell(SipEvent::ReofferFailed { key, code: 408 }),
                }
            }
        }
        self.changed(key);
        self.arm(key);
    }

    fn refreshed(&mut self, key: DialogKey, code: u16, response: &Response) {
        match code {
            200..300 => {
                self.take_session(key, &response.headers);
                self.changed(key);
                self.arm(key);
            }
            481 | 408 => self.gone(key, code),
            // 405 or 501: it does not take UPDATE after all.
            405 | 501 => {
                if let Some(leg) = self.legs.get_mut(&key) {
                    leg.dialog.peer_allows_update = false;
                }
                self.arm(key);
            }
            _ => self.refresh_again(key),
        }
    }

    /// The application's answer to the far end's offer.
    pub(super) fn acknowledge(&mut self, key: DialogKey, sdp: String) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        if leg.phase != Phase::Offered {
            return;
        }
        leg.phase = Phase::Established;
        let first = leg.dialog.local_sdp.is_none();
        leg.dialog.local_sdp = Some(sdp.clone());
        self.send_ack(key, Some(sdp));
        if first {
            self.tell(SipEvent::Established { key, answer: None });
        }
        self.changed(key);
        self.arm(key);
    }

    /// ACK of the 2xx that made or changed the dialog.
    pub(super) fn send_ack(&mut self, key: DialogKey, sdp: Option<String>) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let cseq = leg.dialog.invite_cseq;
        let body = sdp.unwrap_or_default().into_bytes();
        let extra = Extra::default();
        let ack = leg
            .dialog
            .request(Method::Ack, Some(cseq), extra, "application/sdp", body);
        let (Some(ack), Some(to)) = (ack, leg.target()) else {
            return;
        };
        leg.last_ack = Some((cseq, ack.clone()));
        txn::send_ack(&self.net, &self.endpoint, ack, to);
    }

    /// A 2xx whose transaction is over: repeated, or of another branch.
    pub(super) fn stray_2xx(&mut self, response: &Response) {
        let headers = &response.headers;
        let Some(key) = message::from(headers)
            .tag()
            .and_then(|tag| tag.parse().ok())
        else {
            return;
        };
        let tag = message::to(headers).tag().unwrap_or_default().to_owned();
        let number = message::cseq(headers).map(|(number, _)| number);
        match self.legs.get(&key) {
            Some(leg) if leg.dialog.matches(message::call_id(headers), &tag) => {
                let again = leg
                    .last_ack
                    .as_ref()
                    .filter(|(cseq, _)| Some(*cseq) == number);
                if let (Some((_, ack)), Some(to)) = (again, leg.target()) {
                    txn::send_ack(&self.net, &self.endpoint, ack.clone(), to);
                } else if leg.last_ack.is_none() && number == Some(leg.dialog.invite_cseq) {
                    // The ACK went down with a predecessor.
                    self.send_ack(key, None);
                }
            }
            Some(leg) if leg.called && leg.dialog.call_id == message::call_id(headers) => {
                self.ack_and_bye(key, response);
            }
            Some(_) => {}
            // Only for calls that were ours a moment ago: the rest of the world
            // shall not make us send anything anywhere.
            None if self.recent.contains(&key) => self.ack_and_bye(key, response),
            None => {}
        }
    }

    /// Ends a dialog that nobody wants, without making a leg of it.
    fn ack_and_bye(&mut self, key: DialogKey, response: &Response) {
        let headers = &response.headers;
        let cseq = message::cseq(headers).map_or(1, |(number, _)| number);
        let (from, to) = (message::from(headers), message::to(headers));
        let address = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut dialog = DialogState {
            key,
            role: Role::Caller,
            call_id: message::call_id(headers).to_owned(),
            remote_tag: String::new(),
            local_party: from.party,
            remote_party: to.party,
            local_cseq: cseq,
            remote_cseq: None,
            invite_cseq: cseq,
            route_set: Vec::new(),
            remote_target: String::new(),
            local_contact: String::new(),
            transport: crate::Transport::Udp,
            local_address: address,
            peer_address: address,
            confirmed: true,
            session_timer: None,
            refreshed_at_unix_s: 0,
            peer_allows_update: false,
            local_sdp: None,
            remote_sdp: None,
            credentials: None,
        };
        become_dialog(&mut dialog, response);
        let ack = dialog.request(Method::Ack, Some(cseq), Extra::default(), "", Vec::new());
        let bye = dialog.request(Method::Bye, None, Extra::default(), "", Vec::new());
        let Some(target) = txn::target(&dialog.next_hop()) else {
            return;
        };
        if let (Some(ack), Some(bye)) = (ack, bye) {
            txn::send_ack(&self.net, &self.endpoint, ack, target.clone());
            self.send(Sent {
                key,
                purpose: Purpose::Other,
                request: bye,
                to: target,
                authenticated: true,
                final_seen: false,
            });
        }
    }
}

/// What a 2xx or provisional answer says of the dialog (RFC 3261 section 12.1.2).
fn become_dialog(dialog: &mut DialogState, response: &Response) {
    let headers = &response.headers;
    let to = message::to(headers);
    dialog.remote_tag = to.tag().unwrap_or_default().to_owned();
    if let Some(uri) =
        message::contact_uri(headers).filter(|uri| Uri::try_from(uri.as_str()).is_ok())
    {
        dialog.remote_target = uri;
    }
    dialog.peer_allows_update = message::lists(headers, "Allow", "UPDATE");
    dialog.take_routes(headers);
}
