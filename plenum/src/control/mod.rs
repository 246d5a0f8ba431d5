//! `plenum control`: SIP, REST and the decisions between them.

use crate::channel::Message;
use crate::inherit::{self, InheritError};
use crate::logging;

/// Why the control plane ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// Nothing to work with.
    #[error(transparent)]
    Inherit(#[from] InheritError),
}

/// Runs until told to stop.
///
/// # Errors
/// [`ControlError`].
pub(crate) fn run() -> Result<(), ControlError> {
    let inherited = inherit::inherit()?;
    logging::start(&inherited.settings, "control");
    let line = serde_json::json!({"ready": true});
    let channel = inherited.channel;
    channel
        .send(&Message::Ready(line), &[])
        .map_err(InheritError::Line)?;
    loop {
        match channel.receive().map_err(InheritError::Line)? {
            Some((Message::Stop, _)) | None => return Ok(()),
            Some(_) => {}
        }
    }
}
