// SPDX-License-Identifier: MIT

// The workload by azblob of the Azure SDK for Go, as its users would write it.
//
// usage: conformance CONNECTION-STRING CONTAINER-PREFIX
// Prints one line of JSON for each step; ../steps.py says what has to be in it.
package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/appendblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/lease"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/pageblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
)

type fields map[string]any

type world struct {
	service *service.Client
	box     *container.Client
	key     *service.SharedKeyCredential
	account string
	url     string
	prefix  string
}

var ctx = context.Background()

// A step that cannot go on panics with the error; main() turns that into the step's result.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func refusal(err error) fields {
	var answer *azcore.ResponseError
	if err == nil {
		return fields{"status": 0, "code": "not refused"}
	}
	if !errors.As(err, &answer) {
		panic(err)
	}
	code := answer.ErrorCode
	// Of an answer to HEAD the library makes its code from the status line.
	if answer.RawResponse != nil {
		if given := answer.RawResponse.Header.Get("x-ms-error-code"); given != "" {
			code = given
		}
	}
	return fields{"status": answer.StatusCode, "code": code}
}

func pattern(seed, length int) []byte {
	base := make([]byte, 65521)
	for i := range base {
		base[i] = byte(i*7 + seed*13 + (i>>8)*29)
	}
	return bytes.Repeat(base, length/len(base)+1)[:length]
}

func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func body(data []byte) io.ReadSeekCloser { return streaming.NopCloser(bytes.NewReader(data)) }
func inAnHour() time.Time                { return time.Now().UTC().Add(time.Hour) }
func anHourAgo() time.Time               { return time.Now().UTC().Add(-time.Hour) }
func id(text string) string              { return base64.StdEncoding.EncodeToString([]byte(text)) }

// Metadata as the library gives it, by the names that were set: HTTP loses their case.
func metadata(given map[string]*string) map[string]string {
	found := map[string]string{}
	for name, value := range given {
		found[strings.ToLower(name)] = *value
	}
	return found
}

func (w *world) blob(name string) *blockblob.Client { return w.box.NewBlockBlobClient(name) }

func (w *world) put(name string, data []byte, options *blockblob.UploadOptions) *blockblob.Client {
	must(w.blob(name).Upload(ctx, body(data), options))
	return w.blob(name)
}

type downloader interface {
	DownloadStream(context.Context, *blob.DownloadStreamOptions) (blob.DownloadStreamResponse, error)
}

func read(from downloader, offset, count int64) []byte {
	answer := must(from.DownloadStream(ctx, &blob.DownloadStreamOptions{
		Range: blob.HTTPRange{Offset: offset, Count: count}}))
	defer answer.Body.Close()
	return must(io.ReadAll(answer.Body))
}

func text(from downloader) string { return string(read(from, 0, 0)) }

func (w *world) sasURL(name string, change func(*sas.BlobSignatureValues)) string {
	values := sas.BlobSignatureValues{ContainerName: w.prefix + "main", BlobName: name,
		Permissions: (&sas.BlobPermissions{Read: true}).String(), ExpiryTime: inAnHour()}
	if change != nil {
		change(&values)
	}
	query := must(values.SignWithSharedKey(w.key))
	return w.blob(name).URL() + "?" + query.Encode()
}

func (w *world) names(options *container.ListBlobsFlatOptions) []*container.BlobItem {
	var found []*container.BlobItem
	for pager := w.box.NewListBlobsFlatPager(options); pager.More(); {
		found = append(found, must(pager.NextPage(ctx)).Segment.BlobItems...)
	}
	return found
}

func named(items []*container.BlobItem) []string {
	found := []string{}
	for _, item := range items {
		found = append(found, *item.Name)
	}
	return found
}

func ends(ranges []*pageblob.PageRange) [][2]int64 {
	found := [][2]int64{}
	for _, r := range ranges {
		found = append(found, [2]int64{*r.Start, *r.End})
	}
	return found
}

func clears(ranges []*pageblob.ClearRange) [][2]int64 {
	found := [][2]int64{}
	for _, r := range ranges {
		found = append(found, [2]int64{*r.Start, *r.End})
	}
	return found
}

type step struct {
	name string
	run  func(w *world) fields
}

func ifMatch(etag azcore.ETag) *blob.AccessConditions {
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &etag}}
}

func ifNoneMatch(etag azcore.ETag) *blob.AccessConditions {
	return &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: &etag}}
}

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

