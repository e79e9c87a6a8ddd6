//! The alarm: wakes a frame loop that sleeps when something is due.

use super::port::Waker;
use bevy::prelude::Resource;
use crossbeam_channel::{RecvTimeoutError, Sender, unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Rings once; each new time takes the place of the one before if it is sooner. Beside it a second one, for a disk that does not
/// answer: it is silent if the disk did.
#[derive(Resource)]
pub(super) struct Alarm {
    times: Sender<(Bell, Duration)>,
    disk_owes: Arc<AtomicBool>,
}

#[derive(Clone, Copy)]
enum Bell {
    Due,
    Disk,
}

impl Alarm {
    /// An alarm that wakes by this waker. Its thread ends with it.
    pub(super) fn new(waker: Waker) -> std::io::Result<Self> {
        let (times, asked) = unbounded::<(Bell, Duration)>();
        let disk_owes = Arc::new(AtomicBool::new(false));
        let owes = disk_owes.clone();
        std::thread::Builder::new().name("alarm".into()).spawn(move || {
            let mut set: [Option<Instant>; 2] = [None, None];
            loop {
                let next = set.into_iter().flatten().min();
                let asked = match next {
                    Some(time) => asked.recv_deadline(time),
                    None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
                };
                match asked {
                    Ok((bell, wait)) => {
                        // A time beyond all times never comes.
                        if let Some(time) = now().checked_add(wait) {
                            let place = &mut set[bell as usize];
                            *place = Some(place.map_or(time, |set| set.min(time)));
                        }
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        let [due, disk] = &mut set;
                        let rings = |time: &mut Option<Instant>| time.take_if(|time| Some(*time) == next).is_some();
                        let (is_due, disk_is) = (rings(due), rings(disk));
                        if is_due || disk_is && owes.load(Ordering::Relaxed) {
                            waker.wake();
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        Ok(Self { times, disk_owes })
    }

    /// Asks for a frame after so long.
    pub(super) fn ring_in(&self, wait: Duration) {
        // A thread that is gone wakes nobody; the world goes on with the next message.
        let _ = self.times.send((Bell::Due, wait));
    }

    /// Asks for a frame after so long if the disk still owes an answer then.
    pub(super) fn watch_disk(&self, wait: Duration) {
        self.disk_owes.store(true, Ordering::Relaxed);
        let _ = self.times.send((Bell::Disk, wait));
    }

    /// The disk owes nothing.
    pub(super) fn disk_answered(&self) {
        self.disk_owes.store(false, Ordering::Relaxed);
    }
}

#[allow(clippy::disallowed_methods)] // how long a wait still lasts is what is measured
fn now() -> Instant {
    Instant::now()
}
