//! A real browser and a real telephone in one meeting.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plenum_abi::VideoCodec;
use plenum_e2e::baresip::Baresip;
use plenum_e2e::chromium::Chromium;
use plenum_e2e::eye::Clip;
use plenum_e2e::phone::Phone;
use plenum_e2e::server::Server;
use plenum_e2e::wait_until;
use serde_json::Value;

/// What a page is taught before it is told to join.
const PAGE: &str = include_str!("../src/page.js");
const BROWSER_HZ: f64 = 660.0;
const PHONE_HZ: f64 = 440.0;
/// The others' tone is at least so far above one's own, dB.
const APART_DB: f64 = 25.0;

fn join(server: &Server, name: &str, hz: f64, camera: Option<&str>) -> (Chromium, Value) {
    let web = server.ready()["web"].as_str().expect("an address");
    let call_id = server.ready()["demo_space"]["call_id"].as_str();
    let call_id = call_id.expect("a meeting ID");
    let mut browser = Chromium::open_with(server.folder(), name, web, hz, camera);
    browser.run(PAGE);
    let joined = browser.run(&format!("plenum.join('{call_id}', '{name}')"));
    (browser, joined)
}

fn level(browser: &mut Chromium, hz: f64) -> f64 {
    let level = browser.run(&format!("plenum.level({hz})"));
    level.as_f64().expect("a level")
}

fn hears(browser: &mut Chromium, theirs: f64, own: f64) {
    let mut levels = (0.0, 0.0);
    wait_until(
        "the other's tone, and not its own",
        Duration::from_secs(15),
        || {
            levels = (level(browser, theirs), level(browser, own));
            levels.0 > -60.0 && levels.0 - levels.1 >= APART_DB
        },
    );
    eprintln!(
        "{theirs} Hz at {:.1} dB, own {own} Hz at {:.1} dB",
        levels.0, levels.1
    );
}

#[test]
fn a_browser_and_a_phone_hear_each_other_through_a_restart() {
    let server = Server::start("browser", &[]);
    let phone = Baresip::dial(
        server.folder(),
        "phone",
        &server.demo_uri(),
        "opus",
        PHONE_HZ,
    );
    let (mut ann, joined) = join(&server, "Ann", BROWSER_HZ, None);
    assert_eq!(joined["spaceName"], "Demonstration");
    assert_eq!(ann.run("plenum.media()"), "connected");
    wait_until("two legs", Duration::from_secs(10), || server.legs() == 2);
    hears(&mut ann, PHONE_HZ, BROWSER_HZ);
    let (_, legs) = server.rest("GET", "callLegs?filter=Ann", None);
    assert!(legs.contains("<name>Ann</name>"), "{legs}");
    let id = joined["participantId"].as_str().expect("an id");
    let (_, leg) = server.rest("GET", &format!("callLegs/{id}"), None);
    assert!(leg.contains("<type>acano</type>"), "{leg}");
    wait_until("both in the list", Duration::from_secs(5), || {
        ann.run("plenum.roster.map(p => p.kind).sort().join()") == "sip,web"
    });

    // Muted by itself; the control process dies; nothing is lost but the socket.
    ann.run("plenum.say({ type: 'mute', audio: true })");
    wait_until("the mute is confirmed", Duration::from_secs(5), || {
        ann.run("plenum.muted") == true
    });
    // What was changed is on disk after 15 ms and one commit.
    std::thread::sleep(Duration::from_millis(300));
    let before = ann.run("plenum.inbound('audio')");
    server.kill("control");
    wait_until("the socket is gone", Duration::from_secs(5), || {
        ann.run("plenum.isOpen()") == false
    });
    hears(&mut ann, PHONE_HZ, BROWSER_HZ);
    let welcome = ann.run("plenum.resume()");
    assert_eq!(welcome["resumed"], true);
    assert_eq!(welcome["audioMuted"], true, "the mute is kept");
    assert_eq!(welcome["participantId"], id, "the same participation");
    assert_eq!(server.legs(), 2);
    ann.run("plenum.say({ type: 'mute', audio: false })");
    wait_until("the mute is taken back", Duration::from_secs(5), || {
        ann.run("plenum.muted") == false
    });
    let after = ann.run("plenum.inbound('audio')");
    assert_eq!(after["ssrc"], before["ssrc"], "one stream throughout");
    assert!(after["packets"].as_u64() > before["packets"].as_u64());
    assert_eq!(ann.run("plenum.errors.length"), 0);

    std::thread::sleep(Duration::from_secs(6));
    let heard = phone.hang_up();
    let end = heard.seconds() - 1.0;
    let judged = heard.part(end - 4.0, end);
    let (theirs, own) = (
        judged.tone_range_db(BROWSER_HZ).0,
        judged.tone_range_db(PHONE_HZ).1,
    );
    eprintln!("the phone hears {BROWSER_HZ} Hz at {theirs:.1} dB, itself at {own:.1} dB");
    assert!(theirs - own >= APART_DB, "{theirs:.1} and {own:.1} dB");
    ann.run("plenum.say({ type: 'leave' })");
    wait_until("nobody left", Duration::from_secs(5), || server.legs() == 0);
}

