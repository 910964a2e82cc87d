"""Mutations of files: each a name and numbers, so that a list of them can be kept, done and shrunk."""

import contextlib
import io
import re
import struct
import time
import warnings
import zipfile
import zlib

import numpy as np

_NO_ARCHIVE = (
    zipfile.BadZipFile,
    ValueError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    zlib.error,
)
SIZES = (0, 1, 2, 127, 255, 32767, 65535, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 0xDEADBEEF)


def _noise(seed, n):
    return np.random.default_rng(seed).integers(0, 256, n, np.uint8).tobytes()


def _field(data, place, kind, value):
    form = "<>"[kind & 1] + "BHIQ"[kind >> 1]
    size = struct.calcsize(form)
    return data[:place] + struct.pack(form, value % (1 << 8 * size)) + data[place + size :]


BYTES = {
    "flip": lambda d, place, bit: (
        d[:place] + bytes([d[place] ^ 1 << bit]) + d[place + 1 :] if place < len(d) else d
    ),
    "run": lambda d, place, n, value: d[:place] + bytes([value]) * min(n, len(d) - place) + d[place + n :],
    "noise": lambda d, place, n, seed: (
        d[:place] + _noise(seed, min(n, max(0, len(d) - place))) + d[place + n :]
    ),
    "cut": lambda d, place: d[:place],
    "insert": lambda d, place, n, seed: d[:place] + _noise(seed, n) + d[place:],
    "remove": lambda d, place, n: d[:place] + d[place + n :],
    "duplicate": lambda d, place, n: d[:place] + d[place : place + n] + d[place:],
    "field": _field,
    "before": lambda d, n, seed: (_noise(seed, n) if seed else bytes(n)) + d,
    "after": lambda d, n, seed: d + _noise(seed, n),
    "pad": lambda d, n: d + bytes(n),
    "chain": lambda d, times: d * times,
}
"""Name -> function of the bytes and the mutation's numbers."""


def draw(rng, size, head=128):
    """A mutation of a file of so many bytes."""
    name = str(rng.choice(["flip", "run", "noise", "cut", "insert", "remove", "duplicate", "field", "field"]))
    place = int(rng.integers(0, max(1, min(size, head)) if rng.random() < 0.4 else max(1, size)))
    n = int(2 ** rng.uniform(0, 13))
    if name == "flip":
        return name, place, int(rng.integers(8))
    if name == "run":
        return name, place, n, int(rng.choice([0, 255, 32, 128]))
    if name in ("noise", "insert"):
        return name, place, n, int(rng.integers(1, 1 << 30))
    if name == "cut":
        return name, place
    if name == "field":
        value = int(rng.choice(SIZES)) if rng.random() < 0.8 else int(rng.integers(1 << 32))
        return name, int(rng.integers(0, max(1, min(size, head)))), int(rng.integers(8)), value
    return name, place, n


def mutated(data, mutations, table=BYTES):
    """The bytes after all mutations."""
    for name, *numbers in mutations:
        with contextlib.suppress(*_NO_ARCHIVE):  # after the mutations before
            data = table[name](data, *numbers)
    return data


def fewest(mutations, fails):
    """The mutations without those that a failure does not need."""
    kept = list(mutations)
    for mutation in mutations:
        fewer = [other for other in kept if other is not mutation]
        if fewer and fails(fewer):
            kept = fewer
    return kept


def shrunk(data, fails, seconds=20.0):
    """The bytes without stretches that a failure does not need, as far as the time goes."""
    end, size = time.monotonic() + seconds, len(data) // 2
    while size >= 1 and time.monotonic() < end:
        place = 0
        while place < len(data) and time.monotonic() < end:
            fewer = data[:place] + data[place + size :]
            if fewer and fails(fewer):
                data = fewer
            else:
                place += size
        size //= 2
    return data


# Texts

