//! What an administrator reads when a limit is too low. A process of its own,
//! for it lowers the process's limits.

use plenum_uring::{Config, Driver, SetupError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

#[test]
fn too_few_open_files_are_named() {
    let limit = Rlimit {
        current: Some(64),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let config = |sockets| Config {
        sockets,
        receive_slots: 16,
        send_slots: 16,
        ..Config::default()
    };
    let error = Driver::new(config(1_000)).unwrap_err();
    assert!(matches!(error, SetupError::OpenFiles { sockets: 1_000 }));
    assert!(error.to_string().contains("ulimit -n"), "{error}");
    assert!(Driver::new(config(32)).is_ok());
}
