//! Where commits are written: by a thread of their own, so that whoever gives the orders makes the next batch meanwhile; or at
//! once, where that costs less than to wake the thread. One order may wait while another is carried out, and after one that failed none is
//! carried out but a fence.

use super::batch::Records;
use super::writer::{Commit, LogEnd, Writer};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// What is to be done.
pub(super) enum Order<N> {
    /// Write this behind all before.
    Write(Commit<N>),
    /// Make all that was written durable.
    Settle,
    /// After a failure: write what is unsure, and this behind it, and make sure of all of it.
    Fence(Option<Commit<N>>),
}

/// How it went.
pub(super) struct Answer<N> {
    /// The news of what is durable now and was not before. After an error, in words, only [`Order::Fence`] leads on.
    pub(super) result: Result<Vec<N>, String>,
    /// Where the log ended with the last commit that is durable for certain.
    pub(super) sure: LogEnd,
    /// Whether everything that was written is durable.
    pub(super) is_settled: bool,
    /// Memory to make batches in.
    pub(super) spare: Option<Records>,
}

/// The way to the thread. Dropping it ends the thread once its order is done, and closes what it writes to.
pub(super) struct WriterThread<N> {
    /// Gone only while it is dropped.
    writer: Option<Arc<Mutex<Writer<N>>>>,
    orders: Option<Sender<Order<N>>>,
    answers: Receiver<Answer<N>>,
    thread: Option<JoinHandle<()>>,
    /// Orders without an answer.
    under_way: usize,
}

/// Orders that may be without an answer: one that is carried out, and one behind it.
const ORDERS: usize = 2;

/// What is told when the thread is gone.
const GONE: &str = "the thread that writes came to an unforeseen end";

impl<N: Send + 'static> WriterThread<N> {
    /// Starts it.
    ///
    /// # Errors
    /// The system has no thread for it.
    pub(super) fn start(writer: Writer<N>) -> std::io::Result<Self> {
        let writer = Arc::new(Mutex::new(writer));
        let its_writer = writer.clone();
        let (orders, incoming) = bounded::<Order<N>>(ORDERS);
        let (outgoing, answers) = bounded(ORDERS);
        let thread = std::thread::Builder::new().name("alembic-writer".into()).spawn(move || {
            // Whoever awaits an answer hears that none comes.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                incoming.iter().all(|order| outgoing.send(carry_out(order, &its_writer)).is_ok())
            }));
        })?;
        Ok(Self { writer: Some(writer), orders: Some(orders), answers, thread: Some(thread), under_way: 0 })
    }

    /// Whether an order is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.under_way > 0
    }

    /// Whether no other order may be given before an answer came.
    pub(super) fn is_full(&self) -> bool {
        self.under_way >= ORDERS
    }

    /// Carries an order out here and now. All before were answered.
    ///
    /// # Errors
    /// In words: there is no writer.
    pub(super) fn do_now(&mut self, order: Order<N>) -> Result<Answer<N>, String> {
        self.writer.as_deref().map(|writer| carry_out(order, writer)).ok_or_else(|| GONE.to_string())
    }

    /// Gives an order to the thread, which is not [full](Self::is_full).
    pub(super) fn order(&mut self, order: Order<N>) {
        // A thread that is gone is noticed where its answer is awaited.
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
        self.under_way += 1;
    }

    /// Where answers come, to wait for one among other things; [`Self::heard`] takes what came.
    pub(super) fn answers(&self) -> &Receiver<Answer<N>> {
        &self.answers
    }

    /// Takes in that an answer came, or that none ever will.
    ///
    /// # Errors
    /// In words: the thread is gone.
    pub(super) fn heard<E>(&mut self, answer: Result<Answer<N>, E>) -> Result<Answer<N>, String> {
        self.under_way = self.under_way.saturating_sub(1);
        answer.map_err(|_| GONE.to_string())
    }

    /// Waits for the answer to the order that is under way.
    ///
    /// # Errors
    /// As for [`Self::heard`].
    pub(super) fn answer(&mut self) -> Result<Answer<N>, String> {
        let answer = self.answers.recv();
        self.heard(answer)
    }
}

impl<N> Drop for WriterThread<N> {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if let Some(writer) = self.writer.take().and_then(Arc::into_inner) {
            writer.into_inner().unwrap_or_else(PoisonError::into_inner).close();
        }
    }
}

fn carry_out<N>(order: Order<N>, writer: &Mutex<Writer<N>>) -> Answer<N> {
    let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
    let result = match order {
        Order::Write(commit) => writer.write(commit),
        Order::Settle => writer.settle(),
        Order::Fence(commit) => {
            commit.into_iter().for_each(|commit| writer.add_unwritten(commit));
            writer.fence()
        }
    };
    let (sure, is_settled, spare) = (writer.sure(), writer.is_settled(), writer.take_spare());
    Answer { result, sure, is_settled, spare }
}
