//! Ticks: the fixed steps in which a world's objects move by themselves.

/// Ticks in a second.
pub const TICKS_A_SECOND: u32 = 60;

/// A tick, with its place in a run of ticks without a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// Among all ticks of the world; counts from 1.
    pub number: u64,
    /// When the run began: milliseconds since 1970 (UTC).
    pub started_at: u64,
    /// Its place in the run, from 0.
    pub index: u64,
}

impl Tick {
    /// The time that objects are told in it: milliseconds since 1970 (UTC).
    pub fn now_ms(self) -> u64 {
        self.started_at.saturating_add(self.index.saturating_mul(1_000) / u64::from(TICKS_A_SECOND))
    }

    /// The tick that comes so much later in the same run.
    pub fn later(self, by: u64) -> Self {
        Self { number: self.number.saturating_add(by), index: self.index.saturating_add(by), ..self }
    }
}
