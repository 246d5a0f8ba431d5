//! Three real softphones talk in a space.

use std::time::Duration;

use plenum_e2e::baresip::Baresip;
use plenum_e2e::server::Server;
use plenum_e2e::wait_until;

/// Each phone's codec and tone.
const PHONES: [(&str, &str, f64); 3] = [
    ("ann", "PCMU", 440.0),
    ("bob", "G722", 660.0),
    ("cid", "opus", 880.0),
];
/// What is judged, seconds.
const JUDGED: f64 = 20.0;
/// A tone that should be there may lose at most so much sound at a time.
const GAP_MS_MAX: usize = 40;
/// Own and others' tones are at least so far apart.
const APART_DB: f64 = 30.0;

#[test]
fn each_hears_the_other_two_and_not_itself() {
    let server = Server::start("three-phones", &[("PLENUM_MEDIA_ENCRYPTION", "required")]);
    let phones: Vec<Baresip> = PHONES
        .iter()
        .map(|(name, codec, hz)| {
            Baresip::dial(server.folder(), name, &server.demo_uri(), codec, *hz)
        })
        .collect();
    wait_until("three legs", Duration::from_secs(10), || server.legs() == 3);
    // Two seconds to settle, one more than is judged so that hanging up is not heard.
    std::thread::sleep(Duration::from_secs_f64(JUDGED + 3.0));
    let (_, legs) = server.rest("GET", "callLegs", None);
    assert_eq!(server.legs(), 3, "somebody left: {legs}");

    // All at once, or the first to leave would be a gap in what the others hear.
    let recordings: Vec<_> = {
        let ended: Vec<_> = phones
            .into_iter()
            .map(|phone| std::thread::spawn(move || phone.hang_up()))
            .collect();
        ended
            .into_iter()
            .map(|thread| thread.join().expect("a recording"))
            .collect()
    };
    for ((name, codec, own), recording) in PHONES.iter().zip(&recordings) {
        let end = recording.seconds() - 0.5;
        assert!(
            end > JUDGED + 1.0,
            "{name} recorded only {:.1} s",
            recording.seconds()
        );
        let judged = recording.part(end - JUDGED, end);
        let own_high = judged.tone_range_db(*own).1;
        for (other, _, hz) in PHONES.iter().filter(|(other, ..)| other != name) {
            let (low, _) = judged.tone_range_db(*hz);
            let gap = judged.longest_gap_ms(*hz);
            eprintln!(
                "{name} ({codec}): {other}'s {hz} Hz at {low:.1} dB, own at {own_high:.1} dB, longest gap {gap} ms"
            );
            assert!(
                low - own_high >= APART_DB,
                "{name}: {hz} Hz {low:.1} dB, own {own_high:.1} dB"
            );
            assert!(
                gap <= GAP_MS_MAX,
                "{name}: {gap} ms without {other}'s {hz} Hz"
            );
        }
    }
    wait_until("no leg left", Duration::from_secs(5), || server.legs() == 0);
}
