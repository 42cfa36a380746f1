/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QMP command of azure-blob-vsp for targets without it
 */

#include "qemu/osdep.h"
#include "qapi/qapi-commands-azure-blob.h"

AzureBlobVspInfoList *qmp_query_azure_blob_vsp(Error **errp)
{
    return NULL;
}
