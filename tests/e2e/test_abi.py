# SPDX-License-Identifier: MIT
"""The three ioctl numbers, every field at its published offset, and every way to get one wrong."""

import errno
import os
import struct

import pytest
from vsp import (MAX_PAGES, PAGE, RESPONSE, STATUS_TIMEOUT, STATUS_TOO_SMALL, call, get, pattern,
                 probe, put)

NUMBERS = ["f0", "legacy", "v1", "f4"]
ALL_ONES = 0xFFFFFFFF


@pytest.mark.parametrize("nr", NUMBERS)
def test_probe_is_answered_through_each_number(guest, nr):
    answer = call(guest, probe(), nr=nr)
    assert (answer.result, answer.status, answer.http) == (0, 0, 200)
    assert answer.header["azblob-payload"] == "1"


@pytest.mark.parametrize("nr, at", [("f0", 64), ("legacy", 64), ("v1", 56), ("f4", 64)])
def test_answer_is_written_at_the_published_offset_and_nothing_else_changes(guest, nr, at):
    guid = "00112233445566778899aabbccddeeff"
    answer = call(guest, probe(), nr=nr, guid=guid, timeout=12345)
    status, length = struct.unpack_from("<II", answer.struct, at)
    assert status == 0
    assert 0 < length <= RESPONSE
    assert answer.struct[:16] == bytes.fromhex(guid)
    assert struct.unpack_from("<IIII", answer.struct, 16) == (12345, len(probe()), RESPONSE, 0)
    if nr == "v1":
        # The 64-byte form must leave what follows it alone.
        assert answer.struct[64:] == bytes(8)
    else:
        assert struct.unpack_from("<II", answer.struct, 32) == (0, 0)


@pytest.mark.parametrize("nr", ["f0", "legacy", "f4"])
def test_body_goes_in_and_comes_back(guest, target, nr):
    size = 3 * PAGE + 123
    blob = target("b-" + nr)
    stored = call(guest, put(blob, size), nr=nr, data=size, data_valid=size, seed=7)
    assert (stored.result, stored.status, stored.http) == (0, 0, 201)
    assert guest.backend.get_blob(blob.split("/", 2)[2]) == pattern(size, 7)
    back = call(guest, get(blob), nr=nr, data=size, expect=7)
    assert (back.result, back.http, back.data_wrong) == (0, 200, -1)
    assert back.header["content-length"] == str(size)


def test_first_form_sends_one_valid_byte(guest, target):
    """It has no data_valid: the host is told one byte, as it always was."""
    blob = target("one")
    stored = call(guest, put(blob, 1), nr="v1", data=PAGE, seed=3)
    assert (stored.result, stored.http) == (0, 201)
    assert guest.backend.get_blob(blob.split("/", 2)[2]) == pattern(1, 3)


@pytest.mark.parametrize("field", ["request_len", "response_len"])
@pytest.mark.parametrize("nr", NUMBERS)
def test_length_of_zero_is_refused(guest, nr, field):
    answer = call(guest, probe(), nr=nr, **{field: 0})
    assert (answer.result, answer.errno) == (-1, errno.EINVAL)


@pytest.mark.parametrize("field", ["request_len", "response_len", "data_len"])
@pytest.mark.parametrize("value", [MAX_PAGES * PAGE, MAX_PAGES * PAGE + 1, 1 << 31, ALL_ONES])
@pytest.mark.parametrize("nr", NUMBERS)
def test_length_that_leaves_no_room_for_the_others_is_refused(guest, nr, field, value):
    """8192 pages are for all three buffers, so none may have them all."""
    answer = call(guest, probe(), nr=nr, data=PAGE, **{field: value})
    assert (answer.result, answer.errno) == (-1, errno.EMSGSIZE)


@pytest.mark.parametrize("nr", NUMBERS)
def test_all_lengths_at_their_largest_are_refused(guest, nr):
    answer = call(guest, probe(), nr=nr, request_len=ALL_ONES, response_len=ALL_ONES,
                  data_len=ALL_ONES, data=PAGE)
    assert (answer.result, answer.errno) == (-1, errno.EMSGSIZE)


