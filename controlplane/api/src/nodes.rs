//! The nodes: which exist, and what each method of each does.
//!
//! [`NODES`] is the one table of them. Routing, the `Allow` header and the test
//! that holds `openapi.yaml` to the code all read it.

use std::str::FromStr;

use axum::http::Method;
use plenum_model::{
    CallId, CallLegId, CallLegQuery, CallQuery, DialOut, EntryPointId, EntryPointKind, EntryPoints,
    HostId, Page, SpaceId, SpaceQuery, SystemProfilesPatch, WebBridgeProfileId,
    WebBridgeProfileQuery,
};

use crate::answer::{Answer, Refusal};
use crate::bridge::{Bridge, BridgeError};
use crate::params::Params;
use crate::show;

/// Most objects in one answer: of what is configured, and of what is active.
const CONFIGURED_CAP: u64 = 20;
const ACTIVE_CAP: u64 = 10;

/// Description of exactly these nodes.
const OPENAPI: &str = include_str!("../openapi.yaml");

/// What a method of a node does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Act {
    ShowStatus,
    ShowLoad,
    ListSpaces,
    CreateSpace,
    ShowSpace,
    ChangeSpace,
    RemoveSpace,
    ShowMeetingEntry,
    ListCalls,
    CreateCall,
    ShowCall,
    ChangeCall,
    EndCall,
    ListLegsOfCall,
    DialOut,
    ListParticipantsOfCall,
    ListParticipants,
    ListLegs,
    ShowLeg,
    ChangeLeg,
    HangUp,
    ShowSystemProfiles,
    ChangeSystemProfiles,
    ShowEffectiveProfile,
    ListProfiles,
    CreateProfile,
    ShowProfile,
    ChangeProfile,
    RemoveProfile,
    ListEntryPoints(EntryPointKind),
    CreateEntryPoint(EntryPointKind),
    ShowEntryPoint(EntryPointKind),
    ChangeEntryPoint(EntryPointKind),
    RemoveEntryPoint(EntryPointKind),
    ListTurnServers,
    ShowTurnServer,
    ChangeTurnServer,
    ShowTurnStatus,
    ListTurnAllocations,
    ShowOpenApi,
}

/// One node.
pub(crate) struct Node {
    /// Below `/api/v1`; a segment in braces stands for any one.
    pub(crate) path: &'static str,
    /// Its methods.
    pub(crate) actions: &'static [(Method, Act)],
    /// The same as a header says it.
    pub(crate) allow: &'static str,
}

