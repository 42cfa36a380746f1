# SPDX-License-Identifier: MIT
"""Clients in a guest that use azblob-gateway: what they do goes through the driver, and files come back."""

import json
import re
import shlex
from urllib.parse import quote

import pytest

from blobclient import ACCOUNT, Client
from clients import CLIENTS
from jwt import token
from machine import SECURE, TLS
from sasclient import account_sas
from steps import EXPECTED, FILES

LIMIT = 900


@pytest.fixture(name="box")
def make_container(machine, request):
    """A container of the test's own, (its name, its URL at the gateway, a SAS)."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name[5:].lower()).strip("-")
    it = Client(machine.backend.port)
    assert it.request("PUT", f"/{name}?restype=container").status == 201
    it.close()
    return name, f"http://{machine.host}:{machine.port}/{ACCOUNT}/{name}", account_sas()


@pytest.fixture(scope="module", name="tree")
def put_tree(machine):
    """The files, in the guest."""
    for name, content in FILES.items():
        path = f"/tmp/tree/{name}"
        machine.agent.run(["mkdir", "-p", path.rpartition("/")[0]])
        machine.agent.put(path, content, mode=0o644)
    return "/tmp/tree"


def stored(machine, container):
    """{name: bytes} as the host's own client reads them by HTTP."""
    it = Client(machine.backend.port)
    answer = it.request("GET", f"/{container}?restype=container&comp=list")
    assert answer.status == 200, answer
    names = [blob.findtext("Name") for blob in answer.xml().iter("Blob")]
    content = {name: it.request("GET", f"/{container}/{quote(name)}").body for name in names}
    it.close()
    return content


def sh(machine, script, **environment):
    """Runs a piece of shell in the guest; returns how many requests the driver was given."""
    before = machine.counters()["submitted"]
    machine.agent.run(["sh", "-ec", script], timeout=LIMIT, env=environment)
    return machine.counters()["submitted"] - before


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_its_requests_went_through_the_driver(runs, client):
    run = runs(client)
    assert run.requests > len(EXPECTED) - len(client.lacks)


def test_python_by_a_token_over_https(machine):
    # SDKs send a token to nobody who does not show a certificate that they trust.
    host = f"{ACCOUNT}.blob.localhost"
    machine.agent.sh(f"grep -q {host} /etc/hosts || echo 127.0.0.1 {host} >>/etc/hosts")
    urls = [f"https://127.0.0.1:{SECURE}/{ACCOUNT}", f"https://{host}:{SECURE}"]
    interpreter, program = machine.command("python")
    before = machine.counters()["submitted"]
    result = machine.agent.run(
        [interpreter, program.replace("client.py", "bearer.py"), token(), token(exp=1000), "token", *urls],
        timeout=LIMIT, env={"REQUESTS_CA_BUNDLE": f"{TLS}/ca.pem"})
    assert machine.counters()["submitted"] - before > 6 * len(urls)
    assert [json.loads(line) for line in result.text.splitlines()] == [
        {"scopes": ["https://storage.azure.com/.default"], "listed": ["large", "small"], "refused": 401,
         "same": {"small": True, "large": True}}] * len(urls)
    for number in range(len(urls)):
        assert stored(machine, f"token-{number}") == {
            "small": b"by a token", "large": bytes(range(256)) * (9 << 12)}
    # It is the token that opens, and the certificate that makes the SDK send it.
    result = machine.agent.run([interpreter, program.replace("client.py", "bearer.py"), token(), token(), "mistrust",
                                urls[0]], timeout=LIMIT, check=False)
    assert result.status == 1 and b"CERTIFICATE_VERIFY_FAILED" in result.stderr


def test_curl_puts_and_gets(machine, tree, box):
    container, url, sas = box
    requests = sh(machine, f"""
        curl -sS --fail-with-body -T {tree}/big -H 'x-ms-blob-type: BlockBlob' {shlex.quote(f"{url}/big?{sas}")}
        curl -sS --fail-with-body -o /tmp/curl.out {shlex.quote(f"{url}/big?{sas}")}
        cmp {tree}/big /tmp/curl.out""")
    assert stored(machine, container) == {"big": FILES["big"]}
    assert requests >= 2


def test_azcopy_trees_up_and_down(machine, tree, box):
    container, url, sas = box
    azcopy = machine.command("azcopy")[0]
    up, down = shlex.quote(f"{url}?{sas}"), shlex.quote(f"{url}/tree?{sas}")
    requests = sh(machine, f"""
        {azcopy} copy {tree} {up} --recursive --from-to LocalBlob --put-md5 --block-size-mb 4 |
            tee /dev/stderr | grep -q 'Final Job Status: Completed$'
        {azcopy} copy {down} /tmp/azcopy.out --recursive --from-to BlobLocal --check-md5 FailIfDifferentOrMissing |
            tee /dev/stderr | grep -q 'Final Job Status: Completed$'
        diff -r {tree} /tmp/azcopy.out/tree""",
                  AZCOPY_LOG_LOCATION="/tmp/azcopy", AZCOPY_JOB_PLAN_LOCATION="/tmp/azcopy",
                  AZCOPY_CONCURRENCY_VALUE="8", AZCOPY_DISABLE_SYSLOG="true", HOME="/root")
    assert stored(machine, container) == {f"tree/{name}": content for name, content in FILES.items()}
    assert requests >= 2 * len(FILES)


def test_rclone_by_sas(machine, tree, box):
    container, url, sas = box
    requests = sh(machine, f"""
        rclone copy {tree} R:{container}/x --azureblob-chunk-size 4M
        rclone check {tree} R:{container}/x
        rclone copy R:{container}/x /tmp/rclone.out
        diff -r {tree} /tmp/rclone.out""",
                  RCLONE_CONFIG="/dev/null", RCLONE_CONFIG_R_TYPE="azureblob", LC_ALL="C.UTF-8",
                  RCLONE_CONFIG_R_SAS_URL=f"{url}?{sas}")
    assert stored(machine, container) == {f"x/{name}": content for name, content in FILES.items()}
    assert requests >= 2 * len(FILES)


def test_nothing_is_left_in_the_driver_and_the_kernel_is_content(machine):
    counters = "/sys/kernel/debug/hv_azure_blob/azure_blob/counters"
    # Clients that gave up leave requests to be cancelled.
    machine.agent.sh(f"n=0; until grep -qx 'outstanding 0' {counters}; do n=$((n+1)); [ $n -lt 1200 ] || exit 1; "
                     "sleep 0.1; done", timeout=300)
    assert not machine.guest.trouble()
