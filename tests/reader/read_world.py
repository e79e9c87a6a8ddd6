#!/usr/bin/env python3
"""Reads a world by docs/file-format.md alone. It shares no code with the program, and changes nothing.

read_world.py WORLD              the log, one JSON line a record
read_world.py WORLD --objects    every snapshot and tombstone, one JSON line each, by ascending id
read_world.py WORLD --check      whether all is as the format promises, with figures and the world hash

Exit codes: 0 done, 2 usage, 3 no world, a newer one, or one that was written to meanwhile, 4 damage.
"""

import argparse
import copy
import json
import os
import re
import struct
import sys
import uuid
import zlib

MASK64 = (1 << 64) - 1


class Damage(Exception):
    """Bytes are not what the format says; the text is a sentence without its end."""


class Newer(Exception):
    """A newer program wrote this."""


def take(form, data, at, what):
    """Little-endian fields at a place of some bytes."""
    size = struct.calcsize(form)
    if at < 0 or at + size > len(data):
        raise Damage(f"{what} is cut short")
    return struct.unpack_from("<" + form, data, at)


# Sums


def crc32c_table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


CRC32C = list(crc32c_table())


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


XXH3_SECRET = struct.unpack("<4Q", bytes.fromhex("b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"))


def xxh3_of_20(data):
    """XXH3-64 with seed 0, for exactly 20 bytes."""
    sum64 = 20 * 0x9E3779B185EBCA87
    for at, secret in ((0, XXH3_SECRET[:2]), (4, XXH3_SECRET[2:])):
        low, high = struct.unpack_from("<2Q", data, at)
        product = (low ^ secret[0]) * (high ^ secret[1])
        sum64 += (product & MASK64) ^ product >> 64
    sum64 &= MASK64
    sum64 = (sum64 ^ sum64 >> 37) * 0x165667919E3779F9 & MASK64
    return sum64 ^ sum64 >> 32


