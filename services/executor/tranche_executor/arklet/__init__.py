"""arklet's HTTP API as the real one behaves (design 5). ``client`` and ``artifact`` act, the rest is pure."""
