//! What must never depend on what.

use plenum_tidy::Graph;

/// Members whose folder begins with `folder`.
fn members_in<'a>(graph: &'a Graph, folder: &'a str) -> impl Iterator<Item = &'a str> {
    graph
        .members()
        .iter()
        .filter(move |(_, path)| path.starts_with(folder))
        .map(|(name, _)| name.as_str())
}

#[test]
fn the_dataplane_needs_neither_the_control_plane_nor_tokio_nor_http() {
    let graph = Graph::load();
    let control: Vec<_> = members_in(&graph, "controlplane").collect();
    assert!(!control.is_empty());
    for name in members_in(&graph, "dataplane") {
        let needs = graph.closure(name);
        for never in ["tokio", "hyper", "axum", "http", "sqlx", "rsipstack"] {
            assert!(!needs.contains(never), "{name} needs {never}");
        }
        for never in &control {
            assert!(!needs.contains(never), "{name} needs {never}");
        }
    }
}

#[test]
fn the_control_plane_needs_of_the_dataplane_only_abi_and_ring() {
    let graph = Graph::load();
    let allowed = ["plenum-abi", "plenum-ring"];
    let dataplane: Vec<_> = members_in(&graph, "dataplane").collect();
    assert!(dataplane.len() > allowed.len());
    for name in members_in(&graph, "controlplane") {
        let needs = graph.closure(name);
        for never in dataplane.iter().filter(|name| !allowed.contains(name)) {
            assert!(!needs.contains(never), "{name} needs {never}");
        }
        assert!(
            !needs.contains("plenum-kernels"),
            "{name} needs plenum-kernels"
        );
    }
}

#[test]
fn kernels_need_no_other_workspace_crate() {
    let graph = Graph::load();
    let needs = graph.closure("plenum-kernels");
    for member in graph.members().keys() {
        assert!(
            !needs.contains(member.as_str()),
            "plenum-kernels needs {member}"
        );
    }
}

#[test]
fn the_app_knows_no_wire_library() {
    let graph = Graph::load();
    for name in ["plenum-app", "plenum-model"] {
        let needs = graph.closure(name);
        for never in [
            "axum",
            "quick-xml",
            "rsipstack",
            "sqlx",
            "tokio",
            "serde_json",
        ] {
            assert!(!needs.contains(never), "{name} needs {never}");
        }
    }
}

#[test]
fn production_code_needs_no_tests_and_no_benches() {
    let graph = Graph::load();
    let tests: Vec<_> = members_in(&graph, "tests")
        .chain(members_in(&graph, "benches"))
        .collect();
    for (name, path) in graph.members() {
        if path.starts_with("tests") || path.starts_with("benches") {
            continue;
        }
        let needs = graph.closure(name);
        for never in &tests {
            assert!(!needs.contains(never), "{name} needs {never}");
        }
        for never in ["criterion", "proptest"] {
            assert!(!needs.contains(never), "{name} needs {never}");
        }
    }
}

#[test]
fn only_the_binary_sees_both_planes() {
    let graph = Graph::load();
    for (name, path) in graph.members() {
        if path.starts_with("plenum") || path.starts_with("tests") || path.starts_with("benches") {
            continue;
        }
        let needs = graph.closure(name);
        let both = needs.contains("plenum-dataplane") && needs.contains("plenum-app");
        assert!(!both, "{name} sees both planes");
    }
}
