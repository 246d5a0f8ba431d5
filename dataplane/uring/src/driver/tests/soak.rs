//! Random arming, disarming, closing, sending and keeping, by seed.

use std::collections::{BTreeMap, VecDeque};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const KEYS: u32 = 12;

struct World {
    driver: Driver,
    rng: StdRng,
    addresses: Vec<SocketAddr>,
    peer: UdpSocket,
    /// Which tenancy of each armed key counts.
    armed: BTreeMap<u32, u32>,
    tenancies: u32,
    kept: VecDeque<Lease>,
    /// Datagrams sent to armed keys, by number, and whether they came.
    expected: BTreeMap<u32, bool>,
    number: u32,
}

impl World {
    fn new(seed: u64) -> Self {
        let config = Config {
            sockets: KEYS,
            receive_slots: 64,
            send_slots: 8,
            batch: 4,
            completions: 16,
        };
        let mut driver = Driver::new(config).unwrap();
        let addresses = (0..KEYS)
            .map(|key| bind(&mut driver, key, "127.0.0.1"))
            .collect();
        Self {
            driver,
            rng: StdRng::seed_from_u64(seed),
            addresses,
            peer: peer("127.0.0.1"),
            armed: BTreeMap::new(),
            tenancies: 0,
            kept: VecDeque::new(),
            expected: BTreeMap::new(),
            number: 0,
        }
    }

    /// A datagram says for which tenancy of which key it is meant.
    fn send_to(&mut self, key: u32) {
        let tenancy = self.armed.get(&key).copied().unwrap_or(0);
        let mut bytes = Vec::new();
        for word in [key, tenancy, self.number] {
            bytes.extend(word.to_le_bytes());
        }
        if tenancy != 0 {
            self.expected.insert(self.number, false);
        }
        self.number += 1;
        let to = self.addresses[key as usize];
        if self.rng.random_bool(0.5) {
            self.peer.send_to(&bytes, to).unwrap();
        } else {
            let from = self.rng.random_range(0..KEYS);
            send(&mut self.driver, from, to, &bytes);
            self.driver.flush().unwrap();
        }
    }

    fn disarm(&mut self, key: u32) {
        self.driver.disarm(key);
        // What was still on its way to this tenancy need not come any more.
        self.armed.remove(&key);
    }

    fn step(&mut self) {
        let key = self.rng.random_range(0..KEYS);
        match self.rng.random_range(0..100) {
            0..8 => {
                self.driver.arm(key).unwrap();
                let next = self.tenancies + 1;
                if *self.armed.entry(key).or_insert(next) == next {
                    self.tenancies = next;
                }
            }
            8..13 => self.disarm(key),
            13..15 => {
                self.disarm(key);
                let socket = self.driver.unregister_socket(key).unwrap();
                self.driver.register_socket(key, socket).unwrap();
            }
            15..60 => self.send_to(key),
            60..75 => self.drain(true),
            _ => self.drain(false),
        }
        while self.kept.len() > 60 {
            let lease = self.kept.pop_front().unwrap();
            self.driver.release(lease);
        }
    }

    fn drain(&mut self, keep: bool) {
        self.driver.wait(Some(now()), Duration::ZERO).unwrap();
        while let Some(event) = self.driver.next_event() {
            let Event::Datagram { key, lease, .. } = event else {
                panic!("{event:?}");
            };
            let bytes = self.driver.bytes(&lease);
            assert_eq!(bytes.len(), 12);
            let word = |at: usize| u32::from_le_bytes(*bytes[at..].first_chunk().unwrap());
            assert_eq!(word(0), key);
            // Never a datagram of the tenant before.
            assert_eq!(Some(&word(4)), self.armed.get(&key), "key {key}");
            // Never one twice.
            assert_eq!(self.expected.insert(word(8), true), Some(false));
            if keep {
                self.kept.push_back(lease);
            } else {
                self.driver.release(lease);
            }
        }
    }
}

fn run(seed: u64, steps: usize) {
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
    }
    // Heal: with slots back, all that is armed receives.
    for lease in std::mem::take(&mut world.kept) {
        world.driver.release(lease);
    }
    let armed: Vec<u32> = world.armed.keys().copied().collect();
    for _ in 0..5 {
        world.drain(false);
    }
    let first = world.number;
    for &key in &armed {
        world.send_to(key);
    }
    let deadline = now() + LONG;
    let all = |world: &World| world.expected.range(first..).all(|(_, &came)| came);
    while !all(&world) && now() < deadline {
        world.drain(false);
    }
    assert!(all(&world), "armed sockets do not receive");
    assert!(world.driver.stats().received > steps as u64 / 20);
    assert_idle(&world.driver);
}

#[test]
fn random_tenants_get_their_own_datagrams_only() {
    for seed in 0..20 {
        println_seed(seed);
        run(seed, 3_000);
    }
}

/// Shown by the test runner when the test fails.
#[allow(clippy::print_stdout)]
fn println_seed(seed: u64) {
    println!("seed {seed}");
}

#[test]
fn a_driver_can_be_dropped_at_any_moment() {
    for seed in 0..40 {
        let mut world = World::new(1_000 + seed);
        for _ in 0..seed * 5 {
            world.step();
        }
        for key in 0..KEYS {
            world.send_to(key);
        }
        world.kept.drain(..).for_each(std::mem::forget);
    }
}
