"""docs/labels.md lists what ships."""

from __future__ import annotations

from clipsearch.labels.sets import builtin_names, builtin_set, builtin_title, published_templates
from tests.conftest import REPOSITORY


def test_the_page_lists_every_set_and_all_templates() -> None:
    """A set that is not listed is not found; a wrong count is a wrong claim."""
    page = (REPOSITORY / "docs" / "labels.md").read_text("utf-8")
    for name in builtin_names():
        assert f"| `{name}` | {len(builtin_set(name).labels):,} | {builtin_title(name)} |" in page
    words = " ".join(page.split())
    for name, templates in published_templates().items():
        assert f"`{name}` {len(templates)}" in words
