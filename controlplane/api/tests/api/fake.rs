//! A server without meetings: what the API is told, it remembers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use plenum_api::{Authenticator, Bridge, BridgeError, Limits, router, router_with};
use plenum_model::{
    AudioCodecName, AudioReceive, AudioSend, CallConfiguration, CallId, CallLegConfiguration,
    CallLegId, CallLegPatch, CallLegQuery, CallLegState, CallLegStatus, CallLegSummary,
    CallLegView, CallPatch, CallQuery, CallSummary, CallType, CallView, CipherSuite, CorrelatorId,
    DialOut, Direction, EffectiveWebBridgeProfile, EntryPoint, EntryPointId, EntryPointPatch,
    EntryPoints, HostId, Page, PageRequest, ProfileUsage, ResolveCoSpaceUris, Space, SpaceId,
    SpacePatch, SpaceQuery, SystemLoad, SystemProfiles, SystemProfilesPatch, SystemStatus,
    TickLateness, TurnAllocationView, TurnServer, TurnServerStatus, VideoCodecName, VideoRole,
    VideoStatus, WebBridgeProfile, WebBridgeProfileId, WebBridgeProfilePatch,
    WebBridgeProfileQuery, uri_key,
};

#[derive(Default)]
struct State {
    spaces: BTreeMap<SpaceId, Space>,
    calls: BTreeMap<CallId, CallView>,
    legs: BTreeMap<CallLegId, CallLegView>,
    fault: Option<BridgeError>,
    digits: Vec<String>,
    draining: bool,
    profiles: BTreeMap<WebBridgeProfileId, WebBridgeProfile>,
    entry_points: Vec<(EntryPoints, EntryPoint)>,
    system_profiles: SystemProfiles,
}

#[derive(Clone, Default)]
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
    next: Arc<AtomicU64>,
    /// How long `status` takes.
    delay: Duration,
}

impl Fake {
    pub(crate) fn router(&self) -> Router {
        router(Arc::new(self.clone()), Arc::new(self.clone()))
    }

    pub(crate) fn router_with(&self, limits: Limits) -> Router {
        router_with(Arc::new(self.clone()), Arc::new(self.clone()), limits)
    }

    pub(crate) fn slow(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// From now on everything answers this.
    pub(crate) fn fail(&self, error: BridgeError) {
        self.state.lock().unwrap().fault = Some(error);
    }

    pub(crate) fn digits(&self) -> Vec<String> {
        self.state.lock().unwrap().digits.clone()
    }

    pub(crate) fn spaces_len(&self) -> usize {
        self.state.lock().unwrap().spaces.len()
    }

    fn entropy(&self) -> [u8; 16] {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        (u128::from(n) << 64).to_be_bytes()
    }

    fn state(&self) -> Result<std::sync::MutexGuard<'_, State>, BridgeError> {
        let state = self.state.lock().unwrap();
        match state.fault {
            Some(error) => Err(error),
            None => Ok(state),
        }
    }

    /// A call of no space with so many legs; answers its id and theirs.
    pub(crate) fn add_call(&self, name: &str, legs: &[&str]) -> (CallId, Vec<CallLegId>) {
        let id = CallId::from_entropy(self.entropy());
        let call = CallView {
            summary: CallSummary {
                id,
                name: name.to_owned(),
                space: None,
                correlator: CorrelatorId::from_bytes([0xcc; 16]),
            },
            call_type: CallType::AdHoc,
            duration: Duration::from_millis(78_900),
            num_call_legs: legs.len() as u64,
            max_call_legs: legs.len() as u64 + 1,
            num_participants_local: legs.len() as u64,
            num_participants_remote: 0,
            owner_name: Some("Ann".into()),
            configuration: CallConfiguration::default(),
            message_remaining: None,
        };
        self.state.lock().unwrap().calls.insert(id, call);
        let legs = legs.iter().map(|name| self.add_leg(id, name)).collect();
        (id, legs)
    }

