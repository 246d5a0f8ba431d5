//! Parameters: from the query string and the form, names in any case.
//!
//! One rule for every node: absent keeps, a value sets, an empty value unsets;
//! a parameter that the node does not know is passed over, as clients expect
//! of a server that is older than they are.

use std::str::FromStr;

use plenum_model::{
    CallLegPatch, CallPatch, EntryPointKind, EntryPointPatch, Field, InvalidField, PageRequest,
    SpacePatch, WebBridgeProfilePatch,
};

/// A request's parameters. The body's win over the query string's, later ones
/// over earlier.
#[derive(Debug, Default)]
pub(crate) struct Params {
    /// Names in lower case.
    pairs: Vec<(String, String)>,
}

/// Why the parameters were not understood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NotUtf8;

impl Params {
    /// Reads one `application/x-www-form-urlencoded` text on top of what is there.
    pub(crate) fn read(&mut self, form: &[u8]) -> Result<(), NotUtf8> {
        for (name, value) in form_urlencoded::parse(form) {
            // The parser replaces what is no UTF-8; a name must not be stored so.
            if name.contains('\u{fffd}') || value.contains('\u{fffd}') {
                return Err(NotUtf8);
            }
            self.pairs
                .push((name.to_ascii_lowercase(), value.into_owned()));
        }
        Ok(())
    }

    /// The value of a parameter, if it was given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs
            .iter()
            .rev()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The value of a parameter, if one was given that is not empty.
    pub(crate) fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// What is wished of a field, through `read`.
    fn field<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Field<T>, InvalidField> {
        match self.get(name) {
            None => Ok(Field::Keep),
            Some("") => Ok(Field::Unset),
            Some(value) => read(value).map(Field::Set).ok_or(InvalidField::new(name)),
        }
    }

    fn text(&self, name: &'static str) -> Field<String> {
        match self.get(name) {
            None => Field::Keep,
            Some("") => Field::Unset,
            Some(value) => Field::Set(value.to_owned()),
        }
    }

    /// A word, number or GUID.
    pub(crate) fn word<T: FromStr>(&self, name: &'static str) -> Result<Field<T>, InvalidField> {
        self.field(name, |value| value.parse().ok())
    }

    fn boolean(&self, name: &'static str) -> Result<Field<bool>, InvalidField> {
        self.field(name, read_bool)
    }

    /// A switch that is not stored: empty is off.
    fn switch(&self, name: &'static str) -> Result<bool, InvalidField> {
        Ok(self.boolean(name)?.value().copied().unwrap_or(false))
    }

    /// A filter that is a word or GUID; empty is "no filter".
    pub(crate) fn filter<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, InvalidField> {
        self.non_empty(name)
            .map(|value| value.parse().map_err(|_| InvalidField::new(name)))
            .transpose()
    }

    /// `offset` and `limit`, the latter no more than the collection's `cap`.
    pub(crate) fn page(&self, cap: u64) -> Result<PageRequest, InvalidField> {
        let number =
            |name: &'static str| -> Result<Option<u64>, InvalidField> { self.filter(name) };
        Ok(PageRequest {
            offset: number("offset")?.unwrap_or(0),
            limit: number("limit")?.unwrap_or(cap).min(cap),
        })
    }

    /// The parameters of a space.
    pub(crate) fn space(&self) -> Result<SpacePatch, InvalidField> {
        Ok(SpacePatch {
            name: self.text("name"),
            uri: self.text("uri"),
            secondary_uri: self.text("secondaryUri"),
            call_id: self.text("callId"),
            passcode: self.text("passcode"),
            secret: self.text("secret"),
            default_layout: self.word("defaultLayout")?,
            non_member_access: self.boolean("nonMemberAccess")?,
            cdr_tag: self.text("cdrTag"),
            owner_jid: self.text("ownerJid"),
            meeting_scheduler: self.text("meetingScheduler"),
            stream_url: self.text("streamUrl"),
            message_board_enabled: self.boolean("messageBoardEnabled")?,
            pane_placement_highest_importance: self.word("panePlacementHighestImportance")?,
            pane_placement_self_pane_mode: self.word("panePlacementSelfPaneMode")?,
            require_call_id: self.switch("requireCallId")?,
            regenerate_secret: self.switch("regenerateSecret")?,
        })
    }

    /// The parameters of a web bridge profile.
    pub(crate) fn web_bridge_profile(&self) -> Result<WebBridgeProfilePatch, InvalidField> {
        Ok(WebBridgeProfilePatch {
            name: self.text("name"),
            resource_archive: self.text("resourceArchive"),
            allow_passcodes: self.boolean("allowPasscodes")?,
            allow_secrets: self.boolean("allowSecrets")?,
            user_portal_enabled: self.boolean("userPortalEnabled")?,
            allow_unauthenticated_guests: self.boolean("allowUnauthenticatedGuests")?,
            resolve_co_space_call_ids: self.boolean("resolveCoSpaceCallIds")?,
            resolve_co_space_uris: self.word("resolveCoSpaceUris")?,
        })
    }

