# SPDX-License-Identifier: MIT
"""With the files that `make install` puts on a system: the module loads itself, the node is usable."""

import re
import subprocess
from pathlib import Path

import pytest
from azvm import paths
from vsp import call, probe

STOCK_RULES = Path("/usr/lib/udev/rules.d")
GROUP, GID = "azblob", 990


@pytest.fixture
def installed(tmp_path):
    """What `make install` installs for udev, {path in the guest: bytes}."""
    subprocess.run(["meson", "install", "--no-rebuild", "-C", paths.BUILD, "--destdir", tmp_path],
                   stdout=subprocess.DEVNULL, check=True)
    files = {"/" + str(path.relative_to(tmp_path)): path.read_bytes()
             for path in tmp_path.rglob("*.rules")}
    assert len(files) == 1
    [groups] = tmp_path.rglob("sysusers.d/azblob.conf")
    assert re.search(rf"^g {GROUP} ", groups.read_text(encoding="ascii"), re.M)
    return files


def module_tree(kernel, directory):
    """lib/modules of a system on which the driver is installed, as depmod leaves it."""
    top = directory / "lib" / "modules" / kernel.release
    (top / "extra").mkdir(parents=True)
    (top / "extra" / "hv_azure_blob.ko").write_bytes(paths.driver(kernel).read_bytes())
    subprocess.run(["/sbin/depmod", "-b", directory, kernel.release], check=True,
                   stderr=subprocess.DEVNULL)
    return {"/" + str(path.relative_to(directory)): path.read_bytes()
            for path in top.rglob("*") if path.is_file()}


def test_offered_device_loads_the_module_and_its_node_is_for_the_group(
        make_guest, installed, tmp_path, pytestconfig):
    kernel = paths.kernel(pytestconfig.getoption("--guest-kernel"))
    files = dict(installed)
    for name in ("50-udev-default.rules", "80-drivers.rules"):
        files[f"/usr/lib/udev/rules.d/{name}"] = (STOCK_RULES / name).read_bytes()
    files.update(module_tree(kernel, tmp_path / "modules"))
    guest = make_guest(driver=False, programs=["/usr/bin/udevadm"], files=files)
    guest.sh(f"echo {GROUP}:x:{GID}: >>/etc/group; "
             "ln -s /usr/bin/udevadm /tmp/systemd-udevd; /tmp/systemd-udevd --daemon")
    assert "hv_azure_blob" not in guest.agent.get("/proc/modules").decode()

    guest.qmp.forget()
    guest.qmp.command("device_del", id="vsp0")
    guest.qmp.wait_event("DEVICE_DELETED", 120 * guest.slow)
    guest.qmp.command("device_add", driver="azure-blob-vsp", id="vsp0", chardev="vsp")
    guest.wait_device()
    assert "hv_azure_blob" in guest.agent.get("/proc/modules").decode()

    # The kernel makes the node before it tells anybody, so there may be nothing yet to settle.
    stat = ["stat", "-c", "%a %g", "/dev/azure_blob"]
    guest.until(lambda: guest.run(stat).text.split() == ["660", str(GID)], "the group's node")
    link = ["readlink", "/dev/azure_xs_fastpath"]
    guest.until(lambda: guest.run(link, check=False).text.strip() == "azure_blob", "the old name")
    assert call(guest, probe(), dev="/dev/azure_xs_fastpath").http == 200
    # A member of the group and nobody else.
    guest.sh(f"echo member:x:65533:{GID}::/:/bin/sh >>/etc/passwd")
    open_it = ["-s", "/bin/sh", "-c", "exec 3<>/dev/azure_blob"]
    guest.run(["su", *open_it, "member"])
    refused = guest.run(["su", *open_it, "nobody"], check=False)
    assert refused.status and b"Permission denied" in refused.stderr
