//! Refuses to build where OpenH264 would silently be built without its
//! assembler, at half its speed.

use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=OPENH264_NO_ASM");
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    if arch != "x86_64" {
        return;
    }
    let nasm = Command::new("nasm")
        .arg("-v")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let found = nasm.is_ok_and(|status| status.success());
    assert!(
        found && std::env::var_os("OPENH264_NO_ASM").is_none(),
        "nasm is needed to build OpenH264 at full speed: install it (Debian: apt-get install \
         nasm), then `cargo clean -p openh264-sys2` if that was built without it"
    );
}
