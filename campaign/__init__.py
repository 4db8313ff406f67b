"""Bulk SMS campaigns over GSM gateways: at most once, never lost, resumable after any crash.

Law: nothing lives here but the version. The rooms below state their own laws.
"""

__version__ = "0.1.0"
