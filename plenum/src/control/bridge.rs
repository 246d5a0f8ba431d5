//! What the REST API is served from.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use plenum_abi::LATENESS_BUCKETS_US;
use plenum_api::{Authenticator, Bridge, BridgeError};
use plenum_app::Error;
use plenum_model::{
    CallId, CallLegId, CallLegPatch, CallLegQuery, CallLegSummary, CallLegView, CallPatch,
    CallQuery, CallSummary, CallView, DialOut, EffectiveWebBridgeProfile, EntryPoint, EntryPointId,
    EntryPointKind, EntryPointPatch, EntryPoints, HostId, InvalidField, Page, PageRequest, Space,
    SpaceId, SpacePatch, SpaceQuery, SystemLoad, SystemProfiles, SystemProfilesPatch, SystemStatus,
    TickLateness, TurnAllocationView, TurnServer, TurnServerStatus, WebBridgeProfile,
    WebBridgeProfileId, WebBridgeProfilePatch, WebBridgeProfileQuery,
};
use plenum_store::{Store, StoreError};

use super::actor::{Actor, Ending, Handle};
use super::load::MediaLoad;
use super::uri;
use super::web::Offers;
use crate::turn::desk::{self, AllocationStatus, Answer, Question};

/// See the module.
pub(super) struct RestBridge {
    pub(super) actor: Handle,
    pub(super) store: Store,
    pub(super) offers: Offers,
    /// Held while a space is changed.
    pub(super) space_changes: tokio::sync::Mutex<()>,
    pub(super) host_id: HostId,
    pub(super) own_domain: String,
    pub(super) load: MediaLoad,
    /// When the server (not merely this process) started.
    pub(super) started_at: u64,
    /// The TURN server beside it, and the folder in which that is asked.
    pub(super) turn: Option<TurnServer>,
    pub(super) data_dir: PathBuf,
}

/// Administrators of the store.
pub(super) struct StoreAuthenticator(pub(super) Store);

fn store_error(error: StoreError) -> BridgeError {
    match error {
        StoreError::NoSuchSpace => BridgeError::NoSuchSpace,
        StoreError::NoSuchWebBridgeProfile => BridgeError::NoSuchWebBridgeProfile,
        StoreError::DuplicateUri => BridgeError::DuplicateUri,
        StoreError::DuplicateCallId => BridgeError::DuplicateCallId,
        StoreError::Invalid(field) => BridgeError::Invalid(field),
        StoreError::Closed => BridgeError::DatabaseNotReady,
        error => {
            tracing::error!(%error, "the database");
            BridgeError::DatabaseNotReady
        }
    }
}

/// What went wrong with an entry point of this kind.
fn entry_point_error(kind: EntryPointKind) -> impl Fn(StoreError) -> BridgeError {
    move |error| match error {
        StoreError::NoSuchEntryPoint => BridgeError::NoSuchEntryPoint(kind),
        StoreError::TooManyEntryPoints => BridgeError::TooManyEntryPoints(kind),
        error => store_error(error),
    }
}

impl From<Ending> for BridgeError {
    fn from(_: Ending) -> Self {
        Self::Busy
    }
}

fn app_error(error: Error) -> BridgeError {
    match error {
        Error::NoSuchCall => BridgeError::NoSuchCall,
        Error::NoSuchCallLeg => BridgeError::NoSuchCallLeg,
        Error::ParticipantLimitReached => BridgeError::ParticipantLimitReached,
        Error::Busy => BridgeError::Busy,
    }
}

/// Our address on the way to a far end.
pub(super) async fn local_address(remote_party: &str) -> Option<IpAddr> {
    let (_, host) = uri::user_and_host(remote_party);
    let host = host.to_owned();
    let found = tokio::net::lookup_host((host.as_str(), 5060)).await.ok()?;
    let far: Vec<SocketAddr> = found.collect();
    far.into_iter().find_map(|far| {
        let any: SocketAddr = match far {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
        };
        // Connecting a datagram socket sends nothing; it only asks for the route.
        let socket = UdpSocket::bind(any).ok()?;
        socket.connect(far).ok()?;
        Some(socket.local_addr().ok()?.ip())
    })
}

