"""imbalanced-learn's Pipeline: its samplers change what is trained on, and nothing when rows are answered."""

from __future__ import annotations

from dataclasses import replace

from slimml.frontends.lowerer import Lowered, Lowerer, Source
from slimml.frontends.registry import lowers
from slimml.frontends.sklearn.compose import pipeline
from slimml.frontends.sklearn.fields import steps_of
from slimml.ingest.record import Record

_SELECTION = "imblearn.under_sampling._prototype_selection"
SAMPLERS = frozenset(
    [
        "imblearn.base.FunctionSampler",
        *(f"imblearn.combine.{n}" for n in ("_smote_enn.SMOTEENN", "_smote_tomek.SMOTETomek")),
        "imblearn.over_sampling._adasyn.ADASYN",
        "imblearn.over_sampling._random_over_sampler.RandomOverSampler",
        *(f"imblearn.over_sampling._smote.base.{n}" for n in ("SMOTE", "SMOTEN", "SMOTENC")),
        *(f"imblearn.over_sampling._smote.filter.{n}" for n in ("BorderlineSMOTE", "SVMSMOTE")),
        "imblearn.over_sampling._smote.cluster.KMeansSMOTE",
        # Until 0.8 they were one module.
        *(f"imblearn.over_sampling._smote.{n}" for n in "SMOTE SMOTENC BorderlineSMOTE SVMSMOTE KMeansSMOTE".split()),
        "imblearn.under_sampling._prototype_generation._cluster_centroids.ClusterCentroids",
        f"{_SELECTION}._condensed_nearest_neighbour.CondensedNearestNeighbour",
        *(
            f"{_SELECTION}._edited_nearest_neighbours.{n}"
            for n in ("EditedNearestNeighbours", "RepeatedEditedNearestNeighbours", "AllKNN")
        ),
        f"{_SELECTION}._instance_hardness_threshold.InstanceHardnessThreshold",
        f"{_SELECTION}._nearmiss.NearMiss",
        f"{_SELECTION}._neighbourhood_cleaning_rule.NeighbourhoodCleaningRule",
        f"{_SELECTION}._one_sided_selection.OneSidedSelection",
        f"{_SELECTION}._random_under_sampler.RandomUnderSampler",
        f"{_SELECTION}._tomek_links.TomekLinks",
    ]
)


@lowers("imblearn.pipeline.Pipeline")
def resampling_pipeline(est: Record, x: Source, ctx: Lowerer) -> Lowered:
    """As scikit-learn's, without its samplers (SMOTE, RandomUnderSampler, ...), which only take part in fit."""
    steps = steps_of(est, "steps", ctx)
    answering = [s for s in steps if not is_sampler(s[1])]
    if not answering or answering[-1] is not steps[-1]:
        raise ctx.unsupported("a pipeline that ends in a sampler answers no rows")
    return pipeline(replace(est, fields={**est.fields, "steps": answering}), x, ctx)


def is_sampler(step: object) -> bool:
    """Whether a step takes part in fit alone."""
    return isinstance(step, Record) and step.path in SAMPLERS
