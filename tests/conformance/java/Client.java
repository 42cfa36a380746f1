// SPDX-License-Identifier: MIT

import com.azure.core.http.rest.PagedResponse;
import com.azure.core.http.rest.Response;
import com.azure.core.util.BinaryData;
import com.azure.core.util.Context;
import com.azure.storage.blob.BlobClient;
import com.azure.storage.blob.BlobClientBuilder;
import com.azure.storage.blob.BlobContainerClient;
import com.azure.storage.blob.BlobContainerClientBuilder;
import com.azure.storage.blob.BlobServiceClient;
import com.azure.storage.blob.BlobServiceClientBuilder;
import com.azure.storage.blob.batch.BlobBatch;
import com.azure.storage.blob.batch.BlobBatchClient;
import com.azure.storage.blob.batch.BlobBatchClientBuilder;
import com.azure.storage.blob.models.*;
import com.azure.storage.blob.options.*;
import com.azure.storage.blob.sas.BlobContainerSasPermission;
import com.azure.storage.blob.sas.BlobSasPermission;
import com.azure.storage.blob.sas.BlobServiceSasSignatureValues;
import com.azure.storage.blob.specialized.*;
import com.azure.storage.common.StorageSharedKeyCredential;
import com.azure.storage.common.sas.AccountSasPermission;
import com.azure.storage.common.sas.AccountSasResourceType;
import com.azure.storage.common.sas.AccountSasService;
import com.azure.storage.common.sas.AccountSasSignatureValues;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.*;

/**
 * The workload by azure-storage-blob, the SDK for Java, as its users would write it.
 *
 * usage: Client CONNECTION-STRING CONTAINER-PREFIX
 * Prints one line of JSON for each step; ../steps.py says what has to be in it.
 */
public final class Client {
    interface Step {
        Map<String, Object> run() throws Exception;
    }

    private final Map<String, Step> steps = new LinkedHashMap<>();
    private final String connection;
    private final String prefix;
    private final String account;
    private final String key;
    private final String url;
    private final BlobServiceClient service;
    private final BlobContainerClient box;

    private Client(String connection, String prefix) {
        Map<String, String> given = new HashMap<>();
        for (String pair : connection.split(";")) {
            int at = pair.indexOf('=');
            given.put(pair.substring(0, at), pair.substring(at + 1));
        }
        this.connection = connection;
        this.prefix = prefix;
        account = given.get("AccountName");
        key = given.get("AccountKey");
        url = given.get("BlobEndpoint");
        service = new BlobServiceClientBuilder().connectionString(connection).buildClient();
        box = service.getBlobContainerClient(prefix + "main");
    }

    // -- help

    private static byte[] pattern(int seed, int length) {
        byte[] data = new byte[length];
        for (int n = 0; n < length; n++) {
            int i = n % 65521;
            data[n] = (byte) (i * 7 + seed * 13 + (i >> 8) * 29);
        }
        return data;
    }

