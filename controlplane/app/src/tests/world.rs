//! The pretended world.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use plenum_abi::{
    AudioCodec, CommandKind, Event, EventKind, LegConfig, Nanos, SlotRef, SrtpSuite, Text,
    TransportConfig, VideoConfig, ViewPolicy,
};
use plenum_model::{CallLegId, MediaEncryption, Space, SpaceId};
use plenum_sdp::{Direction, Encryption, LocalMedia};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::{
    App, AppConfig, Counters, Incoming, Moment, Output, Place, Places, Reach, SavedLeg,
    VideoCounters, WebPermissions, World,
};

/// Slots of the pretended dataplane and what runs in them.
#[derive(Default)]
pub(super) struct FakePlaces {
    pub(super) legs_max: u32,
    next: u32,
    pub(super) legs: HashMap<Place, LegConfig>,
    pub(super) conferences: HashMap<Place, u64>,
    pub(super) video_max: usize,
    pub(super) transports: HashMap<Place, TransportConfig>,
    pub(super) video: HashMap<Place, VideoConfig>,
    pub(super) taken_video: Vec<Place>,
    pub(super) taken_legs: Vec<Place>,
    pub(super) taken_conferences: Vec<Place>,
    pub(super) counters: HashMap<Place, Counters>,
    pub(super) video_counters: HashMap<Place, VideoCounters>,
    /// How conferences look: the policy and the message.
    pub(super) looks: HashMap<Place, (ViewPolicy, Text)>,
    pub(super) labels: HashMap<Place, Text>,
}

impl FakePlaces {
    fn next(&mut self, worker: u32) -> Place {
        self.next += 1;
        Place {
            worker,
            slot: self.next,
            generation: 1,
        }
    }
}

impl Places for FakePlaces {
    fn take_conference(&mut self, _: Nanos) -> Option<Place> {
        let place = self.next(0);
        self.taken_conferences.push(place);
        Some(place)
    }

    fn take_leg(&mut self, worker: u32, _: Nanos) -> Option<Place> {
        if self.taken_legs.len() >= self.legs_max as usize {
            return None;
        }
        let place = self.next(worker);
        self.taken_legs.push(place);
        Some(place)
    }

    fn give_back_conference(&mut self, place: Place, _: Nanos) {
        self.taken_conferences.retain(|taken| *taken != place);
    }

    fn give_back_leg(&mut self, place: Place, _: Nanos) {
        self.taken_legs.retain(|taken| *taken != place);
    }

    fn take_video(&mut self, worker: u32, _: Nanos) -> Option<Place> {
        if self.taken_video.len() >= self.video_max {
            return None;
        }
        let place = self.next(worker);
        self.taken_video.push(place);
        Some(place)
    }

    fn give_back_video(&mut self, place: Place, _: Nanos) {
        self.taken_video.retain(|taken| *taken != place);
    }

    fn reach(&self, _: u32) -> Option<Reach> {
        Some(Reach {
            fingerprint: [7; 32],
            addresses: vec!["192.0.2.1:3480".parse().unwrap()],
        })
    }

    fn running_transport(&self, place: Place) -> Option<TransportConfig> {
        self.transports.get(&place).copied()
    }

    fn running_video(&self, place: Place) -> Option<VideoConfig> {
        self.video.get(&place).copied()
    }

    fn rtp_port(&self, place: Place) -> u16 {
        20_000 + 2 * u16::try_from(place.slot).unwrap()
    }

    fn video_rtp_port(&self, place: Place) -> u16 {
        40_000 + 2 * u16::try_from(place.slot).unwrap()
    }

    fn counters(&self, place: Place) -> Option<Counters> {
        self.counters.get(&place).copied()
    }

    fn video_counters(&self, place: Place) -> Option<VideoCounters> {
        self.video_counters.get(&place).copied()
    }

    fn revision(&self, place: Place) -> Option<u64> {
        Some(self.legs.get(&place)?.revision)
    }

    fn look_revision(&self, place: Place) -> Option<u64> {
        Some(self.looks.get(&place)?.0.revision)
    }

