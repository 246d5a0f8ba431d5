//! What time and the media plane bring about.

use std::time::Duration;

use plenum_abi::{CommandKind, Event, EventKind, Nanos};
use plenum_model::CallLegId;

use super::{App, pictures};
use crate::Place;
use crate::digits::{self, DIGIT_MS};
use crate::leg::{Leg, Phase};
use crate::world::{DtmfDigit, Output, World};

/// How often legs are looked at.
const SWEEP: Duration = Duration::from_secs(1);
/// How long a call that the API made waits for its first leg.
pub(super) const UNUSED_CALL: Duration = Duration::from_secs(300);
/// Both sides offered at once; we try again after this (RFC 3261 section 14.1
/// gives 2.1 to 4 s to the side that made the Call-ID).
pub(super) const GLARE_PAUSE: Duration = Duration::from_millis(2_500);

impl App {
    /// When [`App::tick`] is due; `None` while nothing can come of time.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        if self.legs.is_empty() && self.calls.is_empty() {
            return None;
        }
        let sweep = self.swept_at + SWEEP;
        let busy = self.busy_legs().flat_map(Leg::deadlines);
        let restless = self.restless.iter().filter_map(|call| self.calls.get(call));
        let rosters = restless.filter_map(|call| call.room.roster_due);
        busy.chain(rosters).chain([sweep]).min()
    }

    fn busy_legs(&self) -> impl Iterator<Item = &Leg> {
        let ids = self.busy.iter().filter_map(|number| self.order.get(number));
        ids.filter_map(|id| self.legs.get(id))
    }

    /// Time has passed.
    pub fn tick(&mut self, world: &mut World<'_>) {
        let now = world.now.monotonic;
        if !self.busy.is_empty() {
            self.serve_busy(world);
        }
        if !self.restless.is_empty() {
            self.tell_rosters(world);
        }
        if now < self.swept_at + SWEEP {
            return;
        }
        self.swept_at = now;
        self.sweep(world);
    }

    /// Digits and new keys whose time has come.
    fn serve_busy(&mut self, world: &mut World<'_>) {
        let now = world.now.monotonic;
        let due = |leg: &&Leg| leg.deadlines().any(|at| at <= now);
        let due: Vec<CallLegId> = self.busy_legs().filter(due).map(|leg| leg.id).collect();
        for id in due {
            self.send_digits(id, world);
            let rekey = |leg: &Leg| leg.rekey_at.is_some_and(|at| at <= now);
            if self.legs.get(&id).is_some_and(rekey) {
                self.rekey(id, world);
            }
        }
        let idle = |leg: &&Leg| leg.deadlines().next().is_none();
        let idle: Vec<u64> = self
            .busy_legs()
            .filter(idle)
            .map(|leg| leg.number)
            .collect();
        for number in idle {
            self.busy.remove(&number);
        }
    }

    pub(super) fn legs_where(&self, wanted: impl Fn(&Leg) -> bool) -> Vec<CallLegId> {
        let legs = self.order.values().filter_map(|id| self.legs.get(id));
        legs.filter(|leg| wanted(leg)).map(|leg| leg.id).collect()
    }

    fn sweep(&mut self, world: &mut World<'_>) {
        let now = world.now.monotonic;
        let mut silent = Vec::new();
        for leg in self.legs.values_mut() {
            let counters = world.places.counters(leg.place);
            if let Some(counters) = counters {
                leg.sample(now, counters);
            }
            // A phone that is muted may send pictures and nothing else.
            let mut heard = counters.and_then(|counters| counters.last_received);
            for stream in leg.video.streams_mut() {
                if let Some(counters) = world.places.video_counters(stream.place) {
                    stream.flow.sample(now, counters);
                    heard = heard.max(counters.last_received);
                }
            }
            let heard = heard.unwrap_or(Nanos::ZERO).max(leg.listening_since);
            let too_long = |most| leg.listens() && now.since(heard) >= most;
            if self.config.silence_timeout.is_some_and(too_long) {
                silent.push(leg.id);
            }
        }
        silent.sort();
        for id in silent {
            self.drop_leg(id, "no media", world);
        }
        for id in self.legs_where(|leg| leg.ring_until.is_some_and(|until| until <= now)) {
            self.drop_leg(id, "no answer", world);
        }
        self.web_sweep(world);
        let unused =
            |call: &&crate::call::Call| call.unused_until.is_some_and(|until| until <= now);
        let unused: Vec<_> = self
            .calls
            .values()
            .filter(unused)
            .map(|call| call.id)
            .collect();
        for id in unused {
            self.remove_call(id, world);
        }
    }

    fn send_digits(&mut self, id: CallLegId, world: &mut World<'_>) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        while let Some(digit) = leg.sequence.poll(world.now.monotonic) {
            let event = digits::event_code(digit).filter(|_| leg.has_telephone_event());
            world.out.push(match event {
                Some(event) => Output::SendDtmf {
                    place: leg.place,
                    digit: DtmfDigit {
                        event,
                        duration_ms: DIGIT_MS,
                    },
                },
                None => Output::DtmfInfo {
                    leg: id,
                    digit,
                    duration_ms: DIGIT_MS,
                },
            });
        }
    }

    /// A worker says something.
    pub fn media_event(&mut self, worker: u32, event: &Event, world: &mut World<'_>) {
        let Some(kind) = EventKind::from_u32(event.kind) else {
            tracing::warn!(worker, kind = event.kind, "unknown event of the dataplane");
            return;
        };
        if kind == EventKind::WorkerStarted {
            tracing::info!(worker, legs = event.value, "media worker runs");
            return self.refresh_worker(worker, world);
        }
        let place = Place {
            worker,
            slot: event.leg.slot,
            generation: event.leg.generation,
        };
        match kind {
            EventKind::ActiveSpeaker => return self.web_speaker(place, event.value, world),
            // About a stream: its slot and a leg's may have the same numbers.
            EventKind::VideoPutAside => {
                return tracing::warn!(
                    worker,
                    stream = place.slot,
                    "a picture made its decoder fail more than once and is not decoded any more"
                );
            }
            EventKind::VideoKeyFrameNeeded => {
                return self.key_frame_needed(place, event.value, world);
            }
            EventKind::VideoStarted | EventKind::VideoKeyExhausted => {
                return tracing::debug!(worker, stream = place.slot, ?kind, "video");
            }
            EventKind::Rejected if !is_about_leg(event) => {
                return tracing::warn!(
                    worker,
                    ?place,
                    reason = event.value,
                    "the dataplane refused"
                );
            }
            _ => {}
        }
        // Whom it is about may be gone.
        let Some(id) = self.legs_by_place.get(&place).copied() else {
            if kind == EventKind::Rejected {
                tracing::warn!(
                    worker,
                    ?place,
                    reason = event.value,
                    "the dataplane refused"
                );
            }
            return;
        };
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        match kind {
            EventKind::Rejected => {
                tracing::error!(leg = %id, reason = event.value, "the dataplane refused the leg");
                self.drop_leg(id, "media cannot be set up", world);
            }
            EventKind::DtmfReceived => {
                if let Some(digit) = digits::digit_of(event.value) {
                    leg.heard_digit(digit);
                    // Not which: it may be part of a passcode.
                    tracing::debug!(leg = %id, "digit");
                }
            }
            EventKind::KeyExhausted => self.rekey(id, world),
            EventKind::TransportConnected
            | EventKind::TransportLost
            | EventKind::TransportFailed => {
                self.web_transport(id, kind, world);
            }
            EventKind::MediaStarted => tracing::debug!(leg = %id, "media begins"),
            EventKind::MediaSilent => {
                tracing::debug!(leg = %id, silent_ms = event.value, "media is silent");
            }
            EventKind::AddressLearned => tracing::debug!(leg = %id, "media address learned"),
            EventKind::RtcpBye => tracing::debug!(leg = %id, "RTCP BYE"),
            _ => {}
        }
    }

    /// A worker is new: what it lacks is told again. What it found in the arena
    /// it goes on with by itself.
    fn refresh_worker(&mut self, worker: u32, world: &mut World<'_>) {
        for call in self
            .calls
            .values()
            .filter(|call| call.place.worker == worker)
        {
            if world.places.conference_revision(call.place) != Some(call.revision) {
                self.tell_conference(call, world);
            } else {
                pictures::retell_look(call, world);
            }
        }
        let now = world.now.monotonic;
        for id in self.order.values() {
            let Some(leg) = self.legs.get_mut(id) else {
                continue;
            };
            let transport = leg.web.as_deref().and_then(|web| web.transport);
            if let (true, Some(transport)) = (leg.place.worker == worker, transport)
                && world.places.running_transport(leg.place) != Some(transport)
            {
                world.out.push(Output::SetTransport {
                    place: leg.place,
                    config: Box::new(transport),
                });
            }
            let (true, Some(config)) = (leg.place.worker == worker, leg.config) else {
                continue;
            };
            if leg.phase == Phase::Connected {
                leg.listening_since = now;
            }
            if world.places.revision(leg.place) != Some(config.revision) {
                world.out.push(Output::SetLeg {
                    place: leg.place,
                    config: Box::new(config),
                });
            }
            pictures::retell_label(leg, world);
            for stream in leg.video.streams() {
                if let Some(config) = stream.config
                    && world.places.running_video(stream.place) != Some(config)
                {
                    world.out.push(Output::SetVideo {
                        place: stream.place,
                        config: Box::new(config),
                    });
                }
            }
        }
    }

    /// Digits that a leg has dialled, oldest first, the last 32.
    #[must_use]
    pub fn digits(&self, leg: CallLegId) -> Option<String> {
        Some(self.legs.get(&leg)?.digits.iter().collect())
    }
}

/// Whether a refusal is that of a command about a leg: the low byte of a token is
/// the command's kind.
fn is_about_leg(event: &Event) -> bool {
    let kind = CommandKind::from_u32((event.token & 0xff) as u32);
    matches!(kind, Some(CommandKind::SetLeg | CommandKind::SetTransport))
}
