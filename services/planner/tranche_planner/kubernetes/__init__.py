"""ModuleDeployment objects in, their status, Events and pauses out (decision 0014); needs its own extra."""
