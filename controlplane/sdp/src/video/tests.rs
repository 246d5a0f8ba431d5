//! Pictures beside sound, in the style of what is met.

use plenum_abi::{AudioCodec, H264Level, H264Profile, NO_PAYLOAD_TYPE, SrtpSuite, VideoCodec};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{LocalVideo, Video, VideoFormat};
use crate::{
    Direction, Encryption, LocalMedia, Negotiated, accept_answer, answer, offer, reanswer, reoffer,
};

const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

const fn h264(profile: H264Profile, packetization_mode: u8) -> VideoFormat {
    VideoFormat::H264 {
        profile,
        packetization_mode,
    }
}

fn rng() -> StdRng {
    StdRng::seed_from_u64(42)
}

fn picture() -> LocalVideo {
    LocalVideo {
        rtp_port: 20_002,
        rtcp_port: 20_003,
        formats: vec![
            h264(H264Profile::ConstrainedBaseline, 1),
            h264(H264Profile::High, 1),
            h264(H264Profile::ConstrainedBaseline, 0),
            VideoFormat::Vp8,
        ],
        level: H264Level::L4,
        limits: H264Level::L4.limits(),
        rtx: true,
        rx_bit_rate_bps_max: 2_000_000,
        direction: Direction::BOTH,
    }
}

fn local(encryption: Encryption) -> LocalMedia {
    LocalMedia {
        address: "127.0.0.1".parse().unwrap(),
        rtp_port: 20_000,
        rtcp_port: 20_001,
        encryption,
        codecs: AudioCodec::ALL.to_vec(),
        packet_ms: 20,
        suites: vec![SrtpSuite::AeadAes128Gcm, SrtpSuite::AesCm128HmacSha1_80],
        direction: Direction::BOTH,
        video: Some(picture()),
    }
}

/// An offer with sound and these lines; `session` comes before `t=`.
fn sdp(session: &str, media: &str) -> String {
    format!(
        "v=0\no=- 7 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\n{session}t=0 0\n\
         m=audio 5004 RTP/AVP 0\n{media}"
    )
    .replace('\n', "\r\n")
}

fn negotiate(offer: &str) -> Negotiated {
    answer(offer, &local(Encryption::Optional), &mut rng()).unwrap()
}

fn video(media: &str) -> Video {
    negotiate(&sdp("", media)).video.unwrap()
}

fn types(video: &Video) -> Vec<u8> {
    video.payloads.iter().map(|p| p.payload_type).collect()
}

fn has(sdp: &str, line: &str) {
    assert!(sdp.contains(&format!("{line}\r\n")), "{line}\n{sdp}");
}

fn baresip() -> String {
    sdp(
        "",
        "m=video 40002 RTP/AVP 99 105\nb=AS:512\na=rtpmap:99 H264/90000\n\
         a=fmtp:99 packetization-mode=0;profile-level-id=42001f\na=rtpmap:105 H264/90000\n\
         a=fmtp:105 packetization-mode=1;profile-level-id=42001f\na=rtcp:40003\na=sendrecv\n\
         a=framerate:30.00\na=rtcp-fb:* nack\na=rtcp-fb:* nack pli\na=label:2\na=ssrc:9 cname:x\n",
    )
}

#[test]
fn a_baresip_has_one_level_for_both_directions() {
    let negotiated = negotiate(&baresip());
    let video = negotiated.video.unwrap();
    assert_eq!(types(&video), [105], "packetization-mode 1 is better");
    let payload = video.payloads[0];
    assert_eq!(payload.codec, VideoCodec::H264 as u8);
    assert_eq!(payload.packetization_mode, 1);
    assert_eq!(payload.profile_level_id, 0x42_001f);
    assert_eq!(payload.rtx_payload_type, NO_PAYLOAD_TYPE);
    assert!(video.tx_limits.fits(1280, 720, 30.0));
    assert!(!video.tx_limits.fits(1920, 1080, 30.0));
    assert_eq!(video.remote_rtp, "192.0.2.1:40002".parse().unwrap());
    assert_eq!(video.remote_rtcp, "192.0.2.1:40003".parse().unwrap());
    assert!(video.nack && video.pli && !video.fir && !video.tmmbr && !video.rtcp_mux);
    assert_eq!(video.tx_bit_rate_bps_max, 512_000);
    assert_eq!(video.rx_bit_rate_bps_max, 2_000_000);
    assert_eq!(video.direction, Direction::BOTH);
    has(&negotiated.sdp, "m=video 20002 RTP/AVP 105");
    has(&negotiated.sdp, "b=TIAS:2000000\r\nb=AS:2000");
    // Larger pictures than the common level has are taken nevertheless.
    has(
        &negotiated.sdp,
        "a=fmtp:105 level-asymmetry-allowed=0;packetization-mode=1;profile-level-id=42001f\
         ;max-fs=8192;max-mbps=245760",
    );
    has(
        &negotiated.sdp,
        "a=rtcp-fb:105 nack\r\na=rtcp-fb:105 nack pli",
    );
    has(&negotiated.sdp, "a=rtcp:20003 IN IP4 127.0.0.1");
    assert!(!negotiated.sdp.contains("a=content"), "it did not say so");
}

