//! Processes are killed in the middle of SRTP calls.

use std::time::{Duration, Instant};

use plenum_e2e::phone::{Heard, Phone};
use plenum_e2e::server::Server;
use plenum_e2e::wait_until;

/// Longest time between two packets with sound.
fn longest_gap(heard: &[Heard]) -> Duration {
    let loud: Vec<Instant> = heard
        .iter()
        .filter(|packet| packet.loud)
        .map(|packet| packet.at)
        .collect();
    assert!(loud.len() > 100, "only {} packets with sound", loud.len());
    loud.windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap_or_default()
}

/// One stream: the same SSRC throughout, sequence numbers and timestamps that go on.
fn assert_one_stream(heard: &[Heard]) {
    for pair in heard.windows(2) {
        assert_eq!(pair[0].ssrc, pair[1].ssrc, "the SSRC changed");
        let step = pair[1].sequence.wrapping_sub(pair[0].sequence);
        assert!(
            (1..200).contains(&step),
            "sequence number {} after {}",
            pair[1].sequence,
            pair[0].sequence
        );
        let ticks = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        let real = (pair[1].at - pair[0].at).as_secs_f64() * 8_000.0;
        assert!(
            (f64::from(ticks) - real).abs() < 8_000.0 * 0.25,
            "the media clock went on by {ticks}, real time by {real:.0}"
        );
    }
}

fn three_phones(server: &Server) -> Vec<Phone> {
    let phones: Vec<Phone> = (0..3)
        .map(|_| Phone::call(server.sip("udp"), &server.demo_uri()).expect("the space answers"))
        .collect();
    wait_until("three legs", Duration::from_secs(5), || server.legs() == 3);
    phones
}

fn talk(phones: &mut [Phone], span: Duration) {
    let mut together: Vec<(&mut Phone, f64)> =
        phones.iter_mut().zip([440.0, 660.0, 880.0]).collect();
    Phone::talk_together(&mut together, span);
}

#[test]
fn a_killed_dataplane_is_back_within_a_second_with_the_same_streams() {
    let server = Server::start("kill-dataplane", &[("PLENUM_MEDIA_ENCRYPTION", "required")]);
    let mut phones = three_phones(&server);
    talk(&mut phones, Duration::from_secs(3));
    let died = server.kill("dataplane");
    talk(&mut phones, Duration::from_secs(4));
    assert_ne!(server.process("dataplane"), died);
    // A second death, to see that what was rebuilt can be rebuilt.
    let died = server.kill("dataplane");
    talk(&mut phones, Duration::from_secs(3));
    assert_ne!(server.process("dataplane"), died);

    for (index, phone) in phones.iter_mut().enumerate() {
        let gap = longest_gap(&phone.heard);
        eprintln!(
            "phone {index}: longest gap {gap:?}, {} packets, {} refused",
            phone.heard.len(),
            phone.refused
        );
        assert!(
            gap < Duration::from_secs(1),
            "phone {index} heard nothing for {gap:?}"
        );
        assert!(
            gap > Duration::from_millis(5),
            "the kill was not noticed at all"
        );
        assert_eq!(phone.refused, 0, "phone {index} refused packets");
        assert_one_stream(&phone.heard);
        assert!(!phone.ended, "no SIP message was needed");
        assert_eq!(phone.hang_up(), Some(200));
    }
    wait_until("no leg left", Duration::from_secs(5), || server.legs() == 0);
}

#[test]
fn a_killed_control_plane_is_not_heard_and_finds_its_calls_again() {
    let server = Server::start("kill-control", &[("PLENUM_MEDIA_ENCRYPTION", "required")]);
    let mut phones = three_phones(&server);
    talk(&mut phones, Duration::from_secs(2));
    let (_, before) = server.rest("GET", "callLegs", None);
    let died = server.kill("control");
    talk(&mut phones, Duration::from_secs(4));
    assert_ne!(server.process("control"), died);
    wait_until(
        "three legs are listed again",
        Duration::from_secs(5),
        || server.legs() == 3,
    );
    let (_, after) = server.rest("GET", "callLegs", None);
    assert_eq!(ids(&before), ids(&after), "the legs are listed as before");

    for (index, phone) in phones.iter().enumerate() {
        let gap = longest_gap(&phone.heard);
        eprintln!("phone {index}: longest gap {gap:?}");
        assert!(
            gap < Duration::from_millis(100),
            "phone {index} heard nothing for {gap:?}"
        );
        assert_eq!(phone.refused, 0);
        assert_one_stream(&phone.heard);
    }
    // BYE from the phone's side, then from ours.
    assert_eq!(phones[0].hang_up(), Some(200));
    wait_until("two legs", Duration::from_secs(5), || server.legs() == 2);
    let (_, listed) = server.rest("GET", "callLegs", None);
    for id in ids(&listed) {
        assert_eq!(
            server.rest("DELETE", &format!("callLegs/{id}"), None).0,
            200
        );
    }
    for phone in &mut phones[1..] {
        phone.wait(Duration::from_secs(1));
        assert!(phone.ended, "a BYE came");
    }
    wait_until("no leg left", Duration::from_secs(5), || server.legs() == 0);
}

/// The ids of the listed legs, sorted.
fn ids(body: &str) -> Vec<String> {
    let mut ids: Vec<String> = body
        .split("<callLeg id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect();
    ids.sort();
    ids
}
