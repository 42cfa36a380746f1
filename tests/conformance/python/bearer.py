# SPDX-License-Identifier: MIT
"""Blobs by a bearer token over https, as users of azure-storage-blob with a credential of their own have it.

usage: bearer.py TOKEN EXPIRED-TOKEN CONTAINER URL...
Prints a line of JSON for each URL.  What the gateway's certificate is trusted by is in the environment,
as for any program.
"""

import hashlib
import json
import sys
import time

from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient

# More than goes in one request, for the SDK and for the gateway.
LARGE = 9 << 20


class Credential:
    """One token, whoever asks, and what was asked for."""

    def __init__(self, token):
        self.token, self.scopes = token, set()

    def get_token(self, *scopes, **_):
        self.scopes.update(scopes)
        return AccessToken(self.token, int(time.time()) + 3600)


def service(url, credential):
    return BlobServiceClient(url, credential=credential, max_single_put_size=8 << 20, max_block_size=4 << 20,
                             retry_total=0)


def work(url, token, expired, name):
    credential = Credential(token)
    container = service(url, credential).get_container_client(name)
    container.create_container()
    contents = {"small": b"by a token", "large": bytes(range(256)) * (LARGE // 256)}
    for blob, content in contents.items():
        container.upload_blob(blob, content)
    came = {blob: hashlib.sha256(container.download_blob(blob).readall()).hexdigest() for blob in contents}
    listed = sorted(container.list_blob_names())
    try:
        service(url, Credential(expired)).get_container_client(name).get_container_properties()
        refused = 0
    except HttpResponseError as error:
        refused = error.status_code
    return {"scopes": sorted(credential.scopes), "listed": listed, "refused": refused,
            "same": {blob: came[blob] == hashlib.sha256(content).hexdigest() for blob, content in contents.items()}}


for number, where in enumerate(sys.argv[4:]):
    print(json.dumps(work(where, sys.argv[1], sys.argv[2], f"{sys.argv[3]}-{number}")), flush=True)
