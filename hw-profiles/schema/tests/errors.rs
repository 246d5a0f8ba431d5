//! Each wrong thing gets its own message, with the file, the key and the remedy.

use plenum_hw_profile::{CoreId, Profile, ProfileError};

const GOOD: &str = r#"name = "good"
title = "A good one"
kind = "host"

[sources]
lscpu = "lscpu on the machine itself"

[hardware]
source = "lscpu"
vcpus = 4
memory_mib = "unmeasured"

[cores]
control = "0"
io = "1"
video = "2-3"

[limits]
legs_per_io_core = 1500
media_sockets = 3000
"#;

/// The message for the good profile with one thing changed.
fn refusal(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    match Profile::parse("p.toml", &GOOD.replacen(from, to, 1)) {
        Ok(_) => panic!("accepted: {to}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_good_one_is_good() {
    let profile = Profile::parse("p.toml", GOOD).unwrap();
    assert_eq!(profile.io_cores(), [CoreId(1)]);
    assert_eq!(profile.video_cores(), [CoreId(2), CoreId(3)]);
    assert_eq!(profile.control_cores(), [CoreId(0)]);
    assert_eq!(profile.legs_per_worker(), 1_500);
    assert_eq!(
        (profile.legs_max(), profile.media_sockets()),
        (1_500, 3_000)
    );
}

#[test]
fn wrong_cores() {
    for (from, to, message) in [
        (
            "io = \"1\"",
            "io = \"\"",
            "p.toml: cores.io: no io core; name one at least: it runs the sockets",
        ),
        (
            "io = \"1\"",
            "io = \"1,1\"",
            "p.toml: cores.io: core 1 is listed twice; list it once",
        ),
        (
            "io = \"1\"",
            "io = \"1-2\"",
            "p.toml: cores.video: core 2 is in cores.io too; give it one role, or say shared = true",
        ),
        (
            "control = \"0\"",
            "control = \"\"",
            "p.toml: cores.control: no core for the kernel and the control plane; name one at least; \
             it may be an io core where shared = true",
        ),
        (
            "2-3",
            "2-4",
            "p.toml: cores.video: there is no core 4: hardware.vcpus is 4, counted from 0; correct the one or the other",
        ),
        (
            "video = \"2-3\"",
            "video = \"2-3\"\nvideo_module_cores = 0",
            "p.toml: cores.video_module_cores: a module of no cores; say 1 or more, or leave the key out",
        ),
        (
            "kind = \"host\"",
            "kind = \"reference\"",
            "p.toml: cores: a reference cannot be run, its cores have no roles; take [cores] away, or say kind = \"host\"",
        ),
        (
            "vcpus = 4",
            "numa = [{ node = 0, cores = \"0-2\" }]",
            "p.toml: cores.video: core 3 is in no NUMA node; add it to the cores of a [[hardware.numa]]",
        ),
        (
            "vcpus = 4",
            "numa = [{ node = 0, cores = \"0-2\" }, { node = 1, cores = \"2-3\" }]",
            "p.toml: hardware.numa 1.cores: core 2 is in node 0 already; list each core once",
        ),
        (
            "vcpus = 4",
            "numa = [{ node = 0, cores = \"0\" }, { node = 0, cores = \"1-3\" }]",
            "p.toml: hardware.numa 0: the node is there twice; give each node one table",
        ),
    ] {
        assert_eq!(refusal(from, to), message);
    }
    let cores = GOOD.find("[cores]").unwrap()..GOOD.find("[limits]").unwrap();
    assert_eq!(
        refusal(&GOOD[cores], ""),
        "p.toml: cores: a host without roles for its cores; add [cores] with control, io and video, or say kind = \"reference\""
    );
    // All roles on one core, where that is said.
    let shared = "control = \"0\"\nio = \"0\"\nvideo = \"0\"\nshared = true\n";
    let start = GOOD.find("control").unwrap();
    let end = GOOD.find("[limits]").unwrap();
    let content = format!("{}{shared}{}", &GOOD[..start], &GOOD[end..]);
    Profile::parse("p.toml", &content).unwrap();
}

#[test]
fn as_many_io_cores_as_there_are_workers_and_no_more() {
    let with = |last: u32| {
        let io = format!("io = \"1,4-{last}\"");
        let content = GOOD.replace("io = \"1\"", &io).replace("vcpus = 4\n", "");
        let content = content.replace("media_sockets = 3000\n", "");
        Profile::parse("p.toml", &content).map(|profile| profile.legs_max())
    };
    assert_eq!(with(258).unwrap(), 256 * 1_500);
    assert_eq!(
        with(259).unwrap_err().to_string(),
        "p.toml: cores.io: 257 io cores; name 256 at most"
    );
}

#[test]
fn wrong_limits() {
    for (from, to, message) in [
        (
            "legs_per_io_core = 1500",
            "legs_per_io_core = 0",
            "p.toml: limits.legs_per_io_core: 0 legs; say 1 to 16384",
        ),
        (
            "legs_per_io_core = 1500",
            "legs_per_io_core = 16385",
            "p.toml: limits.legs_per_io_core: 16385 legs; say 1 to 16384",
        ),
        (
            "media_sockets = 3000",
            "media_sockets = 2999",
            "p.toml: limits.media_sockets: 2999 sockets for 1500 legs; say 3000 or more (each leg has two), or allow fewer legs",
        ),
        (
            "media_sockets = 3000",
            "users = 5",
            "p.toml: limits.users: a figure without a source; give [limits] a source, or say \"unmeasured\"",
        ),
    ] {
        assert_eq!(refusal(from, to), message);
    }
    let profile = Profile::parse("p.toml", GOOD).unwrap();
    let more = profile.clone().with_legs_per_worker(16_384).unwrap();
    assert_eq!((more.legs_max(), more.media_sockets()), (16_384, 32_768));
    let error = profile.with_legs_per_worker(16_385).unwrap_err();
    assert_eq!(
        error.to_string(),
        "good: limits.legs_per_io_core: 16385 legs; say 1 to 16384"
    );
}

#[test]
fn wrong_names_and_sources() {
    for (from, to, message) in [
        (
            "\"good\"",
            "\"Good One\"",
            "p.toml: name: \"Good One\" is not a name; use 1 to 64 small letters, digits, dots and hyphens",
        ),
        (
            "source = \"lscpu\"",
            "source = \"ethtool\"",
            "p.toml: hardware.source: \"ethtool\" is not a source; add it to [sources] or correct the name",
        ),
        (
            "vcpus = 4",
            "vcpus = { value = 4, source = \"guess\" }",
            "p.toml: hardware.vcpus: \"guess\" is not a source; add it to [sources] or correct the name",
        ),
        (
            "vcpus = 4",
            "nics = [{ name = \"eth0\" }, { name = \"eth0\" }]",
            "p.toml: hardware.nics eth0: the interface is there twice; give each interface one table",
        ),
        (
            "[limits]",
            "capacity = [{ call = \"audio-g711\", calls = 1, source = \"lscpu\" }]\n[limits]",
            "p.toml, line 18, `capacity = [{ call = \"audio-g711\", calls = 1, source = \"lscpu\" }]`: unknown field `capacity`, \
             expected one of `control`, `io`, `video`, `shared`, `video_module_cores`; correct this line",
        ),
        (
            "[hardware]",
            "[[capacity]]\ncall = \"audio-g711\"\ncalls = 1\nsource = \"lscpu\"\n\
             [[capacity]]\ncall = \"audio-g711\"\ncalls = 2\nsource = \"lscpu\"\n[hardware]",
            "p.toml: capacity: AudioG711 is there twice; give each kind of call one row",
        ),
    ] {
        assert_eq!(refusal(from, to), message);
    }
}

#[test]
fn wrong_form_names_the_line() {
    for (from, to, message) in [
        (
            "vcpus = 4",
            "vcpu = 4",
            "p.toml, line 10, `vcpu = 4`: unknown field `vcpu`, expected one of `source`, `blades`, `modules`, `cores`, \
             `vcpus`, `memory_mib`, `numa`, `nics`; correct this line",
        ),
        (
            "vcpus = 4",
            "vcpus = \"unmeasurd\"",
            "p.toml, line 10, `vcpus = \"unmeasurd\"`: invalid value: string \"unmeasurd\", expected a whole number from 0, \
             \"unmeasured\", or { value = NUMBER, source = \"KEY OF [sources]\" }; correct this line",
        ),
        (
            "vcpus = 4",
            "vcpus = -1",
            "p.toml, line 10, `vcpus = -1`: invalid value: integer `-1`, expected a whole number from 0, \
             \"unmeasured\", or { value = NUMBER, source = \"KEY OF [sources]\" }; correct this line",
        ),
        (
            "io = \"1\"",
            "io = \"one\"",
            "p.toml, line 15, `io = \"one\"`: \"one\" is not a list of cores; write \"0\", \"1-3\" or \"0,2-5\"; correct this line",
        ),
        (
            "kind = \"host\"",
            "kind = \"guest\"",
            "p.toml, line 3, `kind = \"guest\"`: unknown variant `guest`, expected `host` or `reference`; correct this line",
        ),
    ] {
        assert_eq!(refusal(from, to), message);
    }
    let message = refusal("title = \"A good one\"\n", "");
    assert!(message.contains("missing field `title`"), "{message}");
    let message = refusal("io = \"1\"", "io = \"1");
    assert!(
        message.starts_with("p.toml, line 15, `io = \"1`: "),
        "{message}"
    );
}

#[test]
fn a_machine_that_lacks_a_core_is_told_which() {
    let profile = Profile::parse("p.toml", GOOD).unwrap();
    profile.fits(&[0, 1, 2, 3, 4].map(CoreId)).unwrap();
    assert_eq!(
        profile
            .fits(&[CoreId(0), CoreId(1)])
            .unwrap_err()
            .to_string(),
        "good: cores.video: core 2 is not here, 0-1 are; use the profile \"this-host\", or write one for this machine"
    );
}

#[test]
fn unknown_names_and_unreadable_files() {
    let error = Profile::open("mcu-4300").unwrap_err();
    assert!(matches!(&error, ProfileError::Unknown { name, .. } if name == "mcu-4300"));
    let message = error.to_string();
    assert!(
        message
            .starts_with("no profile is called \"mcu-4300\"; choose one of this-host, edge-large,"),
        "{message}"
    );
    for path in ["./nowhere.toml", "/"] {
        let error = Profile::open(path).unwrap_err();
        assert!(matches!(error, ProfileError::Read { .. }), "{error}");
        assert!(error.to_string().starts_with(path));
        assert!(std::error::Error::source(&error).is_some());
    }
    // A file without end is not read to its end.
    assert!(matches!(
        Profile::load("/dev/zero"),
        Err(ProfileError::Read { .. })
    ));
}
