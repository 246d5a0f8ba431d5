//! Two ends shake hands through a network that is bad in a seeded way.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use plenum_abi::{Nanos, SrtpSuite};
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use plenum_dtls::*;

const SECOND: Duration = Duration::from_secs(1);

fn pair() -> (Vec<u8>, Vec<u8>) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::default();
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.der().to_vec(), key.serialize_der())
}

/// Us and a browser.
fn identities() -> &'static [Identity; 2] {
    static IDENTITIES: OnceLock<[Identity; 2]> = OnceLock::new();
    IDENTITIES.get_or_init(|| {
        [(); 2].map(|()| {
            let (certificate, key) = pair();
            Identity::new(certificate, key).expect("usable")
        })
    })
}

/// Two ends and the network between them.
struct Sim {
    now: Nanos,
    ends: [Association; 2],
    on_the_way: Vec<(Nanos, usize, Vec<u8>)>,
    told: [Vec<Output>; 2],
    loss_percent: u32,
    jitter_ms: u64,
    rng: SmallRng,
    sent: usize,
}

const SERVER: usize = 0;
const CLIENT: usize = 1;

impl Sim {
    fn new(seed: u64) -> Self {
        let [ours, theirs] = identities();
        Self::expecting(seed, theirs.fingerprint(), ours.fingerprint())
    }

    fn expecting(seed: u64, of_client: [u8; 32], of_server: [u8; 32]) -> Self {
        let now = Nanos::from_millis(77);
        let epoch = Instant::now();
        let [ours, theirs] = identities();
        Self {
            now,
            ends: [
                Association::new(now, epoch, ours, Role::Server, of_client),
                Association::new(now, epoch, theirs, Role::Client, of_server),
            ],
            on_the_way: Vec::new(),
            told: [Vec::new(), Vec::new()],
            loss_percent: 0,
            jitter_ms: 0,
            rng: SmallRng::seed_from_u64(seed),
            sent: 0,
        }
    }

    fn drain(&mut self) {
        let mut buffer = [0; 2_048];
        for which in [SERVER, CLIENT] {
            while let Some(output) = self.ends[which].poll(&mut buffer) {
                let Output::Datagram { len } = output else {
                    self.told[which].push(output);
                    continue;
                };
                assert!(len <= 1_200);
                self.sent += 1;
                if self.rng.random_range(0..100) < self.loss_percent {
                    continue;
                }
                let jitter = Duration::from_millis(self.rng.random_range(0..=self.jitter_ms));
                let due = self.now + Duration::from_millis(5) + jitter;
                self.on_the_way
                    .push((due, 1 - which, buffer[..len].to_vec()));
            }
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        self.drain();
        loop {
            let arrival = self.on_the_way.iter().map(|entry| entry.0).min();
            let deadlines = self.ends.iter().map(Association::deadline).min();
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
            for (_, to, datagram) in due {
                self.ends[to].on_datagram(now, &datagram);
            }
            for end in &mut self.ends {
                if end.deadline() <= now {
                    end.on_timeout(now);
                }
            }
            self.drain();
        }
    }

    fn keys(&self, which: usize) -> Option<SessionKeys> {
        self.told[which].iter().find_map(|output| match output {
            Output::Keys(keys) => Some(*keys),
            _ => None,
        })
    }

    fn failure(&self, which: usize) -> Option<Failure> {
        self.told[which].iter().find_map(|output| match output {
            Output::Failed(failure) => Some(*failure),
            _ => None,
        })
    }
}

#[test]
fn both_ends_get_the_same_keys_once() {
    let mut sim = Sim::new(1);
    sim.run(SECOND);
    let (ours, theirs) = (sim.keys(SERVER).unwrap(), sim.keys(CLIENT).unwrap());
    assert_eq!(ours.suite, theirs.suite);
    assert_eq!((ours.tx, ours.rx), (theirs.rx, theirs.tx));
    assert_ne!(ours.tx, ours.rx);
    sim.run(600 * SECOND);
    assert_eq!((sim.told[SERVER].len(), sim.told[CLIENT].len()), (1, 1));
}

#[test]
fn loss_and_reordering_only_delay_it() {
    for seed in 0..30 {
        let mut sim = Sim::new(seed);
        (sim.loss_percent, sim.jitter_ms) = (25, 100);
        sim.run(30 * SECOND);
        let (ours, theirs) = (sim.keys(SERVER), sim.keys(CLIENT));
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            panic!("seed {seed}: {:?} {:?}", sim.told[SERVER], sim.told[CLIENT]);
        };
        assert_eq!((ours.tx, ours.rx), (theirs.rx, theirs.tx), "seed {seed}");
    }
}

