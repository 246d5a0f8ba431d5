//! A camera and a screen: shows a clip that ffmpeg has encoded, keeps what comes with
//! its time, and has ffmpeg decode it.
//!
//! Packets are ours, so that a test can leave some out, send broken ones and know
//! when each came; pictures are made and judged by others' codecs.

use std::fs;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plenum_abi::{MasterKeys, VideoCodec};
use plenum_rtp::packet::{RTP_HEADER_LEN, RtpHeader, RtpPacket};
use plenum_rtp::rtcp::{Compound, CompoundWriter, RateBound, ReportBlock};
use plenum_rtp::video::{Assembler, H264Packetizer, PacketizationMode, Payload, Vp8Packetizer};
use plenum_srtp::{Receiver, Sender, TAIL_MAX};
use rand::Rng;

use crate::phone::{Answered, SUITE, longest_gap};

/// Pictures a second of every clip.
pub const FPS: u32 = 30;
const PAYLOAD_TYPE: u8 = 97;
const PAYLOAD_MAX: usize = 1_100;

/// An encoded clip.
#[derive(Clone, Debug)]
pub struct Clip {
    /// How it is encoded.
    pub codec: VideoCodec,
    /// Lines of a picture.
    pub lines: u32,
    /// Its pictures, encoded; the first is a key frame.
    pub units: Vec<Vec<u8>>,
    /// Who shows it knows RTCP feedback (RFC 4585).
    pub feedback: bool,
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-y"]);
    command
}

fn run(command: &mut Command) {
    let status = command
        .status()
        .expect("ffmpeg runs: apt-get install ffmpeg");
    assert!(status.success(), "ffmpeg: {status}");
}

impl Clip {
    /// Encodes what a filter of ffmpeg's makes (`color=red`) in pictures of 16:9 with
    /// so many lines, for `seconds`, with a key frame each second.
    ///
    /// # Panics
    /// When ffmpeg fails.
    #[must_use]
    pub fn new(codec: VideoCodec, filter: &str, lines: u32, bit_rate_bps: u32) -> Self {
        const SECONDS: u32 = 2;
        let file = std::env::temp_dir().join(format!(
            "plenum-clip-{}-{:08x}",
            std::process::id(),
            rand::rng().random::<u32>()
        ));
        let mut command = ffmpeg();
        let source = source(filter, lines);
        let rate = bit_rate_bps.to_string();
        command.args(["-f", "lavfi", "-i", &source, "-t", &SECONDS.to_string()]);
        command.args(["-pix_fmt", "yuv420p", "-g", "30", "-b:v", &rate]);
        command.args(["-maxrate", &rate, "-bufsize", &rate]);
        match codec {
            VideoCodec::H264 => command.args([
                "-c:v",
                "libx264",
                "-preset",
                "veryfast",
                "-profile:v",
                "baseline",
                "-tune",
                "zerolatency",
                "-x264-params",
                "aud=1:sliced-threads=0",
                "-f",
                "h264",
            ]),
            _ => command.args([
                "-c:v",
                "libvpx",
                "-deadline",
                "realtime",
                "-cpu-used",
                "8",
                "-f",
                "ivf",
            ]),
        };
        run(command.arg(&file));
        let bytes = fs::read(&file).expect("the clip");
        let _ = fs::remove_file(&file);
        let units = match codec {
            VideoCodec::H264 => split_h264(&bytes),
            _ => split_ivf(&bytes),
        };
        assert_eq!(
            units.len(),
            (SECONDS * FPS) as usize,
            "pictures of the clip"
        );
        Self {
            codec,
            lines,
            units,
            feedback: true,
        }
    }
}

/// A source with the size and rate of a clip, and what follows it in its chain.
#[must_use]
pub fn source(filter: &str, lines: u32) -> String {
    let (source, chain) = filter.split_at(filter.find(',').unwrap_or(filter.len()));
    let joint = if source.contains('=') { ':' } else { '=' };
    let width = lines * 16 / 9;
    format!("{source}{joint}s={width}x{lines}:r={FPS}{chain}")
}

