//! What the Web Bridge is served from.

use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plenum_app::{App, WebError, WebJoin, WebRefusal, WebRequest};
use plenum_model::{
    CallLegId, CallLegPatch, DialOut, EffectiveWebBridgeProfile, ResolveCoSpaceUris, Space, uri_key,
};
use plenum_store::{Store, StoreError};
use plenum_webbridge::{
    CallBridge, Code, Found, Join, JoinRefusal, Joined, Meeting, NotInCall, Origin, Request,
    Session, ToClient, TokenKey, TurnServers, WebConfig, Welcome,
};

use super::actor::{Actor, Ending, Handle};
use super::bridge::local_address;
use super::{browsers, uri};
use crate::config::{ResolveUris, Settings};
use crate::turn;

/// Where the key of call access tokens is kept.
const TOKEN_KEY: &str = "web.token_key";

/// The key of call access tokens, made at the first start and the same ever after.
pub(super) async fn token_key(store: &Store) -> Result<TokenKey, StoreError> {
    let kept = store.setting(TOKEN_KEY).await?;
    let kept = kept.and_then(|text| STANDARD.decode(text).ok()?.try_into().ok());
    let key: [u8; 32] = match kept {
        Some(key) => key,
        None => {
            let key: [u8; 32] = rand::random();
            let text = STANDARD.encode(key);
            store.set_setting(TOKEN_KEY, Some(&text)).await?;
            key
        }
    };
    Ok(TokenKey::new(&key))
}

/// What stays the same while the server runs.
pub(super) fn config(settings: &Settings, own_domain: &str) -> WebConfig {
    WebConfig {
        domain: Some(own_domain.to_owned()),
        user_portal: false,
        turn: turn_servers(settings, own_domain),
    }
}

/// What people are offered: by the server's web bridge profile where that says
/// something, else by the settings.
#[derive(Clone, Debug)]
pub(super) struct Offers {
    store: Store,
    settings: EffectiveWebBridgeProfile,
}

impl Offers {
    pub(super) fn new(store: Store, settings: &Settings) -> Self {
        let web = &settings.web;
        let settings = EffectiveWebBridgeProfile {
            allow_passcodes: web.allow_passcodes,
            allow_secrets: web.allow_secrets,
            allow_unauthenticated_guests: web.allow_unauthenticated_guests,
            resolve_co_space_call_ids: web.resolve_call_ids,
            resolve_co_space_uris: match web.resolve_uris {
                ResolveUris::Off => ResolveCoSpaceUris::Off,
                ResolveUris::Plain => ResolveCoSpaceUris::DomainSuggestionDisabled,
                ResolveUris::Suggested => ResolveCoSpaceUris::DomainSuggestionEnabled,
            },
        };
        Self { store, settings }
    }

    /// What holds now.
    pub(super) async fn effective(&self) -> Result<EffectiveWebBridgeProfile, StoreError> {
        let profile = self.store.system_web_bridge_profile().await?;
        Ok(profile.map_or(self.settings, |profile| profile.effective(self.settings)))
    }
}

/// What browsers are told of: the servers of the settings, else our own.
fn turn_servers(settings: &Settings, own_domain: &str) -> TurnServers {
    let web = &settings.web;
    // The supervisor has made the secret, or did not come so far.
    let own = (web.turn_urls.is_empty() && turn::is_served(settings))
        .then(|| turn::read_secret(settings).ok())
        .flatten();
    match own {
        Some(secret) => TurnServers {
            urls: turn::own_urls(settings, own_domain),
            secret,
        },
        None => TurnServers {
            urls: web.turn_urls.clone(),
            secret: web.turn_secret.get().to_owned(),
        },
    }
}

/// See the module.
pub(super) struct WebBridge {
    pub(super) actor: Handle,
    pub(super) store: Store,
    pub(super) offers: Offers,
}

fn ending(_: Ending) -> JoinRefusal {
    JoinRefusal::Unavailable
}