_NASTY = (
    b'"', b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\n\n", b"\r", b",", b"\t", b";", b"'", b"\xe2\x80\xa8",
    b"1e400", b"nan", b"-1", b"9" * 5000, b"[" * 100000, b'{"a":' * 100000, b"null", b"true", b"{}", b"[]",
    b"\xff", b"\xed\xa0\x80", b"=1+1", b"../../../etc/passwd", b"x" * 200000, b" ", b"0x10", b"1_000", b"\\",
)  # fmt: skip


def _lines(change):
    def changed(data, k, *numbers):
        lines = data.splitlines(keepends=True)
        return b"".join(change(lines, k % len(lines), *numbers)) if lines else data

    return changed


def _replaced_word(data, k, nasty):
    """The k-th number, name or quoted text becomes something else."""
    words = list(re.finditer(rb'"[^"]*"|[\w./-]+', data))
    if not words:
        return _NASTY[nasty]
    word = words[k % len(words)]
    return data[: word.start()] + _NASTY[nasty] + data[word.end() :]


TEXTS = BYTES | {
    "put": lambda d, place, nasty: d[:place] + _NASTY[nasty] + d[place:],
    "word": _replaced_word,
    "twice": _lines(lambda lines, k: lines[: k + 1] + lines[k:]),
    "without": _lines(lambda lines, k: lines[:k] + lines[k + 1 :]),
    "first": _lines(lambda lines, k: [lines[k], *lines[:k], *lines[k + 1 :]]),
    "utf16": lambda d: d.decode("utf-8", "replace").encode("utf-16"),
    "latin": lambda d: d.decode("utf-8", "replace").replace("o", "\xf6").encode("latin-1", "replace"),
    "crlf": lambda d: d.replace(b"\n", b"\r\n"),
    "bom": lambda d: b"\xef\xbb\xbf" + d,
    "cr": lambda d: d.replace(b"\n", b"\r"),
}  # fmt: skip


def draw_text(rng, data):
    """A mutation of a text."""
    name = str(
        rng.choice(
            [
                "put",
                "word",
                "word",
                "twice",
                "without",
                "first",
                "utf16",
                "latin",
                "crlf",
                "bom",
                "cr",
                "bytes",
            ]
        )
    )
    number = int(rng.integers(1 << 20))
    if name == "bytes":
        return draw(rng, len(data), 256)
    if name == "put":
        return name, number % (len(data) + 1), int(rng.integers(len(_NASTY)))
    if name == "word":
        return name, number, int(rng.integers(len(_NASTY)))
    return (name, number) if name in ("twice", "without", "first") else (name,)


# Archives


def _entries(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > 64 << 20:
            raise zipfile.BadZipFile("it is large enough")
        return [(name, archive.read(name)) for name in archive.namelist()]


def _archive(entries, method=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two entries of one name
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def _entry(change):
    """A mutation of the k-th entry of an archive: of its name and contents, or what takes its place."""

    def changed(data, k, *numbers):
        entries = _entries(data)
        k %= len(entries) or 1
        return _archive([e for i, e in enumerate(entries) for e in (change(*e, *numbers) if i == k else [e])])

    return changed


def _array(array, **options):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


def _as(name, content, kind):
    """The array with other numbers, of another type or shape, or a pickle."""
    try:
        a = np.lib.format.read_array(io.BytesIO(content))
    except ValueError:
        a = np.zeros(3)
    forms = (
        lambda: a.astype("U8"), lambda: a.reshape(1, *a.shape), lambda: a.ravel()[:-1],
        lambda: np.zeros((0, *a.shape)), lambda: np.array([{"a": 1}], object), lambda: a.astype("S3"),
        lambda: np.full_like(a, 1), lambda: np.array(a.ravel()[:1]).reshape(()), lambda: a[::-1],
        lambda: np.zeros(3, "M8[s]"), lambda: np.zeros(3, [("x", "f4")]), lambda: np.full(a.shape, np.nan),
        lambda: np.full(a.shape, 1e300), lambda: a.astype(">f8"), lambda: np.zeros((2,) * 20),
        lambda: a.astype(np.complex64),
    )  # fmt: skip
    try:
        return [(name, _array(forms[kind % len(forms)](), allow_pickle=True))]
    except (ValueError, TypeError):
        return [(name, content)]


def _claims(name, content, power):
    """An array whose header claims far more numbers than there are."""
    head = {"descr": "<f4", "fortran_order": False, "shape": (1 << power % 62,)}
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, head)
    return [(name, stream.getvalue() + content[-16:])]


def _bomb(data, k, megabytes):
    """The k-th entry becomes so many zeros, which take no room."""
    entries = _entries(data)
    name = entries[k % len(entries)][0]
    head = io.BytesIO()
    shape = (megabytes << 18,)
    np.lib.format.write_array_header_1_0(head, {"descr": "<f4", "fortran_order": False, "shape": shape})
    stream = io.BytesIO(_archive([entry for entry in entries if entry[0] != name]))
    archive = zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open(name, "w", force_zip64=True) as file:
        file.write(head.getvalue())
        for _ in range(megabytes):
            file.write(bytes(1 << 20))
    return stream.getvalue()


def _all_heads(data, offset, form, value):
    """A value in every local and central header of the archive: flags, methods, sizes."""
    for mark, shift in ((b"PK\3\4", 0), (b"PK\1\2", 2)):
        place = data.find(mark)
        while place >= 0:
            at = place + offset + shift
            data = data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form) :]
            place = data.find(mark, at)
    return data