pub(crate) const NODES: &[Node] = &[
    Node {
        path: "/system/status",
        actions: &[(Method::GET, Act::ShowStatus)],
        allow: "GET",
    },
    Node {
        path: "/system/load",
        actions: &[(Method::GET, Act::ShowLoad)],
        allow: "GET",
    },
    Node {
        path: "/system/profiles",
        actions: &[
            (Method::GET, Act::ShowSystemProfiles),
            (Method::PUT, Act::ChangeSystemProfiles),
            (Method::POST, Act::ChangeSystemProfiles),
        ],
        allow: "GET, PUT, POST",
    },
    Node {
        path: "/system/profiles/effectiveWebBridgeProfile",
        actions: &[(Method::GET, Act::ShowEffectiveProfile)],
        allow: "GET",
    },
    Node {
        path: "/coSpaces",
        actions: &[
            (Method::GET, Act::ListSpaces),
            (Method::POST, Act::CreateSpace),
        ],
        allow: "GET, POST",
    },
    Node {
        path: "/coSpaces/{id}",
        actions: &[
            (Method::GET, Act::ShowSpace),
            (Method::PUT, Act::ChangeSpace),
            (Method::DELETE, Act::RemoveSpace),
        ],
        allow: "GET, PUT, DELETE",
    },
    Node {
        path: "/coSpaces/{id}/meetingEntryDetail",
        actions: &[(Method::GET, Act::ShowMeetingEntry)],
        allow: "GET",
    },
    Node {
        path: "/calls",
        actions: &[
            (Method::GET, Act::ListCalls),
            (Method::POST, Act::CreateCall),
        ],
        allow: "GET, POST",
    },
    Node {
        path: "/calls/{id}",
        actions: &[
            (Method::GET, Act::ShowCall),
            (Method::PUT, Act::ChangeCall),
            (Method::DELETE, Act::EndCall),
        ],
        allow: "GET, PUT, DELETE",
    },
    Node {
        path: "/calls/{id}/callLegs",
        actions: &[
            (Method::GET, Act::ListLegsOfCall),
            (Method::POST, Act::DialOut),
        ],
        allow: "GET, POST",
    },
    Node {
        path: "/calls/{id}/participants",
        actions: &[(Method::GET, Act::ListParticipantsOfCall)],
        allow: "GET",
    },
    Node {
        path: "/participants",
        actions: &[(Method::GET, Act::ListParticipants)],
        allow: "GET",
    },
    Node {
        path: "/callLegs",
        actions: &[(Method::GET, Act::ListLegs)],
        allow: "GET",
    },
    Node {
        path: "/callLegs/{id}",
        actions: &[
            (Method::GET, Act::ShowLeg),
            (Method::PUT, Act::ChangeLeg),
            (Method::DELETE, Act::HangUp),
        ],
        allow: "GET, PUT, DELETE",
    },
    Node {
        path: "/webBridgeProfiles",
        actions: &[
            (Method::GET, Act::ListProfiles),
            (Method::POST, Act::CreateProfile),
        ],
        allow: "GET, POST",
    },
    Node {
        path: "/webBridgeProfiles/{id}",
        actions: &[
            (Method::GET, Act::ShowProfile),
            (Method::PUT, Act::ChangeProfile),
            (Method::DELETE, Act::RemoveProfile),
        ],
        allow: "GET, PUT, DELETE",
    },
    Node {
        path: "/webBridgeProfiles/{id}/ivrNumbers",
        actions: &[
            (Method::GET, Act::ListEntryPoints(EntryPointKind::IvrNumber)),
            (
                Method::POST,
                Act::CreateEntryPoint(EntryPointKind::IvrNumber),
            ),
        ],
        allow: "GET, POST",
    },
    Node {
        path: "/webBridgeProfiles/{id}/ivrNumbers/{entryPoint}",
        actions: &[
            (Method::GET, Act::ShowEntryPoint(EntryPointKind::IvrNumber)),
            (
                Method::PUT,
                Act::ChangeEntryPoint(EntryPointKind::IvrNumber),
            ),
            (
                Method::DELETE,
                Act::RemoveEntryPoint(EntryPointKind::IvrNumber),
            ),
        ],
        allow: "GET, PUT, DELETE",
    },
    Node {
        path: "/webBridgeProfiles/{id}/webBridgeAddresses",
        actions: &[
            (
                Method::GET,
                Act::ListEntryPoints(EntryPointKind::WebBridgeAddress),
            ),
            (
                Method::POST,
                Act::CreateEntryPoint(EntryPointKind::WebBridgeAddress),
            ),
        ],
        allow: "GET, POST",
    },
    Node {
        path: "/webBridgeProfiles/{id}/webBridgeAddresses/{entryPoint}",
        actions: &[
            (
                Method::GET,
                Act::ShowEntryPoint(EntryPointKind::WebBridgeAddress),
            ),
            (
                Method::PUT,
                Act::ChangeEntryPoint(EntryPointKind::WebBridgeAddress),
            ),
            (
                Method::DELETE,
                Act::RemoveEntryPoint(EntryPointKind::WebBridgeAddress),
            ),
        ],
        allow: "GET, PUT, DELETE",
    },
    Node {
        path: "/turnServers",
        actions: &[(Method::GET, Act::ListTurnServers)],
        allow: "GET",
    },
    Node {
        path: "/turnServers/{id}",
        actions: &[
            (Method::GET, Act::ShowTurnServer),
            (Method::PUT, Act::ChangeTurnServer),
        ],
        allow: "GET, PUT",
    },
    Node {
        path: "/turnServers/{id}/status",
        actions: &[(Method::GET, Act::ShowTurnStatus)],
        allow: "GET",
    },
    Node {
        path: "/turnServers/{id}/allocations",
        actions: &[(Method::GET, Act::ListTurnAllocations)],
        allow: "GET",
    },
    Node {
        path: "/openapi.yaml",
        actions: &[(Method::GET, Act::ShowOpenApi)],
        allow: "GET",
    },
];

/// An action and the ids in its path, unchecked, in the order of the path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Action {
    act: Act,
    ids: Vec<String>,
}

