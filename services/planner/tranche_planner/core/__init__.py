"""Pure decisions of the planner."""
