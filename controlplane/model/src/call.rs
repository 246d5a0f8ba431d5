//! Calls and call legs as they are shown, changed and asked for.

use std::time::Duration;

use crate::invalid::words;
use crate::{
    AudioCodecName, CallConfiguration, CallId, CallLegId, CipherSuite, CorrelatorId, Field,
    InvalidField, Layout, MediaEncryption, PageRequest, SpaceId, VideoCodecName,
};

/// Most bytes (UTF-8) of a `nameLabelOverride`.
pub const MAX_NAME_LABEL_BYTES: usize = 50;
/// Most characters of a `dtmfSequence`.
pub const MAX_DTMF_SEQUENCE: usize = 127;
/// Most characters of a `remoteParty`.
pub const MAX_REMOTE_PARTY: usize = 512;

words! {
    /// Why a call exists.
    pub enum CallType as "callType" {
        /// A space is in use.
        CoSpace = "coSpace",
        /// Two parties joined through this server.
        Forwarding = "forwarding",
        /// Made by a call controller or by the API, without a space.
        AdHoc = "adHoc",
    }
}

words! {
    /// Who called whom.
    pub enum Direction as "direction" {
        /// The far end called us.
        Incoming = "incoming",
        /// We called the far end.
        Outgoing = "outgoing",
    }
}

words! {
    /// By what a leg came.
    pub enum CallLegType as "type" {
        /// SIP.
        Sip = "sip",
        /// A browser.
        WebApp = "acano",
    }
}

words! {
    /// How far a leg has come.
    pub enum CallLegState as "state" {
        /// Being set up.
        Initial = "initial",
        /// We called and the far end rings.
        Ringing = "ringing",
        /// In the call.
        Connected = "connected",
        /// In the call, the far end has put us on hold.
        OnHold = "onHold",
    }
}

/// A call in a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallSummary {
    /// The call.
    pub id: CallId,
    /// Name of the space or of the call itself.
    pub name: String,
    /// The space, where the call is of one.
    pub space: Option<SpaceId>,
    /// Equal on all servers that share the call.
    pub correlator: CorrelatorId,
}

/// A call in full.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallView {
    /// What a list shows of it.
    pub summary: CallSummary,
    /// Why it exists.
    pub call_type: CallType,
    /// Since it began.
    pub duration: Duration,
    /// Legs now.
    pub num_call_legs: u64,
    /// Most legs at one time.
    pub max_call_legs: u64,
    /// Participants on this server.
    pub num_participants_local: u64,
    /// Participants on other servers.
    pub num_participants_remote: u64,
    /// Owner, where the space has one (its `meetingScheduler`).
    pub owner_name: Option<String>,
    /// What is set for this call alone.
    pub configuration: CallConfiguration,
    /// How long its message is still shown; `None` where none is, or for ever.
    pub message_remaining: Option<Duration>,
}

/// A call leg in a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallLegSummary {
    /// The leg.
    pub id: CallLegId,
    /// Name label: the override, else what the far end calls itself.
    pub name: String,
    /// Address of the far end (`user@host`) as it is now.
    pub remote_party: String,
    /// Address of the far end as it first was.
    pub original_remote_party: String,
    /// The call it is in.
    pub call: CallId,
}

/// What is set for this leg alone; `None` is inherited.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CallLegConfiguration {
    /// Others do not hear this leg.
    pub rx_audio_mute: Option<bool>,
    /// This leg hears nothing.
    pub tx_audio_mute: Option<bool>,
    /// Others do not see this leg.
    pub rx_video_mute: Option<bool>,
    /// This leg sees nothing.
    pub tx_video_mute: Option<bool>,
    /// Layout to begin with.
    pub default_layout: Option<Layout>,
    /// Layout chosen meanwhile; wins.
    pub chosen_layout: Option<Layout>,
    /// Name label instead of the far end's own.
    pub name_label_override: Option<String>,
    /// Encryption asked of the leg's media.
    pub sip_media_encryption: Option<MediaEncryption>,
    /// Opaque mark of whoever dialled.
    pub owner_id: Option<String>,
}

/// Sound that comes from a leg.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioReceive {
    /// Codec last received.
    pub codec: AudioCodecName,
    /// Interarrival jitter (RFC 3550 A.8), milliseconds.
    pub jitter_ms: u32,
    /// Bits a second, recently.
    pub bit_rate: u64,
    /// Share of packets that never came, recently, 0.0 to 100.0.
    pub packet_loss_percentage: f64,
    /// What automatic gain control adds now, dB.
    pub gain_applied: f64,
}