    fn add_leg(&self, call: CallId, name: &str) -> CallLegId {
        let id = CallLegId::from_entropy(self.entropy());
        let leg = CallLegView {
            summary: CallLegSummary {
                id,
                name: name.to_owned(),
                remote_party: format!("{name}@example.com"),
                original_remote_party: format!("{name}@example.com"),
                call,
            },
            local_address: "team.room@example.com".into(),
            leg_type: plenum_model::CallLegType::Sip,
            direction: Direction::Incoming,
            configuration: CallLegConfiguration::default(),
            status: CallLegStatus {
                state: CallLegState::Connected,
                duration: Duration::from_millis(78_900),
                sip_call_id: "7e77@10.0.0.1".into(),
                encrypted_media: true,
                unencrypted_media: false,
                cipher_suite: Some(CipherSuite::AeadAes256Gcm),
                rx_audio: Some(AudioReceive {
                    codec: AudioCodecName::Opus,
                    jitter_ms: 2,
                    bit_rate: 35_961,
                    packet_loss_percentage: 0.04,
                    gain_applied: -1.5,
                }),
                tx_audio: Some(AudioSend {
                    codec: AudioCodecName::Opus,
                    jitter_ms: 3,
                    bit_rate: 64_000,
                    packet_loss_percentage: 0.749,
                    round_trip_time_ms: Some(4),
                }),
                rx_video: vec![picture(None)],
                tx_video: vec![picture(Some(1))],
            },
        };
        self.state.lock().unwrap().legs.insert(id, leg);
        id
    }
}

fn picture(round_trip_time_ms: Option<u32>) -> VideoStatus {
    VideoStatus {
        role: VideoRole::Main,
        codec: VideoCodecName::H264,
        size: (1_280, 720),
        frame_rate_hz: 29.94,
        jitter_ms: 8,
        bit_rate: 1_167_401,
        allowed_bit_rate: round_trip_time_ms.map(|_| 2_500_000),
        packet_loss_percentage: 0.0,
        round_trip_time_ms,
        put_aside: round_trip_time_ms.is_none(),
    }
}

#[async_trait::async_trait]
impl Authenticator for Fake {
    async fn verify(&self, user: &str, password: &str) -> Result<bool, BridgeError> {
        Ok(user == "admin" && password == "right")
    }
}

fn put(state: &mut State, space: Space) -> Result<(), BridgeError> {
    space.validate()?;
    let uris = |space: &Space| -> Vec<String> {
        let uris = [&space.uri, &space.secondary_uri];
        uris.into_iter().flatten().map(|uri| uri_key(uri)).collect()
    };
    for other in state.spaces.values().filter(|other| other.id != space.id) {
        if uris(other).iter().any(|uri| uris(&space).contains(uri)) {
            return Err(BridgeError::DuplicateUri);
        }
        if space.call_id.is_some() && other.call_id == space.call_id {
            return Err(BridgeError::DuplicateCallId);
        }
    }
    state.spaces.insert(space.id, space);
    Ok(())
}

#[async_trait::async_trait]
impl Bridge for Fake {
    async fn status(&self) -> Result<SystemStatus, BridgeError> {
        tokio::time::sleep(self.delay).await;
        let state = self.state()?;
        Ok(SystemStatus {
            host_id: HostId::from_bytes([0xab; 16]),
            software_version: "0.1.0".into(),
            uptime: Duration::from_secs(86_400),
            cdr_time: UNIX_EPOCH + Duration::from_secs(1_770_109_811),
            cdr_correlator_index: 12,
            call_legs_active: state.legs.len() as u64,
            call_legs_max_active: 5,
            call_legs_completed: 9,
            audio_bit_rate_outgoing: 128_000,
            audio_bit_rate_incoming: 96_000,
            video_bit_rate_outgoing: 0,
            video_bit_rate_incoming: 0,
        })
    }

    async fn load(&self) -> Result<SystemLoad, BridgeError> {
        drop(self.state()?);
        let bucket = |up_to, ticks| TickLateness { up_to, ticks };
        Ok(SystemLoad {
            media_processing_percent: 25,
            tick_lateness: vec![
                bucket(Some(Duration::from_micros(10)), 990),
                bucket(Some(Duration::from_millis(2)), 9),
                bucket(None, 1),
            ],
        })
    }