_VALUE = re.compile(rb'(?<=[:\[,] )("[^"]*"|[\d.e+-]+|null|true|false|\[[^\]]*\])')
_IN_META = (
    b'"',
    b"null",
    b"-1",
    b"1e9",
    b"0",
    b"[]",
    b'"a"',
    b"1.5",
    b"9" * 20,
    b"true",
    b"NaN",
)


def _meta(data, k, which):
    """JSON within an array of bytes, the k-th of its values changed."""
    entries = []
    for name, content in _entries(data):
        start = content.find(b"{", 64)
        values = list(_VALUE.finditer(content, start)) if start >= 0 and b"|u1" in content[:64] else []
        if values:
            value = values[k % len(values)]
            new = _IN_META[which % len(_IN_META)]
            text = content[start : value.start()] + new + content[value.end() :]
            content = _array(np.frombuffer(text, np.uint8))
        entries.append((name, content))
    return _archive(entries)


ARCHIVES = BYTES | {
    "renamed": _entry(lambda name, content: [("../" + name, content)]),
    "gone": _entry(lambda name, content: []),
    "double": _entry(lambda name, content: [(name, content), (name, content)]),
    "more": _entry(lambda name, content: [(name, content), ("x.npy", content), ("y/é.txt", b"words")]),
    "as": _entry(_as),
    "meta": _meta,
    "claims": _entry(_claims),
    "inner": _entry(lambda name, d, place, bit: [(name, BYTES["flip"](d, place % len(d), bit))]),
    "bomb": _bomb,
    "encrypted": lambda d: _all_heads(d, 6, "<H", 1),
    "method": lambda d, number: _all_heads(d, 8, "<H", number),
    "sizes": lambda d, size: _all_heads(d, 22, "<I", size),
}  # fmt: skip


def draw_archive(rng, size):
    """A mutation of an npz file."""
    names = (
        ["bytes"] * 6
        + ["renamed", "gone", "double", "more", "encrypted"]
        + ["as", "meta", "claims", "inner"] * 2
    )
    name = str(rng.choice([*names, "method", "sizes", "bomb"]))
    k, number = int(rng.integers(1 << 16)), int(rng.integers(1 << 20))
    if name == "bytes":
        return draw(rng, size, size)
    if name == "encrypted":
        return (name,)
    if name == "method":
        return name, int(rng.choice([1, 8, 12, 14, 93, 99]))
    if name == "sizes":
        return name, int(rng.choice(SIZES))
    if name == "bomb":
        return name, k, int(rng.choice([64] * 9 + [3072]))
    if name == "inner":
        return name, k, number, int(rng.integers(8))
    return (name, k, number) if name in ("as", "claims", "meta") else (name, k)
