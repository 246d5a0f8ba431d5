//! Sessions of browsers: what was negotiated becomes desired state of the media plane.

use plenum_abi::{
    EventKind, ICE_RANDOM_LEN, IceCredentials, LAYERS_MAX, LegConfig, LegFlags, SlotRef,
    SocketAddress, TransportConfig, VideoCodec, VideoConfig, VideoFlags, VideoPayload,
    transport_flags,
};
use plenum_model::CallLegId;
use plenum_sdp::webrtc::{
    self, Candidate, LocalVideo, LocalWeb, RemoteTransport, WebAnswer, WebVideo,
};

use super::{App, Asked, random_ssrc};
use crate::leg::Leg;
use crate::media;
use crate::video::{self, Flow, Stream, StreamKind};
use crate::web::{WebError, WebMessage};
use crate::world::{Output, World};
use crate::{Place, Reach};

/// Candidates that are taken after each offer.
const CANDIDATES_MAX: usize = 64;
/// Codecs of video, best first. H.264 first because a view that SIP legs share
/// with browsers is then encoded once.
const VIDEO_CODECS: [VideoCodec; 2] = [VideoCodec::H264, VideoCodec::Vp8];
/// Widest and highest picture of a view and of a screen. Browsers name level 3.1 of H.264
/// (720p) whatever they decode, so that levels say nothing about them.
const PICTURE_MAX: (u16, u16) = (1_920, 1_080);
/// Pictures of a view or a screen a second, where both ends have so many.
const FRAME_RATE_HZ: u8 = 60;

impl App {
    /// A browser offers, for the first time or again.
    pub(super) fn web_offer(
        &mut self,
        id: CallLegId,
        offer: &str,
        world: &mut World<'_>,
    ) -> Result<(), WebError> {
        let leg = self.legs.get(&id).ok_or(WebError::Gone)?;
        let reach = world.places.reach(leg.place.worker);
        let reach = reach.ok_or(WebError::Unavailable)?;
        self.take_streams(id, world);
        let leg = self.legs.get(&id).ok_or(WebError::Gone)?;
        let before = leg.web.as_deref().and_then(|web| web.transport);
        let ssrc = leg.config.map_or_else(|| random_ssrc(world), |c| c.tx_ssrc);
        let ice = before.map_or_else(|| new_credentials(leg.place, world), |t| t.local);
        let mut local = local_web(leg, reach, ssrc, ice);
        let understood = |local: &LocalWeb| {
            webrtc::answer(offer, local).map_err(|error| {
                tracing::warn!(leg = %id, %error, "unusable offer of a browser");
                WebError::Invalid
            })
        };
        let mut answer = understood(&local)?;
        // An ICE restart: our credentials change with theirs (RFC 8445 section 9).
        if before.is_some_and(|before| before.remote != answer.transport.ice) {
            local.ice = new_credentials(leg.place, world);
            answer = understood(&local)?;
        }
        self.web_agreed(id, &local, &answer, world);
        world.out.push(Output::Web {
            leg: id,
            message: WebMessage::Answer { sdp: answer.sdp },
        });
        Ok(())
    }

