//! A server and a browser find each other through a network that is bad in a seeded way.

use std::time::{Duration, Instant};

use plenum_abi::{ICE_RANDOM_LEN, IceCredentials, Nanos, slot_of_ufrag};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use plenum_ice::*;

const SERVER: &str = "192.0.2.1:3480";
const BROWSER: &str = "198.51.100.7:50000";
const SECOND: Duration = Duration::from_secs(1);

fn at(text: &str) -> std::net::SocketAddr {
    text.parse().expect("an address")
}

fn credentials(slot: u32, byte: u8) -> IceCredentials {
    IceCredentials::ours(slot, &[byte; ICE_RANDOM_LEN])
}

/// What the network does to datagrams.
#[derive(Clone, Copy)]
struct Link {
    loss_percent: u32,
    jitter_ms: u64,
    cut: bool,
}

const GOOD: Link = Link {
    loss_percent: 0,
    jitter_ms: 0,
    cut: false,
};

/// A server and a browser, and the network between them.
struct Sim {
    now: Nanos,
    agents: [Agent; 2],
    link: Link,
    rng: SmallRng,
    on_the_way: Vec<(Nanos, usize, Path, Vec<u8>)>,
    /// What each was told.
    told: [Vec<Output>; 2],
    sent: u64,
    /// The address that a NAT gives to what the browser sends.
    nat: Option<std::net::SocketAddr>,
}

impl Sim {
    fn new(seed: u64) -> Self {
        Self::with(seed, Role::Controlled, Role::Controlling)
    }

    fn with(seed: u64, server: Role, browser: Role) -> Self {
        let now = Nanos::from_millis(5_000);
        let epoch = Instant::now();
        let (ours, theirs) = (credentials(3, 1), credentials(9, 2));
        let agent = |one, other, role, address, tie| {
            Agent::new(now, epoch, [one, other], role, &[at(address)], tie)
        };
        Self {
            now,
            agents: [
                agent(&ours, &theirs, server, SERVER, 1),
                agent(&theirs, &ours, browser, BROWSER, 2),
            ],
            link: GOOD,
            rng: SmallRng::seed_from_u64(seed),
            on_the_way: Vec::new(),
            told: [Vec::new(), Vec::new()],
            sent: 0,
            nat: None,
        }
    }

    /// The browser knows where the server is; the server finds out.
    fn start(&mut self) {
        self.agents[1].add_remote(&Candidate {
            address: at(SERVER),
            priority: 2_130_706_431,
            kind: CandidateKind::Host,
        });
    }

    fn drain(&mut self) {
        for which in 0..2 {
            while let Some(output) = self.agents[which].poll(self.now) {
                match output {
                    Output::Send { path, datagram } => self.carry(which, path, datagram),
                    other => self.told[which].push(other),
                }
            }
        }
    }

    /// The browser's first check, taken off the network.
    fn first_check(&mut self) -> (Path, Vec<u8>) {
        self.start();
        while self.on_the_way.is_empty() {
            self.now = self.agents[1].deadline();
            self.agents[1].on_timeout(self.now);
            self.drain();
        }
        let (_, _, path, check) = self.on_the_way.remove(0);
        (path, check)
    }

    fn carry(&mut self, from: usize, path: Path, datagram: Vec<u8>) {
        self.sent += 1;
        if self.link.cut || self.rng.random_range(0..100) < self.link.loss_percent {
            return;
        }
        let jitter = Duration::from_millis(self.rng.random_range(0..=self.link.jitter_ms));
        let mut arrives = Path {
            local: path.remote,
            remote: path.local,
        };
        match (from, self.nat) {
            (1, Some(nat)) => arrives.remote = nat,
            (0, Some(nat)) if path.remote == nat => arrives.local = at(BROWSER),
            // Nobody reaches the browser but through its NAT.
            (0, Some(_)) => return,
            _ => {}
        }
        let due = self.now + Duration::from_millis(10) + jitter;
        self.on_the_way.push((due, 1 - from, arrives, datagram));
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        self.drain();
        loop {
            let arrival = self.on_the_way.iter().map(|entry| entry.0).min();
            let deadlines = self.agents.iter_mut().map(Agent::deadline).min();
            let next = arrival.into_iter().chain(deadlines).min().unwrap_or(end);
            if next > end {
                self.now = end;
                return;
            }
            self.now = next.max(self.now);
            let now = self.now;
            let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.on_the_way)
                .into_iter()
                .partition(|entry| entry.0 <= now);
            self.on_the_way = later;
            for (_, to, path, datagram) in due {
                self.agents[to].on_datagram(now, path, &datagram);
            }
            for agent in &mut self.agents {
                if agent.deadline() <= now {
                    agent.on_timeout(now);
                }
            }
            self.drain();
        }
    }

    fn both_connected(&self) -> bool {
        self.agents.iter().all(|agent| agent.consent_at().is_some())
    }

    fn server_path(&self) -> Option<Path> {
        self.agents[0].selected()
    }

    fn server_was_told(&self, wanted: fn(&Output) -> bool) -> usize {
        self.told[0].iter().filter(|output| wanted(output)).count()
    }
}

