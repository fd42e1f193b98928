"""What is said of a class that no frontend knows: why that is so, where there is a reason better than its name."""

from __future__ import annotations

from slimml.frontends.registry import WAYS_OUT, moved

_NO_NEW_ROWS = frozenset(
    [
        *moved("sklearn.cluster._dbscan", "DBSCAN"),
        *moved("sklearn.cluster._optics", "OPTICS"),
        "sklearn.cluster._hdbscan.hdbscan.HDBSCAN",
        *moved("sklearn.cluster._spectral", "SpectralClustering"),
        "sklearn.cluster.spectral.SpectralClustering",
        *moved("sklearn.cluster._agglomerative", "AgglomerativeClustering"),
        "sklearn.cluster.hierarchical.AgglomerativeClustering",
        *moved("sklearn.cluster._bicluster", "SpectralBiclustering", "SpectralCoclustering"),
        *moved("sklearn.manifold._t_sne", "TSNE"),
        *moved("sklearn.manifold._mds", "MDS"),
        "sklearn.manifold._classical_mds.ClassicalMDS",
        *moved("sklearn.manifold._spectral_embedding", "SpectralEmbedding"),
    ]
)
# What they take instead of rows of a table.
_NO_TABLE = {
    **dict.fromkeys(moved("sklearn.preprocessing._label", "MultiLabelBinarizer"), "sets of labels"),
    **dict.fromkeys(moved("sklearn.feature_extraction._dict_vectorizer", "DictVectorizer"), "dicts of any keys"),
    **dict.fromkeys(moved("sklearn.feature_extraction._hash", "FeatureHasher"), "dicts or lists of any length"),
    "sklearn.feature_extraction.hashing.FeatureHasher": "dicts or lists of any length",
}
# Packages by the name that their classes start with.
_LIBRARIES = {
    "autogluon": "AutoGluon",
    "catboost": "CatBoost",
    "category_encoders": "category_encoders",
    "cuml": "cuML",
    "fasttext": "fastText",
    "feature_engine": "Feature-engine",
    "flaml": "FLAML",
    "gensim": "gensim",
    "h2o": "H2O",
    "imblearn": "imbalanced-learn",
    "implicit": "implicit",
    "keras": "Keras",
    "lifelines": "lifelines",
    "mlxtend": "mlxtend",
    "nltk": "NLTK",
    "prophet": "Prophet",
    "pycaret": "PyCaret",
    "pyod": "PyOD",
    "pyspark": "Spark",
    "scikeras": "SciKeras",
    "sentence_transformers": "Sentence Transformers",
    "sklearn_pandas": "sklearn-pandas",
    "skorch": "skorch",
    "sktime": "sktime",
    "spacy": "spaCy",
    "statsmodels": "statsmodels",
    "surprise": "Surprise",
    "tensorflow": "TensorFlow",
    "torch": "PyTorch",
    "tpot": "TPOT",
    "transformers": "Transformers",
    "tslearn": "tslearn",
}


def why_unknown(path: str) -> tuple[str, str]:
    """Why a class that no frontend knows is not lowered, and what to do; `path` is its `module.Class`."""
    package, name = path.partition(".")[0], path.rpartition(".")[2]
    if path in _NO_NEW_ROWS:
        what = f"{path} answers only for the rows that it was fitted on: it has no method for new ones"
        return what, "There is nothing to compile. Fit a model that predicts on its answers, and save that one."
    if path in _NO_TABLE:
        what = f"{path} takes {_NO_TABLE[path]}, not rows of a table"
        return what, "Leave this step outside: make the columns first, and give the model that reads them."
    if package in _LIBRARIES:
        return f"no frontend knows {path}: models of {_LIBRARIES[package]} are not read", WAYS_OUT
    if package == "__main__":
        what = f"no frontend knows {path}: {name} was defined in the script or notebook that saved the file"
        return what, WAYS_OUT
    return f"no frontend knows {path}", WAYS_OUT