func appendTo(w *world) fields {
	client := w.box.NewAppendBlobClient("append")
	must(client.Create(ctx, nil))
	offsets := []string{}
	for n := 0; n < 3; n++ {
		offsets = append(offsets, *must(client.AppendBlock(ctx, body(pattern(20+n, 700)), nil)).BlobAppendOffset)
	}
	p := must(client.GetProperties(ctx, nil))
	result := fields{"type": string(*p.BlobType), "blocks": *p.BlobCommittedBlockCount, "sha256": sha(read(client, 0, 0))}
	numbers := []int{}
	for _, offset := range offsets {
		var number int
		must(fmt.Sscan(offset, &number))
		numbers = append(numbers, number)
	}
	result["offsets"] = numbers
	_, err := client.AppendBlock(ctx, body([]byte("x")), &appendblob.AppendBlockOptions{
		AppendPositionAccessConditions: &appendblob.AppendPositionAccessConditions{AppendPosition: to.Ptr[int64](1)}})
	result["position"] = refusal(err)
	_, err = client.AppendBlock(ctx, body([]byte("x")), &appendblob.AppendBlockOptions{
		AppendPositionAccessConditions: &appendblob.AppendPositionAccessConditions{MaxSize: to.Ptr[int64](100)}})
	result["too_long"] = refusal(err)
	return result
}

func appendFromURL(w *world) fields {
	client := w.box.NewAppendBlobClient("append-url")
	must(client.Create(ctx, nil))
	must(client.AppendBlockFromURL(ctx, w.sasURL("copy/source", nil), &appendblob.AppendBlockFromURLOptions{
		Range: blob.HTTPRange{Offset: 0, Count: 5000}}))
	return fields{"sha256": sha(read(client, 0, 0))}
}

func appendSeal(w *world) fields {
	client := w.box.NewAppendBlobClient("append")
	must(client.Seal(ctx, nil))
	_, err := client.AppendBlock(ctx, body([]byte("x")), nil)
	return fields{"sealed": *must(client.GetProperties(ctx, nil)).IsSealed, "append": refusal(err)}
}

func pages(w *world) fields {
	client := w.box.NewPageBlobClient("pages")
	must(client.Create(ctx, 1<<20, &pageblob.CreateOptions{SequenceNumber: to.Ptr[int64](7)}))
	must(client.UploadPages(ctx, body(pattern(30, 4096)), blob.HTTPRange{Offset: 0, Count: 4096}, nil))
	must(client.UploadPages(ctx, body(pattern(31, 512)), blob.HTTPRange{Offset: 65536, Count: 512}, nil))
	must(client.ClearPages(ctx, blob.HTTPRange{Offset: 512, Count: 1024}, nil))
	ranges := [][2]int64{}
	for pager := client.NewGetPageRangesPager(nil); pager.More(); {
		ranges = append(ranges, ends(must(pager.NextPage(ctx)).PageRange)...)
	}
	p := must(client.GetProperties(ctx, nil))
	_, err := client.UploadPages(ctx, body(pattern(0, 512)), blob.HTTPRange{Offset: 100, Count: 512}, nil)
	return fields{"ranges": ranges, "sequence": *p.BlobSequenceNumber, "size": *p.ContentLength,
		"sha256": sha(read(client, 0, 0)), "unaligned": refusal(err)["status"]}
}

func pagesDiff(w *world) fields {
	client := w.box.NewPageBlobClient("pages")
	snapshot := *must(client.CreateSnapshot(ctx, nil)).Snapshot
	must(client.UploadPages(ctx, body(pattern(32, 512)), blob.HTTPRange{Offset: 131072, Count: 512}, nil))
	must(client.ClearPages(ctx, blob.HTTPRange{Offset: 65536, Count: 512}, nil))
	written, cleared := [][2]int64{}, [][2]int64{}
	for pager := client.NewGetPageRangesDiffPager(&pageblob.GetPageRangesDiffOptions{
		PrevSnapshot: &snapshot}); pager.More(); {
		page := must(pager.NextPage(ctx))
		written, cleared = append(written, ends(page.PageRange)...), append(cleared, clears(page.ClearRange)...)
	}
	return fields{"written": written, "cleared": cleared}
}

func pagesProperties(w *world) fields {
	client := w.box.NewPageBlobClient("pages")
	must(client.Resize(ctx, 2<<20, nil))
	must(client.UpdateSequenceNumber(ctx, &pageblob.UpdateSequenceNumberOptions{
		ActionType: to.Ptr(pageblob.SequenceNumberActionTypeIncrement)}))
	p := must(client.GetProperties(ctx, nil))
	_, err := client.UploadPages(ctx, body(pattern(0, 512)), blob.HTTPRange{Offset: 0, Count: 512},
		&pageblob.UploadPagesOptions{SequenceNumberAccessConditions: &pageblob.SequenceNumberAccessConditions{
			IfSequenceNumberLessThan: to.Ptr[int64](3)}})
	return fields{"size": *p.ContentLength, "sequence": *p.BlobSequenceNumber, "condition": refusal(err)}
}