/// Two seconds of what a filter makes, of so many lines, for a browser's camera, which
/// repeats them.
///
/// # Panics
/// When ffmpeg fails.
#[must_use]
pub fn film(file: &Path, filter: &str, lines: u32) -> PathBuf {
    let mut command = ffmpeg();
    command.args(["-f", "lavfi", "-i", &source(filter, lines), "-t", "2"]);
    command.args(["-pix_fmt", "yuvj420p", "-q:v", "2", "-f", "mjpeg"]);
    run(command.arg(file));
    file.to_owned()
}

/// A byte stream with access unit delimiters, cut at each of them.
fn split_h264(bytes: &[u8]) -> Vec<Vec<u8>> {
    const DELIMITER: [u8; 5] = [0, 0, 0, 1, 9];
    let begins: Vec<usize> = (0..bytes.len().saturating_sub(DELIMITER.len()))
        .filter(|&at| bytes[at..].starts_with(&DELIMITER))
        .collect();
    let ends = begins.iter().copied().skip(1).chain([bytes.len()]);
    let units = begins.iter().zip(ends);
    units
        .map(|(&begin, end)| bytes[begin..end].to_vec())
        .collect()
}

fn split_ivf(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut units = Vec::new();
    let mut rest = &bytes[32..];
    while let Some(head) = rest.first_chunk::<12>() {
        let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        units.push(rest[12..12 + len].to_vec());
        rest = &rest[12 + len..];
    }
    units
}

/// A picture that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When its last packet came.
    pub at: Instant,
    /// Encoded.
    pub unit: Vec<u8>,
    /// Decoding can begin with it.
    pub key_frame: bool,
    /// Something of it is missing.
    pub damaged: bool,
}

/// See the [module](self).
pub struct Eye {
    clip: Clip,
    /// Pictures shown so far.
    shown: usize,
    /// Where in the clip the next picture is.
    position: usize,
    began: Instant,
    /// Nothing is shown while it is set.
    pub covered: bool,
    /// What is sent instead of the clip's picture.
    pub instead: Option<Vec<u8>>,
    /// So many packets from now on are lost on their way.
    pub losing: usize,
    socket: UdpSocket,
    to: Option<SocketAddr>,
    payload_type: u8,
    sender: Sender,
    next_index: AtomicU64,
    next_rtcp: AtomicU64,
    secret: [u8; 30],
    receiver: Option<Receiver>,
    ssrc: u32,
    their_ssrc: u32,
    vp8: Vp8Packetizer,
    assembler: Assembler,
    unit: Vec<u8>,
    newest: Option<u16>,
    /// Pictures that came, oldest first.
    pub seen: Vec<Seen>,
    /// Packets of pictures that never came, or late.
    pub lost: usize,
    /// Requests for key frames that came.
    pub key_frames_asked: usize,
    /// Requests to send packets again that came.
    pub nacks: usize,
    /// The bound that the far end last said it keeps to (TMMBN), and who had asked.
    confirmed: Option<RateBound>,
}

