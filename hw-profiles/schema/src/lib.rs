//! Hardware profiles: what a platform has and what each core is for.
