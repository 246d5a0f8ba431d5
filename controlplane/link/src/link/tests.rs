use std::os::fd::AsFd;
use std::time::Duration;

use plenum_abi::{COMMAND_RING_SLOTS, EventKind, Layout, SetLeg, SlotRef, SlotState};
use plenum_ring::CommandConsumer;

use super::*;

const LAYOUT: Layout = Layout {
    workers: 2,
    legs_per_worker: 4,
    conferences_per_worker: 4,
    video_streams_per_worker: 0,
};

struct Dataplane {
    arena: Arena,
    bell: Doorbell,
    /// Kept open: the link rings them.
    _worker_bells: Vec<Doorbell>,
}

fn copy(fd: impl AsFd) -> OwnedFd {
    fd.as_fd().try_clone_to_owned().unwrap()
}

fn connected() -> (Link, Dataplane) {
    let arena = Arena::create(LAYOUT).unwrap();
    let bell = Doorbell::new().unwrap();
    let worker_bells: Vec<Doorbell> = (0..2).map(|_| Doorbell::new().unwrap()).collect();
    let link = Link::attach(
        copy(&arena),
        copy(&bell),
        worker_bells.iter().map(copy).collect(),
    )
    .unwrap();
    let dataplane = Dataplane {
        arena,
        bell,
        _worker_bells: worker_bells,
    };
    (link, dataplane)
}

fn drain(commands: &mut CommandConsumer) -> usize {
    std::iter::from_fn(|| commands.pop()).count()
}

#[tokio::test]
async fn an_event_wakes_the_sleeper_and_none_is_missed() {
    let (mut link, dataplane) = connected();
    let mut producer = dataplane.arena.worker(1).event_producer();
    let bell = Doorbell::from_fd(copy(&dataplane.bell));
    let worker = tokio::task::spawn_blocking(move || {
        for value in 0..1_000 {
            let event = Event {
                kind: EventKind::Barrier as u32,
                value,
                ..Event::default()
            };
            producer.push(&event).unwrap();
            producer.wake(&bell);
            if value % 100 == 0 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let mut events = Vec::new();
    while events.len() < 1_000 {
        tokio::time::timeout(Duration::from_secs(5), link.ready())
            .await
            .expect("woken")
            .unwrap();
        link.take_events(&mut events);
    }
    worker.await.unwrap();
    assert!((0..).zip(&events).all(|(value, event)| *event
        == (
            1,
            Event {
                kind: EventKind::Barrier as u32,
                value,
                ..Event::default()
            }
        )));
    // Nothing more: it sleeps.
    let more = tokio::time::timeout(Duration::from_millis(50), link.ready()).await;
    assert!(more.is_err());
}

#[tokio::test]
async fn a_full_ring_makes_commands_wait_and_the_last_word_counts() {
    let (mut link, dataplane) = connected();
    let mut commands = dataplane.arena.worker(0).command_consumer();
    let set = |slot, revision| {
        let mut payload = SetLeg {
            slot,
            ..SetLeg::default()
        };
        payload.config.revision = revision;
        payload
    };
    // The worker is away; two legs change for ever.
    for revision in 1..=10_000 {
        for slot in 0..2 {
            link.send(0, CommandKind::SetLeg, &set(slot, revision))
                .unwrap();
        }
    }
    assert!(link.has_backlog());
    assert_eq!(drain(&mut commands), COMMAND_RING_SLOTS as usize);
    link.flush();
    assert!(!link.has_backlog());
    let last: Vec<SetLeg> = std::iter::from_fn(|| commands.pop())
        .map(|command| command.payload())
        .collect();
    assert_eq!(last, [set(0, 10_000), set(1, 10_000)]);
    // What cannot be replaced is bounded.
    let mut sent = 0;
    while link
        .send(0, CommandKind::Barrier, &SlotRef::default())
        .is_ok()
    {
        sent += 1;
    }
    assert_eq!(sent, COMMAND_RING_SLOTS as usize + 12 + 1_024);
}

#[tokio::test]
async fn what_runs_is_found_and_the_rest_is_not() {
    let (link, dataplane) = connected();
    let view = dataplane.arena.worker(1);
    let record = view.leg(2).unwrap();
    let config = LegConfig {
        generation: 6,
        revision: 3,
        ..LegConfig::default()
    };
    record.config.store(&config);
    record.generation.store(6, Ordering::Release);
    assert!(link.live_legs().is_empty(), "not live yet");
    record
        .state
        .store(SlotState::Live as u32, Ordering::Release);
    record.stats.rx_packets.store(50, Ordering::Relaxed);
    let slot = Slot {
        worker: 1,
        slot: 2,
        generation: 6,
    };
    let live = link.live_legs();
    assert_eq!(live.len(), 1);
    assert_eq!((live[0].slot, live[0].config), (slot, config));
    assert_eq!(link.live_leg(slot), Some(config));
    assert_eq!(link.counters(slot).unwrap().rx_packets, 50);
    let late = Slot {
        generation: 5,
        ..slot
    };
    assert!(link.live_leg(late).is_none() && link.counters(late).is_none());

    let room = view.conference(0).unwrap();
    let room_config = ConferenceConfig {
        generation: 2,
        ..ConferenceConfig::default()
    };
    room.config.store(&room_config);
    room.generation.store(2, Ordering::Release);
    room.state.store(SlotState::Live as u32, Ordering::Release);
    assert_eq!(link.live_conferences().len(), 1);

    // New tenants go on from there.
    let mut slots = link.slots();
    assert!(slots.adopt_leg(slot));
    let taken: Vec<u32> = std::iter::from_fn(|| slots.take_leg(1, Nanos::ZERO))
        .map(|slot| slot.slot)
        .collect();
    assert_eq!(taken, [0, 1, 3]);
    assert_eq!(slots.take_conference(Nanos::ZERO).unwrap().generation, 1);
}

#[tokio::test]
async fn starts_are_counted() {
    let (link, _dataplane) = connected();
    assert_eq!((link.begin_epoch(), link.begin_epoch()), (1, 2));
}
