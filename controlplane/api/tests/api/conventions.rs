use axum::body::Body;
use axum::http::Request;
use plenum_api::BridgeError;
use plenum_model::InvalidField;

use crate::{Fake, ask, basic, get, send, text};

async fn make_spaces(router: &axum::Router, count: u32) -> Vec<String> {
    let mut locations = Vec::new();
    for n in 0..count {
        let form = format!("name=Space+{n:02}&uri=space.{n}");
        let made = ask(router, "POST", "/api/v1/coSpaces", &form).await.done();
        locations.push(made.location().to_owned());
    }
    locations
}

fn count(xml: &str, element: &str) -> usize {
    xml.matches(&format!("<{element} ")).count()
}

#[tokio::test]
async fn without_credentials_401_and_a_basic_challenge() {
    let router = Fake::default().router();
    for authorization in [
        None,
        Some(basic("admin", "wrong")),
        Some(basic("other", "right")),
        Some("Bearer x".into()),
        Some("Basic ???".into()),
    ] {
        let mut request = Request::builder().uri("/api/v1/system/status");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let got = send(&router, request.body(Body::empty()).unwrap()).await;
        assert_eq!((got.status.as_u16(), got.body.as_str()), (401, ""));
        assert!(
            got.header("www-authenticate")
                .unwrap()
                .starts_with("Basic ")
        );
    }
}

#[tokio::test]
async fn nobody_learns_which_nodes_exist_without_credentials() {
    let router = Fake::default().router();
    for path in ["/api/v1/nothing", "/api/v9/coSpaces", "/api/v1/coSpaces"] {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        assert_eq!(send(&router, request).await.status.as_u16(), 401, "{path}");
    }
}

#[tokio::test]
async fn health_needs_no_credentials() {
    let router = Fake::default().router();
    let request = Request::builder().uri("/healthz").body(Body::empty());
    let got = send(&router, request.unwrap()).await;
    assert_eq!((got.status.as_u16(), got.body.as_str()), (200, "ok"));
}

#[tokio::test]
async fn a_wrong_version_is_invalid_version() {
    let router = Fake::default().router();
    for path in ["/api/v2/coSpaces", "/api/v10/x", "/api/coSpaces", "/api"] {
        let got = get(&router, path).await;
        assert_eq!(got.refused(), (404, "<invalidVersion />"), "{path}");
    }
}

#[tokio::test]
async fn an_unknown_node_is_unrecognised_object() {
    let router = Fake::default().router();
    let got = get(&router, "/api/v1/conferences").await;
    assert_eq!(got.refused(), (404, "<unrecognisedObject />"));
}

#[tokio::test]
async fn a_method_the_node_lacks_is_invalid_operation() {
    let router = Fake::default().router();
    for (method, path, allow) in [
        ("POST", "/api/v1/system/status", "GET"),
        ("DELETE", "/api/v1/coSpaces", "GET, POST"),
        ("PATCH", "/api/v1/coSpaces/x", "GET, PUT, DELETE"),
    ] {
        let got = ask(&router, method, path, "").await;
        assert_eq!(got.refused(), (405, "<invalidOperation />"), "{path}");
        assert_eq!(got.header("allow"), Some(allow));
    }
}

#[tokio::test]
async fn a_missing_object_has_a_space_before_the_slash() {
    let router = Fake::default().router();
    let nobody = "0b9c1d7e-52a1-4b7d-9f0b-0c5b2b1b7a10";
    for id in [nobody, "not-a-guid", "%20"] {
        for (collection, reason) in [
            ("coSpaces", "<coSpaceDoesNotExist />"),
            ("calls", "<callDoesNotExist />"),
            ("callLegs", "<callLegDoesNotExist />"),
        ] {
            for method in ["GET", "DELETE"] {
                let path = format!("/api/v1/{collection}/{id}");
                let got = ask(&router, method, &path, "").await;
                assert_eq!(got.refused(), (404, reason), "{method} {path}");
                assert_eq!(got.header("content-type"), Some("text/xml"));
            }
        }
        let put = ask(&router, "PUT", &format!("/api/v1/coSpaces/{id}"), "name=a").await;
        assert_eq!(put.refused(), (404, "<coSpaceDoesNotExist />"));
        for below in ["callLegs", "participants"] {
            let got = get(&router, &format!("/api/v1/calls/{id}/{below}")).await;
            assert_eq!(got.refused(), (404, "<callDoesNotExist />"));
        }
    }
}