BLAKE3_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
BLAKE3_ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
BLAKE3_MIX = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
              (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8


def blake3_compress(chaining, words, counter, length, flags):
    state = [*chaining, *BLAKE3_IV[:4], counter & 0xFFFFFFFF, counter >> 32, length, flags]
    for _ in range(7):
        for at, (a, b, c, d) in enumerate(BLAKE3_MIX):
            va, vb, vc, vd = state[a], state[b], state[c], state[d]
            for word, left, right in ((words[2 * at], 16, 12), (words[2 * at + 1], 8, 7)):
                va = va + vb + word & 0xFFFFFFFF
                vd ^= va
                vd = (vd >> left | vd << 32 - left) & 0xFFFFFFFF
                vc = vc + vd & 0xFFFFFFFF
                vb ^= vc
                vb = (vb >> right | vb << 32 - right) & 0xFFFFFFFF
            state[a], state[b], state[c], state[d] = va, vb, vc, vd
        words = [words[place] for place in BLAKE3_ORDER]
    return [low ^ high for low, high in zip(state[:8], state[8:])]


def blake3(data):
    """In hex. The tree: a left part of as many whole chunks as the greatest power of two leaves something behind."""

    def node(first, chunks, root):
        if chunks == 1:
            chunk, chaining = data[first * 1024 : (first + 1) * 1024], BLAKE3_IV
            blocks = [chunk[at : at + 64] for at in range(0, len(chunk), 64)] or [b""]
            for at, block in enumerate(blocks):
                flags = (CHUNK_START if at == 0 else 0) | (CHUNK_END | root if at == len(blocks) - 1 else 0)
                words = struct.unpack("<16I", block.ljust(64, b"\0"))
                chaining = blake3_compress(chaining, words, first, len(block), flags)
            return chaining
        left = 1 << (chunks - 1).bit_length() - 1
        words = node(first, left, 0) + node(first + left, chunks - left, 0)
        return blake3_compress(BLAKE3_IV, words, 0, 64, PARENT | root)

    return struct.pack("<8I", *node(0, max(1, -(-len(data) // 1024)), ROOT)).hex()


# LMDB


class Store:
    """The newer of the two states that a data file holds."""

    BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
    BIG, SUB = 1, 2
    NO_PAGE = MASK64

    def __init__(self, folder):
        self.folder = folder
        self.meta = None  # once it was read
        self.file = open(os.path.join(folder, "data.mdb"), "rb")
        self.length = os.fstat(self.file.fileno()).st_size
        self.txn, self.last_page, self.page_size, main = max(self.metas(), key=lambda meta: meta[0])
        self.seen = set()
        self.databases = {}
        for name, (node_flags, data) in self.walk("the main database", main):
            if node_flags != self.SUB or len(data) != 48:
                raise Damage("the main database holds something else than a database")
            self.databases[name.decode("latin-1")] = data

    def bytes_at(self, at, size, what):
        self.file.seek(at)
        data = self.file.read(size)
        if len(data) != size:
            raise Damage(f"{what} lies beyond the end of the file")
        return data

    def metas(self):
        """Both meta pages: transaction, last page, page size, root of the main database. A tie goes to page 0."""
        at, found = 0, []
        for number in (0, 1):
            page = self.bytes_at(at, 152, f"meta page {number}")
            flags, magic, version = *take("H", page, 10, "a page"), *take("II", page, 16, "a page")
            size, last, txn = *take("I", page, 40, "a page"), *take("QQ", page, 136, "a page")
            if not flags & self.META or magic != 0xBEEFC0DE:
                raise Damage(f"page {number} is no meta page of LMDB")
            if version != 1:
                raise Newer(f"data.mdb has version {version} of LMDB's files")
            if size not in (1 << power for power in range(12, 16)) or (found and size != found[0][2]):
                raise Damage(f"meta page {number} says an impossible page size")
            found.append((txn, last, size, page[88:136]))
            at = size
        return found

    def was_overtaken(self):
        """Whether so much was committed since that pages of the state that was read may be others now."""
        return max(self.metas(), key=lambda meta: meta[0])[0] > self.txn + 1

    def page(self, number, kind, what):
        """The first page of a node, checked, with what else its header says."""
        if not 2 <= number <= self.last_page:
            raise Damage(f"{what} points to the page {number}, which is none of its own")
        if number in self.seen:
            raise Damage(f"{what} points to the page {number}, which is used elsewhere")
        self.seen.add(number)
        page = self.bytes_at(number * self.page_size, self.page_size, f"page {number} of {what}")
        own, _, flags, lower, upper = struct.unpack_from("<QHHHH", page)
        if own != number or flags & 7 != kind:
            raise Damage(f"page {number} of {what} is another page, or of another kind")
        return page, lower, upper

    def walk(self, what, database):
        """Every key in order, with the flags of its node and the data."""
        _, flags, depth, branches, leaves, overflows, entries, root = struct.unpack("<IHHQQQQQ", database)
        if flags or depth > 32:
            raise Damage(f"{what} is a database of another kind ({flags:#x})")
        counts = {self.BRANCH: 0, self.LEAF: 0, self.OVERFLOW: 0}
        found = 0
        if root != self.NO_PAGE:
            for item in self.walk_page(what, root, depth, b"", None, counts):
                found += 1
                yield item
        if found != entries or list(counts.values()) != [branches, leaves, overflows]:
            raise Damage(f"{what} has not as many entries or pages as it says")

    def walk_page(self, what, number, depth, low, high, counts):
        kind = self.LEAF if depth == 1 else self.BRANCH
        page, lower, upper = self.page(number, kind, what)
        counts[kind] += 1
        if depth < 1 or lower < 16 or lower % 2 or not lower <= upper <= self.page_size:
            raise Damage(f"page {number} of {what} has an impossible header")
        nodes = []
        for at in struct.unpack_from(f"<{(lower - 16) // 2}H", page, 16):
            low_half, high_half, flags, key_size = take("HHHH", page, at, f"a node of {what}")
            if at < upper or at + 8 + key_size > self.page_size:
                raise Damage(f"a node of {what} lies outside of its page")
            nodes.append((low_half | high_half << 16, flags, page[at + 8 : at + 8 + key_size], at + 8 + key_size))
        if kind == self.BRANCH:
            keys = [low, *(key for _, _, key, _ in nodes[1:]), high]
            for place, (child, flags, _, _) in enumerate(nodes):
                child |= flags << 32
                yield from self.walk_page(what, child, depth - 1, keys[place], keys[place + 1], counts)
            return
        last = None
        for size, flags, key, at in nodes:
            if key < low or (high is not None and key >= high) or (last is not None and key <= last):
                raise Damage(f"a key of {what} is out of its order")
            last = key
            if flags & self.BIG:
                start = take("Q", page, at, f"a node of {what}")[0]
                data = self.overflow(what, start, size, counts)
            else:
                data = page[at : at + size]
                if len(data) != size:
                    raise Damage(f"a value of {what} lies outside of its page")
            yield key, (flags & ~self.BIG, data)

    def overflow(self, what, number, size, counts):
        page, low, high = self.page(number, self.OVERFLOW, what)
        pages = low | high << 16
        if pages != (15 + size) // self.page_size + 1 or number + pages - 1 > self.last_page:
            raise Damage(f"a long value of {what} has an impossible number of pages")
        counts[self.OVERFLOW] += pages
        for other in range(number + 1, number + pages):
            if other in self.seen:
                raise Damage(f"a long value of {what} lies over the page {other}, which is used elsewhere")
            self.seen.add(other)
        return self.bytes_at(number * self.page_size + 16, size, f"a long value of {what}")

    def items(self, name):
        """Keys and values of a named database."""
        if name not in self.databases:
            raise Damage(f"the database `{name}` is missing")
        for key, (flags, data) in self.walk(f"`{name}`", self.databases[name]):
            if flags:
                raise Damage(f"a node of `{name}` has the flags {flags:#x}")
            yield key, data


# MessagePack

SIZED = {0xC4: ("B", "bin"), 0xC5: ("H", "bin"), 0xC6: ("I", "bin"), 0xD9: ("B", "str"), 0xDA: ("H", "str"),
         0xDB: ("I", "str"), 0xDC: ("H", "array"), 0xDD: ("I", "array"), 0xDE: ("H", "map"), 0xDF: ("I", "map")}
PLAIN = {0xC0: None, 0xC2: False, 0xC3: True}
NUMBERS = {0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}
DEEPEST = 200  # 32 levels of values, at most 4 of MessagePack each, and what is around them


def unpack(data):
    """The one thing that these bytes are."""
    at = 0

    def raw(size):
        nonlocal at
        if at + size > len(data):
            raise Damage("its body is cut short")
        at += size
        return data[at - size : at]

    def thing(depth):
        if depth > DEEPEST:
            raise Damage("its body is nested too deep")
        first = raw(1)[0]
        if first < 0x80:
            return first
        if first in PLAIN:
            return PLAIN[first]
        if first in NUMBERS:
            return struct.unpack(NUMBERS[first], raw(struct.calcsize(NUMBERS[first])))[0]
        if first < 0x90:
            kind, size = "map", first & 15
        elif first < 0xA0:
            kind, size = "array", first & 15
        elif first < 0xC0:
            kind, size = "str", first & 31
        elif first in SIZED:
            form, kind = SIZED[first]
            size = struct.unpack(">" + form, raw(struct.calcsize(form)))[0]
        else:
            raise Damage(f"its body has the type {first:#x}, which is not used")
        if kind == "bin":
            return raw(size)
        if kind == "str":
            try:
                return raw(size).decode("utf-8")
            except UnicodeDecodeError:
                raise Damage("a text in its body is not UTF-8") from None
        if kind == "array":
            return [thing(depth + 1) for _ in range(size)]
        entries = {}
        for _ in range(size):
            key = thing(depth + 1)
            if not isinstance(key, str) or key in entries:
                raise Damage("a map in its body has a field twice, or one that is no text")
            entries[key] = thing(depth + 1)
        return entries

    found = thing(0)
    if at != len(data):
        raise Damage("something follows its body")
    return found


def pack(thing):
    """The one form in which a thing is written: the shortest."""

    def head(size, fix, most, forms):
        if size <= most:
            return bytes([fix | size])
        code, form = next((code, form) for code, form in forms if size < 1 << 8 * struct.calcsize(form))
        return bytes([code]) + struct.pack(">" + form, size)

    if thing is None or isinstance(thing, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[thing]
    if isinstance(thing, int):
        return head(thing, 0, 127, ((0xCC, "B"), (0xCD, "H"), (0xCE, "I"), (0xCF, "Q")))
    if isinstance(thing, float):
        return b"\xcb" + (struct.pack(">d", thing) if thing == thing else b"\x7f\xf8\0\0\0\0\0\0")
    if isinstance(thing, bytes):
        return head(len(thing), 0, -1, ((0xC4, "B"), (0xC5, "H"), (0xC6, "I"))) + thing
    if isinstance(thing, str):
        text = thing.encode("utf-8")
        return head(len(text), 0xA0, 31, ((0xD9, "B"), (0xDA, "H"), (0xDB, "I"))) + text
    if isinstance(thing, list):
        return head(len(thing), 0x90, 15, ((0xDC, "H"), (0xDD, "I"))) + b"".join(map(pack, thing))
    entries = b"".join(pack(key) + pack(item) for key, item in thing.items())
    return head(len(thing), 0x80, 15, ((0xDE, "H"), (0xDF, "I"))) + entries


# Bodies: each shape takes what was unpacked and answers it with defaults, in the order of its fields


def simple(kind, what, fits=lambda of: True):
    def shape(of):
        if type(of) is not kind or not fits(of):
            raise Damage(f"{what} is expected")
        return of

    return shape


KEYWORDS = set("and break do else elseif end false for function if in local nil not or repeat return".split())
KEYWORDS |= set("then true until while".split())
TEXT = simple(str, "a text")
NAME = simple(str, "a name", lambda of: re.fullmatch("[a-z_][a-z0-9_]{0,63}", of) and of not in KEYWORDS)
FLAG = simple(bool, "true or false")
FLOAT = simple(float, "a number")
U32 = simple(int, "a count", lambda of: of < 1 << 32)
U64 = simple(int, "a count")
ID = simple(bytes, "an id", lambda of: len(of) == 16)
BYTES = simple(bytes, "bytes")


def only(variant):
    """Name and content of the one entry."""
    return next(iter(variant.items()))


def maybe(shape):
    return lambda of: None if of is None else shape(of)


def many(shape):
    return lambda of: [shape(item) for item in simple(list, "a list")(of)]


def pair(left, right):
    def shape(of):
        first, second = simple(list, "a pair", lambda of: len(of) == 2)(of)
        return [left(first), right(second)]

    return shape


def variant(**shapes):
    def shape(of):
        if isinstance(of, str) and shapes.get(of, of) is None:
            return of
        name, content = only(of) if isinstance(of, dict) and len(of) == 1 else (None, None)
        if shapes.get(name) is None:
            raise Damage(f"one of {', '.join(shapes)} is expected")
        return {name: within(name, shapes[name], content)}

    return shape


def fields(**shapes):
    """A pair is a shape and a default; a shape alone must be there."""

    def shape(of):
        of, found = simple(dict, "a map")(of), {}
        for name, field in shapes.items():
            inner, *default = field if isinstance(field, tuple) else (field,)
            if name not in of and not default:
                raise Damage(f"the field `{name}` is missing")
            found[name] = within(name, inner, of[name] if name in of else default[0])
        return found

    return shape


def within(name, shape, of):
    try:
        return shape(of)
    except Damage as reason:
        raise Damage(f"`{name}`: {reason}") from None


FINITE = simple(float, "a finite number", lambda of: abs(of) < float("inf"))
KEY = variant(boolean=FLAG, number=FINITE, text=TEXT, object=ID)
VALUE = variant(nil=None, boolean=FLAG, number=FLOAT, text=TEXT, object=ID,
                list=lambda of: many(VALUE)(of), map=lambda of: many(pair(KEY, VALUE))(of))
LITERAL = variant(value=VALUE, named=TEXT,
                  list=lambda of: many(LITERAL)(of), map=lambda of: many(pair(KEY, LITERAL))(of))
METHOD = fields(number=U32, follows=(U32, 0), params=(many(NAME), []), source=TEXT, doc=(TEXT, ""), author=(TEXT, ""),
                instruction=(TEXT, ""), contract=(many(TEXT), []), verdicts=(many(TEXT), []), sequence=(U64, 0))
SLOT = fields(content=variant(value=VALUE, method=METHOD), doc=(TEXT, ""))
OBJECT = fields(id=ID, name=(maybe(NAME), None), parents=(many(ID), []), slots=(many(fields(name=NAME, slot=SLOT)), []),
                versions=(many(fields(selector=NAME, versions=many(METHOD))), []))
TOMBSTONE = fields(name=NAME, deleted_at=U64, message=(U64, 0))
ENVELOPE = fields(message_id=ID, correlation_id=(maybe(ID), None), sender_id=TEXT, target=variant(name=TEXT, id=ID),
                  selector=NAME, args=(many(fields(name=(maybe(NAME), None), value=LITERAL)), []), issued_at=U64,
                  retries=(maybe(U64), None))
EDIT = fields(path=(many(KEY), []), kind=variant(
    set=fields(key=KEY, before=(maybe(VALUE), None), after=(maybe(VALUE), None)),
    insert=fields(place=U64, value=VALUE), remove=fields(place=U64, value=VALUE)))
CHANGE = variant(
    create=fields(object=OBJECT, tombstone=(maybe(TOMBSTONE), None)),
    delete=fields(object=OBJECT, tombstone=(maybe(TOMBSTONE), None)),
    set_slot=fields(id=ID, slot=NAME, place=U64, before=(maybe(SLOT), None), after=(maybe(SLOT), None)),
    edit_slot=fields(id=ID, slot=NAME, edits=many(EDIT)),
    add_version=fields(id=ID, selector=NAME, version=METHOD),
    remove_version=fields(id=ID, selector=NAME, version=METHOD),
    rename=fields(id=ID, before=(maybe(NAME), None), after=(maybe(NAME), None)),
    set_parents=fields(id=ID, before=many(ID), after=many(ID)),
)
OUTCOME = fields(
    end=variant(
        completed=fields(result=VALUE, changes=many(CHANGE), logs=(many(TEXT), [])),
        failed=fields(kind=TEXT, message=TEXT, suggestions=(many(TEXT), []), trace=(many(TEXT), []),
                      logs=(many(TEXT), []), receiver=(maybe(ID), None))),
    resolves=(many(U64), []), of_person=(maybe(fields(envelope=U64, earlier=(U64, 0), posts=(U64, 0))), None))
STEP = fields(**{"from": U64}, ticks=U64, started_at=U64, index=U64)
EPOCH = fields(started_at=U64, pid=U32, writer=TEXT, last_position=U64, last_chain=U64, clean=(FLAG, False))
META = fields(format=U32, world_id=ID, writer=TEXT, clean=(FLAG, False), set_hash=U64, snapshots_through=U64,
              replay_from=U64, next_sequence=U64, horizon_position=(U64, 0), horizon_chain=(U64, 0), ticks=(U64, 0),
              newest_past=(U64, 0))
QUARANTINED = fields(reason=TEXT, found_at=U64, writer=TEXT, raw=BYTES)

# Records

ATTEMPT = fields(alone=(FLAG, False))
LOG_KINDS = {1: ("envelope", ENVELOPE), 2: ("outcome", OUTCOME), 3: ("step", STEP), 4: ("attempt", ATTEMPT),
             5: ("epoch", EPOCH)}
SNAPSHOT_KINDS = {64: ("snapshot", OBJECT), 66: ("tombstone", TOMBSTONE)}
META_KINDS = {65: ("meta", META)}
LOST = 128
KNOWN = {**LOG_KINDS, 6: ("horizon", None), **SNAPSHOT_KINDS, **META_KINDS}


class Record:
    """A record that passed every check but that of its chain."""

    def __init__(self, data, allowed, position=None):
        if len(data) < 48:
            raise Damage(f"it has {len(data)} bytes, which is less than a header")
        magic, form, kind, flags, header, schema = struct.unpack_from("<2sBBBBH", data)
        self.position, self.sequence, stored, full, self.chain, self.crc = struct.unpack_from("<QQIIQI", data, 8)
        header *= 8
        if magic != b"HW":
            raise Damage("it doesn't begin with HW")
        if form != 1:
            raise Newer(f"it has the record format {form}")
        if not 48 <= header <= len(data):
            raise Damage("its header length is impossible")
        if position not in (None, self.position):
            raise Damage(f"it says it is number {self.position}")
        if stored != len(data) - header or full > 1 << 30:
            raise Damage("its length is not what its header says")
        if crc32c(data[:32] + bytes(12) + data[44:]) != self.crc:
            raise Damage("its checksum is wrong")
        optional = kind >= 128
        if kind not in KNOWN and not optional:
            raise Newer(f"it is of the unknown kind {kind}")
        if not optional and flags:
            raise Newer(f"it has the unknown flags {flags:#x}")
        if not optional and schema not in (1, 2, 3):
            raise Newer(f"its body has the unknown schema {schema}")
        if not optional and stored != full:
            raise Damage("its length is not what its header says")
        if kind == 6:
            raise Newer("its log was cut off at the front")
        if kind not in allowed and not (optional and allowed is LOG_KINDS):
            raise Damage(f"it is of the kind `{KNOWN.get(kind, ('other',))[0]}`, which has no place here")
        self.schema, self.kind, self.body = schema, "lost" if kind == LOST else "other", data[header:].hex()
        if not optional:
            self.kind, shape = allowed[kind]
            self.body = shape(unpack(data[header:]))


def chain_after(previous, position, crc):
    return xxh3_of_20(struct.pack("<QQI", previous, position, crc))


def read_segment(path, first, last, world_id, before):
    """The records of a segment, as they are stored; `before` is the chain value of the record before them."""
    what = f"the segment {os.path.basename(path)}"
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise Damage(f"{what} can't be read: {error}") from None
    head = data[:80]
    if head[:8] != b"HWSEGMNT" or len(head) < 80 or take("I", head, 76, what)[0] != crc32c(head[:76]):
        raise Damage(f"the header of {what} is damaged")
    if take("I", head, 8, what)[0] != 1:
        raise Newer(f"{what} has another format")
    says = (take("I", head, 12, what)[0], head[16:32], *take("QQQQQI", head, 32, what))
    if says[:5] != (0, world_id, first, last, before) or says[6:] != (len(data), 0):
        raise Damage(f"the header of {what} is that of another one")
    at, records, chain = 80, [], before
    while at < len(data):
        block = data[at : at + 32]
        if block[:4] != b"HWBL" or len(block) < 32 or take("I", block, 28, what)[0] != crc32c(block[:28]):
            raise Damage(f"the header of a block of {what} is damaged")
        stored, full, count, begin, crc = take("IIIQI", block, 4, what)
        packed = data[at + 32 : at + 32 + stored]
        if len(packed) != stored or crc32c(packed) != crc or begin != first + len(records):
            raise Damage(f"a block of {what} is damaged")
        try:
            plain = zlib.decompress(packed)
        except zlib.error:
            raise Damage(f"a block of {what} can't be unpacked") from None
        place = 0
        for _ in range(count):
            size = take("I", plain, place, what)[0]
            records.append(plain[place + 4 : place + 4 + size])
            place += 4 + size
        if place != len(plain) or full != len(plain):
            raise Damage(f"a block of {what} is not divided into records")
        at += 32 + stored
    if len(records) != last - first + 1:
        raise Damage(f"{what} has not as many records as its name says")
    if len(records[-1]) >= 48:
        chain = take("Q", records[-1], 32, what)[0]
    if says[5] != chain:
        raise Damage(f"{what} ends with another chain value than its header says")
    return records, chain


def read_archive(store):
    """Every record up to the horizon, as it is stored."""
    meta = read_meta(store).body
    horizon, folder, spans = meta["horizon_position"], os.path.join(store.folder, "archive"), {}
    for name in os.listdir(folder) if horizon and os.path.isdir(folder) else []:
        fits = re.fullmatch(r"([0-9]+)-([0-9]+)\.segment", name)
        if fits and int(fits[2]) <= horizon:
            first, last = int(fits[1]), int(fits[2])
            spans[first] = max(spans.get(first, (0, "")), (last, name))
    records, chain = [], 0
    while len(records) < horizon:
        first = len(records) + 1
        if first not in spans:
            raise Damage(f"no segment begins with the record {first}")
        last, name = spans[first]
        more, chain = read_segment(os.path.join(folder, name), first, last, meta["world_id"], chain)
        records += more
    if chain != meta["horizon_chain"]:
        raise Damage("the archive ends with another chain value than `meta` says")
    return records


def read_log(store):
    """Positions with their record, or the reason why it is none. Says where the chain is broken."""
    archived = [(struct.pack(">Q", place), data) for place, data in enumerate(read_archive(store), 1)]
    entries = archived + list(store.items("heartwood"))
    previous = 0
    for place, (key, data) in enumerate(entries, 1):
        try:
            if key != struct.pack(">Q", place):
                raise Damage("its key is not its position: a record is missing, or one too many")
            record = Record(data, LOG_KINDS, place)
            if previous is not None and record.chain != chain_after(previous, place, record.crc):
                raise Damage("it does not follow the record before it")
            previous = record.chain
        except Damage as reason:
            record, previous = reason, None
        except Newer as reason:
            raise Newer(f"log record {place}: {reason}") from None
        yield place, record


def read_snapshots(store):
    """Ids with the record of what is kept of the object, or the reason why it is none."""
    for key, data in store.items("sapwood"):
        try:
            if len(key) != 16:
                raise Damage("its key is no id")
            record = Record(data, SNAPSHOT_KINDS)
            if record.kind == "snapshot" and record.body["id"] != key:
                raise Damage("it is of another object")
        except Damage as reason:
            record = reason
        yield key, record


def read_meta(store):
    if store.meta is not None:
        return store.meta
    entries = list(store.items("meta"))
    if [key for key, _ in entries] != [b"meta"]:
        raise Damage("the database `meta` has not exactly the key `meta`")
    record = Record(entries[0][1], META_KINDS)
    if record.body["format"] > 2:
        raise Newer(f"the world has the format {record.body['format']}")
    store.meta = record
    return record


# What changes do


def rank(key):
    """The order of a map: booleans, numbers, texts, objects."""
    kind, of = only(key)
    return ["boolean", "number", "text", "object"].index(kind), of.encode("utf-8") if kind == "text" else of


def place_of(key):
    """The place in a list, from 0, that a key says; none for another key."""
    number = key.get("number", 0.5)
    return int(number) - 1 if number >= 1 and number == int(number) else None


def put(entries, key, value):
    """Puts an entry into a map, or takes it out."""
    kept = [entry for entry in entries if entry[0] != key] + ([] if value is None else [[key, value]])
    entries[:] = sorted(kept, key=lambda entry: rank(entry[0]))


def edit(value, change):
    """Applies one edit to the value of a slot."""
    for key in change["path"]:
        kind, items = only(value) if isinstance(value, dict) else (None, None)
        place = place_of(key)
        found = None
        if kind == "list" and place is not None and place < len(items):
            found = items[place]
        elif kind == "map":
            found = next((item for other, item in items if other == key), None)
        if found is None:
            raise Damage("an edit leads nowhere")
        value = found
    kind, items = only(value) if isinstance(value, dict) else (None, None)
    act, of = only(change["kind"])
    if kind == "map" and act == "set":
        put(items, of["key"], of["after"])
    elif kind == "list":
        place = place_of(of["key"]) if act == "set" else of["place"]
        goes = act == "remove" or (act == "set" and of["after"] is None)
        last = len(items) - goes
        if place is None or place > last or (goes and act == "set" and place < last):
            raise Damage("an edit would leave a hole in a list")
        items[place : place + (act != "insert")] = [] if goes else [of["after"] if act == "set" else of["value"]]
    else:
        raise Damage("an edit is not for its container")


def id_of(change):
    act, of = only(change)
    return of["object"]["id"] if act in ("create", "delete") else of["id"]


def apply(image, change):
    """Applies a change to objects and tombstones by id. One of an object that is not there does nothing."""
    act, of = only(copy.deepcopy(change))
    if act in ("create", "delete"):
        kept = of["object"] if act == "create" else of["tombstone"]
        image.pop(id_of(change), None)
        if kept is not None:
            image[id_of(change)] = ("snapshot" if act == "create" else "tombstone", kept)
        return
    kind, found = image.get(of["id"], (None, None))
    if kind != "snapshot":
        return
    if act == "rename":
        found["name"] = of["after"]
    elif act == "set_parents":
        found["parents"] = of["after"]
    elif act in ("set_slot", "edit_slot"):
        slots = found["slots"]
        place = next((place for place, slot in enumerate(slots) if slot["name"] == of["slot"]), None)
        if act == "edit_slot":
            value = None if place is None else slots[place]["slot"]["content"].get("value")
            for one in of["edits"]:
                edit(value, one)
        elif of["after"] is None:
            slots[:] = [slot for slot in slots if slot["name"] != of["slot"]]
        elif place is None:
            slots.insert(of["place"], {"name": of["slot"], "slot": of["after"]})
        else:
            slots[place]["slot"] = of["after"]
    else:
        texts = {entry["selector"]: entry["versions"] for entry in found["versions"]}
        versions = texts.setdefault(of["selector"], [])
        versions[:] = [*versions, of["version"]] if act == "add_version" else versions[:-1]
        found["versions"] = [{"selector": name, "versions": texts[name]} for name in sorted(texts) if texts[name]]


def replay(image, log, floor):
    """Applies what stands above the floor of each object."""
    for position, record in enumerate(log, 1):
        for change in changes_of(record):
            if position > floor(id_of(change)):
                try:
                    apply(image, change)
                except Damage as reason:
                    raise Damage(f"log record {position}: {reason}") from None
    return image


def changes_of(record):
    return record.body["end"].get("completed", {}).get("changes", []) if record.kind == "outcome" else []


def world_hash(image):
    parts = []
    for wanted in ("snapshot", "tombstone"):
        for key, (kind, body) in sorted(image.items()):
            if kind == wanted:
                body = pack(body)
                parts.append((b"" if kind == "snapshot" else key) + struct.pack("<Q", len(body)) + body)
    return blake3(b"".join(parts))


# Checks


def is_of_person(envelope):
    return envelope["sender_id"] not in ("genesis", "post", "timer")


def is_reversal(envelope):
    """Whether it is an undo or redo with the number of a message."""
    target, selector, args = envelope["target"], envelope["selector"], envelope["args"]
    if target != {"name": "workspace"} or selector not in ("undo", "redo") or len(args) != 1:
        return False
    value = args[0]["value"].get("value")
    return isinstance(value, dict) and value.get("number", 0) >= 1


def check_log(log, meta, suspended, wrong):
    """The laws that the log shows by itself."""
    envelopes, open_at, ended, attempts, doomed, waiting = {}, {}, set(), {}, set(), {}
    chain = newest_past = ticks = 0
    alone = process = None

    def law(fits, says):
        if not fits:
            wrong.append(f"log record {position}: {says}")

    for position, record in enumerate(log, 1):
        sequence, body = record.sequence, record.body
        is_of_none = record.kind in ("step", "epoch")
        law(record.kind == "other" or (sequence == 0) == is_of_none, "its sequence is impossible")
        if record.kind == "envelope":
            law(sequence not in envelopes, f"message {sequence} has an envelope already")
            law(sequence not in ended, f"the outcome of message {sequence} stands before")
            envelopes[sequence] = body
            open_at[sequence] = position
        elif record.kind == "outcome":
            law(sequence in envelopes, f"message {sequence} has no envelope before")
            law(sequence not in ended, f"message {sequence} has an outcome already")
            law(alone in (None, sequence), f"message {alone} was to be alone until its outcome")
            alone = None
            ended.add(sequence)
            envelope, at = envelopes.get(sequence), open_at.pop(sequence, 0)
            failed = body["end"].get("failed")
            is_given_up = (failed or {}).get("kind") == "internal"
            law(sequence not in doomed or is_given_up, "it was delivered after two attempts alone")
            for resolved in body["resolves"]:
                waiting.pop(resolved, None)
            if failed:
                waiting[sequence] = (position, at)
            while len(waiting) > 1000:
                del waiting[min(waiting)]
            of = body["of_person"]
            past = not failed and envelope and is_of_person(envelope)
            past = past and (changes_of(record) or is_reversal(envelope))
            law(bool(past) == bool(of) or record.schema < 3, "its `of_person` should be there, or should not")
            if of:
                law(of["envelope"] == at, "its `of_person` names another envelope")
                law(of["earlier"] == newest_past, "its `of_person` does not lead to the one before")
                posted = log[position : position + of["posts"]]
                are_posts = (later.kind == "envelope" and later.body["sender_id"] == "post" for later in posted)
                law(len(posted) == of["posts"] and all(are_posts), "the messages that it posted do not follow it")
                newest_past = position
        elif record.kind == "attempt":
            law(sequence in open_at, f"message {sequence} is not pending")
            law(alone is None, f"message {alone} was to be alone until its outcome")
            attempts[sequence] = attempts.get(sequence, 0) + body["alone"]
            law(attempts[sequence] <= 2, f"message {sequence} was alone more than twice")
            alone = sequence if body["alone"] else None
        elif record.kind == "step":
            law(body["from"] == ticks + 1 and body["ticks"] > 0, f"tick {ticks + 1} should be its first")
            ticks = body["from"] + body["ticks"] - 1
        elif record.kind == "epoch":
            end = (body["last_position"], body["last_chain"])
            law(end == (position - 1, chain), "it tells of another end of the log")
            if process != (body["pid"], body["started_at"]):
                process = (body["pid"], body["started_at"])
                alone = None
                doomed = {sequence for sequence, count in attempts.items() if count >= 2 and sequence not in ended}
        chain = record.chain

    of = meta.body
    first, second = (log + [None, None])[:2]
    is_genesis = first and second and first.kind == "envelope" and first.sequence == second.sequence == 1
    is_genesis = is_genesis and (first.body["sender_id"], first.body["selector"]) == ("genesis", "import")
    is_genesis = is_genesis and first.body["target"] == {"name": "proto"} and changes_of(second)
    is_genesis = is_genesis and all("create" in change for change in changes_of(second))
    expected = [
        (is_genesis, "the log does not begin with its genesis"),
        (of["next_sequence"] == max([0, *envelopes]) + 1, f"message {of['next_sequence']} is not the next"),
        (of["newest_past"] == newest_past, f"record {of['newest_past']} is not the newest that can be taken back"),
        (of["ticks"] == ticks, f"it has had {ticks} ticks, not {of['ticks']}"),
        (of["snapshots_through"] <= len(log), "`snapshots_through` lies beyond the log"),
        (1 <= of["replay_from"] <= of["snapshots_through"] + 1, "`replay_from` lies above `snapshots_through`"),
        (of["replay_from"] <= min(open_at.values(), default=MASK64), "`replay_from` lies above a pending message"),
        (of["format"] == (2 if of["horizon_position"] else 1), f"the format {of['format']} does not fit its horizon"),
        (of["horizon_position"] < len(log), "the horizon lies behind the last record"),
        (suspended == waiting, "`suspended` is not the list that the log tells of"),
    ]
    wrong.extend(says for fits, says in expected if not fits)


def check_image(log, through, snapshots, wrong):
    """Compares snapshots and log; answers the world hash, or why there is none."""
    for position, record in enumerate(log[:through], 1):
        for key in map(id_of, changes_of(record)):
            if key in snapshots and snapshots[key].position < position:
                wrong.append(f"log record {position}: the snapshot of {uuid.UUID(bytes=key)} lacks it")
    stepped = [position for position, record in enumerate(log, 1) if record.kind == "step"]
    if stepped and stepped[-1] > through:
        return "cannot be told here: ticks above the snapshots have to be run again"
    image = {key: (record.kind, copy.deepcopy(record.body)) for key, record in snapshots.items()}
    floors = {key: max(through, record.position) for key, record in snapshots.items()}
    replay(image, log, lambda key: floors.get(key, through))
    if not stepped:
        told = replay({}, log, lambda key: 0)
        for key in sorted(image.keys() | told.keys()):
            stands, expected = (pack(list(world.get(key, ()))) for world in (image, told))  # a NaN equals nothing
            if stands != expected:
                wrong.append(f"object {uuid.UUID(bytes=key)} is not the one that the log tells of")
    return world_hash(image)


def check_seen(folder, meta, log, wrong):
    """What `world.seen` says of the log. Slots that are not whole, or of another world, say nothing."""
    path = os.path.join(folder, "world.seen")
    slots = []
    if os.path.exists(path):
        with open(path, "rb") as file:
            content = file.read(128)
        for slot in (content[:64], content[64:]):
            if len(slot) == 64 and slot[:4] == b"SEEN" and crc32c(slot[:60]) == take("I", slot, 60, "a slot")[0]:
                slots.append((*take("QQQ", slot, 24, "a slot"), slot[8:24]))
    for _, position, chain, world in sorted(slots)[-1:]:
        if world == meta.body["world_id"] and position > len(log):
            wrong.append(f"the world went back in time: by `world.seen` record {position} was on disk")
        elif world == meta.body["world_id"] and position and getattr(log[position - 1], "chain", chain) != chain:
            wrong.append(f"the world went back in time: by `world.seen` record {position} was another")


def check(store, folder, wrong):
    """Gathers what is wrong; answers the figures."""
    meta = read_meta(store)
    log = []
    for position, record in read_log(store):
        if isinstance(record, Damage):
            wrong.append(f"log record {position}: {record}")
        log.append(record)
    whole = not wrong
    if meta.position != len(log) or meta.sequence != 0:
        wrong.append(f"the log ends at record {len(log)}, not at {meta.position}")
    elif whole and log and log[-1].chain != meta.chain:
        wrong.append("the end of the log is not the one that was written last")
    snapshots, set_hash = {}, 0
    for key, record in read_snapshots(store):
        if isinstance(record, Damage):
            wrong.append(f"snapshot {key.hex()}: {record}")
            continue
        if record.position > meta.position or record.sequence != 0 or record.chain == 0:
            wrong.append(f"snapshot {key.hex()}: its header says what cannot be")
        snapshots[key] = record
        set_hash += xxh3_of_20(key + struct.pack("<I", record.crc))
    if set_hash & MASK64 != meta.body["set_hash"]:
        wrong.append("the snapshots are not the ones that were written last")
    suspended, quarantined = {}, 0
    for key, value in store.items("suspended"):
        if len(key) != 8 or len(value) != 16:
            raise Damage("an entry of `suspended` has an impossible form")
        suspended[struct.unpack(">Q", key)[0]] = struct.unpack(">QQ", value)
    for key, value in store.items("quarantine"):
        if key.partition(b"/")[0] not in (b"heartwood", b"sapwood", b"suspended", b"meta"):
            wrong.append("a key of `quarantine` names no database")
        QUARANTINED(unpack(value))
        quarantined += 1
    check_seen(folder, meta, log, wrong)
    hashed = "is not told: something is damaged"
    if whole and all(record.kind != "lost" for record in log):
        check_log(log, meta, suspended, wrong)
    if not wrong:
        hashed = check_image(log, meta.body["snapshots_through"], snapshots, wrong)
    kinds = [getattr(record, "kind", "damaged") for record in [*log, *snapshots.values()]]
    return {
        "records": len(log), "envelopes": kinds.count("envelope"), "outcomes": kinds.count("outcome"),
        "snapshots": len(snapshots), "tombstones": kinds.count("tombstone"), "quarantined": quarantined,
        "clean": "yes" if meta.body["clean"] else "no", "world hash": hashed,
    }


# The command


def as_json(thing):
    """Ids as text, numbers that JSON lacks as text."""
    if isinstance(thing, bytes):
        return str(uuid.UUID(bytes=thing)) if len(thing) == 16 else thing.hex()
    if isinstance(thing, float) and thing - thing != 0:
        return str(thing)
    if isinstance(thing, list):
        return [as_json(item) for item in thing]
    if isinstance(thing, dict):
        return {key: as_json(item) for key, item in thing.items()}
    return thing


def list_records(records, head):
    """Prints records; answers whether one is damaged."""
    damaged = False
    for key, record in records:
        if isinstance(record, Damage):
            line = {"damage": str(record)}
            damaged = True
        else:
            line = {"position": record.position, "sequence": record.sequence, "kind": record.kind, "body": record.body}
        print(json.dumps(as_json({**head(key), **line})))
    return damaged


def run(options):
    try:
        store = Store(options.world)
    except OSError as error:
        print(f"there is no world to read: {error}", file=sys.stderr)
        return 3
    wrong, figures = [], {}
    try:
        if options.objects:
            wrong += ["a snapshot is damaged"] * list_records(read_snapshots(store), lambda key: {"id": key})
        elif options.check:
            figures = check(store, options.world, wrong)
        else:
            wrong += ["a record is damaged"] * list_records(read_log(store), lambda position: {"position": position})
    except Damage as reason:
        wrong.append(f"{reason}; nothing after that was read")
    if store.was_overtaken():
        print("the world was written to while it was read: try again, or read a backup", file=sys.stderr)
        return 3
    for name, figure in figures.items():
        print(f"{name:<11} {figure}")
    for reason in wrong:
        print(f"damage: {reason}", file=sys.stdout if options.check else sys.stderr)
    if options.check and not wrong:
        print("everything is as the format promises")
    return 4 if wrong else 0


def main():
    about, _, more = __doc__.partition("\n\n")
    as_it_stands = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=about, epilog=more, formatter_class=as_it_stands)
    parser.add_argument("world", help="the folder of a world")
    parser.add_argument("--objects", action="store_true", help="print snapshots and tombstones")
    parser.add_argument("--check", action="store_true", help="check everything")
    sys.setrecursionlimit(10_000)
    try:
        code = run(parser.parse_args())
        sys.stdout.flush()
        return code
    except Newer as reason:
        print(f"a newer program is needed: {reason}", file=sys.stderr)
        return 3
    except Damage as reason:
        print(f"damage: {reason}")
        return 4
    except BrokenPipeError:
        os._exit(0)  # whoever reads has seen enough; nothing is left to flush


if __name__ == "__main__":
    sys.exit(main())