const RED: [u8; 3] = [254, 0, 0];
const GREEN: [u8; 3] = [0, 128, 0];
const BLUE: [u8; 3] = [0, 0, 254];

/// Waits until a browser's view shows the colours that it should, and not the others.
fn sees(browser: &mut Chromium, name: &str, wanted: [bool; 3]) {
    let script = format!("plenum.view('1', {:?})", [RED, GREEN, BLUE]);
    let mut seen = Value::Null;
    let started = Instant::now();
    loop {
        seen = match browser.run(&script) {
            Value::Null => seen,
            view => view,
        };
        let right = seen["shares"].as_array().is_some_and(|shares| {
            shares.iter().zip(wanted).all(|(share, wanted)| {
                let share = share.as_f64().unwrap_or(0.0);
                if wanted { share > 0.15 } else { share < 0.002 }
            })
        });
        if right {
            eprintln!("{name} sees {seen} after {:?}", started.elapsed());
            return;
        }
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{name} sees {seen}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Two browsers and a room: each sees the other two.
#[test]
fn browsers_and_a_room_see_each_other() {
    let server = Server::start("browser-video", &[]);
    let clip = Clip::new(VideoCodec::H264, "color=red", 720, 300_000);
    let room = Phone::call_as(server.sip("udp"), &server.demo_uri(), "Room", Some(&clip));
    let mut room = room.expect("the call is answered");
    let done = AtomicBool::new(false);
    let since = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                room.talk(440.0, Duration::from_millis(200));
            }
        });
        let talk = || {
            let (mut ann, _) = join(&server, "Ann", 660.0, Some("color=green"));
            let (mut ben, _) = join(&server, "Ben", 880.0, Some("color=blue"));
            assert_eq!(ann.run("plenum.media()"), "connected");
            assert_eq!(ben.run("plenum.media()"), "connected");
            sees(&mut ann, "Ann", [true, false, true]);
            sees(&mut ben, "Ben", [true, true, false]);
            // A camera that is switched off is seen no more; on again, it is.
            ann.run("plenum.say({ type: 'mute', video: true })");
            sees(&mut ben, "Ben", [true, false, false]);
            ann.run("plenum.say({ type: 'mute', video: false })");
            sees(&mut ben, "Ben", [true, true, false]);
            let since = Instant::now();
            std::thread::sleep(Duration::from_secs(2));
            for browser in [&mut ann, &mut ben] {
                assert_eq!(browser.run("plenum.errors.length"), 0);
            }
            since
        };
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(talk));
        done.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let pictures = room.eye().decoded(server.folder(), since, (160, 90));
    let picture = &pictures.last().expect("a picture").1;
    let shares = [RED, GREEN, BLUE].map(|colour| picture.share(colour));
    eprintln!("the room sees {shares:.3?}");
    assert!(
        shares[0] < 0.002 && shares[1] > 0.15 && shares[2] > 0.15,
        "{shares:?}"
    );
}