/// The action of a path and method. Segments are matched in any case, a
/// trailing slash is passed over.
pub(crate) fn find(path: &str, method: &Method) -> Result<Action, Refusal> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
    let is_api = segments
        .next()
        .is_some_and(|segment| segment.eq_ignore_ascii_case("api"));
    if !is_api {
        return Err(Refusal::Unrecognised);
    }
    let version = segments.next().ok_or(Refusal::Version)?;
    if !version.eq_ignore_ascii_case("v1") {
        return Err(Refusal::Version);
    }
    let segments: Vec<&str> = segments.collect();
    let (node, ids) = NODES
        .iter()
        .find_map(|node| Some((node, matches(node.path, &segments)?)))
        .ok_or(Refusal::Unrecognised)?;
    // A HEAD is a GET whose body the connection leaves out.
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    node.actions
        .iter()
        .find(|(allowed, _)| allowed == method)
        .map(|&(_, act)| Action { act, ids })
        .ok_or(Refusal::Operation(node.allow))
}

/// The ids in `segments`, if they are of this node.
fn matches(pattern: &str, segments: &[&str]) -> Option<Vec<String>> {
    let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
    let mut ids = Vec::new();
    let mut given = segments.iter();
    for expected in pattern.split('/') {
        let segment = given.next()?;
        if expected.starts_with('{') && !segment.is_empty() {
            ids.push((*segment).to_owned());
        } else if !expected.eq_ignore_ascii_case(segment) {
            return None;
        }
    }
    given.next().is_none().then_some(ids)
}

impl Action {
    /// The id at this place of the path. What is no GUID is the id of nothing.
    fn id<T: FromStr>(&self, at: usize, missing: BridgeError) -> Result<T, Refusal> {
        let id = self.ids.get(at).and_then(|id| id.parse().ok());
        id.ok_or(missing.into())
    }

    fn space(&self) -> Result<SpaceId, Refusal> {
        self.id(0, BridgeError::NoSuchSpace)
    }

    fn call(&self) -> Result<CallId, Refusal> {
        self.id(0, BridgeError::NoSuchCall)
    }

    fn leg(&self) -> Result<CallLegId, Refusal> {
        self.id(0, BridgeError::NoSuchCallLeg)
    }

    fn profile(&self) -> Result<WebBridgeProfileId, Refusal> {
        self.id(0, BridgeError::NoSuchWebBridgeProfile)
    }

    fn entry_points(&self, kind: EntryPointKind) -> Result<EntryPoints, Refusal> {
        let profile = self.profile()?;
        Ok(EntryPoints { profile, kind })
    }

    fn entry_point(&self, kind: EntryPointKind) -> Result<EntryPointId, Refusal> {
        self.id(1, BridgeError::NoSuchEntryPoint(kind))
    }
}

