//! Requests inside dialogs, of the far end and of ours.

use rsipstack::sip::{Method, Request};
use rsipstack::transaction::transaction::Transaction;

use super::leg::{Answering, Phase};
use super::server::{Origin, capabilities, warning};
use super::{Purpose, Sent, UserAgent, Waiting};
use crate::dialog::Order;
use crate::message::{self, Extra};
use crate::{Cause, DialogKey, SipEvent, TxnId, txn};

/// Length of a digit where INFO does not say.
const DIGIT_MS: u16 = 250;

impl UserAgent {
    /// A request with our tag.
    pub(super) fn within(
        &mut self,
        key: Option<DialogKey>,
        transaction: Transaction,
        origin: Origin,
    ) {
        let request = transaction.original.clone();
        let headers = &request.headers;
        let remote = message::from(headers);
        let known = key.filter(|key| {
            self.legs.get(key).is_some_and(|leg| {
                let tag = remote.tag().unwrap_or_default();
                leg.dialog.matches(message::call_id(headers), tag)
            })
        });
        let Some(key) = known else {
            return self.refuse(transaction, 481, Extra::default());
        };
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let tag = key.to_string();
        let number = message::cseq(headers).map_or(0, |(number, _)| number);
        if leg.dialog.take_cseq(number) == Order::Late {
            return self.refuse(transaction, 500, Extra::default());
        }
        leg.dialog.peer_address = origin.peer;
        if request.method != Method::Bye {
            let unknown = message::values(headers, "Require");
            let known = ["timer", "100rel", "replaces"];
            let unknown: Vec<_> = unknown
                .into_iter()
                .filter(|tag| !known.iter().any(|known| known.eq_ignore_ascii_case(tag)))
                .collect();
            if !unknown.is_empty() {
                let extra = Extra::default().with("Unsupported", unknown.join(", "));
                return self.reply_any(transaction, 420, &tag, extra);
            }
        }
        match request.method {
            Method::Bye => {
                self.reply(transaction, 200, &tag, Extra::default());
                self.byed(key);
            }
            Method::Invite => self.reinvited(key, transaction),
            Method::Update => self.updated(key, transaction),
            Method::Info => self.informed(key, transaction),
            Method::Options => self.reply(transaction, 200, &tag, capabilities()),
            Method::PRack => self.pracked(key, transaction),
            Method::Refer => self.referred(key, transaction),
            Method::Notify => self.reply(transaction, 200, &tag, Extra::default()),
            Method::Subscribe | Method::Publish => {
                let extra = Extra::default().with("Allow-Events", "refer");
                self.reply(transaction, 489, &tag, extra);
            }
            _ => {
                let extra = Extra::default().with("Allow", message::ALLOW);
                self.reply(transaction, 405, &tag, extra);
            }
        }
    }

    /// A final answer to any request inside a dialog.
    pub(super) fn reply_any(&self, transaction: Transaction, code: u16, tag: &str, extra: Extra) {
        if transaction.original.method != Method::Invite {
            return self.reply(transaction, code, tag, extra);
        }
        let response = self.response(&transaction.original, code, tag, extra, None);
        txn::serve_invite(&self.net, 0, transaction).answer(response);
    }

    fn byed(&mut self, key: DialogKey) {
        let Some(leg) = self.legs.get(&key) else {
            return;
        };
        // An INVITE that still waits is answered too (RFC 3261 section 15.1.2).
        if let Some(answering) = leg.answering.as_ref().filter(|a| !a.answered) {
            let tag = key.to_string();
            let response = self.response(&answering.request, 487, &tag, Extra::default(), None);
            answering.transaction.answer(response);
        }
        let cause = match leg.phase {
            Phase::Ending(cause) => cause,
            _ => Cause::Bye,
        };
        self.end(key, cause);
    }

    fn informed(&mut self, key: DialogKey, transaction: Transaction) {
        let tag = key.to_string();
        if self.is_overloaded() {
            let after = self.net.config.retry_after_s.to_string();
            let extra = Extra::default().with("Retry-After", after);
            return self.reply(transaction, 503, &tag, extra);
        }
        let request = transaction.original.clone();
        self.reply(transaction, 200, &tag, Extra::default());
        let content_type = message::content_type(&request.headers);
        if request.body.is_empty() {
            return;
        }
        let event = match digit(&content_type, &request.body) {
            Some((digit, duration_ms)) => SipEvent::DtmfInfo {
                key,
                digit,
                duration_ms,
            },
            None => SipEvent::Info {
                key,
                content_type,
                body: request.body,
            },
        };
        self.tell(event);
    }

