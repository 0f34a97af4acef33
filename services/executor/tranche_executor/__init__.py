"""Does and observes: installs and uninstalls modules on bases, reports availability."""
