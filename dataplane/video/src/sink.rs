//! Records on their way to the workers.

use std::sync::{Mutex, PoisonError};

use plenum_abi::{DownKind, FRAME_RECEIVERS_MAX, FrameHead, SlotRef, SourceSize, SourceWanted};
use plenum_compositor::Frame;
use plenum_ring::{Doorbell, RecordProducer};
use zerocopy::IntoBytes;

/// The way to one worker. The makers share it; none holds it for longer than it
/// takes to copy a picture.
pub(crate) struct Down {
    ring: Mutex<RecordProducer>,
    bell: Doorbell,
}

impl Down {
    pub(crate) fn new(ring: RecordProducer, bell: Doorbell) -> Self {
        Self {
            ring: Mutex::new(ring),
            bell,
        }
    }

    /// Wakes the worker to look at the module's header.
    pub(crate) fn ring_bell(&self) {
        self.bell.ring();
    }

    /// `false` when the ring is full, for the worker does not keep up.
    fn push(&self, kind: DownKind, parts: &[&[u8]]) -> bool {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let fitted = ring.push(kind as u32, parts).is_ok();
        ring.wake(&self.bell);
        fitted
    }

    /// Asks for a key frame of a stream. One that finds no room is asked for again
    /// by whoever needed it.
    pub(crate) fn request_key_frame(&self, stream: SlotRef) {
        self.push(DownKind::RequestKeyFrame, &[stream.as_bytes()]);
    }

    pub(crate) fn source_size(&self, size: &SourceSize) {
        self.push(DownKind::SourceSize, &[size.as_bytes()]);
    }

    /// Says how many rows of a stream are of use; `false` when it found no room.
    pub(crate) fn source_wanted(&self, wanted: &SourceWanted) -> bool {
        self.push(DownKind::SourceWanted, &[wanted.as_bytes()])
    }

    /// Sends a picture to `receivers`; `false` when it did not fit, and nobody
    /// beyond the first so many of them has it.
    pub(crate) fn frame(&self, frame: &Frame<'_>, receivers: &[SlotRef]) -> bool {
        receivers.chunks(FRAME_RECEIVERS_MAX).all(|some| {
            let head = FrameHead {
                receivers: some.len() as u32,
                bytes: frame.data.len() as u32,
                timestamp: frame.timestamp_90khz,
                width: frame.width as u16,
                height: frame.height as u16,
                codec: frame.codec as u8,
                key_frame: u8::from(frame.key_frame),
                temporal_layer: frame.temporal_layer,
                reserved: [0; 5],
            };
            let parts = [head.as_bytes(), some.as_bytes(), frame.data];
            self.push(DownKind::Frame, &parts)
        })
    }
}
