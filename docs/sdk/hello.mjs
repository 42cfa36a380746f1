// SPDX-License-Identifier: MIT
// The SDK for JavaScript as Microsoft ships it; only the connection string says where it goes.
import { BlobServiceClient } from "@azure/storage-blob";

const service = BlobServiceClient.fromConnectionString(process.env.AZURE_STORAGE_CONNECTION_STRING);
const container = service.getContainerClient("hello");
await container.createIfNotExists();
const text = "hello from the SDK for JavaScript\n";
await container.getBlockBlobClient("from-javascript").upload(text, text.length);
const back = await container.getBlobClient("from-javascript").downloadToBuffer();
process.stdout.write(back.toString());
