# SPDX-License-Identifier: MIT
"""The SDK for Python as Microsoft ships it; only the connection string says where it goes."""

import os

from azure.storage.blob import BlobServiceClient

service = BlobServiceClient.from_connection_string(os.environ["AZURE_STORAGE_CONNECTION_STRING"])
container = service.get_container_client("hello")
if not container.exists():
    container.create_container()
container.upload_blob("from-python", b"hello from the SDK for Python\n", overwrite=True)
print(container.download_blob("from-python").readall().decode(), end="")
