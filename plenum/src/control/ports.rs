//! Ports that are listened on, and that stay the same over a restart.
//!
//! Phones keep calling the address they once called. Where a setting lets the
//! kernel choose a port (0), the choice is kept in the store, so that a control
//! process that replaces a dead one listens where that one did.

use std::io;
use std::net::{IpAddr, SocketAddr};

use plenum_sip::{Listener, Transport};
use plenum_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::config::Settings;

/// Where the chosen ports are kept.
const SETTING: &str = "runtime.ports";

/// Why HTTPS cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortsError {
    /// The port is taken, or the address is not ours.
    #[error("https.port: cannot listen on TCP {address}: {source}")]
    Bind {
        address: SocketAddr,
        source: io::Error,
    },
    /// The same of the port that sends browsers on.
    #[error("https.redirect_port: cannot listen on TCP {address}: {source}")]
    BindRedirect {
        address: SocketAddr,
        source: io::Error,
    },
    /// The database does not work.
    #[error("the database: {0}")]
    Store(#[from] StoreError),
}

/// What is kept.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Chosen {
    sip: Vec<(Transport, SocketAddr)>,
    https: Vec<SocketAddr>,
}

/// All listeners, wished for or bound.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) sip: Vec<Listener>,
    https: Vec<SocketAddr>,
}

impl Ports {
    /// What the settings wish.
    pub(super) fn of(settings: &Settings, addresses: &[IpAddr]) -> Self {
        let ports = [
            (Transport::Udp, settings.sip.udp_port),
            (Transport::Tcp, settings.sip.tcp_port),
            (Transport::Tls, settings.sip.tls_port),
        ];
        let listener = |(transport, port)| {
            addresses.iter().map(move |ip| Listener {
                transport,
                address: SocketAddr::new(*ip, port),
            })
        };
        Self {
            sip: ports.into_iter().flat_map(listener).collect(),
            https: addresses
                .iter()
                .map(|ip| SocketAddr::new(*ip, settings.https.port))
                .collect(),
        }
    }

    /// What the process before us listened on.
    pub(super) async fn restore(&mut self, store: &Store) -> Result<(), PortsError> {
        let text = store.setting(SETTING).await?.unwrap_or_default();
        let chosen: Chosen = serde_json::from_str(&text).unwrap_or_default();
        self.bound(&chosen.sip);
        if chosen.https.len() == self.https.len() {
            self.https = chosen.https;
        }
        Ok(())
    }

    /// Takes over ports that were chosen for the wished addresses, in their order.
    pub(super) fn bound(&mut self, chosen: &[(Transport, SocketAddr)]) {
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
            let wished = self
                .sip
                .iter_mut()
                .filter(|listener| listener.transport == transport);
            let taken = chosen.iter().filter(|(by, _)| *by == transport);
            for (listener, (_, address)) in wished.zip(taken) {
                listener.address = *address;
            }
        }
    }

    /// Binds the HTTPS ports.
    pub(super) async fn listen_https(&mut self) -> Result<Vec<TcpListener>, PortsError> {
        let mut listeners = Vec::new();
        for address in &mut self.https {
            let wished = *address;
            let bound = async {
                let listener = TcpListener::bind(wished).await?;
                let taken = listener.local_addr()?;
                Ok((listener, taken))
            };
            let (listener, taken) = bound.await.map_err(|source| PortsError::Bind {
                address: wished,
                source,
            })?;
            *address = taken;
            listeners.push(listener);
        }
        Ok(listeners)
    }

    /// Binds the ports from which browsers are sent on to HTTPS, if there are to be any.
    pub(super) async fn listen_redirect(&self, port: u16) -> Result<Vec<TcpListener>, PortsError> {
        let mut listeners = Vec::new();
        for https in self.https.iter().filter(|_| port != 0) {
            let address = SocketAddr::new(https.ip(), port);
            let bound = TcpListener::bind(address).await;
            listeners.push(bound.map_err(|source| PortsError::BindRedirect { address, source })?);
        }
        Ok(listeners)
    }

    /// Keeps what was bound.
    pub(super) async fn save(&self, store: &Store) -> Result<(), PortsError> {
        let sip = self.sip.iter();
        let chosen = Chosen {
            sip: sip
                .map(|listener| (listener.transport, listener.address))
                .collect(),
            https: self.https.clone(),
        };
        let text = serde_json::to_string(&chosen).unwrap_or_default();
        Ok(store.set_setting(SETTING, Some(&text)).await?)
    }

    pub(super) fn first_sip(&self, transport: Transport) -> Option<SocketAddr> {
        let listener = self
            .sip
            .iter()
            .find(|listener| listener.transport == transport)?;
        Some(listener.address)
    }

    pub(super) fn first_https(&self) -> Option<SocketAddr> {
        self.https.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_ports_take_the_places_of_wished_ones() {
        let mut settings = Settings::default();
        settings.sip.udp_port = 0;
        let addresses = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        let mut ports = Ports::of(&settings, &addresses);
        assert_eq!(ports.sip.len(), 6);
        let chosen = |text: &str| (Transport::Udp, text.parse().unwrap());
        ports.bound(&[chosen("127.0.0.1:1111"), chosen("[::1]:2222")]);
        let udp = ports.first_sip(Transport::Udp).unwrap();
        assert_eq!(udp.to_string(), "127.0.0.1:1111");
        assert_eq!(ports.sip[1].address.to_string(), "[::1]:2222");
        assert_eq!(ports.sip[2].address.to_string(), "127.0.0.1:5060");
    }
}
