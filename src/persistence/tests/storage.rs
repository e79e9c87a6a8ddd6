//! What lies under a world, for real: disks that are full, that can only be read, that a program shows.

#[cfg(target_os = "linux")]
use super::tmpfs;
use super::tmpfs::Disk;
use super::*;
use crate::object::Room;
#[cfg(target_os = "linux")]
use std::fs::File;
use std::time::Duration;

/// The next answers, up to the first that is looked for; those about what is durable are passed over.
fn hear(alembic: &Alembic, is_it: impl Fn(&Reply) -> bool) -> Reply {
    loop {
        let reply = alembic.replies().recv_timeout(Duration::from_secs(20)).expect("the journal says nothing");
        if is_it(&reply) {
            return reply;
        }
        assert!(matches!(reply, Reply::Durable { .. } | Reply::Room(_)), "{reply:?}");
    }
}

fn refusal(dir: &Path) -> String {
    let new = NewWorld { world_id: WORLD, objects: vec![proto()] };
    match open_with(dir, Some(new), 42, &mut Still, Box::new(|| {}), SMALL_MAP, Protocol::USUAL) {
        Err(error @ OpenError::Unsuitable { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn storage_that_cannot_keep_the_promises_is_refused() {
    let Some(disk) = Disk::mount(4 << 10) else { return };
    let world = disk.path().join("w");
    let (awakened, alembic) = wake(&world);
    assert!(awakened.report.to_string().contains("it lies in memory"), "{}", awakened.report);
    alembic.close();
    let bytes = std::fs::read(world.join("data.mdb")).unwrap();

    disk.fill(700);
    let too_small = refusal(&disk.path().join("other"));
    assert!(too_small.contains("too little room") && too_small.contains("768 KiB are needed"), "{too_small}");
    let names: Vec<_> = std::fs::read_dir(disk.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing was left behind: {names:?}");
    disk.make_room();

    assert!(disk.make_read_only());
    for place in [world.clone(), disk.path().join("other")] {
        let read_only = refusal(&place);
        assert!(read_only.contains("the disk can only be read") && read_only.contains("; "), "{read_only}");
    }
    assert_eq!(std::fs::read(world.join("data.mdb")).unwrap(), bytes);
    assert_eq!(Reader::open(&world).unwrap().verify(&mut Still).unwrap().damages, [], "it is read all the same");
}

/// Answers what the kernel asks of an empty folder, as long as it is mounted (`linux/fuse.h`).
#[cfg(target_os = "linux")]
fn show_nothing(device: &mut File) {
    use std::io::{Read, Write};
    const LOOKUP: u32 = 1;
    const GETATTR: u32 = 3;
    const STATFS: u32 = 17;
    const INIT: u32 = 26;
    const OPENDIR: u32 = 27;
    const READDIR: u32 = 28;
    const RELEASEDIR: u32 = 29;
    /// Those that want no answer: forget, interrupt, forget many.
    const SILENT: [u32; 3] = [2, 36, 42];
    const NOT_THERE: i32 = -2;
    const NOT_KNOWN: i32 = -38;
    let mut request = vec![0; 1 << 17];
    while matches!(device.read(&mut request), Ok(40..)) {
        let number = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().unwrap());
        let (error, body) = match number(4) {
            silent if SILENT.contains(&silent) => continue,
            INIT => {
                let mut body = vec![0; 64];
                body[..4].copy_from_slice(&7_u32.to_le_bytes());
                body[4..8].copy_from_slice(&31_u32.to_le_bytes());
                body[20..24].copy_from_slice(&4_096_u32.to_le_bytes()); // longest write
                (0, body)
            }
            GETATTR => {
                let mut body = vec![0; 104];
                body[16] = 1; // the number of the root
                body[76..80].copy_from_slice(&0o040_755_u32.to_le_bytes());
                body[80] = 2; // its names
                (0, body)
            }
            STATFS => {
                let mut body = vec![0; 80];
                for at in [0, 8, 16] {
                    body[at..at + 8].copy_from_slice(&(1_u64 << 30).to_le_bytes()); // blocks: all, free, free for us
                }
                for at in [40, 48] {
                    body[at..at + 4].copy_from_slice(&4_096_u32.to_le_bytes()); // their size, and the longest name
                }
                (0, body)
            }
            OPENDIR => (0, vec![0; 16]),
            READDIR | RELEASEDIR => (0, vec![]),
            LOOKUP => (NOT_THERE, vec![]),
            _ => (NOT_KNOWN, vec![]),
        };
        let mut answer = ((16 + body.len()) as u32).to_le_bytes().to_vec();
        answer.extend(error.to_le_bytes());
        answer.extend(&request[8..16]); // which request
        answer.extend(body);
        if device.write_all(&answer).is_err() {
            return;
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_folder_that_a_program_shows_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut device = match File::options().read(true).write(true).open("/dev/fuse") {
        Ok(device) => device,
        Err(error) => return println!("skipped: FUSE cannot be used here ({error})"),
    };
    let shared = device.try_clone().unwrap();
    let options = "fd=0,rootmode=40000,user_id=0,group_id=0";
    if !tmpfs::mount(&["-t", "fuse", "-o", options, "strange"], dir.path(), Some(shared)) {
        return;
    }
    let program = std::thread::spawn(move || show_nothing(&mut device));
    let told = refusal(&dir.path().join("w"));
    tmpfs::unmount(dir.path());
    assert!(told.contains("a program shows these files (fuse)") && told.contains("disk of this machine"), "{told}");
    program.join().unwrap();
}

/// A world on a disk of 4 MiB that has its reserve, and the number of its next message.
fn with_reserve(disk: &Disk) -> (Alembic, u64) {
    let (awakened, alembic) = wake(&disk.path().join("w"));
    let reserve = disk.path().join("w/world.reserve");
    while std::fs::metadata(&reserve).map_or(0, |file| file.len()) < 256 << 10 {
        std::thread::yield_now();
    }
    (alembic, awakened.next_sequence)
}

#[test]
fn a_disk_that_gets_full_is_told_of_and_the_world_goes_on_by_itself() {
    let Some(disk) = Disk::mount(4 << 10) else { return };
    let (alembic, next) = with_reserve(&disk);
    disk.fill(900);
    // With ample room it is asked again when something is written, a second after the last time.
    let mut sequence = next;
    let low = loop {
        alembic.append_envelope(sequence, envelope(sequence)).unwrap();
        sequence += 1;
        // Not faster: a flood would fill the disk itself.
        let replies = std::iter::from_fn(|| alembic.replies().recv_timeout(Duration::from_millis(100)).ok());
        if let Some(reply) = replies.filter(|reply| matches!(reply, Reply::Room(_))).last() {
            break reply;
        }
    };
    assert!(matches!(low, Reply::Room(Room::Low { free }) if free <= 900 << 10), "{low:?}");
    disk.fill(300);
    hear(&alembic, |reply| matches!(reply, Reply::Room(room) if room.is_scarce()));
    // What is under way comes to its end.
    alembic.append_outcome(next, failed(), vec![], vec![]);
    hear(&alembic, |reply| matches!(reply, Reply::Durable { outcomes, .. } if *outcomes == [next]));
    disk.make_room();
    hear(&alembic, |reply| *reply == Reply::Room(Room::Ample));
    alembic.close();
}

/// A world on a full disk, closed with an outcome under way that needs room. Answers whether it was closed in order.
fn closed_on_a_full_disk(with_its_reserve: bool) -> Option<bool> {
    let disk = Disk::mount(4 << 10)?;
    let (alembic, next) = with_reserve(&disk);
    let reserve = disk.path().join("w/world.reserve");
    if !with_its_reserve {
        std::fs::remove_file(&reserve).unwrap();
    }
    alembic.append_envelope(next, envelope(next)).unwrap();
    hear(&alembic, |reply| matches!(reply, Reply::Durable { envelopes, .. } if *envelopes == [next]));
    disk.fill(0);
    let text = Value::Text("x".repeat(100 << 10));
    let outcome = Outcome::Completed { result: text, changes: vec![set_x(ObjectId::proto(), 7.0)], logs: vec![] };
    alembic.append_outcome(next, outcome, vec![], vec![]);
    hear(&alembic, |reply| matches!(reply, Reply::ReadOnly(_)));
    assert_eq!(reserve.exists(), with_its_reserve, "it is kept for the end");
    alembic.close();
    assert!(!reserve.exists());
    disk.make_room();
    let (awakened, alembic) = wake(&disk.path().join("w"));
    alembic.close();
    let in_order = awakened.report.clean_exit && awakened.pending.is_empty();
    assert_eq!(x_of(&awakened.image), if in_order { 7.0 } else { 0.0 });
    Some(in_order)
}

#[test]
fn a_world_is_closed_in_order_on_a_full_disk_in_the_room_of_its_reserve() {
    if let Some(in_order) = closed_on_a_full_disk(true) {
        assert!(in_order);
        assert_eq!(closed_on_a_full_disk(false), Some(false), "the disk had room without it");
    }
}
