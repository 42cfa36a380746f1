# SPDX-License-Identifier: MIT
"""A few scripts of the hostile guest; `make fuzz` runs it for longer, with sanitizers."""

import pytest
import fuzz
from test_vsp import build_program  # noqa: F401
# pylint: disable=unused-import


@pytest.mark.parametrize("number", range(16))
def test_hostile_guest(program, tmp_path, number):
    problem = fuzz.run(program, fuzz.script("check", number, 3000), tmp_path)
    assert not problem, (tmp_path / "qemu.log").read_text()


def test_scripts_get_as_far_as_the_backend(program, tmp_path, monkeypatch):
    """Each begins with a request that is answered, and its packets are requests if it likes."""
    limit = 300
    seen = []
    serve = fuzz.fb.Link.serve

    def noting(link, **how):
        asked = serve(link, **how)
        seen.extend(asked)
        return asked

    monkeypatch.setattr(fuzz.fb.Link, "serve", noting)
    packet, look = bytes([2, 0, 0, 7]), bytes([200]) * 400
    assert fuzz.faults(packet) == [] and fuzz.faults(b"\x01") != []
    assert not fuzz.run(program, (packet + look) * 9, tmp_path, "runs-a-script-to-its-end", limit)
    assert len(seen) == 1 + 9
