//! What encoders make and decoders show, on a clip of somebody talking.

use plenum_abi::{H264Level, H264Profile, VideoCodec};
use plenum_codecs::video::testing::{TalkingHeads, decode_into, psnr};
use plenum_codecs::video::{
    self, DecodeError, Decoded, DecoderConfig, EncodeError, Encoded, EncoderConfig, Rate,
    SetupError, VideoDecoder, VideoEncoder,
};
use plenum_h264::{NalType, SliceHead, Sps, nal_units};
use plenum_kernels::video::Picture;

const WIDTH: u32 = 320;
const HEIGHT: u32 = 180;
const CODECS: [VideoCodec; 2] = [VideoCodec::H264, VideoCodec::Vp8];

fn config(codec: VideoCodec) -> EncoderConfig {
    EncoderConfig {
        codec,
        width: WIDTH,
        height: HEIGHT,
        rate: Rate {
            bit_rate_bps: 400_000,
            frame_rate_hz: 30.0,
        },
        profile: H264Profile::ConstrainedBaseline,
        level_max: H264Level::L4_2,
        frame_rate_max_hz: 30.0,
        slice_bytes_max: None,
        temporal_layers: 1,
        content: false,
    }
}

/// An encoder and a decoder of what it makes, one picture at a time.
struct Pair {
    clip: TalkingHeads,
    encoder: Box<dyn VideoEncoder>,
    decoder: Box<dyn VideoDecoder>,
    original: Picture,
    shown: Picture,
    access_unit: Vec<u8>,
    frame: u32,
}

impl Pair {
    fn new(config: &EncoderConfig) -> Self {
        Self {
            clip: TalkingHeads::new(config.width, config.height, 7),
            encoder: video::encoder(config).expect("an encoder"),
            decoder: video::decoder(config.codec, &DecoderConfig::default()).expect("a decoder"),
            original: Picture::new(config.width, config.height),
            shown: Picture::new(2, 2),
            access_unit: Vec::new(),
            frame: 0,
        }
    }

    fn encode(&mut self, key_frame: bool) -> Encoded {
        self.clip.draw(self.frame, &mut self.original);
        self.frame += 1;
        self.encoder
            .encode(&self.original, key_frame, &mut self.access_unit)
            .expect("a picture of the right size")
    }

    fn decode(&mut self) -> Result<Decoded, DecodeError> {
        decode_into(&mut *self.decoder, &self.access_unit, &mut self.shown)
    }

    /// Encodes and decodes; PSNR of what is shown, unless the picture was skipped.
    fn step(&mut self, key_frame: bool) -> Option<f64> {
        let encoded = self.encode(key_frame);
        if encoded.skipped {
            assert!(self.access_unit.is_empty());
            return None;
        }
        assert_eq!(self.decode(), Ok(Decoded::Picture));
        Some(psnr(&self.original, &self.shown))
    }
}

#[test]
fn what_is_encoded_is_seen_again_at_once() {
    let profiles = [H264Profile::ConstrainedBaseline, H264Profile::High];
    for codec in CODECS {
        for profile in profiles {
            let mut pair = Pair::new(&EncoderConfig {
                profile,
                ..config(codec)
            });
            let mut psnrs = Vec::new();
            for frame in 0..40 {
                let psnr = pair.step(false);
                assert!(
                    frame > 0 || psnr.is_some(),
                    "the first picture is not skipped"
                );
                psnrs.extend(psnr);
            }
            assert!(psnrs.len() >= 36, "{codec:?}: {} pictures", psnrs.len());
            let last = psnrs.last().unwrap();
            assert!(*last > 33.0, "{codec:?} {profile:?}: {last} dB");
        }
    }
}

