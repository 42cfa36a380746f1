// SPDX-License-Identifier: MIT

// Steps of the service, of containers, of block blobs and of copies.
package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"sort"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
)

func accountInfo(w *world) fields {
	info := must(w.service.GetAccountInfo(ctx, nil))
	return fields{"kind": *info.AccountKind, "hns": info.IsHierarchicalNamespaceEnabled != nil &&
		*info.IsHierarchicalNamespaceEnabled}
}

func serviceProperties(w *world) fields {
	must(w.service.SetProperties(ctx, &service.SetPropertiesOptions{
		CORS: []*service.CORSRule{{AllowedOrigins: to.Ptr("https://example.org"), AllowedMethods: to.Ptr("GET,PUT"),
			MaxAgeInSeconds: to.Ptr[int32](60), AllowedHeaders: to.Ptr("x-ms-*"), ExposedHeaders: to.Ptr("x-ms-*")}},
		DeleteRetentionPolicy: &service.RetentionPolicy{Enabled: to.Ptr(true), Days: to.Ptr[int32](7)}}))
	found := must(w.service.GetProperties(ctx, nil))
	return fields{"origins": *found.CORS[0].AllowedOrigins, "age": *found.CORS[0].MaxAgeInSeconds,
		"retention": *found.DeleteRetentionPolicy.Days}
}

func serviceStats(w *world) fields {
	secondary := must(service.NewClientWithSharedKeyCredential(w.url+"-secondary", w.key, nil))
	return fields{"status": string(*must(secondary.GetStatistics(ctx, nil)).GeoReplication.Status)}
}

func containerCreate(w *world) fields {
	must(w.box.Create(ctx, &container.CreateOptions{Metadata: map[string]*string{"purpose": to.Ptr("conformance")}}))
	must(w.box.GetProperties(ctx, nil))
	return fields{"exists": true}
}

func containerCreateAgain(w *world) fields {
	_, err := w.box.Create(ctx, nil)
	return refusal(err)
}

func containerMetadata(w *world) fields {
	before := must(w.box.GetProperties(ctx, nil))
	must(w.box.SetMetadata(ctx, &container.SetMetadataOptions{Metadata: map[string]*string{
		"first": to.Ptr("1"), "second": to.Ptr("two words")}}))
	after := must(w.box.GetProperties(ctx, nil))
	return fields{"before": metadata(before.Metadata), "after": metadata(after.Metadata),
		"etag_changed": *before.ETag != *after.ETag}
}

func containerACL(w *world) fields {
	must(w.box.SetAccessPolicy(ctx, &container.SetAccessPolicyOptions{Access: to.Ptr(container.PublicAccessTypeBlob),
		ContainerACL: []*container.SignedIdentifier{{ID: to.Ptr("readers"), AccessPolicy: &container.AccessPolicy{
			Permission: to.Ptr("rl"), Start: to.Ptr(anHourAgo()), Expiry: to.Ptr(inAnHour())}}}}))
	found := must(w.box.GetAccessPolicy(ctx, nil))
	policies := []string{}
	for _, one := range found.SignedIdentifiers {
		policies = append(policies, *one.ID)
	}
	return fields{"public": string(*found.BlobPublicAccess), "policies": policies,
		"permission": *found.SignedIdentifiers[0].AccessPolicy.Permission}
}

func containerList(w *world) fields {
	pages := [][]string{}
	for _, n := range []string{"x", "y", "z"} {
		must(w.service.CreateContainer(ctx, w.prefix+"list"+n, nil))
	}
	for pager := w.service.NewListContainersPager(&service.ListContainersOptions{Prefix: to.Ptr(w.prefix + "list"),
		MaxResults: to.Ptr[int32](2)}); pager.More(); {
		page := []string{}
		for _, item := range must(pager.NextPage(ctx)).ContainerItems {
			page = append(page, strings.TrimPrefix(*item.Name, w.prefix))
		}
		pages = append(pages, page)
	}
	for _, n := range []string{"x", "y", "z"} {
		must(w.service.DeleteContainer(ctx, w.prefix+"list"+n, nil))
	}
	return fields{"pages": pages}
}