    /// Slots for the streams of a leg, as far as there are any.
    fn take_streams(&mut self, id: CallLegId, world: &mut World<'_>) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        for kind in StreamKind::ALL {
            if leg.video.stream(kind).is_some() {
                continue;
            }
            let now = world.now.monotonic;
            let place = world.places.take_video(leg.place.worker, now);
            *leg.video.slot(kind) = place.map(|place| Stream {
                place,
                ssrcs: (random_ssrc(world), random_ssrc(world)),
                config: None,
                flow: Flow::default(),
                asked: Asked::default(),
            });
        }
    }

    /// Tells the media plane: transport, leg, streams, candidates, in this order.
    fn web_agreed(
        &mut self,
        id: CallLegId,
        local: &LocalWeb,
        answer: &WebAnswer,
        world: &mut World<'_>,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let (place, call) = (leg.place, leg.call);
        let Some(web) = leg.web.as_deref_mut() else {
            return;
        };
        web.sdp_version = local.version;
        web.candidates = answer.transport.candidates.len();
        let before = web.transport.unwrap_or_default();
        let wanted = TransportConfig {
            revision: before.revision,
            generation: place.generation,
            ..transport(&answer.transport, local.ice)
        };
        if wanted != before {
            let config = TransportConfig {
                revision: before.revision + 1,
                ..wanted
            };
            web.transport = Some(config);
            web.lost = false;
            world.out.push(Output::SetTransport {
                place,
                config: Box::new(config),
            });
        }
        let Some(conference) = self.call(call).map(|call| call.place.slot) else {
            return;
        };
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let mut config = leg.config.unwrap_or_else(|| LegConfig {
            leg_guid: id.to_bytes(),
            generation: place.generation,
            conference,
            tx_ssrc: local.audio_ssrc,
            ..LegConfig::default()
        });
        match &answer.audio {
            Some(audio) => media::negotiated_web(&mut config, audio),
            None => media::silenced(&mut config),
        }
        config.audio_level_id = answer.transport.extensions.audio_level;
        config.screen_ssrc = answer.screen_ssrc.unwrap_or(0);
        config.flags = config.flags().with(LegFlags::BUNDLED, true).0;
        media::muted(&mut config, &leg.configuration);
        media::shown(&mut config, &leg.configuration);
        if leg.config != Some(config) {
            self.send_config(id, Some(config), world);
        }
        self.set_web_video(id, StreamKind::Main, answer.main.as_ref(), world);
        self.set_web_video(id, StreamKind::Content, answer.content.as_ref(), world);
        for candidate in &answer.transport.candidates {
            world.out.push(Output::AddCandidate {
                place,
                candidate: *candidate,
            });
        }
        self.changed(call, world.now.monotonic);
        self.save(id, world);
    }

    fn set_web_video(
        &mut self,
        id: CallLegId,
        kind: StreamKind,
        agreed: Option<&WebVideo>,
        world: &mut World<'_>,
    ) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let (Some(stream), Some(leg_config)) = (leg.video.stream(kind), leg.config) else {
            return;
        };
        let mut config = stream.config.unwrap_or_else(|| VideoConfig {
            generation: stream.place.generation,
            leg: SlotRef {
                slot: leg.place.slot,
                generation: leg_config.generation,
            },
            tx_ssrc: stream.ssrcs.0,
            tx_rtx_ssrc: stream.ssrcs.1,
            ..VideoConfig::default()
        });
        match agreed {
            Some(agreed) => negotiated(&mut config, kind, agreed),
            // Never agreed is nothing to tell.
            None if stream.config.is_none() => return,
            None => {
                let off = VideoFlags::SEND | VideoFlags::RECEIVE;
                config.flags = config.flags().with(off, false).0;
            }
        }
        self.mute_video(id, kind, &mut config);
        self.send_video(id, kind, config, world);
    }

    /// Writes into `config` whether others see the stream: the camera by the API's
    /// switches, a screen while it is the one that is shown.
    pub(super) fn mute_video(&self, id: CallLegId, kind: StreamKind, config: &mut VideoConfig) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        match kind {
            StreamKind::Main => video::muted(config, &leg.configuration),
            StreamKind::Content => {
                let sharer = self.call(leg.call).and_then(|call| call.room.sharer);
                let unseen = sharer != Some(id);
                config.flags = config.flags().with(VideoFlags::RX_VIDEO_MUTE, unseen).0;
            }
        }
    }

    /// The API's switches, or whose screen is shown, have changed.
    pub(super) fn remute_video(&mut self, id: CallLegId, world: &mut World<'_>) {
        for kind in StreamKind::ALL {
            let leg = self.legs.get(&id);
            let stream = leg.and_then(|leg| leg.video.stream(kind));
            if let Some(mut config) = stream.and_then(|stream| stream.config) {
                self.mute_video(id, kind, &mut config);
                self.send_video(id, kind, config, world);
            }
        }
    }

    /// Sends a changed configuration of a stream with the next revision.
    pub(super) fn send_video(
        &mut self,
        id: CallLegId,
        kind: StreamKind,
        config: VideoConfig,
        world: &mut World<'_>,
    ) {
        let stream = self.legs.get_mut(&id).map(|leg| leg.video.slot(kind));
        let Some(stream) = stream.and_then(Option::as_mut) else {
            return;
        };
        if stream.config == Some(config) {
            return;
        }
        let config = VideoConfig {
            revision: config.revision + 1,
            ..config
        };
        stream.config = Some(config);
        world.out.push(Output::SetVideo {
            place: stream.place,
            config: Box::new(config),
        });
    }

    /// A worker tells of a browser's transport. What was lost is looked for with
    /// new credentials: the browser offers anew.
    pub(super) fn web_transport(&mut self, id: CallLegId, kind: EventKind, world: &mut World<'_>) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let call = leg.call;
        let Some(web) = leg.web.as_deref_mut() else {
            return;
        };
        tracing::info!(leg = %id, ?kind, "transport");
        web.lost = kind != EventKind::TransportConnected;
        if web.lost {
            self.web_tell(id, WebMessage::Reoffer, world);
        }
        self.changed(call, world.now.monotonic);
    }

    /// One more candidate of a browser's.
    pub(super) fn web_candidate(
        &mut self,
        id: CallLegId,
        text: &str,
        ufrag: Option<&str>,
        world: &mut World<'_>,
    ) -> Result<(), WebError> {
        let leg = self.legs.get_mut(&id).ok_or(WebError::Gone)?;
        let place = leg.place;
        let web = leg.web.as_deref_mut().ok_or(WebError::Gone)?;
        let candidate: Option<Candidate> =
            webrtc::read_candidate(text).map_err(|_| WebError::Invalid)?;
        let Some(transport) = &web.transport else {
            return Err(WebError::Invalid);
        };
        // One of the credentials before a restart is late.
        let current = ufrag.is_none_or(|ufrag| ufrag == transport.remote.ufrag());
        if let (Some(candidate), true) = (candidate, current)
            && web.candidates < CANDIDATES_MAX
        {
            web.candidates += 1;
            world.out.push(Output::AddCandidate { place, candidate });
        }
        Ok(())
    }
}

