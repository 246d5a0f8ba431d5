//! What the settings name: folder, certificate, addresses, ports.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;

use super::Finding;
use crate::config::{Config, Settings, TurnServe};
use crate::{addresses, certificate, clock, supervise};

/// Days left at which an administrator is told.
const CERTIFICATE_DAYS: i64 = 30;
/// Media ports that are tried.
const PORTS_TRIED: usize = 64;

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let settings = &config.settings;
    let mut findings = vec![data_dir(&settings.general.data_dir), tls(settings)];
    match addresses::expand(&settings.general.listen) {
        Ok(addresses) if addresses.is_empty() => findings.push(Finding::fail(
            "listen addresses",
            "none",
            "the machine has no address of this kind: set listen",
        )),
        Ok(addresses) => {
            let text: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            findings.push(Finding::ok("listen addresses", text.join(", ")));
            findings.extend(ports(settings, &addresses));
            findings.push(browser_port(settings, &addresses));
        }
        Err(error) => findings.push(Finding::fail("listen addresses", error.to_string(), "")),
    }
    findings.push(media_ports(settings));
    findings.push(turn(settings));
    findings
}

/// Whether files can be made in the folder, or the folder itself.
fn data_dir(path: &Path) -> Finding {
    let shown = path.display();
    let existing = path
        .ancestors()
        .find(|folder| folder.as_os_str().is_empty() || folder.exists());
    let folder = match existing {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    };
    let probe = folder.join(format!(".plenum-doctor-{}", std::process::id()));
    let tried = certificate::write_private(&probe, b"").and_then(|()| std::fs::remove_file(&probe));
    match tried {
        Ok(()) if folder == path => Finding::ok("data folder", format!("{shown} can be written")),
        Ok(()) => Finding::ok("data folder", format!("{shown} will be made")),
        Err(error) => Finding::fail(
            "data folder",
            format!("{}: {error}", folder.display()),
            "set data_dir to a folder that this user may write to",
        ),
    }
}

fn tls(settings: &Settings) -> Finding {
    const WHAT: &str = "certificate";
    let configured = settings.tls.certificate.get().is_some();
    let identity = match certificate::existing(settings) {
        Ok(Some(identity)) => identity,
        Ok(None) => return Finding::ok(WHAT, "a self-signed one will be made"),
        Err(error) if configured => {
            return Finding::fail(
                WHAT,
                error.to_string(),
                "give it certificate and key in PEM",
            );
        }
        Err(error) => {
            let remedy = "it will be made anew at the next start";
            return Finding::warn(WHAT, error.to_string(), remedy);
        }
    };
    if let Err(error) = identity.server() {
        return Finding::fail(
            WHAT,
            error.to_string(),
            "certificate and key must be a pair",
        );
    }
    let Some(facts) = identity.facts() else {
        return Finding::fail(WHAT, "it is not X.509", "give it a certificate in PEM");
    };
    let days = facts.days_left(clock::unix_ms() / 1_000);
    let own = if configured { "" } else { "self-signed, " };
    let found = format!("{own}{days} days left, for {}", names(&facts));
    match (days, configured) {
        (..0, true) => Finding::fail(WHAT, found, "it has expired: get a new one"),
        (..0, false) => Finding::warn(WHAT, found, "it will be made anew at the next start"),
        (..CERTIFICATE_DAYS, true) => Finding::warn(WHAT, found, "get a new one soon"),
        (_, true) => Finding::ok(WHAT, found),
        (_, false) => Finding::ok(WHAT, found),
    }
}

fn names(facts: &certificate::Facts) -> String {
    let addresses = facts.addresses.iter().map(ToString::to_string);
    let names: Vec<String> = facts.names.iter().cloned().chain(addresses).collect();
    names.join(", ")
}

