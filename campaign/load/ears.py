"""The return path of a load: what the device pushes, stamped when it comes and told to the account.

It is the receiver that campaigns use, with another sink behind it: nothing goes to a disk. A push
that cannot be read is counted and acknowledged, as the receiver itself does.
"""

from __future__ import annotations

from collections.abc import Callable

from campaign.env import Env
from campaign.errors import ProtocolError
from campaign.load.account import Account
from campaign.protocol.codec import decode_push
from campaign.protocol.messages import RecvSms, StatusReport
from campaign.receiver.app import receiver_app
from campaign.store.inbox import Arrived

_GATEWAY = 1


class Ears:
    """Hears one device. `path` is where it must push to, `app` the ASGI application to be served.

    `since_start()` is in seconds. `on_push` is called after each push. Of the pushes that came,
    `odd` could not be read, in whole or in part, and `others` are neither reports nor receipts.
    """

    def __init__(
        self,
        account: Account,
        *,
        env: Env,
        since_start: Callable[[], float],
        on_push: Callable[[], None] = lambda: None,
    ) -> None:
        self._account = account
        self._since_start = since_start
        self._on_push = on_push
        self.pushes = self.odd = self.others = 0
        token = env.nonce(16)
        self.path = f"/p/{token}"
        self.app = receiver_app(lambda: {token: _GATEWAY}, self, env=env)

    async def commit(self, arrived: Arrived) -> None:
        """One push has come."""
        at = self._since_start()
        self.pushes += 1
        try:
            push = decode_push(arrived.body, arrived.content_type, arrived.query)
        except ProtocolError:
            self.odd += 1
            return
        match push:
            case StatusReport():
                self.odd += bool(push.odd)
                self._account.hear(push, at)
            case RecvSms():
                self.odd += bool(push.odd)
                receipts = [message for message in push.messages if message.receipt]
                self.others += not receipts
                for message in receipts:
                    self._account.receipt(message, at)
            case _:
                self.others += 1
        self._on_push()
