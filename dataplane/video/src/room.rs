//! A conference of a worker's and its stage.
//!
//! Numbers are translated here and nowhere else: what an ABI record calls slots
//! and generations, the stage calls participants and receivers. Every number of a
//! record is what anybody may have written, and one that means nothing is the
//! default.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plenum_abi::{
    AccessUnitHead, InConference, ModuleConference, ModuleParticipant, ModuleReceiver, Nanos,
    ProfileLevelId, SlotRef, SourceSize, SourceWanted, StreamNote, UpKind, VideoCodec, VideoLimits,
    macroblocks, participant_flags, receiver_flags,
};
use plenum_codecs::video::{
    DecodeError, Decoded, EncoderConfig, SetupError, VideoDecoder, VideoEncoder,
};
use plenum_compositor::{
    AccessUnit, ActiveSpeakerMode, Codecs, ConferencePolicy, Fonts, Frame, Indicators, Layout,
    LibraryCodecs, Message, MessagePosition, Participant, ParticipantId, Receiver, ReceiverId,
    SelfPaneMode, Sink, Stage, Stream, Thrift, Wants,
};
use plenum_kernels::video::PictureRef;
use plenum_ring::ModuleMemory;
use zerocopy::FromBytes;

use crate::sink::Down;

/// Who shows content keeps the pane for this long after the last picture of it.
const CONTENT_HOLD: Duration = Duration::from_secs(2);
/// Pictures a second that a receiver takes who says nothing of it.
const FRAME_RATE_HZ: u32 = 30;
/// Most pictures a second of a conference of which nothing is said.
const FRAME_RATE_MAX_HZ: u32 = 60;

/// Who is there, and was it said since the last beginning.
struct Known<T> {
    it: T,
    said: bool,
}

/// A stream that sends to us.
struct Source {
    stream: SlotRef,
    size: (u32, u32),
    /// Rows of use of which the worker was told; `None` before the first.
    told: Option<u32>,
}

impl Source {
    const fn new(stream: SlotRef) -> Self {
        Self {
            stream,
            size: (0, 0),
            told: None,
        }
    }
}

/// See the [module](self).
pub(crate) struct Room {
    worker: u32,
    generation: u32,
    said: bool,
    stage: Stage,
    participants: HashMap<u32, Known<SlotRef>>,
    receivers: HashMap<u32, Known<SlotRef>>,
    sources: HashMap<(u32, Stream), Source>,
    /// Who shows content, and when the last of it came.
    content: Option<(u32, Nanos)>,
    /// Size of the picture decoded last, width above bit 32; 0 for none.
    decoded: Arc<AtomicU64>,
    /// Receivers for whom a picture was lost.
    lost: Vec<ReceiverId>,
    to: Vec<SlotRef>,
    maker: usize,
    memory: ModuleMemory,
    fonts: Fonts,
    down: Arc<[Down]>,
}

fn stage(policy: ConferencePolicy, fonts: &Fonts, decoded: &Arc<AtomicU64>) -> Stage {
    let codecs = WatchedCodecs {
        decoded: decoded.clone(),
    };
    Stage::new(policy, fonts, Box::new(codecs))
}

impl Room {
    pub(crate) fn new(
        worker: u32,
        maker: usize,
        memory: ModuleMemory,
        fonts: Fonts,
        down: &Arc<[Down]>,
    ) -> Self {
        let decoded = Arc::new(AtomicU64::new(0));
        Self {
            worker,
            generation: 0,
            said: true,
            stage: stage(ConferencePolicy::default(), &fonts, &decoded),
            participants: HashMap::new(),
            receivers: HashMap::new(),
            sources: HashMap::new(),
            content: None,
            decoded,
            lost: Vec::new(),
            to: Vec::new(),
            maker,
            memory,
            fonts,
            down: down.clone(),
        }
    }

    /// The worker begins to say all that there is.
    pub(crate) fn begin(&mut self) {
        self.said = false;
        self.participants
            .values_mut()
            .for_each(|known| known.said = false);
        self.receivers
            .values_mut()
            .for_each(|known| known.said = false);
        self.sources
            .values_mut()
            .for_each(|source| source.told = None);
    }

    /// It said all; `false` when the conference was not among it.
    pub(crate) fn settle(&mut self) -> bool {
        let gone = |known: &HashMap<u32, Known<SlotRef>>| -> Vec<u32> {
            let unsaid = known.iter().filter(|(_, known)| !known.said);
            unsaid.map(|(slot, _)| *slot).collect()
        };
        for leg in gone(&self.participants) {
            self.remove_participant(leg);
        }
        for slot in gone(&self.receivers) {
            self.receivers.remove(&slot);
            self.stage.remove_receiver(ReceiverId(slot));
        }
        self.said
    }

