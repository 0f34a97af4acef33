"""arklet's HTTP API, as the real one behaves."""