impl RestBridge {
    /// Asks the TURN process, which answers at once or is not there.
    async fn ask_turn(&self, question: Question) -> Result<Answer, BridgeError> {
        if self.turn.is_none() {
            return Err(BridgeError::NoSuchTurnServer);
        }
        let folder = self.data_dir.clone();
        let asked = tokio::task::spawn_blocking(move || desk::ask(&folder, question)).await;
        asked.map_err(|_| BridgeError::Internal)?.map_err(|error| {
            tracing::warn!(%error, "the TURN server does not answer");
            BridgeError::Busy
        })
    }
}

fn allocation(it: AllocationStatus) -> TurnAllocationView {
    TurnAllocationView {
        client: it.client,
        stream: it.stream,
        user: it.user,
        relay_ports: it.relay_ports,
        expires_in: Duration::from_secs(it.expires_in_s),
        permissions: it.permissions as u64,
        channels: it.channels as u64,
        packets_to_peers: it.packets_to_peers,
        bytes_to_peers: it.bytes_to_peers,
        packets_to_client: it.packets_to_client,
        bytes_to_client: it.bytes_to_client,
    }
}

#[async_trait]
impl Bridge for RestBridge {
    async fn status(&self) -> Result<SystemStatus, BridgeError> {
        let statistics = self.actor.ask(|actor| actor.app.statistics()).await?;
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(SystemStatus {
            host_id: self.host_id,
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime: since.saturating_sub(Duration::from_secs(self.started_at)),
            cdr_time: now,
            cdr_correlator_index: 0,
            call_legs_active: statistics.legs_active,
            call_legs_max_active: statistics.legs_max_active,
            call_legs_completed: statistics.legs_completed,
            audio_bit_rate_outgoing: statistics.audio_bit_rate_outgoing,
            audio_bit_rate_incoming: statistics.audio_bit_rate_incoming,
            video_bit_rate_outgoing: statistics.video_bit_rate_outgoing,
            video_bit_rate_incoming: statistics.video_bit_rate_incoming,
        })
    }

    async fn load(&self) -> Result<SystemLoad, BridgeError> {
        let lateness = self.actor.ask(|actor| actor.link.tick_lateness()).await?;
        let bounds = LATENESS_BUCKETS_US.map(|us| Some(Duration::from_micros(us)));
        let bounds = bounds.into_iter().chain([None]);
        let bucket = |(up_to, ticks)| TickLateness { up_to, ticks };
        Ok(SystemLoad {
            media_processing_percent: self.load.percent(),
            tick_lateness: bounds.zip(lateness).map(bucket).collect(),
        })
    }

    async fn sip_domain(&self) -> Result<String, BridgeError> {
        Ok(self.own_domain.clone())
    }

    async fn spaces(&self, query: SpaceQuery) -> Result<Page<Space>, BridgeError> {
        self.store.spaces(&query).await.map_err(store_error)
    }

    async fn space(&self, id: SpaceId) -> Result<Space, BridgeError> {
        let space = self.store.space(id).await.map_err(store_error)?;
        space.ok_or(BridgeError::NoSuchSpace)
    }

    async fn create_space(&self, wanted: SpacePatch) -> Result<SpaceId, BridgeError> {
        let space = self.store.create_space(wanted).await.map_err(store_error)?;
        Ok(space.id)
    }

    async fn update_space(&self, id: SpaceId, change: SpacePatch) -> Result<(), BridgeError> {
        // The call hears of changes in the order in which they were stored.
        let _turn = self.space_changes.lock().await;
        let space = self.store.update_space(id, change).await;
        let space = space.map_err(store_error)?;
        let tell = move |actor: &mut Actor| {
            actor.decide(|app, world| app.space_changed(&space, world));
        };
        Ok(self.actor.ask(tell).await?)
    }

    async fn delete_space(&self, id: SpaceId) -> Result<(), BridgeError> {
        self.store.delete_space(id).await.map_err(store_error)
    }

    async fn calls(&self, query: CallQuery) -> Result<Page<CallSummary>, BridgeError> {
        Ok(self.actor.ask(move |actor| actor.app.calls(query)).await?)
    }

