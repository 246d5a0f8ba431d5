//! The web app as people use it, on a real server: browsers of two makers and a
//! telephone with a camera in one meeting.
//!
//! What happens in the pages is told by the app's own tests
//! (`controlplane/webapp/app/test/real`); this is the server, the telephone, and
//! what the cameras and microphones have.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use plenum_e2e::baresip::{Baresip, Camera};
use plenum_e2e::server::Server;
use plenum_e2e::tone::write_tone;
use plenum_e2e::{eye, wait_until};

const PHONE_HZ: f64 = 440.0;
/// Who is at a browser: name, picture, voice.
const PEOPLE: [(&str, &str, f64); 2] = [("ANN", "color=red", 660.0), ("BOB", "color=green", 880.0)];

/// The web app's own tests against this server; what they print is shown.
fn in_browsers(server: &Server, file: &str, people: &[(&str, &str, f64)]) {
    let app = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../controlplane/webapp/app");
    let web = server.ready()["web"].as_str().expect("an address");
    let call_id = server.ready()["demo_space"]["call_id"].as_str();
    let mut tests = Command::new("node_modules/.bin/vitest");
    tests
        .current_dir(app)
        .args(["run", "--project", "real", file])
        .env("PLENUM_URL", web.trim_end_matches('/'))
        .env("PLENUM_CALL_ID", call_id.expect("a meeting ID"));
    for &(name, picture, hz) in people {
        let folder = server.folder().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let voice = folder.join("says.wav");
        write_tone(&voice, hz, 30);
        let camera = eye::film(&folder.join("shows.mjpeg"), picture, 360);
        tests
            .env(format!("PLENUM_CAMERA_{name}"), camera)
            .env(format!("PLENUM_VOICE_{name}"), voice);
    }
    let status = tests.status();
    assert!(
        status
            .expect("scripts/webapp.sh build fetches it")
            .success(),
        "the web app's tests failed, see above; the server's log is in {}",
        server.folder().display()
    );
}

fn phone(server: &Server) -> Baresip {
    let camera = Camera {
        codec: "VP8",
        filter: "color=blue",
    };
    Baresip::dial_with(
        server.folder(),
        "phone",
        &server.demo_uri(),
        "opus",
        PHONE_HZ,
        Some(camera),
    )
}

#[test]
fn two_browsers_and_a_telephone_meet_in_the_app() {
    let server = Server::start("webapp", &[]);
    let phone = phone(&server);
    in_browsers(&server, "meeting", &PEOPLE);
    wait_until("the browsers have left", Duration::from_secs(5), || {
        server.legs() == 1
    });
    let heard = phone.hang_up();
    for (name, _, hz) in PEOPLE {
        let (_, loudest) = heard.tone_range_db(hz);
        assert!(loudest > -40.0, "{name} at {loudest:.1} dB at most");
    }
}

#[test]
fn firefox_joins_by_the_app() {
    let server = Server::start("webapp-firefox", &[]);
    let _phone = phone(&server);
    in_browsers(&server, "firefox", &[]);
}
