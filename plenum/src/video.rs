//! `plenum video`: hands the inheritance to a video module.

use crate::channel::Message;
use crate::dataplane::chain;
use crate::inherit::{self, InheritError};
use crate::logging;

/// Why a video module ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VideoError {
    /// Nothing to work with.
    #[error(transparent)]
    Inherit(#[from] InheritError),
    /// It cannot work.
    #[error("{}", chain(.0))]
    Run(#[from] plenum_video::RunError),
}

/// Runs until killed. What it says to its supervisor it says before the sandbox is
/// closed or by writing to the line, which it never reads: the kernel ends it with
/// its parent.
///
/// # Errors
/// [`VideoError`].
pub(crate) fn run() -> Result<(), VideoError> {
    let inherited = inherit::inherit_module()?;
    logging::start(&inherited.settings, "video");
    let channel = inherited.channel;
    let index = inherited.inheritance.index;
    plenum_video::run(
        plenum_video::Inherited {
            memory: inherited.memory,
            doorbell: inherited.doorbell,
            worker_doorbells: inherited.worker_doorbells,
            cores: inherited.inheritance.cores,
        },
        || {
            let _ = channel.send(&Message::Ready(index.into()), &[]);
        },
    )?;
    Ok(())
}
