//! A meeting with codecs that only count, and people who send flat colours.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use plenum_abi::{H264Level, H264Profile, Nanos, VideoCodec};
use plenum_codecs::video::{
    DecodeError, Decoded, EncodeError, Encoded, EncoderConfig, Rate, SetupError, VideoDecoder,
    VideoEncoder,
};
use plenum_compositor::{
    AccessUnit, Codecs, ConferencePolicy, Fonts, Frame, Participant, ParticipantId, Receiver,
    ReceiverId, Sink, Stage, Stream, Wants,
};
use plenum_kernels::video::{Picture, PictureRef, Plane, Yuv};

/// Milliseconds between pictures of a sender.
pub(crate) const FRAME_MS: u64 = 33;

/// What the codecs saw.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) decoders_made: usize,
    pub(crate) decoders_now: usize,
    pub(crate) encoders_now: usize,
    pub(crate) encoders: Vec<EncoderLog>,
    /// Whether encoders keep what they are given.
    pub(crate) keep: bool,
}

/// What one encoder saw.
pub(crate) struct EncoderLog {
    pub(crate) config: EncoderConfig,
    pub(crate) rate: Rate,
    pub(crate) encodes: usize,
    pub(crate) keys: usize,
    pub(crate) picture: Option<Picture>,
}

/// Makes codecs that count.
#[derive(Clone, Default)]
pub(crate) struct Counting(pub(crate) Arc<Mutex<Log>>);

impl Counting {
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().expect("no test fails while it holds this")
    }
}

impl Codecs for Counting {
    fn decoder(&mut self, _codec: VideoCodec) -> Result<Box<dyn VideoDecoder>, SetupError> {
        let mut log = self.log();
        log.decoders_made += 1;
        log.decoders_now += 1;
        Ok(Box::new(Flat {
            codecs: self.clone(),
            shown: None,
        }))
    }

    fn encoder(&mut self, config: &EncoderConfig) -> Result<Box<dyn VideoEncoder>, SetupError> {
        let mut log = self.log();
        log.encoders_now += 1;
        log.encoders.push(EncoderLog {
            config: *config,
            rate: config.rate,
            encodes: 0,
            keys: 0,
            picture: None,
        });
        Ok(Box::new(Counted {
            codecs: self.clone(),
            index: log.encoders.len() - 1,
            config: *config,
            began: false,
        }))
    }
}

/// Decodes what [`flat`] makes.
struct Flat {
    codecs: Counting,
    shown: Option<Picture>,
}

impl VideoDecoder for Flat {
    fn decode(&mut self, unit: &[u8]) -> Result<Decoded, DecodeError> {
        self.shown = None;
        let &[b'F', w1, w0, h1, h0, y, u, v] = unit else {
            return Err(DecodeError::Corrupt);
        };
        let side = |high, low| u32::from(u16::from_be_bytes([high, low]));
        let shown = self.shown.insert(Picture::new(side(w1, w0), side(h1, h0)));
        shown.fill(Yuv { y, u, v });
        Ok(Decoded::Picture)
    }

    fn picture(&self) -> Option<PictureRef<'_>> {
        self.shown.as_ref().map(Picture::view)
    }
}

impl Drop for Flat {
    fn drop(&mut self) {
        self.codecs.log().decoders_now -= 1;
    }
}

struct Counted {
    codecs: Counting,
    index: usize,
    config: EncoderConfig,
    began: bool,
}

impl VideoEncoder for Counted {
    fn encode(
        &mut self,
        picture: &Picture,
        key_frame: bool,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        let size = (picture.width(), picture.height());
        if size != (self.config.width, self.config.height) {
            return Err(EncodeError::PictureSize);
        }
        let key_frame = key_frame || !self.began;
        self.began = true;
        let mut log = self.codecs.log();
        let keep = log.keep;
        let own = &mut log.encoders[self.index];
        own.encodes += 1;
        own.keys += usize::from(key_frame);
        if keep {
            own.picture = Some(picture.clone());
        }
        out.clear();
        out.extend_from_slice(&(self.index as u32).to_be_bytes());
        Ok(Encoded {
            key_frame,
            temporal_layer: 0,
            skipped: false,
        })
    }