/// Room systems offer many flavours, slides and floor control, a rate for the whole
/// of the call, and larger pictures than their level has.
#[test]
fn a_room_system_keeps_its_main_picture_and_not_its_slides() {
    let offer = sdp(
        "b=AS:1920\n",
        "m=video 50000 RTP/AVP 97 126 96 34\na=rtpmap:97 H264/90000\n\
         a=fmtp:97 profile-level-id=640014;packetization-mode=1;max-mbps=245000;max-fs=8192\n\
         a=rtpmap:126 H264/90000\na=fmtp:126 profile-level-id=428014;packetization-mode=1;\
         max-mbps=245000; max-fs=8192;max-cpb=200;max-br=5000;max-fps=6000;\
         level-asymmetry-allowed=1\n\
         a=rtpmap:96 H264/90000\na=fmtp:96 profile-level-id=428014;max-fs=8192\n\
         a=rtpmap:34 H263/90000\na=rtcp-fb:* nack pli\na=rtcp-fb:* ccm fir\na=rtcp-fb:* ccm tmmbr\n\
         a=label:11\na=answer:full\na=content:main\na=sendrecv\n\
         m=application 50002 UDP/BFCP *\na=floorctrl:c-s\n\
         m=video 50004 RTP/AVP 126\na=rtpmap:126 H264/90000\n\
         a=fmtp:126 profile-level-id=428014;packetization-mode=1\na=content:slides\na=label:12\n",
    );
    let negotiated = negotiate(&offer);
    let video = negotiated.video.unwrap();
    assert_eq!(types(&video), [126]);
    assert_eq!(video.remote_rtp.port(), 50_000);
    assert_eq!(video.tx_bit_rate_bps_max, 1_920_000);
    assert!(video.pli && video.fir && video.tmmbr && !video.nack);
    // Level 2.0 with a size and a rate of its own.
    assert!(video.tx_limits.fits(1280, 720, 60.0));
    assert!(!video.tx_limits.fits(1920, 1200, 30.0));
    has(
        &negotiated.sdp,
        "a=fmtp:126 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=428028",
    );
    has(&negotiated.sdp, "a=content:main\r\na=sendrecv");
    has(&negotiated.sdp, "m=application 0 UDP/BFCP *");
    has(&negotiated.sdp, "m=video 0 RTP/AVP 126");
    let slides_first = offer.replace("content:main", "content:slides");
    assert_eq!(negotiate(&slides_first).video, None);
}

#[test]
fn a_linphone_is_sent_the_codec_that_others_share() {
    let line = "m=video 9078 RTP/AVPF 96 97 98\na=rtpmap:96 VP8/90000\na=fmtp:96 max-fs=3600;max-fr=30\n\
         a=rtpmap:97 H264/90000\na=fmtp:97 profile-level-id=42801F;packetization-mode=1\n\
         a=rtpmap:98 rtx/90000\na=fmtp:98 apt=96\n\
         a=rtcp-fb:* ccm fir\na=rtcp-fb:96 nack pli\na=rtcp-fb:97 ccm tmmbr smaxpr=120\na=rtcp-mux\n";
    let both = video(line);
    assert_eq!(types(&both), [97, 96]);
    assert_eq!(both.payloads[1].rtx_payload_type, 98);
    assert!(both.fir && both.tmmbr && !both.pli && both.rtcp_mux);
    assert_eq!(both.remote_rtcp, both.remote_rtp);
    let vp8 = line.replace("H264", "H265");
    let vp8 = negotiate(&sdp("", &vp8));
    let limits = vp8.video.unwrap().tx_limits;
    assert!(limits.fits(1280, 720, 30.0) && !limits.fits(1280, 736, 30.0));
    has(&vp8.sdp, "m=video 20002 RTP/AVPF 96 98");
    has(&vp8.sdp, "a=fmtp:96 max-fs=8192;max-fr=172");
    has(&vp8.sdp, "a=rtpmap:98 rtx/90000\r\na=fmtp:98 apt=96");
}

