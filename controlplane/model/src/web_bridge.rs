//! Web bridge profiles: what the web app offers, and how invitations say that
//! meetings are reached.

use crate::invalid::words;
use crate::text::{is_text, is_url};
use crate::{EntryPointId, Field, InvalidField, MAX_NAME, PageRequest, WebBridgeProfileId};

/// Most entry points of one kind that a profile has.
pub const MAX_ENTRY_POINTS: u64 = 32;
/// Most characters of an entry point's label.
pub const MAX_ENTRY_POINT_LABEL: usize = 200;
/// Most characters of an IVR's number.
pub const MAX_IVR_NUMBER: usize = 100;
/// Most characters of a URL in a profile.
pub const MAX_PROFILE_URL: usize = 1_000;

/// How URLs of a profile begin.
const HTTP: &[&str] = &["https://", "http://"];

words! {
    /// How people may name a meeting by its address.
    pub enum ResolveCoSpaceUris as "resolveCoSpaceUris" {
        /// Not at all.
        Off = "off",
        /// With its domain, typed in full.
        DomainSuggestionDisabled = "domainSuggestionDisabled",
        /// Where the domain is left out, ours is suggested.
        DomainSuggestionEnabled = "domainSuggestionEnabled",
    }
}

words! {
    /// Whether a profile is assigned anywhere.
    pub enum ProfileUsage as "usageFilter" {
        /// It is.
        Referenced = "referenced",
        /// It is not.
        Unreferenced = "unreferenced",
    }
}

words! {
    /// What an entry point is.
    pub enum EntryPointKind as "entryPoint" {
        /// A telephone number at which a voice menu answers.
        IvrNumber = "ivrNumber",
        /// A URL at which the web app is found.
        WebBridgeAddress = "webBridgeAddress",
    }
}

impl EntryPointKind {
    /// The parameter that holds what is dialled or opened.
    #[must_use]
    pub const fn value_parameter(self) -> &'static str {
        match self {
            Self::IvrNumber => "number",
            Self::WebBridgeAddress => "address",
        }
    }
}

/// A web bridge profile; what is `None` is inherited.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WebBridgeProfile {
    /// Which one.
    pub id: WebBridgeProfileId,
    /// For people; may be empty.
    pub name: String,
    /// URL of what the sign-in page looks like. Kept; nothing fetches it yet.
    pub resource_archive: Option<String>,
    /// Passcodes may be given.
    pub allow_passcodes: Option<bool>,
    /// Links with a secret are good.
    pub allow_secrets: Option<bool>,
    /// People may sign in. Kept; nobody can yet.
    pub user_portal_enabled: Option<bool>,
    /// Who has not signed in may join.
    pub allow_unauthenticated_guests: Option<bool>,
    /// Meetings are found by their number.
    pub resolve_co_space_call_ids: Option<bool>,
    /// Meetings are found by their address.
    pub resolve_co_space_uris: Option<ResolveCoSpaceUris>,
}

/// The switches of a profile with nothing left to inherit: what is in force.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EffectiveWebBridgeProfile {
    /// [`WebBridgeProfile::allow_passcodes`].
    pub allow_passcodes: bool,
    /// [`WebBridgeProfile::allow_secrets`].
    pub allow_secrets: bool,
    /// [`WebBridgeProfile::allow_unauthenticated_guests`].
    pub allow_unauthenticated_guests: bool,
    /// [`WebBridgeProfile::resolve_co_space_call_ids`].
    pub resolve_co_space_call_ids: bool,
    /// [`WebBridgeProfile::resolve_co_space_uris`].
    pub resolve_co_space_uris: ResolveCoSpaceUris,
}

impl WebBridgeProfile {
    /// A profile that inherits everything.
    #[must_use]
    pub const fn new(id: WebBridgeProfileId) -> Self {
        Self {
            id,
            name: String::new(),
            resource_archive: None,
            allow_passcodes: None,
            allow_secrets: None,
            user_portal_enabled: None,
            allow_unauthenticated_guests: None,
            resolve_co_space_call_ids: None,
            resolve_co_space_uris: None,
        }
    }

    /// What is in force where this profile is assigned, of `inherited` from the
    /// level above.
    #[must_use]
    pub fn effective(&self, inherited: EffectiveWebBridgeProfile) -> EffectiveWebBridgeProfile {
        EffectiveWebBridgeProfile {
            allow_passcodes: self.allow_passcodes.unwrap_or(inherited.allow_passcodes),
            allow_secrets: self.allow_secrets.unwrap_or(inherited.allow_secrets),
            allow_unauthenticated_guests: self
                .allow_unauthenticated_guests
                .unwrap_or(inherited.allow_unauthenticated_guests),
            resolve_co_space_call_ids: self
                .resolve_co_space_call_ids
                .unwrap_or(inherited.resolve_co_space_call_ids),
            resolve_co_space_uris: self
                .resolve_co_space_uris
                .unwrap_or(inherited.resolve_co_space_uris),
        }
    }

