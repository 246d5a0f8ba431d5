//! Spaces: permanent meeting rooms.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::text::{is_text, is_url};
use crate::{Field, InvalidField, Layout, PageRequest, SelfPaneMode, SpaceId};

/// Most characters of a name.
pub const MAX_NAME: usize = 200;
/// Most characters of a URI's user part.
pub const MAX_USERPART: usize = 255;
/// Most digits of a call ID.
pub const MAX_CALL_ID_DIGITS: usize = 20;
/// Most digits of a passcode.
pub const MAX_PASSCODE_DIGITS: usize = 20;
/// Most characters of a `cdrTag`.
pub const MAX_CDR_TAG: usize = 100;
/// Most characters of a secret.
pub const MAX_SECRET: usize = 64;
/// Most bytes of an owner's or scheduler's name.
pub const MAX_OWNER: usize = 255;
/// Most characters of a `streamUrl`.
pub const MAX_STREAM_URL: usize = 1_000;
/// Highest importance there is.
pub const MAX_IMPORTANCE: u32 = i32::MAX.unsigned_abs();

/// A space.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Space {
    /// Which one.
    pub id: SpaceId,
    /// For people; may be empty.
    pub name: String,
    /// User part of its SIP URI, without host.
    pub uri: Option<String>,
    /// User part of a second URI; one name space with `uri`.
    pub secondary_uri: Option<String>,
    /// Number by which it is found in the voice menu and on the web.
    pub call_id: Option<String>,
    /// Digits asked of whoever wants to join.
    pub passcode: Option<String>,
    /// Key of the meeting's web link.
    pub secret: Option<String>,
    /// Layout of new legs.
    pub default_layout: Option<Layout>,
    /// Whether others than members may join.
    pub non_member_access: bool,
    /// Written into call detail records.
    pub cdr_tag: Option<String>,
    /// Owner, by the user's JID.
    pub owner_jid: Option<String>,
    /// Who scheduled the meeting; becomes the call's `ownerName`.
    pub meeting_scheduler: Option<String>,
    /// Where a stream of the meeting goes (`rtmp://`, `rtmps://`).
    pub stream_url: Option<String>,
    /// Whether the meeting has a message board.
    pub message_board_enabled: Option<bool>,
    /// Switches pane placement on; panes n to 1.
    pub pane_placement_highest_importance: Option<u32>,
    /// What placed participants see of themselves.
    pub pane_placement_self_pane_mode: Option<SelfPaneMode>,
}

/// What is wanted of a space: of a new one, or changed in one that exists.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SpacePatch {
    /// [`Space::name`]; unset makes it empty.
    pub name: Field<String>,
    /// [`Space::uri`].
    pub uri: Field<String>,
    /// [`Space::secondary_uri`].
    pub secondary_uri: Field<String>,
    /// [`Space::call_id`].
    pub call_id: Field<String>,
    /// [`Space::passcode`].
    pub passcode: Field<String>,
    /// [`Space::secret`].
    pub secret: Field<String>,
    /// [`Space::default_layout`].
    pub default_layout: Field<Layout>,
    /// [`Space::non_member_access`]; unset makes it true.
    pub non_member_access: Field<bool>,
    /// [`Space::cdr_tag`].
    pub cdr_tag: Field<String>,
    /// [`Space::owner_jid`].
    pub owner_jid: Field<String>,
    /// [`Space::meeting_scheduler`].
    pub meeting_scheduler: Field<String>,
    /// [`Space::stream_url`].
    pub stream_url: Field<String>,
    /// [`Space::message_board_enabled`].
    pub message_board_enabled: Field<bool>,
    /// [`Space::pane_placement_highest_importance`].
    pub pane_placement_highest_importance: Field<u32>,
    /// [`Space::pane_placement_self_pane_mode`].
    pub pane_placement_self_pane_mode: Field<SelfPaneMode>,
    /// Give the space a call ID if it has none after the change.
    pub require_call_id: bool,
    /// Give the space a new secret; old links die.
    pub regenerate_secret: bool,
}

impl SpacePatch {
    /// A space that is called and dialled so, for tests and demonstrations.
    #[must_use]
    pub fn named(name: &str, uri: &str) -> Self {
        Self {
            name: Field::Set(name.to_owned()),
            uri: Field::Set(uri.to_owned()),
            ..Self::default()
        }
    }

    /// Changes `space` as wished, without checking ([`Space::validate`]) and
    /// without making what is to be generated ([`Space::complete`]).
    pub fn apply(self, space: &mut Space) {
        self.name.apply_or(&mut space.name, String::new());
        self.uri.apply(&mut space.uri);
        self.secondary_uri.apply(&mut space.secondary_uri);
        self.call_id.apply(&mut space.call_id);
        self.passcode.apply(&mut space.passcode);
        self.secret.apply(&mut space.secret);
        self.default_layout.apply(&mut space.default_layout);
        self.non_member_access
            .apply_or(&mut space.non_member_access, true);
        self.cdr_tag.apply(&mut space.cdr_tag);
        self.owner_jid.apply(&mut space.owner_jid);
        self.meeting_scheduler.apply(&mut space.meeting_scheduler);
        self.stream_url.apply(&mut space.stream_url);
        self.message_board_enabled
            .apply(&mut space.message_board_enabled);
        self.pane_placement_highest_importance
            .apply(&mut space.pane_placement_highest_importance);
        self.pane_placement_self_pane_mode
            .apply(&mut space.pane_placement_self_pane_mode);
        if self.regenerate_secret {
            space.secret = None;
        }
    }
}