    fn pracked(&mut self, key: DialogKey, transaction: Transaction) {
        let tag = key.to_string();
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let named = message::header(&transaction.original.headers, "RAck")
            .and_then(|value| value.split_whitespace().next()?.parse::<u32>().ok());
        let wanted = leg.reliable.as_ref().map(|reliable| reliable.number);
        if wanted.is_none() || named != wanted {
            return self.reply(transaction, 481, &tag, Extra::default());
        }
        leg.reliable = None;
        self.reply(transaction, 200, &tag, Extra::default());
        self.arm(key);
    }

    fn referred(&mut self, key: DialogKey, transaction: Transaction) {
        let tag = key.to_string();
        let headers = &transaction.original.headers;
        let Some(refer_to) = message::header(headers, "Refer-To") else {
            return self.reply(transaction, 400, &tag, Extra::default());
        };
        if self.is_overloaded() || self.waiting.len() >= self.net.config.max_dialogs {
            return self.reply(transaction, 503, &tag, Extra::default());
        }
        let event = SipEvent::Refer {
            key,
            txn: TxnId(self.next_id + 1),
            refer_to: message::NameAddr::parse(refer_to).party.uri,
            referred_by: message::header(headers, "Referred-By")
                .unwrap_or_default()
                .to_owned(),
        };
        let id = self.new_id();
        self.waiting.insert(id, Waiting { key, transaction });
        self.tell(event);
    }

    pub(super) fn accept_refer(&mut self, key: DialogKey, txn: TxnId) {
        let Some(waiting) = self.waiting.remove(&txn.0) else {
            return;
        };
        let Some(leg) = self.legs.get(&key) else {
            return;
        };
        let contact = format!("<{}>", leg.dialog.local_contact);
        let extra = Extra::default().with("Contact", contact);
        self.reply(waiting.transaction, 202, &key.to_string(), extra);
        self.notify_refer(key, 100);
    }

    pub(super) fn reject_refer(&mut self, key: DialogKey, txn: TxnId, code: u16) {
        if let Some(waiting) = self.waiting.remove(&txn.0) {
            self.reply(
                waiting.transaction,
                code,
                &key.to_string(),
                Extra::default(),
            );
        }
    }

    pub(super) fn notify_refer(&mut self, key: DialogKey, code: u16) {
        let state = match code {
            100..200 => "active;expires=60",
            _ => "terminated;reason=noresource",
        };
        let extra = Extra::default()
            .with("Event", "refer")
            .with("Subscription-State", state);
        let reason = rsipstack::sip::StatusCode::try_from((code, "Unknown"))
            .map(|status| status.text().to_owned())
            .unwrap_or_default();
        let body = format!("SIP/2.0 {code} {reason}\r\n").into_bytes();
        let kind = "message/sipfrag;version=2.0";
        self.send_within(key, Method::Notify, Purpose::Notify, extra, kind, body);
    }

    pub(super) fn send_info(&mut self, key: DialogKey, content_type: &str, body: Vec<u8>) {
        let stands = |phase| phase == Phase::Established;
        if self.legs.get(&key).is_some_and(|leg| stands(leg.phase)) {
            let extra = Extra::default();
            self.send_within(key, Method::Info, Purpose::Other, extra, content_type, body);
        }
    }

    /// Sends a request in a dialog.
    pub(super) fn send_within(
        &mut self,
        key: DialogKey,
        method: Method,
        purpose: Purpose,
        extra: Extra,
        content_type: &str,
        body: Vec<u8>,
    ) {
        let agent = self.net.config.user_agent.clone();
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let mut headers = Extra::default().with("User-Agent", agent);
        if matches!(method, Method::Update | Method::Notify | Method::Refer) {
            headers = headers.with("Contact", format!("<{}>", leg.dialog.local_contact));
        }
        headers.0.extend(extra.0);
        let request = leg
            .dialog
            .request(method, None, headers, content_type, body);
        let (Some(request), Some(to)) = (request, leg.target()) else {
            tracing::info!(target = leg.dialog.remote_target, "not a URI to send to");
            if let Purpose::Bye(_) = purpose {
                self.end(key, Cause::TransportFailed);
            }
            return;
        };
        self.send(Sent {
            key,
            purpose,
            request,
            to,
            authenticated: false,
            final_seen: false,
        });
        self.changed(key);
    }

