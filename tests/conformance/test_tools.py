# SPDX-License-Identifier: MIT
"""Command-line clients, unmodified: trees go up and come back, lists and checksums are compared."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess

import pytest

import clients
from blobclient import ACCOUNT, KEY, Client, authorization, http_date
from conftest import connection_string
from sasclient import account_sas
from steps import FILES, pattern

LIMIT = 600


@pytest.fixture(scope="session", name="tree")
def make_tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("files") / "tree"
    for name, content in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def files_below(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def run(command, env=None, prefix=()):
    """Its output; the test fails with all of it when the program does."""
    result = subprocess.run([*prefix, *map(str, command)], stdin=subprocess.DEVNULL, timeout=LIMIT,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                            env={**clients.environment(), **(env or {})})
    out, error = result.stdout.decode(errors="replace"), result.stderr.decode(errors="replace")
    assert result.returncode == 0, f"{command[0]} ended with {result.returncode}\n{out}\n{error}"
    return out


def blobs(client, container):
    """{name: (bytes, MD5)} as our own client lists them."""
    answer = client.request("GET", f"/{container}?restype=container&comp=list")
    assert answer.status == 200, answer
    return {blob.findtext("Name"): (int(blob.findtext("Properties/Content-Length")),
                                    blob.findtext("Properties/Content-MD5"))
            for blob in answer.xml().iter("Blob")}


def expected(prefix=""):
    return {prefix + name: (len(content), base64.b64encode(hashlib.md5(content).digest()).decode())
            for name, content in FILES.items()}


@pytest.fixture(name="client")
def make_client(service):
    it = Client(service.port)
    yield it
    it.close()


@pytest.fixture(name="container")
def make_container(client, request):
    name = re.sub("[^a-z0-9]+", "-", request.node.name[5:].lower()).strip("-")
    assert client.request("PUT", f"/{name}?restype=container").status == 201
    return name


def needs(program, name=None):
    """name: in CONFORMANCE_MISSING, where it is not the program's."""
    found = shutil.which(program)
    if not found:
        raise clients.NotHad(name or program, f"no {program} here; scripts/install-deps conformance installs it")
    return found


# -- AzCopy

@pytest.fixture(scope="session", name="azcopy")
def install_azcopy(tmp_path_factory):
    program = clients.azcopy()
    state = tmp_path_factory.mktemp("azcopy")
    environment = {"AZCOPY_LOG_LOCATION": str(state), "AZCOPY_JOB_PLAN_LOCATION": str(state),
                   "AZCOPY_CONCURRENCY_VALUE": "8", "AZCOPY_DISABLE_SYSLOG": "true"}

    def azcopy(*argv):
        """A job's summary says whether all of it was done; the exit status alone does not."""
        out = run([program, *argv], environment)
        assert "Final Job Status: Completed\n" in out or argv[0] == "list", out
        return out
    return azcopy


def test_azcopy_trees_up_and_down(service, client, container, azcopy, tree, tmp_path):
    base, sas = f"http://127.0.0.1:{service.port}/{ACCOUNT}/{container}", account_sas()
    azcopy("copy", tree, f"{base}?{sas}", "--recursive", "--from-to", "LocalBlob", "--put-md5",
           "--block-size-mb", "4")
    assert blobs(client, container) == expected("tree/")
    listed = azcopy("list", f"{base}?{sas}", "--location", "Blob", "--machine-readable")
    assert {line.split(";")[0].removeprefix("INFO: ") for line in listed.splitlines() if ";" in line} == \
        {"tree/" + name for name in FILES}
    azcopy("copy", f"{base}/tree?{sas}", tmp_path, "--recursive", "--from-to", "BlobLocal",
           "--check-md5", "FailIfDifferentOrMissing")
    assert files_below(tmp_path / "tree") == FILES


def test_azcopy_sync_and_remove(service, client, container, azcopy, tree, tmp_path):
    base, sas = f"http://127.0.0.1:{service.port}/{ACCOUNT}/{container}", account_sas()
    shutil.copytree(tree, tmp_path / "t")
    azcopy("sync", tmp_path / "t", f"{base}?{sas}", "--from-to", "LocalBlob", "--put-md5")
    assert blobs(client, container) == expected()
    (tmp_path / "t" / "sub" / "one").unlink()
    azcopy("sync", tmp_path / "t", f"{base}?{sas}", "--from-to", "LocalBlob",
           "--delete-destination", "true")
    assert set(blobs(client, container)) == set(FILES) - {"sub/one"}
    azcopy("remove", f"{base}?{sas}", "--recursive", "--from-to", "BlobTrash")
    assert not blobs(client, container)