impl Eye {
    pub(crate) fn new(clip: &Clip) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("a mode");
        let mut rng = rand::rng();
        let mut secret = [0; 30];
        rng.fill(&mut secret[..]);
        let keys = MasterKeys::new(SUITE, &secret).expect("30 bytes of key and salt");
        Self {
            clip: clip.clone(),
            shown: 0,
            position: 0,
            began: Instant::now(),
            covered: false,
            instead: None,
            losing: 0,
            socket,
            to: None,
            payload_type: PAYLOAD_TYPE,
            sender: Sender::new(SUITE, &keys),
            next_index: AtomicU64::new(500),
            next_rtcp: AtomicU64::new(1),
            secret,
            receiver: None,
            ssrc: rng.random(),
            their_ssrc: 0,
            vp8: Vp8Packetizer::new(PAYLOAD_MAX, 1, 1),
            assembler: Assembler::new(clip.codec, 1 << 21),
            unit: Vec::new(),
            newest: None,
            seen: Vec::new(),
            lost: 0,
            key_frames_asked: 0,
            nacks: 0,
            confirmed: None,
        }
    }

    pub(crate) fn offer(&self) -> String {
        let port = self.socket.local_addr().expect("an address").port();
        let key = STANDARD.encode(self.secret);
        // What is taken is as large as what is sent: 1080p, 720p, or 360p.
        let (level, blocks, rate) = match self.clip.lines {
            1_080 => ("28", 8_160, 4_000_000),
            720 => ("1f", 3_600, 1_500_000),
            _ => ("1e", 920, 1_500_000),
        };
        let format = match self.clip.codec {
            VideoCodec::H264 => format!(
                "a=rtpmap:{PAYLOAD_TYPE} H264/90000\r\n\
                 a=fmtp:{PAYLOAD_TYPE} profile-level-id=42e0{level};packetization-mode=1\r\n"
            ),
            _ => format!(
                "a=rtpmap:{PAYLOAD_TYPE} VP8/90000\r\n\
                 a=fmtp:{PAYLOAD_TYPE} max-fr=30;max-fs={blocks}\r\n"
            ),
        };
        let feedback = match self.clip.feedback {
            true => "a=rtcp-fb:* nack\r\na=rtcp-fb:* nack pli\r\na=rtcp-fb:* ccm tmmbr\r\n",
            false => "",
        };
        format!(
            "m=video {port} RTP/SAVP {PAYLOAD_TYPE}\r\nb=TIAS:{rate}\r\n{format}\
             a=rtcp-mux\r\n{feedback}\
             a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\na=sendrecv\r\n"
        )
    }

    pub(crate) fn answered(mut self, line: &Answered) -> Self {
        let keys = MasterKeys::new(SUITE, &line.secret).expect("30 bytes of key and salt");
        self.receiver = Some(Receiver::new(SUITE, &keys));
        self.to = Some(line.address);
        self.payload_type = line.payload_type;
        self.began = Instant::now();
        self
    }

    /// Another clip from now on, of the same codec.
    pub fn set_clip(&mut self, clip: &Clip) {
        self.clip = clip.clone();
        self.position = 0;
    }

    /// Sends the pictures that are due. Who is asked for a key frame goes on at the
    /// next one of the clip.
    pub(crate) fn show(&mut self) {
        let due = (self.began.elapsed().as_millis() as u64 * u64::from(FPS) / 1_000) as usize;
        while self.shown < due {
            let timestamp = (self.shown as u32).wrapping_mul(90_000 / FPS);
            self.shown += 1;
            if self.covered {
                self.position = 0;
                continue;
            }
            let unit = match &self.instead {
                Some(unit) => unit.clone(),
                None => self.clip.units[self.position].clone(),
            };
            self.position = (self.position + 1) % self.clip.units.len();
            self.send_unit(timestamp, &unit);
        }
    }

    fn send_unit(&mut self, timestamp: u32, unit: &[u8]) {
        let mut payloads: Vec<(Payload, Vec<u8>)> = Vec::new();
        let mut buffer = vec![0; PAYLOAD_MAX];
        match self.clip.codec {
            VideoCodec::H264 => {
                let mode = PacketizationMode::NonInterleaved;
                let packetizer = H264Packetizer::new(mode, PAYLOAD_MAX);
                let mut packets = packetizer.packets(unit);
                while let Some(payload) = packets.write_next(&mut buffer) {
                    payloads.push((payload, buffer[..payload.len].to_vec()));
                }
            }
            _ => {
                let mut packets = self.vp8.packets(unit, 0);
                while let Some(payload) = packets.write_next(&mut buffer) {
                    payloads.push((payload, buffer[..payload.len].to_vec()));
                }
            }
        }
        for (payload, bytes) in payloads {
            self.send_payload(timestamp, payload.marker, &bytes);
        }
    }

    /// Sends one packet with this payload.
    ///
    /// # Panics
    /// When it is longer than a packet may be.
    pub fn send_payload(&mut self, timestamp: u32, marker: bool, payload: &[u8]) {
        let Some(to) = self.to else { return };
        let mut packet = vec![0; RTP_HEADER_LEN + payload.len() + TAIL_MAX];
        RtpHeader {
            marker,
            payload_type: self.payload_type,
            sequence: self.next_index.load(Ordering::Relaxed) as u16,
            timestamp,
            ssrc: self.ssrc,
        }
        .write(&mut packet);
        let plain = RTP_HEADER_LEN + payload.len();
        packet[RTP_HEADER_LEN..plain].copy_from_slice(payload);
        let len = self
            .sender
            .protect_rtp(&self.next_index, &mut packet, plain);
        if self.losing > 0 {
            self.losing -= 1;
            return;
        }
        // The far end may be gone for a moment; that is what some tests are about.
        let _ = self.socket.send_to(&packet[..len.expect("a packet")], to);
    }

    /// Asks for a key frame.
    ///
    /// # Panics
    /// When the packet cannot be made.
    pub fn ask_for_key_frame(&mut self) {
        let (ours, theirs) = (self.ssrc, self.their_ssrc);
        self.tell(|writer| {
            writer.receiver_report(ours, &[]).picture_loss(ours, theirs);
        });
    }

    /// Asks to be sent no more than this (TMMBR, RFC 5104 section 4.2.1).
    ///
    /// # Panics
    /// When the packet cannot be made.
    pub fn ask_for_rate(&mut self, bit_rate_bps: u64) {
        let (ours, theirs) = (self.ssrc, self.their_ssrc);
        let bound = RateBound {
            ssrc: theirs,
            bit_rate_bps,
            overhead_bytes: 0,
        };
        self.tell(|writer| {
            writer
                .receiver_report(ours, &[])
                .rate_request(ours, &[bound]);
        });
    }

    /// Reports that such a share of the packets was lost, in 1/256.
    ///
    /// # Panics
    /// When the packet cannot be made.
    pub fn report_loss(&mut self, fraction_lost: u8) {
        let ours = self.ssrc;
        let block = ReportBlock {
            ssrc: self.their_ssrc,
            fraction_lost,
            cumulative_lost: 0,
            highest_sequence: u32::from(self.newest.unwrap_or(0)),
            jitter: 0,
            last_sr: 0,
            delay_since_last_sr: 0,
        };
        self.tell(|writer| {
            writer.receiver_report(ours, &[block]);
        });
    }

    fn tell(&mut self, write: impl FnOnce(&mut CompoundWriter<'_>)) {
        let Some(to) = self.to else { return };
        let mut buffer = [0; 128];
        let mut writer = CompoundWriter::new(&mut buffer);
        write(&mut writer);
        let len = writer.finish().expect("room");
        let len = self.sender.protect_rtcp(&self.next_rtcp, &mut buffer, len);
        let _ = self.socket.send_to(&buffer[..len.expect("a packet")], to);
    }

    /// The bound of ours that the far end last said it keeps to (TMMBN), bit/s.
    #[must_use]
    pub fn confirmed_bps(&self) -> Option<u64> {
        let ours = self.confirmed.filter(|bound| bound.ssrc == self.ssrc)?;
        Some(ours.bit_rate_bps)
    }

    /// What came since a moment: bit/s and pictures a second.
    #[must_use]
    pub fn flow_since(&self, since: Instant) -> (f64, f64) {
        let span = since.elapsed().as_secs_f64();
        let seen = self.seen.iter().filter(|seen| seen.at >= since);
        let (pictures, bytes) = seen.fold((0_u32, 0), |(pictures, bytes), seen| {
            (pictures + 1, bytes + seen.unit.len())
        });
        (8.0 * bytes as f64 / span, f64::from(pictures) / span)
    }

    /// Most pictures that came within a second.
    #[must_use]
    pub fn best_second(&self) -> usize {
        let within = |(first, from): (usize, &Seen)| {
            let later = self.seen[first..].iter();
            let span = |seen: &&Seen| seen.at - from.at < Duration::from_secs(1);
            later.take_while(span).count()
        };
        self.seen.iter().enumerate().map(within).max().unwrap_or(0)
    }

    /// Takes what came.
    pub(crate) fn look(&mut self) {
        let mut buffer = [0; 2_048];
        while let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
            if Some(from) != self.to {
                continue;
            }
            // RFC 5761 section 4.
            if (192..224).contains(&buffer[1]) {
                self.on_rtcp(&mut buffer[..len]);
            } else {
                self.on_rtp(&mut buffer[..len]);
            }
        }
    }

    fn on_rtcp(&mut self, packet: &mut [u8]) {
        let Some(receiver) = &mut self.receiver else {
            return;
        };
        let Ok(len) = receiver.unprotect_rtcp(packet) else {
            return;
        };
        let Ok(compound) = Compound::parse(&packet[..len]) else {
            return;
        };
        for packet in compound.packets() {
            if packet.picture_loss().is_some() {
                self.key_frames_asked += 1;
                self.position = 0;
            }
            self.nacks += packet.nacks().count();
            self.confirmed = packet.rate_notifications().last().or(self.confirmed);
        }
    }

    fn on_rtp(&mut self, packet: &mut [u8]) {
        let Some(receiver) = &mut self.receiver else {
            return;
        };
        let Ok(len) = receiver.unprotect_rtp(packet) else {
            return;
        };
        let Ok(packet) = RtpPacket::parse(&packet[..len]) else {
            return;
        };
        let header = packet.header;
        self.their_ssrc = header.ssrc;
        let expected = self.newest.map(|newest| newest.wrapping_add(1));
        if expected.is_some_and(|expected| expected != header.sequence) {
            self.lost += 1;
            self.assembler.lost();
        }
        self.newest = Some(header.sequence);
        self.assembler
            .push(header.timestamp, packet.payload(), &mut self.unit);
        if !header.marker {
            return;
        }
        if let Some(info) = self.assembler.finish(&mut self.unit) {
            self.seen.push(Seen {
                at: Instant::now(),
                unit: self.unit.clone(),
                key_frame: info.key_frame,
                damaged: info.damaged,
            });
        }
    }

    /// Longest time without a new picture between two moments.
    #[must_use]
    pub fn longest_gap(&self, from: Instant, to: Instant) -> Duration {
        longest_gap(self.seen.iter().map(|seen| seen.at), from, to)
    }

    /// Decodes what came since a moment, at a size of one's own choice; a picture for
    /// each that came.
    ///
    /// # Panics
    /// When no key frame came, or ffmpeg fails.
    #[must_use]
    pub fn decoded(
        &self,
        folder: &Path,
        since: Instant,
        (width, height): (usize, usize),
    ) -> Vec<(Instant, Image)> {
        let first = self.seen.iter().position(|seen| seen.key_frame);
        let units = &self.seen[first.expect("a key frame")..];
        let skip = units.iter().take_while(|seen| seen.at < since).count();
        let pictures = decode(self.clip.codec, units, skip, folder, (width, height));
        let times = units[skip..].iter().map(|seen| seen.at);
        assert_eq!(times.len(), pictures.len(), "a picture for each unit");
        times.zip(pictures).collect()
    }
}

