//! Awakening: from the files to a world that goes on. Makes a world where none is.

use super::alembic::{self, Alembic, Beginning};
use super::archive::Archive;
use super::archiving::COMPACT_FILE;
use super::batch::Batch;
use super::folder::{self, BuildingSite, Ground, WorldLock, unusable};
use super::ledger::{Ledger, Suspension};
use super::quarantine;
use super::record;
use super::replay::{self, Replay};
use super::room::RoomWatch;
use super::source::{ReadError, Source, read_meta};
use super::storage;
use super::store::{self, Press, Protocol, Store, StoreError};
use super::witness::Witness;
use super::writer::{LogEnd, Shelf};
use super::{Awakened, AwakeningReport, DamagedPart, NewWorld, OpenError, Progress, Snapshot, Ticker};
use crate::object::{Change, Envelope, Fault, FaultKind, Name, ObjectId, Outcome};
use crate::object::{Target, Value};
use heed::{MdbError, RoTxn};
use std::collections::VecDeque;
use std::path::Path;

/// Up to so many pending messages are delivered one by one; more go together the first time.
const ALONE_AT_FIRST: usize = 64;
/// A message is given up when it was alone so many times and never came to an outcome.
const TRIES: u32 = 2;

/// Wakes the world in a folder, or makes `new` there if the folder is absent or empty.
///
/// `now_ms` is the time in milliseconds since 1970 (UTC). `ticker` runs ticks again. `wake` is called on the journal thread whenever
/// [`Alembic::replies`] has something new. The world is locked until the Alembic is closed.
///
/// # Errors
/// [`OpenError`] says what, where, and what to do next. Nothing was changed then.
pub fn open(
    dir: &Path,
    new: Option<NewWorld>,
    now_ms: u64,
    ticker: &mut dyn Ticker,
    wake: impl Fn() + Send + Sync + 'static,
) -> Result<(Awakened, Alembic), OpenError> {
    open_watched(dir, new, now_ms, ticker, wake, &Progress::new())
}

/// [`open`], while `progress` tells how far it is.
///
/// # Errors
/// As for [`open`].
pub fn open_watched(
    dir: &Path,
    new: Option<NewWorld>,
    now_ms: u64,
    ticker: &mut dyn Ticker,
    wake: impl Fn() + Send + Sync + 'static,
    progress: &Progress,
) -> Result<(Awakened, Alembic), OpenError> {
    open_in(dir, new, now_ms, ticker, Box::new(wake), Manner::usual(progress))
}

/// How a world is opened.
pub(super) struct Manner<'a> {
    /// Address space at first.
    pub(super) map_bytes: usize,
    pub(super) protocol: Protocol,
    pub(super) progress: &'a Progress,
    /// What stands between the journal and the disk.
    pub(super) shelf: Box<dyn FnOnce(Press) -> Box<dyn Shelf> + 'a>,
}

impl<'a> Manner<'a> {
    /// As this system can.
    pub(super) fn usual(progress: &'a Progress) -> Self {
        let shelf = Box::new(|press| Box::new(press) as Box<dyn Shelf>);
        Self { map_bytes: store::MAP_BYTES, protocol: Protocol::USUAL, progress, shelf }
    }
}

/// [`open`] with an address space and a protocol of one's choice.
#[cfg(test)]
pub(super) fn open_with(
    dir: &Path,
    new: Option<NewWorld>,
    now_ms: u64,
    ticker: &mut dyn Ticker,
    wake: Box<dyn Fn() + Send + Sync>,
    map_bytes: usize,
    protocol: Protocol,
) -> Result<(Awakened, Alembic), OpenError> {
    open_in(dir, new, now_ms, ticker, wake, Manner { map_bytes, protocol, ..Manner::usual(&Progress::new()) })
}

