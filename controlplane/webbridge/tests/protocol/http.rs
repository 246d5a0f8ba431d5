use serde_json::json;

use super::fake::*;
use plenum_model::{EffectiveWebBridgeProfile, ResolveCoSpaceUris};
use plenum_webbridge::JoinRefusal;

#[tokio::test]
async fn the_app_is_told_what_is_offered() {
    let server = start().await;
    let answer = server.ask("GET", "/api/config", "").await;
    assert_eq!(
        answer.json(),
        json!({"productName": "Plenum", "allowPasscodes": true, "allowSecrets": true,
            "resolveCallIds": true, "resolveUris": "domainSuggestionEnabled",
            "domainSuggestion": "example.org", "allowUnauthenticatedGuests": true,
            "userPortalEnabled": false})
    );
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test]
async fn refusals_say_why_in_the_apps_words() {
    let server = start().await;
    for (path, body, status, wanted) in [
        (
            "lookup",
            r#"{"callId":"123"}"#,
            200,
            json!({"spaceName": "Standup", "passcodeRequired": true}),
        ),
        (
            "lookup",
            r#"{"callId":"123","secret":"s"}"#,
            200,
            json!({"spaceName": "Standup", "passcodeRequired": false}),
        ),
        (
            "lookup",
            r#"{"callId":"999"}"#,
            404,
            json!({"error": "notFound"}),
        ),
        (
            "lookup",
            r#"{}"#,
            400,
            json!({"error": "invalid", "field": "callId"}),
        ),
        (
            "lookup",
            r#"{"callId":"1","uri":"x"}"#,
            400,
            json!({"error": "invalid", "field": "callId"}),
        ),
        (
            "lookup",
            "call 123",
            400,
            json!({"error": "invalid", "field": "body"}),
        ),
        (
            "join",
            r#"{"callId":"123","name":"Ann"}"#,
            401,
            json!({"error": "passcodeRequired"}),
        ),
        (
            "join",
            r#"{"callId":"123","passcode":"","name":"Ann"}"#,
            401,
            json!({"error": "passcodeRequired"}),
        ),
        (
            "join",
            r#"{"callId":"123","passcode":"1","name":"Ann"}"#,
            403,
            json!({"error": "passcodeWrong"}),
        ),
        (
            "join",
            r#"{"callId":"123","secret":"x","name":"Ann"}"#,
            403,
            json!({"error": "secretWrong"}),
        ),
        (
            "join",
            r#"{"callId":"123","passcode":"locked","name":"Ann"}"#,
            403,
            json!({"error": "locked"}),
        ),
        (
            "join",
            r#"{"callId":"123","passcode":"busy","name":"Ann"}"#,
            429,
            json!({"error": "tooManyTries", "retryAfterSeconds": 9}),
        ),
        (
            "join",
            r#"{"callId":"123","passcode":"42","name":" "}"#,
            400,
            json!({"error": "invalid", "field": "name"}),
        ),
        (
            "join",
            r#"{"callId":"123","passcode":"42","name":"a\u0007"}"#,
            400,
            json!({"error": "invalid", "field": "name"}),
        ),
    ] {
        let answer = server.ask("POST", &format!("/api/{path}"), body).await;
        assert_eq!((answer.status, answer.json()), (status, wanted), "{body}");
    }
    let long = json!({"callId": "1".repeat(301)}).to_string();
    assert_eq!(server.ask("POST", "/api/lookup", &long).await.status, 400);
    let huge = json!({"callId": "1".repeat(9_000)}).to_string();
    assert_eq!(server.ask("POST", "/api/lookup", &huge).await.status, 413);
}

#[tokio::test]
async fn joining_gives_a_token_and_turn_servers() {
    let server = start().await;
    let body = r#"{"callId":"123","secret":"s","name":"Ann"}"#;
    let answer = server.ask("POST", "/api/join", body).await;
    let json = answer.json();
    assert_eq!(json["spaceName"], "Standup");
    assert_eq!(json["token"].as_str().unwrap().split('.').count(), 3);
    assert_eq!(json["iceServers"][0]["urls"][0], "turn:turn.example.org");
    assert!(json["iceServers"][0]["credential"].is_string());
}

