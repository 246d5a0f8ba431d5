//! Ids and objects of the control plane: pure.
