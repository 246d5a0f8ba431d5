//! What our encoders' pictures look like and cost, beside x264's at the same rate.
//!
//! Everybody encodes the same clip of somebody talking with their hands, with one key
//! frame at its start, one thread, and no B slices. Each is asked again, for a little
//! more or less, until what it really takes is within 2 % of the rate in question. All
//! are decoded by our decoder and compared with the clip; where an encoder left a
//! picture out, the one before it is compared, as a viewer would still see it.
//!
//! Time is CPU time of the encoder in ms a picture: of the thread for ours, for x264 of
//! ffmpeg's process, without what the same process takes to read and copy the clip;
//! the fastest of four runs.
//!
//! `cargo bench -p plenum-codecs --bench video`, with `-- '720 ours'` behind it for rows
//! that begin so, without the width. x264 comes with Debian's ffmpeg; where that is not
//! installed, its rows are not there. Run as a test it encodes ten small pictures.

#![allow(clippy::print_stdout)]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use plenum_abi::{H264Level, H264Profile, VideoCodec};
use plenum_codecs::video::testing::{TalkingHeads, psnr_of_error, squared_error, ssim};
use plenum_codecs::video::{
    Decoded, DecoderConfig, EncoderConfig, Rate, VideoDecoder, decoder, encoder,
};
use plenum_h264::{NalType, START_CODE, nal_units};
use plenum_kernels::video::draw::copy;
use plenum_kernels::video::{Picture, Plane};
use rustix::time::{ClockId, clock_gettime};

/// How far from the rate in question an encoder may end.
const RATE_TOLERANCE: f64 = 0.02;
/// How often it is asked again.
const RATE_TRIES: usize = 6;
/// Of so many encodes the fastest counts: what else the machine does only adds.
const RUNS: usize = 4;
/// Every so many pictures SSIM is taken: it is slow, and neighbours differ little.
const SSIM_EVERY: usize = 5;

/// A clip, and where it lies for other programs.
struct Clip {
    width: u32,
    height: u32,
    pictures: Vec<Picture>,
}

/// Coded pictures in order; `None` where one was left out.
struct Stream {
    codec: VideoCodec,
    units: Vec<Option<Vec<u8>>>,
    /// CPU time of encoding.
    encode_s: f64,
}

impl Stream {
    fn rate_bps(&self) -> f64 {
        let bytes: usize = self.units.iter().flatten().map(Vec::len).sum();
        bytes as f64 * 8.0 * 30.0 / self.units.len() as f64
    }
}

/// What an encoder made of the clip when asked for so many bits a second.
type Encode<'a> = Box<dyn Fn(u32) -> Stream + 'a>;

fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

impl Clip {
    fn new(width: u32, height: u32, frames: u32) -> Self {
        let heads = TalkingHeads::new(width, height, 7).gesturing();
        let draw = |frame| {
            let mut picture = Picture::new(width, height);
            heads.draw(frame, &mut picture);
            picture
        };
        Self {
            width,
            height,
            pictures: (0..frames).map(draw).collect(),
        }
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut file = std::io::BufWriter::new(File::create(path)?);
        for picture in &self.pictures {
            for plane in picture.planes() {
                for row in plane.rows() {
                    file.write_all(row)?;
                }
            }
        }
        file.flush()
    }

    /// Ours, as the compositor asks for it.
    fn ours(&self, codec: VideoCodec, profile: H264Profile, bit_rate_bps: u32) -> Stream {
        let mut encoder = encoder(&EncoderConfig {
            codec,
            width: self.width,
            height: self.height,
            rate: Rate {
                bit_rate_bps,
                frame_rate_hz: 30.0,
            },
            profile,
            level_max: H264Level::L5_2,
            frame_rate_max_hz: 30.0,
            slice_bytes_max: None,
            temporal_layers: 1,
            content: false,
        })
        .expect("an encoder");
        let mut units = Vec::new();
        let mut encode_s = 0.0;
        for picture in &self.pictures {
            let mut data = Vec::new();
            let start = cpu_s();
            let encoded = encoder
                .encode(picture, units.is_empty(), &mut data)
                .expect("encodes");
            encode_s += cpu_s() - start;
            units.push((!encoded.skipped).then_some(data));
        }
        Stream {
            codec,
            units,
            encode_s,
        }
    }

