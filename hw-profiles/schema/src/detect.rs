//! The profile of the machine we are on.
//!
//! Read from `/proc` and `/sys`; what cannot be read is "unmeasured", and the
//! worst that can happen is a profile of one shared core. Then the cores are
//! shared out:
//!
//! | cores | control | io | video | why |
//! |---|---|---|---|---|
//! | 1 | 0 | 0 | 0 | nothing to choose; priorities keep sound on time |
//! | 2 | 0 | 1 | 0, 1 | packets stay away from the kernel's interrupts and the control plane; pictures take what both leave |
//! | 3 and more | 1 of 32 | 1 of 8 | the rest | see below |
//!
//! An io core carries 1,000 legs by default and is expected to carry some
//! thousands; a video core makes eight to some dozens of 720p pictures. Where
//! all calls have pictures, one io core would serve more than thirty video
//! cores; where none has, video cores are idle anyway and the io limit is what
//! counts. One in eight leaves room for relaying and for calls that only
//! speak. Control needs little at any size.
//!
//! A core is a physical one here. Its second thread, where there is one, has
//! the first one's role, except that an io core's stays idle: a busy twin
//! takes up to half its speed at moments nobody chooses.

use std::collections::BTreeMap;
use std::path::Path;

use crate::{
    CoreId, CoreList, Cores, Fact, Hardware, Kind, Limits, Nic, NumaNode, Profile, THIS_HOST,
};

/// A physical core.
#[derive(Debug)]
struct Core {
    /// Its logical processors that we may use, lowest first; never empty.
    threads: Vec<CoreId>,
    /// Its NUMA node.
    node: u32,
}

impl Profile {
    /// The machine we are on, as far as this process may use it. What cannot
    /// be found out is "unmeasured"; the profile is valid in any case.
    #[must_use]
    pub fn detect() -> Self {
        // Knows of quotas on time, which no affinity mask shows.
        let quota = std::thread::available_parallelism().map_or(1, usize::from);
        detect_under(Path::new("/"), quota)
    }
}

fn detect_under(root: &Path, quota: usize) -> Profile {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let list = |path: &str| read(path)?.trim().parse::<CoreList>().ok();

    let online = list("sys/devices/system/cpu/online");
    let allowed = read("proc/thread-self/status")
        .or_else(|| read("proc/self/status"))
        .and_then(|status| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
            line.trim().parse::<CoreList>().ok()
        });
    // Far more processors can be possible than are there.
    let mut usable = match (allowed, online) {
        (Some(allowed), Some(online)) => {
            let both = allowed.0.iter().filter(|core| online.0.contains(core));
            both.copied().collect()
        }
        (Some(one), None) | (None, Some(one)) => one.0,
        (None, None) => Vec::new(),
    };
    usable.sort_unstable();
    usable.dedup();
    if usable.is_empty() {
        usable.push(CoreId(0));
    }
    usable.truncate(quota.max(1));

    let numa = numa(root, &usable);
    let nics = nics(root);
    let cores = physical(root, &usable, &numa);
    let fastest = nics.iter().max_by_key(|nic| nic.speed_mbps.get());
    let roles = share(&cores, fastest.and_then(|nic| nic.numa_node));
    let memory_mib = memory_mib(root);
    let legs_per_io_core = if cores.len() == 1 { 500 } else { 1_000 };
    Profile {
        name: THIS_HOST.to_owned(),
        title: "This machine".to_owned(),
        kind: Kind::Host,
        sources: BTreeMap::from([(
            "detected".to_owned(),
            "/proc and /sys of the machine itself".to_owned(),
        )]),
        hardware: Hardware {
            source: "detected".to_owned(),
            cores: Fact::new(cores.len() as u64),
            vcpus: Fact::new(usable.len() as u64),
            memory_mib: memory_mib.into(),
            numa,
            nics,
            ..Hardware::default()
        },
        limits: Limits {
            legs_per_io_core,
            media_sockets: Some(2 * legs_per_io_core * roles.io.0.len() as u32),
            ..Limits::default()
        },
        cores: Some(roles),
        capacity: Vec::new(),
        recording: Vec::new(),
        streaming: Vec::new(),
    }
}

/// Nodes with cores that we may use; at least one, which has all that the
/// others lack.
fn numa(root: &Path, usable: &[CoreId]) -> Vec<NumaNode> {
    let mut nodes = Vec::new();
    let mut placed: Vec<CoreId> = Vec::new();
    for (node, folder) in numbered(&root.join("sys/devices/system/node"), "node") {
        let text = std::fs::read_to_string(folder.join("cpulist")).unwrap_or_default();
        let listed: CoreList = text.trim().parse().unwrap_or_default();
        let here = |core: &&CoreId| listed.0.contains(core) && !placed.contains(core);
        let cores: CoreList = usable.iter().filter(here).copied().collect();
        if cores.0.is_empty() {
            continue;
        }
        placed.extend(&cores.0);
        let meminfo = std::fs::read_to_string(folder.join("meminfo")).unwrap_or_default();
        nodes.push(NumaNode {
            node,
            cores,
            memory_mib: mem_total_mib(&meminfo).into(),
        });
    }
    let homeless = usable.iter().filter(|core| !placed.contains(core)).copied();
    let homeless: Vec<CoreId> = homeless.collect();
    if !homeless.is_empty() {
        match nodes.first_mut() {
            Some(first) => first.cores.0.extend(homeless),
            None => nodes.push(NumaNode {
                node: 0,
                cores: CoreList(homeless),
                memory_mib: Fact::UNMEASURED,
            }),
        }
    }
    nodes
}

