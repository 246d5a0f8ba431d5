//! `plenum dataplane`: hands the inheritance to the media workers.

use plenum_dataplane::{Identity, InheritedWorker, UnusableIdentity};

use crate::channel::{Channel, Message};
use crate::inherit::{self, InheritError};
use crate::logging;

/// Why the dataplane ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DataplaneError {
    /// Nothing to work with.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// The workers cannot work.
    #[error("{}", chain(.0))]
    Run(#[from] plenum_dataplane::RunError),
    /// The certificate that was handed down is none.
    #[error("data_dir: {0}")]
    Identity(#[from] UnusableIdentity),
    /// No thread to be had.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// An error with all its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Runs until killed.
///
/// # Errors
/// [`DataplaneError`].
pub(crate) fn run() -> Result<(), DataplaneError> {
    let inherited = inherit::inherit()?;
    logging::start(&inherited.settings, "dataplane");
    let channel = inherited.channel;
    let watched = channel.try_clone().map_err(InheritError::Line)?;
    std::thread::Builder::new()
        .name("line".to_owned())
        .spawn(move || end_with_supervisor(&watched))
        .map_err(DataplaneError::Thread)?;
    let identity = inherited.identity.ok_or(InheritError::Incomplete)?;
    let workers = inherited
        .inheritance
        .workers
        .iter()
        .zip(inherited.worker_doorbells)
        .zip(inherited.sockets)
        .map(|((place, doorbell), sockets)| InheritedWorker {
            core: place.core,
            doorbell,
            sockets: sockets.legs,
            video_sockets: sockets.video,
            browsers: sockets.browsers,
        })
        .collect();
    let outcome = plenum_dataplane::run(plenum_dataplane::Inherited {
        arena: inherited.arena,
        control_doorbell: inherited.control_doorbell,
        identity: Some(Identity::new(identity.certificate, identity.key)?),
        workers,
        modules: inherited.modules,
    });
    if let Err(error) = &outcome {
        let _ = channel.send(&Message::Hopeless(chain(error)), &[]);
    }
    outcome.map_err(DataplaneError::Run)
}

/// The kernel ends us with our parent; this is for the parent that closed its
/// end of the line and lives.
pub(crate) fn end_with_supervisor(channel: &Channel) {
    while let Ok(Some(_)) = channel.receive() {}
    std::process::exit(0);
}