    async fn sip_domain(&self) -> Result<String, BridgeError> {
        self.state().map(|_| "example.com".into())
    }

    async fn spaces(&self, query: SpaceQuery) -> Result<Page<Space>, BridgeError> {
        let state = self.state()?;
        let filter = query.filter.unwrap_or_default().to_lowercase();
        let matching = state.spaces.values().filter(|space| {
            space.name.to_lowercase().contains(&filter)
                || space.uri.as_ref().is_some_and(|uri| uri.contains(&filter))
        });
        Ok(Page::select(matching, query.page, Clone::clone))
    }

    async fn space(&self, id: SpaceId) -> Result<Space, BridgeError> {
        let state = self.state()?;
        state
            .spaces
            .get(&id)
            .cloned()
            .ok_or(BridgeError::NoSuchSpace)
    }

    async fn create_space(&self, wanted: SpacePatch) -> Result<SpaceId, BridgeError> {
        let mut space = Space::new(SpaceId::from_entropy(self.entropy()));
        if wanted.require_call_id {
            space.call_id = Some("123456789".into());
        }
        wanted.apply(&mut space);
        let id = space.id;
        put(&mut *self.state()?, space)?;
        Ok(id)
    }

    async fn update_space(&self, id: SpaceId, change: SpacePatch) -> Result<(), BridgeError> {
        let mut state = self.state()?;
        let mut space = state
            .spaces
            .get(&id)
            .cloned()
            .ok_or(BridgeError::NoSuchSpace)?;
        change.apply(&mut space);
        put(&mut state, space)
    }

    async fn delete_space(&self, id: SpaceId) -> Result<(), BridgeError> {
        let removed = self.state()?.spaces.remove(&id);
        removed.map(drop).ok_or(BridgeError::NoSuchSpace)
    }

    async fn calls(&self, query: CallQuery) -> Result<Page<CallSummary>, BridgeError> {
        let state = self.state()?;
        let calls = state.calls.values().map(|call| &call.summary);
        let matching = calls.filter(|call| query.matches(call));
        Ok(Page::select(matching, query.page, Clone::clone))
    }

    async fn call(&self, id: CallId) -> Result<CallView, BridgeError> {
        let state = self.state()?;
        state.calls.get(&id).cloned().ok_or(BridgeError::NoSuchCall)
    }

    async fn create_call(
        &self,
        space: SpaceId,
        settings: CallPatch,
    ) -> Result<CallId, BridgeError> {
        let name = self.space(space).await?.name;
        let (id, _) = self.add_call(&name, &[]);
        let mut state = self.state()?;
        let call = state.calls.get_mut(&id).unwrap();
        call.summary.space = Some(space);
        call.call_type = CallType::CoSpace;
        settings.apply(&mut call.configuration);
        Ok(id)
    }

    async fn update_call(&self, id: CallId, change: CallPatch) -> Result<(), BridgeError> {
        let mut state = self.state()?;
        let call = state.calls.get_mut(&id).ok_or(BridgeError::NoSuchCall)?;
        change.apply(&mut call.configuration);
        call.message_remaining = Some(Duration::from_millis(59_900));
        Ok(())
    }

    async fn end_call(&self, id: CallId) -> Result<(), BridgeError> {
        let mut state = self.state()?;
        state.legs.retain(|_, leg| leg.summary.call != id);
        let removed = state.calls.remove(&id);
        removed.map(drop).ok_or(BridgeError::NoSuchCall)
    }

    async fn call_legs(&self, query: CallLegQuery) -> Result<Page<CallLegSummary>, BridgeError> {
        let state = self.state()?;
        if query
            .call
            .is_some_and(|call| !state.calls.contains_key(&call))
        {
            return Err(BridgeError::NoSuchCall);
        }
        let legs = state.legs.values().map(|leg| &leg.summary);
        let matching = legs.filter(|leg| query.matches(leg));
        Ok(Page::select(matching, query.page, Clone::clone))
    }

