# SPDX-License-Identifier: MIT
# The library for Ruby as Debian ships it; only the address says where it goes.
require "tempfile" # azure-core names it and does not load it
require "azure/storage/blob"

given = ENV["AZURE_STORAGE_CONNECTION_STRING"].split(";").to_h { |pair| pair.split("=", 2) }
service = Azure::Storage::Blob::BlobService.create(storage_account_name: given["AccountName"],
                                                   storage_access_key: given["AccountKey"],
                                                   storage_blob_host: given["BlobEndpoint"])
service.create_container("hello") unless service.list_containers.map(&:name).include?("hello")
service.create_block_blob("hello", "from-ruby", "hello from the library for Ruby\n")
print service.get_blob("hello", "from-ruby")[1]
