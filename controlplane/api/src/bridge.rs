//! What the API needs of the server, and nothing else.

use plenum_model::{
    CallId, CallLegId, CallLegPatch, CallLegQuery, CallLegSummary, CallLegView, CallPatch,
    CallQuery, CallSummary, CallView, DialOut, EffectiveWebBridgeProfile, EntryPoint, EntryPointId,
    EntryPointKind, EntryPointPatch, EntryPoints, InvalidField, Page, PageRequest, Space, SpaceId,
    SpacePatch, SpaceQuery, SystemLoad, SystemProfiles, SystemProfilesPatch, SystemStatus,
    TurnAllocationView, TurnServer, TurnServerStatus, WebBridgeProfile, WebBridgeProfileId,
    WebBridgeProfilePatch, WebBridgeProfileQuery,
};

/// Why the server did not do what was asked. Nothing was changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BridgeError {
    /// No space has this id.
    #[error("no such space")]
    NoSuchSpace,
    /// No call has this id now.
    #[error("no such call")]
    NoSuchCall,
    /// No call leg has this id now.
    #[error("no such call leg")]
    NoSuchCallLeg,
    /// No TURN server has this id.
    #[error("no such TURN server")]
    NoSuchTurnServer,
    /// No web bridge profile has this id.
    #[error("no such web bridge profile")]
    NoSuchWebBridgeProfile,
    /// The profile has no entry point of this kind with this id.
    #[error("no such {0}")]
    NoSuchEntryPoint(EntryPointKind),
    /// The profile has as many entry points of this kind as it can.
    #[error("too many entry points of kind {0}")]
    TooManyEntryPoints(EntryPointKind),
    /// Another space is reached by this URI.
    #[error("the URI is taken")]
    DuplicateUri,
    /// Another space has this call ID.
    #[error("the call ID is taken")]
    DuplicateCallId,
    /// A value does not fit its field.
    #[error(transparent)]
    Invalid(#[from] InvalidField),
    /// The call is full.
    #[error("the call takes no more participants")]
    ParticipantLimitReached,
    /// The leg cannot be hung up from here.
    #[error("the call leg cannot be removed")]
    CallLegCannotBeDeleted,
    /// Too much to do now; ask again later.
    #[error("busy")]
    Busy,
    /// The store is not open or does not answer; ask again later.
    #[error("the database is not ready")]
    DatabaseNotReady,
    /// A fault of ours; the log says more.
    #[error("internal error")]
    Internal,
}

