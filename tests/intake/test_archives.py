"""Archives from strangers."""

import gzip
import io
import os
import struct
import tarfile
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder.intake import archives as collect
from autograder.intake.archives import ArchiveError, unpack

GOOD = {"ann_l2.ipynb": b"ann's", "folder/bob_l2.ipynb": b"bob's"}


def zipped(files, compression=zipfile.ZIP_DEFLATED):
    """Return a zip file of names (or headers) and contents."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(files):
    """Return a tar file of names (or headers) and contents."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            header = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return out.getvalue()


def gzipped(files):
    return gzip.compress(tarred(files), mtime=0)


def files_in(folder):
    """Return all that is in a folder, by name; links and devices as None."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        if path.is_file() and not path.is_symlink()
        else None
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


@pytest.fixture
def place(tmp_path):
    """Return a function that unpacks bytes and says what is found, and what was left out."""

    def place(content):
        folder = tmp_path / "unpacked"
        folder.mkdir()
        (tmp_path / "class.zip").write_bytes(content)
        try:
            files = unpack(tmp_path / "class.zip", folder)
        finally:
            # The archive itself and the one folder: nothing was written elsewhere.
            assert {path.name for path in tmp_path.iterdir()} == {"class.zip", "unpacked"}
            assert all(name.isdecimal() for name in files_in(folder))
        found = {file.name: file.path.read_bytes() for file in files if file.path}
        assert len(found) == len(files_in(folder))
        return found, [file.problem for file in files if file.problem]

    return place


@pytest.mark.parametrize("pack", [zipped, tarred, gzipped])
def test_files_keep_the_names_of_their_folders(place, pack):
    """What a learning platform packs comes out as it was."""
    assert place(pack(GOOD)) == (GOOD, [])


FOLDER = tarfile.TarInfo("folder")
FOLDER.type = tarfile.DIRTYPE


@pytest.mark.parametrize(
    "packed", [tarred({FOLDER: b"", **GOOD}), zipped({"folder/": b"", **GOOD})], ids=["tar", "zip"]
)
def test_folders_in_archives_are_no_trouble(place, packed):
    """Archives may list them as members of their own, or not."""
    assert place(packed) == (GOOD, [])


NAMES = [
    "/tmp/escaped",
    "//escaped",
    "../escaped",
    "folder/../../escaped",
    "..",
    "folder/..",
    "C:\\escaped",
    "C:escaped",
    "\\escaped",
    "..\\escaped",
    "folder\\escaped",
    "\x1b[31mred",
    "ann\n_l2.ipynb",
]


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", NAMES)
def test_unsafe_names_are_left_out(place, pack, name):
    """Nothing is written for them, and the other files are kept."""
    assert place(pack({name: b"evil", **GOOD})) == (GOOD, ["unsafe name"])


def test_a_name_with_a_nul_is_left_out(place):
    """Python would cut it there and show another name."""
    packed = zipped({"eve_l2.ipynbX": b"evil", **GOOD})
    found, [left_out] = place(packed.replace(b"eve_l2.ipynbX", b"eve_l2.ipynb\0"))
    assert found == GOOD
    assert "unsafe name" in left_out


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize(
    "name", ["x" * 300, "ann_l2.ipynb/more", "a\u202eb", "\u05d0\u200f/l2", "é"]
)
def test_names_that_no_file_can_have_are_kept(place, pack, name):
    """Too long, with a file where a folder is, or invisible: a person may be called so."""
    assert place(pack({**GOOD, name: b"ok"})) == ({**GOOD, name: b"ok"}, [])


def test_names_in_utf_8_are_read_as_such(place):
    """Even if the archive does not say so."""
    packed = zipped({"M\u00fcller_l2.ipynb": b"x"})
    for signature, offset in ((b"PK\3\4", 7), (b"PK\1\2", 9)):
        at = packed.index(signature) + offset
        packed = packed[:at] + bytes([packed[at] & ~8]) + packed[at + 1 :]
    assert place(packed) == ({"M\u00fcller_l2.ipynb": b"x"}, [])


def test_the_first_of_two_with_one_name_is_kept(place):
    """The other cannot replace it."""
    again = zipfile.ZipInfo("ann_l2.ipynb")
    with pytest.warns(UserWarning, match="Duplicate name"):
        packed = zipped({**GOOD, again: b"evil"})
    assert place(packed)[0] == GOOD


def special(kind, target=""):
    header = tarfile.TarInfo("eve_l2.ipynb")
    header.type, header.linkname = kind, target
    return header


@pytest.mark.parametrize(
    "header",
    [
        special(tarfile.SYMTYPE, "/etc/passwd"),
        special(tarfile.SYMTYPE, "ann_l2.ipynb"),
        special(tarfile.LNKTYPE, "/etc/passwd"),
        special(tarfile.LNKTYPE, "ann_l2.ipynb"),
        special(tarfile.FIFOTYPE),
        special(tarfile.CHRTYPE),
        special(tarfile.BLKTYPE),
    ],
    ids=lambda header: f"{header.type}{header.linkname}",
)
def test_links_and_devices_in_tar_files_are_left_out(place, header):
    """The file that they point to is neither read nor written."""
    found, [left_out] = place(tarred({**GOOD, header: b""}))
    assert found == GOOD
    assert left_out == "not a regular file"


def test_writing_through_a_link_is_impossible(place, tmp_path):
    """A link to a folder, then a file in that folder: the classic."""
    header = special(tarfile.SYMTYPE, str(tmp_path))
    header.name = "door"
    found, left_out = place(tarred({header: b"", "door/escaped": b"evil", **GOOD}))
    assert found == {**GOOD, "door/escaped": b"evil"}
    assert len(left_out) == 1


def test_links_in_zip_files_are_left_out(place):
    """They are known by the mode in their headers."""
    header = zipfile.ZipInfo("eve_l2.ipynb")
    header.external_attr = 0o120777 << 16
    found, [left_out] = place(zipped({header: b"/etc/passwd", **GOOD}))
    assert found == GOOD
    assert "not a regular file" in left_out


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_large_file_costs_only_itself(place, pack):
    """A student's bomb in the class's archive does not keep the others from being collected."""
    others = {f"{n}_l2.ipynb": os.urandom(20_000) for n in range(10)}
    found, [left_out] = place(pack({"eve_l2.ipynb": bytes(3 * collect.MAX_BYTES), **others}))
    assert found == others
    assert left_out == "more than 30 MB"


def test_a_header_that_lies_about_its_size_does_not_help(place):
    """What counts is what comes out; zipfile itself stops at the size that was promised."""
    content = bytearray(zipped({"eve_l2.ipynb": bytes(1000)}))
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<L", content, content.index(signature) + offset, 10)
    with pytest.raises(ArchiveError, match="damaged"):
        place(bytes(content))


@pytest.mark.parametrize("pack", [zipped, gzipped])
def test_bombs_are_refused(place, pack):
    """Many times the size of the archive, of which nothing remains."""
    with pytest.raises(ArchiveError, match="100 times"):
        place(pack({f"{n}_l2.ipynb": bytes(collect.MAX_BYTES // 2) for n in range(5)}))


def test_a_bomb_of_overlapping_members_is_refused(place):
    """All entries of the directory share one compressed member."""
    single = zipped({"a_l2.ipynb": bytes(5_000_000)})
    start = single.index(b"PK\1\2")
    end = single.index(b"PK\5\6")
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 9, 9, 9 * (end - start), start, 0)
    entries = b"".join(
        single[start:end].replace(b"a_l2.ipynb", b"%d_l2.ipynb" % n) for n in range(9)
    )
    with pytest.raises(ArchiveError):
        place(single[:start] + entries + tail)


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_too_many_members_are_refused(place, pack, monkeypatch):
    """Folders count too."""
    monkeypatch.setattr(collect, "MAX_MEMBERS", 5)
    folders = {f"{n}/": b"" for n in range(3)}
    if pack is tarred:
        folders = {special(tarfile.DIRTYPE): b""} | {special(tarfile.FIFOTYPE): b"" for _ in "ab"}
    with pytest.raises(ArchiveError, match="more than 5"):
        place(pack({**folders, **GOOD, "one more": b""}))


def test_too_much_in_all_is_refused(place, monkeypatch):
    """Whatever the ratio."""
    monkeypatch.setattr(collect, "MAX_TOTAL", 1000)
    with pytest.raises(ArchiveError, match="1000 bytes"):
        place(zipped({"a_l2.ipynb": bytes(600), "b_l2.ipynb": bytes(600)}, zipfile.ZIP_STORED))


def test_archives_in_archives_stay_closed(place):
    """They come out as the files that they are."""
    inner = {"ann.zip": zipped(GOOD), "bob.tar.gz": gzipped(GOOD)}
    assert place(zipped(inner)) == (inner, [])


def long_header(kind):
    """Return a tar file whose header for long names promises 200 MB."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = kind, 200_000_000
    return gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(1_000_000), mtime=0)


