# SPDX-License-Identifier: MIT
"""azblob sync: afterwards one side is what the other one is, and nothing else was touched."""

import ctypes
import os
import threading

import pytest


def make(directory, files):
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


def tree(directory):
    return {str(path.relative_to(directory)): path.read_bytes()
            for path in directory.rglob("*") if path.is_file()}


def sync(azblob, *arguments):
    """The lines and the summary."""
    lines = azblob.ok("--json", "sync", *arguments).json
    return [(line["op"], line["name"]) for line in lines[:-1]], lines[-1]


FILES = {"a": b"1", "b/c": b"22", "b/d e": b"333", "z": b""}


def test_up_and_down_and_nothing_twice(azblob, box, tmp_path):
    source = make(tmp_path / "source", FILES)
    lines, summary = sync(azblob, source, f"{box}/p")
    assert sorted(name for _, name in lines) == sorted(f"p/{name}" for name in FILES)
    assert (summary["op"], summary["command"], summary["files"]) == ("summary", "sync", 4)
    assert sync(azblob, source, f"{box}/p")[1]["unchanged"] == 4
    lines, summary = sync(azblob, f"{box}/p/", tmp_path / "back")
    assert len(lines) == 4 and tree(tmp_path / "back") == FILES
    # Times went along, so that neither direction has anything to do.
    for name in FILES:
        assert (tmp_path / "back" / name).stat().st_mtime_ns == (source / name).stat().st_mtime_ns
    assert sync(azblob, f"{box}/p", tmp_path / "back")[0] == []
    assert sync(azblob, tmp_path / "back", f"{box}/p")[0] == []


def test_what_differs_is_moved_by_time_and_by_size(azblob, box, tmp_path):
    source = make(tmp_path / "source", FILES)
    sync(azblob, source, box)
    (source / "a").write_bytes(b"2")
    os.utime(source / "a", ns=(0, 1_700_000_000_000_000_001))
    (source / "b/c").write_bytes(b"longer")
    assert [name for _, name in sync(azblob, "--compare", "size", source, box)[0]] == ["b/c"]
    assert [name for _, name in sync(azblob, source, box)[0]] == ["a"]
    assert azblob.ok("cat", f"{box}/a").out == b"2"
    shown = azblob.ok("--json", "stat", f"{box}/a").json[0]
    assert shown["metadata"] == {"mtime": "2023-11-14T22:13:20.000000001Z"}


def test_a_blob_without_its_files_time_is_newer_than_the_file_or_not(azblob, box, tmp_path):
    source = make(tmp_path / "source", {"old": b"x", "new": b"x"})
    azblob.ok("put", "-r", f"{source}/", box)
    os.utime(source / "old", (1_000_000_000, 1_000_000_000))
    os.utime(source / "new", (4_000_000_000, 4_000_000_000))
    assert [name for _, name in sync(azblob, source, box)[0]] == ["new"]


def test_by_hash_only_content_counts(azblob, box, tmp_path):
    source = make(tmp_path / "source", FILES)
    sync(azblob, "--compare", "hash", source, box)
    for name in FILES:
        os.utime(source / name, (1_000_000_000, 1_000_000_000))
    assert sync(azblob, "--compare", "hash", source, box)[0] == []
    (source / "b/c").write_bytes(b"23")
    assert [name for _, name in sync(azblob, "--compare", "hash", source, box)[0]] == ["b/c"]
    # Of more than one request, too.
    (source / "large").write_bytes(bytes(300000))
    sync(azblob, "--block-size", "64K", "--compare", "hash", source, box)
    assert sync(azblob, "--compare", "hash", source, box)[0] == []
    sync(azblob, "--compare", "hash", box, tmp_path / "back")
    assert tree(tmp_path / "back") == tree(source)
    assert sync(azblob, "--compare", "hash", box, tmp_path / "back")[0] == []