func containerLease(w *world) fields {
	box := w.service.NewContainerClient(w.prefix + "lease")
	must(box.Create(ctx, nil))
	held := must(lease.NewContainerClient(box, nil))
	must(held.AcquireLease(ctx, 60, nil))
	state := string(*must(box.GetProperties(ctx, nil)).LeaseState)
	_, err := box.Delete(ctx, nil)
	refused := refusal(err)
	must(held.ChangeLease(ctx, "6f1a1f8c-3b0f-4a5e-9d0e-7c1f0a1b2c3d", nil))
	_, err = held.RenewLease(ctx, nil)
	renew := refusal(err)["code"]
	must(held.ReleaseLease(ctx, nil))
	must(box.Delete(ctx, nil))
	return fields{"state": state, "delete": refused, "renew": renew}
}

func putSmall(w *world) fields {
	answer := must(w.blob("small").Upload(ctx, body(pattern(1, 1000)), &blockblob.UploadOptions{
		Metadata: map[string]*string{"color": to.Ptr("green")},
		HTTPHeaders: &blob.HTTPHeaders{BlobContentType: to.Ptr("text/x-test"), BlobContentLanguage: to.Ptr("en"),
			BlobCacheControl: to.Ptr("no-cache"), BlobContentEncoding: to.Ptr("identity"),
			BlobContentDisposition: to.Ptr("inline")}}))
	return fields{"etag": answer.ETag != nil, "md5": len(answer.ContentMD5) == 16}
}

func get(w *world) fields {
	answer := must(w.blob("small").DownloadStream(ctx, nil))
	data := must(io.ReadAll(answer.Body))
	return fields{"sha256": sha(data), "size": *answer.ContentLength, "metadata": metadata(answer.Metadata),
		"content_type": *answer.ContentType}
}

func getRange(w *world) fields {
	_, err := w.blob("small").DownloadStream(ctx, &blob.DownloadStreamOptions{
		Range: blob.HTTPRange{Offset: 5000, Count: 10}})
	return fields{"sha256": sha(read(w.blob("small"), 100, 333)), "beyond": refusal(err)}
}

func getRangeChecked(w *world) fields {
	answer := must(w.blob("small").DownloadStream(ctx, &blob.DownloadStreamOptions{
		Range: blob.HTTPRange{Count: 500}, RangeGetContentMD5: to.Ptr(true)}))
	data := must(io.ReadAll(answer.Body))
	if sum := md5.Sum(data); !bytes.Equal(sum[:], answer.ContentMD5) {
		return fields{"sha256": "MD5 differs"}
	}
	return fields{"sha256": sha(data)}
}

func properties(w *world) fields {
	p := must(w.blob("small").GetProperties(ctx, nil))
	return fields{"size": *p.ContentLength, "type": string(*p.BlobType), "content_type": *p.ContentType,
		"language": *p.ContentLanguage, "cache": *p.CacheControl, "encoding": *p.ContentEncoding,
		"disposition": *p.ContentDisposition, "metadata": metadata(p.Metadata), "lease": string(*p.LeaseState),
		"created": p.CreationTime != nil}
}

func setMetadata(w *world) fields {
	before := must(w.blob("small").GetProperties(ctx, nil))
	must(w.blob("small").SetMetadata(ctx, map[string]*string{"a": to.Ptr("1"), "b": to.Ptr("2")}, nil))
	after := must(w.blob("small").GetProperties(ctx, nil))
	return fields{"metadata": metadata(after.Metadata), "etag_changed": *before.ETag != *after.ETag}
}

func setHeaders(w *world) fields {
	must(w.blob("small").SetHTTPHeaders(ctx, blob.HTTPHeaders{BlobContentType: to.Ptr("application/x-new")}, nil))
	p := must(w.blob("small").GetProperties(ctx, nil))
	return fields{"content_type": *p.ContentType, "language": p.ContentLanguage}
}

func putEmpty(w *world) fields {
	w.put("empty", nil, nil)
	return fields{"size": *must(w.blob("empty").GetProperties(ctx, nil)).ContentLength,
		"sha256": sha(read(w.blob("empty"), 0, 0))}
}