#[test]
fn a_browser_is_found_by_its_checks_alone() {
    let mut sim = Sim::new(1);
    sim.start();
    sim.run(SECOND);
    assert!(sim.both_connected());
    let path = Path {
        local: at(SERVER),
        remote: at(BROWSER),
    };
    assert_eq!(sim.server_path(), Some(path));
    assert_eq!(
        sim.server_was_told(|output| matches!(output, Output::Source(_))),
        1
    );
    assert_eq!(
        sim.server_was_told(|output| matches!(output, Output::Selected(_))),
        1
    );
}

#[test]
fn trickled_candidates_and_our_own_nomination_connect_as_well() {
    // We called: we nominate, and are told late where the browser is.
    let mut sim = Sim::with(2, Role::Controlling, Role::Controlled);
    sim.run(SECOND);
    assert!(!sim.both_connected());
    sim.agents[0].add_remote(&Candidate {
        address: at(BROWSER),
        priority: 2_130_706_431,
        kind: CandidateKind::Host,
    });
    sim.run(SECOND);
    assert!(sim.both_connected());
}

#[test]
fn two_that_both_want_to_nominate_agree() {
    let mut sim = Sim::with(3, Role::Controlling, Role::Controlling);
    sim.start();
    sim.run(3 * SECOND);
    assert!(sim.both_connected());
}

#[test]
fn a_browser_behind_a_nat_is_reached_through_it() {
    let mut sim = Sim::new(4);
    sim.nat = Some(at("203.0.113.5:1024"));
    sim.start();
    sim.run(SECOND);
    assert!(sim.both_connected());
    assert_eq!(
        sim.server_path().map(|path| path.remote),
        Some(at("203.0.113.5:1024"))
    );
    // The NAT forgets the binding and gives another: the old path dies, the new
    // one is found by the browser's next checks.
    sim.nat = Some(at("203.0.113.5:2048"));
    sim.run(40 * SECOND);
    assert!(sim.both_connected());
    assert_eq!(
        sim.server_path().map(|path| path.remote),
        Some(at("203.0.113.5:2048"))
    );
}

#[test]
fn the_path_is_found_through_loss_and_reordering() {
    for seed in 0..40 {
        let mut sim = Sim::new(seed);
        sim.link = Link {
            loss_percent: 15,
            jitter_ms: 200,
            cut: false,
        };
        sim.start();
        // More than a quarter of the checks are lost on the way there or back.
        sim.run(20 * SECOND);
        assert!(sim.both_connected(), "seed {seed}");
        // And kept.
        sim.run(120 * SECOND);
        assert!(sim.both_connected(), "seed {seed}");
        assert_eq!(
            sim.server_was_told(|output| matches!(output, Output::Lost)),
            0
        );
    }
}

