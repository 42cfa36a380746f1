// SPDX-License-Identifier: MIT
// The workload by @azure/storage-blob, the SDK for JavaScript, as its users would write it.
//
// usage: client.js CONNECTION-STRING CONTAINER-PREFIX
// Prints one line of JSON for each step; ../steps.py says what has to be in it.

import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import {
	AccountSASPermissions, AccountSASResourceTypes, AccountSASServices, AnonymousCredential, BlobClient,
	BlobSASPermissions, BlobServiceClient, ContainerClient, ContainerSASPermissions, RestError,
	StorageSharedKeyCredential, generateAccountSASQueryParameters, generateBlobSASQueryParameters,
} from "@azure/storage-blob";

const [connection, prefix] = process.argv.slice(2);
const service = BlobServiceClient.fromConnectionString(connection);
const container = service.getContainerClient(prefix + "main");
const key = service.credential;
const HOUR = 3600 * 1000;

function pattern(seed, length) {
	const base = Buffer.alloc(65521);
	for (let i = 0; i < base.length; i++) base[i] = (i * 7 + seed * 13 + (i >> 8) * 29) & 255;
	return Buffer.alloc(length, base);
}
const sha = (data) => createHash("sha256").update(data).digest("hex");
const blob = (name) => container.getBlockBlobClient(name);
const inAnHour = () => new Date(Date.now() + HOUR);
const anHourAgo = () => new Date(Date.now() - HOUR);

async function refusal(call) {
	try {
		await call();
	} catch (error) {
		if (!(error instanceof RestError)) throw error;
		return { status: error.statusCode, code: error.code ?? error.details?.errorCode ?? "" };
	}
	return { status: 0, code: "not refused" };
}

async function put(name, data, options = {}) {
	const bytes = Buffer.from(data);
	await blob(name).upload(bytes, bytes.length, options);
	return blob(name);
}
const read = (client, offset, count) => client.downloadToBuffer(offset, count);
const text = async (client) => (await read(client)).toString();

async function all(iterator) {
	const found = [];
	for await (const one of iterator) found.push(one);
	return found;
}

function sasUrl(client, more = {}) {
	const query = generateBlobSASQueryParameters({
		containerName: client.containerName, blobName: client.name, permissions: BlobSASPermissions.parse("r"),
		expiresOn: inAnHour(), ...more,
	}, key);
	return `${client.url}?${query}`;
}