    /// Checks every value against its syntax and bounds. Whoever writes a
    /// profile calls this first.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn validate(&self) -> Result<(), InvalidField> {
        if !is_text(&self.name, MAX_NAME) {
            return Err(InvalidField::new("name"));
        }
        let archive = self.resource_archive.as_deref();
        if archive.is_some_and(|url| !is_url(url, HTTP, MAX_PROFILE_URL)) {
            return Err(InvalidField::new("resourceArchive"));
        }
        Ok(())
    }
}

/// What is wanted of a web bridge profile: of a new one, or changed in one that
/// exists.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WebBridgeProfilePatch {
    /// [`WebBridgeProfile::name`]; unset makes it empty.
    pub name: Field<String>,
    /// [`WebBridgeProfile::resource_archive`].
    pub resource_archive: Field<String>,
    /// [`WebBridgeProfile::allow_passcodes`].
    pub allow_passcodes: Field<bool>,
    /// [`WebBridgeProfile::allow_secrets`].
    pub allow_secrets: Field<bool>,
    /// [`WebBridgeProfile::user_portal_enabled`].
    pub user_portal_enabled: Field<bool>,
    /// [`WebBridgeProfile::allow_unauthenticated_guests`].
    pub allow_unauthenticated_guests: Field<bool>,
    /// [`WebBridgeProfile::resolve_co_space_call_ids`].
    pub resolve_co_space_call_ids: Field<bool>,
    /// [`WebBridgeProfile::resolve_co_space_uris`].
    pub resolve_co_space_uris: Field<ResolveCoSpaceUris>,
}

impl WebBridgeProfilePatch {
    /// Changes `profile` as wished, without checking
    /// ([`WebBridgeProfile::validate`]).
    pub fn apply(self, profile: &mut WebBridgeProfile) {
        self.name.apply_or(&mut profile.name, String::new());
        self.resource_archive.apply(&mut profile.resource_archive);
        self.allow_passcodes.apply(&mut profile.allow_passcodes);
        self.allow_secrets.apply(&mut profile.allow_secrets);
        self.user_portal_enabled
            .apply(&mut profile.user_portal_enabled);
        self.allow_unauthenticated_guests
            .apply(&mut profile.allow_unauthenticated_guests);
        self.resolve_co_space_call_ids
            .apply(&mut profile.resolve_co_space_call_ids);
        self.resolve_co_space_uris
            .apply(&mut profile.resolve_co_space_uris);
    }
}

/// Which web bridge profiles are wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WebBridgeProfileQuery {
    /// Only those that are, or are not, assigned.
    pub usage: Option<ProfileUsage>,
    /// Which part of them.
    pub page: PageRequest,
}

/// The entry points of one kind that a profile has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntryPoints {
    /// Whose.
    pub profile: WebBridgeProfileId,
    /// Of which kind.
    pub kind: EntryPointKind,
}

/// A way to meetings that invitations name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EntryPoint {
    /// Which one.
    pub id: EntryPointId,
    /// What people are told that it is; may be empty.
    pub label: String,
    /// What is dialled or opened.
    pub value: String,
}

impl EntryPoint {
    /// One that leads nowhere yet.
    #[must_use]
    pub const fn new(id: EntryPointId) -> Self {
        Self {
            id,
            label: String::new(),
            value: String::new(),
        }
    }

    /// Checks syntax and bounds as an entry point of this kind. Whoever writes
    /// one calls this first.
    ///
    /// # Errors
    /// The first field that does not fit.
    pub fn validate(&self, kind: EntryPointKind) -> Result<(), InvalidField> {
        if !is_text(&self.label, MAX_ENTRY_POINT_LABEL) {
            return Err(InvalidField::new("label"));
        }
        let fits = match kind {
            EntryPointKind::IvrNumber => {
                !self.value.is_empty() && is_text(&self.value, MAX_IVR_NUMBER)
            }
            EntryPointKind::WebBridgeAddress => is_url(&self.value, HTTP, MAX_PROFILE_URL),
        };
        match fits {
            true => Ok(()),
            false => Err(InvalidField::new(kind.value_parameter())),
        }
    }
}

/// What is wanted of an entry point: of a new one, or changed in one that exists.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EntryPointPatch {
    /// [`EntryPoint::label`]; unset makes it empty.
    pub label: Field<String>,
    /// [`EntryPoint::value`], which no entry point is without.
    pub value: Field<String>,
}

impl EntryPointPatch {
    /// Changes `point` as wished, without checking ([`EntryPoint::validate`]).
    pub fn apply(self, point: &mut EntryPoint) {
        self.label.apply_or(&mut point.label, String::new());
        self.value.apply_or(&mut point.value, String::new());
    }
}

