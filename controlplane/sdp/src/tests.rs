//! Offers in the style of what is met, and what is made of them.

use plenum_abi::{AudioCodec, SrtpSuite};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;

const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

fn rng() -> StdRng {
    StdRng::seed_from_u64(42)
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
        video: None,
    }
}

fn sdp(media: &str) -> String {
    let head = "v=0\r\no=- 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
    format!("{head}{}", media.replace('\n', "\r\n"))
}

fn audio(offer: &str, encryption: Encryption) -> Audio {
    answer(offer, &local(encryption), &mut rng())
        .unwrap()
        .audio
        .unwrap()
}

fn crypto_lines(suites: &[&str]) -> String {
    (1..)
        .zip(suites)
        .map(|(tag, suite)| format!("a=crypto:{tag} {suite} inline:{KEY}\n"))
        .collect()
}

#[test]
fn a_baresip_with_mandatory_encryption() {
    let offer = sdp(&format!(
        "m=audio 40000 RTP/SAVP 0 101\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\n\
         a=fmtp:101 0-15\na=rtcp:40001\n{}a=sendrecv\na=label:1\na=ssrc:99 cname:x\na=ptime:20\n",
        crypto_lines(&["AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_80"])
    ));
    let negotiated = answer(&offer, &local(Encryption::Required), &mut rng()).unwrap();
    let audio = negotiated.audio.unwrap();
    assert_eq!(audio.codecs, [(0, AudioCodec::Pcmu)]);
    assert_eq!(audio.telephone_event_payload_type, Some(101));
    assert_eq!(audio.remote_rtp, "192.0.2.1:40000".parse().unwrap());
    assert_eq!(audio.remote_rtcp, "192.0.2.1:40001".parse().unwrap());
    assert_eq!(audio.direction, Direction::BOTH);
    let srtp = audio.srtp.unwrap();
    assert_eq!(srtp.suite, SrtpSuite::AesCm128HmacSha1_80);
    assert_ne!(srtp.tx_keys, srtp.rx_keys);
    assert!(
        negotiated.sdp.contains("m=audio 20000 RTP/SAVP 0 101\r\n"),
        "{}",
        negotiated.sdp
    );
    assert!(
        negotiated
            .sdp
            .contains("a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:")
    );
    assert!(!negotiated.sdp.contains("rtcp-mux"));
}

#[test]
fn static_types_need_no_rtpmap_and_the_offerers_order_counts() {
    let formats = |fmt: &str| {
        audio(
            &sdp(&format!("m=audio 5004 RTP/AVP {fmt}\n")),
            Encryption::Optional,
        )
        .codecs
    };
    assert_eq!(formats("8 0"), [(8, AudioCodec::Pcma)]);
    assert_eq!(formats("18 3 0 8"), [(0, AudioCodec::Pcmu)]);
    assert_eq!(formats("9 0"), [(9, AudioCodec::G722)]);
}

#[test]
fn opus_keeps_its_number_and_takes_the_event_of_its_clock() {
    let offer = sdp(
        "m=audio 5004 RTP/AVP 107 100 101 0\na=rtpmap:107 opus/48000/2\n\
         a=fmtp:107 useinbandfec=1; maxaveragebitrate=24000;usedtx=1;stereo=0\n\
         a=rtpmap:100 telephone-event/48000\na=rtpmap:101 telephone-event/8000\na=maxptime:10\n",
    );
    let audio = audio(&offer, Encryption::Optional);
    assert_eq!(audio.codecs, [(107, AudioCodec::Opus)]);
    assert_eq!(audio.telephone_event_payload_type, Some(100));
    assert_eq!(audio.packet_ms, 10);
    let opus = audio.opus.unwrap();
    assert!(opus.in_band_fec && opus.dtx && !opus.stereo);
    assert_eq!(opus.max_average_bit_rate_bps, 24_000);
}