def test_only_delete_deletes_and_a_dry_run_does_nothing(azblob, box, tmp_path):
    source = make(tmp_path / "source", FILES)
    sync(azblob, source, f"{box}/p")
    azblob.ok("put", "-", f"{box}/p/extra", stdin=b"x")
    azblob.ok("put", "-", f"{box}/p2", stdin=b"not below it")
    sync(azblob, source, f"{box}/p")
    (source / "z").write_bytes(b"now longer")
    planned = azblob.ok("sync", "-n", "--delete", source, f"{box}/p")
    assert planned.lines == ["put z (size)", "delete extra"]
    assert "would put 1 files" in planned.err
    assert azblob.ok("cat", f"{box}/p/extra").out == b"x"
    lines, summary = sync(azblob, "--delete", source, f"{box}/p")
    assert sorted(lines) == [("delete", "extra"), ("put", "p/z")]
    assert (summary["deleted"], summary["unchanged"]) == (1, 3)
    assert azblob.run("stat", f"{box}/p/extra").code == 3
    azblob.ok("stat", f"{box}/p2")
    # Downwards: directories that are empty then go, too.
    back = make(tmp_path / "back", {"gone/deep/er": b"x", "a": b"1"})
    (back / "link").symlink_to("a")
    sync(azblob, "--delete", f"{box}/p", back)
    assert tree(back) == {**tree(source), "link": b"1"} and not (back / "gone").exists()


def test_nothing_is_deleted_when_the_source_cannot_be_read(azblob, box, tmp_path):
    source = make(tmp_path / "source", FILES)
    sync(azblob, source, box)
    failed = azblob.run("sync", "--delete", tmp_path / "none", box)
    assert failed.code == 7 and "nothing was done" in failed.err
    assert len(azblob.ok("ls", box).lines) == 4
    failed = azblob.run("sync", "--delete", "no-such-container", source)
    assert failed.code == 3 and tree(source) == FILES
    # A name that can't be a file is not a file that is not there.
    azblob.ok("put", "-", f"{box}/b//x", stdin=b"x")
    (source / "mine").write_bytes(b"x")
    failed = azblob.run("sync", "--delete", box, source)
    assert failed.code == 7 and (source / "mine").exists()


def test_nothing_is_deleted_when_not_all_could_be_moved(azblob, box, tmp_path):
    source = make(tmp_path / "source", FILES)
    sync(azblob, source, box)
    # A directory where a file should be.
    back = make(tmp_path / "back", {"a/inner": b"x", "mine": b"x"})
    failed = azblob.run("sync", "--delete", box, back)
    assert failed.code == 7 and "nothing is deleted" in failed.err
    assert tree(back) == {**{name: FILES[name] for name in FILES if name != "a"},
                          "a/inner": b"x", "mine": b"x"}


def linked(tmp_path):
    """A tree with links that lead out of it, and what they lead to."""
    outside = make(tmp_path / "outside", {"victim": b"kept", "dir/y": b"kept"})
    inside = make(tmp_path / "inside", {"deep/d": b"9"})
    (inside / "b").symlink_to(outside / "victim")
    (inside / "none").symlink_to(outside / "none")
    (inside / "sub").symlink_to(outside / "dir")
    (inside / "deep/sub").symlink_to(outside / "dir")
    os.mkfifo(inside / "pipe")
    return inside, outside


LINKED = {"a": b"1", "b": b"22", "none": b"3", "sub/x": b"4", "sub/y": b"5", "deep/sub/z/x": b"6",
          "deep/d": b"7"}


def test_sync_writes_nothing_through_links(azblob, box, tmp_path):
    sync(azblob, make(tmp_path / "source", {**LINKED, "pipe": b"8"}), f"{box}/s")
    inside, outside = linked(tmp_path)
    links = {path: path.readlink() for path in inside.rglob("*") if path.is_symlink()}
    for options in (["--compare", "hash"], ["--delete"]):
        done = azblob.ok("sync", *options, f"{box}/s", inside)
        assert "sub/x: what is not synced is in its place" in done.err
        assert tree(outside) == {"victim": b"kept", "dir/y": b"kept"}
        assert {path: path.readlink() for path in inside.rglob("*") if path.is_symlink()} == links
        assert (inside / "pipe").is_fifo()
        assert (inside / "a").read_bytes() == b"1" and (inside / "deep/d").read_bytes() == b"7"