    pub(crate) fn set_thrift(&mut self, thrift: Thrift) {
        self.stage.set_thrift(thrift);
    }

    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        self.stage.next_deadline()
    }

    /// Makes the pictures that are due.
    pub(crate) fn tick(&mut self, now: Nanos) {
        let encodes = self.stage.stats().encodes;
        let mut outlet = Outlet {
            down: &self.down[self.worker as usize],
            receivers: &self.receivers,
            sources: &self.sources,
            lost: &mut self.lost,
            to: &mut self.to,
        };
        self.stage.tick(now, &mut outlet);
        let header = self.memory.header();
        let made = self.stage.stats().encodes - encodes;
        header.encodes.fetch_add(made, Ordering::Relaxed);
        header
            .frames_lost
            .fetch_add(self.lost.len() as u64, Ordering::Relaxed);
        for receiver in self.lost.drain(..) {
            self.stage.request_key_frame(now, receiver);
        }
        self.tell_wanted();
        if let Some((leg, _)) = self.content.filter(|(_, at)| now.since(*at) > CONTENT_HOLD) {
            self.end_content(leg);
        }
    }

    /// Tells the worker how many rows of each source are of use, where that has changed.
    fn tell_wanted(&mut self) {
        let down = &self.down[self.worker as usize];
        for ((leg, stream), source) in &mut self.sources {
            let rows = self.stage.rows_wanted(ParticipantId(*leg), *stream);
            let wanted = SourceWanted {
                stream: source.stream,
                rows,
                reserved: 0,
            };
            if source.told != Some(rows) && down.source_wanted(&wanted) {
                source.told = Some(rows);
            }
        }
    }

    /// Carries out one record.
    pub(crate) fn obey(&mut self, now: Nanos, kind: UpKind, payload: &[u8]) {
        match kind {
            UpKind::SetConference => {
                if let Ok((wanted, _)) = ModuleConference::read_from_prefix(payload) {
                    self.set_conference(&wanted);
                }
            }
            UpKind::SetParticipant => {
                if let Ok((wanted, _)) = ModuleParticipant::read_from_prefix(payload) {
                    self.set_participant(&wanted);
                }
            }
            UpKind::SetReceiver => {
                if let Ok((wanted, _)) = ModuleReceiver::read_from_prefix(payload) {
                    self.set_receiver(now, &wanted);
                }
            }
            UpKind::AccessUnit => {
                if let Ok((head, data)) = AccessUnitHead::read_from_prefix(payload) {
                    self.take(now, &head, data);
                }
            }
            UpKind::RemoveParticipant
            | UpKind::RemoveReceiver
            | UpKind::RequestKeyFrame
            | UpKind::Speaker => {
                if let Ok((record, _)) = InConference::read_from_prefix(payload) {
                    self.obey_about(now, kind, &record);
                }
            }
            _ => {}
        }
    }

    fn obey_about(&mut self, now: Nanos, kind: UpKind, record: &InConference) {
        let about = record.about;
        let is = |known: Option<&Known<SlotRef>>| known.is_some_and(|known| known.it == about);
        match kind {
            UpKind::RemoveParticipant if is(self.participants.get(&about.slot)) => {
                self.remove_participant(about.slot);
            }
            UpKind::RemoveReceiver if is(self.receivers.get(&about.slot)) => {
                self.receivers.remove(&about.slot);
                self.stage.remove_receiver(ReceiverId(about.slot));
            }
            UpKind::RequestKeyFrame if is(self.receivers.get(&about.slot)) => {
                self.stage.request_key_frame(now, ReceiverId(about.slot));
            }
            UpKind::Speaker if is(self.participants.get(&about.slot)) => {
                self.stage.handle_speaker(now, ParticipantId(about.slot));
            }
            _ => {}
        }
    }

    fn set_conference(&mut self, wanted: &ModuleConference) {
        let policy = conference_policy(wanted);
        self.said = true;
        if wanted.conference.generation == self.generation {
            self.stage.set_policy(policy);
            return;
        }
        // Another conference took the slot: nobody of the one before is in it.
        self.generation = wanted.conference.generation;
        self.stage = stage(policy, &self.fonts, &self.decoded);
        self.participants.clear();
        self.receivers.clear();
        self.sources.clear();
        self.content = None;
    }

    fn set_participant(&mut self, wanted: &ModuleParticipant) {
        let id = ParticipantId(wanted.leg.slot);
        let other = |known: &Known<SlotRef>| known.it != wanted.leg;
        if self.participants.get(&wanted.leg.slot).is_some_and(other) {
            self.remove_participant(wanted.leg.slot);
        }
        let has = |flag| wanted.flags & flag != 0;
        let participant = Participant {
            label: wanted.label.as_str().to_owned(),
            sends_video: has(participant_flags::SENDS_VIDEO),
            audio_muted: has(participant_flags::AUDIO_MUTED),
            video_muted: has(participant_flags::VIDEO_MUTED),
            importance: wanted.importance,
            ..Participant::default()
        };
        if self.stage.set_participant(id, participant).is_ok() {
            let it = wanted.leg;
            self.participants.insert(it.slot, Known { it, said: true });
        }
    }

    fn remove_participant(&mut self, leg: u32) {
        self.participants.remove(&leg);
        self.stage.remove_participant(ParticipantId(leg));
        self.sources.retain(|(of, _), _| *of != leg);
        if self.content.is_some_and(|(of, _)| of == leg) {
            self.end_content(leg);
        }
    }

    fn end_content(&mut self, leg: u32) {
        self.content = None;
        self.stage.set_content(None);
        self.sources.remove(&(leg, Stream::Content));
    }

    fn set_receiver(&mut self, now: Nanos, wanted: &ModuleReceiver) {
        let id = ReceiverId(wanted.stream.slot);
        let Some(receiver) = receiver(wanted) else {
            return;
        };
        let other = |known: &Known<SlotRef>| known.it != wanted.stream;
        if self.receivers.get(&wanted.stream.slot).is_some_and(other) {
            self.stage.remove_receiver(id);
        }
        if self.stage.set_receiver(now, id, receiver).is_ok() {
            let it = wanted.stream;
            self.receivers.insert(it.slot, Known { it, said: true });
        }
    }

    /// Takes an access unit. While the stage has it the stream is noted, so that a
    /// successor's worker knows whom the module died of.
    fn take(&mut self, now: Nanos, head: &AccessUnitHead, data: &[u8]) {
        let Some(codec) = VideoCodec::from_u8(head.codec) else {
            return;
        };
        let stream = match head.content {
            0 => Stream::Main,
            _ => Stream::Content,
        };
        if stream == Stream::Content && !self.may_show(now, head.leg) {
            return;
        }
        let source = self.sources.entry((head.leg, stream));
        let source = source.or_insert(Source::new(head.stream));
        if source.stream != head.stream {
            *source = Source::new(head.stream);
        }
        let unit = AccessUnit {
            codec,
            key_frame: head.key_frame != 0,
            data,
        };
        let note = StreamNote {
            worker: self.worker,
            stream: head.stream,
        };
        let header = self.memory.header();
        let place = &header.notes[self.maker];
        let decodes = self.stage.stats().decodes;
        self.decoded.store(0, Ordering::Relaxed);
        place.store(note.to_word(), Ordering::Release);
        self.stage
            .handle_access_unit(now, ParticipantId(head.leg), stream, &unit);
        place.store(0, Ordering::Release);
        let decoded = self.stage.stats().decodes - decodes;
        header.decodes.fetch_add(decoded, Ordering::Relaxed);
        let size = self.decoded.load(Ordering::Relaxed);
        let (width, height) = ((size >> 32) as u32, size as u32);
        if size != 0 && (width, height) != source.size {
            source.size = (width, height);
            self.down[self.worker as usize].source_size(&SourceSize {
                stream: head.stream,
                width,
                height,
            });
        }
    }

    /// Whose content is shown: the first who shows any, until he has stopped for a
    /// while.
    fn may_show(&mut self, now: Nanos, leg: u32) -> bool {
        match self.content {
            Some((other, at)) if other != leg && now.since(at) <= CONTENT_HOLD => return false,
            Some((same, _)) if same == leg => {}
            _ => self.stage.set_content(Some(ParticipantId(leg))),
        }
        self.content = Some((leg, now));
        true
    }
}

