# SPDX-License-Identifier: MIT
# The workload by azure-storage-blob, the library for Ruby, as its users would write it.
#
# usage: client.rb CONNECTION-STRING CONTAINER-PREFIX
# Prints one line of JSON for each step; ../steps.py says what has to be in it.

require "azure/storage/blob"
require "base64"
require "digest"
require "json"
require "tempfile" # azure-core names it and does not load it
require "time"

CONNECTION, PREFIX = ARGV
GIVEN = CONNECTION.split(";").to_h { |pair| pair.split("=", 2) }
HOST = GIVEN["BlobEndpoint"]

def service_for(options)
  Azure::Storage::Blob::BlobService.create({ storage_account_name: GIVEN["AccountName"],
                                             storage_blob_host: HOST }.merge(options))
end

S = service_for(storage_access_key: GIVEN["AccountKey"])
BOX = PREFIX + "main"
SIGNER = Azure::Storage::Common::Core::Auth::SharedAccessSignature.new(GIVEN["AccountName"], GIVEN["AccountKey"])

def pattern(seed, length)
  base = Array.new(65_521) { |i| (i * 7 + seed * 13 + (i >> 8) * 29) & 255 }.pack("C*")
  (base * (length / base.bytesize + 1)).byteslice(0, length)
end

def sha(data)
  Digest::SHA256.hexdigest(data || "")
end

def read(name, options = {})
  S.get_blob(BOX, name, options)[1]
end

def refusal
  yield
  { status: 0, code: "not refused" }
rescue Azure::Core::Http::HTTPError => e
  { status: e.status_code, code: e.http_response.headers["x-ms-error-code"] || e.type }
end

def in_an_hour
  (Time.now.utc + 3600).iso8601
end

def an_hour_ago
  (Time.now.utc - 3600).iso8601
end

def sas(path, options = {})
  SIGNER.generate_service_sas_token(path, { service: "b", resource: "b", permissions: "r",
                                            expiry: in_an_hour }.merge(options))
end

def sas_url(name)
  "#{HOST}/#{BOX}/#{name}?#{sas("#{BOX}/#{name}")}"
end

def policy
  Azure::Storage::Common::Service::SignedIdentifier.new.tap do |identifier|
    identifier.id = "readers"
    identifier.access_policy.start = an_hour_ago
    identifier.access_policy.expiry = in_an_hour
    identifier.access_policy.permission = "rl"
  end
end

def all_blobs(options)
  found = []
  loop do
    page = S.list_blobs(BOX, options)
    found << page
    break if page.continuation_token.to_s.empty?
    options = options.merge(marker: page.continuation_token)
  end
  found
end

