//! The call bridge.

mod api;
mod incoming;
mod key_frames;
mod outgoing;
mod pictures;
mod restore;
mod session;
mod sip_video;
mod watch;
mod web;
mod web_media;
mod web_room;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use plenum_abi::{AudioCodec, CommandKind, LegConfig, Nanos};
use plenum_model::{CallId, CallLegId, CorrelatorId, Space, SpaceId};
use plenum_sdp::{Audio, Direction as Flow, LocalMedia};

use crate::call::Call;
use crate::config::encryption;
use crate::guard::Guard;
use crate::leg::{Leg, Phase};
use crate::media;
use crate::web::{WebBye, WebMessage};
use crate::world::{Output, World};
use crate::{AppConfig, Place};

pub use incoming::Incoming;
use incoming::Waiting;
pub(crate) use key_frames::Asked;
pub use key_frames::{MEDIA_CONTROL, PICTURE_FAST_UPDATE};

/// Why a wish of the REST API is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// There is no such call.
    #[error("there is no such call")]
    NoSuchCall,
    /// There is no such leg.
    #[error("there is no such call leg")]
    NoSuchCallLeg,
    /// The call is full.
    #[error("the call has as many participants as it may")]
    ParticipantLimitReached,
    /// The server is full.
    #[error("the server is full")]
    Busy,
}

/// Why a change of session is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// SIP status.
    pub code: u16,
    /// For people.
    pub reason: String,
}

/// Why a leg ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EndCause {
    /// The far end hung up or gave up.
    FarEnd,
    /// We hung up.
    Local,
    /// The far end was lost: a timeout, a broken connection, an expired session.
    Lost,
}

/// What `/system/status` counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Statistics {
    /// Legs now.
    pub legs_active: u64,
    /// Most legs at one time.
    pub legs_max_active: u64,
    /// Legs that were connected and have ended.
    pub legs_completed: u64,
    /// Sound we send now, bit/s.
    pub audio_bit_rate_outgoing: u64,
    /// Sound we receive now, bit/s.
    pub audio_bit_rate_incoming: u64,
    /// Pictures we send now, bit/s.
    pub video_bit_rate_outgoing: u64,
    /// Pictures we receive now, bit/s.
    pub video_bit_rate_incoming: u64,
}

/// All calls and legs of this server.
#[derive(Debug)]
pub struct App {
    config: AppConfig,
    /// Who called and waits until its space is found.
    waiting: HashMap<CallLegId, Waiting>,
    legs: HashMap<CallLegId, Leg>,
    /// Legs in order of creation.
    order: BTreeMap<u64, CallLegId>,
    calls: BTreeMap<u64, Call>,
    calls_by_id: HashMap<CallId, u64>,
    calls_by_space: HashMap<SpaceId, u64>,
    legs_by_place: HashMap<Place, CallLegId>,
    /// Numbers of the calls whose list of participants is to be told.
    restless: BTreeSet<u64>,
    /// Numbers of the legs that have digits or new keys to send: few of many.
    busy: BTreeSet<u64>,
    guard: Guard,
    next_number: u64,
    swept_at: Nanos,
    legs_max_active: u64,
    legs_completed: u64,
}

impl App {
    /// A call bridge without calls.
    #[must_use]
    pub fn new(config: AppConfig) -> Self {
        Self {
            config,
            waiting: HashMap::new(),
            legs: HashMap::new(),
            order: BTreeMap::new(),
            calls: BTreeMap::new(),
            calls_by_id: HashMap::new(),
            calls_by_space: HashMap::new(),
            legs_by_place: HashMap::new(),
            restless: BTreeSet::new(),
            busy: BTreeSet::new(),
            guard: Guard::default(),
            next_number: 1,
            swept_at: Nanos::ZERO,
            legs_max_active: 0,
            legs_completed: 0,
        }
    }

    fn number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    fn call(&self, id: CallId) -> Option<&Call> {
        self.calls.get(self.calls_by_id.get(&id)?)
    }