#[test]
fn every_offered_line_is_answered_in_its_place() {
    let offer = sdp(
        "m=video 6000 RTP/AVP 97\na=rtpmap:97 H264/90000\nm=audio 0 RTP/AVP 0\n\
         m=audio 5004 RTP/AVP 0\nm=application 7000 UDP/BFCP *\nm=image 8000 udptl t38\n",
    );
    let negotiated = answer(&offer, &local(Encryption::Optional), &mut rng()).unwrap();
    let lines: Vec<&str> = negotiated
        .sdp
        .lines()
        .filter(|line| line.starts_with("m="))
        .collect();
    assert_eq!(
        lines,
        [
            "m=video 0 RTP/AVP 97",
            "m=audio 0 RTP/AVP 0",
            "m=audio 20000 RTP/AVP 0",
            "m=application 0 UDP/BFCP *",
            "m=image 0 udptl t38",
        ]
    );
}

#[test]
fn hold_is_answered_with_its_mirror() {
    let direction = |extra: &str| {
        audio(
            &sdp(&format!("m=audio 5004 RTP/AVP 0\n{extra}")),
            Encryption::Optional,
        )
        .direction
    };
    assert_eq!(direction(""), Direction::BOTH);
    assert_eq!(direction("a=sendonly\n"), Direction::RECEIVE);
    assert_eq!(direction("a=recvonly\n"), Direction::SEND);
    assert_eq!(direction("a=inactive\n"), Direction::NONE);
    assert_eq!(direction("c=IN IP4 0.0.0.0\n"), Direction::RECEIVE);
}

#[test]
fn encryption_is_had_refused_or_left_alone() {
    let plain = sdp("m=audio 5004 RTP/AVP 0\n");
    let secure = sdp(&format!(
        "m=audio 5004 RTP/SAVP 0\n{}",
        crypto_lines(&["AES_CM_128_HMAC_SHA1_80"])
    ));
    let best_effort = secure.replace("SAVP", "AVP");
    let try_it = |offer: &str, encryption| {
        answer(offer, &local(encryption), &mut rng()).map(|n| n.audio.unwrap().srtp.is_some())
    };
    use Encryption::{Optional, Prohibited, Required};
    assert_eq!(try_it(&plain, Optional), Ok(false));
    assert_eq!(
        try_it(&plain, Required),
        Err(NegotiationError::EncryptionRequired)
    );
    assert_eq!(try_it(&plain, Prohibited), Ok(false));
    assert_eq!(try_it(&secure, Optional), Ok(true));
    assert_eq!(try_it(&secure, Required), Ok(true));
    assert_eq!(
        try_it(&secure, Prohibited),
        Err(NegotiationError::EncryptionProhibited)
    );
    assert_eq!(try_it(&best_effort, Optional), Ok(true));
    assert_eq!(try_it(&best_effort, Prohibited), Ok(false));
    let unusable = secure.replace("AES_CM_128_HMAC_SHA1_80", "F8_128_HMAC_SHA1_80");
    assert_eq!(
        try_it(&unusable, Optional),
        Err(NegotiationError::NoCommonMedia)
    );
}

#[test]
fn what_cannot_be_had_is_refused_with_its_reason() {
    let refuse =
        |media: &str| answer(&sdp(media), &local(Encryption::Optional), &mut rng()).unwrap_err();
    assert_eq!(
        refuse("m=audio 5004 RTP/AVP 3 18\n"),
        NegotiationError::NoCommonCodec
    );
    assert_eq!(
        refuse("m=video 5004 RTP/AVP 97\n"),
        NegotiationError::NoCommonMedia
    );
    assert_eq!(
        refuse("m=audio 5004 TCP/MSRP *\n"),
        NegotiationError::NoCommonMedia
    );
    let host = refuse("m=audio 5004 RTP/AVP 0\nc=IN IP4 phone.example.com\n");
    assert_eq!((host.status(), host.warning()), (488, 301));
    let nonsense = answer("nonsense", &local(Encryption::Optional), &mut rng()).unwrap_err();
    assert_eq!(nonsense.status(), 400);
    let long = "x".repeat(70_000);
    assert_eq!(
        answer(&long, &local(Encryption::Optional), &mut rng())
            .unwrap_err()
            .status(),
        400
    );
}