func putLarge(w *world) fields {
	must(w.blob("large").UploadStream(ctx, bytes.NewReader(pattern(2, 17<<20+3)),
		&blockblob.UploadStreamOptions{BlockSize: 4 << 20, Concurrency: 4}))
	list := must(w.blob("large").GetBlockList(ctx, blockblob.BlockListTypeAll, nil))
	data := make([]byte, 17<<20+3)
	size := must(w.blob("large").DownloadBuffer(ctx, data, &blob.DownloadBufferOptions{BlockSize: 4 << 20, Concurrency: 4}))
	return fields{"sha256": sha(data), "size": size, "blocks": len(list.CommittedBlocks),
		"uncommitted": len(list.UncommittedBlocks)}
}

func putChecked(w *world) fields {
	data := pattern(3, 100000)
	sum := md5.Sum(data)
	w.put("checked", data, &blockblob.UploadOptions{
		TransactionalValidation: blob.TransferValidationTypeMD5(sum[:])})
	return fields{"sha256": sha(read(w.blob("checked"), 0, 0))}
}

func sizes(blocks []*blockblob.Block) []int64 {
	found := []int64{}
	for _, one := range blocks {
		found = append(found, *one.Size)
	}
	return found
}

func blocks(w *world) fields {
	client := w.blob("blocks")
	for n := 0; n < 3; n++ {
		must(client.StageBlock(ctx, id(fmt.Sprintf("block-%d", n)), body(pattern(10+n, 1000+n)),
			&blockblob.StageBlockOptions{TransactionalValidation: blob.TransferValidationTypeComputeCRC64()}))
	}
	before := must(client.GetBlockList(ctx, blockblob.BlockListTypeAll, nil))
	must(client.CommitBlockList(ctx, []string{id("block-2"), id("block-0")}, nil))
	after := must(client.GetBlockList(ctx, blockblob.BlockListTypeAll, nil))
	_, err := client.CommitBlockList(ctx, []string{id("block-9")}, nil)
	return fields{"uncommitted": sizes(before.UncommittedBlocks), "committed": sizes(after.CommittedBlocks),
		"left": len(after.UncommittedBlocks), "sha256": sha(read(client, 0, 0)), "bad": refusal(err)}
}

func oddNames(w *world) fields {
	name := "names/ü ñ/%41 +&=?#~'\u65e5\u672c"
	w.put(name, []byte("odd"), nil)
	found := named(w.names(&container.ListBlobsFlatOptions{Prefix: to.Ptr("names/")}))
	return fields{"listed": len(found) == 1 && found[0] == name, "content": text(w.blob(name))}
}

func conditions(w *world) fields {
	client := w.put("conditions", []byte("one"), nil)
	etag := *must(client.GetProperties(ctx, nil)).ETag
	result := fields{}
	_, err := client.Upload(ctx, body([]byte("two")), &blockblob.UploadOptions{AccessConditions: ifNoneMatch("*")})
	result["exists"] = refusal(err)
	_, err = client.Upload(ctx, body([]byte("two")), &blockblob.UploadOptions{AccessConditions: ifMatch(`"0x1"`)})
	result["wrong_etag"] = refusal(err)
	_, err = w.blob("missing").GetProperties(ctx, nil)
	result["missing"] = refusal(err)
	_, err = w.service.NewContainerClient(w.prefix+"none").NewBlockBlobClient("b").Upload(ctx, body([]byte("x")), nil)
	result["no_container"] = refusal(err)
	w.put("conditions", []byte("two"), &blockblob.UploadOptions{AccessConditions: ifMatch(etag)})
	result["content"] = text(client)
	return result
}

func listPages(w *world) fields {
	for n := 0; n < 10; n++ {
		w.put(fmt.Sprintf("list/a%d", n), []byte(strings.Repeat("x", n)), nil)
	}
	pages, names, sizes := []int{}, []string{}, []int64{}
	for pager := w.box.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: to.Ptr("list/"),
		MaxResults: to.Ptr[int32](4)}); pager.More(); {
		items := must(pager.NextPage(ctx)).Segment.BlobItems
		pages = append(pages, len(items))
		for _, item := range items {
			names, sizes = append(names, *item.Name), append(sizes, *item.Properties.ContentLength)
		}
	}
	return fields{"pages": pages, "names": names, "sizes": sizes}
}

