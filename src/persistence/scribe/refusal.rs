//! A disk that refuses: the Fence is tried again and again, and nothing else is written before it holds.

use super::super::alembic::Reply;
use super::super::room::RoomWatch;
use super::super::writer_thread::Order;
use super::Scribe;
use crossbeam_channel::{after, select};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long it takes until a disk that refused something is tried again, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

impl Scribe {
    /// Waits until the disk takes what it owes, and tells so; what comes in meanwhile is kept.
    ///
    /// # Errors
    /// The world was closed before that.
    pub(super) fn wait_for_the_disk(&mut self, mut reason: String) -> Result<(), String> {
        // What was ordered before that was heard of is not written, and waits.
        while self.writer.is_busy() {
            self.writer.answer()?;
        }
        self.ledger.epoch_again(&mut self.batch)?;
        let mut behind = Some(self.commit(false)?);
        let mut pause = FIRST_PAUSE;
        let news = loop {
            let answer = self.writer.do_now(Order::Fence(behind.take()))?;
            self.sure = answer.sure;
            self.is_settled = answer.is_settled;
            match answer.result {
                Ok(news) => break news,
                Err(again) => reason = again,
            }
            if !self.admission.stopped.swap(true, Ordering::Relaxed) {
                self.reply(Reply::ReadOnly(reason.clone()));
            }
            // What was handed over comes to the disk in the room of the reserve, and so does the end.
            if !self.gather_for(pause) && !self.room.as_mut().is_some_and(RoomWatch::give_reserve_up) {
                return Err(reason);
            }
            self.look_at_room();
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        self.fenced = true;
        self.admission.stopped.store(false, Ordering::Relaxed);
        self.reply(Reply::Writable(reason));
        news.into_iter().for_each(|news| self.tell(news));
        Ok(())
    }

    /// Keeps what comes in for later. Answers whether the world is still open then.
    fn gather_for(&mut self, time: Duration) -> bool {
        let timer = after(time);
        loop {
            select! {
                recv(self.incoming) -> request => match request {
                    Ok(request) => self.backlog.push_back(request),
                    Err(_) => return false,
                },
                recv(timer) -> _ => return true,
            }
        }
    }
}