#[test]
fn key_frames_come_when_asked_for_and_at_no_other_time() {
    for codec in CODECS {
        let mut pair = Pair::new(&config(codec));
        let mut asked = false;
        for frame in 0..90 {
            asked |= frame % 29 == 0;
            let encoded = pair.encode(frame % 29 == 0);
            assert!(!encoded.key_frame || asked, "{codec:?}: not asked for");
            if !encoded.skipped {
                assert_eq!(encoded.key_frame, asked, "{codec:?} {frame}");
                asked = false;
            }
            if encoded.key_frame {
                // A decoder that has seen nothing can begin here.
                let mut fresh = video::decoder(codec, &DecoderConfig::default()).unwrap();
                let shown = decode_into(&mut *fresh, &pair.access_unit, &mut pair.shown);
                assert_eq!(shown, Ok(Decoded::Picture));
            }
        }
    }
}

/// Bits a second over so many pictures.
fn bit_rate(pair: &mut Pair, pictures: u32) -> f64 {
    let mut bytes = 0;
    for _ in 0..pictures {
        pair.encode(false);
        bytes += pair.access_unit.len();
    }
    let rate = pair.encoder.config().rate;
    bytes as f64 * 8.0 * f64::from(rate.frame_rate_hz) / f64::from(pictures)
}

#[test]
fn the_rate_is_kept_and_changes_without_a_key_frame() {
    for codec in CODECS {
        let mut pair = Pair::new(&config(codec));
        pair.encode(true);
        bit_rate(&mut pair, 30);
        for (bit_rate_bps, frame_rate_hz) in [
            (400_000, 30.0),
            (150_000, 30.0),
            (150_000, 15.0),
            (600_000, 30.0),
        ] {
            pair.encoder.set_rate(Rate {
                bit_rate_bps,
                frame_rate_hz,
            });
            bit_rate(&mut pair, 20);
            let measured = bit_rate(&mut pair, 90);
            let share = measured / f64::from(bit_rate_bps);
            assert!(
                (0.6..1.15).contains(&share),
                "{codec:?}: {measured} of {bit_rate_bps} at {frame_rate_hz}"
            );
        }
        // Beyond what the configuration allows it goes to the nearer end.
        pair.encoder.set_rate(Rate {
            bit_rate_bps: 1,
            frame_rate_hz: 90.0,
        });
        assert_eq!(pair.encoder.config().rate.frame_rate_hz, 30.0);
        assert!(pair.encoder.config().rate.bit_rate_bps > 1_000);
    }
}

#[test]
fn slices_keep_to_their_bound_and_cover_the_picture() {
    for (width, height, bit_rate_bps) in [(320, 180, 400_000), (1_280, 720, 6_000_000)] {
        let bytes_max = 1_100;
        let mut pair = Pair::new(&EncoderConfig {
            width,
            height,
            slice_bytes_max: Some(bytes_max),
            rate: Rate {
                bit_rate_bps,
                frame_rate_hz: 30.0,
            },
            ..config(VideoCodec::H264)
        });
        for frame in 0..8 {
            if pair.step(frame == 4).is_none() {
                continue;
            }
            let mut slices = 0;
            for range in nal_units(&pair.access_unit) {
                let unit = &pair.access_unit[range];
                assert!(unit.len() <= bytes_max as usize, "{} bytes", unit.len());
                slices += usize::from(SliceHead::parse(unit).is_some());
            }
            assert!(frame > 0 || slices > 1);
        }
    }
}

#[test]
fn temporal_layers_can_be_left_out_from_the_top() {
    for codec in CODECS {
        for layers in 2..=3 {
            let mut pair = Pair::new(&EncoderConfig {
                temporal_layers: layers,
                ..config(codec)
            });
            let mut seen = [0; 3];
            let mut shown = 0;
            for _ in 0..48 {
                let encoded = pair.encode(false);
                if encoded.skipped {
                    continue;
                }
                assert!(encoded.temporal_layer < layers);
                seen[usize::from(encoded.temporal_layer)] += 1;
                if encoded.temporal_layer + 1 == layers {
                    continue;
                }
                assert_eq!(pair.decode(), Ok(Decoded::Picture), "{codec:?}");
                assert!(psnr(&pair.original, &pair.shown) > 28.0);
                shown += 1;
            }
            assert!(shown >= 20, "{codec:?}: {seen:?}");
            // The topmost layer is every other picture.
            assert!(seen[usize::from(layers) - 1] >= 20, "{seen:?}");
        }
    }
}

