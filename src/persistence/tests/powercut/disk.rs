//! A disk as it may look after its power failed, built from the record of what was done to it.
//!
//! What a sync covered is there, and a write to a file that was opened with `O_DSYNC`. Everything later is there or not, sector
//! by sector: each holds its content after any one of the writes to it, or before all of them. A sync that failed leaves its
//! pages clean, and no later sync brings them unless a new write touches the page. A name is sure after a sync of its folder;
//! of the later changes of a folder the first few are there (Pillai and others, OSDI 2014; Rebello and others, ATC 2020).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const SECTOR: usize = 512;
const SECTORS_A_PAGE: usize = 8;

/// One operation, in the order in which it was done. See `tests/powercut/recorder.c`.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Open { handle: u32, path: PathBuf, is_new: bool, cuts_off: bool, is_durable: bool },
    Write { handle: u32, offset: usize, data: Vec<u8> },
    Truncate { handle: u32, size: usize },
    Sync { handle: u32, done: bool },
    Rename { from: PathBuf, to: PathBuf },
    Unlink(PathBuf),
    MakeFolder(PathBuf),
    Mark(Vec<u8>),
}

/// Reads a trace; `None` where it is none.
pub(super) fn read_trace(mut bytes: &[u8]) -> Option<Vec<Operation>> {
    let mut operations = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_at_checked(17)?;
        let handle = u32::from_le_bytes(head[1..5].try_into().ok()?);
        let number = u64::from_le_bytes(head[5..13].try_into().ok()?);
        let length = u32::from_le_bytes(head[13..17].try_into().ok()?) as usize;
        let (data, rest) = rest.split_at_checked(length)?;
        let path = |bytes: &[u8]| PathBuf::from(String::from_utf8_lossy(bytes).into_owned());
        operations.push(match head[0] {
            b'O' => Operation::Open {
                handle,
                path: path(data),
                is_new: number & 1 != 0,
                cuts_off: number & 2 != 0,
                is_durable: number & 4 != 0,
            },
            b'W' => Operation::Write { handle, offset: number as usize, data: data.to_vec() },
            b'T' => Operation::Truncate { handle, size: number as usize },
            b'S' => Operation::Sync { handle, done: number == 1 },
            b'R' => {
                let (from, to) = data.split_at_checked(number as usize)?;
                Operation::Rename { from: path(from), to: path(to) }
            }
            b'U' => Operation::Unlink(path(data)),
            b'D' => Operation::MakeFolder(path(data)),
            b'M' => Operation::Mark(data.to_vec()),
            _ => return None,
        });
        bytes = rest;
    }
    Some(operations)
}

/// A number that only the seed decides: SplitMix64.
#[derive(Clone)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end.max(1) as u64) as usize
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

type Sector = Box<[u8; SECTOR]>;

/// What a sector held, from the oldest that may still be found on the disk to the newest.
#[derive(Default)]
struct Versions {
    /// Each with the number of the write; none at first is all zeros.
    newer: Vec<(usize, Sector)>,
    durable: Option<Sector>,
}

#[derive(Default)]
struct Content {
    sectors: Vec<Versions>,
    /// Pages that a write touched since the last sync, whether that failed or not.
    dirty: BTreeSet<usize>,
    size: usize,
    /// Sizes since the last sync, each with the number of the operation.
    newer_sizes: Vec<(usize, usize)>,
    durable_size: usize,
}

impl Content {
    fn write(&mut self, number: usize, offset: usize, data: &[u8], is_durable: bool) {
        let end = offset + data.len();
        if self.sectors.len() * SECTOR < end {
            self.sectors.resize_with(end.div_ceil(SECTOR), Versions::default);
        }
        let mut at = offset;
        while at < end {
            let (place, from) = (at / SECTOR, at % SECTOR);
            let length = (SECTOR - from).min(end - at);
            let sector = &mut self.sectors[place];
            let mut bytes = sector.newest();
            bytes[from..from + length].copy_from_slice(&data[at - offset..at - offset + length]);
            if is_durable {
                *sector = Versions { newer: Vec::new(), durable: Some(bytes) };
            } else {
                sector.newer.push((number, bytes));
                self.dirty.insert(place / SECTORS_A_PAGE);
            }
            at += length;
        }
        if end > self.size {
            self.resize(number, end);
            if is_durable {
                self.durable_size = end;
                self.newer_sizes.clear();
            }
        }
    }

    fn resize(&mut self, number: usize, size: usize) {
        if size < self.size {
            for (place, sector) in self.sectors.iter_mut().enumerate().skip(size / SECTOR) {
                let mut bytes = sector.newest();
                bytes[size.saturating_sub(place * SECTOR).min(SECTOR)..].fill(0);
                sector.newer.push((number, bytes));
                self.dirty.insert(place / SECTORS_A_PAGE);
            }
        }
        self.size = size;
        self.newer_sizes.push((number, size));
    }

