"""XGBoost's own formats of a model: files, and the state of pickled Boosters. See `model` for what comes out."""