    fn label_revision(&self, place: Place) -> Option<u64> {
        Some(self.labels.get(&place)?.revision)
    }

    fn conference_revision(&self, place: Place) -> Option<u64> {
        self.conferences.get(&place).copied()
    }
}

/// App, dataplane, store and clock.
pub(super) struct Sim {
    pub(super) app: App,
    pub(super) places: FakePlaces,
    pub(super) spaces: Vec<Space>,
    pub(super) now: Moment,
    /// Everything that was to be done, in order, since it was last taken.
    pub(super) out: Vec<Output>,
    pub(super) saved: HashMap<CallLegId, SavedLeg>,
    rng: StdRng,
    next_leg: u8,
}

pub(super) fn config() -> AppConfig {
    AppConfig {
        domains: vec!["example.org".to_owned(), "localhost".to_owned()],
        own_domain: "example.org".to_owned(),
        legs_max: 10,
        participants_max: None,
        retry_after_s: 7,
        encryption: MediaEncryption::Optional,
        silence_timeout: Some(Duration::from_secs(60)),
        ring_timeout: Duration::from_secs(30),
        packet_ms: 20,
        join_tone_participants_max: 3,
        leave_tone_participants_max: 4,
        web: WebPermissions {
            moderate: true,
            dial: true,
            chat: true,
            share: true,
        },
    }
}

pub(super) fn space(number: u8, uri: &str) -> Space {
    let mut space = Space::new(SpaceId::from_bytes([number; 16]));
    space.name = format!("Space {uri}");
    space.uri = Some(uri.to_owned());
    space
}

impl Sim {
    pub(super) fn new(config: AppConfig) -> Self {
        Self {
            app: App::new(config),
            places: FakePlaces {
                legs_max: 100,
                video_max: 100,
                ..FakePlaces::default()
            },
            spaces: vec![space(1, "board"), space(2, "sales")],
            now: Moment {
                monotonic: Nanos::from_millis(1_000_000),
                unix_ms: 1_800_000_000_000,
            },
            out: Vec::new(),
            saved: HashMap::new(),
            rng: StdRng::seed_from_u64(42),
            next_leg: 1,
        }
    }

    pub(super) fn leg(&mut self) -> CallLegId {
        self.next_leg += 1;
        CallLegId::from_bytes([self.next_leg; 16])
    }

