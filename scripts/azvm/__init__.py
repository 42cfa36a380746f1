# SPDX-License-Identifier: MIT
"""Guests and daemons for scripts/vm, scripts/demo and the end-to-end tests.

Only the standard library is used, so that the scripts run on a bare Debian.
"""
