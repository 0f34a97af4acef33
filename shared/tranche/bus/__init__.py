"""The message bus: its port, the NATS adapter and the in-memory twin."""
