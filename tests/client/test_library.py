# SPDX-License-Identifier: MIT
"""libazblob as others see it: header, symbols, pkg-config, man page."""

import os
import re
import subprocess

import pytest

from conftest import BUILD, ROOT, clean_environment

LIB = ROOT / "client/lib"
HEADER = (LIB / "azblob.h").read_text()


def declared():
    return set(re.findall(r"^[a-z].*?\b(azblob_[a-z_]+)\(", re.sub(r"/\*.*?\*/", "", HEADER, flags=re.S),
                          re.M))


@pytest.mark.parametrize("language, standard", [("c", "c99"), ("c", "c11"), ("c++", "c++11"),
                                                ("c++", "c++17")])
def test_the_header_compiles_alone(tmp_path, language, standard):
    source = tmp_path / "alone"
    source.write_text('#include "azblob.h"\n'
                      "struct azblob_put_options p = AZBLOB_PUT_OPTIONS_INIT;\n"
                      "struct azblob_get_options g = AZBLOB_GET_OPTIONS_INIT;\n"
                      "struct azblob_list_options l = AZBLOB_LIST_OPTIONS_INIT;\n")
    subprocess.run(["g++" if language == "c++" else "gcc", "-x", language, f"-std={standard}", "-Wall",
                    "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "-I", LIB, source], check=True)


def test_exactly_what_the_header_declares_is_exported():
    listing = subprocess.run(["nm", "-D", "--defined-only", BUILD / "client/libazblob.so"],
                             check=True, capture_output=True, text=True).stdout
    exported = {line.split()[2] for line in listing.splitlines() if " T " in line}
    assert exported == {f"{name}@@AZBLOB_0.1" for name in declared()}


def test_every_call_is_on_the_man_page():
    page = (LIB / "azblob.3").read_text()
    assert [name for name in sorted(declared()) if f"\\fB{name}\\fP()" not in page] == []


def test_the_example_of_the_man_page_builds_and_runs(daemon, tmp_path, http):
    page = (LIB / "azblob.3").read_text()
    example = page.split(".SH EXAMPLE\n.nf\n")[1].split(".fi")[0].replace("\\\\n", "\\n")
    (tmp_path / "example.c").write_text(example)
    env = {**os.environ, "PKG_CONFIG_PATH": str(BUILD / "meson-uninstalled")}
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libazblob"], env=env, check=True,
                           capture_output=True, text=True).stdout.split()
    sanitizers = ["-fsanitize=address,undefined"] if b"__asan_init" in (
        BUILD / "client/libazblob.so").read_bytes() else []
    subprocess.run(["gcc", "-Wall", "-Werror", tmp_path / "example.c", "-o", tmp_path / "example",
                    f"-Wl,-rpath,{BUILD}/client", *sanitizers, *flags], check=True)
    http.run("container", "create", "box")
    env = clean_environment()
    env["AZURE_STORAGE_CONNECTION_STRING"] = \
        f"UseDevelopmentStorage=true;BlobEndpoint={daemon.url}/devstoreaccount1"
    done = subprocess.run([tmp_path / "example"], env=env, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert http.ok("get", "box/hello", "-").out == b"Hello"