/// The server behind the API.
///
/// Lists come in an order that stays the same while nothing is added or
/// removed, for clients page through them.
#[async_trait::async_trait]
pub trait Bridge: Send + Sync + 'static {
    /// How the server is doing.
    async fn status(&self) -> Result<SystemStatus, BridgeError>;
    /// How busy it is.
    async fn load(&self) -> Result<SystemLoad, BridgeError>;
    /// Host part of this server's SIP addresses, such as `example.com`.
    async fn sip_domain(&self) -> Result<String, BridgeError>;

    /// A part of the spaces.
    async fn spaces(&self, query: SpaceQuery) -> Result<Page<Space>, BridgeError>;
    /// One space.
    async fn space(&self, id: SpaceId) -> Result<Space, BridgeError>;
    /// Makes a space.
    async fn create_space(&self, wanted: SpacePatch) -> Result<SpaceId, BridgeError>;
    /// Changes a space, wholly or not at all.
    async fn update_space(&self, id: SpaceId, change: SpacePatch) -> Result<(), BridgeError>;
    /// Removes a space.
    async fn delete_space(&self, id: SpaceId) -> Result<(), BridgeError>;

    /// A part of the calls.
    async fn calls(&self, query: CallQuery) -> Result<Page<CallSummary>, BridgeError>;
    /// One call.
    async fn call(&self, id: CallId) -> Result<CallView, BridgeError>;
    /// Starts the call of a space, or names the one that runs.
    async fn create_call(&self, space: SpaceId, settings: CallPatch)
    -> Result<CallId, BridgeError>;
    /// Changes how a call looks, locks or unlocks it.
    async fn update_call(&self, id: CallId, change: CallPatch) -> Result<(), BridgeError>;
    /// Ends a call for everyone.
    async fn end_call(&self, id: CallId) -> Result<(), BridgeError>;

    /// A part of the call legs; [`BridgeError::NoSuchCall`] where `query.call` names none.
    async fn call_legs(&self, query: CallLegQuery) -> Result<Page<CallLegSummary>, BridgeError>;
    /// One call leg.
    async fn call_leg(&self, id: CallLegId) -> Result<CallLegView, BridgeError>;
    /// Calls somebody into a call. Answers when the leg exists, which is long
    /// before the far end answers.
    async fn dial_out(&self, call: CallId, wanted: DialOut) -> Result<CallLegId, BridgeError>;
    /// Changes a call leg.
    async fn update_call_leg(&self, id: CallLegId, change: CallLegPatch)
    -> Result<(), BridgeError>;
    /// Hangs up.
    async fn hang_up(&self, id: CallLegId) -> Result<(), BridgeError>;

    /// A part of the web bridge profiles.
    async fn web_bridge_profiles(
        &self,
        query: WebBridgeProfileQuery,
    ) -> Result<Page<WebBridgeProfile>, BridgeError>;
    /// One web bridge profile.
    async fn web_bridge_profile(
        &self,
        id: WebBridgeProfileId,
    ) -> Result<WebBridgeProfile, BridgeError>;
    /// Makes a web bridge profile.
    async fn create_web_bridge_profile(
        &self,
        wanted: WebBridgeProfilePatch,
    ) -> Result<WebBridgeProfileId, BridgeError>;
    /// Changes a web bridge profile, wholly or not at all.
    async fn update_web_bridge_profile(
        &self,
        id: WebBridgeProfileId,
        change: WebBridgeProfilePatch,
    ) -> Result<(), BridgeError>;
    /// Removes a web bridge profile, also where it is assigned.
    async fn delete_web_bridge_profile(&self, id: WebBridgeProfileId) -> Result<(), BridgeError>;

    /// A part of a profile's entry points of one kind.
    async fn entry_points(
        &self,
        of: EntryPoints,
        page: PageRequest,
    ) -> Result<Page<EntryPoint>, BridgeError>;
    /// One entry point.
    async fn entry_point(
        &self,
        of: EntryPoints,
        id: EntryPointId,
    ) -> Result<EntryPoint, BridgeError>;
    /// Adds an entry point.
    async fn create_entry_point(
        &self,
        of: EntryPoints,
        wanted: EntryPointPatch,
    ) -> Result<EntryPointId, BridgeError>;
    /// Changes an entry point, wholly or not at all.
    async fn update_entry_point(
        &self,
        of: EntryPoints,
        id: EntryPointId,
        change: EntryPointPatch,
    ) -> Result<(), BridgeError>;
    /// Removes an entry point.
    async fn delete_entry_point(
        &self,
        of: EntryPoints,
        id: EntryPointId,
    ) -> Result<(), BridgeError>;

    /// Which profiles hold wherever no other is assigned.
    async fn system_profiles(&self) -> Result<SystemProfiles, BridgeError>;
    /// Changes which those are.
    async fn update_system_profiles(&self, change: SystemProfilesPatch) -> Result<(), BridgeError>;
    /// What the web app offers now.
    async fn effective_web_bridge_profile(&self) -> Result<EffectiveWebBridgeProfile, BridgeError>;

    /// The TURN server beside this one; `None` where it serves none.
    async fn turn_server(&self) -> Result<Option<TurnServer>, BridgeError>;
    /// How it is doing.
    async fn turn_status(&self) -> Result<TurnServerStatus, BridgeError>;
    /// Who is there; a part.
    async fn turn_allocations(
        &self,
        page: PageRequest,
    ) -> Result<Page<TurnAllocationView>, BridgeError>;
    /// Sends new clients elsewhere, or takes them again.
    async fn drain_turn(&self, draining: bool) -> Result<(), BridgeError>;
}

/// Who may use the API.
#[async_trait::async_trait]
pub trait Authenticator: Send + Sync + 'static {
    /// Whether these are a user and password with a role that may use the API.
    /// A slow hash belongs on a thread of its own; the API asks for every request.
    ///
    /// # Errors
    /// [`BridgeError::Busy`] or [`BridgeError::DatabaseNotReady`] when it cannot be told now.
    async fn verify(&self, user: &str, password: &str) -> Result<bool, BridgeError>;
}