impl Eye {
    /// Width and height of each picture that [`Eye::decoded`] gives, as ffprobe reads
    /// them; of H.264.
    ///
    /// # Panics
    /// When no key frame came, or ffprobe fails.
    #[must_use]
    pub fn sizes(&self, folder: &Path, since: Instant) -> Vec<(u32, u32)> {
        let first = self.seen.iter().position(|seen| seen.key_frame);
        let units = &self.seen[first.expect("a key frame")..];
        let skip = units.iter().take_while(|seen| seen.at < since).count();
        let file = folder.join("probed");
        let bytes: Vec<u8> = units.iter().flat_map(|seen| seen.unit.clone()).collect();
        fs::write(&file, bytes).expect("a file");
        let mut command = Command::new("ffprobe");
        command.args(["-v", "quiet", "-f", "h264", "-select_streams", "v:0"]);
        command.args(["-show_entries", "frame=width,height", "-of", "csv=p=0"]);
        let output = command.arg(&file).output();
        let output = output.expect("ffprobe runs: apt-get install ffmpeg");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let size = |line: &str| {
            let (width, height) = line.trim_end_matches(',').split_once(',')?;
            Some((width.parse().ok()?, height.parse().ok()?))
        };
        let sizes: Option<Vec<_>> = text.lines().map(size).collect();
        sizes.unwrap_or_else(|| panic!("ffprobe says {text:?}"))[skip..].to_vec()
    }
}

