# SPDX-License-Identifier: MIT
"""What a daemon shows of itself, in the form that Prometheus reads."""

import http.client
import re
import socket


def metrics(address):
    if "/" in str(address):
        connection = http.client.HTTPConnection("metrics")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(address))
    else:
        connection = http.client.HTTPConnection(address)
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    text = answer.read().decode()
    connection.close()
    values = {}
    for line in text.splitlines():
        if line.startswith("# "):
            assert re.match(r"# (HELP|TYPE) [a-z_]+ .+$", line), line
            continue
        # the form that Prometheus reads
        assert re.match(r'[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+]+$', line), line
        name, value = line.rsplit(" ", 1)
        assert name not in values
        values[name] = float(value)
    return values
