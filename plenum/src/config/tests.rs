use std::collections::HashSet;

use super::*;

fn from_file(text: &str) -> Result<Settings, String> {
    Config::from_toml(text).map_err(|error| error.to_string())
}

fn with_variables(variables: &[(&str, &str)]) -> Result<Config, String> {
    let sources = Sources {
        variables: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Sources::default()
    };
    Config::load(&sources).map_err(|error| error.to_string())
}

#[test]
fn keys_are_unique_and_defaults_agree_with_each_other() {
    let keys: HashSet<&str> = ENTRIES.iter().map(|entry| entry.key).collect();
    assert_eq!(keys.len(), ENTRIES.len());
    with_variables(&[]).unwrap();
}

#[test]
fn what_is_printed_can_be_read_back() {
    let config = with_variables(&[
        ("PLENUM_DATA_DIR", "/tmp/with \"quotes\""),
        ("PLENUM_LISTEN", "::1,192.0.2.7"),
        ("PLENUM_SIP_DOMAINS", "example.org"),
        ("PLENUM_MEDIA_ENCRYPTION", "required"),
    ])
    .unwrap();
    let read_back = from_file(&config.to_toml()).unwrap();
    for entry in ENTRIES {
        assert_eq!((entry.show)(&read_back), (entry.show)(&config.settings));
    }
}

#[test]
fn a_later_source_wins_and_its_name_is_kept() {
    let folder = std::env::temp_dir().join(format!("plenum-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("plenum.toml");
    std::fs::write(
        &file,
        "data_dir = \"a\"\n\n[sip]\nudp_port = 6000\ntcp_port = 6001\n",
    )
    .unwrap();
    let config = Config::load(&Sources {
        file: Some(file.clone()),
        data_dir: Some(PathBuf::from("b")),
        variables: vec![("PLENUM_SIP_UDP_PORT".to_owned(), "7000".to_owned())],
    })
    .unwrap();
    assert_eq!(config.settings.general.data_dir, Path::new("b"));
    assert_eq!(*config.origin("data_dir"), Origin::Option("--data"));
    assert_eq!(config.settings.sip.udp_port, 7000);
    assert_eq!(
        config.origin("sip.udp_port").to_string(),
        "PLENUM_SIP_UDP_PORT"
    );
    assert_eq!(config.settings.sip.tcp_port, 6001);
    assert_eq!(
        *config.origin("sip.tcp_port"),
        Origin::File {
            path: file,
            line: 5
        }
    );
    assert_eq!(*config.origin("https.port"), Origin::Default);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_problem_is_named_with_its_line_and_what_is_allowed() {
    let text = "data_dir = 3.5\n[sip]\nudp_prot = 5060\ntcp_port = 70000\n[sipp]\nx = 1\n";
    let problems = from_file(text).unwrap_err();
    assert_eq!(
        problems,
        "inherited settings:1: data_dir: a float is not allowed; it must be a path\n\
         inherited settings:3: sip.udp_prot: there is no such setting; did you mean sip.udp_port?\n\
         inherited settings:4: sip.tcp_port: \"70000\" is not allowed; it must be a port from 0 to 65535, where 0 lets the kernel choose\n\
         inherited settings:5: sipp: there is no such section; did you mean sip?"
    );
}

#[test]
fn broken_toml_names_the_line() {
    let problems = from_file("data_dir = \"a\"\n[sip\n").unwrap_err();
    assert!(problems.starts_with("inherited settings:2: "), "{problems}");
}

#[test]
fn a_bad_variable_is_named_and_a_strange_one_is_told() {
    let problems = with_variables(&[("PLENUM_HTTPS_PORT", "https")]).unwrap_err();
    assert!(
        problems
            .starts_with("PLENUM_HTTPS_PORT (https.port): \"https\" is not allowed; it must be"),
        "{problems}"
    );
    let config = with_variables(&[("PLENUM_HTTP_PORT", "1"), ("HOME", "/")]).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].contains("PLENUM_HTTP_PORT"));
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (variables, expected) in [
        (
            vec![("PLENUM_TLS_KEY", "k.pem")],
            "tls.certificate and tls.key",
        ),
        (
            vec![("PLENUM_SIP_SESSION_MIN_S", "3600")],
            "sip.session_min_s",
        ),
        (vec![("PLENUM_MEDIA_PACKET_MS", "30")], "media.packet_ms"),
        (
            vec![("PLENUM_HTTPS_PORT", "5061")],
            "https.port: port 5061 is already that of sip.tls_port",
        ),
        (
            vec![("PLENUM_MEDIA_PORTS", "5000-6000")],
            "sip.udp_port: port 5060 lies within",
        ),
        (
            vec![("PLENUM_MEDIA_WEBRTC_PORT", "20000")],
            "media.webrtc_port: port 20000 lies within",
        ),
        (
            vec![("PLENUM_MEDIA_WEBRTC_PORT", "5060")],
            "media.webrtc_port: port 5060 is already that of sip.udp_port",
        ),
        (
            vec![
                ("PLENUM_TURN_RELAY_PORTS", "29999-30100"),
                ("PLENUM_TURN_SERVE", "on"),
            ],
            "turn.relay_ports: 29999-30100 overlaps media.ports",
        ),
        (
            vec![("PLENUM_TURN_TLS_PORTS", "3478")],
            "turn.tls_ports: port 3478 is already one of turn.ports",
        ),
    ] {
        let problems = with_variables(&variables).unwrap_err();
        assert!(problems.contains(expected), "{problems}");
    }
    // Nobody relays: the ports are not in anybody's way.
    assert!(with_variables(&[("PLENUM_TURN_RELAY_PORTS", "29999-30100")]).is_ok());
}
