//! Machines made of files, and the real one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A folder that looks like `/` of a machine, gone when dropped.
struct Machine(PathBuf);

impl Machine {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("plenum-hw-profile-{}-{count}", std::process::id());
        let root = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&root).unwrap();
        Self(root)
    }

    fn with(self, path: &str, content: &str) -> Self {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    fn with_cores(self, list: &str) -> Self {
        let status = format!("Name:\tplenum\nCpus_allowed:\tff\nCpus_allowed_list:\t{list}\n");
        self.with("proc/thread-self/status", &status)
            .with("sys/devices/system/cpu/online", &format!("{list}\n"))
    }

    fn profile(&self) -> Profile {
        let profile = detect_under(&self.0, usize::MAX);
        profile.validate("detected").unwrap();
        profile
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(cores: &[CoreId]) -> String {
    CoreList(cores.to_vec()).to_string()
}

/// Control, io and video.
fn roles(profile: &Profile) -> (String, String, String) {
    (
        text(profile.control_cores()),
        text(profile.io_cores()),
        text(profile.video_cores()),
    )
}

#[test]
fn the_machine_we_are_on_has_a_valid_profile_that_fits() {
    let profile = Profile::detect();
    profile.validate("this-host").unwrap();
    assert_eq!(profile.name, THIS_HOST);
    let usable: Vec<CoreId> = profile
        .hardware
        .numa
        .iter()
        .flat_map(|node| node.cores.0.iter().copied())
        .collect();
    profile.fits(&usable).unwrap();
    assert_eq!(profile.hardware.vcpus.get(), Some(usable.len() as u64));
    let parallel = std::thread::available_parallelism().unwrap().get();
    assert!(usable.len() <= parallel, "{usable:?}");
    assert!(profile.hardware.memory_mib.get() > Some(64));
    assert!(profile.media_sockets() >= 2 * profile.legs_max());
}

#[test]
fn cores_are_shared_out_by_their_number() {
    for (online, control, io, video) in [
        ("0", "0", "0", "0"),
        ("5", "5", "5", "5"),
        ("0-1", "0", "1", "0-1"),
        ("0-2", "0", "1", "2"),
        ("0-3", "0", "1", "2-3"),
        ("0-7", "0", "1", "2-7"),
        ("0-8", "0", "1-2", "3-8"),
        ("4-19", "4", "5-6", "7-19"),
        ("0-47", "0-1", "2-7", "8-47"),
        ("0-255", "0-7", "8-39", "40-255"),
    ] {
        let profile = Machine::new().with_cores(online).profile();
        let wanted = (control.into(), io.into(), video.into());
        assert_eq!(roles(&profile), wanted, "{online}");
    }
}

#[test]
fn one_core_carries_half_the_legs() {
    let one = Machine::new().with_cores("0").profile();
    assert_eq!((one.legs_per_worker(), one.media_sockets()), (500, 1_000));
    let two = Machine::new().with_cores("0-1").profile();
    assert_eq!((two.legs_per_worker(), two.media_sockets()), (1_000, 2_000));
    let names: Vec<String> = two.modules().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["io0", "video0", "video1"]);
}

#[test]
fn an_affinity_mask_and_a_quota_are_respected() {
    let machine = Machine::new()
        .with("proc/thread-self/status", "Cpus_allowed_list:\t3-6,200\n")
        .with("sys/devices/system/cpu/online", "0-7\n");
    assert_eq!(
        roles(&machine.profile()),
        ("3".into(), "4".into(), "5-6".into())
    );
    let limited = detect_under(&machine.0, 2);
    assert_eq!(roles(&limited), ("3".into(), "4".into(), "3-4".into()));
}

#[test]
fn the_twin_of_an_io_core_stays_idle() {
    let mut machine = Machine::new().with_cores("0-7");
    for core in 0..8 {
        let path = format!("sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
        machine = machine.with(&path, &format!("{},{}\n", core % 4, core % 4 + 4));
    }
    let profile = machine.profile();
    assert_eq!(profile.hardware.cores, Fact::new(4));
    assert_eq!(profile.hardware.vcpus, Fact::new(8));
    assert_eq!(
        roles(&profile),
        ("0,4".into(), "1".into(), "2,6,3,7".into())
    );
}

#[test]
fn io_cores_are_on_the_node_of_the_fastest_interface() {
    let machine = Machine::new()
        .with_cores("0-15")
        .with("sys/devices/system/node/node0/cpulist", "0-7\n")
        .with(
            "sys/devices/system/node/node0/meminfo",
            "Node 0 MemTotal:  2097152 kB\n",
        )
        .with("sys/devices/system/node/node1/cpulist", "8-15\n")
        .with(
            "proc/meminfo",
            "MemTotal:        4194304 kB\nMemFree: 1 kB\n",
        )
        .with("sys/class/net/eth0/type", "1\n")
        .with("sys/class/net/eth0/operstate", "up\n")
        .with("sys/class/net/eth0/speed", "1000\n")
        .with("sys/class/net/eth0/device/numa_node", "0\n")
        .with("sys/class/net/eth1/type", "1\n")
        .with("sys/class/net/eth1/operstate", "down\n")
        .with("sys/class/net/eth1/speed", "25000\n")
        .with("sys/class/net/eth1/device/numa_node", "1\n")
        .with("sys/class/net/lo/type", "772\n")
        .with("sys/class/net/lo/operstate", "up\n")
        .with("sys/class/net/ifb0/type", "1\n")
        .with("sys/class/net/ifb0/operstate", "down\n");
    let profile = machine.profile();
    assert_eq!(
        roles(&profile),
        ("0".into(), "8-9".into(), "1-7,10-15".into())
    );
    let nics: Vec<_> = profile
        .hardware
        .nics
        .iter()
        .map(|nic| (nic.name.as_str(), nic.speed_mbps.get()))
        .collect();
    assert_eq!(nics, [("eth0", Some(1_000)), ("eth1", Some(25_000))]);
    assert_eq!(profile.hardware.memory_mib, Fact::new(4_096));
    let memory: Vec<_> = profile
        .hardware
        .numa
        .iter()
        .map(|node| node.memory_mib.get())
        .collect();
    assert_eq!(memory, [Some(2_048), None]);
}

#[test]
fn a_container_has_the_memory_of_its_group() {
    let machine = Machine::new()
        .with_cores("0")
        .with("proc/meminfo", "MemTotal: 4194304 kB\n");
    let machine = machine.with("sys/fs/cgroup/memory.max", "max\n");
    assert_eq!(machine.profile().hardware.memory_mib, Fact::new(4_096));
    let machine = machine.with("sys/fs/cgroup/memory.max", "1073741824\n");
    assert_eq!(machine.profile().hardware.memory_mib, Fact::new(1_024));
}

#[test]
fn nothing_readable_is_one_core_and_garbage_is_nothing() {
    let nothing = Machine::new().profile();
    assert_eq!(roles(&nothing), ("0".into(), "0".into(), "0".into()));
    assert_eq!(nothing.hardware.memory_mib, Fact::UNMEASURED);
    let garbage = Machine::new()
        .with("proc/thread-self/status", "Cpus_allowed_list:\tmany\n")
        .with("sys/devices/system/cpu/online", "\n")
        .with("sys/devices/system/node/node0/cpulist", "0-\n")
        .with("sys/devices/system/node/nodeX/cpulist", "0\n")
        .with("proc/meminfo", "MemTotal: lots\n")
        .with("sys/class/net/eth0/type", "1\n")
        .with("sys/class/net/eth0/operstate", "up\n")
        .with("sys/class/net/eth0/speed", "-1\n");
    let profile = garbage.profile();
    assert_eq!(roles(&profile), ("0".into(), "0".into(), "0".into()));
    assert_eq!(profile.hardware.nics[0].speed_mbps, Fact::UNMEASURED);
}
