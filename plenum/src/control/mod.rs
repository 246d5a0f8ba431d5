//! `plenum control`: SIP, browsers, REST and the decisions between them.
//!
//! Boots in the order in which things can fail clearly: data folder, database,
//! certificate, dataplane, SIP ports, HTTPS ports. Then one actor decides, and
//! the rest carries messages to it. The process can be killed at any moment:
//! dialogs are in the store, media is in the arena, and [`resume`] brings them
//! together again.

mod actor;
mod bridge;
mod browsers;
mod digest;
mod first_run;
mod load;
mod places;
mod ports;
mod resume;
mod uri;
mod web;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plenum_api::https::{HttpsLimits, serve_http, serve_https};
use plenum_app::{App, AppConfig, WebPermissions};
use plenum_link::{AttachError, Link};
use plenum_model::{HostId, MediaEncryption, Space, TurnServer};
use plenum_sip::{SipConfig, SipStack, StartError, TlsConfig, Transport};
use plenum_store::{OpenError, Store, StoreError};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{oneshot, watch};

use crate::certificate::{self, CertificateError};
use crate::channel::{Channel, Message};
use crate::config::{Encryption, Settings};
use crate::dataplane::chain;
use crate::inherit::{self, InheritError, Inherited};
use crate::{addresses, clock, logging, turn};
use actor::{Actor, Parts};
use bridge::{RestBridge, StoreAuthenticator};
use digest::DigestError;
use first_run::FirstCredentials;
pub(crate) use first_run::FirstRunError;
use load::MediaLoad;
use ports::Ports;
pub(crate) use ports::PortsError;

/// What everybody gets to answer our BYE.
const GOODBYE: Duration = Duration::from_millis(1_800);