#[test]
fn consent_ends_30_s_after_the_last_answer_and_comes_back_with_the_next() {
    let mut sim = Sim::new(5);
    sim.start();
    sim.run(10 * SECOND);
    let answered = sim.agents[0].consent_at().expect("connected");
    assert!(sim.now.since(answered) < 5 * SECOND);
    // A cut of five seconds is nothing.
    sim.link.cut = true;
    sim.run(5 * SECOND);
    sim.link.cut = false;
    sim.run(5 * SECOND);
    assert!(sim.both_connected());
    let last = sim.agents[0].consent_at().expect("connected");
    sim.link.cut = true;
    let left = (last + CONSENT).since(sim.now);
    sim.run(left - Duration::from_millis(1));
    assert!(sim.agents[0].consent_at().is_some());
    sim.run(Duration::from_millis(1));
    assert!(sim.agents[0].consent_at().is_none());
    let lost = |output: &Output| matches!(output, Output::Lost);
    let failed = |output: &Output| matches!(output, Output::Failed);
    assert_eq!(
        (sim.server_was_told(lost), sim.server_was_told(failed)),
        (1, 0)
    );
    sim.run(GIVE_UP);
    assert_eq!(
        (sim.server_was_told(lost), sim.server_was_told(failed)),
        (1, 1)
    );
    // Nothing new is said, and next to nothing sent, while nobody is there.
    let sent = sim.sent;
    sim.run(600 * SECOND);
    assert_eq!(sim.server_was_told(failed), 1);
    assert!(sim.sent - sent < 200, "{}", sim.sent - sent);
    // The browser is back, and looks for us as it does after a restart.
    sim.link.cut = false;
    sim.told[0].clear();
    sim.start();
    sim.run(4 * SECOND);
    assert!(sim.both_connected());
    let selected = sim.server_was_told(|output| matches!(output, Output::Selected(_)));
    assert_eq!(selected, 1);
}

#[test]
fn a_search_without_an_answer_fails_once() {
    let mut sim = Sim::new(7);
    sim.link.cut = true;
    sim.start();
    let failed = |output: &Output| matches!(output, Output::Failed);
    sim.run(GIVE_UP - Duration::from_millis(1));
    assert_eq!(sim.server_was_told(failed), 0);
    sim.run(100 * SECOND);
    assert_eq!(sim.server_was_told(failed), 1);
}

#[test]
fn an_idle_pair_costs_a_check_each_three_seconds_and_side() {
    let mut sim = Sim::new(8);
    sim.start();
    sim.run(10 * SECOND);
    let sent = sim.sent;
    sim.run(300 * SECOND);
    // Each check is answered.
    let checks = (sim.sent - sent) / 2;
    assert!((190..=210).contains(&checks), "{checks}");
}

#[test]
fn a_restart_keeps_the_old_path_until_the_new_one_is_found() {
    let mut sim = Sim::new(9);
    sim.start();
    sim.run(SECOND);
    let before = sim.server_path();
    let (ours, theirs) = (credentials(3, 5), credentials(9, 6));
    let now = sim.now;
    sim.agents[0].configure(now, &ours, &theirs);
    assert_eq!(sim.server_path(), before);
    assert!(sim.agents[0].consent_at().is_some());
    // Checks with the old credentials are nobody's now.
    sim.run(4 * SECOND);
    sim.told[0].clear();
    let now = sim.now;
    sim.agents[1].configure(now, &theirs, &ours);
    sim.start();
    sim.run(2 * SECOND);
    assert!(sim.both_connected());
    assert_eq!(sim.server_path(), before);
    // The same value again is no restart.
    let now = sim.now;
    sim.agents[0].configure(now, &ours, &theirs);
    sim.run(SECOND);
    assert!(sim.both_connected());
}

#[test]
fn credentials_that_come_late_complete_an_agent_without_a_restart() {
    let mut sim = Sim::new(10);
    let now = sim.now;
    let (ours, theirs) = (credentials(3, 1), credentials(9, 2));
    sim.agents[0] = Agent::new(
        now,
        Instant::now(),
        [&ours, &IceCredentials::default()],
        Role::Controlled,
        &[at(SERVER)],
        1,
    );
    sim.start();
    sim.run(SECOND);
    assert!(!sim.both_connected());
    let now = sim.now;
    sim.agents[0].configure(now, &ours, &theirs);
    sim.run(2 * SECOND);
    assert!(sim.both_connected());
}