    /// Lets the app decide; the dataplane and the store do what comes out.
    pub(super) fn decide<T>(&mut self, decide: impl FnOnce(&mut App, &mut World<'_>) -> T) -> T {
        let mut out = Vec::new();
        let mut world = World {
            now: self.now,
            places: &mut self.places,
            rng: &mut self.rng,
            out: &mut out,
        };
        let answer = decide(&mut self.app, &mut world);
        for output in &out {
            match output {
                Output::SetConference { place, config } => {
                    self.places.conferences.insert(*place, config.revision);
                }
                Output::SetLeg { place, config } => {
                    let slot = config.conference;
                    let exists = |conference: &Place| {
                        conference.slot == slot && conference.worker == place.worker
                    };
                    assert!(
                        self.places.conferences.keys().any(exists),
                        "a leg before its conference"
                    );
                    let before = self.places.legs.insert(*place, **config);
                    assert!(before.is_none_or(|before| before.revision < config.revision));
                    if let Some(before) = before {
                        never_a_keystream_twice(&before, config);
                    }
                }
                Output::SetTransport { place, config } => {
                    let before = self.places.transports.insert(*place, **config);
                    assert!(before.is_none_or(|before| before.revision < config.revision));
                    assert_eq!(config.generation, place.generation);
                }
                Output::AddCandidate { place, .. } => {
                    assert!(self.places.transports.contains_key(place), "no transport");
                }
                Output::SetVideo { place, config } => {
                    let of = config.leg;
                    let is_there =
                        |leg: &Place| (leg.slot, leg.generation) == (of.slot, of.generation);
                    assert!(
                        self.places.legs.keys().any(is_there),
                        "a stream before its leg"
                    );
                    let before = self.places.video.insert(*place, **config);
                    assert!(before.is_none_or(|before| before.revision < config.revision));
                }
                Output::SetViewPolicy { place, policy } => {
                    assert!(self.places.conferences.contains_key(place));
                    self.places.looks.entry(*place).or_default().0 = *policy;
                }
                Output::SetMessage { place, text } => {
                    assert!(self.places.conferences.contains_key(place));
                    self.places.looks.entry(*place).or_default().1 = **text;
                }
                Output::SetLabel { place, text } => {
                    assert!(
                        self.places.legs.contains_key(place),
                        "a label before its leg"
                    );
                    let before = self.places.labels.insert(*place, **text);
                    assert!(before.is_none_or(|before| before.revision <= text.revision));
                }
                Output::Remove { kind, place } => {
                    if *kind == CommandKind::RemoveLeg {
                        assert!(self.places.legs.remove(place).is_some(), "removed twice");
                        self.places.transports.remove(place);
                        self.places.labels.remove(place);
                    } else if *kind == CommandKind::RemoveVideo {
                        assert!(self.places.video.remove(place).is_some(), "removed twice");
                    } else {
                        assert!(self.places.conferences.remove(place).is_some());
                        self.places.looks.remove(place);
                    }
                }
                Output::Forget { leg } => {
                    assert!(self.saved.remove(leg).is_some(), "never saved");
                }
                Output::Save(saved) => {
                    self.saved.insert(saved.id, (**saved).clone());
                }
                _ => {}
            }
        }
        self.out.extend(out);
        answer
    }

    /// Answers every question for a space.
    pub(super) fn resolve(&mut self) {
        loop {
            let asked = self
                .out
                .iter()
                .position(|output| matches!(output, Output::Resolve { .. }));
            let Some(Output::Resolve { leg, user }) = asked.map(|index| self.out.remove(index))
            else {
                return;
            };
            let found = self
                .spaces
                .iter()
                .find(|space| space.uri.as_deref() == Some(user.as_str()));
            let found = found.cloned();
            self.decide(|app, world| app.resolved(leg, found, world));
        }
    }

    /// Somebody calls `user`; what the app did about it.
    pub(super) fn call(&mut self, user: &str, offer: Option<String>) -> (CallLegId, Vec<Output>) {
        let leg = self.leg();
        let incoming = incoming(user, offer);
        (leg, self.incoming(leg, incoming))
    }

    pub(super) fn incoming(&mut self, leg: CallLegId, incoming: Incoming) -> Vec<Output> {
        self.decide(|app, world| app.incoming(leg, incoming, world));
        self.resolve();
        std::mem::take(&mut self.out)
    }

    /// Somebody joins `user` with an encrypted call, and acknowledges.
    pub(super) fn join(&mut self, user: &str) -> CallLegId {
        let offer = phone_offer(&mut self.rng, Encryption::Required);
        let (leg, out) = self.call(user, Some(offer));
        assert!(answer_of(&out).is_some(), "{out:?}");
        self.decide(|app, world| app.established(leg, None, world));
        self.out.clear();
        leg
    }

    pub(super) fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }

    pub(super) fn place(&self, leg: CallLegId) -> Place {
        self.saved[&leg].place
    }

    pub(super) fn media(&self, leg: CallLegId) -> LegConfig {
        self.places.legs[&self.place(leg)]
    }

    /// Time passes.
    pub(super) fn pass(&mut self, span: Duration) -> Vec<Output> {
        let until = self.now.monotonic + span;
        loop {
            let due = self.app.deadline().filter(|due| *due <= until);
            let next = due.unwrap_or(until).max(self.now.monotonic);
            let step = next.since(self.now.monotonic);
            self.now.monotonic = next;
            self.now.unix_ms += i64::try_from(step.as_millis()).unwrap();
            self.decide(App::tick);
            if next == until {
                return std::mem::take(&mut self.out);
            }
        }
    }