def test_azcopy_from_blob_to_blob(service, client, container, azcopy, tree):
    base, sas = f"http://127.0.0.1:{service.port}/{ACCOUNT}/{container}", account_sas()
    assert client.request("PUT", f"/{container}-2?restype=container").status == 201
    azcopy("copy", f"{tree}/*", f"{base}?{sas}", "--recursive", "--from-to", "LocalBlob", "--put-md5")
    azcopy("copy", f"{base}?{sas}", f"{base}-2?{sas}", "--recursive", "--from-to", "BlobBlob")
    found = blobs(client, container + "-2")
    # It puts the container's name in front, as it does with folders.
    assert {name.removeprefix(container + "/"): facts for name, facts in found.items()
            if not name.endswith("/")} == expected()


@pytest.mark.parametrize("kind, source", [("append", "AppendBlob"), ("page", "PageBlob")])
def test_azcopy_other_kinds_of_blobs(service, client, container, azcopy, tmp_path, kind, source):
    base, sas = f"http://127.0.0.1:{service.port}/{ACCOUNT}/{container}", account_sas()
    content = pattern(43, 5 << 20)
    (tmp_path / "in").write_bytes(content)
    azcopy("copy", tmp_path / "in", f"{base}/{kind}?{sas}", "--from-to", "LocalBlob", "--blob-type", source)
    answer = client.request("HEAD", f"/{container}/{kind}")
    assert answer["x-ms-blob-type"] == source
    azcopy("copy", f"{base}/{kind}?{sas}", tmp_path / "out", "--from-to", "BlobLocal")
    assert (tmp_path / "out").read_bytes() == content


# -- rclone

def rclone_by_sas(service, container):
    url = f"http://127.0.0.1:{service.port}/{ACCOUNT}/{container}?{account_sas()}"
    return {"RCLONE_CONFIG": os.devnull, "RCLONE_CONFIG_R_TYPE": "azureblob", "RCLONE_CONFIG_R_SAS_URL": url}


def test_rclone_by_sas(service, client, container, tree, tmp_path):
    rclone = needs("rclone")
    environment = rclone_by_sas(service, container)
    run([rclone, "copy", tree, f"R:{container}/x", "--azureblob-chunk-size", "4M"], environment)
    assert {name: size for name, (size, _) in blobs(client, container).items()} == \
        {f"x/{name}": len(content) for name, content in FILES.items()}
    run([rclone, "check", tree, f"R:{container}/x"], environment)
    run([rclone, "copy", f"R:{container}/x", tmp_path], environment)
    assert files_below(tmp_path) == FILES
    run([rclone, "delete", f"R:{container}/x/sub"], environment)
    assert set(blobs(client, container)) == {"x/big"}