    /// Starts a client transaction for anything but INVITE.
    pub(super) fn send(&mut self, sent: Sent) -> u64 {
        let id = self.new_id();
        let (request, to) = (sent.request.clone(), sent.to.clone());
        let branch = txn::new_branch();
        txn::send_request(&self.net, &self.endpoint, id, request, branch, to);
        self.clients.insert(id, sent);
        id
    }

    /// Says BYE; `cause` is told once the far end has confirmed it.
    pub(super) fn bye(&mut self, key: DialogKey, cause: Cause, reason: &str) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        if matches!(leg.phase, Phase::Ending(_)) {
            return;
        }
        leg.phase = Phase::Ending(cause);
        leg.reliable = None;
        let mut extra = Extra::default();
        if !reason.is_empty() {
            extra = extra.with("Reason", reason_header(reason));
        }
        self.send_within(key, Method::Bye, Purpose::Bye(cause), extra, "", Vec::new());
        self.arm(key);
    }

    /// The application hangs up.
    pub(super) fn hang_up(&mut self, key: DialogKey, reason: &str) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        match leg.phase {
            Phase::Incoming => {
                let mut extra = Extra::default();
                if !reason.is_empty() {
                    extra = extra.with("Warning", warning(reason));
                }
                self.finish_incoming(key, 480, extra);
                self.end(key, Cause::Local);
            }
            // The called may not say BYE before the ACK (RFC 3261 section 15).
            Phase::Answered => leg.bye_wanted = Some(reason.to_owned()),
            Phase::Calling => self.cancel(key),
            Phase::Offered => {
                self.send_ack(key, None);
                self.bye(key, Cause::Local, reason);
            }
            Phase::Established => self.bye(key, Cause::Local, reason),
            Phase::Ending(_) => {}
        }
    }
}

impl UserAgent {
    /// A re-INVITE.
    fn reinvited(&mut self, key: DialogKey, transaction: Transaction) {
        let tag = key.to_string();
        let request = transaction.original.clone();
        let overloaded = self.is_overloaded();
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let busy = leg.answering.as_ref().is_some_and(|a| !a.answered)
            || leg.reoffer_waits
            || matches!(leg.phase, Phase::Incoming | Phase::Calling | Phase::Offered);
        if leg.asking.is_some() {
            return self.reply_any(transaction, 491, &tag, Extra::default());
        }
        if busy {
            let after = (rand::random::<u8>() % 11).to_string();
            let extra = Extra::default().with("Retry-After", after);
            return self.reply_any(transaction, 500, &tag, extra);
        }
        if matches!(leg.phase, Phase::Ending(_)) {
            return self.reply_any(transaction, 481, &tag, Extra::default());
        }
        if overloaded {
            let after = self.net.config.retry_after_s.to_string();
            let extra = Extra::default().with("Retry-After", after);
            return self.reply_any(transaction, 503, &tag, extra);
        }
        let offer = message::sdp(&request.headers, &request.body);
        if offer.is_none() && !request.body.is_empty() {
            let extra = Extra::default().with("Accept", message::ACCEPT);
            return self.reply_any(transaction, 415, &tag, extra);
        }
        if let Some(extra) = self.session_too_small(&request.headers) {
            return self.reply_any(transaction, 422, &tag, extra);
        }
        let id = self.new_id();
        let trying = self.response(&request, 100, "", Extra::default(), None);
        let server = txn::serve_invite(&self.net, id, transaction);
        server.answer(trying);
        self.servers.insert(id, key);
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        leg.dialog.refresh_target(&request.headers);
        leg.answering = Some(Answering {
            id,
            request,
            transaction: server,
            we_offer: offer.is_none(),
            answered: false,
        });
        self.tell(SipEvent::Reoffer {
            key,
            txn: TxnId(id),
            offer,
        });
        self.changed(key);
    }

