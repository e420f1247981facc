"""Which stages of a pipeline have to run, in which order, and its longest chain."""

from collections.abc import Collection, Mapping
from graphlib import TopologicalSorter

Edges = Mapping[str, Collection[str]]  # each stage, with those that it waits for


def needed(edges: Edges, changed: Collection[str]) -> dict[str, list[str]]:
    """The changed stages and all that follow from them, each with those of them that it waits for."""
    wanted = set(changed) & set(edges)
    for name in TopologicalSorter(edges).static_order():
        if wanted & set(edges[name]):
            wanted.add(name)
    return {name: sorted(wanted & set(edges[name])) for name in edges if name in wanted}


def chains(edges: Edges, seconds: Mapping[str, float]) -> dict[str, list[str]]:
    """The longest chain of stages that begins with each stage, by their seconds."""
    found: dict[str, list[str]] = {}
    for name in reversed([*TopologicalSorter(edges).static_order()]):
        later = [found[other] for other, before in edges.items() if name in before]
        found[name] = [name, *max(later, key=lambda chain: length(chain, seconds), default=[])]
    return found


def length(chain: list[str], seconds: Mapping[str, float]) -> float:
    """The seconds of a chain."""
    return sum(seconds.get(name, 0) for name in chain)
