"""The Ejoin HTTP SMS protocol, sans-IO: bytes to values and back.

Law: exact in what we send, tolerant in what we take. No trio, no httpx, no sqlite; nothing but
`ProtocolError` is ever raised, and nothing a device said is dropped. What this package is not: a
client, a server, or a judge of what to send; those live in other rooms.
"""