    async fn call_leg(&self, id: CallLegId) -> Result<CallLegView, BridgeError> {
        let state = self.state()?;
        state
            .legs
            .get(&id)
            .cloned()
            .ok_or(BridgeError::NoSuchCallLeg)
    }

    async fn dial_out(&self, call: CallId, wanted: DialOut) -> Result<CallLegId, BridgeError> {
        self.call(call).await?;
        let id = self.add_leg(call, "dialled");
        let mut state = self.state()?;
        let leg = state.legs.get_mut(&id).unwrap();
        leg.summary.remote_party = wanted.remote_party;
        leg.direction = Direction::Outgoing;
        leg.status.state = CallLegState::Ringing;
        leg.status.rx_audio = None;
        wanted.settings.apply(&mut leg.configuration);
        Ok(id)
    }

    async fn update_call_leg(
        &self,
        id: CallLegId,
        change: CallLegPatch,
    ) -> Result<(), BridgeError> {
        let mut state = self.state()?;
        if let Some(digits) = &change.dtmf_sequence {
            state.digits.push(digits.clone());
        }
        let leg = state.legs.get_mut(&id).ok_or(BridgeError::NoSuchCallLeg)?;
        change.apply(&mut leg.configuration);
        Ok(())
    }

    async fn hang_up(&self, id: CallLegId) -> Result<(), BridgeError> {
        let removed = self.state()?.legs.remove(&id);
        removed.map(drop).ok_or(BridgeError::NoSuchCallLeg)
    }

    async fn web_bridge_profiles(
        &self,
        query: WebBridgeProfileQuery,
    ) -> Result<Page<WebBridgeProfile>, BridgeError> {
        let state = self.state()?;
        let assigned = state.system_profiles.web_bridge_profile;
        let matching = state.profiles.values().filter(|it| match query.usage {
            None => true,
            Some(ProfileUsage::Referenced) => assigned == Some(it.id),
            Some(ProfileUsage::Unreferenced) => assigned != Some(it.id),
        });
        Ok(Page::select(matching, query.page, Clone::clone))
    }

    async fn web_bridge_profile(
        &self,
        id: WebBridgeProfileId,
    ) -> Result<WebBridgeProfile, BridgeError> {
        let profile = self.state()?.profiles.get(&id).cloned();
        profile.ok_or(BridgeError::NoSuchWebBridgeProfile)
    }

    async fn create_web_bridge_profile(
        &self,
        wanted: WebBridgeProfilePatch,
    ) -> Result<WebBridgeProfileId, BridgeError> {
        let id = WebBridgeProfileId::from_entropy(self.entropy());
        let mut profile = WebBridgeProfile::new(id);
        wanted.apply(&mut profile);
        profile.validate()?;
        self.state()?.profiles.insert(id, profile);
        Ok(id)
    }

    async fn update_web_bridge_profile(
        &self,
        id: WebBridgeProfileId,
        change: WebBridgeProfilePatch,
    ) -> Result<(), BridgeError> {
        let mut profile = self.web_bridge_profile(id).await?;
        change.apply(&mut profile);
        profile.validate()?;
        self.state()?.profiles.insert(id, profile);
        Ok(())
    }

    async fn delete_web_bridge_profile(&self, id: WebBridgeProfileId) -> Result<(), BridgeError> {
        let removed = self.state()?.profiles.remove(&id);
        removed.map(drop).ok_or(BridgeError::NoSuchWebBridgeProfile)
    }

    async fn entry_points(
        &self,
        of: EntryPoints,
        page: PageRequest,
    ) -> Result<Page<EntryPoint>, BridgeError> {
        self.web_bridge_profile(of.profile).await?;
        let state = self.state()?;
        let matching = state.entry_points.iter().filter(|(its, _)| *its == of);
        Ok(Page::select(matching, page, |(_, point)| point.clone()))
    }

    async fn entry_point(
        &self,
        of: EntryPoints,
        id: EntryPointId,
    ) -> Result<EntryPoint, BridgeError> {
        let state = self.state()?;
        let mut points = state.entry_points.iter();
        let found = points.find(|(its, point)| *its == of && point.id == id);
        let found = found.map(|(_, point)| point.clone());
        found.ok_or(BridgeError::NoSuchEntryPoint(of.kind))
    }

