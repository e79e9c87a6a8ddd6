//! How a world is read is no part of what is read: threads, chunks and their borders, and how much of it is archived.

use super::*;
use crate::persistence::archive::Archive;
use crate::persistence::archiving::archive_in;
use crate::persistence::record::{self, Kind};
use crate::persistence::replay::Replay;
use crate::persistence::sharing::Sharing;
use crate::persistence::source::{ReadError, Source, read_meta};
use crate::persistence::wire_message::WireMeta;
use crate::persistence::wire_object::{from_bytes, to_bytes};
use std::collections::btree_map::Entry;

/// A tick sets a slot of one object to its number.
pub(super) struct Counting;

fn after_tick(number: u64) -> Change {
    set_x(ObjectId::proto(), number as f64)
}

impl Ticker for Counting {
    fn begin(&mut self, _: Uuid) {}
    fn touched(&mut self, _: ObjectId) {}
    fn tick(&mut self, _: &Image, tick: Tick) -> Vec<Change> {
        vec![after_tick(tick.number)]
    }
}

/// What happens in a world that is read.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A message with so many bytes sets a slot of an object, or makes that first.
    Set {
        object: u8,
        bytes: usize,
    },
    Fails,
    /// It has no outcome, and was tried so often.
    Stays {
        attempts: u8,
    },
    Ticks(u64),
}

/// Where a stored record is changed.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Body,
    Chain,
    Cut,
    Kind,
    Missing,
}

pub(super) fn events() -> impl Strategy<Value = Vec<Event>> {
    let bytes = prop_oneof![0_usize..40, 200_usize..4_000];
    let event = prop_oneof![
        8 => (0_u8..6, bytes).prop_map(|(object, bytes)| Event::Set { object, bytes }),
        1 => Just(Event::Fails),
        1 => (0_u8..3).prop_map(|attempts| Event::Stays { attempts }),
        1 => (1_u64..5).prop_map(Event::Ticks),
    ];
    prop::collection::vec(event, 1..40)
}

fn wrongs() -> impl Strategy<Value = Vec<(prop::sample::Index, Wrong)>> {
    let wrong = prop_oneof![
        4 => Just(Wrong::Body),
        4 => Just(Wrong::Chain),
        2 => Just(Wrong::Cut),
        1 => Just(Wrong::Kind),
        1 => Just(Wrong::Missing),
    ];
    prop_oneof![Just(vec![]), prop::collection::vec((any::<prop::sample::Index>(), wrong), 1..4)]
}

/// A world as its writer knows it, before it comes to the disk.
pub(super) struct Written {
    pub(super) ledger: Ledger,
    batch: Batch,
    pub(super) image: Image,
    ticks: u64,
}

impl Written {
    pub(super) fn new() -> Self {
        Self { ledger: Ledger::new(WORLD), batch: Batch::default(), image: Image::default(), ticks: 0 }
    }

    pub(super) fn happen(&mut self, event: &Event) {
        let Self { ledger, batch, image, ticks } = self;
        if let Event::Ticks(count) = *event {
            let first = Tick { number: *ticks + 1, started_at: 5, index: 0 };
            ledger.step(first, count, batch).unwrap();
            (*ticks + 1..=*ticks + count).for_each(|number| image.apply(&after_tick(number)));
            *ticks += count;
            return;
        }
        let sequence = ledger.next_sequence;
        let mut message = envelope(sequence);
        if let Event::Set { bytes, .. } = event {
            message.args[0].value = Value::Text("x".repeat(*bytes)).into();
        }
        ledger.envelope(sequence, &message, batch).unwrap();
        match event {
            Event::Set { object, .. } => {
                let id = if *object == 0 { ObjectId::proto() } else { ObjectId::genesis(&format!("object{object}")) };
                let mut object = Object::new(id);
                object.slots.push(name("x"), Slot::value(Value::Number(0.0)));
                let made = image.object(id).is_none().then(|| Change::Create(Box::new(object), None));
                let changes: Vec<Change> = made.into_iter().chain([set_x(id, sequence as f64)]).collect();
                changes.iter().for_each(|change| image.apply(change));
                ledger.outcome(sequence, &done(changes), &[], 0, batch).unwrap();
            }
            Event::Fails => ledger.outcome(sequence, &failed(), &[], 0, batch).unwrap(),
            Event::Stays { attempts } => {
                (0..*attempts).for_each(|_| ledger.attempt(sequence, true, batch).unwrap());
            }
            Event::Ticks(_) => unreachable!(),
        }
    }