fn new_credentials(place: Place, world: &mut World<'_>) -> IceCredentials {
    let mut random = [0; ICE_RANDOM_LEN];
    world.rng.fill_bytes(&mut random);
    IceCredentials::ours(place.slot, &random)
}

fn local_web(leg: &Leg, reach: Reach, audio_ssrc: u32, ice: IceCredentials) -> LocalWeb {
    let bytes = leg.id.to_bytes();
    let mut session_id = [0; 8];
    session_id.copy_from_slice(&bytes[..8]);
    let stream = |kind| {
        let stream = leg.video.stream(kind)?;
        Some(LocalVideo {
            ssrc: stream.ssrcs.0,
            rtx_ssrc: stream.ssrcs.1,
            bit_rate_bps_max: 0,
        })
    };
    LocalWeb {
        // Below 2^63, as some read it into a signed number.
        session_id: u64::from_be_bytes(session_id) >> 1,
        version: leg.web.as_deref().map_or(0, |web| web.sdp_version) + 1,
        ice,
        fingerprint: reach.fingerprint,
        candidates: reach.addresses,
        cname: leg.id.to_string(),
        audio_ssrc,
        video_codecs: VIDEO_CODECS.to_vec(),
        main: stream(StreamKind::Main),
        content: stream(StreamKind::Content),
        layers_max: LAYERS_MAX,
        transport_cc: true,
    }
}

fn transport(remote: &RemoteTransport, local: IceCredentials) -> TransportConfig {
    let flag = |on: bool, flag: u32| if on { flag } else { 0 };
    let extensions = remote.extensions;
    TransportConfig {
        flags: flag(
            remote.lite,
            transport_flags::REMOTE_LITE | transport_flags::CONTROLLING,
        ) | flag(remote.dtls_client, transport_flags::DTLS_CLIENT),
        local,
        remote: remote.ice,
        remote_fingerprint: remote.fingerprint,
        transport_cc_id: extensions.transport_cc,
        mid_id: extensions.mid,
        rid_id: extensions.rid,
        repaired_rid_id: extensions.repaired_rid,
        abs_send_time_id: extensions.abs_send_time,
        ..TransportConfig::default()
    }
}

fn negotiated(config: &mut VideoConfig, kind: StreamKind, agreed: &WebVideo) {
    let mut payloads = [VideoPayload::default(); 4];
    for (slot, payload) in payloads.iter_mut().zip(&agreed.payloads) {
        *slot = *payload;
    }
    config.payloads = payloads;
    config.mid = VideoConfig::mid_of(&agreed.mid);
    config.rids = Default::default();
    for (slot, rid) in config.rids.iter_mut().zip(&agreed.layers) {
        *slot = VideoConfig::rid_of(rid.as_bytes());
    }
    config.tx_bit_rate_bps_max = agreed.bit_rate_bps_max;
    // Where media goes is the transport's to say.
    config.remote_rtp = SocketAddress::UNKNOWN;
    (config.tx_width_max, config.tx_height_max) = PICTURE_MAX;
    config.tx_frame_rate_max = FRAME_RATE_HZ;
    config.flags = (VideoFlags::BUNDLED | VideoFlags::RTCP_MUX)
        .with(VideoFlags::CONTENT, kind == StreamKind::Content)
        .with(VideoFlags::SEND, agreed.direction.send)
        .with(VideoFlags::RECEIVE, agreed.direction.receive)
        .with(VideoFlags::NACK, agreed.nack)
        .with(VideoFlags::PLI, agreed.pli)
        .with(VideoFlags::FIR, agreed.fir)
        .with(VideoFlags::REMB, agreed.remb)
        .with(VideoFlags::TRANSPORT_CC, agreed.transport_cc)
        .0;
}
