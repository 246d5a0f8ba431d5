//! The audio of one conference: who is heard, by whom, encoded once.