fn ports(settings: &Settings, addresses: &[IpAddr]) -> Vec<Finding> {
    let sip = &settings.sip;
    let wanted = [
        ("SIP over UDP", "sip.udp_port", sip.udp_port),
        ("SIP over TCP", "sip.tcp_port", sip.tcp_port),
        ("SIP over TLS", "sip.tls_port", sip.tls_port),
        ("HTTPS", "https.port", settings.https.port),
    ];
    let bind = |setting, address: SocketAddr| match setting {
        "sip.udp_port" => UdpSocket::bind(address).map(drop),
        _ => TcpListener::bind(address).map(drop),
    };
    wanted
        .into_iter()
        .map(|(what, setting, port)| {
            for ip in addresses {
                let address = SocketAddr::new(*ip, port);
                if let Err(error) = bind(setting, address) {
                    let remedy = match error.kind() {
                        io::ErrorKind::AddrInUse => {
                            format!(
                                "another program has it, or the server runs: else set {setting}"
                            )
                        }
                        io::ErrorKind::AddrNotAvailable => {
                            "the address is not this machine's: set listen".to_owned()
                        }
                        _ => format!("set {setting}"),
                    };
                    return Finding::fail(what, format!("{address}: {error}"), remedy);
                }
            }
            Finding::ok(what, format!("port {port} is free"))
        })
        .collect()
}

/// The first worker's; those above it are tried when the server starts.
fn browser_port(settings: &Settings, addresses: &[IpAddr]) -> Finding {
    const WHAT: &str = "WebRTC";
    let port = settings.media.webrtc_port;
    match supervise::bind_browser_sockets(addresses, port, 0) {
        Ok(_) if port == 0 => Finding::ok(WHAT, "the kernel chooses the port"),
        Ok(_) => Finding::ok(WHAT, format!("UDP port {port} is free")),
        Err((address, error)) => Finding::fail(
            WHAT,
            format!("UDP {address}: {error}"),
            "another program has it, or the server runs: else set media.webrtc_port",
        ),
    }
}

fn media_ports(settings: &Settings) -> Finding {
    let range = settings.media.ports.range();
    let address = supervise::bind_address(&settings.general.listen);
    let shown = format!("{}-{}", range.start(), range.end());
    let tried = PORTS_TRIED.min(range.len() / 2);
    match supervise::bind_pairs(address, range, tried, 0) {
        Ok(pairs) if pairs.len() == tried => {
            Finding::ok("media ports", format!("{shown} are free"))
        }
        Ok(pairs) if pairs.is_empty() => Finding::fail(
            "media ports",
            format!("every port of {shown} is taken"),
            "set media.ports",
        ),
        Ok(pairs) => Finding::warn(
            "media ports",
            format!("only {} pairs of {shown} are free", pairs.len()),
            "the server takes fewer legs: set media.ports",
        ),
        Err(error) => Finding::fail(
            "media ports",
            format!("{address}: {error}"),
            "set listen to addresses of this machine",
        ),
    }
}

/// Whether TURN is served, and if so, whether its ports are free.
fn turn(settings: &Settings) -> Finding {
    const WHAT: &str = "TURN";
    if !crate::turn::is_served(settings) {
        let found = match settings.turn.serve {
            TurnServe::Auto => "off: only this machine reaches the listen addresses",
            _ => "off",
        };
        return Finding::ok(WHAT, found);
    }
    let Ok(addresses) = addresses::expand(&settings.general.listen) else {
        return Finding::fail(WHAT, "no listen address", "set listen");
    };
    let turn = &settings.turn;
    let clear = turn.ports.0.iter().map(|port| ("turn.ports", port, true));
    let tls = turn
        .tls_ports
        .0
        .iter()
        .map(|port| ("turn.tls_ports", port, false));
    for (setting, port, over_udp) in clear.chain(tls) {
        for ip in &addresses {
            let address = SocketAddr::new(*ip, *port);
            let bound = TcpListener::bind(address).map(drop).and_then(|()| {
                if over_udp {
                    UdpSocket::bind(address).map(drop)
                } else {
                    Ok(())
                }
            });
            if let Err(error) = bound {
                let remedy =
                    format!("another program has it, or the server runs: else set {setting}");
                return Finding::fail(WHAT, format!("{address}: {error}"), remedy);
            }
        }
    }
    let relays = turn.relay_ports.range();
    Finding::ok(
        WHAT,
        format!(
            "ports are free; relays on {}-{}, {} allocations",
            relays.start(),
            relays.end(),
            turn.allocations_max.get()
        ),
    )
}
