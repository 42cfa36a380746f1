// SPDX-License-Identifier: MIT
/* Files for bytes that come in another order than they can go on in. */
#include "azure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../base/buf.h"

int az_spool_open(const struct az *az)
{
	struct azb_buf path = { 0 };
	int fd = open(az->config.spool, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR)
		return -errno;
	/* a file system without nameless files: one that has a name for a moment */
	azb_buf_printf(&path, "%s/azblob-XXXXXX", az->config.spool);
	fd = path.failed ? -1 : mkostemp(path.data, O_CLOEXEC);
	if (fd < 0) {
		fd = path.failed ? -ENOMEM : -errno;
	} else {
		unlink(path.data);
	}
	azb_buf_free(&path);
	return fd;
}