class OwnNetwork:
    """A network namespace with nothing in it, so that the well-known port is always free."""

    def __init__(self):
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self._holder = subprocess.Popen(
            ["unshare", *user, "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep 3600"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self._holder.stdout.readline() != b"up\n":
            why = self._holder.stderr.read().decode(errors="replace").strip()
            self._holder.wait()
            raise clients.NotHad("namespaces", f"no network namespace here: {why}")
        self.prefix = ["nsenter", "--target", str(self._holder.pid), "--net",
                       *(["--user", "--preserve-credentials"] if user else [])]

    def close(self):
        self._holder.kill()
        self._holder.wait()


@pytest.fixture(name="development")
def development_storage(tmp_path):
    """The daemon as it starts without options, where an emulator is expected; a prefix to reach it."""
    network = OwnNetwork()
    ready, its_end = os.pipe()
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            [*network.prefix, os.environ["AZBLOB_VSPD"], "--store", f"local,path={tmp_path}/store",
             "--ready-fd", str(its_end)], stdin=subprocess.DEVNULL, stderr=log, pass_fds=[its_end])
    os.close(its_end)
    with os.fdopen(ready) as pipe:
        assert pipe.readline(), (tmp_path / "log").read_text()
    yield network.prefix
    process.terminate()
    assert process.wait(60) == 0
    network.close()


def test_rclone_with_its_emulator_setting(development, tree, tmp_path):
    rclone = needs("rclone")
    # Without the address rclone 1.60 sends the emulator's requests to Azure's.
    environment = {"RCLONE_CONFIG": os.devnull, "RCLONE_CONFIG_R_TYPE": "azureblob",
                   "RCLONE_CONFIG_R_USE_EMULATOR": "true",
                   "RCLONE_CONFIG_R_ENDPOINT": f"http://127.0.0.1:10000/{ACCOUNT}"}
    run([rclone, "mkdir", "R:box"], environment, development)
    run([rclone, "sync", tree, "R:box/x"], environment, development)
    run([rclone, "check", "--download", tree, "R:box/x"], environment, development)
    run([rclone, "copy", "R:box/x", tmp_path / "back"], environment, development)
    assert files_below(tmp_path / "back") == FILES
    run([rclone, "purge", "R:box/x"], environment, development)
    assert run([rclone, "lsf", "-R", "R:box"], environment, development) == ""


# -- azure-cli

@pytest.fixture(name="az")
def azure_cli(service, tmp_path):
    program = needs("az", "azure-cli")
    environment = {"AZURE_CONFIG_DIR": str(tmp_path / "az"), "AZURE_CORE_COLLECT_TELEMETRY": "no",
                   "AZURE_STORAGE_CONNECTION_STRING": connection_string(service.port)}

    def az(*argv):
        out = run([program, "storage", *argv, "--output", "json"], environment)
        return json.loads(out) if out.strip() else None
    return az


def test_azure_cli_trees_and_properties(az, client, tree, tmp_path):
    assert az("container", "create", "--name", "azcli")["created"]
    assert az("container", "exists", "--name", "azcli")["exists"]
    az("blob", "upload-batch", "--destination", "azcli", "--source", str(tree))
    assert {name: size for name, (size, _) in blobs(client, "azcli").items()} == \
        {name: len(content) for name, content in FILES.items()}
    listed = az("blob", "list", "--container-name", "azcli")
    assert {blob["name"]: blob["properties"]["contentLength"] for blob in listed} == \
        {name: len(content) for name, content in FILES.items()}
    (tmp_path / "back").mkdir()
    az("blob", "download-batch", "--source", "azcli", "--destination", str(tmp_path / "back"))
    assert files_below(tmp_path / "back") == FILES
    az("blob", "metadata", "update", "--container-name", "azcli", "--name", "big", "--metadata", "a=1")
    assert az("blob", "show", "--container-name", "azcli", "--name", "big")["metadata"] == {"a": "1"}
    az("blob", "delete-batch", "--source", "azcli", "--pattern", "sub/*")
    assert set(blobs(client, "azcli")) == {"big"}


def test_azure_cli_sas_of_its_own(az, service):
    az("container", "create", "--name", "azclisas")
    token = az("container", "generate-sas", "--name", "azclisas", "--permissions", "rwl",
               "--expiry", "2099-01-01T00:00Z")
    it = Client(service.port)
    answer = it.request("PUT", f"/azclisas/b?{token}", b"by a SAS",
                        {"x-ms-blob-type": "BlockBlob", "x-ms-date": None}, sign=False)
    assert answer.status == 201, answer
    assert it.request("GET", "/azclisas/b").body == b"by a SAS"
    it.close()


# -- curl

def test_curl_with_shared_key(service, container, tmp_path):
    curl = needs("curl")
    target = f"/{ACCOUNT}/{container}/by%20curl"

    def signed(method, **extra):
        headers = {"x-ms-date": http_date(), "x-ms-version": "2023-11-03", **extra}
        headers["Authorization"] = authorization(method, target, headers, ACCOUNT, KEY)
        return [word for pair in headers.items() for word in ("-H", "%s: %s" % pair)]

    (tmp_path / "in").write_bytes(FILES["big"])
    url = f"http://127.0.0.1:{service.port}{target}"
    # Of this size curl waits for 100 Continue before the body.
    put = signed("PUT", **{"x-ms-blob-type": "BlockBlob", "Content-Length": str(len(FILES["big"]))})
    run([curl, "-sS", "--fail-with-body", "-X", "PUT", "--data-binary", f"@{tmp_path}/in",
         "-H", "Content-Type:", *put, url])
    run([curl, "-sS", "--fail-with-body", "-o", tmp_path / "out", *signed("GET"), url])
    assert (tmp_path / "out").read_bytes() == FILES["big"]


def test_curl_with_a_sas(service, container, tmp_path):
    curl = needs("curl")
    url = f"http://127.0.0.1:{service.port}/{ACCOUNT}/{container}/sas?{account_sas()}"
    (tmp_path / "in").write_bytes(FILES["sub/one"])
    run([curl, "-sS", "--fail-with-body", "-T", tmp_path / "in", "-H", "x-ms-blob-type: BlockBlob", url])
    assert run([curl, "-sS", "--fail-with-body", "-r", "10-29", "-o", tmp_path / "out", "-w",
                "%{http_code}", url]) == "206"
    assert (tmp_path / "out").read_bytes() == FILES["sub/one"][10:30]
