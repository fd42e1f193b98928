"""The rows to try: the user's, rows from the boxes of leaves, and what breaks converters.

Half of the rows are the user's (where there are any). Of the rest most stand at the cuts of one node of a forest, both
floats next to it, with every split above it decided so that the row gets there; others hold one odd value (missing,
sentinel, infinite, signed zero, empty and unseen category, extremes) in an ordinary row, or are drawn column by column.
Everything is drawn with one seed from the graph and the schema alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from slimml.ir.graph import Graph
from slimml.ir.ops.models import forests
from slimml.options import PARITY_ROWS
from slimml.parity.accepted import accepted, fits
from slimml.parity.cells import Boundaries, Cells, boundaries, rank_table, raw_cells
from slimml.parity.columns import Gates, Interesting, declared, inside, interesting
from slimml.parity.documents import NO_DOCUMENTS, ODD, documents
from slimml.parity.rows import RawRows, concat
from slimml.parity.splits import splits
from slimml.parity.witness import layout, witnesses
from slimml.schema import NUMBER, TEXT, Column

# Rows that are refused go one by one, and each costs a call of the original.
REFUSED_ROWS = 48
_SAMPLE_SHARE, _WITNESS_SHARE, _ODD_SHARE = 0.5, 0.6, 0.5
_FEW = 128
# Cells of one dense block, so that wide ones get fewer rows; but so many rows at least.
_MOST_CELLS, _LEAST = 40_000_000, 16
# Documents to draw from.
_DOCUMENTS = 2000
_ODD_NUMBERS = (
    np.nan,
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    np.inf,
    -np.inf,
    1e308,
    -1e308,
    5e-324,
    3.4028235677973366e38,
    2.0**53,
)


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """`good`: rows that the graph answers, the first `sampled` of them the user's; `refused`: single rows that it
    refuses, each to be tried alone, as one of them makes a whole batch raise; `boundaries`: of a graph with forests.
    """

    good: RawRows
    refused: tuple[RawRows, ...]
    sampled: int
    boundaries: Boundaries | None = None

    @property
    def sample(self) -> RawRows | None:
        """The user's rows among the good ones, or None."""
        return self.good.take(slice(0, self.sampled)) if self.sampled else None


