"""Archives from strangers, and names of files, through the plug-ins of `nbgrader zip_collect`."""

import gzip
import io
import logging
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbgrader.apps import ZipCollectApp
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from autograder.intake import archives as collect
from autograder.intake.archives import ArchiveError, SafeExtractor, SafeNameCollector, extract

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
    """Return a function that extracts bytes and says what is found, and what was left out."""

    def place(content, name="class.zip"):
        outside = tmp_path / "outside"
        outside.mkdir()
        (tmp_path / name).write_bytes(content)
        try:
            left_out = extract(tmp_path / name, outside / "class")
        finally:
            # The archive itself and the one folder: nothing was written elsewhere.
            assert {path.name for path in tmp_path.iterdir()} == {name, "outside"}
            assert {path.name for path in outside.iterdir()} <= {"class"}
        return files_in(outside / "class"), left_out

    return place


@pytest.mark.parametrize("pack", [zipped, tarred, gzipped])
def test_archives_are_extracted_with_their_folders(place, pack):
    """What a learning platform packs comes out as it was."""
    assert place(pack(GOOD)) == (GOOD, [])


def test_folders_in_archives_are_no_trouble(tmp_path, place):
    """Archives may list them as members of their own, or not."""
    folder = tarfile.TarInfo("folder")
    folder.type = tarfile.DIRTYPE
    assert place(tarred({folder: b"", **GOOD})) == (GOOD, [])
    (tmp_path / "outside" / "class").rename(tmp_path / "outside" / "first")
    (tmp_path / "second.zip").write_bytes(zipped({"folder/": b"", **GOOD}))
    assert extract(tmp_path / "second.zip", tmp_path / "outside" / "class") == []


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
    "ann\u202e_l2.ipynb",
    "ann\n_l2.ipynb",
    "ann_l2\u200b.ipynb",
]


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", NAMES)
def test_unsafe_names_are_left_out(place, pack, name):
    """Nothing is written for them, the other files are kept, and the report can be printed."""
    found, [left_out] = place(pack({name: b"evil", **GOOD}))
    assert found == GOOD
    assert left_out.startswith("unsafe name")
    assert left_out.isprintable()
    assert left_out.isascii()


def test_a_name_with_a_nul_is_left_out(place):
    """Python would cut it there and show another name."""
    packed = zipped({"eve_l2.ipynbX": b"evil", **GOOD})
    found, [left_out] = place(packed.replace(b"eve_l2.ipynbX", b"eve_l2.ipynb\0"))
    assert found == GOOD
    assert "unsafe name" in left_out


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_cannot_be_are_left_out(place, pack):
    """Too long for a file system, or a file where a folder is."""
    evil = {"x" * 300: b"evil", "ann_l2.ipynb/more": b"evil"}
    found, left_out = place(pack(GOOD | evil))
    assert found == GOOD
    assert len(left_out) == 2


def test_the_first_of_two_with_one_name_is_kept(place):
    """The other cannot replace it."""
    again = zipfile.ZipInfo("ann_l2.ipynb")
    with pytest.warns(UserWarning, match="Duplicate name"):
        packed = zipped({**GOOD, again: b"evil"})
    found, [left_out] = place(packed)
    assert found == GOOD
    assert "name taken" in left_out


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
    assert left_out == "not a regular file: left out 'eve_l2.ipynb'"


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
    assert left_out.startswith("more than 10000000 bytes")


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
        place(pack({f"{n}_l2.ipynb": bytes(4_000_000) for n in range(5)}))


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
def test_damaged_archives_are_refused_and_leave_nothing(place, tmp_path, content):
    """The error says what to do."""
    with pytest.raises(ArchiveError) as caught:
        place(content)
    assert str(caught.value).count(". ") == 1
    assert files_in(tmp_path / "outside") == {}


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
    assert (found, left_out.split(":")[0]) == ({}, reason)


@settings(max_examples=100)
@given(data=st.data())
def test_damage_anywhere_never_raises_anything_else(tmp_path_factory, data):
    """Nor does it write outside of the folder, or leave half of an archive."""
    folder = tmp_path_factory.mktemp("fuzz")
    pack = data.draw(st.sampled_from([zipped, tarred]))
    content = bytearray(pack(GOOD))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
    if data.draw(st.booleans()):
        content = gzip.compress(bytes(content))
    (folder / "class.zip").write_bytes(content)
    try:
        extract(folder / "class.zip", folder / "class")
    except ArchiveError:
        assert {path.name for path in folder.iterdir()} == {"class.zip"}
    assert {path.name for path in folder.iterdir()} <= {"class.zip", "class"}


def test_an_archive_that_is_a_link_or_a_pipe_is_refused(tmp_path):
    """Opening a pipe would wait for ever."""
    (tmp_path / "real").write_bytes(zipped(GOOD))
    (tmp_path / "link.zip").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "pipe.zip")
    for name in ("link.zip", "pipe.zip"):
        with pytest.raises(ArchiveError, match="regular"):
            extract(tmp_path / name, tmp_path / "out")


@pytest.mark.parametrize(
    "student", ["ann", "ann.lee", "ann@uni.edu", "ann+1", "a-b", "4711", "A" * 100]
)
def test_plain_student_ids_are_accepted(student):
    """All that learning platforms hand out."""
    [found] = collected([f"{student}_l2.ipynb"])
    assert found == {"student_id": student, "file_id": "l2"}


@pytest.mark.parametrize(
    "student",
    [
        "..",
        ".hidden",
        "-rf",
        "<script>",
        "a b",
        "a\u202eb",
        "a\nb",
        "a\x1b[31m",
        "müller",
        "$(id)",
        "a'b",
        "%2e",
        "*",
        "A" * 101,
    ],
)
def test_other_student_ids_are_skipped(student, caplog):
    """They would appear in paths and on pages; the error says what to do."""
    names = [f"/course/{student}_l2.ipynb", "/course/ann_l2.ipynb"]
    assert collected(names)[0] is None
    assert collected(names)[1] is not None
    assert "Rename the file" in caplog.text