def test_headers_are_not_read_whatever_their_size(place):
    """A name of megabytes would be held in memory several times."""
    with pytest.raises(ArchiveError, match="header"):
        place(tarred({"x" * 200_000: b"evil"}))


def negative_size():
    header = bytearray(tarfile.TarInfo("ann_l2.ipynb").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + b"\xfe\x00"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(2000)


def encrypted():
    content = bytearray(zipped({"ann_l2.ipynb": b"ann's"}))
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + offset] |= 1
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        zipped(GOOD)[:-30],
        zipped(GOOD)[:40] + b"\0\0\0" + zipped(GOOD)[43:],
        gzipped(GOOD)[:-20],
        gzip.compress(b"no tar file", mtime=0),
        long_header(tarfile.GNUTYPE_LONGNAME),
        long_header(tarfile.GNUTYPE_LONGLINK),
        long_header(tarfile.XHDTYPE),
        long_header(tarfile.XGLTYPE),
        negative_size(),
    ],
)
def test_damaged_archives_are_refused(place, content):
    """The error says what to do."""
    with pytest.raises(ArchiveError) as caught:
        place(content)
    assert str(caught.value).count(". ") == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (encrypted(), "encrypted"),
        (zipped({"a": b"x"}, zipfile.ZIP_LZMA), "unusual compression"),
        (zipped({"a": b"x"}, zipfile.ZIP_BZIP2), "unusual compression"),
    ],
)
def test_members_that_need_a_key_or_much_memory_are_left_out(place, content, reason):
    """With the reason."""
    found, [left_out] = place(content)
    assert (found, left_out) == ({}, reason)


@settings(max_examples=100)
@given(data=st.data())
def test_damage_anywhere_never_raises_anything_else(tmp_path_factory, data):
    """Nor does it write outside of the folder."""
    folder = tmp_path_factory.mktemp("fuzz")
    pack = data.draw(st.sampled_from([zipped, tarred]))
    content = bytearray(pack(GOOD))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    if data.draw(st.booleans()):
        content = gzip.compress(bytes(content))
    (folder / "class.zip").write_bytes(content)
    (folder / "unpacked").mkdir()
    with suppress(ArchiveError):
        unpack(folder / "class.zip", folder / "unpacked")
    assert {path.name for path in folder.iterdir()} == {"class.zip", "unpacked"}


def test_an_archive_that_is_a_link_or_a_pipe_is_refused(tmp_path):
    """Opening a pipe would wait for ever."""
    (tmp_path / "real").write_bytes(zipped(GOOD))
    (tmp_path / "link.zip").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "pipe.zip")
    for name in ("link.zip", "pipe.zip"):
        with pytest.raises(ArchiveError, match="regular"):
            unpack(tmp_path / name, tmp_path)