#[tokio::test]
async fn a_bad_value_is_a_parameter_error_with_the_names_of_both() {
    let router = Fake::default().router();
    for (form, parameter) in [
        ("streamUrl=http://x", "streamUrl"),
        ("uri=a%40b", "uri"),
        ("defaultLayout=pretty", "defaultLayout"),
        ("nonMemberAccess=maybe", "nonMemberAccess"),
        (
            "panePlacementHighestImportance=-1",
            "panePlacementHighestImportance",
        ),
        ("callId=12a", "callId"),
        ("requireCallId=2", "requireCallId"),
    ] {
        let got = ask(&router, "POST", "/api/v1/coSpaces", form).await;
        let expected =
            format!("<parameterError parameter=\"{parameter}\" error=\"invalidValue\" />");
        assert_eq!(got.refused(), (400, expected.as_str()), "{form}");
    }
}

#[tokio::test]
async fn duplicates_are_400_and_begin_with_duplicate() {
    let router = Fake::default().router();
    let form = "name=a&uri=board&callId=4711";
    ask(&router, "POST", "/api/v1/coSpaces", form).await.done();
    let got = ask(&router, "POST", "/api/v1/coSpaces", "uri=BOARD").await;
    assert_eq!(got.refused(), (400, "<duplicateCoSpaceUri />"));
    let got = ask(&router, "POST", "/api/v1/coSpaces", "callId=4711").await;
    assert_eq!(got.refused(), (400, "<duplicateCoSpaceId />"));
}

#[tokio::test]
async fn every_error_of_the_server_has_its_status_and_reason() {
    for (error, status, reason) in [
        (BridgeError::NoSuchSpace, 404, "<coSpaceDoesNotExist />"),
        (BridgeError::NoSuchCall, 404, "<callDoesNotExist />"),
        (BridgeError::NoSuchCallLeg, 404, "<callLegDoesNotExist />"),
        (BridgeError::DuplicateUri, 400, "<duplicateCoSpaceUri />"),
        (BridgeError::DuplicateCallId, 400, "<duplicateCoSpaceId />"),
        (
            BridgeError::Invalid(InvalidField::new("name")),
            400,
            "<parameterError parameter=\"name\" error=\"invalidValue\" />",
        ),
        (
            BridgeError::ParticipantLimitReached,
            400,
            "<participantLimitReached />",
        ),
        (
            BridgeError::CallLegCannotBeDeleted,
            400,
            "<callLegCannotBeDeleted />",
        ),
        (BridgeError::DatabaseNotReady, 503, "<databaseNotReady />"),
    ] {
        let fake = Fake::default();
        fake.fail(error);
        let got = get(&fake.router(), "/api/v1/system/status").await;
        assert_eq!(got.refused(), (status, reason));
    }
    for (error, status) in [(BridgeError::Busy, 503), (BridgeError::Internal, 500)] {
        let fake = Fake::default();
        fake.fail(error);
        let got = get(&fake.router(), "/api/v1/calls").await;
        assert_eq!((got.status.as_u16(), got.body.as_str()), (status, ""));
        assert_eq!(got.header("retry-after").is_some(), status == 503);
    }
}

#[tokio::test]
async fn creation_answers_200_with_a_relative_location_and_no_body() {
    let router = Fake::default().router();
    let made = ask(&router, "POST", "/api/v1/coSpaces", "name=a")
        .await
        .done();
    let parts: Vec<&str> = made.location().split('/').collect();
    assert_eq!(parts[..4], ["", "api", "v1", "coSpaces"]);
    assert_eq!((parts.len(), parts[4].len()), (5, 36));
    assert_eq!(parts[4], parts[4].to_lowercase());
    get(&router, made.location()).await.shown();
}

#[tokio::test]
async fn answers_are_text_xml_with_a_declaration_first() {
    let router = Fake::default().router();
    let body = get(&router, "/api/v1/coSpaces").await.shown();
    assert_eq!(
        body,
        "<?xml version=\"1.0\"?>\n<coSpaces total=\"0\"></coSpaces>"
    );
}

#[tokio::test]
async fn put_keeps_what_is_absent_and_unsets_what_is_empty() {
    let router = Fake::default().router();
    let form = "name=Team&uri=team&passcode=12&nonMemberAccess=false&defaultLayout=stacked";
    let made = ask(&router, "POST", "/api/v1/coSpaces", form).await.done();
    let at = made.location().to_owned();

    let put = ask(&router, "PUT", &at, "name=Crew").await.done();
    assert_eq!(put.location(), at);
    let space = get(&router, &at).await.shown();
    assert_eq!(text(&space, "name"), Some("Crew"));
    assert_eq!(text(&space, "passcode"), Some("12"));
    assert_eq!(text(&space, "nonMemberAccess"), Some("false"));

    let form = "passcode=&nonMemberAccess=&defaultLayout=&tenant=&callLegProfile=";
    ask(&router, "PUT", &at, form).await.done();
    let space = get(&router, &at).await.shown();
    assert_eq!(text(&space, "name"), Some("Crew"));
    assert_eq!(text(&space, "passcode"), None);
    assert_eq!(text(&space, "defaultLayout"), None);
    assert_eq!(text(&space, "nonMemberAccess"), Some("true"));
}