#[test]
fn another_certificate_than_the_signalled_one_gives_no_keys() {
    let [ours, _] = identities();
    let mut sim = Sim::expecting(2, [7; 32], ours.fingerprint());
    sim.run(60 * SECOND);
    assert_eq!(sim.keys(SERVER), None);
    assert_eq!(sim.failure(SERVER), Some(Failure::Fingerprint));
    assert_eq!(sim.told[SERVER].len(), 1);

    let [_, theirs] = identities();
    let mut sim = Sim::expecting(3, theirs.fingerprint(), [7; 32]);
    sim.run(60 * SECOND);
    assert_eq!(sim.keys(CLIENT), None);
    assert_eq!(sim.failure(CLIENT), Some(Failure::Fingerprint));
}

#[test]
fn a_far_end_that_never_answers_fails_in_the_end() {
    let mut sim = Sim::new(4);
    sim.loss_percent = 100;
    sim.run(120 * SECOND);
    assert_eq!(sim.failure(CLIENT), Some(Failure::Handshake));
    // Who only waits, waits: the leg's path decides about its life.
    assert!(sim.told[SERVER].is_empty());
    assert!(sim.sent <= 8, "{}", sim.sent);
}

#[test]
fn a_dtls_1_2_client_is_served_too() {
    let [ours, _] = identities();
    let (certificate, private_key) = pair();
    let expected = Identity::new(certificate.clone(), private_key.clone())
        .expect("usable")
        .fingerprint();
    let epoch = Instant::now();
    let now = Nanos::from_millis(1);
    let mut server = Association::new(now, epoch, ours, Role::Server, expected);
    let certificate = dimpl::DtlsCertificate {
        certificate,
        private_key,
    };
    let mut client = dimpl::Dtls::new_12(std::sync::Arc::default(), certificate, epoch);
    client.set_active(true);
    client.handle_timeout(epoch).unwrap();
    let mut keys = None;
    let mut material = None;
    let mut buffer = [0; 2_048];
    for _ in 0..10 {
        loop {
            match client.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => server.on_datagram(now, packet),
                dimpl::Output::KeyingMaterial(exported, profile) => {
                    material = Some((exported.to_vec(), profile));
                }
                dimpl::Output::Timeout(_) => break,
                _ => {}
            }
        }
        while let Some(output) = server.poll(&mut buffer) {
            match output {
                Output::Datagram { len } => client.handle_packet(&buffer[..len]).unwrap(),
                Output::Keys(session) => keys = Some(session),
                Output::Failed(failure) => panic!("{failure}"),
            }
        }
    }
    let keys = keys.expect("keys");
    let (material, profile) = material.expect("keys of the client");
    assert_eq!(keys.suite, SrtpSuite::AeadAes256Gcm);
    assert_eq!(profile, dimpl::SrtpProfile::AEAD_AES_256_GCM);
    assert_eq!(keys.rx.key(keys.suite), &material[..32]);
    assert_eq!(keys.tx.key(keys.suite), &material[32..64]);
    assert_eq!(keys.rx.salt(keys.suite), &material[64..76]);
    assert_eq!(keys.tx.salt(keys.suite), &material[76..88]);
}

#[test]
fn what_is_no_identity_is_refused() {
    let (certificate, key) = pair();
    assert!(Identity::new(certificate.clone(), vec![0; 138]).is_err());
    let identity = Identity::new(certificate, key).expect("usable");
    assert!(!format!("{identity:?}").contains("key"));
}

#[test]
fn anything_at_all_can_come_in_at_any_time() {
    let datagrams = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..8);
    proptest!(ProptestConfig::with_cases(64), |(noise in datagrams, seed in any::<u64>())| {
        let mut sim = Sim::new(seed);
        (sim.loss_percent, sim.jitter_ms) = (5, 20);
        for mut datagram in noise {
            // Half of it looks like a handshake record of the first epoch.
            if let [first, major, minor, epoch_high, epoch_low, ..] = datagram.as_mut_slice()
                && *first < 128
            {
                (*first, *major, *minor, *epoch_high, *epoch_low) = (22, 254, 253, 0, 0);
            }
            sim.run(Duration::from_millis(3));
            let now = sim.now;
            for end in &mut sim.ends {
                end.on_datagram(now, &datagram);
            }
        }
        sim.run(30 * SECOND);
        // A forged handshake message may break the handshake (RFC 6347 section 4.1.2.7
        // leaves that open), but never makes the ends disagree on keys.
        if let (Some(ours), Some(theirs)) = (sim.keys(SERVER), sim.keys(CLIENT)) {
            prop_assert_eq!((ours.tx, ours.rx), (theirs.rx, theirs.tx));
        }
    });
}
