//! Pictures as large and as fast as both ends take.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plenum_abi::VideoCodec;
use plenum_e2e::between;
use plenum_e2e::chromium::Chromium;
use plenum_e2e::eye::{Clip, pictures_of, source, ssim};
use plenum_e2e::phone::Phone;
use plenum_e2e::server::Server;
use serde_json::Value;

const FULL_HD: (usize, usize) = (1_920, 1_080);
/// A colour that ffmpeg's moving test picture does not have.
const PURPLE: [u8; 3] = [128, 0, 128];

/// What a page's camera is asked for.
const CAMERA: &str = "{ width: 640, height: 360 }";
const FAST_CAMERA: &str = "{ width: 640, height: 360, frameRate: 60 }";

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn room(server: &Server, name: &str, clip: &Clip) -> Phone {
    let joined = Phone::call_as(server.sip("udp"), &server.demo_uri(), name, Some(clip));
    joined.expect("the call is answered")
}

/// All are there for a while, and say that nothing of what they are sent is lost.
fn go_on(phones: &mut [Phone], span: f64) {
    let until = Instant::now() + seconds(span);
    while Instant::now() < until {
        let mut all: Vec<_> = phones.iter_mut().map(|phone| (phone, 0.0)).collect();
        Phone::talk_together(&mut all, seconds(0.2));
        phones
            .iter_mut()
            .for_each(|phone| phone.eye().report_loss(0));
    }
}

/// Does something while all are there.
fn meanwhile<T>(phones: &mut [Phone], act: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                go_on(phones, 0.2);
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act));
        done.store(true, Ordering::Relaxed);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn page(server: &Server, name: &str, film: Option<&str>, camera: &str) -> Chromium {
    let film = film.map(|filter| (filter, 360));
    let (mut browser, _) = Chromium::join(server, name, 660.0, film);
    assert_eq!(
        browser.run(&format!("plenum.media(null, null, {camera})")),
        "connected"
    );
    browser
}

/// 1080p at 4 Mbit/s and back, encoded twice on its way; then in a pane of it.
#[test]
fn a_room_that_takes_1080p_sees_another_at_1080p() {
    const SOURCE: &str = "testsrc2";
    let server = Server::start("large-room", &[]);
    let clip = |filter: &str, lines, rate| Clip::new(VideoCodec::H264, filter, lines, rate);
    let mut phones = vec![
        room(&server, "Source", &clip(SOURCE, 1_080, 4_000_000)),
        room(&server, "Viewer", &clip("color=gray", 1_080, 100_000)),
    ];
    go_on(&mut phones, 10.0);
    let since = Instant::now();
    go_on(&mut phones, 1.0);
    let eye = phones[1].eye();
    let (_, frame_rate_hz) = eye.flow_since(since);
    assert_eq!(eye.sizes(server.folder(), since)[0], (1_920, 1_080));
    let pictures = eye.decoded(server.folder(), since, FULL_HD);
    let wanted = pictures_of(&source(SOURCE, 1_080), 60, FULL_HD);
    let likeness = |picture| {
        let all = wanted.iter().map(|wanted| ssim(picture, wanted));
        all.fold(0.0, f64::max)
    };
    let picked = pictures.iter().step_by(10).take(3);
    let all: Vec<f64> = picked.map(|(_, picture)| likeness(picture)).collect();
    eprintln!("SSIM {all:.3?} at 1080p, {frame_rate_hz:.1} pictures/s");
    assert!(
        all.len() == 3 && all.iter().all(|ssim| *ssim >= 0.95),
        "{all:.3?}"
    );
    assert!(frame_rate_hz > 25.0, "{frame_rate_hz:.1} pictures a second");

    // A small source in a pane of its own: the right half, and all of it as large as before.
    phones.push(room(&server, "Purple", &clip("color=purple", 360, 100_000)));
    go_on(&mut phones, 4.0);
    let since = Instant::now() - seconds(0.3);
    let eye = phones[1].eye();
    assert_eq!(eye.sizes(server.folder(), since)[0], (1_920, 1_080));
    let pictures = eye.decoded(server.folder(), since, (640, 360));
    let picture = &pictures.last().expect("a picture").1;
    let (share, centre) = (picture.share(PURPLE), picture.centre(PURPLE));
    eprintln!("purple on {share:.3} of the picture, about {centre:.2?}");
    let (x, y) = centre.expect("it is there");
    assert!((0.2..0.26).contains(&share) && (0.7..0.8).contains(&x) && (0.4..0.6).contains(&y));
}