#[test]
fn a_successor_goes_on_with_the_path_and_its_consent() {
    let mut sim = Sim::new(11);
    sim.start();
    sim.run(10 * SECOND);
    let (path, consent_at) = (
        sim.server_path().unwrap(),
        sim.agents[0].consent_at().unwrap(),
    );
    let (ours, theirs) = (credentials(3, 1), credentials(9, 2));
    let mut successor = Agent::new(
        sim.now,
        Instant::now(),
        [&ours, &theirs],
        Role::Controlled,
        &[at(SERVER)],
        77,
    );
    successor.resume(path, consent_at);
    assert_eq!(successor.selected(), Some(path));
    sim.agents[0] = successor;
    sim.told[0].clear();
    sim.run(SECOND);
    let renewed = sim.agents[0].consent_at().expect("consent");
    assert!(renewed > consent_at);
    // Nothing has happened that the control plane would have to know.
    let lost = sim.server_was_told(|output| matches!(output, Output::Lost | Output::Failed));
    assert_eq!(lost, 0);
    sim.run(120 * SECOND);
    assert!(sim.both_connected());
}

#[test]
fn strangers_change_nothing() {
    let mut sim = Sim::new(12);
    let (path, check) = sim.first_check();
    assert_eq!(local_ufrag(&check), Some(credentials(3, 1).ufrag()));
    assert_eq!(local_ufrag(&check).and_then(slot_of_ufrag), Some(3));
    // The right names under the wrong password.
    let (ours, theirs) = (credentials(3, 1), credentials(9, 2));
    let other = IceCredentials::new(ours.ufrag(), &"x".repeat(24)).expect("valid");
    let mut deaf = Agent::new(
        sim.now,
        Instant::now(),
        [&other, &theirs],
        Role::Controlled,
        &[at(SERVER)],
        1,
    );
    assert!(!deaf.on_datagram(sim.now, path, &check));
    assert!(deaf.poll(sim.now).is_none() && deaf.selected().is_none());
}

#[test]
fn what_a_far_end_can_make_grow_is_bounded() {
    let mut sim = Sim::new(13);
    let (path, check) = sim.first_check();
    let from = |port| Path {
        remote: std::net::SocketAddr::new(path.remote.ip(), port),
        ..path
    };
    for port in 1..=SOURCES_MAX as u16 {
        assert!(sim.agents[0].on_datagram(sim.now, from(port), &check));
    }
    assert!(!sim.agents[0].on_datagram(sim.now, from(1_000), &check));
    assert!(sim.agents[0].on_datagram(sim.now, from(1), &check));
    sim.drain();
    let sources = sim.server_was_told(|output| matches!(output, Output::Source(_)));
    assert_eq!(sources, SOURCES_MAX);
    let candidate = |port| Candidate {
        address: from(port).remote,
        priority: 1,
        kind: CandidateKind::ServerReflexive,
    };
    for port in 0..CANDIDATES_MAX as u16 {
        assert!(sim.agents[0].add_remote(&candidate(2_000 + port)));
    }
    assert!(!sim.agents[0].add_remote(&candidate(3_000)));
}

#[test]
fn anything_at_all_can_come_in() {
    let path = Path {
        local: at(SERVER),
        remote: at(BROWSER),
    };
    proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..200), flips in proptest::collection::vec((0_usize..200, any::<u8>()), 0..4))| {
        let mut sim = Sim::new(6);
        let (_, mut check) = sim.first_check();
        let now = sim.now;
        prop_assert_eq!(local_ufrag(&bytes), None);
        prop_assert!(!sim.agents[0].on_datagram(now, path, &bytes));
        // A good check, with some bytes changed.
        let original = check.clone();
        for (index, byte) in flips {
            let index = index % check.len();
            check[index] = byte;
        }
        let taken = sim.agents[0].on_datagram(now, path, &check);
        prop_assert!(!taken || integrity_covers_the_same(&original, &check));
        sim.agents[0].on_timeout(now);
        sim.drain();
    });
}

/// MESSAGE-INTEGRITY covers all before it; FINGERPRINT behind it is not checked.
fn integrity_covers_the_same(one: &[u8], other: &[u8]) -> bool {
    const FINGERPRINT_LEN: usize = 8;
    one[..one.len() - FINGERPRINT_LEN] == other[..other.len() - FINGERPRINT_LEN]
}