/// Folders `PREFIX<number>` in the order of their numbers.
fn numbered(folder: &Path, prefix: &str) -> BTreeMap<u32, std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let number = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect()
}

/// The `MemTotal` of a `meminfo`, which is in kB.
fn mem_total_mib(meminfo: &str) -> Option<u64> {
    let (_, rest) = meminfo.split_once("MemTotal:")?;
    Some(rest.split_whitespace().next()?.parse::<u64>().ok()? / 1_024)
}

/// Memory of the machine, or of the container where that has less.
fn memory_mib(root: &Path) -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    let machine = mem_total_mib(&read("proc/meminfo")?)?;
    let container = read("sys/fs/cgroup/memory.max");
    let container = container.and_then(|text| text.trim().parse::<u64>().ok());
    Some(container.map_or(machine, |bytes| machine.min(bytes >> 20)))
}

/// Interfaces of hardware, and what a container has in their place.
fn nics(root: &Path) -> Vec<Nic> {
    /// `ARPHRD_ETHER`.
    const ETHERNET: &str = "1";
    let entries = std::fs::read_dir(root.join("sys/class/net"));
    let mut nics: Vec<Nic> = entries
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let folder = entry.path();
            let read = |file: &str| {
                let text = std::fs::read_to_string(folder.join(file)).ok()?;
                Some(text.trim().to_owned())
            };
            let up = read("operstate").is_some_and(|state| state == "up");
            if read("type").as_deref() != Some(ETHERNET) || !(up || folder.join("device").exists())
            {
                return None;
            }
            // Virtual ones say -1, or refuse to say.
            let number = |file: &str| read(file)?.parse::<u32>().ok();
            Some(Nic {
                name: entry.file_name().to_str()?.to_owned(),
                speed_mbps: number("speed").map(u64::from).into(),
                numa_node: number("device/numa_node"),
            })
        })
        .collect();
    nics.sort_by(|a, b| a.name.cmp(&b.name));
    nics
}

/// Physical cores by their lowest logical processor.
fn physical(root: &Path, usable: &[CoreId], numa: &[NumaNode]) -> Vec<Core> {
    let mut cores: Vec<Core> = Vec::new();
    for &id in usable {
        if cores.iter().any(|core| core.threads.contains(&id)) {
            continue;
        }
        let path = format!("sys/devices/system/cpu/cpu{id}/topology/thread_siblings_list");
        let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
        let siblings: CoreList = text.trim().parse().unwrap_or_default();
        let free = |other: &&CoreId| {
            **other > id
                && siblings.0.contains(other)
                && !cores.iter().any(|core| core.threads.contains(other))
        };
        let twins = usable.iter().filter(free);
        let threads: Vec<CoreId> = std::iter::once(&id).chain(twins).copied().collect();
        let mut nodes = numa.iter();
        let node = nodes.find(|node| node.cores.0.contains(&id));
        cores.push(Core {
            threads,
            node: node.map_or(0, |node| node.node),
        });
    }
    cores
}

/// Gives cores their roles; `near` is the node of the fastest interface.
fn share(cores: &[Core], near: Option<u32>) -> Cores {
    let count = cores.len();
    let threads = |cores: &[&Core]| -> CoreList {
        cores
            .iter()
            .flat_map(|core| core.threads.iter().copied())
            .collect()
    };
    let first = |core: &Core| CoreList(vec![core.threads[0]]);
    let all: Vec<&Core> = cores.iter().collect();
    if count <= 2 {
        let io = first(cores.last().unwrap_or(&cores[0]));
        let video = cores.iter().map(|core| core.threads[0]).collect();
        return Cores {
            control: threads(&all[..1]),
            io,
            video,
            shared: true,
            video_module_cores: 1,
        };
    }
    // The lowest cores: kernels send their interrupts there by default.
    let (control, mut rest) = (
        &all[..count.div_ceil(32)],
        all[count.div_ceil(32)..].to_vec(),
    );
    // A stable sort: near ones first, else in the order of numbers.
    rest.sort_by_key(|core| near.is_some_and(|near| core.node != near));
    let (io, video) = rest.split_at(count.div_ceil(8));
    let mut video = video.to_vec();
    video.sort_by_key(|core| core.threads[0]);
    Cores {
        control: threads(control),
        io: io.iter().map(|core| core.threads[0]).collect(),
        video: threads(&video),
        shared: false,
        video_module_cores: 4,
    }
}

#[cfg(test)]
mod tests;