const steps = {
	"account-info": async () => {
		const info = await service.getAccountInfo();
		return { kind: info.accountKind, hns: Boolean(info.isHierarchicalNamespaceEnabled) };
	},
	"service-properties": async () => {
		await service.setProperties({
			cors: [{ allowedOrigins: "https://example.org", allowedMethods: "GET,PUT", maxAgeInSeconds: 60,
				allowedHeaders: "x-ms-*", exposedHeaders: "x-ms-*" }],
			deleteRetentionPolicy: { enabled: true, days: 7 },
		});
		const found = await service.getProperties();
		return { origins: found.cors[0].allowedOrigins, age: found.cors[0].maxAgeInSeconds,
			retention: found.deleteRetentionPolicy.days };
	},
	"service-stats": async () => {
		const secondary = new BlobServiceClient(service.url.replace(/\/$/, "") + "-secondary", key);
		return { status: (await secondary.getStatistics()).geoReplication.status };
	},
	"container-create": async () => {
		await container.create({ metadata: { purpose: "conformance" } });
		return { exists: await container.exists() };
	},
	"container-create-again": () => refusal(() => container.create()),
	"container-metadata": async () => {
		const before = await container.getProperties();
		await container.setMetadata({ first: "1", second: "two words" });
		const after = await container.getProperties();
		return { before: before.metadata, after: after.metadata, etag_changed: before.etag !== after.etag };
	},
	"container-acl": async () => {
		await container.setAccessPolicy("blob", [{ id: "readers", accessPolicy: {
			permissions: "rl", startsOn: anHourAgo(), expiresOn: inAnHour() } }]);
		const found = await container.getAccessPolicy();
		return { public: found.blobPublicAccess, policies: found.signedIdentifiers.map((p) => p.id),
			permission: found.signedIdentifiers[0].accessPolicy.permissions };
	},
	"container-list": async () => {
		for (const n of "xyz") await service.createContainer(prefix + "list" + n);
		const pages = [];
		for await (const page of service.listContainers({ prefix: prefix + "list" }).byPage({ maxPageSize: 2 }))
			pages.push(page.containerItems.map((c) => c.name.slice(prefix.length)));
		for (const n of "xyz") await service.deleteContainer(prefix + "list" + n);
		return { pages };
	},
	"container-lease": async () => {
		const { containerClient } = await service.createContainer(prefix + "lease");
		const lease = containerClient.getBlobLeaseClient();
		await lease.acquireLease(60);
		const state = (await containerClient.getProperties()).leaseState;
		const refused = await refusal(() => containerClient.delete());
		await lease.changeLease("6f1a1f8c-3b0f-4a5e-9d0e-7c1f0a1b2c3d");
		const renew = (await refusal(() => lease.renewLease())).code;
		await lease.releaseLease();
		await containerClient.delete();
		return { state, delete: refused, renew };
	},
	"put-small": async () => {
		const result = await blob("small").upload(pattern(1, 1000), 1000, {
			metadata: { color: "green" },
			blobHTTPHeaders: { blobContentType: "text/x-test", blobContentLanguage: "en",
				blobCacheControl: "no-cache", blobContentEncoding: "identity",
				blobContentDisposition: "inline" },
		});
		return { etag: Boolean(result.etag), md5: Boolean(result.contentMD5) };
	},
	"get": async () => {
		const answer = await blob("small").download();
		const data = Buffer.concat(await all(answer.readableStreamBody));
		return { sha256: sha(data), size: answer.contentLength, metadata: answer.metadata,
			content_type: answer.contentType };
	},
	"get-range": async () => ({
		sha256: sha(await read(blob("small"), 100, 333)),
		beyond: await refusal(() => blob("small").download(5000, 10)),
	}),
	"get-range-checked": async () => {
		const answer = await blob("small").download(0, 500, { rangeGetContentMD5: true });
		const data = Buffer.concat(await all(answer.readableStreamBody));
		const md5 = createHash("md5").update(data).digest("base64");
		return { sha256: Buffer.from(answer.contentMD5).toString("base64") === md5 ? sha(data) : "MD5 differs" };
	},
	"properties": async () => {
		const p = await blob("small").getProperties();
		return { size: p.contentLength, type: p.blobType, content_type: p.contentType,
			language: p.contentLanguage, cache: p.cacheControl, encoding: p.contentEncoding,
			disposition: p.contentDisposition, metadata: p.metadata, lease: p.leaseState,
			created: p.createdOn !== undefined };
	},
	"set-metadata": async () => {
		const before = (await blob("small").getProperties()).etag;
		await blob("small").setMetadata({ a: "1", b: "2" });
		const p = await blob("small").getProperties();
		return { metadata: p.metadata, etag_changed: p.etag !== before };
	},
	"set-headers": async () => {
		await blob("small").setHTTPHeaders({ blobContentType: "application/x-new" });
		const p = await blob("small").getProperties();
		return { content_type: p.contentType, language: p.contentLanguage ?? null };
	},
	"put-empty": async () => {
		await put("empty", "");
		const p = await blob("empty").getProperties();
		const answer = await blob("empty").download();
		return { size: p.contentLength, sha256: sha(Buffer.concat(await all(answer.readableStreamBody))) };
	},
	"put-large": async () => {
		const data = pattern(2, (17 << 20) + 3);
		await blob("large").uploadStream(Readable.from([data]), 4 << 20, 4);
		const list = await blob("large").getBlockList("all");
		const found = await blob("large").downloadToBuffer(0, undefined, { blockSize: 4 << 20, concurrency: 4 });
		return { sha256: sha(found), size: found.length, blocks: list.committedBlocks.length,
			uncommitted: list.uncommittedBlocks?.length ?? 0 };
	},
	"put-checked": async () => {
		const data = pattern(3, 100000);
		const md5 = createHash("md5").update(data).digest();
		await put("checked", data, { transactionalContentMD5: md5 });
		return { sha256: sha(await read(blob("checked"))) };
	},
	"blocks": async () => {
		const client = blob("blocks");
		const id = (n) => Buffer.from(`block-${n}`).toString("base64");
		for (let n = 0; n < 3; n++) await client.stageBlock(id(n), pattern(10 + n, 1000 + n), 1000 + n);
		const before = await client.getBlockList("all");
		await client.commitBlockList([id(2), id(0)]);
		const after = await client.getBlockList("all");
		const bad = await refusal(() => client.commitBlockList([id(9)]));
		return { uncommitted: before.uncommittedBlocks.map((b) => b.size),
			committed: after.committedBlocks.map((b) => b.size), left: after.uncommittedBlocks?.length ?? 0,
			sha256: sha(await read(client)), bad };
	},
	"names": async () => {
		const name = "names/ü ñ/%41 +&=?#~'\u65e5\u672c";
		await put(name, "odd");
		const found = (await all(container.listBlobsFlat({ prefix: "names/" }))).map((b) => b.name);
		return { listed: found.length === 1 && found[0] === name, content: await text(blob(name)) };
	},
	"conditions": async () => {
		const client = await put("conditions", "one");
		const { etag } = await client.getProperties();
		const result = {
			exists: await refusal(() => put("conditions", "two", { conditions: { ifNoneMatch: "*" } })),
			wrong_etag: await refusal(() => put("conditions", "two", { conditions: { ifMatch: '"0x1"' } })),
			not_modified: await refusal(() => client.download(0, undefined, { conditions: { ifNoneMatch: etag } })),
			missing: await refusal(() => blob("missing").getProperties()),
			no_container: await refusal(() => service.getContainerClient(prefix + "none")
				.getBlockBlobClient("b").upload("x", 1)),
		};
		await put("conditions", "two", { conditions: { ifMatch: etag } });
		return { ...result, content: await text(client) };
	},
	"list-pages": async () => {
		for (let n = 0; n < 10; n++) await put(`list/a${n}`, "x".repeat(n));
		const pages = [];
		for await (const page of container.listBlobsFlat({ prefix: "list/" }).byPage({ maxPageSize: 4 }))
			pages.push(page.segment.blobItems);
		return { pages: pages.map((p) => p.length), names: pages.flat().map((b) => b.name),
			sizes: pages.flat().map((b) => b.properties.contentLength) };
	},
	"list-hierarchy": async () => {
		for (const name of ["tree/a", "tree/b/1", "tree/b/2", "tree/c/d/3"]) await put(name, "x");
		const found = await all(container.listBlobsByHierarchy("/", { prefix: "tree/" }));
		return { names: found.map((e) => e.name).sort() };
	},
	"list-include": async () => {
		await put("include/one", "x", { metadata: { k: "v" }, tags: { t: "u" } });
		await blob("include/one").createSnapshot();
		await blob("include/two").stageBlock(Buffer.from("b").toString("base64"), "x", 1);
		const found = await all(container.listBlobsFlat({ prefix: "include/", includeMetadata: true,
			includeTags: true, includeSnapshots: true, includeUncommitedBlobs: true }));
		return { names: found.map((b) => b.name), snapshots: found.map((b) => Boolean(b.snapshot)),
			metadata: found[0].metadata, tags: found[1].tags };
	},
	"tags": async () => {
		const client = await put("tagged", "x");
		await client.setTags({ project: prefix + "p", state: "open" });
		const { tags } = await client.getTags();
		const where = `"project" = '${prefix}p' AND "state" = 'open'`;
		return { count: Object.keys(tags).length, state: tags.state,
			hits: (await all(service.findBlobsByTags(where))).map((b) => b.name),
			inside: (await all(container.findBlobsByTags(where))).map((b) => b.name),
			condition: await refusal(() => client.delete({ conditions: { tagConditions: "\"state\" = 'shut'" } })) };
	},
	"tiers": async () => {
		const client = await put("tier", "x", { tier: "Cool" });
		const first = (await client.getProperties()).accessTier;
		await client.setAccessTier("Archive");
		const archived = await refusal(() => client.download());
		await client.setAccessTier("Hot", { rehydratePriority: "High" });
		return { first, archived, status: (await client.getProperties()).archiveStatus };
	},
	"snapshots": async () => {
		const client = await put("snap", "one");
		const { snapshot } = await client.createSnapshot({ metadata: { of: "one" } });
		await put("snap", "two");
		const old = client.withSnapshot(snapshot);
		const result = { old: await text(old), new: await text(client),
			metadata: (await old.getProperties()).metadata, write: await refusal(() => client.delete()) };
		await client.delete({ deleteSnapshots: "only" });
		result.gone = await refusal(() => old.getProperties());
		await client.createSnapshot();
		await client.delete({ deleteSnapshots: "include" });
		result.all_gone = await refusal(() => client.getProperties());
		return result;
	},
	"leases": async () => {
		const client = await put("lease", "x");
		const lease = client.getBlobLeaseClient();
		await lease.acquireLease(-1);
		const p = await client.getProperties();
		const result = { state: p.leaseState, duration: p.leaseDuration,
			write: await refusal(() => put("lease", "y")),
			again: await refusal(() => client.getBlobLeaseClient().acquireLease(15)) };
		await put("lease", "z", { conditions: { leaseId: lease.leaseId } });
		const broken = await lease.breakLease(0);
		return { ...result, left: broken.leaseTime, broken: (await client.getProperties()).leaseState,
			content: await text(client) };
	},
	"copy": async () => {
		const source = await put("copy/source", pattern(4, 300000), { metadata: { m: "1" } });
		const target = blob("copy/target");
		const poller = await target.beginCopyFromURL(sasUrl(source), { intervalInMs: 100 });
		const done = await poller.pollUntilDone();
		return { status: done.copyStatus, sha256: sha(await read(target)),
			metadata: (await target.getProperties()).metadata };
	},
	"copy-sync": async () => {
		const target = blob("copy/sync");
		const answer = await target.syncCopyFromURL(sasUrl(blob("copy/source")));
		return { status: answer.copyStatus, sha256: sha(await read(target)) };
	},
	"copy-no-right": async () => {
		const { containerClient } = await service.createContainer(prefix + "private");
		const source = containerClient.getBlockBlobClient("secret");
		await source.upload("x", 1);
		const refused = await refusal(() => blob("copy/none").syncCopyFromURL(
			source.url + "?sv=2020-02-10&sr=b&sp=r&se=2099-01-01&sig=AAAA"));
		await containerClient.delete();
		return { status: refused.status };
	},
	"put-from-url": async () => {
		await blob("copy/put").syncUploadFromURL(sasUrl(blob("copy/source")));
		return { sha256: sha(await read(blob("copy/put"))) };
	},
	"block-from-url": async () => {
		const id = Buffer.from("b1").toString("base64");
		await blob("copy/blocks").stageBlockFromURL(id, sasUrl(blob("copy/source")), 1000, 2000);
		await blob("copy/blocks").commitBlockList([id]);
		return { sha256: sha(await read(blob("copy/blocks"))) };
	},
	"append": async () => {
		const client = container.getAppendBlobClient("append");
		await client.create();
		const offsets = [];
		for (let n = 0; n < 3; n++)
			offsets.push(Number((await client.appendBlock(pattern(20 + n, 700), 700)).blobAppendOffset));
		const p = await client.getProperties();
		return { offsets, type: p.blobType, blocks: p.blobCommittedBlockCount, sha256: sha(await read(client)),
			position: await refusal(() => client.appendBlock("x", 1, { conditions: { appendPosition: 1 } })),
			too_long: await refusal(() => client.appendBlock("x", 1, { conditions: { maxSize: 100 } })) };
	},
	"append-from-url": async () => {
		const client = container.getAppendBlobClient("append-url");
		await client.create();
		await client.appendBlockFromURL(sasUrl(blob("copy/source")), 0, 5000);
		return { sha256: sha(await read(client)) };
	},
	"append-seal": async () => {
		const client = container.getAppendBlobClient("append");
		await client.seal();
		return { sealed: (await client.getProperties()).isSealed,
			append: await refusal(() => client.appendBlock("x", 1)) };
	},
	"pages": async () => {
		const client = container.getPageBlobClient("pages");
		await client.create(1 << 20, { blobSequenceNumber: 7 });
		await client.uploadPages(pattern(30, 4096), 0, 4096);
		await client.uploadPages(pattern(31, 512), 65536, 512);
		await client.clearPages(512, 1024);
		const ranges = (await client.getPageRanges()).pageRange;
		const p = await client.getProperties();
		return { ranges: ranges.map((r) => [r.offset, r.offset + r.count]), sequence: p.blobSequenceNumber,
			size: p.contentLength, sha256: sha(await read(client)),
			unaligned: (await refusal(() => client.uploadPages(pattern(0, 512), 100, 512))).status };
	},
	"pages-diff": async () => {
		const client = container.getPageBlobClient("pages");
		const { snapshot } = await client.createSnapshot();
		await client.uploadPages(pattern(32, 512), 131072, 512);
		await client.clearPages(65536, 512);
		const found = await client.getPageRangesDiff(0, 1 << 20, snapshot);
		const ends = (ranges) => (ranges ?? []).map((r) => [r.offset, r.offset + r.count]);
		return { written: ends(found.pageRange), cleared: ends(found.clearRange) };
	},
	"pages-incremental": async () => {
		const source = container.getPageBlobClient("followed");
		const target = container.getPageBlobClient("follower");
		await source.create(4096);
		for (const [seed, offset] of [[33, 0], [34, 1024]]) {
			await source.uploadPages(pattern(seed, 512), offset, 512);
			const { snapshot } = await source.createSnapshot();
			await target.startCopyIncremental(source.withSnapshot(snapshot).url);
		}
		const p = await target.getProperties();
		return { incremental: p.isIncrementalCopy,
			sha256: sha(await read(target.withSnapshot(p.destinationSnapshot))),
			base: await refusal(() => target.download()) };
	},
	"pages-properties": async () => {
		const client = container.getPageBlobClient("pages");
		await client.resize(2 << 20);
		await client.updateSequenceNumber("increment");
		const p = await client.getProperties();
		return { size: p.contentLength, sequence: p.blobSequenceNumber,
			condition: await refusal(() => client.uploadPages(pattern(0, 512), 0, 512,
				{ conditions: { ifSequenceNumberLessThan: 3 } })) };
	},
	"pages-from-url": async () => {
		const client = container.getPageBlobClient("pages");
		await client.uploadPagesFromURL(sasUrl(blob("copy/source")), 512, 262144, 1024);
		return { sha256: sha(await read(client, 262144, 1024)) };
	},
	"batch": async () => {
		for (let n = 0; n < 5; n++) await put(`batch/${n}`, "x");
		const client = service.getBlobBatchClient();
		const tiers = await client.setBlobsAccessTier([blob("batch/0"), blob("batch/1")], "Cool");
		const deleted = await client.deleteBlobs([0, 1, 2, 3, 4, 5].map((n) => blob(`batch/${n}`)));
		const left = await all(container.listBlobsFlat({ prefix: "batch/" }));
		return { tiers: tiers.subResponses.map((r) => r.status), deleted: deleted.subResponses.map((r) => r.status),
			left: left.map((b) => b.name) };
	},
	"sas-blob": async () => {
		const client = new BlobClient(sasUrl(await put("sas", "signed"), { contentType: "text/x-override" }));
		const answer = await client.download();
		return { content: Buffer.concat(await all(answer.readableStreamBody)).toString(),
			content_type: answer.contentType,
			write: await refusal(() => client.getBlockBlobClient().upload("x", 1)) };
	},
	"sas-container": async () => {
		const query = generateBlobSASQueryParameters({ containerName: container.containerName,
			permissions: ContainerSASPermissions.parse("rl"), expiresOn: inAnHour() }, key);
		const client = new ContainerClient(`${container.url}?${query}`);
		return { names: (await all(client.listBlobsFlat({ prefix: "sas" }))).map((b) => b.name),
			delete: await refusal(() => client.deleteBlob("sas")) };
	},
	"sas-account": async () => {
		const query = generateAccountSASQueryParameters({ expiresOn: inAnHour(),
			permissions: AccountSASPermissions.parse("rl"), services: AccountSASServices.parse("b").toString(),
			resourceTypes: AccountSASResourceTypes.parse("so").toString() }, key);
		const client = new BlobServiceClient(`${service.url}?${query}`);
		const mine = client.getContainerClient(container.containerName);
		return { content: await text(mine.getBlobClient("sas")),
			listed: (await all(client.listContainers())).some((c) => c.name === container.containerName),
			container: await refusal(() => mine.getProperties()) };
	},
	"sas-policy": async () => {
		const query = generateBlobSASQueryParameters({ containerName: container.containerName, blobName: "sas",
			identifier: "readers" }, key);
		const client = new BlobClient(`${blob("sas").url}?${query}`);
		const content = await text(client);
		await container.setAccessPolicy(undefined, []);
		return { content, revoked: (await refusal(() => client.download())).status };
	},
	"sas-expired": () => refusal(() => new BlobClient(sasUrl(blob("sas"), { expiresOn: anHourAgo() })).download()),
	"anonymous": async () => {
		const { containerClient } = await service.createContainer(prefix + "public", { access: "container" });
		await containerClient.uploadBlockBlob("open", "for all", 7);
		const client = new ContainerClient(containerClient.url, new AnonymousCredential());
		const result = { content: await text(client.getBlobClient("open")),
			names: (await all(client.listBlobsFlat())).map((b) => b.name),
			write: (await refusal(() => client.uploadBlockBlob("x", "x", 1))).status,
			private: (await refusal(() => new ContainerClient(container.url, new AnonymousCredential())
				.getProperties())).status };
		await containerClient.delete();
		return result;
	},
	"wrong-key": () => refusal(() => new BlobServiceClient(service.url, new StorageSharedKeyCredential(
		key.accountName, Buffer.alloc(64).toString("base64"))).getAccountInfo()),
	"undelete": async () => {
		const client = await put("soft", "back");
		await client.delete();
		const listed = await all(container.listBlobsFlat({ prefix: "soft", includeDeleted: true }));
		const gone = (await refusal(() => client.getProperties())).status;
		await client.undelete();
		return { listed: listed.map((b) => b.deleted ?? false), gone, content: await text(client) };
	},
	"delete": async () => {
		await blob("sas").delete();
		const again = await refusal(() => blob("sas").delete());
		await container.delete();
		return { again, container: await refusal(() => container.getProperties()) };
	},
};

for (const [name, run] of Object.entries(steps)) {
	let found;
	try {
		found = await run();
	} catch (error) {
		console.error(error);
		found = { error: String(error).split("\n")[0] };
	}
	console.log(JSON.stringify({ step: name, ...found }));
}