/// [`open`] in another manner.
pub(super) fn open_in(
    dir: &Path,
    new: Option<NewWorld>,
    now_ms: u64,
    ticker: &mut dyn Ticker,
    wake: Box<dyn Fn() + Send + Sync>,
    Manner { map_bytes, protocol, progress, shelf }: Manner<'_>,
) -> Result<(Awakened, Alembic), OpenError> {
    let canonical = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    let dir = canonical.as_path();
    let mut created = false;
    let ground = folder::survey(dir)?;
    let storage = match ground {
        Ground::World => storage::survey(dir, false)?,
        Ground::Free if new.is_some() => storage::survey(dir, true)?,
        _ => None,
    };
    match (ground, new) {
        (Ground::World, _) => {}
        (Ground::Taken, _) => return Err(OpenError::NotAWorld(dir.to_path_buf())),
        (Ground::Free, None) => return Err(OpenError::Absent(dir.to_path_buf())),
        (Ground::Free, Some(new)) => {
            make(dir, new, now_ms, map_bytes)?;
            created = true;
        }
    }
    let lock = WorldLock::take(dir, now_ms)?;
    // A process that renamed the folder, or a file in it, and died then may not have come to this.
    folder::sync_names(dir).map_err(|error| unusable(dir, &error))?;
    let _ = std::fs::remove_file(dir.join(COMPACT_FILE));
    let store = Store::open(dir, map_bytes, protocol).map_err(|error| store_error(dir, error))?;
    let woken = wake_up(dir, &store, now_ms, created, ticker, progress);
    match woken.and_then(|waking| if progress.pass() { Ok(waking) } else { Err(ReadError::Stopped) }) {
        Ok(Waking { mut awakened, ledger, first, end, redeliver, snapshots, witness }) => {
            awakened.report.storage = storage;
            let shelf = shelf(Press::new(store, dir, map_bytes));
            let (witness, room, lock) = (Some(witness), Some(RoomWatch::new(dir)), Some(lock));
            let beginning = Beginning { shelf, ledger, redeliver, snapshots, first, end, witness, room, lock };
            let alembic = alembic::start(beginning, wake).map_err(|error| unusable(dir, &error))?;
            Ok((awakened, alembic))
        }
        Err(error) => {
            Store::close(store);
            Err(read_error(dir, error))
        }
    }
}

/// A world that is about to go on.
struct Waking {
    awakened: Awakened,
    ledger: Ledger,
    /// What awakening itself writes, before anything is delivered, and where the log ends without it.
    first: Batch,
    end: LogEnd,
    redeliver: VecDeque<(u64, bool)>,
    snapshots: Vec<(ObjectId, Option<Snapshot>)>,
    witness: Witness,
}

/// The log must hold what was seen of it.
pub(super) fn went_on(source: &Source<'_>, seen: LogEnd) -> Result<(), ReadError> {
    let last = source.dbs.heartwood.last(source.txn)?;
    let found = last.and_then(|(key, _)| key.try_into().ok().map(u64::from_be_bytes)).unwrap_or_default();
    let record = source.record(seen.position)?;
    // A damaged record says nothing: it is found elsewhere.
    let differs =
        |bytes: &[u8]| record::decode(bytes, Some(seen.position)).is_ok_and(|record| record.chain != seen.chain);
    if seen.position > found || record.as_deref().is_some_and(differs) {
        return Err(ReadError::WentBack { found, seen: seen.position });
    }
    Ok(())
}

