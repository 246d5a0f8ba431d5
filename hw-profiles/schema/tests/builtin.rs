//! The profiles that come with the program hold the figures of the guides,
//! which stand here a second time: neither place can change alone.

use plenum_hw_profile::CallType::*;
use plenum_hw_profile::{CallType, CoreId, Fact, Kind, Profile, Quality, Role, THIS_HOST};

fn builtin(name: &str) -> Profile {
    Profile::builtin(name).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_profile_loads_and_is_called_what_its_file_is_called() {
    for name in Profile::names() {
        let profile = builtin(name);
        assert_eq!(profile.name, name);
        assert!(!profile.title.is_empty());
        match profile.kind {
            Kind::Host => {
                assert!(!profile.io_cores().is_empty(), "{name}");
                assert!(profile.media_sockets() >= 2 * profile.legs_max(), "{name}");
                assert!(!profile.modules().is_empty(), "{name}");
            }
            Kind::Reference => {
                assert!(profile.io_cores().is_empty() && profile.modules().is_empty());
                assert!(profile.fits(&[CoreId(0)]).is_err());
            }
        }
    }
}

#[test]
fn the_folder_and_the_program_have_the_same_profiles() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|path| {
            let profile = Profile::load(&path).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(
                path.file_stem().unwrap().to_str(),
                Some(profile.name.as_str())
            );
            assert_eq!(profile, Profile::open(path.to_str().unwrap()).unwrap());
            profile.name
        })
        .collect();
    files.sort_unstable();
    let mut names: Vec<_> = Profile::names().filter(|&name| name != THIS_HOST).collect();
    names.sort_unstable();
    assert_eq!(files, names);
}

#[test]
fn a_profile_survives_being_written_and_read() {
    for name in Profile::names() {
        let profile = builtin(name);
        let text = profile.to_toml();
        assert_eq!(Profile::parse(name, &text).unwrap(), profile, "{text}");
    }
}

/// Cisco Meeting Server 3.10.1 release notes, tables 3 and 4.
#[test]
fn meeting_servers_have_the_call_capacities_of_tables_3_and_4() {
    let calls = [
        FullHd60Content720p30,
        FullHdContent4k7,
        FullHdContent720p30,
        HdContent720p5,
        SdContent720p5,
        AudioG711,
        WebFullHd,
        WebHd,
        WebSd,
        WebAudio,
    ];
    let table = [
        (
            "meeting-server-1000-m5v2",
            [30, 30, 60, 120, 240, 2200, 60, 120, 240, 500],
        ),
        (
            "meeting-server-1000-m6",
            [40, 40, 80, 160, 320, 3000, 80, 160, 320, 500],
        ),
        (
            "meeting-server-2000-m5v2",
            [218, 218, 437, 875, 1250, 3000, 437, 875, 1250, 1250],
        ),
        (
            "meeting-server-2000-m6",
            [324, 324, 648, 1296, 1875, 3200, 648, 1296, 1875, 1875],
        ),
    ];
    for (name, figures) in table {
        let profile = builtin(name);
        assert_eq!(profile.capacity.len(), calls.len());
        for (call, figure) in calls.into_iter().zip(figures) {
            assert_eq!(profile.target(call), Some(figure), "{name} {call:?}");
        }
    }
}

/// The same table 4, and table 26 of the 3.8 deployment guide.
#[test]
fn meeting_servers_have_the_limits_of_the_guides() {
    for (name, load, hd_participants, users) in [
        ("meeting-server-1000-m5v2", 120_000, 120, Some(75_000)),
        ("meeting-server-1000-m6", 160_000, 120, None),
        ("meeting-server-2000-m5v2", 875_000, 450, Some(300_000)),
        ("meeting-server-2000-m6", 1_296_000, 450, None),
    ] {
        let limits = builtin(name).limits;
        assert_eq!(limits.load_limit.get(), Some(load), "{name}");
        assert_eq!(
            limits.hd_participants_per_conference.get(),
            Some(hd_participants)
        );
        assert_eq!(limits.users.get(), users, "{name}");
    }
    let chassis = builtin("meeting-server-2000-m6").hardware;
    assert_eq!(
        (chassis.blades.get(), chassis.modules.get()),
        (Some(8), Some(7))
    );
}

