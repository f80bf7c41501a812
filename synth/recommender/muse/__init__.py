"""MUSE's two tasks on a run's conversations (Wang et al., Findings of ACL 2025, §5): queries to recall products by, and
what the assistant says."""
