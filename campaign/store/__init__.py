"""The ledger: what is known, durably, and the only room that knows SQL.

Law: every fact and every decision goes through a named function here. A function gets a connection
inside one transaction and contains no await; `Store.write` and `Store.read` are the async doors.
No decision is taken in this room, nothing here talks to a device or reads a clock.
"""
