# SPDX-License-Identifier: MIT
"""The gateway in a stock guest: programs that know nothing of the driver, by busybox and the CLI."""

from azvm import paths, sharedkey

MIB = 1 << 20
ENDPOINT = f"http://127.0.0.1:10000/{sharedkey.ACCOUNT}"


def large_put_and_get(machine):
    """One request each, by programs that know only HTTP."""
    size = 200 * MIB
    target = f"/{sharedkey.ACCOUNT}/box/large"
    machine.sh(f"pattern write {size} 91 >/tmp/in")
    # one Put Blob, with "Connection: close" so that nc ends by itself
    head = sharedkey.head("PUT", target, {"x-ms-blob-type": "BlockBlob"}, body_length=size)
    machine.agent.put("/tmp/head", head[:-2] + b"Connection: close\r\n\r\n", 0o644)
    answer = machine.sh("cat /tmp/head /tmp/in | nc 127.0.0.1 10000", timeout=600).stdout
    assert answer.startswith(b"HTTP/1.1 201 "), answer
    machine.sh("rm /tmp/in")
    before = machine.counters()
    headers = sharedkey.headers("GET", target)
    fields = " ".join(f"--header '{name}: {value}'" for name, value in headers.items())
    machine.sh(f"wget -q -O /tmp/out {fields} http://127.0.0.1:10000{target}", timeout=600)
    assert machine.run(["pattern", "check", "/tmp/out", "91"], timeout=300).text == f"ok {size}\n"
    # it came through the driver, in parts, and not by some network
    assert machine.counters()["completed"] - before["completed"] >= size // (4 * MIB)


def device_that_comes_back(machine):
    def azblob(*argv, check=True):
        return machine.run(["azblob", "--transport", "http", "--endpoint", ENDPOINT, *argv],
                           check=check, timeout=300)

    machine.sh(f"pattern write {20 * MIB + 77} 92 >/tmp/in")
    azblob("put", "/tmp/in", "box/file")
    azblob("get", "box/file", "/tmp/out")
    assert machine.run(["same", "/tmp/in", "/tmp/out"]).status == 0
    driver = "/sys/bus/vmbus/drivers/hv_azure_blob"
    device = machine.sh(f"cd {driver} && ls -d *-*").text.strip()
    machine.sh(f"echo {device} >{driver}/unbind")
    result = azblob("--retries", "0", "stat", "box/file", check=False)
    assert result.status != 0
    assert b"503" in result.stderr or b"device" in result.stderr
    machine.sh(f"echo {device} >{driver}/bind")
    machine.until(lambda: azblob("--retries", "0", "stat", "box/file", check=False).status == 0,
                  "the gateway has found the device again")


def test_programs_that_know_only_http(make_guest):
    """One guest for all of it, as each takes a boot."""
    machine = make_guest(programs=[paths.gateway()])
    gateway = machine.start(["azblob-gateway", "--ready-fd", "1"], timeout=1200)
    gateway.wait_output("ready")
    machine.backend.create_container("box")
    large_put_and_get(machine)
    device_that_comes_back(machine)
    gateway.signal()
    assert gateway.wait().status == 0
