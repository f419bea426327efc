"""Damage to the bytes of files: bits, lines, fields, columns of tables, nodes of JSON and lines of TOML."""

import gzip
import hashlib
import json
import random
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random], bytes]
MOST = 1 << 20  # bytes of a mutated file; the limit on unpacked size has a mutation of its own

FIELDS = (
    "nan",
    "NaN",
    "inf",
    "-inf",
    "Infinity",
    "1e309",
    "-1e308",
    "1e-320",
    "-0.0",
    "0",
    "-1",
    "9" * 400,
    "0x10",
    "1_000",
    "1,5",
    '"1,234.5"',
    "$5.20",
    "5%",
    "None",
    "null",
    "N/A",
    "-",
    "",
    " ",
    "true",
    "False",
    "0001-01-01",
    "9999-12-31",
    "2024-02-30",
    "2024-13-01",
    "1677-09-21",
    "2262-04-12",
    "31/12/2024",
    "13/13/2024",
    "20240419",
    "99999999",
    "00000000",
    "1709566200000",
    "99999999999999999",
    "-62135596800000",
    "2024-03-04T25:61:61Z",
    "2024-03-04 10:00:00+99:99",
    "\N{LATIN SMALL LETTER E WITH ACUTE}\N{SNOWMAN}\N{PILE OF POO}",
    "\N{RIGHT-TO-LEFT OVERRIDE}abc",
    "\N{ARABIC-INDIC DIGIT FIVE}",
    "\N{FULLWIDTH DIGIT ONE}\N{FULLWIDTH DIGIT TWO}",
    "'; DROP TABLE quotes; --",
    "=1+1",
    "../../../etc/passwd",
    "A" * 3000,
    '"',
    '""""',
    "call",
    "Straddle",
    "CE",
    "SPXW  240419C05000000",
    "SPX240419C",
    "BTC-31FEB24-60000-C",
    "BTC-19APR24-1e999-C",
    "XRP_USDC-19APR24-0d0d0-P",
    "ON",
    "0d",
    "999y",
    "1y6m3w",
    "18m2",
)
NAMES = (
    "strike",
    "date",
    "expiry",
    "T",
    "days",
    "bid",
    "ask",
    "type",
    "underlying",
    "tenor",
    "atm",
    "expiry_datetime",
)
NUMBERS = (0, -1, 1 << 63, 10**400, 1e308, -1e308, float("nan"), float("inf"), 0.5, True, None)


