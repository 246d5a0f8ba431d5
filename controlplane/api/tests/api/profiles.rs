//! Web bridge profiles, their entry points, and the profiles of the server.

use plenum_api::BridgeError;
use plenum_model::EntryPointKind;

use crate::{Fake, ask, get, text};

const NOBODY: &str = "0b9c1d7e-52a1-4b7d-9f0b-0c5b2b1b7a10";

async fn make(router: &axum::Router, form: &str) -> String {
    let made = ask(router, "POST", "/api/v1/webBridgeProfiles", form).await;
    made.done().location().to_owned()
}

fn id(at: &str) -> &str {
    at.rsplit('/').next().unwrap()
}

#[tokio::test]
async fn a_profile_lives_from_post_to_delete() {
    let router = Fake::default().router();
    let form = "name=Guests&allowPasscodes=false&allowSecrets=True&userPortalEnabled=true\
                &allowUnauthenticatedGuests=true&resolveCoSpaceCallIds=on\
                &resolveCoSpaceUris=DomainSuggestionDisabled&resolveLyncConferenceIds=false\
                &resourceArchive=https://files.example.org/a.zip";
    let at = make(&router, form).await;
    assert!(at.starts_with("/api/v1/webBridgeProfiles/"));
    let shown = get(&router, &at).await.shown();
    let expected = format!(
        "<webBridgeProfile id=\"{}\"><name>Guests</name>\
         <resourceArchive>https://files.example.org/a.zip</resourceArchive>\
         <allowPasscodes>false</allowPasscodes><allowSecrets>true</allowSecrets>\
         <userPortalEnabled>true</userPortalEnabled>\
         <allowUnauthenticatedGuests>true</allowUnauthenticatedGuests>\
         <resolveCoSpaceCallIds>true</resolveCoSpaceCallIds>\
         <resolveCoSpaceUris>domainSuggestionDisabled</resolveCoSpaceUris></webBridgeProfile>",
        id(&at)
    );
    assert_eq!(shown.split_once('\n').unwrap().1, expected);
    let form = "allowPasscodes=&resourceArchive=&allowSecrets=false";
    ask(&router, "PUT", &at, form).await.done();
    let shown = get(&router, &at).await.shown();
    for (name, value) in [
        ("allowPasscodes", None),
        ("resourceArchive", None),
        ("allowSecrets", Some("false")),
        ("userPortalEnabled", Some("true")),
    ] {
        assert_eq!(text(&shown, name), value, "{name}");
    }
    ask(&router, "DELETE", &at, "").await.done();
    for method in ["GET", "PUT", "DELETE"] {
        let got = ask(&router, method, &at, "").await;
        let reason = "<webBridgeProfileDoesNotExist />";
        assert_eq!(got.refused(), (404, reason), "{method}");
    }
}

#[tokio::test]
async fn a_profile_that_does_not_fit_is_refused_by_parameter() {
    let router = Fake::default().router();
    for (form, parameter) in [
        ("allowPasscodes=maybe", "allowPasscodes"),
        ("resolveCoSpaceUris=on", "resolveCoSpaceUris"),
        ("resourceArchive=a.zip", "resourceArchive"),
        ("name=a%0ab", "name"),
    ] {
        let got = ask(&router, "POST", "/api/v1/webBridgeProfiles", form).await;
        let reason = format!("<parameterError parameter=\"{parameter}\" error=\"invalidValue\" />");
        assert_eq!(got.refused(), (400, reason.as_str()), "{form}");
    }
}

#[tokio::test]
async fn the_servers_profile_is_assigned_found_by_its_use_and_in_force() {
    let router = Fake::default().router();
    let used = make(
        &router,
        "name=used&allowPasscodes=false&userPortalEnabled=true",
    )
    .await;
    let spare = make(&router, "name=spare").await;
    let profiles = "/api/v1/system/profiles";
    let effective = "/api/v1/system/profiles/effectiveWebBridgeProfile";
    let shown = get(&router, profiles).await.shown();
    assert!(shown.ends_with("<profiles></profiles>"), "{shown}");
    let with = |passcodes| {
        format!(
            "<effectiveWebBridgeProfile><allowPasscodes>{passcodes}</allowPasscodes>\
             <allowSecrets>true</allowSecrets><userPortalEnabled>false</userPortalEnabled>\
             <allowUnauthenticatedGuests>true</allowUnauthenticatedGuests>\
             <resolveCoSpaceCallIds>true</resolveCoSpaceCallIds>\
             <resolveCoSpaceUris>domainSuggestionEnabled</resolveCoSpaceUris>\
             </effectiveWebBridgeProfile>"
        )
    };
    let shown = get(&router, effective).await.shown();
    assert_eq!(shown.split_once('\n').unwrap().1, with(true));
    for method in ["PUT", "POST"] {
        let form = format!("webBridgeProfile={}&callLegProfile=", id(&used));
        let done = ask(&router, method, profiles, &form).await.done();
        assert_eq!(done.location(), profiles);
        let shown = get(&router, profiles).await.shown();
        assert_eq!(text(&shown, "webBridgeProfile"), Some(id(&used)));
        let shown = get(&router, effective).await.shown();
        assert_eq!(shown.split_once('\n').unwrap().1, with(false));
        for (usage, profile) in [("referenced", &used), ("unreferenced", &spare)] {
            let path = format!("/api/v1/webBridgeProfiles?usageFilter={usage}");
            let shown = get(&router, &path).await.shown();
            let expected = format!(
                "<webBridgeProfiles total=\"1\"><webBridgeProfile id=\"{}\"><name>",
                id(profile)
            );
            assert!(shown.contains(&expected), "{usage}: {shown}");
        }
        ask(&router, "PUT", profiles, "webBridgeProfile=")
            .await
            .done();
        let shown = get(&router, effective).await.shown();
        assert_eq!(shown.split_once('\n').unwrap().1, with(true));
    }
    let bad = get(&router, "/api/v1/webBridgeProfiles?usageFilter=used").await;
    let reason = "<parameterError parameter=\"usageFilter\" error=\"invalidValue\" />";
    assert_eq!(bad.refused(), (400, reason));
}