def test_get_of_a_tree_writes_nothing_through_links(azblob, box, tmp_path):
    sync(azblob, make(tmp_path / "source", LINKED), f"{box}/s")
    inside, outside = linked(tmp_path)
    failed = azblob.run("get", "-r", f"{box}/s/", inside)
    assert failed.code == 7 and failed.err.count("is a link, which is not followed") == 5
    assert tree(outside) == {"victim": b"kept", "dir/y": b"kept"}
    assert (inside / "a").read_bytes() == b"1" and (inside / "deep/d").read_bytes() == b"7"
    # The directory that the blobs' last part makes is one of the tree; the one given is not.
    (tmp_path / "top").mkdir()
    (tmp_path / "top/s").symlink_to(outside)
    assert azblob.run("get", "-r", f"{box}/s", tmp_path / "top").code == 7
    assert tree(outside) == {"victim": b"kept", "dir/y": b"kept"}
    (tmp_path / "real").mkdir()
    (tmp_path / "given").symlink_to("real")
    azblob.ok("get", "-r", f"{box}/s", tmp_path / "given")
    assert tree(tmp_path / "real/s") == LINKED


def test_get_of_a_tree_writes_into_no_pipe(azblob, box, tmp_path):
    """Nobody may ever read it, and what is in it would be lost."""
    azblob.ok("put", "-", f"{box}/t/pipe", stdin=b"1")
    azblob.ok("put", "-", f"{box}/t/sub/x", stdin=b"2")
    azblob.ok("put", "-", f"{box}/t/dir", stdin=b"3")
    make(tmp_path / "in", {"dir/inner": b"kept"})
    os.mkfifo(tmp_path / "in/pipe")
    failed = azblob.run("get", "-r", f"{box}/t/", tmp_path / "in")
    assert failed.code == 7
    assert f"{tmp_path}/in/pipe is no regular file" in failed.err
    assert f"{tmp_path}/in/dir is a directory" in failed.err
    assert (tmp_path / "in/pipe").is_fifo()
    assert tree(tmp_path / "in") == {"dir/inner": b"kept", "sub/x": b"2"}
    # Given by name it is written to: the caller says so.
    process = azblob.start("get", f"{box}/t/pipe", tmp_path / "in/pipe")
    assert (tmp_path / "in/pipe").read_bytes() == b"1"
    assert process.wait(120) == 0


RENAME_EXCHANGE = 2


class Swapped(threading.Thread):
    """A directory of the tree is a link elsewhere, and a directory again, as fast as that goes."""

    def __init__(self, place, elsewhere):
        super().__init__()
        self.names = [-100, os.fsencode(place), -100, os.fsencode(place.parent.parent / "link")]
        (place.parent.parent / "link").symlink_to(elsewhere)
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.ended = threading.Event()
        self.failed = None

    def exchange(self):
        if self.libc.renameat2(*self.names, RENAME_EXCHANGE):
            self.failed = os.strerror(ctypes.get_errno())

    def run(self):
        while not self.ended.is_set() and not self.failed:
            self.exchange()
            self.exchange()

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        self.ended.set()
        self.join()
        assert not self.failed, self.failed


@pytest.mark.parametrize("arguments", [["get", "-r"], ["sync", "--delete", "--compare", "size"]])
def test_a_directory_that_becomes_a_link_meanwhile_leads_nowhere(http, box, tmp_path, arguments):
    """What is outside of the tree stays as it is, whenever the link appears."""
    for number in range(30):
        http.ok("put", "-", f"{box}/t/sub/f{number}", stdin=b"new")
    outside = make(tmp_path / "outside", {f"f{number}": b"kept" for number in range(10)})
    (outside / "only-there").write_bytes(b"kept")
    before = tree(outside)
    inside = make(tmp_path / "inside", {"sub/old": b"x"})
    with Swapped(inside / "sub", outside):
        for _ in range(3):
            # Some may fail, since a link was in the way; none is written elsewhere.
            done = http.run(*arguments, f"{box}/t/", inside)
            assert done.code in (0, 7), done.err
            assert "only-there" not in done.err
    assert tree(outside) == before
    http.ok(*arguments, f"{box}/t/", inside)
    assert {name for name in tree(inside) if name.startswith("sub/f")} == \
        {f"sub/f{number}" for number in range(30)}


