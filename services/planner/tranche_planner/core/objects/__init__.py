"""What ModuleDeployment objects in Kubernetes mean, and what is said back to them: values in, values out."""