#[tokio::test]
async fn a_put_that_is_refused_changes_nothing() {
    let router = Fake::default().router();
    let made = ask(&router, "POST", "/api/v1/coSpaces", "name=a&uri=a").await;
    let got = ask(&router, "PUT", made.location(), "name=b&uri=not%20one").await;
    assert_eq!(got.status.as_u16(), 400);
    let space = get(&router, made.location()).await.shown();
    assert_eq!(text(&space, "name"), Some("a"));
}

#[tokio::test]
async fn empty_values_in_a_post_are_not_set() {
    let router = Fake::default().router();
    let form = "name=a&tenant=&secondaryUri=&passcode=&callId=";
    let made = ask(&router, "POST", "/api/v1/coSpaces", form).await.done();
    let space = get(&router, made.location()).await.shown();
    assert_eq!(text(&space, "secondaryUri"), None);
}

#[tokio::test]
async fn forms_are_read_whatever_their_content_type_but_json() {
    let router = Fake::default().router();
    for (content_type, status) in [
        (None, 200),
        (
            Some("application/x-www-form-urlencoded; charset=utf-8"),
            200,
        ),
        (Some("application/x-www-formurl-encoded"), 200),
        (Some("text/plain"), 200),
        (Some("application/json"), 415),
        (Some("application/JSON; charset=utf-8"), 415),
    ] {
        let mut request = Request::builder()
            .method("POST")
            .uri("/api/v1/coSpaces")
            .header("authorization", basic("admin", "right"));
        if let Some(value) = content_type {
            request = request.header("content-type", value);
        }
        let got = send(&router, request.body(Body::from("name=Typed")).unwrap()).await;
        assert_eq!(got.status.as_u16(), status, "{content_type:?}");
        if status == 200 {
            let space = get(&router, got.location()).await.shown();
            assert_eq!(text(&space, "name"), Some("Typed"));
        }
    }
}

#[tokio::test]
async fn parameters_in_the_query_string_count_and_the_body_wins() {
    let router = Fake::default().router();
    let path = "/api/v1/coSpaces?name=query&uri=fromquery";
    let made = ask(&router, "POST", path, "name=body").await.done();
    let space = get(&router, made.location()).await.shown();
    assert_eq!(text(&space, "name"), Some("body"));
    assert_eq!(text(&space, "uri"), Some("fromquery"));
    let path = format!("{}?name=changed", made.location());
    ask(&router, "PUT", &path, "").await.done();
    let space = get(&router, made.location()).await.shown();
    assert_eq!(text(&space, "name"), Some("changed"));
}

#[tokio::test]
async fn paths_and_parameter_names_have_any_case_and_a_slash_at_the_end() {
    let router = Fake::default().router();
    let form = "NAME=a&SecondaryURI=b&defaultlayout=ALLEQUAL";
    let made = ask(&router, "POST", "/api/v1/cospaces/", form).await.done();
    let path = format!("{}/", made.location().to_uppercase()).replace("/API/", "/api/");
    let space = get(&router, &path).await.shown();
    assert_eq!(text(&space, "secondaryUri"), Some("b"));
    assert_eq!(text(&space, "defaultLayout"), Some("allEqual"));
    let list = get(&router, "/api/v1/COSPACES/?Offset=0&LIMIT=1")
        .await
        .shown();
    assert_eq!(count(&list, "coSpace"), 1);
    get(&router, "/api/V1/calllegs").await.shown();
}

#[tokio::test]
async fn unknown_parameters_are_passed_over() {
    let router = Fake::default().router();
    let form = "name=a&invented=1&=&&x";
    ask(&router, "POST", "/api/v1/coSpaces", form).await.done();
}

#[tokio::test]
async fn booleans_are_tolerant() {
    let router = Fake::default().router();
    for (word, expected) in [
        ("False", "false"),
        ("off", "false"),
        ("0", "false"),
        ("ON", "true"),
    ] {
        let form = format!("nonMemberAccess={word}");
        let made = ask(&router, "POST", "/api/v1/coSpaces", &form).await.done();
        let space = get(&router, made.location()).await.shown();
        assert_eq!(text(&space, "nonMemberAccess"), Some(expected), "{word}");
    }
}