/// Structural similarity of two pictures' brightness (Wang et al. 2004), over blocks of
/// eight by eight samples; 1 is equality.
#[must_use]
pub fn ssim(a: &Image, b: &Image) -> f64 {
    const SIDE: usize = 8;
    let count = (SIDE * SIDE) as f64;
    let (c1, c2) = (6.5025, 58.5225);
    let (mut sum, mut blocks) = (0.0, 0.0);
    for top in (0..a.height - SIDE).step_by(SIDE) {
        for left in (0..a.width - SIDE).step_by(SIDE) {
            let mut s = [0.0; 5];
            for y in top..top + SIDE {
                for x in left..left + SIDE {
                    let (p, q) = (a.luma(x, y), b.luma(x, y));
                    for (sum, value) in s.iter_mut().zip([p, q, p * p, q * q, p * q]) {
                        *sum += value;
                    }
                }
            }
            let [p, q, pp, qq, pq] = s.map(|sum| sum / count);
            let variances = (pp - p * p) + (qq - q * q);
            let covariance = pq - p * q;
            sum += (2.0 * p * q + c1) * (2.0 * covariance + c2)
                / ((p * p + q * q + c1) * (variances + c2));
            blocks += 1.0;
        }
    }
    sum / blocks
}

/// Pixels, red, green and blue.
#[derive(Clone, Debug)]
pub struct Image {
    /// In pixels.
    pub width: usize,
    /// In pixels.
    pub height: usize,
    /// Three bytes each, row by row.
    pub rgb: Vec<u8>,
}

