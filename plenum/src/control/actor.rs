//! The one task that owns the call bridge.
//!
//! ```text
//!   SIP events ──┐                      ┌── SIP
//!   browsers ────┤                      ├── browsers
//!   media events ┼─> Actor ── App ──────┼── rings
//!   REST ────────┤   (one at a time)    └── store
//!   time ────────┘
//! ```
//! Everything that changes a call passes through here, one after the other, so
//! nothing in the application needs a lock. Work that takes time (the database)
//! is done by others, who send their result back as a job.

use std::collections::HashMap;
use std::time::Duration;

use plenum_abi::{
    AddCandidate, CommandKind, Event, SendDtmf, SetConference, SetLeg, SetText, SetTransport,
    SetVideo, SetViewPolicy, Text,
};
use plenum_app::{
    App, EndCause, Incoming, MEDIA_CONTROL, Moment, Output, PICTURE_FAST_UPDATE, Place, SavedLeg,
    World,
};
use plenum_link::{Link, Slots};
use plenum_model::CallLegId;
use plenum_sip::{Cause, DialogKey, DialogState, Outbound, SipError, SipEvent, SipStack, TxnId};
use plenum_store::{DialogRecord, Store};
use rand::RngCore;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::browsers::Browsers;
use super::places::{MediaPlaces, slot};
use super::uri;
use crate::channel::WorkerPlace;
use crate::clock;

/// Jobs that may wait.
const JOBS_MAX: usize = 4_096;
/// While a ring is full it is tried again so often.
const BACKLOG_RETRY: Duration = Duration::from_millis(5);

/// Something to be done by the actor.
type Job = Box<dyn FnOnce(&mut Actor) + Send>;

/// Why a question was not answered: the server is ending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending;

/// The way to the actor.
#[derive(Clone)]
pub(super) struct Handle {
    jobs: mpsc::Sender<Job>,
}

impl Handle {
    /// Has `work` done and waits for what comes of it.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Actor) -> T + Send + 'static,
    ) -> Result<T, Ending> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |actor| {
            let _ = answer.send(work(actor));
        });
        self.jobs.send(job).await.map_err(|_| Ending)?;
        answered.await.map_err(|_| Ending)
    }
}

/// What is stored of a leg: the leg and the dialog beside it, which a browser does
/// not have.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct StoredLeg {
    pub(super) dialog: Option<DialogState>,
    pub(super) leg: SavedLeg,
}

/// A leg's line to SIP and to the store.
#[derive(Debug)]
struct Line {
    key: DialogKey,
    dialog: Option<Box<DialogState>>,
    saved: Option<Box<SavedLeg>>,
}

/// See the module.
pub(super) struct Actor {
    pub(super) app: App,
    pub(super) link: Link,
    pub(super) slots: Slots,
    pub(super) workers: Vec<WorkerPlace>,
    pub(super) sip: SipStack,
    pub(super) store: Store,
    pub(super) own_domain: String,
    /// Sockets of browsers.
    pub(super) browsers: Browsers,
    fingerprint: [u8; 32],
    rng: StdRng,
    jobs: mpsc::Receiver<Job>,
    handle: Handle,
    lines: HashMap<CallLegId, Line>,
    legs: HashMap<DialogKey, CallLegId>,
    out: Vec<Output>,
    store_writes: Vec<StoreWrite>,
}

enum StoreWrite {
    Put(DialogRecord),
    Delete(String),
}

/// What an actor is made from.
pub(super) struct Parts {
    pub(super) app: App,
    pub(super) link: Link,
    pub(super) slots: Slots,
    pub(super) workers: Vec<WorkerPlace>,
    pub(super) sip: SipStack,
    pub(super) store: Store,
    pub(super) own_domain: String,
    /// Of the certificate that browsers are shown.
    pub(super) fingerprint: [u8; 32],
    pub(super) rng: StdRng,
}

impl Actor {
    pub(super) fn new(parts: Parts) -> (Self, Handle) {
        let (sender, jobs) = mpsc::channel(JOBS_MAX);
        let handle = Handle { jobs: sender };
        let actor = Self {
            app: parts.app,
            link: parts.link,
            slots: parts.slots,
            workers: parts.workers,
            sip: parts.sip,
            store: parts.store,
            own_domain: parts.own_domain,
            browsers: Browsers::default(),
            fingerprint: parts.fingerprint,
            rng: parts.rng,
            jobs,
            handle: handle.clone(),
            lines: HashMap::new(),
            legs: HashMap::new(),
            out: Vec::new(),
            store_writes: Vec::new(),
        };
        (actor, handle)
    }

