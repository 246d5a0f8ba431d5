use std::time::Duration;

use plenum_abi::{DownKind, ModuleConference, ModuleLayout, Nanos, Text, ViewPolicy};
use plenum_ring::RecordProducer;
use zerocopy::{FromZeros, IntoBytes};

use super::*;
use crate::maker::Jobs;

struct Bench {
    memory: ModuleMemory,
    dispatcher: Dispatcher,
    jobs: Vec<Jobs>,
    up: RecordProducer,
}

const CONFERENCE: SlotRef = SlotRef {
    slot: 3,
    generation: 1,
};

fn bench(threads: usize) -> Bench {
    let memory = ModuleMemory::create(ModuleLayout {
        workers: 1,
        up_bytes: 1 << 20,
        down_bytes: 1 << 20,
    })
    .unwrap();
    let down = [Down::new(memory.down_producer(0), Doorbell::new().unwrap())];
    let (queues, jobs) = (0..threads).map(|_| Queue::pair()).unzip();
    let mut dispatcher = Dispatcher::new(memory.clone(), Arc::from(down), queues);
    dispatcher.begin();
    Bench {
        up: memory.up_producer(0),
        memory,
        dispatcher,
        jobs,
    }
}

impl Bench {
    fn say(&mut self, kind: UpKind, parts: &[&[u8]]) {
        self.up.push(kind as u32, parts).unwrap();
        let mut payload = Vec::new();
        while let Some(kind) = self.dispatcher.workers[0].ring.pop(&mut payload) {
            self.dispatcher.dispatch(0, kind, &payload).unwrap();
        }
    }

    fn begin(&mut self, epoch: u64) {
        self.say(UpKind::Begin, &[Begin { epoch }.as_bytes()]);
    }

    fn open(&mut self, conference: SlotRef) {
        let wanted = ModuleConference {
            conference,
            policy: ViewPolicy::default(),
            message: Text::default(),
        };
        self.say(UpKind::SetConference, &[wanted.as_bytes()]);
    }

    fn access_unit(&mut self, key_frame: u8, len: usize) {
        let head = AccessUnitHead {
            conference: CONFERENCE,
            key_frame,
            ..AccessUnitHead::new_zeroed()
        };
        self.say(UpKind::AccessUnit, &[head.as_bytes(), &vec![0; len]]);
    }

    fn jobs_of(&self, thread: usize) -> Vec<&'static str> {
        let mut names = Vec::new();
        while let Ok(Some(job)) = self.jobs[thread].next(Duration::ZERO) {
            names.push(match job {
                Job::Begin { .. } => "begin",
                Job::Settled { .. } => "settled",
                Job::Record { kind, .. } => match kind {
                    UpKind::SetConference => "conference",
                    UpKind::RemoveConference => "gone",
                    UpKind::AccessUnit => "unit",
                    _ => "other",
                },
            });
        }
        names
    }
}

#[test]
fn nothing_of_another_life_is_believed() {
    let mut bench = bench(1);
    bench.open(CONFERENCE);
    bench.begin(7);
    bench.open(CONFERENCE);
    assert!(bench.jobs_of(0).is_empty());
    bench.begin(1);
    bench.open(CONFERENCE);
    assert_eq!(bench.jobs_of(0), ["begin", "conference"]);
    // A second life in the same memory is the next epoch, and heard by nobody yet.
    assert_eq!(bench.memory.header().epoch.load(Ordering::Relaxed), 1);
}

#[test]
fn a_conference_stays_on_its_thread_and_they_spread() {
    let mut bench = bench(2);
    bench.begin(1);
    bench.open(CONFERENCE);
    bench.open(SlotRef {
        slot: 9,
        generation: 1,
    });
    bench.access_unit(1, 100);
    let jobs = [bench.jobs_of(0), bench.jobs_of(1)];
    assert_eq!(jobs[0], ["begin", "conference", "unit"]);
    assert_eq!(jobs[1], ["begin", "conference"]);
    // What is not of a conference that is known is nobody's.
    bench.say(UpKind::RemoveConference, &[CONFERENCE.as_bytes()]);
    bench.access_unit(1, 100);
    assert_eq!(bench.jobs_of(0), ["gone"]);
}

#[test]
fn a_conference_that_was_not_said_again_has_no_home() {
    let mut bench = bench(1);
    bench.begin(1);
    bench.open(CONFERENCE);
    bench.begin(1);
    bench.say(UpKind::Settled, &[]);
    bench.access_unit(1, 10);
    assert_eq!(
        bench.jobs_of(0),
        ["begin", "conference", "begin", "settled"]
    );
}

#[test]
fn what_waits_is_bounded_and_what_follows_a_gap_waits_for_a_key_frame() {
    let mut bench = bench(1);
    bench.begin(1);
    bench.open(CONFERENCE);
    let unit = 256 * 1024;
    for _ in 0..200 {
        bench.access_unit(0, unit);
    }
    let units = bench.jobs_of(0).len() - 2;
    assert_eq!(units, (16 << 20) / unit);
    // Room again, but the stream has a gap.
    bench.access_unit(0, 10);
    assert!(bench.jobs_of(0).is_empty());
    let mut payload = Vec::new();
    let kind = bench.memory.down_consumer(0).pop(&mut payload);
    assert_eq!(kind, Some(DownKind::RequestKeyFrame as u32));
    bench.access_unit(1, 10);
    bench.access_unit(0, 10);
    assert_eq!(bench.jobs_of(0), ["unit", "unit"]);
}

#[test]
fn any_bytes_may_arrive() {
    let mut bench = bench(1);
    bench.begin(1);
    for kind in 0..20_u32 {
        for len in 0..40 {
            bench.up.push(kind, &[&vec![0xff; len]]).unwrap();
        }
    }
    let mut payload = Vec::new();
    while let Some(kind) = bench.dispatcher.workers[0].ring.pop(&mut payload) {
        bench.dispatcher.dispatch(0, kind, &payload).unwrap();
    }
}

#[test]
fn a_thread_that_hangs_is_a_module_that_gives_no_sign_of_life() {
    let bench = bench(1);
    let beat = || bench.memory.header().heartbeat.swap(0, Ordering::Relaxed);
    assert!(beat() > 0);
    let long_ago = Nanos(plenum_uring::now().0 - 2_000_000_000);
    bench.jobs[0].about(long_ago, || {
        bench.dispatcher.sign_of_life();
        assert_eq!(beat(), 0);
    });
    bench.dispatcher.sign_of_life();
    assert!(beat() > 0);
}
