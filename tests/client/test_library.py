# SPDX-License-Identifier: MIT
"""libazblob as others see it: symbols, pkg-config, pages, and the calls themselves."""

import hashlib
import os
import re
import shutil
import subprocess

import pytest

from conftest import BUILD, ROOT, clean_environment

LIB = ROOT / "client/lib"
PAGES = LIB / "man"
API = sorted(path.stem for path in (ROOT / "tests/client/api").glob("*.c"))
SANITIZED = b"__asan_init" in (BUILD / "client/libazblob.so").read_bytes()


# Nodes that another one follows: how many symbols each has, and a sum of their names.  A line is added
# when a node is, and never changed: programs are linked with what it says.
FROZEN = {"AZBLOB_0.1": (81, "5ce35ab04813e420")}


def nodes():
    """{node: its symbols}, in the order of the map."""
    return {node: sorted(re.findall(r"^\t(azblob_\w+);", body, re.M)) for node, body in
            re.findall(r"^(AZBLOB_[0-9.]+) \{(.*?)^\}", (LIB / "azblob.map").read_text(), re.M | re.S)}


def exported():
    listing = subprocess.run(["nm", "-D", "--defined-only", BUILD / "client/libazblob.so"],
                             check=True, capture_output=True, text=True).stdout
    return {line.split()[2] for line in listing.splitlines() if " T " in line}


def test_exactly_the_calls_of_the_map_are_exported_each_with_its_version():
    # That the map, the headers, the pages and the tests agree is ci/library's.
    wanted = {f"{name}@@{node}" for node, names in nodes().items() for name in names}
    assert exported() == wanted and wanted


def test_what_programs_were_linked_with_stays_in_its_node():
    *older, _ = nodes().items()
    assert {node: (len(names), hashlib.sha256("\n".join(names).encode()).hexdigest()[:16])
            for node, names in older} == FROZEN


def test_a_call_without_a_page_or_a_test_is_found(tmp_path):
    for path in ("ci", "client", "tests"):
        shutil.copytree(ROOT / path, tmp_path / path,
                        ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    header = tmp_path / "client/lib/azblob.h"
    header.write_text(header.read_text().replace(
        "int azblob_container_create(", "int azblob_%s_it(azblob_conn *conn);\n"
        "int azblob_container_create(" % "forget", 1))
    page = tmp_path / "client/lib/man/azblob_open.3"
    page.write_text(page.read_text().replace("azblob_conn **conn,", "azblob_conn *conn,"))
    done = subprocess.run([tmp_path / "ci/library"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    # What only a comment says, or a text, or a program that nothing builds, is no test.
    (tmp_path / "tests/client/api/calls.c").write_text(
        (tmp_path / "tests/client/api/calls.c").read_text() +
        "/* azblob_%s_it(conn); */ static const char *text = \"azblob_%s_it(conn)\";\n" %
        ("forget", "forget"))
    (tmp_path / "tests/client/api/nobody.c").write_text("azblob_%s_it(conn);\n" % "forget")
    call = "azblob_%s_it" % "forget"
    for problem in (f"client/lib/azblob.map: {call} is missing",
                    f"client/lib/man: no page describes {call}",
                    f"client/lib/azblob.3: does not mention {call}", f"tests: no test calls {call}",
                    "client/lib/man/azblob_open.3: the synopsis has not the header's"):
        assert problem in done.stdout


def pkg_config(*arguments):
    env = {**os.environ, "PKG_CONFIG_PATH": str(BUILD / "meson-uninstalled")}
    return subprocess.run(["pkg-config", *arguments, "libazblob"], env=env, check=True,
                          capture_output=True, text=True).stdout.split()


def test_pkg_config_knows_the_version_and_what_a_static_link_needs():
    version = re.search(r"version: '([0-9.]+)'", (ROOT / "meson.build").read_text())[1]
    assert pkg_config("--modversion") == [version]
    assert "-lazblob" in pkg_config("--libs")
    assert "-lcurl" not in pkg_config("--libs")
    assert {"-lcurl", "-lexpat"} <= set(pkg_config("--libs", "--static"))


def test_an_installed_library_is_whole(tmp_path):
    # Headers, pages with all their names, the .pc file, and links that lead somewhere.
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", tmp_path],
                   check=True)
    installed = {path.name for path in tmp_path.rglob("*") if path.exists()}
    assert {path.name for path in LIB.glob("azblob*.h")} <= installed
    names = {name.split("@")[0] for name in exported()}
    assert {f"{name}.3" for name in names} | {"azblob.3", "libazblob.pc"} <= installed


def environment(daemon):
    env = clean_environment()
    env["AZURE_STORAGE_CONNECTION_STRING"] = \
        f"UseDevelopmentStorage=true;BlobEndpoint={daemon.url}/devstoreaccount1"
    return env


def run(program, env, *arguments):
    done = subprocess.run([program, *arguments], env=env, check=False, capture_output=True,
                          stdin=subprocess.DEVNULL, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["azblob"] + sorted(path.stem for path in PAGES.glob("*.3")))
def test_the_example_of_each_page_builds_and_runs(daemon, tmp_path, http, name):
    path = LIB / "azblob.3" if name == "azblob" else PAGES / f"{name}.3"
    example = re.search(r"^\.EX\n(.*?)^\.EE", path.read_text(), re.M | re.S)[1]
    for escape, sign in (("\\e", "\\"), ("\\-", "-"), ("\\(aq", "'"), ("\\&", "")):
        example = example.replace(escape, sign)
    (tmp_path / "example.c").write_text(example)
    sanitizers = ["-fsanitize=address,undefined"] if SANITIZED else []
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", tmp_path / "example.c", "-o",
                    tmp_path / "example", f"-Wl,-rpath,{BUILD}/client", *sanitizers,
                    *pkg_config("--cflags", "--libs")], check=True)
    http.run("container", "create", "box")
    run(tmp_path / "example", environment(daemon))
    if name == "azblob":
        assert http.ok("get", "box/hello", "-").out == b"Hello"


@pytest.mark.parametrize("way", ["http", "driver"])
@pytest.mark.parametrize("name", API)
def test_the_calls_do_what_their_pages_say(daemon, box, name, way):
    env = environment(daemon)
    if way == "driver":
        env["AZBLOB_TEST_DEVICE"] = daemon.link
        name += "-over-link"
    run(BUILD / f"tests/client/api/api-{name}", env, box)
