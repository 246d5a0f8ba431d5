//! Bringing dialogs and media together again after this process was replaced.
//!
//! ```text
//!   store:  dialog + leg ──┬── the arena runs it       goes on
//!                          ├── it never ran            set up now
//!                          └── it was removed          BYE
//!   arena:  leg, conference without a dialog           removed
//! ```
//! A browser has no dialog; its leg waits for its next socket. When the supervisor is new too, nothing of the stored media exists any more:
//! every far end is told with a BYE, so that no phone stays in a dead call.

use std::collections::HashMap;

use plenum_abi::CommandKind;
use plenum_app::RestoreError;
use plenum_link::Slot;
use plenum_store::{Store, StoreError};

use super::actor::{Actor, StoredLeg};
use super::places::{place, slot};

/// All stored legs; what cannot be read is dropped from the store.
pub(super) async fn load(store: &Store) -> Result<Vec<StoredLeg>, StoreError> {
    let mut legs = Vec::new();
    for record in store.dialogs().await? {
        match serde_json::from_str(&record.state) {
            Ok(stored) => legs.push(stored),
            Err(error) => {
                tracing::warn!(leg = %record.leg, %error, "a stored dialog cannot be read, dropping it");
                store.delete_dialog(&record.key).await?;
            }
        }
    }
    Ok(legs)
}

/// See the module. The dialogs are in the SIP stack already.
pub(super) fn resume(actor: &mut Actor, mut stored: Vec<StoredLeg>, first_start: bool) {
    // Lists are in the order of creation, after a restart too.
    stored.sort_by_key(|stored| (stored.leg.began_unix_ms, stored.leg.id));
    let running: HashMap<Slot, plenum_abi::LegConfig> = actor
        .link
        .live_legs()
        .into_iter()
        .map(|live| (live.slot, live.config))
        .collect();
    let conferences = actor.link.live_conferences();
    for conference in &conferences {
        actor.slots.adopt_conference(conference.slot);
    }
    for leg in running.keys() {
        actor.slots.adopt_leg(*leg);
    }
    let streams = actor.link.live_videos();
    for stream in &streams {
        actor.slots.adopt_video(stream.slot);
    }
    let count = stored.len();
    for stored in stored {
        let leg = stored.leg.id;
        let saved = stored.leg.clone();
        let key = stored.dialog.as_ref().map(|dialog| dialog.key);
        if let Some(key) = key {
            actor.tie(leg, key, Some(stored));
        }
        let outcome = match first_start {
            true => Err(RestoreError::MediaGone),
            false => restore(actor, &saved, &running),
        };
        match outcome {
            Ok(()) => tracing::info!(%leg, "call leg goes on"),
            Err(reason) => {
                tracing::info!(%leg, %reason, "call leg does not go on");
                match key {
                    Some(_) => actor.end_dialog(leg),
                    None => actor.forget(leg),
                }
            }
        }
    }
    for stream in streams {
        let place = place(stream.slot);
        if !actor.app.has_video(place) {
            actor.remove_media(CommandKind::RemoveVideo, place);
        }
    }
    let mut removed = 0;
    for leg in running.keys() {
        let place = place(*leg);
        if actor.app.leg_at(place).is_none() {
            actor.remove_media(CommandKind::RemoveLeg, place);
            removed += 1;
        }
    }
    for conference in conferences {
        let place = place(conference.slot);
        if !actor.app.has_conference(place) {
            actor.remove_media(CommandKind::RemoveConference, place);
        }
    }
    if count > 0 || removed > 0 {
        tracing::info!(dialogs = count, removed, "took up what was running");
    }
}

fn restore(
    actor: &mut Actor,
    saved: &plenum_app::SavedLeg,
    running: &HashMap<Slot, plenum_abi::LegConfig>,
) -> Result<(), RestoreError> {
    let leg = slot(saved.place);
    let config = running.get(&leg).copied();
    // A slot whose last tenant is an earlier one never had this leg.
    let vacant = config.is_none() && actor.slots.is_before(leg) && actor.slots.adopt_leg(leg);
    for stream in saved.video.places() {
        actor.slots.adopt_video(slot(stream));
    }
    // The conference may have been lost with a torn record, or never made.
    actor.slots.adopt_conference(slot(saved.call.place));
    actor.decide(|app, world| app.restore(saved, config, vacant, world))
}