/// Sound that goes to a leg.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioSend {
    /// Codec sent.
    pub codec: AudioCodecName,
    /// Jitter that the far end reports, milliseconds.
    pub jitter_ms: u32,
    /// Bits a second, recently.
    pub bit_rate: u64,
    /// Share of ours that the far end reports lost, 0.0 to 100.0.
    pub packet_loss_percentage: f64,
    /// By RTCP (RFC 3550 6.4.1), milliseconds; `None` before the first report.
    pub round_trip_time_ms: Option<u32>,
}

words! {
    /// Which of a leg's pictures.
    pub enum VideoRole as "role" {
        /// A camera, and the view of others' cameras.
        Main = "main",
        /// A screen.
        Presentation = "presentation",
    }
}

/// A picture that comes from a leg or goes to it.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoStatus {
    /// Which.
    pub role: VideoRole,
    /// Codec last received, or sent.
    pub codec: VideoCodecName,
    /// Width and height in pixels; zeros before the first picture.
    pub size: (u16, u16),
    /// Pictures a second, recently.
    pub frame_rate_hz: f64,
    /// Interarrival jitter (RFC 3550 A.8), milliseconds; the far end's report of what
    /// goes to it.
    pub jitter_ms: u32,
    /// Bits a second, recently.
    pub bit_rate: u64,
    /// Bits a second that may be sent now: what was agreed on, what the far end asked for
    /// and what the path is taken to carry. `None` for what comes.
    pub allowed_bit_rate: Option<u64>,
    /// Share of packets that never came, 0.0 to 100.0, likewise.
    pub packet_loss_percentage: f64,
    /// By RTCP, milliseconds; `None` before the first report and for what comes.
    pub round_trip_time_ms: Option<u32>,
    /// It made its decoder fail more than once and is not decoded any more.
    pub put_aside: bool,
}

/// How a leg is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct CallLegStatus {
    /// How far it has come.
    pub state: CallLegState,
    /// Since it was connected (since it began, before).
    pub duration: Duration,
    /// Call-ID of the SIP dialog.
    pub sip_call_id: String,
    /// Some media of the leg is encrypted.
    pub encrypted_media: bool,
    /// Some media of the leg is not encrypted.
    pub unencrypted_media: bool,
    /// How, where it is encrypted.
    pub cipher_suite: Option<CipherSuite>,
    /// Sound from the leg; `None` before the first packet.
    pub rx_audio: Option<AudioReceive>,
    /// Sound to the leg; `None` where none is sent.
    pub tx_audio: Option<AudioSend>,
    /// Pictures from the leg.
    pub rx_video: Vec<VideoStatus>,
    /// Pictures to the leg.
    pub tx_video: Vec<VideoStatus>,
}

/// A call leg in full.
#[derive(Clone, Debug, PartialEq)]
pub struct CallLegView {
    /// What a list shows of it.
    pub summary: CallLegSummary,
    /// Our address (`user@host`) in this leg.
    pub local_address: String,
    /// By what it came.
    pub leg_type: CallLegType,
    /// Who called whom.
    pub direction: Direction,
    /// What is set for this leg alone.
    pub configuration: CallLegConfiguration,
    /// How it is doing.
    pub status: CallLegStatus,
}

/// A change of a leg, and the settings of one that is dialled.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CallLegPatch {
    /// [`CallLegConfiguration::rx_audio_mute`].
    pub rx_audio_mute: Field<bool>,
    /// [`CallLegConfiguration::tx_audio_mute`].
    pub tx_audio_mute: Field<bool>,
    /// [`CallLegConfiguration::rx_video_mute`].
    pub rx_video_mute: Field<bool>,
    /// [`CallLegConfiguration::tx_video_mute`].
    pub tx_video_mute: Field<bool>,
    /// [`CallLegConfiguration::default_layout`].
    pub default_layout: Field<Layout>,
    /// [`CallLegConfiguration::chosen_layout`].
    pub chosen_layout: Field<Layout>,
    /// [`CallLegConfiguration::name_label_override`].
    pub name_label_override: Field<String>,
    /// [`CallLegConfiguration::sip_media_encryption`]; for the next offer.
    pub sip_media_encryption: Field<MediaEncryption>,
    /// [`CallLegConfiguration::owner_id`].
    pub owner_id: Field<String>,
    /// Digits to be sent to the far end, at once or when it answers: `0-9*#A-D`
    /// and `,` for a pause of 2 s.
    pub dtmf_sequence: Option<String>,
}

