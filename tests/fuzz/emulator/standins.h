/* SPDX-License-Identifier: MIT */
/*
 * What the emulator's units use of QEMU and a target plays itself: the processor's side of Hyper-V,
 * the chardev, its socket, and the wait for a backend.  It is included before anything else into
 * each unit (vmbus.c, azure-blob-vsp.c and those beside them), so that declarations in QEMU's
 * headers are renamed as well.  processor.c, socket.c and rig.c have the functions; all else is
 * QEMU's own.
 */
#ifndef AZBLOB_FUZZ_STANDINS_H
#define AZBLOB_FUZZ_STANDINS_H

/* the processor */
#define hyperv_is_synic_enabled fuzz_is_synic_enabled
#define hyperv_are_vmbus_recommended_features_enabled fuzz_are_features_enabled
#define hyperv_sint_route_new fuzz_sint_route_new
#define hyperv_sint_route_ref fuzz_sint_route_ref
#define hyperv_sint_route_unref fuzz_sint_route_unref
#define hyperv_sint_route_set_sint fuzz_sint_route_set_sint
#define hyperv_post_msg fuzz_post_msg
#define hyperv_set_event_flag fuzz_set_event_flag
#define hyperv_set_msg_handler fuzz_set_msg_handler
#define hyperv_set_event_flag_handler fuzz_set_event_flag_handler

/* the socket */
#define qemu_chr_fe_backend_connected fuzz_chr_connected
#define qemu_chr_fe_get_driver fuzz_chr_get_driver
#define qemu_chr_fe_set_handlers fuzz_chr_set_handlers
#define qemu_chr_fe_disconnect fuzz_chr_disconnect
#define qemu_chr_fe_deinit fuzz_chr_deinit
#define qemu_dup fuzz_dup
#define qio_channel_socket_new_fd fuzz_channel_new_fd
#define qio_channel_has_feature fuzz_channel_has_feature
#define qio_channel_readv_full fuzz_channel_readv
#define qio_channel_writev_full fuzz_channel_writev
#define aio_set_fd_handler fuzz_set_fd_handler
#define aio_poll fuzz_aio_poll
/* whether a descriptor is a pidfd: the one in question is /dev/null */
#define g_file_get_contents fuzz_get_contents

/* what is said to people, many thousand times a second */
#define warn_report fuzz_say
#define error_report fuzz_say

#endif