/// Why the control plane ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// Nothing to work with.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// No runtime to be had.
    #[error("cannot start threads: {0}")]
    Runtime(std::io::Error),
    /// The file of callers cannot be used.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The data folder cannot be used.
    #[error("data_dir: {path}: {source}")]
    DataDir {
        path: PathBuf,
        source: std::io::Error,
    },
    /// No address of this machine can be found.
    #[error("listen: {0}")]
    Addresses(std::io::Error),
    /// The database cannot be opened.
    #[error("the database in data_dir: {}", chain(.0))]
    Open(#[from] OpenError),
    /// The database does not work.
    #[error("the database: {}", chain(.0))]
    Store(#[from] StoreError),
    /// The first user cannot be let in.
    #[error(transparent)]
    FirstRun(#[from] FirstRunError),
    /// No TLS.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The dataplane cannot be reached.
    #[error("{}", chain(.0))]
    Attach(#[from] AttachError),
    /// A SIP port cannot be had.
    #[error("{}", sip_problem(.0))]
    Sip(#[from] StartError),
    /// An HTTPS port cannot be had.
    #[error(transparent)]
    Ports(#[from] PortsError),
}

/// Names the setting behind a SIP address.
fn sip_problem(error: &StartError) -> String {
    match error {
        StartError::Bind {
            transport, source, ..
        } => {
            let setting = match transport {
                Transport::Udp => "sip.udp_port",
                Transport::Tcp => "sip.tcp_port",
                Transport::Tls => "sip.tls_port",
            };
            format!("{setting}: {error}: {source}")
        }
        other => other.to_string(),
    }
}

/// Runs until told to stop.
///
/// # Errors
/// [`ControlError`].
pub(crate) fn run() -> Result<(), ControlError> {
    let inherited = inherit::inherit()?;
    logging::start(&inherited.settings, "control");
    // Whoever comes first provides it; both TLS users share it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let channel = inherited.channel.try_clone().map_err(InheritError::Line)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("control")
        .build()
        .map_err(ControlError::Runtime)?;
    let outcome = runtime.block_on(serve(inherited));
    // A database that hangs must not keep the process.
    runtime.shutdown_timeout(Duration::from_millis(200));
    if let Err(error) = &outcome {
        let _ = channel.send(&Message::Hopeless(error.to_string()), &[]);
    }
    outcome
}

fn make_data_dir(path: &Path) -> Result<(), ControlError> {
    certificate::make_private_folder(path).map_err(|source| ControlError::DataDir {
        path: path.to_owned(),
        source,
    })
}

async fn serve(inherited: Inherited) -> Result<(), ControlError> {
    let settings = &inherited.settings;
    let data_dir = &settings.general.data_dir;
    make_data_dir(data_dir)?;
    let mut rng = StdRng::from_os_rng();
    let addresses = addresses::expand(&settings.general.listen).map_err(ControlError::Addresses)?;
    let host_name = addresses::host_name();
    let store = Store::open(&data_dir.join("plenum.db").to_string_lossy()).await?;
    let administrator = first_run::administrator(&store, data_dir, &mut rng).await?;
    let demo = first_run::demo_space(&store).await?;
    let identity = certificate::load_or_make(
        settings,
        &addresses,
        host_name.as_deref(),
        clock::unix_ms() / 1_000,
    )?;
    let tls = TlsConfig {
        server: identity.server()?,
        client: identity.client(settings)?,
    };
    let link = Link::attach(
        inherited.arena,
        inherited.control_doorbell,
        inherited.worker_doorbells,
    )?;
    let first_start = link.begin_epoch() == 1;
    let mut ports = Ports::of(settings, &addresses);
    if !first_start {
        ports.restore(&store).await?;
    }
    let stored = resume::load(&store).await?;
    let dialogs = stored
        .iter()
        .filter_map(|stored| stored.dialog.clone())
        .collect();
    let sip_config = SipConfig {
        listen: ports.sip.clone(),
        tls: Some(tls.clone()),
        user_agent: concat!("Plenum/", env!("CARGO_PKG_VERSION")).to_owned(),
        session_expires_s: small(settings.sip.session_expires_s.get()),
        min_session_expires_s: small(settings.sip.session_min_s.get()),
        // Some more than legs: those that are turned away take a moment.
        max_dialogs: inherited.inheritance.legs_max as usize * 2 + 100,
        retry_after_s: small(settings.sip.retry_after_s.get()),
        digest: digest::read(settings.sip.digest_file.get(), &settings.sip.digest_realm)?,
        ..SipConfig::default()
    };
    let (sip, events) = SipStack::start(sip_config, dialogs).await?;
    ports.bound(sip.local_addresses());
    let listeners = ports.listen_https().await?;
    ports.save(&store).await?;

    let own_domain = own_domain(settings, &addresses);
    let config = app_config(
        settings,
        &own_domain,
        &addresses,
        host_name,
        &inherited.inheritance,
    );
    let slots = link.slots();
    let (mut actor, handle) = Actor::new(Parts {
        app: App::new(config),
        link,
        slots,
        workers: inherited.inheritance.workers.clone(),
        sip,
        store: store.clone(),
        own_domain: own_domain.clone(),
        fingerprint: inherited.inheritance.fingerprint,
        rng,
    });
    resume::resume(&mut actor, stored, first_start);

    let offers = web::Offers::new(store.clone(), settings);
    let (stop, stopped) = oneshot::channel();
    let (https_stop, https_stopping) = watch::channel(false);
    let browsers = plenum_webbridge::router(
        Arc::new(web::WebBridge {
            actor: handle.clone(),
            store: store.clone(),
            offers: offers.clone(),
        }),
        web::config(settings, &own_domain),
        web::token_key(&store).await?,
        plenum_webbridge::Limits {
            // Each participant, and as many that are replaced or turned away.
            sockets: inherited.inheritance.legs_max as usize * 2 + 100,
            ..plenum_webbridge::Limits::default()
        },
    );
    let host_id = store.host_id().await?;
    let router = plenum_api::router(
        Arc::new(RestBridge {
            actor: handle,
            store: store.clone(),
            offers,
            space_changes: tokio::sync::Mutex::default(),
            host_id,
            turn: turn_server(settings, host_id),
            data_dir: settings.general.data_dir.clone(),
            own_domain,
            load: MediaLoad::watched(),
            started_at: inherited.inheritance.started_at,
        }),
        Arc::new(StoreAuthenticator(store)),
    )
    .merge(browsers);
    for listener in listeners {
        let (tls, router) = (Arc::clone(&tls.server), router.clone());
        let mut stopping = https_stopping.clone();
        let shutdown = async move {
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        tokio::spawn(serve_https(
            listener,
            tls,
            router,
            HttpsLimits::default(),
            shutdown,
        ));
    }
    let https_port = ports.first_https().map_or(443, |address| address.port());
    for listener in ports.listen_redirect(settings.https.redirect_port).await? {
        let mut stopping = https_stopping.clone();
        let shutdown = async move {
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        let router = plenum_webbridge::redirect_to_https(https_port);
        tokio::spawn(serve_http(
            listener,
            router,
            HttpsLimits::default(),
            shutdown,
        ));
    }
    let line = ready_line(&ports, demo.as_ref(), administrator.as_ref());
    let channel = inherited.channel;
    channel
        .send(&Message::Ready(line), &[])
        .map_err(InheritError::Line)?;
    std::thread::Builder::new()
        .name("line".to_owned())
        .spawn(move || wait_for_stop(&channel, stop))
        .map_err(ControlError::Runtime)?;
    let store = actor.run(events, stopped, GOODBYE).await;
    let _ = https_stop.send(true);
    store.close().await;
    Ok(())
}

/// Returns when the supervisor says stop, or is gone.
fn wait_for_stop(channel: &Channel, stop: oneshot::Sender<()>) {
    while let Ok(Some((message, _))) = channel.receive() {
        if matches!(message, Message::Stop) {
            break;
        }
    }
    let _ = stop.send(());
}

/// Settings are bounded where they are read; this only changes the type.
fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Host part of our own addresses: a domain, else what we listen on.
fn own_domain(settings: &Settings, addresses: &[IpAddr]) -> String {
    let domain = settings.sip.domains.first().cloned();
    let address = || addresses.first().copied().map(addresses::uri_host);
    domain
        .or_else(address)
        .unwrap_or_else(|| "localhost".to_owned())
}

fn app_config(
    settings: &Settings,
    own_domain: &str,
    addresses: &[IpAddr],
    host_name: Option<String>,
    inheritance: &crate::channel::Inheritance,
) -> AppConfig {
    let mut domains: Vec<String> = settings
        .sip
        .domains
        .iter()
        .map(|domain| domain.to_lowercase())
        .collect();
    domains.push("localhost".to_owned());
    domains.extend(host_name);
    domains.extend(addresses.iter().map(ToString::to_string));
    let bounded = |value: u64| u8::try_from(value).unwrap_or(u8::MAX);
    let seconds = |value: u64| (value > 0).then(|| Duration::from_secs(value));
    let participants = usize::try_from(settings.call.participants_max.get()).unwrap_or(0);
    AppConfig {
        domains,
        own_domain: own_domain.to_owned(),
        legs_max: inheritance.legs_max as usize,
        participants_max: (participants > 0).then_some(participants),
        retry_after_s: small(settings.sip.retry_after_s.get()),
        encryption: match settings.media.encryption {
            Encryption::Required => MediaEncryption::Required,
            Encryption::Optional => MediaEncryption::Optional,
            Encryption::Prohibited => MediaEncryption::Prohibited,
        },
        silence_timeout: seconds(settings.media.silence_timeout_s.get()),
        ring_timeout: Duration::from_secs(settings.call.ring_timeout_s.get()),
        packet_ms: bounded(settings.media.packet_ms.get()),
        join_tone_participants_max: bounded(settings.call.join_tone_participants_max.get()),
        leave_tone_participants_max: bounded(settings.call.leave_tone_participants_max.get()),
        web: WebPermissions {
            moderate: settings.web.guests_may_moderate,
            dial: settings.web.guests_may_dial,
            chat: settings.web.guests_may_chat,
            share: settings.web.guests_may_share,
        },
    }
}

/// What a person or a program needs to know to begin.
fn ready_line(
    ports: &Ports,
    demo: Option<&Space>,
    administrator: Option<&FirstCredentials>,
) -> serde_json::Value {
    let sip = |transport| {
        ports
            .first_sip(transport)
            .map(|address| address.to_string())
    };
    let dial = demo.and_then(|space| space.uri.as_deref());
    let udp = ports.first_sip(Transport::Udp);
    serde_json::json!({
        "ready": true,
        "sip": {
            "udp": sip(Transport::Udp),
            "tcp": sip(Transport::Tcp),
            "tls": sip(Transport::Tls),
        },
        "https": ports.first_https().map(|address| format!("https://{address}")),
        "web": ports.first_https().map(|address| format!("https://{address}/")),
        "demo_space": demo.map(|space| serde_json::json!({
            "uri": dial.zip(udp).map(|(user, address)| match address.port() {
                5060 => format!("sip:{user}@{}", addresses::uri_host(address.ip())),
                _ => format!("sip:{user}@{address}"),
            }),
            "call_id": space.call_id,
        })),
        "admin": administrator.map(|first| serde_json::json!({
            "user": first.user,
            "password": first.password,
        })),
    })
}

/// The TURN server beside us, as the API shows it.
fn turn_server(settings: &Settings, id: HostId) -> Option<TurnServer> {
    turn::is_served(settings).then(|| TurnServer {
        id,
        address: turn::own_host(settings).map_or_else(String::new, |ip| ip.to_string()),
        port: settings.turn.ports.0.first().copied().unwrap_or(0),
    })
}