/// Does what is asked: one call of the bridge and its answer on the wire.
pub(crate) async fn act(
    bridge: &dyn Bridge,
    action: Action,
    params: &Params,
) -> Result<Answer, Refusal> {
    match action.act {
        Act::ShowStatus => Ok(Answer::Shown(show::status(&bridge.status().await?))),
        Act::ShowLoad => Ok(Answer::Shown(show::load(&bridge.load().await?))),
        Act::ListSpaces => list_spaces(bridge, params).await,
        Act::CreateSpace => {
            refuse_references(params, SPACE_REFERENCES)?;
            let id = bridge.create_space(params.space()?).await?;
            Ok(Answer::At(format!("/api/v1/coSpaces/{id}")))
        }
        Act::ShowSpace => {
            let space = bridge.space(action.space()?).await?;
            Ok(Answer::Shown(show::space(&space)))
        }
        Act::ChangeSpace => {
            let id = action.space()?;
            refuse_references(params, SPACE_REFERENCES)?;
            bridge.update_space(id, params.space()?).await?;
            Ok(Answer::At(format!("/api/v1/coSpaces/{id}")))
        }
        Act::RemoveSpace => {
            bridge.delete_space(action.space()?).await?;
            Ok(Answer::Gone)
        }
        Act::ShowMeetingEntry => {
            let space = bridge.space(action.space()?).await?;
            let domain = bridge.sip_domain().await?;
            Ok(Answer::Shown(show::meeting_entry(&space, &domain)))
        }
        Act::ListCalls => list_calls(bridge, params).await,
        Act::CreateCall => {
            let space = params
                .non_empty("coSpace")
                .ok_or(Refusal::Missing("coSpace"))?
                .parse()
                .map_err(|_| BridgeError::NoSuchSpace)?;
            let id = bridge.create_call(space, params.call()?).await?;
            Ok(Answer::At(format!("/api/v1/calls/{id}")))
        }
        Act::ShowCall => {
            let call = bridge.call(action.call()?).await?;
            Ok(Answer::Shown(show::call(&call)))
        }
        Act::ChangeCall => {
            let id = action.call()?;
            bridge.update_call(id, params.call()?).await?;
            Ok(Answer::At(format!("/api/v1/calls/{id}")))
        }
        Act::EndCall => {
            bridge.end_call(action.call()?).await?;
            Ok(Answer::Gone)
        }
        Act::DialOut => {
            let call = action.call()?;
            refuse_references(params, LEG_REFERENCES)?;
            let remote_party = params
                .non_empty("remoteParty")
                .ok_or(Refusal::Missing("remoteParty"))?
                .to_owned();
            let wanted = DialOut {
                remote_party,
                settings: params.call_leg()?,
            };
            wanted.validate()?;
            let id = bridge.dial_out(call, wanted).await?;
            Ok(Answer::At(format!("/api/v1/callLegs/{id}")))
        }
        Act::ListLegsOfCall => {
            let page = find_legs(bridge, params, Some(action.call()?)).await?;
            Ok(Answer::Shown(show::call_legs(&page)))
        }
        Act::ListLegs => {
            let page = find_legs(bridge, params, None).await?;
            Ok(Answer::Shown(show::call_legs(&page)))
        }
        Act::ListParticipantsOfCall => {
            let page = find_legs(bridge, params, Some(action.call()?)).await?;
            Ok(Answer::Shown(show::participants(&page)))
        }
        Act::ListParticipants => {
            let page = find_legs(bridge, params, None).await?;
            Ok(Answer::Shown(show::participants(&page)))
        }
        Act::ShowLeg => {
            let leg = bridge.call_leg(action.leg()?).await?;
            Ok(Answer::Shown(show::call_leg(&leg)))
        }
        Act::ChangeLeg => {
            let id = action.leg()?;
            refuse_references(params, LEG_REFERENCES)?;
            bridge.update_call_leg(id, params.call_leg()?).await?;
            Ok(Answer::At(format!("/api/v1/callLegs/{id}")))
        }
        Act::HangUp => {
            bridge.hang_up(action.leg()?).await?;
            Ok(Answer::Gone)
        }
        Act::ShowSystemProfiles => {
            let profiles = bridge.system_profiles().await?;
            Ok(Answer::Shown(show::system_profiles(&profiles)))
        }
        Act::ChangeSystemProfiles => change_system_profiles(bridge, params).await,
        Act::ShowEffectiveProfile => {
            let effective = bridge.effective_web_bridge_profile().await?;
            Ok(Answer::Shown(show::effective_web_bridge_profile(effective)))
        }
        Act::ListProfiles => {
            let query = WebBridgeProfileQuery {
                usage: params.filter("usageFilter")?,
                page: params.page(CONFIGURED_CAP)?,
            };
            let page = bridge.web_bridge_profiles(query).await?;
            Ok(Answer::Shown(show::web_bridge_profiles(&page)))
        }
        Act::CreateProfile => {
            let wanted = params.web_bridge_profile()?;
            let id = bridge.create_web_bridge_profile(wanted).await?;
            Ok(Answer::At(format!("/api/v1/webBridgeProfiles/{id}")))
        }
        Act::ShowProfile => {
            let profile = bridge.web_bridge_profile(action.profile()?).await?;
            Ok(Answer::Shown(show::web_bridge_profile(&profile)))
        }
        Act::ChangeProfile => {
            let id = action.profile()?;
            let change = params.web_bridge_profile()?;
            bridge.update_web_bridge_profile(id, change).await?;
            Ok(Answer::At(format!("/api/v1/webBridgeProfiles/{id}")))
        }
        Act::RemoveProfile => {
            bridge.delete_web_bridge_profile(action.profile()?).await?;
            Ok(Answer::Gone)
        }
        Act::ListEntryPoints(kind) => {
            let of = action.entry_points(kind)?;
            let page = bridge
                .entry_points(of, params.page(CONFIGURED_CAP)?)
                .await?;
            Ok(Answer::Shown(show::entry_points(kind, &page)))
        }
        Act::CreateEntryPoint(kind) => {
            let of = action.entry_points(kind)?;
            let value = kind.value_parameter();
            params.non_empty(value).ok_or(Refusal::Missing(value))?;
            let wanted = params.entry_point(kind);
            let id = bridge.create_entry_point(of, wanted).await?;
            Ok(Answer::At(entry_point_path(of, id)))
        }
        Act::ShowEntryPoint(kind) => {
            let of = action.entry_points(kind)?;
            let point = bridge.entry_point(of, action.entry_point(kind)?).await?;
            Ok(Answer::Shown(show::entry_point(kind, &point)))
        }
        Act::ChangeEntryPoint(kind) => {
            let (of, id) = (action.entry_points(kind)?, action.entry_point(kind)?);
            let change = params.entry_point(kind);
            bridge.update_entry_point(of, id, change).await?;
            Ok(Answer::At(entry_point_path(of, id)))
        }
        Act::RemoveEntryPoint(kind) => {
            let (of, id) = (action.entry_points(kind)?, action.entry_point(kind)?);
            bridge.delete_entry_point(of, id).await?;
            Ok(Answer::Gone)
        }
        Act::ListTurnServers => {
            let page = params.page(CONFIGURED_CAP)?;
            let server = bridge.turn_server().await?;
            let page = Page::select(server.into_iter(), page, |server| server);
            Ok(Answer::Shown(show::turn_servers(&page)))
        }
        Act::ShowTurnServer => {
            let server = turn_server(bridge, &action).await?;
            Ok(Answer::Shown(show::turn_server(&server)))
        }
        Act::ChangeTurnServer => {
            let server = turn_server(bridge, &action).await?;
            if let Some(draining) = params.draining()? {
                bridge.drain_turn(draining).await?;
            }
            Ok(Answer::At(format!("/api/v1/turnServers/{}", server.id)))
        }
        Act::ShowTurnStatus => {
            turn_server(bridge, &action).await?;
            let status = bridge.turn_status().await?;
            Ok(Answer::Shown(show::turn_status(&status)))
        }
        Act::ListTurnAllocations => {
            turn_server(bridge, &action).await?;
            let page = bridge.turn_allocations(params.page(ACTIVE_CAP)?).await?;
            Ok(Answer::Shown(show::turn_allocations(&page)))
        }
        Act::ShowOpenApi => Ok(Answer::Text("application/yaml", OPENAPI)),
    }
}

