# SPDX-License-Identifier: MIT
"""The daemon and the client are those of tests/http."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "http"))