impl CallLegPatch {
    /// Checks the bounds.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn validate(&self) -> Result<(), InvalidField> {
        let label_fits = |label: &String| {
            label.len() <= MAX_NAME_LABEL_BYTES && !label.chars().any(char::is_control)
        };
        if !self.name_label_override.value().is_none_or(label_fits) {
            return Err(InvalidField::new("nameLabelOverride"));
        }
        let owner_fits = |owner: &String| {
            owner.len() <= crate::MAX_OWNER && !owner.chars().any(char::is_control)
        };
        if !self.owner_id.value().is_none_or(owner_fits) {
            return Err(InvalidField::new("ownerId"));
        }
        let digits_fit = |digits: &String| {
            digits.len() <= MAX_DTMF_SEQUENCE
                && digits
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'*' | b'#' | b',' | b'A'..=b'D' | b'a'..=b'd'))
        };
        if !self.dtmf_sequence.as_ref().is_none_or(digits_fit) {
            return Err(InvalidField::new("dtmfSequence"));
        }
        Ok(())
    }

    /// Changes `configuration` as wished; the digits are the caller's to send.
    pub fn apply(self, configuration: &mut CallLegConfiguration) {
        self.rx_audio_mute.apply(&mut configuration.rx_audio_mute);
        self.tx_audio_mute.apply(&mut configuration.tx_audio_mute);
        self.rx_video_mute.apply(&mut configuration.rx_video_mute);
        self.tx_video_mute.apply(&mut configuration.tx_video_mute);
        self.default_layout.apply(&mut configuration.default_layout);
        self.chosen_layout.apply(&mut configuration.chosen_layout);
        self.name_label_override
            .apply(&mut configuration.name_label_override);
        self.sip_media_encryption
            .apply(&mut configuration.sip_media_encryption);
        self.owner_id.apply(&mut configuration.owner_id);
    }
}

/// Whom to call into a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DialOut {
    /// SIP URI or `user@host`.
    pub remote_party: String,
    /// What to set for the leg.
    pub settings: CallLegPatch,
}

impl DialOut {
    /// Checks the bounds.
    ///
    /// # Errors
    /// The first field that does not fit. Whether the address can be reached
    /// is not known here.
    pub fn validate(&self) -> Result<(), InvalidField> {
        let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"');
        if self.remote_party.is_empty()
            || self.remote_party.chars().count() > MAX_REMOTE_PARTY
            || self.remote_party.chars().any(bad)
        {
            return Err(InvalidField::new("remoteParty"));
        }
        self.settings.validate()
    }
}

/// Which calls are wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CallQuery {
    /// Only those of this space.
    pub space: Option<SpaceId>,
    /// Which part of them.
    pub page: PageRequest,
}

impl CallQuery {
    /// Whether this call is among those wanted.
    #[must_use]
    pub fn matches(&self, call: &CallSummary) -> bool {
        self.space.is_none() || self.space == call.space
    }
}

/// Which call legs are wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallLegQuery {
    /// Only those of this call.
    pub call: Option<CallId>,
    /// Only this one (`participantFilter`: a participant of one leg has its id).
    pub leg: Option<CallLegId>,
    /// Only those whose name or address holds this text, in either case.
    pub filter: Option<String>,
    /// Which part of them.
    pub page: PageRequest,
}

impl CallLegQuery {
    /// Whether this leg is among those wanted.
    #[must_use]
    pub fn matches(&self, leg: &CallLegSummary) -> bool {
        let text_matches = |text: &String| {
            let text = text.to_lowercase();
            [&leg.name, &leg.remote_party, &leg.original_remote_party]
                .iter()
                .any(|field| field.to_lowercase().contains(&text))
        };
        self.call.is_none_or(|call| call == leg.call)
            && self.leg.is_none_or(|id| id == leg.id)
            && self.filter.as_ref().is_none_or(text_matches)
    }
}

#[cfg(test)]
mod tests;