    async fn call(&self, id: CallId) -> Result<CallView, BridgeError> {
        let view = move |actor: &mut Actor| actor.app.call_view(id, Actor::now());
        self.actor.ask(view).await?.map_err(app_error)
    }

    async fn create_call(
        &self,
        space: SpaceId,
        settings: CallPatch,
    ) -> Result<CallId, BridgeError> {
        let space = self.space(space).await?;
        let create = move |actor: &mut Actor| {
            actor.decide(|app, world| {
                let id = app.create_call(&space, world)?;
                app.update_call(id, settings, world)?;
                Ok(id)
            })
        };
        self.actor.ask(create).await?.map_err(app_error)
    }

    async fn update_call(&self, id: CallId, change: CallPatch) -> Result<(), BridgeError> {
        let update =
            move |actor: &mut Actor| actor.decide(|app, world| app.update_call(id, change, world));
        self.actor.ask(update).await?.map_err(app_error)
    }

    async fn end_call(&self, id: CallId) -> Result<(), BridgeError> {
        let end = move |actor: &mut Actor| actor.decide(|app, world| app.end_call(id, world));
        self.actor.ask(end).await?.map_err(app_error)
    }

    async fn call_legs(&self, query: CallLegQuery) -> Result<Page<CallLegSummary>, BridgeError> {
        let list = move |actor: &mut Actor| actor.app.call_legs(&query);
        self.actor.ask(list).await?.map_err(app_error)
    }

    async fn call_leg(&self, id: CallLegId) -> Result<CallLegView, BridgeError> {
        let view = move |actor: &mut Actor| actor.app.call_leg(id, Actor::now());
        self.actor.ask(view).await?.map_err(app_error)
    }

    async fn dial_out(&self, call: CallId, wanted: DialOut) -> Result<CallLegId, BridgeError> {
        wanted.validate()?;
        // Nobody is called who cannot be found.
        let local_ip = local_address(&wanted.remote_party).await;
        let local_ip = local_ip.ok_or(InvalidField::new("remoteParty"))?;
        let dial = move |actor: &mut Actor| {
            let leg = CallLegId::from_entropy(actor.random());
            let dialled =
                actor.decide(|app, world| app.dial_out(leg, call, wanted, local_ip, world));
            dialled.map(|()| leg)
        };
        self.actor.ask(dial).await?.map_err(app_error)
    }

    async fn update_call_leg(
        &self,
        id: CallLegId,
        change: CallLegPatch,
    ) -> Result<(), BridgeError> {
        change.validate()?;
        let update = move |actor: &mut Actor| {
            actor.decide(|app, world| app.update_call_leg(id, change, world))
        };
        self.actor.ask(update).await?.map_err(app_error)
    }

    async fn hang_up(&self, id: CallLegId) -> Result<(), BridgeError> {
        let hang_up = move |actor: &mut Actor| actor.decide(|app, world| app.hang_up(id, world));
        self.actor.ask(hang_up).await?.map_err(app_error)
    }

    async fn web_bridge_profiles(
        &self,
        query: WebBridgeProfileQuery,
    ) -> Result<Page<WebBridgeProfile>, BridgeError> {
        let page = self.store.web_bridge_profiles(query).await;
        page.map_err(store_error)
    }

    async fn web_bridge_profile(
        &self,
        id: WebBridgeProfileId,
    ) -> Result<WebBridgeProfile, BridgeError> {
        let profile = self.store.web_bridge_profile(id).await;
        let profile = profile.map_err(store_error)?;
        profile.ok_or(BridgeError::NoSuchWebBridgeProfile)
    }

    async fn create_web_bridge_profile(
        &self,
        wanted: WebBridgeProfilePatch,
    ) -> Result<WebBridgeProfileId, BridgeError> {
        let made = self.store.create_web_bridge_profile(wanted).await;
        made.map(|profile| profile.id).map_err(store_error)
    }

    async fn update_web_bridge_profile(
        &self,
        id: WebBridgeProfileId,
        change: WebBridgeProfilePatch,
    ) -> Result<(), BridgeError> {
        let updated = self.store.update_web_bridge_profile(id, change).await;
        updated.map(drop).map_err(store_error)
    }