def flip_bits(data: bytes, rng: random.Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if flipped:
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


def cut_off(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def insert_bytes(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    junk = rng.choice(
        (b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n\n", b",,,,", b'"', b"\t", b";", rng.randbytes(5))
    )
    return data[:at] + junk * rng.choice((1, 1, 3)) + data[at:]


def change_lines(data: bytes, rng: random.Random) -> bytes:
    """A line is cut out, doubled, moved, halved, or joined with the next one."""
    lines = data.split(b"\n")
    row = rng.randrange(len(lines))
    what = rng.randrange(6)
    if what == 0:
        del lines[row]
    elif what == 1:
        lines.insert(rng.randrange(len(lines)), lines[row])
    elif what == 2:
        lines[row] = lines[row][: rng.randrange(len(lines[row]) + 1)]
    elif what == 3:
        rng.shuffle(lines)
    elif what == 4:
        lines = lines[: rng.choice((0, 1, 2))]
    else:
        lines[row : row + 2] = [b"".join(lines[row : row + 2])]
    return b"\n".join(lines)


def change_fields(data: bytes, rng: random.Random) -> bytes:
    """A few fields of a table become something else."""
    rows, separator = _fields(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        row = rng.choice(rows)
        row[rng.randrange(len(row))] = rng.choice(FIELDS).encode()
    return _joined(rows, separator)


def change_column(data: bytes, rng: random.Random) -> bytes:
    """A whole column becomes something else."""
    rows, separator = _fields(data)
    column = rng.randrange(len(rows[0]))
    value = rng.choice(FIELDS).encode()
    keeps_some = rng.random() < 0.3
    for row in rows[1:]:
        if column < len(row) and not (keeps_some and rng.random() < 0.5):
            row[column] = value
    return _joined(rows, separator)


def change_header(data: bytes, rng: random.Random) -> bytes:
    """A name of the header is doubled, replaced, cut out, or swapped with another."""
    rows, separator = _fields(data)
    header = rows[0]
    first, second = rng.randrange(len(header)), rng.randrange(len(header))
    what = rng.randrange(4)
    if what == 0:
        header[first] = header[second]
    elif what == 1:
        header[first] = rng.choice((*NAMES, *FIELDS)).encode()
    elif what == 2:
        del header[first]
    else:
        header[first], header[second] = header[second], header[first]
    return _joined(rows, separator)


def change_columns(data: bytes, rng: random.Random) -> bytes:
    """Columns are doubled, cut out, swapped, or one is added."""
    rows, separator = _fields(data)
    first, second = rng.randrange(len(rows[0])), rng.randrange(len(rows[0]))
    what = rng.randrange(4)
    for i, row in enumerate(rows):
        if max(first, second) >= len(row):
            continue
        if what == 0:
            row.insert(second, row[first])
        elif what == 1:
            del row[first]
        elif what == 2:
            row[first], row[second] = row[second], row[first]
        else:
            row.append((rng.choice(NAMES) if i == 0 else rng.choice(FIELDS)).encode())
    return _joined(rows, separator)


def change_separator(data: bytes, rng: random.Random) -> bytes:
    return data.replace(b",", rng.choice((b";", b"\t", b"|", b" ", b", ")))


def pack(data: bytes, rng: random.Random) -> bytes:
    """The file is compressed, sometimes twice or damaged afterwards, or unpacks to a long line."""
    what = rng.randrange(4)
    if what == 0:
        return gzip.compress(data, mtime=0)
    if what == 1:
        return flip_bits(gzip.compress(data, mtime=0), rng)
    if what == 2:
        return gzip.compress(gzip.compress(data, mtime=0), mtime=0)
    return gzip.compress(data + b"1" * rng.choice((200_000, 20_000_000)), mtime=0)


def _fields(data: bytes) -> tuple[list[list[bytes]], bytes]:
    """The fields of each line that is not empty, at least one."""
    lines = [line for line in data.split(b"\n") if line] or [b"a"]
    return [line.split(b",") for line in lines], b","


def _joined(rows: list[list[bytes]], separator: bytes) -> bytes:
    return b"\n".join(separator.join(row) for row in rows) + b"\n"


def change_json(data: bytes, rng: random.Random) -> bytes:
    """A node of a JSON document becomes something else; a document with a digest gets the right one."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return flip_bits(data, rng)
    for _ in range(rng.choice((1, 1, 2, 4))):
        content = _changed(content, rng)
    if isinstance(content, dict) and "digest" in content and rng.random() < 0.9:
        plain = {key: value for key, value in content.items() if key != "digest"}
        text = json.dumps(plain, sort_keys=True)
        content["digest"] = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps(content).encode("utf-8", "surrogatepass")


def _changed(node: object, rng: random.Random) -> object:
    """The document with one node, down some path, replaced."""
    if isinstance(node, dict) and node and rng.random() < 0.85:
        key = rng.choice(list(node))
        what = rng.random()
        if what < 0.08:
            return {name: value for name, value in node.items() if name != key}
        if what < 0.12:
            return node | {rng.choice(FIELDS): node[key]}
        return node | {key: _changed(node[key], rng)}
    if isinstance(node, list) and node and rng.random() < 0.85:
        row = rng.randrange(len(node))
        if rng.random() < 0.1:
            return node[:row] + node[row + 1 :]
        return [*node[:row], _changed(node[row], rng), *node[row + 1 :]]
    return rng.choice((rng.choice(FIELDS), rng.choice(NUMBERS), [], {}, [node], {"a": node}, [[]], "x"))


def nest_deeply(data: bytes, rng: random.Random) -> bytes:
    opening = rng.choice((b"[", b'{"a":', b"[{"))
    return opening * rng.choice((100, 100_000))


def change_toml(data: bytes, rng: random.Random) -> bytes:
    """A value, key or section of a TOML file becomes something else."""
    lines = data.split(b"\n")
    keyed = [i for i, line in enumerate(lines) if b"=" in line and not line.startswith(b"#")]
    if not keyed:
        return flip_bits(data, rng)
    row = rng.choice(keyed)
    key, _, value = lines[row].partition(b"=")
    what = rng.randrange(5)
    if what == 0:
        lines[row] = key + b"=" + rng.choice(TOML_VALUES).encode()
    elif what == 1:
        lines[row] = rng.choice((b"unknown ", b"'' ", b"a.b.c ", b"[", key.upper())) + b"=" + value
    elif what == 2:
        lines.insert(rng.randrange(len(lines)), lines[row])
    elif what == 3:
        lines.insert(
            rng.randrange(len(lines)),
            rng.choice((b"[data]", b"[[data]]", b"[x.y]", b"[filters", b"[[gate]]")),
        )
    else:
        lines[row] = key + b"= " + rng.choice(FIELDS).encode()
    return b"\n".join(lines)


TOML_VALUES = (
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-1",
    "0",
    "0.0",
    "9223372036854775807",
    "-9223372036854775808",
    "1" * 400,
    "true",
    '""',
    '"x"',
    "[]",
    "[[]]",
    "[1, 'a']",
    "[nan, nan]",
    "[2.0, 1.0]",
    "{}",
    "{ a = 1 }",
    "1979-05-27",
    "07:32:00",
    '"\\ud800"',
    '"\\u0000"',
    "'../../x'",
    '"all"',
    '["all", "BTC"]',
    '"' + "A" * 5000 + '"',
    "[" * 500 + "]" * 500,
)

ANY = (flip_bits, cut_off, insert_bytes, change_lines)
TABLE = (
    *ANY,
    change_fields,
    change_fields,
    change_column,
    change_header,
    change_columns,
    change_separator,
    pack,
)
JSON = (*ANY, change_json, change_json, change_json, change_json, nest_deeply)
TOML = (*ANY, change_toml, change_toml, change_toml)
BINARY = (flip_bits, cut_off, insert_bytes)


def mutated(data: bytes, mutations: tuple[Mutation, ...], rng: random.Random) -> bytes:
    """The data after one to four mutations, drawn from some."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = rng.choice(mutations)(data, rng)[:MOST] if not data.startswith(b"\x1f\x8b") else data
    return data