    fn set_rate(&mut self, rate: Rate) {
        self.codecs.log().encoders[self.index].rate = rate;
    }

    fn config(&self) -> &EncoderConfig {
        &self.config
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.codecs.log().encoders_now -= 1;
    }
}

/// An access unit of one colour.
pub(crate) fn flat((width, height): (u16, u16), color: Yuv) -> [u8; 8] {
    let [[w1, w0], [h1, h0]] = [width.to_be_bytes(), height.to_be_bytes()];
    [b'F', w1, w0, h1, h0, color.y, color.u, color.v]
}

/// A frame that a receiver got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Got {
    pub(crate) at: Nanos,
    pub(crate) key_frame: bool,
    pub(crate) encoder: usize,
    pub(crate) size: (u32, u32),
    pub timestamp_90khz: u32,
}

/// Notes who got what.
#[derive(Default)]
pub(crate) struct Notes {
    now: Nanos,
    pub(crate) got: BTreeMap<ReceiverId, Vec<Got>>,
    pub(crate) key_requests: Vec<(Nanos, ParticipantId, Stream)>,
}

impl Sink for Notes {
    fn encoded(&mut self, frame: &Frame<'_>) {
        assert!(!frame.receivers.is_empty());
        let index = <[u8; 4]>::try_from(frame.data).expect("what the encoder made");
        for &receiver in frame.receivers {
            self.got.entry(receiver).or_default().push(Got {
                at: self.now,
                key_frame: frame.key_frame,
                encoder: u32::from_be_bytes(index) as usize,
                size: (frame.width, frame.height),
                timestamp_90khz: frame.timestamp_90khz,
            });
        }
    }

    fn request_key_frame(&mut self, participant: ParticipantId, stream: Stream) {
        self.key_requests.push((self.now, participant, stream));
    }
}

/// Somebody who sends.
#[derive(Clone, Copy)]
pub(crate) struct Camera {
    pub(crate) size: (u16, u16),
    pub(crate) color: Yuv,
    /// The next picture is a key frame; so is the answer to a request.
    pub(crate) key_next: bool,
}

/// A meeting, and its time.
pub(crate) struct Meeting {
    pub(crate) stage: Stage,
    pub(crate) codecs: Counting,
    pub(crate) notes: Notes,
    pub(crate) now: Nanos,
    pub(crate) cameras: BTreeMap<(u32, Stream), Camera>,
    next_frame: Nanos,
}

/// Number `n` of some colours that are far apart.
pub(crate) fn color(n: u32) -> Yuv {
    let channel = |n: u32| [40, 210, 120][(n % 3) as usize];
    Yuv::from_rgb(channel(n), channel(n / 3), channel(n / 9 + 1))
}

impl Meeting {
    pub(crate) fn new(policy: ConferencePolicy) -> Self {
        let codecs = Counting::default();
        Self {
            stage: Stage::new(policy, &Fonts::built_in(), Box::new(codecs.clone())),
            codecs,
            notes: Notes::default(),
            now: Nanos::from_millis(1_000),
            cameras: BTreeMap::new(),
            next_frame: Nanos::ZERO,
        }
    }

    /// `count` people who send 720p and receive 720p, numbered from 1.
    pub(crate) fn of(policy: ConferencePolicy, count: u32) -> Self {
        let mut meeting = Self::new(policy);
        for n in 1..=count {
            meeting.join(n);
            meeting.receive(n, receiver(n));
        }
        meeting
    }

    /// Somebody comes and sends 720p.
    pub(crate) fn join(&mut self, n: u32) {
        self.set(n, person(n));
        self.camera(n, Stream::Main, (1280, 720), color(n));
    }

    pub(crate) fn set(&mut self, n: u32, participant: Participant) {
        self.stage
            .set_participant(ParticipantId(n), participant)
            .expect("room");
    }

    pub(crate) fn camera(&mut self, n: u32, stream: Stream, size: (u16, u16), color: Yuv) {
        let camera = Camera {
            size,
            color,
            key_next: true,
        };
        self.cameras.insert((n, stream), camera);
    }