def test_an_upload_reads_nothing_through_a_link_that_appears(http, box, tmp_path):
    outside = make(tmp_path / "outside", {f"f{number}": b"secret" for number in range(20)})
    (outside / "only-there").write_bytes(b"secret")
    inside = make(tmp_path / "inside", {f"sub/f{number}": b"mine" for number in range(20)})
    with Swapped(inside / "sub", outside):
        for _ in range(3):
            done = http.run("put", "-r", f"{inside}/", f"{box}/p/")
            assert done.code in (0, 7), done.err
            # Nor is it looked into.
            planned = http.run("sync", "-n", "--delete", f"{box}/p/", inside)
            assert planned.code in (0, 7), planned.err
            for seen in (done.err, planned.err, planned.out.decode()):
                assert "only-there" not in seen
    uploaded = {http.ok("cat", f"{box}/{name}").out for name in http.ok("ls", f"{box}/p/").lines}
    assert uploaded <= {b"mine"}


def test_what_is_skipped_at_the_source_is_not_deleted(azblob, box, tmp_path):
    names = {"a", "b", "deep/sub/z/x", "sub/x", ".azblob-k", "deep/.azblob-d/k"}
    for name in {*names, "gone", "subx", "deep/gone"}:
        azblob.ok("put", "-", f"{box}/s/{name}", stdin=b"0")
    inside, _ = linked(tmp_path)
    make(inside, {"a": b"1", ".azblob-k": b"half", "deep/.azblob-d/k": b"half"})
    lines, summary = sync(azblob, "--delete", inside, f"{box}/s")
    assert {name for op, name in lines if op == "delete"} == {"gone", "subx", "deep/gone"}
    assert {name for op, name in lines if op == "put"} == {"s/a", "s/deep/d"}
    assert set(azblob.ok("ls", f"{box}/s/").lines) >= {f"s/{name}" for name in names}


def test_what_stands_for_a_directory_is_not_a_file(azblob, box, tmp_path):
    azblob.ok("put", "--metadata", "hdi_isfolder=true", "/dev/null", f"{box}/t/d")
    azblob.ok("put", "-", f"{box}/t/d/x", stdin=b"x")
    sync(azblob, f"{box}/t", tmp_path / "down")
    assert tree(tmp_path / "down") == {"d/x": b"x"}
    azblob.ok("get", "-r", f"{box}/t/", tmp_path / "got")
    assert tree(tmp_path / "got") == {"d/x": b"x"}
    # Nor is it deleted for not being one.
    assert sync(azblob, "--delete", tmp_path / "down", f"{box}/t")[1]["deleted"] == 0
    azblob.ok("stat", f"{box}/t/d")


def test_interrupted_downloads_are_no_files_of_the_tree(azblob, box, tmp_path):
    source = make(tmp_path / "source", {"a": b"1", ".azblob-0123.part": b"half", "b/.hidden": b"2"})
    sync(azblob, source, box)
    assert azblob.ok("ls", box).lines == ["a", "b/.hidden"]


@pytest.mark.parametrize("arguments, says", [
    (["sync", "/tmp"], "one source and one destination"),
    (["sync", "/tmp", "/var"], "one must be a directory"),
    (["sync", "box/a", "box/b"], "one must be a directory"),
    (["sync", "--compare", "mood", "/tmp", "box"], "time, size or hash"),
    (["sync", "/tmp", "UPPER"], "container name"),
    (["put", "--delete", "/tmp", "box"], "not an option of \"put\""),
    (["rm", "-n", "box/x"], "-n is not an option"),
])
def test_bad_input_of_sync_is_refused_in_one_clear_line(http, arguments, says):
    result = http.run(*arguments)
    assert result.code == 2, result.err
    assert says in result.err and result.out == b""
