"""What people see: statuses and records as lines, tables and screens. Pure: values in, renderables out."""
