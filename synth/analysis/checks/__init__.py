"""What `synth check` looks for, one file per family. Each check is a generator of findings over one conversation."""
