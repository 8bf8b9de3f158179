"""Write down what a check has found, and print it as lines for a terminal."""

import textwrap
from dataclasses import dataclass

WIDTH = 100  # columns of the page
MARGIN = 19  # columns in front of a text: mark and name


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    name: str
    """What was checked, in a word or two."""
    ok: bool
    """False if training needs something mended first."""
    says: str
    """What was found."""
    mend: str = ""
    """What to do; empty if nothing."""


def attempted(name, check, *arguments):
    """Return the finding of a check; one that raises an error is a finding, too."""
    try:
        return check(*arguments)
    except Exception as error:  # whatever an installation that is not in order raises
        return failed(name, error)


def failed(name, error):
    """Turn the error of a check into its finding."""
    reason = next((line for line in str(error).splitlines() if line.strip()), "")
    mend = "training would meet the same error; mend what it names, or install kerasae anew"
    return Finding(name, False, f"{type(error).__name__}: {reason.strip()[:160]}", mend)


def lines(finding):
    """Lay a finding out in lines of at most `WIDTH` columns: mark, name, what was found, what to do."""
    head = f"  {'ok' if finding.ok else 'MEND':<6}{finding.name:<{MARGIN - 8}}"
    yield from wrapped(head, finding.says)
    if finding.mend:
        yield from wrapped(" " * MARGIN, f"→ {finding.mend}")


def wrapped(head, text):
    """Wrap a text behind a head, with later lines indented to its end."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return textwrap.wrap(shown, WIDTH, initial_indent=head, subsequent_indent=" " * len(head), break_on_hyphens=False)
