mod layers;
mod packets;
mod reorder;
