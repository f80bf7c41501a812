"""Options that both stages of `synth train` take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option(help="Folder of the run. The same command goes on where it stopped.")]
Epochs = Annotated[int, typer.Option(min=1, help="At most; the best one is kept.")]
Batch = Annotated[int, typer.Option(min=1, help="Examples that a process takes at once.")]
Accumulate = Annotated[int, typer.Option(min=1, help="Batches before an optimizer step.")]
Rate = Annotated[float, typer.Option(min=0, help="Learning rate.")]
Decay = Annotated[float, typer.Option(min=0, help="Weight decay.")]
Schedule = Annotated[str, typer.Option(help="constant or cosine.")]
WarmUp = Annotated[float, typer.Option(min=0, max=1, help="Share of the steps over which the rate rises.")]
Clip = Annotated[float, typer.Option(min=0, help="Largest norm of the gradient; 0 for none.")]
Rank = Annotated[int, typer.Option(min=0, help="Of LoRA; 0 trains all weights (small models from nothing).")]
Alpha = Annotated[int, typer.Option(min=1, help="Of LoRA.")]
Dropout = Annotated[float, typer.Option(min=0, max=1, help="Of LoRA.")]
Ends = Annotated[bool, typer.Option("--end-token/--no-end-token", help="Learn where an answer ends; LaViC does not.")]
Seed = Annotated[int, typer.Option(help="Of first weights, order and dropout.")]
Checkpointing = Annotated[bool, typer.Option("--gradient-checkpointing", help="Less memory, a third more time.")]
Deterministic = Annotated[bool, typer.Option("--deterministic", help="The same bits each time on a GPU; slower.")]
Workers = Annotated[int, typer.Option(min=0, help="Threads that prepare batches.")]
Minutes = Annotated[float, typer.Option(min=0, help="Between two points to go on from.")]
Grouped = Annotated[bool, typer.Option("--grouped/--random", help="Batches of examples of like length.")]
Trackers = Annotated[
    list[str] | None,
    typer.Option("--tracker", help="tensorboard, wandb, mlflow, trackio, … or none.", show_default="tensorboard"),
]
Grid = Annotated[bool, typer.Option("--grid", help="Train the paper's grid over rate and decay, and keep the best.")]
Layer = Annotated[int, typer.Option(help="Of the tower's hidden states that the features are; -1 is the last.")]
Pooling = Annotated[str, typer.Option(help="Of the features: cls (LaViC) or patches (entire tokens).")]
