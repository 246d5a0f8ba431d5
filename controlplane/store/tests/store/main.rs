//! The store through its front door, on real files.

mod admins;
mod dialogs;
mod kill;
mod model;
mod opening;
#[cfg(feature = "postgres")]
mod postgres;
mod spaces;
mod web_bridge;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use plenum_store::Store;

/// A directory that goes away with its test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("plenum-store-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    fn database(&self) -> String {
        self.file("plenum.db")
    }

    async fn open(&self) -> Store {
        Store::open(&self.database()).await.unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