    fn call_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.calls.get_mut(self.calls_by_id.get(&id)?)
    }

    /// The running call of a space, or a new one.
    fn call_of(&mut self, space: &Space, world: &mut World<'_>) -> Result<CallId, Error> {
        if let Some(call) = self.running_call(space.id) {
            return Ok(call);
        }
        let place = world
            .places
            .take_conference(world.now.monotonic)
            .ok_or(Error::Busy)?;
        let id = CallId::from_entropy(random(world));
        let correlator = CorrelatorId::from_entropy(random(world));
        let call = Call::new(id, correlator, space, place, world.now);
        self.tell_conference(&call, world);
        tracing::info!(call = %id, space = %space.id, name = call.name, "call begins");
        self.insert_call(call);
        Ok(id)
    }

    /// Tells the media plane all of a conference: what it is and how it looks.
    fn tell_conference(&self, call: &Call, world: &mut World<'_>) {
        world.out.push(Output::SetConference {
            place: call.place,
            config: call.config(&self.config),
        });
        pictures::tell_look(call, world);
    }

    fn running_call(&self, space: SpaceId) -> Option<CallId> {
        let call = self.calls.get(self.calls_by_space.get(&space)?)?;
        Some(call.id)
    }

    fn insert_call(&mut self, call: Call) {
        let number = self.number();
        self.calls_by_id.insert(call.id, number);
        self.calls_by_space.insert(call.space, number);
        self.calls.insert(number, call);
    }

    /// Ends a call that has no leg.
    fn remove_call(&mut self, id: CallId, world: &mut World<'_>) {
        let Some(number) = self.calls_by_id.remove(&id) else {
            return;
        };
        self.restless.remove(&number);
        if let Some(call) = self.calls.remove(&number) {
            self.calls_by_space.remove(&call.space);
            world.out.push(Output::Remove {
                kind: CommandKind::RemoveConference,
                place: call.place,
            });
            world
                .places
                .give_back_conference(call.place, world.now.monotonic);
            tracing::info!(call = %id, "call ends");
        }
    }

    /// Whether one more leg may come into a call.
    fn admit(&self, call: Option<CallId>) -> Result<(), Error> {
        if self.legs.len() >= self.config.legs_max {
            return Err(Error::Busy);
        }
        let legs = call
            .and_then(|call| self.call(call))
            .map_or(0, |call| call.legs);
        match self.config.participants_max {
            Some(most) if legs >= most => Err(Error::ParticipantLimitReached),
            _ => Ok(()),
        }
    }

    /// Whether a call takes nobody who comes by oneself.
    fn is_locked(&self, call: Option<CallId>) -> bool {
        let call = call.and_then(|call| self.call(call));
        call.is_some_and(|call| call.look.is_locked())
    }

    /// A slot on the call's worker. A call that was made for it and gets none ends.
    fn take_leg_place(&mut self, call: CallId, world: &mut World<'_>) -> Result<Place, Error> {
        let worker = self.call(call).ok_or(Error::NoSuchCall)?.place.worker;
        let place = world.places.take_leg(worker, world.now.monotonic);
        if place.is_none() {
            self.end_if_unused(call, world);
        }
        place.ok_or(Error::Busy)
    }

    fn insert_leg(&mut self, leg: Leg) {
        if let Some(call) = self.call_mut(leg.call) {
            call.joined(leg.number, leg.web.is_some());
        }
        self.order.insert(leg.number, leg.id);
        self.legs_by_place.insert(leg.place, leg.id);
        self.legs.insert(leg.id, leg);
        self.legs_max_active = self.legs_max_active.max(self.legs.len() as u64);
    }

    /// Takes a leg out of its call and away from the media plane. SIP is the
    /// caller's to tell.
    fn remove_leg(&mut self, id: CallLegId, world: &mut World<'_>) {
        let Some(leg) = self.legs.remove(&id) else {
            return;
        };
        self.order.remove(&leg.number);
        self.busy.remove(&leg.number);
        self.legs_by_place.remove(&leg.place);
        if leg.phase == Phase::Connected {
            self.legs_completed += 1;
        }
        let now = world.now.monotonic;
        for stream in leg.video.streams() {
            if stream.config.is_some() {
                world.out.push(Output::Remove {
                    kind: CommandKind::RemoveVideo,
                    place: stream.place,
                });
            }
            world.places.give_back_video(stream.place, now);
        }
        if leg.config.is_some() {
            world.out.push(Output::Remove {
                kind: CommandKind::RemoveLeg,
                place: leg.place,
            });
        }
        world.places.give_back_leg(leg.place, now);
        if leg.web.is_some() {
            world.out.push(Output::Forget { leg: id });
        }
        let mut shared = false;
        if let Some(call) = self.call_mut(leg.call) {
            call.left(leg.number, leg.web.is_some());
            shared = call.room.left(id);
        }
        if shared {
            self.web_tell_all(leg.call, &WebMessage::Content(None), world);
        }
        self.changed(leg.call, now);
        self.end_if_unused(leg.call, world);
    }

    fn end_if_unused(&mut self, call: CallId, world: &mut World<'_>) {
        let unused = |call: &Call| call.legs == 0 && call.unused_until.is_none();
        if self.call(call).is_some_and(unused) {
            self.remove_call(call, world);
        }
    }

    /// Hangs up and forgets.
    fn drop_leg(&mut self, id: CallLegId, reason: &str, world: &mut World<'_>) {
        self.drop_leg_with(id, reason, WebBye::Removed, world);
    }

    /// The same, with what a browser is told.
    fn drop_leg_with(&mut self, id: CallLegId, reason: &str, bye: WebBye, world: &mut World<'_>) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        tracing::info!(leg = %id, call = %leg.call, reason, "call leg is hung up");
        match &leg.web {
            Some(_) => self.web_bye(id, bye, world),
            None => world.out.push(Output::HangUp {
                leg: id,
                reason: reason.to_owned(),
            }),
        }
        self.remove_leg(id, world);
    }

    fn save(&self, id: CallLegId, world: &mut World<'_>) {
        if let Some(leg) = self.legs.get(&id)
            && let Some(call) = self.call(leg.call)
        {
            world.out.push(Output::Save(Box::new(leg.saved(call))));
        }
    }

    /// What our end of a leg can do.
    fn local_media(&self, leg: &Leg, world: &World<'_>) -> LocalMedia {
        let rtp_port = world.places.rtp_port(leg.place);
        let wish = leg.configuration.sip_media_encryption;
        LocalMedia {
            address: leg.local_ip,
            rtp_port,
            rtcp_port: rtp_port + 1,
            encryption: encryption(wish.unwrap_or(self.config.encryption)),
            codecs: AudioCodec::ALL.to_vec(),
            packet_ms: self.config.packet_ms,
            suites: media::SUITES.to_vec(),
            direction: Flow::BOTH,
            video: sip_video::local(leg, world),
        }
    }

    /// Tells the media plane what was agreed.
    fn set_media(&mut self, id: CallLegId, audio: Option<&Audio>, world: &mut World<'_>) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let Some(conference) = self.call(leg.call).map(|call| call.place.slot) else {
            return;
        };
        let mut config = leg.config;
        match (audio, &mut config) {
            (Some(audio), config) => {
                let config = config.get_or_insert_with(|| LegConfig {
                    leg_guid: id.to_bytes(),
                    generation: leg.place.generation,
                    conference,
                    tx_ssrc: random_ssrc(world),
                    ..LegConfig::default()
                });
                media::negotiated(config, audio);
                media::muted(config, &leg.configuration);
                media::shown(config, &leg.configuration);
            }
            // Sound was switched off (port 0): the leg stays and is silent.
            (None, Some(config)) => media::silenced(config),
            (None, None) => return,
        }
        self.send_config(id, config, world);
    }

    /// Sends a changed configuration with the next revision.
    fn send_config(&mut self, id: CallLegId, config: Option<LegConfig>, world: &mut World<'_>) {
        let (Some(leg), Some(mut config)) = (self.legs.get_mut(&id), config) else {
            return;
        };
        let listened = leg.listens();
        let is_new = leg.config.is_none();
        config.revision += 1;
        leg.config = Some(config);
        if leg.listens() && !listened {
            leg.listening_since = world.now.monotonic;
        }
        world.out.push(Output::SetLeg {
            place: leg.place,
            config: Box::new(config),
        });
        if is_new {
            world.out.push(leg.label());
        }
        let call = leg.call;
        self.changed(call, world.now.monotonic);
    }

    fn is_ours(&self, host: &str, arrived_on: IpAddr) -> bool {
        host.trim_matches(['[', ']']).parse() == Ok(arrived_on) || self.is_own_domain(host)
    }

    /// Whether a host name or address is one of those that are ours.
    #[must_use]
    pub fn is_own_domain(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']).to_lowercase();
        let host = host.trim_end_matches('.');
        self.config.domains.iter().any(|domain| domain == host)
    }

    /// What the server does now.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let add = |sum: (u64, u64), rates: (u64, u64)| (sum.0 + rates.0, sum.1 + rates.1);
        let legs = self.legs.values();
        let (incoming, outgoing) = legs.clone().map(Leg::bit_rates).fold((0, 0), add);
        let streams = legs.flat_map(|leg| leg.video.streams());
        let pictures = streams.map(|stream| stream.flow.bit_rates());
        let (video_incoming, video_outgoing) = pictures.fold((0, 0), add);
        Statistics {
            legs_active: self.legs.len() as u64,
            legs_max_active: self.legs_max_active,
            legs_completed: self.legs_completed,
            audio_bit_rate_outgoing: outgoing,
            audio_bit_rate_incoming: incoming,
            video_bit_rate_outgoing: video_outgoing,
            video_bit_rate_incoming: video_incoming,
        }
    }
}

fn random(world: &mut World<'_>) -> [u8; 16] {
    let mut bytes = [0; 16];
    world.rng.fill_bytes(&mut bytes);
    bytes
}

/// An SSRC that is not 0, which some take for "none".
fn random_ssrc(world: &mut World<'_>) -> u32 {
    world.rng.next_u32().max(1)
}
