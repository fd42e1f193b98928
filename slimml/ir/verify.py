"""What every graph must hold, beyond what each node checks when it is made."""

from __future__ import annotations

from slimml.ir.graph import Graph, Output
from slimml.ir.node import require

_FORMS = ("vector", "matrix", "list", "stack")


def verify(graph: Graph) -> None:
    """Raise MalformedGraphError where outputs, schema and inputs disagree."""
    require(graph.outputs, "a graph needs an output")
    names = [o.name for o in graph.outputs]
    require(len(set(names)) == len(names), "an output is there twice")
    for output in graph.outputs:
        verify_output(output)
    columns = graph.schema.columns
    kinds = [x.kind for x in graph.inputs()]
    require(len(set(kinds)) == len(kinds), "two inputs of one kind")
    for x in graph.inputs():
        require(all(c < len(columns) for c in x.columns), "an input reads a column that the schema lacks")
        for c in x.columns:
            require(columns[c].read, f"column {columns[c].name!r} is read but marked as not read")


def verify_output(output: Output) -> None:
    """Raise MalformedGraphError where an output contradicts itself."""
    where = f"output {output.name}"
    require(output.form in _FORMS and output.nodes, f"{where} has no form or no node")
    several = output.form in ("list", "stack")
    require(several or len(output.nodes) == 1, f"{where} has several nodes but is no list")
    alike = output.form != "stack" or len({(n.type.dtype, n.type.width) for n in output.nodes}) == 1
    require(alike, f"{where} stacks blocks that differ in dtype or width")
    width = output.nodes[0].type.width
    require(output.form != "vector" or width == 1, f"{where} is a vector of {width} columns")
    if output.labels:
        require(len(output.labels) == width and output.nodes[0].type.dtype == "int64", f"{where}: labels do not fit")
        domains = output.nodes[0].type.domains
        fits = all(d.low >= 0 and d.high < len(t) for d, t in zip(domains, output.labels, strict=True))
        require(fits, f"{where} points outside of its labels")
