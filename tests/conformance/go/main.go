// SPDX-License-Identifier: MIT

// The workload by azblob of the Azure SDK for Go, as its users would write it.
//
// usage: conformance CONNECTION-STRING CONTAINER-PREFIX
// Prints one line of JSON for each step; ../steps.py says what has to be in it.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
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
	{"pages-diff", pagesDiff},
	{"pages-incremental", pagesIncremental}, {"pages-properties", pagesProperties}, {"pages-from-url", pagesFromURL},
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