#[test]
fn the_parameter_set_claims_the_lowest_level_and_the_profile_asked_for() {
    let claimed = |profile, width, height, rate| {
        let mut pair = Pair::new(&EncoderConfig {
            profile,
            width,
            height,
            frame_rate_max_hz: rate,
            ..config(VideoCodec::H264)
        });
        pair.encode(true);
        let unit = nal_units(&pair.access_unit)
            .map(|range| &pair.access_unit[range])
            .find(|unit| NalType::of(unit[0]) == NalType::Sps)
            .expect("a parameter set");
        let sps = Sps::parse(unit).expect("one that can be read");
        assert_eq!((sps.width, sps.height), (width, height));
        let id = sps.profile_level_id().expect("a known profile");
        (id.profile, id.level)
    };
    let baseline = H264Profile::ConstrainedBaseline;
    assert_eq!(
        claimed(baseline, 320, 180, 30.0),
        (baseline, H264Level::L1_3)
    );
    assert_eq!(
        claimed(baseline, 1_280, 720, 30.0),
        (baseline, H264Level::L3_1)
    );
    assert_eq!(
        claimed(baseline, 1_280, 720, 60.0),
        (baseline, H264Level::L3_2)
    );
    // Without B slices and fields it is Constrained High, whichever was asked for.
    let high = H264Profile::ConstrainedHigh;
    assert_eq!(
        claimed(H264Profile::High, 1_920, 1_080, 30.0),
        (high, H264Level::L4)
    );
}

#[test]
fn what_cannot_be_made_is_refused() {
    let refusal = |change: fn(&mut EncoderConfig)| {
        let mut config = config(VideoCodec::H264);
        change(&mut config);
        video::encoder(&config).err()
    };
    let config_error = Some(SetupError::Config);
    assert_eq!(refusal(|_| {}), None);
    assert_eq!(refusal(|c| c.width = 321), config_error);
    assert_eq!(refusal(|c| c.height = 14), config_error);
    assert_eq!(refusal(|c| c.width = 1_922), config_error);
    assert_eq!(refusal(|c| c.temporal_layers = 0), config_error);
    assert_eq!(refusal(|c| c.temporal_layers = 4), config_error);
    assert_eq!(refusal(|c| c.rate.frame_rate_hz = f32::NAN), config_error);
    assert_eq!(refusal(|c| c.slice_bytes_max = Some(10)), config_error);
    assert_eq!(refusal(|c| c.profile = H264Profile::Main), config_error);
    assert_eq!(
        refusal(|c| c.level_max = H264Level::L1),
        Some(SetupError::Level)
    );
    assert_eq!(
        refusal(|c| c.codec = VideoCodec::Av1),
        Some(SetupError::Unavailable)
    );
    let av1 = video::decoder(VideoCodec::Av1, &DecoderConfig::default());
    assert_eq!(av1.err(), Some(SetupError::Unavailable));
    let mut pair = Pair::new(&config(VideoCodec::H264));
    let other = Picture::new(WIDTH, HEIGHT + 2);
    let answer = pair.encoder.encode(&other, false, &mut pair.access_unit);
    assert_eq!(answer, Err(EncodeError::PictureSize));
}