impl Image {
    /// Reads a file, scaled; `None` while it is not whole.
    #[must_use]
    pub fn read(file: &Path, (width, height): (usize, usize)) -> Option<Self> {
        let mut command = ffmpeg();
        command.arg("-i").arg(file);
        command.args(["-vf", &format!("scale={width}:{height}:flags=area")]);
        command.args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]);
        let output = command.stderr(Stdio::null()).output().ok()?;
        let whole = output.status.success() && output.stdout.len() == 3 * width * height;
        whole.then_some(Self {
            width,
            height,
            rgb: output.stdout,
        })
    }

    /// The colour at a place, each coordinate from 0 to 1.
    #[must_use]
    pub fn at(&self, x: f64, y: f64) -> [u8; 3] {
        let column = ((x * self.width as f64) as usize).min(self.width - 1);
        let row = ((y * self.height as f64) as usize).min(self.height - 1);
        let at = 3 * (row * self.width + column);
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// Brightness of a pixel (BT.601), 0 to 255.
    #[must_use]
    pub fn luma(&self, x: usize, y: usize) -> f64 {
        let at = 3 * (y * self.width + x);
        let [r, g, b] = [0, 1, 2].map(|part| f64::from(self.rgb[at + part]));
        0.299 * r + 0.587 * g + 0.114 * b
    }

    /// Share of the picture that is about this colour.
    #[must_use]
    pub fn share(&self, colour: [u8; 3]) -> f64 {
        let pixels = self.rgb.chunks_exact(3);
        let count = pixels
            .clone()
            .filter(|pixel| is_about(pixel, colour))
            .count();
        count as f64 / pixels.len() as f64
    }

    /// The middle of all that is about this colour, each coordinate from 0 to 1;
    /// `None` where nothing is.
    #[must_use]
    pub fn centre(&self, colour: [u8; 3]) -> Option<(f64, f64)> {
        let (mut x, mut y, mut count) = (0, 0, 0);
        for (index, pixel) in self.rgb.chunks_exact(3).enumerate() {
            if is_about(pixel, colour) {
                (x, y, count) = (x + index % self.width, y + index / self.width, count + 1);
            }
        }
        let of = |sum: usize, all: usize| sum as f64 / (count * all) as f64;
        (count > 0).then(|| (of(x, self.width), of(y, self.height)))
    }
}

