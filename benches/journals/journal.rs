//! The journal itself, through the door that the program uses: envelopes in, what is durable out.

use crate::lmdb;
use crate::speed::Contender;
use living_workbench::language::genesis_objects;
use living_workbench::object::{Argument, Envelope, Name, Outcome, Target, Value};
use living_workbench::persistence::{Alembic, NewWorld, Reply, open};
use living_workbench::systems::TickReplay;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// The world that all measured worlds are.
pub(crate) const WORLD: Uuid = Uuid::from_u128(1);
/// Bytes of a record in the log.
pub(crate) const RECORD: usize = 200;

/// A message whose record has [`RECORD`] bytes: a header of 48, and a body of 152. Of these 128 are the names of fields, the ids
/// and what else is always there, 6, 3 and 4 the texts below with the byte before each, 1 the absent parameter name, 5 the time, and 5
/// the argument.
fn envelope() -> Envelope {
    Envelope {
        message_id: Envelope::id_of(WORLD, 2),
        correlation_id: None,
        sender_id: "bench".into(),
        target: Target::Name("it".into()),
        selector: Name::new("say").expect("a name"),
        args: vec![Argument { name: None, value: Value::Text("text".into()).into() }],
        issued_at: 1 << 20,
        retries: None,
    }
}

/// The record of the message as the journal writes it, which the others are given to store.
pub(crate) fn record(folder: &Path) -> Vec<u8> {
    let mut journal = Journal::one_in_flight(folder);
    journal.write(1);
    let sequence = journal.next - 1;
    drop(journal);
    let mut found = Vec::new();
    lmdb::each(folder, "heartwood", |_, record| {
        // The kind of an envelope is 1; the sequence stands at 16. `docs/file-format.md`
        if record[3] == 1 && record[16..24] == sequence.to_le_bytes() {
            found = record.to_vec();
        }
        found.is_empty()
    });
    assert_eq!(found.len(), RECORD, "the message's record");
    found
}

/// Messages that are made beforehand.
const MADE: usize = 16_384;

/// A world with its journal thread.
pub(crate) struct Journal {
    name: &'static str,
    alembic: Alembic,
    /// Made beforehand, and handed over again and again: what making one costs is not the journal's.
    envelopes: Vec<Arc<Envelope>>,
    data: PathBuf,
    next: u64,
    /// Batches that are handed over and not durable yet, at most.
    in_flight: u64,
    /// The last message that is durable.
    named: u64,
    /// The last message that has an outcome.
    settled: u64,
    commits: u64,
}

impl Journal {
    /// A batch is handed over once all before are durable.
    pub(crate) fn one_in_flight(folder: &Path) -> Self {
        Self::open("the journal, one batch in flight", folder, 1)
    }

    /// A batch is handed over while the one before is on its way.
    pub(crate) fn two_in_flight(folder: &Path) -> Self {
        Self::open("the journal, two batches in flight", folder, 2)
    }

    /// One is written, the one before it waits for that, and the one behind it is there when it is done: as with bare LMDB that lags.
    pub(crate) fn three_in_flight(folder: &Path) -> Self {
        Self::open("the journal, three batches in flight", folder, 3)
    }

    fn open(name: &'static str, folder: &Path, in_flight: u64) -> Self {
        let new = NewWorld { world_id: WORLD, objects: genesis_objects().expect("the first image") };
        let (awakened, alembic) = open(folder, Some(new), 0, &mut TickReplay::new(), || {}).expect("a world");
        let next = awakened.next_sequence;
        let data = folder.join("data.mdb");
        Self {
            name,
            alembic,
            envelopes: std::iter::repeat_with(|| Arc::new(envelope())).take(MADE).collect(),
            data,
            next,
            in_flight,
            named: next - 1,
            settled: next - 1,
            commits: 0,
        }
    }

    fn wait_for_envelope(&mut self, sequence: u64) {
        while self.named < sequence {
            let (envelopes, _) = answer(&self.alembic);
            // They come in order.
            self.named = envelopes.last().copied().unwrap_or(self.named);
            self.commits += 1;
        }
    }
}

/// The next messages that are durable, and the next whose outcomes are.
pub(crate) fn answer(alembic: &Alembic) -> (Vec<u64>, Vec<u64>) {
    match alembic.replies().recv().expect("an answer") {
        Reply::Durable { envelopes, outcomes, .. } => (envelopes, outcomes),
        Reply::Room(_) | Reply::LetGo(_) => (Vec::new(), Vec::new()),
        Reply::ReadOnly(reason) | Reply::Writable(reason) => panic!("{reason}"),
    }
}

/// An outcome that changes nothing.
fn nothing_done() -> Outcome {
    Outcome::Completed { result: Value::Nil, changes: Vec::new(), logs: Vec::new() }
}

impl Contender for Journal {
    fn name(&self) -> &'static str {
        self.name
    }

    fn write(&mut self, records: u64) {
        let made = self.envelopes.iter().cycle().skip(self.next as usize % MADE);
        let envelopes = (self.next..self.next + records).zip(made.cloned());
        self.alembic.append_envelopes(envelopes.collect()).expect("room");
        self.next += records;
        self.wait_for_envelope((self.next - 1).saturating_sub((self.in_flight - 1) * records));
    }

    fn finish(&mut self) {
        self.wait_for_envelope(self.next - 1);
    }

    /// Gives each message its outcome: the journal keeps count of those that have none, and never has many of them in a
    /// world that works.
    fn settle(&mut self) {
        let outcome = Arc::new(nothing_done());
        let last = self.next - 1;
        for sequence in self.settled + 1..=last {
            self.alembic.append_outcome(sequence, outcome.clone(), Vec::new(), Vec::new());
        }
        while self.settled < last {
            let (_, outcomes) = answer(&self.alembic);
            self.settled = outcomes.last().copied().unwrap_or(self.settled);
        }
    }

    fn data(&self) -> Option<&Path> {
        Some(&self.data)
    }

    fn commits(&self) -> Option<u64> {
        Some(self.commits)
    }
}