/// Cisco Meeting Server 3.8 single combined deployment guide, table 5 and section 3.2.1.
#[test]
fn edges_have_the_capacities_of_table_5() {
    let calls: [CallType; 4] = [
        Relayed1080p30,
        Relayed720p30,
        Relayed448p30,
        RelayedAudioG711,
    ];
    for (name, figures, vcpus, memory_mib, nic_mbps) in [
        ("edge-small", [100, 175, 250, 850], 4, 4 * 1_024, 1_000),
        ("edge-large", [350, 700, 1000, 3000], 16, 8 * 1_024, 10_000),
    ] {
        let profile = builtin(name);
        for (call, figure) in calls.into_iter().zip(figures) {
            assert_eq!(profile.target(call), Some(figure), "{name} {call:?}");
        }
        assert_eq!(profile.hardware.vcpus.get(), Some(vcpus));
        assert_eq!(profile.hardware.memory_mib.get(), Some(memory_mib));
        assert_eq!(profile.hardware.nics[0].speed_mbps.get(), Some(nic_mbps));
        assert!(u64::from(profile.legs_max()) >= figures[3]);
        assert!(profile.video_cores().is_empty());
    }
}

/// The same guide, table 8.
#[test]
fn the_recorder_costs_what_table_8_says() {
    let profile = builtin("recorder");
    let rows: Vec<_> = profile
        .recording
        .iter()
        .map(|row| {
            let figures = [
                &row.per_vcpu,
                &row.memory_mb_each,
                &row.disk_mb_per_hour_each,
                &row.at_once_max,
            ];
            (row.quality, figures.map(|fact| fact.get().unwrap()))
        })
        .collect();
    assert_eq!(
        rows,
        [
            (Quality::P720, [2, 500, 1000, 40]),
            (Quality::P1080, [1, 1000, 2000, 20]),
            (Quality::Audio, [16, 100, 150, 100]),
        ]
    );
    assert_eq!(profile.hardware.vcpus, Fact::new(4));
    assert_eq!(profile.hardware.memory_mib, Fact::new(4_096));
}

/// The same guide, table 9.
#[test]
fn the_streamer_carries_what_table_9_says() {
    let rows: Vec<_> = builtin("streamer")
        .streaming
        .iter()
        .map(|row| {
            let streams = [&row.streams_720p, &row.streams_1080p, &row.streams_audio];
            (
                row.vcpus,
                row.memory_mib / 1_024,
                streams.map(|fact| fact.get().unwrap()),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            (4, 4, [50, 37, 100]),
            (4, 8, [100, 75, 200]),
            (8, 8, [200, 150, 200])
        ]
    );
}

#[test]
fn nobody_measured_the_mcus() {
    for name in Profile::names().filter(|name| name.starts_with("mcu-")) {
        let profile = builtin(name);
        assert_eq!(profile.kind, Kind::Reference);
        assert!(!profile.capacity.is_empty());
        assert!(
            profile
                .capacity
                .iter()
                .all(|row| row.calls == Fact::UNMEASURED),
            "{name}"
        );
    }
}

#[test]
fn modules_are_bits_in_a_fixed_order() {
    let modules = builtin("meeting-server-1000-m6").modules();
    let names: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
    assert_eq!(
        names.join(" "),
        "io0 io1 io2 io3 io4 io5 video0 video1 video2 video3 video4 video5 video6 video7 video8 video9"
    );
    assert!(
        modules[..6]
            .iter()
            .all(|one| one.role == Role::Io && one.cores.len() == 1)
    );
    assert_eq!(modules[6].cores, [7, 8, 9, 10].map(CoreId));
    let video: usize = modules[6..].iter().map(|module| module.cores.len()).sum();
    assert_eq!(video, 40);
}

#[test]
fn the_limits_are_those_of_the_session_arena() {
    assert_eq!(
        plenum_hw_profile::IO_CORES_MAX,
        plenum_abi::MAX_WORKERS as usize
    );
    assert_eq!(
        plenum_hw_profile::LEGS_PER_IO_CORE_MAX,
        plenum_abi::MAX_LEGS_PER_WORKER
    );
}
