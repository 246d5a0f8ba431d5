//! The program as a user starts it: settings, the ready line, the processes,
//! their deaths, and the end.

mod common;

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use common::{Folder, Server, is_alive, plenum, signal, wait_until};
use rustix::process::Signal;
use serde_json::Value;

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// What it says when it will not start.
fn refusal(command: &mut Command) -> (Option<i32>, String) {
    let output = output(command);
    assert!(output.stdout.is_empty(), "nothing but the ready line");
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), errors)
}

#[test]
fn bad_settings_are_named_with_file_line_and_what_is_allowed() {
    let folder = Folder::new();
    let file = folder.0.join("plenum.toml");
    fs::write(&file, "[sip]\nudp_prot = 5060\n").unwrap();
    let (code, errors) = refusal(plenum(&folder.0).arg("--config").arg(&file));
    assert_eq!(code, Some(78));
    let expected = format!(
        "plenum: {}:2: sip.udp_prot: there is no such setting; did you mean sip.udp_port?\n",
        file.display()
    );
    assert_eq!(errors, expected);
    let (code, errors) = refusal(plenum(&folder.0).env("PLENUM_MEDIA_ENCRYPTION", "perhaps"));
    assert_eq!(code, Some(78));
    assert!(errors.contains("PLENUM_MEDIA_ENCRYPTION (media.encryption): \"perhaps\""));
    assert!(errors.contains("\"required\", \"optional\", \"prohibited\""));
    let (code, errors) = refusal(plenum(&folder.0).env("PLENUM_PROFILE", "mainframe"));
    assert_eq!(code, Some(78));
    assert!(errors.contains("profile"), "{errors}");
}

#[test]
fn the_settings_in_force_are_printed_with_their_origin() {
    let folder = Folder::new();
    let printed = output(plenum(&folder.0).args(["serve", "--print-config"]));
    assert!(printed.status.success());
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(
        text.contains("legs_max = 10  # PLENUM_LEGS_MAX\n"),
        "{text}"
    );
    assert!(
        text.contains("encryption = \"optional\"  # default\n"),
        "{text}"
    );
    // It is a settings file.
    let file = folder.0.join("plenum.toml");
    fs::write(&file, &text).unwrap();
    let again = output(
        Command::new(env!("CARGO_BIN_EXE_plenum"))
            .args(["serve", "--print-config", "--config"])
            .arg(&file),
    );
    let again = String::from_utf8(again.stdout).unwrap();
    assert!(again.contains("legs_max = 10  # "), "{again}");
}

#[test]
fn version_help_and_internal_commands_answer() {
    let folder = Folder::new();
    let version = output(plenum(&folder.0).arg("--version"));
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("plenum "));
    let help = output(plenum(&folder.0).arg("--help"));
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("serve") && help.contains("doctor"));
    assert!(!help.contains("dataplane"), "internal commands are hidden");
    for role in ["dataplane", "control"] {
        let (code, errors) = refusal(plenum(&folder.0).arg(role));
        assert_eq!(code, Some(1));
        assert!(errors.contains("`plenum serve` starts it"), "{errors}");
    }
}

#[test]
fn doctor_finds_what_is_wrong_and_says_what_to_do() {
    let folder = Folder::new();
    let healthy = output(plenum(&folder.0).arg("doctor"));
    let text = String::from_utf8(healthy.stdout).unwrap();
    assert!(healthy.status.success(), "{text}");
    for what in [
        "kernel",
        "io_uring",
        "locked memory",
        "open files",
        "certificate",
        "HTTPS",
    ] {
        assert!(text.contains(what), "{what} is not in\n{text}");
    }
    assert!(
        fs::read_dir(&folder.0).unwrap().next().is_none(),
        "nothing stays"
    );

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let ill = output(
        plenum(&folder.0)
            .arg("doctor")
            .env("PLENUM_HTTPS_PORT", &port)
            .env("PLENUM_TLS_CERTIFICATE", "/nonexistent.pem")
            .env("PLENUM_TLS_KEY", "/nonexistent.key"),
    );
    let text = String::from_utf8(ill.stdout).unwrap();
    assert!(!ill.status.success(), "{text}");
    assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
    assert!(text.contains("else set https.port"), "{text}");
    assert!(text.contains("/nonexistent.pem"), "{text}");
}