/// What comes out of a stage, with the numbers of the ABI.
struct Outlet<'a> {
    down: &'a Down,
    receivers: &'a HashMap<u32, Known<SlotRef>>,
    sources: &'a HashMap<(u32, Stream), Source>,
    lost: &'a mut Vec<ReceiverId>,
    to: &'a mut Vec<SlotRef>,
}

impl Sink for Outlet<'_> {
    fn encoded(&mut self, frame: &Frame<'_>) {
        self.to.clear();
        let known = |id: &ReceiverId| self.receivers.get(&id.0).map(|known| known.it);
        self.to.extend(frame.receivers.iter().filter_map(known));
        if !self.down.frame(frame, self.to) {
            self.lost.extend_from_slice(frame.receivers);
        }
    }

    fn request_key_frame(&mut self, participant: ParticipantId, stream: Stream) {
        if let Some(source) = self.sources.get(&(participant.0, stream)) {
            self.down.request_key_frame(source.stream);
        }
    }
}

/// The codecs of the library, watched for the size of what they decode.
struct WatchedCodecs {
    decoded: Arc<AtomicU64>,
}

impl Codecs for WatchedCodecs {
    fn decoder(&mut self, codec: VideoCodec) -> Result<Box<dyn VideoDecoder>, SetupError> {
        let decoder = LibraryCodecs.decoder(codec)?;
        let decoded = self.decoded.clone();
        Ok(Box::new(WatchedDecoder { decoder, decoded }))
    }

