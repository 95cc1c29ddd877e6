//! Opaque records on media: volumes, segments, stripes, erasure coding, repair
