"""The zip around a compiled model, read strictly.

Only what `write_zip` of `artifact` makes is read: stored members, one after another from the first
byte to the table, each name once. So no byte is read twice and no table can ask for more than the
file has. Everything else raises `nnrt.Error`.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from nnrt.errors import Error

MAGIC = b"PK\x03\x04"
MEMBERS_LIMIT = 4096
TABLE_LIMIT = 1 << 21  # bytes

LOCAL = struct.Struct("<4s5H3L2H")
ENTRY = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
LOCATOR = struct.Struct("<4sLQL")
END64 = struct.Struct("<4sQ2H2L4Q")
IN_EXTRA = 0xFFFFFFFF  # the value stands in the entry's extra field, as 64 bits
UTF8 = 0x800


@dataclass(frozen=True)
class Member:
    """Where a member's content lies in the file."""

    name: str
    header: int
    start: int
    size: int
    checksum: int


def damaged(why: str) -> Error:
    return Error(f"the compiled model is damaged: {why}.", "N0710")


def members(file: BinaryIO, size: int) -> dict[str, Member]:
    """The members of a zip of `size` bytes, in their order."""
    count, table, table_size = find_table(file, size)
    if count > MEMBERS_LIMIT or table_size > TABLE_LIMIT:
        raise damaged(f"its table lists {count:,} parts, and at most {MEMBERS_LIMIT:,} are read")
    content = read_at(file, table, table_size)
    found: dict[str, Member] = {}
    at = end = 0
    for _ in range(count):
        member, at = read_entry(file, content, at)
        if member.name in found:
            raise damaged(f"two of its parts are named `{member.name}`")
        if member.header != end or member.start + member.size > table:
            raise damaged("its parts overlap, or something lies between them")
        found[member.name] = member
        end = member.start + member.size
    if at != len(content) or end != table:
        raise damaged("its table of parts is wrong")
    return found


def find_table(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """How many members the table has, where it starts and how long it is, by the file's end."""
    place = size - END.size
    signature, disk, first, here, count, length, start, comment = END.unpack(
        read_at(file, place, END.size)
    )
    if signature != b"PK\x05\x06" or disk or first or here != count or comment:
        raise damaged("its end is missing")
    if place >= LOCATOR.size + END64.size:
        locator = LOCATOR.unpack(read_at(file, place - LOCATOR.size, LOCATOR.size))
        if locator[0] == b"PK\x06\x07":  # large files have their numbers in a second record
            place -= LOCATOR.size + END64.size
            record = END64.unpack(read_at(file, place, END64.size))
            if record[0] != b"PK\x06\x06" or locator[2] != place or record[6] != record[7]:
                raise damaged("its end is missing")
            count, length, start = record[7:]
    if start + length != place:
        raise damaged("its table of parts is wrong")
    return count, start, length


def read_entry(file: BinaryIO, table: bytes, at: int) -> tuple[Member, int]:
    """The member that the table describes at `at`, and where the next entry begins."""
    wrong = damaged("its table of parts is wrong")
    if at + ENTRY.size > len(table):
        raise wrong
    fields = ENTRY.unpack_from(table, at)
    signature, flags, method = fields[0], fields[3], fields[4]
    checksum, packed, size, name_size, extra_size, comment_size = fields[7:13]
    header = fields[16]
    name_at = at + ENTRY.size
    extra_at = name_at + name_size
    after = extra_at + extra_size
    if signature != b"PK\x01\x02" or flags & ~UTF8 or method or comment_size or fields[13]:
        raise wrong
    if after > len(table):
        raise wrong
    size, packed, header = wide(table[extra_at:after], [size, packed, header])
    if size != packed:
        raise wrong
    raw_name = table[name_at:extra_at]
    local = LOCAL.unpack(read_at(file, header, LOCAL.size))
    start = header + LOCAL.size + local[9] + local[10]
    if local[0] != MAGIC or local[2] != flags or local[3] or local[9] != name_size:
        raise wrong
    if read_at(file, header + LOCAL.size, name_size) != raw_name:
        raise wrong
    try:
        name = raw_name.decode()
    except UnicodeDecodeError:
        raise wrong from None
    return Member(name, header, start, size, checksum), after


def wide(extra: bytes, values: list[int]) -> list[int]:
    """Sizes and offset of an entry, with those that need 64 bits taken from its extra field."""
    if IN_EXTRA not in values:
        return values
    count = values.count(IN_EXTRA)
    if len(extra) < 4 + 8 * count or struct.unpack_from("<2H", extra) != (1, 8 * count):
        raise damaged("its table of parts is wrong")
    numbers = iter(struct.unpack_from(f"<{count}Q", extra, 4))
    return [next(numbers) if value == IN_EXTRA else value for value in values]


def content(file: BinaryIO, member: Member) -> bytes:
    """A member's bytes, checked against its checksum."""
    found = read_at(file, member.start, member.size)
    if zlib.crc32(found) != member.checksum:
        raise damaged(f"`{member.name}` does not match its checksum")
    return found


def read_at(file: BinaryIO, place: int, size: int) -> bytes:
    if place < 0:
        raise damaged("it ends early")
    file.seek(place)
    found = file.read(size)
    if len(found) != size:
        raise damaged("it ends early")
    return found