#[test]
fn profile_and_packetization_must_be_the_same_at_both_ends() {
    let types = |fmtp: &str| {
        let line = format!("m=video 6 RTP/AVP 97\na=rtpmap:97 H264/90000\n{fmtp}");
        negotiate(&sdp("", &line)).video.map(|v| v.payloads[0])
    };
    let fmtp = |fmtp: &str| types(&format!("a=fmtp:97 {fmtp}\n"));
    assert_eq!(
        fmtp("profile-level-id=42e01f").unwrap().packetization_mode,
        0
    );
    assert!(fmtp("profile-level-id=640c1f;packetization-mode=1").is_some());
    assert_eq!(fmtp("profile-level-id=64001f"), None, "High only in mode 1");
    assert_eq!(fmtp("profile-level-id=4d001f;packetization-mode=1"), None);
    assert_eq!(fmtp("profile-level-id=42e01f;packetization-mode=2"), None);
    assert_eq!(fmtp("profile-level-id=junk;packetization-mode=1"), None);
    // RFC 6184 section 8.1: Baseline at level 1.
    assert_eq!(types("").unwrap().profile_level_id, 0x42_000a);
    // Above our level, the answer comes down to it.
    assert_eq!(
        fmtp("profile-level-id=42e033").unwrap().profile_level_id,
        0x42_e028
    );
}

#[test]
fn values_that_nobody_can_mean_are_no_values() {
    let line = "m=video 6 RTP/AVP 96 200 x 96\nb=TIAS:99999999999\na=rtpmap:96 VP8/90000\n\
         a=fmtp:96 max-fs=0;max-fr=-1\na=fmtp:200 max-fs=1\n";
    let video = video(line);
    assert_eq!(types(&video), [96]);
    assert_eq!(video.tx_bit_rate_bps_max, u32::MAX);
    assert!(video.tx_limits.fits(1920, 1080, 60.0));
}

#[test]
fn a_picture_that_cannot_be_had_fails_nothing() {
    let refused = |media: &str, encryption| {
        let negotiated = answer(&sdp("", media), &local(encryption), &mut rng()).unwrap();
        assert!(negotiated.audio.is_some());
        negotiated.video.is_none() && negotiated.sdp.contains("m=video 0 ")
    };
    let vp8 = "a=rtpmap:96 VP8/90000\n";
    assert!(refused(
        &format!("m=video 0 RTP/AVP 96\n{vp8}"),
        Encryption::Optional
    ));
    assert!(refused("m=video 6 RTP/AVP 31 34\n", Encryption::Optional));
    assert!(refused(
        &format!("m=video 6 TCP/RTP/AVP 96\n{vp8}"),
        Encryption::Optional
    ));
    assert!(refused(
        &format!("m=video 6 RTP/SAVP 96\n{vp8}"),
        Encryption::Prohibited
    ));
    let host = format!("m=video 6 RTP/AVP 96\nc=IN IP4 host.example.com\n{vp8}");
    assert!(refused(&host, Encryption::Optional));
    // Nor is there one on a server that has no room for pictures.
    let deaf = LocalMedia {
        video: None,
        ..local(Encryption::Optional)
    };
    let negotiated = answer(&baresip(), &deaf, &mut rng()).unwrap();
    assert_eq!(negotiated.video, None);
    has(&negotiated.sdp, "m=video 0 RTP/AVP 99 105");
}

fn secure() -> String {
    let keys = format!("a=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\r\n");
    let plain = baresip().replace("RTP/AVP", "RTP/SAVP");
    plain.replace("m=video", &format!("{keys}m=video")) + &keys
}

