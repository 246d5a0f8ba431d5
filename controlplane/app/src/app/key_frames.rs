//! Key frames asked for over SIP (RFC 5168), both ways: for far ends whose SDP knows
//! no feedback in RTCP, which are many of the older ones.
//!
//! RFC 5168 leaves open how often to ask. Here each side is heard no more than once a
//! second per leg; the encoder bounds what it makes of it once more.

use std::time::Duration;

use plenum_abi::Nanos;
use plenum_model::CallLegId;

use super::App;
use crate::place::Place;
use crate::video::{Stream, StreamKind};
use crate::world::{Output, World};

/// What INFO carries.
pub const MEDIA_CONTROL: &str = "application/media_control+xml";
/// Asks for a key frame.
pub const PICTURE_FAST_UPDATE: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n\
     <media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder>\
     </vc_primitive></media_control>\r\n";

/// Least time between two requests of one side.
const INTERVAL_MIN: Duration = Duration::from_secs(1);

/// When each side last asked for a key frame over SIP.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    by_us: Option<Nanos>,
    by_them: Option<Nanos>,
}

fn take_turn(last: &mut Option<Nanos>, now: Nanos) -> bool {
    let due = last.is_none_or(|last| now.since(last) >= INTERVAL_MIN);
    if due {
        *last = Some(now);
    }
    due
}

impl App {
    /// INFO with a body that is not a digit.
    pub fn informed(
        &mut self,
        id: CallLegId,
        content_type: &str,
        body: &[u8],
        world: &mut World<'_>,
    ) {
        let asks = std::str::from_utf8(body).is_ok_and(|body| body.contains("picture_fast_update"));
        if content_type != MEDIA_CONTROL || !asks {
            return tracing::debug!(leg = %id, content_type, "INFO without a use");
        }
        let now = world.now.monotonic;
        let Some(stream) = self.main_picture(id) else {
            return;
        };
        if stream.config.is_some() && take_turn(&mut stream.asked.by_them, now) {
            let place = stream.place;
            world.out.push(Output::SendKeyFrame { place });
        }
    }

    /// The media plane needs a key frame of the stream at `place`, of the leg in `leg`
    /// (see [`plenum_abi::EventKind::VideoKeyFrameNeeded`]).
    pub(super) fn key_frame_needed(&mut self, place: Place, leg: u64, world: &mut World<'_>) {
        let now = world.now.monotonic;
        let of = Place {
            slot: leg as u32,
            generation: (leg >> 32) as u32,
            ..place
        };
        let Some(id) = self.legs_by_place.get(&of).copied() else {
            return;
        };
        let stream = self.main_picture(id).filter(|stream| stream.place == place);
        if stream.is_some_and(|stream| take_turn(&mut stream.asked.by_us, now)) {
            world.out.push(Output::AskForKeyFrame { leg: id });
        }
    }

    fn main_picture(&mut self, id: CallLegId) -> Option<&mut Stream> {
        let leg = self.legs.get_mut(&id)?;
        leg.video.slot(StreamKind::Main).as_mut()
    }
}