fn wake_up(
    dir: &Path,
    store: &Store,
    now_ms: u64,
    created: bool,
    ticker: &mut dyn Ticker,
    progress: &Progress,
) -> Result<Waking, ReadError> {
    let txn = store.read()?;
    let meta = read_meta(&txn, &store.dbs)?;
    let (witness, seen) = Witness::open(dir, meta.wire.world_id).map_err(ReadError::Open)?;
    let archive = Archive::of_world(dir, &meta);
    let source = Source::new(&txn, &store.dbs, &archive, &meta, progress);
    if let Some(seen) = seen {
        went_on(&source, seen)?;
    }
    source.announce_awakening()?;
    let mut replay = Replay::awakening(&source, ticker)?;
    let end = replay.ledger.end();
    let mut batch = Batch::default();
    let damaged = ReadError::Damaged;
    replay.ledger.epoch(now_ms, meta.wire.clean, &mut batch).map_err(damaged)?;

    let tried = |sequence: &u64| replay.attempts.get(sequence).copied().unwrap_or_default();
    let given_up: Vec<u64> = replay.pending.keys().filter(|sequence| tried(sequence).alone >= TRIES).copied().collect();
    let ends = replay
        .lost
        .iter()
        .map(|sequence| (*sequence, lost_outcome()))
        .chain(given_up.iter().map(|sequence| (*sequence, given_up_outcome())));
    for (sequence, outcome) in ends.collect::<Vec<_>>() {
        replay.pending.remove(&sequence);
        replay.ledger.outcome(sequence, &outcome, &[], 0, &mut batch).map_err(damaged)?;
    }
    if replay.from_log_alone {
        rewrite_suspended(&txn, store, &replay, &mut batch)?;
    }
    let problems = replay.problems(&source, &batch)?;
    let past = replay.past_turns(&source)?;
    for wound in &replay.wounds {
        let part = match wound.damage.part {
            DamagedPart::Heartwood(_) => "heartwood",
            DamagedPart::Archive(..) => "archive",
            DamagedPart::Sapwood(_) => "sapwood",
            DamagedPart::Suspended => "suspended",
            DamagedPart::Meta => "meta",
        };
        batch.quarantine(part, &wound.key, &wound.damage.reason, &wound.raw, now_ms).map_err(damaged)?;
    }

    let quarantine = quarantine::entries(&txn, &store.dbs, &batch, &replay)?;

    let one_by_one = replay.pending.len() <= ALONE_AT_FIRST;
    let redeliver = replay.pending.keys().map(|sequence| (*sequence, one_by_one || tried_before(&replay, *sequence)));
    let redeliver: VecDeque<(u64, bool)> = redeliver.collect();
    let stale = replay::stale(&replay).into_iter();
    let snapshots = stale.map(|id| (id, Snapshot::of(&replay.image, id))).collect();
    let report = AwakeningReport {
        created,
        clean_exit: meta.wire.clean,
        storage: None,
        snapshots: replay.counts.snapshots,
        records: replay.counts.records,
        redelivered: redeliver.len() as u64,
        given_up,
        damages: replay.wounds.iter().map(|wound| wound.damage.clone()).collect(),
    };
    let ledger = replay.ledger;
    let awakened = Awakened {
        world_id: meta.wire.world_id,
        image: replay.image,
        problems,
        quarantine,
        past,
        pending: replay.pending.into_iter().collect(),
        next_sequence: ledger.next_sequence,
        durable: ledger.settled_through(),
        ticks: ledger.ticks,
        report,
    };
    Ok(Waking { awakened, ledger, first: batch, end, redeliver, snapshots, witness })
}

fn tried_before(replay: &Replay, sequence: u64) -> bool {
    replay.attempts.get(&sequence).is_some_and(|attempts| attempts.all > 0)
}

/// Puts the list of failed messages as the log tells it in place of the one that is stored.
fn rewrite_suspended(txn: &RoTxn, store: &Store, replay: &Replay, batch: &mut Batch) -> Result<(), ReadError> {
    for entry in store.dbs.suspended.iter(txn)? {
        batch.suspended.insert(entry?.0.to_vec(), None);
    }
    for (sequence, suspension) in &replay.ledger.suspended {
        batch.suspended.insert(sequence.to_be_bytes().to_vec(), Some(Suspension::to_bytes(*suspension)));
    }
    Ok(())
}

fn given_up_outcome() -> Outcome {
    let message = "this message ended the process twice while it was delivered, and was not tried a third time; \
                   look at the method it calls, then `retry` it or `dismiss` it";
    Outcome::Failed(Fault::new(FaultKind::Internal, message))
}

