"""What many rounds of disturbance say together."""

from collections import Counter

from makerlab.chaos.rounds import Round, shown
from makerlab.runs.progress import Report


def tell(rounds: list[Round], *, report: Report) -> int:
    """Tell what was killed in all and whether anything differs; returns the exit status."""
    kills: Counter[str] = Counter()
    for each in rounds:
        kills.update(each.kills)
    starts = sum(each.starts for each in rounds)
    minutes = sum(each.seconds for each in rounds) / 60
    wrong = sum(bool(each.wrong) for each in rounds)
    report(
        f"in all: {minutes:.1f} minutes, {len(rounds)} matrices, started {starts} times, "
        f"{kills.total()} kills: {shown(kills)}"
    )
    report(
        f"verdict: {wrong} of {len(rounds)} matrices differ from the undisturbed one"
        if wrong
        else "verdict: every artefact of every matrix is as undisturbed"
    )
    return 1 if wrong else 0
