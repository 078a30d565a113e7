"""Which work of a graph may begin, what is nearest its end first."""

import heapq
from collections.abc import Callable, Collection, Mapping

from makerlab.matrix.plan import Node, Work

# Finish what is begun before beginning anew, so that results come early.
PRIORITY = {"evaluate": 0, "train": 1, "tune": 2, "analyze": 3}


class ReadyWork:
    """The work whose needs are met; nothing is searched for when a need is."""

    def __init__(
        self,
        graph: Mapping[Work, Node],
        *,
        done: Collection[Work] = (),
        busy: Collection[Work] = (),
    ) -> None:
        """Begin with `done` work met and out of the way, and `busy` work out of the way."""
        self._order = {work: place for place, work in enumerate(graph)}
        self._unmet: dict[Work, int] = {}
        self._needed_by: dict[Work, list[Node]] = {}
        self._heap: list[tuple[int, int, Work]] = []
        for work, node in graph.items():
            if work in done or work in busy:
                continue
            needs = [need for need in node.needs if need not in done]
            self._unmet[work] = len(needs)
            for need in needs:
                self._needed_by.setdefault(need, []).append(node)
            if not needs:
                self.add(work)

    def __bool__(self) -> bool:
        """Whether any work may begin."""
        return bool(self._heap)

    def place(self, work: Work) -> int:
        """Return where work stands in the graph, -1 for work of another one."""
        return self._order.get(work, -1)

    def add(self, work: Work) -> None:
        """Let work begin, for the first time or again."""
        heapq.heappush(self._heap, (PRIORITY[work.stage], self._order[work], work))

    def pop(self) -> Work:
        """Take the work that is to begin next."""
        return heapq.heappop(self._heap)[-1]

    def like(self, wanted: Callable[[Work], bool]) -> list[Work]:
        """Return the work of a kind, in the order in which it is to begin."""
        return [entry[-1] for entry in sorted(self._heap) if wanted(entry[-1])]

    def remove(self, works: Collection[Work]) -> None:
        """Take work out of its turn."""
        self._heap = [entry for entry in self._heap if entry[-1] not in works]
        heapq.heapify(self._heap)

    def needing(self, work: Work) -> list[Node]:
        """Return what needs work, of that which was not out of the way."""
        return self._needed_by.get(work, [])

    def meet(self, work: Work) -> None:
        """Note that work went well: what needs nothing else may begin now."""
        for node in self.needing(work):
            self._unmet[node.work] -= 1
            if self._unmet[node.work] == 0:
                self.add(node.work)