fn is_about(pixel: &[u8], colour: [u8; 3]) -> bool {
    pixel.iter().zip(colour).all(|(&a, b)| a.abs_diff(b) < 48)
}

fn decode(
    codec: VideoCodec,
    units: &[Seen],
    skip: usize,
    folder: &Path,
    (width, height): (usize, usize),
) -> Vec<Image> {
    let (input, output) = (folder.join("seen"), folder.join("seen.rgb"));
    let mut file = BufWriter::new(fs::File::create(&input).expect("a file"));
    let format = match codec {
        VideoCodec::H264 => "h264",
        _ => "ivf",
    };
    if format == "ivf" {
        // Decoders do not read the sizes and counts of the header.
        let mut head = *b"DKIF\0\0\x20\0VP80\0\0\0\0\x1e\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0";
        head[12..14].copy_from_slice(&1_280_u16.to_le_bytes());
        head[14..16].copy_from_slice(&720_u16.to_le_bytes());
        file.write_all(&head).expect("a file");
    }
    for (index, seen) in units.iter().enumerate() {
        if format == "ivf" {
            let len = u32::try_from(seen.unit.len()).expect("a length");
            file.write_all(&len.to_le_bytes()).expect("a file");
            file.write_all(&(index as u64).to_le_bytes())
                .expect("a file");
        }
        file.write_all(&seen.unit).expect("a file");
    }
    file.flush().expect("a file");
    drop(file);
    let mut command = ffmpeg();
    command.args(["-f", format, "-i"]).arg(&input);
    // Not by a filter of ffmpeg's that counts: it counts anew when the size changes.
    let filter = format!("scale={width}:{height}:flags=area");
    command.args(["-vf", &filter, "-vsync", "passthrough"]);
    command.args(["-f", "rawvideo", "-pix_fmt", "rgb24"]);
    // It grumbles at a change of size, which is what some tests are about.
    run(command.arg(&output).stderr(Stdio::null()));
    let len = 3 * width * height;
    let mut bytes = Vec::new();
    let mut file = fs::File::open(&output).expect("pictures");
    let _ = fs::remove_file(&output);
    file.seek(SeekFrom::Start((skip * len) as u64))
        .expect("pictures");
    file.read_to_end(&mut bytes).expect("pictures");
    let image = |rgb: &[u8]| Image {
        width,
        height,
        rgb: rgb.to_vec(),
    };
    bytes.chunks_exact(len).map(image).collect()
}

/// What a filter of ffmpeg's makes, not encoded: its first pictures.
///
/// # Panics
/// When ffmpeg fails.
#[must_use]
pub fn pictures_of(filter: &str, count: usize, (width, height): (usize, usize)) -> Vec<Image> {
    let mut command = ffmpeg();
    command.args(["-f", "lavfi", "-i", filter]);
    command.args(["-frames:v", &count.to_string(), "-f", "rawvideo"]);
    command.args(["-pix_fmt", "rgb24", "-"]);
    let output = command.output().expect("ffmpeg runs");
    assert!(output.status.success(), "ffmpeg: {filter}");
    let image = |rgb: &[u8]| Image {
        width,
        height,
        rgb: rgb.to_vec(),
    };
    let bytes = output.stdout.chunks_exact(3 * width * height);
    bytes.map(image).collect()
}
