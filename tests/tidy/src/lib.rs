//! Reads the workspace as data: its dependency graph and its sources.
//!
//! The rules themselves are the tests in `tests/`: `graph.rs` for what must
//! never depend on what, `sources.rs` for what must never be written where.
//! Nothing here builds or changes anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

/// The workspace root, as cargo says when the test runs: the program may have
/// been built in another checkout that shares the build folder.
///
/// # Panics
/// Never: this crate lies two folders below the root.
#[must_use]
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.ancestors()
        .nth(2)
        .expect("tests/tidy is two folders below the root")
        .to_path_buf()
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
    workspace_members: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

/// The resolved dependency graph: what production code needs, without
/// development and build dependencies.
pub struct Graph {
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, BTreeSet<String>>,
    members: BTreeMap<String, PathBuf>,
}

impl Graph {
    /// Asks cargo, offline.
    ///
    /// # Panics
    /// When cargo does not answer.
    #[must_use]
    pub fn load() -> Self {
        let output = Command::new(env!("CARGO"))
            .args([
                "metadata",
                "--format-version",
                "1",
                "--offline",
                "--locked",
                "--filter-platform",
                "x86_64-unknown-linux-gnu",
            ])
            .current_dir(root())
            .output()
            .expect("cargo runs");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: Metadata = serde_json::from_slice(&output.stdout).expect("cargo metadata");
        let names: BTreeMap<_, _> = metadata
            .packages
            .iter()
            .map(|package| (package.id.clone(), package.name.clone()))
            .collect();
        let members = metadata
            .packages
            .iter()
            .filter(|package| metadata.workspace_members.contains(&package.id))
            .map(|package| {
                let folder = package
                    .manifest_path
                    .parent()
                    .expect("a manifest lies in a folder");
                let relative = folder
                    .strip_prefix(root())
                    .expect("members lie in the workspace");
                (package.name.clone(), relative.to_path_buf())
            })
            .collect();
        let edges = metadata
            .resolve
            .nodes
            .into_iter()
            .map(|node| {
                let needs = node
                    .deps
                    .into_iter()
                    .filter(|dependency| {
                        dependency.dep_kinds.iter().any(|kind| kind.kind.is_none())
                    })
                    .map(|dependency| dependency.pkg)
                    .collect();
                (node.id, needs)
            })
            .collect();
        Self {
            names,
            edges,
            members,
        }
    }

    /// Workspace members by name, with their folder below the root.
    #[must_use]
    pub fn members(&self) -> &BTreeMap<String, PathBuf> {
        &self.members
    }

    /// Everything that `name` needs, directly or through others, by name.
    ///
    /// # Panics
    /// When there is no such package.
    #[must_use]
    pub fn closure(&self, name: &str) -> BTreeSet<&str> {
        let start = self
            .names
            .iter()
            .find(|(_, known)| *known == name)
            .expect("a known package")
            .0;
        let mut seen = BTreeSet::new();
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            for next in self.edges.get(id).into_iter().flatten() {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen.into_iter().map(|id| self.names[id].as_str()).collect()
    }
}

/// Every file that belongs to the project, by git's word: tracked, or new and
/// not ignored. Paths are below the root.
///
/// # Panics
/// When git does not answer.
#[must_use]
pub fn files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut files: Vec<PathBuf> = output
        .stdout
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(String::from_utf8_lossy(name).into_owned()))
        .filter(|path| root().join(path).is_file())
        .collect();
    files.sort();
    files.dedup();
    files
}

/// The text of a file below the root; `None` where it is no text.
#[must_use]
pub fn text(path: &Path) -> Option<String> {
    fs::read(root().join(path))
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
}

/// Rust sources whose path begins with one of `folders`, with their text.
#[must_use]
pub fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .filter(|path| folders.iter().any(|folder| path.starts_with(folder)))
        .filter_map(|path| text(&path).map(|text| (path, text)))
        .collect()
}

/// A source's lines without comments, and without what follows the first
/// `#[cfg(test)]`: what production code says.
pub fn production_lines(source: &str) -> impl Iterator<Item = (usize, &str)> {
    source
        .lines()
        .enumerate()
        .take_while(|(_, line)| !line.trim_start().starts_with("#[cfg(test)]"))
        .map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default()))
}
