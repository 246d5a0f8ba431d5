//! A second, independent WebRTC stack meets a phone.

use std::time::Duration;

use plenum_e2e::aiortc::Aiortc;
use plenum_e2e::baresip::Baresip;
use plenum_e2e::server::Server;
use plenum_e2e::wait_until;

const OURS_HZ: f64 = 660.0;
const PHONES_HZ: f64 = 440.0;
/// What is judged, seconds.
const JUDGED: f64 = 6.0;

#[test]
fn aiortc_and_a_phone_hear_each_other() {
    let server = Server::start("aiortc", &[]);
    let https = server.ready()["https"].as_str().expect("an address");
    let call_id = server.ready()["demo_space"]["call_id"]
        .as_str()
        .expect("a call ID");
    let phone = Baresip::dial(
        server.folder(),
        "ann",
        &server.demo_uri(),
        "opus",
        PHONES_HZ,
    );
    wait_until("the phone's leg", Duration::from_secs(10), || {
        server.legs() == 1
    });
    let guest = Aiortc::join(server.folder(), "bo", https, call_id, OURS_HZ, 14);
    wait_until("both legs", Duration::from_secs(20), || server.legs() == 2);
    let (said, heard) = guest.leave(Duration::from_secs(40));
    wait_until("the guest gone", Duration::from_secs(5), || {
        server.legs() == 1
    });
    let phone_heard = phone.hang_up();
    assert!(said.contains("connected"), "{said}");

    let end = heard.seconds() - 1.0;
    assert!(end > JUDGED, "it recorded {end:.1} s: {said}");
    let judged = heard.part(end - JUDGED, end);
    let (low, own) = (
        judged.tone_range_db(PHONES_HZ).0,
        judged.tone_range_db(OURS_HZ).1,
    );
    assert!(
        low - own >= 30.0,
        "the phone's tone {low:.1} dB, its own {own:.1} dB"
    );

    // The phone stayed a little after the guest had left.
    let end = phone_heard.seconds() - 6.0;
    let judged = phone_heard.part(end - JUDGED / 2.0, end);
    let (low, own) = (
        judged.tone_range_db(OURS_HZ).0,
        judged.tone_range_db(PHONES_HZ).1,
    );
    assert!(
        low - own >= 30.0,
        "the guest's tone {low:.1} dB, its own {own:.1} dB"
    );
}
