"""Tree heads and proofs for others."""
