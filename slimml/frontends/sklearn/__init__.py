"""Frontends for scikit-learn, one file per family. The registry imports them."""
