//! Turns the folder of the built web app into a table of embedded files.
//!
//! It never runs the web app's own build: `make` does that beforehand and names
//! the folder in `PLENUM_WEBAPP_DIST`. Without it the table is empty, and the
//! crate serves a page that says so.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::Hasher as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PLENUM_WEBAPP_DIST");
    let mut table = String::from("&[\n");
    if let Some(dist) = env::var_os("PLENUM_WEBAPP_DIST").map(PathBuf::from) {
        println!("cargo::rerun-if-changed={}", dist.display());
        assert!(
            dist.join("index.html").is_file(),
            "PLENUM_WEBAPP_DIST={} holds no built web app; scripts/webapp.sh builds it",
            dist.display()
        );
        let mut files = Vec::new();
        collect(&dist, &mut files);
        // Sorted by the name that is asked for: the table is searched by halves.
        let mut named: Vec<(String, PathBuf)> = files
            .into_iter()
            .map(|file| (name_below(&dist, &file), file))
            .collect();
        named.sort();
        for (name, file) in &named {
            writeln!(table, "    {},", entry(name, file)).expect("a string grows");
        }
    }
    table.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("table.rs"), table).expect("the output folder is ours");
}

/// Every file below `folder` that is asked for by its own name: a compressed
/// copy belongs to the file it is a copy of.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(folder).expect("the folder of the built web app can be read");
    for entry in entries {
        let path = entry.expect("its entries too").path();
        if path.is_dir() {
            collect(&path, files);
        } else if !is_copy(&path) {
            files.push(path);
        }
    }
}

fn is_copy(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "br" || extension == "gz")
}

/// `assets/app.js` for `<dist>/assets/app.js`.
fn name_below(dist: &Path, file: &Path) -> String {
    let relative = file.strip_prefix(dist).expect("found below it");
    let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

/// One row of the table, as source text.
fn entry(name: &str, file: &Path) -> String {
    let bytes = fs::read(file).expect("a built file can be read");
    let mut hasher = DefaultHasher::new();
    hasher.write(&bytes);
    let copy = |suffix: &str| {
        let mut path = file.as_os_str().to_owned();
        path.push(suffix);
        let path = PathBuf::from(path);
        if path.is_file() {
            format!("Some(include_bytes!({:?}))", path.display().to_string())
        } else {
            "None".to_owned()
        }
    };
    format!(
        "({name:?}, Asset {{ bytes: include_bytes!({:?}), brotli: {}, gzip: {}, content_type: {:?}, \
         immutable: {}, etag: {:?} }})",
        file.display().to_string(),
        copy(".br"),
        copy(".gz"),
        content_type(name),
        // The build puts a hash of the content into every name below this folder.
        name.starts_with("assets/"),
        format!("\"{:016x}\"", hasher.finish()),
    )
}

/// Fails on a kind of file nobody has thought about, rather than guess.
fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "wav" => "audio/wav",
        "wasm" => "application/wasm",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        "tflite" | "binarypb" | "data" => "application/octet-stream",
        _ => panic!("{name}: its content type is not in build.rs"),
    }
}
