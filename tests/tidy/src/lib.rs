//! Holds the design's rules over the sources and the dependency graph.
