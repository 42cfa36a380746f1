// SPDX-License-Identifier: GPL-2.0-only
/*
 * The code under test, compiled into the test module a second time, under names
 * of its own and on a bus that ring_test.c provides.
 */
#define azb_ring_open azb_real_ring_open
#define azb_ring_close azb_real_ring_close
#define azb_ring_send azb_real_ring_send
#define azb_ring_want_room azb_real_ring_want_room
#define azb_ring_has_room azb_real_ring_has_room
#define azb_ring_drain azb_real_ring_drain
#define azb_ring_quiesce azb_real_ring_quiesce
#define vmbus_open azb_fake_vmbus_open
#define vmbus_close azb_fake_vmbus_close
#define vmbus_sendpacket_mpb_desc azb_fake_sendpacket
/* [extra */
#define vmbus_sendpacket azb_fake_sendpacket_inband
/* extra] */
#define hv_pkt_iter_first azb_fake_iter_first
#define __hv_pkt_iter_next azb_fake_iter_next
#define hv_pkt_iter_close azb_fake_iter_close
#include "../ring.c"
