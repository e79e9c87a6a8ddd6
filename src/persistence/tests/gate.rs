//! A disk that stands still while its gate is shut: a world like any other stands behind it.

use super::super::awakening::{Manner, open_in};
use super::super::store::Press;
use super::super::writer::{LogEnd, Shelf};
use super::super::{Alembic, Awakened, NewWorld, Progress, Ticker};
use super::Batch;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

#[derive(Default)]
struct State {
    is_shut: bool,
    /// Whether the journal stands before it.
    is_waited_at: bool,
    /// How often it was passed.
    passed: u64,
}

/// The gate.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

impl Gate {
    /// The disk stands still from its next call on.
    pub(crate) fn shut(&self) {
        self.0.0.lock().unwrap().is_shut = true;
    }

    /// It goes on.
    pub(crate) fn open(&self) {
        self.0.0.lock().unwrap().is_shut = false;
        self.0.1.notify_all();
    }

    /// Whether the journal waits for the disk, and how often it did not have to any more.
    pub(crate) fn seen(&self) -> (bool, u64) {
        let state = self.0.0.lock().unwrap();
        (state.is_waited_at, state.passed)
    }

    fn pass(&self) {
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        state.is_waited_at = state.is_shut;
        let mut state = changed.wait_while(state, |state| state.is_shut).unwrap();
        state.is_waited_at = false;
        state.passed += 1;
    }
}

struct Gated(Press, Gate);

impl Shelf for Gated {
    fn write(&mut self, batch: &Batch, meta: &[u8], may_lag: bool) -> Result<bool, String> {
        self.1.pass();
        self.0.write(batch, meta, may_lag)
    }

    fn sync(&mut self) -> Result<(), String> {
        self.1.pass();
        self.0.sync()
    }

    fn reopen(&mut self) -> Result<LogEnd, String> {
        self.0.reopen()
    }

    fn close(self: Box<Self>) {
        Box::new(self.0).close();
    }
}

/// A world behind a gate, which is open.
pub(crate) fn open_behind_gate(
    dir: &Path,
    new: NewWorld,
    ticker: &mut dyn Ticker,
    wake: impl Fn() + Send + Sync + 'static,
) -> (Awakened, Alembic, Gate) {
    let gate = Gate::default();
    let shelf = Box::new(|press| Box::new(Gated(press, gate.clone())) as Box<dyn Shelf>);
    let progress = Progress::new();
    let manner = Manner { shelf, ..Manner::usual(&progress) };
    let (awakened, alembic) = open_in(dir, Some(new), 5, ticker, Box::new(wake), manner).unwrap();
    (awakened, alembic, gate)
}