/// The TURN server that the path names, which can only be our own.
async fn turn_server(
    bridge: &dyn Bridge,
    action: &Action,
) -> Result<plenum_model::TurnServer, Refusal> {
    let id: HostId = action.id(0, BridgeError::NoSuchTurnServer)?;
    let server = bridge.turn_server().await?.filter(|server| server.id == id);
    server.ok_or(BridgeError::NoSuchTurnServer.into())
}

/// Parameters that name objects of kinds that do not exist yet: a value can
/// only be wrong, an empty one is what it is already.
const SPACE_REFERENCES: &[(&str, &str)] = &[
    ("tenant", "tenantDoesNotExist"),
    ("callLegProfile", "callLegProfileDoesNotExist"),
    ("callProfile", "callProfileDoesNotExist"),
    ("callBrandingProfile", "callBrandingProfileDoesNotExist"),
    ("dialInSecurityProfile", "dialInSecurityProfileDoesNotExist"),
];
const LEG_REFERENCES: &[(&str, &str)] = &[("callLegProfile", "callLegProfileDoesNotExist")];

const SYSTEM_REFERENCES: &[(&str, &str)] = &[
    ("callLegProfile", "callLegProfileDoesNotExist"),
    ("callProfile", "callProfileDoesNotExist"),
    ("dtmfProfile", "dtmfProfileDoesNotExist"),
    ("userProfile", "userProfileDoesNotExist"),
    ("ivrBrandingProfile", "ivrBrandingProfileDoesNotExist"),
    ("callBrandingProfile", "callBrandingProfileDoesNotExist"),
    ("compatibilityProfile", "compatibilityProfileDoesNotExist"),
    ("dialInSecurityProfile", "dialInSecurityProfileDoesNotExist"),
];

