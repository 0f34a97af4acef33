"""The three services, unmodified, in a world made of a seed: virtual time, faults, and an oracle (design 7.3)."""