    pub(super) fn now() -> Moment {
        Moment {
            monotonic: clock::monotonic(),
            unix_ms: clock::unix_ms(),
        }
    }

    /// Asks the application something that may change it, and does what follows.
    pub(super) fn decide<T>(&mut self, decide: impl FnOnce(&mut App, &mut World<'_>) -> T) -> T {
        let mut places = MediaPlaces {
            link: &self.link,
            slots: &mut self.slots,
            workers: &self.workers,
            fingerprint: self.fingerprint,
        };
        let mut world = World {
            now: Self::now(),
            places: &mut places,
            rng: &mut self.rng,
            out: &mut self.out,
        };
        let answer = decide(&mut self.app, &mut world);
        for output in std::mem::take(&mut self.out) {
            self.carry_out(output);
        }
        answer
    }

    pub(super) fn random(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// Serves until `stop` comes about, then hangs everybody up.
    pub(super) async fn run(
        mut self,
        mut events: mpsc::Receiver<SipEvent>,
        mut stop: oneshot::Receiver<()>,
        goodbye: Duration,
    ) -> Store {
        let mut media = Vec::new();
        loop {
            self.write_store().await;
            let due = self.due();
            tokio::select! {
                _ = &mut stop => break,
                Some(event) = events.recv() => self.sip_event(event),
                ready = self.link.ready() => {
                    if let Err(error) = ready {
                        tracing::error!(%error, "the dataplane cannot be heard");
                        tokio::time::sleep(BACKLOG_RETRY).await;
                    }
                    self.link.take_events(&mut media);
                    for (worker, event) in media.drain(..) {
                        self.media_event(worker, event);
                    }
                }
                Some(job) = self.jobs.recv() => job(&mut self),
                () = tokio::time::sleep(due) => {
                    self.link.flush();
                    self.decide(App::tick);
                }
            }
        }
        self.decide(App::stop);
        let until = tokio::time::Instant::now() + goodbye;
        // Each end is told once the far end has confirmed it, or cannot be reached.
        while !self.lines.is_empty() {
            self.write_store().await;
            match tokio::time::timeout_at(until, events.recv()).await {
                Ok(Some(event)) => self.sip_event(event),
                Ok(None) | Err(_) => break,
            }
        }
        self.write_store().await;
        tracing::info!(left = self.lines.len(), "everybody was told");
        self.sip.shutdown().await;
        self.store
    }

    fn due(&self) -> Duration {
        let now = clock::monotonic();
        let deadline = self.app.deadline();
        // Without calls nothing comes of time.
        let due = deadline.map_or(Duration::from_secs(3_600), |deadline| deadline.since(now));
        match self.link.has_backlog() {
            true => due.min(BACKLOG_RETRY),
            false => due,
        }
    }

    fn media_event(&mut self, worker: u32, event: Event) {
        self.decide(|app, world| app.media_event(worker, &event, world));
    }

    /// The leg of a dialog; `None` when it has ended meanwhile.
    fn leg(&self, key: DialogKey) -> Option<CallLegId> {
        self.legs.get(&key).copied()
    }

    /// Ties a leg to its dialog.
    pub(super) fn tie(&mut self, leg: CallLegId, key: DialogKey, stored: Option<StoredLeg>) {
        let (dialog, saved) = match stored {
            Some(stored) => (stored.dialog.map(Box::new), Some(Box::new(stored.leg))),
            None => (None, None),
        };
        self.legs.insert(key, leg);
        self.lines.insert(leg, Line { key, dialog, saved });
    }

    fn sip_event(&mut self, event: SipEvent) {
        match event {
            SipEvent::Invite {
                key,
                request_uri,
                from,
                call_id,
                offer,
                peer,
                local,
                replaces,
                ..
            } => {
                let leg = CallLegId::from_entropy(self.random());
                self.tie(leg, key, None);
                let (user, host) = uri::user_and_host(&request_uri);
                let incoming = Incoming {
                    user,
                    host: host.to_owned(),
                    from_name: from.display,
                    from_address: uri::address(&from.uri),
                    sip_call_id: call_id,
                    offer,
                    peer: peer.ip(),
                    local_ip: local.ip(),
                    replaces: replaces.map(|replaces| replaces.key.and_then(|key| self.leg(key))),
                };
                self.decide(|app, world| app.incoming(leg, incoming, world));
            }
            SipEvent::Established { key, answer } => {
                if let Some(leg) = self.leg(key) {
                    self.decide(|app, world| app.established(leg, answer.as_deref(), world));
                }
            }
            SipEvent::DelayedOffer { key, offer } => {
                if let Some(leg) = self.leg(key) {
                    self.decide(|app, world| app.delayed_offer(leg, &offer, world));
                }
            }
            SipEvent::Reoffer { key, txn, offer } => self.reoffer(key, txn, offer.as_deref()),
            SipEvent::ReofferAnswered { key, answer } => {
                if let Some(leg) = self.leg(key) {
                    self.decide(|app, world| app.reoffer_answered(leg, &answer, world));
                }
            }
            SipEvent::ReofferFailed { key, code } => {
                if let Some(leg) = self.leg(key) {
                    self.decide(|app, world| app.reoffer_failed(leg, code, world));
                }
            }
            SipEvent::Progress { key, code, .. } => {
                if let Some(leg) = self.leg(key) {
                    self.app.progress(leg, code, clock::monotonic());
                }
            }
            SipEvent::Rejected {
                key, code, reason, ..
            } => {
                if let Some(leg) = self.untie(key) {
                    self.decide(|app, world| app.rejected(leg, code, &reason, world));
                }
            }
            SipEvent::Ended { key, cause } => {
                if let Some(leg) = self.untie(key) {
                    let cause = end_cause(cause);
                    self.decide(|app, world| app.ended(leg, cause, world));
                }
            }
            SipEvent::DtmfInfo { key, digit, .. } => {
                if let Some(leg) = self.leg(key) {
                    self.app.digit_by_info(leg, digit);
                }
            }
            SipEvent::Refer {
                key, txn, refer_to, ..
            } => {
                // To call whomever a participant names would let strangers call
                // at our expense.
                tracing::info!(refer_to, "REFER is not taken");
                report(self.sip.reject_refer(key, txn, 603));
            }
            SipEvent::Info {
                key,
                content_type,
                body,
            } => {
                if let Some(leg) = self.leg(key) {
                    self.decide(|app, world| app.informed(leg, &content_type, &body, world));
                }
            }
            SipEvent::DialogChanged { key, state } => {
                if let Some(leg) = self.leg(key) {
                    self.app.invited(leg, &state.call_id);
                    if let Some(line) = self.lines.get_mut(&leg) {
                        line.dialog = Some(state);
                    }
                    self.keep(leg);
                }
            }
            other => tracing::debug!(?other, "SIP event without a use"),
        }
    }

    fn reoffer(&mut self, key: DialogKey, txn: TxnId, offer: Option<&str>) {
        let Some(leg) = self.leg(key) else {
            return;
        };
        let outcome = self.decide(|app, world| app.reoffer(leg, offer, world));
        report(match outcome {
            Ok(sdp) => self.sip.accept_reoffer(key, txn, sdp),
            Err(refusal) => self
                .sip
                .reject_reoffer(key, txn, refusal.code, &refusal.reason),
        });
    }

    /// The dialog is over: forget it, here and in the store.
    fn untie(&mut self, key: DialogKey) -> Option<CallLegId> {
        let leg = self.legs.remove(&key)?;
        if let Some(line) = self.lines.remove(&leg)
            && line.saved.is_some()
        {
            self.store_writes.push(StoreWrite::Delete(leg.to_string()));
        }
        Some(leg)
    }

    /// Stores a leg with its dialog, once there are both.
    fn keep(&mut self, leg: CallLegId) {
        let Some(line) = self.lines.get(&leg) else {
            return;
        };
        let (Some(dialog), Some(saved)) = (&line.dialog, &line.saved) else {
            return;
        };
        let stored = StoredLeg {
            dialog: Some((**dialog).clone()),
            leg: (**saved).clone(),
        };
        self.put(&stored);
    }

    fn put(&mut self, stored: &StoredLeg) {
        let saved = &stored.leg;
        match serde_json::to_string(stored) {
            Ok(state) => self.store_writes.push(StoreWrite::Put(DialogRecord {
                key: saved.id.to_string(),
                leg: saved.id,
                call: saved.call.id,
                worker: saved.place.worker,
                slot: saved.place.slot,
                generation: saved.place.generation,
                state,
                updated_at_ms: clock::unix_ms(),
            })),
            Err(error) => tracing::error!(leg = %saved.id, %error, "a leg cannot be stored"),
        }
    }

    /// Forgets a leg of a browser, here and in the store.
    pub(super) fn forget(&mut self, leg: CallLegId) {
        self.browsers.remove(leg);
        self.store_writes.push(StoreWrite::Delete(leg.to_string()));
    }

    async fn write_store(&mut self) {
        for write in std::mem::take(&mut self.store_writes) {
            let written = match write {
                StoreWrite::Put(record) => self.store.put_dialog(record).await,
                StoreWrite::Delete(key) => self.store.delete_dialog(&key).await,
            };
            if let Err(error) = written {
                tracing::error!(%error, "a dialog cannot be stored: it would not survive a restart");
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Resolve { leg, user } => self.resolve(leg, user),
            Output::Accept { leg, sdp } => self.tell(leg, |sip, key| sip.accept(key, sdp)),
            Output::Reject {
                leg,
                code,
                reason,
                retry_after,
            } => self.tell(leg, |sip, key| sip.reject(key, code, &reason, retry_after)),
            Output::HangUp { leg, reason } => {
                self.tell(leg, |sip, key| sip.hang_up(key, &reason));
            }
            Output::Acknowledge { leg, sdp } => {
                self.tell(leg, |sip, key| sip.acknowledge(key, sdp));
            }
            Output::Reinvite { leg, sdp } => {
                self.tell(leg, |sip, key| sip.reinvite(key, Some(sdp)));
            }
            Output::DtmfInfo {
                leg,
                digit,
                duration_ms,
            } => self.tell(leg, |sip, key| {
                let body = format!("Signal={digit}\r\nDuration={duration_ms}\r\n");
                sip.info(key, "application/dtmf-relay", body.into_bytes())
            }),
            Output::AskForKeyFrame { leg } => self.tell(leg, |sip, key| {
                sip.info(key, MEDIA_CONTROL, PICTURE_FAST_UPDATE.into())
            }),
            Output::Invite { leg, invitation } => {
                let from = format!("sip:{}@{}", invitation.from_user, self.own_domain);
                let to = invitation.to;
                let has_scheme = ["sip:", "sips:"]
                    .iter()
                    .any(|scheme| to.starts_with(scheme));
                let call = Outbound {
                    to: if has_scheme { to } else { format!("sip:{to}") },
                    from,
                    from_display: invitation.from_display,
                    contact_user: invitation.from_user,
                    sdp: Some(invitation.sdp),
                    ..Outbound::default()
                };
                match self.sip.invite(call) {
                    Ok(key) => self.tie(leg, key, None),
                    Err(error) => {
                        let handle = self.handle.clone();
                        let reason = error.to_string();
                        // Not now: the application is in the middle of a decision.
                        tokio::spawn(async move {
                            let refused = move |actor: &mut Self| {
                                actor.decide(|app, world| app.rejected(leg, 503, &reason, world));
                            };
                            let _ = handle.ask(refused).await;
                        });
                    }
                }
            }
            Output::SetLeg { place, config } => {
                let payload = SetLeg {
                    slot: place.slot,
                    reserved: 0,
                    config: *config,
                };
                self.command(place.worker, CommandKind::SetLeg, &payload);
            }
            Output::SetTransport { place, config } => {
                let payload = SetTransport {
                    slot: place.slot,
                    reserved: 0,
                    config: *config,
                };
                self.command(place.worker, CommandKind::SetTransport, &payload);
            }
            Output::AddCandidate { place, candidate } => {
                let payload = AddCandidate {
                    leg: slot(place).to_ref(),
                    address: candidate.address.into(),
                    priority: candidate.priority,
                    kind: candidate.kind as u8,
                    reserved: [0; 3],
                };
                self.command(place.worker, CommandKind::AddCandidate, &payload);
            }
            Output::SetVideo { place, config } => {
                let payload = SetVideo {
                    slot: place.slot,
                    reserved: 0,
                    config: *config,
                };
                self.command(place.worker, CommandKind::SetVideo, &payload);
            }
            Output::SetConference { place, config } => {
                let payload = SetConference {
                    slot: place.slot,
                    reserved: 0,
                    config,
                };
                self.command(place.worker, CommandKind::SetConference, &payload);
            }
            Output::SetViewPolicy { place, policy } => {
                let payload = SetViewPolicy {
                    conference: slot(place).to_ref(),
                    policy,
                };
                self.command(place.worker, CommandKind::SetViewPolicy, &payload);
            }
            Output::SetMessage { place, text } => {
                self.say(place, CommandKind::SetMessage, *text);
            }
            Output::SetLabel { place, text } => self.say(place, CommandKind::SetLabel, *text),
            Output::Remove { kind, place } => {
                self.command(place.worker, kind, &slot(place).to_ref());
            }
            Output::SendKeyFrame { place } => {
                let about = slot(place).to_ref();
                self.command(place.worker, CommandKind::SendKeyFrame, &about);
            }
            Output::SendDtmf { place, digit } => {
                let payload = SendDtmf {
                    leg: slot(place).to_ref(),
                    event: digit.event,
                    reserved: 0,
                    duration_ms: digit.duration_ms,
                };
                self.command(place.worker, CommandKind::SendDtmf, &payload);
            }
            Output::Web { leg, message } => self.browsers.tell(leg, message),
            Output::Forget { leg } => self.forget(leg),
            Output::Save(saved) if saved.web.is_some() => self.put(&StoredLeg {
                dialog: None,
                leg: *saved,
            }),
            Output::Save(saved) => {
                let leg = saved.id;
                if let Some(line) = self.lines.get_mut(&leg) {
                    line.saved = Some(saved);
                }
                self.keep(leg);
            }
        }
    }

    fn say(&mut self, place: Place, kind: CommandKind, text: Text) {
        let about = slot(place).to_ref();
        self.command(place.worker, kind, &SetText { about, text });
    }

    fn command<T>(&mut self, worker: u32, kind: CommandKind, payload: &T)
    where
        T: zerocopy::IntoBytes + zerocopy::Immutable,
    {
        if let Err(error) = self.link.send(worker, kind, payload) {
            tracing::error!(worker, ?kind, %error, "the dataplane does not keep up");
        }
    }

    fn tell(&self, leg: CallLegId, say: impl FnOnce(&SipStack, DialogKey) -> Result<(), SipError>) {
        if let Some(line) = self.lines.get(&leg) {
            report(say(&self.sip, line.key));
        }
    }

    /// Ends a dialog that has no leg.
    pub(super) fn end_dialog(&self, leg: CallLegId) {
        self.tell(leg, |sip, key| sip.hang_up(key, "the call was lost"));
    }

    /// Removes media that belongs to nobody.
    pub(super) fn remove_media(&mut self, kind: CommandKind, place: Place) {
        self.command(place.worker, kind, &slot(place).to_ref());
        let now = clock::monotonic();
        match kind {
            CommandKind::RemoveConference => self.slots.give_back_conference(slot(place), now),
            CommandKind::RemoveVideo => self.slots.give_back_video(slot(place), now),
            _ => self.slots.give_back_leg(slot(place), now),
        }
    }

    fn resolve(&self, leg: CallLegId, user: String) {
        let (store, handle) = (self.store.clone(), self.handle.clone());
        tokio::spawn(async move {
            let found = store.resolve_space(&user).await;
            let resolved = move |actor: &mut Self| match found {
                Ok(space) => actor.decide(|app, world| app.resolved(leg, space, world)),
                Err(error) => {
                    tracing::error!(%leg, %error, "a space cannot be looked for");
                    actor.decide(|app, world| app.not_resolved(leg, world));
                }
            };
            let _ = handle.ask(resolved).await;
        });
    }
}

fn report(outcome: Result<(), SipError>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "a SIP message was not sent");
    }
}

const fn end_cause(cause: Cause) -> EndCause {
    match cause {
        Cause::Bye | Cause::Cancel => EndCause::FarEnd,
        Cause::Local => EndCause::Local,
        _ => EndCause::Lost,
    }
}