fn refuse_references(params: &Params, references: &[(&str, &'static str)]) -> Result<(), Refusal> {
    match references
        .iter()
        .find(|(name, _)| params.non_empty(name).is_some())
    {
        Some(&(_, reason)) => Err(Refusal::NoSuchReference(reason)),
        None => Ok(()),
    }
}

/// Assigns profiles. One that is not there is a wrong value, not a wrong path.
async fn change_system_profiles(bridge: &dyn Bridge, params: &Params) -> Result<Answer, Refusal> {
    const UNKNOWN: Refusal = Refusal::NoSuchReference("webBridgeProfileDoesNotExist");
    refuse_references(params, SYSTEM_REFERENCES)?;
    let change = SystemProfilesPatch {
        web_bridge_profile: params.word("webBridgeProfile").map_err(|_| UNKNOWN)?,
    };
    match bridge.update_system_profiles(change).await {
        Err(BridgeError::NoSuchWebBridgeProfile) => Err(UNKNOWN),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(Answer::At("/api/v1/system/profiles".to_owned())),
    }
}

/// Where an entry point is found.
fn entry_point_path(of: EntryPoints, id: EntryPointId) -> String {
    let collection = show::entry_points_name(of.kind);
    format!("/api/v1/webBridgeProfiles/{}/{collection}/{id}", of.profile)
}

/// Whether a filter names an object of a kind that does not exist yet: nothing
/// matches it.
fn filters_by_nothing(params: &Params, filters: &[&'static str]) -> Result<bool, Refusal> {
    let mut given = false;
    for &name in filters {
        // Any id type reads a GUID.
        given |= params.filter::<SpaceId>(name)?.is_some();
    }
    Ok(given)
}

const fn nothing<T>() -> Page<T> {
    Page {
        total: 0,
        items: Vec::new(),
    }
}

async fn list_spaces(bridge: &dyn Bridge, params: &Params) -> Result<Answer, Refusal> {
    let query = SpaceQuery {
        filter: params.non_empty("filter").map(str::to_owned),
        page: params.page(CONFIGURED_CAP)?,
    };
    let page = if filters_by_nothing(params, &["tenantFilter", "callLegProfileFilter"])? {
        nothing()
    } else {
        bridge.spaces(query).await?
    };
    Ok(Answer::Shown(show::spaces(&page)))
}

async fn list_calls(bridge: &dyn Bridge, params: &Params) -> Result<Answer, Refusal> {
    let query = CallQuery {
        space: params.filter("coSpaceFilter")?,
        page: params.page(ACTIVE_CAP)?,
    };
    let page = if filters_by_nothing(params, &["tenantFilter"])? {
        nothing()
    } else {
        bridge.calls(query).await?
    };
    Ok(Answer::Shown(show::calls(&page)))
}

async fn find_legs(
    bridge: &dyn Bridge,
    params: &Params,
    call: Option<CallId>,
) -> Result<Page<plenum_model::CallLegSummary>, Refusal> {
    let query = CallLegQuery {
        call,
        leg: params.filter("participantFilter")?,
        filter: params.non_empty("filter").map(str::to_owned),
        page: params.page(ACTIVE_CAP)?,
    };
    if filters_by_nothing(params, &["tenantFilter", "callBridgeFilter"])? {
        return Ok(nothing());
    }
    Ok(bridge.call_legs(query).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(path, methods)` as `openapi.yaml` lists them: paths at two spaces,
    /// methods at four.
    fn described() -> Vec<(String, Vec<String>)> {
        let mut nodes: Vec<(String, Vec<String>)> = Vec::new();
        for line in OPENAPI.lines() {
            let indent = line.len() - line.trim_start().len();
            let key = line.trim().trim_end_matches(':');
            if indent == 2 && key.starts_with('/') {
                nodes.push((key.to_owned(), Vec::new()));
            } else if indent == 4 && ["get", "post", "put", "delete"].contains(&key) {
                nodes.last_mut().unwrap().1.push(key.to_uppercase());
            }
        }
        nodes
    }

    #[test]
    fn the_openapi_description_lists_exactly_the_nodes_that_exist() {
        let existing: Vec<(String, Vec<String>)> = NODES
            .iter()
            .map(|node| {
                let methods = node.actions.iter().map(|(method, _)| method.to_string());
                (node.path.to_owned(), methods.collect())
            })
            .collect();
        assert_eq!(described(), existing);
    }

    #[test]
    fn the_allow_header_is_what_the_node_has() {
        for node in NODES {
            let methods: Vec<&str> = node.actions.iter().map(|(m, _)| m.as_str()).collect();
            assert_eq!(node.allow, methods.join(", "), "{}", node.path);
        }
    }

    #[test]
    fn paths_of_other_shapes_are_no_nodes() {
        for path in [
            "/api/v1",
            "/api/v1/",
            "/api/v1//",
            "/api/v1/coSpaces//",
            "/api/v1/coSpaces//meetingEntryDetail",
            "/api/v1/nothing",
            "/api/v1/system",
            "/api/v1/coSpaces/a/b/c",
        ] {
            assert_eq!(
                find(path, &Method::GET),
                Err(Refusal::Unrecognised),
                "{path}"
            );
        }
    }
}
