//! Pictures of conferences: which module makes them, what it is told, what it
//! answers.
//!
//! A conference has a module from its first video stream to its last, and its
//! participants are told to it for as long. What comes back is sent between ticks:
//! a picture to thirty receivers is some thousand packets, and sound does not wait
//! for it ([`Worker::show`]).

use plenum_abi::{
    DownKind, EventKind, FrameHead, InConference, LegFlags, ModuleConference, ModuleParticipant,
    Nanos, RejectReason, SetVideo, SlotRef, SlotState, SourceSize, SourceWanted, UpKind,
    VideoFlags, VideoRecord, participant_flags,
};
use plenum_rtp::rtcp::Arrivals;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zerocopy::{FromBytes, IntoBytes};

use super::{Room, Worker};
use crate::counters::{add, set};
use crate::leg::Exit;
use crate::modules::{Link, least_loaded};
use crate::video::{self, Bandwidth, EncodedPicture, Inlet, VideoInbound, VideoStream};

/// Time between two bursts of a picture's packets.
const BURST_INTERVAL: Duration = Duration::from_millis(1);

/// Streams by slot, and all that belongs to them on this worker.
pub(super) struct Pictures {
    pub(super) links: Vec<Link>,
    pub(super) streams: Box<[Option<Box<VideoStream>>]>,
    /// Key of the first stream's RTP socket in the driver.
    pub(super) first_key: u32,
    /// By leg slot: its main stream and its content, as slots plus one.
    of_leg: Box<[[u32; 2]]>,
    /// A module's record that is being dealt with.
    record: Vec<u8>,
    /// Receivers of it that were served; `None` when it is done with.
    served: Option<usize>,
    /// Module from which the next record is taken.
    next_link: usize,
    /// Streams with packets that wait for their moment.
    pacing: Vec<u32>,
    next_burst: Nanos,
    /// Legs of the conference that ticks.
    here: Vec<u32>,
    /// By leg slot: packets of its transport that are to be told of, where the far end
    /// counts them.
    arrivals: Box<[Option<Box<Arrivals>>]>,
    /// By leg slot: what its transport carries, where the far end counts packets.
    pub(super) bandwidth: Box<[Option<Box<Bandwidth>>]>,
}

impl Pictures {
    pub(super) fn new(legs: u32, streams: u32, first_key: u32, links: Vec<Link>) -> Self {
        Self {
            links,
            streams: (0..streams).map(|_| None).collect(),
            first_key,
            of_leg: vec![[0; 2]; legs as usize].into_boxed_slice(),
            record: Vec::new(),
            served: None,
            next_link: 0,
            pacing: Vec::with_capacity(streams as usize),
            next_burst: Nanos::ZERO,
            here: Vec::with_capacity(legs as usize),
            arrivals: (0..legs).map(|_| None).collect(),
            bandwidth: (0..legs).map(|_| None).collect(),
        }
    }

    /// A packet of a leg's transport came. (The first of a leg makes room for it.)
    pub(super) fn note_arrival(&mut self, leg: u32, now: Nanos, sequence: u16) {
        if let Some(arrivals) = self.arrivals.get_mut(leg as usize) {
            arrivals.get_or_insert_default().note(now, sequence);
        }
    }

    fn key(&self, slot: u32) -> u32 {
        self.first_key + slot * 2
    }

    pub(super) fn stream(&self, slot: u32) -> Option<&VideoStream> {
        self.streams.get(slot as usize)?.as_deref()
    }

    /// A leg's streams.
    pub(super) fn of_leg(&self, leg: u32) -> impl Iterator<Item = u32> + Clone + use<> {
        let slots = self.of_leg.get(leg as usize).copied().unwrap_or_default();
        slots.into_iter().filter_map(|slot| slot.checked_sub(1))
    }

    /// When packets have to leave next.
    pub(super) fn next_deadline(&self) -> Option<Nanos> {
        if self.served.is_some() {
            return Some(Nanos::ZERO);
        }
        (!self.pacing.is_empty()).then_some(self.next_burst)
    }