STEPS = {
  "service-properties" => lambda do
    wanted = Azure::Storage::Common::Service::StorageServiceProperties.new
    rule = Azure::Storage::Common::Service::CorsRule.new
    rule.allowed_origins = ["https://example.org"]
    rule.allowed_methods = %w[GET PUT]
    rule.max_age_in_seconds = 60
    rule.allowed_headers = ["x-ms-*"]
    rule.exposed_headers = ["x-ms-*"]
    wanted.cors.cors_rules = [rule]
    S.set_service_properties(wanted)
    found = S.get_service_properties.cors.cors_rules[0]
    { origins: found.allowed_origins.join(","), age: found.max_age_in_seconds }
  end,
  "container-create" => lambda do
    S.create_container(BOX, metadata: { "purpose" => "conformance" })
    S.get_container_properties(BOX)
    { exists: true }
  end,
  "container-create-again" => -> { refusal { S.create_container(BOX) } },
  "container-metadata" => lambda do
    before = S.get_container_metadata(BOX)
    S.set_container_metadata(BOX, { "first" => "1", "second" => "two words" })
    after = S.get_container_metadata(BOX)
    { before: before.metadata, after: after.metadata,
      etag_changed: before.properties[:etag] != after.properties[:etag] }
  end,
  "container-acl" => lambda do
    S.set_container_acl(BOX, "blob", signed_identifiers: [policy])
    box, identifiers = S.get_container_acl(BOX)
    { public: box.public_access_level, policies: identifiers.map(&:id),
      permission: identifiers[0].access_policy.permission }
  end,
  "container-list" => lambda do
    %w[x y z].each { |n| S.create_container("#{PREFIX}list#{n}") }
    pages = []
    marker = nil
    loop do
      page = S.list_containers(prefix: "#{PREFIX}list", max_results: 2, marker: marker)
      pages << page.map { |box| box.name.delete_prefix(PREFIX) }
      marker = page.continuation_token
      break if marker.to_s.empty?
    end
    %w[x y z].each { |n| S.delete_container("#{PREFIX}list#{n}") }
    { pages: pages }
  end,
  "container-lease" => lambda do
    name = "#{PREFIX}lease"
    S.create_container(name)
    id = S.acquire_container_lease(name, duration: 60)
    state = S.get_container_properties(name).properties[:lease_state]
    refused = refusal { S.delete_container(name) }
    id = S.change_container_lease(name, id, "6f1a1f8c-3b0f-4a5e-9d0e-7c1f0a1b2c3d")
    renew = refusal { S.renew_container_lease(name, id) }[:code]
    S.release_container_lease(name, id)
    S.delete_container(name)
    { state: state, delete: refused, renew: renew }
  end,
  "put-small" => lambda do
    blob = S.create_block_blob(BOX, "small", pattern(1, 1000),
                               metadata: { "color" => "green" }, content_type: "text/x-test",
                               content_language: "en", cache_control: "no-cache",
                               content_encoding: "identity", content_disposition: "inline")
    { etag: !blob.properties[:etag].nil?, md5: !blob.properties[:content_md5].nil? }
  end,
  "get" => lambda do
    blob, data = S.get_blob(BOX, "small")
    { sha256: sha(data), size: blob.properties[:content_length], metadata: blob.metadata,
      content_type: blob.properties[:content_type] }
  end,
  "get-range" => lambda do
    { sha256: sha(read("small", start_range: 100, end_range: 432)),
      beyond: refusal { read("small", start_range: 5000, end_range: 5009) } }
  end,
  "get-range-checked" => lambda do
    blob, data = S.get_blob(BOX, "small", start_range: 0, end_range: 499, get_content_md5: true)
    same = Digest::MD5.base64digest(data) == blob.properties[:range_md5]
    { sha256: same ? sha(data) : "MD5 differs" }
  end,
  "properties" => lambda do
    blob = S.get_blob_properties(BOX, "small")
    p = blob.properties
    { size: p[:content_length], type: p[:blob_type], content_type: p[:content_type],
      language: p[:content_language], cache: p[:cache_control], encoding: p[:content_encoding],
      disposition: p[:content_disposition], metadata: blob.metadata, lease: p[:lease_state] }
  end,
  "set-metadata" => lambda do
    before = S.get_blob_properties(BOX, "small").properties[:etag]
    S.set_blob_metadata(BOX, "small", { "a" => "1", "b" => "2" })
    blob = S.get_blob_properties(BOX, "small")
    { metadata: blob.metadata, etag_changed: blob.properties[:etag] != before }
  end,
  "set-headers" => lambda do
    S.set_blob_properties(BOX, "small", content_type: "application/x-new")
    p = S.get_blob_properties(BOX, "small").properties
    { content_type: p[:content_type], language: p[:content_language] }
  end,
  "put-empty" => lambda do
    S.create_block_blob(BOX, "empty", "")
    { size: S.get_blob_properties(BOX, "empty").properties[:content_length], sha256: sha(read("empty")) }
  end,
  "put-checked" => lambda do
    data = pattern(3, 100_000)
    S.create_block_blob(BOX, "checked", data, transactional_md5: Digest::MD5.base64digest(data))
    { sha256: sha(read("checked")) }
  end,
  "blocks" => lambda do
    3.times { |n| S.put_blob_block(BOX, "blocks", "block-#{n}", pattern(10 + n, 1000 + n)) }
    before = S.list_blob_blocks(BOX, "blocks", blocklist_type: :all)
    S.commit_blob_blocks(BOX, "blocks", [["block-2", :latest], ["block-0", :latest]])
    after = S.list_blob_blocks(BOX, "blocks", blocklist_type: :all)
    bad = refusal { S.commit_blob_blocks(BOX, "blocks", [["block-9", :latest]]) }
    { uncommitted: before[:uncommitted].map(&:size), committed: after[:committed].map(&:size),
      left: after[:uncommitted].size, sha256: sha(read("blocks")), bad: bad }
  end,
  "conditions" => lambda do
    put = ->(text, options = {}) { S.create_block_blob(BOX, "conditions", text, options) }
    etag = put.call("one").properties[:etag]
    result = {
      exists: refusal { put.call("two", if_none_match: "*") },
      wrong_etag: refusal { put.call("two", if_match: '"0x1"') },
      missing: refusal { S.get_blob_properties(BOX, "missing") },
      no_container: refusal { S.create_block_blob("#{PREFIX}none", "b", "x") },
    }
    put.call("two", if_match: etag)
    result.merge(content: read("conditions"))
  end,
  "list-pages" => lambda do
    10.times { |n| S.create_block_blob(BOX, "list/a#{n}", "x" * n) }
    pages = all_blobs(prefix: "list/", max_results: 4)
    { pages: pages.map(&:size), names: pages.flatten.map(&:name),
      sizes: pages.flatten.map { |blob| blob.properties[:content_length] } }
  end,
  "list-hierarchy" => lambda do
    %w[tree/a tree/b/1 tree/b/2 tree/c/d/3].each { |name| S.create_block_blob(BOX, name, "x") }
    found = all_blobs(prefix: "tree/", delimiter: "/").flatten
    { names: found.map { |entry| entry.is_a?(String) ? entry : entry.name }.sort }
  end,
  "snapshots" => lambda do
    S.create_block_blob(BOX, "snap", "one")
    snapshot = S.create_blob_snapshot(BOX, "snap", metadata: { "of" => "one" })
    S.create_block_blob(BOX, "snap", "two")
    old = { snapshot: snapshot }
    result = { old: read("snap", old), new: read("snap"),
               metadata: S.get_blob_properties(BOX, "snap", old).metadata }
    S.delete_blob(BOX, "snap", delete_snapshots: :only)
    result[:gone] = refusal { S.get_blob_properties(BOX, "snap", old) }
    S.create_blob_snapshot(BOX, "snap")
    S.delete_blob(BOX, "snap", delete_snapshots: :include)
    result.merge(all_gone: refusal { S.get_blob_properties(BOX, "snap") })
  end,
  "leases" => lambda do
    S.create_block_blob(BOX, "lease", "x")
    id = S.acquire_blob_lease(BOX, "lease", duration: -1)
    p = S.get_blob_properties(BOX, "lease").properties
    result = { state: p[:lease_state], duration: p[:lease_duration],
               write: refusal { S.create_block_blob(BOX, "lease", "y") },
               again: refusal { S.acquire_blob_lease(BOX, "lease", duration: 15) } }
    S.create_block_blob(BOX, "lease", "z", lease_id: id)
    left = S.break_blob_lease(BOX, "lease", break_period: 0)
    result.merge(left: left, broken: S.get_blob_properties(BOX, "lease").properties[:lease_state],
                 content: read("lease"))
  end,
  "copy" => lambda do
    S.create_block_blob(BOX, "copy/source", pattern(4, 300_000), metadata: { "m" => "1" })
    S.copy_blob_from_uri(BOX, "copy/target", sas_url("copy/source"))
    blob = nil
    600.times do
      blob = S.get_blob_properties(BOX, "copy/target")
      break unless blob.properties[:copy_status] == "pending"
      sleep 0.1
    end
    { status: blob.properties[:copy_status], sha256: sha(read("copy/target")), metadata: blob.metadata }
  end,
  "append" => lambda do
    S.create_append_blob(BOX, "append")
    offsets = Array.new(3) { |n| S.append_blob_block(BOX, "append", pattern(20 + n, 700)).properties[:append_offset] }
    p = S.get_blob_properties(BOX, "append").properties
    { offsets: offsets, type: p[:blob_type], blocks: p[:committed_count], sha256: sha(read("append")),
      position: refusal { S.append_blob_block(BOX, "append", "x", append_position: 1) },
      too_long: refusal { S.append_blob_block(BOX, "append", "x", max_size: 100) } }
  end,
  "pages" => lambda do
    S.create_page_blob(BOX, "pages", 1 << 20, sequence_number: 7)
    S.put_blob_pages(BOX, "pages", 0, 4095, pattern(30, 4096))
    S.put_blob_pages(BOX, "pages", 65_536, 66_047, pattern(31, 512))
    S.clear_blob_pages(BOX, "pages", 512, 1535)
    p = S.get_blob_properties(BOX, "pages").properties
    { ranges: S.list_page_blob_ranges(BOX, "pages"), size: p[:content_length],
      sha256: sha(read("pages")),
      unaligned: refusal { S.put_blob_pages(BOX, "pages", 100, 611, pattern(0, 512)) }[:status] }
  end,
  "pages-incremental" => lambda do
    S.create_page_blob(BOX, "followed", 4096)
    [[33, 0], [34, 1024]].each do |seed, at|
      S.put_blob_pages(BOX, "followed", at, at + 511, pattern(seed, 512))
      taken = S.create_blob_snapshot(BOX, "followed")
      S.incremental_copy_blob(BOX, "follower", "#{HOST}/#{BOX}/followed?snapshot=#{taken}")
    end
    made = S.list_blobs(BOX, prefix: "follower", snapshots: true).map(&:snapshot).compact.max
    { incremental: S.get_blob_properties(BOX, "follower").properties[:incremental_copy],
      sha256: sha(S.get_blob(BOX, "follower", snapshot: made)[1]), base: refusal { S.get_blob(BOX, "follower") } }
  end,
  "pages-properties" => lambda do
    S.resize_page_blob(BOX, "pages", 2 << 20)
    S.set_sequence_number(BOX, "pages", :increment, nil)
    p = S.get_blob_properties(BOX, "pages").properties
    { size: p[:content_length],
      condition: refusal { S.put_blob_pages(BOX, "pages", 0, 511, pattern(0, 512), if_sequence_number_lt: 1) } }
  end,
  "sas-account" => lambda do
    S.create_block_blob(BOX, "sas", "signed")
    token = SIGNER.generate_account_sas_token(service: "b", resource: "so", permissions: "rl", expiry: in_an_hour)
    client = service_for(storage_sas_token: token)
    { content: client.get_blob(BOX, "sas")[1], listed: client.list_containers.map(&:name).include?(BOX),
      container: refusal { client.get_container_properties(BOX) } }
  end,
  "sas-container" => lambda do
    client = service_for(storage_sas_token: sas(BOX, resource: "c", permissions: "rl"))
    { names: client.list_blobs(BOX, prefix: "sas").map(&:name), delete: refusal { client.delete_blob(BOX, "sas") } }
  end,
  "sas-expired" => lambda do
    client = service_for(storage_sas_token: sas("#{BOX}/sas", expiry: an_hour_ago))
    refusal { client.get_blob(BOX, "sas") }
  end,
  "wrong-key" => lambda do
    refusal { service_for(storage_access_key: Base64.strict_encode64("\0" * 64)).list_containers }
  end,
  "delete" => lambda do
    S.delete_blob(BOX, "sas")
    again = refusal { S.delete_blob(BOX, "sas") }
    S.delete_container(BOX)
    { again: again, container: refusal { S.get_container_properties(BOX) } }
  end,
}.freeze

$stdout.sync = true
STEPS.each do |name, run|
  begin
    found = run.call
  rescue StandardError => e
    warn e.full_message
    found = { error: "#{e.class}: #{e.message.lines.first}" }
  end
  puts JSON.generate({ step: name }.merge(found))
end