    fn sync(&mut self, done: bool) {
        for page in std::mem::take(&mut self.dirty) {
            if !done {
                continue;
            }
            let sectors = page * SECTORS_A_PAGE..self.sectors.len().min((page + 1) * SECTORS_A_PAGE);
            for sector in &mut self.sectors[sectors] {
                sector.durable = Some(sector.newest());
                sector.newer.clear();
            }
        }
        if done {
            self.durable_size = self.size;
            self.newer_sizes.clear();
        }
    }

    /// The bytes that a cut leaves.
    fn cut(&self, chance: &mut Chance) -> Vec<u8> {
        let writes: Vec<usize> = self
            .sectors
            .iter()
            .flat_map(|sector| sector.newer.iter().map(|(number, _)| *number))
            .chain(self.newer_sizes.iter().map(|(number, _)| *number))
            .collect::<BTreeSet<usize>>()
            .into_iter()
            .collect();
        let mode = chance.below(8);
        let middle = writes.get(chance.below(writes.len())).copied().unwrap_or(0);
        let lucky: BTreeSet<usize> = writes.iter().copied().filter(|_| chance.coin()).collect();
        let mut is_there = |number: usize| match mode {
            0 => true,
            1 => false,
            // Up to one write, which is torn; or from one on.
            2 => number < middle || number == middle && chance.coin(),
            3 => number >= middle,
            4 => lucky.contains(&number),
            5 => chance.coin(),
            6 => number != middle,
            _ => number == middle,
        };
        let mut bytes = Vec::with_capacity(self.sectors.len() * SECTOR);
        for sector in &self.sectors {
            let kept = sector.newer.iter().rev().find(|(number, _)| is_there(*number)).map(|(_, bytes)| bytes);
            match kept.or(sector.durable.as_ref()) {
                Some(sector) => bytes.extend_from_slice(&sector[..]),
                None => bytes.extend_from_slice(&[0; SECTOR]),
            }
        }
        let size = self.newer_sizes.iter().rev().find(|(number, _)| is_there(*number)).map(|(_, size)| *size);
        bytes.resize(size.unwrap_or(self.durable_size), 0);
        bytes
    }
}

impl Versions {
    fn newest(&self) -> Sector {
        self.newer
            .last()
            .map(|(_, bytes)| bytes.clone())
            .or_else(|| self.durable.clone())
            .unwrap_or(Box::new([0; SECTOR]))
    }
}

/// A change of one folder.
enum Naming {
    Link(String, usize),
    Unlink(String),
    Rename(String, String),
}

#[derive(Default)]
struct Folder {
    names: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    newer: Vec<Naming>,
}

impl Folder {
    fn change(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.newer.push(naming);
    }

    fn cut(&self, chance: &mut Chance) -> BTreeMap<String, usize> {
        let mut names = self.durable.clone();
        let there = chance.below(self.newer.len() + 1);
        self.newer[..there].iter().for_each(|naming| naming.apply(&mut names));
        names
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, node) => _ = names.insert(name.clone(), *node),
            Self::Unlink(name) => _ = names.remove(name),
            Self::Rename(from, to) => {
                if let Some(node) = names.remove(from) {
                    names.insert(to.clone(), node);
                }
            }
        }
    }
}

enum Node {
    File(Content),
    Folder(Folder),
}

/// The disk while its trace is followed.
pub(super) struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    handles: BTreeMap<u32, (usize, bool)>,
    done: usize,
    /// What was marked so far.
    pub(super) marks: Vec<u8>,
}

impl Disk {
    /// A disk with an empty folder.
    pub(super) fn new(root: &Path) -> Self {
        let nodes = vec![Node::Folder(Folder::default())];
        Self { root: root.to_path_buf(), nodes, handles: BTreeMap::new(), done: 0, marks: Vec::new() }
    }

    fn node_of(&self, path: &Path) -> Option<usize> {
        let inner = path.strip_prefix(&self.root).ok()?;
        inner.components().try_fold(0, |node, part| match &self.nodes[node] {
            Node::Folder(folder) => folder.names.get(part.as_os_str().to_str()?).copied(),
            Node::File(_) => None,
        })
    }

    fn folder_of(&mut self, path: &Path) -> Option<(&mut Folder, String)> {
        let node = self.node_of(path.parent()?)?;
        let name = path.file_name()?.to_str()?.to_string();
        match &mut self.nodes[node] {
            Node::Folder(folder) => Some((folder, name)),
            Node::File(_) => None,
        }
    }

    fn file(&mut self, handle: u32) -> Option<(&mut Content, bool)> {
        let (node, is_durable) = *self.handles.get(&handle)?;
        match &mut self.nodes[node] {
            Node::File(content) => Some((content, is_durable)),
            Node::Folder(_) => None,
        }
    }

    fn add(&mut self, path: &Path, node: Node) -> Option<usize> {
        let number = self.nodes.len();
        self.nodes.push(node);
        let (folder, name) = self.folder_of(path)?;
        folder.change(Naming::Link(name, number));
        Some(number)
    }

