//! The dataplane process: profile, pin, map, adopt, run.
