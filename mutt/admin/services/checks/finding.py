"""Short ways to say what a check found."""

from mutt.admin.shapes.overview import Finding


def ok(check: str, sentence: str) -> Finding:
    return Finding(check=check, state="ok", sentence=sentence)


def warning(check: str, sentence: str, fix: str) -> Finding:
    return Finding(check=check, state="warning", sentence=sentence, fix=fix)


def failed(check: str, sentence: str, fix: str) -> Finding:
    return Finding(check=check, state="failed", sentence=sentence, fix=fix)


def clock(check: str, server: str, ahead_seconds: float) -> Finding:
    """What a difference between a server's clock and this host's means."""
    if abs(ahead_seconds) <= MOST_CLOCK_DIFFERENCE_SECONDS:
        return ok(check, f"the clocks of {server} and this host agree")
    direction = "ahead of" if ahead_seconds > 0 else "behind"
    sentence = f"the clock of {server} is {abs(ahead_seconds):.1f} s {direction} this host's"
    return warning(check, sentence, "systemctl enable --now chronyd on both hosts, then: chronyc makestep")


MOST_CLOCK_DIFFERENCE_SECONDS = 2.0
