"""A graph as Mermaid text, drawn from the compiled graph, so that a picture cannot be out of date."""

from __future__ import annotations

from typing import Any


def mermaid(graph: Any) -> str:
    """Nodes and edges of a compiled LangGraph graph; dotted arrows are decisions."""
    drawn = graph.get_graph()
    lines = ["flowchart LR", "    start([start])", "    done([end])"]
    names = {"__start__": "start", "__end__": "done"}
    for edge in drawn.edges:
        arrow = "-.->" if edge.conditional else "-->"
        lines.append(f"    {names.get(edge.source, edge.source)} {arrow} {names.get(edge.target, edge.target)}")
    return "\n".join(lines)


if __name__ == "__main__":
    from synth.graphs.conversation import conversation_graph

    print(mermaid(conversation_graph()))
