//! How many messages a second become durable one by one, against bare LMDB in the same run.

use crate::{ROUNDS, envelope, median, name};
use heed::CommitOrAbort;
use heed::types::Bytes;
use living_workbench::language::genesis_objects;
use living_workbench::object::{Argument, Value};
use living_workbench::persistence::{NewWorld, Reply, open};
use living_workbench::systems::TickReplay;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// Messages in one round.
const MESSAGES: u64 = 100;

/// Prints the section.
pub(crate) fn print(folder: &Path) {
    let (bare, journal) = (bare_lmdb(&folder.join("bare")), journal(&folder.join("journal")));
    println!("durable one by one, in {}:", folder.display());
    println!("  bare LMDB, one put and one sync    {bare:>8.0} a second");
    println!("  a message, envelope durable        {journal:>8.0} a second   {:.2} of bare", journal / bare);
}

/// One small record, one transaction, one sync each.
fn bare_lmdb(dir: &Path) -> f64 {
    std::fs::create_dir_all(dir).expect("a folder");
    // SAFETY: nobody else has this new folder open.
    let env = unsafe { heed::EnvOpenOptions::new().map_size(64 << 20).max_dbs(1).open(dir) }.expect("an environment");
    let txn = env.write_txn().expect("a transaction");
    let made = env.create_databases_and_commit(txn, |opener, txn| {
        let db = opener.create_database::<Bytes, Bytes>(txn, Some("log"))?;
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(db))
    });
    let db = made.expect("a database").commit().expect("a database");
    let record = [7_u8; 256];
    let mut next = 0_u64;
    let round = |_| {
        let start = Instant::now();
        for _ in 0..MESSAGES {
            next += 1;
            let mut txn = env.write_txn().expect("a transaction");
            db.put(&mut txn, &next.to_be_bytes(), &record).expect("a put");
            txn.commit().expect("a commit");
        }
        start.elapsed()
    };
    MESSAGES as f64 / median((0..ROUNDS).map(round).collect()).as_secs_f64()
}

/// One message after the other, each waited for.
fn journal(dir: &Path) -> f64 {
    let new = NewWorld { world_id: Uuid::from_u128(1), objects: genesis_objects().expect("the first image") };
    let (awakened, alembic) = open(dir, Some(new), 0, &mut TickReplay::new(), || {}).expect("a world");
    let mut next = awakened.next_sequence;
    let argument = Argument { name: Some(name("x")), value: Value::Number(5.0).into() };
    let envelope = Arc::new(envelope("set", vec![argument]));
    let round = |_| {
        let start = Instant::now();
        for _ in 0..MESSAGES {
            alembic.append_envelope(next, envelope.clone()).expect("room");
            while !matches!(alembic.replies().recv(), Ok(Reply::Durable { envelopes, .. }) if envelopes.contains(&next))
            {
            }
            next += 1;
        }
        start.elapsed()
    };
    let rate = MESSAGES as f64 / median((0..ROUNDS).map(round).collect()).as_secs_f64();
    alembic.close();
    rate
}