    /// Snapshots of every object, and that this is all of them.
    pub(super) fn snapshot(&mut self) {
        let position = self.ledger.last;
        for id in self.image.ids() {
            self.ledger.snapshot(id, Snapshot::of(&self.image, id).as_ref(), position, &mut self.batch).unwrap();
        }
        self.ledger.note_snapshot_set(position);
    }

    pub(super) fn records(&self) -> Vec<(u64, Vec<u8>)> {
        self.batch.heartwood.iter().map(|(position, bytes)| (position, bytes.to_vec())).collect()
    }

    /// Stores the world with these records in its log, which may lack some.
    pub(super) fn store(&mut self, dir: &Path, records: &[(u64, Vec<u8>)]) {
        let store = Store::open(dir, SMALL_MAP, Protocol::Plain).unwrap();
        let meta = self.ledger.meta(true).unwrap();
        self.batch.heartwood.clear();
        store.write(&self.batch, &meta, false).unwrap();
        for run in records.chunk_by(|(before, _), (after, _)| before + 1 == *after) {
            let mut batch = Batch::default();
            for (position, record) in run {
                batch.heartwood.push_bytes(*position, record);
            }
            store.write(&batch, &meta, false).unwrap();
        }
        store.close();
    }
}

/// Both ways to read a world.
fn read(dir: &Path, sharing: Sharing) -> [Result<Replay, ReadError>; 2] {
    let store = Store::open_for_reading(dir).unwrap();
    let txn = store.read().unwrap();
    let meta = read_meta(&txn, &store.dbs).unwrap();
    let (archive, progress) = (Archive::of_world(dir, &meta), Progress::new());
    let source = Source { sharing, ..Source::new(&txn, &store.dbs, &archive, &meta, &progress) };
    source.announce_awakening().unwrap();
    source.announce_whole_log();
    let read = [Replay::awakening(&source, &mut Counting), Replay::whole_log(&source, &mut Counting)];
    if read.iter().all(Result::is_ok) {
        let ((records, of), (ticks, of_ticks)) = (progress.steps(), progress.ticks());
        assert_eq!(records, of, "all that was announced was read");
        let is_whole = read.iter().flatten().all(|replay| replay.wounds.is_empty());
        assert!(ticks == of_ticks || !is_whole, "{ticks} of {of_ticks} ticks");
    }
    drop(txn);
    store.close();
    read
}

