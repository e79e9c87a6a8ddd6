//! A clock that jumps back.