#[test]
fn each_stream_has_its_keys_and_both_stay() {
    let local = local(Encryption::Required);
    let first = answer(&secure(), &local, &mut rng()).unwrap();
    let keys = |negotiated: &Negotiated| {
        let audio = negotiated.audio.clone().unwrap().srtp.unwrap();
        let video = negotiated.video.clone().unwrap().srtp.unwrap();
        (audio.tx_keys, video.tx_keys)
    };
    assert_ne!(keys(&first).0, keys(&first).1);
    let mut other_rng = StdRng::seed_from_u64(7);
    let again = reanswer(&first.sdp, &secure(), &local, &mut other_rng).unwrap();
    assert_eq!(again.sdp, first.sdp);
    assert_eq!(keys(&again), keys(&first));
    let (ours, _) = reoffer(&first.sdp, &local, &mut other_rng).unwrap();
    for line in first
        .sdp
        .lines()
        .filter(|line| line.starts_with("a=crypto"))
    {
        let key = line.split("inline:").nth(1).unwrap();
        assert!(ours.contains(key), "{ours}");
    }
}

#[test]
fn a_picture_is_held_resumed_removed_and_brought_back() {
    let local = local(Encryption::Optional);
    let first = negotiate(&baresip());
    let again = |previous: &Negotiated, offer: &str| {
        reanswer(&previous.sdp, offer, &local, &mut rng()).unwrap()
    };
    let held = again(&first, &baresip().replace("a=sendrecv", "a=sendonly"));
    assert_eq!(held.video.as_ref().unwrap().direction, Direction::RECEIVE);
    has(&held.sdp, "a=recvonly");
    let resumed = again(&held, &baresip());
    assert_eq!(resumed.video, first.video);
    let removed = again(&resumed, &baresip().replace("video 40002", "video 0"));
    assert!(removed.audio.is_some());
    assert_eq!(removed.video, None);
    has(&removed.sdp, "m=video 0 RTP/AVP 99 105");
    assert_eq!(again(&removed, &baresip()).video, first.video);
}

#[test]
fn our_later_offer_keeps_numbers_profiles_and_places() {
    let mut local = local(Encryption::Optional);
    let first = negotiate(&baresip());
    let (text, _) = reoffer(&first.sdp, &local, &mut rng()).unwrap();
    has(
        &text,
        "a=fmtp:105 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=420028",
    );
    has(&text, "a=content:main");
    assert_eq!(text.matches("m=video").count(), 1);
    let session = sdp_types::Session::parse(text.as_bytes()).unwrap();
    let numbers: Vec<&str> = session.medias[1].fmt.split(' ').collect();
    assert_eq!(numbers.iter().filter(|number| **number == "105").count(), 1);
    // Without a wish the line is switched off where it stands, and used again later.
    local.video = None;
    let (off, _) = reoffer(&text, &local, &mut rng()).unwrap();
    assert!(off.contains("m=video 0 RTP/AVP "), "{off}");
    local.video = Some(picture());
    let (on, _) = reoffer(&off, &local, &mut rng()).unwrap();
    assert_eq!(on.matches("m=video").count(), 1);
    assert!(on.contains("m=video 20002 RTP/AVP "), "{on}");
}

#[test]
fn an_answer_names_what_we_send_and_may_refuse() {
    let (text, pending) = offer(&local(Encryption::Optional), &mut rng());
    has(
        &text,
        "m=video 20002 RTP/AVP 102 103 104 105 106 107 108 109",
    );
    let accept = |media: &str| accept_answer(&pending, &sdp("", media)).unwrap();
    let vp8_first = "m=video 6 RTP/AVP 108 102\na=rtpmap:108 VP8/90000\na=rtpmap:102 H264/90000\n\
         a=fmtp:102 profile-level-id=42e01e;packetization-mode=1\na=rtcp-fb:108 nack pli\n\
         a=rtcp-mux\n";
    let video = accept(vp8_first).video.unwrap();
    assert_eq!(types(&video), [108, 102]);
    assert!(video.pli && video.rtcp_mux);
    assert_eq!(accept("m=video 0 RTP/AVP 102\n").video, None);
    assert_eq!(accept("m=video 6 RTP/AVP 34\n").video, None);
    let wrong_key = format!("{vp8_first}a=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n");
    let without = accept(&wrong_key);
    assert!(without.audio.is_some() && without.video.is_none());
}

