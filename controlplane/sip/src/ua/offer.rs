//! Changes of a session that stands: what the application answers, and offers.

use rsipstack::sip::Method;

use super::UserAgent;
use super::leg::{Asking, Phase};
use super::server::{capabilities, warning};
use super::{Purpose, Sent};
use crate::message::{self, Extra};
use crate::{DialogKey, SipEvent, TxnId, txn};

impl UserAgent {
    pub(super) fn accept_reoffer(&mut self, key: DialogKey, txn: TxnId, sdp: Option<&str>) {
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let (invite, request) = match (&leg.answering, self.waiting.get(&txn.0)) {
            (Some(answering), _) if answering.id == txn.0 && !answering.answered => {
                (true, answering.request.clone())
            }
            (_, Some(waiting)) if waiting.key == key => {
                (false, waiting.transaction.original.clone())
            }
            // Taken back, or the leg's state has moved on.
            _ => return,
        };
        let offered = message::sdp(&request.headers, &request.body);
        if sdp.is_some() {
            leg.dialog.local_sdp = sdp.map(str::to_owned);
        }
        if offered.is_some() {
            leg.dialog.remote_sdp = offered;
        }
        let contact = format!("<{}>", leg.dialog.local_contact);
        let mut extra = capabilities().with("Contact", contact);
        extra.0.extend(self.agree_session(key, &request).0);
        if invite {
            self.answer_reinvite(key, 200, extra, sdp);
        } else if let Some(waiting) = self.waiting.remove(&txn.0) {
            let tag = key.to_string();
            let response = self.response(&request, 200, &tag, extra, sdp);
            txn::answer(&self.net, waiting.transaction, response);
            if let Some(leg) = self.legs.get_mut(&key) {
                leg.reoffer_waits = false;
            }
        }
        self.changed(key);
        self.arm(key);
    }

    pub(super) fn reject_reoffer(&mut self, key: DialogKey, txn: TxnId, code: u16, reason: &str) {
        let mut extra = Extra::default();
        if !reason.is_empty() {
            extra = extra.with("Warning", warning(reason));
        }
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let current = leg.answering.as_ref();
        if current.is_some_and(|answering| answering.id == txn.0 && !answering.answered) {
            return self.answer_reinvite(key, code, extra, None);
        }
        let own = |waiting: &super::Waiting| waiting.key == key;
        if self.waiting.get(&txn.0).is_some_and(own)
            && let Some(waiting) = self.waiting.remove(&txn.0)
        {
            leg.reoffer_waits = false;
            self.reply(waiting.transaction, code, &key.to_string(), extra);
        }
    }

    /// The final answer to a re-INVITE.
    pub(super) fn answer_reinvite(
        &mut self,
        key: DialogKey,
        code: u16,
        extra: Extra,
        sdp: Option<&str>,
    ) {
        let agent = &self.net.config.user_agent;
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let Some(answering) = leg.answering.as_mut() else {
            return;
        };
        let tag = key.to_string();
        let response = message::response(&answering.request, code, &tag, agent, extra, sdp);
        answering.transaction.answer(response);
        if code < 300 {
            answering.answered = true;
        } else {
            leg.answering = None;
        }
    }

    /// The application offers a changed session.
    pub(super) fn reinvite(&mut self, key: DialogKey, sdp: Option<String>) {
        let Some(leg) = self.legs.get(&key) else {
            return;
        };
        let busy = leg.phase != Phase::Established
            || leg.asking.is_some()
            || leg.answering.is_some()
            || leg.reoffer_waits;
        if busy {
            return self.tell(SipEvent::ReofferFailed { key, code: 491 });
        }
        self.send_reinvite(key, sdp, false);
    }

    pub(super) fn send_reinvite(&mut self, key: DialogKey, sdp: Option<String>, refresh: bool) {
        let session = self.session_wish(key);
        let agent = self.net.config.user_agent.clone();
        let id = self.new_id();
        let Some(leg) = self.legs.get_mut(&key) else {
            return;
        };
        let mut extra = capabilities()
            .with("Contact", format!("<{}>", leg.dialog.local_contact))
            .with("User-Agent", agent);
        extra.0.extend(session.0);
        let we_offered = sdp.is_some();
        let body = sdp.clone().unwrap_or_default().into_bytes();
        let request = leg
            .dialog
            .request(Method::Invite, None, extra, "application/sdp", body);
        let (Some(request), Some(to)) = (request, leg.target()) else {
            return self.tell(SipEvent::ReofferFailed { key, code: 503 });
        };
        let branch = txn::new_branch();
        if sdp.is_some() {
            leg.dialog.local_sdp = sdp;
        }
        leg.asking = Some(Asking {
            id,
            cseq: leg.dialog.local_cseq,
            branch: branch.clone(),
            to: to.clone(),
            request: request.clone(),
            we_offered,
            proceeding: false,
            cancelled: false,
            refresh,
            early_answer: None,
            last_rseq: 0,
        });
        txn::send_request(
            &self.net,
            &self.endpoint,
            id,
            request.clone(),
            branch,
            to.clone(),
        );
        self.clients.insert(
            id,
            Sent {
                key,
                purpose: Purpose::Reinvite,
                request,
                to,
                authenticated: false,
                final_seen: false,
            },
        );
        self.changed(key);
        self.arm(key);
    }
}