#[tokio::test]
async fn switches_that_are_off_are_off() {
    let server = start().await;
    server.bridge.offers(Ok(EffectiveWebBridgeProfile {
        allow_passcodes: false,
        allow_secrets: false,
        resolve_co_space_uris: ResolveCoSpaceUris::Off,
        ..EVERYTHING
    }));
    let (passcodes, secrets) = ("passcodesNotAllowed", "secretsNotAllowed");
    for (path, body, status, error) in [
        (
            "join",
            r#"{"callId":"123","passcode":"42","name":"Ann"}"#,
            403,
            passcodes,
        ),
        (
            "join",
            r#"{"callId":"123","secret":"s","name":"Ann"}"#,
            403,
            secrets,
        ),
        ("lookup", r#"{"callId":"123","secret":"s"}"#, 403, secrets),
        // It has a passcode, which nobody is to be asked for in vain.
        ("lookup", r#"{"callId":"123"}"#, 403, passcodes),
        ("join", r#"{"callId":"123","name":"Ann"}"#, 403, passcodes),
        (
            "join",
            r#"{"callId":"123","secret":"","name":"Ann"}"#,
            403,
            passcodes,
        ),
        ("join", r#"{"uri":"standup","name":"Ann"}"#, 404, "notFound"),
        ("lookup", r#"{"callId":"9"}"#, 404, "notFound"),
    ] {
        let answer = server.ask("POST", &format!("/api/{path}"), body).await;
        let wanted = (status, json!({"error": error}));
        assert_eq!((answer.status, answer.json()), wanted, "{path} {body}");
    }
    assert!(server.bridge.state.lock().unwrap().participants.is_empty());
    // What is on counts while the other is off.
    server.bridge.offers(Ok(EffectiveWebBridgeProfile {
        allow_passcodes: false,
        ..EVERYTHING
    }));
    for (path, body) in [
        ("lookup", r#"{"callId":"123","secret":"s"}"#),
        ("join", r#"{"callId":"123","secret":"s","name":"Ann"}"#),
    ] {
        let answer = server.ask("POST", &format!("/api/{path}"), body).await;
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
    }
    server.bridge.offers(Ok(EffectiveWebBridgeProfile {
        allow_secrets: false,
        ..EVERYTHING
    }));
    server.join().await;
    server.bridge.offers(Ok(EffectiveWebBridgeProfile {
        allow_unauthenticated_guests: false,
        resolve_co_space_call_ids: false,
        ..EVERYTHING
    }));
    let answer = server.ask("POST", "/api/join", r#"{"callId":"123"}"#).await;
    assert_eq!(answer.json(), json!({"error": "guestsNotAllowed"}));
    let answer = server
        .ask("POST", "/api/lookup", r#"{"callId":"123"}"#)
        .await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn what_is_offered_changes_from_one_request_to_the_next() {
    let server = start().await;
    let offered = async || server.ask("GET", "/api/config", "").await.json();
    assert_eq!(offered().await["domainSuggestion"], "example.org");
    server.bridge.offers(Ok(EffectiveWebBridgeProfile {
        allow_passcodes: false,
        allow_secrets: false,
        allow_unauthenticated_guests: false,
        resolve_co_space_call_ids: false,
        resolve_co_space_uris: ResolveCoSpaceUris::DomainSuggestionDisabled,
    }));
    assert_eq!(
        offered().await,
        json!({"productName": "Plenum", "allowPasscodes": false, "allowSecrets": false,
            "resolveCallIds": false, "resolveUris": "domainSuggestionDisabled",
            "domainSuggestion": null, "allowUnauthenticatedGuests": false,
            "userPortalEnabled": false})
    );
    server.bridge.offers(Err(JoinRefusal::Unavailable));
    for (method, path, body) in [
        ("GET", "config", ""),
        ("POST", "lookup", r#"{"callId":"123"}"#),
        (
            "POST",
            "join",
            r#"{"callId":"123","secret":"s","name":"Ann"}"#,
        ),
    ] {
        let answer = server.ask(method, &format!("/api/{path}"), body).await;
        let unavailable = json!({"error": "unavailable"});
        assert_eq!((answer.status, answer.json()), (503, unavailable), "{path}");
    }
    server.bridge.offers(Ok(EVERYTHING));
    server.join().await;
}

#[tokio::test]
async fn who_finds_nothing_too_often_has_to_wait() {
    let server = start().await;
    let look = async |call_id: &str| {
        let body = json!({"callId": call_id}).to_string();
        server.ask("POST", "/api/lookup", &body).await
    };
    for n in 0..20 {
        assert_eq!(look(&format!("9{n}")).await.status, 404);
    }
    let answer = look("123").await;
    assert_eq!(answer.status, 429, "what is there is not told either");
    assert!(answer.json()["retryAfterSeconds"].as_u64().unwrap() >= 1);
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test]
async fn older_links_lead_to_the_app() {
    let server = start().await;
    for (path, to) in [
        (
            "/invited.sf?id=123&secret=a%26b",
            "/meeting/123?secret=a%26b",
        ),
        ("/invited.sf?id=123", "/meeting/123"),
        (
            "/invited.sf?url=standup%40example.org",
            "/join?uri=standup%40example.org",
        ),
        ("/invited.sf", "/"),
        ("/index.html?id=123", "/meeting/123"),
        ("/index.html", "/"),
        (
            "/invited.sf?id=%0d%0aSet-Cookie:x",
            "/meeting/%0D%0ASet-Cookie%3Ax",
        ),
    ] {
        let answer = server.ask("GET", path, "").await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (302, to),
            "{path}"
        );
    }
}

#[tokio::test]
async fn pages_come_with_the_headers_that_keep_them_safe() {
    let server = start().await;
    for path in ["/", "/meeting/123?secret=x", "/join"] {
        let answer = server.ask("GET", path, "").await;
        assert_eq!(answer.status, 200, "{path}");
        assert!(answer.header("content-type").starts_with("text/html"));
        assert!(
            answer
                .header("content-security-policy")
                .contains("default-src 'none'")
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-cache");
        let tag = answer.header("etag").to_owned();
        assert!(tag.starts_with('"'));
    }
    let missing = server.ask("GET", "/assets/missing.js", "").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.header("x-content-type-options"), "nosniff");
    assert_eq!(server.ask("POST", "/", "").await.status, 405);
}
