# SPDX-License-Identifier: MIT
"""Real clients, unmodified: each runs the workload of steps.py, and every result is compared."""

import pytest

from clients import CLIENTS
from steps import EXPECTED


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_ran_to_its_end(runs, client):
    run = runs(client)
    assert run.status == 0, run.tail()
    unknown = set(run.steps) - set(EXPECTED)
    assert not unknown, f"steps that nobody expects: {unknown}"


@pytest.mark.parametrize("step", EXPECTED)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_step(runs, client, step):
    run = runs(client)
    found = run.steps.get(step)
    if step in client.lacks:
        assert found is None or set(found) == {"absent"}, f"it can, after all: {found}"
        return
    assert found is not None, f"no such step was run\n{run.tail()}"
    want = {name: value for name, value in EXPECTED[step].items()
            if name not in client.quiet.get(step, ())}
    assert found == want, run.tail() if "error" in found else ""
