mod packets;
mod reorder;