    /// UPDATE: a refresh without SDP, an offer with it.
    fn updated(&mut self, key: DialogKey, transaction: Transaction) {
        let tag = key.to_string();
        let request = transaction.original.clone();
        if let Some(extra) = self.session_too_small(&request.headers) {
            return self.reply(transaction, 422, &tag, extra);
        }
        let offer = message::sdp(&request.headers, &request.body);
        let overloaded = self.is_overloaded();
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        leg.dialog.refresh_target(&request.headers);
        if offer.is_none() && !overloaded {
            let session = self.agree_session(key, &request);
            let Some(leg) = self.legs.get(&key) else {
                return;
            };
            let contact = format!("<{}>", leg.dialog.local_contact);
            let mut extra = capabilities().with("Contact", contact);
            extra.0.extend(session.0);
            self.reply(transaction, 200, &tag, extra);
            self.changed(key);
            return self.arm(key);
        }
        // RFC 3311 section 5.2: one offer at a time.
        let ours_waits = leg.asking.as_ref().is_some_and(|asking| asking.we_offered)
            || leg
                .answering
                .as_ref()
                .is_some_and(|a| a.we_offer && a.answered);
        if ours_waits {
            return self.reply(transaction, 491, &tag, Extra::default());
        }
        let theirs_waits = leg.reoffer_waits
            || leg.answering.as_ref().is_some_and(|a| !a.answered)
            || leg.phase == Phase::Offered;
        if theirs_waits || overloaded {
            let extra = Extra::default().with("Retry-After", "2");
            return self.reply(transaction, 500, &tag, extra);
        }
        leg.reoffer_waits = true;
        let id = self.new_id();
        self.waiting.insert(id, Waiting { key, transaction });
        self.tell(SipEvent::Reoffer {
            key,
            txn: TxnId(id),
            offer,
        });
        self.changed(key);
    }
}

/// A Reason header (RFC 3326).
fn reason_header(reason: &str) -> String {
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
    format!("Q.850;cause=16;text=\"{text}\"")
}

/// The digit and its length in the two usual bodies.
fn digit(content_type: &str, body: &[u8]) -> Option<(char, u16)> {
    let text = std::str::from_utf8(body).ok()?;
    let known = |text: &str| {
        let mut chars = text.trim().chars();
        let digit = chars.next()?.to_ascii_uppercase();
        let fits = matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D');
        (fits && chars.next().is_none()).then_some(digit)
    };
    match content_type {
        "application/dtmf" => Some((known(text)?, DIGIT_MS)),
        "application/dtmf-relay" => {
            let value = |name: &str| {
                text.lines().find_map(|line| {
                    let (key, value) = line.split_once('=')?;
                    key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
                })
            };
            let duration = value("Duration").and_then(|value| value.parse().ok());
            Some((known(value("Signal")?)?, duration.unwrap_or(DIGIT_MS)))
        }
        _ => None,
    }
}

/// The request that takes an INVITE back (RFC 3261 section 9.1): same Request-URI,
/// Call-ID, To, From, number and routes.
pub(super) fn cancel_of(invite: &Request) -> Request {
    let mut extra = Extra::default();
    for header in invite.headers.iter() {
        let name = header.name();
        let kept = ["Route", "Max-Forwards", "From", "To", "Call-ID"];
        if kept.iter().any(|kept| kept.eq_ignore_ascii_case(name)) {
            extra = extra.with(name, header.value());
        }
    }
    let number = message::cseq(&invite.headers).map_or(0, |(number, _)| number);
    let extra = extra.with("CSeq", format!("{number} CANCEL"));
    message::request(Method::Cancel, invite.uri.clone(), extra, "", Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_read_from_both_bodies() {
        assert_eq!(digit("application/dtmf", b"5\r\n"), Some(('5', 250)));
        assert_eq!(
            digit("application/dtmf-relay", b"Signal=#\r\nDuration=160\r\n"),
            Some(('#', 160))
        );
        assert_eq!(
            digit("application/dtmf-relay", b"Signal= a"),
            Some(('A', 250))
        );
        assert_eq!(digit("application/dtmf", b"55"), None);
        assert_eq!(digit("application/dtmf", b"\xff"), None);
    }
}