    fn encoder(&mut self, config: &EncoderConfig) -> Result<Box<dyn VideoEncoder>, SetupError> {
        LibraryCodecs.encoder(config)
    }
}

/// A decoder that says how large its pictures are.
struct WatchedDecoder {
    decoder: Box<dyn VideoDecoder>,
    decoded: Arc<AtomicU64>,
}

impl VideoDecoder for WatchedDecoder {
    fn decode(&mut self, access_unit: &[u8]) -> Result<Decoded, DecodeError> {
        let outcome = self.decoder.decode(access_unit);
        if let Some(picture) = self.decoder.picture() {
            let size = u64::from(picture.width()) << 32 | u64::from(picture.height());
            self.decoded.store(size, Ordering::Relaxed);
        }
        outcome
    }

    fn picture(&self) -> Option<PictureRef<'_>> {
        self.decoder.picture()
    }
}

fn conference_policy(wanted: &ModuleConference) -> ConferencePolicy {
    let policy = &wanted.policy;
    let text = wanted.message.as_str();
    let number = |from_one: u8| from_one.wrapping_sub(1);
    ConferencePolicy {
        layout: Layout::from_u8(policy.layout).unwrap_or_default(),
        self_pane_mode: SelfPaneMode::from_u8(number(policy.self_pane_mode)).unwrap_or_default(),
        placement_highest_importance: Some(policy.placement_highest_importance)
            .filter(|highest| *highest > 0),
        active_speaker_mode: ActiveSpeakerMode::from_u8(number(policy.active_speaker_mode))
            .unwrap_or_default(),
        labels: policy.labels_off == 0,
        message: (!text.is_empty()).then(|| Message {
            text: text.to_owned(),
            position: MessagePosition::from_u8(number(policy.message_position)).unwrap_or_default(),
            until: Some(Nanos(policy.message_until)).filter(|until| until.0 > 0),
        }),
        indicators: Indicators {
            locked: policy.locked != 0,
            ..Indicators::default()
        },
        frame_rate_max_hz: match policy.frame_rate_max {
            0 => FRAME_RATE_MAX_HZ,
            set => u32::from(set),
        },
        ..ConferencePolicy::default()
    }
}

/// `None` where the codec is none.
fn receiver(wanted: &ModuleReceiver) -> Option<Receiver> {
    let codec = VideoCodec::from_u8(wanted.codec)?;
    let [_, profile_idc, flags, level_idc] = wanted.profile_level_id.to_be_bytes();
    let id = ProfileLevelId::from_bytes([profile_idc, flags, level_idc])
        .unwrap_or(ProfileLevelId::UNSAID);
    let has = |flag| wanted.flags & flag != 0;
    let frame_rate_max_hz = match wanted.frame_rate_max {
        0 => FRAME_RATE_HZ,
        set => u32::from(set),
    };
    let (width_max, height_max) = (u32::from(wanted.width_max), u32::from(wanted.height_max));
    let max_fs = macroblocks(width_max, height_max);
    let limits = VideoLimits {
        max_fs,
        max_mbps: match wanted.macroblocks_per_s_max {
            0 => u32::MAX,
            set => set,
        },
        frame_rate_max_hz,
        bit_rate_max_bps: match wanted.bit_rate_bps_max {
            0 => u32::MAX,
            set => set,
        },
    };
    Some(Receiver {
        participant: Some(ParticipantId(wanted.leg)),
        codec,
        profile: id.profile,
        limits,
        slice_bytes_max: Some(wanted.slice_bytes_max).filter(|bytes| *bytes > 0),
        width_max,
        height_max,
        frame_rate_max_hz,
        bit_rate_bps: wanted.bit_rate_bps,
        layout: Layout::from_u8(wanted.layout),
        paused: has(receiver_flags::PAUSED),
        wants: if has(receiver_flags::CONTENT) {
            Wants::Content
        } else {
            let content_in_main = has(receiver_flags::CONTENT_IN_MAIN);
            Wants::Main { content_in_main }
        },
    })
}
