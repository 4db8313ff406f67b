"""An SMS centre that speaks as much SMPP 3.4 as Kannel asks for, and delivers everything at once.

    python scripts/measure/peers/smsc.py

It prints its port, takes one connection after the other, and answers a submit_sm that asks for it
with the receipt DELIVRD right behind the response. Its time is nobody's figure.
"""

from __future__ import annotations

import socket
import struct
from itertools import count

_HEADER = struct.Struct(">IIII")  # length, command, status, sequence: section 3.2
_RESPONSE = 0x80000000
_SUBMIT_SM, _DELIVER_SM, _UNBIND = 0x4, 0x5, 0x6
_BINDS = (0x1, 0x2, 0x9)
_ENQUIRE_LINK = 0x15
_IS_RECEIPT = 0x04  # esm_class: section 5.2.12


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ear:
        print(ear.getsockname()[1], flush=True)
        while True:
            connection, _ = ear.accept()
            with connection:
                _serve(connection)


def _serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    numbers, pending = count(1), b""
    while True:
        try:
            more = connection.recv(65536)
            # A delayed ACK of ours would hold Nagle's algorithm in the peer: 40 ms each time.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            if not more:
                return
            reply, pending = answers(pending + more, numbers)
            connection.sendall(reply)
        except OSError:
            return


def answers(received: bytes, numbers: count[int]) -> tuple[bytes, bytes]:
    """To all whole PDUs, and what is left of the last one."""
    replies, at = [], 0
    while len(received) - at >= _HEADER.size:
        length, command, _, sequence = _HEADER.unpack_from(received, at)
        if len(received) - at < length:
            break
        body = received[at + _HEADER.size : at + length]
        at += length
        if command == _SUBMIT_SM:
            number = next(numbers)
            replies.append(_pdu(command | _RESPONSE, sequence, b"%d\0" % number))
            source, destination, wanted = _submitted(body)
            if wanted:
                replies.append(_receipt(number, source, destination))
        elif command in _BINDS:
            replies.append(_pdu(command | _RESPONSE, sequence, b"smsc\0"))
        elif command in (_ENQUIRE_LINK, _UNBIND):
            replies.append(_pdu(command | _RESPONSE, sequence))
    return b"".join(replies), received[at:]


def _pdu(command: int, sequence: int, body: bytes = b"") -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), command, 0, sequence) + body


def _submitted(body: bytes) -> tuple[bytes, bytes, bool]:
    """(source, destination, whether a receipt is asked for) of a submit_sm: section 4.4.1."""
    _service, _, rest = body.partition(b"\0")
    source, _, rest = rest[2:].partition(b"\0")
    destination, _, rest = rest[2:].partition(b"\0")
    _schedule, _, rest = rest[3:].partition(b"\0")
    _validity, _, rest = rest.partition(b"\0")
    return source, destination, bool(rest[0] & 1)


def _receipt(number: int, source: bytes, destination: bytes) -> bytes:
    """The deliver_sm with the final result of message `number`: appendix B."""
    text = (
        b"id:%d sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:DELIVRD"
        b" err:000 text:x" % number
    )
    body = (
        b"\0\1\1" + destination + b"\0\1\1" + source + b"\0"
        + bytes((_IS_RECEIPT, 0, 0, 0, 0, 0, 0, 0, 0, len(text))) + text
    )  # fmt: skip
    return _pdu(_DELIVER_SM, number, body)


if __name__ == "__main__":
    main()