fn refusal(refusal: WebRefusal) -> JoinRefusal {
    match refusal {
        WebRefusal::PasscodeRequired => JoinRefusal::PasscodeRequired,
        WebRefusal::PasscodeWrong => JoinRefusal::PasscodeWrong,
        WebRefusal::SecretWrong => JoinRefusal::SecretWrong,
        WebRefusal::GuestsNotAllowed => JoinRefusal::GuestsNotAllowed,
        WebRefusal::TooManyTries { retry_after_s } => JoinRefusal::TooManyTries { retry_after_s },
        WebRefusal::Locked => JoinRefusal::Locked,
        WebRefusal::Full => JoinRefusal::Full,
    }
}

const fn code(error: WebError) -> Code {
    match error {
        WebError::NoSuchParticipant => Code::NoSuchParticipant,
        WebError::NotAllowed => Code::NotAllowed,
        WebError::Invalid => Code::Invalid,
        WebError::Full => Code::Full,
        WebError::Gone | WebError::Unavailable => Code::Unavailable,
    }
}

/// Whether a space is the one that was meant, and not one of another kind of name.
fn is_meant(space: &Space, meeting: &Meeting, user: &str) -> bool {
    match meeting {
        Meeting::CallId(call_id) => space.call_id.as_ref() == Some(call_id),
        Meeting::Uri(_) => [&space.uri, &space.secondary_uri]
            .into_iter()
            .flatten()
            .any(|uri| uri_key(uri) == uri_key(user)),
    }
}

impl WebBridge {
    /// The space of a meeting, and by what user part it was named.
    async fn space(&self, meeting: &Meeting) -> Result<(Space, String), JoinRefusal> {
        let user = match meeting {
            Meeting::CallId(call_id) => call_id.clone(),
            Meeting::Uri(text) => {
                let (user, host) = uri::user_and_host(text);
                match user.as_str() {
                    // Without a domain all of it is the user part.
                    "" => text.clone(),
                    _ => {
                        let host = host.to_owned();
                        let ours = self.actor.ask(move |actor| actor.app.is_own_domain(&host));
                        if !ours.await.map_err(ending)? {
                            return Err(JoinRefusal::NotFound);
                        }
                        user
                    }
                }
            }
        };
        let found = self.store.resolve_space(&user).await.map_err(|error| {
            tracing::error!(%error, "a space cannot be looked for");
            JoinRefusal::Unavailable
        })?;
        let found = found.filter(|space| is_meant(space, meeting, &user));
        Ok((found.ok_or(JoinRefusal::NotFound)?, user))
    }

    async fn dial(&self, by: CallLegId, to: String) -> Result<(), Code> {
        let wanted = DialOut {
            remote_party: to,
            settings: CallLegPatch::default(),
        };
        wanted.validate().map_err(|_| Code::Invalid)?;
        let may = move |actor: &mut Actor| actor.app.web_may_dial(by);
        let may = self.actor.ask(may).await.map_err(|_| Code::Unavailable)?;
        may.map_err(code)?;
        let local_ip = local_address(&wanted.remote_party).await;
        let local_ip = local_ip.ok_or(Code::Invalid)?;
        let dial = move |actor: &mut Actor| {
            let leg = CallLegId::from_entropy(actor.random());
            actor.decide(|app, world| app.web_dial(leg, by, wanted, local_ip, world))
        };
        let dialled = self.actor.ask(dial).await.map_err(|_| Code::Unavailable)?;
        dialled.map_err(code)
    }
}

#[async_trait]
impl CallBridge for WebBridge {
    async fn offer(&self) -> Result<EffectiveWebBridgeProfile, JoinRefusal> {
        self.offers.effective().await.map_err(|error| {
            tracing::error!(%error, "what people are offered cannot be looked up");
            JoinRefusal::Unavailable
        })
    }