    /// See [`Link::prepare_sleep`].
    pub(super) fn prepare_sleep(&self) -> bool {
        let ready = self.links.iter().map(Link::prepare_sleep);
        // Each must know, also when one before it has something.
        ready.fold(true, |all, one| all & one)
    }

    pub(super) fn stay_awake(&self) {
        self.links.iter().for_each(Link::stay_awake);
    }

    pub(super) fn wake(&mut self) {
        self.links.iter_mut().for_each(Link::wake);
    }
}

impl Room {
    pub(super) fn slot_ref(&self, slot: u32) -> SlotRef {
        SlotRef {
            slot,
            generation: self.config.generation,
        }
    }
}

impl Worker {
    /// Whether a driver key is that of a video stream's socket.
    pub(super) fn is_video_key(&self, key: u32) -> bool {
        key >= self.pictures.first_key
    }

    pub(super) fn on_video_datagram(&mut self, key: u32, mut inbound: VideoInbound) {
        let offset = key - self.pictures.first_key;
        inbound.on_rtcp_port = offset % 2 == 1;
        self.at_stream(offset / 2, inbound, VideoStream::on_datagram);
    }

    /// Gives a datagram to a stream; `None` when there is no such stream.
    pub(super) fn at_stream<T>(
        &mut self,
        slot: u32,
        inbound: VideoInbound,
        take: impl FnOnce(&mut VideoStream, VideoInbound, &VideoRecord, &mut Inlet<'_>) -> T,
    ) -> Option<T> {
        let mut inbound = Some(inbound);
        let taken = self.beside_stream(slot, |stream, record, inlet| {
            let inbound = inbound.take()?;
            Some(take(stream, inbound, record, inlet))
        });
        if let Some(inbound) = inbound {
            self.driver.release(inbound.lease);
        }
        taken.flatten()
    }

    /// A stream and what it needs to receive.
    pub(super) fn beside_stream<T>(
        &mut self,
        slot: u32,
        act: impl FnOnce(&mut VideoStream, &VideoRecord, &mut Inlet<'_>) -> T,
    ) -> Option<T> {
        let pictures = &mut self.pictures;
        let stream = pictures.streams.get_mut(slot as usize)?.as_mut()?;
        let record = self.view.video_stream(slot)?;
        let (conference, module) = place(&self.legs, &self.rooms, stream)?;
        let mut inlet = Inlet {
            driver: &mut self.driver,
            outbox: &mut self.outbox,
            events: &mut self.events,
            link: module.and_then(|module| pictures.links.get_mut(module)),
            conference,
            bandwidth: bandwidth_of(&mut pictures.bandwidth, stream),
        };
        Some(act(stream, record, &mut inlet))
    }

    pub(super) fn count_video_error(&self, key: u32) {
        let slot = (key - self.pictures.first_key) / 2;
        if let Some(record) = self.view.video_stream(slot) {
            add(&record.stats.tx_errors, 1);
        }
    }

    /// A receive that failed though its socket is whole is begun again.
    pub(super) fn rearm_video(&mut self, key: u32) {
        let slot = (key - self.pictures.first_key) / 2;
        if self.pictures.stream(slot).is_some() {
            let _ = self.driver.arm(key);
        }
    }

    pub(super) fn set_video(&mut self, wanted: &SetVideo) -> Result<(), RejectReason> {
        let SetVideo { slot, config, .. } = *wanted;
        let view = self.view.clone();
        let record = view.video_stream(slot).ok_or(RejectReason::NoSuchSlot)?;
        video::check(&config)?;
        let leg = self.legs.get(config.leg.slot as usize);
        let leg = leg
            .and_then(Option::as_ref)
            .ok_or(RejectReason::NoSuchSlot)?;
        if leg.config.generation != config.leg.generation {
            return Err(RejectReason::WrongGeneration);
        }
        let leg_guid = leg.config.leg_guid;
        let bundle = self.bundle_of_stream(&config)?;
        let now = plenum_uring::now();
        if let Some(stream) = self.pictures.streams[slot as usize].as_mut() {
            let known = &stream.config;
            if config.generation < known.generation {
                return Err(RejectReason::WrongGeneration);
            }
            if config.generation == known.generation {
                if config.revision > known.revision {
                    stream.update(now, config, record, &self.driver, &mut self.rng);
                    self.arm_video(slot)?;
                    self.say_leg(config.leg.slot);
                }
                return Ok(());
            }
            let about = stream.slot_ref();
            self.remove_video(about)?;
        }
        let at = (slot, self.pictures.key(slot));
        let driver = &self.driver;
        let setup = (config, bundle);
        let stream = VideoStream::create(now, at, setup, leg_guid, record, driver, &mut self.rng);
        self.seat_video(stream)
    }

    /// Gives a stream its place: with its leg, at its conference's module, and with
    /// its sockets open.
    pub(super) fn seat_video(&mut self, stream: VideoStream) -> Result<(), RejectReason> {
        let (slot, leg) = (stream.slot, stream.config.leg.slot);
        let which = usize::from(stream.is_content());
        let of_leg = self.pictures.of_leg.get_mut(leg as usize);
        of_leg.ok_or(RejectReason::NoSuchSlot)?[which] = slot + 1;
        self.pictures.streams[slot as usize] = Some(Box::new(stream));
        self.arm_video(slot)?;
        let conference = self.legs[leg as usize]
            .as_ref()
            .map(|leg| leg.config.conference);
        if let Some(conference) = conference {
            self.open_pictures(conference);
        }
        self.say_leg(leg);
        Ok(())
    }

    fn arm_video(&mut self, slot: u32) -> Result<(), RejectReason> {
        let key = self.pictures.key(slot);
        let flags = self
            .pictures
            .stream(slot)
            .map(|stream| stream.config.flags());
        let flags = flags.unwrap_or_default();
        if flags.contains(VideoFlags::BUNDLED) {
            return Ok(());
        }
        let mux = flags.contains(VideoFlags::RTCP_MUX);
        let armed = self.driver.arm(key).and_then(|()| match mux {
            true => Ok(()),
            false => self.driver.arm(key + 1),
        });
        armed.map_err(|_| RejectReason::Resource)
    }

    pub(super) fn remove_video(&mut self, about: SlotRef) -> Result<(), RejectReason> {
        let view = self.view.clone();
        let record = view
            .video_stream(about.slot)
            .ok_or(RejectReason::NoSuchSlot)?;
        let place = &mut self.pictures.streams[about.slot as usize];
        match place {
            // Gone already: that is what was asked for.
            None => return Ok(()),
            Some(stream) if stream.config.generation != about.generation => {
                return Err(RejectReason::WrongGeneration);
            }
            Some(_) => {}
        }
        let Some(stream) = place.take() else {
            return Ok(());
        };
        let key = self.pictures.key(about.slot);
        self.driver.disarm(key);
        self.driver.disarm(key + 1);
        let leg = stream.config.leg.slot;
        if let Some(slots) = self.pictures.of_leg.get_mut(leg as usize) {
            slots
                .iter_mut()
                .filter(|slot| **slot == about.slot + 1)
                .for_each(|slot| *slot = 0);
        }
        let conference = self.legs.get(leg as usize).and_then(Option::as_ref);
        let conference = conference.map(|leg| leg.config.conference);
        stream.remove(record, &mut self.driver);
        if let Some(conference) = conference {
            self.say_gone(conference, UpKind::RemoveReceiver, about);
            self.say_leg(leg);
            self.close_pictures(conference);
        }
        Ok(())
    }

    /// A leg goes, and its streams with it.
    pub(super) fn remove_leg_video(&mut self, leg: u32) {
        if let Some(arrivals) = self.pictures.arrivals.get_mut(leg as usize) {
            *arrivals = None;
        }
        if let Some(bandwidth) = self.pictures.bandwidth.get_mut(leg as usize) {
            *bandwidth = None;
        }
        for slot in self.pictures.of_leg(leg) {
            if let Some(about) = self.pictures.stream(slot).map(VideoStream::slot_ref) {
                let _ = self.remove_video(about);
            }
        }
    }

    pub(super) fn request_key_frame(&mut self, about: SlotRef) -> Result<(), RejectReason> {
        self.stream_mut(about)?.need_key_frame();
        Ok(())
    }

    /// The module is asked for what the far end asks for; it bounds how often.
    pub(super) fn send_key_frame(&mut self, about: SlotRef) -> Result<(), RejectReason> {
        self.stream_mut(about)?;
        if let Some(record) = self.view.video_stream(about.slot) {
            add(&record.stats.tx_key_frame_requests, 1);
        }
        let stream = self.pictures.stream(about.slot);
        let at = stream.and_then(|stream| place(&self.legs, &self.rooms, stream));
        if let Some((conference, Some(module))) = at {
            let about = InConference { conference, about };
            self.pictures.links[module].say(UpKind::RequestKeyFrame, about.as_bytes());
        }
        Ok(())
    }

    fn stream_mut(&mut self, about: SlotRef) -> Result<&mut VideoStream, RejectReason> {
        let stream = self.pictures.streams.get_mut(about.slot as usize);
        let stream = stream.and_then(Option::as_deref_mut);
        let stream = stream.ok_or(RejectReason::NoSuchSlot)?;
        let is = stream.config.generation == about.generation;
        is.then_some(stream).ok_or(RejectReason::WrongGeneration)
    }

    /// The conference gets a module, if it has none and there is one, and the module
    /// is told of it.
    fn open_pictures(&mut self, conference: u32) {
        let Some(Some(room)) = self.rooms.get_mut(conference as usize) else {
            return;
        };
        if room.module.is_some() {
            return;
        }
        room.module = least_loaded(&self.pictures.links);
        if let Some(module) = room.module {
            self.pictures.links[module].rooms += 1;
            self.say_room(conference);
        }
    }

    /// The conference gives its module up with its last stream.
    fn close_pictures(&mut self, conference: u32) {
        let still = self
            .pictures
            .streams
            .iter()
            .flatten()
            .filter_map(|stream| self.legs.get(stream.config.leg.slot as usize)?.as_ref())
            .any(|leg| leg.config.conference == conference);
        if !still {
            self.leave_module(conference);
        }
    }

    /// The conference's module forgets it.
    pub(super) fn leave_module(&mut self, conference: u32) {
        let Some(Some(room)) = self.rooms.get_mut(conference as usize) else {
            return;
        };
        let about = room.slot_ref(conference);
        if let Some(module) = room.module.take() {
            let link = &mut self.pictures.links[module];
            link.rooms -= 1;
            link.say(UpKind::RemoveConference, about.as_bytes());
        }
    }

    /// The module of a conference, to be told something, and the conference.
    fn link_of(&mut self, conference: u32) -> Option<(&mut Link, SlotRef)> {
        let room = self.rooms.get(conference as usize)?.as_ref()?;
        let about = room.slot_ref(conference);
        Some((self.pictures.links.get_mut(room.module?)?, about))
    }

    fn say_gone(&mut self, conference: u32, kind: UpKind, about: SlotRef) {
        if let Some((link, conference)) = self.link_of(conference) {
            let gone = InConference { conference, about };
            link.say(kind, gone.as_bytes());
        }
    }

    /// A leg changed, and perhaps its conference with it.
    pub(super) fn follow_leg(&mut self, slot: u32, from: u32, to: u32) {
        if from != to {
            let generation = self.legs[slot as usize]
                .as_ref()
                .map_or(0, |leg| leg.config.generation);
            self.say_left(from, SlotRef { slot, generation });
            self.close_pictures(from);
            if self.pictures.of_leg(slot).next().is_some() {
                self.open_pictures(to);
            }
        }
        self.say_leg(slot);
    }

    /// A leg leaves a conference: its module is told.
    pub(super) fn say_left(&mut self, conference: u32, leg: SlotRef) {
        self.say_gone(conference, UpKind::RemoveParticipant, leg);
        for slot in self.pictures.of_leg(leg.slot) {
            if let Some(about) = self.pictures.stream(slot).map(VideoStream::slot_ref) {
                self.say_gone(conference, UpKind::RemoveReceiver, about);
            }
        }
    }

    pub(super) fn say_conference(&mut self, slot: u32) {
        let view = self.view.clone();
        let (Some((link, conference)), Some(record)) = (self.link_of(slot), view.conference(slot))
        else {
            return;
        };
        let said = ModuleConference {
            conference,
            policy: record.view_policy.load().unwrap_or_default(),
            message: record.message.load().unwrap_or_default(),
        };
        link.say(UpKind::SetConference, said.as_bytes());
    }

    /// Says all of a conference to its module.
    fn say_room(&mut self, conference: u32) {
        self.say_conference(conference);
        for leg in 0..self.legs.len() {
            let here = |leg: &crate::leg::Leg| leg.config.conference == conference;
            if self.legs[leg].as_deref().is_some_and(here) {
                self.say_leg(leg as u32);
            }
        }
    }

    /// Tells the module of a leg's conference what the leg is now, and its streams.
    pub(super) fn say_leg(&mut self, slot: u32) {
        let Some(Some(leg)) = self.legs.get(slot as usize) else {
            return;
        };
        let config = leg.config;
        if self.link_of(config.conference).is_none() {
            return;
        }
        let view = self.view.clone();
        let mut flags = 0;
        if config.flags().contains(LegFlags::RX_AUDIO_MUTE) {
            flags |= participant_flags::AUDIO_MUTED;
        }
        let mut receivers = [None; 2];
        let streams = self.pictures.of_leg(slot);
        let (conference, layout) = (self.conference_ref(config.conference), config.layout);
        for (receiver, of_leg) in receivers.iter_mut().zip(streams) {
            let Some(stream) = self.pictures.streams[of_leg as usize].as_mut() else {
                continue;
            };
            let video = stream.config.flags();
            if !stream.is_content() {
                if video.contains(VideoFlags::RECEIVE) {
                    flags |= participant_flags::SENDS_VIDEO;
                }
                if video.contains(VideoFlags::RX_VIDEO_MUTE) {
                    flags |= participant_flags::VIDEO_MUTED;
                }
            }
            let about = stream.slot_ref();
            *receiver = Some((about, stream.receiver(conference, layout)));
        }
        let label = view.leg(slot).and_then(|record| record.label.load());
        let participant = ModuleParticipant {
            conference,
            leg: SlotRef {
                slot,
                generation: config.generation,
            },
            flags,
            importance: config.importance,
            label: label.unwrap_or_default(),
        };
        let Some((link, _)) = self.link_of(config.conference) else {
            return;
        };
        link.say(UpKind::SetParticipant, participant.as_bytes());
        for (about, receiver) in receivers.into_iter().flatten() {
            match receiver {
                Some(receiver) => link.say(UpKind::SetReceiver, receiver.as_bytes()),
                None => {
                    let gone = InConference { conference, about };
                    link.say(UpKind::RemoveReceiver, gone.as_bytes());
                }
            }
        }
    }

    fn conference_ref(&self, slot: u32) -> SlotRef {
        let room = self.rooms.get(slot as usize).and_then(Option::as_ref);
        room.map_or(SlotRef::default(), |room| room.slot_ref(slot))
    }

    /// Says everything to modules that were not told.
    fn tell_modules(&mut self) {
        for module in 0..self.pictures.links.len() {
            if !self.pictures.links[module].must_hear_all() {
                continue;
            }
            let mut suspects = Vec::new();
            let another = self.pictures.links[module].begin(|stream| suspects.push(stream));
            for about in suspects {
                self.blame(about);
            }
            for conference in 0..self.rooms.len() {
                let here = |room: &Room| room.module == Some(module);
                if self.rooms[conference].as_deref().is_some_and(here) {
                    self.say_room(conference as u32);
                    if another {
                        self.begin_pictures_anew(conference as u32);
                    }
                }
            }
            self.pictures.links[module].say(UpKind::Settled, &[]);
        }
    }

    /// Decoders and encoders are new: both ends need key frames.
    fn begin_pictures_anew(&mut self, conference: u32) {
        for stream in self.pictures.streams.iter_mut().flatten() {
            let leg = self.legs.get(stream.config.leg.slot as usize);
            let here = |leg: &crate::leg::Leg| leg.config.conference == conference;
            if leg.and_then(Option::as_deref).is_some_and(here) {
                stream.need_key_frame();
                stream.await_key_frame();
            }
        }
        if let Some(Some(room)) = self.rooms.get_mut(conference as usize) {
            room.speaker_told = None;
        }
    }

    /// A module died while it had this stream's access unit in hand.
    fn blame(&mut self, about: SlotRef) {
        let stream = self.pictures.stream(about.slot);
        let stream = stream.filter(|stream| stream.slot_ref() == about);
        let (Some(stream), Some(record)) = (stream, self.view.video_stream(about.slot)) else {
            return;
        };
        if stream.count_crash(record) {
            let SlotRef { slot, generation } = about;
            self.events
                .leg(EventKind::VideoPutAside, slot, generation, 0);
        }
    }

    /// Sends what modules made, until it is done or a tick is due.
    pub(super) fn show(&mut self) {
        if self.pictures.links.is_empty() {
            return;
        }
        self.tell_modules();
        let now = plenum_uring::now();
        self.send_bursts(now);
        loop {
            if self.pictures.served.is_none() && !self.take_record() {
                break;
            }
            let tick = self.wheel.next_deadline();
            let now = plenum_uring::now();
            if tick.is_some_and(|tick| tick <= now) {
                break;
            }
            self.serve_next(now);
        }
        self.outbox.flush(&mut self.driver);
        self.pictures.wake();
    }

    fn send_bursts(&mut self, now: Nanos) {
        let pictures = &mut self.pictures;
        if pictures.pacing.is_empty() || pictures.next_burst > now {
            return;
        }
        pictures.next_burst = now + BURST_INTERVAL;
        let mut exit = Exit {
            now,
            driver: &mut self.driver,
            outbox: &mut self.outbox,
        };
        let (streams, all) = (&mut pictures.streams, &mut pictures.bandwidth);
        let view = &self.view;
        pictures.pacing.retain(|slot| {
            let stream = streams.get_mut(*slot as usize).and_then(Option::as_mut);
            let (Some(stream), Some(record)) = (stream, view.video_stream(*slot)) else {
                return false;
            };
            let bandwidth = bandwidth_of(all, stream);
            stream.send_burst(record, &mut exit, bandwidth)
        });
    }

    /// Takes the next record of a module, each in its turn; `false` when none waits.
    fn take_record(&mut self) -> bool {
        let pictures = &mut self.pictures;
        let count = pictures.links.len();
        for step in 0..count {
            let module = (pictures.next_link + step) % count;
            let Some(kind) = pictures.links[module].pop(&mut pictures.record) else {
                continue;
            };
            pictures.next_link = module + 1;
            match DownKind::from_u32(kind) {
                Some(DownKind::Frame) => pictures.served = Some(0),
                Some(DownKind::RequestKeyFrame) => {
                    if let Ok((about, _)) = SlotRef::read_from_prefix(&self.pictures.record) {
                        let _ = self.request_key_frame(about);
                    }
                }
                Some(DownKind::SourceSize) => self.note_source_size(),
                Some(DownKind::SourceWanted) => self.note_source_wanted(),
                _ => {}
            }
            return true;
        }
        false
    }

    fn note_source_size(&mut self) {
        let Ok((size, _)) = SourceSize::read_from_prefix(&self.pictures.record) else {
            return;
        };
        let stream = self.pictures.stream(size.stream.slot);
        let is = stream.is_some_and(|stream| stream.slot_ref() == size.stream);
        if let (true, Some(record)) = (is, self.view.video_stream(size.stream.slot)) {
            let (width, height) = (size.width & 0xffff, size.height & 0xffff);
            set(&record.stats.rx_size, u64::from(width << 16 | height));
        }
    }

    fn note_source_wanted(&mut self) {
        let Ok((wanted, _)) = SourceWanted::read_from_prefix(&self.pictures.record) else {
            return;
        };
        if let Ok(stream) = self.stream_mut(wanted.stream) {
            stream.ask_rows(plenum_uring::now(), wanted.rows);
        }
    }

    /// Sends the picture in hand to its next receiver. What the module wrote is not
    /// believed: lengths are checked, and receivers by their generation.
    fn serve_next(&mut self, now: Nanos) {
        let pictures = &mut self.pictures;
        let Some(index) = pictures.served.take() else {
            return;
        };
        let Ok((head, rest)) = FrameHead::read_from_prefix(&pictures.record) else {
            return;
        };
        let receivers = (head.receivers as usize).saturating_mul(size_of::<SlotRef>());
        let Some((receivers, data)) = rest.split_at_checked(receivers) else {
            return;
        };
        let at = index * size_of::<SlotRef>();
        let Some(Ok((about, _))) = receivers.get(at..).map(SlotRef::read_from_prefix) else {
            return;
        };
        let Some(data) = data.get(..head.bytes as usize) else {
            return;
        };
        pictures.served = Some(index + 1);
        let stream = pictures.streams.get_mut(about.slot as usize);
        let (Some(Some(stream)), Some(record)) = (stream, self.view.video_stream(about.slot))
        else {
            return;
        };
        if stream.slot_ref() != about {
            return;
        }
        let mut exit = Exit {
            now,
            driver: &mut self.driver,
            outbox: &mut self.outbox,
        };
        let bandwidth = bandwidth_of(&mut pictures.bandwidth, stream);
        let picture = EncodedPicture { head, data };
        let lost = stream.send_picture(&picture, record, &mut exit, bandwidth);
        if stream.has_backlog() {
            pace(
                &mut pictures.pacing,
                &mut pictures.next_burst,
                about.slot,
                now,
            );
        }
        if lost && let Some((conference, Some(module))) = place(&self.legs, &self.rooms, stream) {
            let about = InConference { conference, about };
            pictures.links[module].say(UpKind::RequestKeyFrame, about.as_bytes());
        }
    }

    /// On each tick of a conference: what has become due of its streams, and who
    /// speaks.
    pub(super) fn advance_pictures(&mut self, conference: u32, now: Nanos) {
        let Some(Some(room)) = self.rooms.get_mut(conference as usize) else {
            return;
        };
        let Some(module) = room.module else {
            return;
        };
        let about = room.slot_ref(conference);
        let speaker = room.active_speaker.filter(|_| {
            room.ticks.is_multiple_of(SPEAKER_TICKS) || room.speaker_told != room.active_speaker
        });
        room.speaker_told = room.active_speaker;
        if let Some(key) = speaker
            && let Some(Some(leg)) = self.legs.get(key.0 as usize)
        {
            let said = InConference {
                conference: about,
                about: SlotRef {
                    slot: key.0,
                    generation: leg.config.generation,
                },
            };
            self.pictures.links[module].say(UpKind::Speaker, said.as_bytes());
        }
        let mut here = std::mem::take(&mut self.pictures.here);
        here.clear();
        if let Some(Some(room)) = self.rooms.get(conference as usize) {
            here.extend(room.mixer.levels().map(|(key, _)| key.0));
        }
        for leg in &here {
            let seated = self.legs.get(*leg as usize).and_then(Option::as_ref);
            let layout = seated.map_or(0, |leg| leg.config.layout);
            for slot in self.pictures.of_leg(*leg) {
                self.advance_stream(slot, about, layout, now);
            }
        }
        self.pictures.here = here;
    }

    fn advance_stream(&mut self, slot: u32, conference: SlotRef, layout: u8, now: Nanos) {
        let room = self.rooms[conference.slot as usize].as_ref();
        let module = room.and_then(|room| room.module);
        let tells = room.is_some_and(|room| room.ticks.is_multiple_of(ARRIVAL_TICKS));
        self.estimate(slot, now);
        let pictures = &mut self.pictures;
        let (Some(Some(stream)), Some(record), Some(module)) = (
            pictures.streams.get_mut(slot as usize),
            self.view.video_stream(slot),
            module,
        ) else {
            return;
        };
        let link = &mut pictures.links[module];
        let mut exit = Exit {
            now,
            driver: &mut self.driver,
            outbox: &mut self.outbox,
        };
        let (events, rng) = (&mut self.events, &mut self.rng);
        stream.advance(record, conference, Some(link), events, &mut exit, rng);
        let leg = stream.config.leg.slot as usize;
        if tells && let Some(Some(arrivals)) = pictures.arrivals.get_mut(leg) {
            stream.send_transport_feedback(arrivals, record, &mut exit);
        }
        if stream.take_rate_change(record)
            && let Some(receiver) = stream.receiver(conference, layout)
        {
            link.say(UpKind::SetReceiver, receiver.as_bytes());
        }
    }

    /// What the path carries of a stream whose far end counts its packets.
    fn estimate(&mut self, slot: u32, now: Nanos) {
        let pictures = &mut self.pictures;
        let counted = pictures.stream(slot).filter(|stream| stream.is_counted());
        let Some(leg) = counted.map(|stream| stream.config.leg.slot) else {
            return;
        };
        let transports = self.transports.as_ref();
        let id = transports.map_or(0, |all| all.transport_cc_id(leg));
        let sends = |slot: &u32| pictures.stream(*slot).is_some_and(|one| one.sends_now(now));
        let shared = pictures.of_leg(leg).filter(sends).count() > 1;
        let (Some(Some(stream)), Some(bandwidth), Some(record)) = (
            pictures.streams.get_mut(slot as usize),
            pictures.bandwidth.get_mut(leg as usize).filter(|_| id != 0),
            self.view.video_stream(slot),
        ) else {
            return;
        };
        let bandwidth = bandwidth.get_or_insert_with(|| Box::new(Bandwidth::new(now, id)));
        let round_trip = record.stats.round_trip_us.load(Ordering::Relaxed);
        bandwidth.tick(now, Duration::from_micros(round_trip));
        if let Some(bps) = bandwidth.share_bps(stream.is_content(), shared) {
            stream.set_estimate(bps);
        }
        if stream.sends_now(now) && bandwidth.wants_padding(now) {
            pace(&mut pictures.pacing, &mut pictures.next_burst, slot, now);
        }
    }

    /// Goes on with the streams that the arena holds; what is torn there, or has no
    /// leg, is dropped.
    pub(super) fn adopt_pictures(&mut self) {
        let view = self.view.clone();
        let now = plenum_uring::now();
        for slot in 0..view.video_streams() {
            let Some(record) = view.video_stream(slot) else {
                continue;
            };
            let adopted = record.live_config().and_then(|config| {
                video::check(&config).ok()?;
                let leg = self.legs.get(config.leg.slot as usize)?.as_ref()?;
                let guid = leg.config.leg_guid;
                let bundle = self.bundle_of_stream(&config).ok()?;
                let at = (slot, self.pictures.key(slot));
                (leg.config.generation == config.leg.generation).then(|| {
                    let (driver, rng) = (&self.driver, &mut self.rng);
                    VideoStream::adopt(now, at, (config, bundle), guid, record, driver, rng)
                })
            });
            let seated = adopted.is_some_and(|stream| self.seat_video(stream).is_ok());
            if !seated {
                let free = SlotState::Free as u32;
                record.state.store(free, Ordering::Release);
            }
        }
    }
}

/// Arrivals are told each so many ticks: of 20 ms, so that a sender hears of a queue
/// before it is full.
const ARRIVAL_TICKS: u64 = 3;
/// Who speaks is said again each so many ticks.
const SPEAKER_TICKS: u64 = 25;

/// What the transport of a stream carries, where the far end counts its packets.
fn bandwidth_of<'a>(
    all: &'a mut [Option<Box<Bandwidth>>],
    stream: &VideoStream,
) -> Option<&'a mut Bandwidth> {
    let bandwidth = all.get_mut(stream.config.leg.slot as usize)?;
    bandwidth.as_deref_mut().filter(|_| stream.is_counted())
}

/// A stream has packets for later.
fn pace(pacing: &mut Vec<u32>, next_burst: &mut Nanos, slot: u32, now: Nanos) {
    if pacing.is_empty() {
        *next_burst = now + BURST_INTERVAL;
    }
    if !pacing.contains(&slot) {
        pacing.push(slot);
    }
}

/// The conference of a stream and its module.
fn place(
    legs: &crate::tick::Legs,
    rooms: &[Option<Box<Room>>],
    stream: &VideoStream,
) -> Option<(SlotRef, Option<usize>)> {
    let leg = legs.get(stream.config.leg.slot as usize)?.as_ref()?;
    let slot = leg.config.conference;
    let room = rooms.get(slot as usize)?.as_ref()?;
    Some((room.slot_ref(slot), room.module))
}