/// The profiles that hold wherever no other is assigned.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SystemProfiles {
    /// Of the web app.
    pub web_bridge_profile: Option<WebBridgeProfileId>,
}

/// What is to be changed in [`SystemProfiles`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SystemProfilesPatch {
    /// [`SystemProfiles::web_bridge_profile`].
    pub web_bridge_profile: Field<WebBridgeProfileId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: EffectiveWebBridgeProfile = EffectiveWebBridgeProfile {
        allow_passcodes: true,
        allow_secrets: true,
        allow_unauthenticated_guests: true,
        resolve_co_space_call_ids: true,
        resolve_co_space_uris: ResolveCoSpaceUris::DomainSuggestionEnabled,
    };

    fn profile() -> WebBridgeProfile {
        WebBridgeProfile::new(WebBridgeProfileId::from_bytes([1; 16]))
    }

    fn point(label: &str, value: &str) -> EntryPoint {
        EntryPoint {
            label: label.to_owned(),
            value: value.to_owned(),
            ..EntryPoint::new(EntryPointId::from_bytes([2; 16]))
        }
    }

    #[test]
    fn what_is_not_set_is_inherited_and_what_is_set_wins() {
        assert_eq!(profile().effective(DEFAULTS), DEFAULTS);
        let off = WebBridgeProfilePatch {
            allow_passcodes: Field::Set(false),
            allow_secrets: Field::Set(false),
            allow_unauthenticated_guests: Field::Set(false),
            resolve_co_space_call_ids: Field::Set(false),
            resolve_co_space_uris: Field::Set(ResolveCoSpaceUris::Off),
            ..WebBridgeProfilePatch::default()
        };
        let mut all_off = profile();
        off.apply(&mut all_off);
        let none = EffectiveWebBridgeProfile {
            allow_passcodes: false,
            allow_secrets: false,
            allow_unauthenticated_guests: false,
            resolve_co_space_call_ids: false,
            resolve_co_space_uris: ResolveCoSpaceUris::Off,
        };
        assert_eq!(all_off.effective(DEFAULTS), none);
        // A switch that is on wins over one that is off above it.
        let one_on = WebBridgeProfile {
            allow_secrets: Some(true),
            ..profile()
        };
        let expected = EffectiveWebBridgeProfile {
            allow_secrets: true,
            ..none
        };
        assert_eq!(one_on.effective(none), expected);
    }

    #[test]
    fn a_profile_that_does_not_fit_is_refused_by_its_field() {
        let with = |name: &str, archive: &str| WebBridgeProfile {
            name: name.to_owned(),
            resource_archive: Some(archive.to_owned()),
            ..profile()
        };
        let good = "https://files.example.org/a.zip";
        assert_eq!(with("", good).validate(), Ok(()));
        assert_eq!(with(&"é".repeat(MAX_NAME), good).validate(), Ok(()));
        for name in ["a\nb", &"a".repeat(MAX_NAME + 1)] {
            let refused = Err(InvalidField::new("name"));
            assert_eq!(with(name, good).validate(), refused, "{name}");
        }
        let long = format!("https://{}", "a".repeat(MAX_PROFILE_URL));
        for archive in [
            "",
            "a.zip",
            "file:///a.zip",
            "https:///a",
            "https://a b",
            &long,
        ] {
            let refused = Err(InvalidField::new("resourceArchive"));
            assert_eq!(with("", archive).validate(), refused, "{archive}");
        }
    }

    #[test]
    fn an_entry_point_leads_somewhere() {
        use EntryPointKind::{IvrNumber, WebBridgeAddress};
        let url = "https://meet.example.org:8443/";
        for (kind, label, value) in [
            (IvrNumber, "", "8000"),
            (IvrNumber, "Köln", "+49 221 (0) 8000"),
            (WebBridgeAddress, "Inside", url),
        ] {
            assert_eq!(point(label, value).validate(kind), Ok(()), "{value}");
        }
        let long = "1".repeat(MAX_IVR_NUMBER + 1);
        let long_label = "a".repeat(MAX_ENTRY_POINT_LABEL + 1);
        for (kind, label, value, field) in [
            (IvrNumber, "", "", "number"),
            (IvrNumber, "", "1\r2", "number"),
            (IvrNumber, "", &long, "number"),
            (IvrNumber, &long_label, "1", "label"),
            (WebBridgeAddress, "", "8000", "address"),
            (WebBridgeAddress, "", "javascript:alert(1)", "address"),
            (WebBridgeAddress, "a\u{7}", url, "label"),
        ] {
            let refused = Err(InvalidField::new(field));
            assert_eq!(point(label, value).validate(kind), refused, "{value}");
        }
    }
}
