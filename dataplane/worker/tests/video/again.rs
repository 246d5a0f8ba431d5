//! Packets that the far end misses.

use plenum_rtp::video::rtx;

use super::*;

#[test]
fn what_the_far_end_misses_is_sent_again_within_its_share() {
    let mut estate = Estate::new();
    let mut worker = estate.worker();
    let mut module = estate.start_module();
    let mut rooms = [Room::new(&estate, 0)];
    estate.open_room();
    rooms[0].join(&estate);
    turn(&mut worker, &mut rooms, A_WHILE);
    let stream = rooms[0].stream();
    module.show(&[stream], true, 3_000, &frame(true, 7, 20_000));
    turn(&mut worker, &mut rooms, A_WHILE);
    let first = rooms[0].headers[0].sequence;
    let again = |view: &WorkerView| {
        let stats = &view.video_stream(0).unwrap().stats;
        stats.tx_retransmitted.load(Ordering::Relaxed)
    };

    // Nothing is sent again to who does not know RFC 4588.
    rooms[0].ask_again(&[first, first + 2, first.wrapping_sub(1)]);
    turn(&mut worker, &mut rooms, A_WHILE);
    assert_eq!(again(&estate.view()), 0);

    // Under an SSRC of their own: the original's number, then its payload.
    rooms[0].show_with(&estate, 2, RTX);
    turn(&mut worker, &mut rooms, A_WHILE);
    module.show(&[stream], true, 6_000, &frame(true, 9, 20_000));
    turn(&mut worker, &mut rooms, A_WHILE);
    let count = rooms[0].headers.len();
    let wanted = [count - 3, count - 1].map(|at| rooms[0].headers[at]);
    rooms[0].ask_again(&wanted.map(|header| header.sequence));
    turn(&mut worker, &mut rooms, A_WHILE);
    let repaired = std::mem::take(&mut rooms[0].repaired);
    assert_eq!((repaired.len(), again(&estate.view())), (2, 2));
    for ((header, payload), (original, at)) in repaired
        .iter()
        .zip(wanted.iter().zip([count - 3, count - 1]))
    {
        assert_eq!(header.ssrc, 0x0dd1_0000);
        assert_eq!(
            (header.timestamp, header.marker),
            (original.timestamp, original.marker)
        );
        let (sequence, rest) = rtx::original(payload).unwrap();
        assert_eq!(
            (sequence, rest),
            (original.sequence, &rooms[0].payloads[at][..])
        );
    }
    let step = repaired[1].0.sequence.wrapping_sub(repaired[0].0.sequence);
    assert_eq!(step, 1, "numbers of its own");

    // Who asks for everything all the time gets half of the rate.
    let rate = 1_500_000 / 8 / 2;
    let all: Vec<u16> = rooms[0]
        .headers
        .iter()
        .rev()
        .take(15)
        .map(|h| h.sequence)
        .collect();
    for _ in 0..20 {
        rooms[0].ask_again(&all);
        turn(&mut worker, &mut rooms, Duration::from_millis(50));
    }
    let bytes: usize = rooms[0]
        .repaired
        .iter()
        .map(|(_, payload)| payload.len())
        .sum();
    assert!((rate / 2..rate * 2).contains(&bytes), "{bytes} of {rate}");
}