/// A page of text of 1080p is on another browser's line at that size, legible, and as
/// large in the picture of a room that takes 1080p.
#[test]
fn a_shared_screen_of_1080p_keeps_its_size() {
    let server = Server::start("large-share", &[]);
    let clip = Clip::new(VideoCodec::H264, "color=gray", 1_080, 100_000);
    let mut phones = [room(&server, "Room", &clip)];
    let since = meanwhile(&mut phones, || {
        let mut ann = page(&server, "Ann", Some("color=green"), CAMERA);
        let mut ben = page(&server, "Ben", Some("color=blue"), CAMERA);
        assert_eq!(ann.run("plenum.share(1920, 1080)"), true);
        let shared = Instant::now();
        let mut likeness = Value::Null;
        let sharp = |likeness: &Value| {
            let ssim = likeness["ssim"].as_f64();
            likeness["width"] == 1_920 && ssim.is_some_and(|ssim| ssim > 0.95)
        };
        while shared.elapsed() < seconds(20.0) && !sharp(&likeness) {
            std::thread::sleep(seconds(0.1));
            likeness = ben.run("plenum.likeness(1920, 1080)");
        }
        eprintln!("Ben sees {likeness} after {:?}", shared.elapsed());
        assert!(sharp(&likeness), "{likeness}");
        assert_eq!(likeness["height"], 1_080);
        std::thread::sleep(seconds(10.0).saturating_sub(shared.elapsed()));
        shared
    });
    // A machine that does not keep up goes down to 720p again, so that it is not the last
    // picture that counts.
    let eye = phones[0].eye();
    let sizes = eye.sizes(server.folder(), since);
    let pictures = eye.decoded(server.folder(), since, (640, 360));
    let all = sizes.iter().zip(&pictures);
    let large = all.filter(|(size, _)| **size == (1_920, 1_080));
    let shares = large.map(|(_, (_, picture))| picture.share([200, 0, 200]));
    let most = shares.clone().fold(0.0, f64::max);
    let count = shares.count();
    eprintln!(
        "the room sees the page on {most:.2} of its picture; {count} of {} are of 1080p",
        sizes.len()
    );
    assert!(count > 15 && most > 0.3, "{most} {count}");
}

/// A browser with a camera of 60 pictures a second is seen with as many by a room whose
/// level takes them, and with 30 by one whose level does not.
#[test]
fn sixty_pictures_a_second_go_from_end_to_end() {
    let server = Server::start("large-fast", &[]);
    let clip = |lines| Clip::new(VideoCodec::H264, "color=gray", lines, 100_000);
    let mut phones = [
        room(&server, "Fast", &clip(720)),
        room(&server, "Slow", &clip(360)),
    ];
    for name in ["Fast", "Slow"] {
        let (_, shown) = server.rest("GET", &format!("callLegs?filter={name}"), None);
        let leg = between(&shown, "callLeg id=\"", "\"");
        let form = Some("chosenLayout=speakerOnly");
        let (code, body) = server.rest("PUT", &format!("callLegs/{leg}"), form);
        assert_eq!(code, 200, "{body}");
    }
    let sent = meanwhile(&mut phones, || {
        let _ann = page(&server, "Ann", None, FAST_CAMERA);
        // Until views are no larger than what is in them now, and bits are left for motion.
        std::thread::sleep(seconds(16.0));
        let (_, shown) = server.rest("GET", "callLegs?filter=Ann", None);
        let leg = between(&shown, "callLeg id=\"", "\"");
        let (_, leg) = server.rest("GET", &format!("callLegs/{leg}"), None);
        let rate = between(&leg, "<frameRate>", "</frameRate>");
        rate.parse::<f64>().expect("a number")
    });
    let rates = phones.each_mut().map(|phone| phone.eye().best_second());
    eprintln!("Ann sends {sent:.1} pictures/s; seen, in the best second: {rates:?}");
    assert!(sent > 45.0, "the camera gives {sent:.1} pictures a second");
    assert!(rates[0] > 40, "{rates:?}");
    assert!((25..=34).contains(&rates[1]), "{rates:?}");
}
