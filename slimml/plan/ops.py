"""The closed list of ops that a plan may hold, and the fields of each. Standard library only.

A plan is JSON, `{"nodes": [...], "outputs": [...]}`. A node is `{"op", "inputs", "fields", "origin"}`: `inputs` are
positions of earlier nodes. Scalars stand in `fields` as JSON (`artifact.exact`); arrays and long lists of strings stand
in the tensor section under `<position>.<field>`; trees stand in the forest section under the same name. What each op
means is the docstring and the `evaluate` of the class of the same name in `slimml.ir.ops`; its checks run again when a
plan is bound.
"""

from __future__ import annotations

# The kinds of field. "array:<dtypes>" is a tensor of one of those dtypes; the rest is JSON.
INT, FLOAT, BOOL, STR = "int", "float", "bool", "str"
SCALAR, SCALARS, TABLES = "scalar", "scalars", "tables"
INTS, STRS, BOOLS = "ints", "strs", "bools"
TREES = "trees"
# Many strings as one array of bytes (plan/strings.py).
TEXTS = "texts"

FLOATS = "array:float64,float32"
F64, F32, I64, I32, MASK = "array:float64", "array:float32", "array:int64", "array:int32", "array:bool"
NUMBERS = "array:float64,float32,int64,int32"

# How documents become terms.
TERMS = {
    "encoding": STR,
    "decode_error": STR,
    "lowercase": BOOL,
    "accents": STR,
    "analyzer": STR,
    "pattern": STR,
    "low": INT,
    "high": INT,
    "stop_words": TEXTS,
    "binary": BOOL,
}

SPECS: dict[str, dict[str, str]] = {
    # columns
    "Input": {"kind": STR, "columns": INTS},
    "Select": {"index": I64},
    "Concat": {"layout": STR},
    "Cast": {"dtype": STR},
    "Dense": {"absent": FLOAT},
    "Constant": {"value": F64},
    # numbers
    "Add": {"value": FLOATS},
    "Subtract": {"value": FLOATS},
    "Multiply": {"value": FLOATS},
    "Divide": {"value": FLOATS},
    "Nudge": {"scale": FLOAT, "shift": FLOAT},
    "Sum": {},
    "Inexact": {"reach": F64},
    "Affine": {"scale": FLOATS, "shift": FLOATS},
    "Clip": {"low": FLOAT, "high": FLOAT},
    "Binarize": {"threshold": FLOAT},
    "IsMissing": {"sentinel": SCALAR},
    "FillMissing": {"sentinel": SCALAR, "fill": SCALARS},
    "WhereMissing": {},
    "Guard": {"low": F64, "high": F64, "missing": MASK, "names": STRS},
    "Apply": {"function": STR},
    "Products": {"parent": I64, "column": I64},
    "Splines": {"knots": F64, "degree": INT, "outside": STR, "edges": I64, "spread": BOOL},
    "PowerCurve": {"kind": STR, "lambdas": FLOATS},
    "QuantileCurve": {"quantiles": F64, "references": F64, "margin": FLOAT},
    "QuantileBack": {"quantiles": F64, "references": F64, "margin": FLOAT},
    "Interpolate": {"xs": FLOATS, "ys": FLOATS, "offsets": I64, "beyond": STR},
    # ranks and categories
    "Rank": {"cuts": FLOATS, "offsets": I64, "table": I32},
    "Widen": {"cuts": F64, "ends": F32, "offsets": I64, "missing": F64},
    "Lookup": {"tables": TABLES, "refuse": BOOLS, "imputed": BOOLS},
    "LowerBound": {"tables": TABLES, "refuse": BOOLS},
    "Recode": {"values": NUMBERS, "offsets": I64},
    "OneHot": {"targets": I32, "offsets": I64, "sizes": I64, "dtype": STR, "layout": STR},
    # text
    "CountTerms": {**TERMS, "terms": TEXTS},
    "HashTerms": {**TERMS, "width": INT, "signed": BOOL},
    "LogEntries": {},
    "UnitRows": {"norm": STR, "least": FLOAT},
    # models
    "Linear": {"weights": FLOATS, "bias": FLOATS},
    "LinearTable": {"weights": F64, "bias": F64, "gaps": I64, "missing": F64, "table": F64, "offsets": I64},
    "ScaledSquares": {"centers": F64, "scales": F64},
    "LinearSum": {"weights": F32, "bias": F32},
    "Forest": {"trees": TREES},
    "SquaredDistances": {"points": F64},
    "ExpandedDistances": {"points": F64},
    "LatentChance": {},
    "Power": {"degree": INT},
    "PairSums": {"coef": F64, "counts": I64, "bias": F64},
    "PairVotes": {"classes": INT, "confident": BOOL},
    "PairCoupling": {"slope": F64, "shift": F64},
    "Neighbors": {
        "points": F64,
        "metric": STR,
        "p": FLOAT,
        "scale": F64,
        "method": STR,
        "count": INT,
        "order": I64,
        "start": I64,
        "end": I64,
        "leaf": MASK,
        "radius": F64,
        "bounds": F64,
    },
    "OutlierFactor": {"reach": F64, "density": F64},
    "WithinRadius": {"points": F64, "metric": STR, "p": FLOAT, "method": STR, "radius": FLOAT},
    "RadiusVotes": {"weights": STR, "labels": I64, "classes": INT, "outliers": INT},
    "RadiusMeans": {"weights": STR, "targets": F64, "empty": F64},
    "NeighborFill": {"points": F64, "means": F64, "count": INT, "weights": STR},
    "NeighborVotes": {"weights": STR, "labels": I64, "classes": INT, "paired": BOOL},
    "NeighborMeans": {"weights": STR, "targets": F64},
    "LinearForest": {"trees": TREES, "const": F64, "starts": I64, "columns": I64, "weights": F64, "small": FLOAT},
    # heads
    "Sigmoid": {},
    "Exp": {"serial": BOOL},
    "Log": {},
    "LogMean": {"terms": INT},
    "LogAddExp": {},
    "ShareGuard": {"shares": BOOL},
    "Exp2": {},
    "Tanh": {},
    "Softmax": {"serial": BOOL},
    "Softplus": {"plain": BOOL},
    "SignedSquare": {},
    "LogSoftmax": {"shifted": BOOL},
    "NormalizeRows": {"empty": STR},
    "Complement": {},
    "Confidence": {},
    "ArgMax": {},
    "WeightedMedian": {"weights": F64},
    "IsPositive": {"or_zero": BOOL},
    # what another engine runs: `section` holds its model
    "OnnxCall": {"section": STR, "width": INT},
}

FORMS = ("vector", "matrix", "list", "stack")


def fits(kind: str, value: object) -> bool:
    """Whether a JSON value (after `from_exact`) has the kind; arrays and trees are told by where they stand."""
    simple = {INT: int, FLOAT: float, BOOL: bool, STR: str}
    if kind in simple:
        return type(value) is simple[kind]
    if kind == SCALAR:
        return value is None or type(value) in (bool, int, float, str)
    if not isinstance(value, list):
        return False
    if kind == TABLES:
        return all(fits(SCALARS, table) for table in value)
    return all(fits({SCALARS: SCALAR, INTS: INT, STRS: STR, BOOLS: BOOL}[kind], item) for item in value)