impl Space {
    /// A space without a name or an address.
    #[must_use]
    pub const fn new(id: SpaceId) -> Self {
        Self {
            id,
            name: String::new(),
            uri: None,
            secondary_uri: None,
            call_id: None,
            passcode: None,
            secret: None,
            default_layout: None,
            non_member_access: true,
            cdr_tag: None,
            owner_jid: None,
            meeting_scheduler: None,
            stream_url: None,
            message_board_enabled: None,
            pane_placement_highest_importance: None,
            pane_placement_self_pane_mode: None,
        }
    }

    /// Makes what a space with a call ID must have: a secret for its web link.
    /// Also makes one after [`SpacePatch::regenerate_secret`] (`wanted`).
    pub fn complete(&mut self, wanted: bool, random: [u8; 16]) {
        if self.secret.is_none() && (wanted || self.call_id.is_some()) {
            self.secret = Some(generate_secret(random));
        }
    }

    /// Checks every value against its syntax and bounds. Whoever writes a space
    /// calls this first.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn validate(&self) -> Result<(), InvalidField> {
        let fits =
            |value: &Option<String>, check: fn(&str) -> bool| value.as_deref().is_none_or(check);
        let importance_fits = self
            .pane_placement_highest_importance
            .is_none_or(|importance| importance <= MAX_IMPORTANCE);
        [
            ("name", is_text(&self.name, MAX_NAME)),
            ("uri", fits(&self.uri, is_userpart)),
            ("secondaryUri", fits(&self.secondary_uri, is_userpart)),
            (
                "callId",
                fits(&self.call_id, |text| is_digits(text, MAX_CALL_ID_DIGITS)),
            ),
            (
                "passcode",
                fits(&self.passcode, |text| is_digits(text, MAX_PASSCODE_DIGITS)),
            ),
            ("secret", fits(&self.secret, is_secret)),
            (
                "cdrTag",
                fits(&self.cdr_tag, |text| is_text(text, MAX_CDR_TAG)),
            ),
            ("ownerJid", fits(&self.owner_jid, is_owner)),
            ("meetingScheduler", fits(&self.meeting_scheduler, is_owner)),
            ("streamUrl", fits(&self.stream_url, is_stream_url)),
            ("panePlacementHighestImportance", importance_fits),
        ]
        .into_iter()
        .find(|&(_, good)| !good)
        .map_or(Ok(()), |(parameter, _)| Err(InvalidField { parameter }))
    }
}

/// Which spaces are wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SpaceQuery {
    /// Only those whose name, URIs or call ID hold this text, in either case.
    pub filter: Option<String>,
    /// Which part of them.
    pub page: PageRequest,
}

/// The form in which user parts are compared: escapes (RFC 3261 section 19.1.4)
/// undone, lower case. Two user parts with one key are one address.
#[must_use]
pub fn uri_key(userpart: &str) -> String {
    let bytes = userpart.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match escaped(&bytes[at..]) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(plain)
        .unwrap_or_else(|_| userpart.to_owned())
        .to_lowercase()
}

/// The byte that `%XX` at the start of `text` stands for.
fn escaped(text: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = text else {
        return None;
    };
    let digit = |c: u8| {
        char::from(c)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    Some(digit(high)? << 4 | digit(low)?)
}

/// 22 URL-safe characters of these 128 random bits.
#[must_use]
pub fn generate_secret(random: [u8; 16]) -> String {
    URL_SAFE_NO_PAD.encode(random)
}

/// Nine digits, the first not 0, of these random bits. Whether the number is
/// taken is for the caller to find out.
#[must_use]
pub fn generate_call_id(random: u64) -> String {
    (100_000_000 + random % 900_000_000).to_string()
}

/// `user` of RFC 3261 section 25.1, bounded.
fn is_userpart(text: &str) -> bool {
    let bytes = text.as_bytes();
    let good = |at: usize| match bytes[at] {
        b'%' => escaped(&bytes[at..]).is_some(),
        c => c.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&c),
    };
    (1..=MAX_USERPART).contains(&bytes.len()) && (0..bytes.len()).all(good)
}

fn is_digits(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit())
}

fn is_secret(text: &str) -> bool {
    (1..=MAX_SECRET).contains(&text.len())
        && text
            .bytes()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
}

fn is_owner(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_OWNER && is_text(text, MAX_OWNER)
}

fn is_stream_url(text: &str) -> bool {
    is_url(text, &["rtmp://", "rtmps://"], MAX_STREAM_URL)
}

#[cfg(test)]
mod tests;
