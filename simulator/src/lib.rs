//! Fifty years of media that lie, under the real engine.
