//! Phones over TCP, TLS and IPv6 meet in one space.

use std::time::Duration;

use plenum_e2e::baresip::Baresip;
use plenum_e2e::server::Server;
use plenum_e2e::wait_until;

/// Each phone's tone.
const TONES: [(&str, f64); 3] = [("tcp", 440.0), ("tls", 660.0), ("six", 880.0)];

#[test]
fn tcp_tls_and_ipv6_meet() {
    // One port for both families, or the ready line could not say where IPv6 is.
    let server = Server::start(
        "transports",
        &[
            ("PLENUM_LISTEN", "127.0.0.1,::1"),
            ("PLENUM_SIP_UDP_PORT", "15260"),
        ],
    );
    let uris = [
        format!("sip:demo@{};transport=tcp", server.sip("tcp")),
        format!("sip:demo@{};transport=tls", server.sip("tls")),
        "sip:demo@[::1]:15260".to_owned(),
    ];
    let phones: Vec<Baresip> = TONES
        .iter()
        .zip(&uris)
        .map(|((name, hz), uri)| Baresip::dial(server.folder(), name, uri, "PCMU", *hz))
        .collect();
    wait_until("three legs", Duration::from_secs(10), || server.legs() == 3);
    std::thread::sleep(Duration::from_secs(6));
    let ended: Vec<_> = phones
        .into_iter()
        .map(|phone| std::thread::spawn(move || phone.hang_up()))
        .collect();
    for ((name, own), thread) in TONES.iter().zip(ended) {
        let recording = thread.join().expect("a recording");
        let end = recording.seconds() - 0.5;
        let judged = recording.part(end - 4.0, end);
        let own_high = judged.tone_range_db(*own).1;
        for (_, hz) in TONES.iter().filter(|(other, _)| other != name) {
            let (low, _) = judged.tone_range_db(*hz);
            assert!(
                low - own_high >= 30.0,
                "{name}: {hz} Hz at {low:.1} dB, own at {own_high:.1} dB"
            );
        }
    }
    wait_until("no leg left", Duration::from_secs(5), || server.legs() == 0);
}