#[test]
fn a_later_answer_keeps_keys_and_session_and_counts_changes() {
    let offer = sdp(&format!(
        "m=audio 5004 RTP/SAVP 0\n{}",
        crypto_lines(&["AES_CM_128_HMAC_SHA1_80"])
    ));
    let local = local(Encryption::Required);
    let first = answer(&offer, &local, &mut rng()).unwrap();
    let mut other_rng = StdRng::seed_from_u64(7);
    let same = reanswer(&first.sdp, &offer, &local, &mut other_rng).unwrap();
    assert_eq!(same.sdp, first.sdp);
    let hold = format!("{offer}a=sendonly\r\n");
    let held = reanswer(&first.sdp, &hold, &local, &mut other_rng).unwrap();
    let origin = |sdp: &str| sdp.lines().nth(1).unwrap().to_owned();
    let words = |sdp: &str| {
        origin(sdp)
            .split(' ')
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(words(&held.sdp)[1], words(&first.sdp)[1]);
    assert_eq!(
        (words(&first.sdp)[2].as_str(), words(&held.sdp)[2].as_str()),
        ("1", "2")
    );
    let keys = |negotiated: &Negotiated| negotiated.audio.clone().unwrap().srtp.unwrap().tx_keys;
    assert_eq!(keys(&held), keys(&first));
}

#[test]
fn our_later_offer_keeps_numbers_and_media_lines() {
    let offer = sdp(
        "m=video 6000 RTP/AVP 97\nm=audio 5004 RTP/AVP 96 101\na=rtpmap:96 G722/8000\n\
         a=rtpmap:101 telephone-event/8000\n",
    );
    let local = local(Encryption::Optional);
    let first = answer(&offer, &local, &mut rng()).unwrap();
    let (again, _) = reoffer(&first.sdp, &local, &mut rng()).unwrap();
    let lines: Vec<&str> = again
        .lines()
        .filter(|line| line.starts_with("m="))
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], "m=video 0 RTP/AVP 97");
    // G.722 stays 96, so Opus has to take another number.
    assert!(again.contains("a=rtpmap:96 G722/8000"), "{again}");
    assert!(!again.contains("a=rtpmap:96 opus"), "{again}");
    assert!(again.contains(" 2 IN IP4 127.0.0.1"), "{again}");
}

#[test]
fn an_answer_must_fit_its_offer() {
    let secure = local(Encryption::Required);
    let (text, pending) = offer(&secure, &mut rng());
    let refuse = |answer: &str| accept_answer(&pending, answer).unwrap_err();
    assert!(matches!(refuse(&sdp("")), NegotiationError::Mismatch(_)));
    assert_eq!(
        refuse(&sdp("m=audio 5004 RTP/SAVP 0\n")),
        NegotiationError::EncryptionRequired
    );
    let strange = sdp(&format!(
        "m=audio 5004 RTP/SAVP 0\na=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n"
    ));
    assert!(matches!(refuse(&strange), NegotiationError::Mismatch(_)));
    let off = accept_answer(&pending, &sdp("m=audio 0 RTP/SAVP 0\n")).unwrap();
    assert_eq!((off.audio, off.sdp), (None, text));
}