@pytest.mark.parametrize("valid", [PAGE + 1, 1 << 31, ALL_ONES])
@pytest.mark.parametrize("nr", ["f0", "legacy", "f4"])
def test_more_valid_data_than_data_is_refused(guest, nr, valid):
    answer = call(guest, probe(), nr=nr, data=PAGE, data_valid=valid)
    assert (answer.result, answer.errno) == (-1, errno.EINVAL)


def test_all_data_valid_is_accepted(guest, target):
    answer = call(guest, put(target("all"), PAGE), data=PAGE, data_valid=PAGE)
    assert (answer.result, answer.http) == (0, 201)


@pytest.mark.parametrize("value", [1, ALL_ONES])
def test_reserved_field_must_be_zero_with_the_new_number(guest, value):
    answer = call(guest, probe(), reserved=value)
    assert (answer.result, answer.errno) == (-1, errno.EINVAL)


def test_padding_of_the_legacy_number_is_ignored(guest):
    """It was never named there, and deployed programs leave anything in it."""
    answer = call(guest, probe(), nr="legacy", reserved=ALL_ONES)
    assert (answer.result, answer.http) == (0, 200)


@pytest.mark.parametrize("nr", NUMBERS)
@pytest.mark.parametrize("timeout", [0, 0x7FFFFFFF, 0x80000000, ALL_ONES])
def test_any_timeout_is_accepted(guest, nr, timeout):
    answer = call(guest, probe(), nr=nr, timeout=timeout)
    assert (answer.result, answer.status, answer.http) == (0, 0, 200)


@pytest.mark.parametrize("nr", NUMBERS)
def test_shortest_timeout_ends_in_one_of_two_ways(guest, nr):
    """A millisecond may be enough."""
    answer = call(guest, probe(), nr=nr, timeout=1)
    assert answer.result == 0
    assert (answer.status, answer.http) in ((0, 200), (STATUS_TIMEOUT, 0))


@pytest.mark.parametrize("nr", NUMBERS)
def test_request_of_one_byte(guest, nr):
    """For the driver as good as any; the service says what it thinks of it."""
    answer = call(guest, b"G", nr=nr)
    assert answer.result == 0
    assert answer.status or answer.http == 400


@pytest.mark.parametrize("nr", NUMBERS)
@pytest.mark.parametrize("guid", ["00" * 16, "ff" * 16])
def test_any_guid_is_accepted(guest, nr, guid):
    answer = call(guest, probe(), nr=nr, guid=guid)
    assert (answer.result, answer.http) == (0, 200)


BAD_ADDRESSES = {
    "null": "4096:null",
    "unmapped": "4096:unmapped",
    "all_ones": "4096:addr:0xffffffffffffffff",
    "kernel": "4096:addr:0xffffffff81000000",
    "direct_map": "4096:addr:0xffff888000000000",
    "non_canonical": "4096:addr:0x8000000000000000",
    "end_of_user_space": "4096:addr:0x7fffffffffff",
    "last_page_missing": "8192:hole",
}


@pytest.mark.parametrize("where", BAD_ADDRESSES)
@pytest.mark.parametrize("nr", NUMBERS)
def test_bad_request_address(guest, nr, where):
    answer = call(guest, probe(), nr=nr, request=BAD_ADDRESSES[where], request_len=4096 + 1
                  if where == "last_page_missing" else 64)
    assert (answer.result, answer.errno) == (-1, errno.EFAULT)


@pytest.mark.parametrize("where", BAD_ADDRESSES)
@pytest.mark.parametrize("nr", NUMBERS)
def test_bad_response_address(guest, nr, where):
    answer = call(guest, probe(), nr=nr, response=BAD_ADDRESSES[where])
    assert (answer.result, answer.errno) == (-1, errno.EFAULT)


@pytest.mark.parametrize("valid", [0, 1])
@pytest.mark.parametrize("where", BAD_ADDRESSES)
def test_bad_data_address(guest, valid, where):
    answer = call(guest, probe(), data=BAD_ADDRESSES[where], data_valid=valid)
    assert (answer.result, answer.errno) == (-1, errno.EFAULT)


def test_address_that_wraps_around(guest):
    answer = call(guest, probe(), data="8192:addr:0xfffffffffffff000")
    assert (answer.result, answer.errno) == (-1, errno.EFAULT)


