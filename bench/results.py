"""What a suite gives: cases in the contract's shape, and the table that shows them.

A case is `{"ours", "peers": {name: value}, "unit", "higher_is_better"}`, and where they are known
`"limit"` (what this machine could do at best), `"limit_ratio"` (how near we are to it, 1 is there), `"variants"` (other
entries of our own catalogue, which are no peers), `"missing": {peer: why it was not measured}` and `"repetitions":
{peer: how often}` of those that were far behind and measured less often than we were.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

Case = dict[str, Any]
OURS = "ours"
# A player of this name is our engine with another model.
VARIANT = "ours: "


def case(
    ours: float,
    peers: Mapping[str, float],
    unit: str,
    *,
    higher: bool,
    limit: float | None = None,
    missing: Mapping[str, str] | None = None,
) -> Case:
    """Return one result. `limit` is in the same unit."""
    made: Case = {
        "ours": rounded(ours),
        "peers": {name: rounded(value) for name, value in peers.items()},
        "unit": unit,
        "higher_is_better": higher,
    }
    if limit and ours:
        made |= {"limit": rounded(limit), "limit_ratio": rounded(ours / limit if higher else limit / ours)}
    if missing:
        made["missing"] = dict(missing)
    return made


def rounded(value: float) -> float:
    """Return the value with four digits: what is measured here is never known better."""
    return float(f"{value:.4g}")


def ratio(case: Case) -> float | None:
    """Return how we stand against the best peer, above 1 being better; None without a peer."""
    if not case["peers"] or not case["ours"]:
        return None
    if case["higher_is_better"]:
        best = max(case["peers"].values())
        return case["ours"] / best if best else None
    return min(case["peers"].values()) / case["ours"]


def _others(case: Case) -> list[str]:
    peers = [f"{name} {value:g}" for name, value in case["peers"].items()]
    return peers + [f"[our {name} {value:g}]" for name, value in case.get("variants", {}).items()]


def quantiles_ms(values_s: Sequence[float]) -> tuple[float, float]:
    """Return median and 95th percentile of seconds, in ms."""
    ordered = sorted(values_s)
    return statistics.median(ordered) * 1000, ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] * 1000


class Samples:
    """Values by case, player and repetition."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def add(self, case_name: str, player: str, value: float) -> None:
        self._values[case_name][player].append(value)

    def median(self, case_name: str, player: str) -> float:
        """Return the median; KeyError when nothing was measured."""
        if case_name not in self._values or player not in self._values[case_name]:
            raise KeyError((case_name, player))
        return statistics.median(self._values[case_name][player])

    def case(
        self,
        case_name: str,
        unit: str,
        *,
        higher: bool,
        limit: float | None = None,
        missing: Mapping[str, str] | None = None,
    ) -> Case:
        """Return the case of the medians; `repetitions` names the peers that were measured less often than we were."""
        ours = self.median(case_name, OURS)
        players = self._values[case_name]
        count = len(players[OURS])
        # Who failed on the way is missing; who failed after its last repetition is not.
        peers = {
            name: statistics.median(values)
            for name, values in players.items()
            if name != OURS and (len(values) >= count or name not in (missing or {}))
        }
        fewer = {name: len(players[name]) for name in peers if len(players[name]) < count}
        absent = {name: why for name, why in (missing or {}).items() if name not in peers}
        variants = {name.removeprefix(VARIANT): peers.pop(name) for name in list(peers) if name.startswith(VARIANT)}
        made = case(ours, peers, unit, higher=higher, limit=limit, missing=absent)
        if variants:
            made["variants"] = {name: rounded(value) for name, value in variants.items()}
        if fewer:
            made["repetitions"] = fewer
        return made


def table(results: Mapping[str, Mapping[str, Case]]) -> str:
    """Return ours, the ratio to the best peer (above 1: we are better), the ratio to the limit, and each peer."""
    width = max([40, *(len(f"{suite}: {name}") for suite, cases in results.items() for name in cases)])
    lines = [f"{'case':<{width}} {'ours':>9} {'unit':<11} {'ratio':>6} {'limit':>6}  peers"]
    for suite, cases in results.items():
        for name, found in cases.items():
            against, near = ratio(found), found.get("limit_ratio")
            lines.append(
                f"{f'{suite}: {name}':<{width}} {found['ours']:>9g} {found['unit']:<11} "
                f"{'' if against is None else f'{against:.2f}':>6} {'' if near is None else f'{near:.2f}':>6}  "
                + ", ".join(_others(found))
            )
    absent = {
        (suite, peer, why): None
        for suite, cases in results.items()
        for found in cases.values()
        for peer, why in found.get("missing", {}).items()
    }
    return "\n".join([*lines, *(f"not measured in {suite}: {peer}: {why}" for suite, peer, why in absent)])