func pagesFromURL(w *world) fields {
	client := w.box.NewPageBlobClient("pages")
	must(client.UploadPagesFromURL(ctx, w.sasURL("copy/source", nil), 512, 262144, 1024, nil))
	return fields{"sha256": sha(read(client, 262144, 1024))}
}

// A status of 200 or 202 where the library says only that it went well.
func statuses(good int, responses []*container.BatchResponseItem) []int {
	found := []int{}
	for _, one := range responses {
		if one.Error == nil {
			found = append(found, good)
			continue
		}
		found = append(found, refusal(one.Error)["status"].(int))
	}
	return found
}

func batch(w *world) fields {
	deleting, tiering := must(w.box.NewBatchBuilder()), must(w.box.NewBatchBuilder())
	for n := 0; n < 5; n++ {
		w.put(fmt.Sprintf("batch/%d", n), []byte("x"), nil)
	}
	for n := 0; n < 2; n++ {
		check(tiering.SetTier(fmt.Sprintf("batch/%d", n), blob.AccessTierCool, nil))
	}
	for n := 0; n < 6; n++ {
		check(deleting.Delete(fmt.Sprintf("batch/%d", n), nil))
	}
	tiers := must(w.box.SubmitBatch(ctx, tiering, nil)).Responses
	deleted := must(w.box.SubmitBatch(ctx, deleting, nil)).Responses
	return fields{"tiers": statuses(200, tiers), "deleted": statuses(202, deleted),
		"left": named(w.names(&container.ListBlobsFlatOptions{Prefix: to.Ptr("batch/")}))}
}

func sasBlob(w *world) fields {
	w.put("sas", []byte("signed"), nil)
	client := must(blockblob.NewClientWithNoCredential(w.sasURL("sas", func(v *sas.BlobSignatureValues) {
		v.ContentType = "text/x-override"
	}), nil))
	answer := must(client.DownloadStream(ctx, nil))
	_, err := client.Upload(ctx, body([]byte("x")), nil)
	return fields{"content": string(must(io.ReadAll(answer.Body))), "content_type": *answer.ContentType,
		"write": refusal(err)}
}

func sasContainer(w *world) fields {
	query := must(sas.BlobSignatureValues{ContainerName: w.prefix + "main", ExpiryTime: inAnHour(),
		Permissions: (&sas.ContainerPermissions{Read: true, List: true}).String()}.SignWithSharedKey(w.key))
	client := must(container.NewClientWithNoCredential(w.box.URL()+"?"+query.Encode(), nil))
	found := []string{}
	for pager := client.NewListBlobsFlatPager(&container.ListBlobsFlatOptions{Prefix: to.Ptr("sas")}); pager.More(); {
		found = append(found, named(must(pager.NextPage(ctx)).Segment.BlobItems)...)
	}
	_, err := client.NewBlobClient("sas").Delete(ctx, nil)
	return fields{"names": found, "delete": refusal(err)}
}

func sasAccount(w *world) fields {
	url := must(w.service.GetSASURL(sas.AccountResourceTypes{Service: true, Object: true},
		sas.AccountPermissions{Read: true, List: true}, inAnHour(), nil))
	client := must(service.NewClientWithNoCredential(url, nil))
	box := client.NewContainerClient(w.prefix + "main")
	listed := false
	for pager := client.NewListContainersPager(nil); pager.More(); {
		for _, item := range must(pager.NextPage(ctx)).ContainerItems {
			listed = listed || *item.Name == w.prefix+"main"
		}
	}
	_, err := box.GetProperties(ctx, nil)
	return fields{"content": text(box.NewBlobClient("sas")), "listed": listed, "container": refusal(err)}
}

func sasPolicy(w *world) fields {
	client := must(blob.NewClientWithNoCredential(w.sasURL("sas", func(v *sas.BlobSignatureValues) {
		v.Identifier, v.Permissions, v.ExpiryTime = "readers", "", time.Time{}
	}), nil))
	content := text(client)
	must(w.box.SetAccessPolicy(ctx, nil))
	_, err := client.DownloadStream(ctx, nil)
	return fields{"content": content, "revoked": refusal(err)["status"]}
}

func sasExpired(w *world) fields {
	client := must(blob.NewClientWithNoCredential(w.sasURL("sas", func(v *sas.BlobSignatureValues) {
		v.ExpiryTime = anHourAgo()
	}), nil))
	_, err := client.DownloadStream(ctx, nil)
	return refusal(err)
}