def test_names_that_mean_nothing_are_skipped():
    """As nbgrader does."""
    assert collected(["/c/notes.txt", "/c/notes.ipynb"]) == [None, None]


def collected(names):
    pattern = r"(?:.*/)?(?P<student_id>[^_/]+)_(?:[^/]*_)?(?P<file_id>l2|dropout)(?:-\d+)?\.ipynb$"
    plugin = SafeNameCollector(named_regexp=pattern, log=logging.getLogger("collect"))
    return [plugin.collect(name) for name in names]


def zip_collect(root, caplog):
    """Collect l2 with the real command; return the errors that it logged."""
    config = Config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.assignment_id = "l2"
    config.ZipCollectApp.extractor_plugin = "autograder.intake.archives.SafeExtractor"
    config.ZipCollectApp.collector_plugin = "autograder.intake.archives.SafeNameCollector"
    config.FileNameCollectorPlugin.named_regexp = (
        r"(?:.*/)?(?P<student_id>[^_/]+)_(?:[^/]*_)?(?P<file_id>l2)(?:-\d+)?\.ipynb$"
    )
    app = ZipCollectApp(config=config)
    app.log = logging.getLogger("zip_collect")
    app.coursedir = CourseDirectory(parent=app)
    app.init_plugins()
    assert isinstance(app.extractor_plugin_inst, SafeExtractor)
    app.extract_archive_files()
    app.process_extracted_files()
    return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize(
    ("members", "submitted"),
    [
        (
            {"Ada_101_x/bob_l2.ipynb": b"a", "Bob_102_x/bob_l2.ipynb": b"b"},
            {"Ada": b"a", "Bob": b"b"},
        ),
        ({"Ada_101_x/bob_l2.ipynb": b"a", "bob_l2.ipynb": b"b"}, {"Ada": b"a", "bob": b"b"}),
        ({"Ada_101_x/bob_l2.ipynb": b"a"}, {"Ada": b"a"}),
        ({"Ada_101_x/l2.ipynb": b"a", "Bob/l2.ipynb": b"b"}, {"Ada": b"a", "Bob": b"b"}),
        ({"Ada_101_x/Bob_102_x/bob_l2.ipynb": b"a"}, {"Ada": b"a"}),
        ({"Ada_101_x/l2.ipynb": b"1", "Ada_101_x/l2-1.ipynb": b"2"}, {}),
        ({"Ada_101_x/l2.ipynb": b"1", "Ada_l2.ipynb": b"2", "bob_l2.ipynb": b"b"}, {"bob": b"b"}),
        ({"ann_1_l2.ipynb": b"1", "ann_2_l2.ipynb": b"2", "bob_l2.ipynb": b"b"}, {"bob": b"b"}),
    ],
)
def test_the_folder_says_whose_a_file_is(tmp_path, caplog, members, submitted):
    """Whatever its name says; of two files for one notebook, neither is collected."""
    archive = tmp_path / "downloaded" / "l2" / "archive"
    archive.mkdir(parents=True)
    (archive / "all_of_l2.zip").write_bytes(zipped(members))
    errors = zip_collect(tmp_path, caplog)
    expected = {f"{student}/l2/l2.ipynb": content for student, content in submitted.items()}
    assert files_in(tmp_path / "submitted") == expected
    assert len(errors) == len(members) - len(submitted)


@pytest.mark.parametrize("folder", ["Ada_101_x", "Ada"])
def test_a_folder_that_was_unpacked_by_hand_counts_too(tmp_path, caplog, folder):
    """Ada's file never becomes Bob's."""
    archive = tmp_path / "downloaded" / "l2" / "archive"
    (archive / folder).mkdir(parents=True)
    (archive / folder / "bob_l2.ipynb").write_bytes(b"a")
    assert zip_collect(tmp_path, caplog) == []
    assert files_in(tmp_path / "submitted") == {"Ada/l2/l2.ipynb": b"a"}


def test_zip_collect_goes_on_after_bad_archives(tmp_path, caplog):
    """The real command, with everything bad at once in its folder beside honest files."""
    archive = tmp_path / "downloaded" / "l2" / "archive"
    (archive / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (archive / "class.zip").write_bytes(zipped({**GOOD, "../../cat_l2.ipynb": b"evil"}))
    (archive / "sub" / "more.tar.gz").write_bytes(gzipped({"dan_4_l2-1.ipynb": b"dan's"}))
    (archive / "a_bomb.zip").write_bytes(
        zipped({f"{n}_l2.ipynb": bytes(4_000_000) for n in range(5)})
    )
    (archive / "broken.zip").write_bytes(b"broken")
    (archive / "eve_l2.ipynb").symlink_to(tmp_path / "secret")
    (archive / "fay_l2.ipynb").write_bytes(b"fay's")
    (archive / "<b>_l2.ipynb").write_bytes(b"evil")
    errors = zip_collect(tmp_path, caplog)
    assert files_in(tmp_path / "submitted") == {
        "ann/l2/l2.ipynb": b"ann's",
        # The folder that this file is in has no other name.
        "folder/l2/l2.ipynb": b"bob's",
        "dan/l2/l2.ipynb": b"dan's",
        "fay/l2/l2.ipynb": b"fay's",
    }
    assert len(errors) == 5
    for name in ("class.zip", "a_bomb.zip", "broken.zip", "eve_l2.ipynb", "<b>_l2.ipynb"):
        assert any(Path(name).name in error for error in errors)
