// SPDX-License-Identifier: GPL-2.0-only
/*
 * The code under test, compiled into the test module a second time, under names
 * of its own: queue_test.c stands in for the real ones.
 */
#define azb_request_create azb_real_request_create
/* [extra */
#define azb_request_attach azb_real_request_attach
#define azb_control_create azb_real_control_create
#define azb_buffer_get azb_fake_buffer_get
#define azb_buffer_put azb_fake_buffer_put
#define azb_buffer_epoch azb_fake_buffer_epoch
/* extra] */
#define azb_request_pin azb_real_request_pin
#define azb_request_free azb_real_request_free
/* [uring */
#define azb_uring_take_pages azb_fake_uring_take_pages
/* uring] */
#include "../request.c"