func anonymous(w *world) fields {
	box := w.service.NewContainerClient(w.prefix + "public")
	must(box.Create(ctx, &container.CreateOptions{Access: to.Ptr(container.PublicAccessTypeContainer)}))
	must(box.NewBlockBlobClient("open").Upload(ctx, body([]byte("for all")), nil))
	client := must(container.NewClientWithNoCredential(box.URL(), nil))
	found := []string{}
	for pager := client.NewListBlobsFlatPager(nil); pager.More(); {
		found = append(found, named(must(pager.NextPage(ctx)).Segment.BlobItems)...)
	}
	_, written := client.NewBlockBlobClient("x").Upload(ctx, body([]byte("x")), nil)
	_, private := must(container.NewClientWithNoCredential(w.box.URL(), nil)).GetProperties(ctx, nil)
	result := fields{"content": text(client.NewBlobClient("open")), "names": found,
		"write": refusal(written)["status"], "private": refusal(private)["status"]}
	must(box.Delete(ctx, nil))
	return result
}

func wrongKey(w *world) fields {
	key := must(service.NewSharedKeyCredential(w.account, base64.StdEncoding.EncodeToString(make([]byte, 64))))
	_, err := must(service.NewClientWithSharedKeyCredential(w.url, key, nil)).GetAccountInfo(ctx, nil)
	return refusal(err)
}

func undelete(w *world) fields {
	client := w.put("soft", []byte("back"), nil)
	must(client.Delete(ctx, nil))
	listed := []bool{}
	for _, item := range w.names(&container.ListBlobsFlatOptions{Prefix: to.Ptr("soft"),
		Include: container.ListBlobsInclude{Deleted: true}}) {
		listed = append(listed, item.Deleted != nil && *item.Deleted)
	}
	_, err := client.GetProperties(ctx, nil)
	must(client.Undelete(ctx, nil))
	return fields{"listed": listed, "gone": refusal(err)["status"], "content": text(client)}
}

func deleteAll(w *world) fields {
	must(w.blob("sas").Delete(ctx, nil))
	_, again := w.blob("sas").Delete(ctx, nil)
	must(w.box.Delete(ctx, nil))
	_, gone := w.box.GetProperties(ctx, nil)
	return fields{"again": refusal(again), "container": refusal(gone)}
}

var steps = []step{
	{"account-info", accountInfo}, {"service-properties", serviceProperties}, {"service-stats", serviceStats},
	{"container-create", containerCreate}, {"container-create-again", containerCreateAgain},
	{"container-metadata", containerMetadata}, {"container-acl", containerACL}, {"container-list", containerList},
	{"container-lease", containerLease}, {"put-small", putSmall}, {"get", get}, {"get-range", getRange},
	{"get-range-checked", getRangeChecked}, {"properties", properties}, {"set-metadata", setMetadata},
	{"set-headers", setHeaders}, {"put-empty", putEmpty}, {"put-large", putLarge}, {"put-checked", putChecked},
	{"blocks", blocks}, {"names", oddNames}, {"conditions", conditions}, {"list-pages", listPages},
	{"list-hierarchy", listHierarchy}, {"list-include", listInclude}, {"tags", tags}, {"tiers", tiers},
	{"snapshots", snapshots}, {"leases", leases}, {"copy", copyBlob}, {"copy-sync", copySync},
	{"copy-no-right", copyNoRight}, {"put-from-url", putFromURL}, {"block-from-url", blockFromURL},
	{"append", appendTo}, {"append-from-url", appendFromURL}, {"append-seal", appendSeal}, {"pages", pages},
	{"pages-diff", pagesDiff}, {"pages-properties", pagesProperties}, {"pages-from-url", pagesFromURL},
	{"batch", batch}, {"sas-blob", sasBlob}, {"sas-container", sasContainer}, {"sas-account", sasAccount},
	{"sas-policy", sasPolicy}, {"sas-expired", sasExpired}, {"anonymous", anonymous}, {"wrong-key", wrongKey},
	{"undelete", undelete}, {"delete", deleteAll},
}

func guarded(s step, w *world) (found fields) {
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", s.name, problem)
			found = fields{"error": strings.SplitN(fmt.Sprint(problem), "\n", 2)[0]}
		}
	}()
	return s.run(w)
}

func main() {
	options := &service.ClientOptions{ClientOptions: policy.ClientOptions{}}
	w := &world{prefix: os.Args[2]}
	w.service = must(service.NewClientFromConnectionString(os.Args[1], options))
	given := map[string]string{}
	for _, pair := range strings.Split(os.Args[1], ";") {
		name, value, _ := strings.Cut(pair, "=")
		given[name] = value
	}
	w.account, w.url = given["AccountName"], given["BlobEndpoint"]
	w.key = must(service.NewSharedKeyCredential(w.account, given["AccountKey"]))
	w.box = w.service.NewContainerClient(w.prefix + "main")
	for _, s := range steps {
		found := guarded(s, w)
		found["step"] = s.name
		fmt.Println(string(must(json.Marshal(found))))
	}
}