    pub(super) fn media_event(&mut self, leg: CallLegId, kind: EventKind, value: u64) {
        let place = self.place(leg);
        let event = Event {
            kind: kind as u32,
            // As of the command that set the leg up.
            token: (1 << 8) | CommandKind::SetLeg as u64,
            value,
            leg: SlotRef {
                slot: place.slot,
                generation: place.generation,
            },
            ..Event::default()
        };
        self.decide(|app, world| app.media_event(place.worker, &event, world));
    }

    /// Nothing is left of anything.
    pub(super) fn assert_empty(&self) {
        assert!(self.places.legs.is_empty(), "legs at the dataplane");
        assert!(self.places.conferences.is_empty(), "conferences there");
        assert!(self.places.taken_legs.is_empty(), "leg slots");
        assert!(self.places.taken_video.is_empty(), "video slots");
        assert!(self.places.video.is_empty(), "video at the dataplane");
        assert!(self.places.transports.is_empty(), "transports there");
        assert!(self.places.taken_conferences.is_empty(), "conference slots");
        assert_eq!(self.app.statistics().legs_active, 0);
        assert_eq!(self.app.deadline(), None);
    }
}

/// The dataplane starts an SRTP direction anew when its key epoch changes.
fn never_a_keystream_twice(before: &LegConfig, after: &LegConfig) {
    let same = before.srtp_suite == after.srtp_suite && before.srtp_suite != 0;
    if before.tx_key_epoch != after.tx_key_epoch && same {
        assert_ne!(before.tx_keys, after.tx_keys, "our keystream begins again");
    }
    if before.rx_key_epoch != after.rx_key_epoch && same {
        assert_ne!(before.rx_keys, after.rx_keys, "a replay window is lost");
    }
    if before.tx_key_epoch == after.tx_key_epoch {
        assert_eq!(before.tx_keys, after.tx_keys);
        assert_eq!(before.srtp_suite, after.srtp_suite);
    }
    if before.rx_key_epoch == after.rx_key_epoch {
        assert_eq!(before.rx_keys, after.rx_keys);
        assert_eq!(before.srtp_suite, after.srtp_suite);
    }
    assert_eq!(before.tx_ssrc, after.tx_ssrc);
}

pub(super) const PHONE: &str = "192.0.2.10";
pub(super) const OURS: &str = "192.0.2.1";

pub(super) fn incoming(user: &str, offer: Option<String>) -> Incoming {
    Incoming {
        user: user.to_owned(),
        host: "Example.ORG".to_owned(),
        from_name: "Ada".to_owned(),
        from_address: "ada@phones.example.net".to_owned(),
        sip_call_id: format!("call-{user}"),
        offer,
        peer: PHONE.parse().unwrap(),
        local_ip: OURS.parse().unwrap(),
        replaces: None,
    }
}

pub(super) fn phone(encryption: Encryption) -> LocalMedia {
    LocalMedia {
        address: PHONE.parse::<IpAddr>().unwrap(),
        rtp_port: 4_000,
        rtcp_port: 4_001,
        encryption,
        codecs: vec![AudioCodec::G722, AudioCodec::Pcma],
        packet_ms: 20,
        suites: vec![SrtpSuite::AesCm128HmacSha1_80],
        direction: Direction::BOTH,
        video: None,
    }
}

pub(super) fn phone_offer(rng: &mut StdRng, encryption: Encryption) -> String {
    plenum_sdp::offer(&phone(encryption), rng).0
}

pub(super) fn answer_of(out: &[Output]) -> Option<&str> {
    out.iter().find_map(|output| match output {
        Output::Accept { sdp, .. } => Some(sdp.as_str()),
        _ => None,
    })
}

/// Code, reason and Retry-After of a refusal.
pub(super) fn refusal_of(out: &[Output]) -> Option<(u16, &str, Option<u32>)> {
    out.iter().find_map(|output| match output {
        Output::Reject {
            code,
            reason,
            retry_after,
            ..
        } => Some((*code, reason.as_str(), *retry_after)),
        _ => None,
    })
}

pub(super) fn hang_up_of(out: &[Output]) -> Option<(CallLegId, &str)> {
    out.iter().find_map(|output| match output {
        Output::HangUp { leg, reason } => Some((*leg, reason.as_str())),
        _ => None,
    })
}
