//! What is sent follows what the far end says: what it can take, and what it lacks.

use std::time::{Duration, Instant};

use plenum_abi::VideoCodec;
use plenum_e2e::between;
use plenum_e2e::eye::Clip;
use plenum_e2e::phone::Phone;
use plenum_e2e::server::Server;

/// What a viewer gets.
#[derive(Clone, Copy, Debug)]
struct Flow {
    bit_rate_bps: f64,
    frame_rate_hz: f64,
    /// Rows of a picture.
    rows: usize,
}

struct Meeting {
    server: Server,
    /// Who shows something, and who looks at it.
    phones: [Phone; 2],
}

impl Meeting {
    /// 720p in, and as much out until somebody objects.
    fn begin(name: &str, codec: VideoCodec) -> Self {
        let server = Server::start(name, &[]);
        let join = |name: &str, filter: &str| {
            let clip = Clip::new(codec, filter, 720, 1_500_000);
            let phone = Phone::call_as(server.sip("udp"), &server.demo_uri(), name, Some(&clip));
            phone.expect("the call is answered")
        };
        let phones = [join("Source", "testsrc2"), join("Viewer", "color=gray")];
        Self { server, phones }
    }

    fn go_on(&mut self, seconds: f64) {
        let mut all: Vec<_> = self.phones.iter_mut().map(|phone| (phone, 0.0)).collect();
        Phone::talk_together(&mut all, Duration::from_secs_f64(seconds));
    }

    /// What the viewer gets, a while from now.
    fn flow_after(&mut self, seconds: f64) -> Flow {
        self.go_on(seconds);
        let since = Instant::now();
        self.go_on(2.0);
        let (bit_rate_bps, frame_rate_hz) = self.phones[1].eye().flow_since(since);
        let (_, shown) = self.server.rest("GET", "callLegs?filter=Viewer", None);
        let leg = between(&shown, "callLeg id=\"", "\"");
        let (_, leg) = self.server.rest("GET", &format!("callLegs/{leg}"), None);
        let sent = between(&leg, "<txVideo role=\"main\">", "</txVideo>");
        let flow = Flow {
            bit_rate_bps,
            frame_rate_hz,
            rows: between(sent, "<height>", "</height>")
                .parse()
                .expect("a number"),
        };
        eprintln!("{flow:.0?}");
        flow
    }
}

/// TMMBR bounds the rate; size and frame rate give way before the picture breaks, and
/// come back.
#[test]
fn a_far_end_that_asks_for_less_gets_a_smaller_picture() {
    for codec in [VideoCodec::H264, VideoCodec::Vp8] {
        let mut meeting = Meeting::begin(&format!("video-tmmbr-{codec:?}"), codec);
        let whole = meeting.flow_after(4.0);
        assert_eq!(whole.rows, 720, "{whole:?}");
        assert!(whole.frame_rate_hz > 25.0, "{whole:?}");

        meeting.phones[1].eye().ask_for_rate(500_000);
        let less = meeting.flow_after(2.0);
        assert_eq!(meeting.phones[1].eye().confirmed_bps(), Some(500_000));
        assert_eq!(less.rows, 360, "{less:?}");
        assert!(less.bit_rate_bps < 550_000.0, "{less:?}");
        assert!(less.frame_rate_hz > 25.0, "motion goes last: {less:?}");

        meeting.phones[1].eye().ask_for_rate(90_000);
        let least = meeting.flow_after(3.0);
        assert!(least.rows <= 180, "{least:?}");
        assert!(least.bit_rate_bps < 110_000.0, "{least:?}");
        assert!((10.0..17.0).contains(&least.frame_rate_hz), "{least:?}");

        meeting.phones[1].eye().ask_for_rate(10_000_000);
        let again = meeting.flow_after(4.0);
        assert_eq!(again.rows, 720, "{again:?}");
        assert!(again.frame_rate_hz > 25.0, "{again:?}");
    }
}

/// Receiver reports of loss take the rate down, and the size with it.
#[test]
fn a_far_end_that_loses_much_is_sent_less() {
    let mut meeting = Meeting::begin("video-loss", VideoCodec::H264);
    let whole = meeting.flow_after(4.0);
    assert_eq!(whole.rows, 720, "{whole:?}");
    // A quarter is lost: each report takes an eighth away.
    for _ in 0..10 {
        meeting.phones[1].eye().report_loss(64);
        meeting.go_on(0.5);
    }
    let less = meeting.flow_after(1.0);
    assert!(less.rows <= 360, "{less:?}");
    assert!(less.bit_rate_bps < 450_000.0, "{less:?}");
    assert!(less.frame_rate_hz > 25.0, "{less:?}");
    // 8 % a second, once nothing is lost any more.
    for _ in 0..8 {
        meeting.phones[1].eye().report_loss(0);
        meeting.go_on(1.0);
    }
    let more = meeting.flow_after(0.0);
    assert!(
        more.bit_rate_bps > less.bit_rate_bps * 1.2,
        "{less:?}, then {more:?}"
    );
}

/// Where no RTCP feedback was agreed on, key frames are asked for by SIP INFO (RFC
/// 5168), both ways, and no more often than once a second.
#[test]
fn key_frames_are_asked_for_by_info_where_feedback_is_unknown() {
    const WANTED: &str = "<?xml version=\"1.0\"?><media_control><vc_primitive><to_encoder>\
                          <picture_fast_update/></to_encoder></vc_primitive></media_control>";
    let server = Server::start("video-info", &[]);
    let join = |name: &str, filter: &str| {
        let mut clip = Clip::new(VideoCodec::H264, filter, 360, 300_000);
        clip.feedback = false;
        let phone = Phone::call_as(server.sip("udp"), &server.demo_uri(), name, Some(&clip));
        phone.expect("the call is answered")
    };
    let mut phones = [join("Source", "testsrc2"), join("Viewer", "color=gray")];
    let go_on = |phones: &mut [Phone; 2], seconds: f64| {
        let mut all: Vec<_> = phones.iter_mut().map(|phone| (phone, 0.0)).collect();
        Phone::talk_together(&mut all, Duration::from_secs_f64(seconds));
    };
    go_on(&mut phones, 4.0);
    phones[0].informed.clear();
    for _ in 0..4 {
        phones[0].eye().losing = 2;
        go_on(&mut phones, 0.15);
    }
    let asked = &phones[0].informed;
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("<picture_fast_update/>"), "{asked:?}");
    assert_eq!(phones[0].eye().key_frames_asked, 0, "it knows no feedback");

    go_on(&mut phones, 2.0);
    let key_frames = |phones: &mut [Phone; 2], since: Instant| {
        let seen = phones[1].eye().seen.iter();
        seen.filter(|seen| seen.at >= since && seen.key_frame)
            .count()
    };
    let rest = Instant::now();
    go_on(&mut phones, 1.0);
    assert_eq!(key_frames(&mut phones, rest), 0, "nobody asked");
    let asked = Instant::now();
    for _ in 0..8 {
        let answer = phones[1].inform("application/media_control+xml", WANTED);
        assert_eq!(answer, Some(200));
    }
    go_on(&mut phones, 0.8);
    assert_eq!(key_frames(&mut phones, asked), 1);
}
