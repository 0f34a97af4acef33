"""Pure decisions of the executor."""