    /// x264 by ffmpeg, from the clip at `path`; `None` where there is no ffmpeg.
    fn x264(&self, path: &Path, options: &[&str], bit_rate_bps: u32) -> Option<Stream> {
        let rate = bit_rate_bps.to_string();
        // A second's buffer, as our encoder's rate control may use.
        let fixed = [
            "-c:v",
            "libx264",
            "-tune",
            "zerolatency",
            "-threads",
            "1",
            "-bf",
            "0",
            "-g",
            "100000",
            "-b:v",
            &rate,
            "-maxrate",
            &rate,
            "-bufsize",
            &rate,
            "-x264-params",
            "scenecut=0:aud=1",
            "-f",
            "h264",
            "-",
        ];
        let (stream, encode_s) = self.ffmpeg(path, &[options, &fixed].concat())?;
        let (_, read_s) = self.ffmpeg(path, &["-c:v", "rawvideo", "-f", "null", "-"])?;
        Some(Stream {
            codec: VideoCodec::H264,
            units: access_units(&stream).into_iter().map(Some).collect(),
            encode_s: encode_s - read_s,
        })
    }

    /// What ffmpeg wrote, and its CPU time.
    fn ffmpeg(&self, path: &Path, output: &[&str]) -> Option<(Vec<u8>, f64)> {
        let done = Command::new("ffmpeg")
            .args(["-nostdin", "-benchmark", "-f", "rawvideo"])
            .args(["-pixel_format", "yuv420p", "-framerate", "30"])
            .args(["-video_size", &format!("{}x{}", self.width, self.height)])
            .arg("-i")
            .arg(path)
            .args(output)
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let log = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{log}");
        let seconds = |what: &str| -> f64 {
            let (_, rest) = log.rsplit_once(what).expect("a figure");
            let (figure, _) = rest.split_once('s').expect("its unit");
            figure.parse().expect("a number")
        };
        Some((done.stdout, seconds("utime=") + seconds("stime=")))
    }

    /// Decodes and compares.
    fn report(&self, name: &str, stream: &Stream) {
        let mut decoder: Box<dyn VideoDecoder> =
            decoder(stream.codec, &DecoderConfig::default()).expect("a decoder");
        let mut shown = Picture::new(self.width, self.height);
        let (mut error, mut ssims, mut decode_s) = ((0, 0), Vec::new(), 0.0);
        assert_eq!(stream.units.len(), self.pictures.len(), "{name}");
        for (index, (unit, picture)) in stream.units.iter().zip(&self.pictures).enumerate() {
            if let Some(unit) = unit {
                let start = cpu_s();
                let decoded = decoder.decode(unit);
                decode_s += cpu_s() - start;
                assert_eq!(decoded, Ok(Decoded::Picture), "{name}, picture {index}");
                copy(shown.view_mut(), decoder.picture().expect("a picture"));
            }
            let (sum, samples) = squared_error(picture, &shown, Plane::Y);
            error = (error.0 + sum, error.1 + samples);
            if index % SSIM_EVERY == 0 {
                ssims.push(ssim(picture, &shown));
            }
        }
        let coded = stream.units.iter().flatten().count();
        println!(
            "| {}x{} | {name} | {:.0} | {:.2} | {:.4} | {:.2} | {:.2} | {} |",
            self.width,
            self.height,
            stream.rate_bps() / 1e3,
            psnr_of_error(error),
            ssims.iter().sum::<f64>() / ssims.len() as f64,
            stream.encode_s * 1e3 / stream.units.len() as f64,
            decode_s * 1e3 / coded as f64,
            stream.units.len() - coded,
        );
    }
}