func listHierarchy(w *world) fields {
	for _, name := range []string{"tree/a", "tree/b/1", "tree/b/2", "tree/c/d/3"} {
		w.put(name, []byte("x"), nil)
	}
	found := []string{}
	for pager := w.box.NewListBlobsHierarchyPager("/", &container.ListBlobsHierarchyOptions{
		Prefix: to.Ptr("tree/")}); pager.More(); {
		segment := must(pager.NextPage(ctx)).Segment
		found = append(found, named(segment.BlobItems)...)
		for _, one := range segment.BlobPrefixes {
			found = append(found, *one.Name)
		}
	}
	sort.Strings(found)
	return fields{"names": found}
}

func listInclude(w *world) fields {
	w.put("include/one", []byte("x"), &blockblob.UploadOptions{Metadata: map[string]*string{"k": to.Ptr("v")},
		Tags: map[string]string{"t": "u"}})
	must(w.blob("include/one").CreateSnapshot(ctx, nil))
	must(w.blob("include/two").StageBlock(ctx, id("b"), body([]byte("x")), nil))
	found := w.names(&container.ListBlobsFlatOptions{Prefix: to.Ptr("include/"), Include: container.ListBlobsInclude{
		Metadata: true, Tags: true, Snapshots: true, UncommittedBlobs: true}})
	snapshots, tags := []bool{}, map[string]string{}
	for _, item := range found {
		snapshots = append(snapshots, item.Snapshot != nil && *item.Snapshot != "")
	}
	for _, tag := range found[1].BlobTags.BlobTagSet {
		tags[*tag.Key] = *tag.Value
	}
	return fields{"names": named(found), "snapshots": snapshots, "metadata": metadata(found[0].Metadata), "tags": tags}
}

func hits(found []*service.FilterBlobItem) []string {
	names := []string{}
	for _, item := range found {
		names = append(names, *item.Name)
	}
	return names
}

func tags(w *world) fields {
	client := w.put("tagged", []byte("x"), nil)
	must(client.SetTags(ctx, map[string]string{"project": w.prefix + "p", "state": "open"}, nil))
	found := must(client.GetTags(ctx, nil)).BlobTagSet
	state := ""
	for _, tag := range found {
		if *tag.Key == "state" {
			state = *tag.Value
		}
	}
	where := fmt.Sprintf(`"project" = '%sp' AND "state" = 'open'`, w.prefix)
	_, err := client.Delete(ctx, &blob.DeleteOptions{AccessConditions: &blob.AccessConditions{
		ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfTags: to.Ptr(`"state" = 'shut'`)}}})
	return fields{"count": len(found), "state": state,
		"hits":      hits(must(w.service.FilterBlobs(ctx, where, nil)).Blobs),
		"inside":    hits(must(w.box.FilterBlobs(ctx, where, nil)).Blobs),
		"condition": refusal(err)}
}

func tiers(w *world) fields {
	client := w.put("tier", []byte("x"), &blockblob.UploadOptions{Tier: to.Ptr(blob.AccessTierCool)})
	first := *must(client.GetProperties(ctx, nil)).AccessTier
	must(client.SetTier(ctx, blob.AccessTierArchive, nil))
	_, err := client.DownloadStream(ctx, nil)
	must(client.SetTier(ctx, blob.AccessTierHot, &blob.SetTierOptions{
		RehydratePriority: to.Ptr(blob.RehydratePriorityHigh)}))
	return fields{"first": first, "archived": refusal(err),
		"status": *must(client.GetProperties(ctx, nil)).ArchiveStatus}
}

