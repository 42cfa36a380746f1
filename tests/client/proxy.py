# SPDX-License-Identifier: MIT
"""A TCP proxy that lets a test spoil what goes through it."""

import socket
import ssl
import threading


class Proxy:
    """Forwards to 127.0.0.1:PORT.

    spoil(direction, data) is called with "up" or "down" and each piece; what it returns is sent
    on, None closes the connection without a word.
    """

    def __init__(self, port, spoil=None, tls=None):
        self.target = port
        self.spoil = spoil or (lambda direction, data: data)
        self.tls = tls
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.open = set()
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            if self.tls:
                client = self.tls.wrap_socket(client, server_side=True)
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        with self.lock:
            self.connections += 1
            self.open |= {client, server}
        up = threading.Thread(target=self.pump, args=("up", client, server), daemon=True)
        up.start()
        self.pump("down", server, client)
        up.join()
        client.close()
        server.close()
        with self.lock:
            self.open -= {client, server}

    def pump(self, direction, source, sink):
        try:
            while data := source.recv(65536):
                data = self.spoil(direction, data)
                if data is None:
                    break
                sink.sendall(data)
        except (OSError, ssl.SSLError):
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()
        with self.lock:
            for end in self.open:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