#[tokio::test]
async fn a_profile_that_is_not_there_is_not_assigned() {
    let router = Fake::default().router();
    for (name, value) in [
        ("webBridgeProfile", NOBODY),
        ("webBridgeProfile", "x"),
        ("callLegProfile", NOBODY),
        ("callProfile", NOBODY),
        ("dtmfProfile", NOBODY),
        ("userProfile", NOBODY),
        ("ivrBrandingProfile", NOBODY),
        ("callBrandingProfile", NOBODY),
        ("compatibilityProfile", NOBODY),
        ("dialInSecurityProfile", NOBODY),
    ] {
        let form = format!("{name}={value}");
        let got = ask(&router, "PUT", "/api/v1/system/profiles", &form).await;
        let reason = format!("<{name}DoesNotExist />");
        assert_eq!(got.refused(), (400, reason.as_str()));
    }
}

#[tokio::test]
async fn entry_points_live_below_their_profile() {
    let router = Fake::default().router();
    let profile = make(&router, "name=a").await;
    let other = make(&router, "name=b").await;
    for (collection, element, parameter, value, bad) in [
        ("ivrNumbers", "ivrNumber", "number", "+49 221 8000", "1%0d2"),
        (
            "webBridgeAddresses",
            "webBridgeAddress",
            "address",
            "https://meet.example.org:8443/",
            "8000",
        ),
    ] {
        let all = format!("{profile}/{collection}");
        let form = format!("label=K%C3%B6ln&{parameter}={}", value.replace('+', "%2B"));
        let at = ask(&router, "POST", &all, &form).await.done();
        let at = at.location().to_owned();
        assert!(at.starts_with(&format!("{all}/")), "{at}");
        let element_of = |label: &str| {
            let id = id(&at);
            format!(
                "<{element} id=\"{id}\"><label>{label}</label>\
                 <{parameter}>{value}</{parameter}></{element}>"
            )
        };
        let shown = get(&router, &at).await.shown();
        assert_eq!(shown.split_once('\n').unwrap().1, element_of("Köln"));
        // Paths have any case here too.
        let shown = get(&router, &all.to_lowercase()).await.shown();
        let list = element_of("Köln");
        let list = format!("<{collection} total=\"1\">{list}</{collection}>");
        assert_eq!(shown.split_once('\n').unwrap().1, list);
        ask(&router, "PUT", &at, "label=").await.done();
        let shown = get(&router, &at).await.shown();
        assert_eq!(shown.split_once('\n').unwrap().1, element_of(""));
        for (method, path, form, error) in [
            ("POST", &all, "label=a".to_owned(), "missing"),
            ("POST", &all, format!("{parameter}={bad}"), "invalidValue"),
            ("PUT", &at, format!("{parameter}="), "invalidValue"),
        ] {
            let got = ask(&router, method, path, &form).await;
            let reason = format!("<parameterError parameter=\"{parameter}\" error=\"{error}\" />");
            assert_eq!(got.refused(), (400, reason.as_str()), "{form}");
        }
        let elsewhere = format!("{other}/{collection}/{}", id(&at));
        let missing = format!("{all}/{NOBODY}");
        let no_id = format!("{all}/x");
        for path in [&elsewhere, &missing, &no_id] {
            for method in ["GET", "PUT", "DELETE"] {
                let got = ask(&router, method, path, "").await;
                let reason = format!("<{element}DoesNotExist />");
                assert_eq!(got.refused(), (404, reason.as_str()), "{method} {path}");
            }
        }
        for profile in [NOBODY, "x"] {
            let path = format!("/api/v1/webBridgeProfiles/{profile}/{collection}");
            let form = format!("{parameter}={}", value.replace('+', "%2B"));
            for (method, form) in [("GET", ""), ("POST", form.as_str())] {
                let got = ask(&router, method, &path, form).await;
                let reason = "<webBridgeProfileDoesNotExist />";
                assert_eq!(got.refused(), (404, reason), "{method} {path}");
            }
        }
        ask(&router, "DELETE", &at, "").await.done();
        assert_eq!(get(&router, &at).await.status.as_u16(), 404);
    }
}

#[tokio::test]
async fn more_entry_points_than_a_profile_holds_are_refused_by_kind() {
    for (kind, reason) in [
        (EntryPointKind::IvrNumber, "<tooManyIvrNumbers />"),
        (
            EntryPointKind::WebBridgeAddress,
            "<tooManyWebBridgeAddresses />",
        ),
    ] {
        let fake = Fake::default();
        fake.fail(BridgeError::TooManyEntryPoints(kind));
        let got = get(&fake.router(), "/api/v1/webBridgeProfiles").await;
        assert_eq!(got.refused(), (400, reason));
    }
}
