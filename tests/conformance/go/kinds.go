// SPDX-License-Identifier: MIT

// Steps of append and page blobs, of batches, and of who may do what.
package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/appendblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/pageblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/service"
)

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

func pagesIncremental(w *world) fields {
	source, target := w.box.NewPageBlobClient("followed"), w.box.NewPageBlobClient("follower")
	must(source.Create(ctx, 4096, nil))
	for _, page := range []struct {
		seed   int
		offset int64
	}{{33, 0}, {34, 1024}} {
		must(source.UploadPages(ctx, body(pattern(page.seed, 512)),
			blob.HTTPRange{Offset: page.offset, Count: 512}, nil))
		snapshot := *must(source.CreateSnapshot(ctx, nil)).Snapshot
		must(target.StartCopyIncremental(ctx, source.URL(), snapshot, nil))
	}
	p := must(target.GetProperties(ctx, nil))
	made := must(target.WithSnapshot(*p.DestinationSnapshot))
	_, err := target.DownloadStream(ctx, nil)
	return fields{"incremental": *p.IsIncrementalCopy, "sha256": sha(read(made, 0, 0)), "base": refusal(err)}
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
