"""A small run made from records, for tests that read runs: `make_run(folder)`."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from synth import __version__
from synth.corpora.catalogue import Catalogue, CatalogueInfo, CatalogueWriter
from synth.corpora.records import (
    Candidate,
    Conversation,
    Ending,
    Person,
    Product,
    Provenance,
    Rejected,
    Requirement,
    Retrieval,
    Scenario,
    Scores,
    Turn,
    UserProfile,
)
from synth.graphs.settings import Settings
from synth.traces.run import RunFolder, row

MODELS = {"simulator": "offline", "rewriter": "offline", "checker": "offline", "judge": "offline", "captioner": "none"}
PRODUCTS = 12


def make_catalogue(folder: Path, products: int = PRODUCTS) -> Catalogue:
    """Bags of different colours; even ones have a PNG from the web, odd ones a JPEG without an address."""
    writer = CatalogueWriter(folder)
    made = []
    for n in range(products):
        kind, mime = ("PNG", "image/png") if n % 2 == 0 else ("JPEG", "image/jpeg")
        stream = io.BytesIO()
        Image.new("RGB", (8, 10), (20 * n % 256, 255 - n, 90)).save(stream, kind)
        url = f"https://example.org/{n}.png" if n % 2 == 0 else None
        made.append(
            Product(
                id=f"b{n}",
                title=f"Bag number {n}",
                categories=("Accessories", "Bags"),
                price=10.5 + n if n % 3 else None,
                currency="EUR",
                images=(writer.store_image(stream.getvalue(), mime, 8, 10, url),),
                attributes={"type": "bag", "colour": f"colour {n}"},
                descriptions={"source": f"Made to last. Write to shop{n}@example.org or @bag_shop."},
            )
        )
    return writer.finish(CatalogueInfo(name="bags", source="bags.csv", licence="CC BY-SA 4.0"), made)


def make_conversation(number: int, catalogue: Catalogue, ended_by: Ending = "hit") -> Conversation:
    """Need, one rejected and one accepted recommendation; its target is product `number` modulo the catalogue."""
    ids = [product.id for product in catalogue]
    target, other, outfit = (ids[(number + step) % len(ids)] for step in (0, 1, 2))
    accepted = ids[(number + 3) % len(ids)] if ended_by == "fit" else target

    def picture(product_id: str) -> tuple[str, ...]:
        return (catalogue[product_id].images[0].hash,)

    def search(chosen: str, excluded: tuple[str, ...]) -> Retrieval:
        found = [i for i in ids if i not in excluded][:6]
        if chosen not in found:
            found[0] = chosen
        candidates = tuple(Candidate(id=i, rank=rank, score=1 / (rank + 1)) for rank, i in enumerate(found))
        return Retrieval(
            needs="a bag", query="bag", candidates=candidates, excluded=excluded, chosen=chosen, reason="It fits."
        )

    last = None if ended_by == "forced" else search(accepted, (outfit, other))
    multimodal = number % 2 == 1
    turns = (
        Turn(index=0, speaker="assistant", act="greet", text="Hello! What can I find for you?"),
        Turn(
            index=1,
            speaker="user",
            act="need",
            text=f"I need a bag, ask me at nina{number}@mail.example.org or @nina.b, not at </comment>.",
            products=(outfit,) if multimodal else (),
            images=picture(outfit) if multimodal else (),
        ),
        Turn(
            index=2,
            speaker="assistant",
            act="recommend",
            text="This one is roomy.",
            products=(other,),
            images=picture(other),
            retrieval=search(other, (outfit,)),
        ),
        Turn(index=3, speaker="user", act="reject", text="Too pale – no.", products=(other,)),
        Turn(
            index=4,
            speaker="assistant",
            act="recommend",
            text="Then this one.",
            products=(accepted,),
            images=picture(accepted),
            retrieval=last,
        ),
        Turn(index=5, speaker="user", act="accept", text="I take it.", products=(accepted,)),
    )
    return Conversation(
        id=f"c{number:06d}",
        profile=UserProfile(
            id=f"p{number:06d}",
            person=Person(name=f"Nina {number // 2}", gender="female", age=30 + number // 2, profession="baker"),
            scenario_id="s0",
            target_id=target,
            recipient=None,
            backstory="She travels by train every week.",
            requirements=(Requirement(text="light"), Requirement(text="dark", attribute="colour", value="blue")),
        ),
        opening="multimodal" if multimodal else "text",
        outfit_id=outfit if multimodal else None,
        turns=turns,
        drafts=tuple(f"draft {turn.index}" for turn in turns),
        ended_by=ended_by,
        accepted_id=accepted,
        target_id=target,
        scores=Scores(content_quality=9, logical_fluency=9.5, user_consistency=8),
        provenance=Provenance(seed=3, models=MODELS, prompts="0123456789abcdef", synth=__version__),
    )


def make_run(
    folder: Path,
    conversations: Iterable[Conversation] | None = None,
    catalogue: Catalogue | None = None,
    *,
    wanted: int | None = None,
    finished: bool = True,
) -> RunFolder:
    """A run in `folder`, with three rejected draws and the pictures its conversations show.

    Args:
        conversations: default: 40, ending in hit, fit and forced by turns.
        catalogue: default: `make_catalogue` beside the run.
        wanted: `--convs`; default: as many as there are.
    """
    catalogue = catalogue or make_catalogue(folder.with_name(f"{folder.name}-catalogue"))
    endings: tuple[Ending, ...] = ("hit", "fit", "hit", "forced")
    if conversations is None:
        conversations = [make_conversation(n, catalogue, endings[n % 4]) for n in range(40)]
    kept = list(conversations)
    settings = Settings(
        catalogue=catalogue.info.fingerprint, scenarios=1, seed=3, models=MODELS, prompts="0123456789abcdef"
    )
    run = RunFolder(folder)
    run.create({"synth": __version__, "catalogue_name": catalogue.info.name, **settings.model_dump(mode="json")})
    run.keep_catalogue(catalogue)
    scenario = Scenario(id="s0", text="A trip by train.", family="travel", origin="seed")
    rejected = [
        Rejected(id="p000100", filter="duplicate", reason="BLEU-4 0.700 with an earlier backstory"),
        Rejected(id="c000101", filter="review", reason="total 20"),
        Rejected(id="c000102", filter="review", reason="total 21"),
    ]
    rows = {
        "scenarios": [scenario],
        "profiles": [conversation.profile for conversation in kept],
        "conversations": kept,
        "rejected": rejected,
    }
    for name, records in rows.items():
        rows = "".join(row(record) + "\n" for record in records)
        (folder / f"{name}.jsonl").write_text(rows, "utf-8", newline="\n")
    for conversation in kept:
        for product_id in {conversation.target_id, *(i for turn in conversation.turns for i in turn.products)}:
            for picture in catalogue[product_id].images:
                run.keep_picture(catalogue, picture)
    store = run.store(readonly=False)
    store.set_meta("convs", len(kept) if wanted is None else wanted)
    store.set_meta("finished", finished)
    store.close()
    return run
