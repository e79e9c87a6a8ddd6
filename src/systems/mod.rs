//! The frame: intake, journal, deliver, settle, step, reflect, in the order of `schedule.rs`.

mod port;

pub use port::{Busy, Port, Received, Switchboard, Waker};