    async fn delete_web_bridge_profile(&self, id: WebBridgeProfileId) -> Result<(), BridgeError> {
        let deleted = self.store.delete_web_bridge_profile(id).await;
        deleted.map_err(store_error)
    }

    async fn entry_points(
        &self,
        of: EntryPoints,
        page: PageRequest,
    ) -> Result<Page<EntryPoint>, BridgeError> {
        self.web_bridge_profile(of.profile).await?;
        let page = self.store.entry_points(of, page).await;
        page.map_err(store_error)
    }

    async fn entry_point(
        &self,
        of: EntryPoints,
        id: EntryPointId,
    ) -> Result<EntryPoint, BridgeError> {
        let point = self.store.entry_point(of, id).await.map_err(store_error)?;
        point.ok_or(BridgeError::NoSuchEntryPoint(of.kind))
    }

    async fn create_entry_point(
        &self,
        of: EntryPoints,
        wanted: EntryPointPatch,
    ) -> Result<EntryPointId, BridgeError> {
        let made = self.store.create_entry_point(of, wanted).await;
        made.map(|point| point.id)
            .map_err(entry_point_error(of.kind))
    }

    async fn update_entry_point(
        &self,
        of: EntryPoints,
        id: EntryPointId,
        change: EntryPointPatch,
    ) -> Result<(), BridgeError> {
        let updated = self.store.update_entry_point(of, id, change).await;
        updated.map_err(entry_point_error(of.kind))
    }

    async fn delete_entry_point(
        &self,
        of: EntryPoints,
        id: EntryPointId,
    ) -> Result<(), BridgeError> {
        let deleted = self.store.delete_entry_point(of, id).await;
        deleted.map_err(entry_point_error(of.kind))
    }

    async fn system_profiles(&self) -> Result<SystemProfiles, BridgeError> {
        self.store.system_profiles().await.map_err(store_error)
    }

    async fn update_system_profiles(&self, change: SystemProfilesPatch) -> Result<(), BridgeError> {
        let updated = self.store.update_system_profiles(change).await;
        updated.map_err(store_error)
    }

    async fn effective_web_bridge_profile(&self) -> Result<EffectiveWebBridgeProfile, BridgeError> {
        self.offers.effective().await.map_err(store_error)
    }

    async fn turn_server(&self) -> Result<Option<TurnServer>, BridgeError> {
        Ok(self.turn.clone())
    }

    async fn turn_status(&self) -> Result<TurnServerStatus, BridgeError> {
        let server = self.turn.clone().ok_or(BridgeError::NoSuchTurnServer)?;
        let asked = Instant::now();
        let status = match self.ask_turn(Question::Status).await {
            Ok(Answer::Status(status)) => Some(status),
            _ => None,
        };
        let total = status.as_ref().map(|status| status.total);
        let rows = total.map_or_else(Vec::new, |total| total.rows().to_vec());
        Ok(TurnServerStatus {
            server,
            reachable: status.is_some(),
            round_trip: asked.elapsed(),
            draining: status.as_ref().is_some_and(|status| status.draining),
            allocations: total.map_or(0, |total| total.allocations),
            allocations_max: status.map_or(0, |status| status.allocations_max),
            // The first is the number of allocations now.
            counters: rows.into_iter().skip(1).collect(),
        })
    }

    async fn turn_allocations(
        &self,
        page: PageRequest,
    ) -> Result<Page<TurnAllocationView>, BridgeError> {
        let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let question = Question::Allocations {
            offset: number(page.offset),
            limit: number(page.limit),
        };
        match self.ask_turn(question).await? {
            Answer::Allocations(page) => Ok(Page {
                total: page.total as u64,
                items: page.allocations.into_iter().map(allocation).collect(),
            }),
            Answer::Status(_) => Err(BridgeError::Internal),
        }
    }

    async fn drain_turn(&self, draining: bool) -> Result<(), BridgeError> {
        self.ask_turn(Question::Drain(draining)).await.map(drop)
    }
}

#[async_trait]
impl Authenticator for StoreAuthenticator {
    async fn verify(&self, user: &str, password: &str) -> Result<bool, BridgeError> {
        let role = self.0.verify_admin(user, password).await;
        role.map(|role| role.is_some()).map_err(store_error)
    }
}