    private static String sha(byte[] data) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    }

    private static byte[] md5(byte[] data) throws Exception {
        return MessageDigest.getInstance("MD5").digest(data);
    }

    private static Map<String, Object> fields(Object... pairs) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            map.put((String) pairs[i], pairs[i + 1]);
        }
        return map;
    }

    private static Map<String, Object> refusal(Runnable call) {
        try {
            call.run();
        } catch (BlobStorageException e) {
            String code = e.getResponse().getHeaders().getValue("x-ms-error-code");
            return fields("status", e.getStatusCode(), "code", code == null ? "" : code);
        }
        return fields("status", 0, "code", "not refused");
    }

    private static OffsetDateTime inAnHour() {
        return OffsetDateTime.now(ZoneOffset.UTC).plusHours(1);
    }

    private static OffsetDateTime anHourAgo() {
        return OffsetDateTime.now(ZoneOffset.UTC).minusHours(1);
    }

    private BlobClient blob(String name) {
        return box.getBlobClient(name);
    }

    private BlockBlobClient block(String name) {
        return blob(name).getBlockBlobClient();
    }

    private BlobClient put(String name, byte[] data) {
        block(name).upload(BinaryData.fromBytes(data), true);
        return blob(name);
    }

    private BlobClient put(String name, String text) {
        return put(name, text.getBytes(StandardCharsets.UTF_8));
    }

    private void putIf(String name, String text, BlobRequestConditions conditions) {
        byte[] data = text.getBytes(StandardCharsets.UTF_8);
        block(name).uploadWithResponse(new BlockBlobSimpleUploadOptions(BinaryData.fromBytes(data))
            .setRequestConditions(conditions), null, Context.NONE);
    }

    private static byte[] read(BlobClientBase client) {
        return client.downloadContent().toBytes();
    }

    private static byte[] read(BlobClientBase client, long offset, long count) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        client.downloadStreamWithResponse(out, new BlobRange(offset, count), null, null, false, null, Context.NONE);
        return out.toByteArray();
    }

    private static String text(BlobClientBase client) {
        return new String(read(client), StandardCharsets.UTF_8);
    }

    private static List<String> names(Iterable<BlobItem> items) {
        List<String> found = new ArrayList<>();
        items.forEach(item -> found.add(item.getName()));
        return found;
    }

    private String sasUrl(String name, BlobServiceSasSignatureValues values) {
        return blob(name).getBlobUrl() + "?" + blob(name).generateSas(values);
    }

    private String sasUrl(String name) {
        return sasUrl(name, new BlobServiceSasSignatureValues(inAnHour(), new BlobSasPermission().setReadPermission(true)));
    }

    private static BlobClient open(String url) {
        return new BlobClientBuilder().endpoint(url).buildClient();
    }

    private static String id(String text) {
        return Base64.getEncoder().encodeToString(text.getBytes(StandardCharsets.UTF_8));
    }

    private static List<List<Long>> ends(Iterable<PageRangeItem> ranges, Boolean cleared) {
        List<List<Long>> found = new ArrayList<>();
        for (PageRangeItem item : ranges) {
            if (cleared == null || item.isClear() == cleared) {
                long start = item.getRange().getOffset();
                found.add(List.of(start, start + item.getRange().getLength() - 1));
            }
        }
        return found;
    }

    // -- the steps

    private void containers() {
        steps.put("account-info", () -> {
            StorageAccountInfo info = service.getAccountInfo();
            return fields("kind", info.getAccountKind().toString(), "hns", info.isHierarchicalNamespaceEnabled());
        });
        steps.put("service-properties", () -> {
            service.setProperties(new BlobServiceProperties()
                .setCors(List.of(new BlobCorsRule().setAllowedOrigins("https://example.org")
                    .setAllowedMethods("GET,PUT").setMaxAgeInSeconds(60).setAllowedHeaders("x-ms-*")
                    .setExposedHeaders("x-ms-*")))
                .setDeleteRetentionPolicy(new BlobRetentionPolicy().setEnabled(true).setDays(7)));
            BlobServiceProperties found = service.getProperties();
            return fields("origins", found.getCors().get(0).getAllowedOrigins(),
                "age", found.getCors().get(0).getMaxAgeInSeconds(),
                "retention", found.getDeleteRetentionPolicy().getDays());
        });
        steps.put("service-stats", () -> {
            BlobServiceClient secondary = new BlobServiceClientBuilder().endpoint(url + "-secondary")
                .credential(new StorageSharedKeyCredential(account, key)).buildClient();
            return fields("status", secondary.getStatistics().getGeoReplication().getStatus().toString());
        });
        steps.put("container-create", () -> {
            box.createWithResponse(Map.of("purpose", "conformance"), null, null, Context.NONE);
            return fields("exists", box.exists());
        });
        steps.put("container-create-again", () -> refusal(box::create));
        steps.put("container-metadata", () -> {
            BlobContainerProperties before = box.getProperties();
            box.setMetadata(Map.of("first", "1", "second", "two words"));
            BlobContainerProperties after = box.getProperties();
            return fields("before", before.getMetadata(), "after", after.getMetadata(),
                "etag_changed", !before.getETag().equals(after.getETag()));
        });
        steps.put("container-acl", () -> {
            box.setAccessPolicy(PublicAccessType.BLOB, List.of(new BlobSignedIdentifier().setId("readers")
                .setAccessPolicy(new BlobAccessPolicy().setPermissions("rl").setStartsOn(anHourAgo())
                    .setExpiresOn(inAnHour()))));
            BlobContainerAccessPolicies found = box.getAccessPolicy();
            return fields("public", found.getBlobAccessType().toString(),
                "policies", found.getIdentifiers().stream().map(BlobSignedIdentifier::getId).toList(),
                "permission", found.getIdentifiers().get(0).getAccessPolicy().getPermissions());
        });
        steps.put("container-list", () -> {
            List<List<String>> pages = new ArrayList<>();
            for (String n : List.of("x", "y", "z")) {
                service.createBlobContainer(prefix + "list" + n);
            }
            for (PagedResponse<BlobContainerItem> page : service.listBlobContainers(
                new ListBlobContainersOptions().setPrefix(prefix + "list").setMaxResultsPerPage(2), null).iterableByPage()) {
                pages.add(page.getValue().stream().map(c -> c.getName().substring(prefix.length())).toList());
            }
            for (String n : List.of("x", "y", "z")) {
                service.deleteBlobContainer(prefix + "list" + n);
            }
            return fields("pages", pages);
        });
        steps.put("container-lease", () -> {
            BlobContainerClient leased = service.createBlobContainer(prefix + "lease");
            BlobLeaseClient lease = new BlobLeaseClientBuilder().containerClient(leased).buildClient();
            lease.acquireLease(60);
            String state = leased.getProperties().getLeaseState().toString();
            Map<String, Object> refused = refusal(leased::delete);
            lease.changeLease("6f1a1f8c-3b0f-4a5e-9d0e-7c1f0a1b2c3d");
            Object renew = refusal(lease::renewLease).get("code");
            lease.releaseLease();
            leased.delete();
            return fields("state", state, "delete", refused, "renew", renew);
        });
    }

    private void blockBlobs() {
        steps.put("put-small", () -> {
            Response<BlockBlobItem> answer = block("small").uploadWithResponse(
                new BlockBlobSimpleUploadOptions(BinaryData.fromBytes(pattern(1, 1000)))
                    .setMetadata(Map.of("color", "green"))
                    .setHeaders(new BlobHttpHeaders().setContentType("text/x-test").setContentLanguage("en")
                        .setCacheControl("no-cache").setContentEncoding("identity").setContentDisposition("inline")),
                null, Context.NONE);
            return fields("etag", answer.getValue().getETag() != null, "md5", answer.getValue().getContentMd5() != null);
        });
        steps.put("get", () -> {
            BlobDownloadContentResponse answer = blob("small").downloadContentWithResponse(null, null, null, Context.NONE);
            return fields("sha256", sha(answer.getValue().toBytes()),
                "size", answer.getDeserializedHeaders().getContentLength(),
                "metadata", answer.getDeserializedHeaders().getMetadata(),
                "content_type", answer.getDeserializedHeaders().getContentType());
        });
        steps.put("get-range", () -> fields("sha256", sha(read(blob("small"), 100, 333)),
            "beyond", refusal(() -> read(blob("small"), 5000, 10))));
        steps.put("get-range-checked", () -> {
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            BlobDownloadResponse answer = blob("small").downloadStreamWithResponse(out, new BlobRange(0, 500L), null, null,
                true, null, Context.NONE);
            boolean same = Arrays.equals(md5(out.toByteArray()), answer.getDeserializedHeaders().getContentMd5());
            return fields("sha256", same ? sha(out.toByteArray()) : "MD5 differs");
        });
        steps.put("properties", () -> {
            BlobProperties p = blob("small").getProperties();
            return fields("size", p.getBlobSize(), "type", p.getBlobType().toString(), "content_type", p.getContentType(),
                "language", p.getContentLanguage(), "cache", p.getCacheControl(), "encoding", p.getContentEncoding(),
                "disposition", p.getContentDisposition(), "metadata", p.getMetadata(),
                "lease", p.getLeaseState().toString(), "created", p.getCreationTime() != null);
        });
        steps.put("set-metadata", () -> {
            String before = blob("small").getProperties().getETag();
            blob("small").setMetadata(Map.of("a", "1", "b", "2"));
            BlobProperties p = blob("small").getProperties();
            return fields("metadata", p.getMetadata(), "etag_changed", !p.getETag().equals(before));
        });
        steps.put("set-headers", () -> {
            blob("small").setHttpHeaders(new BlobHttpHeaders().setContentType("application/x-new"));
            BlobProperties p = blob("small").getProperties();
            return fields("content_type", p.getContentType(), "language", p.getContentLanguage());
        });
        steps.put("put-empty", () -> {
            put("empty", "");
            return fields("size", blob("empty").getProperties().getBlobSize(), "sha256", sha(read(blob("empty"))));
        });
        steps.put("put-large", () -> {
            blob("large").uploadWithResponse(new BlobParallelUploadOptions(BinaryData.fromBytes(pattern(2, (17 << 20) + 3)))
                .setParallelTransferOptions(new com.azure.storage.blob.models.ParallelTransferOptions()
                    .setBlockSizeLong(4L << 20).setMaxSingleUploadSizeLong(4L << 20).setMaxConcurrency(4)), null, Context.NONE);
            BlockList list = block("large").listBlocks(BlockListType.ALL);
            byte[] data = read(blob("large"));
            return fields("sha256", sha(data), "size", data.length, "blocks", list.getCommittedBlocks().size(),
                "uncommitted", list.getUncommittedBlocks().size());
        });
        steps.put("put-checked", () -> {
            byte[] data = pattern(3, 100000);
            block("checked").uploadWithResponse(new BlockBlobSimpleUploadOptions(BinaryData.fromBytes(data))
                .setContentMd5(md5(data)), null, Context.NONE);
            return fields("sha256", sha(read(blob("checked"))));
        });
        steps.put("blocks", () -> {
            BlockBlobClient client = block("blocks");
            for (int n = 0; n < 3; n++) {
                client.stageBlock(id("block-" + n), BinaryData.fromBytes(pattern(10 + n, 1000 + n)));
            }
            BlockList before = client.listBlocks(BlockListType.ALL);
            client.commitBlockList(List.of(id("block-2"), id("block-0")), true);
            BlockList after = client.listBlocks(BlockListType.ALL);
            Map<String, Object> bad = refusal(() -> client.commitBlockList(List.of(id("block-9")), true));
            return fields("uncommitted", before.getUncommittedBlocks().stream().map(Block::getSizeLong).toList(),
                "committed", after.getCommittedBlocks().stream().map(Block::getSizeLong).toList(),
                "left", after.getUncommittedBlocks().size(), "sha256", sha(read(client)), "bad", bad);
        });
        steps.put("names", () -> {
            String name = "names/ü ñ/%41 +&=?#~'\u65e5\u672c";
            BlobClient client = blob(name);
            client.upload(BinaryData.fromString("odd"), true);
            List<String> found = names(box.listBlobs(new ListBlobsOptions().setPrefix("names/"), null));
            return fields("listed", found.equals(List.of(name)), "content", text(client));
        });
        steps.put("conditions", () -> {
            put("conditions", "one");
            String etag = blob("conditions").getProperties().getETag();
            Map<String, Object> result = fields(
                "exists", refusal(() -> putIf("conditions", "two", new BlobRequestConditions().setIfNoneMatch("*"))),
                "wrong_etag", refusal(() -> putIf("conditions", "two", new BlobRequestConditions().setIfMatch("\"0x1\""))),
                "not_modified", refusal(() -> blob("conditions").downloadContentWithResponse(null,
                    new BlobRequestConditions().setIfNoneMatch(etag), null, Context.NONE)),
                "missing", refusal(() -> blob("missing").getProperties()),
                "no_container", refusal(() -> service.getBlobContainerClient(prefix + "none").getBlobClient("b")
                    .getBlockBlobClient().upload(BinaryData.fromString("x"))));
            putIf("conditions", "two", new BlobRequestConditions().setIfMatch(etag));
            result.put("content", text(blob("conditions")));
            return result;
        });
    }

    private void lists() {
        steps.put("list-pages", () -> {
            for (int n = 0; n < 10; n++) {
                put("list/a" + n, "x".repeat(n));
            }
            List<Integer> pages = new ArrayList<>();
            List<String> names = new ArrayList<>();
            List<Long> sizes = new ArrayList<>();
            for (PagedResponse<BlobItem> page : box.listBlobs(new ListBlobsOptions().setPrefix("list/")
                .setMaxResultsPerPage(4), null).iterableByPage()) {
                pages.add(page.getValue().size());
                page.getValue().forEach(item -> {
                    names.add(item.getName());
                    sizes.add(item.getProperties().getContentLength());
                });
            }
            return fields("pages", pages, "names", names, "sizes", sizes);
        });
        steps.put("list-hierarchy", () -> {
            for (String name : List.of("tree/a", "tree/b/1", "tree/b/2", "tree/c/d/3")) {
                put(name, "x");
            }
            List<String> found = names(box.listBlobsByHierarchy("tree/"));
            Collections.sort(found);
            return fields("names", found);
        });
        steps.put("list-include", () -> {
            block("include/one").uploadWithResponse(new BlockBlobSimpleUploadOptions(BinaryData.fromString("x"))
                .setMetadata(Map.of("k", "v")).setTags(Map.of("t", "u")), null, Context.NONE);
            blob("include/one").createSnapshot();
            block("include/two").stageBlock(id("b"), BinaryData.fromString("x"));
            List<BlobItem> found = new ArrayList<>();
            box.listBlobs(new ListBlobsOptions().setPrefix("include/").setDetails(new BlobListDetails()
                .setRetrieveMetadata(true).setRetrieveTags(true).setRetrieveSnapshots(true)
                .setRetrieveUncommittedBlobs(true)), null).forEach(found::add);
            return fields("names", names(found),
                "snapshots", found.stream().map(b -> b.getSnapshot() != null && !b.getSnapshot().isEmpty()).toList(),
                "metadata", found.get(0).getMetadata(), "tags", found.get(1).getTags());
        });
        steps.put("tags", () -> {
            BlobClient client = put("tagged", "x");
            client.setTags(Map.of("project", prefix + "p", "state", "open"));
            Map<String, String> tags = client.getTags();
            String where = "\"project\" = '" + prefix + "p' AND \"state\" = 'open'";
            List<String> hits = new ArrayList<>();
            List<String> inside = new ArrayList<>();
            service.findBlobsByTags(where).forEach(hit -> hits.add(hit.getName()));
            box.findBlobsByTags(where).forEach(hit -> inside.add(hit.getName()));
            return fields("count", tags.size(), "state", tags.get("state"), "hits", hits, "inside", inside,
                "condition", refusal(() -> client.deleteWithResponse(null, new BlobRequestConditions()
                    .setTagsConditions("\"state\" = 'shut'"), null, Context.NONE)));
        });
        steps.put("tiers", () -> {
            block("tier").uploadWithResponse(new BlockBlobSimpleUploadOptions(BinaryData.fromString("x"))
                .setTier(AccessTier.COOL), null, Context.NONE);
            BlobClient client = blob("tier");
            String first = client.getProperties().getAccessTier().toString();
            client.setAccessTier(AccessTier.ARCHIVE);
            Map<String, Object> archived = refusal(() -> read(client));
            client.setAccessTierWithResponse(new BlobSetAccessTierOptions(AccessTier.HOT).setPriority(RehydratePriority.HIGH),
                null, Context.NONE);
            return fields("first", first, "archived", archived,
                "status", client.getProperties().getArchiveStatus().toString());
        });
        steps.put("snapshots", () -> {
            BlobClient client = put("snap", "one");
            BlobClientBase old = client.createSnapshotWithResponse(Map.of("of", "one"), null, null, Context.NONE).getValue();
            put("snap", "two");
            Map<String, Object> result = fields("old", text(old), "new", text(client),
                "metadata", old.getProperties().getMetadata(), "write", refusal(client::delete));
            client.deleteWithResponse(DeleteSnapshotsOptionType.ONLY, null, null, Context.NONE);
            result.put("gone", refusal(old::getProperties));
            client.createSnapshot();
            client.deleteWithResponse(DeleteSnapshotsOptionType.INCLUDE, null, null, Context.NONE);
            result.put("all_gone", refusal(client::getProperties));
            return result;
        });
        steps.put("leases", () -> {
            BlobClient client = put("lease", "x");
            BlobLeaseClient lease = new BlobLeaseClientBuilder().blobClient(client).buildClient();
            lease.acquireLease(-1);
            BlobProperties p = client.getProperties();
            Map<String, Object> result = fields("state", p.getLeaseState().toString(),
                "duration", p.getLeaseDuration().toString(), "write", refusal(() -> put("lease", "y")),
                "again", refusal(() -> new BlobLeaseClientBuilder().blobClient(client).buildClient().acquireLease(15)));
            putIf("lease", "z", new BlobRequestConditions().setLeaseId(lease.getLeaseId()));
            result.put("left", lease.breakLeaseWithResponse(new BlobBreakLeaseOptions().setBreakPeriod(Duration.ZERO),
                null, Context.NONE).getValue());
            result.put("broken", client.getProperties().getLeaseState().toString());
            result.put("content", text(client));
            return result;
        });
    }

    private void copies() {
        steps.put("copy", () -> {
            block("copy/source").uploadWithResponse(new BlockBlobSimpleUploadOptions(
                BinaryData.fromBytes(pattern(4, 300000))).setMetadata(Map.of("m", "1")), null, Context.NONE);
            BlobClient target = blob("copy/target");
            CopyStatusType status = target.beginCopy(sasUrl("copy/source"), Duration.ofMillis(100))
                .waitForCompletion(Duration.ofMinutes(1)).getValue().getCopyStatus();
            return fields("status", status.toString(), "sha256", sha(read(target)),
                "metadata", target.getProperties().getMetadata());
        });
        steps.put("copy-sync", () -> {
            blob("copy/sync").copyFromUrl(sasUrl("copy/source"));
            return fields("status", blob("copy/sync").getProperties().getCopyStatus().toString(),
                "sha256", sha(read(blob("copy/sync"))));
        });
        steps.put("copy-no-right", () -> {
            BlobContainerClient other = service.createBlobContainer(prefix + "private");
            BlobClient source = other.getBlobClient("secret");
            source.upload(BinaryData.fromString("x"));
            Map<String, Object> refused = refusal(() -> blob("copy/none").copyFromUrl(
                source.getBlobUrl() + "?sv=2020-02-10&sr=b&sp=r&se=2099-01-01&sig=AAAA"));
            other.delete();
            return fields("status", refused.get("status"));
        });
        steps.put("put-from-url", () -> {
            block("copy/put").uploadFromUrl(sasUrl("copy/source"));
            return fields("sha256", sha(read(blob("copy/put"))));
        });
        steps.put("block-from-url", () -> {
            block("copy/blocks").stageBlockFromUrl(id("b1"), sasUrl("copy/source"), new BlobRange(1000, 2000L));
            block("copy/blocks").commitBlockList(List.of(id("b1")));
            return fields("sha256", sha(read(blob("copy/blocks"))));
        });
    }

    private void appendAndPageBlobs() {
        steps.put("append", () -> {
            AppendBlobClient client = blob("append").getAppendBlobClient();
            client.create();
            List<Long> offsets = new ArrayList<>();
            for (int n = 0; n < 3; n++) {
                offsets.add(Long.parseLong(client.appendBlock(new ByteArrayInputStream(pattern(20 + n, 700)), 700)
                    .getBlobAppendOffset()));
            }
            BlobProperties p = client.getProperties();
            return fields("offsets", offsets, "type", p.getBlobType().toString(), "blocks", p.getCommittedBlockCount(),
                "sha256", sha(read(client)),
                "position", refusal(() -> client.appendBlockWithResponse(new ByteArrayInputStream(new byte[1]), 1, null,
                    new AppendBlobRequestConditions().setAppendPosition(1L), null, Context.NONE)),
                "too_long", refusal(() -> client.appendBlockWithResponse(new ByteArrayInputStream(new byte[1]), 1, null,
                    new AppendBlobRequestConditions().setMaxSize(100L), null, Context.NONE)));
        });
        steps.put("append-from-url", () -> {
            AppendBlobClient client = blob("append-url").getAppendBlobClient();
            client.create();
            client.appendBlockFromUrl(sasUrl("copy/source"), new BlobRange(0, 5000L));
            return fields("sha256", sha(read(client)));
        });
        steps.put("append-seal", () -> {
            AppendBlobClient client = blob("append").getAppendBlobClient();
            client.seal();
            return fields("sealed", client.getProperties().isSealed(),
                "append", refusal(() -> client.appendBlock(new ByteArrayInputStream(new byte[1]), 1)));
        });
        steps.put("pages", () -> {
            PageBlobClient client = blob("pages").getPageBlobClient();
            client.createWithResponse(1 << 20, 7L, null, null, null, null, Context.NONE);
            client.uploadPages(new PageRange().setStart(0).setEnd(4095), new ByteArrayInputStream(pattern(30, 4096)));
            client.uploadPages(new PageRange().setStart(65536).setEnd(66047), new ByteArrayInputStream(pattern(31, 512)));
            client.clearPages(new PageRange().setStart(512).setEnd(1535));
            BlobProperties p = client.getProperties();
            return fields("ranges", ends(client.listPageRanges(new BlobRange(0)), null), "sequence", p.getBlobSequenceNumber(),
                "size", p.getBlobSize(), "sha256", sha(read(client)));
        });
        steps.put("pages-diff", () -> {
            PageBlobClient client = blob("pages").getPageBlobClient();
            String snapshot = client.createSnapshot().getSnapshotId();
            client.uploadPages(new PageRange().setStart(131072).setEnd(131583), new ByteArrayInputStream(pattern(32, 512)));
            client.clearPages(new PageRange().setStart(65536).setEnd(66047));
            Iterable<PageRangeItem> found = client.listPageRangesDiff(new BlobRange(0), snapshot);
            return fields("written", ends(found, false), "cleared", ends(found, true));
        });
        steps.put("pages-incremental", () -> {
            PageBlobClient source = blob("followed").getPageBlobClient();
            PageBlobClient target = blob("follower").getPageBlobClient();
            source.create(4096);
            for (int n = 0; n < 2; n++) {
                long at = n * 1024L;
                source.uploadPages(new PageRange().setStart(at).setEnd(at + 511),
                    new ByteArrayInputStream(pattern(33 + n, 512)));
                target.copyIncremental(source.getBlobUrl(), source.createSnapshot().getSnapshotId());
            }
            BlobProperties p = target.getProperties();
            return fields("incremental", p.isIncrementalCopy(),
                "sha256", sha(read(target.getSnapshotClient(p.getCopyDestinationSnapshot()))),
                "base", refusal(target::downloadContent));
        });
        steps.put("pages-properties", () -> {
            PageBlobClient client = blob("pages").getPageBlobClient();
            client.resize(2 << 20);
            client.updateSequenceNumber(SequenceNumberActionType.INCREMENT, null);
            BlobProperties p = client.getProperties();
            return fields("size", p.getBlobSize(), "sequence", p.getBlobSequenceNumber(),
                "condition", refusal(() -> client.uploadPagesWithResponse(new PageRange().setStart(0).setEnd(511),
                    new ByteArrayInputStream(new byte[512]), null,
                    new PageBlobRequestConditions().setIfSequenceNumberLessThan(3L), null, Context.NONE)));
        });
        steps.put("pages-from-url", () -> {
            blob("pages").getPageBlobClient().uploadPagesFromUrl(new PageRange().setStart(262144).setEnd(263167),
                sasUrl("copy/source"), 512L);
            return fields("sha256", sha(read(blob("pages"), 262144, 1024)));
        });
    }

    private void batchAndSignatures() {
        steps.put("batch", () -> {
            for (int n = 0; n < 5; n++) {
                put("batch/" + n, "x");
            }
            BlobBatchClient client = new BlobBatchClientBuilder(box).buildClient();
            BlobBatch tiering = client.getBlobBatch();
            BlobBatch deleting = client.getBlobBatch();
            List<Response<Void>> tiers = new ArrayList<>();
            List<Response<Void>> deleted = new ArrayList<>();
            for (int n = 0; n < 2; n++) {
                tiers.add(tiering.setBlobAccessTier(box.getBlobContainerName(), "batch/" + n, AccessTier.COOL));
            }
            for (int n = 0; n < 6; n++) {
                deleted.add(deleting.deleteBlob(box.getBlobContainerName(), "batch/" + n));
            }
            client.submitBatch(tiering);
            client.submitBatchWithResponse(deleting, false, null, Context.NONE);
            return fields("tiers", tiers.stream().map(Client::status).toList(),
                "deleted", deleted.stream().map(Client::status).toList(),
                "left", names(box.listBlobs(new ListBlobsOptions().setPrefix("batch/"), null)));
        });
        steps.put("sas-blob", () -> {
            put("sas", "signed");
            BlobClient client = open(sasUrl("sas", new BlobServiceSasSignatureValues(inAnHour(),
                new BlobSasPermission().setReadPermission(true)).setContentType("text/x-override")));
            BlobDownloadContentResponse answer = client.downloadContentWithResponse(null, null, null, Context.NONE);
            return fields("content", answer.getValue().toString(),
                "content_type", answer.getDeserializedHeaders().getContentType(),
                "write", refusal(() -> client.getBlockBlobClient().upload(BinaryData.fromString("x"), true)));
        });
        steps.put("sas-container", () -> {
            String token = box.generateSas(new BlobServiceSasSignatureValues(inAnHour(),
                new BlobContainerSasPermission().setReadPermission(true).setListPermission(true)));
            BlobContainerClient client = new BlobContainerClientBuilder().endpoint(box.getBlobContainerUrl() + "?" + token)
                .buildClient();
            return fields("names", names(client.listBlobs(new ListBlobsOptions().setPrefix("sas"), null)),
                "delete", refusal(() -> client.getBlobClient("sas").delete()));
        });
        steps.put("sas-account", () -> {
            String token = service.generateAccountSas(new AccountSasSignatureValues(inAnHour(),
                new AccountSasPermission().setReadPermission(true).setListPermission(true),
                new AccountSasService().setBlobAccess(true),
                new AccountSasResourceType().setService(true).setObject(true)));
            BlobServiceClient client = new BlobServiceClientBuilder().endpoint(url + "?" + token).buildClient();
            BlobContainerClient mine = client.getBlobContainerClient(box.getBlobContainerName());
            boolean listed = client.listBlobContainers().stream().anyMatch(
                c -> c.getName().equals(box.getBlobContainerName()));
            return fields("content", text(mine.getBlobClient("sas")), "listed", listed,
                "container", refusal(mine::getProperties));
        });
        steps.put("sas-policy", () -> {
            BlobClient client = open(sasUrl("sas", new BlobServiceSasSignatureValues("readers")));
            String content = text(client);
            box.setAccessPolicy(null, List.of());
            return fields("content", content, "revoked", refusal(() -> read(client)).get("status"));
        });
        steps.put("sas-expired", () -> refusal(() -> read(open(sasUrl("sas", new BlobServiceSasSignatureValues(anHourAgo(),
            new BlobSasPermission().setReadPermission(true)))))));
        steps.put("anonymous", () -> {
            BlobContainerClient shown = service.createBlobContainerWithResponse(prefix + "public", null,
                PublicAccessType.CONTAINER, Context.NONE).getValue();
            shown.getBlobClient("open").upload(BinaryData.fromString("for all"));
            BlobContainerClient client = new BlobContainerClientBuilder().endpoint(shown.getBlobContainerUrl()).buildClient();
            BlobContainerClient hidden = new BlobContainerClientBuilder().endpoint(box.getBlobContainerUrl()).buildClient();
            Map<String, Object> result = fields("content", text(client.getBlobClient("open")),
                "names", names(client.listBlobs()),
                "write", refusal(() -> client.getBlobClient("x").upload(BinaryData.fromString("x"))).get("status"),
                "private", refusal(hidden::getProperties).get("status"));
            shown.delete();
            return result;
        });
        steps.put("wrong-key", () -> refusal(() -> new BlobServiceClientBuilder().endpoint(url)
            .credential(new StorageSharedKeyCredential(account, Base64.getEncoder().encodeToString(new byte[64])))
            .buildClient().getAccountInfo()));
        steps.put("undelete", () -> {
            BlobClient client = put("soft", "back");
            client.delete();
            List<Boolean> listed = new ArrayList<>();
            box.listBlobs(new ListBlobsOptions().setPrefix("soft").setDetails(new BlobListDetails()
                .setRetrieveDeletedBlobs(true)), null).forEach(item -> listed.add(item.isDeleted()));
            Object gone = refusal(client::getProperties).get("status");
            client.undelete();
            return fields("listed", listed, "gone", gone, "content", text(client));
        });
        steps.put("delete", () -> {
            blob("sas").delete();
            Map<String, Object> again = refusal(() -> blob("sas").delete());
            box.delete();
            return fields("again", again, "container", refusal(box::getProperties));
        });
    }

    private static int status(Response<Void> response) {
        try {
            return response.getStatusCode();
        } catch (BlobStorageException e) {
            return e.getStatusCode();
        }
    }

    // -- JSON, of the few kinds of values that are above

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            out.append(c == '"' || c == '\\' ? "\\" + c : c < ' ' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
        }
        return out.append('"').toString();
    }

    private static String json(Object value) {
        if (value == null || value instanceof Number || value instanceof Boolean) {
            return String.valueOf(value);
        }
        StringJoiner inside = new StringJoiner(",");
        if (value instanceof Map<?, ?> map) {
            map.forEach((name, one) -> inside.add(quoted(String.valueOf(name)) + ":" + json(one)));
            return "{" + inside + "}";
        }
        if (value instanceof Collection<?> list) {
            list.forEach(one -> inside.add(json(one)));
            return "[" + inside + "]";
        }
        return quoted(value.toString());
    }

    public static void main(String[] arguments) {
        Client client = new Client(arguments[0], arguments[1]);
        client.containers();
        client.blockBlobs();
        client.lists();
        client.copies();
        client.appendAndPageBlobs();
        client.batchAndSignatures();
        client.steps.forEach((name, step) -> {
            Map<String, Object> found;
            try {
                found = step.run();
            } catch (Exception | Error e) {
                e.printStackTrace();
                found = fields("error", String.valueOf(e).lines().findFirst().orElse(""));
            }
            Map<String, Object> line = fields("step", name);
            line.putAll(found);
            System.out.println(json(line));
        });
        System.exit(0);
    }
}