#[test]
fn it_tells_in_one_line_how_to_reach_it_and_stops_when_asked() {
    let folder = Folder::new();
    let data = folder.0.join("data");
    let mut server = Server::start(&mut plenum(&data), &folder);
    let ready = server.ready.clone();
    assert_eq!(ready["ready"], true);
    for transport in ["udp", "tcp", "tls"] {
        assert!(server.address(transport).port() != 0);
    }
    let udp = server.address("udp");
    assert_eq!(ready["demo_space"]["uri"], format!("sip:demo@{udp}"));
    let call_id = ready["demo_space"]["call_id"].as_str().unwrap();
    assert!(call_id.bytes().all(|byte| byte.is_ascii_digit()));
    assert_eq!(ready["admin"]["user"], "admin");
    let password = ready["admin"]["password"].as_str().unwrap().to_owned();
    assert_eq!(password.len(), 16);
    let https = ready["https"].as_str().unwrap();
    let https: SocketAddr = https.strip_prefix("https://").unwrap().parse().unwrap();
    std::net::TcpStream::connect(https).unwrap();

    // Secrets are for the server's user alone.
    for file in ["first-run-credentials.json", "certificate.key"] {
        let mode = fs::metadata(data.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let roles = ["dataplane", "control"].map(|role| server.process(role).unwrap());
    let (status, took) = server.stop(Signal::INT);
    assert_eq!(status.code(), Some(0), "{}", server.log());
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert!(!roles.into_iter().any(is_alive), "nobody is left");
    assert_eq!(
        server.lines.recv_timeout(Duration::from_secs(1)),
        Err(RecvTimeoutError::Disconnected),
        "one line and no more"
    );

    // The next start knows the password as long as its file is there.
    let mut again = Server::start(&mut plenum(&data), &folder);
    assert_eq!(again.ready["admin"]["password"], password.as_str());
    assert_eq!(again.ready["demo_space"]["call_id"], call_id);
    let (status, _) = again.stop(Signal::TERM);
    assert_eq!(status.code(), Some(0));
    fs::remove_file(data.join("first-run-credentials.json")).unwrap();
    let third = Server::start(&mut plenum(&data), &folder);
    assert_eq!(third.ready["admin"], Value::Null);
}

#[test]
fn who_dies_is_replaced_on_the_same_ports() {
    let folder = Folder::new();
    let mut server = Server::start(&mut plenum(&folder.0.join("data")), &folder);
    for _ in 0..2 {
        let took = server.kill_and_wait_for_another("dataplane");
        assert!(took < Duration::from_secs(2), "{took:?}");
        server.kill_and_wait_for_another("control");
    }
    // Whoever replaced it has the port again.
    let udp = server.address("udp");
    assert!(UdpSocket::bind(udp).is_err(), "{udp} is free");
    let log = server.log();
    assert_eq!(log.matches("died, starting another").count(), 4, "{log}");
    let (status, _) = server.stop(Signal::INT);
    assert_eq!(status.code(), Some(0));
    assert!(server.lines.recv_timeout(Duration::from_secs(1)).is_err());
}

#[test]
fn a_stuck_dataplane_is_killed_and_replaced() {
    let folder = Folder::new();
    let server = Server::start(&mut plenum(&folder.0.join("data")), &folder);
    wait_until("its workers", || server.log().contains("media worker runs"));
    let old = server.process("dataplane").unwrap();
    signal(old, Signal::STOP);
    wait_until("another process", || {
        server.process("dataplane").is_some_and(|new| new != old)
    });
    assert!(server.log().contains("worker is stuck, killing it"));
}

#[test]
fn children_do_not_outlive_their_supervisor() {
    let folder = Folder::new();
    let mut server = Server::start(&mut plenum(&folder.0.join("data")), &folder);
    let roles = ["dataplane", "control"].map(|role| server.process(role).unwrap());
    server.stop(Signal::KILL);
    wait_until("their end", || !roles.into_iter().any(is_alive));
}

#[test]
fn a_port_that_is_taken_is_named_with_its_setting() {
    let folder = Folder::new();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    for (setting, variable, address) in [
        ("sip.udp_port", "PLENUM_SIP_UDP_PORT", udp.local_addr()),
        ("sip.tls_port", "PLENUM_SIP_TLS_PORT", tcp.local_addr()),
        ("https.port", "PLENUM_HTTPS_PORT", tcp.local_addr()),
    ] {
        let port = address.unwrap().port().to_string();
        let begun = Instant::now();
        let (code, errors) = refusal(plenum(&folder.0.join("data")).env(variable, &port));
        assert_eq!(code, Some(78), "{errors}");
        let last = errors.lines().rfind(|line| line.starts_with("plenum: "));
        let last = last.unwrap_or_default();
        assert!(last.contains(setting) && last.contains(&port), "{errors}");
        assert!(begun.elapsed() < Duration::from_secs(10), "it is said once");
    }
}

#[test]
fn media_ports_that_are_all_taken_are_named() {
    let folder = Folder::new();
    let first = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = first.local_addr().unwrap().port() & !1;
    let _both = [
        UdpSocket::bind(("127.0.0.1", port)),
        UdpSocket::bind(("127.0.0.1", port + 1)),
    ];
    let ports = format!("{port}-{}", port + 1);
    let (code, errors) = refusal(plenum(&folder.0).env("PLENUM_MEDIA_PORTS", &ports));
    assert_eq!(code, Some(78));
    assert!(errors.contains(&format!("media.ports: every port of {ports} is taken")));
}

#[test]
fn logs_are_json_where_wished() {
    let folder = Folder::new();
    let mut server = Server::start(
        plenum(&folder.0.join("data")).env("PLENUM_LOG_FORMAT", "json"),
        &folder,
    );
    server.stop(Signal::INT);
    let mut log = String::new();
    let mut file = fs::File::open(&server.log).unwrap();
    file.read_to_string(&mut log).unwrap();
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string());
    }
}