    async fn lookup(
        &self,
        origin: Origin,
        meeting: Meeting,
        secret: Option<String>,
    ) -> Result<Found, JoinRefusal> {
        let (space, _) = self.space(&meeting).await?;
        let look = move |actor: &mut Actor| {
            actor.decide(|app, world| app.web_lookup(&space, secret.as_deref(), origin.peer, world))
        };
        let found = self.actor.ask(look).await.map_err(ending)?;
        let found = found.map_err(refusal)?;
        Ok(Found {
            space_name: found.space_name,
            passcode_required: found.passcode_required,
        })
    }

    async fn join(&self, origin: Origin, join: Join) -> Result<Joined, JoinRefusal> {
        let (space, address) = self.space(&join.meeting).await?;
        let join = WebJoin {
            name: join.name,
            address,
            passcode: join.passcode,
            secret: join.secret,
            peer: origin.peer,
            local_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        let begin = move |actor: &mut Actor| {
            let leg = CallLegId::from_entropy(actor.random());
            let joined = actor.decide(|app, world| app.web_join(leg, &space, &join, world));
            joined.map(|joined| (leg, joined))
        };
        let joined = self.actor.ask(begin).await.map_err(ending)?;
        let (participant, joined) = joined.map_err(refusal)?;
        Ok(Joined {
            participant,
            space_name: joined.space_name,
        })
    }

    async fn attach(
        &self,
        participant: CallLegId,
        to_client: ToClient,
    ) -> Result<(Session, Welcome), NotInCall> {
        let attach = move |actor: &mut Actor| {
            // First the socket: what the application then says is for it.
            let before = actor.app.is_web(participant);
            let session = before.then(|| actor.browsers.attach(participant, to_client))?;
            let welcome = actor.decide(|app, world| app.web_attach(participant, world))?;
            Some((session, browsers::welcome(welcome)))
        };
        let attached = self.actor.ask(attach).await.map_err(|_| NotInCall)?;
        attached.ok_or(NotInCall)
    }

    async fn request(
        &self,
        participant: CallLegId,
        session: Session,
        request: Request,
    ) -> Result<(), Code> {
        let wish = match request {
            Request::AddParticipant { uri } => return self.dial(participant, uri).await,
            Request::Offer { sdp } => WebRequest::Offer { sdp },
            Request::Candidate {
                candidate,
                username_fragment,
            } => WebRequest::Candidate {
                candidate,
                ufrag: username_fragment,
            },
            Request::Mute { audio, video } => WebRequest::Mute { audio, video },
            Request::MuteOther {
                participant_id,
                audio,
            } => WebRequest::MuteOther {
                participant: participant_id,
                audio,
            },
            Request::MuteAll => WebRequest::MuteAll,
            Request::Layout { layout } => WebRequest::Layout(layout),
            Request::Content { sharing } => WebRequest::Content { sharing },
            Request::RaiseHand { raised } => WebRequest::RaiseHand { raised },
            Request::Chat { id, text, to } => WebRequest::Chat { id, text, to },
            Request::Remove { participant_id } => WebRequest::Remove {
                participant: participant_id,
            },
            Request::Leave => WebRequest::Leave,
        };
        let ask = move |actor: &mut Actor| {
            // A socket that was replaced has nothing to say.
            match actor.browsers.is_current(participant, session) {
                true => actor.decide(|app, world| app.web_request(participant, wish, world)),
                false => Ok(()),
            }
        };
        let asked = self.actor.ask(ask).await.map_err(|_| Code::Unavailable)?;
        asked.map_err(code)
    }

    async fn detach(&self, participant: CallLegId, session: Session) {
        let detach = move |actor: &mut Actor| {
            let current = actor.browsers.is_current(participant, session);
            // One that was too slow is not there any more, and is as away.
            if current || !actor.browsers.has(participant) {
                actor.browsers.remove(participant);
                actor.decide(|app: &mut App, world| app.web_detached(participant, world));
            }
        };
        let _ = self.actor.ask(detach).await;
    }
}
