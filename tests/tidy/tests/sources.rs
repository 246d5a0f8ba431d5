//! What must never be written where.

use std::ffi::OsStr;
use std::path::Path;

use plenum_tidy::{Graph, files, production_lines, root, sources, text};

/// Crates that may say `unsafe`: the kernels, the mapping, the pools, the ring, the
/// faces of codec libraries, the bench that holds the ring against the system calls it
/// replaces, and the one that holds picture kernels against C libraries.
const UNSAFE_FOLDERS: [&str; 8] = [
    "kernels",
    "dataplane/ring",
    "dataplane/pool",
    "dataplane/uring",
    "dataplane/openh264",
    "dataplane/vpx",
    "benches/io",
    "benches/video",
];

/// Machines that take time and randomness as arguments and own no socket.
const SANS_IO_FOLDERS: [&str; 16] = [
    "kernels/src",
    "dataplane/abi/src",
    "dataplane/rtp/src",
    "dataplane/congestion/src",
    "dataplane/ice/src",
    "dataplane/dtls/src",
    "dataplane/srtp/src",
    "dataplane/codecs/src",
    "dataplane/h264/src",
    "dataplane/mixer/src",
    "dataplane/stun/src",
    "dataplane/compositor/src",
    "dataplane/turn/src",
    "controlplane/model/src",
    "controlplane/app/src",
    "controlplane/sdp/src",
];

#[test]
fn sans_io_machines_own_no_socket_clock_thread_or_entropy() {
    let forbidden = [
        "Instant::now",
        "SystemTime::now",
        "UdpSocket",
        "TcpStream",
        "TcpListener",
        "thread::spawn",
        "thread::sleep",
        "rand::rng()",
        "thread_rng",
        "OsRng",
        "getrandom",
        "std::fs",
    ];
    let sources = sources(&SANS_IO_FOLDERS);
    assert!(sources.len() > 20);
    for (path, source) in sources {
        for (number, line) in production_lines(&source) {
            for word in forbidden {
                assert!(!line.contains(word), "{}:{number}: {word}", path.display());
            }
        }
    }
}

#[test]
fn unsafe_stays_in_the_marked_crates() {
    for (path, source) in sources(&[
        "kernels",
        "dataplane",
        "controlplane",
        "hw-profiles",
        "plenum",
    ]) {
        if UNSAFE_FOLDERS.iter().any(|folder| path.starts_with(folder)) {
            continue;
        }
        // Attributes such as `unsafe_code` are words of their own.
        for (number, line) in production_lines(&source) {
            let says = line
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|w| w == "unsafe");
            assert!(!says, "{}:{number}: unsafe", path.display());
        }
    }
}

#[test]
fn every_unsafe_block_states_its_obligations() {
    for (path, source) in sources(&UNSAFE_FOLDERS) {
        let lines: Vec<&str> = source.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let opens = code.contains("unsafe {") || code.contains("unsafe impl");
            if !opens {
                continue;
            }
            let stated = lines[index.saturating_sub(12)..=index]
                .iter()
                .any(|line| line.contains("SAFETY:"));
            assert!(
                stated,
                "{}:{}: unsafe without SAFETY",
                path.display(),
                index + 1
            );
        }
    }
}

#[test]
fn every_crate_has_the_one_lint_table() {
    let parse = |path: &Path| -> toml::Table {
        text(path).expect("a manifest").parse().expect("valid TOML")
    };
    let workspace = parse(Path::new("Cargo.toml"));
    let mut rust = workspace["workspace"]["lints"]["rust"]
        .as_table()
        .expect("a table")
        .clone();
    let clippy = &workspace["workspace"]["lints"]["clippy"];
    assert_eq!(
        rust.remove("unsafe_code")
            .and_then(|v| v.as_str().map(str::to_owned))
            .as_deref(),
        Some("forbid")
    );
    for folder in Graph::load().members().values() {
        let manifest = parse(&folder.join("Cargo.toml"));
        let lints = &manifest["lints"];
        if UNSAFE_FOLDERS
            .iter()
            .any(|marked| folder == Path::new(marked))
        {
            assert_eq!(
                lints["rust"].as_table(),
                Some(&rust),
                "{}",
                folder.display()
            );
            assert_eq!(&lints["clippy"], clippy, "{}", folder.display());
        } else {
            assert_eq!(
                lints["workspace"].as_bool(),
                Some(true),
                "{}",
                folder.display()
            );
        }
    }
}

#[test]
fn crates_are_named_after_their_folders() {
    // The binary's crate and the servers of the planes carry the product's names.
    let exceptions = ["plenum", "plenum-dataplane", "plenum-hw-profile"];
    for (name, folder) in Graph::load().members() {
        if exceptions.contains(&name.as_str()) {
            continue;
        }
        let last = folder.file_name().expect("a folder").to_string_lossy();
        assert!(
            name.starts_with("plenum-") && name.ends_with(&*last),
            "{name} in {}",
            folder.display()
        );
    }
}

#[test]
fn nothing_unfinished_is_left_behind() {
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[", "ignore"),
        concat!("FIX", "ME"),
    ];
    for (path, source) in sources(&["."]).into_iter().chain(sources(&[""])) {
        for (index, line) in source.lines().enumerate() {
            for word in words {
                assert!(
                    !line.contains(word),
                    "{}:{}: {word}",
                    path.display(),
                    index + 1
                );
            }
        }
    }
}

#[test]
fn a_source_file_is_one_room() {
    for (path, source) in sources(&[""]) {
        let lines = source.lines().count();
        assert!(lines <= 900, "{} has {lines} lines", path.display());
    }
}

/// Whether a file is part of a suite rather than its head: `src/x/tests.rs` and
/// what lies below it, or a module beside `tests/suite/main.rs`. What those test
/// is their name, and each test's name is a sentence; a header would repeat it.
fn is_part_of_a_suite(path: &Path) -> bool {
    let below_src = path.iter().any(|part| part == "src");
    let in_suite = |part: &OsStr| part == "tests" || part == "tests.rs";
    if below_src {
        return path.iter().skip_while(|part| *part != "src").any(in_suite);
    }
    let mut after = path.iter().skip_while(|part| *part != "tests").skip(2);
    // A module has a folder of its suite before it; `main.rs` and `mod.rs` are heads.
    matches!(after.next(), Some(file) if file != "main.rs" && file != "mod.rs")
}

#[test]
fn every_crate_and_module_says_what_it_is() {
    for (path, source) in sources(&[
        "kernels",
        "dataplane",
        "controlplane",
        "hw-profiles",
        "plenum",
        "tests",
        "benches",
    ]) {
        // The crates below tests/ are code like any other.
        let relative = path.strip_prefix("tests").unwrap_or(&path);
        if is_part_of_a_suite(relative) {
            continue;
        }
        let first = source
            .lines()
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        assert!(first.starts_with("//!"), "{} has no header", path.display());
    }
}

#[test]
fn the_repository_names_no_machine_of_ours() {
    // Where it happens to be checked out has no place in it.
    let checkout = root().to_string_lossy().into_owned();
    for path in files() {
        let Some(text) = text(&path) else { continue };
        assert!(!text.contains(&checkout), "{}: {checkout}", path.display());
    }
}
