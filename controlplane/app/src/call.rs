//! A space in use.

use std::collections::BTreeSet;

use plenum_abi::{ConferenceConfig, Nanos};
use plenum_model::{CallId, CallSummary, CallType, CallView, CorrelatorId, Space, SpaceId};

use crate::config::AppConfig;
use crate::look::Look;
use crate::room::Room;
use crate::world::Moment;
use crate::{Place, SavedCall};

/// A running call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) correlator: CorrelatorId,
    pub(crate) space: SpaceId,
    pub(crate) name: String,
    /// User part of our address in it.
    pub(crate) user: String,
    pub(crate) owner: Option<String>,
    pub(crate) place: Place,
    pub(crate) revision: u64,
    pub(crate) began_unix_ms: i64,
    pub(crate) legs: usize,
    pub(crate) legs_max: usize,
    /// Legs of browsers among them.
    pub(crate) web_legs: usize,
    /// Numbers of its legs, in the order of joining.
    pub(crate) members: BTreeSet<u64>,
    pub(crate) room: Room,
    pub(crate) look: Look,
    /// When it ends although nobody ever came; only while it has had no leg.
    pub(crate) unused_until: Option<Nanos>,
}

impl Call {
    pub(crate) fn new(
        id: CallId,
        correlator: CorrelatorId,
        space: &Space,
        place: Place,
        now: Moment,
    ) -> Self {
        let user = [&space.uri, &space.secondary_uri, &space.call_id];
        Self {
            id,
            correlator,
            space: space.id,
            name: space.name.clone(),
            user: user
                .into_iter()
                .flatten()
                .next()
                .cloned()
                .unwrap_or_default(),
            owner: space.meeting_scheduler.clone(),
            place,
            revision: 1,
            began_unix_ms: now.unix_ms,
            legs: 0,
            legs_max: 0,
            web_legs: 0,
            members: BTreeSet::new(),
            room: Room::default(),
            look: Look::of(space),
            unused_until: None,
        }
    }

    pub(crate) fn restored(saved: &SavedCall) -> Self {
        Self {
            id: saved.id,
            correlator: saved.correlator,
            space: saved.space,
            name: saved.name.clone(),
            user: saved.user.clone(),
            owner: saved.owner.clone(),
            place: saved.place,
            revision: 1,
            began_unix_ms: saved.began_unix_ms,
            legs: 0,
            legs_max: saved.legs_max,
            web_legs: 0,
            members: BTreeSet::new(),
            room: Room::default(),
            look: saved.look.clone(),
            unused_until: None,
        }
    }

    /// A leg is there now.
    pub(crate) fn joined(&mut self, number: u64, web: bool) {
        self.members.insert(number);
        self.legs = self.members.len();
        self.legs_max = self.legs_max.max(self.legs);
        self.web_legs += usize::from(web);
        self.unused_until = None;
    }

    /// A leg is gone.
    pub(crate) fn left(&mut self, number: u64, web: bool) {
        if self.members.remove(&number) {
            self.legs = self.members.len();
            self.web_legs -= usize::from(web);
        }
    }

    pub(crate) fn saved(&self) -> SavedCall {
        SavedCall {
            id: self.id,
            correlator: self.correlator,
            space: self.space,
            name: self.name.clone(),
            user: self.user.clone(),
            owner: self.owner.clone(),
            place: self.place,
            began_unix_ms: self.began_unix_ms,
            legs_max: self.legs_max,
            look: self.look.clone(),
        }
    }

    pub(crate) fn config(&self, policy: &AppConfig) -> ConferenceConfig {
        ConferenceConfig {
            call_guid: self.id.to_bytes(),
            revision: self.revision,
            generation: self.place.generation,
            speakers_max: 0,
            join_tone_participants_max: policy.join_tone_participants_max,
            leave_tone_participants_max: policy.leave_tone_participants_max,
            reserved: 0,
        }
    }

    pub(crate) fn summary(&self) -> CallSummary {
        CallSummary {
            id: self.id,
            name: self.name.clone(),
            space: Some(self.space),
            correlator: self.correlator,
        }
    }

    pub(crate) fn view(&self, now: Moment) -> CallView {
        CallView {
            summary: self.summary(),
            call_type: CallType::CoSpace,
            duration: now.since_unix_ms(self.began_unix_ms),
            num_call_legs: self.legs as u64,
            max_call_legs: self.legs_max as u64,
            num_participants_local: self.legs as u64,
            num_participants_remote: 0,
            owner_name: self.owner.clone(),
            configuration: self.look.wish().clone(),
            message_remaining: self.look.message_remaining(now),
        }
    }
}
