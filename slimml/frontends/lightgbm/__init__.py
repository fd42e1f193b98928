"""LightGBM's boosters and their scikit-learn faces, from the text of the model alone."""