    pub(crate) fn receive(&mut self, n: u32, receiver: Receiver) {
        self.stage
            .set_receiver(self.now, ReceiverId(n), receiver)
            .expect("room");
    }

    pub(crate) fn leave(&mut self, n: u32) {
        self.cameras.retain(|(owner, _), _| *owner != n);
        self.stage.remove_participant(ParticipantId(n));
        self.stage.remove_receiver(ReceiverId(n));
    }

    /// Lets time pass: cameras send, the stage ticks when it asks to.
    pub(crate) fn run(&mut self, millis: u64) {
        let end = Nanos(self.now.0 + millis * 1_000_000);
        while self.now < end {
            if self.now >= self.next_frame {
                self.next_frame = Nanos(self.now.0 + FRAME_MS * 1_000_000);
                self.send();
            }
            if self
                .stage
                .next_deadline()
                .is_some_and(|due| due <= self.now)
            {
                self.tick();
            }
            self.now.0 += 1_000_000;
        }
    }

    fn send(&mut self) {
        for (&(n, stream), camera) in &mut self.cameras {
            let data = flat(camera.size, camera.color);
            let unit = AccessUnit {
                codec: VideoCodec::H264,
                key_frame: std::mem::take(&mut camera.key_next),
                data: &data,
            };
            self.stage
                .handle_access_unit(self.now, ParticipantId(n), stream, &unit);
        }
    }

    fn tick(&mut self) {
        self.notes.now = self.now;
        let asked = self.notes.key_requests.len();
        self.stage.tick(self.now, &mut self.notes);
        for &(_, id, stream) in &self.notes.key_requests[asked..] {
            if let Some(camera) = self.cameras.get_mut(&(id.0, stream)) {
                camera.key_next = true;
            }
        }
    }

    /// Frames that a receiver got until now.
    pub(crate) fn got(&self, n: u32) -> &[Got] {
        self.notes
            .got
            .get(&ReceiverId(n))
            .map_or(&[], Vec::as_slice)
    }

    /// What a receiver sees, a quarter of a second later.
    pub(crate) fn see(&mut self, n: u32) -> Picture {
        self.codecs.log().keep = true;
        self.run(250);
        let mut log = self.codecs.log();
        log.keep = false;
        let encoder = self.got(n).last().expect("a frame").encoder;
        log.encoders[encoder]
            .picture
            .clone()
            .expect("it was told to keep it")
    }
}

/// Somebody who sends video, with a name and nothing unusual.
pub(crate) fn person(n: u32) -> Participant {
    Participant {
        label: format!("Person {n}"),
        sends_video: true,
        ..Participant::default()
    }
}

/// Somebody who takes 720p30 at 2 Mbit/s.
pub(crate) fn receiver(n: u32) -> Receiver {
    Receiver {
        participant: Some(ParticipantId(n)),
        codec: VideoCodec::H264,
        profile: H264Profile::ConstrainedBaseline,
        limits: H264Level::L4_2.limits(),
        slice_bytes_max: None,
        width_max: 1280,
        height_max: 720,
        frame_rate_max_hz: 60,
        bit_rate_bps: 2_000_000,
        layout: None,
        paused: false,
        wants: Wants::Main {
            content_in_main: false,
        },
    }
}

/// The colour of a picture at a place in thousandths of its width and height.
pub(crate) fn at(picture: &Picture, x: u32, y: u32) -> Yuv {
    let place = |plane: Plane| {
        let plane = picture.plane(plane);
        plane.row(y as usize * plane.height() / 1_000)[x as usize * plane.width() / 1_000]
    };
    Yuv {
        y: place(Plane::Y),
        u: place(Plane::U),
        v: place(Plane::V),
    }
}

/// Which of people 1 to 20 sends the colour at a place.
pub(crate) fn who(picture: &Picture, x: u32, y: u32) -> Option<u32> {
    let seen = at(picture, x, y);
    let near = |a: u8, b: u8| a.abs_diff(b) <= 3;
    (1..=20).find(|&n| {
        let own = color(n);
        near(seen.y, own.y) && near(seen.u, own.u) && near(seen.v, own.v)
    })
}
