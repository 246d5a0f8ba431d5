//! What the web app offers is governed by profiles while the server runs.

use std::time::Duration;

use plenum_e2e::server::Server;
use plenum_e2e::wait_until;
use serde_json::{Value, json};

/// The ids of a collection.
fn ids(server: &Server, collection: &str) -> Vec<String> {
    let (status, list) = server.rest("GET", collection, None);
    assert_eq!(status, 200, "{list}");
    let ids = list.split(" id=\"").skip(1);
    ids.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
        .collect()
}

/// A change that the server takes.
fn change(server: &Server, method: &str, path: &str, form: &str) {
    let (status, answer) = server.rest(method, path, Some(form));
    assert_eq!(status, 200, "{method} {path}: {answer}");
}

/// What a person hears who looks a meeting up, and who joins it with its passcode.
fn asked(server: &Server) -> [(u16, Value); 2] {
    let meeting = json!({"callId": "4711"});
    let join = json!({"callId": "4711", "passcode": "1234", "name": "Ann"});
    [
        server.web("lookup", Some(&meeting)),
        server.web("join", Some(&join)),
    ]
}

fn assert_passcodes_are_taken(server: &Server) {
    let [(looked_up, found), (joined, _)] = asked(server);
    assert_eq!((looked_up, joined), (200, 200));
    assert_eq!(found["passcodeRequired"], true);
    assert_eq!(server.web("config", None).1["allowPasscodes"], true);
}

fn assert_passcodes_are_refused(server: &Server) {
    for (status, answer) in asked(server) {
        let refused = json!({"error": "passcodesNotAllowed"});
        assert_eq!((status, answer), (403, refused));
    }
    assert_eq!(server.web("config", None).1["allowPasscodes"], false);
    let effective = "system/profiles/effectiveWebBridgeProfile";
    let (_, shown) = server.rest("GET", effective, None);
    assert!(shown.contains("<allowPasscodes>false</"), "{shown}");
}

#[test]
fn a_profile_governs_at_once_and_through_a_restart() {
    let server = Server::start("profiles", &[]);
    let board = "name=Board&callId=4711&passcode=1234";
    change(&server, "POST", "coSpaces", board);
    assert_passcodes_are_taken(&server);

    let form = "name=No+passcodes&allowPasscodes=false";
    change(&server, "POST", "webBridgeProfiles", form);
    assert_passcodes_are_taken(&server);
    let profile = ids(&server, "webBridgeProfiles").remove(0);
    let assign = format!("webBridgeProfile={profile}");
    change(&server, "PUT", "system/profiles", &assign);
    assert_passcodes_are_refused(&server);

    let at = format!("webBridgeProfiles/{profile}");
    change(&server, "PUT", &at, "allowPasscodes=");
    assert_passcodes_are_taken(&server);
    change(&server, "PUT", &at, "allowPasscodes=false");
    let numbers = format!("{at}/ivrNumbers");
    change(&server, "POST", &numbers, "label=K%C3%B6ln&number=8000");

    let died = server.kill("control");
    wait_until("the API is back", Duration::from_secs(10), || {
        server.process("control") != died && server.rest("GET", "system/status", None).0 == 200
    });
    assert_passcodes_are_refused(&server);
    assert_eq!(ids(&server, &numbers).len(), 1);

    change(&server, "DELETE", &at, "");
    assert_passcodes_are_taken(&server);
    let (_, profiles) = server.rest("GET", "system/profiles", None);
    assert!(profiles.ends_with("<profiles></profiles>"), "{profiles}");
    assert_eq!(server.rest("GET", &numbers, None).0, 404);
}
