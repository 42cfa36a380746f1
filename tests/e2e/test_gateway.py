# SPDX-License-Identifier: MIT
"""The gateway in a stock guest: programs that know nothing of the driver, by busybox and the CLI."""

from azvm import paths, sharedkey
from azvm.net import USER_GUEST, USER_HOST

MIB = 1 << 20
DRIVER = "/sys/bus/vmbus/drivers/hv_azure_blob"
METRICS = "127.0.0.1:9090"
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


def by_http(machine, *argv, check=True):
    """The CLI as a program that knows only HTTP, and tries once."""
    return machine.run(["azblob", "--transport", "http", "--endpoint", ENDPOINT, "--retries", "0", *argv],
                       check=check, timeout=300)


def device_that_comes_back(machine):
    machine.sh(f"pattern write {20 * MIB + 77} 92 >/tmp/in")
    by_http(machine, "put", "/tmp/in", "box/file")
    by_http(machine, "get", "box/file", "/tmp/out")
    assert machine.run(["same", "/tmp/in", "/tmp/out"]).status == 0
    device = machine.sh(f"cd {DRIVER} && ls -d *-*").text.strip()
    machine.sh(f"echo {device} >{DRIVER}/unbind")
    result = by_http(machine, "stat", "box/file", check=False)
    assert result.status != 0
    assert b"503" in result.stderr or b"device" in result.stderr
    machine.sh(f"echo {device} >{DRIVER}/bind")
    machine.until(lambda: by_http(machine, "stat", "box/file", check=False).status == 0,
                  "the gateway has found the device again")


def ways(machine):
    """Requests so far, by their way."""
    text = machine.sh(f"wget -q -O - http://{METRICS}/metrics").text
    return {way: float(line.rpartition(" ")[2]) for way in ("device", "fallback", "none")
            for line in text.splitlines() if f'azblob_gateway_requests_total{{way="{way}"}}' in line}


def one_goes_by(machine, way, *argv):
    """A command that has to succeed, and all of whose requests have to go by this way."""
    before = ways(machine)
    result = by_http(machine, *argv)
    after = ways(machine)
    assert [name for name in after if after[name] > before[name]] == [way], (argv, before, after)
    return result


def fallback_and_return(machine):
    machine.sh(f"pattern write {9 * MIB + 77} 93 >/tmp/in")
    one_goes_by(machine, "device", "put", "/tmp/in", "box/before")
    device = machine.sh(f"cd {DRIVER} && ls -d *-*").text.strip()
    machine.sh(f"echo {device} >{DRIVER}/unbind")
    # The very request that may find the device gone is safe to repeat, so nobody notices.
    before = ways(machine)
    by_http(machine, "stat", "box/before")
    assert ways(machine)["fallback"] > before["fallback"] and ways(machine)["none"] == before["none"]
    for argv in (["get", "box/before", "/tmp/out"], ["put", "/tmp/in", "box/between"], ["ls", "box"]):
        one_goes_by(machine, "fallback", *argv)
    assert machine.run(["same", "/tmp/in", "/tmp/out"]).status == 0
    machine.sh(f"echo {device} >{DRIVER}/bind && rm /tmp/out")

    def is_back():
        before = ways(machine)["device"]
        by_http(machine, "stat", "box/between")
        return ways(machine)["device"] > before

    machine.until(is_back, "requests go by the device again")
    before = machine.counters()["completed"]
    one_goes_by(machine, "device", "get", "box/between", "/tmp/out")
    assert machine.counters()["completed"] > before
    assert machine.run(["same", "/tmp/in", "/tmp/out"]).status == 0


def serve(machine, *options):
    gateway = machine.start(["azblob-gateway", "--ready-fd", "1", *options], timeout=1200)
    gateway.wait_output("ready")
    return gateway


def end(gateway):
    gateway.signal()
    assert gateway.wait().status == 0


def test_programs_that_know_only_http(make_guest):
    """One guest for all of it, as each takes a boot."""
    machine = make_guest(programs=[paths.gateway()], network="user", address=USER_GUEST, gateway=USER_HOST)
    gateway = serve(machine)
    machine.backend.create_container("box")
    large_put_and_get(machine)
    device_that_comes_back(machine)
    end(gateway)
    # the same account by the daemon's HTTP door, over the guest's network
    upstream = f"http://{USER_HOST}:{machine.backend.port}/{sharedkey.ACCOUNT}"
    gateway = serve(machine, "--metrics", METRICS, "--fallback",
                    f"account={sharedkey.ACCOUNT},endpoint={upstream},unsafe-plain-http=on")
    fallback_and_return(machine)
    end(gateway)
