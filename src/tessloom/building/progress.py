"""What a build tells while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tessloom.pipelines import Pipeline


class Progress:
    """Listens to a build and says nothing; to show something, override.

    A build of several sectors reads the lists of the next while light curves of the one before
    come in: `listing` and `start` are called from another thread than the rest.
    """

    def listing(self, pipeline: Pipeline, sector: int) -> None:
        """Hear that the script and the target list of a sector are being read."""

    def start(self, pipeline: Pipeline, sector: int, targets: int) -> None:
        """Hear that so many light curves of a sector are to be fetched, beside those before."""

    def advance(self, done: int, failed: int) -> None:
        """Hear that so many more targets are done, and that so many of those failed."""

    def say(self, text: str) -> None:
        """Hear what a person should know: that the archive is down, and that it is up again."""

    def finish(self) -> None:
        """Hear that all is done, or that the build was stopped."""