def trial_rows(graph: Graph, sample: RawRows | None = None, count: int = PARITY_ROWS, seed: int = 0) -> Trials:
    """Up to `count` rows for a graph as a frontend made it."""
    rng = np.random.default_rng(seed)
    widest = max(sum(n.type.width for n in o.nodes) for o in graph.outputs)
    widest = max([widest, *(n.type.width for n in graph.nodes() if n.type.layout == "dense")])
    count = max(_LEAST, min(max(64, count), _MOST_CELLS // max(1, widest)))
    given = _drawn_sample(sample, int(count * _SAMPLE_SHARE), rng)
    pools = _pools(graph, given, rng)
    room = count - (len(given) if given is not None else 0)
    # Bisecting for a few rows (golden ones) would cost more than they are worth.
    found = boundaries(graph) if count > _FEW and forests(graph) else None
    near = _witness_rows(graph, found, pools, int(room * _WITNESS_SHARE), rng)
    odd = _odd_rows(graph, pools, int((room - len(near)) * _ODD_SHARE), rng)
    plain = _plain_rows(graph, pools, max(0, room - len(near) - len(odd)), rng)
    made = _as_declared(graph, concat([near, odd, plain]))
    gates = Gates(graph)
    refused = gates.rows(made)
    sampled_refused = np.zeros(0, dtype=bool) if given is None else gates.rows(given)
    kept = [] if given is None else [given.take(~sampled_refused)]
    bad = made if given is None else concat([given, made])
    # Refused rows of every kind: spread over all of them.
    wrong = np.flatnonzero(np.concatenate([sampled_refused, refused]))
    picked = wrong[np.unique(np.linspace(0, len(wrong) - 1, REFUSED_ROWS).astype(int))] if len(wrong) else wrong
    return Trials(
        concat([*kept, made.take(~refused)]),
        tuple(bad.take(np.array([i])) for i in picked.tolist()),
        len(kept[0]) if kept else 0,
        found,
    )


def _as_declared(graph: Graph, rows: RawRows) -> RawRows:
    """The rows, with numbers that the user declared to be possible."""
    known = declared(graph)
    names = {rows.schema.names[c]: domain for c, domain in known.items()}
    columns = {n: inside(np.asarray(v, np.float64), names[n]) if n in names else v for n, v in rows.columns.items()}
    return replace(rows, columns=columns) if known else rows


def _drawn_sample(sample: RawRows | None, count: int, rng: np.random.Generator) -> RawRows | None:
    if sample is None or not len(sample):
        return None
    if len(sample) <= count:
        return sample
    return sample.take(np.sort(rng.choice(len(sample), count, replace=False)))


# --------------------------------------------------------------------------------------- what a column usually holds


def _pools(graph: Graph, given: RawRows | None, rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Per raw column, ordinary values to draw from."""
    known = interesting(graph)
    return {i: _pool(c, known.get(i, Interesting()), given, rng) for i, c in enumerate(graph.schema.columns)}


def _pool(column: Column, noted: Interesting, given: RawRows | None, rng: np.random.Generator) -> np.ndarray:
    if column.kind == TEXT:
        own = [] if given is None else [v for v in given.columns[column.name].tolist() if isinstance(v, str)]
        return _objects([*documents(noted.texts, own, _DOCUMENTS, rng), *own[:_DOCUMENTS]])
    if given is not None:
        return given.columns[column.name]
    if column.kind == NUMBER:
        return _numbers(noted, rng)
    fitting = [v for v in noted.values if fits(column, v, noted) and v is not None and v == v]
    return _objects(fitting or ["a", "b"])


def _numbers(noted: Interesting, rng: np.random.Generator) -> np.ndarray:
    listed = [float(v) for v in noted.values if isinstance(v, int | float) and np.isfinite(v)]
    if noted.tabled and listed:
        return np.array(listed)
    centers = np.array([*noted.centers, *listed] or [0.0])
    scales = np.array([s for s in noted.scales if np.isfinite(s) and s > 0] or [max(1.0, abs(centers[0]))])
    drawn = rng.choice(centers, 400) + rng.choice(scales, 400) * rng.normal(0, 1.5, 400)
    return np.concatenate([drawn, np.round(drawn[:200]), listed])


def _objects(values: list[object]) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        out[i] = value
    return out


# ----------------------------------------------------------------------------------------------------- kinds of rows


def _plain_rows(graph: Graph, pools: dict[int, np.ndarray], count: int, rng: np.random.Generator) -> RawRows:
    """Each column drawn by itself."""
    columns = {c.name: rng.choice(pools[i], count) for i, c in enumerate(graph.schema.columns)}
    return RawRows.make(graph.schema, columns)


def _odd_rows(graph: Graph, pools: dict[int, np.ndarray], count: int, rng: np.random.Generator) -> RawRows:
    """Ordinary rows with one odd value each, every odd value of every column in turn; some with several."""
    known = interesting(graph)
    odd = [(i, v) for i, c in enumerate(graph.schema.columns) for v in _odd_values(c, known.get(i, Interesting()))]
    rows = _plain_rows(graph, pools, min(count, 8 * len(odd)), rng)
    order = rng.permutation(len(odd)) if len(odd) > len(rows) else np.arange(len(odd))
    for r in range(len(rows)):
        several = 1 if r < len(odd) else int(rng.integers(1, 4))
        for k in range(several):
            i, value = odd[order[(r + k * 7919) % len(odd)]]
            rows.columns[graph.schema.columns[i].name][r] = value
    return RawRows.make(graph.schema, rows.columns)


def _odd_values(column: Column, noted: Interesting) -> list[object]:
    if column.kind == TEXT:
        return [*ODD, *NO_DOCUMENTS]
    if column.kind == NUMBER:
        listed = [float(v) for v in noted.values if isinstance(v, int | float) and v == v]
        beside = [float(np.nextafter(v, to)) for v in listed[:64] for to in (-np.inf, np.inf)]
        return [*listed, *beside, *_ODD_NUMBERS]
    return [v for v in _category_values(noted) if fits(column, v, noted)]


def _category_values(noted: Interesting) -> list[object]:
    return [*noted.values, None, float("nan"), "", "\u2603 never seen", -987654321, True]


def _witness_rows(
    graph: Graph, known: Boundaries | None, pools: dict[int, np.ndarray], count: int, rng: np.random.Generator
) -> RawRows:
    """Rows beside the cuts of nodes that they reach, from trees drawn at random; all nodes where there is room."""
    empty = _plain_rows(graph, pools, 0, rng)
    found = forests(graph)
    if known is None or not count:
        return empty
    cells = accepted(graph, raw_cells([graph], [known]))
    parts = [empty]
    for forest in found:
        table = rank_table(graph, forest.inputs[0], cells)
        if table is None:
            continue
        trees, lay = forest.trees, layout(cells)
        wanted = count // len(found)
        made = splits(trees, table, cells)
        order = rng.permutation(trees.count)
        inner = np.add.reduceat(trees.feature >= 0, trees.roots)[order]
        # A quarter more trees than enough: not every node has witnesses.
        enough = int(np.searchsorted(np.cumsum(inner), 1.25 * wanted)) + 1
        for batch in witnesses(trees, made, lay, np.sort(order[:enough]), free=True):
            share = int(np.ceil(wanted * len(batch.node) / max(1, 2 * int(inner[:enough].sum()))))
            pick = rng.permutation(len(batch.node))[: max(share, wanted if enough == trees.count else share)]
            parts.append(_rows_of_cells(graph, cells, batch.cells[pick], batch.free[pick], lay.columns, pools, rng))
    rows = concat(parts)
    return rows.take(np.sort(rng.permutation(len(rows))[:count]))


def _rows_of_cells(
    graph: Graph,
    cells: Cells,
    chosen: np.ndarray,
    free: np.ndarray,
    order: Sequence[int],
    pools: dict[int, np.ndarray],
    rng: np.random.Generator,
) -> RawRows:
    """Raw rows of witness cells; columns that no split on the way has tested (free) hold ordinary values."""
    rows = _plain_rows(graph, pools, len(chosen), rng)
    for i, c in enumerate(order):
        name = graph.schema.columns[c].name
        fixed = ~free[:, i]
        rows.columns[name][fixed] = cells.values[c][chosen[fixed, i]]
    return RawRows.make(graph.schema, rows.columns)
