//! The user agent: one task that owns every dialog.
//!
//! It never waits for the network or for the application: sending is the business
//! of the transactions' tasks, and events that the application does not take yet
//! wait here. What may wait is bounded by refusing new work, never by losing the
//! end of a call.

mod challenge;
mod client;
mod leg;
mod offer;
mod server;
mod timing;
mod within;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rsipstack::EndpointBuilder;
use rsipstack::sip::{Request, Response};
use rsipstack::transaction::TransactionReceiver;
use rsipstack::transaction::endpoint::{EndpointInnerRef, EndpointOption};
use rsipstack::transaction::transaction::Transaction;
use rsipstack::transport::TransportLayer;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::message::{self, Extra};
use crate::net::Net;
use crate::tasks::{Gone, Tasks};
use crate::txn::{self, Input};
use crate::{
    Cause, DialogKey, DialogState, Outbound, SipConfig, SipEvent, StartError, Transport, TxnId,
};
use leg::{Leg, Phase};

/// Wishes that may wait, for each dialog that there may be, and at least.
const COMMANDS_MIN: usize = 4_096;
/// What the tasks may have told and nobody has looked at yet.
const INPUT_MAX: usize = 1_024;
/// Events that wait for the application, before the channel.
const EVENTS_CHANNEL: usize = 1_024;
/// Beyond so many events that wait, new requests are answered 503.
const BACKLOG_MAX: usize = 16_384;
/// Calls of ours that are over, whose late answers still want an ACK and BYE.
const RECENT_MAX: usize = 1_024;

/// What the application wishes.
pub(crate) enum Command {
    Provisional(DialogKey, u16, Option<String>),
    Accept(DialogKey, String),
    Reject(DialogKey, u16, String, Option<u32>),
    AcceptReoffer(DialogKey, TxnId, Option<String>),
    RejectReoffer(DialogKey, TxnId, u16, String),
    HangUp(DialogKey, String),
    Invite(DialogKey, Box<Outbound>),
    Acknowledge(DialogKey, String),
    Reinvite(DialogKey, Option<String>),
    Info(DialogKey, String, Vec<u8>),
    AcceptRefer(DialogKey, TxnId),
    RejectRefer(DialogKey, TxnId, u16),
    NotifyRefer(DialogKey, u16),
    Shutdown(oneshot::Sender<()>),
}

/// What a request of ours was for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    Invite,
    Reinvite,
    Bye(Cause),
    Refresh,
    /// Tells how a transfer goes; the far end may have stopped listening to that.
    Notify,
    /// Nothing that anybody waits for.
    Other,
}

pub(super) struct Sent {
    pub(super) key: DialogKey,
    pub(super) purpose: Purpose,
    pub(super) request: Request,
    pub(super) to: txn::Target,
    /// Credentials were shown already.
    pub(super) authenticated: bool,
    pub(super) final_seen: bool,
}

/// A request other than INVITE that waits for the application.
pub(super) struct Waiting {
    pub(super) key: DialogKey,
    pub(super) transaction: Transaction,
}

/// See the module.
pub(crate) struct UserAgent {
    net: Arc<Net>,
    endpoint: EndpointInnerRef,
    legs: HashMap<DialogKey, Leg>,
    /// INVITEs that are being answered.
    servers: HashMap<u64, DialogKey>,
    clients: HashMap<u64, Sent>,
    waiting: HashMap<u64, Waiting>,
    /// Call-ID, tag and number of INVITEs that are being answered, for merged ones.
    pending: HashSet<(String, String, u32)>,
    recent: VecDeque<DialogKey>,
    due: BTreeSet<(Instant, DialogKey)>,
    events: VecDeque<SipEvent>,
    sender: mpsc::Sender<SipEvent>,
    next_id: u64,
    nonce_secret: String,
}

pub(crate) type Started = (
    mpsc::Sender<Command>,
    Vec<(Transport, SocketAddr)>,
    mpsc::Receiver<SipEvent>,
);