    /// Does an operation. `None` for one that does not fit what was done before.
    pub(super) fn follow(&mut self, operation: &Operation) -> Option<()> {
        self.done += 1;
        let number = self.done;
        match operation {
            Operation::Open { handle, path, is_new, cuts_off, is_durable } => {
                let node = match self.node_of(path) {
                    Some(node) => node,
                    None if *is_new => self.add(path, Node::File(Content::default()))?,
                    None => return None,
                };
                self.handles.insert(*handle, (node, *is_durable));
                if *cuts_off {
                    self.file(*handle)?.0.resize(number, 0);
                }
            }
            Operation::Write { handle, offset, data } => {
                let (content, is_durable) = self.file(*handle)?;
                content.write(number, *offset, data, is_durable);
            }
            Operation::Truncate { handle, size } => self.file(*handle)?.0.resize(number, *size),
            Operation::Sync { handle, done } => match &mut self.nodes[self.handles.get(handle)?.0] {
                Node::File(content) => content.sync(*done),
                Node::Folder(folder) if *done => {
                    folder.durable = folder.names.clone();
                    folder.newer.clear();
                }
                Node::Folder(_) => {}
            },
            Operation::Rename { from, to } => {
                let to = to.file_name()?.to_str()?.to_string();
                let (folder, from) = self.folder_of(from)?;
                folder.change(Naming::Rename(from, to));
            }
            Operation::Unlink(path) => {
                let (folder, name) = self.folder_of(path)?;
                folder.change(Naming::Unlink(name));
            }
            Operation::MakeFolder(path) => drop(self.add(path, Node::Folder(Folder::default()))?),
            Operation::Mark(data) => self.marks.extend_from_slice(data),
        }
        Some(())
    }

    /// Writes what a cut now leaves into an empty folder.
    pub(super) fn cut(&self, chance: &mut Chance, to: &Path) -> std::io::Result<()> {
        self.cut_node(0, chance, to)
    }

    fn cut_node(&self, node: usize, chance: &mut Chance, to: &Path) -> std::io::Result<()> {
        match &self.nodes[node] {
            Node::File(content) => fs::write(to, content.cut(chance)),
            Node::Folder(folder) => {
                fs::create_dir_all(to)?;
                let names = folder.cut(chance);
                names.iter().try_for_each(|(name, node)| self.cut_node(*node, chance, &to.join(name)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(handle: u32, offset: usize, byte: u8) -> Operation {
        Operation::Write { handle, offset, data: vec![byte; 2 * SECTOR] }
    }

    fn open(handle: u32, is_new: bool, is_durable: bool) -> Operation {
        Operation::Open { handle, path: "/w/f".into(), is_new, cuts_off: false, is_durable }
    }

    /// The contents of `/w/f` that are possible after these operations; nothing stands for no file.
    fn possible(operations: &[Operation]) -> BTreeSet<Option<Vec<u8>>> {
        let mut disk = Disk::new(Path::new("/w"));
        operations.iter().for_each(|operation| disk.follow(operation).unwrap());
        let dir = tempfile::tempdir().unwrap();
        let states = (0..400).map(|seed| {
            let to = dir.path().join(seed.to_string());
            disk.cut(&mut Chance(seed), &to).unwrap();
            let bytes = fs::read(to.join("f")).ok()?;
            Some(bytes.chunks(SECTOR).map(|sector| sector[0]).collect())
        });
        states.collect()
    }

    fn named() -> Vec<Operation> {
        let folder =
            Operation::Open { handle: 9, path: "/w".into(), is_new: false, cuts_off: false, is_durable: false };
        vec![open(1, true, false), folder, Operation::Sync { handle: 9, done: true }]
    }

    #[test]
    fn a_sync_keeps_what_was_before_it_and_nothing_else() {
        let mut operations = named();
        operations.extend([write(1, 0, 1), Operation::Sync { handle: 1, done: true }, write(1, 0, 2)]);
        let states = [[1, 1], [1, 2], [2, 1], [2, 2]].map(|state| Some(state.to_vec()));
        assert_eq!(possible(&operations), BTreeSet::from(states));
    }

    #[test]
    fn a_failed_sync_is_not_made_good_by_another() {
        let failed = [Operation::Sync { handle: 1, done: false }, Operation::Sync { handle: 1, done: true }];
        let mut operations = named();
        operations.extend([write(1, 0, 1), Operation::Sync { handle: 1, done: true }, write(1, 0, 2)]);
        operations.extend(failed);
        assert!(possible(&operations).contains(&Some(vec![1, 1])));
        // A new write to the page brings the whole page along.
        operations.extend([write(1, 2 * SECTOR, 3), Operation::Sync { handle: 1, done: true }]);
        assert_eq!(possible(&operations), BTreeSet::from([Some(vec![2, 2, 3, 3])]));
    }

    #[test]
    fn a_name_is_sure_after_a_sync_of_its_folder_and_a_durable_write_at_once() {
        let operations = [open(1, true, true), write(1, 0, 5)];
        assert_eq!(possible(&operations), BTreeSet::from([None, Some(vec![5, 5])]));
        let mut operations = named();
        operations.extend([open(2, false, true), write(2, 0, 5)]);
        assert_eq!(possible(&operations), BTreeSet::from([Some(vec![5, 5])]));
    }
}