proptest! {
    /// Both ends agree on the same stream: each one's sending is the other's receiving.
    #[test]
    fn offer_answer_accept_agree(
        seed: u64,
        ours in 0..3_usize,
        theirs in 0..3_usize,
        direction in 0..4_usize,
        order in Just(AudioCodec::ALL.to_vec()).prop_shuffle(),
        count in 1..4_usize,
    ) {
        let policies = [Encryption::Required, Encryption::Optional, Encryption::Prohibited];
        let directions = [Direction::BOTH, Direction::SEND, Direction::RECEIVE, Direction::NONE];
        let mut rng = StdRng::seed_from_u64(seed);
        let us = LocalMedia { direction: directions[direction], ..local(policies[ours]) };
        let them = LocalMedia {
            address: "::1".parse().unwrap(),
            rtp_port: 30_000,
            rtcp_port: 30_001,
            codecs: order[..count].to_vec(),
            ..local(policies[theirs])
        };
        let (text, pending) = offer(&us, &mut rng);
        let impossible = policies[ours] == Encryption::Required && policies[theirs] == Encryption::Prohibited
            || policies[ours] == Encryption::Prohibited && policies[theirs] == Encryption::Required;
        match answer(&text, &them, &mut rng) {
            Err(_) => prop_assert!(impossible),
            Ok(answered) => {
                prop_assert!(!impossible);
                let accepted = accept_answer(&pending, &answered.sdp).unwrap();
                let (a, b) = (accepted.audio.unwrap(), answered.audio.unwrap());
                prop_assert_eq!(&a.codecs, &b.codecs);
                prop_assert_eq!(a.telephone_event_payload_type, b.telephone_event_payload_type);
                prop_assert_eq!(a.direction, b.direction.reversed());
                prop_assert_eq!(a.rtcp_mux, b.rtcp_mux);
                prop_assert_eq!(a.remote_rtp.port(), 30_000);
                prop_assert_eq!(b.remote_rtp.port(), 20_000);
                match (a.srtp, b.srtp) {
                    (Some(a), Some(b)) => {
                        prop_assert_eq!(a.suite, b.suite);
                        prop_assert_eq!(a.tx_keys, b.rx_keys);
                        prop_assert_eq!(a.rx_keys, b.tx_keys);
                    }
                    (a, b) => prop_assert_eq!(a, b),
                }
            }
        }
    }

    /// Whatever is done to an offer, nothing panics, and an answer has its lines.
    #[test]
    fn mutilated_offers_are_answered_line_by_line_or_refused(
        cuts in prop::collection::vec((0..600_usize, any::<u8>()), 0..6),
        end in 0..600_usize,
    ) {
        let text = sdp(&format!(
            "m=video 6000 RTP/AVP 97\na=rtpmap:97 H264/90000\nm=audio 5004 RTP/SAVPF 107 0 101 13\n\
             a=rtpmap:107 opus/48000/2\na=fmtp:107 useinbandfec=1;maxaveragebitrate=24000\n\
             a=rtpmap:101 telephone-event/8000\na=rtcp:5005 IN IP4 192.0.2.9\na=ptime:20\n{}",
            crypto_lines(&["AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"])
        ));
        let mut bytes = text.into_bytes();
        bytes.truncate(end.max(60));
        for (at, byte) in cuts {
            let len = bytes.len();
            bytes[at % len] = byte;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Ok(negotiated) = answer(&text, &local(Encryption::Optional), &mut rng()) {
            let theirs = sdp_types::Session::parse(text.as_bytes()).unwrap();
            let ours = sdp_types::Session::parse(negotiated.sdp.as_bytes()).unwrap();
            prop_assert_eq!(theirs.medias.len(), ours.medias.len());
            let again = reanswer(&negotiated.sdp, &text, &local(Encryption::Optional), &mut rng());
            prop_assert_eq!(again.unwrap().sdp, negotiated.sdp);
        }
    }
}

#[test]
fn audio_levels_are_agreed_on_where_they_are_offered() {
    let offer = |extmap: &str| {
        sdp(&format!(
            "m=audio 5004 RTP/AVP 0\n{extmap}a=extmap:3 urn:ietf:params:rtp-hdrext:toffset\n"
        ))
    };
    let uri = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
    let answered = |extmap: String| {
        let negotiated = answer(&offer(&extmap), &local(Encryption::Optional), &mut rng()).unwrap();
        let is_answered = negotiated.sdp.contains(&format!("a=extmap:7 {uri}\r\n"));
        assert!(!negotiated.sdp.contains("toffset"), "{}", negotiated.sdp);
        (negotiated.audio.unwrap().audio_level_id, is_answered)
    };
    assert_eq!(
        answered(format!("a=extmap:7 {uri} vad=on\n")),
        (Some(7), true)
    );
    assert_eq!(
        answered(format!("a=extmap:7/sendonly {uri}\n")),
        (Some(7), true)
    );
    assert_eq!(
        answered(format!("a=extmap:7/recvonly {uri}\n")),
        (None, false)
    );
    assert_eq!(answered(format!("a=extmap:70 {uri}\n")), (None, false));
    assert_eq!(answered(String::new()), (None, false));
}