/// Starts a stack.
pub(crate) async fn start(
    config: SipConfig,
    restored: Vec<DialogState>,
) -> Result<Started, StartError> {
    check(&config)?;
    let (tasks, gone) = Tasks::new();
    let (input, inputs) = mpsc::channel(INPUT_MAX);
    let timers = config.timers;
    let commands_max = COMMANDS_MIN.max(config.max_dialogs.saturating_mul(4));
    let (net, bound) = Net::bind(config, tasks.clone(), input).await?;
    let option = EndpointOption {
        t1: timers.t1,
        t2: timers.t2,
        t4: timers.t4,
        t1x64: timers.t1 * 64,
        timerc: timers.ringing_max,
        auto_ack_2xx: false,
        ..EndpointOption::default()
    };
    let endpoint = EndpointBuilder::new()
        .with_user_agent(&net.config.user_agent)
        .with_cancel_token(tasks.token())
        .with_transport_layer(TransportLayer::new(tasks.token()))
        .with_option(option)
        .build();
    let incoming = endpoint
        .incoming_transactions()
        .map_err(|error| StartError::Config(error.to_string()))?;
    let inner = endpoint.inner.clone();
    tasks.spawn(async move {
        endpoint.serve().await;
    });
    let (sender, events) = mpsc::channel(EVENTS_CHANNEL);
    let (commands, wishes) = mpsc::channel(commands_max);
    let mut agent = UserAgent {
        net: net.clone(),
        endpoint: inner.clone(),
        legs: HashMap::new(),
        servers: HashMap::new(),
        clients: HashMap::new(),
        waiting: HashMap::new(),
        pending: HashSet::new(),
        recent: VecDeque::new(),
        due: BTreeSet::new(),
        events: VecDeque::new(),
        sender,
        next_id: 1,
        nonce_secret: format!("{:032x}", rand::random::<u128>()),
    };
    for state in restored {
        agent.restore(state);
    }
    let addresses = net.addresses().to_vec();
    net.serve(bound, &inner);
    tokio::spawn(agent.run(incoming, inputs, wishes, tasks, gone));
    Ok((commands, addresses, events))
}

fn check(config: &SipConfig) -> Result<(), StartError> {
    let bad = |what: &str| Err(StartError::Config(what.to_owned()));
    if config.listen.is_empty() {
        return bad("nowhere to listen");
    }
    if config.min_session_expires_s < 90 {
        return bad("Min-SE is below 90 seconds");
    }
    if config.session_expires_s < config.min_session_expires_s {
        return bad("Session-Expires is below Min-SE");
    }
    if config.max_dialogs == 0 || config.max_connections == 0 {
        return bad("no dialogs or connections allowed");
    }
    if config.timers.t1.is_zero() || config.timers.t2 < config.timers.t1 {
        return bad("T1 is zero or above T2");
    }
    if !message::is_line(&config.user_agent) {
        return bad("the user agent's name has a line end");
    }
    let tls = config.listen.iter().any(|l| l.transport == Transport::Tls);
    if tls && config.tls.is_none() {
        return Err(StartError::Certificate("none is configured".to_owned()));
    }
    Ok(())
}

