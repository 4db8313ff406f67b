"""Routes: which gateways, ports or operators may serve a number, by its prefix."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from campaign.errors import LocalProtocolError, UsageError
from campaign.planner.prefixes import Prefixes, split_pairs
from campaign.protocol.ports import AllPorts, parse_selection, ranges

ANYWHERE = ""
NOBODY = "!"
NO_ROUTE = "no_route"
"""The reason of a row that a route gives to nobody."""


@dataclass(frozen=True)
class Target:
    """Ports that a rule names: of one gateway (all of them where `ports` is None), or those whose
    SIM is of an operator."""

    gateway: str | None = None
    ports: frozenset[int] | None = None
    operator: str | None = None

    def takes(self, gateway: str, port: int, operator: str) -> bool:
        """Whether this port is meant. `operator` is what the device says of its SIM; the name it
        tells may be longer than the one that is asked for, and written in another case."""
        if self.operator is not None:
            return self.operator.casefold() in operator.casefold()
        return gateway == self.gateway and (self.ports is None or port in self.ports)


@lru_cache(maxsize=1024)
def targets_of(rule: str) -> tuple[Target, ...]:
    """The targets of a rule as text (`gw1:1-8+@CMCC`); none for `!`. Raises `UsageError`."""
    if rule == NOBODY:
        return ()
    return tuple(_target(rule, text.strip()) for text in rule.split("+"))


def may_serve(rule: str, gateway: str, port: int, operator: str) -> bool:
    """Whether a port may serve the recipients of a rule; the empty rule is for all."""
    if rule == ANYWHERE:
        return True
    return any(target.takes(gateway, port, operator) for target in targets_of(rule))


class Routes:
    """The rules of one campaign; the longest prefix wins, and no rule is: anywhere."""

    def __init__(self, rules: Prefixes[str]) -> None:
        self._rules = rules

    @classmethod
    def parse(cls, pairs: Iterable[str]) -> Routes:
        """`PREFIX=TARGET[+TARGET…]` texts. Raises `UsageError`."""
        rules = {
            prefix: "+".join(part.strip() for part in target.split("+"))
            for prefix, target in split_pairs(pairs, "--route")
        }
        for rule in rules.values():
            targets_of(rule)
        return cls(Prefixes(rules))

    def __bool__(self) -> bool:
        return bool(self._rules)

    def rule_of(self, number: str) -> str:
        """The rule for a number: targets as text, `!` for nobody, empty for anywhere."""
        return self._rules.value_of(number) or ANYWHERE

    def refuses(self, number: str) -> str | None:
        """Why nobody may serve a number, in words; None if somebody may."""
        prefix = self._rules.prefix_of(number)
        if prefix is None or self._rules.at(prefix) != NOBODY:
            return None
        return f"the route {prefix}={NOBODY} gives it to nobody"

    @property
    def _targets(self) -> list[Target]:
        return [target for rule in self._rules.values() for target in targets_of(rule)]

    def check_places(self, known: Mapping[str, Collection[int]]) -> None:
        """`UsageError` for a rule that names a gateway the campaign does not use, or a port that
        its gateway does not have. `known` are the ports by gateway, none where they are unknown."""
        for name in sorted(
            {t.gateway for t in self._targets if t.gateway is not None} - set(known)
        ):
            raise UsageError(
                f"--route names the gateway {name!r}, which this campaign does not use"
                f" (it uses: {', '.join(sorted(known)) or 'none'})"
            )
        for target in self._targets:
            there = frozenset() if target.gateway is None else frozenset(known[target.gateway])
            missing = (target.ports or frozenset()) - there
            if there and missing:
                ports = "port" if len(missing) == 1 else "ports"
                raise UsageError(
                    f"--route names {ports} {ranges(missing)} of {target.gateway}, which has"
                    f" {ranges(there)}"
                )


def _target(rule: str, text: str) -> Target:
    if text.startswith("@"):
        operator = text[1:].strip()
        if not operator:
            raise UsageError(f"--route …={rule}: write the operator behind the @, as @CMCC")
        return Target(operator=operator)
    gateway, colon, ports = text.partition(":")
    if not gateway or gateway == NOBODY or (colon and not ports.strip()):
        raise UsageError(
            f"--route …={rule}: write GATEWAY, GATEWAY:1-8 or @OPERATOR, joined by +; or ! alone"
        )
    if not colon:
        return Target(gateway)
    try:
        selection = parse_selection(ports)
    except LocalProtocolError as error:
        raise UsageError(f"--route …={rule}: {error}") from error
    if isinstance(selection, AllPorts):
        return Target(gateway)
    return Target(gateway, frozenset(port.number for port in selection))
