"""A tracker's options for which installed distributions count by version."""

from collections.abc import Iterable
from dataclasses import dataclass

from consist_es.checks import check_option, names
from consist_es.errors import UsageError
from consist_es.identity.installed.packages import normalised

PACKAGE_IDENTITIES = ("own", "imported")


@dataclass(frozen=True, slots=True)
class PackageOptions:
    """Which installed distributions count by version, besides one's own models, which count by content."""

    identity: str = "own"
    """``own``: none, only reports changes; ``imported``: all that the code imports, and Python's minor version."""
    model: tuple[str, ...] = ()
    """Distributions that count for every step."""
    ignore: tuple[str, ...] = ()
    """Distributions that are never compared, neither by version nor by content."""

    @classmethod
    def of(cls, identity: str, model: Iterable[str] | None, ignore: Iterable[str] | None) -> "PackageOptions":
        """Check the options of a tracker.

        Raises:
            OptionError, UsageTypeError, UsageError: an unknown identity, no list of names, a blank name, or one on
            both lists.
        """
        check_option("package_identity", identity, PACKAGE_IDENTITIES, optional=False)
        found = {}
        for what, given in (("model_packages", model), ("ignore_packages", ignore)):
            listed = names(given, what)
            if blank := [name for name in listed if not name.strip()]:
                raise UsageError(f"{what} takes names of installed distributions; {blank[0]!r} is not one.")
            found[what] = tuple(dict.fromkeys(normalised(name.strip()) for name in listed))
        if both := sorted({*found["model_packages"]} & {*found["ignore_packages"]}):
            raise UsageError(f"{both[0]!r} is in both model_packages and ignore_packages. Name it in one of them.")
        return cls(identity, found["model_packages"], found["ignore_packages"])

    def counts(self, name: str) -> bool:
        """True if an imported distribution, or Python, counts by version."""
        return name in self.model or (self.identity == "imported" and name not in self.ignore)