proptest! {
    /// Both ends agree on the same picture.
    #[test]
    fn offer_answer_accept_agree(
        seed: u64,
        ours in 0..3_usize,
        theirs in 0..3_usize,
        direction in 0..4_usize,
        order in Just(picture().formats).prop_shuffle(),
        count in 1..=4_usize,
        level in prop::sample::select(vec![H264Level::L1_3, H264Level::L3_1, H264Level::L5]),
    ) {
        let policies = [Encryption::Required, Encryption::Optional, Encryption::Prohibited];
        let directions = [Direction::BOTH, Direction::SEND, Direction::RECEIVE, Direction::NONE];
        let mut rng = StdRng::seed_from_u64(seed);
        let us = local(policies[ours]);
        let them = LocalMedia {
            video: Some(LocalVideo {
                rtp_port: 30_002,
                formats: order[..count].to_vec(),
                level,
                limits: level.limits(),
                rtx: seed % 2 == 0,
                direction: directions[direction],
                ..picture()
            }),
            ..local(policies[theirs])
        };
        let (text, pending) = offer(&us, &mut rng);
        if let Ok(answered) = answer(&text, &them, &mut rng) {
            let accepted = accept_answer(&pending, &answered.sdp).unwrap();
            let (a, b) = (accepted.video.unwrap(), answered.video.unwrap());
            prop_assert_eq!(types(&a), types(&b));
            for (a, b) in a.payloads.iter().zip(&b.payloads) {
                prop_assert_eq!(a.codec, b.codec);
                prop_assert_eq!(a.packetization_mode, b.packetization_mode);
                prop_assert_eq!(a.profile_level_id >> 16, b.profile_level_id >> 16);
                prop_assert_eq!(a.rtx_payload_type, b.rtx_payload_type);
            }
            prop_assert_eq!(a.direction, b.direction.reversed());
            prop_assert_eq!((a.nack, a.pli, a.fir, a.tmmbr), (b.nack, b.pli, b.fir, b.tmmbr));
            prop_assert_eq!(a.remote_rtp.port(), 30_002);
            prop_assert_eq!(b.remote_rtp.port(), 20_002);
            prop_assert_eq!(a.srtp.is_some(), b.srtp.is_some());
            if let (Some(a), Some(b)) = (a.srtp, b.srtp) {
                prop_assert_eq!(a.tx_keys, b.rx_keys);
                prop_assert_eq!(a.rx_keys, b.tx_keys);
            }
        }
    }

    /// Whatever is done to an offer, nothing panics, an answer has its lines, and
    /// what is agreed can be used.
    #[test]
    fn mutilated_offers_are_answered_line_by_line(
        cuts in prop::collection::vec((0..900_usize, any::<u8>()), 0..6),
        number in any::<u64>(),
    ) {
        let text = secure()
            + &format!(
                "m=video 6 RTP/AVPF 96 98\r\nb=AS:{number}\r\na=rtpmap:96 VP8/90000\r\n\
                 a=fmtp:96 max-fs={number};max-fr=30\r\na=rtpmap:98 rtx/90000\r\na=fmtp:98 apt=96\r\n"
            );
        let mut bytes = text.into_bytes();
        for (at, byte) in cuts {
            let len = bytes.len();
            bytes[at % len] = byte;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let local = local(Encryption::Optional);
        if let Ok(negotiated) = answer(&text, &local, &mut rng()) {
            let theirs = sdp_types::Session::parse(text.as_bytes()).unwrap();
            let ours = sdp_types::Session::parse(negotiated.sdp.as_bytes()).unwrap();
            prop_assert_eq!(theirs.medias.len(), ours.medias.len());
            if let Some(video) = &negotiated.video {
                prop_assert!((1..=4).contains(&video.payloads.len()));
                prop_assert!(video.payloads.iter().all(|p| p.payload_type < 128));
                prop_assert!(video.remote_rtp.port() != 0 && video.tx_limits.max_fs > 0);
            }
            let again = reanswer(&negotiated.sdp, &text, &local, &mut rng());
            prop_assert_eq!(&again.unwrap().sdp, &negotiated.sdp);
            prop_assert!(reoffer(&negotiated.sdp, &local, &mut rng()).is_ok());
        }
    }
}