    async fn create_entry_point(
        &self,
        of: EntryPoints,
        wanted: EntryPointPatch,
    ) -> Result<EntryPointId, BridgeError> {
        self.web_bridge_profile(of.profile).await?;
        let mut point = EntryPoint::new(EntryPointId::from_entropy(self.entropy()));
        wanted.apply(&mut point);
        point.validate(of.kind)?;
        let id = point.id;
        self.state()?.entry_points.push((of, point));
        Ok(id)
    }

    async fn update_entry_point(
        &self,
        of: EntryPoints,
        id: EntryPointId,
        change: EntryPointPatch,
    ) -> Result<(), BridgeError> {
        let mut point = self.entry_point(of, id).await?;
        change.apply(&mut point);
        point.validate(of.kind)?;
        let mut state = self.state()?;
        let mut points = state.entry_points.iter_mut();
        *points.find(|(_, it)| it.id == id).unwrap() = (of, point);
        Ok(())
    }

    async fn delete_entry_point(
        &self,
        of: EntryPoints,
        id: EntryPointId,
    ) -> Result<(), BridgeError> {
        self.entry_point(of, id).await?;
        self.state()?.entry_points.retain(|(_, it)| it.id != id);
        Ok(())
    }

    async fn system_profiles(&self) -> Result<SystemProfiles, BridgeError> {
        self.state().map(|state| state.system_profiles)
    }

    async fn update_system_profiles(&self, change: SystemProfilesPatch) -> Result<(), BridgeError> {
        if let Some(&id) = change.web_bridge_profile.value() {
            self.web_bridge_profile(id).await?;
        }
        let mut state = self.state()?;
        let assigned = &mut state.system_profiles.web_bridge_profile;
        change.web_bridge_profile.apply(assigned);
        Ok(())
    }

    async fn effective_web_bridge_profile(&self) -> Result<EffectiveWebBridgeProfile, BridgeError> {
        let state = self.state()?;
        let defaults = EffectiveWebBridgeProfile {
            allow_passcodes: true,
            allow_secrets: true,
            allow_unauthenticated_guests: true,
            resolve_co_space_call_ids: true,
            resolve_co_space_uris: ResolveCoSpaceUris::DomainSuggestionEnabled,
        };
        let assigned = state.system_profiles.web_bridge_profile;
        let assigned = assigned.and_then(|id| state.profiles.get(&id));
        Ok(assigned.map_or(defaults, |profile| profile.effective(defaults)))
    }

    async fn turn_server(&self) -> Result<Option<TurnServer>, BridgeError> {
        drop(self.state()?);
        Ok(Some(TurnServer {
            id: HostId::from_bytes([7; 16]),
            address: "192.0.2.5".into(),
            port: 3_478,
        }))
    }

    async fn turn_status(&self) -> Result<TurnServerStatus, BridgeError> {
        let draining = self.state()?.draining;
        Ok(TurnServerStatus {
            server: self.turn_server().await?.unwrap(),
            reachable: true,
            round_trip: Duration::from_micros(2_700),
            draining,
            allocations: 12,
            allocations_max: 4_000,
            counters: vec![("packetsToPeers", 5), ("refusedPeers", 1)],
        })
    }

    async fn turn_allocations(
        &self,
        page: PageRequest,
    ) -> Result<Page<TurnAllocationView>, BridgeError> {
        let allocation = |n: u16| TurnAllocationView {
            client: ([192, 0, 2, 9], n).into(),
            stream: n % 2 == 1,
            user: "ab".into(),
            relay_ports: vec![50_000 + n],
            expires_in: Duration::from_millis(599_900),
            permissions: 2,
            channels: 1,
            packets_to_peers: 3,
            bytes_to_peers: 300,
            packets_to_client: 4,
            bytes_to_client: 400,
        };
        Ok(Page::select(0..12, page, allocation))
    }

    async fn drain_turn(&self, draining: bool) -> Result<(), BridgeError> {
        self.state()?.draining = draining;
        Ok(())
    }
}