@pytest.mark.parametrize("nr", NUMBERS)
@pytest.mark.parametrize("argp", ["0", "0xffffffffffffffff", "0xffffffff81000000", "0xfff"])
def test_bad_address_of_the_structure(guest, nr, argp):
    answer = call(guest, probe(), nr=nr, argp=argp)
    assert (answer.result, answer.errno) == (-1, errno.EFAULT)


# Neighbours of the real numbers: other size, direction, type, command; and nonsense.
@pytest.mark.parametrize("nr", ["0xc04852f1", "0xc04052f0", "0xc04952f0", "0x804852f0",
                                "0x404852f0", "0xc04853f0", "0xc048520b", "0xc044520a",
                                "0x5401", "0", "0xffffffff"])
def test_unknown_number(guest, nr):
    answer = call(guest, probe(), nr=nr)
    assert (answer.result, answer.errno) == (-1, errno.ENOTTY)


@pytest.mark.parametrize("mode", ["rdonly", "wronly"])
def test_node_opens_read_write_only(guest, mode):
    answer = call(guest, probe(), open=mode)
    assert not answer.opened
    assert answer.errno == errno.EACCES


def test_node_is_for_root(guest):
    mode = guest.run(["stat", "-c", "%a %u", "/dev/azure_blob"]).text.split()
    assert mode == ["600", "0"]


def test_response_buffer_too_small_for_an_answer_is_refused_before_anything_happens(guest, target):
    blob = target("never")
    answer = call(guest, put(blob, PAGE), data=PAGE, data_valid=PAGE, response=RESPONSE - 1)
    assert (answer.result, answer.status) == (0, STATUS_TOO_SMALL)
    assert answer.header["azblob-needed"] == str(RESPONSE)
    status, _, _ = guest.backend.request("GET", blob)
    assert status == 404


def test_response_buffer_of_one_byte(guest):
    answer = call(guest, probe(), response=1)
    assert (answer.result, answer.status) == (0, STATUS_TOO_SMALL)
    assert answer.response_len <= 1
    assert answer.guards["response"]


def test_data_buffer_too_small_for_the_body_is_refused(guest, target, container):
    guest.backend.put_blob(f"{container}/big", bytes(3 * PAGE))
    answer = call(guest, get(target("big")), data=PAGE)
    assert (answer.result, answer.status) == (0, STATUS_TOO_SMALL)
    assert answer.header["azblob-needed"] == str(3 * PAGE)
    assert answer.guards["data"]


@pytest.mark.parametrize("head", [b"\0", b"x", b"GET", b"\r\n\r\n", bytes(4096), b"GET / HTTP/1.1\r\n",
                                  b"\xff" * 70000], ids=["zero", "letter", "word", "empty_lines",
                                                         "zeros", "unfinished", "too_long"])
def test_payload_that_is_no_request(guest, head):
    answer = call(guest, head)
    assert answer.result == 0
    assert answer.status in (0x8007000D, 0x80070032) or 400 <= answer.http < 500


def test_request_without_credentials_is_refused(guest, target):
    head = f"GET {target('x')} HTTP/1.1\r\nHost: 127.0.0.1:10000\r\nx-ms-version: 2021-08-06\r\n\r\n"
    answer = call(guest, head.encode())
    assert answer.result == 0
    assert answer.http in (401, 403, 404)
    assert answer.header["x-ms-error-code"]


def test_random_structures_harm_nothing(guest):
    """Every byte of the structure from a generator with a printed seed."""
    seed = int.from_bytes(os.urandom(4), "little")
    result = guest.run(["vspfuzz", "seed=%d" % seed, "rounds=3000"], timeout=300, check=False)
    assert result.status == 0, f"seed {seed}: {result}"
    assert call(guest, probe()).http == 200


def test_32_bit_program(guest):
    """The structure has the same layout there, so the calls must simply work."""
    lines = guest.run(["compat32"]).text.splitlines()
    assert lines == ["l 0 0 HTTP/1.1 200", "l 0 0 HTTP/1.1 200", "s 0 0 HTTP/1.1 200"]


@pytest.mark.parametrize("valid", [1, ALL_ONES])
@pytest.mark.parametrize("nr", ["f0", "legacy", "f4"])
def test_valid_length_says_nothing_without_a_data_buffer(guest, nr, valid):
    answer = call(guest, probe(), nr=nr, data_valid=valid)
    assert (answer.result, answer.status, answer.http) == (0, 0, 200)