fn cases() -> u32 {
    std::env::var("WORKBENCH_READINGS").ok().and_then(|text| text.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn threads_chunks_and_the_archive_change_nothing_of_what_is_read(
        before in events(),
        after in events(),
        wrongs in wrongs(),
        wrong_snapshot in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        segment in 1_u64..30,
    ) {
        let parent = tempfile::tempdir().unwrap();
        let mut written = Written::new();
        before.iter().for_each(|event| written.happen(event));
        written.snapshot();
        after.iter().for_each(|event| written.happen(event));
        let mut hurt = BTreeMap::new();
        let mut records = written.records();
        for (index, wrong) in &wrongs {
            let at = index.index(records.len());
            let (position, bytes) = &mut records[at];
            if let Entry::Vacant(place) = hurt.entry(*position) {
                place.insert(*wrong);
                match wrong {
                    Wrong::Body => *bytes.last_mut().unwrap() ^= 1,
                    Wrong::Chain => bytes[33] ^= 1,
                    Wrong::Cut => bytes.truncate(bytes.len() - 1),
                    Wrong::Kind => {
                        // Whole, and of a kind that only a later program knows.
                        let (sequence, body) = (2, bytes[record::HEADER..].to_vec());
                        let chain = record::glance(bytes).unwrap().2;
                        *bytes = encoded(Kind::Horizon, *position, sequence, &body, chain);
                    }
                    Wrong::Missing => {}
                }
            }
        }
        records.retain(|(position, _)| !matches!(hurt.get(position), Some(Wrong::Missing)));
        let snapshots = written.batch.sapwood.len();
        if let Some(index) = wrong_snapshot.filter(|_| snapshots > 0) {
            let value = written.batch.sapwood.values_mut().nth(index.index(snapshots)).unwrap();
            *value.as_mut().unwrap().last_mut().unwrap() ^= 1;
        }
        written.store(parent.path(), &records);

        let alone = Sharing { workers: 0, chunk_bytes: 1, ahead_bytes: 1 };
        let expected = read(parent.path(), alone);
        let may_end = hurt.values().any(|wrong| matches!(wrong, Wrong::Missing | Wrong::Kind));
        for replay in &expected {
            let Ok(replay) = replay else {
                prop_assert!(may_end, "{:?}", replay);
                continue;
            };
            let wounds = replay.wounds.iter().filter_map(|wound| match wound.damage.part {
                DamagedPart::Heartwood(position) => Some(position),
                _ => None,
            });
            let wounds: Vec<u64> = wounds.collect();
            // Where nothing tells the right value before a wrong chain value, it is believed, and the next one suspected.
            let believed = |(at, wrong): (&u64, &Wrong)| {
                matches!(wrong, Wrong::Chain) && (!replay.from_log_alone || hurt.contains_key(&(at - 1)))
            };
            if !hurt.iter().any(believed) {
                let read = hurt.keys().copied().filter(|at| replay.from_log_alone || wounds.contains(at));
                prop_assert_eq!(&wounds, &read.collect::<Vec<_>>());
            }
            if hurt.is_empty() {
                prop_assert_eq!(&replay.image, &written.image);
                prop_assert_eq!(replay.ledger.ticks, written.ticks);
            }
        }
        for (workers, chunk_bytes, ahead_bytes) in [(1, 1, 1), (1, 1, 3_000), (3, 500, 4_000), (2, 3_000, 1 << 20), (3, 1, 1 << 20)] {
            let sharing = Sharing { workers, chunk_bytes, ahead_bytes };
            for (read, expected) in read(parent.path(), sharing).iter().zip(&expected) {
                prop_assert!(same(read, expected), "{:?}\n{:?}\n{:?}", sharing, read, expected);
            }
        }
        prop_assert!(read(parent.path(), Sharing::usual()).iter().zip(&expected).all(|(read, of)| same(read, of)));

        let log = |dir: &Path| Reader::open(dir).unwrap().log(1).map(|entry| entry.unwrap()).collect::<Vec<_>>();
        let (meta_is_right, written) = (written.ledger.last, log(parent.path()));
        let archived = archive_in(parent.path(), None, 7, &Progress::new(), segment);
        if hurt.values().any(|wrong| matches!(wrong, Wrong::Missing)) {
            return Ok(());
        }
        let archived = archived.unwrap();
        prop_assert_eq!(archived.not_compacted, None);
        prop_assert_eq!(archived.kept + archived.records.map_or(0, |(_, last)| last), meta_is_right);
        for (read, expected) in read(parent.path(), Sharing::usual()).into_iter().zip(&expected) {
            let read = read.map(|mut replay| {
                replay.ledger.horizon = LogEnd::default();
                replay
            });
            prop_assert!(same(&read, expected), "{:?}\n{:?}", read, expected);
        }
        prop_assert_eq!(log(parent.path()), written);
    }
}

#[test]
fn a_wrong_count_of_ticks_is_found() {
    let parent = tempfile::tempdir().unwrap();
    let mut written = Written::new();
    [Event::Set { object: 0, bytes: 1 }, Event::Ticks(7)].iter().for_each(|event| written.happen(event));
    written.snapshot();
    let records = written.records();
    written.store(parent.path(), &records);
    let damages = || Reader::open(parent.path()).unwrap().verify(&mut Counting).unwrap().damages;
    assert_eq!(damages(), []);
    tamper(parent.path(), |_, _, meta| {
        let meta = record::decode(&meta, None).unwrap();
        let mut wire: WireMeta = from_bytes(meta.body).unwrap();
        assert_eq!(std::mem::replace(&mut wire.ticks, 8), 7);
        encoded(Kind::Meta, meta.position, 0, &to_bytes(&wire).unwrap(), meta.chain)
    });
    let damages = damages();
    assert_eq!(damages.iter().map(|damage| damage.part).collect::<Vec<_>>(), [DamagedPart::Meta], "{damages:?}");
    assert!(damages[0].reason.contains("7 ticks"), "{damages:?}");
}
