//! Records that are safe on disk in a second: all contenders in turns, batch size by batch size.

use crate::journal::{Journal, record};
use crate::lmdb::BareLmdb;
use crate::machine::processor_time;
use crate::others::{Fjall, Redb, Sqlite};
use crate::{grouped, median};
use std::path::Path;
use std::time::{Duration, Instant};

/// Records in a batch.
const BATCHES: [u64; 4] = [1, 16, 256, 4_096];
/// Records after which a slice ends before its time, so that a fast disk is not filled.
const MOST: u64 = 32_768;

/// A store that is given batches of the one record.
pub(crate) trait Contender {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// Hands over a batch, and returns when it is on disk. One that may have a batch in flight returns when the batch before is.
    fn write(&mut self, records: u64);

    /// Returns when all is on disk.
    fn finish(&mut self) {}

    /// What is to be done between slices, when no clock runs.
    fn settle(&mut self) {}

    /// The file that grows by the records alone, where there is one.
    fn data(&self) -> Option<&Path> {
        None
    }

    /// Commits so far, where that is not one for each batch.
    fn commits(&self) -> Option<u64> {
        None
    }
}

/// The contenders, in this order.
fn contenders(folder: &Path, record: &[u8]) -> Vec<Box<dyn Contender>> {
    vec![
        Box::new(BareLmdb::plain(&folder.join("plain"), record)),
        Box::new(BareLmdb::lagging(&folder.join("lagging"), record)),
        Box::new(Sqlite::open(&folder.join("sqlite"), record)),
        Box::new(Redb::open(&folder.join("redb"), record)),
        Box::new(Fjall::open(&folder.join("fjall"), record)),
        Box::new(Journal::one_in_flight(&folder.join("one"))),
        Box::new(Journal::two_in_flight(&folder.join("two"))),
        Box::new(Journal::three_in_flight(&folder.join("three"))),
    ]
}

/// The journal with one batch in flight among them, with two, and with three.
const OURS: [usize; 3] = [5, 6, 7];

/// What a contender did in its turn.
struct Slice {
    /// Records in a second.
    rate: f64,
    /// Nanoseconds of processor time for each record, of the whole process.
    processor: Option<f64>,
    /// Bytes by which its file grew, for each record.
    bytes: Option<f64>,
    /// Commits for each batch.
    commits: Option<f64>,
}

/// Prints the section.
pub(crate) fn print(folder: &Path, rounds: usize, time: Duration, only: &[u64]) {
    let record = record(&folder.join("record"));
    println!(
        "records of {} bytes, safe on disk: medians of {rounds} rounds, a slice of {} ms each (at most {} records)",
        record.len(),
        time.as_millis(),
        grouped(MOST as f64)
    );
    println!("CPU: processor time of the whole process for a record; bytes: what the file grew by for a record;");
    println!("commits: for a batch; 1:it, 2:it, 3:it: the journal with so many batches in flight, against the line");
    for batch in BATCHES.into_iter().filter(|batch| only.is_empty() || only.contains(batch)) {
        let home = folder.join(format!("batches-{batch}"));
        let mut contenders = contenders(&home, &record);
        let mut slices: Vec<Vec<Slice>> = contenders.iter().map(|_| Vec::new()).collect();
        // The first round warms up. Every other one goes backwards, so that nobody has always the same one before him.
        for round in 0..=rounds {
            let mut order: Vec<usize> = (0..contenders.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for at in order {
                let slice = measure(contenders[at].as_mut(), batch, time);
                if round > 0 {
                    slices[at].push(slice);
                }
            }
        }
        let names: Vec<&str> = contenders.iter().map(|contender| contender.name()).collect();
        print_batch(batch, &names, &slices);
        drop(contenders);
        // What can't be removed goes with the folder of the run.
        let _ = std::fs::remove_dir_all(&home);
    }
}

fn measure(contender: &mut dyn Contender, batch: u64, time: Duration) -> Slice {
    let length =
        |contender: &dyn Contender| contender.data().map(|data| std::fs::metadata(data).expect("a file").len() as f64);
    let (bytes, commits) = (length(contender), contender.commits());
    let processor = processor_time();
    let start = Instant::now();
    let mut records = 0;
    while records < MOST && (records == 0 || start.elapsed() < time) {
        contender.write(batch);
        records += batch;
    }
    contender.finish();
    let elapsed = start.elapsed();
    let processor = processor_time().zip(processor).map(|(after, before)| (after - before).as_nanos() as f64);
    let bytes = length(contender).zip(bytes).map(|(after, before)| after - before);
    let commits = contender.commits().zip(commits).map(|(after, before)| (after - before) as f64);
    contender.settle();
    let records = records as f64;
    Slice {
        rate: records / elapsed.as_secs_f64(),
        processor: processor.map(|nanos| nanos / records),
        bytes: bytes.map(|bytes| bytes / records),
        commits: commits.map(|commits| commits * batch as f64 / records),
    }
}

/// One line for each contender. The last columns tell how many times as many records the journal makes.
fn print_batch(batch: u64, names: &[&str], slices: &[Vec<Slice>]) {
    println!();
    println!(
        "{:<38}{:>11}{:>24}{:>10}{:>7}{:>9}{:>7}{:>7}{:>7}",
        format!("batches of {}", grouped(batch as f64)),
        "a second",
        "least – greatest",
        "CPU ns",
        "bytes",
        "commits",
        "1:it",
        "2:it",
        "3:it"
    );
    for (name, of_it) in names.iter().zip(slices) {
        let rates: Vec<f64> = of_it.iter().map(|slice| slice.rate).collect();
        let least = rates.iter().copied().fold(f64::MAX, f64::min);
        let greatest = rates.iter().copied().fold(0.0, f64::max);
        let of = |figure: fn(&Slice) -> Option<f64>| {
            let figures: Vec<f64> = of_it.iter().filter_map(figure).collect();
            (!figures.is_empty()).then(|| median(figures))
        };
        let whole = |figure: Option<f64>| figure.map_or_else(String::new, grouped);
        let against = |ours: usize| {
            let pairs = slices[ours].iter().zip(of_it);
            median(pairs.map(|(ours, it)| ours.rate / it.rate).collect())
        };
        let [one, two, three] = OURS.map(against);
        println!(
            "  {name:<36}{:>11}{:>24}{:>10}{:>7}{:>9}{one:>7.2}{two:>7.2}{three:>7.2}",
            grouped(median(rates)),
            format!("{} – {}", grouped(least), grouped(greatest)),
            whole(of(|slice| slice.processor)),
            whole(of(|slice| slice.bytes)),
            of(|slice| slice.commits).map_or_else(String::new, |commits| format!("{commits:.2}")),
        );
    }
}