impl UserAgent {
    async fn run(
        mut self,
        mut incoming: TransactionReceiver,
        mut inputs: mpsc::Receiver<Input>,
        mut wishes: mpsc::Receiver<Command>,
        tasks: Tasks,
        gone: Gone,
    ) {
        let sender = self.sender.clone();
        let done = loop {
            let wait = self.due.first().map(|(when, _)| *when);
            let sleep = async {
                match wait {
                    Some(when) => tokio::time::sleep_until(when).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                permit = sender.reserve(), if !self.events.is_empty() => match permit {
                    Ok(permit) => if let Some(event) = self.events.pop_front() {
                        permit.send(event);
                    },
                    // Nobody listens any more: new calls are refused.
                    Err(_) => self.events.clear(),
                },
                wish = wishes.recv() => match wish {
                    Some(Command::Shutdown(done)) => break Some(done),
                    Some(wish) => self.wish(wish),
                    None => break None,
                },
                Some(input) = inputs.recv() => self.input(input),
                Some(transaction) = incoming.recv() => self.incoming(transaction),
                () = sleep => self.tick(),
            }
        };
        tasks.cancel();
        drop((self, incoming, inputs, tasks));
        gone.wait().await;
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    fn wish(&mut self, wish: Command) {
        match wish {
            Command::Provisional(key, code, sdp) => self.provisional(key, code, sdp),
            Command::Accept(key, sdp) => self.accept(key, sdp),
            Command::Reject(key, code, reason, after) => self.reject(key, code, &reason, after),
            Command::AcceptReoffer(key, txn, sdp) => self.accept_reoffer(key, txn, sdp.as_deref()),
            Command::RejectReoffer(key, txn, code, reason) => {
                self.reject_reoffer(key, txn, code, &reason);
            }
            Command::HangUp(key, reason) => self.hang_up(key, &reason),
            Command::Invite(key, call) => self.invite(key, &call),
            Command::Acknowledge(key, sdp) => self.acknowledge(key, sdp),
            Command::Reinvite(key, sdp) => self.reinvite(key, sdp),
            Command::Info(key, content_type, body) => self.send_info(key, &content_type, body),
            Command::AcceptRefer(key, txn) => self.accept_refer(key, txn),
            Command::RejectRefer(key, txn, code) => self.reject_refer(key, txn, code),
            Command::NotifyRefer(key, code) => self.notify_refer(key, code),
            // Taken by the loop.
            Command::Shutdown(_) => {}
        }
    }

    fn input(&mut self, input: Input) {
        match input {
            Input::Acked(id, ack) => self.acked(id, &ack),
            Input::Cancelled(id) => self.cancelled(id),
            Input::ServerGone(id) => self.server_gone(id),
            Input::Answer(id, response, peer) => self.answered(id, &response, peer),
            Input::Unreachable(id) => self.unreachable(id),
            Input::ClientGone(id) => self.client_gone(id),
            Input::Stray2xx(response) => self.stray_2xx(&response),
            Input::StrayAck(ack) => self.stray_ack(&ack),
            Input::IsUsed(transport, peer, answer) => {
                let uses = |leg: &Leg| {
                    (leg.dialog.transport, leg.dialog.peer_address) == (transport, peer)
                };
                let _ = answer.send(self.legs.values().any(uses));
            }
        }
    }

    pub(super) fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Whether requests that cost something are refused.
    pub(super) fn is_overloaded(&self) -> bool {
        self.events.len() >= BACKLOG_MAX || self.sender.is_closed()
    }

    pub(super) fn tell(&mut self, event: SipEvent) {
        self.events.push_back(event);
    }

    /// Tells the application to store the dialog.
    pub(super) fn changed(&mut self, key: DialogKey) {
        if let Some(leg) = self.legs.get(&key)
            && leg.phase.is_dialog()
        {
            let state = Box::new(leg.dialog.clone());
            self.tell(SipEvent::DialogChanged { key, state });
        }
    }

    /// Forgets a leg and tells why.
    pub(super) fn end(&mut self, key: DialogKey, cause: Cause) {
        if self.forget(key).is_some() {
            self.tell(SipEvent::Ended { key, cause });
        }
    }

    /// Forgets a leg; its transactions finish on their own.
    fn forget(&mut self, key: DialogKey) -> Option<Leg> {
        let leg = self.legs.remove(&key)?;
        if let Some(due) = leg.due {
            self.due.remove(&(due, key));
        }
        if let Some(answering) = &leg.answering {
            self.pending.remove(&merge_key(&answering.request));
        }
        // Requests that wait for an answer that never comes.
        let waiting: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.key == key)
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            if let Some(waiting) = self.waiting.remove(&id) {
                self.reply(waiting.transaction, 481, &key.to_string(), Extra::default());
            }
        }
        if leg.called {
            if self.recent.len() >= RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(key);
        }
        Some(leg)
    }

    /// Answers a request other than INVITE.
    pub(super) fn reply(&self, transaction: Transaction, code: u16, tag: &str, extra: Extra) {
        let response = self.response(&transaction.original, code, tag, extra, None);
        txn::answer(&self.net, transaction, response);
    }

    pub(super) fn response(
        &self,
        request: &Request,
        code: u16,
        tag: &str,
        extra: Extra,
        sdp: Option<&str>,
    ) -> Response {
        let agent = &self.net.config.user_agent;
        message::response(request, code, tag, agent, extra, sdp)
    }

    /// Takes a dialog of a predecessor up.
    fn restore(&mut self, mut state: DialogState) {
        let key = state.key;
        if state.remote_tag.is_empty() {
            // It was still ringing: there is nothing that could be ended by name.
            self.tell(SipEvent::Ended {
                key,
                cause: Cause::Gone,
            });
            return;
        }
        // The predecessor may have used numbers that it had no time to store, and
        // a number too low would be refused. Gaps are allowed (section 12.2.1.1).
        state.local_cseq = state.local_cseq.saturating_add(16);
        let mut leg = Leg::new(state, Phase::Established);
        leg.unacknowledged = !leg.dialog.confirmed;
        self.legs.insert(key, leg);
        self.arm(key);
    }
}

/// What two copies of one INVITE that came on two ways have in common (RFC 3261
/// section 8.2.2.2).
pub(super) fn merge_key(request: &Request) -> (String, String, u32) {
    let headers = &request.headers;
    (
        message::call_id(headers).to_owned(),
        message::from(headers).tag().unwrap_or_default().to_owned(),
        message::cseq(headers).map_or(0, |(number, _)| number),
    )
}

pub(super) fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
