# SPDX-License-Identifier: MIT
"""Measurements of the project beside their peers; ../bench is the command."""
