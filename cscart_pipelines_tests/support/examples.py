"""How many examples hypothesis tries: enough on every run, many more in nights.

`make test ARGS=--hypothesis-profile=nights` runs the nights' profile.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

SUITE, NIGHTS = 50, 1000


def register_profiles() -> None:
    """Registers both profiles and loads the suite's."""
    settings.register_profile(
        "suite",
        max_examples=SUITE,
        deadline=None,  # these machines are shared: no verdict from a clock
        derandomize=True,  # the same examples everywhere; a failure is a failure for everybody
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )
    settings.register_profile(
        "nights",
        settings.get_profile("suite"),
        max_examples=NIGHTS,
        derandomize=False,
        print_blob=True,
    )
    settings.load_profile("suite")


def examples(number: int) -> settings:
    """So many examples where each costs more, or less, than usual; in nights as many times more."""
    return settings(max_examples=number * settings().max_examples // SUITE)
