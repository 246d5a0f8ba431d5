//! What settings and data folder say about TURN.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use plenum_turn::{Config, Limits, PeerFilter, Realm, RelayAddress, RelayPorts};
use rand::Rng;
use rand::distr::Alphanumeric;

use crate::addresses;
use crate::certificate::{make_private_folder, write_private};
use crate::config::{Settings, TurnServe};

/// File of the shared secret in the data folder.
const SECRET_FILE: &str = "turn-secret";
/// Characters of a secret that is made: 32 of 62 are 190 bits.
const SECRET_LEN: usize = 32;

/// Whether a server that takes calls serves TURN too: when it is to, or when
/// others than this machine can reach it, for only they could need it.
pub(crate) fn is_served(settings: &Settings) -> bool {
    match settings.turn.serve {
        TurnServe::On => true,
        TurnServe::Off => false,
        TurnServe::Auto => settings.general.listen.iter().any(|ip| !ip.is_loopback()),
    }
}

/// The address that clients find our own TURN server at.
pub(crate) fn own_host(settings: &Settings) -> Option<IpAddr> {
    let public = settings
        .turn
        .public_ip
        .get()
        .or(settings.media.public_ip.get());
    let addresses = addresses::expand(&settings.general.listen).unwrap_or_default();
    public.or_else(|| addresses.first().copied())
}

/// Where clients find our own TURN server, as URIs of RFC 7065: UDP first, then
/// TCP; TLS only under a certificate that was given, for browsers want a name that
/// they trust. None where the kernel chose the ports.
pub(crate) fn own_urls(settings: &Settings, own_domain: &str) -> Vec<String> {
    let turn = &settings.turn;
    let Some(host) = own_host(settings) else {
        return Vec::new();
    };
    let host = addresses::uri_host(host);
    let mut urls = Vec::new();
    for port in turn.ports.0.iter().filter(|port| **port != 0) {
        urls.push(format!("turn:{host}:{port}?transport=udp"));
        urls.push(format!("turn:{host}:{port}?transport=tcp"));
    }
    if settings.tls.certificate.get().is_some() {
        for port in turn.tls_ports.0.iter().filter(|port| **port != 0) {
            urls.push(format!("turns:{own_domain}:{port}?transport=tcp"));
        }
    }
    urls
}

/// The secret of time-limited credentials: the setting, else the one in the data
/// folder, which is made where there is none.
///
/// # Errors
/// The folder cannot be written to.
pub(crate) fn read_secret(settings: &Settings) -> io::Result<String> {
    if !settings.turn.secret.get().is_empty() {
        return Ok(settings.turn.secret.get().to_owned());
    }
    let folder = &settings.general.data_dir;
    let path = folder.join(SECRET_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let secret: String = rand::rng()
        .sample_iter(Alphanumeric)
        .take(SECRET_LEN)
        .map(char::from)
        .collect();
    make_private_folder(folder)?;
    write_private(&path, secret.as_bytes())?;
    Ok(secret)
}

/// Why the file of users cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("turn.users_file: {path}: {problem}")]
pub(crate) struct UsersError {
    path: String,
    problem: String,
}

/// Reads the file of users: `user:password` a line, in the realm of the settings
/// or, below a line `[realm]`, in that one.
fn add_users(realms: &mut Vec<Realm>, path: &Path) -> Result<(), UsersError> {
    let wrong = |problem: String| UsersError {
        path: path.display().to_string(),
        problem,
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let mut here = 0;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let known = realms.iter().position(|realm| realm.name() == name);
            here = known.unwrap_or_else(|| {
                realms.push(Realm::new(name));
                realms.len() - 1
            });
            continue;
        }
        let (user, password) = line
            .split_once(':')
            .filter(|(user, password)| !user.is_empty() && !password.is_empty())
            .ok_or_else(|| wrong(format!("line {number} is not user:password")))?;
        let realm = std::mem::replace(&mut realms[here], Realm::new(""));
        realms[here] = realm.with_user(user, password);
    }
    Ok(())
}

/// What all workers are told; the ports are each one's own.
///
/// # Errors
/// [`UsersError`].
pub(crate) fn machine_config(
    settings: &Settings,
    secret: &str,
    nonce_key: [u8; 32],
    relay_v4: Option<RelayAddress>,
    relay_v6: Option<RelayAddress>,
    own: Vec<IpAddr>,
    server_ports: Vec<u16>,
) -> Result<Config, UsersError> {
    let turn = &settings.turn;
    let mut realms = vec![Realm::new(&turn.realm).with_secret(secret.as_bytes())];
    if let Some(path) = turn.users_file.get() {
        add_users(&mut realms, path)?;
    }
    let kilobits = |value: u64| value * 1_000 / 8;
    Ok(Config {
        realms,
        relay_v4,
        relay_v6,
        ports: RelayPorts::default(),
        server_ports,
        peers: PeerFilter {
            allowed: turn.allow_peers.0.clone(),
            refused: turn.refuse_peers.0.clone(),
            own,
        },
        limits: Limits {
            allocations_per_user: u32::try_from(turn.user_allocations_max.get())
                .unwrap_or(u32::MAX),
            user_bytes_per_s: kilobits(turn.user_kbit_s.get()),
            all_bytes_per_s: kilobits(turn.all_kbit_s.get()),
            ..Limits::default()
        },
        nonce_key,
        alternates: turn.alternate.get().into_iter().collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_belong_to_the_realm_above_them() {
        let path = std::env::temp_dir().join(format!("plenum-users-{}", std::process::id()));
        std::fs::write(
            &path,
            "# who\nalice:a:b\n[second]\nbob:pw\n[first]\ncarol:c\n",
        )
        .unwrap();
        let mut realms = vec![Realm::new("first")];
        add_users(&mut realms, &path).unwrap();
        let shown: Vec<String> = realms.iter().map(|realm| format!("{realm:?}")).collect();
        assert_eq!(realms.len(), 2);
        assert!(
            shown[0].contains("users: 2") && shown[1].contains("users: 1"),
            "{shown:?}"
        );
        std::fs::write(&path, "alice\n").unwrap();
        let error = add_users(&mut realms, &path).unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
        std::fs::remove_file(&path).unwrap();
    }
}