#[test]
fn the_size_may_change_at_a_key_frame() {
    for codec in CODECS {
        let mut decoder = video::decoder(codec, &DecoderConfig::default()).unwrap();
        let mut shown = Picture::new(2, 2);
        for (width, height) in [(320, 180), (160, 96), (176, 144), (144, 176), (640, 360)] {
            let mut pair = Pair::new(&EncoderConfig {
                width,
                height,
                ..config(codec)
            });
            for frame in 0..3 {
                pair.encode(frame == 0);
                assert_eq!(
                    decode_into(&mut *decoder, &pair.access_unit, &mut shown),
                    Ok(Decoded::Picture)
                );
                assert_eq!((shown.width(), shown.height()), (width, height));
                assert!(psnr(&pair.original, &shown) > 28.0);
            }
        }
    }
}

#[test]
fn a_picture_that_is_too_large_is_refused_and_the_stream_goes_on() {
    for codec in CODECS {
        let limit = DecoderConfig {
            macroblocks_max: 20 * 12,
        };
        let mut decoder = video::decoder(codec, &limit).unwrap();
        let mut small = Pair::new(&config(codec));
        let mut large = Pair::new(&EncoderConfig {
            width: 336,
            ..config(codec)
        });
        small.encode(true);
        large.encode(true);
        let mut shown = Picture::new(WIDTH, HEIGHT);
        assert_eq!(
            decode_into(&mut *decoder, &small.access_unit, &mut shown),
            Ok(Decoded::Picture)
        );
        let refused = decode_into(&mut *decoder, &large.access_unit, &mut shown);
        assert_eq!(refused, Err(DecodeError::TooLarge));
        assert_eq!(shown.width(), WIDTH);
        small.encode(false);
        assert_eq!(
            decode_into(&mut *decoder, &small.access_unit, &mut shown),
            Ok(Decoded::Picture)
        );
        assert!(psnr(&small.original, &shown) > 28.0);
    }
}

#[test]
fn a_lost_picture_is_told_and_a_key_frame_heals() {
    for codec in CODECS {
        let mut pair = Pair::new(&config(codec));
        pair.step(true);
        for _ in 0..5 {
            pair.step(false);
        }
        while pair.encode(false).skipped {}
        // Never decoded.
        while pair.encode(false).skipped {}
        if codec == VideoCodec::H264 {
            // Its frames are numbered.
            assert_ne!(pair.decode(), Ok(Decoded::Picture));
        }
        pair.encode(true);
        assert_eq!(pair.decode(), Ok(Decoded::Picture));
        assert!(psnr(&pair.original, &pair.shown) > 28.0);
    }
}

#[test]
fn a_lost_slice_is_made_up() {
    let mut pair = Pair::new(&EncoderConfig {
        slice_bytes_max: Some(850),
        rate: Rate {
            bit_rate_bps: 2_000_000,
            frame_rate_hz: 30.0,
        },
        ..config(VideoCodec::H264)
    });
    for _ in 0..6 {
        pair.step(false);
    }
    while pair.encode(false).skipped {}
    let ranges: Vec<_> = nal_units(&pair.access_unit).collect();
    assert!(ranges.len() > 2, "{} slices", ranges.len());
    let without: Vec<u8> = ranges
        .into_iter()
        .enumerate()
        .filter(|(index, _)| *index != 1)
        .flat_map(|(_, range)| [&[0, 0, 0, 1], &pair.access_unit[range]].concat())
        .collect();
    pair.access_unit = without;
    assert_eq!(pair.decode(), Ok(Decoded::Concealed));
    assert!(psnr(&pair.original, &pair.shown) > 25.0);
}

#[test]
fn units_of_no_length_or_too_much_are_refused() {
    for codec in CODECS {
        let mut pair = Pair::new(&config(codec));
        pair.encode(true);
        assert_eq!(
            decode_into(&mut *pair.decoder, &[], &mut pair.shown),
            Err(DecodeError::Empty)
        );
        let long = vec![0; video::ACCESS_UNIT_BYTES_MAX + 1];
        let answer = decode_into(&mut *pair.decoder, &long, &mut pair.shown);
        assert_eq!(answer, Err(DecodeError::TooLong));
    }
}