func snapshots(w *world) fields {
	client := w.put("snap", []byte("one"), nil)
	snapshot := must(client.CreateSnapshot(ctx, &blob.CreateSnapshotOptions{
		Metadata: map[string]*string{"of": to.Ptr("one")}}))
	w.put("snap", []byte("two"), nil)
	old := must(client.WithSnapshot(*snapshot.Snapshot))
	result := fields{"old": text(old), "new": text(client),
		"metadata": metadata(must(old.GetProperties(ctx, nil)).Metadata)}
	_, err := client.Delete(ctx, nil)
	result["write"] = refusal(err)
	must(client.Delete(ctx, &blob.DeleteOptions{DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeOnly)}))
	_, err = old.GetProperties(ctx, nil)
	result["gone"] = refusal(err)
	must(client.CreateSnapshot(ctx, nil))
	must(client.Delete(ctx, &blob.DeleteOptions{DeleteSnapshots: to.Ptr(blob.DeleteSnapshotsOptionTypeInclude)}))
	_, err = client.GetProperties(ctx, nil)
	result["all_gone"] = refusal(err)
	return result
}

func leases(w *world) fields {
	client := w.put("lease", []byte("x"), nil)
	held := must(lease.NewBlobClient(client, nil))
	must(held.AcquireLease(ctx, -1, nil))
	p := must(client.GetProperties(ctx, nil))
	result := fields{"state": string(*p.LeaseState), "duration": string(*p.LeaseDuration)}
	_, err := client.Upload(ctx, body([]byte("y")), nil)
	result["write"] = refusal(err)
	_, err = must(lease.NewBlobClient(client, nil)).AcquireLease(ctx, 15, nil)
	result["again"] = refusal(err)
	w.put("lease", []byte("z"), &blockblob.UploadOptions{AccessConditions: &blob.AccessConditions{
		LeaseAccessConditions: &blob.LeaseAccessConditions{LeaseID: held.LeaseID()}}})
	result["left"] = *must(held.BreakLease(ctx, &lease.BlobBreakOptions{BreakPeriod: to.Ptr[int32](0)})).LeaseTime
	result["broken"] = string(*must(client.GetProperties(ctx, nil)).LeaseState)
	result["content"] = text(client)
	return result
}

func copyBlob(w *world) fields {
	w.put("copy/source", pattern(4, 300000), &blockblob.UploadOptions{Metadata: map[string]*string{"m": to.Ptr("1")}})
	target := w.blob("copy/target")
	must(target.StartCopyFromURL(ctx, w.sasURL("copy/source", nil), nil))
	for n := 0; n < 600; n++ {
		p := must(target.GetProperties(ctx, nil))
		if *p.CopyStatus != blob.CopyStatusTypePending {
			return fields{"status": string(*p.CopyStatus), "sha256": sha(read(target, 0, 0)),
				"metadata": metadata(p.Metadata)}
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fields{"status": "pending"}
}

func copySync(w *world) fields {
	target := w.blob("copy/sync")
	answer := must(target.CopyFromURL(ctx, w.sasURL("copy/source", nil), nil))
	return fields{"status": string(*answer.CopyStatus), "sha256": sha(read(target, 0, 0))}
}

func copyNoRight(w *world) fields {
	box := w.service.NewContainerClient(w.prefix + "private")
	must(box.Create(ctx, nil))
	source := box.NewBlockBlobClient("secret")
	must(source.Upload(ctx, body([]byte("x")), nil))
	_, err := w.blob("copy/none").CopyFromURL(ctx,
		source.URL()+"?sv=2020-02-10&sr=b&sp=r&se=2099-01-01&sig=AAAA", nil)
	must(box.Delete(ctx, nil))
	return fields{"status": refusal(err)["status"]}
}

func putFromURL(w *world) fields {
	must(w.blob("copy/put").UploadBlobFromURL(ctx, w.sasURL("copy/source", nil), nil))
	return fields{"sha256": sha(read(w.blob("copy/put"), 0, 0))}
}

func blockFromURL(w *world) fields {
	client := w.blob("copy/blocks")
	must(client.StageBlockFromURL(ctx, id("b1"), w.sasURL("copy/source", nil), &blockblob.StageBlockFromURLOptions{
		Range: blob.HTTPRange{Offset: 1000, Count: 2000}}))
	must(client.CommitBlockList(ctx, []string{id("b1")}, nil))
	return fields{"sha256": sha(read(client, 0, 0))}
}
