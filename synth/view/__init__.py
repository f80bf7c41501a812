"""`synth view`: a run in the browser."""