#[tokio::test]
async fn a_form_that_is_no_utf8_is_refused() {
    let fake = Fake::default();
    let got = ask(&fake.router(), "POST", "/api/v1/coSpaces", "name=%ff%fe").await;
    assert_eq!(got.status.as_u16(), 400);
    assert_eq!(fake.spaces_len(), 0);
}

#[tokio::test]
async fn total_counts_what_matches_and_pages_are_capped_at_20_and_10() {
    let fake = Fake::default();
    let router = fake.router();
    make_spaces(&router, 28).await;
    let list = |query: &'static str| {
        let router = router.clone();
        async move {
            get(&router, &format!("/api/v1/coSpaces{query}"))
                .await
                .shown()
        }
    };
    for (query, total, shown) in [
        ("", 28, 20),
        ("?limit=1000", 28, 20),
        ("?limit=10", 28, 10),
        ("?offset=20&limit=10", 28, 8),
        ("?offset=27", 28, 1),
        ("?offset=28", 28, 0),
        ("?offset=18446744073709551615", 28, 0),
        ("?limit=0", 28, 0),
        ("?filter=space+1", 10, 10),
        ("?filter=SPACE%2011", 1, 1),
        ("?filter=nothing", 0, 0),
        ("?filter=&tenantFilter=&callLegProfileFilter=", 28, 20),
        ("?tenantFilter=0b9c1d7e-52a1-4b7d-9f0b-0c5b2b1b7a10", 0, 0),
    ] {
        let xml = list(query).await;
        assert!(
            xml.contains(&format!("<coSpaces total=\"{total}\">")),
            "{query}"
        );
        assert_eq!(count(&xml, "coSpace"), shown, "{query}");
    }
    let names: Vec<String> = (0..25).map(|n| format!("leg{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (call, _) = fake.add_call("big", &names);
    for path in [
        "/api/v1/callLegs".to_owned(),
        format!("/api/v1/calls/{call}/callLegs"),
        format!("/api/v1/calls/{call}/participants"),
        "/api/v1/participants".to_owned(),
    ] {
        let xml = get(&router, &format!("{path}?limit=20")).await.shown();
        assert!(xml.contains(" total=\"25\">"), "{path}");
        assert_eq!(xml.matches(" id=\"").count(), 10, "{path}");
    }
    for bad in ["limit=x", "offset=-1", "limit=1.5"] {
        let got = get(&router, &format!("/api/v1/coSpaces?{bad}")).await;
        assert_eq!(got.status.as_u16(), 400, "{bad}");
    }
}

#[tokio::test]
async fn all_pages_together_are_all_objects_once() {
    let router = Fake::default().router();
    let mut made = make_spaces(&router, 45).await;
    let mut found = Vec::new();
    loop {
        let path = format!("/api/v1/coSpaces?offset={}", found.len());
        let xml = get(&router, &path).await.shown();
        let ids = xml.match_indices("<coSpace id=\"").map(|(at, tag)| {
            let start = at + tag.len();
            format!("/api/v1/coSpaces/{}", &xml[start..start + 36])
        });
        let before = found.len();
        found.extend(ids);
        if found.len() == before {
            break;
        }
    }
    found.sort();
    made.sort();
    assert_eq!(found, made);
}

#[tokio::test]
async fn hostile_names_are_text_and_nothing_else() {
    let fake = Fake::default();
    let router = fake.router();
    let hostile = "</name><owner>\"'&\u{1}]]>\u{202e}\u{10ffff}";
    let (_, legs) = fake.add_call(hostile, &[hostile]);
    for path in [
        "/api/v1/calls".to_owned(),
        "/api/v1/callLegs".to_owned(),
        "/api/v1/participants".to_owned(),
        format!("/api/v1/callLegs/{}", legs[0]),
    ] {
        let xml = get(&router, &path).await.shown();
        assert_eq!(
            text(&xml, "name"),
            Some("&lt;/name&gt;&lt;owner&gt;&quot;&apos;&amp;\u{fffd}]]&gt;\u{202e}\u{10ffff}")
        );
        let mut reader = quick_xml::Reader::from_str(&xml);
        while reader.read_event().unwrap() != quick_xml::events::Event::Eof {}
    }
}

#[tokio::test]
async fn names_of_64_unicode_characters_come_back() {
    let router = Fake::default().router();
    let name = "会é".repeat(32);
    let form = format!("name={name}");
    let made = ask(&router, "POST", "/api/v1/coSpaces", &form).await.done();
    let space = get(&router, made.location()).await.shown();
    assert_eq!(text(&space, "name"), Some(name.as_str()));
}

#[tokio::test]
async fn head_answers_like_get() {
    let router = Fake::default().router();
    let got = ask(&router, "HEAD", "/api/v1/system/status", "").await;
    assert_eq!(got.status.as_u16(), 200);
}
