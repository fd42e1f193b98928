"""Every class that slimml lowers has a line of documentation, a zoo model, and a test of an older release."""

from __future__ import annotations

from slimml.frontends.registry import documentation, own, registered


def test_every_class_has_a_documentation_line():
    silent = sorted(p for p in registered() if own(p) and not documentation(p))
    assert not silent, (
        "give the function that lowers these a docstring; its first paragraph is what the page of supported estimators "
        f"says of them (what of the class is supported, what is refused): {', '.join(silent)}"
    )
