// SPDX-License-Identifier: MIT
/* Memory for bodies; see gateway.h. */
#include "gateway.h"
#include "transport.h"

bool gw_buffers_init(struct gw_buffers *buffers, size_t limit)
{
	buffers->pool = azc_pool_new();
	buffers->limit = limit;
	atomic_init(&buffers->used, 0);
	atomic_init(&buffers->used_small, 0);
	return buffers->pool != NULL;
}

void gw_buffers_end(struct gw_buffers *buffers)
{
	azc_pool_free(buffers->pool);
}

/* Takes a large buffer's bytes out of the budget. */
static bool take(struct gw_buffers *buffers)
{
	size_t used = atomic_load(&buffers->used);

	do {
		if (used + GW_LARGE > buffers->limit)
			return false;
	} while (!atomic_compare_exchange_weak(&buffers->used, &used, used + GW_LARGE));
	return true;
}

void *gw_buffer_get(struct gw_buffers *buffers, size_t want, size_t *size)
{
	void *buffer;

	if (want > GW_SMALL && take(buffers)) {
		buffer = azc_pool_get(buffers->pool, GW_LARGE);
		if (buffer) {
			*size = GW_LARGE;
			return buffer;
		}
		atomic_fetch_sub(&buffers->used, GW_LARGE);
	}
	*size = GW_SMALL;
	buffer = azc_pool_get(buffers->pool, GW_SMALL);
	if (buffer)
		atomic_fetch_add(&buffers->used_small, GW_SMALL);
	return buffer;
}

bool gw_buffers_busy(struct gw_buffers *buffers)
{
	size_t limit = buffers->limit > GW_LEAST_SMALL ? buffers->limit : GW_LEAST_SMALL;

	return atomic_load(&buffers->used_small) >= limit;
}

void gw_buffer_put(struct gw_buffers *buffers, void *buffer, size_t size)
{
	if (!buffer)
		return;
	azc_pool_put(buffers->pool, buffer, size);
	atomic_fetch_sub(size == GW_LARGE ? &buffers->used : &buffers->used_small, size);
}