pub(super) fn lost_outcome() -> Outcome {
    let message = "the record of what this message did is damaged on the disk, and its changes are lost; \
                   `retry` it to do it again, or `dismiss` it";
    Outcome::Failed(Fault::new(FaultKind::Internal, message))
}

/// Makes a whole world beside its place and moves it there.
fn make(dir: &Path, new: NewWorld, now_ms: u64, map_bytes: usize) -> Result<(), OpenError> {
    let site = BuildingSite::beside(dir)?;
    let lock = WorldLock::take(site.path(), now_ms).map_err(|error| match error {
        // Nobody asked for the folder beside it.
        OpenError::Unusable { reason, .. } => unusable(dir, &reason),
        other => other,
    })?;
    let store = Store::open(site.path(), map_bytes, Protocol::Plain).map_err(|error| store_error(dir, error))?;
    let written =
        genesis(&new, now_ms).and_then(|(batch, meta)| store.write(&batch, &meta, false)).and_then(|_| store.sync());
    Store::close(store);
    drop(lock);
    written.map_err(|reason| unusable(dir, &reason))?;
    site.finish()
}

/// The first message of a world, and what came of it: every object of the first image.
fn genesis(new: &NewWorld, now_ms: u64) -> Result<(Batch, Vec<u8>), String> {
    const SEQUENCE: u64 = 1;
    let name = |text| Name::new(text).map_err(|error| error.to_string());
    let envelope = Envelope {
        message_id: Envelope::id_of(new.world_id, SEQUENCE),
        correlation_id: None,
        sender_id: Envelope::GENESIS.to_string(),
        target: Target::Name("proto".to_string()),
        selector: name("import")?,
        args: Vec::new(),
        issued_at: now_ms,
        retries: None,
    };
    let changes = new.objects.iter().map(|object| Change::Create(Box::new(object.clone()), None)).collect();
    let outcome = Outcome::Completed { result: Value::Nil, changes, logs: Vec::new() };
    let mut ledger = Ledger::new(new.world_id);
    let mut batch = Batch::default();
    ledger.envelope(SEQUENCE, &envelope, &mut batch)?;
    ledger.outcome(SEQUENCE, &outcome, &[], 0, &mut batch)?;
    let position = ledger.last;
    for object in &new.objects {
        ledger.snapshot(object.id, Some(&Snapshot::Object(object.clone())), position, &mut batch)?;
    }
    let meta = ledger.meta(true)?;
    Ok((batch, meta))
}

pub(super) fn store_error(dir: &Path, error: StoreError) -> OpenError {
    let path = dir.to_path_buf();
    match error {
        StoreError::Lmdb(heed::Error::EnvAlreadyOpened) => {
            OpenError::Locked { path, owner: "this very process".to_string() }
        }
        StoreError::Lmdb(heed::Error::Mdb(MdbError::VersionMismatch)) => {
            OpenError::Newer { path, needs: "another version of LMDB's files".to_string() }
        }
        StoreError::Lmdb(heed::Error::Mdb(
            MdbError::Corrupted | MdbError::PageNotFound | MdbError::Invalid | MdbError::Incompatible,
        ))
        | StoreError::Cut
        | StoreError::NoDatabase(_) => OpenError::Damaged { path, reason: error.to_string() },
        StoreError::Lmdb(_) | StoreError::Io(_) => unusable(dir, &error),
    }
}

pub(super) fn read_error(dir: &Path, error: ReadError) -> OpenError {
    let path = dir.to_path_buf();
    match error {
        ReadError::Store(error) => store_error(dir, error),
        ReadError::Newer(needs) => OpenError::Newer { path, needs },
        ReadError::Damaged(reason) => OpenError::Damaged { path, reason },
        ReadError::Open(error) => error,
        ReadError::Stopped => OpenError::Stopped(path),
        ReadError::WentBack { found, seen } => OpenError::WentBack { path, found, seen },
    }
}
