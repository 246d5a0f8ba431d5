use plenum_abi::{AudioCodec, IceCredentials, NO_PAYLOAD_TYPE, VideoCodec};
use proptest::prelude::*;

use super::*;
use crate::{Direction, NegotiationError};

const PRINT: &str = "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99";

/// Lines that every part of a browser's offer has.
fn transport(mid: &str) -> String {
    format!(
        "c=IN IP4 0.0.0.0\na=rtcp:9 IN IP4 0.0.0.0\na=ice-ufrag:bUfR\na=ice-pwd:0123456789abcdefghijkl\n\
         a=ice-options:trickle\na=fingerprint:sha-256 {PRINT}\na=setup:actpass\na=mid:{mid}\n\
         a=rtcp-mux\na=rtcp-rsize\n\
         a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\n\
         a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\n"
    )
}

fn video(mid: &str) -> String {
    let mut text = String::from("m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 106 107 127\n");
    text += &transport(mid);
    for (number, rtx, map, fmtp) in [
        (96, 97, "VP8", ""),
        (
            102,
            103,
            "H264",
            "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f",
        ),
        (
            106,
            107,
            "H264",
            "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        ),
    ] {
        text += &format!("a=rtpmap:{number} {map}/90000\na=rtcp-fb:{number} goog-remb\n");
        text += &format!("a=rtcp-fb:{number} transport-cc\na=rtcp-fb:{number} ccm fir\n");
        text += &format!("a=rtcp-fb:{number} nack\na=rtcp-fb:{number} nack pli\n");
        text += &format!("a=rtpmap:{rtx} rtx/90000\na=fmtp:{rtx} apt={number}\n");
        if !fmtp.is_empty() {
            text += &format!("a=fmtp:{number} {fmtp}\n");
        }
    }
    text + "a=rtpmap:127 ulpfec/90000\n"
}

fn audio(mid: &str) -> String {
    format!(
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\n{}\
         a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\n\
         a=rtpmap:111 opus/48000/2\na=rtcp-fb:111 transport-cc\na=fmtp:111 minptime=10;useinbandfec=1\n\
         a=rtpmap:63 red/48000/2\na=fmtp:63 111/111\na=rtpmap:9 G722/8000\na=rtpmap:0 PCMU/8000\n\
         a=rtpmap:8 PCMA/8000\na=rtpmap:13 CN/8000\na=rtpmap:110 telephone-event/48000\n\
         a=rtpmap:126 telephone-event/8000\n",
        transport(mid)
    )
}

/// What a browser offers when it joins.
fn browser() -> String {
    let simulcast = "a=rid:h send\na=rid:m send\na=rid:l send\na=simulcast:send h;~m;l,x\n\
         a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\n\
         a=extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\n";
    offer(&[
        audio("0") + "a=sendrecv\na=candidate:1 1 udp 2122260223 192.0.2.7 50000 typ host\n",
        video("1") + simulcast + "a=sendrecv\nb=TIAS:2500000\n",
        video("2") + "a=recvonly\n",
        audio("3") + "a=inactive\n",
        format!(
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\n{}",
            transport("4")
        ),
    ])
}

fn offer(lines: &[String]) -> String {
    let mids: Vec<String> = (0..lines.len()).map(|mid| mid.to_string()).collect();
    // `b=` stands before `a=` in SDP; here it is easier to append.
    let lines: String = lines.iter().map(|line| in_order(line)).collect();
    format!(
        "v=0\no=- 77 2 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE {}\na=extmap-allow-mixed\n{lines}",
        mids.join(" ")
    )
    .replace('\n', "\r\n")
}

fn in_order(line: &str) -> String {
    let (bandwidth, mut rest): (Vec<&str>, Vec<&str>) =
        line.lines().partition(|line| line.starts_with("b="));
    rest.splice(2..2, bandwidth);
    rest.join("\n") + "\n"
}

fn local() -> LocalWeb {
    LocalWeb {
        session_id: 4_711,
        version: 3,
        ice: IceCredentials::new("AAAbcdef", "ZYXWVUTSRQPONMLKJIHGFEDC").unwrap(),
        fingerprint: [0x5a; 32],
        candidates: vec![
            "127.0.0.1:3480".parse().unwrap(),
            "[::1]:3480".parse().unwrap(),
        ],
        cname: "leg-1".to_owned(),
        audio_ssrc: 11,
        video_codecs: vec![VideoCodec::H264, VideoCodec::Vp8],
        main: Some(LocalVideo {
            ssrc: 21,
            rtx_ssrc: 22,
            bit_rate_bps_max: 3_000_000,
        }),
        content: Some(LocalVideo {
            ssrc: 31,
            rtx_ssrc: 32,
            bit_rate_bps_max: 0,
        }),
        layers_max: 3,
        transport_cc: true,
    }
}

/// The part of an SDP that begins with the nth m-line.
fn part(sdp: &str, nth: usize) -> &str {
    let starts: Vec<usize> = sdp.match_indices("\r\nm=").map(|(at, _)| at + 2).collect();
    let end = starts.get(nth + 1).copied().unwrap_or(sdp.len());
    &sdp[starts[nth]..end]
}

#[test]
fn a_browser_joins_with_everything() {
    let answer = answer(&browser(), &local()).unwrap();
    let WebAnswer {
        sdp,
        transport,
        audio,
        screen_ssrc,
        main,
        content,
    } = answer;
    assert_eq!(screen_ssrc, None);
    assert_eq!(transport.ice.ufrag(), "bUfR");
    assert_eq!(transport.fingerprint[..3], [0xaa, 0xbb, 0xcc]);
    assert!(!transport.dtls_client && !transport.lite);
    assert_eq!(
        transport.extensions,
        Extensions {
            transport_cc: 3,
            audio_level: 1,
            mid: 4,
            rid: 10,
            repaired_rid: 11,
            abs_send_time: 0
        }
    );
    assert_eq!(transport.candidates.len(), 1);
    // Pictures are counted for transport-wide feedback, sound is not.
    assert!(part(&sdp, 1).contains("transport-wide-cc"));
    assert!(!part(&sdp, 0).contains("transport-"));
    let audio = audio.unwrap();
    assert_eq!(audio.codecs, [(111, AudioCodec::Opus)]);
    assert_eq!(audio.telephone_event_payload_type, Some(110));
    assert_eq!(audio.direction, Direction::BOTH);
    assert!(audio.opus.unwrap().in_band_fec);
    assert_eq!(audio.red_payload_type, Some(63));
    let main = main.unwrap();
    assert_eq!(main.mid, "1");
    let types: Vec<_> = main
        .payloads
        .iter()
        .map(|payload| (payload.payload_type, payload.rtx_payload_type))
        .collect();
    assert_eq!(types, [(106, 107), (96, 97)]);
    assert_eq!(main.payloads[0].profile_level_id, 0x42_e01f);
    assert!(main.nack && main.pli && main.fir && main.remb && main.transport_cc);
    assert_eq!(main.bit_rate_bps_max, 2_500_000);
    assert_eq!(main.layers, ["h", "m", "l"]);
    let content = content.unwrap();
    assert_eq!(content.direction, Direction::SEND);
    assert!(content.layers.is_empty());

    assert!(sdp.starts_with("v=0\r\no=- 4711 3 IN IP4 127.0.0.1\r\n"));
    assert!(sdp.contains("a=group:BUNDLE 0 1 2 3\r\n"), "{sdp}");
    let first = part(&sdp, 0);
    assert!(first.starts_with("m=audio 9 UDP/TLS/RTP/SAVPF 63 111 110\r\n"));
    for line in [
        "a=setup:passive",
        "a=ice-ufrag:AAAbcdef",
        "a=candidate:1 1 udp 2130706431 127.0.0.1 3480 typ host",
        "a=candidate:2 1 udp 2130706175 ::1 3480 typ host",
        "a=end-of-candidates",
        "a=ssrc:11 cname:leg-1",
        "a=msid:mix mix-audio",
        "a=sendrecv",
    ] {
        assert!(first.contains(&format!("{line}\r\n")), "{line}: {first}");
    }
    let second = part(&sdp, 1);
    for line in [
        "m=video 9 UDP/TLS/RTP/SAVPF 106 107 96 97",
        "b=TIAS:3000000",
        "a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e028;x-google-start-bitrate=1000",
        "a=fmtp:96 x-google-start-bitrate=1000",
        "a=rtcp-fb:96 nack pli",
        "a=fmtp:97 apt=96",
        "a=rid:m recv",
        "a=simulcast:recv h;m;l",
        "a=ssrc-group:FID 21 22",
    ] {
        assert!(second.contains(&format!("{line}\r\n")), "{line}: {second}");
    }
    assert!(part(&sdp, 2).contains("a=sendonly\r\n"));
    assert!(part(&sdp, 3).contains("a=inactive\r\n"));
    assert!(part(&sdp, 4).starts_with("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"));
}

#[test]
fn the_sound_of_a_shared_screen_is_taken_while_it_is_offered() {
    let with = |attributes: &str| {
        let lines = [
            audio("0") + "a=sendrecv\n",
            video("1") + "a=sendrecv\n",
            video("2") + "a=sendrecv\n",
            audio("3") + attributes,
        ];
        answer(&offer(&lines), &local()).unwrap()
    };
    let taken = with("a=sendonly\na=ssrc:99 cname:x\na=ssrc:99 msid:s t\n");
    assert_eq!(taken.screen_ssrc, Some(99));
    assert!(part(&taken.sdp, 3).contains("a=recvonly\r\n"));
    // One sound beside the other: frames are not sent twice there.
    assert!(part(&taken.sdp, 3).starts_with("m=audio 9 UDP/TLS/RTP/SAVPF 111 110\r\n"));
    for not in [
        "a=sendonly\n",
        "a=inactive\na=ssrc:99 cname:x\n",
        "a=sendonly\na=ssrc:0 cname:x\n",
        "a=sendonly\na=ssrc:4294967296 cname:x\n",
    ] {
        let answer = with(not);
        assert_eq!(answer.screen_ssrc, None, "{not}");
        assert!(part(&answer.sdp, 3).contains("a=inactive\r\n"));
    }
}

#[test]
fn a_leg_without_video_keeps_its_lines_and_sends_nothing_on_them() {
    let local = LocalWeb {
        main: None,
        content: None,
        ..local()
    };
    let answer = answer(&browser(), &local).unwrap();
    assert_eq!((answer.main, answer.content), (None, None));
    assert!(answer.audio.is_some());
    let video = part(&answer.sdp, 1);
    assert!(video.starts_with("m=video 9 ") && video.contains("a=inactive\r\n"));
    assert!(!video.contains("a=ssrc") && !video.contains("simulcast"));
}

#[test]
fn who_begins_dtls_follows_the_offer() {
    let with = |setup: &str| answer(&browser().replace("setup:actpass", setup), &local());
    assert!(!with("setup:active").unwrap().transport.dtls_client);
    let passive = with("setup:passive").unwrap();
    assert!(passive.transport.dtls_client && passive.sdp.contains("a=setup:active\r\n"));
    assert!(matches!(
        with("setup:holdconn"),
        Err(NegotiationError::Malformed(_))
    ));
}

#[test]
fn what_is_missing_is_said() {
    let refused = |from: &str, to: &str| answer(&browser().replace(from, to), &local());
    for (from, to) in [
        ("a=ice-ufrag:bUfR", "a=x:y"),
        ("a=ice-pwd:0123456789abcdefghijkl", "a=ice-pwd:short"),
        ("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
        (PRINT, &PRINT[3..]),
    ] {
        let refusal = refused(from, to);
        assert!(
            matches!(refusal, Err(NegotiationError::Malformed(_))),
            "{from}: {refusal:?}"
        );
    }
    for (from, to) in [
        ("a=group:BUNDLE", "a=group:LS"),
        ("a=rtcp-mux\r\n", ""),
        ("UDP/TLS/RTP/SAVPF", "RTP/SAVPF"),
    ] {
        assert_eq!(
            refused(from, to),
            Err(NegotiationError::NoCommonMedia),
            "{from}"
        );
    }
}

#[test]
fn one_number_never_means_two_extensions() {
    let clash = browser().replacen(
        "a=extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        1,
    );
    let answer = answer(&clash, &local()).unwrap();
    assert_eq!(answer.transport.extensions.transport_cc, 3);
    assert_eq!(answer.transport.extensions.rid, 0);
    assert!(!answer.sdp.contains("rtp-stream-id\r\na=extmap:3"));
    // Without it layers cannot be told apart, so there are none.
    assert!(answer.main.unwrap().layers.is_empty() && !answer.sdp.contains("simulcast"));
    let long = browser().replace("a=extmap:4 ", "a=extmap:15 ");
    let answer = super::answer(&long, &local()).unwrap();
    assert_eq!(answer.transport.extensions.mid, 0, "one-byte form only");
}

#[test]
fn h264_needs_our_profile_and_a_browser_without_common_video_still_talks() {
    let plain = browser().replace(
        "packetization-mode=0;profile-level-id=42e01f",
        "packetization-mode=1;profile-level-id=42001f",
    );
    let main = answer(&plain, &local()).unwrap().main.unwrap();
    assert_eq!(
        main.payloads[0].payload_type, 106,
        "the constrained profile"
    );
    let high = browser().replace("42e01f", "640c1f");
    let main = answer(&high, &local()).unwrap().main.unwrap();
    assert_eq!(main.payloads.len(), 1);
    assert_eq!(main.payloads[0].codec, VideoCodec::Vp8 as u8);
    let only_h264 = LocalWeb {
        video_codecs: vec![VideoCodec::H264],
        ..local()
    };
    let answer = answer(&high, &only_h264).unwrap();
    assert_eq!(answer.main, None);
    assert!(answer.audio.is_some());
    assert!(part(&answer.sdp, 1).starts_with("m=video 0 "));
    assert!(answer.sdp.contains("a=group:BUNDLE 0 3\r\n"));
}

#[test]
fn no_retransmission_where_none_is_offered() {
    let plain = browser()
        .replace("rtx/90000", "flexfec-03/90000")
        .replace(" nack\r\n", " x\r\n");
    let main = answer(&plain, &local()).unwrap().main.unwrap();
    assert!(
        main.payloads
            .iter()
            .all(|p| p.rtx_payload_type == NO_PAYLOAD_TYPE)
    );
    assert!(!main.nack && main.pli);
}

#[test]
fn candidates_are_read_and_those_without_use_are_passed_over() {
    let read = |text: &str| read_candidate(text).unwrap();
    let found = read(
        "candidate:842163049 1 udp 1677729535 203.0.113.9 61000 typ srflx raddr 0.0.0.0 rport 0 generation 0",
    );
    assert_eq!(
        found,
        Some(Candidate {
            address: "203.0.113.9:61000".parse().unwrap(),
            priority: 1_677_729_535,
            kind: CandidateKind::ServerReflexive,
        })
    );
    let v6 = read("a=candidate:1 1 UDP 1 2001:db8::9 1 typ relay").unwrap();
    assert_eq!(
        (v6.address.to_string().as_str(), v6.kind as u8),
        ("[2001:db8::9]:1", 4)
    );
    for useless in [
        "",
        "candidate:",
        "candidate:1 1 udp 1 2fbd5a7e-2f7b-4a6f-8c3a-0a3b8c7d1e2f.local 61000 typ host",
        "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
        "candidate:1 2 udp 1 192.0.2.1 6000 typ host",
        "candidate:1 1 udp 1 0.0.0.0 6000 typ host",
        "candidate:1 1 udp 1 224.0.0.1 6000 typ host",
        "candidate:1 1 udp 1 192.0.2.1 0 typ host",
        "candidate:1 1 udp 1 192.0.2.1 6000 typ new",
    ] {
        assert_eq!(read(useless), None, "{useless}");
    }
    for bad in [
        "candidate:1",
        "candidate:1 x udp 1 192.0.2.1 6000 typ host",
        "candidate:1 1 udp 1 192.0.2.1 66000 typ host",
        "candidate:1 1 udp 4294967296 192.0.2.1 6000 typ host",
        "candidate:1 1 udp 1 192.0.2.1 6000 host typ",
        &"candidate:1 1 udp 1 192.0.2.1 6000 typ host ".repeat(20),
    ] {
        assert!(read_candidate(bad).is_err(), "{bad}");
    }
}

#[test]
fn candidates_of_an_offer_are_bounded() {
    let many: String = (0..100)
        .map(|n| format!("a=candidate:1 1 udp {n} 192.0.2.7 5000 typ host\n"))
        .collect();
    let answer = answer(&offer(&[audio("0") + &many]), &local()).unwrap();
    assert_eq!(answer.transport.candidates.len(), 32);
}

proptest! {
    /// Whatever is done to an offer, nothing panics, an answer has the offer's lines,
    /// and it holds no line that a stranger wrote.
    #[test]
    fn mutilated_offers_are_answered_line_by_line_or_refused(
        cuts in prop::collection::vec((0..6_000_usize, any::<u8>()), 0..8),
        end in 0..12_000_usize,
    ) {
        let mut bytes = browser().into_bytes();
        bytes.truncate(end.max(100));
        for (at, byte) in cuts {
            let len = bytes.len();
            bytes[at % len] = byte;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Ok(answer) = answer(&text, &local()) {
            let theirs = sdp_types::Session::parse(text.as_bytes()).unwrap();
            let ours = sdp_types::Session::parse(answer.sdp.as_bytes()).unwrap();
            prop_assert_eq!(theirs.medias.len(), ours.medias.len());
            for (theirs, ours) in theirs.medias.iter().zip(&ours.medias) {
                prop_assert_eq!(&theirs.media, &ours.media);
            }
            for video in answer.main.iter().chain(&answer.content) {
                prop_assert!((1..=4).contains(&video.payloads.len()));
            }
        }
    }

    #[test]
    fn any_text_is_some_candidate_or_none(text in ".{0,80}", tail in "[0-9a-z .:]{0,60}") {
        let _ = read_candidate(&text);
        let _ = read_candidate(&format!("candidate:1 1 udp {tail}"));
    }
}