    /// The parameters of an entry point.
    pub(crate) fn entry_point(&self, kind: EntryPointKind) -> EntryPointPatch {
        EntryPointPatch {
            label: self.text("label"),
            value: self.text(kind.value_parameter()),
        }
    }

    /// The switch of a TURN server; `None` leaves it.
    pub(crate) fn draining(&self) -> Result<Option<bool>, InvalidField> {
        Ok(match self.boolean("draining")? {
            Field::Keep => None,
            Field::Set(draining) => Some(draining),
            Field::Unset => Some(false),
        })
    }

    /// The parameters of a call.
    pub(crate) fn call(&self) -> Result<CallPatch, InvalidField> {
        let patch = CallPatch {
            message_text: self.text("messageText"),
            message_position: self.word("messagePosition")?,
            message_duration: self.word("messageDuration")?,
            pane_placement_highest_importance: self.word("panePlacementHighestImportance")?,
            pane_placement_self_pane_mode: self.word("panePlacementSelfPaneMode")?,
            locked: self.boolean("locked")?,
        };
        patch.validate()?;
        Ok(patch)
    }

    /// The parameters of a call leg. `layout` is an old name of `defaultLayout`,
    /// which wins.
    pub(crate) fn call_leg(&self) -> Result<CallLegPatch, InvalidField> {
        let default_layout = match self.get("defaultLayout") {
            Some(_) => self.word("defaultLayout")?,
            None => self.word("layout")?,
        };
        let patch = CallLegPatch {
            rx_audio_mute: self.boolean("rxAudioMute")?,
            tx_audio_mute: self.boolean("txAudioMute")?,
            rx_video_mute: self.boolean("rxVideoMute")?,
            tx_video_mute: self.boolean("txVideoMute")?,
            default_layout,
            chosen_layout: self.word("chosenLayout")?,
            name_label_override: self.text("nameLabelOverride"),
            sip_media_encryption: self.word("sipMediaEncryption")?,
            owner_id: self.text("ownerId"),
            dtmf_sequence: self.non_empty("dtmfSequence").map(str::to_owned),
        };
        patch.validate()?;
        Ok(patch)
    }
}

/// `true` and `false` in any case, and what some clients send for mutes.
fn read_bool(text: &str) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") || is("on") || is("1") {
        Some(true)
    } else if is("false") || is("off") || is("0") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(form: &str) -> Params {
        let mut params = Params::default();
        params.read(form.as_bytes()).unwrap();
        params
    }

    #[test]
    fn booleans_are_tolerant_but_not_careless() {
        for on in ["true", "True", "TRUE", "on", "ON", "1"] {
            assert_eq!(read_bool(on), Some(true), "{on}");
        }
        for off in ["false", "False", "off", "0"] {
            assert_eq!(read_bool(off), Some(false), "{off}");
        }
        for bad in ["yes", "", "2", "tru", " true"] {
            assert_eq!(read_bool(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_page_is_capped_and_its_numbers_checked() {
        let page = |form: &str| params(form).page(20);
        let ok = |offset, limit| Ok(PageRequest { offset, limit });
        assert_eq!(page(""), ok(0, 20));
        assert_eq!(page("offset=&limit="), ok(0, 20));
        assert_eq!(page("offset=40&limit=10"), ok(40, 10));
        assert_eq!(
            page("LIMIT=21&Offset=18446744073709551615"),
            ok(u64::MAX, 20)
        );
        assert_eq!(page("limit=0"), ok(0, 0));
        assert_eq!(page("limit=-1"), Err(InvalidField::new("limit")));
        assert_eq!(page("offset=x"), Err(InvalidField::new("offset")));
        assert_eq!(
            page("offset=18446744073709551616"),
            Err(InvalidField::new("offset"))
        );
    }

    #[test]
    fn later_parameters_win_and_names_have_any_case() {
        let params = params("NAME=a&name=b&Name=c%20%2B+d");
        assert_eq!(params.get("name"), Some("c + d"));
        assert_eq!(params.get("nam"), None);
    }

    #[test]
    fn broken_utf8_is_refused_rather_than_mended() {
        assert_eq!(Params::default().read(b"name=%ff"), Err(NotUtf8));
        assert_eq!(Params::default().read(b"name=\xff"), Err(NotUtf8));
        assert_eq!(Params::default().read("name=é".as_bytes()), Ok(()));
    }

    #[test]
    fn default_layout_wins_over_its_old_name() {
        let layout = |form: &str| params(form).call_leg().unwrap().default_layout;
        use plenum_model::Layout;
        assert_eq!(
            layout("layout=stacked&defaultLayout=allEqual"),
            Field::Set(Layout::AllEqual)
        );
        assert_eq!(layout("layout=stacked"), Field::Set(Layout::Stacked));
        assert_eq!(layout("layout=stacked&defaultLayout="), Field::Unset);
    }
}
