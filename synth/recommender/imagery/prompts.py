"""What models are asked. The wording is ours; what is asked, and the form of the answers, are the paper's."""

from __future__ import annotations

from collections.abc import Sequence

from synth.recommender.imagery.data import Request
from synth.recommender.imagery.outputs import Task
from synth.recommender.imagery.parsing import LETTERS

TITLES = 20
MAX_TOKENS: dict[Task, int] = {"rec_title": 700, "rec_choice": 32}
COI_TOKENS: dict[Task, int] = {"rec_title": 1_200, "rec_choice": 500}
"""Of an answer in which the model thinks first."""
DESCRIBE = (
    "Describe this picture in detail: what is in it, where it is set, its colours and light, how it is made (photo, "
    "painting, drawing, …), and the mood it gives."
)
DESCRIBE_TOKENS = 300

_KINDS = {"books": ("books", "Author"), "music": ("pieces of music", "Artist")}
_ANY = ("works", "Creator")
_COI_SEEN = (
    "Work in steps. First look closely at {each}, and write down what is in it, its style and the mood and feeling "
    "that it gives. Then say which qualities of {works} go with these. Only then answer"
)
_COI_TOLD = (
    "Work in steps. First imagine {each} from its description, and write down what is in it, its style and the mood "
    "and feeling that it gives. Then say which qualities of {works} go with these. Only then answer"
)


def ask(
    request: Request,
    domain: str,
    task: Task,
    descriptions: Sequence[str] | None,
    *,
    pictures: int = 0,
    coi: bool = False,
) -> str:
    """The whole question about a request.

    Args:
        descriptions: of its pictures; None where the pictures are shown, or nothing is.
        pictures: how many are shown.
        coi: with chain-of-imagery: to look first, to reason from what is seen, and then to answer (Yoon et al., §5).
    """
    works, creator = _KINDS.get(domain, _ANY)
    shown = pictures or len(descriptions or ())
    parts = [f"Somebody asks for {works} that feel like {_pictures(shown)}."]
    parts.append(f"Request:\n{request.full}")
    if descriptions:
        parts.append(f"Descriptions of the pictures:\n{combined(descriptions)}")
    if task == "rec_choice":
        parts.append("Choices:\n" + "\n".join(f"{LETTERS[i]}. {title}" for i, title in enumerate(request.choices)))
    if coi and shown:
        steps = _COI_TOLD if descriptions else _COI_SEEN
        parts.append(steps.format(each="the picture" if shown == 1 else "each picture", works=works) + _last(task))
    parts.append(_form(task, works, creator))
    return "\n\n".join(parts)


def combined(descriptions: Sequence[str]) -> str:
    """Descriptions as the paper combines them: `Image 1: …`, a line each, at most four; none of an empty one."""
    numbered = enumerate(descriptions, 1)
    return "\n".join(f"Image {number}: {' '.join(text.split())}" for number, text in numbered if text.strip())


def _pictures(shown: int) -> str:
    return "some pictures" if not shown else "a picture" if shown == 1 else f"{shown} pictures"


def _last(task: Task) -> str:
    return ", with the list at the end." if task == "rec_title" else ", with the letter on a last line of its own."


def _form(task: Task, works: str, creator: str) -> str:
    if task == "rec_title":
        return (
            f"Recommend {TITLES} {works}, the most fitting first, as a numbered list (1., 2., …). Write each line as "
            f"{creator} - Title, and nothing else after the list."
        )
    return f"Which choice fits best? Answer with its letter and its text, as in `{LETTERS[1]}. {creator} - Title`."
