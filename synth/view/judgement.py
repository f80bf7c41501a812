"""Human judgement: where it starts, verdicts on single conversations, and what came of all of it."""

from __future__ import annotations

import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from synth.analysis.judged import Results, as_csv, results
from synth.errors import SynthError
from synth.traces.judgements import NOTE, OPINIONS, HumanReply, Judgement, Opinion, PairChoice, Verdict
from synth.view import annotator, pairs, replies
from synth.view.annotator import annotator_of, form_of, fresh, problem, records_of, save, shared, text_of
from synth.view.app import page, run_of
from synth.view.query import Query
from synth.view.run import ViewedRun


def routes() -> list[Route]:
    """Of all pages on which people judge."""
    return [
        Route("/judge", start),
        Route("/judge/verdict/{id}", verdict_form, methods=["GET"], name="verdict"),
        Route("/judge/verdict/{id}", verdict, methods=["POST"]),
        Route("/judge/results", results_page, name="judge_results"),
        Route("/judge/results.json", results_json),
        Route("/judge/results.csv", results_csv),
        *annotator.routes(),
        *pairs.routes(),
        *replies.routes(),
    ]


async def start(request: Request) -> Response:
    """What can be judged, and how far it is."""
    run, name = run_of(request), annotator_of(request)
    records = await records_of(run)
    own = [record for record in records if record.annotator == name]
    first = await run_in_threadpool(_next, run, own, "")
    values = {
        **shared(request),
        "run": run,
        "accepted": await run_in_threadpool(run.reader.folder.accepted),
        "judged": sum(isinstance(record, Verdict) and record.verdict is not None for record in own),
        "compared": sum(isinstance(record, PairChoice) for record in own),
        "written": sum(isinstance(record, HumanReply) for record in own),
        "annotators": sorted({record.annotator for record in records}),
        "first": first,
        "comparisons": pairs.comparisons_of(request),
    }
    return fresh(page(request, "judge.html", values))


async def verdict_form(request: Request) -> Response:
    """The form for one conversation's verdict: a part of its page, or a page of its own."""
    run, name = run_of(request), annotator_of(request)
    draw = await run_in_threadpool(run.reader.draw, request.path_params["id"])
    if draw.conversation is None:
        raise SynthError(f"{draw.id} has no conversation that could be judged.")
    records = await records_of(run)
    own = next(
        (r for r in records if isinstance(r, Verdict) and (r.annotator, r.conversation) == (name, draw.id)), None
    )
    values = {
        **shared(request),
        "run": run,
        "id": draw.id,
        "own": own,
        "opinions": OPINIONS,
        "longest": NOTE,
        "state": await _state(run, records, name, draw.id, saved=False),
    }
    part = "hx-request" in request.headers
    return fresh(page(request, "_verdict.html" if part else "judge_verdict.html", values))


async def verdict(request: Request) -> Response:
    """Saves a verdict and a note; what is said already is not written again."""
    run, name = run_of(request), annotator_of(request)
    try:
        if not name:
            raise SynthError("Choose a pseudonym first.")
        draw = await run_in_threadpool(run.reader.draw, request.path_params["id"])
        if draw.conversation is None:
            raise SynthError(f"{draw.id} has no conversation that could be judged.")
        form = await form_of(request)
        said = Verdict(
            conversation=draw.id,
            annotator=name,
            verdict=_opinion(form.get("verdict", "")),
            note=text_of(form, "note", NOTE),
            at=round(time.time(), 3),
        )
        records = await records_of(run)
        before = next((r for r in records if (r.annotator, r.subject) == (name, said.subject)), None)
        if before is None or before.model_copy(update={"at": said.at}) != said:
            if before is not None or said.verdict or said.note:
                await save(run, said)
            records = await records_of(run)
        values = {"state": await _state(run, records, name, draw.id, saved=True)}
    except SynthError as error:
        return problem(request, error)
    return fresh(page(request, "_judged.html", values))


async def results_page(request: Request) -> Response:
    found, _ = await _results(request)
    run = run_of(request)
    values = {
        **shared(request),
        "run": run,
        "found": found,
        "accepted": await run_in_threadpool(run.reader.folder.accepted),
        "suffix": f"?run={run.number}" if run.number else "",
        "tone": {"a": "one", "b": "other", "tie": "tie"},
    }
    return fresh(page(request, "judge_results.html", values))


async def results_json(request: Request) -> Response:
    found, _ = await _results(request)
    return fresh(Response(found.model_dump_json(indent=2) + "\n", media_type="application/json"))


async def results_csv(request: Request) -> Response:
    """Every single judgement."""
    _, records = await _results(request)
    headers = {"Content-Disposition": 'attachment; filename="judgements.csv"'}
    return fresh(Response(as_csv(records), media_type="text/csv", headers=headers))


async def _results(request: Request) -> tuple[Results, list[Judgement]]:
    records = await records_of(run_of(request))
    return await run_in_threadpool(results, records), records


async def _state(run: ViewedRun, records: list[Judgement], name: str, id_: str, *, saved: bool) -> dict[str, Any]:
    """What is said beside the form."""
    own = [r for r in records if isinstance(r, Verdict) and r.annotator == name and r.verdict]
    following = await run_in_threadpool(_next, run, own, id_) if name else ""
    return {"saved": saved, "judged": len(own), "next": following, "number": run.number}


def _next(run: ViewedRun, own: list[Any], id_: str) -> str:
    """The accepted conversation after this one, or the first of all, that the annotator has not judged."""
    done = {record.conversation for record in own if isinstance(record, Verdict) and record.verdict}
    left = [other for other in run.index.ids(Query(verdict="accepted")) if other not in done and other != id_]
    return next((other for other in left if other > id_), left[0] if left else "")


def _opinion(text: str) -> Opinion | None:
    """
    Raises:
        SynthError: it is none.
    """
    if not text:
        return None
    for opinion in OPINIONS:
        if text == opinion:
            return opinion
    raise SynthError(f"A verdict is {', '.join(OPINIONS)}, or none.")
