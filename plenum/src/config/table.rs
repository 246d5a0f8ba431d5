//! Every setting of the server: its key, its kind, its default, its meaning.
//!
//! This table is the only place where a setting is declared. The struct, the
//! file's keys, the environment variables, `--print-config` and the error
//! messages all follow from it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use super::value::{
    Encryption, LogFormat, LogLevel, Networks, OptionalAddress, OptionalIp, OptionalPath, PortList,
    Ports, Raw, ResolveUris, Secret, TurnServe, Value, Whole,
};

/// One row of the table.
pub(crate) struct Entry {
    /// Dotted key as in the file.
    pub(crate) key: &'static str,
    /// What it is for.
    pub(crate) help: &'static str,
    /// What it may hold.
    pub(crate) allowed: fn() -> String,
    /// Its present value as TOML.
    pub(crate) show: fn(&Settings) -> String,
    /// Sets it; `false` when the value is not allowed.
    pub(crate) set: fn(&mut Settings, &Raw) -> bool,
}

impl Entry {
    /// `sip.udp_port` is `PLENUM_SIP_UDP_PORT`.
    pub(crate) fn variable(&self) -> String {
        format!("PLENUM_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// Section and name; the section is empty at the top of the file.
    pub(crate) fn split(&self) -> (&'static str, &'static str) {
        self.key.split_once('.').unwrap_or(("", self.key))
    }
}

macro_rules! settings {
    ($(
        $section:ident: $section_type:ident $prefix:literal {
            $( $(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr; )+
        }
    )+) => {
        $(
            #[derive(Clone, Debug)]
            pub(crate) struct $section_type { $( $(#[doc = $doc])+ pub(crate) $name: $type, )+ }
        )+

        /// The settings in force.
        #[derive(Clone, Debug)]
        pub(crate) struct Settings { $( pub(crate) $section: $section_type, )+ }

        impl Default for Settings {
            fn default() -> Self {
                Self { $( $section: $section_type { $( $name: $default, )+ }, )+ }
            }
        }

        /// All rows, in the order in which they are printed.
        pub(crate) static ENTRIES: &[Entry] = &[$($(
            Entry {
                key: concat!($prefix, stringify!($name)),
                help: concat!($($doc),+),
                allowed: <$type as Value>::allowed,
                show: |settings| settings.$section.$name.to_toml(),
                set: |settings, raw| match <$type as Value>::parse(raw) {
                    Some(value) => {
                        settings.$section.$name = value;
                        true
                    }
                    None => false,
                },
            },
        )+)+];
    };
}

settings! {
    general: General "" {
        /// Folder for the database, the certificate and the first-run credentials.
        data_dir: PathBuf = PathBuf::from("plenum-data");
        /// Addresses on which everything listens; 0.0.0.0 and :: stand for all of the machine.
        listen: Vec<IpAddr> = vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        /// Hardware profile: "this-host" looks at the machine; else a built-in name, or the path of a TOML file.
        profile: String = "this-host".to_owned();
        /// Most call legs at a time; 0 takes the profile's figure.
        legs_max: Whole<0, 100_000> = Whole::new(0);
    }
    sip: Sip "sip." {
        /// SIP over UDP.
        udp_port: u16 = 5060;
        /// SIP over TCP.
        tcp_port: u16 = 5060;
        /// SIP over TLS.
        tls_port: u16 = 5061;
        /// Domains that are ours beside the listen addresses.
        domains: Vec<String> = Vec::new();
        /// Session timer that we ask for, seconds (RFC 4028).
        session_expires_s: Whole<90, 86_400> = Whole::new(1_800);
        /// Shortest session timer that we accept, seconds (RFC 4028).
        session_min_s: Whole<90, 86_400> = Whole::new(90);
        /// Seconds after which a caller that was turned away for want of room may try again.
        retry_after_s: Whole<1, 3_600> = Whole::new(10);
        /// File of callers, one user:password a line, who alone may call in (digest, RFC 8760); empty lets everybody.
        digest_file: OptionalPath = OptionalPath::default();
        /// Realm that callers are shown when they have to prove themselves.
        digest_realm: String = "plenum".to_owned();
    }
    https: Https "https." {
        /// REST interface and web pages.
        port: u16 = 8443;
        /// Plain HTTP that only sends browsers on to HTTPS; 0 is off, 80 is usual.
        redirect_port: u16 = 0;
    }
    tls: Tls "tls." {
        /// Certificate chain (PEM) for SIP and HTTPS; empty for a self-signed one in the data folder.
        certificate: OptionalPath = OptionalPath::default();
        /// Private key (PEM) of that certificate.
        key: OptionalPath = OptionalPath::default();
        /// Certificates (PEM) that are trusted when we call out over TLS; empty for the system's.
        trust: OptionalPath = OptionalPath::default();
    }
    media: Media "media." {
        /// UDP ports for RTP and RTCP, two for each call leg and for each video stream.
        ports: Ports = Ports::new(20_000, 29_999);
        /// UDP port for all browsers of the first media worker; each further worker has the next one.
        webrtc_port: u16 = 3480;
        /// Address under which browsers reach the listen address through a 1:1 NAT; empty without NAT.
        public_ip: OptionalIp = OptionalIp::default();
        /// Differentiated services code point of media packets (RFC 2474); 46 is usual for sound.
        dscp: Whole<0, 63> = Whole::new(0);
        /// Most video streams at a time, as far as call legs, ports and open files allow; 0 switches video off.
        video_streams_max: Whole<0, 100_000> = Whole::new(256);
        /// Encryption of media (SRTP with SDES keys).
        encryption: Encryption = Encryption::Optional;
        /// Seconds without a valid packet after which a leg that may send is hung up; 0 is never.
        silence_timeout_s: Whole<0, 86_400> = Whole::new(60);
        /// Milliseconds of sound in a packet that we send: 10, 20 or 40.
        packet_ms: Whole<10, 40> = Whole::new(20);
    }
    call: Call "call." {
        /// Most participants of one call; 0 is no limit but the machine's.
        participants_max: Whole<0, 100_000> = Whole::new(0);
        /// A tone greets who joins while at most so many are in the call; 0 is off.
        join_tone_participants_max: Whole<0, 100> = Whole::new(0);
        /// A tone sounds when somebody leaves while at most so many are in the call; 0 is off.
        leave_tone_participants_max: Whole<0, 100> = Whole::new(0);
        /// Seconds for which a called party may ring.
        ring_timeout_s: Whole<5, 600> = Whole::new(60);
    }
    web: Web "web." {
        /// People may give a passcode to join from a browser. This and the next four hold where no web bridge profile says otherwise.
        allow_passcodes: bool = true;
        /// Links with a secret let people in without a passcode.
        allow_secrets: bool = true;
        /// People who have not signed in may join.
        allow_unauthenticated_guests: bool = true;
        /// Meetings are found by their number.
        resolve_call_ids: bool = true;
        /// Meetings are found by their address; "domainSuggestionEnabled" adds our domain where none is typed.
        resolve_uris: ResolveUris = ResolveUris::Suggested;
        /// Participants in browsers may mute and remove others.
        guests_may_moderate: bool = true;
        /// Participants in browsers may have others called, at our expense.
        guests_may_dial: bool = false;
        /// Participants in browsers may write to each other.
        guests_may_chat: bool = true;
        /// Participants in browsers may show their screen.
        guests_may_share: bool = true;
        /// STUN and TURN servers that browsers are told of, such as "turn:turn.example.org:3478?transport=udp".
        turn_urls: Vec<String> = Vec::new();
        /// Secret that those TURN servers share with us; credentials for 12 hours are made with it.
        turn_secret: Secret = Secret::default();
    }
    turn: Turn "turn." {
        /// Whether TURN is served beside meetings: "auto" does when a listen address can be reached by others than this machine.
        serve: TurnServe = TurnServe::Auto;
        /// Ports for TURN clients, each over UDP and over TCP.
        ports: PortList = PortList(vec![3_478]);
        /// Ports for TURN clients over TLS.
        tls_ports: PortList = PortList(vec![5_349]);
        /// Realm that clients are shown, and that of time-limited credentials.
        realm: String = "plenum".to_owned();
        /// Secret of time-limited credentials (user name "expiry:name", password HMAC-SHA1 in base64); empty: made at the first start and kept in the data folder, file turn-secret.
        secret: Secret = Secret::default();
        /// File of users who may always come in, one user:password a line; below a line [realm], of that realm. Empty for none.
        users_file: OptionalPath = OptionalPath::default();
        /// UDP ports of relayed addresses; as many are bound as there may be allocations.
        relay_ports: Ports = Ports::new(50_000, 62_000);
        /// Address under which relayed addresses are reached through a 1:1 NAT; empty takes media.public_ip.
        public_ip: OptionalIp = OptionalIp::default();
        /// Most allocations at a time.
        allocations_max: Whole<1, 60_000> = Whole::new(4_000);
        /// Most allocations of one user at a time.
        user_allocations_max: Whole<1, 60_000> = Whole::new(16);
        /// Most that one user may relay, kilobits a second, both ways together; 0 is no limit.
        user_kbit_s: Whole<0, 100_000_000> = Whole::new(0);
        /// Most that all users may relay, kilobits a second, both ways together; 0 is no limit.
        all_kbit_s: Whole<0, 1_000_000_000> = Whole::new(0);
        /// Peers that are allowed though they are not public, as address ranges; without them only public addresses are.
        allow_peers: Networks = Networks::default();
        /// Peers that are refused whatever else is said, as address ranges.
        refuse_peers: Networks = Networks::default();
        /// Server that new clients are sent to while this one drains, address:port; empty for none.
        alternate: OptionalAddress = OptionalAddress::default();
        /// Whether datagrams of one flow leave as bursts that the kernel cuts (UDP_SEGMENT).
        bursts: bool = true;
        /// Microseconds for which packets may gather when they come often; 0 is off. Measured, it costs delay and saves no time.
        gather_us: Whole<0, 1_000> = Whole::new(0);
    }
    log: Log "log." {
        /// What is logged: a level, or levels by target.
        level: LogLevel = LogLevel("info".to_owned());
        /// How log lines look.
        format: LogFormat = LogFormat::Text;
        /// How often one line of code may log within ten seconds; what is more is counted and summed up. 0 is no limit.
        repeats_max: Whole<0, 1_000_000> = Whole::new(200);
    }
}