/// A byte stream, cut where delimiters are.
fn access_units(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    for range in nal_units(stream) {
        let unit = &stream[range];
        // x264 was told to begin each with a delimiter.
        if NalType::of(unit[0]) == NalType::AccessUnitDelimiter {
            units.push(Vec::new());
        } else if let Some(current) = units.last_mut() {
            current.extend_from_slice(&START_CODE);
            current.extend_from_slice(unit);
        }
    }
    units
}

/// Asks until the rate is met; the time is the shortest of [`RUNS`].
fn at_rate(encode: &Encode<'_>, wanted_bps: f64) -> Stream {
    let mut asked = wanted_bps;
    let mut best = encode(asked as u32);
    for _ in 1..RATE_TRIES {
        let ratio = best.rate_bps() / wanted_bps;
        if (ratio - 1.0).abs() <= RATE_TOLERANCE {
            break;
        }
        asked /= ratio;
        best = encode(asked as u32);
    }
    for _ in 1..RUNS {
        best.encode_s = best.encode_s.min(encode(asked as u32).encode_s);
    }
    best
}

fn compare(clip: &Clip, rates_bps: &[f64], wanted: &str) {
    let path = std::env::temp_dir().join(format!("plenum-clip-{}.yuv", std::process::id()));
    clip.write(&path).expect("room for the clip");
    let path = path.as_path();
    let ours =
        |codec, profile| -> Encode<'_> { Box::new(move |rate| clip.ours(codec, profile, rate)) };
    let mut ways: Vec<(&str, Encode<'_>)> = vec![
        (
            "ours, H.264 Baseline",
            ours(VideoCodec::H264, H264Profile::ConstrainedBaseline),
        ),
        (
            "ours, H.264 High",
            ours(VideoCodec::H264, H264Profile::High),
        ),
        (
            "ours, VP8",
            ours(VideoCodec::Vp8, H264Profile::ConstrainedBaseline),
        ),
    ];
    let presets: [(&str, &[&str]); 3] = [
        (
            "x264 veryfast, Baseline",
            &["-preset", "veryfast", "-profile:v", "baseline"],
        ),
        ("x264 veryfast", &["-preset", "veryfast"]),
        ("x264 ultrafast", &["-preset", "ultrafast"]),
    ];
    if Command::new("ffmpeg").arg("-version").output().is_ok() {
        for (name, options) in presets {
            let encode = move |rate| clip.x264(path, options, rate).expect("ffmpeg");
            ways.push((name, Box::new(encode)));
        }
    }
    ways.retain(|(name, _)| format!("{} {name}", clip.height).starts_with(wanted));
    for &rate in rates_bps {
        for (name, encode) in &ways {
            clip.report(name, &at_rate(encode, rate));
        }
    }
    // It is a temporary file: where it stays, it is cleaned up by others.
    drop(std::fs::remove_file(path));
}

fn main() {
    // Cargo says so when it benches.
    let quick = !std::env::args().any(|arg| arg == "--bench");
    let mut args = std::env::args().skip(1);
    let wanted = args.rfind(|arg| !arg.starts_with('-'));
    let wanted = wanted.unwrap_or_default();
    println!("| size | encoder | kbit/s | PSNR-Y dB | SSIM | encode ms | decode ms | left out |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    if quick {
        return compare(&Clip::new(160, 96, 10), &[200e3], "");
    }
    let cases: [(u32, u32, u32, &[f64]); 3] = [
        (640, 360, 180, &[500e3]),
        (1_280, 720, 180, &[800e3, 1_500e3, 2_500e3]),
        (1_920, 1_080, 90, &[4_000e3]),
    ];
    for (width, height, frames, rates) in cases {
        // Drawing a clip takes seconds.
        let name = height.to_string();
        if wanted.starts_with(&name) || name.starts_with(&wanted) {
            compare(&Clip::new(width, height, frames), rates, &wanted);
        }
    }
}
