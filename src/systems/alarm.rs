//! The alarm: wakes a frame loop that sleeps when something is due.

use super::port::Waker;
use bevy::prelude::Resource;
use crossbeam_channel::{RecvTimeoutError, Sender, unbounded};
use std::time::Duration;

/// Rings once; each new time takes the place of the one before if it is sooner.
#[derive(Resource)]
pub(super) struct Alarm(Sender<Duration>);

impl Alarm {
    /// An alarm that wakes by this waker. Its thread ends with it.
    pub(super) fn new(waker: Waker) -> std::io::Result<Self> {
        let (sender, times) = unbounded::<Duration>();
        std::thread::Builder::new().name("alarm".into()).spawn(move || {
            let mut next = times.recv().ok();
            while let Some(wait) = next {
                next = match times.recv_timeout(wait) {
                    Ok(sooner) if sooner < wait => Some(sooner),
                    Ok(_) => Some(wait),
                    Err(RecvTimeoutError::Timeout) => {
                        waker.wake();
                        times.recv().ok()
                    }
                    Err(RecvTimeoutError::Disconnected) => None,
                };
            }
        })?;
        Ok(Self(sender))
    }

    /// Asks for a frame after so long.
    pub(super) fn ring_in(&self, wait: Duration) {
        // A thread that is gone wakes nobody; the world goes on with the next message.
        let _ = self.0.send(wait);
    }
}
